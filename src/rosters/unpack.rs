//! What authorities hand out, made into the text that the reader takes: unpacked, and decoded by what is there, in bounded memory.

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use encoding_rs::{Decoder, UTF_16BE, UTF_16LE};
use flate2::read::{DeflateDecoder, MultiGzDecoder};
use zip::{CompressionMethod, ZipArchive};

use super::SIZE_LIMIT;
use crate::error::Error;

/// How many times its packed size a list may be, once it is large: text packs by ten to forty, and what packs by more is made
/// to fill disks.
const RATIO_LIMIT: u64 = 200;
/// Up to here a list may be packed as tightly as it likes.
const SMALL: u64 = 16 * 1024 * 1024;

/// Why a file cannot be read as a list, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No list can be seen in the archive.
    #[error("The archive holds no list.")]
    Empty,
    /// It is not clear which list is meant.
    #[error("The archive holds {0} files: pack the one list alone.")]
    Several(usize),
    /// A workbook is an archive of other files.
    #[error("It is a workbook: save the sheet as CSV.")]
    Workbook,
    /// It needs a password.
    #[error("The archive needs a password.")]
    Encrypted,
    /// It is packed by a method that is not unpacked here.
    #[error("It is packed in a way that is not known here: send plain text, .gz, or .zip with the usual compression.")]
    Unknown,
    /// It is packed again within.
    #[error("It is packed twice: send it packed once.")]
    Twice,
    /// It cannot be unpacked to its end.
    #[error("The packed file is damaged, or was cut off.")]
    Damaged,
    /// It is more than is taken.
    #[error("Unpacked it is larger than 1 GB.")]
    TooLarge,
    /// It is packed more tightly than text can be.
    #[error("It is packed more tightly than a list can be.")]
    TooTight,
}

impl From<Trouble> for io::Error {
    fn from(trouble: Trouble) -> Self {
        Self::other(trouble)
    }
}

/// The trouble that an error of reading stands for; none where the bytes themselves could not be had.
pub fn trouble(error: &io::Error) -> Option<&Trouble> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// A list as text.
pub struct Opened {
    /// Its bytes: UTF-8, or of one byte a letter.
    pub text: Box<dyn Read + Send>,
    /// How many bytes of the file have been taken.
    pub taken: Arc<AtomicU64>,
    /// What was done with it, in words.
    pub remarks: Vec<String>,
}

/// Opens a file by its first bytes.
///
/// # Errors
/// A [`Trouble`], or what the source of the bytes says.
pub fn open(bytes: impl Read + Send + 'static) -> io::Result<Opened> {
    let taken = Arc::new(AtomicU64::new(0));
    let mut remarks = Vec::new();
    let (head, bytes) = peek(Counted { inner: bytes, count: taken.clone() })?;
    let text: Box<dyn Read + Send> = match packing(&head) {
        None => Box::new(bytes),
        Some(Packing::Gzip) => {
            remarks.push("It was unpacked (.gz).".to_owned());
            Box::new(Bounded::new(MultiGzDecoder::new(bytes), taken.clone()))
        }
        Some(Packing::Zip) => {
            let (name, text) = unzip(bytes)?;
            remarks.push(format!("It was unpacked (.zip): {name}."));
            text
        }
        Some(Packing::Other) => return Err(Trouble::Unknown.into()),
    };
    let was_packed = !remarks.is_empty();
    let (head, text) = peek(text)?;
    if was_packed && packing(&head).is_some() {
        return Err(Trouble::Twice.into());
    }
    let text: Box<dyn Read + Send> = match utf16(&head) {
        Some(decoder) => {
            remarks.push("It is UTF-16.".to_owned());
            Box::new(Decoded { inner: text, decoder, ready: Cursor::default(), ended: false })
        }
        None => Box::new(text),
    };
    Ok(Opened { text, taken, remarks })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Gzip,
    Zip,
    Other,
}

/// How a file is packed, by its first bytes.
fn packing(head: &[u8]) -> Option<Packing> {
    match head {
        [0x1f, 0x8b, ..] => Some(Packing::Gzip),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Packing::Zip),
        [0xfd, b'7', b'z', ..]
        | [b'B', b'Z', b'h', ..]
        | [b'7', b'z', 0xbc, 0xaf, ..]
        | [b'R', b'a', b'r', b'!', ..] => Some(Packing::Other),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Packing::Other),
        _ => None,
    }
}

