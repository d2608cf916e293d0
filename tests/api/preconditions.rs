//! What is asked of every step of a visit, in one order: who may know of it, whether the step exists, what the caller has read, and then
//! the step's own rules.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, App, Person, at, send};

const START: &str = "2026-12-01T00:00:00Z";

async fn stale(person: &Person, path: &str, body: &Value) -> Answer {
    let request = person.request(Method::POST, path).header("If-Match", "\"stale\"");
    send(if body.is_null() { request } else { request.json(body) }).await
}

/// A step: its name and body, whether its client takes it, from which status and to which, and from which it does not exist; how many minutes
/// after the start it is taken, and whether it would be too early a day before; and what its own rules say where a credential has expired.
struct Case {
    step: &'static str,
    body: Value,
    by_client: bool,
    from: &'static str,
    to: Option<&'static str>,
    not_from: &'static str,
    minutes: i64,
    has_time: bool,
    rule: Option<&'static str>,
}

fn cases() -> Vec<Case> {
    let case = |step, from, to, not_from, minutes| Case {
        step,
        body: Value::Null,
        by_client: false,
        from,
        to: Some(to),
        not_from,
        minutes,
        has_time: false,
        rule: None,
    };
    let move_to = |start: &str| json!({ "start_at": start });
    vec![
        Case { rule: Some("credential_not_valid"), ..case("accept", "requested", "confirmed", "completed", -23 * 60) },
        case("decline", "requested", "declined", "confirmed", -23 * 60),
        Case { by_client: true, to: None, ..case("cancel", "confirmed", "", "in_progress", -23 * 60) },
        Case {
            by_client: true,
            body: move_to("2026-12-02T00:00:00Z"),
            to: None,
            rule: Some("credential_not_valid"),
            ..case("reschedule", "confirmed", "", "arrived", -23 * 60)
        },
        Case {
            has_time: true,
            rule: Some("credential_not_valid"),
            ..case("on-the-way", "confirmed", "on_the_way", "requested", -40)
        },
        Case { has_time: true, ..case("arrive", "on_the_way", "arrived", "confirmed", -40) },
        Case {
            has_time: true,
            rule: Some("credential_not_valid"),
            ..case("start", "arrived", "in_progress", "confirmed", 0)
        },
        Case {
            body: json!({ "duration_minutes": 90, "client_agreed": true }),
            to: None,
            rule: Some("credential_not_valid"),
            ..case("extend", "in_progress", "", "confirmed", 5)
        },
        Case { has_time: true, ..case("no-show", "arrived", "no_show", "in_progress", 20) },
        case("stop", "in_progress", "stopped", "confirmed", 20),
        Case { has_time: true, ..case("complete", "in_progress", "completed", "confirmed", 20) },
    ]
}

