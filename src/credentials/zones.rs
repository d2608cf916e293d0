//! Which day it is where an authority sits: a licence is good until its last day is over there.

use chrono::{DateTime, NaiveDate, Utc};

use crate::values::Zone;
use crate::values::wall_clock::local_date;

/// The zone of the authority of a country or region. Where a country has several, or the place is not told, the one in which
/// a day ends last: nothing is called over while it is not over somewhere there.
pub fn of_authority(place: Option<&str>) -> Zone {
    let Some(place) = place.filter(|place| !place.is_empty()) else { return Zone::ENDS_LAST };
    let name = match place {
        "US-AK" => "America/Anchorage",
        "US-HI" => "Pacific/Honolulu",
        "US-CA" | "US-NV" | "US-OR" | "US-WA" => "America/Los_Angeles",
        "US-AZ" => "America/Phoenix",
        "US-CO" | "US-MT" | "US-NM" | "US-UT" | "US-WY" => "America/Denver",
        "US-ID" => "America/Boise",
        "US-AL" | "US-AR" | "US-IA" | "US-IL" | "US-KS" | "US-LA" | "US-MN" | "US-MO" | "US-MS" | "US-ND" | "US-NE"
        | "US-OK" | "US-SD" | "US-TN" | "US-TX" | "US-WI" => "America/Chicago",
        "US" => "Pacific/Pago_Pago",
        _ if place.starts_with("US-") => "America/New_York",
        "CA-BC" | "CA-YT" | "CA" => "America/Vancouver",
        "CA-AB" | "CA-NT" => "America/Edmonton",
        "CA-SK" => "America/Regina",
        "CA-MB" => "America/Winnipeg",
        "CA-NB" | "CA-NS" | "CA-PE" => "America/Halifax",
        "CA-NL" => "America/St_Johns",
        _ if place.starts_with("CA-") => "America/Toronto",
        "AU-WA" | "AU" => "Australia/Perth",
        "AU-SA" => "Australia/Adelaide",
        "AU-NT" => "Australia/Darwin",
        "AU-QLD" => "Australia/Brisbane",
        _ if place.starts_with("AU-") => "Australia/Sydney",
        _ if place.starts_with("GB") => "Europe/London",
        _ => return Zone::ENDS_LAST,
    };
    // Every one of these names is known: rules without one are not used.
    Zone::named(name).unwrap_or(Zone::ENDS_LAST)
}

/// The day that it is there.
pub fn today(place: Option<&str>, now: DateTime<Utc>) -> NaiveDate {
    local_date(of_authority(place), now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_authority_whose_place_is_told_has_a_zone_of_its_own() {
        let places = [
            "US-AK", "US-HI", "US-CA", "US-AZ", "US-CO", "US-ID", "US-TX", "US", "US-NY", "CA-BC", "CA-AB", "CA-SK",
            "CA-MB", "CA-NS", "CA-NL", "CA-ON", "AU-WA", "AU-SA", "AU-NT", "AU-QLD", "AU-NSW", "GB-ENG",
        ];
        assert!(places.iter().all(|place| of_authority(Some(place)) != Zone::ENDS_LAST), "no name is misspelt");
        assert_eq!(of_authority(Some("NZ")), Zone::ENDS_LAST);
    }

    #[test]
    fn a_day_ends_where_the_authority_sits() {
        // Evening in the west, the next day in Greenwich.
        let now = "2026-12-01T06:30:00Z".parse().unwrap();
        for (place, day) in [
            (Some("US-WA"), "2026-11-30"),
            (Some("US-HI"), "2026-11-30"),
            (Some("US-TX"), "2026-12-01"),
            (Some("US-FL"), "2026-12-01"),
            (Some("CA-BC"), "2026-11-30"),
            (Some("AU-NSW"), "2026-12-01"),
            (Some("GB"), "2026-12-01"),
            (Some("US"), "2026-11-30"),
            (Some(""), "2026-11-30"),
            (None, "2026-11-30"),
        ] {
            assert_eq!(today(place, now).to_string(), day, "{place:?}");
        }
    }
}
