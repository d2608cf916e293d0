//! Questionnaires as data: what is asked, which answers fit, and which questions an answer makes void.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, Days, NaiveDate};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa::ToSchema;

use super::answers::{Answer, Fact, Facts, Known, Medicine, PartialDate, Value};
use super::body::RegionSet;
use super::rules::Condition;
use crate::error::FieldError;
use crate::values::checked_text;

/// The most questions of a questionnaire.
const MOST_QUESTIONS: usize = 150;

/// The most characters of an answer in words.
const LONGEST_TEXT: usize = 2000;

/// What kind of answer a question has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuestionType {
    /// `true` or `false`.
    YesNo,
    /// The code of an option.
    Choice,
    /// A list of codes of options.
    Choices,
    /// A date.
    Date,
    /// A date, a month `2019-05` or a year `2019`.
    PartialDate,
    /// A whole number.
    Number,
    /// A grade of pain from 0 to 10.
    Nrs,
    /// A list of regions of the body.
    Regions,
    /// A list of medicines: `{class, name?}`.
    Medicines,
    /// Words.
    Text,
}

/// An answer that can be chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = QuestionOption)]
pub struct Choice {
    /// A stable name.
    #[schema(example = "uncontrolled")]
    pub code: String,
    /// What people read.
    #[schema(example = "It is not under control, or I do not know")]
    pub text: String,
}

/// One question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// A stable name: the same question has the same code in every questionnaire and version.
    pub code: String,
    /// What kind of answer it has.
    #[serde(rename = "type")]
    pub kind: QuestionType,
    /// What people read.
    pub text: String,
    /// Whether it must be answered where it is put; "I don't know" is an answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// The answers that can be chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<Choice>,
    /// The least number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<i32>,
    /// The greatest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<i32>,
    /// When it is put; always, where nothing is said. Only other questions can be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled_when: Option<Condition>,
    /// For how many days an answer counts; as long as the place says, where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasts_days: Option<i32>,
    /// Whether client apps show it apart, since it is for the person alone to see.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sensitive: bool,
}

/// What a questionnaire is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Purpose {
    /// Health, before the first visit.
    Health,
    /// What is worked on for a complaint, with its red flags.
    Complaint,
}

/// What is asked, in one version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Questionnaire {
    /// A stable name.
    pub code: String,
    /// Counts from 1.
    pub version: i32,
    /// What it is for.
    pub purpose: Purpose,
    /// What people read above it.
    pub title: String,
    /// The questions, in the order in which they are put.
    pub questions: Vec<Question>,
}

/// An answer, of the kind that its question has. It is read by the question; this describes it for who writes a client.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(example = true)]
pub enum AnswerValue {
    /// To `yes_no`.
    YesNo(bool),
    /// To `number` and `nrs`.
    Number(i32),
    /// To `choice`, `date`, `partial_date` and `text`.
    Text(String),
    /// To `choices`, `regions` and `medicines`.
    Several(Vec<AnswerItem>),
}

/// One of several things that are named in an answer. Generators of clients cannot tell lists apart, and so there is one list of either.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(example = "low_back")]
pub enum AnswerItem {
    /// The code of an option or a region.
    Code(String),
    /// A medicine.
    Medicine(Medicine),
}

/// What is said in answer to a question: one of three.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ScreeningAnswer)]
pub struct GivenAnswer {
    /// The question's code.
    #[schema(example = "pregnant")]
    pub question: String,
    /// The answer, of the kind that the question has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AnswerValue>)]
    pub value: Option<Json>,
    /// "I don't know."
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schema(example = false)]
    pub unknown: bool,
    /// "I would rather not say."
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schema(example = false)]
    pub declined: bool,
}

impl GivenAnswer {
    /// As it is given.
    pub fn of(question: &str, known: &Known) -> Self {
        Self {
            question: question.to_owned(),
            value: match known {
                Known::Value(value) => Some(value.plain()),
                _ => None,
            },
            unknown: *known == Known::Unknown,
            declined: *known == Known::Declined,
        }
    }
}

