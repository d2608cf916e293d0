//! Signed heads: each says how many entries the chain has, and the hash of the last one, under a key that the database
//! does not hold. The idea is that of the signed tree heads of transparency logs (RFC 9162, 4.10).

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, SecondsFormat, Utc};
use secrecy::{ExposeSecret, SecretString};

use crate::error::{Error, Result};

/// What a line that tells of a head begins with.
const PREFIX: &str = "knead-audit";

/// The head of the chain at some moment, signed. As text it is one line of six words: `knead-audit`, the time, how many
/// links, the last one's hash in hexadecimal, the id of the key, and the signature over all that is before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many links there were.
    pub(super) size: i64,
    /// When it was signed.
    pub(super) at: DateTime<Utc>,
    /// The hash of the last link.
    pub(super) hash: Vec<u8>,
    pub(super) key_id: String,
    pub(super) signature: String,
}

impl Head {
    /// What the signature is of.
    fn text(size: i64, at: DateTime<Utc>, hash: &[u8], key_id: &str) -> String {
        let at = at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{PREFIX} {at} {size} {hash} {key_id}")
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, at, hash, key_id, signature } = self;
        write!(f, "{} {signature}", Self::text(*size, *at, hash, key_id))
    }
}

impl FromStr for Head {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let parsed = || {
            let [PREFIX, at, size, hash, key_id, signature] = line.split_whitespace().collect::<Vec<_>>()[..] else {
                return None;
            };
            let hash: Option<Vec<u8>> =
                (0..hash.len()).step_by(2).map(|from| u8::from_str_radix(hash.get(from..from + 2)?, 16).ok()).collect();
            Some(Self {
                size: size.parse().ok()?,
                at: at.parse().ok()?,
                hash: hash?,
                key_id: key_id.to_owned(),
                signature: signature.to_owned(),
            })
        };
        parsed().ok_or_else(|| "this is no line that `knead audit head` printed".to_owned())
    }
}

/// A public key and its id.
struct Public {
    id: String,
    key: Vec<u8>,
}

impl Public {
    fn new(key: &[u8]) -> Self {
        let id = URL_SAFE_NO_PAD.encode(&digest(&SHA256, key).as_ref()[..12]);
        Self { id, key: key.to_owned() }
    }
}

/// The keys of the audit: the first one signs, where it is a private one; each of them verifies.
pub struct Keys {
    signing: Option<Ed25519KeyPair>,
    /// In the order in which they were given; never empty.
    public: Vec<Public>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    /// From keys separated by commas. The first is an Ed25519 key in PKCS#8, base64, or a public key; the others are public
    /// keys of before. A public key is 32 bytes in base64url, as `knead audit head` tells it.
    ///
    /// # Errors
    /// One sentence that says what is wrong with a key.
    pub fn new(keys: &SecretString) -> Result<Self, String> {
        let (mut signing, mut public) = (None, Vec::new());
        for (index, text) in keys.expose_secret().split(',').map(str::trim).enumerate() {
            match URL_SAFE_NO_PAD.decode(text) {
                Ok(key) if key.len() == 32 => public.push(Public::new(&key)),
                _ if index == 0 => {
                    let der = STANDARD.decode(text).map_err(|_| "the key is not base64")?;
                    let pair =
                        Ed25519KeyPair::from_pkcs8(&der).map_err(|_| "the key is not an Ed25519 key in PKCS#8")?;
                    public.push(Public::new(pair.public_key().as_ref()));
                    signing = Some(pair);
                }
                _ => return Err("a key after the first is not a public key of 32 bytes in base64url".to_owned()),
            }
        }
        Ok(Self { signing, public })
    }

    /// From keys of which the first one signs.
    ///
    /// # Errors
    /// One sentence that says what is wrong with a key.
    pub fn for_signing(keys: &SecretString) -> Result<Self, String> {
        let keys = Self::new(keys)?;
        if keys.signing.is_some() { Ok(keys) } else { Err("the first key cannot sign: it is a public one".to_owned()) }
    }

    /// The first key's id and the public key itself, in base64url.
    pub fn public(&self) -> Option<(&str, String)> {
        self.public.first().map(|first| (first.id.as_str(), URL_SAFE_NO_PAD.encode(&first.key)))
    }

    /// Signs the head of a chain of `size` links that ends with `hash`.
    pub(super) fn sign(&self, size: i64, at: DateTime<Utc>, hash: Vec<u8>) -> Result<Head> {
        let signing = self.signing.as_ref().zip(self.public.first());
        let (pair, Public { id, .. }) =
            signing.ok_or_else(|| Error::Internal("there is no key that signs the audit".to_owned()))?;
        let signature = URL_SAFE_NO_PAD.encode(pair.sign(Head::text(size, at, &hash, id).as_bytes()));
        Ok(Head { size, at, hash, key_id: id.clone(), signature })
    }

    /// Whether one of these keys signed `head`.
    pub(super) fn signed(&self, head: &Head) -> bool {
        let Head { size, at, hash, key_id, signature } = head;
        let text = Head::text(*size, *at, hash, key_id);
        let known = self.public.iter().find(|public| public.id == *key_id);
        known.zip(URL_SAFE_NO_PAD.decode(signature).ok()).is_some_and(|(public, signature)| {
            UnparsedPublicKey::new(&ED25519, &public.key).verify(text.as_bytes(), &signature).is_ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::generate_signing_key;

    fn keys(text: &str) -> Keys {
        Keys::new(&text.to_owned().into()).expect("good keys")
    }

    #[test]
    fn a_line_says_all_of_a_head_and_no_other_word_passes() {
        let keys = keys(&generate_signing_key().expect("a key"));
        let head = keys.sign(12, DateTime::UNIX_EPOCH, vec![7; 32]).expect("a head");
        let line = head.to_string();
        assert_eq!(line.parse::<Head>().as_ref(), Ok(&head));
        assert!(keys.signed(&head));
        for (word, other) in
            [(1, "1970-01-01T00:00:01.000000Z"), (2, "13"), (3, &"08".repeat(32)), (4, "other"), (5, "AAAA")]
        {
            let mut words: Vec<&str> = line.split(' ').collect();
            words[word] = other;
            let changed: Head = words.join(" ").parse().expect("a line of the same shape");
            assert!(!keys.signed(&changed), "{other}");
        }
        for bad in [
            "",
            "knead-audit",
            &line[1..],
            &line.replace(" 12 ", " many "),
            &format!("{line} more"),
            &line.replace("07", "é"),
        ] {
            assert!(bad.parse::<Head>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_retired_key_verifies_and_no_longer_signs() {
        let [old, new] = [0, 1].map(|_| generate_signing_key().expect("a key"));
        let head = keys(&old).sign(1, DateTime::UNIX_EPOCH, vec![0; 32]).expect("a head");
        let (_, public) = keys(&old).public().map(|(id, key)| (id.to_owned(), key)).expect("a key");
        assert!(!keys(&new).signed(&head), "a key that is not known");
        assert!(keys(&format!("{new},{public}")).signed(&head));
        assert!(keys(&public).signed(&head), "a public key is enough to verify");
        assert!(keys(&public).sign(1, DateTime::UNIX_EPOCH, vec![0; 32]).is_err());
        assert!(Keys::for_signing(&public.clone().into()).is_err());
        for bad in ["", "secret", &old[..20], &format!("{new},{old}"), &format!("{new},"), &public[..40]] {
            assert!(Keys::new(&bad.to_owned().into()).is_err(), "{bad}");
        }
    }
}
