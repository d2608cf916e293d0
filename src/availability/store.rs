//! The one read that crosses features: a diary is gathered in a single statement, since a round trip costs more than
//! all that is in it.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgExecutor;
use sqlx::types::Json;

use super::calendar::Hours;
use super::intervals::Span;
use super::schedule::{Override, TimeOff, Windows};
use super::{Diary, MARGIN, Reservation, Rules};
use crate::credentials::Standing;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{AccountId, BookingId, ServiceId, TherapistId, TimeOffId};
use crate::therapists::TravelMode;
use crate::values::{Point, Zone};

/// Locks a therapist's time until the transaction ends: whoever changes what can be booked goes one after the other.
pub async fn lock(tx: &mut Tx, therapist: TherapistId) -> Result<()> {
    crate::db::lock(tx, therapist.0).await
}

/// What a visit is, as far as a diary depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The service.
    pub service: ServiceId,
    /// Minutes on the table.
    pub minutes: i16,
    /// Who asks, where that is known: therapists with whom they are at odds have nothing for them.
    pub client: Option<AccountId>,
}

/// The diaries of `therapists` for starts within `span`, in no order. Lapsed reservations are left out.
pub async fn diaries<'c>(
    db: impl PgExecutor<'c>,
    therapists: &[TherapistId],
    asked: Asked,
    span: Span,
    now: DateTime<Utc>,
) -> Result<Vec<Diary>> {
    let (from, to) = (span.start - MARGIN, span.end + MARGIN);
    let rows = sqlx::query!(
        r#"SELECT t.id, a.time_zone AS "time_zone: Zone", t.accepting_bookings, t.area_latitude, t.area_longitude,
                  t.service_radius_km, t.travel_mode AS "travel_mode: TravelMode", t.min_notice_minutes,
                  t.max_advance_days, t.setup_minutes, t.packup_minutes, t.slot_interval_minutes, t.daily_cap,
                  EXISTS (SELECT FROM offers o WHERE o.therapist_id = t.id AND o.service_id = $2
                          AND o.duration_minutes = $3) AS "offered!",
                  EXISTS (SELECT FROM blocks b WHERE b.therapist_id = t.id AND b.client_id = $7) AS "blocked!",
                  weekly.opens AS "opens?", weekly.closes AS "closes?",
                  differing.dates AS "override_dates?", differing.windows AS "override_windows?: Json<Vec<Vec<i32>>>",
                  away.starts AS "off_starts?", away.ends AS "off_ends?",
                  taken.starts AS "taken_starts?", taken.ends AS "taken_ends?", taken.visits AS "taken_visits?",
                  taken.latitudes AS "taken_latitudes?", taken.longitudes AS "taken_longitudes?",
                  taken.bookings AS "taken_bookings?: Vec<Option<BookingId>>",
                  held.standings AS "standings?: Json<Vec<Standing>>"
           FROM therapists t
           JOIN accounts a ON a.id = t.id
           LEFT JOIN LATERAL (
               SELECT array_agg(opens ORDER BY opens) AS opens, array_agg(closes ORDER BY opens) AS closes
               FROM weekly_windows w WHERE w.therapist_id = t.id
           ) weekly ON true
           LEFT JOIN LATERAL (
               SELECT array_agg(date ORDER BY date) AS dates, json_agg(windows ORDER BY date) AS windows
               FROM overrides o WHERE o.therapist_id = t.id AND o.date BETWEEN ($4::timestamptz)::date - 2 AND ($5::timestamptz)::date + 2
           ) differing ON true
           LEFT JOIN LATERAL (
               SELECT array_agg(start_at) AS starts, array_agg(end_at) AS ends
               FROM time_off f WHERE f.therapist_id = t.id AND f.end_at > $4 AND f.start_at < $5
           ) away ON true
           LEFT JOIN LATERAL (
               SELECT array_agg(lower(during) ORDER BY lower(during)) AS starts, array_agg(upper(during) ORDER BY lower(during)) AS ends,
                      array_agg(start_at ORDER BY lower(during)) AS visits, array_agg(latitude ORDER BY lower(during)) AS latitudes,
                      array_agg(longitude ORDER BY lower(during)) AS longitudes, array_agg(booking_id ORDER BY lower(during)) AS bookings
               FROM reservations r
               WHERE r.therapist_id = t.id AND lower(during) >= $4 AND lower(during) < $5
                 AND (hold_expires_at IS NULL OR hold_expires_at > $6)
           ) taken ON true
           LEFT JOIN LATERAL (
               SELECT json_agg(json_build_object('id', c.id, 'type_code', c.type, 'issued_on', c.issued_on, 'expires_on', c.expires_on,
                                                 'verification', c.verification_id, 'jurisdictions', c.covers_jurisdictions,
                                                 'kinds', c.covers_kinds)) AS standings
               FROM standings c WHERE c.therapist_id = t.id
           ) held ON true
           WHERE t.id = ANY ($1)"#,
        therapists as &[TherapistId],
        asked.service.0,
        asked.minutes,
        from,
        to,
        now,
        asked.client.map(|id| id.0),
    )
    .fetch_all(db)
    .await?;
    let diaries = rows.into_iter().map(|row| {
        let time_off = row.off_starts.into_iter().flatten().zip(row.off_ends.into_iter().flatten());
        let spans = row.taken_starts.into_iter().flatten().zip(row.taken_ends.into_iter().flatten());
        let places = row.taken_latitudes.into_iter().flatten().zip(row.taken_longitudes.into_iter().flatten());
        let reservations = spans
            .zip(places)
            .zip(row.taken_visits.into_iter().flatten())
            .zip(row.taken_bookings.into_iter().flatten())
            .map(|((((start, end), (latitude, longitude)), start_at), booking)| Reservation {
                during: Span { start, end },
                start_at,
                place: Point { latitude, longitude },
                booking,
            });
        let windows = row.override_windows.map(|Json(windows)| windows).into_iter().flatten();
        Diary {
            therapist: row.id,
            zone: row.time_zone.0,
            hours: Hours {
                weekly: row.opens.into_iter().flatten().zip(row.closes.into_iter().flatten()).collect(),
                overrides: row.override_dates.into_iter().flatten().zip(windows.map(|w| pairs(&w))).collect(),
            },
            time_off: time_off.map(|(start, end)| Span { start, end }).collect(),
            reservations: reservations.collect(),
            standings: row.standings.map(|Json(standings)| standings).unwrap_or_default(),
            offered: row.offered,
            blocked: row.blocked,
            rules: Rules {
                accepting: row.accepting_bookings,
                base: row
                    .area_latitude
                    .zip(row.area_longitude)
                    .map(|(latitude, longitude)| Point { latitude, longitude }),
                radius_km: row.service_radius_km,
                mode: row.travel_mode,
                min_notice_minutes: row.min_notice_minutes,
                max_advance_days: row.max_advance_days,
                setup_minutes: row.setup_minutes,
                packup_minutes: row.packup_minutes,
                slot_interval_minutes: row.slot_interval_minutes,
                daily_cap: row.daily_cap,
            },
        }
    });
    Ok(diaries.collect())
}

