//! The document: made from the operations themselves, completed by what holds for all of them.

use serde_json::{Map, Value, json};
use utoipa_actix_web::AppExt;

use crate::error::Refusal;

const DESCRIPTION: &str = "Booking massages at home. No visit is ever double-booked, and none is booked with a therapist \
who may not practise at that place on that day.\n\n\
Instants are RFC 3339 in UTC, with the IANA `time_zone` of the place beside them; a date means a date in that zone. \
Money is in minor units of its currency. Errors are problem details (RFC 9457) with a stable `code`. Lists come in \
pages: pass `next_cursor` as `cursor`. Changes with `PUT` and `PATCH` need the resource's `ETag` in `If-Match`.";

/// The document, complete.
pub fn document() -> Value {
    let (_, raw) = actix_web::App::new().into_utoipa_app().configure(crate::server::routes).split_for_parts();
    complete(json!(raw))
}

fn complete(mut document: Value) -> Value {
    document["info"] = json!({
        "title": "Knead", "version": env!("CARGO_PKG_VERSION"), "summary": "Booking massages at home.",
        "description": format!("{DESCRIPTION}\n\n{}", refusals()),
        "contact": { "name": "Knead", "url": "https://knead.example/contact" },
        "license": { "name": "Apache 2.0", "identifier": "Apache-2.0" },
    });
    document["servers"] = json!([{ "url": "/", "description": "This server." }]);
    document["tags"] = tags();
    document["components"]["securitySchemes"] = json!({ "bearer": {
        "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
        "description": "An access token from log-in. An operation names the roles that it is for.",
    }});
    // A disclosed booking is a therapist's booking with more in it, so that it fits both.
    if let Some(view) = document["components"]["schemas"]["BookingView"].as_object_mut()
        && let Some(options) = view.remove("oneOf")
    {
        view.insert("anyOf".to_owned(), options);
    }
    let components = document["components"]["schemas"].clone();
    open_parts(&mut document, &components);
    if let Some(paths) = document["paths"].as_object_mut() {
        for (method, operation) in paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::iter_mut) {
            complete_operation(method, operation, &components);
        }
    }
    document
}

/// A schema made of several admits what all of them name, so that none of its parts may forbid what it does not know: wherever
/// such a schema stands within `value`.
fn open_parts(value: &mut Value, components: &Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| open_parts(value, components)),
        Value::Object(fields) => fields.values_mut().for_each(|value| open_parts(value, components)),
        _ => return,
    }
    for part in value.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten() {
        let name = part["$ref"].as_str().and_then(|path| path.rsplit('/').next());
        let closed = name.map(|name| &components[name]).filter(|whole| whole["additionalProperties"] == false);
        if let Some(whole) = closed {
            *part = whole.clone();
        }
        if let Some(part) =
            part.as_object_mut().filter(|part| part.get("additionalProperties") == Some(&Value::Bool(false)))
        {
            part.remove("additionalProperties");
        }
    }
}

/// The list of refusals for the front page.
fn refusals() -> String {
    let rows =
        Refusal::ALL.iter().map(|r| format!("| `{}` | {} | {} |\n", r.code(), r.status().as_u16(), r.sentence()));
    format!("Refusals, by `code`:\n\n| code | status | rule |\n|---|---|---|\n{}", rows.collect::<String>())
}

fn tags() -> Value {
    json!([
        { "name": "Operations", "description": "For those who run the service." },
        { "name": "Accounts", "description": "Registration, sessions and one's own account." },
        { "name": "Addresses", "description": "Where a client receives visits." },
        { "name": "Catalogue", "description": "What can be booked, and its prices." },
        { "name": "Prices", "description": "What a visit costs, and the versions of prices, surcharges and policies." },
        { "name": "Credentials", "description": "What a therapist holds, and what a place requires." },
        { "name": "Licence checks", "description": "The review of credentials, and what is required where." },
        { "name": "Rosters", "description": "Authorities' own lists, and credentials held against them." },
        { "name": "Availability", "description": "Working hours, time off, and the slots that come of them." },
        { "name": "Calendars", "description": "Busy time from calendars elsewhere, and one's own visits as a calendar." },
        { "name": "Therapists", "description": "Profiles, offers and search." },
        { "name": "Bookings", "description": "Visits, from request to end." },
        { "name": "Incidents", "description": "What went wrong at a visit, for staff to look into." },
        { "name": "After the visit", "description": "Reviews, and what a therapist notes." },
        { "name": "Blocks", "description": "Clients and therapists who are not to meet." },
        { "name": "Notices", "description": "What the service tells a person." },
        { "name": "Audit", "description": "What was done, by whom, to what." },
    ])
}

