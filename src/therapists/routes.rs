use std::collections::HashSet;
use std::sync::Arc;

use actix_web::web::Data;
use actix_web::{get, patch, put};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::list::{self, Order};
use super::search::Wanted;
use super::{
    Bio, DailyCap, Handling, MaxAdvance, MinNotice, Offers, Profile, PublicTherapist, RadiusKm, SlotInterval, store,
};
use crate::App;
use crate::auth::{As, Caller, Principal, Therapist};
use crate::availability;
use crate::db::work;
use crate::error::{Error, FieldError, Result};
use crate::http::{Cursor, IfMatch, Json, Limit, Origin, Page, Path, Query, Reply};
use crate::ids::{ServiceId, TherapistId};
use crate::values::{
    BookingMode, Day, DisplayName, Gender, Language, Latitude, Longitude, Point, Slug, TravelMode, Zone, dates_between,
    present,
};
use crate::{catalogue, prices};

/// The operations on therapists.
pub fn routes(config: &mut ServiceConfig) {
    config.service(get_own_profile).service(update_own_profile).service(get_own_services).service(replace_own_services);
    config.service(list_therapists).service(get_therapist);
}

/// Show my profile
///
/// The caller's own profile and rules.
#[utoipa::path(tag = "Therapists", operation_id = "get_own_profile", security(("bearer" = ["therapist"])),
    responses((status = 200, description = "The profile.", body = Profile)))]
#[get("/v1/therapists/me")]
async fn get_own_profile(app: Data<App>, me: As<Therapist>) -> Result<Reply> {
    Reply::ok(&store::profile(&app.db, me.therapist()).await?)
}

/// What to change; what is left out stays, null empties an optional field.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProfilePatch {
    display_name: Option<DisplayName>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Bio>)]
    bio: Option<Option<Bio>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Gender>)]
    gender: Option<Option<Gender>>,
    #[schema(max_items = 20)]
    languages: Option<Vec<Language>>,
    #[schema(max_items = 50)]
    techniques: Option<Vec<Slug>>,
    #[schema(max_items = 50)]
    conditions: Option<Vec<Slug>>,
    /// Only together with `base_longitude`.
    base_latitude: Option<Latitude>,
    /// Only together with `base_latitude`.
    base_longitude: Option<Longitude>,
    service_radius_km: Option<RadiusKm>,
    travel_mode: Option<TravelMode>,
    time_zone: Option<Zone>,
    min_notice_minutes: Option<MinNotice>,
    max_advance_days: Option<MaxAdvance>,
    setup_minutes: Option<Handling>,
    packup_minutes: Option<Handling>,
    slot_interval_minutes: Option<SlotInterval>,
    booking_mode: Option<BookingMode>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<DailyCap>)]
    daily_cap: Option<Option<DailyCap>>,
    accepting_bookings: Option<bool>,
}

/// The texts of a list that must be short enough; repeats are dropped.
fn list(field: &str, most: usize, values: impl Iterator<Item = String>) -> Result<Vec<String>> {
    let mut seen = HashSet::new();
    let unique: Vec<String> = values.filter(|value| seen.insert(value.clone())).collect();
    if unique.len() > most {
        return Err(FieldError::new(format!("/{field}"), format!("holds at most {most} entries.")).into());
    }
    Ok(unique)
}

impl ProfilePatch {
    fn apply(self, mut profile: Profile) -> Result<Profile> {
        macro_rules! set {
            ($($field:ident = $value:expr),+ $(,)?) => {$(if let Some(value) = self.$field { profile.$field = $value(value); })+};
        }
        match (self.base_latitude, self.base_longitude) {
            (Some(Latitude(latitude)), Some(Longitude(longitude))) => {
                (profile.base_latitude, profile.base_longitude) = (Some(latitude), Some(longitude));
            }
            (None, None) => {}
            (Some(_), None) => return Err(FieldError::new("/base_longitude", "goes with `base_latitude`.").into()),
            (None, Some(_)) => return Err(FieldError::new("/base_latitude", "goes with `base_longitude`.").into()),
        }
        if let Some(languages) = self.languages {
            profile.languages = list("languages", 20, languages.iter().map(|tag| tag.as_str().to_owned()))?;
        }
        if let Some(techniques) = self.techniques {
            profile.techniques = list("techniques", 50, techniques.iter().map(|tag| tag.as_str().to_owned()))?;
        }
        if let Some(conditions) = self.conditions {
            profile.conditions = list("conditions", 50, conditions.iter().map(|tag| tag.as_str().to_owned()))?;
        }
        set! {
            display_name = |name: DisplayName| name.as_str().to_owned(),
            bio = |bio: Option<Bio>| bio.map(|bio| bio.as_str().to_owned()),
            gender = |gender| gender,
            service_radius_km = |RadiusKm(km)| km,
            travel_mode = |mode| mode,
            time_zone = |zone| zone,
            min_notice_minutes = |MinNotice(minutes)| minutes,
            max_advance_days = |MaxAdvance(days)| days,
            setup_minutes = |Handling(minutes)| minutes,
            packup_minutes = |Handling(minutes)| minutes,
            slot_interval_minutes = |SlotInterval(minutes)| minutes,
            booking_mode = |mode| mode,
            daily_cap = |cap: Option<DailyCap>| cap.map(|DailyCap(visits)| visits),
            accepting_bookings = |accepting| accepting,
        }
        Ok(profile)
    }
}

