//! The versions of prices, for admins.

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
use crate::prices::entries::Price;
use crate::prices::{Version, store};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_prices).service(create_price).service(get_price).service(withdraw_price);
}

/// List prices
///
/// Versions by place, subject and number: those in force at an instant, or all of them. A price is that of a service for so long in a country.
#[utoipa::path(tag = "Prices", operation_id = "list_prices", security(("bearer" = ["admin:finance"])), params(VersionQuery),
    responses((status = 200, description = "A page of versions.", body = Page<Version<Price>>)))]
#[get("/v1/admin/prices")]
async fn list_prices(app: Data<App>, _me: As<Finance>, Query(query): Query<VersionQuery>) -> Result<Reply> {
    list::<Price>(&app, query).await
}

/// Add a price
///
/// Adds a version, which holds from its instant until the next one. What is booked or held stays as it is. A price is that of a service for so long in a country.
#[utoipa::path(tag = "Prices", operation_id = "create_price", security(("bearer" = ["admin:finance"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = Price, responses((status = 201, description = "The version.", body = Version<Price>,
     headers(("Location" = String, description = "Where the version is found.")))),
    extensions(("x-refusals" = json!(refused![VersionTaken]))))]
#[post("/v1/admin/prices")]
async fn create_price(
    app: Data<App>,
    me: As<Finance>,
    key: IdempotencyKey,
    Json(entry, print): Json<Price>,
) -> Result<Reply> {
    create(app, me, key, "POST /v1/admin/prices", entry, print).await
}

/// Show a price
///
/// One version. A price is that of a service for so long in a country.
#[utoipa::path(tag = "Prices", operation_id = "get_price", security(("bearer" = ["admin:finance"])),
    params(("id" = TariffId, Path, description = "The version.")),
    responses((status = 200, description = "The version.", body = Version<Price>)))]
#[get("/v1/admin/prices/{id}")]
async fn get_price(app: Data<App>, _me: As<Finance>, Path(id): Path<TariffId>) -> Result<Reply> {
    Reply::ok(&store::find::<Price>(&*app.db, id).await?.ok_or(Error::NotFound)?)
}

/// Withdraw a price
///
/// Takes a version back before it takes effect. It stays in the list; its number is not given again. Again changes nothing.
#[utoipa::path(tag = "Prices", operation_id = "withdraw_price", security(("bearer" = ["admin:finance"])),
    params(("id" = TariffId, Path, description = "The version.")),
    responses((status = 204, description = "The version will not take effect.")),
    extensions(("x-refusals" = json!(refused![VersionInForce]))))]
#[delete("/v1/admin/prices/{id}")]
async fn withdraw_price(app: Data<App>, me: As<Finance>, Path(id): Path<TariffId>) -> Result<Reply> {
    withdraw::<Price>(app, me, id).await
}
