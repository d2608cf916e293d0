//! Visits as entries of a calendar.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use icalendar::{Class, Component, EventLike, EventStatus};
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

impl Entry {
    /// What the visit is called in calendars, for ever.
    pub fn uid(booking: BookingId) -> String {
        format!("{booking}@visits.knead")
    }

    /// The visit as a component of a calendar (RFC 5545). It tells when, and to the therapist in which suburb; nothing about anybody's
    /// health, and nothing about a door.
    pub fn component(&self) -> icalendar::Event {
        let mut event = icalendar::Event::new();
        event
            .uid(&Self::uid(self.id))
            .sequence(self.sequence())
            // Of the visit and not of the moment: what is unchanged must read the same.
            .timestamp(self.changed_at)
            .created(self.created_at)
            .last_modified(self.changed_at)
            .starts(self.start_at)
            .ends(self.start_at + TimeDelta::minutes(self.minutes.into()))
            .summary("Massage visit")
            .class(Class::Private)
            .status(match self.status {
                Status::Requested => EventStatus::Tentative,
                Status::Declined | Status::Expired | Status::Cancelled => EventStatus::Cancelled,
                Status::Confirmed
                | Status::OnTheWay
                | Status::Arrived
                | Status::InProgress
                | Status::Completed
                | Status::NoShow
                | Status::Stopped => EventStatus::Confirmed,
            });
        if let Some(suburb) = &self.suburb {
            event.location(suburb);
        }
        event
    }

    /// Which version of the visit this is (RFC 5546, 2.1.4).
    pub fn sequence(&self) -> u32 {
        u32::try_from(self.changes).unwrap_or(u32::MAX)
    }
}

/// Visits as `$1` sees them at `$2`. The steps of the visit itself change nothing that a calendar shows. A request that has lapsed has
/// changed, whether that was written down or not.
macro_rules! entries {
    ($tail:literal, $($arg:expr),+) => {
        sqlx::query_as!(
            Entry,
            r#"SELECT b.id,
                      CASE WHEN lapsed THEN 'expired' ELSE b.status END AS "status!: Status",
                      b.start_at, b.duration_minutes AS minutes,
                      CASE WHEN b.therapist_id = $1 THEN b.address ->> 'locality' END AS suburb,
                      greatest(events.count - 1, 0) + lapsed::int AS "changes!",
                      b.created_at,
                      CASE WHEN lapsed THEN b.respond_by ELSE coalesce(events.last, b.created_at) END AS "changed_at!"
               FROM bookings b
               CROSS JOIN LATERAL (SELECT b.status = 'requested' AND b.respond_by <= $2 AS lapsed) state
               CROSS JOIN LATERAL (
                   SELECT count(*) AS count, max(e.at) AS last FROM booking_events e
                   WHERE e.booking = b.id::text AND e.id >= history_of(b.id::text)
                     AND e.action NOT IN ('on_the_way', 'arrive', 'start', 'complete', 'ask_extension')
               ) events "# + $tail,
            $($arg),+
        )
    };
}

/// The visits of `account`, as client or as therapist, that start at `since` or later.
pub async fn entries(db: &PgPool, account: AccountId, since: DateTime<Utc>, now: DateTime<Utc>) -> Result<Vec<Entry>> {
    let entries = entries!(
        "WHERE (b.client_id = $1 OR b.therapist_id = $1) AND b.start_at >= $3 ORDER BY b.start_at, b.id LIMIT $4",
        account.0,
        now,
        since,
        MOST_ENTRIES
    );
    Ok(entries.fetch_all(db).await?)
}

/// One visit, as `account` sees it. Whether it is theirs is for the caller to know: who had a visit before is told that it is gone.
pub async fn entry(db: &PgPool, account: AccountId, booking: BookingId, now: DateTime<Utc>) -> Result<Option<Entry>> {
    Ok(entries!("WHERE b.id = $3", account.0, now, booking.0).fetch_optional(db).await?)
}

/// The ids of a therapist's visits, also those that were called off, that start at `since` or later.
pub async fn ids_since(db: &PgPool, therapist: TherapistId, since: DateTime<Utc>) -> Result<HashSet<BookingId>> {
    let ids =
        sqlx::query_scalar!("SELECT id FROM bookings WHERE therapist_id = $1 AND start_at >= $2", therapist.0, since)
            .fetch_all(db)
            .await?;
    Ok(ids.into_iter().collect())
}
