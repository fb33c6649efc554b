//! Keeps facts, and what came of telling them.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::fact::Fact;
use crate::hook::queue::{Fate, Item, Standing};
use crate::time::{Span, Timestamp};

use super::StoreError;

/// Places that are promised ahead, so that a restart gives none of them again.
const AHEAD: u64 = 100_000;
/// Of a delivery so many tries are kept.
const TRIES_KEPT: i64 = 10;

/// A fact, and the hooks that are to tell it.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) fact: Arc<Fact>,
    pub(crate) hooks: Vec<String>,
}

/// What has become of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeliveryStatus {
    /// It is to be told.
    Waiting,
    /// It is there.
    Sent,
    /// There are no words for it: the template or the filter fails.
    Error,
    /// The receiver does not take it.
    Dead,
    /// It was too old.
    Expired,
    /// The queue was full.
    Dropped,
    /// The hook's filter left it out.
    Filtered,
}

impl DeliveryStatus {
    pub(crate) const ALL: [Self; 7] =
        [Self::Waiting, Self::Sent, Self::Error, Self::Dead, Self::Expired, Self::Dropped, Self::Filtered];

    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Error => "error",
            Self::Dead => "dead",
            Self::Expired => "expired",
            Self::Dropped => "dropped",
            Self::Filtered => "filtered",
        }
    }

    /// What became of an item.
    pub(crate) const fn from_fate(fate: Fate) -> Self {
        match fate {
            Fate::Waiting => Self::Waiting,
            Fate::Sent | Fate::Unchanged => Self::Sent,
            Fate::Dead => Self::Dead,
            Fate::Unsaid => Self::Error,
            Fate::Expired => Self::Expired,
            Fate::Dropped(_) => Self::Dropped,
        }
    }

    /// The status of this word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// One fact for one hook.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Delivery {
    pub(crate) hook: String,
    pub(crate) fact: Arc<Fact>,
    pub(crate) status: DeliveryStatus,
    /// As its queue knows it.
    pub(crate) item: Item,
    pub(crate) code: Option<u16>,
    pub(crate) why: Option<String>,
    pub(crate) updated: Timestamp,
}

impl Delivery {
    /// For programs.
    pub(crate) fn view(&self) -> serde_json::Value {
        let Self { hook, fact, status, item, code, why, updated } = self;
        serde_json::json!({
            "number": fact.seq,
            "hook": hook,
            "status": status.as_str(),
            "tries": item.attempts,
            "next": item.next_at,
            "code": code,
            "why": why,
            "updated": updated,
            "fact": &**fact,
        })
    }
}

/// A delivery after something has been done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Update {
    pub(crate) item: Item,
    pub(crate) status: DeliveryStatus,
    pub(crate) tried: Option<Tried>,
}

/// One try to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tried {
    /// The id of the message.
    pub(crate) message: String,
    pub(crate) at: Timestamp,
    pub(crate) took: Span,
    pub(crate) code: Option<u16>,
    /// Empty: it is there.
    pub(crate) why: String,
    /// The beginning of what was answered.
    pub(crate) answer: String,
}

/// Which deliveries are looked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) hook: Option<String>,
    pub(crate) status: Option<DeliveryStatus>,
    /// Changed since then.
    pub(crate) since: Option<Timestamp>,
    /// Behind this place.
    pub(crate) after: u64,
    pub(crate) most: usize,
    /// The newest first.
    pub(crate) newest_first: bool,
}

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

/// The tables of facts of one VEN.
pub(crate) struct FactLog<'c> {
    pub(super) connection: &'c mut Connection,
    pub(super) ven: &'c str,
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
        updated: Timestamp::from_micros(row.get("updated_us")?),
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

    /// The last place that may have been given; more are promised from now on.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub(crate) fn claim_places(&mut self, at_least: u64) -> Result<u64, StoreError> {
        let transaction = self.connection.transaction()?;
        let query = "SELECT max(coalesce((SELECT seq FROM fact_mark WHERE ven = ?1), 0),
                                coalesce((SELECT max(seq) FROM fact WHERE ven = ?1), 0))";
        let last: i64 = transaction.query_row(query, params![self.ven], |row| row.get(0))?;
        let last = last.cast_unsigned().max(at_least);
        let ahead = (last + AHEAD).cast_signed();
        transaction
            .execute("INSERT OR REPLACE INTO fact_mark (ven, seq) VALUES (?, ?)", params![self.ven, ahead])?;
        transaction.commit()?;
        Ok(last)
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

    /// Deliveries of this kind.
    ///
    /// # Errors
    ///
    /// Where the database fails, or what it has cannot be read.
    pub(crate) fn deliveries(&self, wanted: &Wanted) -> Result<Vec<Delivery>, StoreError> {
        let order = if wanted.newest_first { "DESC" } else { "ASC" };
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT * FROM delivery JOIN fact USING (ven, seq)
             WHERE ven = ?1 AND (?2 IS NULL OR hook = ?2) AND (?3 IS NULL OR status = ?3)
               AND (?4 IS NULL OR updated_us >= ?4) AND seq > ?5
             ORDER BY seq {order}, hook LIMIT ?6"
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

const FORGET_UNTOLD: &str = "DELETE FROM fact WHERE ven = ?1 AND time_us < ?2
    AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.ven = ?1 AND delivery.seq = fact.seq)";

