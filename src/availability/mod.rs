//! Availability: when a visit may start. One pure function decides, for the slot list, for every booking and for
//! every acceptance, so that what is offered can be booked and nothing else can.

mod grid;
pub mod hints;
pub mod hours;
pub mod jobs;
mod past;
pub mod reservations;
pub mod routes;
pub mod schedule;
mod store;
mod stored;
mod time_off;
mod timetables;
pub mod travel;
pub mod unbookable;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

pub use store::{
    Enquiry, busy, diaries, fit, hours as hours_of, lengths, reserved, revisions, rulebook, settled_diaries, stored,
    zone,
};
pub use stored::{Reserved, Revision, StoredDiary};
pub use time_off::{NOTE as TIME_OFF_NOTE, UNFIT_WITHIN, VisitsInTimeOff, is_unfit};

use crate::care::VisitCare;
use crate::credentials::{Required, Requirement, Standing, relied_on};
use crate::error::Refusal;
use crate::ids::{BookingId, TherapistId};
use crate::personal::PersonalTable;
use crate::seals::{KeptIn, SealedColumn, SealedTable};
use crate::values::wall_clock::Face;
use crate::values::{BookingMode, Point, Rating, SlotAnchor, Span, TravelMode, Zone, merged, wall_clock};
use grid::Grid;
use hours::Hours;
use travel::{Journey, LONGEST_MINUTES, RoadTimes, Traffic, TravelMinutes};

/// What is kept of people here. Of hours, the dates from which they counted stay.
pub const PERSONAL: &[PersonalTable] = &[
    PersonalTable { order: "start_at DESC", ..PersonalTable::deleted("time_off", "therapist_id = $1") },
    PersonalTable { order: "date DESC", ..PersonalTable::deleted("overrides", "therapist_id = $1") },
    PersonalTable { order: "effective_from DESC", ..PersonalTable::deleted("weekly_windows", "therapist_id = $1") },
    PersonalTable { part: None, ..PersonalTable::kept("timetables", "therapist_id = $1", "dates without hours") },
    PersonalTable {
        part: None,
        ..PersonalTable::kept("reservations", "therapist_id = $1", "deleted two days after the time of each visit")
    },
    PersonalTable {
        part: None,
        ..PersonalTable::kept("hints", "therapist_id = $1", "made anew of what is kept of the therapist")
    },
    PersonalTable {
        part: None,
        ..PersonalTable::kept("hint_states", "therapist_id = $1", "numbers of what is made anew")
    },
];

/// The tables that keep something sealed.
pub const SEALED: &[SealedTable] = &[SealedTable {
    name: "time_off",
    columns: &[SealedColumn { bound_to: TIME_OFF_NOTE, row: "id", kept: KeptIn::Column("note_sealed") }],
}];

/// Days around a start whose reservations can matter: travel is at most half a day, a visit less than six hours.
pub const MARGIN: TimeDelta = TimeDelta::days(2);

/// Everything about one therapist that bears on whether a visit may start.
#[derive(Clone, Debug)]
pub struct Diary {
    /// Whose it is.
    pub therapist: TherapistId,
    /// The name that clients see.
    pub name: String,
    /// How clients rate them.
    pub rating: Rating,
    /// The zone of the working hours.
    pub zone: Zone,
    /// Working hours.
    pub hours: Hours,
    /// Time off, and when calendars elsewhere are busy, in any order.
    pub time_off: Vec<Span>,
    /// Live reservations, in order.
    pub reservations: Vec<Reservation>,
    /// Verified credentials.
    pub standings: Vec<Standing>,
    /// Whether a booking needs the therapist's yes.
    pub mode: BookingMode,
    /// Whether the service and duration that are asked for are offered.
    pub offered: bool,
    /// Whether one of the two, the therapist and the client who asks, has blocked the other.
    pub blocked: bool,
    /// The therapist's own rules.
    pub rules: Rules,
    /// Road times to and from the visit's place, where any are known.
    pub roads: RoadTimes,
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
    /// From where they are counted.
    pub slot_anchor: SlotAnchor,
    /// The most visits on one local date.
    pub daily_cap: Option<i32>,
}

