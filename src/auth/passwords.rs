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
use zxcvbn::{Score, zxcvbn};

use crate::error::{Error, FieldError, Refusal, Result};
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

    /// The hash of a password that is to be new, where it is hard to guess by whoever knows `about` its owner.
    ///
    /// # Errors
    /// `password_too_weak`, which points to `/password`.
    pub async fn hash_new(&self, password: Password, about: Vec<String>) -> Result<String> {
        let permit = self.turn().await?;
        blocking(move || {
            let text = password.0.expose_secret();
            if !is_strong(text, &about) {
                let field = FieldError::new("/password", "is too easily guessed.");
                return Err(Error::RefusedFields(Refusal::PasswordTooWeak, vec![field]));
            }
            let hashed = hash(text);
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

/// Whether a password takes more than a hundred million guesses. What comes after its first hundred characters makes it no weaker, and the estimate slow.
fn is_strong(password: &str, about: &[String]) -> bool {
    let end = password.char_indices().nth(100).map_or(password.len(), |(end, _)| end);
    let parts = about.iter().flat_map(|known| {
        let parts = known.split(|c: char| !c.is_alphanumeric()).filter(|part| part.chars().count() > 2);
        std::iter::once(known.as_str()).chain(parts)
    });
    let about: Vec<&str> = parts.collect();
    zxcvbn(&password[..end], &about).score() >= Score::Three
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_weak_where_its_owner_is_in_it() {
        let about = ["mia.chen@example.org".to_owned(), "Mia Chen".to_owned()];
        for weak in
            ["password", "password1", "12345678", "qwertyuiop", "mia.chen@example.org", "miachen1", "aaaaaaaaaaaa"]
        {
            assert!(!is_strong(weak, &about), "{weak}");
        }
        for strong in ["correct horse battery", "h7!kQz09pL", "drei blaue Elefanten im Regen"] {
            assert!(is_strong(strong, &about), "{strong}");
        }
        assert!(!is_strong("wolkenkratzer", &["wolkenkratzer@example.org".to_owned()]));
        assert!(is_strong(&"drei blaue Elefanten im Regen ".repeat(5)[..128], &about), "longer than is read");
        assert!(is_strong(&"ä ö ü ß drei blaue Elefanten ".repeat(5), &about), "cut between characters");
    }
}
