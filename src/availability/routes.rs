use actix_web::web::Data;
use actix_web::{delete, get, put};
use chrono::{Days, NaiveDate};
use utoipa_actix_web::service_config::ServiceConfig;

use super::schedule::{Override, OverrideBody, Saved};
use super::{store, time_off, timetables};
use crate::App;
use crate::auth::{As, Therapist};
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Result};
use crate::http::{IfMatch, Json, Page, Paging, Path, Query, Reply};
use crate::values::Day;

/// The operations on a therapist's time.
pub fn routes(config: &mut ServiceConfig) {
    timetables::routes(config);
    config.service(list_overrides).service(get_override).service(put_override).service(delete_override);
    time_off::routes(config);
}

/// List my differing dates
///
/// The dates whose windows replace the weekly ones.
#[utoipa::path(tag = "Availability", operation_id = "list_overrides", security(("bearer" = ["therapist"])),
    params(Paging),
    responses((status = 200, description = "A page of dates.", body = Page<Override>)))]
#[get("/v1/therapists/me/overrides")]
async fn list_overrides(app: Data<App>, me: As<Therapist>, Query(query): Query<Paging>) -> Result<Reply> {
    let after = query.cursor.map(|cursor| cursor.key()).transpose()?;
    let found = store::overrides(&app.db, me.therapist(), after.map(|Day(date)| date), query.limit.probe()).await?;
    Reply::ok(&Page::cut(found, query.limit, |date| date.date)?)
}

/// The date in the path, where it is called `name`.
pub(super) fn date(name: &str, text: &str) -> Result<NaiveDate> {
    let day: Day = text.parse().map_err(|detail| FieldError::new(format!("/{name}"), format!("{detail}.")))?;
    Ok(day.0)
}

/// Show a differing date
///
/// The windows of a date that differs from the week.
#[utoipa::path(tag = "Availability", operation_id = "get_override", security(("bearer" = ["therapist"])),
    params(("date" = Day, Path, description = "The date, in the therapist's zone.")),
    responses((status = 200, description = "The date.", body = Override)))]
#[get("/v1/therapists/me/overrides/{date}")]
async fn get_override(app: Data<App>, me: As<Therapist>, Path(path): Path<String>) -> Result<Reply> {
    let date = date("date", &path)?;
    Reply::ok(&store::find_override(&*app.db, me.therapist(), date).await?.ok_or(Error::NotFound)?)
}

/// Replace a date's hours
///
/// The windows replace the weekly ones that start on the date; none closes it. What ran on from the evening before
/// stays. `If-Match` is needed where the date differs already. `unbookable` names the windows in which no visit can ever be booked. Visits that are booked already stay; those that no longer lie
/// within the hours are listed by `GET /v1/therapists/me/bookings-outside-hours`.
#[utoipa::path(tag = "Availability", operation_id = "put_override", security(("bearer" = ["therapist"])),
    params(("date" = Day, Path, description = "The date, in the therapist's zone."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the date as it was read, where it differs already.")),
    request_body = OverrideBody,
    responses((status = 200, description = "The date as it is now.", body = Saved<Override>)))]
#[put("/v1/therapists/me/overrides/{date}")]
async fn put_override(
    app: Data<App>,
    me: As<Therapist>,
    Path(path): Path<String>,
    if_match: IfMatch,
    Json(body, _): Json<OverrideBody>,
) -> Result<Reply> {
    uninterrupted(async move {
        let date = date("date", &path)?;
        let windows = body.windows()?;
        let mut work = app.begin(Some(me.account())).await?;
        work.lock_time(me.therapist()).await?;
        if_match.check_if_any(store::find_override(&mut **work, me.therapist(), date).await?.as_ref())?;
        store::put_overrides(&mut work, me.therapist(), &[(date, windows.clone())]).await?;
        let about = date - Days::new(2)..=date + Days::new(2);
        let (zone, hours) = store::hours(&mut **work, me.therapist(), about).await?;
        let fit = store::fit(&mut **work, me.therapist()).await?;
        work.commit().await?;
        let saved = Override::new(date, &windows);
        let unbookable = fit.of_date(&hours, zone, date, &windows);
        Reply::ok(&Saved { saved: saved.clone(), unbookable })?.tagged_as(&saved)
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
    uninterrupted(async move {
        let date = date("date", &path)?;
        let mut work = app.begin(Some(me.account())).await?;
        work.lock_time(me.therapist()).await?;
        let existed = store::delete_override(&mut work, me.therapist(), date).await?;
        work.commit().await?;
        if existed { Ok(Reply::none()) } else { Err(Error::NotFound) }
    })
    .await
}
