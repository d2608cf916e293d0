//! What is kept sealed: whoever gets hold of the database alone reads nothing of it.
//!
//! AES-256-GCM with a random nonce. What is sealed is bound to the column and the row that it belongs to and opens nowhere
//! else, so that swapped rows are noticed. The id of the key stands in front: the first key seals, each of them opens.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{digest, rand};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Bytes of a key's id: a multiple of three, so that whatever a key has sealed begins with the same characters.
const ID: usize = 6;

/// A fresh key, as base64.
pub fn generate_data_key() -> Result<String> {
    let mut key = [0; 32];
    rand::fill(&mut key).map_err(|_| Error::Internal("no random bytes".to_owned()))?;
    Ok(STANDARD.encode(key))
}

/// Sealed text: base64 of the key's id, the nonce, and the ciphertext with its tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct Sealed(String);

struct Key {
    id: [u8; ID],
    key: RandomizedNonceKey,
}

/// Seals and opens.
#[derive(Clone)]
pub struct Cipher(Arc<Vec<Key>>);

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher")
    }
}

impl Cipher {
    /// From keys that [`generate_data_key`] made, separated by commas: the first one seals.
    ///
    /// # Errors
    /// One sentence that says what is wrong with a key.
    pub fn new(keys: &SecretString) -> Result<Self, String> {
        let mut found: Vec<Key> = Vec::new();
        for text in keys.expose_secret().split(',') {
            let bytes = STANDARD.decode(text.trim()).map_err(|_| "a key is not base64")?;
            if bytes.len() != 32 || bytes.iter().all(|byte| *byte == bytes[0]) {
                return Err("a key is not 32 random bytes".to_owned());
            }
            let key = RandomizedNonceKey::new(&AES_256_GCM, &bytes).map_err(|_| "a key cannot be used")?;
            let mut id = [0; ID];
            id.copy_from_slice(&digest::digest(&digest::SHA256, &bytes).as_ref()[..ID]);
            if found.iter().any(|other| other.id == id) {
                return Err("a key is there twice".to_owned());
            }
            found.push(Key { id, key });
        }
        Ok(Self(Arc::new(found)))
    }

    /// Seals `text` for `row` of `column`.
    pub fn seal(&self, column: &str, row: impl fmt::Display, text: &str) -> Result<Sealed> {
        Ok(Sealed(STANDARD_NO_PAD.encode(self.seal_bytes(column, row, text.as_bytes())?)))
    }

    /// Seals the bytes of a file: the key's id, the nonce, and the ciphertext with its tag.
    pub fn seal_bytes(&self, column: &str, row: impl fmt::Display, bytes: &[u8]) -> Result<Vec<u8>> {
        let failed = || Error::Internal("nothing could be sealed".to_owned());
        let Key { id, key, .. } = self.0.first().ok_or_else(failed)?;
        let mut secret = bytes.to_vec();
        let nonce = key.seal_in_place_append_tag(bound(column, row), &mut secret).map_err(|_| failed())?;
        Ok([id.as_slice(), nonce.as_ref(), &secret].concat())
    }

    /// Seals more than a text: `value`, as JSON.
    pub fn seal_value(&self, column: &str, row: impl fmt::Display, value: &impl Serialize) -> Result<Sealed> {
        let text = serde_json::to_string(value).map_err(|error| Error::Internal(error.to_string()))?;
        self.seal(column, row, &text)
    }

    /// What the first key seals begins with this; eight characters.
    pub fn begins(&self) -> Result<String> {
        let first = self.0.first().ok_or_else(|| Error::Internal("there is no key".to_owned()))?;
        Ok(STANDARD_NO_PAD.encode(first.id))
    }

    /// Opens what was sealed for `row` of `column`. That it does not open is our own fault, or someone else's work.
    pub fn open(&self, column: &str, row: impl fmt::Display, sealed: &Sealed) -> Result<String> {
        let failed = |why: &str| Error::Internal(format!("{column} does not open: {why}"));
        let bytes = STANDARD_NO_PAD.decode(&sealed.0).map_err(|_| failed("it is not base64"))?;
        String::from_utf8(self.open_bytes(column, row, &bytes)?).map_err(|_| failed("it is not text"))
    }

