//! Who is calling, and what their role or their scopes let them do.

mod clients;
pub mod guesses;
mod passwords;
mod sessions;
mod store;
mod tokens;

use std::future::{Ready, ready};
use std::marker::PhantomData;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpMessage, HttpRequest, ResponseError, web};

use chrono::{DateTime, TimeDelta, Utc};
use clap::ValueEnum;

pub use clients::{ApiClient, ApiClients, ApiKey, AsEither, BookingsRead, RostersWrite, WebhooksManage, Who};
pub use guesses::{Guess, Whose};
pub use passwords::{Password, Passwords};
use sessions::Holder;
pub use sessions::{REFRESH_GRACE, SessionView, Sessions, Whence};
pub use store::{
    add_refresh_token, begin_session, end_one, end_sessions, know_network, live, log_out, prove, use_refresh_token,
};
pub use tokens::{Claims, RefreshToken, Tokens, generate_signing_key};

use crate::App;
use crate::db::in_time;
use crate::error::{Error, FRESH_SECONDS, Refusal, Result};
use crate::http::RateLimits;
use crate::http::{Tally, is_api};
use crate::ids::{AccountId, SessionId, TherapistId};
use crate::personal::PersonalTable;
use crate::queue::Sweep;
use crate::values::{Grant, Grants, Role, Scope, name};

/// What is kept of people here. Tokens go before their sessions, which they name.
pub const PERSONAL: &[PersonalTable] = &[
    PersonalTable {
        part: None,
        ..PersonalTable::deleted("refresh_tokens", "session_id IN (SELECT id FROM sessions WHERE account_id = $1)")
    },
    PersonalTable { order: "id DESC", ..PersonalTable::deleted("sessions", "account_id = $1") },
];

/// What is deleted here in the end.
pub const SWEEPS: &[Sweep] =
    &[Sweep { name: "refresh_tokens", run: |app, now| Box::pin(store::forget_expired_tokens(&app.db, now)) }];

/// Whether staff need a second factor: a part of the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StaffSecondFactor {
    /// Whoever has none can do no more than add one.
    Required,
    /// Each decides for themself.
    Optional,
}

/// A caller whose access token was verified and whose session is alive.
#[derive(Clone, Copy, Debug)]
pub struct Principal {
    /// The caller's account.
    pub account: AccountId,
    /// The session that the token belongs to.
    pub session: SessionId,
    /// The account's role.
    pub role: Role,
    /// What an admin may do; nobody else has any.
    pub grants: Grants,
    /// Whether the owner has shown that they read the mails of the account's address.
    pub email_verified: bool,
    /// Whether the account is to be erased.
    pub is_closing: bool,
    /// When the password was last proved in this session.
    pub proved_at: Option<DateTime<Utc>>,
    /// Whether it is an admin who has no second factor and needs one: they may do nothing that takes a grant.
    pub must_enrol: bool,
}

impl Principal {
    /// The account, if it is a client's.
    pub fn client(self) -> Option<AccountId> {
        (self.role == Role::Client).then_some(self.account)
    }

    /// Whether the document means the caller by `who`: `client`, `therapist`, `admin`, or `admin:` and a grant.
    pub fn is_meant(self, who: &str) -> bool {
        match who.strip_prefix("admin:") {
            Some(grant) => Grant::ALL.into_iter().any(|one| name(&one) == grant && self.may_any(&[one])),
            None => name(&self.role) == who,
        }
    }

    /// Refuses a session in which the password was not proved lately.
    ///
    /// # Errors
    /// `step_up_required`.
    pub fn refuse_stale(self, now: DateTime<Utc>) -> Result<()> {
        let is_fresh = self.proved_at.is_some_and(|proved| now < proved + TimeDelta::seconds(FRESH_SECONDS));
        if is_fresh { Ok(()) } else { Err(Refusal::StepUpRequired.into()) }
    }

    /// Whether it is an admin whose grants allow what one of these allows.
    pub fn may_any(self, grants: &[Grant]) -> bool {
        self.role == Role::Admin && grants.iter().any(|grant| self.grants.allow(*grant))
    }
}

/// The middleware that counts the request and finds out who is calling: 429 past a limit, `RateLimit` headers on what it
/// lets through and on what it refuses. Nobody is refused here for who they are: the operation's own signature does that,
/// so that public operations stay public.
pub async fn identify(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let Some(app) = request.app_data::<web::Data<App>>().cloned() else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    let limits = app.part::<RateLimits>()?;
    let origin = limits.origin(&request);
    request.extensions_mut().insert(origin);
    let mut tally = limits.tally(&request, origin);
    let mut response = match who(&app, &request, &mut tally).await {
        Ok(who) => {
            match who {
                Some(Who::Person(principal)) => drop(request.extensions_mut().insert(principal)),
                Some(Who::Client(client)) => drop(request.extensions_mut().insert(client)),
                None => {}
            }
            next.call(request).await?.map_into_boxed_body()
        }
        Err(error) => request.into_response(error.error_response()),
    };
    tally.tell(response.headers_mut());
    Ok(response)
}

/// Who is calling. What costs most comes last: the origin is counted first, and what is no key or token of ours is found out without the database.
async fn who(app: &App, request: &ServiceRequest, tally: &mut Tally<'_>) -> Result<Option<Who>> {
    tally.count_origin()?;
    // Only the API asks who is calling: the probes must answer without a database.
    let token = bearer(request).filter(|_| is_api(request));
    match token.filter(|token| token.starts_with(clients::PREFIX)) {
        Some(key) => Ok(api_client(app, key, tally).await?.map(Who::Client)),
        None => Ok(principal(app, token, tally).await?.map(Who::Person)),
    }
}

