use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::cipher::Sealed;
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

/// A row with words in it, locked.
pub(super) struct WordsAt {
    part: i64,
    place: String,
    /// What each of its seals is bound to.
    pub bound: Vec<String>,
    /// Whether each is there.
    pub there: Vec<bool>,
}

/// The rows of an account with words in them, locked until the transaction ends.
pub(super) async fn words(
    tx: &mut Tx,
    table: &PersonalTable,
    account: AccountId,
    bound: &[&str],
    columns: &[&str],
) -> Result<Vec<WordsAt>> {
    let found: Vec<(i64, String, Vec<String>, Vec<bool>)> =
        sqlx::query_as(AssertSqlSafe(table.finds_words(bound, columns))).bind(account.0).fetch_all(&mut **tx).await?;
    Ok(found.into_iter().map(|(part, place, bound, there)| WordsAt { part, place, bound, there }).collect())
}

/// Puts seals in the place of those of a row that is locked, and so stays where it is.
pub(super) async fn put_words(
    tx: &mut Tx,
    table: &PersonalTable,
    columns: &[&str],
    at: &WordsAt,
    seals: &[Option<Sealed>],
) -> Result<()> {
    sqlx::query(AssertSqlSafe(table.puts_words(columns)))
        .bind(at.part)
        .bind(&at.place)
        .bind(seals)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
