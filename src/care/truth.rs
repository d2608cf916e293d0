//! How true a condition is, and because of which answers: three-valued logic, between a least and a most.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, Days, NaiveDate};

use super::answers::{BORN_ON, Facts, Known, PartialDate, State, Value};
use super::body::RegionSet;
use super::decide::{Asked, PREGNANCY_DAYS, ServiceProfile};
use super::rules::{Bounded, Bounds, Condition, InRegion, Is, Sought, Takes};
use crate::values::Pressure;

/// `days` after a date; the last day that there is, where it would lie beyond.
pub(super) fn after(date: NaiveDate, days: i32) -> NaiveDate {
    let count = Days::new(u64::from(days.unsigned_abs()));
    let moved = if days < 0 { date.checked_sub_days(count) } else { date.checked_add_days(count) };
    moved.unwrap_or(if days < 0 { NaiveDate::MIN } else { NaiveDate::MAX })
}

/// The day on which someone who was born then becomes so old. Who was born on 29 February does so on 1 March of other years.
pub(super) fn birthday(born: NaiveDate, years: i32) -> NaiveDate {
    let year = born.year().saturating_add(years);
    NaiveDate::from_ymd_opt(year, born.month(), born.day())
        .or_else(|| NaiveDate::from_ymd_opt(year, 3, 1))
        .unwrap_or(NaiveDate::MAX)
}

/// How true a condition is: no, in doubt, yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Truth {
    No,
    Doubt,
    Yes,
}

impl Truth {
    const fn of(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    const fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Doubt => Self::Doubt,
            Self::Yes => Self::No,
        }
    }
}

/// How true a condition is at least and at the most, whatever the answers to questions that were not put would be.
pub(super) type Between = (Truth, Truth);

/// What conditions are asked of.
pub(super) struct Case<'a> {
    pub facts: &'a Facts,
    pub asked: &'a Asked<'a>,
    pub date: NaiveDate,
    /// Whether an age is in doubt where no date of birth was told, instead of not asked: no rule that asks for a least age is avoided by telling none.
    pub doubts_age: bool,
}

