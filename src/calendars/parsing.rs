//! Reads the text of a calendar (RFC 5545), as far as it tells when someone is busy. What the events are about is never looked at.
//!
//! It is read as a stream: the components are followed line by line and without recursion, what is over before the window is dropped
//! where it is met, and no more is kept than bears on the window. So a history of any length costs its reading and nothing else, and
//! no depth of nesting can fill the stack.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::Fault;
use super::events::{Event, Said, Version};
use super::expanding::window;
use super::lines::{Line, Lines};
use super::observances::{Declared, Observance};
use super::property::Property;
use super::recurring::Budget;
use super::times::{End, Moment};
use super::zones::{Ids, Zones};
use crate::values::{Span, Zone};

/// More components than this within each other are no calendar.
const DEEPEST: usize = 8;
/// More events that bear on the window are not kept.
const MOST_EVENTS: usize = 20_000;
/// More bytes of them are not kept, about.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// More lines of one component are not kept, or more bytes of them.
const MOST_LINES: usize = 10_000;
const MOST_OF_ONE: usize = 2 * 1024 * 1024;
/// More events that are over are not noted.
const MOST_NOTES: usize = 100_000;
/// More zones, and times of year of them, are not read.
const MOST_OBSERVANCES: usize = 5_000;
/// More steps are not taken to find what is over, and as many to learn when clocks change.
const MOST_STEPS: usize = 4_000_000;
/// So much later than a text that is half a day old may be over, whatever the zone.
const MARGIN: TimeDelta = TimeDelta::days(3);

/// Whose calendar it is.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Their zone: of dates, and of times without a zone.
    pub zone: Zone,
    /// Their address: invitations that it declined keep nobody busy.
    pub email: String,
    /// Whether days without a time keep them busy.
    pub has_busy_days: bool,
}

/// What was found in a calendar.
#[derive(Debug)]
pub struct Found {
    /// The events, free ones too: they may take the place of busy ones.
    pub events: Vec<Event>,
    /// Busy periods without an event (VFREEBUSY).
    pub periods: Vec<(Moment, End)>,
    /// What the clocks of the calendar mean.
    pub zones: Zones,
    /// How many events could not be read at all.
    pub skipped: usize,
    /// Whether there was more than is read.
    pub cut: bool,
}

/// Reads a calendar, as it comes.
#[derive(Debug)]
pub struct Reader {
    lines: Lines,
    parser: Parser,
}

impl Reader {
    /// For a calendar of `owner`, read at `now`.
    pub fn new(owner: Owner, now: DateTime<Utc>) -> Self {
        let window = window(now);
        let parser = Parser {
            owner,
            window,
            over: window.start.naive_utc() - MARGIN,
            ids: Ids::default(),
            floating: None,
            declared: Vec::new(),
            observances: 0,
            events: Vec::new(),
            periods: Vec::new(),
            notes: HashMap::new(),
            hasher: RandomState::new(),
            skipped: 0,
            cut: false,
            kept: 0,
            path: Vec::new(),
            properties: Vec::new(),
            taken: 0,
            is_small: false,
            first_event: 0,
            is_cancelling: false,
            is_whole: false,
            budget: Budget::new(MOST_STEPS, Duration::from_secs(600)),
        };
        Self { lines: Lines::default(), parser }
    }

    /// Reads the next bytes.
    ///
    /// # Errors
    /// `not_a_calendar` where that can be told already.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let Self { lines, parser } = self;
        lines.feed(bytes, |line| parser.line(&line))
    }

    /// What was found.
    ///
    /// # Errors
    /// `not_a_calendar` where it is none, or is not whole: half a calendar would leave the other half free.
    pub fn finish(mut self) -> Result<Found, Fault> {
        let Self { lines, parser } = &mut self;
        lines.finish(|line| parser.line(&line))?;
        self.parser.finish()
    }
}

/// What a line describes.
#[derive(Clone, Copy)]
enum Place {
    Calendar,
    Event,
    Zone,
    Observance,
    Elsewhere,
}

