use super::Version;
use crate::cipher::Sealed;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::BookingId;

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
