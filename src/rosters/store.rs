//! Imports as rows.

pub mod findings;
pub mod rows;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgPool;
use sqlx::types::Json;
use uuid::Uuid;

use super::lifecycle::{ImportState, Step};
use super::reader::RejectedRow;
use super::reading::Progress;
use super::sources::Mapping;
use super::{RosterImport, StopReason, Worker, superseded};
use crate::db::Tx;
use crate::error::{Error, OnConstraint, Refusal, Result};
use crate::ids::{AccountId, RosterImportId};

/// A column of JSON that has the form that we gave it.
type Kept<T> = Json<T>;

macro_rules! imports {
    ($tail:literal $(, $arg:expr)*) => {
        sqlx::query_as!(
            Columns,
            r#"SELECT id, source, state AS "state: ImportState", file_name, encode(sha256, 'hex') AS "sha256!", size,
                      source_date, uploaded_by, mapping AS "mapping: Kept<Mapping>", bytes_read, rows_read, rows_kept,
                      rows_rejected, rejected AS "rejected: Kept<Vec<RejectedRow>>", matched, differing, changed, warnings,
                      stop_reasons AS "stop_reasons: Vec<StopReason>", overridden AS "overridden: Vec<StopReason>", note,
                      created_at, previewed_at, applied_at, rolled_back_at
               FROM roster_imports "# + $tail
            $(, $arg)*
        )
    };
}

struct Columns {
    id: RosterImportId,
    source: String,
    state: ImportState,
    file_name: Option<String>,
    sha256: String,
    size: i64,
    source_date: NaiveDate,
    uploaded_by: Option<AccountId>,
    mapping: Option<Kept<Mapping>>,
    bytes_read: i64,
    rows_read: i64,
    rows_kept: i64,
    rows_rejected: i64,
    rejected: Kept<Vec<RejectedRow>>,
    matched: i64,
    differing: i64,
    changed: i64,
    warnings: Vec<String>,
    stop_reasons: Vec<StopReason>,
    overridden: Vec<StopReason>,
    note: Option<String>,
    created_at: DateTime<Utc>,
    previewed_at: Option<DateTime<Utc>>,
    applied_at: Option<DateTime<Utc>>,
    rolled_back_at: Option<DateTime<Utc>>,
}

impl From<Columns> for RosterImport {
    fn from(row: Columns) -> Self {
        Self {
            id: row.id,
            source: row.source,
            state: row.state,
            file_name: row.file_name,
            sha256: row.sha256,
            size: row.size,
            source_date: row.source_date,
            uploaded_by: row.uploaded_by,
            mapping: row.mapping.map(|Json(mapping)| mapping),
            bytes_read: row.bytes_read,
            rows_read: row.rows_read,
            rows_kept: row.rows_kept,
            rows_rejected: row.rows_rejected,
            rejected: row.rejected.0,
            matched: row.matched,
            differing: row.differing,
            changed: row.changed,
            warnings: row.warnings,
            stop_reasons: row.stop_reasons,
            overridden: row.overridden,
            note: row.note,
            created_at: row.created_at,
            previewed_at: row.previewed_at,
            applied_at: row.applied_at,
            rolled_back_at: row.rolled_back_at,
        }
    }
}

/// A file that has come.
pub struct NewImport<'a> {
    pub id: RosterImportId,
    pub source: &'a str,
    pub file_name: Option<&'a str>,
    pub sha256: [u8; 32],
    pub size: u64,
    pub source_date: NaiveDate,
    pub uploaded_by: Option<AccountId>,
}