#[derive(Debug)]
struct Parser {
    owner: Owner,
    window: Span,
    /// What ends before, on whatever clock, is over.
    over: NaiveDateTime,
    ids: Ids,
    /// The calendar's own zone (X-WR-TIMEZONE).
    floating: Option<String>,
    declared: Vec<Declared>,
    observances: usize,
    events: Vec<Event>,
    periods: Vec<(Moment, End)>,
    /// The latest version of what is over: a version before it that is not over counts no more.
    notes: HashMap<u64, Version>,
    hasher: RandomState,
    skipped: usize,
    cut: bool,
    /// About how many bytes are kept.
    kept: usize,
    /// The components around the line, from the outside in.
    path: Vec<String>,
    /// What the innermost component of interest has said so far.
    properties: Vec<Property>,
    /// How many bytes that was.
    taken: usize,
    /// Whether the calendar writes names in small letters.
    is_small: bool,
    /// The first event of this calendar, of those that follow each other in one text.
    first_event: usize,
    /// Whether this calendar calls its events off (METHOD, RFC 5546).
    is_cancelling: bool,
    /// Whether a calendar has begun and ended.
    is_whole: bool,
    budget: Budget,
}

impl Parser {
    fn line(&mut self, line: &Line<'_>) -> Result<(), Fault> {
        self.cut |= line.is_cut;
        let property = Property::read(&String::from_utf8_lossy(line.bytes));
        match property.name.as_str() {
            "BEGIN" => return self.begin(&property, line.after_text),
            "END" => return self.end(&property, line.after_text),
            _ => {}
        }
        // In a text that was broken into lines, people write in small letters; a calendar in small letters has all its names so.
        let is_of_people = line.after_text && property.is_small != self.is_small && !property.is_of_times();
        match self.place() {
            _ if is_of_people => {}
            Place::Calendar => match property.name.as_str() {
                "METHOD" => self.is_cancelling = property.value.trim().eq_ignore_ascii_case("CANCEL"),
                "X-WR-TIMEZONE" if !property.value.trim().is_empty() && property.value.len() < MAX_ID => {
                    self.floating.get_or_insert_with(|| property.value.trim().to_owned());
                }
                _ => {}
            },
            Place::Event => self.keep(property, line.bytes.len()),
            Place::Zone | Place::Observance if self.observances > MOST_OBSERVANCES || self.kept > MOST_BYTES => {}
            Place::Zone => {
                self.kept += line.bytes.len();
                if let Some(zone) = self.declared.last_mut() {
                    zone.take(&property);
                }
            }
            Place::Observance => {
                self.kept += 2 * line.bytes.len();
                if let Some(observance) = self.declared.last_mut().and_then(|zone| zone.observances.last_mut()) {
                    observance.take(&property);
                }
            }
            Place::Elsewhere => {}
        }
        Ok(())
    }

    /// What a line describes; an alarm within an event is not the event.
    fn place(&self) -> Place {
        let component = |at: usize| self.path.get(at).map_or("", String::as_str);
        match (self.path.len(), component(1), component(2)) {
            (1, ..) => Place::Calendar,
            (2, "VEVENT" | "VFREEBUSY", _) => Place::Event,
            (2, "VTIMEZONE", _) => Place::Zone,
            (3, "VTIMEZONE", "STANDARD" | "DAYLIGHT") => Place::Observance,
            _ => Place::Elsewhere,
        }
    }

    fn keep(&mut self, property: Property, bytes: usize) {
        // Of a thousand guests the owner alone matters.
        if property.name == "ATTENDEE" && !self.is_owners_no(&property) {
            return;
        }
        if self.properties.len() < MOST_LINES && self.taken + bytes <= MOST_OF_ONE {
            self.taken += bytes;
            self.properties.push(property);
        } else {
            self.cut = true;
        }
    }

