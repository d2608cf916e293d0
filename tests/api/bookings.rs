use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{App, DEEP_TISSUE, Person, at};

const TUESDAY: &str = "2026-12-01T00:00:00Z";

/// A therapist who answers requests, a client, and a request between them.
async fn requested(app: &App) -> (Person, Person, String) {
    let therapist = app.therapist().await;
    therapist.change("/v1/therapists/me", json!({ "booking_mode": "request" })).await.is(200);
    let (client, address) = app.client_at_home().await;
    let booking = client.books(&therapist, address, TUESDAY).await.is(201);
    assert_eq!(booking.body["status"], "requested");
    (therapist, client, booking.header("location"))
}

async fn status(person: &Person, path: &str) -> Value {
    person.get(path).await.is(200).body["status"].clone()
}

#[tokio::test]
async fn an_instant_booking_is_confirmed() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let mut wish = client.wish(&therapist, address, "2026-12-01T11:00:00+11:00");
    wish["notes"] = json!("Left shoulder");
    wish["focus_areas"] = json!(["shoulders"]);
    wish["pressure"] = json!("firm");
    let booking = client.books_with_key("a", &wish).await.is(201);
    assert_eq!((&booking.body["status"], &booking.body["start_at"]), (&json!("confirmed"), &json!(TUESDAY)));
    assert_eq!(booking.body["price"], json!({ "amount": 12900, "currency": "AUD" }));
    assert_eq!(booking.body["address"]["access_notes"], "Ring 4.");
    assert_eq!(client.get(&booking.header("location")).await.is(200).body, booking.body);
    assert_eq!(app.rows("booking_credentials").await, 5, "what it relied on is kept");
    let events = client.get(&format!("{}/events", booking.header("location"))).await.is(200).body;
    assert_eq!(
        events["data"],
        json!([{ "at": booking.body["created_at"], "party": "client", "action": "create", "from_status": null, "to_status": "confirmed", "reason": null }])
    );
}

struct RefusedWish {
    change: Value,
    status: u16,
    code: &'static str,
}

