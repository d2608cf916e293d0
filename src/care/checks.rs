//! What is checked before rules take effect: that they are of the types they speak of, rest on something, and do what their examples say.

use std::collections::BTreeSet;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use serde_path_to_error::Segment;

use super::answers::{Answer, BORN_ON, Known};
use super::decide::{Asked, Decision, Rules, ServiceProfile, decide_example};
use super::questions::{CODE_FORM, Catalogue, QuestionType, Questionnaire, is_code};
use super::rules::{Bounded, Bounds, Condition, Effect, Example, InRegion, Is, Limit, Rule, RuleSet, Sought, Takes};
use crate::error::FieldError;
use crate::values::{Jurisdiction, checked_text};

/// The most rules of a set.
const MOST_RULES: usize = 300;

/// How deep a condition nests at the most.
const DEEPEST: usize = 6;

/// The most bytes of a set, as JSON.
pub const LARGEST: usize = 64 * 1024;

/// What rules may speak of.
pub struct Vocabulary<'a> {
    /// The questionnaires that are in force.
    pub questionnaires: &'a [Questionnaire],
    /// The services.
    pub services: &'a [ServiceProfile],
    /// The slugs of all techniques.
    pub techniques: &'a BTreeSet<String>,
}

/// Reads a set of rules; what is wrong with its form, with a pointer into it.
pub fn read(json: &Json) -> Result<RuleSet, FieldError> {
    if json.to_string().len() > LARGEST {
        return Err(FieldError::new("", "has at most 64 kB."));
    }
    read_form(json)
}

/// Where a list was sent for an object, whose parts the parser would take in their order.
fn list_for_object(sent: &Json, read: &Json, at: &str) -> Option<String> {
    match (sent, read) {
        (Json::Array(_), Json::Object(_)) => Some(at.to_owned()),
        (Json::Array(sent), Json::Array(read)) => sent
            .iter()
            .zip(read)
            .enumerate()
            .find_map(|(i, (sent, read))| list_for_object(sent, read, &format!("{at}/{i}"))),
        (Json::Object(sent), Json::Object(read)) => {
            sent.iter().find_map(|(key, sent)| list_for_object(sent, read.get(key)?, &format!("{at}/{key}")))
        }
        _ => None,
    }
}

/// Reads data of our own; what is wrong with its form, with a pointer into it.
pub(super) fn read_form<T: DeserializeOwned + Serialize>(json: &Json) -> Result<T, FieldError> {
    let read = serde_path_to_error::deserialize(json).map_err(|error| {
        let pointer: String = error
            .path()
            .iter()
            .map(|segment| match segment {
                Segment::Seq { index } => format!("/{index}"),
                Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
                Segment::Enum { variant } => format!("/{variant}"),
                Segment::Unknown => String::new(),
            })
            .collect();
        FieldError::new(
            pointer,
            "is not of the form that is asked for: a field or a kind is unknown, missing or of another type.",
        )
    })?;
    match list_for_object(json, &json!(read), "") {
        Some(pointer) => Err(FieldError::new(pointer, "must be an object.")),
        None => Ok(read),
    }
}

/// What is wrong with a set of rules; pointers into its JSON. Examples are tried once all else is right.
pub fn faults(set: &RuleSet, known: &Vocabulary<'_>) -> Vec<FieldError> {
    let catalogue = Catalogue::of(known.questionnaires);
    let mut found = Vec::new();
    if !(1..=MOST_RULES).contains(&set.rules.len()) {
        found.push(FieldError::new("/rules", "has 1 to 300 rules."));
    }
    for (name, text) in &set.sources {
        if !is_code(name) || checked_text(text, 1, 300, false).is_err() {
            found
                .push(FieldError::new(format!("/sources/{name}"), "is a short name with 1 to 300 characters of text."));
        }
    }
    let mut codes = BTreeSet::new();
    for (i, rule) in set.rules.iter().enumerate() {
        if !codes.insert(&rule.code) {
            found.push(FieldError::new(format!("/rules/{i}/code"), "is the code of a rule before it."));
        }
        rule_faults(rule, &format!("/rules/{i}"), set, known, &catalogue, &mut found);
    }
    if found.is_empty() {
        let rules = Rules::from(set);
        for (i, rule) in set.rules.iter().enumerate() {
            for (n, example) in rule.examples.iter().enumerate() {
                if let Err((part, why)) = try_example(&rules, &rule.code, example, known, &catalogue) {
                    found.push(FieldError::new(format!("/rules/{i}/examples/{n}{part}"), why));
                }
            }
        }
    }
    found
}

