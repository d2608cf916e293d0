//! Numbers as they are compared, and those that were stored before the rule was what it is.

use super::rules::Category;
use super::{CredentialType, steps, store};
use crate::App;
use crate::credentials::review::ReasonCode;
use crate::error::Result;

/// What people write before a number and is none of it.
const WORDS: [&str; 17] = [
    "LICENSE",
    "LICENCE",
    "LICENCED",
    "LICENSED",
    "LIC",
    "NUMBER",
    "NUM",
    "NO",
    "NR",
    "LMT",
    "CMT",
    "RMT",
    "LMBT",
    "REG",
    "REGISTRATION",
    "CERT",
    "CERTIFICATE",
];

/// Authorities that number people, and pad the numbers with zeros to a width of their own. Elsewhere a zero may tell one
/// number from another: insurers and schools number as they like.
pub(super) const PADDED: [Category; 4] =
    [Category::Licence, Category::Certification, Category::Registration, Category::Identifier];

/// The digits of a number after a prefix of digits: what the authorities that have one pad to.
const AFTER_DIGITS: usize = 6;

impl CredentialType {
    /// A number as it is compared: upper case, letters and digits only, without the words that people write before it, without
    /// the type's prefix, and without leading zeros where the authority pads its numbers. A prefix of digits is there in any case.
    pub fn normalise(&self, number: &str) -> String {
        let upper = number.to_uppercase();
        let mut words: Vec<&str> =
            upper.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
        let place = self.jurisdiction.as_ref().and_then(|place| place.as_str().split('-').nth(1)).unwrap_or_default();
        // Whatever follows must be a number of its own.
        while words.len() > 1
            && (WORDS.contains(&words[0]) || words[0] == place)
            && words[1..].iter().any(|word| word.contains(|c: char| c.is_ascii_digit()))
        {
            words.remove(0);
        }
        if let Some(whole) = self.with_digits(&words) {
            return whole;
        }
        let plain = words.concat();
        let bare = plain.strip_prefix(&self.number_prefix).filter(|rest| !rest.is_empty()).unwrap_or(&plain);
        if PADDED.contains(&self.category) { without_padding(bare) } else { bare.to_owned() }
    }
}

impl CredentialType {
    /// A number with the type's prefix of digits, which people may leave out. It is no part of the number proper where it stands apart or six digits
    /// follow it; a shorter number may begin with the same digits by chance. None where the type has no such prefix, or this is no such number.
    fn with_digits(&self, words: &[&str]) -> Option<String> {
        let (prefix, is_digits) = (self.number_prefix.as_str(), |text: &str| text.bytes().all(|b| b.is_ascii_digit()));
        if prefix.is_empty() || !is_digits(prefix) {
            return None;
        }
        let plain = words.concat();
        let apart = words.len() > 1 && words.first() == Some(&prefix);
        let rest = plain.strip_prefix(prefix).filter(|rest| apart || rest.len() == AFTER_DIGITS).unwrap_or(&plain);
        let proper = rest.trim_start_matches('0');
        let fits = !rest.is_empty() && is_digits(rest) && proper.len() <= AFTER_DIGITS;
        fits.then(|| format!("{prefix}{proper:0>AFTER_DIGITS$}"))
    }
}

/// Without the zeros at the beginning, or after the letters at the beginning: `MM00123` is `MM123`.
fn without_padding(number: &str) -> String {
    let digits = number.trim_start_matches(|c: char| c.is_ascii_uppercase());
    let letters = &number[..number.len() - digits.len()];
    match digits.trim_start_matches('0') {
        "" if digits.is_empty() => letters.to_owned(),
        "" => format!("{letters}0"),
        rest => format!("{letters}{rest}"),
    }
}

