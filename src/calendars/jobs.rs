//! What is done later with calendars elsewhere.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::reading;
use crate::App;
use crate::error::Result;
use crate::ids::{CalendarId, TherapistId};
use crate::queue::{Job, Kind, Run};

/// The kinds of jobs that are carried out here.
pub const JOBS: &[Kind] =
    &[Kind::of::<ReadCalendar>().elsewhere(), Kind::of::<ReadCalendars>().every_minutes(5).elsewhere()];

/// Reads a calendar elsewhere.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadCalendar {
    /// The calendar.
    pub calendar: CalendarId,
    /// Whose it is.
    pub therapist: TherapistId,
}

impl Job for ReadCalendar {
    const NAME: &'static str = "read_calendar";
}

impl Run for ReadCalendar {
    async fn run(self, app: Arc<App>) -> Result<()> {
        reading::read_one(&app, self).await
    }
}

/// Reads the calendars elsewhere that are due.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadCalendars;

impl Job for ReadCalendars {
    const NAME: &'static str = "read_calendars";
}

impl Run for ReadCalendars {
    async fn run(self, app: Arc<App>) -> Result<()> {
        reading::read_due(&app).await
    }
}
