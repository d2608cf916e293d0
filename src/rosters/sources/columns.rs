//! How the columns of a file are used.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Source, plain};

/// Whether two headings name one column: `license_type` and `License Type`.
pub(in super::super) fn same_column(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || (!one.is_empty() && plain(one) == plain(other))
}

/// Whether a column tells where someone lives, how to reach them or when they were born: what is never kept, nor looked at.
fn is_personal(column: &str) -> bool {
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
    use super::super::SOURCES;
    use super::*;
    use crate::values::Zone;

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
}
