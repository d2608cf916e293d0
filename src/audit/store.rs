use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use super::verify::{Link, Unchained};
use super::{AuditEntry, AuditEvent, Head, Positions};
use crate::db::Tx;
use crate::error::Result;
use crate::events::{Event, Party};
use crate::ids::{AccountId, TherapistId};

/// Where the entries about a thing lie, those of the action `except` aside; none where there are none.
pub async fn positions(tx: &mut Tx, subject_type: &str, subject_id: &str, except: &str) -> Result<Option<Positions>> {
    let found = sqlx::query!(
        r#"SELECT min(position) AS first, max(position) AS last, count(*) AS "entries!"
           FROM events WHERE subject_type = $1 AND subject_id = $2 AND id >= history_of($2) AND kind <> $3"#,
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
#[derive(Clone, Copy, Default)]
pub(super) struct Listed<'a> {
    pub subject_type: Option<&'a str>,
    pub subject_id: Option<&'a str>,
    pub actor: Option<AccountId>,
    pub therapist: Option<TherapistId>,
    pub action: Option<&'a str>,
    pub from: Option<DateTime<Utc>>,
    pub to: Option<DateTime<Utc>>,
    /// After the entry at this position, of this instant.
    pub after: Option<(i64, DateTime<Utc>)>,
    pub count: i64,
}

/// So far apart are the orders of instants and of positions at the most: an entry is written within seconds of its instant, and the
/// clocks of two processes may differ.
const SKEW: TimeDelta = TimeDelta::minutes(10);

/// How far back is looked first. Most pages are full by then, and the months before stay shut.
const LATELY: TimeDelta = TimeDelta::days(35);

/// The entries, newest first.
pub(super) async fn list(db: &PgPool, listed: Listed<'_>, now: DateTime<Utc>) -> Result<Vec<AuditEvent>> {
    // No entry that is older than the cursor's lies after it, but for the skew.
    let until = listed.to.into_iter().chain(listed.after.map(|(_, at)| at)).min();
    let lately = until.map_or(now, |until| until.min(now)) - LATELY;
    let mut positions = match (listed.from, listed.to) {
        (None, None) => 0..i64::MAX,
        (from, to) => positions_between(db, from, to).await?,
    };
    positions.end = listed.after.map_or(positions.end, |(position, _)| positions.end.min(position));
    // Of one thing little happened, and the index of things begins with their type.
    let types = match (listed.subject_id, listed.subject_type) {
        (Some(_), Some(one)) => vec![one.to_owned()],
        (Some(_), None) => subject_types(db).await?,
        (None, _) => Vec::new(),
    };
    if listed.subject_id.is_none() && listed.from.is_none_or(|from| from < lately) {
        let found = within(db, listed, &types, &positions, Some(lately), until).await?;
        // What is older than all that was found may still lie between, as far as the orders differ.
        let whole = found.last().is_some_and(|last| last.at >= lately + SKEW);
        if whole && usize::try_from(listed.count).is_ok_and(|count| found.len() >= count) {
            return Ok(found);
        }
    }
    within(db, listed, &types, &positions, listed.from, until).await
}

/// The entries at `positions` and of instants from `since` to `until`. Each statement says plainly what its index begins with, so that
/// its plan is good for all values.
async fn within(
    db: &PgPool,
    listed: Listed<'_>,
    types: &[String],
    positions: &Range<i64>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
) -> Result<Vec<AuditEvent>> {
    macro_rules! listed_by {
        ($what:literal) => {
            sqlx::query_as!(
                AuditEvent,
                r#"SELECT position, at, actor_id AS "actor_id: AccountId", therapist_id AS "therapist_id: TherapistId", kind AS action,
                          subject_type, subject_id,
                          CASE WHEN to_state IS NULL THEN details::jsonb
                               ELSE jsonb_build_object('party', party, 'from', from_state, 'to', to_state) || details::jsonb END AS "details!",
                          encode(hash, 'hex') AS "hash?"
                   FROM events LEFT JOIN audit_links USING (position)
                   WHERE id >= greatest(history_of($2), least_id($10))
                     AND id <= coalesce(least_id($11::timestamptz + interval '10 minutes'), 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                     AND ($1::text IS NULL OR subject_type = $1) AND ($2::text IS NULL OR subject_id = $2)
                     AND ($3::uuid IS NULL OR actor_id = $3) AND ($4::uuid IS NULL OR therapist_id = $4)
                     AND ($5::text IS NULL OR kind = $5)
                     AND ($6::timestamptz IS NULL OR at >= $6) AND ($7::timestamptz IS NULL OR at < $7)
                     AND position > $8 AND position < $9 AND (cardinality($13::text[]) = 0 OR subject_type = ANY ($13)) "#
                    + $what
                    + " ORDER BY position DESC LIMIT $12",
                listed.subject_type,
                listed.subject_id,
                listed.actor.map(|actor| actor.0),
                listed.therapist.map(|therapist| therapist.0),
                listed.action,
                listed.from,
                listed.to,
                positions.start,
                positions.end,
                since,
                until,
                listed.count,
                types
            )
            .fetch_all(db)
            .await?
        };
    }
    Ok(match listed {
        Listed { subject_id: Some(_), .. } => listed_by!("AND subject_type = ANY ($13) AND subject_id = $2"),
        Listed { actor: Some(_), .. } => listed_by!("AND actor_id = $3"),
        Listed { therapist: Some(_), .. } => listed_by!("AND therapist_id = $4"),
        Listed { action: Some(_), .. } => listed_by!("AND kind = $5"),
        Listed { subject_type: Some(_), .. } => listed_by!("AND subject_type = $1"),
        _ => listed_by!(""),
    })
}

/// Between which positions the entries of these instants lie; a little more where nothing was written for a week.
async fn positions_between(db: &PgPool, from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> Result<Range<i64>> {
    let ends = sqlx::query!(
        "SELECT (SELECT position FROM events WHERE id < least_id($1) AND id >= least_id($1::timestamptz - interval '7 days')
                 ORDER BY id DESC LIMIT 1) AS before,
                (SELECT position FROM events WHERE id > least_id($2) AND id <= least_id($2::timestamptz + interval '7 days')
                 ORDER BY id LIMIT 1) AS behind",
        from.map(|from| from - SKEW),
        to.map(|to| to + SKEW)
    )
    .fetch_one(db)
    .await?;
    Ok(ends.before.unwrap_or(0)..ends.behind.unwrap_or(i64::MAX))
}

/// The kinds of things that anything has happened to, from one to the next by the index.
async fn subject_types(db: &PgPool) -> Result<Vec<String>> {
    let types = sqlx::query_scalar!(
        r#"WITH RECURSIVE types AS (
               (SELECT subject_type FROM events ORDER BY subject_type LIMIT 1)
               UNION ALL
               SELECT (SELECT e.subject_type FROM events e WHERE e.subject_type > types.subject_type ORDER BY e.subject_type LIMIT 1)
               FROM types WHERE types.subject_type IS NOT NULL
           )
           SELECT subject_type AS "subject_type!" FROM types WHERE subject_type IS NOT NULL"#
    );
    Ok(types.fetch_all(db).await?)
}

/// Whether an entry waits to be chained.
pub(super) async fn anything_pending(tx: &mut Tx) -> Result<bool> {
    let pending = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM audit_pending) AS "pending!""#);
    Ok(pending.fetch_one(&mut **tx).await?)
}

