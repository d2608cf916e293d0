use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::{CounterOffer, OfferStatus};
use crate::bookings::Booking;
use crate::bookings::lifecycle::Party;
use crate::bookings::store::{clear_lapsed, range};
use crate::db::{BATCH, Tx, in_batches};
use crate::error::{OnConstraint, Refusal, Result};
use crate::ids::BookingId;
use crate::values::{Money, Span, Zone};

/// How long a counter-offer is kept after the time that it proposed.
const KEPT: TimeDelta = TimeDelta::days(400);

/// What was proposed for a booking, oldest first. What was not answered in time has expired, whether that is written down or
/// not.
pub(super) async fn list(tx: &mut Tx, booking: BookingId, now: DateTime<Utc>) -> Result<Vec<CounterOffer>> {
    let rows = sqlx::query!(
        r#"SELECT o.id, o.booking_id, o.party AS "by: Party", o.start_at, o.amount, b.currency, b.time_zone AS "time_zone: Zone",
                  CASE WHEN o.status = 'open' AND o.expires_at <= $2 THEN 'expired' ELSE o.status END AS "status!: OfferStatus",
                  o.created_at, o.expires_at
           FROM counter_offers o JOIN bookings b ON b.id = o.booking_id WHERE o.booking_id = $1 ORDER BY o.position"#,
        booking.0,
        now
    )
    .fetch_all(&mut **tx)
    .await?;
    let offers = rows.into_iter().map(|row| {
        Ok(CounterOffer {
            id: row.id,
            booking_id: row.booking_id,
            by: row.by,
            start_at: row.start_at,
            price: Money::stored(row.amount, &row.currency)?,
            time_zone: row.time_zone,
            status: row.status,
            created_at: row.created_at,
            expires_at: row.expires_at,
        })
    });
    offers.collect()
}

/// Stores an open counter-offer, and holds what it takes up (`during`) and its visit does not hold itself: one stretch, or one
/// on either side. Each counts towards the daily cap by its own first moment, where the start lies outside of it.
pub(super) async fn insert(tx: &mut Tx, offer: &CounterOffer, booking: &Booking, during: Span) -> Result<()> {
    clear_lapsed(tx, booking.therapist, during, offer.created_at).await?;
    sqlx::query!(
        "INSERT INTO counter_offers (id, booking_id, therapist_id, party, start_at, amount, status, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        offer.id.0,
        booking.id.0,
        booking.therapist.0,
        offer.by as Party,
        offer.start_at,
        offer.price.amount,
        offer.status as OfferStatus,
        offer.created_at,
        offer.expires_at,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "INSERT INTO reservations (id, therapist_id, during, start_at, latitude, longitude, hold_expires_at, offer_id)
         SELECT gen_random_uuid(), $2, stretch, CASE WHEN stretch @> $5::timestamptz THEN $5 ELSE lower(stretch) END, $6, $7, $8, $1
         FROM unnest(tstzmultirange($4) - (SELECT coalesce(range_agg(r.during), '{}') FROM reservations r
                                           WHERE r.therapist_id = $2 AND r.booking_id = $3)) AS stretch",
        offer.id.0,
        booking.therapist.0,
        booking.id.0,
        range(during),
        offer.start_at,
        booking.address.latitude,
        booking.address.longitude,
        offer.expires_at,
    )
    .execute(&mut **tx)
    .await
    .on_constraint("reservations_overlap", Refusal::SlotUnavailable)?;
    Ok(())
}

/// Keeps a request alive until `deadline`.
pub(super) async fn keep_request(tx: &mut Tx, booking: &Booking, deadline: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "WITH kept AS (UPDATE bookings SET respond_by = $2 WHERE id = $1 RETURNING id, therapist_id)
         UPDATE reservations r SET hold_expires_at = $2 FROM kept WHERE r.therapist_id = kept.therapist_id AND r.booking_id = kept.id",
        booking.id.0,
        deadline
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Closes the booking's open counter-offer, if it has one, and frees its time; one that has lapsed closes as expired. Whether
/// it closed as `to`.
pub(in crate::bookings) async fn close(
    tx: &mut Tx,
    booking: BookingId,
    to: OfferStatus,
    now: DateTime<Utc>,
) -> Result<bool> {
    let closed = sqlx::query_scalar!(
        r#"WITH closed AS (
               UPDATE counter_offers SET status = CASE WHEN expires_at <= $3 THEN 'expired' ELSE $2 END
               WHERE booking_id = $1 AND status = 'open' RETURNING id, therapist_id, status
           ), freed AS (
               DELETE FROM reservations r USING closed WHERE r.therapist_id = closed.therapist_id AND r.offer_id = closed.id
           )
           SELECT EXISTS (SELECT FROM closed WHERE status = $2) AS "closed!""#,
        booking.0,
        to as OfferStatus,
        now
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(closed)
}

/// Writes down which counter-offers lapsed an hour ago or longer, and deletes what is left of their time; deletes those whose time is long
/// past.
pub async fn forget_lapsed(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    in_batches(|| async move {
        let lapsed = sqlx::query_scalar!(
            r#"WITH lapsed AS (
                   UPDATE counter_offers SET status = 'expired' WHERE ctid = ANY (ARRAY(
                       SELECT ctid FROM counter_offers WHERE status = 'open' AND expires_at < $1
                       ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))
                   RETURNING id, therapist_id
               ), freed AS (
                   DELETE FROM reservations r USING lapsed WHERE r.therapist_id = lapsed.therapist_id AND r.offer_id = lapsed.id
               )
               SELECT count(*) AS "count!" FROM lapsed"#,
            now - TimeDelta::hours(1),
            BATCH
        );
        Ok(lapsed.fetch_one(db).await?.unsigned_abs())
    })
    .await?;
    in_batches(|| async move {
        let gone = sqlx::query!(
            "DELETE FROM counter_offers WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM counter_offers WHERE status <> 'open' AND start_at < $1
                 ORDER BY start_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
            now - KEPT,
            BATCH
        );
        Ok(gone.execute(db).await?.rows_affected())
    })
    .await
}
