use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::types::Json;

use super::{Consequence, Event, Party, Reason, Work};
use crate::cipher::Sealed;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::ids::{AccountId, NoticeId, uuid_at};

/// The rows that follow of an event, as a statement takes them.
pub struct Rows {
    notices: Value,
    tasks: Value,
    closed: Value,
}

impl Rows {
    pub(super) fn new(follows: Vec<Consequence>, event: &Event, now: DateTime<Utc>) -> Self {
        let (mut notices, mut tasks, mut closed) = (Vec::new(), Vec::new(), Vec::new());
        for consequence in follows {
            match consequence {
                Consequence::Tell { to, kind, details } => notices.push(json!({
                    "id": NoticeId::new(now), "account_id": to, "kind": kind, "subject_type": event.subject_type,
                    "subject_id": event.subject, "details": details,
                })),
                Consequence::Raise { kind, subject_type, subject, details } => tasks.push(json!({
                    "id": uuid_at(now), "kind": kind, "subject_type": subject_type, "subject_id": subject, "details": details,
                })),
                Consequence::Close { kind, subject } => closed.push(json!({ "kind": kind, "subject_id": subject })),
            }
        }
        Self { notices: notices.into(), tasks: tasks.into(), closed: closed.into() }
    }

    /// What people are told, as `notices` has it, for a statement that writes no more than that.
    ///
    /// # Errors
    /// 500 where more follows of the event: it would be lost.
    pub fn notices_alone(&self) -> Result<&Value> {
        let more =
            [&self.tasks, &self.closed].into_iter().any(|rows| rows.as_array().is_some_and(|rows| !rows.is_empty()));
        if more {
            Err(Error::Internal("a task follows of an event that writes none".to_owned()))
        } else {
            Ok(&self.notices)
        }
    }
}

/// Writes an event and the rows that follow of it, in one statement.
pub(super) async fn write(work: &mut Work, event: &Event, rows: &Rows) -> Result<()> {
    let (ours, theirs) = match &event.reason {
        Some(Reason::Ours(words)) => (Some(words), None),
        Some(Reason::Theirs(words)) => (None, Some(words)),
        None => (None, None),
    };
    sqlx::query!(
        "WITH event AS (
             INSERT INTO events (id, at, kind, subject_type, subject_id, number, therapist_id, client_id, actor_id, party, from_state,
                                 to_state, details, reason, reason_sealed)
             VALUES ($17, $1, $2, $3, $4,
                     -- One look at the subject's last event, in the months since the subject was made.
                     1 + coalesce((SELECT number FROM events WHERE subject_type = $3 AND subject_id = $4 AND id >= history_of($4)
                                   ORDER BY position DESC LIMIT 1), 0),
                     $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ), told AS (
             INSERT INTO notices (id, account_id, kind, subject_type, subject_id, details, created_at)
             SELECT id, account_id, kind, subject_type, subject_id, details, $1
             FROM jsonb_to_recordset($14) AS n (id uuid, account_id uuid, kind text, subject_type text, subject_id uuid, details jsonb)
         ), done AS (
             UPDATE tasks SET resolved_at = $1, resolved_by = $7
             FROM jsonb_to_recordset($16) AS c (kind text, subject_id uuid)
             WHERE tasks.kind = c.kind AND tasks.subject_id = c.subject_id AND resolved_at IS NULL
         )
         INSERT INTO tasks (id, kind, subject_type, subject_id, details, raised_at)
         SELECT id, kind, subject_type, subject_id, details, $1
         FROM jsonb_to_recordset($15) AS t (id uuid, kind text, subject_type text, subject_id uuid, details jsonb)
         ON CONFLICT (kind, subject_type, subject_id) WHERE resolved_at IS NULL DO NOTHING",
        work.now(),
        event.kind,
        &*event.subject_type,
        event.subject,
        event.therapist.map(|therapist| therapist.0),
        event.client.map(|client| client.0),
        work.by().filter(|_| event.party != Some(Party::System)).map(|actor| actor.0),
        event.party as Option<Party>,
        event.from,
        event.to,
        Json(&event.details) as Json<&Value>,
        ours,
        theirs as Option<&Sealed>,
        &rows.notices,
        &rows.tasks,
        &rows.closed,
        uuid_at(work.now()),
    )
    .execute(&mut ***work)
    .await?;
    Ok(())
}

/// Whether an account did something to things of these types, or a therapist is concerned by that or by events of these kinds.
pub async fn has_history(tx: &mut Tx, account: AccountId, types: &[&str], kinds: &[&str]) -> Result<bool> {
    let types: Vec<String> = types.iter().map(|one| (*one).to_owned()).collect();
    let kinds: Vec<String> = kinds.iter().map(|one| (*one).to_owned()).collect();
    let found = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM events WHERE actor_id = $1 AND id >= history_of($4) AND subject_type = ANY ($2))
               OR EXISTS (SELECT FROM events WHERE therapist_id = $1 AND id >= history_of($4) AND (subject_type = ANY ($2) OR kind = ANY ($3))) AS "found!""#,
        account.0,
        &types,
        &kinds,
        account.to_string()
    );
    Ok(found.fetch_one(&mut **tx).await?)
}