/// Opening and closing minutes, as they are stored: one after the other.
fn pairs(flat: &[i32]) -> Vec<(i32, i32)> {
    flat.as_chunks::<2>().0.iter().map(|[opens, closes]| (*opens, *closes)).collect()
}

/// The therapist's zone and weekly windows, in minutes since Monday 00:00.
pub(super) async fn weekly<'c>(db: impl PgExecutor<'c>, therapist: TherapistId) -> Result<(Zone, Windows)> {
    let row = sqlx::query!(
        r#"SELECT a.time_zone AS "time_zone: Zone",
                  array(SELECT opens FROM weekly_windows w WHERE w.therapist_id = a.id ORDER BY opens) AS "opens!",
                  array(SELECT closes FROM weekly_windows w WHERE w.therapist_id = a.id ORDER BY opens) AS "closes!"
           FROM accounts a WHERE a.id = $1"#,
        therapist.0
    )
    .fetch_one(db)
    .await?;
    Ok((row.time_zone, row.opens.into_iter().zip(row.closes).collect()))
}

pub(super) async fn replace_weekly(tx: &mut Tx, therapist: TherapistId, zone: Zone, windows: &Windows) -> Result<()> {
    let (opens, closes): (Vec<i32>, Vec<i32>) = windows.iter().copied().unzip();
    sqlx::query!("UPDATE accounts SET time_zone = $2 WHERE id = $1", therapist.0, zone as Zone)
        .execute(&mut **tx)
        .await?;
    sqlx::query!("DELETE FROM weekly_windows WHERE therapist_id = $1", therapist.0).execute(&mut **tx).await?;
    sqlx::query!(
        "INSERT INTO weekly_windows (therapist_id, opens, closes)
         SELECT $1, opens, closes FROM unnest($2::int4[], $3::int4[]) AS w (opens, closes)",
        therapist.0,
        &opens,
        &closes
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn overrides(
    db: &sqlx::PgPool,
    therapist: TherapistId,
    after: Option<NaiveDate>,
    count: i64,
) -> Result<Vec<Override>> {
    let rows = sqlx::query!(
        "SELECT date, windows FROM overrides WHERE therapist_id = $1 AND ($2::date IS NULL OR date > $2) ORDER BY date LIMIT $3",
        therapist.0,
        after,
        count
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| Override::new(row.date, &pairs(&row.windows))).collect())
}

pub(super) async fn find_override<'c>(
    db: impl PgExecutor<'c>,
    therapist: TherapistId,
    date: NaiveDate,
) -> Result<Option<Override>> {
    let windows =
        sqlx::query_scalar!("SELECT windows FROM overrides WHERE therapist_id = $1 AND date = $2", therapist.0, date)
            .fetch_optional(db)
            .await?;
    Ok(windows.map(|windows| Override::new(date, &pairs(&windows))))
}

