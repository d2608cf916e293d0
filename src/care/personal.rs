//! What is kept of people's health. All of it is sealed by the key of the person whom it tells of, and so to delete the keys of an account's recipients erases it.

use super::clearances::{FACTS, MESSAGE, TERMS};
use super::consents::NAME;
use super::consultations::CONTENT;
use super::people::{ANSWERS, DRAFT, PROFILE};
use super::visits::PROOF;
use crate::personal::{OwnSeal, PersonalTable};

/// The rows that tell of an account's recipients.
const OF_RECIPIENTS: &str = "recipient_id IN (SELECT id FROM recipients WHERE account_id = $1)";
const UNREADABLE: &str = "nobody can read it once the key is deleted";

/// A column that is sealed to its row's id.
const fn by_id(column: &'static str, bound_to: &'static str) -> OwnSeal {
    OwnSeal { column, bound_to, row: "id", whose: "recipient_id", of_all: false }
}

/// What is kept of people here.
pub const PERSONAL: &[PersonalTable] = &[
    PersonalTable {
        part: None,
        ..PersonalTable::deleted("subject_keys", "id IN (SELECT id FROM recipients WHERE account_id = $1)")
    },
    PersonalTable {
        opened: &[OwnSeal { row: "recipient_id", ..by_id("answers_sealed", DRAFT) }],
        ..PersonalTable::deleted("screening_drafts", OF_RECIPIENTS)
    },
    PersonalTable { part: None, ..PersonalTable::deleted("care_invitations", OF_RECIPIENTS) },
    PersonalTable { part: None, ..PersonalTable::deleted("care_invitations_anew", OF_RECIPIENTS) },
    PersonalTable {
        order: "id DESC",
        opened: &[by_id("answers_sealed", ANSWERS)],
        ..PersonalTable::kept("screenings", OF_RECIPIENTS, UNREADABLE)
    },
    PersonalTable {
        order: "decided_at DESC",
        opened: &[OwnSeal { row: "booking_id", ..by_id("proof_sealed", PROOF) }],
        ..PersonalTable::kept("booking_care", OF_RECIPIENTS, UNREADABLE)
    },
    PersonalTable {
        untold: &["claimed_by", "claimed_until", "decided_by"],
        opened: &[by_id("terms_sealed", TERMS), by_id("message_sealed", MESSAGE)],
        ..PersonalTable::blanked(
            "clearances",
            OF_RECIPIENTS,
            "state = CASE WHEN state IN ('rejected', 'withdrawn', 'revoked') THEN state ELSE 'withdrawn' END, claimed_by = NULL, claimed_until = NULL",
        )
    },
    PersonalTable {
        opened: &[OwnSeal {
            whose: "(SELECT recipient_id FROM clearances WHERE id = clearance_id)",
            ..by_id("facts_sealed", FACTS)
        }],
        ..PersonalTable::kept(
            "clearance_letters",
            "clearance_id IN (SELECT id FROM clearances WHERE recipient_id IN (SELECT id FROM recipients WHERE account_id = $1))",
            UNREADABLE,
        )
    },
    PersonalTable {
        order: "id DESC",
        opened: &[by_id("name_sealed", NAME)],
        ..PersonalTable::kept("consents", OF_RECIPIENTS, UNREADABLE)
    },
    PersonalTable {
        order: "written_at DESC",
        untold: &["written_by"],
        opened: &[OwnSeal { row: "booking_id || '/' || version", ..by_id("content_sealed", CONTENT) }],
        ..PersonalTable::kept("consultations", OF_RECIPIENTS, UNREADABLE)
    },
    PersonalTable::kept("consultation_signatures", "account_id = $1", "that something was signed, without what it was"),
    PersonalTable {
        order: "id DESC",
        ..PersonalTable::kept("care_disclosures", OF_RECIPIENTS, "who saw what, without what it said")
    },
    PersonalTable {
        untold: &["look_on"],
        opened: &[OwnSeal { whose: "id", of_all: true, ..by_id("profile_sealed", PROFILE) }],
        ..PersonalTable::blanked("recipients", "account_id = $1", "removed_at = coalesce(removed_at, $2)")
    },
];
