use actix_web::web::Data;
use actix_web::{delete, get, patch, post};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::signing::{Secret, SigningKey};
use super::{
    ENDPOINTS, EndpointDescription, EndpointState, EndpointUrl, MOST_ENDPOINTS, WebhookEndpoint, WebhookKind,
    deliveries, store,
};
use crate::App;
use crate::auth::{AsEither, Owner, Tokens, WebhooksManage, Who};
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Refusal, Result, refused};
use crate::events::{Event, Work};
use crate::http::{Fingerprint, IfMatch, Json, Nothing, OrDefault, Page, Part, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::EndpointId;
use crate::outbound::Outbound;
use crate::values::present;

/// The operations on endpoints.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_webhook_endpoints).service(create_webhook_endpoint).service(get_webhook_endpoint);
    config.service(patch_webhook_endpoint).service(delete_webhook_endpoint);
    config.service(rotate_webhook_secret).service(enable_webhook_endpoint);
}

/// Whoever manages endpoints: an owner, or an API client its own.
pub(super) type Manager = AsEither<Owner, WebhooksManage>;

/// An endpoint, with its secret where that is new.
#[derive(Serialize, ToSchema)]
struct WebhookEndpointSecret {
    #[serde(flatten)]
    endpoint: WebhookEndpoint,
    /// Verifies the `v1` signatures. It is shown this once; null where it stays what it was.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=")]
    secret: Option<String>,
}

/// What a change of an endpoint depends on: how sending goes is no part of it.
#[derive(Serialize)]
struct Said<'a> {
    url: &'a str,
    description: Option<&'a str>,
    kinds: &'a [String],
}

impl<'a> Said<'a> {
    fn of(endpoint: &'a WebhookEndpoint) -> Self {
        Self { url: &endpoint.url, description: endpoint.description.as_deref(), kinds: &endpoint.kinds }
    }
}

fn shown(endpoint: &WebhookEndpoint) -> Result<Reply> {
    Reply::ok(endpoint)?.in_state(&Said::of(endpoint))
}

fn shown_with(endpoint: WebhookEndpoint, secret: Option<&Secret>) -> Result<Reply> {
    let with = WebhookEndpointSecret { endpoint, secret: secret.map(Secret::to_text) };
    Reply::ok(&with)?.tagged_as(&with.endpoint)?.in_state(&Said::of(&with.endpoint))
}

/// List webhook endpoints
///
/// Every endpoint, whoever made it, in the order in which they were made; for an API client its own.
#[utoipa::path(tag = "Webhooks", operation_id = "list_webhook_endpoints", security(("bearer" = ["admin:owner"]), ("api_key" = ["webhooks:manage"])), params(Part),
    responses((status = 200, description = "A page of endpoints.", body = Page<WebhookEndpoint>)))]
#[get("/v1/webhook-endpoints")]
async fn list_webhook_endpoints(app: Data<App>, me: Manager, Query(part): Query<Part>) -> Result<Reply> {
    let all = store::all(&app.db, app.clock.now()).await?;
    Reply::ok(&Page::part(all.into_iter().filter(|endpoint| is_theirs(endpoint, &me)).collect(), &part)?)
}

/// Where to send what.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewWebhookEndpoint {
    /// An https address that is public and not the service's own. The port is 443, or one from 1024 on.
    url: EndpointUrl,
    description: Option<EndpointDescription>,
    /// What it is told of; everything, unless said.
    #[serde(default)]
    kinds: Vec<WebhookKind>,
}

/// Add a webhook endpoint
///
/// From now on it is told of what happens, by messages signed as Standard Webhooks has it. They carry ids, and the API tells the rest. The secret is
/// shown this once. The messages are described in this document's `webhooks`. There are 20 endpoints at most.
#[utoipa::path(tag = "Webhooks", operation_id = "create_webhook_endpoint", security(("bearer" = ["admin:owner"]), ("api_key" = ["webhooks:manage"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = NewWebhookEndpoint, responses((status = 201, description = "The endpoint, with its secret.", body = WebhookEndpointSecret,
     headers(("Location" = String, description = "Where it is found.")))),
    extensions(("x-refusals" = json!(refused![NotPublic, TooManyWebhookEndpoints]))))]
