//! What it costs to call a visit off.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::FieldError;
use crate::values::Money;

/// A cancellation policy as it is stored with a booking: the one in force when the visit was booked, or held, stays with it. What is
/// added to it later needs a default, so that what was stored before can still be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its number among those of its place.
    pub version: i32,
    /// What it says.
    #[serde(flatten)]
    pub rules: Rules,
}

/// What a cancellation policy says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Minutes after booking in which calling off is free.
    #[schema(example = 60, minimum = 0, maximum = 10080)]
    pub free_within_minutes_of_booking: i64,
    /// Longest notice first; the last is for the start itself.
    #[schema(min_items = 1, max_items = 10)]
    pub tiers: Vec<Tier>,
    /// The share of the price once the therapist is on the way, and where the client is not there.
    #[serde(default = "whole")]
    #[schema(example = 100, maximum = 100)]
    pub no_show_percent: u8,
    /// What the therapist earns of a fee, in hundredths of a percent.
    #[serde(default)]
    #[schema(example = 7000, maximum = 10000)]
    pub therapist_share_basis_points: u16,
}

/// What calling off costs from so long before the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// From this many minutes before the start.
    #[schema(example = 0, minimum = 0, maximum = 43200)]
    pub minutes_before: i64,
    /// This share of the price.
    #[schema(example = 100, maximum = 100)]
    pub fee_percent: u8,
}

fn whole() -> u8 {
    100
}

/// A cancellation policy as the parties to a booking see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BookingPolicy {
    /// Its number among those of the country, or of all countries.
    #[schema(example = 1)]
    version: i32,
    /// Minutes after booking in which calling off is free.
    #[schema(example = 60)]
    free_within_minutes_of_booking: i64,
    /// Longest notice first.
    tiers: Vec<Tier>,
    /// The share of the price once the therapist is on the way, and where the client is not there.
    #[schema(example = 100)]
    no_show_percent: u8,
}

impl Rules {
    /// What is wrong with them, below `/terms`.
    pub fn faults(&self) -> Vec<FieldError> {
        let mut faults = Vec::new();
        let mut expect = |holds: bool, pointer: String, detail: &str| {
            if !holds {
                faults.push(FieldError::new(format!("/terms/{pointer}"), detail));
            }
        };
        let grace = (0..=10_080).contains(&self.free_within_minutes_of_booking);
        expect(grace, "free_within_minutes_of_booking".to_owned(), "must lie between 0 and 10080.");
        let named = (1..=10).contains(&self.tiers.len());
        expect(named, "tiers".to_owned(), "must have 1 to 10 entries.");
        let mut before: Option<Tier> = None;
        for (i, tier) in self.tiers.iter().enumerate() {
            let later = before.map_or(43_200, |before| before.minutes_before.saturating_sub(1));
            let bounded = (0..=later).contains(&tier.minutes_before);
            expect(
                bounded,
                format!("tiers/{i}/minutes_before"),
                "must lie between 0 and 43200, and fall from one to the next.",
            );
            let risen = before.map_or(0, |before| before.fee_percent);
            let bounded = (risen..=100).contains(&tier.fee_percent);
            expect(bounded, format!("tiers/{i}/fee_percent"), "must lie between 0 and 100, and not fall.");
            before = Some(*tier);
        }
        if let (Some(last), Some(i)) = (before, self.tiers.len().checked_sub(1)) {
            expect(last.minutes_before == 0, format!("tiers/{i}/minutes_before"), "must be 0 in the last entry.");
            let risen = (last.fee_percent..=100).contains(&self.no_show_percent);
            expect(risen, "no_show_percent".to_owned(), "must lie between the last tier's and 100.");
        }
        let share = self.therapist_share_basis_points <= 10_000;
        expect(share, "therapist_share_basis_points".to_owned(), "must lie between 0 and 10000.");
        faults
    }

