//! What bookings do about what others announce.

use chrono::TimeDelta;
use futures_util::future::BoxFuture;

use super::jobs::{ReconcilePlace, ReconsiderAll, ReconsiderVisits, SettleCare};
use super::licensing::{RULES_HOLD, foresee, offer_again, reconcile_after};
use crate::error::Result;
use crate::events::{Effect, Event, Party, Work};
use crate::ids::{BookingId, RecipientId};
use crate::queue::enqueue;

/// Visits follow what becomes of their therapist's credentials.
pub const ON_CREDENTIALS: Effect = Effect {
    what: "the therapist's visits are held against what is in force now",
    on: &["credential."],
    run: hold_visits_against_credentials,
};

/// Visits follow what a place requires.
pub const ON_RULES: Effect = Effect {
    what: "visits in the country are held against what it requires now, by two jobs",
    on: &["rules.change"],
    run: hold_visits_against_rules,
};

/// Visits follow what the people whom they are for answer, and what healthcare providers say of them.
pub const ON_ANSWERS: Effect = Effect {
    what: "the person's visits ahead are decided on again, by a job",
    on: &[
        "screening.create",
        "recipient.update",
        "recipient.erase",
        "clearance.accept",
        "clearance.withdraw",
        "clearance.revoke",
    ],
    run: reconsider_visits,
};

/// A visit follows what its parties agree on.
pub const ON_CONSULTATION: Effect =
    Effect { what: "the visit is decided on again, by a job", on: &["booking.consult"], run: reconsider_visit };

/// Visits follow the rules of care.
pub const ON_CARE_RULES: Effect = Effect {
    what: "all visits ahead are decided on again once the rules take effect, by a job",
    on: &["care_rules.publish"],
    run: reconsider_all_visits,
};

/// What changes what is in force, besides steps to and from `verified`.
const IN_FORCE: [&str; 4] =
    ["credential.updated", "credential.rolled_back", "credential.hold", "credential.hold_lifted"];

fn hold_visits_against_credentials<'a>(work: &'a mut Work, event: &'a Event) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let verified = [&event.from, &event.to].into_iter().flatten().any(|state| state == "verified");
        let (true, Some(therapist)) = (verified || IN_FORCE.contains(&event.kind.as_str()), event.therapist) else {
            return Ok(());
        };
        let lock = work.lock_time(therapist).await?;
        // Visits that are lost to the therapist's own edit are the therapist's to answer for.
        let by = if event.party == Some(Party::Therapist) { Party::Therapist } else { Party::System };
        // Whoever decides may want to take it back for a while.
        let hold = event.details.get("hold_minutes").and_then(|minutes| minutes.as_i64()).unwrap_or_default();
        reconcile_after(work, &lock, by, TimeDelta::minutes(hold)).await?;
        if event.kind == "credential.reinstate" {
            offer_again(work, &lock).await?;
        }
        Ok(())
    })
}

fn reconsider_visits<'a>(work: &'a mut Work, event: &'a Event) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let named = event.details.get("recipient").and_then(|id| id.as_str()?.parse().ok());
        let Some(recipient) = named.or(event.subject_id()).map(RecipientId) else { return Ok(()) };
        let now = work.now();
        enqueue(work, &ReconsiderVisits { recipient }, now).await?;
        Ok(())
    })
}

fn reconsider_visit<'a>(work: &'a mut Work, event: &'a Event) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let Some(booking) = event.subject_id().map(BookingId) else { return Ok(()) };
        let now = work.now();
        enqueue(work, &SettleCare { booking }, now).await?;
        Ok(())
    })
}

fn reconsider_all_visits<'a>(work: &'a mut Work, event: &'a Event) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let effective_from = event.details.get("effective_from").and_then(|from| from.as_str()?.parse().ok());
        let due = effective_from.unwrap_or(work.now());
        enqueue(work, &ReconsiderAll, due).await?;
        Ok(())
    })
}

fn hold_visits_against_rules<'a>(work: &'a mut Work, event: &'a Event) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        // The whole country, because a visit may name its region otherwise than the map does.
        let country = event.details.get("country").and_then(|country| country.as_str());
        if work.is_preview() {
            return foresee(work, country, RULES_HOLD).await;
        }
        let job = ReconcilePlace { country: country.map(str::to_owned) };
        let now = work.now();
        // A second one looks again, because whoever read the old rules may still be booking.
        for due in [now, now + TimeDelta::seconds(30)] {
            enqueue(work, &job, due).await?;
        }
        Ok(())
    })
}
