use actix_web::get;
use actix_web::web::Data;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{Service, Technique, store};
use crate::App;
use crate::auth::Caller;
use crate::error::{Error, Result};
use crate::http::{Page, Path, Query, Reply};
use crate::ids::ServiceId;
use crate::values::Country;

/// The operations on the catalogue.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list_services).service(get_service).service(list_techniques).service(list_conditions);
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PricesIn {
    /// Whose prices are wanted (ISO 3166-1 alpha-2); AU unless said.
    #[param(inline)]
    country: Option<Country>,
}

impl PricesIn {
    fn country(&self) -> &str {
        self.country.as_ref().map_or("AU", Country::as_str)
    }
}

/// List services
///
/// Everything that can be booked, with the prices of one country.
#[utoipa::path(tag = "Catalogue", operation_id = "list_services", params(PricesIn),
    responses((status = 200, description = "The services.", body = Page<Service>)))]
#[get("/v1/services")]
async fn list_services(app: Data<App>, _caller: Caller, Query(query): Query<PricesIn>) -> Result<Reply> {
    Ok(Reply::ok(&Page::whole(store::services(&app.db, query.country(), None, app.clock.now()).await?))?.public())
}

/// Show a service
///
/// One service, with the prices of one country.
#[utoipa::path(tag = "Catalogue", operation_id = "get_service",
    params(("id" = ServiceId, Path, description = "The service."), PricesIn),
    responses((status = 200, description = "The service.", body = Service)))]
#[get("/v1/services/{id}")]
async fn get_service(
    app: Data<App>,
    _caller: Caller,
    Path(id): Path<ServiceId>,
    Query(query): Query<PricesIn>,
) -> Result<Reply> {
    let found = store::services(&app.db, query.country(), Some(id), app.clock.now()).await?.pop();
    let service = found.ok_or(Error::NotFound)?;
    Ok(Reply::ok(&service)?.public())
}

/// List techniques
///
/// The techniques that therapists name on their profile and clients search by.
#[utoipa::path(tag = "Catalogue", operation_id = "list_techniques",
    responses((status = 200, description = "The techniques.", body = Page<Technique>)))]
#[get("/v1/techniques")]
async fn list_techniques(app: Data<App>, _caller: Caller) -> Result<Reply> {
    Ok(Reply::ok(&Page::whole(store::techniques(&app.db).await?))?.public())
}

/// List conditions
///
/// The conditions that therapists say they have experience with.
#[utoipa::path(tag = "Catalogue", operation_id = "list_conditions",
    responses((status = 200, description = "The conditions.", body = Page<Technique>)))]
#[get("/v1/conditions")]
async fn list_conditions(app: Data<App>, _caller: Caller) -> Result<Reply> {
    Ok(Reply::ok(&Page::whole(store::conditions(&app.db).await?))?.public())
}
