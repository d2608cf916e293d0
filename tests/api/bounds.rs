//! What one account can take up is bounded: a client's visits, requests, moves and reports, and what is written down of looks.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{Answer, App, Person, at};

const TUESDAY: &str = "2026-12-01T00:00:00Z";

fn text(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Three starts a day with one therapist, so far apart that each can be booked, from Tuesday on.
fn starts(number: usize) -> Vec<String> {
    (0..number)
        .map(|i| text(at(TUESDAY) + TimeDelta::days((i / 3) as i64) + TimeDelta::hours((i % 3) as i64 * 2)))
        .collect()
}

async fn asks_first(app: &App) -> Person {
    let therapist = app.therapist().await;
    therapist.change("/v1/therapists/me", json!({ "booking_mode": "request" })).await.is(200);
    therapist
}

/// How many answers had which status and code.
fn counted(answers: Vec<Answer>) -> BTreeMap<(u16, String), usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        let code = answer.body["code"].as_str().unwrap_or_default().to_owned();
        *counts.entry((answer.status.as_u16(), code)).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn a_client_is_in_one_place_at_a_time() {
    let app = App::bounded().await;
    let (one, other) = (app.therapist().await, asks_first(&app).await);
    let (client, address) = app.client_at_home().await;
    let booked = client.books(&one, address, TUESDAY).await.is(201);
    for overlapping in ["2026-11-30T23:15:00Z", TUESDAY, "2026-12-01T00:45:00Z"] {
        let wish = client.wish(&other, address, overlapping);
        client.books_with_key(overlapping, &wish).await.refused(409, "client_busy");
        client.post("/v1/holds", wish).await.refused(409, "client_busy");
    }
    // One visit may end as the next one begins, and a request counts as a visit does.
    client.books(&other, address, "2026-12-01T01:00:00Z").await.is(201);
    let third = app.therapist().await;
    client.books(&third, address, "2026-12-01T01:30:00Z").await.refused(409, "client_busy");

    // Nor does a visit move, or is one proposed, to where the client is already.
    let later = client.books(&third, address, "2026-12-01T03:00:00Z").await.is(201);
    let path = format!("/v1/bookings/{}", later.id());
    let there = json!({ "start_at": "2026-12-01T01:15:00Z" });
    client.post(&format!("{path}/reschedule"), there.clone()).await.refused(409, "client_busy");
    third.post(&format!("{path}/reschedule"), there.clone()).await.refused(409, "client_busy");
    third.post(&format!("{path}/counter-offers"), there).await.refused(409, "client_busy");
    assert_eq!(client.get(&path).await.is(200).body["start_at"], later.body["start_at"], "the visit stands as it was");

    // What is called off, and another client, stand in nobody's way.
    client.post(&format!("/v1/bookings/{}/cancel", booked.id()), json!({})).await.is(200);
    client.books(&third, address, TUESDAY).await.is(201);
    let (neighbour, elsewhere) = app.client_at_home().await;
    neighbour.books(&one, elsewhere, TUESDAY).await.is(201);
}

#[tokio::test]
async fn a_visit_is_not_extended_into_the_clients_next_one() {
    let app = App::bounded().await;
    let (one, other) = (app.therapist().await, app.therapist().await);
    let (client, address) = app.client_at_home().await;
    let visit = client.books(&one, address, TUESDAY).await.is(201).id();
    client.books(&other, address, "2026-12-01T01:15:00Z").await.is(201);
    app.advance(at(TUESDAY) - app.now());
    for step in ["on-the-way", "arrive", "start"] {
        one.act(&format!("/v1/bookings/{visit}/{step}")).await.is(200);
    }
    let longer = json!({ "duration_minutes": 90, "client_agreed": true });
    one.post(&format!("/v1/bookings/{visit}/extend"), longer).await.refused(409, "client_busy");
}

#[tokio::test]
async fn of_many_bookings_at_one_time_a_client_gets_one() {
    let app = App::bounded().await;
    let (client, address) = app.client_at_home().await;
    let mut therapists = Vec::new();
    for _ in 0..8 {
        therapists.push(app.therapist().await);
    }
    for round in 0..3 {
        let mut racing = JoinSet::new();
        for (i, therapist) in therapists.iter().enumerate() {
            // Each overlaps with each other one.
            let start = text(at(TUESDAY) + TimeDelta::days(round) + TimeDelta::minutes(15 * (i as i64 % 4)));
            let (client, wish) = (client.clone(), client.wish(therapist, address, &start));
            racing.spawn(async move { client.books_with_key(&Uuid::now_v7().to_string(), &wish).await });
        }
        let found = counted(racing.join_all().await);
        assert_eq!(found, BTreeMap::from([((201, String::new()), 1), ((409, "client_busy".to_owned()), 7)]));
    }
}

#[tokio::test]
async fn open_visits_of_a_client_are_counted_exactly() {
    let app = App::bounded().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let starts = starts(28);
    let mut first = None;
    for start in &starts[..19] {
        let booked = client.books(&therapist, address, start).await.is(201);
        first.get_or_insert(booked.id());
    }
    let mut racing = JoinSet::new();
    for start in &starts[19..27] {
        let (client, wish) = (client.clone(), client.wish(&therapist, address, start));
        racing.spawn(async move { client.books_with_key(&Uuid::now_v7().to_string(), &wish).await });
    }
    let found = counted(racing.join_all().await);
    assert_eq!(found, BTreeMap::from([((201, String::new()), 1), ((409, "too_many_open_visits".to_owned()), 7)]));
    client.post("/v1/holds", client.wish(&therapist, address, &starts[27])).await.refused(409, "too_many_open_visits");
    client.post(&format!("/v1/bookings/{}/cancel", first.unwrap()), json!({})).await.is(200);
    client.books(&therapist, address, &starts[27]).await.is(201);
}

#[tokio::test]
async fn open_requests_of_a_client_are_counted_until_they_are_answered() {
    let app = App::bounded().await;
    let (asked, instant) = (asks_first(&app).await, app.therapist().await);
    let (client, address) = app.client_at_home().await;
    let starts = starts(8);
    let mut requests = Vec::new();
    for start in &starts[..5] {
        requests.push(client.books(&asked, address, start).await.is(201).id());
    }
    client.books(&asked, address, &starts[5]).await.refused(409, "too_many_open_requests");
    client.books(&instant, address, &starts[5]).await.is(201);
    asked.act(&format!("/v1/bookings/{}/accept", requests[0])).await.is(200);
    client.books(&asked, address, &starts[6]).await.is(201);
    // What has lapsed is open no more, whether the job has run or not.
    app.advance(TimeDelta::hours(13));
    client.books(&asked, address, &starts[7]).await.is(201);
}

#[tokio::test]
async fn moving_a_request_leaves_its_deadline() {
    let app = App::bounded().await;
    let therapist = asks_first(&app).await;
    let (client, address) = app.client_at_home().await;
    let made = client.books(&therapist, address, "2026-12-10T00:00:00Z").await.is(201);
    let (path, first) = (format!("/v1/bookings/{}", made.id()), made.body["respond_by"].clone());
    app.advance(TimeDelta::hours(1));
    let moved = client.post(&format!("{path}/reschedule"), json!({ "start_at": "2026-12-11T00:00:00Z" })).await.is(200);
    assert_eq!(moved.body["respond_by"], first);
    app.advance(at(first.as_str().unwrap()) - app.now());
    app.run_jobs().await;
    assert_eq!(client.get(&path).await.is(200).body["status"], "expired");
}

#[tokio::test]
async fn a_visit_is_moved_to_and_fro_for_so_long_and_tells_of_it_in_pages() {
    let app = App::bounded().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let path = format!("/v1/bookings/{}", client.books(&therapist, address, "2026-12-10T00:00:00Z").await.is(201).id());
    let mut all = 0;
    for i in 0..21 {
        let start = ["2026-12-10T02:00:00Z", "2026-12-10T00:00:00Z"][i % 2];
        let answer = client.post(&format!("{path}/reschedule"), json!({ "start_at": start })).await;
        if i < 20 {
            answer.is(200)
        } else {
            answer.refused(409, "too_many_moves")
        };
    }
    let mut page = client.get(&format!("{path}/events?limit=8")).await.is(200).body;
    loop {
        all += page["data"].as_array().unwrap().len();
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        page = client.get(&format!("{path}/events?limit=8&cursor={cursor}")).await.is(200).body;
    }
    assert_eq!(all, 21, "the booking and its moves, each once");
    client.get(&format!("{path}/events?cursor=x")).await.points_to(&["/cursor"]);
    client.get(&format!("{path}/events?page=2")).await.points_to(&["/page"]);
}

#[tokio::test]
async fn who_calls_off_again_and_again_for_nothing_waits_a_day() {
    let app = App::bounded().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let off = |client: Person, id: Uuid| async move {
        client.post(&format!("/v1/bookings/{id}/cancel"), json!({})).await.is(200)
    };
    // What the therapist calls off is not the client's doing.
    let theirs = client.books(&therapist, address, TUESDAY).await.is(201).id();
    off(therapist.clone(), theirs).await;
    for _ in 0..10 {
        let id = client.books(&therapist, address, TUESDAY).await.is(201).id();
        assert_eq!(off(client.clone(), id).await.body["cancellation"]["fee"]["amount"], 0);
    }
    client.books(&therapist, address, TUESDAY).await.refused(409, "too_many_cancellations");
    client.post("/v1/holds", client.wish(&therapist, address, TUESDAY)).await.refused(409, "too_many_cancellations");
    app.advance(TimeDelta::hours(24));
    client.books(&therapist, address, "2026-12-03T00:00:00Z").await.is(201);
}

#[tokio::test]
async fn a_slot_is_not_held_for_ever_by_holding_it_again() {
    let app = App::bounded().await;
    let (therapist, other) = (app.therapist().await, app.therapist().await);
    let (client, address) = app.client_at_home().await;
    let wish = client.wish(&therapist, address, TUESDAY);
    for _ in 0..12 {
        let hold = client.post("/v1/holds", wish.clone()).await.is(201);
        client.delete(&hold.header("location")).await.is(204);
        client.get(&hold.header("location")).await.refused(404, "not_found");
    }
    client.post("/v1/holds", wish.clone()).await.refused(409, "too_many_holds");
    client.books(&therapist, address, TUESDAY).await.is(201);
    client.post("/v1/holds", client.wish(&other, address, "2026-12-01T02:00:00Z")).await.is(201);
    app.advance(TimeDelta::hours(25));
    app.run_jobs().await;
    client.post("/v1/holds", client.wish(&therapist, address, "2026-12-03T00:00:00Z")).await.is(201);
}

#[tokio::test]
async fn incidents_of_a_visit_are_a_few_and_one_task() {
    let app = App::bounded().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    let path = format!("/v1/bookings/{}/incidents", client.books(&therapist, address, TUESDAY).await.is(201).id());
    let mut racing = JoinSet::new();
    for _ in 0..8 {
        let (client, path) = (client.clone(), path.clone());
        racing.spawn(async move { client.post(&path, json!({ "kind": "other" })).await });
    }
    let found = counted(racing.join_all().await);
    assert_eq!(found, BTreeMap::from([((201, String::new()), 5), ((409, "too_many_incidents".to_owned()), 3)]));
    therapist.post(&path, json!({ "kind": "safety" })).await.is(201);
    let tasks = || async { admin.get("/v1/admin/tasks").await.is(200).body["data"].as_array().unwrap().len() };
    assert_eq!(tasks().await, 1, "whoever reports, and how often");
    let open = admin.get("/v1/admin/incidents").await.is(200).body["data"].clone();
    for (i, incident) in open.as_array().unwrap().iter().enumerate() {
        assert_eq!(tasks().await, 1, "open until the last one is resolved, {i} are");
        let resolve = format!("/v1/admin/incidents/{}/resolve", incident["id"].as_str().unwrap());
        admin.post(&resolve, json!({ "note": "Looked into." })).await.is(200);
    }
    assert_eq!(tasks().await, 0);
}

#[tokio::test]
async fn a_look_at_the_door_is_written_down_once_an_hour() {
    let app = App::bounded().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let path = format!("/v1/bookings/{}", client.books(&therapist, address, TUESDAY).await.is(201).id());
    let looks = || app.rows("events WHERE kind = 'booking.address_disclosed'");
    for _ in 0..5 {
        therapist.get(&path).await.is(200);
        crate::support::send(therapist.request(reqwest::Method::HEAD, &path)).await.is(200);
    }
    assert_eq!(looks().await, 1);
    app.advance(TimeDelta::minutes(61));
    therapist.get(&path).await.is(200);
    assert_eq!(looks().await, 2);
}

#[tokio::test]
async fn time_off_that_is_over_is_not_moved_past_the_most_there_may_be() {
    let app = App::bounded().await;
    let therapist = app.therapist().await;
    let day = |from: &str, to: &str| json!({ "start_at": from, "end_at": to });
    let own =
        therapist.post("/v1/therapists/me/time-off", day("2026-12-01T00:00:00Z", "2026-12-01T01:00:00Z")).await.is(201);
    app.sql(&format!(
        "INSERT INTO time_off (id, therapist_id, start_at, end_at)
         SELECT gen_random_uuid(), '{}', day, day + interval '1 hour'
         FROM generate_series(timestamptz '2027-01-01T00:00Z', timestamptz '2027-01-01T00:00Z' + interval '499 days', interval '1 day') day",
        therapist.id
    ))
    .await
    .unwrap();
    app.advance(TimeDelta::days(3));
    let path = own.header("location");
    therapist
        .change(&path, day("2028-12-01T00:00:00Z", "2028-12-01T01:00:00Z"))
        .await
        .refused(422, "too_much_time_off");
    therapist.change(&path, json!({ "note": "It was nice." })).await.is(200);
}
