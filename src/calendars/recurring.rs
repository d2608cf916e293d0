//! Recurrence rules (RFC 5545, section 3.3.10), followed on the clock's face.
//!
//! A rule of 400 bytes may stand for 31 million instants in one year, and another for none in a thousand. No set is ever made here:
//! a set is described by its days and its times of day, which are counted and searched by arithmetic. Every day and every interval
//! that is looked at is paid for out of a budget.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::slice::from_ref;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc, Weekday};

use super::times::wall;

/// What an occurrence costs, in steps: its instant is looked up in a zone, and it is kept.
pub const OCCURRENCE: usize = 50;

/// Where a rule counts further, its end is not looked for beforehand.
const MOST_COUNTED: usize = 20_000;

/// How much work may still be done.
#[derive(Debug)]
pub struct Budget {
    steps: usize,
    begun: Instant,
    patience: Duration,
    /// Whether something was left undone.
    pub exceeded: bool,
}

impl Budget {
    /// So many steps, of some 20 ns each, and no longer than `patience` by the machine's clock.
    pub fn new(steps: usize, patience: Duration) -> Self {
        Self { steps, begun: Instant::now(), patience, exceeded: false }
    }

    /// Takes so many steps; no where there are not so many left.
    pub fn spend(&mut self, steps: usize) -> bool {
        match self.steps.checked_sub(steps) {
            Some(left) if !self.exceeded && self.begun.elapsed() <= self.patience => self.steps = left,
            _ => self.exceeded = true,
        }
        !self.exceeded
    }
}

/// The unit of an interval (FREQ).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
}

impl Unit {
    fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "YEARLY" => Self::Year,
            "MONTHLY" => Self::Month,
            "WEEKLY" => Self::Week,
            "DAILY" => Self::Day,
            "HOURLY" => Self::Hour,
            "MINUTELY" => Self::Minute,
            "SECONDLY" => Self::Second,
            _ => return None,
        })
    }

    /// Its seconds, where they are always the same.
    fn seconds(self) -> i64 {
        match self {
            Self::Year | Self::Month => 0,
            Self::Week => 7 * 86_400,
            Self::Day => 86_400,
            Self::Hour => 3_600,
            Self::Minute => 60,
            Self::Second => 1,
        }
    }
}

/// A rule, with its end by the clock of the event's zone. Lists of numbers are sorted, and none names anything twice.
#[derive(Debug)]
pub struct Rule {
    start: NaiveDateTime,
    unit: Unit,
    interval: i64,
    count: Option<usize>,
    until: Option<NaiveDateTime>,
    week_start: Weekday,
    months: Vec<i64>,
    month_days: Vec<i64>,
    year_days: Vec<i64>,
    weeks: Vec<i64>,
    /// Days of the week, and which of them within the month or the year; all, where that is 0.
    days: Vec<(i64, Weekday)>,
    hours: Vec<i64>,
    minutes: Vec<i64>,
    seconds: Vec<i64>,
    positions: Vec<i64>,
}

