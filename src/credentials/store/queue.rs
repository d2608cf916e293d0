//! The admins' queue.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::BoardStatus;
use super::super::TypeCode;
use super::super::review::ReviewState;
use super::super::views::ReviewedCredential;
use super::{Columns, credentials, typed};
use crate::db::{BATCH, Tx, in_batches};
use crate::error::{Error, FieldError, Result};
use crate::ids::{AccountId, BookingId, CredentialId, TherapistId, VerificationId};
use crate::values::{Instant, Jurisdiction, name};

/// How the queue is ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum QueueOrder {
    /// Longest waiting first.
    #[default]
    SubmittedAt,
    /// First to expire first.
    ExpiresOn,
    /// Whatever the soonest visit rests on first; of what is under way or suspended.
    NextVisit,
}

/// Which credentials the queue shows.
pub(in super::super) struct Queue<'a> {
    /// In one of these states; in any where there are none.
    pub review_states: Option<Vec<ReviewState>>,
    pub type_code: Option<&'a str>,
    pub jurisdiction: Option<&'a Jurisdiction>,
    pub expires_before: Option<NaiveDate>,
    pub therapist: Option<TherapistId>,
    /// Patterns that the name on it fits, or else its therapist is one of `named`.
    pub names: Option<Vec<String>>,
    pub named: Option<Vec<AccountId>>,
    /// Patterns of which its number fits one.
    pub numbers: Option<[String; 2]>,
    /// Whose number another therapist claims as well.
    pub duplicate: Option<bool>,
    /// Which nobody reviews at present: submitted, or in review with a claim that has lapsed.
    pub unclaimed: bool,
    pub order: QueueOrder,
    pub after: Option<Key>,
    pub count: i64,
}

/// What places a credential in the order, which is part of it, so that a cursor fits no other list: an instant, the visit that begins
/// then where the order is by visits, and the credential.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(in super::super) struct Key(QueueOrder, Instant, Option<BookingId>, CredentialId);

/// What was found of the queue, and where to go on: with the last one looked at, who need not fit; none where nobody is left.
pub(in super::super) struct Waiting {
    pub found: Vec<(CredentialId, Key)>,
    pub rest: Option<Key>,
}

/// How many credentials are looked at for one page, where a filter has no index of its own: few may fit.
const LOOKED_AT: i64 = 1_000;

/// How many visits, or credentials without one, are looked at in a statement of the order by visits, where each costs a look at what
/// visits rest on; and how many statements a page takes at the most.
const VISITS: i64 = 100;
const MOST_STEPS: usize = 5;

/// States of reviews that a visit may wait for: not of what is not handed in, or done with.
const WAITED_FOR: [ReviewState; 5] = [
    ReviewState::Submitted,
    ReviewState::InReview,
    ReviewState::PendingSecond,
    ReviewState::InfoRequested,
    ReviewState::Suspended,
];

impl Queue<'_> {
    /// In which states the review may stand, as the database calls them.
    fn states(&self) -> Vec<String> {
        let fits = |state: &&ReviewState| {
            self.review_states.as_ref().is_none_or(|wanted| wanted.contains(*state))
                && (self.order != QueueOrder::NextVisit || WAITED_FOR.contains(*state))
        };
        ReviewState::ALL.iter().filter(fits).map(name).collect()
    }

    /// Whether a person or a number is looked for.
    fn is_sought(&self) -> bool {
        self.names.is_some() || self.numbers.is_some()
    }

    /// How many are looked at: as many as a page holds, where each will fit.
    fn looked_at(&self) -> i64 {
        let by_end = self.order == QueueOrder::ExpiresOn;
        let sparse = self.jurisdiction.is_some()
            || self.duplicate.is_some()
            || self.unclaimed
            || self.is_sought()
            || if by_end { self.type_code.is_some() } else { self.expires_before.is_some() };
        if sparse { LOOKED_AT } else { self.count }
    }
}

/// Where every order begins: at the first instant that a cursor can name.
fn beginning() -> (Instant, CredentialId) {
    (Instant(DateTime::from_timestamp(946_684_800, 0).unwrap_or_default()), CredentialId(Uuid::nil()))
}