/// Change my profile
///
/// Changes the caller's profile and rules. Visits that are booked already stay as they are.
#[utoipa::path(tag = "Therapists", operation_id = "update_own_profile", security(("bearer" = ["therapist"])),
    params(("If-Match" = String, Header, description = "The ETag of the profile as it was read.")),
    request_body = ProfilePatch,
    responses((status = 200, description = "The profile as it is now.", body = Profile)))]
#[patch("/v1/therapists/me")]
async fn update_own_profile(
    app: Data<App>,
    me: As<Therapist>,
    if_match: IfMatch,
    Json(patch, _): Json<ProfilePatch>,
) -> Result<Reply> {
    work(async move {
        let mut tx = app.db.begin().await?;
        availability::lock(&mut tx, me.therapist()).await?;
        let current = store::lock(&mut tx, me.therapist()).await?;
        if_match.check(&current)?;
        let profile = patch.apply(current)?;
        catalogue::refuse_unknown_tags(&mut tx, &profile.techniques, &profile.conditions).await?;
        store::update(&mut tx, &profile).await?;
        tx.commit().await?;
        Reply::ok(&profile)
    })
    .await
}

/// Show what I offer
///
/// The services that the caller offers.
#[utoipa::path(tag = "Therapists", operation_id = "get_own_services", security(("bearer" = ["therapist"])),
    responses((status = 200, description = "The offers.", body = Offers)))]
#[get("/v1/therapists/me/services")]
async fn get_own_services(app: Data<App>, me: As<Therapist>) -> Result<Reply> {
    let services = store::offers(&app.db, &[me.therapist()]).await?.remove(&me.therapist()).unwrap_or_default();
    Reply::ok(&Offers { services })
}

/// Puts the offers into their one order; each service at most once, each with a duration.
fn tidy(mut offers: Offers) -> Result<Offers> {
    if offers.services.len() > 100 {
        return Err(FieldError::new("/services", "holds at most 100 services.").into());
    }
    let mut seen = HashSet::new();
    for (i, offer) in offers.services.iter_mut().enumerate() {
        if !seen.insert(offer.service_id) {
            return Err(FieldError::new(format!("/services/{i}/service_id"), "is listed twice.").into());
        }
        offer.durations.sort_unstable();
        offer.durations.dedup();
        if !(1..=20).contains(&offer.durations.len()) {
            return Err(FieldError::new(format!("/services/{i}/durations"), "must hold 1 to 20 durations.").into());
        }
    }
    offers.services.sort_unstable_by_key(|offer| offer.service_id);
    Ok(offers)
}

/// Replace what I offer
///
/// Replaces the services that the caller offers. Visits that are booked already stay as they are.
#[utoipa::path(tag = "Therapists", operation_id = "replace_own_services", security(("bearer" = ["therapist"])),
    params(("If-Match" = String, Header, description = "The ETag of the offers as they were read.")),
    request_body = Offers,
    responses((status = 200, description = "The offers as they are now.", body = Offers)))]
