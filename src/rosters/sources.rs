//! The lists that can be read: what their columns are called and what their words mean.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use serde::Serialize;
use utoipa::ToSchema;

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

use BoardStatus as B;

/// Words that mean the same wherever they are used.
const COMMON: &[(&str, BoardStatus)] = &[
    ("active", B::Active),
    ("inactive", B::Inactive),
    ("expired", B::Expired),
    ("lapsed", B::Expired),
    ("suspended", B::Suspended),
    ("summary suspension", B::Suspended),
    ("revoked", B::Revoked),
    ("surrendered", B::Surrendered),
    ("relinquished", B::Surrendered),
    ("voluntary surrender", B::Surrendered),
    ("retired", B::Retired),
    ("deceased", B::Deceased),
    ("probation", B::Probation),
    ("active on probation", B::Probation),
    ("delinquent", B::Delinquent),
    ("conditional", B::Conditional),
    ("active with conditions", B::Conditional),
    ("restricted", B::Limited),
    ("active with restrictions", B::Limited),
    ("limited", B::Limited),
    ("temporary", B::Temporary),
    ("pending", B::Pending),
    ("superseded", B::Superseded),
    ("null and void", B::NullAndVoid),
    ("null void", B::NullAndVoid),
    ("nullandvoid", B::NullAndVoid),
    ("void", B::NullAndVoid),
    ("active in good standing", B::Active),
    ("current", B::Active),
    ("current active", B::Active),
    ("active current", B::Active),
    // Those who serve keep the licence without renewing it.
    ("military active", B::Active),
    ("active military", B::Active),
    ("military inactive", B::Inactive),
    ("inactive military", B::Inactive),
    ("military", B::Inactive),
    ("military exemption", B::Inactive),
    ("permanent inactive", B::Inactive),
    ("permanently inactive", B::Inactive),
    ("perm inactive", B::Inactive),
    ("voluntary inactive", B::Inactive),
    ("involuntary inactive", B::Inactive),
    ("not active", B::Inactive),
    ("closed", B::Inactive),
    ("withdrawn", B::Inactive),
    ("not renewed", B::Expired),
    ("non renewed", B::Expired),
    ("nonrenewed", B::Expired),
    ("failed to renew", B::Expired),
    ("failure to renew", B::Expired),
    ("summarily suspended", B::Suspended),
    ("summary suspended", B::Suspended),
    ("emergency suspension", B::Suspended),
    ("emergency suspended", B::Suspended),
    ("emerg suspension", B::Suspended),
    ("emerg suspended", B::Suspended),
    ("emer suspension", B::Suspended),
    ("indefinite suspension", B::Suspended),
    ("indefinitely suspended", B::Suspended),
    ("interim suspension", B::Suspended),
    ("temporary suspension", B::Suspended),
    ("temporarily suspended", B::Suspended),
    ("temp suspended", B::Suspended),
    ("suspension", B::Suspended),
    ("revocation", B::Revoked),
    ("emergency revocation", B::Revoked),
    ("permanently revoked", B::Revoked),
    ("permanent revocation", B::Revoked),
    ("refuse to renew", B::Revoked),
    ("refused to renew", B::Revoked),
    ("denied renewal", B::Revoked),
    ("voluntary relinquishment", B::Surrendered),
    ("voluntary relinquished", B::Surrendered),
    ("voluntarily relinquished", B::Surrendered),
    ("vol relinquishment", B::Surrendered),
    ("vol relinquished", B::Surrendered),
    ("relinquishment", B::Surrendered),
    ("disciplinary relinquishment", B::Surrendered),
    ("discip relinquishment", B::Surrendered),
    ("relinq", B::Surrendered),
    ("vol relinq", B::Surrendered),
    ("surrender", B::Surrendered),
    ("vol surrender", B::Surrendered),
    ("vol surrendered", B::Surrendered),
    ("voluntarily surrendered", B::Surrendered),
    ("permanent surrender", B::Surrendered),
    ("probationary", B::Probation),
    ("active probation", B::Probation),
    ("active probationary", B::Probation),
    ("on probation", B::Probation),
    ("emergency restriction", B::Limited),
    ("emerg restriction", B::Limited),
    ("active restricted", B::Limited),
    ("active limited", B::Limited),
    ("active conditional", B::Conditional),
    ("active conditions", B::Conditional),
    ("active with stipulations", B::Conditional),
    ("provisional", B::Temporary),
    ("active provisional", B::Temporary),
    ("provisional active", B::Temporary),
    ("active temporary", B::Temporary),
    ("temporary active", B::Temporary),
    ("applicant", B::Pending),
    ("application pending", B::Pending),
    ("pending renewal", B::Pending),
    ("dead", B::Deceased),
    ("holder deceased", B::Deceased),
    ("licensee deceased", B::Deceased),
];

