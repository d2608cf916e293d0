//! What staff get to look at of what happened, and what need not be looked at any more: the whole of it, as a table.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::events::{Consequence, Event, Party};

/// What becomes of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Raise,
    Close,
}

/// When a task is raised or closed.
struct Row {
    /// The kind of event.
    on: &'static str,
    /// Only where it was done by this party.
    by: Option<Party>,
    moved: Move,
    /// The kind of task.
    kind: &'static str,
    /// The kind of thing that it is about, and which of the event's details names it; the event's subject where none does.
    about: Option<(&'static str, &'static str)>,
}

const fn raise(on: &'static str, kind: &'static str) -> Row {
    Row { on, by: None, moved: Move::Raise, kind, about: None }
}

const fn close(on: &'static str, by: Option<Party>, kind: &'static str) -> Row {
    Row { on, by, moved: Move::Close, kind, about: None }
}

/// One task for a visit, however many incidents it has.
const VISIT: Option<(&str, &str)> = Some(("booking", "booking_id"));

const TABLE: &[Row] = &[
    Row { by: Some(Party::Client), ..raise("booking.no_show", "therapist_no_show") },
    close("booking.uphold", Some(Party::Admin), "therapist_no_show"),
    close("booking.reject", None, "therapist_no_show"),
    raise("booking.ended_early", "visit_ended_early"),
    close("booking.lower_charge", None, "visit_ended_early"),
    raise("booking.overdue", "visit_overdue"),
    // A client's word alone does not settle what staff were to look into.
    close("booking.complete", None, "visit_overdue"),
    close("booking.no_show", Some(Party::Therapist), "visit_overdue"),
    close("booking.stop", None, "visit_overdue"),
    raise("booking.hand_over", "visit_handed_over"),
    close("booking.reassign", None, "visit_handed_over"),
    close("booking.reschedule", None, "visit_handed_over"),
    close("booking.cancel", None, "visit_handed_over"),
    close("booking.take_back", None, "visit_handed_over"),
    raise("booking.kept_in_time_off", "visit_in_time_off"),
    close("booking.reassign", None, "visit_in_time_off"),
    close("booking.reschedule", None, "visit_in_time_off"),
    close("booking.cancel", None, "visit_in_time_off"),
    close("booking.start", None, "visit_in_time_off"),
    raise("account.address_disputed", "address_disputed"),
    raise("booking.party_suspended", "visit_party_suspended"),
    close("booking.party_reinstated", None, "visit_party_suspended"),
    close("booking.cancel", None, "visit_party_suspended"),
    close("booking.reassign", None, "visit_party_suspended"),
    close("booking.decline", None, "visit_party_suspended"),
    close("booking.expire", None, "visit_party_suspended"),
    close("booking.complete", None, "visit_party_suspended"),
    raise("booking.unlicensed_in_progress", "visit_in_progress_unlicensed"),
    raise("booking.local_time_changed", "visit_local_time_changed"),
    // The parties have seen to it.
    close("booking.reschedule", None, "visit_local_time_changed"),
    close("booking.agree", None, "visit_local_time_changed"),
    close("booking.cancel", None, "visit_local_time_changed"),
    Row { about: VISIT, ..raise("incident.report", "incident_reported") },
    close("booking.incidents_resolved", None, "incident_reported"),
    raise("credential.duplicate_claim", "duplicate_claim"),
    raise("credential.reinstatement_possible", "reinstatement_possible"),
    raise("credential.suspended_by_roster", "suspended_by_roster"),
    raise("credential.adverse_finding", "adverse_finding"),
    raise("credential.status_unknown", "status_unknown"),
    raise("credential.status_not_permitting", "status_not_permitting"),
    raise("credential.finding_unclear", "finding_unclear"),
    raise("credential.told_by_holder", "told_by_holder"),
    raise("credential.recheck_due", "recheck_due"),
    raise("credential.evidence_shared", "evidence_shared"),
    raise("credential.finding_not_applied", "roster_finding_not_applied"),
    raise("credential.row_missing", "roster_row_missing"),
];

/// What an event raises and closes.
pub fn follows(event: &Event) -> Vec<Consequence> {
    let rows = TABLE.iter().filter(|row| event.is(row.on, row.by, None));
    rows.filter_map(|row| {
        let (subject_type, subject) = match row.about {
            None => (event.subject_type.clone(), event.subject_id()?),
            Some((subject_type, name)) => (subject_type.into(), event.details.get(name)?.as_str()?.parse().ok()?),
        };
        Some(match row.moved {
            Move::Raise => Consequence::Raise { kind: row.kind, subject_type, subject, details: details(event) },
            Move::Close => Consequence::Close { kind: row.kind, subject },
        })
    })
    .collect()
}

/// What staff are told with a task: what the event tells, and whom it is about.
fn details(event: &Event) -> Value {
    let mut details = event.details.as_object().cloned().unwrap_or_else(Map::new);
    if let Some(therapist) = event.therapist {
        details.insert("therapist_id".to_owned(), therapist.to_string().into());
    }
    Value::Object(details)
}

/// The table's rows, for the page of consequences: the kind of event, what else must be so, and what follows.
pub fn consequences() -> Vec<(&'static str, String, String)> {
    let row = |row: &Row| {
        let by = row.by.map(|by| format!("by {}", crate::values::name(&by)));
        let what = if row.moved == Move::Raise { "raised" } else { "closed" };
        (row.on, by.unwrap_or_default(), format!("task `{}` {what}", row.kind))
    };
    TABLE.iter().map(row).collect()
}

/// Every kind that there is, in order.
pub fn kinds() -> Vec<&'static str> {
    let kinds: BTreeSet<&str> = TABLE.iter().map(|row| row.kind).collect();
    kinds.into_iter().collect()
}

/// Every kind of thing that a task is about.
pub(super) fn subjects() -> BTreeSet<&'static str> {
    let own = |row: &Row| row.on.split_once('.').map_or(row.on, |(feature, _)| feature);
    TABLE.iter().map(|row| row.about.map_or_else(|| own(row), |(subject_type, _)| subject_type)).collect()
}
