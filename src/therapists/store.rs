use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::future::BoxFuture;
use sqlx::PgConnection;

use super::{Area, Offer, Offers, Profile, PublicTherapist};
use crate::auth::Principal;
use crate::db::Tx;
use crate::error::Result;
use crate::events::{Effect, Event, Work};
use crate::ids::{AccountId, TherapistId};
use crate::values::{BookingMode, Gender, Grant, Point, Rating, SlotAnchor, TravelMode, Zone};

/// A therapist's account comes with a profile.
pub const PROFILE: Effect =
    Effect { what: "a therapist gets a profile to fill in", on: &["account.create"], run: make_profile };

fn make_profile<'a>(work: &'a mut Work, event: &'a Event) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        if let Some(id) = event.therapist {
            sqlx::query!("INSERT INTO therapists (id) VALUES ($1)", id.0).execute(&mut ***work).await?;
        }
        Ok(())
    })
}

macro_rules! profiles {
    ($tail:literal, $($arg:expr),+) => {
        sqlx::query_as!(
            Profile,
            r#"SELECT t.id, a.display_name, t.bio, t.gender AS "gender: Gender", t.languages, t.techniques, t.conditions,
                      t.base_latitude, t.base_longitude, t.service_radius_km, t.travel_mode AS "travel_mode: TravelMode",
                      a.time_zone AS "time_zone: Zone", t.min_notice_minutes, t.max_advance_days, t.setup_minutes,
                      t.packup_minutes, t.slot_interval_minutes, t.slot_anchor AS "slot_anchor: SlotAnchor", t.booking_mode AS "booking_mode: BookingMode",
                      t.daily_cap, t.accepting_bookings
               FROM therapists t JOIN accounts a ON a.id = t.id "# + $tail,
            $($arg),+
        )
    };
}

/// The therapist's gender, where they tell it.
pub async fn gender<'c>(db: impl sqlx::PgExecutor<'c>, id: TherapistId) -> Result<Option<Gender>> {
    let gender = sqlx::query_scalar!(r#"SELECT gender AS "gender: Gender" FROM therapists WHERE id = $1"#, id.0)
        .fetch_optional(db)
        .await?;
    Ok(gender.flatten())
}

/// What the therapist says of themselves and their work.
pub async fn profile<'c>(db: impl sqlx::PgExecutor<'c>, id: TherapistId) -> Result<Profile> {
    Ok(profiles!("WHERE t.id = $1", id.0).fetch_one(db).await?)
}

/// The profile, locked until the transaction ends.
pub(super) async fn lock(tx: &mut Tx, id: TherapistId) -> Result<Profile> {
    Ok(profiles!("WHERE t.id = $1 FOR NO KEY UPDATE", id.0).fetch_one(&mut **tx).await?)
}