fn rule_faults(
    rule: &Rule,
    at: &str,
    set: &RuleSet,
    known: &Vocabulary<'_>,
    catalogue: &Catalogue<'_>,
    found: &mut Vec<FieldError>,
) {
    let mut refuse = |part: &str, why: String| found.push(FieldError::new(format!("{at}{part}"), why));
    if !is_code(&rule.code) {
        refuse("/code", CODE_FORM.to_owned());
    }
    if let Err(why) = checked_text(&rule.words, 1, 300, false) {
        refuse("/words", format!("{why}."));
    }
    if rule.when.depth() > DEEPEST {
        refuse("/when", "nests at most 6 deep.".to_owned());
    }
    let mut asks = false;
    rule.when.walk(&mut |part| asks |= part.question().is_some());
    // Whatever makes a service less suitable names an answer. What the law of a place asks for needs none.
    let light =
        |effect: &Effect| matches!(effect, Effect::Credential { .. } | Effect::Consent { .. } | Effect::Tell { .. });
    if !asks && !rule.effects.iter().all(light) {
        refuse("/when", "asks nothing of the person, and yet limits or refuses.".to_owned());
    }
    if rule.sources.is_empty() {
        refuse("/sources", "names at least one source.".to_owned());
    }
    for source in rule.sources.iter().filter(|source| !set.sources.contains_key(*source)) {
        refuse("/sources", format!("`{source}` is not among the sources."));
    }
    if !(1..=8).contains(&rule.effects.len()) {
        refuse("/effects", "has 1 to 8 effects.".to_owned());
    }
    if !(1..=5).contains(&rule.examples.len()) {
        refuse("/examples", "has 1 to 5 worked examples.".to_owned());
    }
    found.extend(condition_faults(&rule.when, &format!("{at}/when"), catalogue, Some(known)));
    for (n, effect) in rule.effects.iter().enumerate() {
        if *effect == Effect::TooYoung && rule.least_age().is_none() {
            found.push(FieldError::new(
                format!("{at}/effects/{n}"),
                "needs an `age` `under` some years in `when`: alone, or in its `all`.",
            ));
        }
        let faults = effect_faults(effect, known, catalogue);
        found.extend(faults.into_iter().map(|why| FieldError::new(format!("{at}/effects/{n}"), why)));
    }
}

fn effect_faults(effect: &Effect, known: &Vocabulary<'_>, catalogue: &Catalogue<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let mut expect = |holds: bool, why: &str| {
        if !holds {
            found.push(why.to_owned());
        }
    };
    let is_of = |question: &str, kinds: &[QuestionType]| {
        catalogue.get(question).is_some_and(|question| kinds.contains(&question.kind))
    };
    match effect {
        Effect::Refuse | Effect::TooYoung | Effect::SeekCare { .. } | Effect::NotNow { until: None } => {}
        Effect::NotNow { until: Some(until) } => {
            let dated = is_of(&until.question, &[QuestionType::Date, QuestionType::PartialDate]);
            expect(dated, "`until` names a question with a date.");
            expect((0..=1000).contains(&until.days), "`days` lies between 0 and 1000.");
        }
        Effect::Clearance(need) => expect((1..=730).contains(&need.lasts_days), "`lasts_days` lies between 1 and 730."),
        Effect::Limit(limit) => {
            expect(**limit != Limit::default(), "limits nothing.");
            let regions = limit.answered.iter().all(|question| is_of(question, &[QuestionType::Regions]));
            expect(regions, "`answered` names questions for regions.");
            for why in limit_faults(limit, known.techniques) {
                expect(false, why);
            }
        }
        Effect::Credential { training } => expect(is_code(training), "`training` is a code."),
        Effect::Consent { text } => expect(is_code(text), "`text` is a code."),
        Effect::Tell { text, .. } => {
            expect(checked_text(text, 1, 400, false).is_ok(), "`text` has 1 to 400 characters.")
        }
    }
    found
}

