//! Reads a list from its bytes to its preview, in bounded memory: one thread parses while the rows before are copied.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::atomic::Ordering;

use actix_web::web::{Buf, Bytes};
use futures_util::{FutureExt, Stream, StreamExt};
use serde_json::json;
use sqlx::PgExecutor;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::compare::{List, compare};
use super::lifecycle::{ImportState, Step};
use super::reader::{Outcome as Row, Reader, RejectedRow, RosterRow};
use super::sources::Mapping;
use super::store::{self, findings, rows};
use super::unpack::{self, trouble};
use super::{Finding, Outcome, RosterImport, StopReason, Worker, file_of};
use crate::App;
use crate::clock::Clock;
use crate::credentials::held::{Held, Which, held};
use crate::credentials::{CredentialType, find_type};
use crate::error::{Error, Result};
use crate::events::{Event, Workshop};
use crate::ids::RosterImportId;

/// Rows that are copied at a time, and rows after which progress is shown although few of them were kept.
const KEPT_AT_A_TIME: i64 = 10_000;
const READ_AT_A_TIME: i64 = 100_000;
/// Rejected rows that are told.
const REJECTED_TOLD: usize = 100;
/// Credentials that are compared at a time.
const HELD_AT_A_TIME: i64 = 500;

/// How far a reading has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Bytes of the file.
    pub bytes_read: i64,
    /// Rows of any kind.
    pub rows_read: i64,
    /// Rows of a type of ours.
    pub rows_kept: i64,
    /// Rows that cannot be used.
    pub rows_rejected: i64,
}

/// What the parser hands over.
enum Parsed {
    Header(Mapping),
    Batch { rows: Vec<u8>, progress: Progress, rejected: Vec<RejectedRow> },
    End(End),
}

/// How the parser came to its end.
#[derive(Debug, Default)]
struct End {
    is_cut: bool,
    /// What is to be told, in words.
    warnings: Vec<String>,
    /// Whether the file cannot be read to its end.
    is_unreadable: bool,
}

/// Reads an import from `bytes` to its preview, or to where a rule stops it. An import whose worker was killed is begun
/// anew. `tell` hears how far it has come.
///
/// # Errors
/// `invalid_transition` where it is not to be read, or another worker has taken it over.
pub async fn read(
    shop: &Workshop,
    id: RosterImportId,
    bytes: impl Stream<Item = Result<Bytes>>,
    tell: impl FnMut(&Progress),
) -> Result<ImportState> {
    let worker = Worker { import: id, mark: Uuid::now_v7() };
    let list = begin(shop, worker).await?;
    rows::forget(&shop.db, id).await?;
    let kind = kind_of(&*shop.db, list).await?;
    let (feed, chunks) = mpsc::channel::<Result<Bytes>>(4);
    let (hand_over, parsed) = mpsc::channel(2);
    let parser = tokio::task::spawn_blocking(move || parse(list, kind, id, Chunks::new(chunks), &hand_over));
    let end = {
        let feeding = async move {
            let mut bytes = std::pin::pin!(bytes);
            while let Some(chunk) = bytes.next().await {
                // A parser that has gone away needs no more.
                if feed.send(chunk).await.is_err() {
                    break;
                }
            }
        };
        let (mut storing, mut feeding) =
            (std::pin::pin!(store_parsed(shop, worker, parsed, tell)), std::pin::pin!(feeding.fuse()));
        loop {
            tokio::select! {
                outcome = &mut storing => break outcome,
                () = &mut feeding => {}
            }
        }
    };
    // Why the parser ended is what the rest follows from.
    parser.await.map_err(|error| Error::Internal(error.to_string()))??;
    let end = end?.ok_or_else(|| Error::Internal("the parser ended early".to_owned()))?;
    match_held(shop, worker, list).await?;
    finish(shop, worker, end).await
}

/// The type of a list's numbers.
pub(super) async fn kind_of<'c>(db: impl PgExecutor<'c>, list: List) -> Result<CredentialType> {
    let code = list.source.credential_type;
    find_type(db, code).await?.ok_or_else(|| Error::Internal(format!("no type {code}")))
}

async fn begin(shop: &Workshop, worker: Worker) -> Result<List> {
    let mut tx = shop.begin(None).await?;
    let mut import = store::lock(&mut tx, worker.import).await?;
    store::step(&mut tx, &mut import, Step::Read, shop.clock.now()).await?;
    store::mark(&mut tx, worker).await?;
    findings::forget(&mut tx, worker.import).await?;
    tx.commit().await?;
    import.list()
}

