//! The oracle: every rule, one minute at a time. Instants are counted in UTC minutes since 1970, and so is what a clock
//! shows, as if it showed UTC.

use std::collections::BTreeSet;
use std::ops::Range;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use knead::availability::hours::Hours;
use knead::availability::travel::{Journey, Traffic, TravelMinutes};
use knead::availability::{Reservation, Rule};
use knead::credentials::{Requirement, Standing};
use knead::values::{SlotAnchor, Zone};

use crate::cases::Case;

/// Minutes in a day of wall-clock time.
pub const DAY: i64 = 24 * 60;

/// Every rule, those that are quick to look at first.
pub const RULES: [Rule; 13] = [
    Rule::NotAccepting,
    Rule::Blocked,
    Rule::NotOffered,
    Rule::OutsideArea,
    Rule::Grid,
    Rule::Notice,
    Rule::Horizon,
    Rule::Hours,
    Rule::Taken,
    Rule::TimeOff,
    Rule::DailyCap,
    Rule::Travel,
    Rule::Credentials,
];

/// What a clock shows at every minute of a stretch of time.
pub struct Clock {
    begins: i64,
    shown: Vec<i64>,
}

impl Clock {
    fn new(zone: Zone, minutes: Range<i64>) -> Self {
        let zone: Tz = zone.name().parse().expect("a zone");
        let begins = minutes.start;
        let shown = minutes.map(|minute| face(instant(minute).with_timezone(&zone).naive_local()));
        Self { begins, shown: shown.collect() }
    }

    fn minutes(&self) -> Range<i64> {
        self.begins..self.begins + i64::try_from(self.shown.len()).expect("a few days")
    }

    pub fn shows(&self, minute: i64) -> i64 {
        self.shown[usize::try_from(minute - self.begins).expect("a minute on the clock")]
    }

    /// The first minute at which the clock shows `wall`, or the first after the clock jumped over it.
    fn first(&self, wall: i64) -> i64 {
        self.minutes().find(|minute| self.shows(*minute) >= wall).unwrap_or(self.minutes().end)
    }

    /// The last minute at which the clock shows `wall`, or the first after the clock jumped over it.
    fn last(&self, wall: i64) -> i64 {
        self.minutes().rev().find(|minute| self.shows(*minute) == wall).unwrap_or_else(|| self.first(wall))
    }
}

pub fn instant(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(minute * 60, 0).expect("a minute of this century")
}

fn face(local: NaiveDateTime) -> i64 {
    local.and_utc().timestamp().div_euclid(60)
}

/// The minute that a clock shows when `date` begins.
pub fn midnight(date: NaiveDate) -> i64 {
    face(date.and_time(NaiveTime::MIN))
}

/// The minutes that share an instant with `minutes` minutes from `start`.
fn minutes_from(start: DateTime<Utc>, minutes: i32) -> Range<i64> {
    let seconds = start.timestamp();
    let past = if start.timestamp_subsec_nanos() > 0 { 1 } else { 0 };
    seconds.div_euclid(60)..(seconds + past + i64::from(minutes) * 60 + 59).div_euclid(60)
}

pub struct Oracle<'a> {
    case: &'a Case,
    /// The minutes in question.
    pub span: Range<i64>,
    pub therapist: Clock,
    place: Clock,
    /// By minute of the therapist's clock: whether it is a working minute.
    working: Vec<bool>,
    /// The windows that last at all: the minute at which each begins, and what its beginning is on the clock's face.
    openings: Vec<(i64, i64)>,
    /// By minute of the therapist's clock: the reservation that takes it.
    taken: Vec<Option<&'a Reservation>>,
}

impl<'a> Oracle<'a> {
    pub fn new(case: &'a Case) -> Self {
        // Far enough around the dates for any zone, a window of the evening before and the longest journey.
        let dates = || (case.first - Days::new(4)).iter_days().take(usize::from(case.days) + 8);
        let around = midnight(case.first) - 6 * DAY..midnight(case.first) + (i64::from(case.days) + 6) * DAY;
        let therapist = Clock::new(case.diary.zone, around.clone());
        let place = Clock::new(case.place_zone, around.clone());

        let mut working = vec![false; therapist.shown.len()];
        let mut openings = Vec::new();
        let mut taken = vec![None; therapist.shown.len()];
        let at = |minute: i64| usize::try_from(minute - around.start).expect("a minute on the clock");
        for date in dates() {
            for (opens, closes) in windows_of(&case.diary.hours, date) {
                let (opens, closes) = (midnight(date) + i64::from(opens), midnight(date) + i64::from(closes));
                let minutes = therapist.first(opens)..therapist.last(closes);
                if !minutes.is_empty() {
                    openings.push((minutes.start, opens));
                }
                for minute in minutes {
                    working[at(minute)] = true;
                }
            }
        }
        for reservation in
            case.diary.reservations.iter().filter(|r| r.booking().is_none() || r.booking() != case.except)
        {
            for minute in reservation.during.start.timestamp() / 60..reservation.during.end.timestamp() / 60 {
                taken[at(minute)] = Some(reservation);
            }
        }

        let span = place.first(midnight(case.first))..place.first(midnight(case.first) + i64::from(case.days) * DAY);
        Self { case, span, therapist, place, working, openings, taken }
    }

