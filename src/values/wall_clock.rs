//! Wall-clock time and instants, also on the days when clocks change.
//!
//! A wall-clock time that a change skips means the first instant after the gap. One that occurs twice means its
//! first occurrence where a window starts and its second where a window ends; as starts both are offered.

use crate::values::{Span, Zone};
use std::ops::Range;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

use super::zones::Change;

/// Minutes in a day of wall-clock time.
pub const DAY_MINUTES: i32 = 24 * 60;

/// The first occurrence of `wall`.
pub fn first_instant(zone: Zone, wall: NaiveDateTime) -> DateTime<Utc> {
    zone.instants(wall).0
}

/// The last occurrence of `wall`.
pub fn last_instant(zone: Zone, wall: NaiveDateTime) -> DateTime<Utc> {
    let (first, second) = zone.instants(wall);
    second.unwrap_or(first)
}

/// The date that a clock in `zone` shows at `instant`.
pub fn local_date(zone: Zone, instant: DateTime<Utc>) -> NaiveDate {
    zone.wall(instant).date()
}

/// What is true in each zone, beside the zones' names: for statements that compare local dates. PostgreSQL has rules of its own, which may be
/// others, and fails at a name that it does not know.
pub fn in_all_zones<T>(what: impl Fn(Zone) -> T) -> (Vec<String>, Vec<T>) {
    Zone::all().map(|zone| (zone.name().to_owned(), what(zone))).unzip()
}

/// The first and the last date that `visit` touches in `zone`: one that ends at midnight ends with the day before.
pub fn dates_of(zone: Zone, visit: Span) -> (NaiveDate, NaiveDate) {
    (local_date(zone, visit.start), local_date(zone, visit.end - TimeDelta::microseconds(1)))
}

/// The wall-clock time `minutes` after the midnight that begins `date`, counted on the clock's face.
fn wall(date: NaiveDate, minutes: i32) -> NaiveDateTime {
    date.and_time(NaiveTime::MIN) + TimeDelta::minutes(minutes.into())
}

/// The instants from the first moment of `from` until the last of `to`, by a clock in `zone`.
pub fn dates(zone: Zone, from: NaiveDate, to: NaiveDate) -> Span {
    Span { start: first_instant(zone, wall(from, 0)), end: first_instant(zone, wall(to, DAY_MINUTES)) }
}

/// The instants of a window of `date`, in minutes after its midnight; past midnight it runs on.
pub fn window(zone: Zone, date: NaiveDate, opens: i32, closes: i32) -> Span {
    Span { start: first_instant(zone, wall(date, opens)), end: last_instant(zone, wall(date, closes)) }
}

/// Steps of a clock's hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// Minutes from one to the next: a divisor of the day.
    pub every: i32,
    /// The minute of the day from which they are counted.
    pub from: i32,
}

impl Steps {
    /// The seconds from one to the next, and those from which they are counted.
    fn seconds(self) -> (i64, i64) {
        (i64::from(self.every) * 60, i64::from(self.from) * 60)
    }
}

/// What a clock in a zone shows throughout a stretch of time: the few changes within it are looked up once, and not for each start.
#[derive(Clone, Debug)]
pub struct Face {
    zone: Zone,
    /// The seconds since 1970 whose changes these are.
    known: Range<i64>,
    changes: &'static [Change],
}

const DAY_SECONDS: i64 = 24 * 60 * 60;

impl Face {
    /// The clock of `zone` throughout `span`.
    pub fn new(zone: Zone, span: Span) -> Self {
        let known = span.start.timestamp()..span.end.timestamp() + 1;
        let changes = zone.changes(known.clone());
        Self { zone, known, changes }
    }

    fn offset(&self, second: i64) -> i64 {
        if !self.known.contains(&second) {
            return self.zone.offset(second);
        }
        let i = self.changes.partition_point(|(changed, _)| *changed <= second);
        self.changes[i.max(1) - 1].1
    }

    /// What the clock shows, in seconds since the midnight that began 1970 on it.
    fn shows(&self, second: i64) -> i64 {
        second + self.offset(second)
    }

    /// The date that the clock shows, in days since 1970.
    pub fn day(&self, instant: DateTime<Utc>) -> i64 {
        self.shows(instant.timestamp()).div_euclid(DAY_SECONDS)
    }

    /// The whole minutes since midnight that the clock shows.
    pub fn minute(&self, instant: DateTime<Utc>) -> i64 {
        self.shows(instant.timestamp()).rem_euclid(DAY_SECONDS) / 60
    }

