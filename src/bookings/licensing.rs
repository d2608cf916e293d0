//! What becomes of booked visits when it changes who may practise where.
//!
//! A visit that its therapist may no longer carry out is put at risk: staff can give it to another, and 24 hours before
//! its start it is called off by [`settle`]. Whatever moves a visit on must not do so meanwhile, however late that job is:
//! acceptance asks the engine again.

mod store;

use std::collections::btree_map::Entry as Known;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

pub use store::therapists_with_visits;

use super::jobs::SettleAtRisk;
use super::lifecycle::{Action, Party, Status, Step, step};
use super::routes::begin;
use super::store::{Taken, Why, live, lock, rely_on, save};
use super::{Booking, Cancelled};
use crate::App;
use crate::audit::{self, Entry};
use crate::availability;
use crate::catalogue;
use crate::credentials::{self, Reliance, Required, missing, relied_on, requirements};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::ids::{AccountId, BookingId, ServiceId, TherapistId};
use crate::notices::{self, Notice};
use crate::queue::enqueue;
use crate::tasks::{self, Task};
use crate::values::{Jurisdiction, Span};

/// From so long before its start on, a visit without a licensed therapist is called off.
pub(super) const NOTICE: TimeDelta = TimeDelta::hours(24);

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

/// What follows for a visit from whether its therapist is `licensed` for every date of it, at its place. What has ended
/// stays as it is.
fn consequence(status: Status, visit: Span, at_risk: bool, licensed: bool, now: DateTime<Utc>) -> Consequence {
    if !status.is_live() || visit.end <= now {
        return Consequence::Stands;
    }
    match (licensed, at_risk) {
        (true, false) => Consequence::Stands,
        (true, true) => Consequence::Restore,
        (false, _) if status == Status::InProgress || visit.start <= now => Consequence::Alert,
        (false, _) if visit.start - now < NOTICE => Consequence::CallOff,
        (false, true) => Consequence::Stands,
        (false, false) => Consequence::PutAtRisk,
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

/// Holds the therapist's future visits against the credentials as they stand now, in the transaction that changed
/// them: puts at risk, calls off, or restores what follows from it. Running it again changes nothing. The caller holds
/// the therapist's lock. `actor` is whoever made the change; none where the system did.
pub async fn reconcile(
    tx: &mut Tx,
    therapist: TherapistId,
    actor: Option<AccountId>,
    now: DateTime<Utc>,
) -> Result<()> {
    let visits = live(tx, therapist, now).await?;
    if visits.is_empty() {
        return Ok(());
    }
    let ids: Vec<BookingId> = visits.iter().map(|visit| visit.id).collect();
    let mut before = store::reliances(tx, &ids).await?;
    let standings = credentials::standings(tx, therapist).await?;
    let mut rules = Rules::default();
    for visit in visits {
        let required = rules.of(tx, &visit).await?;
        let (first, last) = visit.dates();
        let relied_on = relied_on(required, &standings, first, last);
        match consequence(visit.status, visit.table(), visit.at_risk_since.is_some(), relied_on.is_some(), now) {
            Consequence::Stands => {}
            Consequence::Restore => {
                store::set_at_risk(tx, visit.id, None).await?;
                record(tx, &visit, actor, "booking.restored", json!({}), now).await?;
                tell(tx, therapist.into(), "visit_restored", &visit, now).await?;
            }
            Consequence::PutAtRisk => {
                store::set_at_risk(tx, visit.id, Some(now)).await?;
                enqueue(tx, &SettleAtRisk { booking: visit.id }, visit.start_at - NOTICE).await?;
                let groups: Vec<&str> =
                    missing(required, &standings, first, last).iter().map(|asked| asked.group.as_str()).collect();
                record(tx, &visit, actor, "booking.put_at_risk", json!({ "missing": groups }), now).await?;
                tell(tx, therapist.into(), "visit_at_risk", &visit, now).await?;
            }
            Consequence::CallOff => {
                call_off(tx, visit, now).await?;
                continue;
            }
            Consequence::Alert => alert(tx, &visit, now).await?,
        }
        let Some(relied_on) = relied_on else { continue };
        let relied_on: BTreeSet<Reliance> = relied_on.into_iter().map(Reliance::from).collect();
        if before.remove(&visit.id).as_ref() != Some(&relied_on) {
            let relied_on: Vec<Reliance> = relied_on.into_iter().collect();
            rely_on(tx, visit.id, &relied_on, now).await?;
            let credentials: Vec<_> = relied_on.iter().map(|reliance| reliance.credential).collect();
            record(tx, &visit, actor, "booking.relied_anew", json!({ "credentials": credentials }), now).await?;
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
    let mut tx = app.db.begin().await?;
    let therapists = store::therapists_with_visits(&mut tx, country, app.clock.now()).await?;
    tx.commit().await?;
    for therapist in therapists {
        reconcile_now(app, therapist).await?;
    }
    Ok(())
}

async fn reconcile_now(app: &App, therapist: TherapistId) -> Result<()> {
    let mut tx = app.db.begin().await?;
    availability::lock(&mut tx, therapist).await?;
    reconcile(&mut tx, therapist, None, app.clock.now()).await?;
    tx.commit().await?;
    Ok(())
}

/// Calls off a visit that is still at risk 24 hours before its start: the job's part. It looks at the present state, so
/// that it may run twice, early or late; a visit that has begun, or is over, is for staff to look into.
pub async fn settle(app: &App, id: BookingId) -> Result<()> {
    let Some((mut tx, booking, _, now)) = begin(app, id, |_| Some(Party::System)).await? else { return Ok(()) };
    if booking.at_risk_since.is_some() {
        if booking.start_at - now > NOTICE {
            // The queue's clock is ahead of ours.
            enqueue(&mut tx, &SettleAtRisk { booking: id }, booking.start_at - NOTICE).await?;
        } else {
            reconcile(&mut tx, booking.therapist, None, now).await?;
            match lock(&mut tx, id, now).await? {
                Some(booking) if booking.at_risk_since.is_none() => {}
                Some(booking) if booking.start_at > now => call_off(&mut tx, booking, now).await?,
                Some(booking) => alert(&mut tx, &booking, now).await?,
                None => {}
            }
        }
    }
    tx.commit().await?;
    Ok(())
}

/// Cancels a visit in the service's own name; the client gets everything back.
async fn call_off(tx: &mut Tx, mut booking: Booking, now: DateTime<Utc>) -> Result<()> {
    let from = booking.status;
    let Step::To(status) = step(from, Action::Cancel, Party::System) else { return Ok(()) };
    booking.cancelled = Some(Cancelled { by: Party::System, at: now, fee: 0 });
    booking.enter(status);
    let taken = Taken {
        action: Action::Cancel,
        party: Party::System,
        actor: None,
        from,
        reason: Some(Why::Ours(CALLED_OFF)),
        at: now,
    };
    save(tx, &booking, taken).await?;
    for person in [booking.client, booking.therapist.into()] {
        tell(tx, person, "visit_called_off", &booking, now).await?;
    }
    Ok(())
}

async fn alert(tx: &mut Tx, booking: &Booking, now: DateTime<Utc>) -> Result<()> {
    let task = Task {
        kind: "visit_in_progress_unlicensed",
        subject_type: "booking",
        subject: booking.id.0,
        details: json!({ "therapist_id": booking.therapist, "status": booking.status, "start_at": booking.start_at }),
    };
    tasks::raise(tx, &task, now).await
}

async fn record(
    tx: &mut Tx,
    booking: &Booking,
    actor: Option<AccountId>,
    action: &'static str,
    details: Value,
    now: DateTime<Utc>,
) -> Result<()> {
    let entry = Entry {
        therapist: Some(booking.therapist),
        actor,
        action,
        subject_type: "booking",
        subject_id: &booking.id.to_string(),
        details,
    };
    audit::record(tx, &entry, now).await
}

/// Tells someone what became of a visit.
pub(super) async fn tell(
    tx: &mut Tx,
    to: AccountId,
    kind: &'static str,
    booking: &Booking,
    now: DateTime<Utc>,
) -> Result<()> {
    notices::post(tx, &notice(to, kind, booking), now).await
}

/// What someone is told of a visit.
pub(super) fn notice(to: AccountId, kind: &'static str, booking: &Booking) -> Notice {
    let details = json!({ "start_at": booking.start_at, "time_zone": booking.time_zone });
    Notice { to, kind, subject_type: "booking", subject: booking.id.0, details }
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
        consequence(status, Span::of_minutes(noon() + left, 60), at_risk, licensed, noon())
    }

    #[test]
    fn whoever_is_licensed_keeps_their_visits() {
        for status in LIVE {
            for left in [TimeDelta::days(30), NOTICE, TimeDelta::seconds(1), TimeDelta::zero(), -TimeDelta::minutes(59)]
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
            for left in [TimeDelta::days(30), NOTICE] {
                assert_eq!(before(left, status, false, false), Consequence::PutAtRisk, "{status:?} {left}");
                assert_eq!(before(left, status, true, false), Consequence::Stands, "once");
            }
            for (left, at_risk) in [(NOTICE - moment, false), (NOTICE - moment, true), (moment, false), (moment, true)]
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
