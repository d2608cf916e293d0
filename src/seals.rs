//! Sealing anew what is kept and another key than the first sealed, so that a key can be retired.
//!
//! Rows are sealed a few in a transaction. Those that somebody is at are left for the next round and never waited for, so that no
//! change is lost and nobody ends up waiting for us while we wait for them. A run that was broken off has left every row readable,
//! and the next one goes on with the rest.
//!
//! A feature describes its tables as `SEALED`; `doors.rs` lists the features. Every statement here is made of these descriptions.

use std::collections::{BTreeMap, HashMap};

use sqlx::{AssertSqlSafe, PgPool};

use crate::cipher::{Cipher, Sealed};
use crate::error::Result;

/// How many of a table's blocks are gone through in one transaction.
const BLOCKS: i64 = 16;

/// How often the tables are gone through for rows that somebody was at.
const ROUNDS: usize = 3;

/// A table that keeps something sealed.
#[derive(Clone, Copy)]
pub struct SealedTable {
    /// Its name.
    pub name: &'static str,
    /// Where its seals are.
    pub columns: &'static [SealedColumn],
}

/// Where a table keeps seals, and what they are bound to.
#[derive(Clone, Copy)]
pub struct SealedColumn {
    /// The column that its seals are bound to, as the feature names it when it seals.
    pub bound_to: &'static str,
    /// The row that they are bound to, as the feature names it when it seals: an SQL expression.
    pub row: &'static str,
    /// Where they are.
    pub kept: KeptIn,
}

/// Where seals are kept.
#[derive(Clone, Copy)]
pub enum KeptIn {
    /// In a column of their own.
    Column(&'static str),
    /// In a column of JSON objects, under a key.
    Json(&'static str, &'static str),
}

impl KeptIn {
    /// The expression that reads a seal.
    fn read(self) -> String {
        match self {
            Self::Column(column) => column.to_owned(),
            Self::Json(column, key) => format!("{column} ->> '{key}'"),
        }
    }
}

impl SealedTable {
    /// The expression for the list of a row's seals.
    fn seals(&self) -> String {
        let seals: Vec<String> = self.columns.iter().map(|column| column.kept.read()).collect();
        format!("ARRAY[{}]::text[]", seals.join(", "))
    }

    /// The statement that finds and locks the rows of the part `name` from `$1` until `$2` that hold another seal than those that begin with
    /// `$3`: where each lies, what its seals are bound to, and the seals.
    fn finds(&self, name: &str) -> String {
        let rows: Vec<String> = self.columns.iter().map(|column| format!("({})::text", column.row)).collect();
        let (rows, seals) = (rows.join(", "), self.seals());
        format!(
            "SELECT ctid::text, ARRAY[{rows}], {seals} FROM {name} WHERE ctid >= $1::tid AND ctid < $2::tid
               AND EXISTS (SELECT FROM unnest({seals}) AS seal WHERE NOT starts_with(seal, $3))
             FOR UPDATE SKIP LOCKED"
        )
    }

    /// The statement that replaces the seals of the row that lies at `$1` of the part `name` by `$2`, a list. Where there was none, none is put.
    fn replaces(&self, name: &str) -> String {
        let mut keys: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut sets = Vec::new();
        for (seal, column) in
            self.columns.iter().enumerate().map(|(i, column)| (format!("($2::text[])[{}]", i + 1), column))
        {
            match column.kept {
                KeptIn::Column(column) => sets.push(format!("{column} = {seal}")),
                KeptIn::Json(column, key) => keys.entry(column).or_default().push(format!("'{key}', {seal}")),
            }
        }
        for (column, keys) in keys {
            let keys = keys.join(", ");
            sets.push(format!("{column} = {column} || jsonb_strip_nulls(jsonb_build_object({keys}))"));
        }
        format!("UPDATE {name} SET {} WHERE ctid = $1::tid", sets.join(", "))
    }

