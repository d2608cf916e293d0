//! Days and bookings at a glance.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::{App, Person, at, surry_hills};

fn starts(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|b| b["start_at"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_day_shows_its_visits_in_order_with_the_way_between_them() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let mut bondi = surry_hills();
    (bondi["line1"], bondi["latitude"], bondi["longitude"]) =
        (json!("1 Campbell Parade"), json!(-33.8915), json!(151.2767));
    let bondi = client.address(bondi).await;
    // On Tuesday in Sydney, which begins on Monday at 13:00 in UTC.
    let late = client.books(&therapist, bondi, "2026-12-01T02:00:00Z").await.is(201).header("location");
    let early = client.books(&therapist, address, "2026-11-30T22:00:00Z").await.is(201).header("location");
    let gone = client.books(&therapist, address, "2026-12-01T04:00:00Z").await.is(201).header("location");
    client.books(&therapist, address, "2026-12-01T22:00:00Z").await.is(201);
    client.act(&format!("{gone}/cancel")).await.is(200);
    therapist.change("/v1/therapists/me", json!({ "booking_mode": "request" })).await.is(200);
    client.books(&therapist, bondi, "2026-12-01T04:00:00Z").await.is(201);

    let day = therapist.get("/v1/therapists/me/day?date=2026-12-01").await.is(200).body;
    assert_eq!((&day["date"], &day["time_zone"]), (&json!("2026-12-01"), &json!("Australia/Sydney")));
    let visits = day["visits"].as_array().unwrap();
    let seen: Vec<&str> = visits.iter().map(|visit| visit["booking"]["start_at"].as_str().unwrap()).collect();
    assert_eq!(seen, ["2026-11-30T22:00:00Z", "2026-12-01T02:00:00Z", "2026-12-01T04:00:00Z"]);
    assert_eq!(visits[0]["from_previous"], Value::Null);
    let way = &visits[1]["from_previous"];
    let travel = way["travel_minutes"].as_i64().unwrap();
    assert!(travel > 10, "{way}");
    assert_eq!((&way["gap_minutes"], &way["spare_minutes"]), (&json!(180), &json!(180 - travel - 20)));
    assert_eq!(
        visits[2]["from_previous"],
        json!({ "gap_minutes": 60, "travel_minutes": 0, "spare_minutes": 40 }),
        "the same door"
    );
    assert_eq!(day["totals"], json!({ "visits": 3, "table_minutes": 180, "travel_minutes": travel }));
    // The door of what is confirmed alone, and each look is written down.
    assert_eq!(visits[0]["booking"]["address"]["line1"], "12 Crown Street");
    assert_eq!(visits[1]["booking"]["address"]["access_notes"], "Ring 4.");
    assert_eq!(
        (&visits[2]["booking"]["status"], &visits[2]["booking"]["address"]),
        (&json!("requested"), &Value::Null)
    );
    let looks = "events WHERE kind = 'booking.address_disclosed'";
    assert_eq!(app.rows(looks).await, 2);
    assert_eq!(therapist.get("/v1/therapists/me/day?date=2026-12-01").await.is(200).body, day);
    assert_eq!(app.rows(looks).await, 2, "once an hour");
    for (path, visit) in [(early, &visits[0]), (late, &visits[1])] {
        assert_eq!(therapist.get(&path).await.is(200).body, visit["booking"], "as it is shown alone");
    }

    let empty = therapist.get("/v1/therapists/me/day?date=2026-12-04").await.is(200).body;
    assert_eq!((&empty["visits"], &empty["totals"]["visits"]), (&json!([]), &json!(0)));
    let stranger = app.therapist().await.get("/v1/therapists/me/day?date=2026-12-01").await.is(200).body;
    assert_eq!(stranger["visits"], json!([]));
    client.get("/v1/therapists/me/day?date=2026-12-01").await.refused(403, "forbidden");
    therapist.get("/v1/therapists/me/day").await.points_to(&["/date"]);
    therapist.get("/v1/therapists/me/day?date=2026-02-30").await.points_to(&["/date"]);

    // A request that lapsed is gone, and a door is hidden again a day after the visit.
    app.advance(at("2026-12-02T00:00:00Z") - app.now());
    let day = therapist.get("/v1/therapists/me/day?date=2026-12-01").await.is(200).body;
    assert_eq!(day["totals"]["visits"], 2);
    assert_eq!(day["visits"][0]["booking"]["address"], Value::Null);
    assert_eq!(day["visits"][1]["booking"]["address"]["line1"], "1 Campbell Parade");
}

#[tokio::test]
async fn a_request_that_nobody_answered_is_listed_as_expired_before_that_is_written_down() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    therapist.change("/v1/therapists/me", json!({ "booking_mode": "request" })).await.is(200);
    let (client, address) = app.client_at_home().await;
    let (soon, later) = ("2026-12-02T00:00:00Z", "2026-12-03T00:00:00Z");
    client.books(&therapist, address, soon).await.is(201);
    app.advance(TimeDelta::hours(20));
    client.books(&therapist, address, later).await.is(201);
    app.advance(TimeDelta::hours(10));
    for (status, expected) in [
        ("requested", vec![later]),
        ("expired", vec![soon]),
        ("requested,expired", vec![soon, later]),
        ("confirmed,declined", vec![]),
    ] {
        for who in [&client, &therapist, &admin] {
            let page = who.get(&format!("/v1/bookings?status={status}")).await.is(200).body;
            assert_eq!(starts(&page), expected, "{status}");
        }
    }
    // In one order with what stands elsewhere, whatever the state is.
    client.books(&therapist, address, "2026-12-04T00:00:00Z").await.is(201);
    let all = admin.get("/v1/bookings?sort=-start_at").await.is(200).body;
    assert_eq!(starts(&all), ["2026-12-04T00:00:00Z", later, soon]);
    assert_eq!(all["data"][2]["status"], "expired");
}

