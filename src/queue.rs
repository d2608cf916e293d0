//! Work that is done later: queued in the transaction that makes it necessary, carried out by a worker,
//! tried again until it succeeds. Every job looks at the present state first, so that running one twice, or
//! late, does no harm.
//!
//! A feature lists its kinds of jobs as `JOBS` and its sweeps as `SWEEPS`; `doors.rs` lists the features.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use graphile_worker::{
    CronJobKeyMode, Crontab, CrontabTimer, CrontabTimerError, IntoTaskHandlerResult, JobDefinition, TaskHandler,
    Worker, WorkerContext, WorkerOptions,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::App;
use crate::db::{BATCH, Tx, in_batches};
use crate::error::{Error, Refusal, Result};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A job as the queue keeps it. It is declared by the feature that makes it necessary.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name of its kind. Jobs in the queue bear it, so that it must not change.
    const NAME: &'static str;
}

/// What a job does. The feature that does it may stand on a higher floor than the one that asks for it.
pub trait Run: Job {
    /// Carries the job out. Whoever finds that another has done it meanwhile may refuse it with `invalid_transition`.
    fn run(self, app: Arc<App>) -> impl Future<Output = Result<()>> + Send;
}

/// A kind of job: what carries it out, where, and how often by itself.
#[derive(Clone, Copy)]
pub struct Kind {
    name: &'static str,
    define: fn() -> JobDefinition,
    again: Option<Again>,
    elsewhere: bool,
}

/// How often a job is added by itself.
#[derive(Clone, Copy)]
enum Again {
    EveryMinutes(u32),
    HourlyAt(u32),
}

impl Kind {
    /// The kind of the jobs `J`.
    pub const fn of<J: Run>() -> Self {
        Self { name: J::NAME, define: JobDefinition::of::<Body<J>>, again: None, elsewhere: false }
    }

    /// Has one added every so many minutes.
    pub const fn every_minutes(self, minutes: u32) -> Self {
        Self { again: Some(Again::EveryMinutes(minutes)), ..self }
    }

    /// Has one added in this minute of every hour.
    pub const fn hourly_at(self, minute: u32) -> Self {
        Self { again: Some(Again::HourlyAt(minute)), ..self }
    }

    /// Gives it places apart from other jobs, because it waits for other people's servers: no lapse and no reminder waits behind it.
    pub const fn elsewhere(self) -> Self {
        Self { elsewhere: true, ..self }
    }

    /// When it is added by itself, if it is. One runs at a time and one waits, because a slow run would else leave a heap behind it, and
    /// fill every place of the worker.
    fn crontab(&self) -> Option<Result<Crontab, CrontabTimerError>> {
        let timer = match self.again? {
            Again::EveryMinutes(minutes) => CrontabTimer::every_n_minutes(minutes),
            Again::HourlyAt(minute) => CrontabTimer::hourly_at(minute),
        };
        Some(timer.map(|timer| {
            let mut cron = Crontab::new(timer, self.name);
            cron.options.job_key = Some(self.name.to_owned());
            cron.options.queue = Some(self.name.to_owned());
            // Each minute that it waits would otherwise put a job that is late off for another minute.
            cron.options.job_key_mode = Some(CronJobKeyMode::PreserveRunAt);
            cron
        }))
    }
}

/// A job as its worker takes it.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Body<J>(J);

impl<J: Run> TaskHandler for Body<J> {
    const IDENTIFIER: &'static str = J::NAME;

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let app = app(&context).map_err(|error| error.to_string())?;
        to_end(self.0.run(app)).await
    }
}

#[derive(Clone)]
struct Shared(Arc<App>);

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared(App)")
    }
}

fn app(context: &WorkerContext) -> Result<Arc<App>> {
    let shared = context.get_ext::<Shared>();
    shared.map(|shared| shared.0.clone()).ok_or_else(|| Error::Internal("the worker has no app".to_owned()))
}