impl Rule {
    /// Reads a rule of an event that starts at `start`. None where it is none, where it contradicts itself, or where it says something
    /// that is not known here: what cannot be followed must be told.
    /// `local` tells what the event's clock shows.
    pub fn parse(
        text: &str,
        start: NaiveDateTime,
        is_date: bool,
        local: &impl Fn(DateTime<Utc>) -> NaiveDateTime,
    ) -> Option<Self> {
        let mut parts: HashMap<String, &str> = HashMap::new();
        for part in text.split(';').filter(|part| !part.trim().is_empty()) {
            let (name, value) = part.split_once('=')?;
            if parts.insert(name.trim().to_ascii_uppercase(), value.trim()).is_some() {
                return None;
            }
        }
        let unit = Unit::named(parts.remove("FREQ")?)?;
        let interval = parts.remove("INTERVAL").map_or(Some(1), |interval| interval.parse().ok())?;
        let count = parts.remove("COUNT").map(|count| count.parse().ok());
        let until = parts.remove("UNTIL").map(|until| last(until, is_date, local));
        let days = parts.remove("BYDAY").map_or(Some(HashSet::new()), |days| days.split(',').map(weekday).collect());
        let week_start = parts.remove("WKST").map_or(Some(Weekday::Mon), two_letters)?;
        let mut list = |name: &str, range: RangeInclusive<i64>| {
            parts.remove(name).map_or(Some(Vec::new()), |text| numbers(text, &range))
        };
        let rule = Self {
            start,
            unit,
            interval,
            count: unwrapped(count)?,
            until: unwrapped(until)?,
            week_start,
            months: list("BYMONTH", 1..=12)?,
            month_days: list("BYMONTHDAY", -31..=31)?,
            year_days: list("BYYEARDAY", -366..=366)?,
            weeks: list("BYWEEKNO", -53..=53)?,
            days: days?.into_iter().collect(),
            hours: list("BYHOUR", 0..=23)?,
            minutes: list("BYMINUTE", 0..=59)?,
            seconds: list("BYSECOND", 0..=59)?,
            positions: list("BYSETPOS", -366..=366)?,
        };
        (parts.is_empty() && rule.is_sound()).then(|| rule.completed())
    }

    /// Whether its parts may stand together (RFC 5545, section 3.3.10).
    fn is_sound(&self) -> bool {
        let counted_from_end = [&self.month_days, &self.year_days, &self.weeks, &self.positions];
        (1..=65_535).contains(&self.interval)
            && counted_from_end.iter().all(|list| !list.contains(&0))
            && (self.month_days.is_empty() || self.unit != Unit::Week)
            && (self.year_days.is_empty() || !matches!(self.unit, Unit::Month | Unit::Week | Unit::Day))
            && (self.weeks.is_empty() || (self.unit == Unit::Year && self.days.iter().all(|(number, _)| *number == 0)))
    }

    /// With what it takes from the start of its event.
    fn completed(mut self) -> Self {
        let start = self.start;
        if self.month_days.is_empty() && self.year_days.is_empty() && self.weeks.is_empty() && self.days.is_empty() {
            match self.unit {
                Unit::Year => {
                    if self.months.is_empty() {
                        self.months.push(start.month().into());
                    }
                    self.month_days.push(start.day().into());
                }
                Unit::Month => self.month_days.push(start.day().into()),
                Unit::Week => self.days.push((0, start.weekday())),
                _ => {}
            }
        }
        for (list, unit, value) in [
            (&mut self.hours, Unit::Hour, start.hour()),
            (&mut self.minutes, Unit::Minute, start.minute()),
            (&mut self.seconds, Unit::Second, start.second()),
        ] {
            if list.is_empty() && self.unit < unit {
                list.push(value.into());
            }
        }
        self
    }

    /// The occurrences between `from` and `to`, in order; at most so many. What is left out is told by the budget.
    pub fn occurrences(
        &self,
        from: NaiveDateTime,
        to: NaiveDateTime,
        most: usize,
        budget: &mut Budget,
    ) -> Vec<NaiveDateTime> {
        let to = self.until.map_or(to, |until| until.min(to));
        let from = from.max(self.start);
        let mut found = Vec::new();
        let mut left = self.count.unwrap_or(usize::MAX);
        // Only where they are counted do those of the past matter.
        let mut number = if self.count.is_some() { 0 } else { self.number_at(from) };
        while let Some(begin) = self.begin(number).filter(|begin| *begin <= to) {
            let Some(set) = self.set(begin, budget) else { return found };
            let begun = set.before(self.start);
            for at in set.before(from)..set.len().min(begun.saturating_add(left)) {
                let wall = set.at(at);
                if wall > to {
                    return found;
                }
                if found.len() >= most || !budget.spend(OCCURRENCE) {
                    budget.exceeded = true;
                    return found;
                }
                found.push(wall);
            }
            if self.count.is_some() {
                left = left.saturating_sub(set.len() - begun);
                if left == 0 {
                    return found;
                }
            }
            number = self.number_after(number, begin);
        }
        found
    }

