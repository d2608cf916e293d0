use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::db::Tx;
use crate::error::Result;
use crate::ids::{AccountId, RecipientId};
use crate::personal::PersonalTable;

/// A row that tells of a person.
pub(super) struct Row {
    pub columns: Value,
    /// What each of its seals is bound to.
    pub bound: Vec<String>,
    /// The recipient whom it tells of.
    pub whose: Option<RecipientId>,
}

/// The rows of an account. `bound` are the expressions for what their seals are bound to.
pub(super) async fn rows(tx: &mut Tx, table: &PersonalTable, account: AccountId, bound: &[&str]) -> Result<Vec<Row>> {
    let rows: Vec<(Value, Vec<String>, Option<Uuid>)> =
        sqlx::query_as(AssertSqlSafe(table.tells(bound))).bind(account.0).fetch_all(&mut **tx).await?;
    let row = |(columns, bound, whose): (Value, Vec<String>, Option<Uuid>)| Row {
        columns,
        bound,
        whose: whose.map(RecipientId),
    };
    Ok(rows.into_iter().map(row).collect())
}

/// Ends the rows of an account.
pub(super) async fn end(tx: &mut Tx, table: &PersonalTable, account: AccountId, now: DateTime<Utc>) -> Result<()> {
    if let Some(statement) = table.ends() {
        sqlx::query(AssertSqlSafe(statement)).bind(account.0).bind(now).execute(&mut **tx).await?;
    }
    Ok(())
}

/// How often an account was exported within a day before `now`.
pub(super) async fn count_exports(tx: &mut Tx, account: AccountId, now: DateTime<Utc>) -> Result<i64> {
    let since = now - TimeDelta::hours(24);
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM events
           WHERE subject_type = 'account' AND subject_id = $1 AND id >= least_id($2) AND kind = 'account.export' AND at > $2"#,
        account.to_string(),
        since
    );
    Ok(count.fetch_one(&mut **tx).await?)
}
