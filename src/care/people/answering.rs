//! For whom an account answers, agrees and signs.

use chrono::{DateTime, NaiveDate, Utc};

use super::recipients::{self, Recipient};
use super::store;
use crate::App;
use crate::accounts;
use crate::care::published::policy;
use crate::error::Result;
use crate::events::Work;
use crate::ids::{AccountId, RecipientId};
use crate::values::Jurisdiction;
use crate::values::wall_clock::local_date;

/// The person whom a visit is for: who is named, or else the client; none where nobody was entered, not even the client.
pub async fn person(
    app: &App,
    work: &mut Work,
    client: AccountId,
    recipient: Option<RecipientId>,
) -> Result<Option<Recipient>> {
    recipients::named(work, &app.cipher, client, recipient).await
}

/// The same; of the client a recipient is made where there is none.
pub async fn person_entered(
    app: &App,
    work: &mut Work,
    client: AccountId,
    recipient: Option<RecipientId>,
) -> Result<Option<Recipient>> {
    recipients::named_or_oneself(work, &app.cipher, client, recipient).await
}

/// Whether the account can agree and sign for the person on `date`, at the place of a visit.
pub async fn may_sign(work: &mut Work, person: &Recipient, place: &Jurisdiction, date: NaiveDate) -> Result<bool> {
    let now = work.now();
    Ok(person.may_sign(&policy(&mut ***work, &place.chain(), now).await?, date))
}

/// Whether the account answers for the person on `date`, at the place of a visit. Another adult's health is that person's own.
pub async fn is_accounts_own(
    work: &mut Work,
    person: &Recipient,
    place: &Jurisdiction,
    date: NaiveDate,
) -> Result<bool> {
    let now = work.now();
    Ok(person.is_accounts_own(&policy(&mut ***work, &place.chain(), now).await?, date))
}

/// The same today, where the account's holder lives.
pub async fn is_accounts_own_today(work: &mut Work, person: &Recipient) -> Result<bool> {
    let now = work.now();
    let today = local_date(accounts::zone(&mut ***work, person.account).await?, now);
    Ok(person.is_accounts_own(&policy(&mut ***work, &[], now).await?, today))
}

/// Since when what a guest said counts who was made another link and began anew; none of anyone else.
pub async fn anew_since(work: &mut Work, person: &Recipient) -> Result<Option<DateTime<Utc>>> {
    store::anew_since(work, person.id).await
}
