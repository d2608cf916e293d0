use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, NaiveTime, SubsecRound, TimeDelta, Utc};
use serde_json::Value;
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use super::plan::{Planned, Reader};
use super::reminders::{Hours, Quiet, Reminder};
use super::wording::Locale;
use super::{Channel, Class, KEPT, State};
use crate::accounts;
use crate::db::{BATCH, Tx, in_batches};
use crate::error::{Error, Result};
use crate::ids::{AccountId, BookingId, DeliveryId, EndpointId};

/// What a person wants of messages, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub locale: Locale,
    pub quiet: Option<Quiet>,
    pub reminder_hours: Vec<Hours>,
    pub without: Vec<Class>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { locale: Locale::default(), quiet: None, reminder_hours: vec![Hours::USUAL], without: Vec::new() }
    }
}

/// What these people want of messages; who has said nothing wants what everyone is given.
pub(super) async fn settings<'c>(db: impl PgExecutor<'c>, ids: &[AccountId]) -> Result<HashMap<AccountId, Settings>> {
    let rows = sqlx::query!(
        r#"SELECT id AS "id!: AccountId", s.language AS "locale?: Locale", s.quiet_from AS "quiet_from?: NaiveTime", s.quiet_until AS "quiet_until?: NaiveTime",
                  s.reminder_hours AS "reminder_hours?: Vec<Hours>",
                  ARRAY(SELECT class FROM message_preferences p WHERE p.account_id = id AND NOT p.enabled ORDER BY class) AS "without!: Vec<Class>"
           FROM unnest($1::uuid[]) AS id LEFT JOIN message_settings s ON s.account_id = id"#,
        ids as &[AccountId]
    )
    .fetch_all(db)
    .await?;
    let settings = rows.into_iter().map(|row| {
        let quiet = row.quiet_from.zip(row.quiet_until).map(|(from, until)| Quiet { from, until });
        let reminder_hours = row.reminder_hours.unwrap_or_else(|| vec![Hours::USUAL]);
        let locale = row.locale.unwrap_or_default();
        (row.id, Settings { locale, quiet, reminder_hours, without: row.without })
    });
    Ok(settings.collect())
}

