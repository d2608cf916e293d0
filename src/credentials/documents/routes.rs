mod submission;

use actix_web::web::{Bytes, Data};
use actix_web::{HttpResponse, delete, get, post};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{Document, MAX_DOCUMENTS, MAX_KEPT, ReviewedDocument, key, refuse_closed, store};
use crate::App;
use crate::auth::{As, Therapist, Verifier};
use crate::credentials;
use crate::db::{Tx, uninterrupted};
use crate::error::{Error, Problem, Refusal, Result, refused};
use crate::events::{Event, Work};
use crate::http::{Fingerprint, Page, Part, Path, Query, Reply, Upload};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{AccountId, CredentialId, DocumentId, TherapistId};
use crate::inspection::{self, Arrived, Inspector, LIMITS};

/// The operations on documents.
pub(in crate::credentials) fn routes(config: &mut ServiceConfig) {
    config.service(upload_document).service(list_own_documents).service(download_own_document);
    config.service(remove_document).service(list_documents).service(download_document);
    submission::routes(config);
}

/// A form with a file in it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the form, which is read part by part")]
struct DocumentForm {
    /// A PDF, a JPEG, a PNG, a WebP or a TIFF.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// A file's bytes.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
struct EvidenceFile(#[expect(dead_code, reason = "it describes the answer, which is sent piece by piece")] Vec<u8>);

/// Upload a document
///
/// Adds a file that shows a credential to a draft, or where more was asked for: a PDF of up to 30 pages, or a picture (JPEG, PNG, WebP,
/// TIFF of one page) of up to 40 megapixels; at most 10 MB each, 10 for each credential and 200 MB in all, four on their way at a time.
/// Pictures are written anew without their metadata and what follows them, WebP and TIFF as JPEG or PNG. A PDF that is sound is kept as
/// it came; what can be read of a lax one, or of one with an empty password, is written anew. A file with scripts, actions or other
/// files in it is refused, and nothing of it is kept.
#[utoipa::path(tag = "Credentials", operation_id = "upload_document", security(("bearer" = ["therapist"])),
    params(("id" = CredentialId, Path, description = "The credential."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body(content = DocumentForm, content_type = "multipart/form-data"), responses(
    (status = 201, description = "The document.", body = Document,
     headers(("Location" = String, description = "Where the file is found."))),
    (status = 413, description = "The file is larger than 10 MB.", body = Problem, content_type = "application/problem+json")),
    extensions(("x-refusals" = json!(refused![InvalidTransition, TooManyDocuments, TooMuchEvidence, ..inspection::REFUSALS]))))]
#[post("/v1/therapists/me/credentials/{id}/documents")]
async fn upload_document(
    app: Data<App>,
    me: As<Therapist>,
    Path(credential): Path<CredentialId>,
    key: IdempotencyKey,
    upload: Upload,
) -> Result<Reply> {
    let arrival = app.part::<Inspector>()?.admit(me.account())?;
    let file = upload.open(&[], LIMITS).await?;
    let sent = Arrived::take(file.chunks).await?;
    inspection::keep(async move {
        let _arrival = arrival;
        refuse_anothers(&app, credential, me.therapist()).await?;
        let file = app.part::<Inspector>()?.look_at(sent, file.name.as_deref()).await?;
        let print = Fingerprint::of(format!("{credential} {}", file.facts.sent_sha256).as_bytes());
        let document = Document::new(file.facts, app.clock.now());
        keep(&app, document.id, file.bytes, add(&app, me.account(), credential, document, (key, print))).await
    })
    .await
}

/// Puts the file into storage, then what names it into the database, as `save` does.
async fn keep(app: &App, id: DocumentId, bytes: Bytes, save: impl Future<Output = Result<Reply>>) -> Result<Reply> {
    app.storage.put(key(id), bytes).await?;
    let outcome = save.await;
    // Where the database did not say whether it stands, the file is left to the sweep, which asks again.
    if !matches!(outcome, Ok(_) | Err(Error::Unavailable(_) | Error::Internal(_))) {
        discard(app, id).await;
    }
    outcome
}

/// Deletes a file that no row names.
async fn discard(app: &App, id: DocumentId) {
    if let Err(error) = app.storage.delete(key(id)).await {
        tracing::warn!(%error, document = %id, "a file is left to the sweep");
    }
}

/// Adds the row.
async fn add(
    app: &App,
    me: AccountId,
    credential: CredentialId,
    document: Document,
    (key, print): (IdempotencyKey, Fingerprint),
) -> Result<Reply> {
    let mut work = app.begin(Some(me)).await?;
    let route = "POST /v1/therapists/me/credentials/{id}/documents";
    let once = Once::claim(&mut work, route, key, print).await?;
    let stored = add_to(&mut work, me, credential, &document).await?;
    let location = format!("/v1/therapists/me/credentials/{credential}/documents/{}", document.id);
    let reply = Reply::created(location, &stored.document)?;
    once.keep(&mut work, &reply).await?;
    work.commit().await?;
    Ok(reply)
}

/// Adds a document to the caller's own credential, and announces it.
async fn add_to(
    work: &mut Work,
    me: AccountId,
    credential: CredentialId,
    document: &Document,
) -> Result<ReviewedDocument> {
    // Two files at once must not both be the last.
    store::lock_evidence(work, me).await?;
    lock_open(work, me.into(), credential).await?;
    if store::kept(work, me.into()).await? + document.file.size > MAX_KEPT {
        return Err(Refusal::TooMuchEvidence.into());
    }
    if store::count(work, credential).await? >= MAX_DOCUMENTS {
        return Err(Refusal::TooManyDocuments.into());
    }
    store::lock_digest(work, &document.file.sha256).await?;
    store::insert(work, credential, document).await?;
    let documents = store::of(work, &[credential]).await?;
    let (_, stored) = documents
        .into_iter()
        .find(|(_, stored)| stored.document.id == document.id)
        .ok_or_else(|| Error::Internal("the document was not stored".to_owned()))?;
    if !stored.shared_with.is_empty() {
        let details = json!({ "document": document.id, "shared_with": stored.shared_with });
        let event = Event::new("credential.evidence_shared", "credential", credential).about(TherapistId::from(me));
        work.announce(event.with(details)).await?;
    }
    let details = json!({ "credential": credential, "sha256": stored.document.file.sha256, "sent_sha256": stored.document.file.sent_sha256 });
    work.announce(event("document.upload", me.into(), document.id, details)).await?;
    Ok(stored)
}

/// Locks the caller's own credential, if documents may come and go there.
async fn lock_open(tx: &mut Tx, me: TherapistId, credential: CredentialId) -> Result<()> {
    refuse_closed(credentials::store::own(credentials::store::lock(tx, credential).await?, me)?.credential.review_state)
}

/// What was done to a document.
fn event(kind: &'static str, therapist: TherapistId, document: DocumentId, details: serde_json::Value) -> Event {
    Event::new(kind, "document", document).about(therapist).with(details)
}

async fn refuse_anothers(app: &App, credential: CredentialId, me: TherapistId) -> Result<()> {
    let holder = credentials::store::holder(&*app.db, credential).await?;
    if holder == Some(me) { Ok(()) } else { Err(Error::NotFound) }
}

/// List my documents
///
/// The files that show one of the caller's credentials, oldest first.
#[utoipa::path(tag = "Credentials", operation_id = "list_own_documents", security(("bearer" = ["therapist"])),
    params(("id" = CredentialId, Path, description = "The credential."), Part),
    responses((status = 200, description = "The documents.", body = Page<Document>)))]
