//! A check as a VerificationResult of HL7 FHIR R5 (<https://hl7.org/fhir/R5/verificationresult.html>).

use chrono::{NaiveDate, SecondsFormat};
use serde_json::{Value, json};

use super::BoardStatus;
use super::checks::CheckMethod;
use super::review::ReviewState;
use super::store::Row;
use super::views::Verification;
use crate::values::name;

/// The media type of FHIR in JSON.
pub(super) const MEDIA_TYPE: &str = "application/fhir+json";

/// The status of a verification, as FHIR names it.
fn status(row: &Row, check: &Verification, today: NaiveDate) -> &'static str {
    let rests_on_it = row.verification == Some(check.id);
    match row.credential.review_state {
        ReviewState::Draft | ReviewState::Submitted | ReviewState::InfoRequested => "attested",
        ReviewState::InReview | ReviewState::PendingSecond => "in-process",
        ReviewState::Verified if rests_on_it && row.recheck_on.is_some_and(|due| due <= today) => "req-revalid",
        ReviewState::Verified if BoardStatus::PERMITTING.contains(&check.board_status) => "validated",
        ReviewState::Rejected => "val-fail",
        ReviewState::Superseded => "validated",
        // It was taken back before anyone decided.
        ReviewState::Withdrawn => "attested",
        ReviewState::Verified | ReviewState::Suspended | ReviewState::Revoked => "reval-fail",
    }
}

fn concept(system: &str, code: &str) -> Value {
    json!({ "coding": [{ "system": format!("http://terminology.hl7.org/CodeSystem/{system}"), "code": code }] })
}

/// The resource for `check` of the credential, whose re-check may be due `today`.
pub(super) fn verification_result(row: &Row, check: &Verification, today: NaiveDate) -> Value {
    let status = status(row, check, today);
    let at = check.at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let (kind, channel) = match check.method {
        CheckMethod::PrimarySource => ("lic-board", "portal"),
        CheckMethod::Roster => ("lic-board", "pull"),
        CheckMethod::Document => ("issuer", "manual"),
    };
    let permits = BoardStatus::PERMITTING.contains(&check.board_status);
    let outcome = match check.board_status {
        BoardStatus::Unknown => "unknown",
        _ if permits => "successful",
        _ => "failed",
    };
    let need = if row.recheck_on.is_some() { "periodic" } else { "initial" };
    let mut resource = json!({
        "resourceType": "VerificationResult",
        "id": check.id,
        "target": [{
            "type": "Practitioner",
            "identifier": { "system": "urn:knead:credential", "value": row.credential.id },
        }],
        "targetLocation": ["Practitioner.qualification"],
        "need": concept("need", need),
        "status": status,
        "statusDate": at,
        "validationType": concept("validation-type", if check.method == CheckMethod::Document { "multiple" } else { "primary" }),
        "validationProcess": [concept("validation-process", if check.method == CheckMethod::Document { "edit-check" } else { "primary" })],
        "lastPerformed": at,
        "failureAction": concept("failure-action", "fatal"),
        "primarySource": [{
            "who": { "display": check.source },
            "type": [concept("primary-source-type", kind)],
            "communicationMethod": [concept("verificationresult-communication-method", channel)],
            "validationStatus": concept("validation-status", outcome),
            "validationDate": at,
            "canPushUpdates": concept("can-push-updates", "no"),
        }],
        "attestation": {
            "who": { "type": "Practitioner", "identifier": { "system": "urn:knead:therapist", "value": row.therapist } },
            "date": row.credential.submitted_at.unwrap_or(row.credential.created_at).date_naive(),
        },
        "validator": [{ "organization": { "display": "Knead" } }],
        "extension": [{ "url": "urn:knead:board-status", "valueCode": name(&check.board_status) }],
    });
    if let Some(due) = row.recheck_on {
        resource["nextScheduled"] = json!(due);
    }
    resource
}
