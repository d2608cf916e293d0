//! Access tokens that anyone can verify, and refresh tokens that only we can.

use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use aws_lc_rs::{digest, hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use quick_cache::sync::Cache;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ids::{AccountId, SessionId};

const AUDIENCE: &str = "knead";

/// Tokens that are known to be good, at the most; each takes some 200 bytes.
const MOST_VERIFIED: usize = 16_384;

/// How long an access token is good for. Ending its session ends it sooner.
const ACCESS: TimeDelta = TimeDelta::minutes(15);

/// A fresh Ed25519 signing key, as base64 of PKCS#8.
pub fn generate_signing_key() -> Result<String> {
    let document = Ed25519KeyPair::generate_pkcs8(&rand::SystemRandom::new())
        .map_err(|error| Error::Internal(format!("no signing key could be made: {error}")))?;
    Ok(STANDARD.encode(document.as_ref()))
}

/// What an access token says (RFC 7519).
#[derive(Debug, Serialize, Deserialize)]
pub struct Claims {
    /// The account.
    pub sub: AccountId,
    /// The session.
    pub sid: SessionId,
    iss: String,
    aud: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// Signs and verifies access tokens with one Ed25519 key (EdDSA, RFC 8037).
pub struct Tokens {
    issuer: String,
    key_id: String,
    public: String,
    signing: EncodingKey,
    verifying: DecodingKey,
    /// What tokens say whose signature was found good, by their digests: most come again and again, and time is all that changes.
    verified: Cache<[u8; 32], Arc<Claims>>,
    successors: hmac::Key,
}

impl Tokens {
    /// From a key that [`generate_signing_key`] made.
    ///
    /// # Errors
    /// One sentence that says what is wrong with the key.
    pub fn new(issuer: &str, key: &SecretString) -> Result<Self, String> {
        let der = STANDARD.decode(key.expose_secret().trim()).map_err(|_| "the signing key is not base64")?;
        let pair = Ed25519KeyPair::from_pkcs8(&der).map_err(|_| "the signing key is not an Ed25519 key in PKCS#8")?;
        let public = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let thumbprint = digest::digest(&digest::SHA256, public.as_bytes());
        Ok(Self {
            issuer: issuer.to_owned(),
            key_id: URL_SAFE_NO_PAD.encode(&thumbprint.as_ref()[..12]),
            signing: EncodingKey::from_ed_der(&der),
            verifying: DecodingKey::from_ed_components(&public).map_err(|error| error.to_string())?,
            public,
            verified: Cache::new(MOST_VERIFIED),
            // A key of its own: one key is for one thing.
            successors: hmac::Key::new(
                hmac::HMAC_SHA256,
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &der), b"refresh").as_ref(),
            ),
        })
    }

    /// Who issues the tokens: the address of this service, as clients know it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// A token for `account`'s `session`, and the seconds that it lasts.
    pub fn issue(&self, account: AccountId, session: SessionId, now: DateTime<Utc>) -> Result<(String, i64)> {
        let claims = Claims {
            sub: account,
            sid: session,
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            iat: now.timestamp(),
            nbf: now.timestamp(),
            exp: (now + ACCESS).timestamp(),
        };
        let header = Header { kid: Some(self.key_id.clone()), ..Header::new(Algorithm::EdDSA) };
        let token = jsonwebtoken::encode(&header, &claims, &self.signing)
            .map_err(|error| Error::Internal(error.to_string()))?;
        Ok((token, ACCESS.num_seconds()))
    }

    /// The claims of `token`, if we signed it, for us, and it is good at `now`.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Option<Arc<Claims>> {
        let claims = self.claims(token)?;
        (claims.nbf <= now.timestamp() + LEEWAY_SECONDS && now.timestamp() < claims.exp).then_some(claims)
    }

    /// The claims of `token`, if we signed it, for us, whenever that was.
    fn claims(&self, token: &str) -> Option<Arc<Claims>> {
        let digest = digest::digest(&digest::SHA256, token.as_bytes()).as_ref().try_into().ok()?;
        if let Some(claims) = self.verified.get(&digest) {
            return Some(claims);
        }
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[&self.issuer]);
        // The library would ask the machine's clock; ours is injected.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let claims = Arc::new(jsonwebtoken::decode::<Claims>(token, &self.verifying, &validation).ok()?.claims);
        self.verified.insert(digest, claims.clone());
        Some(claims)
    }

    /// The token that `token` is exchanged for. It follows from `token` and from our key, so that whoever shows `token` again, since an
    /// answer got lost, is given the same one, and nothing that opens a session is kept.
    pub fn successor(&self, token: &RefreshToken) -> RefreshToken {
        RefreshToken(URL_SAFE_NO_PAD.encode(hmac::sign(&self.successors, token.0.as_bytes()).as_ref()))
    }

    /// The public key as a JWK Set (RFC 7517), for others that verify our tokens.
    pub fn jwks(&self) -> serde_json::Value {
        serde_json::json!({ "keys": [{
            "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.key_id, "x": self.public,
        }] })
    }
}

