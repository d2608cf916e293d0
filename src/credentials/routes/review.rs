//! The admins' steps of a review.

use actix_web::post;
use actix_web::web::Data;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::checks::CheckBody;
use crate::App;
use crate::auth::{As, Verifier};
use crate::credentials::followed::{FollowedVisit, Previewing, visits};
use crate::credentials::review::{ReasonCode, ReviewAction, ReviewState, approval};
use crate::credentials::steps::{self, By, Check, Grounds};
use crate::credentials::store::{self, Row};
use crate::credentials::views::ReviewedCredential;
use crate::credentials::{BoardStatus, HolderMessage, Method, ReviewNote, SourceUrl};
use crate::db::{Tx, uninterrupted};
use crate::error::{Error, FieldError, Refusal, Result, refused};
use crate::events::Party;
use crate::http::{Json, Path, Query, Reply};
use crate::ids::{AccountId, CredentialId};
use crate::values::bounded_number;

/// The operations of a review.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(claim_credential).service(release_credential).service(verify_credential);
    config.service(reject_credential).service(request_credential_info);
    config.service(suspend_credential).service(reinstate_credential).service(revoke_credential);
}

/// What an admin wants to do.
enum Wanted {
    /// A step that rests on its grounds alone.
    Step(ReviewAction, Grounds),
    /// To verify, alone or as one of two.
    Verify(CheckBody),
    /// To put back into force.
    Reinstate(CheckBody),
}

/// A credential after a step of staff, and what followed.
#[derive(Serialize, ToSchema)]
struct Reviewed {
    #[serde(flatten)]
    credential: ReviewedCredential,
    /// Whether this is only what would be: nothing has changed.
    preview: bool,
    /// The visits for which something followed, soonest first.
    visits: Vec<FollowedVisit>,
}

/// Takes an admin's step under the therapist's lock, since it may change what can be booked.
async fn review(
    app: Data<App>,
    me: As<Verifier>,
    id: CredentialId,
    Previewing { preview }: Previewing,
    wanted: Wanted,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        if preview {
            work.preview();
        }
        let mut row = steps::locked(&mut work, id).await?.ok_or(Error::NotFound)?;
        let now = app.clock.now();
        let (action, grounds) = match wanted {
            Wanted::Step(action, grounds) => (action, grounds),
            Wanted::Verify(body) => verify(&mut work, &row, body, me.account(), now).await?,
            Wanted::Reinstate(body) => reinstate(&mut work, &row, body, me.account(), now).await?,
        };
        steps::take(&mut work, &mut row, action, By::admin(me.account()), grounds).await?;
        let credential = store::reviewed(&mut work, &[id], me.account(), now).await?.pop().ok_or(Error::NotFound)?;
        let reply = Reviewed { credential, preview, visits: visits(&work) };
        work.commit().await?;
        Reply::ok(&reply)
    })
    .await
}

/// Weighs what was found against the credential: verified at once, or approved by the first of two.
async fn verify(
    tx: &mut Tx,
    row: &Row,
    body: CheckBody,
    admin: AccountId,
    now: DateTime<Utc>,
) -> Result<(ReviewAction, Grounds)> {
    let state = row.credential.review_state;
    // A step that does not exist is told before what stands against it.
    state.after(ReviewAction::Verify, Party::Admin)?;
    let grounds = checked(tx, row, body, admin, now).await?;
    if !row.kind.minimum_cover.is_met_by(row.credential.cover) {
        return Err(Refusal::InsuranceBelowMinimum.into());
    }
    let against = match &grounds.check {
        Some(check) => steps::concerns(tx, row, &check.found).await?,
        None => Vec::new(),
    };
    let action = approval(&grounds.codes, &against, row.kind.four_eyes)?;
    if state != ReviewState::PendingSecond {
        return Ok((action, grounds));
    }
    // Two must agree on the same: what the first did not see is reviewed anew.
    let first = steps::stated(tx, row, ReviewAction::Approve).await?;
    let overridden = grounds.codes.iter().filter(|code| code.may_be_overridden()).chain(&against);
    if overridden.clone().all(|code| first.contains(code)) {
        Ok((ReviewAction::Verify, grounds))
    } else {
        Err(Refusal::ContentChanged.into())
    }
}

