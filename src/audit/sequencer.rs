//! Chains what has been committed, and signs the heads. One works at a time over all processes; where it dies, the next
//! one goes on from what is stored.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::gauge;
use sqlx::PgPool;

use super::heads::Keys;
use super::store;
use crate::App;
use crate::error::{Error, Result};

/// How often new entries are looked for.
const EVERY: Duration = Duration::from_millis(500);

/// How long it waits after it failed.
const REST: Duration = Duration::from_secs(5);

/// Entries that one head is signed for at most.
const BATCH: i64 = 2_000;

/// Chains until `stop` ends it, and goes on after the database was away. Once a day it thins the heads. The numbers that others
/// watch are taken too.
pub async fn run(app: Arc<App>, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    let mut thinned = None;
    loop {
        let round = async {
            let now = app.clock.now();
            while chain(&app.db, app.part::<Keys>()?, app.clock.now()).await? {}
            if thinned != Some(now.date_naive()) {
                store::thin_heads(&app.db, now).await?;
                thinned = Some(now.date_naive());
            }
            let (pending, head) = store::state(&app.db).await?;
            gauge!("audit_pending_entries").set(pending as f64);
            if let Some(at) = head {
                gauge!("audit_head_age_seconds").set((app.clock.now() - at).as_seconds_f64());
            }
            Ok::<_, Error>(())
        };
        // A round may be dropped anywhere: what it has not committed is as it was.
        let outcome = tokio::select! {
            () = &mut stop => return,
            outcome = round => outcome,
        };
        let pause = match outcome {
            Ok(()) => EVERY,
            Err(error) => {
                tracing::error!(%error, "the audit was not chained");
                REST
            }
        };
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Chains a batch of what has been committed and signs the head, in one transaction. Whether there may be more at once: not
/// where nothing waits, nor where another process is at it.
///
/// # Errors
/// Nothing is signed on top of a chain that does not end as one of the keys has signed: that would hide that it was cut.
pub async fn chain(db: &PgPool, keys: &Keys, now: DateTime<Utc>) -> Result<bool> {
    let mut tx = db.begin().await?;
    if !store::anything_pending(&mut tx).await? || !store::alone(&mut tx).await? {
        tx.commit().await?;
        return Ok(false);
    }
    let (mut size, mut hash) = store::end(&mut tx).await?.unwrap_or((0, vec![0; 32]));
    let sound = match store::newest_head(&mut *tx).await? {
        Some(head) => (head.size, &head.hash) == (size, &hash) && keys.signed(&head),
        None => size == 0,
    };
    if !sound {
        return Err(Error::Internal(
            "the audit does not end as it was signed, or its key is missing from KNEAD_AUDIT_KEY: see `knead audit verify`"
                .to_owned(),
        ));
    }
    let entries = store::take(&mut tx, BATCH).await?;
    let (mut links, mut chained, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
    for entry in &entries {
        size += 1;
        hash = entry.hash(size, &hash);
        links.push(size);
        chained.push((entry.position, entry.id));
        hashes.push(hash.clone());
    }
    if !entries.is_empty() {
        store::append(&mut tx, &links, chained, &hashes).await?;
        store::save_head(&mut tx, &keys.sign(size, now, hash)?).await?;
    }
    tx.commit().await?;
    Ok(true)
}
