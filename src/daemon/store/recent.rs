//! Finds what happened last.

use rusqlite::params;

use crate::fact::Fact;
use crate::time::Timestamp;

use super::fact_log::fact;
use super::{FactLog, StoreError};

impl FactLog<'_> {
    /// The facts before a place that happened since then, the newest first, at most so many.
    ///
    /// # Errors
    ///
    /// Where the database fails, or what it has cannot be read.
    pub(crate) fn before(
        &self,
        place: u64,
        since: Option<Timestamp>,
        most: usize,
    ) -> Result<Vec<Fact>, StoreError> {
        let query = "SELECT * FROM fact WHERE ven = ? AND seq < ? AND time_us >= ? ORDER BY seq DESC LIMIT ?";
        let mut statement = self.connection.prepare_cached(query)?;
        let place = i64::try_from(place).unwrap_or(i64::MAX);
        let since = since.map_or(i64::MIN, Timestamp::micros);
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![self.ven, place, since, most])?;
        let mut facts = Vec::new();
        while let Some(row) = rows.next()? {
            facts.push(fact(row)?);
        }
        Ok(facts)
    }
}
