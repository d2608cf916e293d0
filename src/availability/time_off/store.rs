use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, PgPool};

use crate::availability::schedule::TimeOff;
use crate::cipher::{Cipher, Sealed};
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{TherapistId, TimeOffId};

/// The column of notes, to which they are sealed: why a therapist takes time off may be about their health.
pub const NOTE: &str = "time_off.note";

struct Columns {
    id: TimeOffId,
    start_at: DateTime<Utc>,
    end_at: DateTime<Utc>,
    note_sealed: Option<Sealed>,
}

impl Columns {
    /// For the therapist, who alone is shown it.
    fn open(self, cipher: &Cipher) -> Result<TimeOff> {
        let note = cipher.open_any(NOTE, self.id, self.note_sealed.as_ref())?;
        Ok(TimeOff { id: self.id, start_at: self.start_at, end_at: self.end_at, note })
    }
}

fn sealed_note(time_off: &TimeOff, cipher: &Cipher) -> Result<Option<Sealed>> {
    time_off.note.as_deref().map(|note| cipher.seal(NOTE, time_off.id, note)).transpose()
}

/// The columns of a time off, read alike everywhere.
macro_rules! time_off {
    ($tail:literal, $($arg:expr),+) => {
        sqlx::query_as!(
            Columns,
            r#"SELECT id, start_at, end_at, note_sealed AS "note_sealed: Sealed" FROM time_off "# + $tail,
            $($arg),+
        )
    };
}

pub(super) async fn list(
    db: &PgPool,
    cipher: &Cipher,
    therapist: TherapistId,
    after: Option<(DateTime<Utc>, TimeOffId)>,
    count: i64,
) -> Result<Vec<TimeOff>> {
    let rows = time_off!(
        "WHERE therapist_id = $1 AND ($2::timestamptz IS NULL OR (start_at, id) > ($2, $3)) ORDER BY start_at, id LIMIT $4",
        therapist.0,
        after.map(|(start, _)| start),
        after.map(|(_, id)| id.0),
        count
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| row.open(cipher)).collect()
}

/// How many of a therapist's times off are not over.
pub(super) async fn count(tx: &mut Tx, therapist: TherapistId, now: DateTime<Utc>) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM time_off WHERE therapist_id = $1 AND end_at > $2"#,
        therapist.0,
        now
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(count)
}

pub(super) async fn insert(
    tx: &mut Tx,
    cipher: &Cipher,
    therapist: TherapistId,
    (time_off, unfit): (&TimeOff, bool),
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO time_off (id, therapist_id, start_at, end_at, note_sealed, unfit) VALUES ($1, $2, $3, $4, $5, $6)",
        time_off.id.0,
        therapist.0,
        time_off.start_at,
        time_off.end_at,
        sealed_note(time_off, cipher)? as Option<Sealed>,
        unfit
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Whether its therapist takes a time off because they are not fit to treat.
pub async fn is_unfit(tx: &mut Tx, id: TimeOffId) -> Result<bool> {
    let unfit = sqlx::query_scalar!("SELECT unfit FROM time_off WHERE id = $1", id.0).fetch_optional(&mut **tx).await?;
    Ok(unfit.unwrap_or(false))
}

pub(super) async fn find<'c>(
    db: impl PgExecutor<'c>,
    cipher: &Cipher,
    therapist: TherapistId,
    id: TimeOffId,
) -> Result<Option<TimeOff>> {
    let found = time_off!("WHERE therapist_id = $1 AND id = $2", therapist.0, id.0).fetch_optional(db).await?;
    found.map(|row| row.open(cipher)).transpose()
}

pub(super) async fn update(tx: &mut Tx, cipher: &Cipher, therapist: TherapistId, time_off: &TimeOff) -> Result<()> {
    sqlx::query!(
        "UPDATE time_off SET start_at = $3, end_at = $4, note_sealed = $5 WHERE therapist_id = $1 AND id = $2",
        therapist.0,
        time_off.id.0,
        time_off.start_at,
        time_off.end_at,
        sealed_note(time_off, cipher)? as Option<Sealed>
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Whether there was such a time off to delete.
pub(super) async fn delete(tx: &mut Tx, therapist: TherapistId, id: TimeOffId) -> Result<()> {
    sqlx::query!("DELETE FROM time_off WHERE therapist_id = $1 AND id = $2", therapist.0, id.0)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
