//! From events to the stretches of time that they keep someone busy.
//!
//! Rules are followed on the clock's face, so that an event at nine stays at nine when the clocks change, and only then put into
//! the zone. A calendar can ask for any amount of work: what is walked, what is kept and the time that it takes are all bounded.

use crate::values::{Span, merged};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

use super::events::Event;
use super::parsing::Found;
use super::recurring::{Budget, OCCURRENCE, Rule};
use super::times::{End, Length, Moment};
use super::zones::{Guess, Zones};

/// Days of the past that are kept: a visit is a few hours long.
const BACK: TimeDelta = TimeDelta::days(2);
/// Days ahead that are worked out.
const AHEAD: TimeDelta = TimeDelta::days(400);
/// More occurrences of one rule within reach are not kept.
const MOST_OF_ONE: usize = 10_000;
/// More steps are not taken: some 200,000 occurrences, or ten million days that a rule leaves out.
const MOST_STEPS: usize = 200_000 * OCCURRENCE;
/// More stretches are not kept.
const MOST_KEPT: usize = 5_000;
/// Work that takes longer is broken off.
const PATIENCE: Duration = Duration::from_secs(3);
/// Longer stretches are cut into pieces, so that a range of them is found from both of its ends.
pub const PIECE: TimeDelta = TimeDelta::hours(24);

/// When a calendar is busy.
#[derive(Debug, Default, PartialEq)]
pub struct Busy {
    /// In order; none overlap.
    pub spans: Vec<Span>,
    /// How many events could not be read, in whole or in part, or are on a clock that is not known.
    pub skipped: usize,
    /// Whether there was more than is kept.
    pub cut: bool,
}

/// What is worked out at `now`: from midnight to midnight, so that what is the same an hour later is cut into the same pieces.
pub fn window(now: DateTime<Utc>) -> Span {
    let midnight = now.date_naive().and_time(NaiveTime::MIN).and_utc();
    Span { start: midnight - BACK, end: midnight + AHEAD }
}

/// When `found` is busy, from two days ago until 400 days ahead. Events whose UID is among `own` are visits that came back to us.
pub fn expand(found: Found, own: &HashSet<String>, now: DateTime<Utc>) -> Busy {
    let mut walk = Walk {
        window: window(now),
        zones: found.zones,
        budget: Budget::new(MOST_STEPS, PATIENCE),
        spans: Vec::new(),
        skipped: found.skipped,
        is_sound: true,
    };
    let guesses = walk.zones.guesses();
    for (start, end) in found.periods {
        walk.guessed(&guesses, &[start], |walk| {
            let length = walk.length(start, end);
            walk.add(start, length, 0);
        });
        walk.count(1);
    }
    for mut parts in by_uid(found.events.into_iter().filter(|event| !own.contains(&event.uid))) {
        if !walk.budget.spend(OCCURRENCE * parts.len()) {
            break;
        }
        settle(&mut parts, &walk.zones);
        let moments: Vec<Moment> = parts.iter().flat_map(moments).collect();
        walk.is_sound = parts.iter().all(|part| part.is_sound);
        walk.guessed(&guesses, &moments, |walk| walk.event(&parts));
        let unsound = parts.iter().filter(|part| !part.is_sound).count();
        walk.count(unsound.max(1));
    }
    let mut spans: Vec<Span> = merged(walk.spans).into_iter().flat_map(pieces).collect();
    let cut = found.cut || walk.budget.exceeded || spans.len() > MOST_KEPT;
    spans.truncate(MOST_KEPT);
    Busy { spans, skipped: walk.skipped, cut }
}

/// All times that an event names.
fn moments(event: &Event) -> impl Iterator<Item = Moment> {
    let end = match event.end {
        End::At(end) => Some(end),
        _ => None,
    };
    let extra = event.extra.iter().map(|(moment, _)| *moment);
    let instead_of = event.instead_of.map(|(moment, _)| moment);
    [event.start].into_iter().chain(end).chain(extra).chain(instead_of).chain(event.except.iter().copied())
}

/// The parts of each event: the event itself, and what single occurrences were changed to.
fn by_uid(events: impl Iterator<Item = Event>) -> Vec<Vec<Event>> {
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut all: Vec<Vec<Event>> = Vec::new();
    for event in events {
        // Without a UID nothing belongs together.
        match known.get(&event.uid).and_then(|at| all.get_mut(*at)) {
            Some(parts) if !event.uid.is_empty() => parts.push(event),
            _ => {
                known.insert(event.uid.clone(), all.len());
                all.push(vec![event]);
            }
        }
    }
    all
}

