//! What a therapist says of their time: weekly hours, dates that differ, and time off.

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::hours::Hours;
use super::unbookable::UnbookableWindow;
use crate::error::{Error, FieldError, Result};
use crate::ids::{BookingId, TimeOffId};
use crate::values::wall_clock::DAY_MINUTES;
use crate::values::{Day, TimeOfDay, Weekday, Zone, bounded_text, from_text};

bounded_text! {
    /// A remark on a time off, for the therapist alone.
    TimeOffNote prose 1..=500, example "Family visit";
}

/// Windows as minutes of wall-clock time: since Monday 00:00 for a week, since 00:00 for a date.
pub(super) type Windows = Vec<(i32, i32)>;

/// The windows of single dates.
pub(super) type Dates = Vec<(NaiveDate, Windows)>;

/// The most windows on one day.
const MOST_WINDOWS: usize = 24;

const WEEK_MINUTES: i32 = 7 * DAY_MINUTES;

/// Hours on the table on one day. An `end` at or before `start` is on the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// When it begins.
    pub start: TimeOfDay,
    /// When it ends; at or before `start`, on the next day.
    pub end: TimeOfDay,
}

impl Window {
    fn minutes(self) -> (i32, i32) {
        let runs_on = if self.end <= self.start { DAY_MINUTES } else { 0 };
        (self.start.minutes(), self.end.minutes() + runs_on)
    }

    fn of_minutes((opens, closes): (i32, i32)) -> Self {
        Self { start: TimeOfDay::of_minutes(opens), end: TimeOfDay::of_minutes(closes) }
    }
}

/// Hours on the table on one day of every week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WeeklyWindow {
    /// The day on which it begins.
    pub day: Weekday,
    /// When it begins.
    pub start: TimeOfDay,
    /// When it ends; at or before `start`, on the next day.
    pub end: TimeOfDay,
}

impl WeeklyWindow {
    /// From minutes since Monday 00:00.
    pub(super) fn of_minutes((opens, closes): (i32, i32)) -> Self {
        let day = usize::try_from(opens / DAY_MINUTES).unwrap_or(0);
        let Window { start, end } = Window::of_minutes((opens, closes));
        Self { day: Weekday::ALL[day % 7], start, end }
    }
}

/// What an answer tells beside a resource. It is read over, so that a body can be sent as it was answered.
#[derive(Clone, Copy, Debug, Default)]
struct Told;

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// A week that repeats.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The zone that the hours are meant in.
    pub time_zone: Zone,
    /// The windows of the week; they must not overlap.
    #[schema(max_items = 168)]
    pub weekly: Vec<WeeklyWindow>,
    #[serde(rename = "unbookable", default, skip_serializing)]
    #[schema(ignore)]
    _told: Told,
}

impl Schedule {
    /// From minutes since Monday 00:00.
    pub(super) fn new(time_zone: Zone, windows: &[(i32, i32)]) -> Self {
        let weekly = windows.iter().map(|window| WeeklyWindow::of_minutes(*window)).collect();
        Self { time_zone, weekly, _told: Told }
    }

    /// The windows in minutes since Monday 00:00, in order; they must not overlap, not even across Sunday's midnight.
    pub(super) fn windows(&self) -> Result<Windows> {
        let placed = self.weekly.iter().map(|window| {
            let day = i32::try_from(Weekday::ALL.iter().position(|day| *day == window.day).unwrap_or(0)).unwrap_or(0);
            let (opens, closes) = Window { start: window.start, end: window.end }.minutes();
            (day * DAY_MINUTES + opens, day * DAY_MINUTES + closes)
        });
        apart(placed.collect(), "/weekly", 7 * MOST_WINDOWS, Some(WEEK_MINUTES))
    }
}

/// A week that repeats from a date on, until the next one begins.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DatedSchedule {
    /// The first date on which its windows start, in the therapist's zone.
    pub effective_from: NaiveDate,
    /// The week.
    #[serde(flatten)]
    pub schedule: Schedule,
}

/// Hours as they were saved.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Saved<T> {
    /// As they are now.
    #[serde(flatten)]
    pub saved: T,
    /// Their windows in which no visit can ever be booked: none that is offered fits into them from any start.
    pub unbookable: Vec<UnbookableWindow>,
}

/// A date whose windows replace the weekly ones.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Override {
    /// The date, in the therapist's zone.
    pub date: NaiveDate,
    /// The windows that start on it; none closes it.
    pub windows: Vec<Window>,
}

