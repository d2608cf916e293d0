//! The life of an import: one table of what leads where.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{Refusal, Result};

/// Where an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ImportState {
    /// The file is here.
    Uploaded,
    /// Its rows are being read.
    Reading,
    /// What it says is known, and nothing has changed yet.
    Previewed,
    /// A rule keeps it from taking effect.
    Stopped,
    /// It could not be read.
    Failed,
    /// It is taking effect.
    Applying,
    /// It has taken effect.
    Applied,
    /// What it changed is being taken back.
    RollingBack,
    /// What it changed was taken back.
    RolledBack,
    /// Put aside without effect.
    Discarded,
}

/// A step in the life of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A worker begins to read, or begins anew where another was killed.
    Read,
    /// All was read.
    Preview,
    /// All was read, and a rule says no.
    Stop,
    /// It cannot be read.
    Fail,
    /// It is to take effect, or to go on where it was interrupted.
    Apply,
    /// It is to take effect although its rows fell.
    Override,
    /// It is to be taken back, or that is to go on.
    RollBack,
    /// All that was to be done is done.
    Finish,
    /// It is put aside.
    Discard,
}

/// What leads where: from, step, to. Steps that are not listed do not exist.
pub const TABLE: &[(ImportState, Step, ImportState)] = {
    use ImportState as S;
    &[
        (S::Uploaded, Step::Read, S::Reading),
        (S::Reading, Step::Read, S::Reading),
        (S::Reading, Step::Preview, S::Previewed),
        (S::Reading, Step::Stop, S::Stopped),
        (S::Uploaded, Step::Fail, S::Failed),
        (S::Reading, Step::Fail, S::Failed),
        (S::Previewed, Step::Apply, S::Applying),
        (S::Stopped, Step::Override, S::Applying),
        (S::Applying, Step::Apply, S::Applying),
        (S::Applying, Step::Finish, S::Applied),
        (S::Applied, Step::RollBack, S::RollingBack),
        (S::RollingBack, Step::RollBack, S::RollingBack),
        (S::RollingBack, Step::Finish, S::RolledBack),
        (S::Uploaded, Step::Discard, S::Discarded),
        (S::Reading, Step::Discard, S::Discarded),
        (S::Previewed, Step::Discard, S::Discarded),
        (S::Stopped, Step::Discard, S::Discarded),
    ]
};

impl ImportState {
    /// Where `step` leads from here.
    ///
    /// # Errors
    /// `roster_stopped` where a rule keeps it from taking effect, `roster_not_previewed` where it cannot yet or any
    /// more, `invalid_transition` where the step leads nowhere.
    pub fn after(self, step: Step) -> Result<Self> {
        let found = TABLE.iter().find(|(from, by, _)| (*from, *by) == (self, step));
        found.map(|(.., to)| *to).ok_or_else(|| {
            match (self, step) {
                (Self::Stopped, Step::Apply) => Refusal::RosterStopped,
                (_, Step::Apply | Step::Override) => Refusal::RosterNotPreviewed,
                _ => Refusal::InvalidTransition,
            }
            .into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    const STEPS: [Step; 9] = [
        Step::Read,
        Step::Preview,
        Step::Stop,
        Step::Fail,
        Step::Apply,
        Step::Override,
        Step::RollBack,
        Step::Finish,
        Step::Discard,
    ];

    #[test]
    fn what_has_ended_stays_ended() {
        for state in [ImportState::Failed, ImportState::RolledBack, ImportState::Discarded] {
            assert!(STEPS.iter().all(|step| state.after(*step).is_err()), "{state:?}");
        }
    }

    #[test]
    fn what_was_stopped_takes_effect_only_by_an_override() {
        assert!(matches!(ImportState::Stopped.after(Step::Apply), Err(Error::Refused(Refusal::RosterStopped))));
        assert_eq!(ImportState::Stopped.after(Step::Override).ok(), Some(ImportState::Applying));
        assert!(matches!(ImportState::Reading.after(Step::Override), Err(Error::Refused(Refusal::RosterNotPreviewed))));
    }

    #[test]
    fn every_pair_leads_to_one_place() {
        for (i, row) in TABLE.iter().enumerate() {
            assert!(TABLE.iter().skip(i + 1).all(|other| (other.0, other.1) != (row.0, row.1)), "{row:?}");
        }
    }
}
