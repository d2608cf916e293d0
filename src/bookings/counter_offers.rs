//! Counter-offers: another time that one party of a visit proposes to the other. The old one stands until they agree.

mod store;

use actix_web::web::Data;
use actix_web::{get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

pub(super) use store::close;
pub use store::forget_lapsed;

use super::costs::requote;
use super::jobs::LapseRequest;
use super::licensing::tell;
use super::lifecycle::{Action, Party, Status, Step, step};
use super::reschedule::{NewStart, carry_out};
use super::routes::{admit, begin, lock, party, view};
use super::store::{self as bookings, Taken};
use super::views::BookingView;
use super::wish::Wish;
use super::{Booking, respond_by};
use crate::App;
use crate::auth::{Anyone, As, Parties, Principal};
use crate::db::{Tx, work};
use crate::error::{Error, FieldError, Problem, Refusal, Result};
use crate::http::{IfMatch, Json, Nothing, OrDefault, Page, Path, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{AccountId, BookingId, CounterOfferId};
use crate::queue::enqueue;
use crate::values::{Instant, Money, Span, Zone};

/// How many counter-offers a visit gets.
const MOST: usize = 20;

/// The operations on counter-offers.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_counter_offers).service(create_counter_offer).service(get_counter_offer);
    config.service(accept_counter_offer).service(decline_counter_offer).service(withdraw_counter_offer);
}

/// Where a counter-offer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(super) enum OfferStatus {
    /// Waiting for the other party's answer; its time is held.
    Open,
    /// The other party agreed: the visit takes place then.
    Accepted,
    /// The other party did not agree.
    Declined,
    /// Its maker took it back.
    Withdrawn,
    /// Nobody answered in time.
    Expired,
    /// The visit changed meanwhile, or is over.
    Obsolete,
}

/// Another time that one party of a visit proposes to the other.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct CounterOffer {
    /// The counter-offer's id.
    id: CounterOfferId,
    /// The visit that is to take place then.
    booking_id: BookingId,
    /// Who proposes it.
    by: Party,
    /// When the time on the table would begin.
    start_at: DateTime<Utc>,
    /// What the visit would cost then.
    price: Money,
    /// The zone at the place.
    time_zone: Zone,
    /// Where it stands.
    status: OfferStatus,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it lapses by itself.
    expires_at: DateTime<Utc>,
}

/// Propose another time
///
/// Either party proposes another start for a visit that is requested or confirmed. The time is held until the other party
/// answers: for a day at most, and never past half of what is left until the earlier of the two starts. The visit stands as
/// it is until then. The rules are those of a booking, with notice counted from now; a visit has one open counter-offer at a
/// time, and the same one made again is that one. A request does not lapse before its therapist's first counter-offer; any
/// other one for a request lapses with it.
#[utoipa::path(tag = "Bookings", operation_id = "create_counter_offer", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat; kept for 48 hours.")),
    request_body = NewStart, responses(
    (status = 201, description = "The counter-offer.", body = CounterOffer,
     headers(("Location" = String, description = "Where the counter-offer is found."),
             ("Idempotent-Replay" = Option<String>, description = "`true` where the answer was given before."))),
    (status = 409, description = "`invalid_transition`, also where the visit was reassigned in the same moment; `slot_unavailable`, `counter_offer_open`, `too_many_counter_offers`, `idempotency_key_in_flight`", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "A field is wrong, or `credential_not_valid`, `outside_service_area`, `notice_too_short`, \
     `beyond_horizon`, `service_not_offered`, `not_accepting_bookings`, `blocked`, `idempotency_key_reused`", body = Problem, content_type = "application/problem+json"),
))]
#[post("/v1/bookings/{id}/counter-offers")]
async fn create_counter_offer(
    app: Data<App>,
    me: As<Parties>,
    key: IdempotencyKey,
    Path(id): Path<BookingId>,
    Json(new, print): Json<NewStart>,
) -> Result<Reply> {
    work(async move {
        let mut tx = app.db.begin().await?;
        let route = "POST /v1/bookings/{id}/counter-offers";
        let once = match Once::claim(&mut tx, me.account(), route, key, print.about(id)).await? {
            Ok(once) => once,
            Err(reply) => return Ok(reply),
        };
        let seen = bookings::find(&mut tx, id, app.clock.now()).await?.ok_or(Error::NotFound)?;
        let party = party(&seen, &me.principal).ok_or(Error::NotFound)?;
        // Where an admin has just given it to another therapist, nothing was decided: whoever asks again is told.
        let (booking, now) = lock(&app, &mut tx, &seen).await?.ok_or(Refusal::InvalidTransition)?;
        let Instant(start) = new.start_at;
        let offer = propose(&app, &mut tx, &booking, party, start, now).await?;
        let location = format!("/v1/bookings/{id}/counter-offers/{}", offer.id);
        let reply = Reply::created(location, &offer)?;
        once.keep(&mut tx, &reply, now).await?;
        tx.commit().await?;
        Ok(reply)
    })
    .await
}

