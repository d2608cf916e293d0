//! Privacy: what the service holds of a person, told to them, and their account, erased.
//!
//! It knows no feature by name: each describes what it keeps of people as `PERSONAL`.

mod erasure;
mod export;
pub mod routes;
mod store;

use std::sync::Arc;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::doors;
use crate::error::Result;
use crate::personal::End;
use crate::queue::{Job, Kind, Run};

/// The kinds of jobs that are carried out here.
pub const JOBS: &[Kind] = &[Kind::of::<EraseAccounts>().hourly_at(37)];

/// How long an account waits for its erasure, in which its owner may keep it after all.
const WAIT: TimeDelta = TimeDelta::days(14);

/// By how much an erasure is put off that cannot be carried out yet.
const PUT_OFF: TimeDelta = TimeDelta::days(1);

/// The most exports of one account in 24 hours.
const MOST_EXPORTS: i64 = 5;

/// Erases the accounts whose time has come.
#[derive(Debug, Serialize, Deserialize)]
pub struct EraseAccounts;

impl Job for EraseAccounts {
    const NAME: &'static str = "erase_accounts";
}

impl Run for EraseAccounts {
    async fn run(self, app: Arc<App>) -> Result<()> {
        erasure::erase_all(&app).await
    }
}

/// What is kept of people, table by table, in Markdown.
pub fn markdown() -> String {
    let row = |table: &crate::personal::PersonalTable| {
        let told = table.part.map_or("no".to_owned(), |part| format!("`{part}`"));
        let end = match table.end {
            End::Deleted => "deleted".to_owned(),
            End::Blanked(_) => "kept without what tells who it was".to_owned(),
            End::Kept(why) => format!("kept: {why}"),
        };
        format!("| `{}` | {told} | {end} |\n", table.name)
    };
    let rows: String = doors::personal().map(row).collect();
    format!("| table | told as | when the account is erased |\n|---|---|---|\n{rows}")
}
