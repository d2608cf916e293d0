//! The lists that can be read: what their columns are called and what their words mean.

mod columns;
mod lists;
mod statuses;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use encoding_rs::Encoding;

pub use self::columns::Mapping;
pub(super) use self::columns::same_column;
pub use self::lists::SOURCES;
use self::statuses::meaning;
use crate::credentials::BoardStatus;
use crate::values::Zone;
use crate::values::wall_clock::local_date;

/// A list that an authority gives out.
#[derive(Debug)]
pub struct Source {
    /// Our code for it.
    pub code: &'static str,
    /// Who gives it out.
    pub authority: &'static str,
    /// Whose licences it lists.
    pub jurisdiction: &'static str,
    /// Where the authority sits: its dates are days there.
    pub zone: &'static str,
    /// The type of credential that its numbers are of.
    pub credential_type: &'static str,
    /// What stands between two fields.
    pub delimiter: u8,
    /// Whether fields stand in quotes. Where not, a quote is a letter like any other.
    pub quoted: bool,
    /// How its letters are encoded.
    pub encoding: &'static Encoding,
    /// The columns that the authority writes. Those that are read must be there, and others are never kept.
    pub columns: &'static [&'static str],
    /// Where the number stands.
    pub number: &'static str,
    /// What is written before the number.
    pub rank: Option<&'static str>,
    /// Where the kind of licence stands, and which kinds are ours: just so, as [`plain`] writes them, because a student's or
    /// an instructor's permit has the same words in it.
    pub kind: Option<(&'static str, &'static [&'static str])>,
    /// Where the kind is told more closely; it goes before the other where it says anything.
    pub description: Option<&'static str>,
    /// The kind, as it is written, that is an establishment's.
    pub establishment: Option<&'static str>,
    /// A column and its value on rows that are not about a person.
    pub skip: Option<(&'static str, &'static str)>,
    /// Family name, given name, middle name and suffix; or one column that holds them as `LAST, FIRST`.
    pub name: &'static [&'static str],
    /// Where the status stands; some have none.
    pub status: Option<&'static str>,
    /// A second column that must say `Active` too.
    pub second_status: Option<&'static str>,
    /// What the authority's words mean.
    pub statuses: &'static [(&'static str, BoardStatus)],
    /// Where the first day stands.
    pub issued: Option<&'static str>,
    /// Where the last day stands.
    pub expires: Option<&'static str>,
    /// How dates are written.
    pub dates: &'static [&'static str],
    /// Where it stands that the authority acted against the holder.
    pub action: Option<&'static str>,
    /// On a list of those who are excluded: the column whose date ends the exclusion. To be found there is bad news, and
    /// not to be found is none.
    pub reinstated: Option<&'static str>,
    /// What whoever relies on it should know.
    pub note: Option<&'static str>,
}

impl Source {
    /// The source of this code.
    pub fn find(code: &str) -> Option<&'static Self> {
        SOURCES.iter().find(|source| source.code == code)
    }

    /// The day that it is where the authority sits.
    pub fn today(&self, now: DateTime<Utc>) -> NaiveDate {
        local_date(Zone::named(self.zone).unwrap_or(Zone::ENDS_LAST), now)
    }

    /// The source that lists credentials of this type.
    pub fn of_type(code: &str) -> Option<&'static Self> {
        SOURCES.iter().find(|source| source.credential_type == code)
    }

    /// Whether a licence of this kind is of our type; `kind` as [`plain`] writes it.
    pub fn is_ours(&self, kind: &str) -> bool {
        self.kind.is_none_or(|(_, ours)| ours.contains(&kind))
    }

    /// Whether a person may hold a licence of this kind, which is not ours, in the belief that it is: a student's permit, an
    /// instructor's, a temporary one, one for animals.
    pub fn is_beside(&self, kind: &str) -> bool {
        let words = || kind.split(' ');
        let of_a_place =
            ["establishment", "school", "business", "facility", "program", "provider", "entity", "company"];
        !self.is_ours(kind)
            && words().any(|word| word.starts_with("massage"))
            && !words().any(|word| of_a_place.contains(&word))
    }

    /// What the authority says by `status`; `second` is what it says in the other column, where it has one.
    pub fn board_status(&self, status: Option<&str>, second: Option<&str>) -> BoardStatus {
        if self.reinstated.is_some() {
            return BoardStatus::Unknown;
        }
        // Without a status there is nothing but the expiry.
        let Some(status) = status else { return BoardStatus::Active };
        let status = meaning(self.statuses, status);
        if self.second_status.is_none() || !BoardStatus::PERMITTING.contains(&status) {
            return status;
        }
        match second.map_or(BoardStatus::Unknown, |second| meaning(&[], second)) {
            BoardStatus::Active => status,
            other => other,
        }
    }

    /// A date as this authority writes it; none where it is blank or stands for none.
    ///
    /// # Errors
    /// Where it is no date.
    pub(super) fn date(&self, text: &str) -> Result<Option<NaiveDate>, ()> {
        // Exports put midnight behind a date.
        let day = text.split(['T', ' ']).next().unwrap_or_default();
        if day.bytes().all(|b| b == b'0') {
            return Ok(None);
        }
        let parsed = self.dates.iter().find_map(|format| NaiveDate::parse_from_str(day, format).ok());
        parsed.filter(|date| (1900..=2100).contains(&date.year())).map(Some).ok_or(())
    }

    /// Whether a list is of no use without this column. Second given names, suffixes and first days are read where they are there.
    pub(super) fn is_vital(&self, column: &str) -> bool {
        let role = self.role(column);
        let is_more = self.name.iter().skip(2).any(|name| same_column(name, column)) || role == Some("issued_on");
        let is_more = is_more || self.description.is_some_and(|name| same_column(name, column));
        role.is_some() && !is_more
    }

    /// What a column becomes.
    fn role(&self, column: &str) -> Option<&'static str> {
        let is = |name: Option<&str>| name.is_some_and(|name| same_column(name, column));
        Some(match () {
            () if is(Some(self.number)) => "number",
            () if is(self.rank) => "number_prefix",
            () if is(self.kind.map(|(name, _)| name)) || is(self.description) => "licence_kind",
            () if is(self.skip.map(|(name, _)| name)) => "business",
            () if self.name.iter().any(|name| is(Some(name))) => "name",
            () if is(self.status) || is(self.second_status) => "status",
            () if is(self.issued) => "issued_on",
            () if is(self.expires) => "expires_on",
            () if is(self.action) => "board_action",
            () if is(self.reinstated) => "reinstated_on",
            () => return None,
        })
    }
}

