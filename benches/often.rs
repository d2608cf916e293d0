//! What is asked often, each operation once, on a service of 100,000 therapists and two million visits: how long one caller waits, how many answers a
//! second 32 connections get, how many statements each takes (each is a round trip to the database), how long PostgreSQL works for it, and how long
//! the answer is. Beside each stands how many bare round trips it takes: `GET /readyz`, which asks the database `SELECT 1`. Log in verifies a password,
//! which is slow on purpose. Run it with `cargo bench --bench often`; see benches/README.md. If `KNEAD_BENCH_BEFORE` is a path to the program of another
//! commit, it is asked the same on a database of its own.
//!
//! `KNEAD_BENCH_THERAPISTS` (100000, and 2000 in a debug build) and `KNEAD_BENCH_VISITS` (20 of each therapist) are the sizes, and
//! `KNEAD_BENCH_SECONDS` (2) is how long rates are taken.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on fails")]

#[path = "common/running.rs"]
mod running;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Days, DurationRound, TimeDelta, Utc};
use knead::clock::Clock;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use running::{Caller, Ground, Request, Service, begin_sessions, execute, fill, id, setting};

const DEEP_TISSUE: &str = "019b76da-a800-7c02-8b52-6f1d8e203c02";
const PASSWORD: &str = "correct horse battery";
const CONNECTIONS: usize = 32;
/// Of what can be done once, so many are done by one caller; the rest is for the others.
const ALONE: usize = 60;
/// Nobody is to wait longer.
const LONGEST: Duration = Duration::from_millis(50);

#[tokio::main]
async fn main() {
    let therapists = setting("KNEAD_BENCH_THERAPISTS", if cfg!(debug_assertions) { 2_000 } else { 100_000 });
    let visits = setting("KNEAD_BENCH_VISITS", therapists * 20);
    assert!(therapists >= 1_000, "fewer than 1,000 therapists have too little to carry out");
    let seconds = Duration::from_secs(setting("KNEAD_BENCH_SECONDS", 2) as u64);
    let ground = Ground::start().await;
    let mut contenders = vec![("this program", env!("CARGO_BIN_EXE_knead").to_owned())];
    contenders.extend(std::env::var("KNEAD_BENCH_BEFORE").ok().map(|program| ("the one before", program)));
    let mut tables: Vec<Vec<Measured>> = Vec::new();
    for (i, (name, program)) in contenders.iter().enumerate() {
        let (place, db) = ground.database(&format!("often_{i}"), program).await;
        fill(&db, therapists, visits).await;
        let service = Service::start(&place, &[]);
        let field = Field::new(db, service, therapists).await;
        println!("\n{name}");
        tables.push(field.measure(seconds, ground.timed).await);
        println!("  peak memory (VmHWM): {} MB", field.service.memory("VmHWM") / 1000);
        field.db.close().await;
    }
    if let [ours, theirs] = &tables[..] {
        println!("\nthis program's time at 1 connection, in that of the one before");
        for (ours, theirs) in ours.iter().zip(theirs) {
            println!("  {:48} {:.2}", ours.name, ours.p50.as_secs_f64() / theirs.p50.as_secs_f64());
        }
    }
    ground.stop().await;
}

/// What is asked.
struct Operation {
    name: &'static str,
    /// The request of this number.
    request: Box<dyn Fn(usize) -> Request + Sync + Send>,
    /// How many there are, where each can be made once.
    once: Option<usize>,
}

impl Operation {
    /// The same again and again.
    fn again(name: &'static str, request: Request) -> Self {
        Self { name, request: Box::new(move |_| request.clone()), once: None }
    }

    fn once(name: &'static str, count: usize, request: impl Fn(usize) -> Request + Sync + Send + 'static) -> Self {
        Self { name, request: Box::new(request), once: Some(count) }
    }
}