    fn at(&self, minute: i64) -> usize {
        usize::try_from(minute - self.therapist.begins).expect("a minute on the clock")
    }

    /// Whether the visit may start at `start`: no rule is against it.
    pub fn allows(&self, start: DateTime<Utc>) -> bool {
        !RULES.iter().any(|rule| self.refuses(*rule, start))
    }

    /// Every rule that is against `start`, in the engine's order.
    pub fn refusals(&self, start: DateTime<Utc>) -> Vec<Rule> {
        Rule::ALL.into_iter().filter(|rule| self.refuses(*rule, start)).collect()
    }

    pub fn refuses(&self, rule: Rule, start: DateTime<Utc>) -> bool {
        let Case { diary, minutes, .. } = self.case;
        let rules = &diary.rules;
        let table = minutes_from(start, *minutes);
        let occupied = table.start - i64::from(rules.setup_minutes)..table.end + i64::from(rules.packup_minutes);
        match rule {
            Rule::NotAccepting => !rules.accepting,
            Rule::Blocked => diary.blocked,
            Rule::NotOffered => !diary.offered,
            Rule::OutsideArea => !rules.base.is_some_and(|base| base.distance_km(self.case.place) <= rules.radius_km),
            Rule::Notice => {
                start <= self.case.now || start - self.case.now < TimeDelta::minutes(rules.min_notice_minutes.into())
            }
            Rule::Horizon => start - self.case.now > TimeDelta::hours(24 * i64::from(rules.max_advance_days)),
            Rule::Grid => start != instant(table.start) || !self.on_grid(table.start),
            Rule::Hours => table.into_iter().any(|minute| !self.working[self.at(minute)]),
            Rule::Taken => occupied.into_iter().any(|minute| self.taken[self.at(minute)].is_some()),
            Rule::TimeOff => occupied.into_iter().any(|minute| {
                diary.time_off.iter().any(|off| off.start < instant(minute + 1) && instant(minute) < off.end)
            }),
            Rule::DailyCap => rules.daily_cap.is_some_and(|cap| self.others_on_date_of(table.start) >= cap),
            Rule::Travel => self.too_far_from_neighbours(&occupied),
            Rule::Credentials => !self.may_practise(&table),
            // The oracle knows of nobody's health.
            Rule::Care => false,
        }
    }

    /// Whether the therapist's clock shows a multiple of the interval after midnight, or after the beginning of the window that began last,
    /// or has just jumped over one.
    fn on_grid(&self, minute: i64) -> bool {
        let rules = &self.case.diary.rules;
        let counted_from = match rules.slot_anchor {
            SlotAnchor::Midnight => 0,
            SlotAnchor::Window if !self.working[self.at(minute)] => return false,
            SlotAnchor::Window => {
                let begun = self.openings.iter().filter(|(begins, _)| *begins <= minute);
                begun.max_by_key(|(begins, _)| *begins).expect("a working minute is in a window").1
            }
        };
        let multiple = |shown: i64| (shown - counted_from).rem_euclid(i64::from(rules.slot_interval_minutes)) == 0;
        let (before, now) = (self.therapist.shows(minute - 1), self.therapist.shows(minute));
        multiple(now) || (before + 1..now).any(multiple)
    }

    /// The holds and bookings whose time on the table begins on the date that the therapist's clock shows at `minute`; a booking is
    /// one, whatever is proposed for it.
    fn others_on_date_of(&self, minute: i64) -> i32 {
        let date = |minute: i64| self.therapist.shows(minute).div_euclid(DAY);
        let on_date = self.therapist.minutes().filter(|at| date(*at) == date(minute));
        let begun = on_date.filter_map(|at| self.taken[self.at(at)].filter(|other| other.start_at == instant(at)));
        let (booked, held): (Vec<_>, Vec<_>) = begun.map(Reservation::booking).partition(Option::is_some);
        let booked: BTreeSet<_> = booked.into_iter().collect();
        i32::try_from(booked.len() + held.len()).expect("a few visits")
    }

