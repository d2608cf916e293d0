//! The same by command, with the progress on the terminal.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use actix_web::web::Bytes;
use aws_lc_rs::digest::{Context, SHA256};
use chrono::Datelike;
use futures_util::stream::iter;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sqlx::PgPool;

use super::applying::{Override, apply, begin_apply};
use super::lifecycle::ImportState;
use super::reading::{Progress, fail, read};
use super::sources::{SOURCES, Source};
use super::store::{self, NewImport, findings};
use super::{OLDEST, RosterImport, SIZE_LIMIT};
use crate::error::{Error, Result};
use crate::events::Workshop;
use crate::ids::RosterImportId;
use crate::values::{Day, name};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The lists that can be imported, one a line.
pub fn sources() -> String {
    SOURCES
        .iter()
        .map(|source| format!("{:<12} {:<10} {}\n", source.code, source.credential_type, source.authority))
        .collect()
}

/// What is to be imported.
pub struct Asked<'a> {
    /// The file.
    pub file: &'a Path,
    /// The source's code.
    pub source: &'a str,
    /// The date that the list bears; today where it is not told.
    pub source_date: Option<Day>,
    /// Whether it is to take effect.
    pub apply: bool,
}

/// Reads a list, prints what it says, and lets it take effect where that is asked for. Fails where a rule stops it.
pub async fn import(shop: &Workshop, asked: Asked<'_>) -> Result<(), Failure> {
    let source = Source::find(asked.source)
        .ok_or_else(|| format!("there is no source {}; see `knead roster sources`", asked.source))?;
    let today = source.today(shop.clock.now());
    let source_date = asked.source_date.map_or(today, |Day(date)| date);
    if source_date > today.max(shop.clock.now().date_naive()) {
        return Err("the date of the source lies in the future".into());
    }
    if source_date.year() < OLDEST {
        return Err("the date of the source lies before 2000".into());
    }
    let (size, sha256) = measure(asked.file).map_err(|error| format!("{}: {error}", asked.file.display()))?;
    let file_name = asked.file.file_name().map(|name| name.to_string_lossy().chars().take(200).collect::<String>());
    let now = shop.clock.now();
    let new = NewImport {
        id: RosterImportId::new(now),
        source: source.code,
        file_name: file_name.as_deref(),
        sha256,
        size,
        source_date,
        uploaded_by: None,
    };
    let mut tx = shop.begin(None).await?;
    super::routes::receive(&mut tx, &new, now).await?;
    tx.commit().await?;

    let bar = bar(size);
    let mut lines = Lines::default();
    let outcome = read(shop, new.id, iter(pieces(File::open(asked.file)?)), |progress| {
        bar.set_position(progress.bytes_read.unsigned_abs());
        bar.set_message(format!("{} rows", progress.rows_read));
        if bar.is_hidden() {
            lines.tell(progress);
        }
    })
    .await;
    bar.finish_and_clear();
    if let Err(error) = outcome {
        fail(shop, new.id).await?;
        return Err(told(error).into());
    }
    let import = store::find(&shop.db, new.id).await?.ok_or(Error::NotFound)?;
    print!("{}", preview(&shop.db, &import).await?);
    if import.state == ImportState::Stopped {
        let reasons: Vec<String> = import.stop_reasons.iter().map(name).collect();
        return Err(format!("the import was stopped: {}", reasons.join(", ")).into());
    }
    if asked.apply {
        let mut tx = shop.begin(None).await?;
        begin_apply(&mut tx, new.id, Override::default()).await?;
        tx.commit().await?;
        apply(shop, new.id, |_| {}).await?;
        let changed = store::find(&shop.db, new.id).await?.map_or(0, |import| import.changed);
        println!("Applied: {changed} credentials changed.");
    }
    Ok(())
}

async fn preview(db: &PgPool, import: &RosterImport) -> Result<String> {
    let mut text = format!(
        "Import {}\n  {} of {}, {} rows read, {} kept, {} rejected\n  {} of our credentials found, {} of them with news\n",
        import.id,
        import.source,
        import.source_date,
        import.rows_read,
        import.rows_kept,
        import.rows_rejected,
        import.matched,
        import.differing
    );
    for (outcome, count) in findings::counts(db, import.id).await? {
        text.push_str(&format!("  {count} {}\n", name(&outcome)));
    }
    for warning in &import.warnings {
        text.push_str(&format!("  {warning}\n"));
    }
    for row in import.rejected.iter().take(10) {
        text.push_str(&format!("  line {}: {}\n", row.line, name(&row.reason)));
    }
    Ok(text)
}

/// What whoever gave the command is told: a cause that is not theirs goes to the log.
fn told(error: Error) -> String {
    match error {
        Error::Internal(cause) => {
            tracing::error!(cause, "a roster cannot be read");
            "the list cannot be read; the log says more".to_owned()
        }
        Error::Unavailable(cause) => {
            tracing::error!(cause, "a roster cannot be read now");
            "the list cannot be read now: try again".to_owned()
        }
        error => error.to_string(),
    }
}

/// A bar where there is a terminal.
fn bar(size: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Plain lines where there is none.
#[derive(Default)]
struct Lines {
    told: i64,
}

impl Lines {
    fn tell(&mut self, progress: &Progress) {
        if progress.rows_read - self.told >= 100_000 {
            self.told = progress.rows_read;
            eprintln!("{} rows read", progress.rows_read);
        }
    }
}

/// The file in pieces.
fn pieces(mut file: File) -> impl Iterator<Item = Result<Bytes>> {
    std::iter::from_fn(move || {
        let mut piece = vec![0; 64 * 1024];
        match file.read(&mut piece) {
            Ok(0) => None,
            Ok(length) => {
                piece.truncate(length);
                Some(Ok(piece.into()))
            }
            Err(error) => Some(Err(Error::Unavailable(error.to_string()))),
        }
    })
}

/// The size of a file and its SHA-256.
fn measure(file: &Path) -> Result<(u64, [u8; 32]), Failure> {
    let (mut size, mut digest) = (0, Context::new(&SHA256));
    for piece in pieces(File::open(file)?) {
        let piece = piece?;
        size += piece.len() as u64;
        digest.update(&piece);
    }
    if size == 0 {
        return Err("the file is empty".into());
    }
    if size > SIZE_LIMIT {
        return Err("the file is larger than 1 GB".into());
    }
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest.finish().as_ref());
    Ok((size, sha256))
}
