//! What time brings: reminders before a credential ends, and authorities that are to be asked again.

use chrono::TimeDelta;
use knead::credentials::jobs::{LookAhead, Recheck};
use knead::credentials::reminders::{recheck, remind};
use knead::ids::CredentialId;
use knead::queue::Run;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{App, Person, at};

/// A verified credential of a type, straight into the table.
async fn verified(app: &App, therapist: &Person, code: &str, expires_on: &str) -> Uuid {
    let id = Uuid::now_v7();
    sqlx::query(
        "INSERT INTO credentials (id, therapist_id, type, name_on_credential, expires_on, review_state, board_status, created_at)
         VALUES ($1, $2, $3, 'Test', $4::date, 'verified', 'active', $5)",
    )
    .bind(id)
    .bind(therapist.id)
    .bind(code)
    .bind(expires_on)
    .bind(app.now())
    .execute(&*app.service.db)
    .await
    .unwrap();
    id
}

/// What the therapist was told of credentials that end, oldest first.
async fn told(therapist: &Person) -> Vec<i64> {
    let page = therapist.get("/v1/me/notices?limit=100").await.is(200).body;
    let notices = page["data"].as_array().unwrap().iter().filter(|notice| notice["kind"] == "credential_expires");
    let mut days: Vec<i64> = notices.map(|notice| notice["details"]["days_before"].as_i64().unwrap()).collect();
    days.reverse();
    days
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holders_are_reminded_once_at_60_30_7_and_0_days() {
    // An hour to midnight in Sydney: the therapist's calendar counts, not UTC's.
    let app = App::start_at(at("2026-11-30T12:00:00Z")).await;
    let therapist = app.newcomer().await;
    verified(&app, &therapist, "INSURANCE", "2027-01-30").await;
    let mut expected: Vec<i64> = Vec::new();
    for day in 0..=65 {
        // 61 days are left on the first evening.
        let left = 61 - day;
        if [60, 30, 7, 0].contains(&left) {
            expected.push(left);
        }
        for _ in 0..2 {
            remind(&app.service).await.unwrap();
        }
        if [60, 59, 30, 29, 7, 6, 0, -1].contains(&left) {
            assert_eq!(told(&therapist).await, expected, "{left} days before");
        }
        app.advance(TimeDelta::days(1));
    }
    assert_eq!(expected, [60, 30, 7, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_day_is_the_therapists_own() {
    let app = App::start_at(at("2026-11-30T12:59:00Z")).await;
    let therapist = app.newcomer().await;
    verified(&app, &therapist, "INSURANCE", "2027-01-30").await;
    remind(&app.service).await.unwrap();
    assert_eq!(told(&therapist).await, [] as [i64; 0], "61 days before, by a minute");
    app.advance(TimeDelta::minutes(1));
    remind(&app.service).await.unwrap();
    assert_eq!(told(&therapist).await, [60]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_that_the_database_does_not_know_stops_nobody() {
    let app = App::start().await;
    let (odd, old, therapist) = (app.newcomer().await, app.newcomer().await, app.newcomer().await);
    for (person, zone) in [(&odd, "Mars/Olympus"), (&old, "US/Michigan")] {
        app.sql(&format!("UPDATE accounts SET time_zone = '{zone}' WHERE id = '{}'", person.id)).await.unwrap();
    }
    for person in [&odd, &old, &therapist] {
        verified(&app, person, "INSURANCE", "2026-12-05").await;
    }
    app.sql("UPDATE credentials SET recheck_on = '2026-11-30'").await.unwrap();
    let waiting = app.jobs_waiting().await;
    // None of its local dates is asked of the database, which may be one that fails at them.
    LookAhead.run(app.service.clone()).await.unwrap();
    assert!(app.jobs_waiting().await >= waiting + 3, "each authority is asked again");
    assert_eq!((told(&therapist).await, told(&old).await), (vec![7], vec![7]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_not_reminded_in_time_is_reminded_of_the_nearest_end_alone() {
    let app = App::start().await;
    let therapist = app.newcomer().await;
    let id = verified(&app, &therapist, "INSURANCE", "2026-12-05").await;
    let (one, other) = tokio::join!(remind(&app.service), remind(&app.service));
    one.unwrap();
    other.unwrap();
    assert_eq!(told(&therapist).await, [7]);
    assert_eq!(app.rows("credential_reminders").await, 3, "60 and 30 are past");

    // A new end is reminded of anew; an end that a renewal outlasts is not.
    app.sql(&format!("UPDATE credentials SET expires_on = '2026-12-20' WHERE id = '{id}'")).await.unwrap();
    remind(&app.service).await.unwrap();
    assert_eq!(told(&therapist).await, [7, 30]);
    let other = app.newcomer().await;
    verified(&app, &other, "INSURANCE", "2026-12-05").await;
    verified(&app, &other, "INSURANCE", "2027-12-05").await;
    remind(&app.service).await.unwrap();
    assert_eq!(told(&other).await, [] as [i64; 0]);
    // What is not in force ends without a word.
    let third = app.newcomer().await;
    let id = verified(&app, &third, "INSURANCE", "2026-12-05").await;
    app.sql(&format!("UPDATE credentials SET review_state = 'suspended' WHERE id = '{id}'")).await.unwrap();
    remind(&app.service).await.unwrap();
    assert_eq!(told(&third).await, [] as [i64; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_is_to_be_asked_again_becomes_a_task_once() {
    let app = App::start().await;
    let (therapist, admin) = (app.newcomer().await, app.admin().await);
    let id = verified(&app, &therapist, "US-TX-LMT", "2027-12-05").await;
    app.sql(&format!("UPDATE credentials SET recheck_on = '2026-12-01' WHERE id = '{id}'")).await.unwrap();
    let due = async || {
        recheck(&app.service).await.unwrap();
        app.run_jobs().await;
        app.rows("tasks WHERE kind = 'recheck_due'").await
    };
    assert_eq!(due().await, 0, "tomorrow");
    app.advance(TimeDelta::days(1));
    assert_eq!(due().await, 1);
    assert_eq!(due().await, 1);
    Recheck { credential: CredentialId(id) }.run(app.service.clone()).await.unwrap();
    assert_eq!(app.rows("tasks WHERE kind = 'recheck_due'").await, 1);
    assert_eq!(admin.get("/v1/admin/credentials/counts").await.is(200).body["recheck_due"], 1);
    let listed = admin.get("/v1/admin/tasks?kind=recheck_due").await.is(200).body;
    assert_eq!(listed["data"][0]["subject_id"], json!(id));
    // A check that finds nothing against it moves the day, and nothing is due.
    let body = json!({ "reason_codes": ["verified_primary_source"] });
    admin.post(&format!("/v1/admin/credentials/{id}/checks"), body).await.is(201);
    let counts = admin.get("/v1/admin/credentials/counts").await.is(200).body;
    assert_eq!((&counts["recheck_due"], &counts["oldest_submitted_at"]), (&json!(0), &Value::Null));
}