#[tokio::test]
async fn each_refusal_has_its_code_and_stores_nothing() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let mut far = crate::support::surry_hills();
    (far["latitude"], far["longitude"]) = (json!(-33.7), json!(150.9));
    let far = client.address(far).await;
    // Just over a border, within the radius: nobody is asked for anything there, and nobody is sent there.
    app.sql("DELETE FROM credential_requirements").await.unwrap();
    client.books(&therapist, address, TUESDAY).await.refused(422, "credential_not_valid");
    app.sql("INSERT INTO credential_requirements (jurisdiction, service_kind, \"group\", options) VALUES ('AU', 'massage', 'insurance', '{INSURANCE}'), ('AU-NSW', 'massage', 'licence', '{US-TX-LMT}')").await.unwrap();
    client.books(&therapist, address, TUESDAY).await.refused(422, "credential_not_valid");
    app.sql("DELETE FROM credential_requirements WHERE jurisdiction = 'AU-NSW'").await.unwrap();
    for RefusedWish { change, status, code } in [
        RefusedWish { change: json!({ "start_at": "2026-11-30T02:00:00Z" }), status: 422, code: "notice_too_short" },
        RefusedWish { change: json!({ "start_at": "2020-01-01T00:00:00Z" }), status: 422, code: "notice_too_short" },
        RefusedWish { change: json!({ "start_at": "2027-03-01T00:00:00Z" }), status: 422, code: "beyond_horizon" },
        RefusedWish { change: json!({ "start_at": "2026-12-01T00:01:00Z" }), status: 409, code: "slot_unavailable" },
        RefusedWish { change: json!({ "start_at": "2026-12-01T00:00:00.5Z" }), status: 409, code: "slot_unavailable" },
        RefusedWish { change: json!({ "start_at": "2026-12-01T05:15:00Z" }), status: 409, code: "slot_unavailable" },
        RefusedWish { change: json!({ "start_at": "2026-12-01T12:00:00Z" }), status: 409, code: "slot_unavailable" },
        RefusedWish { change: json!({ "duration_minutes": 120 }), status: 422, code: "service_not_offered" },
        RefusedWish { change: json!({ "duration_minutes": 61 }), status: 422, code: "service_not_offered" },
        RefusedWish { change: json!({ "address_id": far }), status: 422, code: "outside_service_area" },
    ] {
        let mut wish = client.wish(&therapist, address, TUESDAY);
        wish.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        client.books_with_key(&Uuid::now_v7().to_string(), &wish).await.refused(status, code);
    }
    for (field, value) in [
        ("therapist_id", json!(client.id)),
        ("service_id", json!(client.id)),
        ("address_id", json!(client.id)),
        ("start_at", json!("soon")),
        ("start_at", json!("+262142-12-31T23:59:59Z")),
        ("duration_minutes", json!(70_000)),
        ("notes", json!("a\u{0}")),
        ("pressure", json!("crushing")),
        ("focus_areas", json!(vec!["neck"; 11])),
        ("colour", json!("red")),
    ] {
        let mut wish = client.wish(&therapist, address, TUESDAY);
        wish[field] = value;
        client.books_with_key(&Uuid::now_v7().to_string(), &wish).await.points_to(&[&format!("/{field}")]);
    }
    therapist.change("/v1/therapists/me", json!({ "accepting_bookings": false })).await.is(200);
    client.books(&therapist, address, TUESDAY).await.refused(422, "not_accepting_bookings");
    for table in ["bookings", "reservations", "booking_events", "idempotency_keys"] {
        assert_eq!(app.rows(table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn a_daily_cap_counts_local_dates() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    therapist.change("/v1/therapists/me", json!({ "daily_cap": 1 })).await.is(200);
    let (client, address) = app.client_at_home().await;
    // Both are on Tuesday in Sydney, on different dates in UTC.
    client.books(&therapist, address, "2026-11-30T22:00:00Z").await.is(201);
    client.books(&therapist, address, "2026-12-01T03:00:00Z").await.refused(409, "slot_unavailable");
    client.books(&therapist, address, "2026-12-01T22:00:00Z").await.is(201);
}

#[tokio::test]
async fn a_request_is_accepted_or_declined() {
    let app = App::start().await;
    let (therapist, client, path) = requested(&app).await;
    client.act(&format!("{path}/accept")).await.refused(403, "forbidden");
    app.therapist().await.act(&format!("{path}/accept")).await.refused(404, "not_found");
    assert_eq!(therapist.act(&format!("{path}/accept")).await.is(200).body["status"], "confirmed");
    assert_eq!(therapist.act(&format!("{path}/accept")).await.is(200).body["status"], "confirmed", "again");
    therapist.act(&format!("{path}/decline")).await.refused(409, "invalid_transition");
    let events = client.get(&format!("{path}/events")).await.body;
    assert_eq!(events["data"].as_array().unwrap().len(), 2, "a repeated step leaves no event");

    let (therapist, client, path) = requested(&app).await;
    assert_eq!(therapist.act(&format!("{path}/decline")).await.is(200).body["status"], "declined");
    assert_eq!(status(&client, &path).await, "declined");
    let (other, address) = app.client_at_home().await;
    other.books(&therapist, address, TUESDAY).await.is(201);
}

#[tokio::test]
async fn a_request_holds_its_time_until_its_deadline_and_no_longer() {
    let app = App::start().await;
    let (therapist, client, path) = requested(&app).await;
    let (other, address) = app.client_at_home().await;
    // 23 hours ahead: half of that to answer.
    assert_eq!(client.get(&path).await.body["respond_by"], "2026-11-30T12:30:00Z");
    app.advance(TimeDelta::minutes(11 * 60 + 29));
    other.books(&therapist, address, TUESDAY).await.refused(409, "slot_unavailable");
    app.advance(TimeDelta::minutes(1));
    // No job has run: the request has lapsed all the same.
    assert_eq!(status(&client, &path).await, "expired");
    therapist.act(&format!("{path}/accept")).await.refused(409, "invalid_transition");
    client.post(&format!("{path}/cancel"), json!({})).await.refused(409, "invalid_transition");
    assert!(other.slots(&therapist, "2026-12-01", "2026-12-01").await.contains(&TUESDAY.to_owned()));
    other.books(&therapist, address, TUESDAY).await.is(201);

    assert_eq!(app.rows("bookings WHERE status = 'expired'").await, 0);
    app.run_jobs().await;
    app.run_jobs().await;
    assert_eq!(app.rows("bookings WHERE status = 'expired'").await, 1);
    assert_eq!(app.rows("booking_events WHERE action = 'expire'").await, 1);
    assert_eq!(app.rows("reservations").await, 1, "the new one's time is untouched");
}

#[tokio::test]
async fn an_answered_request_does_not_lapse() {
    let app = App::start().await;
    let (therapist, client, path) = requested(&app).await;
    therapist.act(&format!("{path}/accept")).await.is(200);
    app.advance(TimeDelta::hours(12));
    app.run_jobs().await;
    assert_eq!(status(&client, &path).await, "confirmed");
}

#[tokio::test]
async fn a_request_whose_time_another_process_has_cleared_is_not_confirmed() {
    for step in ["accept", "reschedule", "counter-offer"] {
        let app = App::start().await;
        let (therapist, client, path) = requested(&app).await;
        // By a clock that is half a day ahead the request has lapsed.
        app.sql("DELETE FROM reservations").await.unwrap();
        let answer = match step {
            "accept" => therapist.act(&format!("{path}/accept")).await,
            "reschedule" => {
                client.post(&format!("{path}/reschedule"), json!({ "start_at": "2026-12-03T00:00:00Z" })).await
            }
            _ => {
                let other = json!({ "start_at": "2026-12-03T00:00:00Z" });
                let offer = therapist.post(&format!("{path}/counter-offers"), other).await.is(201).header("location");
                client.act(&format!("{offer}/accept")).await
            }
        };
        answer.refused(409, "slot_unavailable");
        assert_eq!(status(&client, &path).await, "requested", "{step}");
        assert_eq!(app.rows("reservations WHERE booking_id IS NOT NULL").await, 0);
    }
}

#[tokio::test]
async fn acceptance_asks_every_rule_again() {
    let app = App::start().await;
    let (therapist, _, path) = requested(&app).await;
    let accept = format!("{path}/accept");
    app.sql("UPDATE credentials SET expires_on = '2026-11-30' WHERE type = 'INSURANCE'").await.unwrap();
    therapist.act(&accept).await.refused(422, "credential_not_valid");
    app.sql("UPDATE credentials SET expires_on = '2026-12-01' WHERE type = 'INSURANCE'").await.unwrap();
    let off = json!({ "start_at": "2026-12-01T00:30:00Z", "end_at": "2026-12-01T00:31:00Z" });
    let off = therapist.post("/v1/therapists/me/time-off", off).await.is(201).id();
    therapist.act(&accept).await.refused(409, "slot_unavailable");
    therapist.delete(&format!("/v1/therapists/me/time-off/{off}")).await.is(204);
    // The notice that the client gave is not asked of the therapist.
    therapist.change("/v1/therapists/me", json!({ "min_notice_minutes": 22 * 60 })).await.is(200);
    app.advance(TimeDelta::hours(2));
    therapist.act(&accept).await.is(200);
}

struct CalledOff {
    hours: i64,
    minutes: i64,
    fee: i64,
}

#[tokio::test]
async fn calling_off_costs_what_the_policy_says() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    // Booked on Monday at 12:00, two days and ten hours ahead: an evening, of which 20 % are a surcharge.
    for CalledOff { hours, minutes, fee } in [
        CalledOff { hours: 0, minutes: 60, fee: 0 },
        CalledOff { hours: 34, minutes: 0, fee: 0 },
        CalledOff { hours: 34, minutes: 1, fee: 7740 },
        CalledOff { hours: 54, minutes: 0, fee: 7740 },
        CalledOff { hours: 54, minutes: 1, fee: 15480 },
        CalledOff { hours: 57, minutes: 59, fee: 15480 },
    ] {
        let (client, address) = app.client_at_home().await;
        let booked_at = app.now();
        let start = booked_at + TimeDelta::hours(58);
        therapist_is_there(&therapist).await;
        let booking = client.books(&therapist, address, &start.to_rfc3339()).await.is(201);
        let path = booking.header("location");
        app.advance(TimeDelta::minutes(hours * 60 + minutes));
        let quote = client.get(&format!("{path}/cancellation-quote")).await.is(200).body;
        let money = |amount: i64| json!({ "amount": amount, "currency": "AUD" });
        assert_eq!(quote, json!({ "fee": money(fee), "refund": money(15480 - fee) }), "after {hours}:{minutes}");
        let cancelled = client.post(&format!("{path}/cancel"), json!({ "reason": "I am ill" })).await.is(200).body;
        assert_eq!(cancelled["status"], "cancelled");
        assert_eq!(
            (&cancelled["cancellation"]["by"], &cancelled["cancellation"]["fee"]),
            (&json!("client"), &money(fee))
        );
        assert_eq!(client.post(&format!("{path}/cancel"), json!({})).await.is(200).body, cancelled, "again");
        client.get(&format!("{path}/cancellation-quote")).await.refused(409, "invalid_transition");
        assert_eq!(app.rows("reservations").await, 0);
        // On to the next Monday noon.
        app.advance(booked_at + TimeDelta::days(7) - app.now());
    }
}

/// Keeps a therapist's hours open around the clock.
async fn therapist_is_there(therapist: &Person) {
    therapist.works(&crate::support::WEEK.map(|day| (day, "00:00", "00:00"))).await;
}

#[tokio::test]
async fn a_therapist_and_an_admin_call_off_without_a_fee() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    for (who, by) in [(&therapist, "therapist"), (&admin, "admin")] {
        let path = client.books(&therapist, address, "2026-11-30T04:00:00Z").await.is(201).header("location");
        app.advance(TimeDelta::minutes(1));
        let cancelled = who.post(&format!("{path}/cancel"), json!({})).await.is(200).body;
        assert_eq!(
            (&cancelled["cancellation"]["by"], &cancelled["cancellation"]["fee"]["amount"]),
            (&json!(by), &json!(0))
        );
    }
    let (therapist, _, path) = requested(&app).await;
    therapist.post(&format!("{path}/cancel"), json!({})).await.refused(409, "invalid_transition");
}

