//! Diaries that are kept in memory: whatever changes one is seen by the next search, and by the next decision.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::TimeDelta;
use serde_json::json;
use tokio::task::JoinSet;

use crate::prices::{aud, price};
use crate::support::{App, DEEP_TISSUE, Person, surry_hills};

const DAY: &str = "2026-12-01";

/// How many starts a search finds on the day, which must be those that can be booked: a check reads its diary anew.
async fn starts(client: &Person, therapist: &Person) -> usize {
    let found = client.slots(therapist, DAY, DAY).await;
    let hours = (0..48).map(|half_hour| format!("2026-12-01T{:02}:{:02}:00Z", half_hour / 2, half_hour % 2 * 30));
    let hours: Vec<String> = hours.collect();
    let question = json!({
        "therapist_id": therapist.id, "service_id": DEEP_TISSUE, "duration_minutes": 60, "latitude": -33.8886,
        "longitude": 151.2111, "country": "AU", "region": "NSW", "starts": hours,
    });
    let checked = client.post("/v1/slots/check", question).await.is(200).body;
    for checked in checked["data"].as_array().unwrap() {
        let start = checked["start_at"].as_str().unwrap();
        // The day ends at 13:00 UTC.
        if start < "2026-12-01T13:00:00Z" {
            assert_eq!(checked["bookable"], found.contains(&start.to_owned()), "{start}");
        }
    }
    // Nor is it held: the decision goes by the diary that the search has left behind, and by what has changed since.
    let noon = "2026-12-01T01:00:00Z";
    if !found.contains(&noon.to_owned()) {
        let home = client.address(surry_hills()).await;
        assert!(client.post("/v1/holds", client.wish(therapist, home, noon)).await.status.is_client_error());
    }
    found.len()
}

#[tokio::test]
async fn every_change_is_seen_by_the_next_search() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let (other, elsewhere) = app.client_at_home().await;
    let whole = starts(&client, &therapist).await;
    assert_eq!((whole, starts(&client, &therapist).await), (29, 29), "read, and known");

    let hold = other.post("/v1/holds", other.wish(&therapist, elsewhere, "2026-12-01T01:00:00Z")).await.is(201);
    let held = starts(&client, &therapist).await;
    assert!(held < whole);
    other.delete(&format!("/v1/holds/{}", hold.id())).await.is(204);
    assert_eq!(starts(&client, &therapist).await, whole);
    other.post("/v1/holds", other.wish(&therapist, elsewhere, "2026-12-01T01:00:00Z")).await.is(201);
    assert_eq!(starts(&client, &therapist).await, held);
    app.advance(TimeDelta::minutes(11));
    assert_eq!(starts(&client, &therapist).await, whole, "it has lapsed, and nothing was written");

    let booking = other.books(&therapist, elsewhere, "2026-12-01T01:00:00Z").await.is(201).header("location");
    assert_eq!(starts(&client, &therapist).await, held);
    other.post(&format!("{booking}/reschedule"), json!({ "start_at": "2026-12-03T01:00:00Z" })).await.is(200);
    assert_eq!(starts(&client, &therapist).await, whole);
    other.post(&format!("{booking}/reschedule"), json!({ "start_at": "2026-12-01T01:00:00Z" })).await.is(200);
    assert_eq!(starts(&client, &therapist).await, held);
    other.act(&format!("{booking}/cancel")).await.is(200);
    assert_eq!(starts(&client, &therapist).await, whole);

    let off = json!({ "start_at": "2026-12-01T00:00:00Z", "end_at": "2026-12-01T02:00:00Z" });
    let off = therapist.post("/v1/therapists/me/time-off", off).await.is(201);
    assert!(starts(&client, &therapist).await < whole);
    therapist.delete(&format!("/v1/therapists/me/time-off/{}", off.id())).await.is(204);
    assert_eq!(starts(&client, &therapist).await, whole);

    let date = format!("/v1/therapists/me/overrides/{DAY}");
    therapist.request(reqwest::Method::PUT, &date).json(&json!({ "windows": [] })).send().await.unwrap();
    assert_eq!(starts(&client, &therapist).await, 0);
    let tag = therapist.get(&date).await.is(200).header("etag");
    let removed = therapist.request(reqwest::Method::DELETE, &date).header("If-Match", tag).send().await.unwrap();
    assert_eq!(removed.status(), 204);
    assert_eq!(starts(&client, &therapist).await, whole);

    for (change, back) in [
        (json!({ "accepting_bookings": false }), json!({ "accepting_bookings": true })),
        (json!({ "service_radius_km": 1 }), json!({ "service_radius_km": 15 })),
        (json!({ "min_notice_minutes": 43200 }), json!({ "min_notice_minutes": 120 })),
        (json!({ "slot_interval_minutes": 60 }), json!({ "slot_interval_minutes": 15 })),
    ] {
        therapist.change("/v1/therapists/me", change.clone()).await.is(200);
        assert!(starts(&client, &therapist).await < whole, "{change}");
        therapist.change("/v1/therapists/me", back).await.is(200);
        assert_eq!(starts(&client, &therapist).await, whole);
    }

    let services = |durations: &[i16]| json!({ "services": [{ "service_id": DEEP_TISSUE, "durations": durations }] });
    therapist.replace("/v1/therapists/me/services", services(&[90])).await.is(200);
    assert_eq!(starts(&client, &therapist).await, 0);
    therapist.replace("/v1/therapists/me/services", services(&[60])).await.is(200);
    assert_eq!(starts(&client, &therapist).await, whole);

    therapist.works(&[("tuesday", "09:00", "12:00")]).await;
    assert_eq!(starts(&client, &therapist).await, 9);
    therapist.works(&[("tuesday", "09:00", "17:00")]).await;
    assert_eq!(starts(&client, &therapist).await, whole);

    therapist.change("/v1/me", json!({ "display_name": "Another Name" })).await.is(200);
    let path = format!(
        "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from={DAY}&to={DAY}&address_id={address}&therapist_id={}",
        therapist.id
    );
    let page = client.get(&path).await.is(200).body;
    assert_eq!(page["data"][0]["therapist"]["display_name"], "Another Name");

    // To one client they are at odds with, and to nobody else.
    client.post("/v1/me/blocks", json!({ "account_id": therapist.id })).await.is(201);
    assert_eq!((starts(&client, &therapist).await, starts(&other, &therapist).await), (0, whole));
}