/// First words that bar whatever follows them: `Suspended Due to ..`. No word permits by itself.
const BEGINNINGS: &[(&str, BoardStatus)] = &[
    ("suspended", B::Suspended),
    ("suspension", B::Suspended),
    ("revoked", B::Revoked),
    ("surrendered", B::Surrendered),
    ("relinquished", B::Surrendered),
    ("expired", B::Expired),
    ("lapsed", B::Expired),
    ("delinquent", B::Delinquent),
    ("inactive", B::Inactive),
    ("probation", B::Probation),
    ("deceased", B::Deceased),
];

/// Words that turn round what stands before them: a suspension that was lifted is none.
const TURNS: [&str; 8] = ["stayed", "stay", "lifted", "terminated", "removed", "ended", "vacated", "dismissed"];

const US_DATES: &[&str] = &["%m/%d/%Y", "%Y-%m-%d", "%Y%m%d"];

/// Every list that can be read.
pub const SOURCES: &[Source] = &[
    Source {
        code: "us-tx-tdlr",
        authority: "Texas Department of Licensing and Regulation",
        jurisdiction: "US-TX",
        zone: "America/Chicago",
        credential_type: "US-TX-LMT",
        delimiter: b',',
        quoted: true,
        encoding: UTF_8,
        columns: &[
            "LICENSE TYPE",
            "LICENSE NUMBER",
            "OWNER NAME",
            "LICENSE EXPIRATION DATE (MMDDCCYY)",
            "LICENSE SUBTYPE",
        ],
        number: "LICENSE NUMBER",
        rank: None,
        kind: Some(("LICENSE TYPE", &["massage therapist", "licensed massage therapist"])),
        description: None,
        establishment: None,
        skip: None,
        name: &["OWNER NAME"],
        status: None,
        second_status: None,
        statuses: &[],
        issued: None,
        expires: Some("LICENSE EXPIRATION DATE (MMDDCCYY)"),
        dates: &["%m%d%Y", "%m/%d/%Y"],
        action: None,
        reinstated: None,
        note: Some("The list has no status: it proves the expiry, and a suspension cannot be seen."),
    },
    Source {
        code: "us-wa-doh",
        authority: "Washington State Department of Health",
        jurisdiction: "US-WA",
        zone: "America/Los_Angeles",
        credential_type: "US-WA-LMT",
        delimiter: b',',
        quoted: true,
        encoding: UTF_8,
        columns: &[
            "credentialnumber",
            "lastname",
            "firstname",
            "middlename",
            "credentialtype",
            "status",
            "firstissuedate",
            "lastissuedate",
            "expirationdate",
            "actiontaken",
        ],
        number: "credentialnumber",
        rank: None,
        kind: Some((
            "credentialtype",
            &["massage therapist license", "massage therapist", "massage practitioner license", "massage practitioner"],
        )),
        description: None,
        establishment: None,
        skip: None,
        name: &["lastname", "firstname", "middlename"],
        status: Some("status"),
        second_status: None,
        statuses: &[
            ("active in renewal", B::Active),
            ("retired active", B::Limited),
            ("active on conditions", B::Conditional),
            ("active with limitations", B::Limited),
            ("expired in renewal", B::Expired),
        ],
        issued: Some("firstissuedate"),
        expires: Some("expirationdate"),
        dates: US_DATES,
        action: Some("actiontaken"),
        reinstated: None,
        note: None,
    },
    Source {
        code: "us-fl-doh",
        authority: "Florida Department of Health",
        jurisdiction: "US-FL",
        zone: "America/New_York",
        credential_type: "US-FL-LMT",
        delimiter: b'|',
        quoted: false,
        // A superset of latin-1 that has the quotes and dashes which its users type.
        encoding: WINDOWS_1252,
        columns: &[
            "pro_cde",
            "Profession-Name",
            "lic_id",
            "Expire-Date",
            "Original-Date",
            "Rank-Code",
            "License-Number",
            "Status-Effective-Date",
            "Board-Action-Indicator",
            "License-Status-Description",
            "Last-Name",
            "First-Name",
            "Middle-Name",
            "Name-Suffix",
            "License-Active-Status-Description",
        ],
        number: "License-Number",
        rank: Some("Rank-Code"),
        kind: Some(("Rank-Code", &["ma", "mm"])),
        description: None,
        establishment: Some("mm"),
        skip: None,
        name: &["Last-Name", "First-Name", "Middle-Name", "Name-Suffix"],
        status: Some("License-Status-Description"),
        second_status: Some("License-Active-Status-Description"),
        statuses: &[
            ("clear", B::Active),
            ("clear active", B::Active),
            ("obligations", B::Conditional),
            ("obligations active", B::Conditional),
            ("conditional active", B::Conditional),
        ],
        issued: Some("Original-Date"),
        expires: Some("Expire-Date"),
        dates: US_DATES,
        action: Some("Board-Action-Indicator"),
        reinstated: None,
        note: None,
    },
    Source {
        code: "us-il-idfpr",
        authority: "Illinois Department of Financial and Professional Regulation",
        jurisdiction: "US-IL",
        zone: "America/Chicago",
        credential_type: "US-IL-LMT",
        delimiter: b',',
        quoted: true,
        encoding: UTF_8,
        columns: &[
            "license_type",
            "description",
            "license_number",
            "license_status",
            "business",
            "first_name",
            "middle",
            "last_name",
            "suffix",
            "original_issue_date",
            "effective_date",
            "expiration_date",
            "ever_disciplined",
        ],
        number: "license_number",
        rank: None,
        kind: Some(("license_type", &["licensed massage therapist", "massage therapist", "227"])),
        description: Some("description"),
        establishment: None,
        skip: Some(("business", "y")),
        name: &["last_name", "first_name", "middle", "suffix"],
        status: Some("license_status"),
        second_status: None,
        statuses: &[("cancelled", B::NullAndVoid), ("canceled", B::NullAndVoid), ("never practiced", B::Inactive)],
        issued: Some("original_issue_date"),
        expires: Some("expiration_date"),
        dates: US_DATES,
        action: Some("ever_disciplined"),
        reinstated: None,
        note: None,
    },
    Source {
        code: "us-co-dora",
        authority: "Colorado Department of Regulatory Agencies",
        jurisdiction: "US-CO",
        zone: "America/Denver",
        credential_type: "US-CO-LMT",
        delimiter: b',',
        quoted: true,
        encoding: UTF_8,
        columns: &[
            "licensenumber",
            "licensetype",
            "lastname",
            "firstname",
            "licensestatusdescription",
            "licenseexpirationdate",
            "programaction",
        ],
        number: "licensenumber",
        rank: None,
        // The number is not unique across types.
        kind: Some(("licensetype", &["mt", "massage therapist"])),
        description: None,
        establishment: None,
        skip: None,
        name: &["lastname", "firstname"],
        status: Some("licensestatusdescription"),
        second_status: None,
        statuses: &[("cancelled", B::NullAndVoid), ("canceled", B::NullAndVoid)],
        issued: None,
        expires: Some("licenseexpirationdate"),
        dates: US_DATES,
        action: Some("programaction"),
        reinstated: None,
        note: None,
    },
    Source {
        code: "us-oig-leie",
        authority: "Office of Inspector General, List of Excluded Individuals and Entities",
        jurisdiction: "US",
        zone: "America/New_York",
        credential_type: "NPI",
        delimiter: b',',
        quoted: true,
        encoding: UTF_8,
        columns: &[
            "LASTNAME",
            "FIRSTNAME",
            "MIDNAME",
            "BUSNAME",
            "GENERAL",
            "SPECIALTY",
            "UPIN",
            "NPI",
            "EXCLTYPE",
            "EXCLDATE",
            "REINDATE",
            "WAIVERDATE",
            "WVRSTATE",
        ],
        number: "NPI",
        rank: None,
        kind: None,
        description: None,
        establishment: None,
        skip: None,
        name: &["LASTNAME", "FIRSTNAME", "MIDNAME"],
        status: Some("EXCLTYPE"),
        second_status: None,
        statuses: &[],
        issued: None,
        expires: None,
        dates: &["%Y%m%d"],
        action: None,
        reinstated: Some("REINDATE"),
        note: Some("A list of those who are excluded from federal programmes: a hit is for a person to look at."),
    },
];

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

