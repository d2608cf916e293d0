//! Road times: kept in one table that every process reads, and asked by a job. No decision waits for the routing service,
//! and the list of slots and the booking decide by the same numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Url;
use sqlx::{PgExecutor, PgPool};
use tokio::sync::Semaphore;

use super::osrm::{Osrm, Table, profile};
use super::{Block, LONGEST_MINUTES, RoadTimes, store};
use crate::App;
use crate::availability::Diary;
use crate::availability::jobs::FetchRoadTimes;
use crate::error::Result;
use crate::queue::enqueue_once;
use crate::values::{Point, Span, TravelMode};

/// What was asked so many days ago is asked again once it is needed, and used until it is answered.
const FRESH: TimeDelta = TimeDelta::days(30);

/// What was not needed for so long after that is forgotten.
const UNUSED: TimeDelta = TimeDelta::days(60);

/// What was not answered for so long is forgotten; whoever needs it asks anew.
const GIVEN_UP: TimeDelta = TimeDelta::days(1);

/// The most ways that are kept after a sweep.
const MOST_KEPT: i64 = 1_000_000;

/// The most ways that wait to be asked.
const MOST_WANTED: i64 = 10_000;

/// How many notes of what to ask are being written at a time. More would take the connections that decisions need.
const NOTED_AT_ONCE: usize = 2;

/// The most ways in one question; by default the service takes a hundred points.
const MOST_ASKED: usize = 90;

/// The most questions of one job.
const MOST_QUESTIONS: usize = 200;

/// A way by a mode from block to block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Way {
    pub mode: TravelMode,
    pub from: Block,
    pub to: Block,
}

/// Where road times come from: a routing service, or nowhere.
#[derive(Clone, Default)]
pub struct Roads(Option<Source>);

#[derive(Clone)]
struct Source {
    osrm: Osrm,
    db: PgPool,
    noting: Arc<Semaphore>,
}

impl Roads {
    /// From the service at `url`, if there is one.
    ///
    /// # Errors
    /// Where no client can be made.
    pub fn new(db: &PgPool, url: Option<&Url>) -> Result<Self, String> {
        let noting = Arc::new(Semaphore::new(NOTED_AT_ONCE));
        let source = |url| Ok(Source { osrm: Osrm::new(url)?, db: db.clone(), noting });
        url.map(source).transpose().map(Self)
    }

    /// Fills in what is known of the roads between `place` and the visits that matter to starts within `span`. What is
    /// missing is asked for later; it is estimated until then.
    pub async fn fill<'c>(
        &self,
        db: impl PgExecutor<'c>,
        diaries: &mut [Diary],
        place: Point,
        span: Span,
        now: DateTime<Utc>,
    ) -> Result<()> {
        self.fill_ways(db, diaries, now, |diary| ways(diary, place, span)).await
    }

    /// Whether a routing service is asked, so that what is known of roads may change at any time.
    pub fn are_asked(&self) -> bool {
        self.0.is_some()
    }

    /// Fills in what is known of the roads from each visit to the next.
    pub async fn fill_between<'c>(
        &self,
        db: impl PgExecutor<'c>,
        diaries: &mut [Diary],
        now: DateTime<Utc>,
    ) -> Result<()> {
        self.fill_ways(db, diaries, now, ways_between).await
    }

    async fn fill_ways<'c>(
        &self,
        db: impl PgExecutor<'c>,
        diaries: &mut [Diary],
        now: DateTime<Utc>,
        ways: impl Fn(&Diary) -> Vec<Way>,
    ) -> Result<()> {
        let times = self.known(db, diaries.iter().flat_map(ways), now).await?;
        for diary in diaries {
            diary.roads = times.get(&diary.rules.mode).cloned().unwrap_or_default();
        }
        Ok(())
    }

    /// What is known of the roads from each of `places` to the next.
    pub async fn between<'c>(
        &self,
        db: impl PgExecutor<'c>,
        mode: TravelMode,
        places: &[Point],
        now: DateTime<Utc>,
    ) -> Result<RoadTimes> {
        let ways = places.windows(2).map(|pair| Way { mode, from: Block::of(pair[0]), to: Block::of(pair[1]) });
        Ok(self.known(db, ways, now).await?.remove(&mode).unwrap_or_default())
    }

    /// What is known of `ways`; what is missing is asked for later.
    async fn known<'c>(
        &self,
        db: impl PgExecutor<'c>,
        ways: impl Iterator<Item = Way>,
        now: DateTime<Utc>,
    ) -> Result<BTreeMap<TravelMode, RoadTimes>> {
        let Some(source) = &self.0 else { return Ok(BTreeMap::new()) };
        let asked = ways.filter(|way| way.from != way.to && profile(way.mode).is_some());
        let mut missing: BTreeSet<Way> = asked.collect();
        if missing.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut times: BTreeMap<TravelMode, Vec<_>> = BTreeMap::new();
        for known in store::known(db, missing.iter().copied(), now - FRESH).await? {
            if !known.is_due {
                missing.remove(&known.way);
            }
            if let Some(seconds) = known.seconds {
                times.entry(known.way.mode).or_default().push(((known.way.from, known.way.to), seconds));
            }
        }
        source.want_later(missing, now);
        Ok(times.into_iter().map(|(mode, times)| (mode, times.into_iter().collect())).collect())
    }
}

