//! Counter-offers: another time that one party of a visit proposes to the other. The old one stands until they agree.

mod store;

use actix_web::web::Data;
use actix_web::{get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

pub use store::forget_lapsed;
pub(super) use store::{close, open};

use super::actions::refused as refused_step;
use super::costs::requote;
use super::events::{Taken, event};
use super::lifecycle::{Action, Party, Status, Step, step};
use super::reschedule::{NewStart, carry_out};
use super::steps::{Begun, admit, begin, lock, party, view};
use super::views::BookingView;
use super::wish::Wish;
use super::{Booking, holds, respond_by};
use crate::App;
use crate::auth::{As, Parties, PartiesOrSupport, Principal};
use crate::availability::Rule;
use crate::care::VisitCare;
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Refusal, Result, refused};
use crate::events::{Event, TimeLock, Work};
use crate::http::{IfMatch, Json, Nothing, OrDefault, Page, Part, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{BookingId, CounterOfferId};
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
    pub(super) booking_id: BookingId,
    /// Who proposes it.
    pub(super) by: Party,
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
/// it is until then. The rules are those of a booking, with notice counted from now; what a therapist sets for new visits does not bind themselves. A visit has one open counter-offer at a
/// time, and the same one made again is that one. A request does not lapse before its therapist's first counter-offer; any
/// other one for a request lapses with it.
#[utoipa::path(tag = "Bookings", operation_id = "create_counter_offer", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat; kept for 48 hours.")),
    request_body = NewStart, responses((status = 201, description = "The counter-offer.", body = CounterOffer,
     headers(("Location" = String, description = "Where the counter-offer is found."),
             ("Idempotent-Replay" = Option<String>, description = "`true` where the answer was given before.")))),
    extensions(("x-refusals" = json!(refused![
        InvalidTransition, CounterOfferOpen, TooManyCounterOffers, ClientBusy, ..Rule::REFUSALS, ..VisitCare::REFUSALS
    ]))))]
#[post("/v1/bookings/{id}/counter-offers")]
async fn create_counter_offer(
    app: Data<App>,
    me: As<Parties>,
    key: IdempotencyKey,
    Path(id): Path<BookingId>,
    Json(new, print): Json<NewStart>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let route = "POST /v1/bookings/{id}/counter-offers";
        let once = Once::claim(&mut work, route, key, print.about(id)).await?;
        let now = work.now();
        let seen = super::store::find(&mut work, id, now).await?.ok_or(Error::NotFound)?;
        let party = party(&seen, &me.principal).ok_or(Error::NotFound)?;
        // Where an admin has just given it to another therapist, nothing was decided: whoever asks again is told.
        let (booking, lock) = lock(&mut work, &seen).await?.ok_or(Refusal::InvalidTransition)?;
        let Instant(start) = new.start_at;
        let offer = propose(&app, &mut work, &lock, &booking, party, start).await?;
        let location = format!("/v1/bookings/{id}/counter-offers/{}", offer.id);
        let reply = Reply::created(location, &offer)?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Proposes to move `booking` to `start`, and holds that time: decides, saves, and tells the other party. The caller holds
/// the therapist's lock.
pub(super) async fn propose(
    app: &App,
    work: &mut Work,
    lock: &TimeLock,
    booking: &Booking,
    by: Party,
    start: DateTime<Utc>,
) -> Result<CounterOffer> {
    let now = work.now();
    let mut expires_at = respond_by(now, start.min(booking.start_at));
    step(booking, Action::Propose, by, now)
        .map_err(|refusal| refused_step(refusal, booking, Action::Propose, by, now))?;
    if start == booking.start_at {
        return Err(FieldError::new("/start_at", "is when the visit takes place already.").into());
    }
    let offers = store::list(work, booking.id, now).await?;
    if let Some(open) = offers.iter().find(|offer| offer.status == OfferStatus::Open) {
        let same = open.by == by && open.start_at == start;
        return if same { Ok(open.clone()) } else { Err(Refusal::CounterOfferOpen.into()) };
    }
    if offers.len() >= MOST {
        return Err(Refusal::TooManyCounterOffers.into());
    }
    let table = Span::of_minutes(start, booking.duration_minutes.into());
    super::store::refuse_busy_client(work, booking, table, now).await?;
    let mut wish = Wish::requested(work, booking).await?;
    (wish.start, wish.asked_at) = (start, None);
    let mut wish = wish.of_its_own(by == Party::Therapist);
    let decided = wish.decide(work, app).await?;
    holds::give_way(work, lock, booking.client, decided.during).await?;
    if expires_at <= now {
        // The visit begins within the microsecond.
        return Err(Refusal::InvalidTransition.into());
    }
    close(work, lock, booking.id, OfferStatus::Obsolete).await?;
    if let (Status::Requested, Some(deadline)) = (booking.status, booking.respond_by) {
        let first = offers.iter().all(|offer| offer.by != by);
        if by == Party::Therapist && first && deadline < expires_at {
            // It is the client's turn to answer, once: nobody stretches their own deadline by proposing again and again.
            store::keep_request(work, lock, booking, expires_at).await?;
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
        price: requote(work, booking, start, booking.duration_minutes, now).await?.total,
        time_zone: booking.time_zone,
        status: OfferStatus::Open,
        created_at: now,
        expires_at,
    };
    store::insert(work, lock, &offer, booking, decided.during).await?;
    work.announce(proposal("booking.propose", booking, by, &offer)).await?;
    Ok(offer)
}

/// What was done to `offer` by `party`.
fn proposal(kind: &'static str, booking: &Booking, party: Party, offer: &CounterOffer) -> Event {
    let details = json!({ "counter_offer_id": offer.id, "proposed_start_at": offer.start_at });
    Event { party: Some(party), ..event(kind, booking, details) }
}

/// List counter-offers
///
/// Every time that was proposed for a visit, oldest first.
#[utoipa::path(tag = "Bookings", operation_id = "list_counter_offers", security(("bearer" = ["client", "therapist", "admin:support"])),
    params(("id" = BookingId, Path, description = "The booking."), Part),
    responses((status = 200, description = "The counter-offers.", body = Page<CounterOffer>)))]
