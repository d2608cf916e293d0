mod checks;
mod queue;
mod review;

use actix_web::web::Data;
use actix_web::{get, patch, post};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::jobs::CheckAgainstRoster;
use super::numbers::PADDED;
use super::review::{ReviewAction, ReviewState};
use super::rules::{self, ServiceKind};
use super::steps::{self, By, Grounds};
use super::store::{self, Row, own};
use super::views::{Credential, PublicCredential};
use super::{BoardStatus, CredentialNumber, CredentialType, HolderName, Requirement, TypeCode};
use crate::App;
use crate::auth::{As, Caller, Therapist};
use crate::catalogue;
use crate::db::{Tx, uninterrupted};
use crate::error::{Error, FieldError, Problem, Refusal, Result, refused};
use crate::events::Work;
use crate::http::{Cursor, IfMatch, Json, Limit, Page, Part, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{AccountId, CredentialId, ServiceId, TherapistId};
use crate::queue::enqueue_once;
use crate::values::{Day, IssueDay, Jurisdiction, JurisdictionCode, Money, present};

/// The operations on credentials.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list_credential_types).service(list_credential_requirements);
    config.service(list_own_credentials).service(create_credential).service(get_own_credential);
    config.service(update_credential).service(submit_credential).service(withdraw_credential);
    config.service(reopen_credential);
    config.service(list_therapist_credentials);
    queue::routes(config);
    review::routes(config);
    checks::routes(config);
    super::documents::routes::routes(config);
}

/// List credential types
///
/// Every kind of credential that the service knows.
#[utoipa::path(tag = "Credentials", operation_id = "list_credential_types", security((), ("api_key" = ["slots:read"])), params(Part),
    responses((status = 200, description = "The types.", body = Page<CredentialType>)))]
#[get("/v1/credential-types")]
async fn list_credential_types(app: Data<App>, _caller: Caller, Query(part): Query<Part>) -> Result<Reply> {
    Ok(Reply::ok(&Page::part(store::types(&app.db).await?, &part)?)?.public())
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
    /// Items on a page; all of them, unless said.
    #[param(inline)]
    limit: Option<Limit>,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// List requirements
///
/// What a therapist must hold to give a service somewhere: of every group one option must be usable. An empty list
/// means that the place is not served.
#[utoipa::path(tag = "Credentials", operation_id = "list_credential_requirements", security((), ("api_key" = ["slots:read"])), params(RequiredWhere),
    responses((status = 200, description = "The requirements.", body = Page<Requirement>)))]
#[get("/v1/credential-requirements")]
async fn list_credential_requirements(
    app: Data<App>,
    _caller: Caller,
    Query(query): Query<RequiredWhere>,
) -> Result<Reply> {
    let kind = catalogue::kind_of(&*app.db, query.service_id).await?;
    let kind = kind.ok_or_else(|| FieldError::new("/service_id", "is not in the catalogue."))?;
    if query.jurisdiction.is_local() && !rules::knows(&*app.db, &query.jurisdiction).await? {
        return Err(FieldError::new("/jurisdiction", "is not a place that the service knows.").into());
    }
    let required = rules::required(&*app.db, query.jurisdiction.chain(), None, &kind).await?;
    Ok(Reply::ok(&Page::part(required.groups, &Part { limit: query.limit, cursor: query.cursor.clone() })?)?.public())
}

/// List my credentials
///
/// The caller's credentials, oldest first.
#[utoipa::path(tag = "Credentials", operation_id = "list_own_credentials", security(("bearer" = ["therapist"])), params(Part),
    responses((status = 200, description = "The credentials.", body = Page<Credential>)))]
#[get("/v1/therapists/me/credentials")]
async fn list_own_credentials(app: Data<App>, me: As<Therapist>, Query(part): Query<Part>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let list = store::list(&mut work, me.therapist()).await?;
        work.commit().await?;
        Reply::ok(&Page::part(list, &part)?)
    })
    .await
}

/// A credential to be entered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCredential {
    #[serde(rename = "type")]
    type_code: TypeCode,
    number: Option<CredentialNumber>,
    name_on_credential: HolderName,
    issuing_jurisdiction: Option<Jurisdiction>,
    issued_on: Option<IssueDay>,
    /// The last day of its validity.
    expires_on: Option<Day>,
    /// What an insurance pays at most for one claim.
    cover: Option<Money>,
    /// The places where it counts, where they are fewer than its type allows.
    #[schema(min_items = 1, max_items = 50)]
    covers_jurisdictions: Option<Vec<JurisdictionCode>>,
    /// The kinds of service for which it counts, where they are fewer than its type allows.
    #[schema(min_items = 1, max_items = 10)]
    covers_kinds: Option<Vec<ServiceKind>>,
    /// The caller's credential of the same type that it renews.
    renews: Option<CredentialId>,
}

