use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::{Answer, App, DEEP_TISSUE, Person, send};

const MINE: &str = "/v1/therapists/me/credentials";

fn texas(number: &str) -> Value {
    json!({ "type": "US-TX-LMT", "number": number, "name_on_credential": "Sam Okafor", "expires_on": "2027-06-30" })
}

fn verified() -> Value {
    json!({ "reason_codes": ["verified_primary_source"], "method": "primary_source", "source_url": "https://board.example/1" })
}

async fn submitted(therapist: &Person, body: Value) -> String {
    let id = therapist.post(MINE, body).await.is(201).id();
    therapist.act(&format!("{MINE}/{id}/submit")).await.is(200);
    format!("/v1/admin/credentials/{id}")
}

async fn review(admin: &Person, path: &str, step: &str, body: Value) -> Answer {
    admin.post(&format!("{path}/{step}"), body).await
}

#[tokio::test]
async fn a_credential_goes_from_draft_to_verified() {
    let app = App::start().await;
    let (therapist, admin) = (app.newcomer().await, app.admin().await);
    let draft = therapist.post(MINE, texas("MT123456")).await.is(201);
    assert_eq!((&draft.body["review_state"], &draft.body["warnings"]), (&json!("draft"), &json!([])));
    assert_eq!(therapist.get(&draft.header("location")).await.is(200).body, draft.body);
    let path = format!("/v1/admin/credentials/{}", draft.id());
    review(&admin, &path, "claim", json!({})).await.refused(409, "invalid_transition");
    let submitted = therapist.act(&format!("{MINE}/{}/submit", draft.id())).await.is(200);
    assert_eq!(submitted.body["review_state"], "submitted");
    review(&admin, &path, "verify", verified()).await.refused(409, "invalid_transition");
    let claimed = review(&admin, &path, "claim", json!({})).await.is(200);
    assert_eq!((&claimed.body["review_state"], &claimed.body["claimed_by_me"]), (&json!("in_review"), &json!(true)));
    let done = review(&admin, &path, "verify", verified()).await.is(200);
    assert_eq!((&done.body["review_state"], &done.body["board_status"]), (&json!("verified"), &json!("active")));
    review(&admin, &path, "verify", verified()).await.refused(409, "invalid_transition");

    let public = admin.get(&format!("/v1/therapists/{}/credentials", therapist.id)).await.is(200);
    assert_eq!(public.body["data"][0]["status"], "verified");
    assert!(!public.text.contains("123456"), "no number in public");
    let history = admin.get(&format!("{path}/history")).await.is(200).body;
    let steps: Vec<&str> = history["data"].as_array().unwrap().iter().map(|d| d["action"].as_str().unwrap()).collect();
    assert_eq!(steps, ["submit", "claim", "verify"]);
}

#[tokio::test]
async fn what_cannot_be_reviewed_cannot_be_submitted() {
    let app = App::start().await;
    let therapist = app.newcomer().await;
    let id = therapist.post(MINE, json!({ "type": "US-TX-LMT", "name_on_credential": "Sam" })).await.is(201).id();
    therapist.act(&format!("{MINE}/{id}/submit")).await.points_to(&["/number", "/expires_on"]);
    let state = therapist.get(&format!("{MINE}/{id}")).await.body["review_state"].clone();
    assert_eq!(state, "draft");
    assert_eq!(app.rows("credential_decisions").await, 0);
    therapist
        .change(&format!("{MINE}/{id}"), json!({ "number": "MT123456", "expires_on": "2027-01-31" }))
        .await
        .is(200);
    therapist.act(&format!("{MINE}/{id}/submit")).await.is(200);
}

#[tokio::test]
async fn a_strange_number_warns_and_nonsense_is_refused() {
    let app = App::start().await;
    let therapist = app.newcomer().await;
    let strange = therapist.post(MINE, texas("ZZ1")).await.is(201);
    assert_eq!(strange.body["warnings"], json!(["number_pattern_mismatch"]));
    for (field, value) in [
        ("type", json!("XX-LMT")),
        ("number", json!("---")),
        ("name_on_credential", json!("")),
        ("issuing_jurisdiction", json!("US-ZZ")),
        ("expires_on", json!("2027-02-30")),
        ("expires_on", json!("1999-01-01")),
        ("colour", json!("red")),
    ] {
        let mut bad = texas("MT1");
        bad[field] = value;
        therapist.post(MINE, bad).await.points_to(&[&format!("/{field}")]);
    }
    let mut reversed = texas("MT1");
    reversed["issued_on"] = json!("2027-07-01");
    therapist.post(MINE, reversed).await.points_to(&["/expires_on"]);
    assert_eq!(app.rows("credentials").await, 1);
}

