//! Authorities' own lists: read, compared with the credentials that we hold, and made to take effect, or taken back.

pub mod applying;
pub mod command;
pub mod compare;
pub mod jobs;
pub mod lifecycle;
mod lines;
pub mod reader;
pub mod reading;
pub mod routes;
pub mod sources;
mod store;
mod unpack;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

pub use applying::check;

use crate::App;
use crate::credentials::checks::{Facts, Found, Verdict};
use crate::credentials::held::Held;
use crate::error::{Error, Result};
use crate::ids::{AccountId, CredentialId, RosterImportId, TherapistId};
use crate::personal::PersonalTable;
use crate::storage::Key;
use crate::values::bounded_text;
use compare::{List, Match, NameMatch, differs};
use lifecycle::ImportState;
use reader::RejectedRow;
use sources::{Mapping, Source};

/// What is kept of people here: what lists said of therapists stays, because decisions rest on it.
pub const PERSONAL: &[PersonalTable] = &[PersonalTable {
    untold: &["before", "after", "undone_at", "note"],
    ..PersonalTable::kept("roster_findings", "therapist_id = $1", "what a list changed, and what takes it back")
}];

bounded_text! {
    /// Why a rule is set aside.
    ImportNote prose 1..=2000, example "The board has taken lapsed licences off its list.";
}

/// The largest list that is taken, in bytes, packed or unpacked: whole registers of a state are a few hundred megabytes.
pub const SIZE_LIMIT: u64 = 1024 * 1024 * 1024;

/// The first year of the dates that lists bear.
const OLDEST: i32 = 2000;

/// Deletes lists that are not to be read any more, a day after they came.
pub async fn forget_files(app: &App, now: DateTime<Utc>) -> Result<()> {
    let mut pages = app.storage.begun_before("rosters", now - TimeDelta::days(1));
    while let Some(ids) = pages.try_next().await? {
        for id in store::read_already(&app.db, &ids).await? {
            app.storage.delete(file_of(RosterImportId(id))).await?;
        }
    }
    Ok(())
}

/// Where the file of an import lies.
pub fn file_of(import: RosterImportId) -> Key {
    Key { room: "rosters", id: import.0 }
}

/// A rule that keeps an import from taking effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum StopReason {
    /// The header lacks a column that is read, or has it twice. Set aside it can be where the list is of use without it.
    HeaderChanged,
    /// The file cannot be unpacked, or not to its end; `warnings` say why.
    Unreadable,
    /// The file ends within a line.
    Truncated,
    /// No row is of a kind that we hold.
    NoRows,
    /// The rows are more than 20 % fewer than in the last import.
    RowsFell,
    /// The list is older than the last one.
    SourceOlder,
    /// The list bears the date of the last one and says something else.
    SameDateOtherContent,
}

impl StopReason {
    /// Whether an admin may set it aside, of a list with this `mapping`.
    fn can_be_overridden(self, mapping: Option<&Mapping>, source: &Source) -> bool {
        match self {
            Self::RowsFell => true,
            Self::HeaderChanged => mapping.is_some_and(|mapping| mapping.is_usable(source)),
            _ => false,
        }
    }
}

/// One reading of an authority's list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RosterImport {
    /// The import's id.
    pub id: RosterImportId,
    /// The source's code.
    #[schema(example = "us-tx-tdlr")]
    pub source: String,
    /// Where it stands.
    pub state: ImportState,
    /// The name that the file had.
    pub file_name: Option<String>,
    /// The SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// The size of the file, in bytes.
    pub size: i64,
    /// The date that the list bears.
    pub source_date: NaiveDate,
    /// Who handed it in; null where it came by command or from an API client.
    pub uploaded_by: Option<AccountId>,
    /// How its columns are used; null until it is read.
    pub mapping: Option<Mapping>,
    /// How much of the file has been read.
    pub bytes_read: i64,
    /// Rows read so far.
    pub rows_read: i64,
    /// Those of them that are of a type of ours.
    pub rows_kept: i64,
    /// Those of them that cannot be used.
    pub rows_rejected: i64,
    /// The first hundred of these.
    pub rejected: Vec<RejectedRow>,
    /// Credentials of ours that are in the list.
    pub matched: i64,
    /// Those of them of which the list says something new.
    pub differing: i64,
    /// Credentials that were changed when it took effect.
    pub changed: i64,
    /// What was done to read it, what is odd about it, and why it cannot be read, in words.
    pub warnings: Vec<String>,
    /// What keeps it from taking effect.
    pub stop_reasons: Vec<StopReason>,
    /// What an admin set aside of that.
    pub overridden: Vec<StopReason>,
    /// Why.
    pub note: Option<String>,
    /// When the file came.
    pub created_at: DateTime<Utc>,
    /// When all was read.
    pub previewed_at: Option<DateTime<Utc>>,
    /// When it had taken effect.
    pub applied_at: Option<DateTime<Utc>>,
    /// When it had been taken back.
    pub rolled_back_at: Option<DateTime<Utc>>,
}

