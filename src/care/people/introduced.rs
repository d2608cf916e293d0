//! People with answers, as the demo city has them.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;
use sqlx::types::Json as Kept;

use super::recipients::{PROFILE, Profile, Relation, StoredRecipient};
use super::screenings::ANSWERS;
use super::{QuestionnaireRef, keys, store};
use crate::care::published;
use crate::care::questions::{GivenAnswer, Purpose, Question, QuestionType};
use crate::cipher::Cipher;
use crate::error::Result;
use crate::ids::{AccountId, RecipientId, ScreeningId};

/// Somebody whom an account books for.
pub struct Introduced<'a> {
    /// Who they are to the account.
    pub relation: Relation,
    /// Their name; none for the account's holder.
    pub display_name: Option<&'a str>,
    /// When they were born.
    pub born_on: Option<NaiveDate>,
    /// What they answer about their health otherwise than whoever is well.
    pub answers: Value,
}

/// Adds a recipient of an account, who has answered the questions about health on `today`.
pub async fn introduce(
    db: &mut PgConnection,
    cipher: &Cipher,
    account: AccountId,
    who: Introduced<'_>,
    (today, now): (NaiveDate, DateTime<Utc>),
) -> Result<RecipientId> {
    let id = RecipientId::new(now);
    let (own, key) = keys::generate(cipher, id)?;
    let profile = Profile { display_name: who.display_name.map(str::to_owned), born_on: who.born_on };
    let profile = own.seal_value(PROFILE, id, &profile)?;
    let recipient = StoredRecipient {
        id,
        account,
        relation: who.relation,
        profile,
        key,
        created_at: now,
        is_cleared: false,
        answers_alone: false,
    };
    store::insert(&mut *db, &recipient).await?;
    let put = published::questionnaires(&mut *db, now).await?.into_iter().map(|(one, _)| one);
    for health in put.filter(|one| one.purpose == Purpose::Health) {
        let answers: Vec<GivenAnswer> =
            health.questions.iter().filter_map(|question| answer(question, &who.answers)).collect();
        let screening = ScreeningId::new(now);
        let kept = store::StoredScreening {
            id: screening,
            number: 1,
            questionnaires: Kept(vec![QuestionnaireRef { code: health.code, version: health.version }]),
            answers: own.seal_value(ANSWERS, screening, &answers)?,
            given_on: today,
            created_at: now,
        };
        store::insert_screening(&mut *db, id, &kept).await?;
    }
    Ok(id)
}

/// What is answered to a question: as is said, or else that nothing is the matter; none where it is not put.
fn answer(question: &Question, said: &Value) -> Option<GivenAnswer> {
    let first = || question.options.first().map(|option| &option.code);
    let well = || match question.kind {
        _ if !question.required || question.enabled_when.is_some() => None,
        // The one question to which no is the odd answer: whether a provider may be asked.
        QuestionType::YesNo => Some(json!(question.code == "contacts_provider")),
        QuestionType::Choice => first().map(|code| json!(code)),
        QuestionType::Choices => first().map(|code| json!([code])),
        _ => None,
    };
    let value = said.get(&question.code).cloned().or_else(well)?;
    Some(GivenAnswer { question: question.code.clone(), value: Some(value), unknown: false, declined: false })
}
