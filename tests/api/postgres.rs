//! The private PostgreSQL, for real: every test has a server of its own.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use knead::postgres::{Options, Server, StartError, reset};
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Row};
use tempfile::TempDir;

use crate::commands::{Running, dev, free_address};
use crate::support::has_room;

pub fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if has_room(memory) { TempDir::new_in(memory) } else { TempDir::new() }.unwrap()
}

fn options(root: &Path) -> Options {
    Options { root: root.to_owned(), durable: false, progress: |line| println!("  {line}") }
}

pub fn start(root: &Path) -> Server {
    let began = Instant::now();
    let server = Server::start(&options(root)).unwrap_or_else(|error| panic!("{error}"));
    println!("started in {:?}", began.elapsed());
    server
}

fn query(url: &str, sql: &str) -> Result<String, String> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut connection = PgConnection::connect(url).await.map_err(|error| error.to_string())?;
        let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await;
        let rows = rows.map_err(|error| error.to_string())?;
        // As text, whatever the type: the last column of the last row.
        let text = |row: &PgRow| row.try_get_raw(0).ok().and_then(|value| value.as_str().ok().map(str::to_owned));
        Ok(rows.last().and_then(text).unwrap_or_default())
    })
}

fn ask(server: &Server, sql: &str) -> Result<String, String> {
    query(&server.url("postgres"), sql)
}

fn postmaster(root: &Path) -> Option<String> {
    Some(fs::read_to_string(root.join("data/postmaster.pid")).ok()?.lines().next()?.to_owned())
}

fn kill(signal: &str, process: &str) {
    assert!(Command::new("kill").args([signal, process]).status().unwrap().success());
}

fn alive(process: &str) -> bool {
    Command::new("kill").args(["-0", process]).stderr(Stdio::null()).status().unwrap().success()
}

fn within(patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < patience, "{what}: not within {patience:?}");
        thread::sleep(Duration::from_millis(5));
    }
    println!("{what}: after {:?}", began.elapsed());
}

/// Another process that owns the server, and the server's address.
fn owner(root: &Path) -> (Running, String, String) {
    let address = free_address();
    let (running, _) = dev(root, &address, &["--no-demo"]);
    let socket = root.join("socket").display().to_string().replace('/', "%2F");
    (running, format!("postgres://postgres@localhost:5432/postgres?host={socket}"), address)
}

#[test]
fn starts_cold_and_warm_and_keeps_its_data() {
    let folder = folder();
    let server = start(folder.path());
    ask(&server, "create table kept as select 42 as answer").unwrap();
    assert_eq!(fs::metadata(server.socket_dir()).unwrap().mode() & 0o777, 0o700);
    assert_eq!(ask(&server, "show listen_addresses").unwrap(), "");
    assert_eq!(ask(&server, "show timezone").unwrap(), "UTC");
    assert_eq!(ask(&server, "show server_encoding").unwrap(), "UTF8");
    assert_eq!(ask(&server, "show fsync").unwrap(), "off");
    let began = Instant::now();
    server.stop().unwrap();
    println!("stopped in {:?}", began.elapsed());
    assert!(postmaster(folder.path()).is_none());
    for _ in 0..3 {
        let server = start(folder.path());
        assert_eq!(ask(&server, "select answer from kept").unwrap(), "42");
    }
}

#[test]
fn a_durable_start_is_durable() {
    let folder = TempDir::new().unwrap();
    let options = Options { durable: true, ..options(folder.path()) };
    for _ in 0..2 {
        let began = Instant::now();
        let server = Server::start(&options).unwrap();
        println!("durable: started in {:?}", began.elapsed());
        assert_eq!(ask(&server, "show fsync").unwrap(), "on");
    }
}

#[test]
fn a_killed_owner_takes_the_server_along() {
    let folder = folder();
    for round in 0..3 {
        let (running, url, _) = owner(folder.path());
        query(&url, "create table if not exists kept (round int); insert into kept values (1)").unwrap();
        let process = postmaster(folder.path()).unwrap();
        running.signal("-KILL");
        drop(running);
        // In the second round the next owner does not even wait.
        if round != 1 {
            within(Duration::from_secs(5), "PostgreSQL went", || !alive(&process));
        }
    }
    let server = start(folder.path());
    assert_eq!(ask(&server, "select count(*) from kept").unwrap(), "3");
}