    /// Whether the owner declines.
    fn is_owners_no(&self, property: &Property) -> bool {
        let address = |text: &str| {
            let text = text.trim();
            let is_mail = text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("mailto:"));
            let address = if is_mail { text.get(7..).unwrap_or_default() } else { text };
            !address.is_empty() && address.trim().eq_ignore_ascii_case(&self.owner.email)
        };
        property.has("PARTSTAT", "DECLINED")
            && (address(&property.value) || property.parameter("EMAIL").is_some_and(address))
    }

    fn begin(&mut self, property: &Property, after_text: bool) -> Result<(), Fault> {
        let component = property.value.to_ascii_uppercase();
        // `BEGIN:at noon` and `BEGIN: 9am` are what somebody wrote.
        let is_name = component.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && component.starts_with(|c: char| c.is_ascii_alphabetic());
        if !self.path.is_empty() && (!is_name || (after_text && property.is_small != self.is_small)) {
            return Ok(());
        }
        match self.path.last().map(String::as_str) {
            None => {
                self.is_small = property.is_small;
                (self.first_event, self.is_cancelling) = (self.events.len(), false);
            }
            Some("VCALENDAR") if component == "VTIMEZONE" => {
                self.observances += 1;
                if self.observances <= MOST_OBSERVANCES {
                    self.declared.push(Declared::default());
                }
            }
            Some("VTIMEZONE") if matches!(component.as_str(), "STANDARD" | "DAYLIGHT") => {
                self.observances += 1;
                if let Some(zone) = self.declared.last_mut().filter(|_| self.observances <= MOST_OBSERVANCES) {
                    zone.observances.push(Observance::default());
                }
            }
            _ => {}
        }
        self.path.push(component);
        let is_calendar = self.path.len() <= DEEPEST && self.path.first().is_some_and(|root| root == "VCALENDAR");
        if is_calendar { Ok(()) } else { Err(Fault::NotACalendar) }
    }

    fn end(&mut self, property: &Property, after_text: bool) -> Result<(), Fault> {
        let component = property.value.to_ascii_uppercase();
        if !self.path.is_empty() && after_text && property.is_small != self.is_small {
            return Ok(());
        }
        if self.path.last() != Some(&component) {
            // `END:5 pm` is what somebody wrote; the end of something else is that of a calendar which is not whole.
            let is_name = component.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') && !component.is_empty();
            let is_known = self.path.contains(&component) || COMPONENTS.contains(&component.as_str());
            return if self.path.is_empty() || (is_name && is_known) { Err(Fault::NotACalendar) } else { Ok(()) };
        }
        self.path.pop();
        self.is_whole |= self.path.is_empty();
        if self.path.is_empty() && self.is_cancelling {
            for event in self.events.iter_mut().skip(self.first_event) {
                event.call_off();
            }
        }
        match component.as_str() {
            "VEVENT" if self.path.len() == 1 => self.event(),
            "VFREEBUSY" if self.path.len() == 1 => self.periods(),
            _ => {}
        }
        Ok(())
    }

    fn said(&mut self) -> Vec<Property> {
        self.taken = 0;
        std::mem::take(&mut self.properties)
    }

    fn event(&mut self) {
        let properties = self.said();
        let mut said = Said { properties: &properties, ids: &mut self.ids, is_cut: false };
        let event = said.event(self.over);
        self.cut |= said.is_cut;
        let Some(mut event) = event else {
            self.skipped += 1;
            return;
        };
        if event.is_all_day && !self.owner.has_busy_days {
            event.is_busy = false;
        }
        if event.is_over(self.over, &mut self.budget) {
            return self.note(&event);
        }
        self.kept += event.weight();
        if self.events.len() + self.periods.len() < MOST_EVENTS && self.kept + self.ids.weight() <= MOST_BYTES {
            self.events.push(event);
        } else {
            self.cut = true;
        }
    }

    fn periods(&mut self) {
        let properties = self.said();
        let mut said = Said { properties: &properties, ids: &mut self.ids, is_cut: false };
        let (periods, is_sound) = said.periods(self.over);
        self.skipped += usize::from(!is_sound);
        let room = MOST_EVENTS.saturating_sub(self.events.len() + self.periods.len());
        self.cut |= periods.len() > room;
        self.periods.extend(periods.into_iter().take(room));
    }

    /// Which version it is of what, without keeping it.
    fn key(&self, event: &Event) -> Option<u64> {
        (!event.uid.is_empty())
            .then(|| self.hasher.hash_one((&event.uid, event.instead_of.map(|(moment, _)| moment.wall))))
    }

    fn note(&mut self, event: &Event) {
        if let Some(key) = self.key(event)
            && (self.notes.len() < MOST_NOTES || self.notes.contains_key(&key))
        {
            let version = self.notes.entry(key).or_insert(event.version);
            if event.version.is_later_than(*version) {
                *version = event.version;
            }
        }
    }

    fn finish(mut self) -> Result<Found, Fault> {
        if !self.path.is_empty() || !self.is_whole {
            return Err(Fault::NotACalendar);
        }
        let mut events = std::mem::take(&mut self.events);
        events.retain(|event| {
            let noted = self.key(event).and_then(|key| self.notes.get(&key));
            noted.is_none_or(|noted| !noted.is_later_than(event.version))
        });
        let mut budget = Budget::new(MOST_STEPS, Duration::from_secs(2));
        let floating = self.floating.as_deref();
        let zones = Zones::of(self.owner.zone, floating, &self.ids, &self.declared, self.window, &mut budget);
        Ok(Found { events, periods: self.periods, zones, skipped: self.skipped, cut: self.cut })
    }
}

/// No id of a zone is longer, in bytes.
pub(super) const MAX_ID: usize = 256;

/// What may end within a calendar.
const COMPONENTS: [&str; 9] =
    ["VCALENDAR", "VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VTIMEZONE", "VALARM", "STANDARD", "DAYLIGHT"];
