//! What holds of every decision, whoever answers what.

use super::*;

/// Any answer that fits a question.
fn answer(question: &Question) -> BoxedStrategy<Known> {
    let day = (0_u64..900).prop_map(|days| date("2025-01-01").checked_add_days(Days::new(days)).expect("a date"));
    let codes: Vec<String> = question.options.iter().map(|option| option.code.clone()).collect();
    let regions = subsequence(REGIONS.to_vec(), 1..4);
    let value = match question.kind {
        QuestionType::YesNo => any::<bool>().prop_map(|yes| json!(yes)).boxed(),
        QuestionType::Choice => select(codes).prop_map(|code| json!(code)).boxed(),
        QuestionType::Choices => {
            let most = codes.len().min(3);
            subsequence(codes, 1..=most).prop_map(|codes| json!(codes)).boxed()
        }
        QuestionType::Date => day.prop_map(|day| json!(day)).boxed(),
        QuestionType::PartialDate => {
            (day, select(vec![4, 7, 10])).prop_map(|(day, length)| json!(day.to_string()[..length])).boxed()
        }
        QuestionType::Number => {
            (question.minimum.unwrap_or(0)..question.maximum.unwrap_or(300)).prop_map(|n| json!(n)).boxed()
        }
        QuestionType::Nrs => (0..=10).prop_map(|n| json!(n)).boxed(),
        QuestionType::Regions => regions.prop_map(|codes| json!(codes)).boxed(),
        QuestionType::Medicines => {
            let classes = ["anticoagulant", "antiplatelet", "corticosteroid", "sedative", "other"].to_vec();
            subsequence(classes, 1..3)
                .prop_map(|classes| json!(classes.iter().map(|class| json!({ "class": class })).collect::<Vec<_>>()))
                .boxed()
        }
        QuestionType::Text => Just(json!("Something")).boxed(),
    };
    let question = question.clone();
    let known = value.prop_map(move |value| Known::Value(question.read(&value).expect("it fits")));
    prop_oneof![6 => known, 1 => Just(Known::Unknown), 1 => Just(Known::Declined)].boxed()
}

/// A person who has answered some of the questions, as the answers were given.
fn person() -> impl Strategy<Value = Vec<Answer>> {
    let (questionnaires, _) = seed();
    let catalogue = Catalogue::of(&questionnaires);
    let answers: Vec<_> = catalogue
        .iter()
        .map(|question| {
            let code = question.code.clone();
            proptest::option::weighted(0.5, answer(question))
                .prop_map(move |known| known.map(|known| Answer { question: code.clone(), known }))
        })
        .collect();
    answers.prop_map(|answers| answers.into_iter().flatten().collect())
}

/// A wish: which service, which pressure, which regions, and on which day.
fn wish() -> impl Strategy<Value = (usize, Option<Pressure>, RegionSet, NaiveDate, Option<i32>)> {
    let pressure =
        proptest::option::of(select(vec![Pressure::Light, Pressure::Medium, Pressure::Firm, Pressure::Deep]));
    let regions = subsequence(REGIONS.to_vec(), 0..3).prop_map(|codes| {
        codes.into_iter().filter_map(RegionSet::named).fold(RegionSet::default(), |all, one| all | one)
    });
    let day = (0_u64..700).prop_map(|days| date("2026-01-01").checked_add_days(Days::new(days)).expect("a date"));
    (0..services().len(), pressure, regions, day, proptest::option::of(1930_i32..2015))
}

