//! How fast visits are booked over HTTP, beside pgbench with the very statements that one booking sends, taken from the server's
//! own log, and beside the program of another commit, if `KNEAD_BENCH_BEFORE` is a path to one: bookings a second at 1 and 32 clients, in rounds
//! that take turns; how many statements and round trips a booking takes, and how long PostgreSQL works for each; what 64 clients do to one slot;
//! and the memory of the service. Run it with `cargo bench --bench bookings`. Rates are of this machine; what compares is the ratio.
//! `KNEAD_BENCH_SECONDS` (3) is the length of a round, `KNEAD_BENCH_ROUNDS` (3) their number.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on fails")]

mod common;

use std::collections::BTreeMap;
use std::fs::{Permissions, create_dir, read_to_string, set_permissions, write};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use futures_util::{StreamExt, stream};
use knead::clock::Clock;
use knead::postgres::{Options, Server};
use regex::Regex;
use reqwest::Client;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::task::JoinSet;
use uuid::Uuid;

use common::{Statement, settled, statements};

const THERAPISTS: usize = 1_000;
/// Days ahead with slots, and slots on each.
const DAYS: usize = 50;
const SLOTS: usize = 15;
/// So many that none has more ahead than people have, and no more than therapists, because one turn of them all is at one time.
const CLIENTS: usize = THERAPISTS;
/// How many register at a time.
const REGISTERING: usize = 4;
/// Clients who want one slot at a time.
const RACERS: usize = 64;
const DEEP_TISSUE: &str = "019b76da-a800-7c02-8b52-6f1d8e203c02";

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    // As root, PostgreSQL runs as another user.
    set_permissions(&folder, Permissions::from_mode(0o755)).expect("a folder that can be reached");
    let root = folder.path().join("postgres");
    let server = start(&root).await;
    let postgres = PgPool::connect(&server.url("postgres")).await.expect("a connection");
    let timed =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements')");
    let timed: bool = timed.fetch_one(&postgres).await.expect("an answer");
    if timed {
        execute(&postgres, "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'").await;
    }
    postgres.close().await;
    // What is loaded, is loaded at the start.
    tokio::task::spawn_blocking(move || server.stop()).await.expect("a thread").expect("an orderly end");
    let server = start(&root).await;
    let postgres = PgPool::connect(&server.url("postgres")).await.expect("a connection");
    if timed {
        execute(&postgres, "ALTER SYSTEM SET pg_stat_statements.track_planning = on").await;
        execute(&postgres, "SELECT pg_reload_conf()").await;
    }
    let (seconds, rounds) = (setting("KNEAD_BENCH_SECONDS", 3), setting("KNEAD_BENCH_ROUNDS", 3));

    let log = root.join("postgresql.log");
    let mut contenders = vec![("this program", env!("CARGO_BIN_EXE_knead").to_owned())];
    contenders.extend(std::env::var("KNEAD_BENCH_BEFORE").ok().map(|program| ("the one before", program)));
    let mut fields = Vec::new();
    for (i, (name, program)) in contenders.into_iter().enumerate() {
        let database = format!("bookings_{i}");
        execute(&postgres, &format!("CREATE DATABASE {database}")).await;
        let place = Place { program, url: server.url(&database), folder: folder.path().join(&database) };
        fields.push((name, Arc::new(prepare(name, place, &log, timed).await)));
    }

    let mut rates: BTreeMap<(usize, &str), Vec<f64>> = BTreeMap::new();
    let mut waits: BTreeMap<(usize, &str), Vec<Attempt>> = BTreeMap::new();
    for round in 0..rounds {
        for count in [1, 32] {
            for (name, field) in &fields {
                let (rate, attempts) =
                    load(field, count, Duration::from_secs(seconds), false, |field, _| field.next()).await;
                assert!(attempts.iter().all(|(status, _)| *status == 201), "{:?}", counts(&attempts));
                rates.entry((count, name)).or_default().push(rate);
                waits.entry((count, name)).or_default().extend(attempts);
            }
            let (_, field) = &fields[0];
            if (round, count) == (0, 1) {
                // One client books all that pgbench does, which is more than a client may.
                let own = PgPool::connect(&server.url("bookings_0")).await.expect("a connection");
                execute(&own, "ALTER TABLE key_allowances DROP CONSTRAINT key_allowances_keys, DROP CONSTRAINT key_allowances_bytes").await;
                own.close().await;
            }
            let path = folder.path().join("booking.sql");
            write(&path, &field.script.text).expect("the script");
            let theirs = field.script.pgbench(&server, "bookings_0", &path, count, seconds, round);
            rates.entry((count, "pgbench")).or_default().extend(theirs);
        }
    }
    for count in [1, 32] {
        for (name, _) in &fields {
            let attempts = waits.get_mut(&(count, *name)).expect("attempts");
            attempts.sort_unstable_by_key(|(_, waited)| *waited);
            let rate = median(&mut rates, (count, name)).expect("a rate");
            let (p50, p99) = (percentile(attempts, 50), percentile(attempts, 99));
            println!("{count} clients, {name}: {rate:.0} bookings/s over HTTP, p50 {p50:.1?}, p99 {p99:.1?}");
        }
        let ours = median(&mut rates, (count, "this program")).expect("a rate");
        match median(&mut rates, (count, "pgbench")) {
            Some(theirs) => {
                println!("{count} clients, pgbench with the same statements: {theirs:.0}/s; ratio {:.2}", ours / theirs)
            }
            None => println!("{count} clients: there is no pgbench to compare with"),
        }
        if let Some(before) = median(&mut rates, (count, "the one before")) {
            println!("{count} clients: {:.2} times the program before", ours / before);
        }
    }
    let (_, field) = &fields[0];
    contend(field, seconds).await;
    for (name, field) in &fields {
        println!("peak memory of {name} (VmHWM): {} MB", field.service.peak_memory());
    }
    drop(fields);
    postgres.close().await;
    tokio::task::spawn_blocking(move || server.stop()).await.expect("a thread").expect("an orderly end");
}

