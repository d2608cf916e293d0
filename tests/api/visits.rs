//! The steps of a visit, from setting out to its end.

mod charge;
mod missed;

use chrono::TimeDelta;
use knead::bookings::jobs::AlertOverdue;
use knead::queue::enqueue;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, App, Person, at, send, surry_hills};

const START: &str = "2026-12-01T00:00:00Z";
const PRICE: i64 = 12900;

/// A confirmed visit of an hour on Tuesday at eleven, with its people, at some minute before or after its start.
struct Scene {
    app: App,
    client: Person,
    therapist: Person,
    admin: Person,
    address: Uuid,
    path: String,
}

impl Scene {
    async fn new() -> Self {
        let app = App::start().await;
        let (therapist, admin) = (app.therapist().await, app.admin().await);
        let (client, address) = app.client_at_home().await;
        let path = client.books(&therapist, address, START).await.is(201).header("location");
        Self { app, client, therapist, admin, address, path }
    }

    /// Goes to `minutes` after the start.
    fn at(&self, minutes: i64) {
        self.app.advance(at(START) + TimeDelta::minutes(minutes) - self.app.now());
    }

    async fn step(&self, person: &Person, step: &str) -> Answer {
        person.act(&format!("{}/{step}", self.path)).await
    }

    async fn takes(&self, person: &Person, step: &str, status: &str) -> Value {
        let body = self.step(person, step).await.is(200).body;
        assert_eq!(body["status"], status);
        body
    }

    /// Takes the visit on to `step`, at the time that is allowed for each.
    async fn until(&self, step: &str) {
        for (name, minutes, status) in
            [("on-the-way", -40, "on_the_way"), ("arrive", -15, "arrived"), ("start", 0, "in_progress")]
        {
            self.at(minutes);
            self.takes(&self.therapist, name, status).await;
            if name == step {
                return;
            }
        }
    }

    async fn events(&self) -> Vec<String> {
        let events = self.admin.get(&format!("{}/events", self.path)).await.is(200).body;
        let events = events["data"].as_array().unwrap().clone();
        events.iter().map(|event| event["to_status"].as_str().unwrap().to_owned()).collect()
    }
}

async fn told(person: &Person) -> Vec<String> {
    let page = person.get("/v1/me/notices").await.is(200).body;
    page["data"].as_array().unwrap().iter().map(|notice| notice["kind"].as_str().unwrap().to_owned()).collect()
}

async fn tasks(admin: &Person, open: bool) -> Vec<String> {
    let page = admin.get(&format!("/v1/admin/tasks?open={open}")).await.is(200).body;
    page["data"].as_array().unwrap().iter().map(|task| task["kind"].as_str().unwrap().to_owned()).collect()
}

fn money(amount: i64) -> Value {
    json!({ "amount": amount, "currency": "AUD" })
}

#[track_caller]
fn ended(body: &Value, by: &str, fee: i64) {
    let end = &body["cancellation"];
    assert_eq!((&end["by"], &end["fee"], &end["refund"]), (&json!(by), &money(fee), &money(PRICE - fee)), "{body}");
}

