//! Therapists whose account is suspended: they take no bookings, and are found by nobody.

use futures_util::future::BoxFuture;

use crate::accounts;
use crate::error::Result;
use crate::events::{Effect, Event, Work};

/// Searches, holds and bookings refuse whoever takes no bookings, so that nothing else has to know of suspensions.
pub const SUSPENSION: Effect = Effect {
    what: "a therapist takes no bookings while their account is suspended, was replaced or is to be erased, and again what they took before once it is reinstated and kept",
    on: &["account.suspended", "account.replace", "account.reinstated", "account.closing", "account.kept"],
    run: follow,
};

fn follow<'a>(work: &'a mut Work, event: &'a Event) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let Some(id) = event.therapist else { return Ok(()) };
        work.lock_time(id).await?;
        let is_barred = event.kind == "account.replace"
            || accounts::is_suspended(work, id.into()).await?
            || accounts::is_closing(work, id.into()).await?;
        if is_barred {
            sqlx::query!(
                "UPDATE therapists SET accepting_before_suspension = accepting_bookings, accepting_bookings = false
                 WHERE id = $1 AND accepting_before_suspension IS NULL",
                id.0
            )
            .execute(&mut ***work)
            .await?;
        } else {
            sqlx::query!(
                "UPDATE therapists SET accepting_bookings = accepting_before_suspension, accepting_before_suspension = NULL
                 WHERE id = $1 AND accepting_before_suspension IS NOT NULL",
                id.0
            )
            .execute(&mut ***work)
            .await?;
        }
        Ok(())
    })
}
