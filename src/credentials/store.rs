mod checks;
mod decided;
mod due;
mod queue;

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::Value;
use sqlx::{PgExecutor, PgPool};

use super::checks::{Facts, Found};
use super::review::{ReasonCode, ReviewAction, ReviewState};
use super::rules::{Category, Cover};
use super::views::{Credential, Decision, LastDecision, PublicCredential, PublicStatus};
use super::{BoardStatus, CredentialType, Standing, zones};
use crate::db::Tx;
use crate::error::{Error, OnConstraint, Refusal, Result};
use crate::ids::{AccountId, CredentialId, TherapistId, VerificationId};
use crate::values::{Jurisdiction, Money, name};

pub(super) use checks::{
    claim_number, claimant, find_verification, holds, lift_hold, place_hold, record_check, release_numbers, since,
    verifications, was_barred,
};
pub(super) use decided::is_decided;
pub(super) use due::{forget_reminders, is_recheck_due, misnumbered, remind, renumber, to_recheck};
pub(super) use queue::{Counts, Queue, QueueOrder, add_up, counts, is_type, queue, reviewed};

/// How long an admin's claim holds.
pub(super) const CLAIM: TimeDelta = TimeDelta::minutes(30);

/// The columns of a credential type, read alike everywhere.
macro_rules! types {
    ($tail:literal $(, $arg:expr)*) => {
        sqlx::query_as!(
            CredentialType,
            r#"SELECT code, authority, category AS "category: Category", jurisdiction AS "jurisdiction: Jurisdiction", number_pattern,
                      number_prefix, evidence_required, renewal_months, expires, four_eyes, numbers_shared, recheck_days,
                      minimum_cover AS "minimum_cover: Cover"
               FROM credential_types "# + $tail
            $(, $arg)*
        )
    };
}

pub(super) async fn types(db: &PgPool) -> Result<Vec<CredentialType>> {
    Ok(types!("ORDER BY code").fetch_all(db).await?)
}

/// The type of this code.
pub async fn find_type<'c>(db: impl PgExecutor<'c>, code: &str) -> Result<Option<CredentialType>> {
    Ok(types!("WHERE code = $1", code).fetch_optional(db).await?)
}

/// The types of `codes`.
async fn types_of(tx: &mut Tx, codes: &[String]) -> Result<BTreeMap<String, CredentialType>> {
    let rows = types!("WHERE code = ANY ($1)", codes).fetch_all(&mut **tx).await?;
    Ok(rows.into_iter().map(|kind| (kind.code.clone(), kind)).collect())
}

/// The credentials that let a therapist practise, dates aside.
pub async fn standings(tx: &mut Tx, therapist: TherapistId) -> Result<Vec<Standing>> {
    let standings = sqlx::query_as!(
        Standing,
        r#"SELECT id AS "id!: CredentialId", type AS "type_code!", authority AS "authority!", issued_on, expires_on,
                  verification_id AS "verification: VerificationId", covers_jurisdictions AS jurisdictions, covers_kinds AS kinds
           FROM standings WHERE therapist_id = $1"#,
        therapist.0
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(standings)
}

/// A credential's row, with its type.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub credential: Credential,
    pub kind: CredentialType,
    pub therapist: TherapistId,
    pub claimed_by: Option<AccountId>,
    pub claimed_until: Option<DateTime<Utc>>,
    /// The first of two approvals: by whom, and of which content.
    pub approval: Option<(AccountId, Vec<u8>)>,
    pub board_action: bool,
    pub verification: Option<VerificationId>,
    pub recheck_on: Option<NaiveDate>,
    /// What took its place.
    pub superseded_by: Option<CredentialId>,
    /// The digests of its documents.
    pub evidence: Vec<String>,
}

impl Row {
    /// The number as it is compared: among all credentials of the type, or among the therapist's own where people share numbers.
    pub fn normalised_number(&self) -> Option<String> {
        let plain = self.plain_number()?;
        Some(if self.kind.numbers_shared { format!("{plain}@{}", self.therapist) } else { plain })
    }

