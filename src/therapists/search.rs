//! Finding therapists: by what they do, and by whom they can reach.

use chrono::NaiveDate;
use sqlx::PgPool;

use super::{Area, BookingMode, Gender, PublicTherapist, store};
use crate::accounts::DisplayName;
use crate::error::Result;
use crate::ids::{AccountId, ServiceId, TherapistId};
use crate::reviews::Rating;
use crate::values::Point;

/// What is asked of a therapist.
#[derive(Debug, Default)]
pub(super) struct Wanted<'a> {
    pub service: Option<ServiceId>,
    /// They must go this far.
    pub point: Option<Point>,
    pub technique: Option<&'a str>,
    pub condition: Option<&'a str>,
    pub gender: Option<Gender>,
    pub language: Option<&'a str>,
    pub therapist: Option<TherapistId>,
    /// Who asks: nobody with whom they are at odds is found.
    pub client: Option<AccountId>,
}

/// Where a page begins: after this distance, or this name, and this id.
pub(super) type SortKey = (Option<f64>, Option<DisplayName>, TherapistId);

/// How a list of therapists is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// Nearest to the point first.
    Distance,
    /// By name.
    Name,
}

/// Therapists that can be booked: they accept bookings, have a base and an offer, and may practise somewhere on
/// `today`. Up to `count` of them from after `after`.
pub(super) async fn bookable(
    db: &PgPool,
    wanted: &Wanted<'_>,
    order: Order,
    after: Option<SortKey>,
    count: i64,
    today: NaiveDate,
) -> Result<Vec<(PublicTherapist, SortKey)>> {
    let (after_distance, after_name, after_id) = match after {
        Some((distance, name, id)) => (distance, name, Some(id.0)),
        None => (None, None, None),
    };
    let rows = sqlx::query!(
        r#"WITH found AS (
               SELECT t.*, a.display_name,
                      CASE WHEN $2::float8 IS NOT NULL THEN distance_km(t.area_latitude, t.area_longitude, $2, $3) END AS distance
               FROM therapists t JOIN accounts a ON a.id = t.id
               WHERE t.accepting_bookings AND t.area_latitude IS NOT NULL
                 -- A degree of latitude is at least 110.5 km, and no radius is over 200 km.
                 AND ($2 IS NULL OR t.area_latitude BETWEEN $2 - 1.82 AND $2 + 1.82)
                 AND ($1::uuid IS NULL OR t.id IN (SELECT therapist_id FROM offers WHERE service_id = $1))
                 AND t.id IN (SELECT therapist_id FROM offers)
                 AND ($4::text IS NULL OR $4 = ANY (t.techniques))
                 AND ($5::text IS NULL OR $5 = ANY (t.conditions))
                 AND ($6::text IS NULL OR t.gender = $6)
                 AND ($7::text IS NULL OR $7 = ANY (t.languages))
                 AND ($8::uuid IS NULL OR t.id = $8)
                 AND NOT EXISTS (SELECT FROM blocks b WHERE b.therapist_id = t.id AND b.client_id = $15)
           )
           SELECT id AS "id!: TherapistId", display_name AS "display_name!", bio, gender AS "gender: Gender",
                  languages AS "languages!", techniques AS "techniques!", conditions AS "conditions!",
                  area_latitude AS "area_latitude!", area_longitude AS "area_longitude!",
                  booking_mode AS "booking_mode!: BookingMode", rating_count AS "rating_count!", rating_sum AS "rating_sum!", distance
           FROM (
               SELECT * FROM found
               WHERE (distance IS NULL OR distance <= service_radius_km)
                 AND ($12::uuid IS NULL OR CASE WHEN $10::bool THEN (distance, id) > ($11, $12) ELSE (display_name, id) > ($13, $12) END)
               ORDER BY CASE WHEN $10 THEN distance END, CASE WHEN NOT $10 THEN display_name END, id
               -- In order first: licences are looked at until the page is full.
               OFFSET 0
           ) AS ordered
           WHERE may_practise_somewhere(id, $9)
           LIMIT $14"#,
        wanted.service.map(|id| id.0),
        wanted.point.map(|point| point.latitude),
        wanted.point.map(|point| point.longitude),
        wanted.technique,
        wanted.condition,
        wanted.gender as Option<Gender>,
        wanted.language,
        wanted.therapist.map(|id| id.0),
        today,
        order == Order::Distance,
        after_distance,
        after_id,
        after_name.as_ref().map(DisplayName::as_str),
        count,
        wanted.client.map(|id| id.0),
    )
    .fetch_all(db)
    .await?;
    let ids: Vec<TherapistId> = rows.iter().map(|row| row.id).collect();
    let mut offers = store::offers(db, &ids).await?;
    let found = rows.into_iter().map(|row| {
        let key = (row.distance, row.display_name.parse().ok(), row.id);
        let therapist = PublicTherapist {
            services: offers.remove(&row.id).unwrap_or_default(),
            id: row.id,
            display_name: row.display_name,
            bio: row.bio,
            gender: row.gender,
            languages: row.languages,
            techniques: row.techniques,
            conditions: row.conditions,
            booking_mode: row.booking_mode,
            rating: Rating::of(row.rating_count, row.rating_sum),
            area: Area { latitude: row.area_latitude, longitude: row.area_longitude },
            distance_km: row.distance.map(f64::ceil),
        };
        (therapist, key)
    });
    Ok(found.collect())
}

/// A therapist who serves a point.
#[derive(Clone, Copy, Debug)]
pub struct Nearby {
    /// The therapist.
    pub id: TherapistId,
    /// Kilometres between the therapist's area and the point.
    pub distance_km: f64,
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
}

/// The therapists who accept bookings, offer the service for so long and serve the point: nearest first, up to
/// `count`, from after `after`. Whether they may practise and are free is for the engine to say.
pub async fn reaching(
    db: &PgPool,
    wanted: Reach<'_>,
    after: Option<(f64, TherapistId)>,
    count: i64,
) -> Result<Vec<Nearby>> {
    let rows = sqlx::query!(
        r#"SELECT id, distance AS "distance!" FROM (
               SELECT t.id, t.service_radius_km, distance_km(t.area_latitude, t.area_longitude, $1, $2) AS distance
               FROM therapists t
               JOIN offers o ON o.therapist_id = t.id AND o.service_id = $3 AND o.duration_minutes = $4
               WHERE t.accepting_bookings AND t.area_latitude BETWEEN $1 - 1.82 AND $1 + 1.82
                 AND ($5::uuid IS NULL OR t.id = $5)
                 AND ($6::text IS NULL OR t.gender = $6)
                 AND ($7::text IS NULL OR $7 = ANY (t.techniques))
           ) AS near
           WHERE distance <= service_radius_km AND ($8::float8 IS NULL OR (distance, id) > ($8, $9))
           ORDER BY distance, id
           LIMIT $10"#,
        wanted.point.latitude,
        wanted.point.longitude,
        wanted.service.0,
        wanted.minutes,
        wanted.therapist.map(|id| id.0),
        wanted.gender as Option<Gender>,
        wanted.technique,
        after.map(|(distance, _)| distance),
        after.map(|(_, id)| id.0),
        count,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| Nearby { id: row.id, distance_km: row.distance }).collect())
}