/// Says of the credentials `next`, which have an id and an instant, whether they fit all that is asked for, in their order. `$1` are the
/// states, `$2` is the type, `$3` the place, `$4` before when they end, `$5` whose they are, `$6` whether their number is claimed by
/// another, `$7` whether nobody reviews them, `$8` the time, `$9` and `$10` after what they come, and `$11` how many are looked at. `$12` are
/// patterns of names, `$13` people who are called so, `$14` and `$15` patterns of numbers.
macro_rules! fitting {
    ($tx:expr, $wanted:expr, $now:expr, $after:expr, $looked_at:expr, $more:literal, $($next:literal)+) => {{
        let (wanted, (Instant(at), id)) = ($wanted, $after);
        let [number, bare] = wanted.numbers.as_ref().map_or([None, None], |numbers| numbers.each_ref().map(Some));
        let rows = sqlx::query!(
            "WITH next AS MATERIALIZED ("
                $(+ $next)+
                + r#")
             SELECT next.id AS "id!: CredentialId", next.at AS "at!",
                    (c.review_state = ANY ($1) AND ($2::text IS NULL OR c.type = $2)
                     AND ($3::text IS NULL OR c.issuing_jurisdiction = $3 OR starts_with(c.type, $3 || '-'))
                     AND ($4::date IS NULL OR c.expires_on < $4) AND ($5::uuid IS NULL OR c.therapist_id = $5)
                     AND (NOT $7::bool OR c.review_state = 'submitted' OR (c.review_state = 'in_review' AND c.claimed_until <= $8::timestamptz))
                     AND ($6::bool IS NULL OR $6 = EXISTS (
                         SELECT FROM number_claims n
                         WHERE n.type = c.type AND n.jurisdiction = c.issuing_jurisdiction AND n.normalised_number = c.normalised_number
                           AND n.therapist_id <> c.therapist_id))
                     AND ($12::text[] IS NULL OR c.therapist_id = ANY ($13::uuid[]) OR ' ' || lower(c.name_on_credential) LIKE ALL ($12))
                     AND ($14::text IS NULL OR c.normalised_number LIKE $14 OR c.normalised_number LIKE $15)"#
                + $more
                + r#") IS TRUE AS "fits!"
             FROM next JOIN credentials c ON c.id = next.id ORDER BY next.at, next.id"#,
            &wanted.states(),
            wanted.type_code,
            wanted.jurisdiction.map(Jurisdiction::as_str),
            wanted.expires_before,
            wanted.therapist.map(|id| id.0),
            wanted.duplicate,
            wanted.unclaimed,
            $now,
            at,
            id.0,
            $looked_at,
            wanted.names.as_deref(),
            wanted.named.as_deref() as Option<&[AccountId]>,
            number,
            bare,
        )
        .fetch_all(&mut **$tx)
        .await?;
        let key = |at, id| Key(wanted.order, Instant(at), None, id);
        let is_full = usize::try_from($looked_at).is_ok_and(|most| rows.len() >= most);
        let rest = rows.last().map(|row| key(row.at, row.id)).filter(|_| is_full);
        let found = rows.into_iter().filter(|row| row.fits).map(|row| (row.id, key(row.at, row.id)));
        Ok::<_, Error>(Waiting { found: found.collect(), rest })
    }};
}

/// The next of the queue. A page looks at a bounded number, so that it may hold fewer than it could and still have a rest.
///
/// # Errors
/// 422 where the cursor came from a list in another order.
pub(in super::super) async fn queue(tx: &mut Tx, wanted: &Queue<'_>, now: DateTime<Utc>) -> Result<Waiting> {
    if wanted.after.is_some_and(|Key(order, ..)| order != wanted.order) {
        return Err(FieldError::new("/cursor", "This cursor came from a list in another order.").into());
    }
    let after = wanted.after.map_or_else(beginning, |Key(_, at, _, id)| (at, id));
    match wanted.order {
        QueueOrder::NextVisit => by_visit(tx, wanted, now).await,
        _ if wanted.therapist.is_some() => of_one(tx, wanted, after, now).await,
        QueueOrder::SubmittedAt if wanted.is_sought() => sought(tx, wanted, after, now).await,
        QueueOrder::SubmittedAt if wanted.duplicate == Some(true) => duplicates(tx, wanted, after, now).await,
        QueueOrder::SubmittedAt if wanted.type_code.is_some() => of_a_type(tx, wanted, after, now).await,
        QueueOrder::SubmittedAt => by_submission(tx, wanted, after, now).await,
        QueueOrder::ExpiresOn => by_end(tx, wanted, after, now).await,
    }
}

/// State by state, because each is a stretch of the index. What was never submitted comes last.
async fn by_submission(
    tx: &mut Tx,
    wanted: &Queue<'_>,
    after: (Instant, CredentialId),
    now: DateTime<Utc>,
) -> Result<Waiting> {
    fitting!(
        tx,
        wanted,
        now,
        after,
        wanted.looked_at(),
        "",
        "SELECT c.id, c.at FROM unnest($1::text[]) AS state CROSS JOIN LATERAL (
             SELECT id, coalesce(submitted_at, '2100-12-31 00:00:00+00') AS at FROM credentials
             WHERE review_state = state AND (coalesce(submitted_at, '2100-12-31 00:00:00+00'), id) > ($9::timestamptz, $10::uuid)
             ORDER BY coalesce(submitted_at, '2100-12-31 00:00:00+00'), id LIMIT $11
         ) AS c
         ORDER BY at, id LIMIT $11"
    )
}

