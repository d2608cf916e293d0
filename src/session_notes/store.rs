use super::{TEXT, Version, row};
use crate::cipher::Sealed;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::BookingId;
use crate::sealing::Sealing;

/// The latest version, if anything was noted.
pub(super) async fn latest(tx: &mut Tx, booking: BookingId) -> Result<Option<Version>> {
    let version = sqlx::query_as!(
        Version,
        r#"SELECT version AS number, author_id AS author, text_sealed AS "text: Sealed", written_at
           FROM session_notes WHERE booking_id = $1 ORDER BY version DESC LIMIT 1"#,
        booking.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(version)
}

/// Adds a version; those before it stay.
pub(super) async fn insert(tx: &mut Tx, booking: BookingId, version: &Version) -> Result<()> {
    sqlx::query!(
        "INSERT INTO session_notes (booking_id, version, author_id, text_sealed, written_at) VALUES ($1, $2, $3, $4, $5)",
        booking.0,
        version.number,
        version.author.0,
        &version.text as &Sealed,
        version.written_at
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Seals some of the notes anew, as [`Sealing`] says. The table lets nothing else of a version change.
pub async fn seal(sealing: &Sealing<'_>) -> Result<u64> {
    let mut tx = sealing.begin().await?;
    let rows = sqlx::query!(
        r#"SELECT booking_id AS "booking: BookingId", version, text_sealed AS "text: Sealed" FROM session_notes
           WHERE ctid >= $1::text::tid AND ctid < $2::text::tid AND left(text_sealed, 8) <> $3
           FOR UPDATE SKIP LOCKED"#,
        sealing.from,
        sealing.to,
        sealing.first
    )
    .fetch_all(&mut *tx)
    .await?;
    for old in &rows {
        sqlx::query!(
            "UPDATE session_notes SET text_sealed = $3 WHERE booking_id = $1 AND version = $2",
            old.booking.0,
            old.version,
            sealing.cipher.reseal(TEXT, &row(old.booking, old.version), &old.text)? as Sealed
        )
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(rows.len() as u64)
}
