//! Adults whom an account books for, and who answer by a link: they agree for themselves, and get another link where they lost theirs.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::care::{SWEDISH, answers, publishes};
use crate::care_visits::{MORNING, RECIPIENTS, Scene, asks};
use crate::sealing::tables_with;
use crate::support::{App, Person};

/// The rules that came with the service, with one more or one changed.
pub async fn rules_with(app: &App, change: impl Fn(&mut Vec<Value>)) -> Value {
    let admin = app.admin().await;
    let sets = "/v1/admin/care-rule-sets";
    let set = admin.get(sets).await.is(200).body["data"][0]["id"].clone();
    let mut rules = admin.get(&format!("{sets}/{}", set.as_str().unwrap())).await.is(200).body["rule_set"].clone();
    change(rules["rules"].as_array_mut().unwrap());
    rules
}

/// Every visit in Sydney needs the person's consent.
async fn consent_is_law(scene: &Scene) {
    let rules = rules_with(&scene.app, |rules| {
        let law = rules.iter_mut().find(|rule| rule["code"] == "law_ca_on").unwrap();
        law["when"] = json!({ "place": ["AU-NSW"] });
        law["examples"] =
            json!([{ "service": "swedish", "date": "2026-12-01", "outcome": "suitable", "place": "AU-NSW" }]);
    })
    .await;
    publishes(&scene.app, 2, &rules).await;
}

async fn partner(scene: &Scene) -> String {
    let new = json!({ "relation": "partner", "display_name": "Ines", "born_on": "1990-01-01" });
    scene.client.post(RECIPIENTS, new).await.is(201).id().to_string()
}

/// A link that the booker has made; its path.
async fn invited(scene: &Scene, guest: &str) -> String {
    let made = scene.client.act(&format!("{RECIPIENTS}/{guest}/invitations")).await.is(201).body;
    format!("/v1/care-invitations/{}", made["token"].as_str().unwrap())
}

/// The guest answers by a link; their own from then on, and what they were told.
async fn answered(scene: &Scene, link: &str, but: Value) -> (String, Value) {
    let body = json!({ "questionnaires": [{ "code": "health", "version": 1 }], "answers": answers(&scene.app, but).await, "attested": true });
    let told = scene.app.nobody().post(&format!("{link}/screenings"), body).await.is(201).body;
    (format!("/v1/care-invitations/{}", told["link"]["token"].as_str().unwrap()), told)
}

