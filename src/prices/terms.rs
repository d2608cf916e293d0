//! Cancellation policies in words, and the instant until which calling off is free: shown before anyone is bound.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::policy::{Agreed, BookingPolicy, Policy, Rules};
use crate::values::Zone;

/// What calling a visit off costs, as it is shown with quotes, holds and bookings.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CancellationTerms {
    /// The policy that holds for the visit.
    pub cancellation_policy: BookingPolicy,
    /// The last instant at which calling off is free; null where it never is, or is no more to be called off.
    pub free_until: Option<DateTime<Utc>>,
    /// The policy in one sentence, by the clock of the place.
    #[schema(
        example = "Calling off is free until 1 December 2026, 14:00, then costs 50 % of the price until 2 December 2026, 10:00, then 100 %; it costs 100 % once the therapist is on the way, and where you are not there."
    )]
    pub cancellation_terms: String,
}

impl CancellationTerms {
    /// The terms of a visit that was agreed, or would be.
    pub fn of(policy: &Policy, visit: Agreed, zone: Zone) -> Self {
        let free_until = policy.free_until(visit);
        let wall = |instant: DateTime<Utc>| zone.wall(instant).format("%-d %B %Y, %H:%M").to_string();
        let ends = |before: i64| visit.start_at.checked_sub_signed(TimeDelta::minutes(before));
        let dearer = policy.rules.tiers.iter().filter(|tier| tier.fee_percent > 0);
        // What ends while calling off is free is never paid.
        let dearer =
            dearer.filter(|tier| free_until.is_none_or(|free| ends(tier.minutes_before).is_none_or(|end| end > free)));
        let steps = dearer.map(|tier| {
            (tier.fee_percent, (tier.minutes_before > 0).then(|| ends(tier.minutes_before).map(wall)).flatten())
        });
        let free = free_until.map(|until| {
            if until < visit.start_at { format!("until {}", wall(until)) } else { "until the start".to_owned() }
        });
        Self {
            cancellation_policy: policy.into(),
            free_until,
            cancellation_terms: sentence(free.into_iter().collect(), steps.collect(), policy.rules.no_show_percent),
        }
    }
}

/// The rules in one sentence, whatever the visit.
pub fn summary(rules: &Rules) -> String {
    let span = |minutes: i64| match minutes {
        minutes if minutes % 60 == 0 && minutes > 60 => format!("{} hours", minutes / 60),
        60 => "an hour".to_owned(),
        1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    };
    let grace = (rules.free_within_minutes_of_booking > 0)
        .then(|| format!("within {} of booking", span(rules.free_within_minutes_of_booking)));
    let free = rules.tiers.iter().rfind(|tier| tier.fee_percent == 0).map(|tier| match tier.minutes_before {
        0 => "until the start".to_owned(),
        minutes => format!("until {} before the start", span(minutes)),
    });
    let dearer = rules.tiers.iter().filter(|tier| tier.fee_percent > 0);
    let steps = dearer.map(|tier| {
        (tier.fee_percent, (tier.minutes_before > 0).then(|| format!("{} before the start", span(tier.minutes_before))))
    });
    sentence(grace.into_iter().chain(free).collect(), steps.collect(), rules.no_show_percent)
}

/// When it is free, what it costs until when, the last until the start, and what it costs at the door.
fn sentence(free: Vec<String>, steps: Vec<(u8, Option<String>)>, no_show_percent: u8) -> String {
    // Neighbours that cost the same are one.
    let mut merged: Vec<(u8, Option<String>)> = Vec::new();
    for (percent, until) in steps {
        match merged.last_mut() {
            Some(last) if last.0 == percent => last.1 = until,
            _ => merged.push((percent, until)),
        }
    }
    let costs: Vec<String> = merged
        .into_iter()
        .enumerate()
        .map(|(i, (percent, until))| {
            let of = if i == 0 { " of the price" } else { "" };
            until.map_or_else(|| format!("{percent} %{of}"), |until| format!("{percent} %{of} until {until}"))
        })
        .collect();
    let begin = match (free.is_empty(), costs.is_empty()) {
        (true, true) => "Calling off is free until the start".to_owned(),
        (false, true) => format!("Calling off is free {}", free.join(" and ")),
        (true, false) => format!("Calling off costs {}", costs.join(", then ")),
        (false, false) => format!("Calling off is free {}, then costs {}", free.join(" and "), costs.join(", then ")),
    };
    format!("{begin}; it costs {no_show_percent} % once the therapist is on the way, and where you are not there.")
}

