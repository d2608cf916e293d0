//! From events to the stretches of time that they keep someone busy.
//!
//! Rules are followed on the clock's face, so that an event at nine stays at nine when the clocks change, and only then put into
//! the zone. A calendar can ask for any amount of work: what is walked, what is kept and the time that it takes are all bounded.

use crate::values::{Span, merged};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use rrule::{RRule, RRuleError, RRuleSet, Unvalidated};

use super::parsing::{Event, Found, Length, Moment, wall};

/// Days of the past that are kept: a visit is a few hours long.
const BACK: TimeDelta = TimeDelta::days(2);
/// Days ahead that are worked out.
const AHEAD: TimeDelta = TimeDelta::days(400);
/// More occurrences of one event are not walked.
const MOST_OF_ONE: usize = 10_000;
/// More occurrences of all events are not walked.
const MOST_OF_ALL: usize = 200_000;
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
    let mut walk = Walk {
        window,
        left: MOST_OF_ALL,
        begun: Instant::now(),
        spans: Vec::new(),
        cut: found.cut,
        skipped: found.skipped,
    };
    for (start, length) in found.periods {
        walk.add(start, length);
    }
    for parts in by_uid(found.events.into_iter().filter(|event| !own.contains(&event.uid))) {
        walk.event(&parts);
    }
    let mut spans: Vec<Span> = merged(walk.spans).into_iter().flat_map(pieces).collect();
    let cut = walk.cut || spans.len() > MOST_KEPT;
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
    /// Occurrences that may still be walked.
    left: usize,
    begun: Instant,
    spans: Vec<Span>,
    skipped: usize,
    cut: bool,
}

impl Walk {
    fn add(&mut self, start: Moment, length: Length) {
        let span =
            Span { start: start.instant().max(self.window.start), end: length.after(start).min(self.window.end) };
        if span.start < span.end {
            self.spans.push(span);
        }
    }

    /// One more step; no where there were enough of them.
    fn step(&mut self) -> bool {
        if self.left == 0 || self.begun.elapsed() > PATIENCE {
            self.cut = true;
            return false;
        }
        self.left -= 1;
        true
    }

    fn event(&mut self, parts: &[Event]) {
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
        let mut walls = BTreeSet::from([event.start.wall]);
        for text in &event.rules {
            match Rule::parse(text, event.start) {
                Some(rule) => self.follow(&rule, event, &mut walls),
                None => self.skipped += 1,
            }
        }
        walls
    }

    fn follow(&mut self, rule: &Rule, event: &Event, walls: &mut BTreeSet<NaiveDateTime>) {
        // Zones differ by up to a day from UTC, in which the window is.
        let from = self.window.start.naive_utc() - event.length.at_most() - TimeDelta::days(1);
        let to = self.window.end.naive_utc() + TimeDelta::days(1);
        // A rule that never comes true takes its time too.
        if !self.step() {
            return;
        }
        let set = match rule.set(event.start.wall, from) {
            Ok(Some(set)) => set,
            Ok(None) => return,
            Err(_) => {
                self.skipped += 1;
                return;
            }
        };
        for (count, wall) in set.limit().into_iter().map(|instant| instant.naive_utc()).enumerate() {
            if wall > to {
                return;
            }
            if count >= MOST_OF_ONE {
                self.cut = true;
                return;
            }
            if !self.step() {
                return;
            }
            if wall >= from {
                walls.insert(wall);
            }
        }
    }
}

/// What was changed of an event: single occurrences, and all from some of them on.
struct Changed<'a> {
    instants: HashSet<DateTime<Utc>>,
    dates: HashSet<NaiveDate>,
    later: Vec<(Moment, &'a Event)>,
}

impl<'a> Changed<'a> {
    fn of(parts: &'a [Event]) -> Self {
        let single = parts.iter().filter_map(|part| part.instead_of.filter(|(_, later)| !later));
        let out: Vec<Moment> =
            single.map(|(moment, _)| moment).chain(parts.iter().flat_map(|part| part.except.iter().copied())).collect();
        let mut later: Vec<(Moment, &Event)> = parts
            .iter()
            .filter_map(|part| part.instead_of.filter(|(_, later)| *later).map(|(moment, _)| (moment, part)))
            .collect();
        later.sort_by_key(|(moment, _)| moment.instant());
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
        self.later.iter().rev().find(|(from, _)| from.instant() <= start.instant()).copied()
    }
}

