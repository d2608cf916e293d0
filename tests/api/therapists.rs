use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::{App, DEEP_TISSUE};

async fn found(app: &App, query: &str) -> Vec<Value> {
    app.nobody().get(&format!("/v1/therapists?{query}")).await.is(200).body["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_profile_is_changed_field_by_field() {
    let app = App::start().await;
    let therapist = app.newcomer().await;
    let before = therapist.get("/v1/therapists/me").await.is(200).body;
    assert_eq!((&before["min_notice_minutes"], &before["max_advance_days"]), (&json!(120), &json!(60)));
    let change = json!({ "bio": "Calm and firm.", "techniques": ["stripping", "stripping"], "daily_cap": 3, "slot_interval_minutes": 20 });
    let after = therapist.change("/v1/therapists/me", change).await.is(200).body;
    assert_eq!(after["techniques"], json!(["stripping"]));
    assert_eq!((&after["daily_cap"], &after["travel_mode"]), (&json!(3), &before["travel_mode"]));
    let emptied = therapist.change("/v1/therapists/me", json!({ "bio": null, "daily_cap": null })).await.is(200).body;
    assert_eq!((&emptied["bio"], &emptied["daily_cap"]), (&json!(null), &json!(null)));
}

#[tokio::test]
async fn a_wrong_profile_is_pointed_to_and_changes_nothing() {
    let app = App::start().await;
    let therapist = app.newcomer().await;
    let before = therapist.get("/v1/therapists/me").await.body;
    for (field, value) in [
        ("base_latitude", json!(91)),
        ("service_radius_km", json!(0)),
        ("min_notice_minutes", json!(-1)),
        ("max_advance_days", json!(366)),
        ("setup_minutes", json!(1e10)),
        ("slot_interval_minutes", json!(7)),
        ("daily_cap", json!(0)),
        ("travel_mode", json!("helicopter")),
        ("time_zone", json!("Sydney")),
        ("rank", json!(1)),
    ] {
        therapist.change("/v1/therapists/me", json!({ field: value })).await.points_to(&[&format!("/{field}")]);
    }
    therapist.change("/v1/therapists/me", json!({ "base_latitude": -33.9 })).await.points_to(&["/base_longitude"]);
    therapist
        .change("/v1/therapists/me", json!({ "techniques": ["stripping", "levitation"] }))
        .await
        .points_to(&["/techniques/1"]);
    therapist.change("/v1/therapists/me", json!({ "languages": ["English"] })).await.points_to(&["/languages/0"]);
    assert_eq!(therapist.get("/v1/therapists/me").await.body, before);
}

#[tokio::test]
async fn only_what_the_catalogue_sells_can_be_offered() {
    let app = App::start().await;
    let therapist = app.newcomer().await;
    let path = "/v1/therapists/me/services";
    let offer = |durations: Value| json!({ "services": [{ "service_id": DEEP_TISSUE, "durations": durations }] });
    therapist.replace(path, offer(json!([60, 61]))).await.points_to(&["/services/0/durations/1"]);
    therapist.replace(path, offer(json!([]))).await.points_to(&["/services/0/durations"]);
    therapist
        .replace(path, json!({ "services": [{ "service_id": therapist.id, "durations": [60] }] }))
        .await
        .points_to(&["/services/0/service_id"]);
    let twice = json!({ "service_id": DEEP_TISSUE, "durations": [60] });
    therapist.replace(path, json!({ "services": [twice, twice] })).await.points_to(&["/services/1/service_id"]);
    let saved = therapist.replace(path, offer(json!([90, 60, 90]))).await.is(200).body;
    assert_eq!(saved, offer(json!([60, 90])));
    assert_eq!(therapist.get(path).await.body, saved);
}

#[tokio::test]
async fn only_who_can_be_booked_is_found_and_the_base_stays_hidden() {
    let app = App::start().await;
    let newcomer = app.newcomer().await;
    let therapist = app.therapist().await;
    let public = app.nobody().get(&format!("/v1/therapists/{}", therapist.id)).await.is(200);
    assert_eq!(public.body["area"], json!({ "latitude": -33.89, "longitude": 151.17 }));
    assert!(!public.text.contains("33.8981") && !public.text.contains(&therapist.email));
    app.nobody().get(&format!("/v1/therapists/{}", newcomer.id)).await.refused(404, "not_found");
    assert_eq!(found(&app, "").await.len(), 1);
    app.advance(TimeDelta::days(500));
    assert!(found(&app, "").await.is_empty(), "the credentials have ended");
}

#[tokio::test]
async fn a_search_narrows_by_what_is_asked() {
    let app = App::start().await;
    app.therapist().await;
    for hit in
        ["gender=female", "language=en", "latitude=-33.8886&longitude=151.2111", &format!("service_id={DEEP_TISSUE}")]
    {
        assert_eq!(found(&app, hit).await.len(), 1, "{hit}");
    }
    for miss in
        ["gender=male", "language=vi", "technique=stripping", "condition=back-pain", "latitude=-37.8&longitude=144.9"]
    {
        assert!(found(&app, miss).await.is_empty(), "{miss}");
    }
    let nobody = app.nobody();
    nobody.get("/v1/therapists?latitude=1").await.points_to(&["/longitude"]);
    nobody.get("/v1/therapists?sort=distance").await.points_to(&["/sort"]);
    nobody.get("/v1/therapists?limit=101").await.points_to(&["/limit"]);
    nobody.get("/v1/therapists?limit=-1").await.points_to(&["/limit"]);
    nobody.get("/v1/therapists?cursor=abc").await.points_to(&["/cursor"]);
    nobody.get("/v1/therapists?gender=%00").await.points_to(&["/gender"]);
}

#[tokio::test]
async fn pages_hold_everyone_once() {
    let app = App::start().await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.push(app.therapist().await.id.to_string());
    }
    expected.sort();
    for order in ["sort=name", "latitude=-33.8886&longitude=151.2111"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = app.nobody().get(&format!("/v1/therapists?{order}&limit=2{cursor}")).await.is(200).body;
            seen.extend(page["data"].as_array().unwrap().iter().map(|found| found["id"].as_str().unwrap().to_owned()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        seen.sort();
        assert_eq!(seen, expected, "{order}");
    }
}

#[tokio::test]
async fn nothing_that_can_be_asked_tells_one_base_in_a_square_from_another() {
    use base64::Engine;
    let app = App::start().await;
    let (one, other) = (app.therapist().await, app.therapist().await);
    other.change("/v1/therapists/me", json!({ "base_latitude": -33.8999, "base_longitude": 151.1799 })).await.is(200);
    // From within the square, across it, and at the edge of the service radius of fifteen kilometres.
    for step in 0..60 {
        let latitude = -33.89 - f64::from(step) * 0.0023;
        let page = found(&app, &format!("latitude={latitude}&longitude=151.2111")).await;
        let seen = |id: &uuid::Uuid| {
            page.iter().find(|t| t["id"] == id.to_string()).map(|t| (t["area"].clone(), t["distance_km"].clone()))
        };
        assert_eq!(seen(&one.id), seen(&other.id), "at {latitude}");
    }
    let next =
        app.nobody().get("/v1/therapists?limit=1&latitude=-33.8886&longitude=151.2111").await.body["next_cursor"]
            .clone();
    let key = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(next.as_str().unwrap()).unwrap();
    let key: Value = serde_json::from_slice(&key).unwrap();
    let to_area = knead::values::Point { latitude: -33.8886, longitude: 151.2111 }
        .distance_km(knead::values::Point { latitude: -33.89, longitude: 151.17 });
    assert!((key[0].as_f64().unwrap() - to_area).abs() < 1e-6, "a cursor holds the area's distance: {key}");
}
