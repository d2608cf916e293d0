//! Time off over HTTP, with the bookings that it hits.

mod store;

use actix_web::web::Data;
use actix_web::{delete, get, patch, post};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgExecutor;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

pub use store::{NOTE, is_unfit};

use super::reservations;
use super::schedule::{TimeOff, TimeOffNote, TimeOffView};
use crate::App;
use crate::auth::{As, Therapist};
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Refusal, Result, refused};
use crate::events::{Event, Party};
use crate::http::{IfMatch, Json, Page, Paging, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{TherapistId, TimeOffId};
use crate::values::{Instant, Span, present};

/// How many times off that are not over one therapist may plan: every search reads them.
const MOST_TIME_OFF: i64 = 500;

/// The operations on time off.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list_time_off).service(create_time_off);
    config.service(get_time_off).service(update_time_off).service(delete_time_off);
}

/// Each time off with the live bookings that it hits at `now`, found in one statement.
async fn with_hits<'c>(
    db: impl PgExecutor<'c>,
    therapist: TherapistId,
    time_off: Vec<TimeOff>,
    now: DateTime<Utc>,
) -> Result<Vec<TimeOffView>> {
    let spans: Vec<Span> = time_off.iter().map(|off| Span { start: off.start_at, end: off.end_at }).collect();
    let hits = reservations::within(db, therapist, &spans, now).await?;
    Ok(time_off.into_iter().zip(hits).map(|(time_off, bookings)| TimeOffView { time_off, bookings }).collect())
}

/// The same for one.
async fn view<'c>(
    db: impl PgExecutor<'c>,
    therapist: TherapistId,
    time_off: TimeOff,
    now: DateTime<Utc>,
) -> Result<TimeOffView> {
    with_hits(db, therapist, vec![time_off], now).await?.pop().ok_or(Error::NotFound)
}

/// List my time off
///
/// The caller's time off, by its beginning, each with the live bookings that it hits now.
#[utoipa::path(tag = "Availability", operation_id = "list_time_off", security(("bearer" = ["therapist"])),
    params(Paging),
    responses((status = 200, description = "A page of time off.", body = Page<TimeOffView>)))]
#[get("/v1/therapists/me/time-off")]
async fn list_time_off(app: Data<App>, me: As<Therapist>, Query(query): Query<Paging>) -> Result<Reply> {
    let after = query.cursor.map(|cursor| cursor.key()).transpose()?;
    let after = after.map(|(Instant(start), id): (Instant, TimeOffId)| (start, id));
    let found = store::list(&app.db, &app.cipher, me.therapist(), after, query.limit.probe()).await?;
    let page = Page::cut(found, query.limit, |off| (off.start_at, off.id))?;
    let data = with_hits(&*app.db, me.therapist(), page.data, app.clock.now()).await?;
    Reply::ok(&Page { data, next_cursor: page.next_cursor })
}

/// A time off to be taken.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTimeOff {
    start_at: Instant,
    end_at: Instant,
    note: Option<TimeOffNote>,
    #[serde(default)]
    #[schema(inline)]
    visits: VisitsInTimeOff,
}

/// What becomes of the confirmed visits within time off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VisitsInTimeOff {
    /// They take place. Staff are told of those that begin within a day.
    #[default]
    Keep,
    /// Somebody else is to take them over, and their clients are told; a day before its start, or after two hours of search, what nobody takes over is
    /// called off.
    HandOver,
    /// The same, because the therapist is not fit to treat, as with a fever: of the visits of the next 48 hours nothing is held against them. For time off that
    /// begins within these.
    Unfit,
}

/// How far ahead a therapist can know not to be fit.
pub const UNFIT_WITHIN: TimeDelta = TimeDelta::hours(48);

/// What is announced of time off: not why it is taken.
fn event(kind: &str, therapist: TherapistId, time_off: &TimeOff, visits: VisitsInTimeOff) -> Event {
    let details = json!({ "start_at": time_off.start_at, "end_at": time_off.end_at, "visits": visits });
    Event { party: Some(Party::Therapist), ..Event::new(kind, "time_off", time_off.id).about(therapist).with(details) }
}

/// Time off must last.
fn refuse_backwards(start: DateTime<Utc>, end: DateTime<Utc>) -> Result<()> {
    if end > start { Ok(()) } else { Err(FieldError::new("/end_at", "must come after `start_at`.").into()) }
}

/// Take time off
///
/// Nothing can be booked in it from now on. Visits that are booked within it are listed. `visits` says whether they take place nevertheless, or are
/// handed over, with or without the therapist to answer for it. It may touch and overlap other time off.
#[utoipa::path(tag = "Availability", operation_id = "create_time_off", security(("bearer" = ["therapist"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = NewTimeOff, responses((status = 201, description = "The time off, and the bookings that it hits.", body = TimeOffView,
     headers(("Location" = String, description = "Where the time off is found.")))),
    extensions(("x-refusals" = json!(refused![TooMuchTimeOff]))))]
