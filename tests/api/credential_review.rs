//! The whole review of a credential: who may take which step, what takes two, and what nobody may do.

mod by_system;
mod numbers;
mod renewals;

use std::collections::BTreeSet;

use chrono::TimeDelta;
use futures_util::future::join_all;
use knead::credentials::review::{ReviewAction, ReviewState, Reviewer, TABLE};
use knead::events::Party;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, App, Person, send};

const MINE: &str = "/v1/therapists/me/credentials";
const STATES: [&str; 11] = [
    "draft",
    "submitted",
    "in_review",
    "info_requested",
    "pending_second",
    "verified",
    "rejected",
    "suspended",
    "revoked",
    "withdrawn",
    "superseded",
];

fn texas(number: &str) -> Value {
    json!({ "type": "US-TX-LMT", "number": number, "name_on_credential": "Sam Okafor", "expires_on": "2027-06-30" })
}

fn verified(codes: &[&str]) -> Value {
    let codes = [&["verified_primary_source"], codes].concat();
    json!({ "reason_codes": codes, "method": "primary_source" })
}

fn against(code: &str) -> Value {
    json!({ "reason_codes": [code], "note": "As the board told us." })
}

async fn submitted(therapist: &Person, body: Value) -> String {
    let id = therapist.post(MINE, body).await.is(201).id();
    therapist.act(&format!("{MINE}/{id}/submit")).await.is(200);
    format!("/v1/admin/credentials/{id}")
}

async fn step(admin: &Person, path: &str, step: &str, body: Value) -> Answer {
    admin.post(&format!("{path}/{step}"), body).await
}

async fn verify(admin: &Person, path: &str) {
    step(admin, path, "claim", json!({})).await.is(200);
    step(admin, path, "verify", verified(&[])).await.is(200);
}

async fn state(admin: &Person, path: &str) -> String {
    admin.get(path).await.is(200).body["review_state"].as_str().unwrap().to_owned()
}

