//! Incidents: what went wrong at a visit, as one party tells staff. The other party never learns of it.

mod store;

use actix_web::web::Data;
use actix_web::{get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

pub use store::has_open;
pub(super) use store::{NOTE, REPORT};

use super::Booking;
use super::lifecycle::Party;
use super::steps::party;
use crate::App;
use crate::auth::{As, Parties, PartiesOrSupport, Support};
use crate::db::uninterrupted;
use crate::error::{Error, Refusal, Result, refused};
use crate::events::{Event, Work};
use crate::http::{Cursor, Json, Limit, Page, Part, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{AccountId, BookingId, IncidentId, TherapistId};
use crate::values::{Instant, bounded_text};
use store::Listed;

/// The most incidents of one visit that one person reports. Breaking a visit off is never refused for it.
const MOST_OF_ONE: i64 = 5;

/// The operations on incidents.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(report_incident).service(list_booking_incidents);
    config.service(list_incidents).service(get_incident).service(resolve_incident);
}

bounded_text! {
    /// What happened.
    IncidentReport prose 1..=4000, example "The client would not keep the draping in place after I had asked twice.";
    /// What staff found or did.
    IncidentNote prose 1..=2000, example "Spoke to both; the client's account is closed.";
}

/// What an incident is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
enum IncidentKind {
    /// Someone was or is in danger.
    Safety,
    /// How someone behaved.
    Conduct,
    /// Someone was hurt.
    Injury,
    /// Something was broken or is missing.
    Property,
    /// Anything else.
    Other,
}

/// Something that went wrong.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewIncident {
    kind: IncidentKind,
    text: Option<IncidentReport>,
}

/// An incident that was reported.
#[derive(Debug, Serialize, ToSchema)]
struct IncidentReceipt {
    /// The incident's id.
    id: IncidentId,
    /// The visit that it happened at.
    booking_id: BookingId,
    /// What it is about.
    kind: IncidentKind,
    /// When it was reported.
    reported_at: DateTime<Utc>,
}

/// An incident as its reporter sees it.
#[derive(Debug, Serialize, ToSchema)]
struct OwnIncident {
    #[serde(flatten)]
    receipt: IncidentReceipt,
    /// What happened, in the reporter's words.
    text: Option<String>,
    /// When staff were done with it.
    resolved_at: Option<DateTime<Utc>>,
}

/// An incident in the list for staff, without what may tell of someone's health.
#[derive(Debug, Serialize, ToSchema)]
struct ListedIncident {
    #[serde(flatten)]
    receipt: IncidentReceipt,
    /// Who reported it.
    reporter_id: AccountId,
    /// What the reporter is to the visit.
    party: Party,
    /// The therapist of the visit.
    therapist_id: TherapistId,
    /// Its client.
    client_id: AccountId,
    /// When it was resolved; null while it is open.
    resolved_at: Option<DateTime<Utc>>,
    /// The admin who resolved it.
    resolved_by: Option<AccountId>,
}

/// An incident with all that is known of it, for staff.
#[derive(Debug, Serialize, ToSchema)]
struct Incident {
    #[serde(flatten)]
    listed: ListedIncident,
    /// What happened, in the reporter's words.
    text: Option<String>,
    /// What staff found or did.
    note: Option<String>,
}

impl Incident {
    /// What was done to it.
    fn event(&self, kind: &'static str, details: Value) -> Event {
        let ListedIncident { therapist_id, client_id, .. } = self.listed;
        let event = Event::new(kind, "incident", self.listed.receipt.id).about(therapist_id).with(details);
        Event { client: Some(client_id), ..event }
    }
}

impl From<Incident> for OwnIncident {
    fn from(incident: Incident) -> Self {
        let Incident { listed, text, .. } = incident;
        Self { receipt: listed.receipt, text, resolved_at: listed.resolved_at }
    }
}