#[get("/v1/bookings/{id}/counter-offers")]
async fn list_counter_offers(
    app: Data<App>,
    me: As<PartiesOrSupport>,
    Path(id): Path<BookingId>,
    Query(part): Query<Part>,
) -> Result<Reply> {
    uninterrupted(async move { Reply::ok(&Page::part(seen(&app, &me.principal, id).await?, &part)?) }).await
}

/// Show a counter-offer
///
/// One of the times that were proposed for a visit.
#[utoipa::path(tag = "Bookings", operation_id = "get_counter_offer", security(("bearer" = ["client", "therapist", "admin:support"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("offer_id" = CounterOfferId, Path, description = "The counter-offer.")),
    responses((status = 200, description = "The counter-offer.", body = CounterOffer)))]
#[get("/v1/bookings/{id}/counter-offers/{offer_id}")]
async fn get_counter_offer(
    app: Data<App>,
    me: As<PartiesOrSupport>,
    Path((id, offer)): Path<(BookingId, CounterOfferId)>,
) -> Result<Reply> {
    uninterrupted(async move {
        let offers = seen(&app, &me.principal, id).await?;
        Reply::ok(&offers.into_iter().find(|found| found.id == offer).ok_or(Error::NotFound)?)
    })
    .await
}

/// The counter-offers of a booking that the caller may know of.
async fn seen(app: &App, me: &Principal, id: BookingId) -> Result<Vec<CounterOffer>> {
    let now = app.clock.now();
    let mut work = app.begin(Some(me.account)).await?;
    let booking = super::store::find(&mut work, id, now).await?.ok_or(Error::NotFound)?;
    party(&booking, me).ok_or(Error::NotFound)?;
    let offers = store::list(&mut work, id, now).await?;
    work.commit().await?;
    Ok(offers)
}

/// Accept a counter-offer
///
/// Moves the visit to the proposed time, if its therapist may carry it out then; what the therapist sets for new visits is not asked again. A
/// visit that was only requested is confirmed by it. What calling off costs goes by the new start; where its client had
/// asked for it, not less than what it cost when it was proposed. Where it cannot be moved, the visit stands as it was.
#[utoipa::path(tag = "Bookings", operation_id = "accept_counter_offer", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("offer_id" = CounterOfferId, Path, description = "The other party's counter-offer."),
           ("If-Match" = Option<String>, Header, description = "The state of the booking that the caller knows.")), request_body = Option<Nothing>,
    responses((status = 200, description = "The booking, moved.", body = BookingView)),
    extensions(("x-refusals" = json!(refused![
        CounterOfferExpired, InvalidTransition, SlotUnavailable, ClientBusy, CredentialNotValid, OutsideServiceArea, Blocked
    ]))))]
