use actix_web::web::Data;
use actix_web::{delete, get, post, put};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::intervals::Span;
use super::schedule::{Override, OverrideBody, Schedule, TimeOff, TimeOffMade, TimeOffNote};
use super::{check, lock, preview, slots, store};
use crate::App;
use crate::auth::{As, Therapist};
use crate::bookings;
use crate::db::work;
use crate::error::{Error, FieldError, Problem, Result};
use crate::http::{Cursor, IdempotencyKey, IfMatch, Json, Limit, Once, Page, Path, Query, Reply};
use crate::ids::TimeOffId;
use crate::values::{Day, Instant};

/// The operations on a therapist's time, and the slots that come of it.
pub fn routes(config: &mut ServiceConfig) {
    config.service(get_schedule).service(replace_schedule);
    config.service(list_overrides).service(get_override).service(put_override).service(delete_override);
    config.service(list_time_off).service(create_time_off).service(delete_time_off);
    preview::routes(config);
    slots::routes(config);
    check::routes(config);
}

/// Show my weekly hours
///
/// The caller's hours on the table, which repeat every week.
#[utoipa::path(tag = "Availability", operation_id = "get_schedule", security(("bearer" = ["therapist"])),
    responses((status = 200, description = "The week.", body = Schedule)))]
#[get("/v1/therapists/me/schedule")]
async fn get_schedule(app: Data<App>, me: As<Therapist>) -> Result<Reply> {
    let (zone, windows) = store::weekly(&app.db, me.therapist()).await?;
    Reply::ok(&Schedule::new(zone, &windows))
}

/// Replace my weekly hours
///
/// Replaces the week. A window whose `end` is at or before its `start` runs past midnight; windows that overlap are
/// refused. Visits that are booked already stay.
#[utoipa::path(tag = "Availability", operation_id = "replace_schedule", security(("bearer" = ["therapist"])),
    params(("If-Match" = String, Header, description = "The ETag of the week as it was read.")),
    request_body = Schedule,
    responses((status = 200, description = "The week as it is now.", body = Schedule)))]
#[put("/v1/therapists/me/schedule")]
async fn replace_schedule(
    app: Data<App>,
    me: As<Therapist>,
    if_match: IfMatch,
    Json(schedule, _): Json<Schedule>,
) -> Result<Reply> {
    work(async move {
        let windows = schedule.windows()?;
        let mut tx = app.db.begin().await?;
        lock(&mut tx, me.therapist()).await?;
        let (zone, current) = store::weekly(&mut *tx, me.therapist()).await?;
        if_match.check(&Schedule::new(zone, &current))?;
        store::replace_weekly(&mut tx, me.therapist(), schedule.time_zone, &windows).await?;
        tx.commit().await?;
        Reply::ok(&Schedule::new(schedule.time_zone, &windows))
    })
    .await
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PageQuery {
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// List my differing dates
///
/// The dates whose windows replace the weekly ones.
#[utoipa::path(tag = "Availability", operation_id = "list_overrides", security(("bearer" = ["therapist"])),
    params(PageQuery),
    responses((status = 200, description = "A page of dates.", body = Page<Override>)))]
#[get("/v1/therapists/me/overrides")]
async fn list_overrides(app: Data<App>, me: As<Therapist>, Query(query): Query<PageQuery>) -> Result<Reply> {
    let after = query.cursor.map(|cursor| cursor.key()).transpose()?;
    let found = store::overrides(&app.db, me.therapist(), after.map(|Day(date)| date), query.limit.probe()).await?;
    Reply::ok(&Page::cut(found, query.limit, |date| date.date)?)
}

/// The date in the path.
fn date(text: &str) -> Result<Day> {
    text.parse().map_err(|detail| FieldError::new("/date", format!("{detail}.")).into())
}

/// Show a differing date
///
/// The windows of a date that differs from the week.
#[utoipa::path(tag = "Availability", operation_id = "get_override", security(("bearer" = ["therapist"])),
    params(("date" = Day, Path, description = "The date, in the therapist's zone.")),
    responses((status = 200, description = "The date.", body = Override)))]
#[get("/v1/therapists/me/overrides/{date}")]
async fn get_override(app: Data<App>, me: As<Therapist>, Path(path): Path<String>) -> Result<Reply> {
    let Day(date) = date(&path)?;
    Reply::ok(&store::find_override(&app.db, me.therapist(), date).await?.ok_or(Error::NotFound)?)
}

/// Replace a date's hours
///
/// The windows replace the weekly ones that start on the date; none closes it. What ran on from the evening before
/// stays. `If-Match` is needed where the date differs already.
#[utoipa::path(tag = "Availability", operation_id = "put_override", security(("bearer" = ["therapist"])),
    params(("date" = Day, Path, description = "The date, in the therapist's zone."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the date as it was read, where it differs already.")),
    request_body = OverrideBody,
    responses((status = 200, description = "The date as it is now.", body = Override)))]
