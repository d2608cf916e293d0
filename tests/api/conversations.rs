//! What client and therapist of a visit write to each other.

use chrono::TimeDelta;
use serde_json::json;
use uuid::Uuid;

use crate::reviews::{Scene, booked};
use crate::support::{Answer, Person};

async fn write(scene: &Scene, who: &Person, text: &str) -> Answer {
    who.post(&format!("{}/messages", scene.path), json!({ "text": text })).await
}

async fn read(scene: &Scene, who: &Person) -> Vec<(String, String)> {
    let page = who.get(&format!("{}/messages", scene.path)).await.is(200).body;
    let messages = page["data"].as_array().unwrap().iter();
    messages.map(|m| (m["by"].as_str().unwrap().to_owned(), m["text"].as_str().unwrap().to_owned())).collect()
}

fn said(messages: &[(&str, &str)]) -> Vec<(String, String)> {
    messages.iter().map(|(by, text)| ((*by).to_owned(), (*text).to_owned())).collect()
}

#[tokio::test]
async fn parties_write_to_each_other_from_confirmation_until_a_day_after_the_end() {
    let scene = booked().await;
    for status in ["declined", "expired"] {
        scene.are(status).await;
        write(&scene, &scene.client, "Hello").await.refused(409, "conversation_closed");
    }
    scene.are("confirmed").await;
    let sent = write(&scene, &scene.client, "The bell is broken: knock.").await.is(201);
    assert!(sent.body.get("text").is_none(), "what is kept for a repetition has no words: {}", sent.text);
    assert_eq!(sent.header("location"), format!("{}/messages", scene.path));
    scene.are("on_the_way").await;
    scene.app.advance(TimeDelta::seconds(1));
    write(&scene, &scene.therapist, "I will.").await.is(201);
    let both = said(&[("client", "The bell is broken: knock."), ("therapist", "I will.")]);
    for who in [&scene.client, &scene.therapist] {
        assert_eq!(read(&scene, who).await, both);
        let notices = who.get("/v1/me/notices?limit=1").await.is(200);
        assert_eq!(notices.body["data"][0]["kind"], "message_received");
        assert!(!notices.text.contains("broken") && !notices.text.contains("I will"), "{}", notices.text);
    }
    for text in ["", " ", &"x".repeat(1001)] {
        write(&scene, &scene.client, text).await.points_to(&["/text"]);
    }
    scene.are("completed").await;
    // The visit lasts an hour from midnight on.
    scene.app.advance("2026-12-02T00:59:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap() - scene.app.now());
    write(&scene, &scene.client, "Did I leave my watch?").await.is(201);
    scene.app.advance(TimeDelta::minutes(1));
    write(&scene, &scene.therapist, "You did.").await.refused(409, "conversation_closed");
    assert_eq!(read(&scene, &scene.therapist).await.len(), 3, "it can still be read");
}

#[tokio::test]
async fn nobody_else_reads_a_conversation_and_staff_only_while_an_incident_is_open() {
    let scene = booked().await;
    write(&scene, &scene.client, "The bell is broken: knock.").await.is(201);
    let path = format!("{}/messages", scene.path);
    let (stranger, other, admin) = (scene.app.client().await, scene.app.newcomer().await, scene.app.admin().await);
    for who in [&stranger, &other] {
        who.get(&path).await.refused(404, "not_found");
        write(&scene, who, "Hello").await.refused(404, "not_found");
    }
    scene.app.nobody().get(&path).await.refused(401, "unauthorized");
    write(&scene, &admin, "Hello").await.refused(403, "forbidden");
    admin.get(&path).await.refused(409, "no_incident");
    let reads = "events WHERE kind = 'booking.messages_read'";
    assert_eq!(scene.app.rows(reads).await, 0);
    let report = json!({ "kind": "conduct", "text": "They shouted." });
    let incident = scene.therapist.post(&format!("{}/incidents", scene.path), report).await.is(201).id();
    assert_eq!(read(&scene, &admin).await, said(&[("client", "The bell is broken: knock.")]));
    assert_eq!(scene.app.rows(reads).await, 1, "each look is written down");
    let note = json!({ "note": "Spoke to both." });
    admin.post(&format!("/v1/admin/incidents/{incident}/resolve"), note).await.is(200);
    admin.get(&path).await.refused(409, "no_incident");
}

#[tokio::test]
async fn whoever_takes_a_visit_over_does_not_read_what_was_written_before() {
    let scene = booked().await;
    write(&scene, &scene.client, "As the last time, please.").await.is(201);
    let (other, admin) = (scene.app.therapist().await, scene.app.admin().await);
    let body = json!({ "therapist_id": other.id });
    admin.post(&format!("{}/reassign", scene.path).replace("/v1/", "/v1/admin/"), body).await.is(200);
    assert_eq!(read(&scene, &other).await, said(&[]));
    write(&scene, &other, "I come instead.").await.is(201);
    assert_eq!(read(&scene, &other).await.len(), 1);
    assert_eq!(read(&scene, &scene.client).await.len(), 2);
    scene.therapist.get(&format!("{}/messages", scene.path)).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_party_writes_at_most_a_hundred_messages_also_at_once() {
    let scene = booked().await;
    for n in 0..90 {
        write(&scene, &scene.client, &format!("{n}")).await.is(201);
    }
    let answers = futures_util::future::join_all((0..20).map(|_| write(&scene, &scene.client, "At once"))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 10);
    for refused in answers.into_iter().filter(|answer| answer.status != 201) {
        refused.refused(409, "too_many_messages");
    }
    write(&scene, &scene.therapist, "Stop, please.").await.is(201);
}

#[tokio::test]
async fn messages_end_after_ninety_days_unless_staff_look_into_the_visit() {
    let scene = booked().await;
    write(&scene, &scene.client, "The bell is broken: knock.").await.is(201);
    let other = scene.app.therapist().await;
    let start = "2026-12-03T00:00:00Z";
    let quiet = scene.client.books(&other, home(&scene).await, start).await.is(201).header("location");
    scene.client.post(&format!("{quiet}/messages"), json!({ "text": "Hello" })).await.is(201);
    let report = json!({ "kind": "conduct", "text": "They shouted." });
    let incident = scene.client.post(&format!("{}/incidents", scene.path), report).await.is(201).id();
    for (days, kept) in [(89, 2), (2, 1)] {
        scene.app.advance(TimeDelta::days(days));
        crate::retention::sweep(&scene.app).await;
        assert_eq!(scene.app.rows("booking_messages").await, kept, "an incident of the first visit is open");
    }
    let note = json!({ "note": "Spoke to both." });
    let admin = scene.app.admin().await;
    admin.post(&format!("/v1/admin/incidents/{incident}/resolve"), note).await.is(200);
    crate::retention::sweep(&scene.app).await;
    assert_eq!(scene.app.rows("booking_messages").await, 0);
}

/// The client's address.
async fn home(scene: &Scene) -> Uuid {
    scene.client.get("/v1/me/addresses").await.is(200).body["data"][0]["id"].as_str().unwrap().parse().unwrap()
}
