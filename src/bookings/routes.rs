use actix_web::web::Data;
use actix_web::{get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::counter_offers::OfferStatus;
use super::incidents::{self, NewIncident};
use super::jobs::LapseRequest;
use super::lifecycle::{Action, Party, Status, Step, in_time, step};
use super::reliability::{self, Lapse};
use super::store::{self, New, Taken, Why};
use super::views::{BookingEvent, BookingView, ClientBooking, Known, Viewer, view_of};
use super::wish::{Decided, Wanted, Wish};
use super::{
    Booking, Cancelled, FocusArea, KeptReason, NOTES, Notes, Pressure, Reason, counter_offers, day, extend, holds,
    licensing, list, overdue, proof, reassign, reschedule, respond_by, seal_focus_areas, visit,
};
use crate::App;
use crate::auth::{Anyone, As, Client, Principal, Therapist};
use crate::availability;
use crate::db::{self, Tx, work};
use crate::error::{Error, FieldError, Problem, Refusal, Result};
use crate::http::{IfMatch, Json, Nothing, OrDefault, Page, Paging, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{AddressId, BookingId, HoldId, ServiceId, TherapistId};
use crate::queue::enqueue;
use crate::values::{BookingMode, Instant, Money, Role};

/// The operations on bookings.
pub fn routes(config: &mut ServiceConfig) {
    config.service(create_booking).service(get_booking).service(get_booking_events);
    config.service(accept_booking).service(decline_booking);
    config.service(get_cancellation_quote).service(cancel_booking);
    list::routes(config);
    visit::routes(config);
    incidents::routes(config);
    day::routes(config);
    overdue::routes(config);
    holds::routes(config);
    reassign::routes(config);
    reschedule::routes(config);
    counter_offers::routes(config);
    extend::routes(config);
    proof::routes(config);
    reliability::routes(config);
}

/// A visit to be booked: a slot that is held, or a slot by its fields.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewBooking {
    /// One of the caller's holds, instead of the five fields that name a slot.
    hold_id: Option<HoldId>,
    therapist_id: Option<TherapistId>,
    service_id: Option<ServiceId>,
    /// Minutes on the table.
    #[schema(example = 90, minimum = 15, maximum = 240)]
    duration_minutes: Option<i16>,
    start_at: Option<Instant>,
    /// One of the caller's addresses.
    address_id: Option<AddressId>,
    /// For the therapist, once the visit is confirmed.
    notes: Option<Notes>,
    #[serde(default)]
    #[schema(max_items = 10)]
    focus_areas: Vec<FocusArea>,
    pressure: Option<Pressure>,
}

/// Which slot is to be booked.
enum Slot {
    Held(HoldId),
    Wanted(Wanted),
}

impl NewBooking {
    /// The slot, named in one of the two ways.
    fn slot(&self) -> Result<Slot> {
        let named = [
            ("therapist_id", self.therapist_id.is_some()),
            ("service_id", self.service_id.is_some()),
            ("duration_minutes", self.duration_minutes.is_some()),
            ("start_at", self.start_at.is_some()),
            ("address_id", self.address_id.is_some()),
        ];
        let pointers = |present: bool, detail: &str| -> Vec<FieldError> {
            let wrong = named.iter().filter(|(_, is_present)| *is_present == present);
            wrong.map(|(name, _)| FieldError::new(format!("/{name}"), detail)).collect()
        };
        if let Some(hold) = self.hold_id {
            let errors = pointers(true, "is known from the hold.");
            return if errors.is_empty() { Ok(Slot::Held(hold)) } else { Err(Error::Invalid(errors)) };
        }
        let fields = (self.therapist_id, self.service_id, self.duration_minutes, self.start_at, self.address_id);
        let (Some(therapist_id), Some(service_id), Some(duration_minutes), Some(start_at), Some(address_id)) = fields
        else {
            return Err(Error::Invalid(pointers(false, "is needed where there is no `hold_id`.")));
        };
        Ok(Slot::Wanted(Wanted { therapist_id, service_id, duration_minutes, start_at, address_id }))
    }
}

/// Book a visit
///
/// Books a slot, or requests it where the therapist confirms each visit. The `Idempotency-Key` makes the request safe to
/// repeat: the same key and body get the same answer, and there is one booking.
#[utoipa::path(tag = "Bookings", operation_id = "create_booking", security(("bearer" = ["client"])),
    params(("Idempotency-Key" = String, Header, description = "Makes the request safe to repeat; kept for 48 hours.")),
    request_body = NewBooking, responses(
    (status = 201, description = "The booking.", body = ClientBooking,
     headers(("Location" = String, description = "Where the booking is found."),
             ("Idempotent-Replay" = Option<String>, description = "`true` where the answer was given before."))),
    (status = 409, description = "`slot_unavailable`, `hold_expired`, `client_busy`, `too_many_open_visits`, `too_many_open_requests`, \
     `too_many_cancellations`, `idempotency_key_in_flight`", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "A field is wrong, or `credential_not_valid`, `outside_service_area`, `notice_too_short`, \
     `beyond_horizon`, `service_not_offered`, `not_accepting_bookings`, `blocked`, `idempotency_key_reused`", body = Problem, content_type = "application/problem+json"),
))]
#[post("/v1/bookings")]
async fn create_booking(
    app: Data<App>,
    me: As<Client>,
    key: IdempotencyKey,
    Json(new, print): Json<NewBooking>,
) -> Result<Reply> {
    let key = key.required()?;
    let slot = new.slot()?;
    let focus_areas = focus_areas(&new.focus_areas)?;
    work(async move {
        let mut tx = app.db.begin().await?;
        let once = match Once::claim(&mut tx, me.account(), "POST /v1/bookings", key, print).await? {
            Ok(once) => once,
            Err(reply) => return Ok(reply),
        };
        // One visit after the other for one client, so that no two are both the last that is allowed.
        db::lock(&mut tx, me.account().0).await?;
        let wish = match slot {
            Slot::Held(hold) => holds::consume(&mut tx, hold, me.account(), &app.clock).await?,
            Slot::Wanted(wanted) => Wish::read(&mut tx, &wanted, me.account(), app.clock.now()).await?,
        };
        let details = Details { notes: new.notes, focus_areas, pressure: new.pressure };
        let reply = book(&app, &mut tx, wish, details, once).await?;
        tx.commit().await?;
        Ok(reply)
    })
    .await
}

