//! Times, dates and lengths as calendars write them (RFC 5545, section 3.3).

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

use super::zones::Clock;

/// A time by a clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// What the clock shows; midnight where it is a date.
    pub wall: NaiveDateTime,
    /// Whose clock.
    pub clock: Clock,
    /// Whether the date alone was given.
    pub is_date: bool,
}

impl Moment {
    /// The same clock at another time.
    pub fn at(self, wall: NaiveDateTime) -> Self {
        Self { wall, ..self }
    }

    /// What floats is read on the clock of what it belongs to.
    pub fn beside(self, start: Self) -> Self {
        match self.clock {
            Clock::Floating if !start.is_date => Self { clock: start.clock, ..self },
            // A date is one of the start's.
            Clock::Home if self.is_date && !start.is_date => Self { clock: start.clock, ..self },
            _ => self,
        }
    }
}

/// How long an event lasts: days of the calendar, which a change of clocks may lengthen, and exact time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Length {
    /// Days by the calendar.
    pub days: i64,
    /// Seconds besides.
    pub seconds: i64,
    /// Whether it is the whole day on which it starts, since no more is known.
    pub is_whole_day: bool,
}

impl Length {
    /// The day on which it starts.
    pub const WHOLE_DAY: Self = Self { days: 0, seconds: 0, is_whole_day: true };

    /// So many days.
    pub const fn days(days: i64) -> Self {
        Self { days, seconds: 0, is_whole_day: false }
    }

    /// At most so long, whatever the clocks do.
    pub fn at_most(self) -> TimeDelta {
        TimeDelta::days(self.days + 2) + TimeDelta::seconds(self.seconds)
    }
}

/// When an event ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// So long after it starts.
    After(Length),
    /// Then.
    At(Moment),
    /// That was said, and cannot be understood.
    Unclear,
}

/// The values that a text lists.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|piece| !piece.is_empty())
}

/// `20261201` or `20261201T093000`, and whether it is a date; also with hyphens and colons, and without seconds. A `Z` at its end is the
/// caller's to heed.
pub(super) fn wall(value: &str) -> Option<(NaiveDateTime, bool)> {
    let value = value.strip_suffix(['Z', 'z']).unwrap_or(value);
    let (date, time) = value.split_once(['T', 't']).map_or((value, None), |(date, time)| (date, Some(time)));
    let date = date_of(date)?;
    let Some(time) = time else { return Some((date.and_time(NaiveTime::MIN), true)) };
    let digits: String = time.chars().filter(|c| *c != ':').take(7).collect();
    if !matches!(digits.len(), 4 | 6) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize| digits.get(from..from + 2).map_or(Some(0), |two| two.parse::<u32>().ok());
    let (hour, minute, second) = (number(0)?, number(2)?, number(4)?);
    // Midnight is the end of a day, too.
    if (hour, minute, second) == (24, 0, 0) {
        return Some((date.succ_opt()?.and_time(NaiveTime::MIN), false));
    }
    // A leap second is the one before it.
    let second = if second == 60 { 59 } else { second };
    Some((date.and_time(NaiveTime::from_hms_opt(hour, minute, second)?), false))
}

/// The date of a time, whatever its time of day.
pub(super) fn date_of(value: &str) -> Option<NaiveDate> {
    let date = value.trim().split(['T', 't']).next().unwrap_or_default();
    let digits = match date.as_bytes() {
        [_, _, _, _, b'-', _, _, b'-', _, _] => date.replace('-', ""),
        _ => date.to_owned(),
    };
    if digits.len() != 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| digits.get(from..to)?.parse::<u32>().ok();
    let year = digits.get(..4)?.parse().ok().filter(|year| *year > 0)?;
    NaiveDate::from_ymd_opt(year, number(4, 6)?, number(6, 8)?)
}

/// `P1W`, `P1DT2H`, `PT90M`. One that goes backwards is none.
pub(super) fn length(text: &str) -> Option<Length> {
    let text = text.trim().to_ascii_uppercase();
    let text = text.strip_prefix('+').unwrap_or(&text).strip_prefix('P')?;
    let (mut length, mut number, mut in_time) = (Length::default(), String::new(), false);
    for c in text.chars() {
        let (days, seconds) = match c {
            '0'..='9' if number.len() < 9 => {
                number.push(c);
                continue;
            }
            'T' if number.is_empty() => {
                in_time = true;
                continue;
            }
            'W' if !in_time => (7, 0),
            'D' if !in_time => (1, 0),
            'H' if in_time => (0, 3600),
            'M' if in_time => (0, 60),
            'S' if in_time => (0, 1),
            _ => return None,
        };
        let count: i64 = std::mem::take(&mut number).parse().ok()?;
        length.days += count * days;
        length.seconds += count * seconds;
    }
    (number.is_empty() && text.len() > 1).then_some(length)
}
