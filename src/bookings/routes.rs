use actix_web::web::Data;
use actix_web::{get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::lifecycle::{Action, Party, Status, Step, step};
use super::policy::Policy;
use super::store::{self, BookingEvent, Listed, New, Taken};
use super::views::{BookingView, ClientBooking, Viewer, views};
use super::wish::{Decided, Wanted, Wish};
use super::{Booking, Cancelled, FocusArea, NOTES, Notes, Pressure, Reason, holds, proof, reassign, respond_by};
use crate::App;
use crate::auth::{Anyone, As, Client, Principal, Role, Therapist};
use crate::availability;
use crate::db::{Tx, work};
use crate::error::{Error, FieldError, Problem, Refusal, Result};
use crate::http::{Cursor, IdempotencyKey, Json, Limit, Once, OrDefault, Page, Path, Query, Reply};
use crate::ids::{AccountId, AddressId, BookingId, HoldId, ServiceId, TherapistId};
use crate::jobs::{LapseRequest, enqueue};
use crate::therapists::{self, BookingMode};
use crate::values::{Day, Instant, Money};

/// The operations on bookings.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list_bookings).service(create_booking).service(get_booking).service(get_booking_events);
    config.service(accept_booking).service(decline_booking);
    config.service(get_cancellation_quote).service(cancel_booking);
    holds::routes(config);
    reassign::routes(config);
    proof::routes(config);
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
    (status = 409, description = "`slot_unavailable`, `hold_expired`, `idempotency_key_in_flight`", body = Problem, content_type = "application/problem+json"),
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
        let wish = match slot {
            Slot::Held(hold) => holds::consume(&mut tx, hold, me.account(), &app.clock).await?,
            Slot::Wanted(wanted) => Wish::read(&mut tx, &wanted, me.account()).await?,
        };
        let details = Details { notes: new.notes, focus_areas, pressure: new.pressure };
        let booking = book(&app, &mut tx, wish, details, me.account()).await?;
        let made_at = booking.created_at;
        if let (Status::Requested, Some(deadline)) = (booking.status, booking.respond_by) {
            enqueue(&mut tx, &LapseRequest { booking: booking.id }, deadline).await?;
        }
        let location = format!("/v1/bookings/{}", booking.id);
        let reply = Reply::created(location, &views(&app.cipher, &mut tx, vec![booking], Viewer::Client).await?.pop())?;
        once.keep(&mut tx, &reply, made_at).await?;
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

/// Lock, decide, save.
async fn book(app: &App, tx: &mut Tx, wish: Wish, details: Details, client: AccountId) -> Result<Booking> {
    let mode = therapists::booking_mode(&mut **tx, wish.therapist).await?;
    let Decided { at, during, relied_on } = wish.reserve(tx, &app.clock).await?;
    let id = BookingId::new(at);
    let notes = details.notes.map(|notes| app.cipher.seal(NOTES, id, notes.as_str())).transpose()?;
    let status = if mode == BookingMode::Instant { Status::Confirmed } else { Status::Requested };
    let booking = Booking {
        id,
        client,
        therapist: wish.therapist,
        service: wish.service,
        status,
        start_at: wish.start,
        duration_minutes: wish.minutes,
        time_zone: wish.address.time_zone,
        address: wish.address,
        price: wish.price,
        policy: Policy::current(),
        notes: None,
        notes_sealed: notes,
        focus_areas: details.focus_areas,
        pressure: details.pressure,
        asked_at: wish.asked_at,
        respond_by: (status == Status::Requested).then(|| respond_by(at, wish.start)),
        cancelled: None,
        at_risk_since: None,
        created_at: at,
    };
    let stored = store::insert(tx, &New { booking: &booking, during, relied_on }).await?;
    if stored { Ok(booking) } else { Err(Refusal::SlotUnavailable.into()) }
}

fn focus_areas(areas: &[FocusArea]) -> Result<Vec<String>> {
    if areas.len() > 10 {
        return Err(FieldError::new("/focus_areas", "holds at most 10 entries.").into());
    }
    Ok(areas.iter().map(|area| area.as_str().to_owned()).collect())
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct BookingQuery {
    /// In this state.
    #[param(inline)]
    status: Option<Status>,
    /// From this date on, in the zone of each visit.
    #[param(inline)]
    from: Option<Day>,
    /// Until this date, included.
    #[param(inline)]
    to: Option<Day>,
    /// With this therapist.
    therapist_id: Option<TherapistId>,
    /// Of this client.
    client_id: Option<AccountId>,
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// List bookings
///
/// The caller's own bookings, or all of them for admins, by their start. A list shows no addresses to therapists.
#[utoipa::path(tag = "Bookings", operation_id = "list_bookings", security(("bearer" = ["client", "therapist", "admin"])),
    params(BookingQuery),
    responses((status = 200, description = "A page of bookings.", body = Page<BookingView>)))]
#[get("/v1/bookings")]
async fn list_bookings(app: Data<App>, me: As<Anyone>, Query(query): Query<BookingQuery>) -> Result<Reply> {
    work(async move {
        let Principal { account, role, .. } = me.principal;
        let mut listed = Listed {
            status: query.status,
            from: query.from.map(|Day(date)| date),
            to: query.to.map(|Day(date)| date),
            client: query.client_id,
            therapist: query.therapist_id,
            after: query.cursor.map(|cursor| cursor.key()).transpose()?.map(|(Instant(start), id)| (start, id)),
            count: query.limit.probe(),
        };
        if listed.from.zip(listed.to).is_some_and(|(from, to)| to < from) {
            return Err(FieldError::new("/to", "lies before `from`.").into());
        }
        // Asking for someone else's bookings finds none.
        let others = match role {
            Role::Client => listed.client.replace(account).is_some_and(|client| client != account),
            Role::Therapist => listed.therapist.replace(account.into()).is_some_and(|t| t != account.into()),
            Role::Admin => false,
        };
        if others {
            return Reply::ok(&Page::<BookingView>::whole(Vec::new()));
        }
        let mut tx = app.db.begin().await?;
        let found = store::list(&mut tx, listed, app.clock.now()).await?;
        let page = Page::cut(found, query.limit, |booking| (booking.start_at, booking.id))?;
        let viewer = match role {
            Role::Client => Viewer::Client,
            Role::Therapist => Viewer::Therapist,
            Role::Admin => Viewer::Admin,
        };
        let data = views(&app.cipher, &mut tx, page.data, viewer).await?;
        tx.commit().await?;
        Reply::ok(&Page { data, next_cursor: page.next_cursor })
    })
    .await
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

/// The booking as `party` sees it. A therapist who is shown the door leaves a trace of it.
async fn view(app: &App, tx: &mut Tx, booking: Booking, party: Party, now: DateTime<Utc>) -> Result<Reply> {
    let viewer = match party {
        Party::Client => Viewer::Client,
        Party::Therapist if booking.discloses_address(now) => {
            store::record_disclosure(tx, &booking, now).await?;
            Viewer::Disclosed
        }
        Party::Therapist => Viewer::Therapist,
        Party::Admin | Party::System => Viewer::Admin,
    };
    Reply::ok(&views(&app.cipher, tx, vec![booking], viewer).await?.pop())
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
/// Every step of its life, oldest first. Why staff gave it to another therapist is shown to admins alone.
#[utoipa::path(tag = "Bookings", operation_id = "get_booking_events",
    security(("bearer" = ["client", "therapist", "admin"])),
    params(("id" = BookingId, Path, description = "The booking.")),
    responses((status = 200, description = "The events.", body = Page<BookingEvent>)))]
#[get("/v1/bookings/{id}/events")]
async fn get_booking_events(app: Data<App>, me: As<Anyone>, Path(id): Path<BookingId>) -> Result<Reply> {
    work(async move {
        let mut tx = app.db.begin().await?;
        let booking = store::find(&mut tx, id, app.clock.now()).await?.ok_or(Error::NotFound)?;
        let party = party(&booking, &me.principal).ok_or(Error::NotFound)?;
        let mut events = store::events(&mut tx, id).await?;
        if party != Party::Admin {
            // Why staff gave a visit to another therapist is about a person, and not for the others.
            for event in events.iter_mut().filter(|event| event.action == Action::Reassign) {
                event.reason = None;
            }
        }
        tx.commit().await?;
        Reply::ok(&Page::whole(events))
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
        availability::lock(&mut tx, seen.therapist).await?;
        // Read after the wait: whoever comes second is later.
        let now = app.clock.now();
        let Some(booking) = store::lock(&mut tx, id, now).await? else { return Ok(None) };
        if booking.therapist == seen.therapist {
            let party = who(&booking);
            return Ok(party.map(|party| (tx, booking, party, now)));
        }
        // It was given to another therapist meanwhile, whose lock must be taken before anything else.
        tx.rollback().await?;
    }
}

/// Takes a step for the caller: lock, decide by the table, save.
async fn take(app: &App, me: Principal, id: BookingId, action: Action, reason: Option<Reason>) -> Result<Reply> {
    let begun = begin(app, id, |booking| party(booking, &me)).await?;
    let (mut tx, mut booking, party, now) = begun.ok_or(Error::NotFound)?;
    match step(booking.status, action, party) {
        Step::Refused => return Err(Refusal::InvalidTransition.into()),
        Step::Done => {}
        Step::To(status) => {
            let from = booking.status;
            match action {
                // The therapist may have lost a licence since, or taken the day off.
                Action::Accept => {
                    let decided = Wish::requested(&mut tx, &booking).await?.decide(&mut tx, now).await?;
                    store::rely_on(&mut tx, id, &decided.relied_on, now).await?;
                }
                Action::Cancel if now >= booking.end_at() => return Err(Refusal::InvalidTransition.into()),
                Action::Cancel => {
                    let fee = booking.policy.fee(&booking, party, now).amount;
                    booking.cancelled = Some(Cancelled { by: party, at: now, fee });
                }
                _ => {}
            }
            booking.enter(status);
            let reason = reason.as_ref().map(Reason::as_str);
            let taken = Taken { action, party, actor: Some(me.account), from, reason, at: now };
            store::save(&mut tx, &booking, taken).await?;
        }
    }
    let reply = view(app, &mut tx, booking, party, now).await?;
    tx.commit().await?;
    Ok(reply)
}

/// Accept a request
///
/// Confirms a requested visit, if it could still be booked now. Notice is counted from when the client asked.
#[utoipa::path(tag = "Bookings", operation_id = "accept_booking", security(("bearer" = ["therapist"])),
    params(("id" = BookingId, Path, description = "The booking.")), responses(
    (status = 200, description = "The booking, confirmed.", body = BookingView),
    (status = 409, description = "`invalid_transition`, `slot_unavailable`", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "What no longer holds, such as `credential_not_valid`.", body = Problem, content_type = "application/problem+json"),
))]
#[post("/v1/bookings/{id}/accept")]
async fn accept_booking(app: Data<App>, me: As<Therapist>, Path(id): Path<BookingId>) -> Result<Reply> {
    work(async move { take(&app, me.principal, id, Action::Accept, None).await }).await
}

