//! How people are reached.

use std::collections::HashMap;

use sqlx::PgExecutor;

use crate::error::Result;
use crate::ids::AccountId;
use crate::values::Zone;

/// How the owner of an account is reached.
#[derive(Clone, Debug)]
pub struct Contact {
    /// The address that signs in.
    pub email: String,
    /// What the owner is called.
    pub display_name: String,
    /// The zone that the owner lives in.
    pub time_zone: Zone,
    /// Whether the owner has shown that the address is theirs.
    pub is_verified: bool,
}

impl Contact {
    /// The first name, for others to see.
    pub fn first_name(&self) -> &str {
        self.display_name.split_whitespace().next().unwrap_or(&self.display_name)
    }
}

/// How these people are reached.
pub async fn contacts<'c>(db: impl PgExecutor<'c>, ids: &[AccountId]) -> Result<HashMap<AccountId, Contact>> {
    let rows = sqlx::query!(
        r#"SELECT id, email::text AS "email!", display_name, time_zone, email_verified_at IS NOT NULL AS "is_verified!"
           FROM accounts WHERE id = ANY ($1)"#,
        ids as &[AccountId]
    )
    .fetch_all(db)
    .await?;
    let contacts = rows.into_iter().map(|row| {
        // One zone that this process does not know must not keep everybody from being written to.
        let time_zone = Zone::named(&row.time_zone).unwrap_or(Zone::UTC);
        let (email, display_name) = (row.email, row.display_name);
        (row.id, Contact { email, display_name, time_zone, is_verified: row.is_verified })
    });
    Ok(contacts.collect())
}
