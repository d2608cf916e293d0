//! The slot engine against an oracle that applies the rules one minute at a time and knows no shortcut: where the
//! engine merges windows, steps along a grid and looks at neighbours, the oracle asks the clock on the wall about every
//! minute and looks at every minute in turn. It shares with the engine only the data and the length of a journey.
//!
//! A failure prints its smallest case and is kept in `tests/oracle.proptest-regressions`, which every later run tries
//! first. `PROPTEST_CASES` asks for more cases, `PROPTEST_RNG_SEED` for the same ones again.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod cases;
mod rules;

use knead::values::Span;
use std::cell::RefCell;
use std::collections::HashMap;

use chrono::TimeDelta;
use knead::availability::{Engine, Rule, Start, Visit};
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, TestCaseResult, TestRunner};

use cases::{Case, cases};
use rules::{Oracle, RULES, instant};

/// Enough for every rule to refuse many starts, few enough for half a minute without optimisation.
const CASES: u32 = 256;

/// What was seen over all cases, so that the test can tell whether it had anything to see.
#[derive(Debug, Default)]
struct Tally {
    cases: u32,
    offering: u32,
    offering_when_clocks_change: u32,
    offering_when_timetables_change: u32,
    decisions: u64,
    starts: usize,
    refused: HashMap<Rule, u64>,
}

fn compare(case: &Case, tally: &mut Tally) -> TestCaseResult {
    let oracle = Oracle::new(case);
    let visit = Visit {
        place: case.place,
        zone: case.place_zone,
        minutes: case.minutes,
        required: &case.required,
        except: case.except,
        care: None,
    };
    let span = Span { start: instant(oracle.span.start), end: instant(oracle.span.end) };
    let engine = Engine::new(&case.diary, &visit, span, case.now);

    let allowed: Vec<_> = oracle.span.clone().map(instant).filter(|start| oracle.allows(*start)).collect();
    let offered: Vec<_> = allowed.iter().map(|start| Start { at: *start, travel: oracle.travel(*start) }).collect();
    prop_assert_eq!(engine.starts(span), offered, "the starts of {:?}", span);

    let odd = [1_000, 30_000, 59_999].map(TimeDelta::milliseconds);
    let odd = oracle.span.clone().step_by(31).flat_map(|minute| odd.map(|past| instant(minute) + past));
    for start in oracle.span.clone().map(instant).chain(odd) {
        tally.decisions += 1;
        let decision = engine.decide(start);
        prop_assert_eq!(decision.is_ok(), oracle.allows(start), "{} is {:?}", start, decision);
        if let Err(rule) = decision {
            *tally.refused.entry(rule).or_default() += 1;
            prop_assert!(oracle.refuses(rule, start), "{:?} does not refuse {}", rule, start);
        }
    }
    // Every rule that refuses, and not only the first; on the grid too.
    let some = oracle.span.clone().map(instant).step_by(61).chain(allowed.iter().copied());
    for start in some {
        let refusals: Vec<Rule> = engine.refusals(start).collect();
        prop_assert_eq!(&refusals, &oracle.refusals(start), "{}", start);
        prop_assert_eq!(engine.decide(start).err(), refusals.first().copied(), "{}", start);
    }
    let refused = engine.refused(span);
    for (start, rules) in refused.iter().step_by(11) {
        prop_assert_eq!(rules, &oracle.refusals(*start), "{}", start);
    }
    let on_grid = oracle.span.clone().map(instant).filter(|start| !oracle.refuses(Rule::Grid, *start));
    let not_offered: Vec<_> = on_grid.filter(|start| !allowed.contains(start)).collect();
    prop_assert_eq!(refused.into_iter().map(|(start, _)| start).collect::<Vec<_>>(), not_offered);
    // Whoever books asks about one start alone, and must hear what the list said.
    for start in &allowed {
        let alone = Engine::new(&case.diary, &visit, Span::of_minutes(*start, 1), case.now).decide(*start);
        prop_assert_eq!(alone, Ok(()), "{} is listed", start);
    }

    let midnight_to_midnight = oracle.therapist.shows(oracle.span.end) - oracle.therapist.shows(oracle.span.start);
    let clocks_change = midnight_to_midnight != oracle.span.end - oracle.span.start;
    tally.cases += 1;
    tally.offering += u32::from(!allowed.is_empty());
    tally.offering_when_clocks_change += u32::from(clocks_change && !allowed.is_empty());
    // From the second date on: then some starts are of the old timetable and some of the new one.
    let mut later = case.first.iter_days().skip(1).take(usize::from(case.days) - 1);
    let timetables = &case.diary.hours.timetables;
    let timetables_change = later.any(|date| timetables.iter().any(|timetable| timetable.effective_from == date));
    tally.offering_when_timetables_change += u32::from(timetables_change && !allowed.is_empty());
    tally.starts += allowed.len();
    Ok(())
}

#[test]
fn the_engine_offers_what_the_rules_allow_and_nothing_else() {
    let config = ProptestConfig {
        cases: std::env::var_os("PROPTEST_CASES").map_or(CASES, |_| ProptestConfig::default().cases),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/oracle.proptest-regressions"))),
        ..ProptestConfig::default()
    };
    let enough = config.cases >= CASES;
    let tally = RefCell::new(Tally::default());
    let outcome = TestRunner::new(config).run(&cases(), |case| compare(&case, &mut tally.borrow_mut()));
    let tally = tally.into_inner();
    println!("{tally:#?}");
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    // A generator that no longer offers or refuses anything would let every engine pass.
    if enough {
        assert!(tally.offering * 4 >= tally.cases, "too few cases offer a start: {tally:?}");
        assert!(tally.offering_when_clocks_change * 20 >= tally.cases, "too few changes of the clocks: {tally:?}");
        assert!(tally.offering_when_timetables_change * 10 >= tally.cases, "too few changes of timetables: {tally:?}");
        assert!(RULES.iter().all(|rule| tally.refused.contains_key(rule)), "a rule refuses nothing: {tally:?}");
    }
}
