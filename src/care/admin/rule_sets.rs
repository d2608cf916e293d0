//! Sets of rules: proposed by one admin, looked at beforehand, and published by another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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
use crate::care::Outcome;
use crate::care::checks::{self, Vocabulary};
use crate::care::decide::Rules;
use crate::care::published::{self, PublishedRules, RuleCache};
use crate::care::questions::Catalogue;
use crate::care::rules::{Rule, RuleSet};
use crate::catalogue;
use crate::db::{Tx, uninterrupted};
use crate::error::{Error, Refusal, Result, refused};
use crate::events::Event;
use crate::http::{Json, OrDefault, Page, Paging, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{AccountId, RuleSetId};
use crate::values::Instant;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_care_rule_sets).service(create_care_rule_set);
    config.service(get_care_rule_set).service(withdraw_care_rule_set);
    config.service(publish_care_rule_set);
}

/// A set of rules, without its rules.
#[derive(Clone, Serialize, ToSchema)]
pub(super) struct RuleSetSummary {
    /// The set's id.
    pub id: RuleSetId,
    /// Counts from 1.
    #[schema(example = 2)]
    pub version: i32,
    /// When it takes effect, once it is published.
    pub effective_from: DateTime<Utc>,
    /// How many rules it has.
    #[schema(example = 71)]
    pub rule_count: i32,
    /// When it was proposed.
    pub proposed_at: DateTime<Utc>,
    /// By which admin; null for what came with the service.
    pub proposed_by: Option<AccountId>,
    /// When it was published.
    pub published_at: Option<DateTime<Utc>>,
    /// By which other admin.
    pub published_by: Option<AccountId>,
    /// When it was withdrawn.
    pub withdrawn_at: Option<DateTime<Utc>>,
}

/// A set of rules.
#[derive(Serialize, ToSchema)]
struct RuleSetVersion {
    #[serde(flatten)]
    summary: RuleSetSummary,
    /// Its rules, and what they rest on.
    rule_set: RuleSet,
}

/// A set of rules to be proposed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRuleSet {
    /// Counts from 1: one more than the latest version's, withdrawn ones too.
    #[schema(example = 2, minimum = 1)]
    version: i32,
    /// When it takes effect: at least a minute ahead, and after every version before it.
    effective_from: Instant,
    /// The rules, and what they rest on: at most 300 rules that nest at most 6 deep, and 64 kB in all.
    #[schema(value_type = RuleSet)]
    rule_set: Json_,
}

/// List sets of care rules
///
/// Every set, the latest first, without its rules.
#[utoipa::path(tag = "Care", operation_id = "list_care_rule_sets", security(("bearer" = ["admin:care", "admin:owner"])), params(Paging),
    responses((status = 200, description = "A page of sets.", body = Page<RuleSetSummary>)))]
#[get("/v1/admin/care-rule-sets")]
async fn list_care_rule_sets(app: Data<App>, _me: As<CareEditor>, Query(query): Query<Paging>) -> Result<Reply> {
    let found = store::rule_sets(&app.db, query.after()?, query.limit.probe()).await?;
    Reply::ok(&Page::cut(found, query.limit, |set| set.version)?)
}

/// What is wrong with a set of rules: its words, its types, then its examples.
async fn refuse_unsound(tx: &mut Tx, set: &RuleSet, at: DateTime<Utc>) -> Result<()> {
    let questionnaires: Vec<_> =
        published::questionnaires(&mut **tx, at).await?.into_iter().map(|(questionnaire, _)| questionnaire).collect();
    let services: Vec<_> = published::services(&mut **tx).await?.into_iter().map(|(_, service)| service).collect();
    let techniques: BTreeSet<String> = catalogue::technique_slugs(&mut **tx).await?.into_iter().collect();
    let known = Vocabulary { questionnaires: &questionnaires, services: &services, techniques: &techniques };
    let faults = below("/rule_set", checks::faults(set, &known));
    if faults.is_empty() {
        return Ok(());
    }
    // Examples are tried once all else is right.
    if faults.iter().all(|fault| fault.pointer.contains("/examples/")) {
        return Err(Error::RefusedFields(Refusal::RuleExamplesFail, faults));
    }
    Err(Error::Invalid(faults))
}

/// Propose a set of care rules
///
/// Checks that rules speak of questions, options, services and techniques that there are, rest on a source, and do what their worked examples say. Another admin
/// publishes the set.
#[utoipa::path(tag = "Care", operation_id = "create_care_rule_set", security(("bearer" = ["admin:care", "admin:owner"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = NewRuleSet, responses((status = 201, description = "The set.", body = RuleSetVersion,
     headers(("Location" = String, description = "Where the set is found.")))),
    extensions(("x-refusals" = json!(refused![VersionTaken, RuleExamplesFail]))))]
