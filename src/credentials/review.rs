//! The review of a credential: one table of what leads where, and who may do it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{Bearings, Error, Refusal, Result};
use crate::events::Party;
use crate::values::name;

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

impl ReviewState {
    /// All of them.
    pub(super) const ALL: [Self; 11] = [
        Self::Draft,
        Self::Submitted,
        Self::InReview,
        Self::InfoRequested,
        Self::PendingSecond,
        Self::Verified,
        Self::Rejected,
        Self::Suspended,
        Self::Revoked,
        Self::Withdrawn,
        Self::Superseded,
    ];
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
    /// The therapist takes up again what was rejected.
    Reopen,
    /// The therapist changes what was verified.
    Edit,
    /// An admin takes it up.
    Claim,
    /// An admin puts it back.
    Release,
    /// An admin verifies it, and another one must agree.
    Approve,
    /// It is verified.
    Verify,
    /// An admin rejects it.
    Reject,
    /// An admin asks for more.
    RequestInfo,
    /// It is put out of force for a time.
    Suspend,
    /// It is in force again, after a fresh verification.
    Reinstate,
    /// It is put out of force for good.
    Revoke,
    /// Its renewal takes its place.
    Supersede,
    /// A roster's import is taken back, and with it what followed.
    RollBack,
}

/// Who takes a step of a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reviewer {
    /// Whose credential it is.
    Therapist,
    /// Staff.
    Admin,
    /// Staff, holding the claim.
    ClaimHolder,
    /// Staff, and not whoever approved first.
    SecondAdmin,
    /// The service itself.
    System,
}

type Row = (ReviewState, ReviewAction, Reviewer, ReviewState);

/// What leads where: from, step, who takes it, to. Steps that are not listed do not exist.
pub const TABLE: &[Row] = {
    use ReviewAction as A;
    use ReviewState as S;
    use Reviewer::{Admin, ClaimHolder, SecondAdmin, System, Therapist};
    &[
        (S::Draft, A::Submit, Therapist, S::Submitted),
        (S::InfoRequested, A::Submit, Therapist, S::Submitted),
        (S::Draft, A::Withdraw, Therapist, S::Withdrawn),
        (S::Submitted, A::Withdraw, Therapist, S::Withdrawn),
        (S::InReview, A::Withdraw, Therapist, S::Withdrawn),
        (S::InfoRequested, A::Withdraw, Therapist, S::Withdrawn),
        (S::PendingSecond, A::Withdraw, Therapist, S::Withdrawn),
        (S::Rejected, A::Reopen, Therapist, S::Draft),
        (S::Verified, A::Edit, Therapist, S::Submitted),
        (S::Submitted, A::Claim, Admin, S::InReview),
        // A lapsed claim leaves its credential in review: another admin may take it up.
        (S::InReview, A::Claim, Admin, S::InReview),
        (S::InReview, A::Release, ClaimHolder, S::Submitted),
        // Whoever does not agree with the first approval puts the credential back, to be reviewed anew.
        (S::PendingSecond, A::Release, Admin, S::Submitted),
        (S::InReview, A::Verify, ClaimHolder, S::Verified),
        (S::InReview, A::Approve, ClaimHolder, S::PendingSecond),
        (S::PendingSecond, A::Verify, SecondAdmin, S::Verified),
        (S::Submitted, A::Verify, System, S::Verified),
        (S::InReview, A::Reject, ClaimHolder, S::Rejected),
        (S::InReview, A::RequestInfo, ClaimHolder, S::InfoRequested),
        (S::Verified, A::Suspend, Admin, S::Suspended),
        (S::Verified, A::Suspend, System, S::Suspended),
        (S::Suspended, A::Reinstate, Admin, S::Verified),
        (S::Draft, A::Revoke, Admin, S::Revoked),
        (S::Submitted, A::Revoke, Admin, S::Revoked),
        (S::InReview, A::Revoke, Admin, S::Revoked),
        (S::InfoRequested, A::Revoke, Admin, S::Revoked),
        (S::PendingSecond, A::Revoke, Admin, S::Revoked),
        (S::Verified, A::Revoke, Admin, S::Revoked),
        (S::Suspended, A::Revoke, Admin, S::Revoked),
        (S::Verified, A::Supersede, System, S::Superseded),
        (S::Verified, A::RollBack, System, S::Submitted),
        (S::Suspended, A::RollBack, System, S::Verified),
        (S::Superseded, A::RollBack, System, S::Verified),
    ]
};

impl ReviewState {
    /// Whether no step of staff leads on: a roll-back may bring back what it ended, and the holder what was rejected.
    pub fn has_ended(self) -> bool {
        let brings_back = |action| matches!(action, ReviewAction::RollBack | ReviewAction::Reopen);
        TABLE.iter().all(|row| row.0 != self || brings_back(row.1))
    }

    /// Whether a credential that stands here claims its number: it was handed in, and not taken back or turned down.
    pub fn claims(self) -> bool {
        !matches!(self, Self::Draft | Self::Withdrawn | Self::Rejected | Self::Revoked)
    }

    /// The refusal of a step, with what `party` may do instead.
    pub fn bearings(self, error: Error, party: Party) -> Error {
        let Error::Refused(refusal) = error else { return error };
        let rows = TABLE.iter().filter(|row| row.0 == self && row.2.may_be(party));
        let allowed = rows.map(|row| name(&row.1)).collect();
        Error::RefusedStep(refusal, Box::new(Bearings { not_before: None, state: name(&self), allowed }))
    }

