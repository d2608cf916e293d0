//! What is known of a person: the latest answers to every questionnaire.

use chrono::NaiveDate;
use sqlx::PgConnection;

use super::QuestionnaireRef;
use super::recipients::Recipient;
use super::screenings::ANSWERS;
use super::store;
use crate::care::answers::{Answer, Facts};
use crate::care::decide::Clearance;
use crate::care::questions::{GivenAnswer, Questionnaire};
use crate::care::{clearances, published};
use crate::error::{Error, Result};
use crate::ids::RecipientId;

/// What a person has answered.
#[derive(Default)]
pub struct Told {
    /// What follows of it.
    pub facts: Facts,
    /// Which version of each questionnaire was answered last.
    pub answered: Vec<Answered>,
    /// What healthcare providers said, where it was accepted.
    pub clearances: Vec<Clearance>,
}

/// The last answers to a questionnaire.
pub struct Answered {
    /// Its code.
    pub code: String,
    /// The version that was answered.
    pub version: i32,
    /// The date, where the client lives.
    pub on: NaiveDate,
}

/// Notes what a screening answers, in the place of what was answered before.
fn note(answered: &mut Vec<Answered>, questionnaires: &[QuestionnaireRef], on: NaiveDate) {
    for one in questionnaires {
        answered.retain(|known| known.code != one.code);
        answered.push(Answered { code: one.code.clone(), version: one.version, on });
    }
}

/// What a recipient has answered; answers count for `usual_days` where their question says nothing else.
pub async fn of(conn: &mut PgConnection, recipient: &Recipient, usual_days: i32) -> Result<Told> {
    let (mut facts, mut answered) = (Facts::default(), Vec::new());
    // The latest of a questionnaire comes last, and takes the place of those before it.
    for screening in store::latest_screenings(&mut *conn, recipient.id).await? {
        note(&mut answered, &screening.questionnaires.0, screening.given_on);
        let given: Vec<GivenAnswer> = recipient.cipher.open_value(ANSWERS, screening.id, &screening.answers)?;
        let mut questionnaires = Vec::new();
        for one in &screening.questionnaires.0 {
            let found = published::questionnaire(&mut *conn, &one.code, one.version).await?;
            questionnaires.push(found.ok_or_else(|| Error::Internal(format!("{} is not there any more", one.code)))?);
        }
        let answers = read(&questionnaires, &given, screening.given_on)?;
        let catalogue = super::catalogue(&questionnaires);
        for (question, fact) in catalogue.facts(&answers, screening.given_on, usual_days).iter() {
            facts.put(question, fact.known.clone(), fact.expires_on);
        }
    }
    if let Some(born) = recipient.born_on {
        facts.born_on(born);
    }
    let clearances = match recipient.is_cleared {
        true => clearances::accepted(conn, recipient).await?,
        false => Vec::new(),
    };
    Ok(Told { facts, answered, clearances })
}

/// Reads answers that were read before: that they do not fit is our own fault.
fn read(questionnaires: &[Questionnaire], given: &[GivenAnswer], on: NaiveDate) -> Result<Vec<Answer>> {
    let answers = super::catalogue(questionnaires).read(given, "/answers", on);
    answers.map_err(|_| Error::Internal("answers do not fit the questions that they were given to".to_owned()))
}

/// Which version of each questionnaire was answered last, and on which day.
pub(super) async fn answered(conn: &mut PgConnection, recipient: RecipientId) -> Result<Vec<Answered>> {
    let mut answered = Vec::new();
    for screening in store::latest_screenings(&mut *conn, recipient).await? {
        note(&mut answered, &screening.questionnaires.0, screening.given_on);
    }
    Ok(answered)
}
