use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::{Document, ReviewedDocument};
use crate::db::{BATCH, Tx, in_batches};
use crate::error::Result;
use crate::ids::{AccountId, CredentialId, DocumentId, TherapistId};
use crate::inspection::{FileFacts, MediaType};

struct Row {
    id: DocumentId,
    credential_id: CredentialId,
    therapist_id: TherapistId,
    sha256: String,
    sent_sha256: String,
    size: i64,
    media_type: MediaType,
    name: String,
    pages: Option<i32>,
    width: Option<i32>,
    height: Option<i32>,
    uploaded_at: DateTime<Utc>,
    removed_at: Option<DateTime<Utc>>,
}

impl From<Row> for Document {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            file: FileFacts {
                sha256: row.sha256,
                sent_sha256: row.sent_sha256,
                size: row.size,
                media_type: row.media_type,
                name: row.name,
                pages: row.pages,
                width: row.width,
                height: row.height,
            },
            uploaded_at: row.uploaded_at,
        }
    }
}

/// The columns of a document, read alike everywhere.
macro_rules! documents {
    ($tail:literal, $($arg:expr),+) => {
        sqlx::query_as!(
            Row,
            r#"SELECT d.id, d.credential_id, c.therapist_id, encode(d.sha256, 'hex') AS "sha256!",
                      encode(d.sent_sha256, 'hex') AS "sent_sha256!", d.size, d.media_type AS "media_type: MediaType",
                      d.name, d.pages, d.width, d.height, d.uploaded_at, d.removed_at
               FROM credential_documents d JOIN credentials c ON c.id = d.credential_id "# + $tail,
            $($arg),+
        )
    };
}

/// A credential's documents as its owner sees them, oldest first.
pub(super) async fn list(db: &PgPool, credential: CredentialId) -> Result<Vec<Document>> {
    let rows = documents!("WHERE d.credential_id = $1 AND d.removed_at IS NULL ORDER BY d.id", credential.0);
    Ok(rows.fetch_all(db).await?.into_iter().map(Document::from).collect())
}

/// A document whose file is there, with whose it is: one that `owner` has not removed, or any where there is no owner to ask for.
pub(super) async fn find(
    tx: &mut Tx,
    credential: CredentialId,
    id: DocumentId,
    owner: Option<TherapistId>,
) -> Result<Option<(TherapistId, Document)>> {
    let row = documents!(
        "WHERE d.id = $1 AND d.credential_id = $2 AND NOT d.erased
           AND ($3::uuid IS NULL OR (c.therapist_id = $3 AND d.removed_at IS NULL))",
        id.0,
        credential.0,
        owner.map(|therapist| therapist.0)
    );
    Ok(row.fetch_optional(&mut **tx).await?.map(|row| (row.therapist_id, row.into())))
}

/// Every document of these credentials whose file is there, oldest first, with other therapists' credentials that the same file was
/// sent for.
pub async fn of(tx: &mut Tx, credentials: &[CredentialId]) -> Result<Vec<(CredentialId, ReviewedDocument)>> {
    let rows =
        documents!("WHERE d.credential_id = ANY ($1) AND NOT d.erased ORDER BY d.id", credentials as &[CredentialId])
            .fetch_all(&mut **tx)
            .await?;
    let twins = sqlx::query!(
        r#"SELECT DISTINCT d.id, other.credential_id AS "other: CredentialId"
           FROM credential_documents d JOIN credentials c ON c.id = d.credential_id
           JOIN credential_documents other ON other.sent_sha256 = d.sent_sha256 OR other.sha256 = d.sha256
           JOIN credentials theirs ON theirs.id = other.credential_id AND theirs.therapist_id <> c.therapist_id
           WHERE d.credential_id = ANY ($1) ORDER BY 2"#,
        credentials as &[CredentialId]
    )
    .fetch_all(&mut **tx)
    .await?;
    let reviewed = rows.into_iter().map(|row| {
        let shared_with = twins.iter().filter(|twin| twin.id == row.id).map(|twin| twin.other).collect();
        (row.credential_id, ReviewedDocument { removed_at: row.removed_at, shared_with, document: row.into() })
    });
    Ok(reviewed.collect())
}