/// What the client wants the therapist to know.
struct Details {
    notes: Option<Notes>,
    focus_areas: Vec<String>,
    pressure: Option<Pressure>,
}

/// Lock, decide, save. All that can be read before is, since whoever else wants the therapist's time waits for what comes after.
async fn book(app: &App, tx: &mut Tx, wish: Wish, details: Details, once: Once) -> Result<Reply> {
    let people = [wish.client, wish.therapist.into()];
    let known = Known::read(tx, &people, &[wish.service], Viewer::Client).await?;
    let Decided { at, during, relied_on, mode } = wish.reserve(tx, app).await?;
    let id = BookingId::new(at);
    let notes = details.notes.map(|notes| app.cipher.seal(NOTES, id, notes.as_str())).transpose()?;
    let focus_areas_sealed = seal_focus_areas(&app.cipher, id, &details.focus_areas)?;
    let status = if mode == BookingMode::Instant { Status::Confirmed } else { Status::Requested };
    let booking = Booking {
        id,
        client: wish.client,
        therapist: wish.therapist,
        service: wish.service,
        status,
        start_at: wish.start,
        duration_minutes: wish.minutes,
        time_zone: wish.address.time_zone,
        address: wish.address,
        price: wish.terms.breakdown.total,
        breakdown: wish.terms.breakdown,
        policy: wish.terms.policy,
        notes_sealed: notes,
        focus_areas_sealed,
        pressure: details.pressure,
        asked_at: wish.asked_at,
        respond_by: (status == Status::Requested).then(|| respond_by(at, wish.start)),
        cancelled: None,
        cancel_reason: None,
        at_risk_since: None,
        free_to_cancel: false,
        least_fee: 0,
        created_at: at,
    };
    let seen = known.view(&app.cipher, booking.clone(), Viewer::Client)?;
    let reply = seen.created(format!("/v1/bookings/{id}"))?;
    let kind = if status == Status::Confirmed { "visit_booked" } else { "visit_requested" };
    let notice = licensing::notice(booking.therapist.into(), kind, &booking);
    let new = New { booking: &booking, during, relied_on, kept: once.kept(&reply)?, notice };
    if !store::insert(tx, &new).await? {
        return Err(Refusal::SlotUnavailable.into());
    }
    if let (Status::Requested, Some(deadline)) = (booking.status, booking.respond_by) {
        enqueue(tx, &LapseRequest { booking: id }, deadline).await?;
    }
    Ok(reply)
}

