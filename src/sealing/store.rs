use std::collections::HashMap;

use sqlx::PgPool;

use crate::db::Tx;
use crate::error::Result;

/// Lets the transaction read tables by their indexes of what is plain. Nothing tells the planner how rare that is: it guesses at parts
/// of JSON, and a plan for any parameters would read the whole table.
pub(super) async fn keep_to_indexes(tx: &mut Tx) -> Result<()> {
    sqlx::query!(
        "SELECT set_config('enable_seqscan', 'off', true) AS seqscan, set_config('enable_tidscan', 'off', true) AS tidscan,
                set_config('plan_cache_mode', 'force_custom_plan', true) AS plans"
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(())
}

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

/// How many rows of each table hold something plain, or something that begins otherwise than `first`. One statement for all the
/// tables, so that it is one moment that they are looked at.
pub(super) async fn left(db: &PgPool, first: &str) -> Result<HashMap<String, i64>> {
    let rows = sqlx::query!(
        r#"SELECT kept.place AS "table!", count(*) AS "rows!" FROM (
               SELECT 'addresses' AS place, num_nonnulls(access_notes, parking, stairs, pets) AS plain,
                      ARRAY[access_notes_sealed, remarks_sealed] AS sealed FROM addresses
               UNION ALL
               SELECT 'blocks', 0, ARRAY[note_sealed] FROM blocks
               UNION ALL
               SELECT 'events', 0, ARRAY[reason_sealed] FROM events WHERE reason_sealed IS NOT NULL
               UNION ALL
               SELECT 'bookings', cardinality(focus_areas) + num_nonnulls(notes, address ->> 'access_notes', address ->> 'parking',
                                                                          address ->> 'stairs', address ->> 'pets'),
                      ARRAY[notes_sealed, focus_areas_sealed, address ->> 'access_notes_sealed', address ->> 'remarks_sealed']
               FROM bookings
               UNION ALL
               SELECT 'calendars', num_nonnulls(url), ARRAY[url_sealed] FROM calendars
               UNION ALL
               SELECT 'holds', num_nonnulls(address ->> 'access_notes', address ->> 'parking', address ->> 'stairs', address ->> 'pets'),
                      ARRAY[address ->> 'access_notes_sealed', address ->> 'remarks_sealed'] FROM holds
               UNION ALL
               SELECT 'idempotency_keys', num_nonnulls(body), ARRAY[body_sealed, fingerprint_sealed] FROM idempotency_keys
               UNION ALL
               SELECT 'incidents', 0, ARRAY[report, note] FROM incidents
               UNION ALL
               SELECT 'session_notes', 0, ARRAY[text_sealed] FROM session_notes
               UNION ALL
               SELECT 'time_off', num_nonnulls(note), ARRAY[note_sealed] FROM time_off
           ) AS kept
           WHERE plain > 0 OR EXISTS (SELECT FROM unnest(sealed) AS text WHERE NOT starts_with(text, $1))
           GROUP BY kept.place"#,
        first
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.table, row.rows)).collect())
}
