//! Whether visits suit the people whom they are for, from booking to their beginning.
//!
//! No state says so: it is decided whenever it matters, by what is answered then. What is kept is that a client was told, so that they are told once.

mod consultation;
mod guests;
mod preview;
mod store;
mod views;

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use utoipa_actix_web::service_config::ServiceConfig;

use super::events::event;
use super::jobs::SettleCare;
use super::lifecycle::{Action, Party, Status, Step, step};
use super::steps::{self, Begun, begin_as_system};
use super::{Booking, CALL_OFF_LEAD};
use crate::App;
use crate::care::consultations::{Content, Signers};
use crate::care::published::PublishedRules;
use crate::care::{self, CareQuery, Limits, Recipient, Relation, RuleCache, ToBegin, VisitCare};
use crate::error::Result;
use crate::events::{TimeLock, Work};
use crate::ids::{AccountId, BookingId, RecipientId};
use crate::queue::enqueue;
use crate::values::Jurisdiction;

pub use views::shows_sheet;

pub(super) fn routes(config: &mut ServiceConfig) {
    views::routes(config);
    consultation::routes(config);
    guests::routes(config);
    preview::routes(config);
}

/// That a therapist was shown what a person has to say of their health.
const SHEET_READ: &str = "booking.care_sheet_read";

/// How many visits of one client are called off so late without a fee within [`WAIVED_WITHIN`]: nobody is to hide a fever for its price, and
/// nobody is to find that answers are a way around the policy.
const WAIVED: i64 = 2;
const WAIVED_WITHIN: TimeDelta = TimeDelta::days(365);

/// What the parties of a visit that is called off are told: nothing of anyone's health.
const CALLED_OFF: &str = "The visit cannot take place as it was booked.";

/// What decides whether `booking` suits the person whom it is for, as things stand; none where nothing can speak against it.
async fn of(app: &App, work: &mut Work, booking: &Booking) -> Result<Option<VisitCare>> {
    let now = work.now();
    of_at(app, work, booking, (now, None)).await
}

/// The same, as things will stand at `at` by what is known; by other rules than those in force, where they are given.
async fn of_at(
    app: &App,
    work: &mut Work,
    booking: &Booking,
    (at, rules): (DateTime<Utc>, Option<Arc<PublishedRules>>),
) -> Result<Option<VisitCare>> {
    let query = CareQuery {
        account: booking.client,
        recipient: booking.recipient,
        service: booking.service,
        minutes: booking.duration_minutes,
        pressure: booking.pressure,
        place: &booking.address.jurisdiction,
        visit: Some((booking.id, booking.therapist)),
    };
    VisitCare::read_under(app, work, query, (at, rules)).await
}

/// When the last visit of a person ends that took place or may still do so, at each place.
pub async fn last_ends(work: &mut Work, person: &Recipient) -> Result<Vec<(Jurisdiction, DateTime<Utc>)>> {
    let oneself = (person.relation == Relation::Oneself).then_some(person.account);
    store::last_ends(work, person.id, oneself).await
}

/// Whether the account that books for a person holds time, which may become a visit.
pub async fn is_held(work: &mut Work, person: &Recipient) -> Result<bool> {
    let now = work.now();
    store::holds(work, person.account, now).await
}

/// What applies to the person at a visit; none where nothing is known that could limit it.
pub async fn limits(app: &App, work: &mut Work, booking: &Booking) -> Result<Option<Limits>> {
    let (first, last) = booking.dates();
    Ok(of(app, work, booking).await?.map(|care| care.decision(first, last).limits))
}

/// The same, as if `content` were agreed on.
async fn of_content(app: &App, work: &mut Work, booking: &Booking, content: &Content) -> Result<Option<VisitCare>> {
    let mut care = of(app, work, booking).await?;
    if let Some(care) = &mut care {
        care.wish(content);
    }
    Ok(care)
}

/// Who signs for a visit.
fn signers(booking: &Booking) -> Signers {
    Signers { client: booking.client, therapist: booking.therapist, service: booking.service }
}

/// Refuses what its client wishes where it does not suit the person, and writes down why it does where it does.
pub(super) async fn admit(app: &App, work: &mut Work, booking: &Booking) -> Result<()> {
    let Some(care) = of(app, work, booking).await? else { return Ok(()) };
    let (first, last) = booking.dates();
    if care.refusal(first, last).is_some() {
        return Err(care.error(first, last, true));
    }
    care.record(work, booking.id, (first, last)).await
}

fn to_begin(booking: &Booking) -> ToBegin {
    ToBegin { start: booking.start_at, dates: booking.dates(), confirmed_at: booking.care_confirmed_at }
}

/// Refuses to begin a visit that does not suit the person by what is known now, and writes down why it does where it does.
pub(super) async fn refuse_to_begin(app: &App, work: &mut Work, booking: &Booking) -> Result<()> {
    let Some(care) = of(app, work, booking).await? else { return Ok(()) };
    let visit = to_begin(booking);
    if let Some(refusal) = care.refusal_to_begin(&visit) {
        return Err(refusal.into());
    }
    care.record(work, booking.id, visit.dates).await
}

/// Decides again on the visits ahead of a recipient, whose answers have changed. Running it again changes nothing.
pub(super) async fn reconsider(app: &App, recipient: RecipientId) -> Result<()> {
    let mut work = app.begin(None).await?;
    let now = work.now();
    let oneself = care::account_of_oneself(&mut work, recipient).await?;
    let visits = store::ahead(&mut work, Some(recipient), oneself, now).await?;
    work.commit().await?;
    for visit in visits {
        reconsider_visit(app, visit).await?;
    }
    Ok(())
}

