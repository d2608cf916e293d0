//! Care: whether a massage suits a person, how, and what comes first. Answers are facts, rules are data, and one pure function decides.
//!
//! The rules that come with the service are a start. They warn whoever runs it to have a clinician review them, as licences are reviewed.

mod admin;
pub mod answers;
pub mod body;
pub mod checks;
pub mod clearances;
pub mod consents;
pub mod consultations;
pub mod decide;
mod disclosures;
pub mod ends;
mod people;
pub mod personal;
pub mod published;
pub mod questions;
pub mod routes;
pub mod rules;
#[cfg(test)]
mod tests;
mod truth;
mod visits;

pub use admin::{RuleSetPreview, preview_rule_set};
use decide::PREGNANCY_DAYS;
pub use decide::{Asked, Clearance, Decision, Limits, Outcome, Rules, ServiceProfile, alternatives, decide};
pub use disclosures::record_look;
pub use people::{
    Introduced, Recipient, Relation, anew_since, cipher_of, guest_alone, introduce, is_accounts_own,
    is_accounts_own_today, keys_of, may_sign, person, person_entered, refuse_guests,
};
pub use published::{CareMode, RuleCache, asks_for_age};
pub use visits::{
    CareQuery, Standing, ToBegin, VisitCare, account_of_oneself, care_mode, is_recipient, limits_at_last,
    next_care_change, who_entered_oneself,
};

use crate::queue::Sweep;
use crate::seals::SealedTable;

/// What is deleted here in the end.
pub const SWEEPS: &[Sweep] = &[
    Sweep { name: "screening_drafts", run: |app, now| Box::pin(people::forget_drafts(app, now)) },
    Sweep { name: "care_invitations", run: |app, now| Box::pin(people::forget_invitations(app, now)) },
    Sweep { name: "clearances", run: |app, now| Box::pin(clearances::forget_clearances(app, now)) },
    // The last, so that what no row names goes in the same hour.
    Sweep { name: "letter_files", run: |app, now| Box::pin(clearances::forget_letters(app, now)) },
];

/// The tables that keep something sealed.
pub const SEALED: &[SealedTable] = &[people::SUBJECT_KEYS];
