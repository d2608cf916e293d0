//! The review of a credential: one table of what leads where, and who may do it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{Refusal, Result};

/// Where a review stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ReviewState {
    /// Entered and not yet submitted.
    Draft,
    /// Waiting for an admin.
    Submitted,
    /// Claimed by an admin.
    InReview,
    /// Waiting for the therapist to add something.
    InfoRequested,
    /// Waiting for a second admin.
    PendingSecond,
    /// Verified.
    Verified,
    /// Rejected.
    Rejected,
    /// Verified once, on hold.
    Suspended,
    /// Verified once, taken away for good.
    Revoked,
    /// Taken back by the therapist before a decision.
    Withdrawn,
    /// Replaced by its renewal.
    Superseded,
}

/// A step of a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ReviewAction {
    /// The therapist hands it in.
    Submit,
    /// The therapist takes it back.
    Withdraw,
    /// The therapist changes what was verified.
    Edit,
    /// An admin takes it up.
    Claim,
    /// The admin puts it back.
    Release,
    /// The admin verifies it.
    Verify,
    /// The admin rejects it.
    Reject,
    /// The admin asks for more.
    RequestInfo,
}

impl ReviewAction {
    /// Whether only the admin who holds the claim may do it.
    pub fn needs_claim(self) -> bool {
        matches!(self, Self::Release | Self::Verify | Self::Reject | Self::RequestInfo)
    }
}

impl ReviewState {
    /// Where `action` leads from here.
    ///
    /// # Errors
    /// `invalid_transition` where it leads nowhere.
    pub fn after(self, action: ReviewAction) -> Result<Self> {
        use ReviewAction as A;
        use ReviewState as S;
        Ok(match (self, action) {
            (S::Draft | S::InfoRequested, A::Submit) => S::Submitted,
            (S::Draft | S::Submitted | S::InReview | S::InfoRequested, A::Withdraw) => S::Withdrawn,
            (S::Verified, A::Edit) => S::Submitted,
            // A lapsed claim leaves its credential in review: another admin may take it up.
            (S::Submitted | S::InReview, A::Claim) => S::InReview,
            (S::InReview, A::Release) => S::Submitted,
            (S::InReview, A::Verify) => S::Verified,
            (S::InReview, A::Reject) => S::Rejected,
            (S::InReview, A::RequestInfo) => S::InfoRequested,
            _ => return Err(Refusal::InvalidTransition.into()),
        })
    }
}

/// Why an admin decided as they did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ReasonCode {
    /// The authority's own record says so.
    VerifiedPrimarySource,
    /// The document says so.
    VerifiedDocumentOnly,
    /// The name differs.
    NameMismatch,
    /// The authority knows no such number.
    NumberNotFound,
    /// It is another kind of credential.
    WrongType,
    /// It is another place's.
    WrongJurisdiction,
    /// The number is an establishment's.
    EstablishmentNumber,
    /// It has ended.
    Expired,
    /// It gives no right to practise.
    Inactive,
    /// The authority acted against the holder.
    DisciplinaryAction,
    /// Someone else holds the number.
    DuplicateClaim,
    /// It cannot be read.
    Illegible,
    /// It looks forged.
    SuspectedForgery,
    /// The cover is too low.
    InsuranceBelowMinimum,
    /// The source is too old.
    StaleSource,
}

impl ReasonCode {
    /// Whether it records how a credential was verified.
    pub fn records_verification(self) -> bool {
        matches!(self, Self::VerifiedPrimarySource | Self::VerifiedDocumentOnly)
    }
}
