//! The diary is gathered in a single statement across features, because a round trip costs more than all that is in it.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::json;
use sqlx::PgExecutor;
use sqlx::types::Json;

use super::hours::{Hours, Timetable};
use super::schedule::{DatedSchedule, Dates, Override, Schedule, Windows};
use super::stored::{Reserved, Revision, StoredDiary};
use super::travel::RoadTimes;
use super::unbookable::Fit;
use super::{Diary, MARGIN, Purpose, Reservation, Rules};
use crate::credentials::Standing;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{AccountId, BookingId, ServiceId, TherapistId};
use crate::values::{BookingMode, Point, Rating, SlotAnchor, Span, TravelMode, Zone, merged};

/// What is asked of a diary, and by whom.
#[derive(Clone, Copy, Debug, Default)]
pub struct Enquiry {
    /// The service, and the minutes on the table; none where time alone is asked for.
    pub visit: Option<(ServiceId, i16)>,
    /// Who asks, where that is known: therapists with whom they are at odds have nothing for them.
    pub client: Option<AccountId>,
}

/// Diaries as they are stored, complete between `from` and `to`. One therapist is asked for in another way than several: the planner
/// counts on ten where it sees a list, so that for one it would plan anew each time, which takes longer than the read.
macro_rules! stored {
    ($which:literal, $therapists:expr, $db:expr, $client:expr, $from:expr, $to:expr) => {{
            let rows = sqlx::query!(
                r#"SELECT t.id, a.display_name, a.time_zone AS "time_zone: Zone", t.accepting_bookings, t.area_latitude, t.area_longitude,
                          t.service_radius_km, t.travel_mode AS "travel_mode: TravelMode", t.booking_mode AS "booking_mode: BookingMode", t.min_notice_minutes,
                          t.max_advance_days, t.setup_minutes, t.packup_minutes, t.slot_interval_minutes, t.slot_anchor AS "slot_anchor: SlotAnchor", t.daily_cap,
                          EXISTS (SELECT FROM blocks b WHERE b.therapist_id = t.id AND b.client_id = $4) AS "blocked!",
                          t.rating_count, t.rating_sum,
                          state.revision, state.steady, rulebook.revision AS rulebook,
                          offered.services AS "services?: Vec<ServiceId>", offered.minutes AS "minutes?",
                          weekly.since AS "since?", weekly.opens AS "opens?: Vec<Option<i32>>", weekly.closes AS "closes?: Vec<Option<i32>>",
                          differing.dates AS "override_dates?", differing.windows AS "override_windows?: Json<Vec<Vec<i32>>>",
                          away.starts AS "off_starts?", away.ends AS "off_ends?",
                          taken.starts AS "taken_starts?", taken.ends AS "taken_ends?", taken.visits AS "taken_visits?",
                          taken.latitudes AS "taken_latitudes?", taken.longitudes AS "taken_longitudes?",
                          taken.bookings AS "taken_bookings?: Vec<Option<BookingId>>", taken.proposed AS "taken_proposed?",
                          taken.lapses AS "taken_lapses?: Vec<Option<DateTime<Utc>>>", taken.holders AS "taken_holders?: Vec<Option<AccountId>>",
                          held.standings AS "standings?: Json<Vec<Standing>>"
                   FROM therapists t
                   JOIN accounts a ON a.id = t.id
                   JOIN hint_states state ON state.therapist_id = t.id
                   CROSS JOIN rulebook
                   LEFT JOIN LATERAL (
                       SELECT array_agg(service_id) AS services, array_agg(duration_minutes) AS minutes FROM offers o WHERE o.therapist_id = t.id
                   ) offered ON true
                   LEFT JOIN LATERAL (
                       SELECT array_agg(since) AS since, array_agg(opens) AS opens, array_agg(closes) AS closes
                       FROM timetable_windows(t.id, ($2::timestamptz)::date - 2, ($3::timestamptz)::date + 2)
                   ) weekly ON true
                   LEFT JOIN LATERAL (
                       SELECT array_agg(date ORDER BY date) AS dates, json_agg(windows ORDER BY date) AS windows
                       FROM overrides o WHERE o.therapist_id = t.id AND o.date BETWEEN ($2::timestamptz)::date - 2 AND ($3::timestamptz)::date + 2
                   ) differing ON true
                   LEFT JOIN LATERAL (
                       SELECT array_agg(start_at) AS starts, array_agg(end_at) AS ends FROM (
                           SELECT start_at, end_at FROM time_off f WHERE f.therapist_id = t.id AND f.end_at > $2 AND f.start_at < $3
                           UNION ALL
                           -- None is longer than a day, so that the index bounds the read on both sides.
                           SELECT start_at, end_at FROM busy_intervals b
                           WHERE b.therapist_id = t.id AND b.end_at > $2 AND b.end_at < $3::timestamptz + interval '24 hours' AND b.start_at < $3
                       ) off
                   ) away ON true
                   LEFT JOIN LATERAL (
                       SELECT array_agg(begins) AS starts, array_agg(ends) AS ends, array_agg(start_at) AS visits,
                              array_agg(latitude) AS latitudes, array_agg(longitude) AS longitudes, array_agg(booking_id) AS bookings,
                              array_agg(proposed) AS proposed, array_agg(lapses) AS lapses, array_agg(holder) AS holders
                       -- Sorted once, and not for each of the lists.
                       FROM (SELECT * FROM reserved_time r WHERE r.therapist_id = t.id AND begins >= $2 AND begins < $3 ORDER BY begins) r
                   ) taken ON true
                   LEFT JOIN (
                       SELECT c.therapist_id, json_agg(json_build_object('id', c.id, 'type_code', c.type, 'authority', c.authority, 'issued_on', c.issued_on, 'expires_on', c.expires_on,
                                                                         'verification', c.verification_id, 'jurisdictions', c.covers_jurisdictions,
                                                                         'kinds', c.covers_kinds)) AS standings
                       FROM standings c WHERE c.therapist_id "# + $which + r#" GROUP BY c.therapist_id
                   ) held ON held.therapist_id = t.id
                   WHERE t.id "# + $which,
                $therapists,
                $from,
                $to,
                $client.map(|id| id.0),
            )
            .fetch_all($db)
            .await?;
            rows.into_iter().map(|row| {
                let time_off = row.off_starts.into_iter().flatten().zip(row.off_ends.into_iter().flatten());
                let spans = row.taken_starts.into_iter().flatten().zip(row.taken_ends.into_iter().flatten());
                let places = row.taken_latitudes.into_iter().flatten().zip(row.taken_longitudes.into_iter().flatten());
                let reservations = spans
                    .zip(places)
                    .zip(row.taken_visits.into_iter().flatten())
                    .zip(row.taken_bookings.into_iter().flatten().zip(row.taken_proposed.into_iter().flatten()))
                    .map(|((((start, end), (latitude, longitude)), start_at), (booking, proposed))| Reservation {
                        during: Span { start, end },
                        start_at,
                        place: Point { latitude, longitude },
                        purpose: Purpose::of(booking, proposed),
                    });
                let diary = Diary {
                    therapist: row.id,
                    name: row.display_name,
                    rating: Rating::of(row.rating_count, row.rating_sum),
                    zone: row.time_zone,
                    hours: Hours {
                        timetables: timetables(row.since, row.opens, row.closes),
                        overrides: differing(row.override_dates, row.override_windows),
                    },
                    time_off: merged(time_off.map(|(start, end)| Span { start, end }).collect()),
                    reservations: reservations.collect(),
                    standings: row.standings.map(|Json(standings)| standings).unwrap_or_default(),
                    mode: row.booking_mode,
                    offered: false,
                    blocked: row.blocked,
                    roads: RoadTimes::default(),
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
                        slot_anchor: row.slot_anchor,
                        daily_cap: row.daily_cap,
                    },
                };
                StoredDiary {
                    revision: Revision { diary: row.revision, steady: row.steady, rulebook: row.rulebook },
                    span: Span { start: $from, end: $to },
                    offers: row.services.into_iter().flatten().zip(row.minutes.into_iter().flatten()).collect(),
                    lapses: row.taken_lapses.into_iter().flatten().collect(),
                    holders: row.taken_holders.into_iter().flatten().collect(),
                    diary,
                }
            }).collect()
    }};
}