/// Letters that name some of the rules.
fn letters() -> impl Strategy<Value = Vec<Clearance>> {
    let (_, set) = seed();
    let codes: Vec<String> = set.rules.into_iter().map(|rule| rule.code).collect();
    let from = select(vec![Provider::Provider, Provider::MidwifeOrDoctor, Provider::Doctor, Provider::Specialist]);
    let named = subsequence(vec!["swedish".to_owned(), "deep-tissue".to_owned(), "pregnancy".to_owned()], 0..3);
    let days = (0_u64..600, 1_u64..400);
    let letter = (subsequence(codes, 1..40), from, named, days, any::<bool>()).prop_map(
        |(rules, from, services, (start, length), light)| {
            let given_on = date("2026-01-01").checked_add_days(Days::new(start)).expect("a date");
            Clearance {
                rules: rules.into_iter().collect(),
                from,
                services: services.into_iter().collect(),
                given_on,
                until: given_on.checked_add_days(Days::new(length)).expect("a date"),
                limit: Limit { pressure: light.then_some(Pressure::Light), ..Limit::default() },
            }
        },
    );
    proptest::collection::vec(letter, 0..3)
}

/// What a test decides with.
struct World {
    set: RuleSet,
    rules: Rules,
    services: Vec<ServiceProfile>,
    questionnaires: Vec<Questionnaire>,
}

impl World {
    fn new() -> Self {
        let (questionnaires, set) = seed();
        Self { rules: Rules::from(&set), set, services: services(), questionnaires }
    }

    fn facts(&self, answers: &[Answer], born: Option<i32>) -> Facts {
        let mut facts = Catalogue::of(&self.questionnaires).facts(answers, date("2026-11-01"), 365);
        if let Some(year) = born {
            facts.born_on(NaiveDate::from_ymd_opt(year, 2, 28).expect("a date"));
        }
        facts
    }
}

std::thread_local! {
    static WORLD: World = World::new();
}

