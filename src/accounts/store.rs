use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{PgExecutor, PgPool};

use super::{Account, Rotation, rotation};
use crate::auth::RefreshToken;
use crate::db::{BATCH, Tx, in_batches};
use crate::error::{OnConstraint, Refusal, Result};
use crate::events::{Event, Work, Workshop};
use crate::ids::{AccountId, SessionId, TherapistId};
use crate::values::{Rating, Role, Zone};

/// An account to be stored.
pub(super) struct NewAccount<'a> {
    pub email: &'a str,
    pub password_hash: &'a str,
    pub role: Role,
    pub display_name: &'a str,
    pub phone: Option<&'a str>,
    pub time_zone: Zone,
}

pub(super) async fn insert(work: &mut Work, new: NewAccount<'_>) -> Result<Account> {
    let now = work.now();
    let id = AccountId::new(now);
    let account = sqlx::query_as!(
        Account,
        r#"INSERT INTO accounts (id, email, password_hash, role, display_name, phone, time_zone, created_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
           RETURNING id, email::text AS "email!", role AS "role: Role", display_name, phone,
                     time_zone AS "time_zone: Zone", created_at"#,
        id.0,
        new.email as _,
        new.password_hash,
        new.role as Role,
        new.display_name,
        new.phone,
        new.time_zone as Zone,
        now,
    )
    .fetch_one(&mut ***work)
    .await
    .on_constraint("accounts_email_taken", Refusal::EmailTaken)?;
    let therapist = (new.role == Role::Therapist).then(|| TherapistId::from(id));
    let made = Event::new("account.create", "account", id).about(therapist).with(json!({ "role": new.role }));
    work.announce(made).await?;
    Ok(account)
}

/// Makes an admin's account; `email_taken` where the address has one.
pub async fn create_admin(shop: &Workshop, email: &str, password_hash: &str) -> Result<AccountId> {
    let mut work = shop.begin(None).await?;
    let new = NewAccount {
        email,
        password_hash,
        role: Role::Admin,
        display_name: "Admin",
        phone: None,
        time_zone: Zone(chrono_tz::UTC),
    };
    let account = insert(&mut work, new).await?;
    work.commit().await?;
    Ok(account.id)
}

/// The columns of an account, read alike everywhere.
macro_rules! account {
    ($tail:literal, $id:expr) => {
        sqlx::query_as!(
            Account,
            r#"SELECT id, email::text AS "email!", role AS "role: Role", display_name, phone,
                      time_zone AS "time_zone: Zone", created_at
               FROM accounts WHERE id = $1 "#
                + $tail,
            $id
        )
    };
}

pub(super) async fn find<'c>(db: impl PgExecutor<'c>, id: AccountId) -> Result<Account> {
    Ok(account!("", id.0).fetch_one(db).await?)
}

/// The account, locked until the transaction ends.
pub(super) async fn lock(tx: &mut Tx, id: AccountId) -> Result<Account> {
    Ok(account!("FOR UPDATE", id.0).fetch_one(&mut **tx).await?)
}

