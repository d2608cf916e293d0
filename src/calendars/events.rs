//! What an event says of itself, out of its properties.

use chrono::{DateTime, NaiveDateTime, NaiveTime, TimeDelta, Utc};

use super::parsing::MAX_ID;
use super::property::Property;
use super::recurring::{Budget, OCCURRENCE, Rule};
use super::times::{End, Length, Moment, date_of, length, pieces, wall};
use super::zones::{Clock, Ids};

/// More dates of one event are not kept.
const MOST_DATES: usize = 5_000;
/// A longer UID is known by its beginning and its end.
const LONGEST_UID: usize = 500;
/// No way to an event takes longer, in seconds.
const LONGEST_WAY: i64 = 86_400;
/// So long after its time, what was said of an occurrence bears on nothing: those that last longer stay busy.
const CHANGED: TimeDelta = TimeDelta::days(60);

/// What is to come later than this after what is over bears on nothing either.
const AHEAD: TimeDelta = TimeDelta::days(420);

/// An event, or what one occurrence of it was changed to.
#[derive(Debug)]
pub struct Event {
    /// What all parts of one event share.
    pub uid: String,
    /// When it starts.
    pub start: Moment,
    /// When it ends.
    pub end: End,
    /// How many seconds the way there takes.
    pub way: i64,
    /// Whether it keeps its owner busy: it is neither cancelled nor transparent nor declined.
    pub is_busy: bool,
    /// Whether it is a day, or days, without a time.
    pub is_all_day: bool,
    /// Whether it was called off, itself.
    pub is_called_off: bool,
    /// Rules by which it occurs again (RRULE).
    pub rules: Vec<String>,
    /// Further occurrences; some have an end of their own.
    pub extra: Vec<(Moment, Option<End>)>,
    /// Occurrences that do not take place.
    pub except: Vec<Moment>,
    /// The occurrence that this one takes the place of, and whether of all later ones too.
    pub instead_of: Option<(Moment, bool)>,
    /// Which version of the event it is.
    pub version: Version,
    /// Whether all that was said could be understood.
    pub is_sound: bool,
}

/// A version: the later one counts (RFC 5546, section 2.1.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// Its number.
    pub sequence: i64,
    /// When it was written, in seconds.
    stamp: Option<i64>,
    /// Whether its calendar calls the event off.
    pub is_cancelling: bool,
}

impl Version {
    /// Whether it surely takes the place of `other`. Two that are alike may be two events that share an id by mistake.
    pub fn is_later_than(self, other: Self) -> bool {
        let stamps = match (self.stamp, other.stamp) {
            (Some(mine), Some(others)) => mine.cmp(&others),
            _ => std::cmp::Ordering::Equal,
        };
        self.sequence.cmp(&other.sequence).then(stamps).then(self.is_cancelling.cmp(&other.is_cancelling)).is_gt()
    }
}

impl Event {
    /// Calls the event off, as its calendar does.
    pub fn call_off(&mut self) {
        (self.is_busy, self.is_called_off, self.version.is_cancelling) = (false, true, true);
    }

    /// About how many bytes it takes.
    pub fn weight(&self) -> usize {
        let dates = self.extra.len() * size_of::<(Moment, Option<End>)>() + self.except.len() * size_of::<Moment>();
        let rules: usize = self.rules.iter().map(|rule| rule.len() + size_of::<String>()).sum();
        size_of::<Self>() + self.uid.len() + dates + rules
    }

    /// When it ends by its own clock, at the latest.
    fn ends_by(&self, start: NaiveDateTime) -> NaiveDateTime {
        start + self.lasts_at_most()
    }

    fn lasts_at_most(&self) -> TimeDelta {
        let days = |days: i64| TimeDelta::days(days.clamp(0, 4_000_000));
        match self.end {
            End::After(length) => days(length.days) + days(length.seconds / 86_400) + TimeDelta::days(2),
            End::At(end) => (end.wall - self.start.wall).max(TimeDelta::zero()) + TimeDelta::days(2),
            End::Unclear => TimeDelta::days(2),
        }
    }

