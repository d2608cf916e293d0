//! Visits of somebody whose account is suspended: staff look at each, because the other party may still want it.

mod store;

use futures_util::future::BoxFuture;
use serde_json::json;

use super::events::event;
use super::jobs::SeeToSuspended;
use super::steps::{Begun, begin_as_system};
use crate::App;
use crate::accounts;
use crate::error::Result;
use crate::events::{Effect, Event, Work};
use crate::ids::{AccountId, BookingId};
use crate::queue::enqueue;

/// Visits follow the suspension of an account.
pub const ON_SUSPENSION: Effect = Effect {
    what: "staff are told of each of the account's visits ahead, or that they need not look any more, by a job",
    on: &["account.suspended", "account.replace", "account.reinstated"],
    run: look_into_visits,
};

fn look_into_visits<'a>(work: &'a mut Work, event: &'a Event) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let Some(account) = event.subject_id().map(AccountId) else { return Ok(()) };
        let now = work.now();
        enqueue(work, &SeeToSuspended { account }, now).await?;
        Ok(())
    })
}

/// Tells staff of each visit ahead of an account, by how the account stands now: the job's part.
pub(super) async fn see_to(app: &App, account: AccountId) -> Result<()> {
    let mut work = app.begin(None).await?;
    let now = work.now();
    let ahead = store::ahead(&mut work, account, now).await?;
    work.commit().await?;
    for id in ahead {
        see_to_one(app, id).await?;
    }
    Ok(())
}

async fn see_to_one(app: &App, id: BookingId) -> Result<()> {
    let Some(Begun { mut work, booking, .. }) = begin_as_system(app, id).await? else { return Ok(()) };
    let mut suspended = None;
    for party in [booking.client, booking.therapist.into()] {
        if accounts::is_suspended(&mut work, party).await? {
            suspended = Some(party);
        }
    }
    let told = match suspended {
        Some(party) => {
            event("booking.party_suspended", &booking, json!({ "status": booking.status, "account_id": party }))
        }
        None => event("booking.party_reinstated", &booking, json!({})),
    };
    work.announce(told).await?;
    work.commit().await
}