    /// The share of the price that a client pays `left` before the start.
    fn percent(&self, left: TimeDelta) -> u8 {
        let tier = self.tiers.iter().find(|tier| left >= TimeDelta::minutes(tier.minutes_before));
        tier.map_or(self.no_show_percent, |tier| tier.fee_percent)
    }
}

/// A visit that was agreed, as far as it bears on what calling it off costs.
#[derive(Clone, Copy, Debug)]
pub struct Agreed {
    /// What the visit costs.
    pub price: Money,
    /// When it was booked.
    pub booked_at: DateTime<Utc>,
    /// When the time on the table begins.
    pub start_at: DateTime<Utc>,
    /// In minor units: what calling it off would have cost before its client moved it late.
    pub least_fee: i64,
}

impl Policy {
    /// What calling `visit` off at `now` costs its client, while the therapist has not set out.
    pub fn fee(&self, visit: Agreed, now: DateTime<Utc>) -> Money {
        let grace = TimeDelta::minutes(self.rules.free_within_minutes_of_booking);
        if now <= visit.booked_at + grace && now < visit.start_at {
            return visit.price.percent(0);
        }
        let fee = visit.price.percent(self.rules.percent(visit.start_at - now));
        Money { amount: fee.amount.max(visit.least_fee.min(visit.price.amount)), ..fee }
    }

    /// The last instant at which calling `visit` off is free; the start itself where it is free until then, and none where it never is.
    pub fn free_until(&self, visit: Agreed) -> Option<DateTime<Utc>> {
        let minutes = TimeDelta::minutes(self.rules.free_within_minutes_of_booking);
        let grace = (minutes > TimeDelta::zero() && visit.booked_at < visit.start_at)
            .then(|| (visit.booked_at + minutes).min(visit.start_at));
        let free = self.rules.tiers.iter().rfind(|tier| tier.fee_percent == 0 && visit.least_fee == 0);
        let notice = free.map(|tier| visit.start_at - TimeDelta::minutes(tier.minutes_before));
        grace.into_iter().chain(notice.filter(|until| *until >= visit.booked_at)).max()
    }

    /// Until when notice alone makes calling off free, the time just after booking aside; none where it never does.
    pub fn free_notice(&self, start_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let free = self.rules.tiers.iter().rfind(|tier| tier.fee_percent == 0);
        free.map(|tier| start_at - TimeDelta::minutes(tier.minutes_before))
    }

    /// What a client pays of `price` who is not there, or for whose sake the therapist came in vain.
    pub fn no_show_fee(&self, price: Money) -> Money {
        price.percent(self.rules.no_show_percent)
    }

    /// What the therapist earns of a fee, rounded half up.
    pub fn therapist_share(&self, fee: Money) -> Money {
        fee.share(self.rules.therapist_share_basis_points)
    }

    /// Whether whoever calls off at `now` does so late: when a client would pay for it, the time just after booking aside.
    pub fn is_late(&self, start_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        self.rules.percent(start_at - now) > 0
    }
}

impl From<&Policy> for BookingPolicy {
    fn from(policy: &Policy) -> Self {
        Self {
            version: policy.version,
            free_within_minutes_of_booking: policy.rules.free_within_minutes_of_booking,
            tiers: policy.rules.tiers.clone(),
            no_show_percent: policy.rules.no_show_percent,
        }
    }
}

#[cfg(test)]
mod tests {
    use iso_currency::Currency;
    use proptest::prelude::*;

    use super::*;

    /// A visit that was booked a month ahead at this price.
    fn agreed(price: Money) -> Agreed {
        let at = |text: &str| text.parse().expect("an instant");
        Agreed { price, booked_at: at("2026-11-01T00:00:00Z"), start_at: at("2026-12-01T00:00:00Z"), least_fee: 0 }
    }

    fn rules(tiers: &[(i64, u8)]) -> Rules {
        Rules {
            free_within_minutes_of_booking: 60,
            tiers: tiers.iter().map(|&(minutes_before, fee_percent)| Tier { minutes_before, fee_percent }).collect(),
            no_show_percent: 100,
            therapist_share_basis_points: 7_000,
        }
    }