/// Whether a file that begins so can be taken at all.
pub fn can_be_taken(head: &[u8]) -> bool {
    packing(head) != Some(Packing::Other)
}

/// The decoder of UTF-16, by its mark, or by the zeros in every other place where the text is of Latin letters.
fn utf16(head: &[u8]) -> Option<Decoder> {
    match head {
        [0xff, 0xfe, ..] => return Some(UTF_16LE.new_decoder_with_bom_removal()),
        [0xfe, 0xff, ..] => return Some(UTF_16BE.new_decoder_with_bom_removal()),
        _ => {}
    }
    let zeros = |from: usize| head.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
    let half = head.len() / 2;
    match (zeros(0), zeros(1)) {
        (even, odd) if half >= 4 && odd * 10 >= half * 7 && even * 10 < half => {
            Some(UTF_16LE.new_decoder_without_bom_handling())
        }
        (even, odd) if half >= 4 && even * 10 >= half * 7 && odd * 10 < half => {
            Some(UTF_16BE.new_decoder_without_bom_handling())
        }
        _ => None,
    }
}

/// Bytes of which the first were looked at.
type Peeked<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// The first bytes, and all of them.
fn peek<R: Read>(mut bytes: R) -> io::Result<(Vec<u8>, Peeked<R>)> {
    let mut head = Vec::new();
    bytes.by_ref().take(1024).read_to_end(&mut head)?;
    Ok((head.clone(), Cursor::new(head).chain(bytes)))
}

/// The one list in an archive, and its name. The archive lies on the disk meanwhile, because what is in it is told at its end.
fn unzip(mut bytes: impl Read) -> io::Result<(String, Box<dyn Read + Send>)> {
    let mut file = tempfile::tempfile()?;
    let size = io::copy(&mut bytes.by_ref().take(SIZE_LIMIT + 1), &mut file)?;
    if size > SIZE_LIMIT {
        return Err(Trouble::TooLarge.into());
    }
    let mut archive = ZipArchive::new(&mut file).map_err(|_| Trouble::Damaged)?;
    let mut lists = Vec::new();
    for place in 0..archive.len() {
        let entry = archive.by_index_raw(place).map_err(|_| Trouble::Damaged)?;
        let name = entry.name().map_err(|_| Trouble::Damaged)?.into_owned();
        if name.contains("[Content_Types].xml") {
            return Err(Trouble::Workbook.into());
        }
        // What some systems put beside every file.
        let last = name.rsplit('/').next().unwrap_or_default();
        if !(entry.is_dir() || name.starts_with("__MACOSX/") || last.starts_with('.') || last.is_empty()) {
            let start = entry.data_start();
            lists.push((last.to_owned(), start, entry.compressed_size(), entry.compression(), entry.encrypted()));
        }
    }
    drop(archive);
    let count = lists.len();
    let (name, start, size, method, encrypted) = match (lists.pop(), count) {
        (Some(list), 1) => list,
        (None, _) => return Err(Trouble::Empty.into()),
        _ => return Err(Trouble::Several(count).into()),
    };
    if encrypted {
        return Err(Trouble::Encrypted.into());
    }
    file.seek(SeekFrom::Start(start.ok_or(Trouble::Damaged)?))?;
    let packed = Arc::new(AtomicU64::new(size));
    let entry = file.take(size);
    let name = name.chars().filter(|c| !c.is_control()).take(100).collect();
    match method {
        CompressionMethod::Stored => Ok((name, Box::new(Bounded::new(entry, packed)))),
        CompressionMethod::Deflated => {
            Ok((name, Box::new(Bounded::new(DeflateDecoder::new(io::BufReader::new(entry)), packed))))
        }
        _ => Err(Trouble::Unknown.into()),
    }
}

/// Counts what is taken.
struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(out)?;
        self.count.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

/// What is unpacked, as far as it goes: neither too large nor packed too tightly.
struct Bounded<R> {
    inner: R,
    packed: Arc<AtomicU64>,
    given: u64,
}

impl<R: Read> Bounded<R> {
    fn new(inner: R, packed: Arc<AtomicU64>) -> Self {
        Self { inner, packed, given: 0 }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(out).map_err(|error| {
            // Where the bytes could not be had, that is what is told.
            let is_ours = error.get_ref().is_some_and(|inner| inner.is::<Error>() || inner.is::<Trouble>());
            if is_ours { error } else { Trouble::Damaged.into() }
        })?;
        self.given += length as u64;
        if self.given > SIZE_LIMIT {
            return Err(Trouble::TooLarge.into());
        }
        if self.given > SMALL && self.given > self.packed.load(Ordering::Relaxed).saturating_mul(RATIO_LIMIT) {
            return Err(Trouble::TooTight.into());
        }
        Ok(length)
    }
}

