//! What is odd, and still tells a day; what is over; and what was changed.

use std::collections::HashSet;

use chrono::TimeDelta;

use super::{NOW, at, busy, busy_at, calendar, event, home, is_busy, owner, read, shown};
use crate::calendars::expanding::expand;
use crate::calendars::parsing::{Owner, Reader};

const DAY: &str = "12-02T13:00 12-03T13:00";

#[test]
fn a_date_is_busy_for_a_day_at_the_least() {
    for lines in [
        "DTSTART;VALUE=DATE:20261203\nDTEND;VALUE=DATE:20261203",
        "DTSTART;VALUE=DATE:20261203\nDURATION:PT0S",
        "DTSTART;VALUE=DATE:20261203\nDURATION:P0D",
        "DTSTART;VALUE=DATE:20261203\nDURATION:PT1H",
        "DTSTART;VALUE=DATE:20261203\nDURATION:PT24H",
        "DTSTART:20261203",
        "DTSTART;TZID=America/New_York;VALUE=DATE:20261203",
        "DTSTART;VALUE=DATE:2026-12-03",
    ] {
        is_busy(&event(lines), &[DAY]);
    }
    is_busy(&event("DTSTART;VALUE=DATE:20261203\nDURATION:PT25H"), &[DAY, "12-03T13:00 12-04T13:00"]);
}

#[test]
fn what_cannot_be_placed_blocks_its_day_and_is_told() {
    for lines in [
        "DTSTART;VALUE=DATE:20261203\nDTEND;VALUE=DATE:20261202",
        "DTSTART;VALUE=DATE:20261203\nDTEND;VALUE=DATE:19700101",
        "DTSTART;VALUE=DATE:20261203\nDURATION:-P1D",
        "DTSTART;TZID=Australia/Sydney:20261203T090000\nDTEND;TZID=Australia/Sydney:20261203T080000",
        "DTSTART;TZID=Australia/Sydney:20261203T090000\nDTEND:19700101T000000Z",
        "DTSTART;TZID=Australia/Sydney:20261203T090000\nDURATION:-PT1H",
        "DTSTART;TZID=Australia/Sydney:20261203T090000\nDURATION:P",
        "DTSTART;TZID=Australia/Sydney:20261203T090000\nDURATION:two hours",
        "DTSTART;TZID=Australia/Sydney:20261203T090000\nDURATION:PT99999999999999999999S",
        "DTSTART;TZID=Australia/Sydney:20261203T090000\nDTEND:later",
        "DTSTART;TZID=Australia/Sydney:20261203T250000\nDURATION:PT1H",
        "DTSTART:20261203Tnine",
        "DTSTART:soon\nDTEND;VALUE=DATE:20261203",
        "DTEND;TZID=Australia/Sydney:20261203T100000",
    ] {
        let busy = busy(&event(lines));
        assert_eq!((shown(&busy), busy.skipped), (vec![DAY.to_owned()], 1), "{lines}");
    }
    // Each day of a series.
    let series = busy(&event("DTSTART:20261203T090000Z\nDTEND:20261203T080000Z\nRRULE:FREQ=DAILY;COUNT=2"));
    assert_eq!((shown(&series).len(), series.skipped), (2, 1));
    // A free event that cannot be placed is free, and what is nowhere can only be counted.
    assert_eq!(
        shown(&busy(&event("DTSTART;VALUE=DATE:20261203\nDTEND;VALUE=DATE:20261202\nTRANSP:TRANSPARENT"))),
        Vec::<String>::new()
    );
    let nowhere = busy(&event("DTSTART:soon"));
    assert_eq!((nowhere.spans.len(), nowhere.skipped), (0, 1));
    // An end without a word of it is none.
    is_busy(
        &event("DTSTART;TZID=Australia/Sydney:20261203T0900\nDTEND;TZID=Australia/Sydney:2026-12-03T10:00:00"),
        &["12-02T22:00 12-02T23:00"],
    );
    is_busy(
        &event("DTSTART;TZID=Australia/Sydney:20261203T230000\nDTEND;TZID=Australia/Sydney:20261203T240000"),
        &["12-03T12:00 12-03T13:00"],
    );
}

