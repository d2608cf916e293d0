//! What admins find at a source, and the bars that they put on a credential.

use actix_web::web::Data;
use actix_web::{HttpRequest, get, post};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::App;
use crate::auth::{As, Verifier};
use crate::credentials::checks::{CheckMethod, Found};
use crate::credentials::fhir;
use crate::credentials::review::{ReasonCode, ReviewAction, ReviewState};
use crate::credentials::steps::{self, Check};
use crate::credentials::store::{self, Row};
use crate::credentials::views::{Hold, Verification};
use crate::credentials::{BoardStatus, CredentialNumber, HolderName, Method, ReviewNote, SourceUrl, StatusText};
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Refusal, Result, refused};
use crate::events::{Event, Work};
use crate::http::{Json, Path, Reply, names};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{CredentialHoldId, CredentialId, VerificationId};
use crate::values::Day;
use crate::values::names::similarity;

/// The operations on checks and holds.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(create_credential_check).service(get_credential_check);
    config.service(create_credential_hold).service(lift_credential_hold);
}

/// What was found at a source, and what follows in the reviewer's eyes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckBody {
    /// How it was verified, and what is overridden.
    #[schema(min_items = 1, max_items = 15)]
    reason_codes: Vec<ReasonCode>,
    pub note: Option<ReviewNote>,
    pub method: Option<Method>,
    source_url: Option<SourceUrl>,
    /// The date that the source itself bears.
    source_date: Option<Day>,
    /// The holder's name as it stands there.
    name_found: Option<HolderName>,
    /// The number as it stands there.
    number_found: Option<CredentialNumber>,
    /// The status as it stands there.
    status_text: Option<StatusText>,
    /// What that means; in force unless said.
    board_status: Option<BoardStatus>,
    /// Whether the authority acted against the holder.
    #[serde(default)]
    board_action: bool,
    /// The last day of validity as it stands there.
    expires_on: Option<Day>,
}

impl CheckBody {
    /// Refuses none, or more reason codes than there are.
    fn refuse_crowd(&self) -> Result<()> {
        let within = (1..=15).contains(&self.reason_codes.len());
        if within { Ok(()) } else { Err(FieldError::new("/reason_codes", "must hold 1 to 15 codes.").into()) }
    }

    /// Refuses reason codes that say anything but that it was verified, and what is overridden.
    pub fn refuse_contradiction(&self) -> Result<()> {
        self.refuse_crowd()?;
        let codes = &self.reason_codes;
        let detail = if !codes.iter().any(|code| code.records_verification()) {
            "must say how it was verified: from the primary source or by document."
        } else if !codes.iter().all(|code| code.records_verification() || code.may_be_overridden()) {
            "must not say why it cannot be verified."
        } else {
            return Ok(());
        };
        Err(FieldError::new("/reason_codes", detail).into())
    }

    /// The reason codes, and what was found of `row`.
    pub fn read(&self, row: &Row) -> Result<(Vec<ReasonCode>, Found)> {
        let from_document = !self.reason_codes.contains(&ReasonCode::VerifiedPrimarySource);
        let name = self.name_found.as_ref().map(|name| name.as_str().to_owned());
        let number = self.number_found.as_ref().map(|number| number.as_str().to_owned());
        let other_number = number.as_ref().is_some_and(|number| Some(row.kind.normalise(number)) != row.plain_number());
        if other_number {
            return Err(FieldError::new("/number_found", "is not the credential's number.").into());
        }
        let link = self.source_url.as_ref().map(|url| url.as_str());
        if link.is_some_and(|link| !link.starts_with("https://") && !link.starts_with("http://")) {
            return Err(FieldError::new("/source_url", "must begin with https:// or http://.").into());
        }
        if from_document && self.reason_codes.iter().any(|code| code.records_verification()) && row.evidence.is_empty()
        {
            return Err(Refusal::EvidenceMissing.into());
        }
        let ends = self.expires_on.map(|Day(date)| date);
        if ends.zip(row.credential.issued_on).is_some_and(|(ends, begins)| ends < begins) {
            return Err(FieldError::new("/expires_on", "lies before the credential's `issued_on`.").into());
        }
        let found = Found {
            method: if from_document { CheckMethod::Document } else { CheckMethod::PrimarySource },
            source: row.kind.authority.clone(),
            source_url: self.source_url.as_ref().map(|url| url.as_str().to_owned()),
            source_date: self.source_date.map(|Day(date)| date),
            name_similarity: name.as_ref().map(|name| similarity(name, &row.credential.name_on_credential) as f32),
            name,
            number,
            status_text: self.status_text.as_ref().map(|text| text.as_str().to_owned()),
            board_status: self.board_status.unwrap_or(BoardStatus::Active),
            board_action: self.board_action,
            expires_on: ends,
        };
        Ok((self.reason_codes.clone(), found))
    }
}

