//! The slots that clients choose from: the engine's word for every therapist near a place.

use std::collections::HashMap;

use actix_web::get;
use actix_web::web::Data;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::calendar::dates;
use super::intervals::Span;
use super::{Asked, Diary, Engine, Visit, diaries};
use crate::App;
use crate::accounts::{self, visit_address};
use crate::auth::{Caller, Role};
use crate::catalogue;
use crate::credentials::requirements;
use crate::error::{Error, FieldError, Result};
use crate::http::{Cursor, Limit, Page, Query, Reply};
use crate::ids::{AccountId, AddressId, ServiceId, TherapistId};
use crate::reviews::Rating;
use crate::therapists::{self, Gender, Nearby, Reach};
use crate::values::{Country, Day, Instant, Latitude, Longitude, Money, Place, Slug, Zone};

/// The operation on slots.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list_slots);
}

/// The most days that one request may ask for.
const MOST_DAYS: i64 = 14;

/// How many therapists are looked at in one page, nearest first: what a request costs does not grow with the city.
const MOST_CANDIDATES: i64 = 300;

/// How many are looked at in one go, at the least.
const FEWEST_CANDIDATES: i64 = 50;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SlotQuery {
    /// What is booked.
    service_id: ServiceId,
    /// Minutes on the table.
    #[param(minimum = 15, maximum = 240, example = 60)]
    duration_minutes: i16,
    /// The first date, in the zone of the place.
    #[param(inline)]
    from: Day,
    /// The last date, included; at most 14 days.
    #[param(inline)]
    to: Day,
    /// One of the caller's addresses; else `latitude`, `longitude`, `country` and `region`.
    address_id: Option<AddressId>,
    /// Where the visit is.
    #[param(inline)]
    latitude: Option<Latitude>,
    /// Where the visit is.
    #[param(inline)]
    longitude: Option<Longitude>,
    /// Where the visit is (ISO 3166-1 alpha-2).
    #[param(inline)]
    country: Option<Country>,
    /// The region's code within the country (ISO 3166-2).
    #[param(max_length = 10, example = "NSW")]
    region: Option<String>,
    /// This therapist alone.
    therapist_id: Option<TherapistId>,
    /// Of this gender.
    #[param(inline)]
    gender: Option<Gender>,
    /// Who works with this technique.
    #[param(inline)]
    technique: Option<Slug>,
    /// The order of the therapists.
    #[serde(default)]
    #[param(inline, value_type = Option<SlotOrder>)]
    sort: SlotOrder,
    /// Therapists on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// The order of the therapists in a list of slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SlotOrder {
    /// Whoever can come first.
    #[default]
    Soonest,
    /// Whoever is nearest.
    Distance,
    /// Whoever is rated best. There are no reviews yet, so that all are alike, and the order is that of `soonest`.
    Rating,
}

/// A time at which a visit can be booked.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Slot {
    /// When the time on the table begins.
    pub start_at: DateTime<Utc>,
    /// When it ends.
    pub end_at: DateTime<Utc>,
}

/// Who offers the slots.
#[derive(Debug, Serialize, ToSchema)]
struct SlotTherapist {
    /// The therapist's id.
    id: TherapistId,
    /// The name that clients see.
    #[schema(example = "Sam Okafor")]
    display_name: String,
    /// How clients rate the therapist.
    rating: Rating,
}

/// A therapist's slots.
#[derive(Debug, Serialize, ToSchema)]
struct TherapistSlots {
    /// Who offers them.
    therapist: SlotTherapist,
    /// Kilometres from the therapist's public area, rounded up.
    #[schema(example = 4)]
    distance_km: f64,
    /// What the visit costs.
    price: Money,
    /// Soonest first.
    slots: Vec<Slot>,
}

/// A page of therapists with their slots.
#[derive(Debug, Serialize, ToSchema)]
struct SlotPage {
    /// Therapists with at least one slot.
    data: Vec<TherapistSlots>,
    /// The zone of the place, in which the dates of the request are meant.
    time_zone: Zone,
    /// Where the next page begins; null on the last one.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<Cursor>,
}

