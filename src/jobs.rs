//! Work that is done later: queued in the transaction that makes it necessary, carried out by a worker,
//! tried again until it succeeds. Every job looks at the present state first, so that running one twice, or
//! late, does no harm.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use graphile_worker::{
    Cron, CronBuilder, CronJobKeyMode, Crontab, IntoTaskHandlerResult, TaskHandler, Worker, WorkerContext,
    WorkerOptions,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::App;
use crate::accounts;
use crate::availability::{self, hints, travel};
use crate::bookings::{self, lapse, licensing, overdue};
use crate::calendars::reading;
use crate::credentials::documents;
use crate::credentials::reminders::{forget_reminders, recheck, recheck_one, remind};
use crate::credentials::supersede_due;
use crate::db::{BATCH, Tx, in_batches};
use crate::error::{Error, Refusal, Result};
use crate::ids::{BookingId, CalendarId, CredentialId, RosterImportId, TherapistId};
use crate::{notices, rosters, tasks};

type Failure = Box<dyn std::error::Error + Send + Sync>;

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

/// Declares what carries out a kind of job.
macro_rules! job {
    ($name:ident, $identifier:literal, |$app:ident, $job:ident| $work:expr) => {
        impl TaskHandler for $name {
            const IDENTIFIER: &'static str = $identifier;

            async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
                let shared = app(&context).map_err(|error| error.to_string())?;
                to_end(async move {
                    let ($app, $job) = (&shared, self);
                    $work
                })
                .await
            }
        }
    };
}

/// Ends a request that nobody answered by its deadline.
#[derive(Debug, Serialize, Deserialize)]
pub struct LapseRequest {
    /// The booking that was requested.
    pub booking: BookingId,
}

job!(LapseRequest, "lapse_request", |app, job| lapse(app, job.booking).await);

/// Tells of visits that should long be over.
#[derive(Debug, Serialize, Deserialize)]
pub struct AlertOverdue;

job!(AlertOverdue, "alert_overdue", |app, _job| overdue::alert(app).await);

/// Calls a visit off that is still at risk 24 hours before its start.
#[derive(Debug, Serialize, Deserialize)]
pub struct SettleAtRisk {
    /// The booking that was put at risk.
    pub booking: BookingId,
}

job!(SettleAtRisk, "settle_at_risk", |app, job| licensing::settle(app, job.booking).await);

/// Holds the visits of everyone who has any in a country against what is required now.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReconcilePlace {
    /// The country; everywhere, where there is none.
    pub country: Option<String>,
}

job!(ReconcilePlace, "reconcile_place", |app, job| licensing::reconcile_place(app, job.country.as_deref()).await);

/// Declares the sweeps, each by its name: what deletes what has outlived its use. docs/retention.md says of every table what ends its rows.
macro_rules! sweeps {
    ($app:ident, $now:ident; $($name:literal => $work:expr,)+) => {
        /// The names of all sweeps.
        const SWEEPS: &[&str] = &[$($name),+];

        /// Carries out the sweep of that name. There may be none any more, where an older version asked for it.
        async fn sweep($app: &App, name: &str) -> Result<()> {
            let $now = $app.clock.now();
            match name {
                $($name => $work.await,)+
                _ => Ok(()),
            }
        }
    };
}

sweeps! { app, now;
    "holds" => bookings::holds::forget_lapsed(&app.db, now),
    "counter_offers" => bookings::counter_offers::forget_lapsed(&app.db, now),
    "reserved_time" => availability::forget_reserved(&app.db, now),
    "time_off" => availability::forget_time_off(&app.db, now),
    "overrides" => availability::forget_overrides(&app.db, now),
    "timetables" => availability::forget_timetables(&app.db, now),
    "kept_answers" => crate::http::forget_old_keys(&app.db, now),
    "refresh_tokens" => accounts::forget_expired_tokens(&app.db, now),
    "notices" => notices::forget_old(&app.db, now),
    "tasks" => tasks::forget_resolved(&app.db, now),
    "reminders" => forget_reminders(app, now),
    "documents" => documents::forget_erased(app, now),
    "document_files" => documents::forget_orphans(app, now),
    "roster_files" => rosters::forget_files(app, now),
    "road_times" => travel::tidy(app, now),
    "jobs" => forget_failed(&app.db),
    "months" => crate::db::make_months(&app.db, now),
}

/// Asks for every sweep, each a job of its own: one that fails is tried again by itself and keeps no other from its turn.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sweep;

