//! Reserved time: what visits, holds and counter-offers take up of a therapist's day. Whoever writes it holds the therapist's time locked. A
//! reservation that has lapsed stands in nobody's way: whoever needs its time clears it.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use sqlx::postgres::types::PgRange;
use uuid::Uuid;

use super::schedule::Hit;
use crate::db::{BATCH, Tx, in_batches};
use crate::error::{OnConstraint, Refusal, Result};
use crate::events::TimeLock;
use crate::ids::{BookingId, CounterOfferId, TherapistId};
use crate::values::{Point, Span};

/// Time that is to be taken up.
#[derive(Clone, Copy, Debug)]
pub struct Taking {
    /// From set-up to pack-up.
    pub during: Span,
    /// When the time on the table begins.
    pub start_at: DateTime<Utc>,
    /// Where.
    pub place: Point,
    /// When it lapses; none where it is agreed.
    pub lapses_at: Option<DateTime<Utc>>,
}

/// As the database has it.
pub fn range(span: Span) -> PgRange<DateTime<Utc>> {
    (span.start..span.end).into()
}

/// Deletes what has lapsed within `span`; false where there was nothing.
pub async fn clear_lapsed(tx: &mut Tx, lock: &TimeLock, span: Span, now: DateTime<Utc>) -> Result<bool> {
    let lapsed = sqlx::query!(
        "DELETE FROM reservations WHERE therapist_id = $1 AND during && $2 AND hold_expires_at <= $3",
        lock.therapist().0,
        range(span),
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(lapsed.rows_affected() > 0)
}

/// Reserves time for a booking that has none of this therapist's; false where it is taken.
pub async fn reserve(
    tx: &mut Tx,
    lock: &TimeLock,
    booking: BookingId,
    taking: Taking,
    now: DateTime<Utc>,
) -> Result<bool> {
    loop {
        let reserved = sqlx::query!(
            "INSERT INTO reservations (id, therapist_id, during, start_at, latitude, longitude, hold_expires_at, booking_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $1) ON CONFLICT DO NOTHING",
            booking.0,
            lock.therapist().0,
            range(taking.during),
            taking.start_at,
            taking.place.latitude,
            taking.place.longitude,
            taking.lapses_at,
        )
        .execute(&mut **tx)
        .await?;
        if reserved.rows_affected() == 1 {
            return Ok(true);
        }
        if !clear_lapsed(tx, lock, taking.during, now).await? {
            return Ok(false);
        }
    }
}

/// Moves a booking's time, or makes it longer.
///
/// # Errors
/// `slot_unavailable` where the time is taken, or where the booking has none any more, as in [`confirm`].
pub async fn move_booking(
    tx: &mut Tx,
    lock: &TimeLock,
    booking: BookingId,
    taking: Taking,
    now: DateTime<Utc>,
) -> Result<()> {
    // An UPDATE cannot do nothing where the time is taken: it fails.
    clear_lapsed(tx, lock, taking.during, now).await?;
    let moved = sqlx::query!(
        "UPDATE reservations SET during = $3, start_at = $4, hold_expires_at = $5 WHERE therapist_id = $1 AND id = $2",
        lock.therapist().0,
        booking.0,
        range(taking.during),
        taking.start_at,
        taking.lapses_at,
    )
    .execute(&mut **tx)
    .await
    .on_constraint("reservations_overlap", Refusal::SlotUnavailable)?;
    still_there(moved.rows_affected())
}

/// Whether a booking's reservation was where it was looked for.
fn still_there(rows: u64) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(Refusal::SlotUnavailable.into()) }
}

/// Reserves for a counter-offer what it takes up and its booking does not hold itself: one stretch, or one on either side. Each counts
/// towards the daily cap by its own first moment, where the start lies outside of it.
///
/// # Errors
/// `slot_unavailable` where the time is taken.
pub async fn propose(
    tx: &mut Tx,
    lock: &TimeLock,
    (offer, booking): (CounterOfferId, BookingId),
    taking: Taking,
    now: DateTime<Utc>,
) -> Result<()> {
    clear_lapsed(tx, lock, taking.during, now).await?;
    sqlx::query!(
        "INSERT INTO reservations (id, therapist_id, during, start_at, latitude, longitude, hold_expires_at, offer_id)
         SELECT gen_random_uuid(), $2, stretch, CASE WHEN stretch @> $5::timestamptz THEN $5 ELSE lower(stretch) END, $6, $7, $8, $1
         FROM unnest(tstzmultirange($4) - (SELECT coalesce(range_agg(r.during), '{}') FROM reservations r
                                           WHERE r.therapist_id = $2 AND r.id = $3)) AS stretch",
        offer.0,
        lock.therapist().0,
        booking.0,
        range(taking.during),
        taking.start_at,
        taking.place.latitude,
        taking.place.longitude,
        taking.lapses_at,
    )
    .execute(&mut **tx)
    .await
    .on_constraint("reservations_overlap", Refusal::SlotUnavailable)?;
    Ok(())
}

