//! What is known of a person: the latest answers to every questionnaire.

use chrono::NaiveDate;
use sqlx::PgConnection;

use super::recipients::Recipient;
use super::screenings::ANSWERS;
use super::store;
use crate::care::answers::{Answer, Facts};
use crate::care::published;
use crate::care::questions::{GivenAnswer, Questionnaire};
use crate::error::{Error, Result};
use crate::ids::RecipientId;

/// Facts about a recipient, of answers that count for `usual_days` where their question says nothing else.
pub(super) async fn of(conn: &mut PgConnection, recipient: &Recipient, usual_days: i32) -> Result<Facts> {
    let mut facts = Facts::default();
    // The latest of a questionnaire comes last, and takes the place of those before it.
    for screening in store::latest_screenings(&mut *conn, recipient.id).await? {
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
    Ok(facts)
}

/// Reads answers that were read before: that they do not fit is our own fault.
fn read(questionnaires: &[Questionnaire], given: &[GivenAnswer], on: NaiveDate) -> Result<Vec<Answer>> {
    let answers = super::catalogue(questionnaires).read(given, "/answers", on);
    answers.map_err(|_| Error::Internal("answers do not fit the questions that they were given to".to_owned()))
}

/// Which version of each questionnaire was answered last, and on which day.
pub(super) async fn answered(conn: &mut PgConnection, recipient: RecipientId) -> Result<Vec<(String, i32, NaiveDate)>> {
    let mut latest: Vec<(String, i32, NaiveDate)> = Vec::new();
    for screening in store::latest_screenings(&mut *conn, recipient).await? {
        for one in screening.questionnaires.0 {
            latest.retain(|(code, ..)| *code != one.code);
            latest.push((one.code, one.version, screening.given_on));
        }
    }
    Ok(latest)
}
