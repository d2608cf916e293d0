//! Clearances that are there already, as the demo city has them.

use actix_web::web::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use super::letters::{self, FACTS, FILE};
use super::store::{self, StoredLetter};
use super::{ClearanceState, TERMS, Terms};
use crate::care::people::recipients;
use crate::cipher::Cipher;
use crate::error::{Error, Result};
use crate::ids::{ClearanceId, LetterId, RecipientId};
use crate::inspection::{FileFacts, hex, inspect};
use crate::storage::Storage;

/// Adds a clearance of a recipient with one letter, which waits for a reviewer or was accepted.
pub async fn introduce_clearance(
    db: &mut PgConnection,
    (cipher, storage): (&Cipher, &Storage),
    recipient: RecipientId,
    (terms, state): (Value, ClearanceState),
    (letter, now): (&[u8], DateTime<Utc>),
) -> Result<()> {
    let recipient = recipients::anyone(&mut *db, cipher, recipient).await?;
    let terms: Terms = serde_json::from_value(terms).map_err(|error| Error::Internal(error.to_string()))?;
    let (id, file) = (ClearanceId::new(now), LetterId::new(now));
    let clean = inspect(letter)?;
    let facts = FileFacts::new(&clean, hex(letter), Some("letter.pdf"))?;
    let sealed = recipient.cipher.seal_bytes(FILE, file, &clean.bytes)?;
    storage.put(letters::key(file), Bytes::from(sealed)).await?;
    store::introduce(db, (id, state), recipient.id, &recipient.cipher.seal_value(TERMS, id, &terms)?, now).await?;
    let stored = StoredLetter { id: file, facts: recipient.cipher.seal_value(FACTS, file, &facts)?, uploaded_at: now };
    store::insert_letter(db, id, &stored, facts.size).await
}
