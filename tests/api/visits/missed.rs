//! A client's word that nobody came, and who settles it.

use super::*;

const REPORTED: i64 = 25;

/// The visit of [`Scene`], which its client says nobody came to.
async fn reported() -> Scene {
    let scene = Scene::new().await;
    scene.at(REPORTED);
    let missed = scene.takes(&scene.client, "no-show", "no_show").await;
    assert_eq!(missed["cancellation"], Value::Null);
    assert_eq!(
        missed["no_show_report"],
        json!({ "state": "pending", "reported_at": "2026-12-01T00:25:00Z", "answer_by": "2026-12-02T00:25:00Z" })
    );
    assert_eq!(scene.takes(&scene.client, "no-show", "no_show").await, missed, "again");
    assert_eq!(scene.marks().await, 0, "a bare report");
    scene
}

impl Scene {
    async fn marks(&self) -> i64 {
        let reliability = format!("/v1/admin/therapists/{}/reliability", self.therapist.id);
        self.admin.get(&reliability).await.is(200).body["no_shows"].as_i64().unwrap()
    }

    async fn contests(&self) -> Answer {
        let words = json!({ "reason": "I rang for half an hour." });
        self.therapist.post(&format!("{}/no-show/contest", self.path), words).await
    }

    async fn decides(&self, upheld: bool) -> Answer {
        let path = format!("{}/no-show-decision", self.path.replace("/v1/", "/v1/admin/"));
        self.admin.post(&path, json!({ "upheld": upheld, "reason": "Both were asked." })).await
    }

    async fn state(&self) -> Value {
        self.client.get(&self.path).await.is(200).body["no_show_report"]["state"].clone()
    }
}

#[tokio::test]
async fn staff_uphold_a_report() {
    let scene = reported().await;
    let upheld = scene.decides(true).await.is(200).body;
    ended(&upheld, "client", 0);
    assert_eq!(upheld["no_show_report"]["state"], "upheld");
    assert_eq!(scene.decides(true).await.is(200).body, upheld, "again");
    assert_eq!(scene.marks().await, 1);
    scene.decides(false).await.refused(409, "invalid_transition");
    scene.contests().await.refused(409, "invalid_transition");
    assert_eq!(tasks(&scene.admin, true).await, Vec::<String>::new());
    assert_eq!(told(&scene.client).await, ["no_show_upheld"]);
    assert_eq!(told(&scene.therapist).await, ["no_show_upheld", "no_show_reported", "visit_booked"]);
}

#[tokio::test]
async fn staff_reject_what_the_therapist_contests() {
    let scene = reported().await;
    scene.at(REPORTED + 24 * 60 - 1);
    let contested = scene.contests().await.is(200).body;
    assert_eq!(
        (&contested["no_show_report"]["state"], &contested["cancellation"]),
        (&json!("contested"), &Value::Null)
    );
    assert_eq!(scene.contests().await.is(200).body, contested, "again");
    assert_eq!(told(&scene.client).await, ["no_show_contested"]);
    // Silence is no answer any more.
    scene.at(REPORTED + 48 * 60);
    scene.app.run_jobs().await;
    assert_eq!(scene.state().await, "contested");
    assert_eq!(tasks(&scene.admin, true).await, ["therapist_no_show"]);
    let rejected = scene.decides(false).await.is(200).body;
    ended(&rejected, "client", PRICE);
    assert_eq!((scene.state().await, scene.marks().await), (json!("rejected"), 0));
    scene.decides(true).await.refused(409, "invalid_transition");
    assert_eq!(tasks(&scene.admin, true).await, Vec::<String>::new());
    // What the therapist and staff wrote is not for the client.
    let events = format!("{}/events", scene.path);
    let seen = scene.client.get(&events).await.is(200).text;
    assert!(!seen.contains("half an hour") && !seen.contains("asked"), "{seen}");
    let seen = scene.admin.get(&events).await.is(200).text;
    assert!(seen.contains("half an hour") && seen.contains("asked"), "{seen}");
}

#[tokio::test]
async fn a_day_of_silence_settles_the_cost_and_no_mark() {
    let scene = reported().await;
    scene.at(REPORTED + 24 * 60 - 1);
    scene.app.run_jobs().await;
    assert_eq!(scene.state().await, "pending");
    scene.at(REPORTED + 24 * 60);
    scene.contests().await.refused(409, "too_late");
    for _ in 0..2 {
        scene.app.run_jobs().await;
    }
    ended(&scene.client.get(&scene.path).await.is(200).body, "client", 0);
    assert_eq!((scene.state().await, scene.marks().await), (json!("upheld"), 0));
    assert_eq!(tasks(&scene.admin, true).await, ["therapist_no_show"], "a mark takes a person");
    scene.decides(true).await.is(200);
    assert_eq!(scene.marks().await, 1);
    assert_eq!(tasks(&scene.admin, true).await, Vec::<String>::new());

    // Staff may find otherwise, once.
    let scene = reported().await;
    scene.at(REPORTED + 24 * 60);
    scene.app.run_jobs().await;
    ended(&scene.decides(false).await.is(200).body, "client", PRICE);
}

#[tokio::test]
async fn a_report_is_settled_by_those_who_may() {
    let scene = reported().await;
    let decision = format!("{}/no-show-decision", scene.path.replace("/v1/", "/v1/admin/"));
    let body = json!({ "upheld": true, "reason": "Mine." });
    for wrong in [&scene.client, &scene.therapist] {
        wrong.post(&decision, body.clone()).await.refused(403, "forbidden");
    }
    scene.admin.post(&decision, json!({ "upheld": true })).await.points_to(&["/reason"]);
    scene
        .client
        .post(&format!("{}/no-show/contest", scene.path), json!({ "reason": "No." }))
        .await
        .refused(403, "forbidden");
    let stranger = scene.app.therapist().await;
    stranger
        .post(&format!("{}/no-show/contest", scene.path), json!({ "reason": "No." }))
        .await
        .refused(404, "not_found");

    // What the therapist reports is no report of the client's.
    let scene = Scene::new().await;
    scene.decides(true).await.refused(409, "invalid_transition");
    scene.until("arrive").await;
    scene.at(20);
    let missed = scene.takes(&scene.therapist, "no-show", "no_show").await;
    assert_eq!(missed["no_show_report"], Value::Null);
    scene.contests().await.refused(409, "invalid_transition");
    scene.decides(false).await.refused(409, "invalid_transition");
}

#[tokio::test]
async fn nobody_pays_for_a_report_on_a_therapist_who_may_not_practise() {
    let scene = Scene::new().await;
    scene.at(REPORTED);
    scene.app.sql("UPDATE bookings SET at_risk_since = '2026-11-30T00:00:00Z'").await.unwrap();
    scene.takes(&scene.client, "no-show", "no_show").await;
    ended(&scene.decides(false).await.is(200).body, "client", 0);
}
