use std::collections::HashMap;

use sqlx::PgPool;

use crate::error::Result;

/// How many blocks a table has now. What is added or moved behind them meanwhile is for the next round.
pub(super) async fn blocks(db: &PgPool, table: &str) -> Result<i64> {
    let blocks = sqlx::query_scalar!(
        r#"SELECT pg_relation_size($1::text::regclass) / current_setting('block_size')::bigint AS "blocks!""#,
        table
    )
    .fetch_one(db)
    .await?;
    Ok(blocks)
}

/// How many rows of each table hold something that begins otherwise than `first`. One statement for all the
/// tables, so that it is one moment that they are looked at.
pub(super) async fn left(db: &PgPool, first: &str) -> Result<HashMap<String, i64>> {
    let rows = sqlx::query!(
        r#"SELECT kept.place AS "table!", count(*) AS "rows!" FROM (
               SELECT 'addresses' AS place, ARRAY[access_notes_sealed, remarks_sealed] AS sealed FROM addresses
               UNION ALL
               SELECT 'blocks', ARRAY[note_sealed] FROM blocks
               UNION ALL
               SELECT 'booking_events', ARRAY[reason_sealed] FROM booking_events
               UNION ALL
               SELECT 'bookings', ARRAY[notes_sealed, focus_areas_sealed, address ->> 'access_notes_sealed', address ->> 'remarks_sealed']
               FROM bookings
               UNION ALL
               SELECT 'calendars', ARRAY[url_sealed] FROM calendars
               UNION ALL
               SELECT 'holds', ARRAY[address ->> 'access_notes_sealed', address ->> 'remarks_sealed'] FROM holds
               UNION ALL
               SELECT 'idempotency_keys', ARRAY[body_sealed, fingerprint_sealed] FROM idempotency_keys
               UNION ALL
               SELECT 'incidents', ARRAY[report, note] FROM incidents
               UNION ALL
               SELECT 'session_notes', ARRAY[text_sealed] FROM session_notes
               UNION ALL
               SELECT 'time_off', ARRAY[note_sealed] FROM time_off
           ) AS kept
           WHERE EXISTS (SELECT FROM unnest(sealed) AS text WHERE NOT starts_with(text, $1))
           GROUP BY kept.place"#,
        first
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.table, row.rows)).collect())
}