impl Question {
    /// Reads an answer of the kind that this question has; a sentence where it does not fit.
    pub fn read(&self, value: &Json) -> Result<Value, String> {
        let list = |what: &str| value.as_array().ok_or_else(|| format!("must be a list of {what}."));
        let option = |code: &Json| {
            let code = code.as_str().filter(|code| self.options.iter().any(|option| option.code == *code));
            code.map(str::to_owned).ok_or_else(|| "is not one of the options.".to_owned())
        };
        match self.kind {
            QuestionType::YesNo => value.as_bool().map(Value::YesNo).ok_or_else(|| "must be true or false.".to_owned()),
            QuestionType::Choice => option(value).map(Value::Choice),
            QuestionType::Choices => Ok(Value::Choices(list("options")?.iter().map(option).collect::<Result<_, _>>()?)),
            QuestionType::Date => {
                let date = value.as_str().and_then(PartialDate::parse).filter(|date| date.earliest == date.latest);
                date.map(|date| Value::Date(date.earliest))
                    .ok_or_else(|| "must be a date of the form 2026-12-01.".to_owned())
            }
            QuestionType::PartialDate => value
                .as_str()
                .and_then(PartialDate::parse)
                .map(Value::PartialDate)
                .ok_or_else(|| "must be a date, a month or a year: 2026-12-01, 2026-12 or 2026.".to_owned()),
            QuestionType::Number | QuestionType::Nrs => {
                let (least, most) = self.bounds();
                let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
                number
                    .filter(|number| (least..=most).contains(number))
                    .map(Value::Number)
                    .ok_or_else(|| format!("must be a whole number from {least} to {most}."))
            }
            QuestionType::Regions => {
                let codes = list("regions")?.iter().map(Json::as_str);
                let exact = |code: &str| RegionSet::named(code).filter(|set| set.codes().eq([code]));
                let sets = codes.map(|code| code.and_then(exact).ok_or_else(|| "is no list of regions.".to_owned()));
                let all = sets.collect::<Result<Vec<_>, _>>()?;
                Ok(Value::Regions(all.into_iter().fold(RegionSet::default(), |all, one| all | one)))
            }
            QuestionType::Medicines => {
                let read = |item: &Json| {
                    let mut medicine: Medicine = serde_json::from_value(item.clone())
                        .map_err(|_| "must hold medicines with their class.".to_owned())?;
                    if let Some(name) = &mut medicine.name {
                        *name = checked_text(name, 1, 80, false).map_err(|why| format!("holds a name that {why}."))?;
                    }
                    Ok::<_, String>(medicine)
                };
                let all = list("medicines")?;
                if all.len() > 50 {
                    return Err("has at most 50 medicines.".to_owned());
                }
                Ok(Value::Medicines(all.iter().map(read).collect::<Result<_, _>>()?))
            }
            QuestionType::Text => {
                let text = value.as_str().ok_or_else(|| "must be text.".to_owned())?;
                checked_text(text, 1, LONGEST_TEXT, true).map(Value::Text).map_err(|why| format!("{why}."))
            }
        }
    }

    /// The least and the greatest number.
    fn bounds(&self) -> (i32, i32) {
        match self.kind {
            QuestionType::Nrs => (0, 10),
            _ => (self.minimum.unwrap_or(0), self.maximum.unwrap_or(1_000_000)),
        }
    }

    /// The last day on which an answer of `given_on` counts, and the first on which it does not.
    fn expires_on(&self, given_on: NaiveDate, usual_days: i32) -> Option<NaiveDate> {
        let days = self.lasts_days.unwrap_or(usual_days).max(1);
        given_on.checked_add_days(Days::new(u64::from(days.unsigned_abs())))
    }
}

/// Whether a date can be an answer about a person at all: neither far in the past nor far ahead.
pub fn is_plausible(date: NaiveDate, today: NaiveDate) -> bool {
    (today.year() - 120..=today.year() + 2).contains(&date.year())
}

/// Questions of several questionnaires, each once.
pub struct Catalogue<'a> {
    questions: BTreeMap<&'a str, &'a Question>,
}

impl<'a> Catalogue<'a> {
    /// The questions of these questionnaires. Where two have one, it is the later's.
    pub fn of(questionnaires: &'a [Questionnaire]) -> Self {
        let all = questionnaires.iter().flat_map(|questionnaire| &questionnaire.questions);
        Self { questions: all.map(|question| (question.code.as_str(), question)).collect() }
    }

