//! How a visit stands with the person whom it is for, as each party may know it.

use actix_web::web::Data;
use actix_web::{get, post};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::store as care_store;
use super::{SHEET_READ, of, to_begin};
use crate::App;
use crate::auth::{As, Client, Parties, Therapist};
use crate::bookings::events::{Event, event};
use crate::bookings::lifecycle::{Action, Party, Status};
use crate::bookings::steps::{Asked, Begun, begin, party, take};
use crate::bookings::views::BookingView;
use crate::bookings::{Booking, Reason, store};
use crate::care::consents::{self, ConsentInPerson, ConsentView};
use crate::care::{self, Limits, Standing, VisitCare};
use crate::db::uninterrupted;
use crate::error::{Error, Refusal, Result, refused};
use crate::events::Work;
use crate::http::{IfMatch, Json, Nothing, OrDefault, Path, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{BookingId, RecipientId};

pub(in crate::bookings) fn routes(config: &mut ServiceConfig) {
    config.service(get_booking_care).service(confirm_booking_care).service(object_to_booking);
    config.service(create_consent_in_person);
}

/// How long after a visit its therapist sees the sheet.
const SHEET_SHOWN: TimeDelta = TimeDelta::hours(72);

/// For whom it is written down.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BookingCareSeenAs)]
enum SeenAs {
    /// For the client.
    Client,
    /// For the therapist.
    Therapist,
}

/// How a visit stands, for its client.
#[derive(Debug, Serialize, ToSchema)]
struct ClientCare {
    /// `client`.
    seen_as: SeenAs,
    /// For whom the visit is; null where its client has entered nobody, not even themself.
    recipient_id: Option<RecipientId>,
    /// Whether it may take place, as things stand.
    state: Standing,
    /// What applies; null where the person is an adult who is not the client: it is theirs to tell.
    limits: Option<Limits>,
    /// What the rules say to the person; empty where the person is an adult who is not the client.
    #[schema(example = json!(["Bruises come easily with blood thinners."]))]
    advice: Vec<String>,
    /// From when on the client can say that nothing has changed, where that must be said.
    confirm_from: Option<DateTime<Utc>>,
    /// By when the questions must be answered, or it must be said that nothing has changed, where that is so.
    due_by: Option<DateTime<Utc>>,
}

/// How a visit stands, for its therapist.
#[derive(Debug, Serialize, ToSchema)]
struct TherapistCare {
    /// `therapist`.
    seen_as: SeenAs,
    /// What applies, until 72 hours after the visit; null from then on.
    limits: Option<Limits>,
    /// The training that the visit needs, by code.
    #[schema(example = json!(["prenatal"]))]
    training: Vec<String>,
    /// What the rules say to whoever carries the visit out: from its confirmation until 72 hours after it, and null else.
    #[schema(example = json!(["Light pressure over the legs."]))]
    sheet: Option<Vec<String>>,
    /// Since when the answers count of a guest who was made another link and began anew, while the sheet is shown; null for everyone else. Whoever booked may have
    /// answered by that link: ask the person themself.
    answered_anew_at: Option<DateTime<Utc>>,
}

/// How a visit stands with the person whom it is for, by whoever looks at it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum BookingCare {
    /// For its client.
    Client(ClientCare),
    /// For its therapist.
    Therapist(TherapistCare),
}

/// Show what suits the person
///
/// How the visit stands with the person whom it is for, decided anew. Its client sees whether it may take place, what applies and what to do.
/// Its therapist sees what applies, and from confirmation until 72 hours after the visit the sheet: what to heed, and never the answers
/// themselves. Each such look is written down. Nobody else sees any of it.
#[utoipa::path(tag = "Care", operation_id = "get_booking_care", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "The booking.")),
    responses((status = 200, description = "How the visit stands.", body = BookingCare)))]
