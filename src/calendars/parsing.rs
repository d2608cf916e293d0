//! Reads the text of a calendar (RFC 5545), as far as it tells when someone is busy. What the events are about is never looked at.
//!
//! The components are followed here, line by line and without recursion, and only the lines that matter are handed to the parser: a
//! title that it cannot read spoils nothing, and no depth of nesting can fill the stack.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use icalendar::parser::{Property, unfold};

use super::Fault;
use super::zones::{self, Zones};

/// More components than this within each other are no calendar.
const DEEPEST: usize = 8;
/// More events are not read.
const MOST_EVENTS: usize = 20_000;
/// More dates of one event are not read.
const MOST_DATES: usize = 5_000;

/// What was found in a calendar.
#[derive(Debug, Default)]
pub struct Found {
    /// The events, free ones too: they may take the place of busy ones.
    pub events: Vec<Event>,
    /// Busy periods without an event (VFREEBUSY).
    pub periods: Vec<(Moment, Length)>,
    /// How many events could not be read.
    pub skipped: usize,
    /// Whether there was more than is read.
    pub cut: bool,
}

/// An event, or what one occurrence of it was changed to.
#[derive(Debug)]
pub struct Event {
    /// What all parts of one event share.
    pub uid: String,
    /// When it starts.
    pub start: Moment,
    /// How long it lasts.
    pub length: Length,
    /// Whether it keeps its owner busy: it is neither cancelled nor transparent.
    pub busy: bool,
    /// Rules by which it occurs again (RRULE).
    pub rules: Vec<String>,
    /// Further occurrences; some have a length of their own.
    pub extra: Vec<(Moment, Option<Length>)>,
    /// Occurrences that do not take place.
    pub except: Vec<Moment>,
    /// The occurrence that this one takes the place of, and whether of all later ones too.
    pub instead_of: Option<(Moment, bool)>,
}

/// A time by the clock of a zone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// What the clock shows; midnight where it is a date.
    pub wall: NaiveDateTime,
    /// Whose clock.
    pub zone: Tz,
    /// Whether the date alone was given.
    pub is_date: bool,
}

impl Moment {
    /// The instant. Of two the first; a time that the clock skips is counted on from before the gap (RFC 5545, section 3.3.5).
    pub fn instant(self) -> DateTime<Utc> {
        zones::instant(self.zone, self.wall)
    }

    /// The same clock at another time.
    pub fn at(self, wall: NaiveDateTime) -> Self {
        Self { wall, ..self }
    }
}

/// How long an event lasts: days of the calendar, which a change of clocks may lengthen, and exact time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Length {
    /// Days by the calendar.
    pub days: i64,
    /// Seconds besides.
    pub seconds: i64,
}

impl Length {
    /// No event is taken to last longer.
    const LONGEST: i64 = 3660;

    fn checked(self) -> Option<Self> {
        let sound = self.days >= 0 && self.seconds >= 0;
        let short = self.days <= Self::LONGEST && self.seconds <= Self::LONGEST * 86_400;
        (sound && short).then_some(self)
    }

    /// When what starts at `start` ends.
    pub fn after(self, start: Moment) -> DateTime<Utc> {
        start.at(start.wall + TimeDelta::days(self.days)).instant() + TimeDelta::seconds(self.seconds)
    }

    /// At most so long, whatever the clocks do.
    pub fn at_most(self) -> TimeDelta {
        TimeDelta::days(self.days + 1) + TimeDelta::seconds(self.seconds)
    }
}

/// Reads `text`. What has no zone is in `home`'s.
///
/// # Errors
/// `not_a_calendar` where it is none, or is not whole: half a calendar would leave the other half free.
pub fn read(text: &str, home: Tz) -> Result<Found, Fault> {
    let text = unfold(text.trim_start_matches('\u{FEFF}'));
    let lines = || text.lines().map(str::trim_end).filter(|line| is_read(line));
    let zones = Zones::declared(home, lines());
    let mut reader =
        Reader { zones: &zones, found: Found::default(), path: Vec::new(), properties: Vec::new(), whole: false };
    for line in lines() {
        reader.line(line)?;
    }
    if reader.path.is_empty() && reader.whole { Ok(reader.found) } else { Err(Fault::NotACalendar) }
}