#[test]
fn an_event_may_be_as_long_and_as_old_as_it_likes() {
    for lines in [
        "DTSTART;VALUE=DATE:20100101\nDTEND;VALUE=DATE:20400101",
        "DTSTART:18500101T000000Z\nDTEND:22500101T000000Z",
        "DTSTART;VALUE=DATE:00010101\nDTEND;VALUE=DATE:99990101",
        "DTSTART;VALUE=DATE:20200101\nDURATION:P9999D",
        "DTSTART:20200101T000000Z\nDURATION:P999W",
    ] {
        let busy = busy(&event(lines));
        assert_eq!((busy.spans.len(), busy.cut), (402, false), "{lines}");
    }
    let endless = busy(&event("DTSTART:20261203T090000Z\nDURATION:P999999999W"));
    assert_eq!((endless.spans.len() > 390, endless.skipped), (true, 1));
    // A birthday of long ago, each year.
    is_busy(&event("DTSTART;VALUE=DATE:18501203\nRRULE:FREQ=YEARLY;UNTIL=20270101"), &[DAY]);
    is_busy(&event("DTSTART:18500101T000000Z\nDTEND:18500102T000000Z"), &[]);
    is_busy(&event("DTSTART:99991203T090000Z\nDURATION:PT1H"), &[]);
}

#[test]
fn what_is_over_uses_up_no_limit() {
    let past = |number: i64| {
        let start = at(NOW) - TimeDelta::days(10) - TimeDelta::hours(number);
        let lines = match number % 5 {
            0 => "DURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3",
            1 => "DURATION:PT1H\nRRULE:FREQ=WEEKLY;UNTIL=20261110T000000Z",
            2 => "DURATION:P1D\nRDATE:20261101T000000Z",
            3 => "DTEND;VALUE=DATE:20261115",
            _ => "DURATION:PT1H",
        };
        format!("BEGIN:VEVENT\nUID:{number}\nDTSTART:{}\n{lines}\nEND:VEVENT\n", start.format("%Y%m%dT%H%M%SZ"))
    };
    let events: String = (1_000..41_000).map(past).collect();
    let one = "BEGIN:VEVENT\nUID:one\nDTSTART:20261203T090000Z\nDURATION:PT1H\nEND:VEVENT\n";
    let begun = std::time::Instant::now();
    is_busy(&calendar(&format!("{events}{one}")), &["12-03T09:00 12-03T10:00"]);
    is_busy(&calendar(&format!("{one}{events}")), &["12-03T09:00 12-03T10:00"]);
    println!("40,000 past events and one, twice: {:?}", begun.elapsed());
    // Busy periods, dates of one event, and dates that do not count, too.
    let dates: String = (0..30_000)
        .map(|minute| {
            format!(",{}", (at("2010-01-01T00:00:00Z") + TimeDelta::minutes(60 * minute)).format("%Y%m%dT%H%M%SZ"))
        })
        .collect();
    let dated = format!("DTSTART:20100101T000000Z\nDURATION:PT1H\nRDATE:20100101T000000Z{dates},20261203T090000Z");
    is_busy(&event(&dated), &["12-03T09:00 12-03T10:00"]);
    let except = format!(
        "DTSTART:20100101T000000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20261203T000000Z\nEXDATE:20100101T000000Z{dates},20261129T000000Z,20261130T000000Z,20261201T000000Z,20261202T000000Z"
    );
    is_busy(&event(&except), &["12-03T00:00 12-03T01:00"]);
    let periods = dates.replace(',', "/PT1H,");
    let periods =
        format!("BEGIN:VFREEBUSY\nUID:1\nFREEBUSY:20100101T000000Z{periods}/PT1H,20261203T090000Z/PT1H\nEND:VFREEBUSY");
    is_busy(&calendar(&periods), &["12-03T09:00 12-03T10:00"]);
    // Daily since 1999.
    let daily = busy(&event("DTSTART;TZID=Australia/Sydney:19990101T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY"));
    assert_eq!((daily.spans.len(), daily.cut), (402, false));
}