    /// Whether a visit may start at `instant`: the clock shows one of the steps, or just jumped over one.
    pub fn on_grid(&self, steps: Steps, instant: DateTime<Utc>) -> bool {
        instant.timestamp_subsec_nanos() == 0 && self.is_step(steps, instant.timestamp())
    }

    fn is_step(&self, steps: Steps, second: i64) -> bool {
        let past = self.past_step(steps, second);
        // The step at or before what is shown must not have been shown before.
        past == 0 || self.shows(second) - past > self.shows(second - 1)
    }

    /// The seconds that the clock shows since the last step.
    fn past_step(&self, steps: Steps, second: i64) -> i64 {
        let (step, from) = steps.seconds();
        (self.shows(second) - from).rem_euclid(step)
    }

    /// The starts on the grid of these steps within `span`, in order.
    pub fn grid(&self, steps: Steps, span: Span) -> Vec<DateTime<Utc>> {
        let (step, _) = steps.seconds();
        let past = if span.start.timestamp_subsec_nanos() > 0 { 1 } else { 0 };
        let until = span.end.timestamp() + if span.end.timestamp_subsec_nanos() > 0 { 1 } else { 0 };
        let mut starts = Vec::new();
        let mut from = span.start.timestamp() + past;
        // From one change of the clock to the next it runs evenly.
        while from < until {
            if self.is_step(steps, from) {
                starts.extend(DateTime::from_timestamp(from, 0));
            }
            let next_change = self.changes.get(self.changes.partition_point(|(changed, _)| *changed <= from));
            let even = next_change.map_or(until, |(changed, _)| until.min(*changed));
            let first = from + step - self.past_step(steps, from);
            let rest = (first..even).step_by(usize::try_from(step).unwrap_or(usize::MAX));
            starts.extend(rest.filter_map(|second| DateTime::from_timestamp(second, 0)));
            from = even;
        }
        starts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::zones::zone;
    use chrono::Days;
    use chrono::Timelike;

    const SYDNEY: &str = "Australia/Sydney";
    const LORD_HOWE: &str = "Australia/Lord_Howe";

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("an instant")
    }

    fn naive(text: &str) -> NaiveDateTime {
        text.parse().expect("a wall-clock time")
    }

    // Sydney jumped from 02:00 to 03:00 on 2026-10-04 (16:00 UTC the day before) and falls back from 03:00 to 02:00
    // on 2027-04-04 (16:00 UTC the day before). Lord Howe shifts by half an hour.

    #[test]
    fn a_skipped_time_is_the_first_instant_after_the_gap() {
        for skipped in ["2026-10-04T02:00:00", "2026-10-04T02:30:00", "2026-10-04T02:59:00"] {
            assert_eq!(zone(SYDNEY).instants(naive(skipped)), (at("2026-10-03T16:00:00Z"), None), "{skipped}");
        }
        assert_eq!(first_instant(zone(LORD_HOWE), naive("2026-10-04T02:15:00")), at("2026-10-03T15:30:00Z"));
    }

    #[test]
    fn a_repeated_time_occurs_twice() {
        let twice = naive("2027-04-04T02:30:00");
        assert_eq!(zone(SYDNEY).instants(twice), (at("2027-04-03T15:30:00Z"), Some(at("2027-04-03T16:30:00Z"))));
        assert_eq!(last_instant(zone(LORD_HOWE), naive("2027-04-04T01:45:00")), at("2027-04-03T15:15:00Z"));
    }

    #[test]
    fn a_night_window_lasts_as_long_as_the_clocks_say() {
        let hours = |span: Span| (span.end - span.start).num_minutes();
        assert_eq!(hours(window(zone(SYDNEY), date("2026-10-03"), 22 * 60, 28 * 60)), 5 * 60);
        assert_eq!(hours(window(zone(SYDNEY), date("2027-04-03"), 22 * 60, 28 * 60)), 7 * 60);
        assert_eq!(hours(window(zone(LORD_HOWE), date("2026-10-03"), 22 * 60, 28 * 60)), 5 * 60 + 30);
        // A window that ends in the repeated hour ends at its second occurrence.
        assert_eq!(hours(window(zone(SYDNEY), date("2027-04-04"), 0, 150)), 210);
    }

