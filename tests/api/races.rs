use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{Answer, App, Dice, Person};

/// Sends every wish at once, and counts the answers; also the longest one took.
async fn all_at_once(wishes: Vec<(Person, Uuid, Person, String)>) -> (HashMap<u16, usize>, Duration, Vec<Answer>) {
    let mut tasks = JoinSet::new();
    for (client, address, therapist, start) in wishes {
        tasks.spawn(async move {
            let began = Instant::now();
            (client.books(&therapist, address, &start).await, began.elapsed())
        });
    }
    let (mut counts, mut longest, mut answers) = (HashMap::new(), Duration::ZERO, Vec::new());
    for (answer, took) in tasks.join_all().await {
        *counts.entry(answer.status.as_u16()).or_default() += 1;
        longest = longest.max(took);
        answers.push(answer);
    }
    (counts, longest, answers)
}

async fn clients(app: &App, count: usize) -> Vec<(Person, Uuid)> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(app.client_at_home().await);
    }
    clients
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_clients_one_gets_the_slot() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let clients = clients(&app, 64).await;
    for day in 1..=5 {
        let start = format!("2026-12-0{day}T00:00:00Z");
        let wishes =
            clients.iter().map(|(client, address)| (client.clone(), *address, therapist.clone(), start.clone()));
        let (counts, longest, answers) = all_at_once(wishes.collect()).await;
        println!("64 clients, one slot: {counts:?}, longest {longest:?}");
        assert_eq!(counts, HashMap::from([(201, 1), (409, 63)]));
        for answer in answers.into_iter().filter(|answer| answer.status == 409) {
            answer.refused(409, "slot_unavailable");
        }
    }
    assert_eq!(app.rows("bookings").await, 5);
    assert_eq!(app.rows("booking_events").await, 5);
    assert_eq!(app.rows("idempotency_keys").await, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn partly_overlapping_starts_never_overlap_and_never_stall() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let clients = clients(&app, 32).await;
    for seed in 1..=3 {
        let mut dice = Dice(seed);
        let wishes = clients.iter().map(|(client, address)| {
            // Quarter-hours between eleven and three: each overlaps its neighbours.
            let minutes = dice.roll(16) * 15;
            let start = format!("2026-12-0{seed}T{:02}:{:02}:00Z", minutes / 60, minutes % 60);
            (client.clone(), *address, therapist.clone(), start)
        });
        let (counts, longest, _) = all_at_once(wishes.collect()).await;
        println!("32 clients, overlapping starts, seed {seed}: {counts:?}, longest {longest:?}");
        assert!(counts.keys().all(|status| matches!(status, 201 | 409)), "{counts:?}");
        assert!((1..=3).contains(&counts[&201]), "{counts:?}");
    }
    let overlaps = app
        .rows("bookings a JOIN bookings b ON a.id < b.id AND tstzrange(a.start_at, a.start_at + interval '80 minutes') && tstzrange(b.start_at, b.start_at + interval '80 minutes')")
        .await;
    assert_eq!(overlaps, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_pending_requests_for_one_time_cannot_exist() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    therapist.change("/v1/therapists/me", json!({ "booking_mode": "request" })).await.is(200);
    let clients = clients(&app, 8).await;
    let wishes = clients
        .iter()
        .map(|(client, address)| (client.clone(), *address, therapist.clone(), "2026-12-01T00:00:00Z".to_owned()));
    let (counts, ..) = all_at_once(wishes.collect()).await;
    assert_eq!(counts, HashMap::from([(201, 1), (409, 7)]));
    assert_eq!(app.jobs_waiting().await, 0, "a request queues nothing: a notification locks the whole database");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn accepting_and_cancelling_at_once_leave_one_truth() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    therapist.change("/v1/therapists/me", json!({ "booking_mode": "request" })).await.is(200);
    let (client, address) = app.client_at_home().await;
    for _ in 0..20 {
        let path = client.books(&therapist, address, "2026-12-01T00:00:00Z").await.is(201).header("location");
        let (accept, cancel) = (format!("{path}/accept"), format!("{path}/cancel"));
        let (accepted, cancelled) = tokio::join!(therapist.act(&accept), client.post(&cancel, json!({})));
        assert_eq!(cancelled.is(200).body["status"], "cancelled");
        assert!(matches!(accepted.status.as_u16(), 200 | 409), "{}", accepted.text);
        assert_eq!(client.get(&path).await.body["status"], "cancelled");
        assert_eq!(app.rows("reservations").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn time_off_and_a_booking_at_once_know_of_each_other() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    for _ in 0..100 {
        let off = json!({ "start_at": "2026-12-01T00:00:00Z", "end_at": "2026-12-01T02:00:00Z" });
        let (off, booked) = tokio::join!(
            therapist.post("/v1/therapists/me/time-off", off),
            client.books(&therapist, address, "2026-12-01T00:00:00Z")
        );
        let off = off.is(201);
        let hit = off.body["bookings"].as_array().unwrap().len();
        match booked.status.as_u16() {
            201 => assert_eq!(hit, 1, "the time off came second and lists the visit"),
            409 => assert_eq!(hit, 0, "the time off came first"),
            other => panic!("{other}: {}", booked.text),
        }
        if booked.status == 201 {
            client.post(&format!("{}/cancel", booked.header("location")), json!({})).await.is(200);
        }
        therapist.delete(&off.header("location")).await.is(204);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_refreshes_keep_the_session_and_leave_one_token() {
    let app = App::start().await;
    let client = app.client().await;
    let mut tasks = JoinSet::new();
    for _ in 0..20 {
        let (nobody, body) = (app.nobody(), json!({ "refresh_token": client.refresh_token }));
        tasks.spawn(async move { nobody.post("/v1/auth/refresh", body).await.is(200).body["refresh_token"].clone() });
    }
    let tokens = tasks.join_all().await;
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!(app.rows("refresh_tokens WHERE used_at IS NULL").await, 1);
    client.get("/v1/me").await.is(200);
}
