//! Services with what they cost in a country, and for how long they are sold.

use actix_web::get;
use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::store;
use crate::App;
use crate::auth::Caller;
use crate::catalogue::{self, Technique};
use crate::db::Tx;
use crate::error::{Error, FieldError, Result};
use crate::http::{Cursor, Limit, Page, Part, Path, Query, Reply};
use crate::ids::ServiceId;
use crate::values::{Country, Money, Pressure};

/// The operations on services.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_services).service(get_service);
}

/// A duration on the table, and what it costs.
#[derive(Debug, Serialize, ToSchema)]
pub struct PricedDuration {
    /// Minutes on the table; set-up and pack-up come on top.
    #[schema(example = 60)]
    pub duration_minutes: i16,
    /// The price in the currency of the country that was asked for.
    pub price: Money,
}

/// A kind of treatment.
#[derive(Debug, Serialize, ToSchema)]
pub struct Service {
    /// The service's id.
    pub id: ServiceId,
    /// A stable, readable name.
    #[schema(example = "deep-tissue")]
    pub slug: String,
    /// The name that people read.
    #[schema(example = "Deep tissue massage")]
    pub name: String,
    /// What it is and whom it suits.
    pub description: String,
    /// What licence requirements are written for.
    #[schema(example = "massage")]
    pub kind: String,
    /// The lightest pressure that it is done with.
    pub pressure_from: Pressure,
    /// The firmest.
    pub pressure_to: Pressure,
    /// Shortest first; empty where the service is not sold in the country.
    pub durations: Vec<PricedDuration>,
    /// What it is made of.
    pub techniques: Vec<Technique>,
}

/// Every service of the catalogue, or the one named, with what it costs in `country` now.
async fn priced(app: &App, country: &str, one: Option<ServiceId>) -> Result<Vec<Service>> {
    let mut durations = store::sold(&app.db, country, one, app.clock.now()).await?;
    let services = catalogue::services(&app.db, one).await?.into_iter().map(|service| Service {
        durations: durations.remove(&service.id).unwrap_or_default(),
        id: service.id,
        slug: service.slug,
        name: service.name,
        description: service.description,
        kind: service.kind,
        pressure_from: service.pressure_from,
        pressure_to: service.pressure_to,
        techniques: service.techniques,
    });
    Ok(services.collect())
}

/// Refuses services and durations that are sold nowhere, with pointers below `/services`.
pub async fn refuse_unknown_offers(tx: &mut Tx, offers: &[(ServiceId, Vec<i16>)]) -> Result<()> {
    let ids: Vec<ServiceId> = offers.iter().map(|(service, _)| *service).collect();
    let sold = store::durations(tx, &ids).await?;
    let mut errors = Vec::new();
    for (i, (service, durations)) in offers.iter().enumerate() {
        if !sold.iter().any(|(sold, _)| sold == service) {
            errors.push(FieldError::new(format!("/services/{i}/service_id"), "is not in the catalogue."));
            continue;
        }
        for (j, minutes) in durations.iter().enumerate() {
            if !sold.contains(&(*service, *minutes)) {
                let pointer = format!("/services/{i}/durations/{j}");
                errors.push(FieldError::new(pointer, "is not a duration that this service is sold for."));
            }
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors)) }
}

/// The country whose prices are meant where none is named.
const COUNTRY: &str = "AU";

fn code(country: Option<&Country>) -> &str {
    country.map_or(COUNTRY, Country::as_str)
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ServicesIn {
    /// Whose prices are wanted (ISO 3166-1 alpha-2); AU unless said.
    #[param(inline)]
    country: Option<Country>,
    /// Items on a page; all of them, unless said.
    #[param(inline)]
    limit: Option<Limit>,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ServiceIn {
    /// Whose prices are wanted (ISO 3166-1 alpha-2); AU unless said.
    #[param(inline)]
    country: Option<Country>,
}

/// List services
///
/// Everything that can be booked, with the prices of one country.
#[utoipa::path(tag = "Catalogue", operation_id = "list_services", security((), ("api_key" = ["slots:read"])), params(ServicesIn),
    responses((status = 200, description = "The services.", body = Page<Service>)))]
#[get("/v1/services")]
async fn list_services(app: Data<App>, _caller: Caller, Query(query): Query<ServicesIn>) -> Result<Reply> {
    Ok(Reply::ok(&Page::part(
        priced(&app, code(query.country.as_ref()), None).await?,
        &Part { limit: query.limit, cursor: query.cursor.clone() },
    )?)?
    .public())
}

/// Show a service
///
/// One service, with the prices of one country.
#[utoipa::path(tag = "Catalogue", operation_id = "get_service", security((), ("api_key" = ["slots:read"])),
    params(("id" = ServiceId, Path, description = "The service."), ServiceIn),
    responses((status = 200, description = "The service.", body = Service)))]
#[get("/v1/services/{id}")]
async fn get_service(
    app: Data<App>,
    _caller: Caller,
    Path(id): Path<ServiceId>,
    Query(query): Query<ServiceIn>,
) -> Result<Reply> {
    let found = priced(&app, code(query.country.as_ref()), Some(id)).await?.pop();
    let service = found.ok_or(Error::NotFound)?;
    Ok(Reply::ok(&service)?.public())
}