#[post("/v1/webhook-endpoints")]
async fn create_webhook_endpoint(
    app: Data<App>,
    me: Manager,
    key: IdempotencyKey,
    Json(new, print): Json<NewWebhookEndpoint>,
) -> Result<Reply> {
    admit(&app, &new.url)?;
    uninterrupted(async move {
        let mut work = app.begin(Some(me.actor())).await?;
        let once = Once::claim(&mut work, "POST /v1/webhook-endpoints", key, print).await?;
        work.lock(ENDPOINTS).await?;
        if store::count(&mut work).await? >= MOST_ENDPOINTS {
            return Err(Refusal::TooManyWebhookEndpoints.into());
        }
        let now = work.now();
        let (id, secret, key) = (EndpointId::new(now), Secret::generate()?, SigningKey::generate()?);
        let (url, description, kinds) = (&new.url, new.description.as_ref(), &distinct(new.kinds));
        let (owner, client) = match me.who {
            Who::Person(person) => (person.account, None),
            Who::Client(client) => (client.made_by, Some(client.id)),
        };
        let made = store::New { id, owner, client, url, description, kinds, secret: &secret, key: &key };
        store::insert(&mut work, &app.cipher, made, now).await?;
        announce(&mut work, "webhook_endpoint.create", id, json!({ "host": url.host(), "kinds": kinds })).await?;
        let endpoint = store::lock(&mut work, id, now).await?;
        let made = WebhookEndpointSecret { endpoint, secret: Some(secret.to_text()) };
        let reply = Reply::created(format!("/v1/webhook-endpoints/{id}"), &made)?;
        let reply = reply.tagged_as(&made.endpoint)?.in_state(&Said::of(&made.endpoint))?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Whether an endpoint is there for the caller: every one for an owner, and its own for an API client.
fn is_theirs(endpoint: &WebhookEndpoint, me: &Manager) -> bool {
    me.client().is_none_or(|client| endpoint.api_client_id == Some(client.id))
}

/// The endpoint, where it is there for the caller.
///
/// # Errors
/// Not found where it is none of an API client's own.
pub(super) fn theirs(endpoint: WebhookEndpoint, me: &Manager) -> Result<WebhookEndpoint> {
    if is_theirs(&endpoint, me) { Ok(endpoint) } else { Err(Error::NotFound) }
}

/// # Errors
/// `not_public` where no message would get there.
fn admit(app: &App, url: &EndpointUrl) -> Result<()> {
    let admitted = url.admitted(app.part::<Outbound>()?, app.part::<Tokens>()?.issuer());
    let field = |sentence: &str| vec![FieldError::new("/url", sentence)];
    admitted.map_err(|why| Error::RefusedFields(Refusal::NotPublic, field(why.sentence())))
}

fn distinct(kinds: Vec<WebhookKind>) -> Vec<WebhookKind> {
    kinds.into_iter().fold(Vec::new(), |mut all, kind| {
        if !all.contains(&kind) {
            all.push(kind);
        }
        all
    })
}

async fn announce(work: &mut Work, kind: &str, id: EndpointId, details: serde_json::Value) -> Result<()> {
    work.announce(Event::new(kind, "webhook_endpoint", id).with(details)).await
}

/// Show a webhook endpoint
///
/// What it is told of, and how sending to it goes.
#[utoipa::path(tag = "Webhooks", operation_id = "get_webhook_endpoint", security(("bearer" = ["admin:owner"]), ("api_key" = ["webhooks:manage"])),
    params(("id" = EndpointId, Path, description = "The endpoint.")),
    responses((status = 200, description = "The endpoint.", body = WebhookEndpoint)))]
#[get("/v1/webhook-endpoints/{id}")]
async fn get_webhook_endpoint(app: Data<App>, me: Manager, Path(id): Path<EndpointId>) -> Result<Reply> {
    shown(&theirs(store::find(&*app.db, id, app.clock.now()).await?.ok_or(Error::NotFound)?, &me)?)
}

/// What to change; what is left out stays, and null takes the description away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookEndpointPatch {
    /// An https address that is public and not the service's own.
    url: Option<EndpointUrl>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<EndpointDescription>)]
    description: Option<Option<EndpointDescription>>,
    /// What it is told of; an empty list stands for everything.
    kinds: Option<Vec<WebhookKind>>,
}

/// Change a webhook endpoint
///
/// Where the host changes, the answer has a new secret, and the one before does not sign any more: the old host knows it.
#[utoipa::path(tag = "Webhooks", operation_id = "patch_webhook_endpoint", security(("bearer" = ["admin:owner"]), ("api_key" = ["webhooks:manage"])),
    params(("id" = EndpointId, Path, description = "The endpoint."),
           ("If-Match" = String, Header, description = "The ETag of the endpoint as it was read.")),
    request_body = WebhookEndpointPatch, responses((status = 200, description = "The endpoint as it is now.", body = WebhookEndpointSecret)),
    extensions(("x-refusals" = json!(refused![NotPublic]))))]
