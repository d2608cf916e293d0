//! How long clients wait for slots: whole requests, beside two bare round trips on the same machine, one to the database (`SELECT 1`) and
//! one over HTTP to the service and on to the database (`GET /readyz`, which asks it the same). It loads a city of 10,000 and a country
//! of 100,000 therapists, each with visits ahead and years of visits behind, and then ten times as many of those. Run it with
//! `cargo bench --bench slots`. Times are of this machine; what compares is the ratio.
//!
//! `KNEAD_BENCH_THERAPISTS` (`10000,100000`) names the sizes, `KNEAD_BENCH_HISTORY` (20) the past visits of each therapist, and
//! `KNEAD_BENCH_SECONDS` (5) how long rates are taken. With `KNEAD_BENCH_THERAPISTS=2000` it is done in less than a minute.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on fails")]

mod common;

use std::env;
use std::fs::{Permissions, set_permissions, write};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use knead::App;
use knead::accounts::MailSetUp;
use knead::audit::Keys;
use knead::auth::{ApiClients, Passwords, Sessions, StaffSecondFactor, Tokens, generate_signing_key};

use knead::availability::hints;
use knead::availability::travel::Roads;
use knead::bookings::bounds::Bounds;
use knead::calendars::Fetcher;
use knead::cipher::{Cipher, generate_data_key};
use knead::clock::Clock;
use knead::db::{self, Db};
use knead::events::Workshop;
use knead::http::RateLimits;
use knead::inspection::Inspector;
use knead::outbound::Outbound;
use knead::postgres::{Options, Server};
use knead::search::{SearchCache, Searches};
use knead::storage::Storage;
use serde_json::Value;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use common::{Statement, settled, statements};

/// Monday noon in Sydney.
const NOW: &str = "2026-11-30T01:00:00Z";
const REQUESTS: usize = 300;
const CONNECTIONS: usize = 32;

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

fn number(name: &str, default: &str) -> usize {
    setting(name, default).parse().expect("a number")
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    // As root, PostgreSQL runs as another user.
    set_permissions(&folder, Permissions::from_mode(0o755)).expect("a folder that can be reached");
    let options = Options { root: folder.path().join("postgres"), durable: true, progress: |line| eprintln!("{line}") };
    let server = spawn_blocking(move || Server::start(&options)).await.expect("a thread").expect("a server");
    for therapists in setting("KNEAD_BENCH_THERAPISTS", "10000,100000").split(',') {
        let therapists: usize = therapists.trim().parse().expect("a number of therapists");
        measure(&server, folder.path(), therapists).await;
    }
    spawn_blocking(move || server.stop()).await.expect("a thread").expect("an orderly end");
}

/// Everything about one size.
async fn measure(server: &Server, folder: &Path, therapists: usize) {
    let (name, history) = (format!("n{therapists}"), number("KNEAD_BENCH_HISTORY", "20"));
    let postgres = PgPool::connect(&server.url("postgres")).await.expect("a connection");
    execute(&postgres, &format!("CREATE DATABASE {name}")).await;
    let url = server.url(&name);
    knead::migrate(&url).await.expect("the migrations run");
    let patient = PgPoolOptions::new().max_connections(1).connect(&url).await.expect("a connection");
    let now: DateTime<Utc> = NOW.parse().expect("an instant");
    let started = Instant::now();
    let cities = if therapists > 20_000 { 8 } else { 1 };
    let given = format!("SET knead.therapists = {therapists}; SET knead.cities = {cities}; SET knead.now = '{NOW}';");
    execute(&patient, &(given + include_str!("slots.sql"))).await;
    let loaded = started.elapsed().as_secs_f64();
    hints::refresh(&patient, now).await.expect("hints are made");
    let hinted = started.elapsed().as_secs_f64() - loaded;
    println!("\n{therapists} therapists in {cities} cities: loaded in {loaded:.0} s, hints made in {hinted:.0} s");
    let mut past = 0;
    for history in [history, history * 10] {
        remember(&patient, past, history).await;
        past = history;
        requests(server, &patient, &url, folder, history).await;
    }
    patient.close().await;
}

