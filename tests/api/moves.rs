//! Changing when a visit takes place.

mod counter_offers;
mod extensions;
mod races;

use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, App, Person, at, send, surry_hills};

const WEDNESDAY: &str = "2026-12-02T00:00:00Z";
const THURSDAY: &str = "2026-12-03T00:00:00Z";

/// A visit on Wednesday at eleven, two days ahead.
struct Scene {
    app: App,
    therapist: Person,
    client: Person,
    address: Uuid,
    path: String,
}

async fn scene() -> Scene {
    scene_with("instant").await
}

async fn scene_with(mode: &str) -> Scene {
    let app = App::start().await;
    let therapist = app.therapist().await;
    therapist.change("/v1/therapists/me", json!({ "booking_mode": mode })).await.is(200);
    let (client, address) = app.client_at_home().await;
    let path = client.books(&therapist, address, WEDNESDAY).await.is(201).header("location");
    Scene { app, therapist, client, address, path }
}

impl Scene {
    async fn booking(&self) -> Value {
        self.client.get(&self.path).await.is(200).body
    }

    async fn events(&self) -> Vec<Value> {
        let events = self.client.get(&format!("{}/events", self.path)).await.is(200).body;
        events["data"].as_array().unwrap().clone()
    }

    async fn fee(&self) -> Value {
        self.client.get(&format!("{}/cancellation-quote", self.path)).await.is(200).body["fee"]["amount"].clone()
    }
}

async fn moves(who: &Person, path: &str, start: &str) -> Answer {
    who.post(&format!("{path}/reschedule"), json!({ "start_at": start })).await
}

/// Kinds of what a person was told, newest first.
async fn told(person: &Person) -> Vec<String> {
    let page = person.get("/v1/me/notices").await.is(200).body;
    page["data"].as_array().unwrap().iter().map(|notice| notice["kind"].as_str().unwrap().to_owned()).collect()
}

/// Live reservations, as their first and last instants.
async fn reserved(app: &App) -> Vec<(String, String)> {
    sqlx::query_as(
        "SELECT to_char(lower(during) AT TIME ZONE 'UTC', 'DD HH24:MI'), to_char(upper(during) AT TIME ZONE 'UTC', 'DD HH24:MI')
         FROM reservations ORDER BY lower(during)",
    )
    .fetch_all(&*app.service.db)
    .await
    .unwrap()
}

/// A booking as it was agreed, without what stands around it.
fn agreed(booking: &Value) -> Value {
    let mut booking = booking.clone();
    for field in ["actions", "counter_offer", "updated_at"] {
        booking.as_object_mut().unwrap().remove(field).unwrap();
    }
    booking
}

fn span(start: &str, end: &str) -> (String, String) {
    (start.to_owned(), end.to_owned())
}

#[tokio::test]
async fn a_moved_visit_is_the_same_booking_at_another_time() {
    let Scene { app, therapist, client, address, path } = &scene().await;
    let before = client.get(path).await.is(200).body;
    // Half an hour later: its own time counts as free.
    let moved = moves(client, path, "2026-12-02T11:30:00+11:00").await.is(200);
    let mut expected = before.clone();
    expected["start_at"] = json!("2026-12-02T00:30:00Z");
    expected["end_at"] = json!("2026-12-02T01:30:00Z");
    // What follows from the start.
    for field in ["actions", "free_until", "cancellation_terms", "updated_at"] {
        expected[field] = moved.body[field].clone();
    }
    assert_eq!(moved.body, expected, "same id, state, price and terms");
    assert_eq!(client.get(path).await.is(200).text, moved.text);
    assert_eq!(reserved(app).await, [span("02 00:20", "02 01:40")]);
    assert_eq!(told(therapist).await, ["visit_moved", "visit_booked"]);

    assert_eq!(moves(client, path, "2026-12-02T00:30:00Z").await.is(200).text, moved.text, "again");
    let events = client.get(&format!("{path}/events")).await.is(200).body;
    let terms =
        |start| json!({ "start_at": start, "duration_minutes": 60, "price": { "amount": 12900, "currency": "AUD" } });
    assert_eq!(
        events["data"].as_array().unwrap()[1..],
        [json!({
            "at": "2026-11-30T01:00:00Z", "party": "client", "action": "reschedule", "from_status": "confirmed", "to_status": "confirmed",
            "reason": null, "change": { "from": terms(WEDNESDAY), "to": terms("2026-12-02T00:30:00Z") },
        })]
    );
    assert_eq!(app.rows("booking_credentials WHERE revision = 2").await, 5);
    assert_eq!(app.rows("events WHERE kind = 'booking.reschedule'").await, 1);

    moves(client, path, THURSDAY).await.is(200);
    // Whoever is visited next must be reached from where it is now, and not from where it was.
    let mut bondi = surry_hills();
    (bondi["latitude"], bondi["longitude"]) = (json!(-33.8915), json!(151.2767));
    let bondi = client.address(bondi).await;
    client.books(therapist, bondi, "2026-12-03T01:30:00Z").await.refused(409, "slot_unavailable");
    let next = client.books(therapist, bondi, "2026-12-02T01:30:00Z").await.is(201).header("location");
    client.books(therapist, *address, WEDNESDAY).await.refused(409, "slot_unavailable");
    client.post(&format!("{next}/cancel"), json!({})).await.is(200);
    client.books(therapist, *address, WEDNESDAY).await.is(201);
    assert_eq!(reserved(app).await, [span("01 23:50", "02 01:10"), span("02 23:50", "03 01:10")]);
}

