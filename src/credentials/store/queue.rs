//! The admins' queue.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::ToSchema;

use super::super::BoardStatus;
use super::super::TypeCode;
use super::super::review::ReviewState;
use super::super::views::ReviewedCredential;
use super::{Columns, credentials, typed};
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{AccountId, CredentialId, TherapistId, VerificationId};
use crate::values::{Jurisdiction, name};

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
    /// After this sort key, a number of seconds or days, and this id.
    pub after: Option<(f64, CredentialId)>,
    pub count: i64,
}

/// The queue, with each item's sort key.
pub(in super::super) async fn queue(
    db: &PgPool,
    wanted: Queue<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<(CredentialId, f64)>> {
    let [number, bare] = wanted.numbers.map_or([None, None], |numbers| numbers.map(Some));
    let rows = sqlx::query!(
        r#"SELECT id, key AS "key!" FROM (
               SELECT c.id,
                      CASE $5::text WHEN 'expires_on' THEN coalesce(c.expires_on - '1970-01-01'::date, 1e9)::float8
                                    WHEN 'next_visit' THEN coalesce(extract(epoch FROM next_visit_of(c.therapist_id, c.type, $9)), 1e12)::float8
                                    ELSE coalesce(extract(epoch FROM c.submitted_at), 1e12)::float8 END AS key
               FROM credentials c
               WHERE ($1::text[] IS NULL OR c.review_state = ANY ($1)) AND ($2::text IS NULL OR c.type = $2)
                 AND ($3::text IS NULL OR c.issuing_jurisdiction = $3 OR starts_with(c.type, $3 || '-'))
                 AND ($4::date IS NULL OR c.expires_on < $4)
                 AND ($10::uuid IS NULL OR c.therapist_id = $10)
                 AND ($13::text[] IS NULL OR c.therapist_id = ANY ($14::uuid[]) OR ' ' || lower(c.name_on_credential) LIKE ALL ($13))
                 AND ($15::text IS NULL OR c.normalised_number LIKE $15 OR c.normalised_number LIKE $16)
                 AND (NOT $12::bool OR c.review_state = 'submitted' OR (c.review_state = 'in_review' AND c.claimed_until <= $9))
                 -- No visit waits for what is not handed in, or done with.
                 AND ($5 <> 'next_visit' OR c.review_state IN ('submitted', 'in_review', 'pending_second', 'info_requested', 'suspended'))
                 AND ($11::bool IS NULL OR $11 = EXISTS (
                     SELECT FROM number_claims n
                     WHERE n.type = c.type AND n.jurisdiction = c.issuing_jurisdiction AND n.normalised_number = c.normalised_number
                       AND n.therapist_id <> c.therapist_id))
           ) AS waiting
           WHERE $6::float8 IS NULL OR (key, id) > ($6, $7)
           ORDER BY key, id LIMIT $8"#,
        wanted.review_states.map(|states| states.iter().map(name).collect::<Vec<String>>()) as Option<Vec<String>>,
        wanted.type_code,
        wanted.jurisdiction.map(Jurisdiction::as_str),
        wanted.expires_before,
        name(&wanted.order),
        wanted.after.map(|(key, _)| key),
        wanted.after.map(|(_, id)| id.0),
        wanted.count,
        now,
        wanted.therapist.map(|id| id.0),
        wanted.duplicate,
        wanted.unclaimed,
        wanted.names.as_deref(),
        wanted.named.as_deref() as Option<&[AccountId]>,
        number,
        bare,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.key)).collect())
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
    let states = sqlx::query!(
        r#"SELECT review_state AS "review_state: ReviewState", count(*) AS "count!",
                  min(submitted_at) FILTER (WHERE review_state IN ('submitted', 'in_review', 'pending_second')) AS oldest
           FROM credentials GROUP BY review_state"#
    )
    .fetch_all(&mut **tx)
    .await?;
    let due = sqlx::query!(
        r#"SELECT count(*) FILTER (WHERE review_state = 'verified' AND recheck_on <= $1) AS "recheck_due!",
                  count(*) FILTER (WHERE review_state = 'verified' AND expires_on BETWEEN $1 AND $1 + 30) AS "expiring!",
                  count(*) FILTER (WHERE review_state IN ('submitted', 'in_review', 'pending_second') AND EXISTS (
                      SELECT FROM number_claims n
                      WHERE n.type = c.type AND n.jurisdiction = c.issuing_jurisdiction AND n.normalised_number = c.normalised_number
                        AND n.therapist_id <> c.therapist_id)) AS "duplicates!"
           FROM credentials c"#,
        today
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(Counts {
        oldest_submitted_at: states.iter().filter_map(|row| row.oldest).min(),
        by_review_state: states.iter().map(|row| (name(&row.review_state), row.count)).collect(),
        recheck_due: due.recheck_due,
        expiring_in_30_days: due.expiring,
        duplicates: due.duplicates,
    })
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
