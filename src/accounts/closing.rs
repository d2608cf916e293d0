//! Accounts that are to be erased, because their owner has asked for it.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::db::Tx;
use crate::error::Result;
use crate::events::Work;
use crate::ids::AccountId;
use crate::personal::PersonalTable;
use crate::values::Role;

/// What is kept of people here.
pub const PERSONAL: &[PersonalTable] = &[
    PersonalTable { part: None, ..PersonalTable::deleted("recovery_codes", "account_id = $1") },
    PersonalTable { untold: &["secret_sealed", "last_step"], ..PersonalTable::deleted("second_factors", "account_id = $1") },
    PersonalTable { part: None, ..PersonalTable::deleted("login_challenges", "account_id = $1") },
    PersonalTable {
        untold: &["digest", "code_sealed", "address_digest", "tries"],
        ..PersonalTable::deleted("mailed_codes", "account_id = $1")
    },
    PersonalTable::deleted("addresses", "client_id = $1"),
    PersonalTable::kept("client_ratings", "client_id = $1", "stars without words"),
    PersonalTable {
        untold: &["password_hash"],
        ..PersonalTable::blanked(
            "accounts",
            "id = $1",
            "display_name = CASE role WHEN 'client' THEN 'Former client' WHEN 'therapist' THEN 'Former therapist' ELSE 'Former member of staff' END,
             email = 'erased+' || id || '@invalid', claimed_email = NULL, email_verified_at = NULL, phone = NULL, password_hash = '', grants = '{}',
             erases_at = NULL, erased_at = $2",
        )
    },
];

/// An account that may be erased.
#[derive(Clone, Copy, Debug)]
pub struct Closing {
    /// What it is for.
    pub role: Role,
    /// When it is erased; none where nobody has asked for it.
    pub erases_at: Option<DateTime<Utc>>,
}

/// How an account stands with its erasure, locked; none where there is no such account, or no more.
pub async fn lock_closing(tx: &mut Tx, id: AccountId) -> Result<Option<Closing>> {
    let closing = sqlx::query_as!(
        Closing,
        r#"SELECT role AS "role: Role", erases_at FROM accounts WHERE id = $1 AND erased_at IS NULL FOR UPDATE"#,
        id.0
    );
    Ok(closing.fetch_optional(&mut **tx).await?)
}

/// Writes down when an account is erased, or that it is not.
pub async fn set_erases_at(tx: &mut Tx, id: AccountId, at: Option<DateTime<Utc>>) -> Result<()> {
    sqlx::query!("UPDATE accounts SET erases_at = $2 WHERE id = $1", id.0, at).execute(&mut **tx).await?;
    Ok(())
}

/// Whether an account is to be erased.
pub async fn is_closing(work: &mut Work, id: AccountId) -> Result<bool> {
    let closing = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM accounts WHERE id = $1 AND erases_at IS NOT NULL) AS "closing!""#,
        id.0
    );
    Ok(closing.fetch_one(&mut ***work).await?)
}

/// The accounts that are due to be erased at `now`, longest first: up to `count`.
pub async fn to_erase(db: &PgPool, now: DateTime<Utc>, count: i64) -> Result<Vec<AccountId>> {
    let due = sqlx::query_scalar!(
        r#"SELECT id AS "id: AccountId" FROM accounts WHERE erases_at <= $1 ORDER BY erases_at, id LIMIT $2"#,
        now,
        count
    );
    Ok(due.fetch_all(db).await?)
}

/// The accounts that were erased before `until` and whose last words have not ended, longest first: up to `count`.
pub async fn with_words(db: &PgPool, until: DateTime<Utc>, count: i64) -> Result<Vec<AccountId>> {
    let due = sqlx::query_scalar!(
        r#"SELECT id AS "id: AccountId" FROM accounts WHERE erased_at <= $1 AND words_ended_at IS NULL ORDER BY erased_at, id LIMIT $2"#,
        until,
        count
    );
    Ok(due.fetch_all(db).await?)
}

/// Writes down that the last words of an account have ended.
pub async fn set_words_ended(work: &mut Work, id: AccountId) -> Result<()> {
    let now = work.now();
    sqlx::query!("UPDATE accounts SET words_ended_at = $2 WHERE id = $1", id.0, now).execute(&mut ***work).await?;
    Ok(())
}
