//! Documents: the files that show a credential. They come from anywhere, so each is looked at before it is kept, and kept under a
//! name of ours.

pub mod routes;
mod store;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::TryStreamExt;
use serde::Serialize;
use utoipa::ToSchema;

pub use store::of;

use super::review::ReviewState;
use crate::App;
use crate::error::{Refusal, Result};
use crate::ids::{CredentialId, DocumentId};
use crate::inspection::FileFacts;
use crate::storage::Key;

/// Live documents of one credential.
const MAX_DOCUMENTS: i64 = 10;
/// Bytes of all documents of one account that are kept: twenty of the largest, or some hundred scans.
const MAX_KEPT: i64 = 200 * 1024 * 1024;
/// How long a file may lie in storage without a row that names it: an upload under way has none yet.
const ORPHANED: TimeDelta = TimeDelta::days(1);

/// How long the digests of a file that was taken back, and never handed in, are kept: one that comes again is told by them.
const ERASED_KEPT: TimeDelta = TimeDelta::days(90);

/// A file that shows a credential.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = EvidenceDocument)]
pub struct Document {
    /// The document's id.
    pub id: DocumentId,
    /// What is known of the file.
    #[serde(flatten)]
    pub file: FileFacts,
    /// When it came.
    pub uploaded_at: DateTime<Utc>,
}

impl Document {
    fn new(file: FileFacts, now: DateTime<Utc>) -> Self {
        Self { id: DocumentId::new(now), file, uploaded_at: now }
    }
}

/// A document as admins see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReviewedDocument {
    /// The document itself.
    #[serde(flatten)]
    pub document: Document,
    /// When the therapist removed it. What was handed in for a review is kept.
    pub removed_at: Option<DateTime<Utc>>,
    /// Other therapists' credentials that the same file was sent for.
    pub shared_with: Vec<CredentialId>,
}

fn key(id: DocumentId) -> Key {
    Key { room: "documents", id: id.0 }
}

/// Whether a credential takes documents, or gives them up, in this state: what was decided on keeps its evidence.
fn refuse_closed(state: ReviewState) -> Result<()> {
    match state {
        ReviewState::Draft | ReviewState::InfoRequested => Ok(()),
        _ => Err(Refusal::InvalidTransition.into()),
    }
}

/// Deletes the rows of files that were taken back long ago and never handed in. Rows of files that were handed in stay.
pub async fn forget_erased(app: &App, now: DateTime<Utc>) -> Result<()> {
    store::forget_erased(&app.db, now - ERASED_KEPT).await
}

/// Deletes files that no row names and that are older than a day: their uploads ended half-way.
pub async fn forget_orphans(app: &App, now: DateTime<Utc>) -> Result<()> {
    let mut pages = app.storage.begun_before("documents", now - ORPHANED);
    while let Some(ids) = pages.try_next().await? {
        for id in store::unnamed(&app.db, &ids).await? {
            app.storage.delete(key(DocumentId(id))).await?;
        }
    }
    Ok(())
}
