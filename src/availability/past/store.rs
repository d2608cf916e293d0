use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgPool;

use crate::db::{BATCH, Tx, in_batches};
use crate::error::Result;

/// A transaction that deletes what is over: it changes no diary and no hint.
async fn of_the_past(db: &PgPool) -> Result<Tx> {
    let mut tx = db.begin().await?;
    sqlx::query!("SELECT set_config('knead.over', 'on', true) AS over").fetch_one(&mut *tx).await?;
    Ok(tx)
}

/// Deletes what is reserved for bookings until before `end`, unless their visits are still under way.
pub(super) async fn forget_reserved(db: &PgPool, end: DateTime<Utc>) -> Result<()> {
    in_batches(|| async move {
        let mut tx = of_the_past(db).await?;
        let gone = sqlx::query!(
            "DELETE FROM reservations WHERE ctid = ANY (ARRAY(
                 SELECT r.ctid FROM reservations r JOIN bookings b ON b.id = r.booking_id
                 WHERE upper(r.during) < $1 AND b.status NOT IN ('requested', 'confirmed', 'on_the_way', 'arrived', 'in_progress')
                 ORDER BY upper(r.during) LIMIT $2 FOR UPDATE OF r SKIP LOCKED))",
            end,
            BATCH
        );
        let gone = gone.execute(&mut *tx).await?.rows_affected();
        tx.commit().await?;
        Ok(gone)
    })
    .await
}

pub(super) async fn forget_time_off(db: &PgPool, end: DateTime<Utc>) -> Result<()> {
    in_batches(|| async move {
        let mut tx = of_the_past(db).await?;
        let gone = sqlx::query!(
            "DELETE FROM time_off WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM time_off WHERE end_at < $1 ORDER BY end_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
            end,
            BATCH
        );
        let gone = gone.execute(&mut *tx).await?.rows_affected();
        tx.commit().await?;
        Ok(gone)
    })
    .await
}

pub(super) async fn forget_overrides(db: &PgPool, before: NaiveDate) -> Result<()> {
    in_batches(|| async move {
        let mut tx = of_the_past(db).await?;
        let gone = sqlx::query!(
            "DELETE FROM overrides WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM overrides WHERE date < $1 ORDER BY date LIMIT $2 FOR UPDATE SKIP LOCKED))",
            before,
            BATCH
        );
        let gone = gone.execute(&mut *tx).await?.rows_affected();
        tx.commit().await?;
        Ok(gone)
    })
    .await
}

/// Deletes timetables, but for the first of each therapist, whose next one holds since before `since` or earlier.
pub(super) async fn forget_timetables(db: &PgPool, since: NaiveDate) -> Result<()> {
    in_batches(|| async move {
        let mut tx = of_the_past(db).await?;
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
        let gone = gone.execute(&mut *tx).await?.rows_affected();
        tx.commit().await?;
        Ok(gone)
    })
    .await
}
