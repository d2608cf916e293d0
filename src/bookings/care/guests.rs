//! A guest's own visits: what is asked of an adult before them whom an account books for, and who answers by a link.

use actix_web::web::Data;
use actix_web::{get, post};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{of, store as care_store, to_begin, views};
use crate::App;
use crate::bookings::lifecycle::Party;
use crate::bookings::steps::{Begun, begin_as_system};
use crate::bookings::{Booking, store};
use crate::care::consents::{self, NewConsent};
use crate::care::{self, Limits, Standing, VisitCare};
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Result, refused};
use crate::http::{Json, Nothing, OrDefault, Page, Part, Path, Query, Reply};
use crate::ids::{BookingId, ServiceId};

pub(in crate::bookings) fn routes(config: &mut ServiceConfig) {
    config.service(list_guest_visits).service(confirm_guest_visit).service(create_guest_consent);
}

/// A visit that is for a guest.
#[derive(Serialize, ToSchema)]
struct GuestVisit {
    /// The booking.
    booking_id: BookingId,
    /// The service.
    service_id: ServiceId,
    /// When the time on the table begins.
    start_at: DateTime<Utc>,
    /// Minutes on the table.
    #[schema(example = 60)]
    duration_minutes: i16,
    /// How it stands.
    state: Standing,
    /// What applies; null where nothing is known that could limit it.
    limits: Option<Limits>,
    /// What the guest is told.
    #[schema(example = json!(["Bruises come easily with blood thinners."]))]
    advice: Vec<String>,
    /// From when on the guest can say that nothing has changed, where that is still to be said.
    confirm_from: Option<DateTime<Utc>>,
    /// The texts that the guest has still to agree to before it begins, by code.
    #[schema(example = json!(["sensitive_areas"]))]
    consents: Vec<String>,
}

impl GuestVisit {
    fn new(booking: &Booking, care: Option<&VisitCare>) -> Self {
        let (first, last) = booking.dates();
        let state = care.map_or(Standing::NotAsked, |care| care.standing(&to_begin(booking)));
        let decision = care.map(|care| care.decision(first, last));
        let (limits, advice) = decision.map(|decision| (decision.limits, decision.advice)).unzip();
        let confirm_from = care.map(|care| care.confirm_from(booking.start_at));
        Self {
            booking_id: booking.id,
            service_id: booking.service,
            start_at: booking.start_at,
            duration_minutes: booking.duration_minutes,
            state,
            limits,
            advice: advice.into_iter().flatten().map(|advice| advice.text).collect(),
            confirm_from: confirm_from.filter(|_| state == Standing::ConfirmationNeeded),
            consents: care.into_iter().flat_map(|care| care.consents_missing(first, last)).collect(),
        }
    }
}

/// List a guest's visits
///
/// The visits ahead that are for the guest, by their start, and what is asked of the guest before each begins. For the link that the guest alone was shown.
#[utoipa::path(tag = "Care", operation_id = "list_guest_visits",
    params(("token" = String, Path, description = "The secret."), Part),
    responses((status = 200, description = "The visits.", body = Page<GuestVisit>)),
    extensions(("x-refusals" = json!(refused![CareAnswersNeeded]))))]
#[get("/v1/care-invitations/{token}/visits")]
async fn list_guest_visits(app: Data<App>, Path(token): Path<String>, Query(part): Query<Part>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(None).await?;
        let guest = care::guest_alone(&app, &mut work, &token).await?;
        let now = work.now();
        let mut visits = Vec::new();
        for id in care_store::ahead(&mut work, Some(guest.id), None, now).await? {
            let Some(booking) = store::find(&mut work, id, now).await? else { continue };
            let care = of(&app, &mut work, &booking).await?;
            visits.push(GuestVisit::new(&booking, care.as_ref()));
        }
        work.commit().await?;
        Reply::ok(&Page::part(visits, &part)?)
    })
    .await
}

/// Say as a guest that nothing has changed
///
/// The guest says that the answers still hold, as `POST /v1/bookings/{id}/care/confirm` does for others. Again changes nothing but when it was said.
#[utoipa::path(tag = "Care", operation_id = "confirm_guest_visit",
    params(("token" = String, Path, description = "The secret."),
           ("booking_id" = BookingId, Path, description = "The booking.")), request_body = Option<Nothing>,
    responses((status = 200, description = "How the visit stands.", body = GuestVisit)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, TooEarly, CareAnswersNeeded]))))]
#[post("/v1/care-invitations/{token}/visits/{booking_id}/confirm")]
async fn confirm_guest_visit(
    app: Data<App>,
    Path((token, id)): Path<(String, BookingId)>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    uninterrupted(async move {
        // In a transaction of its own, because the client's lock comes before the guest's.
        let mut work = app.begin(None).await?;
        let guest = care::guest_alone(&app, &mut work, &token).await?;
        work.rollback().await?;
        let begun = begin_as_system(&app, id).await?;
        let begun = begun.filter(|begun| begun.booking.recipient == Some(guest.id));
        let Begun { mut work, mut booking, .. } = begun.ok_or(Error::NotFound)?;
        let care = views::confirm(&app, &mut work, &mut booking, Party::Client).await?;
        let seen = GuestVisit::new(&booking, care.as_ref());
        work.commit().await?;
        Reply::ok(&seen)
    })
    .await
}

/// Agree to a text as a guest, or not
///
/// Records what a guest says for themself, in the words of the text in force. For the link that the guest alone was shown. Whoever booked and has another link made can
/// answer by it as the guest, so that what the guest refused or withdrew before stays so until the therapist records another word in person.
#[utoipa::path(tag = "Care", operation_id = "create_guest_consent",
    params(("token" = String, Path, description = "The secret.")),
    request_body = NewConsent, responses((status = 201, description = "What was said.", body = consents::ConsentView)),
    extensions(("x-refusals" = json!(refused![CareAnswersNeeded, TooManyConsents]))))]
#[post("/v1/care-invitations/{token}/consents")]
async fn create_guest_consent(
    app: Data<App>,
    Path(token): Path<String>,
    Json(new, _): Json<NewConsent>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(None).await?;
        let guest = care::guest_alone(&app, &mut work, &token).await?;
        let now = work.now();
        if let Some(id) = new.booking_id {
            let visit = store::find(&mut work, id, now).await?.filter(|visit| visit.recipient == Some(guest.id));
            visit.ok_or_else(|| FieldError::new("/booking_id", "is not a visit of this recipient."))?;
        }
        let reply = consents::create_by_guest(&mut work, (&guest, &token), new).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}