/// The API client whose key this is. A key names nobody before it is looked up, so that nobody can use up what another may ask for.
async fn api_client(app: &App, key: &str, tally: &mut Tally<'_>) -> Result<Option<ApiClient>> {
    let client = match ApiKey::sent(key) {
        Some(key) => in_time(app.part::<ApiClients>()?.holder(&app.db, &key, app.clock.now())).await?,
        None => None,
    };
    tally.count_caller(client.map(|client| client.id.into()))?;
    Ok(client)
}

/// The person whose token this is. Whom the token names is counted first, which its signature proves without a database, and only then the session is
/// looked up.
async fn principal(app: &App, token: Option<&str>, tally: &mut Tally<'_>) -> Result<Option<Principal>> {
    let (tokens, now) = (app.part::<Tokens>()?, app.clock.now());
    let claims = token.and_then(|token| tokens.verify(token, now));
    tally.count_caller(claims.as_ref().map(|claims| claims.sub))?;
    let Some(claims) = claims else { return Ok(None) };
    let holder = in_time(app.part::<Sessions>()?.holder(&app.db, claims.sid, claims.sub)).await?;
    let needed = app.part::<StaffSecondFactor>()? == &StaffSecondFactor::Required;
    let principal = |Holder { role, grants, email_verified, is_closing, proved_at, lacks_factor }| {
        let (account, session, must_enrol) = (claims.sub, claims.sid, needed && lacks_factor);
        let grants = if must_enrol { Grants::default() } else { grants };
        Principal { account, session, role, grants, email_verified, is_closing, proved_at, must_enrol }
    };
    Ok(holder.map(principal))
}

/// The token that was sent (RFC 6750, 2.1).
fn bearer(request: &ServiceRequest) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whom an operation is for.
pub trait Audience {
    /// Whether the caller belongs to the audience.
    fn admits(caller: Principal) -> bool;
}

macro_rules! audiences {
    ($($(#[$doc:meta])* $name:ident => [$($role:ident),*], [$($grant:ident),*];)+) => {$(
        $(#[$doc])*
        pub enum $name {}

        impl Audience for $name {
            fn admits(caller: Principal) -> bool {
                [$(Role::$role),*].contains(&caller.role) || caller.may_any(&[$(Grant::$grant),*])
            }
        }
    )+};
}

audiences! {
    /// Clients alone.
    Client => [Client], [];
    /// Therapists alone.
    Therapist => [Therapist], [];
    /// The two parties of a visit.
    Parties => [Client, Therapist], [];
    /// Everyone with an account.
    Anyone => [Client, Therapist, Admin], [];
    /// Whoever gives grants.
    Owner => [], [Owner];
    /// Whoever verifies licences, and says which ones are required.
    Verifier => [], [Verifier];
    /// Whoever looks after people and their visits.
    Support => [], [Support];
    /// Whoever sets prices and terms.
    Finance => [], [Finance];
    /// Whoever reads what was done.
    Auditor => [], [Auditor];
    /// Whoever writes what is asked of people's health, and the rules.
    CareEditor => [], [Care, Owner];
    /// Whoever reads the letters of healthcare providers. Owners do not.
    CareReviewer => [], [Care];
    /// Whoever talks to therapists.
    VerifierOrSupport => [], [Verifier, Support];
    /// Whoever has to know why a therapist was allowed to carry a visit out.
    VerifierSupportOrAuditor => [], [Verifier, Support, Auditor];
    /// Whoever may forgo a charge.
    SupportOrFinance => [], [Support, Finance];
    /// The parties of a visit, and staff who look after it.
    PartiesOrSupport => [Client, Therapist], [Support];
    /// Whoever carries visits out, and staff in their stead.
    TherapistOrSupport => [Therapist], [Support];
}
/// The caller, signed in as one of `A`: 401 for nobody, 403 for the wrong role. It waits for nothing, so that it
/// decides before the body is looked at.
pub struct As<A> {
    /// Who is calling.
    pub principal: Principal,
    audience: PhantomData<A>,
}

impl<A> As<A> {
    /// The caller's account.
    pub fn account(&self) -> AccountId {
        self.principal.account
    }
}

impl As<Therapist> {
    /// The caller as a therapist.
    pub fn therapist(&self) -> TherapistId {
        self.principal.account.into()
    }
}

impl<A: Audience> FromRequest for As<A> {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match request.extensions().get::<Principal>() {
            None if request.extensions().get::<ApiClient>().is_some() => Err(Error::Forbidden),
            None => Err(Error::Unauthorized),
            Some(principal) if !A::admits(*principal) && principal.must_enrol => {
                Err(Refusal::SecondFactorNeeded.into())
            }
            Some(principal) if !A::admits(*principal) => Err(Error::Forbidden),
            Some(principal) => Ok(Self { principal: *principal, audience: PhantomData }),
        })
    }
}

/// The caller of a public operation: someone, or nobody. A token that was sent and is not valid is still refused. An API client with the scope
/// `slots:read` is answered as nobody is, and one without it is refused.
pub struct Caller(pub Option<Principal>);

impl FromRequest for Caller {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        if let Some(client) = request.extensions().get::<ApiClient>() {
            let may_read = client.scopes.allow(Scope::SlotsRead);
            return ready(if may_read { Ok(Self(None)) } else { Err(Error::Forbidden) });
        }
        let principal = request.extensions().get::<Principal>().copied();
        let refused = principal.is_none() && request.headers().contains_key(header::AUTHORIZATION);
        ready(if refused { Err(Error::Unauthorized) } else { Ok(Self(principal)) })
    }
}
