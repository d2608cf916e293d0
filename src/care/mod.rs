//! Care: whether a massage suits a person, how, and what comes first. Answers are facts, rules are data, and one pure function decides.
//!
//! The rules that come with the service are a start. They warn whoever runs it to have a clinician review them, as licences are reviewed.

pub mod answers;
pub mod body;
pub mod checks;
pub mod decide;
pub mod questions;
pub mod rules;
#[cfg(test)]
mod tests;

use decide::PREGNANCY_DAYS;
pub use decide::{Asked, Clearance, Decision, Outcome, Rules, ServiceProfile, alternatives, decide};
