//! What is kept of people in treatments. All of it is sealed by the key of the person whom it tells of, and so to delete the key erases it.

use super::{aftercare, measures, plans, records};
use crate::personal::{OwnSeal, PersonalTable};

/// The rows that tell of an account's recipients.
const OF_RECIPIENTS: &str = "recipient_id IN (SELECT id FROM recipients WHERE account_id = $1)";
const UNREADABLE: &str = "nobody can read it once the key is deleted";

const fn own(column: &'static str, bound_to: &'static str, row: &'static str) -> OwnSeal {
    OwnSeal { column, bound_to, row, whose: "recipient_id", of_all: false }
}

/// What is kept of people here.
pub const PERSONAL: &[PersonalTable] = &[
    PersonalTable {
        order: "written_at DESC",
        opened: &[own("content_sealed", records::CONTENT, "booking_id || '/' || version")],
        ..PersonalTable::kept("treatment_records", OF_RECIPIENTS, UNREADABLE)
    },
    PersonalTable {
        order: "id DESC",
        opened: &[own("value_sealed", measures::VALUE, "id")],
        ..PersonalTable::kept("measures", OF_RECIPIENTS, UNREADABLE)
    },
    PersonalTable {
        order: "given_at DESC",
        opened: &[own("content_sealed", aftercare::CONTENT, "booking_id || '/' || number")],
        ..PersonalTable::kept("aftercare_feedback", OF_RECIPIENTS, UNREADABLE)
    },
    PersonalTable {
        order: "id DESC",
        opened: &[own("content_sealed", plans::CONTENT, "id")],
        ..PersonalTable::kept("plans", OF_RECIPIENTS, UNREADABLE)
    },
    PersonalTable {
        order: "given_at DESC",
        opened: &[OwnSeal {
            whose: "(SELECT recipient_id FROM plans WHERE id = plan_id)",
            ..own("text_sealed", plans::FEEDBACK, "plan_id || '/' || number")
        }],
        ..PersonalTable::kept(
            "plan_feedback",
            "plan_id IN (SELECT id FROM plans WHERE recipient_id IN (SELECT id FROM recipients WHERE account_id = $1))",
            UNREADABLE,
        )
    },
];