#[test]
fn a_long_history_is_read_as_it_comes() {
    let description = format!("DESCRIPTION:{}\r\n", "Long words. ".repeat(60));
    let begun = std::time::Instant::now();
    let mut reader = Reader::new(owner(), at(NOW));
    let mut fed = 0;
    let mut feed = |reader: &mut Reader, text: &str| {
        fed += text.len();
        reader.feed(text.as_bytes()).unwrap();
    };
    feed(&mut reader, "BEGIN:VCALENDAR\r\n");
    for number in 0..25_000_i64 {
        let start = (at(NOW) - TimeDelta::days(20) - TimeDelta::hours(number)).format("%Y%m%dT%H%M%SZ");
        feed(
            &mut reader,
            &format!(
                "BEGIN:VEVENT\r\nUID:{number}@history\r\nDTSTART:{start}\r\nDURATION:PT1H\r\n{description}END:VEVENT\r\n"
            ),
        );
    }
    feed(
        &mut reader,
        "BEGIN:VEVENT\r\nUID:one\r\nDTSTART:20261203T090000Z\r\nDURATION:PT1H\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
    );
    let found = reader.finish().unwrap();
    println!("{fed} bytes: {:?}", begun.elapsed());
    assert!(fed > 20_000_000, "{fed}");
    assert_eq!((found.events.len(), found.cut), (1, false));
    assert_eq!(shown(&expand(found, &HashSet::new(), at(NOW))), ["12-03T09:00 12-03T10:00"]);
}

const SERIES: &str = "BEGIN:VEVENT\nUID:a\nDTSTART;TZID=Europe/Berlin:20261202T090000\nDTEND:20261202T100000\nRRULE:FREQ=DAILY;COUNT=4\n";

#[test]
fn what_floats_beside_a_zoned_start_is_on_its_clock() {
    let berlin = |day: u32| format!("12-0{day}T08:00 12-0{day}T09:00");
    let without = |lines: &str, day: u32| {
        let expected: Vec<String> = (2..=5).filter(|other| *other != day).map(berlin).collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        is_busy(&calendar(&format!("{SERIES}{lines}\nEND:VEVENT")), &expected);
    };
    without("X:1", 0);
    without("EXDATE:20261203T090000", 3);
    without("EXDATE;VALUE=DATE:20261203", 3);
    without("EXDATE:20261203", 3);
    without("EXDATE:20261203T080000Z", 3);
    without("EXDATE;TZID=Australia/Sydney:20261203T190000", 3);
    for id in ["20261203T090000", "20261203T080000Z", ";VALUE=DATE:20261203", "20261203"] {
        let id = if id.starts_with(';') { id.to_owned() } else { format!(":{id}") };
        without(
            &format!(
                "END:VEVENT\nBEGIN:VEVENT\nUID:a\nRECURRENCE-ID{id}\nDTSTART:20261203T110000Z\nDURATION:PT1H\nSTATUS:CANCELLED"
            ),
            3,
        );
    }
    // Whichever comes first.
    let moved = "BEGIN:VEVENT\nUID:a\nRECURRENCE-ID:20261203T090000\nDTSTART;TZID=Asia/Tokyo:20261203T200000\nDURATION:PT1H\nEND:VEVENT\n";
    let text = calendar(&format!("{moved}{SERIES}END:VEVENT"));
    is_busy(&text, &[&berlin(2), "12-03T11:00 12-03T12:00", &berlin(4), &berlin(5)]);
    let later = "BEGIN:VEVENT\nUID:a\nRECURRENCE-ID;RANGE=THISANDFUTURE;VALUE=DATE:20261204\nDTSTART:20261204T080000Z\nSTATUS:CANCELLED\nEND:VEVENT\n";
    is_busy(&calendar(&format!("{later}{SERIES}END:VEVENT")), &[&berlin(2), &berlin(3)]);
    is_busy(
        &calendar(&format!("{SERIES}RDATE:20261210T090000\nEND:VEVENT")).replace("COUNT=4", "COUNT=1"),
        &[&berlin(2), "12-10T08:00 12-10T09:00"],
    );
    // A date whose exception has a time.
    is_busy(
        &event("DTSTART;VALUE=DATE:20261203\nRRULE:FREQ=DAILY;COUNT=2\nEXDATE;TZID=Europe/Berlin:20261204T000000"),
        &[DAY],
    );
    // An occurrence that cannot be told is one more.
    let odd = busy(&calendar(&format!(
        "{SERIES}END:VEVENT\nBEGIN:VEVENT\nUID:a\nRECURRENCE-ID:soon\nDTSTART:20261203T110000Z\nDURATION:PT1H\nEND:VEVENT"
    )));
    assert_eq!((odd.spans.len(), odd.skipped), (5, 1));
}

