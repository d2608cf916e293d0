//! What is asked before a visit, the rules that decide, and how admins publish them.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, App, DEEP_TISSUE, Person, send};

pub const SWEDISH: &str = "019b76da-a800-7c01-9a41-5e0c7d1f2b01";

const SETS: &str = "/v1/admin/care-rule-sets";

/// The rules that came with the service, as an admin reads them.
async fn seed(app: &App) -> Value {
    let admin = app.admin().await;
    let set = admin.get(SETS).await.is(200).body["data"][0].clone();
    admin.get(&format!("{SETS}/{}", set["id"].as_str().unwrap())).await.is(200).body["rule_set"].clone()
}

/// A set of rules to be proposed, a day ahead.
fn proposal(app: &App, version: i32, rule_set: &Value) -> Value {
    json!({ "version": version, "effective_from": app.now() + TimeDelta::days(1), "rule_set": rule_set })
}

/// Proposes and publishes a set of rules, and waits until it is in force.
pub async fn publishes(app: &App, version: i32, rule_set: &Value) {
    let (first, second) = (app.admin().await, app.admin().await);
    let location = first.post(SETS, proposal(app, version, rule_set)).await.is(201).header("location");
    second.post(&format!("{location}/publish"), json!({})).await.is(200);
    app.advance(TimeDelta::days(1));
}

/// The rules with one of them changed.
fn with_rule(set: &Value, code: &str, change: impl Fn(&mut Value)) -> Value {
    let mut set = set.clone();
    let rule = set["rules"].as_array_mut().unwrap().iter_mut().find(|rule| rule["code"] == code).expect(code);
    change(rule);
    set
}

#[tokio::test]
async fn anyone_reads_what_is_asked_and_by_which_rules() {
    let app = App::start().await;
    let nobody = app.nobody();
    let page = nobody.get(&format!("/v1/questionnaires?service_id={DEEP_TISSUE}&country=AU&region=NSW")).await.is(200);
    let data = page.body["data"].as_array().unwrap();
    assert_eq!(data.iter().map(|one| one["code"].as_str().unwrap()).collect::<Vec<_>>(), ["complaint", "health"]);
    let pregnant = &data[1]["questions"][0];
    assert_eq!(
        (&pregnant["code"], &pregnant["type"], &pregnant["required"]),
        (&json!("pregnant"), &json!("yes_no"), &json!(true))
    );
    assert_eq!(data[1]["questions"][1]["enabled_when"], json!({ "is": { "question": "pregnant", "value": true } }));
    assert_eq!(nobody.get("/v1/questionnaires/health/versions/1").await.is(200).body, data[1]);
    for path in
        ["health/versions/2", "nothing/versions/1", "health%00/versions/1", "Health/versions/1", "health/versions/x"]
    {
        nobody.get(&format!("/v1/questionnaires/{path}")).await.refused(404, "not_found");
    }
    nobody.get("/v1/questionnaires?region=NSW").await.points_to(&["/region"]);
    nobody.get("/v1/questionnaires?country=AU&region=TX").await.points_to(&["/region"]);
    nobody.get("/v1/questionnaires?place=AU").await.points_to(&["/place"]);

    let rules = nobody.get("/v1/care-rules?limit=100").await.is(200).body;
    let rules = rules["data"].as_array().unwrap();
    assert!(rules.len() > 60 && rules.iter().all(|rule| rule["version"] == 1 && rule["sources"][0].is_string()));
    let page = nobody.get("/v1/care-rules?limit=2").await.is(200).body;
    let next = nobody
        .get(&format!("/v1/care-rules?limit=2&cursor={}", page["next_cursor"].as_str().unwrap()))
        .await
        .is(200)
        .body;
    assert_eq!(next["data"][0]["code"], rules[2]["code"]);
}

