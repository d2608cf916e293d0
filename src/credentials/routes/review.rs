//! The admins' side of a review.

use actix_web::web::Data;
use actix_web::{get, post};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{Reasons, step};
use crate::App;
use crate::auth::{Admin, As};
use crate::availability;
use crate::credentials::review::{ReasonCode, ReviewAction, ReviewState};
use crate::credentials::store::{self, Decision, Queue, QueueOrder};
use crate::credentials::{Method, ReviewNote, ReviewedCredential, SourceUrl, TypeCode};
use crate::db::{Tx, work};
use crate::error::{Error, FieldError, Problem, Result};
use crate::http::{Cursor, Json, Limit, Page, Path, Query, Reply};
use crate::ids::{AccountId, CredentialId};
use crate::values::{Day, Jurisdiction};

/// The operations of a review.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_credential_queue).service(get_credential).service(get_credential_history);
    config.service(claim_credential).service(release_credential).service(verify_credential);
    config.service(reject_credential).service(request_credential_info);
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct QueueQuery {
    /// In this state.
    #[param(inline)]
    review_state: Option<ReviewState>,
    /// Of this type.
    #[serde(rename = "type")]
    #[param(inline)]
    type_code: Option<TypeCode>,
    /// Issued in this place, or of a type that belongs to it.
    #[param(inline)]
    jurisdiction: Option<Jurisdiction>,
    /// Ending before this date.
    #[param(inline)]
    expires_before: Option<Day>,
    /// The order.
    #[serde(default)]
    #[param(inline, value_type = Option<QueueOrder>)]
    sort: QueueOrder,
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// List the review queue
///
/// Credentials of all therapists, longest waiting first.
#[utoipa::path(tag = "Licence checks", operation_id = "list_credential_queue", security(("bearer" = ["admin"])),
    params(QueueQuery),
    responses((status = 200, description = "A page of credentials.", body = Page<ReviewedCredential>)))]
#[get("/v1/admin/credentials")]
async fn list_credential_queue(app: Data<App>, me: As<Admin>, Query(query): Query<QueueQuery>) -> Result<Reply> {
    work(async move {
        let after = query.cursor.as_ref().map(Cursor::key).transpose()?;
        let wanted = Queue {
            review_state: query.review_state,
            type_code: query.type_code.as_ref().map(TypeCode::as_str),
            jurisdiction: query.jurisdiction.as_ref(),
            expires_before: query.expires_before.map(|Day(date)| date),
            order: query.sort,
            after,
            count: query.limit.probe(),
        };
        let keys = store::queue(&app.db, wanted).await?;
        let page = Page::cut(keys, query.limit, |(id, key)| (*key, *id))?;
        let ids: Vec<CredentialId> = page.data.iter().map(|(id, _)| *id).collect();
        let mut tx = app.db.begin().await?;
        let data = store::reviewed(&mut tx, &ids, me.account(), app.clock.now()).await?;
        tx.commit().await?;
        Reply::ok(&Page { data, next_cursor: page.next_cursor })
    })
    .await
}

async fn review_page(tx: &mut Tx, admin: AccountId, id: CredentialId, now: DateTime<Utc>) -> Result<Reply> {
    let found = store::reviewed(tx, &[id], admin, now).await?.pop();
    Reply::ok(&found.ok_or(Error::NotFound)?)
}

/// Show a credential for review
///
/// A credential with whose it is, the claim on it and other therapists' credentials of the same number.
#[utoipa::path(tag = "Licence checks", operation_id = "get_credential", security(("bearer" = ["admin"])),
    params(("id" = CredentialId, Path, description = "The credential.")),
    responses((status = 200, description = "The credential.", body = ReviewedCredential)))]
#[get("/v1/admin/credentials/{id}")]
async fn get_credential(app: Data<App>, me: As<Admin>, Path(id): Path<CredentialId>) -> Result<Reply> {
    work(async move {
        let mut tx = app.db.begin().await?;
        let reply = review_page(&mut tx, me.account(), id, app.clock.now()).await?;
        tx.commit().await?;
        Ok(reply)
    })
    .await
}

/// Show a credential's history
///
/// Every step of the review, oldest first: who, when, what and why. It is never changed.
#[utoipa::path(tag = "Licence checks", operation_id = "get_credential_history", security(("bearer" = ["admin"])),
    params(("id" = CredentialId, Path, description = "The credential.")),
    responses((status = 200, description = "The steps.", body = Page<Decision>)))]
#[get("/v1/admin/credentials/{id}/history")]
async fn get_credential_history(app: Data<App>, _me: As<Admin>, Path(id): Path<CredentialId>) -> Result<Reply> {
    store::find(&app.db, id).await?.ok_or(Error::NotFound)?;
    Reply::ok(&Page::whole(store::history(&app.db, id).await?))
}

/// Takes an admin's step under the therapist's lock, since it may change what can be booked.
async fn review(
    app: Data<App>,
    me: As<Admin>,
    id: CredentialId,
    action: ReviewAction,
    reasons: Reasons,
) -> Result<Reply> {
    work(async move {
        let therapist = store::find(&app.db, id).await?.ok_or(Error::NotFound)?.therapist;
        let mut tx = app.db.begin().await?;
        availability::lock(&mut tx, therapist).await?;
        let mut row = store::lock(&mut tx, id).await?.ok_or(Error::NotFound)?;
        if action == ReviewAction::Verify {
            store::lock_number(&mut tx, &row).await?;
        }
        let now = app.clock.now();
        step(&mut tx, &mut row, me.account(), action, reasons, now).await?;
        store::save(&mut tx, &row).await?;
        let reply = review_page(&mut tx, me.account(), id, now).await?;
        tx.commit().await?;
        Ok(reply)
    })
    .await
}