    /// Where `action` leads from here, and what whoever takes it must be.
    ///
    /// # Errors
    /// `invalid_transition` where `party` may not take it: the therapist, an admin of any kind, or the system.
    pub fn after(self, action: ReviewAction, party: Party) -> Result<(Self, Reviewer)> {
        let row = TABLE.iter().find(|row| row.0 == self && row.1 == action && row.2.may_be(party));
        row.map(|row| (row.3, row.2)).ok_or_else(|| Refusal::InvalidTransition.into())
    }
}

impl ReviewAction {
    /// Whether it decides on a credential, which its holder is told.
    pub fn is_decision(self) -> bool {
        use ReviewAction::{Reinstate, Reject, RequestInfo, Revoke, RollBack, Suspend, Verify};
        matches!(self, Verify | Reject | RequestInfo | Suspend | Reinstate | Revoke | RollBack)
    }
}

impl Reviewer {
    /// Whether `party` may be this reviewer.
    fn may_be(self, party: Party) -> bool {
        match self {
            Reviewer::Therapist => party == Party::Therapist,
            Reviewer::Admin | Reviewer::ClaimHolder | Reviewer::SecondAdmin => party == Party::Admin,
            Reviewer::System => party == Party::System,
        }
    }
}

/// The table in Markdown, for the documentation.
pub fn markdown() -> String {
    let rows = TABLE
        .iter()
        .map(|(from, action, by, to)| format!("| {} | {} | {} | {} |\n", name(from), name(action), name(by), name(to)));
    format!("| from | step | by | to |\n|---|---|---|---|\n{}", rows.collect::<String>())
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

    /// Whether a credential may be verified all the same, if two admins agree.
    pub fn may_be_overridden(self) -> bool {
        matches!(self, Self::NameMismatch | Self::DuplicateClaim | Self::DisciplinaryAction)
    }
}

/// What an approval by the holder of the claim amounts to: `Verify`, or `Approve` where another admin must agree, because
/// the type is always seen by `four_eyes` or because something is overridden. `against` is what was found against it.
///
/// # Errors
/// `duplicate_claim` or `override_not_stated` where the reviewer does not name what was found.
pub fn approval(stated: &[ReasonCode], against: &[ReasonCode], four_eyes: bool) -> Result<ReviewAction> {
    match against.iter().find(|concern| !stated.contains(concern)) {
        Some(ReasonCode::DuplicateClaim) => return Err(Refusal::DuplicateClaim.into()),
        Some(_) => return Err(Refusal::OverrideNotStated.into()),
        None => {}
    }
    let overrides = stated.iter().any(|code| code.may_be_overridden());
    Ok(if four_eyes || overrides { ReviewAction::Approve } else { ReviewAction::Verify })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn what_has_ended_stays_ended() {
        use ReviewState::{Rejected, Revoked, Superseded, Withdrawn};
        for row in TABLE {
            let rolls_back = row.0 == Superseded && row.1 == ReviewAction::RollBack;
            let reopens = row.0 == Rejected && row.1 == ReviewAction::Reopen;
            let comes_back = rolls_back || reopens;
            assert!(comes_back || ![Rejected, Revoked, Superseded, Withdrawn].contains(&row.0), "{row:?}");
            assert_eq!(row.0.has_ended(), comes_back, "{row:?}");
        }
    }

    #[test]
    fn every_step_of_a_party_leads_to_one_place() {
        let mut seen = HashSet::new();
        for (from, action, reviewer, _) in TABLE {
            let parties = [Party::Therapist, Party::Admin, Party::System];
            for party in parties.into_iter().filter(|party| reviewer.may_be(*party)) {
                assert!(seen.insert((*from, *action, format!("{party:?}"))), "{from:?} {action:?} {party:?}");
            }
        }
    }

    #[test]
    fn whatever_has_not_ended_can_be_revoked_and_nothing_returns_from_it() {
        use ReviewState as S;
        let live = [S::Draft, S::Submitted, S::InReview, S::InfoRequested, S::PendingSecond, S::Verified, S::Suspended];
        for state in live {
            assert_eq!(state.after(ReviewAction::Revoke, Party::Admin).map(|(to, _)| to).ok(), Some(S::Revoked));
            assert!(state.after(ReviewAction::Revoke, Party::Therapist).is_err());
            assert!(state.after(ReviewAction::Revoke, Party::System).is_err());
        }
    }

    #[test]
    fn the_system_verifies_what_nobody_reviews() {
        use ReviewState as S;
        let states = [S::Draft, S::InReview, S::InfoRequested, S::PendingSecond, S::Suspended, S::Revoked, S::Rejected];
        for state in states {
            assert!(state.after(ReviewAction::Verify, Party::System).is_err(), "{state:?}");
        }
        assert!(S::Submitted.after(ReviewAction::Verify, Party::System).is_ok());
    }

    #[test]
    fn what_is_overridden_is_named_and_takes_two() {
        use ReasonCode::{DisciplinaryAction, DuplicateClaim, NameMismatch, VerifiedPrimarySource};
        let plain = [VerifiedPrimarySource];
        assert_eq!(approval(&plain, &[], false).ok(), Some(ReviewAction::Verify));
        assert_eq!(approval(&plain, &[], true).ok(), Some(ReviewAction::Approve));
        for concern in [DisciplinaryAction, DuplicateClaim, NameMismatch] {
            assert!(approval(&plain, &[concern], false).is_err(), "{concern:?}");
            assert!(approval(&plain, &[concern], true).is_err(), "{concern:?}");
            let named = [VerifiedPrimarySource, concern];
            assert_eq!(approval(&named, &[concern], false).ok(), Some(ReviewAction::Approve), "{concern:?}");
            assert!(approval(&named, &[DisciplinaryAction, DuplicateClaim, NameMismatch], false).is_err());
        }
    }
}
