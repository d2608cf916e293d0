//! What sources said, who owns a number, and bars on the use of a credential.

use chrono::{DateTime, Utc};

use super::super::BoardStatus;
use super::super::checks::{CheckMethod, Found};
use super::super::review::ReasonCode;
use super::super::views::{Hold, Verification};
use super::Row;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{AccountId, CredentialHoldId, CredentialId, TherapistId, VerificationId};
use crate::values::Jurisdiction;

/// Records what was found.
pub(in super::super) async fn record_check(
    tx: &mut Tx,
    credential: CredentialId,
    found: &Found,
    actor: Option<AccountId>,
    now: DateTime<Utc>,
) -> Result<VerificationId> {
    let id = VerificationId::new(now);
    sqlx::query!(
        "INSERT INTO credential_verifications (id, credential_id, actor_id, method, source, source_url, source_date, name_found,
                                               number_found, status_text, board_status, expires_on, board_action,
                                               name_similarity, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        id.0,
        credential.0,
        actor.map(|actor| actor.0),
        found.method as CheckMethod,
        found.source,
        found.source_url,
        found.source_date,
        found.name,
        found.number,
        found.status_text,
        found.board_status as BoardStatus,
        found.expires_on,
        found.board_action,
        found.name_similarity,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(id)
}

macro_rules! verifications {
    ($tail:literal $(, $arg:expr)+) => {
        sqlx::query_as!(
            Verification,
            r#"SELECT id, credential_id, actor_id AS "actor_id: AccountId", method AS "method: CheckMethod", source, source_url,
                      source_date, name_found, number_found, status_text, board_status AS "board_status: BoardStatus",
                      expires_on, board_action, name_similarity, at
               FROM credential_verifications "# + $tail
            $(, $arg)+
        )
    };
}

/// All that sources said of a credential, newest first.
pub(in super::super) async fn verifications(tx: &mut Tx, credential: CredentialId) -> Result<Vec<Verification>> {
    let found = verifications!("WHERE credential_id = $1 ORDER BY at DESC, id DESC", credential.0);
    Ok(found.fetch_all(&mut **tx).await?)
}

/// What sources said of it since it was last submitted.
pub(in super::super) async fn since(tx: &mut Tx, row: &Row) -> Result<Vec<Verification>> {
    let credential = &row.credential;
    let found = verifications!(
        "WHERE credential_id = $1 AND ($2::timestamptz IS NULL OR at >= $2) ORDER BY at DESC, id DESC",
        credential.id.0,
        credential.submitted_at
    );
    Ok(found.fetch_all(&mut **tx).await?)
}

pub(in super::super) async fn find_verification(
    tx: &mut Tx,
    credential: CredentialId,
    id: VerificationId,
) -> Result<Option<Verification>> {
    let found = verifications!("WHERE credential_id = $1 AND id = $2", credential.0, id.0);
    Ok(found.fetch_optional(&mut **tx).await?)
}

/// Claims the credential's number for its therapist: where nobody has it, or from whoever has it where `taking`. Whoever
/// claims the same number at the same time waits. A number that two therapists have handed in is contested for good: those are few, and
/// duplicates are looked for among them.
pub(in super::super) async fn claim_number(tx: &mut Tx, row: &Row, taking: bool, now: DateTime<Utc>) -> Result<()> {
    let Some(number) = row.normalised_number() else { return Ok(()) };
    sqlx::query!(
        "INSERT INTO number_claims (type, jurisdiction, normalised_number, therapist_id, claimed_at, contested)
         VALUES ($1, $2, $3, $4, $5, EXISTS (
             SELECT FROM credentials other WHERE other.type = $1 AND other.issuing_jurisdiction = $2 AND other.normalised_number = $3 AND other.therapist_id <> $4))
         ON CONFLICT (type, jurisdiction, normalised_number) DO UPDATE
         SET therapist_id = CASE WHEN $6 THEN excluded.therapist_id ELSE number_claims.therapist_id END,
             claimed_at = CASE WHEN $6 THEN excluded.claimed_at ELSE number_claims.claimed_at END,
             contested = true
         WHERE number_claims.therapist_id <> excluded.therapist_id AND ($6 OR NOT number_claims.contested)",
        row.kind.code,
        row.credential.issuing_jurisdiction.as_ref().map_or("", Jurisdiction::as_str),
        number,
        row.therapist.0,
        now,
        taking,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Who is taken to own the credential's number.
pub(in super::super) async fn claimant(tx: &mut Tx, row: &Row) -> Result<Option<TherapistId>> {
    let Some(number) = row.normalised_number() else { return Ok(None) };
    let claimant = sqlx::query_scalar!(
        r#"SELECT therapist_id AS "therapist_id: TherapistId" FROM number_claims
           WHERE type = $1 AND jurisdiction = $2 AND normalised_number = $3"#,
        row.kind.code,
        row.credential.issuing_jurisdiction.as_ref().map_or("", Jurisdiction::as_str),
        number,
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(claimant)
}

/// Gives up the therapist's claims on numbers that none of their credentials bears any more. What was verified once keeps
/// its number for good.
pub(in super::super) async fn release_numbers(tx: &mut Tx, therapist: TherapistId) -> Result<()> {
    sqlx::query!(
        "DELETE FROM number_claims n
         WHERE therapist_id = $1 AND NOT EXISTS (
             SELECT FROM credentials c
             WHERE c.therapist_id = n.therapist_id AND c.type = n.type AND c.issuing_jurisdiction = n.jurisdiction
               AND c.normalised_number = n.normalised_number AND c.review_state NOT IN ('draft', 'withdrawn', 'rejected')
               AND (c.review_state <> 'revoked' OR EXISTS (
                   SELECT FROM credential_decisions d
                   WHERE d.credential = c.id::text AND d.id >= history_of(c.id::text) AND d.to_state = 'verified')))",
        therapist.0
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Whether the therapist has another credential with the number that is suspended, revoked or on hold. Where either bears no number,
/// one of the type is enough: nothing tells them apart.
pub(in super::super) async fn was_barred(tx: &mut Tx, row: &Row) -> Result<bool> {
    let barred = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM credentials c
               WHERE c.therapist_id = $1 AND c.type = $2 AND c.id <> $4
                 AND (c.normalised_number = $3 OR c.normalised_number IS NULL OR $3::text IS NULL)
                 AND (c.review_state IN ('suspended', 'revoked')
                      OR EXISTS (SELECT FROM credential_holds h WHERE h.credential_id = c.id AND h.lifted_at IS NULL))
           ) AS "barred!""#,
        row.therapist.0,
        row.kind.code,
        row.normalised_number(),
        row.credential.id.0,
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(barred)
}

/// The bars on a credential, newest first.
pub(in super::super) async fn holds(tx: &mut Tx, credential: CredentialId) -> Result<Vec<Hold>> {
    let holds = sqlx::query_as!(
        Hold,
        r#"SELECT id, reason_code AS "reason_code: ReasonCode", note, placed_by AS "placed_by: AccountId", placed_at,
                  lifted_by AS "lifted_by: AccountId", lifted_at
           FROM credential_holds WHERE credential_id = $1 ORDER BY placed_at DESC, id DESC"#,
        credential.0
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(holds)
}

pub(in super::super) async fn place_hold(tx: &mut Tx, credential: CredentialId, hold: &Hold) -> Result<()> {
    sqlx::query!(
        "INSERT INTO credential_holds (id, credential_id, reason_code, note, placed_by, placed_at) VALUES ($1, $2, $3, $4, $5, $6)",
        hold.id.0,
        credential.0,
        hold.reason_code as ReasonCode,
        hold.note,
        hold.placed_by.map(|account| account.0),
        hold.placed_at,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Lifts a hold that stands; false where it was lifted before.
pub(in super::super) async fn lift_hold(
    tx: &mut Tx,
    hold: CredentialHoldId,
    admin: AccountId,
    now: DateTime<Utc>,
) -> Result<bool> {
    let lifted = sqlx::query!(
        "UPDATE credential_holds SET lifted_by = $2, lifted_at = $3 WHERE id = $1 AND lifted_at IS NULL",
        hold.0,
        admin.0,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(lifted.rows_affected() > 0)
}
