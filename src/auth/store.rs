use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::RefreshToken;
use super::sessions::{EXPIRED_KEPT, Holder, REFRESH, Rotation, SessionView, Whence, rotation};
use crate::db::{BATCH, Tx, in_batches};
use crate::error::Result;
use crate::ids::{AccountId, SessionId};
use crate::values::{Grant, Role};

/// The holder of each session, in the order of `asked`, while the session lasts.
pub(super) async fn live_sessions(db: &PgPool, asked: &[(SessionId, AccountId)]) -> Result<Vec<Option<Holder>>> {
    let sessions: Vec<_> = asked.iter().map(|(session, _)| session.0).collect();
    let accounts: Vec<_> = asked.iter().map(|(_, account)| account.0).collect();
    let rows = sqlx::query!(
        // The limit keeps the planner from joining: sessions are asked for one by one, by the key, however many it counts on.
        r#"SELECT role AS "role?: Role", grants AS "grants?: Vec<Grant>", email_verified AS "email_verified?", is_closing AS "is_closing?", proved_at AS "proved_at?", lacks_factor AS "lacks_factor?"
           FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS asked (session, account, n)
           LEFT JOIN LATERAL (SELECT a.role, a.grants, a.email_verified_at IS NOT NULL AS email_verified, a.erases_at IS NOT NULL AS is_closing, s.proved_at,
                                     a.role = 'admin' AND NOT EXISTS (SELECT FROM second_factors f
                                                                       WHERE f.account_id = a.id AND f.confirmed_at IS NOT NULL) AS lacks_factor
                              FROM sessions s JOIN accounts a ON a.id = s.account_id
                              WHERE s.id = asked.session AND s.account_id = asked.account AND s.ended_at IS NULL AND a.suspended_at IS NULL LIMIT 1) AS holder ON true
           ORDER BY n"#,
        &sessions,
        &accounts
    )
    .fetch_all(db)
    .await?;
    let holders = rows.into_iter().map(|row| {
        let (grants, email_verified) = (row.grants.unwrap_or_default().into(), row.email_verified.unwrap_or_default());
        let (proved_at, lacks_factor) = (row.proved_at, row.lacks_factor.unwrap_or_default());
        let is_closing = row.is_closing.unwrap_or_default();
        Some(Holder { role: row.role?, grants, email_verified, is_closing, proved_at, lacks_factor })
    });
    Ok(holders.collect())
}

/// Sessions that an account has at a time; the oldest ends for another one.
const MOST: i64 = 100;
/// Sessions of an account that are kept, the ended ones with them: whoever ends them all writes no more rows than that.
const KEPT: i64 = 200;
/// Sessions that one log-in deletes.
const DELETED: i64 = 1000;

/// Begins a session of an account whose password was just proved.
pub async fn begin_session(tx: &mut Tx, account: AccountId, whence: &Whence, now: DateTime<Utc>) -> Result<SessionId> {
    let session = SessionId::new(now);
    sqlx::query!(
        "UPDATE sessions SET ended_at = $3 WHERE account_id = $1 AND ended_at IS NULL
           AND id < (SELECT min(id::text)::uuid FROM (SELECT id FROM sessions WHERE account_id = $1 AND ended_at IS NULL ORDER BY id DESC LIMIT $2) s)",
        account.0,
        MOST - 1,
        now
    )
    .execute(&mut **tx)
    .await?;
    delete_old(tx, account).await?;
    sqlx::query!(
        "INSERT INTO sessions (id, account_id, created_at, device, origin, seen_at, proved_at)
         VALUES ($1, $2, $3, $4, $5, date_trunc('hour', $3::timestamptz), $3)",
        session.0,
        account.0,
        now,
        whence.device,
        whence.origin.to_string()
    )
    .execute(&mut **tx)
    .await?;
    Ok(session)
}

/// Deletes the ended sessions of an account that are beyond the latest.
async fn delete_old(tx: &mut Tx, account: AccountId) -> Result<()> {
    let old = sqlx::query_scalar!(
        r#"SELECT id AS "id: SessionId" FROM sessions WHERE account_id = $1 AND ended_at IS NOT NULL
             AND id < (SELECT min(id::text)::uuid FROM (SELECT id FROM sessions WHERE account_id = $1 ORDER BY id DESC LIMIT $2) s)
           LIMIT $3"#,
        account.0,
        KEPT - 1,
        DELETED
    )
    .fetch_all(&mut **tx)
    .await?;
    if old.is_empty() {
        return Ok(());
    }
    // The tokens go first, because whoever shows one locks it before its session.
    sqlx::query!("DELETE FROM refresh_tokens WHERE session_id = ANY ($1)", &old as &[SessionId])
        .execute(&mut **tx)
        .await?;
    sqlx::query!("DELETE FROM sessions WHERE id = ANY ($1)", &old as &[SessionId]).execute(&mut **tx).await?;
    Ok(())
}

