use chrono::NaiveDate;
use sqlx::types::Json;
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use super::boundary::Boundary;
use super::{Category, Cover, DrawnTerritory, Group, Level, Rule, ServiceKind, Territory};
use crate::credentials::{CredentialType, Required, Requirement};
use crate::db::Tx;
use crate::error::{OnConstraint, Refusal, Result};
use crate::events::Work;
use crate::ids::{RequirementId, ServiceId};
use crate::values::{Jurisdiction, JurisdictionCode, Point};

/// What is required for services of `kind` at a point of a region: by the country, the region, and every county and city
/// whose boundary holds the point.
pub async fn requirements<'c>(
    db: impl PgExecutor<'c>,
    jurisdiction: &Jurisdiction,
    point: Point,
    kind: &str,
) -> Result<Required> {
    required(db, jurisdiction.chain_at(point), Some(point), kind).await
}

/// A place, with one of its rules.
struct Row {
    code: String,
    group: Option<String>,
    boundary: Option<Json<Boundary>>,
    is_local: bool,
    options: Option<Vec<String>>,
    valid_from: Option<NaiveDate>,
    valid_until: Option<NaiveDate>,
}

/// The rules of the places of `chain` and, with a point, of every place within them whose boundary holds it.
fn gathered(mut chain: Vec<String>, point: Option<Point>, kind: String, rows: impl Iterator<Item = Row>) -> Required {
    let mut groups = Vec::new();
    for row in rows {
        if let (Some(Json(boundary)), Some(point)) = (row.boundary, point)
            && boundary.holds(point)
        {
            chain.push(row.code.clone());
        }
        if row.is_local && !chain.contains(&row.code) {
            continue;
        }
        if let (Some(group), Some(options)) = (row.group, row.options) {
            let (valid_from, valid_until) = (row.valid_from, row.valid_until);
            groups.push(Requirement { jurisdiction: row.code, group, options, valid_from, valid_until });
        }
    }
    Required { chain, kind, groups }
}

/// What is required by the places of `chain` and, with a point, by every place within them whose boundary holds it.
pub(in crate::credentials) async fn required<'c>(
    db: impl PgExecutor<'c>,
    chain: Vec<String>,
    point: Option<Point>,
    kind: &str,
) -> Result<Required> {
    let rows = sqlx::query_as!(
        Row,
        // A boundary is long: it comes with the first row of its place alone.
        r#"SELECT place.code AS "code!", r."group" AS "group?",
                  CASE WHEN row_number() OVER (PARTITION BY place.code ORDER BY r."group", r.valid_from NULLS FIRST) = 1
                       THEN place.boundary END AS "boundary: Json<Boundary>", place.boundary IS NOT NULL AS "is_local!",
                  r.options AS "options?", r.valid_from, r.valid_until
           FROM (SELECT code, NULL AS boundary FROM unnest($1::text[]) AS code
                 UNION ALL
                 SELECT code, boundary FROM jurisdictions
                 WHERE state = ANY ($1) AND boundary IS NOT NULL
                   AND $2::float8 BETWEEN bbox[1] AND bbox[3] AND $3::float8 BETWEEN bbox[2] AND bbox[4]) AS place
           LEFT JOIN credential_requirements r ON r.jurisdiction = place.code AND r.service_kind = $4
           ORDER BY place.code, r."group", r.valid_from NULLS FIRST"#,
        &chain,
        point.map(|point| point.longitude),
        point.map(|point| point.latitude),
        kind
    )
    .fetch_all(db)
    .await?;
    Ok(gathered(chain, point, kind.to_owned(), rows.into_iter()))
}

