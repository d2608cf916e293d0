//! Reads the calendars that are due. No connection to the database is held while a server takes its time.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tokio::task::{JoinSet, spawn_blocking};

use super::expanding::{Busy, expand};
use super::fetching::{Answer, Fetcher, Version};
use super::store::{self, Source};
use super::{Fault, PATIENCE, back_off, feed, parsing};
use crate::App;
use crate::db::work;
use crate::error::{Error, Result};
use crate::ids::CalendarId;
use crate::notices::{self, Notice};
use crate::{availability, bookings};

/// How long one run goes on beginning to read. The next one is due in five minutes.
const SHIFT: Duration = Duration::from_secs(240);
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

/// Reads the calendars that are due, a few at a time; only this one, where it is named.
pub async fn read_due(app: &App, only: Option<CalendarId>) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < SHIFT {
        let due = store::claim(&app.db, only, app.clock.now()).await?;
        if due.is_empty() {
            break;
        }
        let mut readings = JoinSet::new();
        for source in due {
            let now = app.clock.now();
            let own = bookings::entries::ids_since(&app.db, source.therapist, now - TimeDelta::days(4)).await?;
            let own = own.into_iter().map(feed::uid).collect();
            let fetcher = app.fetcher.clone();
            readings.spawn(async move {
                let outcome = read(&fetcher, &source, own, now).await;
                (source, outcome)
            });
        }
        while let Some(reading) = readings.join_next().await {
            let (source, outcome) = reading.map_err(|error| Error::Internal(error.to_string()))?;
            settle(app, source, outcome).await?;
        }
    }
    Ok(())
}

async fn read(fetcher: &Fetcher, source: &Source, own: HashSet<String>, now: DateTime<Utc>) -> Outcome {
    // The same text means something else in another zone, and a day later it reaches a day further.
    let is_fresh = source.expanded.is_some_and(|(at, zone)| now - at < FRESH && zone == source.zone);
    let known = if is_fresh { source.version.clone() } else { Version::default() };
    let (text, version) = match fetcher.get(&source.url, &known).await {
        Ok(Answer::Unchanged) => return Outcome::Unchanged,
        Ok(Answer::Text(text, version)) => (text, version),
        Err(fault) => return Outcome::Failed(fault),
    };
    let zone = source.zone.0;
    let busy = spawn_blocking(move || {
        let found = parsing::read(&String::from_utf8_lossy(&text), zone)?;
        Ok(expand(found, &own, now))
    });
    match busy.await {
        Ok(Ok(busy)) => Outcome::Read(busy, version),
        Ok(Err(fault)) => Outcome::Failed(fault),
        // A text that trips the parser up is no calendar to us.
        Err(_) => Outcome::Failed(Fault::NotACalendar),
    }
}

/// Writes down what became of a reading. A calendar that fails keeps the busy time that was read before: a visit that cannot be
/// booked is less of a loss than one that nobody comes to.
async fn settle(app: &App, source: Source, outcome: Outcome) -> Result<()> {
    let (db, clock) = (app.db.clone(), app.clock.clone());
    work(async move {
        let mut tx = db.begin().await?;
        availability::lock(&mut tx, source.therapist).await?;
        let now = clock.now();
        match &outcome {
            Outcome::Unchanged => store::set_fetched(&mut tx, source.id, now).await?,
            Outcome::Read(busy, version) => {
                store::set_fetched(&mut tx, source.id, now).await?;
                store::replace_busy(&mut tx, &source, busy, version, now).await?;
            }
            Outcome::Failed(fault) => {
                let again = now + back_off(source.failures + 1);
                let since = store::set_failed(&mut tx, source.id, *fault, now, again).await?;
                if since.is_some_and(|since| now - since >= PATIENCE) && store::set_told(&mut tx, source.id).await? {
                    let notice = Notice {
                        to: source.therapist.into(),
                        kind: "calendar_failing",
                        subject_type: "calendar",
                        subject: source.id.0,
                        details: json!({ "error": fault }),
                    };
                    notices::post(&mut tx, &notice, now).await?;
                }
            }
        }
        tx.commit().await?;
        Ok(())
    })
    .await
}
