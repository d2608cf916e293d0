use actix_web::get;
use actix_web::web::Data;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{Technique, store};
use crate::App;
use crate::auth::Caller;
use crate::error::Result;
use crate::http::{Page, Part, Query, Reply};

/// The operations on the catalogue.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list_techniques).service(list_conditions);
}

/// List techniques
///
/// The techniques that therapists name on their profile and clients search by.
#[utoipa::path(tag = "Catalogue", operation_id = "list_techniques", security((), ("api_key" = ["slots:read"])), params(Part),
    responses((status = 200, description = "The techniques.", body = Page<Technique>)))]
#[get("/v1/techniques")]
async fn list_techniques(app: Data<App>, _caller: Caller, Query(part): Query<Part>) -> Result<Reply> {
    Ok(Reply::ok(&Page::part(store::techniques(&*app.db).await?, &part)?)?.public())
}

/// List conditions
///
/// The conditions that therapists say they have experience with.
#[utoipa::path(tag = "Catalogue", operation_id = "list_conditions", security((), ("api_key" = ["slots:read"])), params(Part),
    responses((status = 200, description = "The conditions.", body = Page<Technique>)))]
#[get("/v1/conditions")]
async fn list_conditions(app: Data<App>, _caller: Caller, Query(part): Query<Part>) -> Result<Reply> {
    Ok(Reply::ok(&Page::part(store::conditions(&*app.db).await?, &part)?)?.public())
}
