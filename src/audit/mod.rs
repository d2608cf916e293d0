//! The audit: what was done, by whom, to what. Entries are added and never changed, and each is bound to the one
//! before it by its hash, so that tampering shows.
//!
//! Steps of bookings and of reviews, and disclosures of addresses, are copied by the database from their own tables.
//! Everything else is recorded with [`record`], in the transaction of what it records.

mod store;

use serde_json::Value;
use uuid::Uuid;

pub use store::record;

use crate::ids::{AccountId, TherapistId};

/// The chain of everything that is not about one therapist.
pub const SERVICE: Uuid = Uuid::nil();

/// What is recorded. No personal data: ids, states and codes.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The therapist whom it is about, if it is about one.
    pub therapist: Option<TherapistId>,
    /// Who did it; none where the system did.
    pub actor: Option<AccountId>,
    /// What was done, as `feature.step`: `document.read`.
    pub action: &'static str,
    /// The kind of thing it was done to: `document`.
    pub subject_type: &'static str,
    /// Which one.
    pub subject_id: &'a str,
    /// What else is worth knowing, such as the values before and after.
    pub details: Value,
}
