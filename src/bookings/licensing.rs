//! What becomes of booked visits when it changes who may practise where.
//!
//! A visit that its therapist may no longer carry out is put at risk: staff can give it to another, and 24 hours before
//! its start it is called off by [`settle`]. Whatever moves a visit on must not do so meanwhile, however late that job is:
//! acceptance asks the engine again.

mod again;
mod foresight;
mod store;

use std::collections::btree_map::Entry as Known;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

pub(super) use again::offer_again;
pub(super) use foresight::foresee;
pub(super) use store::deadlines;
pub use store::therapists_with_visits;

use super::events::event;
use super::jobs::SettleAtRisk;
use super::lifecycle::{Action, Party, Status, Step, step};
use super::reliability::{self, Lapse};
use super::steps::{self, Begun, begin_as_system};
use super::store::{live, rely_on};
use super::{Booking, CALL_OFF_LEAD};
use crate::App;
use crate::catalogue;
use crate::credentials::{self, Reliance, Required, missing, relied_on, requirements};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::events::{TimeLock, Work};
use crate::ids::{BookingId, ServiceId, TherapistId};
use crate::queue::enqueue;
use crate::values::{Jurisdiction, Span};

/// How long staff may think better of a change of rules before it calls a visit off.
pub(super) const RULES_HOLD: TimeDelta = TimeDelta::minutes(15);

/// A visit is called off so long before its start at the latest: whoever waits for it is to be told.
const LAST_MOMENT: TimeDelta = TimeDelta::minutes(1);

/// What the parties of a visit that is called off are told.
const CALLED_OFF: &str = "The therapist may not practise there on that day.";

/// What follows for a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Consequence {
    /// Nothing.
    Stands,
    /// It is at risk no more.
    Restore,
    /// There is time to find someone else.
    PutAtRisk,
    /// There is none: it is called off, and costs nothing.
    CallOff,
    /// It has begun: a person must decide what to do.
    Alert,
}

/// When a visit that begins at `start` is called off if its therapist may not carry it out from now on: 24 hours before, after `hold` at the soonest,
/// and before the start.
fn call_off_at(start: DateTime<Utc>, hold: TimeDelta, now: DateTime<Utc>) -> DateTime<Utc> {
    (start - CALL_OFF_LEAD).max(now + hold).min(start - LAST_MOMENT)
}

/// When a visit at risk is called off; none where it is not at risk.
fn deadline(visit: &Booking, written: &HashMap<BookingId, DateTime<Utc>>) -> Option<DateTime<Utc>> {
    visit.at_risk_since.map(|_| written.get(&visit.id).copied().unwrap_or(visit.start_at - CALL_OFF_LEAD))
}

/// What follows for a visit from whether its therapist is `licensed` for every date of it, at its place. `at_risk` is until when it is at risk, where
/// it is; `hold` is how long at least it is before it is called off. What has ended stays as it is.
fn consequence(
    status: Status,
    visit: Span,
    at_risk: Option<DateTime<Utc>>,
    licensed: bool,
    hold: TimeDelta,
    now: DateTime<Utc>,
) -> Consequence {
    if !status.is_live() || visit.end <= now {
        return Consequence::Stands;
    }
    match (licensed, at_risk) {
        (true, None) => Consequence::Stands,
        (true, Some(_)) => Consequence::Restore,
        (false, _) if status == Status::InProgress || visit.start <= now => Consequence::Alert,
        (false, Some(until)) if until < now => Consequence::CallOff,
        (false, Some(_)) => Consequence::Stands,
        (false, None) if visit.start - now < CALL_OFF_LEAD && call_off_at(visit.start, hold, now) <= now => {
            Consequence::CallOff
        }
        (false, None) => Consequence::PutAtRisk,
    }
}

/// What places require, each read once.
#[derive(Default)]
pub(super) struct Rules {
    kinds: BTreeMap<ServiceId, String>,
    /// By region, kind of service and the bits of the point: counties and cities are where their boundaries say.
    required: BTreeMap<(Jurisdiction, String, [u64; 2]), Required>,
}

