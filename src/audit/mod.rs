//! The audit: what was done, by whom, to what. Entries are added and never changed. A sequencer chains what has been
//! committed, each entry to the one before it by its hash, and signs the heads, so that tampering shows.
//!
//! Its entries are the events that the features announce.

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
pub use store::{Chained, newest_head, positions, since, thin_heads};
pub use verify::{Break, Damage, Findings, Place, holds, verify};

use crate::ids::{AccountId, TherapistId};

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
struct AuditEntry {
    id: Uuid,
    position: i64,
    therapist: Option<TherapistId>,
    client: Option<AccountId>,
    time: DateTime<Utc>,
    actor: Option<AccountId>,
    party: Option<String>,
    kind: String,
    subject_type: String,
    subject_id: String,
    number: i32,
    from: Option<String>,
    to: Option<String>,
    /// The JSON as it was written: the hash is of this text.
    details: String,
}

impl AuditEntry {
    /// SHA-256 over the hash of the link before, the number of this `link`, and this entry's fields, one to a line; times in
    /// microseconds since 1970; empty where there is none. Thirty-two zeros stand before the first link.
    fn hash(&self, link: i64, before: &[u8]) -> Vec<u8> {
        fn text<T: ToString>(value: Option<&T>) -> String {
            value.map(T::to_string).unwrap_or_default()
        }
        let fields = [
            link.to_string(),
            self.id.to_string(),
            self.position.to_string(),
            text(self.therapist.as_ref()),
            text(self.client.as_ref()),
            self.time.timestamp_micros().to_string(),
            text(self.actor.as_ref()),
            text(self.party.as_ref()),
            self.kind.clone(),
            self.subject_type.clone(),
            self.subject_id.clone(),
            self.number.to_string(),
            text(self.from.as_ref()),
            text(self.to.as_ref()),
            self.details.clone(),
        ];
        digest(&SHA256, &[before, fields.join("\n").as_bytes()].concat()).as_ref().to_vec()
    }
}

/// An entry of the audit.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEvent {
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
