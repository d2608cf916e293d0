use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::de::DeserializeOwned;
use sqlx::types::Json;
use sqlx::{PgExecutor, PgPool};
use uuid::{Uuid, uuid};

use super::Policy;
use super::entries::{CancellationPolicy, EVERYWHERE, Entry, Kind, Price, PublicHoliday, Surcharge, price_subject};
use super::services::PricedDuration;
use super::tariff::{Applicable, Tariff};
use super::{PriceQuery, Version};
use crate::db::Tx;
use crate::error::{Error, OnConstraint, Refusal, Result};
use crate::events::Work;
use crate::ids::{AccountId, ServiceId, TariffId};
use crate::values::Jurisdiction;
use crate::values::wall_clock::local_date;

/// Names the lock of whoever adds or withdraws a version.
const TARIFFS: Uuid = uuid!("019b76da-a800-7d00-9c4e-2f6a1b7d3e55");

/// What bears on the price of a visit, in the versions that were in force at `at`, in one read; none where the service is not sold there for so long.
pub async fn tariff<'c>(db: impl PgExecutor<'c>, wanted: PriceQuery<'_>, at: DateTime<Utc>) -> Result<Option<Tariff>> {
    // What is nearer decides: everywhere, the country, the region that the map draws, the address's own.
    let mut places = vec![EVERYWHERE.to_owned()];
    places.extend(wanted.jurisdiction.chain_at(wanted.point));
    places.sort_by_key(|place| wanted.jurisdiction.region().is_some() && place == wanted.jurisdiction.as_str());
    // A visit touches no date further away.
    let date = |instant| local_date(wanted.zone, instant).to_string();
    let mut rows = sqlx::query!(
        // Each part has an index of its own: however many prices and holidays there are, a handful of rows is touched. The list is
        // hidden from the planner, which would plan anew for every one.
        r#"SELECT DISTINCT ON (kind, place, subject) kind AS "kind!: Kind", place AS "place!", entry AS "entry!" FROM (
               SELECT kind, place, subject, effective_from, entry FROM tariffs
               WHERE place = ANY ((SELECT $1::text[])::text[]) AND kind IN ('surcharge', 'cancellation_policy') AND effective_from <= $2 AND withdrawn_at IS NULL
               UNION ALL
               SELECT kind, place, subject, effective_from, entry FROM tariffs
               WHERE place = ANY ((SELECT $1::text[])::text[]) AND kind = 'price' AND subject = $3 AND effective_from <= $2 AND withdrawn_at IS NULL
               UNION ALL
               SELECT kind, place, subject, effective_from, entry FROM tariffs
               WHERE place = ANY ((SELECT $1::text[])::text[]) AND kind = 'public_holiday' AND subject BETWEEN $4 AND $5 AND effective_from <= $2
                 AND withdrawn_at IS NULL) AS found
           ORDER BY kind, place, subject, effective_from DESC"#,
        &places,
        at,
        price_subject(wanted.service, wanted.minutes),
        date(wanted.span.start),
        date(wanted.span.end + TimeDelta::days(1)),
    )
    .fetch_all(db)
    .await?;
    rows.sort_by_key(|row| places.iter().position(|place| *place == row.place));
    let (mut price, mut policy, mut holidays) = (None, None, Vec::new());
    let mut surcharges: Vec<Applicable> = Vec::new();
    for row in rows {
        match row.kind {
            Kind::Price => price = Some(read::<Price>(row.entry)?),
            Kind::CancellationPolicy => {
                let found: CancellationPolicy = read(row.entry)?;
                policy = found.terms.map(|rules| Policy { version: found.version, rules }).or(policy);
            }
            Kind::PublicHoliday => {
                let found: PublicHoliday = read(row.entry)?;
                holidays.extend(found.name.is_some().then_some(found.date.0));
            }
            Kind::Surcharge => {
                let found: Surcharge = read(row.entry)?;
                let Some(terms) = found.terms else { continue };
                let code = found.code.as_str().to_owned();
                surcharges.retain(|wider| wider.code != code);
                surcharges.push(Applicable { code, version: found.version, terms });
            }
        }
    }
    let Some((price, base)) = price.and_then(|price| price.price.map(|base| (price.version, base))) else {
        return Ok(None);
    };
    surcharges.sort_by(|a, b| a.code.cmp(&b.code));
    let tariff = Tariff {
        base,
        minutes: wanted.minutes,
        price_version: price,
        surcharges,
        holidays,
        policy: policy.ok_or_else(|| Error::Internal("there is no cancellation policy".to_owned()))?,
        at,
    };
    // Nothing is better than a sum of dollars and yen.
    if !tariff.is_of_one_currency() {
        return Err(Error::Internal(format!("amounts of several currencies in {}", wanted.jurisdiction.as_str())));
    }
    Ok(Some(tariff))
}

