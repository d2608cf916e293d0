//! Visits that are not over and should long be: forgotten, or someone is in trouble.

mod store;

use actix_web::get;
use actix_web::web::Data;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::Booking;
use super::events::event;
use super::lifecycle::Status;
use super::steps::{Begun, begin_as_system};
use super::views::{AdminBooking, BookingView, Viewer, views};
use crate::App;
use crate::auth::{As, Support};
use crate::db::uninterrupted;
use crate::error::Result;
use crate::http::{Cursor, Limit, Page, Query, Reply};
use crate::ids::BookingId;
use crate::values::Instant;

/// How long after its end a visit may wait to be completed.
const PATIENCE: TimeDelta = TimeDelta::minutes(40);

/// How many visits are told of in one run of the job.
const BATCH: i64 = 500;

/// The operations on overdue visits.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_bookings_overdue);
}

/// Since when the visit is overdue, if it is at `now`.
fn overdue_since(booking: &Booking, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    use Status::{Arrived, Confirmed, InProgress, OnTheWay};
    let since = booking.end_at() + PATIENCE;
    (matches!(booking.status, Confirmed | OnTheWay | Arrived | InProgress) && since <= now).then_some(since)
}

/// Tells staff and the therapist of each visit that has become overdue, once: the job's part. It goes by the present state, and
/// not by what was to be when a visit was booked, so that moved visits need nothing of their own; a prolonged one is
/// told of anew.
pub async fn alert(app: &App) -> Result<()> {
    let now = app.clock.now();
    let mut work = app.begin(None).await?;
    let untold = store::untold(&mut work, now - PATIENCE, BATCH).await?;
    work.commit().await?;
    for id in untold {
        alert_one(app, id).await?;
    }
    Ok(())
}

async fn alert_one(app: &App, id: BookingId) -> Result<()> {
    let Some(Begun { mut work, booking, .. }) = begin_as_system(app, id).await? else { return Ok(()) };
    let now = work.now();
    if overdue_since(&booking, now).is_some() && store::set_told(&mut work, id, now).await? {
        let details = json!({ "status": booking.status, "end_at": booking.end_at() });
        work.announce(event("booking.overdue", &booking, details)).await?;
    }
    work.commit().await
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OverdueQuery {
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// A visit that should long be over.
#[derive(Debug, Serialize, ToSchema)]
struct OverdueVisit {
    /// The visit.
    #[schema(value_type = AdminBooking)]
    booking: BookingView,
    /// Since when: 40 minutes after its end.
    overdue_since: Option<DateTime<Utc>>,
}

/// List overdue visits
///
/// Visits that were agreed and are neither completed nor ended otherwise 40 minutes after their end, longest waiting first.
/// Completing or stopping one takes it off the list.
#[utoipa::path(tag = "Bookings", operation_id = "list_bookings_overdue", security(("bearer" = ["admin:support"])), params(OverdueQuery),
    responses((status = 200, description = "A page of visits.", body = Page<OverdueVisit>)))]
#[get("/v1/admin/bookings/overdue")]
async fn list_bookings_overdue(app: Data<App>, me: As<Support>, Query(query): Query<OverdueQuery>) -> Result<Reply> {
    uninterrupted(async move {
        let now = app.clock.now();
        let after = query.cursor.map(|cursor| cursor.key()).transpose()?.map(|(Instant(start), id)| (start, id));
        let mut work = app.begin(Some(me.account())).await?;
        let found = super::store::overdue(&mut work, now - PATIENCE, after, query.limit.probe(), now).await?;
        let page = Page::cut(found, query.limit, |booking| (booking.start_at, booking.id))?;
        let since: Vec<_> = page.data.iter().map(|booking| overdue_since(booking, now)).collect();
        let shown = views(&app.cipher, &mut work, page.data, Viewer::Admin).await?;
        work.commit().await?;
        let data = shown.into_iter().zip(since).map(|(booking, overdue_since)| OverdueVisit { booking, overdue_since });
        Reply::ok(&Page { data: data.collect(), next_cursor: page.next_cursor })
    })
    .await
}