pub(super) async fn update(tx: &mut Tx, profile: &Profile) -> Result<()> {
    sqlx::query!(
        "UPDATE therapists SET bio = $2, gender = $3, languages = $4, techniques = $5, conditions = $6,
                base_latitude = $7, base_longitude = $8, service_radius_km = $9, travel_mode = $10,
                min_notice_minutes = $11, max_advance_days = $12, setup_minutes = $13, packup_minutes = $14,
                slot_interval_minutes = $15, booking_mode = $16, daily_cap = $17, accepting_bookings = $18,
                slot_anchor = $19
         WHERE id = $1",
        profile.id.0,
        profile.bio,
        profile.gender as Option<Gender>,
        &profile.languages,
        &profile.techniques,
        &profile.conditions,
        profile.base_latitude,
        profile.base_longitude,
        profile.service_radius_km,
        profile.travel_mode as TravelMode,
        profile.min_notice_minutes,
        profile.max_advance_days,
        profile.setup_minutes,
        profile.packup_minutes,
        profile.slot_interval_minutes,
        profile.booking_mode as BookingMode,
        profile.daily_cap,
        profile.accepting_bookings,
        profile.slot_anchor as SlotAnchor,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "UPDATE accounts SET display_name = $2, time_zone = $3 WHERE id = $1",
        profile.id.0,
        profile.display_name,
        profile.time_zone as Zone
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What each of these therapists offers.
pub(super) async fn offers<'c>(
    db: impl sqlx::PgExecutor<'c>,
    ids: &[TherapistId],
) -> Result<HashMap<TherapistId, Vec<Offer>>> {
    let rows = sqlx::query!(
        r#"SELECT therapist_id, service_id, array_agg(duration_minutes ORDER BY duration_minutes) AS "durations!"
           FROM offers WHERE therapist_id = ANY ($1) GROUP BY therapist_id, service_id ORDER BY therapist_id, service_id"#,
        ids as &[TherapistId]
    )
    .fetch_all(db)
    .await?;
    let mut offers: HashMap<_, Vec<_>> = HashMap::new();
    for row in rows {
        let offer = Offer { service_id: row.service_id, durations: row.durations };
        offers.entry(row.therapist_id).or_default().push(offer);
    }
    Ok(offers)
}

/// What one therapist offers.
pub async fn offers_of(tx: &mut Tx, id: TherapistId) -> Result<Vec<Offer>> {
    Ok(offers(&mut **tx, &[id]).await?.remove(&id).unwrap_or_default())
}

/// The columns of what is shown of a therapist.
macro_rules! shown {
    ($tail:literal, $($arg:expr),+) => {
        sqlx::query_as!(
            Shown,
            r#"SELECT t.id, a.display_name, t.bio, t.gender AS "gender: Gender", t.languages, t.techniques, t.conditions,
                      t.area_latitude, t.area_longitude, t.booking_mode AS "booking_mode: BookingMode", t.rating_count, t.rating_sum
               FROM therapists t JOIN accounts a ON a.id = t.id "# + $tail,
            $($arg),+
        )
    };
}

struct Shown {
    id: TherapistId,
    display_name: String,
    bio: Option<String>,
    gender: Option<Gender>,
    languages: Vec<String>,
    techniques: Vec<String>,
    conditions: Vec<String>,
    area_latitude: Option<f64>,
    area_longitude: Option<f64>,
    booking_mode: BookingMode,
    rating_count: i32,
    rating_sum: i32,
}

impl Shown {
    fn with(self, services: Vec<Offer>, bookable: bool) -> PublicTherapist {
        let area = self.area_latitude.zip(self.area_longitude);
        PublicTherapist {
            services,
            id: self.id,
            display_name: self.display_name,
            bio: self.bio,
            gender: self.gender,
            languages: self.languages,
            techniques: self.techniques,
            conditions: self.conditions,
            booking_mode: self.booking_mode,
            rating: Rating::of(self.rating_count, self.rating_sum),
            area: area.map(|(latitude, longitude)| Area { latitude, longitude }),
            distance_km: None,
            bookable,
        }
    }
}

/// The public profiles of those who accept bookings, may practise somewhere on `today`, and are not at odds with `client`; in no
/// order, without a distance.
pub async fn public(
    db: &mut PgConnection,
    ids: &[TherapistId],
    client: Option<AccountId>,
    today: NaiveDate,
) -> Result<Vec<PublicTherapist>> {
    let rows = shown!(
        "WHERE t.id = ANY ($1) AND t.accepting_bookings AND t.area_latitude IS NOT NULL AND may_practise_somewhere(t.id, $2)
           AND NOT EXISTS (SELECT FROM blocks b WHERE b.therapist_id = t.id AND b.client_id = $3)",
        ids as &[TherapistId],
        today,
        client.map(|id| id.0)
    )
    .fetch_all(&mut *db)
    .await?;
    let mut offers = offers(db, ids).await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let services = offers.remove(&row.id).unwrap_or_default();
            row.with(services, true)
        })
        .collect())
}

