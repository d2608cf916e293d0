//! The life of a booking: one table of what leads where, and who may do it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Booking, missed};
use crate::error::Refusal;
pub use crate::events::Party;
use crate::values::{Span, name};

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
    /// All of them.
    pub(super) const ALL: [Self; 11] = [
        Self::Requested,
        Self::Confirmed,
        Self::OnTheWay,
        Self::Arrived,
        Self::InProgress,
        Self::Completed,
        Self::Declined,
        Self::Expired,
        Self::Cancelled,
        Self::NoShow,
        Self::Stopped,
    ];

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
    /// The therapist asks the client whether it may last longer.
    AskExtension,
    /// It lasts longer: the client says yes.
    Extend,
    /// The therapist says to have been there after all.
    Contest,
    /// It is settled that the therapist was not there.
    Uphold,
    /// It is settled that the therapist was there.
    Reject,
    /// Staff lower what the client pays for what is over.
    LowerCharge,
    /// The therapist says that they will be late.
    Delay,
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
    (Status::Confirmed, Action::OnTheWay, &[Party::Therapist], Status::OnTheWay),
    (Status::Confirmed, Action::Delay, &[Party::Therapist], Status::Confirmed),
    (Status::Confirmed, Action::NoShow, &[Party::Client], Status::NoShow),
    // Staff settle what the therapist forgot to say; nobody else skips a step.
    (Status::Confirmed, Action::Complete, &[Party::Admin], Status::Completed),
    (Status::Confirmed, Action::Stop, &[Party::Admin], Status::Stopped),
    (Status::OnTheWay, Action::Delay, &[Party::Therapist], Status::OnTheWay),
    (Status::OnTheWay, Action::Arrive, &[Party::Therapist], Status::Arrived),
    // The system does where it turns out on the way, or at the door, that the therapist may not practise there.
    (
        Status::OnTheWay,
        Action::Cancel,
        &[Party::Client, Party::Therapist, Party::Admin, Party::System],
        Status::Cancelled,
    ),
    (Status::OnTheWay, Action::NoShow, &[Party::Client], Status::NoShow),
    (Status::OnTheWay, Action::Complete, &[Party::Admin], Status::Completed),
    (Status::OnTheWay, Action::Stop, &[Party::Therapist, Party::Admin], Status::Stopped),
    (Status::Arrived, Action::Start, &[Party::Therapist], Status::InProgress),
    (
        Status::Arrived,
        Action::Cancel,
        &[Party::Client, Party::Therapist, Party::Admin, Party::System],
        Status::Cancelled,
    ),
    (Status::Arrived, Action::NoShow, &[Party::Therapist], Status::NoShow),
    (Status::Arrived, Action::Complete, &[Party::Admin], Status::Completed),
    (Status::Arrived, Action::Stop, &[Party::Therapist, Party::Admin], Status::Stopped),
    (Status::InProgress, Action::Complete, &[Party::Therapist, Party::Admin], Status::Completed),
    (Status::InProgress, Action::Stop, &[Party::Therapist, Party::Admin], Status::Stopped),
    // A client's word that nobody came settles nothing by itself.
    (Status::NoShow, Action::Contest, &[Party::Therapist], Status::NoShow),
    (Status::NoShow, Action::Uphold, &[Party::Admin, Party::System], Status::NoShow),
    (Status::NoShow, Action::Reject, &[Party::Admin], Status::NoShow),
    // What is over may cost less after all.
    (Status::Completed, Action::LowerCharge, &[Party::Admin], Status::Completed),
    (Status::Cancelled, Action::LowerCharge, &[Party::Admin], Status::Cancelled),
    (Status::NoShow, Action::LowerCharge, &[Party::Admin], Status::NoShow),
    (Status::Stopped, Action::LowerCharge, &[Party::Admin], Status::Stopped),
    // The client is there to agree.
    (Status::Arrived, Action::AskExtension, &[Party::Therapist], Status::Arrived),
    (Status::InProgress, Action::AskExtension, &[Party::Therapist], Status::InProgress),
    (Status::Arrived, Action::Extend, &[Party::Client], Status::Arrived),
    (Status::InProgress, Action::Extend, &[Party::Client], Status::InProgress),
];

