//! The audit: what was done, by whom, to what. Entries are added and never changed, and each is bound to the one
//! before it in its chain by its hash, so that tampering shows.
//!
//! Steps of bookings and of reviews, and disclosures of addresses, are copied by the database from their own tables.
//! Everything else is recorded with [`record`], in the transaction of what it records.

pub mod routes;
mod store;

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

pub use store::{positions, record, verify};

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

/// A place in the audit: the chain and the number within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Link {
    /// The chain: a therapist's id, or [`SERVICE`].
    pub chain: Uuid,
    /// Counts from 1, without a gap.
    pub link: i64,
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
pub struct Stored {
    position: i64,
    at: Link,
    time: DateTime<Utc>,
    actor: Option<AccountId>,
    action: String,
    subject_type: String,
    subject_id: String,
    /// The JSON as it was written: the hash is of this text.
    details: String,
    previous: Vec<u8>,
    hash: Vec<u8>,
}

impl Stored {
    /// SHA-256 over the hash of the entry before and this entry's fields, one to a line; times in microseconds
    /// since 1970. The database computes the same when it adds the entry.
    fn expected_hash(&self) -> Vec<u8> {
        let Link { chain, link } = self.at;
        let actor = self.actor.map(|actor| actor.to_string()).unwrap_or_default();
        let Self { position, action, subject_type, subject_id, details, .. } = self;
        let time = self.time.timestamp_micros();
        let fields =
            format!("{position}\n{chain}\n{link}\n{time}\n{actor}\n{action}\n{subject_type}\n{subject_id}\n{details}");
        digest(&SHA256, &[self.previous.as_slice(), fields.as_bytes()].concat()).as_ref().to_vec()
    }
}

/// What is wrong with the audit at some position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct Break {
    /// The entry's position.
    pub position: i64,
    /// The kind of damage.
    pub damage: Damage,
}

/// A kind of damage to the audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Damage {
    /// The entry is not what was written.
    Altered,
    /// Entries before this one were taken out, or others put in.
    BrokenBefore,
    /// This entry was the last of its chain, and is gone.
    EndMissing,
    /// The entry lies beyond the end of its chain, or the record of that end was changed.
    BeyondEnd,
}

/// Walks entries in the order of their chains and remembers what is broken.
#[derive(Debug, Default)]
struct Walk {
    last: Option<(Link, Vec<u8>)>,
    breaks: Vec<Break>,
    entries: usize,
}

impl Walk {
    /// Looks at the next entry. `end` is the recorded end of its chain.
    fn pass(&mut self, entry: Stored, end: Option<(i64, &[u8])>) {
        let start = (Link { chain: entry.at.chain, link: 0 }, vec![0; 32]);
        let (before, hash) = self.last.take().filter(|(last, _)| last.chain == entry.at.chain).unwrap_or(start);
        let damage = if entry.at.link != before.link + 1 || entry.previous != hash {
            Some(Damage::BrokenBefore)
        } else if entry.hash != entry.expected_hash() {
            Some(Damage::Altered)
        } else if end.is_none_or(|(link, end)| entry.at.link > link || (entry.at.link == link && entry.hash != end)) {
            Some(Damage::BeyondEnd)
        } else {
            None
        };
        self.breaks.extend(damage.map(|damage| Break { position: entry.position, damage }));
        self.entries += 1;
        self.last = Some((entry.at, entry.hash));
    }
}

/// What a walk over a part of the audit found.
#[derive(Debug)]
pub struct Findings {
    /// Entries looked at.
    pub entries: usize,
    /// What is broken, by position.
    pub breaks: Vec<Break>,
    /// The last entry looked at, where there are more.
    pub rest: Option<Link>,
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
    /// SHA-256 of this entry and of the one before it in its chain, in hexadecimal.
    pub hash: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(length: i64) -> Vec<Stored> {
        let mut previous = vec![0; 32];
        let mut entries = Vec::new();
        for link in 1..=length {
            let mut entry = Stored {
                position: link * 10,
                at: Link { chain: SERVICE, link },
                time: DateTime::UNIX_EPOCH,
                actor: None,
                action: "credential.verify".to_owned(),
                subject_type: "credential".to_owned(),
                subject_id: link.to_string(),
                details: "{}".to_owned(),
                previous: previous.clone(),
                hash: Vec::new(),
            };
            entry.hash = entry.expected_hash();
            previous.clone_from(&entry.hash);
            entries.push(entry);
        }
        entries
    }

    fn walked(entries: Vec<Stored>, end: &Stored) -> Vec<Break> {
        let mut walk = Walk::default();
        for entry in entries {
            walk.pass(entry, Some((end.at.link, &end.hash)));
        }
        walk.breaks
    }

    #[test]
    fn damage_shows_where_it_was_done() {
        let whole = chain(5);
        let end = whole.last().expect("an end").clone();
        assert_eq!(walked(whole.clone(), &end), []);

        let mut altered = whole.clone();
        altered[2].subject_id = "someone else".to_owned();
        assert_eq!(walked(altered.clone(), &end), [Break { position: 30, damage: Damage::Altered }]);

        // Whoever mends the hash breaks the next link.
        altered[2].hash = altered[2].expected_hash();
        assert_eq!(walked(altered, &end), [Break { position: 40, damage: Damage::BrokenBefore }]);

        let mut shorter = whole.clone();
        shorter.remove(1);
        assert_eq!(walked(shorter, &end), [Break { position: 30, damage: Damage::BrokenBefore }]);

        let mut swapped = whole.clone();
        swapped.swap(1, 2);
        assert_eq!(walked(swapped, &end).first().map(|found| found.position), Some(30));

        let earlier = &whole[3];
        assert_eq!(walked(whole.clone(), earlier), [Break { position: 50, damage: Damage::BeyondEnd }]);
    }
}
