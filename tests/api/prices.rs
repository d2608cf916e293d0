//! What visits cost: quotes, slots, holds and bookings, and what calling them off costs.

use chrono::TimeDelta;
use knead::accounts::Address;
use knead::bookings::Booking;
use knead::bookings::costs::requote;
use knead::bookings::lifecycle::Status;
use knead::ids::{BookingId, ServiceId, TherapistId};
use knead::prices::PriceBreakdown;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, App, DEEP_TISSUE, WEEK, at, surry_hills};

const TUESDAY: &str = "2026-12-01T00:00:00Z";
/// Half past nine in the evening of a Saturday in Sydney.
const SATURDAY_NIGHT: &str = "2026-12-05T10:30:00Z";

pub fn aud(amount: i64) -> Value {
    json!({ "amount": amount, "currency": "AUD" })
}

/// A wish for the price of an hour in Surry Hills.
pub fn there(start_at: &str) -> Value {
    json!({
        "service_id": DEEP_TISSUE, "duration_minutes": 60, "start_at": start_at,
        "latitude": -33.8886, "longitude": 151.2111, "country": "AU", "region": "NSW",
    })
}

pub fn with(mut value: Value, change: Value) -> Value {
    value.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    value
}

/// The lines of a breakdown.
pub fn lines(breakdown: &Value) -> Vec<(String, i64)> {
    let lines = breakdown["lines"].as_array().unwrap().iter();
    lines.map(|line| (line["code"].as_str().unwrap().to_owned(), line["amount"]["amount"].as_i64().unwrap())).collect()
}

pub fn line(code: &str, amount: i64) -> (String, i64) {
    (code.to_owned(), amount)
}

/// The price of an hour of deep tissue in Australia, from a day ahead.
pub fn price(app: &App, amount: i64, version: i32) -> Value {
    json!({
        "service_id": DEEP_TISSUE, "country": "AU", "duration_minutes": 60, "price": aud(amount), "version": version,
        "effective_from": app.now() + TimeDelta::days(1),
    })
}

/// A quote without what calling off costs.
fn price_of(mut quote: Value) -> Value {
    for field in ["cancellation_policy", "free_until", "cancellation_terms"] {
        quote.as_object_mut().unwrap().remove(field).unwrap();
    }
    quote
}

#[tokio::test]
async fn a_quote_says_how_the_price_comes_about() {
    let app = App::start().await;
    let (therapist, nobody) = (app.therapist().await, app.nobody());
    let plain = nobody.post("/v1/quotes", there(TUESDAY)).await.is(200).body;
    assert_eq!(
        price_of(plain.clone()),
        json!({
            "base": aud(12_900), "lines": [], "total": aud(12_900), "price_version": 1, "distance_km": null,
            "priced_at": "2026-11-30T01:00:00Z", "asked_at": "2026-11-30T01:00:00Z",
        })
    );
    let night = nobody.post("/v1/quotes", with(there(SATURDAY_NIGHT), json!({ "kind": "hotel" }))).await.is(200).body;
    assert_eq!(lines(&night), [line("hotel", 2_000), line("late_evening", 2_580), line("weekend", 1_290)]);
    assert_eq!(night["total"], aud(12_900 + 2_000 + 2_580 + 1_290));
    assert_eq!(night["lines"][0], json!({ "code": "hotel", "label": "Hotel", "amount": aud(2_000), "version": 1 }));
    let soon = nobody.post("/v1/quotes", there("2026-11-30T04:59:59Z")).await.is(200).body;
    assert_eq!(lines(&soon), [line("short_notice", 1_290)]);
    assert_eq!(lines(&nobody.post("/v1/quotes", there("2026-11-30T05:00:00Z")).await.is(200).body), []);

    // Boxing Day is a Saturday: of a holiday and a weekend the dearer counts.
    let holiday = nobody.post("/v1/quotes", there("2026-12-26T02:00:00Z")).await.is(200).body;
    assert_eq!(lines(&holiday), [line("public_holiday", 3_225)]);
    // Over midnight into Christmas Day counts, up to midnight does not.
    let into = nobody.post("/v1/quotes", there("2026-12-24T12:30:00Z")).await.is(200).body;
    assert_eq!(lines(&into), [line("late_evening", 2_580), line("public_holiday", 3_225)]);
    let until = nobody.post("/v1/quotes", there("2026-12-24T12:00:00Z")).await.is(200).body;
    assert_eq!(lines(&until), [line("late_evening", 2_580)]);

    let named = with(there(TUESDAY), json!({ "therapist_id": therapist.id }));
    assert_eq!(nobody.post("/v1/quotes", named.clone()).await.is(200).body["distance_km"], 4);
    let far = with(named, json!({ "latitude": -33.9, "longitude": 150.95 }));
    let far = nobody.post("/v1/quotes", far).await.is(200).body;
    let km = far["distance_km"].as_i64().unwrap();
    assert!((20..25).contains(&km), "{km}");
    assert_eq!(lines(&far), [line("distance", (km - 15) * 150)]);
    assert_eq!(app.rows("reservations").await, 0);
}

