use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgPool;

use super::Hint;
use crate::db::{BATCH, Tx};
use crate::error::Result;
use crate::ids::TherapistId;

/// A therapist whose hints are to be made anew, their square, and the minutes of their shortest offer.
pub(super) type Due = (TherapistId, Option<i32>, Option<i16>);

/// Therapists whose hints are to be made anew, but for those who are `passed_over`, locked until the
/// transaction ends: whoever frees time meanwhile waits, and is not overwritten. Those locked already are left for later, and others
/// taken in their place: fewer than `count` are all that can be had at present.
pub(super) async fn due(
    tx: &mut Tx,
    good_until: DateTime<Utc>,
    count: i64,
    passed_over: &[TherapistId],
) -> Result<Vec<Due>> {
    let locked = sqlx::query_scalar!(
        r#"WITH ending AS (SELECT therapist_id FROM hint_states WHERE good_until < $1 AND therapist_id <> ALL ($3)
                            ORDER BY good_until LIMIT $2 FOR UPDATE SKIP LOCKED),
                behind AS (SELECT therapist_id FROM hint_states WHERE behind AND therapist_id <> ALL ($3)
                           LIMIT $2 - (SELECT count(*) FROM ending) FOR UPDATE SKIP LOCKED)
           SELECT therapist_id AS "therapist_id!: TherapistId" FROM ending UNION SELECT therapist_id FROM behind"#,
        good_until,
        count,
        passed_over as &[TherapistId]
    )
    .fetch_all(&mut **tx)
    .await?;
    // A statement of its own, so that it sees what was committed before the locks.
    let rows = sqlx::query!(
        "SELECT s.therapist_id, s.cell, (SELECT min(duration_minutes) FROM offers o WHERE o.therapist_id = s.therapist_id) AS shortest
         FROM hint_states s WHERE s.therapist_id = ANY ($1)",
        &locked as &[TherapistId]
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.therapist_id, row.cell, row.shortest)).collect())
}

/// Puts `hints` in the place of all that these therapists have.
pub(super) async fn replace(
    tx: &mut Tx,
    therapists: &[TherapistId],
    hints: &[Hint],
    good_until: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "UPDATE hint_states SET good_until = $2, behind = false WHERE therapist_id = ANY ($1)",
        therapists as &[TherapistId],
        good_until
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!("DELETE FROM hints WHERE therapist_id = ANY ($1)", therapists as &[TherapistId])
        .execute(&mut **tx)
        .await?;
    let ids: Vec<TherapistId> = hints.iter().map(|hint| hint.therapist).collect();
    let days: Vec<NaiveDate> = hints.iter().map(|hint| hint.day).collect();
    let cells: Vec<i32> = hints.iter().map(|hint| hint.cell).collect();
    let soonest: Vec<DateTime<Utc>> = hints.iter().map(|hint| hint.soonest).collect();
    let latest: Vec<DateTime<Utc>> = hints.iter().map(|hint| hint.latest).collect();
    let longest: Vec<i32> = hints.iter().map(|hint| hint.longest).collect();
    sqlx::query!(
        "INSERT INTO hints (therapist_id, day, cell, soonest, latest, longest)
         SELECT * FROM unnest($1::uuid[], $2::date[], $3::int4[], $4::timestamptz[], $5::timestamptz[], $6::int4[])",
        &ids as &[TherapistId],
        &days,
        &cells,
        &soonest,
        &latest,
        &longest
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Forgets that any hint is good.
pub(super) async fn forget(db: &PgPool) -> Result<()> {
    sqlx::query!(
        "INSERT INTO hint_states (therapist_id, cell) SELECT id, cell FROM therapists
         ON CONFLICT ON CONSTRAINT hint_states_pkey DO UPDATE SET cell = excluded.cell, good_until = 'epoch'"
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Ends the hints and the diaries in memory of the next therapists after this one; the last of them. None where nobody is left.
pub(super) async fn end_next(db: &PgPool, after: Option<TherapistId>) -> Result<Option<TherapistId>> {
    let last = sqlx::query_scalar!(
        r#"WITH next AS (SELECT therapist_id FROM hint_states WHERE $1::uuid IS NULL OR therapist_id > $1
                         ORDER BY therapist_id LIMIT $2 FOR UPDATE),
                ended AS (UPDATE hint_states s SET good_until = 'epoch', revision = new_revision(), steady = new_revision()
                          FROM next WHERE s.therapist_id = next.therapist_id)
           SELECT therapist_id AS "last: TherapistId" FROM next ORDER BY therapist_id DESC LIMIT 1"#,
        after.map(|after| after.0),
        BATCH
    )
    .fetch_optional(db)
    .await?;
    Ok(last)
}
