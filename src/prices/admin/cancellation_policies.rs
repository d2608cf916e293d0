//! The versions of cancellation policies, for admins.

use actix_web::web::Data;
use actix_web::{delete, get, post};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{VersionQuery, create, list, withdraw};
use crate::App;
use crate::auth::{As, Finance};
use crate::error::{Error, Result, refused};
use crate::http::{Json, Page, Path, Query, Reply};
use crate::idempotency::IdempotencyKey;
use crate::ids::TariffId;
use crate::prices::entries::CancellationPolicy;
use crate::prices::{Version, store};

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(list_cancellation_policies)
        .service(create_cancellation_policy)
        .service(get_cancellation_policy)
        .service(withdraw_cancellation_policy);
}

/// List cancellation policies
///
/// Versions by place, subject and number: those in force at an instant, or all of them. A country's policy takes the place of the one for all countries.
#[utoipa::path(tag = "Prices", operation_id = "list_cancellation_policies", security(("bearer" = ["admin:finance"])), params(VersionQuery),
    responses((status = 200, description = "A page of versions.", body = Page<Version<CancellationPolicy>>)))]
#[get("/v1/admin/cancellation-policies")]
async fn list_cancellation_policies(
    app: Data<App>,
    _me: As<Finance>,
    Query(query): Query<VersionQuery>,
) -> Result<Reply> {
    list::<CancellationPolicy>(&app, query).await
}

/// Add a cancellation policy
///
/// Adds a version, which holds from its instant until the next one. What is booked or held stays as it is. A country's policy takes the place of the one for all countries.
#[utoipa::path(tag = "Prices", operation_id = "create_cancellation_policy", security(("bearer" = ["admin:finance"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = CancellationPolicy, responses((status = 201, description = "The version.", body = Version<CancellationPolicy>,
     headers(("Location" = String, description = "Where the version is found.")))),
    extensions(("x-refusals" = json!(refused![VersionTaken]))))]
#[post("/v1/admin/cancellation-policies")]
async fn create_cancellation_policy(
    app: Data<App>,
    me: As<Finance>,
    key: IdempotencyKey,
    Json(entry, print): Json<CancellationPolicy>,
) -> Result<Reply> {
    create(app, me, key, "POST /v1/admin/cancellation-policies", entry, print).await
}

/// Show a cancellation policy
///
/// One version. A country's policy takes the place of the one for all countries.
#[utoipa::path(tag = "Prices", operation_id = "get_cancellation_policy", security(("bearer" = ["admin:finance"])),
    params(("id" = TariffId, Path, description = "The version.")),
    responses((status = 200, description = "The version.", body = Version<CancellationPolicy>)))]
#[get("/v1/admin/cancellation-policies/{id}")]
async fn get_cancellation_policy(app: Data<App>, _me: As<Finance>, Path(id): Path<TariffId>) -> Result<Reply> {
    Reply::ok(&store::find::<CancellationPolicy>(&*app.db, id).await?.ok_or(Error::NotFound)?)
}

/// Withdraw a cancellation policy
///
/// Takes a version back before it takes effect. It stays in the list; its number is not given again. Again changes nothing.
#[utoipa::path(tag = "Prices", operation_id = "withdraw_cancellation_policy", security(("bearer" = ["admin:finance"])),
    params(("id" = TariffId, Path, description = "The version.")),
    responses((status = 204, description = "The version will not take effect.")),
    extensions(("x-refusals" = json!(refused![VersionInForce]))))]
#[delete("/v1/admin/cancellation-policies/{id}")]
async fn withdraw_cancellation_policy(app: Data<App>, me: As<Finance>, Path(id): Path<TariffId>) -> Result<Reply> {
    withdraw::<CancellationPolicy>(app, me, id).await
}