#[tokio::test]
async fn a_quote_that_cannot_be_given_says_why() {
    let app = App::start().await;
    let (client, address) = app.client_at_home().await;
    let (nobody, other) = (app.nobody(), app.client().await);
    for (change, pointer) in [
        (json!({ "service_id": client.id }), "/service_id"),
        (json!({ "duration_minutes": 61 }), "/duration_minutes"),
        (json!({ "duration_minutes": -32768 }), "/duration_minutes"),
        (json!({ "start_at": "2026-11-30T01:00:00Z" }), "/start_at"),
        (json!({ "start_at": "2101-01-01T00:00:00Z" }), "/start_at"),
        (json!({ "therapist_id": client.id }), "/therapist_id"),
        (json!({ "country": "US" }), "/region"),
        (json!({ "country": null }), "/country"),
        (json!({ "latitude": null }), "/latitude"),
        (json!({ "kind": "castle" }), "/kind"),
        (json!({ "colour": "red" }), "/colour"),
    ] {
        nobody.post("/v1/quotes", with(there(TUESDAY), change)).await.points_to(&[pointer]);
    }
    client.post("/v1/quotes", with(there(TUESDAY), json!({ "address_id": address }))).await.points_to(&["/address_id"]);
    let own = json!({ "service_id": DEEP_TISSUE, "duration_minutes": 60, "start_at": TUESDAY, "address_id": address });
    assert_eq!(client.post("/v1/quotes", own.clone()).await.is(200).body["total"], aud(12_900));
    nobody.post("/v1/quotes", own.clone()).await.refused(401, "unauthorized");
    other.post("/v1/quotes", own).await.points_to(&["/address_id"]);
}

#[tokio::test]
async fn what_is_listed_quoted_held_and_booked_costs_the_same() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    therapist.works(&WEEK.map(|day| (day, "00:00", "00:00"))).await;
    let client = app.client().await;
    let hotel = client.address(with(surry_hills(), json!({ "kind": "hotel" }))).await;
    let listed = format!(
        "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from=2026-11-30&to=2026-12-07&address_id={hotel}"
    );
    let page = client.get(&listed).await.is(200).body;
    assert_eq!(page["data"][0]["price"], aud(12_900), "the base");
    let mut slots = page["data"][0]["slots"].as_array().unwrap().clone();
    for slot in &mut slots {
        // Without a price of its own it costs what the row says.
        assert_ne!(slot["price"], page["data"][0]["price"]);
        if slot["price"].is_null() {
            slot["price"] = page["data"][0]["price"].clone();
        }
    }
    let prices: std::collections::BTreeSet<i64> =
        slots.iter().map(|slot| slot["price"]["amount"].as_i64().unwrap()).collect();
    assert!(prices.len() > 3, "{prices:?}");
    for slot in slots.iter().step_by(37).chain(slots.first()) {
        let start = slot["start_at"].as_str().unwrap();
        let wish = client.wish(&therapist, hotel, start);
        let quote = price_of(client.post("/v1/quotes", wish.clone()).await.is(200).body);
        assert_eq!(quote["total"], slot["price"], "{start}");
        let hold = client.post("/v1/holds", wish.clone()).await.is(201);
        assert_eq!((&hold.body["price"], &hold.body["price_breakdown"]), (&slot["price"], &quote), "{start}");
        client.delete(&hold.header("location")).await.is(204);
        let booking = client.books_with_key(start, &wish).await.is(201);
        assert_eq!((&booking.body["price"], &booking.body["price_breakdown"]), (&slot["price"], &quote), "{start}");
        let seen = therapist.get(&booking.header("location")).await.is(200).body;
        let mut without_distance = quote.clone();
        without_distance["distance_km"] = Value::Null;
        assert_eq!(seen["price_breakdown"], without_distance, "nor does it tell how far away the door is");
        client.act(&format!("{}/cancel", booking.header("location"))).await.is(200);
    }
}

