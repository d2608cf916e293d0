//! Visits of a therapist who cannot come: they take time off, and hand their visits over or keep them.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;

use super::events::{Event, event};
use super::jobs::SettleHandedOver;
use super::lifecycle::{Action, Party, Status, Step, step};
use super::reliability::{self, Lapse};
use super::steps::{self, Begun, begin_as_system};
use super::{Booking, CALL_OFF_LEAD, store};
use crate::App;
use crate::availability::{self, UNFIT_WITHIN, VisitsInTimeOff};
use crate::error::Result;
use crate::events::{Effect, Work};
use crate::ids::{BookingId, TimeOffId};
use crate::queue::enqueue;
use crate::values::{Instant, Span};

/// What a therapist said of their visits when they took time off.
pub const ON_TIME_OFF: Effect = Effect {
    what: "the therapist's visits within it are handed over, or staff are told of those that are kept and begin within a day",
    on: &["time_off.create"],
    run: look_into_visits,
};

/// Who comes back early carries out what nobody has taken over.
pub const ON_TIME_OFF_ENDED: Effect = Effect {
    what: "the therapist's visits within it that were handed over, and that nobody has taken over, are theirs again",
    on: &["time_off.delete"],
    run: take_visits_back,
};

/// How long staff have at least to find somebody, where the start leaves them so long.
const SEARCH: TimeDelta = TimeDelta::hours(2);

/// A visit that nobody takes over is called off so long before its start at the latest.
const LAST_MOMENT: TimeDelta = TimeDelta::minutes(30);

/// What the parties are told of a visit that nobody took over.
const CALLED_OFF: &str = "The therapist cannot come, and nobody else can.";

/// Time off, as its event tells of it.
#[derive(Deserialize)]
struct TimeOff {
    start_at: Instant,
    end_at: Instant,
    visits: VisitsInTimeOff,
}

impl TimeOff {
    fn of(event: &Event) -> Option<Self> {
        serde_json::from_value(event.details.clone()).ok()
    }

    fn hits(&self, visit: &Booking) -> bool {
        visit.table().overlaps(Span { start: self.start_at.0, end: self.end_at.0 })
    }
}

/// When a visit that is handed over at `now` is called off, unless somebody takes it over.
fn call_off_at(start: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    (start - CALL_OFF_LEAD).max(now + SEARCH).min(start - LAST_MOMENT).max(now)
}

fn look_into_visits<'a>(work: &'a mut Work, taken: &'a Event) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let Some((therapist, off)) = taken.therapist.zip(TimeOff::of(taken)) else { return Ok(()) };
        work.lock_time(therapist).await?;
        let now = work.now();
        let unfit = match taken.subject_id() {
            Some(id) => availability::is_unfit(work, TimeOffId(id)).await?,
            None => false,
        };
        let visits = store::live(work, therapist, now).await?;
        let ahead = |visit: &Booking| visit.status == Status::Confirmed && visit.start_at > now;
        for visit in visits.into_iter().filter(|visit| ahead(visit) && off.hits(visit)) {
            if unfit && visit.start_at <= now + UNFIT_WITHIN {
                store::excuse(work, visit.id).await?;
            }
            match off.visits {
                VisitsInTimeOff::HandOver if visit.handed_over_at.is_none() => hand_over(work, &visit).await?,
                VisitsInTimeOff::Keep if visit.start_at - now < CALL_OFF_LEAD => {
                    work.announce(event("booking.kept_in_time_off", &visit, json!({}))).await?;
                }
                _ => {}
            }
        }
        Ok(())
    })
}

async fn hand_over(work: &mut Work, visit: &Booking) -> Result<()> {
    let now = work.now();
    let due = call_off_at(visit.start_at, now);
    store::set_handed_over(work, visit.id, Some(now)).await?;
    enqueue(work, &SettleHandedOver { booking: visit.id }, due).await?;
    let told = event("booking.hand_over", visit, json!({ "call_off_at": due }));
    work.announce(Event { party: Some(Party::Therapist), ..told }).await
}

fn take_visits_back<'a>(work: &'a mut Work, taken: &'a Event) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let Some((therapist, off)) = taken.therapist.zip(TimeOff::of(taken)) else { return Ok(()) };
        work.lock_time(therapist).await?;
        let now = work.now();
        let visits = store::live(work, therapist, now).await?;
        for visit in visits.into_iter().filter(|visit| visit.handed_over_at.is_some() && off.hits(visit)) {
            store::set_handed_over(work, visit.id, None).await?;
            let told = event("booking.take_back", &visit, json!({}));
            work.announce(Event { party: Some(Party::Therapist), ..told }).await?;
        }
        Ok(())
    })
}

/// Calls off a visit that nobody has taken over in time: the job's part. It looks at the present state, so that it may run twice, early or late.
/// It is the therapist who calls it off, who pays for nothing; whether that is late counts from when they said so, and nothing is held against one who is not fit to treat.
pub(super) async fn settle(app: &App, id: BookingId) -> Result<()> {
    let Some(Begun { mut work, lock, booking, .. }) = begin_as_system(app, id).await? else { return Ok(()) };
    let now = work.now();
    let Some(since) = booking.handed_over_at.filter(|_| booking.status == Status::Confirmed) else { return Ok(()) };
    let due = call_off_at(booking.start_at, since);
    if due > now {
        // It was handed over anew since, or the queue's clock is ahead of ours.
        enqueue(&mut work, &SettleHandedOver { booking: id }, due).await?;
    } else if let Ok(Step::To(status)) = step(&booking, Action::Cancel, Party::Therapist, now) {
        if booking.policy.is_late(booking.start_at, since) && !store::is_excused(&mut work, id).await? {
            reliability::record(&mut work, &booking, Lapse::LateCancellation).await?;
        }
        steps::call_off(&mut work, &lock, booking, (Party::Therapist, status), 0, CALLED_OFF).await?;
    }
    work.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staff_have_time_to_look_for_somebody_and_the_client_time_to_plan_anew() {
        let now: DateTime<Utc> = "2026-12-01T12:00:00Z".parse().expect("an instant");
        for (hours, left) in [(100, 76 * 60), (25, 120), (4, 120), (2, 90), (1, 30)] {
            let due = call_off_at(now + TimeDelta::hours(hours), now);
            assert_eq!((due - now).num_minutes(), left, "{hours} hours ahead");
        }
        assert_eq!(call_off_at(now + TimeDelta::minutes(10), now), now, "at once, where there is no time");
    }
}
