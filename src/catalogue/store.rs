use std::collections::HashMap;

use sqlx::types::Json;
use sqlx::{PgExecutor, PgPool};

use super::{Manner, Service, Technique};
use crate::db::Tx;
use crate::error::{Error, FieldError, Result};
use crate::ids::ServiceId;
use crate::values::{Pressure, Slug};

/// Every service, or the one named, in the order of the catalogue.
pub async fn services(db: &PgPool, one: Option<ServiceId>) -> Result<Vec<Service>> {
    let one = one.map(|id| id.0);
    let rows = sqlx::query!(
        r#"SELECT id, slug, name, description, kind, pressure_from AS "pressure_from: Pressure", pressure_to AS "pressure_to: Pressure"
           FROM services WHERE $1::uuid IS NULL OR id = $1 ORDER BY position, id"#,
        one
    )
    .fetch_all(db)
    .await?;
    let techniques = sqlx::query!(
        "SELECT s.service_id, t.slug, t.name FROM service_techniques s JOIN techniques t ON t.slug = s.technique
         WHERE $1::uuid IS NULL OR s.service_id = $1 ORDER BY t.slug",
        one
    )
    .fetch_all(db)
    .await?;
    let mut made_of: HashMap<_, Vec<_>> = HashMap::new();
    for row in techniques {
        made_of.entry(row.service_id).or_default().push(Technique { slug: row.slug, name: row.name });
    }
    let services = rows.into_iter().map(|row| Service {
        techniques: made_of.remove(&row.id.0).unwrap_or_default(),
        id: row.id,
        slug: row.slug,
        name: row.name,
        description: row.description,
        kind: row.kind,
        pressure_from: row.pressure_from,
        pressure_to: row.pressure_to,
    });
    Ok(services.collect())
}

/// How every service is done, in the order of the catalogue.
pub async fn manners<'c>(db: impl PgExecutor<'c>) -> Result<Vec<Manner>> {
    let rows = sqlx::query!(
        r#"SELECT id, slug, pressure_from AS "pressure_from: Pressure", pressure_to AS "pressure_to: Pressure",
                  works_on AS "works_on: Json<Vec<String>>",
                  coalesce(array_agg(technique ORDER BY technique) FILTER (WHERE technique IS NOT NULL), '{}') AS "techniques!",
                  coalesce(array_agg(core ORDER BY technique) FILTER (WHERE technique IS NOT NULL), '{}') AS "core!"
           FROM services LEFT JOIN service_techniques ON service_id = id GROUP BY id ORDER BY position, id"#
    )
    .fetch_all(db)
    .await?;
    let manners = rows.into_iter().map(|row| Manner {
        id: row.id,
        slug: row.slug,
        pressure_from: row.pressure_from,
        pressure_to: row.pressure_to,
        works_on: row.works_on.0,
        techniques: row.techniques.into_iter().zip(row.core).collect(),
    });
    Ok(manners.collect())
}

/// The slugs of all techniques.
pub async fn technique_slugs<'c>(db: impl PgExecutor<'c>) -> Result<Vec<String>> {
    Ok(slugs(techniques(db).await?))
}

pub(super) async fn techniques<'c>(db: impl PgExecutor<'c>) -> Result<Vec<Technique>> {
    Ok(sqlx::query_as!(Technique, "SELECT slug, name FROM techniques ORDER BY slug").fetch_all(db).await?)
}

pub(super) async fn conditions<'c>(db: impl PgExecutor<'c>) -> Result<Vec<Technique>> {
    Ok(sqlx::query_as!(Technique, "SELECT slug, name FROM conditions ORDER BY slug").fetch_all(db).await?)
}

/// The kind of a service, which licence requirements are written for; none where there is no such service.
pub async fn kind_of<'c>(db: impl PgExecutor<'c>, service: ServiceId) -> Result<Option<String>> {
    Ok(sqlx::query_scalar!("SELECT kind FROM services WHERE id = $1", service.0).fetch_optional(db).await?)
}

/// The first service of the catalogue.
pub async fn first<'c>(db: impl PgExecutor<'c>) -> Result<Option<ServiceId>> {
    let first = sqlx::query_scalar!("SELECT id FROM services ORDER BY position, id LIMIT 1");
    Ok(first.fetch_optional(db).await?)
}

/// Whether the catalogue has services of this kind.
pub async fn is_kind<'c>(db: impl PgExecutor<'c>, kind: &str) -> Result<bool> {
    let found = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM services WHERE kind = $1) AS "found!""#, kind)
        .fetch_one(db)
        .await?;
    Ok(found)
}

fn slugs(tags: Vec<Technique>) -> Vec<String> {
    tags.into_iter().map(|tag| tag.slug).collect()
}

/// Refuses techniques and conditions that the catalogue does not list, with pointers below `/techniques` and
/// `/conditions`.
pub async fn refuse_unknown_tags(tx: &mut Tx, techniques: &[String], conditions: &[String]) -> Result<()> {
    let known_techniques: Vec<String> = slugs(self::techniques(&mut **tx).await?);
    let known_conditions: Vec<String> = slugs(self::conditions(&mut **tx).await?);
    let unknown = |field: &str, tags: &[String], known: &[String]| -> Vec<FieldError> {
        let wrong = tags.iter().enumerate().filter(|(_, tag)| !known.contains(tag));
        wrong.map(|(i, _)| FieldError::new(format!("/{field}/{i}"), "is not in the catalogue.")).collect()
    };
    let mut errors = unknown("techniques", techniques, &known_techniques);
    errors.extend(unknown("conditions", conditions, &known_conditions));
    if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors)) }
}

/// Refuses what a search names and the catalogue does not list, with pointers to the parameters: it would find nobody, and not say why.
pub async fn refuse_unknown_filters<'c>(
    db: impl PgExecutor<'c>,
    service: Option<ServiceId>,
    technique: Option<&Slug>,
    condition: Option<&Slug>,
) -> Result<()> {
    if service.is_none() && technique.is_none() && condition.is_none() {
        return Ok(());
    }
    let known = sqlx::query!(
        r#"SELECT $1::uuid IS NULL OR EXISTS (SELECT FROM services WHERE id = $1) AS "service!",
                  $2::text IS NULL OR EXISTS (SELECT FROM techniques WHERE slug = $2) AS "technique!",
                  $3::text IS NULL OR EXISTS (SELECT FROM conditions WHERE slug = $3) AS "condition!""#,
        service.map(|id| id.0),
        technique.map(Slug::as_str),
        condition.map(Slug::as_str)
    )
    .fetch_one(db)
    .await?;
    let named = [("/service_id", known.service), ("/technique", known.technique), ("/condition", known.condition)];
    let unknown = named.into_iter().filter(|(_, is_known)| !is_known);
    let errors: Vec<FieldError> =
        unknown.map(|(pointer, _)| FieldError::new(pointer, "is not in the catalogue.")).collect();
    if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors)) }
}

/// The names of these services.
pub async fn names<'c>(db: impl PgExecutor<'c>, ids: &[ServiceId]) -> Result<HashMap<ServiceId, String>> {
    let rows =
        sqlx::query!("SELECT id, name FROM services WHERE id = ANY ($1)", ids as &[ServiceId]).fetch_all(db).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
}
