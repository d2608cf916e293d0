//! What would become of visits if rules were as they are written now: for a look before a change.

use chrono::TimeDelta;
use serde_json::json;

use super::{Consequence, Rules, call_off_at, consequence, deadline, store};
use crate::bookings::events::event;
use crate::bookings::store::live;
use crate::credentials::{self, relied_on};
use crate::error::Result;
use crate::events::Work;

/// The most therapists whose visits are looked at: a look is no reason to keep a whole country waiting.
const MOST: usize = 300;

/// Notes what would follow for the visits of everyone who has any in `country`, anywhere where none is named, and saves nothing. It takes no lock, so
/// that what is booked meanwhile may be missing.
pub(in crate::bookings) async fn foresee(work: &mut Work, country: Option<&str>, hold: TimeDelta) -> Result<()> {
    let now = work.now();
    let therapists = store::therapists_with_visits(work, country, now).await?;
    if therapists.len() > MOST {
        work.leave_out();
    }
    let mut rules = Rules::default();
    for therapist in therapists.into_iter().take(MOST) {
        let standings = credentials::standings(work, therapist).await?;
        let visits = live(work, therapist, now).await?;
        let deadlines = store::deadlines(work, &visits).await?;
        for visit in visits {
            let (first, last) = visit.dates();
            let licensed = relied_on(rules.of(work, &visit).await?, &standings, first, last).is_some();
            let until = deadline(&visit, &deadlines);
            let (kind, details) = match consequence(visit.status, visit.table(), until, licensed, hold, now) {
                Consequence::Stands => continue,
                Consequence::Restore => ("booking.restored", json!({})),
                Consequence::PutAtRisk => {
                    ("booking.put_at_risk", json!({ "call_off_at": call_off_at(visit.start_at, hold, now) }))
                }
                Consequence::CallOff => ("booking.cancel", json!({})),
                Consequence::Alert => ("booking.unlicensed_in_progress", json!({})),
            };
            work.note(&event(kind, &visit, details));
        }
    }
    Ok(())
}
