use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Answer, App, DEEP_TISSUE, Person};

const TUESDAY: &str = "2026-12-01T00:00:00Z";

async fn book_held(client: &Person, key: &str, hold: &Answer) -> Answer {
    client.books_with_key(key, &json!({ "hold_id": hold.body["id"], "notes": "Left shoulder" })).await
}

#[tokio::test]
async fn a_held_slot_is_booked_by_its_hold_alone() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let ((client, address), (other, elsewhere)) = (app.client_at_home().await, app.client_at_home().await);
    let hold = client.post("/v1/holds", client.wish(&therapist, address, TUESDAY)).await.is(201);
    assert_eq!(
        (&hold.body["expires_at"], &hold.body["price"]["amount"]),
        (&json!("2026-11-30T01:10:00Z"), &json!(12900))
    );
    assert_eq!(client.get(&hold.header("location")).await.is(200).body, hold.body);
    assert_eq!(client.get("/v1/holds").await.is(200).body["data"], json!([hold.body]));
    assert!(!other.slots(&therapist, "2026-12-01", "2026-12-01").await.contains(&TUESDAY.to_owned()));
    other.books(&therapist, elsewhere, TUESDAY).await.refused(409, "slot_unavailable");
    book_held(&other, "theirs", &hold).await.refused(409, "hold_expired");

    let booking = book_held(&client, "mine", &hold).await.is(201);
    assert_eq!((&booking.body["start_at"], &booking.body["notes"]), (&json!(TUESDAY), &json!("Left shoulder")));
    assert_eq!(book_held(&client, "mine", &hold).await.is(201).text, booking.text, "the same key, the same answer");
    book_held(&client, "again", &hold).await.refused(409, "hold_expired");
    client.get(&hold.header("location")).await.refused(404, "not_found");
    assert_eq!(app.rows("reservations").await, 1);
}

#[tokio::test]
async fn a_hold_lapses_by_itself_and_stands_in_nobodys_way() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let ((client, address), (other, elsewhere)) = (app.client_at_home().await, app.client_at_home().await);
    let hold = client.post("/v1/holds", client.wish(&therapist, address, TUESDAY)).await.is(201);
    app.advance(TimeDelta::seconds(599));
    other.books(&therapist, elsewhere, TUESDAY).await.refused(409, "slot_unavailable");
    app.advance(TimeDelta::seconds(1));
    assert_eq!(client.get("/v1/holds").await.is(200).body["data"], json!([]));
    book_held(&client, "late", &hold).await.refused(409, "hold_expired");
    other.books(&therapist, elsewhere, TUESDAY).await.is(201);
    client.delete(&hold.header("location")).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_hold_keeps_the_notice_that_was_given_and_no_licence_that_was_lost() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    // Two hours ahead to the minute.
    let hold = client.post("/v1/holds", client.wish(&therapist, address, "2026-11-30T03:00:00Z")).await.is(201);
    app.advance(TimeDelta::minutes(9));
    app.sql("UPDATE credentials SET board_status = 'suspended' WHERE type = 'INSURANCE'").await.unwrap();
    book_held(&client, "a", &hold).await.refused(422, "credential_not_valid");
    client.get(&hold.header("location")).await.is(200);
    app.sql("UPDATE credentials SET board_status = 'active'").await.unwrap();
    book_held(&client, "a", &hold).await.is(201);
}

#[tokio::test]
async fn a_client_holds_at_most_three_slots() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let mut tasks = JoinSet::new();
    for day in 1..=6 {
        let wish = client.wish(&therapist, address, &format!("2026-12-0{day}T00:00:00Z"));
        let client = client.clone();
        tasks.spawn(async move { client.post("/v1/holds", wish).await });
    }
    let (held, refused): (Vec<Answer>, Vec<Answer>) = tasks.join_all().await.into_iter().partition(|a| a.status == 201);
    assert_eq!((held.len(), refused.len()), (3, 3));
    for answer in refused {
        answer.refused(409, "too_many_holds");
    }
    client.delete(&held[0].header("location")).await.is(204);
    client.delete(&held[0].header("location")).await.refused(404, "not_found");
    client.post("/v1/holds", client.wish(&therapist, address, "2026-12-07T00:00:00Z")).await.is(201);
    app.client().await.delete(&held[1].header("location")).await.refused(404, "not_found");
    assert_eq!(app.rows("reservations").await, 3);
}

#[tokio::test]
async fn a_slot_is_named_in_one_way() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let hold = client.post("/v1/holds", client.wish(&therapist, address, TUESDAY)).await.is(201);
    let mut both = client.wish(&therapist, address, TUESDAY);
    both["hold_id"] = hold.body["id"].clone();
    let all = ["/therapist_id", "/service_id", "/duration_minutes", "/start_at", "/address_id"];
    client.books_with_key("a", &both).await.points_to(&all);
    client.books_with_key("a", &json!({})).await.points_to(&all);
    let mut part: Value = client.wish(&therapist, address, TUESDAY);
    part.as_object_mut().unwrap().remove("start_at");
    client.books_with_key("a", &part).await.points_to(&["/start_at"]);
    client.post("/v1/holds", part).await.points_to(&["/start_at"]);
    client
        .post("/v1/holds", client.wish(&therapist, address, "2026-12-01T00:01:00Z"))
        .await
        .refused(409, "slot_unavailable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_hold_makes_one_booking() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let hold = client.post("/v1/holds", client.wish(&therapist, address, TUESDAY)).await.is(201);
    let mut tasks = JoinSet::new();
    for n in 0..16 {
        let (client, hold) = (client.clone(), hold.clone());
        tasks.spawn(async move { book_held(&client, &format!("key {n}"), &hold).await.status.as_u16() });
    }
    let mut statuses = tasks.join_all().await;
    statuses.sort_unstable();
    assert_eq!((statuses[0], statuses[1..].iter().all(|status| *status == 409)), (201, true), "{statuses:?}");
    assert_eq!(app.rows("bookings").await, 1);
}

