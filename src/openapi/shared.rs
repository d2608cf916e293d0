//! What many operations share is said once, and referred to.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use serde_json::{Map, Value, json};

use super::complete_response;
use crate::error::{Error, Refusal};

/// Answers that follow from what an operation takes: name, status, code, description.
const RESPONSES: [(&str, &str, &str, &str); 17] = [
    ("NotModified", "304", "", "It is what `If-None-Match` names."),
    ("BodyUnreadable", "400", "malformed", "The body is not JSON, or a required header is missing."),
    ("FormUnreadable", "400", "malformed", "The form cannot be read."),
    ("Unauthorized", "401", "unauthorized", "No valid access token."),
    ("Forbidden", "403", "forbidden", "The wrong role, or an admin without the grant."),
    ("NotFound", "404", "not_found", "No such resource, or not the caller's to know of."),
    ("JsonNotAcceptable", "406", "not_acceptable", "The Accept header does not admit JSON."),
    ("NotAcceptable", "406", "not_acceptable", "The Accept header does not admit what is answered."),
    ("Timeout", "408", "request_timeout", "The body took too long to arrive."),
    ("PreconditionFailed", "412", "precondition_failed", "The resource changed since it was read."),
    ("BodyTooLarge", "413", "payload_too_large", "The body is larger than 64 kB."),
    ("NotJson", "415", "unsupported_media_type", "The body is not application/json."),
    ("NotAForm", "415", "unsupported_media_type", "The body is not multipart/form-data."),
    ("Invalid", "422", "invalid", "A field is wrong, or a query parameter is not known; `errors` points to it."),
    ("PreconditionRequired", "428", "precondition_required", "If-Match is missing."),
    ("TooManyRequests", "429", "too_many_requests", "Too many requests."),
    ("Unavailable", "503", "unavailable", "The service cannot answer at present."),
];

/// Fields of answers that are left out where there is nothing to say: schema and field. All others are always there, and may be null.
const SOMETIMES: &[(&str, &str)] = &[
    ("BookingEvent", "change"),
    ("CancellationQuote", "therapist_share"),
    ("NoticeDetails", "charge"),
    ("NoticeDetails", "counter_offer_id"),
    ("NoticeDetails", "days_before"),
    ("NoticeDetails", "duration_minutes"),
    ("NoticeDetails", "error"),
    ("NoticeDetails", "expires_on"),
    ("NoticeDetails", "local_start"),
    ("NoticeDetails", "local_start_before"),
    ("NoticeDetails", "price"),
    ("NoticeDetails", "proposed_start_at"),
    ("NoticeDetails", "reason_codes"),
    ("NoticeDetails", "start_at"),
    ("NoticeDetails", "start_at_before"),
    ("NoticeDetails", "time_zone"),
    ("NoticeDetails", "type"),
    ("PriceBreakdown", "agreed_for"),
    ("Problem", "allowed"),
    ("Problem", "care"),
    ("Problem", "challenge_id"),
    ("Problem", "errors"),
    ("Problem", "methods"),
    ("Problem", "not_before"),
    ("Problem", "state"),
    ("Slot", "price"),
    ("Slot", "travel_minutes"),
    ("SlotPage", "refused"),
    ("TaskDetails", "account_id"),
    ("TaskDetails", "end_at"),
    ("TaskDetails", "import_id"),
    ("TaskDetails", "local_start"),
    ("TaskDetails", "local_start_before"),
    ("TaskDetails", "reason_codes"),
    ("TaskDetails", "review_state"),
    ("TaskDetails", "start_at"),
    ("TaskDetails", "status"),
    ("TaskDetails", "therapist_id"),
];

/// The shared answer of this name for an operation: its status, and where it stands.
pub(super) fn response(name: &str) -> (&'static str, Value) {
    let status = RESPONSES.iter().find(|(known, ..)| *known == name).map_or("default", |(_, status, ..)| status);
    (status, reference(name))
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("{PLACE}{name}") })
}

/// Where shared answers stand.
const PLACE: &str = "#/components/responses/";

/// Every answer that follows from what an operation takes.
pub(super) fn responses(components: &Value) -> Map<String, Value> {
    let each = RESPONSES.iter().map(|(name, status, code, description)| {
        let mut response = json!({ "description": description });
        if *status != "304" {
            response = problem(description, &[code]);
        }
        complete_response(status, &mut response, components);
        ((*name).to_owned(), response)
    });
    each.collect()
}

/// An answer with problem details of one of `codes`.
fn problem(description: &str, codes: &[&str]) -> Value {
    json!({
        "description": description,
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
        "x-codes": codes,
    })
}

