use crate::values::Span;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::types::Json;

use super::Hold;
use crate::accounts::Address;
use crate::availability::reservations::{self, range};
use crate::bookings::bounds::HOLDS_COUNT;
use crate::db::{BATCH, Tx, in_batches};
use crate::error::Result;
use crate::events::{TimeLock, Work};
use crate::ids::{AccountId, HoldId, RecipientId, TherapistId};
use crate::prices::Terms;

/// A client's live holds, or the one of them that is named.
pub(super) async fn live(tx: &mut Tx, client: AccountId, one: Option<HoldId>, now: DateTime<Utc>) -> Result<Vec<Hold>> {
    let rows = sqlx::query!(
        r#"SELECT id, therapist_id, service_id, start_at, duration_minutes, address AS "address: Json<Address>",
                  terms AS "terms: Json<Terms>", recipient_id AS "recipient: RecipientId", created_at, expires_at
           FROM holds WHERE client_id = $1 AND ($2::uuid IS NULL OR id = $2) AND expires_at > $3 AND ended_at IS NULL ORDER BY id"#,
        client.0,
        one.map(|id| id.0),
        now
    )
    .fetch_all(&mut **tx)
    .await?;
    let holds = rows.into_iter().map(|row| {
        Ok(Hold {
            id: row.id,
            therapist: row.therapist_id,
            service: row.service_id,
            start_at: row.start_at,
            duration_minutes: row.duration_minutes,
            address: row.address.0,
            terms: row.terms.0,
            recipient: row.recipient,
            created_at: row.created_at,
            expires_at: row.expires_at,
        })
    });
    holds.collect()
}

/// How often the client has held the therapist's time since `since`, and neither booked nor holds it still.
pub(super) async fn count(tx: &mut Tx, client: AccountId, therapist: TherapistId, since: DateTime<Utc>) -> Result<i64> {
    let held = sqlx::query_scalar!(
        r#"SELECT count(*) AS "held!" FROM holds WHERE client_id = $1 AND therapist_id = $2 AND created_at > $3"#,
        client.0,
        therapist.0,
        since
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(held)
}

/// Stores a hold and reserves its time; false where the time was taken after all.
pub(super) async fn insert(tx: &mut Tx, lock: &TimeLock, hold: &Hold, client: AccountId, during: Span) -> Result<bool> {
    while !try_insert(tx, hold, client, during).await? {
        if !reservations::clear_lapsed(tx, lock, during, hold.created_at).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn try_insert(tx: &mut Tx, hold: &Hold, client: AccountId, during: Span) -> Result<bool> {
    let reserved = sqlx::query_scalar!(
        "WITH reservation AS (
             INSERT INTO reservations (id, therapist_id, during, start_at, latitude, longitude, hold_expires_at)
             VALUES ($1, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING id
         ), hold AS (
             INSERT INTO holds (id, client_id, therapist_id, service_id, start_at, duration_minutes, address, amount, currency,
                                created_at, expires_at, terms, recipient_id)
             SELECT $1, $2, $3, $9, $5, $10, $11, $12, $13, $14, $8, $15, $16 FROM reservation
         )
         SELECT id FROM reservation",
        hold.id.0,
        client.0,
        hold.therapist.0,
        range(during),
        hold.start_at,
        hold.address.latitude,
        hold.address.longitude,
        hold.expires_at,
        hold.service.0,
        hold.duration_minutes,
        Json(&hold.address) as _,
        hold.terms.breakdown.total.amount,
        hold.terms.breakdown.total.currency.code(),
        hold.created_at,
        Json(&hold.terms) as _,
        hold.recipient.map(|id| id.0),
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(reserved.is_some())
}

/// Frees a hold's time. Where it was `booked`, the hold is gone; else it goes on counting until [`forget_lapsed`] takes it away.
pub(super) async fn end(tx: &mut Tx, lock: &TimeLock, hold: &Hold, booked: bool, now: DateTime<Utc>) -> Result<()> {
    reservations::release(tx, lock, hold.id.0).await?;
    if booked {
        sqlx::query!("DELETE FROM holds WHERE id = $1", hold.id.0).execute(&mut **tx).await?;
    } else {
        sqlx::query!("UPDATE holds SET ended_at = $2 WHERE id = $1", hold.id.0, now).execute(&mut **tx).await?;
    }
    Ok(())
}

/// Frees what a client holds of a therapist's time where it stands in the way of what they want there: within `during`.
pub async fn give_way(work: &mut Work, lock: &TimeLock, client: AccountId, during: Span) -> Result<()> {
    let now = work.now();
    sqlx::query!(
        "WITH own AS (
             UPDATE holds h SET ended_at = $4 FROM reservations r
             WHERE r.therapist_id = $1 AND r.id = h.id AND r.during && $3 AND h.client_id = $2 AND h.ended_at IS NULL
             RETURNING h.id
         )
         DELETE FROM reservations r USING own WHERE r.therapist_id = $1 AND r.id = own.id",
        lock.therapist().0,
        client.0,
        range(during),
        now
    )
    .execute(&mut ***work)
    .await?;
    Ok(())
}

/// Deletes holds that count no more.
pub async fn forget_lapsed(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    in_batches(|| async move {
        let gone = sqlx::query!(
            "DELETE FROM holds WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM holds WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
            now - HOLDS_COUNT,
            BATCH
        );
        Ok(gone.execute(db).await?.rows_affected())
    })
    .await
}
