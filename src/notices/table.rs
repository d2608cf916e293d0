//! What people are told of what happened: the whole of it, as a table.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::events::{Consequence, Event, Party, To};

/// When somebody is told something.
struct Row {
    /// The kind of event.
    on: &'static str,
    /// Only where it was done by this party.
    by: Option<Party>,
    /// Only where the thing stands here now.
    at: Option<&'static str>,
    to: To,
    /// What they are told.
    kind: &'static str,
    /// Which of the event's details they are told with it.
    with: &'static [&'static str],
}

/// When a visit is.
const VISIT: &[&str] = &["start_at", "time_zone"];

/// What is proposed for a visit, and when that is as it stands.
const PROPOSAL: &[&str] = &["start_at", "time_zone", "proposed_start_at", "counter_offer_id"];

const fn row(on: &'static str, to: To, kind: &'static str) -> Row {
    Row { on, by: None, at: None, to, kind, with: VISIT }
}

/// A decision about a credential. The words for its holder are read with the credential.
const fn decision(on: &'static str, kind: &'static str) -> Row {
    Row { with: &["type", "reason_codes"], ..row(on, To::Therapist, kind) }
}

const TABLE: &[Row] = &[
    Row { at: Some("confirmed"), ..row("booking.create", To::Therapist, "visit_booked") },
    Row { at: Some("requested"), ..row("booking.create", To::Therapist, "visit_requested") },
    row("booking.accept", To::Others, "visit_confirmed"),
    row("booking.decline", To::Others, "request_declined"),
    row("booking.expire", To::Client, "request_expired"),
    Row { by: Some(Party::System), ..row("booking.cancel", To::Both, "visit_called_off") },
    Row { by: Some(Party::Client), ..row("booking.cancel", To::Others, "visit_cancelled") },
    Row { by: Some(Party::Therapist), ..row("booking.cancel", To::Others, "visit_cancelled") },
    Row { by: Some(Party::Admin), ..row("booking.cancel", To::Others, "visit_cancelled") },
    Row { with: &["start_at", "time_zone", "start_at_before"], ..row("booking.reschedule", To::Others, "visit_moved") },
    Row { with: &["start_at", "time_zone", "start_at_before"], ..row("booking.agree", To::Others, "visit_moved") },
    row("booking.reassign", To::Client, "visit_reassigned"),
    row("booking.reassign", To::Former, "visit_given_away"),
    row("booking.reassign", To::Therapist, "visit_taken_over"),
    Row { with: PROPOSAL, ..row("booking.propose", To::Others, "time_proposed") },
    Row { with: PROPOSAL, ..row("booking.proposal_declined", To::Others, "proposal_declined") },
    Row { with: PROPOSAL, ..row("booking.proposal_withdrawn", To::Others, "proposal_withdrawn") },
    row("booking.on_the_way", To::Others, "therapist_on_the_way"),
    Row { with: &["start_at", "time_zone", "expected_at"], ..row("booking.delay", To::Others, "visit_delayed") },
    row("booking.arrive", To::Others, "therapist_arrived"),
    Row {
        with: &["start_at", "time_zone", "duration_minutes", "price"],
        ..row("booking.ask_extension", To::Client, "extension_asked")
    },
    row("booking.extend", To::Others, "visit_extended"),
    row("booking.extension_declined", To::Others, "extension_declined"),
    row("booking.complete", To::Others, "visit_completed"),
    row("booking.no_show", To::Others, "no_show_reported"),
    row("booking.contest", To::Client, "no_show_contested"),
    row("booking.uphold", To::Both, "no_show_upheld"),
    row("booking.reject", To::Both, "no_show_rejected"),
    row("booking.stop", To::Others, "visit_stopped"),
    Row { with: &["start_at", "time_zone", "charge"], ..row("booking.lower_charge", To::Both, "charge_lowered") },
    row("booking.message", To::Others, "message_received"),
    row("booking.put_at_risk", To::Therapist, "visit_at_risk"),
    row("booking.restored", To::Therapist, "visit_restored"),
    row("booking.care_unsettled", To::Client, "visit_care_unsettled"),
    row("booking.care_settled", To::Client, "visit_care_settled"),
    row("booking.care_changed", To::Therapist, "visit_sheet_changed"),
    row("booking.consult", To::Others, "consultation_changed"),
    row("booking.sign_consultation", To::Others, "consultation_signed"),
    Row { at: Some("confirmed"), ..row("booking.update", To::Therapist, "visit_wishes_changed") },
    Row { at: Some("on_the_way"), ..row("booking.update", To::Therapist, "visit_wishes_changed") },
    row("booking.hand_over", To::Client, "visit_handed_over"),
    row("booking.take_back", To::Client, "visit_taken_back"),
    row("booking.offered_again", To::Client, "visit_free_again"),
    row("booking.overdue", To::Therapist, "visit_overdue"),
    Row {
        with: &["start_at", "time_zone", "local_start_before", "local_start"],
        ..row("booking.local_time_changed", To::Both, "visit_local_time_changed")
    },
    Row { with: &["erases_at"], ..row("account.closing", To::Subject, "account_closing") },
    Row { with: &["erases_at"], ..row("account.erasure_put_off", To::Subject, "account_erasure_put_off") },
    Row { with: &[], ..row("account.kept", To::Subject, "account_kept") },
    Row { with: &[], ..row("account.export", To::Subject, "data_exported") },
    decision("credential.verify", "credential_verified"),
    decision("credential.reject", "credential_rejected"),
    decision("credential.request_info", "credential_info_requested"),
    decision("credential.suspend", "credential_suspended"),
    decision("credential.reinstate", "credential_reinstated"),
    decision("credential.revoke", "credential_revoked"),
    // A list was taken back, and with it what it had decided.
    decision("credential.roll_back", "credential_decision_taken_back"),
    Row { with: &[], ..row("plan.propose", To::Client, "plan_proposed") },
    Row { with: &[], ..row("plan.accept", To::Therapist, "plan_accepted") },
    Row { with: &[], ..row("plan.decline", To::Therapist, "plan_declined") },
    Row { with: &[], ..row("plan.feedback", To::Therapist, "plan_feedback_given") },
    Row { with: &[], ..row("plan.end", To::Others, "plan_ended") },
    Row { with: &[], ..row("clearance.accept", To::Client, "clearance_accepted") },
    Row { with: &[], ..row("clearance.reject", To::Client, "clearance_rejected") },
    Row { with: &[], ..row("clearance.request_info", To::Client, "clearance_info_requested") },
    Row { with: &[], ..row("clearance.revoke", To::Client, "clearance_revoked") },
    Row { with: &[], ..row("therapist.bookable", To::Therapist, "now_bookable") },
    Row { with: &["error"], ..row("calendar.failing", To::Therapist, "calendar_failing") },
    Row { with: &["error"], ..row("webhook_endpoint.disabled", To::Owner, "webhook_disabled") },
    Row {
        with: &["type", "expires_on", "days_before"],
        ..row("credential.expires", To::Therapist, "credential_expires")
    },
];

