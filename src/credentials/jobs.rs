//! What is done later with credentials.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::numbers::renumber;
use super::reminders::{forget_reminders, recheck, remind};
use super::{documents, supersede_due};
use crate::App;
use crate::error::Result;
use crate::ids::CredentialId;
use crate::queue::{Job, Kind, Run, Sweep};

/// The kinds of jobs that are carried out here.
pub const JOBS: &[Kind] = &[Kind::of::<Supersede>(), Kind::of::<LookAhead>().hourly_at(41)];

/// What is deleted here in the end.
pub const SWEEPS: &[Sweep] = &[
    Sweep { name: "reminders", run: |app, now| Box::pin(forget_reminders(app, now)) },
    Sweep { name: "documents", run: |app, now| Box::pin(documents::forget_erased(app, now)) },
    Sweep { name: "tally", run: |app, _| Box::pin(super::store::add_up(&app.db)) },
    Sweep { name: "document_files", run: |app, now| Box::pin(documents::forget_orphans(app, now)) },
];

/// Lets a renewal that has begun take the place of what it renews.
#[derive(Debug, Serialize, Deserialize)]
pub struct Supersede {
    /// The renewal.
    pub by: CredentialId,
}

impl Job for Supersede {
    const NAME: &'static str = "supersede_credential";
}

impl Run for Supersede {
    async fn run(self, app: Arc<App>) -> Result<()> {
        supersede_due(&app, self.by).await
    }
}

/// Looks for what has become due: reminders and re-checks, and numbers under an older rule.
#[derive(Debug, Serialize, Deserialize)]
pub struct LookAhead;

impl Job for LookAhead {
    const NAME: &'static str = "look_ahead";
}

impl Run for LookAhead {
    async fn run(self, app: Arc<App>) -> Result<()> {
        // Each by itself: what ends the one does not end the others.
        let reminded = remind(&app).await;
        let renumbered = renumber(&app).await;
        recheck(&app).await?;
        reminded.and(renumbered)
    }
}

/// Compares one credential with the authority's list that is in effect. `rosters` carries it out.
#[derive(Debug, Serialize, Deserialize)]
pub struct CheckAgainstRoster {
    /// The credential.
    pub credential: CredentialId,
}

impl Job for CheckAgainstRoster {
    const NAME: &'static str = "check_against_roster";
}

/// Asks an authority again about one credential. `rosters` carries it out.
#[derive(Debug, Serialize, Deserialize)]
pub struct Recheck {
    /// The credential.
    pub credential: CredentialId,
}

impl Job for Recheck {
    const NAME: &'static str = "recheck_credential";
}
