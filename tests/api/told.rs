//! A booking and its notices say enough to act on: what may be done and when, what is proposed, what changed since, and where a refused step stands.

use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{App, Person, send};

/// When it begins.
pub const START: &str = "2026-12-03T03:00:00Z";

/// A visit that is booked.
pub struct Scene {
    pub app: App,
    pub therapist: Person,
    pub client: Person,
    pub address: Uuid,
    pub path: String,
}

impl Scene {
    pub async fn new() -> Self {
        let app = App::start().await;
        let therapist = app.therapist().await;
        let (client, address) = app.client_at_home().await;
        let path = client.books(&therapist, address, START).await.is(201).header("location");
        Self { app, therapist, client, address, path }
    }

    async fn seen(&self, by: &Person) -> Value {
        by.get(&self.path).await.is(200).body
    }

    /// What changed for someone since `cursor`, by kind, and where to go on.
    async fn changes(&self, person: &Person, cursor: Option<&str>) -> (Vec<String>, String) {
        self.app.chain_audit().await;
        let query = cursor.map(|cursor| format!("?cursor={cursor}")).unwrap_or_default();
        let page = person.get(&format!("/v1/me/changes{query}")).await.is(200).body;
        let kinds = page["data"].as_array().unwrap().iter().map(|change| change["kind"].as_str().unwrap().to_owned());
        (kinds.collect(), page["next_cursor"].as_str().unwrap().to_owned())
    }
}

/// The steps that may be taken, with the minor units that they cost.
fn actions(booking: &Value) -> Vec<(String, Option<i64>)> {
    let of = |step: &Value| (step["action"].as_str().unwrap().to_owned(), step["fee"]["amount"].as_i64());
    booking["actions"].as_array().unwrap().iter().map(of).collect()
}

