//! What a visit costs: a base price, and the surcharges that are due. Whole minor units; each line is rounded half up, and the total is the
//! sum of the lines.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Timelike, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Policy;
use super::entries::{Charge, Occasion, SurchargeTerms};
use crate::values::{AddressKind, Money, Point, Zone};

/// What bears on the price of a visit of one service and duration in one place, in the versions that were in force at one instant.
#[derive(Clone, Debug)]
pub struct Tariff {
    /// The price without surcharges.
    pub base: Money,
    pub(super) minutes: i16,
    pub(super) price_version: i32,
    /// One of each code.
    pub(super) surcharges: Vec<Applicable>,
    /// The public holidays of the place, around the time that was asked for.
    pub(super) holidays: Vec<NaiveDate>,
    /// What calling off costs.
    pub policy: Policy,
    /// As of when.
    pub(super) at: DateTime<Utc>,
}

/// A surcharge that may be due.
#[derive(Clone, Debug)]
pub(super) struct Applicable {
    pub code: String,
    pub version: i32,
    pub terms: SurchargeTerms,
}

/// What a price depends on besides the start.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The zone at the place.
    pub zone: Zone,
    /// When the visit is asked for: notice counts from then.
    pub asked_at: DateTime<Utc>,
    /// What kind of place it is, where that is known.
    pub kind: Option<AddressKind>,
    /// Whole kilometres from the therapist's public area, where there is a therapist.
    pub distance_km: Option<i32>,
}

/// The kilometres that a price counts from a therapist's public area: those begun.
pub fn kilometres(area: Point, place: Point) -> i32 {
    // Half the globe is 20,016 km.
    area.distance_km(place).ceil().clamp(0.0, 20_100.0) as i32
}

/// How a price comes about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PriceBreakdown {
    /// The price of the service for so long in the country.
    pub base: Money,
    /// Surcharges that are due, by their codes.
    pub lines: Vec<PriceLine>,
    /// The base and all lines.
    pub total: Money,
    /// The version of the base price.
    #[schema(example = 1)]
    pub price_version: i32,
    /// Whole kilometres from the therapist's public area; null where no therapist was named.
    #[schema(example = 4)]
    pub distance_km: Option<i32>,
    /// As of when the prices are.
    pub priced_at: DateTime<Utc>,
    /// When the visit was asked for: notice counts from then.
    pub asked_at: DateTime<Utc>,
    /// The start that the price was agreed for, where the therapist has moved the visit since to one that would cost more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreed_for: Option<DateTime<Utc>>,
}

/// A surcharge that is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PriceLine {
    /// Which one.
    #[schema(example = "weekend")]
    pub code: String,
    /// What clients read.
    #[schema(example = "Weekend")]
    pub label: String,
    /// How much it is.
    pub amount: Money,
    /// The surcharge's version.
    #[schema(example = 1)]
    pub version: i32,
}

/// What a start means for surcharges, on the clock and the calendar of the place.
#[derive(Clone, Copy)]
struct Facts {
    /// Minutes after midnight, where the time on the table begins and in its last moment.
    begins: i32,
    ends: i32,
    /// The dates of these moments: the same or the next, as no visit is longer than a few hours.
    first: NaiveDate,
    last: NaiveDate,
    notice: TimeDelta,
    about: About,
}

impl Facts {
    fn new(about: &About, start: DateTime<Utc>, minutes: i16) -> Self {
        let begin = about.zone.wall(start);
        // A visit that ends at midnight is over with the day.
        let length = TimeDelta::minutes(minutes.into()) - TimeDelta::microseconds(1);
        let end = about.zone.wall(start + length);
        let minute = |time: chrono::NaiveDateTime| i32::try_from(time.num_seconds_from_midnight() / 60).unwrap_or(0);
        Self {
            begins: minute(begin),
            ends: minute(end),
            first: begin.date(),
            last: end.date(),
            notice: start - about.asked_at,
            about: *about,
        }
    }
}

impl Tariff {
    /// How many bytes it takes up besides its own, about, for whoever keeps many.
    pub fn bytes(&self) -> usize {
        let surcharges = self.surcharges.iter().map(|surcharge| size_of_val(surcharge) + surcharge.code.len());
        surcharges.sum::<usize>()
            + size_of_val(self.holidays.as_slice())
            + size_of_val(self.policy.rules.tiers.as_slice())
    }

