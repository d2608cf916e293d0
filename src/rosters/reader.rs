//! From the bytes of a list to rows that can be compared.

use std::io::{self, Read};

use chrono::NaiveDate;
use csv::ByteRecord;
use encoding_rs::WINDOWS_1252;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::lines::Lines;
use super::sources::{Mapping, Source, plain, same_column, says_no};
use crate::credentials::{BoardStatus, CredentialType};

/// The longest number, name and status that are kept.
const NUMBER_LIMIT: usize = 40;
const TEXT_LIMIT: usize = 200;

/// A row of a list, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterRow {
    /// The line of the file that it begins on.
    pub line: i64,
    /// Its type's code.
    pub type_code: String,
    /// The number as it is compared.
    pub number: String,
    /// The number as it is written.
    pub number_written: String,
    /// `LAST, FIRST MIDDLE SUFFIX`.
    pub name: String,
    /// The status in the authority's words.
    pub status_text: Option<String>,
    /// What those words mean.
    pub board_status: BoardStatus,
    /// The first day of its validity.
    pub issued_on: Option<NaiveDate>,
    /// The last day of its validity.
    pub expires_on: Option<NaiveDate>,
    /// Whether the authority acted against the holder.
    pub board_action: bool,
    /// Whether the number is an establishment's.
    pub establishment: bool,
    /// Whether the licence is of another kind than ours, and may be taken for it: a student's, an instructor's.
    pub other_kind: bool,
}

/// A row that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RejectedRow {
    /// The line of the file that it begins on.
    #[schema(example = 17)]
    pub line: i64,
    /// What is wrong with it.
    pub reason: RejectReason,
}

/// Why a row cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// It has too few or too many fields.
    WrongFieldCount,
    /// There is no number.
    NumberMissing,
    /// The number is longer than a number can be.
    NumberTooLong,
    /// There is no name.
    NameMissing,
    /// A field goes over several lines that look like rows: a stray quote may have taken them with it.
    LineBreak,
    /// The name is longer than names are.
    NameTooLong,
}

/// What became of a row.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is of a type of ours.
    Kept(RosterRow),
    /// It is not for us: another kind of licence, a business, an exclusion that has ended.
    Skipped,
    /// It cannot be used.
    Rejected(RejectedRow),
}

/// Where the columns stand in this file.
#[derive(Debug)]
struct Places {
    number: usize,
    rank: Option<usize>,
    kind: Option<usize>,
    description: Option<usize>,
    skip: Option<(usize, &'static str)>,
    name: Vec<usize>,
    status: Option<usize>,
    second_status: Option<usize>,
    issued: Option<usize>,
    expires: Option<usize>,
    action: Option<usize>,
    reinstated: Option<usize>,
    count: usize,
}

/// Reads a list row by row, in bounded memory.
pub struct Reader<R: Read> {
    source: &'static Source,
    kind: CredentialType,
    csv: csv::Reader<Lines<R>>,
    record: ByteRecord,
    mapping: Mapping,
    places: Option<Places>,
    last_was_short: bool,
    /// Rows with letters that are not UTF-8, and with line breaks in a field.
    other_letters: u64,
    line_breaks: u64,
}

impl<R: Read> Reader<R> {
    /// Reads the header. `kind` is the type of the source's numbers.
    pub fn new(source: &'static Source, kind: CredentialType, bytes: R) -> io::Result<Self> {
        let mut csv = csv::ReaderBuilder::new()
            .delimiter(source.delimiter)
            .quoting(source.quoted)
            .flexible(true)
            .has_headers(false)
            .buffer_capacity(64 * 1024)
            .from_reader(Lines::new(bytes, source.delimiter, source.quoted));
        let mut record = ByteRecord::new();
        csv.read_byte_record(&mut record)?;
        let header: Vec<String> = record.iter().map(|name| one_line(unquoted(source, &decoded(name)), 200)).collect();
        // A separator after the last name.
        let count = header.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
        let mapping = Mapping::new(source, &header[..count]);
        let places = mapping.is_usable(source).then(|| Places::new(source, &header, count)).flatten();
        Ok(Self { source, kind, csv, record, mapping, places, last_was_short: false, other_letters: 0, line_breaks: 0 })
    }

    /// How the columns are used.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.csv.get_ref().taken
    }

