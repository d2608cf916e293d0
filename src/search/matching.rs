//! Who can come: therapists near a place, narrowed down by hints, and for those few the engine's word.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::Setting;
use super::cache::{Basis, DiaryRead};
use super::candidates::{self, Batch, LOOKED_AT, Reach, at_a_time};
use crate::App;
use crate::availability::travel::Roads;
use crate::availability::{Diary, Engine, Enquiry, Start, Visit};
use crate::care::VisitCare;
use crate::db::Lent;
use crate::error::Result;
use crate::http::{Cursor, Limit, Page};
use crate::ids::{AccountId, TherapistId};
use crate::prices;
use crate::search::SearchCache;
use crate::values::{Instant, Rating, Span, TimeOfDay, Zone};

/// How many therapists are looked at for one page: what a request costs does not grow with the city.
const MOST_CANDIDATES: usize = 300;

/// How often hints are asked for one page: where few fit what is asked for, a page may stay short.
const MOST_STEPS: usize = 12;

/// How far beyond its range a search that finds nobody looks for the next one who can come.
pub(super) const NEXT: TimeDelta = TimeDelta::days(28);

/// The most days that are looked at in one go: as many as a request may ask for.
const STRETCH: TimeDelta = TimeDelta::days(14);

/// How many windows of candidates are looked through for the next one who can come, in each stretch.
const MOST_WINDOWS: usize = 3;

/// A therapist with at least one start.
pub(super) struct Match {
    pub id: TherapistId,
    pub name: String,
    pub rating: Rating,
    /// From their public area, those begun.
    pub kilometres: i32,
    pub starts: Vec<Start>,
    /// What they rest on.
    pub basis: Basis,
}

/// An order that does not hang on who is booked meanwhile.
#[derive(Clone, Copy)]
pub(super) enum Lasting {
    Distance,
    Rating,
}

/// Where the next page of the soonest begins. Bookings reorder the list while it is read, so that no key can say who was
/// shown: whoever was is named. Whoever moves ahead of the window between two pages, because an earlier time became free and new hints say so, is
/// left to the next search: looking again at all who were passed over would make each page dearer than the one before.
#[derive(Serialize, Deserialize)]
struct Mark {
    /// After whom the therapists that this page looks at begin, in the order of their hints.
    window: Option<(Instant, TherapistId)>,
    /// The marks of those shown last.
    shown: Vec<u32>,
}

/// A short mark of an id (FNV-1a).
fn mark(id: TherapistId) -> u32 {
    id.0.as_bytes().iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// Times of day between which a visit may start, by the clock of its place.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TimesOfDay {
    pub earliest: Option<TimeOfDay>,
    /// Before `earliest` where the night lies between them.
    pub latest: Option<TimeOfDay>,
}

impl TimesOfDay {
    /// Whether a start lies between them.
    pub fn hold(self, zone: Zone, start: DateTime<Utc>) -> bool {
        let at = || TimeOfDay::of(zone.wall(start).time());
        match (self.earliest, self.latest) {
            (None, None) => true,
            (Some(earliest), None) => at() >= earliest,
            (None, Some(latest)) => at() <= latest,
            (Some(earliest), Some(latest)) if earliest <= latest => (earliest..=latest).contains(&at()),
            (Some(earliest), Some(latest)) => at() >= earliest || at() <= latest,
        }
    }
}

/// What is looked for: a visit, within a stretch of time, with whoever reaches its place.
pub(super) struct Search<'a> {
    pub app: &'a App,
    pub setting: &'a Setting,
    /// What decides whether a start suits the person whom the visit is for, where one is named.
    pub care: Option<&'a VisitCare>,
    pub times: TimesOfDay,
    pub reach: Reach<'a>,
    /// Who asks, if a client does.
    pub client: Option<AccountId>,
    pub span: Span,
    pub now: DateTime<Utc>,
}

