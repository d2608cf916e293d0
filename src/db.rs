//! The database: connections, migrations and units of work.

use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Postgres};

use crate::error::{Error, Result};

/// A transaction.
pub type Tx = sqlx::Transaction<'static, Postgres>;

static MIGRATOR: Migrator = sqlx::migrate!();

/// How long a request waits for a connection before it is answered with 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// A pool of up to `size` connections to `url`. Connects when first used, so that a service starts beside a
/// database that is still coming up.
pub fn pool(url: &str, size: u32) -> Result<PgPool, sqlx::Error> {
    // The server ends what no caller waits for any more: a statement, a wait for a lock, a forgotten transaction.
    let options = PgConnectOptions::from_str(url)?.application_name("knead").options([
        ("statement_timeout", "5s"),
        ("lock_timeout", "3s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("timezone", "UTC"),
    ]);
    Ok(PgPoolOptions::new().max_connections(size).acquire_timeout(ACQUIRE_TIMEOUT).connect_lazy_with(options))
}

/// Brings the schema, and that of the job queue, up to date. May run twice and beside a running service.
pub async fn migrate(url: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let options = PgConnectOptions::from_str(url)?.options([("lock_timeout", "10s")]);
    let pool =
        PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(30)).connect_with(options).await?;
    MIGRATOR.run(&pool).await?;
    crate::jobs::migrate(&pool).await?;
    pool.close().await;
    Ok(())
}

/// Carries a unit of work to its end, also when the caller hangs up half-way: a dropped transaction could hand
/// its connection back while it is still open, and a change must not depend on who is listening.
pub async fn work<T: Send + 'static>(unit: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    match tokio::spawn(unit).await {
        Ok(outcome) => outcome,
        Err(error) => Err(Error::Internal(error.to_string())),
    }
}
