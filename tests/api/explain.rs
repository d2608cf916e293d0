//! Why a start is not offered, and asking about single starts.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, App, DEEP_TISSUE, Person, surry_hills};

const NOBODYS: &str = "0198c0de-0000-7000-8000-000000000000";

async fn explained(person: &Person, therapist: &str) -> Answer {
    let therapist = if therapist.is_empty() { String::new() } else { format!("&therapist_id={therapist}") };
    let path = format!(
        "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from=2026-12-01&to=2026-12-02&latitude=-33.8886\
         &longitude=151.2111&country=AU&region=NSW&explain=true{therapist}"
    );
    person.get(&path).await
}

fn question(therapist: &Person, starts: &[&str]) -> Value {
    json!({
        "therapist_id": therapist.id, "service_id": DEEP_TISSUE, "duration_minutes": 60, "latitude": -33.8886,
        "longitude": 151.2111, "country": "AU", "region": "NSW", "starts": starts,
    })
}

async fn check(person: &Person, question: Value) -> Answer {
    person.post("/v1/slots/check", question).await
}

/// What refuses each of the starts.
fn refusals(answer: &Answer) -> Vec<Vec<String>> {
    let of = |checked: &Value| {
        let refusals: Vec<String> = serde_json::from_value(checked["refusals"].clone()).unwrap();
        assert_eq!(checked["bookable"], refusals.is_empty());
        refusals
    };
    answer.body["data"].as_array().unwrap().iter().map(of).collect()
}

#[tokio::test]
async fn every_start_is_offered_or_explained() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    therapist.change("/v1/therapists/me", json!({ "daily_cap": 1 })).await.is(200);
    client.books(&therapist, address, "2026-12-01T01:00:00Z").await.is(201);
    let off = json!({ "start_at": "2026-12-02T04:00:00Z", "end_at": "2026-12-02T09:00:00Z" });
    therapist.post("/v1/therapists/me/time-off", off).await.is(201);
    let page = explained(&therapist, &therapist.id.to_string()).await.is(200).body;
    let runs = page["refused"].as_array().unwrap();
    let refused: HashMap<String, Vec<&str>> = runs
        .iter()
        .flat_map(|run| {
            let rules: Vec<&str> =
                run["refusals"].as_array().unwrap().iter().map(|rule| rule.as_str().unwrap()).collect();
            let at = |name: &str| run[name].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
            let count = run["starts"].as_i64().unwrap();
            assert_eq!(at("start_at") + TimeDelta::minutes(15) * (count as i32 - 1), at("last_start_at"), "{run}");
            let starts = (0..count).map(move |n| at("start_at") + TimeDelta::minutes(15 * n));
            starts
                .map(move |start| (start.to_rfc3339_opts(SecondsFormat::Secs, true), rules.clone()))
                .collect::<Vec<_>>()
        })
        .collect();
    let offered = page["data"][0]["slots"].as_array().unwrap();
    assert_eq!(refused.len() + offered.len(), 2 * 96, "each quarter of an hour once");
    assert!(offered.iter().all(|slot| !refused.contains_key(slot["start_at"].as_str().unwrap())));
    assert!(refused.values().all(|rules| !rules.is_empty()));
    // Neighbours with the same rules are one run, unless a start is offered between them.
    assert!(runs.len() < 20, "{}", runs.len());
    for pair in runs.windows(2).filter(|pair| pair[0]["refusals"] == pair[1]["refusals"]) {
        let between = offered.iter().any(|slot| {
            let at = slot["start_at"].as_str().unwrap();
            pair[0]["last_start_at"].as_str().unwrap() < at && at < pair[1]["start_at"].as_str().unwrap()
        });
        assert!(between, "{pair:?}");
    }
    assert_eq!(refused["2026-11-30T13:00:00Z"], ["hours", "daily_cap"]);
    assert_eq!(refused["2026-12-01T01:00:00Z"], ["taken", "daily_cap"]);
    assert_eq!(refused["2026-12-01T05:15:00Z"], ["hours", "daily_cap"]);
    assert_eq!(refused["2026-12-02T04:00:00Z"], ["time_off"]);
    assert_eq!(refused["2026-12-02T06:00:00Z"], ["hours", "time_off"]);
    let plain = explained(&app.admin().await, &therapist.id.to_string()).await.is(200).body;
    assert_eq!(plain, page, "admins see the same");
    assert!(client.get(&format!("/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from=2026-12-01&to=2026-12-02&address_id={address}")).await.is(200).body.get("refused").is_none());
}

