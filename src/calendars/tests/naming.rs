//! The names of zones, and the clocks that calendars declare.

use super::{busy, busy_at, calendar, event, is_busy, shown};
use crate::calendars::names::{known, windows};
use crate::values::Zone;
use crate::values::zones::zone;

/// A zone that is put forward and back as in Sydney, with its lines in the usual order.
fn like_sydney(id: &str) -> String {
    format!(
        "BEGIN:VTIMEZONE\nTZID:{id}\nBEGIN:STANDARD\nDTSTART:16010101T030000\nTZOFFSETFROM:+1100\nTZOFFSETTO:+1000\n\
         RRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=4\nEND:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:16010101T020000\nTZOFFSETFROM:+1000\n\
         TZOFFSETTO:+1100\nRRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=10\nEND:DAYLIGHT\nEND:VTIMEZONE\n"
    )
}

fn at_nine(zone: &str, parameter: &str) -> String {
    calendar(&format!("{zone}BEGIN:VEVENT\nUID:1\nDTSTART;TZID={parameter}:20261203T090000\nDURATION:PT1H\nEND:VEVENT"))
}

#[test]
fn every_name_of_windows_is_known() {
    let mut count = 0;
    for (name, place, display) in windows() {
        let zone: Zone = if name == "UTC" { Zone::UTC } else { place.parse().unwrap() };
        let spellings = [
            name.to_owned(),
            name.to_uppercase(),
            format!("\"{name}\""),
            format!("{name} 1"),
            format!("tzone://Microsoft/{name}"),
        ];
        for spelling in spellings {
            assert_eq!(known(&spelling), Some(zone), "{spelling}");
        }
        let busy = busy(&at_nine("", name));
        assert_eq!((busy.spans.len(), busy.skipped), (1, 0), "{name}");
        if !display.is_empty() {
            for spelling in [display.to_owned(), display.replace("(UTC", "(GMT"), display.replace(',', "\\,")] {
                assert!(known(&spelling).is_some(), "{spelling}");
            }
        }
        count += 1;
    }
    println!("{count} names");
    assert!(count >= 142, "{count}");
}

#[test]
fn what_windows_shows_is_the_zone_that_it_is_shown_for() {
    // Two zones that Windows shows alike need not be told apart; the others are.
    for (_, place, display) in windows().filter(|(.., display)| !display.is_empty()) {
        assert_eq!(known(display).map(|zone| zone.name()), Some(place), "{display}");
    }
}

#[test]
fn an_id_is_known_however_it_is_written() {
    for (id, zone) in [
        ("Europe/Berlin", zone("Europe/Berlin")),
        ("europe/berlin", zone("Europe/Berlin")),
        ("EUROPE/BERLIN", zone("Europe/Berlin")),
        ("Europe/Berlin 1", zone("Europe/Berlin")),
        ("Europe-Berlin", zone("Europe/Berlin")),
        ("America/New York", zone("America/New_York")),
        ("America-Argentina-Buenos_Aires", zone("America/Argentina/Buenos_Aires")),
        ("/freeassociation.sourceforge.net/Tzfile/Europe/Berlin", zone("Europe/Berlin")),
        ("/freeassociation.sourceforge.net/Europe/Berlin", zone("Europe/Berlin")),
        ("/mozilla.org/20050126_1/America/Argentina/Buenos_Aires", zone("America/Argentina/Buenos_Aires")),
        ("/softwarestudio.org/Olson_20011030_5/America/Chicago", zone("America/Chicago")),
        ("/citadel.org/20210210_1/Australia/Perth", zone("Australia/Perth")),
        ("tzone://Microsoft/Utc", Zone::UTC),
        ("AUS Eastern Standard Time 1", zone("Australia/Sydney")),
        ("AUS Eastern Standard Time (2)", zone("Australia/Sydney")),
        ("aus eastern standard time", zone("Australia/Sydney")),
        ("AUS Eastern Daylight Time", zone("Australia/Sydney")),
        ("(UTC+10:00) Canberra, Melbourne, Sydney", zone("Australia/Sydney")),
        ("(GMT+10:00) Canberra, Melbourne, Sydney", zone("Australia/Sydney")),
        ("(UTC+10:00) Canberra\\, Melbourne\\, Sydney", zone("Australia/Sydney")),
        ("Canberra, Melbourne, Sydney", zone("Australia/Sydney")),
        ("(UTC+10:00) Brisbane", zone("Australia/Brisbane")),
        ("(GMT-05:00) Eastern Time (US & Canada)", zone("America/New_York")),
        ("Eastern Time (US & Canada)", zone("America/New_York")),
        ("(GMT) Greenwich Mean Time : Dublin, Edinburgh, Lisbon, London", zone("Europe/London")),
        ("(GMT+02:00) Helsinki, Kiev, Riga, Sofia, Tallinn, Vilnius", zone("Europe/Kiev")),
        ("US/Michigan", zone("US/Michigan")),
        ("Asia/Calcutta", zone("Asia/Calcutta")),
        ("Etc/GMT+10", zone("Etc/GMT+10")),
        ("Etc/GMT-10", zone("Etc/GMT-10")),
        ("UTC+12", zone("Etc/GMT-12")),
        ("UTC-11", zone("Etc/GMT+11")),
        ("utc", Zone::UTC),
        ("Zulu", zone("Zulu")),
    ] {
        assert_eq!(known(id), Some(zone), "{id}");
    }
    for id in [
        "",
        "/",
        "Customized Time Zone",
        "tzone://Microsoft/Custom",
        "Custom",
        "Mitteleuropa",
        "(UTC+05:00) Sydney",
        "AUS",
        "Time 1",
        "1",
    ] {
        assert_eq!(known(id), None, "{id}");
    }
}

