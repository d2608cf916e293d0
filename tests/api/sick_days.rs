//! A therapist who cannot come: time off over visits that are booked.

use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{App, Person};

const TIME_OFF: &str = "/v1/therapists/me/time-off";

/// From Monday noon in Sydney to the end of Tuesday.
fn off(visits: &str) -> Value {
    json!({ "start_at": "2026-11-30T01:00:00Z", "end_at": "2026-12-01T13:00:00Z", "visits": visits })
}

/// A visit in three hours, one on the next day, one in a week.
async fn visits(app: &App, therapist: &Person) -> (Person, [Uuid; 3]) {
    therapist.change("/v1/therapists/me", json!({ "min_notice_minutes": 0 })).await.is(200);
    let (client, address) = app.client_at_home().await;
    let mut ids = Vec::new();
    for start in ["2026-11-30T04:00:00Z", "2026-12-01T04:00:00Z", "2026-12-07T04:00:00Z"] {
        ids.push(client.books(therapist, address, start).await.is(201).id());
    }
    (client, ids.try_into().unwrap())
}

async fn kinds(who: &Person, path: &str) -> Vec<String> {
    let page = who.get(path).await.is(200).body;
    page["data"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn visits_are_handed_over_and_whoever_waits_is_told() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, [today, tomorrow, later]) = visits(&app, &therapist).await;
    therapist.post(TIME_OFF, off("maybe")).await.points_to(&["/visits"]);
    let taken = therapist.post(TIME_OFF, off("hand_over")).await.is(201);
    assert_eq!(taken.body["bookings"].as_array().unwrap().len(), 2);
    let see = async |who: &Person, id: Uuid| who.get(&format!("/v1/bookings/{id}")).await.is(200).body;
    assert_eq!(see(&client, today).await["handed_over_at"], "2026-11-30T01:00:00Z");
    assert_eq!(see(&client, later).await["handed_over_at"], Value::Null);
    assert_eq!(see(&client, tomorrow).await["free_until"], "2026-12-01T04:00:00Z", "calling off is free");
    assert_eq!(kinds(&client, "/v1/me/notices").await, ["visit_handed_over", "visit_handed_over"]);
    assert_eq!(kinds(&admin, "/v1/admin/tasks").await, ["visit_handed_over", "visit_handed_over"]);
    assert_eq!(see(&therapist, today).await.get("address"), None, "whoever does not come sees no door");
    therapist.act(&format!("/v1/bookings/{today}/on-the-way")).await.refused(409, "invalid_transition");

    // Somebody else takes one over; nobody the other.
    let other = app.therapist().await;
    let reassign = format!("/v1/admin/bookings/{tomorrow}/reassign");
    admin.post(&reassign, json!({ "therapist_id": other.id })).await.is(200);
    assert_eq!(see(&other, tomorrow).await["handed_over_at"], Value::Null);
    assert_eq!(kinds(&admin, "/v1/admin/tasks").await, ["visit_handed_over"]);
    app.advance(TimeDelta::minutes(119));
    app.run_jobs().await;
    assert_eq!(see(&client, today).await["status"], "confirmed");
    app.advance(TimeDelta::minutes(1));
    app.run_jobs().await;
    let ended = see(&client, today).await;
    assert_eq!((&ended["status"], &ended["cancellation"]["by"]), (&json!("cancelled"), &json!("therapist")));
    assert_eq!(ended["cancellation"]["fee"]["amount"], 0);
    assert_eq!(kinds(&admin, "/v1/admin/tasks").await, Vec::<String>::new());
    assert_eq!(app.rows("therapist_lapses").await, 1, "it was late");
    app.advance(TimeDelta::days(1));
    app.run_jobs().await;
    assert_eq!(see(&client, tomorrow).await["status"], "confirmed");
}

#[tokio::test]
async fn whoever_comes_back_early_carries_out_what_nobody_has_taken_over() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, [today, tomorrow, _]) = visits(&app, &therapist).await;
    let path = therapist.post(TIME_OFF, off("hand_over")).await.is(201).header("location");
    client.act(&format!("/v1/bookings/{tomorrow}/cancel")).await.is(200);
    therapist.delete(&path).await.is(204);
    assert_eq!(kinds(&client, "/v1/me/notices").await[0], "visit_taken_back");
    app.advance(TimeDelta::hours(2) + TimeDelta::minutes(10));
    app.run_jobs().await;
    let seen = client.get(&format!("/v1/bookings/{today}")).await.is(200).body;
    assert_eq!((&seen["status"], &seen["handed_over_at"]), (&json!("confirmed"), &Value::Null));
    therapist.act(&format!("/v1/bookings/{today}/on-the-way")).await.is(200);
    therapist.delete(&path).await.refused(404, "not_found");
}

#[tokio::test]
async fn of_visits_that_are_kept_staff_hear_within_a_day() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, [today, tomorrow, _]) = visits(&app, &therapist).await;
    let mut plain = off("keep");
    plain.as_object_mut().unwrap().remove("visits");
    therapist.post(TIME_OFF, plain).await.is(201);
    assert_eq!(kinds(&client, "/v1/me/notices").await, Vec::<String>::new());
    let tasks = admin.get("/v1/admin/tasks").await.is(200).body["data"].clone();
    assert_eq!((&tasks[0]["kind"], &tasks[0]["subject_id"]), (&json!("visit_in_time_off"), &json!(today)));
    assert_eq!(tasks.as_array().unwrap().len(), 1, "the one of tomorrow is more than a day ahead: {tomorrow}");
    client.act(&format!("/v1/bookings/{today}/cancel")).await.is(200);
    assert_eq!(kinds(&admin, "/v1/admin/tasks").await, Vec::<String>::new());
}

#[tokio::test]
async fn nothing_is_held_against_a_therapist_who_is_not_fit_to_treat() {
    for (visits_in, lapses) in [("hand_over", 1), ("unfit", 0)] {
        let app = App::start().await;
        let therapist = app.therapist().await;
        let (client, [today, ..]) = visits(&app, &therapist).await;
        let mut later = off("unfit");
        (later["start_at"], later["end_at"]) = (json!("2026-12-05T00:00:00Z"), json!("2026-12-06T00:00:00Z"));
        therapist.post(TIME_OFF, later).await.points_to(&["/visits"]);
        therapist.post(TIME_OFF, off(visits_in)).await.is(201);
        app.advance(TimeDelta::minutes(120));
        app.run_jobs().await;
        let ended = client.get(&format!("/v1/bookings/{today}")).await.is(200).body;
        assert_eq!((&ended["status"], &ended["cancellation"]["fee"]["amount"]), (&json!("cancelled"), &json!(0)));
        assert_eq!(app.rows("therapist_lapses").await, lapses, "{visits_in}");
    }
}

#[tokio::test]
async fn a_fever_that_comes_after_a_handing_over_excuses_it_too() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (_, [today, ..]) = visits(&app, &therapist).await;
    let path = therapist.post(TIME_OFF, off("hand_over")).await.is(201).header("location");
    therapist.delete(&path).await.is(204);
    therapist.post(TIME_OFF, off("hand_over")).await.is(201);
    therapist.post(TIME_OFF, off("unfit")).await.is(201);
    app.advance(TimeDelta::minutes(120));
    app.run_jobs().await;
    assert_eq!(app.rows(&format!("bookings WHERE id = '{today}' AND status = 'cancelled'")).await, 1);
    assert_eq!(app.rows("therapist_lapses").await, 0);
    app.chain_audit().await;
    assert!(!admin.get("/v1/admin/audit?limit=100").await.is(200).text.contains("unfit"), "why is the therapist's own");
}
