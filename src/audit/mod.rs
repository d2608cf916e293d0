//! The audit: what was done, by whom, to what. Entries are added and never changed. A sequencer chains what has been
//! committed, each entry to the one before it by its hash, and signs the heads, so that tampering shows.
//!
//! Steps of bookings and of reviews, and disclosures of addresses, are copied by the database from their own tables.
//! Everything else is recorded with [`record`], in the transaction of what it records.

pub mod command;
mod heads;
pub mod routes;
pub mod sequencer;
mod store;
mod verify;

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

pub use heads::{Head, Keys};
pub use store::{newest_head, positions, record, thin_heads};
pub use verify::{Break, Damage, Findings, Place, holds, verify};

use crate::ids::{AccountId, TherapistId};

/// Stands for the therapist where an entry is about none.
const NO_THERAPIST: Uuid = Uuid::nil();

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

/// Where entries lie, from the first to the last. Others lie between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Positions {
    /// The first entry.
    pub first: i64,
    /// The last one.
    pub last: i64,
    /// How many there are.
    pub entries: i64,
}

/// An entry as it is stored.
#[derive(Clone, Debug)]
struct Stored {
    position: i64,
    /// The therapist, or [`NO_THERAPIST`].
    therapist: Uuid,
    time: DateTime<Utc>,
    actor: Option<AccountId>,
    action: String,
    subject_type: String,
    subject_id: String,
    /// The JSON as it was written: the hash is of this text.
    details: String,
}

impl Stored {
    /// SHA-256 over the hash of the link before, the number of this `link`, and this entry's fields, one to a line; times in
    /// microseconds since 1970. Thirty-two zeros stand before the first link.
    fn hash(&self, link: i64, before: &[u8]) -> Vec<u8> {
        let Self { position, therapist, action, subject_type, subject_id, details, .. } = self;
        let actor = self.actor.map(|actor| actor.to_string()).unwrap_or_default();
        let time = self.time.timestamp_micros();
        let fields = format!(
            "{link}\n{position}\n{therapist}\n{time}\n{actor}\n{action}\n{subject_type}\n{subject_id}\n{details}"
        );
        digest(&SHA256, &[before, fields.as_bytes()].concat()).as_ref().to_vec()
    }
}

/// An entry of the audit.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub struct Event {
    /// Counts up; numbers may be left out.
    pub position: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who; null where the system acted.
    pub actor_id: Option<AccountId>,
    /// The therapist whom it is about; null where it is about none.
    pub therapist_id: Option<TherapistId>,
    /// What was done.
    #[schema(example = "credential.verify")]
    pub action: String,
    /// The kind of thing it was done to.
    #[schema(example = "credential")]
    pub subject_type: String,
    /// Which one.
    pub subject_id: String,
    /// What else is worth knowing, such as the values before and after.
    #[schema(value_type = Object)]
    pub details: Value,
    /// SHA-256 of this entry and of the hash before it in the chain, in hexadecimal; null until it is chained, within about
    /// a second.
    pub hash: Option<String>,
}
