//! Steps of one visit at the same moment: one wins, and what is left agrees with it.

use std::time::Duration;

use chrono::TimeDelta;
use knead::bookings::lapse;
use knead::ids::BookingId;
use serde_json::json;
use uuid::Uuid;

use crate::support::{Answer, App, Person, at};

const ROUNDS: usize = 100;
const START: &str = "2026-12-01T00:00:00Z";
/// An hour, asked for less than four hours ahead.
const PRICE: i64 = 14190;

/// A therapist without notice, a client and the client's address, a quarter of an hour before a visit could start.
async fn scene(mode: &str) -> (App, Person, Person, Uuid) {
    let app = App::start_at(at("2026-11-30T23:45:00Z")).await;
    let therapist = app.therapist().await;
    therapist.change("/v1/therapists/me", json!({ "booking_mode": mode, "min_notice_minutes": 0 })).await.is(200);
    let (client, address) = app.client_at_home().await;
    (app, therapist, client, address)
}

/// Each visit's events follow one another and lead to where it stands, and its time is reserved exactly while it is live.
async fn agrees(app: &App) {
    for (what, of) in [
        (
            "an event that does not follow",
            "(SELECT from_status, lag(to_status) OVER (PARTITION BY booking ORDER BY position) AS before
                                   FROM booking_events) AS e WHERE from_status IS DISTINCT FROM before",
        ),
        (
            "a visit that is not where its events led",
            "bookings b WHERE status <> (SELECT to_status FROM booking_events WHERE booking = b.id::text ORDER BY position DESC LIMIT 1)",
        ),
        (
            "time that is reserved for nothing, or not for a live visit",
            // A visit at whose door the therapist stood keeps the time for which they were there.
            "bookings b CROSS JOIN LATERAL (SELECT
                 EXISTS (SELECT FROM reservations r WHERE r.booking_id = b.id) AS reserved,
                 EXISTS (SELECT FROM booking_events e WHERE e.booking = b.id::text AND e.to_status = 'arrived') AS at_the_door) AS s
             WHERE CASE WHEN status IN ('requested', 'confirmed', 'on_the_way', 'arrived', 'in_progress') THEN NOT reserved
                        ELSE reserved AND NOT at_the_door END",
        ),
        ("an end without its event", "bookings b WHERE cancelled_by IS NOT NULL AND NOT EXISTS
              (SELECT FROM booking_events e WHERE e.booking = b.id::text AND e.to_status = b.status AND e.party = b.cancelled_by AND e.at = b.cancelled_at)"),
    ] {
        assert_eq!(app.rows(of).await, 0, "{what}");
    }
    app.events_are_in_order().await;
}

/// Which of the two won; the other one was refused.
#[track_caller]
fn winner(first: &Answer, second: &Answer) -> usize {
    let (won, lost, loser) = match (first.status.as_u16(), second.status.as_u16()) {
        (200, 409) => (0, second, "second"),
        (409, 200) => (1, first, "first"),
        other => panic!("{other:?}: {} {}", first.text, second.text),
    };
    assert_eq!(lost.body["code"], "invalid_transition", "the {loser}");
    won
}

/// Frees what ended visits keep, so that the next round may book the same time.
async fn begin_anew(app: &App) {
    app.sql("DELETE FROM reservations").await.unwrap();
}

