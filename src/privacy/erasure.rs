//! Accounts, erased: what tells who it was is deleted or taken out, and what law and accounts must keep stays.

use chrono::{DateTime, Months, Utc};
use serde_json::json;

use super::{PUT_OFF, RetentionYears, store, words};
use crate::App;
use crate::accounts;
use crate::bookings;
use crate::doors;
use crate::error::Result;
use crate::events::{Event, Party, Work};
use crate::ids::AccountId;
use crate::personal::Words;
use crate::values::Role;

/// How many accounts are looked at in one go.
const AT_ONCE: i64 = 100;

/// Erases the accounts whose time has come, each in a transaction of its own. One that fails is told of, and keeps no other from its turn.
pub(super) async fn erase_all(app: &App) -> Result<()> {
    let now = app.clock.now();
    let mut failed = Ok(());
    for account in accounts::to_erase(&app.db, now, AT_ONCE).await? {
        failed = erase(app, account).await.and(failed);
    }
    failed
}

/// Erases an account whose time has come. Running it again changes nothing.
async fn erase(app: &App, account: AccountId) -> Result<()> {
    let mut work = app.begin(None).await?;
    let Some(role) = begin(&mut work, account).await? else { return Ok(()) };
    let now = work.now();
    if bookings::is_any_open(&mut work, account).await? {
        accounts::set_erases_at(&mut work, account, Some(now + PUT_OFF)).await?;
        let put_off = event("account.erasure_put_off", account, role).with(json!({ "erases_at": now + PUT_OFF }));
        work.announce(Event { party: Some(Party::System), ..put_off }).await?;
        return work.commit().await;
    }
    words::end(&mut work, &app.cipher, account, Words::EndAtOnce).await?;
    for table in doors::personal() {
        store::end(&mut work, table, account, now).await?;
    }
    work.announce(Event { party: Some(Party::System), ..event("account.erase", account, role) }).await?;
    work.commit().await
}

/// Locks an account, and tells what it is for; none where it is not to be erased, or not yet. Whoever is about to book for it has booked, or finds it locked.
async fn begin(work: &mut Work, account: AccountId) -> Result<Option<Role>> {
    work.lock(account.0).await?;
    let Some(closing) = accounts::lock_closing(work, account).await? else { return Ok(None) };
    let now = work.now();
    Ok(closing.erases_at.filter(|at| *at <= now).map(|_| closing.role))
}

/// Ends the words that were kept of those who were erased long ago, one account in a transaction of its own.
pub(super) async fn end_words(app: &App, now: DateTime<Utc>) -> Result<()> {
    let RetentionYears(years) = app.part::<RetentionYears>()?;
    let Some(until) = now.checked_sub_months(Months::new(12 * years)) else { return Ok(()) };
    for account in accounts::with_words(&app.db, until, AT_ONCE).await? {
        let mut work = app.begin(None).await?;
        words::end(&mut work, &app.cipher, account, Words::EndLater).await?;
        accounts::set_words_ended(&mut work, account).await?;
        work.commit().await?;
    }
    Ok(())
}

/// What was done to an account.
pub(super) fn event(kind: &'static str, account: AccountId, role: Role) -> Event {
    let event = Event::new(kind, "account", account).about((role == Role::Therapist).then(|| account.into()));
    Event { client: (role == Role::Client).then_some(account), ..event }
}
