//! Holds the house to its laws: imports go down only, and a feature's tables are its own.
//!
//! The list of statements that name another feature's table must equal what is found: none is added unseen, and none outlives its reason.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// The floors, from the top: a module may use the floors below its own. The modules of the first are one composition root.
const FLOORS: &[(&str, &str)] = &[
    (
        "main lib server worker privacy doors openapi config dev demo health",
        "the composition root: commands, settings, lists of doors",
    ),
    ("reviews session_notes treatments conversations blocks calendars people messages", "what surrounds visits"),
    ("bookings", "visits and their steps"),
    ("search", "what may be booked, and with whom"),
    ("availability rosters", "a therapist's time; authorities' lists"),
    ("credentials care", "who may practise where; what suits whom"),
    ("therapists", "profiles and offers"),
    ("prices tasks", "what visits cost; work for staff"),
    ("accounts catalogue notices audit", "people, services, what they are told, what was done"),
    ("auth idempotency inspection", "who calls, one effect per key, and what files may be"),
    ("http queue seals personal outbound", "the manners of the API, later work, seals, other people's servers"),
    ("app", "what every operation works with"),
    ("events", "units of work, and what they announce"),
    ("values cipher db storage", "checked values, and the ways to what is kept"),
    ("ids clock error postgres", "the ground"),
];

/// Whose the tables are; views count as tables.
const TABLES: &[(&str, &str)] = &[
    (
        "accounts",
        "accounts addresses client_ratings mailed_codes second_factors recovery_codes login_challenges api_clients api_client_keys",
    ),
    ("audit", "audit_heads audit_links audit_pending"),
    ("auth", "sessions refresh_tokens login_attempts"),
    (
        "availability",
        "overrides time_off timetables weekly_windows reservations reserved_time road_times hints hint_states rulebook",
    ),
    ("blocks", "blocks"),
    (
        "bookings",
        "bookings booking_events reliances booking_credentials holds incidents counter_offers therapist_lapses zone_rules",
    ),
    ("calendars", "calendars calendar_fetches busy_intervals calendar_feeds"),
    (
        "care",
        "questionnaires questionnaire_uses care_rule_sets care_policies emergency_numbers recipients subject_keys screening_drafts \
         screenings booking_care clearances clearance_letters care_disclosures consent_texts \
         consents consultations consultation_signatures care_invitations care_invitations_anew",
    ),
    ("catalogue", "techniques conditions services service_techniques"),
    (
        "credentials",
        "credential_types credential_requirements credentials credential_decisions credential_verifications number_claims \
         credential_reminders credential_holds credential_tally standings credential_documents jurisdictions decisions_told",
    ),
    ("events", "events"),
    ("idempotency", "idempotency_keys key_allowances"),
    (
        "messages",
        "webhook_endpoints deliveries delivery_attempts message_progress reminders_due invitations message_settings \
         message_preferences suppressions message_keys",
    ),
    ("notices", "notices"),
    ("prices", "tariffs"),
    ("reviews", "reviews"),
    ("rosters", "roster_imports roster_rows roster_findings"),
    ("session_notes", "session_notes"),
    ("conversations", "booking_messages"),
    ("tasks", "tasks"),
    ("treatments", "treatment_records measures aftercare_feedback plans plan_feedback"),
    ("therapists", "therapists offers bookable_therapists"),
];