/// Stores what the parser hands over; how it ended, where it came to its end.
async fn store_parsed(
    shop: &Workshop,
    worker: Worker,
    mut parsed: mpsc::Receiver<Parsed>,
    mut tell: impl FnMut(&Progress),
) -> Result<Option<End>> {
    while let Some(part) = parsed.recv().await {
        match part {
            Parsed::Header(mut mapping) => {
                let mut tx = shop.begin(None).await?;
                let import = store::lock_marked(&mut tx, worker).await?;
                if let Some(last) = store::last_applied(&mut **tx, &import.source).await?.and_then(|last| last.mapping)
                {
                    mapping.compare(&last);
                }
                store::begin_counts(&mut tx, worker, &mapping).await?;
                tx.commit().await?;
            }
            Parsed::Batch { rows, progress, rejected } => {
                let mut tx = shop.begin(None).await?;
                rows::allow_time(&mut tx).await?;
                rows::copy(&mut tx, &rows).await?;
                store::count_rows(&mut tx, worker, &progress, &rejected, shop.clock.now()).await?;
                tx.commit().await?;
                tell(&progress);
            }
            Parsed::End(end) => return Ok(Some(end)),
        }
    }
    Ok(None)
}

fn parse(
    list: List,
    kind: CredentialType,
    import: RosterImportId,
    chunks: Chunks,
    to: &mpsc::Sender<Parsed>,
) -> Result<()> {
    let mut warnings = Vec::new();
    let Err(error) = parse_rows(list, kind, import, chunks, to, &mut warnings) else { return Ok(()) };
    // Bytes that cannot be had are what the storage says of it; a file that cannot be read is what staff are told of.
    let Some(why) = trouble(&error) else { return Err(unreadable(error)) };
    warnings.push(why.to_string());
    // The other end has gone away with an error of its own, where it does not hear this.
    drop(to.blocking_send(Parsed::End(End { is_cut: false, warnings, is_unreadable: true })));
    Ok(())
}

fn parse_rows(
    list: List,
    kind: CredentialType,
    import: RosterImportId,
    chunks: Chunks,
    to: &mpsc::Sender<Parsed>,
    warnings: &mut Vec<String>,
) -> io::Result<()> {
    let opened = unpack::open(chunks)?;
    *warnings = opened.remarks;
    let mut reader = Reader::new(list.source, kind, opened.text)?;
    let import = import.to_string();
    // The other end has gone away with an error of its own.
    let send = |part| to.blocking_send(part).is_ok();
    if !send(Parsed::Header(reader.mapping().clone())) {
        return Ok(());
    }
    let (mut progress, mut rejected, mut rows) = (Progress::default(), Vec::new(), Vec::new());
    let mut sent = progress;
    loop {
        let row = reader.next_row()?;
        progress.bytes_read = i64::try_from(opened.taken.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
        let is_full = progress.rows_kept - sent.rows_kept >= KEPT_AT_A_TIME
            || progress.rows_read - sent.rows_read >= READ_AT_A_TIME;
        if is_full || row.is_none() {
            let capacity = rows.len();
            let full = std::mem::replace(&mut rows, Vec::with_capacity(capacity));
            if !send(Parsed::Batch { rows: full, progress, rejected: rejected.clone() }) {
                return Ok(());
            }
            sent = progress;
        }
        let Some(row) = row else { break };
        progress.rows_read += 1;
        match row {
            Row::Kept(row) => {
                progress.rows_kept += 1;
                rows::write(&mut rows, &import, &row).map_err(io::Error::other)?;
            }
            Row::Skipped => {}
            Row::Rejected(row) => {
                progress.rows_rejected += 1;
                if rejected.len() < REJECTED_TOLD {
                    rejected.push(row);
                }
            }
        }
    }
    warnings.extend(reader.remarks());
    send(Parsed::End(End { is_cut: reader.is_cut(), warnings: std::mem::take(warnings), is_unreadable: false }));
    Ok(())
}

fn unreadable(error: io::Error) -> Error {
    Error::Unavailable(error.to_string())
}

/// Bytes that arrive from elsewhere, for a parser that waits for them.
struct Chunks {
    source: mpsc::Receiver<Result<Bytes>>,
    rest: Bytes,
}

impl Chunks {
    fn new(source: mpsc::Receiver<Result<Bytes>>) -> Self {
        Self { source, rest: Bytes::new() }
    }
}

impl Read for Chunks {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.source.blocking_recv() {
                None => return Ok(0),
                Some(chunk) => self.rest = chunk.map_err(io::Error::other)?,
            }
        }
        let length = out.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut out[..length]);
        Ok(length)
    }
}

