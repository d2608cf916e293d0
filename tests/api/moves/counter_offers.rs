use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{Scene, THURSDAY, WEDNESDAY, agreed, moves, reserved, scene, scene_with, span, told};
use crate::support::{Answer, Person, WEEK, at, send};

async fn proposes(who: &Person, path: &str, start: &str) -> Answer {
    who.post(&format!("{path}/counter-offers"), json!({ "start_at": start })).await
}

/// Makes a proposal, and gives its path.
async fn proposed(who: &Person, path: &str, start: &str) -> String {
    proposes(who, path, start).await.is(201).header("location")
}

async fn answers(who: &Person, offer: &str, answer: &str) -> Answer {
    who.act(&format!("{offer}/{answer}")).await
}

async fn status(who: &Person, path: &str) -> Value {
    who.get(path).await.is(200).body["status"].clone()
}

#[tokio::test]
async fn a_client_accepts_another_time_for_a_request() {
    let scene = scene_with("request").await;
    let Scene { app, therapist, client, path, .. } = &scene;
    let before = scene.booking().await;
    let offer = proposes(therapist, path, THURSDAY).await.is(201);
    let at = offer.header("location");
    assert_eq!(
        offer.body,
        json!({
            "id": offer.id(), "booking_id": before["id"], "by": "therapist", "start_at": THURSDAY, "time_zone": "Australia/Sydney",
            "price": { "amount": 12900, "currency": "AUD" }, "status": "open", "created_at": "2026-11-30T01:00:00Z", "expires_at": "2026-12-01T00:30:00Z",
        })
    );
    assert_eq!(client.get(&at).await.is(200).body, offer.body);
    assert_eq!(client.get(&format!("{path}/counter-offers")).await.is(200).body["data"], json!([offer.body]));
    assert_eq!(agreed(&scene.booking().await), agreed(&before), "the visit stands");
    assert_eq!(reserved(app).await, [span("01 23:50", "02 01:10"), span("02 23:50", "03 01:10")]);
    assert_eq!(told(client).await, ["time_proposed"]);

    let accepted = answers(client, &at, "accept").await.is(200);
    assert_eq!(
        (&accepted.body["id"], &accepted.body["status"], &accepted.body["start_at"]),
        (&before["id"], &json!("confirmed"), &json!(THURSDAY))
    );
    assert_eq!(reserved(app).await, [span("02 23:50", "03 01:10")]);
    assert_eq!(app.rows("reservations WHERE hold_expires_at IS NULL AND offer_id IS NULL").await, 1);
    assert_eq!(app.rows("booking_credentials WHERE revision = 2").await, 5);
    assert_eq!(told(therapist).await, ["visit_moved", "visit_requested"]);
    assert_eq!(answers(client, &at, "accept").await.is(200).text, accepted.text, "again");
    assert_eq!(status(client, &at).await, "accepted");
    let events = scene.events().await;
    assert_eq!(events.len(), 2);
    assert_eq!(
        (&events[1]["action"], &events[1]["party"], &events[1]["from_status"], &events[1]["to_status"]),
        (&json!("agree"), &json!("client"), &json!("requested"), &json!("confirmed"))
    );
    assert_eq!(events[1]["change"]["to"]["start_at"], THURSDAY);
    for answer in ["decline", "withdraw"] {
        answers(client, &at, answer).await.refused(409, "invalid_transition");
        answers(therapist, &at, answer).await.refused(409, "invalid_transition");
    }
    // The first deadline's job finds nothing to do.
    app.advance(TimeDelta::hours(30));
    app.run_jobs().await;
    assert_eq!(status(client, path).await, "confirmed");
}