#[tokio::test]
async fn the_door_is_shown_to_the_therapist_while_the_visit_is_on() {
    let app = App::start().await;
    let (therapist, client, path) = requested(&app).await;
    let before = therapist.get(&path).await.is(200);
    assert_eq!(
        before.body["suburb"],
        json!({ "locality": "Surry Hills", "region": "NSW", "postcode": "2010", "country": "AU" })
    );
    for secret in ["Crown", "Ring 4", "33.88", &client.email] {
        assert!(!before.text.contains(secret), "{secret}");
    }
    assert_eq!(app.rows("events WHERE kind = 'booking.address_disclosed'").await, 0);
    therapist.act(&format!("{path}/accept")).await.is(200);
    let shown = therapist.get(&path).await.is(200).body;
    assert_eq!(
        (&shown["address"]["line1"], &shown["address"]["access_notes"]),
        (&json!("12 Crown Street"), &json!("Ring 4."))
    );
    assert_eq!(app.rows("events WHERE kind = 'booking.address_disclosed'").await, 1, "the look is written down");
    assert!(!therapist.get("/v1/bookings").await.is(200).text.contains("Crown"), "a list shows no doors");
    let admin = app.admin().await;
    assert!(!admin.get(&path).await.is(200).text.contains("Crown"));

    app.advance(at("2026-12-02T00:59:59Z") - app.now());
    assert!(therapist.get(&path).await.is(200).text.contains("Crown"));
    app.advance(TimeDelta::seconds(1));
    assert!(!therapist.get(&path).await.is(200).text.contains("Crown"), "24 hours after its end");
}

