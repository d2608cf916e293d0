use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgExecutor, PgPool};
use utoipa::ToSchema;

use super::checks::{Change, Found, Verdict};
use super::review::{ReasonCode, ReviewAction, ReviewState};
use super::{
    BoardStatus, Credential, CredentialType, PublicCredential, PublicStatus, Required, Requirement, ReviewedCredential,
};
use crate::db::Tx;
use crate::error::{Error, OnConstraint, Refusal, Result};
use crate::ids::{AccountId, CredentialId, TherapistId};
use crate::values::Jurisdiction;

/// How long an admin's claim holds.
pub(super) const CLAIM: TimeDelta = TimeDelta::minutes(30);

/// The columns of a credential type, read alike everywhere.
macro_rules! types {
    ($tail:literal $(, $arg:expr)*) => {
        sqlx::query_as!(
            CredentialType,
            r#"SELECT code, authority, category, jurisdiction AS "jurisdiction: Jurisdiction", number_pattern,
                      number_prefix, evidence_required, renewal_months, expires
               FROM credential_types "# + $tail
            $(, $arg)*
        )
    };
}

pub(super) async fn types(db: &PgPool) -> Result<Vec<CredentialType>> {
    Ok(types!("ORDER BY code").fetch_all(db).await?)
}

/// The type of this code.
pub async fn find_type(db: &PgPool, code: &str) -> Result<Option<CredentialType>> {
    Ok(types!("WHERE code = $1", code).fetch_optional(db).await?)
}

/// What is required for services of `kind` in `jurisdiction`, from every place in its chain.
pub async fn requirements<'c>(db: impl PgExecutor<'c>, jurisdiction: &Jurisdiction, kind: &str) -> Result<Required> {
    let chain = jurisdiction.chain();
    let groups = sqlx::query_as!(
        Requirement,
        r#"SELECT jurisdiction, "group", options, valid_from, valid_until FROM credential_requirements
           WHERE jurisdiction = ANY ($1) AND service_kind = $2 ORDER BY jurisdiction, "group""#,
        &chain,
        kind
    )
    .fetch_all(db)
    .await?;
    Ok(Required { chain, kind: kind.to_owned(), groups })
}

/// A credential's row, with what its type adds.
pub(super) struct Row {
    pub credential: Credential,
    pub therapist: TherapistId,
    pub claimed_by: Option<AccountId>,
    pub claimed_until: Option<DateTime<Utc>>,
    pub kind: CredentialType,
}

struct Columns {
    id: CredentialId,
    therapist_id: TherapistId,
    number: Option<String>,
    name_on_credential: String,
    issuing_jurisdiction: String,
    issued_on: Option<NaiveDate>,
    expires_on: Option<NaiveDate>,
    review_state: ReviewState,
    board_status: BoardStatus,
    claimed_by: Option<AccountId>,
    claimed_until: Option<DateTime<Utc>>,
    submitted_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    code: String,
    authority: String,
    category: String,
    jurisdiction: Option<Jurisdiction>,
    number_pattern: Option<String>,
    number_prefix: String,
    evidence_required: bool,
    renewal_months: Option<i16>,
    expires: bool,
}

impl From<Columns> for Row {
    fn from(row: Columns) -> Self {
        let kind = CredentialType {
            code: row.code,
            authority: row.authority,
            category: row.category,
            jurisdiction: row.jurisdiction,
            number_pattern: row.number_pattern,
            evidence_required: row.evidence_required,
            renewal_months: row.renewal_months,
            number_prefix: row.number_prefix,
            expires: row.expires,
        };
        let strange = row.number.as_deref().is_some_and(|number| !kind.recognises(number));
        Self {
            credential: Credential {
                id: row.id,
                type_code: kind.code.clone(),
                number: row.number,
                name_on_credential: row.name_on_credential,
                issuing_jurisdiction: row.issuing_jurisdiction.parse().ok(),
                issued_on: row.issued_on,
                expires_on: row.expires_on,
                review_state: row.review_state,
                board_status: row.board_status,
                submitted_at: row.submitted_at,
                created_at: row.created_at,
                warnings: if strange { vec!["number_pattern_mismatch".to_owned()] } else { Vec::new() },
            },
            therapist: row.therapist_id,
            claimed_by: row.claimed_by,
            claimed_until: row.claimed_until,
            kind,
        }
    }
}

