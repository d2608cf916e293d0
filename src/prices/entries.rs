//! What has versions: prices, surcharges, cancellation policies and public holidays, as admins write them.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::policy::Rules;
use crate::error::FieldError;
use crate::ids::ServiceId;
use crate::values::{Country, Day, Instant, Jurisdiction, Money, TimeOfDay, Weekday, bounded_text, strict, tagged};

/// The most that one price or one surcharge can be, in minor units.
const MOST: i64 = 100_000_000;

/// The longest visit there is, in minutes.
const LONGEST: i32 = 240;

/// The place of what holds everywhere.
pub(super) const EVERYWHERE: &str = "*";

/// What is versioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(super) enum Kind {
    Price,
    Surcharge,
    CancellationPolicy,
    PublicHoliday,
}

/// One version of something.
pub(super) trait Entry: Serialize + DeserializeOwned + Send + Sync + Unpin + 'static {
    const KIND: Kind;
    /// What adding and withdrawing one is called in the audit.
    const ACTIONS: [&'static str; 2];

    /// The country or region that it is for, or [`EVERYWHERE`].
    fn place(&self) -> &str;
    /// What it is a version of, within the place.
    fn subject(&self) -> String;
    fn version(&self) -> i32;
    fn effective_from(&self) -> DateTime<Utc>;
    /// What is wrong with it, as far as it tells by itself.
    fn faults(&self) -> Vec<FieldError> {
        Vec::new()
    }
    /// The amounts in it, and where they stand.
    fn amounts(&self) -> Vec<(&'static str, Money)> {
        Vec::new()
    }
    fn service(&self) -> Option<ServiceId> {
        None
    }
}

/// What an hour or two of a service costs in a country, from an instant on.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
// A field of the same name as its schema collides in generated Python.
#[schema(as = PriceEntry)]
pub(super) struct Price {
    pub service_id: ServiceId,
    pub country: Country,
    /// Minutes on the table.
    #[schema(example = 90, minimum = 15, maximum = 240)]
    pub duration_minutes: i16,
    /// From 1 to 100,000,000 minor units, in the currency of all prices of the country; null where it is sold no more.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required)]
    pub price: Option<Money>,
    /// Counts from 1: one more than the latest version's, withdrawn ones too.
    #[schema(example = 2, minimum = 1)]
    pub version: i32,
    /// When it takes effect: at least a minute ahead, and after every version before it.
    pub effective_from: Instant,
}

impl Entry for Price {
    const KIND: Kind = Kind::Price;
    const ACTIONS: [&'static str; 2] = ["price.create", "price.withdraw"];

    fn place(&self) -> &str {
        self.country.as_str()
    }

    fn subject(&self) -> String {
        price_subject(self.service_id, self.duration_minutes)
    }

    fn version(&self) -> i32 {
        self.version
    }

    fn effective_from(&self) -> DateTime<Utc> {
        self.effective_from.0
    }

    fn faults(&self) -> Vec<FieldError> {
        let mut faults = Vec::new();
        expect(
            &mut faults,
            (15..=240).contains(&self.duration_minutes),
            "/duration_minutes",
            "must lie between 15 and 240.",
        );
        let sold = self.price.is_none_or(|price| price.amount > 0);
        expect(&mut faults, sold, "/price/amount", "must be more than nothing.");
        faults
    }

    fn amounts(&self) -> Vec<(&'static str, Money)> {
        self.price.map(|price| ("/price", price)).into_iter().collect()
    }

    fn service(&self) -> Option<ServiceId> {
        Some(self.service_id)
    }
}

/// The subject of a price.
pub(super) fn price_subject(service: ServiceId, minutes: i16) -> String {
    format!("{service}/{minutes}")
}

/// A name that tells surcharges, or groups of them, from each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, pattern = "^[a-z][a-z_]{1,39}$", example = "weekend")]
pub struct Code(String);

impl std::str::FromStr for Code {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && !text.starts_with('_');
        if plain && (2..=40).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be 2 to 40 lower-case letters and underscores".to_owned())
        }
    }
}

crate::values::from_text!(Code);

impl Code {
    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

bounded_text! {
    /// What people read.
    Caption line 1..=120, example "Boxing Day";
}

/// A surcharge in a country or region, from an instant on. A region's takes the place of its country's of the same code.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Surcharge {
    #[schema(example = "AU-NSW")]
    pub jurisdiction: Jurisdiction,
    pub code: Code,
    /// Null where it ends.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required)]
    pub terms: Option<SurchargeTerms>,
    /// Counts from 1: one more than the latest version's, withdrawn ones too.
    #[schema(example = 2, minimum = 1)]
    pub version: i32,
    /// When it takes effect: at least a minute ahead, and after every version before it.
    pub effective_from: Instant,
}