fn focus_areas(areas: &[FocusArea]) -> Result<Vec<String>> {
    if areas.len() > 10 {
        return Err(FieldError::new("/focus_areas", "holds at most 10 entries.").into());
    }
    Ok(areas.iter().map(|area| area.as_str().to_owned()).collect())
}

/// What the caller is to a booking; nothing at all where they may not know of it.
pub fn party(booking: &Booking, me: &Principal) -> Option<Party> {
    match me.role {
        Role::Client if booking.client == me.account => Some(Party::Client),
        Role::Therapist if booking.therapist == me.account.into() => Some(Party::Therapist),
        Role::Admin => Some(Party::Admin),
        _ => None,
    }
}

/// As whom `party` sees the booking.
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
    tx: &mut Tx,
    known: &IfMatch,
    step: Step,
    booking: &Booking,
    party: Party,
    now: DateTime<Utc>,
) -> Result<Option<Status>> {
    let status = match step {
        Step::Refused => return Err(Refusal::InvalidTransition.into()),
        Step::Done => return Ok(None),
        Step::To(status) => status,
    };
    if known.is_sent() {
        let viewer = viewer(booking, party, now);
        view_of(&app.cipher, tx, booking.clone(), viewer).await?.check(known)?;
    }
    Ok(Some(status))
}

/// The booking as `party` sees it. A therapist who is shown the door leaves a trace of it.
pub(super) async fn view(app: &App, tx: &mut Tx, booking: Booking, party: Party, now: DateTime<Utc>) -> Result<Reply> {
    let viewer = viewer(&booking, party, now);
    if viewer == Viewer::Disclosed {
        store::record_disclosures(tx, &[&booking], now).await?;
    }
    view_of(&app.cipher, tx, booking, viewer).await?.reply()
}

/// Show a booking
///
/// Its client, its therapist and admins see it, each in their own way. The therapist sees suburb and postcode at first;
/// from confirmation until 24 hours after the visit the whole address with its access notes, and each such look is
/// written down.
#[utoipa::path(tag = "Bookings", operation_id = "get_booking", security(("bearer" = ["client", "therapist", "admin"])),
    params(("id" = BookingId, Path, description = "The booking.")),
    responses((status = 200, description = "The booking.", body = BookingView)))]
#[get("/v1/bookings/{id}")]
async fn get_booking(app: Data<App>, me: As<Anyone>, Path(id): Path<BookingId>) -> Result<Reply> {
    work(async move {
        let now = app.clock.now();
        let mut tx = app.db.begin().await?;
        let booking = store::find(&mut tx, id, now).await?.ok_or(Error::NotFound)?;
        let party = party(&booking, &me.principal).ok_or(Error::NotFound)?;
        let reply = view(&app, &mut tx, booking, party, now).await?;
        tx.commit().await?;
        Ok(reply)
    })
    .await
}

