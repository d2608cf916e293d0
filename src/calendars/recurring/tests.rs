//! Rules against what another library makes of them, and against the clock.

use std::time::{Duration, Instant};

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta};
use proptest::prelude::*;

use super::{Budget, Rule};

fn wall(text: &str) -> NaiveDateTime {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S").unwrap()
}

fn rule(text: &str, start: NaiveDateTime) -> Option<Rule> {
    Rule::parse(text, start, false, &|instant| instant.naive_utc())
}

fn plenty() -> Budget {
    Budget::new(usize::MAX, Duration::from_secs(60))
}

/// The first 300 occurrences within three years, as the other library has them.
fn theirs(text: &str, start: NaiveDateTime, to: NaiveDateTime) -> Option<Vec<NaiveDateTime>> {
    let rule: rrule::RRule<rrule::Unvalidated> = text.parse().ok()?;
    let set = rule.build(start.and_utc().with_timezone(&rrule::Tz::UTC)).ok()?.limit();
    let walls = set.into_iter().map(|at: DateTime<rrule::Tz>| at.naive_utc());
    Some(walls.take_while(|wall| *wall <= to).take(300).collect())
}

fn listed(range: std::ops::RangeInclusive<i32>) -> String {
    range.map(|number| number.to_string()).collect::<Vec<_>>().join(",")
}

prop_compose! {
    /// A part that lists up to three of these numbers, or nothing.
    fn part(name: &'static str, from: i32, to: i32)(
        numbers in prop::collection::vec(from..=to, 1..=3), is_there in prop::bool::weighted(0.4),
    ) -> String {
        let numbers: Vec<String> = numbers.into_iter().map(|number| if number == 0 { 1 } else { number }.to_string()).collect();
        if is_there { format!(";{name}={}", numbers.join(",")) } else { String::new() }
    }
}

prop_compose! {
    fn days(numbered: bool)(
        days in prop::collection::vec((prop::sample::select(vec![-2, -1, 1, 2, 3]), prop::sample::select(vec!["MO", "TU", "WE", "TH", "FR", "SA", "SU"])), 1..=3),
        with_number in any::<bool>(), is_there in any::<bool>(),
    ) -> String {
        let one = |(number, day): (i32, &str)| if numbered && with_number { format!("{number}{day}") } else { day.to_owned() };
        if is_there { format!(";BYDAY={}", days.into_iter().map(one).collect::<Vec<_>>().join(",")) } else { String::new() }
    }
}

