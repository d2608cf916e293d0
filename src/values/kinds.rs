//! Closed sets of kinds that several features speak of.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an account is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Role {
    /// Books visits.
    Client,
    /// Carries visits out.
    Therapist,
    /// Verifies licences and looks after the marketplace.
    Admin,
}

/// A therapist's gender, which clients may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Gender {
    /// Female.
    Female,
    /// Male.
    Male,
    /// Neither.
    NonBinary,
}

/// How a therapist gets from one visit to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum TravelMode {
    /// By car.
    Car,
    /// By bus, train or ferry.
    Transit,
    /// By bicycle.
    Bicycle,
    /// On foot.
    Walk,
}

/// Whether a booking needs the therapist's yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum BookingMode {
    /// A booking is confirmed at once.
    Instant,
    /// A booking is a request until the therapist accepts it.
    Request,
}

/// From where the starts of visits are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum SlotAnchor {
    /// From midnight: every hour of every day has the same starts.
    Midnight,
    /// From the beginning of each window of the hours.
    Window,
}

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type, Hash)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum AddressKind {
    /// Where someone lives.
    Home,
    /// A hotel room.
    Hotel,
    /// A place of work.
    Office,
    /// Anything else.
    Other,
}

/// How firm the touch should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema, sqlx::Type)]
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