    /// The same, where nothing has changed until `at`.
    pub fn as_of(self, at: DateTime<Utc>) -> Self {
        Self { at, ..self }
    }

    /// Whether every amount is in the currency of the base price, so that there is a sum.
    pub(super) fn is_of_one_currency(&self) -> bool {
        let charges = self.surcharges.iter().flat_map(|surcharge| surcharge.terms.charge.amounts());
        charges.into_iter().all(|money| money.currency == self.base.currency)
    }

    /// Minutes on the table.
    pub fn minutes(&self) -> i16 {
        self.minutes
    }

    /// What a visit at `start` costs. Allocates nothing: lists ask it for thousands of starts.
    pub fn total(&self, about: &About, start: DateTime<Utc>) -> Money {
        let sum = self.due(about, start).fold(self.base.amount, |sum, (_, amount)| sum.saturating_add(amount));
        Money { amount: sum, ..self.base }
    }

    /// What a visit at `start` costs, and why.
    pub fn breakdown(&self, about: &About, start: DateTime<Utc>) -> PriceBreakdown {
        let lines = self.due(about, start).map(|(surcharge, amount)| PriceLine {
            code: surcharge.code.clone(),
            label: surcharge.terms.label.as_str().to_owned(),
            amount: Money { amount, ..self.base },
            version: surcharge.version,
        });
        PriceBreakdown {
            base: self.base,
            lines: lines.collect(),
            total: self.total(about, start),
            price_version: self.price_version,
            distance_km: about.distance_km,
            priced_at: self.at,
            asked_at: about.asked_at,
            agreed_for: None,
        }
    }

    /// The surcharges that are due, each with its amount, which is more than nothing. Of a group the highest alone, and the first of those that are
    /// alike.
    fn due(&self, about: &About, start: DateTime<Utc>) -> impl Iterator<Item = (&Applicable, i64)> {
        let facts = Facts::new(about, start, self.minutes);
        let all = self.surcharges.iter().enumerate();
        all.clone().filter_map(move |(i, surcharge)| {
            let amount = self.amount(&surcharge.terms, &facts);
            let rivals = all.clone().filter(|(j, other)| {
                *j != i && surcharge.terms.group.is_some() && other.terms.group == surcharge.terms.group
            });
            let beaten = rivals.into_iter().any(|(j, other)| {
                let rival = self.amount(&other.terms, &facts);
                rival > amount || (rival == amount && j < i)
            });
            (amount > 0 && !beaten).then_some((surcharge, amount))
        })
    }

    /// What a surcharge comes to; nothing where it is not due.
    fn amount(&self, terms: &SurchargeTerms, facts: &Facts) -> i64 {
        let kilometres = match &terms.when {
            Occasion::Distance { beyond_km } => facts.about.distance_km.map_or(0, |km| (km - beyond_km).max(0)),
            occasion => i32::from(self.is_due(occasion, facts)),
        };
        if kilometres == 0 {
            return 0;
        }
        match terms.charge {
            Charge::Percent { basis_points } => self.base.share(basis_points).amount,
            Charge::Fixed { amount } => amount.amount,
            Charge::PerKm { amount, at_most } => amount.amount.saturating_mul(kilometres.into()).min(at_most.amount),
        }
    }

    fn is_due(&self, occasion: &Occasion, facts: &Facts) -> bool {
        let touches = |date: NaiveDate| (facts.first..=facts.last).contains(&date);
        match occasion {
            Occasion::LateEvening { from, until } => {
                let (from, until) = (from.minutes(), until.minutes());
                let late = |minute: i32| {
                    if from <= until { (from..until).contains(&minute) } else { minute >= from || minute < until }
                };
                late(facts.begins) || late(facts.ends)
            }
            Occasion::Weekend { days } => days.iter().any(|day| {
                let falls_on = |date: NaiveDate| date.weekday().num_days_from_monday() == *day as u32;
                falls_on(facts.first) || falls_on(facts.last)
            }),
            Occasion::PublicHoliday => self.holidays.iter().copied().any(touches),
            Occasion::Hotel => facts.about.kind == Some(AddressKind::Hotel),
            Occasion::ShortNotice { within_minutes } => facts.notice < TimeDelta::minutes(*within_minutes),
            Occasion::Distance { .. } => false,
        }
    }
}
