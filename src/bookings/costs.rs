//! What a booking costs: at another start, and when it is called off.

use chrono::{DateTime, Utc};

use super::Booking;
use super::lifecycle::{Party, Status};
use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::prices::policy::Agreed;
use crate::prices::{self, About, CancellationTerms, PriceBreakdown, PriceQuery};
use crate::values::{Money, Span};

/// What `booking` costs at another start or for so many minutes, by the versions that it was booked under. Of a new start, notice counts from
/// `now`. The same start, minutes and versions give the same price: where the therapist moved the visit to a dearer start, that is the
/// price of the start that it was agreed for.
///
/// # Errors
/// `service_not_offered` where the service was not sold for so long.
pub async fn requote(
    tx: &mut Tx,
    booking: &Booking,
    start: DateTime<Utc>,
    minutes: i16,
    now: DateTime<Utc>,
) -> Result<PriceBreakdown> {
    let before = &booking.breakdown;
    let agreed_for = before.agreed_for.filter(|_| start == booking.start_at);
    let asked_at = if start == booking.start_at { before.asked_at } else { now };
    let start = agreed_for.unwrap_or(start);
    let wanted = PriceQuery {
        service: booking.service,
        minutes,
        jurisdiction: &booking.address.jurisdiction,
        point: booking.address.point(),
        zone: booking.time_zone,
        span: Span::of_minutes(start, minutes.into()),
    };
    let tariff = prices::tariff(&mut **tx, wanted, before.priced_at).await?.ok_or(Refusal::ServiceNotOffered)?;
    let about =
        About { zone: booking.time_zone, asked_at, kind: Some(booking.address.kind), distance_km: before.distance_km };
    Ok(PriceBreakdown { agreed_for, ..tariff.breakdown(&about, start) })
}

impl Booking {
    /// What `party` pays to call the visit off at `now`. Only a client pays, and only for a visit that was agreed and
    /// that its therapist may carry out: all of it once the therapist is on the way. A visit that its therapist has moved, that
    /// was given to another one, or that does not suit the person any more, costs nothing until its start; one that its client had moved late costs at least what it would have cost then.
    pub fn fee(&self, party: Party, now: DateTime<Utc>) -> Money {
        let vain = self.status == Status::Requested || self.at_risk_since.is_some();
        let forced = self.is_free_to_cancel() && now < self.start_at;
        if party != Party::Client || vain || forced {
            return self.price.percent(0);
        }
        if matches!(self.status, Status::OnTheWay | Status::Arrived | Status::InProgress) {
            return self.no_show_fee();
        }
        let Self { price, created_at: booked_at, start_at, least_fee, .. } = *self;
        self.policy.fee(Agreed { price, booked_at, start_at, least_fee }, now)
    }

    /// Whether calling it off costs nothing until its start: it is not what was booked first, or does not suit the person any more.
    fn is_free_to_cancel(&self) -> bool {
        self.free_to_cancel || self.care_at_risk_since.is_some()
    }

    /// What calling the visit off costs its client, in words, and until when it is free: to the start where its therapist has moved it or it was given
    /// away. A visit that is only asked for is told as one that was agreed when it was.
    pub fn cancellation_terms(&self) -> CancellationTerms {
        let Self { price, created_at: booked_at, start_at, least_fee, .. } = *self;
        let mut terms =
            CancellationTerms::of(&self.policy, Agreed { price, booked_at, start_at, least_fee }, self.time_zone);
        terms.free_until = match self.status {
            Status::Requested | Status::Confirmed if self.is_free_to_cancel() => Some(start_at),
            Status::Requested | Status::Confirmed => terms.free_until,
            _ => None,
        };
        // One sentence for all reasons, because therapist and staff read it too, and one reason is the client's health.
        if self.is_free_to_cancel() {
            terms.cancellation_terms =
                "Calling off is free until the start, because the visit is not what was booked first.".to_owned();
        }
        terms
    }

    /// What the client pays who is not there, or for whose sake the therapist came in vain. Nobody pays for a therapist who may not
    /// practise, wherever they were.
    pub fn no_show_fee(&self) -> Money {
        if self.at_risk_since.is_some() { self.price.percent(0) } else { self.policy.no_show_fee(self.price) }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use iso_currency::Currency;

    use super::*;
    use crate::bookings::tests::confirmed;

    #[test]
    fn an_hour_after_booking_is_free_until_the_therapist_sets_out() {
        let mut booking = confirmed(Money { amount: 10_000, currency: Currency::JPY });
        booking.created_at = booking.start_at - TimeDelta::minutes(130);
        let grace = booking.created_at + TimeDelta::minutes(60);
        let fee = |booking: &Booking, now| booking.fee(Party::Client, now).amount;
        assert_eq!(fee(&booking, grace), 0);
        assert_eq!(fee(&booking, grace + TimeDelta::seconds(1)), 10_000);
        for status in [Status::OnTheWay, Status::Arrived, Status::InProgress] {
            booking.status = status;
            assert_eq!(fee(&booking, grace - TimeDelta::minutes(30)), 10_000, "{status:?}");
            for party in [Party::Therapist, Party::Admin, Party::System] {
                assert_eq!(booking.fee(party, grace).amount, 0, "{status:?} {party:?}");
            }
        }
        booking.at_risk_since = Some(grace);
        assert_eq!(fee(&booking, grace), 0, "nobody pays for a therapist who may not come");
        booking.status = Status::Requested;
        booking.at_risk_since = None;
        assert_eq!(fee(&booking, booking.start_at), 0, "nor for what was never agreed");
    }
}
