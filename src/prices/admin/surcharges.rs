//! The versions of surcharges, for admins.

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
use crate::prices::entries::Surcharge;
use crate::prices::{Version, store};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_surcharges).service(create_surcharge).service(get_surcharge).service(withdraw_surcharge);
}

/// List surcharges
///
/// Versions by place, subject and number: those in force at an instant, or all of them. A region's surcharge takes the place of its country's of the same code.
#[utoipa::path(tag = "Prices", operation_id = "list_surcharges", security(("bearer" = ["admin:finance"])), params(VersionQuery),
    responses((status = 200, description = "A page of versions.", body = Page<Version<Surcharge>>)))]
#[get("/v1/admin/surcharges")]
async fn list_surcharges(app: Data<App>, _me: As<Finance>, Query(query): Query<VersionQuery>) -> Result<Reply> {
    list::<Surcharge>(&app, query).await
}

/// Add a surcharge
///
/// Adds a version, which holds from its instant until the next one. What is booked or held stays as it is. A region's surcharge takes the place of its country's of the same code.
#[utoipa::path(tag = "Prices", operation_id = "create_surcharge", security(("bearer" = ["admin:finance"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = Surcharge, responses((status = 201, description = "The version.", body = Version<Surcharge>,
     headers(("Location" = String, description = "Where the version is found.")))),
    extensions(("x-refusals" = json!(refused![VersionTaken]))))]
#[post("/v1/admin/surcharges")]
async fn create_surcharge(
    app: Data<App>,
    me: As<Finance>,
    key: IdempotencyKey,
    Json(entry, print): Json<Surcharge>,
) -> Result<Reply> {
    create(app, me, key, "POST /v1/admin/surcharges", entry, print).await
}

/// Show a surcharge
///
/// One version. A region's surcharge takes the place of its country's of the same code.
#[utoipa::path(tag = "Prices", operation_id = "get_surcharge", security(("bearer" = ["admin:finance"])),
    params(("id" = TariffId, Path, description = "The version.")),
    responses((status = 200, description = "The version.", body = Version<Surcharge>)))]
#[get("/v1/admin/surcharges/{id}")]
async fn get_surcharge(app: Data<App>, _me: As<Finance>, Path(id): Path<TariffId>) -> Result<Reply> {
    Reply::ok(&store::find::<Surcharge>(&*app.db, id).await?.ok_or(Error::NotFound)?)
}

/// Withdraw a surcharge
///
/// Takes a version back before it takes effect. It stays in the list; its number is not given again. Again changes nothing.
#[utoipa::path(tag = "Prices", operation_id = "withdraw_surcharge", security(("bearer" = ["admin:finance"])),
    params(("id" = TariffId, Path, description = "The version.")),
    responses((status = 204, description = "The version will not take effect.")),
    extensions(("x-refusals" = json!(refused![VersionInForce]))))]
#[delete("/v1/admin/surcharges/{id}")]
async fn withdraw_surcharge(app: Data<App>, me: As<Finance>, Path(id): Path<TariffId>) -> Result<Reply> {
    withdraw::<Surcharge>(app, me, id).await
}
