use sqlx::PgExecutor;

use super::StaffMember;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::AccountId;
use crate::values::{Grant, Grants};

/// The columns of a member of staff, read alike everywhere.
macro_rules! staff {
    ($tail:literal $(, $arg:expr)*) => {
        sqlx::query_as!(
            StaffMember,
            r#"SELECT id, display_name, email::text AS "email!", grants AS "grants: Vec<Grant>", created_at
               FROM accounts WHERE role = 'admin' "# + $tail
            $(, $arg)*
        )
    };
}

pub(super) async fn all<'c>(db: impl PgExecutor<'c>) -> Result<Vec<StaffMember>> {
    Ok(staff!("ORDER BY id").fetch_all(db).await?)
}

pub(super) async fn find<'c>(db: impl PgExecutor<'c>, id: AccountId) -> Result<Option<StaffMember>> {
    Ok(staff!("AND id = $1", id.0).fetch_optional(db).await?)
}

pub(super) async fn set_grants(tx: &mut Tx, id: AccountId, grants: Grants) -> Result<()> {
    let grants: Vec<Grant> = grants.iter().collect();
    sqlx::query!("UPDATE accounts SET grants = $2 WHERE id = $1", id.0, &grants as &[Grant]).execute(&mut **tx).await?;
    Ok(())
}

/// How many owners there are.
pub(super) async fn owners(tx: &mut Tx) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM accounts WHERE role = 'admin' AND 'owner' = ANY (grants) AND suspended_at IS NULL AND erases_at IS NULL"#
    );
    Ok(count.fetch_one(&mut **tx).await?)
}