/// A credential comes back into force on a fresh verification that nothing stands against but what two admins overrode when
/// it was verified.
async fn reinstate(
    tx: &mut Tx,
    row: &Row,
    body: CheckBody,
    admin: AccountId,
    now: DateTime<Utc>,
) -> Result<(ReviewAction, Grounds)> {
    row.credential.review_state.after(ReviewAction::Reinstate, Party::Admin)?;
    let grounds = checked(tx, row, body, admin, now).await?;
    let overridden = steps::stated(tx, row, ReviewAction::Verify).await?;
    let found = grounds.check.iter().flat_map(|check| check.found.concerns());
    if found.filter(|concern| !overridden.contains(concern)).count() > 0 {
        return Err(Refusal::ReinstatementBarred.into());
    }
    Ok((ReviewAction::Reinstate, grounds))
}

/// The grounds of a step that puts a credential into force, with the check recorded.
async fn checked(tx: &mut Tx, row: &Row, body: CheckBody, admin: AccountId, now: DateTime<Utc>) -> Result<Grounds> {
    let (codes, found) = body.read(row)?;
    if !BoardStatus::PERMITTING.contains(&found.board_status) {
        return Err(FieldError::new("/board_status", "does not let the holder practise.").into());
    }
    let id = store::record_check(tx, row.credential.id, &found, Some(admin), now).await?;
    let CheckBody { note, method, .. } = body;
    Ok(Grounds {
        codes,
        note: note.map(|note| note.as_str().to_owned()),
        message: None,
        method: method.map(|method| method.as_str().to_owned()),
        source_url: found.source_url.clone(),
        check: Some(Check { id, found }),
        hold_minutes: None,
    })
}

/// Claim a credential
///
/// Takes a credential up for 30 minutes, in which no other admin can decide on it. Claiming again prolongs it.
#[utoipa::path(tag = "Licence checks", operation_id = "claim_credential", security(("bearer" = ["admin:verifier"])),
    params(("id" = CredentialId, Path, description = "The credential.")),
    responses((status = 200, description = "The credential, claimed.", body = Reviewed)),
    extensions(("x-refusals" = json!(refused![AlreadyClaimed, OwnCredential, InvalidTransition]))))]
#[post("/v1/admin/credentials/{id}/claim")]
async fn claim_credential(app: Data<App>, me: As<Verifier>, Path(id): Path<CredentialId>) -> Result<Reply> {
    review(app, me, id, Previewing::default(), Wanted::Step(ReviewAction::Claim, Grounds::default())).await
}

/// Release a credential
///
/// Puts a credential back into the queue: one that the caller has claimed, or one that waits for a second approval which
/// the caller does not give.
#[utoipa::path(tag = "Licence checks", operation_id = "release_credential", security(("bearer" = ["admin:verifier"])),
    params(("id" = CredentialId, Path, description = "The credential.")),
    responses((status = 200, description = "The credential, back in the queue.", body = Reviewed)),
    extensions(("x-refusals" = json!(refused![ClaimNotHeld, OwnCredential, InvalidTransition]))))]
#[post("/v1/admin/credentials/{id}/release")]
async fn release_credential(app: Data<App>, me: As<Verifier>, Path(id): Path<CredentialId>) -> Result<Reply> {
    review(app, me, id, Previewing::default(), Wanted::Step(ReviewAction::Release, Grounds::default())).await
}

/// Verify a credential
///
/// Finds that the credential is what it says; what was found is recorded. Where the type asks for four eyes, or another name,
/// a disciplinary action or another's claim on the number is overridden by naming it among the reason codes, the
/// credential then waits for a second admin, who verifies it in the same way.
#[utoipa::path(tag = "Licence checks", operation_id = "verify_credential", security(("bearer" = ["admin:verifier"])),
    params(("id" = CredentialId, Path, description = "The credential.")), request_body = CheckBody,
    responses((status = 200, description = "The credential, verified or waiting for a second admin.", body = Reviewed)),
    extensions(("x-refusals" = json!(refused![
        ClaimNotHeld, DuplicateClaim, OwnCredential, SecondAdminNeeded, ContentChanged, InvalidTransition, OverrideNotStated,
        InsuranceBelowMinimum, EvidenceMissing
    ]))))]
