//! The catalogue: what can be booked.

pub mod routes;
mod store;

use serde::Serialize;
use utoipa::ToSchema;

pub use store::{
    first, is_kind, kind_of, manners, names, refuse_unknown_filters, refuse_unknown_tags, services, technique_slugs,
};

use crate::ids::ServiceId;
use crate::values::Pressure;

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

/// A kind of treatment, as the catalogue describes it; what it costs is told by `prices`.
#[derive(Debug)]
pub struct Service {
    /// The service's id.
    pub id: ServiceId,
    /// A stable, readable name.
    pub slug: String,
    /// The name that people read.
    pub name: String,
    /// What it is and whom it suits.
    pub description: String,
    /// What licence requirements are written for.
    pub kind: String,
    /// The lightest pressure that it is done with.
    pub pressure_from: Pressure,
    /// The firmest.
    pub pressure_to: Pressure,
    /// What it is made of.
    pub techniques: Vec<Technique>,
}

/// How a service is done, as far as it matters whom it suits.
#[derive(Debug)]
pub struct Manner {
    /// The service's id.
    pub id: ServiceId,
    /// A stable, readable name.
    pub slug: String,
    /// The lightest pressure that it is done with.
    pub pressure_from: Pressure,
    /// The firmest.
    pub pressure_to: Pressure,
    /// The regions of the body that it works on, as codes or groups of them.
    pub works_on: Vec<String>,
    /// Its techniques, and whether each is at the core of it.
    pub techniques: Vec<(String, bool)>,
}
