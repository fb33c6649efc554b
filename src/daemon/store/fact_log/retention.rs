//! Forgets what is too old or too much.

use rusqlite::{Connection, params};

use crate::time::{Span, Timestamp};

use super::{FactLog, StoreError};

/// How long what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retention {
    /// Deliveries that are done, and facts that nobody is to tell.
    pub(crate) sent: Span,
    /// Deliveries that failed.
    pub(crate) failed: Span,
    /// Bytes of all facts and deliveries, about.
    pub(crate) max_bytes: u64,
}

impl FactLog<'_> {
    /// Forgets deliveries that have not changed since then, and returns how many; those that wait only where that is wanted.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub(crate) fn forget(&mut self, before: Timestamp, include_waiting: bool) -> Result<usize, StoreError> {
        let transaction = self.connection.transaction()?;
        let query = "DELETE FROM delivery WHERE ven = ? AND updated_us < ? AND (status <> 'waiting' OR ?)";
        let forgotten = transaction.execute(query, params![self.ven, before.micros(), include_waiting])?;
        forget_tries(&transaction, self.ven)?;
        forget_untold(&transaction, self.ven, before.micros())?;
        transaction.commit()?;
        Ok(forgotten)
    }

    /// Forgets what is too old, and of the rest the oldest until it is small enough: first what is done, then what failed, then what
    /// still waits. Returns how many that waited were given up.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub(crate) fn prune(&mut self, retention: Retention, now: Timestamp) -> Result<u64, StoreError> {
        let transaction = self.connection.transaction()?;
        let ven = self.ven;
        let (sent, failed) = ((now - retention.sent).micros(), (now - retention.failed).micros());
        let done = "status IN ('sent', 'filtered')";
        let old = format!(
            "DELETE FROM delivery WHERE ven = ? AND status <> 'waiting' AND updated_us < CASE WHEN {done} THEN ? ELSE ? END"
        );
        transaction.execute(&old, params![ven, sent, failed])?;
        forget_untold(&transaction, ven, sent)?;
        let mut given_up = 0;
        for least in [done, "status <> 'waiting'", "TRUE"] {
            let excess = stored_bytes(&transaction, ven)?.saturating_sub(retention.max_bytes);
            given_up += forget_oldest(&transaction, ven, excess, least)?;
        }
        forget_tries(&transaction, ven)?;
        transaction.commit()?;
        Ok(given_up)
    }
}

/// Facts that nobody is to tell, or has told, of before that time.
fn forget_untold(connection: &Connection, ven: &str, before: i64) -> Result<(), StoreError> {
    connection.execute(FORGET_UNTOLD, params![ven, before])?;
    Ok(())
}

pub(super) const FORGET_UNTOLD: &str = "DELETE FROM fact WHERE ven = ?1 AND time_us < ?2
    AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.ven = ?1 AND delivery.seq = fact.seq)";

/// Tries of deliveries that are forgotten.
fn forget_tries(connection: &Connection, ven: &str) -> Result<(), StoreError> {
    let orphans = "DELETE FROM attempt WHERE ven = ?1 AND NOT EXISTS
                   (SELECT 1 FROM delivery WHERE delivery.ven = ?1 AND delivery.hook = attempt.hook AND delivery.seq = attempt.seq)";
    connection.execute(orphans, params![ven])?;
    Ok(())
}

/// What a row costs beside its data, about, with its places in indices.
const ROW: i64 = 200;

/// What a row of so many octets takes of the file: of a page of 4096 octets, only whole rows are used.
fn taken(octets: &str) -> String {
    format!("(CASE WHEN {octets} < 4096 THEN 4096 / (4096 / ({octets})) ELSE {octets} END)")
}

/// What a fact takes without its deliveries, and a try.
fn of_fact_and_try() -> [String; 2] {
    [taken("length(data) + ?2"), taken("length(attempt.why) + length(answer) + ?2")]
}

/// What facts take, and their deliveries with the tries of them.
fn stored_bytes(connection: &Connection, ven: &str) -> Result<u64, StoreError> {
    let [of_fact, of_try] = of_fact_and_try();
    let query = format!(
        "SELECT (SELECT coalesce(sum({of_fact}), 0) FROM fact WHERE ven = ?1)
              + (SELECT count(*) * ?2 FROM delivery WHERE ven = ?1)
              + (SELECT coalesce(sum({of_try}), 0) FROM attempt WHERE ven = ?1)"
    );
    let bytes: i64 = connection.query_row(&query, params![ven, ROW], |row| row.get(0))?;
    Ok(bytes.cast_unsigned())
}

/// The same of one fact.
pub(super) fn bytes_of_one() -> String {
    let [of_fact, of_try] = of_fact_and_try();
    format!(
        "{of_fact} + coalesce((
         SELECT sum(?2 + coalesce((
             SELECT sum({of_try}) FROM attempt
             WHERE attempt.ven = ?1 AND attempt.hook = delivery.hook AND attempt.seq = delivery.seq), 0))
         FROM delivery WHERE delivery.ven = ?1 AND delivery.seq = fact.seq), 0)"
    )
}

/// Forgets the oldest facts of which every delivery is at `least` so far, until so many bytes are free; returns how many deliveries still
/// waited.
fn forget_oldest(connection: &Connection, ven: &str, excess: u64, least: &str) -> Result<u64, StoreError> {
    if excess == 0 {
        return Ok(0);
    }
    let which = all_at(least);
    let query = format!("SELECT seq, {} FROM fact WHERE {which} ORDER BY seq", bytes_of_one());
    let mut statement = connection.prepare_cached(&query)?;
    let mut rows = statement.query(params![ven, ROW])?;
    let (mut free, mut to) = (0_u64, 0_i64);
    while free < excess
        && let Some(row) = rows.next()?
    {
        to = row.get(0)?;
        free += row.get::<_, i64>(1)?.cast_unsigned();
    }
    connection.execute(&format!("DELETE FROM fact WHERE {which} AND seq <= ?2"), params![ven, to])?;
    let orphans = "FROM delivery WHERE ven = ?1 AND NOT EXISTS
                   (SELECT 1 FROM fact WHERE fact.ven = ?1 AND fact.seq = delivery.seq)";
    let waiting = format!("SELECT count(*) {orphans} AND status = 'waiting'");
    let waiting: i64 = connection.query_row(&waiting, params![ven], |row| row.get(0))?;
    connection.execute(&format!("DELETE {orphans}"), params![ven])?;
    // The tries of what is gone count no more for what comes next.
    forget_tries(connection, ven)?;
    Ok(waiting.cast_unsigned())
}

/// The facts of which every delivery is at `least` so far.
pub(super) fn all_at(least: &str) -> String {
    format!(
        "ven = ?1 AND NOT EXISTS
         (SELECT 1 FROM delivery WHERE delivery.ven = ?1 AND delivery.seq = fact.seq AND NOT ({least}))"
    )
}