/// Keeps what a person wants.
pub(super) async fn save_settings(tx: &mut Tx, account: AccountId, settings: &Settings) -> Result<()> {
    sqlx::query!(
        "INSERT INTO message_settings (account_id, language, quiet_from, quiet_until, reminder_hours) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT ON CONSTRAINT message_settings_pkey DO UPDATE SET language = excluded.language, quiet_from = excluded.quiet_from,
             quiet_until = excluded.quiet_until, reminder_hours = excluded.reminder_hours",
        account.0,
        settings.locale as Locale,
        settings.quiet.map(|quiet| quiet.from),
        settings.quiet.map(|quiet| quiet.until),
        &settings.reminder_hours as &[Hours],
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "WITH gone AS (DELETE FROM message_preferences WHERE account_id = $1 AND class <> ALL ($2))
         INSERT INTO message_preferences (account_id, class, channel, enabled) SELECT $1, class, 'email', false FROM unnest($2::text[]) AS class
         ON CONFLICT ON CONSTRAINT message_preferences_pkey DO NOTHING",
        account.0,
        &settings.without as &[Class],
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What a plan must know of these people; who has no account is left out.
pub(super) async fn readers(tx: &mut Tx, ids: &[AccountId]) -> Result<HashMap<AccountId, Reader>> {
    let contacts = accounts::contacts(&mut **tx, ids).await?;
    let mut settings = settings(&mut **tx, ids).await?;
    let readers = contacts.into_iter().map(|(id, contact)| {
        let Settings { quiet, reminder_hours, without, .. } = settings.remove(&id).unwrap_or_default();
        (id, Reader { time_zone: contact.time_zone, quiet, reminder_hours, without })
    });
    Ok(readers.collect())
}

/// Up to where events were looked through.
pub(super) struct Progress {
    pub link: i64,
    /// What happened before that is told to nobody.
    pub not_before: Option<DateTime<Utc>>,
}

/// Up to where events were looked through; none where another process is at it just now.
pub(super) async fn progress(tx: &mut Tx) -> Result<Option<Progress>> {
    let progress = sqlx::query_as!(Progress, "SELECT link, not_before FROM message_progress FOR UPDATE SKIP LOCKED");
    Ok(progress.fetch_optional(&mut **tx).await?)
}

/// Events were looked through up to `link`.
pub(super) async fn go_on_from(tx: &mut Tx, link: i64) -> Result<()> {
    sqlx::query!("UPDATE message_progress SET link = $1", link).execute(&mut **tx).await?;
    Ok(())
}

/// Keeps what is to be sent. What was planned before stays as it is. What tells of a visit as a whole takes the place of what told so before and is
/// not on its way yet.
pub(super) async fn add(tx: &mut Tx, planned: &[Planned], now: DateTime<Utc>) -> Result<()> {
    let rows = serde_json::to_value(planned).map_err(|error| Error::Internal(error.to_string()))?;
    sqlx::query!(
        "INSERT INTO deliveries (id, once, event_id, event_kind, message, booking_id, account_id, endpoint_id, class, channel, lane, state,
                                 due_at, expires_at, valid, is_whole, last_error, created_at, ended_at)
         SELECT id, once, event_id, event_kind, message, booking_id, account_id, endpoint_id, class, channel, lane, state, due_at, expires_at,
                valid, is_whole, CASE WHEN state = 'failed' THEN 'endpoint_disabled' END, $2::timestamptz,
                CASE WHEN state <> 'pending' THEN $2::timestamptz END
         FROM ROWS FROM (jsonb_to_recordset($1) AS (id uuid, once text, event_id uuid, event_kind text, message text, booking_id uuid,
                         account_id uuid, endpoint_id uuid, class text, channel text, lane text, state text, due_at timestamptz,
                         expires_at timestamptz, valid jsonb, is_whole boolean)) WITH ORDINALITY
         ORDER BY ordinality
         ON CONFLICT ON CONSTRAINT deliveries_once DO NOTHING",
        rows,
        now
    )
    .execute(&mut **tx)
    .await?;
    // A cancellation must not wait for what it has made untrue: that has its turn at once, and is withdrawn.
    let lanes: Vec<String> = planned.iter().filter(|one| one.is_whole).map(|one| one.lane.clone()).collect();
    sqlx::query!(
        "WITH hurried AS (UPDATE deliveries SET due_at = $2 WHERE lane = ANY ($1) AND state = 'pending' AND due_at > $2 AND NOT is_whole)
         UPDATE deliveries d SET state = 'superseded', ended_at = $2
         WHERE lane = ANY ($1) AND is_whole AND state = 'pending' AND EXISTS (
             SELECT FROM deliveries later WHERE later.lane = d.lane AND later.sequence > d.sequence AND later.is_whole AND later.state = 'pending')",
        &lanes,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Keeps reminders to come.
pub(super) async fn remember(tx: &mut Tx, reminders: &[Reminder]) -> Result<()> {
    let rows = serde_json::to_value(reminders).map_err(|error| Error::Internal(error.to_string()))?;
    sqlx::query!(
        "INSERT INTO reminders_due (booking_id, account_id, hours_before, start_at, due_at)
         SELECT booking, account, hours, start_at, due_at
         FROM jsonb_to_recordset($1) AS r (booking uuid, account uuid, hours smallint, start_at timestamptz, due_at timestamptz)
         ON CONFLICT ON CONSTRAINT reminders_due_pkey DO NOTHING",
        rows
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Forgets the reminders to come of a person.
pub(super) async fn forget_reminders(tx: &mut Tx, account: AccountId) -> Result<()> {
    sqlx::query!("DELETE FROM reminders_due WHERE account_id = $1", account.0).execute(&mut **tx).await?;
    Ok(())
}

/// Takes so many of the reminders that are due, so that they become messages. What begins already is not reminded of.
pub(super) async fn take_due(tx: &mut Tx, now: DateTime<Utc>, count: i64) -> Result<Vec<Reminder>> {
    let rows = sqlx::query!(
        r#"DELETE FROM reminders_due r USING (
               SELECT booking_id, account_id, hours_before, start_at FROM reminders_due WHERE due_at <= $1 ORDER BY due_at LIMIT $2 FOR UPDATE
           ) AS due
           WHERE (r.booking_id, r.account_id, r.hours_before, r.start_at) = (due.booking_id, due.account_id, due.hours_before, due.start_at)
           RETURNING r.booking_id AS "booking: BookingId", r.account_id AS "account: AccountId", r.hours_before AS "hours: Hours", r.start_at, r.due_at"#,
        now,
        count
    )
    .fetch_all(&mut **tx)
    .await?;
    let due = rows.into_iter().map(|row| {
        let (booking, account, hours) = (row.booking, row.account, row.hours);
        Reminder { booking, account, hours, start_at: row.start_at, due_at: row.due_at }
    });
    Ok(due.collect())
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Person(AccountId),
    Program(EndpointId),
}

/// A message whose turn has come, and which nobody else sends meanwhile.
#[derive(Clone, Debug)]
pub(super) struct Claimed {
    pub id: DeliveryId,
    pub target: Target,
    pub event_kind: String,
    pub message: String,
    pub booking: Option<BookingId>,
    pub expires_at: DateTime<Utc>,
    pub valid: Value,
    /// How often it was tried.
    pub attempts: i32,
    /// Until when nobody else sends it.
    pub lease_until: DateTime<Utc>,
}

/// Claims the messages of the subquery `next` for as long as the lease lasts. What somebody claimed and did not settle in time is claimed anew: it may be
/// sent a second time, and bears the same id.
macro_rules! claim {
    ($next:literal, $now:expr, $lease:expr, $($arg:expr),+) => {{
        let lease_until: DateTime<Utc> = ($now + $lease).trunc_subsecs(6);
        let rows = sqlx::query!(
            "UPDATE deliveries SET state = 'sending', lease_until = $2, due_at = $2 FROM (" + $next + r#") AS next
             WHERE deliveries.id = next.id
             RETURNING deliveries.id, account_id, endpoint_id, event_kind, message, booking_id, expires_at, valid, attempts"#,
            $now,
            lease_until,
            $($arg),+
        );
        rows.map(move |row| Claimed {
            id: row.id,
            target: match (row.account_id, row.endpoint_id) {
                (Some(account), _) => Target::Person(account),
                (None, endpoint) => Target::Program(endpoint.unwrap_or(EndpointId(Uuid::nil()))),
            },
            event_kind: row.event_kind,
            message: row.message,
            booking: row.booking_id,
            expires_at: row.expires_at,
            valid: row.valid,
            attempts: row.attempts,
            lease_until,
        })
    }};
}

/// Claims so many mails whose turn has come. Only the first of a lane that is not settled has its turn.
pub(super) async fn claim_mails(db: &PgPool, lease: TimeDelta, now: DateTime<Utc>, count: i64) -> Result<Vec<Claimed>> {
    let claimed = claim!(
        "SELECT id FROM deliveries d
         WHERE state IN ('pending', 'sending') AND due_at <= $1 AND channel = 'email' AND NOT EXISTS (
             SELECT FROM deliveries earlier
             WHERE earlier.lane = d.lane AND earlier.sequence < d.sequence AND earlier.state IN ('pending', 'sending'))
         ORDER BY due_at, sequence LIMIT $3 FOR UPDATE SKIP LOCKED",
        now,
        lease,
        count
    );
    Ok(claimed.fetch_all(db).await?)
}

/// Claims webhooks whose turn has come, for each endpoint as many as it has room for, and so many in all.
pub(super) async fn claim_webhooks(
    db: &PgPool,
    lease: TimeDelta,
    now: DateTime<Utc>,
    rooms: &[(EndpointId, i64)],
    count: i64,
) -> Result<Vec<Claimed>> {
    let (endpoints, rooms): (Vec<EndpointId>, Vec<i64>) = rooms.iter().copied().unzip();
    let claimed = claim!(
        "SELECT due.id FROM unnest($3::uuid[], $4::bigint[]) AS open (endpoint, room) CROSS JOIN LATERAL (
             SELECT id FROM deliveries d
             WHERE d.endpoint_id = open.endpoint AND state IN ('pending', 'sending') AND due_at <= $1 AND NOT EXISTS (
                 SELECT FROM deliveries earlier
                 WHERE earlier.lane = d.lane AND earlier.sequence < d.sequence AND earlier.state IN ('pending', 'sending'))
             ORDER BY due_at LIMIT open.room FOR UPDATE SKIP LOCKED) AS due
         LIMIT $5",
        now,
        lease,
        &endpoints as &[EndpointId],
        &rooms,
        count
    );
    Ok(claimed.fetch_all(db).await?)
}

/// An endpoint that something is due to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub endpoint: EndpointId,
    /// How much is under way to it.
    pub under_way: i64,
    /// Whether it is known to work.
    pub works: bool,
}

/// The endpoints that something is due to.
pub(super) async fn due_endpoints(db: &PgPool, now: DateTime<Utc>) -> Result<Vec<Due>> {
    let due = sqlx::query_as!(
        Due,
        r#"SELECT e.id AS endpoint, (SELECT count(*) FROM deliveries d
                                     WHERE d.endpoint_id = e.id AND d.state = 'sending' AND d.due_at > $1) AS "under_way!",
                  e.failures = 0 AND e.last_sent_at IS NOT NULL AS "works!"
           FROM webhook_endpoints e
           WHERE EXISTS (SELECT FROM deliveries d WHERE d.endpoint_id = e.id AND d.state IN ('pending', 'sending') AND d.due_at <= $1)"#,
        now
    );
    Ok(due.fetch_all(db).await?)
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    /// Where the message stands now.
    pub state: State,
    /// When it is tried again, where it is pending.
    pub due_at: DateTime<Utc>,
    /// What went wrong, as a code.
    pub error: Option<String>,
    /// The status that a program answered with.
    pub status: Option<u16>,
    /// How long the attempt took; none where none was made.
    pub took: Option<Duration>,
}

impl Settled {
    /// It ended before anything was sent.
    pub fn without_attempt(state: State, error: Option<&str>, now: DateTime<Utc>) -> Self {
        Self { state, due_at: now, error: error.map(str::to_owned), status: None, took: None }
    }
}

/// Writes down how an attempt ended, where the lease still stands. Whether it did.
pub(super) async fn settle(db: &PgPool, claimed: &Claimed, settled: &Settled, now: DateTime<Utc>) -> Result<bool> {
    let is_over = !matches!(settled.state, State::Pending | State::Sending);
    let settled = sqlx::query!(
        "WITH settled AS (
             UPDATE deliveries d SET state = CASE WHEN is_late THEN 'superseded' ELSE $3::text END, due_at = $4, lease_until = NULL, last_error = $5,
                 ended_at = CASE WHEN is_late THEN $7::timestamptz ELSE $6::timestamptz END, attempts = attempts + ($8::integer IS NOT NULL)::integer
             -- What was to be tried again is not, where a later one tells how the visit stands.
             FROM (SELECT $3::text = 'pending' AND EXISTS (
                       SELECT FROM deliveries one JOIN deliveries later ON later.lane = one.lane AND later.sequence > one.sequence
                       WHERE one.id = $1 AND one.is_whole AND later.is_whole AND later.state = 'pending') AS is_late) AS found
             WHERE d.id = $1 AND state = 'sending' AND lease_until = $2 RETURNING d.id
         ), tried AS (
             INSERT INTO delivery_attempts (delivery_id, number, at, ms, error, status)
             SELECT id, 1 + coalesce((SELECT max(number) FROM delivery_attempts WHERE delivery_id = $1), 0), $7, $8, $5, $9 FROM settled
             WHERE $8::integer IS NOT NULL
         )
         SELECT id FROM settled",
        claimed.id.0,
        claimed.lease_until,
        settled.state as State,
        settled.due_at,
        settled.error,
        is_over.then_some(now),
        now,
        settled.took.map(|took| i32::try_from(took.as_millis()).unwrap_or(i32::MAX)),
        settled.status.map(i32::from),
    )
    .fetch_optional(db)
    .await?;
    Ok(settled.is_some())
}

