//! What a file must be before it is kept: one PDF or one picture, whole, and nothing besides.

mod pdf;
mod picture;

use super::{MAX_BYTES, MediaType};
use crate::error::Refusal;

/// A file that may be kept.
#[derive(Clone, Debug)]
pub struct Clean {
    /// Its bytes: of a PDF those that came, of a picture new ones without metadata.
    pub bytes: Vec<u8>,
    /// What it is.
    pub media_type: MediaType,
    /// How much there is to see.
    pub extent: Extent,
}

/// How much there is to see of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The pages of a PDF.
    Pages(i32),
    /// The width and height of a picture.
    Pixels(i32, i32),
}

/// Looks at a file that came from outside.
///
/// # Errors
/// A refusal that says what is wrong with it.
pub fn inspect(bytes: &[u8]) -> Result<Clean, Refusal> {
    if bytes.is_empty() {
        return Err(Refusal::DocumentEmpty);
    }
    if bytes.len() > MAX_BYTES {
        return Err(Refusal::DocumentTooLarge);
    }
    if holds_test_virus(bytes) {
        return Err(Refusal::DocumentUnsafe);
    }
    match infer::get(bytes).map(|kind| kind.mime_type()) {
        Some("application/pdf") => pdf::pdf(bytes),
        Some("image/jpeg") => picture::jpeg(bytes),
        Some("image/png") => picture::png(bytes),
        _ => Err(Refusal::DocumentTypeUnsupported),
    }
}

fn unreadable<E>(_: E) -> Refusal {
    Refusal::DocumentUnreadable
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Whether it holds the string of EICAR, by which scanners for viruses are tested. It is put together here, so that no scanner
/// takes this program for a virus.
fn holds_test_virus(bytes: &[u8]) -> bool {
    let marker = ["EICAR-STANDARD", "-ANTIVIRUS-", "TEST-FILE!"].concat();
    find(bytes, marker.as_bytes()).is_some()
}