/// Show a booking's events
///
/// Every step of its life, oldest first, in pages. Why a visit was broken off, and what staff wrote, is shown to its author and to
/// admins alone.
#[utoipa::path(tag = "Bookings", operation_id = "get_booking_events",
    security(("bearer" = ["client", "therapist", "admin"])),
    params(("id" = BookingId, Path, description = "The booking."), Paging),
    responses((status = 200, description = "A page of events.", body = Page<BookingEvent>)))]
#[get("/v1/bookings/{id}/events")]
async fn get_booking_events(
    app: Data<App>,
    me: As<Anyone>,
    Path(id): Path<BookingId>,
    Query(page): Query<Paging>,
) -> Result<Reply> {
    work(async move {
        let mut tx = app.db.begin().await?;
        let booking = store::find(&mut tx, id, app.clock.now()).await?.ok_or(Error::NotFound)?;
        let party = party(&booking, &me.principal).ok_or(Error::NotFound)?;
        let events = store::events(&mut tx, id, page.after()?.unwrap_or(0), page.limit.probe()).await?;
        tx.commit().await?;
        let Page { data, next_cursor } = Page::cut(events, page.limit, |event| event.position)?;
        let data = data.into_iter().map(|event| BookingEvent::new(event, id, party, &app.cipher));
        Reply::ok(&Page { data: data.collect::<Result<_>>()?, next_cursor })
    })
    .await
}

/// Begins a unit of work on a booking: locks its therapist's time, then the booking itself. None where there is no such
/// booking, or none that `who` makes a party to.
pub(super) async fn begin(
    app: &App,
    id: BookingId,
    who: impl Fn(&Booking) -> Option<Party>,
) -> Result<Option<(Tx, Booking, Party, DateTime<Utc>)>> {
    loop {
        let mut tx = app.db.begin().await?;
        let seen = store::find(&mut tx, id, app.clock.now()).await?;
        let Some(seen) = seen.filter(|seen| who(seen).is_some()) else { return Ok(None) };
        if let Some((booking, now)) = lock(app, &mut tx, &seen).await? {
            let party = who(&booking);
            return Ok(party.map(|party| (tx, booking, party, now)));
        }
        tx.rollback().await?;
    }
}

/// Locks the time of the therapist of the booking that was seen, then the booking itself; gives it as it is now. None where it
/// was given to another therapist meanwhile, whose lock must be taken before its own: in another transaction.
pub(super) async fn lock(app: &App, tx: &mut Tx, seen: &Booking) -> Result<Option<(Booking, DateTime<Utc>)>> {
    // The client first, as whoever books does: a step may put the client somewhere else.
    db::lock(tx, seen.client.0).await?;
    availability::lock(tx, seen.therapist).await?;
    // Read after the wait: whoever comes second is later.
    let now = app.clock.now();
    let booking = store::lock(tx, seen.id, now).await?;
    Ok(booking.filter(|booking| booking.therapist == seen.therapist).map(|booking| (booking, now)))
}

/// A step that the caller asks for.
pub(super) struct Asked {
    pub action: Action,
    pub reason: Option<Reason>,
    /// What went wrong, where the visit is broken off for it.
    pub incident: Option<NewIncident>,
    /// The state that the caller knows, where it is said.
    pub if_match: IfMatch,
}

impl Asked {
    pub fn new(action: Action, reason: Option<Reason>, if_match: IfMatch) -> Self {
        Self { action, reason, incident: None, if_match }
    }
}

