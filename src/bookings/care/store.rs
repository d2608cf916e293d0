use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use crate::db::Tx;
use crate::error::Result;
use crate::events::Work;
use crate::ids::{AccountId, BookingId, RecipientId};
use crate::values::Jurisdiction;

/// How many recipients are looked at in one go.
const BATCH: i64 = 500;

/// The visits ahead of a recipient, by their start, and those of a client that name nobody: `oneself`.
pub(super) async fn ahead(
    db: &mut PgConnection,
    recipient: Option<RecipientId>,
    oneself: Option<AccountId>,
    now: DateTime<Utc>,
) -> Result<Vec<BookingId>> {
    let ids = sqlx::query_scalar!(
        r#"SELECT id AS "id!: BookingId" FROM (
               SELECT id, start_at, status FROM bookings WHERE recipient_id = $1 AND start_at > $3
               UNION ALL
               SELECT id, start_at, status FROM bookings WHERE client_id = $2 AND recipient_id IS NULL AND start_at > $3
           ) AS ahead
           WHERE status IN ('requested', 'confirmed', 'on_the_way', 'arrived') ORDER BY start_at, id"#,
        recipient.map(|recipient| recipient.0),
        oneself.map(|account| account.0),
        now
    )
    .fetch_all(db)
    .await?;
    Ok(ids)
}

/// The next recipients after `after` who have visits ahead.
pub(super) async fn recipients_with_visits(
    db: &PgPool,
    after: Option<RecipientId>,
    now: DateTime<Utc>,
) -> Result<Vec<RecipientId>> {
    let ids = sqlx::query_scalar!(
        r#"SELECT DISTINCT recipient_id AS "id!: RecipientId" FROM bookings
           WHERE recipient_id IS NOT NULL AND ($1::uuid IS NULL OR recipient_id > $1) AND start_at > $2
             AND status IN ('requested', 'confirmed', 'on_the_way', 'arrived')
           ORDER BY recipient_id LIMIT $3"#,
        after.map(|id| id.0),
        now,
        BATCH
    )
    .fetch_all(db)
    .await?;
    Ok(ids)
}

/// The next clients after `after` who have visits ahead that name nobody, and whether one of those does not suit.
pub(super) async fn clients_with_visits(
    db: &PgPool,
    after: Option<AccountId>,
    now: DateTime<Utc>,
) -> Result<Vec<(AccountId, bool)>> {
    let found = sqlx::query!(
        r#"SELECT client_id AS "client!: AccountId", bool_or(care_at_risk_since IS NOT NULL) AS "is_at_risk!" FROM bookings
           WHERE recipient_id IS NULL AND ($1::uuid IS NULL OR client_id > $1) AND start_at > $2
             AND status IN ('requested', 'confirmed', 'on_the_way', 'arrived')
           GROUP BY client_id ORDER BY client_id LIMIT $3"#,
        after.map(|id| id.0),
        now,
        BATCH
    )
    .fetch_all(db)
    .await?;
    Ok(found.into_iter().map(|row| (row.client, row.is_at_risk)).collect())
}

/// When the last visit of a recipient ends that took place or may still do so, and of a client those that name nobody: at each place.
pub(super) async fn last_ends(
    work: &mut Work,
    recipient: RecipientId,
    oneself: Option<AccountId>,
) -> Result<Vec<(Jurisdiction, DateTime<Utc>)>> {
    let ends = sqlx::query!(
        r#"SELECT jurisdiction AS "place!: Jurisdiction", max(start_at + duration_minutes * interval '1 minute') AS "end!" FROM (
               SELECT jurisdiction, start_at, duration_minutes, status FROM bookings WHERE recipient_id = $1
               UNION ALL
               SELECT jurisdiction, start_at, duration_minutes, status FROM bookings WHERE client_id = $2 AND recipient_id IS NULL
           ) AS visits
           WHERE status NOT IN ('declined', 'expired', 'cancelled', 'no_show') GROUP BY jurisdiction"#,
        recipient.0,
        oneself.map(|account| account.0),
    );
    Ok(ends.fetch_all(&mut ***work).await?.into_iter().map(|row| (row.place, row.end)).collect())
}

/// Whether a client holds anyone's time at `now`.
pub(super) async fn holds(tx: &mut Tx, client: AccountId, now: DateTime<Utc>) -> Result<bool> {
    let held = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM holds WHERE client_id = $1 AND expires_at > $2 AND ended_at IS NULL) AS "held!""#,
        client.0,
        now
    );
    Ok(held.fetch_one(&mut **tx).await?)
}

/// Writes down since when answers speak against a visit, or that they do not any more.
pub(super) async fn set_at_risk(tx: &mut Tx, booking: BookingId, since: Option<DateTime<Utc>>) -> Result<()> {
    sqlx::query!("UPDATE bookings SET care_at_risk_since = $2 WHERE id = $1", booking.0, since)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Writes down when its client said of a visit that nothing has changed.
pub(super) async fn confirm(tx: &mut Tx, booking: BookingId, at: DateTime<Utc>) -> Result<()> {
    sqlx::query!("UPDATE bookings SET care_confirmed_at = $2 WHERE id = $1", booking.0, at).execute(&mut **tx).await?;
    Ok(())
}

/// How many visits of a client were called off since then for their answers, within a day of their start.
pub(super) async fn called_off_late(tx: &mut Tx, client: AccountId, since: DateTime<Utc>) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM bookings
           WHERE client_id = $1 AND start_at > $2 AND status = 'cancelled' AND cancelled_by = 'system' AND cancelled_at > $2
             AND care_at_risk_since = cancelled_at"#,
        client.0,
        since
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(count)
}