#[post("/v1/admin/credentials/{id}/verify")]
async fn verify_credential(
    app: Data<App>,
    me: As<Verifier>,
    Path(id): Path<CredentialId>,
    Json(body, _): Json<CheckBody>,
) -> Result<Reply> {
    body.refuse_contradiction()?;
    review(app, me, id, Previewing::default(), Wanted::Verify(body)).await
}

/// A decision and its grounds.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DecisionBody {
    /// At least one.
    #[schema(min_items = 1, max_items = 15)]
    reason_codes: Vec<ReasonCode>,
    /// For staff alone.
    note: Option<ReviewNote>,
    /// For the holder of the credential.
    message: Option<HolderMessage>,
    method: Option<Method>,
    source_url: Option<SourceUrl>,
}

impl DecisionBody {
    /// The grounds of a step against a credential.
    fn grounds(self) -> Result<Grounds> {
        let detail = match &self.reason_codes {
            codes if !(1..=15).contains(&codes.len()) => "must hold 1 to 15 codes.",
            codes if codes.iter().any(|code| code.records_verification()) => "must not say that it was verified.",
            _ => {
                return Ok(Grounds {
                    codes: self.reason_codes,
                    note: self.note.map(|note| note.as_str().to_owned()),
                    message: self.message.map(|message| message.as_str().to_owned()),
                    method: self.method.map(|method| method.as_str().to_owned()),
                    source_url: self.source_url.map(|url| url.as_str().to_owned()),
                    check: None,
                    hold_minutes: None,
                });
            }
        };
        Err(FieldError::new("/reason_codes", detail).into())
    }
}

/// For how many minutes after a decision against a credential no visit is called off for it, unless said.
const HOLD_MINUTES: i64 = 15;

bounded_number! {
    /// For how many minutes at least no visit is called off for a decision: 15 unless said, and never beyond a minute before the start.
    HoldMinutes(i64) in 0 ..= 60, example 15;
}

/// A decision that puts a credential out of force, and its grounds.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BarringBody {
    /// At least one.
    #[schema(min_items = 1, max_items = 15)]
    reason_codes: Vec<ReasonCode>,
    /// For staff alone.
    note: Option<ReviewNote>,
    /// For the holder of the credential.
    message: Option<HolderMessage>,
    method: Option<Method>,
    source_url: Option<SourceUrl>,
    hold_minutes: Option<HoldMinutes>,
}

impl BarringBody {
    fn grounds(self) -> Result<Grounds> {
        let Self { reason_codes, note, message, method, source_url, hold_minutes } = self;
        let decision = DecisionBody { reason_codes, note, message, method, source_url };
        let hold = hold_minutes.map_or(HOLD_MINUTES, |HoldMinutes(minutes)| minutes);
        Ok(Grounds { hold_minutes: Some(hold), ..decision.grounds()? })
    }
}

/// Reject a credential
///
/// Finds that the credential is not what it says, or is not enough.
#[utoipa::path(tag = "Licence checks", operation_id = "reject_credential", security(("bearer" = ["admin:verifier"])),
    params(("id" = CredentialId, Path, description = "The credential."), Previewing), request_body = DecisionBody,
    responses((status = 200, description = "The credential, rejected.", body = Reviewed)),
    extensions(("x-refusals" = json!(refused![ClaimNotHeld, OwnCredential, InvalidTransition]))))]
#[post("/v1/admin/credentials/{id}/reject")]
async fn reject_credential(
    app: Data<App>,
    me: As<Verifier>,
    Path(id): Path<CredentialId>,
    Query(previewing): Query<Previewing>,
    Json(body, _): Json<DecisionBody>,
) -> Result<Reply> {
    review(app, me, id, previewing, Wanted::Step(ReviewAction::Reject, body.grounds()?)).await
}

