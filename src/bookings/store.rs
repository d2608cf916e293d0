use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::json;
use sqlx::PgPool;
use sqlx::types::Json;
use uuid::Uuid;

use super::counter_offers::{self, OfferStatus};
use super::events::{self, Taken};
use super::lifecycle::{Action, Party, Status};
use super::list::Sort;
use super::missed::Report;
use super::reschedule::Change;
use super::{Booking, Cancelled, Extension, KeptReason};
use crate::accounts::Address;
use crate::availability::reservations::{self, range};
use crate::availability::schedule::Hit;
use crate::cipher::Sealed;
use crate::credentials::Reliance;
use crate::db::Tx;
use crate::error::{Error, Refusal, Result};
use crate::events::{TimeLock, Work};
use crate::idempotency::{Kept, within_allowance};
use crate::ids::{AccountId, BookingId, RecipientId, ServiceId, TherapistId, uuid_at};
use crate::prices::Policy;
use crate::prices::PriceBreakdown;
use crate::values::wall_clock::{dates, in_all_zones};
use crate::values::{Gender, Money, Pressure, Span, Zone, name};

struct Columns {
    id: BookingId,
    client_id: AccountId,
    therapist_id: TherapistId,
    recipient: Option<RecipientId>,
    service_id: ServiceId,
    status: Status,
    start_at: DateTime<Utc>,
    duration_minutes: i16,
    time_zone: Zone,
    address: Json<Address>,
    amount: i64,
    currency: String,
    price_breakdown: Json<PriceBreakdown>,
    policy: Json<Policy>,
    notes_sealed: Option<Sealed>,
    focus_areas_sealed: Option<Sealed>,
    pressure: Option<Pressure>,
    asked_at: Option<DateTime<Utc>>,
    respond_by: Option<DateTime<Utc>>,
    cancelled_by: Option<Party>,
    cancelled_at: Option<DateTime<Utc>>,
    fee: Option<i64>,
    charge_lowered_to: Option<i64>,
    missed_reported_at: Option<DateTime<Utc>>,
    missed_fee: Option<i64>,
    missed_contested_at: Option<DateTime<Utc>>,
    missed_decided_by: Option<Party>,
    missed_upheld: Option<bool>,
    extension_minutes: Option<i16>,
    extension_amount: Option<i64>,
    extension_expires_at: Option<DateTime<Utc>>,
    therapist_gender: Option<Gender>,
    cancel_reason: Option<Json<KeptReason>>,
    at_risk_since: Option<DateTime<Utc>>,
    free_to_cancel: bool,
    least_fee: i64,
    care_at_risk_since: Option<DateTime<Utc>>,
    care_confirmed_at: Option<DateTime<Utc>>,
    handed_over_at: Option<DateTime<Utc>>,
    expected_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

impl TryFrom<Columns> for Booking {
    type Error = Error;

