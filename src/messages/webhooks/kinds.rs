//! What other programs are told of: the whole of it, as a table. A payload holds ids, states and times; whoever gets it asks the API for more.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use crate::audit::Chained;
use crate::bookings::lifecycle::Status;
use crate::credentials::review::ReviewState;
use crate::error::{Error, Result};
use crate::ids::{BookingId, CounterOfferId, CredentialId, EndpointId, TherapistId};

/// The most bytes of a payload.
pub const LARGEST: usize = 2048;

/// What tries an endpoint out. It follows of no event, and every endpoint gets it.
pub const TEST: &str = "endpoint.test";

/// Something that happened, as `events` has it.
#[derive(Clone, Debug)]
pub struct Happened {
    /// The event's id.
    pub id: Uuid,
    /// What was done.
    pub kind: String,
    /// The thing that it was done to.
    pub subject: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// Counts what happened to the thing, from 1.
    pub number: i32,
    /// The therapist whom it is about.
    pub therapist: Option<TherapistId>,
    /// Where the thing stood before, if it moved on from somewhere.
    pub from: Option<String>,
    /// Where it stands now. An event that leads nowhere has none; then it may be where the thing stands as it is sent.
    pub to: Option<String>,
    /// What else is known of it.
    pub details: Value,
}

impl Happened {
    /// An event as the chain has it; none where its subject has no id of its own.
    pub fn of(chained: &Chained) -> Option<Self> {
        let event = &chained.event;
        Some(Self {
            id: chained.id,
            kind: event.kind.clone(),
            subject: event.subject_id()?,
            at: chained.at,
            number: chained.number,
            therapist: event.therapist,
            from: event.from.clone(),
            to: event.to.clone(),
            details: event.details.clone(),
        })
    }
}

/// What a kind of message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Topic {
    Booking,
    CounterOffer,
    Credential,
    Test,
}

