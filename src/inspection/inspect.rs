//! What a file must be before it is kept: one PDF or one picture, whole, and nothing besides.

mod pdf;
mod picture;

use std::io::{self, Write};

use super::{MAX_BYTES, MediaType};
use crate::error::Refusal;

/// A file that may be kept.
#[derive(Clone, Debug)]
pub struct Clean {
    /// Its bytes: of a sound PDF those that came, of any other and of a picture new ones.
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
        Some("image/jpeg") => picture::jpeg(bytes),
        Some("image/png") => picture::png(bytes),
        Some("image/webp") => picture::webp(bytes),
        Some("image/tiff") => picture::tiff(bytes),
        Some("image/heif" | "image/avif") => Err(Refusal::DocumentHeic),
        _ => match pdf::beginning(bytes) {
            Some(start) => pdf::pdf(bytes, start),
            None => Err(Refusal::DocumentTypeUnsupported),
        },
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

/// Whether a browser or an unpacker could take it for a page or an archive.
fn is_something_else(bytes: &[u8]) -> bool {
    const TAGS: [&[u8]; 4] = [b"<script", b"<html", b"<!doctype", b"<?php"];
    let begins = |at: usize, tag: &[u8]| bytes[at..].get(..tag.len()).is_some_and(|s| s.eq_ignore_ascii_case(tag));
    let is_page = (0..bytes.len()).any(|at| bytes[at] == b'<' && TAGS.iter().any(|tag| begins(at, tag)));
    // The directory of a ZIP lies at its end, with a comment of at most 64 kB after it.
    let tail = &bytes[bytes.len().saturating_sub(22 + 65_535)..];
    is_page || find(tail, b"PK\x05\x06").is_some()
}

/// The bytes of a file while it is written anew; what would grow past [`MAX_BYTES`] is given up at once.
#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    is_too_large: bool,
}

impl Write for Written {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + more.len() > MAX_BYTES {
            self.is_too_large = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What `write` writes.
fn written<T, E>(write: impl FnOnce(&mut Written) -> Result<T, E>) -> Result<Vec<u8>, Refusal> {
    let mut written = Written::default();
    match write(&mut written) {
        _ if written.is_too_large => Err(Refusal::DocumentTooLarge),
        Ok(_) => Ok(written.bytes),
        Err(_) => Err(Refusal::DocumentUnreadable),
    }
}