/// Diaries as they are stored, in no order, complete within `span`; at odds with `client` or not.
pub async fn stored<'c>(
    db: impl PgExecutor<'c>,
    therapists: &[TherapistId],
    client: Option<AccountId>,
    span: Span,
) -> Result<Vec<StoredDiary>> {
    let Span { start: from, end: to } = span;
    Ok(match therapists {
        [one] => stored!("= $1", one.0, db, client, from, to),
        several => stored!("= ANY ($1)", several as &[TherapistId], db, client, from, to),
    })
}

/// The diaries of `therapists` for starts within `span`, in no order. Lapsed reservations are left out.
pub async fn diaries<'c>(
    db: impl PgExecutor<'c>,
    therapists: &[TherapistId],
    asked: Enquiry,
    span: Span,
    now: DateTime<Utc>,
) -> Result<Vec<Diary>> {
    let span = Span { start: span.start - MARGIN, end: span.end + MARGIN };
    let stored = stored(db, therapists, asked.client, span).await?;
    Ok(stored.into_iter().map(|stored| stored.open(asked, span, now)).collect())
}

/// The reserved time of a therapist that begins within `span`, and whether `client` is at odds with them; none where there is no such
/// therapist.
pub async fn reserved<'c>(
    db: impl PgExecutor<'c>,
    therapist: TherapistId,
    client: Option<AccountId>,
    span: Span,
) -> Result<Option<Reserved>> {
    let rows = sqlx::query!(
        r#"SELECT s.revision, s.steady, rulebook.revision AS rulebook,
                  EXISTS (SELECT FROM blocks b WHERE b.therapist_id = $1 AND b.client_id = $4) AS "blocked!",
                  r.begins AS "begins?", r.ends AS "ends?", r.start_at AS "start_at?", r.latitude AS "latitude?", r.longitude AS "longitude?",
                  r.booking_id AS "booking?: BookingId", r.proposed AS "proposed?", r.lapses AS "lapses?", r.holder AS "holder?: AccountId"
           FROM hint_states s
           CROSS JOIN rulebook
           LEFT JOIN reserved_time r ON r.therapist_id = $1 AND r.begins >= $2 AND r.begins < $3
           WHERE s.therapist_id = $1
           ORDER BY r.begins"#,
        therapist.0,
        span.start,
        span.end,
        client.map(|id| id.0),
    )
    .fetch_all(db)
    .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let revision = Revision { diary: first.revision, steady: first.steady, rulebook: first.rulebook };
    let mut reserved = Reserved { revision, blocked: first.blocked, ..Reserved::default() };
    for row in rows {
        let (Some(during), Some(start_at)) = (row.begins.zip(row.ends), row.start_at) else { continue };
        let place = Point { latitude: row.latitude.unwrap_or_default(), longitude: row.longitude.unwrap_or_default() };
        let purpose = Purpose::of(row.booking, row.proposed == Some(true));
        let during = Span { start: during.0, end: during.1 };
        reserved.reservations.push(Reservation { during, start_at, place, purpose });
        reserved.lapses.push(row.lapses);
        reserved.holders.push(row.holder);
    }
    Ok(Some(reserved))
}