/// Puts the credential into any state, past the service.
async fn put(app: &App, id: Uuid, state: &str, admin: &Person) {
    let claim = match state {
        "in_review" => format!("claimed_by = '{}', claimed_until = '2099-01-01'", admin.id),
        _ => "claimed_by = NULL, claimed_until = NULL".to_owned(),
    };
    let approval = match state {
        "pending_second" => format!("approved_by = '{}', approved_content = sha256('x')", admin.id),
        _ => "approved_by = NULL, approved_content = NULL".to_owned(),
    };
    app.sql(&format!("UPDATE credentials SET review_state = '{state}', {claim}, {approval} WHERE id = '{id}'"))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_step_from_every_state_does_what_the_table_says() {
    let app = App::start().await;
    let (therapist, admin) = (app.newcomer().await, app.admin().await);
    let id = therapist.post(MINE, texas("MT123456")).await.is(201).id();
    let (mine, path) = (format!("{MINE}/{id}"), format!("/v1/admin/credentials/{id}"));
    let steps: [(&str, ReviewAction, Option<Value>); 8] = [
        ("claim", ReviewAction::Claim, None),
        ("release", ReviewAction::Release, None),
        ("verify", ReviewAction::Verify, Some(verified(&[]))),
        ("reject", ReviewAction::Reject, Some(against("expired"))),
        ("request-info", ReviewAction::RequestInfo, Some(against("illegible"))),
        ("suspend", ReviewAction::Suspend, Some(against("inactive"))),
        ("reinstate", ReviewAction::Reinstate, Some(verified(&[]))),
        ("revoke", ReviewAction::Revoke, Some(against("suspected_forgery"))),
    ];
    let read = |name: &str| -> ReviewState { serde_json::from_value(json!(name)).unwrap() };
    let mut taken = 0;
    for from in STATES {
        for (name, action, body) in &steps {
            put(&app, id, from, &admin).await;
            let answer = step(&admin, &path, name, body.clone().unwrap_or(json!({}))).await;
            match read(from).after(*action, Party::Admin) {
                // The first of two approvals was the same admin's.
                Ok(_) if (from, *name) == ("pending_second", "verify") => {
                    answer.refused(409, "second_admin_needed");
                }
                Ok((to, _)) => {
                    assert_eq!(answer.is(200).body["review_state"], json!(to), "{from} {name}");
                    taken += 1;
                }
                Err(_) => {
                    answer.refused(409, "invalid_transition");
                    assert_eq!(state(&admin, &path).await, from, "{name} changes nothing");
                }
            }
        }
        for (name, action) in
            [("submit", ReviewAction::Submit), ("withdraw", ReviewAction::Withdraw), ("reopen", ReviewAction::Reopen)]
        {
            put(&app, id, from, &admin).await;
            let answer = therapist.act(&format!("{mine}/{name}")).await;
            match read(from).after(action, Party::Therapist) {
                Ok((to, _)) => {
                    assert_eq!(answer.is(200).body["review_state"], json!(to), "{from} {name}");
                    taken += 1;
                }
                Err(_) => drop(answer.refused(409, "invalid_transition")),
            }
        }
        put(&app, id, from, &admin).await;
        let name = format!("Sam {from}").replace('_', " ");
        let answer = therapist.change(&mine, json!({ "name_on_credential": name })).await;
        match from {
            "draft" | "info_requested" => assert_eq!(answer.is(200).body["review_state"], from),
            "verified" => assert_eq!(answer.is(200).body["review_state"], "submitted"),
            _ => drop(answer.refused(409, "invalid_transition")),
        }
    }
    let tried = |row: &&(ReviewState, ReviewAction, Reviewer, ReviewState)| {
        matches!(row.2, Reviewer::Therapist | Reviewer::Admin | Reviewer::ClaimHolder)
            && !matches!(row.1, ReviewAction::Edit | ReviewAction::Approve)
    };
    assert_eq!(taken, TABLE.iter().filter(tried).count());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_four_eyes_are_asked_for_two_admins_verify() {
    let app = App::start().await;
    app.sql("UPDATE credential_types SET four_eyes = true WHERE code = 'US-TX-LMT'").await.unwrap();
    let (therapist, one, other) = (app.newcomer().await, app.admin().await, app.admin().await);
    let path = submitted(&therapist, texas("MT123456")).await;
    step(&one, &path, "claim", json!({})).await.is(200);
    let waiting = step(&one, &path, "verify", verified(&[])).await.is(200).body;
    assert_eq!((&waiting["review_state"], &waiting["approved_by"]), (&json!("pending_second"), &json!(one.id)));
    assert_eq!((&waiting["in_force"], &waiting["board_status"]), (&json!(false), &json!("unknown")));

    // The same admin again, also from another session; nobody claims it, rejects it or edits it meanwhile.
    step(&one, &path, "verify", verified(&[])).await.refused(409, "second_admin_needed");
    let again = app.nobody().log_in(&one.email).await;
    step(&again, &path, "verify", verified(&[])).await.refused(409, "second_admin_needed");
    for name in ["claim", "reject", "request-info", "suspend"] {
        step(&other, &path, name, against("expired")).await.refused(409, "invalid_transition");
    }
    let mine = path.replace("/v1/admin/credentials", MINE);
    therapist.change(&mine, json!({ "number": "MT999999" })).await.refused(409, "invalid_transition");

    // Were it edited all the same, the second approval would not be one of what the first saw.
    for edit in [
        "number = 'MT999999', normalised_number = '999999'",
        "name_on_credential = 'Someone Else'",
        "expires_on = '2030-01-01'",
    ] {
        let reset = "number = 'MT123456', normalised_number = '123456', name_on_credential = 'Sam Okafor', expires_on = '2027-06-30'";
        app.sql(&format!("UPDATE credentials SET {edit}")).await.unwrap();
        step(&other, &path, "verify", verified(&[])).await.refused(409, "content_changed");
        app.sql(&format!("UPDATE credentials SET {reset}")).await.unwrap();
    }
    let done = step(&other, &path, "verify", verified(&[])).await.is(200).body;
    assert_eq!((&done["review_state"], &done["in_force"]), (&json!("verified"), &json!(true)));
    let file = one.get(&path).await.is(200).body;
    let steps: Vec<&str> =
        file["decisions"].as_array().unwrap().iter().map(|d| d["action"].as_str().unwrap()).collect();
    assert_eq!(steps, ["submit", "claim", "approve", "verify"]);
    let rests_on: BTreeSet<&str> =
        file["decisions"].as_array().unwrap().iter().filter_map(|d| d["verification_id"].as_str()).collect();
    let checks: BTreeSet<&str> = file["checks"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap()).collect();
    assert_eq!((rests_on.len(), &rests_on), (2, &checks), "each approval rests on a check of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_second_approvals_at_once_one_verifies() {
    let app = App::start().await;
    app.sql("UPDATE credential_types SET four_eyes = true WHERE code = 'US-TX-LMT'").await.unwrap();
    let (therapist, one) = (app.newcomer().await, app.admin().await);
    let others = [app.admin().await, app.admin().await, app.admin().await];
    let path = submitted(&therapist, texas("MT123456")).await;
    step(&one, &path, "claim", json!({})).await.is(200);
    step(&one, &path, "verify", verified(&[])).await.is(200);
    let answers = join_all(others.iter().map(|admin| step(admin, &path, "verify", verified(&[])))).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(app.rows("credential_decisions WHERE to_state = 'verified'").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_overridden_is_named_and_takes_a_second_admin() {
    let app = App::start().await;
    let (therapist, one, other) = (app.newcomer().await, app.admin().await, app.admin().await);
    let found: [(&str, Value, &str); 2] = [
        ("name_mismatch", json!({ "name_found": "Wilhelmina Featherstone" }), "MT100001"),
        ("disciplinary_action", json!({ "board_action": true, "board_status": "conditional" }), "MT100002"),
    ];
    for (code, what, number) in found {
        let path = submitted(&therapist, texas(number)).await;
        step(&one, &path, "claim", json!({})).await.is(200);
        let body = |codes: &[&str]| {
            let mut body = verified(codes);
            body.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
            body
        };
        step(&one, &path, "verify", body(&[])).await.refused(422, "override_not_stated");
        assert_eq!(app.rows("credential_decisions WHERE action IN ('approve', 'verify')").await % 2, 0);
        let waiting = step(&one, &path, "verify", body(&[code])).await.is(200).body;
        assert_eq!(waiting["review_state"], "pending_second", "{code}");
        // The second admin does not get round it by leaving it out: the first one's check says it.
        step(&other, &path, "verify", verified(&[])).await.refused(422, "override_not_stated");
        assert_eq!(step(&other, &path, "verify", verified(&[code])).await.is(200).body["review_state"], "verified");
    }
    // Whoever does not agree puts it back, and someone decides anew.
    let path = submitted(&therapist, texas("MT100003")).await;
    step(&one, &path, "claim", json!({})).await.is(200);
    step(&one, &path, "verify", verified(&["name_mismatch"])).await.is(200);
    assert_eq!(step(&other, &path, "release", json!({})).await.is(200).body["review_state"], "submitted");
    step(&other, &path, "claim", json!({})).await.is(200);
    step(&other, &path, "reject", against("name_mismatch")).await.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspending_reinstating_and_revoking_decide_what_can_be_booked() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    let listed = therapist.get(MINE).await.is(200).body;
    let insurance = listed["data"].as_array().unwrap().iter().find(|c| c["type"] == "INSURANCE").unwrap()["id"].clone();
    let path = format!("/v1/admin/credentials/{}", insurance.as_str().unwrap());
    let bookable = async || !client.slots(&therapist, "2026-12-01", "2026-12-01").await.is_empty();
    assert!(bookable().await);

    let suspended = step(&admin, &path, "suspend", against("inactive")).await.is(200).body;
    assert_eq!((&suspended["review_state"], &suspended["in_force"]), (&json!("suspended"), &json!(false)));
    assert!(!bookable().await);
    client.books(&therapist, address, "2026-12-01T00:00:00Z").await.refused(422, "credential_not_valid");
    let public = admin.get(&format!("/v1/therapists/{}/credentials", therapist.id)).await.is(200).body;
    let shown = public["data"].as_array().unwrap().iter().find(|c| c["type"] == "INSURANCE").unwrap();
    assert_eq!(shown["status"], "not_in_force");

    // Back only on a fresh verification that nothing stands against.
    step(&admin, &path, "reinstate", against("inactive")).await.points_to(&["/reason_codes"]);
    let mut barred = verified(&[]);
    barred["board_status"] = json!("suspended");
    step(&admin, &path, "reinstate", barred).await.points_to(&["/board_status"]);
    let mut disciplined = verified(&["disciplinary_action"]);
    disciplined["board_action"] = json!(true);
    step(&admin, &path, "reinstate", disciplined).await.refused(422, "reinstatement_barred");
    assert_eq!(app.rows("credential_verifications").await, 0, "a refusal records nothing");
    step(&admin, &path, "reinstate", verified(&[])).await.is(200);
    assert_eq!(app.rows("credential_verifications").await, 1);
    assert!(bookable().await);

    step(&admin, &path, "revoke", against("suspected_forgery")).await.is(200);
    assert!(!bookable().await);
    step(&admin, &path, "reinstate", verified(&[])).await.refused(409, "invalid_transition");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_bars_use_until_it_is_lifted() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let client = app.client().await;
    let id = therapist.get(MINE).await.is(200).body["data"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/admin/credentials/{id}");
    let bookable = async || !client.slots(&therapist, "2026-12-01", "2026-12-01").await.is_empty();
    admin
        .post(&format!("{path}/holds"), json!({ "reason_code": "verified_primary_source" }))
        .await
        .points_to(&["/reason_code"]);
    admin.post(&format!("{path}/holds"), json!({ "reason_code": "because" })).await.points_to(&["/reason_code"]);
    let hold = admin.post(&format!("{path}/holds"), json!({ "reason_code": "suspected_forgery" })).await.is(201);
    assert!(!bookable().await);
    let second =
        admin.post(&format!("{path}/holds"), json!({ "reason_code": "illegible", "note": "Page 2." })).await.is(201);
    let lift = |hold: Uuid| format!("{path}/holds/{hold}/lift");
    admin.act(&lift(hold.id())).await.is(200);
    assert!(!bookable().await, "the other one stands");
    let lifted = admin.act(&lift(second.id())).await.is(200).body;
    assert_eq!(admin.act(&lift(second.id())).await.is(200).body, lifted, "again changes nothing");
    assert!(bookable().await);
    admin.act(&lift(Uuid::now_v7())).await.refused(404, "not_found");
    assert_eq!(admin.get(&path).await.is(200).body["holds"].as_array().unwrap().len(), 2);
    let events = "events WHERE kind IN ('credential.hold', 'credential.hold_lifted')";
    assert_eq!(app.rows(events).await, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_insurance_that_pays_too_little_is_not_verified_and_not_usable() {
    let app = App::start().await;
    app.sql("UPDATE credential_types SET minimum_cover = '{\"AUD\": 500000000}', evidence_required = false WHERE code = 'INSURANCE'").await.unwrap();
    let (therapist, admin) = (app.newcomer().await, app.admin().await);
    let policy = |amount: i64, currency: &str| {
        json!({ "type": "INSURANCE", "name_on_credential": "Sam", "expires_on": "2027-06-30",
                "cover": { "amount": amount, "currency": currency } })
    };
    therapist.post(MINE, policy(-1, "AUD")).await.points_to(&["/cover/amount"]);
    therapist.post(MINE, policy(1, "XXQ")).await.points_to(&["/cover/currency"]);
    for (amount, currency) in [(499_999_999, "AUD"), (900_000_000, "USD")] {
        let made = therapist.post(MINE, policy(amount, currency)).await.is(201);
        assert_eq!(made.body["warnings"], json!(["insurance_below_minimum"]));
        therapist.act(&format!("{MINE}/{}/submit", made.id())).await.is(200);
        let path = format!("/v1/admin/credentials/{}", made.id());
        step(&admin, &path, "claim", json!({})).await.is(200);
        step(&admin, &path, "verify", verified(&[])).await.refused(422, "insurance_below_minimum");
    }
    let path = submitted(&therapist, policy(500_000_000, "AUD")).await;
    verify(&admin, &path).await;
    assert_eq!(admin.get(&path).await.body["in_force"], true);
    // The minimum holds for what was verified before it was raised.
    app.sql("UPDATE credential_types SET minimum_cover = '{\"AUD\": 500000001}' WHERE code = 'INSURANCE'")
        .await
        .unwrap();
    assert_eq!(admin.get(&path).await.body["in_force"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_is_exported_as_fhir() {
    let app = App::start().await;
    let (therapist, admin) = (app.newcomer().await, app.admin().await);
    let path = submitted(&therapist, texas("MT123456")).await;
    step(&admin, &path, "claim", json!({})).await.is(200);
    let body = json!({ "reason_codes": ["verified_primary_source"], "source_url": "https://board.example/1", "name_found": "SAM OKAFOR",
                       "number_found": "123456", "status_text": "Active", "source_date": "2026-11-29", "expires_on": "2027-05-31" });
    let mut other_number = body.clone();
    other_number["number_found"] = json!("MT654321");
    step(&admin, &path, "verify", other_number).await.points_to(&["/number_found"]);
    step(&admin, &path, "verify", body).await.is(200);
    let file = admin.get(&path).await.is(200).body;
    assert_eq!(file["expires_on"], "2027-05-31", "the authority knows better when it ends");
    assert_eq!(file["recheck_on"], "2026-12-30");
    let check = &file["checks"][0];
    assert_eq!((&check["name_found"], &check["name_similarity"]), (&json!("SAM OKAFOR"), &json!(1.0)));
    let link = format!("{path}/checks/{}", check["id"].as_str().unwrap());
    assert_eq!(admin.get(&link).await.is(200).body, *check);
    let fhir = async |admin: &Person| {
        send(admin.request(reqwest::Method::GET, &link).header("Accept", "application/fhir+json")).await.is(200)
    };
    let exported = fhir(&admin).await;
    assert_eq!(exported.header("content-type"), "application/fhir+json");
    assert_eq!(
        (&exported.body["resourceType"], &exported.body["status"]),
        (&json!("VerificationResult"), &json!("validated"))
    );
    assert_eq!(exported.body["primarySource"][0]["validationStatus"]["coding"][0]["code"], "successful");
    assert_eq!(exported.body["nextScheduled"], "2026-12-30");
    app.advance(TimeDelta::days(30));
    assert_eq!(fhir(&admin).await.body["status"], "req-revalid");
    step(&admin, &path, "suspend", against("inactive")).await.is(200);
    assert_eq!(fhir(&admin).await.body["status"], "reval-fail");
    let missing = format!("{path}/checks/{}", Uuid::now_v7());
    admin.get(&missing).await.refused(404, "not_found");
    therapist.get(&link).await.refused(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recheck_is_recorded_and_moves_the_next_one() {
    let app = App::start().await;
    let (therapist, admin) = (app.newcomer().await, app.admin().await);
    let path = submitted(&therapist, texas("MT123456")).await;
    admin.post(&format!("{path}/checks"), verified(&[])).await.refused(409, "invalid_transition");
    verify(&admin, &path).await;
    app.advance(TimeDelta::days(20));
    admin.post(&format!("{path}/checks"), verified(&[])).await.is(201);
    let file = admin.get(&path).await.is(200).body;
    assert_eq!((&file["recheck_on"], file["checks"].as_array().unwrap().len()), (&json!("2027-01-19"), 2));
    // What stands against it waits for a person, who suspends it or not.
    let mut adverse = json!({ "reason_codes": ["disciplinary_action"], "board_action": true });
    adverse["board_status"] = json!("probation");
    admin.post(&format!("{path}/checks"), adverse).await.is(201);
    let file = admin.get(&path).await.is(200).body;
    assert_eq!((&file["board_status"], &file["review_state"]), (&json!("active"), &json!("verified")));
    assert_eq!(app.rows("tasks WHERE kind = 'adverse_finding'").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_is_counted_and_sorted_by_the_visits_that_rest_on_it() {
    let app = App::start().await;
    let admin = app.admin().await;
    let (client, address) = app.client_at_home().await;
    let mut therapists = Vec::new();
    // The later the therapist, the sooner the visit.
    for day in ["2026-12-05", "2026-12-04", "2026-12-03"] {
        let therapist = app.therapist().await;
        client.books(&therapist, address, &format!("{day}T00:00:00Z")).await.is(201);
        let listed = therapist.get(MINE).await.is(200).body;
        let policy =
            listed["data"].as_array().unwrap().iter().find(|c| c["type"] == "INSURANCE").unwrap()["id"].clone();
        therapist
            .change(&format!("{MINE}/{}", policy.as_str().unwrap()), json!({ "name_on_credential": "Sam" }))
            .await
            .is(200);
        therapists.push(policy);
    }
    let waiting = "/v1/admin/credentials?review_state=submitted&limit=2&sort=next_visit";
    let first = admin.get(waiting).await.is(200).body;
    let rest = admin.get(&format!("{waiting}&cursor={}", first["next_cursor"].as_str().unwrap())).await.is(200).body;
    let ids: Vec<&Value> =
        [&first, &rest].iter().flat_map(|page| page["data"].as_array().unwrap()).map(|c| &c["id"]).collect();
    assert_eq!(ids, therapists.iter().rev().collect::<Vec<_>>());
    assert_eq!(first["data"][0]["next_visit_at"], "2026-12-03T00:00:00Z");
    let counts = admin.get("/v1/admin/credentials/counts").await.is(200).body;
    assert_eq!(counts["by_review_state"], json!({ "submitted": 3, "verified": 12 }));
    assert_eq!(counts["oldest_submitted_at"], "2026-11-30T01:00:00Z");
    client.get("/v1/admin/credentials/counts").await.is(403);
}

/// The ids that the queue shows, page by page.
async fn queue(admin: &Person, query: &str) -> Vec<String> {
    let path = format!("/v1/admin/credentials?{query}&limit=2");
    let (mut seen, mut next) = (Vec::new(), path.clone());
    loop {
        let page = admin.get(&next).await.is(200).body;
        seen.extend(page["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { return seen };
        next = format!("{path}&cursor={cursor}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_is_shown_page_by_page_in_each_order_and_by_each_filter() {
    let app = App::start().await;
    let admin = app.admin().await;
    let (client, address) = app.client_at_home().await;
    let licensed = app.therapist().await;
    client.books(&licensed, address, "2026-12-05T00:00:00Z").await.is(201);
    let mut submissions = Vec::new();
    for (number, ends) in
        [("MT111111", "2027-05-01"), ("MT222222", "2027-03-01"), ("MT333333", "2027-04-01"), ("MT111111", "2027-02-01")]
    {
        app.advance(TimeDelta::minutes(1));
        let newcomer = app.newcomer().await;
        let body =
            json!({ "type": "US-TX-LMT", "number": number, "name_on_credential": "Sam Okafor", "expires_on": ends });
        submissions.push((submitted(&newcomer, body).await, newcomer));
    }
    // A draft, which was never handed in.
    let draft = submissions[0].1.post(MINE, json!({ "type": "US-FL-LMT", "number": "MA1234", "name_on_credential": "Sam Okafor", "expires_on": "2027-06-30" }));
    let draft = draft.await.is(201).id().to_string();
    let ids: Vec<String> = submissions.iter().map(|(path, _)| path.rsplit('/').next().unwrap().to_owned()).collect();
    let of = |which: &[usize]| which.iter().map(|n| ids[*n].clone()).collect::<Vec<_>>();
    step(&admin, &submissions[1].0, "claim", json!({})).await.is(200);
    let whose = submissions[0].1.id;
    for (query, expected) in [
        ("review_state=submitted", of(&[0, 2, 3])),
        ("type=US-TX-LMT", of(&[0, 1, 2, 3])),
        ("type=US-TX-LMT&sort=expires_on", of(&[3, 1, 2, 0])),
        ("type=US-TX-LMT&expires_before=2027-05-01", of(&[1, 2, 3])),
        ("type=US-TX-LMT&expires_before=2027-04-01&sort=expires_on", of(&[3, 1])),
        ("jurisdiction=US-TX", of(&[0, 1, 2, 3])),
        ("unclaimed=true", of(&[0, 2, 3])),
        ("duplicate=true", of(&[3])),
        ("duplicate=true&sort=expires_on", of(&[3])),
        ("duplicate=true&sort=next_visit", of(&[3])),
        ("duplicate=false&review_state=submitted", of(&[0, 2])),
        ("review_state=draft", vec![draft.clone()]),
        ("review_state=draft&sort=next_visit", vec![]),
        // No visit rests on any of these: longest waiting first.
        ("sort=next_visit", of(&[0, 1, 2, 3])),
    ] {
        assert_eq!(queue(&admin, query).await, expected, "{query}");
    }
    let own = [of(&[0]), vec![draft.clone()]].concat();
    assert_eq!(queue(&admin, &format!("therapist_id={whose}")).await, own, "what was never handed in comes last");
    assert_eq!(queue(&admin, &format!("therapist_id={whose}&sort=expires_on")).await, own);
    assert_eq!(queue(&admin, &format!("therapist_id={whose}&sort=next_visit")).await, of(&[0]));
    let all = queue(&admin, "").await;
    assert_eq!((all.len(), &all[..4]), (10, &of(&[0, 1, 2, 3])[..]));
    let cursor = admin.get("/v1/admin/credentials?limit=1").await.is(200).body["next_cursor"].clone();
    let other = format!("/v1/admin/credentials?sort=expires_on&cursor={}", cursor.as_str().unwrap());
    admin.get(&other).await.is(422).points_to(&["/cursor"]);

    // Counted as they move on, and after what has changed was added up.
    step(&admin, &submissions[1].0, "verify", verified(&[])).await.is(200);
    for _ in 0..2 {
        let counts = admin.get("/v1/admin/credentials/counts").await.is(200).body;
        assert_eq!(counts["by_review_state"], json!({ "draft": 1, "submitted": 3, "verified": 6 }));
        assert_eq!(
            (&counts["duplicates"], &counts["oldest_submitted_at"]),
            (&json!(1), &json!("2026-11-30T01:01:00Z"))
        );
        app.sql("SELECT graphile_worker.add_job('sweep', 'null'::json)").await.unwrap();
        app.run_jobs().await;
        app.run_jobs().await;
    }
    assert_eq!(app.rows("credential_tally").await, 3, "one for each state");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_visit_rests_on_comes_after_what_one_does() {
    let app = App::start().await;
    let admin = app.admin().await;
    let (client, address) = app.client_at_home().await;
    let newcomer = app.newcomer().await;
    let waiting = submitted(&newcomer, texas("MT123456")).await;
    app.advance(TimeDelta::minutes(1));
    let therapist = app.therapist().await;
    for day in ["2026-12-05", "2026-12-03", "2026-12-04"] {
        client.books(&therapist, address, &format!("{day}T00:00:00Z")).await.is(201);
    }
    let listed = therapist.get(MINE).await.is(200).body;
    let of = |code: &str| {
        let found = listed["data"].as_array().unwrap().iter().find(|one| one["type"] == code).unwrap();
        found["id"].as_str().unwrap().to_owned()
    };
    // Two that each of the visits rests on.
    let mut resting = [of("INSURANCE"), of("FIRST-AID")];
    for id in &resting {
        therapist.change(&format!("{MINE}/{id}"), json!({ "name_on_credential": "Sam" })).await.is(200);
    }
    resting.sort();
    let seen = queue(&admin, "sort=next_visit").await;
    assert_eq!(seen[..2], resting, "each once, at its soonest visit");
    assert_eq!(seen[2..], [waiting.rsplit('/').next().unwrap()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_decides_on_a_credential_of_their_own() {
    let app = App::start().await;
    let (therapist, admin) = (app.newcomer().await, app.admin().await);
    let path = submitted(&therapist, texas("MT123456")).await;
    // A therapist's account cannot be an admin's; should one become one, it still has no say in its own case.
    app.sql(&format!("UPDATE accounts SET role = 'admin', grants = '{{owner}}' WHERE id = '{}'", therapist.id))
        .await
        .unwrap();
    let both = app.nobody().log_in(&therapist.email).await;
    step(&both, &path, "claim", json!({})).await.refused(409, "own_credential");
    step(&both, &path, "revoke", against("expired")).await.refused(409, "own_credential");
    verify(&admin, &path).await;
    step(&both, &path, "suspend", against("expired")).await.refused(409, "own_credential");
    both.post(&format!("{path}/checks"), verified(&[])).await.refused(409, "own_credential");
    both.post(&format!("{path}/holds"), json!({ "reason_code": "expired" })).await.refused(409, "own_credential");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_admin_overrides_only_what_the_first_saw() {
    let app = App::start().await;
    app.sql("UPDATE credential_types SET four_eyes = true WHERE code = 'US-TX-LMT'").await.unwrap();
    let (therapist, one, other) = (app.newcomer().await, app.admin().await, app.admin().await);
    let path = submitted(&therapist, texas("MT123456")).await;
    step(&one, &path, "claim", json!({})).await.is(200);
    step(&one, &path, "verify", verified(&[])).await.is(200);
    let mut alone = verified(&["disciplinary_action"]);
    alone["board_action"] = json!(true);
    step(&other, &path, "verify", alone).await.refused(409, "content_changed");
    step(&other, &path, "verify", verified(&["name_mismatch"])).await.refused(409, "content_changed");
    assert_eq!(state(&one, &path).await, "pending_second");
    step(&other, &path, "verify", verified(&[])).await.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_objects_is_no_clean_one_and_what_was_overridden_stays_so() {
    let app = App::start().await;
    let (therapist, one, other) = (app.newcomer().await, app.admin().await, app.admin().await);
    let path = submitted(&therapist, texas("MT123456")).await;
    let disciplined = |codes: &[&str]| {
        let mut body = verified(codes);
        (body["board_action"], body["board_status"]) = (json!(true), json!("conditional"));
        body
    };
    step(&one, &path, "claim", json!({})).await.is(200);
    step(&one, &path, "verify", disciplined(&["disciplinary_action"])).await.is(200);
    step(&other, &path, "verify", disciplined(&["disciplinary_action"])).await.is(200);
    let checks = format!("{path}/checks");
    let next = async || one.get(&path).await.is(200).body["recheck_on"].clone();
    let first = next().await;
    app.advance(TimeDelta::minutes(10));
    for codes in [json!([]), json!(vec!["expired"; 16])] {
        one.post(&checks, json!({ "reason_codes": codes })).await.points_to(&["/reason_codes"]);
    }
    one.post(&checks, json!({ "reason_codes": ["verified_document_only"] })).await.refused(422, "evidence_missing");
    let mut link = verified(&[]);
    link["source_url"] = json!("javascript:alert(1)");
    one.post(&checks, link).await.points_to(&["/source_url"]);
    for codes in [["inactive"], ["suspected_forgery"], ["name_mismatch"]] {
        one.post(&checks, json!({ "reason_codes": codes })).await.is(201);
    }
    assert_eq!(app.rows("tasks WHERE kind = 'adverse_finding'").await, 1);
    app.advance(TimeDelta::days(1));
    assert_eq!(one.get(&path).await.is(200).body["recheck_on"], first, "no objection moves the day");
    // What two admins overrode does not stand in the way again.
    one.post(&checks, disciplined(&["disciplinary_action"])).await.is(201);
    assert_ne!(one.get(&path).await.is(200).body["recheck_on"], first);
    step(&one, &path, "suspend", against("inactive")).await.is(200);
    step(&other, &path, "reinstate", disciplined(&[])).await.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_of_nothing_keeps_the_licence_and_another_type_asks_for_its_document() {
    let app = App::start().await;
    let (therapist, admin) = (app.newcomer().await, app.admin().await);
    let path = submitted(&therapist, texas("MT123456")).await;
    verify(&admin, &path).await;
    let mine = path.replace("/v1/admin/credentials", MINE);
    let same = json!({ "type": "US-TX-LMT", "number": "MT123456", "name_on_credential": "Sam Okafor", "expires_on": "2027-06-30", "cover": null });
    assert_eq!(therapist.change(&mine, same).await.is(200).body["review_state"], "verified");
    therapist.change(&mine, json!({ "type": "INSURANCE" })).await.refused(422, "evidence_missing");
    therapist
        .change(&mine, json!({ "covers_jurisdictions": ["US-TX.nowhere"] }))
        .await
        .points_to(&["/covers_jurisdictions/0"]);
    assert_eq!(state(&admin, &path).await, "verified");
    let moved = therapist.change(&mine, json!({ "type": "US-FL-LMT" })).await.is(200).body;
    assert_eq!((&moved["review_state"], &moved["issuing_jurisdiction"]), (&json!("submitted"), &json!("US-FL")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_for_two_credentials_is_two_requests() {
    let app = App::start().await;
    let (therapist, admin) = (app.newcomer().await, app.admin().await);
    let paths = [submitted(&therapist, texas("MT100001")).await, submitted(&therapist, texas("MT100002")).await];
    let hold = async |path: &str| {
        let request = admin.request(reqwest::Method::POST, &format!("{path}/holds")).header("Idempotency-Key", "k1");
        send(request.json(&json!({ "reason_code": "inactive" }))).await
    };
    hold(&paths[0]).await.is(201);
    assert_eq!(hold(&paths[0]).await.is(201).header("idempotent-replay"), "true");
    hold(&paths[1]).await.refused(422, "idempotency_key_reused");
    assert_eq!(app.rows("credential_holds").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_that_goes_while_it_is_handed_in_is_not_there() {
    let app = App::start().await;
    let therapist = app.newcomer().await;
    for _ in 0..20 {
        let body = json!({ "type": "AU-QUAL", "name_on_credential": "Sam Okafor" });
        let id = therapist.post(MINE, body).await.is(201).id();
        let mine = format!("{MINE}/{id}");
        let picture = crate::documents::png();
        let document = therapist.upload(&format!("{mine}/documents"), "a.png", &picture).await.is(201).id();
        let (gone, submit) = (format!("{mine}/documents/{document}"), format!("{mine}/submit"));
        let (removed, submitted) = tokio::join!(therapist.delete(&gone), therapist.act(&submit));
        let both = (removed.status.as_u16(), submitted.status.as_u16());
        assert!(both == (204, 422) || both == (409, 200), "{both:?}");
    }
}
