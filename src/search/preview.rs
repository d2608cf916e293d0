//! A therapist's own view of their time: what is worked, what is taken by what, and what is left.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::get;
use actix_web::web::Data;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use crate::App;
use crate::auth::{As, Therapist};
use crate::availability::travel::Roads;
use crate::availability::travel::{Journey, LONGEST_MINUTES, Traffic};
use crate::availability::unbookable::UnbookableStretch;
use crate::availability::{self, Diary, Enquiry, MARGIN, Purpose, diaries};
use crate::error::{Error, Result};
use crate::http::{Origin, Query, Reply};
use crate::ids::{BookingId, TherapistId};
use crate::search::Searches;
use crate::values::wall_clock::{Face, dates};
use crate::values::{Day, Span, Zone, dates_between, merged, without};

/// The operation on one's own time.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(get_availability);
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DatesQuery {
    /// The first date, in the caller's zone.
    #[param(inline)]
    from: Day,
    /// The last date, included; at most 14 days.
    #[param(inline)]
    to: Day,
}

/// What a stretch of time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum IntervalKind {
    /// Working hours, with those that touch made one.
    Window,
    /// The time on the table of a booked or requested visit.
    Visit,
    /// The time on the table of a slot that a client holds.
    Hold,
    /// The time on the table that an open counter-offer would move its visit to; where the two overlap, what it adds.
    CounterOffer,
    /// Setting up for what follows.
    SetUp,
    /// Packing up after what was before.
    PackUp,
    /// The way from one visit, hold or counter-offer to the next.
    Travel,
    /// Time off.
    TimeOff,
    /// Taken by something in another calendar.
    Busy,
    /// Working hours of which nothing else takes a part.
    Free,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
struct Interval {
    /// What it is.
    kind: IntervalKind,
    /// When it begins.
    start_at: DateTime<Utc>,
    /// When it ends.
    end_at: DateTime<Utc>,
    /// The booking of a visit or a counter-offer, its set-up and its pack-up.
    booking_id: Option<BookingId>,
}

/// A therapist's time on some dates.
#[derive(Debug, Serialize, ToSchema)]
struct AvailabilityPreview {
    /// The zone in which the dates are meant.
    time_zone: Zone,
    /// By their beginning. Windows, time off and what is free are cut to the dates; what belongs to a visit is whole.
    data: Vec<Interval>,
    /// The windows in which no visit can ever be booked, whole: none that is offered fits into them from any start.
    unbookable: Vec<UnbookableStretch>,
}

/// Preview my availability
///
/// The caller's working hours on some dates, what takes them (visits, holds and open counter-offers with their set-up and pack-up,
/// the ways between them, time off) and what is left free; and of the working hours, those that can never be booked. Whether a visit fits into what is free depends on its place too: ask for slots.
#[utoipa::path(tag = "Availability", operation_id = "get_availability", security(("bearer" = ["therapist"])),
    params(DatesQuery),
    responses((status = 200, description = "The intervals.", body = AvailabilityPreview)))]
#[get("/v1/therapists/me/availability")]
async fn get_availability(
    app: Data<App>,
    me: As<Therapist>,
    origin: Origin,
    Query(query): Query<DatesQuery>,
) -> Result<Reply> {
    let app = app.into_inner();
    let preview = preview(app.clone(), me.therapist(), query);
    app.part::<Searches>()?.run(Some(me.principal), origin, preview).await.and_then(|preview| Reply::ok(&preview))
}

/// The therapist's time on the dates that they ask for.
async fn preview(app: Arc<App>, me: TherapistId, query: DatesQuery) -> Result<AvailabilityPreview> {
    let now = app.clock.now();
    let (Day(from), Day(to)) = (query.from, query.to);
    dates_between(from, to)?;
    let zone = availability::zone(&app.db, me).await?;
    let span = dates(zone, from, to);
    let asked = Enquiry::default();
    let mut diaries = diaries(&*app.db, &[me], asked, span, now).await?;
    app.part::<Roads>()?.fill_between(&*app.db, &mut diaries, now).await?;
    let diary = diaries.pop().ok_or(Error::NotFound)?;
    let busy = availability::busy(&*app.db, me, span).await?;
    let lengths = availability::lengths(&app.db, me, span).await?;
    let unbookable = availability::fit(&*app.db, me).await?.unbookable(&diary.hours, diary.zone, span);
    Ok(AvailabilityPreview { time_zone: zone, data: intervals(&diary, &merged(busy), &lengths, span), unbookable })
}

/// The intervals of a diary within `span`, of which other calendars make therapists `busy`; `lengths` are the minutes on the table by the beginning of each reservation.
fn intervals(diary: &Diary, busy: &[Span], lengths: &HashMap<DateTime<Utc>, i16>, span: Span) -> Vec<Interval> {
    let mut found: Vec<Interval> = Vec::new();
    let mut add = |kind, part: Span, booking_id| {
        if part.start < part.end && part.overlaps(span) {
            found.push(Interval { kind, start_at: part.start, end_at: part.end, booking_id });
        }
    };
    let mut taken = diary.time_off.clone();
    // The diary has both in one.
    for (kind, parts) in [(IntervalKind::TimeOff, without(&diary.time_off, busy)), (IntervalKind::Busy, busy.to_vec())]
    {
        parts.iter().filter_map(|part| part.intersection(span)).for_each(|part| add(kind, part, None));
    }
    for other in &diary.reservations {
        let Span { start, end } = other.during;
        let length = lengths.get(&start);
        let table_end = length.map_or(end, |minutes| other.start_at + TimeDelta::minutes((*minutes).into()));
        let kind = match other.purpose {
            Purpose::Hold => IntervalKind::Hold,
            Purpose::Visit(_) => IntervalKind::Visit,
            Purpose::CounterOffer(_) => IntervalKind::CounterOffer,
        };
        let parts = [
            (IntervalKind::SetUp, Span { start, end: other.start_at }),
            (kind, Span { start: other.start_at, end: table_end }),
            (IntervalKind::PackUp, Span { start: table_end, end }),
        ];
        for (kind, part) in parts {
            part.intersection(other.during).into_iter().for_each(|part| add(kind, part, other.booking()));
        }
        taken.push(other.during);
    }
    for way in ways(diary, span) {
        add(IntervalKind::Travel, way, None);
        taken.push(way);
    }
    let windows: Vec<Span> =
        diary.hours.windows(diary.zone, span).into_iter().filter_map(|window| window.intersection(span)).collect();
    for free in without(&windows, &merged(taken)) {
        add(IntervalKind::Free, free, None);
    }
    for window in windows {
        add(IntervalKind::Window, window, None);
    }
    found.sort_by_key(|interval| (interval.start_at, interval.kind, interval.end_at));
    found
}

/// The ways from each visit to the next, begun at once: as long as they take, and at most until the next begins.
fn ways(diary: &Diary, span: Span) -> impl Iterator<Item = Span> {
    let face = Face::new(diary.zone, Span { start: span.start - MARGIN, end: span.end + MARGIN });
    diary.reservations.windows(2).filter_map(move |pair| {
        let (before, after) = (pair[0], pair[1]);
        let gap = Span { start: before.during.end, end: after.during.start };
        let journey = Journey::new(diary.rules.mode, before.place, after.place, &diary.roads);
        let way = Span::of_minutes(gap.start, journey.minutes(Traffic::at(face.minute(gap.start))));
        let near = gap.end - gap.start < TimeDelta::minutes(LONGEST_MINUTES.into());
        way.intersection(gap).filter(|_| near)
    })
}
