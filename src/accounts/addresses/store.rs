use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, PgPool};

use super::Address;
use crate::cipher::Sealed;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{AccountId, AddressId};
use crate::values::{AddressKind, Jurisdiction, Zone};

/// The columns of an address, read alike everywhere.
macro_rules! addresses {
    ($tail:literal, $($arg:expr),+) => {
        sqlx::query_as!(
            Address,
            r#"SELECT id, label, kind AS "kind: AddressKind", line1, line2, locality, region, postcode, country,
                      latitude, longitude, access_notes_sealed AS "access_notes_sealed: Sealed", remarks_sealed AS "remarks_sealed: Sealed",
                      time_zone AS "time_zone: Zone", jurisdiction AS "jurisdiction: Jurisdiction"
               FROM addresses WHERE client_id = $1 "# + $tail,
            $($arg),+
        )
    };
}

pub(super) async fn list(db: &PgPool, client: AccountId) -> Result<Vec<Address>> {
    Ok(addresses!("ORDER BY id", client.0).fetch_all(db).await?)
}

/// One of `client`'s addresses.
pub async fn visit_address<'c>(db: impl PgExecutor<'c>, client: AccountId, id: AddressId) -> Result<Option<Address>> {
    Ok(addresses!("AND id = $2", client.0, id.0).fetch_optional(db).await?)
}

pub(super) async fn lock(tx: &mut Tx, client: AccountId, id: AddressId) -> Result<Option<Address>> {
    Ok(addresses!("AND id = $2 FOR UPDATE", client.0, id.0).fetch_optional(&mut **tx).await?)
}

/// Stores an address and returns how many the client has now.
pub(super) async fn insert(tx: &mut Tx, client: AccountId, address: &Address, now: DateTime<Utc>) -> Result<usize> {
    // The account's lock keeps two requests from both being the last one allowed.
    sqlx::query!("SELECT id FROM accounts WHERE id = $1 FOR UPDATE", client.0).fetch_one(&mut **tx).await?;
    sqlx::query!(
        "INSERT INTO addresses (id, client_id, label, kind, line1, line2, locality, region, postcode, country, latitude,
                                longitude, access_notes_sealed, remarks_sealed, time_zone, jurisdiction, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        address.id.0,
        client.0,
        address.label,
        address.kind as AddressKind,
        address.line1,
        address.line2,
        address.locality,
        address.region,
        address.postcode,
        address.country,
        address.latitude,
        address.longitude,
        address.access_notes_sealed.as_ref() as Option<&Sealed>,
        address.remarks_sealed.as_ref() as Option<&Sealed>,
        address.time_zone as Zone,
        address.jurisdiction.as_str(),
        now,
    )
    .execute(&mut **tx)
    .await?;
    let count = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM addresses WHERE client_id = $1"#, client.0)
        .fetch_one(&mut **tx)
        .await?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

pub(super) async fn update(tx: &mut Tx, address: &Address) -> Result<()> {
    sqlx::query!(
        "UPDATE addresses SET label = $2, kind = $3, line1 = $4, line2 = $5, locality = $6, region = $7, postcode = $8,
                country = $9, latitude = $10, longitude = $11, access_notes_sealed = $12, remarks_sealed = $13, time_zone = $14, jurisdiction = $15
         WHERE id = $1",
        address.id.0,
        address.label,
        address.kind as AddressKind,
        address.line1,
        address.line2,
        address.locality,
        address.region,
        address.postcode,
        address.country,
        address.latitude,
        address.longitude,
        address.access_notes_sealed.as_ref() as Option<&Sealed>,
        address.remarks_sealed.as_ref() as Option<&Sealed>,
        address.time_zone as Zone,
        address.jurisdiction.as_str(),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Whether there was such an address to delete.
pub(super) async fn delete(db: &PgPool, client: AccountId, id: AddressId) -> Result<bool> {
    let deleted =
        sqlx::query!("DELETE FROM addresses WHERE client_id = $1 AND id = $2", client.0, id.0).execute(db).await?;
    Ok(deleted.rows_affected() == 1)
}
