//! The list of therapists: a page of those who can be booked.

use crate::values::{DisplayName, Role};
use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;

use super::search::{Batch, Wanted, at_a_time, best_anywhere, best_near, by_name, nearest};
use super::{PublicTherapist, store};
use crate::auth::Principal;
use crate::availability::hints;
use crate::error::Result;
use crate::http::{Cursor, Limit, Page};
use crate::ids::TherapistId;

/// How a list of therapists is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// Nearest to the point first.
    Distance,
    /// By name.
    Name,
    /// The best rated first: by the mean of their ratings and five more of four stars.
    Rating,
}

/// Where a page begins: after this distance or score, or this name, and this id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct After(Option<f64>, Option<DisplayName>, TherapistId);

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
pub(super) type Dates = (NaiveDate, NaiveDate);

/// How many are looked at for one page: where few fit, it may stay short.
const MOST_CANDIDATES: usize = 300;

/// How often the next few are asked for.
const MOST_STEPS: usize = 12;

/// The next few of an order, and where to go on.
async fn next(
    db: &mut PgConnection,
    wanted: Wanted<'_>,
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
pub(super) async fn page(
    db: &mut PgConnection,
    wanted: Wanted<'_>,
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

/// The therapist, if they can be booked.
pub(super) async fn one(db: &mut PgConnection, id: TherapistId, now: DateTime<Utc>) -> Result<Option<PublicTherapist>> {
    let found = store::public(db, &[id], None, now.date_naive()).await?.pop();
    Ok(found.filter(|therapist| !therapist.services.is_empty()))
}

/// Whether `caller` may see what is told of a therapist: whoever can be booked is shown to everyone, anyone to themself and to admins.
pub async fn is_shown(
    db: &mut PgConnection,
    id: TherapistId,
    caller: Option<Principal>,
    now: DateTime<Utc>,
) -> Result<bool> {
    let insider = caller.is_some_and(|caller| caller.role == Role::Admin || caller.account == id.into());
    if insider { store::exists(db, id).await } else { Ok(one(db, id, now).await?.is_some()) }
}

/// Those of `some` who may practise somewhere and have time, in the same order.
async fn bookable(
    db: &mut PgConnection,
    wanted: Wanted<'_>,
    some: &[After],
    dates: Option<Dates>,
    now: DateTime<Utc>,
) -> Result<Vec<(PublicTherapist, After)>> {
    let ids: Vec<TherapistId> = some.iter().map(|After(.., id)| *id).collect();
    let mut shown: HashMap<_, _> = store::public(&mut *db, &ids, wanted.client, now.date_naive())
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
        therapist.distance_km = wanted.point.map(|point| area.point().distance_km(point).ceil());
        Some((therapist, after.clone()))
    });
    Ok(in_order.collect())
}

/// A stretch that holds `dates` by every clock.
pub(super) fn stretch((from, to): Dates) -> crate::values::Span {
    use chrono::{Days, NaiveTime};
    let midnight = |date: NaiveDate| date.and_time(NaiveTime::MIN).and_utc();
    let (earliest, latest) = (TimeDelta::hours(14), TimeDelta::hours(12));
    crate::values::Span { start: midnight(from) - earliest, end: midnight(to + Days::new(1)) + latest }
}
