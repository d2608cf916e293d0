//! What time brings: reminders before a credential ends, and authorities that are to be asked again.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::json;

use super::jobs::Recheck;
use super::store;
use crate::App;
use crate::error::Result;
use crate::events::Event;
use crate::ids::{CredentialId, TherapistId};
use crate::queue::enqueue_once;

/// So many days before the end, by the therapist's own calendar, its holder is reminded.
const DAYS_BEFORE: [i16; 4] = [60, 30, 7, 0];

/// How long it is remembered, after a credential's end, that its holder was reminded of it.
const REMINDED_KEPT: TimeDelta = TimeDelta::days(400);

/// A reminder that is due.
pub(super) struct Reminder {
    pub credential: CredentialId,
    pub therapist: TherapistId,
    pub type_code: String,
    pub expires_on: NaiveDate,
    pub days_before: i16,
}

/// Reminds whoever is due, once for each credential, end and number of days; who was not reminded in time is reminded of
/// the nearest end alone. It may run at any time, and twice.
pub async fn remind(app: &App) -> Result<()> {
    let now = app.clock.now();
    let mut work = app.begin(None).await?;
    for reminder in store::remind(&mut work, &DAYS_BEFORE, now).await? {
        let details = json!({
            "type": reminder.type_code, "expires_on": reminder.expires_on, "days_before": reminder.days_before,
        });
        let event = Event::new("credential.expires", "credential", reminder.credential);
        work.announce(event.about(reminder.therapist).with(details)).await?;
    }
    work.commit().await?;
    Ok(())
}

/// Deletes what was noted of reminders of ends long past.
pub async fn forget_reminders(app: &App, now: DateTime<Utc>) -> Result<()> {
    store::forget_reminders(&app.db, (now - REMINDED_KEPT).date_naive()).await
}

/// Queues a re-check of every verified credential whose authority is to be asked again, unless one waits already.
pub async fn recheck(app: &App) -> Result<()> {
    let now = app.clock.now();
    let mut work = app.begin(None).await?;
    for credential in store::to_recheck(&mut work, now.date_naive()).await? {
        enqueue_once(&mut work, &Recheck { credential }, &format!("recheck_credential:{credential}"), now).await?;
    }
    work.commit().await?;
    Ok(())
}

/// Asks staff to look at a credential that is still to be re-checked after its authority's list was asked, or has none.
pub async fn ask_staff_where_due(app: &App, credential: CredentialId) -> Result<()> {
    let now = app.clock.now();
    let mut work = app.begin(None).await?;
    if store::is_recheck_due(&mut work, credential, now.date_naive()).await? {
        work.announce(Event::new("credential.recheck_due", "credential", credential)).await?;
    }
    work.commit().await?;
    Ok(())
}
