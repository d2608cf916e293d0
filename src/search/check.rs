//! Asking about starts that are in mind already: whether each can be booked, and if not, why.

use std::sync::Arc;

use actix_web::post;
use actix_web::web::Data;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::explain::{diary, is_insider};
use super::moving::{Moving, Said};
use super::{GivenPlace, Setting};
use crate::App;
use crate::auth::{Caller, Principal};
use crate::availability::{Engine, Rule, Visit};
use crate::error::{FieldError, Refusal, Result};
use crate::http::{Json, Origin, Page, Reply};
use crate::ids::{AddressId, BookingId, ServiceId, TherapistId};
use crate::search::Searches;
use crate::values::{Country, Instant, Latitude, Longitude, Span};

/// The operation on single starts.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(check_slots);
}

/// The most starts in one question.
const MOST_STARTS: usize = 50;

/// Starts of one visit with one therapist.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "therapist_id": "0198c0de-0000-7000-8000-000000000000", "service_id": "0198c0de-0000-7000-8000-000000000000",
    "duration_minutes": 60, "latitude": -33.8886, "longitude": 151.2111, "country": "AU", "region": "NSW",
    "starts": ["2026-12-01T00:30:00Z", "2026-12-01T00:45:00Z"],
}))]
struct StartsAsked {
    therapist_id: TherapistId,
    service_id: ServiceId,
    /// Minutes on the table.
    #[schema(example = 60, minimum = 15, maximum = 240)]
    duration_minutes: i16,
    /// One of the caller's addresses; else `latitude`, `longitude`, `country` and `region`.
    address_id: Option<AddressId>,
    latitude: Option<Latitude>,
    longitude: Option<Longitude>,
    country: Option<Country>,
    /// The region's code within the country (ISO 3166-2).
    #[schema(max_length = 10, example = "NSW")]
    region: Option<String>,
    /// A booking of the caller's that is to be moved: its own time counts as free, and its place is meant, so that none is given.
    moving: Option<BookingId>,
    /// When the time on the table would begin.
    #[schema(min_items = 1, max_items = 50)]
    starts: Vec<Instant>,
}

/// Why a start cannot be booked.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Why {
    /// As the therapist and admins hear it.
    Rule(Rule),
    /// As everyone hears it: the code that a booking would be refused with.
    Code(&'static str),
}

/// Whether a start can be booked.
#[derive(Debug, Serialize, ToSchema)]
struct StartChecked {
    /// The start.
    start_at: DateTime<Utc>,
    /// Whether it can be booked now.
    bookable: bool,
    /// What refuses it; empty where nothing does. The codes that a booking would be refused with; for the therapist themself
    /// and for admins the rules by their names.
    #[schema(value_type = Vec<String>, example = json!(["slot_unavailable"]))]
    refusals: Vec<Why>,
}

/// How far apart the starts may lie: what is read grows with it.
const LONGEST: TimeDelta = TimeDelta::days(62);

/// Check starts
///
/// Whether up to 50 starts within 62 days can be booked, in the order in which they are asked, by the same rules as the booking itself.
/// Nothing is reserved. Everyone hears the codes that a booking would be refused with; the therapist themself and admins
/// hear every rule that refuses.
#[utoipa::path(tag = "Availability", operation_id = "check_slots",
    security((), ("bearer" = ["client", "therapist", "admin"]), ("api_key" = ["slots:read"])), request_body = StartsAsked,
    responses((status = 200, description = "Each start, with what refuses it.", body = Page<StartChecked>)))]
#[post("/v1/slots/check")]
async fn check_slots(
    app: Data<App>,
    Caller(caller): Caller,
    origin: Origin,
    Json(asked, _): Json<StartsAsked>,
) -> Result<Reply> {
    let app = app.into_inner();
    let check = check(app.clone(), caller, asked);
    app.part::<Searches>()?.run(caller, origin, check).await.and_then(|page| Reply::ok(&page))
}

/// Each start that is asked about.
async fn check(app: Arc<App>, caller: Option<Principal>, asked: StartsAsked) -> Result<Page<StartChecked>> {
    let now = app.clock.now();
    let starts: Vec<DateTime<Utc>> = asked.starts.iter().map(|Instant(start)| *start).collect();
    let bounds = starts.iter().min().zip(starts.iter().max()).filter(|_| starts.len() <= MOST_STARTS);
    let (first, last) = bounds.ok_or_else(|| FieldError::new("/starts", "holds from 1 to 50 starts."))?;
    if *last - *first > LONGEST {
        return Err(FieldError::new("/starts", "lie more than 62 days apart.").into());
    }
    let given = GivenPlace {
        address_id: asked.address_id,
        latitude: asked.latitude,
        longitude: asked.longitude,
        country: asked.country,
        region: asked.region,
    };
    let span = Span { start: *first, end: Span::of_minutes(*last, 1).end };
    let (service, minutes) = (asked.service_id, asked.duration_minutes);
    let mut db = app.db.acquire().await?;
    let said = Said { therapist: Some(asked.therapist_id), service, minutes, given: &given };
    let moving = match asked.moving {
        Some(id) => Some(Moving::find(&mut db, id, caller, said, now).await?),
        None => None,
    };
    let setting = match &moving {
        Some(moving) => moving.setting(&mut db, span).await?,
        None => Setting::read(&mut db, caller, &given, service, minutes, |_| span, now).await?,
    };
    let client = moving.as_ref().map(|moving| moving.client).or_else(|| caller.and_then(Principal::client));
    let diary = diary(&app, &mut db, asked.therapist_id, &setting, client, span, now).await?;
    let care = match &moving {
        Some(moving) => moving.care(&app, &mut db, now).await?,
        None => None,
    };
    drop(db);
    let visit = moving.as_ref().map_or_else(|| setting.visit(), |moving| moving.visit(&setting));
    let visit = Visit { care: care.as_ref(), ..visit };
    let binds = |rule: &Rule| moving.as_ref().is_none_or(|moving| moving.is_bound(*rule));
    let insider = is_insider(caller, asked.therapist_id);
    let checked = starts.into_iter().map(|start| {
        // Years may lie between two starts: each gets an engine that looks about it alone, as a booking does.
        let engine = Engine::new(&diary, &visit, Span::of_minutes(start, 1), now);
        let rules = engine.refusals(start).filter(binds);
        let refusals: Vec<Why> = if insider { rules.map(Why::Rule).collect() } else { codes(rules) };
        StartChecked { start_at: start, bookable: refusals.is_empty(), refusals }
    });
    Ok(Page::whole(checked.collect()))
}

/// What a booking would be refused with, each code once.
fn codes(rules: impl Iterator<Item = Rule>) -> Vec<Why> {
    let mut refusals: Vec<Refusal> = rules.map(Refusal::from).collect();
    // The rules that share a code come one after the other.
    refusals.dedup();
    if refusals.iter().any(|refusal| *refusal != Refusal::SlotUnavailable) {
        // Whatever the therapist does at a time that nobody can book is nobody's business.
        refusals.retain(|refusal| *refusal != Refusal::SlotUnavailable);
    }
    refusals.into_iter().map(|refusal| Why::Code(refusal.code())).collect()
}
