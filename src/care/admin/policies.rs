//! How much each place asks for, as versions.

use actix_web::web::Data;
use actix_web::{delete, get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{is_open, lock, store, time_faults};
use crate::App;
use crate::auth::{As, CareEditor};
use crate::care::published::{CareTerms, EVERYWHERE};
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Refusal, Result, refused};
use crate::events::Event;
use crate::http::{Json, Page, Paging, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{AccountId, CarePolicyId};
use crate::values::{Instant, Jurisdiction};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_care_policies).service(create_care_policy);
    config.service(get_care_policy).service(withdraw_care_policy);
}

/// A version of what a place asks for.
#[derive(Serialize, ToSchema)]
pub(super) struct CarePolicy {
    /// The version's id.
    pub id: CarePolicyId,
    /// The country or region; null where no other policy is nearer.
    pub place: Option<Jurisdiction>,
    /// Counts from 1.
    #[schema(example = 1)]
    pub version: i32,
    /// What is asked for.
    pub terms: CareTerms,
    /// When it takes effect.
    pub effective_from: DateTime<Utc>,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// By which admin; null for what came with the service.
    pub created_by: Option<AccountId>,
    /// When it was withdrawn, before it took effect.
    pub withdrawn_at: Option<DateTime<Utc>>,
}

/// A version to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCarePolicy {
    /// The country or region; null for wherever no other policy is nearer.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required)]
    place: Option<Jurisdiction>,
    /// Counts from 1: one more than the place's latest version's, withdrawn ones too.
    #[schema(example = 2, minimum = 1)]
    version: i32,
    terms: CareTerms,
    /// When it takes effect: at least a minute ahead, and after every version before it.
    effective_from: Instant,
}

fn faults(terms: &CareTerms) -> Vec<FieldError> {
    let bounds = [
        ("answers_last_days", terms.answers_last_days, 1, 3650),
        ("confirm_hours", terms.confirm_hours, 1, 336),
        ("adult_age", terms.adult_age, 14, 21),
        ("retention_years", terms.retention_years, 1, 30),
    ];
    let outside = bounds.into_iter().filter(|(_, number, least, most)| !(least..=most).contains(&number));
    outside
        .map(|(field, _, least, most)| {
            FieldError::new(format!("/terms/{field}"), format!("must lie between {least} and {most}."))
        })
        .collect()
}

/// List care policies
///
/// How much each place asks for: every version by place and number.
#[utoipa::path(tag = "Care", operation_id = "list_care_policies", security(("bearer" = ["admin:care", "admin:owner"])), params(Paging),
    responses((status = 200, description = "A page of versions.", body = Page<CarePolicy>)))]
#[get("/v1/admin/care-policies")]
async fn list_care_policies(app: Data<App>, _me: As<CareEditor>, Query(query): Query<Paging>) -> Result<Reply> {
    let found = store::policies(&app.db, query.after()?, query.limit.probe()).await?;
    Reply::ok(&Page::cut(found, query.limit, |policy| {
        (policy.place.as_ref().map_or(EVERYWHERE, Jurisdiction::as_str).to_owned(), policy.version)
    })?)
}

/// Add a care policy
///
/// Adds a version, which holds from its instant until the next one of its place. The nearest place decides: a region before its country.
#[utoipa::path(tag = "Care", operation_id = "create_care_policy", security(("bearer" = ["admin:care", "admin:owner"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = NewCarePolicy, responses((status = 201, description = "The version.", body = CarePolicy,
     headers(("Location" = String, description = "Where the version is found.")))),
    extensions(("x-refusals" = json!(refused![VersionTaken]))))]
#[post("/v1/admin/care-policies")]
async fn create_care_policy(
    app: Data<App>,
    me: As<CareEditor>,
    key: IdempotencyKey,
    Json(new, print): Json<NewCarePolicy>,
) -> Result<Reply> {
    uninterrupted(async move {
        let admin = me.account();
        let mut work = app.begin(Some(admin)).await?;
        let once = Once::claim(&mut work, "POST /v1/admin/care-policies", key, print).await?;
        lock(&mut work).await?;
        let now = work.now();
        let place = new.place.as_ref().map_or(EVERYWHERE, Jurisdiction::as_str);
        let (latest, last) = store::latest_policy(&mut work, place).await?;
        if new.version != latest + 1 {
            return Err(Refusal::VersionTaken.into());
        }
        let mut faults = faults(&new.terms);
        faults.extend(time_faults(new.effective_from.0, last, now));
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let policy = CarePolicy {
            id: CarePolicyId::new(now),
            place: new.place,
            version: new.version,
            terms: new.terms,
            effective_from: new.effective_from.0,
            created_at: now,
            created_by: Some(admin),
            withdrawn_at: None,
        };
        store::insert_policy(&mut work, &policy).await?;
        let reply = Reply::created(format!("/v1/admin/care-policies/{}", policy.id), &policy)?;
        once.keep(&mut work, &reply).await?;
        work.announce(event("care_policy.create", &policy)).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Show a care policy
///
/// One version.
#[utoipa::path(tag = "Care", operation_id = "get_care_policy", security(("bearer" = ["admin:care", "admin:owner"])),
    params(("id" = CarePolicyId, Path, description = "The version.")),
    responses((status = 200, description = "The version.", body = CarePolicy)))]
#[get("/v1/admin/care-policies/{id}")]
async fn get_care_policy(app: Data<App>, _me: As<CareEditor>, Path(id): Path<CarePolicyId>) -> Result<Reply> {
    Reply::ok(&store::policy(&*app.db, id).await?.ok_or(Error::NotFound)?)
}

/// Withdraw a care policy
///
/// Takes a version back before it takes effect. It stays in the list; its number is not given again. Again changes nothing.
#[utoipa::path(tag = "Care", operation_id = "withdraw_care_policy", security(("bearer" = ["admin:care", "admin:owner"])),
    params(("id" = CarePolicyId, Path, description = "The version.")),
    responses((status = 204, description = "The version will not take effect.")),
    extensions(("x-refusals" = json!(refused![VersionInForce]))))]
#[delete("/v1/admin/care-policies/{id}")]
async fn withdraw_care_policy(app: Data<App>, me: As<CareEditor>, Path(id): Path<CarePolicyId>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        lock(&mut work).await?;
        let now = work.now();
        let policy = store::policy(&mut **work, id).await?.ok_or(Error::NotFound)?;
        if policy.withdrawn_at.is_none() {
            if !is_open(policy.effective_from, now) {
                return Err(Refusal::VersionInForce.into());
            }
            store::withdraw_policy(&mut work, id, me.account(), now).await?;
            work.announce(event("care_policy.withdraw", &policy)).await?;
            work.commit().await?;
        }
        Ok(Reply::none())
    })
    .await
}

fn event(kind: &str, policy: &CarePolicy) -> Event {
    let details = json!({
        "place": policy.place, "version": policy.version, "terms": policy.terms, "effective_from": policy.effective_from,
    });
    Event::new(kind, "care_policy", policy.id).with(details)
}
