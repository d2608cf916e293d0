use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::{Entry, SERVICE};
use crate::db::Tx;
use crate::error::Result;

/// Adds an entry, which stands if the transaction does. A chain is locked from here on: record last.
pub async fn record(tx: &mut Tx, entry: &Entry<'_>, at: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "INSERT INTO audit_events (chain, at, actor_id, action, subject_type, subject_id, details)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        entry.therapist.map_or(SERVICE, |therapist| therapist.0),
        at,
        entry.actor.map(|actor| actor.0),
        entry.action,
        entry.subject_type,
        entry.subject_id,
        Json(&entry.details) as Json<&serde_json::Value>,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