#[tokio::test]
async fn rules_are_proposed_by_one_admin_and_published_by_another() {
    let app = App::start().await;
    let (first, second) = (app.admin().await, app.admin().await);
    // The set that came with the service holds against the catalogue itself.
    let seed = seed(&app).await;
    let made = first.post(SETS, proposal(&app, 2, &seed)).await.is(201);
    let location = made.header("location");
    assert_eq!((&made.body["proposed_by"], &made.body["published_at"]), (&json!(first.id), &Value::Null));
    assert_eq!(first.get(&location).await.is(200).body, made.body);
    assert_eq!(made.body["rule_set"], seed);
    first.post(&format!("{location}/publish"), json!({})).await.refused(409, "second_admin_needed");
    let published = second.post(&format!("{location}/publish"), json!({})).await.is(200);
    assert_eq!(published.body["published_by"], json!(second.id));
    assert_eq!(second.post(&format!("{location}/publish"), json!({})).await.is(200).body, published.body);
    let version = async || app.nobody().get("/v1/care-rules?limit=1").await.is(200).body["data"][0]["version"].clone();
    assert_eq!(version().await, 1, "not before its time");
    app.advance(TimeDelta::days(1));
    assert_eq!(version().await, 2);
    second.delete(&location).await.refused(409, "version_in_force");

    // What was proposed can be withdrawn, and its number is not given again.
    let third = first.post(SETS, proposal(&app, 3, &seed)).await.is(201).header("location");
    first.post(SETS, proposal(&app, 3, &seed)).await.refused(409, "version_taken");
    second.delete(&third).await.is(204);
    second.delete(&third).await.is(204);
    second.post(&format!("{third}/publish"), json!({})).await.refused(409, "rule_set_not_open");
    // Nor can what was not published in time be published late.
    let fourth = first.post(SETS, proposal(&app, 4, &seed)).await.is(201).header("location");
    app.advance(TimeDelta::days(1));
    second.post(&format!("{fourth}/publish"), json!({})).await.refused(409, "rule_set_not_open");
    let listed = first.get(&format!("{SETS}?limit=2")).await.is(200).body;
    let versions: Vec<_> = listed["data"].as_array().unwrap().iter().map(|set| set["version"].clone()).collect();
    assert_eq!(versions, [4, 3]);
    assert!(app.sql("UPDATE care_rule_sets SET body = '{}'").await.is_err(), "what was proposed is never changed");
    assert!(app.sql("DELETE FROM care_rule_sets").await.is_err());
    let kinds = "events WHERE kind IN ('care_rules.propose', 'care_rules.publish', 'care_rules.withdraw')";
    assert_eq!(app.rows(kinds).await, 5);
}

#[tokio::test]
async fn a_bad_set_of_rules_is_refused_with_pointers() {
    let app = App::start().await;
    let admin = app.admin().await;
    let seed = seed(&app).await;
    let post = async |set: &Value| admin.post(SETS, proposal(&app, 2, set)).await;
    let at = |set: &Value, code: &str| {
        set["rules"].as_array().unwrap().iter().position(|rule| rule["code"] == code).unwrap()
    };
    let wound = at(&seed, "wound");
    let unknown = with_rule(&seed, "wound", |rule| rule["when"]["is"]["question"] = json!("nothing"));
    post(&unknown).await.points_to(&[&format!("/rule_set/rules/{wound}/when")]);
    let kind = with_rule(&seed, "wound", |rule| rule["effects"] = json!(["forbid"]));
    post(&kind).await.points_to(&[&format!("/rule_set/rules/{wound}/effects/0")]);
    let nowhere = with_rule(&seed, "wound", |rule| rule["sources"] = json!([]));
    post(&nowhere).await.points_to(&[&format!("/rule_set/rules/{wound}/sources")]);
    let fails = with_rule(&seed, "wound", |rule| rule["examples"][0]["outcome"] = json!("refused"));
    let answer = post(&fails).await.refused(422, "rule_examples_fail");
    assert_eq!(answer.body["errors"][0]["pointer"], format!("/rule_set/rules/{wound}/examples/0/outcome"));
    post(&json!([])).await.points_to(&["/rule_set"]);
    post(&json!({ "sources": {}, "rules": [] })).await.points_to(&["/rule_set/rules"]);
    let mut past = proposal(&app, 2, &seed);
    past["effective_from"] = json!(app.now());
    admin.post(SETS, past).await.points_to(&["/effective_from"]);
    assert_eq!(app.rows("care_rule_sets").await, 1);
}

