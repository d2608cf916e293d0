//! Visits that were called off for want of a licence, and may take place after all.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::bookings::events::event;
use crate::bookings::store::called_off_by_system;
use crate::bookings::wish::Wish;
use crate::error::Result;
use crate::events::{TimeLock, Work};

/// How long after it was called off a visit is offered again.
const WITHIN: TimeDelta = TimeDelta::hours(1);

/// Offers their clients what was called off within the hour, and could be booked as it was: a notice, since what was called off stays so. Travel is
/// estimated here; the booking itself is decided on anew.
pub(in crate::bookings) async fn offer_again(work: &mut Work, lock: &TimeLock) -> Result<()> {
    let now: DateTime<Utc> = work.now();
    for visit in called_off_by_system(work, lock.therapist(), now - WITHIN, now).await? {
        let wish = Wish::requested(work, &visit).await?;
        if wish.fits_anew(work).await? {
            work.announce(event("booking.offered_again", &visit, json!({}))).await?;
        }
    }
    Ok(())
}