impl Rules {
    /// What the place of `booking` requires for its service.
    pub async fn of(&mut self, tx: &mut Tx, booking: &Booking) -> Result<&Required> {
        let kind = match self.kinds.entry(booking.service) {
            Known::Occupied(kind) => kind.into_mut(),
            Known::Vacant(kind) => {
                kind.insert(catalogue::kind_of(&mut **tx, booking.service).await?.ok_or(Error::NotFound)?)
            }
        };
        let (place, point) = (&booking.address.jurisdiction, booking.address.point());
        let bits = [point.latitude.to_bits(), point.longitude.to_bits()];
        Ok(match self.required.entry((place.clone(), kind.clone(), bits)) {
            Known::Occupied(required) => required.into_mut(),
            Known::Vacant(required) => required.insert(requirements(&mut **tx, place, point, kind).await?),
        })
    }
}

/// Holds the therapist's future visits against the credentials as they stand now, in the unit of work that changed them: puts at risk, calls
/// off, or restores what follows from it. Running it again changes nothing.
pub async fn reconcile(work: &mut Work, lock: &TimeLock) -> Result<()> {
    reconcile_after(work, lock, Party::System, TimeDelta::zero()).await
}

/// As [`reconcile`]; `by` is who has to answer for visits that are lost: the therapist, or nobody, which the system stands for. None is called off
/// before `hold` is over: until then whoever decided can take it back.
pub(super) async fn reconcile_after(work: &mut Work, lock: &TimeLock, by: Party, hold: TimeDelta) -> Result<()> {
    let (therapist, now) = (lock.therapist(), work.now());
    let visits = live(work, therapist, now).await?;
    if visits.is_empty() {
        return Ok(());
    }
    let ids: Vec<BookingId> = visits.iter().map(|visit| visit.id).collect();
    let mut before = store::reliances(work, &ids).await?;
    let deadlines = store::deadlines(work, &visits).await?;
    let standings = credentials::standings(work, therapist).await?;
    let mut rules = Rules::default();
    for visit in visits {
        let required = rules.of(work, &visit).await?;
        let (first, last) = visit.dates();
        let relied_on = relied_on(required, &standings, first, last);
        let until = deadline(&visit, &deadlines);
        match consequence(visit.status, visit.table(), until, relied_on.is_some(), hold, now) {
            Consequence::Stands => {}
            Consequence::Restore => {
                store::set_at_risk(work, visit.id, None).await?;
                work.announce(event("booking.restored", &visit, json!({}))).await?;
            }
            Consequence::PutAtRisk => {
                let call_off_at = call_off_at(visit.start_at, hold, now);
                store::set_at_risk(work, visit.id, Some((now, call_off_at))).await?;
                enqueue(work, &SettleAtRisk { booking: visit.id }, call_off_at).await?;
                let groups: Vec<&str> =
                    missing(required, &standings, first, last).iter().map(|asked| asked.group.as_str()).collect();
                let details = json!({ "missing": groups, "by": by, "call_off_at": call_off_at });
                work.announce(event("booking.put_at_risk", &visit, details)).await?;
            }
            Consequence::CallOff => {
                call_off(work, lock, visit, by).await?;
                continue;
            }
            Consequence::Alert => alert(work, &visit).await?,
        }
        let Some(relied_on) = relied_on else { continue };
        let relied_on: BTreeSet<Reliance> = relied_on.into_iter().map(Reliance::from).collect();
        if before.remove(&visit.id).as_ref() != Some(&relied_on) {
            let relied_on: Vec<Reliance> = relied_on.into_iter().collect();
            rely_on(work, visit.id, &relied_on).await?;
            let credentials: Vec<_> = relied_on.iter().map(|reliance| reliance.credential).collect();
            work.announce(event("booking.relied_anew", &visit, json!({ "credentials": credentials }))).await?;
        }
    }
    Ok(())
}

