//! Addresses that nothing is sent to, because they refused it for good or their owner complained.

use actix_web::web::Data;
use actix_web::{delete, get};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::keys::Digests;
use crate::App;
use crate::auth::{As, Support};
use crate::db::{Tx, uninterrupted};
use crate::error::{Error, Result};
use crate::events::Event;
use crate::http::{Cursor, Limit, Page, Path, Query, Reply};
use crate::ids::SuppressionId;
use crate::values::{EmailAddress, Instant};

/// The operations on suppressions.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_suppressions).service(delete_suppression);
}

/// Why nothing is sent to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
enum SuppressionReason {
    /// It refused mail for good.
    Bounced,
    /// Its owner complained of a mail.
    Complained,
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
