//! Where the heads and bodies of requests end on a connection (RFC 9112): as much of HTTP/1.1 as its clocks need.

use actix_http::header::{CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use actix_http::{HttpMessage, Method, Payload, Request};

/// Bytes of extensions and trailers (RFC 9112, 7.1.1 and 7.1.2), which nobody here reads.
const MOST_OVERHEAD: usize = 8 * 1024;

/// A head that is being looked for.
#[derive(Default)]
pub(super) struct Head {
    at: InHead,
    /// Bytes that were looked at.
    pub(super) length: usize,
}

#[derive(Clone, Copy, Default)]
enum InHead {
    /// Before the request line, where empty lines are skipped (RFC 9112, 2.2).
    #[default]
    Before,
    Line,
    LineStart,
    Return,
}

impl Head {
    /// Looks through the next `bytes`: how many of them belong to the head, if it ends among them.
    pub(super) fn end_in(&mut self, bytes: &[u8]) -> Option<usize> {
        for (index, byte) in bytes.iter().enumerate() {
            self.at = match (self.at, byte) {
                (InHead::Before, b'\r' | b'\n') => InHead::Before,
                (InHead::LineStart, b'\r') => InHead::Return,
                (InHead::LineStart | InHead::Return, b'\n') => {
                    self.length += index + 1;
                    return Some(index + 1);
                }
                (_, b'\n') => InHead::LineStart,
                _ => InHead::Line,
            };
        }
        self.length += bytes.len();
        None
    }
}

/// What is left of a body.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// So many bytes; none where there is no body.
    Length(u64),
    /// Chunks (RFC 9112, 7.1).
    Chunked(Chunks),
    /// All that comes, as after an upgrade that is not made.
    Endless,
}

impl Body {
    /// As the server library reads the body of `request`.
    pub(super) fn of(request: &mut Request) -> Self {
        if matches!(request.payload(), Payload::None) {
            return Self::Length(0);
        }
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        if header(TRANSFER_ENCODING).is_some() {
            Self::Chunked(Chunks::default())
        } else if request.method() == Method::CONNECT
            || header(UPGRADE).is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"))
        {
            Self::Endless
        } else {
            Self::Length(header(CONTENT_LENGTH).and_then(|length| length.parse().ok()).unwrap_or(0))
        }
    }

    /// Whether all of it has come.
    pub(super) fn is_in(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunks) => chunks.at == InChunks::End,
            Self::Endless => false,
        }
    }

    /// Whether it is not what it says.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self, Self::Chunked(Chunks { at: InChunks::Broken, .. }))
    }

    /// Takes what comes next: how many of `bytes` belong to the body, as far as it is sound.
    pub(super) fn take(&mut self, bytes: &[u8]) -> usize {
        match self {
            Self::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                taken
            }
            Self::Chunked(chunks) => chunks.take(bytes),
            Self::Endless => bytes.len(),
        }
    }
}

/// A chunked body that is on its way.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunks {
    at: InChunks,
    /// What is left of the chunk.
    left: u64,
    overhead: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum InChunks {
    #[default]
    SizeStart,
    Size,
    SizeSpace,
    Extension,
    SizeEnd,
    Data,
    DataReturn,
    DataEnd,
    LineStart,
    /// In the name of a trailer, which a colon ends.
    TrailerName,
    Trailer,
    TrailerEnd,
    LastEnd,
    End,
    Broken,
}