/// What is required for a service at a point of a region, as [`requirements`]; none where there is no such service.
pub async fn required_for<'c>(
    db: impl PgExecutor<'c>,
    jurisdiction: &Jurisdiction,
    point: Point,
    service: ServiceId,
) -> Result<Option<Required>> {
    let chain = jurisdiction.chain_at(point);
    let rows = sqlx::query!(
        // The list is hidden from the planner, which would plan anew for every one.
        r#"SELECT s.kind, place.code AS "code!", r."group" AS "group?",
                  CASE WHEN row_number() OVER (PARTITION BY place.code ORDER BY r."group", r.valid_from NULLS FIRST) = 1
                       THEN place.boundary END AS "boundary: Json<Boundary>", place.boundary IS NOT NULL AS "is_local!",
                  r.options AS "options?", r.valid_from, r.valid_until
           FROM services s
           CROSS JOIN (SELECT code, NULL AS boundary FROM unnest((SELECT $1::text[])) AS code
                       UNION ALL
                       SELECT code, boundary FROM jurisdictions
                       WHERE state = ANY ((SELECT $1::text[])::text[]) AND boundary IS NOT NULL
                         AND $2::float8 BETWEEN bbox[1] AND bbox[3] AND $3::float8 BETWEEN bbox[2] AND bbox[4]) AS place
           LEFT JOIN credential_requirements r ON r.jurisdiction = place.code AND r.service_kind = s.kind
           WHERE s.id = $4
           ORDER BY place.code, r."group", r.valid_from NULLS FIRST"#,
        &chain,
        point.longitude,
        point.latitude,
        service.0
    )
    .fetch_all(db)
    .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let kind = first.kind.clone();
    let rows = rows.into_iter().map(|row| Row {
        code: row.code,
        group: row.group,
        boundary: row.boundary,
        is_local: row.is_local,
        options: row.options,
        valid_from: row.valid_from,
        valid_until: row.valid_until,
    });
    Ok(Some(gathered(chain, Some(point), kind, rows)))
}

/// Names the lock on all rules.
const RULES: Uuid = Uuid::from_bytes(*b"the rules' lock!");

/// Lets one change of the rules be made at a time, so that each is decided on what the last one left.
pub(super) async fn lock(work: &mut Work) -> Result<()> {
    work.lock(RULES).await
}

/// Whether the service knows this place.
pub(in crate::credentials) async fn knows<'c>(db: impl PgExecutor<'c>, code: &JurisdictionCode) -> Result<bool> {
    let found =
        sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM jurisdictions WHERE code = $1) AS "found!""#, code.as_str())
            .fetch_one(db)
            .await?;
    Ok(found)
}

/// Which places a list shows.
pub(super) struct Listed<'a> {
    pub parent: Option<&'a JurisdictionCode>,
    pub level: Option<Level>,
    pub after: Option<&'a JurisdictionCode>,
    pub count: i64,
}

pub(super) async fn territories(db: &PgPool, listed: Listed<'_>) -> Result<Vec<Territory>> {
    let found = sqlx::query_as!(
        Territory,
        r#"SELECT code, level AS "level: Level", parent, name, bbox FROM jurisdictions
           WHERE ($1::text IS NULL OR parent = $1) AND ($2::text IS NULL OR level = $2) AND ($3::text IS NULL OR code > $3)
           ORDER BY code LIMIT $4"#,
        listed.parent.map(JurisdictionCode::as_str),
        listed.level as Option<Level>,
        listed.after.map(JurisdictionCode::as_str),
        listed.count
    )
    .fetch_all(db)
    .await?;
    Ok(found)
}

struct TerritoryColumns {
    code: JurisdictionCode,
    level: Level,
    parent: Option<JurisdictionCode>,
    name: String,
    bbox: Option<Vec<f64>>,
    boundary: Option<Json<Boundary>>,
}

impl From<TerritoryColumns> for DrawnTerritory {
    fn from(row: TerritoryColumns) -> Self {
        let TerritoryColumns { code, level, parent, name, bbox, boundary } = row;
        let boundary = boundary.map(|Json(boundary)| boundary);
        Self { territory: Territory { code, level, parent, name, bbox }, boundary }
    }
}

/// The columns of a place with its boundary, read alike everywhere.
macro_rules! territories {
    ($tail:literal, $($arg:expr),+) => {
        sqlx::query_as!(
            TerritoryColumns,
            r#"SELECT code, level AS "level: Level", parent, name, bbox, boundary AS "boundary: Json<Boundary>"
               FROM jurisdictions "# + $tail,
            $($arg),+
        )
    };
}