/// The diaries of `therapists` for starts within `span`, in no order, with what is agreed alone: the time of all that may still lapse counts as
/// free.
pub async fn settled_diaries<'c>(
    db: impl PgExecutor<'c>,
    therapists: &[TherapistId],
    span: Span,
) -> Result<Vec<Diary>> {
    let span = Span { start: span.start - MARGIN, end: span.end + MARGIN };
    let stored = stored(db, therapists, None, span).await?;
    Ok(stored.into_iter().map(|stored| stored.settled(span)).collect())
}

/// By which what holds for all can be told to have changed.
pub async fn rulebook<'c>(db: impl PgExecutor<'c>) -> Result<i64> {
    Ok(sqlx::query_scalar!("SELECT revision FROM rulebook").fetch_one(db).await?)
}

/// By which the diaries of therapists can be told to have changed, for each of `asked` in order: the revision, and whether the client who asks is at
/// odds with the therapist; none where there is no such therapist.
pub async fn revisions<'c>(
    db: impl PgExecutor<'c>,
    asked: &[(TherapistId, Option<AccountId>)],
) -> Result<Vec<Option<(Revision, bool)>>> {
    let therapists: Vec<_> = asked.iter().map(|(therapist, _)| therapist.0).collect();
    let clients: Vec<_> = asked.iter().map(|(_, client)| client.map(|id| id.0)).collect();
    let rows = sqlx::query!(
        // The planner sees no list, and therefore never plans anew for the number of those in it.
        r#"SELECT asked.n AS "n!", s.revision, s.steady, rulebook.revision AS rulebook,
                  CASE WHEN asked.client IS NULL THEN false
                       ELSE EXISTS (SELECT FROM blocks b WHERE b.therapist_id = s.therapist_id AND b.client_id = asked.client) END AS "blocked!"
           FROM unnest((SELECT $1::uuid[]), (SELECT $2::uuid[])) WITH ORDINALITY AS asked (id, client, n)
           JOIN hint_states s ON s.therapist_id = asked.id
           CROSS JOIN rulebook"#,
        &therapists,
        clients as _,
    )
    .fetch_all(db)
    .await?;
    let mut known = vec![None; asked.len()];
    for row in rows {
        let revision = Revision { diary: row.revision, steady: row.steady, rulebook: row.rulebook };
        if let Some(place) = usize::try_from(row.n - 1).ok().and_then(|n| known.get_mut(n)) {
            *place = Some((revision, row.blocked));
        }
    }
    Ok(known)
}

