//! The end of what is kept of people: records of treatment and all that is sealed under the same key.

use chrono::{DateTime, Utc};

use crate::App;
use crate::bookings;
use crate::care::ends::{self, ToLookAt};
use crate::error::Result;

/// Erases the people whose last visit is as long ago as its place wants records kept. One whom nobody can open keeps no other from their turn.
pub async fn end_records(app: &App, now: DateTime<Utc>) -> Result<()> {
    let (mut due, mut outcome) = (ToLookAt::default(), Ok(()));
    loop {
        let people = due.next(app, now.date_naive()).await?;
        if people.is_empty() {
            return outcome;
        }
        for id in people {
            let mut work = app.begin(None).await?;
            let settled = async {
                let Some(person) = ends::person(app, &mut work, id).await? else { return Ok(()) };
                let visits = bookings::care::last_ends(&mut work, &person).await?;
                ends::settle(&mut work, &person, &visits).await
            };
            match settled.await {
                Ok(()) => work.commit().await?,
                Err(error) => outcome = Err(error),
            }
        }
    }
}
