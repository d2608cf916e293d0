//! The list of therapists: a page of those who can be booked.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::get;
use actix_web::web::Data;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::candidates::{Batch, Criteria, at_a_time, best_anywhere, best_near, by_name, nearest};
use crate::App;
use crate::auth::{Caller, Principal};
use crate::availability::hints;
use crate::catalogue::refuse_unknown_filters;
use crate::error::{FieldError, Result};
use crate::http::{Cursor, Limit, Origin, Page, Query, Reply};
use crate::ids::{ServiceId, TherapistId};
use crate::search::Searches;
use crate::therapists::{self, PublicTherapist};
use crate::values::{Day, DisplayName, Gender, Language, Latitude, Longitude, Point, Slug, Span, dates_between};

/// The operation on the list of therapists.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_therapists);
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TherapistQuery {
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
#[utoipa::path(tag = "Therapists", operation_id = "list_therapists", security((), ("bearer" = ["client"]), ("api_key" = ["slots:read"])), params(TherapistQuery),
    responses((status = 200, description = "A page of therapists.", body = Page<PublicTherapist>)))]
#[get("/v1/therapists")]
async fn list_therapists(
    app: Data<App>,
    Caller(caller): Caller,
    origin: Origin,
    Query(search): Query<TherapistQuery>,
) -> Result<Reply> {
    let app = app.into_inner();
    let found = find(app.clone(), caller, search);
    app.part::<Searches>()?.run(caller, origin, found).await.and_then(|page| Reply::ok(&page))
}

/// The page that the caller asks for.
async fn find(app: Arc<App>, caller: Option<Principal>, search: TherapistQuery) -> Result<Page<PublicTherapist>> {
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
    let wanted = Criteria {
        service: search.service_id,
        minutes: None,
        point,
        technique: search.technique.as_ref().map(Slug::as_str),
        condition: search.condition.as_ref().map(Slug::as_str),
        gender: search.gender,
        language: search.language.as_ref().map(Language::as_str),
        therapist: None,
        free: dates.map(stretch),
        client: caller.and_then(Principal::client),
    };
    let mut db = app.db.acquire().await?;
    let Criteria { service, .. } = wanted;
    refuse_unknown_filters(&mut *db, service, search.technique.as_ref(), search.condition.as_ref()).await?;
    page(&mut db, wanted, order, dates, search.limit, search.cursor, app.clock.now()).await
}

/// How a list of therapists is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// Nearest to the point first.
    Distance,
    /// By name.
    Name,
    /// The best rated first: by the mean of their ratings and five more of four stars.
    Rating,
}

/// Where a page begins: after this distance or score, or this name, and this id.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct After(Option<f64>, Option<DisplayName>, TherapistId);

impl From<(f64, TherapistId)> for After {
    fn from((key, id): (f64, TherapistId)) -> Self {
        Self(Some(key), None, id)
    }
}

impl From<(String, TherapistId)> for After {
    fn from((name, id): (String, TherapistId)) -> Self {
        Self(None, name.parse().ok(), id)
    }
}

/// The dates on which they must have time, each by their own clock.
type Dates = (NaiveDate, NaiveDate);

/// How many are looked at for one page: where few fit, it may stay short.
const MOST_CANDIDATES: usize = 300;

/// How often the next few are asked for.
const MOST_STEPS: usize = 12;

/// The next few of an order, and where to go on.
async fn next(
    db: &mut PgConnection,
    wanted: Criteria<'_>,
    order: Order,
    after: Option<After>,
    count: usize,
) -> Result<(Vec<After>, Option<After>)> {
    fn plain<K>(batch: Batch<K>) -> (Vec<After>, Option<After>)
    where
        After: From<(K, TherapistId)>,
    {
        (batch.found.into_iter().map(After::from).collect(), batch.rest.map(After::from))
    }
    let number = after.as_ref().and_then(|After(key, _, id)| Some(((*key)?, *id)));
    Ok(match (order, wanted.point) {
        (Order::Distance, Some(point)) => plain(nearest(db, wanted, point, number, count).await?),
        (Order::Rating, Some(point)) => plain(best_near(db, wanted, point, number).await?),
        (Order::Rating, None) => plain(best_anywhere(db, wanted, number).await?),
        (Order::Name | Order::Distance, _) => {
            let name = after.and_then(|After(_, name, id)| Some((name?.as_str().to_owned(), id)));
            plain(by_name(db, wanted, name).await?)
        }
    })
}

