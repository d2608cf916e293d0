//! How fast a list of a million licences is read, compared and shown, by the same code as the job: rows a second beside a bare
//! `COPY` of the same rows, memory, and the time that matching takes. Run it with `cargo bench --bench rosters`. Rates are of
//! this machine; what compares is the ratio.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on fails")]

use std::fs::{File, Permissions, read_to_string, set_permissions};
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use actix_web::web::Bytes;
use futures_util::stream::iter;
use knead::clock::Clock;
use knead::db;
use knead::error::Error;
use knead::events::Workshop;
use knead::ids::RosterImportId;
use knead::postgres::{Options, Server};
use knead::rosters::reading::read;
use sqlx::{AssertSqlSafe, PgPool};

const ROWS: u32 = 1_000_000;
const HELD: u32 = 2_000;

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    // As root, PostgreSQL runs as another user.
    set_permissions(&folder, Permissions::from_mode(0o755)).expect("a folder that can be reached");
    let root = folder.path().join("postgres");
    let options = Options { root, durable: true, progress: |line| eprintln!("{line}") };
    let server =
        tokio::task::spawn_blocking(move || Server::start(&options)).await.expect("a thread").expect("a server");
    let url = server.url("postgres");
    knead::migrate(&url).await.expect("the migrations run");
    // The service's own, with its time-outs, and one without.
    let pool = db::pool(&url, 2).expect("a pool");
    let patient = PgPool::connect(&url).await.expect("a connection");
    fill(&patient).await;
    let list = folder.path().join("texas.csv");
    let bytes = write_list(&list).expect("a list");
    println!("{ROWS} rows of Texas, {} MB; {HELD} credentials of ours", bytes / 1_000_000);

    let clock = Clock::System;
    let id = RosterImportId::new(clock.now());
    execute(
        &patient,
        &format!(
            "INSERT INTO roster_imports (id, source, state, sha256, size, source_date, created_at, progress_at)
             VALUES ('{id}', 'us-tx-tdlr', 'uploaded', sha256(''), {bytes}, '{0}', '{0}', '{0}')",
            clock.now().date_naive()
        ),
    )
    .await;
    let before = peak_memory();
    let started = Instant::now();
    let mut last_rows = 0.0;
    let shop = Workshop { db: pool.clone().into(), clock, reactions: knead::doors::REACTIONS };
    let pieces = pieces(File::open(&list).expect("the list"));
    let state = read(&shop, id, iter(pieces), |_| last_rows = started.elapsed().as_secs_f64()).await;
    let whole = started.elapsed().as_secs_f64();
    let peak = peak_memory();
    println!("{:?}: {}", state.expect("it is read"), counts(&patient).await);
    println!("rows: {last_rows:.1} s, {:.0} rows/s", f64::from(ROWS) / last_rows);
    println!(
        "matching: {:.2} s; the whole import: {whole:.1} s, {:.0} rows/s",
        whole - last_rows,
        f64::from(ROWS) / whole
    );
    println!("peak memory (VmHWM): {peak} MB, before the import {before} MB");

    let bare = bare_copy(&patient, &folder.path().join("rows")).await;
    println!("bare COPY of the same rows, with the same index: {bare:.1} s, {:.0} rows/s", f64::from(ROWS) / bare);
    println!("ratio of the whole import to it: {:.2}", bare / whole);
    pool.close().await;
    patient.close().await;
    tokio::task::spawn_blocking(move || server.stop()).await.expect("a thread").expect("an orderly end");
}

async fn execute(db: &PgPool, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(db).await.expect(statement);
}

/// Therapists of Texas, spread over the list.
async fn fill(db: &PgPool) {
    execute(
        db,
        &format!(
            "CREATE TEMP TABLE people AS SELECT gen_random_uuid() AS id, n FROM generate_series(0, {HELD} - 1) n;
             INSERT INTO accounts (id, email, password_hash, role, display_name, time_zone, created_at)
             SELECT id, 't' || n || '@knead.test', 'x', 'therapist', 'Test', 'America/Chicago', now() FROM people;
             INSERT INTO therapists (id) SELECT id FROM people;
             INSERT INTO credentials (id, therapist_id, type, number, normalised_number, name_on_credential, issuing_jurisdiction,
                                      expires_on, review_state, board_status, submitted_at, created_at)
             SELECT gen_random_uuid(), id, 'US-TX-LMT', 'MT' || 100000 + n * 450, 100000 + n * 450, 'Sam J Okafor', 'US-TX',
                    '2027-06-30', 'submitted', 'unknown', now(), now()
             FROM people"
        ),
    )
    .await;
}

/// Writes the list, numbers in no order; how many bytes it has.
fn write_list(path: &Path) -> std::io::Result<u64> {
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(
        file,
        "LICENSE TYPE,LICENSE NUMBER,OWNER NAME,LICENSE EXPIRATION DATE (MMDDCCYY),BUSINESS ADDRESS-LINE1,LICENSE SUBTYPE"
    )?;
    for i in 0..ROWS {
        // A permutation, since the factor and the count have no divisor in common.
        let number = 100_000 + u64::from(i) * 611_953 % u64::from(ROWS);
        let street = number % 9_999;
        writeln!(
            file,
            "\"Massage Therapist\",\"{number}\",\"OKAFOR, SAM JAMES\",\"06302028\",\"{street} NORTH CONGRESS AVENUE, APT 12\",\"LMT\""
        )?;
    }
    file.flush()?;
    Ok(path.metadata()?.len())
}

fn pieces(mut file: File) -> impl Iterator<Item = Result<Bytes, Error>> {
    std::iter::from_fn(move || {
        let mut piece = vec![0; 64 * 1024];
        let length = file.read(&mut piece).expect("the list can be read");
        piece.truncate(length);
        (length > 0).then(|| Ok(piece.into()))
    })
}

async fn counts(db: &PgPool) -> String {
    sqlx::query_scalar(
        "SELECT format('%s rows kept, %s credentials matched, %s differ', rows_kept, matched, differing) FROM roster_imports",
    )
    .fetch_one(db)
    .await
    .expect("the import")
}

/// Seconds that a `COPY` of all rows takes, in one piece and one transaction.
async fn bare_copy(db: &PgPool, path: &Path) -> f64 {
    let mut connection = db.acquire().await.expect("a connection");
    let mut file = BufWriter::new(File::create(path).expect("a file"));
    let mut rows = connection.copy_out_raw("COPY roster_rows TO STDOUT").await.expect("the rows");
    while let Some(piece) = futures_util::StreamExt::next(&mut rows).await {
        file.write_all(&piece.expect("rows")).expect("they are kept");
    }
    drop(rows);
    file.flush().expect("they are kept");
    sqlx::raw_sql("CREATE TABLE bare (LIKE roster_rows INCLUDING ALL)")
        .execute(&mut *connection)
        .await
        .expect("a table");
    let started = Instant::now();
    let mut copy = connection.copy_in_raw("COPY bare FROM STDIN").await.expect("a copy");
    let mut file = File::open(path).expect("the rows");
    let mut piece = vec![0; 1 << 20];
    loop {
        let length = file.read(&mut piece).expect("the rows");
        if length == 0 {
            break;
        }
        copy.send(&piece[..length]).await.expect("they are sent");
    }
    copy.finish().await.expect("they are stored");
    started.elapsed().as_secs_f64()
}

/// The most memory that this process has had, in megabytes.
fn peak_memory() -> u64 {
    let status = read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).map_or(0, |kilobytes: u64| kilobytes / 1000)
}
