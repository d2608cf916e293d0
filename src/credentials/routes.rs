mod review;

use actix_web::web::Data;
use actix_web::{get, patch, post};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::review::{ReasonCode, ReviewAction, ReviewState};
use super::rules;
use super::store::{self, Decision, Row};
use super::{BoardStatus, Credential, CredentialType, HolderName, Number, PublicCredential, Requirement, TypeCode};
use crate::App;
use crate::auth::{As, Caller, Therapist};
use crate::availability;
use crate::catalogue;
use crate::db::work;
use crate::error::{Error, FieldError, Problem, Refusal, Result};
use crate::http::{IdempotencyKey, IfMatch, Json, Once, Page, Path, Query, Reply};
use crate::ids::{AccountId, CredentialId, ServiceId, TherapistId};
use crate::values::{Day, IssueDay, Jurisdiction, JurisdictionCode, present};

/// The operations on credentials.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list_credential_types).service(list_credential_requirements);
    config.service(list_own_credentials).service(create_credential).service(get_own_credential);
    config.service(update_credential).service(submit_credential).service(withdraw_credential);
    config.service(list_therapist_credentials);
    review::routes(config);
}

/// List credential types
///
/// Every kind of credential that the service knows.
#[utoipa::path(tag = "Credentials", operation_id = "list_credential_types",
    responses((status = 200, description = "The types.", body = Page<CredentialType>)))]
#[get("/v1/credential-types")]
async fn list_credential_types(app: Data<App>, _caller: Caller) -> Result<Reply> {
    Ok(Reply::ok(&Page::whole(store::types(&app.db).await?))?.public())
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RequiredWhere {
    /// The place of the visit: a country, a region, a county or a city.
    #[param(inline)]
    jurisdiction: JurisdictionCode,
    /// The service that is given there.
    service_id: ServiceId,
}

/// List requirements
///
/// What a therapist must hold to give a service somewhere: of every group one option must be usable. An empty list
/// means that the place is not served.
#[utoipa::path(tag = "Credentials", operation_id = "list_credential_requirements", params(RequiredWhere),
    responses((status = 200, description = "The requirements.", body = Page<Requirement>)))]
#[get("/v1/credential-requirements")]
async fn list_credential_requirements(
    app: Data<App>,
    _caller: Caller,
    Query(query): Query<RequiredWhere>,
) -> Result<Reply> {
    let kind = catalogue::kind_of(&app.db, query.service_id).await?;
    let kind = kind.ok_or_else(|| FieldError::new("/service_id", "is not in the catalogue."))?;
    if query.jurisdiction.is_local() && !rules::knows(&app.db, &query.jurisdiction).await? {
        return Err(FieldError::new("/jurisdiction", "is not a place that the service knows.").into());
    }
    let required = rules::required(&app.db, query.jurisdiction.chain(), None, &kind).await?;
    Ok(Reply::ok(&Page::whole(required.groups))?.public())
}

/// List my credentials
///
/// The caller's credentials, oldest first.
#[utoipa::path(tag = "Credentials", operation_id = "list_own_credentials", security(("bearer" = ["therapist"])),
    responses((status = 200, description = "The credentials.", body = Page<Credential>)))]
#[get("/v1/therapists/me/credentials")]
async fn list_own_credentials(app: Data<App>, me: As<Therapist>) -> Result<Reply> {
    Reply::ok(&Page::whole(store::list(&app.db, me.therapist()).await?))
}

/// A credential to be entered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCredential {
    #[serde(rename = "type")]
    type_code: TypeCode,
    number: Option<Number>,
    name_on_credential: HolderName,
    issuing_jurisdiction: Option<Jurisdiction>,
    issued_on: Option<IssueDay>,
    /// The last day of its validity.
    expires_on: Option<Day>,
}

