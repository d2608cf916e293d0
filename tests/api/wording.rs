//! What is wrong with a request is said in the words of whoever wrote the client, and nowhere in the parser's.

use std::collections::BTreeSet;

use knead::doors::routes;
use knead::openapi::document;
use knead::values::Grant;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, App, DEEP_TISSUE, Person, send};

/// The one field error of an answer: its pointer, code and detail.
#[track_caller]
fn only_error(answer: &Answer) -> (&str, &str, &str) {
    assert_eq!(answer.status, 422, "{}", answer.text);
    let [error] = answer.body["errors"].as_array().unwrap().as_slice() else { panic!("{}", answer.text) };
    let text = |name: &str| error[name].as_str().unwrap();
    (text("pointer"), text("code"), text("detail"))
}

struct WrongBody<'a> {
    person: &'a Person,
    path: &'static str,
    body: &'a str,
    expected: (&'static str, &'static str, &'static str),
}

#[tokio::test]
async fn a_body_is_found_fault_with_in_words_of_json() {
    const WHOLE: &str = "must be a whole number between -32768 and 32767.";
    let app = App::start().await;
    let (client, therapist, admin) = (app.client().await, app.therapist().await, app.admin().await);
    let charge = |charge: Value| json!({ "terms": { "charge": charge } });
    for WrongBody { person, path, body, expected } in [
        WrongBody {
            person: &client,
            path: "/v1/holds",
            body: "{\"duration_minutes\": \"60\"}",
            expected: ("/duration_minutes", "wrong_type", WHOLE),
        },
        WrongBody {
            person: &client,
            path: "/v1/holds",
            body: "{\"duration_minutes\": 60.5}",
            expected: ("/duration_minutes", "wrong_type", WHOLE),
        },
        WrongBody {
            person: &client,
            path: "/v1/holds",
            body: "{\"duration_minutes\": null}",
            expected: ("/duration_minutes", "wrong_type", WHOLE),
        },
        WrongBody {
            person: &client,
            path: "/v1/holds",
            body: "{\"duration_minutes\": 70000}",
            expected: ("/duration_minutes", "out_of_range", WHOLE),
        },
        WrongBody {
            person: &client,
            path: "/v1/holds",
            body: "{\"therapist_id\": \"x\"}",
            expected: ("/therapist_id", "invalid", "must be a UUID."),
        },
        WrongBody {
            person: &client,
            path: "/v1/holds",
            body: "{\"therapist_id\": 7}",
            expected: ("/therapist_id", "wrong_type", "must be a UUID."),
        },
        WrongBody {
            person: &client,
            path: "/v1/holds",
            body: "{\"start_at\": {}}",
            expected: ("/start_at", "wrong_type", "must be a string."),
        },
        WrongBody {
            person: &client,
            path: "/v1/holds",
            body: "{\"a/b`~\": 1}",
            expected: ("/a~1b`~0", "unknown", "is not known here."),
        },
        WrongBody {
            person: &client,
            path: "/v1/holds",
            body: "{\"start_at\": \"2026-12-01T00:00:00Z\", \"start_at\": 1}",
            expected: ("/start_at", "duplicate", "is given twice."),
        },
        WrongBody {
            person: &client,
            path: "/v1/holds",
            body: "{}",
            expected: ("/therapist_id", "missing", "is missing."),
        },
        WrongBody { person: &client, path: "/v1/holds", body: "7", expected: ("", "wrong_type", "must be an object.") },
        WrongBody {
            person: &client,
            path: "/v1/holds",
            body: "[]",
            expected: ("", "wrong_type", "must be an object."),
        },
        WrongBody {
            person: &client,
            path: "/v1/bookings",
            body: "{\"focus_areas\": {}}",
            expected: ("/focus_areas", "wrong_type", "must be an array."),
        },
        WrongBody {
            person: &client,
            path: "/v1/bookings",
            body: "{\"focus_areas\": [\"back\", 1]}",
            expected: ("/focus_areas/1", "wrong_type", "must be a string."),
        },
        WrongBody {
            person: &client,
            path: "/v1/bookings",
            body: "{\"pressure\": \"hard\"}",
            expected: ("/pressure", "invalid", "must be one of `light`, `medium`, `firm`, `deep`."),
        },
        WrongBody {
            person: &client,
            path: "/v1/bookings",
            body: "{\"pressure\": 3}",
            expected: ("/pressure", "wrong_type", "must be a string."),
        },
        WrongBody {
            person: &client,
            path: "/v1/me/addresses",
            body: "{\"label\": \"Home\", \"latitude\": \"south\"}",
            expected: ("/latitude", "wrong_type", "must be a number."),
        },
        WrongBody {
            person: &client,
            path: "/v1/me/addresses",
            body: "{\"latitude\": 1e999}",
            expected: ("/latitude", "wrong_type", "is of another type than is asked for."),
        },
        WrongBody {
            person: &client,
            path: "/v1/me/addresses",
            body: "{\"latitude\": 91}",
            expected: ("/latitude", "invalid", "must lie between -90.0 and 90.0."),
        },
        WrongBody {
            person: &therapist,
            path: "/v1/therapists/me/schedule/copies",
            body: "{\"replace\": 1}",
            expected: ("/replace", "wrong_type", "must be true or false."),
        },
        WrongBody {
            person: &admin,
            path: "/v1/admin/surcharges",
            body: &charge(json!("flat")).to_string(),
            expected: ("/terms/charge", "wrong_type", "must be an object."),
        },
        WrongBody {
            person: &admin,
            path: "/v1/admin/surcharges",
            body: &charge(json!({ "kind": "flat" })).to_string(),
            expected: ("/terms/charge/kind", "invalid", "must be one of `percent`, `fixed`, `per_km`."),
        },
        WrongBody {
            person: &admin,
            path: "/v1/admin/surcharges",
            body: &charge(json!({ "kind": "fixed", "amount": { "amount": 1, "currency": "XXXX" } })).to_string(),
            expected: ("/terms/charge", "invalid", "is not one of the known values."),
        },
    ] {
        let request = person.request(Method::POST, path).header("content-type", "application/json");
        let answer = send(request.header("Idempotency-Key", "a").body(body.to_owned())).await;
        assert_eq!(only_error(&answer), expected, "{path} {body}");
    }
    let broken = client
        .request(Method::POST, "/v1/holds")
        .header("content-type", "application/json")
        .body("{\n\"start_at\": nul}");
    let broken = send(broken).await.refused(400, "malformed");
    let detail = broken.body["detail"].as_str().unwrap();
    assert!(detail.starts_with("The body is not JSON, as line 2 shows at column 1"), "{detail}");
}

