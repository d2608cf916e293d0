//! The decision: whether a service suits a person on a day, how, and why. It is pure: the same rules, facts, wish and date give the same decision.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::{BORN_ON, Facts, Known, PartialDate, State, Value};
use super::body::{Position, Product, RegionSet};
use super::rules::{Audience, ClearanceNeed, Effect, Limit, OnUnknown, Provider, Rule, RuleSet, Scope, Turn, Urgency};
pub(super) use super::truth::after;
use super::truth::{Case, Truth, birthday};
use crate::values::Pressure;

/// Days of a pregnancy, from which its weeks are counted back: 40 weeks.
pub(super) const PREGNANCY_DAYS: i32 = 280;

/// What comes of a decision, from the mildest to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CareOutcome)]
pub enum Outcome {
    /// As it is asked for.
    Suitable,
    /// Within limits.
    Adapted,
    /// After a healthcare provider's word.
    ClearanceNeeded,
    /// Later.
    NotNow,
    /// Not this.
    Refused,
    /// Nothing, and a doctor today or tomorrow.
    Urgent,
    /// Nothing, and the emergency number at once.
    Emergency,
}

/// What rules need to know of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceProfile {
    /// Its slug.
    pub slug: String,
    /// Its techniques, and whether each is at the core of it: without any of its core techniques it is another service.
    pub techniques: Vec<(String, bool)>,
    /// The lightest pressure that it is done with.
    pub pressure_from: Pressure,
    /// The firmest.
    pub pressure_to: Pressure,
    /// The regions that it works on.
    pub regions: RegionSet,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The service.
    pub service: &'a ServiceProfile,
    /// The techniques, by slug; none of them for all that the service is made of.
    pub techniques: &'a [String],
    /// The pressure, if one was chosen.
    pub pressure: Option<Pressure>,
    /// Minutes on the table.
    pub minutes: i16,
    /// Regions to be worked on; none of them for all that the service works on.
    pub regions: RegionSet,
    /// The country and the region of the visit.
    pub place: &'a [String],
}

impl Asked<'_> {
    pub(super) fn techniques(&self) -> impl Iterator<Item = &str> {
        let chosen = self.techniques.iter().map(String::as_str);
        let own = self.service.techniques.iter().filter(|_| self.techniques.is_empty()).map(|(slug, _)| slug.as_str());
        chosen.chain(own)
    }

    pub(super) fn pressure(&self) -> Pressure {
        self.pressure.unwrap_or(self.service.pressure_from)
    }

    pub(super) fn regions(&self) -> RegionSet {
        if self.regions.is_empty() { self.service.regions } else { self.regions }
    }
}

/// A clearance that was accepted, as far as a decision asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clearance {
    /// The rules that it names.
    pub rules: BTreeSet<String>,
    /// Who gave it.
    pub from: Provider,
    /// The services that it names, by slug; none of them for massage as such.
    pub services: BTreeSet<String>,
    /// Its date, which is the first day on which it counts.
    pub given_on: NaiveDate,
    /// The last day on which it counts.
    pub until: NaiveDate,
    /// What it limits.
    pub limit: Limit,
}

impl Clearance {
    /// Whether it lifts a need of a rule, on its days and for what it names.
    pub(super) fn lifts(&self, rule: &str, need: &ClearanceNeed) -> bool {
        // A specialist's word is worth a doctor's, and a doctor's a provider's.
        self.rules.contains(rule) && self.from >= need.from && (need.scope == Scope::Any || !self.services.is_empty())
    }

    /// The last day on which it lifts a need.
    pub(super) fn last_day(&self, need: &ClearanceNeed) -> NaiveDate {
        self.until.min(after(self.given_on, need.lasts_days))
    }

    fn covers(&self, rule: &str, need: &ClearanceNeed, asked: &Asked<'_>, date: NaiveDate) -> bool {
        let names_service = self.services.is_empty() || self.services.contains(&asked.service.slug);
        self.lifts(rule, need) && names_service && (self.given_on..=self.last_day(need)).contains(&date)
    }
}

