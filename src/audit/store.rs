use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgPool;
use sqlx::types::Json;

use super::{Break, Damage, Entry, Event, Findings, Link, Positions, SERVICE, Stored, Walk};
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{AccountId, TherapistId};

/// Adds an entry, which stands if the transaction does. Its chain is locked from here on: record last.
pub async fn record(tx: &mut Tx, entry: &Entry<'_>, at: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "INSERT INTO audit_events (chain, at, actor_id, action, subject_type, subject_id, details)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        entry.therapist.map_or(SERVICE, |therapist| therapist.0),
        at,
        entry.actor.map(|actor| actor.0),
        entry.action,
        entry.subject_type,
        entry.subject_id,
        Json(&entry.details) as Json<&Value>,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Where the entries about a thing lie, those of the action `except` aside; none where there are none.
pub async fn positions(tx: &mut Tx, subject_type: &str, subject_id: &str, except: &str) -> Result<Option<Positions>> {
    let found = sqlx::query!(
        r#"SELECT min(position) AS first, max(position) AS last, count(*) AS "entries!"
           FROM audit_events WHERE subject_type = $1 AND subject_id = $2 AND action <> $3"#,
        subject_type,
        subject_id,
        except
    )
    .fetch_one(&mut **tx)
    .await?;
    let ends = found.first.zip(found.last);
    Ok(ends.map(|(first, last)| Positions { first, last, entries: found.entries }))
}

/// Which entries a list shows.
#[derive(Default)]
pub(super) struct Listed<'a> {
    pub subject_type: Option<&'a str>,
    pub subject_id: Option<&'a str>,
    pub actor: Option<AccountId>,
    pub therapist: Option<TherapistId>,
    pub action: Option<&'a str>,
    pub from: Option<DateTime<Utc>>,
    pub to: Option<DateTime<Utc>>,
    /// Before this position.
    pub before: Option<i64>,
    pub count: i64,
}

/// The entries, newest first.
pub(super) async fn list(db: &PgPool, listed: Listed<'_>) -> Result<Vec<Event>> {
    let events = sqlx::query_as!(
        Event,
        r#"SELECT position, at, actor_id AS "actor_id: AccountId", nullif(chain, $9) AS "therapist_id: TherapistId",
                  action, subject_type, subject_id, details, encode(hash, 'hex') AS "hash!"
           FROM audit_events
           WHERE ($1::text IS NULL OR subject_type = $1) AND ($2::text IS NULL OR subject_id = $2)
             AND ($3::uuid IS NULL OR actor_id = $3) AND ($4::uuid IS NULL OR chain = $4)
             AND ($5::text IS NULL OR action = $5)
             AND ($6::timestamptz IS NULL OR at >= $6) AND ($7::timestamptz IS NULL OR at < $7)
             AND ($8::bigint IS NULL OR position < $8)
           ORDER BY position DESC LIMIT $10"#,
        listed.subject_type,
        listed.subject_id,
        listed.actor.map(|actor| actor.0),
        listed.therapist.map(|therapist| therapist.0),
        listed.action,
        listed.from,
        listed.to,
        listed.before,
        SERVICE,
        listed.count,
    )
    .fetch_all(db)
    .await?;
    Ok(events)
}

/// Entries that are read at a time.
const BATCH: i64 = 2_000;

/// Recomputes up to `most` entries after `from`, in the order of their chains, within one snapshot. Where it begins at
/// the beginning, ends of chains that are gone are looked for as well.
pub async fn verify(db: &PgPool, from: Option<Link>, most: usize) -> Result<Findings> {
    let mut tx = db.begin().await?;
    sqlx::query!("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(&mut *tx).await?;
    let mut walk = Walk::default();
    match from {
        Some(from) => walk.last = hash_at(&mut tx, from).await?.map(|hash| (from, hash)),
        None => walk.breaks = missing_ends(&mut tx).await?,
    }
    let mut from = from.unwrap_or(Link { chain: SERVICE, link: 0 });
    let rest = loop {
        let batch = batch(&mut tx, from).await?;
        let Some((last, _)) = batch.last() else { break None };
        from = last.at;
        for (entry, end) in batch {
            walk.pass(entry, end.as_ref().map(|(link, hash)| (*link, hash.as_slice())));
        }
        if walk.entries >= most {
            break Some(from);
        }
    };
    tx.commit().await?;
    walk.breaks.sort_unstable();
    Ok(Findings { entries: walk.entries, breaks: walk.breaks, rest })
}

async fn hash_at(tx: &mut Tx, at: Link) -> Result<Option<Vec<u8>>> {
    let found = sqlx::query_scalar!("SELECT hash FROM audit_events WHERE chain = $1 AND link = $2", at.chain, at.link)
        .fetch_optional(&mut **tx)
        .await?;
    Ok(found)
}

async fn missing_ends(tx: &mut Tx) -> Result<Vec<Break>> {
    let positions = sqlx::query_scalar!(
        "SELECT position FROM audit_chains c
         WHERE NOT EXISTS (SELECT FROM audit_events e WHERE e.chain = c.chain AND e.link = c.link)"
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(positions.into_iter().map(|position| Break { position, damage: Damage::EndMissing }).collect())
}

/// The entries after `from`, each with the recorded end of its chain.
async fn batch(tx: &mut Tx, from: Link) -> Result<Vec<(Stored, Option<(i64, Vec<u8>)>)>> {
    let rows = sqlx::query!(
        r#"SELECT e.position, e.chain, e.link, e.at, e.actor_id AS "actor_id: AccountId", e.action, e.subject_type,
                  e.subject_id, e.details::text AS "details!", e.previous, e.hash, c.link AS "end_link?", c.hash AS "end_hash?"
           FROM audit_events e LEFT JOIN audit_chains c ON c.chain = e.chain
           WHERE (e.chain, e.link) > ($1, $2) ORDER BY e.chain, e.link LIMIT $3"#,
        from.chain,
        from.link,
        BATCH
    )
    .fetch_all(&mut **tx)
    .await?;
    let entries = rows.into_iter().map(|row| {
        let entry = Stored {
            position: row.position,
            at: Link { chain: row.chain, link: row.link },
            time: row.at,
            actor: row.actor_id,
            action: row.action,
            subject_type: row.subject_type,
            subject_id: row.subject_id,
            details: row.details,
            previous: row.previous,
            hash: row.hash,
        };
        (entry, row.end_link.zip(row.end_hash))
    });
    Ok(entries.collect())
}
