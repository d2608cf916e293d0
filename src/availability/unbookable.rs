//! Hours that can never be booked: windows into which not even the shortest visit that is offered fits, from any start on the grid.
//!
//! Windows that touch are one. What is taken or off does not count, nor do set-up and pack-up, which may fall outside of the hours.
//! Where nothing is offered, nothing is said, because no window is at fault then.

use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::grid::Grid;
use super::hours::Hours;
use super::schedule::WeeklyWindow;
use crate::values::wall_clock::{DAY_MINUTES, dates, window};
use crate::values::{SlotAnchor, Span, Zone};

/// Why nothing can be booked in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnbookableReason {
    /// It is shorter than the shortest visit that is offered.
    TooShort,
    /// It is long enough, but no start on the grid leaves so much time in it.
    OffGrid,
}

/// A window in which no visit can ever be booked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnbookableWindow {
    /// The window.
    #[serde(flatten)]
    window: WeeklyWindow,
    /// Why.
    reason: UnbookableReason,
    /// Why, in a sentence.
    #[schema(example = "It is shorter than your shortest visit, which takes 60 minutes.")]
    detail: String,
}

/// A window, with those that touch it made one, in which no visit can ever be booked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnbookableStretch {
    /// When it begins.
    start_at: DateTime<Utc>,
    /// When it ends.
    end_at: DateTime<Utc>,
    /// Why.
    reason: UnbookableReason,
    /// Why, in a sentence.
    #[schema(example = "It is shorter than your shortest visit, which takes 60 minutes.")]
    detail: String,
}

/// What has to fit into a therapist's hours, and from when on.
#[derive(Clone, Copy, Debug)]
pub struct Fit {
    /// From where starts are counted.
    pub slot_anchor: SlotAnchor,
    /// The minutes from one start to the next.
    pub slot_interval_minutes: i32,
    /// Minutes of the shortest visit that is offered.
    pub shortest: Option<i16>,
}

impl Fit {
    /// What can never be booked of the hours that touch `span`, by a clock in `zone`.
    pub fn unbookable(self, hours: &Hours, zone: Zone, span: Span) -> Vec<UnbookableStretch> {
        let windows = hours.windows(zone, span);
        let (Some(shortest), Some(first), Some(last)) = (self.shortest, windows.first(), windows.last()) else {
            return Vec::new();
        };
        let all = Span { start: first.start, end: last.end };
        let grid = Grid::new(hours, zone, (self.slot_anchor, self.slot_interval_minutes), all);
        let found = windows.into_iter().filter_map(|window| {
            let takes = TimeDelta::minutes(shortest.into());
            let reason = if window.end - window.start < takes {
                UnbookableReason::TooShort
            } else if grid.first(window).is_none_or(|first| first + takes > window.end) {
                UnbookableReason::OffGrid
            } else {
                return None;
            };
            let detail = self.detail(reason, shortest);
            Some(UnbookableStretch { start_at: window.start, end_at: window.end, reason, detail })
        });
        found.collect()
    }

    /// The windows of a week that can never be booked, changes of the clocks aside; in minutes since Monday 00:00.
    pub(super) fn of_week(self, windows: &[(i32, i32)]) -> Vec<UnbookableWindow> {
        // Any week will do on a clock that never changes: 1970 began with a Thursday.
        let monday = NaiveDate::default() + Days::new(4);
        let hours = Hours::weekly(windows.to_vec());
        self.named(&hours, Zone::UTC, (monday, monday + Days::new(6)), windows)
    }

    /// The windows of a date that can never be booked, in minutes since its 00:00; `hours` are those about it.
    pub(super) fn of_date(
        self,
        hours: &Hours,
        zone: Zone,
        date: NaiveDate,
        windows: &[(i32, i32)],
    ) -> Vec<UnbookableWindow> {
        self.named(hours, zone, (date, date), windows)
    }

    /// Those of `windows`, in minutes since the first date's 00:00, that can never be booked.
    fn named(
        self,
        hours: &Hours,
        zone: Zone,
        (from, to): (NaiveDate, NaiveDate),
        windows: &[(i32, i32)],
    ) -> Vec<UnbookableWindow> {
        let stretches = self.unbookable(hours, zone, dates(zone, from, to));
        let monday_to_first = i32::try_from(from.weekday().num_days_from_monday()).unwrap_or(0) * DAY_MINUTES;
        let named = windows.iter().filter_map(|(opens, closes)| {
            let Span { start, end } = window(zone, from, *opens, *closes);
            let whole = stretches.iter().find(|stretch| stretch.start_at <= start && end <= stretch.end_at)?;
            let window = WeeklyWindow::of_minutes((monday_to_first + opens, monday_to_first + closes));
            Some(UnbookableWindow { window, reason: whole.reason, detail: whole.detail.clone() })
        });
        named.collect()
    }

