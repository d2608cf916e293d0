//! What a booking or a hold begins with. Each round trip is a part of what a booking costs, so all that is read before the therapist's lock is
//! read in two looks: one that claims the key and finds what the fields refer to, and one that decides whether the lock is worth taking.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::types::Json;

use super::bounds::{Ahead, CANCELLATIONS_COUNT, STILL_OPEN};
use super::views::Known;
use super::wish::Wanted;
use crate::accounts::Address;
use crate::availability::reservations::range;
use crate::cipher::Sealed;
use crate::db::Tx;
use crate::error::Result;
use crate::events::{TimeLock, Work, lock_number};
use crate::idempotency::{GivenAnswer, Once};
use crate::ids::{AccountId, HoldId, RecipientId, TherapistId};
use crate::values::{Point, Span};

/// What the fields of a slot refer to.
pub(super) struct Opened {
    /// The client's address; none where there is no such address of theirs.
    pub address: Option<Address>,
    /// The therapist's name and public area; none where there is no such therapist.
    pub therapist: Option<(String, Option<Point>)>,
    /// The service's name; none where there is no such service.
    pub service: Option<String>,
    /// The revision of what holds for all.
    pub rulebook: i64,
    /// The revision of the therapist's diary, its reserved time aside; none where there is no such therapist.
    pub steady: Option<i64>,
    /// What the client holds already with the same fields.
    pub hold: Option<HoldId>,
    /// For whom it is: the recipient that is named, or the one for the client themself; none where there is no such recipient of theirs.
    pub recipient: Option<RecipientId>,
}

impl Opened {
    /// What the client is shown of who comes and what is done.
    pub fn known(&self, wanted: &Wanted) -> Known {
        let therapist = self.therapist.as_ref().map(|(name, _)| name.clone()).unwrap_or_default();
        let service = self.service.clone().unwrap_or_default();
        Known::of((wanted.therapist_id, therapist), (wanted.service_id, service))
    }
}

/// Claims the key, locks the client, and finds what `wanted` refers to, in one look.
///
/// # Errors
/// As [`Once::claim`].
pub(super) async fn open(work: &mut Work, once: Once, client: AccountId, wanted: &Wanted) -> Result<(Once, Opened)> {
    let now = work.now();
    let row = sqlx::query!(
        // The locks are tried for in order, a key's before a client's, and waited for by a statement of their own.
        r#"WITH key AS MATERIALIZED (
               SELECT CASE WHEN $1::bigint IS NULL THEN true ELSE pg_try_advisory_xact_lock($1) END AS claimed
           ), locks AS MATERIALIZED (
               SELECT claimed, CASE WHEN claimed THEN pg_try_advisory_xact_lock($2) ELSE false END AS locked FROM key
           )
           SELECT locks.claimed AS "claimed!", locks.locked AS "locked!", rulebook.revision AS "rulebook!",
                  given.fingerprint_sealed AS "fingerprint?: Sealed", given.status AS "status?", given.location AS "location?",
                  given.body_sealed AS "body?: Sealed", given.state AS "state?",
                  CASE WHEN place.id IS NOT NULL THEN to_jsonb(place) END AS "address?: Json<Address>",
                  t.area_latitude AS "area_latitude?", t.area_longitude AS "area_longitude?", a.display_name AS "therapist?", state.steady AS "steady?",
                  s.name AS "service?",
                  (SELECT id FROM holds h
                   WHERE h.client_id = $3 AND h.therapist_id = $7 AND h.service_id = $8 AND h.duration_minutes = $9 AND h.start_at = $10
                     AND h.address ->> 'id' = $6::uuid::text AND h.expires_at > $11 AND h.ended_at IS NULL
                     AND h.recipient_id IS NOT DISTINCT FROM r.id
                   LIMIT 1) AS "hold?: HoldId",
                  r.id AS "recipient?: RecipientId"
           FROM locks CROSS JOIN rulebook
           LEFT JOIN idempotency_keys given ON given.account_id = $3 AND given.route = $4 AND given.key = $5
           LEFT JOIN addresses place ON place.client_id = $3 AND place.id = $6
           LEFT JOIN therapists t ON t.id = $7
           LEFT JOIN accounts a ON a.id = t.id
           LEFT JOIN hint_states state ON state.therapist_id = t.id
           LEFT JOIN services s ON s.id = $8
           LEFT JOIN recipients r ON r.account_id = $3 AND r.removed_at IS NULL
                AND CASE WHEN $12::uuid IS NULL THEN r.relation = 'self' ELSE r.id = $12 END"#,
        once.lock(),
        lock_number(client.0),
        client.0,
        once.route(),
        once.key(),
        wanted.address_id.0,
        wanted.therapist_id.0,
        wanted.service_id.0,
        wanted.duration_minutes,
        wanted.start_at.0,
        now,
        wanted.recipient_id.map(|id| id.0),
    )
    .fetch_one(&mut ***work)
    .await?;
    let given = row.fingerprint.zip(row.status).zip(row.body).map(|((fingerprint, status), body)| GivenAnswer {
        fingerprint,
        status,
        location: row.location,
        body,
        state: row.state,
    });
    let once = once.settle(row.claimed, given)?;
    if row.locked {
        work.took(client.0);
    } else {
        work.lock(client.0).await?;
    }
    let area = row.area_latitude.zip(row.area_longitude);
    let area = area.map(|(latitude, longitude)| Point { latitude, longitude });
    let found = Opened {
        address: row.address.map(|Json(address)| address),
        therapist: row.therapist.map(|name| (name, area)),
        service: row.service,
        rulebook: row.rulebook,
        steady: row.steady,
        hold: row.hold,
        recipient: row.recipient,
    };
    Ok((once, found))
}