    /// Whether nothing of it occurs between `from` and `to`. No, where that is not worth finding out.
    pub fn is_over(&self, from: NaiveDateTime, to: NaiveDateTime, budget: &mut Budget) -> bool {
        match (self.until, self.count) {
            (Some(until), _) if until < from => true,
            (_, Some(count)) if count <= MOST_COUNTED => {
                let left = self.occurrences(from, to, 1, budget);
                left.is_empty() && !budget.exceeded
            }
            _ => false,
        }
    }

    /// Where the first interval begins, that of the event's start.
    fn base(&self) -> NaiveDateTime {
        let (date, time) = (self.start.date(), self.start.time());
        let midnight = date.and_time(NaiveTime::MIN);
        match self.unit {
            Unit::Week => midnight - TimeDelta::days(date.weekday().days_since(self.week_start).into()),
            unit if unit > Unit::Day => {
                let seconds = i64::from(time.num_seconds_from_midnight());
                midnight + TimeDelta::seconds(seconds - seconds % unit.seconds())
            }
            _ => midnight,
        }
    }

    /// Where the interval of this number begins. None beyond the end of time.
    fn begin(&self, number: i64) -> Option<NaiveDateTime> {
        let first_of = |month: i64| {
            let year = i32::try_from(month.div_euclid(12)).ok()?;
            NaiveDate::from_ymd_opt(year, u32::try_from(month.rem_euclid(12)).ok()? + 1, 1)
        };
        let passed = self.interval.checked_mul(number)?;
        let date = match self.unit {
            Unit::Year => first_of(12 * (i64::from(self.start.year()) + passed))?,
            Unit::Month => first_of(month_number(self.start) + passed)?,
            unit => {
                let passed = TimeDelta::try_seconds(passed.checked_mul(unit.seconds())?)?;
                return self.base().checked_add_signed(passed);
            }
        };
        Some(date.and_time(NaiveTime::MIN))
    }

    /// The number of the last interval that begins no later than `wall`, or of the first.
    fn number_at(&self, wall: NaiveDateTime) -> i64 {
        let passed = match self.unit {
            Unit::Year => i64::from(wall.year() - self.start.year()),
            Unit::Month => month_number(wall) - month_number(self.start),
            unit => (wall - self.base()).num_seconds().div_euclid(unit.seconds()),
        };
        passed.div_euclid(self.interval).max(0)
    }

    /// The number of the interval to look at after this one: where a whole day, hour or minute is left out, the first one after it.
    fn number_after(&self, number: i64, begin: NaiveDateTime) -> i64 {
        let midnight = begin.date().and_time(NaiveTime::MIN);
        let second = i64::from(begin.time().num_seconds_from_midnight());
        let next = |unit: i64| midnight + TimeDelta::seconds(second - second % unit + unit);
        let to = match self.unit {
            Unit::Year | Unit::Month | Unit::Week | Unit::Day => begin,
            _ if !self.takes_day(begin.date()) => next(86_400),
            _ if !takes(&self.hours, begin.hour()) => next(3_600),
            Unit::Minute | Unit::Second if !takes(&self.minutes, begin.minute()) => next(60),
            _ => begin,
        };
        // The last one that begins before it, and one more.
        (number + 1).max(self.number_at(to - TimeDelta::seconds(1)) + 1)
    }