#[tokio::test]
async fn a_decision_needs_its_grounds() {
    let app = App::start().await;
    let (therapist, admin) = (app.newcomer().await, app.admin().await);
    let path = submitted(&therapist, texas("MT123456")).await;
    review(&admin, &path, "claim", json!({})).await.is(200);
    review(&admin, &path, "verify", json!({ "reason_codes": [] })).await.points_to(&["/reason_codes"]);
    review(&admin, &path, "verify", json!({ "reason_codes": ["expired"] })).await.points_to(&["/reason_codes"]);
    review(&admin, &path, "reject", json!({ "reason_codes": ["verified_primary_source"] }))
        .await
        .points_to(&["/reason_codes"]);
    review(&admin, &path, "reject", json!({ "reason_codes": ["because"] })).await.points_to(&["/reason_codes/0"]);
    let rejected =
        review(&admin, &path, "reject", json!({ "reason_codes": ["number_not_found"], "note": "No such number." }))
            .await
            .is(200);
    assert_eq!(rejected.body["review_state"], "rejected");
}

#[tokio::test]
async fn more_can_be_asked_for_and_a_therapist_may_withdraw() {
    let app = App::start().await;
    let (therapist, admin) = (app.newcomer().await, app.admin().await);
    let path = submitted(&therapist, texas("MT123456")).await;
    let mine = path.replace("/v1/admin/credentials", MINE);
    therapist.change(&mine, json!({ "name_on_credential": "Sam" })).await.refused(409, "invalid_transition");
    review(&admin, &path, "claim", json!({})).await.is(200);
    review(&admin, &path, "request-info", json!({ "reason_codes": ["illegible"] })).await.is(200);
    therapist.change(&mine, json!({ "name_on_credential": "Sam Okafor" })).await.is(200);
    therapist.act(&format!("{mine}/submit")).await.is(200);
    therapist.act(&format!("{mine}/withdraw")).await.is(200);
    therapist.act(&format!("{mine}/submit")).await.refused(409, "invalid_transition");
}

#[tokio::test]
async fn of_two_admins_at_once_one_has_the_claim() {
    let app = App::start().await;
    let (therapist, one, other) = (app.newcomer().await, app.admin().await, app.admin().await);
    let path = submitted(&therapist, texas("MT123456")).await;
    let (a, b) = tokio::join!(review(&one, &path, "claim", json!({})), review(&other, &path, "claim", json!({})));
    let (winner, loser, lost) = if a.status == 200 { (&one, &other, b) } else { (&other, &one, a) };
    lost.refused(409, "already_claimed");
    review(loser, &path, "verify", verified()).await.refused(409, "claim_not_held");
    app.advance(TimeDelta::minutes(29));
    // Claiming again prolongs the claim.
    review(winner, &path, "claim", json!({})).await.is(200);
    app.advance(TimeDelta::minutes(30));
    review(winner, &path, "verify", verified()).await.refused(409, "claim_not_held");
    review(loser, &path, "claim", json!({})).await.is(200);
    review(loser, &path, "verify", verified()).await.is(200);
}

#[tokio::test]
async fn a_number_written_two_ways_belongs_to_one_therapist() {
    let app = App::start().await;
    let (one, other, admin) = (app.newcomer().await, app.newcomer().await, app.admin().await);
    let first = submitted(&one, texas("MT123456")).await;
    let second = submitted(&other, texas("mt 123-456")).await;
    let seen = admin.get(&second).await.is(200).body;
    assert_eq!(seen["duplicates"].as_array().unwrap().len(), 1);
    for path in [&first, &second] {
        review(&admin, path, "claim", json!({})).await.is(200);
    }
    let (a, b) =
        tokio::join!(review(&admin, &first, "verify", verified()), review(&admin, &second, "verify", verified()));
    let (won, lost) = if a.status == 200 { (a, b) } else { (b, a) };
    won.is(200);
    lost.refused(409, "duplicate_claim");
}

#[tokio::test]
async fn a_change_to_what_was_verified_goes_back_to_review() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let listed = therapist.get(MINE).await.is(200).body;
    let insurance = listed["data"].as_array().unwrap().iter().find(|c| c["type"] == "INSURANCE").unwrap().clone();
    let (client, address) = app.client_at_home().await;
    assert!(!client.slots(&therapist, "2026-12-01", "2026-12-01").await.is_empty());
    let path = format!("{MINE}/{}", insurance["id"].as_str().unwrap());
    let changed = therapist.change(&path, json!({ "expires_on": "2099-12-31" })).await.is(200);
    assert_eq!(changed.body["review_state"], "submitted");
    assert!(client.slots(&therapist, "2026-12-01", "2026-12-01").await.is_empty());
    client.books(&therapist, address, "2026-12-01T00:00:00Z").await.refused(422, "credential_not_valid");
}

#[tokio::test]
async fn history_cannot_be_rewritten() {
    let app = App::start().await;
    let therapist = app.newcomer().await;
    submitted(&therapist, texas("MT123456")).await;
    for statement in ["UPDATE events SET reason = 'x'", "DELETE FROM events", "TRUNCATE events"] {
        let error = app.sql(statement).await.expect_err(statement).to_string();
        assert!(error.contains("append-only"), "{error}");
    }
}

