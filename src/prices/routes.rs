use actix_web::post;
use actix_web::web::Data;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{About, PriceBreakdown, Wanted, admin, kilometres, store};
use crate::App;
use crate::accounts::{AddressKind, visit_address};
use crate::auth::Caller;
use crate::availability::intervals::Span;
use crate::catalogue;
use crate::db::work;
use crate::error::{Error, FieldError, Result};
use crate::http::{Json, Reply};
use crate::ids::{AddressId, ServiceId, TherapistId};
use crate::therapists;
use crate::values::{Country, Instant, Latitude, Longitude, Place};

/// The operations on prices.
pub fn routes(config: &mut ServiceConfig) {
    config.service(create_quote);
    admin::routes(config);
}

/// A visit whose price is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct QuoteBody {
    #[schema(example = "019b76da-a800-7c02-8b52-6f1d8e203c02")]
    service_id: ServiceId,
    /// Minutes on the table.
    #[schema(example = 90, minimum = 15, maximum = 240)]
    duration_minutes: i16,
    start_at: Instant,
    /// Without one, the price is without a surcharge for distance.
    therapist_id: Option<TherapistId>,
    /// One of the caller's addresses; else `latitude`, `longitude`, `country` and `region`.
    address_id: Option<AddressId>,
    latitude: Option<Latitude>,
    longitude: Option<Longitude>,
    country: Option<Country>,
    /// The region's code within the country (ISO 3166-2).
    #[schema(max_length = 10, example = "NSW")]
    region: Option<String>,
    /// What kind of place it is, where no `address_id` tells.
    kind: Option<AddressKind>,
}

/// Quote a price
///
/// What a visit would cost if it were booked now, with the surcharges that are due. Nothing is kept, and nothing is said of whether it can be
/// booked.
#[utoipa::path(tag = "Prices", operation_id = "create_quote", security((), ("bearer" = ["client"])), request_body = QuoteBody,
    responses((status = 200, description = "The price, and how it comes about.", body = PriceBreakdown)))]
#[post("/v1/quotes")]
async fn create_quote(app: Data<App>, Caller(caller): Caller, Json(body, _): Json<QuoteBody>) -> Result<Reply> {
    work(async move {
        let now = app.clock.now();
        let mut tx = app.db.begin().await?;
        let (place, kind) = match body.address_id {
            None => (body.place()?, body.kind),
            Some(_) if body.names_a_place() => {
                let detail = "stands instead of coordinates, country, region and kind.";
                return Err(FieldError::new("/address_id", detail).into());
            }
            Some(id) => {
                let account = caller.ok_or(Error::Unauthorized)?.account;
                let address = visit_address(&mut *tx, account, id).await?;
                let address = address.ok_or_else(|| FieldError::new("/address_id", "is not one of your addresses."))?;
                let point = address.point();
                let zone = address.time_zone.0;
                (Place { point, zone, jurisdiction: address.jurisdiction }, Some(address.kind))
            }
        };
        let Instant(start) = body.start_at;
        if start <= now {
            return Err(FieldError::new("/start_at", "has passed.").into());
        }
        if catalogue::kind_of(&mut *tx, body.service_id).await?.is_none() {
            return Err(FieldError::new("/service_id", "is not in the catalogue.").into());
        }
        let distance_km = match body.therapist_id {
            None => None,
            Some(therapist) => {
                let area = therapists::area(&mut *tx, therapist).await?;
                let area = area.ok_or_else(|| FieldError::new("/therapist_id", "is not a therapist."))?;
                area.map(|area| kilometres(area, place.point))
            }
        };
        let wanted = Wanted {
            service: body.service_id,
            minutes: body.duration_minutes,
            jurisdiction: &place.jurisdiction,
            point: place.point,
            zone: place.zone,
            span: Span::of_minutes(start, body.duration_minutes.into()),
        };
        let tariff = store::tariff(&mut *tx, wanted, now).await?;
        let unsold = || FieldError::new("/duration_minutes", "is not a duration that this service is sold for here.");
        let tariff = tariff.ok_or_else(unsold)?;
        tx.commit().await?;
        let about = About { zone: place.zone, asked_at: now, kind, distance_km };
        Reply::ok(&tariff.breakdown(&about, start))
    })
    .await
}

impl QuoteBody {
    fn names_a_place(&self) -> bool {
        self.latitude.is_some()
            || self.longitude.is_some()
            || self.country.is_some()
            || self.region.is_some()
            || self.kind.is_some()
    }

    /// The place that the body gives by its coordinates.
    fn place(&self) -> Result<Place> {
        let missing = |name: &str| FieldError::new(format!("/{name}"), "is needed where no `address_id` is given.");
        let latitude = self.latitude.ok_or_else(|| missing("latitude"))?;
        let longitude = self.longitude.ok_or_else(|| missing("longitude"))?;
        let country = self.country.as_ref().ok_or_else(|| missing("country"))?;
        let region = self.region.as_deref().ok_or_else(|| missing("region"))?;
        Ok(Place::new((latitude, longitude).into(), country, region)?)
    }
}