    #[test]
    fn the_grid_is_of_the_wall_clock() {
        let date = |text: &str| text.parse::<NaiveDate>().expect("a date");
        let night = dates(zone(LORD_HOWE), date("2026-10-04"), date("2026-10-04"));
        let lord_howe = Face::new(zone(LORD_HOWE), night);
        let hourly = Steps { every: 60, from: 0 };
        let starts = lord_howe.grid(hourly, night);
        // 02:00 is skipped: its start moves to 02:30, the first instant after the gap.
        assert_eq!(starts.len(), 24);
        assert!(starts.contains(&at("2026-10-03T15:30:00Z")));
        assert!(starts.iter().all(|start| lord_howe.on_grid(hourly, *start)));
        assert!(!lord_howe.on_grid(hourly, at("2026-10-03T16:30:00Z")), "03:30 is no full hour");
        let from_the_jump = Span { start: at("2026-10-03T15:30:00Z"), end: at("2026-10-03T17:00:00Z") };
        assert_eq!(lord_howe.grid(hourly, from_the_jump), [at("2026-10-03T15:30:00Z"), at("2026-10-03T16:00:00Z")]);
        let long = dates(zone(SYDNEY), date("2027-04-04"), date("2027-04-04"));
        assert_eq!(Face::new(zone(SYDNEY), long).grid(hourly, long).len(), 25, "both occurrences of 02:00 are starts");
        // Counted from ten past, 02:10 is skipped and moves, and 03:10 is as far from it as the clock shows.
        let past_ten = lord_howe.grid(Steps { every: 60, from: 610 }, from_the_jump);
        assert_eq!(past_ten, [at("2026-10-03T15:30:00Z"), at("2026-10-03T16:10:00Z")]);
    }

    #[test]
    fn a_face_shows_what_the_zone_does_also_beyond_what_it_was_made_for() {
        let date = |text: &str| text.parse::<NaiveDate>().expect("a date");
        let span = dates(zone(SYDNEY), date("2026-10-01"), date("2026-10-08"));
        let face = Face::new(zone(SYDNEY), span);
        for quarter in -200..2000 {
            let instant = span.start + TimeDelta::minutes(15 * quarter);
            let local = zone(SYDNEY).wall(instant);
            assert_eq!(face.shows(instant.timestamp()), local.and_utc().timestamp(), "{instant}");
            assert_eq!(face.minute(instant), i64::from(local.num_seconds_from_midnight() / 60));
        }
    }

    fn date(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    fn span(start: &str, end: &str) -> Span {
        Span { start: at(start), end: at(end) }
    }

    #[test]
    fn clocks_that_jump_at_midnight_move_the_windows_that_begin_there() {
        let (havana, beirut) = (zone("America/Havana"), zone("Asia/Beirut"));
        // Both jump from 00:00 to 01:00: Havana on 2026-03-08 at 05:00 UTC, Beirut on 2026-03-29 at 22:00 UTC the day before.
        for (zone, day, jump) in
            [(havana, "2026-03-08", "2026-03-08T05:00:00Z"), (beirut, "2026-03-29", "2026-03-28T22:00:00Z")]
        {
            let (day, jump) = (date(day), at(jump));
            assert_eq!(dates(zone, day, day), Span { start: jump, end: jump + TimeDelta::hours(23) }, "{zone}");
            // 00:00, 00:30 and 01:00 are all the moment of the jump.
            assert_eq!(window(zone, day, 0, 120), Span { start: jump, end: jump + TimeDelta::hours(1) }, "{zone}");
            assert_eq!(window(zone, day, 30, 120), window(zone, day, 60, 120), "{zone}");
            assert_eq!(window(zone, day, 15, 45).start, window(zone, day, 15, 45).end, "{zone}: nothing is left of it");
            // What ran on from the evening before ends at the jump where it would have ended in the gap.
            let evening = window(zone, day - Days::new(1), 23 * 60, 24 * 60 + 30);
            assert_eq!(evening, Span { start: jump - TimeDelta::hours(1), end: jump }, "{zone}");
        }
        // Havana falls back from 01:00 to 00:00 on 2027-11-07 (05:00 UTC), Beirut from 00:00 to 23:00 on 2026-10-25
        // (21:00 UTC the day before): its last hour of the 24th occurs twice.
        let long = |zone, day: &str, opens, closes| window(zone, date(day), opens, closes);
        assert_eq!(long(havana, "2027-11-07", 0, 60), span("2027-11-07T04:00:00Z", "2027-11-07T06:00:00Z"));
        assert_eq!(long(havana, "2027-11-07", 30, 45), span("2027-11-07T04:30:00Z", "2027-11-07T05:45:00Z"));
        assert_eq!(long(beirut, "2026-10-24", 23 * 60, 24 * 60), span("2026-10-24T20:00:00Z", "2026-10-24T22:00:00Z"));
    }
}
