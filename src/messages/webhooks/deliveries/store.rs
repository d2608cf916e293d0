use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use super::super::kinds::TEST;
use super::{WebhookAttempt, WebhookDelivery};
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{BookingId, DeliveryId, EndpointId};
use crate::messages::State;

/// A message as it is stored, without its attempts.
struct Row {
    id: DeliveryId,
    kind: String,
    booking_id: Option<BookingId>,
    state: State,
    due_at: Option<DateTime<Utc>>,
    error: Option<String>,
    created_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
}

impl From<Row> for WebhookDelivery {
    fn from(row: Row) -> Self {
        let Row { id, kind, booking_id, state, due_at, error, created_at, ended_at } = row;
        Self { id, kind, booking_id, state, due_at, error, attempts: Vec::new(), created_at, ended_at }
    }
}

/// The columns of a message, read alike everywhere.
macro_rules! deliveries {
    ($tail:literal $(, $arg:expr)*) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id, message AS kind, booking_id, state AS "state: State",
                      CASE WHEN state = 'pending' THEN due_at END AS due_at, last_error AS error, created_at, ended_at
               FROM deliveries WHERE "# + $tail
            $(, $arg)*
        )
    };
}

/// Messages to an endpoint, the latest first: up to `count` from after `after`.
pub(super) async fn list(
    db: &PgPool,
    endpoint: EndpointId,
    after: Option<DeliveryId>,
    count: i64,
) -> Result<Vec<WebhookDelivery>> {
    let after = after.unwrap_or(DeliveryId(Uuid::max()));
    let rows = deliveries!("endpoint_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3", endpoint.0, after.0, count);
    Ok(rows.fetch_all(db).await?.into_iter().map(WebhookDelivery::from).collect())
}

/// A message to an endpoint.
pub(super) async fn find(tx: &mut Tx, endpoint: EndpointId, id: DeliveryId) -> Result<Option<WebhookDelivery>> {
    let row = deliveries!("endpoint_id = $1 AND id = $2", endpoint.0, id.0).fetch_optional(&mut **tx).await?;
    Ok(row.map(WebhookDelivery::from))
}

/// Adds what was tried of these messages.
pub(super) async fn add_attempts<'c>(db: impl PgExecutor<'c>, deliveries: &mut [WebhookDelivery]) -> Result<()> {
    let ids: Vec<DeliveryId> = deliveries.iter().map(|delivery| delivery.id).collect();
    let rows = sqlx::query!(
        r#"SELECT delivery_id AS "delivery_id: DeliveryId", number, at, ms, status, error FROM delivery_attempts WHERE delivery_id = ANY ($1) ORDER BY delivery_id, number"#,
        &ids as &[DeliveryId]
    )
    .fetch_all(db)
    .await?;
    let mut attempts: HashMap<DeliveryId, Vec<WebhookAttempt>> = HashMap::new();
    for row in rows {
        let attempt =
            WebhookAttempt { number: row.number, at: row.at, ms: row.ms, status: row.status, error: row.error };
        attempts.entry(row.delivery_id).or_default().push(attempt);
    }
    for delivery in deliveries {
        delivery.attempts = attempts.remove(&delivery.id).unwrap_or_default();
    }
    Ok(())
}

/// Where a message stands, which nobody else changes until this ends.
pub(super) async fn lock(tx: &mut Tx, endpoint: EndpointId, id: DeliveryId) -> Result<Option<State>> {
    let state = sqlx::query_scalar!(
        r#"SELECT state AS "state: State" FROM deliveries WHERE endpoint_id = $1 AND id = $2 FOR UPDATE"#,
        endpoint.0,
        id.0
    );
    Ok(state.fetch_optional(&mut **tx).await?)
}

/// Sends a message at once; all its attempts begin anew where it was given up.
pub(super) async fn send_again(tx: &mut Tx, id: DeliveryId, now: DateTime<Utc>) -> Result<()> {
    send_all_again(tx, &[id], now).await?;
    Ok(())
}

/// Sends these messages at once; all attempts of those that were given up begin anew. How many there were.
pub(super) async fn send_all_again(tx: &mut Tx, ids: &[DeliveryId], now: DateTime<Utc>) -> Result<u64> {
    let changed = sqlx::query!(
        "UPDATE deliveries SET attempts = CASE WHEN state = 'pending' THEN attempts ELSE 0 END, state = 'pending', due_at = $2,
                               expires_at = greatest(expires_at, $2::timestamptz + interval '3 days'),
                               lease_until = NULL, ended_at = NULL
         WHERE id = ANY ($1) AND state IN ('pending', 'failed', 'expired')",
        ids as &[DeliveryId],
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(changed.rows_affected())
}

/// Messages that were given up, of those that were made since then: the oldest first, up to `count`.
pub(super) async fn failed_since(
    tx: &mut Tx,
    endpoint: EndpointId,
    since: DateTime<Utc>,
    count: i64,
) -> Result<Vec<DeliveryId>> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM deliveries WHERE endpoint_id = $1 AND id >= least_id($2) AND created_at >= $2 AND state IN ('failed', 'expired')
         ORDER BY id LIMIT $3",
        endpoint.0,
        since,
        count
    );
    Ok(ids.fetch_all(&mut **tx).await?)
}

/// Puts a message on its way that tries an endpoint out. It has a lane of its own, so that it waits for no other.
pub(super) async fn insert_test(
    tx: &mut Tx,
    endpoint: EndpointId,
    id: DeliveryId,
    body: Value,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO deliveries (id, once, event_kind, message, endpoint_id, class, channel, lane, due_at, expires_at, valid, created_at)
         VALUES ($1, $3, $2, $2, $4, 'webhook', 'webhook', $3, $5::timestamptz, $5::timestamptz + interval '3 days', $6, $5::timestamptz)",
        id.0,
        TEST,
        format!("webhook:{endpoint}:test:{id}"),
        endpoint.0,
        now,
        body
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Ends what waits to be sent to an endpoint.
pub(super) async fn withdraw(tx: &mut Tx, endpoint: EndpointId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "UPDATE deliveries SET state = 'withdrawn', ended_at = $2, lease_until = NULL WHERE endpoint_id = $1 AND state IN ('pending', 'sending')",
        endpoint.0,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