/// Reports an incident to staff, in the transaction of whatever came of it.
pub(super) async fn report(
    app: &App,
    work: &mut Work,
    booking: &Booking,
    party: Party,
    reporter: AccountId,
    new: NewIncident,
) -> Result<IncidentId> {
    let now = work.now();
    let incident = Incident {
        listed: ListedIncident {
            receipt: IncidentReceipt {
                id: IncidentId::new(now),
                booking_id: booking.id,
                kind: new.kind,
                reported_at: now,
            },
            reporter_id: reporter,
            party,
            therapist_id: booking.therapist,
            client_id: booking.client,
            resolved_at: None,
            resolved_by: None,
        },
        text: new.text.map(|text| text.as_str().to_owned()),
        note: None,
    };
    store::insert(app, work, &incident).await?;
    let id = incident.listed.receipt.id;
    let details = json!({ "booking_id": booking.id, "kind": new.kind, "party": party });
    work.announce(Event { party: Some(party), ..incident.event("incident.report", details) }).await?;
    Ok(id)
}

/// Tells staff that a treatment harmed the person, or went beyond what suited them. What it was stays the person's own.
pub async fn report_of_treatment(
    app: &App,
    work: &mut Work,
    booking: &Booking,
    (party, reporter): (Party, AccountId),
    harmed: bool,
) -> Result<()> {
    let kind = if harmed { IncidentKind::Injury } else { IncidentKind::Safety };
    // Once for each visit and reporter: to word it anew is nothing new.
    if store::is_known(work, booking.id, reporter, kind).await? {
        return Ok(());
    }
    report(app, work, booking, party, reporter, NewIncident { kind, text: None }).await?;
    Ok(())
}

/// Report an incident
///
/// Tells staff what went wrong at a visit: its client or its therapist, at any time. The other party never learns of it.
#[utoipa::path(tag = "Incidents", operation_id = "report_incident", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat; kept for 48 hours.")),
    request_body = NewIncident, responses((status = 201, description = "It was reported.", body = IncidentReceipt,
     headers(("Location" = String, description = "Where the caller's incidents are found."),
             ("Idempotent-Replay" = Option<String>, description = "`true` where the answer was given before.")))),
    extensions(("x-refusals" = json!(refused![TooManyIncidents]))))]
#[post("/v1/bookings/{id}/incidents")]
async fn report_incident(
    app: Data<App>,
    me: As<Parties>,
    Path(id): Path<BookingId>,
    key: IdempotencyKey,
    Json(new, print): Json<NewIncident>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let route = "POST /v1/bookings/{id}/incidents";
        let once = Once::claim(&mut work, route, key, print.about(id)).await?;
        // One report after the other for one reporter, so that no two are both the last.
        work.lock(me.account().0).await?;
        let now = work.now();
        let booking = super::store::find(&mut work, id, now).await?.ok_or(Error::NotFound)?;
        let party = party(&booking, &me.principal).ok_or(Error::NotFound)?;
        let kind = new.kind;
        if store::count(&mut work, id, me.account()).await? >= MOST_OF_ONE {
            return Err(Refusal::TooManyIncidents.into());
        }
        let incident = report(&app, &mut work, &booking, party, me.account(), new).await?;
        // Without the text, which the answers that are kept must not hold.
        let receipt = IncidentReceipt { id: incident, booking_id: id, kind, reported_at: now };
        let reply = Reply::created(format!("/v1/bookings/{id}/incidents"), &receipt)?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// List a booking's incidents
///
/// Those that the caller reported, oldest first; each of them for admins, whose look is written down.
#[utoipa::path(tag = "Incidents", operation_id = "list_booking_incidents",
    security(("bearer" = ["client", "therapist", "admin:support"])),
    params(("id" = BookingId, Path, description = "The booking."), Part),
    responses((status = 200, description = "The incidents.", body = Page<OwnIncident>)))]