/// Record a check
///
/// Records what a source says of a credential that is verified or suspended, as a re-check does. Where nothing stands
/// against it, a verified credential rests on it from now on; where something does, a task is raised, and suspending is a
/// step of its own.
#[utoipa::path(tag = "Licence checks", operation_id = "create_credential_check", security(("bearer" = ["admin:verifier"])),
    params(("id" = CredentialId, Path, description = "The credential."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = CheckBody, responses((status = 201, description = "What was recorded.", body = Verification,
     headers(("Location" = String, description = "Where the check is found.")))),
    extensions(("x-refusals" = json!(refused![OwnCredential, InvalidTransition, EvidenceMissing]))))]
#[post("/v1/admin/credentials/{id}/checks")]
async fn create_credential_check(
    app: Data<App>,
    me: As<Verifier>,
    Path(id): Path<CredentialId>,
    key: IdempotencyKey,
    Json(body, print): Json<CheckBody>,
) -> Result<Reply> {
    body.refuse_crowd()?;
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let route = "POST /v1/admin/credentials/{id}/checks";
        let once = Once::claim(&mut work, route, key, print.about(id)).await?;
        let mut row = locked(&mut work, id, &me).await?;
        let now = app.clock.now();
        let (codes, found) = body.read(&row)?;
        let check = Check { id: store::record_check(&mut work, id, &found, Some(me.account()), now).await?, found };
        let before = row.facts();
        let overridden = steps::stated(&mut work, &row, ReviewAction::Verify).await?;
        let stated = codes.iter().copied().filter(|code| !code.records_verification());
        let clean = BoardStatus::PERMITTING.contains(&check.found.board_status)
            && stated.chain(check.found.concerns()).all(|concern| overridden.contains(&concern));
        match row.credential.review_state {
            ReviewState::Verified if clean => {
                steps::adopt(&mut row, &check, now);
                steps::keep_up(&mut work, &row, &before).await?;
            }
            ReviewState::Verified => steps::raise(&mut work, "credential.adverse_finding", &row, &codes).await?,
            ReviewState::Suspended => {}
            _ => return Err(Refusal::InvalidTransition.into()),
        }
        let stored = store::find_verification(&mut work, id, check.id).await?.ok_or(Error::NotFound)?;
        let reply = Reply::created(format!("/v1/admin/credentials/{id}/checks/{}", check.id), &stored)?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// The credential under its therapist's lock, for an admin whose own it is not.
async fn locked(tx: &mut Work, id: CredentialId, me: &As<Verifier>) -> Result<Row> {
    let row = steps::locked(tx, id).await?.ok_or(Error::NotFound)?;
    if me.account() == row.therapist.into() { Err(Refusal::OwnCredential.into()) } else { Ok(row) }
}

/// Show a check
///
/// What a source said of the credential. With `Accept: application/fhir+json` it is written as a VerificationResult of HL7
/// FHIR R5.
#[utoipa::path(tag = "Licence checks", operation_id = "get_credential_check", security(("bearer" = ["admin:verifier"])),
    params(("id" = CredentialId, Path, description = "The credential."),
           ("check_id" = VerificationId, Path, description = "The check.")),
    responses((status = 200, description = "The check.", content(
        (Verification = "application/json"),
        (Object = "application/fhir+json", example = json!({ "resourceType": "VerificationResult", "status": "validated" })),
    ))))]