#[tokio::test]
async fn anothers_credential_is_none() {
    let app = App::start().await;
    let (therapist, other) = (app.newcomer().await, app.newcomer().await);
    let id = therapist.post(MINE, texas("MT123456")).await.is(201).id();
    other.get(&format!("{MINE}/{id}")).await.refused(404, "not_found");
    other.act(&format!("{MINE}/{id}/submit")).await.refused(404, "not_found");
    let patch = other.request(reqwest::Method::PATCH, &format!("{MINE}/{id}")).header("If-Match", "*").json(&json!({}));
    send(patch).await.refused(404, "not_found");
}

#[tokio::test]
async fn the_queue_is_filtered_and_ordered() {
    let app = App::start().await;
    let (therapist, admin) = (app.newcomer().await, app.admin().await);
    let mut paths = Vec::new();
    for number in ["MT100001", "MT100002", "MT100003"] {
        paths.push(submitted(&therapist, texas(number)).await);
        app.advance(TimeDelta::minutes(1));
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let query =
            format!("/v1/admin/credentials?review_state=submitted&type=US-TX-LMT&jurisdiction=US-TX&limit=2{cursor}");
        let page = admin.get(&query).await.is(200).body;
        seen.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|c| format!("/v1/admin/credentials/{}", c["id"].as_str().unwrap())),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, paths, "longest waiting first");
    for miss in ["review_state=draft", "type=US-FL-LMT", "jurisdiction=US-FL", "expires_before=2027-06-30"] {
        assert_eq!(admin.get(&format!("/v1/admin/credentials?{miss}")).await.is(200).body["data"], json!([]), "{miss}");
    }
    admin.get("/v1/admin/credentials?review_state=lost").await.points_to(&["/review_state"]);
    admin.get("/v1/admin/credentials?expires_before=soon").await.points_to(&["/expires_before"]);
}

#[tokio::test]
async fn a_place_without_rules_is_not_served() {
    let app = App::start().await;
    let nobody = app.nobody();
    let groups = |place: &str| {
        let path = format!("/v1/credential-requirements?service_id={DEEP_TISSUE}&jurisdiction={place}");
        let nobody = nobody.clone();
        async move { nobody.get(&path).await.is(200).body["data"].as_array().unwrap().len() }
    };
    assert_eq!(groups("AU-NSW").await, 5);
    assert_eq!(groups("US-NV").await, 0);
    nobody.get("/v1/credential-requirements?jurisdiction=AU").await.points_to(&["/service_id"]);
    nobody
        .get(&format!("/v1/credential-requirements?jurisdiction=AU-ZZ&service_id={DEEP_TISSUE}"))
        .await
        .points_to(&["/jurisdiction"]);
    let codes = nobody.get("/v1/credential-types").await.is(200).body;
    assert!(codes["data"].as_array().unwrap().len() > 20);
}

#[tokio::test]
async fn a_type_that_belongs_to_a_place_is_issued_there() {
    let app = App::start().await;
    let therapist = app.newcomer().await;
    let made = therapist.post(MINE, texas("MT123456")).await.is(201);
    assert_eq!(made.body["issuing_jurisdiction"], "US-TX");
    let mut elsewhere = texas("MT123456");
    for place in ["US", "US-FL"] {
        elsewhere["issuing_jurisdiction"] = json!(place);
        therapist.post(MINE, elsewhere.clone()).await.points_to(&["/issuing_jurisdiction"]);
    }
    elsewhere["issuing_jurisdiction"] = json!("US-TX");
    elsewhere["issued_on"] = json!("1996-05-01");
    therapist.post(MINE, elsewhere).await.is(201);
}

#[tokio::test]
async fn what_was_verified_cannot_lose_its_end() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let listed = therapist.get(MINE).await.is(200).body;
    let insurance = listed["data"].as_array().unwrap().iter().find(|c| c["type"] == "INSURANCE").unwrap().clone();
    let path = format!("{MINE}/{}", insurance["id"].as_str().unwrap());
    therapist.change(&path, json!({ "expires_on": null })).await.points_to(&["/expires_on"]);
    // A change of nothing keeps it verified.
    assert_eq!(therapist.change(&path, json!({})).await.is(200).body["review_state"], "verified");
}

#[tokio::test]
async fn a_renewal_has_the_number_of_what_it_renews() {
    let app = App::start().await;
    let (therapist, admin) = (app.newcomer().await, app.admin().await);
    let mut renewal = texas("MT123456");
    (renewal["issued_on"], renewal["expires_on"]) = (json!("2027-07-01"), json!("2029-06-30"));
    for body in [texas("MT123456"), renewal] {
        let path = submitted(&therapist, body).await;
        review(&admin, &path, "claim", json!({})).await.is(200);
        review(&admin, &path, "verify", verified()).await.is(200);
    }
    let public = admin.get(&format!("/v1/therapists/{}/credentials", therapist.id)).await.is(200).body;
    let mut states: Vec<&str> =
        public["data"].as_array().unwrap().iter().map(|c| c["status"].as_str().unwrap()).collect();
    states.sort_unstable();
    assert_eq!(states, ["not_in_force", "verified"], "the renewal begins next year");
}
