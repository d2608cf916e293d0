//! What the service promises, told once more and as plainly as possible: a list of visits, holds and times off, and for each
//! question a walk through all of them. Sydney's summer, in which no clock changes.

mod offers;

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use knead::availability::travel::{Journey, RoadTimes, Traffic};
use knead::values::{Point, TravelMode};
use uuid::Uuid;

pub use offers::{Offer, Reaction, due};

/// What is refused: the status and the code.
pub type No = (u16, &'static str);

/// Surry Hills, a street further, Bondi, and Parramatta.
pub const PLACES: [Point; 4] = [
    Point { latitude: -33.8886, longitude: 151.2111 },
    Point { latitude: -33.8889, longitude: 151.2113 },
    Point { latitude: -33.8915, longitude: 151.2767 },
    Point { latitude: -33.8150, longitude: 151.0020 },
];

/// Sydney's clocks are so far ahead.
pub const AHEAD: TimeDelta = TimeDelta::hours(11);

/// Set-up, and pack-up.
const ABOUT: TimeDelta = TimeDelta::minutes(10);

/// Whether a deep tissue massage is sold for so many minutes.
fn sold(minutes: i64) -> bool {
    matches!(minutes, 60 | 75 | 90 | 120)
}

/// What a clock in Sydney shows.
pub fn local(instant: DateTime<Utc>) -> DateTime<Utc> {
    instant + AHEAD
}

#[derive(Clone, Debug)]
pub struct Wish {
    pub therapist: usize,
    pub client: usize,
    pub place: usize,
    pub minutes: i64,
    pub start: DateTime<Utc>,
}

impl Wish {
    pub fn end(&self) -> DateTime<Utc> {
        self.start + TimeDelta::minutes(self.minutes)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Requested,
    Confirmed,
    OnTheWay,
    Arrived,
    InProgress,
    Completed,
    NoShow,
    Stopped,
    Declined,
    Expired,
    Cancelled,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Confirmed => "confirmed",
            Self::OnTheWay => "on_the_way",
            Self::Arrived => "arrived",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::NoShow => "no_show",
            Self::Stopped => "stopped",
            Self::Declined => "declined",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Visit {
    pub path: String,
    pub wish: Wish,
    pub status: Status,
    /// When the client first asked for this time.
    pub asked: DateTime<Utc>,
    pub respond_by: DateTime<Utc>,
    pub at_risk: bool,
    pub made: DateTime<Utc>,
    /// Whether its therapist moved it last.
    pub forced: bool,
    /// Whether it is the client who reported that the other did not come.
    pub missed_by_client: bool,
    /// Whether it ended with its therapist at the place.
    pub attended: bool,
    /// How much earlier than agreed it was over.
    pub spared: TimeDelta,
    /// Whether calling it off costs something however early: its client had it moved when it did.
    pub owes: bool,
    /// Other times that were proposed for it, in order.
    pub offers: Vec<Offer>,
}

/// A step that a party takes at a visit, and what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    OnTheWay,
    Arrive,
    Start,
    Complete,
    NoShow,
    Stop,
}

impl Step {
    pub const ALL: [Self; 6] = [Self::OnTheWay, Self::Arrive, Self::Start, Self::Complete, Self::NoShow, Self::Stop];

    pub fn name(self) -> &'static str {
        match self {
            Self::OnTheWay => "on-the-way",
            Self::Arrive => "arrive",
            Self::Start => "start",
            Self::Complete => "complete",
            Self::NoShow => "no-show",
            Self::Stop => "stop",
        }
    }

    /// Where it leads.
    pub fn end(self) -> Status {
        match self {
            Self::OnTheWay => Status::OnTheWay,
            Self::Arrive => Status::Arrived,
            Self::Start => Status::InProgress,
            Self::Complete => Status::Completed,
            Self::NoShow => Status::NoShow,
            Self::Stop => Status::Stopped,
        }
    }
}

impl Visit {
    fn is_live(&self) -> bool {
        use Status::{Arrived, Confirmed, InProgress, OnTheWay, Requested};
        matches!(self.status, Requested | Confirmed | OnTheWay | Arrived | InProgress)
    }

    /// Whether the step leads on from where the visit stands, at this time.
    pub fn may(&self, step: Step, by_client: bool, licensed: bool, now: DateTime<Utc>) -> bool {
        use Status::{Arrived, Confirmed, InProgress, OnTheWay};
        let (start, end) = (self.wish.start, self.wish.end());
        let before = |minutes| start - TimeDelta::minutes(minutes) <= now && now < end;
        let missed = start + TimeDelta::minutes(20) <= now && now < end + TimeDelta::hours(24);
        match (step, by_client) {
            (Step::OnTheWay, false) => self.status == Confirmed && before(180) && licensed,
            (Step::Arrive, false) => self.status == OnTheWay && before(60),
            (Step::Start, false) => self.status == Arrived && before(15) && licensed,
            (Step::Complete, false) => self.status == InProgress && start <= now,
            (Step::NoShow, false) => self.status == Arrived && missed,
            (Step::NoShow, true) => matches!(self.status, Confirmed | OnTheWay) && missed,
            (Step::Stop, false) => matches!(self.status, OnTheWay | Arrived | InProgress),
            _ => false,
        }
    }

    /// Whether its client could call it off for nothing.
    fn is_free(&self, now: DateTime<Utc>) -> bool {
        let (start, waits) = (self.wish.start, now < self.wish.start);
        self.status == Status::Requested
            || self.at_risk
            || (self.forced && waits)
            || (now <= self.made + TimeDelta::minutes(60) && waits)
            || (start - now >= TimeDelta::hours(24) && !self.owes)
    }

    /// Whether a party may move it at all.
    pub fn moves(&self, by_client: bool, now: DateTime<Utc>) -> bool {
        let step = self.status == Status::Confirmed || self.status == Status::Requested && by_client;
        let early = self.wish.start - now >= TimeDelta::hours(24);
        step && now < self.wish.start && if by_client { self.is_free(now) } else { early }
    }

    pub fn goes_on(&mut self, status: Status, now: DateTime<Utc>) {
        self.overtake(now);
        self.status = status;
    }

    pub fn ends(&mut self, status: Status, now: DateTime<Utc>) {
        let stopped_late = status == Status::Stopped && self.wish.start <= now;
        if matches!(self.status, Status::Arrived | Status::InProgress) || stopped_late {
            // The therapist was there.
            self.attended = true;
            self.spared = (self.wish.end() - now).max(TimeDelta::zero());
        }
        self.goes_on(status, now);
        self.at_risk = false;
    }
}

#[derive(Clone, Debug)]
pub struct Hold {
    pub id: Uuid,
    pub wish: Wish,
    pub made: DateTime<Utc>,
}

#[derive(Clone, Debug)]
pub struct Off {
    pub id: Uuid,
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
}

#[derive(Clone, Debug)]
pub struct Therapist {
    pub instant: bool,
    pub cap: Option<usize>,
    pub licensed: bool,
    pub off: Vec<Off>,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub now: DateTime<Utc>,
    pub therapists: Vec<Therapist>,
    pub visits: Vec<Visit>,
    pub holds: Vec<Hold>,
    /// Client and therapist, and whether it is the client who blocks.
    pub blocks: Vec<(usize, usize, bool)>,
}

/// Time of a therapist that is taken.
pub struct Taken<'a> {
    wish: &'a Wish,
    /// The visit behind it; a hold has none.
    path: Option<&'a str>,
    /// Whether it is only proposed for that visit.
    proposed: bool,
    spared: TimeDelta,
}

