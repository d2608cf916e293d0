//! The document is held against the service, and the committed papers against the code.

use std::collections::BTreeSet;

use knead::bookings::lifecycle;
use knead::credentials::review;
use knead::doors::routes;
use knead::openapi::document;
use knead::values::{Grant, Grants, Scope};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::api_clients::keyed;
use crate::support::{App, DEEP_TISSUE, Person, send};

/// The operations that need no account. Whoever adds one here makes it public.
const PUBLIC: &[&str] = &[
    "answer_care_invitation",
    "check_slots",
    "complete_login",
    "confirm_guest_visit",
    "create_guest_consent",
    "create_quote",
    "forgot_password",
    "get_calendar_feed",
    "get_care_invitation",
    "get_jwks",
    "get_liveness",
    "get_questionnaire",
    "get_readiness",
    "get_service",
    "get_therapist",
    "list_care_rules",
    "list_conditions",
    "list_consent_texts",
    "list_credential_requirements",
    "list_credential_types",
    "list_guest_consents",
    "list_guest_visits",
    "list_policies_in_force",
    "list_questionnaires",
    "list_services",
    "list_slots",
    "list_techniques",
    "list_therapist_credentials",
    "list_therapist_reviews",
    "list_therapists",
    "login",
    "logout",
    "refresh",
    "register",
    "report_mail_events",
    "reset_password",
    "show_unsubscribe",
    "undo_email_change",
    "unsubscribe",
    "withdraw_guest_consent",
];

/// An id that nothing has.
pub const NOBODYS: &str = "0198c0de-0000-7000-8000-000000000000";

/// What a form with a file is sent as.
pub const FORM: &str = "multipart/form-data";
/// What files are answered as.
const FILES: [&str; 3] = ["application/pdf", "image/jpeg", "image/png"];

pub struct Operation {
    pub id: String,
    pub method: Method,
    /// The path as the document has it.
    pub route: String,
    pub path: String,
    /// None where it is public.
    pub roles: Option<BTreeSet<String>>,
    /// Which scopes let an API client call it.
    pub scopes: BTreeSet<String>,
    pub declared: BTreeSet<u16>,
    pub value: Value,
}

fn with_nobodys_id(segment: &str) -> &str {
    if segment.starts_with('{') { NOBODYS } else { segment }
}

impl Operation {
    /// Whether it is for `role`, or for an admin with these grants.
    pub fn admits(&self, role: &str, grants: &[Grant]) -> bool {
        let grants: Grants = grants.iter().copied().collect();
        let may = |grant: &str| {
            let grant: Grant = serde_json::from_value(json!(grant)).expect("a grant");
            role == "admin" && grants.allow(grant)
        };
        let fits = |who: &String| who.strip_prefix("admin:").map_or(who == role, may);
        self.roles.as_ref().is_none_or(|roles| roles.iter().any(fits))
    }

    pub fn sends(&self, media: &str) -> bool {
        self.value["requestBody"]["content"].get(media).is_some()
    }
}

pub fn operations() -> Vec<Operation> {
    let document = document(routes);
    let paths = document["paths"].as_object().unwrap();
    let each = paths
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().iter().map(move |(method, value)| (path, method, value)));
    each.map(|(path, method, value)| {
        let schemes = value["security"].as_array().unwrap();
        let roles = schemes.iter().filter_map(|scheme| scheme["bearer"].as_array()).flatten();
        let scopes = schemes.iter().filter_map(|scheme| scheme["api_key"].as_array()).flatten();
        let public = schemes.is_empty() || schemes.iter().any(|scheme| scheme.as_object().is_some_and(Map::is_empty));
        Operation {
            id: value["operationId"].as_str().unwrap().to_owned(),
            method: method.to_uppercase().parse().unwrap(),
            route: path.clone(),
            // Ids and dates that are nobody's.
            path: path.replace("{date}", "2026-12-01").split('/').map(with_nobodys_id).collect::<Vec<_>>().join("/"),
            scopes: scopes.map(|scope| scope.as_str().unwrap().to_owned()).collect(),
            roles: (!public).then(|| roles.map(|role| role.as_str().unwrap().to_owned()).collect()),
            declared: value["responses"].as_object().unwrap().keys().map(|status| status.parse().unwrap()).collect(),
            value: value.clone(),
        }
    })
    .collect()
}

