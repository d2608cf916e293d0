//! A therapist's day at a glance.

use actix_web::get;
use actix_web::web::Data;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::Booking;
use super::lifecycle::Party;
use super::steps::viewer;
use super::store;
use super::views::{BookingView, Known, Viewer};
use crate::App;
use crate::auth::{As, Therapist};
use crate::availability::travel::Roads;
use crate::availability::travel::{Journey, Traffic};
use crate::db::uninterrupted;
use crate::error::Result;
use crate::http::{Query, Reply};
use crate::ids::{AccountId, ServiceId};
use crate::therapists;
use crate::values::wall_clock::{Face, dates};
use crate::values::{Day, Point, Zone};

/// The day at a glance.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(get_my_day);
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DayQuery {
    /// The date, in the therapist's zone.
    #[param(inline)]
    date: Day,
}

/// A visit of the day, and how the therapist gets to it.
#[derive(Debug, Serialize, ToSchema)]
struct DayVisit {
    /// The visit.
    booking: BookingView,
    /// How the therapist gets there; null for the first visit.
    from_previous: Option<FromPrevious>,
}

/// What lies between a visit and the one before.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct FromPrevious {
    /// Minutes from the end of the one on the table to the start of the other.
    #[schema(example = 60)]
    gap_minutes: i64,
    /// Minutes on the way.
    #[schema(example = 14)]
    travel_minutes: i32,
    /// Minutes that are left besides the way, packing up there and setting up here; negative where it is too tight.
    #[schema(example = 26)]
    spare_minutes: i64,
}

/// A day's visits.
#[derive(Debug, Serialize, ToSchema)]
struct DayView {
    /// The date.
    date: Day,
    /// The zone that it is a date in: the therapist's.
    time_zone: Zone,
    /// Visits that start on it and are to take place, do or did, in order; requests that wait for an answer too.
    visits: Vec<DayVisit>,
    /// The whole of them.
    totals: DayTotals,
}

/// A day's visits as a whole.
#[derive(Debug, Serialize, ToSchema)]
struct DayTotals {
    #[schema(example = 3)]
    visits: usize,
    /// Minutes on the table.
    #[schema(example = 240)]
    table_minutes: i32,
    /// Minutes on the way from one visit to the next.
    #[schema(example = 28)]
    travel_minutes: i32,
}

/// Show a day
///
/// The therapist's visits of a local date in order, with the way between them. Each shows what it would show alone: the door
/// while the visit is on, and each such look is written down.
#[utoipa::path(tag = "Bookings", operation_id = "get_my_day", security(("bearer" = ["therapist"])), params(DayQuery),
    responses((status = 200, description = "The day.", body = DayView)))]
#[get("/v1/therapists/me/day")]
async fn get_my_day(app: Data<App>, me: As<Therapist>, Query(query): Query<DayQuery>) -> Result<Reply> {
    uninterrupted(async move {
        let now = app.clock.now();
        let profile = therapists::profile(&*app.db, me.therapist()).await?;
        let Day(date) = query.date;
        let span = dates(profile.time_zone, date, date);
        let mut work = app.begin(Some(me.account())).await?;
        let found = store::starting_within(&mut work, me.therapist(), span, now).await?;
        let places: Vec<Point> = found.iter().map(|visit| visit.address.point()).collect();
        let roads = app.part::<Roads>()?.between(&mut **work, profile.travel_mode, &places, now).await?;
        let face = Face::new(profile.time_zone, span);
        let between = |before: &Booking, after: &Booking| {
            let gap_minutes = (after.start_at - before.end_at()).num_minutes();
            let leaves = before.end_at() + TimeDelta::minutes(profile.packup_minutes.into());
            let way = Journey::new(profile.travel_mode, before.address.point(), after.address.point(), &roads);
            let travel_minutes = way.minutes(Traffic::at(face.minute(leaves)));
            let taken = travel_minutes + profile.packup_minutes + profile.setup_minutes;
            FromPrevious { gap_minutes, travel_minutes, spare_minutes: gap_minutes - i64::from(taken) }
        };
        let ways: Vec<FromPrevious> = found.windows(2).map(|pair| between(&pair[0], &pair[1])).collect();
        let totals = DayTotals {
            visits: found.len(),
            table_minutes: found.iter().map(|visit| i32::from(visit.duration_minutes)).sum(),
            travel_minutes: ways.iter().map(|way| way.travel_minutes).sum(),
        };
        let people: Vec<AccountId> = found.iter().flat_map(|visit| [visit.client, visit.therapist.into()]).collect();
        let services: Vec<ServiceId> = found.iter().map(|visit| visit.service).collect();
        let known =
            Known::read(&mut work, &people, &services, Viewer::Disclosed).await?.around(&mut work, &found).await?;
        let shown: Vec<&Booking> =
            found.iter().filter(|visit| viewer(visit, Party::Therapist, now) == Viewer::Disclosed).collect();
        store::record_disclosures(&mut work, &shown).await?;
        let mut visits = Vec::with_capacity(found.len());
        let from_previous = std::iter::once(None).chain(ways.into_iter().map(Some));
        for (booking, from_previous) in found.into_iter().zip(from_previous) {
            let viewer = viewer(&booking, Party::Therapist, now);
            visits.push(DayVisit { booking: known.view(&app.cipher, booking, viewer)?, from_previous });
        }
        work.commit().await?;
        Reply::ok(&DayView { date: query.date, time_zone: profile.time_zone, visits, totals })
    })
    .await
}