#[tokio::test]
async fn a_visit_that_is_called_off_hides_the_door_again() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let path = client.books(&therapist, address, TUESDAY).await.is(201).header("location");
    assert!(therapist.get(&path).await.text.contains("Crown"));
    client.post(&format!("{path}/cancel"), json!({ "why": "?" })).await.points_to(&["/why"]);
    client.act(&format!("{path}/cancel")).await.is(200);
    assert!(!therapist.get(&path).await.is(200).text.contains("Crown"));
}

#[tokio::test]
async fn an_edited_or_removed_address_moves_no_visit() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let path = client.books(&therapist, address, TUESDAY).await.is(201).header("location");
    client.change(&format!("/v1/me/addresses/{address}"), json!({ "line1": "1 Other Street" })).await.is(200);
    client.delete(&format!("/v1/me/addresses/{address}")).await.is(204);
    assert_eq!(client.get(&path).await.is(200).body["address"]["line1"], "12 Crown Street");
}

#[tokio::test]
async fn only_the_parties_and_admins_know_of_a_booking() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let path = client.books(&therapist, address, TUESDAY).await.is(201).header("location");
    for stranger in [app.client().await, app.therapist().await] {
        stranger.get(&path).await.refused(404, "not_found");
        stranger.get(&format!("{path}/events")).await.refused(404, "not_found");
        stranger.get(&format!("{path}/cancellation-quote")).await.refused(404, "not_found");
        stranger.post(&format!("{path}/cancel"), json!({})).await.refused(404, "not_found");
        let listed = stranger.get(&format!("/v1/bookings?client_id={}", client.id)).await.is(200).body;
        assert_eq!(listed["data"], json!([]));
    }
    let admin = app.admin().await;
    admin.get(&path).await.is(200);
    assert_eq!(
        admin.get(&format!("/v1/bookings?therapist_id={}", therapist.id)).await.body["data"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn lists_are_filtered_by_the_dates_of_the_place() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    for start in ["2026-11-30T22:00:00Z", "2026-12-01T04:00:00Z", "2026-12-01T22:00:00Z"] {
        client.books(&therapist, address, start).await.is(201);
    }
    let starts = |query: &str| {
        let (client, path) = (client.clone(), format!("/v1/bookings?{query}"));
        async move {
            let data = client.get(&path).await.is(200).body["data"].as_array().unwrap().clone();
            data.iter().map(|booking| booking["start_at"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        }
    };
    assert_eq!(starts("from=2026-12-01&to=2026-12-01").await, ["2026-11-30T22:00:00Z", "2026-12-01T04:00:00Z"]);
    assert_eq!(starts("from=2026-12-02").await, ["2026-12-01T22:00:00Z"]);
    assert_eq!(starts("to=2026-11-30").await, Vec::<String>::new());
    assert_eq!(starts("status=confirmed&limit=100").await.len(), 3);
    assert_eq!(starts("status=cancelled").await.len(), 0);
    client.get("/v1/bookings?status=lost").await.points_to(&["/status"]);
    client.get("/v1/bookings?from=2026-02-30").await.points_to(&["/from"]);
    client.get("/v1/bookings?cursor=%00").await.points_to(&["/cursor"]);
    let page = client.get("/v1/bookings?limit=2").await.is(200).body;
    let next = page["next_cursor"].as_str().unwrap();
    assert_eq!(starts(&format!("limit=2&cursor={next}")).await, ["2026-12-01T22:00:00Z"]);
}

#[tokio::test]
async fn history_cannot_be_rewritten() {
    let app = App::start().await;
    let (_, client, path) = requested(&app).await;
    let months = "SELECT make_months('events', '2026-12-01', 0), make_months('reliances', '2026-12-01', 0)";
    app.sql(months).await.unwrap();
    let refuses = async |statement: &str| {
        let error = app.sql(statement).await.expect_err(statement).to_string();
        assert!(error.contains("append-only"), "{error}");
    };
    for statement in [
        "UPDATE events SET reason = 'x'",
        "UPDATE events SET reason_sealed = 'x'",
        "DELETE FROM events",
        "TRUNCATE events",
        "TRUNCATE events_other",
        "TRUNCATE events_2026_12",
        "UPDATE events SET id = gen_random_uuid()",
        "UPDATE reliances SET revision = 2",
        "DELETE FROM reliances",
        "TRUNCATE reliances",
        "TRUNCATE reliances_2026_12",
    ] {
        refuses(statement).await;
    }
    client.post(&format!("{path}/cancel"), json!({ "reason": "I am ill" })).await.is(200);
    for change in [
        "reason = 'x'",
        "reason = 'x', reason_sealed = NULL",
        "reason_sealed = NULL",
        "reason_sealed = 'x', at = at + interval '1 hour'",
        "reason_sealed = 'x', party = 'therapist'",
        "reason_sealed = reason_sealed, details = '{}'",
    ] {
        refuses(&format!("UPDATE events SET {change} WHERE kind = 'booking.cancel'")).await;
    }
    // How its words are sealed may change; whoever has no key makes none that open.
    app.sql("UPDATE events SET reason_sealed = 'x' WHERE kind = 'booking.cancel'").await.unwrap();
    client.get(&path).await.refused(500, "internal");
}

#[tokio::test]
async fn the_table_itself_refuses_what_would_slip_past() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    client.books(&therapist, address, TUESDAY).await.is(201);
    let insert = |during: &str| {
        format!(
            "INSERT INTO reservations (id, therapist_id, during, start_at, latitude, longitude)
             VALUES (gen_random_uuid(), '{}', {during}, '{TUESDAY}', 0, 0)",
            therapist.id
        )
    };
    for (during, constraint) in [
        (format!("tstzrange('{TUESDAY}', '2026-12-01T00:30:00Z')"), "reservations_overlap"),
        ("'empty'".to_owned(), "reservations_during_finite"),
        (format!("tstzrange(NULL, '{TUESDAY}', '[]')"), "reservations_during_finite"),
        (format!("tstzrange('{TUESDAY}', 'infinity')"), "reservations_during_finite"),
        ("NULL".to_owned(), "during"),
    ] {
        let error = app.sql(&insert(&during)).await.expect_err(&during).to_string();
        assert!(error.contains(constraint), "{error}");
    }
}

#[tokio::test]
async fn a_longer_visit_costs_and_takes_more() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let mut wish = client.wish(&therapist, address, TUESDAY);
    wish["duration_minutes"] = json!(90);
    let booking = client.books_with_key("a", &wish).await.is(201).body;
    assert_eq!((&booking["price"]["amount"], &booking["end_at"]), (&json!(17900), &json!("2026-12-01T01:30:00Z")));
    assert_eq!(booking["service"]["id"], DEEP_TISSUE);
    client.books(&therapist, address, "2026-12-01T01:45:00Z").await.refused(409, "slot_unavailable");
    client.books(&therapist, address, "2026-12-01T02:00:00Z").await.is(201);
}

#[tokio::test]
async fn nothing_rests_on_a_credential_that_is_not_there() {
    let app = App::start().await;
    let _ = requested(&app).await;
    let relies = |credential: &str, verification: &str| {
        format!(
            "INSERT INTO reliances SELECT booking_id, revision + 1, relied_at, therapist_id, '{{x}}', '{{AU}}', '{{INSURANCE}}', ARRAY[{credential}],
                                          '{{INSURANCE}}', '{{x}}', ARRAY[{verification}]::uuid[], '{{NULL}}'
             FROM reliances WHERE revision = 1"
        )
    };
    let verified = "INSERT INTO credential_verifications (id, credential_id, method, source, board_status, at)
                    SELECT gen_random_uuid(), id, 'document', 'x', 'active', created_at FROM credentials WHERE type = 'INSURANCE'";
    app.sql(verified).await.unwrap();
    let insurance = "(SELECT id FROM credentials WHERE type = 'INSURANCE')";
    let verification = "(SELECT id FROM credential_verifications)";
    for (credential, verification) in [
        ("gen_random_uuid()", "NULL"),
        (insurance, "gen_random_uuid()"),
        // A verification of another credential is none of this one.
        ("(SELECT id FROM credentials WHERE type = 'FIRST-AID')", verification),
    ] {
        let error = app.sql(&relies(credential, verification)).await.expect_err(credential).to_string();
        assert!(error.contains("is not there"), "{credential}, {verification}: {error}");
    }
    app.sql(&relies(insurance, verification)).await.unwrap();
    app.sql("DELETE FROM credentials").await.expect_err("what visits rely on stays");
    app.sql("DELETE FROM credential_verifications").await.expect_err("and what proofs name does");
    app.sql("DELETE FROM bookings").await.expect_err("and so do visits");
}

#[tokio::test]
async fn an_acceptance_remembers_what_it_rested_on() {
    let app = App::start().await;
    let (therapist, _, path) = requested(&app).await;
    let insurance = "booking_credentials b JOIN credentials c ON c.id = b.credential_id
                     WHERE c.type = 'INSURANCE' AND c.review_state = 'verified' AND revision = (SELECT max(revision) FROM reliances)";
    assert_eq!(app.rows(insurance).await, 1);
    // The policy that the request rested on is taken back, and another one verified.
    app.sql("UPDATE credentials SET review_state = 'revoked' WHERE type = 'INSURANCE'").await.unwrap();
    assert_eq!(app.rows(insurance).await, 0);
    app.license(&therapist, "2028-12-31").await;
    therapist.act(&format!("{path}/accept")).await.is(200);
    assert_eq!(app.rows(insurance).await, 1);
    assert_eq!(app.rows("reliances").await, 2, "what it rested on before stays written");
}

#[tokio::test]
async fn what_is_over_can_no_longer_be_called_off() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let path = client.books(&therapist, address, TUESDAY).await.is(201).header("location");
    app.advance(TimeDelta::hours(24));
    for who in [&client, &therapist] {
        who.act(&format!("{path}/cancel")).await.refused(409, "invalid_transition");
        who.get(&format!("{path}/cancellation-quote")).await.refused(409, "invalid_transition");
    }
}

