//! The cases: diaries and visits, half of them about the dates on which the clocks change, most of them with starts to
//! offer.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::LazyLock;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Timelike, Utc};
use chrono_tz::{Africa, America, Antarctica, Asia, Atlantic, Australia, Europe, Pacific, Tz};
use knead::availability::hours::{Hours, Timetable};
use knead::availability::travel::{Block, RoadTimes};
use knead::availability::{Diary, Purpose, Reservation, Rules};
use knead::credentials::{Required, Requirement, Standing};
use knead::ids::{BookingId, CredentialId, TherapistId};
use knead::values::{BookingMode, Point, Rating, SlotAnchor, Span, TravelMode, Zone};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use uuid::Uuid;

use crate::rules::{DAY, instant, midnight};

/// A question to the engine: who, what and where, and on which dates at the place.
#[derive(Clone, Debug)]
pub struct Case {
    pub diary: Diary,
    pub place: Point,
    pub place_zone: Zone,
    pub minutes: i32,
    pub required: Required,
    pub except: Option<BookingId>,
    pub now: DateTime<Utc>,
    pub first: NaiveDate,
    pub days: u8,
}

/// Clocks that never change, that jump by one, two and half an hour, also over midnight, and by a whole day (Apia, 2011). The oracle asks another
/// library about them than the engine, whose rules of these zones are the same.
const ZONES: [Tz; 16] = [
    Tz::UTC,
    Asia::Kathmandu,
    Australia::Sydney,
    Australia::Lord_Howe,
    Europe::Berlin,
    America::New_York,
    America::St_Johns,
    America::Nuuk,
    America::Santiago,
    Europe::Dublin,
    Africa::Cairo,
    Antarctica::Troll,
    Asia::Beirut,
    Atlantic::Azores,
    Pacific::Chatham,
    Pacific::Apia,
];

/// Any zone; more often than others those whose clocks jump over a part of the grid's hours.
fn zone() -> impl Strategy<Value = Tz> {
    prop_oneof![4 => select(ZONES.to_vec()), 1 => Just(Australia::Lord_Howe), 1 => Just(Pacific::Chatham)]
}

/// The engine's zone of this name.
fn ours(zone: Tz) -> Zone {
    zone.name().parse().expect("a zone")
}

/// The changes of the clocks of a zone in 2026 and 2027: the date and the minute that would have been shown next.
static CHANGES: LazyLock<HashMap<Tz, Vec<(NaiveDate, i32)>>> = LazyLock::new(|| {
    let first = NaiveDate::from_ymd_opt(2026, 1, 1).expect("a date");
    let apia = (NaiveDate::from_ymd_opt(2011, 12, 30).expect("a date"), 0);
    let changes = ZONES.into_iter().map(|zone| {
        let shown = |minute: i64| instant(minute).with_timezone(&zone).naive_local();
        let noons = (0..729).map(|day| midnight(first) + day * DAY + 720);
        let changed = noons.filter(|noon| shown(*noon) + TimeDelta::days(1) != shown(noon + DAY)).map(|noon| {
            let next = |minute: i64| shown(minute - 1) + TimeDelta::minutes(1);
            let change = (noon + 1..=noon + DAY).find(|minute| shown(*minute) != next(*minute)).map(next);
            let change = change.expect("a change between the noons");
            (change.date(), i32::try_from(change.num_seconds_from_midnight() / 60).expect("a minute of a day"))
        });
        (zone, changed.chain((zone == Pacific::Apia).then_some(apia)).collect())
    });
    changes.collect()
});

/// Windows from pauses and lengths, one after the other, that begin before `end`.
fn one_after_the_other(steps: &[(i32, i32)], end: i32) -> Vec<(i32, i32)> {
    let placed = steps.iter().scan(0, |at, (pause, length)| {
        let opens = *at + pause;
        *at = opens + length;
        Some((opens, *at))
    });
    placed.take_while(|(opens, _)| *opens < end).collect()
}

fn window_steps(count: Range<usize>) -> impl Strategy<Value = Vec<(i32, i32)>> {
    let pause = prop_oneof![3 => Just(0), 5 => (1..40).prop_map(|n| n * 15), 1 => 1..600];
    let length = prop_oneof![6 => (2..40).prop_map(|n| n * 15), 1 => 1..=1440, 1 => Just(1440)];
    vec((pause, length), count)
}

/// The windows of a week, of the weeks that take its place from single days after the day before the first date, of
/// single days after two days before the first date, and of the date on which the clocks change: the first of them opens
/// so many minutes after the change.
type Windows =
    (Vec<(i32, i32)>, Vec<(u8, Vec<(i32, i32)>)>, Vec<(u8, Vec<(i32, i32)>)>, Option<(i32, Vec<(i32, i32)>)>);

