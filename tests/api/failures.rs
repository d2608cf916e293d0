//! Failures, really provoked: a killed service, a killed database, and what was acknowledged before.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::commands::{answers, dev, free_address};
use crate::support::{PASSWORD, surry_hills};

struct Caller {
    http: reqwest::Client,
    address: String,
    token: String,
}

impl Caller {
    async fn register(address: &str) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
        let email = format!("client-{}@knead.test", Uuid::now_v7());
        let body = json!({ "email": email, "password": PASSWORD, "role": "client", "display_name": "Mia" });
        let answer = http.post(format!("http://{address}/v1/auth/register")).json(&body).send().await.unwrap();
        let body: Value = answer.json().await.unwrap();
        Self { http, address: address.to_owned(), token: body["access_token"].as_str().unwrap().to_owned() }
    }

    /// Stores an address under `label`, which is the key too. None where the answer was lost.
    async fn stores(&self, label: &str) -> Option<u16> {
        let mut body = surry_hills();
        body["label"] = json!(label);
        let request = self.http.post(format!("http://{}/v1/me/addresses", self.address)).bearer_auth(&self.token);
        request.header("Idempotency-Key", label).json(&body).send().await.ok().map(|answer| answer.status().as_u16())
    }

    async fn stored(&self) -> Vec<String> {
        let request = self.http.get(format!("http://{}/v1/me/addresses", self.address)).bearer_auth(&self.token);
        let body: Value = request.send().await.unwrap().json().await.unwrap();
        body["data"].as_array().unwrap().iter().map(|address| address["label"].as_str().unwrap().to_owned()).collect()
    }
}

/// How many writes were acknowledged, and whether to stop.
#[derive(Default)]
struct Progress {
    acknowledged: AtomicUsize,
    stop: AtomicBool,
}