#[tokio::test]
async fn a_visit_takes_its_course() {
    let scene = Scene::new().await;
    scene.at(-181);
    scene.step(&scene.therapist, "on-the-way").await.refused(409, "too_early");
    for step in ["arrive", "start", "complete", "no-show", "stop"] {
        scene.step(&scene.therapist, step).await.refused(409, "invalid_transition");
    }
    scene.at(-180);
    scene.takes(&scene.therapist, "on-the-way", "on_the_way").await;
    scene.step(&scene.therapist, "arrive").await.refused(409, "too_early");
    scene.step(&scene.therapist, "start").await.refused(409, "invalid_transition");
    scene.at(-60);
    scene.takes(&scene.therapist, "arrive", "arrived").await;
    scene.step(&scene.therapist, "on-the-way").await.refused(409, "invalid_transition");
    scene.at(-16);
    scene.step(&scene.therapist, "start").await.refused(409, "too_early");
    scene.at(-15);
    scene.takes(&scene.therapist, "start", "in_progress").await;
    scene.step(&scene.therapist, "complete").await.refused(409, "too_early");
    scene.client.act(&format!("{}/cancel", scene.path)).await.refused(409, "invalid_transition");
    scene.at(30);
    let done = scene.takes(&scene.therapist, "complete", "completed").await;
    assert_eq!(scene.takes(&scene.therapist, "complete", "completed").await, done, "again");
    assert_eq!((&done["cancellation"], &done["address"]["line1"]), (&Value::Null, &json!("12 Crown Street")));
    for step in ["on-the-way", "arrive", "start", "no-show", "stop"] {
        scene.step(&scene.therapist, step).await.refused(409, "invalid_transition");
    }
    assert_eq!(scene.events().await, ["confirmed", "on_the_way", "arrived", "in_progress", "completed"]);
    assert_eq!(told(&scene.client).await, ["visit_completed", "therapist_arrived", "therapist_on_the_way"]);
    assert_eq!(told(&scene.therapist).await, ["visit_booked"]);
    let audited = scene
        .app
        .rows("events WHERE kind IN ('booking.on_the_way', 'booking.arrive', 'booking.start', 'booking.complete')");
    assert_eq!(audited.await, 4, "a repeated step leaves no trace");
}

#[tokio::test]
async fn each_step_is_for_those_who_take_it() {
    let scene = Scene::new().await;
    scene.at(-60);
    let stranger = scene.app.therapist().await;
    let other = scene.app.client().await;
    for step in ["on-the-way", "arrive", "start"] {
        for wrong in [&scene.client, &scene.admin] {
            scene.step(wrong, step).await.refused(403, "forbidden");
        }
    }
    for step in ["complete", "stop"] {
        scene.step(&scene.client, step).await.refused(403, "forbidden");
    }
    scene.step(&scene.admin, "no-show").await.refused(403, "forbidden");
    for step in ["on-the-way", "arrive", "start", "complete", "no-show", "stop"] {
        scene.step(&stranger, step).await.refused(404, "not_found");
        scene.step(&scene.app.nobody(), step).await.refused(401, "unauthorized");
    }
    scene.step(&other, "no-show").await.refused(404, "not_found");
    for step in ["complete", "no-show", "stop"] {
        let path = format!("{}/{step}", scene.path);
        scene.therapist.post(&path, json!({ "why": "?" })).await.points_to(&["/why"]);
        scene.therapist.post(&path, json!({ "reason": "a\u{0}" })).await.points_to(&["/reason"]);
    }
    assert_eq!(scene.events().await, ["confirmed"]);
}

#[tokio::test]
async fn what_was_not_begun_in_its_time_is_for_staff() {
    let scene = Scene::new().await;
    scene.at(59);
    scene.takes(&scene.therapist, "on-the-way", "on_the_way").await;
    scene.at(60);
    scene.step(&scene.therapist, "arrive").await.refused(409, "too_late");
    let complete = format!("{}/complete", scene.path);
    scene.admin.act(&complete).await.points_to(&["/reason"]);
    let reason = json!({ "reason": "Both say that it took place." });
    let done = scene.admin.post(&complete, reason).await.is(200).body;
    assert_eq!(done["status"], "completed");
    assert_eq!(told(&scene.therapist).await, ["visit_completed", "visit_booked"]);
    let events = scene.therapist.get(&format!("{}/events", scene.path)).await.is(200).text;
    assert!(!events.contains("Both say"), "what staff wrote is for staff");
    assert!(scene.admin.get(&format!("{}/events", scene.path)).await.is(200).text.contains("Both say"));

    let scene = Scene::new().await;
    scene.at(59);
    let reason = json!({ "reason": "So they say." });
    scene.admin.post(&format!("{}/complete", scene.path), reason.clone()).await.refused(409, "too_early");
    ended(&scene.admin.post(&format!("{}/stop", scene.path), reason).await.is(200).body, "admin", 0);
}

