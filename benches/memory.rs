//! Whether the service's memory stays what it is: so many requests of all kinds over 64 connections, and a graph of its resident memory. Among them are
//! searches at ever new places, lists, changes, paths and things that do not exist, requests that cannot be read, and connections that come and go. Run it
//! with `cargo bench --bench memory`; see benches/README.md.
//!
//! `KNEAD_BENCH_REQUESTS` (1000000, and 20000 in a debug build) is how many, and `KNEAD_BENCH_THERAPISTS` (2000) how large the service is.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on fails")]

#[path = "common/running.rs"]
mod running;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::scope;
use std::time::Instant;

use chrono::{Days, DurationRound, TimeDelta};
use knead::availability::hints;
use knead::clock::Clock;
use serde_json::json;

use running::{Caller, Ground, Request, Service, begin_sessions, fill, id, setting};

const DEEP_TISSUE: &str = "019b76da-a800-7c02-8b52-6f1d8e203c02";
const CONNECTIONS: usize = 64;
/// Requests after which a connection is closed, and another one made.
const OF_ONE: usize = 500;
const STEPS: usize = 20;
/// Characters of the longest bar.
const WIDTH: u64 = 60;

#[tokio::main]
async fn main() {
    let requests = setting("KNEAD_BENCH_REQUESTS", if cfg!(debug_assertions) { 20_000 } else { 1_000_000 });
    let therapists = setting("KNEAD_BENCH_THERAPISTS", 2_000);
    let ground = Ground::start().await;
    let (place, db) = ground.database("memory", env!("CARGO_BIN_EXE_knead")).await;
    fill(&db, therapists, therapists * 20).await;
    begin_sessions(&db).await;
    hints::refresh(&db, Clock::System.now()).await.expect("hints are made");
    let metrics = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its address");
    let service = Service::start(&place, &[("KNEAD_METRICS_ADDR", &metrics.to_string())]);

    let (next, answers) = (AtomicUsize::new(0), Mutex::new(BTreeMap::<u16, usize>::new()));
    let mut memory = vec![service.memory("VmRSS")];
    let begun = Instant::now();
    for step in 1..=STEPS {
        let crowd = Crowd::new(&service, therapists);
        let until = requests * step / STEPS;
        scope(|scope| {
            for _ in 0..CONNECTIONS {
                scope.spawn(|| {
                    let (mut caller, mut asked, mut counts) = (Caller::new(service.address), 0, BTreeMap::new());
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= until {
                            break;
                        }
                        *counts.entry(caller.ask(&crowd.request(n)).status).or_insert(0) += 1;
                        asked += 1;
                        if asked % OF_ONE == 0 {
                            caller = Caller::new(service.address);
                        }
                    }
                    let mut answers = answers.lock().expect("counts");
                    for (status, count) in counts {
                        *answers.entry(status).or_default() += count;
                    }
                });
            }
        });
        next.store(until, Ordering::Relaxed);
        memory.push(service.memory("VmRSS"));
        eprintln!("{} of {requests} requests after {:.0} s", until, begun.elapsed().as_secs_f64());
    }
    let answers = answers.into_inner().expect("counts");
    println!("{requests} requests in {:.0} s; answers by status: {answers:?}", begun.elapsed().as_secs_f64());
    assert!(answers.keys().all(|status| *status < 500 || *status == 503), "no request is a fault of the service");
    let most = memory.iter().max().copied().unwrap_or(1).max(1);
    println!("resident memory of the service");
    for (step, kilobytes) in memory.iter().enumerate() {
        let bar = "#".repeat(usize::try_from(kilobytes * WIDTH / most).expect("a width"));
        println!("  {:>3} % {:>7.1} MB {bar}", step * 100 / STEPS, *kilobytes as f64 / 1e3);
    }
    let (half, end) = (memory[STEPS / 2] as f64 / 1e3, memory[STEPS] as f64 / 1e3);
    println!("the second half added {:.1} MB to {half:.1} MB: {:.1} %", end - half, 100.0 * (end - half) / half);
    let kept = String::from_utf8(Caller::new(metrics).ask(&Request::get("/metrics")).body).expect("text");
    for line in kept.lines().filter(|line| line.starts_with("search_cache_")) {
        println!("  {line}");
    }
    drop(service);
    db.close().await;
    ground.stop().await;
}

/// Who asks, with tokens that are good for a while.
struct Crowd {
    clients: Vec<String>,
    therapists: Vec<String>,
    admin: String,
    /// How many there are of either.
    size: usize,
}

