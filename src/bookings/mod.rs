//! Bookings: one visit from the wish to its end.

pub mod holds;
pub mod licensing;
pub mod lifecycle;
pub mod policy;
mod proof;
mod reassign;
pub mod routes;
mod store;
mod views;
mod wish;

use chrono::{DateTime, NaiveDate, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use routes::{lapse, party};
pub use store::{completed_at, find, live_between, lock, met, seal_plain, within};

use crate::accounts::Address;
use crate::auth::Role;
use crate::availability::calendar;
use crate::availability::intervals::Span;
use crate::cipher::{Cipher, Sealed};
use crate::error::Result;
use crate::ids::{AccountId, BookingId, ServiceId, TherapistId};
use crate::values::{Money, Zone, bounded_text};
use lifecycle::{Party, Status};
use policy::Policy;

bounded_text! {
    /// What the client wants the therapist to know.
    Notes prose 1..=1000, example "Left shoulder since last week.";
    /// A part of the body to work on.
    FocusArea line 1..=60, example "shoulders";
    /// Why a step was taken.
    Reason prose 1..=500, example "I have caught a cold.";
}

/// How firm the touch should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Pressure {
    /// Light.
    Light,
    /// Medium.
    Medium,
    /// Firm.
    Firm,
    /// Deep.
    Deep,
}

/// One of the two sides of a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Side {
    /// Who books.
    Client,
    /// Who carries it out.
    Therapist,
}

impl Side {
    /// The side of someone with this role; staff are on neither, and operations for the two sides do not let them in.
    pub fn of(role: Role) -> Self {
        match role {
            Role::Therapist => Self::Therapist,
            Role::Client | Role::Admin => Self::Client,
        }
    }
}

/// A booked visit, as it is stored.
#[derive(Clone, Debug)]
pub struct Booking {
    pub id: BookingId,
    pub client: AccountId,
    pub therapist: TherapistId,
    pub service: ServiceId,
    pub status: Status,
    pub start_at: DateTime<Utc>,
    pub duration_minutes: i16,
    pub time_zone: Zone,
    pub address: Address,
    pub price: Money,
    pub policy: Policy,
    /// As they were kept before they were sealed.
    pub notes: Option<String>,
    pub notes_sealed: Option<Sealed>,
    pub focus_areas: Vec<String>,
    pub pressure: Option<Pressure>,
    /// When the client first asked, where that was before it was booked.
    pub asked_at: Option<DateTime<Utc>>,
    pub respond_by: Option<DateTime<Utc>>,
    pub cancelled: Option<Cancelled>,
    /// Since when the therapist may not carry it out, as far as the visit is still to take place.
    pub at_risk_since: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// How a visit was called off.
#[derive(Clone, Copy, Debug)]
pub struct Cancelled {
    pub by: Party,
    pub at: DateTime<Utc>,
    pub fee: i64,
}

/// The column of what the client wants the therapist to know: it may be about their health.
const NOTES: &str = "bookings.notes";

impl Booking {
    /// What the client wants the therapist to know.
    pub fn notes(&self, cipher: &Cipher) -> Result<Option<String>> {
        cipher.read(NOTES, self.id, self.notes.as_deref(), self.notes_sealed.as_ref())
    }

    /// When the time on the table ends.
    pub fn end_at(&self) -> DateTime<Utc> {
        self.table().end
    }

    /// The time on the table.
    pub fn table(&self) -> Span {
        Span::of_minutes(self.start_at, self.duration_minutes.into())
    }

    /// The first and the last date of the visit at its place, for which its therapist must be licensed.
    pub fn dates(&self) -> (NaiveDate, NaiveDate) {
        calendar::dates_of(self.time_zone.0, self.table())
    }

    /// Moves it on to `status`. What has ended is at risk no more.
    fn enter(&mut self, status: Status) {
        self.status = status;
        self.at_risk_since = self.at_risk_since.filter(|_| status.is_live());
    }

    /// Whether the therapist may see the door at `now`: from confirmation until 24 hours after the visit, and as long
    /// as it was not called off and is not at risk.
    pub fn discloses_address(&self, now: DateTime<Utc>) -> bool {
        use Status::{Arrived, Completed, Confirmed, InProgress, OnTheWay};
        matches!(self.status, Confirmed | OnTheWay | Arrived | InProgress | Completed)
            && now < self.end_at() + TimeDelta::hours(24)
            && self.at_risk_since.is_none()
    }
}

/// How long a therapist has to answer a request made at `now`: a day, and never more than half of the time that is
/// left until the start.
pub fn respond_by(now: DateTime<Utc>, start_at: DateTime<Utc>) -> DateTime<Utc> {
    // To the microseconds that PostgreSQL keeps.
    (now + ((start_at - now) / 2).min(TimeDelta::hours(24))).trunc_subsecs(6)
}
