//! One's own visits as a calendar (RFC 5545).

use chrono::TimeDelta;
use icalendar::{Calendar, Property};

use crate::bookings::entries::Entry;

/// How long past visits stay.
pub const BACK: TimeDelta = TimeDelta::days(30);

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
    let components = entries.iter().map(|entry| entry.component().into()).collect();
    Calendar { properties: Property::from_array(properties), components }.to_string()
}
