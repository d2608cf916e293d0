//! What searches read before: diaries, and what holds at a place. They ask for the same ones again and again, and between two bookings
//! nothing in them changes: a number that the database raises with every change tells, in one short statement, which are still
//! good. So what a search shows is as exact as if all had been read anew.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use chrono::{DateTime, Days, DurationRound, NaiveDate, NaiveTime, TimeDelta, Utc};
use metrics::gauge;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sqlx::{PgConnection, PgPool};

use super::Setting;
use super::slots::SlotOrder;
use crate::availability::{self, Diary, Enquiry, MARGIN, Revision, StoredDiary};
use crate::care::next_care_change;
use crate::db::Together;
use crate::error::Result;
use crate::http::Written;
use crate::ids::{AccountId, ServiceId, TherapistId};
use crate::prices;
use crate::values::{AddressKind, Place, Span};

/// Bytes of diaries that are kept at the most, about; with a visit a day, each takes some four kilobytes.
const MOST_KEPT: u64 = 64 << 20;

/// Diaries that are expected in so much room.
const DIARIES: usize = 16_384;

/// Days from now that are read at least, so that the next search finds its days there.
const AHEAD: Days = Days::new(18);

/// Searches that begin later are rare, and what they read is not kept.
const FURTHEST: TimeDelta = TimeDelta::days(62);

/// Bytes of places with a service that are kept at the most, about.
const MOST_SETTINGS: u64 = 16 << 20;

/// Places with a service that are expected in so much room.
const SETTINGS: usize = 4_096;

/// A service for so long at a place: by its jurisdiction and the bits of its coordinates.
type At = (String, [u64; 2], ServiceId, i16);

/// What holds at a place for starts within a span, as it was read.
struct KeptSetting {
    /// In changes of what holds for all.
    rulebook: i64,
    /// When a price or a policy of care takes effect that was known then.
    until: Option<DateTime<Utc>>,
    span: Span,
    setting: Setting,
}

/// Bytes of answers that are kept at the most.
const MOST_ANSWERED: u64 = 64 << 20;

/// Answers that are expected in so much room.
const ANSWERS: usize = 8_192;

/// What an answer hangs on that is the same for all, besides the diaries and the time.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub listed: Listed,
    at: At,
    kind: Option<AddressKind>,
    dates: (NaiveDate, NaiveDate),
}

impl Question {
    /// A service for so many minutes at a place, on dates by the clock there.
    pub fn new(
        listed: Listed,
        place: &Place,
        kind: Option<AddressKind>,
        visit: (ServiceId, i16),
        dates: (NaiveDate, NaiveDate),
    ) -> Self {
        Self { listed, at: at(place, visit), kind, dates }
    }
}

/// Whose starts are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Listed {
    /// One therapist's.
    One(TherapistId),
    /// Those of so many, in this order.
    Many(SlotOrder, usize),
}