#[put("/v1/therapists/me/services")]
async fn replace_own_services(
    app: Data<App>,
    me: As<Therapist>,
    if_match: IfMatch,
    Json(offers, _): Json<Offers>,
) -> Result<Reply> {
    work(async move {
        let pairs: Vec<_> = offers.services.iter().map(|offer| (offer.service_id, offer.durations.clone())).collect();
        let mut tx = app.db.begin().await?;
        prices::refuse_unknown_offers(&mut tx, &pairs).await?;
        let offers = tidy(offers)?;
        availability::lock(&mut tx, me.therapist()).await?;
        let services = store::offers(&mut *tx, &[me.therapist()]).await?.remove(&me.therapist()).unwrap_or_default();
        if_match.check(&Offers { services })?;
        store::replace_offers(&mut tx, me.therapist(), &offers).await?;
        tx.commit().await?;
        Reply::ok(&offers)
    })
    .await
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Search {
    /// Who offers this service.
    service_id: Option<ServiceId>,
    /// Who comes to this point; only together with `longitude`.
    #[param(inline)]
    latitude: Option<Latitude>,
    /// Who comes to this point; only together with `latitude`.
    #[param(inline)]
    longitude: Option<Longitude>,
    /// Who works with this technique.
    #[param(inline)]
    technique: Option<Slug>,
    /// Who has experience with this condition.
    #[param(inline)]
    condition: Option<Slug>,
    /// Of this gender.
    #[param(inline)]
    gender: Option<Gender>,
    /// Who speaks this language.
    #[param(inline)]
    language: Option<Language>,
    /// Who has time for their shortest offer of the service, on some date from this one on, by their own clock; only together with
    /// `to`.
    #[param(inline)]
    from: Option<Day>,
    /// The last such date, included; at most 14 days.
    #[param(inline)]
    to: Option<Day>,
    /// `distance` needs a point, and is the order where one is given; else `name`.
    #[param(inline)]
    sort: Option<Order>,
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// A point from its two halves; both or neither.
fn point(latitude: Option<Latitude>, longitude: Option<Longitude>) -> Result<Option<Point>> {
    match (latitude, longitude) {
        (Some(latitude), Some(longitude)) => Ok(Some((latitude, longitude).into())),
        (None, None) => Ok(None),
        (Some(_), None) => Err(FieldError::new("/longitude", "goes with `latitude`.").into()),
        (None, Some(_)) => Err(FieldError::new("/latitude", "goes with `longitude`.").into()),
    }
}

/// Find therapists
///
/// Therapists that can be booked: they accept bookings, offer something and hold what the law asks for. A page looks at about 300
/// therapists at the most, so that it may hold fewer than `limit` and still have a `next_cursor`. Whether someone has time is a
/// first answer: journeys between visits and the place's own rules are for `GET /v1/slots` to weigh.
#[utoipa::path(tag = "Therapists", operation_id = "list_therapists", security((), ("bearer" = ["client"])), params(Search),
    responses((status = 200, description = "A page of therapists.", body = Page<PublicTherapist>)))]
#[get("/v1/therapists")]
async fn list_therapists(
    app: Data<App>,
    Caller(caller): Caller,
    origin: Origin,
    Query(search): Query<Search>,
) -> Result<Reply> {
    let app = app.into_inner();
    let found = find(app.clone(), caller, search);
    app.searches.run(caller, origin, found).await.and_then(|page| Reply::ok(&page))
}

/// The page that the caller asks for.
async fn find(app: Arc<App>, caller: Option<Principal>, search: Search) -> Result<Page<PublicTherapist>> {
    let point = point(search.latitude, search.longitude)?;
    let order = search.sort.unwrap_or(if point.is_some() { Order::Distance } else { Order::Name });
    if order == Order::Distance && point.is_none() {
        return Err(FieldError::new("/sort", "`distance` needs `latitude` and `longitude`.").into());
    }
    let dates = match (search.from, search.to) {
        (Some(Day(from)), Some(Day(to))) => Some(dates_between(from, to)?),
        (None, None) => None,
        (Some(_), None) => return Err(FieldError::new("/to", "goes with `from`.").into()),
        (None, Some(_)) => return Err(FieldError::new("/from", "goes with `to`.").into()),
    };
    let wanted = Wanted {
        service: search.service_id,
        minutes: None,
        point,
        technique: search.technique.as_ref().map(Slug::as_str),
        condition: search.condition.as_ref().map(Slug::as_str),
        gender: search.gender,
        language: search.language.as_ref().map(Language::as_str),
        therapist: None,
        free: dates.map(list::stretch),
        client: caller.and_then(Principal::client),
    };
    let mut db = app.db.acquire().await?;
    list::page(&mut db, wanted, order, dates, search.limit, search.cursor, app.clock.now()).await
}

/// Show a therapist
///
/// The public profile of a therapist that can be booked.
#[utoipa::path(tag = "Therapists", operation_id = "get_therapist",
    params(("id" = TherapistId, Path, description = "The therapist.")),
    responses((status = 200, description = "The therapist.", body = PublicTherapist)))]
#[get("/v1/therapists/{id}")]
async fn get_therapist(app: Data<App>, _caller: Caller, Path(id): Path<TherapistId>) -> Result<Reply> {
    let therapist = list::one(&mut *app.db.acquire().await?, id, app.clock.now()).await?.ok_or(Error::NotFound)?;
    Reply::ok(&therapist)
}
