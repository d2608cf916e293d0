//! The weekly hours over HTTP: those in force, those of other dates, and copies of a week.

use actix_web::web::Data;
use actix_web::{delete, get, post, put};
use chrono::{DateTime, Days, NaiveDate, Utc};
use sqlx::PgExecutor;
use utoipa_actix_web::service_config::ServiceConfig;

use super::hours::Timetable;
use super::routes::date;
use super::schedule::{DatedSchedule, Override, Saved, Schedule, WeekCopied, WeekCopy};
use super::store;
use crate::App;
use crate::auth::{As, Therapist};
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Problem, Refusal, Result, refused};
use crate::http::{IfMatch, Json, Page, Paging, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::TherapistId;
use crate::values::wall_clock::local_date;
use crate::values::{Day, Zone};

/// The operations on weekly hours.
pub fn routes(config: &mut ServiceConfig) {
    config.service(get_schedule).service(replace_schedule).service(copy_week);
    config.service(list_schedules).service(get_dated_schedule).service(put_dated_schedule);
    config.service(delete_dated_schedule);
}

/// The most timetables from today on.
const MOST_TIMETABLES: i64 = 50;

/// The therapist's zone, today's date in it, and the timetable that holds for it.
async fn in_force<'c>(
    db: impl PgExecutor<'c>,
    therapist: TherapistId,
    now: DateTime<Utc>,
) -> Result<(Zone, NaiveDate, Timetable)> {
    // It is yesterday somewhere, and tomorrow elsewhere.
    let utc = now.date_naive();
    let (zone, hours) = store::hours(db, therapist, utc - Days::new(1)..=utc + Days::new(1)).await?;
    let today = local_date(zone, now);
    let timetable = hours.in_force(today).cloned();
    Ok((zone, today, timetable.ok_or_else(|| Error::Internal("no timetable is in force".to_owned()))?))
}

/// Show my weekly hours
///
/// The caller's hours on the table, which repeat every week: those in force today. What is planned for later is listed by
/// `GET /v1/therapists/me/schedules`.
#[utoipa::path(tag = "Availability", operation_id = "get_schedule", security(("bearer" = ["therapist"])),
    responses((status = 200, description = "The week.", body = Schedule)))]
#[get("/v1/therapists/me/schedule")]
async fn get_schedule(app: Data<App>, me: As<Therapist>) -> Result<Reply> {
    let (zone, _, timetable) = in_force(&*app.db, me.therapist(), app.clock.now()).await?;
    Reply::ok(&Schedule::new(zone, &timetable.weekly))
}

/// Replace my weekly hours
///
/// Replaces the week that is in force today, from whichever date it is. A window whose `end` is at or before its `start` runs
/// past midnight; windows that overlap are refused. The zone is the caller's own: another one here holds for all of their
/// timetables and dates. `unbookable` names the windows in which no visit can ever be booked; it may be sent along, and is read over. Visits that are booked already stay; those that no longer lie within the hours are listed by
/// `GET /v1/therapists/me/bookings-outside-hours`.
#[utoipa::path(tag = "Availability", operation_id = "replace_schedule", security(("bearer" = ["therapist"])),
    params(("If-Match" = String, Header, description = "The ETag of the week as it was read.")),
    request_body = Schedule,
    responses((status = 200, description = "The week as it is now.", body = Saved<Schedule>)))]
#[put("/v1/therapists/me/schedule")]
async fn replace_schedule(
    app: Data<App>,
    me: As<Therapist>,
    if_match: IfMatch,
    Json(schedule, _): Json<Schedule>,
) -> Result<Reply> {
    uninterrupted(async move {
        let windows = schedule.windows()?;
        let mut work = app.begin(Some(me.account())).await?;
        work.lock_time(me.therapist()).await?;
        let (zone, _, current) = in_force(&mut **work, me.therapist(), app.clock.now()).await?;
        if_match.check(&Schedule::new(zone, &current.weekly))?;
        store::set_zone(&mut work, me.therapist(), schedule.time_zone).await?;
        store::put_schedule(&mut work, me.therapist(), current.effective_from, &windows).await?;
        let unbookable = store::fit(&mut **work, me.therapist()).await?.of_week(&windows);
        work.commit().await?;
        let saved = Schedule::new(schedule.time_zone, &windows);
        Reply::ok(&Saved { saved: saved.clone(), unbookable })?.tagged_as(&saved)
    })
    .await
}

