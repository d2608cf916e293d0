//! Notices: what the service tells a person, in the app.

pub mod routes;
mod store;
pub mod table;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ids::{CounterOfferId, NoticeId};
use crate::personal::PersonalTable;
use crate::queue::Sweep;
use crate::values::{Money, Zone};

/// What is kept of people here.
pub const PERSONAL: &[PersonalTable] = &[PersonalTable {
    order: "position DESC",
    untold: &["position"],
    ..PersonalTable::deleted("notices", "account_id = $1")
}];

/// What is deleted here in the end.
pub const SWEEPS: &[Sweep] = &[Sweep { name: "notices", run: |app, now| Box::pin(store::forget_old(&app.db, now)) }];

/// How long a notice is kept.
const KEPT: TimeDelta = TimeDelta::days(400);

/// What the service tells the caller.
#[derive(Debug, Serialize, ToSchema)]
pub struct NoticeView {
    #[serde(skip)]
    #[schema(ignore)]
    pub position: i64,
    /// The notice's id.
    pub id: NoticeId,
    /// What happened.
    #[schema(example = "visit_called_off")]
    pub kind: String,
    /// The kind of thing that it is about.
    #[schema(example = "booking")]
    pub subject_type: String,
    /// Which one.
    pub subject_id: Uuid,
    /// What else is worth knowing.
    #[schema(value_type = NoticeDetails)]
    pub details: Value,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When it was read; null until then.
    pub read_at: Option<DateTime<Utc>>,
}

/// What a notice tells besides its kind. What is left out is not to be known of its kind.
#[derive(Debug, Serialize, ToSchema)]
pub struct NoticeDetails {
    /// When the visit begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_at: Option<DateTime<Utc>>,
    /// The zone at the visit's place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<Zone>,
    /// When the visit began before it was moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_at_before: Option<DateTime<Utc>>,
    /// When the visit would begin, as is proposed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposed_start_at: Option<DateTime<Utc>>,
    /// The counter-offer that proposes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counter_offer_id: Option<CounterOfferId>,
    /// Minutes on the table that the therapist asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 90)]
    pub duration_minutes: Option<i16>,
    /// What the visit costs then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// What the client pays for the visit now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charge: Option<Money>,
    /// What the clock at the visit's place showed at its start, by the rules of time zones that were followed before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$", example = "2026-12-10T09:00:00")]
    pub local_start_before: Option<NaiveDateTime>,
    /// What it shows now. The visit is at the same instant as before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$", example = "2026-12-10T10:00:00")]
    pub local_start: Option<NaiveDateTime>,
    /// Why a calendar elsewhere could not be read, or a webhook endpoint was disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "unreachable")]
    pub error: Option<String>,
    /// The kind of credential.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schema(example = "US-TX-LMT")]
    pub type_code: Option<String>,
    /// Why a credential was decided on as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["illegible"]))]
    pub reason_codes: Option<Vec<String>>,
    /// The last date of the credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_on: Option<NaiveDate>,
    /// How many days before its end the therapist was to be reminded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_before: Option<i16>,
}
