use std::collections::HashSet;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{App, DEEP_TISSUE, Person, at, surry_hills};

#[tokio::test]
async fn a_day_of_slots() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let client = app.client().await;
    let slots = client.slots(&therapist, "2026-12-01", "2026-12-01").await;
    // Nine to five in Sydney is 22:00 to 06:00 UTC; the last hour begins at four.
    assert_eq!(
        (slots.len(), slots[0].as_str(), slots[28].as_str()),
        (29, "2026-11-30T22:00:00Z", "2026-12-01T05:00:00Z")
    );
    let own_address = client.address(surry_hills()).await;
    let page = client.get(&format!("/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=90&from=2026-12-01&to=2026-12-02&address_id={own_address}")).await.is(200).body;
    assert_eq!(page["time_zone"], "Australia/Sydney");
    assert_eq!(page["data"][0]["price"], json!({ "amount": 17900, "currency": "AUD" }));
    assert_eq!(page["data"][0]["distance_km"], 4.0);
    assert_eq!(
        page["data"][0]["slots"][0],
        json!({
            "start_at": "2026-11-30T22:00:00Z",
        })
    );
    let own = therapist.get(&format!("/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=90&from=2026-12-01&to=2026-12-01&latitude=-33.8886&longitude=151.2111&country=AU&region=NSW&therapist_id={}", therapist.id)).await.is(200).body;
    assert_eq!(own["data"][0]["slots"][0]["travel_minutes"], json!({ "from_previous": null, "to_next": null }));
}

#[tokio::test]
async fn notice_and_horizon_bound_the_list() {
    let app = App::start_at(at("2026-11-30T22:07:00Z")).await;
    let therapist = app.therapist().await;
    let client = app.client().await;
    let today = client.slots(&therapist, "2026-12-01", "2026-12-01").await;
    assert_eq!(today[0], "2026-12-01T00:15:00Z", "two hours of notice, then the next quarter");
    assert!(client.slots(&therapist, "2027-01-28", "2027-01-28").await.len() > 20);
    let last = client.slots(&therapist, "2027-01-29", "2027-02-11").await;
    assert_eq!(last.last().unwrap(), "2027-01-29T22:00:00Z", "sixty days to the minute");
}

#[tokio::test]
async fn a_visit_leaves_room_for_set_up_pack_up_and_travel() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    client.books(&therapist, address, "2026-12-01T01:00:00Z").await.is(201);
    let same_place = client.slots(&therapist, "2026-12-01", "2026-12-01").await;
    assert!(same_place.contains(&"2026-11-30T23:30:00Z".to_owned()), "an hour, pack-up and set-up before");
    assert!(!same_place.contains(&"2026-11-30T23:45:00Z".to_owned()));
    assert!(same_place.contains(&"2026-12-01T02:30:00Z".to_owned()));
    let elsewhere = client.get(&format!("/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from=2026-12-01&to=2026-12-01&latitude=-33.8915&longitude=151.2767&country=AU&region=NSW")).await.is(200).body;
    let after = |limit: &str| {
        elsewhere["data"][0]["slots"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|s| s["start_at"].as_str().unwrap() > limit)
            .count()
    };
    // Bondi is six kilometres from Surry Hills: 22 minutes by car, which count as 25.
    assert_eq!(
        elsewhere["data"][0]["slots"]
            .as_array()
            .unwrap()
            .iter()
            .find(|s| s["start_at"].as_str().unwrap() > "2026-12-01T01:00:00Z")
            .unwrap()["start_at"],
        "2026-12-01T02:45:00Z"
    );
    assert!(after("2026-12-01T02:00:00Z") > 0);
}

