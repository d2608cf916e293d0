//! Session notes: what a therapist notes of a visit. They are about someone's health: kept sealed, each version of them, and
//! read by their author and the client alone. Staff do not see them.

pub mod routes;
mod store;

use chrono::{DateTime, TimeDelta, Utc};

use crate::bookings::Booking;
use crate::bookings::lifecycle::Status;
use crate::cipher::Sealed;
use crate::ids::{BookingId, TherapistId};
use crate::personal::{PersonalTable, Words};
use crate::seals::{KeptIn, SealedColumn, SealedTable};
use crate::values::bounded_text;

/// What is kept of people here: what was noted of the visits that they booked.
pub const PERSONAL: &[PersonalTable] = &[PersonalTable {
    order: "written_at DESC",
    words: Words::EndLater,
    ..PersonalTable::kept(
        "session_notes",
        "booking_id IN (SELECT id FROM bookings WHERE client_id = $1)",
        "a therapist has to keep the record of what was done",
    )
}];

/// The tables that keep something sealed.
pub const SEALED: &[SealedTable] = &[SealedTable {
    name: "session_notes",
    columns: &[SealedColumn {
        bound_to: TEXT,
        row: "booking_id || '/' || version",
        kept: KeptIn::Column("text_sealed"),
    }],
}];

/// The column of the notes, to which they are sealed.
const TEXT: &str = "session_notes.text";

/// What names a version of a visit's notes.
fn row(booking: BookingId, version: i32) -> String {
    format!("{booking}/{version}")
}

bounded_text! {
    /// What a therapist notes of a visit.
    SessionText prose 1..=4000, example "Trapezius tight on the left; worked at medium pressure.";
}

/// How long after the end of a visit they can be written: long enough for the next working day, short enough that they are not
/// made up later.
const OPEN: TimeDelta = TimeDelta::hours(72);

/// Whether they can be written at `now`: from the start of the visit until 72 hours after the end of its time. A visit that was
/// stopped may never have `begun`.
fn is_open(visit: &Booking, begun: bool, now: DateTime<Utc>) -> bool {
    let took_place = match visit.status {
        Status::InProgress | Status::Completed => true,
        Status::Stopped => begun,
        _ => false,
    };
    took_place && now < visit.end_at() + OPEN
}

/// The latest version.
#[derive(Clone, Debug)]
struct Version {
    number: i32,
    author: TherapistId,
    text: Sealed,
    written_at: DateTime<Utc>,
}
