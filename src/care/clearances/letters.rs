//! Letters: the files that show what a healthcare provider says. They are inspected as evidence is, and lie in the storage sealed under the person's own key.

use actix_web::web::{Bytes, Data};
use actix_web::{HttpResponse, delete, get, post};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{TryStreamExt, stream};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::ClearanceStep;
use super::routes::Opened;
use super::store::{self, StoredLetter};
use crate::App;
use crate::auth::{As, Client};
use crate::care::people::recipients::{self, Recipient};
use crate::care::people::refuse_guests;
use crate::db::uninterrupted;
use crate::error::{Error, Problem, Refusal, Result, refused};
use crate::events::Party;
use crate::http::{Fingerprint, Path, Reply, Upload};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{AccountId, ClearanceId, LetterId, RecipientId};
use crate::inspection::{self, Arrived, FileFacts, Inspector, LIMITS};
use crate::storage::Key;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(upload_letter).service(download_own_letter).service(remove_letter);
}

/// Letters of one clearance.
const MOST: usize = 5;
/// Bytes of all letters of one recipient that are kept.
const MAX_KEPT: i64 = 50 * 1024 * 1024;
/// How long a file may lie in storage without a row that names it: an upload under way has none yet.
const ORPHANED: TimeDelta = TimeDelta::days(1);

/// The column of what is known of a letter's file, to which it is sealed.
pub(in crate::care) const FACTS: &str = "clearance_letters.facts";
/// The file itself, which is sealed to the letter's id.
pub(super) const FILE: &str = "clearance_letters.file";
/// Where the files lie.
const ROOM: &str = "letters";

pub(super) fn key(id: LetterId) -> Key {
    Key { room: ROOM, id: id.0 }
}

/// A file that shows a clearance.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ClearanceLetter)]
pub(super) struct Letter {
    /// The letter's id.
    pub id: LetterId,
    /// What is known of the file.
    #[serde(flatten)]
    pub file: FileFacts,
    /// When it came.
    pub uploaded_at: DateTime<Utc>,
}

impl Letter {
    pub(super) fn opened(letter: StoredLetter, recipient: &Recipient) -> Result<Self> {
        let file = recipient.cipher.open_value(FACTS, letter.id, &letter.facts)?;
        Ok(Self { id: letter.id, file, uploaded_at: letter.uploaded_at })
    }

    /// An answer with the file, opened.
    pub(super) async fn served(self, app: &App, recipient: &Recipient) -> Result<HttpResponse> {
        let sealed: Vec<Bytes> = app.storage.read(key(self.id)).await?.try_collect().await?;
        let bytes = recipient.cipher.open_bytes(FILE, self.id, &sealed.concat())?;
        Ok(self.file.attachment(stream::once(async { Ok(Bytes::from(bytes)) })))
    }
}

/// A form with a letter in it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the form, which is read part by part")]
struct LetterForm {
    /// A PDF, a JPEG, a PNG, a WebP or a TIFF.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// A letter's bytes.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
pub(super) struct LetterFile(
    #[expect(dead_code, reason = "it describes the answer, which is sent piece by piece")] Vec<u8>,
);

/// Upload a letter
///
/// Adds a file that shows what a healthcare provider says to a draft, or where more was asked for: at most 5 for a clearance, and 50 MB for a recipient in all. It is
/// looked at as evidence is, and kept sealed under the person's own key: whoever gets hold of the storage alone reads nothing of it.
#[utoipa::path(tag = "Care", operation_id = "upload_letter", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient."),
           ("clearance_id" = ClearanceId, Path, description = "The clearance."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body(content = LetterForm, content_type = "multipart/form-data"), responses(
    (status = 201, description = "The letter.", body = Letter,
     headers(("Location" = String, description = "Where the file is found."))),
    (status = 413, description = "The file is larger than 10 MB.", body = Problem, content_type = "application/problem+json")),
    extensions(("x-refusals" = json!(refused![InvalidTransition, TooManyLetters, GuardianNeeded, ..inspection::REFUSALS]))))]
#[post("/v1/me/recipients/{id}/clearances/{clearance_id}/documents")]
async fn upload_letter(
    app: Data<App>,
    me: As<Client>,
    Path(ids): Path<(RecipientId, ClearanceId)>,
    idempotency_key: IdempotencyKey,
    upload: Upload,
) -> Result<Reply> {
    let account = me.account();
    let arrival = app.part::<Inspector>()?.admit(account)?;
    let file = upload.open(&[], LIMITS).await?;
    let sent = Arrived::take(file.chunks).await?;
    inspection::keep(async move {
        let _arrival = arrival;
        let recipient = recipients::find(&*app.db, &app.cipher, account, ids.0).await?;
        refuse_guests(&recipient)?;
        let file = app.part::<Inspector>()?.look_at(sent, file.name.as_deref()).await?;
        let print = Fingerprint::of(format!("{} {}", ids.1, file.facts.sent_sha256).as_bytes());
        let now = app.clock.now();
        let letter = Letter { id: LetterId::new(now), file: file.facts, uploaded_at: now };
        let id = letter.id;
        app.storage.put(key(id), recipient.cipher.seal_bytes(FILE, id, &file.bytes)?.into()).await?;
        let outcome = add(&app, account, ids, letter, (idempotency_key, print)).await;
        // Where the database did not say whether it stands, the file is left to the sweep, which asks again.
        if !matches!(outcome, Ok(_) | Err(Error::Unavailable(_) | Error::Internal(_))) {
            discard(&app, id).await;
        }
        outcome
    })
    .await
}