/// Decides again on the visits ahead of everyone, since the rules have changed.
pub(super) async fn reconsider_all(app: &App) -> Result<()> {
    let rules = app.part::<RuleCache>()?.rules(&mut *app.db.acquire().await?, app.clock.now()).await?;
    let mut everyone = Everyone::under(&rules);
    while let Some(visits) = everyone.next(app, app.clock.now()).await? {
        for visit in visits {
            reconsider_visit(app, visit).await?;
        }
    }
    Ok(())
}

/// The visits ahead of all people of whom anything may be known, person by person: first of those whom visits name, then of clients whose visits name nobody.
/// Of clients who have entered nobody nothing is known, which counts where they are asked for their age.
#[derive(Default)]
struct Everyone {
    asks_for_age: bool,
    people: VecDeque<(Option<RecipientId>, Option<AccountId>)>,
    after_recipient: Option<RecipientId>,
    after_client: Option<AccountId>,
    named_are_done: bool,
}

impl Everyone {
    fn under(rules: &PublishedRules) -> Self {
        Self { asks_for_age: rules.ask_for_age(), ..Self::default() }
    }

    /// The visits of the next person; none where there is nobody left.
    async fn next(&mut self, app: &App, now: DateTime<Utc>) -> Result<Option<Vec<BookingId>>> {
        while self.people.is_empty() {
            if !self.named_are_done {
                let recipients = store::recipients_with_visits(&app.db, self.after_recipient, now).await?;
                self.named_are_done = recipients.is_empty();
                self.after_recipient = recipients.last().copied().or(self.after_recipient);
                self.people.extend(recipients.into_iter().map(|recipient| (Some(recipient), None)));
                continue;
            }
            let clients = store::clients_with_visits(&app.db, self.after_client, now).await?;
            let Some(last) = clients.last() else { return Ok(None) };
            self.after_client = Some(last.0);
            let all: Vec<AccountId> = clients.iter().map(|(client, _)| *client).collect();
            let entered = care::who_entered_oneself(&app.db, &all).await?;
            let counts =
                |(client, is_at_risk): &(AccountId, bool)| self.asks_for_age || *is_at_risk || entered.contains(client);
            let those = clients.iter().filter(|client| counts(client)).map(|(client, _)| (None, Some(*client)));
            self.people.extend(those);
        }
        let Some((recipient, client)) = self.people.pop_front() else { return Ok(None) };
        let mut conn = app.db.acquire().await?;
        Ok(Some(store::ahead(&mut conn, recipient, client, now).await?))
    }
}

/// What follows for a visit when it is decided on again.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    /// It does not suit any more: its client is told.
    unsettles: bool,
    /// It does not suit, and begins within 24 hours.
    calls_off: bool,
    /// It suits again: its client is told.
    settles: bool,
    /// Its therapist is told of other limits, or another sheet.
    changes_sheet: bool,
}

/// What follows for a visit by what decides on it, at `now`.
async fn turn(work: &mut Work, booking: &Booking, care: Option<&VisitCare>, now: DateTime<Utc>) -> Result<Turn> {
    if !booking.status.is_live() || booking.status == Status::InProgress || booking.start_at <= now {
        return Ok(Turn::default());
    }
    let (first, last) = booking.dates();
    let is_at_risk = booking.care_at_risk_since.is_some();
    if care.is_some_and(|care| !care.suits(first, last)) {
        let calls_off = booking.start_at - CALL_OFF_LEAD <= now;
        return Ok(Turn { unsettles: !is_at_risk, calls_off, ..Turn::default() });
    }
    let changes_sheet = match care {
        Some(care) if booking.status != Status::Requested => {
            care.changes_sheet(work, booking.id, (first, last)).await?
        }
        _ => false,
    };
    Ok(Turn { settles: is_at_risk, changes_sheet, ..Turn::default() })
}

/// Decides again on one visit: it stands, its client is told, or within 24 hours of its start it is called off. It looks at the present state, so that
/// it may run twice, early or late.
pub(super) async fn reconsider_visit(app: &App, id: BookingId) -> Result<()> {
    let Some(Begun { mut work, lock, booking, .. }) = begin_as_system(app, id).await? else { return Ok(()) };
    let now = work.now();
    let care = of(app, &mut work, &booking).await?;
    let turn = turn(&mut work, &booking, care.as_ref(), now).await?;
    if turn.settles {
        store::set_at_risk(&mut work, id, None).await?;
        work.announce(event("booking.care_settled", &booking, json!({}))).await?;
    }
    if turn.unsettles {
        store::set_at_risk(&mut work, id, Some(now)).await?;
    }
    if let Some(care) = care.filter(|_| turn.changes_sheet) {
        care.record(&mut work, id, booking.dates()).await?;
        work.announce(event("booking.care_changed", &booking, json!({}))).await?;
    }
    if turn.calls_off {
        call_off(&mut work, &lock, booking).await?;
    } else if turn.unsettles {
        enqueue(&mut work, &SettleCare { booking: id }, booking.start_at - CALL_OFF_LEAD).await?;
        work.announce(event("booking.care_unsettled", &booking, json!({}))).await?;
    }
    work.commit().await
}

/// Cancels a visit in the service's name. It costs nothing the first times; then it costs what the policy asks of a client who calls off now.
async fn call_off(work: &mut Work, lock: &TimeLock, booking: Booking) -> Result<()> {
    let now = work.now();
    let Ok(Step::To(status)) = step(&booking, Action::Cancel, Party::System, now) else { return Ok(()) };
    let waived = store::called_off_late(work, booking.client, now - WAIVED_WITHIN).await? < WAIVED;
    let told_before = booking.care_at_risk_since.is_some();
    let fee = if waived || told_before { 0 } else { booking.fee(Party::Client, now).amount };
    steps::call_off(work, lock, booking, (Party::System, status), fee, CALLED_OFF).await
}
