//! Proposals of another time, and longer visits.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use super::{Model, No, Status, Taken, Visit, Wish, is_reached, sold};

/// No step leads on from there.
const NO_STEP: No = (409, "invalid_transition");

/// What became of a proposal that did not simply lapse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Open,
    Accepted,
    Declined,
    Withdrawn,
    Obsolete,
}

#[derive(Clone, Debug)]
pub struct Offer {
    pub path: String,
    pub by_client: bool,
    /// The visit as it would be.
    pub wish: Wish,
    pub made: DateTime<Utc>,
    pub expires: DateTime<Utc>,
    pub fate: Fate,
}

impl Offer {
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.fate == Fate::Open && now < self.expires
    }

    pub fn status(&self, now: DateTime<Utc>) -> &'static str {
        match self.fate {
            Fate::Open if now < self.expires => "open",
            Fate::Open => "expired",
            Fate::Accepted => "accepted",
            Fate::Declined => "declined",
            Fate::Withdrawn => "withdrawn",
            Fate::Obsolete => "obsolete",
        }
    }
}

/// What a party does about a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    Accept,
    Decline,
    Withdraw,
}

impl Reaction {
    pub fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Decline => "decline",
            Self::Withdraw => "withdraw",
        }
    }

    pub fn fate(self) -> Fate {
        match self {
            Self::Accept => Fate::Accepted,
            Self::Decline => Fate::Declined,
            Self::Withdraw => Fate::Withdrawn,
        }
    }
}

/// When an answer is due that is asked for now: within a day, and never past half of the time to the start.
pub fn due(now: DateTime<Utc>, start: DateTime<Utc>) -> DateTime<Utc> {
    (now + ((start - now) / 2).min(TimeDelta::hours(24))).trunc_subsecs(6)
}

impl Visit {
    pub fn open_offer(&self, now: DateTime<Utc>) -> Option<usize> {
        self.offers.iter().position(|offer| offer.is_open(now))
    }

    /// What is proposed was meant for the visit as it stood.
    pub fn overtake(&mut self, now: DateTime<Utc>) {
        for offer in self.offers.iter_mut().filter(|offer| offer.is_open(now)) {
            offer.fate = Fate::Obsolete;
        }
    }

    /// Whether it stands, so that there is something to move.
    pub fn stands(&self) -> bool {
        matches!(self.status, Status::Requested | Status::Confirmed)
    }
}

impl Model {
    /// When the next proposal lapses.
    pub fn next_lapse(&self) -> Option<DateTime<Utc>> {
        let open = self.visits.iter().flat_map(|visit| &visit.offers).filter(|offer| offer.is_open(self.now));
        open.map(|offer| offer.expires).min()
    }

    /// Whether a party may propose `start` for a visit: which proposal is the same one, if it has been made before.
    pub fn proposes(&self, visit: &Visit, by_client: bool, start: DateTime<Utc>) -> Result<Option<usize>, No> {
        if !visit.stands() || visit.wish.start <= self.now {
            return Err(NO_STEP);
        }
        if start == visit.wish.start {
            return Err((422, "invalid"));
        }
        if let Some(open) = visit.open_offer(self.now) {
            let same = visit.offers[open].by_client == by_client && visit.offers[open].wish.start == start;
            return if same { Ok(Some(open)) } else { Err((409, "counter_offer_open")) };
        }
        let wish = Wish { start, ..visit.wish.clone() };
        let path = Some(visit.path.as_str());
        let refusal = if by_client { self.refusal(&wish, self.now, path) } else { self.refusal_of_own(&wish, path) };
        refusal.map_or(Ok(None), Err)
    }

    /// What was proposed is open from now on. A request waits for the answer to its therapist's first proposal, and for no other.
    pub fn propose(&mut self, i: usize, by_client: bool, start: DateTime<Utc>, path: String) -> DateTime<Utc> {
        let wish = Wish { start, ..self.visits[i].wish.clone() };
        self.give_way(&wish);
        let (now, visit) = (self.now, &mut self.visits[i]);
        let first = visit.offers.iter().all(|offer| offer.by_client != by_client);
        let mut expires = due(now, start.min(visit.wish.start));
        if visit.status == Status::Requested {
            if !by_client && first {
                visit.respond_by = visit.respond_by.max(expires);
            }
            expires = expires.min(visit.respond_by);
        }
        visit.offers.push(Offer { path, by_client, wish, made: now, expires, fate: Fate::Open });
        expires
    }

    /// Whether a party may react so to a proposal.
    pub fn reacts(&self, visit: &Visit, offer: &Offer, by_client: bool, reaction: Reaction) -> Result<(), No> {
        if (offer.by_client == by_client) != (reaction == Reaction::Withdraw) {
            return Err(NO_STEP);
        }
        if offer.fate == reaction.fate() {
            // It was done before.
            return Ok(());
        }
        if offer.fate != Fate::Open {
            return Err(NO_STEP);
        }
        if !offer.is_open(self.now) {
            return Err((409, "counter_offer_expired"));
        }
        let refusal = || self.refusal_of_own(&offer.wish, Some(&visit.path));
        if reaction == Reaction::Accept { refusal().map_or(Ok(()), Err) } else { Ok(()) }
    }

    /// The party reacts to an open proposal.
    pub fn react(&mut self, i: usize, j: usize, reaction: Reaction) {
        if reaction == Reaction::Accept {
            let wish = self.visits[i].offers[j].wish.clone();
            self.give_way(&wish);
        }
        let visit = &mut self.visits[i];
        visit.offers[j].fate = reaction.fate();
        if reaction == Reaction::Accept {
            let Offer { by_client, wish, made, .. } = visit.offers[j].clone();
            if by_client {
                // Whoever asks late owes what calling off cost then.
                visit.owes = !visit.is_free(made);
            }
            visit.wish = wish;
            visit.asked = made;
            visit.status = Status::Confirmed;
            visit.forced = false;
            visit.at_risk = false;
        }
    }

    /// Whether a visit under way may last so many minutes in all: no longer than that what comes next can still be reached.
    pub fn extends(&self, visit: &Visit, minutes: i64) -> Result<(), No> {
        let wish = &visit.wish;
        if !matches!(visit.status, Status::Arrived | Status::InProgress) {
            return Err(NO_STEP);
        }
        if minutes == wish.minutes {
            return Ok(());
        }
        if minutes < wish.minutes || wish.start + TimeDelta::minutes(minutes) <= self.now {
            return Err((422, "invalid"));
        }
        if !sold(minutes) {
            return Err((422, "service_not_offered"));
        }
        let therapist = &self.therapists[wish.therapist];
        if !therapist.licensed {
            return Err((422, "credential_not_valid"));
        }
        let longer = Wish { minutes, ..wish.clone() };
        let (own, longer) = (Taken::of(wish), Taken::of(&longer));
        let off = therapist.off.iter().any(|off| own.ends() < off.end && off.start < longer.ends());
        let others: Vec<Taken<'_>> =
            self.taken(wish.therapist).filter(|other| other.path != Some(visit.path.as_str())).collect();
        let met = others.iter().any(|other| own.ends() < other.ends() && other.begins() < longer.ends());
        let next = others.iter().filter(|other| longer.ends() <= other.begins()).min_by_key(|other| other.begins());
        if off || met || !is_reached(Some(&longer), next) { Err((409, "slot_unavailable")) } else { Ok(()) }
    }
}