#[tokio::test]
async fn a_proposal_holds_its_time_and_lapses_by_itself() {
    let scene = scene().await;
    let at = proposed(&scene.client, &scene.path, THURSDAY).await;
    assert_eq!(told(&scene.therapist).await, ["time_proposed", "visit_booked"]);
    // 47 hours before the earlier start: half of that.
    scene.app.advance(TimeDelta::minutes(23 * 60 + 29));
    let (other, address) = scene.app.client_at_home().await;
    other.books(&scene.therapist, address, THURSDAY).await.refused(409, "slot_unavailable");
    assert!(!other.slots(&scene.therapist, "2026-12-03", "2026-12-03").await.contains(&THURSDAY.to_owned()));
    scene.app.advance(TimeDelta::minutes(1));
    assert!(other.slots(&scene.therapist, "2026-12-03", "2026-12-03").await.contains(&THURSDAY.to_owned()));
    // Nothing has swept it away.
    let Scene { app, therapist, client, path, .. } = &scene;
    assert_eq!(app.rows("counter_offers WHERE status = 'open'").await, 1);
    assert_eq!(status(client, &at).await, "expired");
    for (who, answer) in [(therapist, "accept"), (therapist, "decline"), (client, "withdraw")] {
        answers(who, &at, answer).await.refused(409, "counter_offer_expired");
    }
    for (who, answer) in [(client, "accept"), (client, "decline"), (therapist, "withdraw")] {
        answers(who, &at, answer).await.refused(409, "invalid_transition");
    }
    assert_eq!(scene.booking().await["start_at"], WEDNESDAY);
    // Its place is free for another proposal, and its time for anyone.
    let next = proposed(therapist, path, "2026-12-03T03:00:00Z").await;
    other.books(therapist, address, THURSDAY).await.is(201);
    assert_eq!(app.rows("counter_offers WHERE status = 'expired'").await, 1);

    scene.app.advance(TimeDelta::hours(14));
    knead::bookings::counter_offers::forget_lapsed(&scene.app.service.db, scene.app.now()).await.unwrap();
    knead::availability::reservations::forget_lapsed(&scene.app.service.db, scene.app.now()).await.unwrap();
    assert_eq!(scene.app.rows("reservations WHERE offer_id IS NOT NULL").await, 0);
    assert_eq!(scene.app.rows("counter_offers WHERE status = 'expired'").await, 2);
    assert_eq!(status(&scene.client, &next).await, "expired");
    assert_eq!(scene.app.rows("reservations").await, 2, "the visits' own");
}

#[tokio::test]
async fn a_proposal_waits_a_day_at_most_and_half_the_time_to_the_earlier_start() {
    let Scene { client, path, .. } = &scene().await;
    for (start, expires_at) in
        [("2026-12-01T00:00:00Z", "2026-11-30T12:30:00Z"), ("2026-12-20T00:00:00Z", "2026-12-01T00:30:00Z")]
    {
        let offer = proposes(client, path, start).await.is(201);
        assert_eq!(offer.body["expires_at"], expires_at);
        answers(client, &offer.header("location"), "withdraw").await.is(200);
    }
    moves(client, path, "2026-12-10T00:00:00Z").await.is(200);
    let offer = proposes(client, path, "2026-12-20T00:00:00Z").await.is(201);
    assert_eq!(offer.body["expires_at"], "2026-12-01T01:00:00Z");
}

#[tokio::test]
async fn a_visit_has_one_open_proposal() {
    let Scene { app, therapist, client, path, .. } = &scene().await;
    let at = proposed(therapist, path, THURSDAY).await;
    assert_eq!(proposed(therapist, path, THURSDAY).await, at, "again");
    proposes(client, path, THURSDAY).await.refused(409, "counter_offer_open");
    proposes(therapist, path, "2026-12-04T00:00:00Z").await.refused(409, "counter_offer_open");
    assert_eq!(answers(therapist, &at, "withdraw").await.is(200).body["status"], "withdrawn");
    assert_eq!(answers(therapist, &at, "withdraw").await.is(200).body["status"], "withdrawn", "again");
    assert_eq!(told(client).await, ["proposal_withdrawn", "time_proposed"]);
    answers(client, &at, "accept").await.refused(409, "invalid_transition");
    answers(client, &at, "decline").await.refused(409, "invalid_transition");
    assert_eq!(reserved(app).await, [span("01 23:50", "02 01:10")]);

    let at = proposed(client, path, THURSDAY).await;
    assert_eq!(answers(therapist, &at, "decline").await.is(200).body["status"], "declined");
    assert_eq!(answers(therapist, &at, "decline").await.is(200).body["status"], "declined", "again");
    assert_eq!(told(client).await[0], "proposal_declined");
    answers(therapist, &at, "accept").await.refused(409, "invalid_transition");
    assert_eq!(reserved(app).await, [span("01 23:50", "02 01:10")]);
    let listed = client.get(&format!("{path}/counter-offers")).await.is(200).body;
    let states: Vec<&Value> = listed["data"].as_array().unwrap().iter().map(|offer| &offer["status"]).collect();
    assert_eq!(states, ["withdrawn", "declined"]);
}

