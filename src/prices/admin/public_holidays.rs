//! The versions of public holidays, for admins.

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
use crate::prices::entries::PublicHoliday;
use crate::prices::{Version, store};

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(list_public_holidays)
        .service(create_public_holiday)
        .service(get_public_holiday)
        .service(withdraw_public_holiday);
}

/// List public holidays
///
/// Versions by place, subject and number: those in force at an instant, or all of them. A region has its country's holidays and its own.
#[utoipa::path(tag = "Prices", operation_id = "list_public_holidays", security(("bearer" = ["admin:finance"])), params(VersionQuery),
    responses((status = 200, description = "A page of versions.", body = Page<Version<PublicHoliday>>)))]
#[get("/v1/admin/public-holidays")]
async fn list_public_holidays(app: Data<App>, _me: As<Finance>, Query(query): Query<VersionQuery>) -> Result<Reply> {
    list::<PublicHoliday>(&app, query).await
}

/// Add a public holiday
///
/// Adds a version, which holds from its instant until the next one. What is booked or held stays as it is. A region has its country's holidays and its own.
#[utoipa::path(tag = "Prices", operation_id = "create_public_holiday", security(("bearer" = ["admin:finance"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = PublicHoliday, responses((status = 201, description = "The version.", body = Version<PublicHoliday>,
     headers(("Location" = String, description = "Where the version is found.")))),
    extensions(("x-refusals" = json!(refused![VersionTaken]))))]
#[post("/v1/admin/public-holidays")]
async fn create_public_holiday(
    app: Data<App>,
    me: As<Finance>,
    key: IdempotencyKey,
    Json(entry, print): Json<PublicHoliday>,
) -> Result<Reply> {
    create(app, me, key, "POST /v1/admin/public-holidays", entry, print).await
}

/// Show a public holiday
///
/// One version. A region has its country's holidays and its own.
#[utoipa::path(tag = "Prices", operation_id = "get_public_holiday", security(("bearer" = ["admin:finance"])),
    params(("id" = TariffId, Path, description = "The version.")),
    responses((status = 200, description = "The version.", body = Version<PublicHoliday>)))]
#[get("/v1/admin/public-holidays/{id}")]
async fn get_public_holiday(app: Data<App>, _me: As<Finance>, Path(id): Path<TariffId>) -> Result<Reply> {
    Reply::ok(&store::find::<PublicHoliday>(&*app.db, id).await?.ok_or(Error::NotFound)?)
}

/// Withdraw a public holiday
///
/// Takes a version back before it takes effect. It stays in the list; its number is not given again. Again changes nothing.
#[utoipa::path(tag = "Prices", operation_id = "withdraw_public_holiday", security(("bearer" = ["admin:finance"])),
    params(("id" = TariffId, Path, description = "The version.")),
    responses((status = 204, description = "The version will not take effect.")),
    extensions(("x-refusals" = json!(refused![VersionInForce]))))]
#[delete("/v1/admin/public-holidays/{id}")]
async fn withdraw_public_holiday(app: Data<App>, me: As<Finance>, Path(id): Path<TariffId>) -> Result<Reply> {
    withdraw::<PublicHoliday>(app, me, id).await
}