/// The most credentials that a therapist enters.
const MOST: i64 = 100;
/// The most credentials of a therapist that wait for a decision.
const MOST_OPEN: i64 = 30;

/// The largest cover, in minor units.
const MOST_COVER: i64 = 100_000_000_000;

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
    if credential.cover.is_some_and(|cover| !(0..=MOST_COVER).contains(&cover.amount)) {
        errors.push(FieldError::new("/cover/amount", "must lie between 0 and 100000000000."));
    }
    let count = |list: &Option<Vec<String>>| list.as_ref().map_or(1, Vec::len);
    if !(1..=50).contains(&count(&credential.covers_jurisdictions)) {
        errors.push(FieldError::new("/covers_jurisdictions", "must hold 1 to 50 places."));
    }
    if !(1..=10).contains(&count(&credential.covers_kinds)) {
        errors.push(FieldError::new("/covers_kinds", "must hold 1 to 10 kinds."));
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors)) }
}

/// What is renewed must be the caller's own and of the same type, and the places that it covers must be known.
async fn refuse_strangers(tx: &mut Tx, row: &Row) -> Result<()> {
    if let Some(renewed) = row.credential.renews {
        let known = store::find(tx, renewed).await?.is_some_and(|older| {
            older.therapist == row.therapist
                && older.kind.code == row.kind.code
                && older.credential.id != row.credential.id
        });
        if !known {
            return Err(FieldError::new("/renews", "is not your credential of this type.").into());
        }
    }
    for (i, place) in row.credential.covers_jurisdictions.iter().flatten().enumerate() {
        let code: JurisdictionCode = place.parse().map_err(Error::Internal)?;
        if !rules::knows(&mut **tx, &code).await? {
            return Err(FieldError::new(format!("/covers_jurisdictions/{i}"), "is not a place that is known.").into());
        }
    }
    Ok(())
}

fn codes(places: Vec<JurisdictionCode>) -> Vec<String> {
    places.iter().map(|place| place.as_str().to_owned()).collect()
}

fn kinds(kinds: Vec<ServiceKind>) -> Vec<String> {
    kinds.iter().map(|kind| kind.as_str().to_owned()).collect()
}

/// Enters a credential of `me` as a draft, as it is stored then.
pub(super) async fn enter(work: &mut Work, me: TherapistId, new: NewCredential) -> Result<Row> {
    let now = work.now();
    // Two requests must not both be the last.
    work.lock_time(me).await?;
    let (entered, open) = store::entered(work, me).await?;
    if entered >= MOST {
        return Err(Refusal::TooManyCredentials.into());
    }
    if open >= MOST_OPEN {
        return Err(Refusal::TooManyOpenCredentials.into());
    }
    let mut row = Row {
        kind: find_type(work, &new.type_code).await?,
        credential: Credential {
            id: CredentialId::new(now),
            type_code: new.type_code.as_str().to_owned(),
            number: new.number.map(|number| number.as_str().to_owned()),
            name_on_credential: new.name_on_credential.as_str().to_owned(),
            issuing_jurisdiction: new.issuing_jurisdiction,
            issued_on: new.issued_on.map(|IssueDay(date)| date),
            expires_on: new.expires_on.map(|Day(date)| date),
            cover: new.cover,
            covers_jurisdictions: new.covers_jurisdictions.map(codes),
            covers_kinds: new.covers_kinds.map(kinds),
            renews: new.renews,
            review_state: ReviewState::Draft,
            board_status: BoardStatus::Unknown,
            submitted_at: None,
            created_at: now,
            warnings: Vec::new(),
            last_decision: None,
        },
        therapist: me,
        claimed_by: None,
        claimed_until: None,
        approval: None,
        board_action: false,
        verification: None,
        recheck_on: None,
        superseded_by: None,
        evidence: Vec::new(),
    };
    refuse_nonsense(&mut row)?;
    let id = row.credential.id;
    refuse_strangers(work, &row).await?;
    store::insert(work, &row).await?;
    store::find(work, id).await?.ok_or(Error::NotFound)
}

/// Enter a credential
///
/// Enters a credential as a draft. Nothing is reviewed before it is submitted.
#[utoipa::path(tag = "Credentials", operation_id = "create_credential", security(("bearer" = ["therapist"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = NewCredential, responses((status = 201, description = "The draft.", body = Credential,
     headers(("Location" = String, description = "Where the credential is found.")))),
    extensions(("x-refusals" = json!(refused![TooManyCredentials, TooManyOpenCredentials]))))]
