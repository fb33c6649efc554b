//! Keeps deliveries, their tries, and how hooks stand.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::hook::queue::{Item, Standing};
use crate::time::{Span, Timestamp};

use super::{Delivery, DeliveryStatus, FactLog, StoreError, Tried, Update, Wanted, fact};

/// Of a delivery so many tries are kept.
const TRIES_KEPT: i64 = 10;

fn delivery(row: &Row<'_>) -> Result<Delivery, StoreError> {
    let status: String = row.get("status")?;
    let why = || StoreError::Unreadable { what: "delivery".to_owned(), why: format!("status {status}") };
    let fact = fact(row)?;
    let item = Item {
        since: Timestamp::from_micros(row.get("since_us")?),
        attempts: row.get("attempts")?,
        refusals: row.get("refusals")?,
        next_at: row.get::<_, Option<i64>>("next_us")?.map(Timestamp::from_micros),
        batch: row.get::<_, Option<i64>>("batch")?.map(i64::cast_unsigned),
        ..Item::new(&fact)
    };
    Ok(Delivery {
        hook: row.get("hook")?,
        fact: Arc::new(fact),
        status: DeliveryStatus::of(&status).ok_or_else(why)?,
        item,
        code: row.get("code")?,
        why: row.get("why")?,
        sent: row.get("sent")?,
        settings: row.get("settings")?,
        updated: Timestamp::from_micros(row.get("updated_us")?),
    })
}

impl FactLog<'_> {
    /// Deliveries of this kind.
    ///
    /// # Errors
    ///
    /// Where the database fails, or what it has cannot be read.
    pub(crate) fn deliveries(&self, wanted: &Wanted) -> Result<Vec<Delivery>, StoreError> {
        let order = if wanted.newest_first { "DESC" } else { "ASC" };
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT delivery.*, fact.*, last.sent, last.settings FROM delivery JOIN fact USING (ven, seq)
             LEFT JOIN attempt AS last ON last.ven = delivery.ven AND last.hook = delivery.hook AND last.seq = delivery.seq
               AND last.number = (SELECT max(number) FROM attempt AS any WHERE any.ven = delivery.ven
                                  AND any.hook = delivery.hook AND any.seq = delivery.seq)
             WHERE delivery.ven = ?1 AND (?2 IS NULL OR delivery.hook = ?2) AND (?3 IS NULL OR status = ?3)
               AND (?4 IS NULL OR updated_us >= ?4) AND delivery.seq > ?5
             ORDER BY delivery.seq {order}, delivery.hook LIMIT ?6"
        ))?;
        let mut rows = statement.query(params![
            self.ven,
            wanted.hook,
            wanted.status.map(DeliveryStatus::as_str),
            wanted.since.map(Timestamp::micros),
            wanted.after.cast_signed(),
            i64::try_from(wanted.most).unwrap_or(i64::MAX),
        ])?;
        let mut deliveries = Vec::new();
        while let Some(row) = rows.next()? {
            deliveries.push(delivery(row)?);
        }
        Ok(deliveries)
    }

    /// How many deliveries of each hook have which status, of those that changed since then.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub(crate) fn counts(&self, since: Option<Timestamp>) -> Result<Vec<(String, String, u64)>, StoreError> {
        let query = "SELECT hook, status, count(*) FROM delivery
                     WHERE ven = ? AND updated_us >= ? GROUP BY hook, status ORDER BY hook, status";
        let mut statement = self.connection.prepare_cached(query)?;
        let since = since.map_or(i64::MIN, Timestamp::micros);
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?.cast_unsigned()));
        let counts: Result<Vec<_>, rusqlite::Error> =
            statement.query_map(params![self.ven, since], row)?.collect();
        Ok(counts?)
    }

    /// The last tries of a delivery, oldest first, each with its number.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub(crate) fn tries(&self, hook: &str, seq: u64) -> Result<Vec<(u32, Tried)>, StoreError> {
        let query = "SELECT * FROM attempt WHERE ven = ? AND hook = ? AND seq = ? ORDER BY number";
        let mut statement = self.connection.prepare_cached(query)?;
        let tried = |row: &Row<'_>| {
            let tried = Tried {
                message: row.get("message")?,
                at: Timestamp::from_micros(row.get("at_us")?),
                took: Span::from_micros(row.get("took_us")?),
                code: row.get("code")?,
                why: row.get("why")?,
                answer: row.get("answer")?,
                sent: row.get("sent")?,
                settings: row.get("settings")?,
            };
            Ok((row.get("number")?, tried))
        };
        let tries: Result<Vec<_>, rusqlite::Error> =
            statement.query_map(params![self.ven, hook, seq.cast_signed()], tried)?.collect();
        Ok(tries?)
    }

    /// What was done about deliveries of a hook, and how it stands from now on; all of it or nothing, durable on return.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub(crate) fn update(
        &mut self,
        hook: &str,
        updates: &[Update],
        standing: Option<Standing>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        for update in updates {
            put_update(&transaction, self.ven, hook, update, now)?;
        }
        if let Some(standing) = standing {
            put_standing(&transaction, self.ven, hook, standing)?;
        }
        Ok(transaction.commit()?)
    }

    /// How a hook stood when that was last written down.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub(crate) fn standing(&self, hook: &str) -> Result<Standing, StoreError> {
        let query = "SELECT * FROM hook_standing WHERE ven = ? AND hook = ?";
        let row = |row: &Row<'_>| {
            Ok(Standing {
                failures: row.get("failures")?,
                next_at: row.get::<_, Option<i64>>("next_us")?.map(Timestamp::from_micros),
                disabled: row.get("disabled")?,
                paused: row.get("paused")?,
            })
        };
        let found = self.connection.query_row(query, params![self.ven, hook], row).optional()?;
        Ok(found.unwrap_or_default())
    }
}