impl Chunks {
    fn take(&mut self, bytes: &[u8]) -> usize {
        let mut index = 0;
        while index < bytes.len() && self.at != InChunks::End {
            if self.at == InChunks::Data {
                let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - index);
                (self.left, index) = (self.left - taken as u64, index + taken);
                if self.left == 0 {
                    self.at = InChunks::DataReturn;
                }
                continue;
            }
            self.at = self.after(bytes[index]);
            if self.at == InChunks::Broken {
                break;
            }
            index += 1;
        }
        index
    }

    /// Where `byte` leads to.
    fn after(&mut self, byte: u8) -> InChunks {
        use InChunks::{
            Broken, Data, DataEnd, DataReturn, End, Extension, LastEnd, LineStart, Size, SizeEnd, SizeSpace, SizeStart,
            Trailer, TrailerEnd, TrailerName,
        };
        match (self.at, byte) {
            (SizeStart, _) if byte.is_ascii_hexdigit() => {
                self.left = 0;
                self.digit(byte)
            }
            (Size, _) if byte.is_ascii_hexdigit() => self.digit(byte),
            (Size | SizeSpace, b' ' | b'\t') => self.over(SizeSpace),
            (Size | SizeSpace, b';') => Extension,
            (Size | SizeSpace | Extension, b'\r') => SizeEnd,
            (Extension, b'\t') => self.over(Extension),
            (Extension, _) if !byte.is_ascii_control() => self.over(Extension),
            (SizeEnd, b'\n') if self.left > 0 => Data,
            (SizeEnd, b'\n') => LineStart,
            (DataReturn, b'\r') => DataEnd,
            (DataEnd, b'\n') => SizeStart,
            (LineStart, b'\r') => LastEnd,
            (LineStart | TrailerName, _) if byte.is_ascii_graphic() && byte != b':' => self.over(TrailerName),
            (TrailerName, b':') => Trailer,
            (Trailer, b'\r') => TrailerEnd,
            (Trailer, b'\t') => self.over(Trailer),
            (Trailer, _) if !byte.is_ascii_control() => self.over(Trailer),
            (TrailerEnd, b'\n') => LineStart,
            (LastEnd, b'\n') => End,
            _ => Broken,
        }
    }

    fn digit(&mut self, byte: u8) -> InChunks {
        let digit = char::from(byte).to_digit(16).unwrap_or_default();
        match self.left.checked_mul(16) {
            // Zeros in front make a number no larger, so that nothing else would end them.
            Some(size) if size + u64::from(digit) == 0 => self.over(InChunks::Size),
            Some(size) => {
                self.left = size + u64::from(digit);
                InChunks::Size
            }
            None => InChunks::Broken,
        }
    }

    /// Goes on at `at` with a byte that says nothing, for as long as there are not too many of them.
    fn over(&mut self, at: InChunks) -> InChunks {
        self.overhead += 1;
        if self.overhead > MOST_OVERHEAD { InChunks::Broken } else { at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_an_empty_line_however_it_comes() {
        for (text, end) in [
            ("GET / HTTP/1.1\r\nhost: x\r\n\r\nrest", Some(27)),
            ("\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\nrest", Some(31)),
            ("GET / HTTP/1.1\nhost: x\n\nrest", Some(24)),
            ("GET / HTTP/1.0\n\r\nrest", Some(17)),
            ("GET / HTTP/1.1\r\nhost: x\r\n", None),
            ("\r\n\r\n\r\n", None),
        ] {
            assert_eq!(Head::default().end_in(text.as_bytes()), end, "{text:?}");
            let mut head = Head::default();
            let found = text.bytes().position(|byte| head.end_in(&[byte]).is_some()).map(|index| index + 1);
            assert_eq!(found, end, "{text:?} byte by byte");
            assert_eq!(head.length, end.unwrap_or(text.len()));
        }
    }

    fn taken(text: &str) -> (usize, bool, bool) {
        let mut body = Body::Chunked(Chunks::default());
        let taken = body.take(text.as_bytes());
        let mut slow = Body::Chunked(Chunks::default());
        let slowly: usize = text.bytes().map(|byte| if slow.is_broken() { 0 } else { slow.take(&[byte]) }).sum();
        assert_eq!((slowly, slow.is_in(), slow.is_broken()), (taken, body.is_in(), body.is_broken()), "{text:?}");
        (taken, body.is_in(), body.is_broken())
    }

    #[test]
    fn chunks_end_where_they_say() {
        for (text, length) in [
            ("0\r\n\r\nGET", 5),
            ("5\r\nhello\r\n0\r\n\r\n", 15),
            ("5;a=b;c=\"d\"\r\nhello\r\n00\r\n\r\n", 26),
            ("A \t\r\n0123456789\r\n0\r\nx-sum: 1\r\ny:\r\n\r\nG", 36),
        ] {
            assert_eq!(taken(text), (length, true, false), "{text:?}");
        }
        assert_eq!(taken("5\r\nhel"), (6, false, false));
    }

    #[test]
    fn chunks_that_are_none_are_told() {
        let (endless, long) = (format!("1;{}", "x".repeat(10_000)), format!("0\r\n{}", "x".repeat(10_000)));
        for text in [
            "zz\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x5\r\nhello",
            "\r\n",
            " 5\r\nhello",
            "5\nhello",
            "5\r\nhelloworld\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhello\r0\r\n\r\n",
            "5 5\r\nhello",
            "5;a\u{0}\r\nhello",
            "fffffffffffffffff\r\n",
            "0\r\nno colon\r\n\r\n",
            "0\r\n folded: 1\r\n\r\n",
            "0\r\nx: 1\n\r\n",
            "0\r\n\rX",
            endless.as_str(),
            long.as_str(),
        ] {
            let (_, is_in, is_broken) = taken(text);
            assert!(is_broken && !is_in, "{text:?}");
        }
    }

    #[test]
    fn a_length_is_a_length() {
        let mut body = Body::Length(5);
        assert_eq!((body.take(b"hel"), body.is_in()), (3, false));
        assert_eq!((body.take(b"loGET"), body.is_in(), body.is_broken()), (2, true, false));
    }
}