/// When an event of a kind is meant.
#[derive(Clone, Copy, Debug)]
enum When {
    Always,
    /// The thing stood there before.
    From(&'static str),
    /// It did not.
    NotFrom(&'static str),
    /// It stands there now.
    To(&'static str),
    /// What ends has days left.
    DaysLeft,
    /// It has none.
    Over,
}

impl When {
    fn holds(self, event: &Happened) -> bool {
        let has_days = || event.details["days_before"].as_i64().is_some_and(|days| days > 0);
        match self {
            Self::Always => true,
            Self::From(state) => event.from.as_deref() == Some(state),
            Self::NotFrom(state) => event.from.as_deref() != Some(state),
            Self::To(state) => event.to.as_deref() == Some(state),
            Self::DaysLeft => has_days(),
            Self::Over => !has_days(),
        }
    }
}

/// A kind of message: the event that it follows of, when, its name, and what it says.
type Row = (&'static str, When, &'static str, Topic, &'static str);

const TABLE: &[Row] = {
    use Topic::{Booking, CounterOffer, Credential};
    use When::{Always, DaysLeft, From, NotFrom, Over, To};
    &[
        (
            "booking.create",
            To("requested"),
            "booking.requested",
            Booking,
            "A visit is requested, and waits for its therapist's answer.",
        ),
        (
            "booking.create",
            To("confirmed"),
            "booking.confirmed",
            Booking,
            "A visit is booked: at once, by its therapist's answer, or at the time that both agreed on.",
        ),
        ("booking.accept", Always, "booking.confirmed", Booking, ""),
        ("booking.agree", From("requested"), "booking.confirmed", Booking, ""),
        ("booking.decline", Always, "booking.declined", Booking, "The therapist said no to a requested visit."),
        ("booking.expire", Always, "booking.expired", Booking, "Nobody answered a requested visit in time."),
        (
            "booking.reschedule",
            Always,
            "booking.moved",
            Booking,
            "A visit was moved to another time, by one party or by agreement.",
        ),
        ("booking.agree", NotFrom("requested"), "booking.moved", Booking, ""),
        ("booking.extend", Always, "booking.extended", Booking, "A visit lasts longer than was booked."),
        (
            "booking.reassign",
            Always,
            "booking.reassigned",
            Booking,
            "Another therapist takes a visit over, at the same time.",
        ),
        (
            "booking.put_at_risk",
            Always,
            "booking.at_risk",
            Booking,
            "The therapist of a visit may not carry it out, as things stand.",
        ),
        (
            "booking.restored",
            Always,
            "booking.restored",
            Booking,
            "The therapist of a visit that was at risk may carry it out after all.",
        ),
        ("booking.cancel", Always, "booking.cancelled", Booking, "A visit or a request was called off."),
        ("booking.on_the_way", Always, "booking.on_the_way", Booking, "The therapist has set out."),
        ("booking.arrive", Always, "booking.arrived", Booking, "The therapist is at the door."),
        ("booking.start", Always, "booking.started", Booking, "The time on the table has begun."),
        ("booking.complete", Always, "booking.completed", Booking, "A visit has taken place."),
        ("booking.no_show", Always, "booking.no_show", Booking, "Someone was not there."),
        ("booking.stop", Always, "booking.stopped", Booking, "A visit was broken off."),
        (
            "booking.propose",
            Always,
            "counter_offer.proposed",
            CounterOffer,
            "One party proposes another time for a visit; the old one stands.",
        ),
        (
            "booking.proposal_declined",
            Always,
            "counter_offer.declined",
            CounterOffer,
            "The other party said no to a proposed time.",
        ),
        (
            "booking.proposal_withdrawn",
            Always,
            "counter_offer.withdrawn",
            CounterOffer,
            "Whoever proposed a time took it back.",
        ),
        ("credential.submit", Always, "credential.submitted", Credential, "A credential was handed in."),
        (
            "credential.request_info",
            Always,
            "credential.info_requested",
            Credential,
            "Staff asked for more about a credential.",
        ),
        ("credential.verify", Always, "credential.verified", Credential, "A credential was verified."),
        ("credential.reject", Always, "credential.rejected", Credential, "A credential was rejected."),
        (
            "credential.suspend",
            Always,
            "credential.suspended",
            Credential,
            "A credential was put out of force for a time.",
        ),
        ("credential.reinstate", Always, "credential.reinstated", Credential, "A credential is in force again."),
        ("credential.revoke", Always, "credential.revoked", Credential, "A credential was put out of force for good."),
        (
            "credential.expires",
            DaysLeft,
            "credential.expiring",
            Credential,
            "A credential ends in a while: 60, 30 or 7 days before its last date.",
        ),
        (
            "credential.expires",
            Over,
            "credential.expired",
            Credential,
            "A credential ends with this day, its last date.",
        ),
    ]
};

/// What an event is called in webhooks, if they tell of it.
pub fn kind_of(event: &Happened) -> Option<&'static str> {
    row_of(event).map(|(_, _, kind, ..)| *kind)
}

fn row_of(event: &Happened) -> Option<&'static Row> {
    TABLE.iter().find(|(on, when, ..)| *on == event.kind && when.holds(event))
}

/// The table's rows, for the page of consequences: the kind of event, what else must be so, and what follows.
pub fn consequences() -> Vec<(&'static str, String, String)> {
    let row = |(on, when, kind, ..): &Row| {
        let when = match when {
            When::Always => String::new(),
            When::From(state) => format!("{state} before"),
            When::NotFrom(state) => format!("not {state} before"),
            When::To(state) => format!("{state} now"),
            When::DaysLeft => "days ahead".to_owned(),
            When::Over => "at the end".to_owned(),
        };
        (*on, when, format!("webhook `{kind}`"))
    };
    TABLE.iter().map(row).collect()
}

/// Every kind that an endpoint can ask for, in order.
pub fn kinds() -> Vec<&'static str> {
    let mut kinds: Vec<&str> = Vec::new();
    for (_, _, kind, ..) in TABLE {
        if !kinds.contains(kind) {
            kinds.push(kind);
        }
    }
    kinds
}

/// A kind of message that an endpoint can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct WebhookKind(&'static str);

impl WebhookKind {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl std::str::FromStr for WebhookKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = TABLE.iter().find(|(_, _, kind, ..)| *kind == text);
        known.map(|(_, _, kind, ..)| Self(kind)).ok_or_else(|| "is not a kind of webhook".to_owned())
    }
}