/// Compares every credential of the list's type with its rows; those that were compared before are left as they are.
pub(super) async fn match_held(shop: &Workshop, worker: Worker, list: List) -> Result<()> {
    let kind = kind_of(&*shop.db, list).await?;
    let mut after = None;
    loop {
        let batch = held(&*shop.db, &kind, list.source.code, Which::After(after, HELD_AT_A_TIME)).await?;
        let Some(last) = batch.last() else { return Ok(()) };
        after = Some(last.id);
        let numbers: Vec<String> = batch.iter().map(|held| held.number.clone()).collect();
        let rows = by_number(rows::of_numbers(&*shop.db, worker.import, &kind.code, &numbers).await?);
        let now = shop.clock.now();
        let found: Vec<Finding> = batch.into_iter().map(|held| finding(held, &rows, list, &shop.clock)).collect();
        let mut tx = shop.begin(None).await?;
        let added = findings::add(&mut tx, worker.import, &found).await?;
        let new = found.iter().filter(|finding| added.contains(&finding.credential_id));
        let (mut matched, mut differing) = (0, 0);
        for finding in new {
            matched += i64::from(finding.outcome != Outcome::Absent);
            differing += i64::from(finding.differs);
        }
        store::count_findings(&mut tx, worker, (matched, differing, 0), now).await?;
        tx.commit().await?;
    }
}

/// The rows of a list by number.
pub(super) type Rows = HashMap<String, Vec<RosterRow>>;

pub(super) fn by_number(rows: Vec<RosterRow>) -> Rows {
    let mut found = Rows::new();
    for row in rows {
        found.entry(row.number.clone()).or_default().push(row);
    }
    found
}

/// What the list says of a credential today.
pub(super) fn finding(held: Held, rows: &Rows, list: List, clock: &Clock) -> Finding {
    let rows = rows.get(&held.number).map(Vec::as_slice).unwrap_or_default();
    let found = compare(&held, rows, list, list.source.today(clock.now()));
    Finding::new(held, found, list)
}

async fn finish(shop: &Workshop, worker: Worker, end: End) -> Result<ImportState> {
    let mut tx = shop.begin(None).await?;
    let mut import = store::lock_marked(&mut tx, worker).await?;
    let last = store::last_applied(&mut **tx, &import.source).await?;
    import.stop_reasons =
        if end.is_unreadable { vec![StopReason::Unreadable] } else { import.objections(end.is_cut, last.as_ref()) };
    import.warnings = end.warnings;
    if let Some(mapping) = &import.mapping {
        let columns = |what: &str, names: &[String]| format!("{what}: {}.", names.join(", "));
        let told = [
            ("Columns that are read and missing", &mapping.missing),
            ("Columns that the last list did not have", &mapping.added),
            ("Columns that the last list had", &mapping.lost),
        ];
        let told = told.iter().filter(|(_, names)| !names.is_empty()).map(|(what, names)| columns(what, names));
        import.warnings.extend(told);
    }
    let (step, action) = if import.stop_reasons.is_empty() {
        (Step::Preview, "roster_import.previewed")
    } else {
        (Step::Stop, "roster_import.stopped")
    };
    let now = shop.clock.now();
    store::step(&mut tx, &mut import, step, now).await?;
    tx.announce(event(&import, action)).await?;
    tx.commit().await?;
    Ok(import.state)
}

/// Reads an import from its file, and gives it up where that cannot be read.
pub async fn run(app: &App, id: RosterImportId) -> Result<()> {
    let outcome = async {
        let bytes = app.storage.read(file_of(id)).await?;
        read(&app.workshop(), id, bytes, |_| {}).await
    };
    match outcome.await {
        // It holds more of people than we keep, and is not read again.
        Ok(_) => app.storage.delete(file_of(id)).await,
        // Of no use to try again.
        Err(Error::Internal(cause)) => {
            tracing::error!(%id, cause, "a roster cannot be read");
            fail(&app.workshop(), id).await
        }
        Err(error) => Err(error),
    }
}

/// Gives an import up that cannot be read.
pub async fn fail(shop: &Workshop, id: RosterImportId) -> Result<()> {
    let mut tx = shop.begin(None).await?;
    let mut import = store::lock(&mut tx, id).await?;
    let now = shop.clock.now();
    store::step(&mut tx, &mut import, Step::Fail, now).await?;
    tx.announce(event(&import, "roster_import.failed")).await?;
    tx.commit().await?;
    Ok(())
}

/// A step of an import.
pub(super) fn event(import: &RosterImport, kind: &'static str) -> Event {
    let reasons: &[StopReason] = &import.stop_reasons;
    Event::new(kind, "roster_import", import.id).with(json!({
        "source": import.source, "source_date": import.source_date, "state": import.state, "sha256": import.sha256,
        "rows_read": import.rows_read, "rows_kept": import.rows_kept, "matched": import.matched,
        "differing": import.differing, "changed": import.changed, "stop_reasons": reasons,
        "overridden": import.overridden,
    }))
}
