//! The breaker of an endpoint: one that fails is tried less, so that it takes no time from the others and has peace to get well.

use chrono::{DateTime, TimeDelta, Utc};

/// After so many failures in a row, one attempt at a time finds out whether the endpoint is well again.
pub const MOST_FAILURES: i32 = 5;
/// How long an endpoint may fail without a success before it is disabled.
pub const PATIENCE: TimeDelta = TimeDelta::days(5);
/// How long the first such attempt waits; each one after it twice as long as the one before.
const FIRST_WAIT: TimeDelta = TimeDelta::minutes(1);
/// How long it waits at most.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);
/// With more at once than this, there is nothing left to be careful about.
const MOST_AT_ONCE: i16 = 4;

/// How it goes with an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    /// Failures in a row.
    pub failures: i32,
    /// When the first of them was.
    pub first_failed_at: Option<DateTime<Utc>>,
    /// No attempt is made before that.
    pub next_probe_at: Option<DateTime<Utc>>,
    /// How many attempts may be under way at once; none for any number.
    pub at_once: Option<i16>,
}

/// To how many attempts an endpoint is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// To as many as there are.
    Any,
    /// To so many at once, and those that are under way count.
    AtOnce(usize),
}

impl Breaker {
    /// Whether there is nothing that a success would change.
    pub fn is_calm(&self) -> bool {
        *self == Self::default()
    }

    /// To how many attempts the endpoint is open at `now`.
    pub fn room(&self, now: DateTime<Utc>) -> Room {
        match self.at_once {
            None => Room::Any,
            Some(_) if self.next_probe_at.is_some_and(|at| now < at) => Room::AtOnce(0),
            Some(most) => Room::AtOnce(usize::try_from(most).unwrap_or(1)),
        }
    }

    /// How it is after an attempt that succeeded: one at a time becomes two, two become four, and then it is well.
    #[must_use]
    pub fn after_success(self) -> Self {
        let at_once = self.at_once.map(|most| most.saturating_mul(2)).filter(|most| *most <= MOST_AT_ONCE);
        Self { at_once, ..Self::default() }
    }

    /// How it is after an attempt that failed; none where the endpoint has failed for too long and is to be disabled.
    #[must_use]
    pub fn after_failure(self, now: DateTime<Utc>) -> Option<Self> {
        if self.room(now) == Room::AtOnce(0) {
            // It was under way when the breaker opened, and says nothing new.
            return Some(self);
        }
        let first_failed_at = self.first_failed_at.unwrap_or(now);
        if now - first_failed_at >= PATIENCE {
            return None;
        }
        let failures = self.failures.saturating_add(1);
        let failed = Self { failures, first_failed_at: Some(first_failed_at), ..self };
        Some(if failures >= MOST_FAILURES || self.at_once.is_some() {
            let doublings = (failures - MOST_FAILURES).clamp(0, 10).unsigned_abs();
            let wait = (FIRST_WAIT * 2_i32.pow(doublings)).min(LONGEST_WAIT);
            Self { at_once: Some(1), next_probe_at: Some(now + wait), ..failed }
        } else {
            failed
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    /// After so many failures, each as soon as it may be.
    fn failed(times: usize) -> (Breaker, DateTime<Utc>) {
        (0..times).fold((Breaker::default(), at(0)), |(breaker, now), _| {
            let now = breaker.next_probe_at.unwrap_or(now);
            (breaker.after_failure(now).unwrap(), now)
        })
    }

    #[test]
    fn after_five_failures_one_at_a_time_finds_out() {
        assert_eq!(failed(4).0.room(at(0)), Room::Any);
        let (breaker, now) = failed(5);
        assert_eq!(breaker.room(now), Room::AtOnce(0));
        assert_eq!(breaker.room(now + TimeDelta::seconds(59)), Room::AtOnce(0));
        assert_eq!(breaker.room(now + TimeDelta::seconds(60)), Room::AtOnce(1));
        let waits: Vec<i64> =
            (5..14).map(failed).map(|(b, now)| (b.next_probe_at.unwrap() - now).num_minutes()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn it_gets_well_by_one_two_and_four() {
        let breaker = failed(7).0.after_success();
        assert_eq!(breaker.room(at(0)), Room::AtOnce(2));
        let breaker = breaker.after_success();
        assert_eq!(breaker.room(at(0)), Room::AtOnce(4));
        assert!(!breaker.is_calm() && breaker.after_success().is_calm());
        // On the way there, one failure is enough.
        let again = breaker.after_failure(at(0)).unwrap();
        assert_eq!((again.room(at(59)), again.room(at(60))), (Room::AtOnce(0), Room::AtOnce(1)));
        assert!(Breaker::default().after_success().is_calm());
        assert!(failed(4).0.after_success().is_calm());
    }

    #[test]
    fn what_was_under_way_when_it_opened_says_nothing_new() {
        let (open, now) = failed(5);
        assert_eq!((0..100).fold(open, |breaker, _| breaker.after_failure(now).unwrap()), open);
    }

    #[test]
    fn after_five_days_without_a_success_it_is_over() {
        let breaker = Breaker { first_failed_at: Some(at(0)), ..Breaker::default() };
        assert!(breaker.after_failure(at(0) + PATIENCE - TimeDelta::seconds(1)).is_some());
        assert_eq!(breaker.after_failure(at(0) + PATIENCE), None);
        assert!(breaker.after_success().after_failure(at(0) + PATIENCE).is_some());
    }

    proptest! {
        #[test]
        fn however_it_goes_it_is_never_shut_for_good(steps in prop::collection::vec((any::<bool>(), 0_i64..7200), 1..200)) {
            let (mut breaker, mut now) = (Breaker::default(), at(0));
            for (succeeds, later) in steps {
                now += TimeDelta::seconds(later);
                let before = breaker;
                breaker = if succeeds { breaker.after_success() } else {
                    match breaker.after_failure(now) {
                        Some(breaker) => breaker,
                        None => {
                            prop_assert!(now - before.first_failed_at.unwrap() >= PATIENCE);
                            return Ok(());
                        }
                    }
                };
                prop_assert!(breaker.at_once.is_none_or(|most| [1, 2, 4].contains(&most)));
                prop_assert!(breaker.next_probe_at.is_none_or(|at| at <= now + LONGEST_WAIT));
                prop_assert_ne!(breaker.room(now + LONGEST_WAIT), Room::AtOnce(0));
                prop_assert_eq!(breaker.failures == 0, breaker.first_failed_at.is_none());
                prop_assert!(breaker.failures < MOST_FAILURES || breaker.at_once == Some(1));
                if succeeds {
                    prop_assert_eq!(breaker.failures, 0);
                }
            }
        }
    }
}
