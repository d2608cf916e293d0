//! Holds the audit against its chain, and the chain against its signed heads.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::ToSchema;
use uuid::Uuid;

use super::heads::{Head, Keys};
use super::{AuditEntry, store};
use crate::error::Result;

/// What is wrong with the audit at some place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Break {
    /// The number within the chain; null for an entry outside it.
    pub link: Option<i64>,
    /// The entry's position; null where no entry is left to name.
    pub position: Option<i64>,
    /// The kind of damage.
    pub damage: Damage,
}

/// A kind of damage to the audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Damage {
    /// The entry is not what was written; or the one before was changed and its hash with it.
    Altered,
    /// The chain tells of an entry that is gone.
    Missing,
    /// Links before this one were taken out, or others put in.
    BrokenBefore,
    /// A signed head tells of a link that is gone.
    EndMissing,
    /// The link lies beyond the newest head: it was never signed, or its head is gone.
    BeyondEnd,
    /// The chain is not the one that was signed: it was made anew from an earlier entry on.
    Rewritten,
    /// None of the keys signed this head.
    Forged,
    /// The entry is not in the chain, and not of the last minute: it was put in, or nothing chains the audit.
    Unchained,
}

/// For how long an entry may wait until it is chained.
const PATIENCE: TimeDelta = TimeDelta::minutes(1);

/// A link of the chain, with its entry where that is there.
pub(super) struct Link {
    pub link: i64,
    pub position: i64,
    pub hash: Vec<u8>,
    pub entry: Option<AuditEntry>,
}

/// An entry that is not in the chain.
pub(super) struct Unchained {
    pub position: i64,
    pub time: DateTime<Utc>,
}

/// Walks the chain and remembers what is broken.
struct Walk<'a> {
    keys: &'a Keys,
    /// The last link that was looked at, and its hash.
    last: (i64, Vec<u8>),
    breaks: Vec<Break>,
    entries: usize,
}

impl Walk<'_> {
    /// Looks at the next link. The newest head vouches for `signed` links.
    fn pass(&mut self, link: &Link, signed: i64) {
        let (before, hash) = &self.last;
        let damage = match &link.entry {
            _ if link.link != before + 1 => Some(Damage::BrokenBefore),
            None => Some(Damage::Missing),
            Some(entry) if entry.position != link.position || entry.hash(link.link, hash) != link.hash => {
                Some(Damage::Altered)
            }
            _ if link.link > signed => Some(Damage::BeyondEnd),
            _ => None,
        };
        self.breaks.extend(damage.map(|damage| Break { link: Some(link.link), position: Some(link.position), damage }));
        self.entries += 1;
        self.last = (link.link, link.hash.clone());
    }

    /// Holds a head against the link that it ends with, by position and hash; none where that is gone.
    fn hold(&mut self, head: &Head, end: Option<(i64, &[u8])>) {
        let damage = match end {
            _ if !self.keys.signed(head) => Some(Damage::Forged),
            None => Some(Damage::EndMissing),
            Some((_, hash)) if hash != head.hash => Some(Damage::Rewritten),
            Some(_) => None,
        };
        let position = end.map(|(position, _)| position);
        self.breaks.extend(damage.map(|damage| Break { link: Some(head.size), position, damage }));
    }
}

/// Where a walk stands: first it goes along the chain, then over the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// After this link.
    Chain(i64),
    /// After the entry with this id; at the first one, where there is none.
    Entries(Option<Uuid>),
}

/// What a walk over a part of the audit found.
#[derive(Debug)]
pub struct Findings {
    /// Entries of the chain that were looked at.
    pub entries: usize,
    /// What is broken, in the order in which it was found.
    pub breaks: Vec<Break>,
    /// Where to go on, where there is more.
    pub rest: Option<Place>,
}

/// Links that are read at a time.
const BATCH: i64 = 2_000;

