//! What a migration may do to a running service, and that those that landed stay as they are.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use knead::db;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, SqlSafeStr};

use crate::commands::{free_address, knead, output, say_and_begin};
use crate::postgres::{folder, start};
use crate::support::{database, empty_database, execute, url_of};

/// The last migration of the base. Those before it never ran beside a service.
const BASE: i64 = 16;

/// No write may wait longer for a migration.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Triggers would make one writer wait for another.
const NO_TRIGGERS: &str = "SET session_replication_role = replica";

fn migrations() -> Vec<Migration> {
    sqlx::migrate!().iter().cloned().collect()
}

#[test]
fn what_has_landed_stays_as_it_is() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let landed = fs::read_to_string(folder.join("LANDED")).unwrap();
    let mut landed: BTreeMap<&str, &str> = landed
        .lines()
        .map(|line| line.split_once("  ").expect("a digest, two spaces, a name"))
        .map(|(digest, name)| (name, digest))
        .collect();
    let mut names: Vec<String> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".sql"));
    names.sort();
    for name in names {
        let digest = digest::digest(&digest::SHA256, &fs::read(folder.join(&name)).unwrap());
        let digest = digest.as_ref().iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        });
        match landed.remove(name.as_str()) {
            Some(known) => {
                assert_eq!(digest, known, "{name} has landed and never changes: write a new migration instead")
            }
            None => panic!(
                "{name} is new: add this line to migrations/LANDED with the commit that brings it\n{digest}  {name}"
            ),
        }
    }
    assert!(landed.is_empty(), "these have landed, and are never removed: {landed:?}");
}

/// The longest that a write to any table waited while `new` was applied to a database that has `before`.
async fn longest_wait(name: &str, before: &[Migration], new: &Migration) -> Duration {
    let url = url_of(name);
    let mut earlier = PgConnection::connect(&url).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT oid::regclass::text FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> '_sqlx_migrations'",
    )
    .fetch_all(&mut earlier)
    .await
    .unwrap();
    // Somebody is still writing to every table when the migration comes.
    let writes: String = tables.iter().map(|table| format!("DELETE FROM {table} WHERE false;")).collect();
    run(&mut earlier, &format!("{NO_TRIGGERS}; BEGIN; {writes}")).await;
    let ending = tokio::spawn(async move {
        tokio::time::sleep(LONGEST_WAIT + Duration::from_millis(500)).await;
        run(&mut earlier, "COMMIT").await;
    });
    let done = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn(write(url.clone(), tables, done.clone()));
    let all = Migrator::with_migrations([before, std::slice::from_ref(new)].concat());
    db::apply(url.parse().unwrap(), &all).await.unwrap();
    done.store(true, Ordering::SeqCst);
    ending.await.unwrap();
    writing.await.unwrap()
}

/// Writes to each table in turn until `done`; gives the longest that a write took. A write needs the table, and a row of it.
async fn write(url: String, tables: Vec<String>, done: Arc<AtomicBool>) -> Duration {
    let mut writer = PgConnection::connect(&url).await.unwrap();
    run(&mut writer, NO_TRIGGERS).await;
    let mut longest = Duration::ZERO;
    while !done.load(Ordering::SeqCst) {
        for table in &tables {
            let begun = Instant::now();
            let write = format!("DELETE FROM {table} WHERE false; SELECT FROM {table} LIMIT 1 FOR NO KEY UPDATE");
            run(&mut writer, &write).await;
            longest = longest.max(begun.elapsed());
        }
    }
    longest
}

async fn run(db: &mut PgConnection, statements: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned())).execute(db).await.expect(statements);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_new_migration_makes_a_write_wait() {
    let (base, new): (Vec<_>, Vec<_>) = migrations().into_iter().partition(|one| one.version <= BASE);
    let name = empty_database().await;
    let mut before = base;
    db::apply(url_of(&name).parse().unwrap(), &Migrator::with_migrations(before.clone())).await.unwrap();
    for one in new {
        let waited = longest_wait(&name, &before, &one).await;
        assert!(waited < LONGEST_WAIT, "a write waited {waited:?} for migration {} {}", one.version, one.description);
        before.push(one);
    }
}

