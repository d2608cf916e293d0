//! Visits that no longer lie within their therapist's hours.

use actix_web::get;
use actix_web::web::Data;
use chrono::{DateTime, Days, Utc};
use utoipa_actix_web::service_config::ServiceConfig;

use super::store;
use crate::App;
use crate::auth::{As, Therapist};
use crate::availability;
use crate::availability::schedule::Hit;
use crate::error::Result;
use crate::http::{Page, Paging, Query, Reply};
use crate::ids::BookingId;
use crate::values::{Instant, Span};

/// The operation on visits outside hours.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_bookings_outside_hours);
}

/// List my bookings outside my hours
///
/// Live visits whose time on the table is not over and no longer lies within the caller's hours, since these changed after
/// the visit was booked. They stay booked. What a time off hits is listed with the time off.
#[utoipa::path(tag = "Availability", operation_id = "list_bookings_outside_hours", security(("bearer" = ["therapist"])),
    params(Paging),
    responses((status = 200, description = "A page of bookings, soonest first.", body = Page<Hit>)))]
#[get("/v1/therapists/me/bookings-outside-hours")]
async fn list_bookings_outside_hours(app: Data<App>, me: As<Therapist>, Query(query): Query<Paging>) -> Result<Reply> {
    let after = query.cursor.map(|cursor| cursor.key()).transpose()?;
    let after: Option<(DateTime<Utc>, BookingId)> = after.map(|(Instant(start), id)| (start, id));
    let visits = store::ahead(&*app.db, me.therapist(), app.clock.now()).await?;
    let (Some((_, first)), Some((_, last))) = (visits.first(), visits.last()) else {
        return Reply::ok(&Page::<Hit>::whole(Vec::new()));
    };
    // No visit lasts a day, whichever ends last.
    let span = Span { start: first.start, end: last.start + Days::new(1) };
    let dates = span.start.date_naive() - Days::new(3)..=span.end.date_naive() + Days::new(3);
    let (zone, hours) = availability::hours_of(&*app.db, me.therapist(), dates).await?;
    let windows = hours.windows(zone, span);
    let outside = visits.into_iter().filter(|(_, table)| !windows.iter().any(|window| window.contains(*table)));
    let hits = outside.map(|(id, table)| Hit { id, start_at: table.start });
    let page = hits.filter(|hit| after.is_none_or(|after| (hit.start_at, hit.id) > after)).take(query.limit.get() + 1);
    Reply::ok(&Page::cut(page.collect(), query.limit, |hit| (hit.start_at, hit.id))?)
}