/// The cancellation policies in force at `at`, by country: that of all others first, which has none.
pub(super) async fn policies(db: &PgPool, at: DateTime<Utc>) -> Result<Vec<(Option<String>, Policy)>> {
    let rows = sqlx::query!(
        r#"SELECT DISTINCT ON (place = $2, place) place, entry FROM tariffs
           WHERE kind = 'cancellation_policy' AND effective_from <= $1 AND withdrawn_at IS NULL
           ORDER BY place = $2 DESC, place, effective_from DESC"#,
        at,
        EVERYWHERE
    )
    .fetch_all(db)
    .await?;
    let mut policies = Vec::new();
    for row in rows {
        let found: CancellationPolicy = read(row.entry)?;
        let place = Some(row.place).filter(|place| place != EVERYWHERE);
        policies.extend(found.terms.map(|rules| (place, Policy { version: found.version, rules })));
    }
    Ok(policies)
}

/// When the next version of anything takes effect after `at`, as far as any is known.
pub async fn next_change<'c>(db: impl PgExecutor<'c>, at: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
    let next = sqlx::query_scalar!("SELECT min(effective_from) FROM tariffs WHERE effective_from > $1", at);
    Ok(next.fetch_one(db).await?)
}

fn read<T: DeserializeOwned>(entry: serde_json::Value) -> Result<T> {
    serde_json::from_value(entry).map_err(|error| Error::Internal(error.to_string()))
}

/// What is sold in a country at `at`: each service, or the one named, with its durations and prices, shortest first.
pub(super) async fn sold(
    db: &PgPool,
    country: &str,
    one: Option<ServiceId>,
    at: DateTime<Utc>,
) -> Result<HashMap<ServiceId, Vec<PricedDuration>>> {
    let one = one.map(|id| format!("{id}/%"));
    let entries = sqlx::query_scalar!(
        r#"SELECT DISTINCT ON (subject) entry AS "entry: Json<Price>" FROM tariffs
           WHERE kind = 'price' AND place = $1 AND ($2::text IS NULL OR subject LIKE $2)
             AND effective_from <= $3 AND withdrawn_at IS NULL
           ORDER BY subject, effective_from DESC"#,
        country,
        one,
        at
    )
    .fetch_all(db)
    .await?;
    let mut sold: HashMap<_, Vec<_>> = HashMap::new();
    for Json(entry) in entries {
        if let Some(price) = entry.price {
            let duration = PricedDuration { duration_minutes: entry.duration_minutes, price };
            sold.entry(entry.service_id).or_default().push(duration);
        }
    }
    for durations in sold.values_mut() {
        durations.sort_by_key(|duration| duration.duration_minutes);
    }
    Ok(sold)
}

/// The durations for which these services have ever had a price, anywhere.
pub(super) async fn durations(tx: &mut Tx, services: &[ServiceId]) -> Result<Vec<(ServiceId, i16)>> {
    let rows = sqlx::query!(
        r#"SELECT DISTINCT split_part(subject, '/', 1)::uuid AS "service!: ServiceId", split_part(subject, '/', 2)::smallint AS "minutes!"
           FROM tariffs WHERE kind = 'price' AND split_part(subject, '/', 1)::uuid = ANY ($1) AND withdrawn_at IS NULL"#,
        services as &[ServiceId]
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.service, row.minutes)).collect())
}

/// Locks all versions against whoever else would add or withdraw one.
pub(super) async fn lock(work: &mut Work) -> Result<()> {
    work.lock(TARIFFS).await
}