    /// Whether nothing of it is left at `over`. Where that is not worth finding out, it is taken to be there.
    pub fn is_over(&self, over: NaiveDateTime, budget: &mut Budget) -> bool {
        match self.instead_of {
            Some((_, true)) => return false,
            Some((moment, false)) if moment.wall + CHANGED >= over => return false,
            _ => {}
        }
        let is_before = |start: NaiveDateTime| self.ends_by(start) < over;
        is_before(self.start.wall)
            && self.extra.is_empty()
            && self.rules.iter().all(|text| {
                let local = |instant: DateTime<Utc>| instant.naive_utc() + TimeDelta::days(1);
                let from = over - self.lasts_at_most() - TimeDelta::days(2);
                budget.spend(OCCURRENCE + text.len())
                    && Rule::parse(text, self.start.wall, self.start.is_date, &local)
                        .is_some_and(|rule| rule.is_over(from, over + AHEAD, budget))
            })
    }
}

/// The properties of one component.
pub struct Said<'a> {
    /// In their order.
    pub properties: &'a [Property],
    /// The clocks of the calendar.
    pub ids: &'a mut Ids,
    /// Whether more was said than is kept.
    pub is_cut: bool,
}

impl<'a> Said<'a> {
    fn all(&self, name: &'static str) -> impl Iterator<Item = &'a Property> + use<'a> {
        self.properties.iter().filter(move |property| property.name == name)
    }

    /// Whether it is said, and nothing else beside it.
    fn is(&self, name: &'static str, value: &str) -> bool {
        let mut said = self.all(name).peekable();
        said.peek().is_some() && said.all(|property| property.value.eq_ignore_ascii_case(value))
    }

    /// The first one that can be read; an error where there are some and none can.
    fn moment(&mut self, name: &'static str) -> Result<Option<Moment>, ()> {
        let mut all = self.all(name).peekable();
        if all.peek().is_none() {
            return Ok(None);
        }
        all.find_map(|property| moment(property, &property.value, self.ids)).map(Some).ok_or(())
    }

    /// When it starts, and whether that was told soundly: where the time of day is not known, the day is.
    fn start(&mut self) -> Option<(Moment, bool)> {
        if let Ok(Some(start)) = self.moment("DTSTART") {
            return Some((start, true));
        }
        let day = self.all("DTSTART").find_map(|property| date_of(&property.value));
        let day = day.or_else(|| self.all("DTEND").find_map(|property| date_of(&property.value)))?;
        Some((Moment { wall: day.and_time(NaiveTime::MIN), clock: Clock::Home, is_date: true }, false))
    }

    fn end(&mut self, start: Moment) -> End {
        let none = Length::days(start.is_date.into());
        match self.moment("DTEND") {
            Ok(Some(end)) => return End::At(end.beside(start)),
            Err(()) => return End::Unclear,
            Ok(None) => {}
        }
        let mut durations = self.all("DURATION").peekable();
        match durations.peek() {
            // A date is the whole day; a time without an end takes none.
            None => End::After(none),
            Some(_) => durations.find_map(|duration| length(&duration.value)).map_or(End::Unclear, End::After),
        }
    }

    /// The event, without those of its dates that are long over. None where nothing tells its day.
    pub fn event(&mut self, over: NaiveDateTime) -> Option<Event> {
        let (start, has_start) = self.start()?;
        let end = if has_start { self.end(start) } else { End::Unclear };
        let and_later = self.all("RECURRENCE-ID").any(|property| property.has("RANGE", "THISANDFUTURE"));
        let (instead_of, has_place) = match self.moment("RECURRENCE-ID") {
            Ok(moment) => (moment.map(|moment| (moment, and_later)), true),
            // It is one occurrence, whichever it takes the place of.
            Err(()) => (Some((start, false)), false),
        };
        let is_called_off = self.is("STATUS", "CANCELLED");
        let is_free = self.is("TRANSP", "TRANSPARENT") || self.is("X-MICROSOFT-CDO-BUSYSTATUS", "FREE");
        let is_declined = self.all("ATTENDEE").next().is_some();
        let (except, _) = self.dates("EXDATE", start, over);
        let (mut extra, has_extra) = self.dates("RDATE", start, over);
        let mut event = Event {
            uid: self.all("UID").next().map(|uid| short(uid.value.trim())).unwrap_or_default(),
            start,
            end,
            way: self.all("X-APPLE-TRAVEL-DURATION").find_map(|way| length(&way.value)).map_or(0, seconds),
            is_busy: !is_called_off && !is_free && !is_declined,
            is_all_day: start.is_date || self.is("X-MICROSOFT-CDO-ALLDAYEVENT", "TRUE"),
            is_called_off,
            rules: self.all("RRULE").map(|rule| rule.value.trim().to_owned()).collect(),
            extra: Vec::new(),
            except: except.into_iter().map(|(moment, _)| moment).collect(),
            instead_of,
            version: self.version(),
            is_sound: has_start && has_place && has_extra && end != End::Unclear,
        };
        extra.retain(|(moment, end)| end.is_some() || event.ends_by(moment.wall) >= over);
        event.extra = extra;
        Some(event)
    }