/// What is avoided or kept below, of all that applies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// No firmer than this.
    pub pressure: Option<Pressure>,
    /// No longer than this, in minutes.
    pub minutes: Option<i16>,
    /// Regions that are avoided.
    pub regions: RegionSet,
    /// Techniques that are avoided, by slug.
    pub techniques: BTreeSet<String>,
    /// The only positions that are left; null where any is.
    pub positions: Option<BTreeSet<Position>>,
    /// Products that are avoided.
    pub products: BTreeSet<Product>,
}

impl Limits {
    /// Whether nothing is limited.
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }

    fn add(&mut self, limit: &Limit, answered: RegionSet) {
        self.pressure = [self.pressure, limit.pressure].into_iter().flatten().min();
        self.minutes = [self.minutes, limit.minutes].into_iter().flatten().min();
        let regions = limit.regions | answered;
        self.regions = self.regions | if limit.distal { regions.with_distal() } else { regions };
        self.techniques.extend(limit.techniques.iter().cloned());
        if let Some(positions) = &limit.positions {
            let left = self.positions.as_ref().map_or_else(|| positions.clone(), |left| left & positions);
            self.positions = Some(left);
        }
        self.products.extend(&limit.products);
    }

    /// Both of these.
    fn and(&mut self, other: &Self) {
        let other = other.clone();
        let limit = Limit {
            pressure: other.pressure,
            minutes: other.minutes,
            regions: other.regions,
            techniques: other.techniques,
            positions: other.positions,
            products: other.products,
            ..Limit::default()
        };
        self.add(&limit, RegionSet::default());
    }

    /// Whether nothing is left of what is asked for: it cannot be done so lightly, no core technique is left, every region that it is for is
    /// avoided, or there is no way to lie.
    pub fn empty(&self, asked: &Asked<'_>) -> bool {
        let core = || asked.service.techniques.iter().filter(|(_, core)| *core);
        let is_out = |slug: &String| self.techniques.contains(slug);
        self.pressure.is_some_and(|most| most < asked.service.pressure_from)
            || (core().next().is_some() && core().all(|(slug, _)| is_out(slug)))
            || (!asked.techniques.is_empty() && asked.techniques.iter().all(is_out))
            || self.regions.holds(asked.regions())
            || self.positions.as_ref().is_some_and(BTreeSet::is_empty)
    }

    /// Which fields of a wish go beyond these limits, or beyond the service's own span: JSON pointers.
    pub fn exceeded(&self, asked: &Asked<'_>) -> Vec<&'static str> {
        let mut exceeded = self.exceeded_alone(asked);
        if asked.pressure.is_some_and(|chosen| chosen > asked.service.pressure_to) && !exceeded.contains(&"/pressure") {
            exceeded.insert(0, "/pressure");
        }
        exceeded
    }

    /// Which fields of a wish go beyond these limits: JSON pointers.
    pub fn exceeded_alone(&self, asked: &Asked<'_>) -> Vec<&'static str> {
        let chosen = asked.pressure.is_some_and(|chosen| self.pressure.is_some_and(|most| chosen > most));
        let long = self.minutes.is_some_and(|most| asked.minutes > most);
        let there = !asked.regions.is_empty() && self.regions.meets(asked.regions);
        let done = asked.techniques.iter().any(|slug| self.techniques.contains(slug));
        let found = [(chosen, "/pressure"), (long, "/duration_minutes"), (there, "/regions"), (done, "/techniques")];
        found.into_iter().filter(|(exceeds, _)| *exceeds).map(|(_, pointer)| pointer).collect()
    }
}

/// A clearance that is still needed, and the rule that asks for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct RuleClearance {
    /// The rule that a clearance must name.
    #[schema(example = "pregnant_early")]
    pub rule: String,
    #[serde(flatten)]
    pub need: ClearanceNeed,
}

/// What is needed besides.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Needs {
    /// Clearances.
    pub clearances: BTreeSet<RuleClearance>,
    /// Consents, by the codes of their texts.
    pub consents: BTreeSet<String>,
    /// The training that the therapist needs.
    pub credentials: BTreeSet<String>,
    /// Questions to be answered, or answered again.
    pub questions: BTreeSet<String>,
}

/// What the person is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Advice {
    /// The rule that says so.
    #[schema(example = "anticoagulant")]
    pub rule: String,
    /// What it says.
    #[schema(example = "Bruises come easily with blood thinners.")]
    pub text: String,
}

