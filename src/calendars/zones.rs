//! The zones that calendars name, and the instants that their clocks show.

use std::collections::HashMap;

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// The instant at which the clock of `zone` shows `wall`: of two the first; one that the clock skips is counted on from before
/// the gap.
pub fn instant(zone: Tz, wall: NaiveDateTime) -> DateTime<Utc> {
    match zone.from_local_datetime(&wall) {
        MappedLocalTime::Single(instant) => instant.to_utc(),
        MappedLocalTime::Ambiguous(a, b) => a.to_utc().min(b.to_utc()),
        MappedLocalTime::None => {
            // No gap is longer than a day.
            let before = zone.offset_from_utc_datetime(&(wall - TimeDelta::hours(38)));
            wall.and_utc() - TimeDelta::seconds(before.fix().local_minus_utc().into())
        }
    }
}

/// No id that is longer, in bytes, is known.
const LONGEST_ID: usize = 255;

/// What a calendar's zone ids mean.
#[derive(Debug)]
pub struct Zones {
    /// The owner's zone: of dates, of times without a zone, and of zones that are not known.
    pub home: Tz,
    /// Ids that the calendar declares (VTIMEZONE), with the place that they stand for.
    declared: HashMap<String, Tz>,
}

impl Zones {
    /// From the lines of a calendar. `X-LIC-LOCATION` names the place behind an id that says nothing.
    pub fn declared<'a>(home: Tz, lines: impl Iterator<Item = &'a str>) -> Self {
        let (mut declared, mut id) = (HashMap::new(), None);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("TZID") {
                id = Some(value.trim());
            } else if name.eq_ignore_ascii_case("X-LIC-LOCATION")
                && let Some((id, zone)) = id.zip(known(value))
            {
                declared.insert(id.to_owned(), zone);
            }
        }
        Self { home, declared }
    }

    /// The zone of this id.
    pub fn named(&self, id: &str) -> Tz {
        known(id).or_else(|| self.declared.get(id).copied()).unwrap_or(self.home)
    }
}

/// A zone by its IANA name, also at the end of a longer id such as `/mozilla.org/20050126_1/Europe/Berlin`, or by Windows' name.
fn known(id: &str) -> Option<Tz> {
    let id = id.trim().trim_matches('"');
    // Each of its ends is looked up: a megabyte of slashes would take hours.
    if id.len() > LONGEST_ID {
        return None;
    }
    let ends = id.match_indices('/').map(|(at, _)| id.get(at + 1..).unwrap_or_default());
    std::iter::once(id).chain(ends).find_map(|name| name.parse().ok()).or_else(|| windows(id))
}

fn windows(name: &str) -> Option<Tz> {
    WINDOWS.iter().find(|(windows, _)| windows.eq_ignore_ascii_case(name)).map(|(_, zone)| *zone)
}

/// The names that Windows and Exchange use, each for its most populous place.
const WINDOWS: &[(&str, Tz)] = &[
    ("UTC", Tz::UTC),
    ("GMT Standard Time", Tz::Europe__London),
    ("Greenwich Standard Time", Tz::Atlantic__Reykjavik),
    ("W. Europe Standard Time", Tz::Europe__Berlin),
    ("Central Europe Standard Time", Tz::Europe__Budapest),
    ("Central European Standard Time", Tz::Europe__Warsaw),
    ("Romance Standard Time", Tz::Europe__Paris),
    ("E. Europe Standard Time", Tz::Europe__Chisinau),
    ("GTB Standard Time", Tz::Europe__Bucharest),
    ("FLE Standard Time", Tz::Europe__Kiev),
    ("Turkey Standard Time", Tz::Europe__Istanbul),
    ("Russian Standard Time", Tz::Europe__Moscow),
    ("Belarus Standard Time", Tz::Europe__Minsk),
    ("Israel Standard Time", Tz::Asia__Jerusalem),
    ("Egypt Standard Time", Tz::Africa__Cairo),
    ("South Africa Standard Time", Tz::Africa__Johannesburg),
    ("E. Africa Standard Time", Tz::Africa__Nairobi),
    ("W. Central Africa Standard Time", Tz::Africa__Lagos),
    ("Morocco Standard Time", Tz::Africa__Casablanca),
    ("Arab Standard Time", Tz::Asia__Riyadh),
    ("Arabian Standard Time", Tz::Asia__Dubai),
    ("Iran Standard Time", Tz::Asia__Tehran),
    ("Pakistan Standard Time", Tz::Asia__Karachi),
    ("India Standard Time", Tz::Asia__Kolkata),
    ("Sri Lanka Standard Time", Tz::Asia__Colombo),
    ("Nepal Standard Time", Tz::Asia__Kathmandu),
    ("Bangladesh Standard Time", Tz::Asia__Dhaka),
    ("SE Asia Standard Time", Tz::Asia__Bangkok),
    ("China Standard Time", Tz::Asia__Shanghai),
    ("Singapore Standard Time", Tz::Asia__Singapore),
    ("Taipei Standard Time", Tz::Asia__Taipei),
    ("W. Australia Standard Time", Tz::Australia__Perth),
    ("Aus Central W. Standard Time", Tz::Australia__Eucla),
    ("Tokyo Standard Time", Tz::Asia__Tokyo),
    ("Korea Standard Time", Tz::Asia__Seoul),
    ("Cen. Australia Standard Time", Tz::Australia__Adelaide),
    ("AUS Central Standard Time", Tz::Australia__Darwin),
    ("E. Australia Standard Time", Tz::Australia__Brisbane),
    ("AUS Eastern Standard Time", Tz::Australia__Sydney),
    ("Tasmania Standard Time", Tz::Australia__Hobart),
    ("Lord Howe Standard Time", Tz::Australia__Lord_Howe),
    ("Norfolk Standard Time", Tz::Pacific__Norfolk),
    ("West Pacific Standard Time", Tz::Pacific__Port_Moresby),
    ("New Zealand Standard Time", Tz::Pacific__Auckland),
    ("Fiji Standard Time", Tz::Pacific__Fiji),
    ("Hawaiian Standard Time", Tz::Pacific__Honolulu),
    ("Alaskan Standard Time", Tz::America__Anchorage),
    ("Pacific Standard Time", Tz::America__Los_Angeles),
    ("Pacific Standard Time (Mexico)", Tz::America__Tijuana),
    ("US Mountain Standard Time", Tz::America__Phoenix),
    ("Mountain Standard Time", Tz::America__Denver),
    ("Central Standard Time", Tz::America__Chicago),
    ("Central Standard Time (Mexico)", Tz::America__Mexico_City),
    ("Canada Central Standard Time", Tz::America__Regina),
    ("Eastern Standard Time", Tz::America__New_York),
    ("US Eastern Standard Time", Tz::America__Indiana__Indianapolis),
    ("SA Pacific Standard Time", Tz::America__Bogota),
    ("Atlantic Standard Time", Tz::America__Halifax),
    ("Newfoundland Standard Time", Tz::America__St_Johns),
    ("E. South America Standard Time", Tz::America__Sao_Paulo),
    ("Argentina Standard Time", Tz::America__Buenos_Aires),
    ("Pacific SA Standard Time", Tz::America__Santiago),
];
