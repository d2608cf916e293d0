use chrono::TimeDelta;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{App, send, surry_hills};

const TUESDAY: &str = "2026-12-01T00:00:00Z";

#[tokio::test]
async fn the_same_request_gets_the_same_answer_byte_for_byte() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let wish = client.wish(&therapist, address, TUESDAY);
    let first = client.books_with_key("key-1", &wish).await.is(201);
    assert!(!first.headers.contains_key("idempotent-replay"));
    app.advance(TimeDelta::minutes(5));
    let second = client.books_with_key("key-1", &wish).await.is(201);
    assert_eq!((&second.text, second.header("location")), (&first.text, first.header("location")));
    assert_eq!((second.header("idempotent-replay"), second.header("etag")), ("true".to_owned(), first.header("etag")));
    let other = client.wish(&therapist, address, "2026-12-01T03:00:00Z");
    client.books_with_key("key-1", &other).await.refused(422, "idempotency_key_reused");
    let (stranger, address) = app.client_at_home().await;
    let wish = stranger.wish(&therapist, address, "2026-12-01T03:00:00Z");
    stranger.books_with_key("key-1", &wish).await.is(201);
    assert_eq!(app.rows("bookings").await, 2);
}

#[tokio::test]
async fn a_booking_needs_a_key_and_a_refused_one_keeps_none() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let wish = client.wish(&therapist, address, TUESDAY);
    client.post("/v1/bookings", wish.clone()).await.refused(400, "idempotency_key_missing");
    for bad in ["", &"x".repeat(256)] {
        client.books_with_key(bad, &wish).await.points_to(&["/Idempotency-Key"]);
    }
    let off = json!({ "start_at": TUESDAY, "end_at": "2026-12-01T01:00:00Z" });
    let off = therapist.post("/v1/therapists/me/time-off", off).await.is(201).header("location");
    client.books_with_key("key", &wish).await.refused(409, "slot_unavailable");
    therapist.delete(&off).await.is(204);
    client.books_with_key("key", &wish).await.is(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_requests_with_one_key_have_one_effect() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let (client, wish) = (client.clone(), client.wish(&therapist, address, TUESDAY));
        tasks.spawn(async move {
            // Whoever is told that the first one still runs asks again.
            for _ in 0..200 {
                let answer = client.books_with_key("one", &wish).await;
                if answer.status != 409 {
                    return answer.is(201).text;
                }
                answer.refused(409, "idempotency_key_in_flight");
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            panic!("the first request never ends");
        });
    }
    let answers = tasks.join_all().await;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(app.rows("bookings").await, 1);
    assert_eq!(app.rows("reservations").await, 1);
}

#[tokio::test]
async fn every_creation_may_carry_a_key() {
    let app = App::start().await;
    let (client, therapist) = (app.client().await, app.newcomer().await);
    let credential = json!({ "type": "AU-QUAL", "name_on_credential": "Sam" });
    let off = json!({ "start_at": TUESDAY, "end_at": "2026-12-02T00:00:00Z" });
    for (who, path, body) in [
        (&client, "/v1/me/addresses", surry_hills()),
        (&therapist, "/v1/therapists/me/credentials", credential),
        (&therapist, "/v1/therapists/me/time-off", off),
    ] {
        let post = || send(who.request(reqwest::Method::POST, path).header("Idempotency-Key", "k").json(&body));
        let (first, second) = (post().await.is(201), post().await.is(201));
        assert_eq!(first.text, second.text, "{path}");
        assert_eq!(who.get(path).await.is(200).body["data"].as_array().unwrap().len(), 1, "{path}");
    }
}

#[tokio::test]
async fn answers_are_kept_for_two_days() {
    let app = App::start().await;
    let client = app.client().await;
    send(client.request(reqwest::Method::POST, "/v1/me/addresses").header("Idempotency-Key", "k").json(&surry_hills()))
        .await
        .is(201);
    app.advance(TimeDelta::hours(48));
    knead::idempotency::forget_old_keys(&app.service.db, app.now()).await.unwrap();
    assert_eq!(app.rows("idempotency_keys").await, 1);
    app.advance(TimeDelta::seconds(1));
    knead::idempotency::forget_old_keys(&app.service.db, app.now()).await.unwrap();
    assert_eq!(app.rows("idempotency_keys").await, 0);
}

#[tokio::test]
async fn the_hourly_sweep_runs_as_it_is_scheduled() {
    let app = App::start().await;
    let client = app.client().await;
    // The schedule adds its jobs without a payload.
    app.sql("SELECT graphile_worker.add_job('sweep', 'null'::json)").await.unwrap();
    app.advance(TimeDelta::days(32));
    app.run_jobs().await;
    app.run_jobs().await;
    assert_eq!((app.jobs_waiting().await, app.rows("refresh_tokens").await), (0, 0));
    assert_eq!(app.rows("accounts").await, 1, "{}", client.id);
}
