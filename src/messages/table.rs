//! Who is written to when something happened: the whole of it, as a table.

use serde_json::{Map, Value};

use super::Class;
use crate::bookings::lifecycle::Status;
use crate::bookings::outline::Outline;
use crate::events::{Event, Party, To};
use crate::ids::{AccountId, CounterOfferId};

/// What must be so at the moment of sending, because a message whose cause is gone is worse than none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// The visit is to take place, and the reader is one of its two parties.
    Ahead,
    /// It is confirmed, and begins when the message says.
    Then,
    /// It is live, and begins when the message says.
    Unchanged,
    /// It waits for its therapist's answer.
    Asked,
    /// It will not take place, or took place as little as the message says.
    Over,
    /// It has taken place.
    Done,
    /// What is proposed for it is still open.
    Proposed,
    /// Its therapist may not carry it out as things stand.
    AtRisk,
    /// Its therapist wants somebody else to take it over.
    HandedOver,
    /// The reader is its therapist no more.
    Gone,
    /// The code that the message carries is good.
    Code,
}

/// What a message does to the reader's calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invitation {
    /// Nothing.
    None,
    /// It puts the visit there, or changes it (RFC 5546, 3.2.2).
    Request,
    /// It takes the visit away, where it was put there (RFC 5546, 3.2.5).
    Cancel,
}

/// When somebody is written to.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The kind of event.
    pub on: &'static str,
    /// Only where it was done by this party.
    by: Option<Party>,
    /// Only where the thing stands here now.
    at: Option<&'static str>,
    /// Who is written to.
    pub to: To,
    /// What they are told.
    pub message: &'static str,
    /// Whether they may do without.
    pub class: Class,
    /// What must be so when it is sent.
    pub needs: Needs,
    /// What it does to their calendar.
    pub invitation: Invitation,
    /// Whether it tells how the visit stands as a whole, so that a later one takes its place.
    pub is_whole: bool,
    /// Which of the event's details it tells or rests on.
    with: &'static [&'static str],
}

const PLAIN: Row = Row {
    on: "",
    by: None,
    at: None,
    to: To::Both,
    message: "",
    class: Class::Transactional,
    needs: Needs::Nothing,
    invitation: Invitation::None,
    is_whole: false,
    with: &[],
};

/// Something about a visit.
const fn visit(on: &'static str, to: To, message: &'static str, needs: Needs) -> Row {
    Row { on, to, message, needs, with: &["start_at"], ..PLAIN }
}

/// How a visit stands from now on, for the calendars of those who are told.
const fn stands(on: &'static str, to: To, message: &'static str) -> Row {
    Row { invitation: Invitation::Request, is_whole: true, ..visit(on, to, message, Needs::Ahead) }
}

/// That a visit will not take place.
const fn ends(on: &'static str, to: To, message: &'static str) -> Row {
    Row { invitation: Invitation::Cancel, is_whole: true, ..visit(on, to, message, Needs::Over) }
}

/// What became of a credential.
const fn credential(on: &'static str, message: &'static str) -> Row {
    Row { on, to: To::Therapist, message, with: &["type"], ..PLAIN }
}

/// What concerns an account's safety: nobody can do without.
const fn account(on: &'static str, message: &'static str) -> Row {
    Row { on, to: To::Subject, message, class: Class::Security, ..PLAIN }
}

/// The same, with a code that only its reader is to have.
const fn code(on: &'static str, message: &'static str) -> Row {
    Row { needs: Needs::Code, with: &["code"], ..account(on, message) }
}

/// That there is something to be read in the app, because what it is tells of somebody's health.
const fn news(on: &'static str, to: To) -> Row {
    Row { on, to, message: "news", ..PLAIN }
}

/// The message of a reminder. No event is behind it but the passing of time.
pub const REMINDER: Row =
    Row { class: Class::Reminder, ..visit("reminder.due", To::Both, "visit_reminder", Needs::Then) };