#[tokio::test]
async fn a_client_who_is_not_there_pays_after_20_minutes() {
    let scene = Scene::new().await;
    scene.until("arrive").await;
    scene.at(19);
    scene.step(&scene.therapist, "no-show").await.refused(409, "too_early");
    scene.step(&scene.client, "no-show").await.refused(409, "invalid_transition");
    scene.at(20);
    let missed = scene.takes(&scene.therapist, "no-show", "no_show").await;
    ended(&missed, "therapist", PRICE);
    assert_eq!(scene.takes(&scene.therapist, "no-show", "no_show").await, missed, "again");
    scene.step(&scene.client, "no-show").await.refused(409, "invalid_transition");
    assert_eq!(told(&scene.client).await[0], "no_show_reported");
    assert_eq!(tasks(&scene.admin, true).await, Vec::<String>::new());
    assert!(!missed.to_string().contains("Crown"), "the visit is over");
}

#[tokio::test]
async fn a_therapist_who_does_not_come_costs_nothing() {
    let scene = Scene::new().await;
    scene.at(0);
    scene.takes(&scene.therapist, "on-the-way", "on_the_way").await;
    scene.at(19);
    scene.step(&scene.client, "no-show").await.refused(409, "too_early");
    scene.step(&scene.therapist, "no-show").await.refused(409, "invalid_transition");
    scene.at(20);
    let missed =
        scene.client.post(&format!("{}/no-show", scene.path), json!({ "reason": "Nobody came." })).await.is(200).body;
    assert_eq!(missed["cancellation"], Value::Null, "not settled");
    scene.step(&scene.therapist, "arrive").await.refused(409, "invalid_transition");
    scene.step(&scene.therapist, "no-show").await.refused(409, "invalid_transition");
    assert_eq!(told(&scene.therapist).await, ["no_show_reported", "visit_booked"]);
    assert_eq!(tasks(&scene.admin, true).await, ["therapist_no_show"]);
}

#[tokio::test]
async fn a_therapist_may_leave_without_saying_why() {
    let scene = Scene::new().await;
    scene.until("on-the-way").await;
    ended(&scene.takes(&scene.therapist, "stop", "stopped").await, "therapist", 0);
    assert_eq!(scene.app.rows("reservations").await, 0);

    let scene = Scene::new().await;
    scene.until("arrive").await;
    ended(&scene.takes(&scene.therapist, "stop", "stopped").await, "therapist", 0);

    let scene = Scene::new().await;
    scene.until("start").await;
    let stop = format!("{}/stop", scene.path);
    let incident = json!({ "kind": "conduct", "text": "He would not stop." });
    scene.therapist.post(&stop, json!({ "incident": { "kind": "gossip" } })).await.points_to(&["/incident/kind"]);
    scene.admin.post(&stop, json!({ "reason": "Called.", "incident": incident })).await.points_to(&["/incident"]);
    let body = json!({ "reason": "I do not feel safe.", "incident": incident });
    for _ in 0..2 {
        ended(&scene.therapist.post(&stop, body.clone()).await.is(200).body, "therapist", PRICE);
    }
    for path in [scene.path.clone(), format!("{}/events", scene.path), format!("{}/incidents", scene.path)] {
        let seen = scene.client.get(&path).await.is(200).text;
        assert!(!seen.contains("safe") && !seen.contains("conduct"), "{seen}");
    }
    assert!(scene.therapist.get(&format!("{}/events", scene.path)).await.text.contains("safe"));
    let incidents = scene.therapist.get(&format!("{}/incidents", scene.path)).await.is(200).body;
    assert_eq!(incidents["data"].as_array().unwrap().len(), 1, "once");
    let mut raised = tasks(&scene.admin, true).await;
    raised.sort();
    assert_eq!(raised, ["incident_reported", "visit_ended_early"]);
    assert_eq!(told(&scene.client).await[0], "visit_stopped");
}