#[post("/v1/therapists/me/credentials")]
async fn create_credential(
    app: Data<App>,
    me: As<Therapist>,
    key: IdempotencyKey,
    Json(new, print): Json<NewCredential>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let once = Once::claim(&mut work, "POST /v1/therapists/me/credentials", key, print).await?;
        let stored = enter(&mut work, me.therapist(), new).await?;
        let id = stored.credential.id;
        let reply = Reply::created(format!("/v1/therapists/me/credentials/{id}"), &stored.credential)?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
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
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let row = own(store::find(&mut work, id).await?, me.therapist())?;
        work.commit().await?;
        Reply::ok(&row.credential)
    })
    .await
}

async fn find_type(tx: &mut Tx, code: &TypeCode) -> Result<CredentialType> {
    let kind = store::find_type(&mut **tx, code.as_str()).await?;
    kind.ok_or_else(|| FieldError::new("/type", "is not a credential type.").into())
}

/// What to change; what is left out stays, null empties an optional field.
#[derive(Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CredentialPatch {
    #[serde(rename = "type")]
    type_code: Option<TypeCode>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<CredentialNumber>)]
    number: Option<Option<CredentialNumber>>,
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
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Money>)]
    cover: Option<Option<Money>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<JurisdictionCode>>)]
    covers_jurisdictions: Option<Option<Vec<JurisdictionCode>>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<ServiceKind>>)]
    covers_kinds: Option<Option<Vec<ServiceKind>>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<CredentialId>)]
    renews: Option<Option<CredentialId>>,
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
        if let Some(cover) = self.cover {
            credential.cover = cover;
        }
        if let Some(places) = self.covers_jurisdictions {
            credential.covers_jurisdictions = places.map(codes);
        }
        if let Some(served) = self.covers_kinds {
            credential.covers_kinds = served.map(kinds);
        }
        if let Some(renewed) = self.renews {
            credential.renews = renewed;
        }
    }
}

/// Change a credential
///
/// Changes a draft, or one for which more was asked. Another name, number or type of a verified licence, and any change to
/// what is proved by documents alone, as an insurance is, send it back to review; it is not usable until that is done, and
/// visits that are lost by it count as called off by the therapist. Anything else of a verified licence stays verified: an
/// earlier end and fewer places hold at once, and a later end and more places when the authority or staff have found them,
/// so that they are told to staff and not yet shown.
#[utoipa::path(tag = "Credentials", operation_id = "update_credential", security(("bearer" = ["therapist"])),
    params(("id" = CredentialId, Path, description = "The credential."),
           ("If-Match" = String, Header, description = "The ETag of the credential as it was read.")),
    request_body = CredentialPatch, responses((status = 200, description = "The credential as it is now.", body = Credential)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, EvidenceMissing]))))]
#[patch("/v1/therapists/me/credentials/{id}")]
async fn update_credential(
    app: Data<App>,
    me: As<Therapist>,
    Path(id): Path<CredentialId>,
    if_match: IfMatch,
    Json(patch, _): Json<CredentialPatch>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        work.lock_time(me.therapist()).await?;
        let mut row = own(store::lock(&mut work, id).await?, me.therapist())?;
        if_match.check(&row.credential)?;
        let before = row.credential.clone();
        if let Some(code) = patch.type_code.as_ref().filter(|code| code.as_str() != before.type_code) {
            row.kind = find_type(&mut work, code).await?;
            row.credential.type_code = row.kind.code.clone();
            // The place of the former type says nothing of the new one.
            row.credential.issuing_jurisdiction = None;
        }
        patch.apply(&mut row.credential);
        refuse_nonsense(&mut row)?;
        refuse_strangers(&mut work, &row).await?;
        // What changes nothing takes no licence away.
        if row.credential == before {
            return Reply::ok(&row.credential);
        }
        let is_kept = row.credential.review_state == ReviewState::Verified
            && before.type_code == row.credential.type_code
            && PADDED.contains(&row.kind.category)
            && before.number == row.credential.number
            && before.name_on_credential == row.credential.name_on_credential;
        if matches!(row.credential.review_state, ReviewState::Draft | ReviewState::InfoRequested) {
            store::save(&mut work, &row).await?;
        } else if is_kept {
            steps::amend(&mut work, &mut row, &before).await?;
        } else {
            refuse_incomplete(&row)?;
            if row.credential.type_code != before.type_code {
                refuse_unshown(&row)?;
            }
            let by = By::therapist(me.account());
            steps::take(&mut work, &mut row, ReviewAction::Edit, by, Grounds::default()).await?;
            let key = format!("check_against_roster:{id}");
            enqueue_once(&mut work, &CheckAgainstRoster { credential: id }, &key, app.clock.now()).await?;
        }
        let stored = own(store::find(&mut work, id).await?, me.therapist())?;
        work.commit().await?;
        Reply::ok(&stored.credential)
    })
    .await
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

/// A type that asks for a document asks for it when it is handed in.
fn refuse_unshown(row: &Row) -> Result<()> {
    let shown = !row.kind.evidence_required || !row.evidence.is_empty();
    if shown { Ok(()) } else { Err(Refusal::EvidenceMissing.into()) }
}

