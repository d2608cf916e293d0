use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use crate::bookings::Booking;
use crate::credentials::Reliance;
use crate::db::Tx;
use crate::error::Result;
use crate::events::Party;
use crate::ids::{BookingId, CredentialId, TherapistId, VerificationId};
use crate::values::name;

/// What each of these bookings relies on now.
pub(super) async fn reliances(tx: &mut Tx, bookings: &[BookingId]) -> Result<HashMap<BookingId, BTreeSet<Reliance>>> {
    let rows = sqlx::query!(
        r#"SELECT booking_id AS "booking_id!: BookingId", "group" AS "group!", required_by AS "required_by!", options AS "options!",
                  credential_id AS "credential_id!: CredentialId", type AS "type_code!", authority AS "authority!", verification_id AS "verification_id: VerificationId",
                  expires_on
           FROM unnest($1::uuid[]) AS asked JOIN booking_credentials ON booking_id = asked
           WHERE revision = (SELECT max(revision) FROM reliances WHERE booking_id = asked)"#,
        bookings as &[BookingId]
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut reliances: HashMap<_, BTreeSet<_>> = HashMap::new();
    for row in rows {
        reliances.entry(row.booking_id).or_default().insert(Reliance {
            group: row.group,
            required_by: row.required_by,
            options: row.options,
            credential: row.credential_id,
            type_code: row.type_code,
            authority: row.authority,
            verification: row.verification_id,
            expires_on: row.expires_on,
        });
    }
    Ok(reliances)
}

/// Puts a visit at risk since then until it is called off, or takes it out.
pub(super) async fn set_at_risk(
    tx: &mut Tx,
    booking: BookingId,
    risk: Option<(DateTime<Utc>, DateTime<Utc>)>,
) -> Result<()> {
    let (since, until) = risk.unzip();
    sqlx::query!("UPDATE bookings SET at_risk_since = $2, call_off_at = $3 WHERE id = $1", booking.0, since, until)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// When each of these visits is called off, where that was written down.
pub async fn deadlines(tx: &mut Tx, visits: &[Booking]) -> Result<HashMap<BookingId, DateTime<Utc>>> {
    let ids: Vec<BookingId> =
        visits.iter().filter(|visit| visit.at_risk_since.is_some()).map(|visit| visit.id).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        r#"SELECT id AS "id: BookingId", call_off_at AS "call_off_at!" FROM bookings WHERE id = ANY ($1) AND call_off_at IS NOT NULL"#,
        &ids as &[BookingId]
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.call_off_at)).collect())
}

/// Who has to answer for it that the visit is at risk.
pub(super) async fn put_at_risk_by(tx: &mut Tx, booking: BookingId) -> Result<Option<Party>> {
    let by = sqlx::query_scalar!(
        r#"SELECT details ->> 'by' AS "by: Party" FROM events
           WHERE subject_type = 'booking' AND subject_id = $1 AND id >= history_of($1) AND kind = 'booking.put_at_risk'
           ORDER BY position DESC LIMIT 1"#,
        booking.to_string()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(by.flatten())
}

/// The therapists who have live visits that have not ended in `jurisdiction` or any place below it; anywhere, where none
/// is named.
pub async fn therapists_with_visits(
    tx: &mut Tx,
    jurisdiction: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Vec<TherapistId>> {
    let therapists = sqlx::query_scalar!(
        r#"SELECT DISTINCT therapist_id FROM bookings
           WHERE start_at > $1::timestamptz - interval '4 hours' AND start_at + make_interval(mins => duration_minutes) > $1
             AND (status IN ('confirmed', 'on_the_way', 'arrived', 'in_progress') OR (status = 'requested' AND respond_by > $1))
             AND ($2::text IS NULL OR jurisdiction = $2 OR starts_with(jurisdiction, $2 || '-'))
           ORDER BY therapist_id"#,
        now,
        jurisdiction
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(therapists)
}

/// Whether it was told that the visit takes place without a licence, where it stands now.
pub(super) async fn was_alerted(tx: &mut Tx, booking: &Booking, kind: &str) -> Result<bool> {
    let told = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM events WHERE subject_type = 'booking' AND subject_id = $1 AND id >= history_of($1) AND kind = $2
                          AND details ->> 'status' = $3) AS "told!""#,
        booking.id.to_string(),
        kind,
        name(&booking.status)
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(told)
}