/// Whether the therapist may carry the visit out, as things stand.
pub(super) async fn is_licensed(tx: &mut Tx, visit: &Booking) -> Result<bool> {
    let standings = credentials::standings(tx, visit.therapist).await?;
    let (first, last) = visit.dates();
    let mut rules = Rules::default();
    Ok(visit.at_risk_since.is_none() && relied_on(rules.of(tx, visit).await?, &standings, first, last).is_some())
}

/// Reconciles the visits of everyone who has any in a country, each therapist's in a transaction of its own, since its rules
/// have changed. A run that was interrupted begins anew and changes nothing twice.
pub async fn reconcile_place(app: &App, country: Option<&str>) -> Result<()> {
    let mut work = app.begin(None).await?;
    let now = work.now();
    let therapists = store::therapists_with_visits(&mut work, country, now).await?;
    work.commit().await?;
    for therapist in therapists {
        reconcile_now(app, therapist).await?;
    }
    Ok(())
}

async fn reconcile_now(app: &App, therapist: TherapistId) -> Result<()> {
    let mut work = app.begin(None).await?;
    let lock = work.lock_time(therapist).await?;
    reconcile_after(&mut work, &lock, Party::System, RULES_HOLD).await?;
    work.commit().await
}

/// Calls off a visit that is still at risk 24 hours before its start, or when what was held is over: the job's part. It looks at the present state, so
/// that it may run twice, early or late; a visit that has begun, or is over, is for staff to look into.
pub async fn settle(app: &App, id: BookingId) -> Result<()> {
    let Some(Begun { mut work, lock, booking, .. }) = begin_as_system(app, id).await? else { return Ok(()) };
    let now = work.now();
    let deadlines = store::deadlines(&mut work, std::slice::from_ref(&booking)).await?;
    if let Some(until) = deadline(&booking, &deadlines) {
        if until > now {
            // The queue's clock is ahead of ours, or this is the job of an earlier time at risk.
            enqueue(&mut work, &SettleAtRisk { booking: id }, until).await?;
        } else {
            let by = store::put_at_risk_by(&mut work, id).await?.unwrap_or(Party::System);
            reconcile_after(&mut work, &lock, by, TimeDelta::zero()).await?;
            match super::store::lock(&mut work, id, now).await? {
                Some(booking) if booking.at_risk_since.is_none() => {}
                Some(booking) if booking.start_at > now => call_off(&mut work, &lock, booking, by).await?,
                Some(booking) => alert(&mut work, &booking).await?,
                None => {}
            }
        }
    }
    work.commit().await
}

/// Cancels a visit in the name of whoever has to answer for it; the client gets everything back. What is late counts against the
/// therapist as their own cancellation would.
async fn call_off(work: &mut Work, lock: &TimeLock, booking: Booking, by: Party) -> Result<()> {
    let now = work.now();
    // A therapist declines what was only asked for, and whatever cannot be called off as theirs is as the system's.
    let theirs = (by == Party::Therapist).then(|| step(&booking, Action::Cancel, by, now));
    let (party, status) = match theirs {
        Some(Ok(Step::To(status))) => (by, status),
        _ => match step(&booking, Action::Cancel, Party::System, now) {
            Ok(Step::To(status)) => (Party::System, status),
            _ => return Ok(()),
        },
    };
    if party == Party::Therapist && booking.policy.is_late(booking.start_at, now) {
        reliability::record(work, &booking, Lapse::LateCancellation).await?;
    }
    steps::call_off(work, lock, booking, (party, status), 0, CALLED_OFF).await
}

/// What is told of a visit that takes place without a licence.
const UNLICENSED: &str = "booking.unlicensed_in_progress";