    /// The number without what is not part of it.
    pub fn plain_number(&self) -> Option<String> {
        self.credential.number.as_deref().map(|number| self.kind.normalise(number))
    }

    /// What an approval approves, as one digest.
    pub fn content(&self) -> Vec<u8> {
        let Credential {
            type_code,
            number,
            name_on_credential,
            issuing_jurisdiction,
            issued_on,
            expires_on,
            cover,
            ..
        } = &self.credential;
        let coverage = (&self.credential.covers_jurisdictions, &self.credential.covers_kinds, &self.evidence);
        let text = format!(
            "{:?}",
            (type_code, number, name_on_credential, issuing_jurisdiction, issued_on, expires_on, cover, coverage)
        );
        digest(&SHA256, text.as_bytes()).as_ref().to_vec()
    }

    /// A list's row as it is held against this credential, as one digest.
    pub fn seen(&self, found: &Found) -> String {
        let Found { source, name, number, status_text, board_status, expires_on, board_action, .. } = found;
        let ours = (&self.credential.number, &self.credential.name_on_credential, &self.credential.type_code);
        let text = format!("{:?}", (source, name, number, status_text, board_status, expires_on, board_action, ours));
        digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What a check may change.
    pub fn facts(&self) -> Facts {
        Facts {
            review_state: self.credential.review_state,
            board_status: self.credential.board_status,
            board_action: self.board_action,
            issued_on: self.credential.issued_on,
            expires_on: self.credential.expires_on,
            recheck_on: self.recheck_on,
            verification: self.verification,
        }
    }

    /// What a reviewer will look at.
    fn warn(mut self) -> Self {
        let strange = self.credential.number.as_deref().is_some_and(|number| !self.kind.recognises(number));
        let low = !self.kind.minimum_cover.is_met_by(self.credential.cover);
        let warnings = [(strange, "number_pattern_mismatch"), (low, "insurance_below_minimum")];
        self.credential.warnings =
            warnings.into_iter().filter(|(is_so, _)| *is_so).map(|(_, warning)| warning.to_owned()).collect();
        self
    }
}

struct Columns {
    id: CredentialId,
    therapist_id: TherapistId,
    code: String,
    number: Option<String>,
    name_on_credential: String,
    issuing_jurisdiction: String,
    issued_on: Option<NaiveDate>,
    expires_on: Option<NaiveDate>,
    cover_amount: Option<i64>,
    cover_currency: Option<String>,
    covers_jurisdictions: Option<Vec<String>>,
    covers_kinds: Option<Vec<String>>,
    renews: Option<CredentialId>,
    review_state: ReviewState,
    board_status: BoardStatus,
    board_action: bool,
    verification_id: Option<VerificationId>,
    recheck_on: Option<NaiveDate>,
    superseded_by: Option<CredentialId>,
    claimed_by: Option<AccountId>,
    claimed_until: Option<DateTime<Utc>>,
    approved_by: Option<AccountId>,
    approved_content: Option<Vec<u8>>,
    submitted_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    evidence: Vec<String>,
    last_decision: Option<Value>,
}

impl Columns {
    fn with(self, kind: CredentialType) -> Result<Row> {
        let cover = self.cover_amount.zip(self.cover_currency.as_deref());
        let unreadable = |error: serde_json::Error| Error::Internal(format!("what was told of a credential: {error}"));
        let last_decision = self.last_decision.map(serde_json::from_value).transpose().map_err(unreadable)?;
        let row = Row {
            credential: Credential {
                id: self.id,
                type_code: self.code,
                number: self.number,
                name_on_credential: self.name_on_credential,
                issuing_jurisdiction: self.issuing_jurisdiction.parse().ok(),
                issued_on: self.issued_on,
                expires_on: self.expires_on,
                cover: cover.map(|(amount, currency)| Money::stored(amount, currency)).transpose()?,
                covers_jurisdictions: self.covers_jurisdictions,
                covers_kinds: self.covers_kinds,
                renews: self.renews,
                review_state: self.review_state,
                board_status: self.board_status,
                submitted_at: self.submitted_at,
                created_at: self.created_at,
                warnings: Vec::new(),
                last_decision,
            },
            kind,
            therapist: self.therapist_id,
            claimed_by: self.claimed_by,
            claimed_until: self.claimed_until,
            approval: self.approved_by.zip(self.approved_content),
            board_action: self.board_action,
            verification: self.verification_id,
            recheck_on: self.recheck_on,
            superseded_by: self.superseded_by,
            evidence: self.evidence,
        };
        Ok(row.warn())
    }
}

/// The columns of a credential, read alike everywhere.
macro_rules! credentials {
    ($tail:literal, $($arg:expr),+) => {
        sqlx::query_as!(
            Columns,
            r#"SELECT id, therapist_id, type AS code, number, name_on_credential, issuing_jurisdiction, issued_on, expires_on,
                      cover_amount, cover_currency, covers_jurisdictions, covers_kinds, renews AS "renews: CredentialId",
                      review_state AS "review_state: ReviewState", board_status AS "board_status: BoardStatus", board_action,
                      verification_id AS "verification_id: VerificationId", recheck_on, superseded_by AS "superseded_by: CredentialId", claimed_by AS "claimed_by: AccountId",
                      claimed_until, approved_by AS "approved_by: AccountId", approved_content, submitted_at, created_at,
                      ARRAY(SELECT encode(d.sha256, 'hex') FROM credential_documents d
                            WHERE d.credential_id = credentials.id AND d.removed_at IS NULL ORDER BY d.id) AS "evidence!",
                      (SELECT jsonb_build_object('action', t.action, 'reason_codes', t.reason_codes, 'message', t.message, 'at', t.at)
                       FROM decisions_told t WHERE t.credential_id = credentials.id ORDER BY t.position DESC LIMIT 1) AS last_decision
               FROM credentials "# + $tail,
            $($arg),+
        )
    };
}

use credentials;

/// The rows with their types.
async fn typed(tx: &mut Tx, columns: Vec<Columns>) -> Result<Vec<Row>> {
    let codes: Vec<String> = columns.iter().map(|row| row.code.clone()).collect();
    let types = types_of(tx, &codes).await?;
    let with_type = |row: Columns| {
        let kind = types.get(&row.code).cloned();
        row.with(kind.ok_or_else(|| Error::Internal("a credential without its type".to_owned()))?)
    };
    columns.into_iter().map(with_type).collect()
}

/// The credentials of a therapist, oldest first.
pub async fn list(tx: &mut Tx, therapist: TherapistId) -> Result<Vec<Credential>> {
    let rows = credentials!("WHERE therapist_id = $1 ORDER BY id", therapist.0).fetch_all(&mut **tx).await?;
    Ok(typed(tx, rows).await?.into_iter().map(|row| row.credential).collect())
}

pub(super) async fn find(tx: &mut Tx, id: CredentialId) -> Result<Option<Row>> {
    let row = credentials!("WHERE id = $1", id.0).fetch_optional(&mut **tx).await?;
    Ok(typed(tx, row.into_iter().collect()).await?.pop())
}

/// The credential, locked until the transaction ends.
pub(super) async fn lock(tx: &mut Tx, id: CredentialId) -> Result<Option<Row>> {
    // Its documents are read in a statement of their own, which sees what was done while this one waited.
    sqlx::query!("SELECT FROM credentials WHERE id = $1 FOR UPDATE", id.0).execute(&mut **tx).await?;
    find(tx, id).await
}

/// The row, where it is the therapist's own.
pub(super) fn own(row: Option<Row>, therapist: TherapistId) -> Result<Row> {
    row.filter(|row| row.therapist == therapist).ok_or(Error::NotFound)
}

/// Whose credential it is.
pub(super) async fn holder<'c>(db: impl PgExecutor<'c>, id: CredentialId) -> Result<Option<TherapistId>> {
    Ok(sqlx::query_scalar!("SELECT therapist_id FROM credentials WHERE id = $1", id.0).fetch_optional(db).await?)
}

