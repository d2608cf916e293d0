//! Rules of care as data: conditions on answers and on what is asked for, and what follows where they hold.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::MedicineClass;
use super::body::{Position, Product, RegionSet};
use crate::values::Pressure;

/// When a rule holds. In three-valued logic: an answer that is not known is neither yes nor no.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = CareCondition, example = json!({ "pressure": "firm" }))]
pub enum Condition {
    /// All of these.
    #[schema(no_recursion)]
    All(Vec<Condition>),
    /// Any of these.
    #[schema(no_recursion)]
    Any(Vec<Condition>),
    /// Not this.
    #[schema(no_recursion)]
    Not(Box<Condition>),
    /// A yes or no is this, or an option was chosen.
    Is(Is),
    /// So many days have passed since a date that was answered. A date ahead has not passed, and then it does not hold.
    DaysSince(Bounded),
    /// So many whole weeks of pregnancy, counted from the due date that was answered: 40 weeks on that day.
    WeeksPregnant(Bounded),
    /// So many years old.
    Age(Bounds),
    /// A number that was answered.
    Number(Bounded),
    /// One of these regions was answered; without a question, is asked to be worked on.
    Region(InRegion),
    /// One of these services, by slug.
    Service(BTreeSet<String>),
    /// One of these techniques is part of what is asked for, by slug.
    Technique(BTreeSet<String>),
    /// What is asked for is at least so firm: the pressure that was chosen, or else the lightest that the service is done with.
    Pressure(Pressure),
    /// The visit is in one of these countries or regions.
    Place(BTreeSet<String>),
    /// A medicine of one of these kinds is taken.
    MedicineClass(Takes),
}

/// A question and the answer that is looked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = IsAnswered)]
pub struct Is {
    /// The question.
    pub question: String,
    /// The answer.
    pub value: Sought,
}

/// An answer that is looked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = SoughtAnswer)]
pub enum Sought {
    /// Yes or no.
    YesNo(bool),
    /// An option.
    Option(String),
}

/// Bounds on what a question's answer comes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BoundedAnswer)]
pub struct Bounded {
    /// The question.
    pub question: String,
    /// At least so much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<i32>,
    /// Less than so much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under: Option<i32>,
}

/// Bounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AgeBounds)]
pub struct Bounds {
    /// At least so much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<i32>,
    /// Less than so much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under: Option<i32>,
}

/// Regions that are looked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RegionSought)]
pub struct InRegion {
    /// The question; none for the regions that the visit is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// Any of these.
    pub any_of: RegionSet,
}

/// Medicines that are looked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MedicineSought)]
pub struct Takes {
    /// The question.
    pub question: String,
    /// Any of these.
    pub any_of: BTreeSet<MedicineClass>,
}

/// What follows where a rule holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = CareEffect)]
pub enum Effect {
    /// Not suitable, whatever a provider says.
    Refuse,
    /// Not before a birthday: the rule asks for an `age` `under` some years, and nobody is booked for who is younger on the day of the visit.
    TooYoung,
    /// No massage: see a doctor.
    SeekCare {
        /// How soon.
        urgency: Urgency,
    },
    /// Not at present.
    NotNow {
        /// Until when, where it can be told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Until>,
    },
    /// A healthcare provider's word first.
    Clearance(ClearanceNeed),
    /// Only so.
    Limit(Box<Limit>),
    /// The therapist needs this training.
    Credential {
        /// Its code.
        training: String,
    },
    /// A consent is needed.
    Consent {
        /// The code of its text.
        text: String,
    },
    /// Something to be told.
    Tell {
        /// To whom.
        to: Audience,
        /// What.
        text: String,
    },
}

/// How soon to see a doctor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CareUrgency)]
pub enum Urgency {
    /// Today or tomorrow.
    Urgent,
    /// At once, by the emergency number.
    Emergency,
}

/// Until so many days after a date that was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NotNowUntil)]
pub struct Until {
    /// The question that the date answers.
    pub question: String,
    /// Days after it.
    pub days: i32,
}

/// What kind of clearance is needed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClearanceNeed {
    /// Whose word.
    pub from: Provider,
    /// What it must name.
    pub scope: Scope,
    /// For how many days after its date it counts at the most.
    #[schema(minimum = 1, maximum = 730, example = 90)]
    pub lasts_days: i32,
}

/// Who can give a clearance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Any healthcare provider who treats the person.
    Provider,
    /// A midwife or a doctor.
    MidwifeOrDoctor,
    /// A doctor.
    Doctor,
    /// The specialist who treats the condition.
    Specialist,
}

/// What a clearance must name to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Massage as such.
    Any,
    /// The service.
    Service,
}

/// What is avoided or kept below.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CareLimit)]
pub struct Limit {
    /// No firmer than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pressure: Option<Pressure>,
    /// No longer than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<i16>,
    /// Regions that are avoided.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub regions: RegionSet,
    /// Questions whose answer tells of regions that are avoided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answered: Vec<String>,
    /// On limbs, what lies further from the trunk is avoided too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub distal: bool,
    /// Techniques that are avoided.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub techniques: BTreeSet<String>,
    /// The only positions that are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positions: Option<BTreeSet<Position>>,
    /// Products that are avoided.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub products: BTreeSet<Product>,
}

const fn is_empty(set: &RegionSet) -> bool {
    set.is_empty()
}

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CareAudience)]
pub enum Audience {
    /// The person who answered.
    Person,
    /// The therapist, on the sheet of a confirmed visit.
    Therapist,
}