crate::values::from_text!(WebhookKind);

impl ToSchema for WebhookKind {}

impl PartialSchema for WebhookKind {
    fn schema() -> RefOr<Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::Type::String)
            .description(Some("A kind of message."))
            .enum_values(Some(kinds()))
            .examples(["booking.moved"])
            .into()
    }
}

/// What a message about a visit tells.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct WebhookBooking {
    /// The booking.
    booking_id: BookingId,
    /// Counts what happened to it: of two messages the one with the higher number tells of the later state.
    #[schema(example = 4)]
    sequence: i32,
    /// Where it stands after that; null where that is not known of the event.
    status: Option<Status>,
}

/// What a message about a counter-offer tells.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct WebhookCounterOffer {
    /// The booking that it is for.
    booking_id: BookingId,
    /// The counter-offer.
    counter_offer_id: CounterOfferId,
    /// Counts what happened to the booking.
    #[schema(example = 3)]
    sequence: i32,
}

/// What a message about a credential tells.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct WebhookCredential {
    /// The credential.
    credential_id: CredentialId,
    /// Its holder.
    therapist_id: Option<TherapistId>,
    /// Counts what happened to it.
    #[schema(example = 2)]
    sequence: i32,
    /// Where its review stands after that; null where the event leads nowhere.
    status: Option<ReviewState>,
}

/// What a message that tries an endpoint out tells.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct WebhookTest {
    /// The endpoint.
    endpoint_id: EndpointId,
}

/// The body of a message about an event; none where webhooks do not tell of it.
///
/// # Errors
/// 500 where the event lacks what its message tells.
pub fn body(event: &Happened) -> Result<Option<Value>> {
    let Some((_, _, kind, topic, _)) = row_of(event) else { return Ok(None) };
    let sequence = event.number;
    let data = match topic {
        Topic::Booking => {
            json!(WebhookBooking {
                booking_id: BookingId(event.subject),
                sequence,
                status: state(event.to.as_deref())?
            })
        }
        Topic::CounterOffer => json!(WebhookCounterOffer {
            booking_id: BookingId(event.subject),
            counter_offer_id: read(&event.details["counter_offer_id"])?,
            sequence,
        }),
        Topic::Credential => json!(WebhookCredential {
            credential_id: CredentialId(event.subject),
            therapist_id: event.therapist,
            sequence,
            status: state(event.to.as_deref())?,
        }),
        Topic::Test => return Ok(None),
    };
    message(kind, event.at, &data).map(Some)
}

/// The body of a message that tries an endpoint out.
///
/// # Errors
/// 500 where it cannot be written.
pub fn test_body(endpoint: EndpointId, at: DateTime<Utc>) -> Result<Value> {
    message(TEST, at, &json!(WebhookTest { endpoint_id: endpoint }))
}

fn message(kind: &str, at: DateTime<Utc>, data: &Value) -> Result<Value> {
    let body = json!({ "type": kind, "timestamp": at, "data": data });
    let bytes = body.to_string().len();
    if bytes > LARGEST { Err(Error::Internal(format!("a webhook of {bytes} bytes"))) } else { Ok(body) }
}

