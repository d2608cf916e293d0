//! API clients: programs that call the service in their own name, by keys that an owner gave them.
//!
//! A key is `knead_`, the key's id, 256 random bits and a CRC-32 of all before it, so that a key that is mistyped or cut off is known as such without the
//! database, and so that programs which look for keys in public places find it. Only its SHA-256 is kept. Who looks a key up by its digest tells nothing of
//! other keys by the time that it takes, because a guess at a digest is no step towards a key.

mod store;

use std::future::{Ready, ready};
use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::{As, Audience, Principal};
use crate::db::Together;
use crate::error::{Error, Result};
use crate::ids::{AccountId, ApiClientId, ApiKeyId};
use crate::values::{Scope, Scopes, name};

/// What every key begins with.
pub(super) const PREFIX: &str = "knead_";
/// Random bytes in a key.
const SECRET: usize = 32;
/// Statements about keys that are under way at a time.
const AT_ONCE: usize = 2;
/// How long a use of a key is not written down after one that was.
const COARSE: TimeDelta = TimeDelta::hours(1);

/// A key of an API client, whole: whoever has it is the client.
pub struct ApiKey(String);

impl ApiKey {
    /// A fresh key with this id.
    ///
    /// # Errors
    /// The machine has no random bytes.
    pub fn generate(id: ApiKeyId) -> Result<Self> {
        let mut secret = [0; SECRET];
        rand::fill(&mut secret).map_err(|_| Error::Internal("no random bytes".to_owned()))?;
        let text = format!("{}_{}", Self::beginning(id), URL_SAFE_NO_PAD.encode(secret));
        let check = crc32fast::hash(text.as_bytes());
        Ok(Self(format!("{text}_{check:08x}")))
    }

    /// What the key with this id begins with. Whoever knows it has not got the key.
    pub fn beginning(id: ApiKeyId) -> String {
        format!("{PREFIX}{}", id.0.simple())
    }

    /// The key that was sent, if its check digits are right.
    pub(super) fn sent(text: &str) -> Option<Self> {
        let (text, check) = text.rsplit_once('_')?;
        let is_right = check.len() == 8
            && text.starts_with(PREFIX)
            && check.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
            && u32::from_str_radix(check, 16) == Ok(crc32fast::hash(text.as_bytes()));
        is_right.then(|| Self(format!("{text}_{check}")))
    }

    /// What is kept of it: its SHA-256.
    pub fn digest(&self) -> [u8; 32] {
        let mut kept = [0; 32];
        kept.copy_from_slice(digest(&SHA256, self.0.as_bytes()).as_ref());
        kept
    }

    /// The whole key, for the one answer that shows it.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// A program that was identified by a key which is good.
#[derive(Clone, Copy, Debug)]
pub struct ApiClient {
    /// Its id.
    pub id: ApiClientId,
    /// The owner who made it.
    pub made_by: AccountId,
    /// What it may do.
    pub scopes: Scopes,
}

impl ApiClient {
    /// Whether the document means the client by `scope`: `slots:read`.
    pub fn is_meant(self, scope: &str) -> bool {
        self.scopes.iter().any(|one| name(&one) == scope)
    }
}

/// A key that is kept and was not revoked.
#[derive(Clone, Debug)]
struct Kept {
    key: ApiKeyId,
    client: ApiClient,
    expires_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
}

/// Whose keys are good, as the database says for each request; requests that come at the same time ask together.
pub struct ApiClients(Together<[u8; 32], Option<Kept>>);

impl Default for ApiClients {
    fn default() -> Self {
        Self(Together::new(AT_ONCE))
    }
}

impl ApiClients {
    /// Whose key this is, while it is good. That it was used is written down once an hour.
    ///
    /// # Errors
    /// 503 where the database does not answer.
    pub(super) async fn holder(&self, db: &PgPool, key: &ApiKey, now: DateTime<Utc>) -> Result<Option<ApiClient>> {
        let read = {
            let db = db.clone();
            move |asked: Vec<_>| {
                let db = db.clone();
                async move { store::kept(&db, &asked).await }
            }
        };
        let kept = self.0.ask(key.digest(), read).await?;
        let Some(kept) = kept.filter(|kept| kept.expires_at.is_none_or(|end| now < end)) else { return Ok(None) };
        if kept.last_used_at.is_none_or(|used| now >= used + COARSE) {
            store::note_use(db, kept.key, now).await?;
        }
        Ok(Some(kept.client))
    }
}

/// What an operation asks of an API client.
pub trait Needs {
    /// The scope.
    const SCOPE: Scope;
}

macro_rules! needs {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        pub enum $name {}

        impl Needs for $name {
            const SCOPE: Scope = Scope::$name;
        }
    )+};
}

