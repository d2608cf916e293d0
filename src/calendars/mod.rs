//! Calendars elsewhere: when a therapist's others are busy, nothing can be booked; and one's own visits, for one's own calendar.

mod events;
mod expanding;
mod feed;
mod fetching;
pub mod jobs;
mod lines;
mod names;
mod observances;
mod parsing;
mod property;
pub mod reading;
mod recurring;
pub mod routes;
mod store;
#[cfg(test)]
mod tests;
mod times;
mod zones;

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use fetching::Fetcher;

use crate::ids::CalendarId;
use crate::personal::PersonalTable;
use crate::seals::{KeptIn, SealedColumn, SealedTable};
use crate::values::{bounded_text, checked_text, from_text};

/// What is kept of people here.
pub const PERSONAL: &[PersonalTable] = &[
    PersonalTable { part: None, ..PersonalTable::deleted("busy_intervals", "therapist_id = $1") },
    PersonalTable {
        untold: &["etag", "last_modified", "expanded_in", "expanded_by"],
        ..PersonalTable::deleted("calendars", "therapist_id = $1")
    },
    PersonalTable { part: None, ..PersonalTable::deleted("calendar_fetches", "therapist_id = $1") },
    PersonalTable { untold: &["digest"], ..PersonalTable::deleted("calendar_feeds", "account_id = $1") },
];

/// The tables that keep something sealed.
pub const SEALED: &[SealedTable] = &[SealedTable {
    name: "calendars",
    columns: &[SealedColumn { bound_to: store::URL, row: "id", kept: KeptIn::Column("url_sealed") }],
}];

/// How many calendars a therapist may subscribe to.
pub const MOST_CALENDARS: usize = 5;
/// How often a calendar is read.
pub const EVERY: TimeDelta = TimeDelta::minutes(15);
/// How soon its owner may ask for it again.
pub const ASK_AGAIN: TimeDelta = TimeDelta::minutes(1);
/// How long a calendar may fail before its owner is told.
pub const PATIENCE: TimeDelta = TimeDelta::hours(48);

/// So many fetches at most within such a time.
#[derive(Clone, Copy, Debug)]
struct Rate {
    most: i32,
    within: TimeDelta,
}

/// How often a therapist's calendars are fetched from one host, also where they are deleted and added again. Ports are not told apart.
const HOST: Rate = Rate { most: 1, within: TimeDelta::minutes(1) };
/// And from all hosts together: three times what five calendars need.
const IN_ALL: Rate = Rate { most: 60, within: TimeDelta::hours(1) };

bounded_text! {
    /// What the therapist calls a calendar.
    CalendarLabel line 1..=60, example "Family";
}

/// Where a calendar is read: an https address, or a `webcal` one, which means the same. Whoever knows it can read the calendar, so it
/// is never shown again and never printed.
#[derive(Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, pattern = "^(https|webcal)://", max_length = 2000, example = "https://calendar.example/private-5f2a/basic.ics")]
pub struct CalendarUrl(Url);

impl CalendarUrl {
    /// The address, whole.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// All that its owner is shown of it.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// What `location` means on a page at this address.
    fn join(&self, location: &str) -> Option<Self> {
        self.0.join(location).ok().and_then(Self::checked)
    }

    fn checked(mut url: Url) -> Option<Self> {
        url.set_fragment(None);
        let sound = url.scheme() == "https" && url.has_host() && url.username().is_empty() && url.password().is_none();
        (sound && url.as_str().len() <= 2000).then_some(Self(url))
    }
}

impl FromStr for CalendarUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = checked_text(text, 1, 2000, false)?;
        let text = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("webcal") => format!("https://{rest}"),
            _ => text,
        };
        let url = Url::parse(&text).ok().and_then(Self::checked);
        url.ok_or_else(|| "must be an https address without a user name".to_owned())
    }
}

from_text!(CalendarUrl);

impl std::fmt::Debug for CalendarUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CalendarUrl({})", self.host())
    }
}

/// Why a calendar could not be read. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Fault {
    /// Its host has no public address, or its port is neither 443 nor from 1024 on.
    NotPublic,
    /// Its host is not known, or nothing answers there, or not with a certificate that can be trusted.
    Unreachable,
    /// It took longer than 10 seconds, and a second more for each megabyte.
    TooSlow,
    /// It leads on more than three times.
    TooManyRedirects,
    /// It leads on to something else than an https address.
    BadRedirect,
    /// The server answers, and not with a calendar: it is gone, or closed to us.
    NotServed,
    /// The server sends it compressed, unasked.
    Compressed,
    /// It has more than 25 MB.
    TooLarge,
    /// It is no calendar, or not a whole one.
    NotACalendar,
}

/// What days without a time do in a calendar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum AllDay {
    /// They are busy, as other events are.
    #[default]
    Block,
    /// They keep nobody busy: birthdays, or what somebody else is at.
    Ignore,
}

/// How reading a calendar goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CalendarStatus {
    /// It was not read yet.
    Pending,
    /// It was read.
    Ok,
    /// It could not be read the last time. What was read before still holds.
    Failing,
}

/// A calendar that a therapist subscribes to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Calendar {
    /// The calendar's id.
    pub id: CalendarId,
    /// What the therapist calls it.
    #[schema(example = "Family")]
    pub label: String,
    /// Where it is read. The rest of the address is a secret.
    #[schema(example = "calendar.example")]
    pub host: String,
    /// How reading it goes.
    pub status: CalendarStatus,
    /// Why it could not be read; null where it could.
    pub error: Option<Fault>,
    /// Since when it could not be read.
    pub failing_since: Option<DateTime<Utc>>,
    /// When it was last read, or found unchanged.
    pub fetched_at: Option<DateTime<Utc>>,
    /// How many stretches of busy time are still to come; one of several days counts once for each 24 hours.
    pub busy_intervals: i64,
    /// How many of its events could not be read, in whole or in part, or name a time zone that is not known. What can be known of them is busy.
    pub skipped_events: i32,
    /// Whether there was more than is kept: some of its busy time can be booked.
    pub cut: bool,
    /// What days without a time do in it.
    pub all_day: AllDay,
    /// When the therapist subscribed to it.
    pub created_at: DateTime<Utc>,
}

/// How long to wait after so many failures in a row: twice as long each time, at most six hours.
fn back_off(failures: i32) -> TimeDelta {
    let doublings = failures.clamp(1, 6) - 1;
    (EVERY * 2_i32.pow(doublings.unsigned_abs())).min(TimeDelta::hours(6))
}
