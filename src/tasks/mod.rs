//! Tasks: what an admin should look at, and has or has not.

pub mod routes;
mod store;

use serde_json::Value;
use uuid::Uuid;

pub use store::raise;

/// Something to look at.
#[derive(Clone, Debug)]
pub struct Task {
    /// What is the matter: `roster_status_unknown`, `visit_in_progress_unlicensed`, ...
    pub kind: &'static str,
    /// The kind of thing that it is about: `credential`, `booking`.
    pub subject_type: &'static str,
    /// Which one.
    pub subject: Uuid,
    /// What else is worth knowing. No personal data: ids, states and codes.
    pub details: Value,
}
