//! Whom visits are for, what they answer, and what that decides.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::care::{SWEDISH, answers, healthy, publishes, screens};
use crate::retention::sweep;
use crate::sealing::tables_with;
use crate::support::{App, DEEP_TISSUE, Person, send};

const RECIPIENTS: &str = "/v1/me/recipients";

/// The caller's recipient for oneself.
async fn oneself(client: &Person) -> String {
    client.get(RECIPIENTS).await.is(200).body["data"][0]["id"].as_str().unwrap().to_owned()
}

fn child() -> Value {
    json!({ "relation": "child", "display_name": "Noa", "born_on": "2018-03-01" })
}

#[tokio::test]
async fn the_recipient_for_oneself_is_there_and_others_are_added() {
    let app = App::start().await;
    let client = app.client().await;
    let first = client.get(RECIPIENTS).await.is(200).body["data"][0].clone();
    assert_eq!(
        (&first["relation"], &first["display_name"], &first["born_on"], &first["care_state"], &first["guardian"]),
        (&json!("self"), &json!("Test client"), &Value::Null, &json!("unanswered"), &json!(false))
    );
    assert_eq!(client.get(RECIPIENTS).await.is(200).body["data"].as_array().unwrap().len(), 1, "and once");
    let made = client.post(RECIPIENTS, child()).await.is(201);
    assert_eq!((&made.body["guardian"], &made.body["born_on"]), (&json!(true), &json!("2018-03-01")));
    let path = made.header("location");
    assert_eq!(client.get(&path).await.is(200).body, made.body);
    assert_eq!(
        client.change(&path, json!({ "display_name": "Noa Chen" })).await.is(200).body["display_name"],
        "Noa Chen"
    );
    let stale = client
        .request(Method::PATCH, &path)
        .header("If-Match", made.header("etag"))
        .json(&json!({ "display_name": "N" }));
    send(stale).await.refused(412, "precondition_failed");
    client.change(&path, json!({ "born_on": null })).await.points_to(&["/born_on"]);
    client.change(&path, json!({ "born_on": "2027-01-01" })).await.points_to(&["/born_on"]);
    client.post(RECIPIENTS, json!({ "relation": "self", "display_name": "I" })).await.points_to(&["/relation"]);
    client.post(RECIPIENTS, json!({ "relation": "child", "display_name": "Noa" })).await.points_to(&["/born_on"]);
    let own = format!("{RECIPIENTS}/{}", oneself(&client).await);
    client.change(&own, json!({ "display_name": "Somebody" })).await.points_to(&["/display_name"]);
    assert_eq!(client.change(&own, json!({ "born_on": "1990-05-05" })).await.is(200).body["born_on"], "1990-05-05");
    for _ in 0..18 {
        client.post(RECIPIENTS, json!({ "relation": "other", "display_name": "A friend" })).await.is(201);
    }
    client.post(RECIPIENTS, child()).await.refused(422, "too_many_recipients");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_first_looks_make_one_recipient_for_oneself() {
    let app = App::start().await;
    let client = app.client().await;
    let looks = futures_util::future::join_all((0..16).map(|_| client.get(RECIPIENTS))).await;
    for look in looks {
        assert_eq!(look.is(200).body["data"].as_array().unwrap().len(), 1);
    }
    assert_eq!(app.rows("recipients").await, 1);
}

#[tokio::test]
async fn others_recipients_are_nowhere() {
    let app = App::start().await;
    let (client, stranger) = (app.client().await, app.client().await);
    let id = oneself(&client).await;
    let screening = screens(&app, &client, &id, json!({})).await.is(201).id();
    let path = format!("{RECIPIENTS}/{id}");
    let suitability = format!("{path}/suitability?service_id={SWEDISH}&duration_minutes=60&date=2026-12-01");
    for get in [
        &path,
        &format!("{path}/screening-draft"),
        &format!("{path}/screenings"),
        &format!("{path}/screenings/{screening}"),
        &suitability,
    ] {
        stranger.get(get).await.refused(404, "not_found");
    }
    let any = |method, path: &str| stranger.request(method, path).header("If-Match", "*");
    send(any(Method::PATCH, &path).json(&json!({}))).await.refused(404, "not_found");
    let draft = json!({ "questionnaires": [{ "code": "health", "version": 1 }], "answers": [] });
    send(any(Method::PUT, &format!("{path}/screening-draft")).json(&draft)).await.refused(404, "not_found");
    screens(&app, &stranger, &id, json!({})).await.refused(404, "not_found");
    stranger.delete(&path).await.refused(404, "not_found");
    // One's own recipient, with another's screening.
    let own = oneself(&stranger).await;
    stranger.get(&format!("{RECIPIENTS}/{own}/screenings/{screening}")).await.refused(404, "not_found");
    client.get(&suitability).await.is(200);
}

#[tokio::test]
async fn every_answer_that_is_missing_or_wrong_is_told() {
    let app = App::start().await;
    let client = app.client().await;
    let path = format!("{RECIPIENTS}/{}/screenings", oneself(&client).await);
    let post = async |answers: Vec<Value>, attested: bool| {
        let body =
            json!({ "questionnaires": [{ "code": "health", "version": 1 }], "answers": answers, "attested": attested });
        client.post(&path, body).await
    };
    let all = healthy(&app).await;
    let few = post(all[2..].to_vec(), true).await.points_to(&["/answers", "/answers"]);
    let details: Vec<&str> =
        few.body["errors"].as_array().unwrap().iter().map(|error| error["detail"].as_str().unwrap()).collect();
    assert!(details.iter().any(|detail| detail.contains("`pregnant`")), "{details:?}");
    assert!(few.body["errors"].as_array().unwrap().iter().all(|error| error["code"] == "missing"));
    // A follow-up is missed where it is put, and a wrong answer is pointed to.
    let followed = post(answers(&app, json!({ "pregnant": true })).await, true).await.points_to(&["/answers"; 3]);
    assert!(followed.text.contains("`due_on`"), "{}", followed.text);
    let mut wrong = all.clone();
    wrong[0]["value"] = json!("maybe");
    post(wrong, true).await.points_to(&["/answers/0/value"]);
    post(all.clone(), false).await.points_to(&["/attested"]);
    let unknown = json!({ "questionnaires": [{ "code": "palm", "version": 1 }], "answers": [], "attested": true });
    client.post(&path, unknown).await.points_to(&["/questionnaires/0/code"]);
    assert_eq!(app.rows("screenings").await, 0);
    post(all, true).await.is(201);
}

#[tokio::test]
async fn answers_decide_for_each_service_and_can_be_read_again() {
    let app = App::start().await;
    let client = app.client().await;
    let id = oneself(&client).await;
    // The hidden follow-up still says warfarin: it has no effect, and is not kept.
    let hidden = json!({ "takes_medicines": false, "medicines": [{ "class": "anticoagulant", "name": "Warfarin" }] });
    let made = screens(&app, &client, &id, hidden).await.is(201);
    assert!(made.body["decisions"].as_array().unwrap().iter().all(|one| one["outcome"] == "suitable"), "{}", made.text);
    assert!(!made.text.contains("Warfarin"));
    assert_eq!((&made.body["given_on"], &made.body["emergency_number"]), (&json!("2026-11-30"), &Value::Null));
    let shown = client.get(&made.header("location")).await.is(200).body;
    assert_eq!(shown["answers"], made.body["answers"]);

    let taking = json!({ "takes_medicines": true, "medicines": [{ "class": "anticoagulant", "name": "Warfarin" }] });
    let made = screens(&app, &client, &id, taking).await.is(201);
    let outcome = |service: &str| {
        let all = made.body["decisions"].as_array().unwrap();
        all.iter().find(|one| one["service"] == service).unwrap().clone()
    };
    assert_eq!(
        (&outcome("deep-tissue")["outcome"], &outcome("swedish")["outcome"]),
        (&json!("refused"), &json!("adapted"))
    );
    assert_eq!(outcome("swedish")["limits"]["pressure"], "medium");
    assert_eq!(made.body["advice"][0]["rule"], "anticoagulant");
    let listed = client.get(&format!("{RECIPIENTS}/{id}/screenings")).await.is(200).body;
    assert_eq!(listed["data"].as_array().unwrap().len(), 2, "the history stays readable");
    assert!(listed["data"][0]["answers"].to_string().contains("Warfarin"));
    assert_eq!(client.get(RECIPIENTS).await.is(200).body["data"][0]["care_state"], "answered");
    app.advance(TimeDelta::days(366));
    assert_eq!(client.get(RECIPIENTS).await.is(200).body["data"][0]["care_state"], "outdated");
    assert!(app.sql("UPDATE screenings SET given_on = '2020-01-01'").await.is_err(), "nor can it be changed");
}

#[tokio::test]
async fn an_emergency_is_stored_and_answered_with_whom_to_call() {
    let app = App::start().await;
    let client = app.client().await;
    let id = oneself(&client).await;
    let body = json!({
        "questionnaires": [{ "code": "complaint", "version": 1 }], "attested": true,
        "answers": [
            { "question": "complaint_at", "value": ["low_back"] }, { "question": "complaint_since", "value": "2026-11-20" },
            { "question": "cauda_signs", "value": ["saddle_numbness"] }, { "question": "cauda_onset_on", "value": "2026-11-29" },
            { "question": "back_fever", "value": false }, { "question": "one_sided_weakness", "value": false },
            { "question": "back_trauma", "value": "none" }, { "question": "back_flags", "value": ["none"] },
        ],
    });
    let made = client.post(&format!("{RECIPIENTS}/{id}/screenings"), body).await.is(201);
    assert!(made.body["decisions"].as_array().unwrap().iter().all(|one| one["outcome"] == "emergency"));
    assert_eq!(made.body["emergency_number"], "112", "no place is known yet");
    let asked = format!(
        "{RECIPIENTS}/{id}/suitability?service_id={SWEDISH}&duration_minutes=60&date=2026-12-01&country=AU&region=NSW"
    );
    let answer = client.get(&asked).await.is(200).body;
    assert_eq!(
        (&answer["outcome"], &answer["emergency_number"], &answer["alternatives"]),
        (&json!("emergency"), &json!("000"), &json!([]))
    );
    assert_eq!(answer["hits"][0]["rule"], "cauda");
}

#[tokio::test]
async fn suitability_tells_what_is_left_and_why() {
    let app = App::start().await;
    let client = app.client().await;
    let id = oneself(&client).await;
    let ask = async |service: &str, date: &str, more: &str| {
        let path = format!(
            "{RECIPIENTS}/{id}/suitability?service_id={service}&duration_minutes=60&date={date}&country=AU{more}"
        );
        client.get(&path).await
    };
    // Nothing was answered: nothing is decided, and the questions are named.
    let unasked = ask(DEEP_TISSUE, "2026-12-01", "").await.is(200).body;
    assert_eq!(unasked["outcome"], "suitable");
    assert!(unasked["needs"]["questions"].as_array().unwrap().contains(&json!("blood_clot")));
    screens(&app, &client, &id, json!({ "osteoporosis": "mild" })).await.is(201);
    let deep = ask(DEEP_TISSUE, "2026-12-01", "").await.is(200).body;
    assert_eq!((&deep["outcome"], &deep["limits"]["pressure"]), (&json!("refused"), &json!("medium")));
    let left = deep["alternatives"].as_array().unwrap();
    assert!(left.iter().any(|one| one["service"] == "swedish" && one["outcome"] == "adapted"), "{left:?}");
    assert!(left.iter().all(|one| one["service"] != "deep-tissue"));
    assert_eq!(deep["hits"][0]["because"], json!([{ "question": "osteoporosis", "value": "mild" }]));
    let swedish = ask(SWEDISH, "2026-12-01", "&pressure=deep").await.is(200).body;
    assert_eq!((&swedish["outcome"], &swedish["exceeded"]), (&json!("adapted"), &json!(["/pressure"])));

    // "I don't know" to a clot: deep needs a clearance, and the answer is named.
    screens(&app, &client, &id, json!({ "blood_clot": null })).await.is(201);
    let clot = ask(DEEP_TISSUE, "2026-12-01", "").await.is(200).body;
    assert_eq!(
        (&clot["outcome"], &clot["needs"]["clearances"][0]["rule"]),
        (&json!("clearance_needed"), &json!("clot_recent"))
    );
    assert_eq!(clot["hits"][0]["because"], json!([{ "question": "blood_clot", "unknown": true }]));

    // By the date of the visit: 13 weeks on 6 December.
    screens(
        &app,
        &client,
        &id,
        json!({ "pregnant": true, "due_on": "2027-06-13", "pregnancy_high_risk": false, "pregnancy_warning": false }),
    )
    .await
    .is(201);
    let before = ask(SWEDISH, "2026-12-05", "").await.is(200).body;
    assert_eq!((&before["outcome"], &before["holds_until"]), (&json!("clearance_needed"), &json!("2026-12-06")));
    let from = ask(SWEDISH, "2026-12-06", "").await.is(200).body;
    assert_eq!((&from["outcome"], &from["needs"]["credentials"]), (&json!("adapted"), &json!(["prenatal"])));
    ask(SWEDISH, "2026-12-06", "&region=TX").await.points_to(&["/region"]);
    ask(SWEDISH, "2026-13-06", "").await.points_to(&["/date"]);
    ask(&id, "2026-12-06", "").await.points_to(&["/service_id"]);
    let stored =
        "events WHERE kind LIKE '%suitab%' OR details::text LIKE '%pregnan%' OR details::text LIKE '%outcome%'";
    assert_eq!(app.rows(stored).await, 0);
}

#[tokio::test]
async fn where_care_is_off_nothing_is_decided() {
    let app = App::start().await;
    let (admin, client) = (app.admin().await, app.client().await);
    let id = oneself(&client).await;
    screens(&app, &client, &id, json!({ "aneurysm": true })).await.is(201);
    let terms =
        json!({ "mode": "off", "answers_last_days": 365, "confirm_hours": 48, "adult_age": 18, "retention_years": 7 });
    let off = json!({ "place": "NZ", "version": 1, "terms": terms, "effective_from": app.now() + TimeDelta::hours(1) });
    admin.post("/v1/admin/care-policies", off).await.is(201);
    app.advance(TimeDelta::hours(1));
    let outcome = async |country: &str| {
        let path = format!(
            "{RECIPIENTS}/{id}/suitability?service_id={DEEP_TISSUE}&duration_minutes=60&date=2026-12-02&country={country}"
        );
        client.get(&path).await.is(200).body["outcome"].clone()
    };
    assert_eq!((outcome("NZ").await, outcome("AU").await), (json!("suitable"), json!("refused")));
}

#[tokio::test]
async fn stricter_rules_decide_what_was_answered_before() {
    let app = App::start().await;
    let client = app.client().await;
    let id = oneself(&client).await;
    screens(&app, &client, &id, json!({ "epilepsy": "controlled" })).await.is(201);
    let path = format!("{RECIPIENTS}/{id}/suitability?service_id={SWEDISH}&duration_minutes=60&date=2026-12-10");
    assert_eq!(client.get(&path).await.is(200).body["outcome"], "suitable");
    let admin = app.admin().await;
    let set = admin.get("/v1/admin/care-rule-sets").await.is(200).body["data"][0]["id"].clone();
    let mut rules =
        admin.get(&format!("/v1/admin/care-rule-sets/{}", set.as_str().unwrap())).await.is(200).body["rule_set"]
            .clone();
    let rule =
        rules["rules"].as_array_mut().unwrap().iter_mut().find(|rule| rule["code"] == "epilepsy_controlled").unwrap();
    rule["effects"] = json!([{ "clearance": { "from": "doctor", "scope": "any", "lasts_days": 365 } }]);
    rule["examples"][0]["outcome"] = json!("clearance_needed");
    publishes(&app, 2, &rules).await;
    let after = client.get(&path).await.is(200).body;
    assert_eq!((&after["outcome"], &after["rules_version"]), (&json!("clearance_needed"), &json!(2)));
}

#[tokio::test]
async fn a_draft_is_kept_until_it_is_given_or_grows_old() {
    let app = App::start().await;
    let client = app.client().await;
    let id = oneself(&client).await;
    let path = format!("{RECIPIENTS}/{id}/screening-draft");
    client.get(&path).await.refused(404, "not_found");
    let body = |answers: Value| json!({ "questionnaires": [{ "code": "health", "version": 1 }], "answers": answers });
    let put = |answers: Value| client.request(Method::PUT, &path).json(&body(answers));
    let first = send(put(json!([{ "question": "pregnant", "value": true }]))).await.is(200);
    assert_eq!(client.get(&path).await.is(200).body, first.body);
    send(put(json!([]))).await.refused(428, "precondition_required");
    let second =
        send(put(json!([{ "question": "pregnant", "declined": true }])).header("If-Match", first.header("etag")))
            .await
            .is(200);
    send(put(json!([])).header("If-Match", first.header("etag"))).await.refused(412, "precondition_failed");
    let wrong = put(json!([{ "question": "pregnant", "value": 3 }])).header("If-Match", second.header("etag"));
    send(wrong).await.points_to(&["/answers/0/value"]);
    // It decides nothing.
    let asked = format!("{RECIPIENTS}/{id}/suitability?service_id={SWEDISH}&duration_minutes=60&date=2026-12-01");
    assert_eq!(client.get(&asked).await.is(200).body["outcome"], "suitable");
    screens(&app, &client, &id, json!({})).await.is(201);
    client.get(&path).await.refused(404, "not_found");

    send(put(json!([]))).await.is(200);
    app.advance(TimeDelta::days(30) - TimeDelta::minutes(1));
    sweep(&app).await;
    assert_eq!(app.rows("screening_drafts").await, 1);
    app.advance(TimeDelta::minutes(1));
    client.get(&path).await.refused(404, "not_found");
    send(put(json!([]))).await.is(200);
    app.advance(TimeDelta::days(31));
    sweep(&app).await;
    assert_eq!(app.rows("screening_drafts").await, 0);
}

#[tokio::test]
async fn a_new_version_outdates_what_is_half_filled() {
    let app = App::start().await;
    let (admin, client) = (app.admin().await, app.client().await);
    let id = oneself(&client).await;
    let answers = healthy(&app).await;
    let body = |version: i32| json!({ "questionnaires": [{ "code": "health", "version": version }], "answers": answers, "attested": true });
    let draft = json!({ "questionnaires": [{ "code": "health", "version": 1 }], "answers": answers });
    let path = format!("{RECIPIENTS}/{id}");
    send(client.request(Method::PUT, &format!("{path}/screening-draft")).json(&draft)).await.is(200);
    let health = app.nobody().get("/v1/questionnaires/health/versions/1").await.is(200).body;
    let mut second = json!({
        "code": "health", "version": 2, "purpose": "health", "title": "Your health", "questions": health["questions"],
        "effective_from": app.now() + TimeDelta::hours(1),
    });
    second["questions"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "code": "sleep", "type": "yes_no", "text": "Sleep?", "required": true }));
    admin.post("/v1/admin/questionnaires", second).await.is(201);
    app.advance(TimeDelta::hours(1));
    let post = async |body: Value| client.post(&format!("{path}/screenings"), body).await;
    post(body(1)).await.refused(409, "questionnaire_outdated");
    // What was filled in is there still, and goes on with the new version.
    let kept = client.get(&format!("{path}/screening-draft")).await.is(200).body;
    assert_eq!(kept["answers"].as_array().unwrap().len(), answers.len());
    let missing = post(body(2)).await.points_to(&["/answers"]);
    assert!(missing.text.contains("`sleep`"), "{}", missing.text);
    let mut whole = body(2);
    whole["answers"].as_array_mut().unwrap().push(json!({ "question": "sleep", "unknown": true }));
    post(whole).await.is(201);
}