/// Names the lock of the sequencer; others are named by random bits.
const SEQUENCER: i64 = 0x6b6e_6561_6400;

/// Whether no other sequencer is at work; none is until the transaction ends.
pub(super) async fn alone(tx: &mut Tx) -> Result<bool> {
    let locked = sqlx::query_scalar!(r#"SELECT pg_try_advisory_xact_lock($1) AS "locked!""#, SEQUENCER);
    Ok(locked.fetch_one(&mut **tx).await?)
}

/// How many entries wait to be chained, and when the newest head was signed.
pub(super) async fn state(db: &PgPool) -> Result<(i64, Option<DateTime<Utc>>)> {
    let state = sqlx::query!(
        r#"SELECT (SELECT count(*) FROM audit_pending) AS "pending!", (SELECT max(at) FROM audit_heads) AS head"#
    )
    .fetch_one(db)
    .await?;
    Ok((state.pending, state.head))
}

/// The number and the hash of the last link.
pub(super) async fn end(tx: &mut Tx) -> Result<Option<(i64, Vec<u8>)>> {
    let end = sqlx::query!("SELECT link, hash FROM audit_links ORDER BY link DESC LIMIT 1");
    Ok(end.fetch_optional(&mut **tx).await?.map(|end| (end.link, end.hash)))
}

/// The head that vouches for most links; none before anything was signed.
pub async fn newest_head(db: impl PgExecutor<'_>) -> Result<Option<Head>> {
    let head =
        sqlx::query_as!(Head, "SELECT size, at, hash, key_id, signature FROM audit_heads ORDER BY size DESC LIMIT 1");
    Ok(head.fetch_optional(db).await?)
}

/// Up to `count` entries that waited, in the order of their positions, which wait no more.
pub(super) async fn take(tx: &mut Tx, count: i64) -> Result<Vec<AuditEntry>> {
    let entries = sqlx::query_as!(
        AuditEntry,
        r#"WITH taken AS (
               DELETE FROM audit_pending WHERE position IN (SELECT position FROM audit_pending ORDER BY position LIMIT $1)
               RETURNING position, event_id
           )
           SELECT id, events.position, therapist_id AS "therapist: TherapistId", client_id AS "client: AccountId", at AS time,
                  actor_id AS "actor: AccountId", party, kind, subject_type, subject_id, number,
                  from_state AS "from", to_state AS "to", details::text AS "details!"
           FROM taken JOIN events ON id = event_id
           WHERE NOT EXISTS (SELECT FROM audit_links l WHERE l.position = taken.position) ORDER BY events.position"#,
        count
    );
    Ok(entries.fetch_all(&mut **tx).await?)
}

