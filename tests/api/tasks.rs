//! What admins should look at.

use chrono::TimeDelta;
use knead::events::Event;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::App;

const TASKS: &str = "/v1/admin/tasks";

/// Announces something of which the task `kind` comes.
async fn raised(app: &App, kind: &'static str, subject_type: &'static str, subject: Uuid) {
    let of = match kind {
        "visit_in_progress_unlicensed" => "booking.unlicensed_in_progress",
        "status_unknown" => "credential.status_unknown",
        other => panic!("{other} comes of nothing here"),
    };
    let mut work = app.service.begin(None).await.unwrap();
    let event = Event::new(of, subject_type, subject).with(json!({ "status": "Limbo" }));
    work.announce(event).await.unwrap();
    work.commit().await.unwrap();
}

fn kinds(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|task| task["kind"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn tasks_wait_oldest_first_until_they_are_resolved() {
    let app = App::start().await;
    let admin = app.admin().await;
    let (credential, booking) = (Uuid::now_v7(), Uuid::now_v7());
    raised(&app, "status_unknown", "credential", credential).await;
    app.advance(TimeDelta::minutes(1));
    raised(&app, "visit_in_progress_unlicensed", "booking", booking).await;
    app.advance(TimeDelta::minutes(1));
    raised(&app, "status_unknown", "credential", booking).await;
    // Again, for the same: nothing new.
    raised(&app, "status_unknown", "credential", credential).await;

    let all = admin.get(TASKS).await.is(200).body;
    assert_eq!(kinds(&all), ["status_unknown", "visit_in_progress_unlicensed", "status_unknown"]);
    assert_eq!(all["counts"], json!({ "status_unknown": 2, "visit_in_progress_unlicensed": 1 }));
    assert_eq!(all["data"][0]["subject_id"], json!(credential));
    assert_eq!(all["data"][0]["details"], json!({ "status": "Limbo" }));

    for (filter, count) in [
        ("kind=visit_in_progress_unlicensed", 1),
        ("subject_type=credential", 2),
        (&format!("subject_id={booking}"), 2),
        (&format!("subject_id={booking}&subject_type=booking"), 1),
        ("kind=visit_overdue", 0),
        ("open=false", 0),
        ("open=true", 3),
    ] {
        let page = admin.get(&format!("{TASKS}?{filter}")).await.is(200).body;
        assert_eq!(page["data"].as_array().unwrap().len(), count, "{filter}");
    }
    let filtered = admin.get(&format!("{TASKS}?kind=visit_overdue&subject_type=credential")).await.is(200).body;
    assert_eq!(filtered["counts"], json!({ "status_unknown": 2 }), "the filter by kind aside");

    let mut seen = Vec::new();
    let mut next = format!("{TASKS}?limit=1");
    loop {
        let page = admin.get(&next).await.is(200).body;
        seen.extend(page["data"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = format!("{TASKS}?limit=1&cursor={cursor}");
    }
    assert_eq!(&seen, all["data"].as_array().unwrap());

    let first = format!("{TASKS}/{}", all["data"][0]["id"].as_str().unwrap());
    assert_eq!(admin.get(&first).await.is(200).body, all["data"][0]);
    app.advance(TimeDelta::minutes(1));
    let resolved = admin.post(&format!("{first}/resolve"), json!({ "note": "A new word for active." })).await.is(200);
    assert_eq!(
        (&resolved.body["resolved_by"], &resolved.body["note"]),
        (&json!(admin.id), &json!("A new word for active."))
    );
    assert_eq!(resolved.body["resolved_at"], json!(app.now()));
    assert_eq!(admin.get(TASKS).await.is(200).body["counts"]["status_unknown"], 1);
    assert_eq!(admin.get(&format!("{TASKS}?open=false")).await.is(200).body["data"], json!([resolved.body]));

    // Again, by another, with other words: it stays as it is, and nothing is recorded.
    let other = app.admin().await;
    app.advance(TimeDelta::minutes(1));
    let again = other.post(&format!("{first}/resolve"), json!({ "note": "Me too." })).await.is(200);
    assert_eq!(again.body, resolved.body);
    assert_eq!(other.act(&format!("{first}/resolve")).await.is(200).body, resolved.body);
    let audit = admin.get("/v1/admin/audit?subject_type=task").await.is(200).body;
    assert_eq!(audit["data"].as_array().unwrap().len(), 1);
    let entry = &audit["data"][0];
    assert_eq!((&entry["action"], &entry["actor_id"]), (&json!("task.resolve"), &json!(admin.id)));
    assert_eq!(
        entry["details"],
        json!({ "kind": "status_unknown", "subject_type": "credential", "subject_id": credential })
    );
    assert!(!audit.to_string().contains("new word"), "what people write is not copied");

    // Once it is resolved, the same may be raised anew.
    raised(&app, "status_unknown", "credential", credential).await;
    assert_eq!(admin.get(TASKS).await.is(200).body["counts"]["status_unknown"], 2);
}

#[tokio::test]
async fn tasks_are_for_admins_and_refuse_bad_input() {
    let app = App::start().await;
    let admin = app.admin().await;
    raised(&app, "status_unknown", "credential", Uuid::now_v7()).await;
    let id = admin.get(TASKS).await.body["data"][0]["id"].as_str().unwrap().to_owned();
    let task = format!("{TASKS}/{id}");
    for other in [app.client().await, app.newcomer().await] {
        other.get(TASKS).await.refused(403, "forbidden");
        other.get(&task).await.refused(403, "forbidden");
        other.act(&format!("{task}/resolve")).await.refused(403, "forbidden");
    }
    app.nobody().get(&task).await.refused(401, "unauthorized");
    for missing in [Uuid::now_v7().to_string(), "x".to_owned()] {
        admin.get(&format!("{TASKS}/{missing}")).await.refused(404, "not_found");
        admin.act(&format!("{TASKS}/{missing}/resolve")).await.refused(404, "not_found");
    }
    for (filter, pointer) in [
        ("open=maybe", "/open"),
        ("kind=", "/kind"),
        ("subject_id=x", "/subject_id"),
        ("cursor=x", "/cursor"),
        ("of=x", "/of"),
    ] {
        admin.get(&format!("{TASKS}?{filter}")).await.points_to(&[pointer]);
    }
    admin.post(&format!("{task}/resolve"), json!({ "note": "" })).await.points_to(&["/note"]);
    admin.post(&format!("{task}/resolve"), json!({ "note": "a\u{0}b" })).await.points_to(&["/note"]);
    admin.post(&format!("{task}/resolve"), json!({ "notes": "x" })).await.points_to(&["/notes"]);
    assert_eq!(admin.get(&task).await.body["resolved_at"], Value::Null);
    assert_eq!(admin.act(&format!("{task}/resolve")).await.is(200).body["note"], Value::Null, "without a word");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_admins_resolve_one_task_once() {
    let app = App::start().await;
    let (one, two) = (app.admin().await, app.admin().await);
    raised(&app, "status_unknown", "credential", Uuid::now_v7()).await;
    let id = one.get(TASKS).await.body["data"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("{TASKS}/{id}/resolve");
    let (a, b) = tokio::join!(one.act(&path), two.act(&path));
    assert_eq!(a.is(200).body, b.is(200).body);
    assert_eq!(app.rows("events WHERE kind = 'task.resolve'").await, 1);
}
