//! Words that end in rows that stay.

use crate::cipher::{Cipher, Sealed};
use crate::doors;
use crate::error::Result;
use crate::events::Work;
use crate::ids::AccountId;
use crate::personal::{PersonalTable, Words};
use crate::seals::{KeptIn, SealedColumn};

use super::store;

/// Ends the words of an account that end then.
pub(super) async fn end(work: &mut Work, cipher: &Cipher, account: AccountId, then: Words) -> Result<()> {
    let sealed = doors::sealed();
    for table in doors::personal().filter(|table| table.words == then) {
        let columns = sealed.iter().find(|one| one.name == table.name).map(|one| one.columns).unwrap_or_default();
        silence(work, cipher, account, table, columns).await?;
    }
    Ok(())
}

async fn silence(
    work: &mut Work,
    cipher: &Cipher,
    account: AccountId,
    table: &PersonalTable,
    columns: &[SealedColumn],
) -> Result<()> {
    let places: Vec<&str> = columns
        .iter()
        .filter_map(|column| match column.kept {
            KeptIn::Column(name) => Some(name),
            KeptIn::Json(..) => None,
        })
        .collect();
    let rows: Vec<&str> = columns.iter().map(|column| column.row).collect();
    for found in store::words(work, table, account, &rows, &places).await? {
        let seals: Result<Vec<Option<Sealed>>> = columns
            .iter()
            .zip(found.bound.iter().zip(&found.there))
            .map(|(column, (bound, is_there))| is_there.then(|| cipher.seal(column.bound_to, bound, "")).transpose())
            .collect();
        store::put_words(work, table, &places, &found, &seals?).await?;
    }
    Ok(())
}