/// Keeps a network as one where the owner of an account was, in a session that has ended: whoever guesses from elsewhere does not delay them there.
pub async fn know_network(tx: &mut Tx, account: AccountId, whence: &Whence, now: DateTime<Utc>) -> Result<()> {
    let session = begin_session(tx, account, whence, now).await?;
    // Nobody has the token. The session is deleted with it.
    add_refresh_token(tx, session, &RefreshToken::generate()?, now).await?;
    end_session(tx, session, now).await
}

/// The sessions of an account that last, the latest first.
pub async fn live(db: &PgPool, account: AccountId, own: SessionId, now: DateTime<Utc>) -> Result<Vec<SessionView>> {
    let sessions = sqlx::query_as!(
        SessionView,
        r#"SELECT id, device, origin AS network, created_at AS began_at, coalesce(seen_at, created_at) AS "last_seen_at!", id = $2 AS "current!"
           FROM sessions s WHERE account_id = $1 AND ended_at IS NULL
             AND EXISTS (SELECT FROM refresh_tokens t WHERE t.session_id = s.id AND t.expires_at > $3)
           ORDER BY id DESC LIMIT $4"#,
        account.0,
        own.0,
        now,
        MOST
    );
    Ok(sessions.fetch_all(db).await?)
}

/// Ends a session of the account; whether there was one. Its network is known no more, because its owner may not know who was there.
pub async fn end_one(tx: &mut Tx, account: AccountId, session: SessionId, now: DateTime<Utc>) -> Result<bool> {
    let ended = sqlx::query!(
        "UPDATE sessions SET ended_at = $3, origin = NULL WHERE id = $2 AND account_id = $1 AND ended_at IS NULL",
        account.0,
        session.0,
        now
    );
    Ok(ended.execute(&mut **tx).await?.rows_affected() > 0)
}

/// Notes that the password was proved in a session.
pub async fn prove(tx: &mut Tx, session: SessionId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("UPDATE sessions SET proved_at = $2 WHERE id = $1", session.0, now).execute(&mut **tx).await?;
    Ok(())
}

/// Adds a refresh token to a session.
pub async fn add_refresh_token(
    tx: &mut Tx,
    session: SessionId,
    token: &RefreshToken,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO refresh_tokens (digest, session_id, expires_at) VALUES ($1, $2, $3)",
        token.digest(),
        session.0,
        now + REFRESH
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Exchanges a refresh token for `successor` and says whose it is; none where it is refused. Reuse ends the session, with all its tokens.
///
/// One that was used a moment ago gets the same successor again, while that is unused: however many show it at once, one token is live
/// afterwards. Once the successor was used, its answer has arrived, and whoever shows the old one has a copy.
pub async fn use_refresh_token(
    tx: &mut Tx,
    token: &RefreshToken,
    successor: &RefreshToken,
    whence: &Whence,
    now: DateTime<Utc>,
) -> Result<Option<(AccountId, SessionId)>> {
    let Some(shown) = shown(tx, token, successor, now).await? else { return Ok(None) };
    match shown.rotation {
        Rotation::Exchange => {
            sqlx::query!("UPDATE refresh_tokens SET used_at = $2 WHERE digest = $1", token.digest(), now)
                .execute(&mut **tx)
                .await?;
            add_refresh_token(tx, shown.session, successor, now).await?;
            see(tx, shown.session, whence, now).await?;
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

/// Notes where a session was continued from, to the hour.
async fn see(tx: &mut Tx, session: SessionId, whence: &Whence, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "UPDATE sessions SET seen_at = date_trunc('hour', $2::timestamptz), origin = $3, device = coalesce($4, device)
         WHERE id = $1 AND (seen_at, origin) IS DISTINCT FROM (date_trunc('hour', $2::timestamptz), $3)",
        session.0,
        now,
        whence.origin.to_string(),
        whence.device
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
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

/// Ends all sessions of an account, save one where one is named. Their networks are known no more, because somebody else may have been there.
pub async fn end_sessions(tx: &mut Tx, account: AccountId, but: Option<SessionId>, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "UPDATE sessions SET ended_at = coalesce(ended_at, $3), origin = NULL
         WHERE account_id = $1 AND id IS DISTINCT FROM $2 AND (ended_at IS NULL OR origin IS NOT NULL)",
        account.0,
        but.map(|session| session.0),
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn end_session(tx: &mut Tx, session: SessionId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("UPDATE sessions SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL", session.0, now)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Ends the session of a refresh token that could still be exchanged. An older one gives no such right: it may lie in a log or a backup.
pub async fn log_out(tx: &mut Tx, token: &RefreshToken, successor: &RefreshToken, now: DateTime<Utc>) -> Result<()> {
    match shown(tx, token, successor, now).await? {
        Some(Shown { session, rotation: Rotation::Exchange | Rotation::Repeat, .. }) => {
            end_session(tx, session, now).await
        }
        _ => Ok(()),
    }
}

/// Deletes refresh tokens that expired a day ago or longer, and with the last of its tokens the session.
pub(super) async fn forget_expired_tokens(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    let expired = now - EXPIRED_KEPT;
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
