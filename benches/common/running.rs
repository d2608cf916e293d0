//! A service in a process of its own, on a PostgreSQL of its own, and callers that keep their connections.

use std::fs::{Permissions, create_dir, read_to_string, set_permissions, write};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use knead::auth::Tokens;
use knead::clock::Clock;
use knead::ids::{AccountId, SessionId};
use knead::postgres::{Options, Server};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use uuid::Uuid;

/// A setting of the benchmark, from the environment.
pub fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// A PostgreSQL of our own, in a folder that ends with it.
pub struct Ground {
    pub server: Server,
    /// Whether it tells what each statement costs.
    pub timed: bool,
    folder: TempDir,
}

impl Ground {
    /// Starts it, durable, with `pg_stat_statements` where it has that.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // As root, PostgreSQL runs as another user.
        set_permissions(&folder, Permissions::from_mode(0o755)).expect("a folder that can be reached");
        let root = folder.path().join("postgres");
        let server = start(root.clone()).await;
        let db = PgPool::connect(&server.url("postgres")).await.expect("a connection");
        let timed =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements')");
        let timed: bool = timed.fetch_one(&db).await.expect("an answer");
        if timed {
            execute(&db, "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'").await;
        }
        db.close().await;
        // What is loaded, is loaded at the start.
        stop(server).await;
        let server = start(root).await;
        let db = PgPool::connect(&server.url("postgres")).await.expect("a connection");
        if timed {
            execute(&db, "ALTER SYSTEM SET pg_stat_statements.track_planning = on").await;
            execute(&db, "SELECT pg_reload_conf()").await;
        }
        db.close().await;
        Self { server, timed, folder }
    }

    /// A database with the schema of `program`, and a connection to it that nothing ends.
    pub async fn database(&self, name: &str, program: &str) -> (Place, PgPool) {
        let db = PgPool::connect(&self.server.url("postgres")).await.expect("a connection");
        execute(&db, &format!("CREATE DATABASE {name}")).await;
        db.close().await;
        let place =
            Place { program: program.to_owned(), url: self.server.url(name), folder: self.folder.path().join(name) };
        create_dir(&place.folder).expect("a folder");
        let migrated = Command::new(program).args(["migrate"]).env("DATABASE_URL", &place.url).status();
        assert!(migrated.expect("the program runs").success(), "the migrations run");
        let patient = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        let db = patient.connect(&place.url).await.expect("a connection");
        if self.timed {
            execute(&db, "CREATE EXTENSION pg_stat_statements").await;
        }
        (place, db)
    }

    pub async fn stop(self) {
        stop(self.server).await;
    }
}

async fn start(root: PathBuf) -> Server {
    let options = Options { root, durable: true, progress: |line| eprintln!("{line}") };
    spawn_blocking(move || Server::start(&options)).await.expect("a thread").expect("a server")
}

async fn stop(server: Server) {
    spawn_blocking(move || server.stop()).await.expect("a thread").expect("an orderly end");
}

pub async fn execute(db: &PgPool, statements: &str) {
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(db).await.expect("the statements run");
}

/// Fills an empty database: a service of so many therapists and visits that has run for two years. Says how long it took.
pub async fn fill(db: &PgPool, therapists: usize, visits: usize) {
    let begun = Instant::now();
    let now = Clock::System.now().to_rfc3339();
    let given = format!("SET knead.therapists = {therapists}; SET knead.visits = {visits}; SET knead.now = '{now}';\n");
    execute(db, &(given + include_str!("../often.sql"))).await;
    execute(db, "VACUUM ANALYZE").await;
    println!("{therapists} therapists and {visits} visits: filled in {:.0} s", begun.elapsed().as_secs_f64());
}

/// The id of the number `n` of what `often.sql` makes: 'a' for therapists, 'c' for clients, 'd' for admins, 'e' for addresses.
pub fn id(kind: char, n: usize) -> Uuid {
    format!("0000000{kind}-0000-4000-8000-{n:012x}").parse().expect("an id")
}

/// Which program runs, and on what.
#[derive(Clone)]
pub struct Place {
    pub program: String,
    pub url: String,
    pub folder: PathBuf,
}

