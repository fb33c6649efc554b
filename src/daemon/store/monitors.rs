//! Keeps the monitors, and finds what their readers may still be told.

use rusqlite::{OptionalExtension as _, Row, params};

use crate::fact::Topics;
use crate::hook::monitor::{MonitorOptions, MonitorSettings};
use crate::time::Timestamp;

use super::{FactLog, StoreError};

/// A monitor, and how far its reader is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MonitorRecord {
    pub(crate) id: u32,
    /// The name of the token whose bearer may read it.
    pub(crate) owner: String,
    pub(crate) settings: MonitorSettings,
    /// It stands in the configuration.
    pub(crate) configured: bool,
    /// Its reader has everything up to this place.
    pub(crate) acked: u64,
    pub(crate) created: Timestamp,
    pub(crate) connected: Option<Timestamp>,
    pub(crate) sent: Option<Timestamp>,
    pub(crate) left: Option<Timestamp>,
}

/// How far back a reader may be told what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) since: Timestamp,
    /// Bytes of facts, about.
    pub(crate) bytes: u64,
}

/// What the store still has for a reader at some place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// It has everything that is to be told from behind this place on; the place of the reader, or one behind it.
    pub(crate) from: u64,
    /// How many facts between are of its topics; `None` where some have been forgotten already.
    pub(crate) missed: Option<u64>,
}

impl FactLog<'_> {
    /// What is kept for a reader at this place.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub(crate) fn kept(&self, place: u64, window: Window, topics: &Topics) -> Result<Kept, StoreError> {
        // What a fact takes besides its data.
        const BESIDES: i64 = 200;
        let beyond = "SELECT max(seq) FROM (SELECT seq, time_us, sum(length(data) + ?2) OVER (ORDER BY seq DESC) AS bytes
                      FROM fact WHERE ven = ?1) WHERE bytes > ?3 OR time_us < ?4";
        let bytes = i64::try_from(window.bytes).unwrap_or(i64::MAX);
        let beyond: Option<i64> = self.connection.query_row(
            beyond,
            params![self.ven, BESIDES, bytes, window.since.micros()],
            |row| row.get(0),
        )?;
        let forgotten = "SELECT seq FROM fact_forgotten WHERE ven = ?";
        let forgotten: Option<i64> =
            self.connection.query_row(forgotten, params![self.ven], |row| row.get(0)).optional()?;
        let [beyond, forgotten] = [beyond, forgotten].map(|seq| seq.map_or(0, i64::cast_unsigned));
        let from = place.max(beyond).max(forgotten);
        if place < forgotten {
            return Ok(Kept { from, missed: None });
        }
        let counts = "SELECT topic, count(*) FROM fact WHERE ven = ? AND seq > ? AND seq <= ? GROUP BY topic";
        let mut counts = self.connection.prepare_cached(counts)?;
        let mut rows = counts.query(params![self.ven, place.cast_signed(), from.cast_signed()])?;
        let mut missed = 0;
        while let Some(row) = rows.next()? {
            let topic: String = row.get(0)?;
            if topics.pick(&topic) {
                missed += row.get::<_, i64>(1)?.cast_unsigned();
            }
        }
        Ok(Kept { from, missed: Some(missed) })
    }

    /// Every monitor.
    ///
    /// # Errors
    ///
    /// Where the database fails, or what it has cannot be read.
    pub(crate) fn monitors(&self) -> Result<Vec<MonitorRecord>, StoreError> {
        let query = "SELECT * FROM monitor WHERE ven = ? ORDER BY id";
        let mut statement = self.connection.prepare_cached(query)?;
        let mut rows = statement.query(params![self.ven])?;
        let mut monitors = Vec::new();
        while let Some(row) = rows.next()? {
            monitors.push(monitor(row)?);
        }
        Ok(monitors)
    }

    /// Adds or replaces a monitor; durable on return.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub(crate) fn put_monitor(&self, record: &MonitorRecord) -> Result<(), StoreError> {
        let query = "INSERT OR REPLACE INTO monitor (ven, id, owner, options, configured, acked, created_us, connected_us,
                         sent_us, left_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let options = serde_json::to_string(&record.settings.options()).unwrap_or_default();
        self.connection.prepare_cached(query)?.execute(params![
            self.ven,
            record.id,
            record.owner,
            options,
            record.configured,
            record.acked.cast_signed(),
            record.created.micros(),
            record.connected.map(Timestamp::micros),
            record.sent.map(Timestamp::micros),
            record.left.map(Timestamp::micros),
        ])?;
        Ok(())
    }

    /// Writes down how far the reader of a monitor is, where there still is such a monitor; durable on return.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub(crate) fn mark_monitor(&self, record: &MonitorRecord) -> Result<(), StoreError> {
        let query = "UPDATE monitor SET acked = ?, connected_us = ?, sent_us = ?, left_us = ? WHERE ven = ? AND id = ?";
        self.connection.prepare_cached(query)?.execute(params![
            record.acked.cast_signed(),
            record.connected.map(Timestamp::micros),
            record.sent.map(Timestamp::micros),
            record.left.map(Timestamp::micros),
            self.ven,
            record.id,
        ])?;
        Ok(())
    }

    /// Forgets a monitor; durable on return.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub(crate) fn forget_monitor(&self, id: u32) -> Result<(), StoreError> {
        let query = "DELETE FROM monitor WHERE ven = ? AND id = ?";
        self.connection.prepare_cached(query)?.execute(params![self.ven, id])?;
        Ok(())
    }
}

fn monitor(row: &Row<'_>) -> Result<MonitorRecord, StoreError> {
    let id: u32 = row.get("id")?;
    let unreadable = |why: String| StoreError::Unreadable { what: format!("monitor {id}"), why };
    let options: String = row.get("options")?;
    let options: MonitorOptions =
        serde_json::from_str(&options).map_err(|error| unreadable(error.to_string()))?;
    let time = |name| Ok::<_, StoreError>(row.get::<_, Option<i64>>(name)?.map(Timestamp::from_micros));
    Ok(MonitorRecord {
        id,
        owner: row.get("owner")?,
        settings: MonitorSettings::read(&options).map_err(|faults| unreadable(faults.join("; ")))?,
        configured: row.get("configured")?,
        acked: row.get::<_, i64>("acked")?.cast_unsigned(),
        created: Timestamp::from_micros(row.get("created_us")?),
        connected: time("connected_us")?,
        sent: time("sent_us")?,
        left: time("left_us")?,
    })
}
