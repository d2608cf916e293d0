use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{PgExecutor, PgPool};

use super::policies::CarePolicy;
use super::questionnaires::QuestionnaireVersion;
use super::rule_sets::RuleSetSummary;
use crate::care::published::{CareMode, CareTerms, EVERYWHERE, QuestionnaireUse};
use crate::care::questions::{Purpose, Question};
use crate::care::rules::RuleSet;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{AccountId, CarePolicyId, QuestionnaireId, RuleSetId, ServiceId};
use crate::values::Jurisdiction;

/// The columns of a version of a questionnaire, read alike everywhere.
macro_rules! questionnaires {
    ($tail:literal, $($arg:expr),+) => {
        sqlx::query!(
            r#"SELECT id, code, version, purpose AS "purpose: Purpose", title, questions AS "questions: Json<Vec<Question>>",
                      (SELECT coalesce(jsonb_agg(jsonb_build_object('place', nullif(place, '*'), 'service_id', service_id) ORDER BY place, service_id), '[]')
                       FROM questionnaire_uses WHERE questionnaire_id = id) AS "uses!: Json<Vec<QuestionnaireUse>>",
                      effective_from, created_at, created_by, withdrawn_at
               FROM questionnaires "# + $tail,
            $($arg),+
        )
    };
}

macro_rules! version_of {
    ($row:expr) => {
        QuestionnaireVersion {
            id: $row.id,
            code: $row.code,
            version: $row.version,
            purpose: $row.purpose,
            title: $row.title,
            questions: $row.questions.0,
            uses: $row.uses.0,
            effective_from: $row.effective_from,
            created_at: $row.created_at,
            created_by: $row.created_by,
            withdrawn_at: $row.withdrawn_at,
        }
    };
}

/// Versions by code and number.
pub(super) async fn questionnaires(
    db: &PgPool,
    after: Option<(String, i32)>,
    count: i64,
) -> Result<Vec<QuestionnaireVersion>> {
    let (code, version) = after.unzip();
    let rows = questionnaires!(
        "WHERE $1::text IS NULL OR (code, version) > ($1, $2::integer) ORDER BY code, version LIMIT $3",
        code,
        version,
        count
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| version_of!(row)).collect())
}

pub(super) async fn questionnaire<'c>(
    db: impl PgExecutor<'c>,
    id: QuestionnaireId,
) -> Result<Option<QuestionnaireVersion>> {
    let row = questionnaires!("WHERE id = $1", id.0).fetch_optional(db).await?;
    Ok(row.map(|row| version_of!(row)))
}

