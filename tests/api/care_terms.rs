//! How old a person has to be, and what is agreed on for a visit: on every way to another time or a longer visit.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::care::{SWEDISH, publishes};
use crate::care_guests::rules_with;
use crate::care_visits::{MORNING, RECIPIENTS, Scene};
use crate::support::{DEEP_TISSUE, send};

/// Deep tissue massage in Sydney only from so many years on.
fn least_age(years: i32) -> Value {
    json!({
        "code": "least_age", "words": "Sydney: deep tissue massage from this age on.",
        "when": { "all": [{ "place": ["AU-NSW"] }, { "service": ["deep-tissue"] }, { "age": { "under": years } }] },
        "effects": ["too_young"], "sources": ["spa_lists"],
        "examples": [{ "answers": { "born_on": "2014-01-01" }, "service": "deep-tissue", "date": "2026-12-01", "outcome": "refused", "place": "AU-NSW" }],
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_too_young_on_the_day_of_the_visit_is_booked_for_nowhere() {
    let scene = Scene::start().await;
    publishes(&scene.app, 2, &rules_with(&scene.app, |rules| rules.push(least_age(16))).await).await;
    // Sixteen on 4 December by the calendar in Sydney, where that day begins at 13:00 of the 3rd.
    let child = json!({ "relation": "child", "display_name": "Noa", "born_on": "2010-12-04" });
    let child = scene.client.post(RECIPIENTS, child).await.is(201).id().to_string();
    let named = json!({ "recipient_id": child });
    let (before, on) = (MORNING, "2026-12-03T23:00:00Z");
    let refused = scene.books(DEEP_TISSUE, before, named.clone()).await.refused(422, "recipient_too_young");
    assert_eq!(refused.body["care"]["not_before"], "2026-12-04");
    assert!(refused.body["care"]["alternatives"].as_array().unwrap().contains(&json!("swedish")));
    let hold = async |start: &str| scene.client.post("/v1/holds", scene.wish(DEEP_TISSUE, start, named.clone())).await;
    hold(before).await.refused(422, "recipient_too_young");
    let listed = scene.slots(DEEP_TISSUE, &child, "2026-12-03", "2026-12-04").await;
    assert!(!listed.is_empty() && listed.iter().all(|start| start.as_str() > "2026-12-03T13:00"), "{listed:?}");
    let suits = async |date: &str, place: &str| {
        let query = format!("service_id={DEEP_TISSUE}&duration_minutes=60&date={date}{place}");
        scene.client.get(&format!("{RECIPIENTS}/{child}/suitability?{query}")).await.is(200).body
    };
    let sydney = "&country=AU&region=NSW";
    let young = suits("2026-12-03", sydney).await;
    assert_eq!((&young["outcome"], &young["not_before"]), (&json!("refused"), &json!("2026-12-04")));
    assert_eq!((&young["hits"][0]["rule"], &young["holds_until"]), (&json!("least_age"), &json!("2026-12-04")));
    assert_eq!(suits("2026-12-04", sydney).await["outcome"], "suitable");
    assert_eq!(suits("2026-12-03", "&country=AU&region=VIC").await["outcome"], "suitable", "it is a rule of the place");
    scene.books(SWEDISH, "2026-12-03T02:00:00Z", named.clone()).await.is(201);

    let booked = scene.books(DEEP_TISSUE, on, named.clone()).await.is(201).id();
    let path = format!("/v1/bookings/{booked}");
    let moved = scene.client.post(&format!("{path}/reschedule"), json!({ "start_at": before })).await;
    moved.refused(422, "recipient_too_young");
    assert_eq!(scene.client.get(&path).await.is(200).body["start_at"], on, "the old time stands");
    let offer = scene.client.post(&format!("{path}/counter-offers"), json!({ "start_at": before })).await;
    offer.refused(422, "recipient_too_young");

    // A stricter rule speaks against what is requested and what is booked. Its therapist is not told why.
    scene.therapist.change("/v1/therapists/me", json!({ "booking_mode": "request" })).await.is(200);
    let stricter = rules_with(&scene.app, |rules| {
        rules.retain(|rule| rule["code"] != "least_age");
        rules.push(least_age(17));
    })
    .await;
    let sets = "/v1/admin/care-rule-sets";
    let set = json!({ "version": 3, "rule_set": stricter, "effective_from": scene.app.now() + TimeDelta::days(1) });
    let set = scene.app.admin().await.post(sets, set).await.is(201).header("location");
    scene.app.admin().await.post(&format!("{set}/publish"), json!({})).await.is(200);
    scene.app.advance(TimeDelta::hours(23));
    let asked = scene.books(DEEP_TISSUE, "2026-12-05T02:00:00Z", named).await.is(201).id();
    scene.app.advance(TimeDelta::hours(1));
    scene.therapist.act(&format!("/v1/bookings/{asked}/accept")).await.refused(422, "care_not_suitable");
    scene.app.run_jobs().await;
    assert_eq!(scene.client.get(&format!("{path}/care")).await.is(200).body["state"], "does_not_suit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_tells_no_date_of_birth_may_be_too_young() {
    let scene = Scene::start().await;
    let friend = json!({ "relation": "other", "display_name": "Kim" });
    let friend = scene.client.post(RECIPIENTS, friend).await.is(201);
    let (path, id) = (friend.header("location"), friend.id().to_string());
    let (stranger, address) = scene.app.client_at_home().await;
    let hers = |start: &str| {
        let mut wish = stranger.wish(&scene.therapist, address, start);
        wish["service_id"] = json!(DEEP_TISSUE);
        wish
    };
    let booked =
        stranger.books_with_key(&uuid::Uuid::now_v7().to_string(), &hers("2026-12-04T03:00:00Z")).await.is(201).id();
    publishes(&scene.app, 2, &rules_with(&scene.app, |rules| rules.push(least_age(16))).await).await;
    // Who has entered nobody, not even themself, is asked as well; so are visits that are booked.
    stranger
        .books_with_key(&uuid::Uuid::now_v7().to_string(), &hers("2026-12-03T03:00:00Z"))
        .await
        .refused(409, "care_answers_needed");
    scene.app.run_jobs().await;
    let state = async || stranger.get(&format!("/v1/bookings/{booked}/care")).await.is(200).body["state"].clone();
    assert_eq!(state().await, "does_not_suit");
    assert_eq!(scene.told(&stranger).await.first().map(String::as_str), Some("visit_care_unsettled"));

    let named = json!({ "recipient_id": id });
    scene.books(DEEP_TISSUE, MORNING, named.clone()).await.refused(409, "care_answers_needed");
    let own = scene.books(DEEP_TISSUE, MORNING, json!({})).await.refused(409, "care_answers_needed");
    assert_eq!(own.body["errors"][0]["pointer"], "/recipient_id");
    assert_eq!(scene.slots(DEEP_TISSUE, &id, "2026-12-03", "2026-12-04").await, Vec::<String>::new());
    let query = format!("service_id={DEEP_TISSUE}&duration_minutes=60&date=2026-12-03&country=AU&region=NSW");
    let asked = scene.client.get(&format!("{RECIPIENTS}/{}/suitability?{query}", scene.oneself)).await.is(200).body;
    assert_eq!(asked["outcome"], "refused");
    assert!(asked["needs"]["questions"].as_array().unwrap().contains(&json!("born_on")), "{asked}");
    assert_eq!((&asked["hits"][0]["in_doubt"], &asked["not_before"]), (&json!(true), &Value::Null));
    scene.books(SWEDISH, MORNING, named.clone()).await.is(201);

    // A date that is told opens it, and one that is taken back closes it again.
    scene.client.change(&path, json!({ "born_on": "1990-01-01" })).await.is(200);
    scene.books(DEEP_TISSUE, "2026-12-03T03:00:00Z", named.clone()).await.is(201);
    scene.client.change(&path, json!({ "born_on": null })).await.is(200);
    scene.books(DEEP_TISSUE, "2026-12-04T23:00:00Z", named).await.refused(409, "care_answers_needed");
    let hers = crate::care_visits::oneself(&stranger).await;
    stranger.change(&format!("{RECIPIENTS}/{hers}"), json!({ "born_on": "1990-01-01" })).await.is(200);
    scene.app.run_jobs().await;
    assert_eq!(state().await, "suits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_least_age_names_an_age() {
    let scene = Scene::start().await;
    // Nor does one name it that holds without the age as well.
    for when in [
        json!({ "is": { "question": "wound", "value": true } }),
        json!({ "any": [{ "is": { "question": "wound", "value": true } }, { "age": { "under": 16 } }] }),
    ] {
        let ageless = rules_with(&scene.app, |rules| {
        let mut rule = least_age(16);
        rule["when"] = when.clone();
        rule["examples"] = json!([{ "answers": { "wound": true, "wound_at": ["neck"] }, "service": "swedish", "date": "2026-12-01", "outcome": "refused" }]);
        rules.push(rule);
    })
    .await;
        let last = ageless["rules"].as_array().unwrap().len() - 1;
        let set = json!({ "version": 2, "rule_set": ageless, "effective_from": scene.app.now() + TimeDelta::days(1) });
        let answer = scene.app.admin().await.post("/v1/admin/care-rule-sets", set).await;
        answer.points_to(&[&format!("/rule_set/rules/{last}/effects/0")]);
    }
}

/// The answer to where the wound is counts for 30 days: later nothing is known to speak against the hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_is_decided_by_what_is_agreed_on() {
    let scene = Scene::start().await;
    scene.answers(json!({ "wound": true, "wound_at": ["left_hand"] })).await;
    let far = "2027-01-05T23:00:00Z";
    let agreed = scene.books(SWEDISH, far, json!({})).await.is(201).id();
    let plain = scene.books(SWEDISH, "2027-01-06T02:00:00Z", json!({})).await.is(201).id();
    let consult = async |focus: Value| {
        let body = json!({ "regions": { "focus": focus } });
        let request = scene.client.request(Method::PUT, &format!("/v1/bookings/{agreed}/consultation"));
        send(request.header("If-Match", "*").json(&body)).await.is(200)
    };
    let first = scene.client.request(Method::PUT, &format!("/v1/bookings/{agreed}/consultation"));
    send(first.json(&json!({ "regions": { "focus": ["left_hand"] } }))).await.is(200);
    let moves = async |id: &uuid::Uuid, start: &str| {
        scene.client.post(&format!("/v1/bookings/{id}/reschedule"), json!({ "start_at": start })).await
    };
    let moving = format!(
        "/v1/slots?service_id={SWEDISH}&duration_minutes=60&from=2026-12-09&to=2026-12-09&therapist_id={}&moving={agreed}",
        scene.therapist.id
    );
    let listed = async || {
        let page = scene.client.get(&moving).await.is(200).body["data"].clone();
        page[0]["slots"].as_array().is_some_and(|slots| !slots.is_empty())
    };
    let near = "2026-12-08T23:00:00Z";
    moves(&agreed, near).await.refused(422, "care_not_suitable");
    assert!(!listed().await, "nothing is left of what was agreed on");
    consult(json!(["left_hand", "neck"])).await;
    let beyond = moves(&agreed, near).await.refused(422, "care_limits_exceeded");
    assert_eq!(beyond.body["errors"][0]["pointer"], "/regions");
    assert!(!listed().await);
    assert_eq!(scene.client.get(&format!("/v1/bookings/{agreed}")).await.is(200).body["start_at"], far);
    moves(&plain, "2026-12-09T02:00:00Z").await.is(200);
    consult(json!(["neck"])).await;
    assert!(listed().await);
    moves(&agreed, near).await.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_longer_visit_is_decided_by_what_is_agreed_on() {
    let scene = Scene::start().await;
    scene.answers(json!({})).await;
    let mut answered = Vec::new();
    for (start, focus) in [(MORNING, json!(["left_hand", "neck"])), ("2026-12-03T23:00:00Z", json!(["neck"]))] {
        let booked = scene.books(SWEDISH, start, json!({})).await.is(201).id().to_string();
        let path = format!("/v1/bookings/{booked}");
        let request = scene.client.request(Method::PUT, &format!("{path}/consultation"));
        send(request.json(&json!({ "regions": { "focus": focus } }))).await.is(200);
        scene.app.advance(crate::support::at(start) - scene.app.now() - TimeDelta::minutes(10));
        scene.begins(&booked).await.is(200);
        // A bruise is found on the table.
        scene.answers(json!({ "wound": true, "wound_at": ["left_hand"] })).await;
        let asked = json!({ "duration_minutes": 90, "client_agreed": true });
        answered.push(scene.therapist.post(&format!("{path}/extend"), asked).await);
        scene.answers(json!({})).await;
        scene.app.advance(TimeDelta::minutes(70));
        scene.therapist.act(&format!("{path}/complete")).await.is(200);
    }
    let within = answered.pop().unwrap();
    within.is(202);
    answered.pop().unwrap().refused(422, "care_not_suitable");
}

/// What is agreed on never hides what is booked: the firmer of the two decides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_light_consultation_lets_nobody_book_firm() {
    let scene = Scene::start().await;
    scene.answers(json!({ "osteoporosis": "mild" })).await;
    let booked = scene.books(SWEDISH, MORNING, json!({ "pressure": "light" })).await.is(201).id();
    let path = format!("/v1/bookings/{booked}");
    let agreed =
        scene.client.request(Method::PUT, &format!("{path}/consultation")).json(&json!({ "pressure": "light" }));
    send(agreed).await.is(200);
    let patch = async |pressure: &str| {
        send(scene.client.request(Method::PATCH, &path).json(&json!({ "pressure": pressure }))).await
    };
    let refused = patch("firm").await.refused(422, "care_limits_exceeded");
    assert_eq!(refused.body["errors"][0]["pointer"], "/pressure");
    patch("medium").await.is(200);
}