/// When a surcharge is due, and how much it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SurchargeTerms {
    /// What clients read.
    pub label: Caption,
    /// When it is due.
    #[serde(deserialize_with = "tagged")]
    pub when: Occasion,
    /// How much it is.
    #[serde(deserialize_with = "tagged")]
    pub charge: Charge,
    /// Of those of one group that are due, only the highest counts; those without a group add up.
    pub group: Option<Code>,
}

/// When a surcharge is due. Clocks and dates are those of the place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schema(example = json!({"kind": "weekend", "days": ["saturday", "sunday"]}))]
pub enum Occasion {
    /// Where the time on the table begins or ends at such an hour.
    LateEvening {
        /// From this time on.
        from: TimeOfDay,
        /// Until before this time, on the next day where it is the earlier one; at least four hours later.
        until: TimeOfDay,
    },
    /// Where any of the time on the table is on such a day.
    Weekend {
        /// The days.
        #[serde(deserialize_with = "strict")]
        #[schema(min_items = 1, max_items = 7)]
        days: Vec<Weekday>,
    },
    /// Where any of the time on the table is on a public holiday of the place.
    PublicHoliday,
    /// Where the address is a hotel.
    Hotel,
    /// Where it was asked for late.
    ShortNotice {
        /// Less than this many minutes before the start.
        #[schema(minimum = 1, maximum = 43200)]
        within_minutes: i64,
    },
    /// Where the therapist comes from afar; with a charge for each kilometre.
    Distance {
        /// Further than so many whole kilometres from the therapist's public area.
        #[schema(minimum = 0, maximum = 500)]
        beyond_km: i32,
    },
}

/// How much a surcharge is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schema(example = json!({"kind": "percent", "basis_points": 1000}))]
pub enum Charge {
    /// A share of the base price.
    Percent {
        /// Hundredths of a percent.
        #[schema(minimum = 0, maximum = 10000)]
        basis_points: u16,
    },
    /// An amount.
    Fixed {
        /// Whatever the base price.
        #[serde(deserialize_with = "strict")]
        amount: Money,
    },
    /// An amount for each kilometre.
    PerKm {
        /// For each kilometre begun.
        #[serde(deserialize_with = "strict")]
        amount: Money,
        /// In all.
        #[serde(deserialize_with = "strict")]
        at_most: Money,
    },
}

impl Charge {
    /// The amounts in it.
    pub(super) fn amounts(self) -> impl Iterator<Item = Money> {
        let (first, second) = match self {
            Self::Percent { .. } => (None, None),
            Self::Fixed { amount } => (Some(amount), None),
            Self::PerKm { amount, at_most } => (Some(amount), Some(at_most)),
        };
        first.into_iter().chain(second)
    }
}

impl Entry for Surcharge {
    const KIND: Kind = Kind::Surcharge;
    const ACTIONS: [&'static str; 2] = ["surcharge.create", "surcharge.withdraw"];

    fn place(&self) -> &str {
        self.jurisdiction.as_str()
    }

    fn subject(&self) -> String {
        self.code.as_str().to_owned()
    }

    fn version(&self) -> i32 {
        self.version
    }

    fn effective_from(&self) -> DateTime<Utc> {
        self.effective_from.0
    }

    fn faults(&self) -> Vec<FieldError> {
        let Some(SurchargeTerms { when, charge, .. }) = &self.terms else { return Vec::new() };
        let mut faults = Vec::new();
        match when {
            Occasion::LateEvening { from, until } => {
                // What begins before and ends after it would else go free.
                let length = (until.minutes() - from.minutes()).rem_euclid(24 * 60);
                expect(
                    &mut faults,
                    length >= LONGEST,
                    "/terms/when/until",
                    "must lie at least four hours after `from`.",
                );
            }
            Occasion::Weekend { days } => {
                expect(&mut faults, (1..=7).contains(&days.len()), "/terms/when/days", "must name 1 to 7 days.");
            }
            Occasion::ShortNotice { within_minutes } => {
                let bounded = (1..=43_200).contains(within_minutes);
                expect(&mut faults, bounded, "/terms/when/within_minutes", "must lie between 1 and 43200.");
            }
            Occasion::Distance { beyond_km } => {
                expect(
                    &mut faults,
                    (0..=500).contains(beyond_km),
                    "/terms/when/beyond_km",
                    "must lie between 0 and 500.",
                );
            }
            Occasion::PublicHoliday | Occasion::Hotel => {}
        }
        let by_distance = matches!(when, Occasion::Distance { .. });
        let fits = by_distance == matches!(charge, Charge::PerKm { .. });
        expect(&mut faults, fits, "/terms/charge/kind", "must be `per_km` for a distance, and for nothing else.");
        if let Charge::Percent { basis_points } = charge {
            let bounded = *basis_points <= 10_000;
            expect(&mut faults, bounded, "/terms/charge/basis_points", "must lie between 0 and 10000.");
        }
        faults
    }

    fn amounts(&self) -> Vec<(&'static str, Money)> {
        match self.terms.as_ref().map(|terms| terms.charge) {
            Some(Charge::Fixed { amount }) => vec![("/terms/charge/amount", amount)],
            Some(Charge::PerKm { amount, at_most }) => {
                vec![("/terms/charge/amount", amount), ("/terms/charge/at_most", at_most)]
            }
            Some(Charge::Percent { .. }) | None => Vec::new(),
        }
    }
}

/// What calling off costs in a country, for visits that are booked from an instant on.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CancellationPolicy {
    /// Null: in every country that has none of its own.
    pub country: Option<Country>,
    /// Null where a country is to have none of its own any more.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required)]
    pub terms: Option<Rules>,
    /// Counts from 1: one more than the latest version's, withdrawn ones too.
    #[schema(example = 2, minimum = 1)]
    pub version: i32,
    /// When it takes effect: at least a minute ahead, and after every version before it.
    pub effective_from: Instant,
}