/// A rule that holds, and the answers that made it hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// The rule.
    pub rule: String,
    /// Questions and what is known of them, by question.
    pub because: BTreeMap<String, Known>,
    /// Whether it holds only because an answer is not known.
    pub in_doubt: bool,
}

/// Whether a service suits a person on a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The outcome.
    pub outcome: Outcome,
    /// What applies.
    pub limits: Limits,
    /// What is needed.
    pub needs: Needs,
    /// What the person is told.
    pub advice: Vec<Advice>,
    /// What the therapist is told on the sheet of a confirmed visit.
    pub sheet: Vec<Advice>,
    /// Which rules hold, and why, by code.
    pub hits: Vec<Hit>,
    /// The first day from which it is neither `not_now` nor too early in the person's life, by the rules that can tell.
    pub not_before: Option<NaiveDate>,
    /// The first day after this one on which anything could change while answers and rules stay.
    pub holds_until: Option<NaiveDate>,
}

impl Decision {
    /// What holds for a visit that lies on both days: the worse outcome, and all that either asks for.
    #[must_use]
    pub fn with_next_day(mut self, next: Self) -> Self {
        self.outcome = self.outcome.max(next.outcome);
        self.limits.and(&next.limits);
        self.needs.clearances.extend(next.needs.clearances);
        self.needs.consents.extend(next.needs.consents);
        self.needs.credentials.extend(next.needs.credentials);
        self.needs.questions.extend(next.needs.questions);
        for (own, other) in [(&mut self.advice, next.advice), (&mut self.sheet, next.sheet)] {
            own.extend(other);
            own.sort();
            own.dedup();
        }
        for hit in next.hits {
            if !self.hits.iter().any(|own| own.rule == hit.rule) {
                self.hits.push(hit);
            }
        }
        self.hits.sort_by(|a, b| a.rule.cmp(&b.rule));
        self.not_before = self.not_before.max(next.not_before);
        self.holds_until = [self.holds_until, next.holds_until].into_iter().flatten().min();
        self
    }

    /// The facts that the decision rests on: with them alone, the same rules hold.
    pub fn grounds(&self) -> Facts {
        let mut facts = Facts::default();
        for (question, known) in self.hits.iter().flat_map(|hit| &hit.because) {
            facts.put(question.clone(), known.clone(), None);
        }
        facts
    }
}

/// Why nothing but a person's age speaks against a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// They are too young.
    TooYoung,
    /// No date of birth was told.
    Unknown,
}

/// Rules in the form in which they are asked: in the order of their codes, so that the order in which they were written never matters.
#[derive(Clone, Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    turns: Vec<Turn>,
}

impl From<&RuleSet> for Rules {
    fn from(set: &RuleSet) -> Self {
        let mut rules = set.rules.clone();
        rules.sort_by(|a, b| a.code.cmp(&b.code));
        let mut turns = Vec::new();
        for rule in &rules {
            rule.when.walk(&mut |part| {
                for turn in part.turns() {
                    if !turns.contains(&turn) {
                        turns.push(turn);
                    }
                }
            });
        }
        Self { rules, turns }
    }
}

impl Rules {
    /// Every rule, by code.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    /// Whether one of them asks for a least age, so that who told nothing may be too young.
    pub(super) fn ask_for_age(&self) -> bool {
        self.rules.iter().any(Rule::is_for_older)
    }

    /// Whether a decision refuses for nothing but the person's age; and whether that is known.
    pub(super) fn are_for_older(&self, decision: &Decision) -> Option<Age> {
        let rule_of = |hit: &Hit| self.rules.iter().find(|rule| rule.code == hit.rule);
        let for_older = |hit: &&Hit| rule_of(hit).is_some_and(Rule::is_for_older);
        let refuses = |hit: &Hit| rule_of(hit).is_some_and(|rule| rule.effects.contains(&Effect::Refuse));
        if decision.outcome != Outcome::Refused || decision.hits.iter().any(refuses) {
            return None;
        }
        let mut hits = decision.hits.iter().filter(for_older).peekable();
        hits.peek()?;
        Some(if hits.all(|hit| hit.in_doubt) { Age::Unknown } else { Age::TooYoung })
    }

