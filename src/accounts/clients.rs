//! API clients, for the owners who make them: what each may do, and its keys.

mod store;

use actix_web::web::Data;
use actix_web::{delete, get, post};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::staff;
use crate::App;
use crate::auth::{ApiKey, As, Owner};
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Refusal, Result, refused};
use crate::events::{Event, Work};
use crate::http::{Json, Page, Part, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{AccountId, ApiClientId, ApiKeyId};
use crate::queue::Sweep;
use crate::values::{Instant, Scopes, bounded_text};

/// What is deleted here in the end.
pub const SWEEPS: &[Sweep] =
    &[Sweep { name: "api_client_keys", run: |app, now| Box::pin(store::forget(&app.db, now - KEPT)) }];

/// How long a key is shown after its end, so that whoever looks into a leak sees when it was used last.
const KEPT: TimeDelta = TimeDelta::days(90);
/// How many API clients there are at the most.
const MOST_CLIENTS: i64 = 100;
/// How many keys of one are good at a time: one in use, one to follow it, and room for places that change at different times.
const MOST_KEYS: i64 = 5;

bounded_text! {
    /// What a program is called, for the owners.
    ApiClientName line 1..=60, example "Booking page of the clinic";
}

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_api_clients).service(create_api_client).service(get_api_client).service(delete_api_client);
    config.service(list_api_client_keys).service(create_api_client_key).service(revoke_api_client_key);
}

/// A program that calls the service in its own name.
#[derive(Debug, Serialize, ToSchema)]
struct ApiClient {
    /// Its id, as which it acts.
    id: ApiClientId,
    /// What it is called, for the owners.
    #[schema(example = "Booking page of the clinic")]
    name: String,
    /// What it may do.
    scopes: Scopes,
    /// The owner who made it.
    created_by: AccountId,
    /// When it was made.
    created_at: DateTime<Utc>,
}

/// A key of an API client, without the key.
#[derive(Debug, Serialize, ToSchema)]
struct ApiClientKey {
    /// The key's id.
    id: ApiKeyId,
    /// What the key begins with.
    #[schema(example = "knead_0198c0de000070008000000000000000")]
    beginning: String,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was last used, to the hour.
    last_used_at: Option<DateTime<Utc>>,
    /// When it ends by itself; null where it does not.
    expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    revoked_at: Option<DateTime<Utc>>,
}

/// A key of an API client, this once as a whole.
#[derive(Serialize, ToSchema)]
struct FreshApiClientKey {
    #[serde(flatten)]
    kept: ApiClientKey,
    /// Send it as `Authorization: Bearer`. It is not kept, and not shown again.
    #[schema(example = "knead_0198c0de000070008000000000000000_bm90LWEtcmVhbC1rZXktYnV0LW9mLWl0cy1zaXplISE_0a1b2c3d")]
    key: String,
}

async fn announce(work: &mut Work, kind: &str, id: ApiClientId, details: Value) -> Result<()> {
    work.announce(Event::new(kind, "api_client", id).with(details)).await
}

/// List API clients
///
/// Every program that calls in its own name, in the order in which they were made.
#[utoipa::path(tag = "API clients", operation_id = "list_api_clients", security(("bearer" = ["admin:owner"])), params(Part),
    responses((status = 200, description = "A page of API clients.", body = Page<ApiClient>)))]
#[get("/v1/admin/api-clients")]
async fn list_api_clients(app: Data<App>, _me: As<Owner>, Query(part): Query<Part>) -> Result<Reply> {
    Reply::ok(&Page::part(store::all(&app.db).await?, &part)?)
}

/// A new API client.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewApiClient {
    name: ApiClientName,
    /// What it may do, for good: at least one.
    scopes: Scopes,
}

/// Make an API client
///
/// It has no key yet. What it may do does not change later: make another one instead. There are 100 at most. Needs the password anew.
#[utoipa::path(tag = "API clients", operation_id = "create_api_client", security(("bearer" = ["admin:owner"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = NewApiClient, responses((status = 201, description = "The API client.", body = ApiClient,
     headers(("Location" = String, description = "Where it is found.")))),
    extensions(("x-refusals" = json!(refused![StepUpRequired, TooManyApiClients]))))]
#[post("/v1/admin/api-clients")]
async fn create_api_client(
    app: Data<App>,
    me: As<Owner>,
    key: IdempotencyKey,
    Json(new, print): Json<NewApiClient>,
) -> Result<Reply> {
    me.principal.refuse_stale(app.clock.now())?;
    if new.scopes.is_empty() {
        return Err(FieldError::new("/scopes", "must name at least one.").into());
    }
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let once = Once::claim(&mut work, "POST /v1/admin/api-clients", key, print).await?;
        staff::lock(&mut work, me.account()).await?;
        if store::count(&mut work).await? >= MOST_CLIENTS {
            return Err(Refusal::TooManyApiClients.into());
        }
        let now = work.now();
        let made = ApiClient {
            id: ApiClientId::new(now),
            name: new.name.as_str().to_owned(),
            scopes: new.scopes,
            created_by: me.account(),
            created_at: now,
        };
        store::insert(&mut work, &made).await?;
        announce(&mut work, "api_client.create", made.id, json!({ "scopes": made.scopes })).await?;
        let reply = Reply::created(format!("/v1/admin/api-clients/{}", made.id), &made)?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Show an API client
///
/// What it may do, and who made it.
#[utoipa::path(tag = "API clients", operation_id = "get_api_client", security(("bearer" = ["admin:owner"])),
    params(("id" = ApiClientId, Path, description = "The API client.")),
    responses((status = 200, description = "The API client.", body = ApiClient)))]
