//! The clock that a calendar declares (VTIMEZONE, RFC 5545, section 3.6.5): when its offset changes, by its own rules.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::names::{known, tidy};
use super::property::Property;
use super::recurring::{Budget, Rule};
use super::times::{pieces, wall};
use crate::values::{Span, Zone};

/// More changes of one observance within reach are not read.
const MOST_CHANGES: usize = 1_000;
/// So far back rules are followed: nothing that starts sooner bears on today by its time of day.
const BACK: TimeDelta = TimeDelta::days(3_660);
/// Clocks differ by no more from UTC.
const FURTHEST: i32 = 26 * 3_600;

/// What a calendar says of a zone, in whatever order.
#[derive(Debug, Default)]
pub struct Declared {
    /// The id that its events use.
    pub id: String,
    /// The place that it stands for, where that is said.
    pub place: Option<Zone>,
    /// No change is known after it (TZUNTIL, RFC 7808).
    until: Option<NaiveDateTime>,
    /// The times of year at which its clock is put.
    pub observances: Vec<Observance>,
}

/// A time of year with an offset of its own (STANDARD, DAYLIGHT).
#[derive(Debug, Default)]
pub struct Observance {
    start: Option<NaiveDateTime>,
    from: Option<i32>,
    to: Option<i32>,
    rules: Vec<String>,
    dates: Vec<NaiveDateTime>,
}

impl Declared {
    /// Takes a line of the zone itself.
    pub fn take(&mut self, property: &Property) {
        match property.name.as_str() {
            "TZID" if self.id.is_empty() => self.id = tidy(&property.value),
            "X-LIC-LOCATION" | "TZID-ALIAS-OF" => self.place = self.place.or_else(|| known(&property.value)),
            "TZUNTIL" => self.until = wall(property.value.trim()).map(|(wall, _)| wall),
            _ => {}
        }
    }
}

impl Observance {
    /// Takes a line of it.
    pub fn take(&mut self, property: &Property) {
        let value = property.value.trim();
        match property.name.as_str() {
            "DTSTART" => self.start = self.start.or_else(|| wall(value).map(|(wall, _)| wall)),
            "TZOFFSETFROM" => self.from = self.from.or_else(|| offset(value)),
            "TZOFFSETTO" => self.to = self.to.or_else(|| offset(value)),
            "RRULE" => self.rules.push(value.to_owned()),
            "RDATE" => {
                let dates = pieces(value).filter_map(|date| wall(date.split('/').next()?)).map(|(wall, _)| wall);
                self.dates.extend(dates.take(MOST_CHANGES));
            }
            _ => {}
        }
    }

    /// When it begins, by the clock before; nothing where the budget is used up.
    fn begins(&self, window: Span, budget: &mut Budget) -> Option<Vec<NaiveDateTime>> {
        let (start, from) = (self.start?, self.from?);
        let local = |instant: DateTime<Utc>| instant.naive_utc() + TimeDelta::seconds(from.into());
        let mut begins = vec![start];
        begins.extend(&self.dates);
        for text in &self.rules {
            let rule = Rule::parse(text, start, false, &local)?;
            let (first, last) = ((window.start - BACK).naive_utc(), (window.end + TimeDelta::days(2)).naive_utc());
            begins.extend(rule.occurrences(first, last, MOST_CHANGES, budget));
        }
        (!budget.exceeded).then_some(begins)
    }
}

/// `+1000`, `-0330`, `+053000`, in seconds.
fn offset(text: &str) -> Option<i32> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits.replace(':', "")),
        ("-", digits) => (-1, digits.replace(':', "")),
        _ => (1, text.replace(':', "")),
    };
    if !matches!(digits.len(), 4 | 6) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let pair = |from: usize| digits.get(from..from + 2).map_or(Some(0), |pair| pair.parse::<i32>().ok());
    let seconds = pair(0)? * 3_600 + pair(2)? * 60 + pair(4)?;
    (seconds <= FURTHEST).then_some(sign * seconds)
}

/// A clock, by the changes of its offset.
#[derive(Debug)]
pub struct Changes {
    /// Seconds ahead of UTC before the first change.
    first: i32,
    /// The instants of the changes, in order, with the offset from then on.
    changes: Vec<(i64, i32)>,
}

impl Changes {
    /// One that is never changed.
    pub fn never(offset: i32) -> Self {
        Self { first: offset, changes: Vec::new() }
    }

    /// Works out when the clock of `declared` changes, from well before `window` on. Where its rules end before the window does, nobody knows
    /// whether the last offset goes on, or the rules do: then both clocks. None where it says too little, or asks for too much.
    pub fn of(declared: &Declared, window: Span, budget: &mut Budget) -> Option<(Self, Option<Self>)> {
        let rules = Self::without_end(declared, window, budget)?;
        let Some(until) = declared.until.map(|until| until.and_utc().timestamp()) else { return Some((rules, None)) };
        let known = rules.changes.partition_point(|(at, _)| *at <= until);
        let ended = Self { first: rules.first, changes: rules.changes[..known].to_vec() };
        let last = ended.offset_at(until);
        let differs = |(at, offset): &(i64, i32)| *at < window.end.timestamp() && *offset != last;
        let is_open = rules.changes[known..].iter().any(differs);
        Some((ended, is_open.then_some(rules)))
    }

    fn without_end(declared: &Declared, window: Span, budget: &mut Budget) -> Option<Self> {
        let mut all = Vec::new();
        for observance in &declared.observances {
            let (from, to) = (observance.from?, observance.to?);
            for wall in observance.begins(window, budget)? {
                all.push((wall.and_utc().timestamp() - i64::from(from), from, to));
            }
        }
        all.sort_unstable();
        let first = all.first().map(|(_, from, _)| *from)?;
        Some(Self { first, changes: all.into_iter().map(|(instant, _, to)| (instant, to)).collect() })
    }

    fn offset_at(&self, instant: i64) -> i32 {
        let passed = self.changes.partition_point(|(from, _)| *from <= instant);
        passed.checked_sub(1).and_then(|last| self.changes.get(last)).map_or(self.first, |(_, offset)| *offset)
    }

    /// What the clock shows then.
    pub fn wall(&self, instant: DateTime<Utc>) -> NaiveDateTime {
        instant.naive_utc() + TimeDelta::seconds(self.offset_at(instant.timestamp()).into())
    }

    /// When the clock shows `wall`: of two the first; one that it skips is counted on from before the gap.
    pub fn instant(&self, wall: NaiveDateTime) -> DateTime<Utc> {
        let shown = wall.and_utc().timestamp();
        let far = i64::from(FURTHEST);
        let near = self.changes.partition_point(|(at, _)| *at < shown - far)
            ..self.changes.partition_point(|(at, _)| *at <= shown + far);
        let before = self.offset_at(shown - far - 1);
        let offsets = self.changes.get(near).unwrap_or_default().iter().map(|(_, offset)| *offset);
        let instants =
            std::iter::once(before).chain(offsets).take(64).map(|offset| (shown - i64::from(offset), offset));
        let sound =
            instants.filter(|(instant, offset)| self.offset_at(*instant) == *offset).map(|(instant, _)| instant);
        let instant = sound.min().unwrap_or(shown - i64::from(before));
        DateTime::from_timestamp(instant, 0).unwrap_or(wall.and_utc())
    }
}