#[tokio::test]
async fn a_preview_tells_what_a_set_would_change() {
    let app = App::start().await;
    let admin = app.admin().await;
    let seed = seed(&app).await;
    // Mild osteoporosis becomes a matter for a provider, and one rule goes.
    let mut harsher = with_rule(&seed, "osteoporosis_mild", |rule| {
        rule["effects"] = json!([{ "clearance": { "from": "provider", "scope": "any", "lasts_days": 30 } }]);
        rule["examples"] = json!([{ "answers": { "osteoporosis": "mild" }, "service": "swedish", "date": "2026-12-01", "outcome": "clearance_needed" }]);
    });
    harsher["rules"].as_array_mut().unwrap().retain(|rule| rule["code"] != "allergy_latex");
    let location = admin.post(SETS, proposal(&app, 2, &harsher)).await.is(201).header("location");
    let preview = admin.post(&format!("{location}/preview"), json!({})).await.is(200).body;
    assert_eq!(
        (&preview["compared_with"], &preview["added"], &preview["removed"], &preview["changed"]),
        (&json!(1), &json!([]), &json!(["allergy_latex"]), &json!(["osteoporosis_mild"]))
    );
    assert_eq!(
        preview["examples"],
        json!([
            { "rule": "allergy_latex", "example": 0, "before": "adapted", "after": "suitable" },
            { "rule": "osteoporosis_mild", "example": 0, "before": "adapted", "after": "clearance_needed" },
            { "rule": "osteoporosis_mild", "example": 1, "before": "refused", "after": "clearance_needed" },
        ])
    );
}

/// A version of the questions of health, as they are now.
async fn questions(app: &App) -> Value {
    app.nobody().get("/v1/questionnaires/health/versions/1").await.is(200).body
}

fn version(app: &App, health: &Value, number: i32) -> Value {
    json!({
        "code": "health", "version": number, "purpose": "health", "title": "Your health", "questions": health["questions"],
        "effective_from": app.now() + TimeDelta::days(1),
    })
}

#[tokio::test]
async fn questionnaires_are_versions_that_rules_still_fit() {
    let app = App::start().await;
    let admin = app.admin().await;
    let health = questions(&app).await;
    let path = "/v1/admin/questionnaires";
    let mut added = version(&app, &health, 2);
    let sleep = json!({ "code": "sleep", "type": "yes_no", "text": "Do you sleep well?" });
    added["questions"].as_array_mut().unwrap().push(sleep.clone());
    let made = admin.post(path, added.clone()).await.is(201);
    assert_eq!(admin.get(&made.header("location")).await.is(200).body, made.body);
    admin.post(path, added).await.refused(409, "version_taken");
    let shown = async || app.nobody().get("/v1/questionnaires").await.is(200).body["data"][1]["version"].clone();
    assert_eq!(shown().await, 1);
    app.advance(TimeDelta::days(1));
    assert_eq!(shown().await, 2);

    // A question that rules look at stays.
    let mut fewer = version(&app, &health, 3);
    fewer["questions"].as_array_mut().unwrap().retain(|question| question["code"] != "aneurysm");
    let answer = admin.post(path, fewer).await.points_to(&["/questions"]);
    assert!(answer.text.contains("aneurysm"), "{}", answer.text);
    // A circle, an unknown kind, another questionnaire's question.
    let circle = |when: &str| json!({ "code": "sleep", "type": "yes_no", "text": "?", "enabled_when": { "is": { "question": when, "value": true } } });
    let with = |question: Value| {
        let mut more = version(&app, &health, 3);
        more["questions"].as_array_mut().unwrap().push(question);
        more
    };
    let last = health["questions"].as_array().unwrap().len();
    admin.post(path, with(circle("sleep"))).await.points_to(&[&format!("/questions/{last}/enabled_when")]);
    admin
        .post(path, with(json!({ "code": "sleep", "type": "colour", "text": "?" })))
        .await
        .points_to(&[&format!("/questions/{last}/type")]);
    admin
        .post(path, with(json!({ "code": "complaint_pain", "type": "nrs", "text": "?" })))
        .await
        .points_to(&["/questions"]);

    // A version for one place is put there alone, and withdrawn before it takes effect.
    let mut local = with(sleep);
    local["code"] = json!("texas");
    local["version"] = json!(1);
    local["questions"] = json!([{ "code": "texas_only", "type": "yes_no", "text": "Texas?" }]);
    local["uses"] = json!([{ "place": "US-TX" }, { "place": "US-TX" }]);
    admin.post(path, local.clone()).await.points_to(&["/uses/1"]);
    local["uses"] = json!([{ "place": "US-TX", "service_id": SWEDISH }]);
    let made = admin.post(path, local).await.is(201).header("location");
    let texas = version_of(&app, "country=US&region=TX").await;
    assert_eq!(texas, ["complaint", "health"], "not yet");
    app.advance(TimeDelta::days(1));
    assert_eq!(
        version_of(&app, &format!("country=US&region=TX&service_id={SWEDISH}")).await,
        ["complaint", "health", "texas"]
    );
    assert_eq!(
        version_of(&app, &format!("country=US&region=TX&service_id={DEEP_TISSUE}")).await,
        ["complaint", "health"]
    );
    assert_eq!(version_of(&app, "country=US&region=CA").await, ["complaint", "health"]);
    admin.delete(&made).await.refused(409, "version_in_force");
}