#[tokio::test]
async fn lapsed_holds_are_swept() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    client.post("/v1/holds", client.wish(&therapist, address, TUESDAY)).await.is(201);
    app.sql("SELECT graphile_worker.add_job('sweep', 'null'::json)").await.unwrap();
    app.advance(TimeDelta::minutes(71));
    // The sweep asks for the sweeps, which are jobs of their own.
    app.run_jobs().await;
    app.run_jobs().await;
    assert_eq!(app.rows("reservations").await, 0);
    assert_eq!(app.rows("holds").await, 1, "it counts for a day");
    app.advance(TimeDelta::hours(24));
    app.sql("SELECT graphile_worker.add_job('sweep', 'null'::json)").await.unwrap();
    app.run_jobs().await;
    app.run_jobs().await;
    assert_eq!(app.rows("holds").await, 0);
}

#[tokio::test]
async fn a_hold_books_nothing_that_has_begun() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    therapist.change("/v1/therapists/me", json!({ "min_notice_minutes": 0 })).await.is(200);
    let (client, address) = app.client_at_home().await;
    client
        .post("/v1/holds", client.wish(&therapist, address, "2026-11-30T01:00:00Z"))
        .await
        .refused(422, "notice_too_short");
    app.advance(TimeDelta::minutes(10));
    let hold = client.post("/v1/holds", client.wish(&therapist, address, "2026-11-30T01:15:00Z")).await.is(201);
    app.advance(TimeDelta::minutes(5));
    book_held(&client, "a", &hold).await.refused(422, "notice_too_short");
}

#[tokio::test]
async fn a_request_keeps_the_notice_of_its_hold() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    therapist.change("/v1/therapists/me", json!({ "booking_mode": "request" })).await.is(200);
    let (client, address) = app.client_at_home().await;
    let hold = client.post("/v1/holds", client.wish(&therapist, address, "2026-11-30T03:00:00Z")).await.is(201);
    app.advance(TimeDelta::minutes(5));
    let path = book_held(&client, "a", &hold).await.is(201).header("location");
    assert_eq!(therapist.act(&format!("{path}/accept")).await.is(200).body["status"], "confirmed");
}

#[tokio::test]
async fn ones_own_hold_is_free_for_oneself() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let ((client, address), (rival, elsewhere)) = (app.client_at_home().await, app.client_at_home().await);
    let listed = async |who: &Person, address: uuid::Uuid| {
        let path = format!(
            "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from=2026-12-01&to=2026-12-01&address_id={address}&therapist_id={}",
            therapist.id
        );
        who.get(&path).await.is(200).text
    };
    let all = listed(&client, address).await;
    client.post("/v1/holds", client.wish(&therapist, address, TUESDAY)).await.is(201);
    assert_eq!(listed(&client, address).await, all, "the slot stays in the own list");
    assert!(!listed(&rival, elsewhere).await.contains(TUESDAY));
    rival.books(&therapist, elsewhere, TUESDAY).await.refused(409, "slot_unavailable");

    // The same fields use it up, on its terms: nine minutes later the notice would be too short.
    therapist.change("/v1/therapists/me", json!({ "min_notice_minutes": 22 * 60 + 55 })).await.is(200);
    app.advance(TimeDelta::minutes(9));
    client.books(&therapist, address, TUESDAY).await.is(201);
    assert_eq!(client.get("/v1/holds").await.is(200).body["data"], json!([]));
    assert_eq!(app.rows("holds").await, 0);
    therapist.change("/v1/therapists/me", json!({ "min_notice_minutes": 120 })).await.is(200);

    // Another time that the hold overlaps: it gives way, to a hold and to a booking.
    for start in ["2026-12-02T00:00:00Z", "2026-12-02T00:30:00Z"] {
        client.post("/v1/holds", client.wish(&therapist, address, start)).await.is(201);
        assert_eq!(client.get("/v1/holds").await.is(200).body["data"].as_array().unwrap().len(), 1);
    }
    client.books(&therapist, address, "2026-12-02T01:00:00Z").await.is(201);
    assert_eq!(client.get("/v1/holds").await.is(200).body["data"], json!([]));
    // And to a visit that is moved there, or is to be.
    let path = client.books(&therapist, address, "2026-12-03T00:00:00Z").await.is(201).header("location");
    for (step, start) in [("reschedule", "2026-12-04T00:00:00Z"), ("counter-offers", "2026-12-04T04:00:00Z")] {
        client.post("/v1/holds", client.wish(&therapist, address, start)).await.is(201);
        let moved = client.post(&format!("{path}/{step}"), json!({ "start_at": start })).await;
        assert!(moved.status.is_success(), "{}", moved.text);
        assert_eq!(client.get("/v1/holds").await.is(200).body["data"], json!([]), "{step}");
    }
    // What is held elsewhere stays.
    client.post("/v1/holds", client.wish(&therapist, address, "2026-12-07T00:00:00Z")).await.is(201);
    client.books(&therapist, address, "2026-12-07T02:00:00Z").await.is(201);
    assert_eq!(client.get("/v1/holds").await.is(200).body["data"].as_array().unwrap().len(), 1);
}
