//! The review of clearances, by staff who may read letters. Each look at one is on record, and its person can see who looked.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::letters::{Letter, LetterFile};
use super::routes::{Opened, refuse_unsound, refuse_useless};
use super::{ClearanceState, ClearanceStep, MESSAGE, ReviewMessage, TERMS, Terms, store};
use crate::App;
use crate::auth::{As, CareReviewer};
use crate::care::disclosures::{self, Seen};
use crate::care::people::recipients;
use crate::db::uninterrupted;
use crate::error::{Error, Refusal, Result, refused};
use crate::events::{Event, Party, Work};
use crate::http::{Cursor, Json, Limit, Nothing, OrDefault, Page, Path, Query, Reply, Several};
use crate::ids::{AccountId, ClearanceId, LetterId};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_clearance_queue).service(get_reviewed_clearance).service(download_letter);
    config.service(claim_clearance).service(release_clearance).service(accept_clearance).service(reject_clearance);
    config.service(request_clearance_info).service(revoke_clearance);
}

/// How long a claim lasts.
const CLAIM: TimeDelta = TimeDelta::minutes(30);

/// A clearance in the queue. What it says is read with it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QueuedClearance {
    /// The clearance's id.
    pub id: ClearanceId,
    /// Where it stands.
    pub state: ClearanceState,
    /// When it was handed in last.
    pub submitted_at: Option<DateTime<Utc>>,
    /// Who has it, while the claim lasts.
    pub claimed_by: Option<AccountId>,
    /// Until when.
    pub claimed_until: Option<DateTime<Utc>>,
}

/// A clearance as its reviewer sees it.
#[derive(Debug, Serialize, ToSchema)]
struct ReviewedClearance {
    #[serde(flatten)]
    queued: QueuedClearance,
    #[serde(flatten)]
    terms: Terms,
    /// The person's name, which the letter must bear.
    #[schema(example = "Noa Chen")]
    display_name: String,
    /// When the person was born, where that is known.
    born_on: Option<NaiveDate>,
    /// What was said to the person last.
    message: Option<String>,
    /// The letters, oldest first.
    letters: Vec<Letter>,
    /// Who decided on it last.
    decided_by: Option<AccountId>,
    /// When.
    decided_at: Option<DateTime<Utc>>,
}

/// Which clearances.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ClearanceQuery {
    /// In one of these states, separated by commas; those that wait for a reviewer, unless said.
    #[param(value_type = Option<String>, example = "submitted,in_review")]
    state: Option<Several<ClearanceState>>,
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// List clearances to review
///
/// Those that were handed in, longest waiting first: where each stands, and nothing of what it says.
#[utoipa::path(tag = "Care", operation_id = "list_clearance_queue", security(("bearer" = ["admin:care"])), params(ClearanceQuery),
    responses((status = 200, description = "A page of clearances.", body = Page<QueuedClearance>)))]
#[get("/v1/admin/clearances")]
async fn list_clearance_queue(
    app: Data<App>,
    _me: As<CareReviewer>,
    Query(query): Query<ClearanceQuery>,
) -> Result<Reply> {
    let states =
        query.state.map_or_else(|| vec![ClearanceState::Submitted, ClearanceState::InReview], |Several(states)| states);
    let after = query.cursor.as_ref().map(Cursor::key).transpose()?;
    let found = store::queue(&app.db, &states, after, query.limit.probe(), app.clock.now()).await?;
    Reply::ok(&Page::cut(found, query.limit, |clearance| (clearance.submitted_at, clearance.id))?)
}

/// A clearance that was handed in once, locked.
async fn lock(app: &App, work: &mut Work, id: ClearanceId) -> Result<Opened> {
    let recipient = store::recipient_of(work, id).await?.ok_or(Error::NotFound)?;
    work.lock(recipient.0).await?;
    let recipient = recipients::anyone(&mut ***work, &app.cipher, recipient).await?;
    let clearance = Opened::read(work, recipient, id).await?;
    if clearance.stored.submitted_at.is_none() { Err(Error::NotFound) } else { Ok(clearance) }
}