#[post("/v1/bookings/{id}/counter-offers/{offer_id}/accept")]
async fn accept_counter_offer(
    app: Data<App>,
    me: As<Parties>,
    known: IfMatch,
    Path((id, offer)): Path<(BookingId, CounterOfferId)>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    uninterrupted(async move {
        let (begun, offer) = begin_on(&app, &me.principal, id, offer).await?;
        let Begun { mut work, lock, booking, party } = begun;
        let step = match lead(&offer, Answer::Accept, party)? {
            Lead::To(_) => step(&booking, Action::Agree, party, work.now()),
            Lead::Done => Ok(Step::Done),
        };
        let booking = match admit(&app, &mut work, &known, (Action::Agree, step), &booking, party).await? {
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
                if !close(&mut work, &lock, id, OfferStatus::Accepted).await? {
                    // It was swept away meanwhile.
                    return Err(Refusal::CounterOfferExpired.into());
                }
                let taken = Taken { action: Action::Agree, party, from: booking.status, reason: None };
                carry_out(&app, &mut work, &lock, &booking, moved, taken).await?
            }
        };
        let reply = view(&app, &mut work, booking, party).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Decline a counter-offer
///
/// Turns down what the other party proposed: the visit stands as it is, and the proposed time is free again.
#[utoipa::path(tag = "Bookings", operation_id = "decline_counter_offer", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("offer_id" = CounterOfferId, Path, description = "The other party's counter-offer.")), request_body = Option<Nothing>,
    responses((status = 200, description = "The counter-offer, declined.", body = CounterOffer)),
    extensions(("x-refusals" = json!(refused![CounterOfferExpired, InvalidTransition]))))]
#[post("/v1/bookings/{id}/counter-offers/{offer_id}/decline")]
async fn decline_counter_offer(
    app: Data<App>,
    me: As<Parties>,
    Path((id, offer)): Path<(BookingId, CounterOfferId)>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    uninterrupted(async move { end(&app, me.principal, id, offer, Answer::Decline).await }).await
}

/// Withdraw a counter-offer
///
/// Takes back what the caller proposed: the visit stands as it is, and the proposed time is free again.
#[utoipa::path(tag = "Bookings", operation_id = "withdraw_counter_offer", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("offer_id" = CounterOfferId, Path, description = "The caller's counter-offer.")), request_body = Option<Nothing>,
    responses((status = 200, description = "The counter-offer, withdrawn.", body = CounterOffer)),
    extensions(("x-refusals" = json!(refused![CounterOfferExpired, InvalidTransition]))))]
#[post("/v1/bookings/{id}/counter-offers/{offer_id}/withdraw")]
async fn withdraw_counter_offer(
    app: Data<App>,
    me: As<Parties>,
    Path((id, offer)): Path<(BookingId, CounterOfferId)>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    uninterrupted(async move { end(&app, me.principal, id, offer, Answer::Withdraw).await }).await
}

/// Begins a unit of work on a counter-offer of one of the caller's bookings.
async fn begin_on(app: &App, me: &Principal, id: BookingId, offer: CounterOfferId) -> Result<(Begun, CounterOffer)> {
    let mut begun = begin(app, me, id).await?;
    let now = begun.work.now();
    let offers = store::list(&mut begun.work, id, now).await?;
    let offer = offers.into_iter().find(|found| found.id == offer).ok_or(Error::NotFound)?;
    Ok((begun, offer))
}

/// What is said to a counter-offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Accept,
    Decline,
    Withdraw,
}

/// Where an answer leads.
enum Lead {
    To(OfferStatus),
    /// It was given before; nothing changes.
    Done,
}

/// What leads where: the answer, whether it is its author's to give, and where it leads from `open`. Answers that are not listed do not exist.
const TABLE: &[(Answer, bool, OfferStatus)] = &[
    (Answer::Accept, false, OfferStatus::Accepted),
    (Answer::Decline, false, OfferStatus::Declined),
    (Answer::Withdraw, true, OfferStatus::Withdrawn),
];

/// What `answer` by `party` does to an offer.
///
/// # Errors
/// `counter_offer_expired`; `invalid_transition` where it was closed in another way, or is not for `party` to answer like this.
fn lead(offer: &CounterOffer, answer: Answer, party: Party) -> Result<Lead, Refusal> {
    let row = TABLE.iter().find(|row| row.0 == answer && row.1 == (offer.by == party));
    let (.., to) = row.ok_or(Refusal::InvalidTransition)?;
    match offer.status {
        OfferStatus::Open => Ok(Lead::To(*to)),
        OfferStatus::Expired => Err(Refusal::CounterOfferExpired),
        status if status == *to => Ok(Lead::Done),
        _ => Err(Refusal::InvalidTransition),
    }
}

/// Ends an open counter-offer without a move: its maker withdraws it, or the other party declines it.
async fn end(app: &App, me: Principal, id: BookingId, offer: CounterOfferId, answer: Answer) -> Result<Reply> {
    let (begun, mut offer) = begin_on(app, &me, id, offer).await?;
    let Begun { mut work, lock, booking, party } = begun;
    if let Lead::To(status) = lead(&offer, answer, party)? {
        close(&mut work, &lock, id, status).await?;
        offer.status = status;
        let kind = if answer == Answer::Decline { "booking.proposal_declined" } else { "booking.proposal_withdrawn" };
        work.announce(proposal(kind, &booking, party, &offer)).await?;
    }
    let reply = Reply::ok(&offer)?;
    work.commit().await?;
    Ok(reply)
}