/// A number must have something to compare, a credential cannot end before it begins, and a type that belongs to a place
/// is issued there: otherwise one number could be claimed once for each spelling of the place.
fn refuse_nonsense(row: &mut Row) -> Result<()> {
    let credential = &mut row.credential;
    let mut errors = Vec::new();
    if let Some(own) = &row.kind.jurisdiction
        && credential.issuing_jurisdiction.get_or_insert_with(|| own.clone()) != own
    {
        errors.push(FieldError::new("/issuing_jurisdiction", "is not where this type of credential is issued."));
    }
    if credential.number.as_deref().is_some_and(|number| row.kind.normalise(number).is_empty()) {
        errors.push(FieldError::new("/number", "must hold a letter or a digit."));
    }
    if let (Some(issued), Some(expires)) = (credential.issued_on, credential.expires_on)
        && expires < issued
    {
        errors.push(FieldError::new("/expires_on", "lies before `issued_on`."));
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors)) }
}

/// Enter a credential
///
/// Enters a credential as a draft. Nothing is reviewed before it is submitted.
#[utoipa::path(tag = "Credentials", operation_id = "create_credential", security(("bearer" = ["therapist"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = NewCredential, responses(
    (status = 201, description = "The draft.", body = Credential,
     headers(("Location" = String, description = "Where the credential is found."))),
    (status = 409, description = "`idempotency_key_in_flight`", body = Problem, content_type = "application/problem+json"),
))]
#[post("/v1/therapists/me/credentials")]
async fn create_credential(
    app: Data<App>,
    me: As<Therapist>,
    key: IdempotencyKey,
    Json(new, print): Json<NewCredential>,
) -> Result<Reply> {
    work(async move {
        let now = app.clock.now();
        let kind = store::find_type(&app.db, new.type_code.as_str()).await?;
        let kind = kind.ok_or_else(|| FieldError::new("/type", "is not a credential type."))?;
        let mut row = Row {
            credential: Credential {
                id: CredentialId::new(now),
                type_code: kind.code.clone(),
                number: new.number.map(|number| number.as_str().to_owned()),
                name_on_credential: new.name_on_credential.as_str().to_owned(),
                issuing_jurisdiction: new.issuing_jurisdiction,
                issued_on: new.issued_on.map(|IssueDay(date)| date),
                expires_on: new.expires_on.map(|Day(date)| date),
                review_state: ReviewState::Draft,
                board_status: BoardStatus::Unknown,
                submitted_at: None,
                created_at: now,
                warnings: Vec::new(),
            },
            therapist: me.therapist(),
            claimed_by: None,
            claimed_until: None,
            kind,
        };
        refuse_nonsense(&mut row)?;
        let mut tx = app.db.begin().await?;
        let once = match Once::claim(&mut tx, me.account(), "POST /v1/therapists/me/credentials", key, print).await? {
            Ok(once) => once,
            Err(reply) => return Ok(reply),
        };
        let id = row.credential.id;
        store::insert(&mut tx, &row).await?;
        let stored = store::lock(&mut tx, id).await?.ok_or(Error::NotFound)?;
        let reply = Reply::created(format!("/v1/therapists/me/credentials/{id}"), &stored.credential)?;
        once.keep(&mut tx, &reply, now).await?;
        tx.commit().await?;
        Ok(reply)
    })
    .await
}

/// Show my credential
///
/// One of the caller's credentials.
#[utoipa::path(tag = "Credentials", operation_id = "get_own_credential", security(("bearer" = ["therapist"])),
    params(("id" = CredentialId, Path, description = "The credential.")),
    responses((status = 200, description = "The credential.", body = Credential)))]
#[get("/v1/therapists/me/credentials/{id}")]
async fn get_own_credential(app: Data<App>, me: As<Therapist>, Path(id): Path<CredentialId>) -> Result<Reply> {
    let row = store::find(&app.db, id).await?.filter(|row| row.therapist == me.therapist()).ok_or(Error::NotFound)?;
    Reply::ok(&row.credential)
}