struct RefusedMove {
    start: &'static str,
    status: u16,
    code: &'static str,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_refuses_the_new_time_the_old_one_stands() {
    let Scene { app, therapist, client, path, .. } = &scene().await;
    let other = app.client().await;
    let mut bondi = surry_hills();
    (bondi["latitude"], bondi["longitude"]) = (json!(-33.8915), json!(151.2767));
    let (bondi, near) = (other.address(bondi).await, other.address(surry_hills()).await);
    other.books(therapist, near, "2026-12-03T03:00:00Z").await.is(201);
    other.books(therapist, bondi, "2026-12-04T03:00:00Z").await.is(201);
    let off = json!({ "start_at": "2026-12-05T00:30:00Z", "end_at": "2026-12-05T00:45:00Z" });
    therapist.post("/v1/therapists/me/time-off", off).await.is(201);
    app.sql("UPDATE credentials SET expires_on = '2026-12-08' WHERE type = 'INSURANCE'").await.unwrap();
    let before = client.get(path).await.is(200).text;
    for RefusedMove { start, status, code } in [
        RefusedMove { start: "2026-11-30T02:45:00Z", status: 422, code: "notice_too_short" },
        RefusedMove { start: "2020-01-01T00:00:00Z", status: 422, code: "notice_too_short" },
        RefusedMove { start: "2027-03-01T00:00:00Z", status: 422, code: "beyond_horizon" },
        RefusedMove { start: "2026-12-02T00:01:00Z", status: 409, code: "slot_unavailable" },
        RefusedMove { start: "2026-12-02T05:15:00Z", status: 409, code: "slot_unavailable" },
        RefusedMove { start: "2026-12-03T02:45:00Z", status: 409, code: "slot_unavailable" },
        RefusedMove { start: "2026-12-03T03:00:00Z", status: 409, code: "slot_unavailable" },
        // Free, but Bondi cannot be reached in time.
        RefusedMove { start: "2026-12-04T01:30:00Z", status: 409, code: "slot_unavailable" },
        RefusedMove { start: "2026-12-04T04:30:00Z", status: 409, code: "slot_unavailable" },
        RefusedMove { start: "2026-12-05T00:00:00Z", status: 409, code: "slot_unavailable" },
        RefusedMove { start: "2026-12-09T00:00:00Z", status: 422, code: "credential_not_valid" },
    ] {
        let refused = moves(client, path, start).await;
        assert_eq!((refused.status.as_u16(), refused.body["code"].as_str()), (status, Some(code)), "{start}");
        assert_eq!(client.get(path).await.is(200).text, before, "{start}");
    }
    for body in [json!({ "start_at": "soon" }), json!({ "start_at": null }), json!({})] {
        client.post(&format!("{path}/reschedule"), body).await.points_to(&["/start_at"]);
    }
    let both = json!({ "start_at": THURSDAY, "therapist_id": therapist.id });
    client.post(&format!("{path}/reschedule"), both).await.points_to(&["/therapist_id"]);

    therapist.change("/v1/therapists/me", json!({ "accepting_bookings": false })).await.is(200);
    moves(client, path, THURSDAY).await.refused(422, "not_accepting_bookings");
    therapist.change("/v1/therapists/me", json!({ "accepting_bookings": true, "daily_cap": 1 })).await.is(200);
    moves(client, path, THURSDAY).await.refused(409, "slot_unavailable");
    moves(client, path, "2026-12-02T02:00:00Z").await.is(200);
    moves(client, path, WEDNESDAY).await.is(200);
    therapist.change("/v1/therapists/me", json!({ "daily_cap": null, "service_radius_km": 1 })).await.is(200);
    moves(client, path, THURSDAY).await.refused(422, "outside_service_area");
    therapist.change("/v1/therapists/me", json!({ "service_radius_km": 15 })).await.is(200);
    therapist.replace("/v1/therapists/me/services", json!({ "services": [] })).await.is(200);
    moves(client, path, THURSDAY).await.refused(422, "service_not_offered");

