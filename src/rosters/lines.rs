//! Bytes on their way to the parser, cut so that no record is longer than a record can be.

use std::io::{self, Read};

/// The longest record, in bytes. A quote that is never closed would otherwise take the rest of the file with it.
const RECORD_LIMIT: usize = 16 * 1024;

/// Where in a record the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    FieldStart,
    Plain,
    Quoted,
    /// After a quote within a quoted field, which ends the field or stands for a quote.
    QuoteInQuoted,
    /// In the rest of a record that was too long.
    Dropped,
}

/// Passes bytes on, and ends a record that is too long: it comes out short, and what follows is read as ever.
#[derive(Debug)]
pub struct Lines<R> {
    inner: R,
    delimiter: u8,
    quoted: bool,
    place: Place,
    length: usize,
    /// Bytes taken from `inner`.
    pub taken: u64,
    ended: bool,
    chunk: Vec<u8>,
}

impl<R: Read> Lines<R> {
    pub fn new(inner: R, delimiter: u8, quoted: bool) -> Self {
        let chunk = vec![0; 32 * 1024];
        Self { inner, delimiter, quoted, place: Place::FieldStart, length: 0, taken: 0, ended: false, chunk }
    }

    /// Whether the file ended within a quoted field.
    pub fn is_cut(&self) -> bool {
        self.ended && self.place == Place::Quoted
    }

    /// Whether the file ended within a line.
    pub fn lacks_newline(&self) -> bool {
        self.ended && self.length > 0
    }

    /// Copies one byte, which may become up to two where a record is ended.
    fn pass(&mut self, byte: u8, out: &mut [u8], filled: &mut usize) {
        let mut push = |byte| {
            out[*filled] = byte;
            *filled += 1;
        };
        if self.place == Place::Dropped {
            if byte == b'\n' {
                push(byte);
                (self.place, self.length) = (Place::FieldStart, 0);
            }
            return;
        }
        let is_break = matches!(byte, b'\n' | b'\r');
        let next = match (self.place, byte) {
            (Place::FieldStart, b'"') if self.quoted => Place::Quoted,
            (Place::Quoted, b'"') => Place::QuoteInQuoted,
            (Place::QuoteInQuoted, b'"') | (Place::Quoted, _) => Place::Quoted,
            (_, byte) if byte == self.delimiter || is_break => Place::FieldStart,
            _ => Place::Plain,
        };
        if self.length >= RECORD_LIMIT && !(is_break && next == Place::FieldStart) {
            if self.place == Place::Quoted {
                push(b'"');
            }
            // The line break that ends it comes with the rest, or is this byte.
            self.place = Place::Dropped;
            if byte == b'\n' {
                push(byte);
                (self.place, self.length) = (Place::FieldStart, 0);
            }
            return;
        }
        push(byte);
        (self.place, self.length) =
            if is_break && next == Place::FieldStart { (next, 0) } else { (next, self.length + 1) };
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        let room = (out.len() / 2).min(self.chunk.len());
        if room == 0 {
            return Err(io::Error::other("no room to read into"));
        }
        while filled == 0 && !self.ended {
            let mut chunk = std::mem::take(&mut self.chunk);
            let taken = self.inner.read(&mut chunk[..room]);
            if let Ok(taken) = taken {
                self.ended = taken == 0;
                self.taken += taken as u64;
                chunk[..taken].iter().for_each(|byte| self.pass(*byte, out, &mut filled));
            }
            self.chunk = chunk;
            taken?;
        }
        Ok(filled)
    }
}