/// What to change; what is left out stays, null empties an optional field.
#[derive(Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CredentialPatch {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Number>)]
    number: Option<Option<Number>>,
    name_on_credential: Option<HolderName>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Jurisdiction>)]
    issuing_jurisdiction: Option<Option<Jurisdiction>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<IssueDay>)]
    issued_on: Option<Option<IssueDay>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Day>)]
    expires_on: Option<Option<Day>>,
}

impl CredentialPatch {
    fn apply(self, credential: &mut Credential) {
        if let Some(number) = self.number {
            credential.number = number.map(|number| number.as_str().to_owned());
        }
        if let Some(name) = self.name_on_credential {
            credential.name_on_credential = name.as_str().to_owned();
        }
        if let Some(place) = self.issuing_jurisdiction {
            credential.issuing_jurisdiction = place;
        }
        if let Some(day) = self.issued_on {
            credential.issued_on = day.map(|IssueDay(date)| date);
        }
        if let Some(day) = self.expires_on {
            credential.expires_on = day.map(|Day(date)| date);
        }
    }
}

/// Change a credential
///
/// Changes a draft, or one for which more was asked. A change to a verified credential sends it back to review, and
/// it is not usable until that is done.
#[utoipa::path(tag = "Credentials", operation_id = "update_credential", security(("bearer" = ["therapist"])),
    params(("id" = CredentialId, Path, description = "The credential."),
           ("If-Match" = String, Header, description = "The ETag of the credential as it was read.")),
    request_body = CredentialPatch, responses(
    (status = 200, description = "The credential as it is now.", body = Credential),
    (status = 409, description = "`invalid_transition`", body = Problem, content_type = "application/problem+json"),
))]
#[patch("/v1/therapists/me/credentials/{id}")]
async fn update_credential(
    app: Data<App>,
    me: As<Therapist>,
    Path(id): Path<CredentialId>,
    if_match: IfMatch,
    Json(patch, _): Json<CredentialPatch>,
) -> Result<Reply> {
    work(async move {
        let mut tx = app.db.begin().await?;
        availability::lock(&mut tx, me.therapist()).await?;
        let mut row = own(store::lock(&mut tx, id).await?, me.therapist())?;
        if_match.check(&row.credential)?;
        if patch == CredentialPatch::default() {
            return Reply::ok(&row.credential);
        }
        patch.apply(&mut row.credential);
        refuse_nonsense(&mut row)?;
        if !matches!(row.credential.review_state, ReviewState::Draft | ReviewState::InfoRequested) {
            refuse_incomplete(&row)?;
            let now = app.clock.now();
            step(&mut tx, &mut row, me.account(), ReviewAction::Edit, Reasons::default(), now).await?;
        }
        store::save(&mut tx, &row).await?;
        let stored = own(store::lock(&mut tx, id).await?, me.therapist())?;
        tx.commit().await?;
        Reply::ok(&stored.credential)
    })
    .await
}

fn own(row: Option<Row>, therapist: TherapistId) -> Result<Row> {
    row.filter(|row| row.therapist == therapist).ok_or(Error::NotFound)
}

/// Why a step is taken, and on what grounds.
#[derive(Default)]
struct Reasons {
    codes: Vec<ReasonCode>,
    note: Option<String>,
    method: Option<String>,
    source_url: Option<String>,
}

/// Takes one step of a review and records it; the caller saves the row.
async fn step(
    tx: &mut crate::db::Tx,
    row: &mut Row,
    actor: AccountId,
    action: ReviewAction,
    reasons: Reasons,
    now: DateTime<Utc>,
) -> Result<()> {
    let from = row.credential.review_state;
    let to = from.after(action)?;
    let held = row.claimed_until.is_some_and(|until| until > now);
    if action.needs_claim() && !(held && row.claimed_by == Some(actor)) {
        return Err(Refusal::ClaimNotHeld.into());
    }
    if action == ReviewAction::Claim && held && row.claimed_by != Some(actor) {
        return Err(Refusal::AlreadyClaimed.into());
    }
    (row.claimed_by, row.claimed_until) =
        if action == ReviewAction::Claim { (Some(actor), Some(now + store::CLAIM)) } else { (None, None) };
    match action {
        ReviewAction::Submit | ReviewAction::Edit => row.credential.submitted_at = Some(now),
        ReviewAction::Verify => row.credential.board_status = BoardStatus::Active,
        _ => {}
    }
    row.credential.review_state = to;
    let decision = Decision {
        actor_id: Some(actor),
        action,
        from_state: from,
        to_state: to,
        reason_codes: reasons.codes,
        note: reasons.note,
        method: reasons.method,
        source_url: reasons.source_url,
        at: now,
    };
    store::record(tx, row.credential.id, &decision).await
}

