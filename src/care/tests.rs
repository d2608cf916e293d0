//! The rules that come with the service, and what holds of any decision.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value as Json, json};

use super::answers::{Answer, Facts, Known};
use super::body::{REGIONS, RegionSet};
use super::checks::{self, Vocabulary};
use super::decide::{Asked, Clearance, Decision, Outcome, Rules, ServiceProfile, alternatives, decide};
use super::questions::{Catalogue, GivenAnswer, Question, QuestionType, Questionnaire, faults};
use super::rules::{Effect, Limit, Provider, RuleSet};
use crate::values::Pressure;

/// The blocks of JSON in the migration that brings the seed: two lists of questions, and a set of rules.
fn seed() -> (Vec<Questionnaire>, RuleSet) {
    let text = include_str!("../../migrations/0061_seed_care.sql");
    let blocks: Vec<Json> =
        text.split("$json$").skip(1).step_by(2).map(|block| serde_json::from_str(block).expect("JSON")).collect();
    let [health, complaint, rules] = blocks.as_slice() else { panic!("three blocks of JSON") };
    let questionnaire = |code: &str, questions: &Json| {
        let whole = json!({ "code": code, "version": 1, "purpose": code, "title": code, "questions": questions });
        serde_json::from_value::<Questionnaire>(whole).expect("a questionnaire")
    };
    let rules = checks::read(rules).expect("rules");
    (vec![questionnaire("health", health), questionnaire("complaint", complaint)], rules)
}

fn service(slug: &str, from: Pressure, to: Pressure, techniques: &[(&str, bool)]) -> ServiceProfile {
    ServiceProfile {
        slug: slug.to_owned(),
        techniques: techniques.iter().map(|(slug, core)| ((*slug).to_owned(), *core)).collect(),
        pressure_from: from,
        pressure_to: to,
        regions: RegionSet::ALL,
    }
}

/// The services that examples speak of, as the seed describes them; a test of the API tries the examples with the catalogue itself.
fn services() -> Vec<ServiceProfile> {
    use Pressure::{Deep, Firm, Light, Medium};
    vec![
        service(
            "swedish",
            Light,
            Medium,
            &[("effleurage", true), ("petrissage", true), ("kneading", true), ("tapotement", false)],
        ),
        service(
            "deep-tissue",
            Firm,
            Deep,
            &[("stripping", true), ("cross-fibre-friction", true), ("compression", false)],
        ),
        service("pregnancy", Light, Medium, &[("side-lying-positioning", true), ("effleurage", false)]),
        service("hot-stone", Light, Medium, &[("hot-stones", true), ("effleurage", false)]),
        service("relaxation", Light, Medium, &[("effleurage", true), ("rocking", false)]),
    ]
}

fn techniques() -> BTreeSet<String> {
    let more = ["trigger-point-therapy", "joint-mobilisation", "aromatherapy-oils"];
    let own = services().into_iter().flat_map(|service| service.techniques).map(|(slug, _)| slug);
    own.chain(more.map(str::to_owned)).collect()
}

fn date(text: &str) -> NaiveDate {
    text.parse().expect("a date")
}

fn asked<'a>(service: &'a ServiceProfile, pressure: Option<Pressure>) -> Asked<'a> {
    Asked { service, techniques: &[], pressure, minutes: 60, regions: RegionSet::default(), place: &[] }
}

/// Facts from answers in JSON, null for "I don't know", given on the first of December.
fn facts(questionnaires: &[Questionnaire], answers: Json) -> Facts {
    let catalogue = Catalogue::of(questionnaires);
    let answers: Vec<Answer> = answers
        .as_object()
        .expect("an object")
        .iter()
        .map(|(code, value)| {
            let question = catalogue.get(code).unwrap_or_else(|| panic!("no question {code}"));
            let known = if value.is_null() { Known::Unknown } else { Known::Value(question.read(value).expect(code)) };
            Answer { question: code.clone(), known }
        })
        .collect();
    catalogue.facts(&answers, date("2026-12-01"), 365)
}