async fn race(a: &Person, first: &str, b: &Person, second: &str, path: &str) -> (Answer, Answer) {
    let (first, second) = (format!("{path}/{first}"), format!("{path}/{second}"));
    tokio::join!(a.act(&first), b.act(&second))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_start_and_a_cancellation_at_once_have_one_winner() {
    let (app, therapist, client, address) = scene("instant").await;
    let mut won = [0, 0];
    for _ in 0..ROUNDS {
        let path = client.books(&therapist, address, START).await.is(201).header("location");
        for step in ["on-the-way", "arrive"] {
            therapist.act(&format!("{path}/{step}")).await.is(200);
        }
        let (start, cancel) = race(&therapist, "start", &client, "cancel", &path).await;
        let first = winner(&start, &cancel);
        won[first] += 1;
        assert_eq!(client.get(&path).await.body["status"], ["in_progress", "cancelled"][first]);
        agrees(&app).await;
        if first == 0 {
            therapist.act(&format!("{path}/stop")).await.is(200);
        }
        begin_anew(&app).await;
    }
    println!("start won {}, cancel won {}", won[0], won[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn setting_out_and_a_cancellation_at_once_end_cancelled() {
    let (app, therapist, client, address) = scene("instant").await;
    for _ in 0..ROUNDS {
        let path = client.books(&therapist, address, START).await.is(201).header("location");
        let (step, cancel) = race(&therapist, "on-the-way", &client, "cancel", &path).await;
        let cancelled = cancel.is(200).body;
        // Calling off within the hour is free, unless the therapist had set out.
        let fee = if step.status == 200 { PRICE } else { 0 };
        assert_eq!(cancelled["cancellation"]["fee"]["amount"], fee);
        if step.status != 200 {
            step.refused(409, "invalid_transition");
        }
        agrees(&app).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_acceptance_and_a_cancellation_at_once_end_cancelled() {
    let (app, therapist, client, address) = scene("request").await;
    for _ in 0..ROUNDS {
        let path = client.books(&therapist, address, START).await.is(201).header("location");
        let (accept, cancel) = race(&therapist, "accept", &client, "cancel", &path).await;
        cancel.is(200);
        assert!(matches!(accept.status.as_u16(), 200 | 409), "{}", accept.text);
        agrees(&app).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_acceptance_and_a_refusal_at_once_have_one_winner() {
    let (app, therapist, client, address) = scene("request").await;
    for _ in 0..ROUNDS {
        let path = client.books(&therapist, address, START).await.is(201).header("location");
        let (accept, decline) = race(&therapist, "accept", &therapist, "decline", &path).await;
        if winner(&accept, &decline) == 0 {
            client.act(&format!("{path}/cancel")).await.is(200);
        }
        agrees(&app).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_acceptance_at_the_deadline_wins_or_finds_the_request_expired() {
    let (app, therapist, client, address) = scene("request").await;
    let mut won = [0, 0];
    for round in 0..ROUNDS {
        let path = client.books(&therapist, address, START).await.is(201).header("location");
        let id: Uuid = path.rsplit('/').next().unwrap().parse().unwrap();
        let deadline = app.now() + TimeDelta::seconds(1);
        app.sql(&format!(
            "UPDATE bookings SET respond_by = '{deadline}' WHERE id = '{id}'; UPDATE reservations SET hold_expires_at = '{deadline}' WHERE booking_id = '{id}'"
        ))
        .await
        .unwrap();
        let accept = format!("{path}/accept");
        // Sooner and later within the time that an acceptance takes.
        let wait = Duration::from_micros(200) * u32::try_from(round).unwrap();
        let passes = async {
            tokio::time::sleep(wait).await;
            app.advance(TimeDelta::seconds(1));
            lapse(&app.service, BookingId(id)).await.unwrap();
        };
        let (accepted, ()) = tokio::join!(therapist.act(&accept), passes);
        // Whoever was first, the job finds what is true now.
        lapse(&app.service, BookingId(id)).await.unwrap();
        let status = client.get(&path).await.body["status"].clone();
        if accepted.status == 200 {
            won[0] += 1;
            assert_eq!(status, "confirmed");
            client.act(&format!("{path}/cancel")).await.is(200);
        } else {
            won[1] += 1;
            accepted.refused(409, "invalid_transition");
            assert_eq!(status, "expired");
        }
        agrees(&app).await;
    }
    println!("accept won {}, the deadline won {}", won[0], won[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_no_show_and_an_arrival_at_once_have_one_winner() {
    let (app, therapist, client, address) = scene("instant").await;
    let mut won = [0, 0];
    for _ in 0..ROUNDS {
        let path = client.books(&therapist, address, START).await.is(201).header("location");
        therapist.act(&format!("{path}/on-the-way")).await.is(200);
        // As if the visit had begun 20 minutes ago: the clock stands still, so that nobody need sign in anew.
        let id = path.rsplit('/').next().unwrap();
        let moved =
            format!("UPDATE bookings SET start_at = '{}' WHERE id = '{id}'", app.now() - TimeDelta::minutes(20));
        app.sql(&moved).await.unwrap();
        let (arrive, missed) = race(&therapist, "arrive", &client, "no-show", &path).await;
        let first = winner(&arrive, &missed);
        won[first] += 1;
        if first == 0 {
            // The client was not there either.
            let missed = therapist.act(&format!("{path}/no-show")).await.is(200).body;
            assert_eq!(missed["cancellation"]["fee"]["amount"], PRICE);
        } else {
            assert_eq!(
                (&missed.body["cancellation"], &missed.body["no_show_report"]["state"]),
                (&json!(null), &json!("pending"))
            );
        }
        agrees(&app).await;
        begin_anew(&app).await;
    }
    println!("arrive won {}, no-show won {}", won[0], won[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_requests_for_one_time_never_become_two_visits() {
    let (app, therapist, client, address) = scene("request").await;
    let (other, elsewhere) = app.client_at_home().await;
    for _ in 0..ROUNDS {
        // Half an hour apart: the visits would overlap.
        let (first, second) = tokio::join!(
            client.books(&therapist, address, START),
            other.books(&therapist, elsewhere, "2026-12-01T00:30:00Z")
        );
        let (won, lost, winner) = if first.status == 201 { (first, second, &client) } else { (second, first, &other) };
        lost.refused(409, "slot_unavailable");
        let path = won.is(201).header("location");
        therapist.act(&format!("{path}/accept")).await.is(200);
        assert_eq!(app.rows("bookings WHERE status IN ('requested', 'confirmed')").await, 1);
        winner.act(&format!("{path}/cancel")).await.is(200);
        agrees(&app).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_step_many_times_at_once_is_taken_once() {
    let (app, therapist, client, address) = scene("instant").await;
    let path = client.books(&therapist, address, START).await.is(201).header("location");
    let step = format!("{path}/on-the-way");
    let answers = futures_util::future::join_all((0..16).map(|_| therapist.act(&step))).await;
    for answer in answers {
        assert_eq!(answer.is(200).body["status"], "on_the_way");
    }
    assert_eq!(app.rows("booking_events").await, 2);
    assert_eq!(app.rows("notices WHERE kind = 'therapist_on_the_way'").await, 1);
    agrees(&app).await;
}