/// List my timetables
///
/// The caller's weekly hours by the date from which they hold, past ones included. Each holds until the next one begins.
#[utoipa::path(tag = "Availability", operation_id = "list_schedules", security(("bearer" = ["therapist"])),
    params(Paging),
    responses((status = 200, description = "A page of timetables.", body = Page<DatedSchedule>)))]
#[get("/v1/therapists/me/schedules")]
async fn list_schedules(app: Data<App>, me: As<Therapist>, Query(query): Query<Paging>) -> Result<Reply> {
    let after = query.cursor.map(|cursor| cursor.key()).transpose()?;
    let found = store::schedules(&*app.db, me.therapist(), after.map(|Day(date)| date), query.limit.probe()).await?;
    Reply::ok(&Page::cut(found, query.limit, |schedule| schedule.effective_from)?)
}

/// Show a timetable
///
/// The weekly hours that begin to hold on a date.
#[utoipa::path(tag = "Availability", operation_id = "get_dated_schedule", security(("bearer" = ["therapist"])),
    params(("effective_from" = Day, Path, description = "The first date that it holds for, in the therapist's zone.")),
    responses(
    (status = 200, description = "The timetable.", body = DatedSchedule),
    (status = 422, description = "This is no date.", body = Problem, content_type = "application/problem+json")))]
#[get("/v1/therapists/me/schedules/{effective_from}")]
async fn get_dated_schedule(app: Data<App>, me: As<Therapist>, Path(path): Path<String>) -> Result<Reply> {
    let date = date("effective_from", &path)?;
    Reply::ok(&store::find_schedule(&*app.db, me.therapist(), date).await?.ok_or(Error::NotFound)?)
}

/// Plan a timetable
///
/// The weekly hours from this date on, today or later, until the next timetable begins. What runs on from the evening before
/// stays. `time_zone` must be the caller's own, which a plan for later does not change. `If-Match` is needed where a timetable
/// begins on this date already. `unbookable` names the windows in which no visit can ever be booked. Visits that are booked already stay; those that no longer lie within the hours are listed by
/// `GET /v1/therapists/me/bookings-outside-hours`.
#[utoipa::path(tag = "Availability", operation_id = "put_dated_schedule", security(("bearer" = ["therapist"])),
    params(("effective_from" = Day, Path, description = "The first date that it holds for, in the therapist's zone."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the timetable as it was read, where there is one.")),
    request_body = Schedule, responses(
    (status = 200, description = "The timetable as it is now.", body = Saved<DatedSchedule>),
    (status = 422, description = "A field is wrong, such as a date in the past or another time zone; `errors` points to it.",
         body = Problem, content_type = "application/problem+json")),
    extensions(("x-refusals" = json!(refused![TooManyTimetables]))))]
