//! Messages that leave the service: who is written to, when, in which words, and what became of it.
//!
//! Events are the outbox. [`dispatcher`] follows them and plans deliveries ([`plan`], by the [`table`]); [`sender`] looks at each one again when its
//! turn comes, writes it ([`compose`]) and hands it over ([`post`]).

mod bounces;
pub mod compose;
pub mod dispatcher;
mod invitations;
pub mod keys;
mod letters;
mod log;
mod mail_events;
pub mod mailbox;
pub mod plan;
pub mod post;
mod reminders;
pub mod retry;
pub mod sender;
mod settings;
mod store;
mod suppressions;
pub mod table;
mod unsubscribe;
pub mod webhooks;
mod wording;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

pub use bounces::bounce;
pub use mail_events::MailEvents;
pub use post::{Post, Relay};
pub use store::hold;

use crate::personal::PersonalTable;
use crate::queue::Sweep;
use crate::seals::{KeptIn, SealedColumn, SealedTable};
use crate::values::name;

/// What is kept of people here. Attempts go before their messages. Endpoints stay, because they are the marketplace's and not of the admin who added them.
pub const PERSONAL: &[PersonalTable] = &[
    PersonalTable {
        part: None,
        ..PersonalTable::deleted(
            "delivery_attempts",
            "delivery_id IN (SELECT id FROM deliveries WHERE account_id = $1)",
        )
    },
    PersonalTable {
        part: Some("messages"),
        order: "sequence DESC",
        untold: &["once", "lane", "sequence", "valid", "lease_until", "endpoint_id"],
        ..PersonalTable::deleted("deliveries", "account_id = $1")
    },
    PersonalTable {
        untold: &["secret_sealed", "previous_secret_sealed", "key_sealed"],
        ..PersonalTable::kept("webhook_endpoints", "owner_id = $1", "it is the marketplace's")
    },
    PersonalTable::deleted("reminders_due", "account_id = $1"),
    PersonalTable::deleted("invitations", "account_id = $1"),
    PersonalTable::deleted("message_settings", "account_id = $1"),
    PersonalTable::deleted("message_preferences", "account_id = $1"),
];

/// The operations on messages.
pub fn routes(config: &mut ServiceConfig) {
    settings::routes(config);
    log::routes(config);
    suppressions::routes(config);
    mail_events::routes(config);
    unsubscribe::routes(config);
    webhooks::routes(config);
}

/// What is deleted here in the end.
pub const SWEEPS: &[Sweep] = &[
    Sweep { name: "deliveries", run: |app, now| Box::pin(store::forget_ended(&app.db, now)) },
    Sweep { name: "invitations", run: |app, now| Box::pin(store::forget_invitations(&app.db, now)) },
];

/// The tables that keep something sealed.
pub const SEALED: &[SealedTable] = &[
    SealedTable {
        name: "message_keys",
        columns: &[SealedColumn { bound_to: keys::KEY, row: "name", kept: KeptIn::Column("key_sealed") }],
    },
    webhooks::SEALED,
];

/// How long it is kept what became of a message.
const KEPT: TimeDelta = TimeDelta::days(90);

/// How much its reader may do about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = MessageClass)]
pub enum Class {
    /// It concerns an account's safety: it is always sent, and at once.
    Security,
    /// It tells of a visit or a credential.
    Transactional,
    /// It reminds of a visit: never in quiet hours.
    Reminder,
    /// It tells another program.
    Webhook,
}

/// Which way a message takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = MessageChannel)]
pub enum Channel {
    /// To a person's address.
    Email,
    /// To another program.
    Webhook,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = MessageState)]
pub enum State {
    /// It waits for its turn, or for the next attempt.
    Pending,
    /// It is on its way.
    Sending,
    /// It was handed over.
    Sent,
    /// It was given up.
    Failed,
    /// It came to be too late.
    Expired,
    /// Its reader does not want it, or nothing may be sent to the address.
    Suppressed,
    /// A later one tells all that it would have told.
    Superseded,
    /// What it would have told is not so any more.
    Withdrawn,
}

/// What leads where, and when. What is not listed does not happen; a message that was planned and is not wanted begins as suppressed, and one to an
/// endpoint that is disabled as failed.
pub const LIFE: &[(State, State, &str)] = &[
    (State::Pending, State::Sending, "its turn has come, and a sender claims it for a minute"),
    (State::Pending, State::Superseded, "a later one tells how the visit stands"),
    (State::Pending, State::Withdrawn, "its endpoint is taken away, or the database was restored"),
    (State::Sending, State::Sending, "its sender said nothing for a minute, and another one claims it"),
    (State::Sending, State::Sent, "it was taken"),
    (State::Sending, State::Pending, "it was not taken for now, and is tried again later"),
    (State::Sending, State::Failed, "it was refused for good, or tried nine times"),
    (State::Sending, State::Expired, "the next attempt would come too late"),
    (State::Sending, State::Suppressed, "its reader does without, or nothing may be sent to the address"),
    (State::Sending, State::Withdrawn, "what it tells is not so any more"),
    (State::Sending, State::Superseded, "it was not taken for now, and a later one tells how the visit stands"),
    (State::Failed, State::Pending, "staff send it again"),
    (State::Expired, State::Pending, "it goes to a program, and staff send it again"),
];

/// The life of a message, in Markdown.
pub fn markdown() -> String {
    let row = |(from, to, when): &(State, State, &str)| format!("| `{}` | `{}` | {when} |\n", name(from), name(to));
    format!("| from | to | when |\n|---|---|---|\n{}", LIFE.iter().map(row).collect::<String>())
}
