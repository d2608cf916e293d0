use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::Changed;
use crate::error::Result;
use crate::ids::{AccountId, TherapistId};

/// Which changes are asked for.
pub(super) struct Asked {
    /// After this link of the chain.
    pub link: i64,
    /// When the last one that is known happened.
    pub since: DateTime<Utc>,
    pub now: DateTime<Utc>,
    pub count: i64,
}

/// How much earlier than one that is chained before it an event may have happened: longer than any transaction takes.
const SLACK: TimeDelta = TimeDelta::hours(1);

/// A visit is done with so long after its start: what happens to it later is not listed.
const VISIT_DONE: TimeDelta = TimeDelta::days(120);

/// What happened to a client's visits, in the order of the chain: events are chained once they are committed, so that none comes late.
pub(super) async fn of_client(db: &PgPool, client: AccountId, kinds: &[&str], asked: Asked) -> Result<Vec<Changed>> {
    let changes = sqlx::query_as!(
        Changed,
        r#"SELECT l.link, e.at AS "at!", e.kind AS "kind!", e.subject_type AS "subject_type!", e.subject_id::uuid AS "subject_id!"
           FROM (SELECT id::text AS id FROM bookings WHERE client_id = $1 AND start_at > $5) AS own
           CROSS JOIN LATERAL (
               SELECT position, at, kind, subject_type, subject_id FROM events
               WHERE subject_type = 'booking' AND subject_id = own.id AND id >= least_id($3) AND kind = ANY ($4)
           ) AS e JOIN audit_links l ON l.position = e.position
           WHERE l.link > $2 ORDER BY l.link LIMIT $6"#,
        client.0,
        asked.link,
        asked.since - SLACK,
        kinds as &[&str],
        asked.now - VISIT_DONE,
        asked.count
    )
    .fetch_all(db)
    .await?;
    Ok(changes)
}

/// What happened to a therapist, in the order of the chain.
pub(super) async fn of_therapist(
    db: &PgPool,
    therapist: TherapistId,
    kinds: &[&str],
    asked: Asked,
) -> Result<Vec<Changed>> {
    let changes = sqlx::query_as!(
        Changed,
        r#"SELECT l.link, e.at, e.kind, e.subject_type, e.subject_id::uuid AS "subject_id!"
           FROM events e JOIN audit_links l ON l.position = e.position
           WHERE e.therapist_id = $1 AND e.id >= least_id($3) AND e.kind = ANY ($4) AND l.link > $2
           ORDER BY l.link LIMIT $5"#,
        therapist.0,
        asked.link,
        asked.since - SLACK,
        kinds as &[&str],
        asked.count
    )
    .fetch_all(db)
    .await?;
    Ok(changes)
}