pub async fn insert(tx: &mut Tx, import: &NewImport<'_>, now: DateTime<Utc>) -> Result<()> {
    let size = i64::try_from(import.size).map_err(|error| Error::Internal(error.to_string()))?;
    sqlx::query!(
        "INSERT INTO roster_imports (id, source, state, file_name, sha256, size, source_date, uploaded_by, created_at, progress_at)
         VALUES ($1, $2, 'uploaded', $3, $4, $5, $6, $7, $8, $8)",
        import.id.0,
        import.source,
        import.file_name,
        &import.sha256,
        size,
        import.source_date,
        import.uploaded_by.map(|account| account.0),
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub async fn find(db: &PgPool, id: RosterImportId) -> Result<Option<RosterImport>> {
    Ok(imports!("WHERE id = $1", id.0).fetch_optional(db).await?.map(RosterImport::from))
}

/// The import, locked until the transaction ends.
pub async fn lock(tx: &mut Tx, id: RosterImportId) -> Result<RosterImport> {
    let found = imports!("WHERE id = $1 FOR UPDATE", id.0).fetch_optional(&mut **tx).await?;
    found.map(RosterImport::from).ok_or(Error::NotFound)
}

/// The import of a source that took effect last: no two that are in effect bear the same date, and none is older than those before.
pub async fn last_applied<'c>(db: impl sqlx::PgExecutor<'c>, source: &str) -> Result<Option<RosterImport>> {
    let found = imports!("WHERE source = $1 AND state = 'applied' ORDER BY source_date DESC LIMIT 1", source)
        .fetch_optional(db)
        .await?;
    Ok(found.map(RosterImport::from))
}

/// Keeps an import from being taken back until the transaction ends; false where it is not in effect any more.
pub async fn hold_applied(tx: &mut Tx, id: RosterImportId) -> Result<bool> {
    let held = sqlx::query_scalar!("SELECT id FROM roster_imports WHERE id = $1 AND state = 'applied' FOR SHARE", id.0)
        .fetch_optional(&mut **tx)
        .await?;
    Ok(held.is_some())
}

/// Newest first, before the import `before`.
pub async fn list(
    db: &PgPool,
    source: Option<&str>,
    state: Option<ImportState>,
    before: Option<RosterImportId>,
    count: i64,
) -> Result<Vec<RosterImport>> {
    let found = imports!(
        "WHERE ($1::text IS NULL OR source = $1) AND ($2::text IS NULL OR state = $2) AND ($3::uuid IS NULL OR id < $3)
         ORDER BY id DESC LIMIT $4",
        source,
        state as Option<ImportState>,
        before.map(|id| id.0),
        count
    )
    .fetch_all(db)
    .await?;
    Ok(found.into_iter().map(RosterImport::from).collect())
}

/// Moves a locked import on. `roster_busy` where another of its source is at work.
pub async fn step(tx: &mut Tx, import: &mut RosterImport, step: Step, now: DateTime<Utc>) -> Result<()> {
    import.state = import.state.after(step)?;
    match import.state {
        ImportState::Previewed | ImportState::Stopped => import.previewed_at = Some(now),
        ImportState::Applied => import.applied_at = Some(now),
        ImportState::RolledBack => import.rolled_back_at = Some(now),
        _ => {}
    }
    sqlx::query!(
        "UPDATE roster_imports SET state = $2, stop_reasons = $3, overridden = $4, note = $5, previewed_at = $6, applied_at = $7,
                rolled_back_at = $8, progress_at = $9, warnings = $10
         WHERE id = $1",
        import.id.0,
        import.state as ImportState,
        &import.stop_reasons as &[StopReason],
        &import.overridden as &[StopReason],
        import.note,
        import.previewed_at,
        import.applied_at,
        import.rolled_back_at,
        now,
        &import.warnings,
    )
    .execute(&mut **tx)
    .await
    .on_constraint("roster_imports_at_work", Refusal::RosterBusy)?;
    Ok(())
}

/// Puts a worker's mark on the import.
pub async fn mark(tx: &mut Tx, worker: Worker) -> Result<()> {
    sqlx::query!("UPDATE roster_imports SET worker = $2 WHERE id = $1", worker.import.0, worker.mark)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The import, locked, where it still bears the worker's mark.
pub async fn lock_marked(tx: &mut Tx, worker: Worker) -> Result<RosterImport> {
    let own = sqlx::query_scalar!(
        "SELECT id FROM roster_imports WHERE id = $1 AND worker = $2 FOR UPDATE",
        worker.import.0,
        worker.mark
    )
    .fetch_optional(&mut **tx)
    .await?;
    lock(tx, own.ok_or_else(superseded)?).await
}

/// Keeps how the columns are used, and forgets what an earlier worker counted.
pub async fn begin_counts(tx: &mut Tx, worker: Worker, mapping: &Mapping) -> Result<()> {
    let done = sqlx::query!(
        "UPDATE roster_imports SET mapping = $3, bytes_read = 0, rows_read = 0, rows_kept = 0, rows_rejected = 0, rejected = '[]',
                matched = 0, differing = 0
         WHERE id = $1 AND worker = $2",
        worker.import.0,
        worker.mark,
        Json(mapping) as Json<&Mapping>,
    )
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(superseded()) }
}

/// Moves the counters of what was read.
pub async fn count_rows(
    tx: &mut Tx,
    worker: Worker,
    progress: &Progress,
    rejected: &[RejectedRow],
    now: DateTime<Utc>,
) -> Result<()> {
    let done = sqlx::query!(
        "UPDATE roster_imports SET bytes_read = $3, rows_read = $4, rows_kept = $5, rows_rejected = $6, rejected = $7,
                progress_at = $8
         WHERE id = $1 AND worker = $2",
        worker.import.0,
        worker.mark,
        progress.bytes_read,
        progress.rows_read,
        progress.rows_kept,
        progress.rows_rejected,
        Json(rejected) as Json<&[RejectedRow]>,
        now,
    )
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(superseded()) }
}

