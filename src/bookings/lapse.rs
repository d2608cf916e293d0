//! Requests that nobody answered.

use chrono::{DateTime, Utc};

use super::events::Taken;
use super::lifecycle::{Action, Party, Status};
use super::steps::{Begun, begin_as_system};
use super::store;
use crate::App;
use crate::error::Result;
use crate::ids::BookingId;

/// Requests that are read at a time.
const BATCH: i64 = 500;

/// Writes down which requests have expired. Nothing depends on when it runs, because a request reads as expired from its deadline on. One that
/// cannot be written down keeps no other waiting.
pub async fn lapse_all(app: &App) -> Result<()> {
    let now = app.clock.now();
    let mut after: Option<(DateTime<Utc>, BookingId)> = None;
    loop {
        let lapsed = store::lapsed(&app.db, now, after, BATCH).await?;
        for (_, id) in &lapsed {
            if let Err(error) = lapse(app, *id).await {
                tracing::error!(%id, %error, "a request was not lapsed");
            }
        }
        after = lapsed.last().copied();
        if after.is_none() {
            return Ok(());
        }
    }
}

/// Writes down that a request has expired, if it has.
pub async fn lapse(app: &App, id: BookingId) -> Result<()> {
    let Some(Begun { mut work, lock, booking, .. }) = begin_as_system(app, id).await? else { return Ok(()) };
    if booking.status == Status::Expired && store::is_open_request(&mut work, id).await? {
        let taken = Taken { action: Action::Expire, party: Party::System, from: Status::Requested, reason: None };
        store::save(&mut work, &lock, &booking, taken).await?;
    }
    work.commit().await
}