fn some_rule() -> impl Strategy<Value = String> {
    let ends = prop::sample::select(vec!["", ";COUNT=1", ";COUNT=40", ";UNTIL=20210301T120000Z"]);
    let head = |unit: &'static str, most: u32| {
        (1..=most, ends.clone(), prop::sample::select(vec!["", ";WKST=SU", ";WKST=WE"]))
            .prop_map(move |(interval, end, week)| format!("FREQ={unit};INTERVAL={interval}{end}{week}"))
    };
    let joined = |(head, parts): (String, Vec<String>)| head + &parts.concat();
    let times = || (part("BYHOUR", 1, 23), part("BYMINUTE", 1, 59), part("BYSECOND", 1, 59));
    let yearly = (
        head("YEARLY", 2),
        part("BYMONTH", 1, 12),
        part("BYMONTHDAY", -31, 31),
        part("BYYEARDAY", -366, 366),
        days(true),
        times(),
        part("BYSETPOS", -9, 9),
    )
        .prop_map(move |(head, a, b, c, d, (e, f, g), h)| joined((head, vec![a, b, c, d, e, f, g, h])));
    // Not far from the end: the days of December that are in the first week of the next year are in week 1 of it, but not in week -52 for the
    // other library. Nor by the numbers 52 and 53, because that library gives the first days of some Januaries the wrong one of the two.
    let weeks = (head("YEARLY", 2), part("BYWEEKNO", -9, 51), days(false), part("BYHOUR", 1, 23))
        .prop_map(move |(head, a, b, c)| joined((head, vec![a, b, c])));
    let monthly = (
        head("MONTHLY", 5),
        part("BYMONTH", 1, 12),
        part("BYMONTHDAY", -31, 31),
        days(true),
        times(),
        part("BYSETPOS", -9, 9),
    )
        .prop_map(move |(head, a, b, c, (d, e, f), g)| joined((head, vec![a, b, c, d, e, f, g])));
    let weekly = (head("WEEKLY", 5), part("BYMONTH", 1, 12), days(false), times())
        .prop_map(move |(head, a, b, (c, d, e))| joined((head, vec![a, b, c, d, e])));
    let daily = (
        head("DAILY", 9),
        part("BYMONTH", 1, 12),
        part("BYMONTHDAY", -31, 31),
        days(false),
        times(),
        part("BYSETPOS", -3, 3),
    )
        .prop_map(move |(head, a, b, c, (d, e, f), g)| joined((head, vec![a, b, c, d, e, f, g])));
    let hourly = (head("HOURLY", 30), part("BYMONTH", 1, 12), part("BYMONTHDAY", -31, 31), days(false), times())
        .prop_map(move |(head, a, b, c, (d, e, f))| joined((head, vec![a, b, c, d, e, f])));
    // Without hours: of those that meet some days alone, the other library gives up (`MINUTELY;BYDAY=MO;BYHOUR=1` from a Tuesday on).
    let minutely = (head("MINUTELY", 500), part("BYMONTHDAY", -31, 31), days(false), part("BYSECOND", 1, 59))
        .prop_map(move |(head, a, b, c)| joined((head, vec![a, b, c])));
    prop_oneof![yearly, weeks, monthly, weekly, daily, hourly, minutely]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn rules_mean_what_another_library_takes_them_for(
        text in some_rule(), day in 0_i64..700, minute in 0_i64..1440,
    ) {
        let start = wall("2019-01-01T00:00:00") + TimeDelta::days(day) + TimeDelta::minutes(minute);
        let to = start + TimeDelta::days(3 * 365);
        // What it refuses may be followed here: an hour that an interval never meets, say.
        if let Some(theirs) = theirs(&text, start, to) {
            let rule = rule(&text, start);
            prop_assert!(rule.is_some(), "{text}");
            let mut ours = rule.unwrap().occurrences(start, to, 300, &mut plenty());
            // A position that is named from both ends occurs once.
            ours.dedup();
            prop_assert_eq!(ours, theirs, "{} from {}", text, start);
        }
    }

    /// Looking from later on shows the same, without what is over.
    #[test]
    fn the_past_is_left_out_and_changes_nothing(text in some_rule(), day in 0_i64..700, later in 0_i64..900) {
        let start = wall("2019-01-01T09:30:00") + TimeDelta::days(day);
        let (from, to) = (start + TimeDelta::days(later), start + TimeDelta::days(1000));
        let rule = rule(&text, start).unwrap();
        let all = rule.occurrences(start, to, usize::MAX, &mut plenty());
        let rest: Vec<_> = all.into_iter().filter(|wall| *wall >= from).collect();
        prop_assert_eq!(rule.occurrences(from, to, usize::MAX, &mut plenty()), rest, "{}", text);
    }
}

/// Weeks as ISO 8601 numbers them, the last of each year and the first days of January among them.
#[test]
fn weeks_that_begin_on_monday_have_the_numbers_of_the_calendar() {
    let (start, to) = (wall("1999-01-01T09:00:00"), wall("2040-01-01T00:00:00"));
    let days = || start.date().iter_days().take_while(|day| *day < to.date());
    for number in 1..=53 {
        let rule = rule(&format!("FREQ=YEARLY;BYWEEKNO={number}"), start).unwrap();
        let ours = rule.occurrences(start, to, usize::MAX, &mut plenty());
        let theirs = days().filter(|day| day.iso_week().week() == number).map(|day| day.and_time(start.time()));
        assert_eq!(ours, theirs.collect::<Vec<_>>(), "week {number}");
    }
}

#[test]
fn positions_within_a_week_are_counted_from_its_first_day() {
    // Tuesday; the other library would take the rest of the first week for the whole of it.
    let start = wall("2026-12-01T09:00:00");
    let rule = rule("FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=1,-1;COUNT=4", start).unwrap();
    let days: Vec<_> = rule.occurrences(start, wall("2027-01-01T00:00:00"), 10, &mut plenty());
    let expected =
        [4, 7, 11, 14].map(|day| NaiveDate::from_ymd_opt(2026, 12, day).unwrap().and_hms_opt(9, 0, 0).unwrap());
    assert_eq!(days, expected);
}

