//! Passwords: hashed with Argon2id (RFC 9106), off the threads that answer, and never more at once than the
//! machine can carry.

use std::sync::Arc;
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use utoipa::ToSchema;

use crate::error::{Error, Result};
use crate::values::checked_text;

/// How long a log-in waits for its turn before it is answered with 503.
const PATIENCE: Duration = Duration::from_secs(2);

/// A password as someone types it: 8 to 128 characters, whichever they are (NIST SP 800-63B, 3.1.1).
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = String, format = Password, min_length = 8, max_length = 128, example = "correct horse battery")]
pub struct Password(SecretString);

impl Password {
    /// Checks the length.
    pub fn new(text: &str) -> Result<Self, String> {
        // Trimming would change what was typed; control characters cannot be typed.
        checked_text(&format!("|{text}|"), 10, 130, false)
            .map(|_| Self(text.into()))
            .map_err(|_| "must be 8 to 128 characters long, without control characters".to_owned())
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Hashes and compares, at most one password for each core at a time.
pub struct Passwords {
    turns: Arc<Semaphore>,
    /// What an unknown account's password is compared with, so that the answer takes as long.
    decoy: String,
}

impl Passwords {
    /// Ready to hash; makes one hash itself.
    pub fn new() -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self { turns: Arc::new(Semaphore::new(cores)), decoy: hash("a password that nobody has")? })
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit> {
        match tokio::time::timeout(PATIENCE, self.turns.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Error::Unavailable("too many passwords to hash".to_owned())),
        }
    }

    /// The hash to keep, in PHC form.
    pub async fn hash(&self, password: Password) -> Result<String> {
        let permit = self.turn().await?;
        blocking(move || {
            let hashed = hash(password.0.expose_secret());
            drop(permit);
            hashed
        })
        .await
    }

    /// Whether `password` belongs to `hash`; without a hash no, after the same time.
    pub async fn matches(&self, password: Password, hash: Option<String>) -> Result<bool> {
        let permit = self.turn().await?;
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.decoy.clone());
        blocking(move || {
            let hash = PasswordHash::new(&hash).map_err(|error| Error::Internal(error.to_string()))?;
            let equal = Argon2::default().verify_password(password.0.expose_secret().as_bytes(), &hash).is_ok();
            drop(permit);
            Ok(equal && known)
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(task: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(task).await.map_err(|error| Error::Internal(error.to_string()))?
}

/// Argon2id with the library's parameters, which are OWASP's: 19 MiB, two passes, one lane.
fn hash(password: &str) -> Result<String> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash: PasswordHash| hash.to_string())
        .map_err(|error| Error::Internal(error.to_string()))
}
