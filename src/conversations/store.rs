use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::{KEPT, Message};
use crate::bookings::Side;
use crate::cipher::Sealed;
use crate::db::{BATCH, Tx, in_batches};
use crate::error::Result;
use crate::ids::BookingId;

/// What was written about a visit, the first message first.
pub(super) async fn of_booking(tx: &mut Tx, booking: BookingId) -> Result<Vec<Message>> {
    let messages = sqlx::query_as!(
        Message,
        r#"SELECT id, therapist_id AS therapist, by AS "by: Side", text AS "text: Sealed", sent_at
           FROM booking_messages WHERE booking_id = $1 ORDER BY sent_at, id"#,
        booking.0
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(messages)
}

pub(super) async fn insert(tx: &mut Tx, booking: BookingId, message: &Message) -> Result<()> {
    sqlx::query!(
        "INSERT INTO booking_messages (id, booking_id, therapist_id, by, text, sent_at) VALUES ($1, $2, $3, $4, $5, $6)",
        message.id.0,
        booking.0,
        message.therapist.0,
        message.by as Side,
        &message.text as &Sealed,
        message.sent_at
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Deletes what was sent long before `now`, unless staff look into an incident of its visit.
pub(super) async fn forget_old(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    in_batches(|| async move {
        let gone = sqlx::query!(
            "DELETE FROM booking_messages WHERE id = ANY (ARRAY(
                 SELECT m.id FROM booking_messages m WHERE m.sent_at < $1
                     AND NOT EXISTS (SELECT FROM incidents i WHERE i.booking_id = m.booking_id AND i.resolved_at IS NULL)
                 ORDER BY m.sent_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
            now - KEPT,
            BATCH
        );
        Ok(gone.execute(db).await?.rows_affected())
    })
    .await
}