/// Whether two headings name one column: `license_type` and `License Type`.
pub(super) fn same_column(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || (!one.is_empty() && plain(one) == plain(other))
}

fn meaning(own: &[(&str, BoardStatus)], text: &str) -> BoardStatus {
    let text = plain(text);
    let found = own.iter().chain(COMMON).find(|(words, _)| *words == text);
    let begins = || {
        let mut words = text.split(' ');
        let first = words.next().unwrap_or_default();
        let turned = words.any(|word| TURNS.contains(&word));
        BEGINNINGS.iter().find(|(word, _)| !turned && *word == first)
    };
    found.or_else(begins).map_or(BoardStatus::Unknown, |(_, status)| *status)
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

/// Whether a column tells where someone lives, how to reach them or when they were born: what is never kept, nor looked at.
pub fn is_personal(column: &str) -> bool {
    let column = column.to_lowercase();
    let words = ["address", "phone", "mail", "birth", "dob", "city", "zip", "county", "street", "ssn"];
    column == "state" || words.iter().any(|word| column.contains(word))
}

/// How a column of the file is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
pub struct MappedColumn {
    /// Its name in the file.
    #[schema(example = "OWNER NAME")]
    pub column: String,
    /// What it becomes; null where it is not kept.
    #[schema(example = "name")]
    pub becomes: Option<String>,
}

/// How a file's columns are used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
#[schema(as = ColumnMapping)]
pub struct Mapping {
    /// The columns in the order of the file. Those that are personal are not named.
    pub columns: Vec<MappedColumn>,
    /// Columns that are read and are not there, or are there twice.
    pub missing: Vec<String>,
    /// Columns that are there and were not in the last applied import of this source.
    pub added: Vec<String>,
    /// Columns that were there in the last applied import of this source and are not.
    pub lost: Vec<String>,
}

impl Mapping {
    /// Reads a header for `source`.
    pub fn new(source: &Source, header: &[String]) -> Self {
        let count = |column: &str| header.iter().filter(|name| same_column(name, column)).count();
        let kept = header.iter().filter(|name| !is_personal(name));
        Self {
            columns: kept
                .map(|name| MappedColumn { column: name.clone(), becomes: source.role(name).map(str::to_owned) })
                .collect(),
            missing: source
                .columns
                .iter()
                .filter(|name| source.role(name).is_some() && count(name) != 1)
                .map(|name| (*name).to_owned())
                .collect(),
            ..Self::default()
        }
    }

    /// Compares with the mapping of the last applied import.
    pub fn compare(&mut self, last: &Self) {
        let lacking = |these: &Self, those: &Self| -> Vec<String> {
            let has = |name: &str| those.columns.iter().any(|column| same_column(&column.column, name));
            these.columns.iter().map(|column| column.column.clone()).filter(|name| !has(name)).collect()
        };
        (self.added, self.lost) = (lacking(self, last), lacking(last, self));
    }

    /// Whether columns are not there that are read. What else comes and goes is told, and stops nothing: authorities publish
    /// one list with 17 columns and with 18.
    pub fn is_changed(&self) -> bool {
        !self.missing.is_empty()
    }

    /// Whether the list can be used all the same, if an admin says so.
    pub fn is_usable(&self, source: &Source) -> bool {
        !self.missing.iter().any(|column| source.is_vital(column))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(code: &str) -> &'static Source {
        Source::find(code).unwrap()
    }

    fn header(source: &Source) -> Vec<String> {
        source.columns.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn every_source_finds_its_own_columns() {
        for source in SOURCES {
            let mapping = Mapping::new(source, &header(source));
            assert!(!mapping.is_changed(), "{}", source.code);
            assert!(Zone::named(source.zone).is_some(), "{}", source.code);
            let roles = mapping.columns.iter().filter(|column| column.becomes.is_some()).count();
            let named = [source.rank, source.kind.map(|(name, _)| name), source.skip.map(|(name, _)| name)];
            let more =
                [source.description, source.status, source.second_status, source.issued, source.expires, source.action];
            let mut all: Vec<&str> = named.into_iter().chain(more).flatten().collect();
            all.extend(source.reinstated.into_iter().chain(source.name.iter().copied()).chain([source.number]));
            all.sort_unstable();
            all.dedup();
            assert_eq!(roles, all.len(), "{}", source.code);
        }
    }

    #[test]
    fn a_header_may_be_in_any_order_and_lose_nothing() {
        let texas = source("us-tx-tdlr");
        let mut columns = header(texas);
        columns.reverse();
        columns.push("OWNER TELEPHONE".to_owned());
        let mapping = Mapping::new(texas, &columns);
        assert!(!mapping.is_changed());
        assert!(mapping.columns.iter().all(|column| column.column != "OWNER TELEPHONE"));
        columns[0] = "LICENCE SUBTYPE".to_owned();
        let mut renamed = Mapping::new(texas, &columns);
        renamed.compare(&mapping);
        assert!(!renamed.is_changed(), "it is not read");
        assert_eq!(
            (renamed.added, renamed.lost),
            (vec!["LICENCE SUBTYPE".to_owned()], vec!["LICENSE SUBTYPE".to_owned()])
        );
        for vital in ["LICENSE NUMBER", "OWNER NAME", "LICENSE EXPIRATION DATE (MMDDCCYY)", "LICENSE TYPE"] {
            let without: Vec<String> = columns.iter().filter(|name| *name != vital).cloned().collect();
            let lacking = Mapping::new(texas, &without);
            assert!(lacking.is_changed() && !lacking.is_usable(texas), "{vital}");
            let twice = [&columns[..], &[vital.to_owned()]].concat();
            assert_eq!(Mapping::new(texas, &twice).missing, [vital]);
        }
        let washington = source("us-wa-doh");
        for (column, usable) in
            [("middlename", true), ("firstissuedate", true), ("actiontaken", false), ("status", false)]
        {
            let without: Vec<String> = header(washington).into_iter().filter(|name| name != column).collect();
            let lacking = Mapping::new(washington, &without);
            assert_eq!((lacking.is_changed(), lacking.is_usable(washington)), (true, usable), "{column}");
        }
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
    fn words_mean_what_the_authority_means() {
        let florida = source("us-fl-doh");
        assert_eq!(florida.board_status(Some("Clear"), Some("Active")), BoardStatus::Active);
        assert_eq!(florida.board_status(Some("CLEAR"), Some("Inactive")), BoardStatus::Inactive);
        assert_eq!(florida.board_status(Some("Clear"), Some("")), BoardStatus::Unknown);
        assert_eq!(florida.board_status(Some("Null and Void"), Some("Active")), BoardStatus::NullAndVoid);
        let washington = source("us-wa-doh");
        assert_eq!(washington.board_status(Some("SUSPENDED"), None), BoardStatus::Suspended);
        assert_eq!(washington.board_status(Some("Flourishing"), None), BoardStatus::Unknown);
        assert_eq!(washington.board_status(Some(""), None), BoardStatus::Unknown);
        assert_eq!(source("us-co-dora").board_status(Some("Active - With Conditions"), None), BoardStatus::Conditional);
        assert_eq!(source("us-tx-tdlr").board_status(None, None), BoardStatus::Active);
    }

    #[test]
    fn the_words_of_boards_are_known() {
        use BoardStatus as B;
        for code in ["us-wa-doh", "us-il-idfpr", "us-co-dora"] {
            for (words, means) in [
                ("Military Active", B::Active),
                ("Active - Military", B::Active),
                ("Emerg Suspension", B::Suspended),
                ("EMERGENCY SUSPENSION", B::Suspended),
                ("Null & Void", B::NullAndVoid),
                ("NULL AND VOID", B::NullAndVoid),
                ("Vol Relinquishment", B::Surrendered),
                ("Vol. Relinquishment", B::Surrendered),
                ("Voluntary Relinquishment", B::Surrendered),
                ("Suspended Due to Non-Payment of Child Support", B::Suspended),
                ("Suspended Due To Tax", B::Suspended),
                ("SUSPENDED (pending hearing)", B::Suspended),
                ("Suspended - Indefinite", B::Suspended),
                ("Revoked - Disciplinary", B::Revoked),
                ("PERMANENT INACTIVE", B::Inactive),
                ("Perm. Inactive", B::Inactive),
                ("Active Provisional", B::Temporary),
                ("Active/Provisional", B::Temporary),
                ("Active Probationary", B::Probation),
                ("Probation with Stipulations", B::Probation),
                ("Expired - Non-Renewed", B::Expired),
                ("Not Renewed", B::Expired),
                ("Inactive by Request", B::Inactive),
                ("Deceased", B::Deceased),
                // What is not known for sure permits nothing.
                ("Suspension Lifted", B::Unknown),
                ("Revoked, Stayed", B::Unknown),
                ("Active Until Further Notice", B::Unknown),
                ("Activated", B::Unknown),
            ] {
                assert_eq!(source(code).board_status(Some(words), None), means, "{code} {words}");
            }
        }
        let florida = |first, second| source("us-fl-doh").board_status(Some(first), Some(second));
        assert_eq!(florida("Military Active", "Active"), B::Active);
        assert_eq!(florida("Clear", "Military Active"), B::Active);
        assert_eq!(florida("Emerg Suspension", "Active"), B::Suspended);
        assert_eq!(florida("Clear", "Suspended Due to Default"), B::Suspended);
        assert_eq!(florida("Conditional", "Active"), B::Conditional);
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
