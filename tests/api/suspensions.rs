//! Accounts that act no more.

use knead::values::Grant;
use serde_json::json;

use crate::support::{Answer, App, PASSWORD, Person, surry_hills};

const TUESDAY: &str = "2026-12-01T00:00:00Z";

async fn suspends(admin: &Person, whom: &Person) -> Answer {
    let path = format!("/v1/admin/accounts/{}/suspend", whom.id);
    admin.post(&path, json!({ "reason": "Two clients report the same." })).await
}

async fn reinstates(admin: &Person, whom: &Person) -> Answer {
    admin.act(&format!("/v1/admin/accounts/{}/reinstate", whom.id)).await
}

async fn log_in(app: &App, email: &str, password: &str) -> Answer {
    app.nobody().post("/v1/auth/login", json!({ "email": email, "password": password })).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_therapist_is_found_by_nobody_and_staff_see_to_the_visits() {
    let app = App::start().await;
    let (therapist, support) = (app.therapist().await, app.admin_with(&[Grant::Support]).await);
    let (client, address) = app.client_at_home().await;
    let visit = client.books(&therapist, address, TUESDAY).await.is(201);
    assert!(!client.slots(&therapist, "2026-12-02", "2026-12-02").await.is_empty());
    let standing = suspends(&support, &therapist).await.is(200);
    assert_eq!(standing.body["suspended_at"], json!(app.now()));
    assert_eq!(suspends(&support, &therapist).await.is(200).text, standing.text, "once is enough");
    app.run_jobs().await;
    therapist.get("/v1/me").await.refused(401, "unauthorized");
    let body = json!({ "refresh_token": therapist.refresh_token });
    app.nobody().post("/v1/auth/refresh", body).await.refused(401, "refresh_token_invalid");
    log_in(&app, &therapist.email, "another password").await.refused(401, "wrong_email_or_password");
    log_in(&app, &therapist.email, PASSWORD).await.refused(403, "account_suspended");
    assert!(client.slots(&therapist, "2026-12-02", "2026-12-02").await.is_empty());
    client.books(&therapist, address, "2026-12-02T00:00:00Z").await.refused(422, "not_accepting_bookings");
    let hold = client.wish(&therapist, address, "2026-12-02T00:00:00Z");
    client.post("/v1/holds", hold).await.refused(422, "not_accepting_bookings");
    let tasks = support.get("/v1/admin/tasks?kind=visit_party_suspended").await.is(200).body["data"].clone();
    assert_eq!(tasks.as_array().unwrap().len(), 1, "{tasks}");
    assert_eq!(
        (&tasks[0]["subject_id"], &tasks[0]["details"]["account_id"]),
        (&visit.body["id"], &json!(therapist.id))
    );
    assert_eq!(client.get(&visit.header("location")).await.body["status"], "confirmed", "nothing is called off");

    assert_eq!(reinstates(&support, &therapist).await.is(200).body["suspended_at"], json!(null));
    app.run_jobs().await;
    let tasks = support.get("/v1/admin/tasks?kind=visit_party_suspended").await.is(200).body["data"].clone();
    assert_eq!(tasks, json!([]));
    therapist.get("/v1/me").await.refused(401, "unauthorized");
    log_in(&app, &therapist.email, PASSWORD).await.is(200);
    client.books(&therapist, address, "2026-12-02T00:00:00Z").await.is(201);
    assert_eq!(app.rows("events WHERE kind IN ('account.suspended', 'account.reinstated')").await, 2);
    app.events_are_in_order().await;
}

#[tokio::test]
async fn a_therapist_who_took_no_bookings_takes_none_afterwards() {
    let app = App::start().await;
    let (therapist, owner) = (app.therapist().await, app.admin().await);
    therapist.change("/v1/therapists/me", json!({ "accepting_bookings": false })).await.is(200);
    suspends(&owner, &therapist).await.is(200);
    reinstates(&owner, &therapist).await.is(200);
    let again = app.nobody().log_in(&therapist.email).await;
    assert_eq!(again.get("/v1/therapists/me").await.body["accepting_bookings"], false);
}

#[tokio::test]
async fn staff_are_suspended_by_owners_and_nobody_by_themself() {
    let app = App::start().await;
    let (owner, support) = (app.admin().await, app.admin_with(&[Grant::Support]).await);
    let (verifier, client) = (app.admin_with(&[Grant::Verifier]).await, app.client().await);
    client.address(surry_hills()).await;
    suspends(&verifier, &client).await.refused(403, "forbidden");
    suspends(&client, &client).await.refused(403, "forbidden");
    suspends(&app.nobody(), &client).await.refused(401, "unauthorized");
    suspends(&support, &verifier).await.refused(403, "forbidden");
    suspends(&owner, &owner).await.refused(409, "own_grants");
    suspends(&owner, &support).await.is(200);
    support.get("/v1/admin/tasks").await.refused(401, "unauthorized");
    reinstates(&owner, &support).await.is(200);
    let nobodys = "/v1/admin/accounts/0198c0de-0000-7000-8000-000000000000/suspend";
    owner.post(nobodys, json!({ "reason": "x" })).await.refused(404, "not_found");
    let path = format!("/v1/admin/accounts/{}/suspend", client.id);
    owner.post(&path, json!({})).await.points_to(&["/reason"]);
    owner.post(&path, json!({ "reason": "x", "until": "y" })).await.points_to(&["/until"]);
    suspends(&owner, &client).await.is(200);
    client.get("/v1/me/addresses").await.refused(401, "unauthorized");
}

/// Two owners who suspend each other at once: one stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_owner_stays() {
    let app = App::start().await;
    let (one, two) = (app.admin().await, app.admin().await);
    let (first, second) = tokio::join!(suspends(&one, &two), suspends(&two, &one));
    let statuses = [first.status.as_u16(), second.status.as_u16()];
    assert!(statuses.contains(&200) && statuses.iter().any(|status| *status != 200), "{statuses:?}");
    assert_eq!(app.rows("accounts WHERE role = 'admin' AND suspended_at IS NULL").await, 1);
}
