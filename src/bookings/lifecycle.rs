//! The life of a booking: one table of what leads where, and who may do it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::values::name;

/// Where a booking stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Status {
    /// Waiting for the therapist's answer; the time is held.
    Requested,
    /// It will take place.
    Confirmed,
    /// The therapist is on the way.
    OnTheWay,
    /// The therapist is at the door.
    Arrived,
    /// The visit has begun.
    InProgress,
    /// The visit has taken place.
    Completed,
    /// The therapist said no.
    Declined,
    /// Nobody answered in time.
    Expired,
    /// Called off.
    Cancelled,
    /// Someone was not there.
    NoShow,
    /// Broken off.
    Stopped,
}

impl Status {
    /// Whether the visit is still to take place, or does.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Requested | Self::Confirmed | Self::OnTheWay | Self::Arrived | Self::InProgress)
    }
}

/// A step in a booking's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Action {
    /// It is made.
    Create,
    /// The therapist says yes.
    Accept,
    /// The therapist says no.
    Decline,
    /// The deadline for an answer passes.
    Expire,
    /// Someone calls it off.
    Cancel,
    /// The therapist sets out.
    OnTheWay,
    /// The therapist is there.
    Arrive,
    /// The time on the table begins.
    Start,
    /// The time on the table is over.
    Complete,
    /// Someone is not there.
    NoShow,
    /// The visit is broken off.
    Stop,
    /// Another therapist takes the visit over, at the same time.
    Reassign,
    /// It is moved to another time.
    Reschedule,
    /// Someone proposes another time; the old one stands.
    Propose,
    /// The other one agrees to the proposed time.
    Agree,
    /// It lasts longer.
    Extend,
}

/// Who takes a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Party {
    /// Whose visit it is.
    Client,
    /// Who carries it out.
    Therapist,
    /// Staff.
    Admin,
    /// The service itself.
    System,
}

/// What leads where: from, step, who may take it, to. Steps that are not listed do not exist.
pub const TABLE: &[(Status, Action, &[Party], Status)] = &[
    (Status::Requested, Action::Accept, &[Party::Therapist], Status::Confirmed),
    (Status::Requested, Action::Decline, &[Party::Therapist], Status::Declined),
    (Status::Requested, Action::Expire, &[Party::System], Status::Expired),
    (Status::Requested, Action::Cancel, &[Party::Client, Party::Admin, Party::System], Status::Cancelled),
    (Status::Requested, Action::Reassign, &[Party::Admin], Status::Requested),
    // A therapist who prefers another time proposes it.
    (Status::Requested, Action::Reschedule, &[Party::Client], Status::Requested),
    (Status::Requested, Action::Propose, &[Party::Client, Party::Therapist], Status::Requested),
    (Status::Requested, Action::Agree, &[Party::Client, Party::Therapist], Status::Confirmed),
    (
        Status::Confirmed,
        Action::Cancel,
        &[Party::Client, Party::Therapist, Party::Admin, Party::System],
        Status::Cancelled,
    ),
    (Status::Confirmed, Action::Reassign, &[Party::Admin], Status::Confirmed),
    (Status::Confirmed, Action::Reschedule, &[Party::Client, Party::Therapist], Status::Confirmed),
    (Status::Confirmed, Action::Propose, &[Party::Client, Party::Therapist], Status::Confirmed),
    (Status::Confirmed, Action::Agree, &[Party::Client, Party::Therapist], Status::Confirmed),
    // The client is there to agree.
    (Status::Arrived, Action::Extend, &[Party::Therapist], Status::Arrived),
    (Status::InProgress, Action::Extend, &[Party::Therapist], Status::InProgress),
    // Where it turns out on the way, or at the door, that the therapist may not practise there.
    (Status::OnTheWay, Action::Cancel, &[Party::System], Status::Cancelled),
    (Status::Arrived, Action::Cancel, &[Party::System], Status::Cancelled),
];

/// What becomes of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The booking moves on.
    To(Status),
    /// The step was taken before; nothing changes.
    Done,
    /// The step does not exist.
    Refused,
}

/// What `action` by `party` does to a booking in `status`.
pub fn step(status: Status, action: Action, party: Party) -> Step {
    let allowed = |row: &&(Status, Action, &[Party], Status)| row.1 == action && row.2.contains(&party);
    match TABLE.iter().filter(allowed).find(|row| row.0 == status) {
        Some((.., to)) => Step::To(*to),
        None if TABLE.iter().filter(allowed).any(|row| row.3 == status) => Step::Done,
        None => Step::Refused,
    }
}

/// The table in Markdown, for the documentation.
pub fn markdown() -> String {
    let rows = TABLE.iter().map(|(from, action, parties, to)| {
        let parties: Vec<String> = parties.iter().map(name).collect();
        format!("| {} | {} | {} | {} |\n", name(from), name(action), parties.join(", "), name(to))
    });
    format!("| from | step | by | to |\n|---|---|---|---|\n{}", rows.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTIES: [Party; 4] = [Party::Client, Party::Therapist, Party::Admin, Party::System];

    #[test]
    fn what_has_ended_stays_ended() {
        use Status::{Cancelled, Completed, Declined, Expired, NoShow, Stopped};
        for status in [Completed, Declined, Expired, Cancelled, NoShow, Stopped] {
            assert!(!status.is_live());
            for (_, action, ..) in TABLE {
                for party in PARTIES {
                    assert!(!matches!(step(status, *action, party), Step::To(_)), "{status:?} {action:?} {party:?}");
                }
            }
        }
    }

    #[test]
    fn a_step_may_be_repeated_by_whoever_may_take_it() {
        assert_eq!(step(Status::Confirmed, Action::Accept, Party::Therapist), Step::Done);
        assert_eq!(step(Status::Confirmed, Action::Accept, Party::Client), Step::Refused);
        assert_eq!(step(Status::Cancelled, Action::Cancel, Party::Client), Step::Done);
        assert_eq!(step(Status::Cancelled, Action::Accept, Party::Therapist), Step::Refused);
    }

    #[test]
    fn every_pair_leads_to_one_place() {
        for (i, row) in TABLE.iter().enumerate() {
            assert!(TABLE.iter().skip(i + 1).all(|other| (other.0, other.1) != (row.0, row.1)), "{row:?}");
        }
    }
}
