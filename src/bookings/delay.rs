//! A therapist who is late says so: when the visit is expected to begin, and which visits after it that reaches.

use actix_web::post;
use actix_web::web::Data;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::Booking;
use super::events::{self, Taken};
use super::lifecycle::{Action, Status, Step, step};
use super::steps::{Begun, admit, begin};
use super::store;
use crate::App;
use crate::auth::{As, Therapist};
use crate::availability::travel::{Journey, Roads, Traffic};
use crate::db::uninterrupted;
use crate::error::{Refusal, Result, refused};
use crate::events::Work;
use crate::http::{IfMatch, Json, Path, Reply};
use crate::ids::BookingId;
use crate::therapists::{self, Profile};
use crate::values::wall_clock::Face;
use crate::values::{Point, Span, bounded_number};

/// The operation that tells of a delay.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(delay_booking);
}

/// The most delays of one visit that its client is told of.
const MOST: i64 = 10;

/// A visit that ended so long ago is where its therapist comes from; later they come from home.
const RECENTLY: TimeDelta = TimeDelta::hours(3);

/// So far ahead visits are looked at that a delay may reach.
const REACHED: TimeDelta = TimeDelta::hours(12);

bounded_number! {
    /// Minutes after the agreed start.
    DelayMinutes(i16) in 5 ..= 180, example 20;
}

/// How late the therapist will be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Delay {
    minutes: DelayMinutes,
}

/// When a visit is expected to begin, and what that reaches.
#[derive(Serialize, ToSchema)]
struct Delayed {
    /// When the time on the table is expected to begin.
    expected_at: DateTime<Utc>,
    /// The visits after it that begin late as well, as things stand, in order.
    hits: Vec<DelayedNext>,
}

/// A visit that begins late because of one before it.
#[derive(Serialize, ToSchema)]
struct DelayedNext {
    /// The visit.
    booking_id: BookingId,
    /// When it is to begin.
    start_at: DateTime<Utc>,
    /// By how many minutes it begins later, with the way there and setting up.
    #[schema(example = 15)]
    late_minutes: i64,
}

/// Tell of a delay
///
/// The therapist will be late: from three hours before the start until the agreed end, while they have not arrived. The client is told, and the booking says when it is expected to begin. The agreed time
/// stays, and so does what follows of it: who is not there. The answer tells which visits after it begin late as well; each of them is told of by itself. A visit is delayed ten times at the most.
#[utoipa::path(tag = "Bookings", operation_id = "delay_booking", security(("bearer" = ["therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the booking as it was read, where it matters.")),
    request_body = Delay, responses((status = 200, description = "When it is expected to begin.", body = Delayed)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, TooEarly, TooLate, TooManyDelays]))))]
#[post("/v1/bookings/{id}/delay")]
async fn delay_booking(
    app: Data<App>,
    me: As<Therapist>,
    known: IfMatch,
    Path(id): Path<BookingId>,
    Json(delay, _): Json<Delay>,
) -> Result<Reply> {
    uninterrupted(async move {
        let Begun { mut work, lock: _lock, mut booking, party } = begin(&app, &me.principal, id).await?;
        let DelayMinutes(minutes) = delay.minutes;
        let expected_at = booking.start_at + TimeDelta::minutes(minutes.into());
        let step = match step(&booking, Action::Delay, party, work.now()) {
            Ok(Step::To(_)) if booking.expected_at == Some(expected_at) => Ok(Step::Done),
            other => other,
        };
        if admit(&app, &mut work, &known, (Action::Delay, step), &booking, party).await?.is_some() {
            if store::count_steps(&mut work, id, Action::Delay).await? >= MOST {
                return Err(Refusal::TooManyDelays.into());
            }
            booking.expected_at = Some(expected_at);
            store::save_expected(&mut work, &booking).await?;
            let taken = Taken { action: Action::Delay, party, from: booking.status, reason: None };
            let details = json!({ "expected_at": expected_at, "minutes": minutes });
            work.announce(events::step(&booking, taken, details)).await?;
        }
        let hits = hits(&app, &mut work, &booking, expected_at).await?;
        work.commit().await?;
        Reply::ok(&Delayed { expected_at, hits })
    })
    .await
}

/// When `booking` can begin if its therapist sets out now, from the visit before or from home; none where it is not known where that is.
pub(super) async fn expected(app: &App, work: &mut Work, booking: &Booking) -> Result<Option<DateTime<Utc>>> {
    let now = work.now();
    let profile = therapists::profile(&mut ***work, booking.therapist).await?;
    let day = Span { start: now - REACHED, end: booking.start_at.max(now) };
    let before = store::starting_within(work, booking.therapist, day, now).await?;
    let has_just_been = |visit: &&Booking| {
        visit.id != booking.id && visit.status == Status::Completed && visit.end_at() > now - RECENTLY
    };
    let before = before.iter().rev().find(has_just_been).map(|visit| visit.address.point());
    let base = profile.base_latitude.zip(profile.base_longitude);
    let home = base.map(|(latitude, longitude)| Point { latitude, longitude });
    let Some(from) = before.or(home) else { return Ok(None) };
    let way = way(app, work, &profile, (from, booking.address.point()), now).await?;
    Ok(Some((now + way + TimeDelta::minutes(profile.setup_minutes.into())).max(booking.start_at)))
}

/// The visits after `booking` that begin late if it begins at `at`, each with what it does to the next.
async fn hits(app: &App, work: &mut Work, booking: &Booking, at: DateTime<Utc>) -> Result<Vec<DelayedNext>> {
    let now = work.now();
    let profile = therapists::profile(&mut ***work, booking.therapist).await?;
    let (setup, packup) =
        (TimeDelta::minutes(profile.setup_minutes.into()), TimeDelta::minutes(profile.packup_minutes.into()));
    let day = Span { start: booking.start_at, end: booking.start_at + REACHED };
    let after = store::starting_within(work, booking.therapist, day, now).await?;
    let mut hits = Vec::new();
    let (mut before, mut begins) = (booking, at);
    for next in after.iter().filter(|visit| visit.id != booking.id && visit.status.is_live()) {
        let leaves = begins + TimeDelta::minutes(before.duration_minutes.into()) + packup;
        let way = way(app, work, &profile, (before.address.point(), next.address.point()), leaves).await?;
        let earliest = leaves + way + setup;
        if earliest <= next.start_at {
            break;
        }
        let late_minutes = (earliest - next.start_at).num_minutes();
        hits.push(DelayedNext { booking_id: next.id, start_at: next.start_at, late_minutes });
        (before, begins) = (next, earliest);
    }
    Ok(hits)
}

/// How long the way takes whoever leaves at `leaves`.
async fn way(
    app: &App,
    work: &mut Work,
    profile: &Profile,
    (from, to): (Point, Point),
    leaves: DateTime<Utc>,
) -> Result<TimeDelta> {
    let now = work.now();
    let roads = app.part::<Roads>()?.between(&mut ***work, profile.travel_mode, &[from, to], now).await?;
    let face = Face::new(profile.time_zone, Span { start: leaves, end: leaves });
    let minutes = Journey::new(profile.travel_mode, from, to, &roads).minutes(Traffic::at(face.minute(leaves)));
    Ok(TimeDelta::minutes(minutes.into()))
}
