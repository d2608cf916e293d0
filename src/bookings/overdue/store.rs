use chrono::{DateTime, Utc};

use crate::db::Tx;
use crate::error::Result;
use crate::ids::BookingId;

/// Visits that are not over, should have ended before `due`, and were not told of.
pub(super) async fn untold(tx: &mut Tx, due: DateTime<Utc>, count: i64) -> Result<Vec<BookingId>> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM bookings
         WHERE status IN ('confirmed', 'on_the_way', 'arrived', 'in_progress') AND start_at <= $1
           AND start_at + make_interval(mins => duration_minutes) <= $1 AND overdue_told_at IS NULL
         ORDER BY start_at, id LIMIT $2",
        due,
        count
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(ids)
}

/// Writes down that the visit was told of; false where it was before.
pub(super) async fn set_told(tx: &mut Tx, booking: BookingId, now: DateTime<Utc>) -> Result<bool> {
    let told = sqlx::query!(
        "UPDATE bookings SET overdue_told_at = $2 WHERE id = $1 AND overdue_told_at IS NULL",
        booking.0,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(told.rows_affected() == 1)
}