    /// At the end: whether the file was cut off within a line.
    pub fn is_cut(&self) -> bool {
        let lines = self.csv.get_ref();
        lines.is_cut() || (lines.lacks_newline() && self.last_was_short)
    }

    /// What is odd about what was read, in words.
    pub fn remarks(&self) -> Vec<String> {
        let told = [
            (self.other_letters, "rows are not UTF-8, and were read as Windows-1252"),
            (self.line_breaks, "rows have a line break within a field"),
        ];
        let odd = |count: u64| count > 0;
        told.iter().filter(|(count, _)| odd(*count)).map(|(count, what)| format!("{count} {what}.")).collect()
    }

    /// The next row; none at the end, or where the header does not say what the fields are.
    pub fn next_row(&mut self) -> io::Result<Option<Outcome>> {
        let Some(places) = &self.places else { return Ok(None) };
        if !self.csv.read_byte_record(&mut self.record)? {
            return Ok(None);
        }
        let line = self.record.position().map_or(0, |position| i64::try_from(position.line()).unwrap_or(i64::MAX));
        let surplus = self.record.iter().skip(places.count).any(|field| !field.trim_ascii().is_empty());
        self.last_was_short = self.record.len() < places.count;
        let broken = self.record.iter().any(|field| field.iter().any(|byte| matches!(byte, b'\n' | b'\r')));
        if broken {
            self.line_breaks += 1;
        }
        if std::str::from_utf8(self.record.as_slice()).is_err() {
            self.other_letters += 1;
        }
        let row = if broken && places.has_stray_break(&self.record, self.source.delimiter) {
            Err(RejectReason::LineBreak)
        } else if surplus || self.last_was_short {
            Err(RejectReason::WrongFieldCount)
        } else {
            Row { source: self.source, kind: &self.kind, places, record: &self.record }.read(line)
        };
        Ok(Some(match row {
            Ok(Some(row)) => Outcome::Kept(row),
            Ok(None) => Outcome::Skipped,
            Err(reason) => Outcome::Rejected(RejectedRow { line, reason }),
        }))
    }
}

impl Places {
    fn new(source: &Source, header: &[String], count: usize) -> Option<Self> {
        let place = |name: &str| header.iter().position(|column| same_column(column, name));
        let optional = |name: Option<&str>| name.and_then(place);
        Some(Self {
            number: place(source.number)?,
            rank: optional(source.rank),
            kind: optional(source.kind.map(|(name, _)| name)),
            description: optional(source.description),
            skip: source.skip.and_then(|(name, value)| Some((place(name)?, value))),
            name: source.name.iter().filter_map(|name| place(name)).collect(),
            status: optional(source.status),
            second_status: optional(source.second_status),
            issued: optional(source.issued),
            expires: optional(source.expires),
            action: optional(source.action),
            reinstated: optional(source.reinstated),
            count,
        })
    }

    /// Whether a line break is a stray quote's rather than an address's: what follows it looks like the beginning of another
    /// row. In a column that is read one separator is enough.
    fn has_stray_break(&self, record: &ByteRecord, delimiter: u8) -> bool {
        let optional = [
            self.rank,
            self.kind,
            self.description,
            self.status,
            self.second_status,
            self.issued,
            self.expires,
            self.action,
            self.reinstated,
            self.skip.map(|(place, _)| place),
            Some(self.number),
        ];
        let is_read = |place: usize| optional.contains(&Some(place)) || self.name.contains(&place);
        record.iter().enumerate().any(|(place, field)| {
            let Some(at) = field.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else { return false };
            let separators = field[at..].iter().filter(|byte| **byte == delimiter).count();
            separators >= if is_read(place) { 1 } else { 3 }
        })
    }
}

struct Row<'a> {
    source: &'static Source,
    kind: &'a CredentialType,
    places: &'a Places,
    record: &'a ByteRecord,
}

