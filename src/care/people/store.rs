use chrono::{DateTime, NaiveDate, Utc};
use sqlx::types::Json;
use sqlx::{PgExecutor, PgPool};

use super::QuestionnaireRef;
use super::recipients::{Relation, StoredRecipient};
use crate::cipher::Sealed;
use crate::db::{BATCH, Tx};
use crate::error::Result;
use crate::events::Work;
use crate::ids::{AccountId, RecipientId, ScreeningId};

/// The columns of a recipient with its key, read alike everywhere.
macro_rules! recipients {
    ($tail:literal, $($arg:expr),+) => {
        sqlx::query_as!(
            StoredRecipient,
            r#"SELECT recipients.id AS "id: RecipientId", account_id AS "account: AccountId", relation AS "relation: Relation", profile_sealed AS "profile: Sealed",
                      key_sealed AS "key: Sealed", created_at,
                      EXISTS (SELECT FROM clearances WHERE recipient_id = recipients.id AND state = 'accepted') AS "is_cleared!",
                      guest_since IS NOT NULL AS "answers_alone!"
               FROM recipients JOIN subject_keys ON subject_keys.id = recipients.id WHERE removed_at IS NULL "# + $tail,
            $($arg),+
        )
    };
}

/// The recipients of an account, oneself first.
pub(super) async fn recipients<'c>(db: impl PgExecutor<'c>, account: AccountId) -> Result<Vec<StoredRecipient>> {
    Ok(recipients!("AND account_id = $1 ORDER BY relation <> 'self', recipients.id", account.0).fetch_all(db).await?)
}

/// One of an account's recipients.
pub(super) async fn recipient<'c>(
    db: impl PgExecutor<'c>,
    account: AccountId,
    id: RecipientId,
) -> Result<Option<StoredRecipient>> {
    Ok(recipients!("AND account_id = $1 AND recipients.id = $2", account.0, id.0).fetch_optional(db).await?)
}

/// A recipient, whoever books for them.
pub(super) async fn anyone<'c>(db: impl PgExecutor<'c>, id: RecipientId) -> Result<Option<StoredRecipient>> {
    Ok(recipients!("AND recipients.id = $1", id.0).fetch_optional(db).await?)
}

/// The recipient whom an account's holder is to themself.
pub(super) async fn oneself<'c>(db: impl PgExecutor<'c>, account: AccountId) -> Result<Option<StoredRecipient>> {
    Ok(recipients!("AND account_id = $1 AND relation = 'self'", account.0).fetch_optional(db).await?)
}