/// Ask for more
///
/// Gives the credential back to the therapist, to be completed and submitted again.
#[utoipa::path(tag = "Licence checks", operation_id = "request_credential_info", security(("bearer" = ["admin:verifier"])),
    params(("id" = CredentialId, Path, description = "The credential.")), request_body = DecisionBody,
    responses((status = 200, description = "The credential, waiting for the therapist.", body = Reviewed)),
    extensions(("x-refusals" = json!(refused![ClaimNotHeld, OwnCredential, InvalidTransition]))))]
#[post("/v1/admin/credentials/{id}/request-info")]
async fn request_credential_info(
    app: Data<App>,
    me: As<Verifier>,
    Path(id): Path<CredentialId>,
    Json(body, _): Json<DecisionBody>,
) -> Result<Reply> {
    review(app, me, id, Previewing::default(), Wanted::Step(ReviewAction::RequestInfo, body.grounds()?)).await
}

/// Suspend a credential
///
/// Puts a verified credential out of force at once. Visits that rest on it are at risk: they must not be carried out, and are called off with a full
/// refund 24 hours before their start, those that are sooner after `hold_minutes`. Reinstated until then, they stand as before. Staff are alerted of
/// one that has begun. The answer lists what followed.
#[utoipa::path(tag = "Licence checks", operation_id = "suspend_credential", security(("bearer" = ["admin:verifier"])),
    params(("id" = CredentialId, Path, description = "The credential."), Previewing), request_body = BarringBody,
    responses((status = 200, description = "The credential, suspended.", body = Reviewed)),
    extensions(("x-refusals" = json!(refused![OwnCredential, InvalidTransition]))))]
#[post("/v1/admin/credentials/{id}/suspend")]
async fn suspend_credential(
    app: Data<App>,
    me: As<Verifier>,
    Path(id): Path<CredentialId>,
    Query(previewing): Query<Previewing>,
    Json(body, _): Json<BarringBody>,
) -> Result<Reply> {
    review(app, me, id, previewing, Wanted::Step(ReviewAction::Suspend, body.grounds()?)).await
}

/// Reinstate a credential
///
/// Puts a suspended credential back into force on a fresh verification, which is recorded. Visits at risk are restored;
/// what was called off stays so. The clients of what was called off within the last hour, and could be booked as it was, are told that the time is free
/// again.
#[utoipa::path(tag = "Licence checks", operation_id = "reinstate_credential", security(("bearer" = ["admin:verifier"])),
    params(("id" = CredentialId, Path, description = "The credential."), Previewing), request_body = CheckBody,
    responses((status = 200, description = "The credential, in force again.", body = Reviewed)),
    extensions(("x-refusals" = json!(refused![OwnCredential, InvalidTransition, ReinstatementBarred, EvidenceMissing]))))]
#[post("/v1/admin/credentials/{id}/reinstate")]
async fn reinstate_credential(
    app: Data<App>,
    me: As<Verifier>,
    Path(id): Path<CredentialId>,
    Query(previewing): Query<Previewing>,
    Json(body, _): Json<CheckBody>,
) -> Result<Reply> {
    body.refuse_contradiction()?;
    review(app, me, id, previewing, Wanted::Reinstate(body)).await
}

/// Revoke a credential
///
/// Puts a credential that is not decided against out of force for good. Visits follow as after a suspension.
#[utoipa::path(tag = "Licence checks", operation_id = "revoke_credential", security(("bearer" = ["admin:verifier"])),
    params(("id" = CredentialId, Path, description = "The credential."), Previewing), request_body = BarringBody,
    responses((status = 200, description = "The credential, revoked.", body = Reviewed)),
    extensions(("x-refusals" = json!(refused![OwnCredential, InvalidTransition]))))]
#[post("/v1/admin/credentials/{id}/revoke")]
async fn revoke_credential(
    app: Data<App>,
    me: As<Verifier>,
    Path(id): Path<CredentialId>,
    Query(previewing): Query<Previewing>,
    Json(body, _): Json<BarringBody>,
) -> Result<Reply> {
    review(app, me, id, previewing, Wanted::Step(ReviewAction::Revoke, body.grounds()?)).await
}
