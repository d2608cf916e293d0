//! Staying longer than was booked.

use actix_web::post;
use actix_web::web::Data;
use chrono::TimeDelta;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::Booking;
use super::events::{self, Taken};
use super::lifecycle::{Action, Step, step};
use super::reschedule::{change, reprice, save};
use super::steps::{Begun, admit, begin, view};
use super::store as bookings;
use super::views::BookingView;
use super::wish::{Decided, Wish};
use crate::App;
use crate::auth::{As, Therapist};
use crate::availability::travel::Roads;
use crate::db::uninterrupted;
use crate::error::{FieldError, Problem, Result};
use crate::http::{IfMatch, Json, Path, Reply};
use crate::ids::BookingId;
use crate::values::Span;

/// The operation that makes a visit longer.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(extend_booking);
}

/// How long a visit is to last.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Extension {
    /// Minutes on the table in all, from the agreed start.
    #[schema(example = 90, minimum = 15, maximum = 240)]
    duration_minutes: i16,
    /// That the client, who is there, wants it so at the price of the longer visit. It must be true.
    #[schema(example = true)]
    client_agreed: bool,
}

/// Extend a visit
///
/// Makes a visit longer once its therapist is at the door: to a duration that the service is sold for there, at its price,
/// and only so far that the next visit can still be reached. Working hours do not count, as the therapist chooses to stay;
/// time off and credentials do. The therapist says that the client agreed, and the client is told. To ask for the duration that it has changes nothing.
#[utoipa::path(tag = "Bookings", operation_id = "extend_booking", security(("bearer" = ["therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The state of the booking that the caller knows.")),
    request_body = Extension, responses(
    (status = 200, description = "The booking, longer.", body = BookingView),
    (status = 409, description = "`invalid_transition`, `slot_unavailable`, `client_busy`", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "A field is wrong, or `service_not_offered`, `credential_not_valid`", body = Problem, content_type = "application/problem+json"),
))]
#[post("/v1/bookings/{id}/extend")]
async fn extend_booking(
    app: Data<App>,
    me: As<Therapist>,
    known: IfMatch,
    Path(id): Path<BookingId>,
    Json(asked, _): Json<Extension>,
) -> Result<Reply> {
    uninterrupted(async move {
        if !asked.client_agreed {
            return Err(FieldError::new("/client_agreed", "must be true: the client decides.").into());
        }
        let Begun { mut work, lock, mut booking, party } = begin(&app, &me.principal, id).await?;
        let now = work.now();
        let step = match step(&booking, Action::Extend, party, now) {
            Ok(Step::To(_)) if asked.duration_minutes == booking.duration_minutes => Ok(Step::Done),
            other => other,
        };
        if admit(&app, &mut work, &known, step, &booking, party).await?.is_some() {
            let mut longer = Booking { duration_minutes: asked.duration_minutes, ..booking.clone() };
            // In minutes, since any number may come in.
            let over = now - booking.start_at >= TimeDelta::minutes(asked.duration_minutes.into());
            if asked.duration_minutes < booking.duration_minutes || over {
                return Err(
                    FieldError::new("/duration_minutes", "must end the visit later, and not in the past.").into()
                );
            }
            let table = Span::of_minutes(longer.start_at, longer.duration_minutes.into());
            bookings::refuse_busy_client(&mut work, &booking, table, now).await?;
            reprice(&mut work, &booking, &mut longer, now).await?;
            let Decided { during, relied_on, .. } =
                Wish::requested(&mut work, &longer).await?.prolong(&mut work, app.part::<Roads>()?).await?;
            save(&mut work, &lock, &longer, during).await?;
            bookings::rely_on(&mut work, id, &relied_on).await?;
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