/// Claim a credential
///
/// Takes a credential up for 30 minutes, in which no other admin can decide on it. Claiming again prolongs it.
#[utoipa::path(tag = "Licence checks", operation_id = "claim_credential", security(("bearer" = ["admin"])),
    params(("id" = CredentialId, Path, description = "The credential.")), responses(
    (status = 200, description = "The credential, claimed.", body = ReviewedCredential),
    (status = 409, description = "`already_claimed`, `invalid_transition`", body = Problem, content_type = "application/problem+json"),
))]
#[post("/v1/admin/credentials/{id}/claim")]
async fn claim_credential(app: Data<App>, me: As<Admin>, Path(id): Path<CredentialId>) -> Result<Reply> {
    review(app, me, id, ReviewAction::Claim, Reasons::default()).await
}

/// Release a credential
///
/// Puts a claimed credential back into the queue.
#[utoipa::path(tag = "Licence checks", operation_id = "release_credential", security(("bearer" = ["admin"])),
    params(("id" = CredentialId, Path, description = "The credential.")), responses(
    (status = 200, description = "The credential, back in the queue.", body = ReviewedCredential),
    (status = 409, description = "`claim_not_held`, `invalid_transition`", body = Problem, content_type = "application/problem+json"),
))]
#[post("/v1/admin/credentials/{id}/release")]
async fn release_credential(app: Data<App>, me: As<Admin>, Path(id): Path<CredentialId>) -> Result<Reply> {
    review(app, me, id, ReviewAction::Release, Reasons::default()).await
}

/// A decision and its grounds.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DecisionBody {
    /// At least one.
    #[schema(min_items = 1, max_items = 15)]
    reason_codes: Vec<ReasonCode>,
    note: Option<ReviewNote>,
    method: Option<Method>,
    source_url: Option<SourceUrl>,
}

impl DecisionBody {
    /// The grounds, where they can carry `action`.
    fn reasons(self, action: ReviewAction) -> Result<Reasons> {
        let verifies = self.reason_codes.iter().any(|code| code.records_verification());
        let detail = match action {
            _ if !(1..=15).contains(&self.reason_codes.len()) => "must hold 1 to 15 codes.",
            ReviewAction::Verify if !verifies => {
                "must say how it was verified: from the primary source or by document."
            }
            ReviewAction::Reject if verifies => "must not say that it was verified.",
            _ => {
                return Ok(Reasons {
                    codes: self.reason_codes,
                    note: self.note.map(|note| note.as_str().to_owned()),
                    method: self.method.map(|method| method.as_str().to_owned()),
                    source_url: self.source_url.map(|url| url.as_str().to_owned()),
                });
            }
        };
        Err(FieldError::new("/reason_codes", detail).into())
    }
}

/// Verify a credential
///
/// Finds that the credential is what it says. The reasons must record how that was found.
#[utoipa::path(tag = "Licence checks", operation_id = "verify_credential", security(("bearer" = ["admin"])),
    params(("id" = CredentialId, Path, description = "The credential.")), request_body = DecisionBody, responses(
    (status = 200, description = "The credential, verified.", body = ReviewedCredential),
    (status = 409, description = "`claim_not_held`, `duplicate_claim`, `invalid_transition`", body = Problem, content_type = "application/problem+json"),
))]
#[post("/v1/admin/credentials/{id}/verify")]
async fn verify_credential(
    app: Data<App>,
    me: As<Admin>,
    Path(id): Path<CredentialId>,
    Json(body, _): Json<DecisionBody>,
) -> Result<Reply> {
    review(app, me, id, ReviewAction::Verify, body.reasons(ReviewAction::Verify)?).await
}

/// Reject a credential
///
/// Finds that the credential is not what it says, or is not enough.
#[utoipa::path(tag = "Licence checks", operation_id = "reject_credential", security(("bearer" = ["admin"])),
    params(("id" = CredentialId, Path, description = "The credential.")), request_body = DecisionBody, responses(
    (status = 200, description = "The credential, rejected.", body = ReviewedCredential),
    (status = 409, description = "`claim_not_held`, `invalid_transition`", body = Problem, content_type = "application/problem+json"),
))]
#[post("/v1/admin/credentials/{id}/reject")]
async fn reject_credential(
    app: Data<App>,
    me: As<Admin>,
    Path(id): Path<CredentialId>,
    Json(body, _): Json<DecisionBody>,
) -> Result<Reply> {
    review(app, me, id, ReviewAction::Reject, body.reasons(ReviewAction::Reject)?).await
}

/// Ask for more
///
/// Gives the credential back to the therapist, to be completed and submitted again.
#[utoipa::path(tag = "Licence checks", operation_id = "request_credential_info", security(("bearer" = ["admin"])),
    params(("id" = CredentialId, Path, description = "The credential.")), request_body = DecisionBody, responses(
    (status = 200, description = "The credential, waiting for the therapist.", body = ReviewedCredential),
    (status = 409, description = "`claim_not_held`, `invalid_transition`", body = Problem, content_type = "application/problem+json"),
))]
#[post("/v1/admin/credentials/{id}/request-info")]
async fn request_credential_info(
    app: Data<App>,
    me: As<Admin>,
    Path(id): Path<CredentialId>,
    Json(body, _): Json<DecisionBody>,
) -> Result<Reply> {
    review(app, me, id, ReviewAction::RequestInfo, body.reasons(ReviewAction::RequestInfo)?).await
}