/// Adds the row.
async fn add(
    app: &App,
    account: AccountId,
    ids: (RecipientId, ClearanceId),
    letter: Letter,
    (key, print): (IdempotencyKey, Fingerprint),
) -> Result<Reply> {
    let mut work = app.begin(Some(account)).await?;
    let route = "POST /v1/me/recipients/{id}/clearances/{clearance_id}/documents";
    let once = Once::claim(&mut work, route, key, print).await?;
    let mut clearance = Opened::lock(app, &mut work, account, ids).await?;
    let now = work.now();
    clearance.step(ClearanceStep::Edit, Party::Client, now)?;
    let kept = store::kept(&mut work, ids.0).await?;
    if clearance.letters.len() >= MOST || kept + letter.file.size > MAX_KEPT {
        return Err(Refusal::TooManyLetters.into());
    }
    let facts = clearance.recipient.cipher.seal_value(FACTS, letter.id, &letter.file)?;
    let stored = StoredLetter { id: letter.id, facts, uploaded_at: letter.uploaded_at };
    store::insert_letter(&mut work, ids.1, &stored, letter.file.size).await?;
    store::update(&mut work, &clearance.stored).await?;
    work.announce(clearance.event("clearance.add_letter")).await?;
    let location = format!("/v1/me/recipients/{}/clearances/{}/documents/{}", ids.0, ids.1, letter.id);
    let reply = Reply::created(location, &letter)?;
    once.keep(&mut work, &reply).await?;
    work.commit().await?;
    Ok(reply)
}

/// Deletes a file that no row names.
async fn discard(app: &App, id: LetterId) {
    if let Err(error) = app.storage.delete(key(id)).await {
        tracing::warn!(%error, letter = %id, "a file is left to the sweep");
    }
}

/// Download a letter of mine
///
/// The file as it is kept, opened.
#[utoipa::path(tag = "Care", operation_id = "download_own_letter", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient."),
           ("clearance_id" = ClearanceId, Path, description = "The clearance."),
           ("document_id" = LetterId, Path, description = "The letter.")),
    responses((status = 200, description = "The file, as an attachment.",
        content((LetterFile = "application/pdf"), (LetterFile = "image/jpeg"), (LetterFile = "image/png")))),
    extensions(("x-refusals" = json!(refused![GuardianNeeded]))))]
#[get("/v1/me/recipients/{id}/clearances/{clearance_id}/documents/{document_id}")]
async fn download_own_letter(
    app: Data<App>,
    me: As<Client>,
    Path((id, clearance, letter)): Path<(RecipientId, ClearanceId, LetterId)>,
) -> Result<HttpResponse> {
    let shared = app.clone();
    let (recipient, letter) = uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let recipient = recipients::find(&mut **work, &app.cipher, me.account(), id).await?;
        refuse_guests(&recipient)?;
        let stored = store::letter(&mut work, id, clearance, letter).await?.ok_or(Error::NotFound)?;
        work.commit().await?;
        let letter = Letter::opened(stored, &recipient)?;
        Ok((recipient, letter))
    })
    .await?;
    letter.served(&shared, &recipient).await
}

/// Remove a letter
///
/// Takes a letter from a draft, or where more was asked for. The file is deleted.
#[utoipa::path(tag = "Care", operation_id = "remove_letter", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient."),
           ("clearance_id" = ClearanceId, Path, description = "The clearance."),
           ("document_id" = LetterId, Path, description = "The letter.")),
    responses((status = 204, description = "It is removed.")),
    extensions(("x-refusals" = json!(refused![InvalidTransition, GuardianNeeded]))))]
#[delete("/v1/me/recipients/{id}/clearances/{clearance_id}/documents/{document_id}")]
async fn remove_letter(
    app: Data<App>,
    me: As<Client>,
    Path((id, clearance, letter)): Path<(RecipientId, ClearanceId, LetterId)>,
) -> Result<Reply> {
    let shared = app.clone();
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let mut clearance = Opened::lock(&app, &mut work, me.account(), (id, clearance)).await?;
        if !clearance.letters.iter().any(|known| known.id == letter) {
            return Err(Error::NotFound);
        }
        let now = work.now();
        clearance.step(ClearanceStep::Edit, Party::Client, now)?;
        store::delete_letter(&mut work, letter).await?;
        store::update(&mut work, &clearance.stored).await?;
        work.announce(clearance.event("clearance.remove_letter")).await?;
        work.commit().await
    })
    .await?;
    discard(&shared, letter).await;
    Ok(Reply::none())
}

/// Deletes files that no row names, or whose person was erased, and that are older than a day.
pub async fn forget_letters(app: &App, now: DateTime<Utc>) -> Result<()> {
    let mut pages = app.storage.begun_before(ROOM, now - ORPHANED);
    while let Some(ids) = pages.try_next().await? {
        for id in store::unnamed(&app.db, &ids).await? {
            app.storage.delete(key(LetterId(id))).await?;
        }
    }
    Ok(())
}
