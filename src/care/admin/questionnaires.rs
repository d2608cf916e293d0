//! Versions of what is asked before a visit.

use std::collections::BTreeSet;

use actix_web::web::Data;
use actix_web::{delete, get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json_, json};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{below, is_open, lock, store, time_faults};
use crate::App;
use crate::auth::{As, CareEditor};
use crate::care::checks::{self, Vocabulary};
use crate::care::published::{self, QuestionnaireUse};
use crate::care::questions::{self, Purpose, Question, Questionnaire};
use crate::catalogue;
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Refusal, Result, refused};
use crate::events::{Event, Work};
use crate::http::{Json, Page, Paging, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{AccountId, QuestionnaireId};
use crate::values::Instant;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_admin_questionnaires).service(create_questionnaire);
    config.service(get_admin_questionnaire).service(withdraw_questionnaire);
}

/// A version of a questionnaire.
#[derive(Serialize, ToSchema)]
pub(super) struct QuestionnaireVersion {
    /// The version's id.
    pub id: QuestionnaireId,
    /// A stable name.
    #[schema(example = "health")]
    pub code: String,
    /// Counts from 1.
    #[schema(example = 2)]
    pub version: i32,
    /// What it is for.
    pub purpose: Purpose,
    /// What people read above it.
    #[schema(example = "Your health")]
    pub title: String,
    /// The questions, in the order in which they are put.
    pub questions: Vec<Question>,
    /// Where it is put; everywhere, where the list is empty.
    pub uses: Vec<QuestionnaireUse>,
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
struct NewQuestionnaire {
    /// A stable name.
    #[schema(example = "health")]
    code: String,
    /// Counts from 1: one more than the latest version's, withdrawn ones too.
    #[schema(example = 2, minimum = 1)]
    version: i32,
    purpose: Purpose,
    /// What people read above it.
    #[schema(example = "Your health")]
    title: String,
    /// The questions, in the order in which they are put: 1 to 150. What a later question depends on is read by its code.
    #[schema(value_type = Vec<Question>)]
    questions: Json_,
    /// Where it is put; everywhere, where the list is left out or empty.
    #[serde(default)]
    uses: Vec<QuestionnaireUse>,
    /// When it takes effect: at least a minute ahead, and after every version before it.
    effective_from: Instant,
}

/// The most rows that say where a version is put.
const MOST_USES: usize = 100;

/// List questionnaires for editing
///
/// Every version by code and number: past, future and withdrawn ones too.
#[utoipa::path(tag = "Care", operation_id = "list_admin_questionnaires", security(("bearer" = ["admin:care", "admin:owner"])), params(Paging),
    responses((status = 200, description = "A page of versions.", body = Page<QuestionnaireVersion>)))]
#[get("/v1/admin/questionnaires")]
async fn list_admin_questionnaires(app: Data<App>, _me: As<CareEditor>, Query(query): Query<Paging>) -> Result<Reply> {
    // Versions are large; a few of them are a page.
    let limit = query.limit.at_most(20);
    let found = store::questionnaires(&app.db, query.after()?, limit.probe()).await?;
    Reply::ok(&Page::cut(found, limit, |version| (version.code.clone(), version.version))?)
}

/// Add a questionnaire
///
/// Adds a version, which is put from its instant until the next one of its code. Answers that were given stay as they are. A version that takes away a question
/// that rules in force look at is refused: those rules would never hold again.
#[utoipa::path(tag = "Care", operation_id = "create_questionnaire", security(("bearer" = ["admin:care", "admin:owner"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = NewQuestionnaire, responses((status = 201, description = "The version.", body = QuestionnaireVersion,
     headers(("Location" = String, description = "Where the version is found.")))),
    extensions(("x-refusals" = json!(refused![VersionTaken]))))]