    /// The day after `date` on which anything could change.
    fn next_turn(&self, facts: &Facts, clearances: &[Clearance], date: NaiveDate) -> Option<NaiveDate> {
        let days_of = |question: &str| match facts.get(question).map(|fact| &fact.known) {
            Some(Known::Value(value)) => value.days(),
            _ => None,
        };
        let ends = |turn: &Turn| match turn {
            Turn::Days(question, days) => {
                days_of(question).map(|PartialDate { earliest, latest }| [after(earliest, *days), after(latest, *days)])
            }
            Turn::Years(question, years) => {
                let of = |date| birthday(date, *years);
                days_of(question).map(|PartialDate { earliest, latest }| [of(earliest), of(latest)])
            }
        };
        let turns = self.turns.iter().filter_map(ends).flatten();
        let expiries = facts.iter().filter_map(|(_, fact)| fact.expires_on);
        let needs = || {
            self.rules.iter().flat_map(|rule| &rule.effects).filter_map(|effect| match effect {
                Effect::Clearance(need) => Some(need.lasts_days),
                _ => None,
            })
        };
        let letters = clearances.iter().flat_map(|letter| {
            let ends = needs().map(|days| after(letter.given_on, days.saturating_add(1)));
            [letter.given_on, after(letter.until, 1)].into_iter().chain(ends)
        });
        turns.chain(expiries).chain(letters).filter(|day| *day > date).min()
    }
}

/// Decides whether what is asked for suits a person on `date`, a day at the place of the visit.
///
/// A rule whose questions were not put never holds: it is told as a question to be answered. A rule that is in doubt, because an answer is "I don't
/// know", does what it says for that. So does one that asks for a least age, where no date of birth was told. Effects join in any order: the worst outcome, the least pressure and time, everything that is avoided, the
/// positions that all leave, and everything that is needed. A clearance takes away the needs for a clearance that it covers, and nothing else.
pub fn decide(rules: &Rules, facts: &Facts, clearances: &[Clearance], asked: &Asked<'_>, date: NaiveDate) -> Decision {
    weigh(rules, facts, clearances, (asked, date, true))
}

/// The same of a worked example: where it tells no date of birth, it is of someone who is old enough.
pub(super) fn decide_example(rules: &Rules, facts: &Facts, asked: &Asked<'_>, date: NaiveDate) -> Decision {
    weigh(rules, facts, &[], (asked, date, false))
}

