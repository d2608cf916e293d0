//! What a booking shows besides what was agreed: what may be done with it, the time that is proposed instead, and when it came where it is.

mod store;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::Booking;
use super::actions::{PossibleStep, possible};
use super::counter_offers::{self, CounterOffer};
use super::lifecycle::{Party, Status};
use super::views::Viewer;
use crate::error::Result;
use crate::events::Work;
use crate::ids::BookingId;

/// When a booking was brought where; null where it was not, or not yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct StepTimes {
    /// When it was confirmed: booked at once, accepted, or agreed on at another time.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// When the therapist set out.
    pub on_the_way_at: Option<DateTime<Utc>>,
    /// When the therapist was there.
    pub arrived_at: Option<DateTime<Utc>>,
    /// When the time on the table began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub completed_at: Option<DateTime<Utc>>,
}

/// What stands around a booking, as one of its parties sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Around {
    /// The other time that one party proposes, while it is open.
    counter_offer: Option<CounterOffer>,
    /// The steps that the caller may take as it stands, each in its time.
    actions: Vec<PossibleStep>,
    /// When it was brought where.
    step_times: StepTimes,
    /// When anything last happened to it.
    updated_at: DateTime<Utc>,
}

/// What was read of the surroundings of several bookings. Of a new one there is nothing to read.
#[derive(Default)]
pub(super) struct Surroundings {
    offers: HashMap<BookingId, CounterOffer>,
    times: HashMap<BookingId, (StepTimes, DateTime<Utc>)>,
}

impl Surroundings {
    /// Reads what stands around `bookings`.
    pub async fn read(work: &mut Work, bookings: &[Booking]) -> Result<Self> {
        let (now, ids) = (work.now(), bookings.iter().map(|booking| booking.id).collect::<Vec<_>>());
        let offers = counter_offers::open(work, &ids, now).await?;
        Ok(Self {
            offers: offers.into_iter().map(|offer| (offer.booking_id, offer)).collect(),
            times: store::times(work, &ids).await?,
        })
    }

    /// What stands around `booking` for `viewer`.
    pub fn of(&self, booking: &Booking, viewer: Viewer) -> Around {
        let party = match viewer {
            Viewer::Client => Party::Client,
            Viewer::Therapist | Viewer::Disclosed => Party::Therapist,
            Viewer::Admin | Viewer::ApiClient => Party::Admin,
        };
        let counter_offer = self.offers.get(&booking.id).filter(|_| booking.status.is_live()).cloned();
        let (step_times, updated_at) = self.times.get(&booking.id).copied().unwrap_or_else(|| fresh(booking));
        let actions = possible(booking, party, counter_offer.as_ref().map(|offer| offer.by));
        Around { counter_offer, actions, step_times, updated_at }
    }
}

/// The times of a booking that has just been made.
fn fresh(booking: &Booking) -> (StepTimes, DateTime<Utc>) {
    let confirmed_at = (booking.status == Status::Confirmed).then_some(booking.created_at);
    (StepTimes { confirmed_at, ..StepTimes::default() }, booking.created_at)
}
