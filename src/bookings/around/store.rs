use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::StepTimes;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::BookingId;

/// When each of these bookings was brought where, and when anything last happened to it: that somebody looked is nothing.
pub(super) async fn times(
    tx: &mut Tx,
    bookings: &[BookingId],
) -> Result<HashMap<BookingId, (StepTimes, DateTime<Utc>)>> {
    let rows = sqlx::query!(
        r#"SELECT asked AS "id!: BookingId", happened.confirmed_at, happened.on_the_way_at, happened.arrived_at, happened.started_at,
                  happened.completed_at, happened.updated_at AS "updated_at!"
           FROM unnest($1::uuid[]) AS asked CROSS JOIN LATERAL (
               -- What leaves it where it is, such as a longer visit, brings it nowhere.
               SELECT max(at) AS updated_at, max(at) FILTER (WHERE moves AND to_state = 'confirmed') AS confirmed_at,
                      min(at) FILTER (WHERE moves AND to_state = 'on_the_way') AS on_the_way_at, min(at) FILTER (WHERE moves AND to_state = 'arrived') AS arrived_at,
                      min(at) FILTER (WHERE moves AND to_state = 'in_progress') AS started_at, min(at) FILTER (WHERE moves AND to_state = 'completed') AS completed_at
               FROM events CROSS JOIN LATERAL (SELECT from_state IS DISTINCT FROM to_state AS moves) AS step WHERE subject_type = 'booking' AND subject_id = asked::text AND id >= history_of(asked::text)
                 AND kind NOT IN ('booking.address_disclosed', 'booking.relied_anew', 'booking.proof_read', 'booking.care_sheet_read')
           ) AS happened WHERE happened.updated_at IS NOT NULL"#,
        bookings as &[BookingId]
    )
    .fetch_all(&mut **tx)
    .await?;
    let times = rows.into_iter().map(|row| {
        let times = StepTimes {
            confirmed_at: row.confirmed_at,
            on_the_way_at: row.on_the_way_at,
            arrived_at: row.arrived_at,
            started_at: row.started_at,
            completed_at: row.completed_at,
        };
        (row.id, (times, row.updated_at))
    });
    Ok(times.collect())
}
