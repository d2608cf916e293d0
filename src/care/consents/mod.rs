//! Consents: what a person agrees to, in the words of a text, for a visit or for all of them. The latest word holds, by when it was said.

mod routes;
mod store;
mod texts;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::error::Result;
use crate::ids::{BookingId, ConsentTextId, RecipientId};
use crate::values::bounded_text;

pub use routes::{ConsentInPerson, ConsentView, NewConsent, create, create_by_guest, create_in_person};

pub(super) fn routes(config: &mut ServiceConfig) {
    texts::routes(config);
    routes::routes(config);
}

bounded_text! {
    /// A name that is typed as a signature.
    TypedName line 1..=120, example "Mia Chen";
}

/// The column of typed names, to which they are sealed.
pub(super) const NAME: &str = "consents.name";

/// What a person said to a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ConsentAnswer {
    /// Yes.
    Given,
    /// No.
    Refused,
    /// No longer.
    Withdrawn,
}

/// A word of a person, as far as its weight goes.
#[derive(Clone, Debug)]
struct Word {
    text: ConsentTextId,
    code: String,
    booking: Option<BookingId>,
    answer: ConsentAnswer,
    answered_at: DateTime<Utc>,
    recorded_at: DateTime<Utc>,
    /// Whether the therapist recorded it in the presence of whoever said it.
    in_person: bool,
    /// Whether it was said before the guest began anew.
    before_anew: bool,
}

/// A text as it is in force.
#[derive(Clone, Debug)]
struct InForce {
    id: ConsentTextId,
    code: String,
    each_visit: bool,
}

/// The codes of the texts that a person agrees to for a visit: those in force whose latest word is yes. An older word never counts against a later one,
/// however late it arrives; of two of one instant no is the later.
///
/// Who began anew may be someone else: of what was said before, a yes counts no more, and a no stands until the therapist has recorded a later yes in person.
fn agreed(texts: &[InForce], words: &[Word], visit: BookingId) -> BTreeSet<String> {
    let is_agreed = |text: &&InForce| {
        let about =
            words.iter().filter(|word| word.code == text.code && (!text.each_visit || word.booking == Some(visit)));
        let about: Vec<&Word> = about.collect();
        let rank = |word: &Word| (word.answered_at, word.answer != ConsentAnswer::Given, word.recorded_at);
        let is_yes = |word: &Word| word.answer == ConsentAnswer::Given;
        let is_lifted = |no: &Word| about.iter().any(|word| word.in_person && is_yes(word) && rank(word) > rank(no));
        if about.iter().any(|word| word.before_anew && !is_yes(word) && !is_lifted(word)) {
            return false;
        }
        let counting = about.iter().filter(|word| word.in_person || !word.before_anew);
        counting.max_by_key(|word| rank(word)).is_some_and(|last| is_yes(last) && last.text == text.id)
    };
    texts.iter().filter(is_agreed).map(|text| text.code.clone()).collect()
}

/// What a person agrees to for a visit, at `now`.
pub(super) async fn given(
    db: &mut PgConnection,
    recipient: RecipientId,
    visit: BookingId,
    now: DateTime<Utc>,
) -> Result<BTreeSet<String>> {
    let words = store::words(&mut *db, recipient).await?;
    if words.is_empty() {
        return Ok(BTreeSet::new());
    }
    Ok(agreed(&store::in_force(db, now).await?, &words, visit))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use uuid::Uuid;

    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    #[test]
    fn the_latest_word_holds_in_whatever_order_words_arrive() {
        use ConsentAnswer::{Given, Refused, Withdrawn};
        let (text, older) = (ConsentTextId::new(at(0)), ConsentTextId::new(at(1)));
        let (visit, other) = (BookingId(Uuid::now_v7()), BookingId(Uuid::now_v7()));
        let word = |text, answer, answered, recorded, booking| Word {
            text,
            code: "areas".to_owned(),
            booking,
            answer,
            answered_at: at(answered),
            recorded_at: at(recorded),
            in_person: false,
            before_anew: false,
        };
        let before = |word| Word { before_anew: true, ..word };
        let in_person = |word| Word { in_person: true, ..word };
        let here = Some(visit);
        for (each_visit, words, holds) in [
            (true, vec![], false),
            (true, vec![word(text, Given, 1, 1, here)], true),
            (true, vec![word(text, Given, 1, 1, Some(other))], false),
            (true, vec![word(text, Given, 1, 1, None)], false),
            (false, vec![word(text, Given, 1, 1, None)], true),
            (true, vec![word(text, Given, 1, 1, here), word(text, Withdrawn, 2, 2, here)], false),
            // What was said before the withdrawal arrives after it.
            (true, vec![word(text, Withdrawn, 2, 2, here), word(text, Given, 1, 9, here)], false),
            (true, vec![word(text, Withdrawn, 2, 2, here), word(text, Given, 3, 3, here)], true),
            (true, vec![word(text, Given, 2, 2, here), word(text, Refused, 2, 1, here)], false),
            (true, vec![word(older, Given, 5, 5, here)], false),
            // Who began anew may be someone else.
            (true, vec![before(word(text, Given, 1, 1, here))], false),
            (true, vec![before(word(text, Given, 1, 1, here)), word(text, Given, 2, 2, here)], true),
            (true, vec![before(word(text, Refused, 1, 1, here)), word(text, Given, 2, 2, here)], false),
            (true, vec![before(word(text, Withdrawn, 1, 1, here)), before(word(text, Given, 2, 2, here))], false),
            (true, vec![before(word(text, Refused, 1, 1, here)), in_person(word(text, Given, 2, 2, here))], true),
            (true, vec![in_person(word(text, Given, 1, 1, here)), before(word(text, Refused, 2, 2, here))], false),
            (true, vec![in_person(word(text, Given, 1, 1, here)), word(text, Refused, 2, 2, here)], false),
            (true, vec![before(in_person(word(text, Given, 1, 1, here)))], true),
        ] {
            let texts = [InForce { id: text, code: "areas".to_owned(), each_visit }];
            assert_eq!(!agreed(&texts, &words, visit).is_empty(), holds, "{words:?}");
            let turned: Vec<Word> = words.into_iter().rev().collect();
            assert_eq!(!agreed(&texts, &turned, visit).is_empty(), holds, "{turned:?}");
        }
    }
}