impl Override {
    /// From minutes since the date's 00:00.
    pub(super) fn new(date: NaiveDate, windows: &[(i32, i32)]) -> Self {
        Self { date, windows: windows.iter().copied().map(Window::of_minutes).collect() }
    }
}

/// The windows of one date.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OverrideBody {
    /// The windows that start on the date; none closes it.
    #[schema(max_items = 24)]
    pub windows: Vec<Window>,
    #[serde(rename = "unbookable", default)]
    #[schema(ignore)]
    _told: Told,
}

impl OverrideBody {
    /// The windows in minutes since the date's 00:00, in order; they must not overlap.
    pub(super) fn windows(&self) -> Result<Windows> {
        apart(self.windows.iter().map(|window| window.minutes()).collect(), "/windows", MOST_WINDOWS, None)
    }
}

/// Sorts windows that must not overlap; where they come round again after `period`, not across its end either.
fn apart(windows: Windows, pointer: &str, most: usize, period: Option<i32>) -> Result<Windows> {
    if windows.len() > most {
        return Err(FieldError::new(pointer, format!("holds at most {most} windows.")).into());
    }
    let mut order: Vec<usize> = (0..windows.len()).collect();
    order.sort_unstable_by_key(|i| windows[*i]);
    let next = order.iter().skip(1).map(|i| (*i, windows[*i].0));
    let again = period.zip(order.first()).map(|(period, first)| (*first, windows[*first].0 + period));
    let overlapping = order.iter().zip(next.chain(again)).filter(|(i, (_, opens))| windows[**i].1 > *opens);
    let errors: Vec<FieldError> = overlapping
        .map(|(_, (i, _))| FieldError {
            code: "overlap".into(),
            ..FieldError::new(format!("{pointer}/{i}"), "overlaps another window.")
        })
        .collect();
    if errors.is_empty() { Ok(order.into_iter().map(|i| windows[i]).collect()) } else { Err(Error::Invalid(errors)) }
}

/// The Monday of a week that ends before the year 2101.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = Date, example = "2026-12-07")]
pub struct Monday(NaiveDate);

impl std::str::FromStr for Monday {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Day(date) = text.parse()?;
        if date.weekday() != chrono::Weekday::Mon {
            return Err("is not a Monday".to_owned());
        }
        if (date + Days::new(6)).year() > 2100 {
            Err("must end before the year 2101".to_owned())
        } else {
            Ok(Self(date))
        }
    }
}

from_text!(Monday);

/// The most weeks that are written in one go.
const MOST_WEEKS: usize = 12;

/// How far ahead a week is copied, in weeks.
const FURTHEST_WEEK: i64 = 53;

/// A week to be copied, and where to.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WeekCopy {
    /// The Monday of the week to copy.
    from_week: Monday,
    /// The Mondays of later weeks, within 53 weeks, none of which is over.
    #[schema(min_items = 1, max_items = 12, example = json!(["2026-12-14", "2026-12-21"]))]
    to_weeks: Vec<Monday>,
    /// Whether dates that differ from the week already are overwritten; else they stay as they are.
    #[serde(default)]
    replace: bool,
}

impl WeekCopy {
    /// The first and the last date that it is about. What it is to be copied to must come later, and be named once.
    pub(super) fn dates(&self) -> Result<(NaiveDate, NaiveDate)> {
        let Monday(from) = self.from_week;
        if self.to_weeks.is_empty() || self.to_weeks.len() > MOST_WEEKS {
            return Err(FieldError::new("/to_weeks", format!("must hold 1 to {MOST_WEEKS} weeks.")).into());
        }
        let wrong = self.to_weeks.iter().enumerate().filter_map(|(i, week)| {
            let ahead = (week.0 - from).num_weeks();
            let detail = match ahead {
                ..=0 => "does not come after `from_week`.",
                1..=FURTHEST_WEEK if self.to_weeks[..i].contains(week) => "is listed twice.",
                1..=FURTHEST_WEEK => return None,
                _ => "lies more than 53 weeks after `from_week`.",
            };
            Some(FieldError::new(format!("/to_weeks/{i}"), detail))
        });
        let errors: Vec<FieldError> = wrong.collect();
        let last = self.to_weeks.iter().map(|week| week.0).max().unwrap_or(from) + Days::new(6);
        if errors.is_empty() { Ok((from, last)) } else { Err(Error::Invalid(errors)) }
    }

