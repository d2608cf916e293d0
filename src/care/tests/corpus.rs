//! Bad sets of rules: each is refused, and each is the good one but for what is wrong with it.

use super::*;

/// A set that is sound, and that each of the corpus spoils.
fn good() -> Json {
    json!({
        "sources": { "ours": "Proposed by this project" },
        "rules": [{
            "code": "wound", "words": "A wound: avoided.", "when": { "is": { "question": "wound", "value": true } },
            "effects": [{ "limit": { "answered": ["wound_at"] } }], "sources": ["ours"],
            "examples": [{ "answers": { "wound": true, "wound_at": ["neck"] }, "service": "swedish", "date": "2026-12-01", "outcome": "adapted" }],
        }],
    })
}

fn faults_of(set: &Json) -> Vec<String> {
    let (questionnaires, _) = seed();
    let (services, techniques) = (services(), techniques());
    let known = Vocabulary { questionnaires: &questionnaires, services: &services, techniques: &techniques };
    match checks::read(set) {
        Err(fault) => vec![fault.pointer],
        Ok(set) => checks::faults(&set, &known).into_iter().map(|fault| fault.pointer).collect(),
    }
}

/// The good set with something else at a pointer; null takes it away.
fn spoilt(pointer: &str, by: Json) -> Json {
    let mut set = good();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent = set.pointer_mut(parent).expect(pointer);
    match (parent, by) {
        (Json::Object(fields), Json::Null) => drop(fields.remove(key)),
        (Json::Object(fields), by) => drop(fields.insert(key.to_owned(), by)),
        (Json::Array(items), by) => items[key.parse::<usize>().expect("an index")] = by,
        _ => panic!("{pointer}"),
    }
    set
}

fn nested(depth: usize) -> Json {
    (1..depth).fold(json!({ "is": { "question": "wound", "value": true } }), |inner, _| json!({ "all": [inner] }))
}

