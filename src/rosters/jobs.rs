//! What is done later with authorities' lists.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{applying, check, forget_files, reading};
use crate::App;
use crate::credentials::jobs::{CheckAgainstRoster, Recheck};
use crate::credentials::reminders::ask_staff_where_due;
use crate::error::Result;
use crate::ids::RosterImportId;
use crate::queue::{Job, Kind, Run, Sweep};

/// The kinds of jobs that are carried out here.
pub const JOBS: &[Kind] = &[
    Kind::of::<ReadRoster>(),
    Kind::of::<ApplyRoster>(),
    Kind::of::<RollBackRoster>(),
    Kind::of::<CheckAgainstRoster>(),
    Kind::of::<Recheck>(),
];

/// What is deleted here in the end.
pub const SWEEPS: &[Sweep] = &[Sweep { name: "roster_files", run: |app, now| Box::pin(forget_files(app, now)) }];

/// Reads an authority's list.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadRoster {
    /// The import that it came as.
    pub import: RosterImportId,
}

impl Job for ReadRoster {
    const NAME: &'static str = "read_roster";
}

impl Run for ReadRoster {
    async fn run(self, app: Arc<App>) -> Result<()> {
        reading::run(&app, self.import).await
    }
}

/// Lets an authority's list take effect.
#[derive(Debug, Serialize, Deserialize)]
pub struct ApplyRoster {
    /// The import that it came as.
    pub import: RosterImportId,
}

impl Job for ApplyRoster {
    const NAME: &'static str = "apply_roster";
}

impl Run for ApplyRoster {
    async fn run(self, app: Arc<App>) -> Result<()> {
        applying::apply(&app.workshop(), self.import, |_| {}).await
    }
}

/// Takes back what an authority's list changed.
#[derive(Debug, Serialize, Deserialize)]
pub struct RollBackRoster {
    /// The import that it came as.
    pub import: RosterImportId,
}

impl Job for RollBackRoster {
    const NAME: &'static str = "roll_back_roster";
}

impl Run for RollBackRoster {
    async fn run(self, app: Arc<App>) -> Result<()> {
        applying::roll_back(&app.workshop(), self.import).await
    }
}

impl Run for CheckAgainstRoster {
    async fn run(self, app: Arc<App>) -> Result<()> {
        check(&app, self.credential).await
    }
}

impl Run for Recheck {
    async fn run(self, app: Arc<App>) -> Result<()> {
        check(&app, self.credential).await?;
        ask_staff_where_due(&app, self.credential).await
    }
}
