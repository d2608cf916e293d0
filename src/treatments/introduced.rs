//! Plans that are there already, as the demo city has them.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use super::plans::{CONTENT, FEEDBACK, NewPlan, row};
use super::store;
use crate::care;
use crate::cipher::Cipher;
use crate::error::{Error, Result};
use crate::ids::{BookingId, PlanId, RecipientId, TherapistId};

/// Adds a plan that came of a visit and was agreed to, with what the person says of it.
pub async fn introduce_plan(
    db: &mut PgConnection,
    cipher: &Cipher,
    (person, booking, therapist): (RecipientId, BookingId, TherapistId),
    (plan, said): (Value, &str),
    at: DateTime<Utc>,
) -> Result<()> {
    let own = care::cipher_of(&mut *db, cipher, person).await?;
    let content: NewPlan = serde_json::from_value(plan).map_err(|error| Error::Internal(error.to_string()))?;
    let id = PlanId::new(at);
    let content = own.seal_value(CONTENT, id, &content)?;
    let said = own.seal(FEEDBACK, row(id, 1), said)?;
    store::introduce_plan(db, (id, booking), (person, therapist), (&content, &said), at).await
}
