//! The program's commands, run as a user would.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};

use crate::support::{self, App, PASSWORD};

pub fn knead() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_knead"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("RUST_BACKTRACE", "0")
        .env("KNEAD_STORAGE", concat!(env!("CARGO_TARGET_TMPDIR"), "/files"))
        .stdin(Stdio::null());
    command
}

pub fn output(command: &mut Command) -> (bool, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.success(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

pub fn fresh_configuration() -> Vec<(String, String)> {
    let (ok, lines, _) = output(knead().args(["config", "init"]));
    assert!(ok);
    lines
        .lines()
        .map(|line| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())).expect("KEY=VALUE"))
        .collect()
}

/// Ends a process that we started when the test ends, however it ends.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Running {
    pub fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap().success());
    }
}

/// A port that was free a moment ago.
pub fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

pub async fn answers(address: &str, path: &str) -> bool {
    for _ in 0..400 {
        if reqwest::get(format!("http://{address}{path}")).await.is_ok_and(|response| response.status() == 200) {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_configuration_serves() {
    let (url, _) = support::database().await;
    let address = free_address();
    let mut serve = knead();
    serve
        .args(["serve"])
        .envs(fresh_configuration())
        .env("KNEAD_ADDR", &address)
        .env("DATABASE_URL", &url)
        .env("RUST_LOG", "warn");
    let mut running = Running(serve.spawn().unwrap());
    assert!(answers(&address, "/readyz").await);
    running.signal("-TERM");
    assert!(tokio::task::spawn_blocking(move || running.0.wait().unwrap().success()).await.unwrap(), "an orderly end");
}

#[test]
fn a_missing_or_weak_secret_is_refused() {
    for name in ["KNEAD_SIGNING_KEY", "KNEAD_DATA_KEYS", "KNEAD_AUDIT_KEY"] {
        let with = |key: &str| {
            let mut check = knead();
            check.args(["config", "check"]).env("DATABASE_URL", "postgres://localhost/knead");
            output(check.envs(fresh_configuration()).env(name, key))
        };
        let good = fresh_configuration().into_iter().find(|(key, _)| key == name).unwrap().1;
        assert!(with(&good).0);
        for weak in ["", "secret", "c2VjcmV0", &good[..20]] {
            let (ok, out, error) = with(weak);
            assert!(!ok && error.contains(name), "{weak}: {out}{error}");
        }
    }
    let (ok, _, error) = output(knead().args(["serve"]));
    assert!(
        !ok && ["--database-url", "--signing-key", "--data-keys", "--audit-key"].iter().all(|key| error.contains(key)),
        "{error}"
    );
    let mut one_key = knead();
    one_key.args(["config", "check"]).env("DATABASE_URL", "postgres://localhost/knead").envs(fresh_configuration());
    let signing = fresh_configuration().swap_remove(0).1;
    let (ok, _, error) = output(one_key.env("KNEAD_SIGNING_KEY", &signing).env("KNEAD_AUDIT_KEY", &signing));
    assert!(!ok && error.contains("another key"), "{error}");
    let mut open = knead();
    open.args(["config", "check"]).envs(fresh_configuration()).env("DATABASE_URL", "postgres://localhost/knead");
    open.env("KNEAD_RATE_LIMIT", "off").env("KNEAD_ADDR", "0.0.0.0:8080");
    let (ok, _, error) = output(&mut open);
    assert!(!ok && error.contains("loopback"), "{error}");
}

#[test]
fn two_configurations_share_no_secret() {
    let (one, other) = (fresh_configuration(), fresh_configuration());
    assert!((0..3).all(|secret| one[secret] != other[secret]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrating_twice_and_at_once_does_no_harm() {
    let (url, _) = support::database().await;
    support::execute(&url, "DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP SCHEMA graphile_worker CASCADE")
        .await;
    let mut both: Vec<Child> = (0..2)
        .map(|_| knead().arg("migrate").env("DATABASE_URL", &url).stderr(Stdio::piped()).spawn().unwrap())
        .collect();
    for child in &mut both {
        assert!(child.wait().unwrap().success());
    }
    assert!(knead().arg("migrate").env("DATABASE_URL", &url).status().unwrap().success());
    support::execute(&url, "SELECT id FROM bookings").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_is_made_on_the_command_line() {
    let app = App::start().await;
    let database: String = sqlx::query_scalar("SELECT current_database()").fetch_one(&*app.service.db).await.unwrap();
    let url = support::url_of(&database);
    let create = |email: &str, password: &str| {
        let mut create = knead();
        create.args(["admin", "create", "--email", email, "--password-stdin"]).env("DATABASE_URL", &url);
        let mut child = create.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        (done.status.success(), String::from_utf8(done.stderr).unwrap())
    };
    assert!(create("boss@knead.test", PASSWORD).0);
    app.nobody().log_in("boss@knead.test").await.get("/v1/admin/credentials").await.is(200);
    let (ok, error) = create("boss@knead.test", PASSWORD);
    assert!(!ok && error.contains("exists"), "{error}");
    let grant = |email: &str, grants: &str| {
        let mut grant = knead();
        grant.args(["admin", "grant", "--email", email, "--grants", grants]).env("DATABASE_URL", &url);
        output(&mut grant)
    };
    let (ok, _, error) = grant("boss@knead.test", "support,care");
    assert!(!ok && error.contains("owner"), "one owner stays: {error}");
    assert!(create("second@knead.test", PASSWORD).0);
    assert!(grant("boss@knead.test", "support,care").0);
    let boss = app.nobody().log_in("boss@knead.test").await;
    assert_eq!(boss.get("/v1/me").await.is(200).body["grants"], serde_json::json!(["support", "care"]));
    let (ok, _, error) = grant("nobody@knead.test", "support");
    assert!(!ok && error.contains("no admin signs in"), "{error}");
    let (ok, error) = create("other@knead.test", "short");
    assert!(!ok && error.contains("password"), "{error}");
}

#[test]
fn the_document_is_printed() {
    let (ok, text, _) = output(knead().arg("openapi"));
    assert!(ok);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["info"]["title"], "Knead");
}

/// Starts `knead dev` and waits for its banner.
pub fn dev(state: &std::path::Path, address: &str, arguments: &[&str]) -> (Running, String) {
    let mut command = knead();
    command.arg("dev").args(arguments).env("KNEAD_STATE_DIR", state).env("KNEAD_ADDR", address).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut banner = String::new();
    while !banner.contains("Stop with") {
        banner.push_str(&lines.next().expect("a banner").unwrap());
        banner.push('\n');
    }
    (Running(child), banner)
}

/// Begins `knead dev`, and waits for its banner; with what it says besides.
pub fn say_and_begin(command: &mut Command) -> (Running, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let banner = BufReader::new(child.stdout.take().unwrap());
    banner.lines().find(|line| line.as_ref().unwrap().contains("Stop with")).expect("a banner").unwrap();
    let said = BufReader::new(child.stderr.as_mut().unwrap()).lines().next().expect("a line").unwrap();
    (Running(child), said)
}

/// The demo client has a plan that is agreed to, with visits done and the next ahead.
async fn plan_is_under_way(address: &str, token: &str, visits: &serde_json::Value) {
    let visits = visits["data"].as_array().unwrap();
    let with = |status: &str| visits.iter().filter(|visit| visit["status"] == status).collect::<Vec<_>>();
    let (done, ahead) = (with("completed"), with("confirmed"));
    assert!(!done.is_empty() && !ahead.is_empty(), "{visits:?}");
    let path = format!("http://{address}/v1/bookings/{}", ahead[0]["id"].as_str().unwrap());
    let ask = async |what: &str| -> serde_json::Value {
        let answer = reqwest::Client::new().get(format!("{path}/{what}")).bearer_auth(token).send().await.unwrap();
        answer.json().await.unwrap()
    };
    let plan = ask("plan").await;
    assert_eq!((&plan["state"], &plan["over"]), (&"accepted".into(), &false.into()), "{plan}");
    assert!(done.iter().any(|visit| visit["id"] == plan["booking_id"]) && plan["feedback"][0]["text"].is_string());
    assert_eq!(ask("care").await["state"], "suits", "the next visit suits her");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bare_machine_gets_a_city() {
    let state = crate::postgres::folder();
    let address = free_address();
    let (running, banner) = dev(state.path(), &address, &[]);
    let line = banner.lines().find(|line| line.contains("curl")).unwrap().trim();
    let url = line.split('\'').nth(1).unwrap().to_owned();
    let page: serde_json::Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    assert!(!page["data"].as_array().unwrap().is_empty(), "the line that is shown works");
    for email in ["client@knead.example", "therapist@knead.example", "admin@knead.example"] {
        assert!(banner.contains(email));
        let body = serde_json::json!({ "email": email, "password": "knead-demo-city" });
        let answer =
            reqwest::Client::new().post(format!("http://{address}/v1/auth/login")).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let token = answer.json::<serde_json::Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned();
        let visits = format!("http://{address}/v1/bookings?limit=100");
        let visits = reqwest::Client::new().get(visits).bearer_auth(&token).send().await.unwrap();
        assert_eq!(visits.status(), 200, "what the city seals opens");
        if email.starts_with("client") {
            let visits: serde_json::Value = visits.json().await.unwrap();
            plan_is_under_way(&address, &token, &visits).await;
        }
    }

    let mut second = knead();
    second.arg("dev").env("KNEAD_STATE_DIR", state.path()).env("KNEAD_ADDR", free_address());
    let (ok, _, error) = output(&mut second);
    assert!(!ok && error.contains(&format!("already running here: http://{address}")), "{error}");
    assert!(answers(&address, "/readyz").await, "the first one is unharmed");
    drop(running);

    let (_running, _) = dev(state.path(), &address, &["--reset", "--no-demo"]);
    let page: serde_json::Value =
        reqwest::get(format!("http://{address}/v1/therapists")).await.unwrap().json().await.unwrap();
    assert_eq!(page["data"], serde_json::json!([]));
}

#[test]
fn development_stays_on_this_machine() {
    let (ok, _, error) = output(knead().args(["dev", "--addr", "0.0.0.0:8080"]));
    assert!(!ok && error.contains("loopback"), "{error}");
}
