//! Keeps facts, and what came of telling them.

mod deliveries;
mod delivery;
mod retention;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rusqlite::{Connection, Row, params};

use crate::fact::Fact;
use crate::time::Timestamp;

use super::StoreError;

pub(crate) use delivery::{Delivery, DeliveryStatus, Tried, Update, Wanted};
pub(crate) use retention::Retention;

/// Places that are promised ahead, so that a restart gives none of them again.
const AHEAD: u64 = 100_000;

/// A fact, and the hooks that are to tell it.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) fact: Arc<Fact>,
    pub(crate) hooks: Vec<String>,
}

/// The tables of facts of one VEN.
pub(crate) struct FactLog<'c> {
    pub(in crate::daemon::store) connection: &'c mut Connection,
    pub(in crate::daemon::store) ven: &'c str,
}

/// Adds facts and their deliveries.
pub(super) fn put(connection: &Connection, ven: &str, told: &[Told]) -> Result<(), StoreError> {
    insert(connection, ven, told, "INSERT")
}

fn insert(connection: &Connection, ven: &str, told: &[Told], how: &str) -> Result<(), StoreError> {
    let mut put = connection.prepare_cached(&format!(
        "{how} INTO fact (ven, seq, id, topic, subject, time_us, data) VALUES (?, ?, ?, ?, ?, ?, ?)"
    ))?;
    let mut owe = connection.prepare_cached(&format!(
        "{how} INTO delivery (ven, hook, seq, status, since_us, attempts, refusals, updated_us)
         VALUES (?1, ?2, ?3, 'waiting', ?4, 0, 0, ?4)"
    ))?;
    for Told { fact, hooks } in told {
        let (seq, time) = (fact.seq.cast_signed(), fact.time.micros());
        let data = serde_json::to_string(&fact.data).unwrap_or_default();
        put.execute(params![ven, seq, fact.id, fact.topic, fact.subject, time, data])?;
        for hook in hooks {
            owe.execute(params![ven, hook, seq, time])?;
        }
    }
    Ok(())
}

pub(super) fn fact(row: &Row<'_>) -> Result<Fact, StoreError> {
    let seq: i64 = row.get("seq")?;
    let data: String = row.get("data")?;
    let unreadable = |error: serde_json::Error| StoreError::Unreadable {
        what: format!("fact {seq}"),
        why: error.to_string(),
    };
    Ok(Fact {
        id: row.get("id")?,
        seq: seq.cast_unsigned(),
        topic: row.get("topic")?,
        subject: row.get("subject")?,
        time: Timestamp::from_micros(row.get("time_us")?),
        data: serde_json::from_str(&data).map_err(unreadable)?,
    })
}

impl FactLog<'_> {
    /// When the newest of them happened.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub(crate) fn newest(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let query = "SELECT max(time_us) FROM fact WHERE ven = ?";
        let micros: Option<i64> = self.connection.query_row(query, params![self.ven], |row| row.get(0))?;
        Ok(micros.map(Timestamp::from_micros))
    }

    /// The last place that may have been given before the start; more are promised from now on.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub(crate) fn begin_places(&mut self) -> Result<u64, StoreError> {
        let query = "SELECT max(coalesce((SELECT seq FROM fact_mark WHERE ven = ?1), 0),
                                coalesce((SELECT max(seq) FROM fact WHERE ven = ?1), 0))";
        let last: i64 = self.connection.query_row(query, params![self.ven], |row| row.get(0))?;
        let last = last.cast_unsigned();
        self.promise(last)?;
        Ok(last)
    }

    /// Promises more places where half of those that were promised are given: that is hours, and a write less each minute.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub(crate) fn claim_places(&mut self, given: u64) -> Result<(), StoreError> {
        let query = "SELECT max(seq) FROM fact_mark WHERE ven = ?";
        let promised: Option<i64> = self.connection.query_row(query, params![self.ven], |row| row.get(0))?;
        let promised = promised.map_or(0, i64::cast_unsigned);
        if given + AHEAD / 2 < promised { Ok(()) } else { self.promise(given) }
    }

    fn promise(&mut self, given: u64) -> Result<(), StoreError> {
        let ahead = (given + AHEAD).cast_signed();
        let query = "INSERT OR REPLACE INTO fact_mark (ven, seq) VALUES (?, ?)";
        self.connection.execute(query, params![self.ven, ahead])?;
        Ok(())
    }

    /// Adds facts that nothing else is stored with, and their deliveries; those that are there stay as they are.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub(crate) fn keep(&mut self, told: &[Told]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        insert(&transaction, self.ven, told, "INSERT OR IGNORE")?;
        Ok(transaction.commit()?)
    }

    /// The facts behind a place, at most so many.
    ///
    /// # Errors
    ///
    /// Where the database fails, or what it has cannot be read.
    pub(crate) fn after(&self, place: u64, most: usize) -> Result<Vec<Fact>, StoreError> {
        let query = "SELECT * FROM fact WHERE ven = ? AND seq > ? ORDER BY seq LIMIT ?";
        let mut statement = self.connection.prepare_cached(query)?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![self.ven, place.cast_signed(), most])?;
        let mut facts = Vec::new();
        while let Some(row) = rows.next()? {
            facts.push(fact(row)?);
        }
        Ok(facts)
    }
}