#[tokio::test]
async fn only_the_other_party_answers() {
    let Scene { app, therapist, client, address, path } = &scene().await;
    let (stranger, colleague, admin) = (app.client().await, app.therapist().await, app.admin().await);
    let at = proposed(therapist, path, THURSDAY).await;
    answers(therapist, &at, "accept").await.refused(409, "invalid_transition");
    answers(therapist, &at, "decline").await.refused(409, "invalid_transition");
    answers(client, &at, "withdraw").await.refused(409, "invalid_transition");
    proposes(&admin, path, THURSDAY).await.refused(403, "forbidden");
    assert_eq!(status(&admin, &at).await, "open");
    for answer in ["accept", "decline", "withdraw"] {
        answers(&admin, &at, answer).await.refused(403, "forbidden");
        for person in [&stranger, &colleague] {
            answers(person, &at, answer).await.refused(404, "not_found");
        }
    }
    for person in [&stranger, &colleague] {
        proposes(person, path, THURSDAY).await.refused(404, "not_found");
        person.get(&at).await.refused(404, "not_found");
        person.get(&format!("{path}/counter-offers")).await.refused(404, "not_found");
    }
    // Nor is it found at another of the parties' visits.
    let elsewhere = client.books(therapist, *address, "2026-12-05T00:00:00Z").await.is(201).header("location");
    let misplaced = at.replace(path.as_str(), &elsewhere);
    client.get(&misplaced).await.refused(404, "not_found");
    answers(client, &misplaced, "accept").await.refused(404, "not_found");
    answers(client, &format!("{path}/counter-offers/1"), "accept").await.refused(404, "not_found");
    answers(client, &at, "accept").await.is(200);
}

struct RefusedStart {
    start: &'static str,
    status: u16,
    code: &'static str,
}

#[tokio::test]
async fn a_proposal_is_held_to_the_rules_and_leaves_nothing_where_they_refuse() {
    let Scene { app, therapist, client, path, .. } = &scene().await;
    let (other, elsewhere) = app.client_at_home().await;
    other.books(therapist, elsewhere, "2026-12-04T00:00:00Z").await.is(201);
    for RefusedStart { start, status, code } in [
        RefusedStart { start: "2026-11-30T02:45:00Z", status: 422, code: "notice_too_short" },
        RefusedStart { start: "2027-03-01T00:00:00Z", status: 422, code: "beyond_horizon" },
        RefusedStart { start: "2026-12-04T00:30:00Z", status: 409, code: "slot_unavailable" },
        RefusedStart { start: "2026-12-02T00:01:00Z", status: 409, code: "slot_unavailable" },
        RefusedStart { start: "2026-12-02T12:00:00Z", status: 409, code: "slot_unavailable" },
    ] {
        proposes(client, path, start).await.refused(status, code);
        // A therapist's own notice and horizon do not bind themselves.
        if status == 409 {
            proposes(therapist, path, start).await.refused(status, code);
        }
    }
    proposes(client, path, WEDNESDAY).await.points_to(&["/start_at"]);
    proposes(client, path, "soon").await.points_to(&["/start_at"]);
    for status in ["on_the_way", "arrived", "in_progress", "completed", "declined", "expired", "no_show", "stopped"] {
        app.sql(&format!("UPDATE bookings SET status = '{status}'")).await.unwrap();
        proposes(client, path, THURSDAY).await.refused(409, "invalid_transition");
        proposes(therapist, path, THURSDAY).await.refused(409, "invalid_transition");
    }
    app.sql("UPDATE bookings SET status = 'confirmed'").await.unwrap();
    app.advance(TimeDelta::hours(47));
    proposes(client, path, THURSDAY).await.refused(409, "invalid_transition");
    assert_eq!(app.rows("counter_offers").await, 0);
    assert_eq!(app.rows("reservations").await, 2);
}

#[tokio::test]
async fn acceptance_asks_every_rule_again_and_the_visit_stands_where_one_refuses() {
    let scene = scene().await;
    let at = proposed(&scene.therapist, &scene.path, "2026-12-01T04:00:00Z").await;
    let Scene { app, therapist, client, .. } = &scene;
    let before = scene.booking().await;
    let off = json!({ "start_at": "2026-12-01T04:30:00Z", "end_at": "2026-12-01T04:31:00Z" });
    let off = therapist.post("/v1/therapists/me/time-off", off).await.is(201).header("location");
    answers(client, &at, "accept").await.refused(409, "slot_unavailable");
    therapist.delete(&off).await.is(204);
    app.sql("UPDATE credentials SET expires_on = '2026-11-30' WHERE type = 'INSURANCE'").await.unwrap();
    answers(client, &at, "accept").await.refused(422, "credential_not_valid");
    app.sql("UPDATE credentials SET expires_on = '2026-12-01' WHERE type = 'INSURANCE'").await.unwrap();
    let stale = send(client.request(reqwest::Method::POST, &format!("{at}/accept")).header("If-Match", "\"stale\""));
    stale.await.refused(412, "precondition_failed");
    assert_eq!(scene.booking().await, before);
    assert_eq!(status(client, &at).await, "open");
    // The notice that was given holds.
    therapist.change("/v1/therapists/me", json!({ "min_notice_minutes": 26 * 60 })).await.is(200);
    scene.app.advance(TimeDelta::hours(12));
    answers(&scene.client, &at, "accept").await.is(200);
}

