//! The rows of lists.

use std::io::Write;

use chrono::NaiveDate;
use sqlx::{PgExecutor, PgPool};

use crate::credentials::BoardStatus;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::ids::RosterImportId;
use crate::rosters::reader::RosterRow;
use crate::values::name;

/// Rows of one number that are looked at: more of them are no clearer.
const ROWS_OF_A_NUMBER: i64 = 500;

/// Appends a row in the text format of `COPY`.
pub fn write(buffer: &mut Vec<u8>, import: &str, row: &RosterRow) -> Result<()> {
    let text = |buffer: &mut Vec<u8>, text: &str| {
        for byte in text.bytes() {
            match byte {
                b'\\' => buffer.extend_from_slice(b"\\\\"),
                b'\t' | b'\n' | b'\r' => buffer.push(b' '),
                _ => buffer.push(byte),
            }
        }
        buffer.push(b'\t');
    };
    let date = |buffer: &mut Vec<u8>, date: Option<NaiveDate>| match date {
        Some(date) => write!(buffer, "{date}\t"),
        None => buffer.write_all(b"\\N\t"),
    };
    let failed = |error: std::io::Error| Error::Internal(error.to_string());
    write!(buffer, "{import}\t{}\t", row.line).map_err(failed)?;
    for part in [&row.type_code, &row.number, &row.number_written, &row.name] {
        text(buffer, part);
    }
    match &row.status_text {
        Some(status) => text(buffer, status),
        None => buffer.extend_from_slice(b"\\N\t"),
    }
    text(buffer, &name(&row.board_status));
    date(buffer, row.issued_on).and_then(|()| date(buffer, row.expires_on)).map_err(failed)?;
    writeln!(buffer, "{}\t{}\t{}", row.board_action, row.establishment, row.other_kind).map_err(failed)
}

/// Copies rows that were [`write`]n into the table.
pub async fn copy(tx: &mut Tx, rows: &[u8]) -> Result<()> {
    let mut copy = tx
        .copy_in_raw(
            "COPY roster_rows (import_id, line, type, number, number_written, name, status_text, board_status, issued_on,
                               expires_on, board_action, establishment, other_kind) FROM STDIN",
        )
        .await?;
    copy.send(rows).await?;
    copy.finish().await?;
    Ok(())
}

/// Gives statements of this transaction more time than a request has.
pub async fn allow_time(tx: &mut Tx) -> Result<()> {
    sqlx::query!("SELECT set_config('statement_timeout', '60s', true)").fetch_one(&mut **tx).await?;
    Ok(())
}

/// Deletes the rows of an import, in pieces that hold nobody up.
pub async fn forget(db: &PgPool, import: RosterImportId) -> Result<()> {
    loop {
        let mut tx = db.begin().await?;
        allow_time(&mut tx).await?;
        let gone = sqlx::query!(
            "DELETE FROM roster_rows WHERE ctid = ANY (ARRAY(SELECT ctid FROM roster_rows WHERE import_id = $1 LIMIT 50000))",
            import.0
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        if gone.rows_affected() == 0 {
            return Ok(());
        }
    }
}

/// The rows of these numbers, those of one number in the order of the file.
pub async fn of_numbers<'c>(
    db: impl PgExecutor<'c>,
    import: RosterImportId,
    type_code: &str,
    numbers: &[String],
) -> Result<Vec<RosterRow>> {
    // Each number is a look-up in the index, whatever the planner knows of a table that has just been filled.
    let rows = sqlx::query_as!(
        RosterRow,
        r#"SELECT r.line AS "line!", r.type AS "type_code!", r.number AS "number!", r.number_written AS "number_written!",
                  r.name AS "name!", r.status_text, r.board_status AS "board_status!: BoardStatus", r.issued_on, r.expires_on,
                  r.board_action AS "board_action!", r.establishment AS "establishment!",
                  r.other_kind AS "other_kind!"
           FROM (SELECT DISTINCT unnest($3::text[]) AS number) asked
           CROSS JOIN LATERAL (SELECT * FROM roster_rows WHERE import_id = $1 AND type = $2 AND roster_rows.number = asked.number
                               ORDER BY line LIMIT $4) r"#,
        import.0,
        type_code,
        numbers,
        ROWS_OF_A_NUMBER,
    )
    .fetch_all(db)
    .await?;
    Ok(rows)
}
