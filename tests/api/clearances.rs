//! What healthcare providers say: entered, shown by letters, read by those who may, and then it lifts what it names and nothing else.

use chrono::TimeDelta;
use knead::values::Grant;
use reqwest::Method;
use serde_json::{Value, json};

use crate::care::SWEDISH;
use crate::care_visits::{MORNING, RECIPIENTS, Scene};
use crate::documents::{download, files, pdf};
use crate::sealing::tables_with;
use crate::support::{Answer, DEEP_TISSUE, Person, send};

const QUEUE: &str = "/v1/admin/clearances";

/// A doctor's letter about epilepsy, of the day before.
fn letter(but: Value) -> Value {
    let mut terms = json!({
        "rules": ["epilepsy_uncontrolled"], "provider": { "kind": "doctor", "name": "Dr. Lea Brandt" }, "services": [],
        "given_on": "2026-11-29", "until": "2027-06-30", "limits": {},
    });
    terms.as_object_mut().unwrap().extend(but.as_object().unwrap().clone());
    terms
}

/// A clearance of the client's own with one letter, handed in; its path.
async fn handed_in(scene: &Scene, terms: Value) -> String {
    let list = format!("{RECIPIENTS}/{}/clearances", scene.oneself);
    let path = scene.client.post(&list, terms).await.is(201).header("location");
    scene.client.upload(&format!("{path}/documents"), "letter.pdf", &pdf(1)).await.is(201);
    scene.client.act(&format!("{path}/submit")).await.is(200);
    path
}

/// The same clearance, where reviewers find it.
fn reviewed(path: &str) -> String {
    format!("{QUEUE}/{}", path.rsplit('/').next().unwrap())
}

/// A reviewer takes it up and reads its letters.
async fn reads(reviewer: &Person, path: &str) {
    let clearance = reviewer.act(&format!("{path}/claim")).await.is(200).body;
    for letter in clearance["letters"].as_array().unwrap() {
        let path = format!("{path}/documents/{}", letter["id"].as_str().unwrap());
        download(reviewer, &path, "*/*").await.0.is(200);
    }
}