fn hours() -> impl Strategy<Value = Windows> {
    let week = || {
        prop_oneof![1 => window_steps(0..8), 9 => window_steps(24..40)].prop_map(|steps| {
            let mut windows = one_after_the_other(&steps, 7 * 1440);
            // Sunday night must not run into the first window of the week.
            let again = windows.first().map_or(0, |(opens, _)| opens + 7 * 1440);
            if let Some((_, closes)) = windows.last_mut() {
                *closes = again.min(*closes);
            }
            windows
        })
    };
    let single = (0..7_u8, window_steps(0..5)).prop_map(|(day, steps)| (day, one_after_the_other(&steps, 1440)));
    let opens = select(vec![-300, -90, -60, -45, -30, -15, -5, 0, 5, 10, 15, 25, 30, 45, 60]);
    let night = (opens, select(vec![45, 60, 75, 90, 120, 150, 300]), window_steps(0..3))
        .prop_map(|(opens, length, rest)| (opens, std::iter::once((0, length)).chain(rest).collect()));
    let later = weighted(0.7, vec((0..4_u8, week()), 1..=2)).prop_map(Option::unwrap_or_default);
    (week(), later, vec(single, 0..3), weighted(0.6, night))
}

/// A point and one that is mostly near it: degrees north and east.
fn aside() -> impl Strategy<Value = (f64, f64)> {
    prop_oneof![4 => Just((0.0, 0.0)), 14 => (-0.08..0.08, -0.08..0.08), 1 => (-2.0..2.0, -2.0..2.0)]
}

fn moved(from: Point, (north, east): (f64, f64)) -> Point {
    Point { latitude: from.latitude + north, longitude: from.longitude + east }
}

fn rules() -> impl Strategy<Value = Rules> {
    let at_the_place = || prop_oneof![3 => select(vec![0, 5, 10, 15, 30]), 1 => 0..=60];
    let base = (-45.0..60.0, -170.0..170.0).prop_map(|(latitude, longitude)| Point { latitude, longitude });
    (
        (
            weighted(0.97, base),
            select(vec![0.5, 12.0, 15.0, 15.0, 40.0, 40.0, 40.0, 200.0]),
            prop::bool::weighted(0.96),
        ),
        select(vec![TravelMode::Car, TravelMode::Car, TravelMode::Transit, TravelMode::Bicycle, TravelMode::Walk]),
        prop_oneof![6 => select(vec![0, 60, 120, 1440]), 1 => 0..4320],
        prop_oneof![1 => 1..4, 7 => 4..60],
        (at_the_place(), at_the_place()),
        (select(vec![5, 10, 15, 20, 30, 60]), select(vec![SlotAnchor::Midnight, SlotAnchor::Window])),
        weighted(0.5, 1..5),
    )
        .prop_map(
            |(
                (base, radius_km, accepting),
                mode,
                min_notice_minutes,
                max_advance_days,
                (setup, packup),
                (interval, anchor),
                cap,
            )| {
                Rules {
                    accepting,
                    base,
                    radius_km,
                    mode,
                    min_notice_minutes,
                    max_advance_days,
                    setup_minutes: setup,
                    packup_minutes: packup,
                    slot_interval_minutes: interval,
                    slot_anchor: anchor,
                    daily_cap: cap,
                }
            },
        )
}

/// Seconds by road to each reservation and back, as far as they are known.
type RoadSeconds = Vec<(Option<i32>, Option<i32>)>;

fn roads() -> impl Strategy<Value = RoadSeconds> {
    let seconds = || weighted(0.7, 0..6000_i32);
    prop_oneof![Just(Vec::new()), vec((seconds(), seconds()), 18)]
}

fn road_times(seconds: &RoadSeconds, reservations: &[Reservation], place: Point) -> RoadTimes {
    let here = Block::of(place);
    let known = seconds.iter().zip(reservations).flat_map(|((to, back), other)| {
        let there = Block::of(other.place);
        [to.map(|seconds| ((here, there), seconds)), back.map(|seconds| ((there, here), seconds))]
    });
    known.flatten().collect()
}

/// Pause before it, set-up, time on the table, pack-up, where, and for what; visits are numbered.
type Stay = (i64, i32, i32, i32, (f64, f64), For);

#[derive(Clone, Copy, Debug)]
enum For {
    Hold,
    Visit,
    /// A counter-offer for the visit of this number, which may be none of those that are known.
    CounterOffer(u128),
}