impl Entry for CancellationPolicy {
    const KIND: Kind = Kind::CancellationPolicy;
    const ACTIONS: [&'static str; 2] = ["cancellation_policy.create", "cancellation_policy.withdraw"];

    fn place(&self) -> &str {
        self.country.as_ref().map_or(EVERYWHERE, Country::as_str)
    }

    fn subject(&self) -> String {
        "cancellation".to_owned()
    }

    fn version(&self) -> i32 {
        self.version
    }

    fn effective_from(&self) -> DateTime<Utc> {
        self.effective_from.0
    }

    fn faults(&self) -> Vec<FieldError> {
        match &self.terms {
            Some(rules) => rules.faults(),
            None if self.country.is_some() => Vec::new(),
            None => vec![FieldError::new("/terms", "cannot end everywhere.")],
        }
    }
}

/// A public holiday of a country or region, as it counts from an instant on.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PublicHoliday {
    #[schema(example = "AU-NSW")]
    pub jurisdiction: Jurisdiction,
    pub date: Day,
    /// What it is called; null where it is none after all.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required)]
    pub name: Option<Caption>,
    /// Counts from 1: one more than the latest version's, withdrawn ones too.
    #[schema(example = 2, minimum = 1)]
    pub version: i32,
    /// When it takes effect: at least a minute ahead, and after every version before it.
    pub effective_from: Instant,
}

impl Entry for PublicHoliday {
    const KIND: Kind = Kind::PublicHoliday;
    const ACTIONS: [&'static str; 2] = ["public_holiday.create", "public_holiday.withdraw"];

    fn place(&self) -> &str {
        self.jurisdiction.as_str()
    }

    fn subject(&self) -> String {
        self.date.0.to_string()
    }

    fn version(&self) -> i32 {
        self.version
    }

    fn effective_from(&self) -> DateTime<Utc> {
        self.effective_from.0
    }
}

fn expect(faults: &mut Vec<FieldError>, holds: bool, pointer: &str, detail: &str) {
    if !holds {
        faults.push(FieldError::new(pointer, detail));
    }
}

/// What is wrong with an entry by itself, its amounts and its time at `now` included.
pub(super) fn faults<T: Entry>(entry: &T, now: DateTime<Utc>) -> Vec<FieldError> {
    let mut faults = entry.faults();
    for (pointer, money) in entry.amounts() {
        let bounded = (0..=MOST).contains(&money.amount);
        let pointer = format!("{pointer}/amount");
        if faults.iter().all(|fault| fault.pointer != pointer) {
            expect(&mut faults, bounded, &pointer, "must lie between 0 and 100000000.");
        }
    }
    expect(&mut faults, entry.version() > 0, "/version", "counts from 1.");
    let ahead = is_open(entry.effective_from(), now);
    expect(&mut faults, ahead, "/effective_from", "must lie at least a minute ahead: what has been is fixed.");
    faults
}

/// Whether what takes effect then can still be added or withdrawn at `now`. A minute is far more than a transaction takes, so that
/// nobody can have been quoted what is replaced once it is.
pub(super) fn is_open(effective_from: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    effective_from >= now + chrono::TimeDelta::minutes(1)
}
