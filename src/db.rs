//! The database: connections and migrations.

mod migrations;
mod seats;
mod together;

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool, Postgres};

use crate::error::{Error, Result};

pub use migrations::apply;
pub use seats::Db;
pub use together::Together;

/// A transaction.
pub type Tx = sqlx::Transaction<'static, Postgres>;

static MIGRATOR: Migrator = sqlx::migrate!();

/// How long a request waits for a connection before it is answered with 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection that was used within this time is taken to be alive.
const FRESH: Duration = Duration::from_secs(1);

/// A pool of up to `size` connections to `url`. Connects when first used, so that a service starts beside a
/// database that is still coming up.
pub fn pool(url: &str, size: u32) -> Result<PgPool, sqlx::Error> {
    // The server ends what no caller waits for any more: a statement, a wait for a lock, a forgotten transaction.
    let options = PgConnectOptions::from_str(url)?.application_name("knead").options([
        ("statement_timeout", "4s"),
        ("lock_timeout", "2s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("timezone", "UTC"),
    ]);
    let pool = PgPoolOptions::new().max_connections(size).acquire_timeout(ACQUIRE_TIMEOUT);
    // Whoever gives a connection back asks whether it is alive. To ask again at once would be a round trip for nothing.
    let pool = pool.test_before_acquire(false).before_acquire(|connection, meta| {
        Box::pin(async move {
            if meta.idle_for > FRESH {
                connection.ping().await?;
            }
            Ok(true)
        })
    });
    Ok(pool.connect_lazy_with(options))
}

/// A connection that is given back while nothing is asked of the database.
pub struct Lent<'a> {
    pool: &'a PgPool,
    connection: Option<PoolConnection<Postgres>>,
}

impl<'a> Lent<'a> {
    /// None yet.
    pub fn by(pool: &'a PgPool) -> Self {
        Self { pool, connection: None }
    }

    /// The connection, taken from the pool where it was given back.
    pub async fn get(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.pool.acquire().await?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Gives the connection back, for others to have while something is computed.
    pub fn give_back(&mut self) {
        self.connection = None;
    }
}

/// A pool for a command that goes through whole tables: nothing ends its statements, and it still waits for no lock for long.
pub fn patient_pool(url: &str) -> Result<PgPool, sqlx::Error> {
    let options = PgConnectOptions::from_str(url)?
        .application_name("knead")
        .options([("lock_timeout", "2s"), ("timezone", "UTC")]);
    Ok(PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT).connect_lazy_with(options))
}

/// A pool of one connection for a command that changes the schema.
pub async fn migrating_pool(url: &str) -> Result<PgPool, sqlx::Error> {
    let options = PgConnectOptions::from_str(url)?.options([("lock_timeout", "10s")]);
    PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(30)).connect_with(options).await
}

/// Brings the schema up to date, but for that of the job queue. May run twice and beside a running service.
pub async fn migrate(url: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    migrations::apply(PgConnectOptions::from_str(url)?, &MIGRATOR).await
}

/// Makes the partitions of all tables of history for the month of `now` and three after it.
pub async fn make_months(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(r#"SELECT make_months(partrelid, $1, 3) AS "made: ()" FROM pg_partitioned_table"#, now.date_naive())
        .fetch_all(db)
        .await?;
    Ok(())
}

/// How many rows a sweep deletes in one statement, far within the time that a statement has.
pub const BATCH: i64 = 1000;

/// Carries `batch` out, which tells how many rows it saw to, until it finds fewer than [`BATCH`]. Each batch is a transaction of its own, so
/// that locks are short and what was done stays done.
pub async fn in_batches<B: Future<Output = Result<u64>> + Send>(batch: impl Fn() -> B + Send) -> Result<()> {
    while batch().await? >= BATCH.unsigned_abs() {}
    Ok(())
}

/// How long a caller waits for the database: a server that hangs ends no statement by itself.
pub const PATIENCE: Duration = Duration::from_millis(2500);

/// `answer`, if it comes in time; else 503.
pub async fn in_time<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, answer).await.map_err(|_| late())?
}

/// What a caller is told who has waited long enough.
pub fn late() -> Error {
    Error::Unavailable("the database does not answer".to_owned())
}

/// Carries a request to its end, also when the caller hangs up half-way: a dropped transaction could hand
/// its connection back while it is still open, and a change must not depend on who is listening. A caller that is
/// answered with 503 for the wait may find the work done: that is what idempotency keys are for.
pub async fn uninterrupted<T: Send + 'static>(request: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let request = tokio::spawn(request);
    in_time(async { request.await.map_err(|error| Error::Internal(error.to_string()))? }).await
}
