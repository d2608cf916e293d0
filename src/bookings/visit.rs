//! The steps of a visit, from setting out to its end, and what follows from each.

use crate::values::Role;
use actix_web::post;
use actix_web::web::Data;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::events::event;
use super::incidents::NewIncident;
use super::licensing;
use super::lifecycle::{Action, Party, Status};
use super::steps::{Asked, take};
use super::views::BookingView;
use super::{Booking, Cancelled, Reason, care, delay, missed, store};
use crate::App;
use crate::auth::{As, Parties, Principal, Therapist, TherapistOrSupport};
use crate::care::VisitCare;
use crate::db::uninterrupted;
use crate::error::{FieldError, Refusal, Result, refused};
use crate::events::Work;
use crate::http::{IfMatch, Json, Nothing, OrDefault, Path, Reply};
use crate::ids::BookingId;

/// The operations on a visit that takes place.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(set_out_for_booking).service(arrive_at_booking).service(start_booking);
    config.service(complete_booking).service(report_no_show).service(stop_booking);
    config.service(contest_no_show);
}

/// Whether a step may be taken, and how the visit ends by it, if it ends short.
pub(super) async fn decide(
    app: &App,
    work: &mut Work,
    booking: &mut Booking,
    action: Action,
    party: Party,
) -> Result<()> {
    if matches!(action, Action::OnTheWay | Action::Start) {
        // Somebody else is looked for: whoever can come after all ends their time off.
        if booking.handed_over_at.is_some() {
            return Err(Refusal::InvalidTransition.into());
        }
        if !licensing::is_licensed(work, booking).await? {
            return Err(Refusal::CredentialNotValid.into());
        }
        care::refuse_to_begin(app, work, booking).await?;
    }
    if action == Action::OnTheWay {
        booking.expected_at = delay::expected(app, work, booking).await?;
    }
    let now = work.now();
    match (action, party) {
        (Action::NoShow, Party::Client) => missed::report(work, booking).await?,
        (Action::Contest, _) => booking.missed = booking.missed.map(|report| report.contested(now)),
        _ => booking.cancelled = ended_short(booking, action, party, now),
    }
    Ok(())
}

/// Tells staff of a visit of which less than half took place before its therapist ended it: it is billed as it was agreed, which they may have to
/// put right.
pub(super) async fn tell_if_early(work: &mut Work, booking: &Booking) -> Result<()> {
    let took = work.now() - store::begun_at(work, booking).await?;
    if took * 2 < TimeDelta::minutes(booking.duration_minutes.into()) {
        let details = json!({ "status": booking.status, "minutes": took.num_minutes(), "agreed_minutes": booking.duration_minutes });
        work.announce(event("booking.ended_early", booking, details)).await?;
    }
    Ok(())
}

/// What a visit costs that ends short. A client who missed it pays all; that its therapist did so is for [`missed`] to settle. A therapist who
/// breaks a visit off bears nothing; the client pays for what had begun.
fn ended_short(booking: &Booking, action: Action, party: Party, now: DateTime<Utc>) -> Option<Cancelled> {
    let is_owed = match action {
        Action::NoShow => true,
        Action::Stop => booking.status == Status::InProgress,
        _ => return None,
    };
    let fee = if is_owed { booking.no_show_fee().amount } else { 0 };
    Some(Cancelled { by: party, at: now, fee })
}

/// Set out for a visit
///
/// The therapist is on the way: from three hours before the start until its agreed end, and only while licensed for it. The
/// client is told; from now on calling off costs the client what the policy asks then.
#[utoipa::path(tag = "Bookings", operation_id = "set_out_for_booking", security(("bearer" = ["therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the booking as it was read, where it matters.")),
    request_body = Option<Nothing>, responses((status = 200, description = "The booking, on its way.", body = BookingView)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, TooEarly, TooLate, CredentialNotValid, ..VisitCare::TO_OTHERS]))))]
#[post("/v1/bookings/{id}/on-the-way")]
async fn set_out_for_booking(
    app: Data<App>,
    me: As<Therapist>,
    Path(id): Path<BookingId>,
    if_match: IfMatch,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    uninterrupted(async move { take(&app, me.principal, id, Asked::new(Action::OnTheWay, None, if_match)).await }).await
}

/// Arrive at a visit
///
/// The therapist is at the door: from an hour before the start until its agreed end. The client is told.
#[utoipa::path(tag = "Bookings", operation_id = "arrive_at_booking", security(("bearer" = ["therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the booking as it was read, where it matters.")),
    request_body = Option<Nothing>, responses((status = 200, description = "The booking, with its therapist at the door.", body = BookingView)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, TooEarly, TooLate]))))]
#[post("/v1/bookings/{id}/arrive")]
async fn arrive_at_booking(
    app: Data<App>,
    me: As<Therapist>,
    Path(id): Path<BookingId>,
    if_match: IfMatch,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    uninterrupted(async move { take(&app, me.principal, id, Asked::new(Action::Arrive, None, if_match)).await }).await
}

/// Start a visit
///
/// The time on the table begins: from a quarter of an hour before the agreed start, where both are ready, until the agreed
/// end, and only while the therapist is licensed for it.
#[utoipa::path(tag = "Bookings", operation_id = "start_booking", security(("bearer" = ["therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the booking as it was read, where it matters.")),
    request_body = Option<Nothing>, responses((status = 200, description = "The booking, in progress.", body = BookingView)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, TooEarly, TooLate, CredentialNotValid, ..VisitCare::TO_OTHERS]))))]
