//! Who may look at what, of whom: all operations that name one thing, called by whoever it does not belong to. They are answered as if there were no such
//! thing, to the letter of the code, and it stays as it was.

use std::collections::BTreeMap;

use knead::values::{Grant, Scope};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api_clients::keyed;
use crate::document::{FORM, NOBODYS, Operation, operations};
use crate::support::{Answer, App, Person, send};

/// Where the things are that belong to somebody, and the id of one of them.
type Things = Vec<(&'static str, String)>;

async fn first(person: &Person, path: &str) -> String {
    let page = person.get(path).await.is(200);
    page.body["data"][0]["id"].as_str().unwrap_or_else(|| panic!("{path}: {}", page.text)).to_owned()
}

async fn calls(person: &Person, operation: &Operation, path: &str) -> Answer {
    let request = person.request(operation.method.clone(), path).header("If-Match", "*");
    let request = request.header("Idempotency-Key", Uuid::now_v7().to_string());
    let body = |media: &str| operation.value["requestBody"]["content"][media]["example"].to_string();
    let request = if operation.sends(FORM) {
        let body = format!("--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n{}\r\n--x--\r\n", body(FORM));
        request.header("content-type", format!("{FORM}; boundary=x")).body(body)
    } else if operation.sends("application/json") {
        request.header("content-type", "application/json").body(body("application/json"))
    } else {
        request
    };
    let answer = send(request).await;
    let status = answer.status.as_u16();
    assert!(operation.declared.contains(&status), "{} answers {status}: {}", operation.id, answer.text);
    answer
}

/// What belongs to a client, a therapist and a program, of each kind that an operation names.
async fn things(app: &App, (client, address): (&Person, Uuid), therapist: &Person, program: &Person) -> Things {
    let booking = client.books(therapist, address, "2026-12-01T00:00:00Z").await.is(201).id();
    let hold = client.post("/v1/holds", client.wish(therapist, address, "2026-12-01T04:00:00Z")).await.is(201).id();
    let off = json!({ "start_at": "2026-12-03T00:00:00Z", "end_at": "2026-12-03T05:00:00Z" });
    let off = therapist.post("/v1/therapists/me/time-off", off).await.is(201).id();
    let endpoint = json!({ "url": "https://partner.example/hooks" });
    let endpoint = program.post("/v1/webhook-endpoints", endpoint).await.is(201).id();
    let blocked = app.newcomer().await.id;
    client.post("/v1/me/blocks", json!({ "account_id": blocked })).await;
    vec![
        ("/v1/bookings/{id}", booking.to_string()),
        ("/v1/holds/{id}", hold.to_string()),
        ("/v1/me/addresses/{id}", address.to_string()),
        ("/v1/me/blocks/{id}", blocked.to_string()),
        ("/v1/me/notices/{id}", first(therapist, "/v1/me/notices").await),
        ("/v1/me/recipients/{id}", first(client, "/v1/me/recipients").await),
        ("/v1/me/sessions/{id}", first(client, "/v1/me/sessions").await),
        ("/v1/therapists/me/credentials/{id}", first(therapist, "/v1/therapists/me/credentials").await),
        ("/v1/therapists/me/time-off/{id}", off.to_string()),
        ("/v1/webhook-endpoints/{id}", endpoint.to_string()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_another_s_is_as_if_it_were_not_there() {
    let app = App::start().await;
    let owner = app.admin().await;
    let (therapist, (client, address)) = (app.therapist().await, app.client_at_home().await);
    let program = keyed(&app, &owner, &Scope::ALL).await;
    let things = things(&app, (&client, address), &therapist, &program).await;
    let strangers = [
        ("client", app.client().await),
        ("therapist", app.therapist().await),
        ("admin", app.admin_with(&[]).await),
        ("program", keyed(&app, &owner, &Scope::ALL).await),
    ];
    let mut counted: BTreeMap<u16, usize> = BTreeMap::new();
    for operation in operations() {
        let Some((prefix, id)) = things.iter().find(|(prefix, _)| operation.route.starts_with(prefix)) else {
            continue;
        };
        let real =
            format!("{}{}", prefix.replace("{id}", id), &operation.path[prefix.replace("{id}", NOBODYS).len()..]);
        for (role, stranger) in &strangers {
            let is_admitted = match *role {
                // Where visits stand is for every program that may ask.
                "program" => !operation.scopes.is_empty() && !prefix.starts_with("/v1/bookings"),
                role => operation.admits(role, &[]),
            };
            let (of_another, of_nobody) =
                (calls(stranger, &operation, &real).await, calls(stranger, &operation, &operation.path).await);
            let told = |answer: &Answer| (answer.status.as_u16(), answer.body["code"].clone());
            let id = &operation.id;
            if !is_admitted {
                if *role != "program" || operation.scopes.is_empty() {
                    assert_eq!((of_another.status.as_u16(), of_nobody.status.as_u16()), (403, 403), "{id} by a {role}");
                }
                continue;
            }
            assert_eq!(told(&of_another), told(&of_nobody), "{id} tells a {role} whether there is one");
            let is_done = of_another.status.is_success() && operation.method != Method::DELETE;
            assert!(!is_done, "{id} by a {role}: {}", of_another.text);
            *counted.entry(of_another.status.as_u16()).or_default() += 1;
        }
        for nobody in [&real, &operation.path] {
            calls(&app.nobody(), &operation, nobody).await.refused(401, "unauthorized");
        }
    }
    println!("answers to strangers, by status: {counted:?}");
    assert!(counted[&404] > 80, "{counted:?}");
    // It is all there still, for whom it belongs to.
    for (prefix, id) in &things {
        let path = prefix.replace("{id}", id);
        let whose = [&client, &therapist, &program].map(|person| person.get(&path));
        let seen: Vec<u16> =
            futures_util::future::join_all(whose).await.iter().map(|answer| answer.status.as_u16()).collect();
        match *prefix {
            "/v1/me/blocks/{id}" => assert_eq!(app.rows("blocks").await, 1),
            "/v1/me/sessions/{id}" => {
                assert_eq!(app.rows(&format!("sessions WHERE id = '{id}' AND ended_at IS NULL")).await, 1)
            }
            "/v1/me/notices/{id}" => {
                assert_eq!(app.rows(&format!("notices WHERE id = '{id}' AND read_at IS NULL")).await, 1)
            }
            _ => assert!(seen.contains(&200), "{path}: {seen:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_not_found_by_any_grant() {
    let app = App::start().await;
    let mut callers = vec![("admin", Vec::new(), app.admin_with(&[]).await)];
    for grant in Grant::ALL {
        callers.push(("admin", vec![grant], app.admin_with(&[grant]).await));
    }
    let mut found = BTreeMap::<u16, usize>::new();
    for operation in operations().iter().filter(|operation| operation.route.contains('{') && operation.roles.is_some())
    {
        for (role, grants, person) in &callers {
            let answer = calls(person, operation, &operation.path).await;
            let status = answer.status.as_u16();
            assert_eq!(status == 403, !operation.admits(role, grants), "{} by {grants:?}: {status}", operation.id);
            // What is put under a name that the caller chooses is made; a list of what nobody did is empty.
            let is_named = operation.method == Method::PUT || operation.value["responses"].get("404").is_none();
            let is_list = answer.body["data"] == Value::Array(Vec::new());
            let is_done = answer.status.is_success() && operation.method != Method::DELETE;
            assert!(!is_done || is_named || is_list, "{} by {grants:?}: {}", operation.id, answer.text);
            *found.entry(status).or_default() += 1;
        }
    }
    println!("answers to staff about what is not there, by status: {found:?}");
    assert!(found[&404] > 60 && found[&403] > 300, "{found:?}");
}