#[post("/v1/admin/questionnaires")]
async fn create_questionnaire(
    app: Data<App>,
    me: As<CareEditor>,
    key: IdempotencyKey,
    Json(new, print): Json<NewQuestionnaire>,
) -> Result<Reply> {
    uninterrupted(async move {
        let admin = me.account();
        let mut work = app.begin(Some(admin)).await?;
        let once = Once::claim(&mut work, "POST /v1/admin/questionnaires", key, print).await?;
        lock(&mut work).await?;
        let (questionnaire, uses, effective_from) = checked(&mut work, new).await?;
        let (latest, last) = store::latest_questionnaire(&mut work, &questionnaire.code).await?;
        if questionnaire.version != latest + 1 {
            return Err(Refusal::VersionTaken.into());
        }
        let now = work.now();
        let faults = time_faults(effective_from, last, now);
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let id = QuestionnaireId::new(now);
        let Questionnaire { code, version, purpose, title, questions } = questionnaire;
        let made = QuestionnaireVersion {
            id,
            code,
            version,
            purpose,
            title,
            questions,
            uses,
            effective_from,
            created_at: now,
            created_by: Some(admin),
            withdrawn_at: None,
        };
        store::insert_questionnaire(&mut work, &made).await?;
        let reply = Reply::created(format!("/v1/admin/questionnaires/{id}"), &made)?;
        once.keep(&mut work, &reply).await?;
        work.announce(event("questionnaire.create", &made)).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// The questionnaire, if it is sound and no rule is left without what it looks at.
async fn checked(
    work: &mut Work,
    new: NewQuestionnaire,
) -> Result<(Questionnaire, Vec<QuestionnaireUse>, DateTime<Utc>)> {
    let questions: Vec<Question> =
        checks::read_form(&new.questions).map_err(|fault| Error::Invalid(below("/questions", vec![fault])))?;
    let (code, version, purpose, title) = (new.code, new.version, new.purpose, new.title);
    let questionnaire = Questionnaire { code, version, purpose, title, questions };
    let mut faults = questions::faults(&questionnaire);
    let known = published::services(&mut ***work).await?;
    if new.uses.len() > MOST_USES {
        faults.push(FieldError::new("/uses", "has at most 100 places and services."));
    }
    for (i, one) in new.uses.iter().enumerate() {
        if one.service_id.is_some_and(|id| !known.iter().any(|(known, _)| *known == id)) {
            faults.push(FieldError::new(format!("/uses/{i}/service_id"), "is not in the catalogue."));
        }
        if new.uses[..i].contains(one) {
            faults.push(FieldError::new(format!("/uses/{i}"), "is named before."));
        }
    }
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    // Rules look at questions of all questionnaires together.
    let mut all: Vec<Questionnaire> =
        published::questionnaires(&mut ***work, new.effective_from.0).await?.into_iter().map(|(one, _)| one).collect();
    all.retain(|other| other.code != questionnaire.code);
    if let Some(other) = all.iter().find(|other| {
        questionnaire.questions.iter().any(|own| other.questions.iter().any(|question| question.code == own.code))
    }) {
        let detail = format!("has a question of the questionnaire `{}`.", other.code);
        return Err(FieldError::new("/questions", detail).into());
    }
    all.push(questionnaire.clone());
    let services: Vec<_> = known.into_iter().map(|(_, service)| service).collect();
    let techniques: BTreeSet<String> = catalogue::technique_slugs(&mut ***work).await?.into_iter().collect();
    let vocabulary = Vocabulary { questionnaires: &all, services: &services, techniques: &techniques };
    let now = work.now();
    for set in store::rule_sets_from(work, now).await? {
        if let Some(fault) = checks::faults(&set, &vocabulary).first() {
            let detail =
                format!("leave a rule in force that does not fit any more, {}: it {}", fault.pointer, fault.detail);
            return Err(FieldError::new("/questions", detail).into());
        }
    }
    Ok((questionnaire, new.uses, new.effective_from.0))
}

/// Show a questionnaire for editing
///
/// One version, with where it is put.
#[utoipa::path(tag = "Care", operation_id = "get_admin_questionnaire", security(("bearer" = ["admin:care", "admin:owner"])),
    params(("id" = QuestionnaireId, Path, description = "The version.")),
    responses((status = 200, description = "The version.", body = QuestionnaireVersion)))]
#[get("/v1/admin/questionnaires/{id}")]
async fn get_admin_questionnaire(
    app: Data<App>,
    _me: As<CareEditor>,
    Path(id): Path<QuestionnaireId>,
) -> Result<Reply> {
    Reply::ok(&store::questionnaire(&*app.db, id).await?.ok_or(Error::NotFound)?)
}

/// Withdraw a questionnaire
///
/// Takes a version back before it takes effect. It stays in the list; its number is not given again. Again changes nothing.
#[utoipa::path(tag = "Care", operation_id = "withdraw_questionnaire", security(("bearer" = ["admin:care", "admin:owner"])),
    params(("id" = QuestionnaireId, Path, description = "The version.")),
    responses((status = 204, description = "The version will not take effect.")),
    extensions(("x-refusals" = json!(refused![VersionInForce]))))]
#[delete("/v1/admin/questionnaires/{id}")]
async fn withdraw_questionnaire(app: Data<App>, me: As<CareEditor>, Path(id): Path<QuestionnaireId>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        lock(&mut work).await?;
        let now = work.now();
        let version = store::questionnaire(&mut **work, id).await?.ok_or(Error::NotFound)?;
        if version.withdrawn_at.is_none() {
            if !is_open(version.effective_from, now) {
                return Err(Refusal::VersionInForce.into());
            }
            store::withdraw_questionnaire(&mut work, id, me.account(), now).await?;
            work.announce(event("questionnaire.withdraw", &version)).await?;
            work.commit().await?;
        }
        Ok(Reply::none())
    })
    .await
}

/// What an admin did. The questions themselves stand in the version.
fn event(kind: &str, version: &QuestionnaireVersion) -> Event {
    let details = json!({ "code": version.code, "version": version.version, "effective_from": version.effective_from });
    Event::new(kind, "questionnaire", version.id).with(details)
}
