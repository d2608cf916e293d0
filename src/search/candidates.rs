//! Finding therapists: by what they do, and by whom they can reach, in one order or another. Each order looks at a bounded number
//! in one statement, and goes on from the last.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::http::Limit;
use crate::ids::{AccountId, ServiceId, TherapistId};
use crate::values::grid;
use crate::values::{Gender, Point, Span};

/// What is asked of a therapist.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Criteria<'a> {
    pub service: Option<ServiceId>,
    pub minutes: Option<i16>,
    /// They must go this far.
    pub point: Option<Point>,
    pub technique: Option<&'a str>,
    pub condition: Option<&'a str>,
    pub gender: Option<Gender>,
    pub language: Option<&'a str>,
    pub therapist: Option<TherapistId>,
    /// Perhaps free within this stretch, as far as hints tell.
    pub free: Option<Span>,
    /// Who asks: nobody with whom they are at odds is shown.
    pub client: Option<AccountId>,
}

impl<'a> From<Reach<'a>> for Criteria<'a> {
    fn from(reach: Reach<'a>) -> Self {
        Self {
            service: Some(reach.service),
            minutes: Some(reach.minutes),
            point: Some(reach.point),
            technique: reach.technique,
            condition: reach.condition,
            gender: reach.gender,
            language: reach.language,
            therapist: reach.therapist,
            free: reach.free,
            client: None,
        }
    }
}

/// Who is asked for at a point.
#[derive(Clone, Copy, Debug)]
pub struct Reach<'a> {
    /// Where the visit is.
    pub point: Point,
    /// What is booked.
    pub service: ServiceId,
    /// For how many minutes.
    pub minutes: i16,
    /// This therapist alone.
    pub therapist: Option<TherapistId>,
    /// Of this gender.
    pub gender: Option<Gender>,
    /// Working with this technique.
    pub technique: Option<&'a str>,
    /// With experience of this condition.
    pub condition: Option<&'a str>,
    /// Speaking this language.
    pub language: Option<&'a str>,
    /// Perhaps free for so long within this stretch, as far as hints tell.
    pub free: Option<Span>,
}

/// Therapists who fit, in order, each with the key of that order.
#[derive(Clone, Debug)]
pub struct Batch<K> {
    /// Those who fit.
    pub found: Vec<(K, TherapistId)>,
    /// Where to go on: the last one looked at, who need not fit; none where nobody is left.
    pub rest: Option<(K, TherapistId)>,
}

/// How many are looked at in one statement. The number stands in the statements as well, where the planner must see it: it is
/// what makes them follow an index and not sort a city.
pub const LOOKED_AT: usize = 128;

/// Of how many at a time more is read, for a page of so many: a few more than it holds, as some will not do; and never so few that a
/// short page takes many statements.
pub fn at_a_time(limit: Limit) -> usize {
    limit.get().max(20) * 5 / 4 + 1
}

