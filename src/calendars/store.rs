use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, PgPool};

use super::expanding::Busy;
use super::fetching::Version;
use super::{AllDay, Calendar, CalendarLabel, CalendarStatus, CalendarUrl, EVERY, Fault, HOST, IN_ALL, Rate};
use crate::auth::RefreshToken;
use crate::cipher::{Cipher, Sealed};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::ids::{AccountId, CalendarId, TherapistId};
use crate::values::Zone;
use crate::values::zones::rules;

/// The sealed column.
pub(super) const URL: &str = "calendars.url";
/// How many rows are deleted at once.
const BATCH: i64 = 1000;

struct Columns {
    id: CalendarId,
    label: String,
    url: Sealed,
    fault: Option<Fault>,
    failing_since: Option<DateTime<Utc>>,
    fetched_at: Option<DateTime<Utc>>,
    busy_intervals: i64,
    skipped: i32,
    cut: bool,
    all_day: AllDay,
    created_at: DateTime<Utc>,
}

impl Columns {
    fn opened(self, cipher: &Cipher) -> Result<Calendar> {
        let row = self;
        Ok(Calendar {
            id: row.id,
            label: row.label,
            host: stored(cipher, row.id, &row.url)?.host().to_owned(),
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
            all_day: row.all_day,
            created_at: row.created_at,
        })
    }
}

fn stored(cipher: &Cipher, id: CalendarId, sealed: &Sealed) -> Result<CalendarUrl> {
    let url = cipher.open(URL, id, sealed)?;
    url.parse().map_err(|why| Error::Internal(format!("a stored address {why}")))
}

/// A therapist's calendars in the order in which they came; only this one, where it is named.
pub(super) async fn list<'c>(
    db: impl PgExecutor<'c>,
    cipher: &Cipher,
    therapist: TherapistId,
    only: Option<CalendarId>,
    now: DateTime<Utc>,
) -> Result<Vec<Calendar>> {
    let rows = sqlx::query_as!(
        Columns,
        r#"SELECT id, label, url_sealed AS "url: Sealed", fault AS "fault: Fault", failing_since, fetched_at, skipped, cut, created_at,
                  all_day AS "all_day: AllDay",
                  (SELECT count(*) FROM busy_intervals b
                   WHERE b.therapist_id = c.therapist_id AND b.calendar_id = c.id AND b.end_at > $3) AS "busy_intervals!"
           FROM calendars c WHERE therapist_id = $1 AND ($2::uuid IS NULL OR id = $2) ORDER BY id"#,
        therapist.0,
        only.map(|id| id.0),
        now,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| row.opened(cipher)).collect()
}

/// The therapist's calendar, if there is one of this id.
pub(super) async fn find<'c>(
    db: impl PgExecutor<'c>,
    cipher: &Cipher,
    therapist: TherapistId,
    id: CalendarId,
    now: DateTime<Utc>,
) -> Result<Option<Calendar>> {
    Ok(list(db, cipher, therapist, Some(id), now).await?.pop())
}

/// The addresses of a therapist's calendars.
pub(super) async fn urls(tx: &mut Tx, cipher: &Cipher, therapist: TherapistId) -> Result<Vec<CalendarUrl>> {
    let rows = sqlx::query!(
        r#"SELECT id AS "id: CalendarId", url_sealed AS "url: Sealed" FROM calendars WHERE therapist_id = $1"#,
        therapist.0
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter().map(|row| stored(cipher, row.id, &row.url)).collect()
}

/// An address, sealed for the calendar of this id.
pub(super) fn sealed(cipher: &Cipher, id: CalendarId, url: &CalendarUrl) -> Result<Sealed> {
    cipher.seal(URL, id, url.as_str())
}

/// Adds a calendar, due at once.
pub(super) async fn insert(
    tx: &mut Tx,
    therapist: TherapistId,
    id: CalendarId,
    url: Sealed,
    label: &CalendarLabel,
    all_day: AllDay,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO calendars (id, therapist_id, url_sealed, label, due_at, asked_at, created_at, all_day) VALUES ($1, $2, $3, $4, $5, $5, $5, $6)",
        id.0,
        therapist.0,
        url as Sealed,
        label.as_str(),
        now,
        all_day as AllDay,
    )
    .execute(&mut **tx)
    .await?;
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
    /// Its owner's address.
    pub email: String,
    pub all_day: AllDay,
    pub version: Version,
    /// When the busy time that is kept was worked out, in which zone, and by which rules of zones.
    pub expanded: Option<(DateTime<Utc>, String, String)>,
    pub failures: i32,
}

