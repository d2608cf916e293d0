//! The clocks that calendars go by, and the instants that these show.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDateTime, NaiveTime, TimeDelta, Utc};

use super::names::{known, offset_of, tidy};
use super::observances::{Changes, Declared};
use super::recurring::Budget;
use super::times::{End, Length, Moment};
use crate::values::{Span, Zone};

/// Longer events are taken to last so long, in days: no window is as long.
const LONGEST: i64 = 4_000_000;

/// More ids are not known.
const MOST_IDS: usize = 2_000;

/// The instant at which the clock of `zone` shows `wall`: of two the first; one that the clock skips is counted on from before
/// the gap.
pub fn instant(zone: Zone, wall: NaiveDateTime) -> DateTime<Utc> {
    let (first, _) = zone.instants(wall);
    if zone.wall(first) == wall {
        return first;
    }
    // The moment of the jump.
    wall.and_utc() - TimeDelta::seconds(zone.offset(first.timestamp() - 1))
}

/// Whose clock a time is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clock {
    /// UTC.
    Utc,
    /// The owner's: that of dates.
    Home,
    /// None is said: the calendar's, or else the owner's.
    Floating,
    /// That of the id with this number.
    Named(usize),
}

/// What an id means.
#[derive(Debug)]
enum Meaning {
    Place(Zone),
    Changes(Changes),
    /// Its rules end while it is needed: with the last offset from then on, and with the rules.
    Ended(Changes, Changes),
    Unknown,
}

/// A way to read clocks that are not known.
#[derive(Clone, Copy, Debug)]
pub struct Guess {
    /// As this place's.
    zone: Zone,
    /// Whether rules go on after their end.
    goes_on: bool,
}

/// What a calendar's clocks mean.
#[derive(Debug)]
pub struct Zones {
    home: Zone,
    floating: Meaning,
    named: Vec<Meaning>,
    /// How a clock that is not known is read now.
    guess: Guess,
}

/// The ids that a calendar uses, as they come; what they mean may be said later.
#[derive(Debug, Default)]
pub struct Ids {
    numbers: HashMap<String, usize>,
    all: Vec<String>,
    weight: usize,
}

impl Ids {
    /// The clock of this id.
    pub fn clock(&mut self, id: &str) -> Clock {
        if let Some(number) = self.numbers.get(id) {
            return Clock::Named(*number);
        }
        let number = self.all.len();
        if number >= MOST_IDS {
            return Clock::Named(usize::MAX);
        }
        self.weight += 2 * id.len() + 100;
        self.all.push(id.to_owned());
        self.numbers.insert(id.to_owned(), number);
        Clock::Named(number)
    }

    /// About how many bytes they take.
    pub fn weight(&self) -> usize {
        self.weight
    }
}

impl Zones {
    /// What `ids` mean: a known name, else what the calendar declares, else an offset. `floating` is the calendar's own zone, where it has one.
    pub fn of(
        home: Zone,
        floating: Option<&str>,
        ids: &Ids,
        declared: &[Declared],
        window: Span,
        budget: &mut Budget,
    ) -> Self {
        let mut by_id: HashMap<&str, &Declared> = HashMap::new();
        for zone in declared {
            by_id.entry(zone.id.as_str()).or_insert(zone);
        }
        let mut meaning = |id: &str| {
            let declared = by_id.get(tidy(id).as_str());
            // `EST` may be a name that someone gave to a clock with a summer.
            let is_short = id.len() <= 4 && declared.is_some_and(|zone| !zone.observances.is_empty());
            let name = if is_short { None } else { known(id) };
            name.or_else(|| declared.and_then(|zone| zone.place))
                .map(Meaning::Place)
                .or_else(|| {
                    Some(match Changes::of(declared?, window, budget)? {
                        (known, None) => Meaning::Changes(known),
                        (ended, Some(rules)) => Meaning::Ended(ended, rules),
                    })
                })
                .or_else(|| known(id).map(Meaning::Place))
                .or_else(|| offset_of(id).map(Changes::never).map(Meaning::Changes))
                .unwrap_or(Meaning::Unknown)
        };
        let named = ids.all.iter().map(|id| meaning(id)).collect();
        let floating = floating.map_or(Meaning::Place(home), meaning);
        Self { home, floating, named, guess: Guess { zone: home, goes_on: false } }
    }