fn version(lines: &str) -> String {
    format!("BEGIN:VEVENT\nUID:a\n{lines}\nEND:VEVENT\n")
}

#[test]
fn the_latest_version_counts() {
    let old = version("SEQUENCE:1\nDTSTAMP:20261101T000000Z\nDTSTART:20261203T090000Z\nDURATION:PT1H");
    let check = |new: &str, expected: &[&str]| {
        is_busy(&calendar(&format!("{old}{new}")), expected);
        is_busy(&calendar(&format!("{new}{old}")), expected);
    };
    let (nine, noon) = ("12-03T09:00 12-03T10:00", "12-03T12:00 12-03T13:00");
    check(&version("SEQUENCE:2\nDTSTAMP:20261001T000000Z\nDTSTART:20261203T120000Z\nDURATION:PT1H"), &[noon]);
    check(&version("SEQUENCE:1\nDTSTAMP:20261102T000000Z\nDTSTART:20261203T120000Z\nDURATION:PT1H"), &[noon]);
    check(&version("DTSTAMP:20261201T000000Z\nDTSTART:20261203T120000Z\nDURATION:PT1H"), &[nine]);
    check(&version("SEQUENCE:2\nDTSTART:20261203T090000Z\nDURATION:PT1H\nSTATUS:CANCELLED"), &[]);
    // Moved into the past, where it is dropped.
    check(&version("SEQUENCE:2\nDTSTART:20200101T090000Z\nDURATION:PT1H"), &[]);
    // Two that are alike are both busy: they may be two events.
    check(&version("SEQUENCE:1\nDTSTART:20261203T120000Z\nDURATION:PT1H"), &[nine, noon]);
    // Versions of one occurrence.
    let part = |lines: &str| version(&format!("RECURRENCE-ID:20261203T080000Z\nDURATION:PT1H\n{lines}"));
    let text = format!(
        "{SERIES}END:VEVENT\n{}{}",
        part("SEQUENCE:5\nDTSTART:20261203T110000Z"),
        part("SEQUENCE:4\nDTSTART:20261203T150000Z")
    );
    is_busy(&calendar(&text.replace("COUNT=4", "COUNT=2")), &["12-02T08:00 12-02T09:00", "12-03T11:00 12-03T12:00"]);
}

#[test]
fn a_calendar_may_call_off_what_another_asked_for() {
    let asked = calendar(&version("SEQUENCE:0\nDTSTART:20261203T090000Z\nDURATION:PT1H"));
    let off = |method: &str, lines: &str| {
        calendar(&format!("{method}{}", version(&format!("DTSTART:20261203T090000Z\nDURATION:PT1H\n{lines}"))))
    };
    is_busy(&off("METHOD:CANCEL\n", ""), &[]);
    is_busy(&off("METHOD:REQUEST\n", ""), &["12-03T09:00 12-03T10:00"]);
    is_busy(&format!("{asked}{}", off("METHOD:CANCEL\n", "SEQUENCE:1")), &[]);
    is_busy(&format!("{asked}{}", off("METHOD:CANCEL\n", "SEQUENCE:0")), &[]);
    // The method may come last, and holds for its own calendar alone.
    let last = off("", "SEQUENCE:1").replace("END:VCALENDAR", "METHOD:CANCEL\r\nEND:VCALENDAR");
    is_busy(&last, &[]);
    is_busy(&format!("{last}{}", event("DTSTART:20261204T090000Z\nDURATION:PT1H")), &["12-04T09:00 12-04T10:00"]);
    // The whole series, with what was changed of it.
    let moved = version("SEQUENCE:0\nRECURRENCE-ID:20261203T080000Z\nDTSTART:20261203T110000Z\nDURATION:PT1H");
    let series = calendar(&format!("{SERIES}END:VEVENT\n{moved}"));
    is_busy(&format!("{series}{}", off("METHOD:CANCEL\n", "SEQUENCE:1")), &[]);
}