/// Words in lower case, one space apart, without punctuation.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        if !plain.is_empty() {
            plain.push(' ');
        }
        plain.extend(word.chars().flat_map(char::to_lowercase));
    }
    plain
}

/// Whether a cell says that nothing is there, or that the answer is no.
pub fn says_no(text: &str) -> bool {
    matches!(plain(text).as_str(), "" | "n" | "no" | "none" | "false" | "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(code: &str) -> &'static Source {
        Source::find(code).unwrap()
    }

    #[test]
    fn only_the_licence_itself_is_ours() {
        for (code, kind) in [
            ("us-tx-tdlr", "Massage Therapist"),
            ("us-wa-doh", "Massage Therapist License"),
            ("us-wa-doh", "MASSAGE PRACTITIONER LICENSE"),
            ("us-fl-doh", "MA"),
            ("us-il-idfpr", "LICENSED MASSAGE THERAPIST"),
            ("us-co-dora", "MT"),
        ] {
            assert!(source(code).is_ours(&plain(kind)), "{code} {kind}");
        }
        for kind in [
            "Student Massage Therapist Permit",
            "Massage Therapist Student",
            "Massage Therapist (Temporary)",
            "Massage Therapist License - Temporary",
            "Temporary Massage Therapist",
            "Massage Therapist Instructor",
            "Massage Therapy Instructor",
            "Massage Therapist Apprentice",
            "Massage Therapist Apprenticeship",
            "Animal Massage Therapist",
            "Massage Practitioner - Large Animal",
            "Small Animal Massage Practitioner Certification",
            "Reflexology and Massage Therapist Intern",
        ] {
            for code in ["us-tx-tdlr", "us-wa-doh", "us-il-idfpr", "us-co-dora"] {
                let kind = plain(kind);
                assert!(!source(code).is_ours(&kind) && source(code).is_beside(&kind), "{code} {kind}");
            }
        }
        for kind in ["Massage Establishment", "Massage Therapy School", "Registered Nurse", "Barber"] {
            assert!(!source("us-tx-tdlr").is_ours(&plain(kind)) && !source("us-tx-tdlr").is_beside(&plain(kind)));
        }
    }

    #[test]
    fn dates_are_read_as_they_are_written() {
        let texas = source("us-tx-tdlr");
        let date = NaiveDate::from_ymd_opt(2027, 3, 9);
        assert_eq!(texas.date("03092027"), Ok(date));
        assert_eq!(texas.date("03/09/2027"), Ok(date));
        assert_eq!(texas.date(""), Ok(None));
        assert_eq!(source("us-oig-leie").date("00000000"), Ok(None));
        assert_eq!(source("us-il-idfpr").date("2027-03-09T00:00:00.000"), Ok(date));
        for bad in ["13452027", "soon", "03/09/27", "03/09/9999"] {
            assert_eq!(texas.date(bad), Err(()), "{bad}");
        }
    }
}