impl Rules {
    /// From where starts are counted, and the minutes from one to the next.
    fn starts(&self) -> (SlotAnchor, i32) {
        (self.slot_anchor, self.slot_interval_minutes)
    }
}

/// Time that is taken.
#[derive(Clone, Copy, Debug)]
pub struct Reservation {
    /// From set-up to pack-up. Of a counter-offer, what its visit does not take up itself.
    pub during: Span,
    /// When the time on the table begins.
    pub start_at: DateTime<Utc>,
    /// Where it is.
    pub place: Point,
    /// What takes it.
    pub purpose: Purpose,
}

impl Reservation {
    /// The booking behind it; a hold has none.
    pub fn booking(&self) -> Option<BookingId> {
        match self.purpose {
            Purpose::Hold => None,
            Purpose::Visit(booking) | Purpose::CounterOffer(booking) => Some(booking),
        }
    }
}

/// What time is reserved for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A slot that a client holds.
    Hold,
    /// A booking.
    Visit(BookingId),
    /// Another time that is proposed for a booking, which has its own beside it.
    CounterOffer(BookingId),
}

impl Purpose {
    /// What time is reserved for that belongs to `booking` or to none, and is proposed for it or its own.
    const fn of(booking: Option<BookingId>, proposed: bool) -> Self {
        match (booking, proposed) {
            (None, _) => Self::Hold,
            (Some(booking), false) => Self::Visit(booking),
            (Some(booking), true) => Self::CounterOffer(booking),
        }
    }
}

/// What is asked for, but for when.
#[derive(Clone, Debug)]
pub struct Visit<'a> {
    /// Where it is.
    pub place: Point,
    /// The zone at that place.
    pub zone: Zone,
    /// Minutes on the table.
    pub minutes: i32,
    /// What the place requires.
    pub required: &'a Required,
    /// A booking whose own time counts as free, and what is proposed for it.
    pub except: Option<BookingId>,
    /// Whether it suits the person whom it is for; none where nothing is known or asked of them.
    pub care: Option<&'a VisitCare>,
}

/// A rule that refuses a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SlotRule)]
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
    /// It does not suit the person whom the visit is for. Only that person's own account asks so that it is weighed.
    Care,
    /// Too soon.
    Notice,
    /// Too far ahead.
    Horizon,
    /// Not at a time at which visits start.
    Grid,
    /// Not within the working hours.
    Hours,
    /// During time off, or while a calendar elsewhere is busy.
    TimeOff,
    /// During another visit.
    Taken,
    /// The visit before or after cannot be reached from here, or here from there.
    Travel,
    /// As many visits on that date as the therapist wants.
    DailyCap,
}

impl Rule {
    /// Every rule, in the order in which they are asked.
    pub const ALL: [Self; 14] = [
        Self::NotAccepting,
        Self::Blocked,
        Self::NotOffered,
        Self::OutsideArea,
        Self::Notice,
        Self::Horizon,
        Self::Credentials,
        Self::Care,
        Self::Grid,
        Self::Hours,
        Self::TimeOff,
        Self::Taken,
        Self::Travel,
        Self::DailyCap,
    ];

    /// What they refuse with; [`Rule::Care`] refuses with [`VisitCare::REFUSALS`].
    pub const REFUSALS: &[Refusal] = &[
        Refusal::NotAcceptingBookings,
        Refusal::Blocked,
        Refusal::ServiceNotOffered,
        Refusal::OutsideServiceArea,
        Refusal::CredentialNotValid,
        Refusal::NoticeTooShort,
        Refusal::BeyondHorizon,
        Refusal::SlotUnavailable,
    ];
}

impl Rule {
    /// Whether a therapist sets it for what is new and comes from outside. It does not bind them themselves, nor undo what they were asked before.
    pub fn is_for_others(self) -> bool {
        matches!(self, Self::NotAccepting | Self::NotOffered | Self::Notice | Self::Horizon)
    }
}