/// What is wrong with a limit, whoever sets it.
pub(super) fn limit_faults(limit: &Limit, techniques: &BTreeSet<String>) -> Vec<&'static str> {
    let checks = [
        (limit.minutes.is_none_or(|minutes| (15..=240).contains(&minutes)), "`minutes` lies between 15 and 240."),
        (
            limit.techniques.iter().all(|slug| techniques.contains(slug)),
            "names a technique that is not in the catalogue.",
        ),
        (limit.positions.as_ref().is_none_or(|left| !left.is_empty()), "leaves no position."),
        (!limit.distal || !limit.regions.is_empty() || !limit.answered.is_empty(), "`distal` needs regions."),
    ];
    checks.into_iter().filter(|(holds, _)| !holds).map(|(_, why)| why).collect()
}

/// What is wrong with a condition. Without `known` it can only look at questions.
pub(super) fn condition_faults(
    condition: &Condition,
    at: &str,
    catalogue: &Catalogue<'_>,
    known: Option<&Vocabulary<'_>>,
) -> Vec<FieldError> {
    let mut found = Vec::new();
    condition.walk(&mut |part| {
        if let Some(why) = part_fault(part, catalogue, known) {
            found.push(FieldError::new(at, why));
        }
    });
    found
}

fn part_fault(part: &Condition, catalogue: &Catalogue<'_>, known: Option<&Vocabulary<'_>>) -> Option<String> {
    let of = |question: &str, kinds: &[QuestionType]| match catalogue.get(question) {
        None => Some(format!("`{question}` is asked by no questionnaire that is in force.")),
        Some(found) if kinds.contains(&found.kind) => None,
        Some(_) => Some(format!("`{question}` has answers of another kind.")),
    };
    let span = |from: Option<i32>, under: Option<i32>, most: i32| {
        let inside = [from, under].into_iter().flatten().all(|bound| (0..=most).contains(&bound));
        let empty = from.zip(under).is_some_and(|(from, under)| from >= under);
        let sound = inside && !empty && (from.is_some() || under.is_some());
        (!sound).then(|| format!("needs `from`, `under` or both, in order, between 0 and {most}."))
    };
    let slugs = |asked: &BTreeSet<String>, is_known: &dyn Fn(&String) -> bool, what: &str| {
        let sound = !asked.is_empty() && asked.iter().all(is_known);
        (!sound).then(|| format!("names {what} that is not in the catalogue, or none."))
    };
    match part {
        Condition::All(parts) | Condition::Any(parts) => {
            (!(1..=60).contains(&parts.len())).then(|| "has 1 to 60 parts.".to_owned())
        }
        Condition::Not(_) => None,
        Condition::Is(Is { question, value: Sought::YesNo(_) }) => of(question, &[QuestionType::YesNo]),
        Condition::Is(Is { question, value: Sought::Option(option) }) => {
            of(question, &[QuestionType::Choice, QuestionType::Choices]).or_else(|| {
                let known = catalogue.get(question)?.options.iter().any(|known| known.code == *option);
                (!known).then(|| format!("`{option}` is no option of `{question}`."))
            })
        }
        Condition::DaysSince(Bounded { question, from, under }) => {
            of(question, &[QuestionType::Date, QuestionType::PartialDate]).or_else(|| span(*from, *under, 40_000))
        }
        Condition::WeeksPregnant(Bounded { question, from, under }) => {
            of(question, &[QuestionType::Date]).or_else(|| span(*from, *under, 60))
        }
        Condition::Age(Bounds { from, under }) => span(*from, *under, 130),
        Condition::Number(Bounded { question, from, under }) => {
            of(question, &[QuestionType::Number, QuestionType::Nrs]).or_else(|| span(*from, *under, 1_000_000))
        }
        Condition::Region(InRegion { question, any_of }) => {
            let kind = question.as_ref().and_then(|question| of(question, &[QuestionType::Regions]));
            kind.or_else(|| any_of.is_empty().then(|| "names no region.".to_owned()))
        }
        Condition::MedicineClass(Takes { question, any_of }) => of(question, &[QuestionType::Medicines])
            .or_else(|| any_of.is_empty().then(|| "names no kind of medicine.".to_owned())),
        Condition::Service(services) => known.and_then(|known| {
            slugs(services, &|slug| known.services.iter().any(|service| service.slug == *slug), "a service")
        }),
        Condition::Technique(techniques) => {
            known.and_then(|known| slugs(techniques, &|slug| known.techniques.contains(slug), "a technique"))
        }
        Condition::Pressure(_) => None,
        Condition::Place(places) => {
            let sound = !places.is_empty() && places.iter().all(|place| place.parse::<Jurisdiction>().is_ok());
            (!sound).then(|| "names countries and regions, such as US and US-TX.".to_owned())
        }
    }
}