/// A migration as it would stand in a file.
fn migration(version: i64, sql: &str) -> Migration {
    let text = sqlx::AssertSqlSafe(sql.to_owned()).into_sql_str();
    Migration::new(version, "fixture".into(), MigrationType::Simple, text, sql.starts_with("-- no-transaction"))
}

/// A table whose rows take longer to index than a write may wait, however fast the machine is.
const CROWD: &str = "
    CREATE TABLE crowd (id integer PRIMARY KEY, word text NOT NULL);
    INSERT INTO crowd SELECT n, 'word ' || n FROM generate_series(1, 600) n;
    CREATE FUNCTION slowly(word text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM pg_sleep(0.002); RETURN word; END $$;";

/// A migration, and whether it leaves writers alone.
struct Trial {
    version: i64,
    sql: &'static str,
    is_good: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_locks_a_table_for_long_is_found_out() {
    let (url, name) = database().await;
    execute(&url, CROWD).await;
    let mut before = migrations();
    for Trial { version, sql, is_good } in [
        Trial {
            version: 9001,
            sql: "-- no-transaction\nCREATE INDEX CONCURRENTLY crowd_by_word ON crowd (slowly(word));",
            is_good: true,
        },
        // It waits for a writer, lets those behind it go ahead, and comes back.
        Trial { version: 9002, sql: "ALTER TABLE crowd ADD COLUMN note text;", is_good: true },
        Trial { version: 9003, sql: "CREATE INDEX crowd_by_word_locked ON crowd (slowly(word));", is_good: false },
        Trial {
            version: 9004,
            sql: "ALTER TABLE crowd ADD CONSTRAINT crowd_word CHECK (slowly(word) <> '') NOT VALID;",
            is_good: true,
        },
        Trial { version: 9005, sql: "ALTER TABLE crowd VALIDATE CONSTRAINT crowd_word;", is_good: true },
        Trial {
            version: 9006,
            sql: "ALTER TABLE crowd ADD CONSTRAINT crowd_word_locked CHECK (slowly(word) <> '');",
            is_good: false,
        },
        Trial { version: 9007, sql: "UPDATE crowd SET note = slowly(word);", is_good: false },
        Trial {
            version: 9008,
            sql: "ALTER TABLE crowd ADD COLUMN seen boolean NOT NULL DEFAULT false;",
            is_good: true,
        },
        // A default that is worked out for each row rewrites the table.
        Trial {
            version: 9009,
            sql: "ALTER TABLE crowd ADD COLUMN copy text DEFAULT slowly(clock_timestamp()::text);",
            is_good: false,
        },
        Trial {
            version: 9010,
            sql: "ALTER TABLE crowd ADD CONSTRAINT crowd_seen CHECK (seen IS NOT NULL) NOT VALID;",
            is_good: true,
        },
        // The partitions' own indexes are built after it, each concurrently.
        Trial { version: 9011, sql: "CREATE INDEX events_by_kind ON ONLY events (kind);", is_good: true },
        Trial {
            version: 9014,
            sql: "CREATE TABLE words (id uuid PRIMARY KEY, crowd_id integer REFERENCES crowd);",
            is_good: true,
        },
        Trial { version: 9015, sql: "ALTER TABLE crowd DROP COLUMN note;", is_good: true },
    ] {
        let one = migration(version, sql);
        let waited = longest_wait(&name, &before, &one).await;
        assert_eq!(waited < LONGEST_WAIT, is_good, "{sql}: {waited:?}");
        before.push(one);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_was_half_built_is_built_anew() {
    let (url, name) = database().await;
    execute(&url, "CREATE TABLE crowd (id integer, word text); INSERT INTO crowd VALUES (1, 'twin'), (1, 'twin')")
        .await;
    let one = migration(9001, "-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY crowd_once ON crowd (id);");
    let all = Migrator::with_migrations([migrations(), vec![one]].concat());
    let options: PgConnectOptions = url_of(&name).parse().unwrap();
    db::apply(options.clone(), &all).await.expect_err("the rows are not unique");
    execute(&url, "UPDATE crowd SET id = 2 WHERE ctid = '(0,2)'").await;
    db::apply(options, &all).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_of_a_partitioned_table_is_completed() {
    let (url, name) = database().await;
    let months = "SELECT make_months('events', '2026-01-01', 2)";
    execute(&url, months).await;
    let one = migration(9001, "CREATE INDEX events_by_party ON ONLY events (party, position);");
    let all = Migrator::with_migrations([migrations(), vec![one]].concat());
    let options: PgConnectOptions = url_of(&name).parse().unwrap();
    let mut db = PgConnection::connect(&url_of(&name)).await.unwrap();
    // What is left of a run that was broken off: one that was built and not attached.
    execute(&url, "CREATE INDEX events_2026_01_by_party ON events_2026_01 (party, position)").await;
    db::apply(options.clone(), &all).await.unwrap();
    let incomplete = "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relkind = 'I' AND NOT i.indisvalid";
    let incomplete: i64 = sqlx::query_scalar(incomplete).fetch_one(&mut db).await.unwrap();
    assert_eq!(incomplete, 0, "an index is good for all partitions, or for none");
    let built = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events_by_party'::regclass";
    let built: i64 = sqlx::query_scalar(built).fetch_one(&mut db).await.unwrap();
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass";
    let partitions: i64 = sqlx::query_scalar(partitions).fetch_one(&mut db).await.unwrap();
    assert_eq!(built, partitions);
    // A month that is made later has it too, and a second run finds nothing to do.
    execute(&url, "SELECT make_months('events', '2030-01-01', 0)").await;
    db::apply(options, &all).await.unwrap();
    let later = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events_by_party'::regclass";
    let later: i64 = sqlx::query_scalar(later).fetch_one(&mut db).await.unwrap();
    assert_eq!(later, partitions + 1);
}

#[tokio::test]
async fn a_database_from_before_is_told_in_one_sentence() {
    for change in [
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9001, 'x', true, 'x', 1)",
        "UPDATE _sqlx_migrations SET checksum = 'x' WHERE version = 1",
    ] {
        let (url, name) = database().await;
        execute(&url, change).await;
        let (ok, _, error) = output(knead().arg("migrate").env("DATABASE_URL", url_of(&name)));
        assert!(!ok && error.starts_with("knead: another version of Knead made this database"), "{error}");
        assert!(error.contains("cargo run -- dev --reset") && error.lines().count() == 1, "{error}");
    }
}

#[test]
fn a_state_folder_from_before_begins_anew_when_asked_to() {
    let state = folder();
    let before = "CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, description text NOT NULL, installed_on timestamptz NOT NULL DEFAULT now(),
                                                 success boolean NOT NULL, checksum bytea NOT NULL, execution_time bigint NOT NULL);
                  INSERT INTO _sqlx_migrations VALUES (38, 'audit heads', now(), true, 'x', 1)";
    let server = start(state.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(execute(&server.url("postgres"), "CREATE DATABASE knead"));
    runtime.block_on(execute(&server.url("knead"), before));
    server.stop().unwrap();
    let begin = |arguments: &[&str]| {
        let mut command = knead();
        command.arg("dev").args(arguments).env("KNEAD_STATE_DIR", state.path()).env("KNEAD_ADDR", free_address());
        command
    };
    let (ok, _, error) = output(&mut begin(&["--no-demo"]));
    assert!(!ok && error.contains("its migration 38 is not one of this version's"), "{error}");
    let (_running, said) = say_and_begin(&mut begin(&["--no-demo", "--reset"]));
    assert!(said.contains("Throwing away the private database"), "{said}");
}
