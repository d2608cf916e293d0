//! The lines of a calendar, taken from a stream of bytes: what was folded is put together (RFC 5545, section 3.1), and what nobody reads is
//! never kept. So a calendar of any size takes the memory of its longest line that matters.

/// A line is not kept beyond so many bytes.
const LONGEST: usize = 1024 * 1024;
/// No name of a property is longer.
const LONGEST_NAME: usize = 40;

/// The properties that matter.
const READ: [&str; 27] = [
    "BEGIN",
    "END",
    "METHOD",
    "X-WR-TIMEZONE",
    "UID",
    "SEQUENCE",
    "DTSTAMP",
    "DTSTART",
    "DTEND",
    "DURATION",
    "RRULE",
    "RDATE",
    "EXDATE",
    "RECURRENCE-ID",
    "STATUS",
    "TRANSP",
    "X-MICROSOFT-CDO-BUSYSTATUS",
    "X-MICROSOFT-CDO-ALLDAYEVENT",
    "X-APPLE-TRAVEL-DURATION",
    "ATTENDEE",
    "FREEBUSY",
    "TZID",
    "TZID-ALIAS-OF",
    "X-LIC-LOCATION",
    "TZUNTIL",
    "TZOFFSETFROM",
    "TZOFFSETTO",
];

/// Properties whose value is a text of people: a line break in it that was not escaped begins a line that is none.
const TEXTS: [&str; 7] = ["DESCRIPTION", "SUMMARY", "COMMENT", "LOCATION", "CONTACT", "X-ALT-DESC", "RESOURCES"];

/// A line that matters.
pub struct Line<'a> {
    /// The line, without its break.
    pub bytes: &'a [u8],
    /// Whether the line before it is a text, or belongs to one.
    pub after_text: bool,
    /// Whether it was longer than is kept.
    pub is_cut: bool,
}

/// What the line at hand is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    /// Too little of it has been seen.
    #[default]
    Open,
    /// One that matters.
    Read,
    /// A property that does not.
    Other,
    /// A text, or a part of one.
    Text,
}

/// Puts lines together.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
    kind: Kind,
    is_cut: bool,
    after_text: bool,
    /// Whether the next byte is the first one after a break.
    is_fresh: bool,
    has_begun: bool,
}

impl Lines {
    /// Takes the next bytes, and hands over each line that ended before them.
    ///
    /// # Errors
    /// What `each` makes of a line.
    pub fn feed<E>(&mut self, mut bytes: &[u8], mut each: impl FnMut(Line<'_>) -> Result<(), E>) -> Result<(), E> {
        if !self.has_begun && !bytes.is_empty() {
            self.has_begun = true;
            bytes = bytes.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(bytes);
        }
        while let Some(first) = bytes.first() {
            if matches!(first, b'\r' | b'\n') {
                self.is_fresh = true;
                bytes = bytes.get(1..).unwrap_or_default();
                continue;
            }
            if self.is_fresh {
                self.is_fresh = false;
                if matches!(first, b' ' | b'\t') {
                    bytes = bytes.get(1..).unwrap_or_default();
                    continue;
                }
                self.hand_over(&mut each)?;
            }
            let end = bytes.iter().position(|b| matches!(b, b'\r' | b'\n')).unwrap_or(bytes.len());
            let (part, rest) = bytes.split_at(end);
            self.take(part);
            bytes = rest;
        }
        Ok(())
    }

    /// Hands over the last line.
    ///
    /// # Errors
    /// What `each` makes of it.
    pub fn finish<E>(&mut self, mut each: impl FnMut(Line<'_>) -> Result<(), E>) -> Result<(), E> {
        self.hand_over(&mut each)
    }

    fn take(&mut self, part: &[u8]) {
        if matches!(self.kind, Kind::Other | Kind::Text) {
            return;
        }
        let room = LONGEST.saturating_sub(self.line.len());
        self.is_cut |= part.len() > room;
        self.line.extend_from_slice(part.get(..room).unwrap_or(part));
        if self.kind == Kind::Open {
            self.kind = kind(&self.line);
            if self.kind != Kind::Open && self.kind != Kind::Read {
                self.line.clear();
            }
        }
    }

    fn hand_over<E>(&mut self, each: &mut impl FnMut(Line<'_>) -> Result<(), E>) -> Result<(), E> {
        let handed = match self.kind {
            Kind::Read => {
                let bytes = self.line.trim_ascii_end();
                each(Line { bytes, after_text: self.after_text, is_cut: self.is_cut })
            }
            _ => Ok(()),
        };
        // A line without any colon continues what was before it.
        self.after_text = match self.kind {
            Kind::Read | Kind::Other => false,
            Kind::Text => true,
            Kind::Open => self.after_text || !self.line.is_empty(),
        };
        self.line.clear();
        self.line.shrink_to(LONGEST_NAME);
        (self.kind, self.is_cut) = (Kind::Open, false);
        handed
    }
}

/// What a line is, by its name. Names are of one case: `Status: fine` and `End: 5 pm` are what people write, and no software.
fn kind(line: &[u8]) -> Kind {
    let Some(end) = line.iter().take(LONGEST_NAME + 1).position(|b| matches!(b, b':' | b';')) else {
        return if line.len() > LONGEST_NAME { Kind::Text } else { Kind::Open };
    };
    let name = line.get(..end).unwrap_or_default();
    let is = |known: &str| known.as_bytes().eq_ignore_ascii_case(name);
    let is_name = !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
    let is_of_one_case = !(name.iter().any(u8::is_ascii_lowercase) && name.iter().any(u8::is_ascii_uppercase));
    if !is_name || !is_of_one_case || TEXTS.iter().any(|known| is(known)) {
        Kind::Text
    } else if READ.iter().any(|known| is(known)) {
        Kind::Read
    } else {
        Kind::Other
    }
}
