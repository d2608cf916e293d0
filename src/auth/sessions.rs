//! Which sessions are alive, how long they last, and what becomes of the refresh tokens that continue them.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::store;
use crate::db::Together;
use crate::error::Result;
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