/// Adds `refusals` to what an operation answers with their status. An answer of few codes is shared by name.
pub(super) fn refuse(
    responses: &mut Map<String, Value>,
    refusals: &[Refusal],
    shared: &mut Map<String, Value>,
    components: &Value,
) {
    let statuses: BTreeSet<StatusCode> = refusals.iter().map(|refusal| refusal.status()).collect();
    for status in statuses {
        let these: Vec<Refusal> = refusals.iter().copied().filter(|refusal| refusal.status() == status).collect();
        let status = status.as_str();
        let before = responses.get(status);
        let general = before.and_then(|response| general(status, response));
        let mut names: Vec<String> = these.iter().map(|refusal| format!("{refusal:?}")).collect();
        let mut codes: Vec<&str> = these.iter().map(|refusal| refusal.code()).collect();
        let mut words: Vec<String> =
            these.iter().map(|refusal| format!("- `{}`: {}", refusal.code(), refusal.sentence())).collect();
        if let Some((name, code, description)) = general {
            names.insert(0, name.to_owned());
            codes.insert(0, code);
            words.insert(0, format!("{description}\n"));
        }
        let is_worded = before.is_some_and(|response| response.get("$ref").is_none());
        let mut response = problem(&words.join("\n"), &codes);
        complete_response(status, &mut response, components);
        if !is_worded && codes.len() <= FEW {
            let name = names.join("Or");
            responses.insert(status.to_owned(), reference(&name));
            shared.insert(name, response);
        } else {
            responses.insert(status.to_owned(), response);
        }
    }
}

/// The most codes of an answer that has a name.
const FEW: usize = 2;

/// The code that goes with a status where no rule of the domain refuses.
pub(super) fn general_code(status: &str) -> &'static str {
    RESPONSES.iter().find(|(_, same, ..)| *same == status).map_or("internal", |(.., code, _)| code)
}

/// The name, the code and the words of an answer that has no refusals yet: a shared one, or one that the operation describes itself.
fn general<'a>(status: &str, response: &'a Value) -> Option<(&'static str, &'static str, &'a str)> {
    let name = response["$ref"].as_str().and_then(|path| path.strip_prefix(PLACE));
    let (name, _, code, words) =
        RESPONSES.iter().find(|(known, same, ..)| name.map_or(*same == status, |name| name == *known))?;
    Some((name, code, response["description"].as_str().unwrap_or(words)))
}

/// Every shared header.
pub(super) fn headers() -> Value {
    json!({
        "X-Request-Id": { "description": "Names the request; sent along or made up.", "schema": { "type": "string" } },
        "Retry-After": { "description": "Seconds to wait.", "schema": { "type": "integer" } },
        "ETag": {
            "description": "The state of the resource, for If-Match and If-None-Match.", "schema": { "type": "string" },
        },
    })
}

/// Lets pages name the schema of their items, which utoipa writes out in full.
pub(super) fn name_items(document: &mut Value) {
    let Some(schemas) = document["components"]["schemas"].as_object_mut() else { return };
    for page in schemas.keys().filter(|name| name.starts_with("Page_")).cloned().collect::<Vec<_>>() {
        let item = page.trim_start_matches("Page_");
        if schemas.contains_key(item)
            && let Some(items) = schemas.get_mut(&page).and_then(|page| page.pointer_mut("/properties/data/items"))
        {
            *items = json!({ "$ref": format!("#/components/schemas/{item}") });
        }
    }
}

/// Requires each field of what is only ever answered, since an answer leaves none out: utoipa takes a field that may be null for one
/// that may be missing.
pub(super) fn require_what_is_always_there(document: &mut Value) {
    let sent = sent(document);
    let Some(schemas) = document["components"]["schemas"].as_object_mut() else { return };
    for (name, schema) in schemas.iter_mut().filter(|(name, _)| !sent.contains(*name)) {
        require_all(name, schema);
    }
}

fn require_all(name: &str, schema: &mut Value) {
    if let Some(properties) = schema["properties"].as_object() {
        let always = properties.keys().filter(|field| !SOMETIMES.contains(&(name, field.as_str())));
        schema["required"] = always.cloned().collect();
    }
    for part in schema.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten() {
        require_all(name, part);
    }
}

/// The schemas that requests are made of.
fn sent(document: &Value) -> BTreeSet<String> {
    let operations = document["paths"].as_object().into_iter().flat_map(Map::values).filter_map(Value::as_object);
    let operations = operations.flat_map(Map::values);
    let mut open: Vec<&Value> =
        operations.flat_map(|operation| [&operation["requestBody"], &operation["parameters"]]).collect();
    let mut sent = BTreeSet::new();
    while let Some(value) = open.pop() {
        match value {
            Value::Array(values) => open.extend(values),
            Value::Object(fields) => open.extend(fields.values()),
            Value::String(path) => {
                if let Some(name) = path.strip_prefix("#/components/schemas/")
                    && sent.insert(name.to_owned())
                {
                    open.push(&document["components"]["schemas"][name]);
                }
            }
            _ => {}
        }
    }
    sent
}

/// Publishes the codes of problems that there are, and lets more come: a client that knows none of them still reads the problem.
pub(super) fn open_codes(document: &mut Value) {
    let known = Error::CODES.iter().copied().chain(Refusal::ALL.iter().map(|refusal| refusal.code()));
    open_enum(&mut document["components"]["schemas"]["Problem"]["properties"]["code"], &known.collect::<Vec<_>>());
}

/// Publishes the kinds of `schema` that there are, and lets more come.
pub(super) fn open_kinds(document: &mut Value, schema: &str, known: &[&str]) {
    open_enum(&mut document["components"]["schemas"][schema]["properties"]["kind"], known);
}

fn open_enum(field: &mut Value, known: &[&str]) {
    if let Some(field) = field.as_object_mut() {
        field.remove("type");
        field.insert("anyOf".to_owned(), json!([{ "type": "string", "enum": known }, { "type": "string" }]));
    }
}
