//! Guesses at passwords: each delays the next one, and none locks the owner out. They are counted in the database, because a service has several processes.
//!
//! What counts is failures. A guesser is delayed at their own network, by what it got wrong for one address and for all. Guesses that come from everywhere are
//! slowed by what all networks got wrong for one address; that would delay the owner too, so it does not bind a network from which a session of the account was
//! begun or continued in the last month. A network is what is known again, and not a token on a device, because clients then need not keep anything, and an owner
//! who cleared theirs is known all the same. Whoever shares the owner's network can delay them for a minute at the most.

mod store;

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use crate::App;
use crate::db::{Tx, in_time};
use crate::error::{Error, Result};
use crate::events::Event;
use crate::http::{Origin, RateLimits};
use crate::ids::AccountId;
use crate::queue::Sweep;

/// What is deleted here in the end.
pub const SWEEPS: &[Sweep] =
    &[Sweep { name: "login_attempts", run: |app, now| Box::pin(store::forget(&app.db, now - QUIET)) }];

/// After so long without an attempt a count begins anew.
const QUIET: TimeDelta = TimeDelta::hours(24);
/// Failures of one address at one network before a delay.
const FREE: i32 = 5;
/// The longest delay of one address at one network, in seconds.
const LONGEST: i64 = 60;
/// The time in which failures of a network, and of an address from everywhere, are counted.
const WINDOW: TimeDelta = TimeDelta::hours(1);
/// The delay once a window is full.
const SLOWED: TimeDelta = TimeDelta::seconds(30);

/// The first delay of second factors.
const SLOWED_FACTOR: TimeDelta = TimeDelta::minutes(5);
/// The longest: 24 attempts a day find one of a million codes in forty years.
const LONGEST_FACTOR: TimeDelta = TimeDelta::hours(1);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// One address at one network.
    Pair,
    /// One network: so many failures an hour before it is slowed.
    Network,
    /// One address, from everywhere. NIST SP 800-63B (3.2.2) allows a hundred failures in a row.
    Account,
    /// The second factors of one account, from everywhere: of a million codes three are good at a time.
    Factor,
}

impl Scope {
    /// What is counted of passwords.
    const OF_PASSWORDS: [Self; 3] = [Self::Pair, Self::Network, Self::Account];

    /// Failures before there is a delay.
    const fn free(self) -> i32 {
        match self {
            Self::Pair => FREE,
            Self::Network => 60,
            Self::Account => 100,
            Self::Factor => 10,
        }
    }

    fn key(self, origin: Origin, whose: &str) -> Vec<u8> {
        self.digest(&match self {
            // Whoever has a /48 has 65,536 networks, and would be one of them after the other.
            Self::Pair => format!("{}\n{whose}", origin.site()),
            Self::Network => origin.to_string(),
            Self::Account | Self::Factor => whose.to_owned(),
        })
    }

    fn digest(self, of: &str) -> Vec<u8> {
        let text = format!("{self:?}\n{of}");
        digest(&SHA256, text.as_bytes()).as_ref().to_vec()
    }
}

/// Whose password is guessed at.
#[derive(Clone, Copy, Debug)]
pub enum Whose<'a> {
    /// That of the account with this address, whether or not there is one.
    Address(&'a str),
    /// The caller's own. It is counted apart, because the address that they gave may be another's.
    Own(AccountId),
}

impl Whose<'_> {
    fn key(self) -> String {
        match self {
            Self::Address(email) => email.to_owned(),
            Self::Own(account) => account.to_string(),
        }
    }
}

/// How it stands with what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Count {
    failures: i32,
    since: DateTime<Utc>,
    next_at: DateTime<Utc>,
    seen_at: DateTime<Utc>,
}

impl Count {
    /// Counts an attempt as a failure until it is known to be none; how long to wait, where it is too early for one.
    fn attempt(self, scope: Scope, now: DateTime<Utc>) -> Result<Self, TimeDelta> {
        if now < self.next_at {
            return Err(self.next_at - now);
        }
        let is_over = match scope {
            Scope::Pair | Scope::Factor => now >= self.seen_at + QUIET,
            Scope::Network | Scope::Account => now >= self.since + WINDOW,
        };
        let (before, since) = if is_over { (0, now) } else { (self.failures, self.since) };
        let failures = before.saturating_add(1);
        let delay = match failures - scope.free() {
            ..0 => TimeDelta::zero(),
            beyond if scope == Scope::Pair => TimeDelta::seconds((1 << beyond.min(6)).min(LONGEST)),
            beyond if scope == Scope::Factor => (SLOWED_FACTOR * (1 << beyond.min(6))).min(LONGEST_FACTOR),
            _ => SLOWED,
        };
        Ok(Self { failures, since, next_at: now + delay, seen_at: now })
    }
}

/// An attempt, counted as a failure until it is known to be none.
#[must_use]
pub struct Guess {
    keys: Vec<Vec<u8>>,
}

impl Guess {
    /// Counts an attempt at a password, whether or not there is such an account, and before the password is looked at, so that many at once cannot pass together.
    ///
    /// # Errors
    /// 429 where it is too early for another attempt.
    pub async fn begin(app: &App, origin: Origin, whose: Whose<'_>) -> Result<Self> {
        if !app.part::<RateLimits>()?.is_on() {
            return Ok(Self { keys: Vec::new() });
        }
        in_time(Self::count(&app.db, origin, whose, app.clock.now())).await
    }

