//! Notices: what the service tells a person, in the app.

pub mod routes;
mod store;

use serde_json::Value;
use uuid::Uuid;

pub use store::post;

use crate::ids::AccountId;

/// Something that a person is told.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Who is told.
    pub to: AccountId,
    /// What happened: `visit_called_off`, `visit_at_risk`, ...
    pub kind: &'static str,
    /// The kind of thing that it is about: `booking`.
    pub subject_type: &'static str,
    /// Which one.
    pub subject: Uuid,
    /// What else is worth knowing.
    pub details: Value,
}
