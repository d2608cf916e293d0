use chrono::{DateTime, NaiveDate, Utc};

use super::{Held, ProvenCheck, ProvenGroup, Revision};
use crate::credentials::BoardStatus;
use crate::credentials::checks::CheckMethod;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{AccountId, BookingId, CredentialId, TherapistId, VerificationId};

struct Row {
    revision: i32,
    relied_at: DateTime<Utc>,
    therapist_id: TherapistId,
    group: String,
    required_by: String,
    options: Vec<String>,
    credential_id: CredentialId,
    type_code: String,
    authority: String,
    known_end: Option<NaiveDate>,
    verification_id: Option<VerificationId>,
    method: Option<CheckMethod>,
    source: Option<String>,
    source_url: Option<String>,
    source_date: Option<NaiveDate>,
    name_found: Option<String>,
    number_found: Option<String>,
    status_text: Option<String>,
    board_status: Option<BoardStatus>,
    expires_on: Option<NaiveDate>,
    at: Option<DateTime<Utc>>,
    actor_id: Option<AccountId>,
}

/// What a visit relied on, oldest first: from tables that are added to and never changed.
pub(super) async fn revisions(tx: &mut Tx, booking: BookingId) -> Result<Vec<Revision>> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT b.revision AS "revision!", b.relied_at AS "relied_at!", b.therapist_id AS "therapist_id!: TherapistId", b."group" AS "group!",
                  b.required_by AS "required_by!", b.options AS "options!", b.credential_id AS "credential_id!: CredentialId",
                  b.type AS "type_code!", b.authority AS "authority!", b.expires_on AS known_end,
                  b.verification_id AS "verification_id: VerificationId",
                  v.method AS "method?: CheckMethod", v.source AS "source?", v.source_url, v.source_date, v.name_found, v.number_found,
                  v.status_text, v.board_status AS "board_status?: BoardStatus", v.expires_on, v.at AS "at?",
                  v.actor_id AS "actor_id: AccountId"
           FROM booking_credentials b LEFT JOIN credential_verifications v ON v.id = b.verification_id
           WHERE b.booking_id = $1 ORDER BY b.revision, b.required_by, b."group""#,
        booking.0
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut revisions: Vec<Revision> = Vec::new();
    for row in rows {
        let (revision, relied_at, therapist_id) = (row.revision, row.relied_at, row.therapist_id);
        let group = ProvenGroup::from(row);
        match revisions.last_mut().filter(|last| last.revision == revision) {
            Some(last) => last.groups.push(group),
            None => revisions.push(Revision { revision, relied_at, therapist_id, groups: vec![group] }),
        }
    }
    Ok(revisions)
}

impl From<Row> for ProvenGroup {
    fn from(row: Row) -> Self {
        let recorded = row.verification_id.zip(row.method).zip(row.source).zip(row.board_status).zip(row.at);
        let verification = recorded.map(|((((id, method), source), board_status), at)| ProvenCheck {
            id,
            method,
            source,
            source_url: row.source_url,
            source_date: row.source_date,
            name_found: row.name_found,
            number_found: row.number_found,
            status_text: row.status_text,
            board_status,
            expires_on: row.expires_on,
            at,
            actor_id: row.actor_id,
        });
        Self {
            group: row.group,
            required_by: row.required_by,
            options: row.options,
            credential: Held {
                id: row.credential_id,
                type_code: row.type_code,
                authority: row.authority,
                expires_on: row.known_end,
            },
            verification,
        }
    }
}
