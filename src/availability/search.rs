//! Who can come: the engine's word for the therapists near a place.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::intervals::Span;
use super::{Asked, Diary, Engine, Start, Visit, diaries};
use crate::App;
use crate::error::Result;
use crate::http::{Cursor, Limit, Page};
use crate::ids::TherapistId;
use crate::therapists::{self, Nearby, Reach};
use crate::values::Instant;

/// How many therapists are looked at in one page, nearest first: what a request costs does not grow with the city.
const MOST_CANDIDATES: i64 = 300;

/// How many are looked at in one go, at the least.
const FEWEST_CANDIDATES: i64 = 50;

/// A therapist with at least one start.
pub(super) struct Found {
    pub near: Nearby,
    pub starts: Vec<Start>,
}

/// What is looked for: a visit, within a stretch of time, with whoever reaches its place.
pub(super) struct Search<'a> {
    pub app: &'a App,
    pub reach: Reach<'a>,
    pub visit: &'a Visit<'a>,
    pub span: Span,
    pub now: DateTime<Utc>,
}

impl Search<'_> {
    /// The starts of those of `near` who have any, in the same order.
    async fn starts(&self, near: Vec<Nearby>) -> Result<Vec<Found>> {
        let ids: Vec<TherapistId> = near.iter().map(|near| near.id).collect();
        let asked = Asked { service: self.reach.service, minutes: self.reach.minutes };
        let mut diaries = diaries(&self.app.db, &ids, asked, self.span, self.now).await?;
        self.app.roads.fill(&self.app.db, &mut diaries, self.visit.place, self.span, self.now).await?;
        let diaries: HashMap<TherapistId, Diary> = diaries.into_iter().map(|diary| (diary.therapist, diary)).collect();
        let found = near.into_iter().filter_map(|near| {
            let engine = Engine::new(diaries.get(&near.id)?, self.visit, self.span, self.now);
            let starts = engine.starts(self.span);
            (!starts.is_empty()).then_some(Found { near, starts })
        });
        Ok(found.collect())
    }

    pub async fn soonest(&self, limit: Limit, cursor: Option<Cursor>) -> Result<Page<Found>> {
        let near = therapists::reaching(&self.app.db, self.reach, None, MOST_CANDIDATES).await?;
        let mut found = self.starts(near).await?;
        let key = |found: &Found| (Instant(found.starts[0].at), found.near.id);
        found.sort_by_key(key);
        if let Some(after) = cursor.map(|cursor| cursor.key()).transpose()? {
            found.retain(|found| key(found) > after);
        }
        Page::cut(found, limit, key)
    }

    pub async fn nearest(&self, limit: Limit, cursor: Option<Cursor>) -> Result<Page<Found>> {
        let key = |near: &Nearby| (near.distance_km, near.id);
        let mut after = cursor.map(|cursor| cursor.key()).transpose()?;
        let mut found: Vec<Found> = Vec::new();
        // Nearest first and hardly further than the page needs, in few statements for a short page too.
        let batch = (limit.probe() * 2).max(FEWEST_CANDIDATES);
        for _ in 0..MOST_CANDIDATES / batch {
            let near = therapists::reaching(&self.app.db, self.reach, after, batch).await?;
            let last = i64::try_from(near.len()).unwrap_or(0) < batch;
            after = if last { None } else { near.last().map(key) };
            found.extend(self.starts(near).await?);
            if last || found.len() > limit.get() {
                break;
            }
        }
        let page = Page::cut(found, limit, |found| key(&found.near))?;
        // A page that looked at its share of therapists without filling up goes on from the last of them.
        let next_cursor = match (page.next_cursor, after) {
            (None, Some(after)) => Some(Cursor::after(&after)?),
            (cursor, _) => cursor,
        };
        Ok(Page { next_cursor, ..page })
    }
}
