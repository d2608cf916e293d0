use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, PgPool};

use super::Count;
use crate::db::{BATCH, Tx, in_batches};
use crate::error::Result;
use crate::ids::AccountId;

/// Whether a session of the account with this address was begun or continued from a network.
pub(super) async fn is_familiar(tx: &mut Tx, origin: &str, email: &str) -> Result<bool> {
    let familiar = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM accounts a JOIN sessions s ON s.account_id = a.id
                          WHERE a.email = $2 AND s.origin = $1) AS "familiar!""#,
        origin,
        email as _
    );
    Ok(familiar.fetch_one(&mut **tx).await?)
}

/// Whether a session of the account was begun or continued from a network.
pub(super) async fn is_own(tx: &mut Tx, origin: &str, account: AccountId) -> Result<bool> {
    let own = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM sessions WHERE account_id = $2 AND origin = $1) AS "own!""#,
        origin,
        account.0
    );
    Ok(own.fetch_one(&mut **tx).await?)
}

/// The counts of these keys, in their order, locked in that order until the transaction ends.
pub(super) async fn lock(tx: &mut Tx, keys: &[Vec<u8>], now: DateTime<Utc>) -> Result<Vec<Count>> {
    let rows = sqlx::query!(
        r#"INSERT INTO login_attempts AS kept (key, failures, since, next_at, seen_at)
           SELECT key, 0, $2, $2, $2 FROM unnest($1::bytea[]) WITH ORDINALITY AS asked (key, n) ORDER BY n
           ON CONFLICT (key) DO UPDATE SET failures = kept.failures
           RETURNING key, failures, since, next_at, seen_at"#,
        keys,
        now
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut found: HashMap<Vec<u8>, Count> = HashMap::new();
    for row in rows {
        let count = Count { failures: row.failures, since: row.since, next_at: row.next_at, seen_at: row.seen_at };
        found.insert(row.key, count);
    }
    let none = Count { failures: 0, since: now, next_at: now, seen_at: now };
    Ok(keys.iter().map(|key| found.get(key).copied().unwrap_or(none)).collect())
}

pub(super) async fn save(tx: &mut Tx, keys: &[Vec<u8>], counts: &[Count]) -> Result<()> {
    let failures: Vec<i32> = counts.iter().map(|count| count.failures).collect();
    let since: Vec<DateTime<Utc>> = counts.iter().map(|count| count.since).collect();
    let next_at: Vec<DateTime<Utc>> = counts.iter().map(|count| count.next_at).collect();
    let seen_at: Vec<DateTime<Utc>> = counts.iter().map(|count| count.seen_at).collect();
    sqlx::query!(
        "UPDATE login_attempts kept SET failures = counted.failures, since = counted.since, next_at = counted.next_at, seen_at = counted.seen_at
         FROM unnest($1::bytea[], $2::integer[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[])
              AS counted (key, failures, since, next_at, seen_at)
         WHERE kept.key = counted.key",
        keys,
        &failures,
        &since,
        &next_at,
        &seen_at
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Counts one failure less for each of these keys, and ends their delays.
pub(super) async fn take_back<'c>(db: impl PgExecutor<'c>, keys: &[Vec<u8>], now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        // The rows are locked in one order, by whoever locks several.
        "WITH taken AS MATERIALIZED (
             SELECT a.key FROM unnest($1::bytea[]) WITH ORDINALITY AS asked (key, n) JOIN login_attempts a ON a.key = asked.key
             ORDER BY n FOR UPDATE OF a
         )
         UPDATE login_attempts SET failures = greatest(failures - 1, 0), next_at = least(next_at, $2) WHERE key IN (SELECT key FROM taken)",
        keys,
        now
    )
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn forgive(tx: &mut Tx, key: &[u8]) -> Result<()> {
    sqlx::query!("DELETE FROM login_attempts WHERE key = $1", key).execute(&mut **tx).await?;
    Ok(())
}

/// Deletes counts without an attempt since then.
pub(super) async fn forget(db: &PgPool, since: DateTime<Utc>) -> Result<()> {
    in_batches(|| async move {
        let gone = sqlx::query!(
            "DELETE FROM login_attempts WHERE key = ANY (ARRAY(
                 SELECT key FROM login_attempts WHERE seen_at < $1 ORDER BY seen_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
            since,
            BATCH
        );
        Ok(gone.execute(db).await?.rows_affected())
    })
    .await
}
