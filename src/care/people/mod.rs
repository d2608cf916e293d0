//! People whom visits are for, and what they answer. Whatever tells of a person is sealed under a key of that person's own.

mod answering;
mod drafts;
pub(super) mod facts;
mod introduced;
mod invitations;
mod keys;
pub(super) mod recipients;
mod screenings;
pub(super) mod store;
mod suitability;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

pub use answering::{anew_since, is_accounts_own, is_accounts_own_today, may_sign, person, person_entered};
pub(super) use drafts::DRAFT;
pub use drafts::forget_drafts;
pub use introduced::{Introduced, introduce};
pub use invitations::{forget_invitations, guest_alone, refuse_guests};
pub use keys::SUBJECT_KEYS;
pub(super) use recipients::PROFILE;
pub use recipients::{Recipient, Relation};
pub use recipients::{cipher_of, keys_of};
pub(super) use screenings::ANSWERS;

use crate::care::questions::{Catalogue, Questionnaire, is_code};
use crate::error::{Error, FieldError, Result};

pub(super) fn routes(config: &mut ServiceConfig) {
    recipients::routes(config);
    drafts::routes(config);
    screenings::routes(config);
    suitability::routes(config);
    invitations::routes(config);
}

/// A version of a questionnaire, by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct QuestionnaireRef {
    /// Its code.
    #[schema(example = "health")]
    code: String,
    /// Its version.
    #[schema(example = 1, minimum = 1)]
    version: i32,
}

/// The most questionnaires that are answered at once.
const MOST_AT_ONCE: usize = 10;

/// The most answers that are sent at once.
const MOST_ANSWERS: usize = 400;

/// Finds the questionnaires that are named among those that there are; pointers to those that are not there, or come twice.
fn named(refs: &[QuestionnaireRef], there: Vec<Questionnaire>) -> Result<Vec<Questionnaire>> {
    if !(1..=MOST_AT_ONCE).contains(&refs.len()) {
        return Err(FieldError::new("/questionnaires", "names 1 to 10 questionnaires.").into());
    }
    let mut wrong = Vec::new();
    for (i, one) in refs.iter().enumerate() {
        if !is_code(&one.code) || !there.iter().any(|known| known.code == one.code) {
            wrong.push(FieldError::new(format!("/questionnaires/{i}/code"), "is no questionnaire that is put."));
        } else if refs[..i].iter().any(|other| other.code == one.code) {
            wrong.push(FieldError::new(format!("/questionnaires/{i}/code"), "is named twice."));
        }
    }
    if !wrong.is_empty() {
        return Err(Error::Invalid(wrong));
    }
    Ok(there.into_iter().filter(|known| refs.iter().any(|one| one.code == known.code)).collect())
}

/// Refuses more answers than there are questions.
fn refuse_too_many(answers: &[crate::care::questions::GivenAnswer]) -> Result<()> {
    if answers.len() > MOST_ANSWERS {
        return Err(FieldError::new("/answers", "has at most 400 answers.").into());
    }
    Ok(())
}

/// The questions of these questionnaires.
fn catalogue(questionnaires: &[Questionnaire]) -> Catalogue<'_> {
    Catalogue::of(questionnaires)
}
