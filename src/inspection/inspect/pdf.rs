//! PDFs: each is kept as it came, where it is sound and does nothing.

use lopdf::{Dictionary, Document, LoadOptions, Object};

use super::{Clean, Extent, find, is_something_else, unreadable, written};
use crate::error::Refusal;
use crate::inspection::{MAX_PAGES, MediaType};

/// What the objects that a PDF holds compressed may unfold to, all of them together.
const MAX_UNFOLDED: usize = 16 * 1024 * 1024;

/// Names in a PDF that make it act, or hide what it shows.
const ACTING: [&[u8]; 14] = [
    b"AA",
    b"GoToR",
    b"ImportData",
    b"JS",
    b"JavaScript",
    b"Launch",
    b"Movie",
    b"Rendition",
    b"ResetForm",
    b"RichMedia",
    b"Sound",
    b"SubmitForm",
    b"Thread",
    b"XFA",
];
/// Names in a PDF that carry other files.
const CARRYING: [&[u8]; 5] = [b"EF", b"EmbeddedFile", b"EmbeddedFiles", b"FileAttachment", b"GoToE"];
/// How far from its beginning readers look for a PDF's header.
const HEADER_WITHIN: usize = 1024;

/// Where a PDF begins, if it is one.
pub(super) fn beginning(bytes: &[u8]) -> Option<usize> {
    find(&bytes[..bytes.len().min(HEADER_WITHIN)], b"%PDF-")
}

/// A PDF that shows pages and does nothing. One that is sound to the letter is kept as it came. Of any other, what was read is
/// written anew, so that every reader sees what was looked at here, and nothing else of the file is left.
pub(super) fn pdf(bytes: &[u8], start: usize) -> Result<Clean, Refusal> {
    if is_something_else(bytes) {
        return Err(Refusal::DocumentUnsafe);
    }
    let folded = names(bytes).filter(|name| matches!(name.as_slice(), b"ObjStm" | b"XRef")).count();
    // Each has its share of what all may unfold to, so that many cannot keep us busy. Where the list of objects is larger than that,
    // the second reading finds them without it.
    let share = MAX_UNFOLDED / folded.max(1);
    let read = |bytes, strict| {
        let options = LoadOptions { strict, max_decompressed_size: Some(share), ..LoadOptions::default() };
        Document::load_mem_with_options(bytes, options)
    };
    let to_the_letter = read(bytes, true).ok().filter(|_| start == 0 && ends_well(bytes));
    let mut is_exact = to_the_letter.is_some() && !acts(bytes);
    let states_encryption = || names(bytes).any(|name| name == b"Encrypt");
    let unread = || if states_encryption() { Refusal::DocumentEncrypted } else { Refusal::DocumentUnreadable };
    let document = match to_the_letter {
        Some(document) => document,
        None => read(&bytes[start..], false).map_err(|_| unread())?,
    };
    if document.is_encrypted() && !document.was_encrypted() {
        return Err(Refusal::DocumentEncrypted);
    }
    is_exact &= !document.was_encrypted() && !document.trailer.has(b"Encrypt");
    let mut left = MAX_UNFOLDED;
    for object in document.objects.values() {
        refuse_acting(object)?;
        // Readers unfold them also where they do not say what they are.
        if let Object::Stream(stream) = object
            && stream.dict.has(b"N")
            && stream.dict.has(b"First")
        {
            let content = stream.decompressed_content_with_limit(left.min(share)).ok();
            // What was left out would be missing from the pages.
            if content.is_none() && stream.dict.has_type(b"ObjStm") {
                return Err(Refusal::DocumentUnreadable);
            }
            left = left.saturating_sub(content.as_ref().map_or(0, Vec::len));
            is_exact &= content.is_some_and(|content| !acts(&content));
        }
    }
    if opens_elsewhere(&document) {
        return Err(Refusal::DocumentActive);
    }
    // The count that it states too: a reader may show one page many times.
    let root = document.catalog().and_then(|catalog| document.get_dict_in_dict(catalog, b"Pages"));
    let stated = root.and_then(|pages| pages.get_deref(b"Count", &document)).and_then(Object::as_i64);
    let found = document.page_iter().take(MAX_PAGES + 1).count();
    let stated = usize::try_from(stated.map_err(|_| unread())?).map_err(unreadable)?;
    let pages = match found.max(stated) {
        0 => return Err(Refusal::DocumentUnreadable),
        pages if pages > MAX_PAGES => return Err(Refusal::DocumentTooLong),
        pages => i32::try_from(pages).map_err(unreadable)?,
    };
    let bytes = if is_exact { bytes.to_vec() } else { anew(document)? };
    Ok(Clean { bytes, media_type: MediaType::Pdf, extent: Extent::Pages(pages) })
}

/// Nothing but blanks follows the end.
fn ends_well(bytes: &[u8]) -> bool {
    let end = bytes.windows(5).rposition(|window| window == b"%%EOF");
    end.is_some_and(|end| bytes[end + 5..].trim_ascii().is_empty())
}

/// Writes what the catalogue leads to, open to everybody.
fn anew(mut document: Document) -> Result<Vec<u8>, Refusal> {
    let root = document.trailer.get(b"Root").map_err(unreadable)?.clone();
    document.trailer = Dictionary::new();
    document.trailer.set("Root", root);
    document.encryption_state = None;
    document.prune_objects();
    document.renumber_objects();
    written(|bytes| document.save_to(bytes))
}

/// Whether a name that makes a PDF act, or carries files, could stand anywhere, also in what the present version no longer refers
/// to. Short names are left to the parser: compressed data hold them by chance.
fn acts(bytes: &[u8]) -> bool {
    let is_bad = |name: &[u8]| ACTING.contains(&name) || CARRYING.contains(&name);
    names(bytes).any(|name| name.len() >= 3 && is_bad(&name))
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

/// Refuses an object with a name that makes a PDF act, or carries files, as a key or as a value. Strings may say what they like.
fn refuse_acting(object: &Object) -> Result<(), Refusal> {
    match object {
        Object::Name(name) => refuse_name(name),
        Object::Array(items) => items.iter().try_for_each(refuse_acting),
        Object::Dictionary(entries) => refuse_entries(entries),
        // The bytes of a stream with `F` are another file's.
        Object::Stream(stream) if stream.dict.has(b"F") => Err(Refusal::DocumentHasFiles),
        Object::Stream(stream) => refuse_entries(&stream.dict),
        _ => Ok(()),
    }
}

fn refuse_entries(entries: &Dictionary) -> Result<(), Refusal> {
    entries.iter().try_for_each(|(key, value)| {
        // Files hang on a dictionary (ISO 32000-2, 7.11.3). A list of this name says what may be done with files, as tax offices'
        // forms do (12.8.2.3), and carries none.
        let is_right = key == b"EF" && matches!(value, Object::Array(_));
        if is_right { Ok(()) } else { refuse_name(key) }.and_then(|()| refuse_acting(value))
    })
}

fn refuse_name(name: &[u8]) -> Result<(), Refusal> {
    if ACTING.contains(&name) {
        return Err(Refusal::DocumentActive);
    }
    if CARRYING.contains(&name) { Err(Refusal::DocumentHasFiles) } else { Ok(()) }
}

/// Whether it does anything when it is opened but show a place in itself.
fn opens_elsewhere(document: &Document) -> bool {
    let action = document.catalog().and_then(|catalog| catalog.get_deref(b"OpenAction", document));
    let action = action.and_then(Object::as_dict);
    action.is_ok_and(|action| !action.get_deref(b"S", document).and_then(Object::as_name).is_ok_and(|s| s == b"GoTo"))
}
