//! Tasks: what an admin should look at, and has or has not.

pub mod routes;
mod store;
pub mod table;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ids::{AccountId, RosterImportId, TaskId, TherapistId};
use crate::queue::Sweep;

/// What is deleted here in the end.
pub const SWEEPS: &[Sweep] = &[Sweep { name: "tasks", run: |app, now| Box::pin(store::forget_resolved(&app.db, now)) }];

/// How long a task is kept after it was resolved; the audit keeps that it was.
const KEPT: TimeDelta = TimeDelta::days(730);

/// Something to look at, as it was raised and resolved.
#[derive(Debug, Serialize, ToSchema)]
pub struct RaisedTask {
    /// The task's id.
    pub id: TaskId,
    /// What is the matter.
    #[schema(example = "roster_status_unknown")]
    pub kind: String,
    /// The kind of thing that it is about.
    #[schema(example = "credential")]
    pub subject_type: String,
    /// Which one.
    pub subject_id: Uuid,
    /// What else is worth knowing.
    #[schema(value_type = TaskDetails)]
    pub details: Value,
    /// When it was raised.
    pub raised_at: DateTime<Utc>,
    /// When it was resolved; null while it is open.
    pub resolved_at: Option<DateTime<Utc>>,
    /// The admin who resolved it, or whoever did what it was about.
    pub resolved_by: Option<AccountId>,
    /// What the admin wrote.
    pub note: Option<String>,
}

/// What a task tells besides its kind; other fields may come. What is left out is not to be known of its kind.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskDetails {
    /// Whom it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub therapist_id: Option<TherapistId>,
    /// The party of the visit whose account is suspended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
    /// Where the visit stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "in_progress")]
    pub status: Option<String>,
    /// When the visit begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_at: Option<DateTime<Utc>>,
    /// What the clock at the visit's place showed at its start, by the rules of time zones that were followed before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$", example = "2026-12-10T09:00:00")]
    pub local_start_before: Option<NaiveDateTime>,
    /// What it shows now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$", example = "2026-12-10T10:00:00")]
    pub local_start: Option<NaiveDateTime>,
    /// When the visit was to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_at: Option<DateTime<Utc>>,
    /// Where the review of the credential stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "verified")]
    pub review_state: Option<String>,
    /// What stands against the credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_codes: Option<Vec<String>>,
    /// The import that told of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import_id: Option<RosterImportId>,
}