/// Gives every therapist past visits, spread over two years: `history` of them, where there are `already` so many.
async fn remember(db: &PgPool, already: usize, history: usize) {
    execute(
        db,
        &format!(
            "SET session_replication_role = replica;
             INSERT INTO bookings (id, client_id, therapist_id, service_id, status, start_at, duration_minutes, time_zone, jurisdiction,
                                   address, amount, currency, price_breakdown, policy, created_at)
             SELECT gen_random_uuid(), (SELECT id FROM accounts WHERE role = 'client'), t.id, s.id, 'completed',
                    '{NOW}'::timestamptz - make_interval(mins => 1440 + (i * 1051200.0 / {history})::integer), 60, 'Australia/Sydney', 'AU-NSW',
                    '{{}}', 12900, 'AUD', '{{}}', '{{}}', '{NOW}'
             FROM therapists t, services s, generate_series({already}, {history} - 1) i WHERE s.slug = 'deep-tissue';
             RESET session_replication_role"
        ),
    )
    .await;
    execute(db, "VACUUM ANALYZE").await;
}

async fn execute(db: &PgPool, statements: &str) {
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(db).await.expect("the statements run");
}

/// The service over a pool of so many connections.
fn serve(url: &str, folder: &Path, size: u32) -> (Db, SocketAddr) {
    let one = || db::pool(url, 1).map(Db::from);
    let db = if size == 1 { one() } else { Db::shared_out(url, size, 2) }.expect("a pool");
    let clock = Clock::manual(NOW.parse().expect("an instant"));
    let shop = Workshop { db: db.clone(), clock, reactions: knead::doors::REACTIONS };
    let cipher = Cipher::new(&generate_data_key().expect("a key").into()).expect("a cipher");
    let storage = Storage::open(folder.join("kept").to_str().expect("a path")).expect("a folder");
    let app = App::new(shop, cipher, storage)
        .with(Tokens::new("http://knead.test", &generate_signing_key().expect("a key").into()).expect("tokens"))
        .with(Keys::new(&generate_signing_key().expect("a key").into()).expect("keys"))
        .with(Passwords::new().expect("passwords"))
        .with(RateLimits::new(false, Vec::new()))
        .with(Roads::default())
        .with(Searches::new())
        .with(SearchCache::default())
        .with(Sessions::default())
        .with(ApiClients::default())
        .with(MailSetUp(false))
        .with(StaffSecondFactor::Optional)
        .with(Fetcher::new(Outbound::new()))
        .with(Outbound::new())
        .with(Inspector::new())
        .with(Bounds::default());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(knead::server::server(Arc::new(app), listener, 2).expect("a server"));
    (db, address)
}

/// A connection that asks one thing after the other.
struct Caller(BufReader<TcpStream>);

impl Caller {
    fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        Self(BufReader::new(stream))
    }

    /// The body of a good answer.
    fn get(&mut self, path: &str) -> String {
        write!(self.0.get_mut(), "GET {path} HTTP/1.1\r\nHost: knead.test\r\n\r\n").expect("it is sent");
        let (mut line, mut length, mut good) = (String::new(), 0, false);
        while self.0.read_line(&mut line).expect("a line") > 2 {
            let lower = line.to_ascii_lowercase();
            good |= lower.starts_with("http/1.1 200");
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            line.clear();
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("a body");
        let body = String::from_utf8(body).expect("text");
        assert!(good, "{path}: {body}");
        body
    }

    /// How long so many requests take, one path after the other and from the first again; and the length of the last answer.
    fn time(&mut self, paths: &[String], count: usize) -> (Vec<Duration>, usize) {
        let mut length = 0;
        let times = paths.iter().cycle().take(count).map(|path| {
            let started = Instant::now();
            length = self.get(path).len();
            started.elapsed()
        });
        (times.collect(), length)
    }
}

/// The bare round trips: to the database, and over HTTP.
#[derive(Clone, Copy)]
struct Bare {
    database: f64,
    http: f64,
}

impl Bare {
    fn print(self, what: &str, times: Vec<Duration>, more: &str) {
        let (median, p99) = spread(times);
        println!(
            "  {what}: median {median:.0} us, p99 {p99:.0} us; {:.1} round trips over HTTP, {:.0} to the database{more}",
            median / self.http,
            median / self.database
        );
    }
}

