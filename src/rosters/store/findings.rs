//! What imports found, and what came of it.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::types::Json;

use crate::credentials::checks::{Facts, Found, Verdict};
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{CredentialId, RosterImportId, TherapistId};
use crate::rosters::compare::NameMatch;
use crate::rosters::{Finding, Outcome};

macro_rules! findings {
    ($tail:literal $(, $arg:expr)*) => {
        sqlx::query_as!(
            Columns,
            r#"SELECT credential_id, therapist_id, outcome AS "outcome: Outcome", verdict AS "verdict: Json<Verdict>",
                      found AS "found: Json<Found>", name_match AS "name_match: NameMatch", similarity, differs,
                      before AS "before: Json<Facts>", after AS "after: Json<Facts>", applied_at, undone_at, note
               FROM roster_findings "# + $tail
            $(, $arg)*
        )
    };
}

struct Columns {
    credential_id: CredentialId,
    therapist_id: TherapistId,
    outcome: Outcome,
    verdict: Option<Json<Verdict>>,
    found: Option<Json<Found>>,
    name_match: Option<NameMatch>,
    similarity: Option<f32>,
    differs: bool,
    before: Json<Facts>,
    after: Option<Json<Facts>>,
    applied_at: Option<DateTime<Utc>>,
    undone_at: Option<DateTime<Utc>>,
    note: Option<String>,
}

impl From<Columns> for Finding {
    fn from(row: Columns) -> Self {
        Self {
            credential_id: row.credential_id,
            therapist_id: row.therapist_id,
            outcome: row.outcome,
            verdict: row.verdict.map(|Json(verdict)| verdict),
            found: row.found.map(|Json(found)| found),
            name_match: row.name_match,
            similarity: row.similarity,
            differs: row.differs,
            before: row.before.0,
            after: row.after.map(|Json(after)| after),
            applied_at: row.applied_at,
            undone_at: row.undone_at,
            note: row.note,
        }
    }
}

/// Keeps what was found and not yet applied; what is known of a credential already stays. Returns how many were new.
pub async fn add(tx: &mut Tx, import: RosterImportId, findings: &[Finding]) -> Result<Vec<CredentialId>> {
    let added = sqlx::query_scalar!(
        "INSERT INTO roster_findings (import_id, credential_id, therapist_id, outcome, verdict, found, name_match, similarity,
                                      differs, before, note)
         SELECT $1, f.credential_id, f.therapist_id, f.outcome, f.verdict, f.found, f.name_match, f.similarity, f.differs,
                f.before, f.note
         FROM jsonb_to_recordset($2) AS f (credential_id uuid, therapist_id uuid, outcome text, verdict jsonb, found jsonb,
                                           name_match text, similarity real, differs boolean, before jsonb, note text)
         ON CONFLICT (import_id, credential_id) DO NOTHING RETURNING credential_id",
        import.0,
        Json(findings) as Json<&[Finding]>,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(added)
}

/// Keeps what was found and has taken effect. Where the import has changed the credential before, the two changes are one.
pub async fn record(tx: &mut Tx, import: RosterImportId, finding: &Finding) -> Result<()> {
    sqlx::query!(
        "INSERT INTO roster_findings (import_id, credential_id, therapist_id, outcome, verdict, found, name_match, similarity,
                                      differs, before, after, applied_at, note)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ON CONFLICT (import_id, credential_id) DO UPDATE SET outcome = excluded.outcome, verdict = excluded.verdict,
             found = excluded.found, name_match = excluded.name_match, similarity = excluded.similarity,
             differs = excluded.differs, after = excluded.after, applied_at = excluded.applied_at, note = excluded.note,
             before = CASE WHEN roster_findings.after = excluded.before THEN roster_findings.before ELSE excluded.before END",
        import.0,
        finding.credential_id.0,
        finding.therapist_id.0,
        finding.outcome as Outcome,
        finding.verdict.as_ref().map(Json) as Option<Json<&Verdict>>,
        finding.found.as_ref().map(Json) as Option<Json<&Found>>,
        finding.name_match as Option<NameMatch>,
        finding.similarity,
        finding.differs,
        Json(&finding.before) as Json<&Facts>,
        finding.after.as_ref().map(Json) as Option<Json<&Facts>>,
        finding.applied_at,
        finding.note,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Forgets what an import found, before it is read anew.
pub async fn forget(tx: &mut Tx, import: RosterImportId) -> Result<()> {
    sqlx::query!("DELETE FROM roster_findings WHERE import_id = $1", import.0).execute(&mut **tx).await?;
    Ok(())
}

/// The next therapist on whose credentials the import has not taken effect, and these.
pub async fn next_to_apply(db: &PgPool, import: RosterImportId) -> Result<Option<(TherapistId, Vec<CredentialId>)>> {
    let next = sqlx::query!(
        r#"SELECT therapist_id, array_agg(credential_id ORDER BY credential_id) AS "credentials!: Vec<CredentialId>"
           FROM roster_findings WHERE import_id = $1 AND applied_at IS NULL
           GROUP BY therapist_id ORDER BY therapist_id LIMIT 1"#,
        import.0
    )
    .fetch_optional(db)
    .await?;
    Ok(next.map(|next| (next.therapist_id, next.credentials)))
}

/// Notes of a finding that it could not take effect.
pub async fn pass_over(
    tx: &mut Tx,
    import: RosterImportId,
    credential: CredentialId,
    why: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "UPDATE roster_findings SET applied_at = $3, note = $4 WHERE import_id = $1 AND credential_id = $2",
        import.0,
        credential.0,
        now,
        why,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The newest finding that is in effect.
pub async fn next_to_undo(db: &PgPool, import: RosterImportId) -> Result<Option<Finding>> {
    let next = findings!(
        "WHERE import_id = $1 AND applied_at IS NOT NULL AND undone_at IS NULL AND after IS NOT NULL
         ORDER BY applied_at DESC, credential_id DESC LIMIT 1",
        import.0
    )
    .fetch_optional(db)
    .await?;
    Ok(next.map(Finding::from))
}

/// Notes that a finding was taken back, or, in `note`, why not.
pub async fn undo(
    tx: &mut Tx,
    import: RosterImportId,
    credential: CredentialId,
    note: Option<&str>,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "UPDATE roster_findings SET undone_at = $3, note = coalesce($4, note) WHERE import_id = $1 AND credential_id = $2",
        import.0,
        credential.0,
        now,
        note,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What an import found, by credential.
pub async fn list(
    db: &PgPool,
    import: RosterImportId,
    outcome: Option<Outcome>,
    after: Option<CredentialId>,
    count: i64,
) -> Result<Vec<Finding>> {
    let found = findings!(
        "WHERE import_id = $1 AND ($2::text IS NULL OR outcome = $2) AND ($3::uuid IS NULL OR credential_id > $3)
         ORDER BY credential_id LIMIT $4",
        import.0,
        outcome as Option<Outcome>,
        after.map(|id| id.0),
        count
    )
    .fetch_all(db)
    .await?;
    Ok(found.into_iter().map(Finding::from).collect())
}

/// How many findings of each kind an import has.
pub async fn counts(db: &PgPool, import: RosterImportId) -> Result<Vec<(Outcome, i64)>> {
    let counts = sqlx::query!(
        r#"SELECT outcome AS "outcome: Outcome", count(*) AS "count!" FROM roster_findings WHERE import_id = $1 GROUP BY outcome"#,
        import.0
    )
    .fetch_all(db)
    .await?;
    Ok(counts.into_iter().map(|row| (row.outcome, row.count)).collect())
}
