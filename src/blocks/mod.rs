//! Blocks: a client and a therapist who are not to meet, whoever of the two said so.
//!
//! A block is the blocker's own affair: the other side is not told, though a refusal (`blocked`) says that one of the two does.
//! What can be booked between the two is asked of the therapist's diary, like every other rule.

pub mod routes;
mod store;

use chrono::{DateTime, Utc};

use crate::auth::Principal;
use crate::bookings::Side;
use crate::cipher::Sealed;
use crate::ids::{AccountId, TherapistId};
use crate::personal::PersonalTable;
use crate::seals::{KeptIn, SealedColumn, SealedTable};
use crate::values::{bounded_text, name};

/// What is kept of people here. Whom others block is not told to them.
pub const PERSONAL: &[PersonalTable] = &[
    PersonalTable::deleted("blocks", "by = 'client' AND client_id = $1 OR by = 'therapist' AND therapist_id = $1"),
    PersonalTable { part: None, ..PersonalTable::deleted("blocks", "client_id = $1 OR therapist_id = $1") },
];

bounded_text! {
    /// Why, for oneself.
    BlockNote prose 1..=500, example "Made me uncomfortable.";
}

/// The tables that keep something sealed.
pub const SEALED: &[SealedTable] = &[SealedTable {
    name: "blocks",
    columns: &[SealedColumn {
        bound_to: NOTE,
        row: "therapist_id || '/' || client_id || '/' || by",
        kept: KeptIn::Column("note_sealed"),
    }],
}];

/// The column of notes, to which they are sealed.
const NOTE: &str = "blocks.note";

/// A client and a therapist, and who of them blocks the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    pub client: AccountId,
    pub therapist: TherapistId,
    pub by: Side,
}

impl Pair {
    /// The caller, who blocks `other`.
    pub fn of(me: &Principal, other: AccountId) -> Self {
        let by = Side::of(me.role);
        match by {
            Side::Client => Self { client: me.account, therapist: other.into(), by },
            Side::Therapist => Self { client: other, therapist: me.account.into(), by },
        }
    }

    /// What a note is sealed to.
    fn row(self) -> String {
        format!("{}/{}/{}", self.therapist, self.client, name(&self.by))
    }
}

/// A block as it is stored.
#[derive(Clone, Debug)]
struct Block {
    /// Who is blocked.
    other: AccountId,
    note: Option<Sealed>,
    created_at: DateTime<Utc>,
}
