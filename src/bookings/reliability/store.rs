use chrono::{DateTime, Utc};
use serde_json::json;

use super::{Lapse, TherapistLapse};
use crate::bookings::Booking;
use crate::bookings::events::event;
use crate::db::Tx;
use crate::error::Result;
use crate::events::{Event, Party, Work};
use crate::ids::{BookingId, TherapistId};
use crate::values::name;

/// Writes down that the therapist of `booking` let the client down now; once for each visit.
pub async fn record(work: &mut Work, booking: &Booking, lapse: Lapse) -> Result<()> {
    let recorded = sqlx::query!(
        "INSERT INTO therapist_lapses (booking_id, therapist_id, kind, start_at, at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT DO NOTHING",
        booking.id.0,
        booking.therapist.0,
        lapse as Lapse,
        booking.start_at,
        work.now()
    )
    .execute(&mut ***work)
    .await?;
    if recorded.rows_affected() == 0 {
        return Ok(());
    }
    let event = event(format!("therapist.{}", name(&lapse)), booking, json!({}));
    work.announce(Event { party: Some(Party::System), ..event }).await
}

pub(super) struct Counts {
    pub cancellations: i64,
    pub late_cancellations: i64,
    pub no_shows: i64,
}

pub(super) async fn counts(tx: &mut Tx, therapist: TherapistId) -> Result<Counts> {
    let counts = sqlx::query_as!(
        Counts,
        r#"SELECT (SELECT count(*) FROM bookings WHERE therapist_id = $1 AND status = 'cancelled' AND cancelled_by = 'therapist' AND at_risk_since IS NULL) AS "cancellations!",
                  count(*) FILTER (WHERE kind = 'late_cancellation') AS "late_cancellations!",
                  count(*) FILTER (WHERE kind = 'no_show') AS "no_shows!"
           FROM therapist_lapses WHERE therapist_id = $1"#,
        therapist.0
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(counts)
}

pub(super) async fn lapses(
    tx: &mut Tx,
    therapist: TherapistId,
    after: Option<(DateTime<Utc>, BookingId)>,
    count: i64,
) -> Result<Vec<TherapistLapse>> {
    let rows = sqlx::query!(
        r#"SELECT booking_id, kind AS "kind: Lapse", start_at, at FROM therapist_lapses
           WHERE therapist_id = $1 AND ($2::timestamptz IS NULL OR (at, booking_id) < ($2, $3))
           ORDER BY at DESC, booking_id DESC LIMIT $4"#,
        therapist.0,
        after.map(|(at, _)| at),
        after.map(|(_, id)| id.0),
        count
    )
    .fetch_all(&mut **tx)
    .await?;
    let lapses = rows.into_iter().map(|row| TherapistLapse {
        booking_id: row.booking_id,
        kind: row.kind,
        minutes_before: (row.start_at - row.at).num_minutes(),
        start_at: row.start_at,
        at: row.at,
    });
    Ok(lapses.collect())
}