#[get("/v1/therapists/me/credentials/{id}/documents")]
async fn list_own_documents(
    app: Data<App>,
    me: As<Therapist>,
    Path(id): Path<CredentialId>,
    Query(part): Query<Part>,
) -> Result<Reply> {
    refuse_anothers(&app, id, me.therapist()).await?;
    Reply::ok(&Page::part(store::list(&app.db, id).await?, &part)?)
}

/// Download my document
///
/// The file as it is kept. The reading is recorded in the audit.
#[utoipa::path(tag = "Credentials", operation_id = "download_own_document", security(("bearer" = ["therapist"])),
    params(("id" = CredentialId, Path, description = "The credential."),
           ("document_id" = DocumentId, Path, description = "The document.")),
    responses((status = 200, description = "The file, as an attachment.",
        content((EvidenceFile = "application/pdf"), (EvidenceFile = "image/jpeg"), (EvidenceFile = "image/png")))))]
#[get("/v1/therapists/me/credentials/{id}/documents/{document_id}")]
async fn download_own_document(
    app: Data<App>,
    me: As<Therapist>,
    Path((credential, id)): Path<(CredentialId, DocumentId)>,
) -> Result<HttpResponse> {
    serve(app, me.account(), credential, id, Some(me.therapist())).await
}

/// Sends a file, once it is on record that `reader` had it.
async fn serve(
    app: Data<App>,
    reader: AccountId,
    credential: CredentialId,
    id: DocumentId,
    owner: Option<TherapistId>,
) -> Result<HttpResponse> {
    let shared = app.clone();
    let document = uninterrupted(async move {
        let mut work = app.begin(Some(reader)).await?;
        let found = store::find(&mut work, credential, id, owner).await?;
        let (therapist, document) = found.ok_or(Error::NotFound)?;
        work.announce(event("document.read", therapist, id, json!({ "credential": credential }))).await?;
        work.commit().await?;
        Ok(document)
    })
    .await?;
    let file = shared.storage.read(key(id)).await?;
    Ok(document.file.attachment(file))
}

