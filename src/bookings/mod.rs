//! Bookings: one visit from the wish to its end.

mod actions;
mod around;
mod book;
pub mod bounds;
pub mod care;
mod changes;
mod charge;
pub mod costs;
pub mod counter_offers;
mod day;
mod delay;
mod details;
pub mod entries;
mod events;
mod extend;
pub mod handing_over;
pub mod holds;
mod incidents;
pub mod jobs;
mod lapse;
pub mod licensing;
pub mod lifecycle;
mod list;
mod local_times;
mod missed;
mod opening;
pub mod outline;
mod outside_hours;
pub mod overdue;
pub mod personal;
mod proof;
pub mod reacts;
mod reassign;
pub mod reliability;
mod reschedule;
pub mod routes;
pub mod sealed;
mod steps;
mod store;
pub mod suspended;
mod views;
mod visit;
mod wish;

use chrono::{DateTime, NaiveDate, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use incidents::{has_open as has_open_incident, report_of_treatment};
pub use lapse::lapse;
pub use steps::party;
pub use store::{completed_at, find, has_begun, is_any_open, live_between, lock, met};

use crate::accounts::Address;
use crate::cipher::{Cipher, Sealed};
use crate::error::{FieldError, Result};
use crate::ids::{AccountId, BookingId, RecipientId, ServiceId, TherapistId};
use crate::prices::{Policy, PriceBreakdown};
use crate::values::{Gender, Money, Pressure, Role, Span, Zone, bounded_text, name, wall_clock};
use lifecycle::{Action, Party, Status};

bounded_text! {
    /// What the client wants the therapist to know.
    Notes prose 1..=1000, example "Left shoulder since last week.";
    /// A part of the body to work on.
    FocusArea line 1..=60, example "shoulders";
    /// Why a step was taken.
    Reason prose 1..=500, example "I have caught a cold.";
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

/// From so long before its start on, a visit is called off that cannot take place as things stand: whoever waits for it is to plan anew.
const CALL_OFF_LEAD: TimeDelta = TimeDelta::hours(24);

/// A booked visit, as it is stored.
#[derive(Clone, Debug)]
pub struct Booking {
    pub id: BookingId,
    pub client: AccountId,
    /// For whom it is; none for the client, where nothing was known of them when it was booked.
    pub recipient: Option<RecipientId>,
    pub therapist: TherapistId,
    pub service: ServiceId,
    pub status: Status,
    pub start_at: DateTime<Utc>,
    pub duration_minutes: i16,
    pub time_zone: Zone,
    pub address: Address,
    /// The total of the breakdown.
    pub price: Money,
    pub breakdown: PriceBreakdown,
    pub policy: Policy,
    pub notes_sealed: Option<Sealed>,
    pub focus_areas_sealed: Option<Sealed>,
    pub pressure: Option<Pressure>,
    /// When the client first asked, where that was before it was booked.
    pub asked_at: Option<DateTime<Utc>>,
    pub respond_by: Option<DateTime<Utc>>,
    pub cancelled: Option<Cancelled>,
    /// What its client pays after all, where staff have lowered it.
    pub charge_lowered_to: Option<i64>,
    /// What became of the client's word that nobody came.
    pub missed: Option<missed::Report>,
    /// How long it is to last, where its client is asked, or has agreed.
    pub extension: Option<Extension>,
    /// Of which gender the client wants the therapist to be.
    pub therapist_gender: Option<Gender>,
    /// Why it was called off, in the words of whoever did.
    pub cancel_reason: Option<KeptReason>,
    /// Since when the therapist may not carry it out, as far as the visit is still to take place.
    pub at_risk_since: Option<DateTime<Utc>>,
    /// Whether its therapist has moved it, or staff have given it to another, so that calling it off costs nothing until its start.
    pub free_to_cancel: bool,
    /// What calling it off costs at the least: what it would have cost when its client asked for another time.
    pub least_fee: i64,
    /// Since when the answers of the person whom it is for speak against it, as far as it is still to take place.
    pub care_at_risk_since: Option<DateTime<Utc>>,
    /// When its client last said that nothing has changed since the answers.
    pub care_confirmed_at: Option<DateTime<Utc>>,
    /// Since when its therapist, who cannot come, wants somebody else to take it over.
    pub handed_over_at: Option<DateTime<Utc>>,
    /// When its therapist expects it to begin, where they have said so or are on the way.
    pub expected_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// A longer time on the table, which its therapist asks for and its client decides on.
#[derive(Clone, Copy, Debug)]
pub struct Extension {
    /// Minutes on the table in all.
    pub minutes: i16,
    /// What the visit costs then.
    pub amount: i64,
    /// When silence is a no.
    pub expires_at: DateTime<Utc>,
}

/// How a visit ended short: called off, missed or broken off.
#[derive(Clone, Copy, Debug)]
pub struct Cancelled {
    pub by: Party,
    pub at: DateTime<Utc>,
    pub fee: i64,
}

/// The column of what the client wants the therapist to know: it may be about their health.
pub const NOTES: &str = "bookings.notes";

/// The column of the parts of the body to work on, which tell of health.
pub const FOCUS_AREAS: &str = "bookings.focus_areas";

/// The parts of the body to work on, as they are kept.
fn focus_areas(areas: &[FocusArea]) -> Result<Vec<String>> {
    if areas.len() > 10 {
        return Err(FieldError::new("/focus_areas", "holds at most 10 entries.").into());
    }
    Ok(areas.iter().map(|area| area.as_str().to_owned()).collect())
}

fn seal_focus_areas(cipher: &Cipher, booking: BookingId, areas: &[String]) -> Result<Option<Sealed>> {
    (!areas.is_empty()).then(|| cipher.seal_value(FOCUS_AREAS, booking, &areas)).transpose()
}

/// The column of the reasons of steps: they may be about someone's health.
const REASON: &str = "events.reason";

/// Why a step was taken, as it is kept.
#[derive(Clone, Debug, Deserialize)]
pub struct KeptReason {
    pub action: Action,
    pub at: DateTime<Utc>,
    /// In the service's own words.
    pub own: Option<String>,
    /// In a person's.
    pub sealed: Option<Sealed>,
    /// Whether it is a therapist's objection: it tells of health, and is the two parties' own.
    #[serde(default)]
    pub objected: bool,
}

impl KeptReason {
    /// Seals the reason of a step of `booking`.
    pub fn seal(cipher: &Cipher, booking: BookingId, action: Action, at: DateTime<Utc>, words: &str) -> Result<Sealed> {
        cipher.seal(REASON, Self::row(booking, action, at), words)
    }

    /// The reason, if one was given.
    pub fn read(&self, booking: BookingId, cipher: &Cipher) -> Result<Option<String>> {
        if let Some(own) = &self.own {
            return Ok(Some(own.clone()));
        }
        let words = cipher.open_any(REASON, Self::row(booking, self.action, self.at), self.sealed.as_ref())?;
        // The words of whoever was erased have ended.
        Ok(words.filter(|words| !words.is_empty()))
    }

    /// What names the step: an event has no id until it is stored.
    fn row(booking: BookingId, action: Action, at: DateTime<Utc>) -> String {
        format!("{booking}/{}/{}", name(&action), at.timestamp_micros())
    }
}

impl Booking {
    /// What the client wants the therapist to know.
    pub fn notes(&self, cipher: &Cipher) -> Result<Option<String>> {
        cipher.open_any(NOTES, self.id, self.notes_sealed.as_ref())
    }

    /// The parts of the body to work on.
    pub fn focus_areas(&self, cipher: &Cipher) -> Result<Vec<String>> {
        let areas = self.focus_areas_sealed.as_ref().map(|sealed| cipher.open_value(FOCUS_AREAS, self.id, sealed));
        Ok(areas.transpose()?.unwrap_or_default())
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
        wall_clock::dates_of(self.time_zone, self.table())
    }

    /// What the therapist earns of what the client pays for calling it off.
    pub fn therapist_share(&self) -> Option<Money> {
        self.cancelled.and(self.charge()).map(|fee| self.policy.therapist_share(fee))
    }

    /// Moves it on to `status`. What has ended is at risk no more.
    fn enter(&mut self, status: Status) {
        self.status = status;
        self.at_risk_since = self.at_risk_since.filter(|_| status.is_live());
        self.care_at_risk_since = self.care_at_risk_since.filter(|_| status.is_live());
    }

    /// Whether the therapist may see the door at `now`: from confirmation until 24 hours after the visit, and as long
    /// as it was not called off, is not at risk and was not handed over.
    pub fn discloses_address(&self, now: DateTime<Utc>) -> bool {
        use Status::{Arrived, Completed, Confirmed, InProgress, OnTheWay};
        matches!(self.status, Confirmed | OnTheWay | Arrived | InProgress | Completed)
            && now < self.end_at() + TimeDelta::hours(24)
            && self.at_risk_since.is_none()
            && self.handed_over_at.is_none()
    }
}

/// How long a therapist has to answer a request made at `now`: a day, and never more than half of the time that is
/// left until the start.
pub fn respond_by(now: DateTime<Utc>, start_at: DateTime<Utc>) -> DateTime<Utc> {
    // To the microseconds that PostgreSQL keeps.
    (now + ((start_at - now) / 2).min(TimeDelta::hours(24))).trunc_subsecs(6)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ids::AddressId;

    /// A confirmed visit of an hour, booked a month ahead at this price.
    pub(crate) fn confirmed(price: Money) -> Booking {
        let created_at: DateTime<Utc> = "2026-11-01T00:00:00Z".parse().expect("an instant");
        let policy = r#"{"version": 1, "free_within_minutes_of_booking": 60, "tiers": [{"minutes_before": 0, "fee_percent": 100}]}"#;
        Booking {
            id: BookingId::new(created_at),
            client: AccountId::new(created_at),
            recipient: None,
            therapist: TherapistId::new(created_at),
            service: ServiceId::new(created_at),
            status: Status::Confirmed,
            start_at: "2026-12-01T00:00:00Z".parse().expect("an instant"),
            duration_minutes: 60,
            time_zone: crate::values::zones::zone("Australia/Sydney"),
            address: serde_json::from_value(json!({
                "id": AddressId::new(created_at), "label": "Home", "kind": "home", "line1": "12 Crown Street", "locality": "Surry Hills",
                "region": "NSW", "postcode": "2010", "country": "AU", "latitude": -33.8886, "longitude": 151.2111,
                "time_zone": "Australia/Sydney", "jurisdiction": "AU-NSW",
            }))
            .expect("an address"),
            price,
            breakdown: PriceBreakdown {
                base: price,
                lines: Vec::new(),
                total: price,
                price_version: 1,
                distance_km: None,
                priced_at: created_at,
                asked_at: created_at,
                agreed_for: None,
            },
            policy: serde_json::from_str(policy).expect("a policy"),
            notes_sealed: None,
            focus_areas_sealed: None,
            pressure: None,
            asked_at: None,
            respond_by: None,
            cancelled: None,
            charge_lowered_to: None,
            missed: None,
            extension: None,
            therapist_gender: None,
            cancel_reason: None,
            at_risk_since: None,
            free_to_cancel: false,
            least_fee: 0,
            care_at_risk_since: None,
            care_confirmed_at: None,
            handed_over_at: None,
            expected_at: None,
            created_at,
        }
    }
}
