//! What is kept of people in bookings.

use crate::personal::{PersonalTable, Words};

/// What is kept of people here. A visit's therapist is not told anew where it was and what its client wrote. When and what was agreed, carried out and charged stays:
/// the other side and the accounts need it.
pub const PERSONAL: &[PersonalTable] = &[
    PersonalTable {
        order: "id DESC",
        untold: &["therapist_gender", "overdue_told_at", "call_off_at", "hand_over_excused", "local_start"],
        ..PersonalTable::blanked(
            "bookings",
            "client_id = $1",
            // To a tenth of a degree, which is a town; a day's tax needs no more than the region.
            "notes_sealed = NULL, focus_areas_sealed = NULL, address = (address - 'access_notes_sealed' - 'remarks_sealed') || jsonb_build_object(
                 'label', '', 'line1', '', 'line2', NULL, 'postcode', '', 'access_notes_sealed', NULL, 'remarks_sealed', NULL,
                 'latitude', round((address ->> 'latitude')::numeric, 1), 'longitude', round((address ->> 'longitude')::numeric, 1))",
        )
    },
    PersonalTable {
        part: Some("visits_carried_out"),
        order: "id DESC",
        untold: &[
            "client_id", "recipient_id", "address", "notes_sealed", "focus_areas_sealed", "pressure", "therapist_gender", "care_at_risk_since",
            "care_confirmed_at", "overdue_told_at", "call_off_at", "local_start",
        ],
        ..PersonalTable::kept("bookings", "therapist_id = $1", "what was agreed, carried out and charged")
    },
    PersonalTable {
        order: "id DESC",
        untold: &["position"],
        ..PersonalTable::kept(
            "counter_offers",
            "booking_id IN (SELECT id FROM bookings WHERE client_id = $1 OR therapist_id = $1)",
            "deleted 400 days after the time that they proposed",
        )
    },
    PersonalTable { ..PersonalTable::deleted("holds", "client_id = $1") },
    PersonalTable {
        untold: &["note", "resolved_by"],
        words: Words::EndLater,
        ..PersonalTable::kept("incidents", "reporter_id = $1", "what was reported of visits, for the safety of others")
    },
    PersonalTable::kept("therapist_lapses", "therapist_id = $1", "what reliability rests on"),
    PersonalTable {
        part: Some("licences_relied_on"),
        order: "relied_at DESC",
        ..PersonalTable::kept("reliances", "therapist_id = $1", "what proves that a therapist was licensed")
    },
    PersonalTable {
        part: Some("account_events"),
        order: "id DESC",
        untold: &["position", "number", "actor_id", "reason", "reason_sealed"],
        ..PersonalTable::kept("events", "subject_type = 'account' AND subject_id = $1::text", "the history of everything; it names no one but by ids")
    },
    // The words in which a person said why they took a step.
    PersonalTable {
        part: None,
        words: Words::EndAtOnce,
        ..PersonalTable::kept("events", "actor_id = $1 AND reason_sealed IS NOT NULL", "what was done stays, without why")
    },
];