    /// What occurs in the interval that begins at `begin`. None where there is nothing left to pay for it.
    fn set(&self, begin: NaiveDateTime, budget: &mut Budget) -> Option<Set<'_>> {
        let first = begin.date();
        let length = match self.unit {
            Unit::Year => days_in_year(first),
            Unit::Month => days_in_month(first),
            Unit::Week => 7,
            _ => 1,
        };
        let length = usize::try_from(length).unwrap_or_default();
        if !budget.spend(length + self.positions.len() + 1) {
            return None;
        }
        let days = first.iter_days().take(length).filter(|day| self.takes_day(*day)).collect();
        let mut set = Set { days, hours: &self.hours, minutes: &self.minutes, seconds: &self.seconds, picked: None };
        let (hour, minute, second) = (begin.hour(), begin.minute(), begin.second());
        if self.unit >= Unit::Hour {
            set.hours = one_of(&self.hours, hour);
        }
        if self.unit >= Unit::Minute {
            set.minutes = one_of(&self.minutes, minute);
        }
        if self.unit == Unit::Second {
            set.seconds = one_of(&self.seconds, second);
        }
        if !self.positions.is_empty() {
            let all = set.len();
            let place = |position: &i64| {
                let from = usize::try_from(position.unsigned_abs()).ok()?;
                let place = if *position > 0 { from.checked_sub(1) } else { all.checked_sub(from) };
                place.filter(|place| *place < all)
            };
            set.picked = Some(sorted(self.positions.iter().filter_map(place).collect()));
        }
        Some(set)
    }

    fn takes_day(&self, day: NaiveDate) -> bool {
        let from_both_ends = |list: &[i64], number: i64, of: i64| {
            list.is_empty() || list.binary_search(&number).is_ok() || list.binary_search(&(number - of - 1)).is_ok()
        };
        takes(&self.months, day.month())
            && from_both_ends(&self.month_days, day.day().into(), days_in_month(day))
            && from_both_ends(&self.year_days, day.ordinal().into(), days_in_year(day))
            && (self.weeks.is_empty() || {
                let (week, year) = self.week(day);
                let last = NaiveDate::from_ymd_opt(year, 12, 28).map_or(52, |last| self.week(last).0);
                from_both_ends(&self.weeks, week, last)
            })
            && (self.days.is_empty() || self.days.iter().any(|(number, weekday)| self.is_of(day, *number, *weekday)))
    }

    /// Whether `day` is such a day of the week, and where a number is said, that one of its month or of its year. A number
    /// elsewhere means nothing (RFC 5545), and is not heeded: rather too busy than too free.
    fn is_of(&self, day: NaiveDate, number: i64, weekday: Weekday) -> bool {
        let (at, of) = match self.unit {
            Unit::Year if self.months.is_empty() => (i64::from(day.ordinal()), days_in_year(day)),
            _ => (i64::from(day.day()), days_in_month(day)),
        };
        let is_that_one = match number {
            0 => true,
            _ if self.unit > Unit::Month => true,
            1.. => (at - 1) / 7 + 1 == number,
            _ => (of - at) / 7 + 1 == -number,
        };
        day.weekday() == weekday && is_that_one
    }

    /// The number of the week of `day`, and the year that it belongs to: the one that has four of its days or more.
    fn week(&self, day: NaiveDate) -> (i64, i32) {
        let back = Days::new(day.weekday().days_since(self.week_start).into());
        let middle = day.checked_sub_days(back).and_then(|first| first.checked_add_days(Days::new(3))).unwrap_or(day);
        (i64::from(middle.ordinal0()) / 7 + 1, middle.year())
    }
}

/// What occurs in one interval: each of the times on each of the days; of these only some, where positions are said.
struct Set<'a> {
    days: Vec<NaiveDate>,
    hours: &'a [i64],
    minutes: &'a [i64],
    seconds: &'a [i64],
    picked: Option<Vec<usize>>,
}

