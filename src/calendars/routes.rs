use actix_web::web::Data;
use actix_web::{delete, get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::jobs::ReadCalendar;
use super::{ASK_AGAIN, AllDay, Calendar, CalendarLabel, CalendarUrl, MOST_CALENDARS, feed, store};
use crate::App;
use crate::auth::Tokens;
use crate::auth::{As, Parties, RefreshToken, Therapist};
use crate::bookings;
use crate::calendars::Fetcher;
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Problem, Refusal, Result, refused};
use crate::http::{Json, Page, Part, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::CalendarId;
use crate::queue::enqueue;

/// The operations on calendars elsewhere.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list_calendars).service(create_calendar).service(get_calendar).service(delete_calendar);
    config.service(refresh_calendar);
    config.service(get_calendar_feed_settings).service(create_calendar_feed).service(delete_calendar_feed);
    config.service(get_calendar_feed);
}

/// List my calendars elsewhere
///
/// The calendars whose busy time keeps the caller from being booked.
#[utoipa::path(tag = "Calendars", operation_id = "list_calendars", security(("bearer" = ["therapist"])), params(Part),
    responses((status = 200, description = "All of them, in the order in which they came.", body = Page<Calendar>)))]
#[get("/v1/therapists/me/calendars")]
async fn list_calendars(app: Data<App>, me: As<Therapist>, Query(part): Query<Part>) -> Result<Reply> {
    Reply::ok(&Page::part(store::list(&*app.db, &app.cipher, me.therapist(), None, app.clock.now()).await?, &part)?)
}

/// A calendar to be subscribed to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCalendar {
    url: CalendarUrl,
    label: CalendarLabel,
    /// What days without a time do in it: `block`, unless it is said. To choose otherwise, leave the calendar and subscribe anew.
    #[serde(default)]
    all_day: AllDay,
}

/// Subscribe to a calendar elsewhere
///
/// Reads an iCalendar (RFC 5545) at once, and then every 15 minutes or so. While it is busy, nothing can be booked; visits that are
/// booked already stay. Of its events the beginning and the end are kept and nothing else. The address is a secret, and is not shown
/// again. It must be https, at a public address: what cannot be one is refused at once, names of local networks too. The port is 443, or
/// one from 1024 on. From one host, a therapist's calendars are fetched once a minute at most: until then, a new one is `pending`.
#[utoipa::path(tag = "Calendars", operation_id = "create_calendar", security(("bearer" = ["therapist"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = NewCalendar, responses((status = 201, description = "The calendar, which is read in a moment.", body = Calendar,
     headers(("Location" = String, description = "Where it is found.")))),
    extensions(("x-refusals" = json!(refused![CalendarKnown, TooManyCalendars]))))]
#[post("/v1/therapists/me/calendars")]
async fn create_calendar(
    app: Data<App>,
    me: As<Therapist>,
    key: IdempotencyKey,
    Json(new, print): Json<NewCalendar>,
) -> Result<Reply> {
    app.part::<Fetcher>()?.admits(&new.url).map_err(|why| FieldError::new("/url", why.sentence()))?;
    uninterrupted(async move {
        let now = app.clock.now();
        let mut work = app.begin(Some(me.account())).await?;
        let once = Once::claim(&mut work, "POST /v1/therapists/me/calendars", key, print).await?;
        work.lock_time(me.therapist()).await?;
        let urls = store::urls(&mut work, &app.cipher, me.therapist()).await?;
        if urls.len() >= MOST_CALENDARS {
            return Err(Refusal::TooManyCalendars.into());
        }
        if urls.contains(&new.url) {
            return Err(Refusal::CalendarKnown.into());
        }
        let id = CalendarId::new(now);
        let url = store::sealed(&app.cipher, id, &new.url)?;
        store::insert(&mut work, me.therapist(), id, url, &new.label, new.all_day, now).await?;
        enqueue(&mut work, &ReadCalendar { calendar: id, therapist: me.therapist() }, now).await?;
        let calendar = store::find(&mut **work, &app.cipher, me.therapist(), id, now).await?.ok_or(Error::NotFound)?;
        let reply = Reply::created(format!("/v1/therapists/me/calendars/{id}"), &calendar)?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Show a calendar elsewhere
///
/// How reading it goes.
#[utoipa::path(tag = "Calendars", operation_id = "get_calendar", security(("bearer" = ["therapist"])),
    params(("id" = CalendarId, Path, description = "The calendar.")),
    responses((status = 200, description = "The calendar.", body = Calendar)))]
#[get("/v1/therapists/me/calendars/{id}")]
async fn get_calendar(app: Data<App>, me: As<Therapist>, Path(id): Path<CalendarId>) -> Result<Reply> {
    Reply::ok(&store::find(&*app.db, &app.cipher, me.therapist(), id, app.clock.now()).await?.ok_or(Error::NotFound)?)
}

/// Leave a calendar elsewhere
///
/// It is not read any more, and its busy time can be booked.
#[utoipa::path(tag = "Calendars", operation_id = "delete_calendar", security(("bearer" = ["therapist"])),
    params(("id" = CalendarId, Path, description = "The calendar.")),
    responses((status = 204, description = "The calendar is gone, and all that was read of it.")))]
#[delete("/v1/therapists/me/calendars/{id}")]
async fn delete_calendar(app: Data<App>, me: As<Therapist>, Path(id): Path<CalendarId>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        work.lock_time(me.therapist()).await?;
        let existed = store::delete(&mut work, me.therapist(), id).await?;
        work.commit().await?;
        if existed { Ok(Reply::none()) } else { Err(Error::NotFound) }
    })
    .await
}

