//! Clients and therapists who are not to meet.

use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::sealing::tables_with;
use crate::support::{App, DEEP_TISSUE, Person};

const TUESDAY: &str = "2026-12-01T00:00:00Z";

async fn blocks(me: &Person, whom: &Person) -> crate::support::Answer {
    me.post("/v1/me/blocks", json!({ "account_id": whom.id })).await
}

/// Whether a search near Surry Hills finds the therapist.
async fn finds(who: &Person, therapist: &Person) -> bool {
    let path = format!("/v1/therapists?service_id={DEEP_TISSUE}&latitude=-33.8886&longitude=151.2111&limit=100");
    let found = who.get(&path).await.is(200).body;
    found["data"].as_array().unwrap().iter().any(|t| t["id"] == therapist.id.to_string())
}

async fn sees_slots(who: &Person, therapist: &Person) -> bool {
    !who.slots(therapist, "2026-12-01", "2026-12-01").await.is_empty()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_the_two_nothing_is_found_held_or_booked() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let (other, others) = app.client_at_home().await;
    // Without an earlier booking the therapist could not block the client.
    client.books(&therapist, address, "2026-12-04T00:00:00Z").await.is(201);
    let held = client.post("/v1/holds", client.wish(&therapist, address, "2026-12-01T04:00:00Z")).await.is(201).id();
    for (who, whom) in [(&client, &therapist), (&therapist, &client)] {
        assert!(finds(&client, &therapist).await && sees_slots(&client, &therapist).await);
        let block = blocks(who, whom).await.is(201).header("location");
        assert!(!finds(&client, &therapist).await && !sees_slots(&client, &therapist).await);
        client.books(&therapist, address, TUESDAY).await.refused(422, "blocked");
        client.post("/v1/holds", client.wish(&therapist, address, TUESDAY)).await.refused(422, "blocked");
        client.books_with_key("held", &json!({ "hold_id": held })).await.refused(422, "blocked");
        // The profile is public, and tells nobody who is at odds with whom; nor does anything else.
        client.get(&format!("/v1/therapists/{}", therapist.id)).await.is(200);
        assert_eq!(whom.get("/v1/me/blocks").await.is(200).body["data"], json!([]));
        let told = whom.get("/v1/me/notices").await.is(200).body["data"].clone();
        assert!(
            told.as_array()
                .unwrap()
                .iter()
                .all(|notice| notice["kind"] == "visit_booked" || notice["kind"] == "visit_cancelled"),
            "{told}"
        );
        // Others are not touched by it.
        for stranger in [&other, &app.nobody()] {
            assert!(finds(stranger, &therapist).await && sees_slots(stranger, &therapist).await);
        }
        let booked = other.books(&therapist, others, TUESDAY).await.is(201).header("location");
        other.act(&format!("{booked}/cancel")).await.is(200);
        who.delete(&block).await.is(204);
        who.delete(&block).await.refused(404, "not_found");
    }
    assert!(finds(&client, &therapist).await && sees_slots(&client, &therapist).await);
    client.books_with_key("held", &json!({ "hold_id": held })).await.is(201);
}

#[tokio::test]
async fn a_block_of_each_side_stands_by_itself() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    client.books(&therapist, address, TUESDAY).await.is(201);
    let one = blocks(&client, &therapist).await.is(201).header("location");
    let other = blocks(&therapist, &client).await.is(201).header("location");
    client.delete(&one).await.is(204);
    client.books(&therapist, address, "2026-12-02T00:00:00Z").await.refused(422, "blocked");
    therapist.delete(&other).await.is(204);
    client.books(&therapist, address, "2026-12-02T00:00:00Z").await.is(201);
}

#[tokio::test]
async fn what_is_booked_stays_and_is_listed_but_no_request_is_accepted() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let booked = client.books(&therapist, address, TUESDAY).await.is(201);
    therapist.change("/v1/therapists/me", json!({ "booking_mode": "request" })).await.is(200);
    let requested = client.books(&therapist, address, "2026-12-02T00:00:00Z").await.is(201);
    let cancelled = client.books(&therapist, address, "2026-12-03T00:00:00Z").await.is(201).header("location");
    client.act(&format!("{cancelled}/cancel")).await.is(200);
    let (other, others) = app.client_at_home().await;
    other.books(&therapist, others, "2026-12-04T00:00:00Z").await.is(201);
    let made = client.post("/v1/me/blocks", json!({ "account_id": therapist.id, "note": "Ruthless elbows" })).await;
    let made = made.is(201).body;
    assert_eq!(
        made["bookings"],
        json!([{ "id": booked.id(), "start_at": TUESDAY }, { "id": requested.id(), "start_at": "2026-12-02T00:00:00Z" }])
    );
    assert_eq!((&made["note"], &made["display_name"]), (&json!("Ruthless elbows"), &json!("Test therapist")));
    assert_eq!(tables_with(&app, "Ruthless").await, Vec::<String>::new());
    assert_eq!(client.get(&booked.header("location")).await.body["status"], "confirmed");
    let path = requested.header("location");
    therapist.act(&format!("{path}/accept")).await.refused(422, "blocked");
    assert_eq!(therapist.get(&path).await.body["status"], "requested");
    therapist.act(&format!("{path}/decline")).await.is(200);
}

