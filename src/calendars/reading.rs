//! Reads the calendars that are due. No connection to the database is held while a server takes its time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};

use super::expanding::{Busy, expand};
use super::fetching::{Answer, Version};
use super::jobs::ReadCalendar;
use super::parsing::{Owner, Reader};
use super::store::{self, Source};
use super::{AllDay, Fault, Fetcher, PATIENCE, back_off};
use crate::App;
use crate::bookings::{self, entries::Entry};
use crate::db::uninterrupted;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::queue::enqueue;
use crate::values::zones::rules;

/// How long one run goes on beginning to read. The next one is due in five minutes.
const SHIFT: Duration = Duration::from_secs(240);
/// How long a calendar waits while another of its owner's is read.
const NEXT_TURN: TimeDelta = TimeDelta::seconds(5);
/// How many calendars one run reads at once.
const AT_ONCE: usize = 8;
/// How many calendars a process works out at once: it has other things to do.
static DESKS: Semaphore = Semaphore::const_new(2);
/// The age at which busy time is worked out anew, also where the calendar is unchanged: days come into reach.
const FRESH: TimeDelta = TimeDelta::days(1);

/// What became of a reading.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The calendar is what it was.
    Unchanged,
    /// It is busy then.
    Read(Busy, Version),
    /// It could not be read.
    Failed(Fault),
}

/// Reads this calendar, where it is due. Where another of its owner's is read, or its host was asked too lately, another job is left for it.
pub async fn read_one(app: &App, job: ReadCalendar) -> Result<()> {
    let ReadCalendar { calendar, therapist } = job;
    let later = match app.part::<Fetcher>()?.turn(therapist) {
        None => Some(app.clock.now() + NEXT_TURN),
        Some(_turn) => {
            let claimed = store::claim(&app.db, &app.cipher, Some(calendar), &[], 1, app.clock.now()).await?;
            for source in claimed.sources {
                let outcome = read(app, &source).await?;
                settle(app, source, outcome).await?;
            }
            claimed.put_off
        }
    };
    if let Some(until) = later {
        let mut work = app.begin(None).await?;
        enqueue(&mut work, &ReadCalendar { calendar, therapist }, until).await?;
        work.commit().await?;
    }
    Ok(())
}

/// Reads the calendars that are due, a few at a time, and one of each therapist.
pub async fn read_due(app: &Arc<App>) -> Result<()> {
    let begun = Instant::now();
    store::forget_fetches(&app.db, app.clock.now()).await?;
    let mut readings = JoinSet::new();
    loop {
        let room = AT_ONCE.saturating_sub(readings.len());
        if room > 0 && begun.elapsed() < SHIFT {
            let busy = app.part::<Fetcher>()?.busy();
            let claimed = store::claim(&app.db, &app.cipher, None, &busy, room, app.clock.now()).await?;
            for source in claimed.sources {
                let (app, turn) = (app.clone(), app.part::<Fetcher>()?.turn(source.therapist));
                readings.spawn(async move {
                    let _turn = turn;
                    read(&app, &source).await.map(|outcome| (source, outcome))
                });
            }
            // Behind what is put off, there may be what is not.
            if claimed.put_off.is_some() {
                continue;
            }
        }
        // As soon as one is read, the next one takes its place.
        let Some(reading) = readings.join_next().await else { return Ok(()) };
        let (source, outcome) = reading.map_err(|error| Error::Internal(error.to_string()))??;
        settle(app, source, outcome).await?;
    }
}

async fn read(app: &App, source: &Source) -> Result<Outcome> {
    let now = app.clock.now();
    // The same text means something else in another zone, or by other rules, and a day later it reaches a day further.
    let is_fresh = source.expanded.as_ref().is_some_and(|(at, zone, by)| {
        now - *at < FRESH && *zone == source.zone.name() && *by == rules::current().digest()
    });
    let known = if is_fresh { source.version.clone() } else { Version::default() };
    let owner =
        Owner { zone: source.zone, email: source.email.clone(), has_busy_days: source.all_day == AllDay::Block };
    let mut reader = Reader::new(owner, now);
    let version = match app.part::<Fetcher>()?.get(&source.url, &known, &mut reader).await {
        Ok(Answer::Unchanged) => return Ok(Outcome::Unchanged),
        Ok(Answer::Read(version)) => version,
        Err(fault) => return Ok(Outcome::Failed(fault)),
    };
    let own = bookings::entries::ids_since(&app.db, source.therapist, now - TimeDelta::days(4)).await?;
    let own: HashSet<String> = own.into_iter().map(Entry::uid).collect();
    let desk = DESKS.acquire().await.map_err(|error| Error::Internal(error.to_string()))?;
    let busy = spawn_blocking(move || {
        let _desk = desk;
        Ok(expand(reader.finish()?, &own, now))
    });
    Ok(match busy.await {
        Ok(Ok(busy)) => Outcome::Read(busy, version),
        Ok(Err(fault)) => Outcome::Failed(fault),
        // A text that trips the parser up is no calendar to us.
        Err(_) => Outcome::Failed(Fault::NotACalendar),
    })
}

/// Writes down what became of a reading. A calendar that fails keeps the busy time that was read before: a visit that cannot be
/// booked is less of a loss than one that nobody comes to.
async fn settle(app: &App, source: Source, outcome: Outcome) -> Result<()> {
    let shop = app.workshop();
    uninterrupted(async move {
        let mut work = shop.begin(None).await?;
        work.lock_time(source.therapist).await?;
        let now = work.now();
        match &outcome {
            Outcome::Unchanged => store::set_fetched(&mut work, source.id, now).await?,
            Outcome::Read(busy, version) => {
                store::set_fetched(&mut work, source.id, now).await?;
                store::replace_busy(&mut work, &source, busy, version, now).await?;
            }
            Outcome::Failed(fault) => {
                let again = now + back_off(source.failures + 1);
                let since = store::set_failed(&mut work, source.id, *fault, now, again).await?;
                if since.is_some_and(|since| now - since >= PATIENCE) && store::set_told(&mut work, source.id).await? {
                    let event = Event::new("calendar.failing", "calendar", source.id).about(source.therapist);
                    work.announce(event.with(json!({ "error": fault }))).await?;
                }
            }
        }
        work.commit().await?;
        Ok(())
    })
    .await
}