fn view(clearance: Opened, display_name: String, now: DateTime<Utc>) -> ReviewedClearance {
    let holds = clearance.stored.claimed_until.is_some_and(|until| until > now);
    ReviewedClearance {
        queued: QueuedClearance {
            id: clearance.stored.id,
            state: clearance.stored.state,
            submitted_at: clearance.stored.submitted_at,
            claimed_by: clearance.stored.claimed_by.filter(|_| holds),
            claimed_until: clearance.stored.claimed_until.filter(|_| holds),
        },
        display_name,
        born_on: clearance.recipient.born_on,
        terms: clearance.terms,
        message: clearance.message,
        letters: clearance.letters,
        decided_by: clearance.stored.decided_by,
        decided_at: clearance.stored.decided_at,
    }
}

/// Shows a clearance to its reviewer, and puts on record that it was seen.
async fn shown(work: &mut Work, clearance: Opened, reviewer: AccountId) -> Result<Reply> {
    let (id, now) = (clearance.stored.id, work.now());
    disclosures::record(work, clearance.recipient.id, reviewer, Seen::Clearance(id)).await?;
    work.announce(Event::new("clearance.read", "clearance", id)).await?;
    let display_name = clearance.recipient.name(work).await?;
    Reply::ok(&view(clearance, display_name, now))
}

/// Show a clearance to review
///
/// What the account says that the letter says, and the letters. The look is on record, and the person can see it.
#[utoipa::path(tag = "Care", operation_id = "get_reviewed_clearance", security(("bearer" = ["admin:care"])),
    params(("id" = ClearanceId, Path, description = "The clearance.")),
    responses((status = 200, description = "The clearance.", body = ReviewedClearance)))]
#[get("/v1/admin/clearances/{id}")]
async fn get_reviewed_clearance(app: Data<App>, me: As<CareReviewer>, Path(id): Path<ClearanceId>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let clearance = lock(&app, &mut work, id).await?;
        let reply = shown(&mut work, clearance, me.account()).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Read a letter
///
/// The file, opened. The look is on record, and the person can see it. Whoever decides has read every letter.
#[utoipa::path(tag = "Care", operation_id = "download_letter", security(("bearer" = ["admin:care"])),
    params(("id" = ClearanceId, Path, description = "The clearance."),
           ("document_id" = LetterId, Path, description = "The letter.")),
    responses((status = 200, description = "The file, as an attachment.",
        content((LetterFile = "application/pdf"), (LetterFile = "image/jpeg"), (LetterFile = "image/png")))))]
#[get("/v1/admin/clearances/{id}/documents/{document_id}")]
async fn download_letter(
    app: Data<App>,
    me: As<CareReviewer>,
    Path((id, letter)): Path<(ClearanceId, LetterId)>,
) -> Result<HttpResponse> {
    let shared = app.clone();
    let (recipient, letter) = uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let mut clearance = lock(&app, &mut work, id).await?;
        let place = clearance.letters.iter().position(|known| known.id == letter).ok_or(Error::NotFound)?;
        disclosures::record(&mut work, clearance.recipient.id, me.account(), Seen::Letter(letter)).await?;
        work.announce(Event::new("clearance.read_letter", "clearance", id).with(json!({ "letter": letter }))).await?;
        work.commit().await?;
        Ok((clearance.recipient, clearance.letters.swap_remove(place)))
    })
    .await?;
    letter.served(&shared, &recipient).await
}

/// Claim a clearance
///
/// Takes a clearance up for 30 minutes, in which no other reviewer can decide on it. Claiming again prolongs it.
#[utoipa::path(tag = "Care", operation_id = "claim_clearance", security(("bearer" = ["admin:care"])),
    params(("id" = ClearanceId, Path, description = "The clearance.")), request_body = Option<Nothing>,
    responses((status = 200, description = "The clearance, claimed.", body = ReviewedClearance)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, AlreadyClaimed]))))]