impl<'a> Taken<'a> {
    fn of(wish: &'a Wish) -> Self {
        Self { wish, path: None, proposed: false, spared: TimeDelta::zero() }
    }

    fn begins(&self) -> DateTime<Utc> {
        self.wish.start - ABOUT
    }

    fn ends(&self) -> DateTime<Utc> {
        (self.wish.end() + ABOUT - self.spared).max(self.wish.start + TimeDelta::minutes(1))
    }

    /// The visit, where the time off hits one.
    pub fn hit_by(&self, off: &Off) -> Option<String> {
        let hit = !self.proposed && self.begins() < off.end && off.start < self.ends();
        hit.then(|| self.path.map(str::to_owned)).flatten()
    }
}

/// Whether there is time to get from the one to the other.
fn is_reached(from: Option<&Taken<'_>>, to: Option<&Taken<'_>>) -> bool {
    let (Some(from), Some(to)) = (from, to) else { return true };
    let minute = local(from.ends()).num_seconds_from_midnight() / 60;
    let way = Journey::new(TravelMode::Car, PLACES[from.wish.place], PLACES[to.wish.place], &RoadTimes::default());
    to.begins() - from.ends() >= TimeDelta::minutes(way.minutes(Traffic::at(minute.into())).into())
}

impl Model {
    pub fn is_live(&self, hold: &Hold) -> bool {
        self.now < hold.made + TimeDelta::minutes(10)
    }

    pub fn live_holds(&self) -> impl Iterator<Item = &Hold> {
        self.holds.iter().filter(|hold| self.is_live(hold))
    }

