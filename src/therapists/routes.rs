use std::collections::HashSet;

use actix_web::web::Data;
use actix_web::{get, patch, put};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{
    Bio, DailyCap, Handling, MaxAdvance, MinNotice, Offers, Profile, PublicTherapist, RadiusKm, SlotInterval, store,
};
use crate::App;
use crate::auth::{As, Caller, Therapist};
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Refusal, Result, refused};
use crate::events::Event;
use crate::http::{IfMatch, Json, Path, Reply};
use crate::ids::TherapistId;
use crate::values::{
    BookingMode, DisplayName, Gender, Language, Latitude, Longitude, SlotAnchor, Slug, TravelMode, Zone, present,
};
use crate::{catalogue, prices};

/// The operations on therapists.
pub fn routes(config: &mut ServiceConfig) {
    config.service(get_own_profile).service(update_own_profile).service(get_own_services).service(replace_own_services);
    config.service(get_therapist);
}

/// Show my profile
///
/// The caller's own profile and rules.
#[utoipa::path(tag = "Therapists", operation_id = "get_own_profile", security(("bearer" = ["therapist"])),
    responses((status = 200, description = "The profile.", body = Profile)))]
#[get("/v1/therapists/me")]
async fn get_own_profile(app: Data<App>, me: As<Therapist>) -> Result<Reply> {
    Reply::ok(&store::profile(&*app.db, me.therapist()).await?)
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
    slot_anchor: Option<SlotAnchor>,
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
            slot_anchor = |anchor| anchor,
            booking_mode = |mode| mode,
            daily_cap = |cap: Option<DailyCap>| cap.map(|DailyCap(visits)| visits),
            accepting_bookings = |accepting| accepting,
        }
        Ok(profile)
    }
}

/// The fields in which two profiles differ, by name: what stands in them tells of a person.
fn changed(before: &Profile, after: &Profile) -> Vec<String> {
    let (before, after) = (json!(before), json!(after));
    let fields = after.as_object().into_iter().flatten();
    fields.filter(|(name, value)| before[name] != **value).map(|(name, _)| name.clone()).collect()
}

/// Change my profile
///
/// Changes the caller's profile and rules. Visits that are booked already stay as they are.
#[utoipa::path(tag = "Therapists", operation_id = "update_own_profile", security(("bearer" = ["therapist"])),
    params(("If-Match" = String, Header, description = "The ETag of the profile as it was read.")),
    request_body = ProfilePatch,
    responses((status = 200, description = "The profile as it is now.", body = Profile)),
    extensions(("x-refusals" = json!(refused![AccountClosing]))))]
#[patch("/v1/therapists/me")]
async fn update_own_profile(
    app: Data<App>,
    me: As<Therapist>,
    if_match: IfMatch,
    Json(patch, _): Json<ProfilePatch>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        work.lock_time(me.therapist()).await?;
        let current = store::lock(&mut work, me.therapist()).await?;
        if_match.check(&current)?;
        let profile = patch.apply(current.clone())?;
        if profile.accepting_bookings && me.principal.is_closing {
            return Err(Refusal::AccountClosing.into());
        }
        catalogue::refuse_unknown_tags(&mut work, &profile.techniques, &profile.conditions).await?;
        store::update(&mut work, &profile).await?;
        let changed = changed(&current, &profile);
        if !changed.is_empty() {
            let details = json!({ "changed": changed });
            work.announce(Event::new("therapist.update", "therapist", profile.id).about(profile.id).with(details))
                .await?;
        }
        work.commit().await?;
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
    let services = store::offers(&*app.db, &[me.therapist()]).await?.remove(&me.therapist()).unwrap_or_default();
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
    uninterrupted(async move {
        let pairs: Vec<_> = offers.services.iter().map(|offer| (offer.service_id, offer.durations.clone())).collect();
        let mut work = app.begin(Some(me.account())).await?;
        prices::refuse_unknown_offers(&mut work, &pairs).await?;
        let offers = tidy(offers)?;
        work.lock_time(me.therapist()).await?;
        let services = store::offers(&mut **work, &[me.therapist()]).await?.remove(&me.therapist()).unwrap_or_default();
        if_match.check(&Offers { services })?;
        store::replace_offers(&mut work, me.therapist(), &offers).await?;
        let details = json!({ "services": offers.services.iter().map(|offer| offer.service_id).collect::<Vec<_>>() });
        let id = me.therapist();
        work.announce(Event::new("therapist.offers", "therapist", id).about(id).with(details)).await?;
        work.commit().await?;
        Reply::ok(&offers)
    })
    .await
}

/// Show a therapist
///
/// The public profile of a therapist that can be booked. The therapist and staff see it also while nobody else does: `bookable` is then
/// false.
#[utoipa::path(tag = "Therapists", operation_id = "get_therapist", security((), ("bearer" = ["client", "therapist", "admin"]), ("api_key" = ["slots:read"])),
    params(("id" = TherapistId, Path, description = "The therapist.")),
    responses((status = 200, description = "The therapist.", body = PublicTherapist)))]
#[get("/v1/therapists/{id}")]
async fn get_therapist(app: Data<App>, Caller(caller): Caller, Path(id): Path<TherapistId>) -> Result<Reply> {
    let mut db = app.db.acquire().await?;
    let therapist = match store::one(&mut db, id, app.clock.now()).await? {
        None if store::is_insider(caller, id) => store::preview(&mut db, id).await?,
        therapist => therapist,
    };
    Reply::ok(&therapist.ok_or(Error::NotFound)?)
}
