//! Calendars against what was worked out by hand.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::expanding::{Busy, PIECE, expand};
use super::parsing::{Found, Owner, Reader};
use super::{CalendarUrl, Fault, back_off};
use crate::values::Zone;
use crate::values::zones::zone;

mod naming;
mod placing;

/// Tuesday, when most of what is below is read.
const NOW: &str = "2026-12-01T00:00:00Z";

/// The owner's zone.
fn home() -> Zone {
    zone("Australia/Sydney")
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn calendar(body: &str) -> String {
    let body: String = body.trim().lines().map(|line| format!("{}\r\n", line.trim_start())).collect();
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Test//EN\r\n{body}END:VCALENDAR\r\n")
}

fn event(lines: &str) -> String {
    calendar(&format!("BEGIN:VEVENT\nUID:1@test\nSUMMARY:Secret\n{}\nEND:VEVENT", lines.trim()))
}

fn owner() -> Owner {
    Owner { zone: home(), email: "me@knead.example".to_owned(), has_busy_days: true }
}

fn read_at(text: &str, now: &str) -> Result<Found, Fault> {
    let mut reader = Reader::new(owner(), at(now));
    // In pieces that end in the middle of lines, and of letters.
    for part in text.as_bytes().chunks(4_099) {
        reader.feed(part)?;
    }
    reader.finish()
}

fn read(text: &str) -> Result<Found, Fault> {
    read_at(text, NOW)
}

fn busy_at(text: &str, now: &str) -> Busy {
    expand(read_at(text, now).unwrap(), &HashSet::new(), at(now))
}

fn busy(text: &str) -> Busy {
    busy_at(text, NOW)
}

/// The busy time as text, `2026-12-01T09:00Z/10:00Z` in short.
fn shown(busy: &Busy) -> Vec<String> {
    let show =
        |span: &crate::values::Span| format!("{} {}", span.start.format("%m-%dT%H:%M"), span.end.format("%m-%dT%H:%M"));
    busy.spans.iter().map(show).collect()
}

#[track_caller]
fn is_busy(text: &str, expected: &[&str]) {
    let busy = busy(text);
    assert_eq!(shown(&busy), expected, "{text}");
    assert_eq!((busy.skipped, busy.cut), (0, false), "{text}");
}

#[test]
fn a_time_means_what_its_zone_says() {
    // Sydney is at +11 in December, Berlin at +1, New York at -5.
    let cases = [
        ("DTSTART:20261203T090000Z\nDTEND:20261203T100000Z", "12-03T09:00 12-03T10:00"),
        ("DTSTART:20261203T090000\nDTEND:20261203T100000", "12-02T22:00 12-02T23:00"),
        (
            "DTSTART;TZID=Europe/Berlin:20261203T090000\nDTEND;TZID=Europe/Berlin:20261203T100000",
            "12-03T08:00 12-03T09:00",
        ),
        ("DTSTART;TZID=\"Europe/Berlin\":20261203T090000\nDURATION:PT90M", "12-03T08:00 12-03T09:30"),
        ("DTSTART;TZID=W. Europe Standard Time:20261203T090000\nDURATION:PT1H", "12-03T08:00 12-03T09:00"),
        ("DTSTART;TZID=Eastern Standard Time:20261203T090000\nDURATION:PT1H", "12-03T14:00 12-03T15:00"),
        (
            "DTSTART;TZID=/mozilla.org/20050126_1/Europe/Berlin:20261203T090000\nDURATION:PT1H",
            "12-03T08:00 12-03T09:00",
        ),
        ("DTSTART;TZID=Europe/Berlin:20261203T090000\nDTEND:20261203T090000Z", "12-03T08:00 12-03T09:00"),
        ("DTSTART;VALUE=DATE:20261203\nDTEND;VALUE=DATE:20261204", "12-02T13:00 12-03T13:00"),
        ("DTSTART;VALUE=DATE:20261203", "12-02T13:00 12-03T13:00"),
        ("dtstart;value=date:20261203", "12-02T13:00 12-03T13:00"),
        ("DTSTART:20261203T090000Z\nDURATION:P1DT2H3M4S", "12-03T09:00 12-04T09:00"),
        ("DTSTART:20261203T235960Z\nDTEND:20261204T003000Z", "12-03T23:59 12-04T00:30"),
    ];
    for (lines, expected) in cases {
        let busy = busy(&event(lines));
        assert_eq!(shown(&busy).first().map(String::as_str), Some(expected), "{lines}");
    }
}

#[test]
fn a_declared_zone_is_the_place_that_it_stands_for() {
    let text = calendar(
        "BEGIN:VTIMEZONE\nTZID:Mine\nX-LIC-LOCATION:Europe/Berlin\nBEGIN:STANDARD\nDTSTART:16010101T000000\nTZOFFSETFROM:+0200\n\
         TZOFFSETTO:+0100\nRRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\nEND:STANDARD\nEND:VTIMEZONE\n\
         BEGIN:VEVENT\nUID:1\nDTSTART;TZID=Mine:20261203T090000\nDURATION:PT1H\nEND:VEVENT",
    );
    is_busy(&text, &["12-03T08:00 12-03T09:00"]);
}

#[test]
fn a_whole_day_is_as_long_as_it_is_there() {
    // The clocks in Sydney go forward on 4 October 2026 and back on 5 April 2026.
    let day = |date: &str, now: &str| shown(&busy_at(&event(&format!("DTSTART;VALUE=DATE:{date}")), now));
    assert_eq!(day("20261004", "2026-10-01T00:00:00Z"), ["10-03T14:00 10-04T13:00"]);
    // Of 25 hours, in two pieces.
    assert_eq!(day("20260405", "2026-04-01T00:00:00Z"), ["04-04T13:00 04-05T13:00", "04-05T13:00 04-05T14:00"]);
}

#[test]
fn nine_stays_nine_when_the_clocks_change() {
    let weekly = event("DTSTART;TZID=Europe/Berlin:20261015T090000\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;COUNT=3");
    let found = shown(&busy_at(&weekly, "2026-10-10T00:00:00Z"));
    // Summer time ends on the 25th.
    assert_eq!(found, ["10-15T07:00 10-15T08:00", "10-22T07:00 10-22T08:00", "10-29T08:00 10-29T09:00"]);
    // Half past two does not exist on 29 March 2027 in Berlin: it is counted on from before (RFC 5545), at half past three.
    let nightly = event("DTSTART;TZID=Europe/Berlin:20270327T023000\nDURATION:PT15M\nRRULE:FREQ=DAILY;COUNT=3");
    let found = shown(&busy_at(&nightly, "2027-03-26T00:00:00Z"));
    assert_eq!(found, ["03-27T01:30 03-27T01:45", "03-28T01:30 03-28T01:45", "03-29T00:30 03-29T00:45"]);
    // And Lord Howe moves by half an hour, on 4 October.
    let daily = event("DTSTART;TZID=Australia/Lord_Howe:20261003T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=2");
    assert_eq!(shown(&busy_at(&daily, "2026-10-02T00:00:00Z")), ["10-02T22:30 10-02T23:30", "10-03T22:00 10-03T23:00"]);
}

#[test]
fn rules_are_followed() {
    let cases: &[(&str, &[&str])] = &[
        ("RRULE:FREQ=DAILY;COUNT=3", &["02", "03", "04"]),
        ("RRULE:FREQ=DAILY;INTERVAL=2;UNTIL=20261206T090000Z", &["02", "04", "06"]),
        ("RRULE:FREQ=DAILY;INTERVAL=2;UNTIL=20261206T085959Z", &["02", "04"]),
        ("RRULE:FREQ=DAILY;UNTIL=20261203", &["02", "03"]),
        ("RRULE:FREQ=WEEKLY;BYDAY=MO,WE;COUNT=4", &["02", "07", "09", "14"]),
        // The examples of the RFC for WKST, moved to this month: every other week, which begins on Monday or on Sunday.
        ("RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=WE,SU;WKST=MO;COUNT=4", &["02", "06", "16", "20"]),
        ("RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=WE,SU;WKST=SU;COUNT=4", &["02", "13", "16", "27"]),
        ("RRULE:FREQ=DAILY;COUNT=5\nEXDATE:20261203T090000Z,20261205T090000Z", &["02", "04", "06"]),
        ("RRULE:FREQ=DAILY;COUNT=3\nEXDATE;VALUE=DATE:20261203", &["02", "04"]),
        ("RRULE:FREQ=DAILY;COUNT=2\nRDATE:20261210T090000Z\nRDATE:20261203T090000Z", &["02", "03", "10"]),
        ("RDATE;VALUE=PERIOD:20261210T090000Z/PT2H", &["02", "10"]),
        ("rrule:freq=daily;count=2", &["02", "03"]),
    ];
    for (lines, days) in cases {
        let busy = busy(&event(&format!("DTSTART:20261202T090000Z\nDTEND:20261202T100000Z\n{lines}")));
        let found: Vec<String> = busy.spans.iter().map(|span| span.start.format("%d").to_string()).collect();
        assert_eq!(&found, days, "{lines}");
        assert_eq!((busy.skipped, busy.cut), (0, false), "{lines}");
    }
    let monthly = busy(&event("DTSTART:20261218T090000Z\nDURATION:PT1H\nRRULE:FREQ=MONTHLY;BYDAY=3FR;COUNT=3"));
    assert_eq!(shown(&monthly), ["12-18T09:00 12-18T10:00", "01-15T09:00 01-15T10:00", "02-19T09:00 02-19T10:00"]);
    let last = busy(&event("DTSTART:20261231T090000Z\nDURATION:PT1H\nRRULE:FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=3"));
    assert_eq!(shown(&last), ["12-31T09:00 12-31T10:00", "01-31T09:00 01-31T10:00", "02-28T09:00 02-28T10:00"]);
}

#[test]
fn a_rule_from_long_ago_reaches_today_in_step() {
    // 1 January 2001 was a Monday; 7 December 2026 is the Monday 1353 weeks later.
    let every_third = event("DTSTART:20010101T090000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;INTERVAL=3");
    assert_eq!(shown(&busy(&every_third)).first().map(String::as_str), Some("12-07T09:00 12-07T10:00"));
    let counted = event("DTSTART:20010101T090000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;INTERVAL=3;COUNT=452");
    assert_eq!(shown(&busy(&counted)), ["12-07T09:00 12-07T10:00"]);
    let ended = event("DTSTART:20010101T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20200101T000000Z");
    is_busy(&ended, &[]);
    let hourly = busy(&event("DTSTART:20010101T000000Z\nDURATION:PT30M\nRRULE:FREQ=HOURLY"));
    assert_eq!((hourly.spans.len(), hourly.cut), (5_000, true), "an interval an hour is more than is kept");
}

#[test]
fn what_was_changed_takes_the_place_of_what_was_planned() {
    let series = "BEGIN:VEVENT\nUID:a\nDTSTART;TZID=Australia/Sydney:20261202T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=4\nEND:VEVENT\n";
    let moved = |lines: &str| calendar(&format!("{series}BEGIN:VEVENT\nUID:a\n{lines}\nEND:VEVENT"));
    let (first, second, third, fourth) =
        ("12-01T22:00 12-01T23:00", "12-02T22:00 12-02T23:00", "12-03T22:00 12-03T23:00", "12-04T22:00 12-04T23:00");
    is_busy(
        &moved("RECURRENCE-ID;TZID=Australia/Sydney:20261203T090000\nDTSTART:20261203T050000Z\nDURATION:PT2H"),
        &[first, "12-03T05:00 12-03T07:00", third, fourth],
    );
    // The same occurrence, named in UTC, and called off.
    is_busy(
        &moved("RECURRENCE-ID:20261202T220000Z\nDTSTART:20261202T220000Z\nDURATION:PT1H\nSTATUS:CANCELLED"),
        &[first, third, fourth],
    );
    is_busy(
        &moved("RECURRENCE-ID;VALUE=DATE:20261203\nDTSTART:20261202T220000Z\nDURATION:PT1H\nTRANSP:TRANSPARENT"),
        &[first, third, fourth],
    );
    is_busy(
        &moved(
            "RECURRENCE-ID;RANGE=THISANDFUTURE:20261203T220000Z\nDTSTART;TZID=Australia/Sydney:20261204T110000\nDURATION:PT30M",
        ),
        &[first, second, "12-04T00:00 12-04T00:30", "12-05T00:00 12-05T00:30"],
    );
    is_busy(
        &moved("RECURRENCE-ID;RANGE=THISANDFUTURE:20261203T220000Z\nDTSTART:20261203T220000Z\nSTATUS:CANCELLED"),
        &[first, second],
    );
    // One occurrence alone, as someone sees it who was asked to that one.
    is_busy(
        &calendar(
            "BEGIN:VEVENT\nUID:b\nRECURRENCE-ID:20261203T220000Z\nDTSTART:20261203T230000Z\nDURATION:PT1H\nEND:VEVENT",
        ),
        &["12-03T23:00 12-04T00:00"],
    );
}

#[test]
fn who_is_free_is_not_busy() {
    let times = "DTSTART:20261203T090000Z\nDTEND:20261203T100000Z\n";
    for lines in ["STATUS:CANCELLED", "TRANSP:TRANSPARENT", "status:cancelled", "DURATION:PT0S\nDTEND:20261203T090000Z"]
    {
        let text = if lines.contains("DTEND") {
            format!("DTSTART:20261203T090000Z\n{lines}")
        } else {
            format!("{times}{lines}")
        };
        is_busy(&event(&text), &[]);
    }
    for lines in ["STATUS:TENTATIVE", "STATUS:CONFIRMED", "TRANSP:OPAQUE"] {
        is_busy(&event(&format!("{times}{lines}")), &["12-03T09:00 12-03T10:00"]);
    }
    is_busy(&event("DTSTART:20261203T090000Z"), &[]);
    // An alarm, a task and a journal are no events; the alarm's length is not the event's.
    is_busy(
        &event(&format!("{times}BEGIN:VALARM\nTRIGGER:-PT15M\nDURATION:PT9H\nREPEAT:2\nEND:VALARM")),
        &["12-03T09:00 12-03T10:00"],
    );
    is_busy(&calendar("BEGIN:VTODO\nUID:1\nDTSTART:20261203T090000Z\nDURATION:PT1H\nEND:VTODO"), &[]);
}

#[test]
fn busy_periods_are_busy() {
    let text = calendar(
        "BEGIN:VFREEBUSY\nUID:1\nFREEBUSY:20261203T090000Z/PT1H,20261204T090000Z/20261204T103000Z\n\
         FREEBUSY;FBTYPE=FREE:20261205T090000Z/PT1H\nFREEBUSY;FBTYPE=BUSY-TENTATIVE:20261206T090000Z/PT1H\nEND:VFREEBUSY",
    );
    is_busy(&text, &["12-03T09:00 12-03T10:00", "12-04T09:00 12-04T10:30", "12-06T09:00 12-06T10:00"]);
}

#[test]
fn busy_time_is_merged_cut_into_days_and_kept_within_reach() {
    let three = calendar(
        "BEGIN:VEVENT\nUID:1\nDTSTART:20261203T090000Z\nDURATION:PT1H\nEND:VEVENT\n\
         BEGIN:VEVENT\nUID:2\nDTSTART:20261203T100000Z\nDURATION:PT1H\nEND:VEVENT\n\
         BEGIN:VEVENT\nUID:3\nDTSTART:20261203T093000Z\nDURATION:PT15M\nEND:VEVENT",
    );
    is_busy(&three, &["12-03T09:00 12-03T11:00"]);
    let cruise = busy(&event("DTSTART;VALUE=DATE:20200101\nDTEND;VALUE=DATE:20290101"));
    assert_eq!((cruise.spans.len(), cruise.cut), (402, false));
    assert_eq!(cruise.spans.first().map(|span| span.start), Some(at(NOW) - TimeDelta::days(2)));
    assert_eq!(cruise.spans.last().map(|span| span.end), Some(at(NOW) + TimeDelta::days(400)));
}

#[test]
fn visits_that_come_back_are_left_out() {
    let text = calendar(
        "BEGIN:VEVENT\nUID:ours@visits.knead\nDTSTART:20261203T090000Z\nDURATION:PT1H\nEND:VEVENT\n\
         BEGIN:VEVENT\nUID:another@visits.knead\nDTSTART:20261204T090000Z\nDURATION:PT1H\nEND:VEVENT",
    );
    let own = HashSet::from(["ours@visits.knead".to_owned()]);
    assert_eq!(shown(&expand(read(&text).unwrap(), &own, at(NOW))), ["12-04T09:00 12-04T10:00"]);
}

#[test]
fn what_cannot_be_read_is_counted_and_spoils_nothing_else() {
    let good = "BEGIN:VEVENT\nUID:good\nDTSTART:20261203T090000Z\nDURATION:PT1H\nEND:VEVENT";
    for bad in [
        "DTSTART:yesterday",
        "DURATION:PT1H",
        "DTSTART:20261301T000000Z",
        "DTSTART:+2026-12-03",
        "DTSTART:20261203T090000Z\nRRULE:FREQ=NEVER",
        "DTSTART:20261203T090000Z\nRRULE:FREQ=WEEKLY;BYMONTHDAY=3",
        "DTSTART:20261203T090000Z\nRRULE:FREQ=DAILY;INTERVAL=99999999",
        "DTSTART:20261203T090000Z\nRRULE:FREQ=DAILY;BYHOUR=25",
        "DTSTART:20261203T090000Z\nRRULE:FREQ=DAILY;UNTIL=soon",
        "DTSTART:20261203T090000Z\nRRULE:",
        "DTSTART:20261203T090000Z\nRRULE:FREQ",
    ] {
        let busy = busy(&calendar(
            &format!("BEGIN:VEVENT\nUID:bad\nDTEND;X=\"\n{bad}\nEND:VEVENT\n{good}").replace("DTEND;X=\"\n", ""),
        ));
        assert_eq!((busy.skipped, shown(&busy)), (1, vec!["12-03T09:00 12-03T10:00".to_owned()]), "{bad}");
    }
    // A title that breaks every rule of writing, and a folded line.
    let odd = "BEGIN:VEVENT\nUID:1\nSUM MARY;=;;\"\nnothing\n:\n;\nDESCRIPTION;X=\"a:b\nDTSTART:20261203T0900\n 00Z\nDURATION:PT1H\nEND:VEVENT";
    let text = format!("\u{FEFF}BEGIN:VCALENDAR\r\n{}\r\nEND:VCALENDAR", odd.replace('\n', "\r\n"));
    is_busy(&text, &["12-03T09:00 12-03T10:00"]);
    is_busy(&text.replace("\r\n", "\n"), &["12-03T09:00 12-03T10:00"]);
}

#[test]
fn what_is_no_whole_calendar_is_refused() {
    let whole = event("DTSTART:20261203T090000Z\nDURATION:PT1H");
    for text in [
        "",
        "<!doctype html><title>Sign in</title>",
        "BEGIN:",
        "END:VCALENDAR",
        "BEGIN:VCARD\nEND:VCARD",
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR",
        "BEGIN:VCALENDAR\nEND:VCALENDAR\nEND:VCALENDAR",
        whole.strip_suffix("END:VCALENDAR\r\n").unwrap(),
        &format!("BEGIN:VCALENDAR\n{}", "BEGIN:X\n".repeat(1_000_000)),
    ] {
        assert!(matches!(read(text), Err(Fault::NotACalendar)), "{:.60}", text);
    }
    assert!(read(&whole).is_ok());
    assert!(read("begin:vcalendar\nend:vcalendar\n").is_ok());
}

#[test]
fn rules_without_end_are_cut() {
    for rule in [
        "FREQ=SECONDLY",
        "FREQ=MINUTELY",
        "FREQ=SECONDLY;COUNT=1000000000",
        "FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23;BYMINUTE=0,10,20,30,40,50",
    ] {
        let busy = busy(&event(&format!("DTSTART:20200101T000000Z\nDURATION:PT1S\nRRULE:{rule}")));
        assert!(busy.cut, "{rule}");
        assert!(busy.spans.len() <= 5_000);
    }
    // And those that never come true end by themselves.
    let never = busy(&event("DTSTART:20261203T090000Z\nDURATION:PT1H\nRRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"));
    assert_eq!(shown(&never), ["12-03T09:00 12-03T10:00"]);
}

#[test]
fn a_calendar_that_asks_for_too_much_work_is_cut_in_time() {
    let many = |count: usize, start: &str, rule: &str| -> String {
        let one =
            |number| format!("BEGIN:VEVENT\nUID:{number}\nDTSTART:{start}\nDURATION:PT1S\nRRULE:{rule}\nEND:VEVENT\n");
        (0..count).map(one).collect()
    };
    let all = |from: i32, to: i32| (from..=to).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    let every_second = format!("BYHOUR={};BYMINUTE={};BYSECOND={}", all(0, 23), all(0, 59), all(0, 59));
    let yearly = format!("FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;{every_second}");
    let positions = format!("FREQ=DAILY;{every_second};BYSETPOS={}", all(-366, -1));
    let dates = (0..100_000).map(|second| format!(",20261203T0900{:02}Z", second % 60)).collect::<String>();
    let cases = [
        (many(2_000, "20200101T000000Z", "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30"), false),
        (many(2_000, "20200101T000000Z", "FREQ=SECONDLY;COUNT=1000000000"), true),
        (many(1, "20260101T000000Z", &yearly), true),
        (many(2_000, "19000101T000000Z", &yearly), true),
        (many(500, "20260101T000000Z", &positions), true),
        (many(20_000, "19000101T000000Z", "FREQ=DAILY;COUNT=1000000"), true),
        (many(20_000, "19000101T000000Z", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"), true),
        // Rules without number, of one event, and lists of dates.
        (many(1, "20260101T000000Z", &format!("FREQ=HOURLY{}", "\nRRULE:FREQ=MINUTELY".repeat(100_000))), true),
        (
            many(
                1,
                "20261203T090000Z",
                &format!("FREQ=HOURLY\nRDATE:20261203T090000Z{dates}\nEXDATE:20261203T090000Z{dates}"),
            ),
            true,
        ),
    ];
    for (number, (events, cut)) in cases.into_iter().enumerate() {
        let begun = std::time::Instant::now();
        let busy = busy(&calendar(&events));
        let taken = begun.elapsed();
        println!("case {number}: {taken:?}, {} spans", busy.spans.len());
        assert_eq!(busy.cut, cut, "case {number}");
        // Three seconds for working out, the rest for reading up to 20,000 events in a debug build.
        assert!(taken < std::time::Duration::from_secs(20), "case {number}: {taken:?}");
    }
}

#[test]
fn a_series_that_was_changed_twenty_thousand_times_is_worked_out_at_once() {
    let first = at("2026-11-28T00:00:00Z");
    let part = |hour: i64| {
        let start = (first + TimeDelta::hours(hour / 3)).format("%Y%m%dT%H%M%SZ");
        format!(
            "BEGIN:VEVENT\nUID:1\nRECURRENCE-ID;RANGE=THISANDFUTURE:{start}\nDTSTART:{start}\nDURATION:PT5M\nEND:VEVENT\n"
        )
    };
    // The latest first, as nobody has sorted them.
    let parts: String = (0..19_999).rev().map(part).collect();
    let text = calendar(&format!(
        "BEGIN:VEVENT\nUID:1\nDTSTART:20261101T000000Z\nDURATION:PT30M\nRRULE:FREQ=HOURLY\nEND:VEVENT\n{parts}"
    ));
    let begun = std::time::Instant::now();
    let busy = busy(&text);
    println!("{:?}", begun.elapsed());
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
    // Each hour has what it was changed to, of five minutes; there are more than are kept, and that is told.
    assert_eq!((busy.spans.len(), busy.cut, busy.skipped), (5_000, true, 0));
    assert!(busy.spans.iter().skip(1).all(|span| span.end - span.start == TimeDelta::minutes(5)));
}

#[test]
fn an_id_of_a_megabyte_is_no_zone() {
    let id = "/".repeat(1_000_000);
    let begun = std::time::Instant::now();
    let busy = busy(&event(&format!("DTSTART;TZID={id}:20261203T090000\nDURATION:PT1H")));
    assert_eq!((busy.spans.len(), busy.skipped), (2, 1));
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn only_https_addresses_without_a_user_are_taken() {
    for bad in [
        "",
        "calendar",
        "http://a.example/",
        "ftp://a.example/",
        "file:///etc/passwd",
        "https://me@a.example/",
        "https://me:secret@a.example/",
        "https://",
        "javascript:alert(1)",
        "https://a.example/\u{0}",
        "//a.example/",
    ] {
        assert!(bad.parse::<CalendarUrl>().is_err(), "{bad:?}");
    }
    let url: CalendarUrl = "webcal://A.example/x?y=z#part".parse().expect("a good address");
    assert_eq!((url.as_str(), url.host()), ("https://a.example/x?y=z", "a.example"));
    assert_eq!(format!("{url:?}"), "CalendarUrl(a.example)");
}

#[test]
fn failures_are_tried_less_and_less_often() {
    let minutes: Vec<i64> = (1..=8).map(|failures| back_off(failures).num_minutes()).collect();
    assert_eq!(minutes, [15, 30, 60, 120, 240, 360, 360, 360]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever is read, what comes of it is in order, apart, within reach and in pieces.
    #[test]
    fn busy_time_is_always_in_order(
        events in prop::collection::vec((0_i64..600 * 1440, 0_i64..5_000, 0_usize..7), 0..30),
    ) {
        let rules = ["", "RRULE:FREQ=DAILY;COUNT=5\n", "RRULE:FREQ=WEEKLY;BYDAY=MO,TH\n", "RRULE:FREQ=MONTHLY\n", "RRULE:FREQ=HOURLY;INTERVAL=7\n",
            "RRULE:FREQ=YEARLY\n", "RDATE:20261224T000000Z\n"];
        let texts = events.iter().enumerate().map(|(number, (from, minutes, rule))| {
            let start = at(NOW) - TimeDelta::days(100) + TimeDelta::minutes(*from);
            format!("BEGIN:VEVENT\nUID:{number}\nDTSTART:{}\nDURATION:PT{minutes}M\n{}END:VEVENT\n", start.format("%Y%m%dT%H%M%SZ"), rules[*rule])
        });
        let busy = busy(&calendar(&texts.collect::<String>()));
        for span in &busy.spans {
            prop_assert!(span.start < span.end && span.end - span.start <= PIECE);
            prop_assert!(span.start >= at(NOW) - TimeDelta::days(2) && span.end <= at(NOW) + TimeDelta::days(400));
        }
        for pair in busy.spans.windows(2) {
            prop_assert!(pair[0].end <= pair[1].start);
        }
        // The first occurrence of each is in it, where it is within reach.
        for (from, minutes, _) in &events {
            let start = at(NOW) - TimeDelta::days(100) + TimeDelta::minutes(*from);
            let within = start >= at(NOW) - TimeDelta::days(2) && start < at(NOW) + TimeDelta::days(400) && *minutes > 0;
            prop_assert!(!within || busy.spans.iter().any(|span| span.start <= start && start < span.end));
        }
    }

    /// No text makes the reader panic.
    #[test]
    fn no_text_is_too_odd(lines in prop::collection::vec("(BEGIN|END|DTSTART|DTEND|RRULE|RDATE|EXDATE|DURATION|RECURRENCE-ID|FREEBUSY|TZID|[A-Z;=]{0,9})[:;][ -~]{0,40}", 0..12)) {
        let inner = format!("BEGIN:VEVENT\nDTSTART:20261203T090000Z\n{}\nEND:VEVENT", lines.join("\n"));
        if let Ok(found) = read(&calendar(&inner)) {
            expand(found, &HashSet::new(), at(NOW));
        }
    }

    /// Nor does any rule.
    #[test]
    fn no_rule_is_too_odd(rule in "FREQ=(SECONDLY|MINUTELY|HOURLY|DAILY|WEEKLY|MONTHLY|YEARLY)(;(INTERVAL|COUNT|BYDAY|BYMONTH|BYMONTHDAY|BYHOUR|BYSETPOS|BYWEEKNO|BYYEARDAY|WKST|UNTIL)=[-0-9A-Z,]{0,8}){0,4}") {
        let text = event(&format!("DTSTART:20261203T090000Z\nDURATION:PT1H\nRRULE:{rule}"));
        prop_assert!(busy(&text).spans.len() <= 5_000);
    }
}