/// Looks at about `most` links and heads after `from`, or at ten times as many entries, within one snapshot. What has not been
/// chained within a minute of `now` is damage.
pub async fn verify(db: &PgPool, keys: &Keys, from: Place, most: usize, now: DateTime<Utc>) -> Result<Findings> {
    let mut tx = store::snapshot(db).await?;
    let mut walk = Walk { keys, last: (0, vec![0; 32]), breaks: Vec::new(), entries: 0 };
    let mut looked_at = 0;
    let mut place = Some(from);
    while let Some(at) = place.filter(|_| looked_at < most) {
        place = match at {
            Place::Chain(from) => {
                walk.last = (from, store::hash_at(&mut tx, from).await?.map_or_else(|| vec![0; 32], |(_, hash)| hash));
                let links = store::links(&mut tx, from, BATCH).await?;
                // The last stretch has the heads of what is gone from the end.
                let last = links.last().map_or(i64::MAX, |last| last.link);
                let heads = store::heads(&mut tx, from, last, BATCH).await?;
                let signed = store::newest_head(&mut *tx).await?.map_or(0, |head| head.size);
                links.iter().for_each(|link| walk.pass(link, signed));
                let ends: BTreeMap<i64, &Link> = links.iter().map(|link| (link.link, link)).collect();
                for head in &heads {
                    walk.hold(head, ends.get(&head.size).map(|end| (end.position, end.hash.as_slice())));
                }
                looked_at += links.len() + heads.len();
                Some(links.last().map_or(Place::Entries(None), |last| Place::Chain(last.link)))
            }
            Place::Entries(from) => {
                let (last, unchained) = store::unchained(&mut tx, from, 10 * BATCH).await?;
                let overdue = unchained.iter().filter(|entry| (now - entry.time).abs() > PATIENCE);
                walk.breaks.extend(overdue.map(|entry| Break {
                    link: None,
                    position: Some(entry.position),
                    damage: Damage::Unchained,
                }));
                looked_at += usize::try_from(BATCH).unwrap_or(most);
                last.map(|last| Place::Entries(Some(last)))
            }
        };
    }
    tx.commit().await?;
    Ok(Findings { entries: walk.entries, breaks: walk.breaks, rest: place })
}

/// What is broken where the audit does not contain what `head`, which was kept elsewhere, says of it.
pub async fn holds(db: &PgPool, keys: &Keys, head: &Head) -> Result<Option<Break>> {
    let mut tx = store::snapshot(db).await?;
    let mut walk = Walk { keys, last: (0, Vec::new()), breaks: Vec::new(), entries: 0 };
    let end = store::hash_at(&mut tx, head.size).await?;
    walk.hold(head, end.as_ref().map(|(position, hash)| (*position, hash.as_slice())));
    tx.commit().await?;
    Ok(walk.breaks.pop())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::generate_signing_key;

    fn chain(length: i64) -> Vec<Link> {
        let mut hash = vec![0; 32];
        let link = |link: i64| {
            let entry = AuditEntry {
                id: Uuid::from_u128(link.unsigned_abs().into()),
                position: link * 10,
                therapist: None,
                client: None,
                time: DateTime::UNIX_EPOCH,
                actor: None,
                party: None,
                kind: "credential.verify".to_owned(),
                subject_type: "credential".to_owned(),
                subject_id: link.to_string(),
                number: 1,
                from: None,
                to: None,
                details: "{}".to_owned(),
            };
            hash = entry.hash(link, &hash);
            Link { link, position: link * 10, hash: hash.clone(), entry: Some(entry) }
        };
        (1..=length).map(link).collect()
    }

    fn walked(links: &[Link], signed: i64) -> Vec<Break> {
        let keys = Keys::new(&generate_signing_key().expect("a key").into()).expect("keys");
        let mut walk = Walk { keys: &keys, last: (0, vec![0; 32]), breaks: Vec::new(), entries: 0 };
        links.iter().for_each(|link| walk.pass(link, signed));
        walk.breaks
    }

    fn broken(link: i64, damage: Damage) -> Break {
        Break { link: Some(link), position: Some(link * 10), damage }
    }

    fn entry(links: &mut [Link], index: usize) -> &mut AuditEntry {
        links[index].entry.as_mut().expect("an entry")
    }

    #[test]
    fn damage_shows_where_it_was_done() {
        assert_eq!(walked(&chain(5), 5), []);
        assert_eq!(walked(&chain(5), 4), [broken(5, Damage::BeyondEnd)]);

        let mut altered = chain(5);
        entry(&mut altered, 2).subject_id = "someone else".to_owned();
        assert_eq!(walked(&altered, 5), [broken(3, Damage::Altered)]);

        // Whoever mends the hash breaks the next link.
        altered[2].hash = altered[2].entry.as_ref().expect("an entry").hash(3, &altered[1].hash);
        assert_eq!(walked(&altered, 5), [broken(4, Damage::Altered)]);

        let mut missing = chain(5);
        missing[1].entry = None;
        assert_eq!(walked(&missing, 5), [broken(2, Damage::Missing)]);

        let mut shorter = chain(5);
        shorter.remove(1);
        assert_eq!(walked(&shorter, 5), [broken(3, Damage::BrokenBefore)]);

        let mut swapped = chain(5);
        swapped.swap(1, 2);
        assert_eq!(walked(&swapped, 5).first().map(|found| found.link), Some(Some(3)));
    }
}