#[tokio::test]
async fn lists_are_sorted_and_filtered_by_several_states() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    let (second, elsewhere) = app.client_at_home().await;
    let booked = async |client: &Person, address, start: &str| {
        app.advance(TimeDelta::seconds(1));
        client.books(&therapist, address, start).await.is(201).header("location")
    };
    // Booked in another order than they take place.
    let (a, b, c) = ("2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z", "2026-12-03T00:00:00Z");
    booked(&client, address, b).await;
    let last = booked(&client, address, c).await;
    booked(&client, address, a).await;
    booked(&second, elsewhere, "2026-12-04T00:00:00Z").await;
    client.act(&format!("{last}/cancel")).await.is(200);
    for (query, expected) in [
        ("", vec![a, b, c]),
        ("sort=start_at", vec![a, b, c]),
        ("sort=-start_at", vec![c, b, a]),
        ("sort=created_at", vec![b, c, a]),
        ("sort=-created_at", vec![a, c, b]),
        ("status=confirmed", vec![a, b]),
        ("status=confirmed,cancelled&sort=-start_at", vec![c, b, a]),
        ("status=completed,cancelled", vec![c]),
        ("status=cancelled&from=2026-12-01&to=2026-12-02", vec![]),
    ] {
        assert_eq!(starts(&client.get(&format!("/v1/bookings?{query}")).await.is(200).body), expected, "{query}");
        // Page by page, for everyone.
        for who in [&client, &therapist, &admin] {
            let filter = format!("/v1/bookings?client_id={}&limit=1&{query}", client.id);
            let (mut seen, mut next) = (Vec::new(), filter.clone());
            loop {
                let page = who.get(&next).await.is(200).body;
                seen.extend(starts(&page));
                let Some(cursor) = page["next_cursor"].as_str() else { break };
                next = format!("{filter}&cursor={cursor}");
            }
            assert_eq!(seen, expected, "{query}");
        }
    }
    assert_eq!(starts(&therapist.get("/v1/bookings").await.is(200).body).len(), 4);
    assert_eq!(starts(&admin.get("/v1/bookings?sort=-created_at&limit=1").await.body), ["2026-12-04T00:00:00Z"]);
    for (query, pointer) in [
        ("status=", "/status"),
        ("status=confirmed,lost", "/status"),
        ("status=confirmed,", "/status"),
        ("sort=price", "/sort"),
        ("from=2026-12-02&to=2026-12-01", "/to"),
        ("limit=101", "/limit"),
    ] {
        client.get(&format!("/v1/bookings?{query}")).await.points_to(&[pointer]);
    }
    let page = client.get("/v1/bookings?limit=1").await.is(200).body;
    let cursor = page["next_cursor"].as_str().unwrap();
    client.get(&format!("/v1/bookings?limit=1&sort=-start_at&cursor={cursor}")).await.points_to(&["/cursor"]);
}

#[tokio::test]
async fn pages_stay_in_step_while_bookings_come_and_go() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    for day in [1, 2, 4, 5] {
        client.books(&therapist, address, &format!("2026-12-0{day}T00:00:00Z")).await.is(201);
    }
    let first = client.get("/v1/bookings?limit=2").await.is(200).body;
    assert_eq!(starts(&first), ["2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z"]);
    client.books(&therapist, address, "2026-12-03T00:00:00Z").await.is(201);
    client.books(&therapist, address, "2026-12-01T03:00:00Z").await.is(201);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = client.get(&format!("/v1/bookings?cursor={cursor}")).await.is(200).body;
    assert_eq!(starts(&rest), ["2026-12-03T00:00:00Z", "2026-12-04T00:00:00Z", "2026-12-05T00:00:00Z"]);
}
