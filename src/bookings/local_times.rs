//! What follows where rules of time zones change: visits stay at their instants, and whoever has to know is told what the clock shows now.
//!
//! The parties agreed on a time on the clock. No visit is moved for them, because its new instant may be taken, and only they know whether they
//! can make it. Each visit whose clock shows another time is told of once: `local_start` says what was told last.

mod store;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::events::event;
use super::jobs::ReconcilePlace;
use super::steps::{Begun, begin_as_system};
use crate::App;
use crate::availability::hints;
use crate::error::{Error, Result};
use crate::events::{Event, Work};
use crate::ids::BookingId;
use crate::queue::enqueue;
use crate::values::zones::rules::{self, Rules, Version};

/// Processes that still have the rules of before may work on for so long: then all is looked at once more.
const OVERLAP: TimeDelta = TimeDelta::hours(1);

/// Newer rules count for so long after the last worker that had them.
const LEASE: TimeDelta = TimeDelta::days(1);

/// The rules that the database follows.
struct Followed {
    version: String,
    digest: String,
    since: DateTime<Utc>,
    seen_at: DateTime<Utc>,
    is_done: bool,
}

/// What a worker's rules are to those that the database follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stance {
    Same,
    /// They take the place of the others.
    Next,
    /// They are older than those of another worker, which count.
    Behind,
}

/// What these rules are to `followed`. Older ones take over once no worker has had the newer ones for a day: then whoever runs the service
/// went back.
fn stance(followed: &Followed, release: Option<&Version>, digest: &str, now: DateTime<Utc>) -> Stance {
    if followed.digest == digest {
        return Stance::Same;
    }
    let is_older = release.zip(followed.version.parse().ok()).is_some_and(|(ours, theirs)| *ours < theirs);
    if is_older && now - followed.seen_at < LEASE { Stance::Behind } else { Stance::Next }
}

/// Sees to what follows from the rules of this process, and warns of those that are old: the job's part. A run that was broken off begins
/// anew, and tells nobody twice.
pub async fn follow(app: &App) -> Result<()> {
    let rules = rules::current();
    let mut work = app.begin(None).await?;
    let now = work.now();
    for warning in rules.warnings(now) {
        tracing::warn!("{warning}");
    }
    let since = adopt(&mut work, rules).await?;
    work.commit().await?;
    let Some(since) = since else { return Ok(()) };
    hints::end_all(&app.db).await?;
    tell_all(app).await?;
    if now - since >= OVERLAP {
        store::set_done(&app.db, rules.digest(), now).await?;
    }
    Ok(())
}

/// Has the database follow `rules`. Since when it does, where something of it is still to be done.
async fn adopt(work: &mut Work, rules: &Rules) -> Result<Option<DateTime<Utc>>> {
    let now = work.now();
    let Some(followed) = store::lock(work).await? else {
        store::put(work, rules, now).await?;
        return Ok(Some(now));
    };
    match stance(&followed, rules.release(), rules.digest(), now) {
        Stance::Same => {
            store::see(work, now).await?;
            Ok((!followed.is_done).then_some(followed.since))
        }
        Stance::Next => {
            store::put(work, rules, now).await?;
            let change = json!({ "from": followed.version, "to": rules.version() });
            work.announce(Event::new("zone_rules.change", "zone_rules", rules.version()).with(change)).await?;
            // Licences end with local dates.
            for due in [now, now + OVERLAP] {
                enqueue(work, &ReconcilePlace { country: None }, due).await?;
            }
            Ok(Some(now))
        }
        Stance::Behind => {
            tracing::warn!(
                ours = rules.version(),
                followed = followed.version,
                "this process has older rules of time zones than others: give every process the same"
            );
            Ok(None)
        }
    }
}

/// Tells of every visit ahead whose clock shows another time than was agreed.
async fn tell_all(app: &App) -> Result<()> {
    let (now, mut after, mut failed) = (app.clock.now(), None, None);
    loop {
        let visits = store::ahead(&app.db, now, after).await?;
        let Some(last) = visits.last() else { break };
        after = Some((last.start_at, last.id));
        store::fill(&app.db, &visits).await?;
        for visit in visits.iter().filter(|visit| visit.has_moved()) {
            // One that cannot be read must not keep the others from being told of.
            if let Err(error) = tell(app, visit.id).await {
                tracing::error!(booking = %visit.id, %error, "nobody can be told what the clock shows at a visit");
                failed = Some(error);
            }
        }
    }
    failed.map_or(Ok(()), Err::<(), Error>)
}

/// Tells both parties and staff what the clock shows at the start of a visit, where it is something else than they know.
async fn tell(app: &App, id: BookingId) -> Result<()> {
    let Some(Begun { mut work, booking, .. }) = begin_as_system(app, id).await? else { return Ok(()) };
    if !booking.status.is_live() || booking.start_at <= work.now() {
        return Ok(());
    }
    let shown = booking.time_zone.wall(booking.start_at);
    if let Some(before) = store::put_local_start(&mut work, id, shown).await? {
        let clock = json!({ "local_start_before": before, "local_start": shown, "rules": rules::current().version() });
        work.announce(event("booking.local_time_changed", &booking, clock)).await?;
    }
    work.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_rules_take_over_once_nobody_has_had_the_newer_ones_for_a_day() {
        let now: DateTime<Utc> = "2026-12-01T00:00:00Z".parse().unwrap();
        let followed = |version: &str, ago: TimeDelta| Followed {
            version: version.to_owned(),
            digest: "theirs".to_owned(),
            since: now - ago,
            seen_at: now - ago,
            is_done: false,
        };
        let ours: Version = "2026f".parse().unwrap();
        let stance = |version, ago, digest| stance(&followed(version, ago), Some(&ours), digest, now);
        let moment = TimeDelta::microseconds(1);
        assert_eq!(stance("2026f", TimeDelta::zero(), "theirs"), Stance::Same);
        assert_eq!(stance("2026f", TimeDelta::zero(), "ours"), Stance::Next, "the same release, mended");
        assert_eq!(stance("2026e", TimeDelta::zero(), "ours"), Stance::Next);
        assert_eq!(stance("unknown", TimeDelta::zero(), "ours"), Stance::Next);
        assert_eq!(stance("2026g", TimeDelta::zero(), "ours"), Stance::Behind);
        assert_eq!(stance("2026g", LEASE - moment, "ours"), Stance::Behind);
        assert_eq!(stance("2026g", LEASE, "ours"), Stance::Next);
    }
}