#[post("/v1/bookings/{id}/start")]
async fn start_booking(
    app: Data<App>,
    me: As<Therapist>,
    Path(id): Path<BookingId>,
    if_match: IfMatch,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    uninterrupted(async move { take(&app, me.principal, id, Asked::new(Action::Start, None, if_match)).await }).await
}

/// Why a step is taken.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StepBody {
    /// Needed where staff take the step.
    reason: Option<Reason>,
}

/// Staff say why they act in the therapist's stead.
fn refuse_unexplained(me: &Principal, reason: Option<&Reason>) -> Result<()> {
    if me.role == Role::Admin && reason.is_none() {
        return Err(FieldError::new("/reason", "is needed where staff take the step.").into());
    }
    Ok(())
}

/// Complete a visit
///
/// The visit has taken place; what is left of its time is free again. An admin can say so in the therapist's stead, with a
/// reason, once the agreed end has come, also where a step before was forgotten. Staff look into a visit of which less than half took place.
#[utoipa::path(tag = "Bookings", operation_id = "complete_booking", security(("bearer" = ["therapist", "admin:support"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the booking as it was read, where it matters.")),
    request_body = Option<StepBody>, responses((status = 200, description = "The booking, completed.", body = BookingView)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, TooEarly]))))]
#[post("/v1/bookings/{id}/complete")]
async fn complete_booking(
    app: Data<App>,
    me: As<TherapistOrSupport>,
    Path(id): Path<BookingId>,
    if_match: IfMatch,
    OrDefault(body): OrDefault<StepBody>,
) -> Result<Reply> {
    refuse_unexplained(&me.principal, body.reason.as_ref())?;
    uninterrupted(
        async move { take(&app, me.principal, id, Asked::new(Action::Complete, body.reason, if_match)).await },
    )
    .await
}

/// Report a no-show
///
/// From 20 minutes after the agreed start, whoever is there reports that the other is not. A therapist does so at the door: the
/// client pays what the policy asks then. A client does so while the therapist has not arrived: that is pending, and `no_show_report` tells
/// where it stands. The therapist may contest it for a day, in which silence upholds it: then the visit costs nothing. Staff decide in any case.
#[utoipa::path(tag = "Bookings", operation_id = "report_no_show", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the booking as it was read, where it matters.")),
    request_body = Option<StepBody>,
    responses((status = 200, description = "The booking, missed; `cancellation` says by whose report, and what it costs.", body = BookingView)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, TooEarly, TooLate]))))]
#[post("/v1/bookings/{id}/no-show")]
async fn report_no_show(
    app: Data<App>,
    me: As<Parties>,
    Path(id): Path<BookingId>,
    if_match: IfMatch,
    OrDefault(body): OrDefault<StepBody>,
) -> Result<Reply> {
    uninterrupted(async move { take(&app, me.principal, id, Asked::new(Action::NoShow, body.reason, if_match)).await })
        .await
}

/// Contest a no-show report
///
/// The therapist was there, and says so within 24 hours of the client's report: nothing is settled until staff decide.
#[utoipa::path(tag = "Bookings", operation_id = "contest_no_show", security(("bearer" = ["therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the booking as it was read, where it matters.")),
    request_body = Contest, responses((status = 200, description = "The booking, its report contested.", body = BookingView)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, TooLate]))))]
#[post("/v1/bookings/{id}/no-show/contest")]
async fn contest_no_show(
    app: Data<App>,
    me: As<Therapist>,
    Path(id): Path<BookingId>,
    if_match: IfMatch,
    Json(body, _): Json<Contest>,
) -> Result<Reply> {
    let asked = Asked::new(Action::Contest, Some(body.reason), if_match);
    uninterrupted(async move { take(&app, me.principal, id, asked).await }).await
}

/// What the therapist has to say to a report.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Contest {
    /// For staff. The client does not see it.
    reason: Reason,
}

/// Why a visit is broken off.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StopBody {
    /// Needed where staff take the step. The client does not see it.
    reason: Option<Reason>,
    /// What went wrong, for staff alone: the same as reporting an incident.
    incident: Option<NewIncident>,
}

/// Stop a visit
///
/// The therapist breaks the visit off and leaves, at any time from setting out, without a penalty and without having to say
/// why. The client pays the same where the visit had begun, else nothing. An admin can do so in the therapist's stead,
/// with a reason.
#[utoipa::path(tag = "Bookings", operation_id = "stop_booking", security(("bearer" = ["therapist", "admin:support"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the booking as it was read, where it matters.")),
    request_body = Option<StopBody>,
    responses((status = 200, description = "The booking, stopped; `cancellation` says what it costs.", body = BookingView)),
    extensions(("x-refusals" = json!(refused![InvalidTransition]))))]
#[post("/v1/bookings/{id}/stop")]
async fn stop_booking(
    app: Data<App>,
    me: As<TherapistOrSupport>,
    Path(id): Path<BookingId>,
    if_match: IfMatch,
    OrDefault(body): OrDefault<StopBody>,
) -> Result<Reply> {
    refuse_unexplained(&me.principal, body.reason.as_ref())?;
    if me.principal.role == Role::Admin && body.incident.is_some() {
        return Err(FieldError::new("/incident", "is for the therapist to report.").into());
    }
    let asked = Asked { incident: body.incident, ..Asked::new(Action::Stop, body.reason, if_match) };
    uninterrupted(async move { take(&app, me.principal, id, asked).await }).await
}