/// The verified credentials that `row` takes the place of: the one that it names, and those of its type and number, as far
/// as it lasts no less and counts wherever they do. None where `row` itself is not usable, and none that is barred. They are locked.
pub(super) async fn renewed_by(tx: &mut Tx, row: &Row) -> Result<Vec<Row>> {
    let credential = &row.credential;
    let rows = credentials!(
        "WHERE therapist_id = $1 AND type = $2 AND id <> $3 AND review_state = 'verified'
           AND (id = $4 OR (normalised_number = $5 AND issuing_jurisdiction = $6))
           AND ($7::date IS NULL OR expires_on <= $7)
           AND ($8::text[] IS NULL OR covers_jurisdictions <@ $8) AND ($9::text[] IS NULL OR covers_kinds <@ $9)
           AND EXISTS (SELECT FROM standings s WHERE s.id = $3) AND EXISTS (SELECT FROM standings s WHERE s.id = credentials.id)
         ORDER BY id FOR UPDATE",
        row.therapist.0,
        credential.type_code,
        credential.id.0,
        credential.renews.map(|id| id.0),
        row.normalised_number(),
        credential.issuing_jurisdiction.as_ref().map_or("", Jurisdiction::as_str),
        credential.expires_on,
        credential.covers_jurisdictions.as_deref(),
        credential.covers_kinds.as_deref()
    )
    .fetch_all(&mut **tx)
    .await?;
    typed(tx, rows).await
}

