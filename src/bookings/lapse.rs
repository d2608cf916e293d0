//! Requests that nobody answered.

use super::events::Taken;
use super::jobs::LapseRequest;
use super::lifecycle::{Action, Party, Status};
use super::steps::{Begun, begin_as_system};
use super::store;
use crate::App;
use crate::error::Result;
use crate::ids::BookingId;
use crate::queue::enqueue;

/// Writes down that a request has expired, if it has: the job's part. Nothing depends on when it runs.
pub async fn lapse(app: &App, id: BookingId) -> Result<()> {
    let Some(Begun { mut work, lock, booking, .. }) = begin_as_system(app, id).await? else { return Ok(()) };
    if let (Status::Requested, Some(deadline)) = (booking.status, booking.respond_by) {
        // The queue's clock is ahead of ours.
        enqueue(&mut work, &LapseRequest { booking: id }, deadline).await?;
    }
    // The row reads as expired from its deadline on; it is written once.
    if booking.status == Status::Expired && store::is_open_request(&mut work, id).await? {
        let taken = Taken { action: Action::Expire, party: Party::System, from: Status::Requested, reason: None };
        store::save(&mut work, &lock, &booking, taken).await?;
    }
    work.commit().await
}