impl Row {
    fn applies(&self, event: &Event) -> bool {
        event.is(self.on, self.by, self.at)
    }
}

/// Whom an event tells something.
pub fn follows(event: &Event) -> Vec<Consequence> {
    let rows = TABLE.iter().filter(|row| row.applies(event));
    let tell = |row: &'static Row| {
        let details = row.with.iter().filter_map(|name| Some(((*name).to_owned(), event.details.get(name)?.clone())));
        let details = Value::Object(details.collect::<Map<_, _>>());
        row.to.of(event).into_iter().map(move |to| Consequence::Tell { to, kind: row.kind, details: details.clone() })
    };
    rows.flat_map(tell).collect()
}

/// The table's rows, for the page of consequences: the kind of event, what else must be so, and what follows.
pub fn consequences() -> Vec<(&'static str, String, String)> {
    let row = |row: &Row| {
        let by = row.by.map(|by| format!("by {}", crate::values::name(&by)));
        let at = row.at.map(|at| format!("{at} now"));
        let when: Vec<String> = by.into_iter().chain(at).collect();
        (row.on, when.join(", "), format!("notice `{}` to {}", row.kind, row.to.words()))
    };
    TABLE.iter().map(row).collect()
}

/// Every kind that there is, in order.
pub fn kinds() -> Vec<&'static str> {
    let kinds: BTreeSet<&str> = TABLE.iter().map(|row| row.kind).collect();
    kinds.into_iter().collect()
}