/// What `row` took the place of, locked.
pub(super) async fn superseded_by(tx: &mut Tx, row: &Row) -> Result<Vec<Row>> {
    let rows = credentials!(
        "WHERE superseded_by = $1 AND review_state = 'superseded' ORDER BY id FOR UPDATE",
        row.credential.id.0
    )
    .fetch_all(&mut **tx)
    .await?;
    typed(tx, rows).await
}

/// How many credentials a therapist has entered, and how many of them wait for a decision.
pub(super) async fn entered(tx: &mut Tx, therapist: TherapistId) -> Result<(i64, i64)> {
    let counts = sqlx::query!(
        r#"SELECT count(*) AS "entered!", count(*) FILTER (WHERE review_state IN
                      ('draft', 'submitted', 'in_review', 'info_requested', 'pending_second')) AS "open!"
           FROM credentials WHERE therapist_id = $1"#,
        therapist.0
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok((counts.entered, counts.open))
}

pub(super) async fn insert(tx: &mut Tx, row: &Row) -> Result<()> {
    let credential = &row.credential;
    sqlx::query!(
        "INSERT INTO credentials (id, therapist_id, type, number, normalised_number, name_on_credential, issuing_jurisdiction,
                                  issued_on, expires_on, cover_amount, cover_currency, covers_jurisdictions, covers_kinds,
                                  renews, review_state, board_status, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        credential.id.0,
        row.therapist.0,
        credential.type_code,
        credential.number,
        row.normalised_number(),
        credential.name_on_credential,
        credential.issuing_jurisdiction.as_ref().map_or("", Jurisdiction::as_str),
        credential.issued_on,
        credential.expires_on,
        credential.cover.map(|cover| cover.amount),
        credential.cover.map(|cover| cover.currency.code()),
        credential.covers_jurisdictions.as_deref(),
        credential.covers_kinds.as_deref(),
        credential.renews.map(|id| id.0),
        credential.review_state as ReviewState,
        credential.board_status as BoardStatus,
        credential.created_at,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Saves what may change; `duplicate_claim` where the number is verified for someone else.
pub(super) async fn save(tx: &mut Tx, row: &Row) -> Result<()> {
    let credential = &row.credential;
    sqlx::query!(
        "UPDATE credentials
         SET type = $2, number = $3, normalised_number = $4, name_on_credential = $5, issuing_jurisdiction = $6, issued_on = $7,
             expires_on = $8, cover_amount = $9, cover_currency = $10, covers_jurisdictions = $11, covers_kinds = $12,
             renews = $13, review_state = $14, board_status = $15, board_action = $16, verification_id = $17,
             recheck_on = $18, claimed_by = $19, claimed_until = $20, approved_by = $21, approved_content = $22,
             submitted_at = $23, superseded_by = $24
         WHERE id = $1",
        credential.id.0,
        credential.type_code,
        credential.number,
        row.normalised_number(),
        credential.name_on_credential,
        credential.issuing_jurisdiction.as_ref().map_or("", Jurisdiction::as_str),
        credential.issued_on,
        credential.expires_on,
        credential.cover.map(|cover| cover.amount),
        credential.cover.map(|cover| cover.currency.code()),
        credential.covers_jurisdictions.as_deref(),
        credential.covers_kinds.as_deref(),
        credential.renews.map(|id| id.0),
        credential.review_state as ReviewState,
        credential.board_status as BoardStatus,
        row.board_action,
        row.verification.map(|id| id.0),
        row.recheck_on,
        row.claimed_by.map(|account| account.0),
        row.claimed_until,
        row.approval.as_ref().map(|(account, _)| account.0),
        row.approval.as_ref().map(|(_, content)| content.as_slice()),
        credential.submitted_at,
        row.superseded_by.map(|id| id.0),
    )
    .execute(&mut **tx)
    .await
    .on_constraint("credentials_number_claimed", Refusal::DuplicateClaim)?;
    Ok(())
}

pub(super) async fn history(tx: &mut Tx, credential: CredentialId) -> Result<Vec<Decision>> {
    let decisions = sqlx::query_as!(
        Decision,
        r#"SELECT d.actor_id AS "actor_id: AccountId", d.action AS "action!: ReviewAction",
                  d.from_state AS "from_state!: ReviewState", d.to_state AS "to_state!: ReviewState",
                  d.reason_codes AS "reason_codes!: Vec<ReasonCode>", d.note, t.message AS "message?", d.method, d.source_url,
                  d.verification_id AS "verification_id: VerificationId", d.at AS "at!"
           FROM credential_decisions d
           LEFT JOIN decisions_told t ON t.credential_id = $1::text::uuid AND t.at = d.at AND t.action = d.action
           WHERE d.credential = $1 AND d.id >= history_of($1) ORDER BY d.position"#,
        credential.to_string()
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(decisions)
}

/// Keeps what the holder is told of a decision.
pub(super) async fn tell(tx: &mut Tx, row: &Row, told: &LastDecision) -> Result<()> {
    sqlx::query!(
        "INSERT INTO decisions_told (credential_id, action, reason_codes, message, at) VALUES ($1, $2, $3, $4, $5)",
        row.credential.id.0,
        name(&told.action),
        &told.reason_codes.iter().map(name).collect::<Vec<String>>(),
        told.message,
        told.at
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What the public may know: credentials that were verified, as of the day that it is where each was issued.
pub(super) async fn public(db: &PgPool, therapist: TherapistId, now: DateTime<Utc>) -> Result<Vec<PublicCredential>> {
    let rows = sqlx::query!(
        r#"SELECT t.code, t.authority, c.issuing_jurisdiction, c.issued_on, c.expires_on,
                  EXISTS (SELECT FROM standings s WHERE s.id = c.id) AS "in_force!"
           FROM credentials c JOIN credential_types t ON t.code = c.type
           WHERE c.therapist_id = $1 AND c.review_state IN ('verified', 'suspended') ORDER BY t.code, c.id"#,
        therapist.0
    )
    .fetch_all(db)
    .await?;
    let shown = rows.into_iter().map(|row| {
        let today = zones::today(Some(&row.issuing_jurisdiction), now);
        PublicCredential {
            status: match row.expires_on {
                Some(last) if last < today => PublicStatus::Expired,
                _ if row.in_force && row.issued_on.is_none_or(|first| first <= now.date_naive()) => {
                    PublicStatus::Verified
                }
                _ => PublicStatus::NotInForce,
            },
            jurisdiction: row.issuing_jurisdiction.parse().ok(),
            expires_on: row.expires_on,
            type_code: row.code,
            authority: row.authority,
        }
    });
    Ok(shown.collect())
}