#[tokio::test]
async fn a_time_that_overlaps_the_visit_is_held_as_far_as_the_visit_does_not_hold_it() {
    let Scene { app, therapist, client, path, .. } = &scene().await;
    let (other, address) = app.client_at_home().await;
    therapist.change("/v1/therapists/me", json!({ "daily_cap": 2 })).await.is(200);
    let later = proposed(client, path, "2026-12-02T00:30:00Z").await;
    assert_eq!(reserved(app).await, [span("01 23:50", "02 01:10"), span("02 01:10", "02 01:40")]);
    other.books(therapist, address, "2026-12-02T01:30:00Z").await.refused(409, "slot_unavailable");
    answers(client, &later, "withdraw").await.is(200);
    // On both sides, where set-up and pack-up take longer by now.
    therapist.change("/v1/therapists/me", json!({ "setup_minutes": 30, "packup_minutes": 30 })).await.is(200);
    let wider = proposed(therapist, path, "2026-12-02T00:15:00Z").await;
    assert_eq!(
        reserved(app).await,
        [span("01 23:45", "01 23:50"), span("01 23:50", "02 01:10"), span("02 01:10", "02 01:45")]
    );
    answers(client, &wider, "accept").await.is(200);
    assert_eq!(reserved(app).await, [span("01 23:45", "02 01:45")]);
    other.books(therapist, address, "2026-12-02T03:00:00Z").await.is(201);
}

#[tokio::test]
async fn a_booking_counts_once_a_day_whatever_is_proposed_for_it() {
    let Scene { app, therapist, client: mia, address: hers, path } = &scene().await;
    therapist.change("/v1/therapists/me", json!({ "daily_cap": 3 })).await.is(200);
    let (tom, his) = app.client_at_home().await;
    let toms = tom.books(therapist, his, "2026-12-02T01:30:00Z").await.is(201).header("location");
    let to_four = proposed(mia, path, "2026-12-02T05:00:00Z").await;
    tom.books(therapist, his, "2026-12-02T03:00:00Z").await.is(201);
    let to_nine = proposed(therapist, &toms, "2026-12-01T22:15:00Z").await;
    // Three bookings, at five times.
    assert_eq!(reserved(app).await.len(), 5);
    tom.books(therapist, his, "2026-12-02T04:00:00Z").await.refused(409, "slot_unavailable");
    assert_eq!(tom.slots(therapist, "2026-12-02", "2026-12-02").await, [""; 0]);
    answers(&tom, &to_nine, "accept").await.is(200);
    moves(mia, path, "2026-12-02T01:30:00Z").await.is(200);
    assert_eq!(status(mia, &to_four).await, "obsolete");

    // On another day it counts as well, for as long as it may still take place there.
    therapist.change("/v1/therapists/me", json!({ "daily_cap": 1 })).await.is(200);
    let to_thursday = proposed(therapist, path, THURSDAY).await;
    tom.books(therapist, his, "2026-12-03T03:00:00Z").await.refused(409, "slot_unavailable");
    answers(mia, &to_thursday, "decline").await.is(200);
    tom.books(therapist, his, "2026-12-03T03:00:00Z").await.is(201);
    proposes(therapist, path, THURSDAY).await.refused(409, "slot_unavailable");
    mia.books(therapist, *hers, "2026-12-04T00:00:00Z").await.is(201);
}