/// The same of one type.
async fn of_a_type(
    tx: &mut Tx,
    wanted: &Queue<'_>,
    after: (Instant, CredentialId),
    now: DateTime<Utc>,
) -> Result<Waiting> {
    fitting!(
        tx,
        wanted,
        now,
        after,
        wanted.looked_at(),
        "",
        "SELECT c.id, c.at FROM unnest($1::text[]) AS state CROSS JOIN LATERAL (
             SELECT id, coalesce(submitted_at, '2100-12-31 00:00:00+00') AS at FROM credentials
             WHERE type = $2 AND review_state = state AND (coalesce(submitted_at, '2100-12-31 00:00:00+00'), id) > ($9::timestamptz, $10::uuid)
             ORDER BY coalesce(submitted_at, '2100-12-31 00:00:00+00'), id LIMIT $11
         ) AS c
         ORDER BY at, id LIMIT $11"
    )
}

/// By their last date; what has none comes last.
async fn by_end(
    tx: &mut Tx,
    wanted: &Queue<'_>,
    after: (Instant, CredentialId),
    now: DateTime<Utc>,
) -> Result<Waiting> {
    fitting!(
        tx,
        wanted,
        now,
        after,
        wanted.looked_at(),
        "",
        "SELECT c.id, c.ends::timestamp AT TIME ZONE 'UTC' AS at FROM unnest($1::text[]) AS state CROSS JOIN LATERAL (
             SELECT id, coalesce(expires_on, '2100-12-31') AS ends FROM credentials
             WHERE review_state = state
               AND (coalesce(expires_on, '2100-12-31'), id) > (($9::timestamptz AT TIME ZONE 'UTC')::date, $10::uuid)
               AND coalesce(expires_on, '2100-12-31') < coalesce($4::date, '2102-01-01')
             ORDER BY coalesce(expires_on, '2100-12-31'), id LIMIT $11
         ) AS c
         ORDER BY ends, id LIMIT $11"
    )
}

/// One therapist's, who have a hundred at the most.
async fn of_one(
    tx: &mut Tx,
    wanted: &Queue<'_>,
    after: (Instant, CredentialId),
    now: DateTime<Utc>,
) -> Result<Waiting> {
    if wanted.order == QueueOrder::ExpiresOn {
        return fitting!(
            tx,
            wanted,
            now,
            after,
            LOOKED_AT,
            "",
            "SELECT id, coalesce(expires_on, '2100-12-31')::timestamp AT TIME ZONE 'UTC' AS at FROM credentials
             WHERE therapist_id = $5
               AND (coalesce(expires_on, '2100-12-31'), id) > (($9::timestamptz AT TIME ZONE 'UTC')::date, $10::uuid) LIMIT $11"
        );
    }
    fitting!(
        tx,
        wanted,
        now,
        after,
        LOOKED_AT,
        "",
        "SELECT id, coalesce(submitted_at, '2100-12-31 00:00:00+00') AS at FROM credentials
         WHERE therapist_id = $5 AND (coalesce(submitted_at, '2100-12-31 00:00:00+00'), id) > ($9::timestamptz, $10::uuid) LIMIT $11"
    )
}