/// Median and 99th percentile, in microseconds.
fn spread(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort_unstable();
    let at = |hundredth: usize| times[(times.len() - 1) * hundredth / 100].as_secs_f64() * 1e6;
    (at(50), at(99))
}

/// Rows that the database has read from tables so far, by the one connection of this pool.
async fn rows_read(db: &PgPool) -> i64 {
    let mut connection = db.acquire().await.expect("a connection");
    sqlx::raw_sql("SELECT pg_stat_force_next_flush()").execute(&mut *connection).await.expect("statistics");
    sqlx::query_scalar("SELECT sum(coalesce(idx_tup_fetch, 0) + seq_tup_read)::int8 FROM pg_stat_user_tables")
        .fetch_one(&mut *connection)
        .await
        .expect("statistics")
}

async fn requests(server: &Server, patient: &PgPool, url: &str, folder: &Path, history: usize) {
    let service: Uuid =
        sqlx::query_scalar("SELECT id FROM services WHERE slug = 'deep-tissue'").fetch_one(patient).await.expect("one");
    let therapists: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM therapists WHERE distance_km(area_latitude, area_longitude, -33.87, 151.0) < 10 ORDER BY id LIMIT 300",
    )
    .fetch_all(patient)
    .await
    .expect("therapists");
    let (one, address) = serve(url, folder, 1);
    let database = spread(round_trips(&one).await);
    let ready = ["/readyz".to_owned()];
    let mut caller = Caller::new(address);
    caller.time(&ready, 100);
    let http = spread(caller.time(&ready, 2000).0);
    println!("  {history} past visits of each");
    println!("  bare round trip to the database: median {:.0} us, p99 {:.0} us", database.0, database.1);
    println!("  bare round trip over HTTP to the database: median {:.0} us, p99 {:.0} us", http.0, http.1);
    let bare = Bare { database: database.0, http: http.0 };
    let place = format!(
        "/v1/slots?service_id={service}&duration_minutes=60&latitude=-33.87&longitude=151.0&country=AU&region=NSW"
    );
    let weeks: Vec<String> =
        therapists.iter().map(|id| format!("{place}&from=2026-12-03&to=2026-12-09&therapist_id={id}")).collect();
    let day = format!("{place}&from=2026-12-03&to=2026-12-03");
    bare.print("one therapist's week, not read before", caller.time(&weeks, weeks.len()).0, "");
    for (what, path) in [
        ("one therapist's week", weeks[0].clone()),
        ("the city on a day, soonest", day.clone()),
        ("the city in a week, soonest", format!("{place}&from=2026-12-03&to=2026-12-09")),
        ("the city on a day, nearest", format!("{day}&sort=distance")),
        ("the city on a day, best rated", format!("{day}&sort=rating")),
    ] {
        let path = [path];
        caller.time(&path, 20);
        let before = rows_read(&one).await;
        let (times, length) = caller.time(&path, REQUESTS);
        let rows = usize::try_from(rows_read(&one).await - before).unwrap_or(0) / REQUESTS;
        bare.print(what, times, &format!("; {rows} rows, {length} bytes"));
    }
    let mut times = Vec::new();
    for _ in 0..30 {
        let page: Value = serde_json::from_str(&caller.get(&day)).expect("JSON");
        let shown =
            page["data"].as_array().expect("therapists").iter().map(|found| found["therapist"]["id"].to_string());
        let shown = shown.collect::<Vec<_>>().join(", ").replace('"', "'");
        execute(patient, &format!("UPDATE hint_states SET revision = revision + 1 WHERE therapist_id IN ({shown})"))
            .await;
        times.extend(caller.time(std::slice::from_ref(&day), 1).0);
    }
    bare.print("the city on a day, soonest, after all shown have changed", times, "");
    one.close().await;

    let log = folder.join("postgres/postgresql.log");
    let sent = sent(patient, url, folder, &log, &weeks[0]).await;
    let rate_of = |path: String| rate(url, folder, path);
    let rate = rate_of(weeks[0].clone()).await;
    println!("  one therapist's week at {CONNECTIONS} connections: {rate:.0} requests/s");
    match pgbench(server, patient, folder, &sent) {
        Some(bare) => println!(
            "  its {} statements by pgbench: {bare:.0}/s; the whole request is at {:.2} of that",
            sent.len(),
            rate / bare
        ),
        None => println!("  there is no pgbench here to compare with"),
    }
    println!(
        "  a bare round trip over HTTP at {CONNECTIONS} connections: {:.0}/s",
        rate_of("/readyz".to_owned()).await
    );
    println!("  the city on a day, soonest, at {CONNECTIONS} connections: {:.0} requests/s", rate_of(day).await);
}

