//! Notices: what the service tells a person, in the app.

pub mod routes;
mod store;
pub mod table;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ids::NoticeId;
use crate::queue::Sweep;

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
    #[schema(value_type = Object)]
    pub details: Value,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When it was read; null until then.
    pub read_at: Option<DateTime<Utc>>,
}
