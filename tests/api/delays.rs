//! A therapist who is late says so.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::{Answer, App, Person};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

async fn delay(therapist: &Person, path: &str, minutes: i64) -> Answer {
    therapist.post(&format!("{path}/delay"), json!({ "minutes": minutes })).await
}

async fn notices(app: &App, kind: &str) -> i64 {
    app.rows(&format!("notices WHERE kind = '{kind}'")).await
}

#[tokio::test]
async fn a_delay_is_told_to_the_client_and_shows_what_it_reaches() {
    let app = App::with_mail().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let path = client.books(&therapist, address, "2026-12-01T00:00:00Z").await.is(201).header("location");
    let next = client.books(&therapist, address, "2026-12-01T01:30:00Z").await.is(201).id();
    let later = client.books(&therapist, address, "2026-12-01T04:00:00Z").await.is(201).id();
    assert_eq!(client.get(&path).await.is(200).body["expected_at"], json!(null));
    delay(&therapist, &path, 20).await.refused(409, "too_early");
    app.advance(at("2026-11-30T22:00:00Z") - app.now());
    for minutes in [0, 4, 181, -5] {
        delay(&therapist, &path, minutes).await.points_to(&["/minutes"]);
    }
    let told = delay(&therapist, &path, 30).await.is(200).body;
    assert_eq!(told["expected_at"], "2026-12-01T00:30:00Z");
    // An hour on the table, ten minutes to pack up and ten to set up, and no way within one block.
    assert_eq!(told["hits"], json!([{ "booking_id": next, "start_at": "2026-12-01T01:30:00Z", "late_minutes": 20 }]));
    assert_eq!(delay(&therapist, &path, 30).await.is(200).body, told, "it is told once");
    assert_eq!(notices(&app, "visit_delayed").await, 1);
    let told = delay(&therapist, &path, 180).await.is(200).body["hits"].clone();
    let hits: Vec<&Value> = told.as_array().unwrap().iter().map(|hit| &hit["booking_id"]).collect();
    assert_eq!(hits, [&json!(next), &json!(later)], "one makes the next late: {told}");
    assert_eq!(delay(&therapist, &path, 10).await.is(200).body["hits"], json!([]));
    let seen = client.get(&path).await.is(200).body;
    assert_eq!(
        (&seen["expected_at"], &seen["start_at"]),
        (&json!("2026-12-01T00:10:00Z"), &json!("2026-12-01T00:00:00Z"))
    );
    app.chain_audit().await;
    app.send_messages().await;
    let mails = app.rows(&format!("deliveries WHERE message = 'visit_delayed' AND account_id = '{}'", client.id)).await;
    assert_eq!(mails, 3, "one for each delay");

    for minutes in (20..90).step_by(10) {
        delay(&therapist, &path, minutes).await.is(200);
    }
    delay(&therapist, &path, 90).await.refused(409, "too_many_delays");
    for (who, status) in [(&app.newcomer().await, 404), (&client, 403), (&app.admin().await, 403)] {
        assert_eq!(delay(who, &path, 20).await.status, status);
    }
    delay(&app.nobody(), &path, 20).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn whoever_is_on_the_way_is_expected_when_they_can_be_there() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let path = client.books(&therapist, address, "2026-12-01T00:00:00Z").await.is(201).header("location");
    let moved = client.books(&therapist, address, "2026-12-02T00:00:00Z").await.is(201).header("location");
    app.advance(at("2026-11-30T22:00:00Z") - app.now());
    assert_eq!(therapist.act(&format!("{path}/on-the-way")).await.is(200).body["expected_at"], "2026-12-01T00:00:00Z");
    app.advance(TimeDelta::hours(1));
    delay(&therapist, &path, 15).await.is(200);
    assert_eq!(client.get(&path).await.is(200).body["expected_at"], "2026-12-01T00:15:00Z");
    app.advance(TimeDelta::hours(1));
    therapist.act(&format!("{path}/arrive")).await.is(200);
    assert_eq!(client.get(&path).await.is(200).body["expected_at"], json!(null), "they are there");
    delay(&therapist, &path, 20).await.refused(409, "invalid_transition");

    // Whoever sets out late comes late, from home.
    app.advance(at("2026-12-02T00:05:00Z") - app.now());
    let expected = therapist.act(&format!("{moved}/on-the-way")).await.is(200).body["expected_at"].clone();
    let late = at(expected.as_str().unwrap()) - app.now();
    assert!(late >= TimeDelta::minutes(10) && late < TimeDelta::hours(1), "set-up at the least: {late}");
}

#[tokio::test]
async fn a_visit_that_is_moved_is_late_no_more() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let path = client.books(&therapist, address, "2026-12-01T00:00:00Z").await.is(201).header("location");
    app.advance(at("2026-11-30T22:00:00Z") - app.now());
    delay(&therapist, &path, 60).await.is(200);
    let offer = json!({ "start_at": "2026-12-01T05:00:00Z" });
    let offer = therapist.post(&format!("{path}/counter-offers"), offer).await.is(201).id();
    client.act(&format!("{path}/counter-offers/{offer}/accept")).await.is(200);
    let seen = client.get(&path).await.is(200).body;
    assert_eq!((&seen["expected_at"], &seen["start_at"]), (&json!(null), &json!("2026-12-01T05:00:00Z")));
}