/// How many documents a credential has, removed ones aside.
pub(super) async fn count(tx: &mut Tx, credential: CredentialId) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM credential_documents WHERE credential_id = $1 AND removed_at IS NULL"#,
        credential.0
    );
    Ok(count.fetch_one(&mut **tx).await?)
}

/// Locks what an account's evidence comes to until the transaction ends.
pub(super) async fn lock_evidence(tx: &mut Tx, account: AccountId) -> Result<()> {
    sqlx::query!(
        r#"SELECT pg_advisory_xact_lock(hashtextextended('evidence of ' || $1::uuid::text, 0)) AS "locked: ()""#,
        account.0
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Bytes of all files of a therapist that are kept, also of those that were removed after they were handed in.
pub(super) async fn kept(tx: &mut Tx, therapist: TherapistId) -> Result<i64> {
    let kept = sqlx::query_scalar!(
        r#"SELECT coalesce(sum(d.size), 0)::bigint AS "kept!"
           FROM credentials c JOIN credential_documents d ON d.credential_id = c.id
           WHERE c.therapist_id = $1 AND NOT d.erased"#,
        therapist.0
    );
    Ok(kept.fetch_one(&mut **tx).await?)
}

/// Locks a file's digest until the transaction ends, so that of two therapists who send it at once the second is seen.
pub(super) async fn lock_digest(tx: &mut Tx, sha256: &str) -> Result<()> {
    sqlx::query!(r#"SELECT pg_advisory_xact_lock(hashtextextended($1, 0)) AS "locked: ()""#, sha256)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

pub(super) async fn insert(tx: &mut Tx, credential: CredentialId, document: &Document) -> Result<()> {
    sqlx::query!(
        "INSERT INTO credential_documents (id, credential_id, sent_sha256, sha256, size, media_type, name, pages, width,
                                           height, uploaded_at)
         VALUES ($1, $2, decode($3, 'hex'), decode($4, 'hex'), $5, $6, $7, $8, $9, $10, $11)",
        document.id.0,
        credential.0,
        document.file.sent_sha256,
        document.file.sha256,
        document.file.size,
        document.file.media_type as MediaType,
        document.file.name,
        document.file.pages,
        document.file.width,
        document.file.height,
        document.uploaded_at,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Marks a live document as removed, if there is one. True where its file is to go too: nobody has handed it in.
pub(super) async fn remove(
    tx: &mut Tx,
    credential: CredentialId,
    id: DocumentId,
    now: DateTime<Utc>,
) -> Result<Option<bool>> {
    let erased = sqlx::query_scalar!(
        "UPDATE credential_documents SET removed_at = $3, erased = NOT EXISTS (
             SELECT FROM credential_decisions s
             WHERE s.credential = $1::uuid::text AND s.id >= history_of($1::uuid::text) AND s.action = 'submit' AND s.at >= credential_documents.uploaded_at)
         WHERE id = $2 AND credential_id = $1 AND removed_at IS NULL RETURNING erased",
        credential.0,
        id.0,
        now,
    );
    Ok(erased.fetch_optional(&mut **tx).await?)
}

/// Those of `ids` whose files no row names.
pub(super) async fn unnamed(db: &PgPool, ids: &[Uuid]) -> Result<Vec<Uuid>> {
    let unnamed = sqlx::query_scalar!(
        r#"SELECT id AS "id!" FROM unnest($1::uuid[]) AS stored (id)
           WHERE NOT EXISTS (SELECT FROM credential_documents d WHERE d.id = stored.id AND NOT d.erased)"#,
        ids
    );
    Ok(unnamed.fetch_all(db).await?)
}

/// Deletes the rows of files that were taken back before `since` and never handed in.
pub(super) async fn forget_erased(db: &PgPool, since: DateTime<Utc>) -> Result<()> {
    in_batches(|| async move {
        let gone = sqlx::query!(
            "DELETE FROM credential_documents WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM credential_documents WHERE erased AND removed_at < $1
                 ORDER BY removed_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
            since,
            BATCH
        );
        Ok(gone.execute(db).await?.rows_affected())
    })
    .await
}
