//! The audit by command.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::{Break, Head, Keys, Place, holds, newest_head, verify as walk};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Links and heads that are looked at within one snapshot, about.
const MOST: usize = 100_000;

/// Prints whether the audit is what was written, up to `now`. It must contain what `kept` says of it too: a line that
/// [`head`] printed, or the path of a file of such lines.
///
/// # Errors
/// One sentence that names the first place that is broken, or says what is wrong with `kept`.
pub async fn verify(db: &PgPool, keys: &Keys, kept: Option<&str>, now: DateTime<Utc>) -> Result<(), Failure> {
    let kept = kept.map_or(Ok(Vec::new()), kept_heads)?;
    let (mut entries, mut breaks, mut place) = (0, Vec::new(), Some(Place::Chain(0)));
    while let Some(from) = place {
        let found = walk(db, keys, from, MOST, now).await?;
        entries += found.entries;
        breaks.extend(found.breaks);
        place = found.rest;
    }
    for head in &kept {
        breaks.extend(holds(db, keys, head).await?);
    }
    let Some(Break { link, position, damage }) = breaks.first() else {
        println!("The audit is intact: {entries} entries.");
        return Ok(());
    };
    let place = match (link, position) {
        (_, Some(position)) => format!("position {position}"),
        (Some(link), None) => format!("link {link}"),
        (None, None) => "its end".to_owned(),
    };
    Err(format!("the audit is broken in {} places of {entries} entries, first at {place}: {damage:?}", breaks.len())
        .into())
}

/// The heads that a line or a file of lines tells of.
fn kept_heads(kept: &str) -> Result<Vec<Head>, Failure> {
    if let Ok(head) = kept.parse() {
        return Ok(vec![head]);
    }
    let text = std::fs::read_to_string(kept).map_err(|error| format!("{kept}: {error}"))?;
    let heads: Vec<Head> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.parse().map_err(|why| format!("{kept}: {why}")))
        .collect::<Result<_, _>>()?;
    if heads.is_empty() { Err(format!("{kept} holds no line").into()) } else { Ok(heads) }
}

/// Prints the newest head as one line, and on standard error the public key that signs now.
///
/// # Errors
/// Nothing was signed yet, or not by one of `keys`.
pub async fn head(db: &PgPool, keys: &Keys) -> Result<(), Failure> {
    let head = newest_head(db).await?.ok_or("nothing was signed yet: does a worker run?")?;
    if !keys.signed(&head) {
        return Err("the newest head was not signed by a key of KNEAD_AUDIT_KEY; see `knead audit verify`".into());
    }
    println!("{head}");
    if let Some((id, key)) = keys.public() {
        eprintln!("The public key {id} is {key}");
    }
    Ok(())
}