    app.nobody()
        .post(&format!("{path}/reschedule"), json!({ "start_at": THURSDAY }))
        .await
        .refused(401, "unauthorized");
    moves(&app.admin().await, path, THURSDAY).await.refused(403, "forbidden");
    moves(&other, path, THURSDAY).await.refused(404, "not_found");
    moves(&app.therapist().await, path, THURSDAY).await.refused(404, "not_found");
    assert_eq!(client.get(path).await.is(200).text, before);
    assert_eq!(app.rows("booking_events WHERE action = 'reschedule'").await, 2);
    assert_eq!(app.rows("reservations").await, 3);
}

#[tokio::test]
async fn what_has_begun_or_ended_is_not_moved() {
    let Scene { app, therapist, client, path, .. } = &scene().await;
    for status in ["on_the_way", "arrived", "in_progress", "completed", "declined", "expired", "no_show", "stopped"] {
        app.sql(&format!("UPDATE bookings SET status = '{status}'")).await.unwrap();
        for who in [client, therapist] {
            moves(who, path, THURSDAY).await.refused(409, "invalid_transition");
            moves(who, path, WEDNESDAY).await.refused(409, "invalid_transition");
        }
    }
    app.sql("UPDATE bookings SET status = 'confirmed', at_risk_since = now()").await.unwrap();
    app.advance(TimeDelta::hours(47));
    moves(client, path, THURSDAY).await.refused(409, "invalid_transition");
    client.post(&format!("{path}/cancel"), json!({})).await.is(200);
    moves(client, path, THURSDAY).await.refused(409, "invalid_transition");
}

#[tokio::test]
async fn a_stale_etag_moves_nothing() {
    let Scene { therapist, client, path, .. } = &scene().await;
    let with = |who: &Person, tag: &str, start: &str| {
        let request = who.request(reqwest::Method::POST, &format!("{path}/reschedule")).header("If-Match", tag);
        send(request.json(&json!({ "start_at": start })))
    };
    let stale = client.get(path).await.is(200).header("etag");
    let moved = with(client, &stale, THURSDAY).await.is(200);
    assert_eq!(moved.header("etag"), client.get(path).await.header("etag"));
    with(client, &stale, WEDNESDAY).await.refused(412, "precondition_failed");
    assert_eq!(with(client, &stale, THURSDAY).await.is(200).text, moved.text, "what is done is done");
    with(client, "*", WEDNESDAY).await.is(200);
    with(therapist, &client.get(path).await.header("etag"), THURSDAY).await.refused(412, "precondition_failed");
    with(therapist, &therapist.get(path).await.header("etag"), THURSDAY).await.is(200);
}

#[tokio::test]
async fn neither_party_moves_a_visit_alone_once_calling_it_off_costs_a_fee() {
    let scene = scene().await;
    // To the minute: 24 hours before the start it is free, and a moment later it is not.
    scene.app.advance(TimeDelta::hours(23));
    moves(&scene.client, &scene.path, "2026-12-02T00:15:00Z").await.is(200);
    scene.app.advance(TimeDelta::minutes(16));
    assert_eq!(scene.fee().await, 6450);
    let before = scene.booking().await;
    for who in [&scene.client, &scene.therapist] {
        moves(who, &scene.path, "2026-12-08T00:00:00Z").await.refused(422, "too_late_to_move");
    }
    assert_eq!(scene.booking().await, before);
}

#[tokio::test]
async fn a_move_gives_no_new_free_hour() {
    let scene = scene().await;
    scene.app.advance(TimeDelta::minutes(61));
    // From 46 hours ahead to 22.
    moves(&scene.client, &scene.path, "2026-12-01T00:15:00Z").await.is(200);
    assert_eq!(scene.fee().await, 6450);
    moves(&scene.client, &scene.path, THURSDAY).await.refused(422, "too_late_to_move");
}