/// The decision by the seed's rules on the first of December.
fn by_seed(answers: Json, slug: &str, pressure: Option<Pressure>) -> Decision {
    on(answers, slug, pressure, date("2026-12-01"), &[])
}

fn on(answers: Json, slug: &str, pressure: Option<Pressure>, day: NaiveDate, letters: &[Clearance]) -> Decision {
    let (questionnaires, rules) = seed();
    let services = services();
    let service = services.iter().find(|service| service.slug == slug).expect(slug);
    decide(&Rules::from(&rules), &facts(&questionnaires, answers), letters, &asked(service, pressure), day)
}

fn reasons(decision: &Decision) -> Vec<&str> {
    decision.hits.iter().map(|hit| hit.rule.as_str()).collect()
}

#[test]
fn the_seed_is_sound_and_does_what_its_examples_say() {
    let (questionnaires, rules) = seed();
    for questionnaire in &questionnaires {
        assert_eq!(faults(questionnaire), [], "{}", questionnaire.code);
    }
    let (services, techniques) = (services(), techniques());
    let known = Vocabulary { questionnaires: &questionnaires, services: &services, techniques: &techniques };
    assert_eq!(checks::faults(&rules, &known), []);
    assert!(rules.rules.len() > 60 && rules.rules.iter().all(|rule| !rule.examples.is_empty()));
}

#[test]
fn no_example_of_the_seed_is_undecided() {
    let (questionnaires, set) = seed();
    let (rules, catalogue, services) = (Rules::from(&set), Catalogue::of(&questionnaires), services());
    let mut tried = 0;
    for rule in &set.rules {
        for example in rule.examples.iter().filter(|example| !example.answers.values().any(Json::is_null)) {
            let mut answered: Vec<Answer> = Vec::new();
            for (code, value) in example.answers.iter().filter(|(code, _)| *code != "born_on") {
                let value = catalogue.get(code).expect(code).read(value).expect(code);
                answered.push(Answer { question: code.clone(), known: Known::Value(value) });
            }
            let mut facts = catalogue.facts(&answered, example.date, 365);
            if let Some(born) = example.answers.get("born_on") {
                facts.born_on(date(born.as_str().expect("a date")));
            }
            let service = services.iter().find(|service| service.slug == example.service).expect("a service");
            let place: Vec<String> = example.place.iter().cloned().collect();
            let asked = Asked { regions: example.regions, place: &place, ..asked(service, example.pressure) };
            let decision = decide(&rules, &facts, &[], &asked, example.date);
            let hit = decision.hits.iter().find(|hit| hit.rule == rule.code).expect(&rule.code);
            assert!(!hit.in_doubt, "{}", rule.code);
            tried += 1;
        }
    }
    assert!(tried > 70, "{tried}");
}

#[test]
fn a_due_date_counts_by_the_day_of_the_visit() {
    // 40 weeks on 13 June: 13 weeks and a day on 7 December, 12 weeks and six days two days before.
    let pregnant = || json!({ "pregnant": true, "due_on": "2027-06-13" });
    let outcome = |day: &str| on(pregnant(), "pregnancy", None, date(day), &[]).outcome;
    assert_eq!(outcome("2026-11-22"), Outcome::ClearanceNeeded);
    assert_eq!(outcome("2026-12-05"), Outcome::ClearanceNeeded);
    assert_eq!(outcome("2026-12-06"), Outcome::Adapted);
    assert_eq!(outcome("2026-12-07"), Outcome::Adapted);
    let at_eleven = on(pregnant(), "pregnancy", None, date("2026-11-22"), &[]);
    assert_eq!(at_eleven.holds_until, Some(date("2026-12-06")));
    let on_the_side = on(pregnant(), "pregnancy", None, date("2027-01-24"), &[]);
    assert!(reasons(&on_the_side).contains(&"pregnant_side") && on_the_side.needs.credentials.contains("prenatal"));
}

