//! Invitations: a visit for the reader's own calendar, put there, changed and taken away (iTIP, RFC 5546; in mails iMIP, RFC 6047).

use icalendar::{Calendar, Component, EventStatus, Property};

use super::table::Invitation;
use crate::bookings::entries::Entry;

/// The calendar object that an invitation brings; none where it brings none. `organizer` and `attendee` are addresses.
///
/// It is the same component as in the feed of the reader's visits, so that both tell of one entry in the reader's calendar.
pub fn object(method: Invitation, entry: &Entry, organizer: &str, attendee: &str) -> Option<String> {
    let name = match method {
        Invitation::None => return None,
        Invitation::Request => "REQUEST",
        Invitation::Cancel => "CANCEL",
    };
    let mut event = entry.component();
    if method == Invitation::Cancel {
        event.append_property(Property::new("STATUS", "CANCELLED"));
        event.status(EventStatus::Cancelled);
    }
    event
        .append_property(Property::new("ORGANIZER", format!("mailto:{organizer}")).add_parameter("CN", "Knead").done());
    event.append_multi_property(
        Property::new("ATTENDEE", format!("mailto:{attendee}"))
            .add_parameter("PARTSTAT", "ACCEPTED")
            .add_parameter("RSVP", "FALSE")
            .done(),
    );
    let properties =
        [("VERSION", "2.0"), ("PRODID", "-//Knead//Visits//EN"), ("CALSCALE", "GREGORIAN"), ("METHOD", name)];
    Some(Calendar { properties: Property::from_array(properties), components: vec![event.done().into()] }.to_string())
}
