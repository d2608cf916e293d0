//! Steps in a booking's life: begin, lock, admit, take, and what it looks like to whoever took one.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::actions::refused;
use super::counter_offers::{self, OfferStatus};
use super::events::{Taken, Why, event};
use super::incidents::{self, NewIncident};
use super::lifecycle::{Action, Party, Status, Step, step};
use super::reliability::{self, Lapse};
use super::store;
use super::views::{Viewer, view_of};
use super::wish::Wish;
use super::{Booking, Cancelled, KeptReason, Reason, visit};
use crate::App;
use crate::auth::Principal;
use crate::care;
use crate::error::{Error, Refusal, Result};
use crate::events::{TimeLock, Work};
use crate::http::{IfMatch, Reply};
use crate::ids::{AccountId, BookingId};
use crate::values::Role;

/// From so long before its start on a therapist may object to a visit: earlier, whoever does not want it calls it off.
const OBJECTIONS: TimeDelta = TimeDelta::hours(24);

/// What the caller is to a booking; nothing at all where they may not know of it.
pub fn party(booking: &Booking, me: &Principal) -> Option<Party> {
    match me.role {
        Role::Client if booking.client == me.account => Some(Party::Client),
        Role::Therapist if booking.therapist == me.account.into() => Some(Party::Therapist),
        Role::Admin => Some(Party::Admin),
        _ => None,
    }
}

/// A booking that a step is to be taken of: it and its therapist's time are locked.
pub(super) struct Begun {
    pub work: Work,
    pub lock: TimeLock,
    pub booking: Booking,
    /// What whoever acts is to it.
    pub party: Party,
}

/// Begins a unit of work on a booking for a caller.
///
/// # Errors
/// 404 where there is no such booking, or the caller may not know of it.
pub(super) async fn begin(app: &App, me: &Principal, id: BookingId) -> Result<Begun> {
    begin_by(app, Some(me.account), id, |booking| party(booking, me)).await?.ok_or(Error::NotFound)
}

/// Begins a unit of work on a booking for the service itself; none where there is no such booking.
pub(super) async fn begin_as_system(app: &App, id: BookingId) -> Result<Option<Begun>> {
    begin_by(app, None, id, |_| Some(Party::System)).await
}

async fn begin_by(
    app: &App,
    by: Option<AccountId>,
    id: BookingId,
    who: impl Fn(&Booking) -> Option<Party>,
) -> Result<Option<Begun>> {
    loop {
        let mut work = app.begin(by).await?;
        let now = work.now();
        let seen = store::find(&mut work, id, now).await?;
        let Some(seen) = seen.filter(|seen| who(seen).is_some()) else { return Ok(None) };
        if let Some((booking, lock)) = lock(&mut work, &seen).await? {
            let party = who(&booking);
            return Ok(party.map(|party| Begun { work, lock, booking, party }));
        }
        work.rollback().await?;
    }
}

/// Locks the client, the time of the therapist of the booking that was seen, then the booking itself; gives it as it is now. None where it
/// was given to another therapist meanwhile, whose lock must be taken before its own: in another transaction.
pub(super) async fn lock(work: &mut Work, seen: &Booking) -> Result<Option<(Booking, TimeLock)>> {
    // The client comes first, as in booking, because a step may put the client somewhere else.
    work.lock(seen.client.0).await?;
    let lock = work.lock_time(seen.therapist).await?;
    let now = work.now();
    let booking = store::lock(work, seen.id, now).await?;
    Ok(booking.filter(|booking| booking.therapist == seen.therapist).map(|booking| (booking, lock)))
}

/// As whom `party` sees the booking at `now`.
pub(super) fn viewer(booking: &Booking, party: Party, now: DateTime<Utc>) -> Viewer {
    match party {
        Party::Client => Viewer::Client,
        Party::Therapist if booking.discloses_address(now) => Viewer::Disclosed,
        Party::Therapist => Viewer::Therapist,
        Party::Admin | Party::System => Viewer::Admin,
    }
}

/// Where `step` leads, or none where it was taken before. One order holds for every step: whoever may not know of the booking has got 404
/// by now, and the wrong role 403; what does not exist, or not at this time, is 409; then the state that the caller knows must be the
/// one that is there, else 412; what the step itself asks comes last (RFC 9110, section 13.2.1). Whoever lost the answer may ask again
/// with the tag of before (section 13.1.1).
pub(super) async fn admit(
    app: &App,
    work: &mut Work,
    known: &IfMatch,
    (action, step): (Action, Result<Step, Refusal>),
    booking: &Booking,
    party: Party,
) -> Result<Option<Status>> {
    let step = step.map_err(|refusal| refused(refusal, booking, action, party, work.now()))?;
    let Step::To(status) = step else { return Ok(None) };
    if known.is_sent() {
        let viewer = viewer(booking, party, work.now());
        view_of(&app.cipher, work, booking.clone(), viewer).await?.check(known)?;
    }
    Ok(Some(status))
}