    /// The windows that it writes, by date, and the dates that stay as they are; `today` is the therapist's own. A week that is
    /// over cannot be written to.
    pub(super) fn of(&self, hours: &Hours, today: NaiveDate) -> Result<(Dates, Vec<NaiveDate>)> {
        let over = self.to_weeks.iter().enumerate().filter(|(_, week)| week.0 + Days::new(6) < today);
        let errors: Vec<FieldError> =
            over.map(|(i, _)| FieldError::new(format!("/to_weeks/{i}"), "lies in the past.")).collect();
        if !errors.is_empty() {
            return Err(Error::Invalid(errors));
        }
        let week: Vec<Windows> = self.from_week.0.iter_days().take(7).map(|date| hours.on(date)).collect();
        if week.iter().any(|windows| windows.len() > MOST_WINDOWS) {
            let detail = format!("has a day with more than {MOST_WINDOWS} windows.");
            return Err(FieldError::new("/from_week", detail).into());
        }
        let (mut written, mut kept) = (Vec::new(), Vec::new());
        for Monday(monday) in &self.to_weeks {
            for (date, windows) in monday.iter_days().zip(&week) {
                let differs = hours.overrides.iter().any(|(other, _)| *other == date);
                let stays = date < today || (differs && !self.replace);
                if stays { kept.push(date) } else { written.push((date, windows.clone())) }
            }
        }
        Ok((written, kept))
    }
}

/// What became of the dates of a copied week.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WeekCopied {
    /// The dates that were written.
    pub written: Vec<Override>,
    /// Dates that stay as they are: they differed already, or are past.
    pub kept: Vec<NaiveDate>,
}

/// A stretch of time in which nothing can be booked.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TimeOff {
    /// Its id.
    pub id: TimeOffId,
    /// When it begins.
    pub start_at: DateTime<Utc>,
    /// When it ends.
    pub end_at: DateTime<Utc>,
    /// For the therapist alone.
    pub note: Option<String>,
}

/// A booked visit that could not be booked now. It stays booked: cancelling is the therapist's own step.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Hit {
    /// The booking.
    pub id: BookingId,
    /// When the time on the table begins.
    pub start_at: DateTime<Utc>,
}

/// A time off, and the bookings that it hits.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TimeOffView {
    /// The time off.
    #[serde(flatten)]
    pub time_off: TimeOff,
    /// Live visits within it, as of now.
    pub bookings: Vec<Hit>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(windows: &[(Weekday, &str, &str)]) -> Schedule {
        let time = |text: &str| text.parse().expect("a time");
        let weekly =
            windows.iter().map(|(day, start, end)| WeeklyWindow { day: *day, start: time(start), end: time(end) });
        Schedule { time_zone: Zone::UTC, weekly: weekly.collect(), _told: Told }
    }

    fn overlaps(windows: &[(Weekday, &str, &str)]) -> Vec<String> {
        match schedule(windows).windows() {
            Err(Error::Invalid(errors)) => errors.into_iter().map(|error| error.pointer).collect(),
            Ok(_) => Vec::new(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_schedule_survives_its_storage() {
        let week = schedule(&[
            (Weekday::Monday, "09:00", "17:00"),
            (Weekday::Sunday, "22:00", "02:00"),
            (Weekday::Tuesday, "00:00", "00:00"),
        ]);
        let windows = week.windows().expect("no overlap");
        assert_eq!(windows, [(540, 1020), (1440, 2880), (9960, 10200)]);
        assert_eq!(Schedule::new(week.time_zone, &windows).windows().expect("no overlap"), windows);
    }

    #[test]
    fn overlapping_windows_are_pointed_to() {
        use Weekday::{Monday, Sunday, Tuesday};
        assert_eq!(overlaps(&[(Monday, "12:00", "18:00"), (Monday, "09:00", "13:00")]), ["/weekly/0"]);
        assert_eq!(overlaps(&[(Monday, "20:00", "02:00"), (Tuesday, "01:00", "03:00")]), ["/weekly/1"]);
        assert_eq!(overlaps(&[(Monday, "01:00", "03:00"), (Sunday, "20:00", "02:00")]), ["/weekly/0"]);
        assert!(overlaps(&[(Monday, "09:00", "12:00"), (Monday, "12:00", "18:00")]).is_empty(), "they may touch");
    }
}
