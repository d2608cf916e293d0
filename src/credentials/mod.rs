//! Credentials: what a therapist must hold to practise somewhere, and how it is verified.
//!
//! Two axes are kept apart: the review (our workflow) and the board status (what the authority says). Whether a
//! credential is *usable* is computed for the date and place of a visit and never stored.

pub mod checks;
pub mod documents;
mod fhir;
mod followed;
pub mod held;
pub mod jobs;
mod numbers;
pub mod personal;
pub mod reminders;
pub mod review;
pub mod routes;
pub mod rules;
mod steps;
mod store;
mod views;
pub mod zones;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use rules::{required_for, requirements};
pub use steps::{settle, supersede_due, unsettle};
pub use store::{find_type, list, standings};
pub use views::Credential;

use crate::ids::{CredentialId, VerificationId};
use crate::values::{Jurisdiction, bounded_text};
use rules::{Category, Cover};

bounded_text! {
    /// A credential type's code.
    TypeCode line 2..=40, example "US-TX-LMT";
    /// The number on the credential.
    CredentialNumber line 1..=40, example "MT123456";
    /// The name on the credential.
    HolderName line 1..=120, example "Sam Okafor";
    /// A remark of the reviewer.
    ReviewNote prose 1..=2000, example "Matches the board's own record.";
    /// What the reviewer wants the holder to know.
    HolderMessage prose 1..=2000, example "Page 2 cannot be read: please scan it again.";
    /// How a credential was verified, in the reviewer's words.
    Method line 1..=60, example "primary_source";
    /// The status in the authority's own words.
    StatusText line 1..=200, example "Clear/Active";
    /// Where the authority's record was read.
    SourceUrl line 1..=500, example "https://board.example/licences/123456";
}

/// What the authority says of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum BoardStatus {
    /// In force.
    Active,
    /// In force under conditions that do not bar practice.
    Conditional,
    /// Under supervision after discipline.
    Probation,
    /// In force for part of the practice.
    Limited,
    /// In force for a time.
    Temporary,
    /// Kept up without the right to practise.
    Inactive,
    /// Given up at the end of a career.
    Retired,
    /// Past its end.
    Expired,
    /// Fees or papers are overdue.
    Delinquent,
    /// Taken away for a time.
    Suspended,
    /// Taken away.
    Revoked,
    /// Given back.
    Surrendered,
    /// Void from the start.
    NullAndVoid,
    /// Replaced by another.
    Superseded,
    /// The holder has died.
    Deceased,
    /// Applied for.
    Pending,
    /// Not known, or in words that we do not know.
    Unknown,
}

impl BoardStatus {
    /// What lets the holder practise without a supervisor.
    pub const PERMITTING: [Self; 3] = [Self::Active, Self::Conditional, Self::Temporary];
}

/// A kind of credential that an authority gives.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CredentialType {
    /// The code that credentials and requirements use.
    #[schema(example = "US-TX-LMT")]
    pub code: String,
    /// Who gives it.
    pub authority: String,
    /// What it is.
    pub category: Category,
    /// Where the authority sits; null for types that are given everywhere.
    #[schema(example = "US-TX")]
    pub jurisdiction: Option<Jurisdiction>,
    /// A regular expression for the number; null where there is none. A number that does not match is reviewed
    /// all the same.
    pub number_pattern: Option<String>,
    /// Whether a document must be there before it is submitted.
    pub evidence_required: bool,
    /// Months from one renewal to the next; null where there is none.
    pub renewal_months: Option<i16>,
    /// Whether it ends on a date that must be told.
    pub expires: bool,
    /// What an insurance must pay for one claim.
    pub minimum_cover: Cover,
    /// Whether people share a number, as the policy of a group has one for all.
    pub numbers_shared: bool,
    #[serde(skip)]
    #[schema(ignore)]
    pub(crate) number_prefix: String,
    /// Whether a second admin must approve every verification.
    #[serde(skip)]
    #[schema(ignore)]
    pub four_eyes: bool,
    /// Days after which the authority is asked again; none: never.
    #[serde(skip)]
    #[schema(ignore)]
    pub recheck_days: Option<i16>,
}

impl CredentialType {
    /// Whether the number looks as the authority writes it. Patterns rest on samples, so a "no" is for a reviewer
    /// to look at and never refuses by itself.
    pub fn recognises(&self, number: &str) -> bool {
        let number = number.trim().to_uppercase();
        let matches = |pattern: &String| regex::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(&number));
        self.number_pattern.as_ref().is_none_or(matches) && (self.code != "NPI" || is_npi(&number))
    }
}