fn purpose() -> impl Strategy<Value = For> {
    prop_oneof![2 => Just(For::Hold), 6 => Just(For::Visit), 3 => (0..18_u128).prop_map(For::CounterOffer)]
}

fn stays() -> impl Strategy<Value = Vec<Stay>> {
    let pause = prop_oneof![1 => Just(0), 6 => 1_i64..900, 3 => (1_i64..80).prop_map(|n| n * 15)];
    vec((pause, 0..=30, 15..=120, 0..=30, aside(), purpose()), 0..18)
}

fn reservations(stays: &[Stay], from: i64, until: i64, place: Point) -> Vec<Reservation> {
    let placed = stays.iter().enumerate().scan(from, |at, (i, (pause, setup, minutes, packup, where_to, purpose))| {
        let start_at = instant(*at + pause) + TimeDelta::minutes(i64::from(*setup));
        *at += pause + i64::from(setup + minutes + packup);
        Some(Reservation {
            during: Span::of_minutes(start_at, *minutes).widened(*setup, *packup),
            start_at,
            place: moved(place, *where_to),
            purpose: match purpose {
                For::Hold => Purpose::Hold,
                For::Visit => Purpose::Visit(BookingId(Uuid::from_u128(i as u128))),
                For::CounterOffer(of) => Purpose::CounterOffer(BookingId(Uuid::from_u128(*of))),
            },
        })
    });
    placed.take_while(|reservation| reservation.during.end <= instant(until)).collect()
}

const TYPES: [&str; 3] = ["LICENCE", "REGISTRATION", "INSURANCE"];

/// Groups by their options, each asked for from and until so many days after the first date in question.
fn requirements() -> impl Strategy<Value = Vec<(Vec<&'static str>, Option<i64>, Option<i64>)>> {
    let asked = || weighted(0.15, -1_i64..4);
    let group = (subsequence(TYPES.to_vec(), 1..=3), asked(), asked());
    prop_oneof![1 => vec(group.clone(), 0..=0), 20 => vec(group, 1..=3)]
}

type Coverage = (Option<Vec<String>>, Option<Vec<String>>);

/// The places and the kinds of service that a credential counts for, where they are few.
fn coverage() -> impl Strategy<Value = Coverage> {
    let some = |of: [&'static str; 3]| {
        let names = subsequence(of.to_vec(), 1..=3);
        weighted(0.1, names.prop_map(|names| names.into_iter().map(str::to_owned).collect()))
    };
    (some(["AU", "AU-NSW", "AU-QLD"]), some(["massage", "physiotherapy", "acupuncture"]))
}

/// Credentials by type, the first and the last day of each in days after the first date in question: mostly one of
/// each type that is good throughout, and some that begin or end about then.
fn standings() -> impl Strategy<Value = Vec<(&'static str, Option<i64>, Option<i64>, Coverage)>> {
    let lasting = weighted(0.6, subsequence(TYPES.to_vec(), 1..=3)).prop_map(Option::unwrap_or_default);
    let issued = prop_oneof![1 => Just(None), 1 => Just(Some(-300)), 2 => (-1_i64..4).prop_map(Some)];
    let expires = prop_oneof![1 => Just(None), 1 => Just(Some(300)), 4 => (0_i64..3).prop_map(Some)];
    let credential = (select(TYPES.to_vec()), issued, expires, coverage());
    (lasting, vec(credential, 0..10)).prop_map(|(lasting, mut others)| {
        others.extend(lasting.into_iter().map(|code| (code, Some(-300), None, (None, None))));
        others
    })
}

