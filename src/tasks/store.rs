use chrono::{DateTime, Utc};
use serde_json::Value;

use super::Task;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::uuid_at;

/// Raises a task, unless one of its kind is open for its subject.
pub async fn raise(tx: &mut Tx, task: &Task, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "INSERT INTO tasks (id, kind, subject_type, subject_id, details, raised_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (kind, subject_type, subject_id) WHERE resolved_at IS NULL DO NOTHING",
        uuid_at(now),
        task.kind,
        task.subject_type,
        task.subject,
        &task.details as &Value,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