#[tokio::test]
async fn a_proposal_counts_on_the_day_of_its_start() {
    let Scene { app, therapist, client, path, .. } = &scene().await;
    therapist.works(&WEEK.map(|day| (day, "00:00", "00:00"))).await;
    therapist.change("/v1/therapists/me", json!({ "daily_cap": 1, "packup_minutes": 15 })).await.is(200);
    // Until midnight, packing up included.
    moves(client, path, "2026-12-02T11:45:00Z").await.is(200);
    proposed(client, path, "2026-12-02T12:15:00Z").await;
    assert_eq!(reserved(app).await[1], span("02 13:00", "02 13:30"), "on Thursday in Sydney");
    let (other, address) = app.client_at_home().await;
    other.books(therapist, address, "2026-12-02T02:00:00Z").await.refused(409, "slot_unavailable");
    other.books(therapist, address, THURSDAY).await.is(201);
}

#[tokio::test]
async fn whatever_ends_or_changes_the_visit_ends_the_proposal() {
    let Scene { app, therapist, client, path, .. } = &scene().await;
    let (colleague, admin) = (app.therapist().await, app.admin().await);
    let mut offers = vec![proposed(therapist, path, THURSDAY).await];
    moves(client, path, "2026-12-04T00:00:00Z").await.is(200);
    assert_eq!(reserved(app).await, [span("03 23:50", "04 01:10")]);
    // To its own time even.
    offers.push(proposed(therapist, path, THURSDAY).await);
    moves(client, path, THURSDAY).await.is(200);
    offers.push(proposed(client, path, WEDNESDAY).await);
    let reassign = format!("{}/reassign", path.replace("/v1/", "/v1/admin/"));
    admin.post(&reassign, json!({ "therapist_id": colleague.id })).await.is(200);
    answers(&colleague, &offers[2], "accept").await.refused(409, "invalid_transition");
    offers.push(proposed(&colleague, path, WEDNESDAY).await);
    client.post(&format!("{path}/cancel"), json!({})).await.is(200);
    assert_eq!(reserved(app).await, []);
    for offer in &offers {
        assert_eq!(status(client, offer).await, "obsolete");
        for answer in ["accept", "decline", "withdraw"] {
            answers(client, offer, answer).await.refused(409, "invalid_transition");
        }
    }
}

#[tokio::test]
async fn a_therapist_may_accept_the_request_after_all() {
    let Scene { app, therapist, client, path, .. } = &scene_with("request").await;
    therapist.change("/v1/therapists/me", json!({ "daily_cap": 1 })).await.is(200);
    let at = proposed(therapist, path, "2026-12-02T02:00:00Z").await;
    assert_eq!(therapist.act(&format!("{path}/accept")).await.is(200).body["start_at"], WEDNESDAY);
    assert_eq!(status(client, &at).await, "obsolete");
    assert_eq!(reserved(app).await, [span("01 23:50", "02 01:10")]);
}

#[tokio::test]
async fn a_request_lives_as_long_as_its_therapists_proposal() {
    let scene = scene_with("request").await;
    scene.app.advance(TimeDelta::minutes(23 * 60 + 20));
    // Ten minutes before the request would lapse.
    let offer = proposes(&scene.therapist, &scene.path, THURSDAY).await.is(201);
    assert_eq!(offer.body["expires_at"], "2026-12-01T12:10:00Z");
    assert_eq!(scene.booking().await["respond_by"], "2026-12-01T12:10:00Z");
    scene.app.advance(TimeDelta::hours(11));
    scene.app.run_jobs().await;
    assert_eq!(scene.booking().await["status"], "requested");
    scene.app.advance(TimeDelta::hours(1));
    assert_eq!(scene.booking().await["status"], "expired");
    answers(&scene.client, &offer.header("location"), "accept").await.refused(409, "counter_offer_expired");
    scene.app.run_jobs().await;
    assert_eq!(scene.app.rows("bookings WHERE status = 'expired'").await, 1);
    assert_eq!(scene.app.rows("counter_offers WHERE status = 'expired'").await, 1);
    assert_eq!(reserved(&scene.app).await, []);
}

#[tokio::test]
async fn any_other_proposal_for_a_request_lapses_with_it() {
    let scene = scene_with("request").await;
    let lapses = scene.booking().await["respond_by"].clone();
    let first = proposed(&scene.therapist, &scene.path, "2026-12-04T00:00:00Z").await;
    answers(&scene.client, &first, "decline").await.is(200);
    let (other, address) = scene.app.client_at_home().await;
    scene.app.advance(TimeDelta::hours(12));
    for who in [&scene.therapist, &scene.client] {
        let offer = proposes(who, &scene.path, THURSDAY).await.is(201);
        assert_eq!(offer.body["expires_at"], lapses);
        assert_eq!(scene.booking().await["respond_by"], lapses);
        if who.id == scene.therapist.id {
            answers(who, &offer.header("location"), "withdraw").await.is(200);
        }
    }
    scene.app.advance(at(lapses.as_str().unwrap()) - scene.app.now());
    // Nothing has written down yet that the request has expired.
    let Scene { app, therapist, client, path, .. } = &scene;
    assert_eq!(app.rows("bookings WHERE status = 'requested'").await, 1);
    let open = client.get(&format!("{path}/counter-offers")).await.is(200).body["data"][2].clone();
    assert_eq!(open["status"], "expired");
    answers(therapist, &format!("{path}/counter-offers/{}", open["id"].as_str().unwrap()), "accept")
        .await
        .refused(409, "counter_offer_expired");
    other.books(therapist, address, THURSDAY).await.is(201);
}

