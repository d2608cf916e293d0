//! Session notes.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::json;

use crate::reviews::{Scene, booked};
use crate::sealing::tables_with;
use crate::support::{Answer, Person, send};

async fn notes(scene: &Scene, who: &Person, tag: Option<&str>, text: &str) -> Answer {
    let request = who.request(Method::PUT, &format!("{}/session-notes", scene.path)).json(&json!({ "text": text }));
    send(match tag {
        Some(tag) => request.header("If-Match", tag),
        None => request,
    })
    .await
}

#[tokio::test]
async fn session_notes_are_for_their_author_and_the_client() {
    let scene = booked().await;
    let path = format!("{}/session-notes", scene.path);
    for status in ["confirmed", "on_the_way", "arrived", "no_show", "declined"] {
        scene.are(status).await;
        notes(&scene, &scene.therapist, None, "Early").await.refused(409, "session_notes_closed");
    }
    scene.are("in_progress").await;
    scene.client.get(&path).await.refused(404, "not_found");
    for known in ["\"some\"", "*"] {
        notes(&scene, &scene.therapist, Some(known), "Early").await.refused(412, "precondition_failed");
    }
    let first = notes(&scene, &scene.therapist, None, "Trapezius tight").await.is(200);
    assert_eq!((&first.body["version"], &first.body["text"]), (&json!(1), &json!("Trapezius tight")));
    let tag = first.header("etag");
    notes(&scene, &scene.therapist, None, "Lumbago").await.refused(428, "precondition_required");
    scene.are("completed").await;
    let second = notes(&scene, &scene.therapist, Some(&tag), "Lumbago").await.is(200);
    assert_eq!(second.body["version"], 2);
    notes(&scene, &scene.therapist, Some(&tag), "Stale").await.refused(412, "precondition_failed");
    notes(&scene, &scene.therapist, Some("*"), "").await.points_to(&["/text"]);
    notes(&scene, &scene.therapist, Some("*"), &"x".repeat(4001)).await.points_to(&["/text"]);

    let reads = "events WHERE kind = 'session_notes.read'";
    assert_eq!(scene.therapist.get(&path).await.is(200).body, second.body);
    assert_eq!(scene.app.rows(reads).await, 0, "an author reads freely");
    for read in 1..=2 {
        assert_eq!(scene.client.get(&path).await.is(200).body, second.body);
        assert_eq!(scene.app.rows(reads).await, read);
    }
    let (stranger, other, admin) = (scene.app.client().await, scene.app.newcomer().await, scene.app.admin().await);
    for who in [&stranger, &other] {
        who.get(&path).await.refused(404, "not_found");
    }
    notes(&scene, &other, Some("*"), "Mine").await.refused(404, "not_found");
    for who in [&scene.client, &admin] {
        notes(&scene, who, Some("*"), "Mine").await.refused(403, "forbidden");
    }
    admin.get(&path).await.refused(403, "forbidden");
    app_keeps_versions(&scene).await;

    // The visit ends on Tuesday at one; now is Monday at one.
    scene.app.advance(TimeDelta::hours(24 + 72) - TimeDelta::seconds(1));
    let third = notes(&scene, &scene.therapist, Some(&second.header("etag")), "Lumbago, eased").await.is(200);
    scene.app.advance(TimeDelta::seconds(1));
    notes(&scene, &scene.therapist, Some(&third.header("etag")), "Too late").await.refused(409, "session_notes_closed");
    assert_eq!(scene.client.get(&path).await.is(200).body["text"], "Lumbago, eased");
    assert_eq!(scene.app.rows(reads).await, 3);
}

#[tokio::test]
async fn a_visit_that_was_stopped_before_it_began_has_no_session_notes() {
    for (begins, status) in [(false, 409), (true, 200)] {
        let scene = booked().await;
        scene.app.advance(TimeDelta::hours(23));
        let step =
            async |scene: &Scene, step: &str| scene.therapist.act(&format!("{}/{step}", scene.path)).await.is(200);
        step(&scene, "on-the-way").await;
        step(&scene, "arrive").await;
        if begins {
            step(&scene, "start").await;
        }
        step(&scene, "stop").await;
        let answer = notes(&scene, &scene.therapist, None, "Treated").await.is(status);
        assert!(begins || answer.body["code"] == "session_notes_closed", "{}", answer.text);
    }
}

async fn app_keeps_versions(scene: &Scene) {
    assert_eq!(scene.app.rows("session_notes").await, 2);
    for secret in ["Trapezius", "Lumbago"] {
        assert_eq!(tables_with(&scene.app, secret).await, Vec::<String>::new());
    }
    for statement in [
        "UPDATE session_notes SET version = 9 WHERE version = 1",
        "UPDATE session_notes SET text_sealed = 'x', written_at = written_at + interval '1 hour'",
        "DELETE FROM session_notes",
        "TRUNCATE session_notes",
    ] {
        assert!(scene.app.sql(statement).await.is_err(), "{statement}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_changes_at_once_one_is_kept_and_the_others_are_told() {
    let scene = booked().await;
    scene.are("completed").await;
    let tag = notes(&scene, &scene.therapist, None, "First").await.is(200).header("etag");
    let all = (0..10).map(|i| {
        let (scene, tag) = (&scene, &tag);
        async move { notes(scene, &scene.therapist, Some(tag), &format!("Version {i}")).await.status.as_u16() }
    });
    let mut answers = futures_util::future::join_all(all).await;
    answers.sort_unstable();
    assert_eq!(answers, [vec![200], vec![412; 9]].concat());
    assert_eq!(scene.app.rows("session_notes").await, 2);
}