/// Tells staff of a visit that takes place without a licence, once wherever it stands.
async fn alert(work: &mut Work, booking: &Booking) -> Result<()> {
    if store::was_alerted(work, booking, UNLICENSED).await? {
        return Ok(());
    }
    work.announce(event(UNLICENSED, booking, json!({ "status": booking.status }))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: [Status; 5] =
        [Status::Requested, Status::Confirmed, Status::OnTheWay, Status::Arrived, Status::InProgress];
    const ENDED: [Status; 6] =
        [Status::Completed, Status::Declined, Status::Expired, Status::Cancelled, Status::NoShow, Status::Stopped];

    fn noon() -> DateTime<Utc> {
        "2026-12-01T12:00:00Z".parse().expect("an instant")
    }

    /// What follows, `left` before the start of an hour's visit.
    fn before(left: TimeDelta, status: Status, at_risk: bool, licensed: bool) -> Consequence {
        let (start, now) = (noon() + left, noon());
        let until = at_risk.then(|| start - CALL_OFF_LEAD);
        consequence(status, Span::of_minutes(start, 60), until, licensed, TimeDelta::zero(), now)
    }

    #[test]
    fn what_is_held_is_called_off_once_that_is_over_and_before_the_start() {
        let hold = TimeDelta::minutes(15);
        for (left, held) in [(1500, 60), (1440, 15), (600, 15), (16, 15), (15, 14), (2, 1)] {
            let start = noon() + TimeDelta::minutes(left);
            let (visit, until) = (Span::of_minutes(start, 60), call_off_at(start, hold, noon()));
            assert_eq!(until, noon() + TimeDelta::minutes(held), "{left}");
            let follows = |risk, now| consequence(Status::Confirmed, visit, risk, false, hold, now);
            assert_eq!(follows(None, noon()), Consequence::PutAtRisk, "{left}");
            assert_eq!(follows(Some(until), noon()), Consequence::Stands, "{left}");
            assert_eq!(follows(Some(until), until + TimeDelta::seconds(1)), Consequence::CallOff, "{left}");
        }
        let last = Span::of_minutes(noon() + LAST_MOMENT, 60);
        assert_eq!(consequence(Status::Confirmed, last, None, false, hold, noon()), Consequence::CallOff);
    }

    #[test]
    fn whoever_is_licensed_keeps_their_visits() {
        for status in LIVE {
            for left in
                [TimeDelta::days(30), CALL_OFF_LEAD, TimeDelta::seconds(1), TimeDelta::zero(), -TimeDelta::minutes(59)]
            {
                assert_eq!(before(left, status, false, true), Consequence::Stands, "{status:?} {left}");
                assert_eq!(before(left, status, true, true), Consequence::Restore, "{status:?} {left}");
            }
        }
    }

    #[test]
    fn time_to_find_someone_else_ends_24_hours_before_the_start() {
        let moment = TimeDelta::microseconds(1);
        for status in [Status::Requested, Status::Confirmed, Status::OnTheWay, Status::Arrived] {
            for left in [TimeDelta::days(30), CALL_OFF_LEAD] {
                assert_eq!(before(left, status, false, false), Consequence::PutAtRisk, "{status:?} {left}");
                assert_eq!(before(left, status, true, false), Consequence::Stands, "once");
            }
            for (left, at_risk) in
                [(CALL_OFF_LEAD - moment, false), (CALL_OFF_LEAD - moment, true), (moment, false), (moment, true)]
            {
                assert_eq!(before(left, status, at_risk, false), Consequence::CallOff, "{status:?} {left}");
            }
        }
    }

    #[test]
    fn what_has_begun_is_for_staff() {
        for at_risk in [false, true] {
            for status in LIVE {
                for left in [TimeDelta::zero(), -TimeDelta::minutes(59)] {
                    assert_eq!(before(left, status, at_risk, false), Consequence::Alert, "{status:?} {left}");
                }
            }
            let early = before(TimeDelta::minutes(5), Status::InProgress, at_risk, false);
            assert_eq!(early, Consequence::Alert, "begun before its time");
        }
    }

    #[test]
    fn what_has_ended_stays_as_it_is() {
        for (at_risk, licensed) in [(false, false), (false, true), (true, false), (true, true)] {
            for status in ENDED {
                assert_eq!(before(TimeDelta::days(3), status, at_risk, licensed), Consequence::Stands, "{status:?}");
            }
            for status in LIVE {
                assert_eq!(before(-TimeDelta::minutes(60), status, at_risk, licensed), Consequence::Stands, "over");
            }
        }
    }
}
