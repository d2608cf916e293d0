//! What a client tells of a visit besides time and place: changed until its therapist is at the door.

use actix_web::patch;
use actix_web::web::Data;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::events::{Event, event};
use super::lifecycle::{Party, Status};
use super::steps::{Begun, begin, view};
use super::views::{BookingView, Viewer, view_of};
use super::{FocusArea, NOTES, Notes, care, focus_areas, seal_focus_areas, store};
use crate::App;
use crate::auth::{As, Client};
use crate::care::VisitCare;
use crate::db::uninterrupted;
use crate::error::{Refusal, Result, refused};
use crate::http::{IfMatch, Json, Path, Reply};
use crate::ids::BookingId;
use crate::values::{Pressure, name, present};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(update_booking);
}

/// What to change; what is left out stays, and null empties it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BookingPatch {
    /// For the therapist, once the visit is confirmed.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Notes>)]
    notes: Option<Option<Notes>>,
    #[schema(max_items = 10)]
    focus_areas: Option<Vec<FocusArea>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Pressure>)]
    pressure: Option<Option<Pressure>>,
}

/// Change a visit's wishes
///
/// Notes, focus areas and pressure, until the therapist is at the door. A pressure that does not suit the person is refused. The therapist of a
/// confirmed visit is told that something has changed. Nothing is told where nothing does.
#[utoipa::path(tag = "Bookings", operation_id = "update_booking", security(("bearer" = ["client"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the booking as it was read, where it matters.")),
    request_body = BookingPatch, responses((status = 200, description = "The booking as it is now.", body = BookingView)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, ..VisitCare::REFUSALS]))))]
#[patch("/v1/bookings/{id}")]
async fn update_booking(
    app: Data<App>,
    me: As<Client>,
    Path(id): Path<BookingId>,
    if_match: IfMatch,
    Json(patch, _): Json<BookingPatch>,
) -> Result<Reply> {
    uninterrupted(async move {
        let Begun { mut work, mut booking, .. } = begin(&app, &me.principal, id).await?;
        if !matches!(booking.status, Status::Requested | Status::Confirmed | Status::OnTheWay) {
            return Err(Refusal::InvalidTransition.into());
        }
        if if_match.is_sent() {
            view_of(&app.cipher, &mut work, booking.clone(), Viewer::Client).await?.check(&if_match)?;
        }
        let mut changed = Vec::new();
        if let Some(notes) = patch.notes {
            let notes = notes.as_ref().map(Notes::as_str);
            if booking.notes(&app.cipher)?.as_deref() != notes {
                booking.notes_sealed = notes.map(|notes| app.cipher.seal(NOTES, id, notes)).transpose()?;
                changed.push("notes");
            }
        }
        if let Some(areas) = patch.focus_areas {
            let areas = focus_areas(&areas)?;
            if booking.focus_areas(&app.cipher)? != areas {
                booking.focus_areas_sealed = seal_focus_areas(&app.cipher, id, &areas)?;
                changed.push("focus_areas");
            }
        }
        if let Some(pressure) = patch.pressure
            && booking.pressure != pressure
        {
            booking.pressure = pressure;
            care::admit(&app, &mut work, &booking).await?;
            changed.push("pressure");
        }
        if !changed.is_empty() {
            store::save_wishes(&mut work, &booking).await?;
            let told = Event {
                party: Some(Party::Client),
                to: Some(name(&booking.status)),
                ..event("booking.update", &booking, json!({ "changed": changed }))
            };
            work.announce(told).await?;
        }
        let reply = view(&app, &mut work, booking, Party::Client).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}