/// What is missing before a credential can be reviewed.
fn refuse_incomplete(row: &Row) -> Result<()> {
    let mut errors = Vec::new();
    if row.kind.number_pattern.is_some() && row.credential.number.is_none() {
        errors.push(FieldError::new("/number", "is needed for this type of credential."));
    }
    if row.kind.expires && row.credential.expires_on.is_none() {
        errors.push(FieldError::new("/expires_on", "is needed for this type of credential."));
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors)) }
}

async fn own_step(app: Data<App>, me: As<Therapist>, id: CredentialId, action: ReviewAction) -> Result<Reply> {
    work(async move {
        let mut tx = app.db.begin().await?;
        let mut row = own(store::lock(&mut tx, id).await?, me.therapist())?;
        step(&mut tx, &mut row, me.account(), action, Reasons::default(), app.clock.now()).await?;
        if action == ReviewAction::Submit {
            refuse_incomplete(&row)?;
        }
        store::save(&mut tx, &row).await?;
        tx.commit().await?;
        Reply::ok(&row.credential)
    })
    .await
}

/// Submit a credential
///
/// Hands a draft in for review, or again after more was asked for. The number and the end of validity must be there
/// where the type has them.
#[utoipa::path(tag = "Credentials", operation_id = "submit_credential", security(("bearer" = ["therapist"])),
    params(("id" = CredentialId, Path, description = "The credential.")), responses(
    (status = 200, description = "The credential, submitted.", body = Credential),
    (status = 409, description = "`invalid_transition`", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "Something is missing.", body = Problem, content_type = "application/problem+json"),
))]
#[post("/v1/therapists/me/credentials/{id}/submit")]
async fn submit_credential(app: Data<App>, me: As<Therapist>, Path(id): Path<CredentialId>) -> Result<Reply> {
    own_step(app, me, id, ReviewAction::Submit).await
}

/// Withdraw a credential
///
/// Takes a credential back before it is decided on.
#[utoipa::path(tag = "Credentials", operation_id = "withdraw_credential", security(("bearer" = ["therapist"])),
    params(("id" = CredentialId, Path, description = "The credential.")), responses(
    (status = 200, description = "The credential, withdrawn.", body = Credential),
    (status = 409, description = "`invalid_transition`", body = Problem, content_type = "application/problem+json"),
))]
#[post("/v1/therapists/me/credentials/{id}/withdraw")]
async fn withdraw_credential(app: Data<App>, me: As<Therapist>, Path(id): Path<CredentialId>) -> Result<Reply> {
    own_step(app, me, id, ReviewAction::Withdraw).await
}

/// Show a therapist's credentials
///
/// What was verified, from whom and until when: no number, no document.
#[utoipa::path(tag = "Credentials", operation_id = "list_therapist_credentials",
    params(("id" = TherapistId, Path, description = "The therapist.")),
    responses((status = 200, description = "The credentials.", body = Page<PublicCredential>)))]
#[get("/v1/therapists/{id}/credentials")]
async fn list_therapist_credentials(app: Data<App>, _caller: Caller, Path(id): Path<TherapistId>) -> Result<Reply> {
    if !crate::therapists::exists(&app.db, id).await? {
        return Err(Error::NotFound);
    }
    Reply::ok(&Page::whole(store::public(&app.db, id, app.clock.now().date_naive()).await?))
}