/// A National Provider Identifier: ten digits, the first 1 or 2, Luhn over `80840` and the number (45 CFR 162.406).
fn is_npi(number: &str) -> bool {
    let digits: Option<Vec<u32>> = format!("80840{number}").chars().map(|c| c.to_digit(10)).collect();
    let sum = |digits: Vec<u32>| -> u32 {
        let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
        digits.iter().rev().enumerate().map(|(i, digit)| if i % 2 == 1 { doubled(*digit) } else { *digit }).sum()
    };
    number.len() == 10 && number.starts_with(['1', '2']) && digits.is_some_and(|digits| sum(digits).is_multiple_of(10))
}

/// Credentials of which one must be usable.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Requirement {
    /// The place that asks for it.
    #[schema(example = "AU")]
    pub jurisdiction: String,
    /// What it is about; every group must be met.
    #[schema(example = "insurance")]
    pub group: String,
    /// The types that meet it.
    #[schema(example = json!(["INSURANCE"]))]
    pub options: Vec<String>,
    /// The first date of a visit for which it is asked, at the visit's place; null: since ever.
    pub valid_from: Option<NaiveDate>,
    /// The last date; null: until further notice.
    pub valid_until: Option<NaiveDate>,
}

/// What the groups of training begin with, which no place names so.
const TRAINING: &str = "training:";

impl Requirement {
    /// Whether it is asked for on any day from `first` to `last`.
    fn applies(&self, first: NaiveDate, last: NaiveDate) -> bool {
        self.valid_from.is_none_or(|from| from <= last) && self.valid_until.is_none_or(|until| first <= until)
    }

    /// Training that the person needs whom the visit is for, on one day at a place.
    pub fn training(code: &str, place: &str, on: NaiveDate) -> Self {
        Self {
            jurisdiction: place.to_owned(),
            group: format!("{TRAINING}{code}"),
            options: vec![code.to_ascii_uppercase().replace('_', "-")],
            valid_from: Some(on),
            valid_until: Some(on),
        }
    }

    /// Whether a country or a region asks for it of everyone, and not a county or a city, nor a person's health.
    fn is_general(&self) -> bool {
        !self.jurisdiction.contains('.') && !self.group.starts_with(TRAINING)
    }
}

/// What a place asks for a kind of service.
#[derive(Clone, Debug)]
pub struct Required {
    /// The place and every place that it lies in, counties and cities too: `AU`, `AU-NSW`.
    pub chain: Vec<String>,
    /// The kind of service.
    pub kind: String,
    /// Every group of the chain, past and future ones too.
    pub groups: Vec<Requirement>,
}

/// A verified credential as the engine sees it: reviewed, not on hold, and the authority lets its holder practise.
#[derive(Clone, Debug, Deserialize)]
pub struct Standing {
    /// The credential.
    pub id: CredentialId,
    /// Its type's code.
    pub type_code: String,
    /// Who gives it.
    pub authority: String,
    /// The first day of its validity, where told.
    pub issued_on: Option<NaiveDate>,
    /// The last day of its validity, where it ends.
    pub expires_on: Option<NaiveDate>,
    /// The verification that it rests on.
    pub verification: Option<VerificationId>,
    /// The places where it counts; everywhere that asks for its type, where none are named.
    pub jurisdictions: Option<Vec<String>>,
    /// The kinds of service for which it counts; all, where none are named.
    pub kinds: Option<Vec<String>>,
}

impl Standing {
    /// Whether it is good on every day from `first` to `last`, dates at the visit's place. Validity ends with the
    /// end of `expires_on`.
    pub fn covers(&self, first: NaiveDate, last: NaiveDate) -> bool {
        self.issued_on.is_none_or(|issued| issued <= first) && self.expires_on.is_none_or(|expires| last <= expires)
    }

    /// Whether it counts at the place, for the kind of service.
    fn counts_for(&self, required: &Required) -> bool {
        self.jurisdictions.as_ref().is_none_or(|places| places.iter().any(|place| required.chain.contains(place)))
            && self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&required.kind))
    }
}

