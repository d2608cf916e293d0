//! What is kept of therapists in their credentials. All of it stays when an account is erased, because whoever was visited may ask for years whether the
//! therapist was licensed then.

use crate::personal::PersonalTable;

const PROVES: &str = "proofs of visits rest on it";
const OF_CREDENTIALS: &str = "credential_id IN (SELECT id FROM credentials WHERE therapist_id = $1)";

/// What is kept of people here. Who of the staff decided is not told.
pub const PERSONAL: &[PersonalTable] = &[
    PersonalTable {
        untold: &["approved_by", "approved_content", "claimed_by", "claimed_until"],
        ..PersonalTable::kept("credentials", "therapist_id = $1", PROVES)
    },
    PersonalTable { untold: &["actor_id"], ..PersonalTable::kept("credential_verifications", OF_CREDENTIALS, PROVES) },
    PersonalTable {
        untold: &["note", "placed_by", "lifted_by"],
        ..PersonalTable::kept("credential_holds", OF_CREDENTIALS, PROVES)
    },
    PersonalTable {
        untold: &["sent_sha256", "sha256"],
        ..PersonalTable::kept("credential_documents", OF_CREDENTIALS, PROVES)
    },
    PersonalTable { untold: &["position"], ..PersonalTable::kept("decisions_told", OF_CREDENTIALS, PROVES) },
    PersonalTable {
        part: None,
        ..PersonalTable::kept("credential_reminders", OF_CREDENTIALS, "deleted 400 days after the end")
    },
    PersonalTable {
        untold: &["contested"],
        ..PersonalTable::kept("number_claims", "therapist_id = $1", "nobody else is to enter the same number unseen")
    },
];
