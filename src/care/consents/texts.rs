//! The texts that people agree to, as versions.

use actix_web::web::Data;
use actix_web::{delete, get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::store;
use crate::App;
use crate::auth::{As, Caller, CareEditor};
use crate::care::admin::{is_open, lock, time_faults};
use crate::care::questions::is_code;
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Refusal, Result, refused};
use crate::events::Event;
use crate::http::{Json, Page, Paging, Part, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{AccountId, ConsentTextId};
use crate::values::{Instant, bounded_text};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_consent_texts);
    config.service(list_consent_text_versions).service(create_consent_text).service(withdraw_consent_text);
}

bounded_text! {
    /// What people read above a text that they agree to.
    ConsentTitle line 1..=120, example "Sensitive areas";
    /// What people agree to.
    ConsentBody prose 1..=4000, example "I ask for massage of the areas that I have named. I can stop it at any time.";
}

/// A text that people agree to, in one version.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConsentText {
    /// The version's id.
    pub id: ConsentTextId,
    /// A stable name, which rules of care ask for.
    #[schema(example = "sensitive_areas")]
    pub code: String,
    /// Counts from 1.
    #[schema(example = 1)]
    pub version: i32,
    /// What people read above it.
    #[schema(example = "Sensitive areas")]
    pub title: String,
    /// What they agree to.
    #[schema(example = "I ask for massage of the areas that I have named. I can stop it at any time.")]
    pub body: String,
    /// Whether it is asked for before each visit, and not once for all of them.
    #[schema(example = true)]
    pub each_visit: bool,
    /// When it takes effect.
    pub effective_from: DateTime<Utc>,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// By which admin; null for what came with the service, and for everyone but staff.
    pub created_by: Option<AccountId>,
    /// When it was withdrawn, before it took effect.
    pub withdrawn_at: Option<DateTime<Utc>>,
}

/// List consent texts
///
/// The texts in force, by code. A rule of care names the code of the one that it asks for.
#[utoipa::path(tag = "Care", operation_id = "list_consent_texts", security((), ("api_key" = ["slots:read"])), params(Part),
    responses((status = 200, description = "The texts.", body = Page<ConsentText>)))]
#[get("/v1/consent-texts")]
async fn list_consent_texts(app: Data<App>, _caller: Caller, Query(part): Query<Part>) -> Result<Reply> {
    let texts = store::texts_in_force(&*app.db, app.clock.now()).await?;
    let shown: Vec<_> = texts.into_iter().map(|text| ConsentText { created_by: None, ..text }).collect();
    Ok(Reply::ok(&Page::part(shown, &part)?)?.public())
}

/// List versions of consent texts
///
/// Every version, by code and number.
#[utoipa::path(tag = "Care", operation_id = "list_consent_text_versions", security(("bearer" = ["admin:care", "admin:owner"])), params(Paging),
    responses((status = 200, description = "A page of versions.", body = Page<ConsentText>)))]
#[get("/v1/admin/consent-texts")]
async fn list_consent_text_versions(app: Data<App>, _me: As<CareEditor>, Query(query): Query<Paging>) -> Result<Reply> {
    let found = store::texts(&app.db, query.after()?, query.limit.probe()).await?;
    Reply::ok(&Page::cut(found, query.limit, |text| (text.code.clone(), text.version))?)
}

/// A version to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewConsentText {
    /// Small letters, digits and underscores.
    #[schema(example = "sensitive_areas")]
    code: String,
    /// Counts from 1: one more than the text's latest version's, withdrawn ones too.
    #[schema(example = 2, minimum = 1)]
    version: i32,
    title: ConsentTitle,
    body: ConsentBody,
    /// Whether it is asked for before each visit.
    #[schema(example = true)]
    each_visit: bool,
    /// When it takes effect: at least a minute ahead, and after every version before it.
    effective_from: Instant,
}

/// Add a consent text
///
/// Adds a version, which holds from its instant until the next one of its code. From then on people agree anew, because they agreed to other words.
#[utoipa::path(tag = "Care", operation_id = "create_consent_text", security(("bearer" = ["admin:care", "admin:owner"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = NewConsentText, responses((status = 201, description = "The version.", body = ConsentText)),
    extensions(("x-refusals" = json!(refused![VersionTaken]))))]
#[post("/v1/admin/consent-texts")]
async fn create_consent_text(
    app: Data<App>,
    me: As<CareEditor>,
    key: IdempotencyKey,
    Json(new, print): Json<NewConsentText>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let once = Once::claim(&mut work, "POST /v1/admin/consent-texts", key, print).await?;
        lock(&mut work).await?;
        let now = work.now();
        if !is_code(&new.code) {
            return Err(FieldError::new("/code", "has 2 to 60 small letters, digits and underscores.").into());
        }
        let (latest, last) = store::latest_text(&mut work, &new.code).await?;
        if new.version != latest + 1 {
            return Err(Refusal::VersionTaken.into());
        }
        let faults = time_faults(new.effective_from.0, last, now);
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let text = ConsentText {
            id: ConsentTextId::new(now),
            code: new.code,
            version: new.version,
            title: new.title.as_str().to_owned(),
            body: new.body.as_str().to_owned(),
            each_visit: new.each_visit,
            effective_from: new.effective_from.0,
            created_at: now,
            created_by: Some(me.account()),
            withdrawn_at: None,
        };
        store::insert_text(&mut work, &text).await?;
        let reply = Reply::created("/v1/admin/consent-texts".to_owned(), &text)?;
        once.keep(&mut work, &reply).await?;
        work.announce(event("consent_text.create", &text)).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Withdraw a consent text
///
/// Takes a version back before it takes effect. It stays in the list; its number is not given again. Again changes nothing.
#[utoipa::path(tag = "Care", operation_id = "withdraw_consent_text", security(("bearer" = ["admin:care", "admin:owner"])),
    params(("id" = ConsentTextId, Path, description = "The version.")),
    responses((status = 204, description = "The version will not take effect.")),
    extensions(("x-refusals" = json!(refused![VersionInForce]))))]
#[delete("/v1/admin/consent-texts/{id}")]
async fn withdraw_consent_text(app: Data<App>, me: As<CareEditor>, Path(id): Path<ConsentTextId>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        lock(&mut work).await?;
        let now = work.now();
        let text = store::text(&mut **work, id).await?.ok_or(Error::NotFound)?;
        if text.withdrawn_at.is_none() {
            if !is_open(text.effective_from, now) {
                return Err(Refusal::VersionInForce.into());
            }
            store::withdraw_text(&mut work, id, me.account(), now).await?;
            work.announce(event("consent_text.withdraw", &text)).await?;
            work.commit().await?;
        }
        Ok(Reply::none())
    })
    .await
}

fn event(kind: &str, text: &ConsentText) -> Event {
    let details = json!({ "code": text.code, "version": text.version, "effective_from": text.effective_from });
    Event::new(kind, "consent_text", text.id).with(details)
}