#[post("/v1/admin/clearances/{id}/claim")]
async fn claim_clearance(
    app: Data<App>,
    me: As<CareReviewer>,
    Path(id): Path<ClearanceId>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    take(app, me.account(), id, ClearanceStep::Claim, Said::default()).await
}

/// Release a clearance
///
/// Puts a clearance that the caller has claimed back into the queue.
#[utoipa::path(tag = "Care", operation_id = "release_clearance", security(("bearer" = ["admin:care"])),
    params(("id" = ClearanceId, Path, description = "The clearance.")), request_body = Option<Nothing>,
    responses((status = 200, description = "The clearance, back in the queue.", body = ReviewedClearance)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, ClaimNotHeld]))))]
#[post("/v1/admin/clearances/{id}/release")]
async fn release_clearance(
    app: Data<App>,
    me: As<CareReviewer>,
    Path(id): Path<ClearanceId>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    take(app, me.account(), id, ClearanceStep::Release, Said::default()).await
}

/// What the letter says, where it says it otherwise than the account.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ClearanceFound {
    /// All of it, as the reviewer found it; what the account entered, unless said.
    terms: Option<Terms>,
}

/// Accept a clearance
///
/// The letter says so, and the reviewer has read it. From now on it lifts the rules that it names, and the visits ahead are decided on again. The account is told.
#[utoipa::path(tag = "Care", operation_id = "accept_clearance", security(("bearer" = ["admin:care"])),
    params(("id" = ClearanceId, Path, description = "The clearance.")), request_body = Option<ClearanceFound>,
    responses((status = 200, description = "The clearance, accepted.", body = ReviewedClearance)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, ClaimNotHeld, LetterUnread, ClearanceNotValid]))))]
#[post("/v1/admin/clearances/{id}/accept")]
async fn accept_clearance(
    app: Data<App>,
    me: As<CareReviewer>,
    Path(id): Path<ClearanceId>,
    body: OrDefault<ClearanceFound>,
) -> Result<Reply> {
    let said = Said { terms: body.0.terms, message: None };
    take(app, me.account(), id, ClearanceStep::Accept, said).await
}

/// What the person is told of a decision.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ClearanceAnswer {
    /// In the reviewer's words, sealed under the person's own key.
    message: ReviewMessage,
}

/// Reject a clearance
///
/// The letter does not say so, or is none. The account is told, with the reviewer's words.
#[utoipa::path(tag = "Care", operation_id = "reject_clearance", security(("bearer" = ["admin:care"])),
    params(("id" = ClearanceId, Path, description = "The clearance.")), request_body = ClearanceAnswer,
    responses((status = 200, description = "The clearance, rejected.", body = ReviewedClearance)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, ClaimNotHeld, LetterUnread]))))]
#[post("/v1/admin/clearances/{id}/reject")]
async fn reject_clearance(
    app: Data<App>,
    me: As<CareReviewer>,
    Path(id): Path<ClearanceId>,
    Json(body, _): Json<ClearanceAnswer>,
) -> Result<Reply> {
    let said = Said { terms: None, message: Some(body.message) };
    take(app, me.account(), id, ClearanceStep::Reject, said).await
}

/// Ask for more of a clearance
///
/// Gives the clearance back to the account, which may change it and add letters. The account is told, with the reviewer's words.
#[utoipa::path(tag = "Care", operation_id = "request_clearance_info", security(("bearer" = ["admin:care"])),
    params(("id" = ClearanceId, Path, description = "The clearance.")), request_body = ClearanceAnswer,
    responses((status = 200, description = "The clearance, with its account.", body = ReviewedClearance)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, ClaimNotHeld]))))]
#[post("/v1/admin/clearances/{id}/request-info")]
async fn request_clearance_info(
    app: Data<App>,
    me: As<CareReviewer>,
    Path(id): Path<ClearanceId>,
    Json(body, _): Json<ClearanceAnswer>,
) -> Result<Reply> {
    let said = Said { terms: None, message: Some(body.message) };
    take(app, me.account(), id, ClearanceStep::RequestInfo, said).await
}