fn put_standing(
    connection: &Connection,
    ven: &str,
    hook: &str,
    standing: Standing,
) -> Result<(), StoreError> {
    let Standing { failures, next_at, disabled, paused } = standing;
    connection.execute(
        "INSERT OR REPLACE INTO hook_standing (ven, hook, failures, next_us, disabled, paused) VALUES (?, ?, ?, ?, ?, ?)",
        params![ven, hook, failures, next_at.map(Timestamp::micros), disabled, paused],
    )?;
    Ok(())
}

fn put_update(
    connection: &Connection,
    ven: &str,
    hook: &str,
    update: &Update,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (item, tried) = (&update.item, update.tried.as_ref());
    let seq = item.seq.cast_signed();
    let set = "UPDATE delivery SET status = ?1, since_us = ?2, attempts = ?3, refusals = ?4, next_us = ?5, batch = ?6, updated_us = ?7,
                      code = CASE WHEN ?8 THEN ?9 ELSE code END, why = CASE WHEN ?8 THEN ?10 ELSE why END
               WHERE ven = ?11 AND hook = ?12 AND seq = ?13";
    connection.prepare_cached(set)?.execute(params![
        update.status.as_str(),
        item.since.micros(),
        item.attempts,
        item.refusals,
        item.next_at.map(Timestamp::micros),
        item.batch.map(u64::cast_signed),
        now.micros(),
        tried.is_some(),
        tried.and_then(|tried| tried.code),
        tried.map(|tried| &tried.why),
        ven,
        hook,
        seq,
    ])?;
    let Some(tried) = tried else { return Ok(()) };
    // Tries that sent nothing do not count for the item, and are kept all the same.
    let put = "INSERT INTO attempt (ven, hook, seq, number, message, at_us, took_us, code, why, answer, sent, settings)
               SELECT ?1, ?2, ?3, coalesce(max(number), 0) + 1, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11
               FROM attempt WHERE ven = ?1 AND hook = ?2 AND seq = ?3";
    connection.prepare_cached(put)?.execute(params![
        ven,
        hook,
        seq,
        tried.message,
        tried.at.micros(),
        tried.took.micros(),
        tried.code,
        tried.why,
        tried.answer,
        tried.sent,
        tried.settings,
    ])?;
    let forget = "DELETE FROM attempt WHERE ven = ?1 AND hook = ?2 AND seq = ?3
                  AND number <= (SELECT max(number) FROM attempt WHERE ven = ?1 AND hook = ?2 AND seq = ?3) - ?4";
    connection.prepare_cached(forget)?.execute(params![ven, hook, seq, TRIES_KEPT])?;
    Ok(())
}
