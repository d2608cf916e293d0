//! Conversations: what client and therapist of a visit write to each other, sealed. Staff read one only while an incident of its visit is open.

pub mod routes;
mod store;

use chrono::{DateTime, TimeDelta, Utc};

use crate::bookings::lifecycle::Status;
use crate::bookings::{Booking, Side};
use crate::cipher::Sealed;
use crate::error::Refusal;
use crate::ids::{MessageId, TherapistId};
use crate::personal::PersonalTable;
use crate::queue::Sweep;
use crate::seals::{KeptIn, SealedColumn, SealedTable};
use crate::values::bounded_text;

/// What is kept of people here: what they wrote themselves.
pub const PERSONAL: &[PersonalTable] = &[PersonalTable {
    order: "id DESC",
    ..PersonalTable::deleted(
        "booking_messages",
        "by = 'therapist' AND therapist_id = $1 OR by = 'client' AND booking_id IN (SELECT id FROM bookings WHERE client_id = $1)",
    )
}];

/// The tables that keep something sealed.
pub const SEALED: &[SealedTable] = &[SealedTable {
    name: "booking_messages",
    columns: &[SealedColumn { bound_to: TEXT, row: "id", kept: KeptIn::Column("text") }],
}];

/// What is deleted here in the end.
pub const SWEEPS: &[Sweep] =
    &[Sweep { name: "booking_messages", run: |app, now| Box::pin(store::forget_old(&app.db, now)) }];

/// The column of the words, to which they are sealed.
const TEXT: &str = "booking_messages.text";

/// How long a message is kept; longer while an incident of its visit is open.
const KEPT: TimeDelta = TimeDelta::days(90);

/// How long after the end of a visit its parties can write: long enough for a watch that was left behind.
const AFTER: TimeDelta = TimeDelta::hours(24);

/// The most messages of one party about one visit.
const MOST_OF_ONE: usize = 100;

bounded_text! {
    /// What one party of a visit writes to the other.
    MessageText prose 1..=1000, example "I am at the gate; which bell is yours?";
}

/// A message as it is stored.
#[derive(Clone, Debug)]
struct Message {
    id: MessageId,
    /// The visit's therapist when it was written.
    therapist: TherapistId,
    by: Side,
    text: Sealed,
    sent_at: DateTime<Utc>,
}

/// Refuses to write about a visit that is not agreed on, or is long over.
///
/// # Errors
/// `conversation_closed`
fn refuse_closed(visit: &Booking, now: DateTime<Utc>) -> Result<(), Refusal> {
    let is_open = match visit.status {
        Status::Confirmed | Status::OnTheWay | Status::Arrived | Status::InProgress => true,
        Status::Completed | Status::NoShow | Status::Stopped => now < visit.end_at() + AFTER,
        Status::Requested | Status::Declined | Status::Expired | Status::Cancelled => false,
    };
    if is_open { Ok(()) } else { Err(Refusal::ConversationClosed) }
}
