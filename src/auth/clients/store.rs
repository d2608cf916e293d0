use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::{ApiClient, Kept};
use crate::error::Result;
use crate::ids::{AccountId, ApiClientId, ApiKeyId};
use crate::values::Scope;

/// The key with each digest, in the order of `asked`, unless it was revoked.
pub(super) async fn kept(db: &PgPool, asked: &[[u8; 32]]) -> Result<Vec<Option<Kept>>> {
    let digests: Vec<Vec<u8>> = asked.iter().map(|digest| digest.to_vec()).collect();
    let rows = sqlx::query!(
        // The limit keeps the planner from joining: keys are asked for one by one, by their index.
        r#"SELECT found.key AS "key?: ApiKeyId", found.client AS "client?: ApiClientId", found.made_by AS "made_by?: AccountId",
                  found.scopes AS "scopes?: Vec<Scope>", found.expires_at AS "expires_at?", found.last_used_at AS "last_used_at?"
           FROM unnest($1::bytea[]) WITH ORDINALITY AS asked (digest, n)
           LEFT JOIN LATERAL (SELECT k.id AS key, c.id AS client, c.made_by, c.scopes, k.expires_at, k.last_used_at
                              FROM api_client_keys k JOIN api_clients c ON c.id = k.client_id
                              WHERE k.digest = asked.digest AND k.revoked_at IS NULL LIMIT 1) AS found ON true
           ORDER BY n"#,
        &digests
    )
    .fetch_all(db)
    .await?;
    let kept = rows.into_iter().map(|row| {
        let client = ApiClient { id: row.client?, made_by: row.made_by?, scopes: row.scopes?.into() };
        Some(Kept { key: row.key?, client, expires_at: row.expires_at, last_used_at: row.last_used_at })
    });
    Ok(kept.collect())
}

/// Writes down that a key was used, to the hour.
pub(super) async fn note_use(db: &PgPool, key: ApiKeyId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "UPDATE api_client_keys SET last_used_at = date_trunc('hour', $2::timestamptz)
         WHERE id = $1 AND last_used_at IS DISTINCT FROM date_trunc('hour', $2::timestamptz)",
        key.0,
        now
    )
    .execute(db)
    .await?;
    Ok(())
}