/// Adds the answers that follow from what an operation takes, the headers of every answer, and examples.
fn complete_operation(method: &str, operation: &mut Value, components: &Value) {
    let has_parameter = |place: &str, name: Option<&str>| {
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        parameters.iter().any(|p| p["in"] == place && name.is_none_or(|name| p["name"] == name))
    };
    let has_body = operation.get("requestBody").is_some();
    let is_form = operation["requestBody"]["content"].get("multipart/form-data").is_some();
    let media = operation["responses"]["200"]["content"].as_object();
    let sends_json = media.is_none_or(|media| media.contains_key("application/json"));
    // The server compares an answer to GET with `If-None-Match`, unless it is a file, which has no tag.
    let has_tag = method == "get" && is_tagged(&operation["responses"]["200"], components);
    let security = operation["security"].as_array().cloned().unwrap_or_default();
    let signed_in = security.iter().any(|scheme| scheme.get("bearer").is_some());
    let must_sign_in = signed_in && security.iter().all(|scheme| scheme.get("bearer").is_some());
    let is_probe = operation["tags"][0] == "Operations";
    let common: [(&str, bool, &str); 13] = [
        (
            "400",
            has_body,
            if is_form { "The form cannot be read." } else { "The body is not JSON, or a required header is missing." },
        ),
        ("401", !is_probe, "No valid access token."),
        ("403", signed_in, "The wrong role."),
        ("404", has_parameter("path", None), "No such resource, or not the caller's to know of."),
        (
            "406",
            !is_probe,
            if sends_json {
                "The Accept header does not admit JSON."
            } else {
                "The Accept header does not admit what is answered."
            },
        ),
        ("408", has_body, "The body took too long to arrive."),
        ("412", has_parameter("header", Some("If-Match")), "The resource changed since it was read."),
        ("413", has_body, if is_form { "The file is too large." } else { "The body is larger than 64 kB." }),
        (
            "415",
            has_body,
            if is_form { "The body is not multipart/form-data." } else { "The body is not application/json." },
        ),
        (
            "422",
            has_body || has_parameter("query", None) || has_parameter("path", Some("date")),
            "A field is wrong; `errors` points to it.",
        ),
        // A step honours If-Match, and can do without.
        ("428", method != "post" && has_parameter("header", Some("If-Match")), "If-Match is missing."),
        ("429", true, "Too many requests."),
        ("503", true, "The service cannot answer at present."),
    ];
    if !must_sign_in && !signed_in {
        operation["security"] = json!([]);
    }
    if has_tag {
        let known = json!({
            "name": "If-None-Match", "in": "header", "schema": { "type": "string" },
            "description": "ETags that the caller knows: where one of them still holds, the answer is 304.",
        });
        match operation["parameters"].as_array_mut() {
            Some(parameters) => parameters.push(known),
            None => operation["parameters"] = json!([known]),
        }
    }
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    if has_tag {
        responses.insert("304".to_owned(), json!({ "description": "It is what `If-None-Match` names." }));
    }
    for (status, applies, description) in common {
        if applies && !responses.contains_key(status) {
            responses.insert(
                status.to_owned(),
                json!({
                    "description": description,
                    "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
                }),
            );
        }
    }
    for (status, response) in responses.iter_mut() {
        complete_response(status, response, components);
    }
    responses.sort_keys();
    if let Some(body) = operation.get_mut("requestBody") {
        add_examples(body, components);
    }
}