job!(Sweep, "sweep", |app, _job| {
    // In one queue, so that they run one at a time; under a key each, so that one waits.
    sqlx::query(
        "SELECT graphile_worker.add_job($1, json_build_object('of', name), queue_name => $1, job_key => $1 || ':' || name,
                                        job_key_mode => 'preserve_run_at')
         FROM unnest($2::text[]) AS name",
    )
    .bind(SweepOne::IDENTIFIER)
    .bind(SWEEPS)
    .execute(&app.db)
    .await?;
    Ok(())
});

/// Carries out one sweep.
#[derive(Debug, Serialize, Deserialize)]
pub struct SweepOne {
    /// Its name.
    of: String,
}

job!(SweepOne, "sweep_one", |app, job| sweep(app, &job.of).await);

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

/// Reads a calendar elsewhere.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadCalendar {
    /// The calendar.
    pub calendar: CalendarId,
    /// Whose it is.
    pub therapist: TherapistId,
}

job!(ReadCalendar, "read_calendar", |app, job| reading::read_one(app, job).await);

/// Reads the calendars elsewhere that are due.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadCalendars;

job!(ReadCalendars, "read_calendars", |app, _job| reading::read_due(app).await);

/// Lets a renewal that has begun take the place of what it renews.
#[derive(Debug, Serialize, Deserialize)]
pub struct Supersede {
    /// The renewal.
    pub by: CredentialId,
}

job!(Supersede, "supersede_credential", |app, job| supersede_due(app, job.by).await);

/// Reads an authority's list.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadRoster {
    /// The import that it came as.
    pub import: RosterImportId,
}

job!(ReadRoster, "read_roster", |app, job| rosters::reading::run(app, job.import).await);

/// Lets an authority's list take effect.
#[derive(Debug, Serialize, Deserialize)]
pub struct ApplyRoster {
    /// The import that it came as.
    pub import: RosterImportId,
}

job!(ApplyRoster, "apply_roster", |app, job| rosters::applying::apply(&app.db, &app.clock, job.import, |_| {}).await);

/// Takes back what an authority's list changed.
#[derive(Debug, Serialize, Deserialize)]
pub struct RollBackRoster {
    /// The import that it came as.
    pub import: RosterImportId,
}

job!(RollBackRoster, "roll_back_roster", |app, job| rosters::applying::roll_back(&app.db, &app.clock, job.import)
    .await);

/// Compares one credential with the authority's list that is in effect.
#[derive(Debug, Serialize, Deserialize)]
pub struct CheckAgainstRoster {
    /// The credential.
    pub credential: CredentialId,
}

job!(CheckAgainstRoster, "check_against_roster", |app, job| rosters::check(app, job.credential).await);

/// Asks an authority again about one credential.
#[derive(Debug, Serialize, Deserialize)]
pub struct Recheck {
    /// The credential.
    pub credential: CredentialId,
}

job!(Recheck, "recheck_credential", |app, job| recheck_one(app, job.credential).await);

/// Looks for what has become due: reminders and re-checks.
#[derive(Debug, Serialize, Deserialize)]
pub struct LookAhead;

job!(LookAhead, "look_ahead", |app, _job| {
    remind(app).await?;
    recheck(app).await
});

/// Makes the hints of searches anew where they are behind, missing or near their end.
#[derive(Debug, Serialize, Deserialize)]
pub struct RefreshHints;

job!(RefreshHints, "refresh_hints", |app, _job| hints::refresh(&app.db, app.clock.now()).await.map(drop));

/// Asks the routing service for the road times that decisions have missed.
#[derive(Debug, Serialize, Deserialize)]
pub struct FetchRoadTimes;