/// Opening and closing minutes, as they are stored: one after the other.
fn pairs(flat: &[i32]) -> Vec<(i32, i32)> {
    flat.as_chunks::<2>().0.iter().map(|[opens, closes]| (*opens, *closes)).collect()
}

/// The therapist's zone.
pub async fn zone(db: &sqlx::PgPool, therapist: TherapistId) -> Result<Zone> {
    let zone = sqlx::query_scalar!(r#"SELECT time_zone AS "zone: Zone" FROM accounts WHERE id = $1"#, therapist.0)
        .fetch_one(db);
    Ok(zone.await?)
}

/// When a therapist's calendars are busy within `span`, in order; those of different calendars may overlap.
pub async fn busy<'c>(db: impl PgExecutor<'c>, therapist: TherapistId, span: Span) -> Result<Vec<Span>> {
    // No stretch is longer than a day, so that the index bounds the read on both sides.
    let rows = sqlx::query!(
        "SELECT start_at, end_at FROM busy_intervals
         WHERE therapist_id = $1 AND end_at > $2 AND end_at < $3::timestamptz + interval '24 hours' AND start_at < $3 ORDER BY end_at",
        therapist.0,
        span.start,
        span.end,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| Span { start: row.start_at, end: row.end_at }).collect())
}

/// The minutes on the table of a therapist's reservations that matter within `span`, by the beginning of each.
pub async fn lengths(db: &sqlx::PgPool, therapist: TherapistId, span: Span) -> Result<HashMap<DateTime<Utc>, i16>> {
    let rows = sqlx::query!(
        r#"SELECT lower(r.during) AS "begins!", coalesce(b.duration_minutes, h.duration_minutes) AS minutes
           FROM reservations r LEFT JOIN counter_offers o ON o.id = r.offer_id
                LEFT JOIN bookings b ON b.id = coalesce(r.booking_id, o.booking_id) LEFT JOIN holds h ON h.id = r.id
           WHERE r.therapist_id = $1 AND lower(r.during) >= $2 AND lower(r.during) < $3"#,
        therapist.0,
        span.start - MARGIN,
        span.end + MARGIN
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().filter_map(|row| Some((row.begins, row.minutes?))).collect())
}