/// Tries of deliveries that are forgotten.
fn forget_tries(connection: &Connection, ven: &str) -> Result<(), StoreError> {
    let orphans = "DELETE FROM attempt WHERE ven = ?1 AND NOT EXISTS
                   (SELECT 1 FROM delivery WHERE delivery.ven = ?1 AND delivery.hook = attempt.hook AND delivery.seq = attempt.seq)";
    connection.execute(orphans, params![ven])?;
    Ok(())
}

/// What a row costs beside its data, about.
const ROW: i64 = 200;

/// What facts take, and their deliveries with the tries of them.
fn stored_bytes(connection: &Connection, ven: &str) -> Result<u64, StoreError> {
    let query = "SELECT (SELECT coalesce(sum(length(data) + ?1), 0) FROM fact WHERE ven = ?2)
                      + (SELECT count(*) * ?1 FROM delivery WHERE ven = ?2)
                      + (SELECT coalesce(sum(length(why) + length(answer) + ?1), 0) FROM attempt WHERE ven = ?2)";
    let bytes: i64 = connection.query_row(query, params![ROW, ven], |row| row.get(0))?;
    Ok(bytes.cast_unsigned())
}

/// The same of one fact.
const BYTES: &str = "length(data) + ?2 + coalesce((
    SELECT sum(?2 + coalesce((
        SELECT sum(length(attempt.why) + length(answer) + ?2) FROM attempt
        WHERE attempt.ven = ?1 AND attempt.hook = delivery.hook AND attempt.seq = delivery.seq), 0))
    FROM delivery WHERE delivery.ven = ?1 AND delivery.seq = fact.seq), 0)";