#[test]
fn days_since_surgery_count_by_the_day_of_the_visit() {
    let (questionnaires, mut set) = seed();
    // A place that wants six weeks.
    for rule in &mut set.rules {
        let text = serde_json::to_string(rule)
            .expect("JSON")
            .replace("\"under\":14", "\"under\":42")
            .replace("\"from\":14", "\"from\":42");
        *rule = serde_json::from_str(&text).expect("a rule");
    }
    let rules = Rules::from(&set);
    let operated =
        facts(&questionnaires, json!({ "surgery": true, "surgery_on": "2026-10-22", "surgery_at": ["abdomen"] }));
    let services = services();
    let outcome = |day| decide(&rules, &operated, &[], &asked(&services[0], None), date(day)).outcome;
    assert_eq!(outcome("2026-12-01"), Outcome::NotNow, "day 40");
    assert_eq!(outcome("2026-12-02"), Outcome::NotNow);
    assert_eq!(outcome("2026-12-03"), Outcome::ClearanceNeeded, "day 42");
    let first = decide(&rules, &operated, &[], &asked(&services[0], None), date("2026-12-01"));
    assert_eq!(first.holds_until, Some(date("2026-12-03")));
}

#[test]
fn a_hidden_answer_has_no_effect() {
    let hidden = json!({ "takes_medicines": false, "medicines": [{ "class": "anticoagulant", "name": "Warfarin" }] });
    let decision = by_seed(hidden, "deep-tissue", None);
    assert_eq!((decision.outcome, reasons(&decision)), (Outcome::Suitable, vec![]));
    assert!(!decision.needs.questions.contains("medicines"), "it is not to be asked either");
}

#[test]
fn not_knowing_of_a_clot_needs_a_clearance_and_names_the_answer() {
    let decision = by_seed(json!({ "blood_clot": null }), "deep-tissue", None);
    assert_eq!(decision.outcome, Outcome::ClearanceNeeded);
    let hit = &decision.hits[0];
    assert_eq!(
        (hit.rule.as_str(), hit.in_doubt, hit.because.get("blood_clot")),
        ("clot_recent", true, Some(&Known::Unknown))
    );
    // What was not asked is neither yes nor no.
    let nothing = by_seed(json!({}), "deep-tissue", None);
    assert!(nothing.outcome == Outcome::Suitable && nothing.needs.questions.contains("blood_clot"));
}

fn letter(rules: &[&str], services: &[&str], until: &str) -> Clearance {
    Clearance {
        rules: rules.iter().map(|rule| (*rule).to_owned()).collect(),
        from: Provider::Specialist,
        services: services.iter().map(|slug| (*slug).to_owned()).collect(),
        given_on: date("2026-06-01"),
        until: date(until),
        limit: Limit::default(),
    }
}

