use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use super::review::QueuedClearance;
use super::{ClearanceState, TERMS, Terms};
use crate::care::decide::Clearance;
use crate::care::people::recipients::Recipient;
use crate::cipher::Sealed;
use crate::db::{BATCH, Tx};
use crate::error::Result;
use crate::events::Work;
use crate::ids::{AccountId, ClearanceId, LetterId, RecipientId};

/// A clearance as it is kept.
pub(super) struct StoredClearance {
    pub id: ClearanceId,
    pub state: ClearanceState,
    pub terms: Sealed,
    pub message: Option<Sealed>,
    pub created_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
    pub submitted_at: Option<DateTime<Utc>>,
    pub claimed_by: Option<AccountId>,
    pub claimed_until: Option<DateTime<Utc>>,
    pub decided_by: Option<AccountId>,
    pub decided_at: Option<DateTime<Utc>>,
}

/// One of a person's, locked: the sweep must not take it from under whoever goes on with it.
pub(super) async fn find(tx: &mut Tx, recipient: RecipientId, id: ClearanceId) -> Result<Option<StoredClearance>> {
    let found = sqlx::query_as!(
        StoredClearance,
        r#"SELECT id AS "id: ClearanceId", state AS "state: ClearanceState", terms_sealed AS "terms: Sealed", message_sealed AS "message: Sealed", created_at, changed_at,
                  submitted_at, claimed_by AS "claimed_by: AccountId", claimed_until, decided_by AS "decided_by: AccountId", decided_at
           FROM clearances WHERE recipient_id = $1 AND id = $2 FOR UPDATE"#,
        recipient.0,
        id.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(found)
}

/// Ids of a recipient's clearances, the latest first, from before `before`.
pub(super) async fn of_recipient(
    tx: &mut Tx,
    recipient: RecipientId,
    before: Option<ClearanceId>,
    count: i64,
) -> Result<Vec<ClearanceId>> {
    let ids = sqlx::query_scalar!(
        r#"SELECT id AS "id: ClearanceId" FROM clearances WHERE recipient_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3"#,
        recipient.0,
        before.map(|id| id.0),
        count
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(ids)
}

/// How many of a recipient's clearances have not ended.
pub(super) async fn count_open(tx: &mut Tx, recipient: RecipientId) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM clearances WHERE recipient_id = $1 AND state NOT IN ('rejected', 'withdrawn', 'revoked')"#,
        recipient.0
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(count)
}

/// Adds a draft.
pub(super) async fn insert(work: &mut Work, id: ClearanceId, recipient: RecipientId, terms: &Sealed) -> Result<()> {
    let now = work.now();
    sqlx::query!(
        "INSERT INTO clearances (id, recipient_id, state, terms_sealed, created_at, changed_at) VALUES ($1, $2, 'draft', $3, $4, $4)",
        id.0,
        recipient.0,
        terms as &Sealed,
        now,
    )
    .execute(&mut ***work)
    .await?;
    Ok(())
}

/// Adds one that was handed in, and perhaps accepted, before anyone looked.
pub(super) async fn introduce(
    db: &mut PgConnection,
    (id, state): (ClearanceId, ClearanceState),
    recipient: RecipientId,
    terms: &Sealed,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO clearances (id, recipient_id, state, terms_sealed, created_at, changed_at, submitted_at) VALUES ($1, $2, $3, $4, $5, $5, $5)",
        id.0,
        recipient.0,
        state as ClearanceState,
        terms as &Sealed,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn update(tx: &mut Tx, clearance: &StoredClearance) -> Result<()> {
    sqlx::query!(
        "UPDATE clearances SET state = $2, terms_sealed = $3, message_sealed = $4, changed_at = $5, submitted_at = $6, claimed_by = $7, claimed_until = $8,
                               decided_by = $9, decided_at = $10
         WHERE id = $1",
        clearance.id.0,
        clearance.state as ClearanceState,
        &clearance.terms as &Sealed,
        clearance.message.as_ref() as Option<&Sealed>,
        clearance.changed_at,
        clearance.submitted_at,
        clearance.claimed_by.map(|account| account.0),
        clearance.claimed_until,
        clearance.decided_by.map(|account| account.0),
        clearance.decided_at,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Whose clearance it is, where the person has not been erased.
pub(super) async fn recipient_of(tx: &mut Tx, id: ClearanceId) -> Result<Option<RecipientId>> {
    let recipient = sqlx::query_scalar!(
        r#"SELECT recipient_id AS "recipient: RecipientId" FROM clearances JOIN subject_keys ON subject_keys.id = recipient_id WHERE clearances.id = $1"#,
        id.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(recipient)
}

/// Clearances in these states that were handed in, longest waiting first, from after `after`. A claim that has lapsed is none.
pub(super) async fn queue(
    db: &PgPool,
    states: &[ClearanceState],
    after: Option<(DateTime<Utc>, ClearanceId)>,
    count: i64,
    now: DateTime<Utc>,
) -> Result<Vec<QueuedClearance>> {
    let (since, id) = after.unzip();
    let found = sqlx::query_as!(
        QueuedClearance,
        r#"SELECT clearances.id AS "id: ClearanceId", state AS "state: ClearanceState", submitted_at, claimed_by AS "claimed_by: AccountId", claimed_until FROM (
               SELECT id, recipient_id, state, submitted_at, CASE WHEN claimed_until > $5 THEN claimed_by END AS claimed_by,
                      CASE WHEN claimed_until > $5 THEN claimed_until END AS claimed_until
               FROM clearances WHERE submitted_at IS NOT NULL
           ) AS clearances JOIN subject_keys ON subject_keys.id = recipient_id
           WHERE state = ANY ($1) AND ($2::timestamptz IS NULL OR (submitted_at, clearances.id) > ($2, $3)) ORDER BY submitted_at, clearances.id LIMIT $4"#,
        states as &[ClearanceState],
        since,
        id.map(|id| id.0),
        count,
        now
    )
    .fetch_all(db)
    .await?;
    Ok(found)
}

/// What was accepted of a person's clearances, opened.
pub async fn accepted(db: &mut PgConnection, recipient: &Recipient) -> Result<Vec<Clearance>> {
    let rows = sqlx::query!(
        r#"SELECT id AS "id: ClearanceId", terms_sealed AS "terms: Sealed" FROM clearances WHERE recipient_id = $1 AND state = 'accepted' ORDER BY id"#,
        recipient.id.0
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| Ok(recipient.cipher.open_value::<Terms>(TERMS, row.id, &row.terms)?.clearance()))
        .collect()
}

/// Deletes clearances with their letters that do not count, and that nobody has changed since: a batch of them; how many there were.
pub(super) async fn delete_unused<'c>(db: impl PgExecutor<'c>, until: DateTime<Utc>) -> Result<u64> {
    let deleted = sqlx::query!(
        "DELETE FROM clearances WHERE id IN
            (SELECT id FROM clearances WHERE state IN ('draft', 'info_requested', 'rejected', 'withdrawn') AND changed_at <= $1
               AND NOT (state = 'withdrawn' AND decided_at IS NOT NULL)
             ORDER BY changed_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        until,
        BATCH
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}

/// A letter as it is kept, without its file.
pub(super) struct StoredLetter {
    pub id: LetterId,
    pub facts: Sealed,
    pub uploaded_at: DateTime<Utc>,
}

pub(super) async fn letters(tx: &mut Tx, clearance: ClearanceId) -> Result<Vec<StoredLetter>> {
    let letters = sqlx::query_as!(
        StoredLetter,
        r#"SELECT id AS "id: LetterId", facts_sealed AS "facts: Sealed", uploaded_at FROM clearance_letters WHERE clearance_id = $1 ORDER BY id"#,
        clearance.0
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(letters)
}

pub(super) async fn letter(
    tx: &mut Tx,
    recipient: RecipientId,
    clearance: ClearanceId,
    id: LetterId,
) -> Result<Option<StoredLetter>> {
    let letter = sqlx::query_as!(
        StoredLetter,
        r#"SELECT l.id AS "id: LetterId", facts_sealed AS "facts: Sealed", uploaded_at FROM clearance_letters l JOIN clearances c ON c.id = clearance_id
           WHERE l.id = $1 AND c.id = $2 AND recipient_id = $3"#,
        id.0,
        clearance.0,
        recipient.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(letter)
}

/// Bytes of all letters of a recipient.
pub(super) async fn kept(tx: &mut Tx, recipient: RecipientId) -> Result<i64> {
    let kept = sqlx::query_scalar!(
        r#"SELECT coalesce(sum(size), 0)::bigint AS "kept!" FROM clearance_letters JOIN clearances ON clearances.id = clearance_id WHERE recipient_id = $1"#,
        recipient.0
    );
    Ok(kept.fetch_one(&mut **tx).await?)
}

pub(super) async fn insert_letter(
    db: &mut PgConnection,
    clearance: ClearanceId,
    letter: &StoredLetter,
    size: i64,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO clearance_letters (id, clearance_id, facts_sealed, size, uploaded_at) VALUES ($1, $2, $3, $4, $5)",
        letter.id.0,
        clearance.0,
        &letter.facts as &Sealed,
        size,
        letter.uploaded_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn delete_letter(tx: &mut Tx, id: LetterId) -> Result<()> {
    sqlx::query!("DELETE FROM clearance_letters WHERE id = $1", id.0).execute(&mut **tx).await?;
    Ok(())
}

/// Those of `ids` whose files no row names, or whose person was erased.
pub(super) async fn unnamed(db: &PgPool, ids: &[Uuid]) -> Result<Vec<Uuid>> {
    let unnamed = sqlx::query_scalar!(
        r#"SELECT id AS "id!" FROM unnest($1::uuid[]) AS stored (id)
           WHERE NOT EXISTS (SELECT FROM clearance_letters l JOIN clearances c ON c.id = clearance_id JOIN subject_keys k ON k.id = recipient_id
                             WHERE l.id = stored.id)"#,
        ids
    );
    Ok(unnamed.fetch_all(db).await?)
}
