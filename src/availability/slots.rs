//! The slots that clients choose from: the engine's word for every therapist near a place.

use actix_web::get;
use actix_web::web::Data;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::calendar::dates;
use super::explain::RefusedStart;
use super::search::Search;
use super::travel::TravelMinutes;
use super::{GivenPlace, Setting, Start, explain};
use crate::App;
use crate::accounts;
use crate::auth::Caller;
use crate::error::{FieldError, Result};
use crate::http::{Cursor, Limit, Query, Reply};
use crate::ids::{AccountId, AddressId, ServiceId, TherapistId};
use crate::therapists::{Gender, Reach};
use crate::values::{Country, Day, Latitude, Longitude, Money, Slug, Zone};

/// The operation on slots.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list_slots);
}

/// The most days that one request may ask for.
const MOST_DAYS: i64 = 14;

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
    /// Also lists each start on the grid that is not offered, with every rule that refuses it. With `therapist_id` alone, for that
    /// therapist and for admins.
    #[serde(default)]
    explain: bool,
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
    /// The travel that it leaves room for.
    pub travel_minutes: TravelMinutes,
}

impl Slot {
    fn new(Start { at, travel }: Start, length: TimeDelta) -> Self {
        Self { start_at: at, end_at: at + length, travel_minutes: travel }
    }
}

/// Who offers the slots.
#[derive(Debug, Serialize, ToSchema)]
struct SlotTherapist {
    /// The therapist's id.
    id: TherapistId,
    /// The name that clients see.
    #[schema(example = "Sam Okafor")]
    display_name: String,
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
    /// With `explain`: the starts on the therapist's grid that are not offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Vec<RefusedStart>>,
}

/// The dates, if they come in order and are at most 14.
pub(super) fn at_most_two_weeks(from: Day, to: Day) -> Result<(Day, Day)> {
    match (to.0 - from.0).num_days() {
        ..0 => Err(FieldError::new("/to", "lies before `from`.").into()),
        MOST_DAYS.. => Err(FieldError::new("/to", "makes more than 14 days, both ends included.").into()),
        _ => Ok((from, to)),
    }
}

/// List slots
///
/// The times at which a visit can be booked at a place, by therapist. Every slot that is listed can be booked, until
/// someone else books it. One page looks at the 300 nearest therapists who offer the service there.
#[utoipa::path(tag = "Availability", operation_id = "list_slots",
    security((), ("bearer" = ["client", "therapist", "admin"])), params(SlotQuery),
    responses((status = 200, description = "A page of therapists with their slots.", body = SlotPage)))]
#[get("/v1/slots")]
async fn list_slots(app: Data<App>, Caller(caller): Caller, Query(query): Query<SlotQuery>) -> Result<Reply> {
    let now = app.clock.now();
    let (Day(from), Day(to)) = at_most_two_weeks(query.from, query.to)?;
    let explained = query.explain.then(|| explain::asked_of(caller, query.therapist_id)).transpose()?;
    let given = GivenPlace {
        address_id: query.address_id,
        latitude: query.latitude,
        longitude: query.longitude,
        country: query.country,
        region: query.region,
    };
    let setting = Setting::read(&app, caller, &given, query.service_id, query.duration_minutes).await?;
    let span = dates(setting.place.zone, from, to);
    let reach = Reach {
        point: setting.place.point,
        service: setting.service,
        minutes: setting.minutes,
        therapist: query.therapist_id,
        gender: query.gender,
        technique: query.technique.as_ref().map(Slug::as_str),
    };
    let visit = setting.visit();
    let search = Search { app: &app, reach, visit: &visit, span, now };
    let found = match query.sort {
        SlotOrder::Soonest | SlotOrder::Rating => search.soonest(query.limit, query.cursor).await?,
        SlotOrder::Distance => search.nearest(query.limit, query.cursor).await?,
    };
    let ids: Vec<AccountId> = found.data.iter().map(|found| found.near.id.into()).collect();
    let mut names = accounts::names(&app.db, &ids).await?;
    let length = TimeDelta::minutes(setting.minutes.into());
    let data = found.data.into_iter().map(|found| TherapistSlots {
        therapist: SlotTherapist {
            display_name: names.remove(&found.near.id.into()).unwrap_or_default(),
            id: found.near.id,
        },
        distance_km: found.near.distance_km.ceil(),
        price: setting.price,
        slots: found.starts.into_iter().map(|start| Slot::new(start, length)).collect(),
    });
    let refused = match explained {
        Some(therapist) => Some(explain::refused(&app, therapist, &setting, span, now).await?),
        None => None,
    };
    Reply::ok(&SlotPage {
        data: data.collect(),
        time_zone: setting.place.zone.into(),
        next_cursor: found.next_cursor,
        refused,
    })
}
