//! The names that calendars call zones by: those of the IANA database, and those of Windows with what Windows shows for them.

use std::collections::HashMap;
use std::sync::LazyLock;

use chrono::{NaiveDate, NaiveTime};

use crate::values::Zone;

/// No id that is longer, in bytes, is known.
const LONGEST_ID: usize = 255;

/// Unicode CLDR's table of Windows' zones.
pub(super) const WINDOWS: &str = include_str!("windows_zones.tsv");

/// Windows' names, each with its place, and what Windows shows for it.
pub(super) fn windows() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let lines = WINDOWS.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| {
        let mut columns = line.split('\t');
        Some((columns.next()?, columns.next()?, columns.next()?))
    })
}

/// All names in their plain form.
static NAMES: LazyLock<HashMap<String, Zone>> = LazyLock::new(|| {
    let mut names = HashMap::new();
    for (windows, place, shown) in windows() {
        let Ok(zone) = place.parse::<Zone>() else { continue };
        names.entry(plain(windows)).or_insert(zone);
        let shown = shown.split_once(") ").map_or(shown, |(_, cities)| cities);
        if !shown.is_empty() {
            names.entry(plain(shown)).or_insert(zone);
        }
    }
    // An IANA name means what it says, whatever Windows has of the same name.
    names.extend(Zone::all().map(|zone| (plain(zone.name()), zone)));
    names
});

/// The cities that Windows shows, each with its zone where it has one alone.
static CITIES: LazyLock<HashMap<String, Option<Zone>>> = LazyLock::new(|| {
    let mut cities: HashMap<String, Option<Zone>> = HashMap::new();
    for (_, place, shown) in windows() {
        let zone = place.parse::<Zone>().ok();
        for city in shown.split_once(") ").map_or("", |(_, cities)| cities).split(',').map(plain) {
            let known = cities.entry(city).or_insert(zone);
            if *known != zone {
                *known = None;
            }
        }
    }
    cities
});

/// Small letters and digits, with the sign of a number: `UTC+12` is not `UTC-12`, and `Europe-Berlin` is `Europe/Berlin`.
fn plain(name: &str) -> String {
    let mut chars = name.chars().peekable();
    let mut plain = String::new();
    while let Some(c) = chars.next() {
        let is_sign = matches!(c, '+' | '-') && chars.peek().is_some_and(char::is_ascii_digit);
        if c.is_alphanumeric() || is_sign {
            plain.extend(c.to_lowercase());
        }
    }
    plain
}

/// The zone of this name: of the IANA database, also as an end of a longer id such as `/mozilla.org/20050126_1/Europe/Berlin`; of Windows;
/// or what Windows shows, such as `(UTC+10:00) Canberra, Melbourne, Sydney`.
pub fn known(id: &str) -> Option<Zone> {
    if id.len() > LONGEST_ID {
        return None;
    }
    let id = tidy(id);
    // No name has more than three parts. Of an id of many slashes, few ends are looked up.
    let mut ends: Vec<&str> =
        id.rmatch_indices('/').take(3).map(|(at, _)| id.get(at + 1..).unwrap_or_default()).collect();
    ends.push(&id);
    ends.into_iter().rev().find_map(named)
}

/// An id without quotes, escapes, and blanks around it.
pub fn tidy(id: &str) -> String {
    id.replace('\\', "").trim().trim_matches('"').trim().to_owned()
}

fn named(name: &str) -> Option<Zone> {
    let names = &*NAMES;
    let look = |name: &str| names.get(&plain(name)).copied();
    // Outlook counts the zones of one name: `AUS Eastern Standard Time 1`.
    let uncounted = name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '(' | ')'));
    let uncounted = uncounted.strip_suffix(' ').filter(|rest| !rest.is_empty()).map(str::trim_end);
    look(name)
        .or_else(|| uncounted.and_then(look))
        .or_else(|| in_summer(uncounted.unwrap_or(name)).and_then(|name| look(&name)))
        .or_else(|| shown(name))
}

/// `AUS Eastern Daylight Time` is the same zone as in winter.
fn in_summer(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let summer = ["daylight time", "summer time"].into_iter().find(|summer| name.ends_with(summer))?;
    Some(name.replace(summer, "standard time"))
}

/// What Windows shows, or an older Windows: cities after an offset. All that are known must be in one zone, and that one at this offset.
fn shown(name: &str) -> Option<Zone> {
    let (offset, cities) = match name.strip_prefix('(').and_then(|name| name.split_once(')')) {
        Some((offset, cities)) => (Some(offset), cities),
        None => (None, name),
    };
    if let Some(zone) = NAMES.get(&plain(cities)) {
        return Some(*zone);
    }
    let mut zones = cities.split(',').filter_map(|city| CITIES.get(&plain(city)).copied().flatten());
    let zone = zones.next()?;
    let is_there =
        offset.is_none_or(|offset| offset_of(offset).is_none_or(|offset| offsets(zone).contains(&offset.into())));
    (is_there && zones.all(|other| other == zone)).then_some(zone)
}

/// How many seconds a zone is ahead of UTC in both halves of a year.
fn offsets(zone: Zone) -> [i64; 2] {
    [1, 7].map(|month| {
        let day = NaiveDate::from_ymd_opt(2026, month, 1).unwrap_or_default().and_time(NaiveTime::MIN);
        zone.offset(day.and_utc().timestamp())
    })
}

/// The seconds of an id that is an offset and nothing else: `GMT+10:00`, `UTC+1000`, `+10`. It says nothing of summer.
pub fn offset_of(id: &str) -> Option<i32> {
    let id = tidy(id).to_ascii_uppercase().replace(' ', "");
    let rest = id.strip_prefix("GMT").or_else(|| id.strip_prefix("UTC")).unwrap_or(&id);
    let (sign, digits) = match rest.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-" | "\u{2212}", digits) => (-1, digits),
        _ => return None,
    };
    let digits = digits.replace([':', '.'], "");
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: i32 = digits.parse().ok()?;
    let (hours, minutes) = if digits.len() <= 2 { (number, 0) } else { (number / 100, number % 100) };
    let is_sound = digits.len() <= 4 && hours <= 14 && minutes < 60;
    is_sound.then_some(sign * (hours * 3_600 + minutes * 60))
}