#[cfg(test)]
mod tests {
    use iso_currency::Currency;
    use proptest::prelude::*;

    use super::*;
    use crate::prices::policy::Tier;
    use crate::values::Money;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("an instant")
    }

    fn policy(grace: i64, tiers: &[(i64, u8)], no_show_percent: u8) -> Policy {
        let tiers = tiers.iter().map(|&(minutes_before, fee_percent)| Tier { minutes_before, fee_percent }).collect();
        let rules =
            Rules { free_within_minutes_of_booking: grace, tiers, no_show_percent, therapist_share_basis_points: 0 };
        Policy { version: 1, rules }
    }

    fn visit(booked: &str, least_fee: i64) -> Agreed {
        let price = Money { amount: 10_000, currency: Currency::AUD };
        Agreed { price, booked_at: at(booked), start_at: at("2026-12-02T03:00:00Z"), least_fee }
    }

    #[test]
    fn the_sentence_says_what_holds_for_the_visit() {
        let sydney = Zone::named("Australia/Sydney").expect("a zone");
        let usual = policy(60, &[(1_440, 0), (240, 50), (0, 100)], 100);
        let words = |policy: &Policy, booked: &str, least_fee| {
            CancellationTerms::of(policy, visit(booked, least_fee), sydney).cancellation_terms
        };
        let end = "; it costs 100 % once the therapist is on the way, and where you are not there.";
        assert_eq!(
            words(&usual, "2026-11-20T00:00:00Z", 0),
            format!(
                "Calling off is free until 1 December 2026, 14:00, then costs 50 % of the price until 2 December 2026, 10:00, then 100 %{end}"
            )
        );
        assert_eq!(
            words(&usual, "2026-12-01T23:30:00Z", 0),
            format!("Calling off is free until 2 December 2026, 11:30, then costs 100 % of the price{end}"),
            "only the hour after booking is free by then"
        );
        assert_eq!(
            words(&policy(0, &[(240, 50), (0, 50)], 80), "2026-11-20T00:00:00Z", 0),
            "Calling off costs 50 % of the price; it costs 80 % once the therapist is on the way, and where you are not there."
        );
        assert_eq!(
            words(&policy(0, &[(0, 0)], 100), "2026-11-20T00:00:00Z", 0),
            format!("Calling off is free until the start{end}")
        );
    }

    #[test]
    fn the_summary_says_what_holds_for_all() {
        let usual = policy(60, &[(1_440, 0), (240, 50), (0, 100)], 100);
        assert_eq!(
            summary(&usual.rules),
            "Calling off is free within an hour of booking and until 24 hours before the start, then costs 50 % of the price until 4 hours before the start, \
             then 100 %; it costs 100 % once the therapist is on the way, and where you are not there."
        );
    }

    proptest! {
        #[test]
        fn it_is_free_until_then_and_not_after(grace in 1_i64..5_000, first in 0_i64..3_000, ahead in 0_i64..10_000, least_fee in 0_i64..2) {
            let policy = policy(grace, &[(first + 10, 0), (5, 50), (0, 100)], 100);
            let start = at("2026-12-02T03:00:00Z");
            let agreed = Agreed { booked_at: start - TimeDelta::minutes(ahead), least_fee, ..visit("2026-12-02T03:00:00Z", 0) };
            let is_free = |now| policy.fee(agreed, now).amount == 0;
            match policy.free_until(agreed) {
                Some(until) => {
                    let (last, next) = if until == start { (start - TimeDelta::microseconds(1), start) } else { (until, until + TimeDelta::microseconds(1)) };
                    prop_assert!(last < agreed.booked_at || is_free(last));
                    prop_assert!(!is_free(next));
                }
                None => prop_assert!(!is_free(agreed.booked_at)),
            }
        }
    }
}
