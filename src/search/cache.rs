//! What searches read before: diaries, and what holds at a place. They ask for the same ones again and again, and between two bookings
//! nothing in them changes: a number that the database raises with every change tells, in one short statement, which are still
//! good. So what a search shows is as exact as if all had been read anew.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use quick_cache::sync::Cache;
use sqlx::PgConnection;

use super::Setting;
use crate::availability::{self, Diary, Enquiry, MARGIN, StoredDiary};
use crate::error::Result;
use crate::ids::{ServiceId, TherapistId};
use crate::prices;
use crate::values::{AddressKind, Place, Span};

/// Diaries that are kept at the most; with a visit a day, each takes some four kilobytes.
const MOST_KEPT: usize = 16_384;

/// Days from now that are read at least, so that the next search finds its days there.
const AHEAD: Days = Days::new(18);

/// Searches that begin later are rare, and what they read is not kept.
const FURTHEST: TimeDelta = TimeDelta::days(62);

/// Places with a service that are kept at the most.
const MOST_SETTINGS: usize = 4_096;

/// A service for so long at a place: by its jurisdiction and the bits of its coordinates.
type At = (String, [u64; 2], ServiceId, i16);

/// What holds at a place for starts within a span, as it was read.
struct KeptSetting {
    /// In changes of what holds for all.
    rulebook: i64,
    /// When a price takes effect that was known then.
    until: Option<DateTime<Utc>>,
    span: Span,
    setting: Setting,
}

/// What this process knows.
pub struct SearchCache {
    diaries: Cache<TherapistId, Arc<StoredDiary>>,
    settings: Cache<At, Arc<KeptSetting>>,
}

impl Default for SearchCache {
    fn default() -> Self {
        Self { diaries: Cache::new(MOST_KEPT), settings: Cache::new(MOST_SETTINGS) }
    }
}

/// The stretch that is read for `span`, so that what is asked for next lies in it; none where it is far away and not kept.
fn wide(span: Span, now: DateTime<Utc>) -> Option<Span> {
    // Everywhere today has begun by then.
    let start = now.date_naive().and_time(NaiveTime::MIN).and_utc() - Days::new(1);
    let kept = span.start >= start && span.end <= now + FURTHEST;
    kept.then(|| Span { start, end: span.end.max(start + AHEAD) })
}

impl SearchCache {
    /// What holds at a place for starts within `span`, as [`Setting::at`] reads it.
    pub(super) async fn setting(
        &self,
        db: &mut PgConnection,
        place: Place,
        kind: Option<AddressKind>,
        (service, minutes): (ServiceId, i16),
        span: Span,
        now: DateTime<Utc>,
    ) -> Result<Setting> {
        let Some(wide) = wide(span, now) else {
            return Setting::at(db, place, kind, service, minutes, span, now).await;
        };
        let bits = [place.point.latitude.to_bits(), place.point.longitude.to_bits()];
        let at = (place.jurisdiction.as_str().to_owned(), bits, service, minutes);
        let rulebook = availability::rulebook(&mut *db).await?;
        if let Some(kept) = self.settings.get(&at)
            && kept.rulebook == rulebook
            && kept.until.is_none_or(|until| now < until)
            && kept.span.contains(span)
        {
            let setting = kept.setting.clone();
            return Ok(Setting { place, kind, tariff: setting.tariff.as_of(now), ..setting });
        }
        let until = prices::next_change(&mut *db, now).await?;
        let setting = Setting::at(db, place, kind, service, minutes, wide, now).await?;
        self.settings.insert(at, Arc::new(KeptSetting { rulebook, until, span: wide, setting: setting.clone() }));
        Ok(setting)
    }

    /// The diaries of `therapists` for starts within `span`, in no order, as [`availability::diaries`] reads them.
    pub(super) async fn diaries(
        &self,
        db: &mut PgConnection,
        therapists: &[TherapistId],
        asked: Enquiry,
        span: Span,
        now: DateTime<Utc>,
    ) -> Result<Vec<Diary>> {
        let Some(wide) = wide(span, now) else {
            return availability::diaries(db, therapists, asked, span, now).await;
        };
        let needed = Span { start: span.start - MARGIN, end: span.end + MARGIN };
        let known = therapists.iter().filter_map(|id| Some((*id, self.diaries.get(id)?)));
        let mut known: HashMap<TherapistId, Arc<StoredDiary>> = known.collect();
        let mut found = Vec::with_capacity(therapists.len());
        if !known.is_empty() {
            for (id, revision, blocked) in availability::revisions(&mut *db, therapists, asked.client).await? {
                let good = known.remove(&id).filter(|stored| stored.is_good(revision, needed));
                let diary = good.map(|stored| StoredDiary::clone(&stored).open(asked, needed, now));
                found.extend(diary.map(|diary| Diary { blocked, ..diary }));
            }
        }
        let unknown: Vec<TherapistId> =
            therapists.iter().copied().filter(|id| !found.iter().any(|diary| diary.therapist == *id)).collect();
        if !unknown.is_empty() {
            let wide = Span { start: wide.start - MARGIN, end: wide.end + MARGIN };
            for stored in availability::stored(db, &unknown, asked.client, wide).await? {
                self.diaries.insert(stored.diary.therapist, Arc::new(stored.clone()));
                found.push(stored.open(asked, needed, now));
            }
        }
        Ok(found)
    }
}
