//! What a person has answered, as facts that rules are asked of.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::body::RegionSet;

/// The date of birth, as a question: no questionnaire asks it, because the recipient's record tells it.
pub const BORN_ON: &str = "born_on";

/// What kinds of medicine rules tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MedicineClass {
    /// Keeps blood from clotting: warfarin, apixaban, heparin.
    Anticoagulant,
    /// Keeps platelets from clumping: aspirin, clopidogrel.
    Antiplatelet,
    /// Steroids that are swallowed or injected.
    Corticosteroid,
    /// Lowers what the body defends itself with.
    Immunosuppressant,
    /// Treats cancer.
    Chemotherapy,
    /// Dulls pain strongly.
    Opioid,
    /// Makes drowsy.
    Sedative,
    /// Lowers the blood pressure.
    Antihypertensive,
    /// Insulin and what lowers sugar.
    Antidiabetic,
    /// Any other.
    Other,
}

/// A medicine that a person takes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Medicine {
    /// Of what kind it is.
    pub class: MedicineClass,
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A date of which the day, or the month too, may not be known any more: `2019`, `2019-05` or `2019-05-20`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartialDate {
    /// The earliest day that it can be.
    pub earliest: NaiveDate,
    /// The latest day that it can be.
    pub latest: NaiveDate,
}

impl PartialDate {
    /// From its text.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |part: &str, count| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
        let parts: Vec<&str> = text.split('-').collect();
        let whole = match parts.as_slice() {
            [year] => digits(year, 4).then(|| (format!("{year}-01-01"), format!("{year}-12-31")))?,
            [year, month] if digits(year, 4) && digits(month, 2) => {
                let first: NaiveDate = format!("{text}-01").parse().ok()?;
                let last = first.checked_add_months(chrono::Months::new(1))?.pred_opt()?;
                (first.to_string(), last.to_string())
            }
            [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2) => {
                (text.to_owned(), text.to_owned())
            }
            _ => return None,
        };
        let (earliest, latest): (NaiveDate, NaiveDate) = (whole.0.parse().ok()?, whole.1.parse().ok()?);
        (1900..=2100).contains(&earliest.year()).then_some(Self { earliest, latest })
    }

    fn text(self) -> String {
        let text = self.earliest.to_string();
        match (self.latest - self.earliest).num_days() {
            0 => text,
            days if days < 31 => text[..7].to_owned(),
            _ => text[..4].to_owned(),
        }
    }
}

/// A known answer, of the kind that its question has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// Yes or no.
    YesNo(bool),
    /// One option.
    Choice(String),
    /// Several options.
    Choices(BTreeSet<String>),
    /// A day.
    Date(NaiveDate),
    /// A day, a month or a year.
    PartialDate(PartialDate),
    /// A whole number, or a grade of pain from 0 to 10.
    Number(i32),
    /// Regions of the body.
    Regions(RegionSet),
    /// Medicines.
    Medicines(BTreeSet<Medicine>),
    /// Words, which no rule reads.
    Text(String),
}

impl Value {
    /// As the API shows it, and takes it.
    pub fn plain(&self) -> Json {
        match self {
            Self::YesNo(yes) => json!(yes),
            Self::Choice(option) => json!(option),
            Self::Choices(options) => json!(options),
            Self::Date(date) => json!(date),
            Self::PartialDate(date) => json!(date.text()),
            Self::Number(number) => json!(number),
            Self::Regions(regions) => json!(regions),
            Self::Medicines(medicines) => json!(medicines),
            Self::Text(text) => json!(text),
        }
    }

    /// The days that a date can be.
    pub(super) fn days(&self) -> Option<PartialDate> {
        match self {
            Self::Date(date) => Some(PartialDate { earliest: *date, latest: *date }),
            Self::PartialDate(date) => Some(*date),
            _ => None,
        }
    }
}

/// What is known of a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// The person answered.
    Value(Value),
    /// The person does not know.
    Unknown,
    /// The person does not say.
    Declined,
    /// The question was not put, because an answer before it made it void: whatever it asks is not so.
    Skipped,
    /// The question was not put, because an answer before it is in doubt: what it asks is in doubt too.
    InDoubt,
}

/// A fact about a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// What is known.
    pub known: Known,
    /// The first day on which the answer is too old to count, at the visit's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_on: Option<NaiveDate>,
}

/// All that is known of a person, by the codes of questions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Facts(BTreeMap<String, Fact>);

/// How a question stands on a day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum State<'a> {
    Value(&'a Value),
    Doubt,
    Skipped,
    Missing,
}

impl Facts {
    /// Adds a fact, or replaces it.
    pub fn put(&mut self, question: impl Into<String>, known: Known, expires_on: Option<NaiveDate>) {
        self.0.insert(question.into(), Fact { known, expires_on });
    }

    /// The date of birth.
    pub fn born_on(&mut self, date: NaiveDate) {
        self.put(BORN_ON, Known::Value(Value::Date(date)), None);
    }

    /// A fact.
    pub fn get(&self, question: &str) -> Option<&Fact> {
        self.0.get(question)
    }

    /// Every fact, by question.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Fact)> {
        self.0.iter().map(|(question, fact)| (question.as_str(), fact))
    }

    /// How `question` stands on `date`.
    pub(super) fn state(&self, question: &str, date: NaiveDate) -> State<'_> {
        match self.0.get(question) {
            Some(fact) if fact.expires_on.is_none_or(|end| date < end) => match &fact.known {
                Known::Value(value) => State::Value(value),
                Known::Unknown | Known::Declined | Known::InDoubt => State::Doubt,
                Known::Skipped => State::Skipped,
            },
            _ => State::Missing,
        }
    }
}

/// An answer, as a person gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The question's code.
    pub question: String,
    /// What was said; never [`Known::Skipped`] or [`Known::InDoubt`].
    pub known: Known,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_may_be_known_in_part() {
        let parsed = |text| PartialDate::parse(text).map(|date| (date.earliest.to_string(), date.latest.to_string()));
        let days = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(parsed("2019"), days("2019-01-01", "2019-12-31"));
        assert_eq!(parsed("2020-02"), days("2020-02-01", "2020-02-29"));
        assert_eq!(parsed("2019-05-20"), days("2019-05-20", "2019-05-20"));
        for text in ["2019", "2020-02", "2019-05-20"] {
            assert_eq!(PartialDate::parse(text).map(PartialDate::text).as_deref(), Some(text));
        }
        for bad in ["", "19", "2019-5", "2019-13", "2019-02-30", "1899", "2101-01-01", "2019-05-20-1", "+019"] {
            assert_eq!(PartialDate::parse(bad), None, "{bad}");
        }
    }
}