#[tokio::test]
async fn only_the_therapist_and_admins_hear_the_reasons() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let id = therapist.id.to_string();
    explained(&app.nobody(), &id).await.refused(401, "unauthorized");
    explained(&app.client().await, &id).await.refused(403, "forbidden");
    explained(&app.newcomer().await, &id).await.refused(403, "forbidden");
    explained(&app.nobody(), "").await.refused(401, "unauthorized");
    explained(&therapist, "").await.points_to(&["/therapist_id"]);
    explained(&app.admin().await, NOBODYS).await.points_to(&["/therapist_id"]);
    // Whoever is out of reach is not listed, and explained all the same.
    therapist.change("/v1/therapists/me", json!({ "service_radius_km": 1, "accepting_bookings": false })).await.is(200);
    let page = explained(&therapist, &id).await.is(200).body;
    let runs = page["refused"].as_array().unwrap();
    let starts: i64 = runs.iter().map(|run| run["starts"].as_i64().unwrap()).sum();
    assert_eq!((page["data"].as_array().unwrap().len(), starts), (0, 192));
    assert!(runs.len() < 10, "{}", runs.len());
    let rules = json!(["not_accepting", "outside_area", "hours"]);
    assert_eq!(page["refused"][0]["refusals"], rules);
}

#[tokio::test]
async fn a_check_says_what_the_booking_would() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    client.books(&therapist, address, "2026-12-01T01:00:00Z").await.is(201);
    app.sql("UPDATE credentials SET expires_on = '2027-01-30' WHERE type = 'INSURANCE'").await.unwrap();
    let starts = [
        "2026-12-01T03:00:00Z",
        "2026-12-01T01:00:00Z",
        "2026-12-01T03:07:00Z",
        "2026-11-30T01:30:00Z",
        "2027-01-30T01:30:00Z",
        "2027-01-31T00:00:00Z",
        "2026-12-01T03:00:00+11:00",
        "2026-11-30T01:00:00Z",
        "2026-12-31T23:59:59.123456Z",
        "2026-12-01T03:00:00Z",
    ];
    let mut asked = question(&therapist, &starts);
    for name in ["latitude", "longitude", "country", "region"] {
        asked.as_object_mut().unwrap().remove(name);
    }
    asked["address_id"] = json!(address);
    let by_client = check(&client, asked).await.is(200);
    let public = refusals(&by_client);
    assert_eq!(public[..4], [vec![], vec!["slot_unavailable"], vec!["slot_unavailable"], vec!["notice_too_short"]]);
    assert_eq!(public[4], ["beyond_horizon"]);
    assert_eq!(public[5], ["beyond_horizon", "credential_not_valid"], "the insurance ends with the day before");
    assert_eq!(public[6], ["slot_unavailable"]);
    assert_eq!((&public[7][0], &public[8][0]), (&"notice_too_short".to_owned(), &"slot_unavailable".to_owned()));
    assert_eq!(public[9], public[0]);
    let echoed: Vec<&str> = by_client.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|checked| checked["start_at"].as_str().unwrap())
        .collect();
    assert_eq!(
        (echoed[0], echoed[6], echoed[9]),
        (starts[0], "2026-11-30T16:00:00Z", starts[9]),
        "in the order of the question"
    );

    for person in [app.nobody(), app.newcomer().await] {
        assert_eq!(refusals(&check(&person, question(&therapist, &starts)).await.is(200)), public);
    }
    for insider in [therapist.clone(), app.admin().await] {
        let rules = refusals(&check(&insider, question(&therapist, &starts)).await.is(200));
        assert_eq!(rules[..4], [vec![], vec!["taken"], vec!["grid"], vec!["notice"]]);
        assert_eq!(rules[4..7], [vec!["horizon"], vec!["horizon", "credentials"], vec!["hours"]]);
    }
    // What it says holds for the booking, and it holds nothing itself.
    for (start, refusals) in starts.iter().zip(&public).skip(1) {
        let booked = client.books(&therapist, address, start).await;
        match refusals.first() {
            None => assert_eq!(booked.status, 201, "{start}: {}", booked.text),
            Some(code) => assert_eq!(booked.body["code"].as_str(), Some(code.as_str()), "{start}: {}", booked.text),
        }
    }
}

