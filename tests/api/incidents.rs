//! What went wrong at a visit, and who learns of it.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{App, Person, send};

const ALL: &str = "/v1/admin/incidents";

/// A visit, its client, its therapist and an admin.
async fn visit(app: &App) -> (Person, Person, Person, String) {
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    let path = client.books(&therapist, address, "2026-12-01T00:00:00Z").await.is(201).header("location");
    (client, therapist, admin, path)
}

fn ids(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|incident| incident["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_incident_is_between_its_reporter_and_staff() {
    let app = App::start().await;
    let (client, therapist, admin, path) = visit(&app).await;
    let incidents = format!("{path}/incidents");
    let report = json!({ "kind": "injury", "text": "My shoulder hurts since." });
    let reported = client.post(&incidents, report).await.is(201);
    assert_eq!(reported.header("location"), incidents);
    assert!(!reported.text.contains("shoulder"), "answers are kept under their keys");
    let own = client.get(&incidents).await.is(200).body;
    assert_eq!(own["data"][0]["text"], "My shoulder hurts since.");
    assert_eq!(ids(&own), [reported.id().to_string()]);

    let own = therapist.get(&incidents).await.is(200).body;
    assert_eq!(own["data"], json!([]), "the other party never learns of it");
    for place in [path.clone(), format!("{path}/events"), "/v1/me/notices".to_owned()] {
        assert!(!therapist.get(&place).await.is(200).text.contains("incident"), "{place}");
    }
    for stranger in [app.client().await, app.therapist().await] {
        stranger.get(&incidents).await.refused(404, "not_found");
        stranger.post(&incidents, json!({ "kind": "other" })).await.refused(404, "not_found");
    }
    admin.post(&incidents, json!({ "kind": "other" })).await.refused(403, "forbidden");
    client.get(ALL).await.refused(403, "forbidden");

    let id = reported.id();
    let read = "events WHERE kind = 'incident.read'";
    let list = admin.get(ALL).await.is(200);
    assert!(!list.text.contains("shoulder"));
    assert_eq!(app.rows(read).await, 0);
    let one = admin.get(&format!("{ALL}/{id}")).await.is(200).body;
    assert_eq!(
        (&one["text"], &one["party"], &one["reporter_id"], &one["therapist_id"]),
        (&json!("My shoulder hurts since."), &json!("client"), &json!(client.id), &json!(therapist.id))
    );
    assert_eq!(ids(&admin.get(&incidents).await.is(200).body), [id.to_string()]);
    assert_eq!(app.rows(read).await, 2, "each look is written down");
    assert_eq!(app.rows("events WHERE kind = 'incident.report'").await, 1);
    assert_eq!(app.rows("events WHERE details::text LIKE '%shoulder%'").await, 0);
}

#[tokio::test]
async fn staff_resolve_an_incident_with_its_task() {
    let app = App::start().await;
    let (client, therapist, admin, path) = visit(&app).await;
    let reported = therapist.post(&format!("{path}/incidents"), json!({ "kind": "safety" })).await.is(201);
    let one = format!("{ALL}/{}", reported.id());
    let task = admin.get("/v1/admin/tasks").await.is(200).body["data"][0].clone();
    assert_eq!((&task["kind"], &task["subject_type"]), (&json!("incident_reported"), &json!("booking")));

    let resolve = format!("{one}/resolve");
    admin.post(&resolve, json!({})).await.points_to(&["/note"]);
    admin.post(&resolve, json!({ "note": "  " })).await.points_to(&["/note"]);
    therapist.post(&resolve, json!({ "note": "Fine." })).await.refused(403, "forbidden");
    admin.post(&format!("{ALL}/{}/resolve", client.id), json!({ "note": "Fine." })).await.refused(404, "not_found");
    app.advance(TimeDelta::minutes(1));
    let resolved = admin.post(&resolve, json!({ "note": "Spoke to both." })).await.is(200).body;
    assert_eq!((&resolved["note"], &resolved["resolved_by"]), (&json!("Spoke to both."), &json!(admin.id)));
    let again = admin.post(&resolve, json!({ "note": "Another." })).await.is(200).body;
    assert_eq!(again, resolved, "one that is resolved stays as it is");
    assert_eq!(admin.get("/v1/admin/tasks").await.is(200).body["data"], json!([]));
    let own = therapist.get(&format!("{path}/incidents")).await.is(200);
    assert!(own.body["data"][0]["resolved_at"].is_string());
    assert!(!own.text.contains("Spoke"), "the note is for staff");
}

#[tokio::test]
async fn incidents_are_listed_by_age_and_filtered() {
    let app = App::start().await;
    let (client, therapist, admin, path) = visit(&app).await;
    let incidents = format!("{path}/incidents");
    let mut all = Vec::new();
    for (who, kind) in [(&client, "conduct"), (&therapist, "property"), (&client, "other"), (&client, "conduct")] {
        all.push(who.post(&incidents, json!({ "kind": kind })).await.is(201).id().to_string());
        app.advance(TimeDelta::seconds(1));
    }
    admin.post(&format!("{ALL}/{}/resolve", all[2]), json!({ "note": "Nothing." })).await.is(200);
    let booking = path.rsplit('/').next().unwrap();
    for (filter, expected) in [
        ("", vec![0, 1, 2, 3]),
        ("kind=conduct", vec![0, 3]),
        ("open=true", vec![0, 1, 3]),
        ("open=false", vec![2]),
        (&format!("booking_id={booking}"), vec![0, 1, 2, 3]),
        (&format!("booking_id={}", client.id), vec![]),
        (&format!("therapist_id={}&kind=property", therapist.id), vec![1]),
        (&format!("client_id={}", therapist.id), vec![]),
    ] {
        let page = admin.get(&format!("{ALL}?{filter}")).await.is(200).body;
        assert_eq!(ids(&page), expected.iter().map(|i| all[*i].as_str()).collect::<Vec<_>>(), "{filter}");
    }
    let (mut seen, mut next) = (Vec::new(), format!("{ALL}?limit=1"));
    loop {
        let page = admin.get(&next).await.is(200).body;
        seen.extend(ids(&page).iter().map(|id| (*id).to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = format!("{ALL}?limit=1&cursor={cursor}");
    }
    assert_eq!(seen, all);
    admin.get(&format!("{ALL}?kind=gossip")).await.points_to(&["/kind"]);
    admin.get(&format!("{ALL}?open=perhaps")).await.points_to(&["/open"]);
    admin.get(&format!("{ALL}?cursor=x")).await.points_to(&["/cursor"]);
    for (body, pointer) in [
        (json!({}), "/kind"),
        (json!({ "kind": "gossip" }), "/kind"),
        (json!({ "kind": "other", "text": "" }), "/text"),
        (json!({ "kind": "other", "text": "a".repeat(4001) }), "/text"),
        (json!({ "kind": "other", "about": "x" }), "/about"),
    ] {
        client.post(&incidents, body).await.points_to(&[pointer]);
    }
}

#[tokio::test]
async fn a_report_that_is_sent_again_is_one_report() {
    let app = App::start().await;
    let (client, _, _, path) = visit(&app).await;
    let post =
        |path: &str, body: Value| send(client.request(Method::POST, path).header("Idempotency-Key", "a").json(&body));
    let incidents = format!("{path}/incidents");
    let body = json!({ "kind": "injury", "text": "My shoulder." });
    let first = post(&incidents, body.clone()).await.is(201);
    let second = post(&incidents, body).await.is(201);
    assert_eq!((second.header("idempotent-replay").as_str(), &second.text), ("true", &first.text));
    post(&incidents, json!({ "kind": "other" })).await.refused(422, "idempotency_key_reused");
    assert_eq!(app.rows("incidents").await, 1);
}
