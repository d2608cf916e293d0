//! Accounts: who people are, how they sign in, and where clients receive visits.

pub mod addresses;
pub mod routes;
mod store;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use addresses::{Address, AddressView, Remarks, visit_address};
pub use store::{create_admin, live_session, names, rate, ratings};

use crate::ids::AccountId;
use crate::queue::Sweep;
use crate::values::{Role, Zone, bounded_text};

bounded_text! {
    /// A refresh token as a caller sends it.
    SentToken line 1..=200, example "bm90LWEtcmVhbC10b2tlbi1idXQtb2YtdGhlLXNpemU";
    /// What the client calls the place.
    Label line 1..=60, example "Home";
    /// A line of a postal address.
    AddressLine line 1..=200, example "12 Crown Street";
    /// A suburb, town or city.
    Locality line 1..=100, example "Surry Hills";
    /// A postcode.
    Postcode line 1..=20, example "2010";
    /// A region's code within its country (ISO 3166-2), with or without the country.
    Region line 1..=10, example "NSW";
    /// How to get in.
    AccessNotes prose 1..=1000, example "Ring 4; the lift is on the left.";
    /// A short remark about a place.
    Remark line 1..=200, example "Two flights";
}

/// What is deleted here in the end.
pub const SWEEPS: &[Sweep] =
    &[Sweep { name: "refresh_tokens", run: |app, now| Box::pin(store::forget_expired_tokens(&app.db, now)) }];

/// How long a refresh token is good for, counted from its issue.
pub const REFRESH: TimeDelta = TimeDelta::days(30);
/// How long a refresh token may be shown again: the answer to its first use may have been lost.
pub const REFRESH_GRACE: TimeDelta = TimeDelta::seconds(10);

/// How long an expired refresh token is still known, counted from its end.
const EXPIRED_KEPT: TimeDelta = TimeDelta::days(1);

/// An account as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Account {
    /// The account's id; a therapist's is the id of the therapist too.
    pub id: AccountId,
    /// The address that signs in.
    #[schema(example = "mia@example.org")]
    pub email: String,
    /// What the account is for.
    pub role: Role,
    /// The name that others see.
    #[schema(example = "Mia Chen")]
    pub display_name: String,
    /// E.164.
    #[schema(example = "+61412345678")]
    pub phone: Option<String>,
    /// The zone that the owner lives in.
    pub time_zone: Zone,
    /// When the account was made.
    pub created_at: DateTime<Utc>,
}

/// Who may register. There is no way to register as an admin.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RegistrableRole {
    /// Books visits.
    Client,
    /// Carries visits out.
    Therapist,
}

impl From<RegistrableRole> for Role {
    fn from(role: RegistrableRole) -> Self {
        match role {
            RegistrableRole::Client => Self::Client,
            RegistrableRole::Therapist => Self::Therapist,
        }
    }
}

/// What becomes of a refresh token that is shown.
#[derive(Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It is exchanged for its successor.
    Exchange,
    /// It was exchanged a moment ago, and the answer may have got lost: its successor is given again, while nobody has used that.
    Repeat,
    /// It is unknown, expired, or its session has ended.
    Refuse,
    /// It was exchanged before, too long ago for a lost answer: someone has a copy. The session ends.
    EndSession,
}

/// Decides on a refresh token that expires at `expires_at` and was first used at `used_at`.
pub fn rotation(
    expires_at: DateTime<Utc>,
    used_at: Option<DateTime<Utc>>,
    ended: bool,
    now: DateTime<Utc>,
) -> Rotation {
    match used_at {
        _ if ended => Rotation::Refuse,
        Some(used) if now > used + REFRESH_GRACE => Rotation::EndSession,
        _ if now >= expires_at => Rotation::Refuse,
        Some(_) => Rotation::Repeat,
        None => Rotation::Exchange,
    }
}
