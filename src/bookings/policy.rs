//! What it costs to call a visit off.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Booking;
use super::lifecycle::{Party, Status};
use crate::values::Money;

/// A cancellation policy. The one in force when a visit is booked stays with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Policy {
    /// Minutes after booking in which calling off is free.
    #[schema(example = 60)]
    pub free_within_minutes_of_booking: i64,
    /// Longest notice first.
    pub tiers: Vec<Tier>,
}

/// What calling off costs from so long before the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tier {
    /// From this many minutes before the start.
    #[schema(example = 1440)]
    pub minutes_before: i64,
    /// This share of the price.
    #[schema(example = 0, maximum = 100)]
    pub fee_percent: u8,
}

impl Policy {
    /// The policy for new bookings: free within the first hour and until 24 hours before the start, half the price until
    /// four hours before, then all of it.
    pub fn current() -> Self {
        let tier = |hours: i64, fee_percent| Tier { minutes_before: hours * 60, fee_percent };
        Self { free_within_minutes_of_booking: 60, tiers: vec![tier(24, 0), tier(4, 50), tier(0, 100)] }
    }

    /// What `party` pays to call `booking` off at `now`. Only a client pays, and only for a visit that was agreed and
    /// that its therapist may carry out: all of it once the therapist is on the way. A visit that its therapist has moved costs
    /// nothing until its start; one that its client had moved late costs at least what it would have cost then.
    pub fn fee(&self, booking: &Booking, party: Party, now: DateTime<Utc>) -> Money {
        let grace = TimeDelta::minutes(self.free_within_minutes_of_booking);
        let waits = matches!(booking.status, Status::Requested | Status::Confirmed);
        let just_booked = waits && now <= booking.created_at + grace && now < booking.start_at;
        let vain = booking.status == Status::Requested || booking.at_risk_since.is_some();
        let forced = booking.free_to_cancel && now < booking.start_at;
        let free = party != Party::Client || vain || just_booked || forced;
        let left = booking.start_at - now;
        let tier = self.tiers.iter().find(|tier| waits && left >= TimeDelta::minutes(tier.minutes_before));
        let fee = booking.price.percent(tier.map_or(100, |tier| tier.fee_percent));
        let least = booking.least_fee.min(booking.price.amount);
        Money { amount: if free { 0 } else { fee.amount.max(least) }, ..fee }
    }

    /// What a client pays who is not there, or for whose sake the therapist came in vain.
    pub fn no_show_fee(&self, booking: &Booking) -> Money {
        booking.price.percent(100)
    }
}