#[tokio::test]
async fn once_the_therapist_is_on_the_way_calling_off_costs_all() {
    for (who, fee) in [("client", PRICE), ("therapist", 0), ("admin", 0)] {
        for step in ["on-the-way", "arrive"] {
            let scene = Scene::new().await;
            // Booked a moment ago, which would be free.
            scene.app.sql("UPDATE bookings SET created_at = '2026-11-30T23:40:00Z'").await.unwrap();
            scene.until(step).await;
            let person = match who {
                "client" => &scene.client,
                "therapist" => &scene.therapist,
                _ => &scene.admin,
            };
            let quote = person.get(&format!("{}/cancellation-quote", scene.path)).await.is(200).body;
            assert_eq!(quote["fee"], money(fee));
            ended(&scene.takes(person, "cancel", "cancelled").await, who, fee);
            let kept = i64::from(step == "arrive");
            assert_eq!(scene.app.rows("reservations").await, kept, "who is there, is there");
        }
    }
}

#[tokio::test]
async fn who_may_not_practise_neither_sets_out_nor_starts() {
    // The job that puts visits at risk, or calls them off, is late.
    let revoke = "UPDATE credentials SET review_state = 'revoked' WHERE type = 'INSURANCE'";
    let reinstate = "UPDATE credentials SET review_state = 'verified' WHERE type = 'INSURANCE'";
    let scene = Scene::new().await;
    scene.at(-60);
    scene.app.sql(revoke).await.unwrap();
    scene.step(&scene.therapist, "on-the-way").await.refused(422, "credential_not_valid");
    scene.app.sql(reinstate).await.unwrap();
    scene.app.sql("UPDATE bookings SET at_risk_since = '2026-11-30T00:00:00Z'").await.unwrap();
    scene.step(&scene.therapist, "on-the-way").await.refused(422, "credential_not_valid");
    scene.app.sql("UPDATE bookings SET at_risk_since = NULL").await.unwrap();
    scene.until("arrive").await;
    scene.app.sql(revoke).await.unwrap();
    scene.step(&scene.therapist, "start").await.refused(422, "credential_not_valid");
    assert_eq!(scene.events().await, ["confirmed", "on_the_way", "arrived"]);
}

#[tokio::test]
async fn nobody_pays_for_a_therapist_who_may_not_practise() {
    let at_risk = "UPDATE bookings SET at_risk_since = '2026-11-30T00:00:00Z'";
    let scene = Scene::new().await;
    scene.until("arrive").await;
    scene.app.sql(at_risk).await.unwrap();
    scene.at(20);
    ended(&scene.takes(&scene.therapist, "no-show", "no_show").await, "therapist", 0);

    let scene = Scene::new().await;
    scene.until("start").await;
    scene.app.sql(at_risk).await.unwrap();
    ended(&scene.takes(&scene.therapist, "stop", "stopped").await, "therapist", 0);
}

#[tokio::test]
async fn each_side_is_told_what_the_other_does() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    therapist.change("/v1/therapists/me", json!({ "booking_mode": "request" })).await.is(200);
    let (client, address) = app.client_at_home().await;
    let mut expected: Vec<&str> = Vec::new();
    for (step, kind) in [("decline", "request_declined"), ("accept", "visit_confirmed"), ("cancel", "visit_cancelled")]
    {
        let path = client.books(&therapist, address, START).await.is(201).header("location");
        if step == "cancel" {
            therapist.act(&format!("{path}/accept")).await.is(200);
            expected.insert(0, "visit_confirmed");
        }
        for _ in 0..2 {
            therapist.act(&format!("{path}/{step}")).await.is(200);
        }
        expected.insert(0, kind);
        assert_eq!(told(&client).await, expected, "once");
        if step == "accept" {
            client.act(&format!("{path}/cancel")).await.is(200);
            assert_eq!(told(&therapist).await, ["visit_cancelled", "visit_requested", "visit_requested"]);
        }
    }
    client.books(&therapist, address, START).await.is(201);
    app.advance(TimeDelta::hours(12));
    for _ in 0..2 {
        app.run_jobs().await;
    }
    expected.insert(0, "request_expired");
    assert_eq!(told(&client).await, expected);
}