/// Stores a recipient with its key.
pub(super) async fn insert<'c>(db: impl PgExecutor<'c>, recipient: &StoredRecipient) -> Result<()> {
    sqlx::query!(
        "WITH made AS (INSERT INTO recipients (id, account_id, relation, profile_sealed, created_at) VALUES ($1, $2, $3, $4, $5) RETURNING id)
         INSERT INTO subject_keys (id, key_sealed) SELECT id, $6 FROM made",
        recipient.id.0,
        recipient.account.0,
        recipient.relation as Relation,
        &recipient.profile as &Sealed,
        recipient.created_at,
        &recipient.key as &Sealed,
    )
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn update_profile(tx: &mut Tx, id: RecipientId, profile: &Sealed) -> Result<()> {
    sqlx::query!("UPDATE recipients SET profile_sealed = $2 WHERE id = $1", id.0, profile as &Sealed)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Erases a recipient: without the key nothing opens any more.
pub(in crate::care) async fn erase(tx: &mut Tx, id: RecipientId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "WITH key AS (DELETE FROM subject_keys WHERE id = $1), draft AS (DELETE FROM screening_drafts WHERE recipient_id = $1),
              invitation AS (DELETE FROM care_invitations WHERE recipient_id = $1),
              anew AS (DELETE FROM care_invitations_anew WHERE recipient_id = $1),
              clearance AS (UPDATE clearances SET state = 'withdrawn', changed_at = $2, claimed_by = NULL, claimed_until = NULL
                            WHERE recipient_id = $1 AND state NOT IN ('rejected', 'withdrawn', 'revoked'))
         UPDATE recipients SET removed_at = $2 WHERE id = $1",
        id.0,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Answers that are kept, sealed by their person's key.
pub(super) struct StoredDraft {
    pub questionnaires: Json<Vec<QuestionnaireRef>>,
    pub answers: Sealed,
    pub changed_at: DateTime<Utc>,
}

/// The draft of a recipient, if it was changed after `since`.
pub(super) async fn draft<'c>(
    db: impl PgExecutor<'c>,
    recipient: RecipientId,
    since: DateTime<Utc>,
) -> Result<Option<StoredDraft>> {
    let draft = sqlx::query_as!(
        StoredDraft,
        r#"SELECT questionnaires AS "questionnaires: Json<Vec<QuestionnaireRef>>", answers_sealed AS "answers: Sealed", changed_at
           FROM screening_drafts WHERE recipient_id = $1 AND changed_at > $2"#,
        recipient.0,
        since
    )
    .fetch_optional(db)
    .await?;
    Ok(draft)
}

pub(super) async fn put_draft(tx: &mut Tx, recipient: RecipientId, draft: &StoredDraft) -> Result<()> {
    sqlx::query!(
        "INSERT INTO screening_drafts (recipient_id, questionnaires, answers_sealed, changed_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (recipient_id) DO UPDATE SET questionnaires = $2, answers_sealed = $3, changed_at = $4",
        recipient.0,
        &draft.questionnaires as _,
        &draft.answers as &Sealed,
        draft.changed_at,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn delete_draft(tx: &mut Tx, recipient: RecipientId) -> Result<()> {
    sqlx::query!("DELETE FROM screening_drafts WHERE recipient_id = $1", recipient.0).execute(&mut **tx).await?;
    Ok(())
}

/// Deletes drafts that nobody has changed since, a batch of them; how many there were.
pub(super) async fn delete_drafts<'c>(db: impl PgExecutor<'c>, until: DateTime<Utc>) -> Result<u64> {
    let deleted = sqlx::query!(
        "DELETE FROM screening_drafts WHERE recipient_id IN
            (SELECT recipient_id FROM screening_drafts WHERE changed_at <= $1 ORDER BY changed_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        until,
        BATCH
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}

/// What a person answered at one time.
pub(super) struct StoredScreening {
    pub id: ScreeningId,
    /// Counts the recipient's screenings from 1.
    pub number: i32,
    pub questionnaires: Json<Vec<QuestionnaireRef>>,
    pub answers: Sealed,
    pub given_on: NaiveDate,
    pub created_at: DateTime<Utc>,
}

/// The columns of a screening, read alike everywhere.
macro_rules! screenings {
    ($tail:literal, $($arg:expr),+) => {
        sqlx::query_as!(
            StoredScreening,
            r#"SELECT id, number, questionnaires AS "questionnaires: Json<Vec<QuestionnaireRef>>", answers_sealed AS "answers: Sealed", given_on, created_at
               FROM screenings WHERE recipient_id = $1 "# + $tail,
            $($arg),+
        )
    };
}

/// Screenings of a recipient, the latest first, from before `before`.
pub(super) async fn screenings<'c>(
    db: impl PgExecutor<'c>,
    recipient: RecipientId,
    before: Option<i32>,
    count: i64,
) -> Result<Vec<StoredScreening>> {
    let found = screenings!(
        "AND ($2::integer IS NULL OR number < $2) ORDER BY number DESC LIMIT $3",
        recipient.0,
        before,
        count
    );
    Ok(found.fetch_all(db).await?)
}

pub(super) async fn screening<'c>(
    db: impl PgExecutor<'c>,
    recipient: RecipientId,
    id: ScreeningId,
) -> Result<Option<StoredScreening>> {
    Ok(screenings!("AND id = $2", recipient.0, id.0).fetch_optional(db).await?)
}

/// The latest screening that answers each questionnaire, in the order in which they were given. What a guest said before they began anew counts no more.
pub(super) async fn latest_screenings<'c>(
    db: impl PgExecutor<'c>,
    recipient: RecipientId,
) -> Result<Vec<StoredScreening>> {
    let found = screenings!(
        "AND id IN (SELECT DISTINCT ON (answered ->> 'code') s.id FROM screenings s, jsonb_array_elements(s.questionnaires) AS answered
                    WHERE s.recipient_id = $1 AND s.created_at >= coalesce((SELECT anew_since FROM recipients WHERE id = $1), '-infinity')
                    ORDER BY answered ->> 'code', s.number DESC)
         ORDER BY number",
        recipient.0
    );
    Ok(found.fetch_all(db).await?)
}

/// How many screenings a recipient has had since, and the number of the last one of all.
pub(super) async fn count_since(tx: &mut Tx, recipient: RecipientId, since: DateTime<Utc>) -> Result<(i64, i32)> {
    let row = sqlx::query!(
        r#"SELECT count(*) FILTER (WHERE created_at > $2) AS "count!", coalesce(max(number), 0) AS "last!" FROM screenings WHERE recipient_id = $1"#,
        recipient.0,
        since
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok((row.count, row.last))
}

pub(super) async fn insert_screening<'c>(
    db: impl PgExecutor<'c>,
    recipient: RecipientId,
    screening: &StoredScreening,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO screenings (id, recipient_id, number, questionnaires, answers_sealed, given_on, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        screening.id.0,
        recipient.0,
        screening.number,
        &screening.questionnaires as _,
        &screening.answers as &Sealed,
        screening.given_on,
        screening.created_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Keeps what tells the link of a guest, in the place of one before.
pub(super) async fn put_invitation(
    work: &mut Work,
    recipient: RecipientId,
    digest: &[u8],
    expires_at: DateTime<Utc>,
) -> Result<()> {
    let now = work.now();
    sqlx::query!(
        "INSERT INTO care_invitations (recipient_id, digest, created_at, expires_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (recipient_id) DO UPDATE SET digest = $2, created_at = $3, expires_at = $4",
        recipient.0,
        digest,
        now,
        expires_at
    )
    .execute(&mut ***work)
    .await?;
    Ok(())
}

/// Keeps what tells the link of a guest who lost theirs, in the place of one before. Their own stays beside it.
pub(super) async fn put_invitation_anew(
    work: &mut Work,
    recipient: RecipientId,
    digest: &[u8],
    expires_at: DateTime<Utc>,
) -> Result<()> {
    let now = work.now();
    sqlx::query!(
        "INSERT INTO care_invitations_anew (recipient_id, digest, created_at, expires_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (recipient_id) DO UPDATE SET digest = $2, created_at = $3, expires_at = $4",
        recipient.0,
        digest,
        now,
        expires_at
    )
    .execute(&mut ***work)
    .await?;
    Ok(())
}

/// Deletes the link of a guest who lost theirs.
pub(super) async fn delete_invitation_anew(tx: &mut Tx, recipient: RecipientId) -> Result<()> {
    sqlx::query!("DELETE FROM care_invitations_anew WHERE recipient_id = $1", recipient.0).execute(&mut **tx).await?;
    Ok(())
}

/// A link that can be used.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Invited {
    pub recipient: RecipientId,
    pub expires_at: DateTime<Utc>,
    /// Whether the guest alone was shown it.
    pub own: bool,
}

/// The link that can be used at `now`. Where the guest has answered, the one that was not made for who lost theirs is their own.
pub(super) async fn invited(tx: &mut Tx, digest: &[u8], now: DateTime<Utc>) -> Result<Option<Invited>> {
    let found = sqlx::query_as!(
        Invited,
        r#"SELECT recipient_id AS "recipient!: RecipientId", expires_at AS "expires_at!", guest_since IS NOT NULL AND NOT anew AS "own!" FROM (
               SELECT recipient_id, digest, expires_at, false AS anew FROM care_invitations WHERE digest = $1
               UNION ALL
               SELECT recipient_id, digest, expires_at, true AS anew FROM care_invitations_anew WHERE digest = $1
           ) AS links JOIN recipients ON recipients.id = recipient_id WHERE expires_at > $2"#,
        digest,
        now
    );
    Ok(found.fetch_optional(&mut **tx).await?)
}

/// Counts one more link of a guest; how many there were since `since`, or since the first of them.
pub(super) async fn count_link(work: &mut Work, recipient: RecipientId, since: DateTime<Utc>) -> Result<i32> {
    let now = work.now();
    let made = sqlx::query_scalar!(
        "UPDATE recipients SET links_made = CASE WHEN links_since > $2 THEN links_made + 1 ELSE 1 END,
                               links_since = CASE WHEN links_since > $2 THEN links_since ELSE $3 END
         WHERE id = $1 RETURNING links_made",
        recipient.0,
        since,
        now
    );
    Ok(made.fetch_one(&mut ***work).await?)
}

/// Since when what a guest said counts, where they began anew.
pub(in crate::care) async fn anew_since(
    db: &mut sqlx::PgConnection,
    recipient: RecipientId,
) -> Result<Option<DateTime<Utc>>> {
    let since = sqlx::query_scalar!("SELECT anew_since FROM recipients WHERE id = $1", recipient.0);
    Ok(since.fetch_optional(db).await?.flatten())
}

/// Writes down that what a guest said before counts no more.
pub(super) async fn begin_anew(work: &mut Work, recipient: RecipientId) -> Result<()> {
    let now = work.now();
    sqlx::query!("UPDATE recipients SET anew_since = $2 WHERE id = $1", recipient.0, now).execute(&mut ***work).await?;
    Ok(())
}

/// The next people after `after` of whom it is to be looked by `today` whether what is kept of them ends.
pub(in crate::care) async fn to_look_at(
    db: &PgPool,
    after: (NaiveDate, Option<RecipientId>),
    today: NaiveDate,
) -> Result<Vec<(NaiveDate, RecipientId)>> {
    let found = sqlx::query!(
        r#"SELECT look_on, id AS "id: RecipientId" FROM recipients
           WHERE removed_at IS NULL AND look_on <= $3 AND (look_on, id) > ($1, coalesce($2, '00000000-0000-0000-0000-000000000000'::uuid))
           ORDER BY look_on, id LIMIT $4"#,
        after.0,
        after.1.map(|id| id.0),
        today,
        BATCH
    );
    Ok(found.fetch_all(db).await?.into_iter().map(|row| (row.look_on, row.id)).collect())
}

/// Writes down when to look again.
pub(in crate::care) async fn look_again(tx: &mut Tx, recipient: RecipientId, on: NaiveDate) -> Result<()> {
    sqlx::query!("UPDATE recipients SET look_on = $2 WHERE id = $1", recipient.0, on).execute(&mut **tx).await?;
    Ok(())
}

/// When anything of a recipient was last entered, answered, said or asked for.
pub(in crate::care) async fn last_used(tx: &mut Tx, recipient: RecipientId) -> Result<Option<DateTime<Utc>>> {
    let last = sqlx::query_scalar!(
        "SELECT greatest(
             (SELECT max(created_at) FROM screenings WHERE recipient_id = $1),
             (SELECT max(changed_at) FROM screening_drafts WHERE recipient_id = $1),
             (SELECT max(changed_at) FROM clearances WHERE recipient_id = $1),
             (SELECT max(recorded_at) FROM consents WHERE recipient_id = $1),
             (SELECT max(created_at) FROM care_invitations WHERE recipient_id = $1),
             (SELECT max(created_at) FROM care_invitations_anew WHERE recipient_id = $1))",
        recipient.0
    );
    Ok(last.fetch_one(&mut **tx).await?)
}

/// Writes down that a recipient answers for themself.
pub(super) async fn set_guest(work: &mut Work, recipient: RecipientId) -> Result<()> {
    let now = work.now();
    sqlx::query!("UPDATE recipients SET guest_since = coalesce(guest_since, $2) WHERE id = $1", recipient.0, now)
        .execute(&mut ***work)
        .await?;
    Ok(())
}

/// Deletes links that ended, a batch of them; how many there were.
pub(super) async fn delete_invitations<'c>(db: impl PgExecutor<'c>, until: DateTime<Utc>) -> Result<u64> {
    let deleted = sqlx::query!(
        "DELETE FROM care_invitations WHERE recipient_id IN
            (SELECT recipient_id FROM care_invitations WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        until,
        BATCH
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}

/// The same of links for guests who lost theirs.
pub(super) async fn delete_invitations_anew<'c>(db: impl PgExecutor<'c>, until: DateTime<Utc>) -> Result<u64> {
    let deleted = sqlx::query!(
        "DELETE FROM care_invitations_anew WHERE recipient_id IN
            (SELECT recipient_id FROM care_invitations_anew WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        until,
        BATCH
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