/// Proposes to move `booking` to `start`, and holds that time: decides, saves, and tells the other party. The caller holds
/// the therapist's lock.
pub(super) async fn propose(
    app: &App,
    tx: &mut Tx,
    booking: &Booking,
    by: Party,
    start: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<CounterOffer> {
    let mut expires_at = respond_by(now, start.min(booking.start_at));
    if !matches!(step(booking.status, Action::Propose, by), Step::To(_)) || booking.start_at <= now {
        return Err(Refusal::InvalidTransition.into());
    }
    if start == booking.start_at {
        return Err(FieldError::new("/start_at", "is when the visit takes place already.").into());
    }
    let offers = store::list(tx, booking.id, now).await?;
    if let Some(open) = offers.iter().find(|offer| offer.status == OfferStatus::Open) {
        let same = open.by == by && open.start_at == start;
        return if same { Ok(open.clone()) } else { Err(Refusal::CounterOfferOpen.into()) };
    }
    if offers.len() >= MOST {
        return Err(Refusal::TooManyCounterOffers.into());
    }
    let table = Span::of_minutes(start, booking.duration_minutes.into());
    bookings::refuse_busy_client(tx, booking, table, now).await?;
    let mut wish = Wish::requested(tx, booking).await?;
    (wish.start, wish.asked_at) = (start, None);
    let decided = wish.decide(tx, &app.roads, now).await?;
    if expires_at <= now {
        // The visit begins within the microsecond.
        return Err(Refusal::InvalidTransition.into());
    }
    close(tx, booking.id, OfferStatus::Obsolete, now).await?;
    if let (Status::Requested, Some(deadline)) = (booking.status, booking.respond_by) {
        let first = offers.iter().all(|offer| offer.by != by);
        if by == Party::Therapist && first && deadline < expires_at {
            // It is the client's turn to answer, once: nobody stretches their own deadline by proposing again and again.
            store::keep_request(tx, booking, expires_at).await?;
            enqueue(tx, &LapseRequest { booking: booking.id }, expires_at).await?;
        } else {
            // Nobody can agree to move what has lapsed.
            expires_at = expires_at.min(deadline);
        }
    }
    let offer = CounterOffer {
        id: CounterOfferId::new(now),
        booking_id: booking.id,
        by,
        start_at: start,
        price: requote(tx, booking, start, booking.duration_minutes, now).await?.total,
        time_zone: booking.time_zone,
        status: OfferStatus::Open,
        created_at: now,
        expires_at,
    };
    store::insert(tx, &offer, booking, decided.during).await?;
    tell(tx, other(booking, by), "time_proposed", booking, now).await?;
    Ok(offer)
}

/// The party that is not `party`.
fn other(booking: &Booking, party: Party) -> AccountId {
    if party == Party::Client { booking.therapist.into() } else { booking.client }
}

/// List counter-offers
///
/// Every time that was proposed for a visit, oldest first.
#[utoipa::path(tag = "Bookings", operation_id = "list_counter_offers", security(("bearer" = ["client", "therapist", "admin"])),
    params(("id" = BookingId, Path, description = "The booking.")),
    responses((status = 200, description = "The counter-offers.", body = Page<CounterOffer>)))]