/// Tries a worked example: the part that is wrong, and why.
fn try_example(
    rules: &Rules,
    rule: &str,
    example: &Example,
    known: &Vocabulary<'_>,
    catalogue: &Catalogue<'_>,
) -> Result<(), (&'static str, String)> {
    let decision = outcome_of(rules, example, known.services, catalogue)?;
    if decision.outcome != example.outcome {
        return Err(("/outcome", format!("comes out as `{}`.", crate::values::name(&decision.outcome))));
    }
    if !decision.hits.iter().any(|hit| hit.rule == rule) {
        return Err(("", "does not meet the rule.".to_owned()));
    }
    Ok(())
}

/// What comes of a worked example by `rules`; the part that cannot be tried, and why.
pub(super) fn outcome_of(
    rules: &Rules,
    example: &Example,
    services: &[ServiceProfile],
    catalogue: &Catalogue<'_>,
) -> Result<Decision, (&'static str, String)> {
    let service = services.iter().find(|service| service.slug == example.service);
    let service = service.ok_or_else(|| ("/service", "is not in the catalogue.".to_owned()))?;
    let (mut answers, mut born) = (Vec::new(), None);
    for (code, value) in &example.answers {
        if code == BORN_ON {
            let date = value.as_str().and_then(|text| text.parse().ok());
            born = Some(date.ok_or_else(|| ("/answers", format!("`{code}` must be a date.")))?);
            continue;
        }
        let question = catalogue.get(code).ok_or_else(|| ("/answers", format!("`{code}` is not asked.")))?;
        let known = if value.is_null() {
            Known::Unknown
        } else {
            Known::Value(question.read(value).map_err(|why| ("/answers", format!("`{code}` {why}")))?)
        };
        answers.push(Answer { question: code.clone(), known });
    }
    let mut facts = catalogue.facts(&answers, example.date, 365);
    if let Some(born) = born {
        facts.born_on(born);
    }
    if catalogue.put(&answers, &facts).len() != answers.len() {
        return Err(("/answers", "answer a question that other answers make void.".to_owned()));
    }
    let place = example.place.as_ref().map(|place| place.parse::<Jurisdiction>().map(|place| place.chain()));
    let place = place.transpose().map_err(|_| ("/place", "is no country or region.".to_owned()))?.unwrap_or_default();
    let asked = Asked {
        service,
        techniques: &[],
        pressure: example.pressure,
        minutes: 60,
        regions: example.regions,
        place: &place,
    };
    Ok(decide_example(rules, &facts, &asked, example.date))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_in_the_place_of_an_object_is_found_at_every_depth() {
        let read = json!({ "a": [{ "b": { "c": 1 } }], "d": [1, 2] });
        let found = |sent: Json| list_for_object(&sent, &read, "");
        assert_eq!(found(read.clone()), None);
        assert_eq!(found(json!([[], []])), Some(String::new()));
        assert_eq!(found(json!({ "a": [[1]], "d": [1, 2] })), Some("/a/0".to_owned()));
        assert_eq!(found(json!({ "a": [{ "b": [1] }], "d": [1, 2] })), Some("/a/0/b".to_owned()));
    }
}
