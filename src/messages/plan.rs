//! What follows of an event outside of the app: a pure function of the event and of the people whom it is about.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::reminders::{Hours, Quiet, Reminder, reminders};
use super::table::{Invitation, Row, rows};
use super::webhooks::kinds::body;
use super::webhooks::{Happened, Wanted};
use super::{Channel, Class, State};
use crate::audit::Chained;
use crate::error::Result;
use crate::ids::{AccountId, BookingId, DeliveryId, EndpointId};
use crate::values::Zone;

/// How long a message is tried, unless its visit begins before.
const PATIENCE: TimeDelta = TimeDelta::days(3);

/// What a reader wants of messages.
#[derive(Clone, Debug)]
pub struct Reader {
    /// The zone that the reader lives in.
    pub time_zone: Zone,
    /// When no reminder is sent.
    pub quiet: Option<Quiet>,
    /// How many hours before a visit the reader is reminded.
    pub reminder_hours: Vec<Hours>,
    /// Classes that the reader does without.
    pub without: Vec<Class>,
}

impl Reader {
    /// The reader as of a visit in that zone: whoever never named a zone, and so has UTC, lives where they are visited.
    fn at(&self, zone: Option<Zone>) -> Self {
        let time_zone = zone.filter(|_| self.time_zone == Zone::UTC).unwrap_or(self.time_zone);
        Self { time_zone, ..self.clone() }
    }
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Planned {
    /// Its id, over all attempts.
    pub id: DeliveryId,
    /// What it is, once: planning the same again makes no other.
    pub once: String,
    /// The event that it tells of.
    pub event_id: Option<Uuid>,
    /// The kind of event.
    pub event_kind: String,
    /// Which message it is.
    pub message: &'static str,
    /// The visit that it is about.
    pub booking_id: Option<BookingId>,
    /// Who is written to.
    pub account_id: Option<AccountId>,
    /// The program that is told.
    pub endpoint_id: Option<EndpointId>,
    /// Whether they may do without.
    pub class: Class,
    /// Which way it takes.
    pub channel: Channel,
    /// Messages of one lane are sent one after the other.
    pub lane: String,
    /// From when on it is sent.
    pub due_at: DateTime<Utc>,
    /// Until when it is worth sending.
    pub expires_at: DateTime<Utc>,
    /// What it takes for granted, and what it tells.
    pub valid: Value,
    /// Whether it tells how the visit stands as a whole.
    pub is_whole: bool,
    /// Where it stands: some end before they begin.
    pub state: State,
}

impl Planned {
    /// A reminder that is due, about the visit that begins at `start_at`.
    pub fn reminder(row: &'static Row, due: &Reminder, reader: Option<&Reader>, now: DateTime<Utc>) -> Self {
        Self {
            id: DeliveryId::new(now),
            once: format!("reminder:{}:{}:{}:{}", due.booking, due.account, due.hours, due.start_at.timestamp()),
            event_id: None,
            event_kind: row.on.to_owned(),
            message: row.message,
            booking_id: Some(due.booking),
            account_id: Some(due.account),
            endpoint_id: None,
            class: row.class,
            channel: Channel::Email,
            lane: lane(due.account, due.booking),
            due_at: now,
            expires_at: due.start_at,
            valid: serde_json::json!({ "start_at": due.start_at, "hours": due.hours }),
            is_whole: false,
            state: begins(row.class, reader),
        }
    }

    /// What a program is told of an event. One to an endpoint that is disabled has failed already, so that it can be recovered.
    pub fn webhook(wanted: &Wanted, happened: &Happened, now: DateTime<Utc>) -> Result<Option<Self>> {
        let Some(body) = body(happened)? else { return Ok(None) };
        let endpoint = wanted.endpoint;
        Ok(Some(Self {
            id: DeliveryId::new(now),
            once: format!("{}:webhook:{endpoint}:{}", happened.id, wanted.kind),
            event_id: Some(happened.id),
            event_kind: happened.kind.clone(),
            message: wanted.kind,
            booking_id: happened.kind.starts_with("booking.").then_some(BookingId(happened.subject)),
            account_id: None,
            endpoint_id: Some(endpoint),
            class: Class::Webhook,
            channel: Channel::Webhook,
            lane: format!("webhook:{endpoint}:{}", happened.subject),
            due_at: now,
            expires_at: happened.at.max(now) + PATIENCE,
            valid: body,
            is_whole: false,
            state: if wanted.is_open { State::Pending } else { State::Failed },
        }))
    }
}

/// Where a message to a reader begins.
fn begins(class: Class, reader: Option<&Reader>) -> State {
    if reader.is_some_and(|reader| reader.without.contains(&class)) { State::Suppressed } else { State::Pending }
}

fn lane(account: AccountId, subject: impl std::fmt::Display) -> String {
    format!("email:{account}:{subject}")
}

/// What follows of an event.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// What is sent now.
    pub messages: Vec<Planned>,
    /// What is to be remembered later.
    pub reminders: Vec<Reminder>,
}

/// Who might be written to about an event.
pub fn readers(chained: &Chained) -> BTreeSet<AccountId> {
    rows(&chained.event).flat_map(|row| row.to.of(&chained.event)).collect()
}

/// What follows of an event for people of whom `readers` tells; whoever has no account there is written nothing.
pub fn plan(chained: &Chained, readers: &HashMap<AccountId, Reader>, now: DateTime<Utc>) -> Plan {
    let Chained { id, at, event, .. } = chained;
    let booking = (event.subject_type == "booking").then(|| event.subject_id().map(BookingId)).flatten();
    let start: Option<DateTime<Utc>> =
        event.details.get("start_at").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let zone = event.details.get("time_zone").and_then(|zone| Zone::named(zone.as_str()?));
    let mut plan = Plan::default();
    for row in rows(event) {
        for account in row.to.of(event) {
            let Some(reader) = readers.get(&account) else { continue };
            let delivery = DeliveryId::new(now);
            // What has begun is told of all the same, such as that it lasts longer.
            let until = start.filter(|start| row.invitation == Invitation::Request && start > at);
            let until = until.unwrap_or(*at + PATIENCE);
            plan.messages.push(Planned {
                id: delivery,
                once: format!("{id}:email:{account}:{}", row.message),
                event_id: Some(*id),
                event_kind: event.kind.clone(),
                message: row.message,
                booking_id: booking,
                account_id: Some(account),
                endpoint_id: None,
                class: row.class,
                channel: Channel::Email,
                lane: match (row.class, booking) {
                    // A code waits for no other message.
                    (Class::Security, _) => lane(account, delivery),
                    (_, Some(booking)) => lane(account, booking),
                    (_, None) => lane(account, &event.subject),
                },
                due_at: now,
                expires_at: until.min(*at + PATIENCE).max(now),
                valid: row.valid(event),
                is_whole: row.is_whole,
                state: begins(row.class, Some(reader)),
            });
            if let (Some(booking), Some(start), Invitation::Request) = (booking, start, row.invitation) {
                plan.reminders.extend(reminders(booking, account, start, &reader.at(zone), now));
            }
        }
    }
    plan
}
