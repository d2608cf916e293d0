//! The end of what is kept of people: records of treatment and all that is sealed under the same key.

use chrono::{DateTime, Utc};

use crate::App;
use crate::bookings;
use crate::care::ends::{self, ToLookAt};
use crate::error::Result;
use crate::events::Work;
use crate::ids::RecipientId;

/// How many batches of people are looked at in one hour at the most, so that no other sweep waits long. The rest has its turn in the next.
const BATCHES: usize = 4;

/// Erases the people whose last visit is as long ago as its place wants records kept. One whom nobody can open keeps no other from their turn: they are put off until
/// tomorrow, and the sweep fails once.
pub async fn end_records(app: &App, now: DateTime<Utc>) -> Result<()> {
    let (mut due, mut outcome) = (ToLookAt::default(), Ok(()));
    for _ in 0..BATCHES {
        let people = due.next(app, now.date_naive()).await?;
        if people.is_empty() {
            break;
        }
        for id in people {
            let mut work = app.begin(None).await?;
            match look_at(app, &mut work, id).await {
                Ok(()) => work.commit().await?,
                Err(error) => {
                    work.rollback().await?;
                    let mut work = app.begin(None).await?;
                    ends::put_off(&mut work, id).await?;
                    work.commit().await?;
                    outcome = Err(error);
                }
            }
        }
    }
    outcome
}

async fn look_at(app: &App, work: &mut Work, id: RecipientId) -> Result<()> {
    let Some(person) = ends::person(app, work, id).await? else { return Ok(()) };
    if bookings::care::is_held(work, &person).await? {
        return ends::put_off(work, id).await;
    }
    let visits = bookings::care::last_ends(work, &person).await?;
    ends::settle(work, &person, &visits).await
}