#[post("/v1/admin/care-rule-sets")]
async fn create_care_rule_set(
    app: Data<App>,
    me: As<CareEditor>,
    key: IdempotencyKey,
    Json(new, print): Json<NewRuleSet>,
) -> Result<Reply> {
    uninterrupted(async move {
        let admin = me.account();
        let mut work = app.begin(Some(admin)).await?;
        let once = Once::claim(&mut work, "POST /v1/admin/care-rule-sets", key, print).await?;
        lock(&mut work).await?;
        let now = work.now();
        let set = checks::read(&new.rule_set).map_err(|fault| Error::Invalid(below("/rule_set", vec![fault])))?;
        let (latest, last) = store::latest_rule_set(&mut work).await?;
        if new.version != latest + 1 {
            return Err(Refusal::VersionTaken.into());
        }
        let faults = time_faults(new.effective_from.0, last, now);
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        refuse_unsound(&mut work, &set, new.effective_from.0).await?;
        let summary = RuleSetSummary {
            id: RuleSetId::new(now),
            version: new.version,
            effective_from: new.effective_from.0,
            rule_count: i32::try_from(set.rules.len()).unwrap_or(i32::MAX),
            proposed_at: now,
            proposed_by: Some(admin),
            published_at: None,
            published_by: None,
            withdrawn_at: None,
        };
        store::insert_rule_set(&mut work, &summary, &json!(set)).await?;
        let location = format!("/v1/admin/care-rule-sets/{}", summary.id);
        work.announce(event("care_rules.propose", &summary)).await?;
        let reply = Reply::created(location, &RuleSetVersion { summary, rule_set: set })?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Show a set of care rules
///
/// One set, with its rules.
#[utoipa::path(tag = "Care", operation_id = "get_care_rule_set", security(("bearer" = ["admin:care", "admin:owner"])),
    params(("id" = RuleSetId, Path, description = "The set.")),
    responses((status = 200, description = "The set.", body = RuleSetVersion)))]
#[get("/v1/admin/care-rule-sets/{id}")]
async fn get_care_rule_set(app: Data<App>, _me: As<CareEditor>, Path(id): Path<RuleSetId>) -> Result<Reply> {
    let (summary, rule_set) = store::rule_set(&*app.db, id).await?.ok_or(Error::NotFound)?;
    Reply::ok(&RuleSetVersion { summary, rule_set })
}

/// Publish a set of care rules
///
/// Another admin than the one who proposed it lets it take effect. What it is checked against is looked at anew, because questions may have changed since. Again
/// changes nothing.
#[utoipa::path(tag = "Care", operation_id = "publish_care_rule_set", security(("bearer" = ["admin:care", "admin:owner"])),
    params(("id" = RuleSetId, Path, description = "The set.")), request_body = Option<crate::http::Nothing>,
    responses((status = 200, description = "The set, which takes effect at its instant.", body = RuleSetSummary)),
    extensions(("x-refusals" = json!(refused![SecondAdminNeeded, RuleSetNotOpen, RuleExamplesFail]))))]
#[post("/v1/admin/care-rule-sets/{id}/publish")]
async fn publish_care_rule_set(
    app: Data<App>,
    me: As<CareEditor>,
    Path(id): Path<RuleSetId>,
    _: OrDefault<crate::http::Nothing>,
) -> Result<Reply> {
    uninterrupted(async move {
        let admin = me.account();
        let mut work = app.begin(Some(admin)).await?;
        lock(&mut work).await?;
        let now = work.now();
        let (mut summary, set) = store::rule_set(&mut **work, id).await?.ok_or(Error::NotFound)?;
        if summary.published_at.is_none() {
            let (_, last) = store::latest_rule_set(&mut work).await?;
            let late = !is_open(summary.effective_from, now) || last.is_some_and(|last| summary.effective_from <= last);
            if summary.withdrawn_at.is_some() || late {
                return Err(Refusal::RuleSetNotOpen.into());
            }
            if summary.proposed_by == Some(admin) {
                return Err(Refusal::SecondAdminNeeded.into());
            }
            refuse_unsound(&mut work, &set, summary.effective_from).await?;
            store::publish_rule_set(&mut work, id, admin, now).await?;
            (summary.published_at, summary.published_by) = (Some(now), Some(admin));
            work.announce(event("care_rules.publish", &summary)).await?;
            work.commit().await?;
        }
        Reply::ok(&summary)
    })
    .await
}

