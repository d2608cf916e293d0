//! What bookings announce.

use serde_json::{Value, json};

use super::Booking;
use super::lifecycle::{Action, Party, Status};
use crate::cipher::Sealed;
use crate::events::Reason;
pub(super) use crate::events::{Event, Rows};
use crate::values::name;

/// Why a step is taken.
pub(super) enum Why {
    /// In a person's words.
    Theirs(Sealed),
    /// In the service's own.
    Ours(&'static str),
}

/// A step that was taken.
pub(super) struct Taken {
    pub action: Action,
    pub party: Party,
    pub from: Status,
    pub reason: Option<Why>,
}

/// The kind of event that a step is.
pub(super) fn kind(action: Action) -> String {
    format!("booking.{}", name(&action))
}

/// Something that happened to `booking`. It tells of the visit's time in any case, which people are told with it.
pub(super) fn event(kind: impl Into<String>, booking: &Booking, details: Value) -> Event {
    let mut told = json!({ "start_at": booking.start_at, "time_zone": booking.time_zone });
    if let (Some(told), Value::Object(details)) = (told.as_object_mut(), details) {
        told.extend(details);
    }
    Event {
        client: Some(booking.client),
        ..Event::new(kind, "booking", booking.id).about(booking.therapist).with(told)
    }
}

/// The step that led `booking` to where it is.
pub(super) fn step(booking: &Booking, taken: Taken, details: Value) -> Event {
    Event {
        party: Some(taken.party),
        from: Some(name(&taken.from)),
        to: Some(name(&booking.status)),
        reason: taken.reason.map(|why| match why {
            Why::Theirs(words) => Reason::Theirs(words),
            Why::Ours(words) => Reason::Ours(words.to_owned()),
        }),
        ..event(kind(taken.action), booking, details)
    }
}
