//! What the service holds of a person, as its tables hold it, with what is sealed opened.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::store::{self, Row};
use crate::App;
use crate::care;
use crate::cipher::{Cipher, Sealed};
use crate::doors;
use crate::error::Result;
use crate::events::Work;
use crate::ids::{AccountId, RecipientId};
use crate::personal::{MOST_TOLD, PersonalTable};
use crate::seals::{KeptIn, SealedColumn};

/// What one part of the service holds.
#[derive(Serialize, ToSchema)]
pub(super) struct ExportPart {
    /// What it is.
    #[schema(example = "addresses")]
    name: &'static str,
    /// Each thing that is held, with its fields by name. What is not told is left out: of others, of staff, and what only proves something, such as digests.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Value>,
    /// Whether there is more than 5,000 of it: then these are the newest.
    cut_short: bool,
}

/// What is sealed by a person's own key, for each whom an account has entered: what opens it, and whether the account is told of their health.
type People = HashMap<RecipientId, (Cipher, bool)>;

/// Everything that is held of an account.
pub(super) async fn parts(app: &App, work: &mut Work, account: AccountId) -> Result<Vec<ExportPart>> {
    let sealed: HashMap<&str, &[SealedColumn]> =
        doors::sealed().iter().map(|table| (table.name, table.columns)).collect();
    let people = care::keys_of(app, work, account).await?;
    let mut parts = Vec::new();
    for table in doors::personal() {
        let Some(name) = table.part else { continue };
        let seals = sealed.get(table.name).copied().unwrap_or_default();
        let bound: Vec<&str> =
            seals.iter().map(|seal| seal.row).chain(table.opened.iter().map(|seal| seal.row)).collect();
        let mut rows = store::rows(work, table, account, &bound).await?;
        let cut_short = rows.len() > MOST_TOLD;
        rows.truncate(MOST_TOLD);
        let items: Result<_> = rows.into_iter().map(|row| opened(app, table, seals, &people, row)).collect();
        parts.push(ExportPart { name, items: items?, cut_short });
    }
    Ok(parts)
}

/// A row without what is not told, and with what is sealed opened. What cannot be told of its person's health is left out.
fn opened(app: &App, table: &PersonalTable, seals: &[SealedColumn], people: &People, row: Row) -> Result<Value> {
    let Value::Object(mut columns) = row.columns else { return Ok(row.columns) };
    for column in table.untold {
        columns.remove(*column);
    }
    let (of_house, of_person) = row.bound.split_at(seals.len());
    for (seal, bound) in seals.iter().zip(of_house) {
        match seal.kept {
            KeptIn::Column(column) => open_in(&mut columns, column, &app.cipher, (seal.bound_to, bound))?,
            KeptIn::Json(column, key) => {
                if let Some(Value::Object(inner)) = columns.get_mut(column) {
                    open_in(inner, key, &app.cipher, (seal.bound_to, bound))?;
                }
            }
        }
    }
    let person = row.whose.and_then(|whose| people.get(&whose));
    for (seal, bound) in table.opened.iter().zip(of_person) {
        match person {
            Some((cipher, is_told)) if *is_told || seal.of_all => {
                open_in(&mut columns, seal.column, cipher, (seal.bound_to, bound))?;
            }
            _ => drop(columns.remove(seal.column)),
        }
    }
    Ok(Value::Object(columns))
}

/// Puts what a seal holds in its place, under the name without `_sealed`.
fn open_in(columns: &mut Map<String, Value>, name: &str, cipher: &Cipher, (bound_to, row): (&str, &str)) -> Result<()> {
    let Some(seal) = columns.remove(name) else { return Ok(()) };
    let Ok(seal) = serde_json::from_value::<Option<Sealed>>(seal) else { return Ok(()) };
    let text = seal.map(|seal| cipher.open(bound_to, row, &seal)).transpose()?;
    let value = text.map_or(Value::Null, |text| match serde_json::from_str(&text) {
        // Lists and objects are sealed as JSON, words as they are.
        Ok(value @ (Value::Array(_) | Value::Object(_))) => value,
        _ => Value::String(text),
    });
    columns.insert(name.trim_end_matches("_sealed").to_owned(), value);
    Ok(())
}