/// Each group that is `required` of a visit from `first` to `last`, with the credentials that meet it; none where it is not met.
fn met<'a>(
    required: &'a Required,
    standings: &'a [Standing],
    first: NaiveDate,
    last: NaiveDate,
) -> impl Iterator<Item = (&'a Requirement, Option<Vec<&'a Standing>>)> {
    required.groups.iter().filter(move |group| group.applies(first, last)).map(move |requirement| {
        let usable = standings
            .iter()
            .filter(|standing| requirement.options.contains(&standing.type_code) && standing.counts_for(required));
        (requirement, covering(&usable.collect::<Vec<_>>(), first, last))
    })
}

/// What covers every day from `first` to `last`: of those that cover all of them the one that lasts longest, or else one after
/// the other without a day between, as a renewal follows what it renews.
fn covering<'a>(usable: &[&'a Standing], first: NaiveDate, last: NaiveDate) -> Option<Vec<&'a Standing>> {
    let longest = |from, until| {
        let good = usable.iter().filter(|standing| standing.covers(from, until));
        good.max_by_key(|s| (s.expires_on.unwrap_or(NaiveDate::MAX), s.id)).copied()
    };
    if let Some(whole) = longest(first, last) {
        return Some(vec![whole]);
    }
    let (mut parts, mut day) = (Vec::new(), first);
    while day <= last {
        let part = longest(day, day)?;
        parts.push(part);
        match part.expires_on.and_then(|ends| ends.succ_opt()) {
            Some(next) => day = next,
            None => break,
        }
    }
    Some(parts)
}

/// The credentials that a visit from `first` to `last` relies on, for each group that is `required` then. None where
/// a group is not met, and none where nothing is required: a place whose rules we do not know is not served. What a county or
/// a city asks for comes on top of the rules of its region or country, and opens no place that has none; nor does training that a person needs.
pub fn relied_on<'a>(
    required: &'a Required,
    standings: &'a [Standing],
    first: NaiveDate,
    last: NaiveDate,
) -> Option<Vec<(&'a Requirement, &'a Standing)>> {
    let asked: Vec<_> = met(required, standings, first, last).collect();
    asked.iter().find(|(requirement, _)| requirement.is_general())?;
    let mut relied_on = Vec::with_capacity(asked.len());
    for (requirement, standings) in asked {
        relied_on.extend(standings?.into_iter().map(|standing| (requirement, standing)));
    }
    Some(relied_on)
}

/// The groups that no credentials meet for a visit from `first` to `last`.
pub fn missing<'a>(
    required: &'a Required,
    standings: &'a [Standing],
    first: NaiveDate,
    last: NaiveDate,
) -> Vec<&'a Requirement> {
    let unmet = met(required, standings, first, last).filter(|(_, standings)| standings.is_none());
    unmet.map(|(requirement, _)| requirement).collect()
}

/// What a visit relies on to meet one group: everything that an inspector will ask for, as it is known now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reliance {
    /// The group.
    pub group: String,
    /// The place that asks for it.
    pub required_by: String,
    /// The types that meet it.
    pub options: Vec<String>,
    /// The credential.
    pub credential: CredentialId,
    /// Its type's code.
    pub type_code: String,
    /// Who gave it.
    pub authority: String,
    /// The verification that it rests on.
    pub verification: Option<VerificationId>,
    /// The last day of its validity as it was known.
    pub expires_on: Option<NaiveDate>,
}

