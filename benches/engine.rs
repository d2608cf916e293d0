//! How many candidate starts the engine decides in a second on one core, without I/O: a full diary of 14 days, from the
//! diary to the list of starts. Run it with `cargo bench --bench engine`.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on fails")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use knead::availability::hours::Hours;
use knead::availability::travel::RoadTimes;
use knead::availability::{Diary, Engine, Purpose, Reservation, Rules, Visit};
use knead::credentials::{Required, Requirement, Standing};
use knead::ids::{BookingId, CredentialId, TherapistId};
use knead::values::wall_clock::{Face, Steps, dates};
use knead::values::{BookingMode, Point, Rating, SlotAnchor, Span, TravelMode, Zone};
use uuid::Uuid;

/// Lists in one round, and rounds of which the median counts.
const LISTS: u32 = 200;
const ROUNDS: usize = 11;

/// The days that are asked for.
const DAYS: u64 = 14;

/// Visits on a day.
const VISITS: i64 = 5;

const GROUPS: [&str; 5] = ["QUALIFICATION", "ASSOCIATION", "INSURANCE", "POLICE-CHECK", "FIRST-AID"];

fn sydney() -> Zone {
    "Australia/Sydney".parse().expect("a zone")
}

fn date(text: &str) -> NaiveDate {
    text.parse().expect("a date")
}

fn required() -> Required {
    let group = |code: &str| Requirement {
        jurisdiction: "AU".to_owned(),
        group: code.to_lowercase(),
        options: vec![code.to_owned()],
        valid_from: None,
        valid_until: None,
    };
    Required {
        chain: vec!["AU".to_owned(), "AU-NSW".to_owned()],
        kind: "massage".to_owned(),
        groups: GROUPS.map(group).to_vec(),
    }
}

/// What is asked for, and its renewals.
fn standings() -> Vec<Standing> {
    let each = GROUPS.into_iter().flat_map(|code| [(code, "2026-12-31"), (code, "2027-12-31")]);
    each.zip(1_u128..)
        .map(|((code, expires), n)| Standing {
            id: CredentialId(Uuid::from_u128(n)),
            type_code: code.to_owned(),
            authority: String::new(),
            issued_on: Some(date("2025-01-01")),
            expires_on: Some(date(expires)),
            verification: None,
            jurisdictions: None,
            kinds: None,
        })
        .collect()
}

/// A therapist who works from eight to twelve and from one to nine, but for a few dates and an afternoon off, with five visits
/// a day about the city, two days before and after the dates in question too.
fn diary(first: NaiveDate, interval: i32) -> Diary {
    let midnight = |day: i64| dates(sydney(), first + TimeDelta::days(day), first).start;
    let visits = (-2..14 + 2).flat_map(|day| (0..VISITS).map(move |n| (day, n)));
    let reservations = visits.zip(1_u128..).map(|((day, n), id)| {
        let start_at = midnight(day) + TimeDelta::minutes(8 * 60 + 30 + n * 150);
        let aside = |step: i64| f64::from(i32::try_from((day * 7 + n * step) % 9).expect("a digit")) * 0.006;
        Reservation {
            during: Span::of_minutes(start_at, 60).widened(10, 10),
            start_at,
            place: Point { latitude: -33.92 + aside(3), longitude: 151.16 + aside(5) },
            purpose: Purpose::Visit(BookingId(Uuid::from_u128(id))),
        }
    });
    let differing = [2, 5, 9].map(|day| (first + Days::new(day), vec![(9 * 60, 13 * 60), (14 * 60, 22 * 60)]));
    let off = midnight(6) + TimeDelta::hours(15);
    Diary {
        therapist: TherapistId(Uuid::nil()),
        name: String::new(),
        rating: Rating::default(),
        zone: sydney(),
        hours: Hours {
            overrides: differing.to_vec(),
            ..Hours::weekly(
                (0..7)
                    .flat_map(|day| [(480, 720), (780, 1260)].map(|(a, b)| (day * 1440 + a, day * 1440 + b)))
                    .collect(),
            )
        },
        time_off: vec![Span { start: off, end: off + TimeDelta::hours(3) }],
        reservations: reservations.collect(),
        standings: standings(),
        mode: BookingMode::Instant,
        offered: true,
        blocked: false,
        roads: RoadTimes::default(),
        rules: Rules {
            accepting: true,
            base: Some(Point { latitude: -33.8981, longitude: 151.1743 }),
            radius_km: 20.0,
            mode: TravelMode::Car,
            min_notice_minutes: 120,
            max_advance_days: 60,
            setup_minutes: 10,
            packup_minutes: 10,
            slot_interval_minutes: interval,
            slot_anchor: SlotAnchor::Midnight,
            daily_cap: Some(8),
        },
    }
}

/// The median time of one call.
fn median(mut call: impl FnMut()) -> Duration {
    let mut rounds: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..LISTS {
                call();
            }
            start.elapsed()
        })
        .collect();
    rounds.sort_unstable();
    rounds[ROUNDS / 2] / LISTS
}

fn main() {
    let first = date("2026-12-01");
    let span = dates(sydney(), first, first + Days::new(DAYS - 1));
    let now: DateTime<Utc> = span.start - TimeDelta::days(1);
    let required = required();
    let place = Point { latitude: -33.8886, longitude: 151.2111 };
    let visit = Visit { place, zone: sydney(), minutes: 60, required: &required, except: None, care: None };
    println!(
        "one therapist, {DAYS} days, 2 windows and {VISITS} visits a day, 5 groups; median of {ROUNDS} rounds of {LISTS}"
    );
    for interval in [5, 15] {
        let diary = diary(first, interval);
        let windows = diary.hours.windows(sydney(), span);
        let grid = Face::new(sydney(), span);
        let within = windows.iter().filter_map(|window| window.intersection(span));
        let candidates: usize = within.map(|part| grid.grid(Steps { every: interval, from: 0 }, part).len()).sum();
        let engine = Engine::new(&diary, &visit, span, now);
        let offered = engine.starts(span).len();
        assert!(offered > 0 && offered < candidates, "{offered} of {candidates} starts are offered");

        let prepared = median(|| {
            black_box(Engine::new(black_box(&diary), black_box(&visit), span, now));
        });
        let listed = median(|| {
            black_box(black_box(&engine).starts(span));
        });
        let whole = median(|| {
            black_box(Engine::new(black_box(&diary), black_box(&visit), span, now).starts(span));
        });
        println!("every {interval} minutes: {candidates} candidate starts, {offered} of them offered");
        println!("  {:<44} {:>8.1} us", "what holds for every start (Engine::new)", prepared.as_secs_f64() * 1e6);
        for (what, time) in [("the starts (Engine::starts)", listed), ("both", whole)] {
            let rate = f64::from(u32::try_from(candidates).expect("a few thousand")) / time.as_secs_f64();
            println!("  {what:<44} {:>8.1} us {rate:>12.0} candidate starts a second", time.as_secs_f64() * 1e6);
        }
    }
}