async fn start(root: &Path) -> Server {
    let options = Options { root: root.to_owned(), durable: true, progress: |line| eprintln!("{line}") };
    tokio::task::spawn_blocking(move || Server::start(&options)).await.expect("a thread").expect("a server")
}

/// Which program runs, and on what.
#[derive(Clone)]
struct Place {
    program: String,
    url: String,
    folder: PathBuf,
}

/// A service with therapists and clients; says what one booking sends, and what that costs PostgreSQL.
async fn prepare(name: &str, place: Place, log: &Path, timed: bool) -> Field {
    create_dir(&place.folder).expect("a folder");
    let migrated = Command::new(&place.program).args(["migrate"]).env("DATABASE_URL", &place.url).status();
    assert!(migrated.expect("the program runs").success(), "the migrations run");
    let pool = PgPool::connect(&place.url).await.expect("a connection");
    fill(&pool).await;
    let service = Service::start(&place, false).await;
    let clients = register(&service).await;
    let first = (Clock::System.now().date_naive() + Days::new(2)).and_time(NaiveTime::MIN).and_utc();
    let mut field = Field { service, clients, first, next: AtomicUsize::new(0), script: Script::default() };

    // Sessions that begin from now on write down what they are sent.
    let database = place.url.rsplit('/').next().and_then(|name| name.split('?').next()).expect("a name").to_owned();
    execute(&pool, &format!("ALTER DATABASE {database} SET log_statement = 'all'")).await;
    field.service = Service::start(&place, false).await;
    // The first one prepares the statements.
    field.book().await;
    let before = settled(log).await.len();
    let (wish, booking) = field.book().await;
    let sent = statements(&settled(log).await[before..]);
    // The therapist's is the last lock.
    let lock = sent.iter().rposition(|sent| sent.text.contains("advisory_xact_lock")).expect("the therapist's lock");
    println!(
        "{name}: one booking is {} statements, each a round trip; {} between the therapist's lock and COMMIT",
        sent.len(),
        sent.len() - lock - 2
    );
    field.script = Script::new(&sent, &booking, &wish);
    execute(&pool, &format!("ALTER DATABASE {database} RESET log_statement")).await;
    field.service = Service::start(&place, true).await;
    let field = Arc::new(field);
    if timed {
        execute(&pool, "CREATE EXTENSION pg_stat_statements").await;
        // Plans are made and caches filled.
        load(&field, 1, Duration::from_secs(2), false, |field, _| field.next()).await;
        execute(&pool, "SELECT pg_stat_statements_reset()").await;
        let (_, attempts) = load(&field, 1, Duration::from_secs(3), false, |field, _| field.next()).await;
        cost(name, &pool, attempts.len()).await;
    }
    pool.close().await;
    Arc::into_inner(field).expect("nobody else has it")
}