/// List slots
///
/// The times at which a visit can be booked at a place, by therapist. Every slot that is listed can be booked, until
/// someone else books it. A client who is signed in sees nobody whom they block, or who blocks them. One page looks at the 300 nearest therapists who offer the service there.
#[utoipa::path(tag = "Availability", operation_id = "list_slots", security((), ("bearer" = ["client"])), params(SlotQuery),
    responses((status = 200, description = "A page of therapists with their slots.", body = SlotPage)))]
#[get("/v1/slots")]
async fn list_slots(app: Data<App>, Caller(caller): Caller, Query(query): Query<SlotQuery>) -> Result<Reply> {
    let now = app.clock.now();
    let (Day(from), Day(to)) = (query.from, query.to);
    match (to - from).num_days() {
        ..0 => return Err(FieldError::new("/to", "lies before `from`.").into()),
        MOST_DAYS.. => return Err(FieldError::new("/to", "makes more than 14 days, both ends included.").into()),
        _ => {}
    }
    let client = match (query.address_id, caller) {
        (None, _) => None,
        (Some(_), None) => return Err(Error::Unauthorized),
        (Some(_), Some(caller)) if caller.role != Role::Client => return Err(Error::Forbidden),
        (Some(address), Some(caller)) => Some((caller.account, address)),
    };
    let by_point =
        query.latitude.is_some() || query.longitude.is_some() || query.country.is_some() || query.region.is_some();
    if client.is_some() && by_point {
        return Err(FieldError::new("/address_id", "stands instead of coordinates, country and region.").into());
    }
    let place = match client {
        Some((client, address)) => {
            let found = visit_address(&app.db, client, address).await?;
            let address = found.ok_or_else(|| FieldError::new("/address_id", "is not one of your addresses."))?;
            Place { point: address.point(), zone: address.time_zone.0, jurisdiction: address.jurisdiction }
        }
        None => place(&query)?,
    };
    let kind = catalogue::kind_of(&app.db, query.service_id).await?;
    let kind = kind.ok_or_else(|| FieldError::new("/service_id", "is not in the catalogue."))?;
    let minutes = query.duration_minutes;
    let price = catalogue::price(&app.db, query.service_id, minutes, place.jurisdiction.country()).await?;
    let Some(price) = price else {
        return Err(
            FieldError::new("/duration_minutes", "is not a duration that this service is sold for here.").into()
        );
    };
    let required = requirements(&app.db, &place.jurisdiction, place.point, &kind).await?;
    let visit =
        Visit { place: place.point, zone: place.zone, minutes: minutes.into(), required: &required, except: None };
    let span = dates(place.zone, from, to);
    let reach = Reach {
        point: place.point,
        service: query.service_id,
        minutes,
        therapist: query.therapist_id,
        gender: query.gender,
        technique: query.technique.as_ref().map(Slug::as_str),
    };
    let client = caller.filter(|caller| caller.role == Role::Client).map(|caller| caller.account);
    let search = Search { app: &app, reach, visit: &visit, span, now, client };
    let found = match query.sort {
        SlotOrder::Soonest | SlotOrder::Rating => search.soonest(query.limit, query.cursor).await?,
        SlotOrder::Distance => search.nearest(query.limit, query.cursor).await?,
    };
    let ids: Vec<TherapistId> = found.data.iter().map(|found| found.near.id).collect();
    let ratings = therapists::ratings(&app.db, &ids).await?;
    let ids: Vec<AccountId> = ids.into_iter().map(AccountId::from).collect();
    let mut names = accounts::names(&app.db, &ids).await?;
    let length = TimeDelta::minutes(minutes.into());
    let data = found.data.into_iter().map(|found| TherapistSlots {
        therapist: SlotTherapist {
            display_name: names.remove(&found.near.id.into()).unwrap_or_default(),
            rating: ratings.get(&found.near.id).copied().unwrap_or_default(),
            id: found.near.id,
        },
        distance_km: found.near.distance_km.ceil(),
        price,
        slots: found.starts.into_iter().map(|start| Slot { start_at: start, end_at: start + length }).collect(),
    });
    Reply::ok(&SlotPage { data: data.collect(), time_zone: place.zone.into(), next_cursor: found.next_cursor })
}

