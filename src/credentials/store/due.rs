//! What time brings.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgPool;

use super::super::reminders::Reminder;
use super::super::rules::Category;
use super::Row;
use crate::db::{BATCH, Tx, in_batches};
use crate::error::Result;
use crate::ids::{CredentialId, TherapistId};
use crate::values::wall_clock::{in_all_zones, local_date};

/// Notes the reminders that are due and returns them: of those for one credential the one nearest to its end. Whoever holds
/// another credential of the type in force that lasts longer, and counts wherever this one does, has renewed it.
pub(in super::super) async fn remind(tx: &mut Tx, days_before: &[i16], now: DateTime<Utc>) -> Result<Vec<Reminder>> {
    let (zones, dates) = in_all_zones(|zone| local_date(zone, now));
    let reminders = sqlx::query_as!(
        Reminder,
        r#"WITH due AS (
               SELECT c.id, c.expires_on, d.days_before
               FROM credentials c JOIN accounts a ON a.id = c.therapist_id
               JOIN unnest($3::text[], $4::date[]) AS local (zone, date) ON local.zone = a.time_zone
               JOIN unnest($1::smallint[]) AS d (days_before) ON c.expires_on - local.date BETWEEN 0 AND d.days_before
               WHERE c.review_state = 'verified' AND c.expires_on BETWEEN $2::timestamptz::date - 1 AND $2::timestamptz::date + 400
                 AND NOT EXISTS (
                     SELECT FROM standings newer
                     WHERE newer.therapist_id = c.therapist_id AND newer.type = c.type AND newer.expires_on > c.expires_on
                       AND (newer.covers_jurisdictions IS NULL OR c.covers_jurisdictions <@ newer.covers_jurisdictions))
           ), noted AS (
               INSERT INTO credential_reminders (credential_id, expires_on, days_before, at)
               SELECT id, expires_on, days_before, $2 FROM due ON CONFLICT DO NOTHING
               RETURNING credential_id, expires_on, days_before
           )
           SELECT c.id AS "credential: CredentialId", c.therapist_id AS "therapist: TherapistId", c.type AS type_code,
                  noted.expires_on AS "expires_on!", min(noted.days_before) AS "days_before!"
           FROM noted JOIN credentials c ON c.id = noted.credential_id
           GROUP BY c.id, noted.expires_on ORDER BY c.id"#,
        days_before,
        now,
        &zones,
        &dates,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(reminders)
}

/// Verified credentials whose authority is to be asked again, and of which staff were not told yet.
pub(in super::super) async fn to_recheck(tx: &mut Tx, today: NaiveDate) -> Result<Vec<CredentialId>> {
    let due = sqlx::query_scalar!(
        r#"SELECT id AS "id: CredentialId" FROM credentials c
           WHERE review_state = 'verified' AND recheck_on <= $1
             AND NOT EXISTS (SELECT FROM tasks t WHERE t.kind = 'recheck_due' AND t.subject_type = 'credential'
                             AND t.subject_id = c.id AND t.resolved_at IS NULL)
           ORDER BY recheck_on, id LIMIT 10000"#,
        today
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(due)
}

pub(in super::super) async fn is_recheck_due(tx: &mut Tx, id: CredentialId, today: NaiveDate) -> Result<bool> {
    let due = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM credentials WHERE id = $1 AND review_state = 'verified' AND recheck_on <= $2) AS "due!""#,
        id.0,
        today
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(due)
}

/// Deletes what was noted of reminders of ends before `end`.
pub(in super::super) async fn forget_reminders(db: &PgPool, end: NaiveDate) -> Result<()> {
    in_batches(|| async move {
        let gone = sqlx::query!(
            "DELETE FROM credential_reminders WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM credential_reminders WHERE expires_on < $1 ORDER BY expires_on LIMIT $2 FOR UPDATE SKIP LOCKED))",
            end,
            BATCH
        );
        Ok(gone.execute(db).await?.rows_affected())
    })
    .await
}

/// Credentials whose stored number is not what the rule makes of it now, of types in these categories, oldest first. Those that
/// staff look at already are left out.
pub(in super::super) async fn misnumbered(db: &PgPool, padded: &[Category]) -> Result<Vec<CredentialId>> {
    let padded: Vec<String> = padded.iter().map(crate::values::name).collect();
    let stale = sqlx::query_scalar!(
        r#"SELECT c.id AS "id: CredentialId" FROM credentials c JOIN credential_types t ON t.code = c.type
           WHERE t.category = ANY ($1)
             AND (c.normalised_number ~ '^[A-Z]*0[A-Z0-9]' OR (t.number_prefix ~ '^[0-9]+$' AND c.normalised_number ~ '^[0-9]{1,6}$'))
             AND NOT EXISTS (SELECT FROM tasks k WHERE k.kind = 'duplicate_claim' AND k.subject_type = 'credential'
                             AND k.subject_id = c.id AND k.resolved_at IS NULL)
           ORDER BY c.id LIMIT 1000"#,
        &padded
    )
    .fetch_all(db)
    .await?;
    Ok(stale)
}

/// Stores the number as the rule makes it now; false where another therapist's, verified, is the same.
pub(in super::super) async fn renumber(tx: &mut Tx, row: &Row) -> Result<bool> {
    let stored = sqlx::query!(
        "UPDATE credentials c SET normalised_number = $2
         WHERE id = $1 AND NOT (c.review_state IN ('verified', 'suspended') AND EXISTS (
             SELECT FROM credentials other
             WHERE other.type = c.type AND other.issuing_jurisdiction = c.issuing_jurisdiction
               AND other.normalised_number = $2 AND other.therapist_id <> c.therapist_id
               AND other.review_state IN ('verified', 'suspended')))",
        row.credential.id.0,
        row.normalised_number(),
    )
    .execute(&mut **tx)
    .await?;
    Ok(stored.rows_affected() == 1)
}