impl From<(&Requirement, &Standing)> for Reliance {
    fn from((requirement, standing): (&Requirement, &Standing)) -> Self {
        Self {
            group: requirement.group.clone(),
            required_by: requirement.jurisdiction.clone(),
            options: requirement.options.clone(),
            credential: standing.id,
            type_code: standing.type_code.clone(),
            authority: standing.authority.clone(),
            verification: standing.verification,
            expires_on: standing.expires_on,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texas() -> CredentialType {
        CredentialType {
            code: "US-TX-LMT".to_owned(),
            authority: "TDLR".to_owned(),
            category: Category::Licence,
            jurisdiction: "US-TX".parse().ok(),
            number_pattern: Some(r"^(MT)?\d{4,6}$".to_owned()),
            evidence_required: false,
            renewal_months: Some(24),
            number_prefix: "MT".to_owned(),
            expires: true,
            minimum_cover: Cover::default(),
            four_eyes: false,
            numbers_shared: false,
            recheck_days: None,
        }
    }

    #[test]
    fn a_number_is_recognised_by_its_pattern() {
        assert!(texas().recognises("mt12345") && !texas().recognises("XX12345"));
    }

    #[test]
    fn npi_check_digits_are_luhn() {
        assert!(is_npi("1234567893"));
        for wrong in ["1234567890", "3234567893", "123456789", "12345678930", "12345678９3"] {
            assert!(!is_npi(wrong), "{wrong}");
        }
    }

    #[test]
    fn every_day_of_a_visit_must_be_covered() {
        let day = |d| NaiveDate::from_ymd_opt(2026, 12, d).expect("a date");
        let standing = |issued, expires| Standing {
            id: CredentialId::new(chrono::DateTime::UNIX_EPOCH),
            type_code: "INSURANCE".to_owned(),
            authority: String::new(),
            issued_on: Some(day(issued)),
            expires_on: Some(day(expires)),
            verification: None,
            jurisdictions: None,
            kinds: None,
        };
        let group = |option: &str| Requirement {
            jurisdiction: "AU".to_owned(),
            group: "insurance".to_owned(),
            options: vec![option.to_owned()],
            valid_from: None,
            valid_until: None,
        };
        let in_sydney =
            |groups| Required { chain: vec!["AU".to_owned(), "AU-NSW".to_owned()], kind: "massage".to_owned(), groups };
        let halves = [standing(1, 5), standing(6, 9)];
        let required = in_sydney(vec![group("INSURANCE")]);
        assert!(relied_on(&required, &halves, day(5), day(5)).is_some());
        let across = relied_on(&required, &halves, day(5), day(6)).expect("one after the other");
        assert_eq!(
            across.iter().map(|(_, standing)| standing.expires_on).collect::<Vec<_>>(),
            [Some(day(5)), Some(day(9))]
        );
        assert_eq!(relied_on(&required, &halves, day(4), day(5)).map(|all| all.len()), Some(1), "one covers it all");
        for gap in [[standing(1, 5), standing(7, 9)], [standing(1, 4), standing(6, 9)]] {
            assert!(relied_on(&required, &gap, day(5), day(6)).is_none(), "a day between");
        }
        let three = [standing(1, 5), standing(6, 6), standing(7, 9)];
        assert_eq!(relied_on(&required, &three, day(5), day(7)).map(|all| all.len()), Some(3));
        let overlapping = [standing(1, 6), standing(5, 9)];
        assert!(relied_on(&required, &overlapping, day(4), day(8)).is_some());
        let other_type = [standing(1, 5), Standing { type_code: "OTHER".to_owned(), ..standing(6, 9) }];
        assert!(relied_on(&required, &other_type, day(5), day(6)).is_none(), "another type meets another group");
        assert!(relied_on(&required, &halves, day(10), day(10)).is_none());
        assert!(
            relied_on(&in_sydney(vec![]), &halves, day(5), day(5)).is_none(),
            "a place without rules is not served"
        );
        assert!(relied_on(&in_sydney(vec![group("OTHER")]), &halves, day(5), day(5)).is_none());
        let unmet = in_sydney(vec![group("INSURANCE"), group("OTHER")]);
        let unmet: Vec<_> = missing(&unmet, &halves, day(5), day(5)).iter().map(|asked| &asked.options[0]).collect();
        assert_eq!(unmet, ["OTHER"]);

        let elsewhere = Standing { jurisdictions: Some(vec!["AU-QLD".to_owned()]), ..standing(1, 9) };
        assert!(relied_on(&required, &[elsewhere], day(5), day(5)).is_none());
        let everywhere = Standing { jurisdictions: Some(vec!["AU".to_owned()]), ..standing(1, 9) };
        assert!(relied_on(&required, &[everywhere], day(5), day(5)).is_some());
        let other_work = Standing { kinds: Some(vec!["physiotherapy".to_owned()]), ..standing(1, 9) };
        assert!(relied_on(&required, &[other_work], day(5), day(5)).is_none());

        let tomorrow = Requirement { valid_from: Some(day(6)), ..group("OTHER") };
        let both = in_sydney(vec![group("INSURANCE"), tomorrow]);
        let whole = [standing(1, 9)];
        assert!(relied_on(&both, &whole, day(5), day(5)).is_some(), "not asked for yet");
        assert!(relied_on(&both, &whole, day(5), day(6)).is_none(), "asked for before the visit ends");
        let past = Requirement { valid_until: Some(day(4)), ..group("INSURANCE") };
        assert!(relied_on(&in_sydney(vec![past]), &whole, day(5), day(5)).is_none(), "no rule is left");
    }
}