impl Row<'_> {
    /// A field as clean text: one line, without controls or a quote that belongs to nothing.
    fn text(&self, place: usize) -> String {
        let field = decoded(self.record.get(place).unwrap_or_default());
        one_line(unquoted(self.source, &field), usize::MAX)
    }

    fn optional(&self, place: Option<usize>) -> Option<String> {
        place.map(|place| self.text(place))
    }

    /// A date; none also where it cannot be read: what else the row says still counts, and without an end nothing is clean.
    fn date(&self, place: Option<usize>) -> Option<NaiveDate> {
        place.and_then(|place| self.source.date(&self.text(place)).ok().flatten())
    }

    fn read(&self, line: i64) -> Result<Option<RosterRow>, RejectReason> {
        let Self { source, kind, places, .. } = self;
        let description = self.optional(places.description).filter(|text| !text.is_empty());
        let licence = description.or_else(|| self.optional(places.kind)).map(|text| plain(&text));
        let is_ours = licence.as_deref().is_none_or(|licence| source.is_ours(licence));
        let is_business = places.skip.is_some_and(|(place, value)| plain(&self.text(place)).starts_with(value));
        // An exclusion that has ended; a date that cannot be read is none that ends it.
        let is_over =
            places.reinstated.is_some_and(|place| !matches!(source.date(&self.text(place)), Ok(None) | Err(())));
        let other_kind = !is_ours && licence.as_deref().is_some_and(|licence| source.is_beside(licence));
        if !(is_ours || other_kind) || is_business || is_over {
            return Ok(None);
        }
        let rank = self.optional(places.rank).unwrap_or_default();
        let bare = self.text(places.number);
        let number_written = if bare.is_empty() || bare.starts_with(&rank) { bare } else { format!("{rank}{bare}") };
        let number = kind.normalise(&number_written);
        if number.is_empty() || (source.reinstated.is_some() && number.bytes().all(|b| b == b'0')) {
            // Few of those who are excluded have a number that we could know them by.
            return if source.reinstated.is_some() { Ok(None) } else { Err(RejectReason::NumberMissing) };
        }
        if number_written.chars().count() > NUMBER_LIMIT {
            return Err(RejectReason::NumberTooLong);
        }
        let name = self.name();
        if name.is_empty() {
            return Err(RejectReason::NameMissing);
        }
        if name.chars().count() > TEXT_LIMIT {
            return Err(RejectReason::NameTooLong);
        }
        let status_text = self.optional(places.status);
        let second = self.optional(places.second_status);
        let board_status = source.board_status(status_text.as_deref(), second.as_deref());
        let said = [status_text, second].into_iter().flatten().filter(|text| !text.is_empty()).collect::<Vec<_>>();
        Ok(Some(RosterRow {
            line,
            type_code: kind.code.clone(),
            number,
            number_written,
            name,
            status_text: (!said.is_empty()).then(|| cut(&said.join(" / "), TEXT_LIMIT)),
            board_status,
            issued_on: self.date(places.issued),
            expires_on: self.date(places.expires),
            board_action: source.reinstated.is_some()
                || self.optional(places.action).is_some_and(|text| !says_no(&text)),
            establishment: licence.is_some_and(|licence| source.establishment == Some(licence.as_str())),
            other_kind,
        }))
    }

    fn name(&self) -> String {
        let mut name = String::new();
        for (i, place) in self.places.name.iter().enumerate() {
            let part = self.text(*place);
            if part.is_empty() {
                continue;
            }
            if !name.is_empty() {
                name.push_str(if name.contains(',') || i == 0 { " " } else { ", " });
            }
            name.push_str(&part);
        }
        name
    }
}

fn cut(text: &str, limit: usize) -> String {
    text.chars().take(limit).collect()
}

/// The letters of a field by what is there: UTF-8 where it is that, and else Windows-1252, which is what exports that say one
/// thing and do another are in. Letters of the latter are all but never UTF-8 by chance.
fn decoded(field: &[u8]) -> std::borrow::Cow<'_, str> {
    std::str::from_utf8(field).map_or_else(|_| WINDOWS_1252.decode_without_bom_handling(field).0, Into::into)
}

/// Words with one space between them, without controls, up to so many letters.
fn one_line(text: &str, limit: usize) -> String {
    let mut line = String::with_capacity(text.len().min(limit));
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if line.chars().count() > limit { cut(&line, limit) } else { line }
}

/// Where quotes mean nothing, those around a field are left over from somewhere.
fn unquoted<'a>(source: &Source, field: &'a str) -> &'a str {
    let field = field.trim();
    if source.quoted { field } else { field.trim_matches('"').trim() }
}
