//! Becoming bookable: a therapist is told when it begins, whatever it was that was missing.

use futures_util::future::BoxFuture;

use super::store::one;
use crate::db::Tx;
use crate::error::Result;
use crate::events::{Effect, Event, Work};
use crate::ids::TherapistId;

/// A therapist is told once they can be booked: they accept bookings, offer something, have a base and may practise somewhere.
pub const BOOKABLE: Effect = Effect {
    what: "it is noted whether the therapist can be booked now, and announced where that begins",
    on: &[
        "therapist.update",
        "therapist.offers",
        "credential.verify",
        "credential.reinstate",
        "credential.suspend",
        "credential.revoke",
        "credential.edit",
        "credential.roll_back",
        "credential.rolled_back",
        "credential.supersede",
        "credential.updated",
        "credential.hold",
        "credential.hold_lifted",
    ],
    run: note_bookable,
};

fn note_bookable<'a>(work: &'a mut Work, event: &'a Event) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let Some(id) = event.therapist else { return Ok(()) };
        let now = work.now();
        if one(work, id, now).await?.is_none() {
            return end(work, id).await;
        }
        if begin(work, id).await? {
            work.announce(Event::new("therapist.bookable", "therapist", id).about(id)).await?;
        }
        Ok(())
    })
}

/// Notes that the therapist can be booked; whether that begins now.
async fn begin(work: &mut Work, id: TherapistId) -> Result<bool> {
    let now = work.now();
    let begun = sqlx::query!(
        "INSERT INTO bookable_therapists (therapist_id, since) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        id.0,
        now
    );
    Ok(begun.execute(&mut ***work).await?.rows_affected() == 1)
}

async fn end(tx: &mut Tx, id: TherapistId) -> Result<()> {
    sqlx::query!("DELETE FROM bookable_therapists WHERE therapist_id = $1", id.0).execute(&mut **tx).await?;
    Ok(())
}
