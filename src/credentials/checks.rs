//! What a source said of a credential, and what follows from it.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::BoardStatus;
use super::review::{ReasonCode, ReviewState};
use super::views::Verification;
use crate::ids::VerificationId;

/// How a credential was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum CheckMethod {
    /// A person read the authority's own record.
    PrimarySource,
    /// A person read the document.
    Document,
    /// The system compared the authority's list.
    Roster,
}

/// What a source said of a credential when someone looked.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Found {
    /// How it was looked up.
    pub method: CheckMethod,
    /// The authority, or the roster's code.
    pub source: String,
    /// Where it was read.
    pub source_url: Option<String>,
    /// The date that the source itself bears.
    pub source_date: Option<NaiveDate>,
    /// The holder's name as it stands there.
    pub name: Option<String>,
    /// The number as it stands there.
    pub number: Option<String>,
    /// The status in the source's own words.
    pub status_text: Option<String>,
    /// What those words mean.
    pub board_status: BoardStatus,
    /// The last day of its validity as it stands there.
    pub expires_on: Option<NaiveDate>,
    /// Whether the authority acted against the holder.
    pub board_action: bool,
    /// How alike the names are, from 0 to 1.
    pub name_similarity: Option<f32>,
}

impl Found {
    /// What stands against verifying a credential of which this was found. A person may know better: then two must agree.
    pub fn concerns(&self) -> impl Iterator<Item = ReasonCode> {
        concerns(self.name_similarity, self.board_action)
    }
}

impl Verification {
    /// As [`Found::concerns`].
    pub fn concerns(&self) -> impl Iterator<Item = ReasonCode> {
        concerns(self.name_similarity, self.board_action)
    }
}

/// Names that are at least so alike are taken to be one person's.
pub const SAME_NAME: f64 = 0.92;

fn concerns(name_similarity: Option<f32>, board_action: bool) -> impl Iterator<Item = ReasonCode> {
    let other_name = name_similarity.is_some_and(|alike| alike < SAME_NAME as f32).then_some(ReasonCode::NameMismatch);
    other_name.into_iter().chain(board_action.then_some(ReasonCode::DisciplinaryAction))
}

/// What rows of a roster mean for a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The one clean case: one row with the same number, type and jurisdiction and all but the same name, active,
    /// unexpired, without board action, from a fresh source. Whether another therapist claims the number is for the
    /// credential's own side to see.
    Clean,
    /// The authority does not let the holder practise any more.
    Adverse {
        /// Why, as a decision gives it.
        reasons: Vec<ReasonCode>,
    },
    /// For a person to look at; never a reason to reject by itself.
    Unclear {
        /// What is the matter.
        reasons: Vec<ReasonCode>,
    },
}

/// What a check may change of a credential, as it was or is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Facts {
    /// Where the review stands.
    pub review_state: ReviewState,
    /// What the authority says.
    pub board_status: BoardStatus,
    /// Whether the authority acted against the holder.
    pub board_action: bool,
    /// The first day of validity.
    #[serde(default)]
    pub issued_on: Option<NaiveDate>,
    /// The last day of validity.
    pub expires_on: Option<NaiveDate>,
    /// When the authority is to be asked again.
    #[serde(default)]
    pub recheck_on: Option<NaiveDate>,
    /// The verification that it rests on.
    pub verification: Option<VerificationId>,
}

/// What a check changed of a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Before.
    pub before: Facts,
    /// After.
    pub after: Facts,
}

impl Change {
    /// Whether anything is other than before, but for which check it rests on and when the next one is due.
    pub fn is_real(&self) -> bool {
        let plain = |facts: &Facts| Facts { verification: None, recheck_on: None, ..facts.clone() };
        plain(&self.before) != plain(&self.after)
    }
}