    fn try_from(row: Columns) -> Result<Self> {
        let cancelled = row.cancelled_by.zip(row.cancelled_at).zip(row.fee);
        let decided = row.missed_decided_by.zip(row.missed_upheld);
        let contested_at = row.missed_contested_at;
        let extension = row.extension_minutes.zip(row.extension_amount).zip(row.extension_expires_at);
        let missed = row.missed_reported_at.zip(row.missed_fee);
        let price = Money::stored(row.amount, &row.currency)?;
        Ok(Self {
            id: row.id,
            client: row.client_id,
            therapist: row.therapist_id,
            recipient: row.recipient,
            service: row.service_id,
            status: row.status,
            start_at: row.start_at,
            duration_minutes: row.duration_minutes,
            time_zone: row.time_zone,
            address: row.address.0,
            price,
            breakdown: row.price_breakdown.0,
            policy: row.policy.0,
            notes_sealed: row.notes_sealed,
            focus_areas_sealed: row.focus_areas_sealed,
            pressure: row.pressure,
            asked_at: row.asked_at,
            respond_by: row.respond_by,
            cancelled: cancelled.map(|((by, at), fee)| Cancelled { by, at, fee }),
            charge_lowered_to: row.charge_lowered_to,
            missed: missed.map(|(at, fee)| Report { at, fee, contested_at, decided }),
            extension: extension.map(|((minutes, amount), expires_at)| Extension { minutes, amount, expires_at }),
            therapist_gender: row.therapist_gender,
            cancel_reason: row.cancel_reason.map(|Json(reason)| reason),
            at_risk_since: row.at_risk_since.filter(|_| row.status.is_live()),
            free_to_cancel: row.free_to_cancel,
            least_fee: row.least_fee,
            care_at_risk_since: row.care_at_risk_since.filter(|_| row.status.is_live()),
            care_confirmed_at: row.care_confirmed_at,
            handed_over_at: row.handed_over_at.filter(|_| row.status.is_live()),
            expected_at: row.expected_at.filter(|_| matches!(row.status, Status::Confirmed | Status::OnTheWay)),
            created_at: row.created_at,
        })
    }
}

/// The columns of a booking. A request whose deadline has passed at `$1` has expired, whether the job that writes it down
/// has run or not.
macro_rules! bookings {
    ($($tail:literal)+, $now:expr, $($arg:expr),+) => {
        sqlx::query_as!(
            Columns,
            r#"SELECT id, client_id, therapist_id, recipient_id AS "recipient: RecipientId", service_id,
                      CASE WHEN status = 'requested' AND respond_by <= $1 THEN 'expired' ELSE status END AS "status!: Status",
                      start_at, duration_minutes, time_zone AS "time_zone: Zone", address AS "address: Json<Address>", amount,
                      currency, price_breakdown AS "price_breakdown: Json<PriceBreakdown>", policy AS "policy: Json<Policy>",
                      notes_sealed AS "notes_sealed: Sealed", focus_areas_sealed AS "focus_areas_sealed: Sealed", pressure AS "pressure: Pressure", asked_at, respond_by,
                      cancelled_by AS "cancelled_by: Party", cancelled_at, fee, charge_lowered_to, missed_reported_at, missed_fee, missed_contested_at,
                      missed_decided_by AS "missed_decided_by: Party", missed_upheld,
                      -- What was agreed, or is still open.
                      CASE WHEN extension_expires_at > $1 OR extension_minutes = duration_minutes THEN extension_minutes END AS extension_minutes,
                      extension_amount, extension_expires_at, therapist_gender AS "therapist_gender: Gender",
                      CASE WHEN status = 'cancelled' THEN (
                          SELECT jsonb_build_object('action', action, 'at', at, 'own', reason, 'sealed', reason_sealed, 'objected', EXISTS (
                              SELECT FROM events o WHERE subject_type = 'booking' AND subject_id = bookings.id::text AND o.id >= history_of(bookings.id::text)
                                                     AND kind = 'booking.care_objected'))
                          FROM booking_events e
                          WHERE e.booking = bookings.id::text AND e.id >= history_of(bookings.id::text) AND e.action = 'cancel' LIMIT 1
                      ) END AS "cancel_reason: Json<KeptReason>", at_risk_since, free_to_cancel, least_fee, care_at_risk_since, care_confirmed_at, handed_over_at, expected_at, created_at
               FROM bookings "# $(+ $tail)+,
            $now,
            $($arg),+
        )
    };
}

/// The booking, locked until the transaction ends.
pub async fn lock(tx: &mut Tx, id: BookingId, now: DateTime<Utc>) -> Result<Option<Booking>> {
    let row = bookings!("WHERE id = $2 FOR UPDATE", now, id.0).fetch_optional(&mut **tx).await?;
    row.map(Booking::try_from).transpose()
}

/// The booking as it is at `now`.
pub async fn find(tx: &mut Tx, id: BookingId, now: DateTime<Utc>) -> Result<Option<Booking>> {
    let row = bookings!("WHERE id = $2", now, id.0).fetch_optional(&mut **tx).await?;
    row.map(Booking::try_from).transpose()
}

/// Whether an account has a visit ahead or under way, as client or as therapist.
pub async fn is_any_open(work: &mut Work, account: AccountId) -> Result<bool> {
    let now = work.now();
    let open = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM bookings WHERE client_id = $1 AND status IN ('requested', 'confirmed', 'on_the_way', 'arrived', 'in_progress')
                   AND (status <> 'requested' OR respond_by > $2)
               UNION ALL
               SELECT FROM bookings WHERE therapist_id = $1 AND status IN ('requested', 'confirmed', 'on_the_way', 'arrived', 'in_progress')
                   AND (status <> 'requested' OR respond_by > $2)
           ) AS "open!""#,
        account.0,
        now
    );
    Ok(open.fetch_one(&mut ***work).await?)
}

/// Which bookings a list shows.
pub(super) struct Listed {
    /// In one of these states; in any, where there are none.
    pub statuses: Vec<Status>,
    /// The first date, in the zone of each visit.
    pub from: Option<NaiveDate>,
    /// The last date, included.
    pub to: Option<NaiveDate>,
    pub client: Option<AccountId>,
    pub therapist: Option<TherapistId>,
    /// Of one of these people, as client or as therapist.
    pub people: Option<Vec<AccountId>>,
    /// To which something happened since then.
    pub updated_since: Option<DateTime<Utc>>,
    /// With an id from the first to the second.
    pub numbers: Option<(BookingId, BookingId)>,
    pub sort: Sort,
    /// After the booking with this id, and this instant to sort by.
    pub after: Option<(DateTime<Utc>, BookingId)>,
    pub count: i64,
}

impl Listed {
    /// Whether people, an id or what has happened since are looked for.
    const fn is_sought(&self) -> bool {
        self.people.is_some() || self.numbers.is_some() || self.updated_since.is_some()
    }
}

/// Before every instant that a booking may have, and after.
const EARLIEST: DateTime<Utc> = DateTime::UNIX_EPOCH;
const LATEST: DateTime<Utc> = DateTime::<Utc>::MAX_UTC;

