//! From events to the stretches of time that they keep someone busy.
//!
//! Rules are followed on the clock's face, so that an event at nine stays at nine when the clocks change, and only then put into
//! the zone. A calendar can ask for any amount of work: what is walked, what is kept and the time that it takes are all bounded.

use crate::values::{Span, merged};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

use super::parsing::{Event, Found, Length, Moment};
use super::recurring::{Budget, OCCURRENCE, Rule};

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
    /// How many events could not be read.
    pub skipped: usize,
    /// Whether there was more than is kept.
    pub cut: bool,
}

/// When `found` is busy, from two days ago until 400 days ahead. Events whose UID is among `own` are visits that came back to us.
pub fn expand(found: Found, own: &HashSet<String>, now: DateTime<Utc>) -> Busy {
    // From midnight to midnight, so that what is the same an hour later is cut into the same pieces.
    let midnight = now.date_naive().and_time(NaiveTime::MIN).and_utc();
    let window = Span { start: midnight - BACK, end: midnight + AHEAD };
    let mut walk =
        Walk { window, budget: Budget::new(MOST_STEPS, PATIENCE), spans: Vec::new(), skipped: found.skipped };
    for (start, length) in found.periods {
        walk.add(start, length);
    }
    for parts in by_uid(found.events.into_iter().filter(|event| !own.contains(&event.uid))) {
        walk.event(&parts);
    }
    let mut spans: Vec<Span> = merged(walk.spans).into_iter().flat_map(pieces).collect();
    let cut = found.cut || walk.budget.exceeded || spans.len() > MOST_KEPT;
    spans.truncate(MOST_KEPT);
    Busy { spans, skipped: walk.skipped, cut }
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

/// A long stretch in pieces of a day.
fn pieces(span: Span) -> impl Iterator<Item = Span> {
    let starts = std::iter::successors(Some(span.start), |start| Some(*start + PIECE));
    starts.take_while(move |start| *start < span.end).map(move |start| Span { start, end: span.end.min(start + PIECE) })
}

struct Walk {
    window: Span,
    /// What all loops together are paid out of.
    budget: Budget,
    spans: Vec<Span>,
    skipped: usize,
}

impl Walk {
    fn add(&mut self, start: Moment, length: Length) {
        if !self.budget.spend(OCCURRENCE) {
            return;
        }
        let span =
            Span { start: start.instant().max(self.window.start), end: length.after(start).min(self.window.end) };
        if span.start < span.end {
            self.spans.push(span);
        }
    }

    fn event(&mut self, parts: &[Event]) {
        if !self.budget.spend(OCCURRENCE * (parts.len() + parts.iter().map(|part| part.except.len()).sum::<usize>())) {
            return;
        }
        let changed = Changed::of(parts);
        for part in parts {
            match part.instead_of {
                // What an occurrence was changed to stands for itself; from then on, it is met on the way.
                Some((_, false)) if part.busy => self.add(part.start, part.length),
                Some(_) => {}
                None => self.series(part, &changed),
            }
        }
        // Whoever was sent a part of the event alone has no series to change.
        if parts.iter().all(|part| part.instead_of.is_some()) {
            for part in parts.iter().filter(|part| part.busy && part.instead_of.is_some_and(|(_, later)| later)) {
                self.add(part.start, part.length);
            }
        }
    }

    /// The occurrences of an event, without those that were changed or do not take place.
    fn series(&mut self, event: &Event, changed: &Changed<'_>) {
        let own = self.walls(event).into_iter().map(|wall| (event.start.at(wall), None));
        let extra = event.extra.iter().copied();
        for (start, length) in own.chain(extra).collect::<Vec<_>>() {
            if !self.budget.spend(OCCURRENCE) {
                return;
            }
            if changed.leaves_out(event, start) {
                continue;
            }
            match changed.replaced_since(start) {
                None if event.busy => self.add(start, length.unwrap_or(event.length)),
                Some((from, part)) if part.busy => {
                    let since = start.wall - from.instant().with_timezone(&start.zone).naive_local();
                    self.add(part.start.at(part.start.wall + since), part.length);
                }
                _ => {}
            }
        }
    }

    /// What the clock shows when an event occurs, as far as it bears on the window.
    fn walls(&mut self, event: &Event) -> BTreeSet<NaiveDateTime> {
        // Zones differ by up to a day from UTC, in which the window is.
        let from = self.window.start.naive_utc() - event.length.at_most() - TimeDelta::days(1);
        let to = self.window.end.naive_utc() + TimeDelta::days(1);
        let mut walls = BTreeSet::from([event.start.wall]);
        for text in &event.rules {
            // A rule that takes nothing but its reading is paid for too.
            if !self.budget.spend(OCCURRENCE + text.len()) {
                break;
            }
            match Rule::parse(text, event.start) {
                Some(rule) => walls.extend(rule.occurrences(from, to, MOST_OF_ONE, &mut self.budget)),
                None => self.skipped += 1,
            }
        }
        walls
    }
}

/// What was changed of an event: single occurrences, and all from some of them on.
struct Changed<'a> {
    instants: HashSet<DateTime<Utc>>,
    dates: HashSet<NaiveDate>,
    /// By the instant from which on they hold.
    later: Vec<(DateTime<Utc>, Moment, &'a Event)>,
}

impl<'a> Changed<'a> {
    fn of(parts: &'a [Event]) -> Self {
        let single = parts.iter().filter_map(|part| part.instead_of.filter(|(_, later)| !later));
        let out: Vec<Moment> =
            single.map(|(moment, _)| moment).chain(parts.iter().flat_map(|part| part.except.iter().copied())).collect();
        let mut later: Vec<_> = parts
            .iter()
            .filter_map(|part| part.instead_of.filter(|(_, later)| *later).map(|(moment, _)| (moment, part)))
            .map(|(moment, part)| (moment.instant(), moment, part))
            .collect();
        later.sort_by_key(|(from, ..)| *from);
        Self {
            instants: out.iter().filter(|moment| !moment.is_date).map(|moment| moment.instant()).collect(),
            dates: out.iter().filter(|moment| moment.is_date).map(|moment| moment.wall.date()).collect(),
            later,
        }
    }

    /// Some name an occurrence at a time by its date alone.
    fn leaves_out(&self, event: &Event, start: Moment) -> bool {
        self.dates.contains(&start.wall.date()) || self.instants.contains(&start.instant())
            // And some name that of a date by its midnight, in whatever zone.
            || (event.start.is_date && self.instants.contains(&start.wall.and_utc()))
    }

    /// What the occurrence at `start` and all later ones were changed to, and the one that this was said of.
    fn replaced_since(&self, start: Moment) -> Option<(Moment, &'a Event)> {
        let start = start.instant();
        let begun = self.later.partition_point(|(from, ..)| *from <= start);
        self.later.get(begun.checked_sub(1)?).map(|(_, from, part)| (*from, *part))
    }
}
