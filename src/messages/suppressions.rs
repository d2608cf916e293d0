//! Addresses that nothing is sent to, because they refused it for good or their owner complained.

use std::collections::BTreeMap;

use actix_web::web::Data;
use actix_web::{delete, get};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgPool;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use super::keys::Digests;
use crate::App;
use crate::auth::{As, Support};
use crate::db::{Tx, uninterrupted};
use crate::error::{Error, Result};
use crate::events::{Event, Party, Work};
use crate::http::{Cursor, Limit, Page, Path, Query, Reply};
use crate::ids::{DeliveryId, SuppressionId};
use crate::values::{EmailAddress, Instant, name};

/// The operations on suppressions.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_suppressions).service(delete_suppression);
}

/// Why nothing is sent to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(super) enum SuppressionReason {
    /// It refused mail for good.
    Bounced,
    /// Its owner complained of a mail.
    Complained,
}

/// What came back of a mail: why nothing is to be sent to an address.
#[derive(Clone, Debug)]
pub(super) struct Returned {
    /// The digest of the address.
    pub digest: Vec<u8>,
    /// Why.
    pub reason: SuppressionReason,
    /// What the relay said: an enhanced status or an error of the sender, as a code.
    pub code: Option<String>,
    /// The mail.
    pub delivery: Option<DeliveryId>,
}

/// An address that nothing is sent to. Which one it is cannot be read from it.
#[derive(Serialize, ToSchema)]
struct Suppression {
    /// Its id.
    id: SuppressionId,
    /// Why nothing is sent there.
    reason: SuppressionReason,
    /// Since when.
    since: DateTime<Utc>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SuppressionQuery {
    /// The address; all of them, where none is named.
    #[param(inline)]
    email: Option<EmailAddress>,
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// List suppressions
///
/// The addresses that nothing is sent to, newest first. They are kept by a digest, so that an address is found by naming it, and read nowhere.
#[utoipa::path(tag = "Messages", operation_id = "list_suppressions", security(("bearer" = ["admin:support"])), params(SuppressionQuery),
    responses((status = 200, description = "A page of suppressions.", body = Page<Suppression>)))]
#[get("/v1/admin/suppressions")]
async fn list_suppressions(app: Data<App>, _me: As<Support>, Query(query): Query<SuppressionQuery>) -> Result<Reply> {
    let before = query.cursor.map(|cursor| cursor.key()).transpose()?.map(|(Instant(at), id)| (at, id));
    let digest = match &query.email {
        Some(email) => Some(app.part::<Digests>()?.of_address(&app.db, &app.cipher, email.as_str()).await?),
        None => None,
    };
    let found = list(&app.db, digest.as_deref(), before, query.limit.probe()).await?;
    Reply::ok(&Page::cut(found, query.limit, |one| (one.since, one.id))?)
}

/// Lift a suppression
///
/// Mails are sent to the address again. If it refuses them once more, it is suppressed once more.
#[utoipa::path(tag = "Messages", operation_id = "delete_suppression", security(("bearer" = ["admin:support"])),
    params(("id" = SuppressionId, Path, description = "The suppression.")),
    responses((status = 204, description = "It is lifted.")))]
#[delete("/v1/admin/suppressions/{id}")]
async fn delete_suppression(app: Data<App>, me: As<Support>, Path(id): Path<SuppressionId>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        if !lift(&mut work, id).await? {
            return Err(Error::NotFound);
        }
        work.announce(Event::new("suppression.lift", "suppression", id)).await?;
        work.commit().await?;
        Ok(Reply::none())
    })
    .await
}

/// Sends nothing to these addresses from now on; how many of them that was news of. A complaint takes the place of a bounce, because whoever complained
/// is not to be written to where the address works again. The same again changes nothing.
pub(super) async fn suppress(work: &mut Work, returned: impl IntoIterator<Item = Returned>) -> Result<usize> {
    // In one order, because two who suppress the same addresses would wait for each other.
    let mut each = BTreeMap::<Vec<u8>, Returned>::new();
    for one in returned {
        let known = each.entry(one.digest.clone()).or_insert_with(|| one.clone());
        if one.reason > known.reason {
            *known = one;
        }
    }
    let now = work.now();
    let added = add(work, &each.values().collect::<Vec<_>>(), now).await?;
    for (id, digest) in &added {
        let Some(one) = each.get(digest) else { continue };
        let details = json!({ "reason": one.reason, "code": one.code, "delivery_id": one.delivery });
        let event = Event { party: Some(Party::System), ..Event::new("suppression.add", "suppression", id) };
        work.announce(event.with(details)).await?;
    }
    Ok(added.len())
}

async fn add(tx: &mut Tx, each: &[&Returned], now: DateTime<Utc>) -> Result<Vec<(SuppressionId, Vec<u8>)>> {
    let ids: Vec<Uuid> = each.iter().map(|_| SuppressionId::new(now).0).collect();
    let digests: Vec<Vec<u8>> = each.iter().map(|one| one.digest.clone()).collect();
    let reasons: Vec<String> = each.iter().map(|one| name(&one.reason)).collect();
    let added = sqlx::query!(
        "INSERT INTO suppressions AS known (id, digest, reason, since)
         SELECT id, digest, reason, $4 FROM unnest($1::uuid[], $2::bytea[], $3::text[]) AS returned (id, digest, reason)
         ON CONFLICT ON CONSTRAINT suppressions_digest_unique DO UPDATE SET reason = EXCLUDED.reason
             WHERE known.reason = 'bounced' AND EXCLUDED.reason = 'complained'
         RETURNING id, digest",
        &ids,
        &digests,
        &reasons,
        now
    );
    Ok(added.fetch_all(&mut **tx).await?.into_iter().map(|row| (row.id, row.digest)).collect())
}

async fn list(
    db: &PgPool,
    digest: Option<&[u8]>,
    before: Option<(DateTime<Utc>, SuppressionId)>,
    count: i64,
) -> Result<Vec<Suppression>> {
    let found = sqlx::query_as!(
        Suppression,
        r#"SELECT id, reason AS "reason: SuppressionReason", since FROM suppressions
           WHERE ($1::bytea IS NULL OR digest = $1) AND ($2::timestamptz IS NULL OR (since, id) < ($2, $3))
           ORDER BY since DESC, id DESC LIMIT $4"#,
        digest,
        before.map(|(at, _)| at),
        before.map(|(_, id)| id.0),
        count
    );
    Ok(found.fetch_all(db).await?)
}

async fn lift(tx: &mut Tx, id: SuppressionId) -> Result<bool> {
    let gone = sqlx::query!("DELETE FROM suppressions WHERE id = $1", id.0).execute(&mut **tx).await?;
    Ok(gone.rows_affected() == 1)
}
