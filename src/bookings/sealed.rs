//! What bookings keep sealed.

use super::{FOCUS_AREAS, NOTES, REASON, incidents};
use crate::accounts::addresses::{ACCESS_NOTES, REMARKS};
use crate::seals::{KeptIn, SealedColumn, SealedTable};

/// The tables that keep something sealed.
pub const SEALED: &[SealedTable] = &[
    SealedTable {
        name: "events",
        columns: &[SealedColumn {
            bound_to: REASON,
            // An event has no id until it is stored.
            row: "subject_id || '/' || split_part(kind, '.', 2) || '/' || (extract(epoch FROM at) * 1000000)::bigint",
            kept: KeptIn::Column("reason_sealed"),
        }],
    },
    SealedTable {
        name: "bookings",
        columns: &[
            SealedColumn { bound_to: NOTES, row: "id", kept: KeptIn::Column("notes_sealed") },
            SealedColumn { bound_to: FOCUS_AREAS, row: "id", kept: KeptIn::Column("focus_areas_sealed") },
            COPIED_ACCESS_NOTES,
            COPIED_REMARKS,
        ],
    },
    SealedTable { name: "holds", columns: &[COPIED_ACCESS_NOTES, COPIED_REMARKS] },
    SealedTable {
        name: "incidents",
        columns: &[
            SealedColumn { bound_to: incidents::REPORT, row: "id", kept: KeptIn::Column("report") },
            SealedColumn { bound_to: incidents::NOTE, row: "id", kept: KeptIn::Column("note") },
        ],
    },
];

/// How to get in, in the copy of an address. It is bound to the address, as it was there.
const COPIED_ACCESS_NOTES: SealedColumn = SealedColumn {
    bound_to: ACCESS_NOTES,
    row: "address ->> 'id'",
    kept: KeptIn::Json("address", "access_notes_sealed"),
};

/// What else is known of the place, in the copy of an address. It is bound to the address, as it was there.
const COPIED_REMARKS: SealedColumn =
    SealedColumn { bound_to: REMARKS, row: "address ->> 'id'", kept: KeptIn::Json("address", "remarks_sealed") };