impl Search<'_> {
    /// The starts of those of `ids` who have any, in the same order. No connection is held while they are computed.
    async fn starts(&self, db: &mut Lent<'_>, ids: &[TherapistId]) -> Result<Vec<Match>> {
        let asked = Enquiry { visit: Some((self.reach.service, self.reach.minutes)), client: self.client };
        let visit = Visit { care: self.care, ..self.setting.visit() };
        let read = self.app.part::<SearchCache>()?.diaries(db.get().await?, ids, asked, self.span, self.now).await?;
        let (mut diaries, bases): (Vec<Diary>, Vec<Basis>) =
            read.into_iter().map(|DiaryRead { diary, basis }| (diary, basis)).unzip();
        self.app.part::<Roads>()?.fill(db.get().await?, &mut diaries, visit.place, self.span, self.now).await?;
        db.give_back();
        let read = diaries.into_iter().zip(bases).map(|(diary, basis)| (diary.therapist, (diary, basis)));
        let mut read: HashMap<TherapistId, (Diary, Basis)> = read.collect();
        let found = ids.iter().filter_map(|id| {
            let (diary, basis) = read.remove(id)?;
            let mut starts = Engine::new(&diary, &visit, self.span, self.now).starts(self.span);
            starts.retain(|start| self.times.hold(visit.zone, start.at));
            let kilometres = prices::kilometres(diary.rules.base?, visit.place);
            (!starts.is_empty()).then_some(Match {
                id: *id,
                name: diary.name,
                rating: diary.rating,
                kilometres,
                starts,
                basis,
            })
        });
        Ok(found.collect())
    }

    /// The one therapist who is asked for.
    pub async fn only(&self, db: &mut Lent<'_>, therapist: TherapistId) -> Result<Page<Match>> {
        let Reach { gender, technique, condition, language, .. } = self.reach;
        let narrowed = gender.is_some() || technique.is_some() || condition.is_some() || language.is_some();
        if narrowed && candidates::reaching(db.get().await?, self.reach, None, 1).await?.found.is_empty() {
            return Ok(Page::whole(Vec::new()));
        }
        Ok(Page::whole(self.starts(db, &[therapist]).await?))
    }

    /// Whoever can come first. Diaries are read in the order from which their therapists may be free, until a page is
    /// full of those whom nobody further on can precede.
    pub async fn soonest(&self, db: &mut Lent<'_>, limit: Limit, cursor: Option<Cursor>) -> Result<Page<Match>> {
        let Mark { window, mut shown } = match cursor {
            Some(cursor) => cursor.key()?,
            None => Mark { window: None, shown: Vec::new() },
        };
        let window = window.map(|(Instant(start), id)| (start, id));
        let mut after = window;
        let mut found: Vec<Match> = Vec::new();
        let (mut looked_at, mut full) = (0, false);
        let key = |found: &Match| (found.starts[0].at, found.id);
        for step in 0..MOST_STEPS {
            let batch = candidates::soonest(db.get().await?, self.reach, self.span, self.now, after, step == 0).await?;
            after = batch.rest;
            looked_at += batch.found.len();
            let fresh: Vec<_> = batch.found.into_iter().filter(|(_, id)| !shown.contains(&mark(*id))).collect();
            for some in fresh.chunks(at_a_time(limit)) {
                let ids: Vec<TherapistId> = some.iter().map(|(_, id)| *id).collect();
                found.extend(self.starts(db, &ids).await?);
                // Nobody further on is free before the last of these may be.
                let settled = |last: &(DateTime<Utc>, TherapistId)| found.iter().filter(|f| key(f) <= *last).count();
                full = some.last().is_some_and(|last| settled(last) > limit.get());
                if full {
                    break;
                }
            }
            // A page that goes on in this window must know all of those who were shown of it.
            if full || after.is_none() || looked_at + LOOKED_AT > MOST_CANDIDATES {
                break;
            }
        }
        found.sort_by_key(key);
        let unshown = found.len() > limit.get();
        found.truncate(limit.get());
        shown.extend(found.iter().map(|found| mark(found.id)));
        shown.drain(..shown.len().saturating_sub(MOST_CANDIDATES));
        let window = if unshown { window } else { after };
        let window = window.map(|(start, id)| (Instant(start), id));
        let more = unshown || after.is_some();
        let next_cursor = more.then(|| Cursor::after(&Mark { window, shown })).transpose()?;
        Ok(Page { data: found, next_cursor })
    }

    /// By an order that lasts: in it and hardly further than the page needs.
    pub async fn in_order(
        &self,
        db: &mut Lent<'_>,
        order: Lasting,
        limit: Limit,
        cursor: Option<Cursor>,
    ) -> Result<Page<Match>> {
        let mut after: Option<(f64, TherapistId)> = cursor.map(|cursor| cursor.key()).transpose()?;
        let reach = Reach { free: Some(self.span), ..self.reach };
        let mut found: Vec<Match> = Vec::new();
        let (mut looked_at, mut keys) = (0, HashMap::new());
        for _ in 0..MOST_STEPS {
            let Batch { found: next, rest } = match order {
                Lasting::Distance => candidates::reaching(db.get().await?, reach, after, limit.get() + 1).await?,
                Lasting::Rating => candidates::best(db.get().await?, reach, after).await?,
            };
            after = rest;
            for some in next.chunks(at_a_time(limit)) {
                let ids: Vec<TherapistId> = some.iter().map(|(_, id)| *id).collect();
                keys.extend(some.iter().map(|(key, id)| (*id, *key)));
                found.extend(self.starts(db, &ids).await?);
                looked_at += some.len();
                if found.len() > limit.get() {
                    break;
                }
            }
            if found.len() > limit.get() || after.is_none() || looked_at >= MOST_CANDIDATES {
                break;
            }
        }
        let page = Page::cut(found, limit, |found| (keys.get(&found.id).copied().unwrap_or_default(), found.id))?;
        // A page that looked at its share of therapists without filling up goes on from the last of them.
        let next_cursor = match (page.next_cursor, after) {
            (None, Some(after)) => Some(Cursor::after(&after)?),
            (cursor, _) => cursor,
        };
        Ok(Page { next_cursor, ..page })
    }

    /// Whoever can come next after the range that was asked for, and when.
    pub async fn next(self, db: &mut Lent<'_>) -> Result<Option<Match>> {
        let mut span = Span { start: self.span.end, end: self.span.end };
        let end = self.span.end + NEXT;
        let mut search = self;
        while span.end < end {
            span = Span { start: span.end, end: (span.end + STRETCH).min(end) };
            search.span = span;
            let mut cursor = None;
            for _ in 0..MOST_WINDOWS {
                let page = match search.reach.therapist {
                    Some(therapist) => search.only(db, therapist).await?,
                    None => search.soonest(db, Limit::ONE, cursor).await?,
                };
                if let Some(found) = page.data.into_iter().next() {
                    return Ok(Some(found));
                }
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
        }
        Ok(None)
    }
}