/// Those of a person or with a number, which are few.
async fn sought(
    tx: &mut Tx,
    wanted: &Queue<'_>,
    after: (Instant, CredentialId),
    now: DateTime<Utc>,
) -> Result<Waiting> {
    fitting!(
        tx,
        wanted,
        now,
        after,
        wanted.count,
        "",
        "SELECT id, coalesce(submitted_at, '2100-12-31 00:00:00+00') AS at FROM credentials
         WHERE review_state = ANY ($1) AND (coalesce(submitted_at, '2100-12-31 00:00:00+00'), id) > ($9::timestamptz, $10::uuid)
           AND ($12::text[] IS NULL OR therapist_id = ANY ($13::uuid[]) OR ' ' || lower(name_on_credential) LIKE ALL ($12))
           AND ($14::text IS NULL OR normalised_number LIKE $14 OR normalised_number LIKE $15)
         ORDER BY at, id LIMIT $11"
    )
}

/// Those whose number was ever claimed by two, which are few.
async fn duplicates(
    tx: &mut Tx,
    wanted: &Queue<'_>,
    after: (Instant, CredentialId),
    now: DateTime<Utc>,
) -> Result<Waiting> {
    fitting!(
        tx,
        wanted,
        now,
        after,
        wanted.looked_at(),
        "",
        "SELECT c.id, coalesce(c.submitted_at, '2100-12-31 00:00:00+00') AS at
         FROM number_claims n
         JOIN credentials c ON c.type = n.type AND c.issuing_jurisdiction = n.jurisdiction AND c.normalised_number = n.normalised_number
         WHERE n.contested AND n.therapist_id <> c.therapist_id AND c.review_state = ANY ($1)
           AND (coalesce(c.submitted_at, '2100-12-31 00:00:00+00'), c.id) > ($9::timestamptz, $10::uuid)
         ORDER BY at, c.id LIMIT $11"
    )
}

/// Visit by visit, the soonest first: what it rests on, and nothing sooner does. Then those on which no visit rests, longest waiting
/// first.
async fn by_visit(tx: &mut Tx, wanted: &Queue<'_>, now: DateTime<Utc>) -> Result<Waiting> {
    let mut waiting = Waiting { found: Vec::new(), rest: None };
    let mut after = wanted.after;
    for _ in 0..MOST_STEPS {
        let next = match after {
            Some(Key(_, at, None, id)) => {
                fitting!(
                    tx,
                    wanted,
                    now,
                    (at, id),
                    VISITS,
                    " AND next_visit_of(c.therapist_id, c.type, $8) IS NULL",
                    "SELECT c.id, c.at FROM unnest($1::text[]) AS state CROSS JOIN LATERAL (
                         SELECT id, coalesce(submitted_at, '2100-12-31 00:00:00+00') AS at FROM credentials
                         WHERE review_state = state AND (coalesce(submitted_at, '2100-12-31 00:00:00+00'), id) > ($9::timestamptz, $10::uuid)
                         ORDER BY coalesce(submitted_at, '2100-12-31 00:00:00+00'), id LIMIT $11
                     ) AS c
                     ORDER BY at, id LIMIT $11"
                )?
            }
            _ => of_visits(tx, wanted, after, now).await?,
        };
        waiting.found.extend(next.found);
        waiting.rest = next.rest;
        after = next.rest;
        if after.is_none() || usize::try_from(wanted.count).is_ok_and(|count| waiting.found.len() >= count) {
            break;
        }
    }
    Ok(waiting)
}