/// What is seen before a therapist's lock is taken.
pub(super) struct Seen {
    /// The therapist's time, unless the look has shown that to lock it is of no use.
    pub lock: Option<TimeLock>,
    /// Whether somebody else plainly has the time.
    pub taken: bool,
    /// Whether the key has an answer by now, which was given between its claim and the look before.
    pub answered: bool,
    /// Whether the client holds any time of this therapist.
    pub holds: bool,
    /// What the client has ahead.
    pub ahead: Ahead,
}

/// Whether the time is plainly taken, and what the client has ahead, in one look, which then takes the therapist's lock where it is worth it.
/// Of the therapist's time a later look decides; of the client's this one does, under the client's lock.
pub(super) async fn enter(
    work: &mut Work,
    once: &Once,
    client: AccountId,
    therapist: TherapistId,
    table: Span,
) -> Result<Seen> {
    let now = work.now();
    let row = look(work, once, client, therapist, table, now).await?;
    let ahead = Ahead { busy: row.busy, visits: row.visits, requests: row.requests, cancellations: row.cancellations };
    let lock = row.locked.then(|| work.took_time(therapist));
    Ok(Seen { lock, taken: row.taken, answered: row.answered, holds: row.holds, ahead })
}

struct Row {
    answered: bool,
    taken: bool,
    holds: bool,
    busy: bool,
    visits: i64,
    requests: i64,
    cancellations: i64,
    locked: bool,
}

async fn look(
    tx: &mut Tx,
    once: &Once,
    client: AccountId,
    therapist: TherapistId,
    table: Span,
    now: DateTime<Utc>,
) -> Result<Row> {
    let row = sqlx::query_as!(
        Row,
        // The lock is taken last, once the rest is known.
        r#"WITH seen AS MATERIALIZED (
               SELECT EXISTS (
                          SELECT FROM idempotency_keys WHERE account_id = $4 AND route = $9 AND key = $10
                      ) AS answered,
                      EXISTS (
                          SELECT FROM reservations r WHERE therapist_id = $1 AND during && $2
                            AND (hold_expires_at IS NULL OR hold_expires_at > $3)
                            AND NOT EXISTS (SELECT FROM holds h WHERE h.id = r.id AND h.client_id = $4)
                      ) AS taken,
                      EXISTS (
                          SELECT FROM holds WHERE client_id = $4 AND therapist_id = $1 AND expires_at > $3 AND ended_at IS NULL
                      ) AS holds,
                      ahead.*
               FROM (
                   SELECT count(*) FILTER (WHERE open AND start_at > $8) AS visits,
                          count(*) FILTER (WHERE open AND status = 'requested') AS requests,
                          coalesce(bool_or(open AND start_at < $6 AND start_at > $12::timestamptz AND start_at + make_interval(mins => duration_minutes) > $5), false) AS busy,
                          count(*) FILTER (WHERE cancelled_by = 'client' AND fee = 0 AND cancelled_at > $7 AND at_risk_since IS NULL
                                             AND NOT free_to_cancel) AS cancellations
                   FROM (
                       SELECT status, start_at, duration_minutes, cancelled_by, cancelled_at, fee, at_risk_since, free_to_cancel,
                              status IN ('confirmed', 'on_the_way', 'arrived', 'in_progress')
                                  OR (status = 'requested' AND respond_by > $3) AS open
                       FROM bookings WHERE client_id = $4 AND start_at > least($7, $12::timestamptz)
                   ) AS visits
               ) AS ahead
           )
           SELECT answered AS "answered!", taken AS "taken!", holds AS "holds!", busy AS "busy!", visits AS "visits!", requests AS "requests!",
                  cancellations AS "cancellations!",
                  CASE WHEN answered OR taken OR busy THEN false ELSE pg_advisory_xact_lock($11)::text = '' END AS "locked!"
           FROM seen"#,
        therapist.0,
        range(table),
        now,
        client.0,
        table.start,
        table.end,
        now - CANCELLATIONS_COUNT,
        now - STILL_OPEN,
        once.route(),
        once.key(),
        lock_number(therapist.0),
        // No visit is longer.
        table.start - TimeDelta::hours(4),
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(row)
}
