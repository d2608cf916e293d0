use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{Scene, agreed, moves, reserved, scene, span, told};
use crate::support::{Answer, Person, WEEK, at, send, surry_hills};

async fn asks(who: &Person, path: &str, minutes: impl Into<Value>) -> Answer {
    who.post(&format!("{path}/extend"), json!({ "duration_minutes": minutes.into(), "client_agreed": true })).await
}

/// The therapist asks, and where that may be asked, the client says yes.
async fn extends(who: &Person, client: &Person, path: &str, minutes: impl Into<Value>) -> Answer {
    let asked = asks(who, path, minutes).await;
    if asked.status == 202 { client.act(&format!("{path}/extension/accept")).await } else { asked }
}

/// The visit, 20 minutes after it began.
async fn under_way() -> Scene {
    let scene = scene().await;
    scene.app.advance(at("2026-12-02T00:20:00Z") - scene.app.now());
    scene.app.sql("UPDATE bookings SET status = 'in_progress'").await.unwrap();
    scene
}

#[tokio::test]
async fn a_visit_is_extended_to_a_longer_one_at_its_price() {
    let scene = under_way().await;
    let Scene { app, therapist, client, path, .. } = &scene;
    let mut expected = scene.booking().await;
    extends(therapist, client, path, 90).await.is(200);
    expected["duration_minutes"] = json!(90);
    expected["end_at"] = json!("2026-12-02T01:30:00Z");
    for price in ["/price", "/charge", "/price_breakdown/base", "/price_breakdown/total"] {
        expected.pointer_mut(price).unwrap()["amount"] = json!(17900);
    }
    assert_eq!(agreed(&scene.booking().await), agreed(&expected));
    assert_eq!(reserved(app).await, [span("01 23:50", "02 01:40")]);
    assert_eq!(told(client).await, ["extension_asked"]);
    assert_eq!(told(therapist).await, ["visit_extended", "visit_booked"]);
    assert_eq!(app.rows("booking_credentials WHERE revision = 2").await, 5);
    extends(therapist, client, path, 90).await.is(200);
    let events = scene.events().await;
    assert_eq!(events.len(), 3, "to ask again changes nothing");
    let change = &events[2]["change"];
    assert_eq!((&events[2]["action"], &events[2]["to_status"]), (&json!("extend"), &json!("in_progress")));
    assert_eq!(
        (&change["from"]["duration_minutes"], &change["to"]["duration_minutes"], &change["to"]["price"]["amount"]),
        (&json!(60), &json!(90), &json!(17900))
    );

    let stale = send(
        therapist
            .request(reqwest::Method::POST, &format!("{path}/extend"))
            .header("If-Match", "\"stale\"")
            .json(&json!({ "duration_minutes": 120, "client_agreed": true })),
    );
    stale.await.refused(412, "precondition_failed");
    // Not among what the therapist offers, but sold; and the client is there.
    extends(therapist, client, path, 120).await.is(200);
}

