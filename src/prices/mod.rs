//! Prices: what visits cost, as versions that admins add, and never change.

mod admin;
mod entries;
pub mod policy;
mod public_policies;
pub mod routes;
mod services;
mod store;
mod tariff;
mod terms;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use policy::Policy;
pub use services::refuse_unknown_offers;
pub use store::{next_change, tariff};
pub use tariff::{About, PriceBreakdown, Tariff, kilometres};
pub use terms::CancellationTerms;

use crate::error::FieldError;
use crate::ids::{AccountId, ServiceId, TariffId};
use crate::values::{Jurisdiction, Point, Span, Zone};

/// What is to be priced.
#[derive(Clone, Copy, Debug)]
pub struct PriceQuery<'a> {
    /// The service.
    pub service: ServiceId,
    /// Minutes on the table.
    pub minutes: i16,
    /// Where.
    pub jurisdiction: &'a Jurisdiction,
    /// Where.
    pub point: Point,
    /// The zone there.
    pub zone: Zone,
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
