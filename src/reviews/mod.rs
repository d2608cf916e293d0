//! Reviews: what the two sides of a completed visit say of each other, once each.
//!
//! Neither side reads the other's review before both have written, or the time for it is over: nobody answers words with words.
//! The stars count at once, in an aggregate.

pub mod routes;
mod store;

use chrono::{DateTime, TimeDelta, Utc};

use crate::bookings::Side;
use crate::bookings::lifecycle::Status;
use crate::error::Refusal;
use crate::ids::{AccountId, BookingId, ReviewId, TherapistId};
use crate::personal::PersonalTable;
use crate::values::{bounded_number, bounded_text};

/// What is kept of people here: what they wrote themselves. The stars stay, because others rely on their mean.
pub const PERSONAL: &[PersonalTable] = &[PersonalTable {
    order: "id DESC",
    untold: &["hidden_by"],
    ..PersonalTable::blanked(
        "reviews",
        "by = 'client' AND client_id = $1 OR by = 'therapist' AND therapist_id = $1",
        "text = NULL",
    )
}];

bounded_text! {
    /// What one side says of the other.
    ReviewText prose 1..=2000, example "Found the knot at once.";
    /// Why a review is hidden.
    HidingReason prose 1..=500, example "Names a third person.";
}

bounded_number! {
    /// From bad to good.
    Stars(i16) in 1 ..= 5, example 5;
}

/// How long after its completion a visit can be reviewed.
pub const OPEN: TimeDelta = TimeDelta::days(30);

/// Until when a visit in `status` that was completed at `completed_at` can be reviewed, if it can at `now`.
pub fn reviewable(status: Status, completed_at: DateTime<Utc>, now: DateTime<Utc>) -> Result<DateTime<Utc>, Refusal> {
    let until = completed_at + OPEN;
    match status {
        Status::Completed if now < until => Ok(until),
        Status::Completed => Err(Refusal::ReviewPeriodOver),
        _ => Err(Refusal::VisitNotCompleted),
    }
}

/// A review as it is stored.
#[derive(Clone, Debug)]
struct Review {
    id: ReviewId,
    booking: BookingId,
    therapist: TherapistId,
    client: AccountId,
    by: Side,
    rating: i16,
    text: Option<String>,
    created_at: DateTime<Utc>,
    opens_at: DateTime<Utc>,
    hidden: Option<Hidden>,
}

/// How a review came to be hidden.
#[derive(Clone, Debug)]
struct Hidden {
    at: DateTime<Utc>,
    by: AccountId,
    reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_days_and_no_second_longer() {
        let (done, second) = (DateTime::UNIX_EPOCH, TimeDelta::seconds(1));
        assert_eq!(reviewable(Status::Completed, done, done), Ok(done + OPEN));
        assert_eq!(reviewable(Status::Completed, done, done + OPEN - second), Ok(done + OPEN));
        assert_eq!(reviewable(Status::Completed, done, done + OPEN), Err(Refusal::ReviewPeriodOver));
        for status in [Status::InProgress, Status::NoShow, Status::Stopped, Status::Cancelled] {
            assert_eq!(reviewable(status, done, done), Err(Refusal::VisitNotCompleted));
        }
    }
}
