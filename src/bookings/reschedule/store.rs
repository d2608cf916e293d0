use crate::values::Span;
use chrono::{DateTime, Utc};
use sqlx::types::Json;

use crate::bookings::Booking;
use crate::bookings::lifecycle::Status;
use crate::bookings::store::{clear_lapsed, range};
use crate::db::Tx;
use crate::error::{OnConstraint, Refusal, Result};

/// Saves what is agreed for `booking` from now on, with the time that it takes up: `during`. The caller holds the
/// therapist's lock: an UPDATE cannot do nothing where the time is taken, it fails.
pub(in crate::bookings) async fn save(tx: &mut Tx, booking: &Booking, during: Span, now: DateTime<Utc>) -> Result<()> {
    clear_lapsed(tx, booking.therapist, during, now).await?;
    sqlx::query!(
        "UPDATE reservations SET during = $3, start_at = $4, hold_expires_at = $5 WHERE therapist_id = $1 AND booking_id = $2",
        booking.therapist.0,
        booking.id.0,
        range(during),
        booking.start_at,
        booking.respond_by.filter(|_| booking.status == Status::Requested),
    )
    .execute(&mut **tx)
    .await
    .on_constraint("reservations_overlap", Refusal::SlotUnavailable)?;
    sqlx::query!(
        "UPDATE bookings SET status = $2, start_at = $3, duration_minutes = $4, amount = $5, currency = $6, asked_at = $7,
                respond_by = $8, at_risk_since = $9, free_to_cancel = $10, least_fee = $11, price_breakdown = $12,
                overdue_told_at = NULL
         WHERE id = $1",
        booking.id.0,
        booking.status as Status,
        booking.start_at,
        booking.duration_minutes,
        booking.price.amount,
        booking.price.currency.code(),
        booking.asked_at,
        booking.respond_by,
        booking.at_risk_since,
        booking.free_to_cancel,
        booking.least_fee,
        Json(&booking.breakdown) as _,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