#[test]
fn an_id_with_a_colon_or_a_comma_needs_no_quotes() {
    for id in ["(UTC+10:00) Canberra, Melbourne, Sydney", "(GMT+10:00) Brisbane", "tzone://Microsoft/Utc", "GMT+10:00"]
    {
        let text = at_nine("", id);
        assert_eq!(busy(&text).spans.len(), 1, "{text}");
    }
    is_busy(&at_nine("", "(UTC+08:00) Perth"), &["12-03T01:00 12-03T02:00"]);
    is_busy(&at_nine("", "\"(UTC+08:00) Perth\""), &["12-03T01:00 12-03T02:00"]);
    is_busy(&at_nine("", "tzone://Microsoft/Utc"), &["12-03T09:00 12-03T10:00"]);
    is_busy(
        &event(
            "DTSTART;VALUE=DATE-TIME;TZID=(UTC+08:00) Perth:20261203T090000\nDTEND;TZID=(UTC+08:00) Perth;VALUE=DATE-TIME:20261203T100000",
        ),
        &["12-03T01:00 12-03T02:00"],
    );
    is_busy(
        &event(
            "DTSTART;TZID=(UTC+08:00) Perth:20261203T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE;TZID=(UTC+08:00) Perth:20261204T090000,20261205T090000",
        ),
        &["12-03T01:00 12-03T02:00"],
    );
}

#[test]
fn a_zone_that_has_no_name_is_what_its_calendar_says() {
    for (id, parameter) in [
        ("Customized Time Zone", "\"Customized Time Zone\""),
        ("Customized Time Zone", "Customized Time Zone"),
        ("\"Customized Time Zone\"", "Customized Time Zone"),
        ("tzone://Microsoft/Custom", "tzone://Microsoft/Custom"),
        ("(UTC+10:00) Somewhere\\, Elsewhere", "\"(UTC+10:00) Somewhere, Elsewhere\""),
        ("1", "1"),
        ("EST", "EST"),
        ("GMT+1000", "GMT+1000"),
    ] {
        is_busy(&at_nine(&like_sydney(id), parameter), &["12-02T22:00 12-02T23:00"]);
        // Declared after it is used.
        let text = at_nine("", parameter).replace("END:VCALENDAR", &format!("{}END:VCALENDAR", like_sydney(id)));
        is_busy(&text, &["12-02T22:00 12-02T23:00"]);
    }
    // A name that is known means what it says, whatever stands beside it.
    is_busy(&at_nine(&like_sydney("Australia/Perth"), "Australia/Perth"), &["12-03T01:00 12-03T02:00"]);
    // In winter it is an hour later.
    let winter = at_nine(&like_sydney("Mine"), "Mine").replace("20261203", "20260703");
    assert_eq!(shown(&busy_at(&winter, "2026-07-01T00:00:00Z")), ["07-02T23:00 07-03T00:00"]);
    // And a weekly event moves with the clock, which goes forward on 4 October.
    let weekly =
        at_nine(&like_sydney("Mine"), "Mine").replace("20261203T090000", "20260930T090000\nRRULE:FREQ=WEEKLY;COUNT=2");
    assert_eq!(
        shown(&busy_at(&weekly, "2026-09-29T00:00:00Z")),
        ["09-29T23:00 09-30T00:00", "10-06T22:00 10-06T23:00"]
    );
}

#[test]
fn declared_clocks_have_gaps_and_double_hours() {
    let at = |wall: &str, now: &str| {
        let text = at_nine(&like_sydney("Mine"), "Mine").replace("20261203T090000", wall);
        let known = at_nine("", "Australia/Sydney").replace("20261203T090000", wall);
        assert_eq!(shown(&busy_at(&text, now)), shown(&busy_at(&known, now)), "{wall}");
    };
    for hour in 0..5 {
        at(&format!("20261004T0{hour}3000"), "2026-10-01T00:00:00Z");
        at(&format!("20270404T0{hour}3000"), "2027-04-01T00:00:00Z");
    }
}