#[tokio::test]
async fn the_client_decides_on_an_extension_within_minutes() {
    let scene = under_way().await;
    let Scene { app, therapist, client, path, .. } = &scene;
    let (accept, decline) = (format!("{path}/extension/accept"), format!("{path}/extension/decline"));
    client.act(&accept).await.refused(409, "invalid_transition");
    let before = scene.booking().await;
    let asked = asks(therapist, path, 90).await.is(202).body;
    let open = json!({
        "duration_minutes": 90, "price": { "amount": 17900, "currency": "AUD" }, "expires_at": "2026-12-02T00:30:00Z"
    });
    assert_eq!(
        (&asked["extension"], &asked["duration_minutes"], &asked["price"]["amount"]),
        (&open, &json!(60), &json!(12900))
    );
    assert_eq!(asks(therapist, path, 90).await.is(202).body, asked, "again");
    assert_eq!(told(client).await, ["extension_asked"]);
    for wrong in [therapist, &app.admin().await] {
        wrong.act(&accept).await.refused(403, "forbidden");
        wrong.act(&decline).await.refused(403, "forbidden");
    }
    app.client().await.act(&accept).await.refused(404, "not_found");

    for _ in 0..2 {
        let declined = client.act(&decline).await.is(200).body;
        assert_eq!(agreed(&declined), agreed(&before), "nothing has changed");
    }
    client.act(&accept).await.refused(409, "invalid_transition");
    assert_eq!(told(therapist).await, ["extension_declined", "visit_booked"]);

    // Whatever was asked last counts; silence is no.
    asks(therapist, path, 75).await.is(202);
    asks(therapist, path, 120).await.is(202);
    scene.app.advance(TimeDelta::minutes(10));
    let Scene { app, therapist, client, path, .. } = &scene;
    client.act(&accept).await.refused(409, "invalid_transition");
    assert_eq!(agreed(&scene.booking().await), agreed(&before));
    asks(therapist, path, 120).await.is(202);
    asks(therapist, path, 75).await.is(202);
    let stale = client.request(reqwest::Method::POST, &accept).header("If-Match", "\"stale\"");
    send(stale).await.refused(412, "precondition_failed");
    let longer = client.act(&accept).await.is(200).body;
    assert_eq!((&longer["duration_minutes"], &longer["extension"]), (&json!(75), &Value::Null));
    assert_eq!(client.act(&accept).await.is(200).body, longer, "again");
    client.act(&decline).await.is(200);
    assert_eq!(scene.booking().await, longer, "what is agreed stands");

    // Every rule decides again when the client does, and what has ended is not extended.
    asks(therapist, path, 90).await.is(202);
    let off = json!({ "start_at": "2026-12-02T01:30:00Z", "end_at": "2026-12-02T02:00:00Z" });
    let off = therapist.post("/v1/therapists/me/time-off", off).await.is(201).header("location");
    client.act(&accept).await.refused(409, "slot_unavailable");
    therapist.delete(&off).await.is(204);
    app.sql("UPDATE bookings SET status = 'completed'").await.unwrap();
    client.act(&accept).await.refused(409, "invalid_transition");
    assert_eq!(scene.booking().await["extension"], Value::Null);
}

#[tokio::test]
async fn what_is_no_extension_is_refused() {
    let scene = under_way().await;
    let Scene { app, therapist, client, path, .. } = &scene;
    let before = scene.booking().await;
    extends(client, client, path, 90).await.refused(403, "forbidden");
    extends(&app.admin().await, client, path, 90).await.refused(403, "forbidden");
    extends(&app.therapist().await, client, path, 90).await.refused(404, "not_found");
    for minutes in [json!(45), json!(0), json!(-90), json!(40_000), json!("90"), json!(90.5)] {
        extends(therapist, client, path, minutes).await.points_to(&["/duration_minutes"]);
    }
    for minutes in [61, 240, 32_767] {
        extends(therapist, client, path, minutes).await.refused(422, "service_not_offered");
    }
    let unasked = json!({ "duration_minutes": 90, "client_agreed": false });
    therapist.post(&format!("{path}/extend"), unasked).await.points_to(&["/client_agreed"]);
    let unsaid = json!({ "duration_minutes": 90 });
    therapist.post(&format!("{path}/extend"), unsaid).await.points_to(&["/client_agreed"]);
    for status in ["requested", "confirmed", "on_the_way", "completed", "stopped", "no_show"] {
        app.sql(&format!("UPDATE bookings SET status = '{status}', respond_by = '2027-01-01T00:00:00Z'"))
            .await
            .unwrap();
        extends(therapist, client, path, 90).await.refused(409, "invalid_transition");
    }
    app.sql("UPDATE bookings SET status = 'in_progress', respond_by = NULL").await.unwrap();
    assert_eq!(scene.booking().await, before);

    scene.app.advance(TimeDelta::minutes(55));
    extends(&scene.therapist, &scene.client, &scene.path, 75).await.points_to(&["/duration_minutes"]);
    extends(&scene.therapist, &scene.client, &scene.path, 90).await.is(200);
}