/// Statements that name another feature's table: the file, the tables, and why.
const FOREIGN: &[(&str, &str, &str)] = &[
    ("audit/store.rs", "events", "the audit is the events, chained and signed"),
    (
        "auth/clients/store.rs",
        "api_client_keys api_clients",
        "which program is calling is one read: the key, and its client",
    ),
    ("auth/guesses/store.rs", "accounts", "where the owner of an address was before is one read"),
    (
        "auth/store.rs",
        "accounts second_factors",
        "who is calling is one read: the session, and the role of its account",
    ),
    ("availability/hints/store.rs", "offers therapists", "a hint rests on a therapist's rules and offers"),
    ("availability/past/store.rs", "bookings", "reserved time is kept while its visit is under way"),
    (
        "availability/store.rs",
        "accounts blocks bookings busy_intervals counter_offers holds offers standings therapists",
        "the diary is one statement: each round trip under the lock makes everybody wait",
    ),
    ("bookings/around/store.rs", "events", "when a booking was brought where is what its events say"),
    (
        "bookings/changes/store.rs",
        "audit_links events",
        "what changed is what was announced, in the order in which it was chained",
    ),
    ("bookings/holds/store.rs", "reservations", "a hold is saved in one statement with its time"),
    (
        "bookings/licensing/store.rs",
        "events",
        "whose doing it is that a visit is at risk, and what staff were told of it",
    ),
    (
        "bookings/opening.rs",
        "accounts addresses hint_states idempotency_keys recipients reservations rulebook services therapists",
        "a booking begins with two looks: each round trip is a part of what it costs",
    ),
    ("bookings/proof/store.rs", "credential_verifications", "a proof names the verification that a visit relied on"),
    (
        "bookings/store.rs",
        "events idempotency_keys notices reservations",
        "a booking is saved in one statement with its event, its answer, its notices and what it relies on",
    ),
    ("calendars/store.rs", "accounts", "a feed is found with its owner's name by one read"),
    ("conversations/mod.rs", "bookings", "what a client wrote is known by whose the visits are"),
    ("conversations/store.rs", "incidents", "what staff look into is kept as long as they do"),
    ("credentials/rules/store.rs", "services", "a kind of service that requirements name must be in the catalogue"),
    ("credentials/store/decided.rs", "tasks", "whoever resolves a task has decided about its row"),
    ("credentials/store/due.rs", "accounts tasks", "reminders are due by their owner's date"),
    ("credentials/store/queue.rs", "bookings", "the queue by visits goes from one visit to the next"),
    ("events/store.rs", "notices tasks", "an event is one statement with the rows that follow of it"),
    (
        "people/store.rs",
        "accounts bookings credentials incidents sessions therapists",
        "a person is found by one bounded look at each thing that they may be known by, and shown on one page",
    ),
    ("privacy/store.rs", "events", "how often something was exported is what its events say"),
    ("reviews/store.rs", "bookings", "a review is of a completed visit"),
    (
        "search/candidates.rs",
        "accounts hint_states hints offers therapists",
        "candidates are found along the index of hints",
    ),
    ("search/moving.rs", "bookings", "a search for other times of a visit begins with the visit"),
    ("session_notes/mod.rs", "bookings", "whose the notes are is known by whose the visits are"),
    ("therapists/store.rs", "accounts blocks", "a therapist's name is that of the account"),
    ("treatments/personal.rs", "recipients", "whose a treatment was is known by whose its person is"),
];

/// A source file of the crate, without its comments and its tests.
struct Source {
    /// Below `src`.
    path: String,
    /// The top-level module that it belongs to.
    module: String,
    text: String,
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&root, &mut found);
    let comment = Regex::new(r"(?m)//.*$").unwrap();
    let read = |path: &PathBuf| {
        let relative = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
        let text = comment.replace_all(&fs::read_to_string(path).unwrap(), "").into_owned();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
        let module = relative.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        Source { path: relative, module, text }
    };
    let mut sources: Vec<Source> = found.iter().map(read).collect();
    // A file of tests is no part of the house.
    sources.retain(|source| !source.path.ends_with("/tests.rs") && !source.path.contains("/tests/"));
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

static ONE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bcrate::(\w+)").unwrap());
static MANY: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bcrate::\{([^;]*)\};").unwrap());
static NESTED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\{[^{}]*\}").unwrap());

/// The top-level modules that a text names: `crate::name`, and each name of `crate::{..}`.
fn named(text: &str) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = ONE.captures_iter(text).map(|found| found[1].to_owned()).collect();
    for group in MANY.captures_iter(text) {
        let mut group = group[1].to_owned();
        while NESTED.is_match(&group) {
            group = NESTED.replace_all(&group, "").into_owned();
        }
        names.extend(group.split(',').filter_map(|path| path.trim().split("::").next().map(str::to_owned)));
    }
    names.remove("");
    names
}

/// Each module's floor; the higher, the larger.
fn floors() -> BTreeMap<&'static str, usize> {
    let floors = FLOORS.iter().rev().enumerate();
    floors.flat_map(|(floor, (modules, _))| modules.split(' ').map(move |module| (module, floor))).collect()
}

#[test]
fn imports_go_down_only() {
    let floors = floors();
    let floor = |module: &str| *floors.get(module).unwrap_or_else(|| panic!("`{module}` stands on no floor"));
    let mut up = BTreeSet::new();
    for source in sources() {
        let own = floor(&source.module);
        for name in named(&source.text) {
            // The crate shows the frame at its root.
            let name = if name == "App" { "app".to_owned() } else { name };
            if own + 1 < FLOORS.len() && name != source.module && floor(&name) >= own {
                up.insert((source.path.clone(), name));
            }
        }
    }
    assert_eq!(up, BTreeSet::new(), "announce it, or ask from above");
}

