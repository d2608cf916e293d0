//! Signatures as Standard Webhooks has them (<https://www.standardwebhooks.com>): `v1` by a secret that both sides know, and `v1a` by a key
//! whose public half everyone may know.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::error::{Error, Result};

/// How long the secret before goes on signing.
pub const BOTH_GOOD: TimeDelta = TimeDelta::hours(24);

/// Bytes of a secret of ours.
const LENGTH: usize = 32;

/// Bytes that the standard wants a secret to have.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// Seconds by which the time of a message that is received may differ from ours, either way.
const TOLERANCE: u64 = 300;

/// A signed message as it was received.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The header `webhook-id`.
    pub id: &'a str,
    /// The header `webhook-timestamp`: seconds since 1970.
    pub timestamp: &'a str,
    /// The header `webhook-signature`: one signature or several, separated by spaces.
    pub signatures: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// A secret that both sides know. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// A fresh one.
    pub fn generate() -> Result<Self> {
        Ok(Self(random::<LENGTH>()?.to_vec()))
    }

    /// The text that the receiver is given: `whsec_` and base64.
    pub fn to_text(&self) -> String {
        format!("whsec_{}", STANDARD.encode(&self.0))
    }

    /// Reads [`to_text`](Self::to_text) back.
    ///
    /// # Errors
    /// 500 where it is no such text.
    pub fn from_text(text: &str) -> Result<Self> {
        Ok(Self(decoded(text, "whsec_")?))
    }

    /// Reads one that somebody else made.
    ///
    /// # Errors
    /// What it must be.
    pub fn given(text: &str) -> Result<Self, String> {
        let secret = Self::from_text(text).ok().filter(|secret| LENGTHS.contains(&secret.0.len()));
        secret.ok_or_else(|| "must be `whsec_` and 24 to 64 bytes in base64".to_owned())
    }

    /// Whether whoever knows the secret has signed the message, at most five minutes from `now`. How long it takes does not tell how much of a
    /// signature is right.
    pub fn verify(&self, received: &Received, now: DateTime<Utc>) -> bool {
        let Received { id, timestamp, signatures, body } = received;
        let is_fresh = timestamp.parse().is_ok_and(|at: i64| now.timestamp().abs_diff(at) <= TOLERANCE);
        let good = self.sign(&[format!("{id}.{timestamp}.").as_bytes(), body].concat());
        let is_good = |one: &str| verify_slices_are_equal(one.as_bytes(), good.as_bytes()).is_ok();
        is_fresh && signatures.split(' ').any(is_good)
    }

    fn sign(&self, text: &[u8]) -> String {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), text);
        format!("v1,{}", STANDARD.encode(tag))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// A key of an endpoint, whose public half verifies what it signs.
pub struct SigningKey {
    seed: Vec<u8>,
    pair: Ed25519KeyPair,
}

impl SigningKey {
    /// A fresh one.
    pub fn generate() -> Result<Self> {
        Self::from_seed(random::<32>()?.to_vec())
    }

    /// The text that is kept: `whsk_` and base64.
    pub fn to_text(&self) -> String {
        format!("whsk_{}", STANDARD.encode(&self.seed))
    }

    /// Reads [`to_text`](Self::to_text) back.
    ///
    /// # Errors
    /// 500 where it is no such text.
    pub fn from_text(text: &str) -> Result<Self> {
        Self::from_seed(decoded(text, "whsk_")?)
    }

    /// The public half that the receiver is given: `whpk_` and base64.
    pub fn public(&self) -> String {
        format!("whpk_{}", STANDARD.encode(self.pair.public_key().as_ref()))
    }

    fn from_seed(seed: Vec<u8>) -> Result<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed);
        let pair = pair.map_err(|_| Error::Internal("a signing key cannot be used".to_owned()))?;
        Ok(Self { seed, pair })
    }

    fn sign(&self, text: &[u8]) -> String {
        format!("v1a,{}", STANDARD.encode(self.pair.sign(text).as_ref()))
    }
}

/// The header `webhook-signature` of a delivery that is sent at `at`: every signature that is good, by every secret and by the key.
pub fn signatures(delivery: Uuid, at: DateTime<Utc>, body: &[u8], secrets: &[Secret], key: &SigningKey) -> String {
    let text = [format!("{delivery}.{}.", at.timestamp()).as_bytes(), body].concat();
    let signatures = secrets.iter().map(|secret| secret.sign(&text)).chain([key.sign(&text)]);
    signatures.collect::<Vec<_>>().join(" ")
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| Error::Internal("no random bytes".to_owned()))?;
    Ok(bytes)
}