/// Decline a request
///
/// Turns a requested visit down; its time is free again.
#[utoipa::path(tag = "Bookings", operation_id = "decline_booking", security(("bearer" = ["therapist"])),
    params(("id" = BookingId, Path, description = "The booking.")), responses(
    (status = 200, description = "The booking, declined.", body = BookingView),
    (status = 409, description = "`invalid_transition`", body = Problem, content_type = "application/problem+json"),
))]
#[post("/v1/bookings/{id}/decline")]
async fn decline_booking(app: Data<App>, me: As<Therapist>, Path(id): Path<BookingId>) -> Result<Reply> {
    work(async move { take(&app, me.principal, id, Action::Decline, None).await }).await
}

/// What calling off would cost now.
#[derive(Serialize, ToSchema)]
struct Quote {
    /// What the client would pay.
    fee: Money,
    /// What the client would get back.
    refund: Money,
}

/// Quote a cancellation
///
/// What it would cost the caller to call the visit off now.
#[utoipa::path(tag = "Bookings", operation_id = "get_cancellation_quote",
    security(("bearer" = ["client", "therapist", "admin"])),
    params(("id" = BookingId, Path, description = "The booking.")), responses(
    (status = 200, description = "Fee and refund.", body = Quote),
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
        let fee = booking.policy.fee(&booking, party, now);
        Reply::ok(&Quote { fee, refund: booking.price.less(fee) })
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
    params(("id" = BookingId, Path, description = "The booking.")), request_body = Option<CancelBody>, responses(
    (status = 200, description = "The booking, cancelled.", body = BookingView),
    (status = 409, description = "`invalid_transition`", body = Problem, content_type = "application/problem+json"),
))]
#[post("/v1/bookings/{id}/cancel")]
async fn cancel_booking(
    app: Data<App>,
    me: As<Anyone>,
    Path(id): Path<BookingId>,
    OrDefault(body): OrDefault<CancelBody>,
) -> Result<Reply> {
    work(async move { take(&app, me.principal, id, Action::Cancel, body.reason).await }).await
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
    }
    tx.commit().await?;
    Ok(())
}
