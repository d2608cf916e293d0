//! A credential, its file and its submission in one call.

use actix_web::post;
use actix_web::web::Data;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::super::Document;
use super::{add_to, keep};
use crate::App;
use crate::auth::{As, Therapist};
use crate::credentials::Credential;
use crate::credentials::documents::store::lock_evidence;
use crate::credentials::routes::{NewCredential, enter, submit};
use crate::error::{FieldError, Problem, Result, refused};
use crate::http::{Fingerprint, Reply, Upload, json_field};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::AccountId;
use crate::inspection::{self, Arrived, Inspector, LIMITS};

/// The operation that does all three.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(submit_new_credential);
}

/// A credential and the file that shows it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the form, which is read part by part")]
struct SubmissionForm {
    /// The credential, as JSON of at most 1,024 bytes.
    #[schema(value_type = NewCredential)]
    credential: NewCredential,
    /// A PDF, a JPEG, a PNG, a WebP or a TIFF. It comes last.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// Enter and submit a credential
///
/// Enters a credential, adds the file that shows it and hands it in, all or nothing. What holds for each of the three holds here; further files are
/// added to a draft one by one.
#[utoipa::path(tag = "Credentials", operation_id = "submit_new_credential", security(("bearer" = ["therapist"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body(content = SubmissionForm, content_type = "multipart/form-data"), responses(
    (status = 201, description = "The credential, submitted.", body = Credential,
     headers(("Location" = String, description = "Where the credential is found."))),
    (status = 413, description = "The file is larger than 10 MB.", body = Problem, content_type = "application/problem+json")),
    extensions(("x-refusals" = json!(refused![
        TooManyCredentials, TooManyOpenCredentials, EvidenceMissing, TooManyDocuments, TooMuchEvidence, ..inspection::REFUSALS
    ]))))]
#[post("/v1/therapists/me/credential-submissions")]
async fn submit_new_credential(
    app: Data<App>,
    me: As<Therapist>,
    key: IdempotencyKey,
    upload: Upload,
) -> Result<Reply> {
    let arrival = app.part::<Inspector>()?.admit(me.account())?;
    let file = upload.open(&["credential"], LIMITS).await?;
    let text = file
        .fields
        .get("credential")
        .ok_or_else(|| FieldError::new("/credential", "is missing, or comes after the file."))?;
    let new: NewCredential = json_field("credential", text)?;
    let text = text.clone();
    let sent = Arrived::take(file.chunks).await?;
    inspection::keep(async move {
        let _arrival = arrival;
        let file = app.part::<Inspector>()?.look_at(sent, file.name.as_deref()).await?;
        let print = Fingerprint::of(format!("{text} {}", file.facts.sent_sha256).as_bytes());
        let document = Document::new(file.facts, app.clock.now());
        keep(&app, document.id, file.bytes, save(&app, me.account(), new, document, (key, print))).await
    })
    .await
}

async fn save(
    app: &App,
    me: AccountId,
    new: NewCredential,
    document: Document,
    (key, print): (IdempotencyKey, Fingerprint),
) -> Result<Reply> {
    let mut work = app.begin(Some(me)).await?;
    let once = Once::claim(&mut work, "POST /v1/therapists/me/credential-submissions", key, print).await?;
    lock_evidence(&mut work, me).await?;
    let id = enter(&mut work, me.into(), new).await?.credential.id;
    add_to(&mut work, me, id, &document).await?;
    let submitted = submit(&mut work, me, id).await?;
    let reply = Reply::created(format!("/v1/therapists/me/credentials/{id}"), &submitted)?;
    once.keep(&mut work, &reply).await?;
    work.commit().await?;
    Ok(reply)
}
