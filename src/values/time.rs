//! Dates and instants that come in, bounded so that no later arithmetic can overflow.

use std::ops::RangeInclusive;
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, SubsecRound, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::from_text;
use crate::error::FieldError;

/// A calendar date between 2000 and 2100. Which zone it is meant in, the field that holds it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Date, example = "2026-12-01")]
pub struct Day(pub NaiveDate);

/// A calendar date from 1900 to 2100: when something was issued, which may be long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Date, example = "1998-05-01")]
pub struct IssueDay(pub NaiveDate);

/// A date of the fixed form `2026-12-01` within `years`.
fn date_within(text: &str, years: RangeInclusive<i32>) -> Result<NaiveDate, String> {
    // Chrono alone would also take signs and leave out zeros.
    let plain = text.len() == 10 && text.starts_with(|c: char| c.is_ascii_digit());
    let date = plain.then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()).flatten();
    match date {
        Some(date) if years.contains(&date.year()) => Ok(date),
        Some(_) => Err(format!("must lie between the years {} and {}", years.start(), years.end())),
        None => Err("is not a date of the form 2026-12-01".to_owned()),
    }
}

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        date_within(text, 2000..=2100).map(Self)
    }
}

impl FromStr for IssueDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        date_within(text, 1900..=2100).map(Self)
    }
}

from_text!(IssueDay);
from_text!(Day);

/// An instant between the years 2000 and 2100, of any offset (RFC 3339); kept in UTC and in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = DateTime, example = "2026-12-01T00:30:00Z")]
pub struct Instant(pub DateTime<Utc>);

impl FromStr for Instant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let instant = DateTime::parse_from_rfc3339(text)
            .map_err(|_| "is not an instant with an offset, of the form 2026-12-01T00:30:00Z".to_owned())?
            .with_timezone(&Utc);
        // Chrono reads :60 as more than a second of nanoseconds; PostgreSQL and clocks have no such instant.
        if instant.timestamp_subsec_nanos() >= 1_000_000_000 {
            return Err("is a leap second".to_owned());
        }
        if (2000..=2100).contains(&instant.year()) {
            Ok(Self(instant.trunc_subsecs(6)))
        } else {
            Err("must lie between the years 2000 and 2100".to_owned())
        }
    }
}

from_text!(Instant);

/// The most days that one request may ask for.
const MOST_DAYS: i64 = 14;

/// The dates from `from` to `to`, if they are in order and not too many.
pub fn dates_between(from: NaiveDate, to: NaiveDate) -> Result<(NaiveDate, NaiveDate), FieldError> {
    match (to - from).num_days() {
        ..0 => Err(FieldError::new("/to", "lies before `from`.")),
        MOST_DAYS.. => Err(FieldError::new("/to", "makes more than 14 days, both ends included.")),
        _ => Ok((from, to)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_bounded_and_put_into_utc() {
        assert!("2026-12-01T00:30:00".parse::<Instant>().is_err());
        assert!("+262142-12-31T00:00:00Z".parse::<Instant>().is_err());
        assert!("1999-12-31T23:59:59Z".parse::<Instant>().is_err());
        assert!("2026-12-31T23:59:60Z".parse::<Instant>().is_err());
        let instant: Instant = "2026-12-01T11:30:00.123456789+11:00".parse().expect("a good instant");
        assert_eq!(instant.0.to_rfc3339(), "2026-12-01T00:30:00.123456+00:00");
    }

    #[test]
    fn dates_have_one_form() {
        for bad in ["2026-2-30", "2026-02-30", "+2026-02-1", "20260201", "2101-01-01", "1999-12-31", ""] {
            assert!(bad.parse::<Day>().is_err(), "{bad:?}");
        }
        assert!("2028-02-29".parse::<Day>().is_ok());
    }
}