pub(super) async fn put_override(
    tx: &mut Tx,
    therapist: TherapistId,
    date: NaiveDate,
    windows: &Windows,
) -> Result<()> {
    let flat: Vec<i32> = windows.iter().flat_map(|(opens, closes)| [*opens, *closes]).collect();
    sqlx::query!(
        "INSERT INTO overrides (therapist_id, date, windows) VALUES ($1, $2, $3)
         ON CONFLICT ON CONSTRAINT overrides_pkey DO UPDATE SET windows = excluded.windows",
        therapist.0,
        date,
        &flat
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Whether there was such an override to delete.
pub(super) async fn delete_override(tx: &mut Tx, therapist: TherapistId, date: NaiveDate) -> Result<bool> {
    let deleted = sqlx::query!("DELETE FROM overrides WHERE therapist_id = $1 AND date = $2", therapist.0, date)
        .execute(&mut **tx)
        .await?;
    Ok(deleted.rows_affected() == 1)
}

pub(super) async fn time_off(
    db: &sqlx::PgPool,
    therapist: TherapistId,
    after: Option<(DateTime<Utc>, TimeOffId)>,
    count: i64,
) -> Result<Vec<TimeOff>> {
    let rows = sqlx::query_as!(
        TimeOff,
        "SELECT id, start_at, end_at, note FROM time_off
         WHERE therapist_id = $1 AND ($2::timestamptz IS NULL OR (start_at, id) > ($2, $3)) ORDER BY start_at, id LIMIT $4",
        therapist.0,
        after.map(|(start, _)| start),
        after.map(|(_, id)| id.0),
        count
    )
    .fetch_all(db)
    .await?;
    Ok(rows)
}

pub(super) async fn insert_time_off(tx: &mut Tx, therapist: TherapistId, time_off: &TimeOff) -> Result<()> {
    sqlx::query!(
        "INSERT INTO time_off (id, therapist_id, start_at, end_at, note) VALUES ($1, $2, $3, $4, $5)",
        time_off.id.0,
        therapist.0,
        time_off.start_at,
        time_off.end_at,
        time_off.note
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Whether there was such a time off to delete.
pub(super) async fn delete_time_off(tx: &mut Tx, therapist: TherapistId, id: TimeOffId) -> Result<bool> {
    let deleted = sqlx::query!("DELETE FROM time_off WHERE therapist_id = $1 AND id = $2", therapist.0, id.0)
        .execute(&mut **tx)
        .await?;
    Ok(deleted.rows_affected() == 1)
}
