//! What a visit costs in the end, where staff lower it.

use super::*;
use crate::prices::aud;

impl Scene {
    fn lowering(&self) -> String {
        format!("{}/lower-charge", self.path.replace("/v1/", "/v1/admin/"))
    }

    async fn lowers(&self, amount: i64) -> Answer {
        self.admin.post(&self.lowering(), json!({ "charge": aud(amount), "reason": "She was ill." })).await
    }

    async fn charge(&self, person: &Person) -> Value {
        person.get(&self.path).await.is(200).body["charge"].clone()
    }
}

/// The visit of [`Scene`], which its therapist completes ten minutes after it began.
async fn ended_early() -> Scene {
    let scene = Scene::new().await;
    scene.until("start").await;
    scene.at(10);
    scene.takes(&scene.therapist, "complete", "completed").await;
    scene
}

#[tokio::test]
async fn staff_lower_what_a_visit_costs_that_ended_early() {
    let scene = ended_early().await;
    assert_eq!(
        (scene.charge(&scene.client).await, tasks(&scene.admin, true).await),
        (aud(PRICE), vec!["visit_ended_early".to_owned()])
    );
    let lowered = scene.lowers(2_150).await.is(200).body;
    assert_eq!(
        (&lowered["charge"], &lowered["price"], &lowered["status"]),
        (&aud(2_150), &aud(PRICE), &json!("completed"))
    );
    assert_eq!(lowered["cancellation"], Value::Null);
    assert_eq!(scene.lowers(2_150).await.is(200).body, lowered, "again");
    for person in [&scene.client, &scene.therapist] {
        assert_eq!(scene.charge(person).await, aud(2_150));
        let notices = person.get("/v1/me/notices").await.is(200).body;
        let told: Vec<&Value> =
            notices["data"].as_array().unwrap().iter().filter(|n| n["kind"] == "charge_lowered").collect();
        assert_eq!(told.len(), 1, "once");
        assert_eq!(
            told[0]["details"],
            json!({ "start_at": START, "time_zone": "Australia/Sydney", "charge": aud(2_150) })
        );
        let events = person.get(&format!("{}/events", scene.path)).await.is(200).text;
        assert!(events.contains("lower_charge") && !events.contains("ill"), "what staff wrote is for staff: {events}");
    }
    assert!(scene.admin.get(&format!("{}/events", scene.path)).await.is(200).text.contains("ill"));
    assert_eq!(tasks(&scene.admin, true).await, Vec::<String>::new());
    let kept: String = sqlx::query_scalar("SELECT details::text FROM events WHERE kind = 'booking.lower_charge'")
        .fetch_one(&*scene.app.service.db)
        .await
        .unwrap();
    let kept: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!((&kept["charge"], &kept["charge_before"]), (&aud(2_150), &aud(PRICE)), "in the audit, once");

    // Lower yet, down to nothing, and never up.
    for (amount, pointer) in [(2_151, "/charge/amount"), (12_900, "/charge/amount"), (-1, "/charge/amount")] {
        scene.lowers(amount).await.points_to(&[pointer]);
    }
    let yen = json!({ "charge": { "amount": 1, "currency": "JPY" }, "reason": "She was ill." });
    scene.admin.post(&scene.lowering(), yen).await.points_to(&["/charge/currency"]);
    assert_eq!(scene.lowers(0).await.is(200).body["charge"], aud(0));
    scene.lowers(0).await.is(200);
    scene.lowers(1).await.points_to(&["/charge/amount"]);
}

#[tokio::test]
async fn a_fee_is_lowered_with_the_share_of_it() {
    let scene = Scene::new().await;
    scene.lowers(100).await.refused(409, "invalid_transition");
    // Half of the price is due ten hours before.
    scene.at(-600);
    scene.client.act(&format!("{}/cancel", scene.path)).await.is(200);
    let before = scene.admin.get(&scene.path).await.is(200).body;
    assert_eq!((&before["charge"], &before["cancellation"]["fee"]), (&aud(PRICE / 2), &aud(PRICE / 2)));
    let lowered = scene.lowers(1_000).await.is(200).body;
    let cancellation = &lowered["cancellation"];
    assert_eq!(
        (&lowered["charge"], &cancellation["fee"], &cancellation["refund"]),
        (&aud(1_000), &aud(1_000), &aud(PRICE - 1_000))
    );
    assert_eq!((&lowered["therapist_share"], &cancellation["by"]), (&aud(700), &json!("client")));
}

#[tokio::test]
async fn a_report_is_decided_before_what_it_costs_is_lowered() {
    let scene = Scene::new().await;
    scene.at(25);
    scene.takes(&scene.client, "no-show", "no_show").await;
    assert_eq!(scene.charge(&scene.client).await, Value::Null);
    scene.lowers(0).await.refused(409, "invalid_transition");
    let decision = format!("{}/no-show-decision", scene.path.replace("/v1/", "/v1/admin/"));
    scene.admin.post(&decision, json!({ "upheld": false, "reason": "Both were asked." })).await.is(200);
    assert_eq!(scene.charge(&scene.therapist).await, aud(PRICE));
    assert_eq!(scene.lowers(0).await.is(200).body["cancellation"]["refund"], aud(PRICE));
}

#[tokio::test]
async fn a_charge_is_lowered_by_staff_who_know_it() {
    let scene = ended_early().await;
    let body = json!({ "charge": aud(1), "reason": "Mine." });
    for wrong in [&scene.client, &scene.therapist] {
        wrong.post(&scene.lowering(), body.clone()).await.refused(403, "forbidden");
    }
    scene.app.nobody().post(&scene.lowering(), body.clone()).await.refused(401, "unauthorized");
    scene.admin.post(&scene.lowering(), json!({ "charge": aud(1) })).await.points_to(&["/reason"]);
    let nowhere = scene.lowering().replace(&scene.path[13..], &Uuid::nil().to_string());
    scene.admin.post(&nowhere, body.clone()).await.refused(404, "not_found");
    let known = scene.admin.get(&scene.path).await.is(200).header("etag");
    let with =
        |tag: &str| send(scene.admin.request(Method::POST, &scene.lowering()).header("If-Match", tag).json(&body));
    with("\"stale.stale\"").await.refused(412, "precondition_failed");
    with(&known).await.is(200);
    // The answer was lost: the tag of before is good for asking again.
    with(&known).await.is(200);
    assert_eq!(scene.charge(&scene.client).await, aud(1));
}
