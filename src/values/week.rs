//! Days of the week and times of day, as people say them.

use chrono::{NaiveTime, Timelike};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::from_text;
use super::wall_clock::DAY_MINUTES;

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    /// Monday.
    Monday,
    /// Tuesday.
    Tuesday,
    /// Wednesday.
    Wednesday,
    /// Thursday.
    Thursday,
    /// Friday.
    Friday,
    /// Saturday.
    Saturday,
    /// Sunday.
    Sunday,
}

impl Weekday {
    /// From Monday to Sunday.
    pub const ALL: [Self; 7] =
        [Self::Monday, Self::Tuesday, Self::Wednesday, Self::Thursday, Self::Friday, Self::Saturday, Self::Sunday];
}

/// A time on the face of a clock, `HH:MM`, from 00:00 to 23:59.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "09:00")]
pub struct TimeOfDay(i32);

impl std::str::FromStr for TimeOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits =
            |part: &str| (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok());
        match text.split_once(':').map(|(h, m)| (digits(h).flatten(), digits(m).flatten())) {
            Some((Some(hours @ 0..=23), Some(minutes @ 0..=59))) => Ok(Self(hours * 60 + minutes)),
            _ => Err("is not a time of the form 09:00".to_owned()),
        }
    }
}

from_text!(TimeOfDay);

impl Serialize for TimeOfDay {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:02}:{:02}", self.0 / 60, self.0 % 60))
    }
}

impl TimeOfDay {
    /// Minutes after midnight.
    pub fn minutes(self) -> i32 {
        self.0
    }

    /// The time that a clock shows, its seconds left out.
    pub fn of(time: NaiveTime) -> Self {
        Self(i32::try_from(time.num_seconds_from_midnight() / 60).unwrap_or_default())
    }

    /// The time that a clock shows so many minutes after some midnight.
    pub fn of_minutes(minutes: i32) -> Self {
        Self(minutes.rem_euclid(DAY_MINUTES))
    }
}