#[tokio::test]
async fn a_query_and_a_path_are_found_fault_with_in_words_of_http() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let place = "latitude=-33.8886&longitude=151.2111&country=AU&region=NSW";
    let slots = |rest: &str| format!("/v1/slots?service_id={DEEP_TISSUE}&from=2026-12-01&to=2026-12-01&{place}&{rest}");
    let minutes = "/duration_minutes";
    for (path, expected) in [
        (slots("duration_minutes=long"), (minutes, "wrong_type", "must be a whole number.")),
        (slots("duration_minutes="), (minutes, "wrong_type", "must be a whole number.")),
        (slots("duration_minutes=99999"), (minutes, "out_of_range", "is too large.")),
        (slots("duration_minutes=-99999"), (minutes, "out_of_range", "is too small.")),
        (slots("duration_minutes=60&duration_minutes=60"), (minutes, "duplicate", "is given twice.")),
        (slots(""), (minutes, "missing", "is missing.")),
        (
            "/v1/me/notices?a/b=1".to_owned(),
            ("/a~1b", "unknown", "is not known here; known are `unread`, `limit`, `cursor`."),
        ),
        (slots("duration_minutes=60&explain=yes"), ("/explain", "wrong_type", "must be true or false.")),
        (slots("duration_minutes=60&therapist_id=x"), ("/therapist_id", "invalid", "must be a UUID.")),
        (
            slots("duration_minutes=60&sort=best"),
            ("/sort", "invalid", "must be one of `soonest`, `distance`, `rating`."),
        ),
        (slots("duration_minutes=60&limit=101"), ("/limit", "invalid", "must be a whole number from 1 to 100.")),
        ("/v1/therapists?latitude=south&longitude=0".to_owned(), ("/latitude", "wrong_type", "must be a number.")),
        (
            "/v1/therapists?latitude=91&longitude=0".to_owned(),
            ("/latitude", "invalid", "must lie between -90.0 and 90.0."),
        ),
        ("/v1/therapists/me/overrides/soon".to_owned(), ("/date", "invalid", "is not a date of the form 2026-12-01.")),
        (
            "/v1/therapists/me/schedules/1999-01-01".to_owned(),
            ("/effective_from", "invalid", "must lie between the years 2000 and 2100."),
        ),
    ] {
        assert_eq!(only_error(&therapist.get(&path).await), expected, "{path}");
    }
    // An id that cannot exist names nothing.
    for path in ["/v1/bookings/7", "/v1/bookings/%00", "/v1/admin/credentials/x/history"] {
        admin.get(path).await.refused(404, "not_found");
    }
}