macro_rules! credentials {
    ($tail:literal, $($arg:expr),+) => {
        sqlx::query_as!(
            Columns,
            r#"SELECT c.id, c.therapist_id, c.number, c.name_on_credential, c.issuing_jurisdiction, c.issued_on,
                      c.expires_on, c.review_state AS "review_state: ReviewState",
                      c.board_status AS "board_status: BoardStatus", c.claimed_by AS "claimed_by: AccountId",
                      c.claimed_until, c.submitted_at, c.created_at, t.code, t.authority, t.category,
                      t.jurisdiction AS "jurisdiction: Jurisdiction", t.number_pattern, t.number_prefix, t.evidence_required, t.renewal_months, t.expires
               FROM credentials c JOIN credential_types t ON t.code = c.type "# + $tail,
            $($arg),+
        )
    };
}

pub(super) async fn list(db: &PgPool, therapist: TherapistId) -> Result<Vec<Credential>> {
    let rows = credentials!("WHERE c.therapist_id = $1 ORDER BY c.id", therapist.0).fetch_all(db).await?;
    Ok(rows.into_iter().map(|row| Row::from(row).credential).collect())
}

pub(super) async fn find(db: &PgPool, id: CredentialId) -> Result<Option<Row>> {
    Ok(credentials!("WHERE c.id = $1", id.0).fetch_optional(db).await?.map(Row::from))
}

/// The credential, locked until the transaction ends.
pub(super) async fn lock(tx: &mut Tx, id: CredentialId) -> Result<Option<Row>> {
    Ok(credentials!("WHERE c.id = $1 FOR UPDATE OF c", id.0).fetch_optional(&mut **tx).await?.map(Row::from))
}

