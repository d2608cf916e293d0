//! Guesses at passwords. What counts is failures, and not attempts, so that nobody is kept out by logging in often.
//!
//! A guesser is stopped at its own place: by what one origin may get wrong for one e-mail address, and for all of them.
//! Guesses that come from everywhere are slowed by what all origins together may get wrong for one e-mail address. That
//! last count would let a stranger keep the owner out; so it does not bind an origin from which the right password came
//! before. Each count comes back evenly: nobody is locked out for good.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use super::buckets::{Buckets, Rate};
use super::origin::Origin;

/// One origin, one e-mail address: ten, and one each three minutes.
const PAIR: Rate = Rate { burst: 10, refill: Duration::from_mins(30) };
/// One origin, all e-mail addresses: sixty, and two a minute.
const ORIGIN: Rate = Rate { burst: 60, refill: Duration::from_mins(30) };
/// All origins that are not familiar, one e-mail address: fifty, and one a minute. NIST SP 800-63B (3.2.2) allows a hundred
/// failures in a row.
const EMAIL: Rate = Rate { burst: 50, refill: Duration::from_mins(50) };

/// Origins with an e-mail address that are remembered at the most: who was there longest without coming back goes first.
const MOST_FAMILIAR: usize = 65_536;

/// The counts of this process.
pub struct Guesses {
    pairs: Buckets,
    origins: Buckets,
    emails: Buckets,
    familiar: Cache<u64, ()>,
    /// Keys are digests under a secret of this process: equally short whatever was typed, and no list of e-mail addresses.
    keys: RandomState,
}

/// An attempt, counted as a failure until it is known to be none.
#[must_use]
pub struct Guess<'a> {
    guesses: Option<&'a Guesses>,
    pair: u64,
    spent: Vec<(&'a Buckets, u64)>,
}

impl Guesses {
    /// Nobody has failed, and nobody is familiar.
    pub fn new() -> Self {
        Self {
            pairs: Buckets::new(PAIR),
            origins: Buckets::new(ORIGIN),
            emails: Buckets::new(EMAIL),
            familiar: Cache::new(MOST_FAMILIAR),
            keys: RandomState::new(),
        }
    }

    /// Counts an attempt for `email`, whether or not there is such an account. It counts before the password is looked
    /// at, so that many at once cannot pass together.
    ///
    /// # Errors
    /// How long to wait before the next.
    pub fn begin(&self, origin: Origin, email: &str, now: Instant) -> Result<Guess<'_>, Duration> {
        let pair = self.pair(origin, email);
        let everywhere = [(&self.origins, self.keys.hash_one(origin)), (&self.emails, self.keys.hash_one(email))];
        let everywhere = everywhere.into_iter().filter(|_| self.familiar.get(&pair).is_none());
        let mut guess = Guess { guesses: Some(self), pair, spent: Vec::with_capacity(3) };
        for (buckets, key) in std::iter::once((&self.pairs, pair)).chain(everywhere) {
            match buckets.spend(key, 1, now) {
                Ok(_) => guess.spent.push((buckets, key)),
                Err(refused) => {
                    guess.take_back();
                    return Err(refused.wait);
                }
            }
        }
        Ok(guess)
    }

    /// Remembers that the owner of `email` was at `origin`.
    pub fn remember(&self, origin: Origin, email: &str) {
        self.familiar.insert(self.pair(origin, email), ());
    }

    /// Forgets failures that no longer count.
    pub fn forget_full(&self, now: Instant) {
        for buckets in [&self.pairs, &self.origins, &self.emails] {
            buckets.forget_full(now);
        }
    }

    fn pair(&self, origin: Origin, email: &str) -> u64 {
        self.keys.hash_one((origin, email))
    }
}

impl<'a> Guess<'a> {
    /// One that counts nowhere.
    pub fn uncounted() -> Self {
        Self { guesses: None, pair: 0, spent: Vec::new() }
    }

    /// The password was never looked at.
    pub fn take_back(&self) {
        for (buckets, key) in &self.spent {
            buckets.give_back(*key, 1);
        }
    }

    /// The password was right: the failures of this origin are forgiven, and it is familiar.
    pub fn was_right(self) {
        self.take_back();
        if let Some(guesses) = self.guesses {
            guesses.pairs.fill(self.pair);
            guesses.familiar.insert(self.pair, ());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: u32) -> Origin {
        std::net::IpAddr::from(number.to_be_bytes()).into()
    }

    /// How many wrong guesses of `many` are looked at.
    fn wrong(
        guesses: &Guesses,
        many: u32,
        origin: impl Fn(u32) -> Origin,
        email: impl Fn(u32) -> String,
        now: Instant,
    ) -> usize {
        (0..many).filter(|n| guesses.begin(origin(*n), &email(*n), now).is_ok()).count()
    }

    const MIA: &str = "mia@example.org";

    fn mia(_: u32) -> String {
        MIA.to_owned()
    }

    #[test]
    fn a_guesser_is_stopped_at_its_own_place_and_the_owner_is_not() {
        let (guesses, now) = (Guesses::new(), Instant::now());
        assert_eq!(wrong(&guesses, 100, |_| at(1), mia, now), 10);
        guesses.begin(at(2), MIA, now).expect("the owner, from a new place").was_right();
        assert!(guesses.begin(at(1), MIA, now).is_err());
        let later = now + Duration::from_mins(3);
        assert_eq!(wrong(&guesses, 100, |_| at(1), mia, later), 1, "one each three minutes");
        assert_eq!(
            wrong(&guesses, 100, |_| at(1), mia, now + Duration::from_hours(24)),
            10,
            "nobody is locked out for good"
        );
    }

    #[test]
    fn guesses_from_everywhere_are_slowed_and_do_not_bind_a_familiar_place() {
        let (guesses, now) = (Guesses::new(), Instant::now());
        guesses.begin(at(1), MIA, now).unwrap().was_right();
        assert_eq!(wrong(&guesses, 1000, |n| at(100 + n), mia, now), 50);
        assert_eq!(wrong(&guesses, 1000, |n| at(2000 + n), mia, now + Duration::from_mins(10)), 10, "one a minute");
        assert!(guesses.begin(at(5000), MIA, now + Duration::from_mins(10)).is_err(), "a new place waits");
        for _ in 0..100 {
            guesses.begin(at(1), MIA, now).expect("the owner, from a familiar place").was_right();
        }
        assert_eq!(wrong(&guesses, 100, |_| at(1), mia, now), 10, "a familiar place has its own limit");
        assert!(guesses.begin(at(100), "leo@example.org", now).is_ok(), "somebody else is not concerned");
    }

    #[test]
    fn many_e_mail_addresses_from_one_place_are_stopped() {
        let (guesses, now) = (Guesses::new(), Instant::now());
        assert_eq!(wrong(&guesses, 1000, |_| at(1), |n| format!("{n}@example.org"), now), 60);
        assert!(guesses.begin(at(2), "0@example.org", now).is_ok());
    }

    #[test]
    fn only_failures_count_and_success_forgives_those_before_it() {
        let (guesses, now) = (Guesses::new(), Instant::now());
        for n in 0..500 {
            guesses.begin(at(1), &format!("{n}@example.org"), now).expect("an office in the morning").was_right();
        }
        for _ in 0..20 {
            assert_eq!(wrong(&guesses, 9, |_| at(1), mia, now), 9);
            guesses.begin(at(1), MIA, now).unwrap().was_right();
            guesses.remember(at(1), MIA);
        }
        for _ in 0..500 {
            guesses.begin(at(9), MIA, now).unwrap().take_back();
        }
    }
}