impl RosterImport {
    /// Its source.
    pub fn list(&self) -> Result<List> {
        let source = Source::find(&self.source).ok_or_else(|| Error::Internal(format!("no source {}", self.source)))?;
        Ok(List { source, date: self.source_date })
    }

    /// What keeps it from taking effect. `last` is the import of the same source that was applied last.
    pub fn objections(&self, is_cut: bool, last: Option<&Self>) -> Vec<StopReason> {
        let header_changed = self.mapping.as_ref().is_none_or(Mapping::is_changed);
        let source = Source::find(&self.source);
        let is_read = self.mapping.as_ref().zip(source).is_some_and(|(mapping, source)| mapping.is_usable(source));
        let fell = |now: i64, before: i64| now * 10 < before * 8;
        let against = last.map_or([None; 3], |last| {
            let is_other = self.sha256 != last.sha256;
            let fewer = fell(self.rows_kept, last.rows_kept) || fell(self.rows_read, last.rows_read);
            [
                (is_read && fewer).then_some(StopReason::RowsFell),
                (self.source_date < last.source_date).then_some(StopReason::SourceOlder),
                (self.source_date == last.source_date && is_other).then_some(StopReason::SameDateOtherContent),
            ]
        });
        let own = [
            header_changed.then_some(StopReason::HeaderChanged),
            is_cut.then_some(StopReason::Truncated),
            (is_read && self.rows_kept == 0).then_some(StopReason::NoRows),
        ];
        own.into_iter().chain(against).flatten().collect()
    }
}

/// What a list says of a credential, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing stands against it.
    Clean,
    /// The authority does not let its holder practise any more.
    Adverse,
    /// For a person to look at.
    Unclear,
    /// It is not there, which proves nothing.
    Absent,
}

/// What an import says of a credential, and what came of it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// The credential.
    pub credential_id: CredentialId,
    /// Whose it is.
    pub therapist_id: TherapistId,
    /// The verdict in a word.
    pub outcome: Outcome,
    /// The verdict; null where the credential is absent.
    pub verdict: Option<Verdict>,
    /// What stands in the list; null where the credential is absent.
    pub found: Option<Found>,
    /// How the names compare.
    pub name_match: Option<NameMatch>,
    /// How alike they are, from 0 to 1.
    pub similarity: Option<f32>,
    /// Whether the list says something else than we hold.
    pub differs: bool,
    /// The credential as it stood when it was compared, or before it was changed.
    pub before: Facts,
    /// The credential after the import took effect on it.
    pub after: Option<Facts>,
    /// When that was.
    pub applied_at: Option<DateTime<Utc>>,
    /// When it was taken back.
    pub undone_at: Option<DateTime<Utc>>,
    /// What whoever reads it should know.
    pub note: Option<String>,
}

impl Finding {
    fn new(held: Held, found: Option<Match>, list: List) -> Self {
        let outcome = match found.as_ref().map(|found| &found.verdict) {
            None => Outcome::Absent,
            Some(Verdict::Clean) => Outcome::Clean,
            Some(Verdict::Adverse { .. }) => Outcome::Adverse,
            Some(Verdict::Unclear { .. }) => Outcome::Unclear,
        };
        Self {
            credential_id: held.id,
            therapist_id: held.therapist,
            outcome,
            differs: found.as_ref().is_some_and(|found| differs(&held, &found.found)),
            verdict: found.as_ref().map(|found| found.verdict.clone()),
            name_match: found.as_ref().map(|found| found.name),
            similarity: found.as_ref().and_then(|found| found.found.name_similarity),
            note: list.source.note.filter(|_| found.is_some()).map(str::to_owned),
            found: found.map(|found| found.found),
            before: held.facts,
            after: None,
            applied_at: None,
            undone_at: None,
        }
    }
}

/// The mark of a worker on the import that it works on.
#[derive(Clone, Copy, Debug)]
struct Worker {
    import: RosterImportId,
    mark: Uuid,
}

/// What a worker finds that was taken for dead.
fn superseded() -> Error {
    crate::error::Refusal::InvalidTransition.into()
}

#[cfg(test)]
mod tests;