    /// How times on a clock that is not known may be meant: as the owner's, the calendar's, or UTC; and on one whose rules end, without them and
    /// with them.
    pub fn guesses(&self) -> Vec<Guess> {
        let mut zones = vec![self.home];
        let floating = match &self.floating {
            Meaning::Place(zone) => Some(*zone),
            _ => None,
        };
        for zone in floating.into_iter().chain([Zone::UTC]) {
            if !zones.contains(&zone) {
                zones.push(zone);
            }
        }
        // Each way to read rules must be among them, also where there is one zone.
        if zones.len() == 1 {
            zones.push(self.home);
        }
        zones.into_iter().enumerate().map(|(i, zone)| Guess { zone, goes_on: i > 0 }).collect()
    }

    /// Reads clocks that are not known as this one.
    pub fn guess(&mut self, guess: Guess) {
        self.guess = guess;
    }

    /// Whether the clock is not known.
    pub fn is_unknown(&self, clock: Clock) -> bool {
        match clock {
            Clock::Utc | Clock::Home => false,
            Clock::Floating => matches!(self.floating, Meaning::Unknown | Meaning::Ended(..)),
            Clock::Named(number) => !matches!(self.named.get(number), Some(Meaning::Place(_) | Meaning::Changes(_))),
        }
    }

    fn clock(&self, clock: Clock) -> Result<Zone, &Changes> {
        let meaning = match clock {
            Clock::Utc => return Ok(Zone::UTC),
            Clock::Home => return Ok(self.home),
            Clock::Floating => Some(&self.floating),
            Clock::Named(number) => self.named.get(number),
        };
        match meaning {
            Some(Meaning::Place(zone)) => Ok(*zone),
            Some(Meaning::Changes(changes)) => Err(changes),
            Some(Meaning::Ended(ended, rules)) => Err(if self.guess.goes_on { rules } else { ended }),
            Some(Meaning::Unknown) | None => Ok(self.guess.zone),
        }
    }

    /// The instant of a moment.
    pub fn instant(&self, moment: Moment) -> DateTime<Utc> {
        match self.clock(moment.clock) {
            Ok(zone) => instant(zone, moment.wall),
            Err(changes) => changes.instant(moment.wall),
        }
    }

    /// What a clock shows at an instant.
    pub fn wall(&self, clock: Clock, instant: DateTime<Utc>) -> NaiveDateTime {
        match self.clock(clock) {
            Ok(zone) => zone.wall(instant),
            Err(changes) => changes.wall(instant),
        }
    }

    /// How long what starts at `start` lasts, and whether that was told soundly. What ends before it starts has the day.
    pub fn length(&self, start: Moment, end: End) -> (Length, bool) {
        let length = match end {
            End::After(length) => length,
            End::At(end) if start.is_date && end.is_date => Length::days((end.wall - start.wall).num_days()),
            End::At(end) => {
                Length { seconds: (self.instant(end) - self.instant(start)).num_seconds(), ..Length::default() }
            }
            End::Unclear => return (Length::WHOLE_DAY, false),
        };
        if length.days < 0 || length.seconds < 0 {
            return (Length::WHOLE_DAY, false);
        }
        let is_sound = length.days <= LONGEST && length.seconds <= LONGEST * 86_400;
        let (days, seconds) = (length.days.min(LONGEST), length.seconds.min(LONGEST * 86_400));
        // A date is busy for a day at the least, and for whole days.
        let days = if start.is_date { (days + (seconds + 86_399) / 86_400).max(1) } else { days };
        let seconds = if start.is_date { 0 } else { seconds };
        (Length { days, seconds, ..length }, is_sound)
    }

    /// The stretch of time that begins at `start` and lasts `length`.
    pub fn span(&self, start: Moment, length: Length) -> Span {
        let begin = self.instant(start);
        if length.is_whole_day {
            let midnight = self.wall(Clock::Home, begin).date().and_time(NaiveTime::MIN);
            let home = |wall| instant(self.home, wall);
            return Span { start: home(midnight), end: home(midnight + TimeDelta::days(1)) };
        }
        let end =
            self.instant(start.at(start.wall + TimeDelta::days(length.days))) + TimeDelta::seconds(length.seconds);
        Span { start: begin, end }
    }
}