    /// Counts an attempt at the second factor of an account. A right one forgives those before it. The owner is told of the tenth in a row, because whoever
    /// makes them knows the password.
    ///
    /// # Errors
    /// 429 where it is too early for another attempt.
    pub async fn begin_second(app: &App, account: AccountId) -> Result<Self> {
        if !app.part::<RateLimits>()?.is_on() {
            return Ok(Self { keys: Vec::new() });
        }
        in_time(async {
            let keys = vec![Scope::Factor.digest(&account.to_string())];
            let mut work = app.begin(None).await?;
            let now = work.now();
            let counts = Self::attempt(&mut work, &[Scope::Factor], &keys, now).await?;
            if counts.iter().any(|count| count.failures == Scope::Factor.free()) {
                work.announce(Event::new("account.second_factor_guessed", "account", account)).await?;
            }
            work.commit().await?;
            Ok(Self { keys })
        })
        .await
    }

    async fn count(db: &PgPool, origin: Origin, whose: Whose<'_>, now: DateTime<Utc>) -> Result<Self> {
        let mut tx = db.begin().await?;
        let network = origin.to_string();
        let is_familiar = match whose {
            Whose::Address(email) => store::is_familiar(&mut tx, &network, email).await?,
            Whose::Own(account) => store::is_own(&mut tx, &network, account).await?,
        };
        let scopes = Scope::OF_PASSWORDS.into_iter().filter(|scope| *scope == Scope::Pair || !is_familiar);
        let scopes: Vec<Scope> = scopes.collect();
        let whose = whose.key();
        let keys: Vec<Vec<u8>> = scopes.iter().map(|scope| scope.key(origin, &whose)).collect();
        Self::attempt(&mut tx, &scopes, &keys, now).await?;
        tx.commit().await?;
        Ok(Self { keys })
    }

    /// Counts an attempt in each scope, or in none where it is too early in one.
    async fn attempt(tx: &mut Tx, scopes: &[Scope], keys: &[Vec<u8>], now: DateTime<Utc>) -> Result<Vec<Count>> {
        let mut counts = store::lock(tx, keys, now).await?;
        for (scope, count) in scopes.iter().zip(&mut counts) {
            match count.attempt(*scope, now) {
                Ok(counted) => *count = counted,
                Err(wait) => {
                    let seconds = (wait + TimeDelta::milliseconds(999)).num_seconds();
                    return Err(Error::TooManyRequests(seconds.unsigned_abs().max(1)));
                }
            }
        }
        store::save(tx, keys, &counts).await?;
        Ok(counts)
    }

    /// The password was never looked at.
    pub async fn take_back(&self, db: &PgPool, now: DateTime<Utc>) -> Result<()> {
        store::take_back(db, &self.keys, now).await
    }

    /// The password was right: the failures of the address at this network are forgiven, and those of the network are not.
    pub async fn was_right(&self, tx: &mut Tx, now: DateTime<Utc>) -> Result<()> {
        let Some((pair, others)) = self.keys.split_first() else { return Ok(()) };
        store::forgive(tx, pair).await?;
        store::take_back(&mut **tx, others, now).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn a_site_is_one_network_of_an_account() {
        let key = |address: &str| Scope::Pair.key(Origin::from(address.parse::<std::net::IpAddr>().unwrap()), "mia");
        assert_eq!(key("2001:db8:1:2::9"), key("2001:db8:1:3::1"));
        assert_ne!(key("2001:db8:1:2::9"), key("2001:db8:2:2::9"));
        assert_ne!(key("203.0.113.7"), key("203.0.113.8"));
    }

    fn fresh() -> Count {
        Count { failures: 0, since: at(0), next_at: at(0), seen_at: at(0) }
    }

    #[test]
    fn five_are_free_and_then_each_doubles_the_delay_to_a_minute() {
        let (mut count, mut now, mut waits) = (fresh(), 0, Vec::new());
        for _ in 0..15 {
            count = count.attempt(Scope::Pair, at(now)).unwrap();
            let wait = (count.next_at - at(now)).num_seconds();
            if wait > 0 {
                assert_eq!(count.attempt(Scope::Pair, at(now + wait - 1)), Err(TimeDelta::seconds(1)));
            }
            now += wait;
            waits.push(wait);
        }
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]);
        let later = count.attempt(Scope::Pair, at(now) + QUIET).unwrap();
        assert_eq!((later.failures, later.next_at), (1, at(now) + QUIET), "a day later it begins anew");
    }

    #[test]
    fn ten_second_factors_are_free_and_then_each_doubles_the_delay_to_an_hour() {
        let (mut count, mut now, mut waits) = (fresh(), 0, Vec::new());
        for _ in 0..16 {
            count = count.attempt(Scope::Factor, at(now)).unwrap();
            let wait = (count.next_at - at(now)).num_seconds();
            if wait > 0 {
                assert_eq!(count.attempt(Scope::Factor, at(now + wait - 1)), Err(TimeDelta::seconds(1)));
            }
            now += wait;
            waits.push(wait / 60);
        }
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 10, 20, 40, 60, 60, 60], "in minutes");
        let later = count.attempt(Scope::Factor, at(now) + QUIET).unwrap();
        assert_eq!((later.failures, later.next_at), (1, at(now) + QUIET), "a day later it begins anew");
    }

    #[test]
    fn an_address_has_a_hundred_failures_an_hour_and_then_two_a_minute() {
        let (mut count, mut looked_at) = (fresh(), 0);
        for second in 0..3600 {
            if let Ok(counted) = count.attempt(Scope::Account, at(second)) {
                (count, looked_at) = (counted, looked_at + 1);
            }
        }
        assert_eq!(looked_at, 100 + (3600 - 99 - 1) / 30, "a hundred in the first seconds, and one each half minute");
        assert_eq!(count.attempt(Scope::Account, at(3700)).unwrap().failures, 1, "the next hour");
    }
}
