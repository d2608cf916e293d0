//! What is done later with a therapist's time.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{hints, past, reservations, travel};
use crate::App;
use crate::error::Result;
use crate::queue::{Job, Kind, Run, Sweep};

/// The kinds of jobs that are carried out here.
pub const JOBS: &[Kind] = &[Kind::of::<RefreshHints>().every_minutes(1), Kind::of::<FetchRoadTimes>().elsewhere()];

/// What is deleted here in the end.
pub const SWEEPS: &[Sweep] = &[
    Sweep { name: "reserved_time", run: |app, now| Box::pin(past::forget_reserved(&app.db, now)) },
    Sweep { name: "lapsed_time", run: |app, now| Box::pin(reservations::forget_lapsed(&app.db, now)) },
    Sweep { name: "time_off", run: |app, now| Box::pin(past::forget_time_off(&app.db, now)) },
    Sweep { name: "overrides", run: |app, now| Box::pin(past::forget_overrides(&app.db, now)) },
    Sweep { name: "timetables", run: |app, now| Box::pin(past::forget_timetables(&app.db, now)) },
    Sweep { name: "road_times", run: |app, now| Box::pin(travel::tidy(app, now)) },
];

/// Makes the hints of searches anew where they are behind, missing or near their end.
#[derive(Debug, Serialize, Deserialize)]
pub struct RefreshHints;

impl Job for RefreshHints {
    const NAME: &'static str = "refresh_hints";
}

impl Run for RefreshHints {
    async fn run(self, app: Arc<App>) -> Result<()> {
        hints::refresh(&app.db, app.clock.now()).await.map(drop)
    }
}

/// Asks the routing service for the road times that decisions have missed.
#[derive(Debug, Serialize, Deserialize)]
pub struct FetchRoadTimes;

impl Job for FetchRoadTimes {
    const NAME: &'static str = "fetch_road_times";
}

impl Run for FetchRoadTimes {
    async fn run(self, app: Arc<App>) -> Result<()> {
        travel::fetch(&app).await
    }
}