#[tokio::test]
async fn later_versions_never_change_what_is_held_or_booked() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    let booked = client.books(&therapist, address, "2026-12-03T00:00:00Z").await.is(201);
    let added = admin.post("/v1/admin/prices", price(&app, 15_000, 2)).await.is(201);
    let rules = json!({
        "free_within_minutes_of_booking": 0, "tiers": [{ "minutes_before": 0, "fee_percent": 20 }], "no_show_percent": 90,
        "therapist_share_basis_points": 5_000,
    });
    let policy =
        json!({ "country": "AU", "terms": rules, "version": 1, "effective_from": app.now() + TimeDelta::days(1) });
    admin.post("/v1/admin/cancellation-policies", policy).await.is(201);
    assert_eq!(app.nobody().post("/v1/quotes", there("2026-12-03T03:00:00Z")).await.is(200).body["total"], aud(12_900));

    app.advance(TimeDelta::days(1) - TimeDelta::seconds(1));
    let hold = client.post("/v1/holds", client.wish(&therapist, address, "2026-12-03T03:00:00Z")).await.is(201);
    let other = client.post("/v1/holds", client.wish(&therapist, address, "2026-12-04T03:00:00Z")).await.is(201);
    assert_eq!(hold.body["price"], aud(12_900));
    app.advance(TimeDelta::seconds(1));
    let new = app.nobody().post("/v1/quotes", there("2026-12-04T00:00:00Z")).await.is(200).body;
    assert_eq!((&new["total"], &new["price_version"]), (&aud(15_000), &json!(2)));
    let services = app.nobody().get(&format!("/v1/services/{DEEP_TISSUE}")).await.is(200).body;
    assert_eq!(services["durations"][0], json!({ "duration_minutes": 60, "price": aud(15_000) }));

    let held = client.books_with_key("held", &json!({ "hold_id": hold.body["id"] })).await.is(201);
    assert_eq!((&held.body["price"], &held.body["price_breakdown"]["price_version"]), (&aud(12_900), &json!(1)));
    assert_eq!(
        held.body["cancellation_policy"]["tiers"].as_array().unwrap().len(),
        3,
        "on the terms on which it was held"
    );
    client.delete(&other.header("location")).await.is(204);
    let fresh = client.books(&therapist, address, "2026-12-04T00:00:00Z").await.is(201);
    assert_eq!(fresh.body["price"], aud(15_000));
    assert_eq!(
        fresh.body["cancellation_policy"],
        json!({ "version": 1, "free_within_minutes_of_booking": 0, "tiers": [{ "minutes_before": 0, "fee_percent": 20 }], "no_show_percent": 90 }),
        "without the therapist's share"
    );
    app.advance(TimeDelta::minutes(1));
    for (booking, fee) in [(&booked, 0), (&held, 0), (&fresh, 3_000)] {
        let seen = client.get(&booking.header("location")).await.is(200).body;
        assert_eq!(seen, booking.body);
        let quote = client.get(&format!("{}/cancellation-quote", booking.header("location"))).await.is(200).body;
        assert_eq!(quote["fee"], aud(fee));
    }
    assert_eq!(admin.get(&added.header("location")).await.is(200).body, added.body);
}

#[tokio::test]
async fn currencies_of_no_and_of_three_decimals_are_counted_in_whole_units() {
    let app = App::start().await;
    let admin = app.admin().await;
    let tokyo = json!({ "latitude": 35.69, "longitude": 139.70, "country": "JP", "region": "13" });
    // A Saturday evening in Tokyo.
    let quote = app.nobody().post("/v1/quotes", with(there("2026-12-05T12:15:00Z"), tokyo)).await.is(200).body;
    assert_eq!(quote["base"], json!({ "amount": 10_800, "currency": "JPY" }));
    assert_eq!(lines(&quote), [line("late_evening", 2_160), line("weekend", 1_080)]);
    assert_eq!(quote["total"], json!({ "amount": 14_040, "currency": "JPY" }));

    let soon = app.now() + TimeDelta::minutes(1);
    let dinars = |amount: i64| json!({ "amount": amount, "currency": "KWD" });
    let price = json!({ "service_id": DEEP_TISSUE, "country": "KW", "duration_minutes": 60, "price": dinars(25_555), "version": 1, "effective_from": soon });
    admin.post("/v1/admin/prices", price).await.is(201);
    let friday = json!({ "kind": "weekend", "days": ["friday", "saturday"] });
    let terms = json!({ "label": "Weekend", "when": friday, "charge": { "kind": "percent", "basis_points": 1_000 } });
    admin
        .post(
            "/v1/admin/surcharges",
            json!({ "jurisdiction": "KW", "code": "weekend", "terms": terms, "version": 1, "effective_from": soon }),
        )
        .await
        .is(201);
    app.advance(TimeDelta::minutes(1));
    let kuwait = json!({ "latitude": 29.37, "longitude": 47.97, "country": "KW", "region": "KU" });
    let quote = app.nobody().post("/v1/quotes", with(there("2026-12-04T12:15:00Z"), kuwait)).await.is(200).body;
    assert_eq!((lines(&quote), &quote["total"]), (vec![line("weekend", 2_556)], &dinars(28_111)));
}