/// Adds to the counters of what was matched and changed.
pub async fn count_findings(
    tx: &mut Tx,
    worker: Worker,
    (matched, differing, changed): (i64, i64, i64),
    now: DateTime<Utc>,
) -> Result<()> {
    let done = sqlx::query!(
        "UPDATE roster_imports SET matched = matched + $3, differing = differing + $4, changed = changed + $5, progress_at = $6
         WHERE id = $1 AND worker = $2",
        worker.import.0,
        worker.mark,
        matched,
        differing,
        changed,
        now,
    )
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(superseded()) }
}

/// Whether this very list is in effect, or was until a later one took its place.
pub async fn was_applied(tx: &mut Tx, import: &RosterImport) -> Result<bool> {
    let applied = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM roster_imports i JOIN roster_imports other USING (source, sha256)
                          WHERE i.id = $1 AND other.state = 'applied') AS "applied!""#,
        import.id.0
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(applied)
}

/// Those of `ids` whose files are not to be read any more.
pub async fn read_already(db: &PgPool, ids: &[Uuid]) -> Result<Vec<Uuid>> {
    let read = sqlx::query_scalar!(
        r#"SELECT id AS "id!" FROM unnest($1::uuid[]) AS stored (id)
           WHERE NOT EXISTS (SELECT FROM roster_imports i WHERE i.id = stored.id AND i.state IN ('uploaded', 'reading'))"#,
        ids
    )
    .fetch_all(db)
    .await?;
    Ok(read)
}

/// Imports of a source whose rows nobody will ask for again: all but the last two that took effect and those not done with.
pub async fn outlived(db: &PgPool, source: &str) -> Result<Vec<RosterImportId>> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM roster_imports WHERE source = $1 AND (state IN ('rolled_back', 'discarded', 'failed') OR state = 'applied'
             AND id NOT IN (SELECT id FROM roster_imports WHERE source = $1 AND state = 'applied'
                            ORDER BY source_date DESC LIMIT 2))",
        source
    )
    .fetch_all(db)
    .await?;
    Ok(ids)
}
