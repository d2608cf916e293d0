use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use chrono::TimeDelta;
use knead::ids::TherapistId;
use serde_json::json;
use tokio::task::JoinSet;

use super::{Scene, moves, scene, scene_with};
use crate::support::{Answer, App, Person, send};

/// No visit overlaps another, and each has its own reservation, at its own time.
async fn assert_whole(app: &App) {
    let live = "bookings WHERE status IN ('requested', 'confirmed')";
    let matched = "bookings b JOIN reservations r ON r.booking_id = b.id AND r.start_at = b.start_at
                   WHERE b.status IN ('requested', 'confirmed')";
    assert_eq!(app.rows(live).await, app.rows(matched).await);
    let overlaps = "bookings a JOIN bookings b ON a.id < b.id AND a.therapist_id = b.therapist_id
                    AND a.status IN ('requested', 'confirmed') AND b.status IN ('requested', 'confirmed')
                    AND tstzrange(a.start_at, a.start_at + interval '80 minutes') && tstzrange(b.start_at, b.start_at + interval '80 minutes')";
    assert_eq!(app.rows(overlaps).await, 0);
}

async fn start_of(client: &Person, path: &str) -> String {
    client.get(path).await.is(200).body["start_at"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_visits_swapped_at_once_are_neither_lost_nor_doubled() {
    let Scene { app, therapist, client: mia, path: hers, .. } = &scene().await;
    let (tom, address) = app.client_at_home().await;
    let slots = ["2026-12-08T00:00:00Z", "2026-12-08T02:00:00Z", "2026-12-08T04:00:00Z"];
    moves(mia, hers, slots[0]).await.is(200);
    let his = tom.books(therapist, address, slots[1]).await.is(201).header("location");
    let mut outcomes: HashMap<(u16, u16), usize> = HashMap::new();
    for round in 0..100 {
        let (her_start, his_start) = (start_of(mia, hers).await, start_of(&tom, &his).await);
        let free = slots.iter().find(|slot| **slot != her_start && **slot != his_start).unwrap();
        // In one half of the rounds he goes where she was, in the other to where nobody is.
        let his_next = if round % 2 == 0 { her_start.clone() } else { (*free).to_owned() };
        let (she, he) = tokio::join!(moves(mia, hers, &his_start), moves(&tom, &his, &his_next));
        let outcome = (she.status.as_u16(), he.status.as_u16());
        *outcomes.entry(outcome).or_default() += 1;
        let now = (start_of(mia, hers).await, start_of(&tom, &his).await);
        let expected = match outcome {
            (200, 200) if round % 2 == 1 => (his_start, his_next),
            (409, 200) if round % 2 == 1 => (her_start.clone(), his_next),
            (409, 409) if round % 2 == 0 => (her_start, his_start),
            other => panic!("{other:?}: {} {}", she.text, he.text),
        };
        assert_eq!(now, expected, "round {round}");
        assert_whole(app).await;
    }
    println!("100 swaps: {outcomes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_32_who_move_and_book_one_gets_the_time() {
    let Scene { app, therapist, .. } = &scene().await;
    let target = "2026-12-20T02:00:00Z";
    let mut tasks = JoinSet::new();
    let mut visits = Vec::new();
    for i in 0..16 {
        let (client, address) = app.client_at_home().await;
        let minutes = i % 4 * 90;
        let start = format!("2026-12-{:02}T{:02}:{:02}:00Z", 10 + i / 4, minutes / 60, minutes % 60);
        let path = client.books(therapist, address, &start).await.is(201).header("location");
        visits.push((client, address, path, start));
    }
    for (client, address, path, _) in &visits {
        let (mover, path) = (client.clone(), path.clone());
        tasks.spawn(async move { moves(&mover, &path, target).await });
        let (booker, therapist, address) = (client.clone(), therapist.clone(), *address);
        tasks.spawn(async move { booker.books(&therapist, address, target).await });
    }
    let answers = tasks.join_all().await;
    let won = answers.iter().filter(|answer| answer.status.is_success()).count();
    assert_eq!(won, 1);
    for answer in answers.into_iter().filter(|answer| !answer.status.is_success()) {
        // Whoever moved there has a visit at that time, and books no second one.
        let busy = answer.body["code"] == "client_busy";
        answer.refused(409, if busy { "client_busy" } else { "slot_unavailable" });
    }
    assert_whole(app).await;
    let mut stayed = 0;
    for (client, _, path, start) in &visits {
        stayed += usize::from(start_of(client, path).await == *start);
    }
    assert!(stayed >= 15, "{stayed} kept the old time");
}

/// Statuses of 100 rounds: a proposal of the therapist's, and two answers to it at once.
async fn duel(scene: &Scene, first: (&Person, &str), second: (&Person, &str)) -> HashMap<(u16, u16, String), usize> {
    let Scene { app, therapist, client, address, .. } = scene;
    let mut outcomes = HashMap::new();
    for _ in 0..100 {
        let path = client.books(therapist, *address, "2026-12-08T00:00:00Z").await.is(201).header("location");
        let proposal = json!({ "start_at": "2026-12-08T00:30:00Z" });
        let offer = therapist.post(&format!("{path}/counter-offers"), proposal).await.is(201).header("location");
        let of = |step: &str| if step == "cancel" { format!("{path}/cancel") } else { format!("{offer}/{step}") };
        let (one, other) = (of(first.1), of(second.1));
        let (one, other) = tokio::join!(first.0.act(&one), second.0.act(&other));
        let booking = client.get(&path).await.is(200).body;
        let offer = client.get(&offer).await.is(200).body;
        let moved = offer["status"] == "accepted";
        assert_eq!(moved, booking["start_at"] == "2026-12-08T00:30:00Z");
        for answer in [&one, &other] {
            assert!(matches!(answer.status.as_u16(), 200 | 409), "{}", answer.text);
        }
        let left = app.rows("reservations WHERE offer_id IS NOT NULL").await;
        assert_eq!(left, 0, "whatever was answered, nothing is held");
        assert_whole(app).await;
        let outcome = (one.status.as_u16(), other.status.as_u16(), offer["status"].as_str().unwrap().to_owned());
        *outcomes.entry(outcome).or_default() += 1;
        if booking["status"] != "cancelled" {
            client.post(&format!("{path}/cancel"), json!({})).await.is(200);
        }
    }
    outcomes
}

fn only(outcomes: &HashMap<(u16, u16, String), usize>, allowed: &[(u16, u16, &str)]) {
    println!("100 rounds: {outcomes:?}");
    for (first, second, offer) in outcomes.keys() {
        assert!(allowed.contains(&(*first, *second, offer.as_str())), "{outcomes:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn accepting_and_withdrawing_at_once_leave_one_truth() {
    let scene = scene().await;
    let outcomes = duel(&scene, (&scene.client, "accept"), (&scene.therapist, "withdraw")).await;
    only(&outcomes, &[(200, 409, "accepted"), (409, 200, "withdrawn")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn accepting_and_declining_at_once_leave_one_truth() {
    let scene = scene().await;
    let outcomes = duel(&scene, (&scene.client, "accept"), (&scene.client, "decline")).await;
    only(&outcomes, &[(200, 409, "accepted"), (409, 200, "declined")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn accepting_and_cancelling_at_once_leave_one_truth() {
    let scene = scene_with("request").await;
    let outcomes = duel(&scene, (&scene.client, "accept"), (&scene.client, "cancel")).await;
    // Whoever comes second cancels what was moved.
    only(&outcomes, &[(200, 200, "accepted"), (409, 200, "obsolete")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_proposals_at_once_are_one() {
    let Scene { app, therapist, client, address, .. } = &scene().await;
    let mut winners = BTreeSet::new();
    for _ in 0..100 {
        let path = client.books(therapist, *address, "2026-12-08T00:00:00Z").await.is(201).header("location");
        let offers = format!("{path}/counter-offers");
        let (hers, his) = tokio::join!(
            client.post(&offers, json!({ "start_at": "2026-12-08T02:00:00Z" })),
            therapist.post(&offers, json!({ "start_at": "2026-12-08T04:00:00Z" }))
        );
        let (won, lost) = if hers.status == 201 { (hers, his) } else { (his, hers) };
        lost.refused(409, "counter_offer_open");
        winners.insert(won.is(201).body["by"].as_str().unwrap().to_owned());
        assert_eq!(app.rows("reservations WHERE offer_id IS NOT NULL").await, 1);
        client.post(&format!("{path}/cancel"), json!({})).await.is(200);
        assert_eq!(app.rows("reservations WHERE offer_id IS NOT NULL").await, 0);
    }
    println!("100 rounds were won by {winners:?}");
}

async fn proposes_once(client: &Person, path: &str) -> Answer {
    let request = client.request(reqwest::Method::POST, &format!("{path}/counter-offers"));
    send(request.header("Idempotency-Key", "one").json(&json!({ "start_at": "2026-12-08T00:00:00Z" }))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_20_proposals_with_one_key_one_is_made() {
    let Scene { app, client, path, .. } = &scene().await;
    let mut tasks = JoinSet::new();
    for _ in 0..20 {
        let (client, path) = (client.clone(), path.clone());
        tasks.spawn(async move {
            // Whoever is told that the first one still runs asks again.
            loop {
                let answer = proposes_once(&client, &path).await;
                if answer.status != 409 {
                    return answer.is(201).text;
                }
                answer.refused(409, "idempotency_key_in_flight");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
    }
    let answers: BTreeSet<String> = tasks.join_all().await.into_iter().collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(app.rows("counter_offers").await, 1);
    assert_eq!(app.rows("reservations WHERE offer_id IS NOT NULL").await, 1);
    assert_eq!(app.rows("idempotency_keys WHERE route LIKE '%counter-offers'").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_asks_again_does_not_wait_for_the_therapists_time() {
    let Scene { app, therapist, client, path, .. } = &scene().await;
    let mut elsewhere = app.service.begin(None).await.unwrap();
    elsewhere.lock_time(TherapistId(therapist.id)).await.unwrap();
    let (proposer, at) = (client.clone(), path.clone());
    let first = tokio::spawn(async move { proposes_once(&proposer, &at).await });
    while app.rows("pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())").await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    proposes_once(client, path).await.refused(409, "idempotency_key_in_flight");
    elsewhere.commit().await.unwrap();
    let first = first.await.unwrap().is(201);

    let mut elsewhere = app.service.begin(None).await.unwrap();
    elsewhere.lock_time(TherapistId(therapist.id)).await.unwrap();
    assert_eq!(proposes_once(client, path).await.is(201).text, first.text);
    elsewhere.rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_proposal_that_lapses_while_it_is_accepted_is_one_or_the_other() {
    let mut outcomes: HashMap<u16, usize> = HashMap::new();
    let Scene { app, therapist, client, address, .. } = &scene().await;
    for _ in 0..100 {
        let start = app.now() + TimeDelta::days(6);
        let day = start.date_naive();
        let path = client.books(therapist, *address, &format!("{day}T00:00:00Z")).await.is(201).header("location");
        let proposal = json!({ "start_at": format!("{day}T03:00:00Z") });
        let offer = therapist.post(&format!("{path}/counter-offers"), proposal).await.is(201).header("location");
        // As if it had been made a day ago but for a second.
        app.sql(
            "WITH late AS (UPDATE counter_offers SET expires_at = created_at + interval '1 second' WHERE status = 'open' RETURNING id, expires_at)
             UPDATE reservations SET hold_expires_at = late.expires_at FROM late WHERE offer_id = late.id",
        )
        .await
        .unwrap();
        let sweep = async {
            app.advance(TimeDelta::seconds(1));
            let late = app.now() + TimeDelta::hours(2);
            knead::bookings::counter_offers::forget_lapsed(&app.service.db, late).await.unwrap();
            knead::availability::reservations::forget_lapsed(&app.service.db, late).await.unwrap();
        };
        let accept = format!("{offer}/accept");
        let (accepted, ()) = tokio::join!(client.act(&accept), sweep);
        *outcomes.entry(accepted.status.as_u16()).or_default() += 1;
        let state = client.get(&offer).await.is(200).body["status"].clone();
        match accepted.status.as_u16() {
            200 => assert_eq!(state, "accepted"),
            _ => {
                assert_eq!(accepted.refused(409, "counter_offer_expired").body["status"], 409);
                assert_eq!(state, "expired");
            }
        }
        assert_eq!(app.rows("reservations WHERE offer_id IS NOT NULL").await, 0);
        assert_whole(app).await;
        client.post(&format!("{path}/cancel"), json!({})).await.is(200);
    }
    println!("100 rounds: {outcomes:?}");
}
