use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::CodePurpose;
use crate::cipher::Sealed;
use crate::db::{BATCH, Tx, in_batches};
use crate::error::Result;
use crate::ids::{AccountId, MailedCodeId};

/// How long a code is kept once it can be used no more.
const KEPT: TimeDelta = TimeDelta::days(1);

/// A code as it is kept.
pub(super) struct Kept {
    pub account_id: AccountId,
    pub purpose: CodePurpose,
    pub code: Sealed,
    pub address: Sealed,
    pub expires_at: DateTime<Utc>,
}

/// A code that can be used.
pub(super) async fn find(db: &PgPool, id: MailedCodeId, now: DateTime<Utc>) -> Result<Option<Kept>> {
    let kept = sqlx::query_as!(
        Kept,
        r#"SELECT account_id, purpose AS "purpose: CodePurpose", code_sealed AS "code: Sealed", address_sealed AS "address: Sealed", expires_at
           FROM mailed_codes WHERE id = $1 AND ended_at IS NULL AND expires_at > $2"#,
        id.0,
        now
    );
    Ok(kept.fetch_optional(db).await?)
}

pub(super) async fn insert(
    tx: &mut Tx,
    id: MailedCodeId,
    (account, purpose): (AccountId, CodePurpose),
    (digest, address_digest): (Option<Vec<u8>>, Vec<u8>),
    (code, address): (Sealed, Sealed),
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO mailed_codes (id, account_id, purpose, digest, code_sealed, address_sealed, created_at, expires_at, address_digest)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        id.0,
        account.0,
        purpose as CodePurpose,
        digest,
        code as Sealed,
        address as Sealed,
        now,
        now + purpose.lasts(),
        address_digest,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// When codes were asked for since then, the latest first.
pub(super) async fn asked_since(
    tx: &mut Tx,
    account: AccountId,
    purpose: CodePurpose,
    since: DateTime<Utc>,
) -> Result<Vec<DateTime<Utc>>> {
    let times = sqlx::query_scalar!(
        "SELECT created_at FROM mailed_codes WHERE account_id = $1 AND purpose = $2 AND created_at > $3 ORDER BY id DESC LIMIT 100",
        account.0,
        purpose as CodePurpose,
        since
    );
    Ok(times.fetch_all(&mut **tx).await?)
}

/// When codes were mailed to an address since then, for any account, the latest first.
pub(super) async fn mailed_since(
    tx: &mut Tx,
    address: &[u8],
    purpose: CodePurpose,
    since: DateTime<Utc>,
) -> Result<Vec<DateTime<Utc>>> {
    let times = sqlx::query_scalar!(
        "SELECT created_at FROM mailed_codes WHERE address_digest = $1 AND purpose = $2 AND created_at > $3 ORDER BY created_at DESC LIMIT 100",
        address,
        purpose as CodePurpose,
        since
    );
    Ok(times.fetch_all(&mut **tx).await?)
}

/// Counts a try of the account's latest code, and locks it; none where there is none that may be tried.
pub(super) async fn try_latest(
    tx: &mut Tx,
    account: AccountId,
    purpose: CodePurpose,
    most: i16,
    now: DateTime<Utc>,
) -> Result<Option<(MailedCodeId, Kept)>> {
    let row = sqlx::query!(
        r#"UPDATE mailed_codes SET tries = tries + 1
           WHERE id = (SELECT id FROM mailed_codes WHERE account_id = $1 AND purpose = $2 AND ended_at IS NULL
                       ORDER BY id DESC LIMIT 1 FOR UPDATE)
             AND tries < $3 AND expires_at > $4 AND ended_at IS NULL
           RETURNING id, account_id, purpose AS "purpose: CodePurpose", code_sealed AS "code: Sealed", address_sealed AS "address: Sealed", expires_at"#,
        account.0,
        purpose as CodePurpose,
        most,
        now
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| {
        let (account_id, purpose, expires_at) = (row.account_id, row.purpose, row.expires_at);
        (row.id, Kept { account_id, purpose, code: row.code, address: row.address, expires_at })
    }))
}

/// Whose token this is, while it can be used.
pub(super) async fn owner(
    db: &PgPool,
    purpose: CodePurpose,
    digest: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<AccountId>> {
    let owner = sqlx::query_scalar!(
        r#"SELECT account_id AS "account_id: AccountId" FROM mailed_codes
           WHERE digest = $1 AND purpose = $2 AND ended_at IS NULL AND expires_at > $3"#,
        digest,
        purpose as CodePurpose,
        now
    );
    Ok(owner.fetch_optional(db).await?)
}

/// Uses a token up.
pub(super) async fn use_token(
    tx: &mut Tx,
    purpose: CodePurpose,
    digest: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<(MailedCodeId, Sealed, DateTime<Utc>)>> {
    let row = sqlx::query!(
        r#"UPDATE mailed_codes SET ended_at = $3 WHERE digest = $1 AND purpose = $2 AND ended_at IS NULL AND expires_at > $3
           RETURNING id, address_sealed AS "address: Sealed", created_at"#,
        digest,
        purpose as CodePurpose,
        now
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| (row.id, row.address, row.created_at)))
}

pub(super) async fn end_one(tx: &mut Tx, id: MailedCodeId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("UPDATE mailed_codes SET ended_at = $2 WHERE id = $1", id.0, now).execute(&mut **tx).await?;
    Ok(())
}

pub(super) async fn end(tx: &mut Tx, account: AccountId, purpose: CodePurpose, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "UPDATE mailed_codes SET ended_at = $3 WHERE account_id = $1 AND purpose = $2 AND ended_at IS NULL",
        account.0,
        purpose as CodePurpose,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Deletes codes that could be used until a day ago.
pub(super) async fn forget(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    in_batches(|| async move {
        let gone = sqlx::query!(
            "DELETE FROM mailed_codes WHERE id = ANY (ARRAY(
                 SELECT id FROM mailed_codes WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
            now - KEPT,
            BATCH
        );
        Ok(gone.execute(db).await?.rows_affected())
    })
    .await
}