/// The booking as `party` sees it. A therapist who is shown the door leaves a trace of it.
pub(super) async fn view(app: &App, work: &mut Work, booking: Booking, party: Party) -> Result<Reply> {
    let viewer = viewer(&booking, party, work.now());
    if viewer == Viewer::Disclosed {
        store::record_disclosures(work, &[&booking]).await?;
    }
    view_of(&app.cipher, work, booking, viewer).await?.reply()
}

/// Calls a visit off in the name of `party`, which leads to `status`, for a reason of the service's own; its client pays `fee`.
pub(super) async fn call_off(
    work: &mut Work,
    lock: &TimeLock,
    mut booking: Booking,
    (party, status): (Party, Status),
    fee: i64,
    reason: &'static str,
) -> Result<()> {
    let from = booking.status;
    booking.cancelled = Some(Cancelled { by: party, at: work.now(), fee });
    booking.enter(status);
    store::save(work, lock, &booking, Taken { action: Action::Cancel, party, from, reason: Some(Why::Ours(reason)) })
        .await
}

/// A step that the caller asks for.
pub(super) struct Asked {
    pub action: Action,
    pub reason: Option<Reason>,
    /// What went wrong, where the visit is broken off for it.
    pub incident: Option<NewIncident>,
    /// Whether a therapist calls the visit off because it would harm, which is not held against them.
    pub objects: bool,
    /// The state that the caller knows, where it is said.
    pub if_match: IfMatch,
}

impl Asked {
    pub fn new(action: Action, reason: Option<Reason>, if_match: IfMatch) -> Self {
        Self { action, reason, incident: None, objects: false, if_match }
    }
}

/// Whether the client answers for the person whom a visit is for, so that what is said of their health can be told to the client.
async fn tells_of_own(app: &App, work: &mut Work, booking: &Booking) -> Result<bool> {
    match care::person(app, work, booking.client, booking.recipient).await? {
        Some(person) => {
            let (first, _) = booking.dates();
            care::is_accounts_own(work, &person, &booking.address.jurisdiction, first).await
        }
        // Nobody was entered, so that it is the client; who was named and is erased may be anyone.
        None => Ok(booking.recipient.is_none()),
    }
}

/// Takes a step for the caller: lock, decide by the table, save, tell.
pub(super) async fn take(app: &App, me: Principal, id: BookingId, asked: Asked) -> Result<Reply> {
    let Begun { mut work, lock, mut booking, party } = begin(app, &me, id).await?;
    let (action, now) = (asked.action, work.now());
    let step = step(&booking, action, party, now);
    if let Some(status) = admit(app, &mut work, &asked.if_match, (action, step), &booking, party).await? {
        let from = booking.status;
        // What a therapist objects to is about health: another adult's is told to nobody, and not kept.
        let is_untold = asked.objects && !tells_of_own(app, &mut work, &booking).await?;
        let reason = asked.reason.as_ref().filter(|_| !is_untold);
        let reason =
            reason.map(|reason| KeptReason::seal(&app.cipher, id, action, now, reason.as_str())).transpose()?;
        match action {
            // The therapist may have lost a licence since, or taken the day off.
            Action::Accept => {
                // Nor does the time that was proposed instead count for anything.
                counter_offers::close(&mut work, &lock, id, OfferStatus::Obsolete).await?;
                let mut wish = Wish::requested(&mut work, &booking).await?.of_its_own(true);
                wish.decide(&mut work, app).await?.record(&mut work, id).await?;
            }
            Action::Cancel => {
                let fee = booking.fee(party, now).amount;
                booking.cancelled = Some(Cancelled { by: party, at: now, fee });
                booking.cancel_reason =
                    Some(KeptReason { action, at: now, own: None, sealed: reason.clone(), objected: asked.objects });
                // Who may not carry the visit out does right by saying so.
                let to_blame = party == Party::Therapist
                    && booking.at_risk_since.is_none()
                    && !asked.objects
                    && !store::is_excused(&mut work, id).await?;
                if asked.objects && now < booking.start_at - OBJECTIONS {
                    return Err(Refusal::TooEarly.into());
                }
                if to_blame && booking.policy.is_late(booking.start_at, now) {
                    reliability::record(&mut work, &booking, Lapse::LateCancellation).await?;
                }
            }
            _ => visit::decide(app, &mut work, &mut booking, action, party).await?,
        }
        booking.enter(status);
        let taken = Taken { action, party, from, reason: reason.map(Why::Theirs) };
        store::save(&mut work, &lock, &booking, taken).await?;
        if from == Status::InProgress && party == Party::Therapist {
            visit::tell_if_early(&mut work, &booking).await?;
        }
        if asked.objects {
            work.announce(event("booking.care_objected", &booking, json!({}))).await?;
        }
        if let Some(incident) = asked.incident {
            incidents::report(app, &mut work, &booking, party, me.account, incident).await?;
        }
    }
    let reply = view(app, &mut work, booking, party).await?;
    work.commit().await?;
    Ok(reply)
}