#[test]
fn a_feature_keeps_to_its_own_tables() {
    let named = Regex::new(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+(\w+)").unwrap();
    let owners: BTreeMap<&str, &str> =
        TABLES.iter().flat_map(|(module, tables)| tables.split(' ').map(move |table| (table, *module))).collect();
    let mut foreign: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    // The demo city is a script of its own that fills an empty database.
    for source in sources().iter().filter(|source| source.module != "demo") {
        for found in named.captures_iter(&source.text) {
            if let Some((table, owner)) = owners.get_key_value(&found[1])
                && *owner != source.module
            {
                foreign.entry(source.path.clone()).or_default().insert(table);
            }
        }
    }
    let listed: BTreeMap<String, BTreeSet<&str>> =
        FOREIGN.iter().map(|(path, tables, _)| ((*path).to_owned(), tables.split(' ').collect())).collect();
    assert_eq!(foreign, listed, "ask the table's own feature, or say in FOREIGN why not");
}

/// The document has one schema for each name, and a second one would silently stand for the first.
#[test]
fn no_two_schemas_have_one_name() {
    let derived = Regex::new(
        r"#\[derive\([^)]*\bToSchema\b[^)]*\)\](?<rest>(?:\s*(?:#\[[^\n]*\]|///[^\n]*))*)\s*(?:pub(?:\([^)]*\))? )?(?:struct|enum) (?<name>\w+)",
    )
    .unwrap();
    let renamed = Regex::new(r"schema\([^\n]*\bas = (\w+)").unwrap();
    // Texts with bounds are schemas by the name that the macro is given.
    let bounded = Regex::new(r"(?m)^    (\w+) (?:prose|line|like) ").unwrap();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources() {
        let own = derived.captures_iter(&source.text).map(|one| match renamed.captures(&one["rest"]) {
            Some(other) => other[1].to_owned(),
            None => one["name"].to_owned(),
        });
        for name in own.chain(bounded.captures_iter(&source.text).map(|one| one[1].to_owned())) {
            found.entry(name).or_default().push(source.path.clone());
        }
    }
    assert!(found.len() > 300, "{}", found.len());
    let twice: Vec<_> = found.iter().filter(|(_, places)| places.len() > 1).collect();
    assert!(twice.is_empty(), "give one of them a name by `schema(as = ..)`: {twice:?}");
}

#[test]
fn the_database_reads_no_zone_that_is_stored() {
    let stored = Regex::new(r"(?i)at\s+time\s+zone\s+[^']|\btimezone\(").unwrap();
    for source in sources() {
        let found = stored.find(&source.text).map(|found| found.as_str());
        assert_eq!(found, None, "{}: work out local dates in Rust", source.path);
    }
}

#[test]
fn every_door_is_on_the_list() {
    let door = Regex::new(r"\bpub const (JOBS|SWEEPS|SEALED|PERSONAL): &\[").unwrap();
    let sources = sources();
    let list = sources.iter().find(|source| source.path == "doors.rs").expect("the list of doors");
    for source in &sources {
        for found in door.captures_iter(&source.text) {
            let path = source.path.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::");
            let door = format!("{path}::{}", &found[1]);
            assert!(list.text.contains(&door), "`doors.rs` does not list `{door}`");
        }
    }
}

/// Tables that hold nothing of anyone: rules, lists that authorities publish, numbers, and what staff do.
const IMPERSONAL: &str = "audit_heads audit_links audit_pending login_attempts reserved_time road_times rulebook zone_rules booking_events \
     booking_credentials questionnaires questionnaire_uses care_rule_sets care_policies emergency_numbers consent_texts techniques conditions services \
     service_techniques credential_types credential_requirements credential_decisions credential_tally standings jurisdictions message_progress \
     suppressions message_keys api_clients api_client_keys tariffs roster_imports roster_rows tasks";

/// Whoever adds a table says whose it is, what its owner is told of it, and what becomes of it when their account is erased.
#[test]
fn every_table_says_what_it_keeps_of_people() {
    let described: BTreeSet<&str> = knead::doors::personal().map(|table| table.name).collect();
    let impersonal: BTreeSet<&str> = IMPERSONAL.split(' ').collect();
    let both: Vec<_> = described.intersection(&impersonal).collect();
    assert!(both.is_empty(), "{both:?} are described, and said to hold nothing of anyone");
    let all: BTreeSet<&str> = TABLES.iter().flat_map(|(_, tables)| tables.split(' ')).collect();
    let told: BTreeSet<&str> = described.union(&impersonal).copied().collect();
    assert_eq!(all, told, "describe each table in its feature's PERSONAL, or name it in IMPERSONAL");
    let parts: Vec<&str> = knead::doors::personal().filter_map(|table| table.part).collect();
    assert_eq!(
        parts.len(),
        parts.iter().collect::<BTreeSet<_>>().len(),
        "no two parts of an export have one name: {parts:?}"
    );
}

#[test]
fn the_floors_are_told_of_in_the_architecture() {
    let rows = FLOORS.iter().enumerate().map(|(i, (modules, what))| {
        let modules: Vec<String> = modules.split(' ').map(|module| format!("`{module}`")).collect();
        format!("| {} | {} | {what} |\n", FLOORS.len() - i, modules.join(" "))
    });
    let table = format!("| floor | modules | what they are for |\n|---|---|---|\n{}", rows.collect::<String>());
    let page = include_str!("../ARCHITECTURE.md");
    assert!(page.contains(&table), "ARCHITECTURE.md tells of other floors; these are they:\n\n{table}");
}