/// The lines that matter, by their name.
fn is_read(line: &str) -> bool {
    const READ: [&str; 15] = [
        "BEGIN",
        "END",
        "UID",
        "DTSTART",
        "DTEND",
        "DURATION",
        "RRULE",
        "RDATE",
        "EXDATE",
        "RECURRENCE-ID",
        "STATUS",
        "TRANSP",
        "FREEBUSY",
        "TZID",
        "X-LIC-LOCATION",
    ];
    let name = line.split([':', ';']).next().unwrap_or(line);
    READ.iter().any(|read| read.eq_ignore_ascii_case(name))
}

struct Reader<'a> {
    zones: &'a Zones,
    found: Found,
    /// The components around the line, from the outside in.
    path: Vec<String>,
    /// What the innermost component of interest has said so far.
    properties: Vec<Property<'a>>,
    /// Whether a calendar has begun and ended.
    whole: bool,
}

impl<'a> Reader<'a> {
    fn line(&mut self, line: &'a str) -> Result<(), Fault> {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        if name.eq_ignore_ascii_case("BEGIN") {
            self.path.push(value.trim().to_ascii_uppercase());
            if self.path.len() > DEEPEST || self.path.first().is_some_and(|root| root != "VCALENDAR") {
                return Err(Fault::NotACalendar);
            }
        } else if name.eq_ignore_ascii_case("END") {
            self.end(&value.trim().to_ascii_uppercase())?;
        } else if matches!(self.inside(), Some("VEVENT" | "VFREEBUSY")) {
            // A line that cannot be read is like one that is missing; what matters is asked for below.
            self.properties.extend(Property::try_from(line).ok());
        }
        Ok(())
    }

    /// The component that a line describes; an alarm within an event is not the event.
    fn inside(&self) -> Option<&str> {
        match self.path.as_slice() {
            [_, component] => Some(component),
            _ => None,
        }
    }

    fn end(&mut self, component: &str) -> Result<(), Fault> {
        let properties = match self.inside() {
            Some("VEVENT" | "VFREEBUSY") => std::mem::take(&mut self.properties),
            _ => Vec::new(),
        };
        let described = self.inside() == Some(component);
        if self.path.pop().as_deref() != Some(component) {
            return Err(Fault::NotACalendar);
        }
        self.whole |= self.path.is_empty();
        let said = Said { properties, zones: self.zones };
        match component {
            "VEVENT" | "VFREEBUSY" if self.found.events.len() + self.found.periods.len() >= MOST_EVENTS => {
                self.found.cut = true;
            }
            "VEVENT" if described => match said.event() {
                Some(event) => self.found.events.push(event),
                None => self.found.skipped += 1,
            },
            "VFREEBUSY" if described => match said.periods("FREEBUSY") {
                Some(periods) => self.found.periods.extend(periods.into_iter().take(MOST_DATES)),
                None => self.found.skipped += 1,
            },
            _ => {}
        }
        Ok(())
    }
}

/// The properties of one component.
struct Said<'a> {
    properties: Vec<Property<'a>>,
    zones: &'a Zones,
}