impl From<Rule> for Refusal {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::NotAccepting => Self::NotAcceptingBookings,
            Rule::Blocked => Self::Blocked,
            Rule::NotOffered => Self::ServiceNotOffered,
            Rule::OutsideArea => Self::OutsideServiceArea,
            Rule::Credentials => Self::CredentialNotValid,
            Rule::Care => Self::CareNotSuitable,
            Rule::Notice => Self::NoticeTooShort,
            Rule::Horizon => Self::BeyondHorizon,
            Rule::Grid | Rule::Hours | Rule::TimeOff | Rule::Taken | Rule::Travel | Rule::DailyCap => {
                Self::SlotUnavailable
            }
        }
    }
}

/// A start at which the visit may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// When the time on the table begins.
    pub at: DateTime<Utc>,
    /// The travel that it leaves room for.
    pub travel: TravelMinutes,
}

/// Another visit, and the ways between it and this one.
struct Neighbour {
    during: Span,
    /// Minutes from there to here, leaving at its end.
    to_here: i32,
    from_here: Journey,
}

/// Decides on starts of one visit with one therapist. What holds for every start is worked out once.
pub struct Engine<'a> {
    diary: &'a Diary,
    visit: &'a Visit<'a>,
    now: DateTime<Utc>,
    /// The soonest and the last start by notice and horizon.
    bounds: (DateTime<Utc>, DateTime<Utc>),
    /// The therapist's clock, and the one at the place.
    face: Face,
    at_place: Face,
    /// What the place requires, and the training that the person needs.
    required: Cow<'a, Required>,
    windows: Vec<Span>,
    grid: Grid,
    time_off: Vec<Span>,
    /// In order. No two reservations of a therapist overlap, so that their ends are in order too.
    neighbours: Vec<Neighbour>,
    /// How many other bookings and holds there are on a day.
    visits: BTreeMap<i64, i32>,
    /// Whether the credentials suffice for a visit that begins on a day at the place, and ends on it or on the next.
    licensed: BTreeMap<i64, [bool; 2]>,
    /// The rules that refuse it whenever it starts.
    general: Vec<Rule>,
}

impl<'a> Engine<'a> {
    /// For starts within `span`. The diary must hold what lies within [`MARGIN`] of it.
    pub fn new(diary: &'a Diary, visit: &'a Visit<'a>, span: Span, now: DateTime<Utc>) -> Self {
        let rules = &diary.rules;
        let around = Span { start: span.start - MARGIN, end: span.end + MARGIN };
        let face = Face::new(diary.zone, around);
        let at_place = if visit.zone == diary.zone { face.clone() } else { Face::new(visit.zone, around) };
        let others = diary.reservations.iter().filter(|other| {
            other.during.overlaps(around) && (visit.except.is_none() || other.booking() != visit.except)
        });
        let (mut visits, mut counted) = (BTreeMap::new(), BTreeSet::new());
        let neighbours = others.map(|other| {
            let day = face.day(other.start_at);
            // Of a visit and what is proposed for it, one takes place.
            if other.booking().is_none_or(|booking| counted.insert((day, booking))) {
                *visits.entry(day).or_default() += 1;
            }
            let leaves = Traffic::at(face.minute(other.during.end));
            Neighbour {
                during: other.during,
                to_here: Journey::new(rules.mode, other.place, visit.place, &diary.roads).minutes(leaves),
                from_here: Journey::new(rules.mode, visit.place, other.place, &diary.roads),
            }
        });
        let neighbours = neighbours.collect();
        let days = at_place.day(span.start)..=at_place.day(span.end);
        let dates = || days.clone().zip(wall_clock::local_date(visit.zone, span.start).iter_days());
        let required = match visit.care {
            Some(care) => Cow::Owned(with_training(visit.required, care, dates().map(|(_, date)| date))),
            None => Cow::Borrowed(visit.required),
        };
        let licensed = dates().map(|(day, date)| {
            let until = |last: Option<NaiveDate>| {
                last.is_some_and(|last| relied_on(&required, &diary.standings, date, last).is_some())
            };
            (day, [until(Some(date)), until(date.succ_opt())])
        });
        Self {
            licensed: licensed.collect(),
            required,
            windows: diary.hours.windows(diary.zone, span.widened(0, visit.minutes)),
            grid: Grid::new(&diary.hours, diary.zone, rules.starts(), around),
            time_off: merged(diary.time_off.clone()),
            bounds: (
                now + TimeDelta::minutes(rules.min_notice_minutes.into()),
                now + TimeDelta::days(rules.max_advance_days.into()),
            ),
            general: general(diary, visit),
            diary,
            visit,
            now,
            face,
            at_place,
            neighbours,
            visits,
        }
    }