/// Reads what floats on the clock of the event, and leaves out what a later version took the place of.
fn settle(parts: &mut Vec<Event>, zones: &Zones) {
    let start = parts.iter().find(|part| part.instead_of.is_none()).map(|part| part.start);
    for part in parts.iter_mut() {
        let beside = start.unwrap_or(part.start);
        part.instead_of = part.instead_of.map(|(moment, later)| (moment.beside(beside), later));
    }
    let mut latest: HashMap<_, super::events::Version> = HashMap::new();
    let key = |part: &Event| part.instead_of.map(|(moment, later)| (zones.instant(moment), later));
    for part in parts.iter() {
        let known = latest.entry(key(part)).or_insert(part.version);
        if part.version.is_later_than(*known) {
            *known = part.version;
        }
    }
    parts.retain(|part| latest.get(&key(part)).is_none_or(|known| !known.is_later_than(part.version)));
    // An event that was called off as a whole takes what was changed of it along.
    let off = parts.iter().filter(|part| part.instead_of.is_none() && part.is_called_off);
    let off = off.map(|part| part.version.sequence + i64::from(part.version.is_cancelling)).max();
    if let Some(off) = off {
        for part in parts.iter_mut().filter(|part| part.instead_of.is_some() && part.version.sequence < off) {
            part.is_busy = false;
        }
    }
}

/// A long stretch in pieces of a day.
fn pieces(span: Span) -> impl Iterator<Item = Span> {
    let starts = std::iter::successors(Some(span.start), |start| Some(*start + PIECE));
    starts.take_while(move |start| *start < span.end).map(move |start| Span { start, end: span.end.min(start + PIECE) })
}

struct Walk {
    window: Span,
    zones: Zones,
    /// What all loops together are paid out of.
    budget: Budget,
    spans: Vec<Span>,
    skipped: usize,
    /// Whether all of the event at hand could be understood.
    is_sound: bool,
}

impl Walk {
    /// Works out what names `moments`; where a clock among them is not known, on each of the clocks that may be meant.
    fn guessed(&mut self, guesses: &[Guess], moments: &[Moment], mut work: impl FnMut(&mut Self)) {
        if !moments.iter().any(|moment| self.zones.is_unknown(moment.clock)) {
            return work(self);
        }
        self.is_sound = false;
        for guess in guesses {
            self.zones.guess(*guess);
            work(self);
        }
    }

    /// Counts what could not be understood.
    fn count(&mut self, events: usize) {
        if !self.is_sound {
            self.skipped += events;
        }
        self.is_sound = true;
    }

    fn length(&mut self, start: Moment, end: End) -> Length {
        let (length, is_sound) = self.zones.length(start, end);
        self.is_sound &= is_sound;
        length
    }

    /// What starts then, and the way there.
    fn add(&mut self, start: Moment, length: Length, way: i64) {
        if !self.budget.spend(OCCURRENCE) {
            return;
        }
        let Span { start, end } = self.zones.span(start, length);
        // A moment alone is worth no way.
        let start = if start < end { start - TimeDelta::seconds(way) } else { start };
        let span = Span { start: start.max(self.window.start), end: end.min(self.window.end) };
        if span.start < span.end {
            self.spans.push(span);
        }
    }

    fn event(&mut self, parts: &[Event]) {
        if !self.budget.spend(OCCURRENCE * (parts.len() + parts.iter().map(|part| part.except.len()).sum::<usize>())) {
            return;
        }
        let changed = Changed::of(parts, &self.zones);
        for part in parts {
            match part.instead_of {
                // What an occurrence was changed to stands for itself; from then on, it is met on the way.
                Some((_, false)) => self.once(part),
                Some(_) => {}
                None => self.series(part, &changed),
            }
        }
        // Whoever was sent a part of the event alone has no series to change.
        if parts.iter().all(|part| part.instead_of.is_some()) {
            for part in parts.iter().filter(|part| part.instead_of.is_some_and(|(_, later)| later)) {
                self.once(part);
            }
        }
    }

