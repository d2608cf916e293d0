use crate::values::TravelMode;
use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, PgPool};

use super::Block;
use super::roads::Way;
use crate::db::{BATCH, Tx, in_batches};
use crate::error::Result;

/// Ways as the columns of a set.
struct Columns {
    modes: Vec<TravelMode>,
    from: Vec<i64>,
    to: Vec<i64>,
}

fn columns(ways: impl IntoIterator<Item = Way>) -> Columns {
    let mut columns = Columns { modes: Vec::new(), from: Vec::new(), to: Vec::new() };
    for way in ways {
        columns.modes.push(way.mode);
        columns.from.push(way.from.0);
        columns.to.push(way.to.0);
    }
    columns
}

/// What is known of a way.
pub(super) struct Known {
    pub way: Way,
    /// None where there is no road, or nobody has asked yet.
    pub seconds: Option<i32>,
    /// Not asked yet, or too long ago, and nobody is about to.
    pub is_due: bool,
}

/// What is known of `ways`, where anything is. What was asked before `stale` should be asked again.
pub(super) async fn known<'c>(
    db: impl PgExecutor<'c>,
    ways: impl IntoIterator<Item = Way>,
    stale: DateTime<Utc>,
) -> Result<Vec<Known>> {
    let Columns { modes, from, to } = columns(ways);
    let rows = sqlx::query!(
        r#"SELECT travel_mode AS "mode: TravelMode", from_block, to_block, seconds,
                  (wanted_at IS NULL AND fetched_at < $4) AS "is_due!"
           FROM road_times JOIN unnest($1::text[], $2::bigint[], $3::bigint[]) AS way (travel_mode, from_block, to_block)
                USING (travel_mode, from_block, to_block)"#,
        modes as Vec<TravelMode>,
        &from,
        &to,
        stale
    )
    .fetch_all(db)
    .await?;
    let known = rows.into_iter().map(|row| Known {
        way: Way { mode: row.mode, from: Block(row.from_block), to: Block(row.to_block) },
        seconds: row.seconds,
        is_due: row.is_due,
    });
    Ok(known.collect())
}

/// Notes that `ways` are to be asked; whether any was not noted before. Never do more than `most` wait.
pub(super) async fn want(tx: &mut Tx, ways: &[Way], most: i64, now: DateTime<Utc>) -> Result<bool> {
    let Columns { modes, from, to } = columns(ways.iter().copied());
    let noted = sqlx::query!(
        "INSERT INTO road_times (travel_mode, from_block, to_block, wanted_at)
         SELECT travel_mode, from_block, to_block, $4
         FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS way (travel_mode, from_block, to_block)
         -- In one order, so that two who note the same ways do not wait for each other.
         ORDER BY travel_mode, from_block, to_block
         LIMIT $5 - (SELECT count(*) FROM (SELECT FROM road_times WHERE wanted_at IS NOT NULL LIMIT $5) AS waiting)
         ON CONFLICT ON CONSTRAINT road_times_pkey DO UPDATE SET wanted_at = excluded.wanted_at
         WHERE road_times.wanted_at IS NULL",
        modes as Vec<TravelMode>,
        &from,
        &to,
        now,
        most
    )
    .execute(&mut **tx)
    .await?;
    Ok(noted.rows_affected() > 0)
}

/// The ways that wait to be asked, longest first.
pub(super) async fn wanted(db: &PgPool, count: i64) -> Result<Vec<Way>> {
    let rows = sqlx::query!(
        r#"SELECT travel_mode AS "mode: TravelMode", from_block, to_block FROM road_times
           WHERE wanted_at IS NOT NULL ORDER BY wanted_at, travel_mode, from_block, to_block LIMIT $1"#,
        count
    )
    .fetch_all(db)
    .await?;
    let ways = rows.into_iter().map(|row| Way { mode: row.mode, from: Block(row.from_block), to: Block(row.to_block) });
    Ok(ways.collect())
}

/// Keeps what was answered to `ways`, in their order.
pub(super) async fn keep(db: &PgPool, ways: &[Way], seconds: &[Option<i32>], now: DateTime<Utc>) -> Result<()> {
    let Columns { modes, from, to } = columns(ways.iter().copied());
    sqlx::query!(
        "UPDATE road_times known SET seconds = way.seconds, fetched_at = $5, wanted_at = NULL
         FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::int4[]) AS way (travel_mode, from_block, to_block, seconds)
         WHERE (known.travel_mode, known.from_block, known.to_block) = (way.travel_mode, way.from_block, way.to_block)",
        modes as Vec<TravelMode>,
        &from,
        &to,
        seconds as &[Option<i32>],
        now
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets what was asked before `unused`, what waits since before `given_up` and was never answered, and the oldest of
/// more than `most`.
pub(super) async fn prune(db: &PgPool, unused: DateTime<Utc>, given_up: DateTime<Utc>, most: i64) -> Result<()> {
    let oldest = sqlx::query_scalar!(
        "SELECT fetched_at FROM road_times WHERE fetched_at IS NOT NULL ORDER BY fetched_at DESC OFFSET $1 LIMIT 1",
        most
    );
    let oldest = oldest.fetch_optional(db).await?.flatten();
    in_batches(|| async move {
        let gone = sqlx::query!(
            "DELETE FROM road_times WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM road_times WHERE fetched_at < $1 OR fetched_at <= $2 ORDER BY fetched_at LIMIT $3 FOR UPDATE SKIP LOCKED))",
            unused,
            oldest,
            BATCH
        );
        Ok(gone.execute(db).await?.rows_affected())
    })
    .await?;
    in_batches(|| async move {
        let gone = sqlx::query!(
            "DELETE FROM road_times WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM road_times WHERE fetched_at IS NULL AND wanted_at < $1
                 ORDER BY wanted_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
            given_up,
            BATCH
        );
        Ok(gone.execute(db).await?.rows_affected())
    })
    .await
}