    /// Whether the visit may start at `start`; the first rule that refuses it, if not.
    pub fn decide(&self, start: DateTime<Utc>) -> Result<(), Rule> {
        self.refusals(start).next().map_or(Ok(()), Err)
    }

    /// Every rule that refuses `start`, in order; none where the visit may start.
    pub fn refusals(&self, start: DateTime<Utc>) -> impl Iterator<Item = Rule> {
        let table = Span::of_minutes(start, self.visit.minutes);
        let occupied = table.widened(self.diary.rules.setup_minutes, self.diary.rules.packup_minutes);
        Rule::ALL.into_iter().filter(move |rule| self.refuses(*rule, table, occupied))
    }

    /// Whether a visit that has begun at `start` and takes up its time until `until` may last as long as is asked. To stay
    /// longer is the therapist's own choice, so that hours, notice and caps do not count; credentials, time off and what
    /// comes next do.
    pub fn may_last(&self, start: DateTime<Utc>, until: DateTime<Utc>) -> Result<(), Rule> {
        let table = Span::of_minutes(start, self.visit.minutes);
        let added = Span { start: until, end: table.widened(0, self.diary.rules.packup_minutes).end };
        let rules = [Rule::Credentials, Rule::Care, Rule::TimeOff, Rule::Taken];
        if let Some(rule) = rules.into_iter().find(|rule| self.refuses(*rule, table, added)) {
            return Err(rule);
        }
        let [_, to_next] = self.ways(added);
        if to_next.is_some_and(is_late) { Err(Rule::Travel) } else { Ok(()) }
    }

    /// The starts within `span` at which the visit may begin, in order.
    pub fn starts(&self, span: Span) -> Vec<Start> {
        if !self.general.is_empty() {
            return Vec::new();
        }
        let parts = self.windows.iter().filter_map(|window| window.intersection(span));
        let candidates = parts.flat_map(|part| self.grid.starts(&self.face, part));
        let offered = candidates.filter(|start| self.decide(*start).is_ok());
        offered.map(|at| Start { at, travel: self.travel(at) }).collect()
    }

    /// The starts on the grid within `span` at which the visit may not begin, with every rule that refuses them.
    pub fn refused(&self, span: Span) -> Vec<(DateTime<Utc>, Vec<Rule>)> {
        let all = self.grid.starts(&self.face, span);
        let refused = all.map(|start| (start, self.refusals(start).collect::<Vec<_>>()));
        refused.filter(|(_, rules)| !rules.is_empty()).collect()
    }

    /// The credentials that a visit at `start` relies on, one for each group; none where one is missing.
    pub fn relied_on(&self, start: DateTime<Utc>) -> Option<Vec<(&Requirement, &Standing)>> {
        let (first, last) = wall_clock::dates_of(self.visit.zone, Span::of_minutes(start, self.visit.minutes));
        relied_on(&self.required, &self.diary.standings, first, last)
    }