/// What else comes with handing a credential in: nothing may be missing, and it is held against its roster.
async fn handed_in(work: &mut Work, row: &Row) -> Result<()> {
    refuse_incomplete(row)?;
    refuse_unshown(row)?;
    let (id, now) = (row.credential.id, work.now());
    let key = format!("check_against_roster:{id}");
    enqueue_once(work, &CheckAgainstRoster { credential: id }, &key, now).await
}

/// Hands a credential of `me` in for review, as it is then.
pub(super) async fn submit(work: &mut Work, me: AccountId, id: CredentialId) -> Result<Credential> {
    let mut row = own(store::lock(work, id).await?, me.into())?;
    steps::take(work, &mut row, ReviewAction::Submit, By::therapist(me), Grounds::default()).await?;
    handed_in(work, &row).await?;
    Ok(row.credential)
}

async fn own_step(app: Data<App>, me: As<Therapist>, id: CredentialId, action: ReviewAction) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        work.lock_time(me.therapist()).await?;
        let mut row = own(store::lock(&mut work, id).await?, me.therapist())?;
        let by = By::therapist(me.account());
        steps::take(&mut work, &mut row, action, by, Grounds::default()).await?;
        if action == ReviewAction::Reopen && store::entered(&mut work, me.therapist()).await?.1 > MOST_OPEN {
            return Err(Refusal::TooManyOpenCredentials.into());
        }
        if action == ReviewAction::Submit {
            handed_in(&mut work, &row).await?;
        }
        work.commit().await?;
        Reply::ok(&row.credential)
    })
    .await
}

/// Submit a credential
///
/// Hands a draft in for review, or again after more was asked for. The number, the end of validity and a document must be
/// there where the type has them.
#[utoipa::path(tag = "Credentials", operation_id = "submit_credential", security(("bearer" = ["therapist"])),
    params(("id" = CredentialId, Path, description = "The credential.")),
    responses(
    (status = 200, description = "The credential, submitted.", body = Credential),
    (status = 422, description = "Something is missing; `errors` points to it.", body = Problem, content_type = "application/problem+json")),
    extensions(("x-refusals" = json!(refused![InvalidTransition, EvidenceMissing]))))]
#[post("/v1/therapists/me/credentials/{id}/submit")]
async fn submit_credential(app: Data<App>, me: As<Therapist>, Path(id): Path<CredentialId>) -> Result<Reply> {
    own_step(app, me, id, ReviewAction::Submit).await
}

/// Reopen a credential
///
/// Makes a draft again of what was rejected, with its documents, to be mended and submitted once more. What was decided stays in its history.
#[utoipa::path(tag = "Credentials", operation_id = "reopen_credential", security(("bearer" = ["therapist"])),
    params(("id" = CredentialId, Path, description = "The credential.")),
    responses((status = 200, description = "The credential, a draft again.", body = Credential)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, TooManyOpenCredentials]))))]
#[post("/v1/therapists/me/credentials/{id}/reopen")]
async fn reopen_credential(app: Data<App>, me: As<Therapist>, Path(id): Path<CredentialId>) -> Result<Reply> {
    own_step(app, me, id, ReviewAction::Reopen).await
}

/// Withdraw a credential
///
/// Takes a credential back before it is decided on.
#[utoipa::path(tag = "Credentials", operation_id = "withdraw_credential", security(("bearer" = ["therapist"])),
    params(("id" = CredentialId, Path, description = "The credential.")),
    responses((status = 200, description = "The credential, withdrawn.", body = Credential)),
    extensions(("x-refusals" = json!(refused![InvalidTransition]))))]
#[post("/v1/therapists/me/credentials/{id}/withdraw")]
async fn withdraw_credential(app: Data<App>, me: As<Therapist>, Path(id): Path<CredentialId>) -> Result<Reply> {
    own_step(app, me, id, ReviewAction::Withdraw).await
}

/// Show a therapist's credentials
///
/// What was verified, from whom and until when: no number, no document.
#[utoipa::path(tag = "Credentials", operation_id = "list_therapist_credentials", security((), ("api_key" = ["slots:read"])),
    params(("id" = TherapistId, Path, description = "The therapist."), Part),
    responses((status = 200, description = "The credentials.", body = Page<PublicCredential>)))]
#[get("/v1/therapists/{id}/credentials")]
async fn list_therapist_credentials(
    app: Data<App>,
    Caller(caller): Caller,
    Path(id): Path<TherapistId>,
    Query(part): Query<Part>,
) -> Result<Reply> {
    if !crate::therapists::is_shown(&mut *app.db.acquire().await?, id, caller, app.clock.now()).await? {
        return Err(Error::NotFound);
    }
    Reply::ok(&Page::part(store::public(&app.db, id, app.clock.now()).await?, &part)?)
}