fn weigh(
    rules: &Rules,
    facts: &Facts,
    clearances: &[Clearance],
    (asked, date, doubts_age): (&Asked<'_>, NaiveDate, bool),
) -> Decision {
    let mut decision = Decision {
        outcome: Outcome::Suitable,
        limits: Limits::default(),
        needs: Needs::default(),
        advice: Vec::new(),
        sheet: Vec::new(),
        hits: Vec::new(),
        not_before: None,
        holds_until: rules.next_turn(facts, clearances, date),
    };
    for rule in &rules.rules {
        let case = Case { facts, asked, date, doubts_age: doubts_age && rule.is_for_older() };
        let (low, high) = case.truth(&rule.when);
        if high == Truth::No {
            continue;
        }
        let in_doubt = rule.in_doubt();
        let least = if in_doubt == OnUnknown::Fire { Truth::Doubt } else { Truth::Yes };
        if low < least {
            // Whether it holds depends on what was not asked, or is not known.
            if high == Truth::Yes || in_doubt == OnUnknown::Ask || in_doubt == OnUnknown::Fire {
                case.open(&rule.when, &mut decision.needs.questions);
            }
            continue;
        }
        if case.doubts_age && low < Truth::Yes {
            case.open(&rule.when, &mut decision.needs.questions);
        }
        let mut because = BTreeMap::new();
        case.why(&rule.when, low, &mut because);
        for effect in &rule.effects {
            apply(&case, rule, effect, clearances, &mut decision, &mut because);
        }
        decision.hits.push(Hit { rule: rule.code.clone(), because, in_doubt: low < Truth::Yes });
    }
    if decision.limits.empty(asked) {
        decision.outcome = decision.outcome.max(Outcome::Refused);
    }
    decision
}

fn apply(
    case: &Case<'_>,
    rule: &Rule,
    effect: &Effect,
    clearances: &[Clearance],
    decision: &mut Decision,
    because: &mut BTreeMap<String, Known>,
) {
    let days_of = |question: &str| match case.facts.state(question, case.date) {
        State::Value(value) => value.days(),
        _ => None,
    };
    let outcome = match effect {
        Effect::Refuse => Outcome::Refused,
        Effect::TooYoung => {
            let of_age = rule.least_age().zip(days_of(BORN_ON)).map(|(years, born)| birthday(born.latest, years));
            decision.not_before = decision.not_before.max(of_age.filter(|day| *day > case.date));
            Outcome::Refused
        }
        Effect::SeekCare { urgency: Urgency::Urgent } => Outcome::Urgent,
        Effect::SeekCare { urgency: Urgency::Emergency } => Outcome::Emergency,
        Effect::NotNow { until } => {
            if let Some(until) = until {
                case.note(Some(&until.question), because);
                let end = days_of(&until.question).map(|days| after(days.latest, until.days));
                decision.not_before = decision.not_before.max(end.filter(|end| *end > case.date));
            }
            Outcome::NotNow
        }
        Effect::Clearance(need) => {
            let lifting = clearances.iter().filter(|letter| letter.covers(&rule.code, need, case.asked, case.date));
            let (mut lifted, mut limited) = (false, false);
            for letter in lifting {
                lifted = true;
                decision.limits.add(&letter.limit, RegionSet::default());
                limited |= letter.limit != Limit::default();
            }
            if lifted {
                if limited { Outcome::Adapted } else { Outcome::Suitable }
            } else {
                decision.needs.clearances.insert(RuleClearance { rule: rule.code.clone(), need: need.clone() });
                Outcome::ClearanceNeeded
            }
        }
        Effect::Limit(limit) => {
            let mut answered = RegionSet::default();
            for question in &limit.answered {
                case.note(Some(question), because);
                if let State::Value(Value::Regions(regions)) = case.facts.state(question, case.date) {
                    answered = answered | *regions;
                }
            }
            decision.limits.add(limit, answered);
            Outcome::Adapted
        }
        Effect::Credential { training } => {
            decision.needs.credentials.insert(training.clone());
            Outcome::Suitable
        }
        Effect::Consent { text } => {
            // Nobody works on what needs a consent unless it is asked for by name.
            if !rule.when.names_regions() || !case.asked.regions.is_empty() {
                decision.needs.consents.insert(text.clone());
            }
            Outcome::Suitable
        }
        Effect::Tell { to, text } => {
            let told = Advice { rule: rule.code.clone(), text: text.clone() };
            match to {
                Audience::Person => decision.advice.push(told),
                Audience::Therapist => decision.sheet.push(told),
            }
            Outcome::Suitable
        }
    };
    decision.outcome = decision.outcome.max(outcome);
}

/// Another service that suits, and within what limits.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Alternative {
    /// The service, by slug.
    #[schema(example = "swedish")]
    pub service: String,
    /// Whether it is suitable as it is, or within limits.
    pub outcome: Outcome,
    /// What applies.
    pub limits: Limits,
}

/// The services that suit the same person in the same place on the same day, for as long, at a pressure of their own: the mildest outcome first.
pub fn alternatives(
    rules: &Rules,
    facts: &Facts,
    clearances: &[Clearance],
    asked: &Asked<'_>,
    date: NaiveDate,
    services: &[ServiceProfile],
) -> Vec<Alternative> {
    let others = services.iter().filter(|service| service.slug != asked.service.slug);
    let mut found: Vec<Alternative> = others
        .map(|service| {
            let instead = Asked { service, techniques: &[], pressure: None, ..*asked };
            let decision = decide(rules, facts, clearances, &instead, date);
            Alternative { service: service.slug.clone(), outcome: decision.outcome, limits: decision.limits }
        })
        .filter(|alternative| alternative.outcome <= Outcome::Adapted)
        .collect();
    found.sort_by(|a, b| (a.outcome, &a.service).cmp(&(b.outcome, &b.service)));
    found
}
