//! Hints: on which days a therapist may be free, so that a search looks at few diaries and not at a whole city's.
//!
//! A hint prunes and never decides. It may promise too much: bookings only mark it as behind, and a job makes it anew. It
//! never promises too little: whatever frees time ends it in the same transaction, by a trigger, and whoever has no good
//! hint counts as perhaps free.

mod store;

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use sqlx::{PgExecutor, PgPool};

use super::grid::Grid;
use super::{Diary, Enquiry, diaries, settled_diaries};
use crate::db::Tx;
use crate::error::Result;
use crate::ids::TherapistId;
use crate::values::{Span, grid as squares, merged, wall_clock, without};

/// Days from now for which hints are kept.
const DAYS: u64 = 30;

/// Therapists whose hints are made in one transaction: whoever frees their time waits so long.
const BATCH: i64 = 50;

/// What is known of one day.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hint {
    therapist: TherapistId,
    day: NaiveDate,
    cell: i32,
    soonest: DateTime<Utc>,
    latest: DateTime<Utc>,
    longest: i32,
}

/// The hints of a diary for starts within `span`: where the therapist's shortest offer fits, travel and the daily cap aside.
fn hints(diary: &Diary, shortest: i16, cell: i32, span: Span) -> Vec<Hint> {
    let rules = &diary.rules;
    let visits = diary.reservations.iter().map(|reservation| reservation.during);
    // The table must stay clear of what is taken by the pack-up before it and the set-up after.
    let taken = visits.chain(diary.time_off.iter().copied());
    let taken = merged(taken.map(|taken| taken.widened(rules.packup_minutes, rules.setup_minutes)).collect());
    let grid =
        Grid::new(&diary.hours, diary.zone, rules.starts(), Span { end: span.end + TimeDelta::seconds(1), ..span });
    let mut days: BTreeMap<NaiveDate, Hint> = BTreeMap::new();
    for stretch in without(&diary.hours.windows(diary.zone, span), &taken) {
        let last = (stretch.end - TimeDelta::minutes(shortest.into())).min(span.end);
        let mut from = stretch.start.max(span.start);
        while from <= last {
            let day = squares::day(cell, from);
            let next = squares::midnight(cell, day + Days::new(1));
            let until = last.min(next - TimeDelta::seconds(1));
            let first = grid.first(Span { start: from, end: until + TimeDelta::seconds(1) });
            if let Some(first) = first.filter(|first| *first <= until) {
                let longest = i32::try_from((stretch.end - first).num_minutes()).unwrap_or(i32::MAX);
                let new = Hint { therapist: diary.therapist, day, cell, soonest: first, latest: until, longest };
                let hint = days.entry(day).or_insert_with(|| new.clone());
                hint.latest = hint.latest.max(new.latest);
                hint.longest = hint.longest.max(new.longest);
            }
            from = next;
        }
    }
    days.into_values().collect()
}

/// Which of these therapists have time for so many minutes on the table on some of the dates, by their own clock; travel and the
/// daily cap aside.
pub async fn free_on<'c>(
    db: impl PgExecutor<'c>,
    minutes: &HashMap<TherapistId, i16>,
    (from, to): (NaiveDate, NaiveDate),
    now: DateTime<Utc>,
) -> Result<HashSet<TherapistId>> {
    let ids: Vec<TherapistId> = minutes.keys().copied().collect();
    let all = Span { start: day_before(from), end: day_before(to) + Days::new(3) };
    let diaries = diaries(db, &ids, Enquiry::default(), all, now).await?;
    let free = diaries.into_iter().filter(|diary| {
        let dates = wall_clock::dates(diary.zone, from, to);
        let soonest = now + TimeDelta::minutes(diary.rules.min_notice_minutes.into());
        let last = now + TimeDelta::days(diary.rules.max_advance_days.into());
        let span = Span { start: dates.start.max(soonest), end: dates.end.min(last) };
        minutes.get(&diary.therapist).is_some_and(|minutes| !hints(diary, *minutes, 0, span).is_empty())
    });
    Ok(free.map(|diary| diary.therapist).collect())
}

fn day_before(date: NaiveDate) -> DateTime<Utc> {
    date.and_time(NaiveTime::MIN).and_utc() - Days::new(1)
}

/// Makes hints for everyone who lacks them, whose bookings left them behind, or whose last day draws near; how many that were. Whoever
/// is being booked, or seen to by another run, at this moment is left to that run or to the next. So is a diary of which none can
/// be made, and the log names it.
pub async fn refresh(db: &PgPool, now: DateTime<Utc>) -> Result<usize> {
    let today = now.date_naive().and_time(NaiveTime::MIN).and_utc();
    let span = Span { start: today - Days::new(1), end: today + Days::new(DAYS + 1) };
    let (mut refreshed, mut at_a_time, mut failed) = (0, BATCH, Vec::new());
    loop {
        let mut tx = db.begin().await?;
        let due = store::due(&mut tx, today + Days::new(DAYS), at_a_time, &failed).await?;
        let Some((first, ..)) = due.first() else {
            tx.commit().await?;
            return Ok(refreshed);
        };
        match make(&mut tx, &due, span).await {
            Ok(()) => {
                tx.commit().await?;
                refreshed += due.len();
            }
            // From here on one by one, because one that fails must not keep the others from their hints.
            Err(_) if at_a_time > 1 => at_a_time = 1,
            Err(error) => {
                tracing::error!(therapist = %first, %error, "no hints can be made of a diary");
                failed.push(*first);
            }
        }
    }
}

async fn make(tx: &mut Tx, due: &[store::Due], span: Span) -> Result<()> {
    let ids: Vec<TherapistId> = due.iter().map(|(id, ..)| *id).collect();
    let diaries = settled_diaries(&mut **tx, &ids, span).await?;
    let diaries: HashMap<TherapistId, Diary> = diaries.into_iter().map(|diary| (diary.therapist, diary)).collect();
    let made = due.iter().flat_map(|(id, cell, shortest)| match (diaries.get(id), cell, shortest) {
        (Some(diary), Some(cell), Some(shortest)) => hints(diary, *shortest, *cell, span),
        _ => Vec::new(),
    });
    store::replace(tx, &ids, &made.collect::<Vec<_>>(), span.end).await
}

/// Ends the hints and the diaries in memory of everyone, because hours on the clock mean other instants now. Until hints are made anew, everyone
/// counts as perhaps free.
pub async fn end_all(db: &PgPool) -> Result<()> {
    let mut after = None;
    while let Some(last) = store::end_next(db, after).await? {
        after = Some(last);
    }
    Ok(())
}

/// Makes every hint anew; until then everyone counts as perhaps free. How many therapists' hints it made: those that a running
/// service makes meanwhile do not count.
pub async fn rebuild(db: &PgPool, now: DateTime<Utc>) -> Result<usize> {
    store::forget(db).await?;
    refresh(db, now).await
}