fn names(booking: &Value) -> Vec<String> {
    let mut names: Vec<String> = actions(booking).into_iter().map(|(name, _)| name).collect();
    names.dedup();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_says_what_may_be_done_with_it_and_when() {
    let scene = Scene::new().await;
    let seen = scene.seen(&scene.client).await;
    assert_eq!(names(&seen), ["cancel", "reschedule", "propose", "no_show"]);
    let price = seen["price"]["amount"].as_i64().unwrap();
    let cancels: Vec<(Value, Value, i64)> = seen["actions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| step["action"] == "cancel")
        .map(|step| (step["from"].clone(), step["until"].clone(), step["fee"]["amount"].as_i64().unwrap()))
        .collect();
    let expected = [
        (Value::Null, json!("2026-12-02T03:00:00Z"), 0),
        (json!("2026-12-02T03:00:00Z"), json!("2026-12-02T23:00:00Z"), price / 2),
        (json!("2026-12-02T23:00:00Z"), json!("2026-12-03T04:00:00Z"), price),
    ];
    assert_eq!(cancels, expected);
    let no_show = seen["actions"].as_array().unwrap().iter().find(|step| step["action"] == "no_show").unwrap();
    assert_eq!((&no_show["from"], &no_show["until"]), (&json!("2026-12-03T03:20:00Z"), &json!("2026-12-04T04:00:00Z")));

    let theirs = scene.seen(&scene.therapist).await;
    assert_eq!(names(&theirs), ["cancel", "reschedule", "propose", "on_the_way", "delay"]);
    assert!(actions(&theirs).iter().all(|(_, fee)| fee.is_none()));
    // What is told to be possible is, at its first and its last moment; and not before or after.
    let steps: Vec<Value> = theirs["actions"].as_array().unwrap().clone();
    let on_the_way = steps.iter().find(|step| step["action"] == "on_the_way").unwrap();
    assert_eq!(
        (&on_the_way["from"], &on_the_way["until"]),
        (&json!("2026-12-03T00:00:00Z"), &json!("2026-12-03T04:00:00Z"))
    );
    scene.app.advance("2026-12-03T00:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap() - scene.app.now());
    scene.therapist.act(&format!("{}/on-the-way", scene.path)).await.is(200);
    let moving = scene.seen(&scene.therapist).await;
    assert_eq!(names(&moving), ["delay", "arrive", "cancel", "stop"]);
    assert_eq!(moving["step_times"]["on_the_way_at"], "2026-12-03T00:00:00Z");
    assert_eq!(
        (&moving["step_times"]["confirmed_at"], &moving["step_times"]["arrived_at"]),
        (&json!("2026-11-30T01:00:00Z"), &Value::Null)
    );
    assert_eq!(moving["updated_at"], "2026-12-03T00:00:00Z");
    scene.client.post(&format!("{}/cancel", scene.path), json!({})).await.is(200);
    assert_eq!(scene.seen(&scene.client).await["actions"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_step_says_where_the_booking_stands() {
    let scene = Scene::new().await;
    let early = scene.therapist.act(&format!("{}/on-the-way", scene.path)).await.refused(409, "too_early").body;
    assert_eq!((&early["state"], &early["not_before"]), (&json!("confirmed"), &json!("2026-12-03T00:00:00Z")));
    assert_eq!(early["allowed"], json!(["cancel", "reschedule", "propose"]));
    let never = scene.therapist.act(&format!("{}/complete", scene.path)).await.refused(409, "invalid_transition").body;
    assert_eq!((&never["state"], never.get("not_before")), (&json!("confirmed"), None));
    // A refusal of another kind says nothing of steps.
    let other = scene.client.books(&scene.therapist, scene.address, START).await.is(409).body;
    assert!(other.get("state").is_none() && other.get("allowed").is_none(), "{other}");

    let admin = scene.app.admin().await;
    let draft = json!({ "type": "US-TX-LMT", "number": "MT123456", "name_on_credential": "Sam Okafor", "expires_on": "2027-06-30" });
    let id = scene.therapist.post("/v1/therapists/me/credentials", draft).await.is(201).id();
    let refused = admin.act(&format!("/v1/admin/credentials/{id}/claim")).await.refused(409, "invalid_transition").body;
    assert_eq!((&refused["state"], &refused["allowed"]), (&json!("draft"), &json!(["revoke"])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_proposed_stands_on_the_booking_and_in_the_notice() {
    let scene = Scene::new().await;
    let before = scene.seen(&scene.client).await;
    assert_eq!(before["counter_offer"], Value::Null);
    let proposed = json!({ "start_at": "2026-12-03T05:00:00Z" });
    let offer = scene.therapist.post(&format!("{}/counter-offers", scene.path), proposed).await.is(201).body;
    for person in [&scene.client, &scene.therapist, &scene.app.admin().await] {
        assert_eq!(scene.seen(person).await["counter_offer"], offer);
    }
    assert!(names(&scene.seen(&scene.client).await).contains(&"agree".to_owned()));
    assert!(!names(&scene.seen(&scene.therapist).await).contains(&"agree".to_owned()));
    assert!(!names(&scene.seen(&scene.client).await).contains(&"propose".to_owned()));
    let listed = scene.client.get("/v1/bookings").await.is(200).body;
    assert_eq!(listed["data"][0]["counter_offer"], offer);
    let notice = scene.client.get("/v1/me/notices").await.is(200).body["data"][0].clone();
    let details = json!({ "start_at": START, "time_zone": "Australia/Sydney", "proposed_start_at": "2026-12-03T05:00:00Z", "counter_offer_id": offer["id"] });
    assert_eq!((&notice["kind"], &notice["details"]), (&json!("time_proposed"), &details));
    // It is no part of what a step is decided on: who knew the booking before may still take one.
    let tag = scene.client.get(&scene.path).await.is(200).header("etag");
    let accept = format!("{}/counter-offers/{}/accept", scene.path, offer["id"].as_str().unwrap());
    send(scene.client.request(reqwest::Method::POST, &accept).header("If-Match", tag)).await.is(200);
    let moved = scene.seen(&scene.client).await;
    assert_eq!((&moved["counter_offer"], &moved["start_at"]), (&Value::Null, &json!("2026-12-03T05:00:00Z")));
    let notice = scene.therapist.get("/v1/me/notices").await.is(200).body["data"][0].clone();
    assert_eq!(
        (&notice["details"]["start_at_before"], &notice["details"]["start_at"]),
        (&json!(START), &json!("2026-12-03T05:00:00Z"))
    );

    // What has lapsed is proposed no more, whether or not that is written down.
    let again = json!({ "start_at": "2026-12-03T02:00:00Z" });
    scene.client.post(&format!("{}/counter-offers", scene.path), again).await.is(201);
    assert!(scene.seen(&scene.client).await["counter_offer"].is_object());
    scene.app.advance(TimeDelta::hours(25));
    assert_eq!(scene.seen(&scene.client).await["counter_offer"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_are_counted_and_read_up_to_one() {
    let scene = Scene::new().await;
    for start in ["2026-12-04T03:00:00Z", "2026-12-05T03:00:00Z"] {
        scene.client.books(&scene.therapist, scene.address, start).await.is(201);
    }
    let page = scene.therapist.get("/v1/me/notices?limit=1").await.is(200).body;
    assert_eq!((page["data"].as_array().unwrap().len(), &page["unread"]), (1, &json!(3)));
    let all = scene.therapist.get("/v1/me/notices").await.is(200).body;
    let middle = all["data"][1]["id"].clone();
    let left = scene.therapist.post("/v1/me/notices/read", json!({ "up_to": middle })).await.is(200).body;
    assert_eq!(left, json!({ "unread": 1 }));
    let after = scene.therapist.get("/v1/me/notices").await.is(200).body;
    let read: Vec<bool> =
        after["data"].as_array().unwrap().iter().map(|notice| notice["read_at"].is_string()).collect();
    assert_eq!(read, [false, true, true]);
    let first = after["data"][2]["read_at"].clone();
    scene.app.advance(TimeDelta::minutes(5));
    scene.therapist.post("/v1/me/notices/read", json!({ "up_to": all["data"][0]["id"] })).await.is(200);
    let later = scene.therapist.get("/v1/me/notices").await.is(200).body;
    assert_eq!(
        (&later["unread"], &later["data"][2]["read_at"]),
        (&json!(0), &first),
        "it keeps when it was read first"
    );
    scene.client.post("/v1/me/notices/read", json!({ "up_to": middle })).await.points_to(&["/up_to"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_keeps_the_cursor_misses_no_change_and_gets_none_twice() {
    let scene = Scene::new().await;
    let (kinds, cursor) = scene.changes(&scene.client, None).await;
    assert_eq!(kinds, ["booking.create"]);
    let (_, theirs) = scene.changes(&scene.therapist, None).await;
    assert_eq!(scene.changes(&scene.client, Some(&cursor)).await.0, Vec::<String>::new());
    let proposed = json!({ "start_at": "2026-12-03T05:00:00Z" });
    let offer = scene.therapist.post(&format!("{}/counter-offers", scene.path), proposed).await.is(201).id();
    scene.client.act(&format!("{}/counter-offers/{offer}/decline", scene.path)).await.is(200);
    scene.therapist.get(&scene.path).await.is(200);
    scene.app.advance(TimeDelta::minutes(1));
    scene.client.post(&format!("{}/cancel", scene.path), json!({})).await.is(200);
    let expected = ["booking.propose", "booking.proposal_declined", "booking.cancel"];
    let (kinds, next) = scene.changes(&scene.client, Some(&cursor)).await;
    assert_eq!(kinds, expected, "nothing of who looked at what");
    assert_eq!(scene.changes(&scene.client, Some(&next)).await.0, Vec::<String>::new());
    assert_eq!(scene.changes(&scene.therapist, Some(&theirs)).await.0, expected);
    // A page at a time is the same.
    let mut at = cursor.clone();
    let mut found = Vec::new();
    loop {
        let page = scene.client.get(&format!("/v1/me/changes?limit=1&cursor={at}")).await.is(200).body;
        found.extend(page["data"].as_array().unwrap().iter().map(|change| change["kind"].as_str().unwrap().to_owned()));
        at = page["next_cursor"].as_str().unwrap().to_owned();
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(found, expected);
    let subject = scene.client.get(&format!("/v1/me/changes?cursor={cursor}")).await.is(200).body["data"][0].clone();
    assert!(scene.path.ends_with(subject["subject_id"].as_str().unwrap()) && subject["subject_type"] == "booking");
    // Of others nothing; what is not committed, or not chained, is not told before its turn.
    assert_eq!(scene.changes(&scene.app.client().await, None).await.0, Vec::<String>::new());
    scene.app.advance(TimeDelta::days(31));
    scene.client.get(&format!("/v1/me/changes?cursor={cursor}")).await.points_to(&["/cursor"]);
    scene.client.get("/v1/me/changes?cursor=x").await.points_to(&["/cursor"]);
    scene.app.admin().await.get("/v1/me/changes").await.refused(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bookings_are_listed_by_when_something_happened_to_them() {
    let scene = Scene::new().await;
    let other = scene.client.books(&scene.therapist, scene.address, "2026-12-04T03:00:00Z").await.is(201).id();
    scene.app.advance(TimeDelta::hours(1));
    let since = "2026-11-30T02:00:00Z";
    let listed = async |person: &Person, more: &str| {
        let page = person.get(&format!("/v1/bookings?updated_since={since}{more}")).await.is(200).body;
        page["data"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(listed(&scene.client, "").await, Vec::<Value>::new());
    // That its therapist looked at the door is no change of it.
    scene.therapist.get(&scene.path).await.is(200);
    assert_eq!(listed(&scene.client, "").await, Vec::<Value>::new());
    scene.client.post(&format!("/v1/bookings/{other}/cancel"), json!({})).await.is(200);
    assert_eq!(listed(&scene.client, "").await, [json!(other)]);
    assert_eq!(listed(&scene.therapist, "").await, [json!(other)]);
    let admin = scene.app.admin().await;
    assert_eq!(listed(&admin, &format!("&client_id={}", scene.client.id)).await, [json!(other)]);
    admin.get(&format!("/v1/bookings?updated_since={since}")).await.points_to(&["/updated_since"]);
    scene.client.get("/v1/bookings?updated_since=2026-08-01T00:00:00Z").await.points_to(&["/updated_since"]);
}
