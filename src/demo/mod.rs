//! The demo city: Sydney, with therapists, clients and visits around now.

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};
use uuid::{Uuid, uuid};

use crate::error::Result;

/// The password of every demo account.
pub const PASSWORD: &str = "knead-demo-city";

/// The demo's log-ins: a role and its e-mail address.
pub const LOGINS: [(&str, &str); 3] =
    [("client", "client@knead.example"), ("therapist", "therapist@knead.example"), ("admin", "admin@knead.example")];

/// The catalogue's deep tissue massage.
pub const DEEP_TISSUE: Uuid = uuid!("019b76da-a800-7c02-8b52-6f1d8e203c02");

/// Fills an empty database with the city; leaves one that holds accounts as it is. Says whether it filled it.
pub async fn fill(db: &mut PgConnection, now: DateTime<Utc>, password_hash: &str) -> Result<bool> {
    let mut tx = db.begin().await?;
    let inhabited =
        sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM accounts) AS "inhabited!""#).fetch_one(&mut *tx).await?;
    if inhabited {
        return Ok(false);
    }
    sqlx::query("SELECT set_config('knead.now', $1, true), set_config('knead.password_hash', $2, true)")
        .bind(now.to_rfc3339())
        .bind(password_hash)
        .execute(&mut *tx)
        .await?;
    sqlx::raw_sql(include_str!("city.sql")).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(true)
}
