//! What strangers learn of other people's visits: free or not, and nothing else.

mod solver;

use serde_json::{Value, json};

use crate::support::{App, DEEP_TISSUE, Dice, Person, surry_hills};

const TUESDAY: &str = "2026-12-01T02:00:00Z";

/// Everything that a stranger and a client are told of one therapist, asked from `places` all over town: slots, checks of starts and quotes.
/// What names people or requests is left out.
async fn told(app: &App, therapist: &Person, places: &[(f64, f64)]) -> Vec<Value> {
    let (client, nobody) = (app.client().await, app.nobody());
    let mut answers = Vec::new();
    for (latitude, longitude) in places {
        let place = format!("latitude={latitude}&longitude={longitude}&country=AU&region=NSW");
        let slots = format!(
            "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from=2026-12-01&to=2026-12-01&{place}&therapist_id={}",
            therapist.id
        );
        let visit = json!({ "therapist_id": therapist.id, "service_id": DEEP_TISSUE, "duration_minutes": 60, "latitude": latitude,
            "longitude": longitude, "country": "AU", "region": "NSW" });
        let with = |field: &str, value: Value| {
            let mut visit = visit.clone();
            visit[field] = value;
            visit
        };
        for who in [&nobody, &client] {
            answers.push(who.get(&slots).await.is(200).body);
            let starts = ["2026-12-01T00:30:00Z", "2026-12-01T01:30:00Z", TUESDAY, "2026-12-01T03:30:00Z"];
            answers.push(who.post("/v1/slots/check", with("starts", json!(starts))).await.is(200).body);
            answers.push(who.post("/v1/quotes", with("start_at", json!("2026-12-01T04:30:00Z"))).await.is(200).body);
        }
    }
    let known = [therapist.id.to_string()];
    let text = serde_json::to_string(&answers).unwrap().replace(&known[0], "the therapist");
    serde_json::from_str(&text).unwrap()
}

/// What is left of an answer when it is only told whether starts are free.
fn free_or_not(answer: &mut Value) {
    match answer {
        Value::Object(fields) => {
            if fields.contains_key("slots") {
                fields.insert("slots".to_owned(), json!([]));
            }
            if fields.contains_key("bookable") {
                fields.insert("bookable".to_owned(), json!(null));
                fields.insert("refusals".to_owned(), json!([]));
            }
            fields.values_mut().for_each(free_or_not);
        }
        Value::Array(values) => values.iter_mut().for_each(free_or_not),
        _ => {}
    }
}

#[tokio::test]
async fn where_a_strangers_visit_is_shows_in_nothing_but_whether_starts_are_free() {
    let mut dice = Dice(4);
    let places: Vec<(f64, f64)> = (0..6)
        .map(|_| (-33.93 + dice.roll(900) as f64 / 10_000.0, 151.15 + dice.roll(900) as f64 / 10_000.0))
        .collect();
    let mut worlds = Vec::new();
    // The same visit in Surry Hills, and by the sea.
    for (latitude, longitude) in [(-33.8886, 151.2111), (-33.8915, 151.2767)] {
        let app = App::start().await;
        let therapist = app.therapist().await;
        let client = app.client().await;
        let mut place = surry_hills();
        (place["latitude"], place["longitude"]) = (json!(latitude), json!(longitude));
        let address = client.address(place).await;
        client.books(&therapist, address, TUESDAY).await.is(201);
        worlds.push(told(&app, &therapist, &places).await);
    }
    let [mut here, mut there] = <[_; 2]>::try_from(worlds).unwrap();
    assert_ne!(here, there, "what is free goes by the way there");
    for answer in here.iter().chain(&there) {
        let text = answer.to_string();
        assert!(!text.contains("travel") && !text.contains("taken"), "{text}");
        for code in
            answer["data"].as_array().into_iter().flatten().flat_map(|start| start["refusals"].as_array()).flatten()
        {
            assert_eq!(code, "slot_unavailable", "one code for whatever else the therapist does");
        }
    }
    here.iter_mut().chain(&mut there).for_each(free_or_not);
    assert_eq!(here, there, "and nothing else does");
}

#[tokio::test]
async fn a_therapist_who_cannot_be_booked_is_shown_to_nobody_but_themself_and_staff() {
    let app = App::start().await;
    let (therapist, admin, client) = (app.therapist().await, app.admin().await, app.client().await);
    let pages = ["credentials", "reviews"].map(|page| format!("/v1/therapists/{}/{page}", therapist.id));
    let quote = json!({ "therapist_id": therapist.id, "service_id": DEEP_TISSUE, "duration_minutes": 60, "latitude": -33.8886,
        "longitude": 151.2111, "country": "AU", "region": "NSW", "start_at": TUESDAY });
    for page in &pages {
        app.nobody().get(page).await.is(200);
    }
    app.nobody().post("/v1/quotes", quote.clone()).await.is(200);
    therapist.change("/v1/therapists/me", json!({ "accepting_bookings": false })).await.is(200);
    for page in &pages {
        for stranger in [&app.nobody(), &client, &app.therapist().await] {
            stranger.get(page).await.refused(404, "not_found");
        }
        for insider in [&therapist, &admin] {
            insider.get(page).await.is(200);
        }
    }
    client.post("/v1/quotes", quote).await.points_to(&["/therapist_id"]);
}