/// What would be shown of a therapist, whether or not they can be booked; none where there is no such therapist.
pub(super) async fn preview(db: &mut PgConnection, id: TherapistId) -> Result<Option<PublicTherapist>> {
    let row = shown!("WHERE t.id = $1", id.0).fetch_optional(&mut *db).await?;
    let services = offers(db, &[id]).await?.remove(&id).unwrap_or_default();
    Ok(row.map(|row| row.with(services, false)))
}

/// The therapist, if they can be booked.
pub async fn one(db: &mut PgConnection, id: TherapistId, now: DateTime<Utc>) -> Result<Option<PublicTherapist>> {
    let found = public(db, &[id], None, now.date_naive()).await?.pop();
    Ok(found.filter(|therapist| !therapist.services.is_empty()))
}

/// Whether `caller` is the therapist, or staff: they see also who cannot be booked.
pub(super) fn is_insider(caller: Option<Principal>, id: TherapistId) -> bool {
    caller.is_some_and(|caller| caller.may_any(&[Grant::Verifier, Grant::Support]) || caller.account == id.into())
}

/// Whether `caller` may see what is told of a therapist: whoever can be booked is shown to everyone, anyone to themself and to admins.
pub async fn is_shown(
    db: &mut PgConnection,
    id: TherapistId,
    caller: Option<Principal>,
    now: DateTime<Utc>,
) -> Result<bool> {
    if is_insider(caller, id) { exists(db, id).await } else { Ok(one(db, id, now).await?.is_some()) }
}

pub(super) async fn replace_offers(tx: &mut Tx, id: TherapistId, offers: &Offers) -> Result<()> {
    let pairs =
        offers.services.iter().flat_map(|offer| offer.durations.iter().map(|minutes| (offer.service_id.0, *minutes)));
    let (services, durations): (Vec<_>, Vec<_>) = pairs.unzip();
    sqlx::query!("DELETE FROM offers WHERE therapist_id = $1", id.0).execute(&mut **tx).await?;
    sqlx::query!(
        "INSERT INTO offers (therapist_id, service_id, duration_minutes)
         SELECT $1, service_id, duration_minutes FROM unnest($2::uuid[], $3::int2[]) AS o (service_id, duration_minutes)",
        id.0,
        &services,
        &durations
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The public area around a therapist's base, where they have told one; none where there is no such therapist.
pub async fn area<'c>(db: impl sqlx::PgExecutor<'c>, id: TherapistId) -> Result<Option<Option<Point>>> {
    let row = sqlx::query!("SELECT area_latitude, area_longitude FROM therapists WHERE id = $1", id.0)
        .fetch_optional(db)
        .await?;
    Ok(row.map(|row| {
        let area = row.area_latitude.zip(row.area_longitude);
        area.map(|(latitude, longitude)| Point { latitude, longitude })
    }))
}

/// Whether there is such a therapist.
pub async fn exists<'c>(db: impl sqlx::PgExecutor<'c>, id: TherapistId) -> Result<bool> {
    let found = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM therapists WHERE id = $1) AS "found!""#, id.0)
        .fetch_one(db)
        .await?;
    Ok(found)
}

/// Whether a booking needs the therapist's yes.
pub async fn booking_mode<'c>(db: impl sqlx::PgExecutor<'c>, id: TherapistId) -> Result<BookingMode> {
    let mode = sqlx::query_scalar!(r#"SELECT booking_mode AS "mode: BookingMode" FROM therapists WHERE id = $1"#, id.0)
        .fetch_one(db)
        .await?;
    Ok(mode)
}

/// Adds `count` ratings that make `sum` to those of a therapist; takes them away where both are negative.
pub async fn rate(tx: &mut Tx, id: TherapistId, count: i32, sum: i32) -> Result<()> {
    sqlx::query!(
        "UPDATE therapists SET rating_count = rating_count + $2, rating_sum = rating_sum + $3 WHERE id = $1",
        id.0,
        count,
        sum
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