/// Other letters as UTF-8.
struct Decoded<R> {
    inner: R,
    decoder: Decoder,
    ready: Cursor<Vec<u8>>,
    ended: bool,
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let length = self.ready.read(out)?;
            if length > 0 || self.ended || out.is_empty() {
                return Ok(length);
            }
            let mut raw = [0; 16 * 1024];
            let taken = self.inner.read(&mut raw)?;
            self.ended = taken == 0;
            let mut text = String::with_capacity(taken * 3 + 16);
            let (_, _, _) = self.decoder.decode_to_string(&raw[..taken], &mut text, self.ended);
            self.ready = Cursor::new(text.into_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    const LIST: &str = "a,b\nÑandú,2\n";

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    fn zipped(files: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in files {
            archive.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
            archive.write_all(bytes).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    fn utf16(text: &str, mark: bool, little: bool) -> Vec<u8> {
        let mark = mark.then_some(0xfeff);
        let units = mark.into_iter().chain(text.encode_utf16());
        units.flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
    }

    fn text(bytes: Vec<u8>) -> Result<String, Trouble> {
        let told = |error: io::Error| trouble(&error).cloned().expect("a trouble");
        let mut out = String::new();
        open(Cursor::new(bytes)).map_err(told)?.text.read_to_string(&mut out).map_err(told)?;
        Ok(out)
    }

    #[test]
    fn a_list_is_read_however_it_is_packed_and_encoded() {
        let beside: [(&str, &[u8]); 4] = [
            ("lists/", b""),
            ("__MACOSX/._list.csv", b"x"),
            ("lists/.DS_Store", b"x"),
            ("lists/list.csv", LIST.as_bytes()),
        ];
        for bytes in [
            LIST.as_bytes().to_vec(),
            gz(LIST.as_bytes()),
            [gz(&LIST.as_bytes()[..5]), gz(&LIST.as_bytes()[5..])].concat(),
            zipped(&[("list.csv", LIST.as_bytes())], CompressionMethod::Deflated),
            zipped(&[("list.csv", LIST.as_bytes())], CompressionMethod::Stored),
            zipped(&beside[1..], CompressionMethod::Deflated),
            utf16(LIST, true, true),
            utf16(LIST, true, false),
            gz(&utf16(LIST, true, true)),
            zipped(&[("list.txt", &utf16(LIST, true, false))], CompressionMethod::Deflated),
        ] {
            assert_eq!(text(bytes).as_deref(), Ok(LIST));
        }
        let plain = "number,name\n12345,Sam Okafor\n".repeat(50);
        for little in [true, false] {
            assert_eq!(text(utf16(&plain, false, little)), Ok(plain.clone()), "without its mark");
        }
        assert_eq!(text(Vec::new()).as_deref(), Ok(""));
    }

    #[test]
    fn what_cannot_be_unpacked_says_why() {
        let one = zipped(&[("list.csv", LIST.as_bytes())], CompressionMethod::Deflated);
        let two = zipped(&[("a.csv", b"x"), ("b.csv", b"y")], CompressionMethod::Deflated);
        let book = zipped(&[("[Content_Types].xml", b"x"), ("xl/a.xml", b"y")], CompressionMethod::Deflated);
        let long = gz("Massage Therapist,12345,Okafor\n".repeat(1000).as_bytes());
        let bomb = vec![b'x'; 40 * 1024 * 1024];
        for (bytes, why) in [
            (two, Trouble::Several(2)),
            (book, Trouble::Workbook),
            (zipped(&[], CompressionMethod::Stored), Trouble::Empty),
            (one[..one.len() - 30].to_vec(), Trouble::Damaged),
            (long[..long.len() / 2].to_vec(), Trouble::Damaged),
            (vec![0x1f, 0x8b, 8, 0], Trouble::Damaged),
            (b"BZh91AY&SY".to_vec(), Trouble::Unknown),
            (gz(&gz(LIST.as_bytes())), Trouble::Twice),
            (gz(&one), Trouble::Twice),
            (gz(&bomb), Trouble::TooTight),
            (zipped(&[("list.csv", &bomb)], CompressionMethod::Deflated), Trouble::TooTight),
        ] {
            assert_eq!(text(bytes), Err(why.clone()), "{why}");
        }
    }
}
