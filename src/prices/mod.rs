//! Prices: what visits cost, as versions that admins add, and never change.

mod admin;
mod entries;
pub mod routes;
mod store;
mod tariff;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use store::{durations, next_change, sold, tariff};
pub use tariff::{About, PriceBreakdown, Tariff, kilometres};

use crate::bookings::Booking;
use crate::bookings::policy::Policy;
use crate::db::Tx;
use crate::error::{FieldError, Refusal, Result};
use crate::ids::{AccountId, ServiceId, TariffId};
use crate::values::{Jurisdiction, Point, Span};

/// What is to be priced.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The service.
    pub service: ServiceId,
    /// Minutes on the table.
    pub minutes: i16,
    /// Where.
    pub jurisdiction: &'a Jurisdiction,
    /// Where.
    pub point: Point,
    /// The zone there.
    pub zone: Tz,
    /// The starts that prices are wanted for.
    pub span: Span,
}

/// What a visit is booked, or held, under.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Terms {
    /// What it costs, and why.
    pub breakdown: PriceBreakdown,
    /// What calling it off costs.
    pub policy: Policy,
}

/// What is wrong with a request for so many minutes of a service that is not sold for so long.
pub fn unsold() -> FieldError {
    FieldError::new("/duration_minutes", "is not a duration that this service is sold for here.")
}

/// What `booking` costs at another start or for so many minutes, by the versions that it was booked under. Of a new start, notice counts from
/// `now`. The same start, minutes and versions give the same price.
///
/// # Errors
/// `service_not_offered` where the service was not sold for so long.
pub async fn requote(
    tx: &mut Tx,
    booking: &Booking,
    start: DateTime<Utc>,
    minutes: i16,
    now: DateTime<Utc>,
) -> Result<PriceBreakdown> {
    let before = &booking.breakdown;
    let wanted = Wanted {
        service: booking.service,
        minutes,
        jurisdiction: &booking.address.jurisdiction,
        point: booking.address.point(),
        zone: booking.time_zone.0,
        span: Span::of_minutes(start, minutes.into()),
    };
    let mut tariff = tariff(&mut **tx, wanted, before.priced_at).await?.ok_or(Refusal::ServiceNotOffered)?;
    if before.price_version.is_none() {
        // Booked when nobody was told of surcharges.
        tariff.surcharges.clear();
    }
    let about = About {
        zone: booking.time_zone.0,
        asked_at: if start == booking.start_at { before.asked_at } else { now },
        kind: Some(booking.address.kind),
        distance_km: before.distance_km,
    };
    Ok(tariff.breakdown(&about, start))
}

/// A version of a price, a surcharge, a cancellation policy or a public holiday, as it is kept.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Version<T> {
    /// The version's id.
    id: TariffId,
    #[serde(flatten)]
    entry: T,
    /// When it was added.
    created_at: DateTime<Utc>,
    /// By which admin; null for what came with the service.
    created_by: Option<AccountId>,
    /// When it was withdrawn, before it took effect.
    withdrawn_at: Option<DateTime<Utc>>,
}