/// What the next visits rest on, from the visit and the credential of `after`.
async fn of_visits(tx: &mut Tx, wanted: &Queue<'_>, after: Option<Key>, now: DateTime<Utc>) -> Result<Waiting> {
    let (start, visit, id) = match after {
        Some(Key(_, Instant(start), Some(visit), id)) if start > now => (start, visit.0, id.0),
        _ => (now, Uuid::nil(), Uuid::nil()),
    };
    let [number, bare] = wanted.numbers.as_ref().map_or([None, None], |numbers| numbers.each_ref().map(Some));
    let rows = sqlx::query!(
        r#"WITH visits AS MATERIALIZED (
               SELECT v.id, v.start_at, v.therapist_id FROM unnest(ARRAY['requested', 'confirmed']) AS state CROSS JOIN LATERAL (
                   SELECT id, start_at, therapist_id FROM bookings
                   WHERE status = state AND (start_at, id) >= ($9::timestamptz, $10::uuid) ORDER BY start_at, id LIMIT $12
               ) AS v
               ORDER BY start_at, id LIMIT $12
           )
           SELECT v.start_at AS "start_at!", v.id AS "visit!: BookingId", c.id AS "id?: CredentialId"
           FROM visits v LEFT JOIN LATERAL (
               SELECT c.id FROM credentials c
               WHERE c.therapist_id = v.therapist_id AND c.review_state = ANY ($1) AND ($2::text IS NULL OR c.type = $2)
                 AND ($3::text IS NULL OR c.issuing_jurisdiction = $3 OR starts_with(c.type, $3 || '-'))
                 AND ($4::date IS NULL OR c.expires_on < $4) AND ($5::uuid IS NULL OR c.therapist_id = $5)
                 AND (NOT $7::bool OR c.review_state = 'submitted' OR (c.review_state = 'in_review' AND c.claimed_until <= $8))
                 AND ($6::bool IS NULL OR $6 = EXISTS (
                     SELECT FROM number_claims n
                     WHERE n.type = c.type AND n.jurisdiction = c.issuing_jurisdiction AND n.normalised_number = c.normalised_number
                       AND n.therapist_id <> c.therapist_id))
                 AND (v.start_at, v.id, c.id) > ($9, $10, $11)
                 AND ($13::text[] IS NULL OR c.therapist_id = ANY ($14::uuid[]) OR ' ' || lower(c.name_on_credential) LIKE ALL ($13))
                 AND ($15::text IS NULL OR c.normalised_number LIKE $15 OR c.normalised_number LIKE $16)
                 -- The cheap look first: whether this visit rests on such a credential at all.
                 AND CASE WHEN rests_on(v.id, c.type) THEN next_visit_of(c.therapist_id, c.type, $8) = v.start_at ELSE false END
           ) AS c ON true
           ORDER BY v.start_at, v.id, c.id"#,
        &wanted.states(),
        wanted.type_code,
        wanted.jurisdiction.map(Jurisdiction::as_str),
        wanted.expires_before,
        wanted.therapist.map(|id| id.0),
        wanted.duplicate,
        wanted.unclaimed,
        now,
        start,
        visit,
        id,
        VISITS,
        wanted.names.as_deref(),
        wanted.named.as_deref() as Option<&[AccountId]>,
        number,
        bare,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut visits: Vec<BookingId> = rows.iter().map(|row| row.visit).collect();
    visits.dedup();
    let key = |at, visit, id| Key(QueueOrder::NextVisit, Instant(at), visit, id);
    let (first, nobody) = beginning();
    let is_full = usize::try_from(VISITS).is_ok_and(|most| visits.len() >= most);
    let rest = match rows.last() {
        // All that rests on the last one has been looked at.
        Some(last) if is_full => key(last.start_at, Some(last.visit), CredentialId(Uuid::max())),
        // Those without a visit are next.
        _ => Key(QueueOrder::NextVisit, first, None, nobody),
    };
    let found = rows.into_iter().filter_map(|row| Some((row.id?, key(row.start_at, Some(row.visit), row.id?))));
    Ok(Waiting { found: found.collect(), rest: Some(rest) })
}

/// Whether there is a type of credential with this code.
pub(in super::super) async fn is_type(db: &PgPool, code: &TypeCode) -> Result<bool> {
    let found = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM credential_types WHERE code = $1) AS "found!""#,
        code.as_str()
    );
    Ok(found.fetch_one(db).await?)
}

/// How much there is to do.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct Counts {
    /// Credentials by where their review stands.
    #[schema(value_type = BTreeMap<String, i64>, example = json!({ "submitted": 3, "in_review": 1 }))]
    pub by_review_state: BTreeMap<String, i64>,
    /// When the one that waits longest was submitted.
    pub oldest_submitted_at: Option<DateTime<Utc>>,
    /// Verified, and the authority is to be asked again.
    pub recheck_due: i64,
    /// Verified, and ending within 30 days.
    pub expiring_in_30_days: i64,
    /// Whose number another therapist claims, and not decided on.
    pub duplicates: i64,
}