#[tokio::test]
async fn a_step_heeds_what_the_caller_has_read() {
    let scene = Scene::new().await;
    scene.at(-60);
    let with_tag = |step: &str, tag: &str| {
        let request = scene.therapist.request(Method::POST, &format!("{}/{step}", scene.path));
        send(request.header("If-Match", tag.to_owned()))
    };
    let tag = scene.therapist.get(&scene.path).await.header("etag");
    with_tag("on-the-way", "\"other\"").await.refused(412, "precondition_failed");
    let moved = with_tag("on-the-way", &tag).await.is(200);
    assert_eq!(moved.header("etag"), scene.therapist.get(&scene.path).await.header("etag"));
    with_tag("on-the-way", &tag).await.is(200);
    with_tag("arrive", &tag).await.refused(412, "precondition_failed");
    with_tag("arrive", "*").await.is(200);
    let cancel = scene.client.request(Method::POST, &format!("{}/cancel", scene.path)).header("If-Match", tag);
    send(cancel).await.refused(412, "precondition_failed");
}

#[tokio::test]
async fn a_visit_that_ends_early_frees_what_is_left_and_still_counts() {
    let scene = Scene::new().await;
    scene.therapist.change("/v1/therapists/me", json!({ "daily_cap": 2, "min_notice_minutes": 0 })).await.is(200);
    let noon = "2026-12-01T00:45:00Z";
    scene.until("start").await;
    scene.at(20);
    scene.client.books(&scene.therapist, scene.address, noon).await.refused(409, "slot_unavailable");
    scene.takes(&scene.therapist, "complete", "completed").await;
    // Packed up by half past; set up from there.
    scene.client.books(&scene.therapist, scene.address, "2026-12-01T00:30:00Z").await.refused(409, "slot_unavailable");
    scene.client.books(&scene.therapist, scene.address, noon).await.is(201);
    scene.client.books(&scene.therapist, scene.address, "2026-12-01T03:00:00Z").await.refused(409, "slot_unavailable");
}

#[tokio::test]
async fn staff_look_into_a_visit_of_which_less_than_half_took_place() {
    for step in ["complete", "stop"] {
        for (minutes, early) in [(0, true), (29, true), (30, false), (60, false)] {
            let scene = Scene::new().await;
            scene.until("start").await;
            scene.at(minutes);
            for _ in 0..2 {
                scene.step(&scene.therapist, step).await.is(200);
            }
            let expected: &[&str] = if early { &["visit_ended_early"] } else { &[] };
            assert_eq!(tasks(&scene.admin, true).await, expected, "{step} after {minutes} minutes");
        }
    }
    // Begun late: it counts from then. Staff know what they do.
    let scene = Scene::new().await;
    scene.until("arrive").await;
    scene.at(31);
    scene.takes(&scene.therapist, "start", "in_progress").await;
    scene.at(60);
    scene.step(&scene.therapist, "complete").await.is(200);
    assert_eq!(tasks(&scene.admin, true).await, ["visit_ended_early"]);
    let scene = Scene::new().await;
    scene.until("start").await;
    scene.admin.post(&format!("{}/stop", scene.path), json!({ "reason": "A call." })).await.is(200);
    assert_eq!(tasks(&scene.admin, true).await, Vec::<String>::new());
}

/// How a visit ends: the last step before, and the one that ends it so many minutes after the start.
struct End {
    last: &'static str,
    step: &'static str,
    minutes: i64,
}