#[test]
fn public_operations_are_listed_by_hand() {
    let public: BTreeSet<String> = operations().into_iter().filter(|o| o.roles.is_none()).map(|o| o.id).collect();
    assert_eq!(public, PUBLIC.iter().map(|id| (*id).to_owned()).collect());
}

#[test]
fn every_operation_is_documented() {
    let (document, operations) = (document(routes), operations());
    let ids: BTreeSet<&str> = operations.iter().map(|operation| operation.id.as_str()).collect();
    assert_eq!(ids.len(), operations.len(), "ids are unique");
    for Operation { id, value, .. } in &operations {
        for text in ["summary", "description"] {
            assert!(value[text].as_str().is_some_and(|text| text.len() > 3), "{id} has no {text}");
        }
        if let Some(body) = value.get("requestBody") {
            let content = body["content"].as_object().unwrap();
            assert_eq!(content.len(), 1, "{id} reads one media type");
            for (media, body) in content {
                assert!(["application/json", FORM].contains(&media.as_str()), "{id} reads {media}");
                assert!(body["example"].is_object(), "{id} has no example of its body");
            }
        }
        for (status, response) in value["responses"].as_object().unwrap() {
            let shared = response["$ref"].as_str().map(|path| path.trim_start_matches('#'));
            let response = shared.map_or(response, |path| document.pointer(path).expect("a shared answer"));
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{id} {status}");
            for (media, answer) in response["content"].as_object().into_iter().flatten() {
                let is_file = FILES.contains(&media.as_str());
                assert_eq!(answer["example"].is_null(), is_file, "{id} {status} and its example");
                assert!(!is_file || answer["schema"].to_string().contains("File"), "{id} {status} is no file");
            }
        }
    }
}