fn complete_response(status: &str, response: &mut Value, components: &Value) {
    let header = |description: &str, schema: Value| json!({ "description": description, "schema": schema });
    let is_tagged = status == "304" || (status.starts_with('2') && is_tagged(response, components));
    let headers = &mut response["headers"];
    headers["X-Request-Id"] = header("Names the request; sent along or made up.", json!({ "type": "string" }));
    if status == "429" || status == "503" {
        headers["Retry-After"] = header("Seconds to wait.", json!({ "type": "integer" }));
    }
    if is_tagged {
        headers["ETag"] =
            header("The state of the resource, for If-Match and If-None-Match.", json!({ "type": "string" }));
    }
    add_examples(response, components);
    // Problem details have the answer's own status.
    if let Some(example) = response.pointer_mut("/content/application~1problem+json/example") {
        *example = problem_example(status);
    }
}

fn problem_example(status: &str) -> Value {
    let status: u16 = status.parse().unwrap_or(500);
    let title =
        actix_web::http::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("Error");
    let code = title.to_lowercase().replace(' ', "_");
    json!({
        "type": format!("urn:knead:problem:{code}"), "title": title, "status": status, "code": code,
        "detail": "What went wrong, in a sentence.", "request_id": "0198c0de-0000-7000-8000-000000000000",
    })
}

fn add_examples(holder: &mut Value, components: &Value) {
    let Some(content) = holder.get_mut("content").and_then(Value::as_object_mut) else { return };
    for media in content.values_mut() {
        // Of a file on its own there is none that could be shown.
        let example = example(&media["schema"], components, 0);
        if let Some(media) = media.as_object_mut().filter(|media| !is_file(&media["schema"], components)) {
            media.insert("example".to_owned(), example);
        }
    }
}

/// Whether a successful answer carries an `ETag`: it has a body, and is no file.
fn is_tagged(response: &Value, components: &Value) -> bool {
    let content = response["content"].as_object();
    content.is_some_and(|media| media.values().all(|media| !is_file(&media["schema"], components)))
}

/// Whether the schema stands for the bytes of a file.
fn is_file(schema: &Value, components: &Value) -> bool {
    let name = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
    name.map_or(schema, |name| &components[name])["format"] == "binary"
}

/// A value that fits `schema`, from the examples of its parts.
fn example(schema: &Value, components: &Value, depth: usize) -> Value {
    // No schema of ours nests so deep; one that held itself would.
    if depth > 24 {
        return Value::Null;
    }
    let inner = |schema: &Value| example(schema, components, depth + 1);
    if let Some(example) = schema.get("example").or_else(|| schema["examples"].get(0)).or_else(|| schema.get("default"))
    {
        return example.clone();
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return inner(&components[name]);
    }
    if let Some(value) = schema["enum"].get(0).or_else(|| schema.get("const")) {
        return value.clone();
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(options) = schema[choice].as_array() {
            let present = options.iter().find(|option| option["type"] != "null");
            return present.map(&inner).unwrap_or_default();
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let parts = parts.iter().map(&inner).filter_map(|part| part.as_object().cloned());
        return Value::Object(parts.flatten().collect());
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"].get(0).and_then(Value::as_str));
    match kind {
        Some("object") => {
            let properties = schema["properties"].as_object().cloned().unwrap_or_default();
            Value::Object(properties.iter().map(|(name, schema)| (name.clone(), inner(schema))).collect())
        }
        Some("array") => json!([inner(&schema["items"])]),
        Some("integer") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("number") => schema.get("minimum").cloned().unwrap_or(json!(1.5)),
        Some("boolean") => json!(true),
        Some("string") => match schema["format"].as_str() {
            Some("uuid") => json!("0198c0de-0000-7000-8000-000000000000"),
            Some("date-time") => json!("2026-12-01T00:30:00Z"),
            Some("date") => json!("2026-12-01"),
            _ => json!("text"),
        },
        _ => Value::Null,
    }
}