#[tokio::test]
async fn no_slot_tells_where_someone_else_is_visited() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let day = |latitude: f64, longitude: f64| {
        let (nobody, id) = (app.nobody(), therapist.id);
        async move {
            let path = format!(
                "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from=2026-12-01&to=2026-12-01&latitude={latitude}&longitude={longitude}&country=AU&region=NSW&therapist_id={id}"
            );
            nobody.get(&path).await.is(200).body["data"].clone()
        }
    };
    // Two doors in one block of 500 m: the answers must be the same wherever they are asked from.
    let mut seen = Vec::new();
    for (latitude, longitude) in [(-33.8886, 151.2111), (-33.8861, 151.2139)] {
        let client = app.client().await;
        let mut door = surry_hills();
        (door["latitude"], door["longitude"]) = (json!(latitude), json!(longitude));
        let address = client.address(door).await;
        let path = client.books(&therapist, address, "2026-12-01T01:00:00Z").await.is(201).header("location");
        let mut answers = Vec::new();
        for step in 0..40 {
            answers.push(day(-33.8886, 151.2111 + f64::from(step) * 0.0017).await);
        }
        seen.push(answers);
        client.act(&format!("{path}/cancel")).await.is(200);
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn starts_are_asked_for_by_the_time_of_day_at_the_place() {
    let app = App::start().await;
    let (therapist, client) = (app.therapist().await, app.client().await);
    therapist.works(&[("wednesday", "09:00", "17:00"), ("thursday", "18:00", "02:00")]).await;
    let starts = async |dates: &str, more: &str| {
        let path = format!(
            "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&{dates}&latitude=-33.8886&longitude=151.2111&country=AU&region=NSW{more}"
        );
        let page = client.get(&path).await.is(200).body;
        let slots =
            page["data"].as_array().unwrap().iter().flat_map(|found| found["slots"].as_array().unwrap().clone());
        let slots: Vec<String> = slots.map(|slot| slot["start_at"].as_str().unwrap().to_owned()).collect();
        (slots, page["next_available"]["start_at"].clone())
    };
    let (day, night) = ("from=2026-12-02&to=2026-12-02", "from=2026-12-03&to=2026-12-04");
    let (all, _) = starts(day, "").await;
    // Sydney is eleven hours ahead.
    let (some, _) = starts(day, "&earliest=14:00&latest=14:30").await;
    assert_eq!(some, ["2026-12-02T03:00:00Z", "2026-12-02T03:15:00Z", "2026-12-02T03:30:00Z"]);
    assert_eq!(starts(day, "&earliest=14:00").await.0.len() + starts(day, "&latest=13:59").await.0.len(), all.len());
    assert_eq!(starts(day, "&per_therapist=2").await.0, all[..2]);
    let (late, _) = starts(night, "&earliest=23:30&latest=00:15").await;
    assert_eq!(
        late,
        ["2026-12-03T12:30:00Z", "2026-12-03T12:45:00Z", "2026-12-03T13:00:00Z", "2026-12-03T13:15:00Z"],
        "over midnight"
    );
    let (none, next) = starts(day, "&earliest=19:00").await;
    assert_eq!((none.len(), next), (0, json!("2026-12-03T08:00:00Z")), "who comes next does so in these hours");
    for (more, pointer) in
        [("&earliest=25:00", "/earliest"), ("&latest=noon", "/latest"), ("&per_therapist=0", "/per_therapist")]
    {
        let path = format!(
            "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&{day}&latitude=-33.8886&longitude=151.2111&country=AU&region=NSW{more}"
        );
        client.get(&path).await.points_to(&[pointer]);
    }
}

#[tokio::test]
async fn validity_ends_with_the_day_at_the_place() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    app.sql("UPDATE credentials SET expires_on = '2026-12-02' WHERE type = 'INSURANCE'").await.unwrap();
    therapist.works(&[("wednesday", "20:00", "02:00")]).await;
    let (client, address) = app.client_at_home().await;
    let slots = client.slots(&therapist, "2026-12-02", "2026-12-03").await;
    assert_eq!(slots.last().unwrap(), "2026-12-02T12:00:00Z", "ends at midnight in Sydney");
    client.books(&therapist, address, "2026-12-02T12:15:00Z").await.refused(422, "credential_not_valid");
    client.books(&therapist, address, "2026-12-02T12:00:00Z").await.is(201);
}