    fn version(&self) -> Version {
        let stamp = self.all("DTSTAMP").find_map(|stamp| wall(stamp.value.trim()));
        Version {
            sequence: self.all("SEQUENCE").find_map(|number| number.value.trim().parse().ok()).unwrap_or(0),
            stamp: stamp.map(|(wall, _)| wall.and_utc().timestamp()),
            is_cancelling: false,
        }
    }

    /// Dates, times and periods, of which a property may list many, and whether all could be read. What is long over is left out.
    fn dates(&mut self, name: &'static str, start: Moment, over: NaiveDateTime) -> (Vec<(Moment, Option<End>)>, bool) {
        let (mut found, mut is_sound) = (Vec::new(), true);
        // Those of an event that lasts longer stay, since its length is not known here.
        let long_over = over - TimeDelta::days(3_660);
        for property in self.all(name) {
            for value in pieces(&property.value) {
                let read = match value.contains('/') {
                    true => period(property, value, self.ids).map(|(moment, end)| (moment, Some(end))),
                    false => moment(property, value, self.ids).map(|moment| (moment, None)),
                };
                match read {
                    Some((moment, _)) if moment.wall < long_over => {}
                    Some(_) if found.len() >= MOST_DATES => self.is_cut = true,
                    Some((moment, end)) => found.push((moment.beside(start), end)),
                    None => is_sound = false,
                }
            }
        }
        (found, is_sound)
    }

    /// The busy periods that are listed and are not over, and whether all could be read.
    pub fn periods(&mut self, over: NaiveDateTime) -> (Vec<(Moment, End)>, bool) {
        let (mut found, mut is_sound) = (Vec::new(), true);
        for property in self.all("FREEBUSY").filter(|property| !property.has("FBTYPE", "FREE")) {
            for value in pieces(&property.value) {
                match period(property, value, self.ids) {
                    Some((start, End::At(end))) if start.wall.max(end.wall) < over => {}
                    Some((start, End::After(length)))
                        if length.days < 100 && length.seconds < 8_640_000 && start.wall + length.at_most() < over => {}
                    Some(period) => found.push(period),
                    None => is_sound = false,
                }
            }
        }
        (found, is_sound)
    }
}

fn seconds(length: Length) -> i64 {
    length.days.saturating_mul(86_400).saturating_add(length.seconds).clamp(0, LONGEST_WAY)
}

fn short(uid: &str) -> String {
    if uid.len() <= LONGEST_UID {
        return uid.to_owned();
    }
    let chars: Vec<char> = uid.chars().collect();
    let (first, last) =
        (chars.iter().take(LONGEST_UID / 2), chars.iter().skip(chars.len().saturating_sub(LONGEST_UID / 2)));
    first.chain(last).collect()
}

/// A date or a time: in UTC, in the zone that the property names, or on no clock that is said.
fn moment(property: &Property, value: &str, ids: &mut Ids) -> Option<Moment> {
    let value = value.trim();
    let (wall, is_date) = wall(value)?;
    let clock = match property.parameter("TZID") {
        _ if is_date => Clock::Home,
        _ if value.ends_with(['Z', 'z']) => Clock::Utc,
        Some(id) if !id.trim().is_empty() => ids.clock(id.get(..MAX_ID).unwrap_or(id).trim()),
        _ => Clock::Floating,
    };
    Some(Moment { wall, clock, is_date })
}

/// `start/end` or `start/duration`.
fn period(property: &Property, value: &str, ids: &mut Ids) -> Option<(Moment, End)> {
    let (start, end) = value.split_once('/')?;
    let start = moment(property, start, ids)?;
    let end = match length(end) {
        Some(length) => End::After(length),
        None => End::At(moment(property, end, ids)?),
    };
    Some((start, end))
}
