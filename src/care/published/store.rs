use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor};

use super::{CareMode, CareTerms, EVERYWHERE, QuestionnaireUse};
use crate::care::questions::{Purpose, Question, Questionnaire};
use crate::care::rules::RuleSet;
use crate::error::{Error, Result};
use crate::ids::RuleSetId;

pub(super) async fn rules_in_force(db: &mut PgConnection, at: DateTime<Utc>) -> Result<Option<RuleSetId>> {
    let id = sqlx::query_scalar!(
        "SELECT id FROM care_rule_sets WHERE published_at IS NOT NULL AND withdrawn_at IS NULL AND effective_from <= $1
         ORDER BY effective_from DESC, version DESC LIMIT 1",
        at
    )
    .fetch_optional(db)
    .await?;
    Ok(id)
}

pub(super) async fn rule_set(db: &mut PgConnection, id: RuleSetId) -> Result<(i32, RuleSet)> {
    let row = sqlx::query!(r#"SELECT version, body AS "body: Json<RuleSet>" FROM care_rule_sets WHERE id = $1"#, id.0)
        .fetch_one(db)
        .await?;
    Ok((row.version, row.body.0))
}

pub(super) async fn questionnaires<'c>(
    db: impl PgExecutor<'c>,
    at: DateTime<Utc>,
) -> Result<Vec<(Questionnaire, Vec<QuestionnaireUse>)>> {
    let rows = sqlx::query!(
        r#"SELECT DISTINCT ON (code) code, version, purpose AS "purpose: Purpose", title, questions AS "questions: Json<Vec<Question>>",
                  (SELECT coalesce(jsonb_agg(jsonb_build_object('place', nullif(place, '*'), 'service_id', service_id) ORDER BY place, service_id), '[]')
                   FROM questionnaire_uses WHERE questionnaire_id = id) AS "uses!: Json<Vec<QuestionnaireUse>>"
           FROM questionnaires WHERE effective_from <= $1 AND withdrawn_at IS NULL ORDER BY code, effective_from DESC, version DESC"#,
        at
    )
    .fetch_all(db)
    .await?;
    let found = rows.into_iter().map(|row| {
        let questions = row.questions.0;
        let questionnaire =
            Questionnaire { code: row.code, version: row.version, purpose: row.purpose, title: row.title, questions };
        (questionnaire, row.uses.0)
    });
    Ok(found.collect())
}

pub(super) async fn questionnaire<'c>(
    db: impl PgExecutor<'c>,
    code: &str,
    version: i32,
) -> Result<Option<Questionnaire>> {
    let row = sqlx::query!(
        r#"SELECT code, version, purpose AS "purpose: Purpose", title, questions AS "questions: Json<Vec<Question>>"
           FROM questionnaires WHERE code = $1 AND version = $2"#,
        code,
        version
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| Questionnaire {
        code: row.code,
        version: row.version,
        purpose: row.purpose,
        title: row.title,
        questions: row.questions.0,
    }))
}

/// What is asked for at `at` in the nearest of these places, which are given widest first.
pub async fn policy<'c>(db: impl PgExecutor<'c>, places: &[String], at: DateTime<Utc>) -> Result<CareTerms> {
    let row = sqlx::query!(
        r#"SELECT mode AS "mode: CareMode", answers_last_days, confirm_hours, adult_age, retention_years, signed_consultation
           FROM care_policies
           WHERE (place = ANY ($1) OR place = $2) AND effective_from <= $3 AND withdrawn_at IS NULL
           ORDER BY coalesce(array_position($1, place), 0) DESC, effective_from DESC, version DESC LIMIT 1"#,
        places,
        EVERYWHERE,
        at
    )
    .fetch_optional(db)
    .await?;
    let row = row.ok_or_else(|| Error::Internal("no policy of care is in force".to_owned()))?;
    Ok(CareTerms {
        mode: row.mode,
        answers_last_days: row.answers_last_days,
        confirm_hours: row.confirm_hours,
        adult_age: row.adult_age,
        retention_years: row.retention_years,
        signed_consultation: row.signed_consultation,
    })
}

/// The places that have a policy of their own, all places among them.
pub async fn policy_places<'c>(db: impl PgExecutor<'c>, at: DateTime<Utc>) -> Result<Vec<String>> {
    let places = sqlx::query_scalar!(
        "SELECT DISTINCT place FROM care_policies WHERE effective_from <= $1 AND withdrawn_at IS NULL ORDER BY place",
        at
    );
    Ok(places.fetch_all(db).await?)
}

/// When a policy or rules take effect next that are known at `at`, wherever they hold.
pub async fn next_change<'c>(db: impl PgExecutor<'c>, at: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
    let next = sqlx::query_scalar!(
        "SELECT least((SELECT min(effective_from) FROM care_policies WHERE effective_from > $1 AND withdrawn_at IS NULL),
                      (SELECT min(effective_from) FROM care_rule_sets WHERE effective_from > $1 AND withdrawn_at IS NULL AND published_at IS NOT NULL))",
        at
    )
    .fetch_one(db)
    .await?;
    Ok(next)
}

/// Whether the rules in force at `at` ask for a least age.
pub async fn asks_for_age<'c>(db: impl PgExecutor<'c>, at: DateTime<Utc>) -> Result<bool> {
    let asks = sqlx::query_scalar!(
        r#"SELECT coalesce((SELECT jsonb_path_exists(body, '$.rules[*].effects[*] ? (@ == "too_young")') FROM care_rule_sets
                            WHERE published_at IS NOT NULL AND withdrawn_at IS NULL AND effective_from <= $1
                            ORDER BY effective_from DESC, version DESC LIMIT 1), false) AS "asks!""#,
        at
    );
    Ok(asks.fetch_one(db).await?)
}

/// Whom to call in an emergency in a country; the number that most countries know, where the country's own is not known.
pub async fn emergency_number<'c>(db: impl PgExecutor<'c>, country: Option<&str>) -> Result<String> {
    let number = sqlx::query_scalar!(
        "SELECT number FROM emergency_numbers WHERE country = $1 OR country = '*' ORDER BY country = '*' LIMIT 1",
        country
    )
    .fetch_optional(db)
    .await?;
    number.ok_or_else(|| Error::Internal("no emergency number is known".to_owned()))
}