#[tokio::test]
async fn staff_cannot_bring_the_two_together_either() {
    let app = App::start().await;
    let (old, new, admin) = (app.therapist().await, app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    let booking = client.books(&old, address, TUESDAY).await.is(201).id();
    let path = format!("/v1/admin/bookings/{booking}");
    let candidates = async || admin.get(&format!("{path}/candidates")).await.is(200).body["data"].clone();
    assert_eq!(candidates().await[0]["therapist_id"], new.id.to_string());
    let block = blocks(&client, &new).await.is(201).header("location");
    assert_eq!(candidates().await, json!([]));
    let to_new = json!({ "therapist_id": new.id });
    admin.post(&format!("{path}/reassign"), to_new.clone()).await.refused(422, "blocked");
    client.delete(&block).await.is(204);
    admin.post(&format!("{path}/reassign"), to_new).await.is(200);
}

#[tokio::test]
async fn nobody_blocks_strangers_or_twice() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, _) = app.client_at_home().await;
    let admin = app.admin().await;
    let unknown = Uuid::now_v7();
    for (who, whom) in [
        (&client, unknown),
        (&client, client.id),
        (&client, admin.id),
        (&therapist, client.id),
        (&therapist, unknown),
        (&therapist, therapist.id),
    ] {
        who.post("/v1/me/blocks", json!({ "account_id": whom })).await.points_to(&["/account_id"]);
    }
    let body = |note: Value| json!({ "account_id": therapist.id, "note": note });
    client.post("/v1/me/blocks", body(json!(""))).await.points_to(&["/note"]);
    client.post("/v1/me/blocks", body(json!("x".repeat(501)))).await.points_to(&["/note"]);
    client.post("/v1/me/blocks", json!({})).await.points_to(&["/account_id"]);
    client.post("/v1/me/blocks", json!({ "account_id": therapist.id, "x": 1 })).await.points_to(&["/x"]);
    admin.post("/v1/me/blocks", body(Value::Null)).await.refused(403, "forbidden");
    app.nobody().post("/v1/me/blocks", body(Value::Null)).await.refused(401, "unauthorized");
    blocks(&client, &therapist).await.is(201);
    blocks(&client, &therapist).await.refused(409, "already_blocked");
    let path = format!("/v1/me/blocks/{}", therapist.id);
    let (stranger, _) = app.client_at_home().await;
    stranger.delete(&path).await.refused(404, "not_found");
    client.delete(&format!("/v1/me/blocks/{unknown}")).await.refused(404, "not_found");
    admin.delete(&path).await.refused(403, "forbidden");
    assert_eq!(app.rows("blocks").await, 1);
}

#[tokio::test]
async fn the_list_comes_in_pages_and_the_key_makes_one_block() {
    let app = App::start().await;
    let client = app.client().await;
    let mut whom = Vec::new();
    for i in 0..3 {
        let therapist = app.newcomer().await;
        let post = || {
            let request =
                client.request(reqwest::Method::POST, "/v1/me/blocks").header("Idempotency-Key", format!("k{i}"));
            crate::support::send(request.json(&json!({ "account_id": therapist.id, "note": format!("Number {i}") })))
        };
        assert_eq!(post().await.is(201).text, post().await.is(201).text);
        app.advance(TimeDelta::seconds(1));
        whom.push((json!(therapist.id), json!(format!("Number {i}"))));
    }
    let (mut path, mut found) = ("/v1/me/blocks?limit=2".to_owned(), Vec::new());
    loop {
        let page = client.get(&path).await.is(200).body;
        found.extend(page["data"].as_array().unwrap().iter().map(|b| (b["account_id"].clone(), b["note"].clone())));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/me/blocks?limit=2&cursor={cursor}");
    }
    assert_eq!(found, whom);
    client.get("/v1/me/blocks?cursor=x").await.points_to(&["/cursor"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_block_racing_a_booking_either_lists_it_or_refuses_it() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let (mut before, mut after) = (0, 0);
    for round in 0..100 {
        let body = json!({ "account_id": therapist.id });
        let booking = async {
            // By turns, so that each comes first at times.
            tokio::time::sleep(std::time::Duration::from_millis(round % 3)).await;
            client.books(&therapist, address, TUESDAY).await
        };
        let block = async {
            tokio::time::sleep(std::time::Duration::from_millis((round + 1) % 3)).await;
            client.post("/v1/me/blocks", body).await
        };
        let (booking, block) = tokio::join!(booking, block);
        let block = block.is(201);
        let listed = block.body["bookings"].as_array().unwrap().clone();
        if booking.status == 201 {
            before += 1;
            assert_eq!(listed, [json!({ "id": booking.id(), "start_at": TUESDAY })], "round {round}");
            client.act(&format!("{}/cancel", booking.header("location"))).await.is(200);
        } else {
            after += 1;
            booking.refused(422, "blocked");
            assert!(listed.is_empty(), "round {round}");
        }
        client.delete(&block.header("location")).await.is(204);
    }
    println!("booked before the block {before} times, refused after it {after} times");
    assert_eq!(app.rows("reservations").await, 0);
}
