//! The worker: every feature's jobs, and the sweeps, each a job of its own.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::App;
use crate::bookings::jobs::FollowZoneRules;
use crate::db;
use crate::doors::{jobs, sweeps};
use crate::error::Result;
use crate::queue::{Job, Kind, Run, Sweep, Workers, enqueue_once};

/// The worker's own kinds of jobs.
pub const JOBS: &[Kind] = &[Kind::of::<SweepAll>().hourly_at(17), Kind::of::<SweepOne>()];

/// What is made and deleted for the whole house.
pub const SWEEPS: &[Sweep] = &[Sweep { name: "months", run: |app, now| Box::pin(db::make_months(&app.db, now)) }];

/// Workers for every kind of job. `stop` ends them after the jobs in hand.
pub async fn workers(
    app: &Arc<App>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<Workers, Box<dyn std::error::Error + Send + Sync>> {
    Workers::new(app, &jobs().collect::<Vec<_>>(), stop).await
}

/// Asks for what is due whenever a worker begins: it may have other rules of time zones than the one before.
pub async fn begin(app: &App) -> Result<()> {
    let mut work = app.begin(None).await?;
    let now = work.now();
    enqueue_once(&mut work, &FollowZoneRules, FollowZoneRules::NAME, now).await?;
    work.commit().await
}

/// Asks for every sweep, each a job of its own: one that fails is tried again by itself and keeps no other from its turn.
#[derive(Debug, Serialize, Deserialize)]
pub struct SweepAll;

impl Job for SweepAll {
    const NAME: &'static str = "sweep";
}

impl Run for SweepAll {
    async fn run(self, app: Arc<App>) -> Result<()> {
        let names: Vec<&str> = sweeps().map(|sweep| sweep.name).collect();
        // In one queue, so that they run one at a time; under a key each, so that one waits.
        sqlx::query(
            "SELECT graphile_worker.add_job($1, json_build_object('of', name), queue_name => $1, job_key => $1 || ':' || name,
                                            job_key_mode => 'preserve_run_at')
             FROM unnest($2::text[]) AS name",
        )
        .bind(SweepOne::NAME)
        .bind(names)
        .execute(&*app.db)
        .await?;
        Ok(())
    }
}

/// Carries out one sweep.
#[derive(Debug, Serialize, Deserialize)]
pub struct SweepOne {
    /// Its name.
    of: String,
}

impl Job for SweepOne {
    const NAME: &'static str = "sweep_one";
}

impl Run for SweepOne {
    async fn run(self, app: Arc<App>) -> Result<()> {
        match sweeps().find(|sweep| sweep.name == self.of) {
            Some(sweep) => (sweep.run)(&app, app.clock.now()).await,
            // An older version asked for it.
            None => Ok(()),
        }
    }
}