/// Revoke a clearance
///
/// What was accepted counts no more, and the visits ahead are decided on again. The account is told, with the reviewer's words.
#[utoipa::path(tag = "Care", operation_id = "revoke_clearance", security(("bearer" = ["admin:care"])),
    params(("id" = ClearanceId, Path, description = "The clearance.")), request_body = ClearanceAnswer,
    responses((status = 200, description = "The clearance, revoked.", body = ReviewedClearance)),
    extensions(("x-refusals" = json!(refused![InvalidTransition]))))]
#[post("/v1/admin/clearances/{id}/revoke")]
async fn revoke_clearance(
    app: Data<App>,
    me: As<CareReviewer>,
    Path(id): Path<ClearanceId>,
    Json(body, _): Json<ClearanceAnswer>,
) -> Result<Reply> {
    let said = Said { terms: None, message: Some(body.message) };
    take(app, me.account(), id, ClearanceStep::Revoke, said).await
}

/// What a reviewer says with a step.
#[derive(Default)]
struct Said {
    terms: Option<Terms>,
    message: Option<ReviewMessage>,
}

async fn take(app: Data<App>, reviewer: AccountId, id: ClearanceId, step: ClearanceStep, said: Said) -> Result<Reply> {
    use ClearanceStep::{Accept, Claim, Reject, Release, RequestInfo, Revoke};
    uninterrupted(async move {
        let mut work = app.begin(Some(reviewer)).await?;
        let mut clearance = lock(&app, &mut work, id).await?;
        let now = work.now();
        let holder =
            clearance.stored.claimed_by.filter(|_| clearance.stored.claimed_until.is_some_and(|until| until > now));
        clearance.step(step, Party::Admin, now)?;
        match step {
            Claim if holder.is_some_and(|holder| holder != reviewer) => return Err(Refusal::AlreadyClaimed.into()),
            Claim => {
                (clearance.stored.claimed_by, clearance.stored.claimed_until) = (Some(reviewer), Some(now + CLAIM))
            }
            Revoke => {}
            _ if holder != Some(reviewer) => return Err(Refusal::ClaimNotHeld.into()),
            _ => {}
        }
        if matches!(step, Accept | Reject) {
            let read = disclosures::letters_read(&mut work, clearance.recipient.id, reviewer).await?;
            if clearance.letters.iter().any(|letter| !read.contains(&letter.id)) {
                return Err(Refusal::LetterUnread.into());
            }
        }
        let kind = match step {
            Claim => "clearance.claim",
            Release => "clearance.release",
            Accept => {
                let today = now.date_naive();
                if let Some(terms) = said.terms {
                    // The day may have begun where the person lives.
                    refuse_unsound(&app, &mut work, &terms, today.succ_opt().unwrap_or(today), "/terms").await?;
                    clearance.stored.terms = clearance.recipient.cipher.seal_value(TERMS, id, &terms)?;
                    clearance.terms = terms;
                }
                refuse_useless(&app, &mut work, &clearance.terms, today).await?;
                "clearance.accept"
            }
            Reject => "clearance.reject",
            RequestInfo => "clearance.request_info",
            _ => "clearance.revoke",
        };
        let mut event = clearance.event(kind);
        if !matches!(step, Claim | Release) {
            (clearance.stored.decided_by, clearance.stored.decided_at) = (Some(reviewer), Some(now));
            let message = said.message.as_ref().map(ReviewMessage::as_str);
            clearance.message = message.map(str::to_owned);
            clearance.stored.message =
                message.map(|message| clearance.recipient.cipher.seal(MESSAGE, id, message)).transpose()?;
            event.client = Some(clearance.recipient.account);
        }
        store::update(&mut work, &clearance.stored).await?;
        work.announce(event).await?;
        let reply = shown(&mut work, clearance, reviewer).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}
