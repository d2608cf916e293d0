//! Accounts: who people are, how they sign in, and where clients receive visits.

pub mod addresses;
pub mod clients;
pub mod closing;
pub mod codes;
mod contacts;
mod emails;
pub mod factors;
pub mod passwords;
pub mod routes;
mod sessions;
mod sought;
mod staff;
mod store;
mod suspensions;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use addresses::{Address, AddressView, Remarks, visit_address};
pub use closing::{is_closing, lock_closing, set_erases_at, set_words_ended, to_erase, with_words};
pub use codes::{CodePurpose, MailSetUp, MailedCode, mailed_code};
pub use contacts::{Contact, contacts};
pub use sought::{Sought, named};
pub use staff::{grant, refuse_without_owner};
pub use store::{create_admin, find_any, names, rate, ratings, zone};
pub use suspensions::is_suspended;

use crate::ids::AccountId;
use crate::values::{Grants, Role, Zone, bounded_text};

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

/// An account as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Account {
    /// The account's id; a therapist's is the id of the therapist too.
    pub id: AccountId,
    /// The address that signs in.
    #[schema(example = "mia@example.org")]
    pub email: String,
    /// Whether the owner has shown that they read the mails of this address.
    pub email_verified: bool,
    /// What the account is for.
    pub role: Role,
    /// What an admin may do; empty for everyone else.
    pub grants: Grants,
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
