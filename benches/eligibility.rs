//! How long it takes to decide, without I/O, whether one therapist may carry out one visit: the licences alone, and every
//! rule of the engine. Run it with `cargo bench --bench eligibility`. Rates are of this machine; what compares is the ratio.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on fails")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use knead::availability::hours::Hours;
use knead::availability::travel::RoadTimes;
use knead::availability::{Diary, Engine, Purpose, Reservation, Rules, Visit};
use knead::credentials::{Required, Requirement, Standing, relied_on};
use knead::ids::{BookingId, CredentialId, TherapistId};
use knead::values::{BookingMode, Point, Rating, SlotAnchor, Span, TravelMode, Zone};
use uuid::Uuid;

/// Decisions in one round, and rounds of which the median counts.
const CALLS: u32 = 100_000;
const ROUNDS: usize = 11;

const CHAIN: [&str; 4] = ["US", "US-CA", "US-CA.los-angeles", "US-CA.los-angeles.west-hollywood"];

fn los_angeles() -> Zone {
    "America/Los_Angeles".parse().expect("a zone")
}

fn date(text: &str) -> NaiveDate {
    text.parse().expect("a date")
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

/// Five groups from four levels of the chain, one of them with dates.
fn required() -> Required {
    let group = |level: usize, group: &str, options: &[&str]| Requirement {
        jurisdiction: CHAIN[level].to_owned(),
        group: group.to_owned(),
        options: options.iter().map(|&option| option.to_owned()).collect(),
        valid_from: (level == 3).then(|| date("2026-03-01")),
        valid_until: None,
    };
    Required {
        chain: CHAIN.map(str::to_owned).to_vec(),
        kind: "massage".to_owned(),
        groups: vec![
            group(0, "background", &["POLICE-CHECK"]),
            group(1, "licence", &["US-CA-CMT"]),
            group(1, "insurance", &["INSURANCE"]),
            group(2, "first_aid", &["FIRST-AID", "CPR"]),
            group(3, "permit", &["US-CA-WH-PERMIT"]),
        ],
    }
}

/// Twelve credentials: what is asked for, its renewals, and some that count elsewhere or for other work.
fn standings() -> Vec<Standing> {
    let types = ["POLICE-CHECK", "US-CA-CMT", "INSURANCE", "FIRST-AID", "US-CA-WH-PERMIT", "NPI"];
    let each = types.into_iter().flat_map(|code| [(code, "2026-12-31"), (code, "2027-12-31")]);
    each.zip(1_u128..)
        .map(|((code, expires), n)| Standing {
            id: CredentialId(Uuid::from_u128(n)),
            type_code: code.to_owned(),
            authority: String::new(),
            issued_on: Some(date("2025-01-01")),
            expires_on: Some(date(expires)),
            verification: None,
            jurisdictions: (code == "INSURANCE").then(|| vec!["US-NV".to_owned(), "US-CA".to_owned()]),
            kinds: (code == "US-CA-WH-PERMIT").then(|| vec!["massage".to_owned()]),
        })
        .collect()
}

/// A therapist who works from nine to five and has two visits on most days of the week.
fn diary() -> Diary {
    let reservations = (0..8).map(|n| {
        let start = at("2026-12-07T18:00:00Z") + TimeDelta::hours(12 * n);
        Reservation {
            during: Span { start: start - TimeDelta::minutes(10), end: start + TimeDelta::minutes(70) },
            start_at: start,
            place: Point { latitude: 34.05, longitude: -118.35 },
            purpose: Purpose::Visit(BookingId(Uuid::from_u128(n.unsigned_abs().into()))),
        }
    });
    Diary {
        therapist: TherapistId(Uuid::nil()),
        name: String::new(),
        rating: Rating::default(),
        zone: los_angeles(),
        hours: Hours::weekly((0..7).map(|day| (day * 1440 + 540, day * 1440 + 1020)).collect()),
        time_off: vec![Span { start: at("2026-12-24T08:00:00Z"), end: at("2026-12-27T08:00:00Z") }],
        reservations: reservations.collect(),
        standings: standings(),
        mode: BookingMode::Instant,
        offered: true,
        blocked: false,
        roads: RoadTimes::default(),
        rules: Rules {
            accepting: true,
            base: Some(Point { latitude: 34.06, longitude: -118.3 }),
            radius_km: 20.0,
            mode: TravelMode::Car,
            min_notice_minutes: 120,
            max_advance_days: 60,
            setup_minutes: 10,
            packup_minutes: 10,
            slot_interval_minutes: 15,
            slot_anchor: SlotAnchor::Midnight,
            daily_cap: Some(5),
        },
    }
}

/// The median time of one call.
fn median(mut call: impl FnMut()) -> Duration {
    let mut rounds: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..CALLS {
                call();
            }
            start.elapsed()
        })
        .collect();
    rounds.sort_unstable();
    rounds[ROUNDS / 2] / CALLS
}

fn main() {
    let (diary, required) = (diary(), required());
    let place = Point { latitude: 34.09, longitude: -118.36 };
    let visit = Visit { place, zone: los_angeles(), minutes: 60, required: &required, except: None, care: None };
    let start = at("2026-12-08T21:00:00Z");
    let day = los_angeles().wall(start).date();
    let span = Span::of_minutes(start, 1);
    let now = at("2026-12-01T00:00:00Z");
    let engine = Engine::new(&diary, &visit, span, now);
    let groups = relied_on(&required, &diary.standings, day, day).map(|relied| relied.len());
    assert_eq!((groups, engine.decide(start)), (Some(5), Ok(())), "the visit may take place");

    let licences = median(|| {
        black_box(relied_on(black_box(&required), black_box(&diary.standings), black_box(day), black_box(day)));
    });
    let decision = median(|| {
        black_box(black_box(&engine).decide(black_box(start))).expect("the visit may take place");
    });
    let whole = median(|| {
        let engine = Engine::new(black_box(&diary), black_box(&visit), black_box(span), now);
        black_box(engine.decide(black_box(start))).expect("the visit may take place");
    });
    println!("one therapist, one visit; 5 groups from 4 levels, 12 credentials; median of {ROUNDS} rounds of {CALLS}");
    for (what, time) in [
        ("licences alone (credentials::relied_on)", licences),
        ("every rule (Engine::decide)", decision),
        ("every rule for one start (Engine::new and decide)", whole),
    ] {
        let per_second = 1.0 / time.as_secs_f64();
        let ratio = time.as_secs_f64() / licences.as_secs_f64();
        println!("{what:<52} {:>8.3} us {per_second:>12.0} a second {ratio:>6.2} x", time.as_secs_f64() * 1e6);
    }
}