/// Lets a booking keep its time for good.
///
/// # Errors
/// `slot_unavailable` where it has none any more: by another process's clock it had lapsed, and was cleared away.
pub async fn confirm(tx: &mut Tx, lock: &TimeLock, booking: BookingId) -> Result<()> {
    let kept = sqlx::query!(
        "UPDATE reservations SET hold_expires_at = NULL WHERE therapist_id = $1 AND id = $2",
        lock.therapist().0,
        booking.0
    )
    .execute(&mut **tx)
    .await?;
    still_there(kept.rows_affected())
}

/// Lets a request keep its time until `deadline`.
///
/// # Errors
/// `slot_unavailable` where it has none any more, as in [`confirm`].
pub async fn keep_until(tx: &mut Tx, lock: &TimeLock, booking: BookingId, deadline: DateTime<Utc>) -> Result<()> {
    let kept = sqlx::query!(
        "UPDATE reservations SET hold_expires_at = $3 WHERE therapist_id = $1 AND id = $2",
        lock.therapist().0,
        booking.0,
        deadline
    )
    .execute(&mut **tx)
    .await?;
    still_there(kept.rows_affected())
}

/// Frees so much of the end of a booking's time, and keeps a minute after its start: the visit counts towards the day's cap, and the therapist
/// is there.
pub async fn shorten(tx: &mut Tx, lock: &TimeLock, booking: BookingId, by: TimeDelta) -> Result<()> {
    sqlx::query!(
        "UPDATE reservations
         SET during = tstzrange(lower(during), greatest(upper(during) - make_interval(secs => $3), start_at + interval '1 minute'))
         WHERE therapist_id = $1 AND id = $2",
        lock.therapist().0,
        booking.0,
        by.as_seconds_f64()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Frees the time of a booking or a hold, by its id.
pub async fn release(tx: &mut Tx, lock: &TimeLock, id: Uuid) -> Result<()> {
    sqlx::query!("DELETE FROM reservations WHERE therapist_id = $1 AND id = $2", lock.therapist().0, id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Frees the time of a counter-offer.
pub async fn release_offer(tx: &mut Tx, lock: &TimeLock, offer: CounterOfferId) -> Result<()> {
    sqlx::query!("DELETE FROM reservations WHERE therapist_id = $1 AND offer_id = $2", lock.therapist().0, offer.0)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Live visits of a therapist that overlap each of `spans`, set-up and pack-up included.
pub async fn within<'c>(
    db: impl sqlx::PgExecutor<'c>,
    therapist: TherapistId,
    spans: &[Span],
    now: DateTime<Utc>,
) -> Result<Vec<Vec<Hit>>> {
    let (starts, ends): (Vec<_>, Vec<_>) = spans.iter().map(|span| (span.start, span.end)).unzip();
    let rows = sqlx::query!(
        r#"SELECT n AS "n!", r.booking_id AS "booking_id!: BookingId", r.start_at
           FROM unnest($2::timestamptz[], $3::timestamptz[]) WITH ORDINALITY AS span (starts, ends, n)
           JOIN reservations r ON r.therapist_id = $1 AND r.during && tstzrange(starts, ends) AND r.booking_id IS NOT NULL
                AND (r.hold_expires_at IS NULL OR r.hold_expires_at > $4)
           ORDER BY n, lower(r.during)"#,
        therapist.0,
        &starts,
        &ends,
        now
    )
    .fetch_all(db)
    .await?;
    let mut hits = vec![Vec::new(); spans.len()];
    for row in rows {
        let nth = usize::try_from(row.n - 1).ok().and_then(|n| hits.get_mut(n));
        nth.into_iter().for_each(|hits| hits.push(Hit { id: row.booking_id, start_at: row.start_at }));
    }
    Ok(hits)
}

/// How long a reservation that lapsed lies about: another process's clock may be behind.
const LAPSED_KEPT: TimeDelta = TimeDelta::hours(1);

/// Deletes what lapsed an hour ago or longer.
pub async fn forget_lapsed(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    in_batches(|| async move {
        let gone = sqlx::query!(
            "DELETE FROM reservations WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM reservations WHERE hold_expires_at < $1 ORDER BY hold_expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
            now - LAPSED_KEPT,
            BATCH
        );
        Ok(gone.execute(db).await?.rows_affected())
    })
    .await
}