/// Adds links to the chain, for entries at these positions and with these ids.
pub(super) async fn append(tx: &mut Tx, links: &[i64], chained: Vec<(i64, Uuid)>, hashes: &[Vec<u8>]) -> Result<()> {
    let (positions, ids): (Vec<_>, Vec<_>) = chained.into_iter().unzip();
    sqlx::query!(
        "INSERT INTO audit_links (link, position, event_id, hash)
         SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::bytea[])",
        links,
        &positions,
        &ids,
        hashes
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Adds a head.
pub(super) async fn save_head(tx: &mut Tx, head: &Head) -> Result<()> {
    sqlx::query!(
        "INSERT INTO audit_heads (size, at, hash, key_id, signature) VALUES ($1, $2, $3, $4, $5)",
        head.size,
        head.at,
        head.hash,
        head.key_id,
        head.signature
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Heads that are deleted at a time.
const THINNED: i64 = 5_000;

/// Deletes heads of before yesterday but for the last one of each day, by UTC. A later head vouches for all that an
/// earlier one does.
pub async fn thin_heads(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    loop {
        let thinned = sqlx::query!(
            "DELETE FROM audit_heads WHERE size IN (
                 SELECT size FROM audit_heads h
                 WHERE at < date_trunc('day', $1::timestamptz, 'UTC') - interval '1 day'
                   AND EXISTS (SELECT FROM audit_heads later WHERE later.size > h.size AND later.at >= h.at
                               AND later.at < date_trunc('day', h.at, 'UTC') + interval '1 day')
                 LIMIT $2)",
            now,
            THINNED
        )
        .execute(db)
        .await?;
        if thinned.rows_affected() == 0 {
            return Ok(());
        }
    }
}

/// A transaction that sees everything as it is now, and only reads.
pub(super) async fn snapshot(db: &PgPool) -> Result<Tx> {
    let mut tx = db.begin().await?;
    sqlx::query!("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(&mut *tx).await?;
    Ok(tx)
}

/// The position and the hash of a link.
pub(super) async fn hash_at(tx: &mut Tx, link: i64) -> Result<Option<(i64, Vec<u8>)>> {
    let found = sqlx::query!("SELECT position, hash FROM audit_links WHERE link = $1", link);
    Ok(found.fetch_optional(&mut **tx).await?.map(|found| (found.position, found.hash)))
}

/// Up to `count` links after `from`, with their entries.
pub(super) async fn links(tx: &mut Tx, from: i64, count: i64) -> Result<Vec<Link>> {
    let rows = sqlx::query!(
        r#"SELECT l.link, l.position, l.hash, e.id AS "id?", e.position AS "entry_position?", e.number AS "number?", e.therapist_id AS "therapist?: TherapistId", e.client_id AS "client?: AccountId",
                  e.at AS "time?", e.actor_id AS "actor?: AccountId", e.party AS "party?", e.kind AS "kind?", e.subject_type AS "subject_type?",
                  e.subject_id AS "subject_id?", e.from_state AS "from?", e.to_state AS "to?", e.details::text AS details
           FROM audit_links l LEFT JOIN events e ON e.id = l.event_id
           WHERE l.link > $1 ORDER BY l.link LIMIT $2"#,
        from,
        count
    )
    .fetch_all(&mut **tx)
    .await?;
    let links = rows.into_iter().map(|row| {
        let entry = || {
            Some(AuditEntry {
                id: row.id?,
                position: row.entry_position?,
                therapist: row.therapist,
                client: row.client,
                time: row.time?,
                actor: row.actor,
                party: row.party,
                kind: row.kind?,
                subject_type: row.subject_type?,
                subject_id: row.subject_id?,
                number: row.number?,
                from: row.from,
                to: row.to,
                details: row.details?,
            })
        };
        Link { link: row.link, position: row.position, hash: row.hash, entry: entry() }
    });
    Ok(links.collect())
}

/// Up to `count` heads that vouch for more than `from` and for at most `to` links.
pub(super) async fn heads(tx: &mut Tx, from: i64, to: i64, count: i64) -> Result<Vec<Head>> {
    let heads = sqlx::query_as!(
        Head,
        "SELECT size, at, hash, key_id, signature FROM audit_heads WHERE size > $1 AND size <= $2 ORDER BY size LIMIT $3",
        from,
        to,
        count
    );
    Ok(heads.fetch_all(&mut **tx).await?)
}

/// Looks at up to `count` entries after the id `from`, or from the first one on: where that ends, if there were any, and those of them that
/// are not in the chain. It goes by the ids, which lead through one month after the other.
pub(super) async fn unchained(tx: &mut Tx, from: Option<Uuid>, count: i64) -> Result<(Option<Uuid>, Vec<Unchained>)> {
    let last = sqlx::query_scalar!(
        "SELECT id FROM (SELECT id FROM events WHERE id >= $1 AND (id > $1 OR $3) ORDER BY id LIMIT $2) seen
         ORDER BY id DESC LIMIT 1",
        from.unwrap_or_default(),
        count,
        from.is_none()
    )
    .fetch_optional(&mut **tx)
    .await?;
    let unchained = sqlx::query_as!(
        Unchained,
        "SELECT position, at AS time FROM events e
         WHERE id >= $1 AND (id > $1 OR $3) AND id <= $2
           AND NOT EXISTS (SELECT FROM audit_links l WHERE l.position = e.position AND l.event_id = e.id)
         ORDER BY id",
        from.unwrap_or_default(),
        last,
        from.is_none()
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok((last, unchained))
}

/// An event at its place in the chain.
#[derive(Debug)]
pub struct Chained {
    /// The place, from 1.
    pub link: i64,
    /// The event's id.
    pub id: Uuid,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Counts what happened to its subject, from 1.
    pub number: i32,
    /// The event, without anybody's words.
    pub event: Event,
}

/// What was chained after `link`, in order. The chain is in the order in which events were seen to be committed, so that whoever goes on from a
/// place in it misses nothing that was written before and committed later.
pub async fn since(tx: &mut Tx, link: i64, count: i64) -> Result<Vec<Chained>> {
    let rows = sqlx::query!(
        r#"SELECT l.link, e.id, e.at, e.number, e.kind, e.subject_type, e.subject_id, e.therapist_id AS "therapist_id: TherapistId",
                  e.client_id AS "client_id: AccountId", e.party AS "party: Party", e.from_state, e.to_state, e.details::jsonb AS "details!"
           FROM audit_links l JOIN events e ON e.id = l.event_id
           WHERE l.link > $1 ORDER BY l.link LIMIT $2"#,
        link,
        count
    )
    .fetch_all(&mut **tx)
    .await?;
    let chained = rows.into_iter().map(|row| {
        let event = Event {
            kind: row.kind,
            subject_type: row.subject_type.into(),
            subject: row.subject_id,
            therapist: row.therapist_id,
            client: row.client_id,
            party: row.party,
            from: row.from_state,
            to: row.to_state,
            details: row.details,
            reason: None,
        };
        Chained { link: row.link, id: row.id, at: row.at, number: row.number, event }
    });
    Ok(chained.collect())
}
