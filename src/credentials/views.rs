//! What owners, admins and the public see of a credential: a type for each.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::BoardStatus;
use super::checks::CheckMethod;
use super::documents::ReviewedDocument;
use super::review::{ReasonCode, ReviewAction, ReviewState};
use crate::ids::{AccountId, CredentialHoldId, CredentialId, TherapistId, VerificationId};
use crate::values::{Jurisdiction, Money};

/// A credential as its owner sees it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Credential {
    /// The credential's id.
    pub id: CredentialId,
    /// Its type's code.
    #[serde(rename = "type")]
    #[schema(example = "US-TX-LMT")]
    pub type_code: String,
    /// The number, as it was written.
    #[schema(example = "MT123456")]
    pub number: Option<String>,
    /// The name on it.
    #[schema(example = "Sam Okafor")]
    pub name_on_credential: String,
    /// Where it was issued: the type's own place, where it has one.
    pub issuing_jurisdiction: Option<Jurisdiction>,
    /// The first day of its validity.
    pub issued_on: Option<NaiveDate>,
    /// The last day of its validity, in the zone of each visit.
    pub expires_on: Option<NaiveDate>,
    /// What an insurance pays at most for one claim.
    pub cover: Option<Money>,
    /// The places where it counts, where they are fewer than its type allows.
    #[schema(example = json!(["AU-NSW"]))]
    pub covers_jurisdictions: Option<Vec<String>>,
    /// The kinds of service for which it counts, where they are fewer than its type allows.
    #[schema(example = json!(["massage"]))]
    pub covers_kinds: Option<Vec<String>>,
    /// The caller's credential that it renews.
    pub renews: Option<CredentialId>,
    /// Where the review stands.
    pub review_state: ReviewState,
    /// What the authority says.
    pub board_status: BoardStatus,
    /// When it was last submitted.
    pub submitted_at: Option<DateTime<Utc>>,
    /// When it was entered.
    pub created_at: DateTime<Utc>,
    /// What a reviewer will look at: `number_pattern_mismatch`, `insurance_below_minimum`.
    pub warnings: Vec<String>,
    /// What was decided last, in words for the holder; null where nothing was.
    pub last_decision: Option<LastDecision>,
}

/// A decision as the holder of the credential is told of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LastDecision {
    /// What was decided.
    pub action: ReviewAction,
    /// Why.
    pub reason_codes: Vec<ReasonCode>,
    /// The reviewer's words for the holder.
    #[schema(example = "Page 2 cannot be read: please scan it again.")]
    pub message: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// A credential as anyone may see it: no number, no document.
#[derive(Debug, Serialize, ToSchema)]
pub struct PublicCredential {
    /// Its type's code.
    #[serde(rename = "type")]
    #[schema(example = "US-TX-LMT")]
    pub type_code: String,
    /// Who gave it.
    pub authority: String,
    /// Where it was issued: the type's own place, where it has one.
    pub jurisdiction: Option<Jurisdiction>,
    /// Whether its holder may rely on it today (UTC).
    pub status: PublicStatus,
    /// The last day of its validity.
    pub expires_on: Option<NaiveDate>,
}

/// What the public is told of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PublicStatus {
    /// Verified and in force.
    Verified,
    /// Verified, and past its end.
    Expired,
    /// Verified once, and not in force.
    NotInForce,
}

/// A credential as admins see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReviewedCredential {
    /// The credential itself.
    #[serde(flatten)]
    pub credential: Credential,
    /// Whose it is.
    pub therapist_id: TherapistId,
    /// The name that the therapist goes by.
    pub therapist_name: String,
    /// Until when the claim of the admin who reviews it holds.
    pub claimed_until: Option<DateTime<Utc>>,
    /// Whether the caller holds the claim.
    pub claimed_by_me: bool,
    /// Who approved it first, where a second admin must agree.
    pub approved_by: Option<AccountId>,
    /// Whether the authority acted against the holder, as the last check found.
    pub board_action: bool,
    /// When the authority is to be asked again.
    pub recheck_on: Option<NaiveDate>,
    /// What took its place.
    pub superseded_by: Option<CredentialId>,
    /// Whether it is usable at present, its dates aside: verified, in force, not on hold, and paying enough.
    pub in_force: bool,
    /// The soonest visit that rests on it, or on what it is to replace.
    pub next_visit_at: Option<DateTime<Utc>>,
    /// Other therapists' credentials with this number.
    pub duplicates: Vec<CredentialId>,
}

/// Everything about a credential.
#[derive(Debug, Serialize, ToSchema)]
pub struct CredentialFile {
    /// The credential as it stands.
    #[serde(flatten)]
    pub credential: ReviewedCredential,
    /// Who is taken to own the number: whoever handed it in first, or was found to be right.
    pub number_claimed_by: Option<TherapistId>,
    /// The files that show it, oldest first.
    pub documents: Vec<ReviewedDocument>,
    /// What sources said, newest first.
    pub checks: Vec<Verification>,
    /// Bars on its use, newest first.
    pub holds: Vec<Hold>,
    /// Every step of the review, oldest first.
    pub decisions: Vec<Decision>,
}

/// What a source said of a credential when someone looked.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Verification {
    /// The check's id.
    pub id: VerificationId,
    /// The credential's id.
    pub credential_id: CredentialId,
    /// Who looked; null where the system compared a roster.
    pub actor_id: Option<AccountId>,
    /// How it was looked up.
    pub method: CheckMethod,
    /// The authority, or the roster's code.
    pub source: String,
    /// Where it was read.
    pub source_url: Option<String>,
    /// The date that the source itself bears.
    pub source_date: Option<NaiveDate>,
    /// The holder's name as it stood there.
    pub name_found: Option<String>,
    /// The number as it stood there.
    pub number_found: Option<String>,
    /// The status in the source's own words.
    pub status_text: Option<String>,
    /// What those words mean.
    pub board_status: BoardStatus,
    /// The last day of validity as it stood there.
    pub expires_on: Option<NaiveDate>,
    /// Whether the authority acted against the holder.
    pub board_action: bool,
    /// How alike the names are, from 0 to 1.
    pub name_similarity: Option<f32>,
    /// When.
    pub at: DateTime<Utc>,
}

/// A bar on the use of a credential: while it is not lifted the credential is not usable.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Hold {
    /// The hold's id.
    pub id: CredentialHoldId,
    /// Why.
    pub reason_code: ReasonCode,
    /// In the words of whoever placed it.
    pub note: Option<String>,
    /// Who placed it; null where the system did.
    pub placed_by: Option<AccountId>,
    /// When.
    pub placed_at: DateTime<Utc>,
    /// Who lifted it.
    pub lifted_by: Option<AccountId>,
    /// When; null while it stands.
    pub lifted_at: Option<DateTime<Utc>>,
}

/// One step of a review, as it was taken.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Decision {
    /// The account that took it; null where the system did.
    pub actor_id: Option<AccountId>,
    /// The step.
    pub action: ReviewAction,
    /// Where the review stood.
    pub from_state: ReviewState,
    /// Where it went.
    pub to_state: ReviewState,
    /// Why.
    pub reason_codes: Vec<ReasonCode>,
    /// In the reviewer's words, for staff.
    pub note: Option<String>,
    /// In the reviewer's words, for the holder.
    pub message: Option<String>,
    /// How it was verified.
    pub method: Option<String>,
    /// Where the authority's record was read.
    pub source_url: Option<String>,
    /// The check that it rests on.
    pub verification_id: Option<VerificationId>,
    /// When.
    pub at: DateTime<Utc>,
}