#[tokio::test]
async fn a_client_whose_therapist_moved_the_visit_may_call_it_off_free_until_its_start() {
    let scene = scene().await;
    scene.app.advance(TimeDelta::minutes(61));
    moves(&scene.therapist, &scene.path, "2026-12-01T01:00:00Z").await.is(200);
    assert_eq!(told(&scene.client).await, ["visit_moved"]);
    assert_eq!(scene.events().await[1]["party"], "therapist");
    scene.app.advance(TimeDelta::hours(22));
    assert_eq!(scene.fee().await, 0, "an hour before");
    // Whoever chooses a time of their own has agreed to it.
    moves(&scene.client, &scene.path, "2026-12-01T05:00:00Z").await.is(200);
    assert_eq!(scene.fee().await, 6450);

    scene.app.sql("UPDATE bookings SET free_to_cancel = true").await.unwrap();
    scene.app.advance(TimeDelta::minutes(5 * 60 - 2));
    assert_eq!(scene.fee().await, 0, "a minute before");
    scene.app.advance(TimeDelta::minutes(1));
    assert_eq!(scene.fee().await, 12900, "at the start");
}

#[tokio::test]
async fn a_moved_request_waits_for_an_answer_and_no_longer_than_before() {
    let scene = scene_with("request").await;
    let Scene { app, therapist, client, path, .. } = &scene;
    assert_eq!(scene.booking().await["respond_by"], "2026-12-01T00:30:00Z");
    moves(therapist, path, THURSDAY).await.refused(409, "invalid_transition");
    let moved = moves(client, path, "2026-12-01T00:00:00Z").await.is(200).body;
    assert_eq!((&moved["status"], &moved["respond_by"]), (&json!("requested"), &json!("2026-11-30T12:30:00Z")));
    assert_eq!(app.rows("reservations WHERE hold_expires_at = '2026-11-30T12:30:00Z'").await, 1);
    scene.app.advance(TimeDelta::minutes(11 * 60 + 29));
    scene.app.run_jobs().await;
    let Scene { client, path, .. } = &scene;
    let moved = moves(client, path, THURSDAY).await.is(200).body;
    assert_eq!((&moved["status"], &moved["respond_by"]), (&json!("requested"), &json!("2026-11-30T12:30:00Z")));
    let accepted = scene.therapist.act(&format!("{}/accept", scene.path)).await.is(200).body;
    assert_eq!((&accepted["status"], &accepted["start_at"]), (&json!("confirmed"), &json!(THURSDAY)));
}

#[tokio::test]
async fn a_moved_request_is_asked_for_from_the_move_on() {
    let scene = scene_with("request").await;
    scene.app.advance(TimeDelta::hours(20));
    // Beyond the 60 days from the first request, and within those from now.
    moves(&scene.client, &scene.path, "2027-01-29T22:00:00Z").await.refused(422, "beyond_horizon");
    moves(&scene.client, &scene.path, "2027-01-29T21:00:00Z").await.refused(409, "slot_unavailable");
    scene.app.advance(TimeDelta::hours(3));
    moves(&scene.client, &scene.path, "2027-01-29T22:00:00Z").await.is(200);
    scene.therapist.act(&format!("{}/accept", scene.path)).await.is(200);
}

#[tokio::test]
async fn a_therapist_who_confirms_each_visit_is_asked() {
    let Scene { app, therapist, client, path, .. } = &scene_with("request").await;
    therapist.act(&format!("{path}/accept")).await.is(200);
    let before = agreed(&client.get(path).await.is(200).body);
    let proposed = moves(client, path, THURSDAY).await.is(202);
    assert_eq!(
        (&proposed.body["by"], &proposed.body["status"], &proposed.body["start_at"]),
        (&json!("client"), &json!("open"), &json!(THURSDAY))
    );
    assert_eq!(moves(client, path, THURSDAY).await.is(202).text, proposed.text, "again");
    assert_eq!(agreed(&client.get(path).await.is(200).body), before, "the visit stands");
    moves(client, path, "2026-12-04T00:00:00Z").await.refused(409, "counter_offer_open");
    let offer = format!("{path}/counter-offers/{}", proposed.id());
    assert_eq!(therapist.act(&format!("{offer}/accept")).await.is(200).body["start_at"], THURSDAY);
    assert_eq!(reserved(app).await, [span("02 23:50", "03 01:10")]);
    // The therapist may move it without asking, and the client may then call it off.
    assert_eq!(moves(therapist, path, WEDNESDAY).await.is(200).body["start_at"], WEDNESDAY);
}

#[tokio::test]
async fn a_visit_at_risk_is_saved_by_a_day_on_which_its_therapist_is_licensed() {
    let Scene { app, client, path, .. } = &scene().await;
    app.sql("UPDATE bookings SET at_risk_since = '2026-11-30T01:00:00Z'").await.unwrap();
    app.sql("UPDATE credentials SET expires_on = '2026-12-01' WHERE type = 'INSURANCE'").await.unwrap();
    moves(client, path, THURSDAY).await.refused(422, "credential_not_valid");
    moves(client, path, "2026-12-01T00:00:00Z").await.is(200);
    assert_eq!(app.rows("bookings WHERE at_risk_since IS NULL").await, 1);
}

