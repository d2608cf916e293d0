//! Codes that are mailed: whoever shows one reads the mails of the address that it was sent to.
//!
//! The mail is written and sent by a feature of a higher floor. It is told of by an event of the kind that [`CodePurpose`] names, whose subject is the account
//! and whose `details.code` is the code's id, and reads the code by [`mailed_code`] at the moment of sending.

mod store;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::auth::RefreshToken;
use crate::cipher::Cipher;
use crate::error::{Error, Result};
use crate::events::{Event, Work};
use crate::ids::{AccountId, MailedCodeId};
use crate::queue::Sweep;
use crate::seals::{KeptIn, SealedColumn, SealedTable};
use crate::values::bounded_text;

bounded_text! {
    /// Eight digits, as they were mailed.
    TypedCode line 1..=20, example "40718265";
    /// A token, as it was mailed.
    MailedToken line 1..=200, example "bm90LWEtcmVhbC10b2tlbi1idXQtb2YtdGhlLXNpemU";
}

/// What is deleted here in the end.
pub const SWEEPS: &[Sweep] = &[Sweep { name: "mailed_codes", run: |app, now| Box::pin(store::forget(&app.db, now)) }];

/// What is sealed here, because it opens something or tells of somebody.
pub const SEALED: &[SealedTable] = &[SealedTable {
    name: "mailed_codes",
    columns: &[
        SealedColumn { bound_to: CODE, row: "id", kept: KeptIn::Column("code_sealed") },
        SealedColumn { bound_to: ADDRESS, row: "id", kept: KeptIn::Column("address_sealed") },
    ],
}];

const CODE: &str = "mailed_codes.code";
const ADDRESS: &str = "mailed_codes.address";

/// Whether the service sends mails: a part of the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailSetUp(pub bool);

/// How often a typed code may be tried: of a hundred million codes, five.
const TRIES: i16 = 5;
/// So many codes for one purpose are mailed to one account, and to one address whoever's account it is for, in [`WINDOW`].
const MOST_MAILED: usize = 5;
/// The time in which mails are counted.
const WINDOW: TimeDelta = TimeDelta::hours(1);

/// What a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum CodePurpose {
    /// Shows that the owner of an account reads the mails of its address: eight digits, which are typed, because scanners of mails open links.
    VerifyEmail,
    /// Sets another password: a token.
    ResetPassword,
    /// Shows that the owner reads the mails of the address that the account is to have: eight digits, mailed to that address.
    ChangeEmail,
    /// Gives an account the address back that it had: a token, mailed to that address.
    UndoEmailChange,
}

impl CodePurpose {
    /// Each of them.
    pub(super) const ALL: [Self; 4] =
        [Self::VerifyEmail, Self::ResetPassword, Self::ChangeEmail, Self::UndoEmailChange];

    /// The kind of event that asks for the mail.
    pub const fn event(self) -> &'static str {
        match self {
            Self::VerifyEmail => "account.verification_asked",
            Self::ResetPassword => "account.reset_asked",
            Self::ChangeEmail => "account.email_change_asked",
            Self::UndoEmailChange => "account.email_changed",
        }
    }

    /// How long the code can be used.
    pub const fn lasts(self) -> TimeDelta {
        match self {
            Self::VerifyEmail | Self::ChangeEmail => TimeDelta::minutes(30),
            Self::ResetPassword => TimeDelta::minutes(60),
            Self::UndoEmailChange => TimeDelta::hours(72),
        }
    }

    /// Whether it is typed, and not a token.
    const fn is_typed(self) -> bool {
        matches!(self, Self::VerifyEmail | Self::ChangeEmail)
    }
}

/// A code that can be used, for whoever writes the mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailedCode {
    /// What it is for.
    pub purpose: CodePurpose,
    /// Whose account it is.
    pub account: AccountId,
    /// Where it is to be sent.
    pub address: String,
    /// The code itself.
    pub code: String,
    /// Until when it can be used.
    pub expires_at: DateTime<Utc>,
}

/// A code, for the mail that is about to be sent; none where it was used, has ended, or is over.
pub async fn mailed_code(
    db: &PgPool,
    cipher: &Cipher,
    id: MailedCodeId,
    now: DateTime<Utc>,
) -> Result<Option<MailedCode>> {
    let Some(kept) = store::find(db, id, now).await? else { return Ok(None) };
    Ok(Some(MailedCode {
        purpose: kept.purpose,
        account: kept.account_id,
        address: cipher.open(ADDRESS, id, &kept.address)?,
        code: cipher.open(CODE, id, &kept.code)?,
        expires_at: kept.expires_at,
    }))
}

