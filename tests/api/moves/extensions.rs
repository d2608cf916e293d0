use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{Scene, moves, reserved, scene, span, told};
use crate::support::{Answer, Person, WEEK, at, send, surry_hills};

async fn extends(who: &Person, path: &str, minutes: impl Into<Value>) -> Answer {
    who.post(&format!("{path}/extend"), json!({ "duration_minutes": minutes.into(), "client_agreed": true })).await
}

/// The visit, 20 minutes after it began.
async fn under_way() -> Scene {
    let mut scene = scene().await;
    scene.wait(at("2026-12-02T00:20:00Z") - scene.app.now()).await;
    scene.app.sql("UPDATE bookings SET status = 'in_progress'").await.unwrap();
    scene
}

#[tokio::test]
async fn a_visit_is_extended_to_a_longer_one_at_its_price() {
    let scene = under_way().await;
    let Scene { app, therapist, client, path, .. } = &scene;
    let mut expected = scene.booking().await;
    extends(therapist, path, 90).await.is(200);
    expected["duration_minutes"] = json!(90);
    expected["end_at"] = json!("2026-12-02T01:30:00Z");
    for price in ["/price", "/price_breakdown/base", "/price_breakdown/total"] {
        expected.pointer_mut(price).unwrap()["amount"] = json!(17900);
    }
    assert_eq!(scene.booking().await, expected);
    assert_eq!(reserved(app).await, [span("01 23:50", "02 01:40")]);
    assert_eq!(told(client).await, ["visit_extended"]);
    assert_eq!(app.count("SELECT count(*) FROM booking_credentials WHERE revision = 2").await, 5);
    extends(therapist, path, 90).await.is(200);
    let events = scene.events().await;
    assert_eq!(events.len(), 2, "to ask again changes nothing");
    let change = &events[1]["change"];
    assert_eq!((&events[1]["action"], &events[1]["to_status"]), (&json!("extend"), &json!("in_progress")));
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
    extends(therapist, path, 120).await.is(200);
}

#[tokio::test]
async fn what_is_no_extension_is_refused() {
    let mut scene = under_way().await;
    let Scene { app, therapist, client, path, .. } = &scene;
    let before = scene.booking().await;
    extends(client, path, 90).await.refused(403, "forbidden");
    extends(&app.admin().await, path, 90).await.refused(403, "forbidden");
    extends(&app.therapist().await, path, 90).await.refused(404, "not_found");
    for minutes in [json!(45), json!(0), json!(-90), json!(40_000), json!("90"), json!(90.5)] {
        extends(therapist, path, minutes).await.points_to(&["/duration_minutes"]);
    }
    for minutes in [61, 240, 32_767] {
        extends(therapist, path, minutes).await.refused(422, "service_not_offered");
    }
    let unasked = json!({ "duration_minutes": 90, "client_agreed": false });
    therapist.post(&format!("{path}/extend"), unasked).await.points_to(&["/client_agreed"]);
    let unsaid = json!({ "duration_minutes": 90 });
    therapist.post(&format!("{path}/extend"), unsaid).await.points_to(&["/client_agreed"]);
    for status in ["requested", "confirmed", "on_the_way", "completed", "stopped", "no_show"] {
        app.sql(&format!("UPDATE bookings SET status = '{status}', respond_by = '2027-01-01T00:00:00Z'"))
            .await
            .unwrap();
        extends(therapist, path, 90).await.refused(409, "invalid_transition");
    }
    app.sql("UPDATE bookings SET status = 'in_progress', respond_by = NULL").await.unwrap();
    assert_eq!(scene.booking().await, before);

    scene.wait(TimeDelta::minutes(55)).await;
    extends(&scene.therapist, &scene.path, 75).await.points_to(&["/duration_minutes"]);
    extends(&scene.therapist, &scene.path, 90).await.is(200);
}

#[tokio::test]
async fn a_visit_grows_only_so_far_that_the_next_can_be_reached() {
    let mut scene = scene().await;
    let other = scene.app.client().await;
    let mut bondi = surry_hills();
    (bondi["latitude"], bondi["longitude"]) = (json!(-33.8915), json!(151.2767));
    let (bondi, near) = (other.address(bondi).await, other.address(surry_hills()).await);
    let next = other.books(&scene.therapist, near, "2026-12-02T01:45:00Z").await.is(201).header("location");
    scene.wait(at("2026-12-02T00:20:00Z") - scene.app.now()).await;
    scene
        .app
        .sql(&format!("UPDATE bookings SET status = 'arrived' WHERE start_at = '{}'", super::WEDNESDAY))
        .await
        .unwrap();
    let Scene { app, therapist, path, .. } = &scene;
    // Next door, from 12:35 on: 75 minutes with pack-up end at 12:25, 90 at 12:40.
    extends(therapist, path, 90).await.refused(409, "slot_unavailable");
    let other = super::anew(app, &other).await;
    other.post(&format!("{next}/cancel"), json!({})).await.is(200);
    // In Bondi from 13:20 on, over 20 minutes away: 12:40 is early enough, and 13:10 is not.
    other.books(therapist, bondi, "2026-12-02T02:30:00Z").await.is(201);
    extends(therapist, path, 90).await.is(200);
    extends(therapist, path, 120).await.refused(409, "slot_unavailable");
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
        let extended = extends(therapist, path, 120).await;
        if allowed {
            extended.is(200)
        } else {
            extended.refused(409, "slot_unavailable")
        };
        therapist.delete(&off.header("location")).await.is(204);
    }
}

#[tokio::test]
async fn hours_do_not_count_and_licences_do() {
    let mut scene = scene().await;
    let Scene { app, therapist, client, path, .. } = &scene;
    // Until closing time.
    moves(client, path, "2026-12-02T05:00:00Z").await.is(200);
    app.sql("UPDATE bookings SET status = 'in_progress'").await.unwrap();
    extends(therapist, path, 90).await.is(200);

    // From eleven at night: an hour ends with the day, and more does not.
    therapist.works(&WEEK.map(|day| (day, "00:00", "00:00"))).await;
    let late = client.books(therapist, scene.address, "2026-12-03T12:00:00Z").await.is(201).header("location");
    app.sql("UPDATE credentials SET expires_on = '2026-12-03' WHERE type = 'INSURANCE'").await.unwrap();
    app.sql("UPDATE bookings SET status = 'in_progress'").await.unwrap();
    extends(therapist, &late, 75).await.refused(422, "credential_not_valid");
    app.sql("UPDATE credentials SET expires_on = '2026-12-04' WHERE type = 'INSURANCE'").await.unwrap();
    extends(therapist, &late, 75).await.is(200);
    scene.wait(TimeDelta::zero()).await;
    assert_eq!(scene.app.count("SELECT count(*) FROM bookings WHERE duration_minutes = 75").await, 1);
}
