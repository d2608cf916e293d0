//! Files that come from outside. Each is looked at before it is kept, on threads of its own, and no more at a time than the machine can carry.

mod arrivals;
mod inspect;

use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{self, Charset, ContentDisposition, DispositionParam, DispositionType, ExtendedValue};
use actix_web::web::Bytes;
use aws_lc_rs::digest::{SHA256, digest};
use futures_util::Stream;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use utoipa::ToSchema;

use arrivals::Arrivals;
pub use arrivals::{Arrival, Arrived};
pub use inspect::{Clean, Extent, inspect};

use crate::error::{Error, Refusal, Result};
use crate::http::UploadLimits;
use crate::ids::AccountId;
use crate::values::is_invisible;

/// The largest file, in bytes.
const MAX_BYTES: usize = 10 * 1024 * 1024;
/// Pages of a PDF.
const MAX_PAGES: usize = 30;
/// What one file may be, and how long it may take to arrive.
pub const LIMITS: UploadLimits = UploadLimits { bytes: MAX_BYTES as u64, time: Duration::from_secs(60) };
/// How long a caller waits for a file to be kept, whose storage may be far away.
const KEPT_WITHIN: Duration = Duration::from_secs(30);

/// Why a file is refused, whatever it is for.
pub const REFUSALS: &[Refusal] = &[
    Refusal::TooManyUploads,
    Refusal::DocumentEmpty,
    Refusal::DocumentTypeUnsupported,
    Refusal::DocumentHeic,
    Refusal::DocumentSeveralPictures,
    Refusal::DocumentUnreadable,
    Refusal::DocumentEncrypted,
    Refusal::DocumentActive,
    Refusal::DocumentHasFiles,
    Refusal::DocumentUnsafe,
    Refusal::DocumentTooLarge,
    Refusal::DocumentTooLong,
];

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

/// What is known of a file that is kept.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FileFacts {
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
}

impl FileFacts {
    /// What is known of a clean file, which was sent as `sent` under a name.
    pub fn new(clean: &Clean, sent_sha256: String, name: Option<&str>) -> Result<Self> {
        let (pages, width, height) = match clean.extent {
            Extent::Pages(pages) => (Some(pages), None, None),
            Extent::Pixels(width, height) => (None, Some(width), Some(height)),
        };
        Ok(Self {
            sha256: hex(&clean.bytes),
            sent_sha256,
            size: i64::try_from(clean.bytes.len()).map_err(|error| Error::Internal(error.to_string()))?,
            media_type: clean.media_type,
            name: display_name(name, clean.media_type),
            pages,
            width,
            height,
        })
    }

    /// An answer with the file, which no browser shows as a page of ours.
    pub fn attachment(self, file: impl Stream<Item = Result<Bytes>> + 'static) -> HttpResponse {
        let name =
            ExtendedValue { charset: Charset::Ext("UTF-8".to_owned()), language_tag: None, value: self.name.into() };
        let attachment = ContentDisposition {
            disposition: DispositionType::Attachment,
            parameters: vec![DispositionParam::FilenameExt(name)],
        };
        HttpResponse::Ok()
            .content_type(self.media_type.as_str())
            .insert_header(attachment)
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::CONTENT_SECURITY_POLICY, "sandbox"))
            .no_chunking(self.size.unsigned_abs())
            .streaming(file)
    }
}

/// A file that may be kept. It takes up a place in memory for as long as it is held.
pub struct Inspected {
    /// What is kept of it.
    pub bytes: Bytes,
    /// What is known of it.
    pub facts: FileFacts,
    _place: OwnedSemaphorePermit,
}

/// Carries out what keeps a file, to its end also when the caller hangs up: a file and its row belong together.
///
/// # Errors
/// 503 where it takes longer than a caller waits.
pub async fn keep<T: Send + 'static>(kept: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let late = |_| Error::Unavailable("the file takes too long to keep".to_owned());
    let kept = timeout(KEPT_WITHIN, tokio::spawn(kept)).await.map_err(late)?;
    kept.map_err(|error| Error::Internal(error.to_string()))?
}

/// The SHA-256 of a file, in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
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

    /// Reads a file that has arrived, looks at it, and says what may be kept of it.
    ///
    /// # Errors
    /// [`REFUSALS`], and 503 where there is no place in memory for it, or no turn.
    pub async fn look_at(&self, sent: Arrived, name: Option<&str>) -> Result<Inspected> {
        let place = self.place().await?;
        let sent = sent.read().await?;
        let sent_sha256 = hex(&sent);
        let clean = self.inspect(sent).await?;
        Ok(Inspected { facts: FileFacts::new(&clean, sent_sha256, name)?, bytes: clean.bytes.into(), _place: place })
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
    match timeout(PATIENCE, of.clone().acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Error::Unavailable("too many documents to look at".to_owned())),
    }
}

impl Default for Inspector {
    fn default() -> Self {
        Self::new()
    }
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