/// Whether an account was sent an invitation to a visit that was not taken back.
pub(super) async fn is_invited(db: &PgPool, booking: BookingId, account: AccountId) -> Result<bool> {
    let invited = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM invitations WHERE booking_id = $1 AND account_id = $2 AND method = 'request') AS "invited!""#,
        booking.0,
        account.0
    );
    Ok(invited.fetch_one(db).await?)
}

/// Remembers that an invitation was sent.
pub(super) async fn invited(
    db: &PgPool,
    booking: BookingId,
    account: AccountId,
    (method, sequence): (&str, u32),
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO invitations (booking_id, account_id, sequence, method, sent_at) VALUES ($1, $2, $3, lower($4), $5)
         ON CONFLICT ON CONSTRAINT invitations_pkey DO UPDATE SET sequence = excluded.sequence, method = excluded.method, sent_at = excluded.sent_at",
        booking.0,
        account.0,
        i32::try_from(sequence).unwrap_or(i32::MAX),
        method,
        now
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Withdraws all messages that tell of what happened before `before` and were not sent: a database that was restored would tell people once more. How many
/// there were.
pub async fn hold(db: &PgPool, before: DateTime<Utc>, now: DateTime<Utc>) -> Result<u64> {
    let held = sqlx::query!(
        "UPDATE deliveries SET state = 'withdrawn', ended_at = $2, lease_until = NULL, last_error = 'held'
         WHERE state IN ('pending', 'sending') AND created_at < $1",
        before,
        now
    )
    .execute(db)
    .await?;
    sqlx::query!("DELETE FROM reminders_due WHERE due_at < $1", before).execute(db).await?;
    // What was not looked through yet is told to nobody either.
    sqlx::query!("UPDATE message_progress SET not_before = greatest(not_before, $1)", before).execute(db).await?;
    Ok(held.rows_affected())
}

/// Deletes what became of messages long ago.
pub(super) async fn forget_ended(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    // An endpoint that was taken away while something was planned for it gets nothing more.
    sqlx::query!(
        "UPDATE deliveries d SET state = 'withdrawn', ended_at = $1, lease_until = NULL
         WHERE endpoint_id IS NOT NULL AND state IN ('pending', 'sending') AND NOT EXISTS (SELECT FROM webhook_endpoints e WHERE e.id = d.endpoint_id)",
        now
    )
    .execute(db)
    .await?;
    in_batches(|| async move {
        let gone = sqlx::query!(
            "DELETE FROM deliveries WHERE id = ANY (ARRAY(
                 SELECT id FROM deliveries WHERE ended_at < $1 ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
            now - KEPT,
            BATCH
        );
        Ok(gone.execute(db).await?.rows_affected())
    })
    .await
}

/// Deletes who was invited to visits long ago.
pub(super) async fn forget_invitations(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    in_batches(|| async move {
        let gone = sqlx::query!(
            "DELETE FROM invitations WHERE (booking_id, account_id) IN (
                 SELECT booking_id, account_id FROM invitations WHERE sent_at < $1 ORDER BY sent_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
            now - TimeDelta::days(400),
            BATCH
        );
        Ok(gone.execute(db).await?.rows_affected())
    })
    .await
}

/// Whether nothing may be sent to the address with this digest.
pub(super) async fn is_suppressed(db: &PgPool, digest: &[u8]) -> Result<bool> {
    let found =
        sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM suppressions WHERE digest = $1) AS "found!""#, digest);
    Ok(found.fetch_one(db).await?)
}

