use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use super::breaker::Breaker;
use super::signing::{BOTH_GOOD, Secret, SigningKey};
use super::{DisabledReason, EndpointDescription, EndpointState, EndpointUrl, WebhookEndpoint, WebhookKind};
use crate::cipher::{Cipher, Sealed};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::ids::{AccountId, ApiClientId, EndpointId};

/// The columns that secrets are sealed to.
pub(super) const SECRET: &str = "webhook_endpoints.secret";
pub(super) const PREVIOUS: &str = "webhook_endpoints.previous_secret";
pub(super) const KEY: &str = "webhook_endpoints.key";

/// The columns that are shown of an endpoint, read alike everywhere. `$1` is now.
macro_rules! endpoints {
    ($tail:literal, $now:expr $(, $arg:expr)*) => {
        sqlx::query_as!(
            WebhookEndpoint,
            r#"SELECT id AS "id: EndpointId", url, description, kinds, state AS "state: EndpointState",
                      disabled_reason AS "disabled_reason: DisabledReason", public_key,
                      CASE WHEN previous_secret_until > $1 THEN previous_secret_until END AS previous_secret_until,
                      first_failed_at AS failing_since, owner_id AS "created_by: AccountId", api_client_id AS "api_client_id: ApiClientId", created_at, updated_at
               FROM webhook_endpoints "# + $tail,
            $now
            $(, $arg)*
        )
    };
}

/// All endpoints, in the order in which they were made.
pub(super) async fn all(db: &PgPool, now: DateTime<Utc>) -> Result<Vec<WebhookEndpoint>> {
    Ok(endpoints!("ORDER BY id", now).fetch_all(db).await?)
}

/// One endpoint.
pub(super) async fn find<'c>(
    db: impl PgExecutor<'c>,
    id: EndpointId,
    now: DateTime<Utc>,
) -> Result<Option<WebhookEndpoint>> {
    Ok(endpoints!("WHERE id = $2", now, id.0).fetch_optional(db).await?)
}

/// One endpoint that nobody else changes until this ends.
pub(super) async fn lock(tx: &mut Tx, id: EndpointId, now: DateTime<Utc>) -> Result<WebhookEndpoint> {
    let found = endpoints!("WHERE id = $2 FOR UPDATE", now, id.0).fetch_optional(&mut **tx).await?;
    found.ok_or(Error::NotFound)
}

/// The endpoints of an API client, which nobody else changes until this ends.
pub(super) async fn lock_of(tx: &mut Tx, client: ApiClientId) -> Result<Vec<EndpointId>> {
    let ids = sqlx::query_scalar!(
        r#"SELECT id AS "id: EndpointId" FROM webhook_endpoints WHERE api_client_id = $1 ORDER BY id FOR UPDATE"#,
        client.0
    );
    Ok(ids.fetch_all(&mut **tx).await?)
}

/// How many endpoints there are.
pub(super) async fn count(tx: &mut Tx) -> Result<usize> {
    let count = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM webhook_endpoints"#);
    Ok(usize::try_from(count.fetch_one(&mut **tx).await?).unwrap_or(usize::MAX))
}

/// What a new endpoint is made of.
pub(super) struct New<'a> {
    pub id: EndpointId,
    pub owner: AccountId,
    /// The API client that it belongs to, if it belongs to one.
    pub client: Option<ApiClientId>,
    pub url: &'a EndpointUrl,
    pub description: Option<&'a EndpointDescription>,
    pub kinds: &'a [WebhookKind],
    pub secret: &'a Secret,
    pub key: &'a SigningKey,
}

