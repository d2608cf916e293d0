//! One effect per key, however often the request is sent. The key, the effect and the answer are written in
//! one transaction, so a crash leaves all of them or none.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpRequest};
use aws_lc_rs::digest;
use chrono::{DateTime, TimeDelta, Utc};

use super::{Fingerprint, Reply};
use crate::db::Tx;
use crate::error::{Error, FieldError, Refusal, Result};
use crate::ids::AccountId;

/// How long an answer is kept.
const KEPT: TimeDelta = TimeDelta::hours(48);

/// The `Idempotency-Key` header, where one was sent.
#[derive(Clone, Debug)]
pub struct IdempotencyKey(Option<String>);

impl FromRequest for IdempotencyKey {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match request.headers().get("Idempotency-Key") {
            None => Ok(Self(None)),
            Some(value) => match value.to_str() {
                Ok(key) if (1..=255).contains(&key.trim().len()) => Ok(Self(Some(key.trim().to_owned()))),
                _ => Err(FieldError::new("/Idempotency-Key", "must be 1 to 255 visible ASCII characters.").into()),
            },
        })
    }
}

impl IdempotencyKey {
    /// The key, on an operation that cannot do without.
    pub fn required(self) -> Result<Self> {
        if self.0.is_some() { Ok(self) } else { Err(Refusal::IdempotencyKeyMissing.into()) }
    }
}

/// The right to carry a request out, once.
#[must_use]
pub struct Once {
    account: AccountId,
    route: &'static str,
    key: Option<String>,
    fingerprint: Fingerprint,
}

impl Once {
    /// Claims `key` for `account` on `route` until the transaction ends.
    ///
    /// # Errors
    /// `Ok(Err(reply))` is the answer that was given before. `idempotency_key_reused` for another body,
    /// `idempotency_key_in_flight` while the first request runs.
    pub async fn claim(
        tx: &mut Tx,
        account: AccountId,
        route: &'static str,
        key: IdempotencyKey,
        fingerprint: Fingerprint,
    ) -> Result<std::result::Result<Self, Reply>> {
        let once = Self { account, route, key: key.0, fingerprint };
        let Some(key) = &once.key else { return Ok(Ok(once)) };
        let claimed = sqlx::query_scalar!(r#"SELECT pg_try_advisory_xact_lock($1) AS "claimed!""#, once.lock(key))
            .fetch_one(&mut **tx)
            .await?;
        // A statement of its own, so that it sees what was committed before the claim.
        let kept = sqlx::query!(
            "SELECT fingerprint, status, location, body FROM idempotency_keys
             WHERE account_id = $1 AND route = $2 AND key = $3",
            account.0,
            route,
            key,
        )
        .fetch_optional(&mut **tx)
        .await?;
        match kept {
            Some(kept) if kept.fingerprint == once.fingerprint.0 => {
                let status = u16::try_from(kept.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
                Ok(Err(Reply::replay(status.unwrap_or(StatusCode::OK), kept.location, kept.body)))
            }
            Some(_) => Err(Refusal::IdempotencyKeyReused.into()),
            None if claimed => Ok(Ok(once)),
            None => Err(Refusal::IdempotencyKeyInFlight.into()),
        }
    }

    /// Keeps `reply` as the answer to the key, in the effect's own transaction.
    pub async fn keep(self, tx: &mut Tx, reply: &Reply, now: DateTime<Utc>) -> Result<()> {
        let Some(key) = self.key else { return Ok(()) };
        let status = i16::try_from(reply.status.as_u16()).unwrap_or(200);
        sqlx::query!(
            "INSERT INTO idempotency_keys (account_id, route, key, fingerprint, status, location, body, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            self.account.0,
            self.route,
            key,
            &self.fingerprint.0,
            status,
            reply.location,
            reply.body,
            now,
        )
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    fn lock(&self, key: &str) -> i64 {
        let name = format!("{}\n{}\n{key}", self.account, self.route);
        let digest = digest::digest(&digest::SHA256, name.as_bytes());
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest.as_ref()[..8]);
        i64::from_be_bytes(bytes)
    }
}

/// Deletes answers older than 48 hours.
pub async fn forget_old_keys(db: &sqlx::PgPool, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("DELETE FROM idempotency_keys WHERE created_at < $1", now - KEPT).execute(db).await?;
    Ok(())
}