#[test]
fn the_order_of_lines_is_free() {
    let lines = [
        "BEGIN:STANDARD\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\nTZOFFSETTO:+0100\nTZOFFSETFROM:+0200\nDTSTART:19701025T030000\nEND:STANDARD",
        "X-LIC-LOCATION:America/New_York",
        "TZID:Odd",
        "BEGIN:DAYLIGHT\nTZOFFSETTO:+0200\nDTSTART:19700329T020000\nTZOFFSETFROM:+0100\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\nEND:DAYLIGHT",
    ];
    for turn in 0..4 {
        let mut lines = lines.to_vec();
        lines.rotate_left(turn);
        let other = "BEGIN:VTIMEZONE\nX-LIC-LOCATION:Asia/Tokyo\nTZID:Other\nEND:VTIMEZONE\n";
        let zone = format!("BEGIN:VTIMEZONE\n{}\nEND:VTIMEZONE\n", lines.join("\n"));
        for zones in [format!("{zone}{other}"), format!("{other}{zone}")] {
            is_busy(&at_nine(&zones, "Odd"), &["12-03T14:00 12-03T15:00"]);
            is_busy(&at_nine(&zones, "Other"), &["12-03T00:00 12-03T01:00"]);
        }
        // Without a place it is its rules that count.
        let zone = zone.replace("X-LIC-LOCATION:America/New_York\n", "");
        is_busy(&at_nine(&zone, "Odd"), &["12-03T08:00 12-03T09:00"]);
    }
}

#[test]
fn observances_may_be_listed_end_and_be_alone() {
    let zone = |inner: &str| format!("BEGIN:VTIMEZONE\nTZID:Mine\n{inner}\nEND:VTIMEZONE\n");
    let fixed = zone("BEGIN:STANDARD\nDTSTART:16010101T000000\nTZOFFSETFROM:+0530\nTZOFFSETTO:+0530\nEND:STANDARD");
    is_busy(&at_nine(&fixed, "Mine"), &["12-03T03:30 12-03T04:30"]);
    // Dates in place of a rule.
    let listed = zone(
        "BEGIN:STANDARD\nDTSTART:20250406T030000\nRDATE:20260405T030000,20270404T030000\nTZOFFSETFROM:+1100\nTZOFFSETTO:+1000\nEND:STANDARD\n\
         BEGIN:DAYLIGHT\nDTSTART:20251005T020000\nRDATE:20261004T020000\nTZOFFSETFROM:+1000\nTZOFFSETTO:+1100\nEND:DAYLIGHT",
    );
    is_busy(&at_nine(&listed, "Mine"), &["12-02T22:00 12-02T23:00"]);
    // Summer was given up in 2020, by an end in UTC.
    let given_up = like_sydney("Mine").replace("BYMONTH=10", "BYMONTH=10;UNTIL=20191005T160000Z");
    is_busy(&at_nine(&given_up, "Mine"), &["12-02T23:00 12-03T00:00"]);
    // After the end of what is declared, the last offset may go on, or the rules: both are busy, and it is told.
    let until = |end: &str| like_sydney("Mine").replace("TZID:Mine", &format!("TZID:Mine\nTZUNTIL:{end}"));
    for home in ["", "X-WR-TIMEZONE:Australia/Perth\n"] {
        let ended = busy(&at_nine(&format!("{home}{}", until("20200601T000000Z")), "Mine"));
        assert_eq!((shown(&ended), ended.skipped), (vec!["12-02T22:00 12-03T00:00".to_owned()], 1), "{home}");
    }
    // Where the rules change nothing more, or not before what is worked out ends, nothing is open; nor where the zone is known by name.
    let far = busy(&at_nine(&until("20400601T000000Z"), "Mine"));
    assert_eq!((shown(&far), far.skipped), (vec!["12-02T22:00 12-02T23:00".to_owned()], 0));
    let known = until("20200601T000000Z").replace("TZID:Mine", "TZID:Australia/Sydney");
    let known = busy(&at_nine(&known, "Australia/Sydney"));
    assert_eq!((shown(&known), known.skipped), (vec!["12-02T22:00 12-02T23:00".to_owned()], 0));
    // A wrong line is as if it were missing, and what is missing makes a clock that is not known.
    for broken in ["TZOFFSETTO:east", "TZOFFSETTO:+9900", "X:1"] {
        let text = at_nine(
            &zone(&format!("BEGIN:STANDARD\nDTSTART:16010101T000000\nTZOFFSETFROM:+0530\n{broken}\nEND:STANDARD")),
            "Mine",
        );
        assert_eq!(busy(&text).skipped, 1, "{broken}");
    }
}