async fn version_of(app: &App, query: &str) -> Vec<String> {
    let page = app.nobody().get(&format!("/v1/questionnaires?{query}")).await.is(200).body;
    page["data"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn policies_are_versions_of_a_place() {
    let app = App::start().await;
    let admin = app.admin().await;
    let path = "/v1/admin/care-policies";
    let listed = admin.get(path).await.is(200).body;
    let terms = json!({
        "mode": "asked", "answers_last_days": 365, "confirm_hours": 48, "adult_age": 18, "retention_years": 7, "signed_consultation": false,
    });
    assert_eq!((&listed["data"][0]["place"], &listed["data"][0]["terms"]), (&Value::Null, &terms));
    let policy = |place: Value, number: i32, mode: &str| {
        let mut terms = terms.clone();
        terms["mode"] = json!(mode);
        json!({ "place": place, "version": number, "terms": terms, "effective_from": app.now() + TimeDelta::days(1) })
    };
    let made = admin.post(path, policy(json!("AU-NSW"), 2, "before_booking")).await.is(201);
    admin.post(path, policy(json!("AU-NSW"), 2, "off")).await.refused(409, "version_taken");
    admin.post(path, policy(json!("AU-XX"), 1, "off")).await.points_to(&["/place"]);
    admin.post(path, policy(json!("AU-VIC"), 1, "never")).await.points_to(&["/terms/mode"]);
    let mut long = policy(json!("AU-VIC"), 1, "off");
    (long["terms"]["adult_age"], long["terms"]["confirm_hours"]) = (json!(3), json!(0));
    admin.post(path, long).await.points_to(&["/terms/confirm_hours", "/terms/adult_age"]);
    let location = made.header("location");
    admin.delete(&location).await.is(204);
    assert!(admin.get(&location).await.is(200).body["withdrawn_at"].is_string());
}

/// Answers to all that is asked of everyone: nothing is the matter.
pub async fn healthy(app: &App) -> Vec<Value> {
    let health = app.nobody().get("/v1/questionnaires").await.is(200).body["data"][1].clone();
    let asked = health["questions"].as_array().unwrap().clone();
    let put = asked
        .iter()
        .filter(|question| question["required"] == true && question.get("enabled_when").is_none_or(Value::is_null));
    put.map(|question| {
        let value = match question["type"].as_str().unwrap() {
            "yes_no" => json!(question["code"] == "contacts_provider"),
            "choice" => question["options"][0]["code"].clone(),
            "choices" => json!([question["options"][0]["code"]]),
            kind => panic!("{kind}"),
        };
        json!({ "question": question["code"], "value": value })
    })
    .collect()
}

/// The same, but for what is said here.
pub async fn answers(app: &App, but: Value) -> Vec<Value> {
    let mut answers = healthy(app).await;
    for (code, value) in but.as_object().unwrap() {
        answers.retain(|answer| answer["question"] != *code);
        answers.push(match value {
            Value::Null => json!({ "question": code, "unknown": true }),
            value => json!({ "question": code, "value": value }),
        });
    }
    answers
}

/// A screening of a recipient with these answers of health.
pub async fn screens(app: &App, client: &Person, recipient: &str, but: Value) -> Answer {
    let body = json!({ "questionnaires": [{ "code": "health", "version": 1 }], "answers": answers(app, but).await, "attested": true });
    client.post(&format!("/v1/me/recipients/{recipient}/screenings"), body).await
}

#[tokio::test]
async fn a_key_makes_a_proposal_safe_to_repeat() {
    let app = App::start().await;
    let admin = app.admin().await;
    let body = proposal(&app, 2, &seed(&app).await);
    let post = || send(admin.request(Method::POST, SETS).header("Idempotency-Key", "k").json(&body));
    let first = post().await.is(201);
    let again = post().await.is(201);
    assert_eq!((&again.text, again.header("idempotent-replay").as_str()), (&first.text, "true"));
    assert_eq!(app.rows("care_rule_sets").await, 2);
}
