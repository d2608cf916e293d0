use chrono::{DateTime, NaiveDateTime, Utc};
use sqlx::PgPool;

use super::Followed;
use crate::db::{BATCH, Tx};
use crate::error::Result;
use crate::ids::BookingId;
use crate::values::Zone;
use crate::values::zones::rules::Rules;

/// The rules that the database follows, locked until the transaction ends.
pub(super) async fn lock(tx: &mut Tx) -> Result<Option<Followed>> {
    let row = sqlx::query!("SELECT version, digest, since, seen_at, followed_at FROM zone_rules FOR UPDATE")
        .fetch_optional(&mut **tx)
        .await?;
    Ok(row.map(|row| Followed {
        version: row.version,
        digest: row.digest,
        since: row.since,
        seen_at: row.seen_at,
        is_done: row.followed_at.is_some(),
    }))
}

/// Writes down that the database follows `rules` from now on.
pub(super) async fn put(tx: &mut Tx, rules: &Rules, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "INSERT INTO zone_rules (version, digest, since, seen_at) VALUES ($1, $2, $3, $3)
         ON CONFLICT ON CONSTRAINT zone_rules_pkey DO UPDATE
         SET version = excluded.version, digest = excluded.digest, since = excluded.since, seen_at = excluded.seen_at, followed_at = NULL",
        rules.version(),
        rules.digest(),
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Writes down that a worker has these rules.
pub(super) async fn see(tx: &mut Tx, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("UPDATE zone_rules SET seen_at = $1", now).execute(&mut **tx).await?;
    Ok(())
}

/// Writes down that all that followed from the rules of this digest was done.
pub(super) async fn set_done(db: &PgPool, digest: &str, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("UPDATE zone_rules SET followed_at = $2 WHERE digest = $1", digest, now).execute(db).await?;
    Ok(())
}

/// A visit ahead, with what its clock is known to show at its start.
pub(super) struct Ahead {
    pub id: BookingId,
    pub start_at: DateTime<Utc>,
    zone: Option<Zone>,
    local_start: Option<NaiveDateTime>,
}

impl Ahead {
    /// What the clock shows at the start, where its zone is known.
    fn shown(&self) -> Option<NaiveDateTime> {
        self.zone.map(|zone| zone.wall(self.start_at))
    }

    /// Whether the clock shows something else than was agreed.
    pub fn has_moved(&self) -> bool {
        self.local_start.zip(self.shown()).is_some_and(|(known, shown)| known != shown)
    }
}

/// The next visits that are to begin after `now`, by their start.
pub(super) async fn ahead(
    db: &PgPool,
    now: DateTime<Utc>,
    after: Option<(DateTime<Utc>, BookingId)>,
) -> Result<Vec<Ahead>> {
    let rows = sqlx::query!(
        "SELECT id, start_at, time_zone, local_start FROM bookings
         WHERE start_at > $1 AND (start_at, id) > ($2, $3)
           AND (status IN ('confirmed', 'on_the_way', 'arrived', 'in_progress') OR (status = 'requested' AND respond_by > $1))
         ORDER BY start_at, id LIMIT $4",
        now,
        after.map_or(now, |(start, _)| start),
        after.map(|(_, id)| id.0).unwrap_or_default(),
        BATCH
    )
    .fetch_all(db)
    .await?;
    let ahead = rows.into_iter().map(|row| Ahead {
        id: row.id,
        start_at: row.start_at,
        zone: Zone::named(&row.time_zone),
        local_start: row.local_start,
    });
    Ok(ahead.collect())
}

/// Writes down what the clock shows where nothing is known: a version of before has booked.
pub(super) async fn fill(db: &PgPool, visits: &[Ahead]) -> Result<()> {
    let unknown = visits.iter().filter(|visit| visit.local_start.is_none());
    let known = unknown.filter_map(|visit| visit.shown().map(|shown| (visit, shown)));
    let (ids, (starts, shown)): (Vec<_>, (Vec<_>, Vec<_>)) =
        known.map(|(visit, shown)| (visit.id.0, (visit.start_at, shown))).unzip();
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE bookings b SET local_start = known.shown
         FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamp[]) AS known (id, start_at, shown)
         WHERE b.id = known.id AND b.start_at = known.start_at AND b.local_start IS NULL",
        &ids,
        &starts,
        &shown
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Writes down what the clock shows at the start of a visit; what it was known to show, where that was something else.
pub(super) async fn put_local_start(tx: &mut Tx, id: BookingId, shown: NaiveDateTime) -> Result<Option<NaiveDateTime>> {
    let before = sqlx::query_scalar!(
        r#"UPDATE bookings b SET local_start = $2 FROM (SELECT local_start FROM bookings WHERE id = $1) AS before
           WHERE b.id = $1 AND b.local_start <> $2 RETURNING before.local_start AS "before!""#,
        id.0,
        shown
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(before)
}