#[test]
fn a_clock_that_nobody_knows_blocks_each_of_its_readings_and_is_told() {
    // Sydney's nine o'clock, and that of UTC.
    let both = ["12-02T22:00 12-02T23:00", "12-03T09:00 12-03T10:00"];
    for id in [
        "Customized Time Zone",
        "\"Customized Time Zone\"",
        "tzone://Microsoft/Custom",
        "Mars/Olympus",
        "X",
        "(UTC+10:00) Nowhere",
    ] {
        let busy = busy(&at_nine("", id));
        assert_eq!((shown(&busy), busy.skipped, busy.cut), (both.map(str::to_owned).to_vec(), 1, false), "{id}");
    }
    // The calendar's own zone is a third reading.
    let busy_in_perth = busy(&at_nine("X-WR-TIMEZONE:Australia/Perth\n", "X"));
    assert_eq!(shown(&busy_in_perth), [both[0], "12-03T01:00 12-03T02:00", both[1]]);
    // What is called off on such a clock is called off in each reading; the series is one event.
    let series = busy(&event(
        "DTSTART;TZID=X:20261203T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=2\nEXDATE;TZID=X:20261204T090000",
    ));
    assert_eq!((shown(&series), series.skipped), (both.map(str::to_owned).to_vec(), 1));
    let period = calendar("BEGIN:VFREEBUSY\nUID:1\nFREEBUSY;TZID=X:20261203T090000/PT1H\nEND:VFREEBUSY");
    assert_eq!((shown(&busy(&period)), busy(&period).skipped), (both.map(str::to_owned).to_vec(), 1));
    // An offset is known, though it says nothing of summer.
    is_busy(&at_nine("", "GMT+10:00"), &["12-02T23:00 12-03T00:00"]);
    is_busy(&at_nine("", "UTC-0330"), &["12-03T12:30 12-03T13:30"]);
}

#[test]
fn what_floats_is_in_the_calendars_own_zone() {
    let floating = |zone: &str| {
        calendar(&format!("{zone}BEGIN:VEVENT\nUID:1\nDTSTART:20261203T090000\nDTEND:20261203T100000\nEND:VEVENT"))
    };
    is_busy(&floating(""), &["12-02T22:00 12-02T23:00"]);
    is_busy(&floating("X-WR-TIMEZONE:Europe/Berlin\n"), &["12-03T08:00 12-03T09:00"]);
    is_busy(&floating("X-WR-TIMEZONE:W. Europe Standard Time\n"), &["12-03T08:00 12-03T09:00"]);
    is_busy(&floating(&format!("X-WR-TIMEZONE:Mine\n{}", like_sydney("Mine"))), &["12-02T22:00 12-02T23:00"]);
    is_busy(&floating("X-WR-TIMEZONE:\n"), &["12-02T22:00 12-02T23:00"]);
    // Wherever it stands.
    let last = floating("").replace("END:VCALENDAR", "X-WR-TIMEZONE:Europe/Berlin\r\nEND:VCALENDAR");
    is_busy(&last, &["12-03T08:00 12-03T09:00"]);
    let unknown = busy(&floating("X-WR-TIMEZONE:Mars\n"));
    assert_eq!((shown(&unknown).len(), unknown.skipped), (2, 1));
    // Dates are the owner's days in any case.
    is_busy(
        &calendar("X-WR-TIMEZONE:Europe/Berlin\nBEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20261203\nEND:VEVENT"),
        &["12-02T13:00 12-03T13:00"],
    );
}

#[test]
fn zones_that_ask_for_too_much_are_not_known() {
    let begun = std::time::Instant::now();
    let every_second = "BEGIN:VTIMEZONE\nTZID:Mine\nBEGIN:STANDARD\nDTSTART:19000101T000000\nTZOFFSETFROM:+0000\nTZOFFSETTO:+0100\n\
        RRULE:FREQ=SECONDLY;COUNT=1000000000\nEND:STANDARD\nEND:VTIMEZONE\n";
    assert_eq!(busy(&at_nine(every_second, "Mine")).skipped, 1);
    let many: String = (0..20_000).map(|number| like_sydney(&number.to_string())).collect();
    busy(&at_nine(&many, "7"));
    let ids: String = (0..20_000)
        .map(|number| {
            format!(
                "BEGIN:VEVENT\nUID:{number}\nDTSTART;TZID={}{number}:20261203T090000\nDURATION:PT1H\nEND:VEVENT\n",
                "/".repeat(200)
            )
        })
        .collect();
    assert_eq!(busy(&calendar(&ids)).skipped, 20_000);
    assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{:?}", begun.elapsed());
}