/// Remove a document
///
/// Takes a document back from a draft, or where more was asked for. What was handed in before stays visible to reviewers; any other
/// file is deleted.
#[utoipa::path(tag = "Credentials", operation_id = "remove_document", security(("bearer" = ["therapist"])),
    params(("id" = CredentialId, Path, description = "The credential."),
           ("document_id" = DocumentId, Path, description = "The document.")), responses((status = 204, description = "It is removed.")),
    extensions(("x-refusals" = json!(refused![InvalidTransition]))))]
#[delete("/v1/therapists/me/credentials/{id}/documents/{document_id}")]
async fn remove_document(
    app: Data<App>,
    me: As<Therapist>,
    Path((credential, id)): Path<(CredentialId, DocumentId)>,
) -> Result<Reply> {
    let shared = app.clone();
    let erased = uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        lock_open(&mut work, me.therapist(), credential).await?;
        let erased = store::remove(&mut work, credential, id, app.clock.now()).await?.ok_or(Error::NotFound)?;
        let details = json!({ "credential": credential, "erased": erased });
        work.announce(event("document.remove", me.therapist(), id, details)).await?;
        work.commit().await?;
        Ok(erased)
    })
    .await?;
    if erased {
        discard(&shared, id).await;
    }
    Ok(Reply::none())
}

/// List a credential's documents
///
/// The files that show a credential, oldest first, also those that the therapist removed after they were handed in, each with the
/// other therapists' credentials that the same file was sent for.
#[utoipa::path(tag = "Licence checks", operation_id = "list_documents", security(("bearer" = ["admin:verifier"])),
    params(("id" = CredentialId, Path, description = "The credential."), Part),
    responses((status = 200, description = "The documents.", body = Page<ReviewedDocument>)))]
#[get("/v1/admin/credentials/{id}/documents")]
async fn list_documents(
    app: Data<App>,
    me: As<Verifier>,
    Path(id): Path<CredentialId>,
    Query(part): Query<Part>,
) -> Result<Reply> {
    uninterrupted(async move {
        credentials::store::holder(&*app.db, id).await?.ok_or(Error::NotFound)?;
        let mut work = app.begin(Some(me.account())).await?;
        let documents = store::of(&mut work, &[id]).await?;
        work.commit().await?;
        Reply::ok(&Page::part(documents.into_iter().map(|(_, document)| document).collect::<Vec<_>>(), &part)?)
    })
    .await
}

/// Download a document
///
/// The file as it is kept. The reading is recorded in the audit.
#[utoipa::path(tag = "Licence checks", operation_id = "download_document", security(("bearer" = ["admin:verifier"])),
    params(("id" = CredentialId, Path, description = "The credential."),
           ("document_id" = DocumentId, Path, description = "The document.")),
    responses((status = 200, description = "The file, as an attachment.",
        content((EvidenceFile = "application/pdf"), (EvidenceFile = "image/jpeg"), (EvidenceFile = "image/png")))))]
#[get("/v1/admin/credentials/{id}/documents/{document_id}")]
async fn download_document(
    app: Data<App>,
    me: As<Verifier>,
    Path((credential, id)): Path<(CredentialId, DocumentId)>,
) -> Result<HttpResponse> {
    serve(app, me.account(), credential, id, None).await
}