#[post("/v1/therapists/me/time-off")]
async fn create_time_off(
    app: Data<App>,
    me: As<Therapist>,
    key: IdempotencyKey,
    Json(new, print): Json<NewTimeOff>,
) -> Result<Reply> {
    uninterrupted(async move {
        let now = app.clock.now();
        let (Instant(start_at), Instant(end_at)) = (new.start_at, new.end_at);
        refuse_backwards(start_at, end_at)?;
        if new.visits == VisitsInTimeOff::Unfit && start_at > now + UNFIT_WITHIN {
            return Err(FieldError::new("/visits", "is `unfit` only for time off that begins within 48 hours.").into());
        }
        let note = new.note.map(|note| note.as_str().to_owned());
        let time_off = TimeOff { id: TimeOffId::new(now), start_at, end_at, note };
        let mut work = app.begin(Some(me.account())).await?;
        let once = Once::claim(&mut work, "POST /v1/therapists/me/time-off", key, print).await?;
        work.lock_time(me.therapist()).await?;
        if store::count(&mut work, me.therapist(), now).await? >= MOST_TIME_OFF {
            return Err(Refusal::TooMuchTimeOff.into());
        }
        let unfit = new.visits == VisitsInTimeOff::Unfit;
        store::insert(&mut work, &app.cipher, me.therapist(), (&time_off, unfit)).await?;
        // That a therapist is not fit is about their health, which no event tells of.
        let visits = if unfit { VisitsInTimeOff::HandOver } else { new.visits };
        work.announce(event("time_off.create", me.therapist(), &time_off, visits)).await?;
        let location = format!("/v1/therapists/me/time-off/{}", time_off.id);
        let reply = Reply::created(location, &view(&mut **work, me.therapist(), time_off, now).await?)?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Show a time off
///
/// A time off with the live bookings that it hits now.
#[utoipa::path(tag = "Availability", operation_id = "get_time_off", security(("bearer" = ["therapist"])),
    params(("id" = TimeOffId, Path, description = "The time off.")),
    responses((status = 200, description = "The time off.", body = TimeOffView)))]
#[get("/v1/therapists/me/time-off/{id}")]
async fn get_time_off(app: Data<App>, me: As<Therapist>, Path(id): Path<TimeOffId>) -> Result<Reply> {
    let time_off = store::find(&*app.db, &app.cipher, me.therapist(), id).await?.ok_or(Error::NotFound)?;
    Reply::ok(&view(&*app.db, me.therapist(), time_off, app.clock.now()).await?)
}

/// What of a time off is to change: what is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TimeOffPatch {
    start_at: Option<Instant>,
    end_at: Option<Instant>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<TimeOffNote>)]
    note: Option<Option<TimeOffNote>>,
}

impl TimeOffPatch {
    fn apply(self, current: TimeOff) -> TimeOff {
        let note = |note: TimeOffNote| note.as_str().to_owned();
        TimeOff {
            id: current.id,
            start_at: self.start_at.map_or(current.start_at, |Instant(at)| at),
            end_at: self.end_at.map_or(current.end_at, |Instant(at)| at),
            note: self.note.map_or(current.note, |new| new.map(note)),
        }
    }
}

/// Change a time off
///
/// Moves it, or changes its note. What it leaves can be booked again; visits that are booked within it are listed and stay booked.
#[utoipa::path(tag = "Availability", operation_id = "update_time_off", security(("bearer" = ["therapist"])),
    params(("id" = TimeOffId, Path, description = "The time off."),
           ("If-Match" = String, Header, description = "The ETag of the time off as it was read.")),
    request_body = TimeOffPatch,
    responses((status = 200, description = "The time off as it is now.", body = TimeOffView)),
    extensions(("x-refusals" = json!(refused![TooMuchTimeOff]))))]
#[patch("/v1/therapists/me/time-off/{id}")]
async fn update_time_off(
    app: Data<App>,
    me: As<Therapist>,
    Path(id): Path<TimeOffId>,
    if_match: IfMatch,
    Json(patch, _): Json<TimeOffPatch>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        work.lock_time(me.therapist()).await?;
        let now = app.clock.now();
        let current = store::find(&mut **work, &app.cipher, me.therapist(), id).await?.ok_or(Error::NotFound)?;
        if_match.check(&view(&mut **work, me.therapist(), current.clone(), now).await?)?;
        let was_over = current.end_at <= now;
        let changed = patch.apply(current);
        refuse_backwards(changed.start_at, changed.end_at)?;
        // What is over does not count: to move it ahead is as good as to enter it anew.
        if was_over && changed.end_at > now && store::count(&mut work, me.therapist(), now).await? >= MOST_TIME_OFF {
            return Err(Refusal::TooMuchTimeOff.into());
        }
        store::update(&mut work, &app.cipher, me.therapist(), &changed).await?;
        let view = view(&mut **work, me.therapist(), changed, now).await?;
        work.commit().await?;
        Reply::ok(&view)
    })
    .await
}

/// End a time off
///
/// The time can be booked again. Visits that were handed over in it, and that nobody has taken over, are the therapist's own again.
#[utoipa::path(tag = "Availability", operation_id = "delete_time_off", security(("bearer" = ["therapist"])),
    params(("id" = TimeOffId, Path, description = "The time off.")),
    responses((status = 204, description = "The time off is gone.")))]
#[delete("/v1/therapists/me/time-off/{id}")]
async fn delete_time_off(app: Data<App>, me: As<Therapist>, Path(id): Path<TimeOffId>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        work.lock_time(me.therapist()).await?;
        let found = store::find(&mut **work, &app.cipher, me.therapist(), id).await?.ok_or(Error::NotFound)?;
        store::delete(&mut work, me.therapist(), id).await?;
        work.announce(event("time_off.delete", me.therapist(), &found, VisitsInTimeOff::Keep)).await?;
        work.commit().await?;
        Ok(Reply::none())
    })
    .await
}