#[test]
fn a_hundred_bad_sets_are_refused() {
    let mut bad: Vec<Json> =
        vec![json!(null), json!([]), json!({}), json!("rules"), json!({ "sources": {}, "rules": [] })];
    // Its form: what is missing, of another type or unknown.
    for field in ["code", "words", "when", "effects", "sources", "examples"] {
        bad.push(spoilt(&format!("/rules/0/{field}"), Json::Null));
        bad.push(spoilt(&format!("/rules/0/{field}"), json!(7)));
    }
    for field in ["service", "date", "outcome"] {
        bad.push(spoilt(&format!("/rules/0/examples/0/{field}"), Json::Null));
        bad.push(spoilt(&format!("/rules/0/examples/0/{field}"), json!("nothing")));
    }
    for pointer in
        ["/note", "/rules/0/note", "/rules/0/examples/0/note", "/rules/0/when/is/note", "/rules/0/effects/0/limit/note"]
    {
        bad.push(spoilt(pointer, json!("unknown")));
    }
    for code in ["", "W", "wound-1", "1wound", "wound rule"] {
        bad.push(spoilt("/rules/0/code", json!(code)));
    }
    bad.push(spoilt("/rules/0/words", json!("")));
    bad.push(spoilt("/rules/0/words", json!("a\u{0}b")));
    bad.push(spoilt("/rules/0/words", json!("x".repeat(301))));
    // What it rests on.
    for sources in [json!([]), json!(["nobody"]), json!(["ours", "nobody"])] {
        bad.push(spoilt("/rules/0/sources", sources));
    }
    for sources in [json!({}), json!({ "ours": "" }), json!({ "ours": "x", "Not a name": "x" })] {
        bad.push(spoilt("/sources", sources));
    }
    // Conditions: unknown questions, options and regions, other types, empty and turned bounds, nothing that is asked.
    for when in [
        json!({ "is": { "question": "nothing", "value": true } }),
        json!({ "is": { "question": "wound", "value": "yes" } }),
        json!({ "is": { "question": "wound", "value": 1 } }),
        json!({ "is": { "question": "osteoporosis", "value": true } }),
        json!({ "is": { "question": "osteoporosis", "value": "somewhat" } }),
        json!({ "is": { "question": "wound_at", "value": "neck" } }),
        json!({ "is": { "question": "born_on", "value": true } }),
        json!({ "is": { "question": "wound" } }),
        json!({ "is": "wound" }),
        json!({ "was": { "question": "wound", "value": true } }),
        json!({ "is": { "question": "wound", "value": true }, "age": { "from": 3 } }),
        json!({}),
        json!({ "all": [] }),
        json!({ "any": [] }),
        json!({ "all": {} }),
        json!({ "not": [] }),
        json!({ "all": [{ "is": { "question": "nothing", "value": true } }] }),
        json!({ "days_since": { "question": "surgery_on" } }),
        json!({ "days_since": { "question": "surgery_on", "from": 5, "under": 5 } }),
        json!({ "days_since": { "question": "surgery_on", "from": 9, "under": 5 } }),
        json!({ "days_since": { "question": "surgery_on", "under": -1 } }),
        json!({ "days_since": { "question": "surgery_on", "under": 1.5 } }),
        json!({ "days_since": { "question": "surgery_on", "under": 50_000 } }),
        json!({ "days_since": { "question": "wound", "under": 5 } }),
        json!({ "weeks_pregnant": { "question": "blood_clot_on", "under": 13 } }),
        json!({ "weeks_pregnant": { "question": "due_on", "under": 61 } }),
        json!({ "weeks_pregnant": { "question": "due_on" } }),
        json!({ "age": {} }),
        json!({ "age": { "from": 200 } }),
        json!({ "age": { "question": "born_on", "from": 3 } }),
        json!({ "number": { "question": "wound", "from": 3 } }),
        json!({ "number": { "question": "blood_pressure_upper" } }),
        json!({ "region": { "question": "wound_at", "any_of": [] } }),
        json!({ "region": { "question": "wound_at", "any_of": ["nipple"] } }),
        json!({ "region": { "question": "wound", "any_of": ["neck"] } }),
        json!({ "region": { "any_of": ["neck"] } }),
        json!({ "service": ["swedish"] }),
        json!({ "pressure": "firm" }),
        json!({ "place": ["US-TX"] }),
        json!({ "all": [{ "is": { "question": "wound", "value": true } }, { "service": ["nothing"] }] }),
        json!({ "all": [{ "is": { "question": "wound", "value": true } }, { "service": [] }] }),
        json!({ "all": [{ "is": { "question": "wound", "value": true } }, { "technique": ["nothing"] }] }),
        json!({ "all": [{ "is": { "question": "wound", "value": true } }, { "pressure": "hard" }] }),
        json!({ "all": [{ "is": { "question": "wound", "value": true } }, { "place": ["Texas"] }] }),
        json!({ "all": [{ "is": { "question": "wound", "value": true } }, { "place": [] }] }),
        json!({ "medicine_class": { "question": "medicines", "any_of": [] } }),
        json!({ "medicine_class": { "question": "medicines", "any_of": ["sugar"] } }),
        json!({ "medicine_class": { "question": "wound", "any_of": ["opioid"] } }),
        nested(7),
        nested(60),
    ] {
        bad.push(spoilt("/rules/0/when", when));
    }
    // Effects.
    for effects in [
        json!([]),
        json!(["forbid"]),
        json!([{ "seek_care": {} }]),
        json!([{ "seek_care": { "urgency": "soon" } }]),
        json!([{ "not_now": { "until": { "question": "wound", "days": 2 } } }]),
        json!([{ "not_now": { "until": { "question": "surgery_on", "days": -2 } } }]),
        json!([{ "clearance": { "from": "friend", "scope": "any", "lasts_days": 5 } }]),
        json!([{ "clearance": { "from": "doctor", "scope": "any", "lasts_days": 0 } }]),
        json!([{ "clearance": { "from": "doctor", "scope": "any" } }]),
        json!([{ "limit": {} }]),
        json!([{ "limit": { "minutes": 5 } }]),
        json!([{ "limit": { "answered": ["wound"] } }]),
        json!([{ "limit": { "answered": ["nothing"] } }]),
        json!([{ "limit": { "regions": ["soul"] } }]),
        json!([{ "limit": { "techniques": ["nothing"] } }]),
        json!([{ "limit": { "positions": [] } }]),
        json!([{ "limit": { "positions": ["standing"] } }]),
        json!([{ "limit": { "pressure": "light", "distal": true } }]),
        json!([{ "credential": { "training": "" } }]),
        json!([{ "consent": { "text": "No Code" } }]),
        json!([{ "tell": { "to": "everyone", "text": "x" } }]),
        json!([{ "tell": { "to": "person", "text": "" } }]),
        json!(["refuse", "refuse", "refuse", "refuse", "refuse", "refuse", "refuse", "refuse", "refuse"]),
    ] {
        bad.push(spoilt("/rules/0/effects", effects));
    }
    // Examples that do not hold.
    bad.push(spoilt("/rules/0/examples", json!([])));
    bad.push(spoilt("/rules/0/examples/0/outcome", json!("refused")));
    bad.push(spoilt("/rules/0/examples/0/answers", json!({ "wound": false })));
    bad.push(spoilt("/rules/0/examples/0/answers", json!({ "nothing": true })));
    bad.push(spoilt("/rules/0/examples/0/answers", json!({ "wound": "yes" })));
    bad.push(spoilt(
        "/rules/0/examples/0/answers",
        json!({ "wound": true, "wound_at": ["neck"], "born_on": "long ago" }),
    ));
    bad.push(spoilt(
        "/rules/0/examples/0/answers",
        json!({ "wound": true, "wound_at": ["neck"], "surgery_on": "2026-11-01" }),
    ));
    bad.push(spoilt("/rules/0/examples/0/answers", json!({})));
    // Too much of it.
    let rule = good()["rules"][0].clone();
    bad.push(json!({ "sources": good()["sources"], "rules": [rule, rule] }));
    let numbered = |n: usize| {
        let mut rule = rule.clone();
        rule["code"] = json!(format!("wound_{n}"));
        rule
    };
    let mut many = good();
    many["rules"] = (0..301).map(numbered).collect();
    bad.push(many);
    let mut long = good();
    long["sources"] =
        (0..300).map(|n| (format!("source_{n}"), json!("x".repeat(300)))).collect::<serde_json::Map<_, _>>().into();
    bad.push(long);

    assert_eq!(faults_of(&good()), Vec::<String>::new());
    assert!(bad.len() >= 100, "{}", bad.len());
    for set in &bad {
        assert!(!faults_of(set).is_empty(), "{set}");
    }
    println!("{} bad sets of rules are refused", bad.len());
}

#[test]
fn what_is_wrong_is_pointed_to() {
    assert_eq!(faults_of(&spoilt("/rules/0/code", json!("W"))), ["/rules/0/code"]);
    assert_eq!(faults_of(&spoilt("/rules/0/effects", json!([{ "limit": {} }]))), ["/rules/0/effects/0"]);
    assert_eq!(faults_of(&spoilt("/rules/0/examples/0/outcome", json!("refused"))), ["/rules/0/examples/0/outcome"]);
    assert_eq!(faults_of(&spoilt("/rules/0/when/is/note", json!(1))), ["/rules/0/when/is/note"]);
}