/// The service, in a process of its own.
pub struct Service {
    pub address: SocketAddr,
    process: Child,
    tokens: Tokens,
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Service {
    /// Starts it without a worker, whose statements would be counted as well, with more `settings` than it needs.
    pub fn start(place: &Place, settings: &[(&str, &str)]) -> Self {
        let printed = Command::new(&place.program).args(["config", "init"]).output().expect("fresh secrets");
        let environment = place.folder.join("knead.env");
        write(&environment, printed.stdout).expect("they are kept");
        let text = read_to_string(&environment).expect("the settings");
        let secrets: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once('=')).collect();
        let address = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its address");
        let public = format!("http://{address}");
        let process = Command::new(&place.program)
            .args(["serve", "--no-migrate", "--no-worker"])
            .envs(secrets.iter().copied())
            .env("DATABASE_URL", &place.url)
            .env("KNEAD_ADDR", address.to_string())
            .env("KNEAD_PUBLIC_URL", &public)
            .env("KNEAD_RATE_LIMIT", "off")
            .env("KNEAD_MAIL", "off")
            .env("KNEAD_STORAGE", place.folder.join("files"))
            .env("RUST_LOG", "error")
            .envs(settings.iter().copied())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the service starts");
        let key = secrets.iter().find(|(name, _)| *name == "KNEAD_SIGNING_KEY").expect("a signing key").1;
        let tokens = Tokens::new(&public, &key.trim_matches('\'').to_owned().into()).expect("tokens");
        let service = Self { address, process, tokens };
        for _ in 0..400 {
            let ready =
                TcpStream::connect(address).is_ok() && Caller::new(address).ask(&Request::get("/readyz")).status == 200;
            if ready {
                break;
            }
            sleep(Duration::from_millis(25));
        }
        service
    }

    /// A token for this account, whose session [`begin_sessions`] made.
    pub fn token(&self, account: Uuid) -> String {
        let (token, _) =
            self.tokens.issue(AccountId(account), SessionId(account), Clock::System.now()).expect("a token");
        token
    }

    /// A line of what the system says of the process, in kilobytes.
    pub fn memory(&self, line: &str) -> u64 {
        let status = read_to_string(Path::new("/proc").join(self.process.id().to_string()).join("status"));
        let status = status.unwrap_or_default();
        let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        found.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }
}

/// Begins a session of each account, with the account's own id.
pub async fn begin_sessions(db: &PgPool) {
    execute(
        db,
        "INSERT INTO sessions (id, account_id, created_at) SELECT id, id, now() FROM accounts ON CONFLICT DO NOTHING",
    )
    .await;
    execute(db, "ANALYZE sessions").await;
}

/// What is asked of the service.
#[derive(Clone, Debug, Default)]
pub struct Request {
    method: &'static str,
    pub path: String,
    token: Option<String>,
    body: Option<String>,
}

impl Request {
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), ..Self::default() }
    }

    pub fn post(path: impl Into<String>, body: &serde_json::Value) -> Self {
        let body = (!body.is_null()).then(|| body.to_string());
        Self { method: "POST", path: path.into(), body, ..Self::default() }
    }

    pub fn by(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }
}

/// What the service answered.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// A connection that asks one thing after the other.
pub struct Caller {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
}

fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    BufReader::new(stream)
}

impl Caller {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: connect(address) }
    }

    /// The answer. A connection that the service has closed is made anew.
    pub fn ask(&mut self, request: &Request) -> Answer {
        let mut text = format!("{} {} HTTP/1.1\r\nHost: knead.test\r\n", request.method, request.path);
        if let Some(token) = &request.token {
            text.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        if request.method == "POST" {
            text.push_str(&format!("Idempotency-Key: {}\r\n", Uuid::now_v7()));
        }
        if let Some(body) = &request.body {
            text.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        } else {
            text.push_str("\r\n");
        }
        if let Some(answer) = self.try_ask(&text) {
            return answer;
        }
        self.stream = connect(self.address);
        self.try_ask(&text).expect("an answer")
    }

    fn try_ask(&mut self, text: &str) -> Option<Answer> {
        self.stream.get_mut().write_all(text.as_bytes()).ok()?;
        let (mut line, mut length, mut status, mut closes) = (String::new(), 0, None, false);
        while self.stream.read_line(&mut line).ok()? > 2 {
            let lower = line.to_ascii_lowercase();
            if let Some(rest) = lower.strip_prefix("http/1.1 ") {
                status = rest.split_whitespace().next()?.parse().ok();
            } else if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            closes |= lower.trim_end() == "connection: close";
            line.clear();
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).ok()?;
        if closes {
            self.stream = connect(self.address);
        }
        Some(Answer { status: status?, body })
    }
}
