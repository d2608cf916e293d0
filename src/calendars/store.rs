use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, PgPool};

use super::expanding::Busy;
use super::fetching::Version;
use super::{Calendar, CalendarLabel, CalendarStatus, CalendarUrl, EVERY, Fault};
use crate::auth::RefreshToken;
use crate::db::Tx;
use crate::error::{Error, OnConstraint, Refusal, Result};
use crate::ids::{AccountId, CalendarId, TherapistId};
use crate::values::{Span, Zone};

/// How many calendars are read at once.
const AT_ONCE: i64 = 8;

struct Columns {
    id: CalendarId,
    label: String,
    url: String,
    fault: Option<Fault>,
    failing_since: Option<DateTime<Utc>>,
    fetched_at: Option<DateTime<Utc>>,
    busy_intervals: i64,
    skipped: i32,
    cut: bool,
    created_at: DateTime<Utc>,
}

impl TryFrom<Columns> for Calendar {
    type Error = Error;

    fn try_from(row: Columns) -> Result<Self> {
        Ok(Self {
            id: row.id,
            label: row.label,
            host: stored(&row.url)?.host().to_owned(),
            status: match (row.fault, row.fetched_at) {
                (Some(_), _) => CalendarStatus::Failing,
                (None, Some(_)) => CalendarStatus::Ok,
                (None, None) => CalendarStatus::Pending,
            },
            error: row.fault,
            failing_since: row.failing_since,
            fetched_at: row.fetched_at,
            busy_intervals: row.busy_intervals,
            skipped_events: row.skipped,
            cut: row.cut,
            created_at: row.created_at,
        })
    }
}

fn stored(url: &str) -> Result<CalendarUrl> {
    url.parse().map_err(|why| Error::Internal(format!("a stored address {why}")))
}

/// A therapist's calendars in the order in which they came; only this one, where it is named.
pub(super) async fn list<'c>(
    db: impl PgExecutor<'c>,
    therapist: TherapistId,
    only: Option<CalendarId>,
    now: DateTime<Utc>,
) -> Result<Vec<Calendar>> {
    let rows = sqlx::query_as!(
        Columns,
        r#"SELECT id, label, url, fault AS "fault: Fault", failing_since, fetched_at, skipped, cut, created_at,
                  (SELECT count(*) FROM busy_intervals b
                   WHERE b.therapist_id = c.therapist_id AND b.calendar_id = c.id AND b.end_at > $3) AS "busy_intervals!"
           FROM calendars c WHERE therapist_id = $1 AND ($2::uuid IS NULL OR id = $2) ORDER BY id"#,
        therapist.0,
        only.map(|id| id.0),
        now,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Calendar::try_from).collect()
}

/// The therapist's calendar, if there is one of this id.
pub(super) async fn find<'c>(
    db: impl PgExecutor<'c>,
    therapist: TherapistId,
    id: CalendarId,
    now: DateTime<Utc>,
) -> Result<Option<Calendar>> {
    Ok(list(db, therapist, Some(id), now).await?.pop())
}

pub(super) async fn count(tx: &mut Tx, therapist: TherapistId) -> Result<i64> {
    let count =
        sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM calendars WHERE therapist_id = $1"#, therapist.0)
            .fetch_one(&mut **tx)
            .await?;
    Ok(count)
}

/// Adds a calendar, due at once.
pub(super) async fn insert(
    tx: &mut Tx,
    therapist: TherapistId,
    id: CalendarId,
    url: &CalendarUrl,
    label: &CalendarLabel,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO calendars (id, therapist_id, url, label, due_at, asked_at, created_at) VALUES ($1, $2, $3, $4, $5, $5, $5)",
        id.0,
        therapist.0,
        url.as_str(),
        label.as_str(),
        now,
    )
    .execute(&mut **tx)
    .await
    .on_constraint("calendars_url_once", Refusal::CalendarKnown)?;
    Ok(())
}

