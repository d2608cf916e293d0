//! Credentials as an authority's list is held against them.

use chrono::NaiveDate;
use sqlx::PgExecutor;

use super::checks::Facts;
use super::review::ReviewState;
use super::{BoardStatus, CredentialType, zones};
use crate::error::Result;
use crate::ids::{CredentialId, TherapistId, VerificationId};
use crate::values::Jurisdiction;
use crate::values::wall_clock::local_date;

/// A credential with a number, in a state in which it matters what the authority says.
#[derive(Clone, Debug)]
pub struct Held {
    /// The credential.
    pub id: CredentialId,
    /// Whose it is.
    pub therapist: TherapistId,
    /// The number as it is compared.
    pub number: String,
    /// The name on it.
    pub name: String,
    /// Where it was issued; empty where it is not told.
    pub jurisdiction: String,
    /// How it stands.
    pub facts: Facts,
    /// The date of what it rests on: the source's own, or when it was looked up.
    pub checked_on: Option<NaiveDate>,
    /// Whether this source has verified it before.
    pub known_to_source: bool,
}

/// Which credentials are asked for.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// Up to so many after this one.
    After(Option<CredentialId>, i64),
    /// These.
    Ids(&'a [CredentialId]),
}

/// Credentials of a type, in the order of their ids, with what `source` had to do with them. Numbers are normalised here,
/// because what is stored may have been so under an older rule.
pub async fn held<'c>(
    db: impl PgExecutor<'c>,
    kind: &CredentialType,
    source: &str,
    which: Which<'_>,
) -> Result<Vec<Held>> {
    let (after, ids, count) = match which {
        Which::After(after, count) => (after, None, count),
        Which::Ids(ids) => (None, Some(ids.iter().map(|id| id.0).collect::<Vec<_>>()), i64::MAX),
    };
    let zone = zones::of_authority(kind.jurisdiction.as_ref().map(Jurisdiction::as_str));
    let rows = sqlx::query!(
        r#"SELECT c.id, c.therapist_id, c.number AS "number!", c.name_on_credential, c.issuing_jurisdiction,
                  c.review_state AS "review_state: ReviewState", c.board_status AS "board_status: BoardStatus",
                  c.board_action, c.issued_on, c.expires_on, c.recheck_on, c.verification_id AS "verification_id: VerificationId",
                  rests_on.source_date AS "source_date?", rests_on.at AS "looked_up_at?",
                  EXISTS (SELECT FROM credential_verifications v
                          WHERE v.credential_id = c.id AND v.source = $2 AND v.board_status = 'active') AS "known!"
           FROM credentials c LEFT JOIN credential_verifications rests_on ON rests_on.id = c.verification_id
           WHERE c.type = $1 AND c.number IS NOT NULL
             AND c.review_state IN ('submitted', 'in_review', 'info_requested', 'pending_second', 'verified', 'suspended')
             AND ($3::uuid IS NULL OR c.id > $3) AND ($4::uuid[] IS NULL OR c.id = ANY ($4))
           ORDER BY c.id LIMIT $5"#,
        kind.code,
        source,
        after.map(|id| id.0),
        ids.as_deref(),
        count,
    )
    .fetch_all(db)
    .await?;
    let held = rows.into_iter().map(|row| Held {
        id: row.id,
        therapist: row.therapist_id,
        number: kind.normalise(&row.number),
        name: row.name_on_credential,
        jurisdiction: row.issuing_jurisdiction,
        facts: Facts {
            review_state: row.review_state,
            board_status: row.board_status,
            board_action: row.board_action,
            issued_on: row.issued_on,
            expires_on: row.expires_on,
            recheck_on: row.recheck_on,
            verification: row.verification_id,
        },
        checked_on: row.source_date.or_else(|| row.looked_up_at.map(|at| local_date(zone, at))),
        known_to_source: row.known,
    });
    Ok(held.collect())
}

/// The type and the holder of a credential; none where there is no such credential.
pub async fn type_of<'c>(db: impl PgExecutor<'c>, id: CredentialId) -> Result<Option<(String, TherapistId)>> {
    let row = sqlx::query!("SELECT type, therapist_id FROM credentials WHERE id = $1", id.0).fetch_optional(db).await?;
    Ok(row.map(|row| (row.r#type, row.therapist_id)))
}