job!(FetchRoadTimes, "fetch_road_times", |app, _job| travel::fetch(app).await);

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
pub async fn enqueue<J: TaskHandler + Serialize>(tx: &mut Tx, job: &J, due: DateTime<Utc>) -> Result<()> {
    let payload = serde_json::to_value(job).map_err(|error| Error::Internal(error.to_string()))?;
    // Not a checked query: the function belongs to the queue's own schema.
    sqlx::query("SELECT graphile_worker.add_job($1, $2::json, run_at => $3)")
        .bind(J::IDENTIFIER)
        .bind(payload)
        .bind(due)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Adds `job` as [`enqueue`] does, unless one is waiting under the same `key`: once it has run, it has seen to both.
pub async fn enqueue_once<J: TaskHandler + Serialize>(
    tx: &mut Tx,
    job: &J,
    key: &str,
    due: DateTime<Utc>,
) -> Result<()> {
    let payload = serde_json::to_value(job).map_err(|error| Error::Internal(error.to_string()))?;
    // One that is running has perhaps seen too little: then another one is added.
    sqlx::query(
        "SELECT graphile_worker.add_job($1, $2::json, run_at => $3, job_key => $4, job_key_mode => 'preserve_run_at')",
    )
    .bind(J::IDENTIFIER)
    .bind(payload)
    .bind(due)
    .bind(key)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Brings the queue's own schema up to date.
pub async fn migrate(pool: &PgPool) -> Result<(), Failure> {
    WorkerOptions::default().pg_pool(pool.clone()).listen_os_shutdown_signals(false).init().await?;
    Ok(())
}

/// What is done again and again.
fn crons() -> Result<Vec<Crontab>, Failure> {
    Ok(vec![
        alone(Cron::every_minute::<RefreshHints>()),
        alone(Cron::hourly_at::<Sweep>(17)?),
        alone(Cron::hourly_at::<LookAhead>(41)?),
        alone(Cron::every_n_minutes::<AlertOverdue>(5)?),
    ])
}

/// What is done again and again with calendars elsewhere.
fn calendar_crons() -> Result<Vec<Crontab>, Failure> {
    Ok(vec![alone(Cron::every_n_minutes::<ReadCalendars>(5)?)])
}

/// Lets one run at a time and one wait: a run that is slow would else leave a heap behind it, and fill every place of the worker.
fn alone<J: TaskHandler>(cron: CronBuilder<J>) -> Crontab {
    cron.job_key(J::IDENTIFIER).job_key_mode(CronJobKeyMode::PreserveRunAt).queue(J::IDENTIFIER).into()
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

/// What carries out every kind of job. Calendars elsewhere are read in places of their own: other people's servers take their time,
/// and neither a lapse nor a reminder waits behind them.
pub struct Workers {
    own: Worker,
    calendars: Worker,
}

impl Workers {
    /// Works until it is told to stop.
    pub async fn run(&self) -> Result<(), Failure> {
        tokio::try_join!(self.own.run(), self.calendars.run())?;
        Ok(())
    }

    /// Carries out what is due now, one kind after the other: whoever looks for a job passes over named queues that another one looks at
    /// just then, and here nobody looks twice.
    pub async fn run_once(&self) -> Result<(), Failure> {
        self.own.run_once().await?;
        self.calendars.run_once().await?;
        Ok(())
    }
}

/// Workers for every kind of job. `stop` ends them after the jobs in hand.
pub async fn worker(app: Arc<App>, stop: impl Future<Output = ()> + Send + 'static) -> Result<Workers, Failure> {
    let (stop, pool) = (stop.shared(), own_pool(&app.db));
    let own = options(&app, &pool, stop.clone())
        // So many that a long list does not keep visits waiting.
        .concurrency(4)
        .define_job::<LapseRequest>()
        .define_job::<SettleAtRisk>()
        .define_job::<AlertOverdue>()
        .define_job::<ReconcilePlace>()
        .define_job::<Sweep>()
        .define_job::<SweepOne>()
        .define_job::<Supersede>()
        .define_job::<Recheck>()
        .define_job::<LookAhead>()
        .define_job::<ReadRoster>()
        .define_job::<ApplyRoster>()
        .define_job::<RollBackRoster>()
        .define_job::<CheckAgainstRoster>()
        .define_job::<RefreshHints>()
        .define_job::<FetchRoadTimes>()
        .with_crons(crons()?);
    let calendars = options(&app, &pool, stop)
        // They wait more than they work.
        .concurrency(8)
        .define_job::<ReadCalendar>()
        .define_job::<ReadCalendars>()
        .with_crons(calendar_crons()?);
    Ok(Workers { own: own.init().await?, calendars: calendars.init().await? })
}

/// What all workers have in common.
fn options(app: &Arc<App>, pool: &PgPool, stop: impl Future<Output = ()> + Send + 'static) -> WorkerOptions {
    WorkerOptions::default()
        .pg_pool(pool.clone())
        // Between two jobs a worker waits so long: what is queued behind others must not wait for hours.
        .poll_interval(Duration::from_millis(250))
        // A killed worker's jobs are taken up again within minutes, and not hours.
        .heartbeat_interval(Duration::from_secs(15))
        .sweep_interval(Duration::from_secs(30))
        .sweep_threshold(Duration::from_secs(90))
        .listen_os_shutdown_signals(false)
        .shutdown_signal(stop)
        .add_extension(Shared(app.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_what_is_done_again_and_again_neither_pile_up_nor_crowd_others_out() {
        for cron in crons().into_iter().chain(calendar_crons()).flatten() {
            let (task, options) = (Some(cron.task_identifier), cron.options);
            assert_eq!((&options.job_key, &options.queue), (&task, &task));
            // Else each minute that it waits would put a job that is late off for another minute.
            assert_eq!(options.job_key_mode, Some(CronJobKeyMode::PreserveRunAt), "{task:?}");
        }
    }
}