/// So far the clocks of two processes may be apart: a token that one has issued is not too early for the other.
const LEEWAY_SECONDS: i64 = 30;

/// A refresh token: 256 bits that nobody can guess, of which we keep the digest alone. The first of a session is random; each other one is
/// the [successor](Tokens::successor) of the one before.
pub struct RefreshToken(String);

impl RefreshToken {
    /// A fresh one.
    pub fn generate() -> Result<Self> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(|_| Error::Internal("no random bytes".to_owned()))?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// One that a caller sent.
    pub fn sent(token: &str) -> Self {
        Self(token.to_owned())
    }

    /// The token itself, for its owner only.
    pub fn into_string(self) -> String {
        self.0
    }

    /// What we keep of it.
    pub fn digest(&self) -> Vec<u8> {
        digest::digest(&digest::SHA256, self.0.as_bytes()).as_ref().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Tokens {
        let key = generate_signing_key().expect("a key");
        Tokens::new("https://knead.example", &key.into()).expect("a good key")
    }

    fn signed(tokens: &Tokens, claims: &serde_json::Value) -> String {
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &tokens.signing).expect("a token")
    }

    #[test]
    fn a_token_is_good_from_its_issue_until_its_end_and_no_second_longer() {
        let (tokens, now) = (tokens(), DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
        let (account, session) = (AccountId::new(now), SessionId::new(now));
        let (token, seconds) = tokens.issue(account, session, now).expect("a token");
        assert!(tokens.verify(&token, now).is_some_and(|claims| claims.sub == account && claims.sid == session));
        assert!(tokens.verify(&token, now - TimeDelta::seconds(30)).is_some(), "by the clock of another process");
        assert!(tokens.verify(&token, now - TimeDelta::seconds(31)).is_none());
        assert!(tokens.verify(&token, now + TimeDelta::seconds(seconds)).is_none());
        assert!(super::tests::tokens().verify(&token, now).is_none(), "signed by another key");
    }

    #[test]
    fn every_claim_is_needed() {
        let (tokens, now) = (tokens(), DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
        let whole = serde_json::json!({
            "sub": AccountId::new(now), "sid": SessionId::new(now), "iss": "https://knead.example", "aud": "knead",
            "iat": now.timestamp(), "nbf": now.timestamp(), "exp": now.timestamp() + 60,
        });
        assert!(tokens.verify(&signed(&tokens, &whole), now).is_some());
        for claim in ["sub", "sid", "iss", "aud", "nbf", "exp"] {
            let mut part = whole.clone();
            part.as_object_mut().expect("an object").remove(claim);
            assert!(tokens.verify(&signed(&tokens, &part), now).is_none(), "without {claim}");
        }
        for (claim, other) in [("aud", "other"), ("iss", "https://other.example")] {
            let mut wrong = whole.clone();
            wrong[claim] = other.into();
            assert!(tokens.verify(&signed(&tokens, &wrong), now).is_none(), "another {claim}");
        }
        let hmac = EncodingKey::from_secret(tokens.public.as_bytes());
        let forged = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &whole, &hmac).expect("a token");
        assert!(tokens.verify(&forged, now).is_none(), "another algorithm");
    }
}
