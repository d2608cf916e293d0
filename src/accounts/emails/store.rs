use chrono::{DateTime, Utc};

use crate::accounts::store::nobodys_address;
use crate::db::Tx;
use crate::error::{OnConstraint, Refusal, Result};
use crate::ids::AccountId;
use crate::values::Role;

/// An account that has an address.
pub(super) struct Holder {
    pub id: AccountId,
    pub role: Role,
    /// Whether it has proved it.
    pub is_verified: bool,
}

/// The account that has an address, other than this one.
pub(super) async fn other_holder(tx: &mut Tx, account: AccountId, address: &str) -> Result<Option<Holder>> {
    let holder = sqlx::query_as!(
        Holder,
        r#"SELECT id AS "id: AccountId", role AS "role: Role", email_verified_at IS NOT NULL AS "is_verified!"
           FROM accounts WHERE email = $2 AND id <> $1"#,
        account.0,
        address as _
    );
    Ok(holder.fetch_optional(&mut **tx).await?)
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

/// Takes the address and the password from an account that has not proved the address; false where it has.
pub(super) async fn take(tx: &mut Tx, account: AccountId, now: DateTime<Utc>) -> Result<bool> {
    let address = nobodys_address("replaced", account);
    let taken = sqlx::query!(
        "UPDATE accounts SET email = $2, password_hash = '', suspended_at = coalesce(suspended_at, $3)
         WHERE id = $1 AND email_verified_at IS NULL",
        account.0,
        address as _,
        now
    );
    Ok(taken.execute(&mut **tx).await?.rows_affected() == 1)
}

/// Takes the password from an account.
pub(super) async fn take_password(tx: &mut Tx, account: AccountId) -> Result<()> {
    sqlx::query!("UPDATE accounts SET password_hash = '' WHERE id = $1", account.0).execute(&mut **tx).await?;
    Ok(())
}
