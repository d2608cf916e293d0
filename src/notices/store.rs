use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgPool;

use super::NoticeView;
use crate::db::{BATCH, in_batches};
use crate::error::Result;
use crate::ids::{AccountId, NoticeId};

/// Which notices a list shows.
pub(super) struct Listed {
    pub to: AccountId,
    pub unread: bool,
    /// Of months since then.
    pub since: NaiveDate,
    /// Before this position.
    pub before: Option<i64>,
    pub count: i64,
}

/// The notices, newest first.
pub(super) async fn list(db: &PgPool, listed: Listed) -> Result<Vec<NoticeView>> {
    let notices = sqlx::query_as!(
        NoticeView,
        "SELECT position, id, kind, subject_type, subject_id, details, created_at, read_at FROM notices
         WHERE account_id = $1 AND NOT ($2 AND read_at IS NOT NULL) AND ($3::bigint IS NULL OR position < $3) AND id >= month_id($5)
         ORDER BY position DESC LIMIT $4",
        listed.to.0,
        listed.unread,
        listed.before,
        listed.count,
        listed.since,
    )
    .fetch_all(db)
    .await?;
    Ok(notices)
}

/// How many notices of someone are unread, of months since then; 1,000 at the most.
pub(super) async fn unread(db: &PgPool, reader: AccountId, since: NaiveDate) -> Result<i64> {
    let unread = sqlx::query_scalar!(
        r#"SELECT count(*) AS "unread!" FROM (
               SELECT FROM notices WHERE account_id = $1 AND read_at IS NULL AND id >= month_id($2) LIMIT 1000) AS found"#,
        reader.0,
        since
    );
    Ok(unread.fetch_one(db).await?)
}

/// Marks a notice and all older ones as read; false where there is no such notice to `reader`.
pub(super) async fn read_up_to(
    db: &PgPool,
    reader: AccountId,
    id: NoticeId,
    since: NaiveDate,
    now: DateTime<Utc>,
) -> Result<bool> {
    let last = sqlx::query_scalar!("SELECT position FROM notices WHERE account_id = $1 AND id = $2", reader.0, id.0)
        .fetch_optional(db)
        .await?;
    let Some(last) = last else { return Ok(false) };
    sqlx::query!(
        "UPDATE notices SET read_at = $3 WHERE account_id = $1 AND position <= $2 AND read_at IS NULL AND id >= month_id($4)",
        reader.0,
        last,
        now,
        since
    )
    .execute(db)
    .await?;
    Ok(true)
}

/// Marks a notice as read, once; none where there is no such notice to `reader`.
pub(super) async fn read(
    db: &PgPool,
    reader: AccountId,
    id: NoticeId,
    now: DateTime<Utc>,
) -> Result<Option<NoticeView>> {
    let notice = sqlx::query_as!(
        NoticeView,
        "UPDATE notices SET read_at = coalesce(read_at, $3) WHERE account_id = $1 AND id = $2
         RETURNING position, id, kind, subject_type, subject_id, details, created_at, read_at",
        reader.0,
        id.0,
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(notice)
}

/// Deletes notices that are older than anyone looks back, read or not.
pub(super) async fn forget_old(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    in_batches(|| async move {
        let gone = sqlx::query!(
            "DELETE FROM notices WHERE id = ANY (ARRAY(
                 SELECT id FROM notices WHERE created_at < $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
            now - super::KEPT,
            BATCH
        );
        Ok(gone.execute(db).await?.rows_affected())
    })
    .await
}