/// What one operation came to.
struct Measured {
    name: &'static str,
    p50: Duration,
    p99: Duration,
    /// Statements of each, and milliseconds of PostgreSQL's.
    statements: f64,
    database: f64,
    /// Answers a second over all connections.
    rate: f64,
    bytes: usize,
}

/// A cursor of a list: its key, as the service writes it.
fn cursor(key: &Value) -> String {
    URL_SAFE_NO_PAD.encode(key.to_string())
}

/// A service that runs, and whom it serves.
struct Field {
    db: PgPool,
    service: Service,
    /// Therapists and clients with visits to carry out.
    free: usize,
    /// The starts of those visits, in the order of `often_steps.sql`.
    starts: [DateTime<Utc>; 4],
    operations: Vec<Operation>,
}

impl Field {
    async fn new(db: PgPool, service: Service, therapists: usize) -> Self {
        let now = Clock::System.now();
        let quarter = now.duration_trunc(TimeDelta::minutes(15)).expect("an instant");
        let soon = quarter + TimeDelta::minutes(15);
        let starts = [quarter + Days::new(5), quarter + Days::new(3), soon, soon - TimeDelta::minutes(105)];
        let mut field = Self { db, service, free: (therapists / 10).min(2_000), starts, operations: Vec::new() };
        begin_sessions(&field.db).await;
        // Everybody has one password: to hash each would take long.
        let new = json!({ "email": "new@knead.test", "password": PASSWORD, "role": "client", "display_name": "Mia" });
        let mut caller = Caller::new(field.service.address);
        assert_eq!(caller.ask(&Request::post("/v1/auth/register", &new)).status, 201);
        let prepared = format!(
            "UPDATE accounts SET password_hash = (SELECT password_hash FROM accounts WHERE email = 'new@knead.test')
             WHERE email IN (SELECT 'c' || n || '@knead.test' FROM generate_series(1, 100) n);
             INSERT INTO refresh_tokens (digest, session_id, expires_at)
             SELECT sha256(convert_to('refresh-' || n, 'UTF8')), s.id, now() + interval '30 days'
             FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM sessions) s WHERE n <= 20000;
             SET knead.free = {}; SET knead.now = '{}'; SET knead.asked = '{}'; SET knead.ahead = '{}'; SET knead.soon = '{}'; SET knead.over = '{}';
             {}; ANALYZE",
            field.free,
            now.to_rfc3339(),
            starts[0].to_rfc3339(),
            starts[1].to_rfc3339(),
            starts[2].to_rfc3339(),
            starts[3].to_rfc3339(),
            include_str!("often_steps.sql")
        );
        execute(&field.db, &prepared).await;
        field.operations = field.operations().await;
        field
    }

    async fn one<T>(&self, query: &'static str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        sqlx::query_scalar(query).fetch_one(&self.db).await.expect(query)
    }

    /// Ids of the visits that start then and wait to be carried out, by the number of their therapist.
    async fn visits(&self, which: usize) -> Vec<String> {
        let ids = sqlx::query_scalar(
            "SELECT id FROM bookings WHERE start_at = $1 AND therapist_id BETWEEN $2 AND $3 AND status IN ('requested', 'confirmed', 'in_progress')
             ORDER BY therapist_id",
        );
        let ids = ids.bind(self.starts[which]).bind(id('a', 2)).bind(id('a', self.free + 1));
        let ids: Vec<Uuid> = ids.fetch_all(&self.db).await.expect("visits");
        assert_eq!(ids.len(), self.free, "each has one");
        ids.iter().map(Uuid::to_string).collect()
    }

    /// All of them, in the order in which they are measured: a visit takes one step after the other.
    async fn operations(&self) -> Vec<Operation> {
        let (client, therapist) = (self.service.token(id('c', 1)), self.service.token(id('a', 1)));
        let admin = self.service.token(id('d', 1));
        let free = self.free;
        let theirs = |kind| {
            let tokens: Vec<String> = (2..free + 2).map(|n| self.service.token(id(kind, n))).collect();
            tokens
        };
        let today = Clock::System.now().date_naive();
        let after = |at: DateTime<Utc>, id: Uuid, sort: &str| cursor(&json!([sort, at.to_rfc3339(), id]));
        let again = |name, path: String, token: &str| Operation::again(name, Request::get(path).by(token));
        let middle: (DateTime<Utc>, Uuid) = sqlx::query_as(
            "SELECT start_at, id FROM bookings WHERE start_at > now() - interval '20 days' ORDER BY start_at, id LIMIT 1",
        )
        .fetch_one(&self.db)
        .await
        .expect("a booking");
        let of_one: (DateTime<Utc>, Uuid) = sqlx::query_as(
            "SELECT start_at, id FROM bookings WHERE therapist_id = $1 AND start_at > now() - interval '20 days' ORDER BY start_at, id LIMIT 1",
        )
        .bind(id('a', 1))
        .fetch_one(&self.db)
        .await
        .expect("a booking");
        let name: String = self
            .one("SELECT display_name FROM accounts WHERE role = 'therapist' ORDER BY display_name OFFSET 900 LIMIT 1")
            .await;
        let credential: Uuid =
            self.one("SELECT id FROM credentials WHERE review_state = 'submitted' ORDER BY submitted_at LIMIT 1").await;
        let near = "latitude=-33.87&longitude=151.0";
        let mut all = vec![
            Operation::again("bare: GET /livez", Request::get("/livez")),
            Operation::again("bare: GET /readyz", Request::get("/readyz")),
            Operation {
                name: "log in",
                once: None,
                request: Box::new(|n| {
                    Request::post(
                        "/v1/auth/login",
                        &json!({ "email": format!("c{}@knead.test", 1 + n % 100), "password": PASSWORD }),
                    )
                }),
            },
            Operation::once("refresh", (free * 20).min(20_000), |n| {
                Request::post("/v1/auth/refresh", &json!({ "refresh_token": format!("refresh-{}", n + 1) }))
            }),
            again("bookings: a client's 200", "/v1/bookings".into(), &client),
            again("bookings: a client's, latest first", "/v1/bookings?sort=-start_at".into(), &client),
            again("bookings: a client's, confirmed", "/v1/bookings?status=confirmed".into(), &client),
            again("bookings: a therapist's 5,000", "/v1/bookings".into(), &therapist),
            again("bookings: a therapist's, from today", format!("/v1/bookings?from={today}"), &therapist),
            again(
                "bookings: a therapist's, deep",
                format!("/v1/bookings?cursor={}", after(of_one.0, of_one.1, "start_at")),
                &therapist,
            ),
            again("bookings: all", "/v1/bookings".into(), &admin),
            again("bookings: all, latest booked first", "/v1/bookings?sort=-created_at".into(), &admin),
            again(
                "bookings: all, deep",
                format!("/v1/bookings?cursor={}", after(middle.0, middle.1, "start_at")),
                &admin,
            ),
            again("bookings: all, 100 of a date", format!("/v1/bookings?from={today}&to={today}&limit=100"), &admin),
            again("bookings: all, requested", "/v1/bookings?status=requested".into(), &admin),
            again("bookings: all, stopped", "/v1/bookings?status=stopped".into(), &admin),
            again("bookings: all, of a client", format!("/v1/bookings?client_id={}", id('c', 1)), &admin),
            again(
                "bookings: all, of a therapist",
                format!("/v1/bookings?therapist_id={}&sort=-created_at", id('a', 1)),
                &admin,
            ),
            again("bookings at risk", "/v1/admin/bookings/at-risk".into(), &admin),
            again("bookings overdue", "/v1/admin/bookings/overdue".into(), &admin),
            Operation::again("therapists near", Request::get(format!("/v1/therapists?{near}"))),
            Operation::again("therapists near, best rated", Request::get(format!("/v1/therapists?{near}&sort=rating"))),
            Operation::again(
                "therapists near, free next week",
                Request::get(format!(
                    "/v1/therapists?{near}&from={}&to={}",
                    today + Days::new(7),
                    today + Days::new(9)
                )),
            ),
            Operation::again("therapists by name", Request::get("/v1/therapists")),
            Operation::again(
                "therapists by name, deep",
                Request::get(format!("/v1/therapists?cursor={}", cursor(&json!([null, name, id('a', 1)])))),
            ),
            Operation::again("therapists, best rated anywhere", Request::get("/v1/therapists?sort=rating")),
            again(
                "a day at a glance, behind",
                format!("/v1/therapists/me/day?date={}", today - Days::new(3)),
                &therapist,
            ),
            again(
                "a day at a glance, ahead",
                format!("/v1/therapists/me/day?date={}", today + Days::new(3)),
                &therapist,
            ),
            again("notices", "/v1/me/notices".into(), &therapist),
            again("notices, unread", "/v1/me/notices?unread=true".into(), &therapist),
            again("queue", "/v1/admin/credentials".into(), &admin),
            again("queue, submitted", "/v1/admin/credentials?review_state=submitted".into(), &admin),
            again("queue, unclaimed", "/v1/admin/credentials?unclaimed=true".into(), &admin),
            again("queue, of a type", "/v1/admin/credentials?review_state=submitted&type=US-WA-LMT".into(), &admin),
            again(
                "queue, of a place",
                "/v1/admin/credentials?review_state=submitted&jurisdiction=US-CA".into(),
                &admin,
            ),
            again("queue, duplicates", "/v1/admin/credentials?review_state=submitted&duplicate=true".into(), &admin),
            again("queue, of a therapist", format!("/v1/admin/credentials?therapist_id={}", id('a', 7)), &admin),
            again(
                "queue, first to expire",
                "/v1/admin/credentials?review_state=verified&sort=expires_on".into(),
                &admin,
            ),
            again("queue, expiring of any state", "/v1/admin/credentials?sort=expires_on".into(), &admin),
            again(
                "queue, ending before a date",
                format!("/v1/admin/credentials?review_state=verified&expires_before={}", today + Days::new(30)),
                &admin,
            ),
            again("queue, by the next visit", "/v1/admin/credentials?sort=next_visit".into(), &admin),
            again("queue, drafts", "/v1/admin/credentials?review_state=draft".into(), &admin),
            again("queue, counts", "/v1/admin/credentials/counts".into(), &admin),
            again("a credential for review", format!("/v1/admin/credentials/{credential}"), &admin),
            again("audit", "/v1/admin/audit".into(), &admin),
            again("audit, deep", self.deep_audit().await, &admin),
            again("audit, a frequent action", "/v1/admin/audit?action=booking.complete".into(), &admin),
            again("audit, a rare action", "/v1/admin/audit?action=price.create".into(), &admin),
            again("audit, no such action", "/v1/admin/audit?action=price.creat".into(), &admin),
            again("audit, a frequent kind of thing", "/v1/admin/audit?subject_type=credential".into(), &admin),
            again("audit, a rare kind of thing", "/v1/admin/audit?subject_type=price".into(), &admin),
            again("audit, of an admin", format!("/v1/admin/audit?actor_id={}", id('d', 3)), &admin),
            again("audit, of a therapist", format!("/v1/admin/audit?therapist_id={}", id('a', 1)), &admin),
            again(
                "audit, of a booking",
                format!("/v1/admin/audit?subject_type=booking&subject_id={}", middle.1),
                &admin,
            ),
            again(
                "audit, a day of last month",
                format!("/v1/admin/audit?from={0}T00:00:00Z&to={0}T12:00:00Z", today - Days::new(40)),
                &admin,
            ),
            again("tasks", "/v1/admin/tasks".into(), &admin),
            again("tasks, of a kind", "/v1/admin/tasks?kind=duplicate_claim".into(), &admin),
            again("tasks, resolved", "/v1/admin/tasks?open=false".into(), &admin),
            again("incidents", "/v1/admin/incidents".into(), &admin),
            again("incidents, open", "/v1/admin/incidents?open=true".into(), &admin),
            again("incidents, of a client", format!("/v1/admin/incidents?client_id={}", id('c', 1)), &admin),
            again("reviews", "/v1/admin/reviews".into(), &admin),
            again("reviews, of a therapist", format!("/v1/admin/reviews?therapist_id={}", id('a', 7)), &admin),
            again("reviews, hidden", "/v1/admin/reviews?hidden=true".into(), &admin),
            Operation::again(
                "reviews of a therapist, published",
                Request::get(format!("/v1/therapists/{}/reviews", id('a', 1))),
            ),
        ];
        let (clients, therapists) = (theirs('c'), theirs('a'));
        let holds = clients.clone();
        let week = self.starts[0] + Days::new(5);
        all.push(Operation::once("hold", free, move |n| {
            let wish = json!({ "therapist_id": id('a', n + 2), "service_id": DEEP_TISSUE, "duration_minutes": 60, "start_at": week,
                               "address_id": id('e', n + 2) });
            Request::post("/v1/holds", &wish).by(&holds[n])
        }));
        let later = self.starts[1] + Days::new(1);
        let step = |name, of: Vec<String>, by: &[String], step: &'static str, body: Value| {
            let by = by.to_vec();
            Operation::once(name, free, move |n| {
                Request::post(format!("/v1/bookings/{}/{step}", of[n]), &body).by(&by[n])
            })
        };
        let [asked, ahead, soon, over] =
            [self.visits(0).await, self.visits(1).await, self.visits(2).await, self.visits(3).await];
        all.extend([
            step("reschedule", ahead.clone(), &clients, "reschedule", json!({ "start_at": later })),
            step("cancel", ahead, &clients, "cancel", Value::Null),
            step("accept", asked, &therapists, "accept", Value::Null),
            step("on the way", soon.clone(), &therapists, "on-the-way", Value::Null),
            step("arrive", soon.clone(), &therapists, "arrive", Value::Null),
            step("start", soon, &therapists, "start", Value::Null),
            step("complete", over, &therapists, "complete", Value::Null),
        ]);
        all
    }

    /// The path of a page of the audit some way down: the fortieth of a hundred entries.
    async fn deep_audit(&self) -> String {
        let admin = self.service.token(id('d', 1));
        let mut caller = Caller::new(self.service.address);
        let mut path = "/v1/admin/audit?limit=100".to_owned();
        for _ in 0..40 {
            let page: Value =
                serde_json::from_slice(&caller.ask(&Request::get(&path).by(&admin)).body).expect("a page");
            path = format!("/v1/admin/audit?limit=100&cursor={}", page["next_cursor"].as_str().expect("a next page"));
        }
        path.replace("limit=100", "limit=20")
    }

    /// Measures all of them: first by one caller, who has one connection to the database, and then by 32.
    async fn measure(&self, seconds: Duration, timed: bool) -> Vec<Measured> {
        let select = select_1(&self.db).await;
        let mut all = Vec::new();
        for operation in &self.operations {
            all.push(self.alone(operation, seconds, timed).await);
        }
        for (operation, measured) in self.operations.iter().zip(&mut all) {
            measured.rate = self.together(operation, seconds);
        }
        let bare = all[1].p50.as_secs_f64();
        println!(
            "  {:.0} us is a bare round trip to the database, {:.0} us one over HTTP and on to it",
            select * 1e6,
            bare * 1e6
        );
        println!(
            "  {:38} {:>8} {:>8} {:>7} {:>8} {:>10} {:>10} {:>8}",
            "operation", "p50 ms", "p99 ms", "trips", "rate/s", "statements", "db ms", "bytes"
        );
        for one in &all {
            println!(
                "  {:38} {:>8.2} {:>8.2} {:>7.1} {:>8.0} {:>10.1} {:>10.2} {:>8}",
                one.name,
                one.p50.as_secs_f64() * 1e3,
                one.p99.as_secs_f64() * 1e3,
                one.p50.as_secs_f64() / bare,
                one.rate,
                one.statements,
                one.database,
                one.bytes
            );
        }
        for one in all.iter().filter(|one| one.p50 > LONGEST) {
            println!("  {} takes over {LONGEST:?}", one.name);
        }
        all
    }

    /// What one caller gets who asks one thing after the other.
    async fn alone(&self, operation: &Operation, seconds: Duration, timed: bool) -> Measured {
        let mut caller = Caller::new(self.service.address);
        let mut ask = |n: usize| {
            let request = (operation.request)(n);
            let begun = Instant::now();
            let answer = caller.ask(&request);
            let took = begun.elapsed();
            assert!(
                matches!(answer.status, 200 | 201),
                "{}: {} {request:?} {}",
                operation.name,
                answer.status,
                String::from_utf8_lossy(&answer.body)
            );
            (took, answer.body.len())
        };
        // Statements are prepared, and the database settles on a plan after five times.
        for n in 0..10 {
            ask(n);
        }
        if timed {
            execute(&self.db, "SELECT pg_stat_statements_reset()").await;
        }
        let (begun, mut times, mut bytes) = (Instant::now(), Vec::new(), 0);
        let count = operation.once.map_or(300, |_| ALONE);
        for n in 10..count {
            let (took, length) = ask(n);
            times.push(took);
            bytes = length;
            if operation.once.is_none() && begun.elapsed() > seconds {
                break;
            }
        }
        let (statements, database) = if timed { cost(&self.db).await } else { (f64::NAN, f64::NAN) };
        let each = times.len() as f64;
        times.sort_unstable();
        let at = |hundredth: usize| times[(times.len() - 1) * hundredth / 100];
        Measured {
            name: operation.name,
            p50: at(50),
            p99: at(99),
            statements: statements / each,
            database: database / each,
            rate: 0.0,
            bytes,
        }
    }

    /// How many answers a second 32 connections get, for so long or until nothing is left to do.
    fn together(&self, operation: &Operation, seconds: Duration) -> f64 {
        let (next, done) = (AtomicUsize::new(if operation.once.is_some() { ALONE } else { 0 }), AtomicUsize::new(0));
        let most = operation.once.unwrap_or(usize::MAX);
        let begun = Instant::now();
        scope(|scope| {
            for _ in 0..CONNECTIONS {
                scope.spawn(|| {
                    let mut caller = Caller::new(self.service.address);
                    while begun.elapsed() < seconds {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= most {
                            break;
                        }
                        let answer = caller.ask(&(operation.request)(n));
                        // Those who search most wait for the others, and are told to come again.
                        if matches!(answer.status, 200 | 201) {
                            done.fetch_add(1, Ordering::Relaxed);
                        } else {
                            assert!(matches!(answer.status, 429 | 503), "{}: {}", operation.name, answer.status);
                        }
                    }
                });
            }
        });
        done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()
    }
}

/// How many statements were sent since the last reset, and how many milliseconds PostgreSQL worked for them, with its COMMITs.
async fn cost(db: &PgPool) -> (f64, f64) {
    sqlx::query_as(
        "SELECT coalesce(sum(calls), 0)::float8, coalesce(sum(total_exec_time + total_plan_time), 0)::float8
         FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = current_database() AND query !~ 'pg_stat_statements'",
    )
    .fetch_one(db)
    .await
    .expect("what was asked")
}

/// The median of a bare round trip to the database, in seconds.
async fn select_1(db: &PgPool) -> f64 {
    let mut connection = db.acquire().await.expect("a connection");
    let mut times = Vec::new();
    for _ in 0..1000 {
        let begun = Instant::now();
        sqlx::query("SELECT 1").execute(&mut *connection).await.expect("an answer");
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    times[500].as_secs_f64()
}
