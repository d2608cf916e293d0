//! Work that is done later: queued in the transaction that makes it necessary, carried out by a worker,
//! tried again until it succeeds. Every job looks at the present state first, so that running one twice, or
//! late, does no harm.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use graphile_worker::{
    Cron, CronBuilder, CronJobKeyMode, Crontab, IntoTaskHandlerResult, TaskHandler, Worker, WorkerContext,
    WorkerOptions,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::App;
use crate::availability::{hints, travel};
use crate::bookings::{lapse, licensing, overdue};
use crate::calendars::reading;
use crate::credentials::reminders::{recheck, recheck_one, remind};
use crate::credentials::supersede_due;
use crate::db::Tx;
use crate::error::{Error, Refusal, Result};
use crate::ids::{BookingId, CalendarId, CredentialId, RosterImportId};
use crate::rosters;

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
                    let ($app, $job) = (&*shared, self);
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

/// Deletes what has outlived its use: lapsed holds and proposals, kept answers, road times, refresh tokens, and files that nothing
/// names. Seals what a service from before still writes plain.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sweep;

job!(Sweep, "sweep", |app, _job| {
    let now = app.clock.now();
    crate::bookings::holds::forget_lapsed(&app.db, now).await?;
    crate::bookings::counter_offers::forget_lapsed(&app.db, now).await?;
    crate::http::forget_old_keys(&app.db, now).await?;
    travel::tidy(app, now).await?;
    crate::sealing::seal_plain(app).await?;
    crate::accounts::forget_expired_tokens(&app.db, now).await?;
    crate::credentials::documents::forget_orphans(app, now).await?;
    rosters::forget_files(app, now).await
});

/// Reads a calendar elsewhere.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadCalendar {
    /// The calendar.
    pub calendar: CalendarId,
}

job!(ReadCalendar, "read_calendar", |app, job| reading::read_due(app, Some(job.calendar)).await);

/// Reads the calendars elsewhere that are due.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadCalendars;

job!(ReadCalendars, "read_calendars", |app, _job| reading::read_due(app, None).await);

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
        alone(Cron::every_n_minutes::<ReadCalendars>(5)?),
    ])
}

/// Lets one run at a time and one wait: a run that is slow would else leave a heap behind it, and fill every place of the worker.
fn alone<J: TaskHandler>(cron: CronBuilder<J>) -> Crontab {
    cron.job_key(J::IDENTIFIER).job_key_mode(CronJobKeyMode::PreserveRunAt).queue(J::IDENTIFIER).into()
}

/// A worker for every kind of job. `stop` ends it after the jobs in hand.
pub async fn worker(app: Arc<App>, stop: impl Future<Output = ()> + Send + 'static) -> Result<Worker, Failure> {
    let worker = WorkerOptions::default()
        .pg_pool(app.db.clone())
        // So many that a slow calendar and a long list do not keep visits waiting.
        .concurrency(4)
        // Between two jobs a worker waits so long: what is queued behind others must not wait for hours.
        .poll_interval(Duration::from_millis(250))
        // A killed worker's jobs are taken up again within minutes, and not hours.
        .heartbeat_interval(Duration::from_secs(15))
        .sweep_interval(Duration::from_secs(30))
        .sweep_threshold(Duration::from_secs(90))
        .listen_os_shutdown_signals(false)
        .shutdown_signal(stop)
        .add_extension(Shared(app))
        .define_job::<LapseRequest>()
        .define_job::<SettleAtRisk>()
        .define_job::<AlertOverdue>()
        .define_job::<ReconcilePlace>()
        .define_job::<Sweep>()
        .define_job::<ReadCalendar>()
        .define_job::<ReadCalendars>()
        .define_job::<Supersede>()
        .define_job::<Recheck>()
        .define_job::<LookAhead>()
        .define_job::<ReadRoster>()
        .define_job::<ApplyRoster>()
        .define_job::<RollBackRoster>()
        .define_job::<CheckAgainstRoster>()
        .define_job::<RefreshHints>()
        .define_job::<FetchRoadTimes>()
        .with_crons(crons()?)
        .init()
        .await?;
    Ok(worker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_what_is_done_again_and_again_neither_pile_up_nor_crowd_others_out() {
        for cron in crons().expect("sound times") {
            let (task, options) = (Some(cron.task_identifier), cron.options);
            assert_eq!((&options.job_key, &options.queue), (&task, &task));
            // Else each minute that it waits would put a job that is late off for another minute.
            assert_eq!(options.job_key_mode, Some(CronJobKeyMode::PreserveRunAt), "{task:?}");
        }
    }
}