/// Looks at the next few of an order, and says of each whether they fit. `$1` and `$2` are the degrees of the point, `$3` the
/// service, `$4` the minutes, `$5` to `$9` who is wanted, and `$10` and `$11` when they must perhaps be free. An order
/// that goes by hints itself says in another way who is free.
macro_rules! next_of {
    ($db:expr, $wanted:expr, $order:literal, $($arg:expr),+) => {
        next_of!(
            @ $db,
            $wanted,
            "($10::timestamptz IS NULL
              OR (SELECT s.good_until < $11 FROM hint_states s WHERE s.therapist_id = next.id) IS NOT FALSE
              OR (SELECT true FROM hints h
                  WHERE h.therapist_id = next.id AND h.day BETWEEN $10::date - 2 AND $11::date + 2
                    AND h.soonest < $11 AND h.latest >= $10 AND h.longest >= coalesce($4::int2, 0) LIMIT 1) IS NOT NULL)",
            $order,
            $($arg),+
        )
    };
    (@ $db:expr, $wanted:expr, $free:literal, $order:literal, $($arg:expr),+) => {{
        let wanted = $wanted;
        let rows = sqlx::query!(
            r#"WITH next AS MATERIALIZED ("# + $order + r#")
               SELECT next.id AS "id!: TherapistId", next.key AS "key!",
                      t.fits
                      -- Subqueries with a limit are asked row by row, and never of the whole table at once.
                      AND (SELECT true FROM offers o WHERE o.therapist_id = next.id AND ($3::uuid IS NULL OR o.service_id = $3)
                                                       AND ($4::int2 IS NULL OR o.duration_minutes = $4::int2) LIMIT 1) IS NOT NULL
                      AND "# + $free + r#" AS "fits!"
               FROM next CROSS JOIN LATERAL (
                   SELECT t.accepting_bookings AND t.area_latitude IS NOT NULL
                          AND ($1::float8 IS NULL OR distance_km(t.area_latitude, t.area_longitude, $1, $2) <= t.service_radius_km)
                          AND ($5::uuid IS NULL OR t.id = $5)
                          AND ($6::text IS NULL OR t.gender IS NOT DISTINCT FROM $6)
                          AND ($7::text IS NULL OR $7 = ANY (t.techniques))
                          AND ($8::text IS NULL OR $8 = ANY (t.conditions))
                          AND ($9::text IS NULL OR $9 = ANY (t.languages)) AS fits
                   -- By the key, one after the other: to join the whole table would look better to the planner.
                   FROM therapists t WHERE t.id = next.id OFFSET 0
               ) AS t
               ORDER BY next.key, next.id"#,
            wanted.point.map(|point| point.latitude),
            wanted.point.map(|point| point.longitude),
            wanted.service.map(|id| id.0),
            wanted.minutes,
            wanted.therapist.map(|id| id.0),
            wanted.gender as Option<Gender>,
            wanted.technique,
            wanted.condition,
            wanted.language,
            wanted.free.map(|span| span.start),
            wanted.free.map(|span| span.end),
            $($arg),+
        )
        .fetch_all(&mut *$db)
        .await?;
        let rest = (rows.len() == LOOKED_AT).then(|| rows.last().map(|row| (row.key.clone(), row.id))).flatten();
        Batch { found: rows.into_iter().filter(|row| row.fits).map(|row| (row.key, row.id)).collect(), rest }
    }};
}

/// How far out each step of a search goes, in kilometres: most searches end with the first.
const RINGS: [f64; 5] = [4.0, 13.0, 40.0, 100.0, 201.0];

/// Statements for one batch of the nearest, at the most.
const MOST_STEPS: usize = 10;

/// The therapists who accept bookings, offer the service for so long and serve the point: nearest first, some `count` from
/// after `after`, by kilometres. Whether they may practise and are free is for the engine to say.
pub async fn reaching(
    db: &mut PgConnection,
    wanted: Reach<'_>,
    after: Option<(f64, TherapistId)>,
    count: usize,
) -> Result<Batch<f64>> {
    nearest(db, wanted.into(), wanted.point, after, count).await
}

