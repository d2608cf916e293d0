//! Whether a service suits a person on a day: asked before booking, and stored nowhere.

use actix_web::get;
use actix_web::web::Data;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::facts::{self, Told};
use super::invitations::refuse_guests;
use super::recipients;
use crate::App;
use crate::accounts::Region;
use crate::auth::{As, Client};
use crate::care::Outcome;
use crate::care::answers::Known;
use crate::care::body::RegionSet;
use crate::care::decide::{Advice, Alternative, Asked, Hit, Limits, Needs, alternatives, decide};
use crate::care::published::{self, CareMode, PublishedRules, RuleCache, emergency_number, policy};
use crate::care::questions::GivenAnswer;
use crate::care::routes::places;
use crate::error::{FieldError, Result, refused};
use crate::http::{Path, Query, Reply};
use crate::ids::{RecipientId, ServiceId};
use crate::values::{Country, Day, Pressure};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(get_suitability);
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SuitabilityIn {
    /// The service.
    #[param(inline)]
    service_id: ServiceId,
    /// Minutes on the table.
    #[param(minimum = 15, maximum = 240)]
    duration_minutes: i16,
    /// The date of the visit, at its place.
    #[param(inline)]
    date: Day,
    /// The pressure that is wished for; what the service is done with, unless said.
    #[param(inline)]
    pressure: Option<Pressure>,
    /// The country of the visit (ISO 3166-1 alpha-2).
    #[param(inline)]
    country: Option<Country>,
    /// The region's code within the country.
    #[param(inline)]
    region: Option<Region>,
}

/// A rule that holds, and why.
#[derive(Serialize, ToSchema)]
#[schema(as = CareReason)]
struct Reason {
    /// The rule.
    #[schema(example = "anticoagulant")]
    rule: String,
    /// What it says.
    #[schema(example = "Blood thinners: at most medium pressure, no stripping, friction or trigger points.")]
    words: String,
    /// The answers that made it hold.
    because: Vec<GivenAnswer>,
    /// Whether it holds only because an answer is not known.
    #[schema(example = false)]
    in_doubt: bool,
}

impl Reason {
    fn new(hit: Hit, published: &PublishedRules) -> Self {
        let words = published.rules.iter().find(|rule| rule.code == hit.rule).map(|rule| rule.words.clone());
        // A question that was not put tells nothing by itself: the answer that kept it from being put stands beside it.
        let said = hit.because.iter().filter(|(_, known)| !matches!(known, Known::Skipped | Known::InDoubt));
        Self {
            words: words.unwrap_or_default(),
            because: said.map(|(question, known)| GivenAnswer::of(question, known)).collect(),
            rule: hit.rule,
            in_doubt: hit.in_doubt,
        }
    }
}

/// Whether a service suits a person on a day.
#[derive(Serialize, ToSchema)]
struct Suitability {
    /// The service.
    service_id: ServiceId,
    /// The date.
    date: NaiveDate,
    /// What comes of it.
    outcome: Outcome,
    /// What applies.
    limits: Limits,
    /// What is needed.
    needs: Needs,
    /// What the person is told.
    advice: Vec<Advice>,
    /// Parameters that go beyond the limits, or beyond what the service is: `/pressure`, `/duration_minutes`.
    #[schema(example = json!(["/pressure"]))]
    exceeded: Vec<&'static str>,
    /// Other services that suit, the mildest outcome first; none where it is an emergency or urgent.
    alternatives: Vec<Alternative>,
    /// Which rules hold, and why.
    hits: Vec<Reason>,
    /// The first day from which it is possible again, where that can be told.
    not_before: Option<NaiveDate>,
    /// The first day after `date` on which anything could change while answers and rules stay.
    holds_until: Option<NaiveDate>,
    /// The version of the rules.
    #[schema(example = 1)]
    rules_version: i32,
    /// Whom to call, where it is an emergency or urgent.
    #[schema(value_type = Option<String>, example = "112")]
    emergency_number: Option<String>,
}

/// Ask whether a service suits a recipient
///
/// The decision for a day in words, what would suit instead, and when anything could change. It rests on the latest answers, and stores nothing. What was not
/// answered is told in `needs.questions`, and decides nothing. It is no medical advice.
#[utoipa::path(tag = "Care", operation_id = "get_suitability", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient."), SuitabilityIn),
    responses((status = 200, description = "The decision.", body = Suitability)),
    extensions(("x-refusals" = json!(refused![GuardianNeeded]))))]
#[get("/v1/me/recipients/{id}/suitability")]
async fn get_suitability(
    app: Data<App>,
    me: As<Client>,
    Path(id): Path<RecipientId>,
    Query(query): Query<SuitabilityIn>,
) -> Result<Reply> {
    if !(15..=240).contains(&query.duration_minutes) {
        return Err(FieldError::new("/duration_minutes", "must lie between 15 and 240.").into());
    }
    let (now, Day(date)) = (app.clock.now(), query.date);
    let places = places(query.country.as_ref(), query.region.as_ref())?;
    let mut conn = app.db.acquire().await?;
    let published = app.part::<RuleCache>()?.rules(&mut conn, now).await?;
    let recipient = recipients::find(&mut *conn, &app.cipher, me.account(), id).await?;
    refuse_guests(&recipient)?;
    let services = published::services(&mut *conn).await?;
    let service = services.iter().find(|(known, _)| *known == query.service_id);
    let (_, service) = service.ok_or_else(|| FieldError::new("/service_id", "is not in the catalogue."))?;
    let terms = policy(&mut *conn, &places, now).await?;
    let Told { facts, clearances, .. } = match terms.mode {
        CareMode::Off => Told::default(),
        _ => facts::of(&mut conn, &recipient, terms.answers_last_days).await?,
    };
    let asked = Asked {
        service,
        techniques: &[],
        pressure: query.pressure,
        minutes: query.duration_minutes,
        regions: RegionSet::default(),
        place: &places,
    };
    let decision = decide(&published.rules, &facts, &clearances, &asked, date);
    let profiles: Vec<_> = services.iter().map(|(_, profile)| profile.clone()).collect();
    let is_urgent = decision.outcome >= Outcome::Urgent;
    let others = if is_urgent {
        Vec::new()
    } else {
        alternatives(&published.rules, &facts, &clearances, &asked, date, &profiles)
    };
    let number = match is_urgent {
        true => Some(emergency_number(&mut *conn, query.country.as_ref().map(Country::as_str)).await?),
        false => None,
    };
    Reply::ok(&Suitability {
        service_id: query.service_id,
        date,
        outcome: decision.outcome,
        exceeded: decision.limits.exceeded(&asked),
        limits: decision.limits,
        needs: decision.needs,
        advice: decision.advice,
        alternatives: others,
        hits: decision.hits.into_iter().map(|hit| Reason::new(hit, &published)).collect(),
        not_before: decision.not_before,
        holds_until: decision.holds_until,
        rules_version: published.version,
        emergency_number: number,
    })
}
