//! When what is kept of a person ends: as long after their last visit as the policy of its place says, and of a minor as long after they are of age.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::people::recipients::{self, Recipient};
use super::people::store;
use super::published::{policy, policy_places};
use super::truth::birthday;
use crate::App;
use crate::error::{Error, Result};
use crate::events::{Event, Party, Work};
use crate::ids::RecipientId;
use crate::values::Jurisdiction;

/// How long nobody looks again at the most: policies change.
const LOOKED_AFTER: TimeDelta = TimeDelta::days(365);
/// Over how many days before that the next looks are spread.
const SPREAD: i64 = 120;

/// People of whom it is to be looked, in the order in which they are.
#[derive(Debug, Default)]
pub struct ToLookAt(Option<(NaiveDate, RecipientId)>);

impl ToLookAt {
    /// The next of them by `today`; nobody where all were looked at.
    pub async fn next(&mut self, app: &App, today: NaiveDate) -> Result<Vec<RecipientId>> {
        let after = self.0.map_or((NaiveDate::default(), None), |(day, id)| (day, Some(id)));
        let found = store::to_look_at(&app.db, after, today).await?;
        self.0 = found.last().copied().or(self.0);
        Ok(found.into_iter().map(|(_, id)| id).collect())
    }
}

/// A person, locked; none where they were erased meanwhile.
pub async fn person(app: &App, work: &mut Work, id: RecipientId) -> Result<Option<Recipient>> {
    work.lock(id.0).await?;
    match recipients::anyone(&mut ***work, &app.cipher, id).await {
        Ok(person) => Ok(Some(person)),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Erases a person of whom nothing has to be kept any more, or writes down when to look again. `visits` tells of each place when the last visit there ended.
/// What was last entered, answered or said of them counts as well, at each place that they were visited at: of who never was, by the longest policy that is in
/// force anywhere.
pub async fn settle(work: &mut Work, person: &Recipient, visits: &[(Jurisdiction, DateTime<Utc>)]) -> Result<()> {
    let now = work.now();
    let used = store::last_used(work, person.id).await?.unwrap_or(person.created_at).max(person.created_at);
    let mut ends = NaiveDate::default();
    for (place, at) in visits {
        ends = ends.max(end(work, person, &place.chain(), used.max(*at)).await?);
    }
    if visits.is_empty() {
        for place in policy_places(&mut ***work, now).await? {
            ends = ends.max(end(work, person, &[place], used).await?);
        }
    }
    if ends <= now.date_naive() {
        store::erase(work, person.id, now).await?;
        let erased = Event::new("recipient.erase", "recipient", person.id);
        return work.announce(Event { party: Some(Party::System), ..erased }).await;
    }
    // Not everyone on the same day, because those who were looked at on one day would be so for ever.
    let sooner = TimeDelta::days(i64::from(person.id.0.as_bytes()[15]) % SPREAD);
    store::look_again(work, person.id, ends.min((now + LOOKED_AFTER - sooner).date_naive())).await
}

/// Puts someone off until tomorrow.
pub async fn put_off(work: &mut Work, id: RecipientId) -> Result<()> {
    let tomorrow = (work.now() + TimeDelta::days(1)).date_naive();
    store::look_again(work, id, tomorrow).await
}

/// The day on which nothing has to be kept any more of what was on `at`.
async fn end(work: &mut Work, person: &Recipient, places: &[String], at: DateTime<Utc>) -> Result<NaiveDate> {
    let now = work.now();
    let terms = policy(&mut ***work, places, now).await?;
    // A day later, because it is later somewhere on earth.
    let on = (at + TimeDelta::days(1)).date_naive();
    let of_age = person.born_on.map(|born| birthday(born, terms.adult_age));
    Ok(birthday(of_age.map_or(on, |of_age| on.max(of_age)), terms.retention_years))
}
