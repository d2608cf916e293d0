//! Who may come, by hints: reads that cross features, since only together do they narrow a city down to a page.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use sqlx::PgPool;

use super::super::intervals::Span;
use crate::error::Result;
use crate::ids::TherapistId;
use crate::therapists::{Gender, Reach, grid};

/// Who may be free within `span`, by the first instant from which they may be, from after `after`: whoever has no good hint
/// first, at `perhaps_free`. The rest of the rules is for the engine.
pub(super) async fn soonest(
    db: &PgPool,
    wanted: Reach<'_>,
    span: Span,
    now: DateTime<Utc>,
    after: (DateTime<Utc>, TherapistId),
    count: i64,
) -> Result<Vec<(DateTime<Utc>, TherapistId)>> {
    let cells = grid::squares(wanted.point);
    let days: Vec<NaiveDate> = cells.iter().map(|cell| grid::day(*cell, span.start)).collect();
    let starts: Vec<DateTime<Utc>> = cells.iter().zip(&days).map(|(cell, day)| grid::midnight(*cell, *day)).collect();
    let rows = sqlx::query!(
        r#"SELECT id AS "id!: TherapistId", free_from AS "free_from!" FROM (
               SELECT hinted.therapist_id AS id, hinted.soonest AS free_from
               FROM unnest($1::int4[], $2::date[], $3::timestamptz[]) AS square (cell, day, start)
               CROSS JOIN LATERAL (
                   SELECT h.therapist_id, h.soonest
                   FROM hints h
                   JOIN hint_states s ON s.therapist_id = h.therapist_id AND s.good_until >= $5
                   JOIN therapists t ON t.id = h.therapist_id
                   JOIN offers o ON o.therapist_id = h.therapist_id AND o.service_id = $6 AND o.duration_minutes = $7
                   WHERE h.cell = square.cell AND h.soonest >= square.start AND h.soonest < $5
                     AND (h.soonest, h.therapist_id) > ($16, $17)
                     AND h.longest >= $7
                     AND h.latest >= greatest($4, $8::timestamptz + make_interval(mins => t.min_notice_minutes))
                     AND h.soonest <= $8::timestamptz + make_interval(days => t.max_advance_days)
                     AND t.accepting_bookings
                     AND distance_km(t.area_latitude, t.area_longitude, $9, $10) <= t.service_radius_km
                     AND ($11::text IS NULL OR t.gender = $11)
                     AND ($12::text IS NULL OR $12 = ANY (t.techniques))
                     AND ($13::text IS NULL OR $13 = ANY (t.conditions))
                     AND ($14::text IS NULL OR $14 = ANY (t.languages))
                     AND ($15::uuid IS NULL OR t.id = $15)
                     -- By the first of their days.
                     AND NOT EXISTS (
                         SELECT FROM hints e
                         WHERE e.therapist_id = h.therapist_id AND e.day >= square.day AND e.day < h.day AND e.longest >= $7
                           AND e.latest >= greatest($4, $8::timestamptz + make_interval(mins => t.min_notice_minutes)))
                   ORDER BY h.soonest, h.therapist_id
                   LIMIT $18
               ) AS hinted
               UNION ALL
               SELECT s.therapist_id, $19::timestamptz
               FROM unnest($1::int4[]) AS square (cell)
               JOIN hint_states s ON s.cell = square.cell AND s.good_until < $5
               JOIN therapists t ON t.id = s.therapist_id
               JOIN offers o ON o.therapist_id = s.therapist_id AND o.service_id = $6 AND o.duration_minutes = $7
               WHERE ($19::timestamptz, s.therapist_id) > ($16, $17)
                 AND t.accepting_bookings
                 AND distance_km(t.area_latitude, t.area_longitude, $9, $10) <= t.service_radius_km
                 AND ($11::text IS NULL OR t.gender = $11)
                 AND ($12::text IS NULL OR $12 = ANY (t.techniques))
                 AND ($13::text IS NULL OR $13 = ANY (t.conditions))
                 AND ($14::text IS NULL OR $14 = ANY (t.languages))
                 AND ($15::uuid IS NULL OR t.id = $15)
           ) AS perhaps
           ORDER BY free_from, id
           LIMIT $18"#,
        &cells,
        &days,
        &starts,
        span.start,
        span.end,
        wanted.service.0,
        wanted.minutes,
        now,
        wanted.point.latitude,
        wanted.point.longitude,
        wanted.gender as Option<Gender>,
        wanted.technique,
        wanted.condition,
        wanted.language,
        wanted.therapist.map(|id| id.0),
        after.0,
        after.1.0,
        count,
        perhaps_free(span),
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.free_from, row.id)).collect())
}

/// Before any hint that bears on `span`.
fn perhaps_free(span: Span) -> DateTime<Utc> {
    span.start - TimeDelta::days(3)
}

/// Where the order of [`soonest`] begins.
pub(super) fn beginning() -> (DateTime<Utc>, TherapistId) {
    (DateTime::UNIX_EPOCH, TherapistId(uuid::Uuid::nil()))
}
