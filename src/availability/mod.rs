//! Availability: when a visit may start. One pure function decides, for the slot list, for every booking and for
//! every acceptance, so that what is offered can be booked and nothing else can.

pub mod calendar;
pub mod intervals;
pub mod routes;
pub mod schedule;
mod slots;
mod store;
pub mod travel;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;

pub use store::{Asked, diaries, lock};

use crate::credentials::{Required, Requirement, Standing, relied_on};
use crate::error::Refusal;
use crate::ids::{BookingId, TherapistId};
use crate::therapists::TravelMode;
use crate::values::Point;
use calendar::Hours;
use intervals::Span;

/// Days around a start whose reservations can matter: travel is at most half a day, a visit less than six hours.
pub const MARGIN: TimeDelta = TimeDelta::days(2);

/// Everything about one therapist that bears on whether a visit may start.
#[derive(Clone, Debug)]
pub struct Diary {
    /// Whose it is.
    pub therapist: TherapistId,
    /// The zone of the working hours.
    pub zone: Tz,
    /// Working hours.
    pub hours: Hours,
    /// Time off, in any order.
    pub time_off: Vec<Span>,
    /// Live reservations, in order.
    pub reservations: Vec<Reservation>,
    /// Verified credentials.
    pub standings: Vec<Standing>,
    /// Whether the service and duration that are asked for are offered.
    pub offered: bool,
    /// Whether one of the two, the therapist and the client who asks, has blocked the other.
    pub blocked: bool,
    /// The therapist's own rules.
    pub rules: Rules,
}

/// The rules that a therapist sets.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether bookings are accepted at all.
    pub accepting: bool,
    /// Where the therapist works, once told: the public area around the base, so that no list of answers finds the base.
    pub base: Option<Point>,
    /// Kilometres from there.
    pub radius_km: f64,
    /// How the therapist gets about.
    pub mode: TravelMode,
    /// Minutes from now to the soonest start.
    pub min_notice_minutes: i32,
    /// Days from now to the last start.
    pub max_advance_days: i32,
    /// Minutes at the place before the time on the table.
    pub setup_minutes: i32,
    /// Minutes at the place after the time on the table.
    pub packup_minutes: i32,
    /// Minutes of wall-clock time between starts.
    pub slot_interval_minutes: i32,
    /// The most visits on one local date.
    pub daily_cap: Option<i32>,
}

/// Time that is taken.
#[derive(Clone, Copy, Debug)]
pub struct Reservation {
    /// From set-up to pack-up.
    pub during: Span,
    /// When the time on the table begins.
    pub start_at: DateTime<Utc>,
    /// Where it is.
    pub place: Point,
    /// The booking behind it; a hold has none.
    pub booking: Option<BookingId>,
}

/// What is asked for, but for when.
#[derive(Clone, Debug)]
pub struct Visit<'a> {
    /// Where it is.
    pub place: Point,
    /// The zone at that place.
    pub zone: Tz,
    /// Minutes on the table.
    pub minutes: i32,
    /// What the place requires.
    pub required: &'a Required,
    /// A booking whose own time counts as free.
    pub except: Option<BookingId>,
}

/// A rule that refuses a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// No bookings are accepted.
    NotAccepting,
    /// One of the two has blocked the other.
    Blocked,
    /// The service or duration is not offered.
    NotOffered,
    /// The place is too far from the base.
    OutsideArea,
    /// A required credential is not usable for the whole visit.
    Credentials,
    /// Too soon.
    Notice,
    /// Too far ahead.
    Horizon,
    /// Not at a time at which visits start.
    Grid,
    /// Not within the working hours.
    Hours,
    /// During time off.
    TimeOff,
    /// During another visit.
    Taken,
    /// The visit before or after cannot be reached from here, or here from there.
    Travel,
    /// As many visits on that date as the therapist wants.
    DailyCap,
}

impl From<Rule> for Refusal {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::NotAccepting => Self::NotAcceptingBookings,
            Rule::Blocked => Self::Blocked,
            Rule::NotOffered => Self::ServiceNotOffered,
            Rule::OutsideArea => Self::OutsideServiceArea,
            Rule::Credentials => Self::CredentialNotValid,
            Rule::Notice => Self::NoticeTooShort,
            Rule::Horizon => Self::BeyondHorizon,
            Rule::Grid | Rule::Hours | Rule::TimeOff | Rule::Taken | Rule::Travel | Rule::DailyCap => {
                Self::SlotUnavailable
            }
        }
    }
}

/// Decides on starts of one visit with one therapist. What holds for every start is worked out once.
pub struct Engine<'a> {
    diary: &'a Diary,
    visit: &'a Visit<'a>,
    now: DateTime<Utc>,
    windows: Vec<Span>,
    travel: Vec<i32>,
    general: Result<(), Rule>,
}