/// The currency of a country's amounts, and when the first of them takes effect; none where it has none. What was withdrawn never took effect, so
/// that nothing was ever priced by it.
pub(super) async fn currency(tx: &mut Tx, country: &str) -> Result<Option<(String, DateTime<Utc>)>> {
    let found = sqlx::query!(
        r#"SELECT coalesce(entry #>> '{price,currency}', entry #>> '{terms,charge,amount,currency}') AS "currency!", effective_from FROM tariffs
           WHERE (place = $1 OR starts_with(place, $1 || '-')) AND kind IN ('price', 'surcharge') AND withdrawn_at IS NULL
             AND coalesce(entry #>> '{price,currency}', entry #>> '{terms,charge,amount,currency}') IS NOT NULL
           ORDER BY effective_from LIMIT 1"#,
        country
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(found.map(|found| (found.currency, found.effective_from)))
}

/// The number of the latest version, withdrawn ones too, and when the last one that is not takes effect.
pub(super) async fn latest<T: Entry>(tx: &mut Tx, entry: &T) -> Result<(i32, Option<DateTime<Utc>>)> {
    let latest = sqlx::query!(
        r#"SELECT coalesce(max(version), 0) AS "version!", max(effective_from) FILTER (WHERE withdrawn_at IS NULL) AS effective_from
           FROM tariffs WHERE kind = $1 AND place = $2 AND subject = $3"#,
        T::KIND as Kind,
        entry.place(),
        entry.subject()
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok((latest.version, latest.effective_from))
}

pub(super) async fn insert<T: Entry>(tx: &mut Tx, version: &Version<T>) -> Result<()> {
    let entry = &version.entry;
    sqlx::query!(
        "INSERT INTO tariffs (id, kind, place, subject, version, effective_from, entry, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        version.id.0,
        T::KIND as Kind,
        entry.place(),
        entry.subject(),
        entry.version(),
        entry.effective_from(),
        Json(entry) as _,
        version.created_at,
        version.created_by.map(|id| id.0),
    )
    .execute(&mut **tx)
    .await
    .on_constraint("tariffs_version_unique", Refusal::VersionTaken)?;
    Ok(())
}

pub(super) async fn withdraw(tx: &mut Tx, id: TariffId, admin: AccountId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("UPDATE tariffs SET withdrawn_at = $2, withdrawn_by = $3 WHERE id = $1", id.0, now, admin.0)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

pub(super) async fn find<'c, T: Entry>(db: impl PgExecutor<'c>, id: TariffId) -> Result<Option<Version<T>>> {
    let row = sqlx::query!(
        "SELECT id, entry, created_at, created_by, withdrawn_at FROM tariffs WHERE kind = $1 AND id = $2",
        T::KIND as Kind,
        id.0
    )
    .fetch_optional(db)
    .await?;
    let version = row.map(|row| {
        let (created_at, created_by, withdrawn_at) = (row.created_at, row.created_by, row.withdrawn_at);
        Ok(Version { id: row.id, entry: read(row.entry)?, created_at, created_by, withdrawn_at })
    });
    version.transpose()
}

/// Which versions a list shows.
pub(super) struct Listed<'a> {
    pub place: Option<&'a Jurisdiction>,
    /// Those in force at this instant alone.
    pub at: Option<DateTime<Utc>>,
    pub after: Option<(String, String, i32)>,
    pub count: i64,
}

/// Versions by place, subject and number.
pub(super) async fn list<T: Entry>(db: &PgPool, listed: Listed<'_>) -> Result<Vec<Version<T>>> {
    let (place, subject, version) = listed.after.map_or((None, None, None), |(p, s, v)| (Some(p), Some(s), Some(v)));
    let rows = sqlx::query!(
        r#"SELECT id, entry, created_at, created_by, withdrawn_at FROM tariffs t
           WHERE kind = $1 AND ($2::text IS NULL OR place = $2)
             AND ($3::timestamptz IS NULL OR withdrawn_at IS NULL AND effective_from = (
                  SELECT max(effective_from) FROM tariffs same
                  WHERE same.place = t.place AND same.kind = t.kind AND same.subject = t.subject
                    AND same.withdrawn_at IS NULL AND same.effective_from <= $3))
             AND ($4::text IS NULL OR (place, subject, version) > ($4, $5, $6))
           ORDER BY place, subject, version LIMIT $7"#,
        T::KIND as Kind,
        listed.place.map(Jurisdiction::as_str),
        listed.at,
        place,
        subject,
        version,
        listed.count
    )
    .fetch_all(db)
    .await?;
    let versions = rows.into_iter().map(|row| {
        let (created_at, created_by, withdrawn_at) = (row.created_at, row.created_by, row.withdrawn_at);
        Ok(Version { id: row.id, entry: read(row.entry)?, created_at, created_by, withdrawn_at })
    });
    versions.collect()
}
