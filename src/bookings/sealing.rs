//! Sealing what bookings and their events keep of people's words.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::lifecycle::Action;
use super::{KeptReason, NOTES};
use crate::accounts::Address;
use crate::cipher::Sealed;
use crate::error::Result;
use crate::ids::BookingId;
use crate::sealing::Sealing;

/// Seals some of what clients tell with a booking, and of the copies of addresses, as [`Sealing`] says.
pub async fn seal(sealing: &Sealing<'_>) -> Result<u64> {
    let mut tx = sealing.begin().await?;
    let rows = sqlx::query!(
        r#"SELECT id, notes, notes_sealed AS "notes_sealed: Sealed", focus_areas,
                  focus_areas_sealed AS "focus_areas_sealed: Sealed", address AS "address: Json<Address>"
           FROM bookings
           WHERE ctid >= $1::text::tid AND ctid < $2::text::tid
             AND (notes IS NOT NULL OR focus_areas <> '{}' OR address ->> 'access_notes' IS NOT NULL OR address ->> 'parking' IS NOT NULL
                  OR address ->> 'stairs' IS NOT NULL OR address ->> 'pets' IS NOT NULL
                  OR left(notes_sealed, 8) <> $3 OR left(focus_areas_sealed, 8) <> $3
                  OR left(address ->> 'access_notes_sealed', 8) <> $3 OR left(address ->> 'remarks_sealed', 8) <> $3)
           LIMIT $4 FOR UPDATE SKIP LOCKED"#,
        sealing.from,
        sealing.to,
        sealing.first,
        sealing.most
    )
    .fetch_all(&mut *tx)
    .await?;
    let cipher = sealing.cipher;
    for row in &rows {
        let notes = cipher.read(NOTES, row.id, row.notes.as_deref(), row.notes_sealed.as_ref())?;
        let areas = super::focus_areas(cipher, row.id, &row.focus_areas, row.focus_areas_sealed.as_ref())?;
        sqlx::query!(
            "UPDATE bookings SET notes = NULL, notes_sealed = $2, focus_areas = '{}', focus_areas_sealed = $3, address = $4
             WHERE id = $1",
            row.id.0,
            notes.map(|notes| cipher.seal(NOTES, row.id, &notes)).transpose()? as Option<Sealed>,
            super::seal_focus_areas(cipher, row.id, &areas)? as Option<Sealed>,
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
        r#"SELECT position, subject_id::uuid AS "booking!: BookingId", split_part(kind, '.', 2) AS "action!: Action",
                  at AS "at: DateTime<Utc>", reason_sealed AS "reason_sealed: Sealed"
           FROM events
           WHERE ctid >= $1::text::tid AND ctid < $2::text::tid AND left(reason_sealed, 8) <> $3
           LIMIT $4 FOR UPDATE SKIP LOCKED"#,
        sealing.from,
        sealing.to,
        sealing.first,
        sealing.most
    )
    .fetch_all(&mut *tx)
    .await?;
    let count = rows.len() as u64;
    for row in rows {
        let kept = KeptReason { action: row.action, at: row.at, plain: None, sealed: row.reason_sealed };
        if let Some(words) = kept.read(row.booking, sealing.cipher)? {
            let sealed = KeptReason::seal(sealing.cipher, row.booking, row.action, row.at, &words)?;
            sqlx::query!("UPDATE events SET reason_sealed = $2 WHERE position = $1", row.position, sealed as Sealed)
                .execute(&mut *tx)
                .await?;
        }
    }
    tx.commit().await?;
    Ok(count)
}
