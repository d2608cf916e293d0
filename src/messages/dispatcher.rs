//! Follows the events, and plans what is sent of them. One process does at a time; where it dies, the next one goes on from what is stored.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Post;
use super::plan::{self, Plan, Planned};
use super::reminders::Reminder;
use super::store::{self, Progress};
use super::table::REMINDER;
use super::webhooks::{self, Happened, Wanted};
use crate::App;
use crate::audit::{self, Chained};
use crate::db::Tx;
use crate::error::Result;
use crate::ids::AccountId;

/// How often new events are looked for.
const EVERY: Duration = Duration::from_millis(500);

/// How long it waits after it failed.
const REST: Duration = Duration::from_secs(5);

/// Events, and reminders, that one transaction looks through at most.
const BATCH: i64 = 500;

/// Follows the events until `stop` ends it, and goes on after the database was away.
pub async fn run(app: Arc<App>, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    loop {
        let round = async {
            while dispatch(&app).await? {}
            Ok::<_, crate::error::Error>(())
        };
        // A round may be dropped anywhere: what it has not committed is as it was.
        let outcome = tokio::select! {
            () = &mut stop => return,
            outcome = round => outcome,
        };
        let pause = match outcome {
            Ok(()) => EVERY,
            Err(error) => {
                tracing::error!(%error, "events were not looked through for messages");
                REST
            }
        };
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Looks through a batch of events and of reminders that are due, and keeps what is to be sent, in one transaction. Whether there may be more at once.
pub async fn dispatch(app: &App) -> Result<bool> {
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let Some(Progress { link, not_before }) = store::progress(&mut tx).await? else {
        tx.rollback().await?;
        return Ok(false);
    };
    let mut chained = audit::since(&mut tx, link, BATCH).await?;
    let (looked_through, last) = (chained.len(), chained.last().map(|last| last.link));
    chained.retain(|event| not_before.is_none_or(|before| event.at >= before));
    let mut planned = Plan::default();
    // Where no mails are sent, none are planned: nobody wants last year's when they are switched on.
    let is_on = app.part::<Post>()?.is_on();
    if is_on {
        let ids: BTreeSet<AccountId> = chained.iter().flat_map(plan::readers).collect();
        let readers = store::readers(&mut tx, &ids.into_iter().collect::<Vec<_>>()).await?;
        for event in &chained {
            let Plan { messages, reminders } = plan::plan(event, &readers, now);
            planned.messages.extend(messages);
            planned.reminders.extend(reminders);
        }
    }
    planned.messages.extend(webhooks(&mut tx, &chained, now).await?);
    let reminded = remind(&mut tx, now).await?;
    let due = reminded.len();
    planned.messages.extend(reminded.into_iter().filter(|_| is_on));
    if !planned.messages.is_empty() {
        store::add(&mut tx, &planned.messages, now).await?;
    }
    if !planned.reminders.is_empty() {
        store::remember(&mut tx, &planned.reminders).await?;
    }
    if let Some(last) = last {
        store::go_on_from(&mut tx, last).await?;
    }
    tx.commit().await?;
    Ok(i64::try_from(looked_through.max(due)).is_ok_and(|many| many >= BATCH))
}

/// What programs are told of these events.
async fn webhooks(tx: &mut Tx, chained: &[Chained], now: DateTime<Utc>) -> Result<Vec<Planned>> {
    let happened: Vec<Happened> = chained.iter().filter_map(Happened::of).collect();
    let wanted = webhooks::plan(&mut **tx, &happened).await?;
    let by_id: HashMap<Uuid, &Happened> = happened.iter().map(|one| (one.id, one)).collect();
    let message = |one: &Wanted| {
        let planned = Planned::webhook(one, by_id.get(&one.event)?, now);
        // One event that cannot be told must not keep all others from being told.
        planned.inspect_err(|error| tracing::error!(%error, event = %one.event, "a webhook was not planned")).ok()?
    };
    Ok(wanted.iter().filter_map(message).collect())
}

/// The messages that reminders become which are due.
async fn remind(tx: &mut Tx, now: DateTime<Utc>) -> Result<Vec<Planned>> {
    let due = store::take_due(tx, now, BATCH).await?;
    let ids: BTreeSet<AccountId> = due.iter().map(|reminder| reminder.account).collect();
    let readers = store::readers(tx, &ids.into_iter().collect::<Vec<_>>()).await?;
    let message = |reminder: &Reminder| Planned::reminder(&REMINDER, reminder, readers.get(&reminder.account), now);
    Ok(due.iter().map(message).collect())
}