pub(super) async fn insert(tx: &mut Tx, row: &Row) -> Result<()> {
    let credential = &row.credential;
    sqlx::query!(
        "INSERT INTO credentials (id, therapist_id, type, number, normalised_number, name_on_credential,
                                  issuing_jurisdiction, issued_on, expires_on, review_state, board_status, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        credential.id.0,
        row.therapist.0,
        credential.type_code,
        credential.number,
        credential.number.as_deref().map(|number| row.kind.normalise(number)),
        credential.name_on_credential,
        credential.issuing_jurisdiction.as_ref().map_or("", Jurisdiction::as_str),
        credential.issued_on,
        credential.expires_on,
        credential.review_state as ReviewState,
        credential.board_status as BoardStatus,
        credential.created_at,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Locks a number until the transaction ends, so that two claims on it are decided one after the other.
pub(super) async fn lock_number(tx: &mut Tx, row: &Row) -> Result<()> {
    let number = row.credential.number.as_deref().map(|number| row.kind.normalise(number));
    let claim = format!("{} {}", row.kind.code, number.unwrap_or_default());
    sqlx::query!(r#"SELECT pg_advisory_xact_lock(hashtextextended($1, 0)) AS "locked: ()""#, claim)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Saves what may change; `duplicate_claim` where the number is verified for someone else.
pub(super) async fn save(tx: &mut Tx, row: &Row) -> Result<()> {
    let credential = &row.credential;
    sqlx::query!(
        "UPDATE credentials SET number = $2, normalised_number = $3, name_on_credential = $4, issuing_jurisdiction = $5,
                issued_on = $6, expires_on = $7, review_state = $8, board_status = $9, claimed_by = $10,
                claimed_until = $11, submitted_at = $12
         WHERE id = $1",
        credential.id.0,
        credential.number,
        credential.number.as_deref().map(|number| row.kind.normalise(number)),
        credential.name_on_credential,
        credential.issuing_jurisdiction.as_ref().map_or("", Jurisdiction::as_str),
        credential.issued_on,
        credential.expires_on,
        credential.review_state as ReviewState,
        credential.board_status as BoardStatus,
        row.claimed_by.map(|account| account.0),
        row.claimed_until,
        credential.submitted_at,
    )
    .execute(&mut **tx)
    .await
    .on_constraint("credentials_number_claimed", Refusal::DuplicateClaim)?;
    Ok(())
}

/// One step of a review, as it was taken.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Decision {
    /// The account that took it; null where the system did.
    pub actor_id: Option<AccountId>,
    /// The step.
    pub action: ReviewAction,
    /// Where the review stood.
    pub from_state: ReviewState,
    /// Where it went.
    pub to_state: ReviewState,
    /// Why.
    pub reason_codes: Vec<ReasonCode>,
    /// In the reviewer's words.
    pub note: Option<String>,
    /// How it was verified.
    pub method: Option<String>,
    /// Where the authority's record was read.
    pub source_url: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

pub(super) async fn record(tx: &mut Tx, credential: CredentialId, decision: &Decision) -> Result<()> {
    sqlx::query!(
        "INSERT INTO credential_decisions (credential_id, actor_id, action, from_state, to_state, reason_codes, note,
                                           method, source_url, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        credential.0,
        decision.actor_id.map(|id| id.0),
        decision.action as ReviewAction,
        decision.from_state as ReviewState,
        decision.to_state as ReviewState,
        &decision.reason_codes as &[ReasonCode],
        decision.note,
        decision.method,
        decision.source_url,
        decision.at,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn history(db: &PgPool, credential: CredentialId) -> Result<Vec<Decision>> {
    let decisions = sqlx::query_as!(
        Decision,
        r#"SELECT actor_id AS "actor_id: AccountId", action AS "action: ReviewAction",
                  from_state AS "from_state: ReviewState", to_state AS "to_state: ReviewState",
                  reason_codes AS "reason_codes: Vec<ReasonCode>", note, method, source_url, at
           FROM credential_decisions WHERE credential_id = $1 ORDER BY position"#,
        credential.0
    )
    .fetch_all(db)
    .await?;
    Ok(decisions)
}

/// What the public may know: credentials that were verified, `today` by UTC.
pub(super) async fn public(db: &PgPool, therapist: TherapistId, today: NaiveDate) -> Result<Vec<PublicCredential>> {
    let rows = credentials!(
        "WHERE c.therapist_id = $1 AND c.review_state IN ('verified', 'suspended') ORDER BY t.code, c.id",
        therapist.0
    )
    .fetch_all(db)
    .await?;
    let shown = rows.into_iter().map(|row| PublicCredential {
        status: match row.expires_on {
            Some(last) if last < today => PublicStatus::Expired,
            _ if row.issued_on.is_none_or(|first| first <= today)
                && row.review_state == ReviewState::Verified
                && BoardStatus::PERMITTING.contains(&row.board_status) =>
            {
                PublicStatus::Verified
            }
            _ => PublicStatus::NotInForce,
        },
        jurisdiction: row.issuing_jurisdiction.parse().ok(),
        expires_on: row.expires_on,
        type_code: row.code,
        authority: row.authority,
    });
    Ok(shown.collect())
}

/// How the queue is ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum QueueOrder {
    /// Longest waiting first.
    #[default]
    SubmittedAt,
    /// First to expire first.
    ExpiresOn,
}

/// Which credentials the queue shows.
pub(super) struct Queue<'a> {
    pub review_state: Option<ReviewState>,
    pub type_code: Option<&'a str>,
    pub jurisdiction: Option<&'a Jurisdiction>,
    pub expires_before: Option<NaiveDate>,
    pub order: QueueOrder,
    /// After this instant or date, as a number of seconds or days, and this id.
    pub after: Option<(f64, CredentialId)>,
    pub count: i64,
}

/// The queue, with each item's sort key.
pub(super) async fn queue(db: &PgPool, wanted: Queue<'_>) -> Result<Vec<(CredentialId, f64)>> {
    let rows = sqlx::query!(
        r#"SELECT id, key AS "key!" FROM (
               SELECT id, CASE WHEN $5::bool THEN coalesce(expires_on - '1970-01-01'::date, 1e9)::float8
                               ELSE coalesce(extract(epoch FROM submitted_at), 1e12)::float8 END AS key
               FROM credentials
               WHERE ($1::text IS NULL OR review_state = $1) AND ($2::text IS NULL OR type = $2)
                 AND ($3::text IS NULL OR issuing_jurisdiction = $3 OR starts_with(type, $3 || '-'))
                 AND ($4::date IS NULL OR expires_on < $4)
           ) AS waiting
           WHERE $6::float8 IS NULL OR (key, id) > ($6, $7)
           ORDER BY key, id LIMIT $8"#,
        wanted.review_state as Option<ReviewState>,
        wanted.type_code,
        wanted.jurisdiction.map(Jurisdiction::as_str),
        wanted.expires_before,
        wanted.order == QueueOrder::ExpiresOn,
        wanted.after.map(|(key, _)| key),
        wanted.after.map(|(_, id)| id.0),
        wanted.count,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.key)).collect())
}

/// These credentials as `admin` sees them, in the order asked for.
pub(super) async fn reviewed(
    tx: &mut Tx,
    ids: &[CredentialId],
    admin: AccountId,
    now: DateTime<Utc>,
) -> Result<Vec<ReviewedCredential>> {
    let rows = credentials!("WHERE c.id = ANY ($1) ORDER BY array_position($1, c.id)", ids as &[CredentialId])
        .fetch_all(&mut **tx)
        .await?;
    let therapists: Vec<AccountId> = rows.iter().map(|row| row.therapist_id.into()).collect();
    let names = crate::accounts::names(&mut **tx, &therapists).await?;
    let twins = sqlx::query!(
        r#"SELECT c.id, other.id AS "other: CredentialId"
           FROM credentials c JOIN credentials other
             ON other.type = c.type AND other.normalised_number = c.normalised_number
            AND other.therapist_id <> c.therapist_id
           WHERE c.id = ANY ($1) ORDER BY other.id"#,
        ids as &[CredentialId]
    )
    .fetch_all(&mut **tx)
    .await?;
    let reviewed = rows.into_iter().map(Row::from).map(|row| {
        let live = row.claimed_until.filter(|until| *until > now);
        ReviewedCredential {
            duplicates: twins.iter().filter(|twin| twin.id == row.credential.id).map(|twin| twin.other).collect(),
            claimed_by_me: live.is_some() && row.claimed_by == Some(admin),
            claimed_until: live,
            therapist_name: names.get(&row.therapist.into()).cloned().unwrap_or_default(),
            therapist_id: row.therapist,
            credential: row.credential,
        }
    });
    Ok(reviewed.collect())
}

/// Lets `verdict` on what was `found` take effect, as far as the credential stands now; its therapist's lock is taken. Only
/// what the system may do by itself is done: a submitted credential is verified where the verdict is clean and nobody
/// else claims its number, and a verified one is suspended where it is adverse; all else becomes a task. What was found is
/// recorded in any case, and visits follow in the same transaction. None where there is no such credential.
pub async fn settle(
    _tx: &mut Tx,
    _credential: CredentialId,
    _found: &Found,
    _verdict: &Verdict,
    _now: DateTime<Utc>,
) -> Result<Option<Change>> {
    Err(Error::Internal("not there yet".to_owned()))
}

/// Takes a [`settle`]d change back, where the credential still stands as that left it; false where it does not.
pub async fn unsettle(_tx: &mut Tx, _credential: CredentialId, _change: &Change, _now: DateTime<Utc>) -> Result<bool> {
    Err(Error::Internal("not there yet".to_owned()))
}