#[tokio::test]
async fn the_therapists_share_of_a_fee_is_not_the_clients_to_see() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    let path = client.books(&therapist, address, "2026-12-01T02:00:00Z").await.is(201).header("location");
    app.advance(TimeDelta::hours(2));
    let quote = format!("{path}/cancellation-quote");
    assert_eq!(client.get(&quote).await.is(200).body, json!({ "fee": aud(6_450), "refund": aud(6_450) }));
    for nobody_pays in [&therapist, &admin] {
        let quoted = nobody_pays.get(&quote).await.is(200).body;
        assert_eq!(quoted, json!({ "fee": aud(0), "refund": aud(12_900), "therapist_share": aud(0) }));
    }
    let before = therapist.get(&path).await.is(200).body;
    assert_eq!((&before["cancellation"], &before["therapist_share"]), (&Value::Null, &Value::Null));
    let seen = client.post(&format!("{path}/cancel"), json!({ "reason": "I am ill" })).await.is(200).body;
    let cancellation =
        json!({ "by": "client", "at": app.now(), "fee": aud(6_450), "refund": aud(6_450), "reason": "I am ill" });
    assert_eq!(seen["cancellation"], cancellation);
    assert!(!client.get(&path).await.is(200).text.contains("share"));
    for who in [&therapist, &admin] {
        let seen = who.get(&path).await.is(200).body;
        assert_eq!((&seen["therapist_share"], &seen["cancellation"]), (&aud(4_515), &cancellation));
    }
    let reliability = format!("/v1/admin/therapists/{}/reliability", therapist.id);
    assert_eq!(admin.get(&reliability).await.is(200).body["cancellations"], 0);
}

#[tokio::test]
async fn a_therapists_late_cancellations_are_counted() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    let mut booked = Vec::new();
    for (on_grid, start) in [
        ("2026-12-01T04:00:00Z", "2026-12-01T04:00:00Z"),
        ("2026-12-02T00:00:00Z", "2026-12-02T00:59:59Z"),
        ("2026-12-02T02:30:00Z", "2026-12-02T02:00:00Z"),
    ] {
        let booking = client.books(&therapist, address, on_grid).await.is(201);
        // Off the grid by hand: the border is exact to the second.
        app.sql(&format!("UPDATE bookings SET start_at = '{start}' WHERE id = '{}'", booking.id())).await.unwrap();
        booked.push(booking);
    }
    app.advance(TimeDelta::hours(24));
    for booking in &booked {
        for _ in 0..2 {
            therapist
                .post(&format!("{}/cancel", booking.header("location")), json!({ "reason": "A cold." }))
                .await
                .is(200);
        }
    }
    let reliability = format!("/v1/admin/therapists/{}/reliability", therapist.id);
    let seen = admin.get(&reliability).await.is(200).body;
    let counts = (&seen["cancellations"], &seen["late_cancellations"], &seen["no_shows"]);
    assert_eq!(counts, (&json!(3), &json!(2), &json!(0)), "25 hours are in time");
    let lapse = |booking: &Answer, start: &str, minutes: i64| json!({ "booking_id": booking.id(), "kind": "late_cancellation", "start_at": start, "at": app.now(), "minutes_before": minutes });
    let found = seen["data"].as_array().unwrap();
    assert!(found.contains(&lapse(&booked[0], "2026-12-01T04:00:00Z", 180)), "{found:?}");
    assert!(found.contains(&lapse(&booked[1], "2026-12-02T00:59:59Z", 1439)), "{found:?}");
    let page = admin.get(&format!("{reliability}?limit=1")).await.is(200).body;
    let rest = admin.get(&format!("{reliability}?cursor={}", page["next_cursor"].as_str().unwrap())).await.is(200).body;
    assert_eq!(json!([page["data"][0], rest["data"][0]]), seen["data"]);
    for person in [&client, &therapist] {
        person.get(&reliability).await.refused(403, "forbidden");
    }
    admin.get(&format!("/v1/admin/therapists/{}/reliability", client.id)).await.refused(404, "not_found");
    app.sql("DELETE FROM therapist_lapses").await.expect_err("append-only");
    assert_eq!(app.rows("events WHERE kind = 'therapist.late_cancellation'").await, 2);
}

