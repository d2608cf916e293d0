//! Reviews: what the two sides of a completed visit say of each other, once each.
//!
//! Neither side reads the other's review before both have written, or the time for it is over: nobody answers words with words.
//! The stars count at once, in an aggregate.

pub mod routes;
mod store;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

pub use store::of_clients;

use crate::bookings::Side;
use crate::bookings::lifecycle::Status;
use crate::error::Refusal;
use crate::ids::{AccountId, BookingId, ReviewId, TherapistId};
use crate::values::{bounded_number, bounded_text};

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

/// How someone is rated: kept up with each review, never counted anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Rating {
    /// The mean to two decimals; null where there is none.
    #[schema(example = 4.75)]
    pub average: Option<f64>,
    /// Of how many reviews.
    #[schema(example = 12)]
    pub count: i32,
}

impl Rating {
    /// From the number of ratings and their sum.
    pub fn of(count: i32, sum: i32) -> Self {
        let hundredths = |count: i32| (f64::from(sum) * 100.0 / f64::from(count)).round();
        Self { average: (count > 0).then(|| hundredths(count) / 100.0), count }
    }
}

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
    fn the_mean_has_two_decimals() {
        assert_eq!(Rating::of(0, 0), Rating { average: None, count: 0 });
        assert_eq!(Rating::of(3, 14), Rating { average: Some(4.67), count: 3 });
        assert_eq!(Rating::of(8, 33), Rating { average: Some(4.13), count: 8 });
    }

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
