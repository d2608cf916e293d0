//! One effect per key, however often the request is sent. The key, the effect and the answer are written in
//! one transaction, so a crash leaves all of them or none. A request and its answer may tell of doors and of health:
//! the answer is kept sealed, and so is the request's fingerprint, from which a short request could be guessed.

use std::borrow::Cow;
use std::future::{Ready, ready};
use std::io::{Read, Write};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::App;
use crate::cipher::{Cipher, Sealed};
use crate::db::{BATCH, in_batches};
use crate::error::{Error, FieldError, Refusal, Result};
use crate::events::Work;
use crate::http::{Fingerprint, Reply};
use crate::ids::AccountId;
use crate::personal::PersonalTable;
use crate::queue::Sweep;
use crate::seals::{KeptIn, SealedColumn, SealedTable};

/// What is kept of people here: what the answers tell is told with what they are about.
pub const PERSONAL: &[PersonalTable] = &[
    PersonalTable { part: None, ..PersonalTable::deleted("idempotency_keys", "account_id = $1") },
    PersonalTable { part: None, ..PersonalTable::deleted("key_allowances", "account_id = $1") },
];

/// What is deleted here in the end.
pub const SWEEPS: &[Sweep] = &[Sweep { name: "kept_answers", run: |app, now| Box::pin(forget_old_keys(&app.db, now)) }];

/// How long an answer is kept.
const KEPT: TimeDelta = TimeDelta::hours(48);

/// Answers of so many bytes and more are kept compressed.
const LONG: usize = 1024;

/// What a compressed answer begins with.
const PACKED: char = 'z';

/// The tables that keep something sealed.
pub const SEALED: &[SealedTable] = &[SealedTable {
    name: "idempotency_keys",
    columns: &[
        SealedColumn {
            bound_to: BODY,
            row: "account_id || E'\\n' || route || E'\\n' || key",
            kept: KeptIn::Column("body_sealed"),
        },
        SealedColumn {
            bound_to: FINGERPRINT,
            row: "account_id || E'\\n' || route || E'\\n' || key",
            kept: KeptIn::Column("fingerprint_sealed"),
        },
    ],
}];

/// The column of kept answers, to which they are sealed.
const BODY: &str = "idempotency_keys.body";

/// The column of fingerprints.
const FINGERPRINT: &str = "idempotency_keys.fingerprint";

/// The `Idempotency-Key` header, where one was sent, with what seals the answer.
#[derive(Clone, Debug)]
pub struct IdempotencyKey(Option<(String, Cipher)>);