#[test]
fn an_orderly_owner_stops_the_server() {
    let folder = folder();
    let (mut running, ..) = owner(folder.path());
    running.signal("-TERM");
    assert!(running.0.wait().unwrap().success());
    assert!(postmaster(folder.path()).is_none());
}

#[test]
fn a_killed_server_comes_back() {
    let folder = folder();
    // Without durability, the last commits may go with the server.
    let options = Options { durable: true, ..options(folder.path()) };
    let server = Server::start(&options).unwrap();
    ask(&server, "create table kept as select 42 as answer").unwrap();
    for signal in ["-KILL", "-KILL", "-INT", "-QUIT", "-KILL"] {
        let process = postmaster(folder.path()).unwrap();
        thread::sleep(Duration::from_millis(100));
        kill(signal, &process);
        within(Duration::from_secs(20), &format!("back after {signal}"), || {
            postmaster(folder.path()).is_some_and(|now| now != process)
                && ask(&server, "select answer from kept").is_ok_and(|answer| answer == "42")
        });
    }
    server.stop().unwrap();
    assert!(postmaster(folder.path()).is_none());
}

#[test]
fn a_second_start_is_told_of_the_first() {
    let folder = folder();
    let (running, url, address) = owner(folder.path());
    for refused in [Server::start(&options(folder.path())).err(), reset(folder.path()).err()] {
        let expected = format!("http://{address}, process {}", running.0.id());
        assert!(matches!(refused, Some(StartError::AlreadyRunning { note }) if note == expected));
    }
    assert_eq!(query(&url, "select 1").unwrap(), "1");
    drop(running);
    let server = start(folder.path());
    let refused = Server::start(&options(folder.path())).err();
    assert!(matches!(refused, Some(StartError::AlreadyRunning { note }) if note.is_empty()));
    assert_eq!(ask(&server, "select 1").unwrap(), "1");
}

#[test]
fn an_interrupted_setup_is_begun_again() {
    let folder = folder();
    fs::create_dir_all(folder.path().join("data.new/base")).unwrap();
    fs::write(folder.path().join("data.new/PG_VERSION"), "15\n").unwrap();
    // Not a fresh folder, hence not one whose permissions the module may change.
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    let server = start(folder.path());
    assert_eq!(ask(&server, "select 1").unwrap(), "1");
    assert!(!folder.path().join("data.new").exists());
}

#[test]
fn a_stale_process_file_harms_nobody() {
    let folder = folder();
    start(folder.path()).stop().unwrap();
    let mut unrelated = Command::new("sleep").arg("60").spawn().unwrap();
    let stale = format!("{}\n{}\n1\n5432\n\n\n\nready   \n", unrelated.id(), folder.path().join("data").display());
    fs::write(folder.path().join("data/postmaster.pid"), &stale).unwrap();
    fs::write(folder.path().join("socket/.s.PGSQL.5432.lock"), &stale).unwrap();
    let server = start(folder.path());
    assert_eq!(ask(&server, "select 1").unwrap(), "1");
    server.stop().unwrap();
    assert!(unrelated.try_wait().unwrap().is_none());
    unrelated.kill().unwrap();
    unrelated.wait().unwrap();
}

#[test]
fn a_reset_starts_afresh() {
    let folder = folder();
    let server = start(folder.path());
    ask(&server, "create table kept ()").unwrap();
    server.stop().unwrap();
    reset(folder.path()).unwrap();
    reset(folder.path()).unwrap();
    assert!(!folder.path().join("data").exists());
    let server = start(folder.path());
    assert!(ask(&server, "select from kept").is_err());
    drop(server);
    reset(&folder.path().join("never made")).unwrap();
}

#[test]
fn long_and_odd_paths_work() {
    let folder = folder();
    for name in ["x".repeat(140), "a, \"b\" 'c' ü %20$HOME;".to_owned()] {
        let server = start(&folder.path().join(&name));
        println!("{}", server.url("postgres"));
        assert_eq!(ask(&server, "select 1").unwrap(), "1");
        server.stop().unwrap();
        reset(&folder.path().join(&name)).unwrap();
    }
}

#[test]
fn a_server_that_cannot_run_says_why() {
    let folder = folder();
    start(folder.path()).stop().unwrap();
    fs::write(folder.path().join("data/postgresql.conf"), "no_such_setting = 1\n").unwrap();
    let began = Instant::now();
    let error = Server::start(&options(folder.path())).err().unwrap().to_string();
    println!("after {:?}: {error}", began.elapsed());
    assert!(error.contains("no_such_setting"));
}