    pub fn taken(&self, therapist: usize) -> impl Iterator<Item = Taken<'_>> {
        // What took place counts towards the day's cap.
        let visits = self.visits.iter().filter(|visit| visit.is_live() || visit.attended);
        let visits =
            visits.map(|visit| Taken { path: Some(&visit.path), spared: visit.spared, ..Taken::of(&visit.wish) });
        let offers = self.visits.iter().flat_map(|visit| {
            let open = visit.offers.iter().filter(|offer| offer.is_open(self.now));
            open.map(|offer| Taken { path: Some(&visit.path), proposed: true, ..Taken::of(&offer.wish) })
        });
        let holds = self.live_holds().map(|hold| Taken::of(&hold.wish));
        visits.chain(offers).chain(holds).filter(move |taken| taken.wish.therapist == therapist)
    }

    /// What the client holds of the therapist's time where it meets what they have now is free.
    pub fn give_way(&mut self, wish: &Wish) {
        let wanted = Taken::of(wish);
        let meets = |hold: &Hold| {
            let held = Taken::of(&hold.wish);
            (hold.wish.therapist, hold.wish.client) == (wish.therapist, wish.client)
                && held.begins() < wanted.ends()
                && wanted.begins() < held.ends()
        };
        self.holds.retain(|hold| !meets(hold));
    }

    /// The hold that is on this very wish.
    pub fn held(&self, wish: &Wish) -> Option<&Hold> {
        let same = |hold: &&Hold| {
            let of = |wish: &Wish| (wish.therapist, wish.client, wish.place, wish.minutes, wish.start);
            of(&hold.wish) == of(wish)
        };
        self.live_holds().find(same)
    }

    /// What stands against a wish that is the therapist's own, or was asked before: no notice, and no horizon.
    pub fn refusal_of_own(&self, wish: &Wish, except: Option<&str>) -> Option<No> {
        self.refusal(wish, wish.start - TimeDelta::days(1), except)
    }

    /// Whether the wish may come true, when it was first asked for at `asked`; the time of the visit at `except` is free, and
    /// what is proposed for it.
    pub fn allows(&self, wish: &Wish, asked: DateTime<Utc>, except: Option<&str>) -> bool {
        self.refusal(wish, asked, except).is_none()
    }

    /// What stands against the wish, first of all.
    pub fn refusal(&self, wish: &Wish, asked: DateTime<Utc>, except: Option<&str>) -> Option<No> {
        let therapist = &self.therapists[wish.therapist];
        let opens = local(wish.start).date_naive().and_hms_opt(9, 0, 0).expect("a time").and_utc() - AHEAD;
        let in_hours = opens <= wish.start && wish.end() <= opens + TimeDelta::hours(8);
        let on_grid = local(wish.start).minute().is_multiple_of(15);
        let wanted = Taken::of(wish);
        let off = therapist.off.iter().any(|off| wanted.begins() < off.end && off.start < wanted.ends());
        let others: Vec<Taken<'_>> =
            self.taken(wish.therapist).filter(|taken| except.is_none() || taken.path != except).collect();
        // One's own hold is free.
        let others: Vec<Taken<'_>> =
            others.into_iter().filter(|taken| taken.path.is_some() || taken.wish.client != wish.client).collect();
        let clear = others.iter().all(|other| other.ends() <= wanted.begins() || wanted.ends() <= other.begins());
        let before = others.iter().filter(|other| other.ends() <= wanted.begins()).max_by_key(|other| other.ends());
        let after = others.iter().filter(|other| wanted.ends() <= other.begins()).min_by_key(|other| other.begins());
        let date = local(wish.start).date_naive();
        let on_date = others.iter().filter(|other| local(other.wish.start).date_naive() == date);
        let (booked, held): (Vec<_>, Vec<_>) = on_date.map(|other| other.path).partition(Option::is_some);
        // A visit counts once, whatever is proposed for it.
        let on_date = booked.into_iter().collect::<BTreeSet<_>>().len() + held.len();
        let at_odds =
            self.blocks.iter().any(|(client, therapist, _)| (*client, *therapist) == (wish.client, wish.therapist));
        let fits = in_hours
            && on_grid
            && !off
            && clear
            && is_reached(before, Some(&wanted))
            && is_reached(Some(&wanted), after)
            && therapist.cap.is_none_or(|cap| on_date < cap);
        let against = [
            (wish.start <= self.now, (422, "notice_too_short")),
            (at_odds, (422, "blocked")),
            (wish.start < asked + TimeDelta::minutes(120), (422, "notice_too_short")),
            (wish.start > asked + TimeDelta::days(60), (422, "beyond_horizon")),
            (!therapist.licensed, (422, "credential_not_valid")),
            (!fits, (409, "slot_unavailable")),
        ];
        against.into_iter().find_map(|(holds, no)| holds.then_some(no))
    }

    pub fn license(&mut self, therapist: usize, licensed: bool) {
        self.therapists[therapist].licensed = licensed;
        let now = self.now;
        // Of what has begun, staff are told.
        let of_therapist = |visit: &&mut Visit| {
            visit.wish.therapist == therapist && visit.is_live() && (licensed || visit.status != Status::InProgress)
        };
        for visit in self.visits.iter_mut().filter(of_therapist).filter(|visit| visit.wish.start > now) {
            if licensed {
                visit.at_risk = false;
            } else if visit.wish.start - now < TimeDelta::hours(24) {
                visit.ends(Status::Cancelled, now);
            } else {
                visit.at_risk = true;
            }
        }
    }

    /// What lapses by itself, whether any job has run or not.
    pub fn wait(&mut self, by: TimeDelta) {
        self.now += by;
        for visit in &mut self.visits {
            if visit.status == Status::Requested && visit.respond_by <= self.now {
                visit.ends(Status::Expired, self.now);
            }
        }
    }

    /// What takes a job: visits at risk are called off.
    pub fn settle(&mut self) {
        for visit in &mut self.visits {
            let ahead = visit.wish.start - self.now;
            if visit.is_live() && visit.at_risk && TimeDelta::zero() < ahead && ahead <= TimeDelta::hours(24) {
                visit.ends(Status::Cancelled, self.now);
            }
        }
    }
}