/// What is done where an answer is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OnUnknown)]
pub enum OnUnknown {
    /// As if the rule held: the safe side.
    Fire,
    /// The question is asked again, and nothing else.
    Ask,
    /// Nothing.
    Ignore,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CareRule)]
pub struct Rule {
    /// A stable name.
    pub code: String,
    /// What it says, in words for everyone.
    pub words: String,
    /// When it holds.
    pub when: Condition,
    /// What is done in doubt: where it is left out, `fire` from a clearance up, and `ask` below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_unknown: Option<OnUnknown>,
    /// What follows.
    pub effects: Vec<Effect>,
    /// What it rests on: names of the rule set's sources.
    pub sources: BTreeSet<String>,
    /// Cases that must come out as they say.
    pub examples: Vec<Example>,
}

impl Rule {
    /// The age from which it holds no more: it asks for one that is under some years, by itself or with all else that it asks for.
    pub(super) fn least_age(&self) -> Option<i32> {
        fn of(condition: &Condition) -> Option<i32> {
            match condition {
                Condition::Age(Bounds { under, .. }) => *under,
                Condition::All(parts) => parts.iter().filter_map(of).min(),
                _ => None,
            }
        }
        of(&self.when)
    }

    /// Whether it is for those alone who are old enough.
    pub(super) fn is_for_older(&self) -> bool {
        self.effects.contains(&Effect::TooYoung)
    }

    /// What is done in doubt.
    pub fn in_doubt(&self) -> OnUnknown {
        let heavy = |effect: &Effect| {
            matches!(
                effect,
                Effect::Refuse
                    | Effect::TooYoung
                    | Effect::SeekCare { .. }
                    | Effect::NotNow { .. }
                    | Effect::Clearance(_)
            )
        };
        let default = if self.effects.iter().any(heavy) { OnUnknown::Fire } else { OnUnknown::Ask };
        self.on_unknown.unwrap_or(default)
    }
}

/// An answer of a worked case, as the document describes it: a value, or null for "I don't know".
#[derive(Debug)]
pub struct ExampleAnswer;

impl ToSchema for ExampleAnswer {}

impl utoipa::PartialSchema for ExampleAnswer {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::{ObjectBuilder, OneOfBuilder, Ref, Type};
        let unknown = ObjectBuilder::new().schema_type(Type::Null);
        OneOfBuilder::new().item(Ref::from_schema_name("AnswerValue")).item(unknown).into()
    }
}

/// A worked case: with these answers, on this date, this is the outcome, and the rule is among the reasons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RuleExample)]
pub struct Example {
    /// Answers by question: a value as the API takes it, or null for "I don't know".
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, ExampleAnswer>)]
    pub answers: BTreeMap<String, serde_json::Value>,
    /// The service, by slug.
    pub service: String,
    /// The pressure that is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pressure: Option<Pressure>,
    /// The regions that the visit is asked for.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub regions: RegionSet,
    /// The country or region of the visit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The date of the visit.
    pub date: chrono::NaiveDate,
    /// What comes of it.
    pub outcome: super::Outcome,
}

/// A set of rules, as it is written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CareRuleSet)]
pub struct RuleSet {
    /// What rules rest on, by a short name.
    pub sources: BTreeMap<String, String>,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// A question on whose date something depends, with the day's distance after which it changes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Turn {
    /// So many days after the date.
    Days(String, i32),
    /// So many years after the date.
    Years(String, i32),
}

impl Condition {
    /// Every part of it, itself first.
    pub(super) fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.walk(visit)),
            Self::Not(part) => part.walk(visit),
            _ => {}
        }
    }

    /// Whether it hangs on the regions that a visit is asked for.
    pub(super) fn names_regions(&self) -> bool {
        let mut found = false;
        self.walk(&mut |part| found |= matches!(part, Self::Region(InRegion { question: None, .. })));
        found
    }

    /// How deep it nests; 1 for a condition without parts.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::All(parts) | Self::Any(parts) => 1 + parts.iter().map(Self::depth).max().unwrap_or(0),
            Self::Not(part) => 1 + part.depth(),
            _ => 1,
        }
    }

    /// The question that a condition without parts looks at.
    pub(super) fn question(&self) -> Option<&str> {
        match self {
            Self::Is(is) => Some(&is.question),
            Self::DaysSince(bounded) | Self::WeeksPregnant(bounded) | Self::Number(bounded) => Some(&bounded.question),
            Self::Age(_) => Some(super::answers::BORN_ON),
            Self::Region(region) => region.question.as_deref(),
            Self::MedicineClass(takes) => Some(&takes.question),
            Self::All(_)
            | Self::Any(_)
            | Self::Not(_)
            | Self::Service(_)
            | Self::Technique(_)
            | Self::Pressure(_)
            | Self::Place(_) => None,
        }
    }

    /// The days on which a condition without parts turns.
    pub(super) fn turns(&self) -> Vec<Turn> {
        let at = |question: &str, days: Option<i32>| days.map(|days| Turn::Days(question.to_owned(), days));
        match self {
            Self::DaysSince(Bounded { question, from, under }) => {
                [at(question, Some(0)), at(question, *from), at(question, *under)].into_iter().flatten().collect()
            }
            Self::WeeksPregnant(Bounded { question, from, under }) => {
                let week = |weeks: Option<i32>| at(question, weeks.map(|weeks| weeks * 7 - super::PREGNANCY_DAYS));
                [week(*from), week(*under)].into_iter().flatten().collect()
            }
            Self::Age(Bounds { from, under }) => {
                let years = [from, under].into_iter().flatten();
                years.map(|years| Turn::Years(super::answers::BORN_ON.to_owned(), *years)).collect()
            }
            _ => Vec::new(),
        }
    }
}
