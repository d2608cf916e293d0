//! Bringing the schema up to date beside a running service.

use std::time::{Duration, Instant};

use sqlx::migrate::{Migrate, MigrateError, Migration, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Executor, PgConnection};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The table of the migrations that a database has.
const TABLE: &str = "_sqlx_migrations";

/// How long the database is waited for.
const CONNECTS_WITHIN: Duration = Duration::from_secs(30);

/// The advisory lock of whoever migrates a database.
const TURN: i64 = 0x006d_6967_7261_7465;

/// Another process that migrates is waited for so long.
const TURN_WITHIN: Duration = Duration::from_secs(60);

/// A migration waits for a table so long, because whoever writes to it meanwhile queues behind the migration.
const SHORT: &str = "SET lock_timeout = '300ms'";

/// A migration outside a transaction builds an index concurrently. It waits for others, and nobody waits for it.
const NONE: &str = "SET lock_timeout = 0";

/// How long those who queued are let through before a migration is tried again.
const PAUSE: Duration = Duration::from_millis(700);

/// How often a migration is tried: a minute long.
const ATTEMPTS: u32 = 60;

/// What PostgreSQL calls a lock that was not to be had in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Applies the migrations that the database does not have yet. May run twice and beside a running service.
///
/// # Errors
/// Says so where the database has a migration that is not among these, or was another one then.
pub async fn apply(options: PgConnectOptions, migrator: &Migrator) -> Result<(), Failure> {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECTS_WITHIN).connect_with(options).await?;
    let mut connection = pool.acquire().await?;
    let outcome = async {
        take_turn(&mut connection).await?;
        bring_up_to_date(&mut connection, migrator).await?;
        complete_indexes(&mut connection).await
    }
    .await;
    // The lock of whoever migrates ends with the connection.
    drop(connection.detach());
    pool.close().await;
    outcome
}

/// Asks for the lock again and again and never waits in a statement, because an index that is built concurrently waits for every
/// statement that is open: the two would wait for each other.
async fn take_turn(db: &mut PgConnection) -> Result<(), Failure> {
    let since = Instant::now();
    while !sqlx::query_scalar!(r#"SELECT pg_try_advisory_lock($1) AS "taken!""#, TURN).fetch_one(&mut *db).await? {
        if since.elapsed() > TURN_WITHIN {
            return Err("another process migrates this database, and has not come to its end in a minute.".into());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

async fn bring_up_to_date(db: &mut PgConnection, migrator: &Migrator) -> Result<(), Failure> {
    db.ensure_migrations_table(TABLE).await?;
    let applied = db.list_applied_migrations(TABLE).await?;
    for before in &applied {
        let known = migrator.iter().any(|one| one.version == before.version && one.checksum == before.checksum);
        if !known {
            return Err(format!(
                "another version of Knead made this database: its migration {} is not one of this version's. \
                 `cargo run -- dev --reset` throws the private database of `knead dev` away and begins anew.",
                before.version
            )
            .into());
        }
    }
    for migration in migrator.iter().filter(|one| applied.iter().all(|before| before.version != one.version)) {
        patiently(db, migration).await?;
    }
    Ok(())
}

/// Applies one migration, again and again while others keep it from a lock.
async fn patiently(db: &mut PgConnection, migration: &Migration) -> Result<(), Failure> {
    let mut attempt = 1;
    loop {
        if migration.no_tx {
            drop_what_is_half_built(db).await?;
        }
        db.execute(if migration.no_tx { NONE } else { SHORT }).await?;
        match db.apply(TABLE, migration).await {
            Err(MigrateError::ExecuteMigration(error, _)) if waited(&error) && attempt < ATTEMPTS => {
                tracing::warn!(version = migration.version, attempt, "a migration waits for a lock");
                tokio::time::sleep(PAUSE).await;
                attempt += 1;
            }
            outcome => return Ok(outcome.map(drop)?),
        }
    }
}

fn waited(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some(LOCK_NOT_AVAILABLE))
}

/// Drops indexes whose building was broken off, because they keep their names. One that somebody builds right now stays.
async fn drop_what_is_half_built(db: &mut PgConnection) -> Result<(), sqlx::Error> {
    let indexes: Vec<String> = sqlx::query_scalar!(
        r#"SELECT indexrelid::regclass::text AS "index!" FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
           WHERE NOT i.indisvalid AND c.relkind = 'i' AND c.relnamespace = 'public'::regnamespace
             AND indexrelid NOT IN (SELECT index_relid FROM pg_stat_progress_create_index)"#
    )
    .fetch_all(&mut *db)
    .await?;
    for index in indexes {
        db.execute(sqlx::AssertSqlSafe(format!("DROP INDEX CONCURRENTLY IF EXISTS {index}"))).await?;
    }
    Ok(())
}

/// Builds what is missing of an index of a partitioned table. A migration makes such an index `ON ONLY` the table, because to build it for all
/// partitions at once would lock them all: here it is built concurrently on each, and attached. Whatever was broken off is done anew.
async fn complete_indexes(db: &mut PgConnection) -> Result<(), Failure> {
    let missing = sqlx::query!(
        r#"SELECT i.indexrelid::regclass::text AS "index!", child.inhrelid::regclass::text AS "partition!",
                  part.relname || substr(whole.relname, length(history.relname) + 1) AS "name!",
                  regexp_replace(pg_get_indexdef(i.indexrelid), '^.* USING ', '') AS "what!"
           FROM pg_index i
           JOIN pg_class whole ON whole.oid = i.indexrelid AND whole.relkind = 'I'
           JOIN pg_class history ON history.oid = i.indrelid AND history.relnamespace = 'public'::regnamespace
           JOIN pg_inherits child ON child.inhparent = history.oid
           JOIN pg_class part ON part.oid = child.inhrelid
           WHERE NOT i.indisvalid AND NOT EXISTS (
               SELECT FROM pg_inherits attached JOIN pg_index of_part ON of_part.indexrelid = attached.inhrelid
               WHERE attached.inhparent = i.indexrelid AND of_part.indrelid = part.oid)
           ORDER BY 1, 2"#
    )
    .fetch_all(&mut *db)
    .await?;
    if !missing.is_empty() {
        db.execute(NONE).await?;
        drop_what_is_half_built(db).await?;
    }
    for one in missing {
        let (index, partition, name, what) = (one.index, one.partition, one.name, one.what);
        // It may be there, and was not attached.
        let build = format!("CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {partition} USING {what}");
        db.execute(sqlx::AssertSqlSafe(build)).await?;
        db.execute(sqlx::AssertSqlSafe(format!("ALTER INDEX {index} ATTACH PARTITION {name}"))).await?;
    }
    Ok(())
}
