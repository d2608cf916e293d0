use sqlx::PgPool;

use crate::db::Tx;
use crate::error::Result;
use crate::ids::AccountId;

/// The account that has proved an address, locked.
pub(super) async fn proved(tx: &mut Tx, address: &str) -> Result<Option<AccountId>> {
    let id = sqlx::query_scalar!(
        r#"SELECT id AS "id: AccountId" FROM accounts WHERE email = $1 AND email_verified_at IS NOT NULL FOR UPDATE"#,
        address as _
    );
    Ok(id.fetch_optional(&mut **tx).await?)
}

/// The hash of an account's password; none where it has none.
pub(super) async fn hash(db: &PgPool, account: AccountId) -> Result<Option<String>> {
    let hash = sqlx::query_scalar!("SELECT password_hash FROM accounts WHERE id = $1", account.0);
    Ok(hash.fetch_optional(db).await?.filter(|hash| !hash.is_empty()))
}

pub(super) async fn set(tx: &mut Tx, account: AccountId, hash: &str) -> Result<()> {
    sqlx::query!("UPDATE accounts SET password_hash = $2 WHERE id = $1", account.0, hash).execute(&mut **tx).await?;
    Ok(())
}
