//! A visit in outline: as far as messages tell of it, and as far as it matters whether they still hold.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::lifecycle::Status;
use crate::error::Result;
use crate::ids::{AccountId, BookingId, CounterOfferId, TherapistId};
use crate::values::{Span, Zone};

/// A visit, as it is at one moment. It holds no street and no words of anybody.
#[derive(Clone, Debug)]
pub struct Outline {
    /// Who booked it.
    pub client: AccountId,
    /// Who carries it out.
    pub therapist: TherapistId,
    /// Where it stands.
    pub status: Status,
    /// The time on the table.
    pub table: Span,
    /// The zone at its place.
    pub time_zone: Zone,
    /// The suburb.
    pub locality: String,
    /// Whether its therapist may not carry it out as things stand.
    pub at_risk: bool,
    /// Whether its therapist wants somebody else to take it over.
    pub handed_over: bool,
    /// What is proposed for it and not answered yet, and when that would begin.
    pub proposed: Option<(CounterOfferId, DateTime<Utc>)>,
}

/// The visit at `now`. A requested booking whose deadline has passed has expired, whether that was written down or not.
pub async fn outline(db: &PgPool, booking: BookingId, now: DateTime<Utc>) -> Result<Option<Outline>> {
    let row = sqlx::query!(
        r#"SELECT b.client_id, b.therapist_id, b.start_at, b.duration_minutes, b.time_zone AS "time_zone: Zone",
                  CASE WHEN b.status = 'requested' AND b.respond_by <= $2 THEN 'expired' ELSE b.status END AS "status!: Status",
                  b.address ->> 'locality' AS "locality!", b.at_risk_since IS NOT NULL AS "at_risk!",
                  b.handed_over_at IS NOT NULL AS "handed_over!", o.id AS "offer?: CounterOfferId", o.start_at AS "offered?"
           FROM bookings b
           LEFT JOIN counter_offers o ON o.booking_id = b.id AND o.status = 'open' AND o.expires_at > $2
           WHERE b.id = $1"#,
        booking.0,
        now
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| Outline {
        client: row.client_id,
        therapist: row.therapist_id,
        status: row.status,
        table: Span::of_minutes(row.start_at, row.duration_minutes.into()),
        time_zone: row.time_zone,
        locality: row.locality,
        at_risk: row.at_risk && row.status.is_live(),
        handed_over: row.handed_over && row.status.is_live(),
        proposed: row.offer.zip(row.offered),
    }))
}