/// Withdraw a set of care rules
///
/// Takes back what was proposed, or was published and has not taken effect. It stays in the list; its number is not given again. Again changes nothing.
#[utoipa::path(tag = "Care", operation_id = "withdraw_care_rule_set", security(("bearer" = ["admin:care", "admin:owner"])),
    params(("id" = RuleSetId, Path, description = "The set.")),
    responses((status = 204, description = "The set will not take effect.")),
    extensions(("x-refusals" = json!(refused![VersionInForce]))))]
#[delete("/v1/admin/care-rule-sets/{id}")]
async fn withdraw_care_rule_set(app: Data<App>, me: As<CareEditor>, Path(id): Path<RuleSetId>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        lock(&mut work).await?;
        let now = work.now();
        let (summary, _) = store::rule_set(&mut **work, id).await?.ok_or(Error::NotFound)?;
        if summary.withdrawn_at.is_none() {
            if summary.published_at.is_some() && !is_open(summary.effective_from, now) {
                return Err(Refusal::VersionInForce.into());
            }
            store::withdraw_rule_set(&mut work, id, me.account(), now).await?;
            work.announce(event("care_rules.withdraw", &summary)).await?;
            work.commit().await?;
        }
        Ok(Reply::none())
    })
    .await
}

/// A worked example of the rules in force that would come out otherwise.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct ExampleChange {
    /// The rule whose example it is.
    #[schema(example = "osteoporosis_mild")]
    rule: String,
    /// Which of its examples, from 0.
    #[schema(example = 0)]
    example: usize,
    /// What comes of it by the rules in force.
    before: Outcome,
    /// What would come of it.
    after: Outcome,
}

/// What a set of rules would change.
#[derive(Serialize, ToSchema)]
pub struct RuleSetPreview {
    /// The version that is in force.
    #[schema(example = 1)]
    compared_with: i32,
    /// Codes of rules that it adds.
    added: Vec<String>,
    /// Codes of rules that it leaves out.
    removed: Vec<String>,
    /// Codes of rules that it words, weighs or puts otherwise.
    changed: Vec<String>,
    /// Worked examples of the rules in force that would come out otherwise.
    examples: Vec<ExampleChange>,
}

/// What a set would change, with the set as it would be asked, and when it takes effect or would have.
pub async fn preview_rule_set(
    app: &App,
    id: RuleSetId,
) -> Result<(RuleSetPreview, Arc<PublishedRules>, DateTime<Utc>)> {
    let now = app.clock.now();
    let (summary, set) = store::rule_set(&*app.db, id).await?.ok_or(Error::NotFound)?;
    let current = app.part::<RuleCache>()?.rules(&mut *app.db.acquire().await?, now).await?;
    let by_code = |set: &RuleSet| -> BTreeMap<String, Rule> {
        set.rules.iter().map(|rule| (rule.code.clone(), rule.clone())).collect()
    };
    let (old, new) = (by_code(&current.set), by_code(&set));
    let at = summary.effective_from.max(now);
    let questionnaires: Vec<_> =
        published::questionnaires(&*app.db, at).await?.into_iter().map(|(questionnaire, _)| questionnaire).collect();
    let services: Vec<_> = published::services(&*app.db).await?.into_iter().map(|(_, service)| service).collect();
    let (catalogue, rules) = (Catalogue::of(&questionnaires), Rules::from(&set));
    let mut examples = Vec::new();
    for rule in current.rules.iter() {
        for (n, example) in rule.examples.iter().enumerate() {
            // An example that speaks of what there is no more comes out as nothing.
            if let Ok(decision) = checks::outcome_of(&rules, example, &services, &catalogue)
                && decision.outcome != example.outcome
            {
                let (before, after) = (example.outcome, decision.outcome);
                examples.push(ExampleChange { rule: rule.code.clone(), example: n, before, after });
            }
        }
    }
    let missing = |these: &BTreeMap<String, Rule>, those: &BTreeMap<String, Rule>| -> Vec<String> {
        these.keys().filter(|code| !those.contains_key(*code)).cloned().collect()
    };
    let changed = new.iter().filter(|(code, rule)| old.get(*code).is_some_and(|old| old != *rule));
    let preview = RuleSetPreview {
        compared_with: current.version,
        added: missing(&new, &old),
        removed: missing(&old, &new),
        changed: changed.map(|(code, _)| code.clone()).collect(),
        examples,
    };
    Ok((preview, Arc::new(PublishedRules { id, version: summary.version, rules, set }), at))
}

/// What an admin did. The rules themselves stand in the set.
fn event(kind: &str, set: &RuleSetSummary) -> Event {
    let details = json!({ "version": set.version, "rules": set.rule_count, "effective_from": set.effective_from });
    Event::new(kind, "care_rule_set", set.id).with(details)
}