/// How long the database takes to say 1, over and over.
async fn round_trips(db: &PgPool) -> Vec<Duration> {
    let mut connection = db.acquire().await.expect("a connection");
    let mut times = Vec::new();
    for _ in 0..2000 {
        let started = Instant::now();
        let _: i32 = sqlx::query_scalar("SELECT 1").fetch_one(&mut *connection).await.expect("1");
        times.push(started.elapsed());
    }
    times
}

/// What the service asks the database for one answer, once it knows the diary.
async fn sent(patient: &PgPool, url: &str, folder: &Path, log: &Path, path: &str) -> Vec<Statement> {
    let alter =
        |what: &str| format!("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I {what}', current_database()); END $$");
    execute(patient, &alter("SET log_statement = ''all''")).await;
    let (one, address) = serve(url, folder, 1);
    let mut caller = Caller::new(address);
    let path = [path.to_owned()];
    caller.time(&path, 10);
    let before = settled(log).await.len();
    caller.time(&path, 1);
    let mut sent = statements(&settled(log).await[before..]);
    // What the pool asks by itself.
    sent.retain(|statement| !statement.text.starts_with("/*"));
    one.close().await;
    execute(patient, &alter("RESET log_statement")).await;
    sent
}

/// Requests a second.
async fn rate(url: &str, folder: &Path, path: String) -> f64 {
    let (db, address) = serve(url, folder, 16);
    let (count, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (path, count, stop) = (path.clone(), count.clone(), stop.clone());
            std::thread::spawn(move || {
                let mut caller = Caller::new(address);
                while !stop.load(Ordering::Relaxed) {
                    caller.get(&path);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (before, started) = (count.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(Duration::from_secs(number("KNEAD_BENCH_SECONDS", "5") as u64)).await;
    let (done, seconds) = (count.load(Ordering::Relaxed) - before, started.elapsed().as_secs_f64());
    stop.store(true, Ordering::Relaxed);
    spawn_blocking(move || callers.into_iter().for_each(|caller| caller.join().expect("a caller ends")))
        .await
        .expect("a thread");
    db.close().await;
    done as f64 / seconds
}

/// How often in a second PostgreSQL's own tool carries out these statements.
fn pgbench(server: &Server, db: &PgPool, folder: &Path, sent: &[Statement]) -> Option<f64> {
    let mut script = String::new();
    let mut command = Command::new(server.bin("pgbench"));
    for (i, Statement { text, parameters }) in sent.iter().enumerate() {
        // Comments end with their line, which pgbench does not keep.
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("--"));
        let mut text = lines.collect::<Vec<_>>().join(" ");
        // From the last, so that $1 is not found in $10.
        for (j, value) in parameters.iter().enumerate().rev() {
            let name = format!("s{i}p{j}");
            let place = format!("${}", j + 1);
            match value {
                None => text = text.replace(&place, "NULL"),
                Some(value) => {
                    text = text.replace(&place, &format!(":{name}"));
                    command.arg("-D").arg(format!("{name}={value}"));
                }
            }
        }
        script += &(text + ";\n");
    }
    let file = folder.join("week.sql");
    write(&file, script).expect("a script");
    let seconds = setting("KNEAD_BENCH_SECONDS", "5");
    command.args(["-n", "-M", "prepared", "-c", "32", "-j", "2", "-T", &seconds, "-U", "postgres", "-h"]);
    command.arg(server.socket_dir()).arg("-f").arg(file).arg(db.connect_options().get_database()?);
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        output => output.expect("pgbench runs"),
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok());
    assert!(rate.is_some(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    rate
}