/// Takes a step for the caller: lock, decide by the table, save, tell.
pub(super) async fn take(app: &App, me: Principal, id: BookingId, asked: Asked) -> Result<Reply> {
    let begun = begin(app, id, |booking| party(booking, &me)).await?;
    let (mut tx, mut booking, party, now) = begun.ok_or(Error::NotFound)?;
    let action = asked.action;
    let step = match step(booking.status, action, party) {
        // The other side's report is not this one's.
        Step::Done if action == Action::NoShow && booking.cancelled.is_some_and(|ended| ended.by != party) => {
            Step::Refused
        }
        Step::To(_) if action == Action::Cancel && now >= booking.end_at() => Step::Refused,
        Step::To(status) => {
            in_time(action, party, booking.table(), now)?;
            Step::To(status)
        }
        other => other,
    };
    if let Some(status) = admit(app, &mut tx, &asked.if_match, step, &booking, party, now).await? {
        let from = booking.status;
        let reason = asked.reason.as_ref();
        let reason =
            reason.map(|reason| KeptReason::seal(&app.cipher, id, action, now, reason.as_str())).transpose()?;
        match action {
            // The therapist may have lost a licence since, or taken the day off.
            Action::Accept => {
                // Nor does the time that was proposed instead count for anything.
                counter_offers::close(&mut tx, id, OfferStatus::Obsolete, now).await?;
                let decided = Wish::requested(&mut tx, &booking).await?.decide(&mut tx, &app.roads, now).await?;
                store::rely_on(&mut tx, id, &decided.relied_on, now).await?;
            }
            Action::Cancel => {
                let fee = booking.fee(party, now).amount;
                booking.cancelled = Some(Cancelled { by: party, at: now, fee });
                booking.cancel_reason = Some(KeptReason { action, at: now, own: None, sealed: reason.clone() });
                if party == Party::Therapist && booking.policy.is_late(booking.start_at, now) {
                    reliability::record(&mut tx, &booking, Lapse::LateCancellation, now).await?;
                }
            }
            _ => visit::decide(&mut tx, &mut booking, action, party, now).await?,
        }
        booking.enter(status);
        let reason = reason.map(Why::Theirs);
        let taken = Taken { action, party, actor: Some(me.account), from, reason, at: now };
        store::save(&mut tx, &booking, taken).await?;
        if let Some(incident) = asked.incident {
            incidents::report(app, &mut tx, &booking, party, me.account, incident, now).await?;
        }
        visit::tell(&mut tx, &booking, action, party, me.account, now).await?;
    }
    let reply = view(app, &mut tx, booking, party, now).await?;
    tx.commit().await?;
    Ok(reply)
}

/// Accept a request
///
/// Confirms a requested visit, if it could still be booked now. Notice is counted from when the client asked.
#[utoipa::path(tag = "Bookings", operation_id = "accept_booking", security(("bearer" = ["therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the booking as it was read, where it matters.")), request_body = Option<Nothing>, responses(
    (status = 200, description = "The booking, confirmed.", body = BookingView),
    (status = 409, description = "`invalid_transition`, `slot_unavailable`", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "What no longer holds, such as `credential_not_valid`.", body = Problem, content_type = "application/problem+json"),
))]
#[post("/v1/bookings/{id}/accept")]
async fn accept_booking(
    app: Data<App>,
    me: As<Therapist>,
    Path(id): Path<BookingId>,
    if_match: IfMatch,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    work(async move { take(&app, me.principal, id, Asked::new(Action::Accept, None, if_match)).await }).await
}

/// Decline a request
///
/// Turns a requested visit down; its time is free again.
#[utoipa::path(tag = "Bookings", operation_id = "decline_booking", security(("bearer" = ["therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the booking as it was read, where it matters.")), request_body = Option<Nothing>, responses(
    (status = 200, description = "The booking, declined.", body = BookingView),
    (status = 409, description = "`invalid_transition`", body = Problem, content_type = "application/problem+json"),
))]
#[post("/v1/bookings/{id}/decline")]
async fn decline_booking(
    app: Data<App>,
    me: As<Therapist>,
    Path(id): Path<BookingId>,
    if_match: IfMatch,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    work(async move { take(&app, me.principal, id, Asked::new(Action::Decline, None, if_match)).await }).await
}