impl Case<'_> {
    pub fn truth(&self, condition: &Condition) -> Between {
        match condition {
            // Kleene's logic: all are as true as the least of them, any is as true as the most. No further part can change a sure no, or a sure yes.
            Condition::All(parts) => {
                let (mut low, mut high) = (Truth::Yes, Truth::Yes);
                for part in parts {
                    let (l, h) = self.truth(part);
                    (low, high) = (low.min(l), high.min(h));
                    if high == Truth::No {
                        break;
                    }
                }
                (low, high)
            }
            Condition::Any(parts) => {
                let (mut low, mut high) = (Truth::No, Truth::No);
                for part in parts {
                    let (l, h) = self.truth(part);
                    (low, high) = (low.max(l), high.max(h));
                    if low == Truth::Yes {
                        break;
                    }
                }
                (low, high)
            }
            Condition::Not(part) => {
                let (low, high) = self.truth(part);
                (high.not(), low.not())
            }
            Condition::Service(slugs) => self.sure(slugs.contains(&self.asked.service.slug)),
            Condition::Technique(slugs) => self.sure(self.asked.techniques().any(|slug| slugs.contains(slug))),
            Condition::Pressure(least) => self.sure(self.asked.pressure() >= *least),
            Condition::Place(places) => self.sure(self.asked.place.iter().any(|place| places.contains(place))),
            Condition::Region(InRegion { question: None, any_of }) => self.sure(self.asked.regions().meets(*any_of)),
            Condition::Region(InRegion { question: Some(question), any_of }) => self.answered(question, |value| {
                Truth::of(matches!(value, Value::Regions(regions) if regions.meets(*any_of)))
            }),
            Condition::Is(Is { question, value: sought }) => self.answered(question, |value| {
                Truth::of(match (value, sought) {
                    (Value::YesNo(yes), Sought::YesNo(sought)) => yes == sought,
                    (Value::Choice(option), Sought::Option(sought)) => option == sought,
                    (Value::Choices(options), Sought::Option(sought)) => options.contains(sought),
                    _ => false,
                })
            }),
            Condition::MedicineClass(Takes { question, any_of }) => self.answered(question, |value| {
                let taken = |value: &Value| match value {
                    Value::Medicines(medicines) => medicines.iter().any(|medicine| any_of.contains(&medicine.class)),
                    _ => false,
                };
                Truth::of(taken(value))
            }),
            Condition::Number(Bounded { question, from, under }) => self.answered(question, |value| {
                Truth::of(matches!(value, Value::Number(number) if place(i64::from(*number), *from, *under) == Ordering::Equal))
            }),
            Condition::DaysSince(Bounded { question, from, under }) => self.answered(question, |value| {
                self.on_days(value, |day| {
                    let days = (self.date - day).num_days();
                    if days < 0 { Ordering::Greater } else { place(days, *from, *under).reverse() }
                })
            }),
            Condition::WeeksPregnant(Bounded { question, from, under }) => self.answered(question, |value| {
                self.on_days(value, |due| {
                    let days = i64::from(PREGNANCY_DAYS) - (due - self.date).num_days();
                    place(days.div_euclid(7), *from, *under).reverse()
                })
            }),
            Condition::Age(Bounds { from, under }) => self.answered(BORN_ON, |value| {
                self.on_days(value, |born| {
                    if from.is_some_and(|from| birthday(born, from) > self.date) {
                        Ordering::Greater
                    } else if under.is_some_and(|under| birthday(born, under) <= self.date) {
                        Ordering::Less
                    } else {
                        Ordering::Equal
                    }
                })
            }),
        }
    }

    fn sure(&self, holds: bool) -> Between {
        (Truth::of(holds), Truth::of(holds))
    }

    fn answered(&self, question: &str, truth: impl Fn(&Value) -> Truth) -> Between {
        let truth = match self.facts.state(question, self.date) {
            State::Value(value) => truth(value),
            State::Skipped => Truth::No,
            State::Doubt => Truth::Doubt,
            State::Missing if question == BORN_ON && self.doubts_age => Truth::Doubt,
            State::Missing => return (Truth::No, Truth::Yes),
        };
        (truth, truth)
    }

    /// Whether it holds for each of the days that a date can be, for none, or who knows. It holds for days in a row: `place` says whether a day lies
    /// before them, among them, or after them. So the first and the last day that the date can be tell of all between.
    fn on_days(&self, value: &Value, place: impl Fn(NaiveDate) -> Ordering) -> Truth {
        let Some(PartialDate { earliest, latest }) = value.days() else { return Truth::No };
        let first = place(earliest);
        if earliest == latest || place(latest) == first { Truth::of(first == Ordering::Equal) } else { Truth::Doubt }
    }

    /// Notes the answers for which a condition is at least so true.
    pub fn why(&self, condition: &Condition, least: Truth, because: &mut BTreeMap<String, Known>) {
        match condition {
            Condition::All(parts) => parts.iter().for_each(|part| self.why(part, least, because)),
            Condition::Any(parts) => {
                let true_enough = parts.iter().filter(|part| self.truth(part).0 >= least);
                true_enough.for_each(|part| self.why(part, least, because));
            }
            Condition::Not(part) => self.why_not(part, least.not(), because),
            atom => self.note(atom.question(), because),
        }
    }

    /// Notes the answers for which a condition is at most so true.
    fn why_not(&self, condition: &Condition, most: Truth, because: &mut BTreeMap<String, Known>) {
        match condition {
            Condition::All(parts) => {
                let false_enough = parts.iter().filter(|part| self.truth(part).1 <= most);
                false_enough.for_each(|part| self.why_not(part, most, because));
            }
            Condition::Any(parts) => parts.iter().for_each(|part| self.why_not(part, most, because)),
            Condition::Not(part) => self.why(part, most.not(), because),
            atom => self.note(atom.question(), because),
        }
    }

    pub fn note(&self, question: Option<&str>, because: &mut BTreeMap<String, Known>) {
        if let Some((question, fact)) = question.and_then(|question| Some((question, self.facts.get(question)?))) {
            because.insert(question.to_owned(), fact.known.clone());
        } else if question == Some(BORN_ON) && self.doubts_age {
            because.insert(BORN_ON.to_owned(), Known::Unknown);
        }
    }

    /// Questions of a condition that are not answered, or not for certain.
    pub fn open(&self, condition: &Condition, questions: &mut BTreeSet<String>) {
        condition.walk(&mut |part| {
            if let Some(question) = part.question()
                && (question != BORN_ON || self.doubts_age)
                && matches!(self.facts.state(question, self.date), State::Missing | State::Doubt)
                && !matches!(self.facts.get(question).map(|fact| &fact.known), Some(Known::InDoubt))
            {
                questions.insert(question.to_owned());
            }
        });
    }
}

/// Whether a number lies before the bounds, within them or after them.
fn place(number: i64, from: Option<i32>, under: Option<i32>) -> Ordering {
    if from.is_some_and(|from| number < i64::from(from)) {
        Ordering::Less
    } else if under.is_some_and(|under| number >= i64::from(under)) {
        Ordering::Greater
    } else {
        Ordering::Equal
    }
}

/// Whether a condition on answers alone holds for certain, or for certain not; none where that is in doubt or was not answered.
pub(super) fn is_so(condition: &Condition, facts: &Facts, date: NaiveDate) -> Option<bool> {
    match about(condition, facts, date) {
        (Truth::Yes, Truth::Yes) => Some(true),
        (Truth::No, Truth::No) => Some(false),
        _ => None,
    }
}

/// Whether a condition on answers alone is in doubt by answers that were given, whatever else is answered.
pub(super) fn is_in_doubt(condition: Option<&Condition>, facts: &Facts, date: NaiveDate) -> bool {
    condition.is_some_and(|condition| about(condition, facts, date) == (Truth::Doubt, Truth::Doubt))
}

fn about(condition: &Condition, facts: &Facts, date: NaiveDate) -> Between {
    let service = ServiceProfile {
        slug: String::new(),
        techniques: Vec::new(),
        pressure_from: Pressure::Light,
        pressure_to: Pressure::Deep,
        regions: RegionSet::ALL,
    };
    let asked = Asked {
        service: &service,
        techniques: &[],
        pressure: None,
        minutes: 0,
        regions: RegionSet::default(),
        place: &[],
    };
    Case { facts, asked: &asked, date, doubts_age: false }.truth(condition)
}
