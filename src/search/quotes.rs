//! Quotes: what a visit would cost.

use actix_web::post;
use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::GivenPlace;
use super::moving::{Moving, Said};
use crate::App;
use crate::auth::Caller;
use crate::catalogue;
use crate::error::{FieldError, Result};
use crate::http::{Json, Reply};
use crate::ids::{AddressId, BookingId, ServiceId, TherapistId};
use crate::prices::policy::Agreed;
use crate::prices::{self, About, CancellationTerms, PriceBreakdown, PriceQuery, kilometres, unsold};
use crate::therapists;
use crate::values::{AddressKind, Country, Instant, Latitude, Longitude, Span};

/// The operation on quotes.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(create_quote);
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
    /// A booking of the caller's that is to be moved: what it costs then by the versions that it was booked under. Its place is meant, so that none is
    /// given.
    moving: Option<BookingId>,
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

/// What a visit would cost, and what calling it off would.
#[derive(Serialize, ToSchema)]
struct Quote {
    #[serde(flatten)]
    price: PriceBreakdown,
    #[serde(flatten)]
    terms: CancellationTerms,
}

/// Quote a price
///
/// What a visit would cost if it were booked now, with the surcharges that are due, and what calling it off would cost then. Nothing is kept, and nothing is said of whether it can be
/// booked.
#[utoipa::path(tag = "Prices", operation_id = "create_quote", security((), ("bearer" = ["client", "therapist", "admin"]), ("api_key" = ["slots:read"])), request_body = QuoteBody,
    responses((status = 200, description = "The price, how it comes about, and what calling off costs.", body = Quote)))]
#[post("/v1/quotes")]
async fn create_quote(app: Data<App>, Caller(caller): Caller, Json(body, _): Json<QuoteBody>) -> Result<Reply> {
    let now = app.clock.now();
    let Instant(start) = body.start_at;
    if start <= now {
        return Err(FieldError::new("/start_at", "has passed.").into());
    }
    if body.address_id.is_some() && body.kind.is_some() {
        return Err(FieldError::new("/kind", "is known from the address.").into());
    }
    let given = GivenPlace {
        address_id: body.address_id,
        latitude: body.latitude,
        longitude: body.longitude,
        country: body.country,
        region: body.region,
    };
    if let Some(id) = body.moving {
        let mut db = app.db.acquire().await?;
        let said = Said {
            therapist: body.therapist_id,
            service: body.service_id,
            minutes: body.duration_minutes,
            given: &given,
        };
        let moving = Moving::find(&mut db, id, caller, said, now).await?;
        let setting = moving.setting(&mut db, Span::of_minutes(start, body.duration_minutes.into())).await?;
        let price = moving.breakdown(&setting, start, now);
        let terms = CancellationTerms::of(&moving.policy, moving.agreed(price.total, start), moving.place.zone);
        return Reply::ok(&Quote { price, terms });
    }
    let (place, kind) = given.find(&*app.db, caller).await?;
    if catalogue::kind_of(&*app.db, body.service_id).await?.is_none() {
        return Err(FieldError::new("/service_id", "is not in the catalogue.").into());
    }
    let distance_km = match body.therapist_id {
        None => None,
        Some(therapist) => {
            let shown = therapists::is_shown(&mut *app.db.acquire().await?, therapist, caller, now).await?;
            let area = if shown { therapists::area(&*app.db, therapist).await? } else { None };
            let area = area.ok_or_else(|| FieldError::new("/therapist_id", "is not a therapist."))?;
            area.map(|area| kilometres(area, place.point))
        }
    };
    let wanted = PriceQuery {
        service: body.service_id,
        minutes: body.duration_minutes,
        jurisdiction: &place.jurisdiction,
        point: place.point,
        zone: place.zone,
        span: Span::of_minutes(start, body.duration_minutes.into()),
    };
    let tariff = prices::tariff(&*app.db, wanted, now).await?.ok_or_else(unsold)?;
    let about = About { zone: place.zone, asked_at: now, kind: kind.or(body.kind), distance_km };
    let price = tariff.breakdown(&about, start);
    let visit = Agreed { price: price.total, booked_at: now, start_at: start, least_fee: 0 };
    let terms = CancellationTerms::of(&tariff.policy, visit, place.zone);
    Reply::ok(&Quote { price, terms })
}