async fn accepted(scene: &Scene, reviewer: &Person, terms: Value) -> String {
    let path = handed_in(scene, terms).await;
    reads(reviewer, &reviewed(&path)).await;
    reviewer.act(&format!("{}/accept", reviewed(&path))).await.is(200);
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_was_read_and_accepted_lifts_the_rules_that_it_names() {
    let scene = Scene::start().await;
    let reviewer = scene.app.admin_with(&[Grant::Care]).await;
    scene.answers(json!({ "epilepsy": "uncontrolled" })).await;
    let refused = scene.books(SWEDISH, MORNING, json!({})).await.refused(422, "care_clearance_needed");
    assert!(refused.body["care"]["advice"].is_array());
    assert_eq!(scene.slots(SWEDISH, &scene.oneself, "2026-12-03", "2026-12-03").await, Vec::<String>::new());

    let path = handed_in(&scene, letter(json!({ "limits": { "pressure": "light", "regions": ["neck"] } }))).await;
    let shown = scene.client.get(&path).await.is(200).body;
    assert_eq!((&shown["state"], &shown["lifts"]), (&json!("submitted"), &json!(["epilepsy_uncontrolled"])));
    assert_eq!(
        (&shown["provider"]["name"], &shown["letters"][0]["name"]),
        (&json!("Dr. Lea Brandt"), &json!("letter.pdf"))
    );
    scene.books(SWEDISH, MORNING, json!({})).await.refused(422, "care_clearance_needed");

    let queue = reviewer.get(QUEUE).await.is(200).body;
    assert_eq!(queue["data"].as_array().unwrap().len(), 1);
    assert!(!queue.to_string().contains("epilepsy") && !queue.to_string().contains("Brandt"), "{queue}");
    let there = reviewed(&path);
    reviewer.act(&format!("{there}/accept")).await.refused(409, "invalid_transition");
    let claimed = reviewer.act(&format!("{there}/claim")).await.is(200).body;
    let name = scene.client.get("/v1/me").await.is(200).body["display_name"].clone();
    assert_eq!((&claimed["display_name"], &claimed["rules"]), (&name, &json!(["epilepsy_uncontrolled"])));
    reviewer.act(&format!("{there}/accept")).await.refused(409, "letter_unread");
    let file = format!("{there}/documents/{}", claimed["letters"][0]["id"].as_str().unwrap());
    assert_eq!(download(&reviewer, &file, "application/pdf").await.1, pdf(1), "opened, as it was sent");
    let done = reviewer.act(&format!("{there}/accept")).await.is(200).body;
    assert_eq!((&done["state"], &done["decided_by"]), (&json!("accepted"), &json!(reviewer.id)));

    assert_eq!(scene.told(&scene.client).await, ["clearance_accepted"]);
    assert!(!scene.slots(SWEDISH, &scene.oneself, "2026-12-03", "2026-12-03").await.is_empty());
    let booked = scene.books(SWEDISH, MORNING, json!({})).await.is(201).id();
    let care = scene.client.get(&format!("/v1/bookings/{booked}/care")).await.is(200).body;
    assert_eq!(
        (&care["limits"]["pressure"], &care["limits"]["regions"]),
        (&json!("light"), &json!(["neck"])),
        "what the letter limits holds"
    );
    scene.books(DEEP_TISSUE, "2026-12-03T03:00:00Z", json!({})).await.refused(422, "care_not_suitable");
    // Beyond its last day it counts no more.
    for (date, outcome) in [("2027-06-30", "adapted"), ("2027-07-01", "clearance_needed")] {
        let asked = format!("service_id={SWEDISH}&duration_minutes=60&date={date}");
        let decision = scene.client.get(&format!("{RECIPIENTS}/{}/suitability?{asked}", scene.oneself)).await.is(200);
        assert_eq!(decision.body["outcome"], outcome, "{date}");
    }

    let looks = scene.client.get(&format!("{RECIPIENTS}/{}/disclosures", scene.oneself)).await.is(200).body;
    let what: Vec<&Value> = looks["data"].as_array().unwrap().iter().map(|look| &look["what"]).collect();
    assert_eq!(what.iter().filter(|what| **what == "letter").count(), 1);
    assert_eq!(
        what.iter().filter(|what| **what == "clearance").count(),
        1,
        "again within the hour is the same look: {looks}"
    );
    scene.therapist.get(&format!("/v1/bookings/{booked}/care")).await.is(200);
    assert!(scene.app.sql("DELETE FROM care_disclosures").await.is_err(), "history stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_counts_for_what_it_names_within_its_dates_alone() {
    let scene = Scene::start().await;
    let reviewer = scene.app.admin_with(&[Grant::Care]).await;
    // The aneurysm rule wants a specialist, who names the service, and counts for 90 days.
    scene.answers(json!({ "aneurysm": true })).await;
    let list = format!("{RECIPIENTS}/{}/clearances", scene.oneself);
    let specialist = json!({ "kind": "specialist", "name": "Prof. Imi Weiss" });
    for (but, lifts) in [
        (json!({ "rules": ["aneurysm"], "services": ["swedish"] }), false),
        (json!({ "rules": ["aneurysm"], "provider": specialist }), false),
        (
            json!({ "rules": ["aneurysm"], "provider": specialist, "services": ["swedish"], "given_on": "2026-08-01", "until": "2026-12-31" }),
            false,
        ),
        (
            json!({ "rules": ["aneurysm"], "provider": specialist, "services": ["swedish"], "until": "2026-12-02" }),
            true,
        ),
    ] {
        let made = scene.client.post(&list, letter(but.clone())).await.is(201);
        assert_eq!(made.body["lifts"] == json!(["aneurysm"]), lifts, "{but}");
        let path = made.header("location");
        scene.client.act(&format!("{path}/submit")).await.refused(422, "letter_missing");
        scene.client.upload(&format!("{path}/documents"), "l.pdf", &pdf(1)).await.is(201);
        let submitted = scene.client.act(&format!("{path}/submit")).await;
        if lifts {
            submitted.is(200)
        } else {
            submitted.refused(409, "clearance_not_valid")
        };
        if lifts {
            reads(&reviewer, &reviewed(&path)).await;
            reviewer.act(&format!("{}/accept", reviewed(&path))).await.is(200);
        }
    }
    // Until 2 December: the evening of that day may, an hour over midnight may not, nor may another service.
    scene.books(SWEDISH, "2026-12-02T04:00:00Z", json!({})).await.is(201);
    scene.books(SWEDISH, MORNING, json!({})).await.refused(422, "care_clearance_needed");
    scene.books(DEEP_TISSUE, "2026-12-02T01:00:00Z", json!({})).await.refused(422, "care_not_suitable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_longer_counts_puts_visits_at_risk_and_what_counts_again_settles_them() {
    let scene = Scene::start().await;
    let reviewer = scene.app.admin_with(&[Grant::Care]).await;
    scene.answers(json!({ "epilepsy": "uncontrolled" })).await;
    let path = accepted(&scene, &reviewer, letter(json!({}))).await;
    let booked = scene.books(SWEDISH, MORNING, json!({})).await.is(201).id();
    let state = async || scene.client.get(&format!("/v1/bookings/{booked}/care")).await.is(200).body["state"].clone();
    assert_eq!(state().await, "suits");
    let revoke = format!("{}/revoke", reviewed(&path));
    reviewer.post(&revoke, json!({})).await.points_to(&["/message"]);
    reviewer.post(&revoke, json!({ "message": "The practice does not know of it." })).await.is(200);
    scene.app.run_jobs().await;
    assert_eq!(state().await, "does_not_suit");
    assert_eq!(scene.client.get(&path).await.is(200).body["message"], "The practice does not know of it.");
    let again = accepted(&scene, &reviewer, letter(json!({}))).await;
    scene.app.run_jobs().await;
    assert_eq!(state().await, "suits");
    scene.client.act(&format!("{again}/withdraw")).await.is(200);
    scene.app.run_jobs().await;
    assert_eq!(state().await, "does_not_suit");
    let mut told = scene.told(&scene.client).await;
    told.retain(|kind| kind.starts_with("visit_care"));
    assert_eq!(told, ["visit_care_unsettled", "visit_care_settled", "visit_care_unsettled"]);
    assert_eq!(scene.app.rows("notices WHERE details::text LIKE '%practice%'").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reviewers_decide_on_what_they_hold_and_say_why() {
    let scene = Scene::start().await;
    let (one, other) = (scene.app.admin_with(&[Grant::Care]).await, scene.app.admin_with(&[Grant::Care]).await);
    let path = handed_in(&scene, letter(json!({}))).await;
    let there = reviewed(&path);
    let ask = json!({ "message": "The second page is missing." });
    one.post(&format!("{there}/request-info"), ask.clone()).await.refused(409, "invalid_transition");
    one.act(&format!("{there}/claim")).await.is(200);
    other.act(&format!("{there}/claim")).await.refused(409, "already_claimed");
    other.post(&format!("{there}/request-info"), ask.clone()).await.refused(409, "claim_not_held");
    one.act(&format!("{there}/release")).await.is(200);
    other.act(&format!("{there}/claim")).await.is(200);
    scene.app.advance(TimeDelta::minutes(31));
    other.post(&format!("{there}/request-info"), ask.clone()).await.refused(409, "claim_not_held");
    one.act(&format!("{there}/claim")).await.is(200);
    one.post(&format!("{there}/request-info"), ask).await.is(200);
    let asked = scene.client.get(&path).await.is(200);
    assert_eq!(
        (&asked.body["state"], &asked.body["message"]),
        (&json!("info_requested"), &json!("The second page is missing."))
    );
    let tag = asked.header("etag");
    let put =
        |tag: &str, terms: Value| send(scene.client.request(Method::PUT, &path).header("If-Match", tag).json(&terms));
    put(&tag, letter(json!({ "until": "2027-01-31" }))).await.is(200);
    put(&tag, letter(json!({}))).await.is(412);
    scene.client.upload(&format!("{path}/documents"), "2.pdf", &pdf(2)).await.is(201);
    scene.client.act(&format!("{path}/submit")).await.is(200);
    put("*", letter(json!({}))).await.refused(409, "invalid_transition");
    scene.client.upload(&format!("{path}/documents"), "3.pdf", &pdf(1)).await.refused(409, "invalid_transition");
    reads(&one, &there).await;
    // The letter says less than the account does.
    let found = json!({ "terms": letter(json!({ "until": "2026-12-31", "limits": { "pressure": "light" } })) });
    one.post(&format!("{there}/accept"), json!({ "terms": letter(json!({ "rules": ["none"] })) }))
        .await
        .points_to(&["/terms/rules"]);
    one.post(&format!("{there}/accept"), json!({ "terms": letter(json!({ "until": "2026-11-29" })) }))
        .await
        .refused(409, "clearance_not_valid");
    one.post(&format!("{there}/accept"), found).await.is(200);
    let accepted = scene.client.get(&path).await.is(200).body;
    assert_eq!((&accepted["until"], &accepted["limits"]["pressure"]), (&json!("2026-12-31"), &json!("light")));
    one.act(&format!("{there}/claim")).await.refused(409, "invalid_transition");
    let told = scene.told(&scene.client).await;
    assert_eq!(told, ["clearance_accepted", "clearance_info_requested"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_sees_a_clearance_and_nothing_of_it_lies_open() {
    const CANARY: &str = "Zanzibarquell";
    let scene = Scene::start().await;
    let (owner, carer, stranger) =
        (scene.app.admin().await, scene.app.admin_with(&[Grant::Care]).await, scene.app.client().await);
    let path = handed_in(&scene, letter(json!({ "provider": { "kind": "doctor", "name": CANARY } }))).await;
    let shown = scene.client.get(&path).await.is(200).body;
    let file = format!("{path}/documents/{}", shown["letters"][0]["id"].as_str().unwrap());
    let there = reviewed(&path);
    for path in [&path, &file] {
        stranger.get(path).await.refused(404, "not_found");
        scene.therapist.get(path).await.refused(403, "forbidden");
        owner.get(path).await.refused(403, "forbidden");
    }
    let stranger_id = stranger.get(RECIPIENTS).await.is(200).body["data"][0]["id"].as_str().unwrap().to_owned();
    let theirs = path.replace(&scene.oneself, &stranger_id);
    stranger.get(&theirs).await.refused(404, "not_found");
    for step in ["submit", "withdraw"] {
        stranger.act(&format!("{theirs}/{step}")).await.refused(404, "not_found");
    }
    stranger.upload(&format!("{theirs}/documents"), "x.pdf", &pdf(1)).await.refused(404, "not_found");
    stranger.delete(&file.replace(&scene.oneself, &stranger_id)).await.refused(404, "not_found");
    stranger.get(&format!("{RECIPIENTS}/{}/disclosures", scene.oneself)).await.refused(404, "not_found");
    for step in ["claim", "release", "accept"] {
        owner.act(&format!("{there}/{step}")).await.refused(403, "forbidden");
    }
    owner.get(&there).await.refused(403, "forbidden");
    let draft =
        scene.client.post(&format!("{RECIPIENTS}/{}/clearances", scene.oneself), letter(json!({}))).await.is(201).id();
    carer.get(&format!("{QUEUE}/{draft}")).await.refused(404, "not_found");
    reads(&carer, &there).await;
    carer.post(&format!("{there}/reject"), json!({ "message": format!("{CANARY} did not sign.") })).await.is(200);
    assert_eq!(scene.client.get(&path).await.is(200).body["message"], format!("{CANARY} did not sign."));

    // Neither the database nor the storage shows what was said.
    assert!(tables_with(&scene.app, &scene.oneself).await.contains(&"public.clearances".to_owned()));
    assert_eq!(tables_with(&scene.app, CANARY).await, Vec::<String>::new());
    let folder = scene.app.files.path();
    assert_eq!(files(folder), 1);
    assert_eq!(found_in(folder, b"%PDF"), 0, "the file is sealed");

    // Without the person's key nothing opens, and the file goes.
    scene.client.delete(&format!("{RECIPIENTS}/{}", scene.oneself)).await.is(204);
    carer.get(&there).await.refused(404, "not_found");
    assert_eq!(carer.get(&format!("{QUEUE}?state=rejected,withdrawn,submitted")).await.is(200).body["data"], json!([]));
    scene.app.advance(TimeDelta::hours(25));
    knead::care::clearances::forget_letters(&scene.app.service, scene.app.now()).await.unwrap();
    assert_eq!(files(folder), 0);
}

/// How many files below a folder hold these bytes.
fn found_in(folder: &std::path::Path, bytes: &[u8]) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let holds = |path: &std::path::Path| std::fs::read(path).unwrap().windows(bytes.len()).any(|part| part == bytes);
    entries.map(|path| if path.is_dir() { found_in(&path, bytes) } else { usize::from(holds(&path)) }).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_speaks_of_nothing_is_refused_and_what_is_kept_is_bounded() {
    let scene = Scene::start().await;
    let list = format!("{RECIPIENTS}/{}/clearances", scene.oneself);
    for (but, pointers) in [
        (json!({ "rules": [] }), vec!["/rules"]),
        (json!({ "rules": ["allergy_latex"] }), vec!["/rules"]),
        (json!({ "services": ["yoga"] }), vec!["/services"]),
        (json!({ "given_on": "2027-01-01", "until": "2027-02-01" }), vec!["/given_on"]),
        (json!({ "until": "2026-11-01" }), vec!["/until"]),
        (json!({ "until": "2029-11-01" }), vec!["/until"]),
        (json!({ "limits": { "answered": ["surgery_at"] } }), vec!["/limits/answered"]),
        (json!({ "limits": { "minutes": 5, "techniques": ["magic"] } }), vec!["/limits", "/limits"]),
        (json!({ "rules": [], "services": ["yoga"] }), vec!["/rules", "/services"]),
    ] {
        let answer = scene.client.post(&list, letter(but.clone())).await;
        answer.points_to(&pointers);
    }
    let path = scene.client.post(&list, letter(json!({}))).await.is(201).header("location");
    for n in 0..5 {
        scene.client.upload(&format!("{path}/documents"), "l.pdf", &pdf(1 + n)).await.is(201);
    }
    scene.client.upload(&format!("{path}/documents"), "l.pdf", &pdf(6)).await.refused(422, "too_many_letters");
    let letters = scene.client.get(&path).await.is(200).body["letters"].clone();
    let one = format!("{path}/documents/{}", letters[0]["id"].as_str().unwrap());
    scene.client.delete(&one).await.is(204);
    scene.client.delete(&one).await.refused(404, "not_found");
    assert_eq!(files(scene.app.files.path()), 4, "what was refused or removed is not kept");
    scene.client.upload(&format!("{path}/documents"), "l.txt", b"text").await.refused(422, "document_type_unsupported");
    for _ in 1..20 {
        scene.client.post(&list, letter(json!({}))).await.is(201);
    }
    scene.client.post(&list, letter(json!({}))).await.refused(422, "too_many_clearances");
    scene.client.act(&format!("{path}/withdraw")).await.is(200);
    scene.client.act(&format!("{path}/withdraw")).await.refused(409, "invalid_transition");
    let key = "the same";
    let post =
        || send(scene.client.request(Method::POST, &list).header("Idempotency-Key", key).json(&letter(json!({}))));
    let (first, again): (Answer, Answer) = (post().await.is(201), post().await.is(201));
    assert_eq!(first.text, again.text);
    // What nobody goes on with is deleted.
    scene.app.advance(TimeDelta::days(91));
    knead::care::clearances::forget_clearances(&scene.app.service, scene.app.now()).await.unwrap();
    knead::care::clearances::forget_letters(&scene.app.service, scene.app.now()).await.unwrap();
    assert_eq!((scene.app.rows("clearances").await, files(scene.app.files.path())), (0, 0));
}
