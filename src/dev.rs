//! `knead dev`: everything on a bare machine, with a private PostgreSQL and a demo city.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use chrono::Days;
use sqlx::{Connection, PgConnection};

use crate::auth::{Password, Passwords, generate_signing_key};
use crate::cipher::{Cipher, generate_data_key};
use crate::clock::Clock;
use crate::demo;
use crate::postgres::{Options, Server, default_root, reset};
use crate::storage::Storage;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The database of the development service.
const DATABASE: &str = "knead";

/// A private PostgreSQL with the service's database in it, and the keys of the service.
pub struct Home {
    /// The server; it stops when this is dropped.
    pub postgres: Server,
    /// The database's URL.
    pub database_url: String,
    /// The signing key, kept between runs so that sessions outlive a restart.
    pub signing_key: String,
    /// The key that seals what is kept.
    pub data_key: String,
    /// The key that signs the audit.
    pub audit_key: String,
    /// The folder for files.
    pub files: String,
}

/// Starts the private PostgreSQL, wiped first where `wipe`, with the schema up to date and the demo city in it where
/// `with_demo`.
pub async fn home(wipe: bool, with_demo: bool) -> Result<Home, Failure> {
    let root = default_root()?;
    let files = root.join("files");
    if wipe {
        eprintln!("Throwing away the private database in {}, and the files with it ...", root.display());
        reset(&root)?;
        if files.exists() {
            fs::remove_dir_all(&files)?;
        }
    }
    let options = Options { root: root.clone(), durable: true, progress: |line| eprintln!("{line} ...") };
    let postgres = tokio::task::spawn_blocking(move || Server::start(&options)).await??;
    let database_url = create_database(&postgres, DATABASE).await?;
    crate::migrate(&database_url).await?;
    let signing_key = kept_key(&root.join("signing-key"), generate_signing_key)?;
    let data_key = kept_key(&root.join("data-key"), generate_data_key)?;
    let audit_key = kept_key(&root.join("audit-key"), generate_signing_key)?;
    if with_demo {
        let storage = Storage::open(&files.to_string_lossy())?;
        fill_demo(&database_url, (&Cipher::new(&data_key.clone().into())?, &storage)).await?;
    }
    Ok(Home { postgres, database_url, signing_key, data_key, audit_key, files: files.to_string_lossy().into_owned() })
}

/// Creates the database where it is not there yet; returns its URL.
pub async fn create_database(postgres: &Server, name: &str) -> Result<String, Failure> {
    let mut connection = PgConnection::connect(&postgres.url("postgres")).await?;
    let exists =
        sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1) AS "exists!""#, name)
            .fetch_one(&mut connection)
            .await?;
    if !exists {
        // The name is one of ours: a statement of this kind takes no parameters.
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE \"{name}\""))).execute(&mut connection).await?;
    }
    connection.close().await?;
    Ok(postgres.url(name))
}

async fn fill_demo(url: &str, kept: (&Cipher, &Storage)) -> Result<(), Failure> {
    let hash = Passwords::new()?.hash(Password::new(demo::PASSWORD)?).await?;
    let mut connection = PgConnection::connect(url).await?;
    if demo::fill(&mut connection, kept, Clock::System.now(), &hash).await? {
        eprintln!("Filled in the demo city ...");
    }
    connection.close().await?;
    Ok(())
}

/// The key in the file; a fresh one, kept there, where the file is new.
fn kept_key(path: &Path, generate: fn() -> crate::error::Result<String>) -> Result<String, Failure> {
    if let Ok(key) = fs::read_to_string(path) {
        return Ok(key);
    }
    let key = generate()?;
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(key.as_bytes())?;
    Ok(key)
}

/// What the terminal shows once the service answers.
pub fn banner(addr: SocketAddr, with_demo: bool) -> String {
    let base = format!("http://{addr}");
    let mut text = format!("\nKnead is ready.\n\n  API   {base}/v1\n  Docs  {base}/docs\n  Mail  {base}/dev/mailbox\n");
    if with_demo {
        text.push_str(&format!("\n  Demo log-ins, all with the password {}\n", demo::PASSWORD));
        for (role, email) in demo::LOGINS {
            text.push_str(&format!("    {role:<10} {email}\n"));
        }
        let from = demo::today(Clock::System.now());
        let to = from + Days::new(6);
        let service = demo::DEEP_TISSUE;
        text.push_str(&format!(
            "\n  Try it: deep-tissue slots of 90 minutes in Surry Hills this week\n    \
             curl -s '{base}/v1/slots?service_id={service}&duration_minutes=90&from={from}&to={to}\
             &latitude=-33.8886&longitude=151.2111&country=AU&region=NSW&limit=3'\n",
        ));
    }
    text.push_str("\nStop with Ctrl-C; the data stay. `cargo run -- dev --reset` begins anew.\n");
    text
}