#[tokio::test]
async fn a_move_across_a_change_of_clocks_is_a_move() {
    let app = App::start_at(at("2027-04-01T00:00:00Z")).await;
    let therapist = app.therapist().await;
    therapist.works(&crate::support::WEEK.map(|day| (day, "00:00", "00:00"))).await;
    let (client, address) = app.client_at_home().await;
    // Half past two happens twice on the 4th of April.
    let (first, second) = ("2027-04-03T15:30:00Z", "2027-04-03T16:30:00Z");
    let path = client.books(&therapist, address, first).await.is(201).header("location");
    let moved = moves(&client, &path, second).await.is(200).body;
    assert_eq!((&moved["start_at"], &moved["end_at"]), (&json!(second), &json!("2027-04-03T17:30:00Z")));
    assert_eq!(reserved(&app).await, [span("03 16:20", "03 17:40")]);
    moves(&client, &path, first).await.is(200);
    // The cap counts local dates: this is Sunday still, 25 hours after it began.
    therapist.change("/v1/therapists/me", json!({ "daily_cap": 1 })).await.is(200);
    client.books(&therapist, address, "2027-04-04T13:45:00Z").await.refused(409, "slot_unavailable");
    moves(&client, &path, "2027-04-04T13:45:00Z").await.is(200);
    moves(&client, &path, "2027-04-04T14:00:00Z").await.is(200);
}

/// What a therapist may set for new visits, so that nothing at all could be booked.
const SHUT: [&str; 4] = [
    r#"{ "accepting_bookings": false }"#,
    r#"{ "min_notice_minutes": 10080 }"#,
    r#"{ "max_advance_days": 1 }"#,
    "no offers",
];

async fn shut(scene: &Scene, how: &str) {
    match serde_json::from_str::<Value>(how) {
        Ok(change) => drop(scene.therapist.change("/v1/therapists/me", change).await.is(200)),
        Err(_) => drop(scene.therapist.replace("/v1/therapists/me/services", json!({ "services": [] })).await.is(200)),
    }
}

#[tokio::test]
async fn what_is_set_for_new_visits_does_not_bind_its_own_therapist() {
    for how in SHUT {
        let scene = &scene().await;
        shut(scene, how).await;
        let Scene { therapist, client, path, address, .. } = scene;
        let refused = client.books(therapist, *address, "2026-12-03T03:00:00Z").await;
        assert_eq!(refused.status, 422, "{how}");
        let moved = moves(client, path, THURSDAY).await;
        assert_eq!(moved.status, 422, "{how}: of a client it is asked");
        moves(therapist, path, THURSDAY).await.is(200);
        let offers = format!("{path}/counter-offers");
        let offer = therapist.post(&offers, json!({ "start_at": "2026-12-03T03:00:00Z" })).await.is(201);
        client.act(&format!("{}/accept", offer.header("location"))).await.is(200);
        // What always holds.
        for RefusedMove { start, status, code } in [
            RefusedMove { start: "2026-12-03T00:01:00Z", status: 409, code: "slot_unavailable" },
            RefusedMove { start: "2026-12-03T12:00:00Z", status: 409, code: "slot_unavailable" },
            RefusedMove { start: "2026-11-30T00:00:00Z", status: 422, code: "notice_too_short" },
        ] {
            moves(therapist, path, start).await.refused(status, code);
        }
        scene.app.sql("UPDATE credentials SET board_status = 'suspended' WHERE type = 'INSURANCE'").await.unwrap();
        moves(therapist, path, "2026-12-03T01:00:00Z").await.refused(422, "credential_not_valid");
    }
}

#[tokio::test]
async fn what_was_asked_before_is_accepted_whatever_is_set_since() {
    for how in SHUT {
        let scene = &scene_with("request").await;
        let Scene { therapist, path, .. } = scene;
        shut(scene, how).await;
        therapist.act(&format!("{path}/accept")).await.is(200);

        let scene = &scene_with("request").await;
        let Scene { therapist, client, path, .. } = scene;
        let offer = client.post(&format!("{path}/counter-offers"), json!({ "start_at": THURSDAY })).await.is(201);
        shut(scene, how).await;
        therapist.act(&format!("{}/accept", offer.header("location"))).await.is(200);
        assert_eq!(scene.booking().await["status"], "confirmed");
    }
}
