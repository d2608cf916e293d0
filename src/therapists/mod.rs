//! Therapists: how they present themselves, where they go and what they offer.

mod bookable;
pub mod routes;
mod store;
mod suspended;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use bookable::BOOKABLE;
pub use store::{PROFILE, area, booking_mode, exists, gender, is_shown, offers_of, profile, public, rate};
pub use suspended::SUSPENSION;

use crate::ids::{ServiceId, TherapistId};
use crate::personal::PersonalTable;
use crate::values::{BookingMode, Gender, Point, Rating, SlotAnchor, TravelMode, Zone, bounded_number, bounded_text};

/// What is kept of people here.
pub const PERSONAL: &[PersonalTable] = &[
    PersonalTable::deleted("offers", "therapist_id = $1"),
    PersonalTable { part: None, ..PersonalTable::deleted("bookable_therapists", "therapist_id = $1") },
    PersonalTable {
        part: Some("profile"),
        untold: &["cell"],
        ..PersonalTable::blanked(
            "therapists",
            "id = $1",
            "accepting_bookings = false, accepting_before_suspension = NULL, bio = NULL, gender = NULL, languages = '{}', techniques = '{}',
             conditions = '{}', base_latitude = NULL, base_longitude = NULL",
        )
    },
];

bounded_text! {
    /// What a therapist says of themselves.
    Bio prose 1..=2000, example "Remedial therapist with a calm, firm touch.";
}

bounded_number! {
    /// How far from the base a therapist goes, in kilometres.
    RadiusKm(f64) in 0.5 ..= 200.0, example 15;
    /// Minutes between now and the soonest start.
    MinNotice(i32) in 0 ..= 43200, example 120;
    /// Days between now and the last start.
    MaxAdvance(i32) in 1 ..= 365, example 60;
    /// Minutes at the place before or after the time on the table.
    Handling(i32) in 0 ..= 60, example 10;
    /// The most visits on one local date.
    DailyCap(i32) in 1 ..= 24, example 5;
}

/// Minutes of wall-clock time between starts: a divisor of the hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
#[schema(value_type = i32, example = 15)]
pub struct SlotInterval(pub i32);

impl<'de> Deserialize<'de> for SlotInterval {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match i32::deserialize(deserializer)? {
            minutes @ (5 | 10 | 15 | 20 | 30 | 60) => Ok(Self(minutes)),
            _ => Err(serde::de::Error::custom("must be 5, 10, 15, 20, 30 or 60")),
        }
    }
}

/// A therapist's profile as its owner sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Profile {
    /// The therapist's id.
    pub id: TherapistId,
    /// The name that clients see.
    #[schema(example = "Sam Okafor")]
    pub display_name: String,
    /// What the therapist says of themselves.
    pub bio: Option<String>,
    /// Gender, where the therapist tells it.
    pub gender: Option<Gender>,
    /// BCP 47 tags.
    #[schema(example = json!(["en", "vi"]))]
    pub languages: Vec<String>,
    /// Slugs of the catalogue's techniques.
    #[schema(example = json!(["trigger-point-therapy"]))]
    pub techniques: Vec<String>,
    /// Slugs of the catalogue's conditions.
    #[schema(example = json!(["neck-pain"]))]
    pub conditions: Vec<String>,
    /// Where the therapist sets out from, in degrees north. Shown to nobody else.
    #[schema(example = -33.8981)]
    pub base_latitude: Option<f64>,
    /// Where the therapist sets out from, in degrees east. Shown to nobody else.
    #[schema(example = 151.1743)]
    pub base_longitude: Option<f64>,
    /// How far the therapist goes, from the middle of the public area around the base.
    #[schema(example = 15.0)]
    pub service_radius_km: f64,
    /// How the therapist gets about.
    pub travel_mode: TravelMode,
    /// The zone that the working hours are meant in.
    pub time_zone: Zone,
    /// Minutes between now and the soonest start.
    #[schema(example = 120)]
    pub min_notice_minutes: i32,
    /// Days between now and the last start.
    #[schema(example = 60)]
    pub max_advance_days: i32,
    /// Minutes at the place before the time on the table.
    #[schema(example = 10)]
    pub setup_minutes: i32,
    /// Minutes at the place after the time on the table.
    #[schema(example = 10)]
    pub packup_minutes: i32,
    /// Minutes of wall-clock time between starts.
    #[schema(example = 15)]
    pub slot_interval_minutes: i32,
    /// From where the starts are counted: from midnight, or from the beginning of each window of the hours.
    #[schema(example = "midnight")]
    pub slot_anchor: SlotAnchor,
    /// Whether a booking needs the therapist's yes.
    pub booking_mode: BookingMode,
    /// The most visits on one local date.
    pub daily_cap: Option<i32>,
    /// Whether clients can book at all.
    pub accepting_bookings: bool,
}

/// A service that a therapist offers, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The service.
    pub service_id: ServiceId,
    /// Minutes on the table, from the catalogue's durations.
    #[schema(example = json!([60, 90]), min_items = 1, max_items = 20)]
    pub durations: Vec<i16>,
}

/// Everything that a therapist offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Offers {
    /// Each service once.
    #[schema(max_items = 100)]
    pub services: Vec<Offer>,
}

/// A therapist as anyone may see them: a coarse place, never the base.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PublicTherapist {
    /// The therapist's id.
    pub id: TherapistId,
    /// The name that clients see.
    #[schema(example = "Sam Okafor")]
    pub display_name: String,
    /// What the therapist says of themselves.
    pub bio: Option<String>,
    /// Gender, where the therapist tells it.
    pub gender: Option<Gender>,
    /// BCP 47 tags.
    #[schema(example = json!(["en", "vi"]))]
    pub languages: Vec<String>,
    /// Slugs of the catalogue's techniques.
    #[schema(example = json!(["trigger-point-therapy"]))]
    pub techniques: Vec<String>,
    /// Slugs of the catalogue's conditions.
    #[schema(example = json!(["neck-pain"]))]
    pub conditions: Vec<String>,
    /// What can be booked.
    pub services: Vec<Offer>,
    /// Whether a booking needs the therapist's yes.
    pub booking_mode: BookingMode,
    /// How clients rate the therapist.
    pub rating: Rating,
    /// Where the therapist works, to a fiftieth of a degree; null where they have not said so, which nobody but themself and staff see.
    pub area: Option<Area>,
    /// Kilometres from that area to the point that was asked for, rounded up; null without one.
    #[schema(example = 4)]
    pub distance_km: Option<f64>,
    /// Whether clients can book the therapist, and so see this. Always true but for the therapist and staff.
    pub bookable: bool,
}

/// A place too coarse to find a door: the middle of the square of a fiftieth of a degree, about 2 km wide, that holds
/// the base. Distances and the service radius are measured from here as well, for whoever may ask for them often
/// enough could otherwise find the base itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Area {
    /// Degrees north.
    #[schema(example = -33.89)]
    pub latitude: f64,
    /// Degrees east.
    #[schema(example = 151.17)]
    pub longitude: f64,
}

impl Area {
    /// Its middle.
    pub fn point(self) -> Point {
        Point { latitude: self.latitude, longitude: self.longitude }
    }
}
