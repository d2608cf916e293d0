//! What a therapist still has to do, from the first minute to the first start that can be booked.

use serde_json::{Value, json};

use crate::documents::png;
use crate::support::{App, DEEP_TISSUE, Person, WEEK, send};

const PATH: &str = "/v1/therapists/me/readiness";

/// Each step with its state.
fn states(readiness: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    readiness["steps"].as_array().unwrap().iter().map(|step| (text(&step["step"]), text(&step["state"]))).collect()
}

fn state_of(readiness: &Value, step: &str) -> String {
    states(readiness).into_iter().find(|(name, _)| name == step).unwrap().1
}

async fn read(person: &Person) -> Value {
    person.get(PATH).await.is(200).body
}

/// The state and the next call of a group.
fn group(readiness: &Value, name: &str) -> (String, Value) {
    let groups = readiness["groups"].as_array().unwrap();
    let found = groups.iter().find(|group| group["group"] == name).unwrap();
    (found["state"].as_str().unwrap().to_owned(), found["next"]["path"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_names_the_call_that_takes_it() {
    let app = App::start().await;
    let (newcomer, admin) = (app.newcomer().await, app.admin().await);
    let first = read(&newcomer).await;
    assert_eq!(first["bookable"], false);
    let names: Vec<String> = states(&first).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["base", "offers", "hours", "credentials", "accepting_bookings"]);
    assert_eq!(
        first["steps"][0]["next"],
        json!({ "method": "PATCH", "path": "/v1/therapists/me", "fields": ["base_latitude", "base_longitude"] })
    );
    assert_eq!(
        (&first["jurisdiction"], &first["first_start_at"], &first["groups"]),
        (&Value::Null, &Value::Null, &json!([]))
    );

    newcomer
        .change("/v1/therapists/me", json!({ "base_latitude": -33.8981, "base_longitude": 151.1743 }))
        .await
        .is(200);
    let based = read(&newcomer).await;
    assert_eq!((&based["jurisdiction"], &based["time_zone"]), (&json!("AU-NSW"), &json!("Australia/Sydney")));
    assert_eq!(state_of(&based, "base"), "done");
    assert_eq!(based["groups"].as_array().unwrap().len(), 5);
    assert_eq!(group(&based, "insurance"), ("missing".to_owned(), json!("/v1/therapists/me/credentials")));

    let offers = json!({ "services": [{ "service_id": DEEP_TISSUE, "durations": [60, 90] }] });
    newcomer.replace("/v1/therapists/me/services", offers).await.is(200);
    newcomer.works(&WEEK.map(|day| (day, "09:00", "17:00"))).await;
    let working = read(&newcomer).await;
    for step in ["offers", "hours", "accepting_bookings"] {
        assert_eq!(state_of(&working, step), "done", "{step}");
    }
    assert_eq!((&working["first_start_at"], &working["refused_by"]), (&Value::Null, &json!(["credentials"])));

    // A group goes from draft to review to force.
    let draft = json!({ "type": "INSURANCE", "number": "77", "name_on_credential": "Sam Okafor", "expires_on": "2027-06-30", "cover": { "amount": 2_000_000_000, "currency": "AUD" } });
    let id = newcomer.post("/v1/therapists/me/credentials", draft).await.is(201).id();
    let path = format!("/v1/therapists/me/credentials/{id}");
    assert_eq!(group(&read(&newcomer).await, "insurance"), ("to_complete".to_owned(), json!(format!("{path}/submit"))));
    newcomer.upload(&format!("{path}/documents"), "policy.png", &png()).await.is(201);
    newcomer.act(&format!("{path}/submit")).await.is(200);
    assert_eq!(group(&read(&newcomer).await, "insurance"), ("in_review".to_owned(), Value::Null));
    let review = format!("/v1/admin/credentials/{id}");
    admin.act(&format!("{review}/claim")).await.is(200);
    admin.post(&format!("{review}/reject"), json!({ "reason_codes": ["illegible"] })).await.is(200);
    let rejected = read(&newcomer).await;
    assert_eq!(group(&rejected, "insurance"), ("not_in_force".to_owned(), json!(format!("{path}/reopen"))));
    assert_eq!(state_of(&rejected, "credentials"), "to_do");

    app.license(&newcomer, "2027-12-31").await;
    let ready = read(&newcomer).await;
    assert_eq!(ready["bookable"], true, "{ready}");
    assert_eq!(group(&ready, "insurance"), ("met".to_owned(), Value::Null));
    // Two hours' notice, from noon in Sydney.
    assert_eq!((&ready["first_start_at"], &ready["refused_by"]), (&json!("2026-11-30T03:00:00Z"), &json!([])));
    let (client, address) = app.client_at_home().await;
    client.books(&newcomer, address, ready["first_start_at"].as_str().unwrap()).await.is(201);

    newcomer.change("/v1/therapists/me", json!({ "accepting_bookings": false })).await.is(200);
    let closed = read(&newcomer).await;
    assert_eq!((&closed["bookable"], &closed["refused_by"]), (&json!(false), &json!(["not_accepting"])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_see_it_too_and_leave_a_trace() {
    let app = App::start().await;
    let (therapist, admin, client) = (app.therapist().await, app.admin().await, app.client().await);
    let path = format!("/v1/admin/therapists/{}/readiness", therapist.id);
    let seen = admin.get(&path).await.is(200).body;
    assert_eq!(seen, read(&therapist).await);
    assert_eq!(seen["bookable"], true);
    let looks = admin.get("/v1/admin/audit?action=therapist.read").await.is(200).body;
    assert_eq!(looks["data"].as_array().unwrap().len(), 1, "one's own look is none");
    for person in [&client, &therapist] {
        person.get(&path).await.refused(403, "forbidden");
    }
    client.get(PATH).await.refused(403, "forbidden");
    admin.get("/v1/admin/therapists/0198c0de-0000-7000-8000-000000000000/readiness").await.refused(404, "not_found");
    // Hours that are never worked are none.
    therapist.works(&[]).await;
    let idle = read(&therapist).await;
    assert_eq!((state_of(&idle, "hours"), &idle["bookable"]), ("to_do".to_owned(), &json!(false)));
    assert_eq!(idle["steps"][2]["next"]["path"], "/v1/therapists/me/schedule");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_its_file_and_its_submission_are_one_call() {
    let app = App::start().await;
    let (therapist, client) = (app.newcomer().await, app.client().await);
    let path = "/v1/therapists/me/credential-submissions";
    let text = json!({ "type": "POLICE-CHECK", "number": "PC-1", "name_on_credential": "Sam Okafor", "issued_on": "2026-10-01", "expires_on": "2027-10-01" }).to_string();
    let send_it = async |person: &Person, text: &str, file: &[u8]| {
        let parts = [("credential", None, text.as_bytes()), ("file", Some("check.png"), file)];
        send(person.form(path, &parts).header("Idempotency-Key", "once")).await
    };
    let made = send_it(&therapist, &text, &png()).await.is(201);
    assert_eq!(made.body["review_state"], "submitted");
    assert_eq!(made.header("location"), format!("/v1/therapists/me/credentials/{}", made.id()));
    let files = therapist.get(&format!("{}/documents", made.header("location"))).await.is(200).body;
    assert_eq!(files["data"].as_array().unwrap().len(), 1);
    // The same again is the same answer, and nothing twice.
    let again = send_it(&therapist, &text, &png()).await.is(201);
    assert_eq!((again.id(), again.header("idempotent-replay")), (made.id(), "true".to_owned()));
    assert_eq!((app.rows("credentials").await, app.rows("credential_documents").await), (1, 1));

    // All or nothing.
    let other = text.replace("PC-1", "PC-2");
    let fresh = async |text: &str, file: &[u8]| {
        send(therapist.form(path, &[("credential", None, text.as_bytes()), ("file", Some("a.png"), file)])).await
    };
    fresh(&other, b"not a picture").await.refused(422, "document_type_unsupported");
    fresh(&other.replace("POLICE-CHECK", "NO-SUCH"), &png()).await.points_to(&["/type"]);
    fresh(&other.replace("\"number\"", "\"numbers\""), &png()).await.points_to(&["/credential/numbers"]);
    fresh("{", &png()).await.points_to(&["/credential"]);
    send(therapist.form(path, &[("file", Some("a.png"), &png())])).await.points_to(&["/credential"]);
    let incomplete = json!({ "type": "US-TX-LMT", "name_on_credential": "Sam Okafor" }).to_string();
    fresh(&incomplete, &png()).await.points_to(&["/number", "/expires_on"]);
    assert_eq!((app.rows("credentials").await, app.rows("credential_documents").await), (1, 1));
    assert_eq!(
        std::fs::read_dir(app.files.path().join("kept"))
            .unwrap()
            .flat_map(|entry| walk(&entry.unwrap().path()))
            .count(),
        1,
        "no file is left behind"
    );
    send_it(&client, &text, &png()).await.refused(403, "forbidden");
}

/// Every file below a path.
fn walk(path: &std::path::Path) -> Vec<std::path::PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    std::fs::read_dir(path).into_iter().flatten().flat_map(|entry| walk(&entry.unwrap().path())).collect()
}