#[tokio::test]
async fn however_a_visit_ends_its_therapist_was_where_it_was() {
    for End { last, step, minutes } in [
        End { last: "start", step: "stop", minutes: 20 },
        End { last: "arrive", step: "stop", minutes: 20 },
        End { last: "arrive", step: "no-show", minutes: 20 },
        End { last: "arrive", step: "cancel", minutes: 20 },
    ] {
        let scene = Scene::new().await;
        scene.therapist.change("/v1/therapists/me", json!({ "daily_cap": 2, "min_notice_minutes": 0 })).await.is(200);
        let mut far = surry_hills();
        (far["latitude"], far["longitude"]) = (json!(-33.8915), json!(151.2767));
        let far = scene.client.address(far).await;
        scene.until(last).await;
        scene.at(minutes);
        scene.step(&scene.therapist, step).await.is(200);
        // Packed up by half past, and over 20 minutes away from Bondi; next door there is time for the set-up.
        scene.client.books(&scene.therapist, far, "2026-12-01T00:45:00Z").await.refused(409, "slot_unavailable");
        scene.client.books(&scene.therapist, scene.address, "2026-12-01T00:45:00Z").await.is(201);
        let third = scene.client.books(&scene.therapist, scene.address, "2026-12-01T03:00:00Z").await;
        assert_eq!(third.refused(409, "slot_unavailable").status, 409, "{last} {step}: two are a day's visits");
        // What is over bars no change of hours.
        let off = json!({ "start_at": "2026-12-01T00:31:00Z", "end_at": "2026-12-01T00:34:00Z" });
        scene.therapist.post("/v1/therapists/me/time-off", off).await.is(201);
    }
    // Who was on the way only frees all of it.
    let scene = Scene::new().await;
    scene.until("on-the-way").await;
    scene.step(&scene.therapist, "stop").await.is(200);
    assert_eq!(scene.app.rows("reservations").await, 0);
}

/// Runs the job that tells of overdue visits.
async fn alert(app: &App) {
    let mut tx = app.service.db.begin().await.unwrap();
    enqueue(&mut tx, &AlertOverdue, app.now()).await.unwrap();
    tx.commit().await.unwrap();
    app.run_jobs().await;
}

#[tokio::test]
async fn an_overdue_visit_raises_an_alert_until_it_is_completed() {
    let scene = Scene::new().await;
    let second =
        scene.client.books(&scene.therapist, scene.address, "2026-12-01T04:00:00Z").await.is(201).header("location");
    scene.until("start").await;
    scene.at(99);
    let overdue = async |admin: &Person| admin.get("/v1/admin/bookings/overdue").await.is(200).body;
    assert_eq!(overdue(&scene.admin).await["data"], json!([]));
    alert(&scene.app).await;
    assert_eq!(tasks(&scene.admin, true).await, Vec::<String>::new());
    scene.at(100);
    let listed = overdue(&scene.admin).await;
    assert_eq!(listed["data"][0]["overdue_since"], "2026-12-01T01:40:00Z", "no job has run");
    assert_eq!(listed["data"][0]["booking"]["status"], "in_progress");
    for _ in 0..2 {
        alert(&scene.app).await;
    }
    assert_eq!(tasks(&scene.admin, true).await, ["visit_overdue"]);
    assert_eq!(told(&scene.therapist).await, ["visit_overdue", "visit_booked", "visit_booked"], "once");
    // The other one was never begun.
    scene.at(340);
    let first = scene.admin.get("/v1/admin/bookings/overdue?limit=1").await.is(200).body;
    assert_eq!(first["data"][0]["booking"]["status"], "in_progress", "the longest waiting first");
    let next = format!("/v1/admin/bookings/overdue?limit=1&cursor={}", first["next_cursor"].as_str().unwrap());
    let rest = scene.admin.get(&next).await.is(200).body;
    assert_eq!(rest["data"][0]["booking"]["status"], "confirmed");
    assert_eq!(rest["next_cursor"], Value::Null);
    scene.admin.get("/v1/admin/bookings/overdue?cursor=x").await.points_to(&["/cursor"]);
    scene.takes(&scene.therapist, "complete", "completed").await;
    assert_eq!(overdue(&scene.admin).await["data"].as_array().unwrap().len(), 1);
    assert_eq!(tasks(&scene.admin, false).await, ["visit_overdue"], "resolved by what was done");
    let reason = json!({ "reason": "It never took place." });
    ended(&scene.admin.post(&format!("{second}/stop"), reason).await.is(200).body, "admin", 0);
    assert_eq!(overdue(&scene.admin).await["data"], json!([]));
    alert(&scene.app).await;
    assert_eq!(tasks(&scene.admin, true).await, Vec::<String>::new());
}