impl Progress {
    /// Waits until the load is in full swing.
    async fn is_under_way(&self) {
        while self.acknowledged.load(Ordering::SeqCst) < 60 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Writes from eight callers until told to stop; what was acknowledged, and what was sent, by caller.
async fn load(callers: &[Arc<Caller>], progress: Arc<Progress>) -> Vec<(Vec<String>, Vec<String>)> {
    let mut tasks = JoinSet::new();
    for (i, caller) in callers.iter().cloned().enumerate() {
        let progress = progress.clone();
        tasks.spawn(async move {
            let (mut acknowledged, mut sent) = (Vec::new(), Vec::new());
            // A client keeps at most fifty.
            for n in 0..45 {
                if progress.stop.load(Ordering::SeqCst) {
                    break;
                }
                let label = format!("place {n}");
                sent.push(label.clone());
                match caller.stores(&label).await {
                    Some(201) => {
                        progress.acknowledged.fetch_add(1, Ordering::SeqCst);
                        acknowledged.push(label);
                    }
                    Some(503) | None => tokio::time::sleep(Duration::from_millis(20)).await,
                    Some(other) => panic!("{other}"),
                }
                tokio::time::sleep(Duration::from_millis(4)).await;
            }
            (i, acknowledged, sent)
        });
    }
    let mut done = tasks.join_all().await;
    done.sort_by_key(|(i, ..)| *i);
    done.into_iter().map(|(_, acknowledged, sent)| (acknowledged, sent)).collect()
}

/// Every acknowledged write is there, and after each is sent again with its key, each is there once.
async fn nothing_is_lost_or_doubled(callers: &[Arc<Caller>], outcome: Vec<(Vec<String>, Vec<String>)>) {
    let mut total = 0;
    for (caller, (acknowledged, sent)) in callers.iter().zip(outcome) {
        total += acknowledged.len();
        let stored = caller.stored().await;
        for label in &acknowledged {
            assert!(stored.contains(label), "{label} was acknowledged and is lost");
        }
        for label in &sent {
            assert_eq!(caller.stores(label).await, Some(201));
        }
        let mut stored = caller.stored().await;
        stored.sort();
        let mut sent = sent;
        sent.sort();
        assert_eq!(stored, sent, "each once");
    }
    println!("{total} writes acknowledged, none lost, none doubled");
    assert!(total >= 60);
}

async fn callers(address: &str) -> Vec<Arc<Caller>> {
    let mut callers = Vec::new();
    for _ in 0..8 {
        callers.push(Arc::new(Caller::register(address).await));
    }
    callers
}

/// The process of the database, while there is one.
fn postmaster(state: &Path) -> Option<String> {
    let file = std::fs::read_to_string(state.join("data/postmaster.pid")).ok()?;
    file.lines().next().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_service_loses_nothing_that_it_acknowledged() {
    let state = crate::postgres::folder();
    let address = free_address();
    let (running, _) = dev(state.path(), &address, &["--no-demo", "--rate-limit", "off"]);
    let callers = callers(&address).await;
    let progress = Arc::new(Progress::default());
    let writing = tokio::spawn({
        let (callers, progress) = (callers.clone(), progress.clone());
        async move { load(&callers, progress).await }
    });
    progress.is_under_way().await;
    running.signal("-KILL");
    tokio::time::sleep(Duration::from_millis(100)).await;
    progress.stop.store(true, Ordering::SeqCst);
    let outcome = writing.await.unwrap();
    drop(running);
    let (_running, _) = dev(state.path(), &address, &["--no-demo", "--rate-limit", "off"]);
    nothing_is_lost_or_doubled(&callers, outcome).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_database_comes_back_and_loses_nothing_that_was_acknowledged() {
    let state = crate::postgres::folder();
    let address = free_address();
    let (_running, _) = dev(state.path(), &address, &["--no-demo", "--rate-limit", "off"]);
    let callers = callers(&address).await;
    let progress = Arc::new(Progress::default());
    let writing = tokio::spawn({
        let (callers, progress) = (callers.clone(), progress.clone());
        async move { load(&callers, progress).await }
    });
    progress.is_under_way().await;
    let killed = postmaster(state.path()).unwrap();
    assert!(Command::new("kill").args(["-KILL", &killed]).status().unwrap().success());
    let cut = Instant::now();
    // Its sessions outlive it for a moment: only another one counts.
    while postmaster(state.path()).is_none_or(|now| now == killed) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(answers(&address, "/readyz").await);
    println!("ready again {:?} after the database was killed", cut.elapsed());
    progress.stop.store(true, Ordering::SeqCst);
    nothing_is_lost_or_doubled(&callers, writing.await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_database_the_answer_is_503_within_three_seconds() {
    let state = crate::postgres::folder();
    let address = free_address();
    let (_running, _) = dev(state.path(), &address, &["--no-demo", "--rate-limit", "off"]);
    let caller = Caller::register(&address).await;
    // Frozen, the server neither answers nor refuses: the hardest kind of absence.
    let processes = String::from_utf8(
        Command::new("pgrep").args(["-P", &postmaster(state.path()).unwrap()]).output().unwrap().stdout,
    )
    .unwrap();
    let all: Vec<String> = processes.lines().map(str::to_owned).chain(postmaster(state.path())).collect();
    let signal = |signal: &str| Command::new("kill").arg(signal).args(&all).status().unwrap();
    signal("-STOP");
    let cut = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..12 {
        let (http, url, token) = (caller.http.clone(), format!("http://{address}/v1/me"), caller.token.clone());
        tasks.spawn(async move {
            let answer = http.get(url).bearer_auth(token).send().await.unwrap();
            assert_eq!(answer.headers()["retry-after"], "1");
            let status = answer.status().as_u16();
            (status, answer.json::<Value>().await.unwrap()["code"].clone())
        });
    }
    let refused = tasks.join_all().await;
    let took = cut.elapsed();
    signal("-CONT");
    println!("12 answers after {took:?}");
    assert!(refused.iter().all(|(status, code)| *status == 503 && code == "unavailable"), "{refused:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    let back = Instant::now();
    assert!(answers(&address, "/readyz").await);
    println!("ready again {:?} after it came back", back.elapsed());
    assert!(back.elapsed() < Duration::from_secs(2));
    let livez = reqwest::get(format!("http://{address}/livez")).await.unwrap();
    assert_eq!(livez.status(), 200);
}

/// Callers that hang up half-way leave no transaction open and no connection spoilt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_hang_up_spoil_nothing() {
    let app = crate::support::App::start().await;
    let client = app.client().await;
    let mut tasks = JoinSet::new();
    for n in 0..300u64 {
        let client = client.clone();
        tasks.spawn(async move {
            let post = client.post("/v1/me/addresses", surry_hills());
            tokio::time::timeout(Duration::from_micros(n * 40), post).await.ok();
        });
    }
    tasks.join_all().await;
    client.get("/v1/me/addresses").await.is(200);
    // Work that was begun is carried to its end; then nothing is left open.
    let open = "pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    let patience = Instant::now();
    while app.rows(open).await > 0 {
        assert!(patience.elapsed() < Duration::from_secs(5), "a transaction was left open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for _ in 0..20 {
        client.get("/v1/me").await.is(200);
    }
}
