use chrono::{DateTime, Utc};

use crate::db::Tx;
use crate::error::Result;
use crate::ids::{AccountId, BookingId};

/// The visits of either party that are still to take place or do, by their start.
pub(super) async fn ahead(tx: &mut Tx, account: AccountId, now: DateTime<Utc>) -> Result<Vec<BookingId>> {
    let ids = sqlx::query_scalar!(
        // No visit is longer than four hours, which the indexes can use.
        r#"SELECT id AS "id!: BookingId" FROM (
               SELECT id, start_at, status, respond_by, duration_minutes FROM bookings WHERE client_id = $1 AND start_at > $2::timestamptz - interval '4 hours'
               UNION ALL
               SELECT id, start_at, status, respond_by, duration_minutes FROM bookings WHERE therapist_id = $1 AND start_at > $2::timestamptz - interval '4 hours'
           ) AS visits
           WHERE start_at + make_interval(mins => duration_minutes) > $2
             AND (status IN ('confirmed', 'on_the_way', 'arrived', 'in_progress') OR (status = 'requested' AND respond_by > $2))
           ORDER BY start_at, id"#,
        account.0,
        now
    );
    Ok(ids.fetch_all(&mut **tx).await?)
}