#[tokio::test]
async fn a_therapist_is_told_of_what_is_booked_and_asked() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let told = async || therapist.get("/v1/me/notices").await.is(200).body["data"].as_array().unwrap().clone();
    let wish = client.wish(&therapist, address, TUESDAY);
    let booked = client.books_with_key("k", &wish).await.is(201);
    let notices = told().await;
    assert_eq!(notices.len(), 1);
    assert_eq!(
        json!([notices[0]["kind"], notices[0]["subject_type"], notices[0]["subject_id"], notices[0]["details"]]),
        json!(["visit_booked", "booking", booked.id(), { "start_at": TUESDAY, "time_zone": "Australia/Sydney" }])
    );
    client.books_with_key("k", &wish).await.is(201);
    client.books(&therapist, address, TUESDAY).await.refused(409, "slot_unavailable");
    assert_eq!(told().await.len(), 1, "neither of a replay nor of a refusal");
    therapist.change("/v1/therapists/me", json!({ "booking_mode": "request" })).await.is(200);
    let hold = client.post("/v1/holds", client.wish(&therapist, address, "2026-12-02T00:00:00Z")).await.is(201);
    assert_eq!(told().await.len(), 1, "nor of a hold");
    let asked = client.books_with_key("h", &json!({ "hold_id": hold.id() })).await.is(201);
    let notices = told().await;
    assert_eq!((&notices[0]["kind"], &notices[0]["subject_id"]), (&json!("visit_requested"), &json!(asked.id())));
    assert_eq!(client.get("/v1/me/notices").await.is(200).body["data"], json!([]));
}
