//! Documents: the files that show a credential. They come from anywhere, so each is looked at before it is kept, and kept under a
//! name of ours.

mod arrivals;
mod inspect;
pub mod routes;
mod store;

use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use utoipa::ToSchema;

pub use arrivals::Arrival;
use arrivals::{Arrivals, Arrived};
pub use inspect::{Clean, Extent, inspect};
pub use store::of;

use super::review::ReviewState;
use crate::App;
use crate::error::{Error, Refusal, Result};
use crate::ids::{AccountId, CredentialId, DocumentId};
use crate::storage::Key;
use crate::values::is_invisible;

/// The largest file, in bytes.
const MAX_BYTES: usize = 10 * 1024 * 1024;
/// Pages of a PDF.
const MAX_PAGES: usize = 30;
/// Live documents of one credential.
const MAX_DOCUMENTS: i64 = 10;
/// Bytes of all documents of one account that are kept: twenty of the largest, or some hundred scans.
const MAX_KEPT: i64 = 200 * 1024 * 1024;
/// How long a file may lie in storage without a row that names it: an upload under way has none yet.
const ORPHANED: TimeDelta = TimeDelta::days(1);

/// How long the digests of a file that was taken back, and never handed in, are kept: one that comes again is told by them.
const ERASED_KEPT: TimeDelta = TimeDelta::days(90);

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[sqlx(type_name = "text")]
pub enum MediaType {
    /// A PDF.
    #[serde(rename = "application/pdf")]
    #[sqlx(rename = "application/pdf")]
    Pdf,
    /// A photograph.
    #[serde(rename = "image/jpeg")]
    #[sqlx(rename = "image/jpeg")]
    Jpeg,
    /// A picture.
    #[serde(rename = "image/png")]
    #[sqlx(rename = "image/png")]
    Png,
}

impl MediaType {
    /// As HTTP names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Jpeg => "jpg",
            Self::Png => "png",
        }
    }
}

/// A file that shows a credential.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = EvidenceDocument)]
pub struct Document {
    /// The document's id.
    pub id: DocumentId,
    /// SHA-256 of the file as it is kept, in hexadecimal.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub sha256: String,
    /// SHA-256 of the file as it was sent. Pictures are written anew, without metadata.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub sent_sha256: String,
    /// Its size in bytes, as it is kept.
    pub size: i64,
    /// What it is.
    pub media_type: MediaType,
    /// Its name, for people.
    #[schema(example = "licence.pdf")]
    pub name: String,
    /// The pages of a PDF.
    pub pages: Option<i32>,
    /// The width of a picture in pixels.
    pub width: Option<i32>,
    /// The height of a picture in pixels.
    pub height: Option<i32>,
    /// When it came.
    pub uploaded_at: DateTime<Utc>,
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

/// A name to show for a file: the last part of what was sent, harmless on any system, ending as its kind does.
fn display_name(sent: Option<&str>, media_type: MediaType) -> String {
    let last = sent.unwrap_or_default().rsplit(['/', '\\']).next().unwrap_or_default();
    let harmless = |c: &char| !c.is_control() && !is_invisible(*c) && !r#"<>:"|?*"#.contains(*c);
    let name: String = last.chars().filter(harmless).collect();
    let is_extension = |end: &str| (1..=5).contains(&end.len()) && end.bytes().all(|b| b.is_ascii_alphanumeric());
    let stem = name.rsplit_once('.').filter(|(_, end)| is_extension(end)).map_or(name.as_str(), |(stem, _)| stem);
    let stem = stem.trim_matches(|c: char| c == '.' || c.is_whitespace());
    let stem: String = stem.chars().take(120 - 4).collect();
    let stem = if stem.is_empty() { "document" } else { &stem };
    format!("{stem}.{}", media_type.extension())
}

/// Looks at files, on threads of their own and no more at once than the machine can carry.
pub struct Inspector {
    arrivals: Arrivals,
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

/// Files that are in memory at a time, each of up to 10 MB as it came and as much as it is kept.
const PLACES: usize = 16;

/// How long a file that has arrived waits for a place or its turn before its caller is answered with 503.
const PATIENCE: Duration = Duration::from_secs(10);

impl Inspector {
    /// One file at a time for each core, and no more than four: a picture takes up to half a gigabyte.
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            arrivals: Arrivals::default(),
            turns: Arc::new(Semaphore::new(cores.min(4))),
            places: Arc::new(Semaphore::new(PLACES)),
        }
    }

    /// Lets an account begin an upload, before anything of it is read.
    ///
    /// # Errors
    /// `too_many_uploads` where it has enough of them under way, and 503 where all accounts together do.
    pub fn admit(&self, account: AccountId) -> Result<Arrival> {
        self.arrivals.begin(account)
    }

    /// A place in memory for a file that has arrived whole, for as long as it is held; 503 where none becomes free.
    async fn place(&self) -> Result<OwnedSemaphorePermit> {
        in_turn(&self.places).await
    }

    /// See [`inspect`]. A file over which a parser stumbles is refused as unreadable.
    pub async fn inspect(&self, bytes: Bytes) -> Result<Clean> {
        let turn = in_turn(&self.turns).await?;
        let looked_at = tokio::task::spawn_blocking(move || {
            let found = catch_unwind(|| inspect(&bytes)).unwrap_or(Err(Refusal::DocumentUnreadable));
            drop(turn);
            found
        });
        Ok(looked_at.await.map_err(|error| Error::Internal(error.to_string()))??)
    }
}

async fn in_turn(of: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
    match tokio::time::timeout(PATIENCE, of.clone().acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Error::Unavailable("too many documents to look at".to_owned())),
    }
}

impl Default for Inspector {
    fn default() -> Self {
        Self::new()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_harmless() {
        for (sent, shown) in [
            (Some("licence.PDF"), "licence.pdf"),
            (Some("../../etc/passwd"), "passwd.pdf"),
            (Some("..\\..\\boot.ini"), "boot.pdf"),
            (Some("a\u{202E}fdp.exe\0"), "afdp.pdf"),
            (Some("<b>\"x\r\nSet-Cookie: a\".svg"), "bxSet-Cookie a.pdf"),
            (Some(".."), "document.pdf"),
            (Some("/"), "document.pdf"),
            (Some("Dr. Smith, licence"), "Dr. Smith, licence.pdf"),
            (None, "document.pdf"),
        ] {
            assert_eq!(display_name(sent, MediaType::Pdf), shown, "{sent:?}");
        }
        assert_eq!(display_name(Some(&"é".repeat(500)), MediaType::Jpeg).chars().count(), 120);
    }
}