fn state<T: DeserializeOwned>(state: Option<&str>) -> Result<Option<T>> {
    state.map(|state| read(&json!(state))).transpose()
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T> {
    serde_json::from_value(value.clone()).map_err(|error| Error::Internal(format!("an event lacks something: {error}")))
}

/// The document's section `webhooks`: each kind as what a receiver is sent.
pub fn document() -> Value {
    let mut section = Map::new();
    let test = (TEST, When::Always, TEST, Topic::Test, "An endpoint is tried out.");
    for (_, _, kind, topic, says) in TABLE.iter().chain([&test]).filter(|row| !row.4.is_empty()) {
        section.insert((*kind).to_owned(), json!({ "post": described(kind, *topic, says) }));
    }
    Value::Object(section)
}

fn described(kind: &str, topic: Topic, says: &str) -> Value {
    let data = match topic {
        Topic::Booking => "WebhookBooking",
        Topic::CounterOffer => "WebhookCounterOffer",
        Topic::Credential => "WebhookCredential",
        Topic::Test => "WebhookTest",
    };
    let header = |name: &str, description: &str| json!({ "name": name, "in": "header", "required": true, "description": description, "schema": { "type": "string" } });
    json!({
        "tags": ["Webhooks"],
        "operationId": format!("webhook_{}", kind.replace('.', "_")),
        "summary": kind,
        "description": says,
        "security": [],
        "parameters": [
            header("webhook-id", "Names the delivery, and stays the same over all attempts."),
            header("webhook-timestamp", "When the attempt was made, in seconds since 1970."),
            header("webhook-signature", "Every signature that is good, separated by spaces: `v1,` by the secret, also by the one before for 24 hours, and `v1a,` by the key."),
        ],
        "requestBody": { "required": true, "content": { "application/json": {
            "schema": {
                "type": "object", "required": ["type", "timestamp", "data"],
                "properties": {
                    "type": { "type": "string", "const": kind, "description": "What happened." },
                    "timestamp": { "type": "string", "format": "date-time", "description": "When it happened." },
                    "data": { "$ref": format!("#/components/schemas/{data}") },
                },
            },
        } } },
        "responses": {
            "2XX": { "description": "It was received. Of the answer nothing is kept but its status." },
            "410": { "description": "The endpoint is gone: it is disabled at once." },
            "default": { "description": "It was not received, and is sent again later. A redirect is not followed." },
        },
    })
}

/// The schemas that [`document`] names.
pub fn schemas() -> Vec<(String, RefOr<Schema>)> {
    let mut all = Vec::new();
    fn add<T: ToSchema>(all: &mut Vec<(String, RefOr<Schema>)>) {
        all.push((T::name().into_owned(), T::schema()));
        T::schemas(all);
    }
    add::<WebhookBooking>(&mut all);
    add::<WebhookCounterOffer>(&mut all);
    add::<WebhookCredential>(&mut all);
    add::<WebhookTest>(&mut all);
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn happened(kind: &str, from: Option<&str>, to: Option<&str>) -> Happened {
        Happened {
            id: Uuid::now_v7(),
            kind: kind.to_owned(),
            subject: Uuid::now_v7(),
            at: DateTime::UNIX_EPOCH,
            number: i32::MAX,
            therapist: Some(TherapistId(Uuid::now_v7())),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
            details: json!({ "counter_offer_id": Uuid::now_v7(), "days_before": 7 }),
        }
    }

    /// Events that lead to each row of the table.
    fn examples() -> Vec<Happened> {
        let example = |(on, when, _, topic, _): &Row| {
            let state = if *topic == Topic::Credential { "info_requested" } else { "in_progress" };
            let mut event = match when {
                When::From(from) => happened(on, Some(from), Some("confirmed")),
                When::To(to) => happened(on, None, Some(to)),
                _ => happened(on, Some("confirmed"), Some(state)),
            };
            if let When::Over = when {
                event.details["days_before"] = json!(0);
            }
            event
        };
        TABLE.iter().map(example).collect()
    }

    #[test]
    fn every_row_is_reached() {
        let reached: Vec<_> = examples().iter().map(|event| kind_of(event).unwrap()).collect();
        assert_eq!(reached, TABLE.iter().map(|row| row.2).collect::<Vec<_>>());
        assert_eq!(kind_of(&happened("booking.care_changed", None, None)), None);
        assert!(body(&happened("account.create", None, None)).unwrap().is_none());
        assert!("booking.moved".parse::<WebhookKind>().is_ok() && TEST.parse::<WebhookKind>().is_err());
    }

    #[test]
    fn a_payload_is_what_its_type_says() {
        let event = happened("booking.accept", Some("requested"), Some("confirmed"));
        assert_eq!(
            body(&event).unwrap().unwrap(),
            json!({
                "type": "booking.confirmed", "timestamp": "1970-01-01T00:00:00Z",
                "data": { "booking_id": event.subject, "sequence": i32::MAX, "status": "confirmed" },
            })
        );
        let strange = happened("booking.accept", None, Some("hovering"));
        assert!(super::body(&strange).is_err());
    }

    /// Whether `value` is what `schema` says, as far as our schemas go.
    fn fits(value: &Value, schema: &Value, components: &Value) -> bool {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            return components[name].is_object() && fits(value, &components[name], components);
        }
        if let Some(options) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
            return options.iter().any(|option| fits(value, option, components));
        }
        let kinds = match &schema["type"] {
            Value::Array(kinds) => kinds.clone(),
            kind => vec![kind.clone()],
        };
        let is_of = |kind: &Value| match kind.as_str() {
            Some("object") => value.as_object().is_some_and(|fields| {
                let required = schema["required"].as_array().into_iter().flatten();
                required.clone().count() == fields.len()
                    && required.into_iter().all(|name| name.as_str().is_some_and(|name| fields.contains_key(name)))
                    && fields.iter().all(|(name, field)| fits(field, &schema["properties"][name], components))
            }),
            Some("string") => value.as_str().is_some_and(|text| match schema["format"].as_str() {
                Some("uuid") => text.parse::<Uuid>().is_ok(),
                Some("date-time") => text.parse::<DateTime<Utc>>().is_ok(),
                _ => true,
            }),
            Some("integer") => value.is_i64(),
            Some("null") => value.is_null(),
            _ => false,
        };
        kinds.iter().any(is_of)
            && schema.get("const").is_none_or(|only| only == value)
            && schema["enum"].as_array().is_none_or(|known| known.contains(value))
    }

    #[test]
    fn every_kind_is_in_the_document_and_every_payload_is_as_it_says() {
        let document = crate::openapi::document(crate::doors::routes);
        let components = &document["components"]["schemas"];
        let mut sent: BTreeSet<String> = BTreeSet::new();
        let endpoint = EndpointId(Uuid::now_v7());
        let mut bodies: Vec<Value> = examples().iter().map(|event| body(event).unwrap().unwrap()).collect();
        // Events that lead nowhere.
        bodies.push(body(&happened("booking.put_at_risk", None, None)).unwrap().unwrap());
        bodies.push(body(&happened("credential.expires", None, None)).unwrap().unwrap());
        bodies.push(test_body(endpoint, DateTime::UNIX_EPOCH).unwrap());
        for body in bodies {
            assert!(body.to_string().len() <= 300, "ids alone");
            let kind = body["type"].as_str().unwrap();
            let operation = &document["webhooks"][kind]["post"];
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            assert!(fits(&body, schema, components), "{body} against {schema}");
            let mut other = body.clone();
            other["type"] = json!("another");
            assert!(!fits(&other, schema, components));
            let example = &operation["requestBody"]["content"]["application/json"]["example"];
            assert!(fits(example, schema, components), "{example}");
            sent.insert(kind.to_owned());
        }
        let described: BTreeSet<String> = document["webhooks"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(sent, described);
        assert_eq!(described.len(), kinds().len() + 1);
    }
}