/// Whether there was such a calendar to delete. Its busy time goes with it.
pub(super) async fn delete(tx: &mut Tx, therapist: TherapistId, id: CalendarId) -> Result<bool> {
    let deleted = sqlx::query!("DELETE FROM calendars WHERE therapist_id = $1 AND id = $2", therapist.0, id.0)
        .execute(&mut **tx)
        .await?;
    Ok(deleted.rows_affected() == 1)
}

/// When the calendar was last asked for, locked until the transaction ends; none where there is no such calendar.
pub(super) async fn asked_at(tx: &mut Tx, therapist: TherapistId, id: CalendarId) -> Result<Option<DateTime<Utc>>> {
    let asked = sqlx::query_scalar!(
        "SELECT asked_at FROM calendars WHERE therapist_id = $1 AND id = $2 FOR UPDATE",
        therapist.0,
        id.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(asked)
}

/// Makes the calendar due.
pub(super) async fn ask(tx: &mut Tx, id: CalendarId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("UPDATE calendars SET due_at = $2, asked_at = $2 WHERE id = $1", id.0, now).execute(&mut **tx).await?;
    Ok(())
}

/// A calendar that is due.
#[derive(Debug)]
pub(super) struct Source {
    pub id: CalendarId,
    pub therapist: TherapistId,
    pub url: CalendarUrl,
    /// Its owner's zone.
    pub zone: Zone,
    pub version: Version,
    /// When the busy time that is kept was worked out, and in which zone.
    pub expanded: Option<(DateTime<Utc>, Zone)>,
    pub failures: i32,
}

/// A few calendars that are due, for the caller to read; they are due again a while later, whatever becomes of the caller.
pub(super) async fn claim(db: &PgPool, only: Option<CalendarId>, now: DateTime<Utc>) -> Result<Vec<Source>> {
    let rows = sqlx::query!(
        r#"UPDATE calendars c SET due_at = $3 FROM accounts a
           WHERE a.id = c.therapist_id AND c.id = ANY (ARRAY(
               SELECT id FROM calendars WHERE due_at <= $2 AND ($1::uuid IS NULL OR id = $1)
               ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED))
           RETURNING c.id, c.therapist_id, c.url, a.time_zone AS "time_zone: Zone", c.etag, c.last_modified, c.expanded_at,
                     c.expanded_in AS "expanded_in: Zone", c.failures"#,
        only.map(|id| id.0),
        now,
        now + EVERY,
        AT_ONCE,
    )
    .fetch_all(db)
    .await?;
    let sources = rows.into_iter().map(|row| {
        Ok(Source {
            id: row.id,
            therapist: row.therapist_id,
            url: stored(&row.url)?,
            zone: row.time_zone,
            version: Version { etag: row.etag, last_modified: row.last_modified },
            expanded: row.expanded_at.zip(row.expanded_in),
            failures: row.failures,
        })
    });
    sources.collect()
}

/// Writes down that the calendar could be read.
pub(super) async fn set_fetched(tx: &mut Tx, id: CalendarId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "UPDATE calendars SET fetched_at = $2, fault = NULL, failing_since = NULL, failures = 0, told = false WHERE id = $1",
        id.0,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Writes down that the calendar could not be read, and when to try again; gives since when. None where it is gone.
pub(super) async fn set_failed(
    tx: &mut Tx,
    id: CalendarId,
    fault: Fault,
    now: DateTime<Utc>,
    again: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>> {
    let since = sqlx::query_scalar!(
        r#"UPDATE calendars SET fault = $2, failing_since = coalesce(failing_since, $3), failures = failures + 1, due_at = $4
           WHERE id = $1 RETURNING failing_since AS "failing_since!""#,
        id.0,
        fault as Fault,
        now,
        again,
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(since)
}

/// Whether the owner was not told yet, and is now.
pub(super) async fn set_told(tx: &mut Tx, id: CalendarId) -> Result<bool> {
    let told =
        sqlx::query!("UPDATE calendars SET told = true WHERE id = $1 AND NOT told", id.0).execute(&mut **tx).await?;
    Ok(told.rows_affected() == 1)
}

/// Lets the calendar be busy then, and at no other time. What is the same stays as it is.
pub(super) async fn replace_busy(
    tx: &mut Tx,
    source: &Source,
    busy: &Busy,
    version: &Version,
    now: DateTime<Utc>,
) -> Result<()> {
    let updated = sqlx::query!(
        "UPDATE calendars SET etag = $2, last_modified = $3, expanded_at = $4, expanded_in = $5, skipped = $6, cut = $7 WHERE id = $1",
        source.id.0,
        version.etag,
        version.last_modified,
        now,
        source.zone as Zone,
        i32::try_from(busy.skipped).unwrap_or(i32::MAX),
        busy.cut,
    )
    .execute(&mut **tx)
    .await?;
    // It was deleted while it was read.
    if updated.rows_affected() == 0 {
        return Ok(());
    }
    let (starts, ends): (Vec<_>, Vec<_>) = busy.spans.iter().map(|span| (span.start, span.end)).unzip();
    sqlx::query!(
        "DELETE FROM busy_intervals WHERE therapist_id = $1 AND calendar_id = $2
         AND (start_at, end_at) NOT IN (SELECT start_at, end_at FROM unnest($3::timestamptz[], $4::timestamptz[]) AS s (start_at, end_at))",
        source.therapist.0,
        source.id.0,
        &starts,
        &ends,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "INSERT INTO busy_intervals (therapist_id, calendar_id, start_at, end_at)
         SELECT $1, $2, start_at, end_at FROM unnest($3::timestamptz[], $4::timestamptz[]) AS s (start_at, end_at)
         ON CONFLICT ON CONSTRAINT busy_intervals_pkey DO NOTHING",
        source.therapist.0,
        source.id.0,
        &starts,
        &ends,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// When a therapist's calendars are busy within `span`, in order; those of different calendars may overlap.
pub async fn busy<'c>(db: impl PgExecutor<'c>, therapist: TherapistId, span: Span) -> Result<Vec<Span>> {
    // No stretch is longer than a day, so that the index bounds the read on both sides.
    let rows = sqlx::query!(
        "SELECT start_at, end_at FROM busy_intervals
         WHERE therapist_id = $1 AND end_at > $2 AND end_at < $3::timestamptz + interval '24 hours' AND start_at < $3 ORDER BY end_at",
        therapist.0,
        span.start,
        span.end,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| Span { start: row.start_at, end: row.end_at }).collect())
}

/// Gives `account` a feed under `token`; one that it had is gone.
pub(super) async fn put_feed(tx: &mut Tx, account: AccountId, token: &RefreshToken, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "INSERT INTO calendar_feeds (account_id, digest, created_at) VALUES ($1, $2, $3)
         ON CONFLICT ON CONSTRAINT calendar_feeds_pkey DO UPDATE SET digest = excluded.digest, created_at = excluded.created_at",
        account.0,
        token.digest(),
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// When the account's feed was made, if it has one.
pub(super) async fn feed_since(db: &PgPool, account: AccountId) -> Result<Option<DateTime<Utc>>> {
    let since = sqlx::query_scalar!("SELECT created_at FROM calendar_feeds WHERE account_id = $1", account.0)
        .fetch_optional(db)
        .await?;
    Ok(since)
}

/// Whether there was a feed to delete.
pub(super) async fn delete_feed(tx: &mut Tx, account: AccountId) -> Result<bool> {
    let deleted =
        sqlx::query!("DELETE FROM calendar_feeds WHERE account_id = $1", account.0).execute(&mut **tx).await?;
    Ok(deleted.rows_affected() == 1)
}

/// Whose feed `token` opens. It is found by its digest, so that no timing tells how much of a guess was right.
pub(super) async fn feed_owner(db: &PgPool, token: &RefreshToken) -> Result<Option<AccountId>> {
    let owner = sqlx::query_scalar!("SELECT account_id FROM calendar_feeds WHERE digest = $1", token.digest())
        .fetch_optional(db)
        .await?;
    Ok(owner)
}