/// What the next bookings of a list are, without the bookings themselves: by an index, from one to the next, so that a list costs what it
/// shows. Bookings of all are looked for state by state, because a state can be rare among millions.
async fn keys(tx: &mut Tx, listed: &Listed, now: DateTime<Utc>) -> Result<Vec<BookingId>> {
    let wants = |status: Status| listed.statuses.is_empty() || listed.statuses.contains(&status);
    // A request whose deadline has passed counts as expired, whether that is written down or not.
    let (requested, expired) = (wants(Status::Requested), wants(Status::Expired));
    let stored = |status: &Status| wants(*status) || (*status == Status::Requested && expired);
    let statuses: Vec<String> = Status::ALL.iter().filter(|status| stored(status)).map(name).collect();
    // Dates are those of each visit's zone, by our rules and not by the database's.
    let bounds = |date: Option<NaiveDate>, end: bool| {
        let bound = |date| move |zone| if end { dates(zone, date, date).end } else { dates(zone, date, date).start };
        date.map(|date| in_all_zones(bound(date))).unwrap_or_default()
    };
    let ((from_zones, begins), (to_zones, ends)) = (bounds(listed.from, false), bounds(listed.to, true));
    let zones = if from_zones.is_empty() { to_zones } else { from_zones };
    // Wherever the visits are.
    let (begin, end) = (begins.iter().min().copied().unwrap_or(EARLIEST), ends.iter().max().copied().unwrap_or(LATEST));
    // An index is entered at one bound: the later of the cursor and of the dates, where the order is theirs.
    let none = Uuid::nil();
    let (after, id) = match (listed.sort, listed.after.map(|(at, id)| (at, id.0))) {
        (Sort::Start, after) => after.unwrap_or((EARLIEST, none)).max((begin, none)),
        (Sort::LatestStart, after) => after.unwrap_or((LATEST, none)).min((end, none)),
        (Sort::Created, after) => after.unwrap_or((EARLIEST, none)),
        (Sort::LatestCreated, after) => after.unwrap_or((LATEST, none)),
    };
    // Each order and each party is a statement of its own, so that each has its index.
    macro_rules! keys {
        ($head:literal, $order:literal, $tail:literal $(, $whose:expr)*) => {
            sqlx::query_scalar!(
                $head
                    + " AND (status <> 'requested' OR CASE WHEN respond_by <= $2 THEN $3::bool ELSE $4::bool END)
                        AND (cardinality($7::timestamptz[]) = 0 OR start_at >= ($7::timestamptz[])[array_position($9::text[], time_zone)])
                        AND (cardinality($8::timestamptz[]) = 0 OR start_at < ($8::timestamptz[])[array_position($9::text[], time_zone)])
                        AND "
                    + $order
                    + " LIMIT $12"
                    + $tail,
                &statuses,
                now,
                expired,
                requested,
                begin,
                end,
                &begins,
                &ends,
                &zones,
                after,
                id,
                listed.count
                $(, $whose)*
            )
            .fetch_all(&mut **tx)
            .await?
        };
    }
    macro_rules! keys_by {
        ($order:literal, $merged:literal) => {
            match (listed.client, listed.therapist) {
                (client, therapist) if listed.is_sought() => keys!(
                    r#"SELECT id AS "id!: BookingId" FROM bookings
                       WHERE ($13::uuid IS NULL OR client_id = $13) AND ($14::uuid IS NULL OR therapist_id = $14) AND status = ANY ($1::text[])
                         AND ($15::uuid[] IS NULL OR client_id = ANY ($15) OR therapist_id = ANY ($15))
                         AND ($16::uuid IS NULL OR id BETWEEN $16 AND $17)
                         AND ($18::timestamptz IS NULL OR EXISTS (
                             SELECT FROM events e
                             WHERE e.subject_type = 'booking' AND e.subject_id = bookings.id::text AND e.id >= least_id($18) AND e.at >= $18
                               AND e.kind NOT IN ('booking.address_disclosed', 'booking.relied_anew', 'booking.proof_read', 'booking.care_sheet_read')))"#,
                    $order,
                    "",
                    client.map(|client| client.0),
                    therapist.map(|therapist| therapist.0),
                    listed.people.as_deref() as Option<&[AccountId]>,
                    listed.numbers.map(|(first, _)| first.0),
                    listed.numbers.map(|(_, last)| last.0),
                    listed.updated_since
                ),
                (Some(client), therapist) => keys!(
                    r#"SELECT id AS "id!: BookingId" FROM bookings
                       WHERE client_id = $13 AND ($14::uuid IS NULL OR therapist_id = $14) AND status = ANY ($1::text[])"#,
                    $order,
                    "",
                    client.0,
                    therapist.map(|therapist| therapist.0)
                ),
                (None, Some(therapist)) => keys!(
                    r#"SELECT id AS "id!: BookingId" FROM bookings WHERE therapist_id = $13 AND status = ANY ($1::text[])"#,
                    $order,
                    "",
                    therapist.0
                ),
                (None, None) => keys!(
                    r#"SELECT id AS "id!: BookingId" FROM unnest($1::text[]) AS state CROSS JOIN LATERAL (
                           SELECT id, start_at, created_at FROM bookings WHERE status = state"#,
                    $order,
                    $merged
                ),
            }
        };
    }
    let ids = match listed.sort {
        Sort::Start => keys_by!(
            "(start_at, id) > ($10::timestamptz, $11::uuid) AND start_at < $6 AND $5::timestamptz IS NOT NULL ORDER BY start_at, id",
            ") AS next ORDER BY start_at, id LIMIT $12"
        ),
        Sort::LatestStart => keys_by!(
            "(start_at, id) < ($10::timestamptz, $11::uuid) AND start_at >= $5 AND $6::timestamptz IS NOT NULL ORDER BY start_at DESC, id DESC",
            ") AS next ORDER BY start_at DESC, id DESC LIMIT $12"
        ),
        Sort::Created => keys_by!(
            "(created_at, id) > ($10::timestamptz, $11::uuid) AND start_at >= $5 AND start_at < $6 ORDER BY created_at, id",
            ") AS next ORDER BY created_at, id LIMIT $12"
        ),
        Sort::LatestCreated => keys_by!(
            "(created_at, id) < ($10::timestamptz, $11::uuid) AND start_at >= $5 AND start_at < $6 ORDER BY created_at DESC, id DESC",
            ") AS next ORDER BY created_at DESC, id DESC LIMIT $12"
        ),
    };
    Ok(ids)
}