/// The nearest to `point` of whoever is wanted.
pub(super) async fn nearest(
    db: &mut PgConnection,
    wanted: Criteria<'_>,
    point: Point,
    after: Option<(f64, TherapistId)>,
    count: usize,
) -> Result<Batch<f64>> {
    let mut batch = Batch { found: Vec::new(), rest: Some(after.unwrap_or((-1.0, TherapistId(Uuid::nil())))) };
    let (mut inner, mut rings) = (-1.0, RINGS.into_iter());
    let mut ring = rings.next();
    for _ in 0..MOST_STEPS {
        let (Some(outer), Some((distance, id))) = (ring, batch.rest) else { break };
        if outer > distance {
            let (south_west, north_east) = point.around(outer);
            let next = next_of!(
                db,
                wanted,
                "SELECT t.id, distance AS key
                 FROM therapists t CROSS JOIN LATERAL distance_km(t.area_latitude, t.area_longitude, $1, $2) AS distance
                 WHERE t.accepting_bookings AND t.area_latitude BETWEEN $12 AND $13 AND t.area_longitude BETWEEN $14 AND $15
                   AND distance >= $16 AND distance < $17 AND distance <= t.service_radius_km AND (distance, t.id) > ($18, $19)
                   AND ($5::uuid IS NULL OR t.id = $5)
                 ORDER BY distance, t.id LIMIT 128",
                south_west.latitude,
                north_east.latitude,
                south_west.longitude,
                north_east.longitude,
                inner,
                outer,
                distance,
                id.0
            );
            batch.found.extend(next.found);
            batch.rest = next.rest.or(Some((distance, id)));
            if next.rest.is_none() {
                // Nobody is left within this ring; whoever comes next is at least as far.
                batch.rest = Some((outer.max(distance), TherapistId(Uuid::nil())));
                (inner, ring) = (outer, rings.next());
            }
        } else {
            (inner, ring) = (outer, rings.next());
        }
        if batch.found.len() >= count {
            break;
        }
    }
    if ring.is_none() {
        batch.rest = None;
    }
    Ok(batch)
}

/// As [`reaching`], but the best rated first, by the score below zero: what comes first is least.
pub async fn best(db: &mut PgConnection, wanted: Reach<'_>, after: Option<(f64, TherapistId)>) -> Result<Batch<f64>> {
    best_near(db, wanted.into(), wanted.point, after).await
}

/// The best rated of whoever is wanted and reaches `point`.
pub(super) async fn best_near(
    db: &mut PgConnection,
    wanted: Criteria<'_>,
    point: Point,
    after: Option<(f64, TherapistId)>,
) -> Result<Batch<f64>> {
    let (score, id) = after.unwrap_or((-6.0, TherapistId(Uuid::nil())));
    Ok(next_of!(
        db,
        wanted,
        "SELECT t.id, t.key
         FROM unnest($12::int4[]) AS square (cell)
         CROSS JOIN LATERAL (
             SELECT id, -rating_score AS key FROM therapists
             WHERE accepting_bookings AND cell = square.cell AND (-rating_score, id) > ($13, $14) ORDER BY -rating_score, id LIMIT 128
         ) AS t
         ORDER BY key, id LIMIT 128",
        &grid::squares(point),
        score,
        id.0
    ))
}

/// The best rated of whoever is wanted, wherever they are.
pub(super) async fn best_anywhere(
    db: &mut PgConnection,
    wanted: Criteria<'_>,
    after: Option<(f64, TherapistId)>,
) -> Result<Batch<f64>> {
    let (score, id) = after.unwrap_or((-6.0, TherapistId(Uuid::nil())));
    Ok(next_of!(
        db,
        wanted,
        "SELECT id, -rating_score AS key FROM therapists
         WHERE accepting_bookings AND (-rating_score, id) > ($12, $13) ORDER BY -rating_score, id LIMIT 128",
        score,
        id.0
    ))
}

/// Whoever is wanted, by name.
pub(super) async fn by_name(
    db: &mut PgConnection,
    wanted: Criteria<'_>,
    after: Option<(String, TherapistId)>,
) -> Result<Batch<String>> {
    let (name, id) = after.unwrap_or((String::new(), TherapistId(Uuid::nil())));
    Ok(next_of!(
        db,
        wanted,
        "SELECT a.id, a.display_name AS key FROM accounts a
         WHERE a.role = 'therapist' AND (a.display_name, a.id) > ($12, $13) ORDER BY a.display_name, a.id LIMIT 128",
        name,
        id.0
    ))
}