proptest! {
    // More of them with PROPTEST_CASES.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(1500), ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_rules_never_matters(answers in person(), (s, pressure, regions, day, born) in wish(), seed in any::<u64>()) {
        WORLD.with(|world| {
            let facts = world.facts(&answers, born);
            let asked = Asked { regions, ..asked(&world.services[s], pressure) };
            let mut shuffled = world.set.clone();
            let count = shuffled.rules.len();
            for i in (1..count).rev() {
                let j = usize::try_from(seed.rotate_left(u32::try_from(i).expect("small")) % (i as u64 + 1)).expect("small");
                shuffled.rules.swap(i, j);
            }
            prop_assert_eq!(
                decide(&Rules::from(&shuffled), &facts, &[], &asked, day),
                decide(&world.rules, &facts, &[], &asked, day)
            );
            Ok(())
        })?;
    }

    #[test]
    fn a_further_rule_never_makes_it_milder(answers in person(), (s, pressure, regions, day, born) in wish(), left in any::<prop::sample::Index>()) {
        WORLD.with(|world| {
            let facts = world.facts(&answers, born);
            let asked = Asked { regions, ..asked(&world.services[s], pressure) };
            let all = decide(&world.rules, &facts, &[], &asked, day);
            // One that holds is taken away, where there is one.
            let gone = match all.hits.is_empty() {
                true => world.set.rules[left.index(world.set.rules.len())].code.clone(),
                false => all.hits[left.index(all.hits.len())].rule.clone(),
            };
            let mut fewer = world.set.clone();
            fewer.rules.retain(|rule| rule.code != gone);
            let fewer = decide(&Rules::from(&fewer), &facts, &[], &asked, day);
            prop_assert!(fewer.outcome <= all.outcome);
            prop_assert!(all.limits.regions.holds(fewer.limits.regions));
            prop_assert!(all.limits.techniques.is_superset(&fewer.limits.techniques));
            prop_assert!(all.needs.clearances.is_superset(&fewer.needs.clearances));
            let cap = |decision: &Decision| decision.limits.pressure.unwrap_or(Pressure::Deep);
            prop_assert!(cap(&all) <= cap(&fewer));
            Ok(())
        })?;
    }

    #[test]
    fn answers_to_what_is_not_put_never_matter(answers in person(), others in person(), (s, pressure, regions, day, born) in wish()) {
        WORLD.with(|world| {
            let catalogue = Catalogue::of(&world.questionnaires);
            let facts = world.facts(&answers, born);
            let put: Vec<Answer> = catalogue.put(&answers, &facts).into_iter().cloned().collect();
            // Whatever is said of the rest, by this person or another.
            let mut more = put.clone();
            more.extend(others.into_iter().filter(|other| {
                matches!(facts.get(&other.question).map(|fact| &fact.known), Some(Known::Skipped | Known::InDoubt))
            }));
            let asked = Asked { regions, ..asked(&world.services[s], pressure) };
            let whole = decide(&world.rules, &facts, &[], &asked, day);
            prop_assert_eq!(&decide(&world.rules, &world.facts(&put, born), &[], &asked, day), &whole);
            prop_assert_eq!(&decide(&world.rules, &world.facts(&more, born), &[], &asked, day), &whole);
            Ok(())
        })?;
    }

    #[test]
    fn a_clearance_never_lifts_what_is_absolute(answers in person(), letters in letters(), (s, pressure, regions, day, born) in wish()) {
        WORLD.with(|world| {
            let facts = world.facts(&answers, born);
            let asked = Asked { regions, ..asked(&world.services[s], pressure) };
            let (without, with) = (decide(&world.rules, &facts, &[], &asked, day), decide(&world.rules, &facts, &letters, &asked, day));
            prop_assert!(with.outcome == without.outcome || (without.outcome <= Outcome::ClearanceNeeded) || with.outcome > without.outcome);
            let absolute = |decision: &Decision| {
                let held = decision.hits.iter().filter_map(|hit| world.set.rules.iter().find(|rule| rule.code == hit.rule));
                held.flat_map(|rule| &rule.effects)
                    .filter(|effect| matches!(effect, Effect::Refuse | Effect::TooYoung | Effect::NotNow { .. } | Effect::SeekCare { .. }))
                    .count()
            };
            prop_assert_eq!(absolute(&with), absolute(&without));
            if absolute(&with) > 0 {
                prop_assert!(with.outcome >= Outcome::NotNow);
            }
            // A need that is gone was named.
            for need in without.needs.clearances.difference(&with.needs.clearances) {
                prop_assert!(letters.iter().any(|letter| letter.rules.contains(&need.rule) && letter.given_on <= day && day <= letter.until));
            }
            Ok(())
        })?;
    }

    #[test]
    fn the_proof_alone_gives_the_same_decision(answers in person(), letters in letters(), (s, pressure, regions, day, born) in wish()) {
        WORLD.with(|world| {
            let facts = world.facts(&answers, born);
            let asked = Asked { regions, ..asked(&world.services[s], pressure) };
            let decision = decide(&world.rules, &facts, &letters, &asked, day);
            // As it is kept and read again.
            let kept: Decision = serde_json::from_str(&serde_json::to_string(&decision).expect("JSON")).expect("a decision");
            prop_assert_eq!(&kept, &decision);
            let again = decide(&world.rules, &kept.grounds(), &letters, &asked, day);
            prop_assert_eq!((again.outcome, again.limits, again.hits), (decision.outcome, decision.limits, decision.hits));
            prop_assert_eq!(again.needs.clearances, decision.needs.clearances);
            prop_assert_eq!((again.advice, again.sheet, again.not_before), (decision.advice, decision.sheet, decision.not_before));
            Ok(())
        })?;
    }

    #[test]
    fn whatever_is_not_simply_suitable_names_a_rule_and_an_answer(answers in person(), (s, pressure, regions, day, born) in wish()) {
        WORLD.with(|world| {
            let facts = world.facts(&answers, born);
            let asked = Asked { regions, ..asked(&world.services[s], pressure) };
            let decision = decide(&world.rules, &facts, &[], &asked, day);
            if decision.outcome > Outcome::Suitable {
                prop_assert!(decision.hits.iter().any(|hit| !hit.because.is_empty()), "{decision:?}");
                // Each answer is the person's own, or follows from one.
                for (question, known) in decision.hits.iter().flat_map(|hit| &hit.because) {
                    prop_assert_eq!(facts.get(question).map(|fact| &fact.known), Some(known));
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_decision_holds_until_it_says(answers in person(), letters in letters(), (s, pressure, regions, day, born) in wish(), later in 1_u64..400) {
        WORLD.with(|world| {
            let facts = world.facts(&answers, born);
            let asked = Asked { regions, ..asked(&world.services[s], pressure) };
            let decision = decide(&world.rules, &facts, &letters, &asked, day);
            let other = day.checked_add_days(Days::new(later)).expect("a date");
            let until = decision.holds_until.unwrap_or(NaiveDate::MAX);
            prop_assert!(until > day);
            if other < until {
                let then = decide(&world.rules, &facts, &letters, &asked, other);
                prop_assert_eq!((then.outcome, then.limits, then.hits, then.needs), (decision.outcome, decision.limits, decision.hits, decision.needs));
            }
            Ok(())
        })?;
    }
}

/// How long a decision takes; asserts nothing of a build that is not optimised.
#[test]
fn a_decision_takes_microseconds() {
    let world = World::new();
    let (questionnaires, _) = seed();
    let many = json!({
        "pregnant": true, "due_on": "2027-03-01", "takes_medicines": true, "medicines": [{ "class": "anticoagulant" }], "blood_clot": true,
        "blood_clot_on": "2019", "blood_clot_treated": false, "surgery": true, "surgery_on": "2026-10-20", "surgery_at": ["abdomen"],
        "wound": true, "wound_at": ["left_hand"], "arthritis": ["osteoarthritis"], "arthritis_at": ["left_knee"], "blood_pressure": "controlled",
        "complaint_at": ["low_back"], "back_flags": ["night_pain"], "epilepsy": "controlled", "contacts_provider": true,
    });
    let facts = facts(&questionnaires, many);
    let asked = asked(&world.services[1], None);
    let rounds = if cfg!(debug_assertions) { 2_000 } else { 20_000 };
    let began = std::time::Instant::now();
    let mut hits = 0;
    for _ in 0..rounds {
        hits += decide(&world.rules, std::hint::black_box(&facts), &[], &asked, date("2026-12-01")).hits.len();
    }
    let each = began.elapsed() / rounds;
    println!("one decision by {} rules, of which {} hold: {each:?}", world.set.rules.len(), hits / rounds as usize);
    assert!(cfg!(debug_assertions) || each < std::time::Duration::from_micros(50), "{each:?}");
}

/// Thousands of people, every service, and dates over two years: each proof replays, and no order of rules matters. Fewer in a build that is not optimised.
#[test]
fn each_of_thousands_of_decisions_replays_from_its_proof() {
    use proptest::strategy::{Strategy, ValueTree};
    use proptest::test_runner::TestRunner;
    let people = if cfg!(debug_assertions) { 100 } else { 10_000 };
    let world = World::new();
    let mut turned = world.set.clone();
    turned.rules.reverse();
    let turned = Rules::from(&turned);
    let mut runner = TestRunner::deterministic();
    let (who, with) = (person(), letters());
    let mut outcomes = std::collections::BTreeMap::new();
    for n in 0..people {
        let answers = who.new_tree(&mut runner).expect("a person").current();
        let letters = with.new_tree(&mut runner).expect("letters").current();
        let facts = world.facts(&answers, Some(1940 + n % 75));
        for service in &world.services {
            for day in ["2026-12-01", "2027-05-15", "2028-02-29"].map(date) {
                let asked = asked(service, None);
                let decision = decide(&world.rules, &facts, &letters, &asked, day);
                let kept: Decision =
                    serde_json::from_str(&serde_json::to_string(&decision).expect("JSON")).expect("a proof");
                let again = decide(&world.rules, &kept.grounds(), &letters, &asked, day);
                assert_eq!(
                    (again.outcome, again.limits, again.hits),
                    (decision.outcome, kept.limits, kept.hits),
                    "{n}"
                );
                assert_eq!(decide(&turned, &facts, &letters, &asked, day), decision, "{n}");
                *outcomes.entry(decision.outcome).or_insert(0_u32) += 1;
            }
        }
    }
    println!("{people} people: {outcomes:?}");
    assert!(outcomes.len() >= 6, "{outcomes:?}");
}