pub fn cases() -> impl Strategy<Value = Case> {
    let day =
        (zone(), weighted(0.3, zone()), prop::bool::ANY, any::<Index>(), 0..3_u8, 1..=3_u8, prop::bool::weighted(0.4));
    let visit = (
        prop_oneof![3 => select(vec![30, 45, 60, 75, 90]), 1 => 15..=240],
        (prop::bool::weighted(0.96), prop::bool::weighted(0.06)),
        weighted(0.5, any::<Index>()),
        aside(),
        prop::bool::weighted(0.1),
    );
    // Minutes and milliseconds after the first date.
    let now = (prop_oneof![6 => -6000_i64..-600, 1 => -600_i64..2880], weighted(0.5, 1_i64..60_000));
    // Seconds after the first date, and seconds of length.
    let whole = |minutes: Range<i64>| minutes.prop_map(|minute| minute * 60);
    let off = (
        prop_oneof![4 => whole(-1000..4000), 1 => -60_000_i64..240_000],
        prop_oneof![4 => whole(5..700), 1 => 1_i64..9000],
    );
    (day, visit, now, rules(), hours(), vec(off, 0..4), (stays(), roads()), requirements(), standings()).prop_map(
        |(
            day,
            visit,
            now,
            mut rules,
            (weekly, later, single, night),
            time_off,
            (stays, roads),
            requirements,
            standings,
        )| {
            let (zone, other_zone, at_a_change, date, back, days, plain) = day;
            let (minutes, (offered, blocked), except, aside, on_the_edge) = visit;
            let changes = &CHANGES[&zone];
            let change = (at_a_change && !changes.is_empty()).then(|| *date.get(changes));
            let any_date =
                || NaiveDate::from_ymd_opt(2026, 1, 1).expect("a date") + TimeDelta::days(date.index(700) as i64);
            let first = change.map_or_else(any_date, |(date, _)| date - Days::new((back % days).into()));
            let begins = midnight(first);
            let place = moved(rules.base.unwrap_or(Point { latitude: 0.0, longitude: 0.0 }), aside);
            if plain {
                // Nothing but the calendar is against it.
                rules =
                    Rules { accepting: true, radius_km: 200.0, min_notice_minutes: 0, max_advance_days: 30, ..rules };
            }
            if on_the_edge {
                rules.radius_km = rules.base.map_or(1.0, |base| base.distance_km(place));
            }
            let reservations = reservations(&stays, begins - 2000, begins + (i64::from(days) + 2) * DAY, place);
            let about_the_change = change.zip(night).map(|((date, minute), (opens, mut steps))| {
                steps[0].0 = (minute + opens).clamp(0, 1439);
                (date, one_after_the_other(&steps, 1440))
            });
            let single =
                single.into_iter().map(|(day, windows)| (first - Days::new(2) + Days::new(day.into()), windows));
            let mut overrides: Vec<_> = about_the_change.into_iter().chain(single).collect();
            overrides.sort_by_key(|(date, _)| *date);
            overrides.dedup_by_key(|(date, _)| *date);
            // Mostly a week that has long been in force; now and then there was none before.
            let since = if later.len() == 2 && later[0].0 == 0 { first } else { first - Days::new(300) };
            let later = later.into_iter().map(|(day, weekly)| (first - Days::new(1) + Days::new(day.into()), weekly));
            let timetables: BTreeMap<_, _> = std::iter::once((since, weekly)).chain(later).collect();
            let timetables =
                timetables.into_iter().map(|(effective_from, weekly)| Timetable { effective_from, weekly });
            let time_off = time_off.into_iter().map(|(from, length)| {
                let start = instant(begins) + TimeDelta::seconds(from);
                Span { start, end: start + TimeDelta::seconds(length) }
            });
            let on = |days: Option<i64>| days.map(|days| first + TimeDelta::days(days));
            let groups = requirements.into_iter().map(|(options, from, until)| Requirement {
                jurisdiction: "AU".to_owned(),
                group: options.concat(),
                options: options.into_iter().map(str::to_owned).collect(),
                valid_from: on(from),
                // A rule that ends before it begins cannot be stored.
                valid_until: on(until.max(from.filter(|_| until.is_some()))),
            });
            let required = Required {
                chain: vec!["AU".to_owned(), "AU-NSW".to_owned()],
                kind: "massage".to_owned(),
                groups: groups.collect(),
            };
            let everything = TYPES.into_iter().filter(|_| plain).map(|code| (code, None, None, (None, None)));
            let standings = everything.chain(standings).enumerate().map(|(i, (type_code, issued, expires, covers))| {
                let (jurisdictions, kinds) = covers;
                Standing {
                    id: CredentialId(Uuid::from_u128(i as u128)),
                    type_code: type_code.to_owned(),
                    authority: String::new(),
                    issued_on: on(issued),
                    expires_on: on(expires),
                    verification: None,
                    jurisdictions,
                    kinds,
                }
            });
            Case {
                place,
                place_zone: ours(other_zone.unwrap_or(zone)),
                minutes,
                required,
                except: except.filter(|_| !reservations.is_empty()).and_then(|i| i.get(&reservations).booking()),
                now: instant(begins + now.0) + TimeDelta::milliseconds(now.1.unwrap_or(0)),
                first,
                days,
                diary: Diary {
                    therapist: TherapistId(Uuid::nil()),
                    name: String::new(),
                    rating: Rating::default(),
                    zone: ours(zone),
                    hours: Hours { timetables: timetables.collect(), overrides },
                    time_off: time_off.collect(),
                    roads: road_times(&roads, &reservations, place),
                    reservations,
                    standings: standings.collect(),
                    mode: BookingMode::Instant,
                    offered: offered || plain,
                    blocked: blocked && !plain,
                    rules,
                },
            }
        },
    )
}