pub(in super::super) async fn counts(tx: &mut Tx, today: NaiveDate) -> Result<Counts> {
    // What was counted and what has changed since: to count them all would take long.
    let states = sqlx::query!(
        r#"SELECT review_state AS "review_state: ReviewState", sum(change)::int8 AS "count!" FROM credential_tally
           GROUP BY review_state HAVING sum(change) > 0"#
    )
    .fetch_all(&mut **tx)
    .await?;
    let due = sqlx::query!(
        r#"SELECT (SELECT count(*) FROM credentials WHERE review_state = 'verified' AND recheck_on <= $1) AS "recheck_due!",
                  (SELECT count(*) FROM credentials WHERE review_state = 'verified' AND expires_on BETWEEN $1 AND $1 + 30) AS "expiring!",
                  (SELECT count(*)
                   FROM number_claims n
                   JOIN credentials c ON c.type = n.type AND c.issuing_jurisdiction = n.jurisdiction AND c.normalised_number = n.normalised_number
                   WHERE n.contested AND n.therapist_id <> c.therapist_id AND c.review_state IN ('submitted', 'in_review', 'pending_second')) AS "duplicates!",
                  (SELECT min(first.at) FROM unnest(ARRAY['submitted', 'in_review', 'pending_second']) AS state CROSS JOIN LATERAL (
                       SELECT submitted_at AS at FROM credentials
                       WHERE review_state = state ORDER BY coalesce(submitted_at, '2100-12-31 00:00:00+00'), id LIMIT 1) AS first) AS oldest"#,
        today
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(Counts {
        oldest_submitted_at: due.oldest,
        by_review_state: states.iter().map(|row| (name(&row.review_state), row.count)).collect(),
        recheck_due: due.recheck_due,
        expiring_in_30_days: due.expiring,
        duplicates: due.duplicates,
    })
}

/// Adds up what was counted and what has changed since.
pub(in super::super) async fn add_up(db: &PgPool) -> Result<()> {
    in_batches(|| async move {
        let added = sqlx::query_scalar!(
            r#"WITH gone AS (
                   DELETE FROM credential_tally WHERE ctid = ANY (ARRAY(SELECT ctid FROM credential_tally LIMIT $1 FOR UPDATE SKIP LOCKED))
                   RETURNING review_state, change
               ), sums AS (
                   INSERT INTO credential_tally (review_state, change)
                   SELECT review_state, sum(change) FROM gone GROUP BY review_state HAVING sum(change) <> 0
               )
               SELECT count(*) AS "count!" FROM gone"#,
            BATCH
        );
        Ok(added.fetch_one(db).await?.unsigned_abs())
    })
    .await
}

/// These credentials as `admin` sees them, in the order asked for.
pub(in super::super) async fn reviewed(
    tx: &mut Tx,
    ids: &[CredentialId],
    admin: AccountId,
    now: DateTime<Utc>,
) -> Result<Vec<ReviewedCredential>> {
    let columns = credentials!("WHERE id = ANY ($1) ORDER BY array_position($1, id)", ids as &[CredentialId])
        .fetch_all(&mut **tx)
        .await?;
    let rows = typed(tx, columns).await?;
    let therapists: Vec<AccountId> = rows.iter().map(|row| row.therapist.into()).collect();
    let names = crate::accounts::names(&mut **tx, &therapists).await?;
    let around = sqlx::query!(
        r#"SELECT c.id, next_visit_of(c.therapist_id, c.type, $2) AS next_visit,
                  EXISTS (SELECT FROM standings s WHERE s.id = c.id) AS "in_force!",
                  ARRAY(SELECT other.id FROM credentials other
                        WHERE other.type = c.type AND other.normalised_number = c.normalised_number
                          AND other.issuing_jurisdiction = c.issuing_jurisdiction AND other.therapist_id <> c.therapist_id
                          AND other.review_state NOT IN ('draft', 'withdrawn')
                        ORDER BY other.id LIMIT 100) AS "twins!: Vec<CredentialId>"
           FROM credentials c WHERE c.id = ANY ($1)"#,
        ids as &[CredentialId],
        now,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut around: HashMap<CredentialId, _> = around.into_iter().map(|row| (row.id, row)).collect();
    let reviewed = rows.into_iter().map(|row| {
        let live = row.claimed_until.filter(|until| *until > now);
        let around = around.remove(&row.credential.id);
        ReviewedCredential {
            in_force: around.as_ref().is_some_and(|around| around.in_force),
            next_visit_at: around.as_ref().and_then(|around| around.next_visit),
            duplicates: around.map(|around| around.twins).unwrap_or_default(),
            claimed_by_me: live.is_some() && row.claimed_by == Some(admin),
            claimed_until: live,
            approved_by: row.approval.map(|(account, _)| account),
            board_action: row.board_action,
            recheck_on: row.recheck_on,
            superseded_by: row.superseded_by,
            therapist_name: names.get(&row.therapist.into()).cloned().unwrap_or_default(),
            therapist_id: row.therapist,
            credential: row.credential,
        }
    });
    Ok(reviewed.collect())
}