impl Crowd {
    fn new(service: &Service, size: usize) -> Self {
        let tokens = |kind| (1..=200).map(|n| service.token(id(kind, n))).collect();
        Self { clients: tokens('c'), therapists: tokens('a'), admin: service.token(id('d', 1)), size }
    }

    /// The request of this number: the same in every run.
    fn request(&self, n: usize) -> Request {
        // Spread over what there is, without a pattern that the caches could follow.
        let drawn = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let draw = |most: usize| usize::try_from(drawn).expect("a number") % most;
        let someone = id('a', 1 + draw(self.size));
        let (client, therapist) = (&self.clients[draw(200)], &self.therapists[draw(200)]);
        let today = Clock::System.now().date_naive();
        let (north, east) =
            (-33.87 + (draw(1_000) as f64 - 500.0) / 4_000.0, 151.0 + (draw(997) as f64 - 500.0) / 4_000.0);
        let place = format!("latitude={north}&longitude={east}&country=AU&region=NSW");
        let dates = format!("from={}&to={}", today + Days::new(2), today + Days::new(8));
        let slots = format!("/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&{place}");
        match n % 40 {
            0..3 => Request::get(format!("{slots}&{dates}&therapist_id={someone}")),
            3..5 => Request::get(format!("{slots}&from={0}&to={0}", today + Days::new(1 + draw(7) as u64))).by(client),
            5 => Request::get(format!("{slots}&{dates}&therapist_id={someone}&explain=true")),
            6..8 => Request::get(format!("/v1/therapists?latitude={north}&longitude={east}")),
            8 => Request::get("/v1/therapists?sort=rating"),
            9..11 => Request::get(format!("/v1/therapists/{someone}")),
            11 => Request::get(format!("/v1/therapists/{someone}/reviews")),
            12 => Request::get("/v1/services?country=AU"),
            13 => Request::get("/v1/credential-requirements?jurisdiction=AU-NSW"),
            14..16 => Request::get("/v1/bookings").by(client),
            16 => Request::get("/v1/bookings?sort=-start_at&limit=100").by(therapist),
            17 => {
                Request::get(format!("/v1/therapists/me/day?date={}", today + Days::new(draw(20) as u64))).by(therapist)
            }
            18 => Request::get("/v1/me/notices").by(therapist),
            19 => Request::get("/v1/admin/credentials").by(&self.admin),
            20 => Request::get("/v1/admin/audit?limit=100").by(&self.admin),
            21 => Request::get("/v1/me").by(client),
            22 => Request::get("/v1/therapists/me/schedule").by(therapist),
            23 => Request::get("/.well-known/jwks.json"),
            24 => Request::get("/readyz"),
            25..28 => self.hold(n, draw(200)),
            28 if n % 400 == 28 => Request::post(
                "/v1/auth/login",
                &json!({ "email": format!("c{n}@knead.test"), "password": "not this one" }),
            ),
            28 => Request::post(
                "/v1/quotes",
                &json!({ "service_id": DEEP_TISSUE, "duration_minutes": 60, "country": "AU" }),
            ),
            29 => Request::post("/v1/auth/refresh", &json!({ "refresh_token": format!("nobody's-{n}") })),
            // Paths that are nowhere, each another one, and things that are not there.
            30..32 => Request::get(format!("/v1/nowhere/{n}/{drawn:x}")),
            32 => Request::get(format!("/{drawn:x}?{drawn:x}={n}")),
            33 => Request::get(format!("/v1/therapists/{}", id('f', n))),
            34 => Request::get(format!("/v1/bookings/{}", id('f', n))).by(client),
            35 => Request::get(format!("/v1/bookings?wrong{drawn:x}=1")).by(client),
            36 => Request::get("/v1/me").by(&format!("forged.{drawn:x}.{n}")),
            37 => Request::post(format!("/v1/therapists/{someone}"), &json!({ "no": "such method" })),
            38 => Request::post("/v1/holds", &json!({ "unknown": drawn })).by(client),
            _ => Request::get("/v1/admin/tasks").by(client),
        }
    }

    /// A hold of some slot, which most often somebody has: each client has three at the most.
    fn hold(&self, n: usize, client: usize) -> Request {
        let quarter = Clock::System.now().duration_trunc(TimeDelta::minutes(15)).expect("an instant");
        let wish = json!({ "therapist_id": id('a', 2 + n % 40), "service_id": DEEP_TISSUE, "duration_minutes": 60,
                           "start_at": quarter + TimeDelta::minutes(15 * (200 + n as i64 % 2_000)), "address_id": id('e', client + 1) });
        Request::post("/v1/holds", &wish).by(&self.clients[client])
    }
}