#[get("/v1/bookings/{id}/incidents")]
async fn list_booking_incidents(
    app: Data<App>,
    me: As<PartiesOrSupport>,
    Path(id): Path<BookingId>,
    Query(part): Query<Part>,
) -> Result<Reply> {
    uninterrupted(async move {
        let now = app.clock.now();
        let mut work = app.begin(Some(me.account())).await?;
        let booking = super::store::find(&mut work, id, now).await?.ok_or(Error::NotFound)?;
        let party = party(&booking, &me.principal).ok_or(Error::NotFound)?;
        let reporter = (party != Party::Admin).then_some(me.account());
        let incidents = store::of_booking(&app, &mut work, id, reporter).await?;
        if party == Party::Admin {
            for incident in &incidents {
                work.announce(incident.event("incident.read", json!({}))).await?;
            }
        }
        work.commit().await?;
        Reply::ok(&Page::part(incidents.into_iter().map(OwnIncident::from).collect(), &part)?)
    })
    .await
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct IncidentQuery {
    /// Of this kind.
    #[param(inline)]
    kind: Option<IncidentKind>,
    /// At this booking.
    booking_id: Option<BookingId>,
    /// At visits with this therapist.
    therapist_id: Option<TherapistId>,
    /// At visits of this client.
    client_id: Option<AccountId>,
    /// Those that are open, or those that are resolved; else all.
    open: Option<bool>,
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// List incidents
///
/// What was reported, longest waiting first. The words are shown with each alone.
#[utoipa::path(tag = "Incidents", operation_id = "list_incidents", security(("bearer" = ["admin:support"])), params(IncidentQuery),
    responses((status = 200, description = "A page of incidents.", body = Page<ListedIncident>)))]
#[get("/v1/admin/incidents")]
async fn list_incidents(app: Data<App>, _me: As<Support>, Query(query): Query<IncidentQuery>) -> Result<Reply> {
    let after: Option<(Instant, IncidentId)> = query.cursor.as_ref().map(Cursor::key).transpose()?;
    let listed = Listed {
        kind: query.kind,
        booking: query.booking_id,
        therapist: query.therapist_id,
        client: query.client_id,
        open: query.open,
        after: after.map(|(Instant(at), id)| (at, id)),
        count: query.limit.probe(),
    };
    let found = store::list(&app.db, listed).await?;
    Reply::ok(&Page::cut(found, query.limit, |incident| (incident.receipt.reported_at, incident.receipt.id))?)
}

/// Show an incident
///
/// One incident in the reporter's words. Each such look is written down.
#[utoipa::path(tag = "Incidents", operation_id = "get_incident", security(("bearer" = ["admin:support"])),
    params(("id" = IncidentId, Path, description = "The incident.")),
    responses((status = 200, description = "The incident.", body = Incident)))]
#[get("/v1/admin/incidents/{id}")]
async fn get_incident(app: Data<App>, me: As<Support>, Path(id): Path<IncidentId>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let incident = store::lock(&app, &mut work, id).await?.ok_or(Error::NotFound)?;
        work.announce(incident.event("incident.read", json!({}))).await?;
        work.commit().await?;
        Reply::ok(&incident)
    })
    .await
}

/// How an incident was resolved.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct IncidentResolution {
    note: IncidentNote,
}

/// Resolve an incident
///
/// Says what was found or done, for staff alone; the task of its visit is resolved with its last open incident. One that is resolved already stays as it is.
#[utoipa::path(tag = "Incidents", operation_id = "resolve_incident", security(("bearer" = ["admin:support"])),
    params(("id" = IncidentId, Path, description = "The incident.")), request_body = IncidentResolution,
    responses((status = 200, description = "The incident, resolved.", body = Incident)))]
#[post("/v1/admin/incidents/{id}/resolve")]
async fn resolve_incident(
    app: Data<App>,
    me: As<Support>,
    Path(id): Path<IncidentId>,
    Json(body, _): Json<IncidentResolution>,
) -> Result<Reply> {
    uninterrupted(async move {
        let now = app.clock.now();
        let mut work = app.begin(Some(me.account())).await?;
        let mut incident = store::lock(&app, &mut work, id).await?.ok_or(Error::NotFound)?;
        let action = if incident.listed.resolved_at.is_none() {
            (incident.listed.resolved_at, incident.listed.resolved_by) = (Some(now), Some(me.account()));
            incident.note = Some(body.note.as_str().to_owned());
            store::resolve(&app, &mut work, &incident).await?;
            let booking = incident.listed.receipt.booking_id;
            if !store::has_open(&mut work, booking).await? {
                work.announce(Event::new("booking.incidents_resolved", "booking", booking)).await?;
            }
            "incident.resolve"
        } else {
            "incident.read"
        };
        work.announce(incident.event(action, json!({}))).await?;
        work.commit().await?;
        Reply::ok(&incident)
    })
    .await
}