/// Makes a code and announces that it is to be mailed to `address`. Another typed code takes the place of the one before, and a token does not, because
/// whoever asks for one in a stranger's name must not end the owner's. The caller has locked the account.
///
/// # Errors
/// 429 where so many were mailed lately: for the account, or to the address.
pub(super) async fn mail(
    work: &mut Work,
    cipher: &Cipher,
    purpose: CodePurpose,
    account: AccountId,
    address: &str,
) -> Result<()> {
    // Whoever registers an address over and over waits here, so that each counts the mails of the others.
    let digest = address_digest(address);
    work.lock(lock_of(&digest)).await?;
    let now = work.now();
    for lately in [
        store::asked_since(work, account, purpose, now - WINDOW).await?,
        store::mailed_since(work, &digest, purpose, now - WINDOW).await?,
    ] {
        if let Some(first) = lately.get(MOST_MAILED - 1) {
            let wait = (*first + WINDOW - now).num_seconds();
            return Err(Error::TooManyRequests(wait.unsigned_abs().max(1)));
        }
    }
    mail_anyway(work, cipher, purpose, account, address).await
}

/// The same, and nothing where so many were mailed lately.
pub(super) async fn mail_if_few(
    work: &mut Work,
    cipher: &Cipher,
    purpose: CodePurpose,
    account: AccountId,
    address: &str,
) -> Result<()> {
    match mail(work, cipher, purpose, account, address).await {
        Err(Error::TooManyRequests(_)) => Ok(()),
        outcome => outcome,
    }
}

/// The same, however many were mailed: for what strangers cannot ask for.
pub(super) async fn mail_anyway(
    work: &mut Work,
    cipher: &Cipher,
    purpose: CodePurpose,
    account: AccountId,
    address: &str,
) -> Result<()> {
    let now = work.now();
    let id = MailedCodeId::new(now);
    let (code, digest) = if purpose.is_typed() {
        end(work, account, purpose).await?;
        (digits()?, None)
    } else {
        let token = RefreshToken::generate()?;
        let digest = token.digest();
        (token.into_string(), Some(digest))
    };
    let sealed = (cipher.seal(CODE, id, &code)?, cipher.seal(ADDRESS, id, address)?);
    let digests = (digest, address_digest(address));
    store::insert(work, id, (account, purpose), digests, sealed, now).await?;
    work.announce(Event::new(purpose.event(), "account", account).with(json!({ "code": id }))).await
}

/// What mails to an address are counted by, so that nobody reads in the counts whom somebody wrote to.
fn address_digest(address: &str) -> Vec<u8> {
    digest(&SHA256, address.to_lowercase().as_bytes()).as_ref().to_vec()
}

/// What the lock of an address is named by.
fn lock_of(digest: &[u8]) -> Uuid {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(byte, of)| *byte = *of);
    Uuid::from_bytes(bytes)
}

/// Eight digits that nobody can guess.
fn digits() -> Result<String> {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).map_err(|_| Error::Internal("no random bytes".to_owned()))?;
    // The remainder of 64 bits is even to one part in a hundred thousand million.
    Ok(format!("{:08}", u64::from_be_bytes(bytes) % 100_000_000))
}

/// Uses a typed code up: the address that it was mailed to, or none where it is not right. The try counts, so that the caller commits either way.
pub(super) async fn typed(
    work: &mut Work,
    cipher: &Cipher,
    purpose: CodePurpose,
    account: AccountId,
    typed: &TypedCode,
) -> Result<Option<String>> {
    let now = work.now();
    let Some((id, kept)) = store::try_latest(work, account, purpose, TRIES, now).await? else { return Ok(None) };
    let code = cipher.open(CODE, id, &kept.code)?;
    if verify_slices_are_equal(code.as_bytes(), typed.as_str().as_bytes()).is_err() {
        return Ok(None);
    }
    store::end_one(work, id, now).await?;
    Ok(Some(cipher.open(ADDRESS, id, &kept.address)?))
}

/// Whose token this is, while it can be used.
pub(super) async fn owner(
    db: &PgPool,
    purpose: CodePurpose,
    digest: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<AccountId>> {
    store::owner(db, purpose, digest, now).await
}

/// Uses a token up: the address that it was mailed to, and when; none where it is not right. The caller has locked its account.
pub(super) async fn token(
    work: &mut Work,
    cipher: &Cipher,
    purpose: CodePurpose,
    digest: &[u8],
) -> Result<Option<(String, DateTime<Utc>)>> {
    let now = work.now();
    let Some((id, address, made_at)) = store::use_token(work, purpose, digest, now).await? else { return Ok(None) };
    Ok(Some((cipher.open(ADDRESS, id, &address)?, made_at)))
}

/// Ends what was mailed to an account for a purpose.
pub(super) async fn end(work: &mut Work, account: AccountId, purpose: CodePurpose) -> Result<()> {
    let now = work.now();
    store::end(work, account, purpose, now).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_code_is_eight_digits_each_time_others() {
        let codes: std::collections::HashSet<String> = (0..100).map(|_| digits().unwrap()).collect();
        assert!(codes.len() > 95 && codes.iter().all(|code| code.len() == 8 && code.parse::<u32>().is_ok()));
    }
}