pub(super) async fn update(tx: &mut Tx, account: &Account) -> Result<()> {
    sqlx::query!(
        "UPDATE accounts SET display_name = $2, phone = $3, time_zone = $4 WHERE id = $1",
        account.id.0,
        account.display_name,
        account.phone,
        account.time_zone as Zone,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The account behind an e-mail address, and the hash of its password.
pub(super) async fn login(db: &PgPool, email: &str) -> Result<Option<(AccountId, String)>> {
    let row =
        sqlx::query!("SELECT id, password_hash FROM accounts WHERE email = $1", email as _).fetch_optional(db).await?;
    Ok(row.map(|row| (row.id, row.password_hash)))
}

/// The role of the account whose session this is, while the session lasts.
pub async fn live_session(db: &PgPool, session: SessionId, account: AccountId) -> Result<Option<Role>> {
    let role = sqlx::query_scalar!(
        r#"SELECT a.role AS "role: Role" FROM sessions s JOIN accounts a ON a.id = s.account_id
           WHERE s.id = $1 AND a.id = $2 AND s.ended_at IS NULL"#,
        session.0,
        account.0
    )
    .fetch_optional(db)
    .await?;
    Ok(role)
}

pub(super) async fn begin_session(tx: &mut Tx, account: AccountId, now: DateTime<Utc>) -> Result<SessionId> {
    let session = SessionId::new(now);
    sqlx::query!("INSERT INTO sessions (id, account_id, created_at) VALUES ($1, $2, $3)", session.0, account.0, now)
        .execute(&mut **tx)
        .await?;
    Ok(session)
}

pub(super) async fn add_refresh_token(
    tx: &mut Tx,
    session: SessionId,
    token: &RefreshToken,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO refresh_tokens (digest, session_id, expires_at) VALUES ($1, $2, $3)",
        token.digest(),
        session.0,
        now + super::REFRESH
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Exchanges a refresh token for `successor` and says whose it is; none where it is refused. Reuse ends the session, with all its tokens.
///
/// One that was used a moment ago gets the same successor again, while that is unused: however many show it at once, one token is live
/// afterwards. Once the successor was used, its answer has arrived, and whoever shows the old one has a copy.
pub(super) async fn use_refresh_token(
    tx: &mut Tx,
    token: &RefreshToken,
    successor: &RefreshToken,
    now: DateTime<Utc>,
) -> Result<Option<(AccountId, SessionId)>> {
    let Some(shown) = shown(tx, token, successor, now).await? else { return Ok(None) };
    match shown.rotation {
        Rotation::Exchange => {
            sqlx::query!("UPDATE refresh_tokens SET used_at = $2 WHERE digest = $1", token.digest(), now)
                .execute(&mut **tx)
                .await?;
            add_refresh_token(tx, shown.session, successor, now).await?;
        }
        Rotation::Repeat => {}
        Rotation::EndSession => {
            end_session(tx, shown.session, now).await?;
            return Ok(None);
        }
        Rotation::Refuse => return Ok(None),
    }
    Ok(Some((shown.account, shown.session)))
}

/// A refresh token that we know, and what becomes of it.
struct Shown {
    account: AccountId,
    session: SessionId,
    rotation: Rotation,
}

/// Looks a refresh token up and locks it with its session until the transaction ends.
async fn shown(
    tx: &mut Tx,
    token: &RefreshToken,
    successor: &RefreshToken,
    now: DateTime<Utc>,
) -> Result<Option<Shown>> {
    let row = sqlx::query!(
        r#"SELECT t.expires_at, t.used_at, s.id, s.account_id, s.ended_at
           FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id WHERE t.digest = $1 FOR UPDATE"#,
        token.digest()
    )
    .fetch_optional(&mut **tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let mut rotation = rotation(row.expires_at, row.used_at, row.ended_at.is_some(), now);
    if rotation == Rotation::Repeat {
        // A statement of its own, so that it sees what was committed before the lock.
        let next = sqlx::query!("SELECT used_at FROM refresh_tokens WHERE digest = $1", successor.digest())
            .fetch_optional(&mut **tx)
            .await?;
        rotation = match next.map(|next| next.used_at) {
            Some(None) => Rotation::Repeat,
            Some(Some(_)) => Rotation::EndSession,
            // It was exchanged under another signing key, a moment ago.
            None => Rotation::Refuse,
        };
    }
    Ok(Some(Shown { account: row.account_id, session: row.id, rotation }))
}

async fn end_session(tx: &mut Tx, session: SessionId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("UPDATE sessions SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL", session.0, now)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Ends the session of a refresh token that could still be exchanged. An older one gives no such right: it may lie in a log or a backup.
pub(super) async fn log_out(
    tx: &mut Tx,
    token: &RefreshToken,
    successor: &RefreshToken,
    now: DateTime<Utc>,
) -> Result<()> {
    match shown(tx, token, successor, now).await? {
        Some(Shown { session, rotation: Rotation::Exchange | Rotation::Repeat, .. }) => {
            end_session(tx, session, now).await
        }
        _ => Ok(()),
    }
}

/// Deletes refresh tokens that expired a day ago or longer, and with the last of its tokens the session.
pub(super) async fn forget_expired_tokens(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    let expired = now - super::EXPIRED_KEPT;
    in_batches(|| async move {
        let gone = sqlx::query_scalar!(
            r#"WITH gone AS (
                   DELETE FROM refresh_tokens WHERE ctid = ANY (ARRAY(
                       SELECT ctid FROM refresh_tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))
                   RETURNING session_id
               ), ended AS (
                   DELETE FROM sessions s USING (SELECT DISTINCT session_id FROM gone) AS of WHERE s.id = of.session_id
                     AND NOT EXISTS (SELECT FROM refresh_tokens t WHERE t.session_id = s.id AND t.expires_at >= $1)
               )
               SELECT count(*) AS "count!" FROM gone"#,
            expired,
            BATCH
        );
        Ok(gone.fetch_one(db).await?.unsigned_abs())
    })
    .await
}

/// The display names of these accounts.
pub async fn names<'c>(db: impl PgExecutor<'c>, ids: &[AccountId]) -> Result<HashMap<AccountId, String>> {
    let rows = sqlx::query!("SELECT id, display_name FROM accounts WHERE id = ANY ($1)", ids as &[AccountId])
        .fetch_all(db)
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.display_name)).collect())
}

/// Adds `count` ratings, or takes them away, with the sum of their stars, to what therapists say of a client. The row is locked
/// meanwhile, so that no other addition is lost.
pub async fn rate(tx: &mut Tx, client: AccountId, count: i32, sum: i32) -> Result<()> {
    // The row is there first, without stars, since a check would see the values to be inserted before the conflict.
    sqlx::query!(
        "INSERT INTO client_ratings (client_id, rating_count, rating_sum) VALUES ($1, 0, 0) ON CONFLICT DO NOTHING",
        client.0
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "UPDATE client_ratings SET rating_count = rating_count + $2, rating_sum = rating_sum + $3 WHERE client_id = $1",
        client.0,
        count,
        sum
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// How therapists rate these clients.
pub async fn ratings(tx: &mut Tx, ids: &[AccountId]) -> Result<HashMap<AccountId, Rating>> {
    let rows = sqlx::query!(
        "SELECT client_id, rating_count, rating_sum FROM client_ratings WHERE client_id = ANY ($1)",
        ids as &[AccountId]
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.client_id, Rating::of(row.rating_count, row.rating_sum))).collect())
}
