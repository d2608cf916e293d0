//! Answers that are not given yet, kept for who goes on later.

use actix_web::web::Data;
use actix_web::{get, put};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::types::Json as Kept;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::invitations::refuse_guests;
use super::recipients::{Recipient, find, lock};
use super::{QuestionnaireRef, named, refuse_too_many, store};
use crate::App;
use crate::accounts;
use crate::auth::{As, Client};
use crate::care::published;
use crate::care::questions::GivenAnswer;
use crate::db::{in_batches, uninterrupted};
use crate::error::{Error, Refusal, Result, refused};
use crate::http::{IfMatch, Json, Path, Reply};
use crate::ids::RecipientId;
use crate::values::wall_clock::local_date;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(get_screening_draft).service(put_screening_draft);
}

/// How long a draft is kept after its last change.
const KEPT: TimeDelta = TimeDelta::days(30);

/// The column of a draft's answers, to which they are sealed.
pub(in crate::care) const DRAFT: &str = "screening_drafts.answers";

/// Answers that are not given yet.
#[derive(Serialize, ToSchema)]
#[schema(as = ScreeningDraft)]
struct DraftView {
    /// What is answered.
    questionnaires: Vec<QuestionnaireRef>,
    /// The answers so far.
    answers: Vec<GivenAnswer>,
    /// When it was changed last.
    changed_at: DateTime<Utc>,
    /// When it is deleted, unless it is changed or given before.
    expires_at: DateTime<Utc>,
}

impl DraftView {
    fn opened(draft: store::StoredDraft, recipient: &Recipient) -> Result<Self> {
        Ok(Self {
            answers: recipient.cipher.open_value(DRAFT, recipient.id, &draft.answers)?,
            questionnaires: draft.questionnaires.0,
            changed_at: draft.changed_at,
            expires_at: draft.changed_at + KEPT,
        })
    }
}

/// Show a draft of answers
///
/// What was answered of a recipient so far, and was not given yet. A draft that nobody has changed for 30 days is gone.
#[utoipa::path(tag = "Care", operation_id = "get_screening_draft", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient.")),
    responses((status = 200, description = "The draft.", body = DraftView)),
    extensions(("x-refusals" = json!(refused![GuardianNeeded]))))]
#[get("/v1/me/recipients/{id}/screening-draft")]
async fn get_screening_draft(app: Data<App>, me: As<Client>, Path(id): Path<RecipientId>) -> Result<Reply> {
    let recipient = find(&*app.db, &app.cipher, me.account(), id).await?;
    refuse_guests(&recipient)?;
    let draft = store::draft(&*app.db, id, app.clock.now() - KEPT).await?.ok_or(Error::NotFound)?;
    Reply::ok(&DraftView::opened(draft, &recipient)?)
}

/// A draft as it is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DraftBody {
    /// What is answered, in the versions that are in force: 1 to 10.
    questionnaires: Vec<QuestionnaireRef>,
    /// The answers so far. Each fits its question; questions may be left out.
    answers: Vec<GivenAnswer>,
}

/// Keep a draft of answers
///
/// Replaces the draft of a recipient. `If-Match` is needed where there is one. It decides nothing until it is given as a screening.
#[utoipa::path(tag = "Care", operation_id = "put_screening_draft", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the draft as it was read, where there is one.")),
    request_body = DraftBody, responses((status = 200, description = "The draft as it is now.", body = DraftView)),
    extensions(("x-refusals" = json!(refused![QuestionnaireOutdated, GuardianNeeded]))))]
#[put("/v1/me/recipients/{id}/screening-draft")]
async fn put_screening_draft(
    app: Data<App>,
    me: As<Client>,
    Path(id): Path<RecipientId>,
    if_match: IfMatch,
    Json(body, _): Json<DraftBody>,
) -> Result<Reply> {
    uninterrupted(async move {
        refuse_too_many(&body.answers)?;
        let mut work = app.begin(Some(me.account())).await?;
        let recipient = lock(&mut work, &app.cipher, me.account(), id).await?;
        refuse_guests(&recipient)?;
        let now = work.now();
        let current = store::draft(&mut **work, id, now - KEPT).await?;
        let current = current.map(|draft| DraftView::opened(draft, &recipient)).transpose()?;
        if_match.check_if_any(current.as_ref())?;
        let there = published::questionnaires(&mut **work, now).await?.into_iter().map(|(one, _)| one).collect();
        let questionnaires = named(&body.questionnaires, there)?;
        if questionnaires
            .iter()
            .any(|one| !body.questionnaires.iter().any(|asked| asked.code == one.code && asked.version == one.version))
        {
            return Err(Refusal::QuestionnaireOutdated.into());
        }
        let today = local_date(accounts::zone(&mut **work, me.account()).await?, now);
        super::catalogue(&questionnaires).read(&body.answers, "/answers", today).map_err(Error::Invalid)?;
        let answers = recipient.cipher.seal_value(DRAFT, id, &body.answers)?;
        let draft = store::StoredDraft { questionnaires: Kept(body.questionnaires), answers, changed_at: now };
        store::put_draft(&mut work, id, &draft).await?;
        work.commit().await?;
        Reply::ok(&DraftView::opened(draft, &recipient)?)
    })
    .await
}

/// Deletes drafts that nobody has changed for long.
pub async fn forget_drafts(app: &App, now: DateTime<Utc>) -> Result<()> {
    in_batches(|| store::delete_drafts(&*app.db, now - KEPT)).await
}
