//! Privacy: what the service holds of a person, told to them, and their account, erased.
//!
//! It knows no feature by name: each describes what it keeps of people as `PERSONAL`.

mod erasure;
mod export;
pub mod routes;
mod store;
mod words;

use std::sync::Arc;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::doors;
use crate::error::Result;
use crate::personal::{End, Words};
use crate::queue::{Job, Kind, Run, Sweep};

/// The kinds of jobs that are carried out here.
pub const JOBS: &[Kind] = &[Kind::of::<EraseAccounts>().hourly_at(37)];

/// What ends here at last.
pub const SWEEPS: &[Sweep] =
    &[Sweep { name: "words_of_the_erased", run: |app, now| Box::pin(erasure::end_words(app, now)) }];

/// For how many years after an account was erased the words stay that somebody may have to answer for: a part of the app. Places differ; ten years reach the longest that is asked of records
/// of treatment in the places that are seeded, and an operator must review it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionYears(pub u32);

impl Default for RetentionYears {
    fn default() -> Self {
        Self(10)
    }
}

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
        let words = match table.words {
            Words::None => "",
            Words::EndAtOnce => "; its words end",
            Words::EndLater => "; its words end `KNEAD_RETENTION_YEARS` later",
        };
        format!("| `{}` | {told} | {end}{words} |\n", table.name)
    };
    let rows: String = doors::personal().map(row).collect();
    format!("| table | told as | when the account is erased |\n|---|---|---|\n{rows}")
}