/// Carries out what may take minutes, also where the worker is told to stop meanwhile. What is not to be done any more, since
/// another has done it, is done.
async fn to_end(job: impl Future<Output = Result<()>> + Send + 'static) -> Result<(), String> {
    match tokio::spawn(job).await {
        Ok(Ok(()) | Err(Error::Refused(Refusal::InvalidTransition))) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// Adds `job`, due at `due`, when the transaction commits, and not otherwise.
pub async fn enqueue<J: Job>(tx: &mut Tx, job: &J, due: DateTime<Utc>) -> Result<()> {
    let payload = serde_json::to_value(job).map_err(|error| Error::Internal(error.to_string()))?;
    // Not a checked query: the function belongs to the queue's own schema.
    sqlx::query("SELECT graphile_worker.add_job($1, $2::json, run_at => $3)")
        .bind(J::NAME)
        .bind(payload)
        .bind(due)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Adds `job` as [`enqueue`] does, unless one is waiting under the same `key`: once it has run, it has seen to both.
pub async fn enqueue_once<J: Job>(tx: &mut Tx, job: &J, key: &str, due: DateTime<Utc>) -> Result<()> {
    let payload = serde_json::to_value(job).map_err(|error| Error::Internal(error.to_string()))?;
    // One that is running has perhaps seen too little: then another one is added.
    sqlx::query(
        "SELECT graphile_worker.add_job($1, $2::json, run_at => $3, job_key => $4, job_key_mode => 'preserve_run_at')",
    )
    .bind(J::NAME)
    .bind(payload)
    .bind(due)
    .bind(key)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What deletes what has outlived its use. docs/retention.md says of every table what ends its rows.
#[derive(Clone, Copy)]
pub struct Sweep {
    /// Its name. Jobs in the queue bear it.
    pub name: &'static str,
    /// Deletes what has outlived its use at that time, in batches.
    pub run: for<'a> fn(&'a App, DateTime<Utc>) -> BoxFuture<'a, Result<()>>,
}

/// The queue's own sweep.
pub const SWEEPS: &[Sweep] = &[Sweep { name: "jobs", run: |app, _now| Box::pin(forget_failed(&app.db)) }];

/// Deletes jobs that were given up a month ago or longer, by the queue's own clock.
async fn forget_failed(db: &PgPool) -> Result<()> {
    in_batches(|| async move {
        // Not a checked query: the table belongs to the queue's own schema.
        let gone = sqlx::query(
            "DELETE FROM graphile_worker._private_jobs WHERE id = ANY (ARRAY(
                 SELECT id FROM graphile_worker._private_jobs
                 WHERE attempts >= max_attempts AND locked_at IS NULL AND updated_at < now() - interval '30 days'
                 LIMIT $1 FOR UPDATE SKIP LOCKED))",
        )
        .bind(BATCH);
        Ok(gone.execute(db).await?.rows_affected())
    })
    .await
}

/// Brings the queue's own schema up to date.
pub async fn migrate(pool: &PgPool) -> Result<(), Failure> {
    WorkerOptions::default().pg_pool(pool.clone()).listen_os_shutdown_signals(false).init().await?;
    Ok(())
}

/// How many connections the workers have for themselves: each listens with one for as long as it runs, and the others take jobs and write down
/// what became of them.
const OWN_CONNECTIONS: u32 = 4;

/// The workers' own connections. Those of the service are for what jobs do, and for requests: a small pool would else be used up by listening.
fn own_pool(db: &PgPool) -> PgPool {
    PgPoolOptions::new()
        .max_connections(OWN_CONNECTIONS)
        .acquire_timeout(db.options().get_acquire_timeout())
        .connect_lazy_with((*db.connect_options()).clone())
}

/// What carries jobs out: those of the service, and in places of their own those that wait for other people's servers.
pub struct Workers {
    own: Worker,
    elsewhere: Worker,
}

impl Workers {
    /// Workers for these kinds of jobs. `stop` ends them after the jobs in hand.
    pub async fn new(
        app: &Arc<App>,
        kinds: &[Kind],
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Self, Failure> {
        let (stop, pool) = (stop.shared(), own_pool(&app.db));
        let (elsewhere, own): (Vec<_>, Vec<_>) = kinds.iter().partition(|kind| kind.elsewhere);
        // So many that a long list does not keep visits waiting.
        let own = options(app, &pool, &own, stop.clone())?.concurrency(4);
        // They wait more than they work.
        let elsewhere = options(app, &pool, &elsewhere, stop)?.concurrency(8);
        Ok(Self { own: own.init().await?, elsewhere: elsewhere.init().await? })
    }

    /// Works until it is told to stop.
    pub async fn run(&self) -> Result<(), Failure> {
        tokio::try_join!(self.own.run(), self.elsewhere.run())?;
        Ok(())
    }

    /// Carries out what is due now, one kind after the other: whoever looks for a job passes over named queues that another one looks at
    /// just then, and here nobody looks twice.
    pub async fn run_once(&self) -> Result<(), Failure> {
        self.own.run_once().await?;
        self.elsewhere.run_once().await?;
        Ok(())
    }
}

/// A worker for these kinds, but for how much it does at once.
fn options(
    app: &Arc<App>,
    pool: &PgPool,
    kinds: &[&Kind],
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<WorkerOptions, Failure> {
    let crons: Vec<Crontab> = kinds.iter().filter_map(|kind| kind.crontab()).collect::<Result<_, _>>()?;
    let options = WorkerOptions::default()
        .pg_pool(pool.clone())
        .define_jobs(kinds.iter().map(|kind| (kind.define)()))
        .with_crons(crons)
        // Between two jobs a worker waits so long: what is queued behind others must not wait for hours.
        .poll_interval(Duration::from_millis(250))
        // A killed worker's jobs are taken up again within minutes, and not hours.
        .heartbeat_interval(Duration::from_secs(15))
        .sweep_interval(Duration::from_secs(30))
        .sweep_threshold(Duration::from_secs(90))
        .listen_os_shutdown_signals(false)
        .shutdown_signal(stop)
        .add_extension(Shared(app.clone()));
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Look;

    impl Job for Look {
        const NAME: &'static str = "look";
    }

    impl Run for Look {
        async fn run(self, _app: Arc<App>) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn runs_of_what_is_done_again_and_again_neither_pile_up_nor_crowd_others_out() {
        assert!(Kind::of::<Look>().crontab().is_none());
        for kind in [Kind::of::<Look>().every_minutes(1), Kind::of::<Look>().every_minutes(5).elsewhere()] {
            let cron = kind.crontab().unwrap().unwrap();
            let (task, options) = (Some(cron.task_identifier), cron.options);
            assert_eq!((&options.job_key, &options.queue), (&task, &task));
            assert_eq!(options.job_key_mode, Some(CronJobKeyMode::PreserveRunAt));
        }
        assert!(Kind::of::<Look>().hourly_at(60).crontab().unwrap().is_err());
    }
}
