//! The endpoints of API clients that are taken away.

use futures_util::future::BoxFuture;
use serde_json::json;

use super::{deliveries, store};
use crate::error::Result;
use crate::events::{Effect, Event, Work};
use crate::ids::ApiClientId;

/// Nobody is left who would know what an endpoint of such a client is for, so that it is told of nothing more.
pub const ON_CLIENT_GONE: Effect =
    Effect { what: "the API client's webhook endpoints are taken away", on: &["api_client.delete"], run: follow };

fn follow<'a>(work: &'a mut Work, event: &'a Event) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let Some(client) = event.subject_id().map(ApiClientId) else { return Ok(()) };
        let now = work.now();
        for id in store::lock_of(work, client).await? {
            deliveries::withdraw(work, id, now).await?;
            store::delete(work, id).await?;
            work.announce(Event::new("webhook_endpoint.delete", "webhook_endpoint", id).with(json!({}))).await?;
        }
        Ok(())
    })
}
