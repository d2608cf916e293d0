//! How people are reached.

use std::collections::HashMap;

use sqlx::PgExecutor;

use crate::error::Result;
use crate::ids::AccountId;
use crate::values::{Role, Zone};

/// How the owner of an account is reached.
#[derive(Clone, Debug)]
pub struct Contact {
    /// The address that signs in.
    pub email: String,
    /// What the owner is called.
    pub display_name: String,
    /// The zone that the owner lives in.
    pub time_zone: Zone,
    /// The owner's role.
    pub role: Role,
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
        r#"SELECT id, email::text AS "email!", display_name, time_zone AS "time_zone: Zone", role AS "role: Role"
           FROM accounts WHERE id = ANY ($1)"#,
        ids as &[AccountId]
    )
    .fetch_all(db)
    .await?;
    let contacts = rows.into_iter().map(|row| {
        let (email, display_name) = (row.email, row.display_name);
        (row.id, Contact { email, display_name, time_zone: row.time_zone, role: row.role })
    });
    Ok(contacts.collect())
}