#[tokio::test]
async fn bad_input_is_pointed_to() {
    let app = App::start().await;
    let (client, _) = app.client_at_home().await;
    let get = |change: &[(&str, &str)]| {
        let mut query = vec![
            ("service_id", DEEP_TISSUE),
            ("duration_minutes", "60"),
            ("from", "2026-12-01"),
            ("to", "2026-12-07"),
            ("latitude", "-33.8886"),
            ("longitude", "151.2111"),
            ("country", "AU"),
            ("region", "NSW"),
        ];
        for (name, value) in change {
            query.retain(|(other, _)| other != name);
            if !value.is_empty() {
                query.push((name, value));
            }
        }
        let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let (client, path) = (client.clone(), format!("/v1/slots?{}", query.join("&")));
        async move { client.get(&path).await }
    };
    get(&[]).await.is(200);
    get(&[("to", "2026-12-14")]).await.is(200);
    for (name, value) in [
        ("service_id", "x"),
        ("service_id", "0198c0de-0000-7000-8000-000000000000"),
        ("service_id", ""),
        ("duration_minutes", "61"),
        ("duration_minutes", "99999"),
        ("duration_minutes", "-60"),
        ("from", "yesterday"),
        ("from", "2101-01-01"),
        ("from", "1999-12-31"),
        ("from", "2026-02-30"),
        ("to", "2101-01-01"),
        ("to", "2026-11-30"),
        ("to", "2026-12-15"),
        ("latitude", "91"),
        ("latitude", "NaN"),
        ("latitude", "-90.001"),
        ("longitude", "180.5"),
        ("longitude", "-inf"),
        ("longitude", ""),
        ("country", "ZZ"),
        ("region", "CA"),
        ("region", "%00"),
        ("region", ""),
        ("sort", "price"),
        ("limit", "0"),
        ("cursor", "e30"),
        ("explain", "perhaps"),
        ("therapist_id", "me"),
        ("page", "2"),
    ] {
        get(&[(name, value)]).await.points_to(&[&format!("/{name}")]);
    }
    let other = app.client_at_home().await.1.to_string();
    get(&[("address_id", &other)]).await.points_to(&["/address_id"]);
    let anonymous = format!(
        "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from=2026-12-01&to=2026-12-01&address_id={other}"
    );
    app.nobody().get(&anonymous).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn pages_hold_every_therapist_once() {
    let app = App::start().await;
    let mut expected = HashSet::new();
    for _ in 0..5 {
        expected.insert(app.therapist().await.id.to_string());
    }
    for sort in ["soonest", "distance", "rating"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!(
                "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from=2026-12-01&to=2026-12-01&latitude=-33.8886&longitude=151.2111&country=AU&region=NSW&limit=2&sort={sort}{cursor}"
            );
            let page = app.nobody().get(&path).await.is(200).body;
            seen.extend(
                page["data"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|found| found["therapist"]["id"].as_str().unwrap().to_owned()),
            );
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!((seen.len(), seen.into_iter().collect::<HashSet<_>>()), (5, expected.clone()), "{sort}");
    }
}

/// A therapist's week as it is generated: zone, place, windows, interval, set-up and pack-up.
#[derive(Clone, Debug)]
struct Case {
    zone: &'static str,
    place: Value,
    base: (f64, f64),
    month: NaiveDate,
    weekly: Vec<Value>,
    profile: Value,
}

fn cases() -> impl Strategy<Value = Case> {
    let sydney = || ("Australia/Sydney", surry_hills(), (-33.8981, 151.1743));
    let lord_howe = || {
        let mut place = surry_hills();
        (place["latitude"], place["longitude"]) = (json!(-31.5300), json!(159.0700));
        ("Australia/Lord_Howe", place, (-31.5553, 159.0821))
    };
    let perth = || {
        let mut place = surry_hills();
        (place["latitude"], place["longitude"], place["region"]) = (json!(-31.9505), json!(115.8605), json!("WA"));
        ("Australia/Perth", place, (-31.96, 115.87))
    };
    let place = prop_oneof![Just(sydney()), Just(lord_howe()), Just(perth())];
    // The months hold both changes of the clocks, and none.
    let month = prop_oneof![Just("2026-09-21"), Just("2027-03-22"), Just("2026-12-01")];
    let window = (0..7usize, 0..24i32, prop_oneof![Just(0), Just(15), Just(30)], 1..11i32);
    let weekly = prop::collection::vec(window, 2..7);
    let rules = (prop_oneof![Just(15), Just(20), Just(30), Just(60)], 0..3i32, 0..3i32, prop::option::of(1..4i32));
    (place, month, weekly, rules).prop_map(|((zone, place, base), month, windows, (interval, setup, packup, cap))| {
        let mut taken: Vec<(i32, i32)> = Vec::new();
        let mut weekly = Vec::new();
        for (day, hour, minute, hours) in windows {
            let opens = i32::try_from(day).unwrap() * 1440 + hour * 60 + minute;
            let closes = opens + hours * 60;
            let apart = |a: (i32, i32), b: (i32, i32)| a.1 <= b.0 || b.1 <= a.0;
            if taken.iter().all(|t| [-10080, 0, 10080].iter().all(|shift| apart(*t, (opens + shift, closes + shift)))) {
                taken.push((opens, closes));
                let time = |minutes: i32| format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60);
                weekly.push(json!({ "day": crate::support::WEEK[day], "start": time(opens), "end": time(closes) }));
            }
        }
        let profile = json!({
            "base_latitude": base.0, "base_longitude": base.1, "slot_interval_minutes": interval, "setup_minutes": setup * 10,
            "packup_minutes": packup * 10, "daily_cap": cap, "booking_mode": "instant", "max_advance_days": 60,
        });
        Case { zone, place, base, month: month.parse().unwrap(), weekly, profile }
    })
}

