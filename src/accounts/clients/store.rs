use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, PgPool};

use super::{ApiClient, ApiClientKey};
use crate::auth::ApiKey;
use crate::db::{BATCH, Tx, in_batches};
use crate::error::{Error, Result};
use crate::ids::{AccountId, ApiClientId, ApiKeyId};
use crate::values::Scope;

/// The columns of an API client, read alike everywhere.
macro_rules! clients {
    ($tail:literal $(, $arg:expr)*) => {
        sqlx::query_as!(
            ApiClient,
            r#"SELECT id AS "id: ApiClientId", name, scopes AS "scopes: Vec<Scope>", made_by AS "created_by: AccountId", created_at
               FROM api_clients "# + $tail
            $(, $arg)*
        )
    };
}

/// All API clients, in the order in which they were made.
pub(super) async fn all(db: &PgPool) -> Result<Vec<ApiClient>> {
    Ok(clients!("ORDER BY id").fetch_all(db).await?)
}

/// One API client.
pub(super) async fn find<'c>(db: impl PgExecutor<'c>, id: ApiClientId) -> Result<Option<ApiClient>> {
    Ok(clients!("WHERE id = $1", id.0).fetch_optional(db).await?)
}

/// One API client, whose keys nobody else changes until this ends.
pub(super) async fn lock(tx: &mut Tx, id: ApiClientId) -> Result<ApiClient> {
    clients!("WHERE id = $1 FOR UPDATE", id.0).fetch_optional(&mut **tx).await?.ok_or(Error::NotFound)
}

/// How many API clients there are.
pub(super) async fn count(tx: &mut Tx) -> Result<i64> {
    let count = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM api_clients"#);
    Ok(count.fetch_one(&mut **tx).await?)
}

/// Stores a new API client.
pub(super) async fn insert(tx: &mut Tx, new: &ApiClient) -> Result<()> {
    let scopes: Vec<Scope> = new.scopes.iter().collect();
    sqlx::query!(
        "INSERT INTO api_clients (id, name, scopes, made_by, created_at) VALUES ($1, $2, $3, $4, $5)",
        new.id.0,
        new.name,
        &scopes as &[Scope],
        new.created_by.0,
        new.created_at
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Deletes an API client with its keys.
pub(super) async fn delete(tx: &mut Tx, id: ApiClientId) -> Result<()> {
    sqlx::query!("DELETE FROM api_clients WHERE id = $1", id.0).execute(&mut **tx).await?;
    Ok(())
}

/// The keys of an API client, in the order in which they were made.
pub(super) async fn keys(db: &PgPool, client: ApiClientId) -> Result<Vec<ApiClientKey>> {
    let rows = sqlx::query!(
        r#"SELECT id AS "id: ApiKeyId", created_at, last_used_at, expires_at, revoked_at
           FROM api_client_keys WHERE client_id = $1 ORDER BY id"#,
        client.0
    )
    .fetch_all(db)
    .await?;
    let keys = rows.into_iter().map(|row| ApiClientKey {
        id: row.id,
        beginning: ApiKey::beginning(row.id),
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        expires_at: row.expires_at,
        revoked_at: row.revoked_at,
    });
    Ok(keys.collect())
}

/// How many keys of an API client are good.
pub(super) async fn good_keys(tx: &mut Tx, client: ApiClientId, now: DateTime<Utc>) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM api_client_keys
           WHERE client_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)"#,
        client.0,
        now
    );
    Ok(count.fetch_one(&mut **tx).await?)
}

/// Stores a new key by its digest.
pub(super) async fn insert_key(tx: &mut Tx, client: ApiClientId, key: &ApiClientKey, digest: &[u8]) -> Result<()> {
    sqlx::query!(
        "INSERT INTO api_client_keys (id, client_id, digest, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
        key.id.0,
        client.0,
        digest,
        key.created_at,
        key.expires_at
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Whether a key of the API client was not revoked; none where it has no such key.
pub(super) async fn is_good(tx: &mut Tx, client: ApiClientId, key: ApiKeyId) -> Result<Option<bool>> {
    let is_good = sqlx::query_scalar!(
        r#"SELECT revoked_at IS NULL AS "is_good!" FROM api_client_keys WHERE id = $1 AND client_id = $2"#,
        key.0,
        client.0
    );
    Ok(is_good.fetch_optional(&mut **tx).await?)
}

/// Revokes a key.
pub(super) async fn revoke(tx: &mut Tx, key: ApiKeyId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("UPDATE api_client_keys SET revoked_at = $2 WHERE id = $1", key.0, now).execute(&mut **tx).await?;
    Ok(())
}

/// Deletes the keys that ended before.
pub(super) async fn forget(db: &PgPool, before: DateTime<Utc>) -> Result<()> {
    in_batches(|| async move {
        let gone = sqlx::query!(
            "DELETE FROM api_client_keys WHERE id = ANY (ARRAY(
                 SELECT id FROM api_client_keys WHERE least(revoked_at, expires_at) < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))",
            before,
            BATCH
        );
        Ok(gone.execute(db).await?.rows_affected())
    })
    .await
}