#[tokio::test]
async fn nobody_is_blamed_for_calling_off_what_they_may_not_carry_out() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    let mut paths = Vec::new();
    for start in ["2026-11-30T22:00:00Z", "2026-12-01T04:00:00Z", "2026-12-01T00:00:00Z"] {
        paths.push(client.books(&therapist, address, start).await.is(201).header("location"));
    }
    app.sql("UPDATE bookings SET at_risk_since = '2026-11-30T00:00:00Z' WHERE start_at <> '2026-12-01T00:00:00Z'")
        .await
        .unwrap();
    therapist.post(&format!("{}/cancel", paths[0]), json!({})).await.is(200);
    // Nor is a client who does.
    let cancelled = client.post(&format!("{}/cancel", paths[1]), json!({})).await.is(200).body;
    assert_eq!(cancelled["cancellation"]["fee"]["amount"], 0);
    let reliability = format!("/v1/admin/therapists/{}/reliability", therapist.id);
    let seen = admin.get(&reliability).await.is(200).body;
    assert_eq!((&seen["cancellations"], &seen["late_cancellations"]), (&json!(0), &json!(0)));
    therapist.post(&format!("{}/cancel", paths[2]), json!({})).await.is(200);
    let seen = admin.get(&reliability).await.is(200).body;
    assert_eq!((&seen["cancellations"], &seen["late_cancellations"]), (&json!(1), &json!(1)));
    assert_eq!(
        admin.get("/v1/admin/bookings/at-risk").await.is(200).body["data"],
        json!([]),
        "what has ended is at risk no more"
    );
    assert_eq!(admin.get(&paths[0]).await.is(200).body["at_risk_since"], Value::Null);
}

/// A client's booking as the service itself holds it.
fn booking(body: &Value, client: Uuid) -> Booking {
    let read = |name: &str| body[name].clone();
    let address: Address = serde_json::from_value(read("address")).unwrap();
    let breakdown: PriceBreakdown = serde_json::from_value(read("price_breakdown")).unwrap();
    Booking {
        id: BookingId(serde_json::from_value(read("id")).unwrap()),
        client: knead::ids::AccountId(client),
        therapist: TherapistId(serde_json::from_value(body["therapist"]["id"].clone()).unwrap()),
        service: ServiceId(DEEP_TISSUE.parse().unwrap()),
        status: Status::Confirmed,
        start_at: at(body["start_at"].as_str().unwrap()),
        duration_minutes: 60,
        time_zone: address.time_zone,
        address,
        price: breakdown.total,
        breakdown,
        policy: serde_json::from_value(read("cancellation_policy")).unwrap(),
        notes_sealed: None,
        focus_areas_sealed: None,
        pressure: None,
        asked_at: None,
        respond_by: None,
        cancelled: None,
        charge_lowered_to: None,
        missed: None,
        extension: None,
        therapist_gender: None,
        cancel_reason: None,
        at_risk_since: None,
        free_to_cancel: false,
        least_fee: 0,
        recipient: None,
        care_at_risk_since: None,
        care_confirmed_at: None,
        handed_over_at: None,
        expected_at: None,
        created_at: at(body["created_at"].as_str().unwrap()),
    }
}

#[tokio::test]
async fn a_visit_is_quoted_again_by_the_versions_of_its_own_time() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    // Asked for less than four hours ahead.
    let made = client.books(&therapist, address, "2026-11-30T04:30:00Z").await.is(201);
    admin.post("/v1/admin/prices", price(&app, 15_000, 2)).await.is(201);
    let booking = booking(&made.body, client.id);
    app.advance(TimeDelta::days(2));
    let mut tx = app.service.db.begin().await.unwrap();
    let now = app.now();
    let same = requote(&mut tx, &booking, booking.start_at, 60, now).await.unwrap();
    assert_eq!(same, booking.breakdown, "as it was, short notice included");
    let longer = requote(&mut tx, &booking, booking.start_at, 90, now).await.unwrap();
    assert_eq!((longer.base.amount, longer.lines.len(), longer.total.amount), (17_900, 1, 19_690));
    let saturday = requote(&mut tx, &booking, at("2026-12-05T02:00:00Z"), 60, now).await.unwrap();
    assert_eq!(saturday.lines.iter().map(|line| line.code.as_str()).collect::<Vec<_>>(), ["weekend"]);
    assert_eq!((saturday.total.amount, saturday.price_version), (14_190, 1));
    assert_eq!((saturday.priced_at, saturday.asked_at), (booking.breakdown.priced_at, now));
    requote(&mut tx, &booking, booking.start_at, 61, now).await.expect_err("not sold for so long");
}
