use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::cipher::Sealed;
use crate::db::{BATCH, Tx, in_batches};
use crate::error::Result;
use crate::ids::AccountId;

/// A secret, and since when log-ins ask for it.
pub(super) struct Factor {
    pub secret: Sealed,
    pub confirmed_at: Option<DateTime<Utc>>,
}

/// The secret of an account, locked until the transaction ends.
pub(super) async fn lock(tx: &mut Tx, account: AccountId) -> Result<Option<Factor>> {
    let factor = sqlx::query_as!(
        Factor,
        r#"SELECT secret_sealed AS "secret: Sealed", confirmed_at
           FROM second_factors WHERE account_id = $1 FOR UPDATE"#,
        account.0
    );
    Ok(factor.fetch_optional(&mut **tx).await?)
}

/// Whether log-ins ask for a second factor.
pub(super) async fn is_on(tx: &mut Tx, account: AccountId) -> Result<bool> {
    let on = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM second_factors WHERE account_id = $1 AND confirmed_at IS NOT NULL) AS "on!""#,
        account.0
    );
    Ok(on.fetch_one(&mut **tx).await?)
}

/// Keeps a secret in the place of one that was not confirmed.
pub(super) async fn put(tx: &mut Tx, account: AccountId, secret: Sealed, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "INSERT INTO second_factors (account_id, secret_sealed, created_at) VALUES ($1, $2, $3)
         ON CONFLICT (account_id) DO UPDATE SET secret_sealed = excluded.secret_sealed, created_at = excluded.created_at, last_step = 0",
        account.0,
        secret as Sealed,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn confirm(tx: &mut Tx, account: AccountId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("UPDATE second_factors SET confirmed_at = $2 WHERE account_id = $1", account.0, now)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Uses the code of a step up; false where it, or a later one, was used before.
pub(super) async fn use_step(tx: &mut Tx, account: AccountId, step: i64) -> Result<bool> {
    let used = sqlx::query!(
        "UPDATE second_factors SET last_step = $2 WHERE account_id = $1 AND last_step < $2",
        account.0,
        step
    );
    Ok(used.execute(&mut **tx).await?.rows_affected() == 1)
}

/// Takes secret and recovery codes away; whether log-ins asked for them.
pub(super) async fn remove(tx: &mut Tx, account: AccountId) -> Result<bool> {
    let was_on = sqlx::query_scalar!(
        r#"DELETE FROM second_factors WHERE account_id = $1 RETURNING confirmed_at IS NOT NULL AS "on!""#,
        account.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    sqlx::query!("DELETE FROM recovery_codes WHERE account_id = $1", account.0).execute(&mut **tx).await?;
    Ok(was_on.unwrap_or_default())
}

/// Keeps recovery codes in the place of those before.
pub(super) async fn replace_codes(tx: &mut Tx, account: AccountId, digests: &[Vec<u8>]) -> Result<()> {
    sqlx::query!("DELETE FROM recovery_codes WHERE account_id = $1", account.0).execute(&mut **tx).await?;
    sqlx::query!(
        "INSERT INTO recovery_codes (account_id, digest) SELECT $1, digest FROM unnest($2::bytea[]) AS digest",
        account.0,
        digests
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Uses a recovery code up; whether there was one.
pub(super) async fn use_code(tx: &mut Tx, account: AccountId, digest: &[u8]) -> Result<bool> {
    let used = sqlx::query!("DELETE FROM recovery_codes WHERE account_id = $1 AND digest = $2", account.0, digest);
    Ok(used.execute(&mut **tx).await?.rows_affected() == 1)
}

pub(super) async fn challenge(
    tx: &mut Tx,
    account: AccountId,
    (digest, password): (&[u8], &[u8]),
    expires_at: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO login_challenges (digest, account_id, password, expires_at) VALUES ($1, $2, $3, $4)",
        digest,
        account.0,
        password,
        expires_at
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Whose log-in this is, and the digest of the hash of the password that was right.
pub(super) async fn challenged(db: &PgPool, digest: &[u8], now: DateTime<Utc>) -> Result<Option<(AccountId, Vec<u8>)>> {
    let row = sqlx::query!(
        r#"SELECT account_id AS "account_id: AccountId", password FROM login_challenges WHERE digest = $1 AND expires_at > $2"#,
        digest,
        now
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| (row.account_id, row.password)))
}

/// Uses a challenge up; whether it was there.
pub(super) async fn use_challenge(tx: &mut Tx, digest: &[u8]) -> Result<bool> {
    let used = sqlx::query!("DELETE FROM login_challenges WHERE digest = $1", digest);
    Ok(used.execute(&mut **tx).await?.rows_affected() == 1)
}

/// Deletes challenges that are over.
pub(super) async fn forget(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    in_batches(|| async move {
        let gone = sqlx::query!(
            "DELETE FROM login_challenges WHERE digest = ANY (ARRAY(
                 SELECT digest FROM login_challenges WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
            now,
            BATCH
        );
        Ok(gone.execute(db).await?.rows_affected())
    })
    .await
}
