//! Renewals of credentials.

use chrono::TimeDelta;
use knead::credentials::BoardStatus;
use knead::credentials::checks::Verdict;
use serde_json::{Value, json};
use uuid::Uuid;

use super::by_system::{found, roster, take_back};
use super::{MINE, against, state, step, submitted, texas, verified, verify};
use crate::support::App;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_takes_the_place_of_what_it_renews_when_it_begins() {
    let app = App::start().await;
    let (therapist, admin) = (app.newcomer().await, app.admin().await);
    let old = submitted(&therapist, texas("MT123456")).await;
    verify(&admin, &old).await;

    // One that has begun, and lasts longer, does so at once.
    let mut current = texas("MT123456");
    (current["issued_on"], current["expires_on"]) = (json!("2026-11-01"), json!("2028-06-30"));
    let current = submitted(&therapist, current).await;
    verify(&admin, &current).await;
    assert_eq!((state(&admin, &old).await, state(&admin, &current).await), ("superseded".into(), "verified".into()));

    // One that begins later leaves the old one in force until then.
    let mut later = texas("MT123456");
    (later["issued_on"], later["expires_on"]) = (json!("2027-01-10"), json!("2030-06-30"));
    let later = submitted(&therapist, later).await;
    verify(&admin, &later).await;
    assert_eq!(state(&admin, &current).await, "verified");
    app.run_jobs().await;
    assert_eq!(state(&admin, &current).await, "verified");
    app.advance(TimeDelta::days(42));
    app.run_jobs().await;
    assert_eq!((state(&admin, &current).await, state(&admin, &later).await), ("superseded".into(), "verified".into()));

    // A policy has another number each year: then the therapist says what it renews.
    let first = json!({ "type": "NPI", "number": "1234567893", "name_on_credential": "Sam Okafor" });
    let first = submitted(&therapist, first).await;
    verify(&admin, &first).await;
    let renews = first.rsplit('/').next().unwrap();
    let wrong =
        json!({ "type": "US-TX-LMT", "number": "MT1234", "name_on_credential": "Sam Okafor", "renews": renews });
    therapist.post(MINE, wrong).await.points_to(&["/renews"]);
    let second = json!({ "type": "NPI", "number": "1245319599", "name_on_credential": "Sam Okafor", "renews": renews });
    let other = app.newcomer().await;
    other.post(MINE, second.clone()).await.points_to(&["/renews"]);
    let second = submitted(&therapist, second).await;
    verify(&admin, &second).await;
    assert_eq!(state(&admin, &first).await, "superseded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_replaces_only_what_it_covers_and_comes_back_with_a_roll_back() {
    let app = App::start().await;
    let (therapist, admin) = (app.newcomer().await, app.admin().await);
    let mut old = texas("MT123456");
    old["issued_on"] = json!("2024-01-01");
    let old = submitted(&therapist, old).await;
    verify(&admin, &old).await;
    let renewal = |covers: Value, begins: &str| {
        let mut body = texas("MT123456");
        (body["issued_on"], body["expires_on"]) = (json!(begins), json!("2028-06-30"));
        body["covers_jurisdictions"] = covers;
        body
    };
    // One that counts in fewer places, or that is on hold, leaves the old one in force.
    let narrow = submitted(&therapist, renewal(json!(["US-FL"]), "2026-11-01")).await;
    verify(&admin, &narrow).await;
    assert_eq!(state(&admin, &old).await, "verified");
    step(&admin, &narrow, "suspend", against("inactive")).await.is(200);
    let again = submitted(&therapist, renewal(Value::Null, "2026-11-01")).await;
    // The number was barred: it does not come back by being entered again.
    step(&admin, &again, "claim", json!({})).await.is(200);
    step(&admin, &again, "verify", verified(&[])).await.refused(422, "override_not_stated");
    step(&admin, &again, "release", json!({})).await.is(200);
    step(&admin, &narrow, "revoke", against("inactive")).await.is(200);
    app.sql("UPDATE credentials SET normalised_number = '999999' WHERE review_state = 'revoked'").await.unwrap();
    let hold = admin.post(&format!("{again}/holds"), json!({ "reason_code": "illegible" })).await.is(201).id();
    verify(&admin, &again).await;
    assert_eq!(state(&admin, &old).await, "verified", "the new one is on hold");
    admin.act(&format!("{again}/holds/{hold}/lift")).await.is(200);
    assert_eq!(state(&admin, &old).await, "superseded");
    assert!(again.ends_with(admin.get(&old).await.is(200).body["superseded_by"].as_str().unwrap()));

    // A renewal that a list verified takes back with it what it had replaced.
    let (therapist, id_of) =
        (app.newcomer().await, |path: &str| -> Uuid { path.rsplit('/').next().unwrap().parse().unwrap() });
    let mut first = texas("MT777777");
    first["expires_on"] = json!("2027-01-31");
    let first = submitted(&therapist, first).await;
    verify(&admin, &first).await;
    let second = submitted(&therapist, texas("MT777777")).await;
    let change = roster(&app, &therapist, id_of(&second), &found(BoardStatus::Active), &Verdict::Clean).await;
    assert_eq!(state(&admin, &first).await, "superseded");
    assert!(take_back(&app, &therapist, id_of(&second), &change).await);
    assert_eq!((state(&admin, &first).await, state(&admin, &second).await), ("verified".into(), "submitted".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_of_tomorrow_leaves_this_evening_in_force() {
    // Half past midnight in Greenwich is the afternoon before in California.
    let app = App::start_at(crate::support::at("2026-12-01T00:30:00Z")).await;
    let (therapist, admin) = (app.newcomer().await, app.admin().await);
    let old = submitted(&therapist, texas("MT123456")).await;
    verify(&admin, &old).await;
    let mut renewal = texas("MT123456");
    (renewal["issued_on"], renewal["expires_on"]) = (json!("2026-12-01"), json!("2028-06-30"));
    let renewal = submitted(&therapist, renewal).await;
    verify(&admin, &renewal).await;
    assert_eq!(state(&admin, &old).await, "verified");
    app.advance(TimeDelta::hours(12));
    app.run_jobs().await;
    assert_eq!(state(&admin, &old).await, "superseded");
}