/// When a step may be taken: from so many minutes after the agreed start on, and until so many after the agreed end. A visit may
/// begin a little early where both are ready, and no more: the therapist is paid for coming at the agreed time. Who was not
/// there is said within a day: later, only staff can tell.
const TIMES: &[(Action, i64, Option<i64>)] = &[
    (Action::OnTheWay, -180, Some(0)),
    (Action::Delay, -180, Some(0)),
    (Action::Arrive, -60, Some(0)),
    (Action::Start, -15, Some(0)),
    (Action::Complete, 0, None),
    (Action::NoShow, 20, Some(24 * 60)),
];

/// From when on a step does not exist any more: visits that have begun are not moved, and what is over is not called off.
const UNTIL: &[(Action, Edge)] = &[
    (Action::Cancel, Edge::End),
    (Action::Reschedule, Edge::Start),
    (Action::Propose, Edge::Start),
    (Action::Reassign, Edge::Start),
];

/// A moment of the agreed time on the table.
#[derive(Clone, Copy, Debug)]
enum Edge {
    Start,
    End,
}

/// Whether `action` by `party` is neither too early nor too late for `visit`, the time on the table. Staff complete a
/// visit for the therapist only once its time is over.
fn in_time(action: Action, party: Party, visit: Span, now: DateTime<Utc>) -> Result<(), Refusal> {
    let passed = |(_, edge): &&(Action, Edge)| match edge {
        Edge::Start => now >= visit.start,
        Edge::End => now >= visit.end,
    };
    if UNTIL.iter().filter(|until| until.0 == action).any(|until| passed(&until)) {
        return Err(Refusal::InvalidTransition);
    }
    let Some((_, minutes, after_end)) = TIMES.iter().find(|time| time.0 == action) else { return Ok(()) };
    let by_staff = action == Action::Complete && party == Party::Admin;
    let from = if by_staff { visit.end } else { visit.start + TimeDelta::minutes(*minutes) };
    if now < from {
        Err(Refusal::TooEarly)
    } else if after_end.is_some_and(|minutes| now >= visit.end + TimeDelta::minutes(minutes)) {
        Err(Refusal::TooLate)
    } else {
        Ok(())
    }
}

/// From when until when `action` may be taken by `party` of a visit with this time on the table; none where no time bounds it.
pub fn window(action: Action, party: Party, visit: Span) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
    let edge = UNTIL.iter().find(|until| until.0 == action).map(|(_, edge)| match edge {
        Edge::Start => visit.start,
        Edge::End => visit.end,
    });
    let Some((_, minutes, after_end)) = TIMES.iter().find(|time| time.0 == action) else { return (None, edge) };
    let by_staff = action == Action::Complete && party == Party::Admin;
    let from = if by_staff { visit.end } else { visit.start + TimeDelta::minutes(*minutes) };
    (Some(from), edge.or_else(|| after_end.map(|minutes| visit.end + TimeDelta::minutes(minutes))))
}

/// The steps that the table has for `party` from `status`.
pub fn steps(status: Status, party: Party) -> impl Iterator<Item = Action> {
    TABLE.iter().filter(move |row| row.0 == status && row.2.contains(&party)).map(|row| row.1)
}

/// What becomes of a step that may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The booking moves on.
    To(Status),
    /// The step was taken before; nothing changes.
    Done,
}

/// What `action` by `party` does to `booking` at `now`: the one rule of steps.
///
/// # Errors
/// `invalid_transition` where the step does not exist; `too_early`, `too_late`.
pub fn step(booking: &Booking, action: Action, party: Party, now: DateTime<Utc>) -> Result<Step, Refusal> {
    let step = lead(booking.status, action, party).ok_or(Refusal::InvalidTransition)?;
    match step {
        // The other side's report is not this one's.
        Step::Done if action == Action::NoShow && missed::reporter(booking).is_some_and(|by| by != party) => {
            Err(Refusal::InvalidTransition)
        }
        Step::To(_) if matches!(action, Action::Contest | Action::Uphold | Action::Reject) => {
            let report = booking.missed.ok_or(Refusal::InvalidTransition)?;
            report.settles(action, party, now).map(|is_new| if is_new { step } else { Step::Done })
        }
        Step::Done => Ok(Step::Done),
        Step::To(_) => in_time(action, party, booking.table(), now).map(|()| step),
    }
}

