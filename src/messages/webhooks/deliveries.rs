//! The messages to an endpoint: what became of them, and sending them again.

mod store;

use actix_web::web::Data;
use actix_web::{get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::kinds::test_body;
use super::routes::{Manager, theirs};
use super::{EndpointState, store as endpoints};
use crate::App;
use crate::db::{Tx, uninterrupted};
use crate::error::{Error, Refusal, Result, refused};
use crate::events::{Event, Work};
use crate::http::{Fingerprint, Json, Nothing, OrDefault, Page, Paging, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{BookingId, DeliveryId, EndpointId};
use crate::messages::State;
use crate::values::Instant;

/// The operations on messages to an endpoint.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_webhook_deliveries).service(retry_webhook_delivery);
    config.service(test_webhook_endpoint).service(recover_webhook_endpoint);
}

/// How many messages are sent again at once.
const MOST_RECOVERED: i64 = 1000;

/// A message to an endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookDelivery {
    /// The message's id, which each attempt bears as `webhook-id`.
    pub id: DeliveryId,
    /// What it tells.
    #[serde(rename = "type")]
    #[schema(example = "booking.moved")]
    pub kind: String,
    /// The booking that it is about, if it is about one.
    pub booking_id: Option<BookingId>,
    /// Where it stands.
    pub state: State,
    /// When it is sent next; null where it is not.
    pub due_at: Option<DateTime<Utc>>,
    /// Why the last attempt failed.
    #[schema(example = "status_500")]
    pub error: Option<String>,
    /// The attempts, in order.
    pub attempts: Vec<WebhookAttempt>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was received, or given up.
    pub ended_at: Option<DateTime<Utc>>,
}

/// One attempt to deliver a message.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookAttempt {
    /// Counts the attempts, from 1.
    #[schema(example = 1)]
    pub number: i32,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// How many milliseconds it took.
    #[schema(example = 84)]
    pub ms: i32,
    /// The status that it was answered with; null where it was not.
    #[schema(example = 500)]
    pub status: Option<i32>,
    /// Why it failed: `too_slow`, `unreachable`, `not_public`, `redirect`, `gone`, or `status_` and the status.
    #[schema(example = "status_500")]
    pub error: Option<String>,
}

/// List messages to a webhook endpoint
///
/// What was sent and is to be sent, the latest first, with each attempt. Neither what was sent nor what was answered is kept.
#[utoipa::path(tag = "Webhooks", operation_id = "list_webhook_deliveries", security(("bearer" = ["admin:owner"]), ("api_key" = ["webhooks:manage"])),
    params(("id" = EndpointId, Path, description = "The endpoint."), Paging),
    responses((status = 200, description = "A page of messages.", body = Page<WebhookDelivery>)))]
#[get("/v1/webhook-endpoints/{id}/deliveries")]
async fn list_webhook_deliveries(
    app: Data<App>,
    me: Manager,
    Path(id): Path<EndpointId>,
    Query(paging): Query<Paging>,
) -> Result<Reply> {
    theirs(endpoints::find(&*app.db, id, app.clock.now()).await?.ok_or(Error::NotFound)?, &me)?;
    let found = store::list(&app.db, id, paging.after()?, paging.limit.probe()).await?;
    let mut page = Page::cut(found, paging.limit, |delivery| delivery.id)?;
    store::add_attempts(&*app.db, &mut page.data).await?;
    Reply::ok(&page)
}

/// Send a message again
///
/// One that was given up is sent at once and has all its attempts anew; one that waits for its next attempt is sent at once.
#[utoipa::path(tag = "Webhooks", operation_id = "retry_webhook_delivery", security(("bearer" = ["admin:owner"]), ("api_key" = ["webhooks:manage"])),
    params(("id" = EndpointId, Path, description = "The endpoint."), ("delivery_id" = DeliveryId, Path, description = "The message.")),
    request_body = Option<Nothing>, responses((status = 202, description = "The message, which is sent in a moment.", body = WebhookDelivery)),
    extensions(("x-refusals" = json!(refused![DeliveryNotRetriable, EndpointDisabled]))))]
#[post("/v1/webhook-endpoints/{id}/deliveries/{delivery_id}/retry")]
async fn retry_webhook_delivery(
    app: Data<App>,
    me: Manager,
    Path((id, delivery)): Path<(EndpointId, DeliveryId)>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.actor())).await?;
        let now = work.now();
        let is_enabled = theirs(endpoints::lock(&mut work, id, now).await?, &me)?.state == EndpointState::Enabled;
        let state = store::lock(&mut work, id, delivery).await?.ok_or(Error::NotFound)?;
        if !is_enabled {
            return Err(Refusal::EndpointDisabled.into());
        }
        if !matches!(state, State::Pending | State::Failed | State::Expired) {
            return Err(Refusal::DeliveryNotRetriable.into());
        }
        store::send_again(&mut work, delivery, now).await?;
        announce(&mut work, "webhook_endpoint.retry", id, json!({ "delivery_id": delivery })).await?;
        let shown = shown(&mut work, id, delivery).await?;
        work.commit().await?;
        Reply::accepted(&shown)
    })
    .await
}

