use chrono::{DateTime, NaiveDate, Utc};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgPool, Postgres};

use crate::db::{BATCH, in_batches};
use crate::error::Result;

/// Carries out `gone`, which deletes some of what is over: it changes no diary and no hint. Tells how many rows it deleted.
async fn forget(db: &PgPool, gone: Query<'_, Postgres, PgArguments>) -> Result<u64> {
    let mut tx = db.begin().await?;
    sqlx::query!("SELECT set_config('knead.over', 'on', true) AS over").fetch_one(&mut *tx).await?;
    let gone = gone.execute(&mut *tx).await?.rows_affected();
    tx.commit().await?;
    Ok(gone)
}

/// Deletes what is reserved for bookings until before `end`, unless their visits are still under way.
pub(super) async fn forget_reserved(db: &PgPool, end: DateTime<Utc>) -> Result<()> {
    in_batches(|| async move {
        let gone = sqlx::query!(
            "DELETE FROM reservations WHERE ctid = ANY (ARRAY(
                 SELECT r.ctid FROM reservations r JOIN bookings b ON b.id = r.booking_id
                 WHERE upper(r.during) < $1 AND b.status NOT IN ('requested', 'confirmed', 'on_the_way', 'arrived', 'in_progress')
                 ORDER BY upper(r.during) LIMIT $2 FOR UPDATE OF r SKIP LOCKED))",
            end,
            BATCH
        );
        forget(db, gone).await
    })
    .await
}

pub(super) async fn forget_time_off(db: &PgPool, end: DateTime<Utc>) -> Result<()> {
    in_batches(|| async move {
        let gone = sqlx::query!(
            "DELETE FROM time_off WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM time_off WHERE end_at < $1 ORDER BY end_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
            end,
            BATCH
        );
        forget(db, gone).await
    })
    .await
}

pub(super) async fn forget_overrides(db: &PgPool, before: NaiveDate) -> Result<()> {
    in_batches(|| async move {
        let gone = sqlx::query!(
            "DELETE FROM overrides WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM overrides WHERE date < $1 ORDER BY date LIMIT $2 FOR UPDATE SKIP LOCKED))",
            before,
            BATCH
        );
        forget(db, gone).await
    })
    .await
}

/// Deletes timetables, but for the first of each therapist, whose next one holds since before `since` or earlier.
pub(super) async fn forget_timetables(db: &PgPool, since: NaiveDate) -> Result<()> {
    in_batches(|| async move {
        let gone = sqlx::query!(
            "DELETE FROM timetables WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM timetables t
                 WHERE effective_from > '2000-01-01' AND effective_from < $1
                   AND EXISTS (SELECT FROM timetables next WHERE next.therapist_id = t.therapist_id
                               AND next.effective_from > t.effective_from AND next.effective_from < $1)
                 ORDER BY effective_from LIMIT $2 FOR UPDATE SKIP LOCKED))",
            since,
            BATCH
        );
        forget(db, gone).await
    })
    .await
}
