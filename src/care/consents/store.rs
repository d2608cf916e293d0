use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, PgPool};

use super::routes::StoredConsent;
use super::texts::ConsentText;
use super::{ConsentAnswer, InForce, Word};
use crate::cipher::Sealed;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{AccountId, BookingId, ConsentId, ConsentTextId, RecipientId};

/// What a person said to texts.
pub(super) async fn words<'c>(db: impl PgExecutor<'c>, recipient: RecipientId) -> Result<Vec<Word>> {
    let words = sqlx::query_as!(
        Word,
        r#"SELECT text_id AS "text: ConsentTextId", code, booking_id AS "booking: BookingId", answer AS "answer: ConsentAnswer", answered_at, recorded_at, in_person,
                  recorded_at < coalesce((SELECT anew_since FROM recipients WHERE recipients.id = $1), '-infinity') AS "before_anew!"
           FROM consents JOIN consent_texts ON consent_texts.id = text_id
           WHERE recipient_id = $1"#,
        recipient.0
    )
    .fetch_all(db)
    .await?;
    Ok(words)
}

/// The texts that are in force at `at`.
pub(super) async fn in_force<'c>(db: impl PgExecutor<'c>, at: DateTime<Utc>) -> Result<Vec<InForce>> {
    let texts = sqlx::query_as!(
        InForce,
        r#"SELECT DISTINCT ON (code) id AS "id: ConsentTextId", code, each_visit FROM consent_texts
           WHERE effective_from <= $1 AND withdrawn_at IS NULL ORDER BY code, effective_from DESC, version DESC"#,
        at
    )
    .fetch_all(db)
    .await?;
    Ok(texts)
}

/// The columns of a text, read alike everywhere.
macro_rules! texts {
    ($tail:literal $(, $arg:expr)*) => {
        sqlx::query_as!(
            ConsentText,
            r#"SELECT id AS "id: ConsentTextId", code, version, title, body, each_visit, effective_from, created_at, created_by AS "created_by: AccountId", withdrawn_at
               FROM consent_texts "# + $tail
            $(, $arg)*
        )
    };
}

pub(super) async fn texts(db: &PgPool, after: Option<(String, i32)>, count: i64) -> Result<Vec<ConsentText>> {
    let (code, version) = after.unzip();
    let found = texts!(
        "WHERE $1::text IS NULL OR (code, version) > ($1, $2::integer) ORDER BY code, version LIMIT $3",
        code,
        version,
        count
    );
    Ok(found.fetch_all(db).await?)
}

/// Whole, those that are in force at `at`, by code.
pub(super) async fn texts_in_force<'c>(db: impl PgExecutor<'c>, at: DateTime<Utc>) -> Result<Vec<ConsentText>> {
    let found = texts!(
        "WHERE id IN (SELECT DISTINCT ON (code) id FROM consent_texts WHERE effective_from <= $1 AND withdrawn_at IS NULL
                      ORDER BY code, effective_from DESC, version DESC) ORDER BY code",
        at
    );
    Ok(found.fetch_all(db).await?)
}

pub(super) async fn text<'c>(db: impl PgExecutor<'c>, id: ConsentTextId) -> Result<Option<ConsentText>> {
    Ok(texts!("WHERE id = $1", id.0).fetch_optional(db).await?)
}

/// The number of the latest version of a text, and when the last takes effect that was not withdrawn.
pub(super) async fn latest_text(tx: &mut Tx, code: &str) -> Result<(i32, Option<DateTime<Utc>>)> {
    let latest = sqlx::query!(
        r#"SELECT coalesce(max(version), 0) AS "version!", max(effective_from) FILTER (WHERE withdrawn_at IS NULL) AS effective_from
           FROM consent_texts WHERE code = $1"#,
        code
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok((latest.version, latest.effective_from))
}

pub(super) async fn insert_text(tx: &mut Tx, text: &ConsentText) -> Result<()> {
    sqlx::query!(
        "INSERT INTO consent_texts (id, code, version, title, body, each_visit, effective_from, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        text.id.0,
        text.code,
        text.version,
        text.title,
        text.body,
        text.each_visit,
        text.effective_from,
        text.created_at,
        text.created_by.map(|admin| admin.0),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn withdraw_text(tx: &mut Tx, id: ConsentTextId, by: AccountId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("UPDATE consent_texts SET withdrawn_at = $2, withdrawn_by = $3 WHERE id = $1", id.0, now, by.0)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The columns of a consent, read alike everywhere.
macro_rules! consents {
    ($tail:literal, $($arg:expr),+) => {
        sqlx::query_as!(
            StoredConsent,
            r#"SELECT consents.id AS "id: ConsentId", text_id AS "text_id: ConsentTextId", code, version, booking_id AS "booking_id: BookingId", answer AS "answer: ConsentAnswer",
                      name_sealed AS "name: Sealed", answered_at, recorded_at, in_person
               FROM consents JOIN consent_texts ON consent_texts.id = text_id
               WHERE recipient_id = $1 AND recorded_at >= coalesce((SELECT anew_since FROM recipients WHERE recipients.id = $1), '-infinity') "# + $tail,
            $($arg),+
        )
    };
}

/// What a person said, the latest record first, from before `before`.
pub(super) async fn consents(
    db: &PgPool,
    recipient: RecipientId,
    before: Option<ConsentId>,
    count: i64,
) -> Result<Vec<StoredConsent>> {
    let found = consents!(
        "AND ($2::uuid IS NULL OR consents.id < $2) ORDER BY consents.id DESC LIMIT $3",
        recipient.0,
        before.map(|id| id.0),
        count
    );
    Ok(found.fetch_all(db).await?)
}

pub(super) async fn consent(tx: &mut Tx, recipient: RecipientId, id: ConsentId) -> Result<Option<StoredConsent>> {
    Ok(consents!("AND consents.id = $2", recipient.0, id.0).fetch_optional(&mut **tx).await?)
}

/// How many words of a person were recorded since.
pub(super) async fn count_since(tx: &mut Tx, recipient: RecipientId, since: DateTime<Utc>) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM consents WHERE recipient_id = $1 AND recorded_at > $2"#,
        recipient.0,
        since
    );
    Ok(count.fetch_one(&mut **tx).await?)
}

pub(super) async fn insert(tx: &mut Tx, recipient: RecipientId, consent: &StoredConsent) -> Result<()> {
    sqlx::query!(
        "INSERT INTO consents (id, recipient_id, text_id, booking_id, answer, name_sealed, answered_at, recorded_at, in_person)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        consent.id.0,
        recipient.0,
        consent.text_id.0,
        consent.booking_id.map(|booking| booking.0),
        consent.answer as ConsentAnswer,
        &consent.name as &Sealed,
        consent.answered_at,
        consent.recorded_at,
        consent.in_person,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