#[tokio::test]
async fn a_check_hears_of_each_general_rule_once() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let nobody = app.nobody();
    let offers = json!({ "services": [{ "service_id": DEEP_TISSUE, "durations": [90] }] });
    therapist.replace("/v1/therapists/me/services", offers).await.is(200);
    therapist.change("/v1/therapists/me", json!({ "service_radius_km": 1, "accepting_bookings": false })).await.is(200);
    app.sql("UPDATE credentials SET board_status = 'suspended' WHERE type = 'INSURANCE'").await.unwrap();
    let start = ["2026-12-01T13:00:00Z"];
    let found = refusals(&check(&nobody, question(&therapist, &start)).await.is(200)).remove(0);
    // Nor are they told of the hours at a time that could not be booked anyway.
    let codes = ["not_accepting_bookings", "service_not_offered", "outside_service_area", "credential_not_valid"];
    assert_eq!(found, codes);
    let found = refusals(&check(&therapist, question(&therapist, &start)).await.is(200)).remove(0);
    assert_eq!(found, ["not_accepting", "not_offered", "outside_area", "credentials", "hours"]);
}

#[tokio::test]
async fn a_bad_check_is_pointed_to() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let good = || question(&therapist, &["2026-12-01T00:00:00Z", "2026-12-01T01:00:00Z"]);
    check(&client, good()).await.is(200);
    for (name, value) in [
        ("therapist_id", json!(NOBODYS)),
        ("therapist_id", json!(client.id)),
        ("therapist_id", json!("me")),
        ("service_id", json!(NOBODYS)),
        ("duration_minutes", json!(61)),
        ("duration_minutes", json!(-60)),
        ("duration_minutes", json!(99_999)),
        ("duration_minutes", json!("60")),
        ("latitude", json!(90.01)),
        ("latitude", Value::Null),
        ("longitude", json!(-180.5)),
        ("longitude", Value::Null),
        ("country", json!("ZZ")),
        ("region", json!("CA")),
        ("region", json!("\u{0}")),
        ("region", Value::Null),
        ("starts", json!([])),
        ("starts", json!(vec!["2026-12-01T00:00:00Z"; 51])),
        ("starts", json!(["2026-12-01T00:00:00Z", "2027-02-01T00:00:01Z"])),
        ("starts", json!("2026-12-01T00:00:00Z")),
        ("address_id", json!(address)),
        ("therapist", json!(1)),
    ] {
        let mut question = good();
        question[name] = value.clone();
        let answer = check(&client, question).await;
        println!("{name} {value}");
        answer.points_to(&[&format!("/{name}")]);
    }
    for bad in [
        "2026-12-01T00:00:00",
        "1999-12-31T23:59:59Z",
        "2101-01-01T00:00:00Z",
        "2026-12-31T23:59:60Z",
        "soon",
        "2026-02-30T00:00:00Z",
    ] {
        let mut question = good();
        question["starts"][1] = json!(bad);
        check(&client, question).await.points_to(&["/starts/1"]);
    }
    let mut sydney_in_texas = good();
    (sydney_in_texas["country"], sydney_in_texas["region"]) = (json!("US"), json!("TX"));
    check(&client, sydney_in_texas).await.points_to(&["/region"]);

    let mut by_address = good();
    for name in ["latitude", "longitude", "country", "region"] {
        by_address[name] = Value::Null;
    }
    by_address["address_id"] = json!(address);
    check(&client, by_address.clone()).await.is(200);
    check(&app.nobody(), by_address.clone()).await.refused(401, "unauthorized");
    check(&therapist, by_address.clone()).await.refused(403, "forbidden");
    let other: Uuid = app.client().await.address(surry_hills()).await;
    by_address["address_id"] = json!(other);
    check(&client, by_address).await.points_to(&["/address_id"]);
    let get = client.get("/v1/slots/check").await;
    assert_eq!(get.status, 405, "{}", get.text);
}