impl FromRequest for IdempotencyKey {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let app = request.app_data::<Data<App>>();
        ready(match request.headers().get("Idempotency-Key").zip(app) {
            None => Ok(Self(None)),
            Some((value, app)) => match value.to_str() {
                Ok(key) if (1..=255).contains(&key.trim().len()) => {
                    Ok(Self(Some((key.trim().to_owned(), app.cipher.clone()))))
                }
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
    key: Option<(String, Cipher)>,
    fingerprint: Fingerprint,
}

impl Once {
    /// Claims `key` for whoever acts, on `route`, until the unit of work ends.
    ///
    /// # Errors
    /// As [`Once::claimed`].
    pub async fn claim(
        work: &mut Work,
        route: &'static str,
        key: IdempotencyKey,
        fingerprint: Fingerprint,
    ) -> Result<Self> {
        Self::of(work, route, key, fingerprint)?.claimed(work).await
    }

    /// The right that `key` gives to whoever acts, not claimed yet: for an operation that claims it in a statement of its own.
    pub fn of(work: &Work, route: &'static str, key: IdempotencyKey, fingerprint: Fingerprint) -> Result<Self> {
        Ok(Self { account: work.by().ok_or(Error::Unauthorized)?, route, key: key.0, fingerprint })
    }

    /// The same, claimed until the unit of work ends.
    ///
    /// # Errors
    /// [`Error::Answered`] with the answer that was given before. `idempotency_key_reused` for another body,
    /// `idempotency_key_in_flight` while the first request runs.
    pub async fn claimed(self, work: &mut Work) -> Result<Self> {
        let Some(lock) = self.lock() else { return Ok(self) };
        let claimed = sqlx::query_scalar!(r#"SELECT pg_try_advisory_xact_lock($1) AS "claimed!""#, lock)
            .fetch_one(&mut ***work)
            .await?;
        // A statement of its own, so that it sees what was committed before the claim.
        let answer = self.answer(work).await?;
        self.settle(claimed, answer)
    }

    /// The number of the advisory lock that claims the key; none without a key.
    pub fn lock(&self) -> Option<i64> {
        self.key().map(|key| lock(&name_of(self.account, self.route, key)))
    }

    /// For which route.
    pub fn route(&self) -> &'static str {
        self.route
    }

    /// The key, where there is one.
    pub fn key(&self) -> Option<&str> {
        self.key.as_ref().map(|(key, _)| key.as_str())
    }

    /// The answer that was given before, if there is one.
    async fn answer(&self, work: &mut Work) -> Result<Option<GivenAnswer>> {
        let given = sqlx::query_as!(
            GivenAnswer,
            r#"SELECT fingerprint_sealed AS "fingerprint: Sealed", status, location, body_sealed AS "body: Sealed", state
               FROM idempotency_keys WHERE account_id = $1 AND route = $2 AND key = $3"#,
            self.account.0,
            self.route,
            self.key(),
        );
        Ok(given.fetch_optional(&mut ***work).await?)
    }

    /// The right to go on, where the key is claimed and has no answer.
    ///
    /// # Errors
    /// As [`Once::claimed`].
    pub fn settle(self, claimed: bool, given: Option<GivenAnswer>) -> Result<Self> {
        let (Some(given), Some((key, cipher))) = (given, &self.key) else {
            return if claimed { Ok(self) } else { Err(Refusal::IdempotencyKeyInFlight.into()) };
        };
        let Fingerprint(print) = self.fingerprint;
        let name = name_of(self.account, self.route, key);
        if cipher.open(FINGERPRINT, &name, &given.fingerprint)? != STANDARD_NO_PAD.encode(print) {
            return Err(Refusal::IdempotencyKeyReused.into());
        }
        let status = u16::try_from(given.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        let body = cipher.open(BODY, name, &given.body)?;
        let reply = Reply::replay(status.unwrap_or(StatusCode::OK), given.location, unpacked(body)?, given.state);
        Err(Error::Answered(Box::new(reply)))
    }

    /// Keeps `reply` as the answer to the key, in the effect's own transaction.
    ///
    /// # Errors
    /// `too_many_requests` where the account's answers of this hour, 600 or 2 MB as they are kept, are used up.
    pub async fn keep(self, work: &mut Work, reply: &Reply) -> Result<()> {
        let now = work.now();
        let Some(kept) = self.kept(reply)? else { return Ok(()) };
        sqlx::query!(
            "INSERT INTO idempotency_keys (account_id, route, key, fingerprint_sealed, status, location, body_sealed, created_at, state)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            kept.account.0,
            kept.route,
            kept.key,
            kept.fingerprint as Sealed,
            kept.status,
            kept.location,
            kept.body as Sealed,
            now,
            kept.state,
        )
        .execute(&mut ***work)
        .await
        .map_err(|error| within_allowance(error, now))?;
        Ok(())
    }

    /// The row that keeps `reply`, for an effect that stores it in a statement of its own; none without a key.
    pub fn kept(self, reply: &Reply) -> Result<Option<Kept>> {
        let Some((key, cipher)) = self.key else { return Ok(None) };
        let name = name_of(self.account, self.route, &key);
        Ok(Some(Kept {
            body: cipher.seal(BODY, &name, &packed(&reply.body)?)?,
            fingerprint: cipher.seal(FINGERPRINT, &name, &STANDARD_NO_PAD.encode(self.fingerprint.0))?,
            state: reply.state.clone(),
            status: i16::try_from(reply.status.as_u16()).unwrap_or(200),
            location: reply.location.clone(),
            account: self.account,
            route: self.route,
            key,
        }))
    }
}

/// An answer that was given before, as it is kept.
pub struct GivenAnswer {
    /// Tells the same request from another.
    pub fingerprint: Sealed,
    /// Its status.
    pub status: i16,
    /// Its `Location`.
    pub location: Option<String>,
    /// Its body.
    pub body: Sealed,
    /// What its ETag says of the state of what it shows, where it says so.
    pub state: Option<String>,
}

/// An answer as it is kept under its key.
pub struct Kept {
    /// Whose key it is.
    pub account: AccountId,
    /// For which route.
    pub route: &'static str,
    /// The key.
    pub key: String,
    /// Tells the same request from another.
    pub fingerprint: Sealed,
    /// The answer's status.
    pub status: i16,
    /// The answer's `Location`.
    pub location: Option<String>,
    /// The answer's body.
    pub body: Sealed,
    /// What its ETag says of the state of what it shows, where it says so.
    pub state: Option<String>,
}

/// What names a key: it is one account's, for one route.
fn name_of(account: AccountId, route: &str, key: &str) -> String {
    format!("{account}\n{route}\n{key}")
}

/// The advisory lock of the key of that name.
fn lock(name: &str) -> i64 {
    let digest = digest::digest(&digest::SHA256, name.as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest.as_ref()[..8]);
    i64::from_be_bytes(bytes)
}

/// Deletes answers older than 48 hours, and what is counted of hours that are over.
pub async fn forget_old_keys(db: &sqlx::PgPool, now: DateTime<Utc>) -> Result<()> {
    in_batches(|| async move {
        let gone = sqlx::query!(
            "DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM idempotency_keys WHERE created_at < $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
            now - KEPT,
            BATCH
        );
        Ok(gone.execute(db).await?.rows_affected())
    })
    .await?;
    in_batches(|| async move {
        let gone = sqlx::query!(
            "DELETE FROM key_allowances WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM key_allowances WHERE since < $1 ORDER BY since LIMIT $2 FOR UPDATE SKIP LOCKED))",
            now - TimeDelta::days(1),
            BATCH
        );
        Ok(gone.execute(db).await?.rows_affected())
    })
    .await
}

/// An answer as it is kept: long ones are compressed, with a mark in front that begins no JSON.
fn packed(body: &str) -> Result<Cow<'_, str>> {
    if body.len() < LONG {
        return Ok(Cow::Borrowed(body));
    }
    let failed = |error: std::io::Error| Error::Internal(format!("an answer could not be compressed: {error}"));
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(body.as_bytes()).map_err(failed)?;
    Ok(Cow::Owned(format!("{PACKED}{}", STANDARD_NO_PAD.encode(packed.finish().map_err(failed)?))))
}

/// The answer, byte for byte, that was kept as `kept`.
fn unpacked(kept: String) -> Result<String> {
    let Some(packed) = kept.strip_prefix(PACKED) else { return Ok(kept) };
    let failed = |why: &str| Error::Internal(format!("{BODY} is not what it was: {why}"));
    let packed = STANDARD_NO_PAD.decode(packed).map_err(|_| failed("it is not base64"))?;
    let mut body = String::new();
    DeflateDecoder::new(&*packed).read_to_string(&mut body).map_err(|_| failed("it does not unfold"))?;
    Ok(body)
}

/// Turns the refusal of the row that would exceed what an account keeps in an hour into 429.
pub fn within_allowance(error: sqlx::Error, now: DateTime<Utc>) -> Error {
    match &error {
        sqlx::Error::Database(database)
            if matches!(database.constraint(), Some("key_allowances_keys" | "key_allowances_bytes")) =>
        {
            // The next hour begins a new count.
            Error::TooManyRequests(3600 - now.timestamp().rem_euclid(3600).unsigned_abs())
        }
        _ => error.into(),
    }
}
