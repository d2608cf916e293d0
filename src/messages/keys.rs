//! The service's own key for what is recognised again and never read: the addresses that nothing is sent to, and the links that unsubscribe.

use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sqlx::PgPool;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::cipher::{Cipher, Sealed};
use crate::error::{Error, Result};
use crate::ids::AccountId;

/// The column of the key.
pub const KEY: &str = "message_keys.key";

/// The key's only row.
const NAME: &str = "digests";

/// The key, once it was read: a part of the process.
#[derive(Default)]
pub struct Digests(OnceCell<hmac::Key>);

impl Digests {
    /// The digest of an e-mail address, however it is written.
    pub async fn of_address(&self, db: &PgPool, cipher: &Cipher, email: &str) -> Result<Vec<u8>> {
        let key = self.key(db, cipher).await?;
        Ok(hmac::sign(key, format!("address:{}", email.to_lowercase()).as_bytes()).as_ref().to_vec())
    }

    /// What a link carries that unsubscribes an account from reminders. It is good for ever, and good for nothing else.
    pub async fn token(&self, db: &PgPool, cipher: &Cipher, account: AccountId) -> Result<String> {
        let key = self.key(db, cipher).await?;
        let tag = hmac::sign(key, format!("unsubscribe:{account}").as_bytes());
        Ok(URL_SAFE_NO_PAD.encode([account.0.as_bytes().as_slice(), &tag.as_ref()[..16]].concat()))
    }

    /// The account that a token was made for; none where it was made elsewhere.
    pub async fn account(&self, db: &PgPool, cipher: &Cipher, token: &str) -> Result<Option<AccountId>> {
        let account = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| Uuid::from_slice(bytes.get(..16)?).ok());
        let Some(account) = account.map(AccountId) else { return Ok(None) };
        let good = self.token(db, cipher, account).await?;
        let is_good = aws_lc_rs::constant_time::verify_slices_are_equal(good.as_bytes(), token.as_bytes()).is_ok();
        Ok(is_good.then_some(account))
    }

    async fn key(&self, db: &PgPool, cipher: &Cipher) -> Result<&hmac::Key> {
        self.0
            .get_or_try_init(|| async {
                let kept = match kept(db).await? {
                    Some(kept) => kept,
                    None => {
                        let mut bytes = [0; 32];
                        rand::fill(&mut bytes).map_err(|_| Error::Internal("no random bytes".to_owned()))?;
                        make(db, &cipher.seal(KEY, NAME, &STANDARD.encode(bytes))?).await?;
                        // Another process may have been first.
                        kept(db).await?.ok_or_else(|| Error::Internal("the key of messages is gone".to_owned()))?
                    }
                };
                let bytes = STANDARD.decode(cipher.open(KEY, NAME, &kept)?);
                let bytes = bytes.map_err(|_| Error::Internal("the key of messages is not base64".to_owned()))?;
                Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
            })
            .await
    }
}

async fn kept(db: &PgPool) -> Result<Option<Sealed>> {
    let key = sqlx::query_scalar!(r#"SELECT key_sealed AS "key: Sealed" FROM message_keys WHERE name = $1"#, NAME);
    Ok(key.fetch_optional(db).await?)
}

async fn make(db: &PgPool, sealed: &Sealed) -> Result<()> {
    sqlx::query!(
        "INSERT INTO message_keys (name, key_sealed) VALUES ($1, $2) ON CONFLICT ON CONSTRAINT message_keys_pkey DO NOTHING",
        NAME,
        sealed as &Sealed
    )
    .execute(db)
    .await?;
    Ok(())
}