/// Read a calendar elsewhere now
///
/// Reads it in a moment, also where it has failed and would be tried later. Once a minute at most; sooner is 429.
#[utoipa::path(tag = "Calendars", operation_id = "refresh_calendar", security(("bearer" = ["therapist"])),
    params(("id" = CalendarId, Path, description = "The calendar.")),
    responses((status = 202, description = "The calendar as it is; it is read in a moment.", body = Calendar)))]
#[post("/v1/therapists/me/calendars/{id}/refresh")]
async fn refresh_calendar(app: Data<App>, me: As<Therapist>, Path(id): Path<CalendarId>) -> Result<Reply> {
    uninterrupted(async move {
        let now = app.clock.now();
        let mut work = app.begin(Some(me.account())).await?;
        let asked = store::asked_at(&mut work, me.therapist(), id).await?.ok_or(Error::NotFound)?;
        let wait = (asked + ASK_AGAIN - now).num_seconds();
        if wait > 0 {
            // At once, and not some time after the answer: who reads what is due passes over a calendar that is locked.
            work.rollback().await?;
            return Err(Error::TooManyRequests(wait.unsigned_abs()));
        }
        store::ask(&mut work, id, now).await?;
        enqueue(&mut work, &ReadCalendar { calendar: id, therapist: me.therapist() }, now).await?;
        let calendar = store::find(&mut **work, &app.cipher, me.therapist(), id, now).await?.ok_or(Error::NotFound)?;
        work.commit().await?;
        Reply::accepted(&calendar)
    })
    .await
}

/// A feed of one's own visits.
#[derive(Serialize, ToSchema)]
struct CalendarFeed {
    /// When its address was made.
    created_at: DateTime<Utc>,
}

/// A feed of one's own visits, with its address.
#[derive(Serialize, ToSchema)]
struct CalendarFeedMade {
    /// Where a calendar app reads it. Whoever knows it can read it; it is not shown again.
    #[schema(example = "https://knead.example/v1/calendar-feeds/bm90LWEtcmVhbC10b2tlbi1idXQtb2YtdGhlLXNpemU.ics")]
    url: String,
    /// When it was made.
    created_at: DateTime<Utc>,
}

/// Show my feed
///
/// Whether the caller's visits can be read as a calendar, and since when. The address is shown only when it is made.
#[utoipa::path(tag = "Calendars", operation_id = "get_calendar_feed_settings", security(("bearer" = ["client", "therapist"])), responses(
    (status = 200, description = "There is one.", body = CalendarFeed),
    (status = 404, description = "There is none.", body = Problem, content_type = "application/problem+json")))]
#[get("/v1/me/calendar-feed")]
async fn get_calendar_feed_settings(app: Data<App>, me: As<Parties>) -> Result<Reply> {
    let created_at = store::feed_since(&app.db, me.account()).await?.ok_or(Error::NotFound)?;
    Reply::ok(&CalendarFeed { created_at })
}

/// Make my feed
///
/// Makes a secret address at which a calendar app can read the caller's visits, and shows it once. An address that was made before
/// stops working: where the answer is lost, ask again.
#[utoipa::path(tag = "Calendars", operation_id = "create_calendar_feed", security(("bearer" = ["client", "therapist"])), responses(
    (status = 201, description = "The feed, with its address.", body = CalendarFeedMade,
     headers(("Location" = String, description = "Where the feed is looked after."))),
))]
#[post("/v1/me/calendar-feed")]
async fn create_calendar_feed(app: Data<App>, me: As<Parties>) -> Result<Reply> {
    uninterrupted(async move {
        let now = app.clock.now();
        let token = RefreshToken::generate()?;
        let mut work = app.begin(Some(me.account())).await?;
        store::put_feed(&mut work, me.account(), &token, now).await?;
        work.commit().await?;
        let url = format!("{}/v1/calendar-feeds/{}.ics", app.part::<Tokens>()?.issuer(), token.into_string());
        Reply::created("/v1/me/calendar-feed".to_owned(), &CalendarFeedMade { url, created_at: now })
    })
    .await
}

/// Revoke my feed
///
/// Its address stops working.
#[utoipa::path(tag = "Calendars", operation_id = "delete_calendar_feed", security(("bearer" = ["client", "therapist"])), responses(
    (status = 204, description = "The feed is gone."),
    (status = 404, description = "There is none.", body = Problem, content_type = "application/problem+json")))]
#[delete("/v1/me/calendar-feed")]
async fn delete_calendar_feed(app: Data<App>, me: As<Parties>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let existed = store::delete_feed(&mut work, me.account()).await?;
        work.commit().await?;
        if existed { Ok(Reply::none()) } else { Err(Error::NotFound) }
    })
    .await
}

/// Read a feed
///
/// The visits of whoever made it, from 30 days ago on, as an iCalendar (RFC 5545). It tells when they are, and to a therapist in which
/// suburb, and nothing else. Visits that were called off are shown as cancelled.
#[utoipa::path(tag = "Calendars", operation_id = "get_calendar_feed",
    params(("token" = String, Path, description = "The secret, with or without `.ics` at its end.")), responses(
    (status = 200, description = "The calendar.", body = String, content_type = "text/calendar"),
))]
#[get("/v1/calendar-feeds/{token}")]
async fn get_calendar_feed(app: Data<App>, Path(token): Path<String>) -> Result<Reply> {
    let token = RefreshToken::sent(token.strip_suffix(".ics").unwrap_or(&token));
    let owner = store::feed_owner(&app.db, &token).await?.ok_or(Error::NotFound)?;
    let now = app.clock.now();
    let entries = bookings::entries::entries(&app.db, owner, now - feed::BACK, now).await?;
    Ok(Reply::text(feed::write(&entries), "text/calendar; charset=utf-8"))
}