#[get("/v1/admin/credentials/{id}/checks/{check_id}")]
async fn get_credential_check(
    app: Data<App>,
    _me: As<Verifier>,
    Path((id, check)): Path<(CredentialId, VerificationId)>,
    request: HttpRequest,
) -> Result<Reply> {
    let as_fhir = names(request.headers(), fhir::MEDIA_TYPE);
    uninterrupted(async move {
        let mut work = app.begin(None).await?;
        let row = store::find(&mut work, id).await?.ok_or(Error::NotFound)?;
        let check = store::find_verification(&mut work, id, check).await?.ok_or(Error::NotFound)?;
        work.commit().await?;
        if as_fhir {
            let resource = fhir::verification_result(&row, &check, app.clock.now().date_naive());
            return Ok(Reply::ok(&resource)?.typed(fhir::MEDIA_TYPE));
        }
        Reply::ok(&check)
    })
    .await
}

/// A bar on a credential.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct HoldBody {
    reason_code: ReasonCode,
    note: Option<ReviewNote>,
}

/// Hold a credential
///
/// Bars a credential from use until the hold is lifted, whatever its review found; its review goes on. Visits follow as after
/// a suspension.
#[utoipa::path(tag = "Licence checks", operation_id = "create_credential_hold", security(("bearer" = ["admin:verifier"])),
    params(("id" = CredentialId, Path, description = "The credential."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = HoldBody, responses((status = 201, description = "The hold.", body = Hold,
     headers(("Location" = String, description = "Where the credential is found with its holds.")))),
    extensions(("x-refusals" = json!(refused![OwnCredential, InvalidTransition]))))]
#[post("/v1/admin/credentials/{id}/holds")]
async fn create_credential_hold(
    app: Data<App>,
    me: As<Verifier>,
    Path(id): Path<CredentialId>,
    key: IdempotencyKey,
    Json(body, print): Json<HoldBody>,
) -> Result<Reply> {
    if body.reason_code.records_verification() {
        return Err(FieldError::new("/reason_code", "must not say that it was verified.").into());
    }
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let route = "POST /v1/admin/credentials/{id}/holds";
        let once = Once::claim(&mut work, route, key, print.about(id)).await?;
        let row = locked(&mut work, id, &me).await?;
        if row.credential.review_state.has_ended() {
            return Err(Refusal::InvalidTransition.into());
        }
        let now = app.clock.now();
        let hold = Hold {
            id: CredentialHoldId::new(now),
            reason_code: body.reason_code,
            note: body.note.map(|note| note.as_str().to_owned()),
            placed_by: Some(me.account()),
            placed_at: now,
            lifted_by: None,
            lifted_at: None,
        };
        store::place_hold(&mut work, id, &hold).await?;
        work.announce(held(&row, "credential.hold", &hold)).await?;
        let reply = Reply::created(format!("/v1/admin/credentials/{id}"), &hold)?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// That a hold was placed or lifted.
fn held(row: &Row, kind: &'static str, hold: &Hold) -> Event {
    steps::event(kind, row, json!({ "hold_id": hold.id, "reason_code": hold.reason_code }))
}

/// Lift a hold
///
/// Ends a bar on the use of a credential. Lifting it again changes nothing. Visits at risk are restored.
#[utoipa::path(tag = "Licence checks", operation_id = "lift_credential_hold", security(("bearer" = ["admin:verifier"])),
    params(("id" = CredentialId, Path, description = "The credential."),
           ("hold_id" = CredentialHoldId, Path, description = "The hold.")),
    responses((status = 200, description = "The hold, lifted.", body = Hold)),
    extensions(("x-refusals" = json!(refused![OwnCredential]))))]
#[post("/v1/admin/credentials/{id}/holds/{hold_id}/lift")]
async fn lift_credential_hold(
    app: Data<App>,
    me: As<Verifier>,
    Path((id, hold)): Path<(CredentialId, CredentialHoldId)>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let row = locked(&mut work, id, &me).await?;
        let now = app.clock.now();
        store::holds(&mut work, id).await?.into_iter().find(|held| held.id == hold).ok_or(Error::NotFound)?;
        let lifted = store::lift_hold(&mut work, hold, me.account(), now).await?;
        let stored =
            store::holds(&mut work, id).await?.into_iter().find(|held| held.id == hold).ok_or(Error::NotFound)?;
        if lifted {
            // What it renews may have waited for it.
            if row.credential.review_state == ReviewState::Verified {
                steps::supersede(&mut work, &row).await?;
            }
            work.announce(held(&row, "credential.hold_lifted", &stored)).await?;
        }
        work.commit().await?;
        Reply::ok(&stored)
    })
    .await
}