/// Brings numbers that were stored under an older rule to the present one, some at a time. Where two people turn out to have
/// one number verified, both keep what they have, and staff look at it.
pub(super) async fn renumber(app: &App) -> Result<()> {
    let stale = store::misnumbered(&app.db, &PADDED).await?;
    for id in stale {
        let mut work = app.begin(None).await?;
        let Some(row) = steps::locked(&mut work, id).await? else { continue };
        let now = work.now();
        let is_alone = store::renumber(&mut work, &row).await?;
        if is_alone {
            store::release_numbers(&mut work, row.therapist).await?;
            if row.credential.review_state.claims() {
                store::claim_number(&mut work, &row, false, now).await?;
            }
        }
        if !is_alone || (row.credential.review_state.claims() && steps::is_claimed_by_another(&mut work, &row).await?) {
            steps::raise(&mut work, "credential.duplicate_claim", &row, &[ReasonCode::DuplicateClaim]).await?;
        }
        work.commit().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::rules::Cover;

    fn kind(category: Category, place: &str, prefix: &str) -> CredentialType {
        CredentialType {
            code: "A-TYPE".to_owned(),
            authority: "A board".to_owned(),
            category,
            jurisdiction: place.parse().ok(),
            number_pattern: None,
            evidence_required: false,
            renewal_months: None,
            number_prefix: prefix.to_owned(),
            expires: true,
            minimum_cover: Cover::default(),
            four_eyes: false,
            numbers_shared: false,
            recheck_days: None,
        }
    }

    struct Spelt {
        place: &'static str,
        prefix: &'static str,
        spellings: &'static [&'static str],
        number: &'static str,
    }

    #[test]
    fn spellings_of_one_number_are_one() {
        for Spelt { place, prefix, spellings, number } in [
            Spelt {
                place: "US-TX",
                prefix: "MT",
                spellings: &["MT123456", "mt 123-456", "123456", "MT.00123456", "0123456", "LMT MT123456"][..],
                number: "123456",
            },
            Spelt {
                place: "US-CO",
                prefix: "MT",
                spellings: &["MT.0012345", "12345", "0012345", "mt12345", "Lic. No. 12345", "CO MT.12345"],
                number: "12345",
            },
            Spelt { place: "US-CO", prefix: "MT", spellings: &["MT.0099999", "99999"], number: "99999" },
            Spelt {
                place: "US-WA",
                prefix: "MA",
                spellings: &["MA00012345", "MA 12345", "00012345", "WA-MA00012345"],
                number: "12345",
            },
            Spelt { place: "US-FL", prefix: "MA", spellings: &["MA0012345", "MA12345", "12345"], number: "12345" },
            Spelt { place: "US-FL", prefix: "MA", spellings: &["MM0012345", "MM12345", "mm 12345"], number: "MM12345" },
            Spelt {
                place: "US-IL",
                prefix: "227",
                spellings: &["227.012345", "227012345", "227-012345", "012345", "12345", "227 12345", "IL 12345"],
                number: "227012345",
            },
            Spelt {
                place: "US-IL",
                prefix: "227",
                spellings: &["227.227123", "227123", "0227123"],
                number: "227227123",
            },
            Spelt {
                place: "US-OH",
                prefix: "33",
                spellings: &["33.012345", "33012345", "33-12345", "012345", "12345", "Lic. No. 33.012345"],
                number: "33012345",
            },
            Spelt { place: "US-OH", prefix: "33", spellings: &["330123", "33.330123"], number: "33330123" },
            Spelt {
                place: "US-OH",
                prefix: "33",
                spellings: &["33.1234567", "331234567", "1234567"],
                number: "1234567",
            },
            Spelt { place: "US-OH", prefix: "33", spellings: &["MT012345"], number: "MT12345" },
            Spelt {
                place: "US-NY",
                prefix: "",
                spellings: &["012345", "12345", "License number 012345"],
                number: "12345",
            },
            Spelt { place: "US-NC", prefix: "", spellings: &["00042", "42"], number: "42" },
        ] {
            for spelling in spellings {
                assert_eq!(kind(Category::Licence, place, prefix).normalise(spelling), number, "{place} {spelling}");
            }
        }
    }

    #[test]
    fn something_always_remains_and_an_insurers_zeros_count() {
        let texas = kind(Category::Licence, "US-TX", "MT");
        for (number, remains) in [("MT", "MT"), ("000", "0"), ("MT000", "0"), ("LMT", "LMT"), ("NO", "NO"), ("-", "")] {
            assert_eq!(texas.normalise(number), remains, "{number}");
        }
        let policy = kind(Category::Insurance, "", "");
        assert_ne!(policy.normalise("0012345"), policy.normalise("12345"));
        assert_eq!(policy.normalise("po 0012-345"), "PO0012345");
    }
}
