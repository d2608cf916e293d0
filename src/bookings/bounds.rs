//! What one client may have ahead at a time, so that a free account can neither fill a therapist's days nor empty a city.

use chrono::TimeDelta;
use clap::Args;

use crate::error::{Refusal, Result};

/// The time over which free cancellations are counted.
pub const CANCELLATIONS_COUNT: TimeDelta = TimeDelta::hours(24);

/// How long after its start a visit that nobody has ended still counts as open: one that is forgotten bars nobody for ever.
pub const STILL_OPEN: TimeDelta = TimeDelta::hours(12);

/// The time over which holds of one therapist are counted.
pub const HOLDS_COUNT: TimeDelta = TimeDelta::hours(24);

/// The bounds of this service on one client.
#[derive(Args, Clone, Copy, Debug)]
pub struct Bounds {
    /// The most visits, requests among them, that a client has ahead.
    #[arg(long, env = "KNEAD_MAX_OPEN_VISITS", default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    pub max_open_visits: i64,
    /// The most requests of a client that wait for an answer.
    #[arg(long, env = "KNEAD_MAX_OPEN_REQUESTS", default_value_t = 5, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    pub max_open_requests: i64,
    /// How many visits a client may call off free of charge within 24 hours before new ones are refused.
    #[arg(long, env = "KNEAD_MAX_FREE_CANCELLATIONS", default_value_t = 10, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    pub max_free_cancellations: i64,
    /// The most moves that the two parties of a visit make on their own; staff and counter-offers do not count.
    #[arg(skip = 20)]
    pub max_moves: i64,
    /// The most holds of one therapist's time in [`HOLDS_COUNT`].
    #[arg(skip = 12)]
    pub max_holds_of_one: i64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            max_open_visits: 20,
            max_open_requests: 5,
            max_free_cancellations: 10,
            max_moves: 20,
            max_holds_of_one: 12,
        }
    }
}

/// What a client has ahead, read under the client's lock.
#[derive(Clone, Copy, Debug)]
pub struct Ahead {
    /// Whether another visit of theirs takes place at the time that is wanted.
    pub busy: bool,
    /// Visits that have not ended, requests among them.
    pub visits: i64,
    /// Requests that wait for an answer.
    pub requests: i64,
    /// Visits that they called off free of charge of late, of their own will.
    pub cancellations: i64,
}

impl Bounds {
    /// What the bounds on what a client has ahead refuse with.
    pub const REFUSALS: &[Refusal] =
        &[Refusal::ClientBusy, Refusal::TooManyOpenVisits, Refusal::TooManyOpenRequests, Refusal::TooManyCancellations];

    /// Whether a client who has so much ahead may take one visit more; as a request, where it `waits` for the therapist.
    ///
    /// # Errors
    /// The first bound that is reached, as one of [`Self::REFUSALS`].
    pub fn admit(self, ahead: Ahead, waits: bool) -> Result<(), Refusal> {
        if ahead.busy {
            Err(Refusal::ClientBusy)
        } else if ahead.visits >= self.max_open_visits {
            Err(Refusal::TooManyOpenVisits)
        } else if waits && ahead.requests >= self.max_open_requests {
            Err(Refusal::TooManyOpenRequests)
        } else if ahead.cancellations >= self.max_free_cancellations {
            Err(Refusal::TooManyCancellations)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_is_reached_and_not_passed() {
        let bounds = Bounds::default();
        let free = Ahead { busy: false, visits: 19, requests: 4, cancellations: 9 };
        assert_eq!(bounds.admit(free, true), Ok(()));
        for (ahead, refused) in [
            (Ahead { busy: true, ..free }, Refusal::ClientBusy),
            (Ahead { visits: 20, ..free }, Refusal::TooManyOpenVisits),
            (Ahead { requests: 5, ..free }, Refusal::TooManyOpenRequests),
            (Ahead { cancellations: 10, ..free }, Refusal::TooManyCancellations),
        ] {
            assert_eq!(bounds.admit(ahead, true), Err(refused), "{ahead:?}");
        }
        assert_eq!(
            bounds.admit(Ahead { requests: 5, ..free }, false),
            Ok(()),
            "a visit that is confirmed at once waits for nobody"
        );
    }
}
