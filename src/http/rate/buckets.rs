//! Allowances that are spent in units and come back evenly: a bucket for each key, in memory that is bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

/// How much may be spent at once, and how long it takes to come back as a whole.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Units in a full bucket.
    pub burst: u32,
    /// The time in which an empty bucket fills, evenly.
    pub refill: Duration,
}

/// What is left of an allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Units that may be spent at once.
    pub units: u32,
    /// Until all of them may be spent again.
    pub whole_in: Duration,
}

/// An allowance that was too small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Nothing was spent.
    pub left: Left,
    /// Until as much is there as was asked for.
    pub wait: Duration,
}

/// Keys that are kept at the most in one set of buckets, some five megabytes. Beyond them the key that was asked for least
/// is forgotten, and has a full bucket again.
const MOST_KEPT: usize = 65_536;

/// A bucket for each key, as a meter that knows one instant: when the bucket will be full again (the generic cell rate
/// algorithm of ITU-T I.371). Counting waits for no lock.
pub struct Buckets {
    pub rate: Rate,
    /// Nanoseconds in which one unit comes back.
    step: u64,
    began: Instant,
    /// In nanoseconds since `began`: when each bucket is full again.
    full_at: Cache<u64, Arc<AtomicU64>>,
}

impl Buckets {
    /// Full buckets.
    pub fn new(rate: Rate) -> Self {
        let step = nanoseconds(rate.refill) / u64::from(rate.burst);
        Self { rate, step, began: Instant::now(), full_at: Cache::new(MOST_KEPT) }
    }

    /// Spends `units` of `key`'s bucket.
    ///
    /// # Errors
    /// Fewer are there.
    pub fn spend(&self, key: u64, units: u32, now: Instant) -> Result<Left, Refused> {
        let now = self.since_began(now);
        let depth = self.step * u64::from(self.rate.burst);
        let cost = self.step * u64::from(units);
        let debt = |full_at: u64| full_at.saturating_sub(now);
        let left = |debt: u64| Left {
            units: u32::try_from(depth.saturating_sub(debt) / self.step).unwrap_or(u32::MAX),
            whole_in: Duration::from_nanos(debt),
        };
        let spent = self.bucket(key).fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let after = debt(full_at) + cost;
            (after <= depth).then_some(now + after)
        });
        match spent {
            Ok(before) => Ok(left(debt(before) + cost)),
            Err(before) => {
                let wait = Duration::from_nanos((debt(before) + cost).saturating_sub(depth));
                Err(Refused { left: left(debt(before)), wait })
            }
        }
    }

    /// Gives back units that were spent and turned out not to count.
    pub fn give_back(&self, key: u64, units: u32) {
        let cost = self.step * u64::from(units);
        self.bucket(key).update(Ordering::Relaxed, Ordering::Relaxed, |full_at| full_at.saturating_sub(cost));
    }

    /// Forgets the buckets that are full.
    pub fn forget_full(&self, now: Instant) {
        let now = self.since_began(now);
        self.full_at.retain(|_, full_at| full_at.load(Ordering::Relaxed) > now);
    }

    /// Keys that are kept.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.full_at.len()
    }

    fn bucket(&self, key: u64) -> Arc<AtomicU64> {
        let found = self.full_at.get_or_insert_with(&key, || Ok::<_, std::convert::Infallible>(Arc::default()));
        match found {
            Ok(bucket) => bucket,
            Err(never) => match never {},
        }
    }

    fn since_began(&self, now: Instant) -> u64 {
        nanoseconds(now.saturating_duration_since(self.began))
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 10, refill: Duration::from_secs(5) };

    #[test]
    fn a_burst_is_spent_at_once_and_comes_back_evenly() {
        let (buckets, start) = (Buckets::new(RATE), Instant::now());
        assert_eq!(buckets.spend(1, 4, start).unwrap().units, 6);
        let left = buckets.spend(1, 6, start).unwrap();
        assert_eq!(left, Left { units: 0, whole_in: RATE.refill });
        assert_eq!(buckets.spend(1, 1, start), Err(Refused { left, wait: Duration::from_millis(500) }));
        assert_eq!(
            buckets.spend(1, 7, start).unwrap_err().wait,
            Duration::from_millis(3500),
            "a refusal spends nothing"
        );
        assert!(buckets.spend(2, 10, start).is_ok(), "another key has a bucket of its own");
        for tick in 1..=20 {
            let now = start + Duration::from_millis(500) * tick;
            assert!(buckets.spend(1, 1, now).is_ok() && buckets.spend(1, 1, now).is_err(), "one each half second");
        }
        let later = start + Duration::from_secs(3600);
        assert_eq!(buckets.spend(1, 1, later).unwrap().units, 9, "an hour's rest gives no more than a burst");
    }

    #[test]
    fn what_is_given_back_can_be_spent_and_no_more() {
        let (buckets, now) = (Buckets::new(RATE), Instant::now());
        buckets.spend(1, 10, now).unwrap();
        buckets.give_back(1, 2);
        assert_eq!(buckets.spend(1, 2, now).unwrap().units, 0);
        buckets.give_back(1, 100);
        assert_eq!(buckets.spend(1, 1, now).unwrap().units, 9);
    }

    #[test]
    fn many_at_once_spend_one_bucket() {
        let buckets = Buckets::new(Rate { burst: 1000, refill: Duration::from_secs(3600) });
        let spent: usize = std::thread::scope(|scope| {
            let spend = || (0..1000).filter(|_| buckets.spend(7, 1, Instant::now()).is_ok()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(spend)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!((1000..=1001).contains(&spent), "{spent}");
    }

    #[test]
    fn keys_without_end_are_not_kept_without_end() {
        let (buckets, now) = (Buckets::new(RATE), Instant::now());
        for _ in 0..3 {
            buckets.spend(u64::MAX, 1, now).unwrap();
        }
        for key in 0..4 * MOST_KEPT as u64 {
            buckets.spend(key, 1, now).unwrap();
        }
        assert!(buckets.len() <= MOST_KEPT + MOST_KEPT / 100, "{}", buckets.len());
        assert_eq!(buckets.spend(u64::MAX, 1, now).unwrap().units, 6, "a key that is in use outlasts made-up ones");
        buckets.forget_full(now + RATE.refill + Duration::from_secs(1));
        assert_eq!(buckets.len(), 0);
    }
}