pub(super) async fn list(tx: &mut Tx, listed: Listed, now: DateTime<Utc>) -> Result<Vec<Booking>> {
    let ids = keys(tx, &listed, now).await?;
    let rows = bookings!("WHERE id = ANY ($2) ORDER BY array_position($2, id)", now, &ids as &[BookingId])
        .fetch_all(&mut **tx)
        .await?;
    rows.into_iter().map(Booking::try_from).collect()
}

/// A therapist's visits that start within `span` and take place, or did, by their start.
pub(super) async fn starting_within(
    tx: &mut Tx,
    therapist: TherapistId,
    span: Span,
    now: DateTime<Utc>,
) -> Result<Vec<Booking>> {
    let rows = bookings!(
        "WHERE therapist_id = $2 AND start_at >= $3 AND start_at < $4
           AND (status IN ('confirmed', 'on_the_way', 'arrived', 'in_progress', 'completed') OR (status = 'requested' AND respond_by > $1))
         ORDER BY start_at, id",
        now,
        therapist.0,
        span.start,
        span.end
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter().map(Booking::try_from).collect()
}

/// Visits that are not over and should have ended before `due`, longest first: up to `count` from after `after`.
pub(super) async fn overdue(
    tx: &mut Tx,
    due: DateTime<Utc>,
    after: Option<(DateTime<Utc>, BookingId)>,
    count: i64,
    now: DateTime<Utc>,
) -> Result<Vec<Booking>> {
    let rows = bookings!(
        "WHERE status IN ('confirmed', 'on_the_way', 'arrived', 'in_progress') AND start_at <= $2
           AND start_at + make_interval(mins => duration_minutes) <= $2
           AND ($3::timestamptz IS NULL OR (start_at, id) > ($3, $4))
         ORDER BY start_at, id LIMIT $5",
        now,
        due,
        after.map(|(start, _)| start),
        after.map(|(_, id)| id.0),
        count
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter().map(Booking::try_from).collect()
}

/// A therapist's visits that are still to take place or do, and whose time is not over, by their start.
pub(super) async fn live(tx: &mut Tx, therapist: TherapistId, now: DateTime<Utc>) -> Result<Vec<Booking>> {
    let rows = bookings!(
        // No visit is longer than four hours, which the index can use.
        "WHERE therapist_id = $2 AND start_at > $1 - interval '4 hours' AND start_at + make_interval(mins => duration_minutes) > $1
           AND (status IN ('confirmed', 'on_the_way', 'arrived', 'in_progress') OR (status = 'requested' AND respond_by > $1))
         ORDER BY start_at, id",
        now,
        therapist.0
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter().map(Booking::try_from).collect()
}

/// The most visits of one therapist that are offered again at a time.
const MOST_OFFERED: i64 = 50;

/// The therapist's visits that the service called off since then, and that have not begun, by their start.
pub(super) async fn called_off_by_system(
    tx: &mut Tx,
    therapist: TherapistId,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<Booking>> {
    let rows = bookings!(
        "WHERE therapist_id = $2 AND start_at > $1 AND status = 'cancelled' AND cancelled_by = 'system' AND cancelled_at >= $3
         ORDER BY start_at, id LIMIT $4",
        now,
        therapist.0,
        since,
        MOST_OFFERED
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter().map(Booking::try_from).collect()
}

/// Visits at risk whose time is not over, soonest first: up to `count` from after `after`.
pub(super) async fn at_risk(
    tx: &mut Tx,
    after: Option<(DateTime<Utc>, BookingId)>,
    count: i64,
    now: DateTime<Utc>,
) -> Result<Vec<Booking>> {
    let rows = bookings!(
        "WHERE at_risk_since IS NOT NULL AND start_at > $1 - interval '4 hours' AND start_at + make_interval(mins => duration_minutes) > $1
           AND (status IN ('confirmed', 'on_the_way', 'arrived', 'in_progress') OR (status = 'requested' AND respond_by > $1))
           AND ($2::timestamptz IS NULL OR (start_at, id) > ($2, $3))
         ORDER BY start_at, id LIMIT $4",
        now,
        after.map(|(start, _)| start),
        after.map(|(_, id)| id.0),
        count
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter().map(Booking::try_from).collect()
}

/// Live visits of a therapist whose time on the table is not over, with that time, by their start.
pub async fn ahead<'c>(
    db: impl sqlx::PgExecutor<'c>,
    therapist: TherapistId,
    now: DateTime<Utc>,
) -> Result<Vec<(BookingId, Span)>> {
    let rows = sqlx::query!(
        r#"SELECT b.id, b.start_at, b.duration_minutes FROM reservations r JOIN bookings b ON b.id = r.booking_id
           WHERE r.therapist_id = $1 AND lower(r.during) > $2::timestamptz - interval '12 hours'
             AND b.start_at + make_interval(mins => b.duration_minutes) > $2 AND (r.hold_expires_at IS NULL OR r.hold_expires_at > $2)
             AND b.status IN ('requested', 'confirmed', 'on_the_way', 'arrived', 'in_progress')
           ORDER BY b.start_at, b.id"#,
        therapist.0,
        now
    )
    .fetch_all(db)
    .await?;
    let tables = rows.into_iter().map(|row| (row.id, Span::of_minutes(row.start_at, row.duration_minutes.into())));
    Ok(tables.collect())
}

/// The live visits between a client and a therapist whose time is not over, by their start.
pub async fn live_between(
    tx: &mut Tx,
    client: AccountId,
    therapist: TherapistId,
    now: DateTime<Utc>,
) -> Result<Vec<Hit>> {
    let visits = live(tx, therapist, now).await?;
    let theirs = visits.into_iter().filter(|visit| visit.client == client);
    Ok(theirs.map(|visit| Hit { id: visit.id, start_at: visit.start_at }).collect())
}

/// Whether the two ever had a booking, or a request for one.
pub async fn met(tx: &mut Tx, client: AccountId, therapist: TherapistId) -> Result<bool> {
    let met = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM bookings WHERE client_id = $1 AND therapist_id = $2) AS "met!""#,
        client.0,
        therapist.0
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(met)
}

/// When a visit that is completed was: the end of its time where no event says so.
pub async fn completed_at(tx: &mut Tx, booking: &Booking) -> Result<DateTime<Utc>> {
    let at = sqlx::query_scalar!(
        r#"SELECT max(at) AS "at: DateTime<Utc>" FROM booking_events
           WHERE booking = $1 AND id >= history_of($1) AND to_status = 'completed'"#,
        booking.id.to_string()
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(at.unwrap_or_else(|| booking.end_at()))
}

/// Refuses to put `booking` at another time where its client has another visit then; under the client's lock.
///
/// # Errors
/// `client_busy`.
pub(super) async fn refuse_busy_client(tx: &mut Tx, booking: &Booking, table: Span, now: DateTime<Utc>) -> Result<()> {
    let busy = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM bookings WHERE client_id = $1 AND id <> $2 AND start_at > $3::timestamptz - interval '4 hours' AND start_at < $4
                 AND start_at + make_interval(mins => duration_minutes) > $3
                 AND (status IN ('confirmed', 'on_the_way', 'arrived', 'in_progress') OR (status = 'requested' AND respond_by > $5))
           ) AS "busy!""#,
        booking.client.0,
        booking.id.0,
        table.start,
        table.end,
        now
    )
    .fetch_one(&mut **tx)
    .await?;
    if busy { Err(Refusal::ClientBusy.into()) } else { Ok(()) }
}

/// How often a party took a step of a booking.
pub(super) async fn count_steps(tx: &mut Tx, id: BookingId, action: Action) -> Result<i64> {
    let steps = sqlx::query_scalar!(
        r#"SELECT count(*) AS "steps!" FROM booking_events
           WHERE booking = $1 AND id >= history_of($1) AND action = $2 AND party <> 'admin'"#,
        id.to_string(),
        name(&action)
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(steps)
}

/// A booking to be stored, with all that belongs to it.
pub(super) struct New<'a> {
    pub booking: &'a Booking,
    /// The time that it reserves, from set-up to pack-up.
    pub during: Span,
    /// The credentials that it relies on.
    pub relied_on: &'a [Reliance],
    /// The answer to its key.
    pub kept: Option<Kept>,
    /// That it was booked.
    pub event: &'a events::Event,
    /// What follows of that.
    pub rows: events::Rows,
}

/// Stores a booking with its reservation, its first event, what it relies on, the answer to its key and what its therapist is told. It is one
/// statement: the therapist is locked, and whoever waits would wait for each of them. False where the time was taken after all;
/// then nothing is stored.
pub(super) async fn insert(tx: &mut Tx, lock: &TimeLock, new: &New<'_>) -> Result<bool> {
    while !try_insert(tx, new).await? {
        if !reservations::clear_lapsed(tx, lock, new.during, new.booking.created_at).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn try_insert(tx: &mut Tx, new: &New<'_>) -> Result<bool> {
    let booking = new.booking;
    let kept = new.kept.as_ref();
    let lapses = booking.respond_by.filter(|_| booking.status == Status::Requested);
    let relied_on = ReliedOn::new(new.relied_on);
    let reserved = sqlx::query_scalar!(
        r#"WITH reservation AS (
               INSERT INTO reservations (id, therapist_id, during, start_at, latitude, longitude, hold_expires_at, booking_id)
               VALUES ($1, $3, $19, $6, $20, $21, $22, $1) ON CONFLICT DO NOTHING RETURNING id
           ), booking AS (
               INSERT INTO bookings (id, client_id, therapist_id, service_id, status, start_at, duration_minutes, time_zone,
                                    jurisdiction, address, amount, currency, policy, notes_sealed, focus_areas_sealed, pressure, respond_by, created_at,
                                    asked_at, price_breakdown, therapist_gender, local_start, recipient_id)
               SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $23, $24, $36, $38, $46 FROM reservation RETURNING id
           ), event AS (
               INSERT INTO events (id, at, kind, subject_type, subject_id, number, therapist_id, client_id, actor_id, party, to_state, details)
               SELECT $37, $18, $33, 'booking', booking.id, 1, $3, $2, $2, 'client', $5, $34 FROM booking
           ), reliance AS (
               INSERT INTO reliances (booking_id, revision, relied_at, therapist_id, groups, required_by, options, credential_ids, types,
                                      authorities, verification_ids, expires_on)
               SELECT booking.id, 1, $18, $3, $25, $39, $40, $41, $42, $43, $44, $45 FROM booking WHERE cardinality($25::text[]) > 0
           ), answer AS (
               INSERT INTO idempotency_keys (account_id, route, key, fingerprint_sealed, status, location, body_sealed, created_at, state)
               SELECT $2, $26, $27, $28, $29, $30, $31, $18, $32 FROM booking WHERE $27::text IS NOT NULL
           ), told AS (
               INSERT INTO notices (id, account_id, kind, subject_type, subject_id, details, created_at)
               SELECT n.id, n.account_id, n.kind, n.subject_type, booking.id, n.details, $18
               FROM booking, jsonb_to_recordset($35) AS n (id uuid, account_id uuid, kind text, subject_type text, details jsonb)
           )
           SELECT id FROM reservation"#,
        booking.id.0,
        booking.client.0,
        booking.therapist.0,
        booking.service.0,
        booking.status as Status,
        booking.start_at,
        booking.duration_minutes,
        booking.time_zone as Zone,
        booking.address.jurisdiction.as_str(),
        Json(&booking.address) as _,
        booking.price.amount,
        booking.price.currency.code(),
        Json(&booking.policy) as _,
        booking.notes_sealed.as_ref() as Option<&Sealed>,
        booking.focus_areas_sealed.as_ref() as Option<&Sealed>,
        booking.pressure as Option<Pressure>,
        booking.respond_by,
        booking.created_at,
        range(new.during),
        booking.address.latitude,
        booking.address.longitude,
        lapses,
        booking.asked_at,
        Json(&booking.breakdown) as _,
        relied_on.groups as _,
        kept.map(|kept| kept.route),
        kept.map(|kept| &kept.key),
        kept.map(|kept| &kept.fingerprint) as Option<&Sealed>,
        kept.map(|kept| kept.status),
        kept.and_then(|kept| kept.location.as_ref()),
        kept.map(|kept| &kept.body) as Option<&Sealed>,
        kept.and_then(|kept| kept.state.as_ref()),
        new.event.kind,
        Json(&new.event.details) as _,
        new.rows.notices_alone()?,
        booking.therapist_gender as Option<Gender>,
        uuid_at(booking.created_at),
        booking.time_zone.wall(booking.start_at),
        relied_on.required_by as _,
        &relied_on.options,
        &relied_on.credentials,
        relied_on.types as _,
        relied_on.authorities as _,
        relied_on.verifications as _,
        relied_on.expires_on as _,
        booking.recipient.map(|id| id.0),
    )
    .fetch_optional(&mut **tx)
    .await
    .map_err(|error| within_allowance(error, booking.created_at))?;
    Ok(reserved.is_some())
}

/// Reliances as the lists of their row.
struct ReliedOn<'a> {
    groups: Vec<&'a str>,
    required_by: Vec<&'a str>,
    options: Vec<String>,
    credentials: Vec<Uuid>,
    types: Vec<&'a str>,
    authorities: Vec<&'a str>,
    verifications: Vec<Option<Uuid>>,
    expires_on: Vec<Option<NaiveDate>>,
}

impl<'a> ReliedOn<'a> {
    fn new(reliances: &'a [Reliance]) -> Self {
        Self {
            groups: reliances.iter().map(|relied| relied.group.as_str()).collect(),
            required_by: reliances.iter().map(|relied| relied.required_by.as_str()).collect(),
            options: reliances.iter().map(|relied| relied.options.join(" ")).collect(),
            credentials: reliances.iter().map(|relied| relied.credential.0).collect(),
            types: reliances.iter().map(|relied| relied.type_code.as_str()).collect(),
            authorities: reliances.iter().map(|relied| relied.authority.as_str()).collect(),
            verifications: reliances.iter().map(|relied| relied.verification.map(|id| id.0)).collect(),
            expires_on: reliances.iter().map(|relied| relied.expires_on).collect(),
        }
    }
}

/// Writes down what a booking relies on from now on: an acceptance may rest on other credentials than the request did.
/// What it relied on before stays written.
pub(super) async fn rely_on(work: &mut Work, booking: BookingId, relied_on: &[Reliance]) -> Result<()> {
    let relied_on = ReliedOn::new(relied_on);
    sqlx::query!(
        r#"INSERT INTO reliances (booking_id, revision, relied_at, therapist_id, groups, required_by, options, credential_ids, types,
                                  authorities, verification_ids, expires_on)
           SELECT $1, 1 + coalesce((SELECT max(revision) FROM reliances WHERE booking_id = $1), 0), $2,
                  (SELECT therapist_id FROM bookings WHERE id = $1), $3, $4, $5, $6, $7, $8, $9, $10
           WHERE cardinality($3::text[]) > 0"#,
        booking.0,
        work.now(),
        relied_on.groups as _,
        relied_on.required_by as _,
        &relied_on.options,
        &relied_on.credentials,
        relied_on.types as _,
        relied_on.authorities as _,
        relied_on.verifications as _,
        relied_on.expires_on as _,
    )
    .execute(&mut ***work)
    .await?;
    Ok(())
}

/// Saves what was agreed anew for a booking.
pub(super) async fn save_terms(tx: &mut Tx, booking: &Booking) -> Result<()> {
    sqlx::query!(
        "UPDATE bookings SET status = $2, start_at = $3, duration_minutes = $4, amount = $5, currency = $6, asked_at = $7,
                respond_by = $8, at_risk_since = $9, care_at_risk_since = $14, free_to_cancel = $10, least_fee = $11, price_breakdown = $12,
                overdue_told_at = NULL, expected_at = NULL, handed_over_at = $15, hand_over_excused = hand_over_excused AND $15::timestamptz IS NOT NULL, local_start = CASE WHEN start_at = $3 THEN local_start ELSE $13 END
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
        booking.time_zone.wall(booking.start_at),
        booking.care_at_risk_since,
        booking.handed_over_at,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Saves what a booking's client wants its therapist to know.
pub(super) async fn save_wishes(tx: &mut Tx, booking: &Booking) -> Result<()> {
    sqlx::query!(
        "UPDATE bookings SET notes_sealed = $2, focus_areas_sealed = $3, pressure = $4 WHERE id = $1",
        booking.id.0,
        booking.notes_sealed.as_ref() as Option<&Sealed>,
        booking.focus_areas_sealed.as_ref() as Option<&Sealed>,
        booking.pressure as Option<Pressure>,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Saves when a booking is expected to begin.
pub(super) async fn save_expected(tx: &mut Tx, booking: &Booking) -> Result<()> {
    sqlx::query!("UPDATE bookings SET expected_at = $2 WHERE id = $1", booking.id.0, booking.expected_at)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Saves what is asked of a booking's client, or that nothing is.
pub(super) async fn save_extension(tx: &mut Tx, booking: &Booking) -> Result<()> {
    sqlx::query!(
        "UPDATE bookings SET extension_minutes = $2, extension_amount = $3, extension_expires_at = $4 WHERE id = $1",
        booking.id.0,
        booking.extension.map(|extension| extension.minutes),
        booking.extension.map(|extension| extension.amount),
        booking.extension.map(|extension| extension.expires_at),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Saves who carries a booking out from now on.
pub(super) async fn save_therapist(tx: &mut Tx, booking: &Booking) -> Result<()> {
    sqlx::query!(
        "UPDATE bookings SET therapist_id = $2, respond_by = $3, at_risk_since = NULL, handed_over_at = NULL, expected_at = NULL, hand_over_excused = false,
                             free_to_cancel = $4
         WHERE id = $1",
        booking.id.0,
        booking.therapist.0,
        booking.respond_by,
        booking.free_to_cancel,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Writes down since when a visit is to be taken over by somebody else, which frees its client to call it off, or that it is not any more.
pub(super) async fn set_handed_over(tx: &mut Tx, booking: BookingId, since: Option<DateTime<Utc>>) -> Result<()> {
    sqlx::query!(
        "UPDATE bookings SET handed_over_at = $2, free_to_cancel = free_to_cancel OR $2::timestamptz IS NOT NULL,
                             hand_over_excused = hand_over_excused AND $2::timestamptz IS NOT NULL
         WHERE id = $1",
        booking.0,
        since
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Writes down that nothing is held against the therapist of a visit if nobody takes it over.
pub(super) async fn excuse(tx: &mut Tx, booking: BookingId) -> Result<()> {
    sqlx::query!("UPDATE bookings SET hand_over_excused = true WHERE id = $1", booking.0).execute(&mut **tx).await?;
    Ok(())
}

/// Whether nothing is held against the therapist of a visit that nobody takes over.
pub(super) async fn is_excused(tx: &mut Tx, booking: BookingId) -> Result<bool> {
    let excused = sqlx::query_scalar!("SELECT hand_over_excused FROM bookings WHERE id = $1", booking.0);
    Ok(excused.fetch_one(&mut **tx).await?)
}

/// Whether a visit that `taken` has led to `booking`, as it is now, goes on counting: its therapist was there, or is said by staff to have been.
fn was_attended(booking: &Booking, taken: &Taken, now: DateTime<Utc>) -> bool {
    let at_the_place = matches!(taken.from, Status::Arrived | Status::InProgress);
    let stopped_late = booking.status == Status::Stopped && now >= booking.start_at;
    !booking.status.is_live() && (booking.status == Status::Completed || at_the_place || stopped_late)
}

/// Saves where a booking stands, what becomes of its reserved time, and the event. Where the therapist was at the place, what is left of the
/// time is free again, and the rest stays: the way to the next visit begins there, and the day's cap counts it.
pub(super) async fn save(work: &mut Work, lock: &TimeLock, booking: &Booking, taken: Taken) -> Result<()> {
    sqlx::query!(
        "UPDATE bookings SET status = $2, cancelled_by = $3, cancelled_at = $4, fee = $5,
                at_risk_since = CASE WHEN $7 THEN $6 ELSE at_risk_since END, missed_reported_at = $8, missed_fee = $9,
                missed_contested_at = $10, missed_decided_by = $11, missed_upheld = $12, expected_at = $13
         WHERE id = $1",
        booking.id.0,
        booking.status as Status,
        booking.cancelled.map(|cancelled| cancelled.by) as Option<Party>,
        booking.cancelled.map(|cancelled| cancelled.at),
        booking.cancelled.map(|cancelled| cancelled.fee),
        booking.at_risk_since,
        // That it was at risk when it ended is kept: nobody is to blame for calling off such a visit.
        booking.status.is_live(),
        booking.missed.map(|missed| missed.at),
        booking.missed.map(|missed| missed.fee),
        booking.missed.and_then(|missed| missed.contested_at),
        booking.missed.and_then(|missed| missed.decided).map(|(by, _)| by) as Option<Party>,
        booking.missed.and_then(|missed| missed.decided).map(|(_, upheld)| upheld),
        booking.expected_at,
    )
    .execute(&mut ***work)
    .await?;
    match booking.status {
        Status::OnTheWay | Status::Arrived | Status::InProgress => {}
        Status::Confirmed => reservations::confirm(work, lock, booking.id).await?,
        _ if was_attended(booking, &taken, work.now()) => {
            let left = (booking.end_at() - work.now()).max(TimeDelta::zero());
            reservations::shorten(work, lock, booking.id, left).await?;
        }
        _ => reservations::release(work, lock, booking.id.0).await?,
    }
    // Whatever was proposed was meant for the visit as it stood.
    counter_offers::close(work, lock, booking.id, OfferStatus::Obsolete).await?;
    work.announce(events::step(booking, taken, json!({}))).await
}

/// Saves what a booking's client pays after all, who paid `before`, and the event.
pub(super) async fn save_charge(work: &mut Work, booking: &Booking, taken: Taken, before: Money) -> Result<()> {
    sqlx::query!("UPDATE bookings SET charge_lowered_to = $2 WHERE id = $1", booking.id.0, booking.charge_lowered_to)
        .execute(&mut ***work)
        .await?;
    let details = json!({ "charge": booking.charge(), "charge_before": before });
    work.announce(events::step(booking, taken, details)).await
}

/// A step in a booking's life, as it is stored.
pub(super) struct Event {
    /// Orders the events.
    pub position: i64,
    pub party: Party,
    pub from_status: Option<Status>,
    pub to_status: Status,
    pub reason: KeptReason,
    pub change: Option<Json<Change>>,
}

/// The steps of a booking's life, oldest first.
pub(super) async fn events(tx: &mut Tx, id: BookingId, after: i64, count: i64) -> Result<Vec<Event>> {
    let rows = sqlx::query!(
        r#"SELECT position AS "position!", at AS "at!", party AS "party!: Party", action AS "action!: Action",
                  from_status AS "from_status: Status", to_status AS "to_status!: Status", reason,
                  reason_sealed AS "reason_sealed: Sealed", change AS "change: Json<Change>",
                  EXISTS (SELECT FROM events o WHERE subject_type = 'booking' AND subject_id = $1 AND o.id >= history_of($1)
                                                 AND kind = 'booking.care_objected') AS "objected!"
           FROM booking_events WHERE booking = $1 AND id >= history_of($1) AND position > $2 ORDER BY position LIMIT $3"#,
        id.to_string(),
        after,
        count
    )
    .fetch_all(&mut **tx)
    .await?;
    let events = rows.into_iter().map(|row| Event {
        position: row.position,
        party: row.party,
        from_status: row.from_status,
        to_status: row.to_status,
        reason: KeptReason {
            objected: row.objected && row.action == Action::Cancel,
            action: row.action,
            at: row.at,
            own: row.reason,
            sealed: row.reason_sealed,
        },
        change: row.change,
    });
    Ok(events.collect())
}

/// That a therapist was shown a client's address.
const ADDRESS_DISCLOSED: &str = "booking.address_disclosed";

/// Announces that their therapist was shown the addresses of these bookings.
pub(super) async fn record_disclosures(work: &mut Work, shown: &[&Booking]) -> Result<()> {
    record_looks(work, shown, ADDRESS_DISCLOSED).await
}

/// Announces that their therapist was shown something of these bookings, `kind`, once an hour for each: an app that asks again and again
/// tells nothing new.
pub(super) async fn record_looks(work: &mut Work, shown: &[&Booking], kind: &str) -> Result<()> {
    let subjects: Vec<String> = shown.iter().map(|booking| booking.id.to_string()).collect();
    let lately = sqlx::query!(
        r#"SELECT subject_id, therapist_id AS "therapist_id: TherapistId" FROM events
           WHERE subject_type = 'booking' AND subject_id = ANY ($1) AND kind = $2 AND at > $3 AND id >= least_id($3)"#,
        &subjects,
        kind,
        work.now() - TimeDelta::hours(1)
    )
    .fetch_all(&mut ***work)
    .await?;
    for (booking, subject) in shown.iter().zip(subjects) {
        let is_known =
            lately.iter().any(|known| known.subject_id == subject && known.therapist_id == Some(booking.therapist));
        if !is_known {
            work.announce(events::event(kind, booking, json!({}))).await?;
        }
    }
    Ok(())
}

/// Whether the time on the table has ever begun.
pub async fn has_begun(tx: &mut Tx, id: BookingId) -> Result<bool> {
    let begun = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM booking_events
                          WHERE booking = $1 AND id >= history_of($1) AND to_status = 'in_progress') AS "begun!""#,
        id.to_string()
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(begun)
}

/// When the time on the table began: when it was to, where no event says so.
pub(super) async fn begun_at(tx: &mut Tx, booking: &Booking) -> Result<DateTime<Utc>> {
    let at = sqlx::query_scalar!(
        r#"SELECT min(at) AS "at: DateTime<Utc>" FROM booking_events
           WHERE booking = $1 AND id >= history_of($1) AND to_status = 'in_progress'"#,
        booking.id.to_string()
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(at.unwrap_or(booking.start_at))
}

/// Requests that expired by `now` and do not say so yet, with their deadlines, by these: up to `count` from after `after`.
pub(super) async fn lapsed(
    db: &PgPool,
    now: DateTime<Utc>,
    after: Option<(DateTime<Utc>, BookingId)>,
    count: i64,
) -> Result<Vec<(DateTime<Utc>, BookingId)>> {
    let rows = sqlx::query!(
        r#"SELECT id, respond_by AS "respond_by!" FROM bookings
           WHERE status = 'requested' AND respond_by <= $1 AND ($2::timestamptz IS NULL OR (respond_by, id) > ($2, $3))
           ORDER BY respond_by, id LIMIT $4"#,
        now,
        after.map(|(deadline, _)| deadline),
        after.map(|(_, id)| id.0),
        count
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.respond_by, row.id)).collect())
}

/// Whether the row itself still says that the booking is requested.
pub(super) async fn is_open_request(tx: &mut Tx, id: BookingId) -> Result<bool> {
    let open = sqlx::query_scalar!(r#"SELECT status = 'requested' AS "open!" FROM bookings WHERE id = $1"#, id.0)
        .fetch_one(&mut **tx)
        .await?;
    Ok(open)
}
