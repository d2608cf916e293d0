use sqlx::{PgConnection, PgPool};

use crate::cipher::Sealed;
use crate::db::Tx;
use crate::error::Result;
use crate::events::Work;
use crate::ids::{AccountId, BookingId, RecipientId, RuleSetId};

/// Adds a proof to those of a booking; under its lock, or with the booking itself.
pub(super) async fn insert_proof(
    work: &mut Work,
    booking: BookingId,
    recipient: RecipientId,
    rules: RuleSetId,
    proof: &Sealed,
) -> Result<()> {
    let now = work.now();
    sqlx::query!(
        "INSERT INTO booking_care (booking_id, number, recipient_id, rule_set_id, proof_sealed, decided_at)
         SELECT $1, 1 + coalesce((SELECT max(number) FROM booking_care WHERE booking_id = $1), 0), $2, $3, $4, $5",
        booking.0,
        recipient.0,
        rules.0,
        proof as &Sealed,
        now,
    )
    .execute(&mut ***work)
    .await?;
    Ok(())
}

/// The last proof of a booking for a recipient.
pub(super) async fn last_proof(tx: &mut Tx, booking: BookingId, recipient: RecipientId) -> Result<Option<Sealed>> {
    let proof = sqlx::query_scalar!(
        r#"SELECT proof_sealed AS "proof: Sealed" FROM booking_care WHERE booking_id = $1 AND recipient_id = $2 ORDER BY number DESC LIMIT 1"#,
        booking.0,
        recipient.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(proof)
}

/// The account whose holder a recipient is, or was.
pub(super) async fn account_of_oneself(db: &mut PgConnection, id: RecipientId) -> Result<Option<AccountId>> {
    let account = sqlx::query_scalar!(
        r#"SELECT account_id AS "account: AccountId" FROM recipients WHERE id = $1 AND relation = 'self'"#,
        id.0
    )
    .fetch_optional(db)
    .await?;
    Ok(account)
}

/// Those of these accounts that have entered their holders as recipients.
pub(super) async fn who_entered_oneself(db: &PgPool, accounts: &[AccountId]) -> Result<Vec<AccountId>> {
    let found = sqlx::query_scalar!(
        r#"SELECT account_id AS "account: AccountId" FROM recipients WHERE account_id = ANY ($1) AND relation = 'self' AND removed_at IS NULL ORDER BY 1"#,
        accounts as &[AccountId]
    );
    Ok(found.fetch_all(db).await?)
}
