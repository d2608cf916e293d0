use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::{CounterOffer, OfferStatus};
use crate::availability::reservations::{self, Taking};
use crate::bookings::Booking;
use crate::bookings::lifecycle::Party;
use crate::db::{BATCH, Tx, in_batches};
use crate::error::{Error, Result};
use crate::events::{TimeLock, Work};
use crate::ids::{BookingId, CounterOfferId};
use crate::values::{Money, Span, Zone};

/// How long a counter-offer is kept after the time that it proposed.
const KEPT: TimeDelta = TimeDelta::days(400);

struct Columns {
    id: CounterOfferId,
    booking_id: BookingId,
    by: Party,
    start_at: DateTime<Utc>,
    amount: i64,
    currency: String,
    time_zone: Zone,
    status: OfferStatus,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl TryFrom<Columns> for CounterOffer {
    type Error = Error;

    fn try_from(row: Columns) -> Result<Self> {
        Ok(Self {
            id: row.id,
            booking_id: row.booking_id,
            by: row.by,
            start_at: row.start_at,
            price: Money::stored(row.amount, &row.currency)?,
            time_zone: row.time_zone,
            status: row.status,
            created_at: row.created_at,
            expires_at: row.expires_at,
        })
    }
}

/// The columns of a counter-offer, read alike everywhere; `$2` is the time.
macro_rules! offers {
    ($tail:literal, $($arg:expr),+) => {
        sqlx::query_as!(
            Columns,
            r#"SELECT o.id AS "id: CounterOfferId", o.booking_id AS "booking_id: BookingId", o.party AS "by: Party", o.start_at, o.amount, b.currency,
                      b.time_zone AS "time_zone: Zone",
                      CASE WHEN o.status = 'open' AND o.expires_at <= $2 THEN 'expired' ELSE o.status END AS "status!: OfferStatus",
                      o.created_at, o.expires_at
               FROM counter_offers o JOIN bookings b ON b.id = o.booking_id "# + $tail,
            $($arg),+
        )
    };
}

/// What was proposed for a booking, oldest first. What was not answered in time has expired, whether that is written down or
/// not.
pub(super) async fn list(tx: &mut Tx, booking: BookingId, now: DateTime<Utc>) -> Result<Vec<CounterOffer>> {
    let rows = offers!("WHERE o.booking_id = $1 ORDER BY o.position", booking.0, now).fetch_all(&mut **tx).await?;
    rows.into_iter().map(CounterOffer::try_from).collect()
}

/// What is proposed for these bookings and not answered yet: one at the most for each.
pub(in crate::bookings) async fn open(
    tx: &mut Tx,
    bookings: &[BookingId],
    now: DateTime<Utc>,
) -> Result<Vec<CounterOffer>> {
    let rows = offers!(
        "WHERE o.booking_id = ANY ($1) AND o.status = 'open' AND o.expires_at > $2",
        bookings as &[BookingId],
        now
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter().map(CounterOffer::try_from).collect()
}

/// Stores an open counter-offer, and reserves what it takes up (`during`) and its visit does not hold itself.
pub(super) async fn insert(
    work: &mut Work,
    lock: &TimeLock,
    offer: &CounterOffer,
    booking: &Booking,
    during: Span,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO counter_offers (id, booking_id, therapist_id, party, start_at, amount, status, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        offer.id.0,
        booking.id.0,
        booking.therapist.0,
        offer.by as Party,
        offer.start_at,
        offer.price.amount,
        offer.status as OfferStatus,
        offer.created_at,
        offer.expires_at,
    )
    .execute(&mut ***work)
    .await?;
    let now = work.now();
    let place = booking.address.point();
    let taking = Taking { during, start_at: offer.start_at, place, lapses_at: Some(offer.expires_at) };
    reservations::propose(work, lock, (offer.id, booking.id), taking, now).await
}

/// Keeps a request alive until `deadline`.
pub(super) async fn keep_request(
    tx: &mut Tx,
    lock: &TimeLock,
    booking: &Booking,
    deadline: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!("UPDATE bookings SET respond_by = $2 WHERE id = $1", booking.id.0, deadline)
        .execute(&mut **tx)
        .await?;
    reservations::keep_until(tx, lock, booking.id, deadline).await
}

/// Closes the booking's open counter-offer, if it has one, and frees its time; one that has lapsed closes as expired. Whether
/// it closed as `to`.
pub(in crate::bookings) async fn close(
    work: &mut Work,
    lock: &TimeLock,
    booking: BookingId,
    to: OfferStatus,
) -> Result<bool> {
    let closed = sqlx::query!(
        r#"UPDATE counter_offers SET status = CASE WHEN expires_at <= $3 THEN 'expired' ELSE $2 END
           WHERE booking_id = $1 AND status = 'open' RETURNING id AS "id: CounterOfferId", status = $2 AS "agreed!""#,
        booking.0,
        to as OfferStatus,
        work.now()
    )
    .fetch_optional(&mut ***work)
    .await?;
    let Some(closed) = closed else { return Ok(false) };
    reservations::release_offer(work, lock, closed.id).await?;
    Ok(closed.agreed)
}

/// Writes down which counter-offers lapsed an hour ago or longer; deletes those whose time is long past.
pub async fn forget_lapsed(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    in_batches(|| async move {
        let lapsed = sqlx::query!(
            "UPDATE counter_offers SET status = 'expired' WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM counter_offers WHERE status = 'open' AND expires_at < $1
                 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
            now - TimeDelta::hours(1),
            BATCH
        );
        Ok(lapsed.execute(db).await?.rows_affected())
    })
    .await?;
    in_batches(|| async move {
        let gone = sqlx::query!(
            "DELETE FROM counter_offers WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM counter_offers WHERE status <> 'open' AND start_at < $1
                 ORDER BY start_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
            now - KEPT,
            BATCH
        );
        Ok(gone.execute(db).await?.rows_affected())
    })
    .await
}