/// Timetables from the rows of their windows; one without windows is a row without times.
fn timetables(
    since: Option<Vec<NaiveDate>>,
    opens: Option<Vec<Option<i32>>>,
    closes: Option<Vec<Option<i32>>>,
) -> Vec<Timetable> {
    let windows = opens.into_iter().flatten().zip(closes.into_iter().flatten());
    let rows: Vec<_> = since.into_iter().flatten().zip(windows).collect();
    let each = rows.chunk_by(|(a, _), (b, _)| a == b);
    each.map(|rows| Timetable {
        effective_from: rows[0].0,
        weekly: rows.iter().filter_map(|(_, (opens, closes))| opens.zip(*closes)).collect(),
    })
    .collect()
}

/// Dates with the windows that replace the weekly ones.
fn differing(dates: Option<Vec<NaiveDate>>, windows: Option<Json<Vec<Vec<i32>>>>) -> Dates {
    let windows = windows.map(|Json(windows)| windows).into_iter().flatten();
    dates.into_iter().flatten().zip(windows.map(|windows| pairs(&windows))).collect()
}

/// The therapist's zone, and the hours that start on `dates`.
pub async fn hours<'c>(
    db: impl PgExecutor<'c>,
    therapist: TherapistId,
    dates: RangeInclusive<NaiveDate>,
) -> Result<(Zone, Hours)> {
    let row = sqlx::query!(
        r#"SELECT a.time_zone AS "time_zone: Zone",
                  weekly.since AS "since?", weekly.opens AS "opens?: Vec<Option<i32>>", weekly.closes AS "closes?: Vec<Option<i32>>",
                  differing.dates AS "override_dates?", differing.windows AS "override_windows?: Json<Vec<Vec<i32>>>"
           FROM accounts a
           LEFT JOIN LATERAL (
               SELECT array_agg(since) AS since, array_agg(opens) AS opens, array_agg(closes) AS closes
               FROM timetable_windows(a.id, $2, $3)
           ) weekly ON true
           LEFT JOIN LATERAL (
               SELECT array_agg(date ORDER BY date) AS dates, json_agg(windows ORDER BY date) AS windows
               FROM overrides o WHERE o.therapist_id = a.id AND o.date BETWEEN $2 AND $3
           ) differing ON true
           WHERE a.id = $1"#,
        therapist.0,
        dates.start(),
        dates.end(),
    )
    .fetch_one(db)
    .await?;
    let hours = Hours {
        timetables: timetables(row.since, row.opens, row.closes),
        overrides: differing(row.override_dates, row.override_windows),
    };
    Ok((row.time_zone, hours))
}

/// What has to fit into the therapist's hours.
pub async fn fit<'c>(db: impl PgExecutor<'c>, therapist: TherapistId) -> Result<Fit> {
    let fit = sqlx::query_as!(
        Fit,
        r#"SELECT slot_anchor AS "slot_anchor: SlotAnchor", slot_interval_minutes,
                  (SELECT min(duration_minutes) FROM offers WHERE therapist_id = id) AS shortest
           FROM therapists WHERE id = $1"#,
        therapist.0
    )
    .fetch_one(db);
    Ok(fit.await?)
}

