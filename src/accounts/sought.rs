//! What staff look for people by, and names that fit it.

use std::str::FromStr;

use sqlx::PgExecutor;

use crate::error::Result;
use crate::ids::AccountId;
use crate::values::{checked_text, from_text};

/// What a person may be known by, as staff type it: 2 to 100 characters, of which one word has two.
#[derive(Clone, Debug)]
pub struct Sought {
    text: String,
    words: Vec<String>,
}

impl FromStr for Sought {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = checked_text(text, 2, 100, false)?.to_lowercase();
        let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        // The longest goes by the index, the others are compared.
        words.sort_by_key(|word| std::cmp::Reverse(word.chars().count()));
        words.truncate(5);
        if words.first().is_none_or(|word| word.chars().count() < 2) {
            return Err("must hold a word of two characters".to_owned());
        }
        Ok(Self { text, words })
    }
}

from_text!(Sought);

impl utoipa::ToSchema for Sought {}

impl utoipa::PartialSchema for Sought {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::Type::String)
            .description(Some("What a person may be known by."))
            .min_length(Some(2))
            .max_length(Some(100))
            .examples(["Tom Reed"])
            .into()
    }
}

/// The pattern of texts that begin so.
fn beginning(text: &str) -> String {
    format!("{}%", text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"))
}

impl Sought {
    /// The patterns of names that hold every word, each as the beginning of one of theirs: the longest first.
    pub fn in_names(&self) -> Vec<String> {
        self.words.iter().map(|word| format!("% {}", beginning(word))).collect()
    }

    /// The pattern of e-mail addresses that begin so.
    pub fn in_emails(&self) -> String {
        beginning(&self.text)
    }

    /// The pattern of telephone numbers that hold its digits, where they are four at the least. What is dialled within a country begins with
    /// noughts that no number has after its country's code.
    pub fn in_phones(&self) -> Option<String> {
        let plain =
            self.text.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '(' | ')' | '.' | '/'));
        let digits: String = self.text.chars().filter(char::is_ascii_digit).collect();
        let digits = digits.trim_start_matches('0');
        (plain && digits.len() >= 4).then(|| format!("%{digits}%"))
    }

    /// The patterns of licence numbers, as they are compared, that begin so: with the letters before it, and without. Where there is a digit.
    pub fn in_numbers(&self) -> Option<[String; 2]> {
        let whole: String = self.text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_uppercase();
        let bare = whole.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        (bare.len() >= 2).then(|| [beginning(&whole), beginning(bare)])
    }

    /// The first and the last id that begin so, where it could be the beginning of one: eight digits at the least.
    pub fn in_ids(&self) -> Option<(uuid::Uuid, uuid::Uuid)> {
        let digits: String = self.text.chars().filter(|c| *c != '-').collect();
        let fits = (8..=32).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let filled =
            |with: char| uuid::Uuid::parse_str(&format!("{digits}{}", with.to_string().repeat(32 - digits.len())));
        fits.then(|| Some((filled('0').ok()?, filled('f').ok()?))).flatten()
    }
}

/// Accounts whose names fit, `most` at the most.
pub async fn named<'c>(db: impl PgExecutor<'c>, sought: &Sought, most: i64) -> Result<Vec<AccountId>> {
    let patterns = sought.in_names();
    let ids = sqlx::query_scalar!(
        "SELECT id FROM accounts
         WHERE ' ' || lower(display_name) LIKE $1 AND ' ' || lower(display_name) LIKE ALL ($2::text[])
         ORDER BY id LIMIT $3",
        patterns.first(),
        &patterns,
        most
    )
    .fetch_all(db)
    .await?;
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sought(text: &str) -> Sought {
        text.parse().expect("something to look for")
    }

    #[test]
    fn what_is_typed_is_taken_for_all_that_it_may_be() {
        assert_eq!(sought("T Reed").in_names(), ["% reed%", "% t%"]);
        assert_eq!(sought("50%_x").in_emails(), "50\\%\\_x%");
        assert_eq!(sought("0412 345-678").in_phones().as_deref(), Some("%412345678%"));
        assert_eq!(sought("+61 412").in_phones().as_deref(), Some("%61412%"));
        assert_eq!(sought("mia4123@example.org").in_phones(), None);
        assert_eq!(sought("mt-123456").in_numbers(), Some(["MT123456%".to_owned(), "123456%".to_owned()]));
        assert_eq!(sought("tom").in_numbers(), None);
        let (first, last) = sought("0198c0de-0000").in_ids().expect("the beginning of an id");
        assert_eq!(first.to_string(), "0198c0de-0000-0000-0000-000000000000");
        assert_eq!(last.to_string(), "0198c0de-0000-ffff-ffff-ffffffffffff");
        assert_eq!(sought("0198c0d").in_ids(), None);
        for nothing in ["a", " ", "a b c", ""] {
            assert!(nothing.parse::<Sought>().is_err(), "{nothing:?}");
        }
    }
}
