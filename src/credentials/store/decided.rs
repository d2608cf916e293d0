//! What people have decided about rows of lists.

use super::super::BoardStatus;
use super::super::checks::Found;
use super::Row;
use crate::db::Tx;
use crate::error::Result;

/// Whether a person has decided about what was `found` of a credential, with this digest: they resolved a task about it, or verified
/// or reinstated the credential after a check that found the same. It is kept beyond the task.
pub(in super::super) async fn is_decided(tx: &mut Tx, row: &Row, found: &Found, seen: &str) -> Result<bool> {
    let decided = sqlx::query!(
        r#"WITH known AS (
               SELECT FROM credential_rows_decided WHERE credential_id = $1 AND seen = $2
           ), found AS (
               SELECT FROM tasks t
               WHERE t.subject_type = 'credential' AND t.subject_id = $1 AND t.resolved_at IS NOT NULL AND t.details ->> 'row' = $2
               UNION ALL
               SELECT FROM credential_verifications v JOIN credential_decisions d ON d.credential = v.credential_id::text AND d.id >= history_of($1::uuid::text)
               WHERE v.credential_id = $1 AND v.at >= coalesce($3, '-infinity'::timestamptz)
                 AND v.source = $4 AND v.name_found IS NOT DISTINCT FROM $5 AND v.number_found IS NOT DISTINCT FROM $6
                 AND v.status_text IS NOT DISTINCT FROM $7 AND v.board_status = $8 AND v.expires_on IS NOT DISTINCT FROM $9
                 AND v.board_action = $10
                 AND d.action IN ('approve', 'verify', 'reinstate') AND d.actor_id IS NOT NULL AND d.at >= v.at
           ), kept AS (
               INSERT INTO credential_rows_decided (credential_id, seen) SELECT $1, $2 WHERE EXISTS (SELECT FROM found)
               ON CONFLICT DO NOTHING
           )
           SELECT EXISTS (SELECT FROM known) OR EXISTS (SELECT FROM found) AS "decided!""#,
        row.credential.id.0,
        seen,
        row.credential.submitted_at,
        found.source,
        found.name,
        found.number,
        found.status_text,
        found.board_status as BoardStatus,
        found.expires_on,
        found.board_action,
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(decided.decided)
}