    /// Opens what [`seal_bytes`](Self::seal_bytes) sealed.
    pub fn open_bytes(&self, column: &str, row: impl fmt::Display, sealed: &[u8]) -> Result<Vec<u8>> {
        let failed = |why: &str| Error::Internal(format!("{column} does not open: {why}"));
        let (id, rest) = sealed.split_at_checked(ID).ok_or_else(|| failed("it is too short"))?;
        let (nonce, secret) = rest.split_at_checked(NONCE_LEN).ok_or_else(|| failed("it is too short"))?;
        let key =
            self.0.iter().find(|key| key.id == id).ok_or_else(|| failed("its key is not among KNEAD_DATA_KEYS"))?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| failed("it has no nonce"))?;
        let mut secret = secret.to_vec();
        let opened = key.key.open_in_place(nonce, bound(column, row), &mut secret);
        Ok(opened.map_err(|_| failed("it was changed, or belongs elsewhere"))?.to_vec())
    }

    /// Opens what [`seal_value`](Self::seal_value) sealed.
    pub fn open_value<T: DeserializeOwned>(&self, column: &str, row: impl fmt::Display, sealed: &Sealed) -> Result<T> {
        let text = self.open(column, row, sealed)?;
        serde_json::from_str(&text).map_err(|error| Error::Internal(format!("{column} is not what it was: {error}")))
    }

    /// The same words, sealed by the first key.
    pub fn reseal(&self, column: &str, row: impl fmt::Display + Copy, sealed: &Sealed) -> Result<Sealed> {
        self.seal(column, row, &self.open(column, row, sealed)?)
    }

    /// Opens text that may be absent.
    pub fn open_any(&self, column: &str, row: impl fmt::Display, sealed: Option<&Sealed>) -> Result<Option<String>> {
        sealed.map(|sealed| self.open(column, row, sealed)).transpose()
    }

    /// The same words, sealed by the first key, where there are any.
    pub fn reseal_any(
        &self,
        column: &str,
        row: impl fmt::Display + Copy,
        sealed: Option<&Sealed>,
    ) -> Result<Option<Sealed>> {
        sealed.map(|sealed| self.reseal(column, row, sealed)).transpose()
    }
}

fn bound(column: &str, row: impl fmt::Display) -> Aad<String> {
    Aad::from(format!("{column}\n{row}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cipher(keys: &[&str]) -> Cipher {
        Cipher::new(&keys.join(",").into()).expect("good keys")
    }

    #[test]
    fn what_is_sealed_opens_in_its_own_place_alone() {
        let cipher = cipher(&[&generate_data_key().expect("a key")]);
        let sealed = cipher.seal("notes", 1, "Ring 4.").expect("sealed");
        assert_eq!(cipher.open("notes", 1, &sealed).expect("opened"), "Ring 4.");
        assert!(!sealed.0.contains("Ring") && cipher.seal("notes", 1, "Ring 4.").expect("sealed") != sealed);
        assert!(cipher.open("notes", 2, &sealed).is_err(), "another row");
        assert!(cipher.open("other", 1, &sealed).is_err(), "another column");
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let cipher = cipher(&[&generate_data_key().expect("a key")]);
        let sealed = cipher.seal("notes", 1, "Ring 4.").expect("sealed");
        let bytes = STANDARD_NO_PAD.decode(&sealed.0).expect("base64");
        for i in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[i] ^= 1;
            assert!(cipher.open("notes", 1, &Sealed(STANDARD_NO_PAD.encode(changed))).is_err(), "byte {i}");
            assert!(cipher.open("notes", 1, &Sealed(STANDARD_NO_PAD.encode(&bytes[..i]))).is_err(), "cut at {i}");
        }
    }

    #[test]
    fn the_first_key_seals_and_each_opens() {
        let (old, new) = (generate_data_key().expect("a key"), generate_data_key().expect("a key"));
        let sealed = cipher(&[&old]).seal("notes", 1, "before").expect("sealed");
        let both = cipher(&[&new, &old]);
        assert_eq!(both.open("notes", 1, &sealed).expect("opened"), "before");
        let later = both.seal("notes", 1, "after").expect("sealed");
        assert_eq!(cipher(&[&new]).open("notes", 1, &later).expect("opened"), "after");
        assert!(cipher(&[&new]).open("notes", 1, &sealed).is_err(), "its key is gone");
        assert_eq!(
            cipher(&[&new]).open("notes", 1, &both.reseal("notes", 1, &sealed).expect("sealed")).expect("opened"),
            "before"
        );
    }

    #[test]
    fn what_the_first_key_seals_is_told_from_the_rest() {
        let (old, new) = (generate_data_key().expect("a key"), generate_data_key().expect("a key"));
        let (one, both) = (cipher(&[&old]), cipher(&[&new, &old]));
        let begins = |cipher: &Cipher| cipher.begins().expect("a key");
        let sealed = both.seal_value("areas", 1, &["neck", "back"]).expect("sealed");
        assert!(sealed.0.starts_with(&begins(&both)) && begins(&both).len() == 8 && begins(&one) != begins(&both));
        assert!(one.seal("notes", 1, "").expect("sealed").0.starts_with(&begins(&one)));
        assert_eq!(both.open_value::<Vec<String>>("areas", 1, &sealed).expect("opened"), ["neck", "back"]);
    }

    #[test]
    fn weak_keys_are_refused() {
        let good = generate_data_key().expect("a key");
        let zeros = STANDARD.encode([0; 32]);
        for weak in ["", "secret", "c2VjcmV0", &good[..20], &zeros, &format!("{good},"), &format!("{good},{good}")] {
            assert!(Cipher::new(&weak.to_owned().into()).is_err(), "{weak}");
        }
    }
}
