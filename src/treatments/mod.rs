//! Treatments: what was done at a visit, how the person was before and after in numbers, and what follows at home. All of it is sealed under the person's own
//! key, and read by the visit's two parties alone: the account only where it answers for the person.

mod aftercare;
mod introduced;
mod measures;
pub mod personal;
mod plans;
mod records;
mod retention;
mod store;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

pub use introduced::introduce_plan;

use crate::App;
use crate::auth::Principal;
use crate::bookings::lifecycle::{Party, Status};
use crate::bookings::{self, Booking};
use crate::care::{self, Recipient};
use crate::error::{Error, Result};
use crate::events::{Event, Work};
use crate::ids::BookingId;
use crate::queue::Sweep;
use crate::values::bounded_text;

/// What ends here.
pub const SWEEPS: &[Sweep] =
    &[Sweep { name: "people_of_long_ago", run: |app, now| Box::pin(retention::end_records(app, now)) }];

/// The operations on treatments.
pub fn routes(config: &mut ServiceConfig) {
    records::routes(config);
    measures::routes(config);
    aftercare::routes(config);
    plans::routes(config);
}

bounded_text! {
    /// What a therapist records, or a person says of a visit.
    TreatmentText prose 1..=2000, example "Trapezius tight on the left; released well.";
    /// An activity that a person has trouble with, in their words.
    Activity line 1..=120, example "Lifting my child";
    /// An instrument whose text is licensed.
    Instrument line 1..=60, example "Oswestry Disability Index";
}

/// How bad an adverse reaction was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Severity {
    /// Gone within two days, without care.
    Mild,
    /// It took longer, or kept from everyday things.
    Moderate,
    /// It needed a healthcare provider.
    Serious,
}

/// Something that went badly with a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AdverseReaction {
    /// How bad it was.
    severity: Severity,
    /// What it was.
    text: TreatmentText,
}

/// How long after a visit its therapist writes the record and takes measures: as long as session notes.
const OPEN: TimeDelta = TimeDelta::hours(72);

/// A visit as one of its parties sees it, with the person whom it was for.
struct Seen {
    booking: Booking,
    party: Party,
    person: Recipient,
}

impl Seen {
    /// Finds it for the caller, under the lock of the person.
    ///
    /// # Errors
    /// 404 where the caller may not know of it, where nobody was entered as the person, for an account that does not answer for the person, and for a
    /// therapist before they have accepted the visit or once it is called off.
    async fn find(app: &App, work: &mut Work, me: &Principal, id: BookingId) -> Result<Self> {
        use Status::{Arrived, Completed, Confirmed, InProgress, NoShow, OnTheWay, Stopped};
        let now = work.now();
        let booking = bookings::find(work, id, now).await?.ok_or(Error::NotFound)?;
        let party = bookings::party(&booking, me).ok_or(Error::NotFound)?;
        let seen = care::person(app, work, booking.client, booking.recipient).await?.ok_or(Error::NotFound)?;
        work.lock(seen.id.0).await?;
        // Read again, because they may have been erased meanwhile.
        let person = care::person(app, work, booking.client, Some(seen.id)).await?.ok_or(Error::NotFound)?;
        let (first, _) = booking.dates();
        let is_shown = match party {
            Party::Therapist => {
                matches!(booking.status, Confirmed | OnTheWay | Arrived | InProgress | Completed | Stopped | NoShow)
            }
            _ => care::is_accounts_own(work, &person, &booking.address.jurisdiction, first).await?,
        };
        if is_shown { Ok(Self { booking, party, person }) } else { Err(Error::NotFound) }
    }

    /// Whether the visit took place, or is taking place.
    fn took_place(&self) -> bool {
        matches!(self.booking.status, Status::InProgress | Status::Completed | Status::Stopped)
    }

    /// Whether its therapist can still write of it.
    fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.took_place() && now < self.booking.end_at() + OPEN
    }

    /// What was done. Nothing of what it says.
    fn event(&self, kind: &'static str, details: Value) -> Event {
        Event {
            party: Some(self.party),
            client: Some(self.booking.client),
            ..Event::new(kind, "booking", self.booking.id).about(self.booking.therapist).with(details)
        }
    }

    /// Tells staff that something went wrong, without what it was: that stays the person's own.
    async fn raise(&self, app: &App, work: &mut Work, me: &Principal, harmed: bool) -> Result<()> {
        bookings::report_of_treatment(app, work, &self.booking, (self.party, me.account), harmed).await
    }
}