#[test]
fn what_outlook_calls_free_is_free() {
    let times = "DTSTART:20261203T090000Z\nDURATION:PT1H\n";
    is_busy(&event(&format!("{times}X-MICROSOFT-CDO-BUSYSTATUS:FREE")), &[]);
    for status in ["TENTATIVE", "BUSY", "OOF", "WORKINGELSEWHERE"] {
        is_busy(&event(&format!("{times}X-MICROSOFT-CDO-BUSYSTATUS:{status}")), &["12-03T09:00 12-03T10:00"]);
    }
}

#[test]
fn what_people_write_is_no_property() {
    let expected = ["12-03T09:00 12-03T10:00"];
    for broken in [
        "Status: cancelled",
        "Status:CANCELLED",
        "status:cancelled",
        "STATUS: CANCELLED",
        "End: 5pm",
        "End:VEVENT",
        "end:vevent",
        "END: 5pm",
        "END:5pm",
        "END:noon at the latest",
        "Begin: 9am",
        "BEGIN: 9am",
        "BEGIN:9 am",
        "Transp: transparent",
        "transp:transparent",
        "Duration: two hours",
        "DURATION: two hours",
        "Uid: 7",
        "Dtstart: tomorrow",
        "DTSTART: tomorrow",
        "Rrule: none",
        "Exdate:20261203T090000Z",
        "Sequence: 9",
        "Method: cancel",
        "Attendee: nobody",
        "Status",
        "End",
        "",
        ":",
        "x:Y",
    ] {
        for (before, after) in [
            ("DESCRIPTION:Trip", ""),
            ("DESCRIPTION:Trip", "more text"),
            ("SUMMARY:Trip\nand so on", ""),
            ("X-ALT-DESC;FMTTYPE=text/html:<p>", "</p>"),
            ("LOCATION:Here", ""),
        ] {
            let text =
                format!("DTSTART:20261203T090000Z\nDTEND:20261203T100000Z\n{before}\n{broken}\n{after}\nCLASS:PUBLIC");
            is_busy(&event(&text), &expected);
            let first =
                format!("{before}\n{broken}\n{after}\nCLASS:PUBLIC\nDTSTART:20261203T090000Z\nDTEND:20261203T100000Z");
            is_busy(&event(&first), &expected);
        }
    }
    // Two that contradict each other are busy, and a calendar in small letters is read as one.
    is_busy(&event("DTSTART:20261203T090000Z\nDTEND:20261203T100000Z\nSTATUS:CONFIRMED\nSTATUS:CANCELLED"), &expected);
    let small =
        event("DTSTART:20261203T090000Z\nDTEND:20261203T100000Z\nDESCRIPTION:Trip\nTRANSP:OPAQUE").to_lowercase();
    is_busy(&small, &expected);
    is_busy(&small.replace("transp:opaque", "transp:transparent"), &[]);
}

#[test]
fn lines_end_as_they_like() {
    let text = event("DTSTART;TZID=Europe/Ber~lin:20261203T090000\nDURATION:P~T1H");
    let text = text.replacen('~', "\r\n ", 1).replacen('~', "\r\n\t", 1);
    for ending in ["\r\n", "\n", "\r", "\r\r\n", "\r\n\r\n"] {
        is_busy(&text.replace("\r\n", ending), &["12-03T08:00 12-03T09:00"]);
    }
    // Byte by byte, and with a letter cut by a fold.
    let mut reader = Reader::new(owner(), at(NOW));
    for byte in text.as_bytes() {
        reader.feed(&[*byte]).unwrap();
    }
    assert_eq!(shown(&expand(reader.finish().unwrap(), &HashSet::new(), at(NOW))), ["12-03T08:00 12-03T09:00"]);
}

