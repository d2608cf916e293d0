//! What is kept of people: whose it is, what its owner is told of it, and what becomes of it when their account is erased.
//!
//! A feature describes its tables as `PERSONAL`; `doors.rs` lists the features. Every statement here is made of these descriptions, and a test
//! holds them against the schema: a table is described, or is said to hold nothing of anyone.

/// How many rows of one table are told at the most.
pub const MOST_TOLD: usize = 5000;

/// A table that keeps something of people.
#[derive(Clone, Copy, Debug)]
pub struct PersonalTable {
    /// Its name.
    pub name: &'static str,
    /// What its owner reads it as; none where it is not told, because it tells nothing or is told with another table.
    pub part: Option<&'static str>,
    /// Which of its rows are an account's: a condition in which `$1` is the account's id.
    pub of: &'static str,
    /// In which order its rows are told, where there may be more than [`MOST_TOLD`].
    pub order: &'static str,
    /// Columns that are not told, because they tell of others, or are of no meaning to anyone.
    pub untold: &'static [&'static str],
    /// Columns that are sealed by the key of the person whom they tell of.
    pub opened: &'static [OwnSeal],
    /// What becomes of its rows when the account is erased.
    pub end: End,
    /// What becomes of the words in them that are sealed by the keys of the service, where the rows stay.
    pub words: Words,
}

/// A column that is sealed by the key of the person whom it tells of.
#[derive(Clone, Copy, Debug)]
pub struct OwnSeal {
    /// The column.
    pub column: &'static str,
    /// The column that it is bound to, as the feature names it when it seals.
    pub bound_to: &'static str,
    /// The row that it is bound to, as the feature names it when it seals: an SQL expression.
    pub row: &'static str,
    /// The recipient whom it tells of: an SQL expression.
    pub whose: &'static str,
    /// Whether it is told of everyone whom the account has entered. What is told of health is told only of those whom the account answers for.
    pub of_all: bool,
}

/// What becomes of words that are sealed by the keys of the service, in rows that stay. They end by a seal of nothing in their place, because history lets nothing else
/// of it change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// There are none, or they end with their rows.
    None,
    /// They end when the account is erased.
    EndAtOnce,
    /// They are kept for years after that, because somebody may have to answer for what they say.
    EndLater,
}

/// What becomes of an account's rows when it is erased.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// They are deleted.
    Deleted,
    /// What tells who it was is taken out of them: the list of an `UPDATE`'s `SET`, in which `$2` is the time.
    Blanked(&'static str),
    /// They stay, for this reason.
    Kept(&'static str),
}

impl PersonalTable {
    const fn new(name: &'static str, of: &'static str, end: End) -> Self {
        Self { name, part: Some(name), of, order: "", untold: &[], opened: &[], end, words: Words::None }
    }

    /// A table whose rows are deleted with the account.
    pub const fn deleted(name: &'static str, of: &'static str) -> Self {
        Self::new(name, of, End::Deleted)
    }

    /// A table whose rows stay without what tells who it was.
    pub const fn blanked(name: &'static str, of: &'static str, set: &'static str) -> Self {
        Self::new(name, of, End::Blanked(set))
    }

    /// A table whose rows stay, and why.
    pub const fn kept(name: &'static str, of: &'static str, why: &'static str) -> Self {
        Self::new(name, of, End::Kept(why))
    }

    /// The statement that reads the rows of the account `$1`: each as JSON, what its seals are bound to by `rows`, a list of expressions, and whom
    /// it tells of.
    pub fn tells(&self, rows: &[&str]) -> String {
        let rows: Vec<String> = rows.iter().map(|row| format!("({row})::text")).collect();
        let whose = self.opened.first().map_or("NULL", |seal| seal.whose);
        let order = if self.order.is_empty() { String::new() } else { format!(" ORDER BY {}", self.order) };
        format!(
            "SELECT to_jsonb(t), ARRAY[{}]::text[], ({whose})::uuid FROM {} t WHERE {}{order} LIMIT {}",
            rows.join(", "),
            self.name,
            self.of,
            MOST_TOLD + 1
        )
    }

    /// The statement that finds and locks the rows of the account `$1` with words in them: the part and the place that each lies at, what its seals are bound to by
    /// `rows`, and whether each is there, by `columns`.
    pub fn finds_words(&self, rows: &[&str], columns: &[&str]) -> String {
        let rows: Vec<String> = rows.iter().map(|row| format!("({row})::text")).collect();
        let there: Vec<String> = columns.iter().map(|column| format!("{column} IS NOT NULL")).collect();
        format!(
            "SELECT tableoid::bigint, ctid::text, ARRAY[{}]::text[], ARRAY[{}]::bool[] FROM {} t WHERE {} FOR UPDATE",
            rows.join(", "),
            there.join(", "),
            self.name,
            self.of
        )
    }

    /// The statement that puts the seals `$3`, a list, into the row that lies at `$2` of the part `$1`, where they are not null.
    pub fn puts_words(&self, columns: &[&str]) -> String {
        let sets: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(n, column)| format!("{column} = coalesce(($3::text[])[{}], {column})", n + 1))
            .collect();
        format!("UPDATE {} SET {} WHERE tableoid = $1::bigint::oid AND ctid = $2::tid", self.name, sets.join(", "))
    }

    /// The statement that ends the rows of the account `$1` at `$2`; none where they stay.
    pub fn ends(&self) -> Option<String> {
        let Self { name, of, .. } = self;
        // Both parameters have a type, whether a description names them or not.
        let typed = "$1::uuid IS NOT NULL AND $2::timestamptz IS NOT NULL";
        match self.end {
            End::Deleted => Some(format!("DELETE FROM {name} t WHERE {typed} AND ({of})")),
            End::Blanked(set) => Some(format!("UPDATE {name} t SET {set} WHERE {typed} AND ({of})")),
            End::Kept(_) => None,
        }
    }
}
