//! One's own visits as a calendar (RFC 5545). It tells when, and to the therapist in which suburb; nothing about anybody's health, and
//! nothing about a door.

use chrono::TimeDelta;
use icalendar::{Calendar, Class, Component, Event, EventLike, EventStatus, Property};

use crate::bookings::entries::Entry;
use crate::bookings::lifecycle::Status;
use crate::ids::BookingId;

/// How long past visits stay.
pub const BACK: TimeDelta = TimeDelta::days(30);

/// What a visit is called in calendars, for ever.
pub fn uid(booking: BookingId) -> String {
    format!("{booking}@visits.knead")
}

/// The calendar of these visits.
pub fn write(entries: &[Entry]) -> String {
    let properties = [
        ("VERSION", "2.0"),
        ("PRODID", "-//Knead//Visits//EN"),
        ("CALSCALE", "GREGORIAN"),
        ("METHOD", "PUBLISH"),
        ("X-WR-CALNAME", "Massage visits"),
        ("X-PUBLISHED-TTL", "PT15M"),
    ];
    let components = entries.iter().map(|entry| event(entry).into()).collect();
    Calendar { properties: Property::from_array(properties), components }.to_string()
}

fn event(entry: &Entry) -> Event {
    let mut event = Event::new();
    event
        .uid(&uid(entry.id))
        .sequence(u32::try_from(entry.changes).unwrap_or(u32::MAX))
        // Of the visit and not of the moment: what is unchanged must read the same.
        .timestamp(entry.changed_at)
        .created(entry.created_at)
        .last_modified(entry.changed_at)
        .starts(entry.start_at)
        .ends(entry.start_at + TimeDelta::minutes(entry.minutes.into()))
        .summary("Massage visit")
        .class(Class::Private)
        .status(status(entry.status));
    if let Some(suburb) = &entry.suburb {
        event.location(suburb);
    }
    event
}

fn status(status: Status) -> EventStatus {
    match status {
        Status::Requested => EventStatus::Tentative,
        Status::Declined | Status::Expired | Status::Cancelled => EventStatus::Cancelled,
        Status::Confirmed
        | Status::OnTheWay
        | Status::Arrived
        | Status::InProgress
        | Status::Completed
        | Status::NoShow
        | Status::Stopped => EventStatus::Confirmed,
    }
}