#[get("/v1/bookings/{id}/care")]
async fn get_booking_care(app: Data<App>, me: As<Parties>, Path(id): Path<BookingId>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let now = work.now();
        let booking = store::find(&mut work, id, now).await?.ok_or(Error::NotFound)?;
        let party = party(&booking, &me.principal).ok_or(Error::NotFound)?;
        let care = of(&app, &mut work, &booking).await?;
        let seen = if party == Party::Client {
            BookingCare::Client(for_client(&booking, care.as_ref()))
        } else {
            let mut seen = for_therapist(&booking, care.as_ref(), now);
            if seen.sheet.is_some()
                && let Some(person) = care::person(&app, &mut work, booking.client, booking.recipient).await?
            {
                seen.answered_anew_at = care::anew_since(&mut work, &person).await?;
            }
            // Also where there is nothing on it: that a look was written down must not tell what was there.
            if seen.sheet.is_some() {
                store::record_looks(&mut work, &[&booking], SHEET_READ).await?;
                if let Some(care) = &care {
                    care.record_look(&mut work, id, me.account()).await?;
                }
            }
            BookingCare::Therapist(seen)
        };
        work.commit().await?;
        Reply::ok(&seen)
    })
    .await
}

/// Say that nothing has changed
///
/// The client says that the answers still hold: from `confirm_hours` before the start, which the policy of the place sets. Whoever has to say otherwise
/// answers anew. Again changes nothing but when it was said. A guest says it for themself, by their link.
#[utoipa::path(tag = "Care", operation_id = "confirm_booking_care", security(("bearer" = ["client"])),
    params(("id" = BookingId, Path, description = "The booking.")), request_body = Option<Nothing>,
    responses((status = 200, description = "How the visit stands.", body = BookingCare)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, TooEarly, GuardianNeeded]))))]
#[post("/v1/bookings/{id}/care/confirm")]
async fn confirm_booking_care(
    app: Data<App>,
    me: As<Client>,
    Path(id): Path<BookingId>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    uninterrupted(async move {
        let Begun { mut work, mut booking, .. } = begin(&app, &me.principal, id).await?;
        if let Some(person) = care::person(&app, &mut work, booking.client, booking.recipient).await? {
            care::refuse_guests(&person)?;
        }
        let care = confirm(&app, &mut work, &mut booking, Party::Client).await?;
        let seen = BookingCare::Client(for_client(&booking, care.as_ref()));
        work.commit().await?;
        Reply::ok(&seen)
    })
    .await
}

/// Writes down that nothing has changed since the answers; what decides on the visit.
pub(super) async fn confirm(
    app: &App,
    work: &mut Work,
    booking: &mut Booking,
    party: Party,
) -> Result<Option<VisitCare>> {
    let now = work.now();
    if !booking.status.is_live() || booking.status == Status::InProgress {
        return Err(Refusal::InvalidTransition.into());
    }
    let care = of(app, work, booking).await?;
    if care.as_ref().is_some_and(|care| now < care.confirm_from(booking.start_at)) {
        return Err(Refusal::TooEarly.into());
    }
    booking.care_confirmed_at = Some(now);
    care_store::confirm(work, booking.id, now).await?;
    let confirmed = event("booking.care_confirmed", booking, json!({}));
    work.announce(Event { party: Some(party), ..confirmed }).await?;
    Ok(care)
}

/// Why a therapist does not carry a visit out.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Objection {
    /// What speaks against it. The client is told where the visit is for themself or for a minor; nobody else reads it. Of another adult it is not kept.
    reason: Reason,
}

/// Object to a visit
///
/// The therapist finds that the visit would harm: from a day before its start on, on the way or at the door. It is called off, the client pays nothing, and
/// nothing is held against the therapist.
#[utoipa::path(tag = "Care", operation_id = "object_to_booking", security(("bearer" = ["therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the booking as it was read, where it matters.")),
    request_body = Objection, responses((status = 200, description = "The booking, called off.", body = BookingView)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, TooEarly]))))]
