//! People as staff see them: whoever rings is found by what they know of themselves, and shown on one page. Each look is an event.

pub mod routes;
mod store;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::accounts::Account;
use crate::bookings::lifecycle::Status;
use crate::credentials::BoardStatus;
use crate::credentials::review::ReviewState;
use crate::ids::{AccountId, BookingId, CredentialId, TherapistId};
use crate::values::{Rating, Role, Zone};

/// By what a person was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum FoundBy {
    /// Words of the name.
    Name,
    /// The beginning of the e-mail address.
    Email,
    /// Digits of the telephone number.
    Phone,
    /// The beginning of a credential's number.
    LicenceNumber,
    /// A booking of theirs.
    Booking,
}

/// A person who was found.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FoundPerson {
    /// The account's id; a therapist's is the id of the therapist too.
    pub id: AccountId,
    /// What the account is for.
    pub role: Role,
    /// The name that others see.
    #[schema(example = "Tom Reed")]
    pub display_name: String,
    /// The address that signs in.
    #[schema(example = "tom@example.org")]
    pub email: String,
    /// E.164.
    #[schema(example = "+61412345678")]
    pub phone: Option<String>,
    /// By what they were found.
    pub found_by: Vec<FoundBy>,
}

/// A visit of a person, in a line.
#[derive(Debug, Serialize, ToSchema)]
pub struct VisitLine {
    /// The booking.
    pub id: BookingId,
    /// Where it stands.
    pub status: Status,
    /// When the time on the table begins.
    pub start_at: DateTime<Utc>,
    /// The zone at its place.
    pub time_zone: Zone,
    /// Its client.
    pub client_id: AccountId,
    /// Its client's name.
    pub client_name: String,
    /// Its therapist.
    pub therapist_id: TherapistId,
    /// Its therapist's name.
    pub therapist_name: String,
    /// Since when its therapist may not carry it out.
    pub at_risk_since: Option<DateTime<Utc>>,
}

/// A credential of a therapist, in a line.
#[derive(Debug, Serialize, ToSchema)]
pub struct CredentialLine {
    /// The credential.
    pub id: CredentialId,
    /// Its type's code.
    #[serde(rename = "type")]
    #[schema(example = "US-TX-LMT")]
    pub type_code: String,
    /// The number, as it was written.
    pub number: Option<String>,
    /// Where its review stands.
    pub review_state: ReviewState,
    /// What the authority says.
    pub board_status: BoardStatus,
    /// The last day of its validity.
    pub expires_on: Option<NaiveDate>,
}

/// What there is to know of a therapist.
#[derive(Debug, Serialize, ToSchema)]
pub struct TherapistLine {
    /// Whether clients can book them at all, and so see them.
    pub bookable: bool,
    /// Whether they accept bookings.
    pub accepting_bookings: bool,
    /// How clients rate them.
    pub rating: Rating,
    /// What they hold and have held, newest first; 20 at the most.
    pub credentials: Vec<CredentialLine>,
}

/// A person on one page.
#[derive(Debug, Serialize, ToSchema)]
pub struct Person {
    #[serde(flatten)]
    pub account: Account,
    /// What there is to know of a therapist; null for others.
    pub therapist: Option<TherapistLine>,
    /// Visits ahead, soonest first; 10 at the most.
    pub next_visits: Vec<VisitLine>,
    /// Visits past, called off or broken off, latest first; 10 at the most.
    pub last_visits: Vec<VisitLine>,
    /// Incidents at their visits that staff have not resolved.
    pub open_incidents: i64,
    /// When they last began a session.
    pub last_signed_in_at: Option<DateTime<Utc>>,
}
