//! Money in whole minor units.

use iso_currency::Currency;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{Error, Result};

/// An amount in the minor units of its currency (ISO 4217): 12900 AUD is 129 dollars, 12900 JPY is 12,900 yen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Minor units; never negative.
    #[schema(example = 12900, minimum = 0)]
    pub amount: i64,
    /// The currency's alphabetic code.
    #[schema(value_type = String, example = "AUD", pattern = "^[A-Z]{3}$")]
    pub currency: Currency,
}

impl Money {
    /// As it is stored, with the currency's code.
    pub fn stored(amount: i64, currency: &str) -> Result<Self> {
        let currency = currency.parse().map_err(|_| Error::Internal(format!("no such currency: {currency}")))?;
        Ok(Self { amount, currency })
    }

    /// This share of the amount, rounded half up to a whole minor unit.
    pub fn percent(self, percent: u8) -> Self {
        self.share(u16::from(percent) * 100)
    }

    /// So many hundredths of a percent of the amount, rounded half up to a whole minor unit.
    pub fn share(self, basis_points: u16) -> Self {
        // The widest product is far within i128.
        let amount = (i128::from(self.amount) * i128::from(basis_points) + 5_000) / 10_000;
        Self { amount: i64::try_from(amount).unwrap_or(i64::MAX), ..self }
    }

    /// What is left after `other`, of the same currency, is taken away; never below nothing.
    pub fn less(self, other: Self) -> Self {
        Self { amount: (self.amount - other.amount).max(0), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_half_up() {
        let money = |amount| Money { amount, currency: Currency::AUD };
        assert_eq!(money(12_901).percent(50), money(6_451));
        assert_eq!(money(12_900).percent(0), money(0));
        assert_eq!(money(i64::MAX).percent(100), money(i64::MAX));
        assert_eq!(money(5).less(money(7)), money(0));
    }
}