#[test]
fn a_letter_lifts_what_it_names_where_and_while_it_holds() {
    let clot = || json!({ "blood_clot": true, "blood_clot_on": "2026-04-20", "blood_clot_treated": true });
    let letters = [letter(&["clot_recent"], &["swedish"], "2026-06-30")];
    let outcome = |slug, day: &str| on(clot(), slug, None, date(day), &letters).outcome;
    assert_eq!(outcome("swedish", "2026-06-30"), Outcome::Adapted, "the legs stay avoided");
    assert_eq!(outcome("deep-tissue", "2026-06-30"), Outcome::ClearanceNeeded);
    assert_eq!(outcome("swedish", "2026-07-01"), Outcome::ClearanceNeeded);
    assert_eq!(outcome("swedish", "2026-05-31"), Outcome::ClearanceNeeded);
    // Over midnight, both days must be covered.
    let over = |day: &str| on(clot(), "swedish", None, date(day), &letters);
    assert_eq!(over("2026-06-30").with_next_day(over("2026-07-01")).outcome, Outcome::ClearanceNeeded);
    // A rule that the letter does not name, and a letter from nobody who may give it.
    assert_eq!(
        on(clot(), "swedish", None, date("2026-06-30"), &[letter(&["heart"], &["swedish"], "2026-06-30")]).outcome,
        Outcome::ClearanceNeeded
    );
    let from = Clearance { from: Provider::Provider, ..letters[0].clone() };
    assert_eq!(on(clot(), "swedish", None, date("2026-06-30"), &[from]).outcome, Outcome::ClearanceNeeded);
    // It counts for as long as the rule lets it, and no longer.
    let long = [letter(&["clot_recent"], &["swedish"], "2027-06-01")];
    assert_eq!(on(clot(), "swedish", None, date("2026-08-30"), &long).outcome, Outcome::Adapted);
    assert_eq!(on(clot(), "swedish", None, date("2026-08-31"), &long).outcome, Outcome::ClearanceNeeded);
    // What it limits is limited.
    let light =
        Clearance { limit: Limit { pressure: Some(Pressure::Light), ..Limit::default() }, ..letters[0].clone() };
    assert_eq!(on(clot(), "swedish", None, date("2026-06-30"), &[light]).limits.pressure, Some(Pressure::Light));
}

#[test]
fn saddle_numbness_is_an_emergency_for_every_service() {
    let new =
        || json!({ "complaint_at": ["low_back"], "cauda_signs": ["saddle_numbness"], "cauda_onset_on": "2026-11-30" });
    for service in services() {
        assert_eq!(by_seed(new(), &service.slug, None).outcome, Outcome::Emergency, "{}", service.slug);
    }
    assert!(by_seed(new(), "swedish", None).advice.iter().any(|advice| advice.text.contains("emergency")));
    // On the shoulder it is not asked.
    let elsewhere = json!({ "complaint_at": ["left_shoulder"], "cauda_signs": ["saddle_numbness"], "cauda_onset_on": "2026-11-30" });
    assert_eq!(by_seed(elsewhere, "swedish", None).outcome, Outcome::Suitable);
}

#[test]
fn a_limit_below_a_service_refuses_it_and_leaves_another() {
    let (questionnaires, rules) = seed();
    let (rules, services) = (Rules::from(&rules), services());
    let facts = facts(&questionnaires, json!({ "osteoporosis": "mild" }));
    let deep = asked(&services[1], None);
    let day = date("2026-12-01");
    let decision = decide(&rules, &facts, &[], &deep, day);
    assert_eq!((decision.outcome, decision.limits.pressure), (Outcome::Refused, Some(Pressure::Medium)));
    let left = alternatives(&rules, &facts, &[], &deep, day, &services);
    assert!(left.iter().any(|left| left.service == "swedish" && left.outcome == Outcome::Adapted), "{left:?}");
    // A chosen pressure beyond the limit, or beyond the service, is the wish's own fault.
    let wish = asked(&services[0], Some(Pressure::Deep));
    let decision = decide(&rules, &facts, &[], &wish, day);
    assert_eq!((decision.outcome, decision.limits.exceeded(&wish)), (Outcome::Adapted, vec!["/pressure"]));
    let whole = Asked { minutes: 90, ..asked(&services[0], None) };
    assert_eq!(decision.limits.exceeded(&whole), Vec::<&str>::new());
}

#[test]
fn limits_join_by_what_is_left() {
    let letters = [Clearance {
        limit: Limit { minutes: Some(45), regions: RegionSet::named("neck").expect("a region"), ..Limit::default() },
        ..letter(&["cancer"], &["swedish"], "2026-12-31")
    }];
    let letters = [Clearance { given_on: date("2026-11-01"), ..letters[0].clone() }];
    let ill = json!({ "cancer": "treated", "wound": true, "wound_at": ["left_hand"], "allergies": ["nuts", "latex"] });
    let decision = on(ill, "swedish", None, date("2026-12-01"), &letters);
    assert_eq!(decision.outcome, Outcome::Adapted);
    assert_eq!((decision.limits.pressure, decision.limits.minutes), (Some(Pressure::Medium), Some(45)));
    assert_eq!(decision.limits.regions.codes().collect::<Vec<_>>(), ["neck", "left_hand"]);
    assert_eq!(decision.limits.products.len(), 2);
}

