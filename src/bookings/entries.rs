//! Visits as entries of a calendar.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::lifecycle::Status;
use crate::error::Result;
use crate::ids::{AccountId, BookingId, TherapistId};

/// More visits do not fit into one calendar.
const MOST_ENTRIES: i64 = 5_000;

/// A visit, as far as a calendar shows it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Which one.
    pub id: BookingId,
    /// Where it stands.
    pub status: Status,
    /// When the time on the table begins.
    pub start_at: DateTime<Utc>,
    /// Minutes on the table.
    pub minutes: i16,
    /// The suburb, for whoever goes there.
    pub suburb: Option<String>,
    /// How often it changed in a way that a calendar shows.
    pub changes: i64,
    /// When it was booked.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub changed_at: DateTime<Utc>,
}

/// The visits of `account`, as client or as therapist, that start at `since` or later.
pub async fn entries(db: &PgPool, account: AccountId, since: DateTime<Utc>, now: DateTime<Utc>) -> Result<Vec<Entry>> {
    // The steps of the visit itself change nothing that a calendar shows. A request that has lapsed has changed, whether that was
    // written down or not.
    let entries = sqlx::query_as!(
        Entry,
        r#"SELECT b.id,
                  CASE WHEN lapsed THEN 'expired' ELSE b.status END AS "status!: Status",
                  b.start_at, b.duration_minutes AS minutes,
                  CASE WHEN b.therapist_id = $1 THEN b.address ->> 'locality' END AS suburb,
                  greatest(events.count - 1, 0) + lapsed::int AS "changes!",
                  b.created_at,
                  CASE WHEN lapsed THEN b.respond_by ELSE coalesce(events.last, b.created_at) END AS "changed_at!"
           FROM bookings b
           CROSS JOIN LATERAL (SELECT b.status = 'requested' AND b.respond_by <= $3 AS lapsed) state
           CROSS JOIN LATERAL (
               SELECT count(*) AS count, max(e.at) AS last FROM booking_events e
               WHERE e.booking = b.id::text AND e.id >= history_of(b.id::text) AND e.action NOT IN ('on_the_way', 'arrive', 'start', 'complete', 'ask_extension')
           ) events
           WHERE (b.client_id = $1 OR b.therapist_id = $1) AND b.start_at >= $2
           ORDER BY b.start_at, b.id LIMIT $4"#,
        account.0,
        since,
        now,
        MOST_ENTRIES,
    )
    .fetch_all(db)
    .await?;
    Ok(entries)
}

/// The ids of a therapist's visits, also those that were called off, that start at `since` or later.
pub async fn ids_since(db: &PgPool, therapist: TherapistId, since: DateTime<Utc>) -> Result<HashSet<BookingId>> {
    let ids =
        sqlx::query_scalar!("SELECT id FROM bookings WHERE therapist_id = $1 AND start_at >= $2", therapist.0, since)
            .fetch_all(db)
            .await?;
    Ok(ids.into_iter().collect())
}