#[post("/v1/bookings/{id}/care/object")]
async fn object_to_booking(
    app: Data<App>,
    me: As<Therapist>,
    Path(id): Path<BookingId>,
    if_match: IfMatch,
    Json(body, _): Json<Objection>,
) -> Result<Reply> {
    let asked = Asked { objects: true, ..Asked::new(Action::Cancel, Some(body.reason), if_match) };
    uninterrupted(async move { take(&app, me.principal, id, asked).await }).await
}

/// Record a consent in person
///
/// Records what an adult for whom the account does not answer says to a text in the presence of the therapist, who says so; from the visit's confirmation on, while it
/// lies ahead. It holds against whatever was refused or withdrawn before, and when the person begins anew.
#[utoipa::path(tag = "Care", operation_id = "create_consent_in_person", security(("bearer" = ["therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = ConsentInPerson, responses((status = 201, description = "What was said.", body = ConsentView)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, GuardianNeeded, TooManyConsents]))))]
#[post("/v1/bookings/{id}/care/consents")]
async fn create_consent_in_person(
    app: Data<App>,
    me: As<Therapist>,
    Path(id): Path<BookingId>,
    key: IdempotencyKey,
    Json(body, print): Json<ConsentInPerson>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let once = Once::claim(&mut work, "POST /v1/bookings/{id}/care/consents", key, print.about(id)).await?;
        let now = work.now();
        let booking = store::find(&mut work, id, now).await?.ok_or(Error::NotFound)?;
        party(&booking, &me.principal).ok_or(Error::NotFound)?;
        if !matches!(booking.status, Status::Confirmed | Status::OnTheWay | Status::Arrived) {
            return Err(Refusal::InvalidTransition.into());
        }
        let person = care::person(&app, &mut work, booking.client, booking.recipient).await?;
        let person = person.ok_or(Refusal::GuardianNeeded)?;
        let at = (booking.address.jurisdiction.clone(), booking.dates().1);
        let reply = consents::create_in_person(&app, &mut work, (&person, id), body, at).await?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

fn for_client(booking: &Booking, care: Option<&VisitCare>) -> ClientCare {
    let (first, last) = booking.dates();
    let state = care.map_or(Standing::NotAsked, |care| care.standing(&to_begin(booking)));
    let asks = !matches!(state, Standing::NotAsked | Standing::Suits | Standing::DoesNotSuit);
    let own = care.filter(|care| care.is_accounts_own(first)).map(|care| care.decision(first, last));
    let (limits, advice) = own.map(|decision| (decision.limits, decision.advice)).unzip();
    ClientCare {
        seen_as: SeenAs::Client,
        recipient_id: booking.recipient,
        state,
        limits,
        advice: advice.unwrap_or_default().into_iter().map(|advice| advice.text).collect(),
        confirm_from: care
            .filter(|_| state == Standing::ConfirmationNeeded)
            .map(|care| care.confirm_from(booking.start_at)),
        due_by: asks.then_some(booking.start_at),
    }
}

/// Whether its therapist is shown what to heed at a visit: from its confirmation until 72 hours after it.
pub fn shows_sheet(booking: &Booking, now: DateTime<Utc>) -> bool {
    use Status::{Arrived, Completed, Confirmed, InProgress, OnTheWay};
    matches!(booking.status, Confirmed | OnTheWay | Arrived | InProgress | Completed)
        && now < booking.end_at() + SHEET_SHOWN
}

fn for_therapist(booking: &Booking, care: Option<&VisitCare>, now: DateTime<Utc>) -> TherapistCare {
    let (first, last) = booking.dates();
    let is_on = shows_sheet(booking, now);
    let decision = care.filter(|_| is_on || booking.status == Status::Requested).map(|care| care.decision(first, last));
    let sheet = is_on.then(|| {
        let told = decision.iter().flat_map(|decision| &decision.sheet);
        told.map(|advice| advice.text.clone()).collect()
    });
    TherapistCare {
        seen_as: SeenAs::Therapist,
        training: decision.iter().flat_map(|decision| decision.needs.credentials.clone()).collect(),
        limits: decision.map(|decision| decision.limits),
        sheet,
        answered_anew_at: None,
    }
}