/// A few calendars that are due, for the caller to read; they are due again a while later, whatever becomes of the caller. One of each
/// therapist at a time, and none of those who are `busy`: nobody's calendars take the places of all others. One that was fetched too
/// often lately is put off.
pub(super) async fn claim(
    db: &PgPool,
    cipher: &Cipher,
    only: Option<CalendarId>,
    busy: &[TherapistId],
    most: usize,
    now: DateTime<Utc>,
) -> Result<Claimed> {
    let mut tx = db.begin().await?;
    let busy: Vec<_> = busy.iter().map(|therapist| therapist.0).collect();
    let rows = sqlx::query!(
        r#"SELECT c.id AS "id: CalendarId", c.therapist_id AS "therapist_id: TherapistId", c.url_sealed AS "url: Sealed",
                  a.time_zone, a.email::text AS "email!", c.all_day AS "all_day: AllDay", c.etag, c.last_modified, c.expanded_at, c.expanded_in, c.expanded_by, c.failures
           FROM calendars c JOIN accounts a ON a.id = c.therapist_id
           WHERE c.due_at <= $2 AND ($1::uuid IS NULL OR c.id = $1) AND c.therapist_id <> ALL ($3)
             AND ($1::uuid IS NOT NULL OR NOT EXISTS (
                 SELECT FROM calendars sooner WHERE sooner.therapist_id = c.therapist_id AND (sooner.due_at, sooner.id) < (c.due_at, c.id)))
           ORDER BY c.due_at LIMIT $4 FOR UPDATE OF c SKIP LOCKED"#,
        only.map(|id| id.0),
        now,
        &busy,
        i64::try_from(most).unwrap_or(i64::MAX),
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut claimed = Claimed::default();
    for row in rows {
        let Some(zone) = Zone::named(&row.time_zone) else {
            // It must not keep the others from being read.
            tracing::error!(calendar = %row.id, zone = row.time_zone, "a calendar's owner is in a zone that is not known");
            sqlx::query!("UPDATE calendars SET due_at = $2 WHERE id = $1", row.id.0, now + EVERY)
                .execute(&mut *tx)
                .await?;
            continue;
        };
        let url = stored(cipher, row.id, &row.url)?;
        let wait = match fetched(&mut tx, row.therapist_id, "", IN_ALL, now).await? {
            None => fetched(&mut tx, row.therapist_id, url.host(), HOST, now).await?,
            wait => wait,
        };
        sqlx::query!("UPDATE calendars SET due_at = $2 WHERE id = $1", row.id.0, wait.unwrap_or(now + EVERY))
            .execute(&mut *tx)
            .await?;
        match wait {
            Some(_) => claimed.put_off = wait,
            None => claimed.sources.push(Source {
                id: row.id,
                therapist: row.therapist_id,
                url,
                zone,
                email: row.email,
                all_day: row.all_day,
                version: Version { etag: row.etag, last_modified: row.last_modified },
                expanded: row
                    .expanded_at
                    .zip(row.expanded_in)
                    .zip(row.expanded_by)
                    .map(|((at, zone), by)| (at, zone, by)),
                failures: row.failures,
            }),
        }
    }
    tx.commit().await?;
    Ok(claimed)
}

/// What was due.
#[derive(Debug, Default)]
pub(super) struct Claimed {
    /// To be read now.
    pub sources: Vec<Source>,
    /// Until when the last one of those is put off that are to be read later.
    pub put_off: Option<DateTime<Utc>>,
}

/// Counts one more fetch from `host`; where there were too many, when to try again. The row itself decides, so that of two processes one waits.
async fn fetched(
    tx: &mut Tx,
    therapist: TherapistId,
    host: &str,
    rate: Rate,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>> {
    let counted = sqlx::query!(
        "INSERT INTO calendar_fetches AS f (therapist_id, host, since, fetches) VALUES ($1, $2, $3, 1)
         ON CONFLICT ON CONSTRAINT calendar_fetches_pkey DO UPDATE
         SET fetches = CASE WHEN f.since <= $4 THEN 1 ELSE f.fetches + 1 END, since = CASE WHEN f.since <= $4 THEN $3 ELSE f.since END
         WHERE f.since <= $4 OR f.fetches < $5",
        therapist.0,
        host,
        now,
        now - rate.within,
        rate.most,
    )
    .execute(&mut **tx)
    .await?;
    if counted.rows_affected() == 1 {
        return Ok(None);
    }
    let since = sqlx::query_scalar!(
        "SELECT since FROM calendar_fetches WHERE therapist_id = $1 AND host = $2",
        therapist.0,
        host
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(Some(since + rate.within))
}

/// Deletes what was counted so long ago that it limits nothing any more.
pub(super) async fn forget_fetches(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    loop {
        let deleted = sqlx::query!(
            "DELETE FROM calendar_fetches WHERE (therapist_id, host) IN (
                 SELECT therapist_id, host FROM calendar_fetches WHERE since <= $1 ORDER BY since LIMIT $2 FOR UPDATE SKIP LOCKED)",
            now - IN_ALL.within,
            BATCH,
        )
        .execute(db)
        .await?;
        if deleted.rows_affected() < BATCH.unsigned_abs() {
            return Ok(());
        }
    }
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
        "UPDATE calendars SET etag = $2, last_modified = $3, expanded_at = $4, expanded_in = $5, skipped = $6, cut = $7, expanded_by = $8 WHERE id = $1",
        source.id.0,
        version.etag,
        version.last_modified,
        now,
        source.zone as Zone,
        i32::try_from(busy.skipped).unwrap_or(i32::MAX),
        busy.cut,
        rules::current().digest(),
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
    let owner = sqlx::query_scalar!(
        "SELECT f.account_id FROM calendar_feeds f JOIN accounts a ON a.id = f.account_id WHERE f.digest = $1 AND a.suspended_at IS NULL",
        token.digest()
    );
    Ok(owner.fetch_optional(db).await?)
}
