//! The document: made from the operations themselves, completed by what holds for all of them.

mod example;
mod shared;

use actix_web::http::StatusCode;
use serde_json::{Map, Value, json};
use utoipa_actix_web::AppExt;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::error::{Refusal, refused};
use crate::messages::webhooks;
use crate::{notices, tasks};
use example::example;

const DESCRIPTION: &str = "Booking massages at home. No visit is ever double-booked, and none is booked with a therapist \
who may not practise at that place on that day.\n\n\
## How to start\n\n\
1. **Register** with `POST /v1/auth/register` and send the `access_token` as `Authorization: Bearer ...`. It lasts 15 minutes; \
`POST /v1/auth/refresh` gives the next one.\n\
2. **Find**: keep an address with `POST /v1/me/addresses`, and ask `GET /v1/slots` for who can come there and when.\n\
3. **Book** a start with `POST /v1/bookings`, under an `Idempotency-Key` of your own, so that sending it again books nothing twice.\n\n\
**Client apps** hold a slot while the person decides (`POST /v1/holds`), and move or cancel with `POST /v1/bookings/{id}/reschedule` and \
`.../cancel`.\n\
**Therapists** set a profile, offers and a schedule below `/v1/therapists/me`, have their credentials verified there, and run their day from \
`GET /v1/bookings`.\n\
**Admins** work through `GET /v1/admin/credentials` and `GET /v1/admin/tasks`.\n\n\
## What holds everywhere\n\n\
Instants are RFC 3339 in UTC, with the IANA `time_zone` of the place beside them; a date means a date in that zone. \
Money is in minor units of its currency. Errors are problem details (RFC 9457) with a stable `code`; each response lists its \
codes in `x-codes`, and the table of all refusals stands at the end, with the operations for those who run the service. Lists come in \
pages: pass `next_cursor` as `cursor`. A query parameter that an operation does not know is refused, with any method; several values of one parameter \
are separated by commas. Changes with `PUT` and `PATCH` need the resource's `ETag` in `If-Match`. \
Kinds and codes grow: take one that you do not know as any other.";

/// The document of these operations, complete.
pub fn document(routes: fn(&mut ServiceConfig)) -> Value {
    let (_, raw) = actix_web::App::new().into_utoipa_app().configure(routes).split_for_parts();
    complete(json!(raw))
}

fn complete(mut document: Value) -> Value {
    document["info"] = json!({
        "title": "Knead", "version": env!("CARGO_PKG_VERSION"), "summary": "Booking massages at home.",
        "description": DESCRIPTION,
        "contact": { "name": "Knead", "url": "https://knead.example/contact" },
        "license": { "name": "Apache 2.0", "identifier": "Apache-2.0" },
    });
    document["servers"] = json!([{ "url": "/", "description": "This server." }]);
    document["tags"] = tags();
    document["components"]["securitySchemes"] = json!({ "bearer": {
        "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
        "description": "An access token from log-in. An operation names whom it is for: `client`, `therapist`, `admin` for every admin, and \
                        `admin:verifier` for admins with that grant. An owner has every grant but `care`.",
    }, "api_key": {
        "type": "http", "scheme": "bearer", "bearerFormat": "knead_<id>_<secret>_<check digits>",
        "description": "A key of an API client, which an owner makes with `POST /v1/admin/api-clients/{id}/keys`. An operation names the scope that the \
                        client needs. One that is public without naming a scope takes no notice of keys.",
    }});
    // A disclosed booking is a therapist's booking with more in it, so that it fits both.
    if let Some(view) = document["components"]["schemas"]["BookingView"].as_object_mut()
        && let Some(options) = view.remove("oneOf")
    {
        view.insert("anyOf".to_owned(), options);
        let views = [
            ("client", "ClientBooking"),
            ("disclosed", "DisclosedBooking"),
            ("therapist", "TherapistBooking"),
            ("admin", "AdminBooking"),
            ("api_client", "BareBooking"),
        ];
        let mapping: Map<String, Value> = views
            .map(|(seen_as, name)| (seen_as.to_owned(), format!("#/components/schemas/{name}").into()))
            .into_iter()
            .collect();
        view.insert("discriminator".to_owned(), json!({ "propertyName": "seen_as", "mapping": mapping }));
    }
    for (name, schema) in webhooks::kinds::schemas() {
        document["components"]["schemas"][name] = json!(schema);
    }
    shared::name_items(&mut document);
    shared::require_what_is_always_there(&mut document);
    shared::open_codes(&mut document);
    shared::open_kinds(&mut document, "NoticeView", &notices::table::kinds());
    shared::open_kinds(&mut document, "RaisedTask", &tasks::table::kinds());
    let components = document["components"]["schemas"].clone();
    open_parts(&mut document, &components);
    document["components"]["headers"] = shared::headers();
    document["webhooks"] = webhooks::kinds::document();
    for message in document["webhooks"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        add_examples(&mut message["post"]["requestBody"], &components);
    }
    let mut responses = shared::responses(&components);
    if let Some(paths) = document["paths"].as_object_mut() {
        for (method, operation) in paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::iter_mut) {
            complete_operation(method, operation, &mut responses, &components);
        }
    }
    responses.sort_keys();
    document["components"]["responses"] = Value::Object(responses);
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

