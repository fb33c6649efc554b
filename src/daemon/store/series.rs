//! Keeps what is stored of meters: cells of time, and a checkpoint of each meter.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::metering::{Kept, Stored, StoredRow};
use crate::time::{Span, Timestamp};

use super::StoreError;

/// Adds or replaces rows and the checkpoint, and forgets what is not needed any more.
pub(super) fn put(
    connection: &Connection,
    ven: &str,
    meter: &str,
    stored: &Stored,
) -> Result<(), StoreError> {
    if let Some(restored) = &stored.restored {
        let list = |list: serde_json::Value| list.to_string();
        let lengths: Vec<i64> = stored.kept.iter().map(|kept| kept.length.micros()).collect();
        connection.execute(
            "DELETE FROM meter_cell WHERE ven = ? AND meter = ? AND
             (channel NOT IN (SELECT value FROM json_each(?)) OR length_us NOT IN (SELECT value FROM json_each(?)))",
            params![ven, meter, list(restored.clone().into()), list(lengths.into())],
        )?;
    }
    let mut put = connection.prepare_cached(
        "INSERT OR REPLACE INTO meter_cell (ven, meter, length_us, start_us, channel, content) VALUES (?, ?, ?, ?, ?, ?)",
    )?;
    for row in &stored.rows {
        let (length, start) = (row.length.micros(), row.start.micros());
        put.execute(params![ven, meter, length, start, row.channel, row.content])?;
    }
    let mut forget = connection.prepare_cached(
        "DELETE FROM meter_cell WHERE ven = ? AND meter = ? AND length_us = ? AND (start_us < ? OR start_us > ?)",
    )?;
    for Kept { length, from, to } in &stored.kept {
        forget.execute(params![ven, meter, length.micros(), from.micros(), to.micros()])?;
    }
    let checkpoint = "INSERT OR REPLACE INTO meter_checkpoint (ven, meter, content) VALUES (?, ?, ?)";
    connection.prepare_cached(checkpoint)?.execute(params![ven, meter, stored.checkpoint])?;
    Ok(())
}

/// What is stored of a meter, oldest first.
pub(super) fn read(connection: &Connection, ven: &str, meter: &str) -> Result<Stored, StoreError> {
    let checkpoint = "SELECT content FROM meter_checkpoint WHERE ven = ? AND meter = ?";
    let checkpoint: Option<String> =
        connection.query_row(checkpoint, params![ven, meter], |row| row.get(0)).optional()?;
    let mut query = connection.prepare_cached(
        "SELECT length_us, start_us, channel, content FROM meter_cell WHERE ven = ? AND meter = ? ORDER BY length_us, start_us",
    )?;
    let row = |row: &rusqlite::Row<'_>| {
        Ok(StoredRow {
            length: Span::from_micros(row.get(0)?),
            start: Timestamp::from_micros(row.get(1)?),
            channel: row.get(2)?,
            content: row.get(3)?,
        })
    };
    let rows: Result<Vec<_>, _> = query.query_map(params![ven, meter], row)?.collect();
    Ok(Stored { rows: rows?, checkpoint: checkpoint.unwrap_or_default(), ..Stored::default() })
}
