//! Giving a visit to another therapist, one at a time and all at once.

use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

#[tokio::test]
async fn a_client_is_not_bound_to_a_stranger() {
    let scene = scene().await;
    scene.reassigns(scene.new.id).await.is(200);
    let quote = format!("{}/cancellation-quote", scene.path);
    scene.app.advance(TimeDelta::hours(73));
    let client = &scene.client;
    assert_eq!(client.get(&quote).await.is(200).body["fee"]["amount"], 0, "an hour before the start");
    scene.app.sql("UPDATE bookings SET status = 'on_the_way'").await.unwrap();
    assert_eq!(client.get(&quote).await.is(200).body["fee"]["amount"], 0, "on the way, too");
    scene.app.advance(TimeDelta::hours(1));
    assert_eq!(client.get(&quote).await.is(200).body["fee"]["amount"], 12_900, "at the start");
}

#[tokio::test]
async fn a_wish_for_a_gender_is_kept_and_kept_to() {
    let scene = scene().await;
    let Scene { app, old, new, client, address, admin, .. } = &scene;
    let mut wish = client.wish(old, *address, "2026-12-03T05:00:00Z");
    wish["therapist_gender"] = json!("other");
    client.books_with_key("odd", &wish).await.points_to(&["/therapist_gender"]);
    wish["therapist_gender"] = json!("female");
    change(app, old, REINSTATE).await;
    let booked = client.books_with_key("her", &wish).await.is(201);
    assert_eq!(booked.body["therapist_gender"], "female");
    let path = &booked.header("location");
    assert_eq!(admin.get(path).await.is(200).body["therapist_gender"], "female");
    let candidates = |query: &'static str| async move {
        admin.get(&format!("{}{query}", under_admin(path, "candidates"))).await.is(200).body["data"]
            .as_array()
            .unwrap()
            .len()
    };
    let reassign =
        |to: Uuid| async move { admin.post(&under_admin(path, "reassign"), json!({ "therapist_id": to })).await };
    for (gender, fits) in
        [(Value::Null, false), (json!("male"), false), (json!("non_binary"), false), (json!("female"), true)]
    {
        new.change("/v1/therapists/me", json!({ "gender": gender })).await.is(200);
        assert_eq!(candidates("").await, usize::from(fits), "{gender}");
        assert_eq!(candidates("?gender=female").await, usize::from(fits));
        assert_eq!(candidates("?gender=male").await, 0);
        let reassigned = reassign(new.id).await;
        if fits {
            reassigned.is(200)
        } else {
            reassigned.points_to(&["/therapist_id"])
        };
    }
    assert_eq!(client.get(path).await.is(200).body["therapist_gender"], "female", "for the next one, too");
    // No wish, no bounds.
    new.change("/v1/therapists/me", json!({ "gender": "male" })).await.is(200);
    assert_eq!(client.get(&scene.path).await.is(200).body["therapist_gender"], Value::Null);
    scene.reassigns(new.id).await.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_therapist_takes_a_visit_over_at_its_time() {
    let scene = scene().await;
    let Scene { app, old, new, client, admin, path, .. } = &scene;
    let unlicensed = app.therapist().await;
    change(app, &unlicensed, SUSPEND).await;
    let before = client.get(path).await.is(200).body;
    let candidates = admin.get(&under_admin(path, "candidates")).await.is(200).body;
    assert_eq!(
        candidates["data"],
        json!([{ "therapist_id": new.id, "display_name": "Test therapist", "distance_km": 4.0 }])
    );
    let none = admin.get(&format!("{}?gender=male", under_admin(path, "candidates"))).await.is(200).body;
    assert_eq!(none["data"], json!([]), "where the client has asked for one");

    let moved = scene.reassigns(new.id).await.is(200).body;
    assert_eq!((&moved["therapist"]["id"], &moved["at_risk_since"]), (&json!(new.id), &Value::Null));
    let mut after = client.get(path).await.is(200).body;
    after["therapist"] = before["therapist"].clone();
    // What may be done with it, until when it is free, and when it was given away, is new.
    for field in ["actions", "free_until", "cancellation_terms", "updated_at"] {
        after[field] = before[field].clone();
    }
    assert_eq!(after, before, "same id, time, status, price and terms");
    for operation in ["", "/events", "/cancellation-quote"] {
        old.get(&format!("{path}{operation}")).await.refused(404, "not_found");
    }
    old.act(&format!("{path}/accept")).await.refused(404, "not_found");
    assert_eq!(old.get("/v1/bookings").await.is(200).body["data"], json!([]));
    assert_eq!(new.get(path).await.is(200).body["address"]["line1"], "12 Crown Street");
    let reserved = sqlx::query_scalar::<_, Uuid>("SELECT therapist_id FROM reservations")
        .fetch_all(&*app.service.db)
        .await
        .unwrap();
    assert_eq!(reserved, [new.id]);

    // Why, is about a person: staff read it, and the others do not.
    for (reader, reason) in [(client, Value::Null), (new, Value::Null), (admin, json!("Insurance ran out."))] {
        let events = reader.get(&format!("{path}/events")).await.is(200).body;
        let last = events["data"].as_array().unwrap().last().unwrap().clone();
        assert_eq!((&last["action"], &last["party"], &last["reason"]), (&json!("reassign"), &json!("admin"), &reason));
    }
    assert_eq!(told(client).await, ["visit_reassigned"]);
    assert_eq!(told(old).await, ["visit_given_away", "visit_at_risk", "visit_booked"]);
    assert_eq!(told(new).await, ["visit_taken_over"]);
    for (therapist, action) in [(old, "booking.given_away"), (new, "booking.reassign")] {
        let query = format!("/v1/admin/audit?therapist_id={}&action={action}", therapist.id);
        assert_eq!(admin.get(&query).await.is(200).body["data"][0]["actor_id"], json!(admin.id));
    }
    let carried = "booking_credentials b JOIN credentials c ON c.id = b.credential_id
                   WHERE b.revision = 2 AND b.therapist_id = c.therapist_id AND c.therapist_id = (SELECT therapist_id FROM bookings)";
    assert_eq!(app.rows(carried).await, 5, "it relies on the new therapist's credentials");

    change(app, old, REVOKE).await;
    app.advance(TimeDelta::hours(60));
    app.run_jobs().await;
    assert_eq!(seen(admin, path).await["status"], "confirmed", "it is the old therapist's no more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_goes_over_as_a_request() {
    let app = App::start().await;
    let (old, new, admin) = (app.therapist().await, app.therapist().await, app.admin().await);
    old.change("/v1/therapists/me", json!({ "booking_mode": "request" })).await.is(200);
    let (client, address) = app.client_at_home().await;
    let path = booked(&client, &old, address, START).await;
    let moved = admin.post(&under_admin(&path, "reassign"), json!({ "therapist_id": new.id })).await.is(200).body;
    assert_eq!(moved["status"], "requested");
    assert!(new.get(&path).await.is(200).body["address"].is_null(), "the door is not shown before the yes");
    old.act(&format!("{path}/accept")).await.refused(404, "not_found");
    assert_eq!(new.act(&format!("{path}/accept")).await.is(200).body["status"], "confirmed");
    assert_eq!(app.rows("reservations WHERE hold_expires_at IS NULL").await, 1);
}

struct RefusedProfile {
    change: Value,
    status: u16,
    code: &'static str,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_refusal_of_a_reassignment_has_its_code_and_changes_nothing() {
    let scene = scene().await;
    let Scene { app, old, new, client, address, admin, path } = &scene;
    let before = traces(app).await;
    scene.reassigns(old.id).await.is(200);
    scene.reassigns(client.id).await.points_to(&["/therapist_id"]);
    scene.reassigns(Uuid::now_v7()).await.points_to(&["/therapist_id"]);
    let reassign = under_admin(path, "reassign");
    admin.post(&reassign, json!({})).await.points_to(&["/therapist_id"]);
    admin.post(&reassign, json!({ "therapist_id": new.id, "note": "" })).await.points_to(&["/note"]);
    admin.post(&reassign, json!({ "therapist_id": new.id, "start_at": START })).await.points_to(&["/start_at"]);
    for RefusedProfile { change, status, code } in [
        RefusedProfile { change: json!({ "accepting_bookings": false }), status: 422, code: "not_accepting_bookings" },
        RefusedProfile {
            change: json!({ "accepting_bookings": true, "service_radius_km": 1 }),
            status: 422,
            code: "outside_service_area",
        },
        RefusedProfile {
            change: json!({ "service_radius_km": 15, "min_notice_minutes": 5000 }),
            status: 422,
            code: "notice_too_short",
        },
        RefusedProfile {
            change: json!({ "min_notice_minutes": 120, "max_advance_days": 1 }),
            status: 422,
            code: "beyond_horizon",
        },
        RefusedProfile { change: json!({ "max_advance_days": 60 }), status: 409, code: "slot_unavailable" },
    ] {
        new.change("/v1/therapists/me", change).await.is(200);
        if code == "slot_unavailable" {
            new.works(&[("monday", "09:00", "17:00")]).await;
        }
        scene.reassigns(new.id).await.refused(status, code);
        let candidates = admin.get(&under_admin(path, "candidates")).await.is(200).body;
        assert_eq!(candidates["data"], json!([]), "{code}");
    }
    new.works(&crate::support::WEEK.map(|day| (day, "09:00", "17:00"))).await;
    change(app, new, SUSPEND).await;
    scene.reassigns(new.id).await.refused(422, "credential_not_valid");
    change(app, new, REINSTATE).await;
    new.replace(
        "/v1/therapists/me/services",
        json!({ "services": [{ "service_id": DEEP_TISSUE, "durations": [90] }] }),
    )
    .await
    .is(200);
    scene.reassigns(new.id).await.refused(422, "service_not_offered");
    assert_eq!(traces(app).await, before);

    // Another visit's set-up and pack-up are in the way.
    new.replace(
        "/v1/therapists/me/services",
        json!({ "services": [{ "service_id": DEEP_TISSUE, "durations": [60] }] }),
    )
    .await
    .is(200);
    let other = booked(client, new, *address, "2026-12-03T04:15:00Z").await;
    scene.reassigns(new.id).await.refused(409, "slot_unavailable");
    client.act(&format!("{other}/cancel")).await.is(200);

    client.act(&format!("{path}/cancel")).await.is(200);
    scene.reassigns(new.id).await.refused(409, "invalid_transition");
    admin.get(&under_admin(path, "candidates")).await.refused(409, "invalid_transition");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notice_counts_from_when_the_client_asked_and_the_start_ends_it() {
    let app = App::start().await;
    let (old, new, admin) = (app.therapist().await, app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    let first = booked(&client, &old, address, "2026-11-30T03:00:00Z").await;
    app.advance(TimeDelta::minutes(119));
    let body = json!({ "therapist_id": new.id });
    assert_eq!(
        admin.get(&under_admin(&first, "candidates")).await.is(200).body["data"][0]["therapist_id"],
        json!(new.id)
    );
    admin.post(&under_admin(&first, "reassign"), body).await.is(200);
    app.advance(TimeDelta::minutes(1));
    admin
        .post(&under_admin(&first, "reassign"), json!({ "therapist_id": old.id }))
        .await
        .refused(409, "invalid_transition");
    admin.get(&under_admin(&first, "candidates")).await.refused(409, "invalid_transition");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn candidates_come_nearest_first_and_at_most_twenty() {
    let scene = scene().await;
    let Scene { app, new, admin, path, .. } = &scene;
    app.sql(&format!(
        "INSERT INTO accounts (id, email, password_hash, role, display_name, time_zone, created_at)
         SELECT gen_random_uuid(), 'near-' || n || '@knead.test', 'none', 'therapist', 'Near ' || n, 'Australia/Sydney', '2026-11-01T00:00:00Z'
         FROM generate_series(1, 70) n;
         INSERT INTO therapists (id, base_latitude, base_longitude, service_radius_km)
         SELECT id, -33.8886 - 0.001 * substring(display_name FROM 6)::int, 151.2111, 20 FROM accounts WHERE display_name LIKE 'Near %';
         INSERT INTO offers SELECT a.id, service_id, duration_minutes FROM accounts a, offers WHERE therapist_id = '{0}' AND display_name LIKE 'Near %';
         INSERT INTO weekly_windows (therapist_id, effective_from, opens, closes) SELECT a.id, effective_from, opens, closes FROM accounts a, weekly_windows WHERE therapist_id = '{0}' AND display_name LIKE 'Near %';
         INSERT INTO credentials (id, therapist_id, type, name_on_credential, expires_on, review_state, board_status, created_at)
         SELECT gen_random_uuid(), a.id, type, 'Test', expires_on, 'verified', 'active', c.created_at FROM accounts a, credentials c
         WHERE therapist_id = '{0}' AND display_name LIKE 'Near %' AND substring(display_name FROM 6)::int > 40",
        new.id
    ))
    .await
    .unwrap();
    let page = admin.get(&under_admin(path, "candidates")).await.is(200).body;
    let found = page["data"].as_array().unwrap();
    assert_eq!(found.len(), 20, "the nearest forty may not practise");
    let distances: Vec<f64> = found.iter().map(|found| found["distance_km"].as_f64().unwrap()).collect();
    assert!(distances.is_sorted(), "{distances:?}");
    scene.reassigns(found[0]["therapist_id"].as_str().unwrap().parse().unwrap()).await.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_admins_who_reassign_at_once_leave_one_therapist() {
    let scene = scene().await;
    let Scene { app, old, new, client, path, .. } = &scene;
    let third = app.therapist().await;
    change(app, old, REINSTATE).await;
    for _ in 0..10 {
        let (a, b) = tokio::join!(scene.reassigns(new.id), scene.reassigns(third.id));
        let outcomes = [a.status.as_u16(), b.status.as_u16()];
        assert!(
            outcomes.contains(&200) && outcomes.iter().all(|status| matches!(status, 200 | 409)),
            "{}{}",
            a.text,
            b.text
        );
        let holder = client.get(path).await.is(200).body["therapist"]["id"].clone();
        let reserved = sqlx::query_scalar::<_, Uuid>("SELECT therapist_id FROM reservations")
            .fetch_all(&*app.service.db)
            .await
            .unwrap();
        assert_eq!(json!(reserved), json!([holder]));
        let relied = "booking_credentials WHERE revision = (SELECT max(revision) FROM reliances)
                      AND therapist_id = (SELECT therapist_id FROM bookings)";
        assert_eq!(app.rows(relied).await, 5);
        scene.reassigns(old.id).await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reassignment_and_a_cancellation_at_once_leave_it_cancelled() {
    let scene = scene().await;
    let Scene { app, new, client, address, .. } = &scene;
    let other = app.therapist().await;
    for _ in 0..10 {
        let path = booked(client, &other, *address, "2026-12-04T03:00:00Z").await;
        let cancel = format!("{path}/cancel");
        let reassign = under_admin(&path, "reassign");
        let (reassigned, cancelled) =
            tokio::join!(scene.admin.post(&reassign, json!({ "therapist_id": new.id })), client.act(&cancel));
        assert_eq!(cancelled.is(200).body["status"], "cancelled");
        assert!(matches!(reassigned.status.as_u16(), 200 | 409), "{}", reassigned.text);
        assert_eq!(client.get(&path).await.is(200).body["status"], "cancelled");
        let left = "reservations WHERE start_at = '2026-12-04T03:00:00Z'";
        assert_eq!(app.rows(left).await, 0, "no time stays reserved");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reassignment_and_a_booking_of_the_candidate_at_once_take_one_time() {
    let scene = scene().await;
    let Scene { app, old, new, .. } = &scene;
    change(app, old, REINSTATE).await;
    let (other, address) = app.client_at_home().await;
    for _ in 0..10 {
        let (reassigned, booked) = tokio::join!(scene.reassigns(new.id), other.books(new, address, START));
        match (reassigned.status.as_u16(), booked.status.as_u16()) {
            (200, 409) => scene.reassigns(old.id).await.is(200),
            (409, 201) => other.act(&format!("{}/cancel", booked.header("location"))).await.is(200),
            outcome => panic!("{outcome:?}: {} {}", reassigned.text, booked.text),
        };
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_suspension_and_a_booking_at_once_know_of_each_other() {
    let scene = scene().await;
    let Scene { app, new, admin, .. } = &scene;
    let (client, address) = app.client_at_home().await;
    for _ in 0..10 {
        let (_, booked) = tokio::join!(change(app, new, SUSPEND), client.books(new, address, START));
        if booked.status == 201 {
            let path = booked.header("location");
            assert!(seen(admin, &path).await["at_risk_since"].is_string(), "booked first, and then at risk");
            client.act(&format!("{path}/cancel")).await.is(200);
        } else {
            booked.refused(422, "credential_not_valid");
        }
        change(app, new, REINSTATE).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reassignment_and_the_candidates_suspension_at_once_know_of_each_other() {
    let scene = scene().await;
    let Scene { app, old, new, admin, path, .. } = &scene;
    change(app, old, REINSTATE).await;
    for _ in 0..10 {
        let (reassigned, _) = tokio::join!(scene.reassigns(new.id), change(app, new, SUSPEND));
        let at_risk = seen(admin, path).await["at_risk_since"].is_string();
        match reassigned.status.as_u16() {
            200 => {
                assert!(at_risk, "taken over first, and then at risk");
                scene.reassigns(old.id).await.is(200);
            }
            _ => {
                reassigned.refused(422, "credential_not_valid");
                assert!(!at_risk);
            }
        }
        change(app, new, REINSTATE).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reassignment_and_an_acceptance_at_once_leave_one_therapist() {
    let scene = scene().await;
    let Scene { app, new, client, address, admin, .. } = &scene;
    let asked = app.therapist().await;
    asked.change("/v1/therapists/me", json!({ "booking_mode": "request" })).await.is(200);
    for _ in 0..10 {
        let path = booked(client, &asked, *address, "2026-12-04T03:00:00Z").await;
        let (accept, reassign) = (format!("{path}/accept"), under_admin(&path, "reassign"));
        let (accepted, reassigned) =
            tokio::join!(asked.act(&accept), admin.post(&reassign, json!({ "therapist_id": new.id })));
        let moved = reassigned.is(200).body;
        let accepted = accepted.status.as_u16();
        assert!(matches!(accepted, 200 | 404), "{accepted}");
        let status = if accepted == 200 { "confirmed" } else { "requested" };
        assert_eq!((&moved["status"], &moved["therapist"]["id"]), (&json!(status), &json!(new.id)));
        asked.act(&accept).await.refused(404, "not_found");
        new.act(&accept).await.is(200);
        client.act(&format!("{path}/cancel")).await.is(200);
    }
}
