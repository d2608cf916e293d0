//! What of a therapist's time is long over, and ends.

mod store;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use crate::error::Result;

/// How long the reserved time of a visit is kept, counted from its end. It counts towards the cap of its day, which is over everywhere by then.
const RESERVED_KEPT: TimeDelta = TimeDelta::days(2);

/// How long time off, dates that differ and timetables that were followed by others are kept after they were over: a year may be looked back at.
const PLANS_KEPT: TimeDelta = TimeDelta::days(400);

/// Deletes the reserved time of visits that are over and done with.
pub async fn forget_reserved(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    store::forget_reserved(db, now - RESERVED_KEPT).await
}

/// Deletes time off that ended long ago.
pub async fn forget_time_off(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    store::forget_time_off(db, now - PLANS_KEPT).await
}

/// Deletes the hours of dates long past.
pub async fn forget_overrides(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    store::forget_overrides(db, (now - PLANS_KEPT).date_naive()).await
}

/// Deletes timetables that gave way to others long ago. The first one stays, since one must be in force on every date.
pub async fn forget_timetables(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    store::forget_timetables(db, (now - PLANS_KEPT).date_naive()).await
}