fn decoded(text: &str, prefix: &str) -> Result<Vec<u8>> {
    let bytes = text.strip_prefix(prefix).and_then(|text| STANDARD.decode(text).ok());
    bytes.ok_or_else(|| Error::Internal(format!("what is kept is no {prefix}")))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
    use reqwest::header::HeaderMap;
    use standardwebhooks::Webhook;

    use super::*;
    use crate::clock::Clock;

    const BODY: &str = r#"{"type":"booking.moved","data":{}}"#;

    fn headers(id: Uuid, at: DateTime<Utc>, signatures: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", id.to_string().parse().unwrap());
        headers.insert("webhook-timestamp", at.timestamp().to_string().parse().unwrap());
        headers.insert("webhook-signature", signatures.parse().unwrap());
        headers
    }

    #[test]
    fn each_secret_verifies_and_no_other() {
        let (new, old, other) = (Secret::generate().unwrap(), Secret::generate().unwrap(), Secret::generate().unwrap());
        let (id, now, key) = (Uuid::now_v7(), Clock::System.now(), SigningKey::generate().unwrap());
        let signed = signatures(id, now, BODY.as_bytes(), &[new.clone(), old.clone()], &key);
        assert_eq!(signed.split(' ').count(), 3);
        let verify = |secret: &Secret, body: &str, id: Uuid, at| {
            Webhook::new(&secret.to_text()).unwrap().verify(body.as_bytes(), &headers(id, at, &signed)).is_ok()
        };
        assert!(verify(&new, BODY, id, now) && verify(&old, BODY, id, now));
        assert!(!verify(&other, BODY, id, now));
        assert!(!verify(&new, "{}", id, now));
        assert!(!verify(&new, BODY, Uuid::now_v7(), now));
        assert!(!verify(&new, BODY, id, now + TimeDelta::seconds(1)));
    }

    #[test]
    fn the_public_key_verifies() {
        let (id, now, key) = (Uuid::now_v7(), Clock::System.now(), SigningKey::generate().unwrap());
        let signed = signatures(id, now, BODY.as_bytes(), &[], &key);
        let signature = STANDARD.decode(signed.strip_prefix("v1a,").unwrap()).unwrap();
        let public = STANDARD.decode(key.public().strip_prefix("whpk_").unwrap()).unwrap();
        let text = format!("{id}.{}.{BODY}", now.timestamp());
        let public = UnparsedPublicKey::new(&ED25519, public);
        assert!(public.verify(text.as_bytes(), &signature).is_ok());
        assert!(public.verify(BODY.as_bytes(), &signature).is_err());
    }

    #[test]
    fn a_signature_is_the_one_that_another_program_makes() {
        // By the Python package `standardwebhooks` 1.1.0.
        let secret = Secret::from_text("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        let id = "0198c0de-0000-7000-8000-000000000000".parse().unwrap();
        let at = DateTime::from_timestamp(1_796_083_200, 0).unwrap();
        let signed = signatures(id, at, BODY.as_bytes(), &[secret], &SigningKey::generate().unwrap());
        assert!(signed.starts_with("v1,zWX9FQQjVhBk1bBZU76QXcFHdtoRfUfGL1TtOuUD+l4= v1a,"), "{signed}");
    }

    #[test]
    fn what_another_program_signs_verifies_for_five_minutes_and_nothing_else_does() {
        let (secret, now, id) = (Secret::generate().unwrap(), Clock::System.now(), "msg_p5jXN8AQM9LWM0D4loKWxJek");
        let theirs = Webhook::new(&secret.to_text()).unwrap();
        let signed = theirs.sign(id, now.timestamp(), BODY.as_bytes()).unwrap();
        let timestamp = now.timestamp().to_string();
        let message = Received { id, timestamp: &timestamp, signatures: &signed, body: BODY.as_bytes() };
        assert!(secret.verify(&message, now));
        let among_others = format!("v1a,AAAA v1,AAAA {signed}");
        assert!(secret.verify(&Received { signatures: &among_others, ..message }, now));
        for minutes in [-5, 5] {
            let then = now + TimeDelta::minutes(minutes);
            assert!(secret.verify(&message, then));
            assert!(!secret.verify(&message, then + TimeDelta::seconds(minutes.signum())));
        }
        assert!(!Secret::generate().unwrap().verify(&message, now));
        assert!(!secret.verify(&Received { id: "msg_2", ..message }, now));
        assert!(!secret.verify(&Received { body: b"{}", ..message }, now));
        let later = (now.timestamp() + 1).to_string();
        for timestamp in [later.as_str(), "", "soon", "-9223372036854775808", "99999999999999999999"] {
            assert!(!secret.verify(&Received { timestamp, ..message }, now), "{timestamp}");
        }
        for signatures in ["", "v1,", "v1", signed.trim_start_matches("v1,"), &signed[..signed.len() - 1]] {
            assert!(!secret.verify(&Received { signatures, ..message }, now), "{signatures}");
        }
    }

    #[test]
    fn a_secret_that_is_given_is_long_enough() {
        assert!(Secret::given(&Secret::generate().unwrap().to_text()).is_ok());
        let of = |bytes: usize| Secret::given(&format!("whsec_{}", STANDARD.encode(vec![7; bytes])));
        assert!(of(23).is_err() && of(24).is_ok() && of(64).is_ok() && of(65).is_err());
        assert!(Secret::given("").is_err() && Secret::given("whsec_?").is_err());
    }

    #[test]
    fn what_is_kept_is_read_back_and_never_printed() {
        let (secret, key) = (Secret::generate().unwrap(), SigningKey::generate().unwrap());
        assert!(Secret::from_text(&secret.to_text()).unwrap() == secret);
        assert_eq!(SigningKey::from_text(&key.to_text()).unwrap().public(), key.public());
        assert_eq!(format!("{secret:?}"), "Secret");
        assert!(Secret::from_text(&key.to_text()).is_err() && SigningKey::from_text("whsk_AAAA").is_err());
        let bytes = STANDARD.decode(secret.to_text().strip_prefix("whsec_").unwrap()).unwrap().len();
        assert!((24..=64).contains(&bytes));
    }
}