#[get("/v1/bookings/{id}/counter-offers")]
async fn list_counter_offers(app: Data<App>, me: As<Anyone>, Path(id): Path<BookingId>) -> Result<Reply> {
    work(async move { Reply::ok(&Page::whole(seen(&app, &me.principal, id).await?)) }).await
}

/// Show a counter-offer
///
/// One of the times that were proposed for a visit.
#[utoipa::path(tag = "Bookings", operation_id = "get_counter_offer", security(("bearer" = ["client", "therapist", "admin"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("offer_id" = CounterOfferId, Path, description = "The counter-offer.")),
    responses((status = 200, description = "The counter-offer.", body = CounterOffer)))]
#[get("/v1/bookings/{id}/counter-offers/{offer_id}")]
async fn get_counter_offer(
    app: Data<App>,
    me: As<Anyone>,
    Path((id, offer)): Path<(BookingId, CounterOfferId)>,
) -> Result<Reply> {
    work(async move {
        let offers = seen(&app, &me.principal, id).await?;
        Reply::ok(&offers.into_iter().find(|found| found.id == offer).ok_or(Error::NotFound)?)
    })
    .await
}

/// The counter-offers of a booking that the caller may know of.
async fn seen(app: &App, me: &Principal, id: BookingId) -> Result<Vec<CounterOffer>> {
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let booking = bookings::find(&mut tx, id, now).await?.ok_or(Error::NotFound)?;
    party(&booking, me).ok_or(Error::NotFound)?;
    let offers = store::list(&mut tx, id, now).await?;
    tx.commit().await?;
    Ok(offers)
}

/// Accept a counter-offer
///
/// Moves the visit to the proposed time, if it could still be booked then; notice is counted from when it was proposed. A
/// visit that was only requested is confirmed by it. What calling off costs goes by the new start; where its client had
/// asked for it, not less than what it cost when it was proposed. Where it cannot be moved, the visit stands as it was.
#[utoipa::path(tag = "Bookings", operation_id = "accept_counter_offer", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("offer_id" = CounterOfferId, Path, description = "The other party's counter-offer."),
           ("If-Match" = Option<String>, Header, description = "The state of the booking that the caller knows.")), request_body = Option<Nothing>, responses(
    (status = 200, description = "The booking, moved.", body = BookingView),
    (status = 409, description = "`counter_offer_expired`, `invalid_transition`, `slot_unavailable`, `client_busy`", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "What no longer holds, such as `credential_not_valid`.", body = Problem, content_type = "application/problem+json"),
))]
#[post("/v1/bookings/{id}/counter-offers/{offer_id}/accept")]
async fn accept_counter_offer(
    app: Data<App>,
    me: As<Parties>,
    known: IfMatch,
    Path((id, offer)): Path<(BookingId, CounterOfferId)>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    work(async move {
        let (mut tx, booking, party, now, offer) = begin_on(&app, &me.principal, id, offer).await?;
        let step = match (offer.status, step(booking.status, Action::Agree, party)) {
            (OfferStatus::Accepted, _) if offer.by != party => Step::Done,
            (OfferStatus::Expired, _) if offer.by != party => return Err(Refusal::CounterOfferExpired.into()),
            (OfferStatus::Open, step) if offer.by != party => step,
            _ => Step::Refused,
        };
        let booking = match admit(&app, &mut tx, &known, step, &booking, party, now).await? {
            None => booking,
            Some(status) => {
                let fee = booking.fee(Party::Client, offer.created_at).amount;
                let moved = Booking {
                    status,
                    start_at: offer.start_at,
                    asked_at: Some(offer.created_at),
                    free_to_cancel: false,
                    least_fee: if offer.by == Party::Client { fee } else { booking.least_fee },
                    ..booking.clone()
                };
                if !close(&mut tx, id, OfferStatus::Accepted, now).await? {
                    // It was swept away meanwhile.
                    return Err(Refusal::CounterOfferExpired.into());
                }
                let taken = Taken {
                    action: Action::Agree,
                    party,
                    actor: Some(me.account()),
                    from: booking.status,
                    reason: None,
                    at: now,
                };
                carry_out(&app, &mut tx, &booking, moved, taken).await?
            }
        };
        let reply = view(&app, &mut tx, booking, party, now).await?;
        tx.commit().await?;
        Ok(reply)
    })
    .await
}