#[test]
fn the_way_to_an_event_is_busy_too() {
    let times = "DTSTART:20261203T090000Z\nDURATION:PT1H\n";
    is_busy(&event(&format!("{times}X-APPLE-TRAVEL-DURATION;VALUE=DURATION:PT45M")), &["12-03T08:15 12-03T10:00"]);
    is_busy(
        &event(&format!("{times}X-APPLE-TRAVEL-DURATION;VALUE=DURATION:PT45M\nRRULE:FREQ=DAILY;COUNT=2")),
        &["12-03T08:15 12-03T10:00", "12-04T08:15 12-04T10:00"],
    );
    // No sum of weeks and hours is too large to be added up.
    let (weeks, hours) = ("999999999W".repeat(20_000), "999999999H".repeat(20_000));
    let busy = busy(&event(&format!("{times}X-APPLE-TRAVEL-DURATION:P{weeks}T{hours}")));
    assert_eq!(busy.spans.len(), 2);
    busy_at(&calendar(&format!("BEGIN:VFREEBUSY\nFREEBUSY:20261203T090000Z/PT{hours}\nEND:VFREEBUSY")), NOW);
    for odd in ["-PT45M", "soon", "PT0S", ""] {
        is_busy(&event(&format!("{times}X-APPLE-TRAVEL-DURATION;VALUE=DURATION:{odd}")), &["12-03T09:00 12-03T10:00"]);
    }
    is_busy(
        &event(&format!("{times}X-APPLE-TRAVEL-DURATION:P900D")),
        &["12-02T09:00 12-03T09:00", "12-03T09:00 12-03T10:00"],
    );
}

#[test]
fn an_invitation_that_was_declined_keeps_nobody_busy() {
    let invited = |lines: &str| {
        event(&format!("DTSTART:20261203T090000Z\nDURATION:PT1H\nORGANIZER:mailto:boss@knead.example\n{lines}"))
    };
    for lines in [
        "ATTENDEE;PARTSTAT=DECLINED:mailto:me@knead.example",
        "ATTENDEE;CN=\"Me: myself\";PARTSTAT=declined;ROLE=REQ-PARTICIPANT:MAILTO:Me@Knead.Example",
        "ATTENDEE;PARTSTAT=DECLINED;EMAIL=me@knead.example:urn:uuid:1",
        "ATTENDEE;PARTSTAT=ACCEPTED:mailto:you@knead.example\nATTENDEE;PARTSTAT=DECLINED:mailto:me@knead.example",
    ] {
        is_busy(&invited(lines), &[]);
    }
    for lines in [
        "ATTENDEE;PARTSTAT=ACCEPTED:mailto:me@knead.example",
        "ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:me@knead.example",
        "ATTENDEE;PARTSTAT=DECLINED:mailto:you@knead.example",
        "ATTENDEE;PARTSTAT=DECLINED:mailto:",
        "ATTENDEE:mailto:me@knead.example",
        "BEGIN:VALARM\nATTENDEE;PARTSTAT=DECLINED:mailto:me@knead.example\nEND:VALARM",
    ] {
        is_busy(&invited(lines), &["12-03T09:00 12-03T10:00"]);
    }
}

#[test]
fn days_without_a_time_may_be_left_out() {
    let text = calendar(
        "BEGIN:VEVENT\nUID:0\nDTSTART:20261203T000000\nDTEND:20261204T000000\nX-MICROSOFT-CDO-ALLDAYEVENT:TRUE\nEND:VEVENT\nBEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20261203\nEND:VEVENT\nBEGIN:VEVENT\nUID:2\nDTSTART:20261203T090000Z\nDURATION:PT1H\nEND:VEVENT",
    );
    let mut reader = Reader::new(Owner { has_busy_days: false, zone: home(), email: String::new() }, at(NOW));
    reader.feed(text.as_bytes()).unwrap();
    assert_eq!(shown(&expand(reader.finish().unwrap(), &HashSet::new(), at(NOW))), ["12-03T09:00 12-03T10:00"]);
    assert_eq!(shown(&busy_at(&text, NOW)), [DAY]);
    assert!(read(&text).is_ok());
}
