//! Which sessions are alive, how long they last, and what becomes of the refresh tokens that continue them.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;

use super::store;
use crate::db::Together;
use crate::error::{Error, Result};
use crate::http::Origin;
use crate::ids::{AccountId, SessionId};
use crate::values::{Grants, Role};

/// Statements about sessions that are under way at a time.
const AT_ONCE: usize = 2;

/// What the account of a session is for, and may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holder {
    pub role: Role,
    pub grants: Grants,
    pub email_verified: bool,
    /// Whether the account is to be erased.
    pub is_closing: bool,
    pub proved_at: Option<DateTime<Utc>>,
    /// Whether it is staff without a second factor.
    pub lacks_factor: bool,
}

/// A session as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// Its id.
    pub id: SessionId,
    /// The kind of device that it is on, where it is known.
    #[schema(example = "iPhone")]
    pub device: Option<String>,
    /// The network that it was begun or last continued from: an IPv4 address, or the first half of an IPv6 address.
    #[schema(example = "203.0.113.7")]
    pub network: Option<String>,
    /// When it began.
    pub began_at: DateTime<Utc>,
    /// When it was last continued, to the hour.
    pub last_seen_at: DateTime<Utc>,
    /// Whether it is the caller's own.
    pub current: bool,
}

/// Which sessions are alive, as the database says for each request; requests that come at the same time ask together.
pub struct Sessions(Together<(SessionId, AccountId), Option<Holder>>);

impl Default for Sessions {
    fn default() -> Self {
        Self(Together::new(AT_ONCE))
    }
}

impl Sessions {
    /// Whose session this is, while it lasts.
    pub(super) async fn holder(&self, db: &PgPool, session: SessionId, account: AccountId) -> Result<Option<Holder>> {
        let db = db.clone();
        let read = move |asked: Vec<_>| {
            let db = db.clone();
            async move { store::live_sessions(&db, &asked).await }
        };
        self.0.ask((session, account), read).await
    }
}

/// Where a session is begun or continued, as its owner is told.
#[derive(Clone, Debug)]
pub struct Whence {
    /// The network.
    pub origin: Origin,
    /// The kind of device, where it is known.
    pub device: Option<&'static str>,
}

/// What browsers and apps call themselves, and what people call it. The first that fits is meant, because each says that it is others as well.
const DEVICES: &[(&str, &str)] = &[
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "Chromebook"),
    ("Windows", "Windows"),
    ("Macintosh", "Mac"),
    ("Darwin", "Apple"),
    ("Linux", "Linux"),
];

fn device(user_agent: &str) -> Option<&'static str> {
    DEVICES.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, device)| *device)
}

impl FromRequest for Whence {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let user_agent = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        let device = user_agent.and_then(device);
        ready(Origin::from_request(request, payload).into_inner().map(|origin| Self { origin, device }))
    }
}

/// How long a refresh token is good for, counted from its issue.
pub(super) const REFRESH: TimeDelta = TimeDelta::days(30);
/// How long a refresh token may be shown again: the answer to its first use may have been lost.
pub const REFRESH_GRACE: TimeDelta = TimeDelta::seconds(10);

/// How long an expired refresh token is still known, counted from its end.
pub(super) const EXPIRED_KEPT: TimeDelta = TimeDelta::days(1);

/// What becomes of a refresh token that is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rotation {
    /// It is exchanged for its successor.
    Exchange,
    /// It was exchanged a moment ago, and the answer may have got lost: its successor is given again, while nobody has used that.
    Repeat,
    /// It is unknown, expired, or its session has ended.
    Refuse,
    /// It was exchanged before, too long ago for a lost answer: someone has a copy. The session ends.
    EndSession,
}

/// Decides on a refresh token that expires at `expires_at` and was first used at `used_at`.
pub(super) fn rotation(
    expires_at: DateTime<Utc>,
    used_at: Option<DateTime<Utc>>,
    ended: bool,
    now: DateTime<Utc>,
) -> Rotation {
    match used_at {
        _ if ended => Rotation::Refuse,
        Some(used) if now > used + REFRESH_GRACE => Rotation::EndSession,
        _ if now >= expires_at => Rotation::Refuse,
        Some(_) => Rotation::Repeat,
        None => Rotation::Exchange,
    }
}