const TABLE: &[Row] = &[
    Row { at: Some("confirmed"), ..stands("booking.create", To::Both, "visit_booked") },
    Row { at: Some("requested"), ..visit("booking.create", To::Therapist, "visit_requested", Needs::Asked) },
    Row { at: Some("requested"), ..visit("booking.create", To::Client, "request_sent", Needs::Asked) },
    stands("booking.accept", To::Both, "visit_confirmed"),
    Row { is_whole: true, ..visit("booking.decline", To::Client, "request_declined", Needs::Over) },
    Row { is_whole: true, ..visit("booking.expire", To::Client, "request_expired", Needs::Over) },
    Row { by: Some(Party::System), ..ends("booking.cancel", To::Both, "visit_called_off") },
    Row { by: Some(Party::Client), ..ends("booking.cancel", To::Both, "visit_cancelled") },
    Row { by: Some(Party::Therapist), ..ends("booking.cancel", To::Both, "visit_cancelled") },
    Row { by: Some(Party::Admin), ..ends("booking.cancel", To::Both, "visit_cancelled") },
    Row { at: Some("confirmed"), ..stands("booking.reschedule", To::Both, "visit_moved") },
    Row { at: Some("requested"), ..visit("booking.reschedule", To::Therapist, "visit_requested", Needs::Asked) },
    Row { at: Some("confirmed"), ..stands("booking.agree", To::Both, "visit_moved") },
    // What it offers is told by no later one.
    Row { at: Some("confirmed"), is_whole: false, ..stands("booking.reassign", To::Client, "visit_reassigned") },
    Row { at: Some("confirmed"), ..stands("booking.reassign", To::Therapist, "visit_taken_over") },
    Row { at: Some("requested"), ..visit("booking.reassign", To::Therapist, "visit_requested", Needs::Asked) },
    Row { needs: Needs::Gone, ..ends("booking.reassign", To::Former, "visit_given_away") },
    Row { with: &["counter_offer_id"], ..visit("booking.propose", To::Others, "time_proposed", Needs::Proposed) },
    visit("booking.proposal_declined", To::Others, "proposal_declined", Needs::Unchanged),
    visit("booking.proposal_withdrawn", To::Others, "proposal_withdrawn", Needs::Unchanged),
    visit("booking.delay", To::Client, "visit_delayed", Needs::Unchanged),
    stands("booking.extend", To::Both, "visit_extended"),
    visit("booking.put_at_risk", To::Therapist, "visit_at_risk", Needs::AtRisk),
    visit("booking.restored", To::Therapist, "visit_restored", Needs::Ahead),
    visit("booking.hand_over", To::Client, "visit_handed_over", Needs::HandedOver),
    visit("booking.take_back", To::Client, "visit_taken_back", Needs::Ahead),
    visit("booking.offered_again", To::Client, "visit_free_again", Needs::Over),
    stands("booking.local_time_changed", To::Both, "visit_local_time_changed"),
    visit("booking.complete", To::Client, "visit_completed", Needs::Done),
    visit("booking.no_show", To::Others, "no_show_reported", Needs::Over),
    visit("booking.contest", To::Client, "no_show_contested", Needs::Nothing),
    visit("booking.uphold", To::Both, "no_show_upheld", Needs::Nothing),
    visit("booking.reject", To::Both, "no_show_rejected", Needs::Nothing),
    visit("booking.stop", To::Others, "visit_stopped", Needs::Over),
    visit("booking.lower_charge", To::Both, "charge_lowered", Needs::Nothing),
    news("booking.care_unsettled", To::Client),
    news("clearance.accept", To::Client),
    news("clearance.reject", To::Client),
    news("clearance.request_info", To::Client),
    news("clearance.revoke", To::Client),
    news("plan.propose", To::Client),
    credential("credential.verify", "credential_verified"),
    credential("credential.reject", "credential_rejected"),
    credential("credential.request_info", "credential_info_requested"),
    credential("credential.suspend", "credential_suspended"),
    credential("credential.reinstate", "credential_reinstated"),
    credential("credential.revoke", "credential_revoked"),
    credential("credential.roll_back", "credential_decision_taken_back"),
    Row { with: &["type", "expires_on"], ..credential("credential.expires", "credential_expires") },
    Row { to: To::Therapist, on: "therapist.bookable", message: "now_bookable", ..PLAIN },
    Row { to: To::Therapist, on: "calendar.failing", message: "calendar_failing", ..PLAIN },
    Row { to: To::Owner, on: "webhook_endpoint.disabled", message: "webhook_disabled", ..PLAIN },
    code("account.verification_asked", "verify_email"),
    code("account.reset_asked", "reset_password"),
    code("account.email_change_asked", "change_email"),
    code("account.email_changed", "email_changed"),
    account("account.password_changed", "password_changed"),
    account("account.suspended", "account_suspended"),
    account("account.reinstated", "account_reinstated"),
    account("account.closing", "account_closing"),
    account("account.kept", "account_kept"),
    account("account.export", "data_exported"),
    account("account.second_factor_guessed", "second_factor_guessed"),
    account("account.totp_added", "second_factor_added"),
    account("account.totp_removed", "second_factor_removed"),
];

