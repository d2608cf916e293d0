use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::plans::PlanState;
use crate::bookings::lifecycle::Party;
use crate::cipher::Sealed;
use crate::db::Tx;
use crate::error::Result;
use crate::events::Work;
use crate::ids::{BookingId, MeasureId, PlanId, RecipientId, TherapistId};

/// A version of a record as it is kept.
pub(super) struct StoredRecord {
    pub version: i32,
    pub content: Sealed,
    pub written_at: DateTime<Utc>,
}

/// The latest version of a visit's record, of a person.
pub(super) async fn record(tx: &mut Tx, booking: BookingId, recipient: RecipientId) -> Result<Option<StoredRecord>> {
    let record = sqlx::query_as!(
        StoredRecord,
        r#"SELECT version, content_sealed AS "content: Sealed", written_at FROM treatment_records
           WHERE booking_id = $1 AND recipient_id = $2 ORDER BY version DESC LIMIT 1"#,
        booking.0,
        recipient.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(record)
}

/// The number of the last version of a visit's record, whoever the visit was for; 0 where there is none.
pub(super) async fn last_record(tx: &mut Tx, booking: BookingId) -> Result<i32> {
    let last = sqlx::query_scalar!(
        r#"SELECT coalesce(max(version), 0) AS "last!" FROM treatment_records WHERE booking_id = $1"#,
        booking.0
    );
    Ok(last.fetch_one(&mut **tx).await?)
}

/// Adds a version; those before it stay.
pub(super) async fn insert_record(
    tx: &mut Tx,
    booking: BookingId,
    recipient: RecipientId,
    (author, record): (TherapistId, &StoredRecord),
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO treatment_records (booking_id, version, recipient_id, author_id, content_sealed, written_at) VALUES ($1, $2, $3, $4, $5, $6)",
        booking.0,
        record.version,
        recipient.0,
        author.0,
        &record.content as &Sealed,
        record.written_at,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A measure as it is kept.
pub(super) struct StoredMeasure {
    pub id: MeasureId,
    pub booking_id: BookingId,
    pub value: Sealed,
    pub taken_by: Party,
    pub taken_at: DateTime<Utc>,
}

/// The columns of a measure, read alike everywhere.
macro_rules! measures {
    ($tail:literal, $($arg:expr),+) => {
        sqlx::query_as!(
            StoredMeasure,
            r#"SELECT id AS "id: MeasureId", booking_id AS "booking_id: BookingId", value_sealed AS "value: Sealed", taken_by AS "taken_by: Party", taken_at
               FROM measures "# + $tail,
            $($arg),+
        )
    };
}

pub(super) async fn measures_of_booking(
    tx: &mut Tx,
    booking: BookingId,
    recipient: RecipientId,
) -> Result<Vec<StoredMeasure>> {
    let found = measures!("WHERE booking_id = $1 AND recipient_id = $2 ORDER BY id", booking.0, recipient.0);
    Ok(found.fetch_all(&mut **tx).await?)
}

/// The last thousand measures of a person, oldest first.
pub(super) async fn measures_of_recipient(tx: &mut Tx, recipient: RecipientId) -> Result<Vec<StoredMeasure>> {
    let found = measures!("WHERE recipient_id = $1 ORDER BY id DESC LIMIT 1000", recipient.0);
    let mut found = found.fetch_all(&mut **tx).await?;
    found.reverse();
    Ok(found)
}

pub(super) async fn count_measures(tx: &mut Tx, booking: BookingId) -> Result<i64> {
    let count = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM measures WHERE booking_id = $1"#, booking.0);
    Ok(count.fetch_one(&mut **tx).await?)
}

pub(super) async fn insert_measure(tx: &mut Tx, recipient: RecipientId, measure: &StoredMeasure) -> Result<()> {
    sqlx::query!(
        "INSERT INTO measures (id, recipient_id, booking_id, taken_by, value_sealed, taken_at) VALUES ($1, $2, $3, $4, $5, $6)",
        measure.id.0,
        recipient.0,
        measure.booking_id.0,
        measure.taken_by as Party,
        &measure.value as &Sealed,
        measure.taken_at,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What was said after a visit, as it is kept.
pub(super) struct StoredFeedback {
    pub number: i32,
    pub content: Sealed,
    pub given_at: DateTime<Utc>,
}

pub(super) async fn feedback(tx: &mut Tx, booking: BookingId, recipient: RecipientId) -> Result<Vec<StoredFeedback>> {
    let said = sqlx::query_as!(
        StoredFeedback,
        r#"SELECT number, content_sealed AS "content: Sealed", given_at FROM aftercare_feedback
           WHERE booking_id = $1 AND recipient_id = $2 ORDER BY number"#,
        booking.0,
        recipient.0
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(said)
}

/// The number of what was said last after a visit; 0 where nothing was.
pub(super) async fn last_feedback(tx: &mut Tx, booking: BookingId) -> Result<i32> {
    let last = sqlx::query_scalar!(
        r#"SELECT coalesce(max(number), 0) AS "last!" FROM aftercare_feedback WHERE booking_id = $1"#,
        booking.0
    );
    Ok(last.fetch_one(&mut **tx).await?)
}

pub(super) async fn insert_feedback(
    tx: &mut Tx,
    booking: BookingId,
    recipient: RecipientId,
    said: &StoredFeedback,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO aftercare_feedback (booking_id, number, recipient_id, content_sealed, given_at) VALUES ($1, $2, $3, $4, $5)",
        booking.0,
        said.number,
        recipient.0,
        &said.content as &Sealed,
        said.given_at,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A plan as it is kept.
pub(super) struct StoredPlan {
    pub id: PlanId,
    pub booking_id: BookingId,
    pub state: PlanState,
    pub content: Sealed,
    pub proposed_at: DateTime<Utc>,
    pub answered_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    pub ended_by: Option<Party>,
}

/// The latest plan of a therapist for a person.
pub(super) async fn latest_plan(
    tx: &mut Tx,
    recipient: RecipientId,
    therapist: TherapistId,
) -> Result<Option<StoredPlan>> {
    let plan = sqlx::query_as!(
        StoredPlan,
        r#"SELECT id AS "id: PlanId", booking_id AS "booking_id: BookingId", state AS "state: PlanState", content_sealed AS "content: Sealed", proposed_at,
                  answered_at, ended_at, ended_by AS "ended_by: Party"
           FROM plans WHERE recipient_id = $1 AND therapist_id = $2 ORDER BY state IN ('proposed', 'accepted') DESC, id DESC LIMIT 1"#,
        recipient.0,
        therapist.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(plan)
}

/// Adds a plan, proposed.
pub(super) async fn insert_plan(
    work: &mut Work,
    (plan, booking): (PlanId, BookingId),
    (recipient, therapist): (RecipientId, TherapistId),
    content: &Sealed,
) -> Result<()> {
    let now = work.now();
    sqlx::query!(
        "INSERT INTO plans (id, booking_id, recipient_id, therapist_id, state, content_sealed, proposed_at) VALUES ($1, $2, $3, $4, 'proposed', $5, $6)",
        plan.0,
        booking.0,
        recipient.0,
        therapist.0,
        content as &Sealed,
        now,
    )
    .execute(&mut ***work)
    .await?;
    Ok(())
}

/// Adds a plan that was agreed to when it was proposed, and what was said of it.
pub(super) async fn introduce_plan(
    db: &mut PgConnection,
    (plan, booking): (PlanId, BookingId),
    (recipient, therapist): (RecipientId, TherapistId),
    (content, said): (&Sealed, &Sealed),
    at: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "WITH plan AS (INSERT INTO plans (id, booking_id, recipient_id, therapist_id, state, content_sealed, proposed_at, answered_at)
                       VALUES ($1, $2, $3, $4, 'accepted', $5, $7, $7) RETURNING id)
         INSERT INTO plan_feedback (plan_id, number, text_sealed, given_at) SELECT id, 1, $6, $7 FROM plan",
        plan.0,
        booking.0,
        recipient.0,
        therapist.0,
        content as &Sealed,
        said as &Sealed,
        at,
    )
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn answer_plan(work: &mut Work, plan: PlanId, to: PlanState) -> Result<()> {
    let now = work.now();
    sqlx::query!("UPDATE plans SET state = $2, answered_at = $3 WHERE id = $1", plan.0, to as PlanState, now)
        .execute(&mut ***work)
        .await?;
    Ok(())
}

pub(super) async fn end_plan(tx: &mut Tx, plan: PlanId, by: Party, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "UPDATE plans SET state = 'ended', ended_at = $2, ended_by = $3 WHERE id = $1",
        plan.0,
        now,
        by as Party
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What was said of a plan, oldest first.
pub(super) async fn plan_feedback(tx: &mut Tx, plan: PlanId) -> Result<Vec<StoredFeedback>> {
    let said = sqlx::query_as!(
        StoredFeedback,
        r#"SELECT number, text_sealed AS "content: Sealed", given_at FROM plan_feedback WHERE plan_id = $1 ORDER BY number"#,
        plan.0
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(said)
}

/// The number of what was said last of a plan; 0 where nothing was.
pub(super) async fn last_plan_feedback(tx: &mut Tx, plan: PlanId) -> Result<i32> {
    let last = sqlx::query_scalar!(
        r#"SELECT coalesce(max(number), 0) AS "last!" FROM plan_feedback WHERE plan_id = $1"#,
        plan.0
    );
    Ok(last.fetch_one(&mut **tx).await?)
}

pub(super) async fn insert_plan_feedback(work: &mut Work, plan: PlanId, number: i32, text: &Sealed) -> Result<()> {
    let now = work.now();
    sqlx::query!(
        "INSERT INTO plan_feedback (plan_id, number, text_sealed, given_at) VALUES ($1, $2, $3, $4)",
        plan.0,
        number,
        text as &Sealed,
        now,
    )
    .execute(&mut ***work)
    .await?;
    Ok(())
}
