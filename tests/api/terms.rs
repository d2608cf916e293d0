//! What calling off costs is told before anyone is bound: with a quote, a hold and a booking, and for a place.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::{App, DEEP_TISSUE};

const START: &str = "2026-12-03T03:00:00Z";
const WORDS: &str = "Calling off is free until 2 December 2026, 14:00, then costs 50 % of the price until 3 December 2026, 10:00, then 100 %; \
                     it costs 100 % once the therapist is on the way, and where you are not there.";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quotes_holds_and_bookings_say_the_same() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let quote = json!({ "service_id": DEEP_TISSUE, "duration_minutes": 60, "start_at": START, "address_id": address, "therapist_id": therapist.id });
    let quote = client.post("/v1/quotes", quote).await.is(200).body;
    let hold = client.post("/v1/holds", client.wish(&therapist, address, START)).await.is(201).body;
    let booking = client.books_with_key("k", &json!({ "hold_id": hold["id"] })).await.is(201);
    let seen = therapist.get(&booking.header("location")).await.is(200).body;
    for terms in [&quote, &hold, &booking.body, &seen] {
        assert_eq!(
            (&terms["free_until"], &terms["cancellation_terms"]),
            (&json!("2026-12-02T03:00:00Z"), &json!(WORDS)),
            "{terms}"
        );
        assert_eq!(terms["cancellation_policy"]["version"], 1);
    }
    assert_eq!(quote["total"]["amount"], booking.body["price"]["amount"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_free_until_then_and_not_after() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    for (start, until) in [(START, "2026-12-02T03:00:00Z"), ("2026-12-01T00:00:00Z", "2026-11-30T02:00:00Z")] {
        let path = client.books(&therapist, address, start).await.is(201).header("location");
        let free_until: DateTime<Utc> =
            serde_json::from_value(client.get(&path).await.is(200).body["free_until"].clone()).unwrap();
        assert_eq!(free_until, until.parse::<DateTime<Utc>>().unwrap(), "{start}");
    }
    let path = client.books(&therapist, address, "2026-11-30T05:00:00Z").await.is(201).header("location");
    let fee = async || {
        client.get(&format!("{path}/cancellation-quote")).await.is(200).body["fee"]["amount"].as_i64().unwrap()
    };
    app.advance(TimeDelta::hours(1));
    assert_eq!(fee().await, 0, "the hour after booking");
    app.advance(TimeDelta::microseconds(1));
    assert!(fee().await > 0);
    // Once it is under way, or over, there is nothing left to be free.
    app.sql("UPDATE bookings SET status = 'on_the_way' WHERE start_at = '2026-11-30T05:00:00Z'").await.unwrap();
    assert_eq!(client.get(&path).await.is(200).body["free_until"], Value::Null);
    // What its therapist has moved costs nothing until it begins.
    app.sql("UPDATE bookings SET free_to_cancel = true WHERE start_at = '2026-12-03T03:00:00Z'").await.unwrap();
    let moved = client.get("/v1/bookings?sort=-start_at&limit=1").await.is(200).body["data"][0].clone();
    assert_eq!(moved["free_until"], START);
    assert!(moved["cancellation_terms"].as_str().unwrap().starts_with("Calling off is free until the start"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anyone_reads_the_policy_of_a_place() {
    let app = App::start().await;
    let (nobody, admin) = (app.nobody(), app.admin().await);
    let in_force = async |query: &str| nobody.get(&format!("/v1/cancellation-policies{query}")).await.is(200).body;
    let all = in_force("").await;
    assert_eq!(all["data"].as_array().unwrap().len(), 1);
    assert_eq!(all["data"][0]["country"], Value::Null);
    let words = all["data"][0]["summary"].as_str().unwrap();
    assert!(
        words.starts_with(
            "Calling off is free within an hour of booking and until 24 hours before the start, then costs 50 %"
        ),
        "{words}"
    );

    let terms = json!({ "free_within_minutes_of_booking": 0, "tiers": [{ "minutes_before": 2880, "fee_percent": 0 }, { "minutes_before": 0, "fee_percent": 30 }] });
    let body = json!({ "country": "NZ", "terms": terms, "version": 1, "effective_from": "2026-11-30T02:00:00Z" });
    admin.post("/v1/admin/cancellation-policies", body).await.is(201);
    assert_eq!(in_force("?country=NZ").await["data"][0]["country"], Value::Null, "not in force yet");
    app.advance(TimeDelta::hours(1));
    let own = in_force("?country=NZ&region=AUK").await;
    assert_eq!((&own["data"][0]["country"], own["data"].as_array().unwrap().len()), (&json!("NZ"), 1));
    assert_eq!(own["data"][0]["policy"]["tiers"][1]["fee_percent"], 30);
    assert_eq!(in_force("").await["data"].as_array().unwrap().len(), 2);
    assert_eq!(in_force("?country=AU&region=NSW").await["data"][0]["country"], Value::Null);
    nobody.get("/v1/cancellation-policies?region=NSW").await.points_to(&["/country"]);
    nobody.get("/v1/cancellation-policies?country=AU&region=XX").await.points_to(&["/region"]);
    nobody.get("/v1/cancellation-policies?country=Atlantis").await.points_to(&["/country"]);
}