/// Try a webhook endpoint out
///
/// Sends it a message of the type `endpoint.test`, whatever it asks to be told of.
#[utoipa::path(tag = "Webhooks", operation_id = "test_webhook_endpoint", security(("bearer" = ["admin:owner"]), ("api_key" = ["webhooks:manage"])),
    params(("id" = EndpointId, Path, description = "The endpoint."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = Option<Nothing>, responses((status = 202, description = "The message, which is sent in a moment.", body = WebhookDelivery)),
    extensions(("x-refusals" = json!(refused![EndpointDisabled]))))]
#[post("/v1/webhook-endpoints/{id}/test")]
async fn test_webhook_endpoint(
    app: Data<App>,
    me: Manager,
    Path(id): Path<EndpointId>,
    key: IdempotencyKey,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.actor())).await?;
        let print = Fingerprint::of(&[]).about(id);
        let once = Once::claim(&mut work, "POST /v1/webhook-endpoints/{id}/test", key, print).await?;
        let now = work.now();
        if theirs(endpoints::lock(&mut work, id, now).await?, &me)?.state == EndpointState::Disabled {
            return Err(Refusal::EndpointDisabled.into());
        }
        let delivery = DeliveryId::new(now);
        store::insert_test(&mut work, id, delivery, test_body(id, now)?, now).await?;
        announce(&mut work, "webhook_endpoint.test", id, json!({ "delivery_id": delivery })).await?;
        let reply = Reply::accepted(&shown(&mut work, id, delivery).await?)?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// From when on to send again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RecoverSince {
    /// Messages that were made before that are left.
    since: Instant,
}

/// What is sent again.
#[derive(Serialize, ToSchema)]
struct Recovered {
    /// How many messages are sent again.
    #[schema(example = 12)]
    messages: u64,
    /// Whether there are more, which the same request takes next.
    more: bool,
}

/// Send again what failed
///
/// Every message that was given up is sent again, with all its attempts anew: the oldest first, and 1,000 at most by one request.
#[utoipa::path(tag = "Webhooks", operation_id = "recover_webhook_endpoint", security(("bearer" = ["admin:owner"]), ("api_key" = ["webhooks:manage"])),
    params(("id" = EndpointId, Path, description = "The endpoint.")), request_body = RecoverSince,
    responses((status = 202, description = "What is sent again in a moment.", body = Recovered)),
    extensions(("x-refusals" = json!(refused![EndpointDisabled]))))]
#[post("/v1/webhook-endpoints/{id}/recover")]
async fn recover_webhook_endpoint(
    app: Data<App>,
    me: Manager,
    Path(id): Path<EndpointId>,
    Json(asked, _): Json<RecoverSince>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.actor())).await?;
        let now = work.now();
        if theirs(endpoints::lock(&mut work, id, now).await?, &me)?.state == EndpointState::Disabled {
            return Err(Refusal::EndpointDisabled.into());
        }
        let Instant(since) = asked.since;
        let found = store::failed_since(&mut work, id, since, MOST_RECOVERED + 1).await?;
        let more = found.len() > usize::try_from(MOST_RECOVERED).unwrap_or(usize::MAX);
        let again = &found[..found.len() - usize::from(more)];
        let messages = store::send_all_again(&mut work, again, now).await?;
        let details = json!({ "since": since, "messages": messages });
        announce(&mut work, "webhook_endpoint.recover", id, details).await?;
        work.commit().await?;
        Reply::accepted(&Recovered { messages, more })
    })
    .await
}

async fn announce(work: &mut Work, kind: &str, id: EndpointId, details: serde_json::Value) -> Result<()> {
    work.announce(Event::new(kind, "webhook_endpoint", id).with(details)).await
}

async fn shown(tx: &mut Tx, id: EndpointId, delivery: DeliveryId) -> Result<WebhookDelivery> {
    let found = store::find(tx, id, delivery).await?;
    let mut found = [found.ok_or(Error::NotFound)?];
    store::add_attempts(&mut **tx, &mut found).await?;
    let [found] = found;
    Ok(found)
}

/// Ends what waits to be sent to an endpoint that is taken away.
pub(super) async fn withdraw(tx: &mut Tx, id: EndpointId, now: DateTime<Utc>) -> Result<()> {
    store::withdraw(tx, id, now).await
}