/// A message in a list.
pub(super) struct Logged {
    pub sequence: i64,
    pub id: DeliveryId,
    pub account: Option<AccountId>,
    pub booking: Option<BookingId>,
    pub message: String,
    pub class: Class,
    pub channel: Channel,
    pub state: State,
    pub attempts: i32,
    pub due_at: DateTime<Utc>,
    pub last_error: Option<String>,
    pub created_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
}

/// Which messages a list shows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Listed {
    pub account: Option<AccountId>,
    pub booking: Option<BookingId>,
    pub state: Option<State>,
    /// Before this place.
    pub before: Option<i64>,
    pub count: i64,
}

/// The messages, newest first. Each statement says plainly what its index begins with, so that its plan is good for all values.
pub(super) async fn list(db: &PgPool, listed: Listed) -> Result<Vec<Logged>> {
    macro_rules! listed_by {
        ($what:literal) => {
            sqlx::query_as!(
                Logged,
                r#"SELECT sequence, id, account_id AS "account: AccountId", booking_id AS booking, message, class AS "class: Class",
                          channel AS "channel: Channel", state AS "state: State", attempts, due_at, last_error, created_at, ended_at
                   FROM deliveries
                   WHERE ($1::uuid IS NULL OR account_id = $1) AND ($2::uuid IS NULL OR booking_id = $2) AND ($3::text IS NULL OR state = $3)
                     AND ($4::bigint IS NULL OR sequence < $4) "#
                    + $what
                    + " ORDER BY sequence DESC LIMIT $5",
                listed.account.map(|id| id.0),
                listed.booking.map(|id| id.0),
                listed.state as Option<State>,
                listed.before,
                listed.count
            )
            .fetch_all(db)
            .await?
        };
    }
    Ok(match listed {
        Listed { booking: Some(_), .. } => listed_by!("AND booking_id = $2"),
        Listed { account: Some(_), .. } => listed_by!("AND account_id = $1"),
        Listed { state: Some(_), .. } => listed_by!("AND state = $3"),
        _ => listed_by!(""),
    })
}

/// Puts a message that was given up back in its lane; none where there is none, false where it was not given up.
pub(super) async fn retry(tx: &mut Tx, id: DeliveryId, now: DateTime<Utc>) -> Result<Option<bool>> {
    let state = sqlx::query_scalar!(
        r#"SELECT state AS "state: State" FROM deliveries WHERE id = $1 AND channel = 'email' FOR UPDATE"#,
        id.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    let Some(state) = state else { return Ok(None) };
    if state != State::Failed {
        return Ok(Some(false));
    }
    sqlx::query!(
        "UPDATE deliveries SET state = 'pending', due_at = $2, ended_at = NULL, attempts = 0, expires_at = CASE WHEN class = 'reminder' THEN expires_at ELSE greatest(expires_at, $2::timestamptz + interval '1 day') END
         WHERE id = $1",
        id.0,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(Some(true))
}