/// Rules that make the other library hold gigabytes, or look for minutes for what never comes.
fn nasty() -> Vec<String> {
    let (hours, minutes) = (listed(0..=23), listed(0..=59));
    let every_second = format!("BYHOUR={hours};BYMINUTE={minutes};BYSECOND={minutes}");
    let never = "BYMONTH=2;BYMONTHDAY=30";
    let mut rules = vec![
        format!("FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;{every_second}"),
        format!("FREQ=YEARLY;BYMONTHDAY={};{every_second}", listed(1..=31)),
        format!("FREQ=YEARLY;BYYEARDAY={};{every_second}", listed(1..=366)),
        format!("FREQ=YEARLY;BYWEEKNO={};{every_second}", listed(1..=53)),
        format!("FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;{every_second};BYSETPOS={}", listed(1..=366)),
        format!("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;{every_second};COUNT=2000000000"),
        format!("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;{every_second}"),
        format!("FREQ=DAILY;{every_second};BYSETPOS={},{}", listed(1..=366), listed(-366..=-1)),
        format!("FREQ=HOURLY;BYMINUTE={minutes};BYSECOND={minutes}"),
        format!("FREQ=MINUTELY;BYSECOND={minutes}"),
        "FREQ=SECONDLY;COUNT=2000000000".to_owned(),
        "FREQ=SECONDLY;INTERVAL=7;BYHOUR=3;BYMINUTE=5;BYSECOND=3;BYMONTH=2;BYMONTHDAY=30".to_owned(),
        "FREQ=SECONDLY;INTERVAL=65521;BYHOUR=3;BYMINUTE=5;BYSECOND=3".to_owned(),
        "FREQ=SECONDLY;INTERVAL=60;BYSECOND=1".to_owned(),
        "FREQ=MINUTELY;INTERVAL=60;BYMINUTE=1;COUNT=5".to_owned(),
        "FREQ=HOURLY;INTERVAL=24;BYHOUR=1;COUNT=5".to_owned(),
        format!("FREQ=YEARLY;BYMONTHDAY=31;BYMONTH=2;{every_second};COUNT=1"),
        "FREQ=YEARLY;INTERVAL=65535".to_owned(),
    ];
    let units = ["YEARLY", "MONTHLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"];
    rules
        .extend(units.iter().flat_map(|unit| [format!("FREQ={unit};{never}"), format!("FREQ={unit};{never};COUNT=3")]));
    rules
}

#[test]
fn no_rule_makes_a_set_before_its_first_occurrence() {
    let (from, to) = (wall("2026-11-29T00:00:00"), wall("2028-01-05T00:00:00"));
    for text in nasty() {
        for start in ["1900-01-01T00:00:00", "2026-12-01T09:30:00"] {
            let (begun, mut budget) = (Instant::now(), Budget::new(1_000_000, Duration::from_secs(60)));
            let found = rule(&text, wall(start)).unwrap().occurrences(from, to, 10_000, &mut budget);
            assert!(found.len() <= 10_000);
            // Nothing is left out without a word.
            assert!(found.len() < 10_000 || budget.exceeded, "{text}");
            let taken = begun.elapsed();
            // A million steps in a debug build.
            assert!(taken < Duration::from_secs(5), "{taken:?} {text}");
        }
    }
}

#[test]
fn what_cannot_be_followed_is_no_rule() {
    let start = wall("2026-12-01T09:30:00");
    for text in [
        "",
        "FREQ",
        "FREQ=NEVER",
        "COUNT=3",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;INTERVAL=65536",
        "FREQ=DAILY;INTERVAL=-1",
        "FREQ=DAILY;COUNT=-1",
        "FREQ=DAILY;COUNT=many",
        "FREQ=DAILY;COUNT=1;COUNT=2",
        "FREQ=DAILY;BYHOUR=24",
        "FREQ=DAILY;BYHOUR=",
        "FREQ=DAILY;BYMONTHDAY=0",
        "FREQ=DAILY;BYYEARDAY=1",
        "FREQ=WEEKLY;BYMONTHDAY=1",
        "FREQ=MONTHLY;BYWEEKNO=1",
        "FREQ=YEARLY;BYWEEKNO=1;BYDAY=1MO",
        "FREQ=YEARLY;BYDAY=54MO",
        "FREQ=YEARLY;BYDAY=M",
        "FREQ=YEARLY;BYDAY=éé",
        "FREQ=YEARLY;RSCALE=CHINESE;SKIP=FORWARD",
        "FREQ=DAILY;UNTIL=soon",
    ] {
        assert!(rule(text, start).is_none(), "{text}");
    }
}
