//! What is kept of people ends: as long after their last visit as its place says, and of minors as long after they are of age.

use chrono::{NaiveDate, TimeDelta};
use reqwest::Method;
use serde_json::json;

use crate::care::{SWEDISH, screens};
use crate::care_visits::{MORNING, RECIPIENTS, Scene};
use crate::documents::files;
use crate::retention::sweep;
use crate::support::send;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_of_people_ends_with_its_years() {
    let scene = Scene::start().await;
    let child = json!({ "relation": "child", "display_name": "Noa", "born_on": "2012-03-01" });
    let child = scene.client.post(RECIPIENTS, child).await.is(201).id().to_string();
    let idle = json!({ "relation": "other", "display_name": "Kim", "born_on": "1980-03-01" });
    let idle = scene.client.post(RECIPIENTS, idle).await.is(201).id().to_string();
    scene.answers(json!({ "epilepsy": "controlled" })).await;
    screens(&scene.app, &scene.client, &child, json!({})).await.is(201);
    // A letter, and words that were agreed to.
    let terms = json!({
        "rules": ["epilepsy_uncontrolled"], "provider": { "kind": "doctor", "name": "Dr. Lea Brandt" }, "services": [],
        "given_on": "2026-11-29", "until": "2027-06-30", "limits": {},
    });
    let clearance = scene.client.post(&format!("{RECIPIENTS}/{}/clearances", scene.oneself), terms).await.is(201);
    let letters = format!("{}/documents", clearance.header("location"));
    scene.client.upload(&letters, "letter.pdf", &crate::documents::pdf(1)).await.is(201);
    scene.client.act(&format!("{}/submit", clearance.header("location"))).await.is(200);
    let mut visits = Vec::new();
    for (start, of) in [(MORNING, &scene.oneself), ("2026-12-03T03:00:00Z", &child)] {
        visits.push(scene.books(SWEDISH, start, json!({ "recipient_id": of })).await.is(201).id().to_string());
    }
    for (booked, start) in visits.iter().zip([MORNING, "2026-12-03T03:00:00Z"]) {
        scene.app.advance(crate::support::at(start) - scene.app.now() - TimeDelta::minutes(10));
        scene.begins(booked).await.is(200);
        let record = json!({ "regions": ["neck"], "techniques": ["effleurage"], "pressure": "medium" });
        let path = format!("/v1/bookings/{booked}/treatment-record");
        send(scene.therapist.request(Method::PUT, &path).json(&record)).await.is(200);
        scene.app.advance(TimeDelta::minutes(70));
        scene.therapist.act(&format!("/v1/bookings/{booked}/complete")).await.is(200);
    }
    let on = |date: &str| {
        let date: NaiveDate = date.parse().unwrap();
        scene.app.advance(date.and_hms_opt(12, 0, 0).unwrap().and_utc() - scene.app.now());
    };
    let left = async || {
        let mut left = Vec::new();
        for id in [&scene.oneself, &child, &idle] {
            left.push(scene.app.rows(&format!("subject_keys WHERE id = '{id}'")).await);
        }
        left
    };
    let record = |booked: &str| format!("/v1/bookings/{booked}/treatment-record");
    sweep(&scene.app).await;
    assert_eq!(left().await, [1, 1, 1]);
    assert_eq!(files(scene.app.files.path()), 1);
    // Of whoever was entered and never came the longest policy holds, of ten years in Ontario.
    on("2033-12-02");
    sweep(&scene.app).await;
    assert_eq!(left().await, [1, 1, 1]);
    let therapist = async || scene.app.nobody().log_in(&scene.therapist.email).await;
    therapist().await.get(&record(&visits[0])).await.is(200);
    on("2033-12-05");
    for _ in 0..2 {
        sweep(&scene.app).await;
        assert_eq!(left().await, [0, 1, 1], "twice changes nothing");
    }
    therapist().await.get(&record(&visits[0])).await.refused(404, "not_found");
    let erased =
        format!("events WHERE kind = 'recipient.erase' AND party = 'system' AND subject_id = '{}'", scene.oneself);
    assert_eq!(scene.app.rows(&erased).await, 1);
    scene.app.advance(TimeDelta::hours(25));
    sweep(&scene.app).await;
    assert_eq!(files(scene.app.files.path()), 0, "the letter goes");
    assert_eq!(scene.app.rows("treatment_records").await, 2, "the rows stay, and say nothing");
    on("2036-11-29");
    sweep(&scene.app).await;
    assert_eq!(left().await, [0, 1, 1]);
    // Of age on 1 March 2030.
    on("2037-02-27");
    sweep(&scene.app).await;
    assert_eq!(left().await, [0, 1, 0]);
    therapist().await.get(&record(&visits[1])).await.is(200);
    on("2037-03-02");
    sweep(&scene.app).await;
    assert_eq!(left().await, [0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visit_or_another_policy_keeps_what_would_end() {
    let scene = Scene::start().await;
    scene.answers(json!({})).await;
    scene.books(SWEDISH, MORNING, json!({})).await.is(201);
    let keys = async || {
        sweep(&scene.app).await;
        scene.app.rows("subject_keys").await
    };
    assert_eq!(keys().await, 1);
    // A year before its end the place asks for three years more; whoever cannot be opened keeps nobody else.
    scene.app.advance(TimeDelta::days(6 * 365));
    let terms = json!({
        "mode": "asked", "answers_last_days": 365, "confirm_hours": 48, "adult_age": 18, "retention_years": 10, "signed_consultation": false,
    });
    let from = scene.app.now() + TimeDelta::minutes(2);
    let policy = json!({ "place": "AU-NSW", "version": 2, "terms": terms, "effective_from": from });
    scene.app.admin().await.post("/v1/admin/care-policies", policy).await.is(201);
    scene.app.advance(TimeDelta::days(2 * 365));
    assert_eq!(keys().await, 1);
    let client = scene.app.nobody().log_in(&scene.client.email).await;
    screens(&scene.app, &client, &scene.oneself, json!({})).await.is(201);
    scene.app.advance(TimeDelta::days(3 * 365));
    assert_eq!(keys().await, 1, "what was answered since keeps them");
    scene.app.advance(TimeDelta::days(5 * 365));
    assert_eq!(keys().await, 1, "by the place of their visit");
    scene.app.advance(TimeDelta::days(3 * 365));
    assert_eq!(keys().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_still_in_use_stays() {
    let scene = Scene::start().await;
    let guest = json!({ "relation": "partner", "display_name": "Ines", "born_on": "1990-01-01" });
    let guest = scene.client.post(RECIPIENTS, guest).await.is(201).id().to_string();
    let idle = json!({ "relation": "other", "display_name": "Kim", "born_on": "1980-03-01" });
    let idle = scene.client.post(RECIPIENTS, idle).await.is(201).id().to_string();
    let left = async |id: &str| scene.app.rows(&format!("subject_keys WHERE id = '{id}'")).await;
    let years = |years: i64| scene.app.advance(TimeDelta::days(years * 366));
    years(8);
    let client = scene.app.nobody().log_in(&scene.client.email).await;
    let said = json!({ "code": "parent_permission", "version": 1, "answer": "given", "name": "Mia" });
    client.post(&format!("{RECIPIENTS}/{}/consents", scene.oneself), said).await.is(201);
    client.act(&format!("{RECIPIENTS}/{guest}/invitations")).await.is(201);
    let hold = |until: &str| {
        format!("INSERT INTO holds (id, client_id, therapist_id, service_id, start_at, duration_minutes, address, amount, currency, terms, created_at, expires_at)
                 VALUES (gen_random_uuid(), (SELECT account_id FROM recipients WHERE id = '{idle}'), '{}', '{SWEDISH}', '2037-01-01T00:00:00Z', 60, '{{}}', 1, 'AUD', '{{}}', '2026-12-01T00:00:00Z', '{until}')", scene.therapist.id)
    };
    scene.app.sql(&hold("2037-03-01T00:00:00Z")).await.unwrap();
    years(2);
    sweep(&scene.app).await;
    assert_eq!((left(&scene.oneself).await, left(&guest).await, left(&idle).await), (1, 1, 1));
    scene.app.advance(TimeDelta::days(100));
    sweep(&scene.app).await;
    assert_eq!((left(&scene.oneself).await, left(&guest).await, left(&idle).await), (1, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_cannot_be_opened_is_put_off_and_keeps_nobody() {
    let scene = Scene::start().await;
    let idle = json!({ "relation": "other", "display_name": "Kim", "born_on": "1980-03-01" });
    let idle = scene.client.post(RECIPIENTS, idle).await.is(201).id().to_string();
    let broken = format!("UPDATE subject_keys SET key_sealed = 'kn1:nothing' WHERE id = '{}'", scene.oneself);
    scene.app.sql(&broken).await.unwrap();
    scene.app.advance(TimeDelta::days(11 * 366));
    sweep(&scene.app).await;
    assert_eq!(scene.app.rows(&format!("subject_keys WHERE id = '{idle}'")).await, 0);
    let tomorrow = (scene.app.now() + TimeDelta::days(1)).date_naive();
    let put_off = format!("recipients WHERE id = '{}' AND look_on = '{tomorrow}'", scene.oneself);
    assert_eq!(scene.app.rows(&put_off).await, 1);
}
