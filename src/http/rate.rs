//! How many requests one caller may send: limits, and the headers that tell of them
//! (draft-ietf-httpapi-ratelimit-headers).

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, ResponseError, web};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use super::is_api;
use crate::App;
use crate::auth::Principal;
use crate::error::Error;
use crate::values::EmailAddress;

type Limiter = RateLimiter<String, DefaultKeyedStateStore<String>, DefaultClock, StateInformationMiddleware>;

/// A number of requests for each caller in a minute, all of which may come at once.
struct Policy {
    name: &'static str,
    quota: u32,
    limiter: Limiter,
}

impl Policy {
    fn new(name: &'static str, quota: NonZeroU32) -> Self {
        let limiter = RateLimiter::keyed(Quota::per_minute(quota)).with_middleware();
        Self { name, quota: quota.get(), limiter }
    }
}

/// Every policy there is.
struct Policies {
    /// For each address, on the operations that cost a password hash.
    sign_in: Policy,
    /// For each account or address, on all others.
    general: Policy,
    /// For each e-mail address, wherever the guesses come from.
    account: Policy,
}

/// The limits of this process, and the proxies whose word on the caller's address is taken.
pub struct RateLimits {
    policies: Option<Policies>,
    trusted_proxies: Vec<IpAddr>,
}

const SIGN_IN_PER_MINUTE: NonZeroU32 = NonZeroU32::new(120).unwrap();
/// Wherever they come from: guesses at one account's password.
const LOG_INS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(30).unwrap();
const GENERAL_PER_MINUTE: NonZeroU32 = NonZeroU32::new(1200).unwrap();

impl RateLimits {
    /// Limits for production; none where `on` is false, for benchmarks on loopback.
    pub fn new(on: bool, trusted_proxies: Vec<IpAddr>) -> Self {
        let policies = || Policies {
            sign_in: Policy::new("sign-in", SIGN_IN_PER_MINUTE),
            general: Policy::new("general", GENERAL_PER_MINUTE),
            account: Policy::new("account", LOG_INS_PER_MINUTE),
        };
        Self { policies: on.then(policies), trusted_proxies }
    }

    /// Forgets callers that have been silent for long enough to have their whole quota again.
    pub fn forget_idle_callers(&self) {
        for policy in self.policies.iter().flat_map(|all| [&all.sign_in, &all.general, &all.account]) {
            policy.limiter.retain_recent();
        }
    }

    /// Counts an attempt to log in as `email`; 429 past the limit.
    pub fn count_log_in(&self, email: &EmailAddress) -> Result<(), Error> {
        let Some(policies) = &self.policies else { return Ok(()) };
        match policies.account.limiter.check_key(&email.as_str().to_owned()) {
            Ok(_) => Ok(()),
            Err(refused) => {
                let wait = refused.wait_time_from(DefaultClock::default().now());
                Err(Error::TooManyRequests(wait.as_secs() + 1))
            }
        }
    }

    /// The caller's address: the peer's, or what a trusted proxy says, read from the right until the first
    /// address that is no proxy of ours.
    fn address(&self, request: &ServiceRequest) -> String {
        let Some(peer) = request.peer_addr().map(|peer| peer.ip()) else { return String::new() };
        let forwarded = request
            .headers()
            .get_all("x-forwarded-for")
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|address| address.trim().parse().ok());
        let hops: Vec<IpAddr> = forwarded.chain([peer]).collect();
        let caller = hops.iter().rev().find(|hop| !self.trusted_proxies.contains(hop)).unwrap_or(&peer);
        caller.to_string()
    }

    /// The middleware: 429 with `Retry-After` past the limit, `RateLimit` headers on every answer. It runs
    /// inside the sign-in, so that an account is counted wherever it calls from.
    pub async fn limit(
        request: ServiceRequest,
        next: Next<impl MessageBody + 'static>,
    ) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
        let app = request.app_data::<web::Data<App>>().cloned().filter(|_| is_api(&request));
        let limits = app.as_ref().map(|app| &app.limits);
        let Some((limits, policies)) = limits.and_then(|limits| Some((limits, limits.policies.as_ref()?))) else {
            return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
        };
        let is_sign_in = request.match_info().as_str().starts_with("/v1/auth/");
        let policy = if is_sign_in { &policies.sign_in } else { &policies.general };
        let caller = match request.extensions().get::<Principal>() {
            Some(principal) if !is_sign_in => principal.account.to_string(),
            _ => limits.address(&request),
        };
        let (remaining, wait, mut response) = match policy.limiter.check_key(&caller) {
            Ok(state) => {
                let response = next.call(request).await?.map_into_boxed_body();
                (state.remaining_burst_capacity(), Duration::ZERO, response)
            }
            Err(refused) => {
                let wait = refused.wait_time_from(DefaultClock::default().now()) + Duration::from_secs(1);
                let response = Error::TooManyRequests(wait.as_secs()).error_response();
                (0, wait, request.into_response(response))
            }
        };
        let headers = [
            ("ratelimit-policy", format!("\"{}\";q={};w=60", policy.name, policy.quota)),
            ("ratelimit", format!("\"{}\";r={remaining};t={}", policy.name, wait.as_secs())),
        ];
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        Ok(response)
    }
}
