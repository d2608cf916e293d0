//! What was done at a visit, how people were in numbers, and what follows at home.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::care::SWEDISH;
use crate::care_visits::{MORNING, RECIPIENTS, Scene};
use crate::sealing::tables_with;
use crate::support::{Answer, Person, send};

/// A visit that has begun; its id.
async fn begun(scene: &Scene) -> String {
    let booked = scene.books(SWEDISH, MORNING, json!({})).await.is(201).id().to_string();
    scene.app.advance(TimeDelta::hours(69) + TimeDelta::minutes(50));
    scene.begins(&booked).await.is(200);
    booked
}

async fn records(who: &Person, booking: &str, content: Value) -> Answer {
    let path = format!("/v1/bookings/{booking}/treatment-record");
    let request = who.request(Method::PUT, &path).json(&content);
    let there = who.get(&path).await.status == 200;
    send(if there { request.header("If-Match", "*") } else { request }).await
}

fn done(but: Value) -> Value {
    let mut content = json!({ "regions": ["upper_back", "neck"], "techniques": ["effleurage"], "pressure": "medium" });
    content.as_object_mut().unwrap().extend(but.as_object().unwrap().clone());
    content
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_is_recorded_in_versions_for_the_two_parties_alone() {
    const CANARY: &str = "Potorookel";
    let scene = Scene::start().await;
    let booked = scene.books(SWEDISH, MORNING, json!({})).await.is(201).id().to_string();
    records(&scene.therapist, &booked, done(json!({}))).await.refused(409, "session_notes_closed");
    scene.app.advance(TimeDelta::hours(69) + TimeDelta::minutes(50));
    scene.begins(&booked).await.is(200);
    let path = format!("/v1/bookings/{booked}/treatment-record");
    scene.client.get(&path).await.refused(404, "not_found");
    let first =
        records(&scene.therapist, &booked, done(json!({ "observations": CANARY, "response": CANARY }))).await.is(200);
    assert_eq!((&first.body["version"], &first.body["observations"]), (&json!(1), &json!(CANARY)));
    let again = records(&scene.therapist, &booked, done(json!({ "observations": CANARY }))).await.is(200);
    assert_eq!(again.body["version"], 2);
    let shown = scene.client.get(&path).await.is(200).body;
    assert_eq!((&shown["version"], &shown["response"]), (&json!(2), &Value::Null));
    send(scene.therapist.request(Method::PUT, &path).json(&done(json!({})))).await.is(428);
    records(&scene.therapist, &booked, done(json!({ "techniques": ["magic"] }))).await.points_to(&["/techniques"]);
    records(&scene.therapist, &booked, done(json!({ "regions": ["soul"] }))).await.points_to(&["/regions"]);
    let (stranger, other, admin) = (scene.app.client().await, scene.app.therapist().await, scene.app.admin().await);
    stranger.get(&path).await.refused(404, "not_found");
    other.get(&path).await.refused(404, "not_found");
    records(&other, &booked, done(json!({}))).await.refused(404, "not_found");
    admin.get(&path).await.refused(403, "forbidden");
    records(&scene.client, &booked, done(json!({}))).await.refused(403, "forbidden");
    assert_eq!(tables_with(&scene.app, CANARY).await, Vec::<String>::new());
    assert!(scene.app.sql("UPDATE treatment_records SET version = 7").await.is_err(), "history stays");
    scene.app.advance(TimeDelta::hours(75));
    records(&scene.therapist, &booked, done(json!({}))).await.refused(409, "session_notes_closed");
    scene.therapist.get(&path).await.is(200);
    // Once the person is erased nothing opens.
    scene.client.delete(&format!("{RECIPIENTS}/{}", scene.oneself)).await.is(204);
    scene.therapist.get(&path).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_beyond_what_suits_is_kept_and_staff_are_told_that_it_did() {
    let scene = Scene::start().await;
    let admin = scene.app.admin().await;
    scene.answers(json!({ "wound": true, "wound_at": ["neck"], "takes_medicines": true, "medicines": [{ "class": "antiplatelet", "name": "Aspirin" }] })).await;
    let booked = begun(&scene).await;
    records(&scene.therapist, &booked, done(json!({ "regions": ["upper_back"] }))).await.is(200);
    assert_eq!(scene.app.rows("incidents").await, 0, "it kept to what suits");
    records(&scene.therapist, &booked, done(json!({ "pressure": "firm" }))).await.is(200);
    assert_eq!(scene.app.rows("incidents WHERE kind = 'safety'").await, 1);
    records(&scene.therapist, &booked, done(json!({ "pressure": "firm", "response": "Good." }))).await.is(200);
    assert_eq!(scene.app.rows("incidents").await, 1, "worded anew it raises nothing again");
    let reaction = json!({ "severity": "moderate", "text": "Dizzy for an hour." });
    records(&scene.therapist, &booked, done(json!({ "adverse_reaction": reaction }))).await.is(200);
    assert_eq!(scene.app.rows("incidents WHERE kind = 'injury'").await, 1);
    let said = format!("/v1/bookings/{booked}/aftercare/feedback");
    scene.client.post(&said, json!({ "feeling": "worse", "adverse_reaction": reaction })).await.is(201);
    assert_eq!(scene.app.rows("incidents WHERE kind = 'injury' AND party = 'client'").await, 1);
    let listed = admin.get("/v1/admin/incidents").await.is(200);
    assert!(listed.body["data"].as_array().unwrap().len() == 3 && !listed.text.contains("Dizzy"), "{}", listed.text);
    assert_eq!(tables_with(&scene.app, "Dizzy").await, Vec::<String>::new());
    let tasks = admin.get("/v1/admin/tasks").await.is(200).body;
    assert_eq!(tasks["data"].as_array().unwrap().iter().filter(|task| task["kind"] == "incident_reported").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn measures_show_how_it_went_in_points_and_percent() {
    let scene = Scene::start().await;
    let booked = scene.books(SWEDISH, MORNING, json!({})).await.is(201).id().to_string();
    let path = format!("/v1/bookings/{booked}/measures");
    let asked = scene.app.sql("UPDATE bookings SET status = 'requested', respond_by = start_at").await;
    asked.unwrap();
    scene.therapist.get(&path).await.refused(404, "not_found");
    scene.app.sql("UPDATE bookings SET status = 'confirmed', respond_by = NULL").await.unwrap();
    let of = |value: Value| json!({ "value": value });
    let nrs = |score: u8| of(json!({ "instrument": "nrs", "score": score }));
    scene.client.post(&path, nrs(6)).await.is(201);
    // Ids sort by the time.
    scene.app.advance(TimeDelta::seconds(1));
    let agreed = |count: usize| {
        of(json!({ "instrument": "roland_morris", "answers": (0..24).map(|n| n < count).collect::<Vec<_>>() }))
    };
    let made = scene.client.post(&path, agreed(12)).await.is(201).body;
    assert_eq!((&made["score"], &made["highest"], &made["taken_by"]), (&json!(12.0), &json!(24.0), &json!("client")));
    scene.app.advance(TimeDelta::hours(1));
    scene.therapist.post(&path, nrs(3)).await.is(201);
    scene.app.advance(TimeDelta::seconds(1));
    scene
        .client
        .post(&path, of(json!({ "instrument": "other", "name": "NDI", "score": 20, "highest": 50 })))
        .await
        .is(201);
    for (wrong, pointer) in [
        (nrs(11), "/value/score"),
        (of(json!({ "instrument": "roland_morris", "answers": [true] })), "/value/answers"),
        (of(json!({ "instrument": "psfs", "activities": [] })), "/value/activities"),
        (of(json!({ "instrument": "other", "name": "NDI", "score": 60, "highest": 50 })), "/value/score"),
        (of(json!({ "instrument": "other", "name": "NRS", "score": 1, "highest": 10 })), "/value/name"),
    ] {
        scene.client.post(&path, wrong).await.points_to(&[pointer]);
    }
    assert_eq!(scene.therapist.get(&path).await.is(200).body["data"].as_array().unwrap().len(), 4);
    let progress = scene.client.get(&format!("{RECIPIENTS}/{}/progress", scene.oneself)).await.is(200).body;
    let series = progress["data"].as_array().unwrap();
    assert_eq!(
        series.iter().map(|one| one["instrument"].as_str().unwrap()).collect::<Vec<_>>(),
        ["nrs", "roland_morris", "NDI"]
    );
    assert_eq!((&series[0]["change"], &series[0]["change_percent"]), (&json!(-3.0), &json!(-50)));
    assert_eq!((&series[0]["noticed"]["points"], &series[2]["noticed"]), (&json!(2.0), &Value::Null));
    let stranger = scene.app.client().await;
    stranger.get(&path).await.refused(404, "not_found");
    stranger.post(&path, nrs(1)).await.refused(404, "not_found");
    stranger.get(&format!("{RECIPIENTS}/{}/progress", scene.oneself)).await.refused(404, "not_found");
    scene.therapist.get(&format!("{RECIPIENTS}/{}/progress", scene.oneself)).await.refused(403, "forbidden");
    assert_eq!(tables_with(&scene.app, "roland_morris").await, Vec::<String>::new());
    for _ in 4..40 {
        scene.client.post(&path, nrs(5)).await.is(201);
    }
    scene.client.post(&path, nrs(5)).await.refused(422, "too_many_measures");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aftercare_suits_the_person_and_hears_how_they_were() {
    let scene = Scene::start().await;
    let codes = async |booking: &str| -> Vec<String> {
        let care = scene.client.get(&format!("/v1/bookings/{booking}/aftercare")).await.is(200).body;
        care["items"].as_array().unwrap().iter().map(|item| item["code"].as_str().unwrap().to_owned()).collect()
    };
    let booked = scene.books(SWEDISH, MORNING, json!({})).await.is(201).id().to_string();
    assert!(codes(&booked).await.contains(&"foam_rolling".to_owned()));
    scene.answers(json!({ "wound": true, "wound_at": ["left_calf"] })).await;
    assert!(!codes(&booked).await.contains(&"foam_rolling".to_owned()), "an open wound on the leg");
    let said = format!("/v1/bookings/{booked}/aftercare/feedback");
    scene.client.post(&said, json!({ "feeling": "better" })).await.refused(409, "invalid_transition");
    scene.app.advance(TimeDelta::hours(69) + TimeDelta::minutes(50));
    scene.begins(&booked).await.is(200);
    scene.client.post(&said, json!({ "feeling": "better", "text": "Slept well." })).await.is(201);
    let seen = scene.therapist.get(&format!("/v1/bookings/{booked}/aftercare")).await.is(200).body;
    assert_eq!(
        (&seen["feedback"][0]["feeling"], &seen["feedback"][0]["text"]),
        (&json!("better"), &json!("Slept well."))
    );
    scene.app.advance(TimeDelta::hours(80));
    let late = scene.therapist.get(&format!("/v1/bookings/{booked}/aftercare")).await.is(200).body;
    assert_eq!(late["items"], json!([]), "what suits now is not for the therapist to know any more");
    scene.therapist.post(&said, json!({ "feeling": "better" })).await.refused(403, "forbidden");
    scene.app.client().await.post(&said, json!({ "feeling": "better" })).await.refused(404, "not_found");
    scene.client.post(&said, json!({ "feeling": "grand" })).await.points_to(&["/feeling"]);
    for _ in 1..10 {
        scene.client.post(&said, json!({ "feeling": "same" })).await.is(201);
    }
    scene.client.post(&said, json!({ "feeling": "same" })).await.refused(422, "too_many_feedbacks");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_adults_treatment_is_not_the_bookers_to_read() {
    let scene = Scene::start().await;
    let new = json!({ "relation": "partner", "display_name": "Ines", "born_on": "1990-03-01" });
    let partner = scene.client.post(RECIPIENTS, new).await.is(201).id().to_string();
    let booked = scene.books(SWEDISH, MORNING, json!({ "recipient_id": partner })).await.is(201).id().to_string();
    scene.app.advance(TimeDelta::hours(69) + TimeDelta::minutes(50));
    scene.begins(&booked).await.is(200);
    records(&scene.therapist, &booked, done(json!({}))).await.is(200);
    for path in ["treatment-record", "measures", "aftercare"] {
        scene.client.get(&format!("/v1/bookings/{booked}/{path}")).await.refused(404, "not_found");
    }
    scene.client.get(&format!("{RECIPIENTS}/{partner}/progress")).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_is_proposed_answered_and_ended() {
    const CANARY: &str = "Bandicootle";
    let scene = Scene::start().await;
    let booked = scene.books(SWEDISH, MORNING, json!({})).await.is(201).id().to_string();
    let path = format!("/v1/bookings/{booked}/plan");
    let plan = |but: Value| {
        let mut plan = json!({
            "goal": CANARY, "visits": 6, "every_days": 14, "review_after_visits": 3, "ends_on": "2027-03-31", "stop_when": "No better after three visits.",
        });
        plan.as_object_mut().unwrap().extend(but.as_object().unwrap().clone());
        plan
    };
    scene.therapist.post(&path, plan(json!({}))).await.refused(409, "session_notes_closed");
    scene.app.advance(TimeDelta::hours(69) + TimeDelta::minutes(50));
    scene.begins(&booked).await.is(200);
    scene.client.get(&path).await.refused(404, "not_found");
    for (but, pointer) in [
        (json!({ "visits": 0, "review_after_visits": 1 }), "/visits"),
        (json!({ "every_days": 91 }), "/every_days"),
        (json!({ "review_after_visits": 7 }), "/review_after_visits"),
        (json!({ "ends_on": "2026-01-01" }), "/ends_on"),
        (json!({ "ends_on": "2029-01-01" }), "/ends_on"),
        (json!({ "stop_when": "" }), "/stop_when"),
    ] {
        scene.therapist.post(&path, plan(but)).await.points_to(&[pointer]);
    }
    scene.client.post(&path, plan(json!({}))).await.refused(403, "forbidden");
    let first = scene.therapist.post(&path, plan(json!({}))).await.is(201).id();
    scene.app.advance(TimeDelta::seconds(1));
    let second = scene.therapist.post(&path, plan(json!({ "visits": 4 }))).await.is(201);
    assert!(
        second.id() != first && second.body["visits"] == 4,
        "a proposal takes the place of one that was not answered"
    );
    scene.client.post(&format!("{path}/feedback"), json!({ "text": format!("{CANARY}?") })).await.is(201);
    scene.therapist.act(&format!("{path}/accept")).await.refused(403, "forbidden");
    scene.app.client().await.act(&format!("{path}/accept")).await.refused(404, "not_found");
    let accepted = scene.client.act(&format!("{path}/accept")).await.is(200).body;
    assert_eq!((&accepted["state"], &accepted["over"]), (&json!("accepted"), &json!(false)));
    scene.client.act(&format!("{path}/accept")).await.is(200);
    scene.client.act(&format!("{path}/decline")).await.refused(409, "invalid_transition");
    scene.therapist.post(&path, plan(json!({}))).await.refused(409, "plan_open");
    assert_eq!(scene.therapist.get(&path).await.is(200).body["feedback"][0]["text"], format!("{CANARY}?"));
    let ended = scene.client.act(&format!("{path}/end")).await.is(200).body;
    assert_eq!((&ended["state"], &ended["ended_by"]), (&json!("ended"), &json!("client")));
    scene.client.act(&format!("{path}/end")).await.is(200);
    scene.client.post(&format!("{path}/feedback"), json!({ "text": "Late." })).await.refused(409, "invalid_transition");
    scene.app.advance(TimeDelta::seconds(1));
    scene.therapist.post(&path, plan(json!({}))).await.is(201);
    scene.client.act(&format!("{path}/decline")).await.is(200);
    scene.client.act(&format!("{path}/end")).await.refused(409, "invalid_transition");
    let mut told = scene.told(&scene.therapist).await;
    told.retain(|kind| kind.starts_with("plan"));
    assert_eq!(told, ["plan_declined", "plan_ended", "plan_accepted", "plan_feedback_given"]);
    assert_eq!(tables_with(&scene.app, CANARY).await, Vec::<String>::new());
}