#[tokio::test]
async fn a_visit_grows_only_so_far_that_the_next_can_be_reached() {
    let scene = scene().await;
    let other = scene.app.client().await;
    let mut bondi = surry_hills();
    (bondi["latitude"], bondi["longitude"]) = (json!(-33.8915), json!(151.2767));
    let (bondi, near) = (other.address(bondi).await, other.address(surry_hills()).await);
    let next = other.books(&scene.therapist, near, "2026-12-02T01:45:00Z").await.is(201).header("location");
    scene.app.advance(at("2026-12-02T00:20:00Z") - scene.app.now());
    scene
        .app
        .sql(&format!("UPDATE bookings SET status = 'arrived' WHERE start_at = '{}'", super::WEDNESDAY))
        .await
        .unwrap();
    let Scene { app, therapist, client, path, .. } = &scene;
    // Next door, from 12:35 on: 75 minutes with pack-up end at 12:25, 90 at 12:40.
    extends(therapist, client, path, 90).await.refused(409, "slot_unavailable");
    other.post(&format!("{next}/cancel"), json!({})).await.is(200);
    // In Bondi from 13:20 on, over 20 minutes away: 12:40 is early enough, and 13:10 is not.
    other.books(therapist, bondi, "2026-12-02T02:30:00Z").await.is(201);
    extends(therapist, client, path, 90).await.is(200);
    extends(therapist, client, path, 120).await.refused(409, "slot_unavailable");
    // Time off that began before does not count, what lies in the added time does.
    app.sql("DELETE FROM reservations WHERE booking_id <> (SELECT id FROM bookings WHERE status = 'arrived')")
        .await
        .unwrap();
    for (start, end, allowed) in [
        ("2026-12-02T02:09:00Z", "2026-12-02T03:00:00Z", false),
        ("2026-12-02T01:00:00Z", "2026-12-02T01:40:00Z", true),
    ] {
        let off =
            therapist.post("/v1/therapists/me/time-off", json!({ "start_at": start, "end_at": end })).await.is(201);
        let extended = extends(therapist, client, path, 120).await;
        if allowed {
            extended.is(200)
        } else {
            extended.refused(409, "slot_unavailable")
        };
        therapist.delete(&off.header("location")).await.is(204);
    }
}

/// Saturday, which costs a tenth more.
const SATURDAY: &str = "2026-12-05T00:00:00Z";

/// What an hour and a half costs of a visit that `who` has moved to each of `starts`.
async fn costs_longer(by_therapist: bool, starts: &[&str]) -> (i64, i64) {
    let scene = scene().await;
    let Scene { app, therapist, client, path, .. } = &scene;
    therapist.works(&WEEK.map(|day| (day, "09:00", "17:00"))).await;
    for start in starts {
        moves(if by_therapist { therapist } else { client }, path, start).await.is(200);
    }
    let agreed = scene.booking().await["price"]["amount"].as_i64().unwrap();
    app.sql("UPDATE bookings SET status = 'in_progress'").await.unwrap();
    let last = starts.last().unwrap();
    scene.app.advance(at(last) + TimeDelta::minutes(5) - scene.app.now());
    extends(&scene.therapist, &scene.client, &scene.path, 90).await.is(200);
    (agreed, scene.booking().await["price"]["amount"].as_i64().unwrap())
}

#[tokio::test]
async fn an_extension_charges_nothing_that_the_therapists_own_move_had_waived() {
    assert_eq!(costs_longer(true, &[SATURDAY]).await, (12_900, 17_900), "as on Wednesday, when it was agreed");
    assert_eq!(costs_longer(true, &[SATURDAY, "2026-12-06T00:00:00Z"]).await, (12_900, 17_900), "moved twice");
    assert_eq!(
        costs_longer(true, &[SATURDAY, "2026-12-07T00:00:00Z"]).await,
        (12_900, 17_900),
        "and back to a weekday"
    );
    assert_eq!(costs_longer(false, &[SATURDAY]).await, (14_190, 19_690), "whoever asks for it pays for it");
}

#[tokio::test]
async fn hours_do_not_count_and_licences_do() {
    let scene = scene().await;
    let Scene { app, therapist, client, path, .. } = &scene;
    // Until closing time.
    moves(client, path, "2026-12-02T05:00:00Z").await.is(200);
    app.sql("UPDATE bookings SET status = 'in_progress'").await.unwrap();
    extends(therapist, client, path, 90).await.is(200);

    // From eleven at night: an hour ends with the day, and more does not.
    therapist.works(&WEEK.map(|day| (day, "00:00", "00:00"))).await;
    let late = client.books(therapist, scene.address, "2026-12-03T12:00:00Z").await.is(201).header("location");
    app.sql("UPDATE credentials SET expires_on = '2026-12-03' WHERE type = 'INSURANCE'").await.unwrap();
    app.sql("UPDATE bookings SET status = 'in_progress'").await.unwrap();
    extends(therapist, client, &late, 75).await.refused(422, "credential_not_valid");
    app.sql("UPDATE credentials SET expires_on = '2026-12-04' WHERE type = 'INSURANCE'").await.unwrap();
    extends(therapist, client, &late, 75).await.is(200);
    scene.app.advance(TimeDelta::zero());
    assert_eq!(scene.app.rows("bookings WHERE duration_minutes = 75").await, 1);
}