impl<'a> Engine<'a> {
    /// For starts within `span`. The diary must hold what lies within [`MARGIN`] of it.
    pub fn new(diary: &'a Diary, visit: &'a Visit<'a>, span: Span, now: DateTime<Utc>) -> Self {
        let within = Span { start: span.start, end: span.end + TimeDelta::minutes(visit.minutes.into()) };
        let travel = diary.reservations.iter().map(|r| travel::minutes(diary.rules.mode, r.place, visit.place));
        Self {
            windows: diary.hours.windows(diary.zone, within),
            travel: travel.collect(),
            general: general(diary, visit),
            diary,
            visit,
            now,
        }
    }

    /// Whether the visit may start at `start`; the first rule that refuses it, if not.
    pub fn decide(&self, start: DateTime<Utc>) -> Result<(), Rule> {
        let rules = &self.diary.rules;
        self.general?;
        if start < self.now + TimeDelta::minutes(rules.min_notice_minutes.into()) {
            return Err(Rule::Notice);
        }
        if start > self.now + TimeDelta::days(rules.max_advance_days.into()) {
            return Err(Rule::Horizon);
        }
        if self.relied_on(start).is_none() {
            return Err(Rule::Credentials);
        }
        if !calendar::on_grid(self.diary.zone, rules.slot_interval_minutes, start) {
            return Err(Rule::Grid);
        }
        let table = Span::of_minutes(start, self.visit.minutes);
        let window = self.windows.partition_point(|window| window.end <= start);
        if !self.windows.get(window).is_some_and(|window| window.contains(table)) {
            return Err(Rule::Hours);
        }
        let occupied = table.widened(rules.setup_minutes, rules.packup_minutes);
        if self.diary.time_off.iter().any(|off| off.overlaps(occupied)) {
            return Err(Rule::TimeOff);
        }
        self.fits_between(occupied)?;
        let date = calendar::local_date(self.diary.zone, start);
        if rules.daily_cap.is_some_and(|cap| self.visits_on(date) >= cap) {
            return Err(Rule::DailyCap);
        }
        Ok(())
    }

    /// The starts within `span` at which the visit may begin, in order.
    pub fn starts(&self, span: Span) -> Vec<DateTime<Utc>> {
        if self.general.is_err() {
            return Vec::new();
        }
        let interval = self.diary.rules.slot_interval_minutes;
        let candidates = self.windows.iter().flat_map(|window| {
            let part = Span { start: window.start.max(span.start), end: window.end.min(span.end) };
            if part.start < part.end { calendar::grid(self.diary.zone, interval, part) } else { Vec::new() }
        });
        candidates.filter(|start| self.decide(*start).is_ok()).collect()
    }

    /// The credentials that a visit at `start` relies on, one for each group; none where one is missing.
    pub fn relied_on(&self, start: DateTime<Utc>) -> Option<Vec<(&Requirement, &Standing)>> {
        let (first, last) = calendar::dates_of(self.visit.zone, Span::of_minutes(start, self.visit.minutes));
        relied_on(self.visit.required, &self.diary.standings, first, last)
    }

    fn others(&self) -> impl Iterator<Item = (&Reservation, i32)> {
        let own = self.visit.except;
        let all = self.diary.reservations.iter().zip(self.travel.iter().copied());
        all.filter(move |(other, _)| own.is_none() || other.booking != own)
    }

    /// Nothing else is there, and the neighbours on both sides can be reached in time.
    fn fits_between(&self, occupied: Span) -> Result<(), Rule> {
        if self.others().any(|(other, _)| other.during.overlaps(occupied)) {
            return Err(Rule::Taken);
        }
        let before = self.others().filter(|(other, _)| other.during.end <= occupied.start).last();
        let after = self.others().find(|(other, _)| other.during.start >= occupied.end);
        let reached = |gap: TimeDelta, minutes: i32| gap >= TimeDelta::minutes(minutes.into());
        let in_time = before.is_none_or(|(other, travel)| reached(occupied.start - other.during.end, travel))
            && after.is_none_or(|(other, travel)| reached(other.during.start - occupied.end, travel));
        if in_time { Ok(()) } else { Err(Rule::Travel) }
    }

    fn visits_on(&self, date: NaiveDate) -> i32 {
        let zone = self.diary.zone;
        let count = self.others().filter(|(other, _)| calendar::local_date(zone, other.start_at) == date).count();
        i32::try_from(count).unwrap_or(i32::MAX)
    }
}

/// The rules that hold whenever the visit starts.
fn general(diary: &Diary, visit: &Visit<'_>) -> Result<(), Rule> {
    let rules = &diary.rules;
    if !rules.accepting {
        return Err(Rule::NotAccepting);
    }
    if diary.blocked {
        return Err(Rule::Blocked);
    }
    if !diary.offered {
        return Err(Rule::NotOffered);
    }
    let within = |base: Point| base.distance_km(visit.place) <= rules.radius_km;
    if rules.base.is_some_and(within) { Ok(()) } else { Err(Rule::OutsideArea) }
}