    /// A question by its code.
    pub fn get(&self, code: &str) -> Option<&'a Question> {
        self.questions.get(code).copied()
    }

    /// The questions, by code.
    pub fn iter(&self) -> impl Iterator<Item = &'a Question> {
        self.questions.values().copied()
    }

    /// Facts from answers. Answers to questions that are not put, because of other answers, have no effect.
    ///
    /// Answers count until they are older than their question or the place lets them be: `given_on` is when they were given, and `usual_days` what the
    /// place says.
    pub fn facts(&self, answers: &[Answer], given_on: NaiveDate, usual_days: i32) -> Facts {
        let given: BTreeMap<&str, &Known> =
            answers.iter().map(|answer| (answer.question.as_str(), &answer.known)).collect();
        let mut facts = Facts::default();
        let mut settled = BTreeSet::new();
        for code in self.questions.keys() {
            self.settle(code, &given, (given_on, usual_days), &mut facts, &mut settled);
        }
        facts
    }

    /// Adds what is known of a question, after those that it depends on.
    fn settle(
        &self,
        code: &str,
        given: &BTreeMap<&str, &Known>,
        age: (NaiveDate, i32),
        facts: &mut Facts,
        settled: &mut BTreeSet<String>,
    ) {
        let Some(question) = self.get(code).filter(|_| settled.insert(code.to_owned())) else { return };
        let put = question.enabled_when.as_ref().map_or(Some(true), |when| {
            let mut before = BTreeSet::new();
            when.walk(&mut |part| before.extend(part.question().map(str::to_owned)));
            for code in before {
                self.settle(&code, given, age, facts, settled);
            }
            super::truth::is_so(when, facts, age.0)
        });
        let known = match put {
            Some(true) => given.get(code).map(|known| (*known).clone()),
            Some(false) => Some(Known::Skipped),
            // What it depends on is in doubt, or was not answered.
            None => super::truth::is_in_doubt(question.enabled_when.as_ref(), facts, age.0).then_some(Known::InDoubt),
        };
        if let Some(known) = known {
            facts.put(code, known, question.expires_on(age.0, age.1));
        }
    }

    /// Reads answers as they were given: each fits its question, and is given once. Pointers begin with `pointer`.
    pub fn read(&self, given: &[GivenAnswer], pointer: &str, today: NaiveDate) -> Result<Vec<Answer>, Vec<FieldError>> {
        let (mut answers, mut wrong): (Vec<Answer>, Vec<FieldError>) = (Vec::new(), Vec::new());
        for (i, answer) in given.iter().enumerate() {
            let at = |part: &str, why: String| FieldError::new(format!("{pointer}/{i}{part}"), why);
            let Some(question) = self.get(&answer.question) else {
                wrong.push(at("/question", "is not asked by these questionnaires.".to_owned()));
                continue;
            };
            if answers.iter().any(|other: &Answer| other.question == answer.question) {
                wrong.push(FieldError { code: "duplicate".into(), ..at("/question", "is answered twice.".to_owned()) });
                continue;
            }
            let known = match (&answer.value, answer.unknown, answer.declined) {
                (Some(value), false, false) => match question.read(value) {
                    Ok(value) => {
                        let far = value.days().is_some_and(|days| {
                            !is_plausible(days.earliest, today) || !is_plausible(days.latest, today)
                        });
                        if far {
                            wrong.push(at("/value", "lies too far from today.".to_owned()));
                            continue;
                        }
                        Known::Value(value)
                    }
                    Err(why) => {
                        wrong.push(at("/value", why));
                        continue;
                    }
                },
                (None, true, false) => Known::Unknown,
                (None, false, true) => Known::Declined,
                _ => {
                    wrong.push(at("", "must have one of `value`, `unknown` and `declined`.".to_owned()));
                    continue;
                }
            };
            answers.push(Answer { question: answer.question.clone(), known });
        }
        if wrong.is_empty() { Ok(answers) } else { Err(wrong) }
    }

    /// The required questions that are put for certain and not answered. Answers are looked at as of `today`, when they are given.
    pub fn missing(&self, facts: &Facts, today: NaiveDate) -> Vec<&'a str> {
        let is_put = |question: &Question| {
            question.enabled_when.as_ref().is_none_or(|when| super::truth::is_so(when, facts, today) == Some(true))
        };
        let open = self.iter().filter(|question| question.required && facts.get(&question.code).is_none());
        open.filter(|question| is_put(question)).map(|question| question.code.as_str()).collect()
    }

    /// The answers that count: without those to questions that are not put.
    pub fn put<'b>(&self, answers: &'b [Answer], facts: &Facts) -> Vec<&'b Answer> {
        let is_put = |answer: &&Answer| {
            matches!(
                facts.get(&answer.question),
                Some(Fact { known: Known::Value(_) | Known::Unknown | Known::Declined, .. })
            )
        };
        answers.iter().filter(is_put).collect()
    }
}

