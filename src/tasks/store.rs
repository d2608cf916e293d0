use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use super::RaisedTask;
use crate::db::{BATCH, Tx, in_batches};
use crate::error::Result;
use crate::ids::{AccountId, TaskId};

/// The columns of a task, read alike everywhere.
macro_rules! tasks {
    ($($tail:literal)+, $($arg:expr),+) => {
        sqlx::query_as!(
            RaisedTask,
            "SELECT id, kind, subject_type, subject_id, details, raised_at, resolved_at, resolved_by, note FROM tasks " $(+ $tail)+,
            $($arg),+
        )
    };
}

/// Which tasks a list shows.
pub(super) struct Listed<'a> {
    pub kind: Option<&'a str>,
    pub subject_type: Option<&'a str>,
    pub subject: Option<Uuid>,
    pub open: bool,
    /// After this instant and id.
    pub after: Option<(DateTime<Utc>, TaskId)>,
    pub count: i64,
}

/// The tasks, oldest first. Each of what is asked for most is a statement of its own, so that each has its index.
pub(super) async fn list(db: &PgPool, listed: &Listed<'_>) -> Result<Vec<RaisedTask>> {
    let (at, id) = listed.after.unwrap_or((DateTime::UNIX_EPOCH, TaskId(Uuid::nil())));
    macro_rules! listed_by {
        ($what:literal) => {
            tasks!(
                $what
                " AND ($1::text IS NULL OR kind = $1) AND ($2::text IS NULL OR subject_type = $2)
                        AND ($3::uuid IS NULL OR subject_id = $3) AND (raised_at, id) > ($4::timestamptz, $5::uuid)
                        ORDER BY raised_at, id LIMIT $6",
                listed.kind,
                listed.subject_type,
                listed.subject,
                at,
                id.0,
                listed.count
            )
            .fetch_all(db)
            .await?
        };
    }
    Ok(match listed {
        Listed { open: true, .. } => listed_by!("WHERE resolved_at IS NULL"),
        Listed { subject: Some(_), .. } => listed_by!("WHERE resolved_at IS NOT NULL AND subject_id = $3"),
        Listed { kind: Some(_), .. } => listed_by!("WHERE resolved_at IS NOT NULL AND kind = $1"),
        _ => listed_by!("WHERE resolved_at IS NOT NULL"),
    })
}

/// How many tasks there are of each kind, on all pages and of all kinds.
pub(super) async fn counts(db: &PgPool, listed: &Listed<'_>) -> Result<BTreeMap<String, i64>> {
    let counts = sqlx::query!(
        r#"SELECT kind, count(*) AS "count!" FROM tasks
           WHERE ($1::text IS NULL OR subject_type = $1) AND ($2::uuid IS NULL OR subject_id = $2)
             AND (resolved_at IS NULL) = $3
           GROUP BY kind"#,
        listed.subject_type,
        listed.subject,
        listed.open
    )
    .fetch_all(db)
    .await?;
    Ok(counts.into_iter().map(|row| (row.kind, row.count)).collect())
}

pub(super) async fn find<'c>(db: impl PgExecutor<'c>, id: TaskId) -> Result<Option<RaisedTask>> {
    Ok(tasks!("WHERE id = $1", id.0).fetch_optional(db).await?)
}

/// The task, locked until the transaction ends.
pub(super) async fn lock(tx: &mut Tx, id: TaskId) -> Result<Option<RaisedTask>> {
    Ok(tasks!("WHERE id = $1 FOR UPDATE", id.0).fetch_optional(&mut **tx).await?)
}

pub(super) async fn resolve(
    tx: &mut Tx,
    id: TaskId,
    by: AccountId,
    note: Option<&str>,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!("UPDATE tasks SET resolved_at = $2, resolved_by = $3, note = $4 WHERE id = $1", id.0, now, by.0, note)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Deletes tasks that were resolved long ago.
pub(super) async fn forget_resolved(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    in_batches(|| async move {
        let gone = sqlx::query!(
            "DELETE FROM tasks WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM tasks WHERE resolved_at < $1 ORDER BY resolved_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
            now - super::KEPT,
            BATCH
        );
        Ok(gone.execute(db).await?.rows_affected())
    })
    .await
}
