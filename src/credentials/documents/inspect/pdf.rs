//! PDFs: each is kept as it came, where it is sound and does nothing.

use lopdf::{Dictionary, Document, LoadOptions, Object};

use super::{Clean, Extent, find, unreadable};
use crate::credentials::documents::{MAX_PAGES, MediaType};
use crate::error::Refusal;

/// What the objects that a PDF holds compressed may unfold to, all of them together.
const MAX_UNFOLDED: usize = 16 * 1024 * 1024;

/// Names in a PDF that make it act, hide what it holds, or carry other files.
const ACTING: [&[u8]; 20] = [
    b"AA",
    b"FileAttachment",
    b"GoToR",
    b"Movie",
    b"ResetForm",
    b"Sound",
    b"Thread",
    b"JavaScript",
    b"JS",
    b"Launch",
    b"SubmitForm",
    b"ImportData",
    b"EmbeddedFile",
    b"EmbeddedFiles",
    b"EF",
    b"RichMedia",
    b"XFA",
    b"GoToE",
    b"Rendition",
    b"Encrypt",
];

/// A PDF that shows pages and does nothing.
pub(super) fn pdf(bytes: &[u8]) -> Result<Clean, Refusal> {
    let end = bytes.windows(5).rposition(|window| window == b"%%EOF").ok_or(Refusal::DocumentUnreadable)? + 5;
    if !bytes.starts_with(b"%PDF-") || !bytes[end..].trim_ascii().is_empty() || is_something_else(bytes) || acts(bytes)
    {
        return Err(Refusal::DocumentUnsafe);
    }
    // Strict: what is read here must be what a reader of PDFs sees, which a repair by guesswork could not promise.
    // Each has its share of what all may unfold to, so that many cannot keep us busy.
    let folded = names(bytes).filter(|name| matches!(name.as_slice(), b"ObjStm" | b"XRef")).count();
    let share = MAX_UNFOLDED / folded.max(1);
    let options = LoadOptions { strict: true, max_decompressed_size: Some(share), ..LoadOptions::default() };
    let document = Document::load_mem_with_options(bytes, options).map_err(unreadable)?;
    let mut left = MAX_UNFOLDED;
    let mut unfolds_to_acts = |object: &Object| match object {
        // Readers unfold them also where they do not say what they are.
        Object::Stream(stream) if stream.dict.has(b"N") && stream.dict.has(b"First") => {
            let content = stream.decompressed_content_with_limit(left).ok();
            left = left.saturating_sub(content.as_ref().map_or(left, Vec::len));
            content.is_none_or(|content| acts(&content))
        }
        _ => false,
    };
    let objects = || document.objects.values();
    if document.is_encrypted()
        || document.was_encrypted()
        || acting_entry(&document.trailer)
        || opens_elsewhere(&document)
        || objects().any(|object| acting(object) || unfolds_to_acts(object))
    {
        return Err(Refusal::DocumentUnsafe);
    }
    // The count that it states too: a reader may show one page many times.
    let root = document.catalog().and_then(|catalog| document.get_dict_in_dict(catalog, b"Pages"));
    let stated = root.and_then(|pages| pages.get_deref(b"Count", &document)).and_then(Object::as_i64);
    let found = document.page_iter().take(MAX_PAGES + 1).count();
    let stated = usize::try_from(stated.map_err(unreadable)?).map_err(unreadable)?;
    match i32::try_from(found.max(stated)) {
        Ok(0) => Err(Refusal::DocumentUnreadable),
        Ok(pages) if found.max(stated) <= MAX_PAGES => {
            Ok(Clean { bytes: bytes.to_vec(), media_type: MediaType::Pdf, extent: Extent::Pages(pages) })
        }
        _ => Err(Refusal::DocumentTooLong),
    }
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

/// Whether a name that makes a PDF act stands anywhere, also in what the present version no longer refers to. Short names
/// are left to the parser: compressed data hold them by chance.
fn acts(bytes: &[u8]) -> bool {
    names(bytes).any(|name| name.len() >= 3 && ACTING.contains(&name.as_slice()))
}

/// Whatever could be a name in a PDF, up to 16 letters of it.
fn names(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let is_regular = |byte: &u8| !byte.is_ascii_whitespace() && !b"\0()<>[]{}/%".contains(byte);
    let slashes = (0..bytes.len()).filter(|at| bytes[*at] == b'/');
    slashes.map(move |at| {
        // Every letter may be written as # and two digits.
        let written = bytes[at + 1..].iter().take(3 * 16).take_while(|byte| is_regular(byte)).copied();
        unescaped(&written.collect::<Vec<u8>>())
    })
}

/// A name with its `#xx` resolved.
fn unescaped(written: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(written.len());
    let mut rest = written;
    while let Some((first, others)) = rest.split_first() {
        let digits = others.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'#') {
            Some(byte) => {
                name.push(byte);
                rest = &others[2..];
            }
            None => {
                name.push(*first);
                rest = others;
            }
        }
    }
    name
}

/// Whether a name that makes a PDF act stands in the object, as a key or as a value.
fn acting(object: &Object) -> bool {
    match object {
        Object::Name(name) => ACTING.contains(&name.as_slice()),
        Object::Array(items) => items.iter().any(acting),
        Object::Dictionary(entries) => acting_entry(entries),
        // The bytes of a stream with `F` are another file's.
        Object::Stream(stream) => stream.dict.has(b"F") || acting_entry(&stream.dict),
        _ => false,
    }
}

/// Whether it does anything when it is opened but show a place in itself.
fn opens_elsewhere(document: &Document) -> bool {
    let action = document.catalog().and_then(|catalog| catalog.get_deref(b"OpenAction", document));
    let action = action.and_then(Object::as_dict);
    action.is_ok_and(|action| !action.get_deref(b"S", document).and_then(Object::as_name).is_ok_and(|s| s == b"GoTo"))
}

fn acting_entry(entries: &Dictionary) -> bool {
    entries.iter().any(|(key, value)| ACTING.contains(&key.as_slice()) || acting(value))
}