async fn call(person: &Person, operation: &Operation, body: &str) -> u16 {
    let request = person.request(operation.method.clone(), &operation.path);
    let request = if operation.sends(FORM) {
        // The malformed body stays malformed.
        let form = match body {
            "{" => body.to_owned(),
            _ => format!("--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n{body}\r\n--x--\r\n"),
        };
        request.header("content-type", format!("{FORM}; boundary=x")).body(form)
    } else if operation.sends("application/json") {
        request.header("content-type", "application/json").body(body.to_owned())
    } else {
        request
    };
    let answer = send(request).await;
    let status = answer.status.as_u16();
    assert!(
        operation.declared.contains(&status),
        "{} answers {status}, which it does not declare: {}",
        operation.id,
        answer.text
    );
    assert!(status < 500, "{}: {}", operation.id, answer.text);
    status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_refuses_whom_it_is_not_for() {
    let app = App::start().await;
    let owner = [Grant::Owner];
    let people = [
        ("client", [].as_slice(), app.client().await),
        ("therapist", &[], app.therapist().await),
        ("admin", &owner, app.admin().await),
    ];
    for operation in operations() {
        let media = if operation.sends(FORM) { FORM } else { "application/json" };
        let example = operation.value["requestBody"]["content"][media]["example"].to_string();
        // A body that is malformed does not hide the refusal.
        for body in ["{", example.as_str()] {
            // It would end the callers' sessions, since the example is the tests' own password.
            if operation.id == "change_password" && body != "{" {
                continue;
            }
            let status = call(&app.nobody(), &operation, body).await;
            assert!(operation.roles.is_none() || status == 401, "{} answers nobody with {status}", operation.id);
            for (role, grants, person) in &people {
                let status = call(person, &operation, body).await;
                let welcome = operation.admits(role, grants);
                assert_eq!(status == 403, !welcome, "{} answers a {role} with {status}", operation.id);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_for_admins_asks_for_the_grant_that_it_names() {
    let app = App::start().await;
    let mut admins = vec![(Vec::new(), app.admin_with(&[]).await)];
    for grant in Grant::ALL {
        admins.push((vec![grant], app.admin_with(&[grant]).await));
    }
    let (mut admitted, mut refused) = (0, 0);
    for operation in operations().iter().filter(|operation| operation.roles.is_some()) {
        for (grants, person) in &admins {
            let welcome = operation.admits("admin", grants);
            let status = call(person, operation, "{").await;
            assert_eq!(status == 403, !welcome, "{} answers an admin with {grants:?} with {status}", operation.id);
            *(if welcome { &mut admitted } else { &mut refused }) += 1;
        }
    }
    assert!(admitted > 200 && refused > 500, "{admitted} {refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_takes_the_keys_whose_scope_it_names() {
    let app = App::start().await;
    let owner = app.admin().await;
    let mut keys = Vec::new();
    for scope in Scope::ALL {
        keys.push((json!(scope).as_str().unwrap().to_owned(), keyed(&app, &owner, &[scope]).await));
    }
    let (mut admitted, mut refused) = (0, 0);
    for operation in operations() {
        for (scope, person) in &keys {
            let status = call(person, &operation, "{").await;
            // A public operation that names no scope does not ask who is calling.
            let welcome =
                operation.scopes.contains(scope) || (operation.roles.is_none() && operation.scopes.is_empty());
            assert_eq!(status == 403, !welcome, "{} answers a key for {scope} with {status}", operation.id);
            *(if operation.scopes.contains(scope) { &mut admitted } else { &mut refused }) += 1;
        }
    }
    assert!(admitted >= 30 && refused > 500, "{admitted} {refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_unchanged_is_answered_with_304_exactly_where_it_is_declared() {
    let app = App::start().await;
    let (therapist, (client, address), admin) = (app.therapist().await, app.client_at_home().await, app.admin().await);
    let booking = client.books(&therapist, address, "2026-12-01T00:00:00Z").await.is(201).header("location");
    client.act("/v1/me/calendar-feed").await.is(201);
    let feed = therapist.act("/v1/me/calendar-feed").await.is(201).body["url"].as_str().unwrap().to_owned();
    let people = [("client", &client), ("therapist", &therapist), ("admin", &admin)];
    let mut compared = 0;
    for operation in operations().iter().filter(|operation| operation.method == Method::GET) {
        let path = operation
            .path
            .replace(&format!("/v1/bookings/{NOBODYS}"), &booking)
            .replace(&format!("/v1/services/{NOBODYS}"), &format!("/v1/services/{DEEP_TISSUE}"))
            .replace(&format!("/v1/therapists/{NOBODYS}"), &format!("/v1/therapists/{}", therapist.id))
            .replace(&format!("/v1/me/addresses/{NOBODYS}"), &format!("/v1/me/addresses/{address}"))
            .replace(&format!("/v1/calendar-feeds/{NOBODYS}"), feed.trim_start_matches("http://knead.test"));
        for (role, person) in people {
            if !operation.admits(role, &[Grant::Owner]) {
                continue;
            }
            let known = send(person.request(Method::GET, &path).header("If-None-Match", "*")).await;
            let fresh = person.get(&path).await;
            if fresh.status == 200 {
                compared += 1;
                let (id, declared) = (&operation.id, operation.declared.contains(&304));
                assert_eq!((known.status == 304, known.text.is_empty()), (declared, declared), "{id}");
                assert!(!declared || known.headers.contains_key("etag"), "{id}");
            } else {
                assert_eq!(known.status, fresh.status, "{}: only what is there can be unchanged", operation.id);
            }
        }
    }
    assert!(compared > 70, "{compared}");
    let declared: BTreeSet<Method> =
        operations().into_iter().filter(|o| o.declared.contains(&304)).map(|o| o.method).collect();
    assert_eq!(declared, BTreeSet::from([Method::GET]));
}

#[test]
fn the_committed_document_is_this_one() {
    let committed = include_str!("../../openapi/openapi.json");
    assert_eq!(format!("{:#}\n", document(routes)), committed, "run: cargo run -- openapi > openapi/openapi.json");
}

/// Every operation in a line, for readers: id, method, path, and whose it is.
fn listed() -> String {
    let row = |operation: &Operation| {
        let Operation { id, method, route, roles, scopes, .. } = operation;
        let roles = roles.as_ref().map_or(vec!["anyone".to_owned()], |roles| roles.iter().cloned().collect());
        let whose =
            roles.into_iter().chain(scopes.iter().map(|scope| format!("key:{scope}"))).collect::<Vec<_>>().join(", ");
        format!("| `{id}` | {method} | `{route}` | {whose} |\n")
    };
    format!(
        "| operation | method | path | who |\n|---|---|---|---|\n{}",
        operations().iter().map(row).collect::<String>()
    )
}

/// Holds `docs/{name}.md` against `table`, or prints it anew.
fn assert_printed(name: &str, title: &str, source: &str, table: &str) {
    let path = format!("{}/docs/{name}.md", env!("CARGO_MANIFEST_DIR"));
    let text = format!(
        "# {title}\n\nPrinted by a test from {source}; to print it anew, run `KNEAD_BLESS=1 cargo test printed`.\n\n{table}"
    );
    if std::env::var_os("KNEAD_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), text);
}

#[test]
fn the_lifecycles_are_printed_into_the_docs() {
    let steps = |table: String| format!("Steps that are not listed do not exist.\n\n{table}");
    let bookings = steps(lifecycle::markdown());
    assert_printed("booking-lifecycle", "The life of a booking", "`src/bookings/lifecycle.rs`", &bookings);
    let clearances = steps(knead::care::clearances::markdown());
    assert_printed("clearance-review", "The review of a clearance", "`src/care/clearances/mod.rs`", &clearances);
    let messages = steps(knead::messages::markdown());
    assert_printed("message-states", "The life of a message", "`src/messages/mod.rs`", &messages);
    let reviews = steps(review::markdown());
    assert_printed("credential-review", "The review of a credential", "`src/credentials/review.rs`", &reviews);
}

#[test]
fn the_operations_are_printed_into_the_docs() {
    assert_printed("operations", "Operations", "the OpenAPI document", &listed());
}

#[test]
fn the_consequences_are_printed_into_the_docs() {
    let about = "What is announced without being listed here is kept, and nobody reacts to it.\n\n";
    let page = format!("{about}{}", knead::doors::consequences());
    assert_printed("consequences", "What follows of what", "`src/doors.rs`", &page);
}

#[test]
fn what_is_kept_of_people_is_printed_into_the_docs() {
    let about = "`GET /v1/me/export` tells a person what is held of them, under these names. `DELETE /v1/me` has their account erased after 14 days, in this order. What somebody else holds, or \
                 what only proves something, such as digests, is told to nobody. A table that is not listed holds nothing of anyone: a test makes whoever adds one say so.\n\n\
                 Whatever tells of health is sealed by a key of its person. The keys are deleted (`subject_keys`), and what they sealed can then be read by nobody. Words that are sealed by the keys of the service, in rows \
                 that stay, end by a seal of nothing in their place: at once, or after the years of `KNEAD_RETENTION_YEARS` where somebody may have to answer for what they say. A backup holds what was erased after it until it is thrown away.\n\n";
    let page = format!("{about}{}", knead::privacy::markdown());
    assert_printed("privacy", "What is kept of people", "each feature's `PERSONAL`", &page);
}