    fn seeded() -> Policy {
        Policy { version: 1, rules: rules(&[(1_440, 0), (240, 50), (0, 100)]) }
    }

    #[test]
    fn what_a_later_service_stored_is_read() {
        let newer = r#"{"free_within_minutes_of_booking": 0, "tiers": [], "version": 7, "of_a_later_service": true}"#;
        assert_eq!(serde_json::from_str::<Policy>(newer).expect("a newer policy").version, 7);
        let written = serde_json::to_string(&seeded()).expect("JSON");
        assert_eq!(serde_json::from_str::<Policy>(&written).expect("its own"), seeded());
    }

    #[test]
    fn the_borders_are_exact() {
        let visit = agreed(Money { amount: 12_901, currency: Currency::AUD });
        let (start, moment) = (visit.start_at, TimeDelta::microseconds(1));
        let fee = |now| seeded().fee(visit, now).amount;
        for (left, at, past) in [(TimeDelta::hours(24), 0, 6_451), (TimeDelta::hours(4), 6_451, 12_901)] {
            for before in [moment, TimeDelta::seconds(1), TimeDelta::minutes(1)] {
                assert_eq!((fee(start - left - before), fee(start - left + before)), (at, past), "{left}");
            }
            assert_eq!(fee(start - left), at, "{left}");
        }
        assert_eq!(fee(start), 12_901);
        assert_eq!(fee(start + TimeDelta::minutes(30)), 12_901);
    }

    #[test]
    fn what_makes_no_sense_is_pointed_to() {
        for (rules, pointer) in [
            (rules(&[]), "/terms/tiers"),
            (rules(&[(240, 0)]), "/terms/tiers/0/minutes_before"),
            (rules(&[(240, 0), (240, 50), (0, 50)]), "/terms/tiers/1/minutes_before"),
            (rules(&[(240, 50), (0, 10)]), "/terms/tiers/1/fee_percent"),
            (rules(&[(240, 50), (0, 101)]), "/terms/tiers/1/fee_percent"),
            (rules(&[(43_201, 0), (0, 10)]), "/terms/tiers/0/minutes_before"),
            (Rules { no_show_percent: 40, ..rules(&[(0, 50)]) }, "/terms/no_show_percent"),
            (
                Rules { therapist_share_basis_points: 10_001, ..rules(&[(0, 50)]) },
                "/terms/therapist_share_basis_points",
            ),
            (
                Rules { free_within_minutes_of_booking: -1, ..rules(&[(0, 50)]) },
                "/terms/free_within_minutes_of_booking",
            ),
        ] {
            assert!(rules.faults().iter().any(|fault| fault.pointer == pointer), "{pointer}: {:?}", rules.faults());
        }
        assert!(seeded().rules.faults().is_empty());
    }

    proptest! {
        #[test]
        fn the_longer_one_waits_the_more_it_costs(
            amount in 0_i64..=1_000_000_000_000, a in -20_000_i64..=200_000, b in -20_000_i64..=200_000, share in 0_u16..=10_000,
        ) {
            let visit = agreed(Money { amount, currency: Currency::KWD });
            let mut policy = seeded();
            policy.rules.therapist_share_basis_points = share;
            let at = |seconds: i64| policy.fee(visit, visit.start_at - TimeDelta::seconds(seconds)).amount;
            let (sooner, later) = (a.max(b), a.min(b));
            prop_assert!(0 <= at(sooner) && at(sooner) <= at(later) && at(later) <= amount);
            let fee = Money { amount: at(later), ..visit.price };
            let earned = policy.therapist_share(fee).amount;
            prop_assert!(0 <= earned && earned <= fee.amount);
            prop_assert_eq!(visit.price.less(fee).amount + fee.amount, amount);
        }
    }
}