    fn detail(self, reason: UnbookableReason, shortest: i16) -> String {
        match reason {
            UnbookableReason::TooShort => {
                format!("It is shorter than your shortest visit, which takes {shortest} minutes.")
            }
            UnbookableReason::OffGrid => format!(
                "None of your starts, every {} minutes from midnight, leaves the {shortest} minutes of your shortest visit. With \
                 `slot_anchor` at `window`, they are counted from its beginning.",
                self.slot_interval_minutes
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(slot_anchor: SlotAnchor, slot_interval_minutes: i32, shortest: i16) -> Fit {
        Fit { slot_anchor, slot_interval_minutes, shortest: Some(shortest) }
    }

    /// Which of the windows are told of, and why.
    fn told(fit: Fit, windows: &[(i32, i32)]) -> Vec<(&'static str, String, UnbookableReason)> {
        const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        let told = fit.of_week(windows).into_iter().map(|found| {
            let window = serde_json::to_value(found.window).expect("a window");
            let day = crate::values::Weekday::ALL.iter().position(|day| *day == found.window.day).expect("a day");
            (DAYS[day], format!("{}-{}", window["start"], window["end"]).replace('"', ""), found.reason)
        });
        told.collect()
    }

    #[test]
    fn a_window_that_no_start_on_the_grid_fits_into_is_told_of() {
        use SlotAnchor::{Midnight, Window};
        use UnbookableReason::{OffGrid, TooShort};
        // Ten past nine until ten past ten.
        let odd = [(550, 610)];
        assert_eq!(told(fit(Midnight, 15, 60), &odd), [("Mon", "09:10-10:10".to_owned(), OffGrid)]);
        assert_eq!(told(fit(Midnight, 60, 30), &odd), [("Mon", "09:10-10:10".to_owned(), OffGrid)]);
        assert_eq!(told(fit(Midnight, 60, 10), &odd), []);
        assert_eq!(told(fit(Midnight, 15, 45), &odd), []);
        assert_eq!(told(fit(Midnight, 10, 60), &odd), []);
        assert_eq!(told(fit(Window, 15, 60), &odd), []);
        for anchor in [Midnight, Window] {
            assert_eq!(told(fit(anchor, 5, 90), &odd), [("Mon", "09:10-10:10".to_owned(), TooShort)]);
            assert_eq!(Fit { shortest: None, ..fit(anchor, 60, 60) }.of_week(&odd), [], "nothing is offered yet");
        }
    }

    #[test]
    fn windows_that_touch_are_one_also_across_the_end_of_the_week() {
        let fit = fit(SlotAnchor::Midnight, 60, 60);
        // Half an hour each: together they hold an hour, from nine or from midnight.
        assert_eq!(told(fit, &[(540, 570), (570, 600)]), []);
        assert_eq!(
            told(fit, &[(0, 30), (7 * 1440 - 30, 7 * 1440)]).len(),
            2,
            "half past to half past holds no full hour"
        );
        assert_eq!(told(fit, &[(0, 60), (7 * 1440 - 30, 7 * 1440)]), []);
        // Over midnight, in the middle of the week and at its end.
        assert_eq!(told(fit, &[(1440 - 30, 1440 + 30)]).len(), 1);
        let sunday = told(fit, &[(7 * 1440 - 30, 7 * 1440 + 30)]);
        assert_eq!(sunday, [("Sun", "23:30-00:30".to_owned(), UnbookableReason::OffGrid)]);
        assert_eq!(told(fit, &[(7 * 1440 - 30, 7 * 1440 + 60)]), []);
    }

    #[test]
    fn a_date_is_told_of_with_what_touches_it_and_with_its_clock() {
        let sydney = Zone::named("Australia/Sydney").expect("a zone");
        let date = |text: &str| text.parse::<NaiveDate>().expect("a date");
        let fit = fit(SlotAnchor::Midnight, 60, 60);
        let of = |day: &str, windows: Vec<(i32, i32)>, evening: Vec<(i32, i32)>| {
            let day = date(day);
            let before = day.pred_opt().expect("a date");
            let overrides = vec![(before, evening), (day, windows.clone())];
            fit.of_date(&Hours { overrides, ..Hours::default() }, sydney, day, &windows).len()
        };
        assert_eq!(of("2026-12-01", vec![(0, 45)], vec![]), 1);
        assert_eq!(of("2026-12-01", vec![(0, 45)], vec![(1380, 1440)]), 0, "the evening before runs on into it");
        // From two until half past three, of which the clocks skip an hour.
        assert_eq!(of("2026-10-04", vec![(120, 210)], vec![]), 1);
        assert_eq!(of("2026-10-05", vec![(120, 210)], vec![]), 0);
    }
}
