use std::collections::HashMap;

use serde_json::json;
use sqlx::{PgExecutor, PgPool};

use super::Account;
use crate::db::Tx;
use crate::error::{OnConstraint, Refusal, Result};
use crate::events::{Event, Work, Workshop};
use crate::ids::{AccountId, TherapistId};
use crate::values::{Grant, Grants, Rating, Role, Zone};

/// How an address stands with an account.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Somebody who is trusted has said whose it is.
    Verified,
    /// It is the account's, until another proves it.
    Unverified,
    /// Another account, which has not proved it, holds it; this one gets it by proving it.
    Claimed,
}

/// An account to be stored.
pub(super) struct NewAccount<'a> {
    pub email: &'a str,
    /// How the address stands with the account.
    pub standing: Standing,
    pub password_hash: &'a str,
    pub role: Role,
    pub grants: Grants,
    pub display_name: &'a str,
    pub phone: Option<&'a str>,
    pub time_zone: Zone,
}

/// An address in the place of one that an account does not have: no mail reaches it, and nobody has another's (RFC 2606).
pub(super) fn nobodys_address(why: &str, id: AccountId) -> String {
    format!("{why}+{id}@invalid")
}

pub(super) async fn insert(work: &mut Work, new: NewAccount<'_>) -> Result<Account> {
    let now = work.now();
    let id = AccountId::new(now);
    let claimed = (new.standing == Standing::Claimed).then_some(new.email);
    let unclaimed = match new.standing {
        Standing::Claimed => nobodys_address("claimed", id),
        Standing::Verified | Standing::Unverified => new.email.to_owned(),
    };
    let account = sqlx::query_as!(
        Account,
        r#"INSERT INTO accounts (id, email, password_hash, role, display_name, phone, time_zone, created_at, grants, claimed_email, email_verified_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
           RETURNING id, coalesce(claimed_email, email)::text AS "email!", email_verified_at IS NOT NULL AS "email_verified!", role AS "role: Role", grants AS "grants: Vec<Grant>", display_name, phone,
                     time_zone AS "time_zone: Zone", created_at"#,
        id.0,
        unclaimed as _,
        new.password_hash,
        new.role as Role,
        new.display_name,
        new.phone,
        new.time_zone as Zone,
        now,
        &new.grants.iter().collect::<Vec<_>>() as &[Grant],
        claimed as _,
        (new.standing == Standing::Verified).then_some(now),
    )
    .fetch_one(&mut ***work)
    .await
    .on_constraint("accounts_email_taken", Refusal::EmailTaken)?;
    let therapist = (new.role == Role::Therapist).then(|| TherapistId::from(id));
    let mut details = json!({ "role": new.role });
    if new.role == Role::Admin {
        details["grants"] = json!(new.grants);
    }
    let made = Event::new("account.create", "account", id).about(therapist).with(details);
    work.announce(made).await?;
    Ok(account)
}

/// Makes an admin's account; `email_taken` where the address has one.
pub async fn create_admin(shop: &Workshop, email: &str, password_hash: &str, grants: Grants) -> Result<AccountId> {
    let mut work = shop.begin(None).await?;
    let new = NewAccount {
        email,
        // Whoever runs the service says whose it is.
        standing: Standing::Verified,
        password_hash,
        role: Role::Admin,
        grants,
        display_name: "Admin",
        phone: None,
        time_zone: Zone::UTC,
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
            r#"SELECT id, coalesce(claimed_email, email)::text AS "email!", email_verified_at IS NOT NULL AS "email_verified!", role AS "role: Role", grants AS "grants: Vec<Grant>", display_name, phone,
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

/// Anyone's account; none where there is none.
pub async fn find_any<'c>(db: impl PgExecutor<'c>, id: AccountId) -> Result<Option<Account>> {
    Ok(account!("", id.0).fetch_optional(db).await?)
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

/// The hash of an account's password, which then stays until the transaction ends; none where it has none.
pub(super) async fn hold_password(tx: &mut Tx, id: AccountId) -> Result<Option<String>> {
    let hash = sqlx::query_scalar!("SELECT password_hash FROM accounts WHERE id = $1 FOR SHARE", id.0);
    Ok(hash.fetch_optional(&mut **tx).await?.filter(|hash| !hash.is_empty()))
}

/// The account that signs in with an address.
pub(super) async fn id_of(tx: &mut Tx, email: &str) -> Result<Option<AccountId>> {
    let id = sqlx::query_scalar!(r#"SELECT id AS "id: AccountId" FROM accounts WHERE email = $1"#, email as _);
    Ok(id.fetch_optional(&mut **tx).await?)
}

/// Whether an account may do nothing.
pub(super) async fn is_suspended(tx: &mut Tx, id: AccountId) -> Result<bool> {
    let suspended =
        sqlx::query_scalar!(r#"SELECT suspended_at IS NOT NULL AS "suspended!" FROM accounts WHERE id = $1"#, id.0);
    Ok(suspended.fetch_one(&mut **tx).await?)
}

/// Whether an account has an address that it has not proved.
pub(super) async fn is_held_unverified(tx: &mut Tx, email: &str) -> Result<bool> {
    let held = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM accounts WHERE email = $1 AND email_verified_at IS NULL) AS "held!""#,
        email as _
    );
    Ok(held.fetch_one(&mut **tx).await?)
}

/// The account behind an e-mail address, and the hash of its password.
pub(super) async fn login(db: &PgPool, email: &str) -> Result<Option<(AccountId, String)>> {
    let row = sqlx::query!(
        // Whoever was replaced has no password.
        "SELECT id, password_hash FROM accounts WHERE email = $1 AND password_hash <> ''",
        email as _
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| (row.id, row.password_hash)))
}

/// The zone that the owner of an account lives in.
pub async fn zone<'c>(db: impl PgExecutor<'c>, id: AccountId) -> Result<Zone> {
    let zone = sqlx::query_scalar!(r#"SELECT time_zone AS "zone: Zone" FROM accounts WHERE id = $1"#, id.0);
    Ok(zone.fetch_one(db).await?)
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