/// A page of the therapists that can be booked: they accept bookings, have a base and an offer, may practise somewhere, and have
/// time on the dates that are asked for.
async fn page(
    db: &mut PgConnection,
    wanted: Criteria<'_>,
    order: Order,
    dates: Option<Dates>,
    limit: Limit,
    cursor: Option<Cursor>,
    now: DateTime<Utc>,
) -> Result<Page<PublicTherapist>> {
    let mut after: Option<After> = cursor.map(|cursor| cursor.key()).transpose()?;
    let mut found: Vec<(PublicTherapist, After)> = Vec::new();
    let mut looked_at = 0;
    for _ in 0..MOST_STEPS {
        let (some, rest) = next(db, wanted, order, after, limit.get() + 1).await?;
        after = rest;
        for some in some.chunks(at_a_time(limit)) {
            found.extend(bookable(db, wanted, some, dates, now).await?);
            looked_at += some.len();
            if found.len() > limit.get() {
                break;
            }
        }
        if found.len() > limit.get() || after.is_none() || looked_at >= MOST_CANDIDATES {
            break;
        }
    }
    let page = Page::cut(found, limit, |(_, key)| key.clone())?;
    let next_cursor = match (page.next_cursor, after) {
        (None, Some(after)) => Some(Cursor::after(&after)?),
        (cursor, _) => cursor,
    };
    Ok(Page { data: page.data.into_iter().map(|(therapist, _)| therapist).collect(), next_cursor })
}

/// Those of `some` who may practise somewhere and have time, in the same order.
async fn bookable(
    db: &mut PgConnection,
    wanted: Criteria<'_>,
    some: &[After],
    dates: Option<Dates>,
    now: DateTime<Utc>,
) -> Result<Vec<(PublicTherapist, After)>> {
    let ids: Vec<TherapistId> = some.iter().map(|After(.., id)| *id).collect();
    let mut shown: HashMap<_, _> = therapists::public(&mut *db, &ids, wanted.client, now.date_naive())
        .await?
        .into_iter()
        .map(|therapist| (therapist.id, therapist))
        .collect();
    if let Some(dates) = dates {
        // Their shortest offer of the service, or of any.
        let shortest = shown.values().filter_map(|therapist| {
            let asked =
                therapist.services.iter().filter(|offer| wanted.service.is_none_or(|id| id == offer.service_id));
            Some((therapist.id, asked.flat_map(|offer| offer.durations.iter().copied()).min()?))
        });
        let shortest: HashMap<_, _> = shortest.collect();
        let free = hints::free_on(db, &shortest, dates, now).await?;
        shown.retain(|id, _| free.contains(id));
    }
    let in_order = some.iter().filter_map(|after| {
        let mut therapist = shown.remove(&after.2)?;
        let area = therapist.area;
        therapist.distance_km = wanted.point.zip(area).map(|(point, area)| area.point().distance_km(point).ceil());
        Some((therapist, after.clone()))
    });
    Ok(in_order.collect())
}

/// A stretch that holds `dates` by every clock.
fn stretch((from, to): Dates) -> Span {
    let midnight = |date: NaiveDate| date.and_time(NaiveTime::MIN).and_utc();
    let (earliest, latest) = (TimeDelta::hours(14), TimeDelta::hours(12));
    Span { start: midnight(from) - earliest, end: midnight(to + Days::new(1)) + latest }
}