/// An answer as it was written, and for how long it is the right one.
struct KeptAnswer {
    revision: Revision,
    /// Until the end of this minute: notice and horizon are whole minutes, and so are starts.
    minute: DateTime<Utc>,
    /// When a reservation lapses or a price takes effect.
    before: Option<DateTime<Utc>>,
    /// Who holds time in the diary: what they hold is free for them alone.
    holders: Vec<AccountId>,
    answer: Written,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Question, Arc<KeptAnswer>> for Bytes {
    fn weight(&self, question: &Question, kept: &Arc<KeptAnswer>) -> u64 {
        let holders = size_of_val(kept.holders.as_slice());
        (kept.answer.size() + holders + question.at.0.len() + size_of::<KeptAnswer>() + size_of::<Question>()) as u64
    }
}

impl Weighter<TherapistId, Arc<StoredDiary>> for Bytes {
    fn weight(&self, _: &TherapistId, stored: &Arc<StoredDiary>) -> u64 {
        stored.bytes() as u64
    }
}

impl Weighter<At, Arc<KeptSetting>> for Bytes {
    fn weight(&self, at: &At, kept: &Arc<KeptSetting>) -> u64 {
        (at.0.len() + size_of::<At>() + size_of::<KeptSetting>() + kept.setting.bytes()) as u64
    }
}

/// Tells those who watch how much of one kind is kept.
fn meter<K: Eq + Hash, V: Clone>(kind: &'static str, kept: &Cache<K, V, Bytes>)
where
    Bytes: Weighter<K, V>,
{
    gauge!("search_cache_bytes", "kind" => kind).set(kept.weight() as f64);
    gauge!("search_cache_entries", "kind" => kind).set(kept.len() as f64);
}

/// What an answer rests on, and until when.
pub(super) struct Basis {
    /// At which the diary was read.
    revision: Revision,
    /// When a reservation of it lapses.
    next_lapse: Option<DateTime<Utc>>,
    /// Who holds time in it.
    holders: Vec<AccountId>,
}

impl Basis {
    /// Whether the answer is the same for whoever is at odds with nobody, holders aside.
    pub fn is_common(&self, client: Option<AccountId>) -> bool {
        client.is_none_or(|client| !self.holders.contains(&client))
    }
}

/// A diary for what is asked.
pub(super) struct DiaryRead {
    pub diary: Diary,
    pub basis: Basis,
}

impl DiaryRead {
    fn new(stored: StoredDiary, asked: Enquiry, span: Span, now: DateTime<Utc>) -> Self {
        let (revision, next_lapse) = (stored.revision, stored.next_lapse(now));
        let holders = stored.holders.iter().flatten().copied().collect();
        Self { diary: stored.open(asked, span, now), basis: Basis { revision, next_lapse, holders } }
    }
}

/// By which diaries can be told to have changed, for those who ask at the same time.
type Revisions = Together<(TherapistId, Option<AccountId>), Option<(Revision, bool)>>;

/// What this process knows.
pub struct SearchCache {
    diaries: Cache<TherapistId, Arc<StoredDiary>, Bytes>,
    settings: Cache<At, Arc<KeptSetting>, Bytes>,
    answers: Cache<Question, Arc<KeptAnswer>, Bytes>,
    revisions: Revisions,
}

impl Default for SearchCache {
    fn default() -> Self {
        Self {
            diaries: Cache::with_weighter(DIARIES, MOST_KEPT, Bytes),
            settings: Cache::with_weighter(SETTINGS, MOST_SETTINGS, Bytes),
            answers: Cache::with_weighter(ANSWERS, MOST_ANSWERED, Bytes),
            revisions: Together::new(2),
        }
    }
}

/// What is asked at a place.
fn at(place: &Place, (service, minutes): (ServiceId, i16)) -> At {
    let bits = [place.point.latitude.to_bits(), place.point.longitude.to_bits()];
    (place.jurisdiction.as_str().to_owned(), bits, service, minutes)
}

/// The end of the minute in which `now` lies; itself where it is one.
fn end_of_minute(now: DateTime<Utc>) -> DateTime<Utc> {
    let begun = now.duration_trunc(TimeDelta::minutes(1)).unwrap_or(now);
    if begun == now { now } else { begun + TimeDelta::minutes(1) }
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
        visit: (ServiceId, i16),
        span: Span,
        now: DateTime<Utc>,
    ) -> Result<Setting> {
        let rulebook = availability::rulebook(&mut *db).await?;
        self.setting_by(db, rulebook, place, kind, visit, span, now).await?.ok_or_else(|| prices::unsold().into())
    }

    /// The same for a caller who has just read the revision of what holds for all, `rulebook`; none where the service is not sold there for so
    /// long.
    #[expect(clippy::too_many_arguments, reason = "each names a part of the question")]
    pub async fn setting_by(
        &self,
        db: &mut PgConnection,
        rulebook: i64,
        place: Place,
        kind: Option<AddressKind>,
        (service, minutes): (ServiceId, i16),
        span: Span,
        now: DateTime<Utc>,
    ) -> Result<Option<Setting>> {
        let Some(wide) = wide(span, now) else {
            return Setting::at(db, place, kind, service, minutes, span, now).await;
        };
        let at = at(&place, (service, minutes));
        if let Some(kept) = self.settings.get(&at)
            && kept.rulebook == rulebook
            && kept.until.is_none_or(|until| now < until)
            && kept.span.contains(span)
        {
            let setting = kept.setting.clone();
            return Ok(Some(Setting { place, kind, tariff: setting.tariff.as_of(now), ..setting }));
        }
        let until = prices::next_change(&mut *db, now).await?;
        let until = until.into_iter().chain(next_care_change(&mut *db, now).await?).min();
        let setting = Setting::at(db, place, kind, service, minutes, wide, now).await?;
        if let Some(setting) = setting.clone() {
            self.settings.insert(at, Arc::new(KeptSetting { rulebook, until, span: wide, setting }));
            meter("settings", &self.settings);
        }
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
    ) -> Result<Vec<DiaryRead>> {
        let needed = Span { start: span.start - MARGIN, end: span.end + MARGIN };
        let Some(wide) = wide(span, now) else {
            let stored = availability::stored(db, therapists, asked.client, needed).await?;
            return Ok(stored.into_iter().map(|stored| DiaryRead::new(stored, asked, needed, now)).collect());
        };
        let known = therapists.iter().filter_map(|id| Some((*id, self.diaries.get(id)?)));
        let mut known: HashMap<TherapistId, Arc<StoredDiary>> = known.collect();
        let mut found = Vec::with_capacity(therapists.len());
        if !known.is_empty() {
            let pairs: Vec<_> = therapists.iter().map(|id| (*id, asked.client)).collect();
            let revisions = availability::revisions(&mut *db, &pairs).await?;
            let revisions = therapists.iter().zip(revisions).filter_map(|(id, found)| Some((id, found?)));
            for (id, (revision, blocked)) in revisions {
                let good = known.remove(id).filter(|stored| stored.is_good(revision, needed));
                let read = good.map(|stored| DiaryRead::new(StoredDiary::clone(&stored), asked, needed, now));
                found.extend(read.map(|read| DiaryRead { diary: Diary { blocked, ..read.diary }, ..read }));
            }
        }
        let unknown: Vec<TherapistId> =
            therapists.iter().copied().filter(|id| !found.iter().any(|read| read.diary.therapist == *id)).collect();
        if !unknown.is_empty() {
            let wide = Span { start: wide.start - MARGIN, end: wide.end + MARGIN };
            for stored in availability::stored(db, &unknown, asked.client, wide).await? {
                self.diaries.insert(stored.diary.therapist, Arc::new(stored.clone()));
                found.push(DiaryRead::new(stored, asked, needed, now));
            }
            meter("diaries", &self.diaries);
        }
        Ok(found)
    }

    /// The diary of a therapist for starts within `span`, for a decision under the therapist's lock, and the revision at which it was read; none
    /// where there is no such therapist. Where all but the reserved time is as it was read before, the reserved time alone is read.
    ///
    /// A caller whose transaction has changed nothing yet says with `steady` how the rest stood just before. What is known to be old is not tried
    /// then, and what is read is kept. Nothing is kept of another transaction, because its revision may never be committed.
    pub async fn latest(
        &self,
        db: &mut PgConnection,
        therapist: TherapistId,
        steady: Option<i64>,
        asked: Enquiry,
        span: Span,
        now: DateTime<Utc>,
    ) -> Result<Option<(Diary, Revision)>> {
        let needed = Span { start: span.start - MARGIN, end: span.end + MARGIN };
        let known = self
            .diaries
            .get(&therapist)
            .filter(|known| known.span.contains(needed) && steady.is_none_or(|steady| known.revision.steady == steady));
        if let Some(known) = known {
            let reserved = availability::reserved(&mut *db, therapist, asked.client, needed).await?;
            let Some(reserved) = reserved else { return Ok(None) };
            let revision = reserved.revision;
            if let Some(renewed) = known.renewed(reserved, needed) {
                return Ok(Some((renewed.open(asked, needed, now), revision)));
            }
        }
        let kept = wide(span, now).filter(|_| steady.is_some());
        let read = kept.map_or(needed, |wide| Span { start: wide.start - MARGIN, end: wide.end + MARGIN });
        let stored = availability::stored(db, &[therapist], asked.client, read).await?.pop();
        let Some(stored) = stored else { return Ok(None) };
        if kept.is_some() {
            self.diaries.insert(therapist, Arc::new(stored.clone()));
            meter("diaries", &self.diaries);
        }
        let revision = stored.revision;
        Ok(Some((stored.open(asked, needed, now), revision)))
    }

    /// The answer to `question` that was given before, if nothing has changed for `client` since.
    pub(super) async fn answer(
        &self,
        db: &PgPool,
        question: &Question,
        client: Option<AccountId>,
        now: DateTime<Utc>,
    ) -> Result<Option<Written>> {
        let Listed::One(therapist) = question.listed else { return Ok(None) };
        let Some(kept) = self.answers.get(question) else { return Ok(None) };
        let fresh = now <= kept.minute && kept.before.is_none_or(|before| now < before);
        if !fresh || client.is_some_and(|client| kept.holders.contains(&client)) {
            return Ok(None);
        }
        let db = db.clone();
        let read = move |asked: Vec<_>| {
            let db = db.clone();
            async move { availability::revisions(&db, &asked).await }
        };
        let known = self.revisions.ask((therapist, client), read).await?;
        let same = known.is_some_and(|(revision, blocked)| revision == kept.revision && !blocked);
        Ok(same.then(|| kept.answer.clone()))
    }

    /// Keeps what was answered at `now` on this `basis`, for all who do not hold any of that time.
    pub(super) fn keep(&self, question: Question, basis: Basis, answer: Written, now: DateTime<Utc>) {
        let Some(setting) = self.settings.get(&question.at) else { return };
        if setting.rulebook != basis.revision.rulebook {
            return;
        }
        let kept = KeptAnswer {
            revision: basis.revision,
            minute: end_of_minute(now),
            before: basis.next_lapse.into_iter().chain(setting.until).min(),
            holders: basis.holders,
            answer,
        };
        self.answers.insert(question, Arc::new(kept));
        meter("answers", &self.answers);
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;
    use uuid::Uuid;

    use super::*;
    use crate::http::Reply;

    #[test]
    fn answers_are_kept_up_to_so_many_bytes_and_metered() {
        let cache = SearchCache::default();
        let recorder = PrometheusBuilder::new().build_recorder();
        let now = DateTime::UNIX_EPOCH;
        let answer = Reply::ok(&"x".repeat(64 << 10)).expect("JSON").written();
        for n in 0..4_000 {
            let question = Question {
                listed: Listed::One(TherapistId(Uuid::from_u128(n))),
                at: ("AU-NSW".to_owned(), [0, 0], ServiceId(Uuid::nil()), 60),
                kind: None,
                dates: (NaiveDate::MIN, NaiveDate::MIN),
            };
            let revision = Revision { diary: 1, steady: 1, rulebook: 1 };
            let kept = KeptAnswer { revision, minute: now, before: None, holders: Vec::new(), answer: answer.clone() };
            cache.answers.insert(question, Arc::new(kept));
        }
        assert!(cache.answers.weight() <= MOST_ANSWERED, "{}", cache.answers.weight());
        assert!(cache.answers.len() > 500, "of 250 MB a quarter: {}", cache.answers.len());
        metrics::with_local_recorder(&recorder, || meter("answers", &cache.answers));
        let told = recorder.handle().render();
        let line = format!("search_cache_bytes{{kind=\"answers\"}} {}", cache.answers.weight());
        assert!(told.lines().any(|one| one == line), "{told}");
    }
}