#[tokio::test]
async fn a_price_takes_effect_when_nothing_is_written() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let shown = async || {
        let path = format!(
            "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from=2026-12-03&to=2026-12-03&latitude=-33.8886\
             &longitude=151.2111&country=AU&region=NSW&therapist_id={}",
            therapist.id
        );
        app.nobody().get(&path).await.is(200).body["data"][0]["price"].clone()
    };
    assert_eq!(shown().await, aud(12_900));
    app.admin().await.post("/v1/admin/prices", price(&app, 15_000, 2)).await.is(201);
    assert_eq!(shown().await, aud(12_900), "from tomorrow on");
    app.advance(TimeDelta::days(1) - TimeDelta::seconds(1));
    assert_eq!(shown().await, aud(12_900));
    app.advance(TimeDelta::seconds(1));
    assert_eq!(shown().await, aud(15_000));
}

/// Statements by which something in a diary changes, and something that holds for all.
const CHANGES: [(&str, &str); 30] = [
    ("INSERT INTO reservations (id, therapist_id, during, start_at, latitude, longitude)
      SELECT gen_random_uuid(), id, '[2026-12-01 01:00Z,2026-12-01 02:00Z)', '2026-12-01 01:10Z', 0, 0 FROM therapists", "reserved"),
    ("UPDATE reservations SET start_at = '2026-12-01 01:20Z'", "reserved"),
    ("UPDATE reservations SET during = '[2026-12-01 01:00Z,2026-12-01 03:00Z)'", "reserved"),
    ("UPDATE reservations SET latitude = 1", "reserved"),
    ("UPDATE reservations SET hold_expires_at = '2026-12-01 01:00Z'", "reserved"),
    ("DELETE FROM reservations", "reserved"),
    ("INSERT INTO reservations (id, therapist_id, during, start_at, latitude, longitude, hold_expires_at)
      SELECT gen_random_uuid(), id, '[2026-12-01 01:00Z,2026-12-01 02:00Z)', '2026-12-01 01:10Z', 0, 0, '2026-12-01 01:00Z' FROM therapists", "reserved"),
    ("UPDATE reservations SET hold_expires_at = NULL", "reserved"),
    ("DELETE FROM reservations", "reserved"),
    ("INSERT INTO calendars (id, therapist_id, url_sealed, label, due_at, asked_at, created_at)
      SELECT id, id, 'https://knead.test/', 'Other', '2026-12-01', '2026-12-01', '2026-12-01' FROM therapists;
      INSERT INTO busy_intervals (therapist_id, calendar_id, start_at, end_at) SELECT id, id, '2026-12-01 01:00Z', '2026-12-01 02:00Z' FROM therapists", "diary"),
    ("UPDATE busy_intervals SET start_at = '2026-12-01 01:30Z'", "diary"),
    ("DELETE FROM busy_intervals", "diary"),
    ("INSERT INTO overrides (therapist_id, date, windows) SELECT id, '2026-12-01', '{}' FROM therapists", "diary"),
    ("UPDATE overrides SET date = '2026-12-02'", "diary"),
    ("DELETE FROM overrides", "diary"),
    ("UPDATE weekly_windows SET closes = closes - 15", "diary"),
    ("UPDATE timetables SET effective_from = '2026-11-01' WHERE false; DELETE FROM weekly_windows", "diary"),
    ("DELETE FROM offers WHERE duration_minutes = 90", "diary"),
    ("UPDATE offers SET duration_minutes = 90", "diary"),
    ("UPDATE therapists SET travel_mode = 'walk'", "diary"),
    ("UPDATE therapists SET rating_count = 1, rating_sum = 5", "diary"),
    ("UPDATE accounts SET display_name = 'Someone' WHERE role = 'therapist'", "diary"),
    ("UPDATE accounts SET time_zone = 'Australia/Perth' WHERE role = 'therapist'", "diary"),
    ("UPDATE credentials SET expires_on = '2027-01-01' WHERE type = 'INSURANCE'", "diary"),
    ("INSERT INTO credential_holds (id, credential_id, reason_code, placed_at)
      SELECT gen_random_uuid(), id, 'other', '2026-12-01' FROM credentials WHERE type = 'INSURANCE'", "diary"),
    ("UPDATE credential_holds SET lifted_at = '2026-12-02', lifted_by = (SELECT min(id::text)::uuid FROM accounts)", "diary"),
    ("UPDATE credential_types SET renewal_months = 24 WHERE code = 'INSURANCE'", "rulebook"),
    ("UPDATE services SET kind = kind WHERE slug = 'deep-tissue'", "rulebook"),
    ("UPDATE credential_requirements SET options = options WHERE jurisdiction = 'AU-NSW'", "rulebook"),
    ("UPDATE jurisdictions SET name = 'New South Wales' WHERE code = 'AU-NSW'", "rulebook"),
];

#[tokio::test]
async fn every_change_is_counted() {
    let app = App::start().await;
    app.therapist().await;
    let counted = async || {
        let (diary, steady) = ("SELECT revision FROM hint_states", "SELECT steady FROM hint_states");
        (app.count(diary).await, app.count(steady).await, app.count("SELECT revision FROM rulebook").await)
    };
    for (change, of) in CHANGES {
        let before = counted().await;
        app.sql(change).await.expect(change);
        let after = counted().await;
        let changed = (after.0 != before.0, after.1 != before.1, after.2 != before.2);
        assert_eq!(changed, (of != "rulebook", of == "diary", of == "rulebook"), "{change}");
    }
}

#[tokio::test]
async fn whoever_joins_others_who_search_sees_what_was_booked_before() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let path = format!(
        "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from={DAY}&to={DAY}&latitude=-33.8886&longitude=151.2111&country=AU&region=NSW"
    );
    let asking = Arc::new(AtomicBool::new(true));
    let mut others = JoinSet::new();
    for _ in 0..12 {
        let (nobody, path, asking) = (app.nobody(), path.clone(), asking.clone());
        others.spawn(async move {
            while asking.load(Ordering::Relaxed) {
                nobody.get(&path).await.is(200);
            }
        });
    }
    for start in ["2026-12-01T00:00:00Z", "2026-12-01T02:00:00Z", "2026-12-01T04:00:00Z"].repeat(3) {
        let lists = async || {
            let page = app.nobody().get(&path).await.is(200).body;
            let slots = page["data"][0]["slots"].as_array().cloned().unwrap_or_default();
            slots.iter().any(|slot| slot["start_at"] == start)
        };
        assert!(lists().await, "{start} is free");
        let booking = client.books(&therapist, address, start).await.is(201).header("location");
        assert!(!lists().await, "{start} is booked");
        client.act(&format!("{booking}/cancel")).await.is(200);
    }
    asking.store(false, Ordering::Relaxed);
    others.join_all().await;
}
