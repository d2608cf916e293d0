//! What people say of their health stays where it is sealed: one word in every field of care is found in no table, no log, no measure of the process, and in nothing that
//! staff are shown.

use std::fs::File;

use chrono::{TimeDelta, Timelike};
use knead::clock::Clock;
use knead::values::Grant;
use reqwest::Method;
use serde_json::{Value, json};

use crate::care::{SWEDISH, answers};
use crate::care_visits::RECIPIENTS;
use crate::commands::{Running, answers as is_there, free_address, knead};
use crate::documents::pdf;
use crate::sealing::tables_with;
use crate::support::{App, Person, send, surry_hills};

const CANARY: &str = "Zwielaubquoll";

/// All that staff without the grant `care` can list, and one look at each visit.
async fn shown_to_staff(app: &App, staff: &Person, bookings: &[String]) -> String {
    let document = app.nobody().get("/openapi.json").await.is(200).body;
    let lists = document["paths"].as_object().unwrap().iter();
    let lists =
        lists.filter(|(path, item)| path.starts_with("/v1/") && !path.contains('{') && item.get("get").is_some());
    let visits = bookings.iter().flat_map(|id| {
        ["", "/events"]
            .map(|part| format!("/v1/bookings/{id}{part}"))
            .into_iter()
            .chain([format!("/v1/admin/bookings/{id}/licence-proof")])
    });
    let mut shown = String::new();
    let mut seen = 0;
    for path in lists.map(|(path, _)| path.clone()).chain(visits) {
        let answer = staff.get(&path).await;
        seen += usize::from(answer.status == 200);
        assert!(!answer.text.contains(CANARY), "{path} shows it: {}", answer.text);
        shown += &answer.text;
    }
    assert!(seen > 15, "{seen} operations showed something");
    shown
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_of_health_is_found_nowhere() {
    // Another process serves, whose clock is the machine's, and writes down all that it can.
    let app = App::start_at(Clock::System.now()).await;
    let (address, metrics) = (free_address(), free_address());
    let folder = tempfile::TempDir::new().unwrap();
    let log = folder.path().join("log");
    let mut command = knead();
    command.arg("serve").envs(app.environment()).env("KNEAD_ADDR", &address).env("KNEAD_METRICS_ADDR", &metrics);
    command.env("KNEAD_STORAGE", app.files.path().join("kept")).env("RUST_LOG", "trace,sqlx=debug");
    command.stdout(File::create(folder.path().join("out")).unwrap()).stderr(File::create(&log).unwrap());
    let _running = Running(command.spawn().unwrap());
    assert!(is_there(&address, "/readyz").await);

    let therapist = app.therapist().await.at_address(&address);
    let offer = json!({ "services": [{ "service_id": SWEDISH, "durations": [60] }] });
    therapist.replace("/v1/therapists/me/services", offer).await.is(200);
    let client = app.client().await.at_address(&address);
    let nobody = app.nobody().at_address(&address);
    let reviewer = app.admin_with(&[Grant::Care]).await.at_address(&address);
    let home = client.address(surry_hills()).await;
    let own = client.get(RECIPIENTS).await.is(200).body["data"][0]["id"].as_str().unwrap().to_owned();
    let partner = json!({ "relation": "partner", "display_name": CANARY, "born_on": "1971-02-03" });
    let partner = client.post(RECIPIENTS, partner).await.is(201).id().to_string();

    // Answers, half given and given.
    let complaint = json!({
        "questionnaires": [{ "code": "complaint", "version": 1 }],
        "answers": [{ "question": "complaint", "value": CANARY }, { "question": "complaint_at", "value": ["left_shoulder"] }],
    });
    let path = format!("{RECIPIENTS}/{own}");
    send(client.request(Method::PUT, &format!("{path}/screening-draft")).json(&complaint)).await.is(200);
    let mut given = complaint.clone();
    given["attested"] = json!(true);
    client.post(&format!("{path}/screenings"), given).await.is(201);
    send(client.request(Method::PUT, &format!("{path}/screening-draft")).json(&complaint)).await.is(200);
    let medicines = json!({ "takes_medicines": true, "medicines": [{ "class": "antiplatelet", "name": CANARY }], "epilepsy": "uncontrolled" });
    let health = json!({ "questionnaires": [{ "code": "health", "version": 1 }], "answers": answers(&app, medicines).await, "attested": true });
    client.post(&format!("{path}/screenings"), health.clone()).await.is(201);
    let link = client.act(&format!("{RECIPIENTS}/{partner}/invitations")).await.is(201).body;
    let link = format!("/v1/care-invitations/{}", link["token"].as_str().unwrap());
    let told = nobody.post(&format!("{link}/screenings"), health.clone()).await.is(201).body;
    let link = format!("/v1/care-invitations/{}", told["link"]["token"].as_str().unwrap());

    // A clearance, its letter, and what the reviewer says.
    let today = app.now().date_naive();
    let terms = json!({
        "rules": ["epilepsy_uncontrolled"], "provider": { "kind": "doctor", "name": CANARY }, "services": [],
        "given_on": today - TimeDelta::days(2), "until": today + TimeDelta::days(90), "limits": {},
    });
    let clearance = client.post(&format!("{path}/clearances"), terms).await.is(201);
    let clearance = (clearance.header("location"), clearance.id());
    client.upload(&format!("{}/documents", clearance.0), &format!("{CANARY}.pdf"), &pdf(1)).await.is(201);
    client.act(&format!("{}/submit", clearance.0)).await.is(200);
    let reviewed = format!("/v1/admin/clearances/{}", clearance.1);
    reviewer.act(&format!("{reviewed}/claim")).await.is(200);
    reviewer.post(&format!("{reviewed}/request-info"), json!({ "message": CANARY })).await.is(200);

    // What is agreed to, agreed on, done, measured, planned and said afterwards. The day is one on which the therapist works.
    let healthy = json!({ "questionnaires": [{ "code": "health", "version": 1 }], "attested": true,
        "answers": answers(&app, json!({ "takes_medicines": true, "medicines": [{ "class": "antiplatelet", "name": CANARY }] })).await });
    client.post(&format!("{path}/screenings"), healthy.clone()).await.is(201);
    let consent = json!({ "code": "parent_permission", "version": 1, "answer": "given", "name": CANARY });
    client.post(&format!("{path}/consents"), consent.clone()).await.is(201);
    let told = nobody.post(&format!("{link}/screenings"), healthy).await.is(201).body;
    let link = format!("/v1/care-invitations/{}", told["link"]["token"].as_str().unwrap());
    nobody.post(&format!("{link}/consents"), consent).await.is(201);
    let book = async |day: i64, more: Value| {
        let start = (app.now() + TimeDelta::days(day))
            .with_hour(1)
            .and_then(|at| at.with_minute(0))
            .and_then(|at| at.with_second(0));
        let start = start.and_then(|at| at.with_nanosecond(0)).unwrap();
        let mut wish = json!({
            "therapist_id": therapist.id, "service_id": SWEDISH, "duration_minutes": 60, "start_at": start, "address_id": home, "notes": CANARY,
        });
        wish.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        client.books_with_key(&uuid::Uuid::now_v7().to_string(), &wish).await.is(201).id().to_string()
    };
    let booked = book(3, json!({})).await;
    let theirs = book(4, json!({ "recipient_id": partner })).await;
    let refused = book(5, json!({})).await;
    let visit = format!("/v1/bookings/{booked}");
    let content = json!({ "goals": CANARY, "complaint": CANARY, "nrs": 4 });
    send(client.request(Method::PUT, &format!("{visit}/consultation")).json(&content)).await.is(200);
    therapist.get(&format!("{visit}/care")).await.is(200);
    therapist.get(&format!("{visit}/consultation")).await.is(200);
    nobody.get(&format!("{link}/visits")).await.is(200);
    let begins = format!(
        "UPDATE bookings SET status = 'in_progress', start_at = '{}' WHERE id = '{booked}'",
        app.now() - TimeDelta::minutes(5)
    );
    app.sql(&begins).await.unwrap();
    let soon = format!("UPDATE bookings SET start_at = '{}' WHERE id = '{refused}'", app.now() + TimeDelta::hours(12));
    app.sql(&soon).await.unwrap();
    therapist.post(&format!("/v1/bookings/{refused}/care/object"), json!({ "reason": CANARY })).await.is(200);
    let record = json!({
        "regions": ["neck"], "techniques": ["effleurage"], "pressure": "medium", "observations": CANARY, "response": CANARY,
        "adverse_reaction": { "severity": "mild", "text": CANARY },
    });
    send(therapist.request(Method::PUT, &format!("{visit}/treatment-record")).json(&record)).await.is(200);
    let activities: Vec<Value> = (1..=3).map(|score| json!({ "activity": CANARY, "score": score })).collect();
    for value in [
        json!({ "instrument": "psfs", "activities": activities }),
        json!({ "instrument": "other", "name": CANARY, "score": 20, "highest": 50 }),
    ] {
        client.post(&format!("{visit}/measures"), json!({ "value": value })).await.is(201);
    }
    let plan = json!({
        "goal": CANARY, "visits": 6, "every_days": 14, "review_after_visits": 3, "ends_on": today + TimeDelta::days(90), "stop_when": CANARY,
    });
    therapist.post(&format!("{visit}/plan"), plan).await.is(201);
    client.act(&format!("{visit}/plan/accept")).await.is(200);
    client.post(&format!("{visit}/plan/feedback"), json!({ "text": CANARY })).await.is(201);
    let ended = format!("UPDATE bookings SET status = 'completed' WHERE id = '{booked}'");
    app.sql(&ended).await.unwrap();
    client.post(&format!("{visit}/aftercare/feedback"), json!({ "feeling": "better", "text": CANARY })).await.is(201);
    // What cannot be read is refused without being told again in the log.
    client.post(&format!("{visit}/aftercare/feedback"), json!({ "feeling": CANARY })).await.is(422);
    nobody.get(&format!("/v1/care-invitations/{CANARY}")).await.refused(404, "not_found");

    // It was there to be found: its owner reads it.
    assert!(client.get(&format!("{visit}/plan")).await.text.contains(CANARY));
    assert!(client.get(&format!("{path}/screenings")).await.text.contains(CANARY));
    app.run_jobs().await;
    app.chain_audit().await;
    assert_eq!(tables_with(&app, CANARY).await, Vec::<String>::new());
    let bookings = [booked, theirs, refused];
    let owner = app.admin().await;
    let staff = shown_to_staff(&app, &owner, &bookings).await;
    assert!(
        staff.contains("screening.create")
            || owner.get("/v1/admin/audit?action=screening.create").await.text.contains("screening.create")
    );
    for party in [&client, &therapist] {
        let told =
            party.get("/v1/me/notices?limit=100").await.is(200).text + &party.get("/v1/me/changes").await.is(200).text;
        assert!(told.contains("booking") && !told.contains(CANARY), "{told}");
    }
    let measured = reqwest::get(format!("http://{metrics}/metrics")).await.unwrap().text().await.unwrap();
    assert!(measured.contains("http_requests") && !measured.contains(CANARY), "{measured}");
    let written = std::fs::read_to_string(&log).unwrap() + &std::fs::read_to_string(folder.path().join("out")).unwrap();
    assert!(written.len() > 10_000, "the process tells what it does: {}", written.len());
    let line = written.lines().find(|line| line.contains(CANARY));
    assert_eq!(line, None);
}