needs! {
    /// Whatever reads where bookings stand.
    BookingsRead;
    /// Whatever has webhook endpoints of its own.
    WebhooksManage;
    /// Whatever uploads authorities' lists.
    RostersWrite;
}

/// Who is calling: a person, or a program.
#[derive(Clone, Copy, Debug)]
pub enum Who {
    /// A person who is signed in.
    Person(Principal),
    /// An API client.
    Client(ApiClient),
}

/// The caller, a person who is one of `A` or an API client that has the scope `S`: 401 for nobody, 403 for everybody else.
pub struct AsEither<A, S> {
    /// Who is calling.
    pub who: Who,
    meant: PhantomData<(A, S)>,
}

impl<A, S> AsEither<A, S> {
    /// Who acts: the person's account, or the client under its own id.
    pub fn actor(&self) -> AccountId {
        match self.who {
            Who::Person(person) => person.account,
            Who::Client(client) => client.id.into(),
        }
    }

    /// The API client, if it is one.
    pub fn client(&self) -> Option<ApiClient> {
        match self.who {
            Who::Person(_) => None,
            Who::Client(client) => Some(client),
        }
    }

    /// The person's account, if it is a person.
    pub fn account(&self) -> Option<AccountId> {
        match self.who {
            Who::Person(person) => Some(person.account),
            Who::Client(_) => None,
        }
    }
}

impl<A: Audience, S: Needs> FromRequest for AsEither<A, S> {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let client = request.extensions().get::<ApiClient>().copied();
        let who = match client {
            Some(client) if client.scopes.allow(S::SCOPE) => Ok(Who::Client(client)),
            Some(_) => Err(Error::Forbidden),
            None => As::<A>::from_request(request, payload).into_inner().map(|me| Who::Person(me.principal)),
        };
        ready(who.map(|who| Self { who, meant: PhantomData }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_check_digits() {
        let id = ApiKeyId::new(DateTime::UNIX_EPOCH);
        let key = ApiKey::generate(id).unwrap();
        let (digest, text) = (key.digest(), key.into_string());
        assert!(text.starts_with(&format!("{}_", ApiKey::beginning(id))), "{text}");
        assert_eq!(text.len(), 6 + 32 + 1 + 43 + 1 + 8);
        assert_eq!(ApiKey::sent(&text).unwrap().digest(), digest);
        // Every letter that is changed, left out or doubled is noticed.
        for place in 0..text.len() {
            let (before, after) = (&text[..place], &text[place + 1..]);
            let other = if text.as_bytes()[place] == b'0' { '1' } else { '0' };
            for wrong in
                [format!("{before}{other}{after}"), format!("{before}{after}"), format!("{before}~{}", &text[place..])]
            {
                assert!(ApiKey::sent(&wrong).is_none(), "{wrong}");
            }
        }
        for wrong in ["", "knead_", "knead__", "knead_00000000", "knead_x_00000000", "other_x_e5ad1aa5"] {
            assert!(ApiKey::sent(wrong).is_none(), "{wrong}");
        }
        assert!(ApiKey::sent(&text.to_uppercase()).is_none());
    }

    #[test]
    fn no_two_keys_are_alike() {
        let id = ApiKeyId::new(DateTime::UNIX_EPOCH);
        assert_ne!(ApiKey::generate(id).unwrap().into_string(), ApiKey::generate(id).unwrap().into_string());
    }
}