/// The ways between `place` and the visits that may matter to a start within `span`.
fn ways(diary: &Diary, place: Point, span: Span) -> Vec<Way> {
    let mode = diary.rules.mode;
    let here = Block::of(place);
    // A visit of four hours, its set-up and pack-up, and the longest journey.
    let near = span.widened(LONGEST_MINUTES + 60, LONGEST_MINUTES + 360);
    let others = diary.reservations.iter().filter(|other| other.during.overlaps(near));
    let blocks = others.map(|other| Block::of(other.place));
    blocks.flat_map(|there| [Way { mode, from: there, to: here }, Way { mode, from: here, to: there }]).collect()
}

fn ways_between(diary: &Diary) -> Vec<Way> {
    let blocks: Vec<Block> = diary.reservations.iter().map(|visit| Block::of(visit.place)).collect();
    blocks.windows(2).map(|pair| Way { mode: diary.rules.mode, from: pair[0], to: pair[1] }).collect()
}

impl Source {
    /// Notes what to ask, beside whatever is going on: a decision neither waits for it nor fails with it. Nothing queues in memory:
    /// while the database is slow, what is missing is not noted, and estimated until somebody misses it again.
    fn want_later(&self, ways: BTreeSet<Way>, now: DateTime<Utc>) {
        if ways.is_empty() {
            return;
        }
        let Ok(permit) = self.noting.clone().try_acquire_owned() else { return };
        let source = self.clone();
        tokio::spawn(async move {
            let _until_noted = permit;
            let ways: Vec<Way> = ways.into_iter().collect();
            if let Err(error) = source.want(&ways, now).await {
                tracing::warn!(%error, "road times were not asked for");
            }
        });
    }

    async fn want(&self, ways: &[Way], now: DateTime<Utc>) -> Result<()> {
        let mut tx = self.db.begin().await?;
        if store::want(&mut tx, ways, MOST_WANTED, now).await? {
            enqueue_once(&mut tx, &FetchRoadTimes, "fetch_road_times", now).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// Asks for what is wanted, as far as the service answers. What it does not answer waits for the next that is wanted, or the
/// next sweep, and is estimated meanwhile.
pub async fn fetch(app: &App) -> Result<()> {
    let Some(Source { osrm, db, .. }) = &app.part::<Roads>()?.0 else { return Ok(()) };
    let mut left = MOST_QUESTIONS;
    loop {
        let wanted = store::wanted(db, 1000).await?;
        if wanted.is_empty() {
            return Ok(());
        }
        for table in tables(wanted) {
            let Some(rest) = left.checked_sub(1) else { return Ok(()) };
            left = rest;
            match osrm.seconds(&table).await {
                Ok(seconds) => store::keep(db, &table.ways(), &seconds, app.clock.now()).await?,
                Err(why) => {
                    tracing::warn!(why, "the routing service is of no use at present");
                    return Ok(());
                }
            }
        }
    }
}

/// Forgets what is of no use any more, and sees to it that what still waits is asked again.
pub async fn tidy(app: &App, now: DateTime<Utc>) -> Result<()> {
    store::prune(&app.db, now - UNUSED, now - GIVEN_UP, MOST_KEPT).await?;
    if app.part::<Roads>()?.0.is_some() && !store::wanted(&app.db, 1).await?.is_empty() {
        let mut work = app.begin(None).await?;
        enqueue_once(&mut work, &FetchRoadTimes, "fetch_road_times", now).await?;
        work.commit().await?;
    }
    Ok(())
}

impl Table {
    fn ways(&self) -> Vec<Way> {
        let (mode, hub) = (self.mode, self.hub);
        let way = |other: &Block| {
            if self.outward { Way { mode, from: hub, to: *other } } else { Way { mode, from: *other, to: hub } }
        };
        self.others.iter().map(way).collect()
    }
}

/// The fewest questions that come to mind: ways that share their beginning, or else their end, go together.
fn tables(ways: Vec<Way>) -> Vec<Table> {
    let mut hubs: BTreeMap<(TravelMode, Block, bool), usize> = BTreeMap::new();
    let ends = |way: &Way| [(way.mode, way.from, true), (way.mode, way.to, false)];
    for end in ways.iter().flat_map(ends) {
        *hubs.entry(end).or_default() += 1;
    }
    let mut others: BTreeMap<(TravelMode, Block, bool), Vec<Block>> = BTreeMap::new();
    for way in &ways {
        let [outward, inward] = ends(way);
        let by_start = hubs[&outward] >= hubs[&inward];
        let (hub, other) = if by_start { (outward, way.to) } else { (inward, way.from) };
        others.entry(hub).or_default().push(other);
    }
    let whole = others.into_iter().flat_map(|((mode, hub, outward), others)| {
        let parts: Vec<_> = others.chunks(MOST_ASKED).map(<[Block]>::to_vec).collect();
        parts.into_iter().map(move |others| Table { mode, hub, outward, others })
    });
    whole.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_with_an_end_in_common_are_asked_in_one_question() {
        let mode = TravelMode::Car;
        let here = Block(7);
        let to_here = |n| Way { mode, from: Block(n), to: here };
        let from_here = |n| Way { mode, from: here, to: Block(n) };
        let ways: Vec<Way> = (100..300).flat_map(|n| [to_here(n), from_here(n)]).collect();
        let tables = tables(ways.clone());
        assert_eq!(tables.len(), 6, "200 each way, 90 at a time");
        assert!(tables.iter().all(|table| table.hub == here && table.others.len() <= MOST_ASKED));
        let mut asked: Vec<Way> = tables.iter().flat_map(Table::ways).collect();
        asked.sort_unstable();
        let mut ways = ways;
        ways.sort_unstable();
        assert_eq!(asked, ways);
    }
}