/// What is wrong with a questionnaire; pointers into its JSON.
pub fn faults(questionnaire: &Questionnaire) -> Vec<FieldError> {
    let mut found = Vec::new();
    let mut refuse = |pointer: String, why: &str| found.push(FieldError::new(pointer, why));
    if !is_code(&questionnaire.code) {
        refuse("/code".to_owned(), CODE_FORM);
    }
    if let Err(why) = checked_text(&questionnaire.title, 1, 120, false) {
        refuse("/title".to_owned(), &format!("{why}."));
    }
    if !(1..=MOST_QUESTIONS).contains(&questionnaire.questions.len()) {
        refuse("/questions".to_owned(), "has 1 to 150 questions.");
    }
    let catalogue = Catalogue::of(std::slice::from_ref(questionnaire));
    let mut codes = BTreeSet::new();
    for (i, question) in questionnaire.questions.iter().enumerate() {
        let at = |part: &str| format!("/questions/{i}/{part}");
        if !is_code(&question.code) || question.code == super::answers::BORN_ON {
            refuse(at("code"), CODE_FORM);
        }
        if !codes.insert(&question.code) {
            refuse(at("code"), "is the code of a question before it.");
        }
        if let Err(why) = checked_text(&question.text, 1, 500, true) {
            refuse(at("text"), &format!("{why}."));
        }
        let has_options = matches!(question.kind, QuestionType::Choice | QuestionType::Choices);
        if has_options != (2..=40).contains(&question.options.len()) {
            refuse(at("options"), "a choice has 2 to 40 options, and nothing else has any.");
        }
        let mut options = BTreeSet::new();
        for (n, option) in question.options.iter().enumerate() {
            if !is_code(&option.code) || !options.insert(&option.code) {
                refuse(at(&format!("options/{n}/code")), "is no code, or that of an option before it.");
            }
            if let Err(why) = checked_text(&option.text, 1, 200, false) {
                refuse(at(&format!("options/{n}/text")), &format!("{why}."));
            }
        }
        let bounded = question.minimum.is_some() || question.maximum.is_some();
        let (least, most) = question.bounds();
        if least > most || (bounded && question.kind != QuestionType::Number) {
            refuse(at("minimum"), "only a number has bounds, the least first.");
        }
        if question.lasts_days.is_some_and(|days| !(1..=3650).contains(&days)) {
            refuse(at("lasts_days"), "must lie between 1 and 3650.");
        }
        if let Some(when) = &question.enabled_when {
            let mut why = None;
            when.walk(&mut |part| match part {
                Condition::Service(_) | Condition::Technique(_) | Condition::Pressure(_) | Condition::Place(_) => {
                    why = Some("can look at other questions alone.");
                }
                Condition::Age(_) | Condition::Region(super::rules::InRegion { question: None, .. }) => {
                    why = Some("can look at other questions alone.");
                }
                _ => {}
            });
            for error in super::checks::condition_faults(when, &at("enabled_when"), &catalogue, None) {
                refuse(error.pointer, &error.detail);
            }
            if why.is_none() && depends_on_itself(&question.code, &catalogue) {
                why = Some("leads back to the question itself.");
            }
            if let Some(why) = why {
                refuse(at("enabled_when"), why);
            }
        }
    }
    found
}

/// Whether a question is put or not by its own answer, over however many others.
fn depends_on_itself(code: &str, catalogue: &Catalogue<'_>) -> bool {
    let (mut open, mut seen) = (vec![code.to_owned()], BTreeSet::new());
    while let Some(next) = open.pop() {
        let Some(when) = catalogue.get(&next).and_then(|question| question.enabled_when.as_ref()) else { continue };
        let mut before = BTreeSet::new();
        when.walk(&mut |part| before.extend(part.question().map(str::to_owned)));
        if before.contains(code) {
            return true;
        }
        open.extend(before.into_iter().filter(|before| seen.insert(before.clone())));
    }
    false
}

/// What a code looks like.
pub(super) const CODE_FORM: &str =
    "must be 2 to 60 lower-case letters, digits and underscores, beginning with a letter.";

/// Whether a text can be a code.
pub(super) fn is_code(text: &str) -> bool {
    (2..=60).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
