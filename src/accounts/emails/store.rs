use chrono::{DateTime, Utc};

use crate::accounts::store::nobodys_address;
use crate::db::Tx;
use crate::error::{OnConstraint, Refusal, Result};
use crate::ids::AccountId;

/// The account that has an address, other than this one, and whether it has proved it; locked.
pub(super) async fn other_holder(tx: &mut Tx, account: AccountId, address: &str) -> Result<Option<(AccountId, bool)>> {
    let row = sqlx::query!(
        r#"SELECT id, email_verified_at IS NOT NULL AS "is_verified!" FROM accounts WHERE email = $2 AND id <> $1 FOR UPDATE"#,
        account.0,
        address as _
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| (row.id, row.is_verified)))
}

/// Gives an account an address that its owner has proved.
pub(super) async fn set(tx: &mut Tx, account: AccountId, address: &str, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "UPDATE accounts SET email = $2, claimed_email = NULL, email_verified_at = $3 WHERE id = $1",
        account.0,
        address as _,
        now
    )
    .execute(&mut **tx)
    .await
    .on_constraint("accounts_email_taken", Refusal::EmailTaken)?;
    Ok(())
}

/// Takes the address and the password from an account.
pub(super) async fn take(tx: &mut Tx, account: AccountId) -> Result<()> {
    let address = nobodys_address("replaced", account);
    sqlx::query!("UPDATE accounts SET email = $2, password_hash = '' WHERE id = $1", account.0, address as _)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