pub(super) async fn set_zone(tx: &mut Tx, therapist: TherapistId, zone: Zone) -> Result<()> {
    sqlx::query!("UPDATE accounts SET time_zone = $2 WHERE id = $1", therapist.0, zone as Zone)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The therapist's timetables in order, from after `after` on.
pub(super) async fn schedules<'c>(
    db: impl PgExecutor<'c>,
    therapist: TherapistId,
    after: Option<NaiveDate>,
    count: i64,
) -> Result<Vec<DatedSchedule>> {
    let rows = sqlx::query!(
        r#"SELECT s.effective_from, a.time_zone AS "time_zone: Zone",
                  array(SELECT opens FROM weekly_windows w WHERE w.therapist_id = s.therapist_id
                        AND w.effective_from = s.effective_from ORDER BY opens) AS "opens!",
                  array(SELECT closes FROM weekly_windows w WHERE w.therapist_id = s.therapist_id
                        AND w.effective_from = s.effective_from ORDER BY opens) AS "closes!"
           FROM timetables s JOIN accounts a ON a.id = s.therapist_id
           WHERE s.therapist_id = $1 AND ($2::date IS NULL OR s.effective_from > $2) ORDER BY s.effective_from LIMIT $3"#,
        therapist.0,
        after,
        count
    )
    .fetch_all(db)
    .await?;
    let schedules = rows.into_iter().map(|row| {
        let windows: Windows = row.opens.into_iter().zip(row.closes).collect();
        DatedSchedule { effective_from: row.effective_from, schedule: Schedule::new(row.time_zone, &windows) }
    });
    Ok(schedules.collect())
}

/// The timetable that begins on `date`.
pub(super) async fn find_schedule<'c>(
    db: impl PgExecutor<'c>,
    therapist: TherapistId,
    date: NaiveDate,
) -> Result<Option<DatedSchedule>> {
    let next = schedules(db, therapist, date.pred_opt(), 1).await?.pop();
    Ok(next.filter(|schedule| schedule.effective_from == date))
}

/// How many timetables begin on `date` or later.
pub(super) async fn count_schedules_from(tx: &mut Tx, therapist: TherapistId, date: NaiveDate) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM timetables WHERE therapist_id = $1 AND effective_from >= $2"#,
        therapist.0,
        date
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(count)
}

pub(super) async fn put_schedule(
    tx: &mut Tx,
    therapist: TherapistId,
    date: NaiveDate,
    windows: &[(i32, i32)],
) -> Result<()> {
    delete_schedule(tx, therapist, date).await?;
    let (opens, closes): (Vec<i32>, Vec<i32>) = windows.iter().copied().unzip();
    sqlx::query!("INSERT INTO timetables (therapist_id, effective_from) VALUES ($1, $2)", therapist.0, date)
        .execute(&mut **tx)
        .await?;
    sqlx::query!(
        "INSERT INTO weekly_windows (therapist_id, effective_from, opens, closes)
         SELECT $1, $2, opens, closes FROM unnest($3::int4[], $4::int4[]) AS w (opens, closes)",
        therapist.0,
        date,
        &opens,
        &closes
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Whether there was such a timetable to delete; its windows go with it.
pub(super) async fn delete_schedule(tx: &mut Tx, therapist: TherapistId, date: NaiveDate) -> Result<bool> {
    let deleted =
        sqlx::query!("DELETE FROM timetables WHERE therapist_id = $1 AND effective_from = $2", therapist.0, date)
            .execute(&mut **tx)
            .await?;
    Ok(deleted.rows_affected() == 1)
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

/// Replaces the windows of these dates; none closes a date.
pub(super) async fn put_overrides(tx: &mut Tx, therapist: TherapistId, days: &[(NaiveDate, Windows)]) -> Result<()> {
    let flat = |windows: &Windows| windows.iter().flat_map(|(opens, closes)| [*opens, *closes]).collect::<Vec<i32>>();
    let rows: Vec<_> = days.iter().map(|(date, windows)| json!({ "date": date, "windows": flat(windows) })).collect();
    sqlx::query!(
        "INSERT INTO overrides (therapist_id, date, windows)
         SELECT $1, date, windows FROM jsonb_to_recordset($2) AS d (date date, windows integer[])
         ON CONFLICT ON CONSTRAINT overrides_pkey DO UPDATE SET windows = excluded.windows",
        therapist.0,
        Json(rows) as _
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