/// Words that a parser says, and names of types that it knows.
const FOREIGN: [&str; 33] = [
    "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f32", "f64", "usize", "isize", "bool", "str", "struct",
    "enum", "tuple", "tagged", "variant", "newtype", "unit", "sequence", "map", "option", "vec", "expected", "digit",
    "literal", "target", "parse", "parsing", "borrowed", "serde",
];

/// Fails where an answer's details hold a foreign word; the names of values, within backticks, are no words.
#[track_caller]
fn assert_plain(answer: &Answer, what: &str) {
    let details = answer.body["errors"].as_array().into_iter().flatten().map(|error| &error["detail"]);
    for detail in details.chain([&answer.body["detail"]]).filter_map(Value::as_str) {
        let words: BTreeSet<String> = detail
            .split('`')
            .step_by(2)
            .flat_map(|text| text.split(|c: char| !c.is_alphanumeric()))
            .map(str::to_lowercase)
            .collect();
        let foreign: Vec<&&str> = FOREIGN.iter().filter(|word| words.contains(**word)).collect();
        assert!(foreign.is_empty(), "{what}: {detail}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_operation_speaks_of_the_types_it_is_written_in() {
    let app = App::start().await;
    let people = [
        ("client", app.client().await),
        ("therapist", app.therapist().await),
        ("admin", app.admin_with(&[Grant::Care, Grant::Owner]).await),
    ];
    let nobody = app.nobody();
    let document = document(routes);
    let paths = document["paths"].as_object().unwrap();
    let each =
        paths.iter().flat_map(|(path, item)| item.as_object().unwrap().iter().map(move |(m, value)| (path, m, value)));
    let (mut bodies, mut queries) = (0, 0);
    for (path, method, operation) in each {
        let id = operation["operationId"].as_str().unwrap();
        let roles = operation["security"].to_string();
        // The first two end the caller's own session where they are taken at their word, and what was not signed is not read.
        if ["change_password", "delete_me", "report_mail_events"].contains(&id) {
            continue;
        }
        let person: &Person =
            people.iter().find(|(role, _)| roles.contains(role)).map_or(&nobody, |(_, person)| person);
        let segments =
            path.replace("{date}", "2026-12-01").replace("{effective_from}", "2026-12-01").replace("{code}", "AU");
        let segments = segments.split('/').map(|s| if s.starts_with('{') { DEEP_TISSUE } else { s });
        let path = segments.collect::<Vec<_>>().join("/");
        let method: Method = method.to_uppercase().parse().unwrap();
        let example = &operation["requestBody"]["content"]["application/json"]["example"];
        for (name, was) in example.as_object().into_iter().flatten() {
            let mut refused = 0;
            let nested = json!([[{ "x": [was] }]]);
            for wrong in
                [json!(null), json!(true), json!(-7.5), json!(1e30), json!("x\u{0}"), json!([]), json!({}), nested]
            {
                let mut body = example.clone();
                body[name] = wrong.clone();
                let answer = send(person.request(method.clone(), &path).json(&body)).await;
                assert_plain(&answer, &format!("{id} {name}: {wrong}"));
                refused += usize::from(answer.status == 422);
            }
            assert!(refused > 0, "{id} takes anything for `{name}`");
            bodies += refused;
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten().filter(|p| p["in"] == "query") {
            let name = parameter["name"].as_str().unwrap();
            for wrong in ["", "x", "-1", "1.5", "99999999999999999999", "null", "%00", "[]", "1&{name}=2"] {
                let answer = person.get(&format!("{path}?{name}={}", wrong.replace("{name}", name))).await;
                assert_plain(&answer, &format!("{id} {name}={wrong}"));
                queries += usize::from(answer.status == 422);
            }
        }
    }
    assert!(bodies > 1000 && queries > 500, "{bodies} bodies and {queries} queries were refused");
}