/// The rows that an event meets.
pub fn rows(event: &Event) -> impl Iterator<Item = &'static Row> {
    TABLE.iter().filter(|row| event.is(row.on, row.by, row.at))
}

/// The row of a message that was planned before; none where an older version planned it.
pub fn row(kind: &str, message: &str) -> Option<&'static Row> {
    [&REMINDER].into_iter().chain(TABLE).find(|row| row.on == kind && row.message == message)
}

/// Every message that there is, once each.
#[cfg(test)]
pub fn messages() -> std::collections::BTreeSet<&'static str> {
    TABLE.iter().chain([&REMINDER]).map(|row| row.message).collect()
}

/// The table's rows, for the page of consequences: the kind of event, what else must be so, and what follows.
pub fn consequences() -> Vec<(&'static str, String, String)> {
    let row = |row: &Row| {
        let by = row.by.map(|by| format!("by {}", crate::values::name(&by)));
        let at = row.at.map(|at| format!("{at} now"));
        let when: Vec<String> = by.into_iter().chain(at).collect();
        (row.on, when.join(", "), format!("e-mail `{}` to {}", row.message, row.to.words()))
    };
    TABLE.iter().map(row).collect()
}

impl Row {
    /// What the message tells or rests on, of the event's details: ids, states, codes and times alone.
    pub fn valid(&self, event: &Event) -> Value {
        let picked = self.with.iter().filter_map(|name| Some(((*name).to_owned(), event.details.get(name)?.clone())));
        Value::Object(picked.collect::<Map<_, _>>())
    }

    /// Whether what the message rests on is still so, as far as the visit tells. `valid` is what it took for granted.
    pub fn still_holds(&self, visit: Option<&Outline>, reader: AccountId, valid: &Value) -> bool {
        let Some(visit) = visit else { return matches!(self.needs, Needs::Nothing | Needs::Code) };
        let is_party = [visit.client, visit.therapist.into()].contains(&reader);
        let is_ahead = is_party && visit.status.is_live() && visit.status != Status::Requested;
        let told = valid.get("start_at").and_then(Value::as_str).and_then(|text| text.parse().ok());
        let is_then = told == Some(visit.table.start);
        match self.needs {
            Needs::Nothing | Needs::Code => true,
            Needs::Ahead => is_ahead,
            Needs::Then => is_party && visit.status == Status::Confirmed && is_then,
            Needs::Unchanged => is_party && visit.status.is_live() && is_then,
            Needs::Asked => is_party && visit.status == Status::Requested,
            Needs::Over => is_party && !visit.status.is_live(),
            Needs::Done => is_party && visit.status == Status::Completed,
            Needs::Proposed => {
                let told = valid.get("counter_offer_id").and_then(|id| id.as_str()?.parse().ok()).map(CounterOfferId);
                is_party && told.is_some() && told == visit.proposed.map(|(id, _)| id)
            }
            Needs::AtRisk => is_ahead && visit.at_risk,
            Needs::HandedOver => is_ahead && visit.handed_over,
            Needs::Gone => !is_party,
        }
    }
}