/// What so many bookings cost PostgreSQL, statement by statement.
async fn cost(name: &str, db: &PgPool, bookings: usize) {
    let rows: Vec<(String, f64, f64)> = sqlx::query_as(
        "SELECT regexp_replace(left(query, 600), '\\s+', ' ', 'g'), calls::float8, total_exec_time + total_plan_time
         FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
         WHERE d.datname = current_database() AND query !~ 'pg_stat_statements' ORDER BY 3 DESC",
    )
    .fetch_all(db)
    .await
    .expect("what was asked");
    let each = |time: f64| time / bookings as f64;
    let total: f64 = rows.iter().map(|(_, _, time)| each(*time)).sum();
    println!("{name}: a booking costs PostgreSQL {total:.2} ms, its COMMIT and the wait for the disk included");
    for (query, calls, time) in rows.iter().filter(|(_, _, time)| each(*time) >= 0.005) {
        let text: String = query.chars().take(90).collect();
        println!("  {:.3} ms, {:.1} times: {text}", each(*time), calls / bookings as f64);
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn median<K: Ord>(rates: &mut BTreeMap<K, Vec<f64>>, which: K) -> Option<f64> {
    let rates = rates.get_mut(&which)?;
    rates.sort_unstable_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied()
}

async fn execute(db: &PgPool, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(db).await.expect(statement);
}

/// The id of the therapist with this number.
fn therapist(number: usize) -> String {
    format!("00000000-0000-7000-8000-{number:012x}")
}

/// Therapists in Newtown who work around the clock, at once, fully licensed.
async fn fill(db: &PgPool) {
    execute(
        db,
        &format!(
            "CREATE TEMP TABLE people AS
                 SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS id, n FROM generate_series(0, {THERAPISTS} - 1) n;
             INSERT INTO accounts (id, email, password_hash, role, display_name, time_zone, created_at)
             SELECT id, 't' || n || '@knead.test', 'x', 'therapist', 'Test', 'Australia/Sydney', now() FROM people;
             INSERT INTO therapists (id, base_latitude, base_longitude, booking_mode) SELECT id, -33.8981, 151.1743, 'instant' FROM people;
             INSERT INTO offers (therapist_id, service_id, duration_minutes) SELECT id, '{DEEP_TISSUE}', 60 FROM people;
             INSERT INTO weekly_windows (therapist_id, effective_from, opens, closes)
             SELECT id, '2000-01-01', day * 1440, day * 1440 + 1440 FROM people, generate_series(0, 6) day;
             INSERT INTO credentials (id, therapist_id, type, name_on_credential, expires_on, review_state, board_status, created_at)
             SELECT gen_random_uuid(), id, code, 'Test', CASE WHEN code <> 'AU-QUAL' THEN now()::date + 400 END, 'verified', 'active', now()
             FROM people, unnest(ARRAY['AU-QUAL', 'AU-ASSOC', 'INSURANCE', 'POLICE-CHECK', 'FIRST-AID']) code;
             ANALYZE"
        ),
    )
    .await;
}

/// Who books what: each slot has a number, and is booked once.
struct Field {
    service: Service,
    clients: Vec<Person>,
    first: DateTime<Utc>,
    next: AtomicUsize,
    /// What one booking sends.
    script: Script,
}

impl Field {
    /// The number of a slot that nobody has asked for.
    fn next(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The number of the first of so many slots at times of their own, `CLIENTS` apart, at which nobody has a visit.
    fn fresh(&self, count: usize) -> usize {
        self.next.fetch_add(count * CLIENTS, Ordering::Relaxed) + CLIENTS
    }

    /// The clients take turns, because nobody has two visits at one time: each of them has this number's start once.
    fn wish(&self, number: usize, client: usize) -> Value {
        let (slot, day) = (number / CLIENTS % SLOTS, number / CLIENTS / SLOTS % DAYS);
        let day = Days::new(day as u64);
        json!({ "therapist_id": therapist(number % THERAPISTS), "service_id": DEEP_TISSUE, "duration_minutes": 60,
                "start_at": self.first + day + TimeDelta::minutes(slot as i64 * 90), "address_id": self.clients[client].address })
    }

    /// Books a slot; the wish, and the booking's id.
    async fn book(&self) -> (Value, String) {
        let number = self.next();
        let client = number % CLIENTS;
        let wish = self.wish(number, client);
        let key = format!("key-{}", Uuid::now_v7());
        let (status, body) = post(&self.service, "/v1/bookings", Some(&self.clients[client].token), &key, &wish).await;
        assert_eq!(status, 201, "{body}");
        (wish, body["id"].as_str().expect("an id").to_owned())
    }
}

/// The service, in a process of its own.
struct Service {
    process: Child,
    address: String,
    http: Client,
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Service {
    async fn start(place: &Place, worker: bool) -> Self {
        let environment = place.folder.join("knead.env");
        if !environment.exists() {
            let printed = Command::new(&place.program).args(["config", "init"]).output().expect("fresh secrets");
            write(&environment, printed.stdout).expect("they are kept");
        }
        let settings = read_to_string(&environment).expect("the settings");
        let settings = settings.lines().filter_map(|line| line.split_once('='));
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its address");
        // With the worker, because the audit's chain is a part of what a booking costs.
        let process = Command::new(&place.program)
            .args(["serve", "--no-migrate"])
            .args(if worker { &[][..] } else { &["--no-worker"] })
            .envs(settings)
            .env("DATABASE_URL", &place.url)
            .env("KNEAD_ADDR", free.to_string())
            .env("KNEAD_RATE_LIMIT", "off")
            .env("KNEAD_MAIL", "off")
            .env("KNEAD_MAX_OPEN_VISITS", "10000")
            .env("KNEAD_STORAGE", place.folder.join("files"))
            .env("RUST_LOG", "error")
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the service starts");
        let service = Self { process, address: format!("http://{free}"), http: Client::new() };
        let ready = || async {
            service
                .http
                .get(format!("{}/readyz", service.address))
                .send()
                .await
                .is_ok_and(|answer| answer.status() == 200)
        };
        for _ in 0..200 {
            if ready().await {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        service
    }

    fn peak_memory(&self) -> u64 {
        let status = read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).map_or(0, |kilobytes: u64| kilobytes / 1000)
    }
}

struct Person {
    token: String,
    address: String,
}

async fn register(service: &Service) -> Vec<Person> {
    let people = stream::iter(0..CLIENTS).map(|n| async move {
        let body = json!({ "email": format!("c{n}@knead.test"), "password": "correct horse battery", "role": "client", "display_name": "Mia" });
        let signed_in: Value = post(service, "/v1/auth/register", None, "", &body).await.1;
        let token = signed_in["access_token"].as_str().expect("a token").to_owned();
        let home = json!({ "label": "Home", "kind": "home", "line1": "12 Crown Street", "locality": "Surry Hills", "region": "NSW",
                           "postcode": "2010", "country": "AU", "latitude": -33.8886, "longitude": 151.2111 });
        let (_, kept) = post(service, "/v1/me/addresses", Some(&token), "", &home).await;
        let text = |value: &Value| value.as_str().expect("an id").to_owned();
        Person { address: text(&kept["id"]), token }
    });
    people.buffered(REGISTERING).collect().await
}

async fn post(service: &Service, path: &str, token: Option<&str>, key: &str, body: &Value) -> (u16, Value) {
    let mut request = service.http.post(format!("{}{path}", service.address)).json(body);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if !key.is_empty() {
        request = request.header("Idempotency-Key", key);
    }
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// What became of one attempt, and how long it took.
type Attempt = (u16, Duration);

async fn attempt(service: &Service, person: &Person, wish: &Value) -> Attempt {
    let began = Instant::now();
    let key = format!("key-{}", uuid::Uuid::now_v7());
    let (status, _) = post(service, "/v1/bookings", Some(&person.token), &key, wish).await;
    (status, began.elapsed())
}

/// `count` connections that attempt one slot after the other; which, is said by `slot` of the time since the beginning. Each is a client of its
/// own where they want the same slots `together`, and else the clients take turns.
async fn load(
    field: &Arc<Field>,
    count: usize,
    length: Duration,
    together: bool,
    slot: impl Fn(&Field, Duration) -> usize + Clone + Send + 'static,
) -> (f64, Vec<Attempt>) {
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for n in 0..count {
        let (field, slot) = (field.clone(), slot.clone());
        tasks.spawn(async move {
            let mut attempts = Vec::new();
            while started.elapsed() < length {
                let number = slot(&field, started.elapsed());
                let client = if together { n } else { number % CLIENTS };
                let wish = field.wish(number, client);
                attempts.push(attempt(&field.service, &field.clients[client], &wish).await);
            }
            attempts
        });
    }
    let mut attempts = tasks.join_all().await.concat();
    attempts.sort_unstable_by_key(|(_, waited)| *waited);
    (attempts.len() as f64 / started.elapsed().as_secs_f64(), attempts)
}

fn percentile(attempts: &[Attempt], share: usize) -> Duration {
    attempts[(attempts.len() - 1) * share / 100].1
}

fn counts(attempts: &[Attempt]) -> BTreeMap<u16, usize> {
    let mut counts = BTreeMap::new();
    for (status, _) in attempts {
        *counts.entry(*status).or_default() += 1;
    }
    counts
}

/// 64 clients who all want the same slot, 200 slots one after the other; then all of them on one start that changes every 50 ms.
async fn contend(field: &Arc<Field>, seconds: u64) {
    let mut attempts = Vec::new();
    let started = Instant::now();
    for _ in 0..200 {
        let slot = field.fresh(1);
        let mut tasks = JoinSet::new();
        for n in 0..RACERS {
            let field = field.clone();
            tasks.spawn(async move { attempt(&field.service, &field.clients[n], &field.wish(slot, n)).await });
        }
        attempts.extend(tasks.join_all().await);
    }
    attempts.sort_unstable_by_key(|(_, waited)| *waited);
    println!(
        "64 clients x 200 identical slots: {:?} in {:.1?}; p99 {:.1?}, longest {:.1?}",
        counts(&attempts),
        started.elapsed(),
        percentile(&attempts, 99),
        percentile(&attempts, 100)
    );
    let first = field.fresh(20 * seconds as usize + 20);
    let changing = move |_: &Field, since: Duration| first + (since.as_millis() / 50) as usize * CLIENTS;
    let (rate, attempts) = load(field, RACERS, Duration::from_secs(seconds), true, changing).await;
    println!(
        "64 clients on one start that changes every 50 ms: {rate:.0} attempts/s, {:?}; p99 {:.1?}",
        counts(&attempts),
        percentile(&attempts, 99)
    );
}

/// What pgbench runs: the statements of one booking, for slots of its own.
#[derive(Default)]
struct Script {
    text: String,
    constants: Vec<String>,
}

impl Script {
    fn new(sent: &[Statement], booking: &str, wish: &Value) -> Self {
        let start: DateTime<Utc> = wish["start_at"].as_str().expect("a start").parse().expect("an instant");
        let start = start.format("%Y-%m-%d %H:%M:%S+00").to_string();
        let whose = wish["therapist_id"].as_str().expect("an id");
        let id = |prefix: &str, number: &str| {
            format!("('{prefix}-0000-7000-8000-' || lpad(to_hex(:{number}::bigint), 12, '0'))::uuid")
        };
        // Rounds, clients and bookings count up, so that every slot is another one; the days lie beyond those booked over HTTP.
        let mut text = format!(
            "\\set n :n + 1\n\\set slot (:round * 64 + :client_id) * 100000 + :n\n\\set t (:slot + :client_id * 31) % {THERAPISTS}\n\\set d 60 + :slot / {THERAPISTS}\n"
        );
        let instant = |value: &str| format!("('{value}'::timestamptz + :d * interval '1 day')");
        let stamp = Regex::new(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?\+00$").expect("a pattern");
        let number = Regex::new(r"\$(\d+)").expect("a pattern");
        // What was made at the same instant begins as the booking's id does: the event, and the therapist's notice in a list of notices.
        let born = &booking[..13];
        let in_list = Regex::new(&format!("{born}[0-9a-f-]{{23}}")).expect("a pattern");
        let range = Regex::new(r#"^\["(.*)","(.*)"\)$"#).expect("a pattern");
        let near = |value: &str| {
            let parsed = |text: &str| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z").expect("an instant");
            (parsed(value) - parsed(&start)).num_hours().abs() <= 80 && parsed(value) > Clock::System.now()
        };
        let is_lock = |value: &str| value.len() > 10 && value.parse::<i64>().is_ok();
        let mut constants = Vec::new();
        for statement in sent {
            let lock = statement.text.contains("advisory_xact_lock");
            let values = statement.parameters.iter().zip(1..).map(|(value, place)| match value.as_deref() {
                None => "NULL".to_owned(),
                Some(value) if value == booking => id("b0000000", "slot"),
                Some(value) if value.starts_with(born) => id("e0000000", "slot"),
                Some(value) if value.starts_with('[') && in_list.is_match(value) => {
                    constants.push(in_list.replace(value, "NOTICE").into_owned());
                    format!("replace(:c{}, 'NOTICE', {}::text)::jsonb", constants.len() - 1, id("c0000000", "slot"))
                }
                Some(value) if value == whose => id("00000000", "t"),
                Some(value) if value == format!("{{{whose}}}") => format!("ARRAY[{}]", id("00000000", "t")),
                // The key's lock is the first that is tried for, and a therapist's is waited for; the client's stays as it is.
                Some(value) if lock && is_lock(value) && !statement.text.contains("try") => ":t::bigint".to_owned(),
                Some(value) if lock && is_lock(value) && place == 1 => ":slot::bigint".to_owned(),
                Some(value) if value.starts_with("key-") => "('key-' || :slot::bigint)".to_owned(),
                Some(value) if stamp.is_match(value) && near(value) => instant(value),
                Some(value) => match range.captures(value) {
                    Some(ends) => format!("tstzrange({}, {})", instant(&ends[1]), instant(&ends[2])),
                    None => {
                        constants.push(value.to_owned());
                        format!(":c{}", constants.len() - 1)
                    }
                },
            });
            let values: Vec<String> = values.collect();
            let filled = number.replace_all(&statement.text, |found: &regex::Captures<'_>| {
                let place: usize = found[1].parse().expect("a number");
                values[place - 1].clone()
            });
            text.push_str(&filled);
            text.push_str(";\n");
        }
        Self { text, constants }
    }

    /// Transactions a second; none where there is no pgbench.
    fn pgbench(
        &self,
        server: &Server,
        database: &str,
        path: &Path,
        clients: usize,
        seconds: u64,
        round: u64,
    ) -> Option<f64> {
        let mut command = Command::new(server.bin("pgbench"));
        command.args(["-n", "-M", "prepared", "-U", "postgres", "-D", "n=0", "-D", &format!("round={round}")]);
        command.arg("-h").arg(server.socket_dir()).args([
            "-c",
            &clients.to_string(),
            "-j",
            &clients.min(2).to_string(),
        ]);
        command.args(["-T", &seconds.to_string(), "-f"]).arg(path);
        for (i, value) in self.constants.iter().enumerate() {
            command.arg("-D").arg(format!("c{i}={value}"));
        }
        let output = match command.arg(database).output() {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            output => output.expect("pgbench runs"),
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        let rate = rate.filter(|rate: &f64| *rate > 0.0);
        if rate.is_none() {
            eprintln!("pgbench could not send the same: {text}{}", String::from_utf8_lossy(&output.stderr));
        }
        rate
    }
}
