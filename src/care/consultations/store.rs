use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::cipher::Sealed;
use crate::error::Result;
use crate::events::{Party, Work};
use crate::ids::{AccountId, BookingId, RecipientId, ServiceId};

/// A version as it is kept.
pub(super) struct StoredConsultation {
    pub version: i32,
    pub content: Sealed,
    pub written_by: Party,
    pub written_at: DateTime<Utc>,
}

/// The latest version of a visit's consultation, of a person.
pub(super) async fn latest(
    db: &mut PgConnection,
    recipient: RecipientId,
    visit: BookingId,
) -> Result<Option<StoredConsultation>> {
    let latest = sqlx::query_as!(
        StoredConsultation,
        r#"SELECT version, content_sealed AS "content: Sealed", written_by AS "written_by: Party", written_at
           FROM consultations WHERE booking_id = $1 AND recipient_id = $2 ORDER BY version DESC LIMIT 1"#,
        visit.0,
        recipient.0
    )
    .fetch_optional(db)
    .await?;
    Ok(latest)
}

/// The number of the last version of a visit's consultation, whoever the visit was for; 0 where there is none.
pub(super) async fn last_version(work: &mut Work, visit: BookingId) -> Result<i32> {
    let last = sqlx::query_scalar!(
        r#"SELECT coalesce(max(version), 0) AS "last!" FROM consultations WHERE booking_id = $1"#,
        visit.0
    );
    Ok(last.fetch_one(&mut ***work).await?)
}

/// A signature of a version.
pub(super) struct StoredSignature {
    pub version: i32,
    pub party: Party,
    pub signed_at: DateTime<Utc>,
}

/// What these accounts have signed of a visit's consultation, in order.
pub(super) async fn signatures(db: &mut PgConnection, visit: BookingId, by: &[Uuid]) -> Result<Vec<StoredSignature>> {
    let signatures = sqlx::query_as!(
        StoredSignature,
        r#"SELECT version, party AS "party: Party", signed_at FROM consultation_signatures
           WHERE booking_id = $1 AND account_id = ANY ($2) ORDER BY version, party"#,
        visit.0,
        by
    )
    .fetch_all(db)
    .await?;
    Ok(signatures)
}

/// A version of another visit's.
pub(super) struct SignedElsewhere {
    pub visit: BookingId,
    pub version: i32,
    pub content: Sealed,
}

/// The last consultation of a person that both of these accounts have signed, of another visit.
pub(super) async fn signed_elsewhere(
    db: &mut PgConnection,
    recipient: RecipientId,
    (visit, service): (BookingId, ServiceId),
    by: &[Uuid],
) -> Result<Option<SignedElsewhere>> {
    let last = sqlx::query_as!(
        SignedElsewhere,
        r#"SELECT c.booking_id AS "visit: BookingId", c.version, content_sealed AS "content: Sealed" FROM consultations c
           WHERE recipient_id = $1 AND booking_id <> $2 AND service_id = $4
             AND (SELECT count(*) FROM consultation_signatures s WHERE s.booking_id = c.booking_id AND s.version = c.version AND account_id = ANY ($3)) = 2
           ORDER BY written_at DESC, c.version DESC LIMIT 1"#,
        recipient.0,
        visit.0,
        by,
        service.0
    )
    .fetch_optional(db)
    .await?;
    Ok(last)
}

/// Adds a version; under the lock of the booking.
pub(super) async fn insert(
    work: &mut Work,
    (visit, version, service): (BookingId, i32, ServiceId),
    recipient: RecipientId,
    content: &Sealed,
    by: Party,
) -> Result<()> {
    let now = work.now();
    sqlx::query!(
        "INSERT INTO consultations (booking_id, version, recipient_id, content_sealed, written_by, written_at, service_id) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        visit.0,
        version,
        recipient.0,
        content as &Sealed,
        by as Party,
        now,
        service.0,
    )
    .execute(&mut ***work)
    .await?;
    Ok(())
}

/// Adds a signature. Again changes nothing.
pub(super) async fn insert_signature(
    work: &mut Work,
    (visit, version): (BookingId, i32),
    party: Party,
    account: AccountId,
) -> Result<()> {
    let now = work.now();
    sqlx::query!(
        "INSERT INTO consultation_signatures (booking_id, version, party, account_id, signed_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        visit.0,
        version,
        party as Party,
        account.0,
        now,
    )
    .execute(&mut ***work)
    .await?;
    Ok(())
}