async fn listed(client: &Person, therapist: &Person, address: Uuid, from: NaiveDate) -> HashSet<DateTime<Utc>> {
    let to = from + TimeDelta::days(13);
    let path = format!(
        "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from={from}&to={to}&address_id={address}&therapist_id={}",
        therapist.id
    );
    let page = client.get(&path).await.is(200).body;
    let slots = page["data"].as_array().unwrap().iter().flat_map(|found| found["slots"].as_array().unwrap().clone());
    slots.map(|slot| at(slot["start_at"].as_str().unwrap())).collect()
}

/// Books starts of a fortnight in a generated order, listed ones and others, and holds the list against each answer.
async fn the_list_tells_the_truth(case: Case, picks: Vec<u16>, totals: &mut (usize, usize, usize)) {
    let start = case.month.and_hms_opt(0, 0, 0).unwrap().and_utc() - TimeDelta::days(3);
    let app = App::start_at(start).await;
    let therapist = app.newcomer().await;
    therapist.change("/v1/therapists/me", case.profile.clone()).await.is(200);
    therapist
        .replace(
            "/v1/therapists/me/services",
            json!({ "services": [{ "service_id": DEEP_TISSUE, "durations": [60] }] }),
        )
        .await
        .is(200);
    therapist
        .replace("/v1/therapists/me/schedule", json!({ "time_zone": case.zone, "weekly": case.weekly }))
        .await
        .is(200);
    app.license(&therapist, "2028-01-01").await;
    let client = app.client().await;
    let address = client.address(case.place.clone()).await;
    assert!(case.base.0 < 0.0);

    let mut from = case.month;
    for (round, pick) in picks.into_iter().enumerate() {
        // The month is walked through a fortnight at a time.
        if round % 8 == 0 && round > 0 {
            from += TimeDelta::days(10);
        }
        let offered = listed(&client, &therapist, address, from).await;
        totals.0 += offered.len();
        let mut sorted: Vec<_> = offered.iter().copied().collect();
        sorted.sort();
        let start = if round % 2 == 0 && !sorted.is_empty() {
            sorted[usize::from(pick) % sorted.len()]
        } else {
            // Some five-minute step of the fortnight, listed or not.
            from.and_hms_opt(0, 0, 0).unwrap().and_utc() + TimeDelta::minutes(5 * i64::from(pick % 3700))
        };
        let answer = client.books(&therapist, address, &start.to_rfc3339()).await;
        if offered.contains(&start) {
            totals.1 += 1;
            assert_eq!(answer.status, 201, "{start} is listed: {case:?} {}", answer.text);
            assert!(!listed(&client, &therapist, address, from).await.contains(&start), "{start} is taken");
        } else {
            totals.2 += 1;
            answer.refused(409, "slot_unavailable");
        }
    }
}

#[tokio::test]
async fn every_listed_slot_can_be_booked_and_no_other() {
    let mut runner = TestRunner::deterministic();
    let strategy = (cases(), prop::collection::vec(any::<u16>(), 24));
    let mut totals = (0, 0, 0);
    let count = std::env::var("KNEAD_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(12);
    for _ in 0..count {
        let (case, picks) = strategy.new_tree(&mut runner).unwrap().current();
        the_list_tells_the_truth(case, picks, &mut totals).await;
    }
    println!("{} starts listed, {} listed ones booked, {} others refused", totals.0, totals.1, totals.2);
    assert!(totals.1 > 50 && totals.2 > 50, "{totals:?}");
}

#[tokio::test]
async fn an_unlicensed_or_distant_therapist_is_not_listed() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let client = app.client().await;
    let in_place = |place: &str| {
        let path =
            format!("/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from=2026-12-01&to=2026-12-01&{place}");
        let client = client.clone();
        async move { client.get(&path).await.is(200).body["data"].as_array().unwrap().len() }
    };
    assert_eq!(in_place("latitude=-33.8886&longitude=151.2111&country=AU&region=NSW").await, 1);
    assert_eq!(in_place("latitude=-37.8136&longitude=144.9631&country=AU&region=VIC").await, 0);
    app.sql("UPDATE credentials SET board_status = 'suspended' WHERE type = 'AU-ASSOC'").await.unwrap();
    assert_eq!(in_place("latitude=-33.8886&longitude=151.2111&country=AU&region=NSW").await, 0);
    app.sql("UPDATE credentials SET board_status = 'active'").await.unwrap();
    therapist.change("/v1/therapists/me", json!({ "accepting_bookings": false })).await.is(200);
    assert_eq!(in_place("latitude=-33.8886&longitude=151.2111&country=AU&region=NSW").await, 0);
}
