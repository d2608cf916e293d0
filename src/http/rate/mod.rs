//! How much one caller may ask for: limits weighted by what each operation costs, and the headers that tell of them
//! (draft-ietf-httpapi-ratelimit-headers). They measure real time, and are kept in the memory of each process.

mod buckets;
mod costs;
mod origin;

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use self::buckets::{Buckets, Left, Rate};
use self::costs::cost;
use self::origin::Proxies;
use super::wire::route;
use crate::error::{Error, Result};
use crate::ids::AccountId;

pub use self::origin::Origin;

/// One account, or everybody at one origin who is not signed in: 20 units a second.
const CALLER: Rate = Rate { burst: 100, refill: Duration::from_secs(5) };
/// All that comes from one origin: four callers' worth, since offices share an address.
const ADDRESS: Rate = Rate { burst: 400, refill: Duration::from_secs(5) };
/// One origin on the operations that come before a session, most of which hash a password: 10 units a second.
const SIGN_IN: Rate = Rate { burst: 100, refill: Duration::from_secs(10) };
/// One origin that asks how the service is, which must go on being told when others ask for too much.
const PROBE: Rate = Rate { burst: 100, refill: Duration::from_secs(5) };

#[cfg(test)]
const POLICIES: [Rate; 4] = [CALLER, ADDRESS, SIGN_IN, PROBE];

/// A limit by its public name.
struct Policy {
    name: &'static str,
    buckets: Buckets,
}

impl Policy {
    fn new(name: &'static str, rate: Rate) -> Self {
        Self { name, buckets: Buckets::new(rate) }
    }
}

/// Every limit there is.
struct Limits {
    address: Policy,
    caller: Policy,
    sign_in: Policy,
    probe: Policy,
    /// Keys are digests under a secret of this process, so that each takes as little memory as any other.
    keys: RandomState,
}

/// The limits of this process, and the proxies whose word on the caller's address is taken.
pub struct RateLimits {
    limits: Option<Limits>,
    proxies: Proxies,
}

impl RateLimits {
    /// Limits for production; none where `on` is false, for benchmarks on loopback.
    pub fn new(on: bool, trusted_proxies: Vec<IpAddr>) -> Self {
        let limits = || Limits {
            address: Policy::new("address", ADDRESS),
            caller: Policy::new("caller", CALLER),
            sign_in: Policy::new("sign-in", SIGN_IN),
            probe: Policy::new("probe", PROBE),
            keys: RandomState::new(),
        };
        Self { limits: on.then(limits), proxies: Proxies::new(trusted_proxies) }
    }

    /// Forgets callers that have been silent for long enough to have their whole allowance again.
    pub fn forget_idle_callers(&self) {
        let Some(limits) = &self.limits else { return };
        let now = Instant::now();
        for policy in [&limits.address, &limits.caller, &limits.sign_in, &limits.probe] {
            policy.buckets.forget_full(now);
        }
    }

    /// Where `request` comes from: its peer, or whom trusted proxies name.
    pub fn origin(&self, request: &ServiceRequest) -> Origin {
        self.proxies.origin(request.peer_addr(), request.headers())
    }

    /// Whether many callers come by `peer`: a trusted proxy, or this machine itself.
    pub fn is_gate(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.proxies.holds(peer)
            || peer == IpAddr::from(Ipv4Addr::LOCALHOST)
            || peer == IpAddr::from(Ipv6Addr::LOCALHOST)
    }

    /// What `request` is about to be counted against.
    pub fn tally(&self, request: &ServiceRequest, origin: Origin) -> Tally<'_> {
        // The path as the router reads it, since one path can be written in many ways.
        let kind = match request.match_info().as_str() {
            "/livez" | "/readyz" => Kind::Probe,
            path if path.starts_with("/v1/auth/") => Kind::SignIn,
            _ => Kind::Other,
        };
        let cost = cost(request.method(), route(request).as_deref());
        Tally { limits: self.limits.as_ref(), origin, kind, cost, counted: Vec::with_capacity(2) }
    }

    /// Whether callers are limited at all.
    pub const fn is_on(&self) -> bool {
        self.limits.is_some()
    }
}

/// The kinds of requests that are counted apart.
enum Kind {
    Probe,
    SignIn,
    Other,
}

/// What one request costs, and what it was counted against.
pub struct Tally<'a> {
    limits: Option<&'a Limits>,
    origin: Origin,
    kind: Kind,
    cost: u32,
    counted: Vec<Counted<'a>>,
}

/// What was spent of one bucket, or too little to be spent.
struct Counted<'a> {
    policy: &'a Policy,
    key: u64,
    left: Left,
}

impl<'a> Tally<'a> {
    /// Counts it for its origin, before anything is looked up.
    ///
    /// # Errors
    /// 429 past the limit.
    pub fn count_origin(&mut self) -> Result<()> {
        let Some(limits) = self.limits else { return Ok(()) };
        let policy = if matches!(self.kind, Kind::Probe) { &limits.probe } else { &limits.address };
        self.count(policy, limits.keys.hash_one(self.origin))
    }

    /// Counts it for the account that its token names, or for nobody at its origin.
    ///
    /// # Errors
    /// 429 past the limit.
    pub fn count_caller(&mut self, account: Option<AccountId>) -> Result<()> {
        let Some(limits) = self.limits else { return Ok(()) };
        match (&self.kind, account) {
            (Kind::Probe, _) => Ok(()),
            (Kind::SignIn, _) => self.count(&limits.sign_in, limits.keys.hash_one(self.origin)),
            (Kind::Other, Some(account)) => self.count(&limits.caller, limits.keys.hash_one(account)),
            (Kind::Other, None) => self.count(&limits.caller, limits.keys.hash_one(self.origin)),
        }
    }

    fn count(&mut self, policy: &'a Policy, key: u64) -> Result<()> {
        let spent = policy.buckets.spend(key, self.cost, Instant::now());
        // What is refused is not spent elsewhere either: else one account could use up what all at its address may ask for.
        if spent.is_err() {
            for counted in self.counted.drain(..) {
                counted.policy.buckets.give_back(counted.key, self.cost);
            }
        }
        self.counted.push(Counted { policy, key, left: spent.unwrap_or_else(|refused| refused.left) });
        spent.map(drop).map_err(|refused| too_many(refused.wait))
    }

    /// Tells the caller, the narrowest limit first or only the one that refused: `q` units come back in `w` seconds; `r` are
    /// left, and in `t` seconds all are there again.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let policies = self.counted.iter().rev().map(|Counted { policy, .. }| {
            let Rate { burst, refill } = policy.buckets.rate;
            format!("\"{}\";q={burst};w={}", policy.name, refill.as_secs())
        });
        let left = self.counted.iter().rev().map(|Counted { policy, left, .. }| {
            format!("\"{}\";r={};t={}", policy.name, left.units, seconds(left.whole_in))
        });
        for (name, list) in [("ratelimit-policy", policies.collect::<Vec<_>>()), ("ratelimit", left.collect())] {
            match HeaderValue::from_str(&list.join(", ")) {
                Ok(value) if !list.is_empty() => headers.insert(HeaderName::from_static(name), value),
                _ => continue,
            };
        }
    }
}

fn too_many(wait: Duration) -> Error {
    Error::TooManyRequests(seconds(wait).max(1))
}

/// Whole seconds, rounded up.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