/// Forgets the oldest facts of which every delivery is at `least` so far, until so many bytes are free; returns how many deliveries still
/// waited.
fn forget_oldest(connection: &Connection, ven: &str, excess: u64, least: &str) -> Result<u64, StoreError> {
    if excess == 0 {
        return Ok(0);
    }
    let which = all_at(least);
    let query = format!("SELECT seq, {BYTES} FROM fact WHERE {which} ORDER BY seq");
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
fn all_at(least: &str) -> String {
    format!(
        "ven = ?1 AND NOT EXISTS
         (SELECT 1 FROM delivery WHERE delivery.ven = ?1 AND delivery.seq = fact.seq AND NOT ({least}))"
    )
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
    let put =
        "INSERT OR REPLACE INTO attempt (ven, hook, seq, number, message, at_us, took_us, code, why, answer)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    connection.prepare_cached(put)?.execute(params![
        ven,
        hook,
        seq,
        item.attempts,
        tried.message,
        tried.at.micros(),
        tried.took.micros(),
        tried.code,
        tried.why,
        tried.answer,
    ])?;
    let forget = "DELETE FROM attempt WHERE ven = ? AND hook = ? AND seq = ? AND number <= ?";
    let kept_from = i64::from(item.attempts) - TRIES_KEPT;
    connection.prepare_cached(forget)?.execute(params![ven, hook, seq, kept_from])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use serde_json::{Map, Value};

    use super::{
        BYTES, DeliveryStatus, FORGET_UNTOLD, Item, Retention, Standing, Told, Tried, Update, Wanted, all_at,
        params,
    };
    use crate::daemon::store::{Sqlite, Store as _};
    use crate::fact::Fact;
    use crate::time::{Span, Timestamp};

    fn fact(seq: u64, text: &str) -> Arc<Fact> {
        let data = Map::from_iter([("text".to_owned(), Value::from(text))]);
        let time = Timestamp::from_seconds(i64::try_from(seq).unwrap());
        Arc::new(Fact {
            id: format!("id {seq}"),
            seq,
            topic: "event.started".into(),
            subject: None,
            time,
            data,
        })
    }

    fn told(seq: u64, hooks: &[&str]) -> Told {
        Told {
            fact: fact(seq, &"x".repeat(800)),
            hooks: hooks.iter().map(|hook| (*hook).to_owned()).collect(),
        }
    }

    fn open(folder: &Path, ven: &str) -> Sqlite {
        Sqlite::open(&folder.join("ven.db"), ven).unwrap()
    }

    fn update(seq: u64, status: DeliveryStatus) -> Update {
        Update { item: Item { attempts: 1, ..Item::new(&fact(seq, "")) }, status, tried: None }
    }

    fn waiting(store: &mut Sqlite, hook: &str) -> Vec<u64> {
        let wanted = Wanted {
            hook: Some(hook.into()),
            status: Some(DeliveryStatus::Waiting),
            most: 100,
            ..Wanted::default()
        };
        store.facts().deliveries(&wanted).unwrap().iter().map(|delivery| delivery.fact.seq).collect()
    }

    #[test]
    fn facts_come_back_with_their_deliveries_and_tries() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path(), "a");
        store.commit(&[], &[told(3, &["one", "two"]), told(4, &["one"]), told(6, &[])]).unwrap();
        let after = store.facts().after(3, 9).unwrap();
        assert_eq!(after, [fact(4, &"x".repeat(800)), fact(6, &"x".repeat(800))].map(|fact| (*fact).clone()));
        assert_eq!((waiting(&mut store, "one"), waiting(&mut store, "two")), (vec![3, 4], vec![3]));
        assert!(open(folder.path(), "b").facts().after(0, 9).unwrap().is_empty(), "of another VEN");

        let mut tried = Tried {
            message: "id 3".into(),
            at: Timestamp::from_seconds(9),
            took: Span::SECOND,
            code: Some(503),
            why: "busy".into(),
            answer: "no".into(),
        };
        for attempts in 1..=12 {
            let next_at = Some(Timestamp::from_seconds(20));
            let item = Item { attempts, next_at, batch: Some(7), refusals: 2, ..Item::new(&fact(3, "")) };
            let update = Update { item, status: DeliveryStatus::Waiting, tried: Some(tried.clone()) };
            store.facts().update("one", &[update], None, Timestamp::from_seconds(10)).unwrap();
        }
        tried.code = Some(200);
        let sent = Update { tried: Some(tried.clone()), ..update(4, DeliveryStatus::Sent) };
        store.facts().update("one", &[sent], None, Timestamp::from_seconds(11)).unwrap();
        assert_eq!(waiting(&mut store, "one"), [3]);
        let wanted = Wanted { hook: Some("one".into()), most: 1, ..Wanted::default() };
        let item = store.facts().deliveries(&wanted).unwrap().remove(0).item;
        assert_eq!((item.attempts, item.refusals, item.batch), (12, 2, Some(7)));
        assert_eq!(item.next_at, Some(Timestamp::from_seconds(20)));
        let tries = store.facts().tries("one", 3).unwrap();
        assert_eq!((tries.len(), tries[0].0, tries[9].0), (10, 3, 12), "the last ten");
        assert_eq!(store.facts().tries("one", 4).unwrap(), [(1, tried)]);
        let counts = store.facts().counts(None).unwrap();
        let row = |hook: &str, status: &str, count| (hook.to_owned(), status.to_owned(), count);
        assert_eq!(counts, [row("one", "sent", 1), row("one", "waiting", 1), row("two", "waiting", 1)]);
        assert_eq!(store.facts().counts(Some(Timestamp::from_seconds(11))).unwrap(), [row("one", "sent", 1)]);
    }

    #[test]
    fn no_place_is_given_twice_whatever_was_in_memory_only() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(open(folder.path(), "a").facts().claim_places(0).unwrap(), 0);
        let mut store = open(folder.path(), "a");
        assert_eq!(store.facts().claim_places(0).unwrap(), 100_000, "all that may have been given before");
        store.commit(&[], &[told(400_000, &[])]).unwrap();
        assert_eq!(store.facts().claim_places(350_000).unwrap(), 400_000);
        assert_eq!(open(folder.path(), "a").facts().claim_places(0).unwrap(), 500_000);
    }

    #[test]
    fn what_is_too_old_goes_and_then_what_is_done_what_failed_and_what_waits() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path(), "a");
        let all: Vec<Told> =
            (1..=60).map(|seq| told(seq, if seq % 4 == 0 { &[] } else { &["hook"] })).collect();
        store.commit(&[], &all).unwrap();
        let status = |seq: u64| match seq % 4 {
            1 => DeliveryStatus::Sent,
            2 => DeliveryStatus::Dead,
            _ => DeliveryStatus::Waiting,
        };
        let updates: Vec<_> =
            (1..=60).filter(|seq| seq % 4 != 0).map(|seq| update(seq, status(seq))).collect();
        store.facts().update("hook", &updates, None, Timestamp::from_seconds(100)).unwrap();
        let mut prune = |seconds, max_bytes| {
            let retention = Retention { sent: Span::HOUR, failed: Span::DAY, max_bytes };
            let given_up = store.facts().prune(retention, Timestamp::from_seconds(seconds)).unwrap();
            (given_up, store.facts().after(0, 99).unwrap().len(), waiting(&mut store, "hook").len())
        };
        assert_eq!(prune(101, 1 << 20), (0, 60, 15), "nothing is old");
        assert_eq!(prune(3_800, 1 << 20), (0, 30, 15), "what is done, and what nobody is to tell");
        let (given_up, left, waiting) = prune(3_800, 20_000);
        assert_eq!((given_up, waiting), (0, 15), "what failed goes before what waits");
        assert!(left < 22, "{left}");
        let (given_up, left, still_waiting) = prune(3_800, 10_000);
        assert!(given_up > 0 && left < 11, "{given_up} {left}");
        assert_eq!(still_waiting, 15 - usize::try_from(given_up).unwrap());
        let at = Timestamp::from_seconds(3_900);
        assert_eq!(store.facts().forget(at, false).unwrap(), left - still_waiting, "by hand");
        assert_eq!(store.facts().forget(at, true).unwrap(), still_waiting);
        assert!(store.facts().after(0, 99).unwrap().is_empty());
    }

    /// What is kept is bounded as it lies on the disk: a fact for many hooks, with what its receivers have answered, is more than a fact.
    #[test]
    fn deliveries_and_their_tries_count_for_what_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path(), "a");
        let hooks = ["h1", "h2", "h3", "h4", "h5"];
        let all: Vec<Told> = (1..=100).map(|seq| told(seq, &hooks)).collect();
        store.commit(&[], &all).unwrap();
        let tried = Tried {
            message: "id".into(),
            at: Timestamp::EPOCH,
            took: Span::ZERO,
            code: Some(422),
            why: "no".into(),
            answer: "x".repeat(2_000),
        };
        let dead = |seq| Update { tried: Some(tried.clone()), ..update(seq, DeliveryStatus::Dead) };
        let updates: Vec<_> = (1..=50).map(dead).collect();
        for hook in hooks {
            store.facts().update(hook, &updates, None, Timestamp::EPOCH).unwrap();
        }
        let mut prune = |max_bytes| {
            let retention = Retention { sent: Span::DAY, failed: Span::DAY, max_bytes };
            store.facts().prune(retention, Timestamp::from_seconds(1)).unwrap();
            let left: Vec<u64> = store.facts().after(0, 999).unwrap().iter().map(|fact| fact.seq).collect();
            left
        };
        // 100 facts of 1 kB each, 500 deliveries of 200 octets, 250 tries of 2.2 kB.
        let from = |first: u64| (first..=100).collect::<Vec<_>>();
        assert_eq!(prune(800_000), from(1));
        assert_eq!(prune(500_000), from(21), "of those that failed, each has 13 kB");
        assert_eq!(prune(101_000), from(51), "those that failed go first");
        assert_eq!(prune(50_000), from(77), "of those that wait, each has 2 kB");
    }

    /// Housekeeping looks at each fact; were all deliveries searched for each, it would take minutes where many wait.
    #[test]
    fn what_may_be_forgotten_is_looked_up_and_not_searched_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path(), "a");
        let log = store.facts();
        let oldest = format!("SELECT seq, {BYTES} FROM fact WHERE {}", all_at("status <> 'waiting'"));
        for query in [FORGET_UNTOLD, &oldest] {
            let mut plan = log.connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
            let steps = plan.query_map(params!["a", 0], |row| row.get::<_, String>(3)).unwrap();
            let steps: Vec<String> = steps.map(Result::unwrap).collect();
            let of_deliveries: Vec<_> = steps.iter().filter(|step| step.contains(" delivery ")).collect();
            assert!(
                !of_deliveries.is_empty() && of_deliveries.iter().all(|step| step.contains("seq=?")),
                "{steps:#?}"
            );
        }
    }

    #[test]
    fn how_a_hook_stands_survives() {
        let folder = tempfile::tempdir().unwrap();
        let next_at = Some(Timestamp::from_seconds(7));
        let standing = Standing { failures: 3, next_at, disabled: false, paused: true };
        open(folder.path(), "a").facts().update("one", &[], Some(standing), Timestamp::EPOCH).unwrap();
        assert_eq!(open(folder.path(), "a").facts().standing("one").unwrap(), standing);
        assert_eq!(open(folder.path(), "a").facts().standing("two").unwrap(), Standing::default());
    }
}