pub(super) async fn territory<'c>(db: impl PgExecutor<'c>, code: &JurisdictionCode) -> Result<Option<DrawnTerritory>> {
    Ok(territories!("WHERE code = $1", code.as_str()).fetch_optional(db).await?.map(DrawnTerritory::from))
}

/// The places right below one.
pub(super) async fn within(tx: &mut Tx, parent: &JurisdictionCode) -> Result<Vec<DrawnTerritory>> {
    let rows = territories!("WHERE parent = $1 ORDER BY code", parent.as_str()).fetch_all(&mut **tx).await?;
    Ok(rows.into_iter().map(DrawnTerritory::from).collect())
}

/// Writes a place, new or changed.
pub(super) async fn save_territory(tx: &mut Tx, drawn: &DrawnTerritory) -> Result<()> {
    sqlx::query!(
        "INSERT INTO jurisdictions (code, level, name, boundary, bbox) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (code) DO UPDATE SET name = excluded.name, boundary = excluded.boundary, bbox = excluded.bbox",
        drawn.territory.code.as_str(),
        drawn.territory.level as Level,
        drawn.territory.name,
        drawn.boundary.as_ref().map(Json) as Option<Json<&Boundary>>,
        drawn.territory.bbox.as_deref(),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Deletes a place that nothing names.
pub(super) async fn delete_territory(tx: &mut Tx, code: &JurisdictionCode) -> Result<()> {
    let deleted = sqlx::query!(
        "DELETE FROM jurisdictions WHERE code = $1
            AND NOT EXISTS (SELECT FROM jurisdictions WHERE parent = $1)
            AND NOT EXISTS (SELECT FROM credential_requirements WHERE jurisdiction = $1)
            AND NOT EXISTS (SELECT FROM credential_types WHERE jurisdiction = $1)
            AND NOT EXISTS (SELECT FROM credentials WHERE issuing_jurisdiction = $1 OR $1 = ANY (covers_jurisdictions))",
        code.as_str()
    )
    .execute(&mut **tx)
    .await?;
    if deleted.rows_affected() == 1 { Ok(()) } else { Err(Refusal::JurisdictionInUse.into()) }
}

/// Whether anyone holds, or entered, a credential of the type; none can be added until the transaction ends.
pub(super) async fn is_held(tx: &mut Tx, code: &str) -> Result<bool> {
    sqlx::query!("SELECT FROM credential_types WHERE code = $1 FOR UPDATE", code).execute(&mut **tx).await?;
    let held = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM credentials WHERE type = $1) AS "held!""#, code)
        .fetch_one(&mut **tx)
        .await?;
    Ok(held)
}

/// Writes a credential type, new or changed.
pub(super) async fn save_type(tx: &mut Tx, kind: &CredentialType) -> Result<()> {
    sqlx::query!(
        "INSERT INTO credential_types (code, authority, category, jurisdiction, number_pattern, number_prefix,
                                       evidence_required, expires, renewal_months, four_eyes, recheck_days, minimum_cover,
                                       numbers_shared)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ON CONFLICT (code) DO UPDATE SET
             authority = excluded.authority, category = excluded.category, jurisdiction = excluded.jurisdiction,
             number_pattern = excluded.number_pattern, number_prefix = excluded.number_prefix,
             evidence_required = excluded.evidence_required, expires = excluded.expires,
             renewal_months = excluded.renewal_months, four_eyes = excluded.four_eyes,
             recheck_days = excluded.recheck_days, minimum_cover = excluded.minimum_cover,
             numbers_shared = excluded.numbers_shared",
        kind.code,
        kind.authority,
        kind.category as Category,
        kind.jurisdiction.as_ref().map(Jurisdiction::as_str),
        kind.number_pattern,
        kind.number_prefix,
        kind.evidence_required,
        kind.expires,
        kind.renewal_months,
        kind.four_eyes,
        kind.recheck_days,
        Json(&kind.minimum_cover) as Json<&Cover>,
        kind.numbers_shared,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Those of `codes` that no credential type has.
pub(super) async fn unknown_types(tx: &mut Tx, codes: &[String]) -> Result<Vec<String>> {
    let unknown = sqlx::query_scalar!(
        r#"SELECT code AS "code!" FROM unnest($1::text[]) AS code
           WHERE NOT EXISTS (SELECT FROM credential_types t WHERE t.code = code.code)"#,
        codes
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(unknown)
}

/// Where a page of requirements begins: after this one.
pub(super) type RuleKey = (JurisdictionCode, ServiceKind, Group, RequirementId);

struct RuleColumns {
    id: RequirementId,
    service_kind: String,
    jurisdiction: String,
    group: String,
    options: Vec<String>,
    valid_from: Option<NaiveDate>,
    valid_until: Option<NaiveDate>,
}

impl From<RuleColumns> for Rule {
    fn from(row: RuleColumns) -> Self {
        let RuleColumns { id, service_kind, jurisdiction, group, options, valid_from, valid_until } = row;
        Self { id, service_kind, requirement: Requirement { jurisdiction, group, options, valid_from, valid_until } }
    }
}

/// The columns of a requirement, read alike everywhere.
macro_rules! rules {
    ($tail:literal, $($arg:expr),+) => {
        sqlx::query_as!(
            RuleColumns,
            r#"SELECT id, service_kind, jurisdiction, "group", options, valid_from, valid_until
               FROM credential_requirements "# + $tail,
            $($arg),+
        )
    };
}

pub(super) async fn rules(
    db: &PgPool,
    jurisdiction: Option<&JurisdictionCode>,
    kind: Option<&ServiceKind>,
    after: Option<RuleKey>,
    count: i64,
) -> Result<Vec<Rule>> {
    let (place, asked_for, group, id) = match after {
        Some((place, kind, group, id)) => (Some(place), Some(kind), Some(group), Some(id)),
        None => (None, None, None, None),
    };
    let rows = rules!(
        r#"WHERE ($1::text IS NULL OR jurisdiction = $1) AND ($2::text IS NULL OR service_kind = $2)
             AND ($3::text IS NULL OR (jurisdiction, service_kind, "group", id) > ($3, $4, $5, $6))
           ORDER BY jurisdiction, service_kind, "group", id LIMIT $7"#,
        jurisdiction.map(JurisdictionCode::as_str),
        kind.map(ServiceKind::as_str),
        place.as_ref().map(JurisdictionCode::as_str),
        asked_for.as_ref().map(ServiceKind::as_str),
        group.as_ref().map(Group::as_str),
        id.map(|id| id.0),
        count
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(Rule::from).collect())
}

pub(super) async fn rule<'c>(db: impl PgExecutor<'c>, id: RequirementId) -> Result<Option<Rule>> {
    Ok(rules!("WHERE id = $1", id.0).fetch_optional(db).await?.map(Rule::from))
}

/// Writes a requirement, new or changed.
pub(super) async fn save_rule(tx: &mut Tx, rule: &Rule) -> Result<()> {
    let requirement = &rule.requirement;
    sqlx::query!(
        r#"INSERT INTO credential_requirements (id, jurisdiction, service_kind, "group", options, valid_from, valid_until)
           VALUES ($1, $2, $3, $4, $5, $6, $7)
           ON CONFLICT (id) DO UPDATE SET
               jurisdiction = excluded.jurisdiction, service_kind = excluded.service_kind, "group" = excluded."group",
               options = excluded.options, valid_from = excluded.valid_from, valid_until = excluded.valid_until"#,
        rule.id.0,
        requirement.jurisdiction,
        rule.service_kind,
        requirement.group,
        &requirement.options,
        requirement.valid_from,
        requirement.valid_until
    )
    .execute(&mut **tx)
    .await
    .on_constraint("credential_requirements_one_at_a_time", Refusal::RequirementOverlaps)?;
    Ok(())
}

pub(super) async fn delete_rule(tx: &mut Tx, id: RequirementId) -> Result<()> {
    sqlx::query!("DELETE FROM credential_requirements WHERE id = $1", id.0).execute(&mut **tx).await?;
    Ok(())
}