/// What calling off would cost now.
#[derive(Serialize, ToSchema)]
struct CancellationQuote {
    /// What the client would pay.
    fee: Money,
    /// What the client would get back.
    refund: Money,
    /// What the therapist would earn of the fee; not for clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    therapist_share: Option<Money>,
}

/// Quote a cancellation
///
/// What it would cost the caller to call the visit off now.
#[utoipa::path(tag = "Bookings", operation_id = "get_cancellation_quote",
    security(("bearer" = ["client", "therapist", "admin"])),
    params(("id" = BookingId, Path, description = "The booking.")), responses(
    (status = 200, description = "Fee and refund.", body = CancellationQuote),
    (status = 409, description = "`invalid_transition`: the visit cannot be called off.", body = Problem, content_type = "application/problem+json"),
))]
#[get("/v1/bookings/{id}/cancellation-quote")]
async fn get_cancellation_quote(app: Data<App>, me: As<Anyone>, Path(id): Path<BookingId>) -> Result<Reply> {
    work(async move {
        let now = app.clock.now();
        let mut tx = app.db.begin().await?;
        let booking = store::find(&mut tx, id, now).await?.ok_or(Error::NotFound)?;
        tx.commit().await?;
        let party = party(&booking, &me.principal).ok_or(Error::NotFound)?;
        let possible = matches!(step(booking.status, Action::Cancel, party), Step::To(_)) && now < booking.end_at();
        if !possible {
            return Err(Refusal::InvalidTransition.into());
        }
        let fee = booking.fee(party, now);
        let therapist_share = (party != Party::Client).then(|| booking.policy.therapist_share(fee));
        Reply::ok(&CancellationQuote { fee, refund: booking.price.less(fee), therapist_share })
    })
    .await
}

/// Why a visit is called off.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CancelBody {
    reason: Option<Reason>,
}

/// Cancel a visit
///
/// Calls the visit off under the policy that it was booked with; its time is free again. A therapist and an admin cause
/// no fee.
#[utoipa::path(tag = "Bookings", operation_id = "cancel_booking", security(("bearer" = ["client", "therapist", "admin"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the booking as it was read, where it matters.")), request_body = Option<CancelBody>, responses(
    (status = 200, description = "The booking, cancelled.", body = BookingView),
    (status = 409, description = "`invalid_transition`", body = Problem, content_type = "application/problem+json"),
))]
#[post("/v1/bookings/{id}/cancel")]
async fn cancel_booking(
    app: Data<App>,
    me: As<Anyone>,
    Path(id): Path<BookingId>,
    if_match: IfMatch,
    OrDefault(body): OrDefault<CancelBody>,
) -> Result<Reply> {
    work(async move { take(&app, me.principal, id, Asked::new(Action::Cancel, body.reason, if_match)).await }).await
}

/// Writes down that a request has expired, if it has: the job's part. Nothing depends on when it runs.
pub async fn lapse(app: &App, id: BookingId) -> Result<()> {
    let Some((mut tx, booking, _, now)) = begin(app, id, |_| Some(Party::System)).await? else { return Ok(()) };
    if let (Status::Requested, Some(deadline)) = (booking.status, booking.respond_by) {
        // The queue's clock is ahead of ours.
        enqueue(&mut tx, &LapseRequest { booking: id }, deadline).await?;
    }
    // The row reads as expired from its deadline on; it is written once.
    if booking.status == Status::Expired && store::is_open_request(&mut tx, id).await? {
        let taken = Taken {
            action: Action::Expire,
            party: Party::System,
            actor: None,
            from: Status::Requested,
            reason: None,
            at: now,
        };
        store::save(&mut tx, &booking, taken).await?;
        licensing::tell(&mut tx, booking.client, "request_expired", &booking, now).await?;
    }
    tx.commit().await?;
    Ok(())
}