impl Set<'_> {
    fn len(&self) -> usize {
        match &self.picked {
            Some(picked) => picked.len(),
            None => self.days.len() * self.hours.len() * self.minutes.len() * self.seconds.len(),
        }
    }

    /// The occurrence at this place, which there is.
    fn at(&self, place: usize) -> NaiveDateTime {
        let place = self.picked.as_ref().map_or(place, |picked| picked.get(place).copied().unwrap_or_default());
        let said = |list: &[i64], at: usize| list.get(at % list.len().max(1)).copied().unwrap_or_default();
        let (place, second) = (place / self.seconds.len().max(1), said(self.seconds, place));
        let (place, minute) = (place / self.minutes.len().max(1), said(self.minutes, place));
        let (place, hour) = (place / self.hours.len().max(1), said(self.hours, place));
        let day = self.days.get(place).copied().unwrap_or_default();
        day.and_time(NaiveTime::MIN) + TimeDelta::seconds(hour * 3_600 + minute * 60 + second)
    }

    /// How many occur before `wall`.
    fn before(&self, wall: NaiveDateTime) -> usize {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = from.midpoint(to);
            if self.at(middle) < wall {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        from
    }
}

fn takes(list: &[i64], value: u32) -> bool {
    list.is_empty() || list.binary_search(&value.into()).is_ok()
}

/// Every hour, minute and second.
static ALL: LazyLock<Vec<i64>> = LazyLock::new(|| (0..60).collect());

/// The one of `list` that is `value`; any value is one of an empty list.
fn one_of(list: &[i64], value: u32) -> &[i64] {
    let list = if list.is_empty() { &*ALL } else { list };
    list.binary_search(&value.into()).ok().and_then(|at| list.get(at)).map_or(&[], from_ref)
}

fn month_number(wall: NaiveDateTime) -> i64 {
    i64::from(wall.year()) * 12 + i64::from(wall.month0())
}

fn days_in_month(day: NaiveDate) -> i64 {
    day.num_days_in_month().into()
}

fn days_in_year(day: NaiveDate) -> i64 {
    if day.leap_year() { 366 } else { 365 }
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort_unstable();
    list.dedup();
    list
}

/// None where something was said that could not be read.
fn unwrapped<T>(said: Option<Option<T>>) -> Option<Option<T>> {
    said.map_or(Some(None), |read| read.map(Some))
}

fn numbers(text: &str, range: &RangeInclusive<i64>) -> Option<Vec<i64>> {
    let read = |number: &str| number.trim().parse().ok().filter(|number| range.contains(number));
    text.split(',').map(read).collect::<Option<_>>().map(sorted)
}

fn two_letters(text: &str) -> Option<Weekday> {
    Some(match text.to_ascii_uppercase().as_str() {
        "MO" => Weekday::Mon,
        "TU" => Weekday::Tue,
        "WE" => Weekday::Wed,
        "TH" => Weekday::Thu,
        "FR" => Weekday::Fri,
        "SA" => Weekday::Sat,
        "SU" => Weekday::Sun,
        _ => return None,
    })
}

/// `MO`, `2TU` or `-1FR`.
fn weekday(text: &str) -> Option<(i64, Weekday)> {
    let (number, weekday) = text.trim().split_at_checked(text.trim().len().checked_sub(2)?)?;
    let number = match number {
        "" => 0,
        number => number.parse().ok().filter(|number| *number != 0 && (-53..=53).contains(number))?,
    };
    Some((number, two_letters(weekday)?))
}

/// The last time at which a rule lets an event occur, by the event's own clock.
fn last(until: &str, is_date: bool, local: &impl Fn(DateTime<Utc>) -> NaiveDateTime) -> Option<NaiveDateTime> {
    // Some mean "for ever" by a date that is none.
    let Some((end, ends_on_date)) = wall(until) else {
        let far = until.get(..4).and_then(|year| year.parse::<i32>().ok()).is_some_and(|year| year > 2200);
        return far.then(|| NaiveDate::from_ymd_opt(9999, 1, 1).map(|date| date.and_time(NaiveTime::MIN))).flatten();
    };
    Some(match ends_on_date {
        true if is_date => end,
        true => end + TimeDelta::seconds(86_399),
        false if is_date => end.date().and_time(NaiveTime::MIN),
        false if until.ends_with(['Z', 'z']) => local(end.and_utc()),
        false => end,
    })
}