#[tokio::test]
async fn a_client_who_asks_late_owes_what_calling_off_cost_then() {
    let scene = scene().await;
    scene.app.advance(TimeDelta::hours(30));
    assert_eq!(scene.fee().await, 6450);
    let at = proposed(&scene.client, &scene.path, "2026-12-20T00:00:00Z").await;
    assert_eq!(scene.fee().await, 6450);
    // The therapist takes hours to agree, which is not the client's fault.
    scene.app.advance(TimeDelta::hours(8));
    answers(&scene.therapist, &at, "accept").await.is(200);
    assert_eq!(scene.fee().await, 6450, "weeks ahead");
    moves(&scene.client, &scene.path, "2026-12-21T00:00:00Z").await.refused(422, "too_late_to_move");
    scene.app.advance(TimeDelta::days(18) + TimeDelta::hours(8));
    // A Sunday costs more.
    assert_eq!(scene.fee().await, 14190, "an hour ahead");
    let cancelled = scene.client.post(&format!("{}/cancel", scene.path), json!({})).await.is(200).body;
    assert_eq!(cancelled["cancellation"]["fee"]["amount"], 14190);
}

#[tokio::test]
async fn no_fee_follows_from_what_the_therapist_proposed() {
    let scene = scene().await;
    scene.app.advance(TimeDelta::hours(30));
    let at = proposed(&scene.therapist, &scene.path, "2026-12-20T00:00:00Z").await;
    answers(&scene.client, &at, "accept").await.is(200);
    assert_eq!(scene.fee().await, 0);
    // The client agreed to this time: the usual terms hold, and the price of a Sunday.
    scene.app.advance(TimeDelta::days(18));
    assert_eq!(scene.fee().await, 7095);
}

#[tokio::test]
async fn one_key_makes_one_proposal() {
    let Scene { app, client, path, therapist, address } = &scene().await;
    let with = |path: &str, start: &str| {
        let request = client.request(reqwest::Method::POST, &format!("{path}/counter-offers"));
        send(request.header("Idempotency-Key", "once").json(&json!({ "start_at": start })))
    };
    let first = with(path, THURSDAY).await.is(201);
    answers(client, &first.header("location"), "withdraw").await.is(200);
    let again = with(path, THURSDAY).await.is(201);
    assert_eq!((&again.text, again.header("idempotent-replay")), (&first.text, "true".to_owned()));
    assert_eq!(again.header("location"), first.header("location"));
    with(path, "2026-12-04T00:00:00Z").await.refused(422, "idempotency_key_reused");
    let elsewhere = client.books(therapist, *address, "2026-12-05T00:00:00Z").await.is(201).header("location");
    with(&elsewhere, THURSDAY).await.refused(422, "idempotency_key_reused");
    assert_eq!(app.rows("counter_offers").await, 1);
}

#[tokio::test]
async fn a_therapist_who_accepts_another_time_for_a_request_has_confirmed_it() {
    let Scene { app, therapist, client, path, .. } = &scene_with("request").await;
    let before = client.get(path).await.is(200).body;
    let at = proposed(client, path, THURSDAY).await;
    assert_eq!(
        agreed(&client.get(path).await.is(200).body),
        agreed(&before),
        "neither its time nor its deadline moves"
    );
    assert!(therapist.get(path).await.is(200).body["address"].is_null(), "the door is not shown before the yes");
    let accepted = answers(therapist, &at, "accept").await.is(200).body;
    assert_eq!((&accepted["status"], &accepted["start_at"]), (&json!("confirmed"), &json!(THURSDAY)));
    assert_eq!(accepted["address"]["line1"], "12 Crown Street");
    assert_eq!(app.rows("events WHERE kind = 'booking.address_disclosed'").await, 1);
    assert_eq!(told(client).await, ["visit_moved"]);
}
