use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::{Block, Pair};
use crate::bookings::Side;
use crate::cipher::Sealed;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::AccountId;

/// Stores a block; false where it is there already.
pub(super) async fn insert(tx: &mut Tx, pair: Pair, note: Option<&Sealed>, now: DateTime<Utc>) -> Result<bool> {
    let inserted = sqlx::query!(
        "INSERT INTO blocks (therapist_id, client_id, by, note_sealed, created_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT ON CONSTRAINT blocks_pkey DO NOTHING",
        pair.therapist.0,
        pair.client.0,
        pair.by as Side,
        note as Option<&Sealed>,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Whether there was such a block to take away.
pub(super) async fn delete(tx: &mut Tx, pair: Pair) -> Result<bool> {
    let deleted = sqlx::query!(
        "DELETE FROM blocks WHERE therapist_id = $1 AND client_id = $2 AND by = $3",
        pair.therapist.0,
        pair.client.0,
        pair.by as Side
    )
    .execute(&mut **tx)
    .await?;
    Ok(deleted.rows_affected() == 1)
}

/// Whom the caller blocks, oldest first: up to `count` from after `after`.
pub(super) async fn list(
    db: &PgPool,
    me: AccountId,
    after: Option<(DateTime<Utc>, AccountId)>,
    count: i64,
) -> Result<Vec<Block>> {
    let blocks = sqlx::query_as!(
        Block,
        r#"SELECT other AS "other!: AccountId", note_sealed AS "note: Sealed", created_at AS "created_at!" FROM (
               SELECT therapist_id AS other, note_sealed, created_at FROM blocks WHERE client_id = $1 AND by = 'client'
               UNION ALL
               SELECT client_id, note_sealed, created_at FROM blocks WHERE therapist_id = $1 AND by = 'therapist'
           ) AS own
           WHERE $2::timestamptz IS NULL OR (created_at, other) > ($2, $3)
           ORDER BY created_at, other LIMIT $4"#,
        me.0,
        after.map(|(at, _)| at),
        after.map(|(_, id)| id.0),
        count
    )
    .fetch_all(db)
    .await?;
    Ok(blocks)
}