#[patch("/v1/webhook-endpoints/{id}")]
async fn patch_webhook_endpoint(
    app: Data<App>,
    me: Manager,
    Path(id): Path<EndpointId>,
    if_match: IfMatch,
    Json(patch, _): Json<WebhookEndpointPatch>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.actor())).await?;
        let now = work.now();
        let before = theirs(store::lock(&mut work, id, now).await?, &me)?;
        if_match.check_state(&Said::of(&before))?;
        let mut after = before.clone();
        let mut secret = None;
        if let Some(url) = patch.url {
            admit(&app, &url)?;
            let is_elsewhere = before.url.parse::<EndpointUrl>().is_ok_and(|before| before.host() != url.host());
            secret = is_elsewhere.then(Secret::generate).transpose()?;
            after.url = url.as_str().to_owned();
        }
        if let Some(description) = patch.description {
            after.description = description.map(|description| description.as_str().to_owned());
        }
        if let Some(kinds) = patch.kinds {
            after.kinds = distinct(kinds).into_iter().map(|kind| kind.as_str().to_owned()).collect();
        }
        store::update(&mut work, &after, now).await?;
        if let Some(secret) = &secret {
            store::rotate(&mut work, &app.cipher, id, secret, false, now).await?;
        }
        let details = json!({ "kinds": after.kinds, "is_elsewhere": secret.is_some() });
        announce(&mut work, "webhook_endpoint.update", id, details).await?;
        let endpoint = store::lock(&mut work, id, now).await?;
        work.commit().await?;
        shown_with(endpoint, secret.as_ref())
    })
    .await
}

/// Take a webhook endpoint away
///
/// It is told of nothing more, and what waits to be sent to it is not sent.
#[utoipa::path(tag = "Webhooks", operation_id = "delete_webhook_endpoint", security(("bearer" = ["admin:owner"]), ("api_key" = ["webhooks:manage"])),
    params(("id" = EndpointId, Path, description = "The endpoint.")),
    responses((status = 204, description = "The endpoint is gone.")))]
#[delete("/v1/webhook-endpoints/{id}")]
async fn delete_webhook_endpoint(app: Data<App>, me: Manager, Path(id): Path<EndpointId>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.actor())).await?;
        let now = work.now();
        theirs(store::lock(&mut work, id, now).await?, &me)?;
        deliveries::withdraw(&mut work, id, now).await?;
        store::delete(&mut work, id).await?;
        announce(&mut work, "webhook_endpoint.delete", id, json!({})).await?;
        work.commit().await?;
        Ok(Reply::none())
    })
    .await
}

/// Rotate a webhook's secret
///
/// The answer has the new secret, and shows it this once. For 24 hours each message is signed by the secret before as well.
#[utoipa::path(tag = "Webhooks", operation_id = "rotate_webhook_secret", security(("bearer" = ["admin:owner"]), ("api_key" = ["webhooks:manage"])),
    params(("id" = EndpointId, Path, description = "The endpoint."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = Option<Nothing>,
    responses((status = 200, description = "The endpoint, with its new secret.", body = WebhookEndpointSecret)))]
#[post("/v1/webhook-endpoints/{id}/rotate-secret")]
async fn rotate_webhook_secret(
    app: Data<App>,
    me: Manager,
    Path(id): Path<EndpointId>,
    key: IdempotencyKey,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.actor())).await?;
        let print = Fingerprint::of(&[]).about(id);
        let once = Once::claim(&mut work, "POST /v1/webhook-endpoints/{id}/rotate-secret", key, print).await?;
        let now = work.now();
        theirs(store::lock(&mut work, id, now).await?, &me)?;
        let secret = Secret::generate()?;
        store::rotate(&mut work, &app.cipher, id, &secret, true, now).await?;
        announce(&mut work, "webhook_endpoint.rotate_secret", id, json!({})).await?;
        let reply = shown_with(store::lock(&mut work, id, now).await?, Some(&secret))?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Enable a webhook endpoint
///
/// It is sent messages again. Those that failed meanwhile are sent by `recover`.
#[utoipa::path(tag = "Webhooks", operation_id = "enable_webhook_endpoint", security(("bearer" = ["admin:owner"]), ("api_key" = ["webhooks:manage"])),
    params(("id" = EndpointId, Path, description = "The endpoint.")), request_body = Option<Nothing>,
    responses((status = 200, description = "The endpoint, enabled.", body = WebhookEndpoint)))]
#[post("/v1/webhook-endpoints/{id}/enable")]
async fn enable_webhook_endpoint(
    app: Data<App>,
    me: Manager,
    Path(id): Path<EndpointId>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.actor())).await?;
        let now = work.now();
        let mut endpoint = theirs(store::lock(&mut work, id, now).await?, &me)?;
        if endpoint.state == EndpointState::Disabled {
            store::set_state(&mut work, id, None, now).await?;
            announce(&mut work, "webhook_endpoint.enable", id, json!({})).await?;
            endpoint = store::lock(&mut work, id, now).await?;
        }
        work.commit().await?;
        shown(&endpoint)
    })
    .await
}
