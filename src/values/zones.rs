//! Time zones: what clocks show, and when. Every local date and time of the service comes from here, by one set of rules for the whole
//! process ([`rules`]).

pub mod rules;

use std::borrow::Cow;
use std::fmt::{self, Debug, Display, Formatter};
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::str::FromStr;
use std::sync::OnceLock;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::{from_text, stored_as_text};

/// From when on a clock is ahead of UTC by so many seconds: seconds since 1970, and the offset.
pub type Change = (i64, i64);

/// A time zone of the IANA database, by the rules that the process works with.
#[derive(Clone, Copy, ToSchema)]
#[schema(value_type = String, example = "Australia/Sydney")]
pub struct Zone(&'static Clock);

/// One zone's clock.
struct Clock {
    name: Cow<'static, str>,
    source: Source,
    /// All changes of the clock in order. The first entry is the beginning of time.
    changes: OnceLock<Vec<Change>>,
}

/// Where a clock's changes come from.
enum Source {
    /// It never changes, and is ahead of UTC by so many seconds.
    Fixed(i64),
    /// What was bundled, in TZif (RFC 9636). It is read when it is first asked for, because a process asks for few zones.
    Bundled(&'static [u8]),
    /// What was read from a folder.
    Read(TimeZone),
}

static UTC: Clock = Clock::fixed("UTC", 0);
static ENDS_LAST: Clock = Clock::fixed("Etc/GMT+12", -12 * 60 * 60);

/// Changes are listed until here, in seconds since 1970: the year 2110. No date that comes in is later than 2100.
const HORIZON: i64 = 4_417_977_600;

/// No clock differs further from UTC, in seconds.
const FURTHEST: i64 = 26 * 60 * 60;

impl Clock {
    const fn fixed(name: &'static str, offset: i64) -> Self {
        Self { name: Cow::Borrowed(name), source: Source::Fixed(offset), changes: OnceLock::new() }
    }

    fn changes(&self) -> &[Change] {
        self.changes.get_or_init(|| match &self.source {
            Source::Fixed(offset) => vec![(i64::MIN, *offset)],
            // What is bundled is sound: a test reads all of it.
            Source::Bundled(tzif) => changes_of(&TimeZone::tzif(&self.name, tzif).unwrap_or(TimeZone::UTC)),
            Source::Read(zone) => changes_of(zone),
        })
    }
}

/// All changes of a clock until the horizon. What changes the name of the time alone is left out.
fn changes_of(zone: &TimeZone) -> Vec<Change> {
    let mut changes = vec![(i64::MIN, i64::from(zone.to_offset(Timestamp::MIN).seconds()))];
    for change in zone.following(Timestamp::MIN) {
        let (at, offset) = (change.timestamp().as_second(), i64::from(change.offset().seconds()));
        if at >= HORIZON {
            break;
        }
        if changes.last().is_none_or(|(_, before)| *before != offset) {
            changes.push((at, offset));
        }
    }
    changes
}

impl Zone {
    /// Universal time.
    pub const UTC: Self = Self(&UTC);

    /// The zone in which a day ends last.
    pub const ENDS_LAST: Self = Self(&ENDS_LAST);

    /// The zone of this name, as the IANA database spells it.
    pub fn named(name: &str) -> Option<Self> {
        let fixed = [Self::UTC, Self::ENDS_LAST].into_iter().find(|zone| zone.name() == name);
        fixed.or_else(|| {
            let clocks = rules::current().clocks();
            clocks.binary_search_by(|clock| clock.name.as_ref().cmp(name)).ok().map(|found| Self(&clocks[found]))
        })
    }

    /// Every zone.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::UTC, Self::ENDS_LAST].into_iter().chain(rules::current().clocks().iter().map(Self))
    }

    /// Its name in the IANA database.
    pub fn name(self) -> &'static str {
        &self.0.name
    }

    /// How the clock changes within so many seconds since 1970. The first entry holds when they begin.
    pub fn changes(self, within: Range<i64>) -> &'static [Change] {
        let all = self.0.changes();
        let first = all.partition_point(|(at, _)| *at <= within.start).max(1) - 1;
        let end = all.partition_point(|(at, _)| *at < within.end).max(first + 1);
        &all[first..end]
    }

    /// The seconds by which the clock is ahead of UTC, so many seconds after 1970 began.
    pub fn offset(self, second: i64) -> i64 {
        let changes = self.0.changes();
        changes[changes.partition_point(|(at, _)| *at <= second).max(1) - 1].1
    }

    /// What the clock shows at `instant`.
    pub fn wall(self, instant: DateTime<Utc>) -> NaiveDateTime {
        let shown = instant.naive_utc().checked_add_signed(TimeDelta::seconds(self.offset(instant.timestamp())));
        shown.unwrap_or(instant.naive_utc())
    }

    /// The instants at which the clock shows `wall`: one, or the first and the last of several. Of a time that the clock jumps over, the
    /// moment of the jump.
    pub fn instants(self, wall: NaiveDateTime) -> (DateTime<Utc>, Option<DateTime<Utc>>) {
        let shown = wall.and_utc();
        let second = shown.timestamp();
        let changes = self.changes(second.saturating_sub(FURTHEST)..second.saturating_add(FURTHEST));
        let ends = changes[1..].iter().map(|(at, _)| *at).chain([i64::MAX]);
        let mut shows = changes.iter().zip(ends).filter_map(|((begins, offset), ends)| {
            let is_shown = (*begins..ends).contains(&(second - offset));
            is_shown.then(|| shown.checked_sub_signed(TimeDelta::seconds(*offset)).unwrap_or(shown))
        });
        if let Some(first) = shows.next() {
            return (first, shows.last());
        }
        // The first change after which the clock shows something later.
        let jump = changes.iter().find(|(at, offset)| at.saturating_add(*offset) > second);
        (jump.and_then(|(at, _)| DateTime::from_timestamp(*at, 0)).unwrap_or(shown), None)
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Zone {}

impl Hash for Zone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl Debug for Zone {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Display for Zone {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::named(text).ok_or_else(|| "is not a time zone of the IANA database".to_owned())
    }
}

from_text!(Zone);
stored_as_text!(Zone);

/// A zone that a test names.
#[cfg(test)]
pub(crate) fn zone(name: &str) -> Zone {
    name.parse().expect("a zone")
}

#[cfg(test)]
mod tests;
