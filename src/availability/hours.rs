//! Working hours: weeks that repeat, and dates that differ from them.

use crate::values::{Span, Zone, merged};
use chrono::{Datelike, Days, NaiveDate};

use crate::values::wall_clock::{DAY_MINUTES, local_date, window};

/// A week that repeats from a date on, until the next one begins.
#[derive(Clone, Debug)]
pub struct Timetable {
    /// The first date that it holds for.
    pub effective_from: NaiveDate,
    /// Its windows in minutes since Monday 00:00, in order.
    pub weekly: Vec<(i32, i32)>,
}

/// Hours on the table: weeks that repeat, and dates that differ from them.
#[derive(Clone, Debug, Default)]
pub struct Hours {
    /// By the date from which they hold, in order; before the first there are no hours.
    pub timetables: Vec<Timetable>,
    /// Windows of single dates in minutes since their 00:00, by date in order; an empty list closes the date.
    pub overrides: Vec<(NaiveDate, Vec<(i32, i32)>)>,
}

impl Hours {
    /// The same week for ever: windows in minutes since Monday 00:00.
    pub fn weekly(windows: Vec<(i32, i32)>) -> Self {
        Self { timetables: vec![Timetable { effective_from: NaiveDate::MIN, weekly: windows }], overrides: Vec::new() }
    }

    /// The timetable that holds for `date`.
    pub fn in_force(&self, date: NaiveDate) -> Option<&Timetable> {
        let begun = self.timetables.partition_point(|timetable| timetable.effective_from <= date);
        self.timetables[..begun].last()
    }

    /// The windows that start on `date`, in minutes since its 00:00. A window belongs to the date on which it
    /// starts: neither an override nor a new timetable cuts what ran on from the evening before.
    pub fn on(&self, date: NaiveDate) -> Vec<(i32, i32)> {
        if let Ok(i) = self.overrides.binary_search_by_key(&date, |(date, _)| *date) {
            return self.overrides[i].1.clone();
        }
        let monday_to_date = i32::try_from(date.weekday().num_days_from_monday()).unwrap_or(0) * DAY_MINUTES;
        let today = monday_to_date..monday_to_date + DAY_MINUTES;
        let weekly = self.in_force(date).map(|timetable| &timetable.weekly).into_iter().flatten();
        let windows = weekly.filter(|(opens, _)| today.contains(opens));
        windows.map(|(opens, closes)| (opens - monday_to_date, closes - monday_to_date)).collect()
    }

    /// The windows about `span` by a clock in `zone`, each with the minute of its date at which it opens, by their beginning.
    pub(super) fn openings(&self, zone: Zone, span: Span) -> Vec<(Span, i32)> {
        // A window of the day before may run past midnight, and one touched at its end joins the next.
        let from = local_date(zone, span.start) - Days::new(2);
        let to = local_date(zone, span.end) + Days::new(2);
        let dates = from.iter_days().take_while(|date| *date <= to);
        let placed = |date, (opens, closes)| (window(zone, date, opens, closes), opens);
        let windows = dates.flat_map(|date| self.on(date).into_iter().map(move |times| placed(date, times)));
        let mut windows: Vec<_> = windows.filter(|(window, _)| window.start < window.end).collect();
        // Of two that the clocks make begin at one instant, the later date's comes last.
        windows.sort_by_key(|(window, _)| window.start);
        windows
    }

    /// The working windows that touch `span`, by a clock in `zone`, merged and in order.
    pub fn windows(&self, zone: Zone, span: Span) -> Vec<Span> {
        let mut merged = merged(self.openings(zone, span).into_iter().map(|(window, _)| window).collect());
        merged.retain(|window| window.overlaps(span));
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::wall_clock::dates;

    fn date(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    fn span(start: &str, end: &str) -> Span {
        let at = |text: &str| text.parse().expect("an instant");
        Span { start: at(start), end: at(end) }
    }

    #[test]
    fn an_override_replaces_its_date_and_leaves_the_evening_before() {
        let monday = date("2026-11-30");
        let hours = Hours {
            overrides: vec![(monday + Days::new(1), vec![])],
            ..Hours::weekly(vec![(20 * 60, 26 * 60), (24 * 60 + 540, 24 * 60 + 1020)])
        };
        let windows = hours.windows(Zone::UTC, dates(Zone::UTC, monday, monday + Days::new(1)));
        assert_eq!(windows, [span("2026-11-30T20:00:00Z", "2026-12-01T02:00:00Z")]);
    }

    #[test]
    fn a_new_timetable_leaves_the_evening_before_and_joins_it() {
        let every_day = |opens: i32, closes: i32| {
            (0..7).map(|day| (day * DAY_MINUTES + opens, day * DAY_MINUTES + closes)).collect::<Vec<_>>()
        };
        let table = |text: &str, windows: Vec<(i32, i32)>| Timetable { effective_from: date(text), weekly: windows };
        let hours = Hours {
            timetables: vec![
                table("2026-11-01", every_day(22 * 60, 26 * 60)),
                table("2026-12-01", every_day(120, 180)),
                table("2026-12-02", vec![]),
            ],
            overrides: vec![],
        };
        let windows = hours.windows(Zone::UTC, dates(Zone::UTC, date("2026-11-30"), date("2026-12-09")));
        // Sunday's and Monday's evenings run on, and Tuesday's new window begins where Monday's ends.
        assert_eq!(
            windows,
            [
                span("2026-11-29T22:00:00Z", "2026-11-30T02:00:00Z"),
                span("2026-11-30T22:00:00Z", "2026-12-01T03:00:00Z"),
            ]
        );
        assert!(hours.on(date("2026-10-31")).is_empty(), "there are no hours before the first timetable");
    }
}
