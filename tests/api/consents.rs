//! What client and therapist agree on before a visit and sign, and what a person agrees to.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::care::{SWEDISH, publishes};
use crate::care_visits::{MORNING, RECIPIENTS, Scene, oneself};
use crate::sealing::tables_with;
use crate::support::{Answer, Person, send};

/// Writes a consultation over whatever is there.
async fn writes(who: &Person, booking: &str, content: Value) -> Answer {
    let path = format!("/v1/bookings/{booking}/consultation");
    let request = who.request(Method::PUT, &path).json(&content);
    let there = who.get(&path).await.status == 200;
    send(if there { request.header("If-Match", "*") } else { request }).await
}

async fn signs(who: &Person, booking: &str, version: i32) -> Answer {
    who.post(&format!("/v1/bookings/{booking}/consultation/sign"), json!({ "version": version })).await
}

/// The place asks for a consultation that both have signed.
async fn asks_for_signatures(scene: &Scene) {
    let terms = json!({
        "mode": "asked", "answers_last_days": 365, "confirm_hours": 48, "adult_age": 18, "retention_years": 7, "signed_consultation": true,
    });
    let at = scene.app.now() + TimeDelta::minutes(2);
    let policy = json!({ "place": "AU-NSW", "version": 2, "terms": terms, "effective_from": at });
    scene.app.admin().await.post("/v1/admin/care-policies", policy).await.is(201);
    scene.app.advance(TimeDelta::minutes(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consultation_that_changes_is_signed_anew() {
    let scene = Scene::start().await;
    asks_for_signatures(&scene).await;
    let booked = scene.books(SWEDISH, MORNING, json!({})).await.is(201).id().to_string();
    let next = scene.books(SWEDISH, "2026-12-03T02:00:00Z", json!({})).await.is(201).id().to_string();
    let other = scene.books(SWEDISH, "2026-12-03T05:00:00Z", json!({})).await.is(201).id().to_string();
    let care = async |booking: &str| {
        scene.client.get(&format!("/v1/bookings/{booking}/care")).await.is(200).body["state"].clone()
    };
    assert_eq!(care(&booked).await, "signature_needed");
    let path = format!("/v1/bookings/{booked}/consultation");
    scene.client.get(&path).await.refused(404, "not_found");
    let content = json!({ "complaint": "A stiff neck.", "nrs": 4, "regions": { "focus": ["neck"], "avoid": [], "pain": ["neck"] } });
    let made = send(scene.client.request(Method::PUT, &path).json(&content)).await.is(200);
    assert_eq!((&made.body["version"], &made.body["written_by"]), (&json!(1), &json!("client")));
    assert_eq!(made.body["signed_by_both"], false);
    send(scene.client.request(Method::PUT, &path).json(&content)).await.is(428);
    signs(&scene.client, &booked, 1).await.is(200);
    signs(&scene.client, &booked, 1).await.is(200);
    assert_eq!(signs(&scene.therapist, &booked, 1).await.is(200).body["signed_by_both"], true);
    assert_eq!(care(&booked).await, "suits");
    assert_eq!(care(&next).await, "suits", "what was signed before the first session holds for the next");

    // The same again is no new version; another region is.
    assert_eq!(writes(&scene.client, &booked, content.clone()).await.is(200).body["version"], 1);
    let mut more = content.clone();
    more["regions"]["focus"] = json!(["neck", "left_shoulder"]);
    let changed = writes(&scene.therapist, &booked, more.clone()).await.is(200).body;
    assert_eq!((&changed["version"], &changed["signatures"]), (&json!(2), &json!([])), "both are void");
    signs(&scene.client, &booked, 1).await.refused(409, "signature_void");
    assert_eq!(care(&booked).await, "signature_needed");
    scene.app.advance(TimeDelta::hours(69));
    let sets_out = format!("/v1/bookings/{booked}/on-the-way");
    scene.therapist.act(&sets_out).await.refused(409, "signature_void");
    signs(&scene.client, &booked, 2).await.is(200);
    scene.therapist.act(&sets_out).await.refused(409, "signature_void");
    signs(&scene.therapist, &booked, 2).await.is(200);
    scene.app.advance(TimeDelta::minutes(50));
    scene.begins(&booked).await.is(200);
    writes(&scene.client, &booked, json!({})).await.refused(409, "invalid_transition");

    // For another reason it is signed anew, and for the same it is not.
    writes(&scene.client, &other, json!({ "complaint": "A sore back." })).await.is(200);
    assert_eq!(care(&other).await, "signature_needed");
    let mut same = more;
    same["goals"] = json!("To sleep well.");
    writes(&scene.client, &other, same).await.is(200);
    assert_eq!(care(&other).await, "suits");
    let told = scene.told(&scene.therapist).await;
    assert_eq!(told.iter().filter(|kind| *kind == "consultation_signed").count(), 2, "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_agreed_on_keeps_to_what_suits() {
    let scene = Scene::start().await;
    scene
        .answers(json!({ "takes_medicines": true, "medicines": [{ "class": "antiplatelet", "name": "Aspirin" }] }))
        .await;
    let booked = scene.books(SWEDISH, MORNING, json!({})).await.is(201).id().to_string();
    let refused =
        writes(&scene.client, &booked, json!({ "pressure": "firm" })).await.refused(422, "care_limits_exceeded");
    assert_eq!(refused.body["errors"][0]["pointer"], "/pressure");
    let plain =
        writes(&scene.therapist, &booked, json!({ "pressure": "firm" })).await.refused(422, "care_not_suitable");
    assert_eq!(plain.body["care"], Value::Null, "why is not the therapist's to know");
    writes(&scene.client, &booked, json!({ "pressure": "medium", "regions": { "focus": ["neck"] } })).await.is(200);
    for (content, pointers) in [
        (json!({ "nrs": 11 }), vec!["/nrs"]),
        (json!({ "techniques": ["magic"] }), vec!["/techniques"]),
        (json!({ "regions": { "focus": ["neck"], "avoid": ["neck"] } }), vec!["/regions/avoid"]),
        (json!({ "regions": { "focus": ["nipple"] } }), vec!["/regions/focus"]),
        (json!({ "goals": "" }), vec!["/goals"]),
    ] {
        writes(&scene.client, &booked, content).await.points_to(&pointers);
    }
    // Answers that change are held against what is agreed on.
    scene.answers(json!({ "wound": true, "wound_at": ["neck"] })).await;
    scene.app.run_jobs().await;
    let care = scene.client.get(&format!("/v1/bookings/{booked}/care")).await.is(200).body;
    assert_eq!(care["state"], "does_not_suit", "all that was to be worked on is to be avoided now");
    writes(&scene.client, &booked, json!({ "regions": { "focus": ["low_back"] } })).await.is(200);
    scene.app.run_jobs().await;
    let care = scene.client.get(&format!("/v1/bookings/{booked}/care")).await.is(200).body;
    assert_eq!(care["state"], "suits");
    let told = scene.told(&scene.client).await;
    assert_eq!(told, ["visit_care_settled", "visit_care_unsettled"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_parties_read_a_consultation_and_its_words_lie_nowhere_open() {
    const CANARY: &str = "Wallaroopie";
    let scene = Scene::start().await;
    let booked = scene.books(SWEDISH, MORNING, json!({})).await.is(201).id().to_string();
    writes(&scene.client, &booked, json!({ "complaint": CANARY, "goals": CANARY })).await.is(200);
    let path = format!("/v1/bookings/{booked}/consultation");
    let (stranger, other, admin) = (scene.app.client().await, scene.app.therapist().await, scene.app.admin().await);
    for person in [&stranger, &other] {
        person.get(&path).await.refused(404, "not_found");
        writes(person, &booked, json!({})).await.refused(404, "not_found");
        signs(person, &booked, 1).await.refused(404, "not_found");
    }
    admin.get(&path).await.refused(403, "forbidden");
    assert!(scene.therapist.get(&path).await.is(200).text.contains(CANARY));
    assert_eq!(tables_with(&scene.app, CANARY).await, Vec::<String>::new());
    scene.app.chain_audit().await;
    assert!(!admin.get("/v1/admin/audit?limit=100").await.is(200).text.contains(CANARY));
    let looks = scene.client.get(&format!("{RECIPIENTS}/{}/disclosures", scene.oneself)).await.is(200).body;
    assert_eq!((&looks["data"][0]["what"], &looks["data"][0]["subject_id"]), (&json!("sheet"), &json!(booked)));
    scene.app.advance(TimeDelta::hours(69 + 2 + 73));
    scene.therapist.get(&path).await.refused(404, "not_found");
    scene.client.get(&path).await.is(200);
    assert!(scene.app.sql("UPDATE consultations SET version = 9").await.is_err());
    assert!(
        scene.app.sql("DELETE FROM consultation_signatures").await.is_err()
            || scene.app.rows("consultation_signatures").await == 0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guardian_signs_for_a_minor_and_nobody_for_another_adult() {
    let scene = Scene::start().await;
    let add = async |relation: &str, born: &str| {
        let new = json!({ "relation": relation, "display_name": "Noa", "born_on": born });
        scene.client.post(RECIPIENTS, new).await.is(201).id().to_string()
    };
    let (child, partner) = (add("child", "2012-03-01").await, add("partner", "1990-03-01").await);
    let childs = scene.books(SWEDISH, MORNING, json!({ "recipient_id": child })).await.is(201).id().to_string();
    writes(&scene.client, &childs, json!({ "goals": "Rest." })).await.is(200);
    signs(&scene.client, &childs, 1).await.is(200);
    let consent = json!({ "code": "parent_permission", "version": 1, "answer": "given", "name": "Mia Chen" });
    scene.client.post(&format!("{RECIPIENTS}/{child}/consents"), consent.clone()).await.is(201);
    let in_person = json!({ "version": 1, "signed_in_person": true });
    let sign = |booking: &str| format!("/v1/bookings/{booking}/consultation/sign");
    scene.therapist.post(&sign(&childs), in_person.clone()).await.refused(409, "guardian_needed");

    // Another adult's is neither the account's to read nor to sign: that person signs at the door.
    let start = "2026-12-03T03:00:00Z";
    let theirs = scene.books(SWEDISH, start, json!({ "recipient_id": partner })).await.is(201).id().to_string();
    let path = format!("/v1/bookings/{theirs}/consultation");
    writes(&scene.client, &theirs, json!({ "goals": "Rest." })).await.refused(409, "guardian_needed");
    writes(&scene.therapist, &theirs, json!({ "complaint": "A sore neck." })).await.is(200);
    scene.client.get(&path).await.refused(409, "guardian_needed");
    signs(&scene.client, &theirs, 1).await.refused(409, "guardian_needed");
    scene.client.post(&sign(&theirs), in_person.clone()).await.refused(409, "guardian_needed");
    scene.client.post(&format!("{RECIPIENTS}/{partner}/consents"), consent).await.refused(409, "guardian_needed");
    assert_eq!(scene.therapist.post(&sign(&theirs), in_person).await.is(200).body["signed_by_both"], true);
    // Nor does a date of birth make a minor of an adult.
    for younger in ["2015-01-01", "2008-11-30", "1990-03-02"] {
        let younger = json!({ "born_on": younger });
        scene.client.change(&format!("{RECIPIENTS}/{partner}"), younger).await.points_to(&["/born_on"]);
    }
    for older in [json!({ "born_on": "1990-02-28" }), json!({ "born_on": null }), json!({ "born_on": "2000-01-01" })] {
        scene.client.change(&format!("{RECIPIENTS}/{partner}"), older).await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_go_on_when_the_person_was_erased_and_entered_anew() {
    let scene = Scene::start().await;
    scene.client.delete(&format!("{RECIPIENTS}/{}", scene.oneself)).await.is(204);
    let booked = scene.books(SWEDISH, MORNING, json!({})).await.is(201).id().to_string();
    let first = oneself(&scene.client).await;
    assert_eq!(writes(&scene.client, &booked, json!({ "goals": "Rest." })).await.is(200).body["version"], 1);
    scene.client.delete(&format!("{RECIPIENTS}/{first}")).await.is(204);
    oneself(&scene.client).await;
    assert_eq!(writes(&scene.client, &booked, json!({ "goals": "Sleep." })).await.is(200).body["version"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visit_that_needs_a_consent_begins_with_one_and_the_latest_word_holds() {
    let scene = Scene::start().await;
    let admin = scene.app.admin().await;
    let set = admin.get("/v1/admin/care-rule-sets").await.is(200).body["data"][0]["id"].clone();
    let set = format!("/v1/admin/care-rule-sets/{}", set.as_str().unwrap());
    let mut rules = admin.get(&set).await.is(200).body["rule_set"].clone();
    let law = rules["rules"].as_array_mut().unwrap().iter_mut().find(|rule| rule["code"] == "law_ca_on").unwrap();
    law["when"]["all"][0]["place"] = json!(["AU-NSW"]);
    law["examples"][0]["place"] = json!("AU-NSW");
    publishes(&scene.app, 2, &rules).await;

    let booked = scene.books(SWEDISH, MORNING, json!({})).await.is(201).id().to_string();
    let state = async || scene.client.get(&format!("/v1/bookings/{booked}/care")).await.is(200).body["state"].clone();
    assert_eq!(state().await, "not_asked", "nobody works there unless it is asked for");
    writes(&scene.client, &booked, json!({ "regions": { "focus": ["left_gluteal"] } })).await.is(200);
    assert_eq!(state().await, "consent_needed");
    let list = format!("{RECIPIENTS}/{}/consents", scene.oneself);
    let say = |answer: &str, more: Value| {
        let mut said = json!({ "code": "sensitive_areas", "version": 1, "booking_id": booked, "answer": answer, "name": "Mia Chen" });
        said.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        said
    };
    let before = scene.app.now();
    scene.app.advance(TimeDelta::hours(1));
    scene.client.post(&list, say("refused", json!({}))).await.is(201);
    assert_eq!(state().await, "consent_needed");
    scene.app.advance(TimeDelta::minutes(1));
    let given = scene.client.post(&list, say("given", json!({}))).await.is(201);
    assert_eq!(state().await, "suits");
    scene.app.advance(TimeDelta::minutes(1));
    scene.client.act(&format!("{list}/{}/withdraw", given.id())).await.is(201);
    assert_eq!(state().await, "consent_needed");
    scene.client.post(&list, say("given", json!({ "answered_at": before }))).await.is(201);
    assert_eq!(state().await, "consent_needed", "what was said before a withdrawal does not revive it");
    scene.app.advance(TimeDelta::hours(44));
    scene.therapist.act(&format!("/v1/bookings/{booked}/on-the-way")).await.refused(409, "consent_needed");
    scene.client.post(&list, say("given", json!({}))).await.is(201);
    scene.app.advance(TimeDelta::minutes(50));
    scene.begins(&booked).await.is(200);

    let ahead = scene.app.now() + TimeDelta::hours(1);
    for (more, pointers) in [
        (json!({ "code": "nothing" }), vec!["/code"]),
        (json!({ "version": 2 }), vec!["/version"]),
        (json!({ "booking_id": null }), vec!["/booking_id"]),
        (json!({ "answered_at": ahead }), vec!["/answered_at"]),
        (json!({ "answered_at": "2026-01-01T00:00:00Z" }), vec!["/answered_at"]),
        (json!({ "answer": "withdrawn" }), vec!["/answer"]),
        (json!({ "booking_id": scene.therapist.id }), vec!["/booking_id"]),
    ] {
        scene.client.post(&list, say("given", more)).await.points_to(&pointers);
    }
    let (stranger, _) = scene.app.client_at_home().await;
    let theirs = format!("{RECIPIENTS}/{}/consents", oneself(&stranger).await);
    stranger.post(&theirs, say("given", json!({}))).await.points_to(&["/booking_id"]);
    stranger.get(&list).await.refused(404, "not_found");
    stranger.post(&list, say("given", json!({}))).await.refused(404, "not_found");
    stranger.act(&format!("{theirs}/{}/withdraw", given.id())).await.refused(404, "not_found");
    assert_eq!(scene.client.get(&list).await.is(200).body["data"].as_array().unwrap().len(), 5);
    assert_eq!(tables_with(&scene.app, "given\"").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_words_are_agreed_to_anew() {
    let scene = Scene::start().await;
    let admin = scene.app.admin().await;
    let texts = scene.app.nobody().get("/v1/consent-texts").await.is(200).body;
    let codes: Vec<&str> =
        texts["data"].as_array().unwrap().iter().map(|text| text["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["breast_massage", "parent_permission", "sensitive_areas"]);
    let text = |version: i32, minutes: i64| {
        json!({
            "code": "sensitive_areas", "version": version, "title": "Areas", "body": "I ask for it.", "each_visit": true,
            "effective_from": scene.app.now() + TimeDelta::minutes(minutes),
        })
    };
    let versions = "/v1/admin/consent-texts";
    admin.post(versions, text(3, 60)).await.refused(409, "version_taken");
    admin.post(versions, text(2, 0)).await.points_to(&["/effective_from"]);
    scene.client.post(versions, text(2, 60)).await.refused(403, "forbidden");
    let withdrawn = admin.post(versions, text(2, 60)).await.is(201).id();
    admin.delete(&format!("{versions}/{withdrawn}")).await.is(204);
    admin.delete(&format!("{versions}/{withdrawn}")).await.is(204);
    let third = admin.post(versions, text(3, 60)).await.is(201).id();
    assert_eq!(admin.get(versions).await.is(200).body["data"].as_array().unwrap().len(), 5);
    scene.app.advance(TimeDelta::hours(2));
    admin.delete(&format!("{versions}/{third}")).await.refused(409, "version_in_force");
    let now = scene.app.nobody().get("/v1/consent-texts").await.is(200).body;
    assert_eq!((&now["data"][2]["version"], &now["data"][2]["created_by"]), (&json!(3), &Value::Null));
    assert!(scene.app.sql("UPDATE consent_texts SET body = 'x'").await.is_err());
}