    fn once(&mut self, part: &Event) {
        if part.is_busy {
            let length = self.length(part.start, part.end);
            self.add(part.start, length, part.way);
        }
    }

    /// The occurrences of an event, without those that were changed or do not take place.
    fn series(&mut self, event: &Event, changed: &Changed<'_>) {
        let length = self.length(event.start, event.end);
        let own = self.walls(event, length).into_iter().map(|wall| (event.start.at(wall), None));
        let extra = event.extra.iter().copied();
        for (start, end) in own.chain(extra).collect::<Vec<_>>() {
            if !self.budget.spend(OCCURRENCE) {
                return;
            }
            let instant = self.zones.instant(start);
            if changed.leaves_out(event, start, instant) {
                continue;
            }
            match changed.replaced_since(instant) {
                None if event.is_busy => {
                    let length = end.map_or(length, |end| self.length(start, end));
                    self.add(start, length, event.way);
                }
                Some((from, part)) if part.is_busy => {
                    let since = start.wall - self.zones.wall(start.clock, from);
                    let length = self.length(part.start, part.end);
                    self.add(part.start.at(part.start.wall + since), length, part.way);
                }
                _ => {}
            }
        }
    }

    /// What the clock shows when an event occurs, as far as it bears on the window.
    fn walls(&mut self, event: &Event, length: Length) -> BTreeSet<NaiveDateTime> {
        // Zones differ by up to a day from UTC, in which the window is.
        let from = self.window.start.naive_utc() - length.at_most() - TimeDelta::days(1);
        let to = self.window.end.naive_utc() + TimeDelta::days(1);
        let mut walls = BTreeSet::from([event.start.wall]);
        for text in &event.rules {
            // A rule that takes nothing but its reading is paid for too.
            if !self.budget.spend(OCCURRENCE + text.len()) {
                break;
            }
            let local = |instant| self.zones.wall(event.start.clock, instant);
            match Rule::parse(text, event.start.wall, event.start.is_date, &local) {
                Some(rule) => walls.extend(rule.occurrences(from, to, MOST_OF_ONE, &mut self.budget)),
                None => self.is_sound = false,
            }
        }
        walls
    }
}

/// What was changed of an event: single occurrences, and all from some of them on.
struct Changed<'a> {
    instants: HashSet<DateTime<Utc>>,
    dates: HashSet<NaiveDate>,
    /// The dates of those times that some name instead.
    days: HashSet<NaiveDate>,
    /// By the instant from which on they hold.
    later: Vec<(DateTime<Utc>, &'a Event)>,
}

impl<'a> Changed<'a> {
    fn of(parts: &'a [Event], zones: &Zones) -> Self {
        let single = parts.iter().filter_map(|part| part.instead_of.filter(|(_, later)| !later));
        let out: Vec<Moment> =
            single.map(|(moment, _)| moment).chain(parts.iter().flat_map(|part| part.except.iter().copied())).collect();
        let mut later: Vec<_> = parts
            .iter()
            .filter_map(|part| {
                part.instead_of.filter(|(_, later)| *later).map(|(moment, _)| (zones.instant(moment), part))
            })
            .collect();
        later.sort_by_key(|(from, ..)| *from);
        let (dates, times): (Vec<Moment>, Vec<Moment>) = out.into_iter().partition(|moment| moment.is_date);
        Self {
            instants: times.iter().map(|moment| zones.instant(*moment)).collect(),
            dates: dates.iter().map(|moment| moment.wall.date()).collect(),
            days: times
                .iter()
                .filter(|moment| moment.wall.time() == NaiveTime::MIN)
                .map(|moment| moment.wall.date())
                .collect(),
            later,
        }
    }

    /// Some name an occurrence at a time by its date alone, and some that of a date by its midnight, in whatever zone.
    fn leaves_out(&self, event: &Event, start: Moment, instant: DateTime<Utc>) -> bool {
        self.dates.contains(&start.wall.date())
            || self.instants.contains(&instant)
            || (event.start.is_date && self.days.contains(&start.wall.date()))
    }

    /// What the occurrence at this instant and all later ones were changed to, and since when.
    fn replaced_since(&self, instant: DateTime<Utc>) -> Option<(DateTime<Utc>, &'a Event)> {
        let begun = self.later.partition_point(|(from, ..)| *from <= instant);
        self.later.get(begun.checked_sub(1)?).copied()
    }
}
