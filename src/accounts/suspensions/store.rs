use super::AccountStanding;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::AccountId;
use crate::values::Role;

pub(super) async fn find(tx: &mut Tx, id: AccountId) -> Result<Option<AccountStanding>> {
    let standing = sqlx::query_as!(
        AccountStanding,
        r#"SELECT id, role AS "role: Role", suspended_at FROM accounts WHERE id = $1"#,
        id.0
    );
    Ok(standing.fetch_optional(&mut **tx).await?)
}

/// The same, locked until the transaction ends.
pub(super) async fn lock(tx: &mut Tx, id: AccountId) -> Result<AccountStanding> {
    let standing = sqlx::query_as!(
        AccountStanding,
        r#"SELECT id, role AS "role: Role", suspended_at FROM accounts WHERE id = $1 FOR UPDATE"#,
        id.0
    );
    Ok(standing.fetch_one(&mut **tx).await?)
}

pub(super) async fn set(tx: &mut Tx, standing: &AccountStanding) -> Result<()> {
    sqlx::query!("UPDATE accounts SET suspended_at = $2 WHERE id = $1", standing.id.0, standing.suspended_at)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
