//! The catalogue: what can be booked, for how long and at what price.

pub mod routes;
mod store;

use serde::Serialize;
use utoipa::ToSchema;

pub use store::{is_kind, kind_of, names, refuse_unknown_offers, refuse_unknown_tags};

use crate::ids::ServiceId;
use crate::values::Money;

/// A duration on the table, and what it costs.
#[derive(Debug, Serialize, ToSchema)]
pub struct PricedDuration {
    /// Minutes on the table; set-up and pack-up come on top.
    #[schema(example = 60)]
    pub duration_minutes: i16,
    /// The price in the currency of the country that was asked for.
    pub price: Money,
}

/// A technique that a therapist works with.
#[derive(Debug, Serialize, ToSchema)]
pub struct Technique {
    /// The name that searches use.
    #[schema(example = "trigger-point-therapy")]
    pub slug: String,
    /// The name that people read.
    #[schema(example = "Trigger point therapy")]
    pub name: String,
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
    /// Shortest first; empty where the service is not sold in the country.
    pub durations: Vec<PricedDuration>,
    /// What it is made of.
    pub techniques: Vec<Technique>,
}