#[tokio::test]
async fn every_step_asks_for_the_same_things_in_the_same_order() {
    let app = App::start().await;
    let (therapist, stranger) = (app.therapist().await, app.therapist().await);
    let ((client, address), other) = (app.client_at_home().await, app.client().await);
    let path = client.books(&therapist, address, START).await.is(201).header("location");
    app.sql("UPDATE credentials SET expires_on = '2026-11-30' WHERE type = 'INSURANCE'").await.unwrap();
    let is = async |status: &str| {
        app.sql(&format!("UPDATE bookings SET status = '{status}', respond_by = '2027-01-01T00:00:00Z'"))
            .await
            .unwrap();
    };
    let nowhere = format!("/v1/bookings/{}", Uuid::now_v7());
    for Case { step, body, by_client, from, not_from, has_time, .. } in &cases() {
        let (who, strange, wrong) =
            if *by_client { (&client, &other, None) } else { (&therapist, &stranger, Some(&client)) };
        let of = |path: &str| format!("{path}/{step}");
        is(from).await;
        stale(strange, &of(&path), body).await.refused(404, "not_found");
        stale(who, &of(&nowhere), body).await.refused(404, "not_found");
        // A client may report a no-show too, only not this one.
        if let Some(wrong) = wrong.filter(|_| *step != "no-show") {
            stale(wrong, &of(&path), body).await.refused(403, "forbidden");
        }
        if *has_time {
            stale(who, &of(&path), body).await.refused(409, "too_early");
        }
        is(not_from).await;
        stale(who, &of(&path), body).await.refused(409, "invalid_transition");
    }
    for Case { step, body, by_client, from, to, minutes, rule, .. } in &cases() {
        app.advance(at(START) + TimeDelta::minutes(*minutes) - app.now());
        let who = if *by_client { &client } else { &therapist };
        let (who, path) = (who, format!("{path}/{step}"));
        is(from).await;
        stale(who, &path, body).await.refused(412, "precondition_failed");
        if let Some(rule) = rule {
            who.post(&path, if body.is_null() { json!({}) } else { body.clone() }).await.refused(422, rule);
        }
        if let Some(to) = to {
            is(to).await;
            stale(who, &path, body).await.is(200);
        }
    }
    // What has what it asks for already was done before.
    is("confirmed").await;
    app.sql("UPDATE bookings SET start_at = start_at + interval '7 days'").await.unwrap();
    let again = json!({ "start_at": "2026-12-08T00:00:00Z" });
    stale(&client, &format!("{path}/reschedule"), &again).await.is(200);
    is("in_progress").await;
    let again = json!({ "duration_minutes": 60, "client_agreed": true });
    stale(&therapist, &format!("{path}/extend"), &again).await.is(200);
    assert_eq!(app.rows("booking_events").await, 1, "nothing was done");
    is("confirmed").await;
    client.act(&format!("{path}/cancel")).await.is(200);
    stale(&client, &format!("{path}/cancel"), &Value::Null).await.is(200);
}

#[tokio::test]
async fn a_step_that_asks_for_nothing_is_told_nothing() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    therapist.change("/v1/therapists/me", json!({ "booking_mode": "request" })).await.is(200);
    let (client, address) = app.client_at_home().await;
    let path = client.books(&therapist, address, START).await.is(201).header("location");
    for (step, minutes, status) in [
        ("accept", -60 * 22, "confirmed"),
        ("on-the-way", -40, "on_the_way"),
        ("arrive", -10, "arrived"),
        ("start", 0, "in_progress"),
    ] {
        app.advance(at(START) + TimeDelta::minutes(minutes) - app.now());
        let sent = async |kind: &str, body: &'static str| {
            let request = therapist.request(Method::POST, &format!("{path}/{step}"));
            send(request.header("content-type", kind).body(body)).await
        };
        let told = sent("application/json", "{\"reason\": \"Late\"}").await.points_to(&["/reason"]);
        assert_eq!(told.body["errors"][0]["code"], "unknown");
        sent("application/json", "7").await.points_to(&[""]);
        sent("application/json", "{").await.refused(400, "malformed");
        sent("text/plain", "now").await.refused(415, "unsupported_media_type");
        assert_ne!(client.get(&path).await.body["status"], status);
        // Nothing said, in any way: the first of them takes the step, the others repeat it.
        for (kind, nothing) in [("application/json", ""), ("application/json", " {} "), ("text/plain", "")] {
            assert_eq!(sent(kind, nothing).await.is(200).body["status"], status, "{step}");
        }
        therapist.act(&format!("{path}/{step}")).await.is(200);
    }
}

#[tokio::test]
async fn every_line_and_every_byte_of_a_precondition_counts() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let path = client.books(&therapist, address, START).await.is(201).header("location");
    let tag = client.get(&path).await.header("etag");
    let odd = reqwest::header::HeaderValue::from_bytes(b"\"caf\xe9\"").unwrap();
    let cancel = || client.request(Method::POST, &format!("{path}/cancel"));
    send(cancel().header("If-Match", odd.clone())).await.refused(412, "precondition_failed");
    send(cancel().header("If-Match", "\"a\"").header("If-Match", "\"b\"")).await.refused(412, "precondition_failed");
    send(cancel().header("If-Match", odd.clone()).header("If-Match", tag)).await.is(200);
    // Where it is needed, it is there, and wrong.
    let profile = therapist.request(Method::PATCH, "/v1/therapists/me").header("If-Match", odd);
    send(profile.json(&json!({ "bio": "Hello." }))).await.refused(412, "precondition_failed");
}