#[put("/v1/therapists/me/schedules/{effective_from}")]
async fn put_dated_schedule(
    app: Data<App>,
    me: As<Therapist>,
    Path(path): Path<String>,
    if_match: IfMatch,
    Json(schedule, _): Json<Schedule>,
) -> Result<Reply> {
    uninterrupted(async move {
        let date = date("effective_from", &path)?;
        let windows = schedule.windows()?;
        let mut work = app.begin(Some(me.account())).await?;
        work.lock_time(me.therapist()).await?;
        let (zone, today, _) = in_force(&mut **work, me.therapist(), app.clock.now()).await?;
        if date < today {
            return Err(FieldError::new("/effective_from", "lies in the past.").into());
        }
        if schedule.time_zone != zone {
            let detail = format!("is not your own, which is {zone}; change that with the hours in force first.");
            return Err(FieldError::new("/time_zone", detail).into());
        }
        let current = store::find_schedule(&mut **work, me.therapist(), date).await?;
        if_match.check_if_any(current.as_ref())?;
        if current.is_none() && store::count_schedules_from(&mut work, me.therapist(), today).await? >= MOST_TIMETABLES
        {
            return Err(Refusal::TooManyTimetables.into());
        }
        store::put_schedule(&mut work, me.therapist(), date, &windows).await?;
        let unbookable = store::fit(&mut **work, me.therapist()).await?.of_week(&windows);
        work.commit().await?;
        let saved = DatedSchedule { effective_from: date, schedule: Schedule::new(schedule.time_zone, &windows) };
        Reply::ok(&Saved { saved: saved.clone(), unbookable })?.tagged_as(&saved)
    })
    .await
}

/// Drop a planned timetable
///
/// The timetable before it holds on. One that is in force, or was, cannot be dropped: replace the hours in force instead.
#[utoipa::path(tag = "Availability", operation_id = "delete_dated_schedule", security(("bearer" = ["therapist"])),
    params(("effective_from" = Day, Path, description = "The first date that it holds for, in the therapist's zone.")),
    responses(
    (status = 204, description = "The timetable is gone."),
    (status = 422, description = "It is in force, or lies in the past.", body = Problem,
         content_type = "application/problem+json")))]
#[delete("/v1/therapists/me/schedules/{effective_from}")]
async fn delete_dated_schedule(app: Data<App>, me: As<Therapist>, Path(path): Path<String>) -> Result<Reply> {
    uninterrupted(async move {
        let date = date("effective_from", &path)?;
        let mut work = app.begin(Some(me.account())).await?;
        work.lock_time(me.therapist()).await?;
        let (_, today, current) = in_force(&mut **work, me.therapist(), app.clock.now()).await?;
        if date < today || date == current.effective_from {
            return Err(FieldError::new("/effective_from", "is in force, or lies in the past.").into());
        }
        let existed = store::delete_schedule(&mut work, me.therapist(), date).await?;
        work.commit().await?;
        if existed { Ok(Reply::none()) } else { Err(Error::NotFound) }
    })
    .await
}

/// Copy a week
///
/// Writes the hours of one week, as they really are with its differing dates, to the same days of later weeks, as differing
/// dates. Dates that differ already stay as they are, unless `replace` is true; those of the current week that are past always do, and a
/// week that is over is refused. Visits that are booked already stay; those that no longer lie within the hours are listed by
/// `GET /v1/therapists/me/bookings-outside-hours`.
#[utoipa::path(tag = "Availability", operation_id = "copy_week", security(("bearer" = ["therapist"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = WeekCopy,
    responses((status = 201, description = "The dates that were written, and those that stay as they are.", body = WeekCopied,
     headers(("Location" = String, description = "Where the differing dates are found.")))))]
#[post("/v1/therapists/me/schedule/copies")]
async fn copy_week(
    app: Data<App>,
    me: As<Therapist>,
    key: IdempotencyKey,
    Json(copy, print): Json<WeekCopy>,
) -> Result<Reply> {
    uninterrupted(async move {
        let (first, last) = copy.dates()?;
        let mut work = app.begin(Some(me.account())).await?;
        let once = Once::claim(&mut work, "POST /v1/therapists/me/schedule/copies", key, print).await?;
        work.lock_time(me.therapist()).await?;
        let now = app.clock.now();
        let (zone, hours) = store::hours(&mut **work, me.therapist(), first..=last).await?;
        let (written, kept) = copy.of(&hours, local_date(zone, now))?;
        store::put_overrides(&mut work, me.therapist(), &written).await?;
        let written = written.iter().map(|(date, windows)| Override::new(*date, windows)).collect();
        let reply = Reply::created("/v1/therapists/me/overrides".to_owned(), &WeekCopied { written, kept })?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}