#[get("/v1/admin/api-clients/{id}")]
async fn get_api_client(app: Data<App>, _me: As<Owner>, Path(id): Path<ApiClientId>) -> Result<Reply> {
    Reply::ok(&store::find(&*app.db, id).await?.ok_or(Error::NotFound)?)
}

/// Take an API client away
///
/// With it go its keys, which are refused from the next request on, and its webhook endpoints. Needs the password anew.
#[utoipa::path(tag = "API clients", operation_id = "delete_api_client", security(("bearer" = ["admin:owner"])),
    params(("id" = ApiClientId, Path, description = "The API client.")),
    responses((status = 204, description = "It is gone.")), extensions(("x-refusals" = json!(refused![StepUpRequired]))))]
#[delete("/v1/admin/api-clients/{id}")]
async fn delete_api_client(app: Data<App>, me: As<Owner>, Path(id): Path<ApiClientId>) -> Result<Reply> {
    me.principal.refuse_stale(app.clock.now())?;
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        staff::lock(&mut work, me.account()).await?;
        store::lock(&mut work, id).await?;
        // What belongs to it is taken away by whoever keeps it, before it goes itself.
        announce(&mut work, "api_client.delete", id, json!({})).await?;
        store::delete(&mut work, id).await?;
        work.commit().await?;
        Ok(Reply::none())
    })
    .await
}

/// List an API client's keys
///
/// In the order in which they were made, those with them that ended in the last 90 days.
#[utoipa::path(tag = "API clients", operation_id = "list_api_client_keys", security(("bearer" = ["admin:owner"])),
    params(("id" = ApiClientId, Path, description = "The API client."), Part),
    responses((status = 200, description = "A page of keys.", body = Page<ApiClientKey>)))]
#[get("/v1/admin/api-clients/{id}/keys")]
async fn list_api_client_keys(
    app: Data<App>,
    _me: As<Owner>,
    Path(id): Path<ApiClientId>,
    Query(part): Query<Part>,
) -> Result<Reply> {
    store::find(&*app.db, id).await?.ok_or(Error::NotFound)?;
    Reply::ok(&Page::part(store::keys(&app.db, id).await?, &part)?)
}

/// A new key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewApiClientKey {
    /// When it ends by itself; never, unless said.
    expires_at: Option<Instant>,
}

/// Make a key
///
/// The answer shows it this once: the service keeps no more than its SHA-256. Five are good at a time, so that one can be replaced while it is in use. Needs
/// the password anew.
#[utoipa::path(tag = "API clients", operation_id = "create_api_client_key", security(("bearer" = ["admin:owner"])),
    params(("id" = ApiClientId, Path, description = "The API client.")), request_body = NewApiClientKey,
    responses((status = 201, description = "The key, as a whole.", body = FreshApiClientKey,
     headers(("Location" = String, description = "Where it is revoked.")))),
    extensions(("x-refusals" = json!(refused![StepUpRequired, TooManyApiKeys]))))]
#[post("/v1/admin/api-clients/{id}/keys")]
async fn create_api_client_key(
    app: Data<App>,
    me: As<Owner>,
    Path(id): Path<ApiClientId>,
    Json(new, _): Json<NewApiClientKey>,
) -> Result<Reply> {
    me.principal.refuse_stale(app.clock.now())?;
    // No answer is kept for a repetition, because it has the key in it: whoever missed it revokes that key and makes another one.
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        staff::lock(&mut work, me.account()).await?;
        store::lock(&mut work, id).await?;
        let now = work.now();
        let expires_at = new.expires_at.map(|Instant(end)| end);
        if expires_at.is_some_and(|end| end <= now) {
            return Err(FieldError::new("/expires_at", "has passed.").into());
        }
        if store::good_keys(&mut work, id, now).await? >= MOST_KEYS {
            return Err(Refusal::TooManyApiKeys.into());
        }
        let key_id = ApiKeyId::new(now);
        let key = ApiKey::generate(key_id)?;
        let kept = ApiClientKey {
            id: key_id,
            beginning: ApiKey::beginning(key_id),
            created_at: now,
            last_used_at: None,
            expires_at,
            revoked_at: None,
        };
        store::insert_key(&mut work, id, &kept, &key.digest()).await?;
        announce(&mut work, "api_client.key_create", id, json!({ "key_id": key_id, "expires_at": expires_at })).await?;
        work.commit().await?;
        let location = format!("/v1/admin/api-clients/{id}/keys/{key_id}");
        Reply::created(location, &FreshApiClientKey { kept, key: key.into_string() })
    })
    .await
}

/// Revoke a key
///
/// It is refused from the next request on. One that has ended is left as it is. Needs the password anew.
#[utoipa::path(tag = "API clients", operation_id = "revoke_api_client_key", security(("bearer" = ["admin:owner"])),
    params(("id" = ApiClientId, Path, description = "The API client."), ("key_id" = ApiKeyId, Path, description = "The key.")),
    responses((status = 204, description = "It is good no more.")), extensions(("x-refusals" = json!(refused![StepUpRequired]))))]
#[delete("/v1/admin/api-clients/{id}/keys/{key_id}")]
async fn revoke_api_client_key(
    app: Data<App>,
    me: As<Owner>,
    Path((id, key)): Path<(ApiClientId, ApiKeyId)>,
) -> Result<Reply> {
    me.principal.refuse_stale(app.clock.now())?;
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        staff::lock(&mut work, me.account()).await?;
        store::lock(&mut work, id).await?;
        let now = work.now();
        let is_good = store::is_good(&mut work, id, key).await?.ok_or(Error::NotFound)?;
        if is_good {
            store::revoke(&mut work, key, now).await?;
            announce(&mut work, "api_client.key_revoke", id, json!({ "key_id": key })).await?;
        }
        work.commit().await?;
        Ok(Reply::none())
    })
    .await
}