/// A rule, with its end by the clock of the event's zone.
struct Rule {
    rule: RRule<Unvalidated>,
    until: Option<NaiveDateTime>,
    /// The time between occurrences where it is always the same and nobody counts them: then the past need not be walked.
    stride: Option<TimeDelta>,
}

impl Rule {
    fn parse(text: &str, start: Moment) -> Option<Self> {
        let parts: Vec<(String, &str)> = text
            .split(';')
            .filter_map(|part| part.split_once('='))
            .map(|(name, value)| (name.trim().to_ascii_uppercase(), value.trim()))
            .collect();
        let said = |name: &str| parts.iter().find(|(said, _)| said == name).map(|(_, value)| *value);
        let interval: i64 = said("INTERVAL").map_or(Some(1), |interval| interval.parse().ok())?;
        let unit = match said("FREQ")?.to_ascii_uppercase().as_str() {
            "SECONDLY" => TimeDelta::seconds(1),
            "MINUTELY" => TimeDelta::minutes(1),
            "HOURLY" => TimeDelta::hours(1),
            "DAILY" => TimeDelta::days(1),
            "WEEKLY" => TimeDelta::weeks(1),
            _ => TimeDelta::zero(),
        };
        let stride = (1..=65_535).contains(&interval).then(|| unit * i32::try_from(interval).unwrap_or(1));
        let without_end =
            parts.iter().filter(|(name, _)| name != "UNTIL").map(|(name, value)| format!("{name}={value}"));
        Some(Self {
            rule: without_end.collect::<Vec<_>>().join(";").to_ascii_uppercase().parse().ok()?,
            until: match said("UNTIL") {
                Some(until) => Some(last(until, start)?),
                None => None,
            },
            stride: stride.filter(|stride| *stride > TimeDelta::zero() && said("COUNT").is_none()),
        })
    }

    /// The occurrences from `start`, or from near `from` where those before can be left out; none where the rule has ended.
    ///
    /// # Errors
    /// The rule contradicts itself.
    fn set(&self, start: NaiveDateTime, from: NaiveDateTime) -> Result<Option<RRuleSet>, RRuleError> {
        let start = match self.stride {
            Some(stride) if from - start > stride * 2 => {
                let strides = (from - start).num_seconds() / stride.num_seconds() - 1;
                start + TimeDelta::seconds(strides * stride.num_seconds())
            }
            _ => start,
        };
        // The clock's face, as if it were that of UTC: no change of clocks comes between.
        let face = |wall: NaiveDateTime| wall.and_utc().with_timezone(&rrule::Tz::Tz(Tz::UTC));
        let rule = match self.until {
            Some(until) if until < start => return Ok(None),
            Some(until) => self.rule.clone().until(face(until)),
            None => self.rule.clone(),
        };
        rule.build(face(start)).map(Some)
    }
}

/// The last time at which a rule lets an event occur, by the event's own clock.
fn last(until: &str, start: Moment) -> Option<NaiveDateTime> {
    // Some mean "for ever" by the year 9999.
    let Some((end, is_date)) = wall(until) else {
        let far = until.get(..4).and_then(|year| year.parse::<i32>().ok()).is_some_and(|year| year > 2200);
        return far
            .then(|| NaiveDate::from_ymd_opt(2200, 1, 1).map(|date| date.and_time(chrono::NaiveTime::MIN)))
            .flatten();
    };
    Some(match is_date {
        true if start.is_date => end,
        true => end + TimeDelta::seconds(86_399),
        false if start.is_date => end.date().and_time(chrono::NaiveTime::MIN),
        false if until.ends_with(['Z', 'z']) => end.and_utc().with_timezone(&start.zone).naive_local(),
        false => end,
    })
}