/// Where the table leads, whatever the time is; none where the step does not exist.
fn lead(status: Status, action: Action, party: Party) -> Option<Step> {
    let allowed = |row: &&(Status, Action, &[Party], Status)| row.1 == action && row.2.contains(&party);
    match TABLE.iter().filter(allowed).find(|row| row.0 == status) {
        Some((.., to)) => Some(Step::To(*to)),
        None => TABLE.iter().filter(allowed).any(|row| row.3 == status).then_some(Step::Done),
    }
}

/// The table in Markdown, for the documentation.
pub fn markdown() -> String {
    let rows = TABLE.iter().map(|(from, action, parties, to)| {
        let parties: Vec<String> = parties.iter().map(name).collect();
        format!("| {} | {} | {} | {} |\n", name(from), name(action), parties.join(", "), name(to))
    });
    let times = TIMES.iter().map(|(action, minutes, after_end)| {
        let side = if *minutes < 0 { "before" } else { "after" };
        let until = match after_end {
            None => String::new(),
            Some(0) => "the agreed end".to_owned(),
            Some(minutes) => format!("{minutes} minutes after the agreed end"),
        };
        format!("| {} | {} minutes {side} the agreed start | {until} |\n", name(action), minutes.abs())
    });
    format!(
        "| from | step | by | to |\n|---|---|---|---|\n{}\nSome steps have their time. Staff complete a visit for its therapist \
         from the agreed end on. A client's report that nobody came is pending: its therapist contests it within a day, and staff uphold or reject \
         it; silence of a day upholds it. A visit is called off until its agreed end; it is moved, given to another therapist or met with a \
         counter-offer until its agreed start.\n\n| step | not before | before |\n|---|---|---|\n{}",
        rows.collect::<String>(),
        times.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTIES: [Party; 4] = [Party::Client, Party::Therapist, Party::Admin, Party::System];

    #[test]
    fn all_statuses_are_listed() {
        for (from, _, _, to) in TABLE {
            assert!(Status::ALL.contains(from) && Status::ALL.contains(to), "{from:?} {to:?}");
        }
    }

    #[test]
    fn what_has_ended_stays_ended() {
        use Status::{Cancelled, Completed, Declined, Expired, NoShow, Stopped};
        for status in [Completed, Declined, Expired, Cancelled, NoShow, Stopped] {
            assert!(!status.is_live());
            for (_, action, ..) in TABLE {
                for party in PARTIES {
                    // What settles a report changes what it costs, and not that it is over.
                    assert!(
                        !matches!(lead(status, *action, party), Some(Step::To(to)) if to != status),
                        "{status:?} {action:?} {party:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_step_may_be_repeated_by_whoever_may_take_it() {
        assert_eq!(lead(Status::Confirmed, Action::Accept, Party::Therapist), Some(Step::Done));
        assert_eq!(lead(Status::Confirmed, Action::Accept, Party::Client), None);
        assert_eq!(lead(Status::Cancelled, Action::Cancel, Party::Client), Some(Step::Done));
        assert_eq!(lead(Status::Cancelled, Action::Accept, Party::Therapist), None);
    }

    /// From, step, who may take it, to, of the chain that no visit leaves but to end.
    const CHAIN: [(Status, Action, Status); 4] = [
        (Status::Confirmed, Action::OnTheWay, Status::OnTheWay),
        (Status::OnTheWay, Action::Arrive, Status::Arrived),
        (Status::Arrived, Action::Start, Status::InProgress),
        (Status::InProgress, Action::Complete, Status::Completed),
    ];

    #[test]
    fn a_therapist_skips_no_step_and_goes_back_on_none() {
        for (i, (_, action, to)) in CHAIN.iter().enumerate() {
            for (j, (from, ..)) in CHAIN.iter().enumerate() {
                let expected = if i == j { Some(Step::To(*to)) } else { (from == to).then_some(Step::Done) };
                assert_eq!(lead(*from, *action, Party::Therapist), expected, "{action:?} from {from:?}");
                assert_eq!(lead(*from, *action, Party::Client), None);
            }
            assert_eq!(lead(Status::Requested, *action, Party::Therapist), None);
        }
    }

    #[test]
    fn each_side_reports_only_that_the_other_is_not_there() {
        use Status::{Arrived, Confirmed, InProgress, OnTheWay};
        for status in [Confirmed, OnTheWay, Arrived, InProgress] {
            let by_client = matches!(status, Confirmed | OnTheWay);
            assert_eq!(
                matches!(lead(status, Action::NoShow, Party::Client), Some(Step::To(_))),
                by_client,
                "{status:?}"
            );
            assert_eq!(matches!(lead(status, Action::NoShow, Party::Therapist), Some(Step::To(_))), status == Arrived);
            assert_eq!(lead(status, Action::NoShow, Party::Admin), None);
        }
    }

    struct Times {
        action: Action,
        party: Party,
        from: i64,
        until: Option<i64>,
    }

    #[test]
    fn steps_have_their_time_to_the_microsecond() {
        let start: DateTime<Utc> = "2026-12-01T00:00:00Z".parse().expect("an instant");
        let visit = Span::of_minutes(start, 60);
        let moment = TimeDelta::microseconds(1);
        for Times { action, party, from, until } in [
            Times { action: Action::OnTheWay, party: Party::Therapist, from: -180, until: Some(60) },
            Times { action: Action::Arrive, party: Party::Therapist, from: -60, until: Some(60) },
            Times { action: Action::Start, party: Party::Therapist, from: -15, until: Some(60) },
            Times { action: Action::Complete, party: Party::Therapist, from: 0, until: None },
            Times { action: Action::Complete, party: Party::Admin, from: 60, until: None },
            Times { action: Action::NoShow, party: Party::Client, from: 20, until: Some(60 + 1440) },
            Times { action: Action::NoShow, party: Party::Therapist, from: 20, until: Some(60 + 1440) },
        ] {
            let first = start + TimeDelta::minutes(from);
            assert_eq!(in_time(action, party, visit, first - moment), Err(Refusal::TooEarly), "{action:?}");
            assert_eq!(in_time(action, party, visit, first), Ok(()), "{action:?}");
            let end = start + TimeDelta::minutes(until.unwrap_or(100_000));
            assert_eq!(in_time(action, party, visit, end - moment), Ok(()), "{action:?}");
            let late = if until.is_some() { Err(Refusal::TooLate) } else { Ok(()) };
            assert_eq!(in_time(action, party, visit, end), late, "{action:?}");
        }
        let moved = in_time(Action::Reschedule, Party::Client, visit, start);
        assert_eq!(moved, Err(Refusal::InvalidTransition), "a visit that has begun");
        let called_off = |now| in_time(Action::Cancel, Party::Client, visit, now);
        assert_eq!(called_off(visit.end - moment), Ok(()));
        assert_eq!(called_off(visit.end), Err(Refusal::InvalidTransition), "what is over");
        for days in [-1, 1] {
            assert_eq!(
                in_time(Action::Stop, Party::Therapist, visit, start + TimeDelta::days(days)),
                Ok(()),
                "at any time"
            );
        }
    }

    #[test]
    fn a_step_is_in_time_within_its_window_alone() {
        let start: DateTime<Utc> = "2026-12-01T00:00:00Z".parse().expect("an instant");
        let visit = Span::of_minutes(start, 60);
        for (_, action, parties, _) in TABLE {
            for party in *parties {
                let (from, until) = window(*action, *party, visit);
                for minute in -300..2_000 {
                    let now = start + TimeDelta::minutes(minute);
                    let within = from.is_none_or(|from| from <= now) && until.is_none_or(|until| now < until);
                    assert_eq!(in_time(*action, *party, visit, now).is_ok(), within, "{action:?} {party:?} {minute}");
                }
            }
        }
    }

    #[test]
    fn every_pair_leads_to_one_place() {
        for (i, row) in TABLE.iter().enumerate() {
            assert!(TABLE.iter().skip(i + 1).all(|other| (other.0, other.1) != (row.0, row.1)), "{row:?}");
        }
    }
}