#[test]
fn answers_grow_old() {
    let catalogue = seed().0;
    let given = facts(&catalogue, json!({ "ill_now": true, "epilepsy": "uncontrolled" }));
    let (_, set) = seed();
    let (rules, services) = (Rules::from(&set), services());
    let outcome = |day| decide(&rules, &given, &[], &asked(&services[0], None), date(day)).outcome;
    assert_eq!(outcome("2026-12-03"), Outcome::NotNow);
    assert_eq!(outcome("2026-12-04"), Outcome::ClearanceNeeded, "a fever of three days ago is asked for anew");
    assert_eq!(outcome("2027-12-01"), Outcome::Suitable);
}

#[test]
fn answers_are_read_by_their_question() {
    let (questionnaires, _) = seed();
    let catalogue = Catalogue::of(&questionnaires);
    let given = |list: Json| serde_json::from_value::<Vec<GivenAnswer>>(list).expect("answers");
    let wrong = |list: Json| -> Vec<String> {
        let errors = catalogue.read(&given(list), "/answers", date("2026-12-01")).expect_err("something is wrong");
        errors.into_iter().map(|error| error.pointer).collect()
    };
    let list = json!([
        { "question": "nothing", "value": true }, { "question": "pregnant", "value": "yes" }, { "question": "pregnant", "unknown": true },
        { "question": "due_on", "value": "2026-13-01" }, { "question": "due_on", "value": "1850-01-01" },
        { "question": "osteoporosis", "value": "some" }, { "question": "complaint_pain", "value": 11 },
        { "question": "wound_at", "value": ["legs"] }, { "question": "medicines", "value": [{ "class": "sugar" }] },
        { "question": "epilepsy", "value": "none", "unknown": true }, { "question": "aneurysm" },
    ]);
    assert_eq!(
        wrong(list),
        [
            "/answers/0/question",
            "/answers/1/value",
            "/answers/3/value",
            "/answers/4/value",
            "/answers/5/value",
            "/answers/6/value",
            "/answers/7/value",
            "/answers/8/value",
            "/answers/9",
            "/answers/10",
        ]
    );
    let twice = json!([{ "question": "aneurysm", "value": true }, { "question": "aneurysm", "value": false }]);
    assert_eq!(wrong(twice), ["/answers/1/question"]);
    let facts = catalogue.facts(&[], date("2026-12-01"), 365);
    let missing = catalogue.missing(&facts, date("2026-12-01"));
    assert!(
        missing.contains(&"aneurysm") && !missing.contains(&"due_on"),
        "a question that may not be put is not missed"
    );
}

#[test]
fn questionnaires_that_lead_in_circles_are_refused() {
    let circle = |before: [&str; 3]| -> Questionnaire {
        let question = |code: &str, when: &str| json!({ "code": code, "type": "yes_no", "text": "?", "enabled_when": { "is": { "question": when, "value": true } } });
        let questions = [question("aa", before[0]), question("bb", before[1]), question("cc", before[2])];
        serde_json::from_value(
            json!({ "code": "health", "version": 2, "purpose": "health", "title": "Health", "questions": questions }),
        )
        .expect("a questionnaire")
    };
    for before in [["bb", "cc", "aa"], ["aa", "aa", "aa"], ["bb", "aa", "bb"]] {
        assert!(faults(&circle(before)).iter().any(|fault| fault.detail.contains("itself")), "{before:?}");
    }
    let unknown = faults(&circle(["zz", "aa", "bb"]));
    assert_eq!(unknown.len(), 1, "{unknown:?}");
}

mod corpus;
mod properties;
