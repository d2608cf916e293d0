use crate::values::Span;
use chrono::{DateTime, Utc};

use crate::bookings::Booking;
use crate::bookings::counter_offers::{OfferStatus, close};
use crate::bookings::lifecycle::Status;
use crate::bookings::store::{clear_lapsed, range};
use crate::db::Tx;
use crate::error::Result;
use crate::ids::TherapistId;

/// Gives `booking` and its time to the therapist whom it names now, from `old`. False where that time was taken after
/// all; then the transaction must not be committed.
pub(super) async fn hand_over(
    tx: &mut Tx,
    booking: &Booking,
    old: TherapistId,
    during: Span,
    now: DateTime<Utc>,
) -> Result<bool> {
    close(tx, booking.id, OfferStatus::Obsolete, now).await?;
    sqlx::query!("DELETE FROM reservations WHERE therapist_id = $1 AND booking_id = $2", old.0, booking.id.0)
        .execute(&mut **tx)
        .await?;
    sqlx::query!(
        "UPDATE bookings SET therapist_id = $2, respond_by = $3, at_risk_since = NULL WHERE id = $1",
        booking.id.0,
        booking.therapist.0,
        booking.respond_by,
    )
    .execute(&mut **tx)
    .await?;
    if try_reserve(tx, booking, during).await? {
        return Ok(true);
    }
    let lapsed = clear_lapsed(tx, booking.therapist, during, now).await?;
    Ok(lapsed && try_reserve(tx, booking, during).await?)
}

async fn try_reserve(tx: &mut Tx, booking: &Booking, during: Span) -> Result<bool> {
    let reserved = sqlx::query!(
        "INSERT INTO reservations (id, therapist_id, during, start_at, latitude, longitude, hold_expires_at, booking_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $1) ON CONFLICT DO NOTHING",
        booking.id.0,
        booking.therapist.0,
        range(during),
        booking.start_at,
        booking.address.latitude,
        booking.address.longitude,
        booking.respond_by.filter(|_| booking.status == Status::Requested),
    )
    .execute(&mut **tx)
    .await?;
    Ok(reserved.rows_affected() == 1)
}