/// Stores a new endpoint.
///
/// # Errors
/// 401 where the API client that it would belong to is gone.
pub(super) async fn insert(tx: &mut Tx, cipher: &Cipher, new: New<'_>, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "INSERT INTO webhook_endpoints (id, owner_id, url, description, kinds, secret_sealed, key_sealed, public_key, created_at, updated_at,
                                        api_client_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10)",
        new.id.0,
        new.owner.0,
        new.url.as_str(),
        new.description.map(EndpointDescription::as_str),
        &names(new.kinds),
        cipher.seal(SECRET, new.id, &new.secret.to_text())? as Sealed,
        cipher.seal(KEY, new.id, &new.key.to_text())? as Sealed,
        new.key.public(),
        now,
        new.client.map(|client| client.0)
    )
    .execute(&mut **tx)
    .await
    .map_err(|error| match &error {
        // The API client was taken away since its key was looked up, and the key with it.
        sqlx::Error::Database(database) if database.constraint() == Some("webhook_endpoints_client_exists") => Error::Unauthorized,
        _ => error.into(),
    })?;
    Ok(())
}

fn names(kinds: &[WebhookKind]) -> Vec<String> {
    kinds.iter().map(|kind| kind.as_str().to_owned()).collect()
}

/// Changes what was said of an endpoint.
pub(super) async fn update(tx: &mut Tx, endpoint: &WebhookEndpoint, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "UPDATE webhook_endpoints SET url = $2, description = $3, kinds = $4, updated_at = $5 WHERE id = $1",
        endpoint.id.0,
        endpoint.url,
        endpoint.description,
        &endpoint.kinds,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Gives an endpoint a new secret. The one before signs for a while longer where it is kept; one that an old host knows is not.
pub(super) async fn rotate(
    tx: &mut Tx,
    cipher: &Cipher,
    id: EndpointId,
    secret: &Secret,
    keeps_previous: bool,
    now: DateTime<Utc>,
) -> Result<()> {
    let before = sqlx::query_scalar!(
        r#"SELECT secret_sealed AS "secret: Sealed" FROM webhook_endpoints WHERE id = $1 FOR UPDATE"#,
        id.0
    )
    .fetch_one(&mut **tx)
    .await?;
    let previous = keeps_previous
        .then(|| cipher.open(SECRET, id, &before).and_then(|secret| cipher.seal(PREVIOUS, id, &secret)))
        .transpose()?;
    sqlx::query!(
        "UPDATE webhook_endpoints SET secret_sealed = $2, previous_secret_sealed = $3, previous_secret_until = $4, updated_at = $5 WHERE id = $1",
        id.0,
        cipher.seal(SECRET, id, &secret.to_text())? as Sealed,
        previous as Option<Sealed>,
        keeps_previous.then(|| now + BOTH_GOOD),
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Deletes an endpoint.
pub(super) async fn delete(tx: &mut Tx, id: EndpointId) -> Result<()> {
    sqlx::query!("DELETE FROM webhook_endpoints WHERE id = $1", id.0).execute(&mut **tx).await?;
    Ok(())
}

/// Enables or disables an endpoint. Its breaker begins anew.
pub(super) async fn set_state(
    tx: &mut Tx,
    id: EndpointId,
    disabled: Option<DisabledReason>,
    now: DateTime<Utc>,
) -> Result<()> {
    let state = if disabled.is_some() { EndpointState::Disabled } else { EndpointState::Enabled };
    sqlx::query!(
        "UPDATE webhook_endpoints SET state = $2, disabled_reason = $3, failures = 0, first_failed_at = NULL, next_probe_at = NULL,
                                      at_once = NULL, updated_at = $4
         WHERE id = $1",
        id.0,
        state as EndpointState,
        disabled as Option<DisabledReason>,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Which endpoint wants what.
pub(super) struct Wish {
    pub id: EndpointId,
    pub kinds: Vec<String>,
    pub state: EndpointState,
    pub created_at: DateTime<Utc>,
}

/// What each endpoint wants to be told of.
pub(super) async fn wishes<'c>(db: impl PgExecutor<'c>) -> Result<Vec<Wish>> {
    let wishes = sqlx::query_as!(
        Wish,
        r#"SELECT id AS "id: EndpointId", kinds, state AS "state: EndpointState", created_at FROM webhook_endpoints ORDER BY id"#
    );
    Ok(wishes.fetch_all(db).await?)
}

/// Where an attempt goes, and what signs it.
pub(super) struct Target {
    pub url: EndpointUrl,
    pub secrets: Vec<Secret>,
    pub key: SigningKey,
}

/// Where an attempt at `now` goes; none where there is no such endpoint, or it is disabled.
pub(super) async fn target(db: &PgPool, cipher: &Cipher, id: EndpointId, now: DateTime<Utc>) -> Result<Option<Target>> {
    let row = sqlx::query!(
        r#"SELECT url, secret_sealed AS "secret: Sealed", key_sealed AS "key: Sealed",
                  CASE WHEN previous_secret_until > $2 THEN previous_secret_sealed END AS "previous: Sealed"
           FROM webhook_endpoints WHERE id = $1 AND state = 'enabled'"#,
        id.0,
        now
    )
    .fetch_optional(db)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let previous = row.previous.map(|sealed| cipher.open(PREVIOUS, id, &sealed)).transpose()?;
    let secrets = [Some(cipher.open(SECRET, id, &row.secret)?), previous];
    Ok(Some(Target {
        url: row.url.parse().map_err(|why| Error::Internal(format!("an endpoint's address {why}")))?,
        secrets: secrets.into_iter().flatten().map(|text| Secret::from_text(&text)).collect::<Result<_>>()?,
        key: SigningKey::from_text(&cipher.open(KEY, id, &row.key)?)?,
    }))
}

/// The breakers of these endpoints that are enabled.
pub(super) async fn breakers<'c>(db: impl PgExecutor<'c>, ids: &[EndpointId]) -> Result<Vec<(EndpointId, Breaker)>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"SELECT id AS "id: EndpointId", failures, first_failed_at, next_probe_at, at_once
           FROM webhook_endpoints WHERE id = ANY ($1) AND state = 'enabled'"#,
        &ids
    )
    .fetch_all(db)
    .await?;
    let breaker = |(id, failures, first_failed_at, next_probe_at, at_once)| {
        (id, Breaker { failures, first_failed_at, next_probe_at, at_once })
    };
    let rows = rows.into_iter().map(|row| (row.id, row.failures, row.first_failed_at, row.next_probe_at, row.at_once));
    Ok(rows.map(breaker).collect())
}

/// The breaker of an enabled endpoint, which nobody else moves until this ends, and who is told where it is disabled.
pub(super) async fn lock_breaker(tx: &mut Tx, id: EndpointId) -> Result<Option<(Breaker, AccountId)>> {
    let row = sqlx::query!(
        r#"SELECT failures, first_failed_at, next_probe_at, at_once, owner_id AS "owner: AccountId"
           FROM webhook_endpoints WHERE id = $1 AND state = 'enabled' FOR UPDATE"#,
        id.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| {
        let (first_failed_at, next_probe_at) = (row.first_failed_at, row.next_probe_at);
        (Breaker { failures: row.failures, first_failed_at, next_probe_at, at_once: row.at_once }, row.owner)
    }))
}

/// Moves a breaker.
pub(super) async fn set_breaker(tx: &mut Tx, id: EndpointId, breaker: Breaker) -> Result<()> {
    sqlx::query!(
        "UPDATE webhook_endpoints SET failures = $2, first_failed_at = $3, next_probe_at = $4, at_once = $5 WHERE id = $1",
        id.0,
        breaker.failures,
        breaker.first_failed_at,
        breaker.next_probe_at,
        breaker.at_once
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Notes that an endpoint works, to the minute.
pub(super) async fn set_works(db: &PgPool, id: EndpointId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "UPDATE webhook_endpoints SET last_sent_at = $2
         WHERE id = $1 AND (last_sent_at IS NULL OR last_sent_at < $2::timestamptz - interval '1 minute')",
        id.0,
        now
    )
    .execute(db)
    .await?;
    Ok(())
}