/// Every refusal there is, as a table.
fn refusals() -> String {
    let rows =
        Refusal::ALL.iter().map(|r| format!("| `{}` | {} | {} |\n", r.code(), r.status().as_u16(), r.sentence()));
    format!("| code | status | rule |\n|---|---|---|\n{}", rows.collect::<String>())
}

/// Groups of operations, in the order in which people come to need them: everyone, clients, both parties, therapists, admins, and whoever
/// runs the service.
fn tags() -> Value {
    json!([
        { "name": "Accounts", "description": "Everyone: registration, sessions and one's own account." },
        { "name": "Notices", "description": "Everyone: what the service tells a person." },
        { "name": "Catalogue", "description": "Client apps: what can be booked, and what it costs." },
        { "name": "Addresses", "description": "Client apps: where a client receives visits." },
        { "name": "Therapists", "description": "Client apps and therapists: profiles, offers and search." },
        { "name": "Availability", "description": "Client apps: slots. Therapists: the working hours and time off that they come of." },
        { "name": "Bookings", "description": "Client apps and therapists: visits, from request to end." },
        { "name": "Care", "description": "Client apps: what is asked before a visit, and what suits whom. Admins: the versions of questions, rules and policies." },
        { "name": "After the visit", "description": "Client apps and therapists: reviews, and what a therapist notes." },
        { "name": "Incidents", "description": "Client apps and therapists: what went wrong at a visit. Admins look into it." },
        { "name": "Blocks", "description": "Client apps and therapists: people who do not wish to meet again." },
        { "name": "Calendars", "description": "Therapists: busy time from calendars elsewhere, and one's own visits as a calendar." },
        { "name": "Credentials", "description": "Therapists: what they hold, and what a place requires." },
        { "name": "Licence checks", "description": "Admins: the review of credentials, and what is required where." },
        { "name": "Rosters", "description": "Admins: authorities' own lists, and credentials held against them." },
        { "name": "Prices", "description": "Client apps: quotes. Admins: the versions of prices, surcharges and policies." },
        { "name": "Messages", "description": "Everyone: what leaves the service for people, and what they want of it." },
        { "name": "Webhooks", "description": "Admins and API clients: other programs that are told of what happens." },
        { "name": "API clients", "description": "Admins: other programs that call the service in their own name." },
        { "name": "Audit", "description": "Admins: what was done, by whom, to what." },
        { "name": "Operations", "description": format!("For those who run the service.\n\nAll refusals, by `code`:\n\n{}", refusals()) },
    ])
}

/// What the operation names with `refused!`, and what follows from its taking an `Idempotency-Key`.
fn take_refusals(operation: &mut Value) -> Vec<Refusal> {
    let named = operation.as_object_mut().and_then(|operation| operation.remove("x-refusals")).unwrap_or_default();
    let is_named =
        |refusal: &Refusal| named.as_array().is_some_and(|codes| codes.iter().any(|code| code == refusal.code()));
    let mut refusals: Vec<Refusal> = Refusal::ALL.iter().copied().filter(is_named).collect();
    let key = operation["parameters"].as_array().and_then(|all| all.iter().find(|p| p["name"] == "Idempotency-Key"));
    if let Some(key) = key {
        refusals.extend(refused![IdempotencyKeyInFlight, IdempotencyKeyReused]);
        if key["required"] == true {
            refusals.push(Refusal::IdempotencyKeyMissing);
        }
    }
    refusals
}