/// The number of the latest version, withdrawn ones too, and when the last one that is not takes effect.
pub(super) async fn latest_questionnaire(tx: &mut Tx, code: &str) -> Result<(i32, Option<DateTime<Utc>>)> {
    let latest = sqlx::query!(
        r#"SELECT coalesce(max(version), 0) AS "version!", max(effective_from) FILTER (WHERE withdrawn_at IS NULL) AS effective_from
           FROM questionnaires WHERE code = $1"#,
        code
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok((latest.version, latest.effective_from))
}

pub(super) async fn insert_questionnaire(tx: &mut Tx, version: &QuestionnaireVersion) -> Result<()> {
    sqlx::query!(
        "INSERT INTO questionnaires (id, code, version, purpose, title, questions, effective_from, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        version.id.0,
        version.code,
        version.version,
        version.purpose as Purpose,
        version.title,
        Json(&version.questions) as _,
        version.effective_from,
        version.created_at,
        version.created_by.map(|admin| admin.0),
    )
    .execute(&mut **tx)
    .await?;
    let everywhere = EVERYWHERE.to_owned();
    let places: Vec<String> = version
        .uses
        .iter()
        .map(|one| one.place.as_ref().map_or_else(|| everywhere.clone(), |place| place.as_str().to_owned()))
        .collect();
    let services: Vec<Option<ServiceId>> = version.uses.iter().map(|one| one.service_id).collect();
    sqlx::query!(
        "INSERT INTO questionnaire_uses (questionnaire_id, place, service_id)
         SELECT $1, place, service FROM unnest($2::text[], $3::uuid[]) AS used (place, service)",
        version.id.0,
        &places,
        &services as &[Option<ServiceId>],
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn withdraw_questionnaire(
    tx: &mut Tx,
    id: QuestionnaireId,
    by: AccountId,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!("UPDATE questionnaires SET withdrawn_at = $2, withdrawn_by = $3 WHERE id = $1", id.0, now, by.0)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Sets of rules without their rules, the latest first.
pub(super) async fn rule_sets(db: &PgPool, before: Option<i32>, count: i64) -> Result<Vec<RuleSetSummary>> {
    let sets = sqlx::query_as!(
        RuleSetSummary,
        r#"SELECT id, version, effective_from, jsonb_array_length(body -> 'rules') AS "rule_count!", proposed_at, proposed_by, published_at,
                  published_by, withdrawn_at
           FROM care_rule_sets WHERE $1::integer IS NULL OR version < $1 ORDER BY version DESC LIMIT $2"#,
        before,
        count
    )
    .fetch_all(db)
    .await?;
    Ok(sets)
}

pub(super) async fn rule_set<'c>(db: impl PgExecutor<'c>, id: RuleSetId) -> Result<Option<(RuleSetSummary, RuleSet)>> {
    let row = sqlx::query!(
        r#"SELECT id, version, effective_from, jsonb_array_length(body -> 'rules') AS "rule_count!", proposed_at, proposed_by, published_at,
                  published_by, withdrawn_at, body AS "body: Json<RuleSet>"
           FROM care_rule_sets WHERE id = $1"#,
        id.0
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| {
        let summary = RuleSetSummary {
            id: row.id,
            version: row.version,
            effective_from: row.effective_from,
            rule_count: row.rule_count,
            proposed_at: row.proposed_at,
            proposed_by: row.proposed_by,
            published_at: row.published_at,
            published_by: row.published_by,
            withdrawn_at: row.withdrawn_at,
        };
        (summary, row.body.0)
    }))
}

/// The number of the latest set, withdrawn ones too, and when the last one that was published takes effect.
pub(super) async fn latest_rule_set(tx: &mut Tx) -> Result<(i32, Option<DateTime<Utc>>)> {
    let latest = sqlx::query!(
        r#"SELECT coalesce(max(version), 0) AS "version!",
                  max(effective_from) FILTER (WHERE withdrawn_at IS NULL AND published_at IS NOT NULL) AS effective_from
           FROM care_rule_sets"#
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok((latest.version, latest.effective_from))
}

pub(super) async fn insert_rule_set(tx: &mut Tx, summary: &RuleSetSummary, body: &Value) -> Result<()> {
    sqlx::query!(
        "INSERT INTO care_rule_sets (id, version, body, effective_from, proposed_at, proposed_by) VALUES ($1, $2, $3, $4, $5, $6)",
        summary.id.0,
        summary.version,
        body,
        summary.effective_from,
        summary.proposed_at,
        summary.proposed_by.map(|admin| admin.0),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn publish_rule_set(tx: &mut Tx, id: RuleSetId, by: AccountId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("UPDATE care_rule_sets SET published_at = $2, published_by = $3 WHERE id = $1", id.0, now, by.0)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

pub(super) async fn withdraw_rule_set(tx: &mut Tx, id: RuleSetId, by: AccountId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("UPDATE care_rule_sets SET withdrawn_at = $2, withdrawn_by = $3 WHERE id = $1", id.0, now, by.0)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The sets of rules that are in force from `at` on, now or later: the one that is, and those that were published ahead.
pub(super) async fn rule_sets_from(tx: &mut Tx, at: DateTime<Utc>) -> Result<Vec<RuleSet>> {
    let sets = sqlx::query_scalar!(
        r#"SELECT body AS "body: Json<RuleSet>" FROM care_rule_sets WHERE published_at IS NOT NULL AND withdrawn_at IS NULL
           AND effective_from >= (SELECT coalesce(max(effective_from), '2000-01-01') FROM care_rule_sets
                                  WHERE published_at IS NOT NULL AND withdrawn_at IS NULL AND effective_from <= $1)"#,
        at
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(sets.into_iter().map(|Json(set)| set).collect())
}

macro_rules! policies {
    ($tail:literal, $($arg:expr),+) => {
        sqlx::query!(
            r#"SELECT id, nullif(place, '*') AS "place: Jurisdiction", version, mode AS "mode: CareMode", answers_last_days, confirm_hours, adult_age,
                      retention_years, signed_consultation, effective_from, created_at, created_by, withdrawn_at
               FROM care_policies "# + $tail,
            $($arg),+
        )
    };
}

macro_rules! policy_of {
    ($row:expr) => {
        CarePolicy {
            id: $row.id,
            place: $row.place,
            version: $row.version,
            terms: CareTerms {
                mode: $row.mode,
                answers_last_days: $row.answers_last_days,
                confirm_hours: $row.confirm_hours,
                adult_age: $row.adult_age,
                retention_years: $row.retention_years,
                signed_consultation: $row.signed_consultation,
            },
            effective_from: $row.effective_from,
            created_at: $row.created_at,
            created_by: $row.created_by,
            withdrawn_at: $row.withdrawn_at,
        }
    };
}

/// Policies by place and number.
pub(super) async fn policies(db: &PgPool, after: Option<(String, i32)>, count: i64) -> Result<Vec<CarePolicy>> {
    let (place, version) = after.unzip();
    let rows = policies!(
        "WHERE $1::text IS NULL OR (place, version) > ($1, $2::integer) ORDER BY place, version LIMIT $3",
        place,
        version,
        count
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| policy_of!(row)).collect())
}

pub(super) async fn policy<'c>(db: impl PgExecutor<'c>, id: CarePolicyId) -> Result<Option<CarePolicy>> {
    let row = policies!("WHERE id = $1", id.0).fetch_optional(db).await?;
    Ok(row.map(|row| policy_of!(row)))
}

pub(super) async fn latest_policy(tx: &mut Tx, place: &str) -> Result<(i32, Option<DateTime<Utc>>)> {
    let latest = sqlx::query!(
        r#"SELECT coalesce(max(version), 0) AS "version!", max(effective_from) FILTER (WHERE withdrawn_at IS NULL) AS effective_from
           FROM care_policies WHERE place = $1"#,
        place
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok((latest.version, latest.effective_from))
}

pub(super) async fn insert_policy(tx: &mut Tx, policy: &CarePolicy) -> Result<()> {
    let terms = policy.terms;
    sqlx::query!(
        "INSERT INTO care_policies (id, place, version, mode, answers_last_days, confirm_hours, adult_age, retention_years, effective_from,
                                    created_at, created_by, signed_consultation)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        policy.id.0,
        policy.place.as_ref().map_or(EVERYWHERE, Jurisdiction::as_str),
        policy.version,
        terms.mode as CareMode,
        terms.answers_last_days,
        terms.confirm_hours,
        terms.adult_age,
        terms.retention_years,
        policy.effective_from,
        policy.created_at,
        policy.created_by.map(|admin| admin.0),
        terms.signed_consultation,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn withdraw_policy(tx: &mut Tx, id: CarePolicyId, by: AccountId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("UPDATE care_policies SET withdrawn_at = $2, withdrawn_by = $3 WHERE id = $1", id.0, now, by.0)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