/// As [`reaching`], but by the instant from which they may be free within `span`, and after `now`: whoever has no good hint first.
/// Each once, by the first of their days. A new page that begins beyond those without a good hint looks at them again,
/// because hints end between pages: whoever was ahead with one would be behind without it.
pub async fn soonest(
    db: &mut PgConnection,
    wanted: Reach<'_>,
    span: Span,
    now: DateTime<Utc>,
    after: Option<(DateTime<Utc>, TherapistId)>,
    is_new_page: bool,
) -> Result<Batch<DateTime<Utc>>> {
    let cells = grid::squares(wanted.point);
    let days: Vec<NaiveDate> = cells.iter().map(|cell| grid::day(*cell, span.start)).collect();
    // Where the order goes on in each square: at the day's beginning, or where it was left.
    let begins = cells.iter().zip(&days).map(|(cell, day)| {
        let midnight = grid::midnight(*cell, *day);
        after.filter(|(start, _)| *start >= midnight).unwrap_or((midnight, TherapistId(Uuid::nil())))
    });
    let (starts, ids): (Vec<DateTime<Utc>>, Vec<TherapistId>) = begins.unzip();
    // Before any hint that bears on the span.
    let perhaps_free = span.start - TimeDelta::days(3);
    let (free_from, id) = after
        .filter(|(start, _)| !is_new_page || *start <= perhaps_free)
        .unwrap_or((DateTime::UNIX_EPOCH, TherapistId(Uuid::nil())));
    let mut batch = next_of!(
        @ db,
        Criteria::from(wanted),
        // What a parameter is, is hidden from the planner, which would plan anew for every one.
        "($10::timestamptz IS NULL AND $11::timestamptz IS NULL AND (NOT next.hinted
          OR next.longest >= $4::int2 AND (SELECT s.good_until >= $16 FROM hint_states s WHERE s.therapist_id = next.id) IS TRUE
             AND (next.day <= next.first_day
                  OR (SELECT true FROM hints e
                      WHERE e.therapist_id = next.id AND e.day >= next.first_day AND e.day < next.day AND e.longest >= $4::int2 AND e.latest >= $15
                      LIMIT 1) IS NULL)))",
        "SELECT id, key, first_day, day, longest, hinted
         FROM (
             SELECT hint.therapist_id AS id, hint.soonest AS key, square.day AS first_day, hint.day, hint.longest, true AS hinted
             FROM unnest((SELECT $12::int4[]), (SELECT $13::date[]), (SELECT $14::timestamptz[]), (SELECT $20::uuid[])) AS square (cell, day, start, id)
             -- One bound and a limit, so that the index is followed from there on.
             CROSS JOIN LATERAL (
                 SELECT therapist_id, soonest, day, longest FROM hints
                 WHERE cell = square.cell AND (soonest, therapist_id) > (square.start, square.id) AND latest >= (SELECT $15::timestamptz)
                 ORDER BY soonest, therapist_id LIMIT 128
             ) AS hint
             WHERE hint.soonest < (SELECT $16::timestamptz)
             UNION ALL
             SELECT state.therapist_id, $17::timestamptz, NULL, NULL, NULL, false
             FROM unnest((SELECT $12::int4[])) AS square (cell)
             CROSS JOIN LATERAL (
                 SELECT therapist_id FROM hint_states
                 WHERE cell = square.cell AND good_until < (SELECT $16::timestamptz) AND ($17::timestamptz, therapist_id) > ($18, $19) ORDER BY therapist_id LIMIT 128
             ) AS state
         ) AS perhaps
         ORDER BY key, id LIMIT 128",
        &cells,
        &days,
        &starts,
        span.start.max(now),
        span.end,
        perhaps_free,
        free_from,
        id.0,
        &ids as &[TherapistId]
    );
    // So many without a hint that the others were not reached: the order goes on from where it was, or a search would not end.
    batch.rest = batch.rest.map(|rest| after.map_or(rest, |after| rest.max(after)));
    Ok(batch)
}