/// Adds the answers that follow from what an operation takes, the headers of every answer, and examples.
fn complete_operation(method: &str, operation: &mut Value, shared: &mut Map<String, Value>, components: &Value) {
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
    let signed_in = security.iter().any(|scheme| scheme.as_object().is_some_and(|scheme| !scheme.is_empty()));
    let must_sign_in =
        signed_in && security.iter().all(|scheme| scheme.as_object().is_some_and(|scheme| !scheme.is_empty()));
    let is_probe = operation["tags"][0] == "Operations";
    let form = |form, json| if is_form { form } else { json };
    let common = [
        (has_body, form("FormUnreadable", "BodyUnreadable")),
        (!is_probe, "Unauthorized"),
        (signed_in, "Forbidden"),
        (has_parameter("path", None), "NotFound"),
        (!is_probe, if sends_json { "JsonNotAcceptable" } else { "NotAcceptable" }),
        (has_body, "Timeout"),
        (has_parameter("header", Some("If-Match")), "PreconditionFailed"),
        // What a file may have is its own operation's to say.
        (has_body && !is_form, "BodyTooLarge"),
        (has_body, form("NotAForm", "NotJson")),
        // A query that nobody reads is refused as well.
        (!is_probe, "Invalid"),
        // A step honours If-Match, and can do without.
        (method != "post" && has_parameter("header", Some("If-Match")), "PreconditionRequired"),
        (true, "TooManyRequests"),
        (true, "Unavailable"),
    ];
    let mut refusals = take_refusals(operation);
    // Staff are refused everywhere what takes a grant.
    let is_for_staff = |scheme: &Value| scheme["bearer"].to_string().contains("admin:");
    if security.iter().any(is_for_staff) {
        refusals.push(Refusal::SecondFactorNeeded);
    }
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
    for (status, response) in responses.iter_mut() {
        complete_response(status, response, components);
    }
    let common = common.into_iter().chain([(has_tag, "NotModified")]);
    for (_, name) in common.filter(|(applies, _)| *applies) {
        let (status, general) = shared::response(name);
        // An operation's own words go before what holds for all.
        responses.entry(status).or_insert(general);
    }
    shared::refuse(responses, &refusals, shared, components);
    responses.sort_keys();
    if let Some(body) = operation.get_mut("requestBody") {
        add_examples(body, components);
    }
}

fn complete_response(status: &str, response: &mut Value, components: &Value) {
    let is_tagged = status == "304" || (status.starts_with('2') && is_tagged(response, components));
    let headers = [("X-Request-Id", true), ("Retry-After", status == "429" || status == "503"), ("ETag", is_tagged)];
    for (name, _) in headers.into_iter().filter(|(_, applies)| *applies) {
        response["headers"][name] = json!({ "$ref": format!("#/components/headers/{name}") });
    }
    add_examples(response, components);
    if response["content"].get("application/problem+json").is_some() {
        if response.get("x-codes").is_none() {
            response["x-codes"] = json!([shared::general_code(status)]);
        }
        response["content"]["application/problem+json"]["example"] = problem_example(status, &response["x-codes"][0]);
    }
}

fn problem_example(status: &str, code: &Value) -> Value {
    let code = code.as_str().unwrap_or_default();
    let known = StatusCode::from_bytes(status.as_bytes()).ok();
    let refusal = Refusal::ALL.iter().find(|refusal| refusal.code() == code);
    json!({
        "type": format!("urn:knead:problem:{code}"), "title": known.and_then(|status| status.canonical_reason()),
        "status": known.map(|status| status.as_u16()), "code": code,
        "detail": refusal.map_or("What went wrong, in a sentence.", |refusal| refusal.sentence()),
        "request_id": "0198c0de-0000-7000-8000-000000000000",
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