/// Decline a counter-offer
///
/// Turns down what the other party proposed: the visit stands as it is, and the proposed time is free again.
#[utoipa::path(tag = "Bookings", operation_id = "decline_counter_offer", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("offer_id" = CounterOfferId, Path, description = "The other party's counter-offer.")), request_body = Option<Nothing>, responses(
    (status = 200, description = "The counter-offer, declined.", body = CounterOffer),
    (status = 409, description = "`counter_offer_expired`, `invalid_transition`", body = Problem, content_type = "application/problem+json"),
))]
#[post("/v1/bookings/{id}/counter-offers/{offer_id}/decline")]
async fn decline_counter_offer(
    app: Data<App>,
    me: As<Parties>,
    Path((id, offer)): Path<(BookingId, CounterOfferId)>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    work(async move { end(&app, me.principal, id, offer, OfferStatus::Declined).await }).await
}

/// Withdraw a counter-offer
///
/// Takes back what the caller proposed: the visit stands as it is, and the proposed time is free again.
#[utoipa::path(tag = "Bookings", operation_id = "withdraw_counter_offer", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("offer_id" = CounterOfferId, Path, description = "The caller's counter-offer.")), request_body = Option<Nothing>, responses(
    (status = 200, description = "The counter-offer, withdrawn.", body = CounterOffer),
    (status = 409, description = "`counter_offer_expired`, `invalid_transition`", body = Problem, content_type = "application/problem+json"),
))]
#[post("/v1/bookings/{id}/counter-offers/{offer_id}/withdraw")]
async fn withdraw_counter_offer(
    app: Data<App>,
    me: As<Parties>,
    Path((id, offer)): Path<(BookingId, CounterOfferId)>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    work(async move { end(&app, me.principal, id, offer, OfferStatus::Withdrawn).await }).await
}

/// Begins a unit of work on a counter-offer of one of the caller's bookings.
async fn begin_on(
    app: &App,
    me: &Principal,
    id: BookingId,
    offer: CounterOfferId,
) -> Result<(Tx, Booking, Party, DateTime<Utc>, CounterOffer)> {
    let begun = begin(app, id, |booking| party(booking, me)).await?;
    let (mut tx, booking, party, now) = begun.ok_or(Error::NotFound)?;
    let offers = store::list(&mut tx, id, now).await?;
    let offer = offers.into_iter().find(|found| found.id == offer).ok_or(Error::NotFound)?;
    Ok((tx, booking, party, now, offer))
}

/// Ends an open counter-offer without a move: its maker withdraws it, or the other party declines it.
async fn end(app: &App, me: Principal, id: BookingId, offer: CounterOfferId, to: OfferStatus) -> Result<Reply> {
    let (mut tx, booking, party, now, mut offer) = begin_on(app, &me, id, offer).await?;
    let may = (offer.by == party) == (to == OfferStatus::Withdrawn);
    match offer.status {
        OfferStatus::Open if may => {
            close(&mut tx, id, to, now).await?;
            offer.status = to;
            let kind = if to == OfferStatus::Declined { "proposal_declined" } else { "proposal_withdrawn" };
            tell(&mut tx, other(&booking, party), kind, &booking, now).await?;
        }
        OfferStatus::Expired if may => return Err(Refusal::CounterOfferExpired.into()),
        status if status == to && may => {}
        _ => return Err(Refusal::InvalidTransition.into()),
    }
    let reply = Reply::ok(&offer)?;
    tx.commit().await?;
    Ok(reply)
}
