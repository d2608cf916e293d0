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
use super::licensing::tell;
use super::lifecycle::{Party, Status};
use super::routes::begin;
use super::store as bookings;
use super::views::{AdminBooking, BookingView, Viewer, views};
use crate::App;
use crate::audit::{self, Entry};
use crate::auth::{Admin, As};
use crate::db::work;
use crate::error::Result;
use crate::http::{Cursor, Limit, Page, Query, Reply};
use crate::ids::BookingId;
use crate::tasks::{self, Task};
use crate::values::Instant;

/// How long after its end a visit may wait to be completed.
const PATIENCE: TimeDelta = TimeDelta::minutes(40);

/// What staff are given to look at.
pub(super) const TASK: &str = "visit_overdue";

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
    let mut tx = app.db.begin().await?;
    let untold = store::untold(&mut tx, now - PATIENCE, BATCH).await?;
    tx.commit().await?;
    for id in untold {
        alert_one(app, id).await?;
    }
    Ok(())
}

async fn alert_one(app: &App, id: BookingId) -> Result<()> {
    let Some((mut tx, booking, _, now)) = begin(app, id, |_| Some(Party::System)).await? else { return Ok(()) };
    if overdue_since(&booking, now).is_some() && store::set_told(&mut tx, id, now).await? {
        let details =
            json!({ "therapist_id": booking.therapist, "status": booking.status, "end_at": booking.end_at() });
        let task = Task { kind: TASK, subject_type: "booking", subject: id.0, details: details.clone() };
        tasks::raise(&mut tx, &task, now).await?;
        tell(&mut tx, booking.therapist.into(), "visit_overdue", &booking, now).await?;
        let entry = Entry {
            therapist: Some(booking.therapist),
            actor: None,
            action: "booking.overdue",
            subject_type: "booking",
            subject_id: &id.to_string(),
            details,
        };
        audit::record(&mut tx, &entry, now).await?;
    }
    tx.commit().await?;
    Ok(())
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
#[utoipa::path(tag = "Bookings", operation_id = "list_bookings_overdue", security(("bearer" = ["admin"])), params(OverdueQuery),
    responses((status = 200, description = "A page of visits.", body = Page<OverdueVisit>)))]
#[get("/v1/admin/bookings/overdue")]
async fn list_bookings_overdue(app: Data<App>, _me: As<Admin>, Query(query): Query<OverdueQuery>) -> Result<Reply> {
    work(async move {
        let now = app.clock.now();
        let after = query.cursor.map(|cursor| cursor.key()).transpose()?.map(|(Instant(start), id)| (start, id));
        let mut tx = app.db.begin().await?;
        let found = bookings::overdue(&mut tx, now - PATIENCE, after, query.limit.probe(), now).await?;
        let page = Page::cut(found, query.limit, |booking| (booking.start_at, booking.id))?;
        let since: Vec<_> = page.data.iter().map(|booking| overdue_since(booking, now)).collect();
        let shown = views(&app.cipher, &mut tx, page.data, Viewer::Admin).await?;
        tx.commit().await?;
        let data = shown.into_iter().zip(since).map(|(booking, overdue_since)| OverdueVisit { booking, overdue_since });
        Reply::ok(&Page { data: data.collect(), next_cursor: page.next_cursor })
    })
    .await
}
