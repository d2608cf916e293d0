//! Staying longer than was booked.

use actix_web::post;
use actix_web::web::Data;
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::events::{self, Event, Taken};
use super::lifecycle::{Action, Step, step};
use super::reschedule::{change, reprice, save};
use super::steps::{Begun, admit, begin, view, viewer};
use super::store;
use super::views::{BookingView, view_of};
use super::wish::{Decided, Wish};
use super::{Booking, Extension};
use crate::App;
use crate::auth::{As, Client, Therapist};
use crate::care::VisitCare;
use crate::db::uninterrupted;
use crate::error::{FieldError, Refusal, Result, refused};
use crate::events::Work;
use crate::http::{IfMatch, Json, Nothing, OrDefault, Path, Reply};
use crate::ids::BookingId;
use crate::values::Span;

/// The operation that makes a visit longer.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(extend_booking).service(accept_extension).service(decline_extension);
}

/// How long a visit is to last.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AskedExtension {
    /// Minutes on the table in all, from the agreed start.
    #[schema(example = 90, minimum = 15, maximum = 240)]
    duration_minutes: i16,
    /// That the client, who is there, wants it so at the price of the longer visit. It must be true, and the client is asked in any case.
    #[schema(example = true)]
    client_agreed: bool,
}

/// How long a client has to answer: both are there.
const ANSWERED_WITHIN: TimeDelta = TimeDelta::minutes(10);

/// Extend a visit
///
/// Asks the client to make a visit longer once its therapist is at the door: to a duration that the service is sold for there, at its price,
/// and only so far that the next visit can still be reached. Working hours do not count, as the therapist chooses to stay;
/// time off and credentials do. The visit stays as it is until the client agrees in the app, within ten minutes; silence is no.
/// Asking for another duration takes the place of what was asked; asking for the duration that it has changes nothing.
#[utoipa::path(tag = "Bookings", operation_id = "extend_booking", security(("bearer" = ["therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The state of the booking that the caller knows.")),
    request_body = AskedExtension, responses(
    (status = 200, description = "The booking, which lasts so long already.", body = BookingView),
    (status = 202, description = "The booking as it stands, with the `extension` that its client is asked for.", body = BookingView)),
    extensions(("x-refusals" = json!(refused![
        InvalidTransition, SlotUnavailable, ClientBusy, ServiceNotOffered, CredentialNotValid, ..VisitCare::REFUSALS
    ]))))]