async fn visit(nobody: &Person, link: &str) -> Value {
    nobody.get(&format!("{link}/visits")).await.is(200).body["data"][0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_agrees_for_themself_before_the_visit_begins() {
    let scene = Scene::start().await;
    consent_is_law(&scene).await;
    let (guest, nobody) = (partner(&scene).await, scene.app.nobody());
    let booked = scene.books(SWEDISH, MORNING, json!({ "recipient_id": guest })).await.is(201).id().to_string();
    let own = scene.books(SWEDISH, "2026-12-03T03:00:00Z", json!({})).await.is(201).id().to_string();
    let first = invited(&scene, &guest).await;
    let say = |answer: &str, more: Value| {
        let mut said = json!({ "code": "sensitive_areas", "version": 1, "booking_id": booked, "answer": answer, "name": "Inesquell" });
        said.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        said
    };
    // Whoever booked may know this link.
    for path in ["visits", "consents"] {
        nobody.get(&format!("{first}/{path}")).await.refused(409, "care_answers_needed");
    }
    nobody.post(&format!("{first}/consents"), say("given", json!({}))).await.refused(409, "care_answers_needed");
    nobody.act(&format!("{first}/visits/{booked}/confirm")).await.refused(409, "care_answers_needed");
    let (link, _) = answered(&scene, &first, json!({ "osteoporosis": "mild" })).await;
    let seen = visit(&nobody, &link).await;
    assert_eq!((&seen["booking_id"], &seen["state"]), (&json!(booked), &json!("consent_needed")));
    assert_eq!((&seen["consents"], &seen["limits"]["pressure"]), (&json!(["sensitive_areas"]), &json!("medium")));

    let theirs = format!("{RECIPIENTS}/{guest}/consents");
    scene.client.post(&theirs, say("given", json!({}))).await.refused(409, "guardian_needed");
    let list = format!("{link}/consents");
    for (more, pointer) in [
        (json!({ "code": "nothing" }), "/code"),
        (json!({ "version": 2 }), "/version"),
        (json!({ "booking_id": null }), "/booking_id"),
        (json!({ "booking_id": own }), "/booking_id"),
        (json!({ "name": "" }), "/name"),
        (json!({ "account": "x" }), "/account"),
    ] {
        nobody.post(&list, say("given", more)).await.points_to(&[pointer]);
    }
    nobody.post("/v1/care-invitations/nothing/consents", say("given", json!({}))).await.refused(404, "not_found");
    let given = nobody.post(&list, say("given", json!({}))).await.is(201);
    assert_eq!(visit(&nobody, &link).await["state"], "suits");
    scene.app.advance(TimeDelta::minutes(1));
    nobody.act(&format!("{list}/{}/withdraw", given.id())).await.is(201);
    nobody.act(&format!("{list}/{booked}/withdraw")).await.refused(404, "not_found");
    assert_eq!(visit(&nobody, &link).await["consents"], json!(["sensitive_areas"]));
    scene.client.get(&theirs).await.refused(409, "guardian_needed");
    scene.client.act(&format!("{theirs}/{}/withdraw", given.id())).await.refused(409, "guardian_needed");
    assert_eq!(nobody.get(&list).await.is(200).body["data"].as_array().unwrap().len(), 2);
    assert_eq!(nobody.get(&format!("{list}?limit=1")).await.is(200).body["data"][0]["answer"], "withdrawn");

    scene.app.advance(TimeDelta::hours(45));
    let sets_out = format!("/v1/bookings/{booked}/on-the-way");
    scene.therapist.act(&sets_out).await.refused(409, "consent_needed");
    nobody.post(&list, say("given", json!({}))).await.is(201);
    scene.app.advance(TimeDelta::minutes(50));
    scene.begins(&booked).await.is(200);
    assert_eq!(tables_with(&scene.app, "Inesquell").await, Vec::<String>::new());
    assert_eq!(scene.app.rows("events WHERE kind = 'consent.record' AND details::text ~ 'sensitive'").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_says_for_themself_that_nothing_has_changed() {
    let scene = Scene::start().await;
    asks(&scene.app, &scene.app.admin().await, 2, "before_start").await;
    let (guest, nobody) = (partner(&scene).await, scene.app.nobody());
    let start = "2026-12-09T23:00:00Z";
    let booked = scene.books(SWEDISH, start, json!({ "recipient_id": guest })).await.is(201).id().to_string();
    let own = scene.books(SWEDISH, "2026-12-10T03:00:00Z", json!({})).await.is(201).id().to_string();
    let (link, _) = answered(&scene, &invited(&scene, &guest).await, json!({})).await;
    let seen = visit(&nobody, &link).await;
    assert_eq!(
        (&seen["state"], &seen["confirm_from"]),
        (&json!("confirmation_needed"), &json!("2026-12-07T23:00:00Z"))
    );
    let confirm = format!("{link}/visits/{booked}/confirm");
    nobody.act(&confirm).await.refused(409, "too_early");
    nobody.act(&format!("{link}/visits/{own}/confirm")).await.refused(404, "not_found");
    scene.app.advance(TimeDelta::days(9) + TimeDelta::hours(21));
    scene.client.act(&format!("/v1/bookings/{booked}/care/confirm")).await.refused(409, "guardian_needed");
    let sets_out = format!("/v1/bookings/{booked}/on-the-way");
    scene.therapist.act(&sets_out).await.refused(409, "care_confirmation_needed");
    assert_eq!(nobody.act(&confirm).await.is(200).body["state"], "suits");
    assert_eq!(nobody.act(&confirm).await.is(200).body["confirm_from"], Value::Null, "again changes nothing");
    scene.app.advance(TimeDelta::minutes(45));
    scene.begins(&booked).await.is(200);
    nobody.act(&confirm).await.refused(409, "invalid_transition");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_who_lost_the_link_gets_another_and_begins_anew() {
    let scene = Scene::start().await;
    let (guest, nobody) = (partner(&scene).await, scene.app.nobody());
    let (lost, told) = answered(&scene, &invited(&scene, &guest).await, json!({ "epilepsy": "uncontrolled" })).await;
    assert!(told["decisions"].to_string().contains("clearance_needed"));
    let said = json!({ "code": "parent_permission", "version": 1, "answer": "given", "name": "Ines" });
    nobody.post(&format!("{lost}/consents"), said).await.is(201);
    let invitations = format!("{RECIPIENTS}/{guest}/invitations");
    scene.app.client().await.act(&invitations).await.refused(404, "not_found");
    scene.therapist.act(&invitations).await.refused(403, "forbidden");
    let link = invited(&scene, &guest).await;
    // The guest's own goes on working until someone answers by the new one.
    nobody.get(&format!("{lost}/visits")).await.is(200);
    nobody.get(&format!("{link}/consents")).await.refused(409, "care_answers_needed");
    // Until the guest has answered by it, what was answered goes on counting.
    let wish = json!({ "recipient_id": guest });
    scene.books(SWEDISH, MORNING, wish.clone()).await.refused(422, "care_not_suitable");

    // Whoever uses it learns nothing of what was said before.
    scene.app.advance(TimeDelta::minutes(1));
    let complaint = json!({
        "questionnaires": [{ "code": "complaint", "version": 1 }], "attested": true,
        "answers": [{ "question": "complaint_at", "value": ["left_shoulder"] }],
    });
    // What was answered before is answered anew, and not left out.
    nobody.post(&format!("{link}/screenings"), complaint.clone()).await.points_to(&["/questionnaires"]);
    scene.books(SWEDISH, MORNING, wish.clone()).await.refused(422, "care_not_suitable");
    nobody.get(&lost).await.is(200);
    let (link, told) = answered(&scene, &link, json!({})).await;
    assert!(!told["decisions"].to_string().contains("clearance_needed"));
    nobody.get(&lost).await.refused(404, "not_found");
    assert_eq!(nobody.get(&format!("{link}/consents")).await.is(200).body["data"], json!([]));
    let told = nobody.post(&format!("{link}/screenings"), complaint).await.is(201).body;
    let link = format!("/v1/care-invitations/{}", told["link"]["token"].as_str().unwrap());
    scene.books(SWEDISH, MORNING, wish).await.is(201);
    assert_eq!(scene.client.get(&format!("{RECIPIENTS}/{guest}")).await.is(200).body["care_state"], "answered");
    nobody.get(&format!("{link}/visits")).await.is(200);

    // So many in so many days, and each on record. Who answers by their own link has not lost it.
    let unused = invited(&scene, &guest).await;
    let (link, _) = answered(&scene, &link, json!({})).await;
    nobody.get(&unused).await.refused(404, "not_found");
    for _ in 0..2 {
        invited(&scene, &guest).await;
    }
    nobody.get(&link).await.is(200);
    let refused = scene.client.act(&invitations).await.refused(429, "too_many_invitations");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    assert_eq!(scene.app.rows("events WHERE kind = 'recipient.invite'").await, 5);
    assert_eq!(scene.app.rows("events WHERE kind = 'recipient.invite' AND details ->> 'anew' = 'true'").await, 4);
    scene.app.advance(TimeDelta::days(30));
    invited(&scene, &guest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_answers_by_another_link_takes_no_refusal_back() {
    let scene = Scene::start().await;
    consent_is_law(&scene).await;
    let (guest, nobody) = (partner(&scene).await, scene.app.nobody());
    let booked = scene.books(SWEDISH, MORNING, json!({ "recipient_id": guest })).await.is(201).id().to_string();
    let own = scene.books(SWEDISH, "2026-12-03T03:00:00Z", json!({})).await.is(201).id().to_string();
    let (link, _) = answered(&scene, &invited(&scene, &guest).await, json!({ "epilepsy": "controlled" })).await;
    let say = |answer: &str| json!({ "code": "sensitive_areas", "version": 1, "booking_id": booked, "answer": answer, "name": "Ines" });
    nobody.post(&format!("{link}/consents"), say("refused")).await.is(201);
    let path = format!("/v1/bookings/{booked}/care");
    let sheet = async || scene.therapist.get(&path).await.is(200).body;
    assert_eq!(sheet().await["answered_anew_at"], Value::Null);

    // The booker answers by a link that was made for who lost theirs.
    scene.app.advance(TimeDelta::minutes(1));
    let (link, _) = answered(&scene, &invited(&scene, &guest).await, json!({})).await;
    assert_eq!(sheet().await["answered_anew_at"], json!(scene.app.now()));
    scene.app.advance(TimeDelta::minutes(1));
    for _ in 0..2 {
        nobody.post(&format!("{link}/consents"), say("given")).await.is(201);
        assert_eq!(visit(&nobody, &link).await["state"], "consent_needed");
    }
    scene.app.advance(TimeDelta::minutes(1));
    let (link, _) = answered(&scene, &invited(&scene, &guest).await, json!({})).await;
    nobody.post(&format!("{link}/consents"), say("given")).await.is(201);
    assert_eq!(visit(&nobody, &link).await["consents"], json!(["sensitive_areas"]), "nor by one more");

    // The therapist asks the guest in person.
    scene.app.advance(TimeDelta::minutes(1));
    let list = format!("{path}/consents");
    let said = json!({ "code": "sensitive_areas", "version": 1, "answer": "given", "name": "Ines" });
    scene.client.post(&list, said.clone()).await.refused(403, "forbidden");
    nobody.post(&list, said.clone()).await.refused(401, "unauthorized");
    scene.app.therapist().await.post(&list, said.clone()).await.refused(404, "not_found");
    scene
        .therapist
        .post(&format!("/v1/bookings/{own}/care/consents"), said.clone())
        .await
        .refused(409, "guardian_needed");
    for (change, pointer) in [
        (json!({ "code": "nothing" }), "/code"),
        (json!({ "version": 2 }), "/version"),
        (json!({ "answer": "withdrawn" }), "/answer"),
        (json!({ "name": "" }), "/name"),
        (json!({ "booking_id": booked }), "/booking_id"),
    ] {
        let mut wrong = said.clone();
        wrong.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        scene.therapist.post(&list, wrong).await.points_to(&[pointer]);
    }
    assert_eq!(scene.therapist.post(&list, said.clone()).await.is(201).body["in_person"], true);
    assert_eq!(visit(&nobody, &link).await["state"], "suits");
    scene.app.advance(TimeDelta::minutes(1));
    nobody.post(&format!("{link}/consents"), say("refused")).await.is(201);
    assert_eq!(visit(&nobody, &link).await["state"], "consent_needed", "the latest word holds as ever");
    scene.client.act(&format!("/v1/bookings/{booked}/cancel")).await.is(200);
    scene.therapist.post(&list, said).await.refused(409, "invalid_transition");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_therapist_objects_to_of_a_guest_is_told_to_nobody() {
    let scene = Scene::start().await;
    let guest = partner(&scene).await;
    let child = json!({ "relation": "child", "display_name": "Noa", "born_on": "2018-03-01" });
    let child = scene.client.post(RECIPIENTS, child).await.is(201).id().to_string();
    let mut told = Vec::new();
    for (start, recipient) in [(MORNING, &guest), ("2026-12-03T03:00:00Z", &child)] {
        let booked = scene.books(SWEDISH, start, json!({ "recipient_id": recipient })).await.is(201).id().to_string();
        let path = format!("/v1/bookings/{booked}");
        scene.app.advance((crate::support::at(start) - scene.app.now() - TimeDelta::hours(2)).max(TimeDelta::zero()));
        let objects = json!({ "reason": "A rash that may be shingles." });
        let seen = scene.therapist.post(&format!("{path}/care/object"), objects).await.is(200).body;
        assert_eq!(seen["status"], "cancelled");
        let seen = scene.client.get(&path).await.is(200).body;
        let events = scene.client.get(&format!("{path}/events")).await.is(200).body;
        told.push((seen["cancellation"]["reason"].clone(), events.to_string().contains("shingles")));
    }
    assert_eq!(told, [(Value::Null, false), (json!("A rash that may be shingles."), true)]);
    assert_eq!(scene.app.rows("therapist_lapses").await, 0);
}