    fn refuses(&self, rule: Rule, table: Span, occupied: Span) -> bool {
        let start = table.start;
        match rule {
            Rule::NotAccepting | Rule::Blocked | Rule::NotOffered | Rule::OutsideArea => self.general.contains(&rule),
            Rule::Notice => start < self.bounds.0 || start <= self.now,
            Rule::Horizon => start > self.bounds.1,
            Rule::Credentials => !self.is_licensed(table),
            Rule::Care => self.visit.care.is_some_and(|care| {
                let (first, last) = wall_clock::dates_of(self.visit.zone, table);
                care.refusal(first, last).is_some()
            }),
            Rule::Grid => !self.grid.has(&self.face, start),
            Rule::Hours => {
                let window = self.windows.partition_point(|window| window.end <= start);
                !self.windows.get(window).is_some_and(|window| window.contains(table))
            }
            Rule::TimeOff => {
                let off = self.time_off.partition_point(|off| off.end <= occupied.start);
                self.time_off.get(off).is_some_and(|off| off.start < occupied.end)
            }
            Rule::Taken => {
                let other = self.neighbours.partition_point(|other| other.during.end <= occupied.start);
                self.neighbours.get(other).is_some_and(|other| other.during.start < occupied.end)
            }
            Rule::Travel => self.ways(occupied).into_iter().flatten().any(is_late),
            Rule::DailyCap => self
                .diary
                .rules
                .daily_cap
                .is_some_and(|cap| self.visits.get(&self.face.day(start)).copied().unwrap_or(0) >= cap),
        }
    }

    fn is_licensed(&self, table: Span) -> bool {
        let first = self.at_place.day(table.start);
        let last = self.at_place.day(table.end - TimeDelta::microseconds(1));
        let known = usize::try_from(last - first).ok().zip(self.licensed.get(&first));
        let known = known.and_then(|(nights, licensed)| licensed.get(nights));
        known.copied().unwrap_or_else(|| self.relied_on(table.start).is_some())
    }

    /// The way from the visit before and the way to the one after: the time there is, and the minutes it takes.
    fn ways(&self, occupied: Span) -> [Option<(TimeDelta, i32)>; 2] {
        let before = self.neighbours.partition_point(|other| other.during.end <= occupied.start).checked_sub(1);
        let after = self.neighbours.partition_point(|other| other.during.start < occupied.end);
        let from_before = before.map(|before| {
            let before = &self.neighbours[before];
            (occupied.start - before.during.end, before.to_here)
        });
        let to_after = self.neighbours.get(after).map(|after| {
            let leaves = Traffic::at(self.face.minute(occupied.end));
            (after.during.start - occupied.end, after.from_here.minutes(leaves))
        });
        [from_before, to_after]
    }

    /// The travel that a visit at `start` leaves room for. Who comes from half a day away comes from home.
    pub fn travel(&self, start: DateTime<Utc>) -> TravelMinutes {
        let Rules { setup_minutes, packup_minutes, .. } = self.diary.rules;
        let occupied = Span::of_minutes(start, self.visit.minutes).widened(setup_minutes, packup_minutes);
        let near = |(gap, minutes)| (gap < TimeDelta::minutes(LONGEST_MINUTES.into())).then_some(minutes);
        let [from_previous, to_next] = self.ways(occupied).map(|way| way.and_then(near));
        TravelMinutes { from_previous, to_next }
    }
}

/// What a place requires, and the training that the person needs on any of `dates` and the days after them.
fn with_training(required: &Required, care: &VisitCare, dates: impl Iterator<Item = NaiveDate>) -> Required {
    let mut required = required.clone();
    let place = required.chain.first().cloned().unwrap_or_default();
    let days: BTreeSet<NaiveDate> = dates.flat_map(|date| [Some(date), date.succ_opt()]).flatten().collect();
    for day in days {
        required.groups.extend(care.training(day).iter().map(|code| Requirement::training(code, &place, day)));
    }
    required
}

/// Whether a way takes longer than there is time for it.
fn is_late((gap, minutes): (TimeDelta, i32)) -> bool {
    gap < TimeDelta::minutes(minutes.into())
}

/// The rules that refuse the visit whenever it starts.
fn general(diary: &Diary, visit: &Visit<'_>) -> Vec<Rule> {
    let rules = &diary.rules;
    let within = |base: Point| base.distance_km(visit.place) <= rules.radius_km;
    let refused = [
        (Rule::NotAccepting, !rules.accepting),
        (Rule::Blocked, diary.blocked),
        (Rule::NotOffered, !diary.offered),
        (Rule::OutsideArea, !rules.base.is_some_and(within)),
    ];
    refused.into_iter().filter_map(|(rule, refuses)| refuses.then_some(rule)).collect()
}