#[post("/v1/bookings/{id}/extend")]
async fn extend_booking(
    app: Data<App>,
    me: As<Therapist>,
    known: IfMatch,
    Path(id): Path<BookingId>,
    Json(asked, _): Json<AskedExtension>,
) -> Result<Reply> {
    uninterrupted(async move {
        if !asked.client_agreed {
            return Err(FieldError::new("/client_agreed", "must be true: the client decides.").into());
        }
        let Begun { mut work, lock: _lock, mut booking, party } = begin(&app, &me.principal, id).await?;
        let now = work.now();
        let step = match step(&booking, Action::AskExtension, party, now) {
            Ok(Step::To(_)) if asked.duration_minutes == booking.duration_minutes => Ok(Step::Done),
            other => other,
        };
        let reply = if admit(&app, &mut work, &known, (Action::AskExtension, step), &booking, party).await?.is_some() {
            if booking.extension.is_none_or(|open| open.minutes != asked.duration_minutes) {
                let (longer, _) = lengthened(&app, &mut work, &booking, asked.duration_minutes).await?;
                booking.extension = Some(Extension {
                    minutes: longer.duration_minutes,
                    amount: longer.price.amount,
                    expires_at: now + ANSWERED_WITHIN,
                });
                store::save_extension(&mut work, &booking).await?;
                let taken = Taken { action: Action::AskExtension, party, from: booking.status, reason: None };
                let details = json!({ "duration_minutes": longer.duration_minutes, "price": longer.price });
                work.announce(events::step(&booking, taken, details)).await?;
            }
            let viewer = viewer(&booking, party, now);
            Reply::accepted(&view_of(&app.cipher, &mut work, booking, viewer).await?)?
        } else {
            view(&app, &mut work, booking, party).await?
        };
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// The visit as it would be with so many minutes on the table, if every rule lets it; under its therapist's lock.
async fn lengthened(app: &App, work: &mut Work, booking: &Booking, minutes: i16) -> Result<(Booking, Decided)> {
    let now = work.now();
    let mut longer = Booking { duration_minutes: minutes, ..booking.clone() };
    // In minutes, since any number may come in.
    let over = now - booking.start_at >= TimeDelta::minutes(minutes.into());
    if minutes < booking.duration_minutes || over {
        return Err(FieldError::new("/duration_minutes", "must end the visit later, and not in the past.").into());
    }
    let table = Span::of_minutes(longer.start_at, longer.duration_minutes.into());
    store::refuse_busy_client(work, booking, table, now).await?;
    reprice(work, booking, &mut longer, now).await?;
    let decided = Wish::requested(work, &longer).await?.prolong(work, app).await?;
    Ok((longer, decided))
}

/// Agree to a longer visit
///
/// Makes the visit as long as its therapist asks, at the price that was told, if it still can be: within ten minutes of being asked.
#[utoipa::path(tag = "Bookings", operation_id = "accept_extension", security(("bearer" = ["client"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The state of the booking that the caller knows.")),
    request_body = Option<Nothing>, responses((status = 200, description = "The booking, longer.", body = BookingView)),
    extensions(("x-refusals" = json!(refused![
        InvalidTransition, SlotUnavailable, ClientBusy, ServiceNotOffered, CredentialNotValid, ..VisitCare::REFUSALS
    ]))))]
#[post("/v1/bookings/{id}/extension/accept")]
async fn accept_extension(
    app: Data<App>,
    me: As<Client>,
    known: IfMatch,
    Path(id): Path<BookingId>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    uninterrupted(async move {
        let Begun { mut work, lock, mut booking, party } = begin(&app, &me.principal, id).await?;
        let step = step(&booking, Action::Extend, party, work.now())?;
        let asked = booking.extension.ok_or(Refusal::InvalidTransition)?.minutes;
        let step = if asked == booking.duration_minutes { Step::Done } else { step };
        if admit(&app, &mut work, &known, (Action::Extend, Ok(step)), &booking, party).await?.is_some() {
            let (longer, decided) = lengthened(&app, &mut work, &booking, asked).await?;
            save(&mut work, &lock, &longer, decided.during).await?;
            decided.record(&mut work, id).await?;
            let taken = Taken { action: Action::Extend, party, from: booking.status, reason: None };
            work.announce(events::step(&longer, taken, change(&booking, &longer))).await?;
            booking = longer;
        }
        let reply = view(&app, &mut work, booking, party).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Decline a longer visit
///
/// The visit stays as long as it is. Again changes nothing.
#[utoipa::path(tag = "Bookings", operation_id = "decline_extension", security(("bearer" = ["client"])),
    params(("id" = BookingId, Path, description = "The booking.")), request_body = Option<Nothing>,
    responses((status = 200, description = "The booking as it is.", body = BookingView)),
    extensions(("x-refusals" = json!(refused![InvalidTransition]))))]
#[post("/v1/bookings/{id}/extension/decline")]
async fn decline_extension(
    app: Data<App>,
    me: As<Client>,
    Path(id): Path<BookingId>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    uninterrupted(async move {
        let Begun { mut work, mut booking, party, .. } = begin(&app, &me.principal, id).await?;
        step(&booking, Action::Extend, party, work.now())?;
        if booking.extension.is_some_and(|open| open.minutes != booking.duration_minutes) {
            booking.extension = None;
            store::save_extension(&mut work, &booking).await?;
            let declined = events::event("booking.extension_declined", &booking, json!({}));
            work.announce(Event { party: Some(party), ..declined }).await?;
        }
        let reply = view(&app, &mut work, booking, party).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}