#[put("/v1/therapists/me/overrides/{date}")]
async fn put_override(
    app: Data<App>,
    me: As<Therapist>,
    Path(path): Path<String>,
    if_match: IfMatch,
    Json(body, _): Json<OverrideBody>,
) -> Result<Reply> {
    work(async move {
        let Day(date) = date(&path)?;
        let windows = body.windows()?;
        let mut tx = app.db.begin().await?;
        lock(&mut tx, me.therapist()).await?;
        if let Some(current) = store::find_override(&mut *tx, me.therapist(), date).await? {
            if_match.check(&current)?;
        }
        store::put_override(&mut tx, me.therapist(), date, &windows).await?;
        tx.commit().await?;
        Reply::ok(&Override::new(date, &windows))
    })
    .await
}

/// Drop a differing date
///
/// The weekly hours hold for the date again.
#[utoipa::path(tag = "Availability", operation_id = "delete_override", security(("bearer" = ["therapist"])),
    params(("date" = Day, Path, description = "The date, in the therapist's zone.")),
    responses((status = 204, description = "The date is like any other.")))]
#[delete("/v1/therapists/me/overrides/{date}")]
async fn delete_override(app: Data<App>, me: As<Therapist>, Path(path): Path<String>) -> Result<Reply> {
    work(async move {
        let Day(date) = date(&path)?;
        let mut tx = app.db.begin().await?;
        lock(&mut tx, me.therapist()).await?;
        let existed = store::delete_override(&mut tx, me.therapist(), date).await?;
        tx.commit().await?;
        if existed { Ok(Reply::none()) } else { Err(Error::NotFound) }
    })
    .await
}

/// List my time off
///
/// The caller's time off, by its beginning.
#[utoipa::path(tag = "Availability", operation_id = "list_time_off", security(("bearer" = ["therapist"])),
    params(PageQuery),
    responses((status = 200, description = "A page of time off.", body = Page<TimeOff>)))]
#[get("/v1/therapists/me/time-off")]
async fn list_time_off(app: Data<App>, me: As<Therapist>, Query(query): Query<PageQuery>) -> Result<Reply> {
    let after = query.cursor.map(|cursor| cursor.key()).transpose()?;
    let after = after.map(|(Instant(start), id): (Instant, TimeOffId)| (start, id));
    let found = store::time_off(&app.db, me.therapist(), after, query.limit.probe()).await?;
    Reply::ok(&Page::cut(found, query.limit, |off| (off.start_at, off.id))?)
}

/// A time off to be taken.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTimeOff {
    start_at: Instant,
    end_at: Instant,
    note: Option<TimeOffNote>,
}

/// Take time off
///
/// Nothing can be booked in it from now on. Visits that are booked within it are listed and stay booked.
#[utoipa::path(tag = "Availability", operation_id = "create_time_off", security(("bearer" = ["therapist"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = NewTimeOff, responses(
    (status = 201, description = "The time off, and the bookings that it hits.", body = TimeOffMade,
     headers(("Location" = String, description = "Where the time off is found."))),
    (status = 409, description = "`idempotency_key_in_flight`", body = Problem, content_type = "application/problem+json"),
))]
#[post("/v1/therapists/me/time-off")]
async fn create_time_off(
    app: Data<App>,
    me: As<Therapist>,
    key: IdempotencyKey,
    Json(new, print): Json<NewTimeOff>,
) -> Result<Reply> {
    work(async move {
        let now = app.clock.now();
        let (Instant(start), Instant(end)) = (new.start_at, new.end_at);
        if end <= start {
            return Err(FieldError::new("/end_at", "must come after `start_at`.").into());
        }
        let note = new.note.map(|note| note.as_str().to_owned());
        let time_off = TimeOff { id: TimeOffId::new(now), start_at: start, end_at: end, note };
        let mut tx = app.db.begin().await?;
        let once = match Once::claim(&mut tx, me.account(), "POST /v1/therapists/me/time-off", key, print).await? {
            Ok(once) => once,
            Err(reply) => return Ok(reply),
        };
        lock(&mut tx, me.therapist()).await?;
        store::insert_time_off(&mut tx, me.therapist(), &time_off).await?;
        let bookings = bookings::within(&mut tx, me.therapist(), Span { start, end }, now).await?;
        let location = format!("/v1/therapists/me/time-off/{}", time_off.id);
        let reply = Reply::created(location, &TimeOffMade { time_off, bookings })?;
        once.keep(&mut tx, &reply, now).await?;
        tx.commit().await?;
        Ok(reply)
    })
    .await
}

/// End a time off
///
/// The time can be booked again.
#[utoipa::path(tag = "Availability", operation_id = "delete_time_off", security(("bearer" = ["therapist"])),
    params(("id" = TimeOffId, Path, description = "The time off.")),
    responses((status = 204, description = "The time off is gone.")))]
#[delete("/v1/therapists/me/time-off/{id}")]
async fn delete_time_off(app: Data<App>, me: As<Therapist>, Path(id): Path<TimeOffId>) -> Result<Reply> {
    work(async move {
        let mut tx = app.db.begin().await?;
        lock(&mut tx, me.therapist()).await?;
        let existed = store::delete_time_off(&mut tx, me.therapist(), id).await?;
        tx.commit().await?;
        if existed { Ok(Reply::none()) } else { Err(Error::NotFound) }
    })
    .await
}