/// What a person may say in every field that is kept, in words that are found again wherever they lie.
const CANARIES: [&str; 4] = ["Quokka", "Numbat", "Bilbies", "Wombats"];

#[tokio::test]
async fn nothing_of_a_person_lies_about_and_an_erased_one_opens_no_more() {
    let app = App::start().await;
    let (client, admin) = (app.client().await, app.admin().await);
    let new = json!({ "relation": "partner", "display_name": "Quokka", "born_on": "1971-02-03" });
    let made = send(client.request(Method::POST, RECIPIENTS).header("Idempotency-Key", "r").json(&new)).await.is(201);
    let (id, path) = (made.id().to_string(), made.header("location"));
    let medicines = |name: &str| json!({ "takes_medicines": true, "medicines": [{ "class": "other", "name": name }], "epilepsy": "uncontrolled" });
    let draft = json!({ "questionnaires": [{ "code": "health", "version": 1 }], "answers": answers(&app, medicines("Numbat")).await });
    send(client.request(Method::PUT, &format!("{path}/screening-draft")).json(&draft)).await.is(200);
    assert!(client.get(&format!("{path}/screening-draft")).await.text.contains("Numbat"));
    let drafted = tables_with(&app, "Numbat").await;
    let words = json!({ "question": "complaint", "value": "Wombats" });
    let complaint = json!({
        "questionnaires": [{ "code": "complaint", "version": 1 }], "attested": true,
        "answers": [words, { "question": "complaint_at", "value": ["left_shoulder"] }],
    });
    let keyed = client.request(Method::POST, &format!("{path}/screenings")).header("Idempotency-Key", "s");
    send(keyed.json(&complaint)).await.is(201);
    let screening = screens(&app, &client, &id, medicines("Bilbies")).await.is(201);
    assert!(client.get(&format!("{path}/screenings")).await.text.contains("Wombats"));
    assert!(client.get(&screening.header("location")).await.text.contains("Bilbies"));

    // Neither the words nor what came of them: not in any table, not in what staff see, not in what the process measures.
    assert_eq!(drafted, Vec::<String>::new());
    for canary in CANARIES.iter().chain(&["1971-02-03", "uncontrolled\"", "clearance_needed\""]) {
        let tables = tables_with(&app, canary).await;
        let about = |table: &String| !["public.care_rule_sets", "public.questionnaires"].contains(&table.as_str());
        assert_eq!(tables.into_iter().filter(about).collect::<Vec<_>>(), Vec::<String>::new(), "{canary}");
    }
    app.chain_audit().await;
    let staff = [
        admin.get("/v1/admin/audit?limit=100").await.is(200).text,
        admin.get("/v1/admin/tasks").await.is(200).text,
        client.get("/v1/notices").await.text,
    ];
    for canary in CANARIES.iter().chain(&["clearance", "epilep", "uncontrolled", "Quokka"]) {
        assert!(staff.iter().all(|text| !text.contains(canary)), "{canary}");
    }
    assert!(staff[0].contains("screening.create"), "that something was answered is on record");
    admin.get(&path).await.refused(403, "forbidden");

    // Without the key nothing opens; the rows stay and say nothing.
    client.delete(&path).await.is(204);
    for gone in
        [path.clone(), format!("{path}/screenings"), screening.header("location"), format!("{path}/screening-draft")]
    {
        client.get(&gone).await.refused(404, "not_found");
    }
    client.delete(&path).await.refused(404, "not_found");
    let left = [app.rows("screenings").await, app.rows("screening_drafts").await, app.rows("recipients").await];
    assert_eq!((left, app.rows("subject_keys").await), ([2, 0, 1], 0));
    assert_eq!(client.get(RECIPIENTS).await.is(200).body["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn so_many_screenings_in_a_day_and_no_more() {
    let app = App::start().await;
    let client = app.client().await;
    let id = oneself(&client).await;
    for _ in 0..20 {
        screens(&app, &client, &id, json!({})).await.is(201);
    }
    let refused = screens(&app, &client, &id, json!({})).await.refused(429, "too_many_screenings");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    app.advance(TimeDelta::hours(24));
    screens(&app, &client, &id, json!({})).await.is(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adult_guest_answers_for_themself_and_the_booker_learns_nothing_of_it() {
    let app = App::start().await;
    let (client, stranger, nobody) = (app.client().await, app.client().await, app.nobody());
    let add = async |relation: &str, born: &str| {
        let new = json!({ "relation": relation, "display_name": "Ines", "born_on": born });
        client.post(RECIPIENTS, new).await.is(201).header("location")
    };
    let (partner, child) = (add("partner", "1990-01-01").await, add("child", "2015-01-01").await);
    client.act(&format!("{child}/invitations")).await.refused(409, "guardian_needed");
    client.act(&format!("{RECIPIENTS}/{}/invitations", oneself(&client).await)).await.refused(409, "guardian_needed");
    stranger.act(&format!("{partner}/invitations")).await.refused(404, "not_found");
    let first = client.act(&format!("{partner}/invitations")).await.is(201).body["token"].as_str().unwrap().to_owned();
    let made = client.act(&format!("{partner}/invitations")).await.is(201).body;
    let token = made["token"].as_str().unwrap();
    let link = format!("/v1/care-invitations/{token}");
    assert!(made["url"].as_str().unwrap().ends_with(&link) && made["expires_at"].is_string());
    nobody.get(&format!("/v1/care-invitations/{first}")).await.refused(404, "not_found");
    let asked = nobody.get(&link).await.is(200).body;
    assert_eq!((&asked["display_name"], &asked["care_state"]), (&json!("Ines"), &json!("unanswered")));
    assert_eq!(asked["questionnaires"][0]["code"], "health");
    assert_eq!(tables_with(&app, token).await, Vec::<String>::new(), "the secret is not kept");

    let body = |but: Vec<Value>| json!({ "questionnaires": [{ "code": "health", "version": 1 }], "answers": but, "attested": true });
    nobody.post(&format!("{link}/screenings"), body(Vec::new())).await.refused(422, "invalid");
    let epilepsy = answers(&app, json!({ "epilepsy": "uncontrolled" })).await;
    let told = nobody.post(&format!("{link}/screenings"), body(epilepsy)).await.is(201).body;
    assert!(told["decisions"].to_string().contains("clearance_needed"), "the guest is told");
    // The booker sees that it was answered, and nothing else.
    let seen = client.get(&partner).await.is(200);
    assert_eq!(seen.body["care_state"], "answered");
    let screening = told["id"].as_str().unwrap();
    for path in [
        format!("{partner}/screenings"),
        format!("{partner}/screenings/{screening}"),
        format!("{partner}/screening-draft"),
        format!("{partner}/suitability?service_id={DEEP_TISSUE}&duration_minutes=60&date=2026-12-20"),
    ] {
        client.get(&path).await.refused(409, "guardian_needed");
    }
    let healthy = healthy(&app).await;
    client.post(&format!("{partner}/screenings"), body(healthy.clone())).await.refused(409, "guardian_needed");
    // The link that the booker knows stops working; the guest has one of their own.
    nobody.get(&link).await.refused(404, "not_found");
    client.get(&format!("{partner}/disclosures")).await.refused(409, "guardian_needed");
    client.change(&partner, json!({ "born_on": "1980-01-01" })).await.refused(409, "guardian_needed");
    for list in ["clearances", "consents"] {
        client.get(&format!("{partner}/{list}")).await.refused(409, "guardian_needed");
    }
    let own = |told: &Value| format!("/v1/care-invitations/{}", told["link"]["token"].as_str().unwrap());
    let mut link = own(&told);
    // Epilepsy and high blood pressure are the same to the booker: by body, by notice and by length.
    let therapist = app.therapist().await;
    let address = client.address(crate::support::surry_hills()).await;
    let mut answered = Vec::new();
    for but in [json!({ "epilepsy": "uncontrolled" }), json!({ "blood_pressure": "uncontrolled" })] {
        let told = nobody.post(&format!("{link}/screenings"), body(answers(&app, but).await)).await.is(201).body;
        link = own(&told);
        let mut wish = client.wish(&therapist, address, "2026-12-03T03:00:00Z");
        wish["recipient_id"] = json!(partner.rsplit('/').next().unwrap());
        let refused =
            client.books_with_key(&uuid::Uuid::now_v7().to_string(), &wish).await.refused(422, "care_not_suitable");
        let mut problem = refused.body.clone();
        problem.as_object_mut().unwrap().remove("request_id");
        answered.push((problem, refused.text.len()));
    }
    assert_eq!(answered[0], answered[1]);
    let told = nobody.post(&format!("{link}/screenings"), body(healthy)).await.is(201).body;
    link = own(&told);
    let mut wish = client.wish(&therapist, address, "2026-12-03T03:00:00Z");
    wish["recipient_id"] = json!(partner.rsplit('/').next().unwrap());
    client.books_with_key(&uuid::Uuid::now_v7().to_string(), &wish).await.is(201);

    app.advance(TimeDelta::days(399));
    nobody.get(&link).await.is(200);
    app.advance(TimeDelta::days(2));
    nobody.get(&link).await.refused(404, "not_found");
    let other = add("parent", "1960-01-01").await;
    let made = client.act(&format!("{other}/invitations")).await.is(201).body;
    let link = format!("/v1/care-invitations/{}", made["token"].as_str().unwrap());
    nobody.get(&link).await.is(200);
    client.delete(&other).await.is(204);
    nobody.get(&link).await.refused(404, "not_found");
}
