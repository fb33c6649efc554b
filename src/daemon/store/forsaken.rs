//! Ends deliveries of hooks that are configured no more.

use rusqlite::params;

use crate::time::Timestamp;

use super::{FactLog, StoreError};

impl FactLog<'_> {
    /// What waits for this hook is told to nobody any more, and how it stood is forgotten; returns how many waited.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub(crate) fn forsake(&mut self, hook: &str, now: Timestamp) -> Result<usize, StoreError> {
        let transaction = self.connection.transaction()?;
        let end = "UPDATE delivery SET status = 'expired', next_us = NULL, batch = NULL, code = NULL, why = ?, updated_us = ?
                   WHERE ven = ? AND hook = ? AND status = 'waiting'";
        let why = "the hook is configured no more";
        let ended = transaction.execute(end, params![why, now.micros(), self.ven, hook])?;
        transaction
            .execute("DELETE FROM hook_standing WHERE ven = ? AND hook = ?", params![self.ven, hook])?;
        transaction.commit()?;
        Ok(ended)
    }

    /// The hooks for which something waits, or of which it is known how they stood.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub(crate) fn known_hooks(&self) -> Result<Vec<String>, StoreError> {
        let query = "SELECT hook FROM delivery WHERE ven = ?1 AND status = 'waiting'
                     UNION SELECT hook FROM hook_standing WHERE ven = ?1";
        let mut statement = self.connection.prepare_cached(query)?;
        let hooks: Result<Vec<String>, rusqlite::Error> =
            statement.query_map(params![self.ven], |row| row.get(0))?.collect();
        Ok(hooks?)
    }
}