    /// Whether the nearest visit before or after leaves fewer free minutes than the way takes.
    fn too_far_from_neighbours(&self, occupied: &Range<i64>) -> bool {
        self.ways(occupied).into_iter().flatten().any(|(free, way)| free < way)
    }

    /// From the nearest visit before and to the nearest after: the free minutes, and those that the way takes at the time of
    /// day at which it begins. A visit that is in the way itself is no neighbour. No journey counts as longer than half a day:
    /// whoever is further off than that can be reached.
    fn ways(&self, occupied: &Range<i64>) -> [Option<(i32, i32)>; 2] {
        let Case { diary, place, .. } = self.case;
        let takes = |from, to, leaving: i64| {
            let shown = self.therapist.shows(leaving).rem_euclid(DAY);
            Journey::new(diary.rules.mode, from, to, &diary.roads).minutes(Traffic::at(shown))
        };
        let neighbour = |minute: i64| {
            let other = self.taken[self.at(minute)]?;
            let in_the_way = instant(occupied.start) < other.during.end && other.during.start < instant(occupied.end);
            (!in_the_way).then_some(other)
        };
        let before = (0..DAY / 2).zip(0..).find_map(|(back, free)| {
            let end = occupied.start - back;
            neighbour(end - 1).map(|other| (free, takes(other.place, *place, end)))
        });
        let after = (0..DAY / 2).zip(0..).find_map(|(on, free)| {
            neighbour(occupied.end + on).map(|other| (free, takes(*place, other.place, occupied.end)))
        });
        [before, after]
    }

    /// The travel that a visit at `start` leaves room for.
    pub fn travel(&self, start: DateTime<Utc>) -> TravelMinutes {
        let Case { diary, minutes, .. } = self.case;
        let table = minutes_from(start, *minutes);
        let rules = &diary.rules;
        let occupied = table.start - i64::from(rules.setup_minutes)..table.end + i64::from(rules.packup_minutes);
        let [from_previous, to_next] = self.ways(&occupied).map(|way| way.map(|(_, minutes)| minutes));
        TravelMinutes { from_previous, to_next }
    }

    /// Whether for every group there is a credential that is good on each date that the clock at the place shows during
    /// the visit: one may follow another. Where nothing is required nobody knows what is: nobody may.
    fn may_practise(&self, table: &Range<i64>) -> bool {
        let dates: Vec<i64> = table.clone().map(|minute| self.place.shows(minute).div_euclid(DAY)).collect();
        let day = |date: NaiveDate| midnight(date) / DAY;
        let good = |held: &Standing, date: i64| {
            held.issued_on.is_none_or(|issued| day(issued) <= date)
                && held.expires_on.is_none_or(|last| date <= day(last))
        };
        let required = &self.case.required;
        let counts = |held: &Standing| {
            let here = |places: &Vec<String>| required.chain.iter().any(|place| places.contains(place));
            held.jurisdictions.as_ref().is_none_or(here)
                && held.kinds.as_ref().is_none_or(|kinds| kinds.contains(&required.kind))
        };
        let met = |group: &Requirement| {
            let kind = |held: &Standing| group.options.contains(&held.type_code) && counts(held);
            let standings = &self.case.diary.standings;
            dates.iter().all(|date| standings.iter().any(|held| kind(held) && good(held, *date)))
        };
        let asked = |group: &&Requirement| {
            let on = |date: &i64| {
                group.valid_from.is_none_or(|from| day(from) <= *date)
                    && group.valid_until.is_none_or(|until| *date <= day(until))
            };
            dates.iter().any(on)
        };
        let mut asked = required.groups.iter().filter(asked).peekable();
        asked.peek().is_some() && asked.all(met)
    }
}

/// The windows that start on `date`, in minutes since its midnight: its override's, or else its weekday's in the latest of
/// the timetables that have begun.
fn windows_of(hours: &Hours, date: NaiveDate) -> Vec<(i32, i32)> {
    if let Some((_, windows)) = hours.overrides.iter().find(|(other, _)| *other == date) {
        return windows.clone();
    }
    let weekday = i32::try_from(date.weekday().num_days_from_monday()).expect("one of seven") * 1440;
    let begun = hours.timetables.iter().filter(|timetable| timetable.effective_from <= date);
    let latest = begun.max_by_key(|timetable| timetable.effective_from);
    let windows = latest.into_iter().flat_map(|timetable| &timetable.weekly);
    let of_weekday = windows.filter(|(opens, _)| opens / 1440 * 1440 == weekday);
    of_weekday.map(|(opens, closes)| (opens - weekday, closes - weekday)).collect()
}