/// The place that the query gives by its coordinates.
fn place(query: &SlotQuery) -> Result<Place> {
    let missing = |name: &str| FieldError::new(format!("/{name}"), "is needed where no `address_id` is given.");
    let latitude = query.latitude.ok_or_else(|| missing("latitude"))?;
    let longitude = query.longitude.ok_or_else(|| missing("longitude"))?;
    let country = query.country.as_ref().ok_or_else(|| missing("country"))?;
    let region = query.region.as_deref().ok_or_else(|| missing("region"))?;
    Ok(Place::new((latitude, longitude).into(), country, region)?)
}

/// A therapist with at least one start.
struct Found {
    near: Nearby,
    starts: Vec<DateTime<Utc>>,
}

/// What is looked for: a visit, within a stretch of time, with whoever reaches its place.
struct Search<'a> {
    app: &'a App,
    reach: Reach<'a>,
    visit: &'a Visit<'a>,
    span: Span,
    now: DateTime<Utc>,
    /// Who asks, if a client does.
    client: Option<AccountId>,
}

impl Search<'_> {
    /// The starts of those of `near` who have any, in the same order.
    async fn starts(&self, near: Vec<Nearby>) -> Result<Vec<Found>> {
        let ids: Vec<TherapistId> = near.iter().map(|near| near.id).collect();
        let asked = Asked { service: self.reach.service, minutes: self.reach.minutes, client: self.client };
        let diaries = diaries(&self.app.db, &ids, asked, self.span, self.now).await?;
        let diaries: HashMap<TherapistId, Diary> = diaries.into_iter().map(|diary| (diary.therapist, diary)).collect();
        let found = near.into_iter().filter_map(|near| {
            let engine = Engine::new(diaries.get(&near.id)?, self.visit, self.span, self.now);
            let starts = engine.starts(self.span);
            (!starts.is_empty()).then_some(Found { near, starts })
        });
        Ok(found.collect())
    }

    async fn soonest(&self, limit: Limit, cursor: Option<Cursor>) -> Result<Page<Found>> {
        let near = therapists::reaching(&self.app.db, self.reach, None, MOST_CANDIDATES).await?;
        let mut found = self.starts(near).await?;
        let key = |found: &Found| (Instant(found.starts[0]), found.near.id);
        found.sort_by_key(key);
        if let Some(after) = cursor.map(|cursor| cursor.key()).transpose()? {
            found.retain(|found| key(found) > after);
        }
        Page::cut(found, limit, key)
    }

    async fn nearest(&self, limit: Limit, cursor: Option<Cursor>) -> Result<Page<Found>> {
        let key = |near: &Nearby| (near.distance_km, near.id);
        let mut after = cursor.map(|cursor| cursor.key()).transpose()?;
        let mut found: Vec<Found> = Vec::new();
        // Nearest first and hardly further than the page needs, in few statements for a short page too.
        let batch = (limit.probe() * 2).max(FEWEST_CANDIDATES);
        for _ in 0..MOST_CANDIDATES / batch {
            let near = therapists::reaching(&self.app.db, self.reach, after, batch).await?;
            let last = i64::try_from(near.len()).unwrap_or(0) < batch;
            after = if last { None } else { near.last().map(key) };
            found.extend(self.starts(near).await?);
            if last || found.len() > limit.get() {
                break;
            }
        }
        let page = Page::cut(found, limit, |found| key(&found.near))?;
        // A page that looked at its share of therapists without filling up goes on from the last of them.
        let next_cursor = match (page.next_cursor, after) {
            (None, Some(after)) => Some(Cursor::after(&after)?),
            (cursor, _) => cursor,
        };
        Ok(Page { next_cursor, ..page })
    }
}