    /// Seals anew what lies in a stretch of a part's blocks: no index knows of keys, and so the whole table is read, once. How many rows that
    /// were.
    async fn reseal(&self, db: &PgPool, cipher: &Cipher, first: &str, part: &str, from: i64) -> Result<u64> {
        let place = |block: i64| format!("({block},0)");
        let mut tx = db.begin().await?;
        let found: Vec<(String, Vec<String>, Vec<Option<Sealed>>)> = sqlx::query_as(AssertSqlSafe(self.finds(part)))
            .bind(place(from))
            .bind(place(from + BLOCKS))
            .bind(first)
            .fetch_all(&mut *tx)
            .await?;
        let statement = self.replaces(part);
        for (at, rows, seals) in &found {
            let mut anew = Vec::new();
            for ((column, row), seal) in self.columns.iter().zip(rows).zip(seals) {
                anew.push(seal.as_ref().map(|seal| cipher.reseal(column.bound_to, row, seal)).transpose()?);
            }
            // A row that is locked stays where it is.
            sqlx::query(AssertSqlSafe(statement.clone())).bind(at).bind(anew).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(found.len() as u64)
    }
}

/// What became of a table.
#[derive(Debug, PartialEq, Eq)]
pub struct Resealed {
    /// The table.
    pub table: &'static str,
    /// Rows that were sealed anew.
    pub sealed: u64,
    /// Rows that still hold something under another key than the first.
    pub left: i64,
}

/// Seals with the first key whatever these tables keep under another key. Nothing seals under another key meanwhile where every
/// process has this first key; then an end with nothing left is final.
pub async fn reseal(db: &PgPool, cipher: &Cipher, tables: &[SealedTable]) -> Result<Vec<Resealed>> {
    let first = cipher.begins()?;
    let mut outcome: Vec<Resealed> =
        tables.iter().map(|table| Resealed { table: table.name, sealed: 0, left: 0 }).collect();
    for _ in 0..ROUNDS {
        for (table, resealed) in tables.iter().zip(&mut outcome) {
            for part in parts(db, table.name).await? {
                let blocks = blocks(db, &part).await?;
                let mut from = 0;
                while from < blocks {
                    resealed.sealed += table.reseal(db, cipher, &first, &part, from).await?;
                    from += BLOCKS;
                }
            }
        }
        let left = left(db, &first, tables).await?;
        for resealed in &mut outcome {
            resealed.left = left.get(resealed.table).copied().unwrap_or_default();
        }
        if left.is_empty() {
            break;
        }
    }
    Ok(outcome)
}

/// The parts that a table's rows lie in: its months, or the table itself.
async fn parts(db: &PgPool, table: &str) -> Result<Vec<String>> {
    let parts = sqlx::query_scalar!(
        r#"SELECT coalesce(array_agg(relid::regclass::text), ARRAY[$1]) AS "parts!"
           FROM pg_partition_tree($1::text::regclass) WHERE isleaf"#,
        table
    )
    .fetch_one(db)
    .await?;
    Ok(parts)
}

/// How many blocks a table has now. What is added or moved behind them meanwhile is for the next round.
async fn blocks(db: &PgPool, table: &str) -> Result<i64> {
    let blocks = sqlx::query_scalar!(
        r#"SELECT pg_relation_size($1::text::regclass) / current_setting('block_size')::bigint AS "blocks!""#,
        table
    )
    .fetch_one(db)
    .await?;
    Ok(blocks)
}

/// How many rows of each table hold something that begins otherwise than `first`. One statement for all the
/// tables, so that it is one moment that they are looked at.
async fn left(db: &PgPool, first: &str, tables: &[SealedTable]) -> Result<HashMap<String, i64>> {
    let each = |table: &SealedTable| format!("SELECT '{0}' AS place, {1} AS seals FROM {0}", table.name, table.seals());
    let all: Vec<String> = tables.iter().map(each).collect();
    let statement = format!(
        "SELECT place, count(*) FROM ({}) AS kept
         WHERE EXISTS (SELECT FROM unnest(seals) AS seal WHERE NOT starts_with(seal, $1)) GROUP BY place",
        all.join(" UNION ALL ")
    );
    let rows: Vec<(String, i64)> = sqlx::query_as(AssertSqlSafe(statement)).bind(first).fetch_all(db).await?;
    Ok(rows.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statements_are_made_of_the_description() {
        let column = |bound_to, kept| SealedColumn { bound_to, row: "id", kept };
        let columns: &[SealedColumn] = &[
            column("visits.notes", KeptIn::Column("notes_sealed")),
            column("homes.door", KeptIn::Json("home", "door_sealed")),
            column("homes.pets", KeptIn::Json("home", "pets_sealed")),
        ];
        let table = SealedTable { name: "visits", columns: Box::leak(columns.to_vec().into_boxed_slice()) };
        assert_eq!(
            table.replaces("visits"),
            "UPDATE visits SET notes_sealed = ($2::text[])[1], home = home || jsonb_strip_nulls(jsonb_build_object(\
             'door_sealed', ($2::text[])[2], 'pets_sealed', ($2::text[])[3])) WHERE ctid = $1::tid"
        );
        assert_eq!(table.seals(), "ARRAY[notes_sealed, home ->> 'door_sealed', home ->> 'pets_sealed']::text[]");
        assert!(
            table.finds("visits").starts_with("SELECT ctid::text, ARRAY[(id)::text, (id)::text, (id)::text], ARRAY[")
        );
    }
}
