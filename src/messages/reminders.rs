//! Reminders of visits: when they are due.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::plan::Reader;
use crate::ids::{AccountId, BookingId};
use crate::values::wall_clock;

/// How many hours before a visit somebody is reminded: 1 to 168.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
#[schema(value_type = i16, minimum = 1, maximum = 168, example = 24)]
pub struct Hours(i16);

impl Hours {
    /// What everyone is given who has not said otherwise: a day.
    pub const USUAL: Self = Self(24);

    fn before(self) -> TimeDelta {
        TimeDelta::hours(self.0.into())
    }
}

impl std::fmt::Display for Hours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Hours {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match i16::deserialize(deserializer) {
            Ok(hours @ 1..=168) => Ok(Self(hours)),
            _ => Err(serde::de::Error::custom("must be a whole number from 1 to 168")),
        }
    }
}

/// When nobody is reminded, by the clock where the reader lives. It may go over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// When it begins.
    pub from: NaiveTime,
    /// When it ends.
    pub until: NaiveTime,
}

impl Quiet {
    /// Whether it is quiet at that time of the day.
    pub fn holds(self, time: NaiveTime) -> bool {
        if self.from <= self.until {
            self.from <= time && time < self.until
        } else {
            self.from <= time || time < self.until
        }
    }
}

/// A reminder to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reminder {
    /// Of which visit.
    pub booking: BookingId,
    /// Of whom.
    pub account: AccountId,
    /// How many hours before, as its reader wants.
    pub hours: Hours,
    /// When the visit begins. A visit that is moved has other reminders.
    pub start_at: DateTime<Utc>,
    /// When it is due.
    pub due_at: DateTime<Utc>,
}

/// The reminders of a visit that begins at `start_at`. One that would come in quiet hours comes before they begin. One whose time has passed does not
/// come at all: whoever books three hours ahead need not be told of it.
pub fn reminders(
    booking: BookingId,
    account: AccountId,
    start_at: DateTime<Utc>,
    reader: &Reader,
    now: DateTime<Utc>,
) -> Vec<Reminder> {
    let due = |hours: &Hours| {
        let due_at = before_quiet(start_at - hours.before(), reader);
        (due_at > now).then_some(Reminder { booking, account, hours: *hours, start_at, due_at })
    };
    let mut all: Vec<Reminder> = reader.reminder_hours.iter().filter_map(due).collect();
    // Two that quiet hours have brought together are one.
    all.sort_by_key(|reminder| (reminder.due_at, reminder.hours));
    all.dedup_by_key(|reminder| reminder.due_at);
    all
}

/// So long before quiet hours a reminder comes that would fall into them: a relay that is away for a moment must not make it too late.
const AHEAD: TimeDelta = TimeDelta::minutes(10);

/// `due`, or a little before the quiet hours that it lies in.
fn before_quiet(due: DateTime<Utc>, reader: &Reader) -> DateTime<Utc> {
    let Some(quiet) = reader.quiet else { return due };
    let wall = reader.time_zone.wall(due);
    if !quiet.holds(wall.time()) {
        return due;
    }
    let day = if wall.time() < quiet.from { wall.date().pred_opt() } else { Some(wall.date()) };
    day.map_or(due, |day| {
        let begins = wall_clock::first_instant(reader.time_zone, day.and_time(quiet.from));
        let begins = begins.min(due);
        // Between two quiet times may lie less than that.
        let ahead = begins - AHEAD;
        let is_quiet = quiet.holds(reader.time_zone.wall(ahead).time());
        if is_quiet { begins - TimeDelta::minutes(1) } else { ahead }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::values::zones::zone;

    fn reader(quiet: Option<(&str, &str)>, hours: &[i16]) -> Reader {
        let time = |text: &str| NaiveTime::parse_from_str(text, "%H:%M").unwrap();
        Reader {
            time_zone: zone("Australia/Sydney"),
            quiet: quiet.map(|(from, until)| Quiet { from: time(from), until: time(until) }),
            reminder_hours: hours.iter().copied().map(Hours).collect(),
            without: Vec::new(),
        }
    }

    fn due(reader: &Reader, start: &str, now: &str) -> Vec<String> {
        let (start, now) = (start.parse().unwrap(), now.parse().unwrap());
        let of = reminders(BookingId::new(now), AccountId::new(now), start, reader, now);
        of.iter().map(|reminder| reader.time_zone.wall(reminder.due_at).format("%m-%d %H:%M").to_string()).collect()
    }

    #[test]
    fn a_reminder_comes_as_many_hours_before_as_its_reader_wants_and_never_late() {
        // 10 December, 14:00 in Sydney.
        let start = "2026-12-10T03:00:00Z";
        assert_eq!(due(&reader(None, &[24, 2]), start, "2026-12-01T00:00:00Z"), ["12-09 14:00", "12-10 12:00"]);
        assert_eq!(due(&reader(None, &[24]), start, "2026-12-10T00:00:00Z"), [""; 0], "it is booked 3 hours ahead");
        assert_eq!(due(&reader(None, &[]), start, "2026-12-01T00:00:00Z"), [""; 0]);
    }

    #[test]
    fn one_that_would_come_in_quiet_hours_comes_before_they_begin() {
        // 10 December, 07:00 in Sydney.
        let start = "2026-12-09T20:00:00Z";
        let quiet = Some(("21:00", "08:00"));
        assert_eq!(due(&reader(quiet, &[24]), start, "2026-12-01T00:00:00Z"), ["12-08 20:50"]);
        assert_eq!(
            due(&reader(quiet, &[24, 23, 2]), start, "2026-12-01T00:00:00Z"),
            ["12-08 20:50", "12-09 08:00", "12-09 20:50"]
        );
        assert_eq!(due(&reader(Some(("13:00", "15:00")), &[18]), start, "2026-12-01T00:00:00Z"), ["12-09 12:50"]);
        // Its quiet hours have begun when it is booked: nobody is woken.
        assert_eq!(due(&reader(quiet, &[2]), start, "2026-12-09T11:00:00Z"), [""; 0]);
    }

    proptest! {
        #[test]
        fn none_comes_in_quiet_hours_after_the_start_or_in_the_past(
            start in 0_i64..100_000, now in 0_i64..100_000, from in 0_u32..1440, until in 0_u32..1440, hours in proptest::collection::vec(1_i16..=168, 0..4)
        ) {
            let at = |minutes: i64| DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minutes);
            let time = |minutes: u32| NaiveTime::from_num_seconds_from_midnight_opt(minutes * 60, 0).unwrap();
            let quiet = Quiet { from: time(from), until: time(until) };
            let reader = Reader { quiet: Some(quiet), ..reader(None, &hours) };
            for due in reminders(BookingId::new(at(0)), AccountId::new(at(0)), at(start), &reader, at(now)) {
                prop_assert!(due.due_at > at(now) && due.due_at < at(start));
                let wall = reader.time_zone.wall(due.due_at).time();
                // The clock goes back over the beginning of quiet hours twice a year at the most, and then by an hour.
                let shifts = quiet.holds(wall) && !quiet.holds(reader.time_zone.wall(due.due_at + TimeDelta::hours(1)).time());
                prop_assert!(!quiet.holds(wall) || shifts, "{wall} in {quiet:?}");
            }
        }
    }
}
