//! Sealing what bookings and their events keep of people's words.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::lifecycle::Action;
use super::{FOCUS_AREAS, KeptReason, NOTES, REASON};
use crate::accounts::Address;
use crate::cipher::Sealed;
use crate::error::Result;
use crate::ids::BookingId;
use crate::sealing::Sealing;

/// Seals some of what clients tell with a booking, and of the copies of addresses, as [`Sealing`] says.
pub async fn seal(sealing: &Sealing<'_>) -> Result<u64> {
    let mut tx = sealing.begin().await?;
    let rows = sqlx::query!(
        r#"SELECT id, notes_sealed AS "notes: Sealed", focus_areas_sealed AS "focus_areas: Sealed", address AS "address: Json<Address>"
           FROM bookings
           WHERE ctid >= $1::text::tid AND ctid < $2::text::tid
             AND (left(notes_sealed, 8) <> $3 OR left(focus_areas_sealed, 8) <> $3
                  OR left(address ->> 'access_notes_sealed', 8) <> $3 OR left(address ->> 'remarks_sealed', 8) <> $3)
           FOR UPDATE SKIP LOCKED"#,
        sealing.from,
        sealing.to,
        sealing.first
    )
    .fetch_all(&mut *tx)
    .await?;
    let cipher = sealing.cipher;
    for row in &rows {
        sqlx::query!(
            "UPDATE bookings SET notes_sealed = $2, focus_areas_sealed = $3, address = $4 WHERE id = $1",
            row.id.0,
            cipher.reseal_any(NOTES, row.id, row.notes.as_ref())? as Option<Sealed>,
            cipher.reseal_any(FOCUS_AREAS, row.id, row.focus_areas.as_ref())? as Option<Sealed>,
            Json(row.address.sealed(cipher)?) as _,
        )
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(rows.len() as u64)
}

/// Seals some of the reasons of people's steps, as [`Sealing`] says. The table lets nothing else of an event change.
pub async fn seal_events(sealing: &Sealing<'_>) -> Result<u64> {
    let mut tx = sealing.begin().await?;
    let rows = sqlx::query!(
        r#"SELECT position, booking_id AS "booking: BookingId", action AS "action: Action",
                  at AS "at: DateTime<Utc>", reason_sealed AS "reason!: Sealed"
           FROM booking_events
           WHERE ctid >= $1::text::tid AND ctid < $2::text::tid AND left(reason_sealed, 8) <> $3
           FOR UPDATE SKIP LOCKED"#,
        sealing.from,
        sealing.to,
        sealing.first
    )
    .fetch_all(&mut *tx)
    .await?;
    for row in &rows {
        let name = KeptReason::row(row.booking, row.action, row.at);
        sqlx::query!(
            "UPDATE booking_events SET reason_sealed = $2 WHERE position = $1",
            row.position,
            sealing.cipher.reseal(REASON, &name, &row.reason)? as Sealed
        )
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(rows.len() as u64)
}