impl Said<'_> {
    fn all(&self, name: &str) -> impl Iterator<Item = &Property<'_>> {
        self.properties.iter().filter(move |property| property.name.as_str().eq_ignore_ascii_case(name))
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.all(name).any(|property| property.val.as_str().trim().eq_ignore_ascii_case(value))
    }

    /// None where the property is there and cannot be read.
    fn moment(&self, name: &str) -> Option<Option<Moment>> {
        self.all(name)
            .next()
            .map(|property| moment(property, property.val.as_str(), self.zones))
            .map_or(Some(None), |read| read.map(Some))
    }

    fn event(&self) -> Option<Event> {
        let start = self.moment("DTSTART")??;
        let length = match (self.moment("DTEND")?, self.all("DURATION").next()) {
            (Some(end), _) if start.is_date && end.is_date => {
                Length { days: (end.wall - start.wall).num_days(), seconds: 0 }
            }
            (Some(end), _) => Length { days: 0, seconds: (end.instant() - start.instant()).num_seconds() },
            (None, Some(duration)) => length(duration.val.as_str())?,
            // A date is the whole day; a time without an end takes none.
            (None, None) => Length { days: start.is_date.into(), seconds: 0 },
        };
        let instead_of = self.moment("RECURRENCE-ID")?;
        let and_later = || {
            self.all("RECURRENCE-ID").any(|property| {
                parameter(property, "RANGE").is_some_and(|range| range.eq_ignore_ascii_case("THISANDFUTURE"))
            })
        };
        Some(Event {
            uid: self.all("UID").next().map(|uid| uid.val.as_str().trim().to_owned()).unwrap_or_default(),
            start,
            length: length.checked()?,
            busy: !self.is("STATUS", "CANCELLED") && !self.is("TRANSP", "TRANSPARENT"),
            rules: self.all("RRULE").map(|rule| rule.val.as_str().trim().to_owned()).collect(),
            extra: self.dates("RDATE").collect(),
            except: self.dates("EXDATE").map(|(moment, _)| moment).collect(),
            instead_of: instead_of.map(|moment| (moment, and_later())),
        })
    }

    /// Dates, times and periods, of which a property may list many. One that cannot be read is left out.
    fn dates(&self, name: &str) -> impl Iterator<Item = (Moment, Option<Length>)> {
        self.values(self.all(name)).filter_map(|(property, value)| {
            if value.contains('/') {
                period(property, value, self.zones).map(|(start, length)| (start, Some(length)))
            } else {
                moment(property, value, self.zones).map(|start| (start, None))
            }
        })
    }

    /// The busy periods that properties of this name list.
    fn periods(&self, name: &str) -> Option<Vec<(Moment, Length)>> {
        let busy = self
            .all(name)
            .filter(|property| parameter(property, "FBTYPE").is_none_or(|kind| !kind.eq_ignore_ascii_case("FREE")));
        self.values(busy).map(|(property, value)| period(property, value, self.zones)).collect()
    }

    /// The values that properties list.
    fn values<'s>(
        &self,
        properties: impl Iterator<Item = &'s Property<'s>>,
    ) -> impl Iterator<Item = (&'s Property<'s>, &'s str)> {
        let listed =
            properties.flat_map(|property| property.val.as_str().split(',').map(move |value| (property, value)));
        listed.filter(|(_, value)| !value.trim().is_empty()).take(MOST_DATES)
    }
}

/// A parameter of a property.
pub(super) fn parameter<'a>(property: &'a Property<'_>, name: &str) -> Option<&'a str> {
    let named = property.params.iter().find(|parameter| parameter.key.as_str().eq_ignore_ascii_case(name));
    named.and_then(|parameter| parameter.val.as_ref()).map(|value| value.as_str().trim_matches('"'))
}

/// A date or a time: in UTC, in the zone that the property names, or in the owner's own.
fn moment(property: &Property<'_>, value: &str, zones: &Zones) -> Option<Moment> {
    let value = value.trim();
    let (wall, is_date) = wall(value)?;
    let zone = match parameter(property, "TZID") {
        _ if value.ends_with(['Z', 'z']) => Tz::UTC,
        Some(id) if !is_date => zones.named(id),
        _ => zones.home,
    };
    Some(Moment { wall, zone, is_date })
}

/// `20261201` or `20261201T093000`, and whether it is a date. A `Z` at its end is the caller's to heed.
pub(super) fn wall(value: &str) -> Option<(NaiveDateTime, bool)> {
    let value = value.strip_suffix(['Z', 'z']).unwrap_or(value);
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (date, time) = value.split_once(['T', 't']).map_or((value, None), |(date, time)| (date, Some(time)));
    if date.len() != 8 || !digits(date) || time.is_some_and(|time| time.len() != 6 || !digits(time)) {
        return None;
    }
    let number = |text: &str, from: usize, to: usize| text.get(from..to)?.parse::<u32>().ok();
    let year = date.get(..4)?.parse().ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(date, 4, 6)?, number(date, 6, 8)?)?;
    let time = match time {
        None => NaiveTime::MIN,
        // A leap second is the one before it.
        Some(time) => NaiveTime::from_hms_opt(number(time, 0, 2)?, number(time, 2, 4)?, number(time, 4, 6)?.min(59))?,
    };
    // Far from where any arithmetic ends.
    (1900..=2200).contains(&date.year()).then_some((date.and_time(time), value.len() == 8))
}

/// `start/end` or `start/duration`.
fn period(property: &Property<'_>, value: &str, zones: &Zones) -> Option<(Moment, Length)> {
    let (start, end) = value.split_once('/')?;
    let start = moment(property, start, zones)?;
    let length = match length(end.trim()) {
        Some(length) => length,
        None => Length { days: 0, seconds: (moment(property, end, zones)?.instant() - start.instant()).num_seconds() },
    };
    Some((start, length.checked()?))
}

/// `P1W`, `P1DT2H`, `PT90M`. One that goes backwards is none.
fn length(text: &str) -> Option<Length> {
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
        length = Length { days: length.days + count * days, seconds: length.seconds + count * seconds };
    }
    (number.is_empty() && text.len() > 1).then_some(length)
}
