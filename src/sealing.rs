//! Sealing anew what is kept and another key than the first sealed, so that a key can be retired.
//!
//! Rows are sealed a few in a transaction. Those that somebody is at are left for the next round and never waited for, so that no
//! change is lost and nobody ends up waiting for us while we wait for them. A run that was broken off has left every row readable,
//! and the next one goes on with the rest.

mod store;

use sqlx::PgPool;

use crate::cipher::Cipher;
use crate::db::Tx;
use crate::error::Result;
use crate::{accounts, availability, blocks, bookings, calendars, http, session_notes};

/// How many of a table's blocks are gone through in one transaction.
const BLOCKS: i64 = 16;

/// How often the tables are gone through for rows that somebody was at.
const ROUNDS: usize = 3;

/// Which rows of a table are to be sealed.
pub struct Sealing<'a> {
    db: &'a PgPool,
    /// What seals them.
    pub cipher: &'a Cipher,
    /// How the seals of the first key begin: rows with others are sealed anew.
    pub first: &'a str,
    /// Those that lie from here on: a place in the table, as PostgreSQL writes it.
    pub from: String,
    /// And before here.
    pub to: String,
}

impl<'a> Sealing<'a> {
    /// What is under another key, in a stretch of blocks: no index knows of keys, and so the whole table is read, once.
    fn within(db: &'a PgPool, cipher: &'a Cipher, first: &'a str, from: i64, to: i64) -> Self {
        let place = |block: i64| format!("({block},0)");
        Self { db, cipher, first, from: place(from), to: place(to) }
    }

    /// Begins a transaction.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(self.db.begin().await?)
    }
}

/// What became of a table.
#[derive(Debug, PartialEq, Eq)]
pub struct Resealed {
    /// The table.
    pub table: &'static str,
    /// Rows that were sealed anew.
    pub sealed: u64,
    /// Rows that still hold something under another key than the first.
    pub left: i64,
}

/// Every table that keeps something sealed, with what seals it, to be gone through.
macro_rules! each_table {
    ($table:ident, $seal:ident => $work:block) => {
        each_table! { $table, $seal => $work;
            "addresses" accounts::addresses::seal,
            "blocks" blocks::seal,
            "booking_events" bookings::seal_events,
            "bookings" bookings::seal,
            "calendars" calendars::seal,
            "holds" bookings::holds::seal,
            "idempotency_keys" http::seal,
            "incidents" bookings::seal_incidents,
            "session_notes" session_notes::seal,
            "time_off" availability::seal_time_off,
        }
    };
    ($table:ident, $seal:ident => $work:block; $($name:literal $path:path,)+) => {$({
        use $path as $seal;
        let $table = $name;
        $work
    })+};
}

/// Seals with the first key whatever is kept under another key. Nothing seals under another key meanwhile where every
/// process has this first key; then an end with nothing left is final.
pub async fn reseal(db: &PgPool, cipher: &Cipher) -> Result<Vec<Resealed>> {
    let first = cipher.begins()?;
    let mut tables: Vec<Resealed> = Vec::new();
    for _ in 0..ROUNDS {
        each_table!(table, seal => {
            let blocks = store::blocks(db, table).await?;
            let mut sealed = 0;
            let mut from = 0;
            while from < blocks {
                sealed += seal(&Sealing::within(db, cipher, &first, from, from + BLOCKS)).await?;
                from += BLOCKS;
            }
            match tables.iter_mut().find(|before| before.table == table) {
                Some(before) => before.sealed += sealed,
                None => tables.push(Resealed { table, sealed, left: 0 }),
            }
        });
        let left = store::left(db, &first).await?;
        for table in &mut tables {
            table.left = left.get(table.table).copied().unwrap_or_default();
        }
        if left.is_empty() {
            break;
        }
    }
    Ok(tables)
}
