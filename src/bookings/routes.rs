use actix_web::web::Data;
use actix_web::{get, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::lifecycle::{Action, Party, Step, step};
use super::steps::{Asked, party, take, view};
use super::views::{BookingEvent, BookingView};
use super::{
    Reason, actions, book, care, changes, charge, counter_offers, day, delay, details, extend, holds, incidents, list,
    missed, outside_hours, overdue, proof, reassign, reliability, reschedule, store, visit,
};
use crate::App;
use crate::auth::{As, AsEither, BookingsRead, PartiesOrSupport, Therapist, Who};
use crate::care::VisitCare;
use crate::db::uninterrupted;
use crate::error::{Error, Refusal, Result, refused};
use crate::http::{IfMatch, Nothing, OrDefault, Page, Paging, Path, Query, Reply};
use crate::ids::BookingId;
use crate::values::Money;

/// The operations on bookings.
pub fn routes(config: &mut ServiceConfig) {
    book::routes(config);
    config.service(get_booking).service(get_booking_events);
    config.service(accept_booking).service(decline_booking);
    config.service(get_cancellation_quote).service(cancel_booking);
    list::routes(config);
    visit::routes(config);
    charge::routes(config);
    missed::routes(config);
    incidents::routes(config);
    day::routes(config);
    outside_hours::routes(config);
    overdue::routes(config);
    holds::routes(config);
    reassign::routes(config);
    reschedule::routes(config);
    counter_offers::routes(config);
    extend::routes(config);
    proof::routes(config);
    changes::routes(config);
    reliability::routes(config);
    delay::routes(config);
    care::routes(config);
    details::routes(config);
}

/// Show a booking
///
/// Its client, its therapist and admins see it, each in their own way. The therapist sees suburb and postcode at first;
/// from confirmation until 24 hours after the visit the whole address with its access notes, and each such look is
/// written down. An API client sees where any booking stands, and nothing that tells of a person.
#[utoipa::path(tag = "Bookings", operation_id = "get_booking", security(("bearer" = ["client", "therapist", "admin:support"]), ("api_key" = ["bookings:read"])),
    params(("id" = BookingId, Path, description = "The booking.")),
    responses((status = 200, description = "The booking.", body = BookingView)))]
#[get("/v1/bookings/{id}")]
async fn get_booking(
    app: Data<App>,
    me: AsEither<PartiesOrSupport, BookingsRead>,
    Path(id): Path<BookingId>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.actor())).await?;
        let now = work.now();
        let booking = store::find(&mut work, id, now).await?.ok_or(Error::NotFound)?;
        let person = match me.who {
            Who::Person(person) => person,
            Who::Client(_) => return BookingView::bare(&booking).reply(),
        };
        let party = party(&booking, &person).ok_or(Error::NotFound)?;
        let reply = view(&app, &mut work, booking, party).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Show a booking's events
///
/// Every step of its life, oldest first, in pages. Why a visit was broken off, and what staff wrote, is shown to its author and to
/// admins alone.
#[utoipa::path(tag = "Bookings", operation_id = "get_booking_events",
    security(("bearer" = ["client", "therapist", "admin:support"])),
    params(("id" = BookingId, Path, description = "The booking."), Paging),
    responses((status = 200, description = "A page of events.", body = Page<BookingEvent>)))]
#[get("/v1/bookings/{id}/events")]
async fn get_booking_events(
    app: Data<App>,
    me: As<PartiesOrSupport>,
    Path(id): Path<BookingId>,
    Query(page): Query<Paging>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let booking = store::find(&mut work, id, app.clock.now()).await?.ok_or(Error::NotFound)?;
        let party = party(&booking, &me.principal).ok_or(Error::NotFound)?;
        let events = store::events(&mut work, id, page.after()?.unwrap_or(0), page.limit.probe()).await?;
        work.commit().await?;
        let Page { data, next_cursor } = Page::cut(events, page.limit, |event| event.position)?;
        let data = data.into_iter().map(|event| BookingEvent::new(event, id, party, &app.cipher));
        Reply::ok(&Page { data: data.collect::<Result<_>>()?, next_cursor })
    })
    .await
}

/// Accept a request
///
/// Confirms a requested visit, if its therapist may still carry it out then. What the therapist sets for new visits, such as notice, is not asked
/// again.
#[utoipa::path(tag = "Bookings", operation_id = "accept_booking", security(("bearer" = ["therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the booking as it was read, where it matters.")), request_body = Option<Nothing>,
    responses((status = 200, description = "The booking, confirmed.", body = BookingView)),
    extensions(("x-refusals" = json!(refused![
        InvalidTransition, SlotUnavailable, CredentialNotValid, OutsideServiceArea, Blocked, ..VisitCare::TO_OTHERS
    ]))))]
#[post("/v1/bookings/{id}/accept")]
async fn accept_booking(
    app: Data<App>,
    me: As<Therapist>,
    Path(id): Path<BookingId>,
    if_match: IfMatch,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    uninterrupted(async move { take(&app, me.principal, id, Asked::new(Action::Accept, None, if_match)).await }).await
}

/// Decline a request
///
/// Turns a requested visit down; its time is free again.
#[utoipa::path(tag = "Bookings", operation_id = "decline_booking", security(("bearer" = ["therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the booking as it was read, where it matters.")), request_body = Option<Nothing>,
    responses((status = 200, description = "The booking, declined.", body = BookingView)),
    extensions(("x-refusals" = json!(refused![InvalidTransition]))))]
#[post("/v1/bookings/{id}/decline")]
async fn decline_booking(
    app: Data<App>,
    me: As<Therapist>,
    Path(id): Path<BookingId>,
    if_match: IfMatch,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    uninterrupted(async move { take(&app, me.principal, id, Asked::new(Action::Decline, None, if_match)).await }).await
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
    security(("bearer" = ["client", "therapist", "admin:support"])),
    params(("id" = BookingId, Path, description = "The booking.")),
    responses((status = 200, description = "Fee and refund.", body = CancellationQuote)),
    extensions(("x-refusals" = json!(refused![InvalidTransition]))))]
#[get("/v1/bookings/{id}/cancellation-quote")]
async fn get_cancellation_quote(app: Data<App>, me: As<PartiesOrSupport>, Path(id): Path<BookingId>) -> Result<Reply> {
    uninterrupted(async move {
        let now = app.clock.now();
        let mut work = app.begin(Some(me.account())).await?;
        let booking = store::find(&mut work, id, now).await?.ok_or(Error::NotFound)?;
        work.commit().await?;
        let party = party(&booking, &me.principal).ok_or(Error::NotFound)?;
        let refused = |refusal| actions::refused(refusal, &booking, Action::Cancel, party, now);
        if step(&booking, Action::Cancel, party, now).map_err(refused)? == Step::Done {
            return Err(refused(Refusal::InvalidTransition));
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
#[utoipa::path(tag = "Bookings", operation_id = "cancel_booking", security(("bearer" = ["client", "therapist", "admin:support"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the booking as it was read, where it matters.")), request_body = Option<CancelBody>,
    responses((status = 200, description = "The booking, cancelled.", body = BookingView)),
    extensions(("x-refusals" = json!(refused![InvalidTransition]))))]
#[post("/v1/bookings/{id}/cancel")]
async fn cancel_booking(
    app: Data<App>,
    me: As<PartiesOrSupport>,
    Path(id): Path<BookingId>,
    if_match: IfMatch,
    OrDefault(body): OrDefault<CancelBody>,
) -> Result<Reply> {
    uninterrupted(async move { take(&app, me.principal, id, Asked::new(Action::Cancel, body.reason, if_match)).await })
        .await
}
