//! Keeps it in SQLite: one file, readable with the `sqlite3` shell.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, Row, Transaction, params};

use crate::engine::{
    EventOptRecord, EventRecord, OwedReport, RequestRecord, ScheduleRecord, Snapshot, Write,
};
use crate::metering::Stored;
use crate::openadr::message::{MarketContext, ReportRequestId, RequestId};
use crate::openadr::signature::Seen;
use crate::time::{Span, Timestamp};

use super::records::{self, opt_text};
use super::{FactLog, Store, StoreError, Told, fact_log, series};

/// The steps from an empty file to the present schema; a step that has been released is never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("0001.sql"),
    include_str!("0002.sql"),
    include_str!("0003.sql"),
    include_str!("0004.sql"),
    include_str!("0005.sql"),
    include_str!("0006.sql"),
];

/// So many pages of 4096 octets of its log are put into the file at once, and the log is no longer afterwards: it lies on a disk that may be
/// small.
const LOG_PAGES: u32 = 256;

/// A SQLite file with the rows of one VEN.
#[derive(Debug)]
pub(crate) struct Sqlite {
    connection: Connection,
    ven: String,
}

impl Sqlite {
    /// Opens or makes the file; other VENs may have rows in it.
    ///
    /// # Errors
    ///
    /// Where it cannot be opened, is no database, or was written by a newer version.
    pub(crate) fn open(path: &Path, ven: &str) -> Result<Self, StoreError> {
        own(path)?;
        let connection = Connection::open(path).map_err(|error| named(path, &error))?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(|error| named(path, &error))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        connection.pragma_update(None, "journal_size_limit", LOG_PAGES * 4096)?;
        let mut store = Self { connection, ven: ven.to_owned() };
        store.migrate(path)?;
        Ok(store)
    }

    fn migrate(&mut self, path: &Path) -> Result<(), StoreError> {
        let found: u32 = self.connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
        if found > known {
            return Err(StoreError::TooNew { path: path.display().to_string(), found, known });
        }
        for (version, step) in (1_u32..).zip(MIGRATIONS).skip(found as usize) {
            let transaction = self.connection.transaction()?;
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", version)?;
            transaction.commit()?;
        }
        Ok(())
    }

    /// Looks at every page, and at how they belong together; takes about a second for 100 MiB.
    ///
    /// # Errors
    ///
    /// Where something is damaged.
    pub(crate) fn check(&self, path: &Path) -> Result<(), StoreError> {
        let first: String = self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if first == "ok" {
            return Ok(());
        }
        Err(StoreError::Damaged { path: path.display().to_string(), why: first })
    }

    fn rows<T>(
        &self,
        query: &str,
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.connection.prepare_cached(query)?;
        let mut rows = statement.query(params![self.ven])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(read(row)?);
        }
        Ok(all)
    }
}

/// Makes the file for its owner alone, where it is not there; SQLite makes those beside it alike. One that is there is not opened: closing
/// it would release the locks that others of this process have on it (fcntl(2)).
fn own(path: &Path) -> Result<(), StoreError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(source) if source.kind() != ErrorKind::AlreadyExists => {
            Err(StoreError::File { path: path.display().to_string(), source })
        }
        _ => Ok(()),
    }
}

/// SQLite's own words do not say which file.
fn named(path: &Path, error: &rusqlite::Error) -> StoreError {
    let damaged = Some(ErrorCode::DatabaseCorrupt) == error.sqlite_error_code()
        || Some(ErrorCode::NotADatabase) == error.sqlite_error_code();
    if damaged {
        return StoreError::Damaged { path: path.display().to_string(), why: error.to_string() };
    }
    let why = std::io::Error::other(error.to_string());
    StoreError::File { path: path.display().to_string(), source: why }
}

impl Store for Sqlite {
    fn load(&mut self) -> Result<Snapshot, StoreError> {
        let registration = self.rows("SELECT * FROM registration WHERE ven = ?", records::registration)?;
        let events = self.rows("SELECT * FROM event WHERE ven = ?", records::event)?;
        let requests = self.rows("SELECT * FROM report_request WHERE ven = ?", records::request)?;
        let owed = self.rows("SELECT * FROM owed_report WHERE ven = ?", records::owed)?;
        let event_opts = self.rows("SELECT * FROM event_opt WHERE ven = ?", records::event_opt)?;
        let schedules = self.rows("SELECT * FROM opt_schedule WHERE ven = ?", records::schedule)?;
        Ok(Snapshot {
            registration: registration.into_iter().next(),
            events: events.into_iter().map(|record| (record.event.id().clone(), record)).collect(),
            requests: requests.into_iter().map(|record| (record.id.clone(), record)).collect(),
            owed: owed.into_iter().map(|report| (report.sequence, report)).collect(),
            event_opts: event_opts.into_iter().map(|record| (record.opt_id.clone(), record)).collect(),
            schedules: schedules.into_iter().map(|record| (record.schedule.id.clone(), record)).collect(),
        })
    }

    fn commit(&mut self, writes: &[Write], told: &[Told]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        for write in writes {
            apply(&transaction, &self.ven, write)?;
        }
        fact_log::put(&transaction, &self.ven, told)?;
        Ok(transaction.commit()?)
    }

    fn facts(&mut self) -> FactLog<'_> {
        FactLog { connection: &mut self.connection, ven: &self.ven }
    }

    fn put_series(&mut self, meter: &str, stored: &Stored) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        series::put(&transaction, &self.ven, meter, stored)?;
        Ok(transaction.commit()?)
    }

    fn series(&mut self, meter: &str) -> Result<Stored, StoreError> {
        series::read(&self.connection, &self.ven, meter)
    }

    fn put_nonces(&mut self, seen: &[Seen], oldest: Timestamp) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        {
            let mut put = transaction.prepare_cached(
                "INSERT OR REPLACE INTO nonce (ven, signer, nonce, signed_us) VALUES (?, ?, ?, ?)",
            )?;
            for seen in seen {
                put.execute(params![self.ven, seen.signer.to_string(), seen.nonce, seen.timestamp.micros()])?;
            }
            let query = "DELETE FROM nonce WHERE ven = ? AND signed_us < ?";
            transaction.prepare_cached(query)?.execute(params![self.ven, oldest.micros()])?;
        }
        Ok(transaction.commit()?)
    }

    fn nonces(&mut self) -> Result<Vec<Seen>, StoreError> {
        self.rows("SELECT * FROM nonce WHERE ven = ? ORDER BY signed_us", records::seen)
    }
}

fn apply(transaction: &Transaction<'_>, ven: &str, write: &Write) -> Result<(), StoreError> {
    match write {
        Write::Registration(None) => {
            transaction.execute("DELETE FROM registration WHERE ven = ?", params![ven])?;
        }
        Write::Registration(Some(record)) => {
            transaction.execute(
                "INSERT OR REPLACE INTO registration (ven, registration_id, ven_id, vtn_id, poll_freq_us, reports_registered)
                 VALUES (?, ?, ?, ?, ?, ?)",
                params![
                    ven,
                    record.registration_id.as_str(),
                    record.ven_id.as_str(),
                    record.vtn_id.as_str(),
                    record.poll_freq.map(Span::micros),
                    record.reports_registered,
                ],
            )?;
        }
        Write::Event(record) => put_event(transaction, ven, record)?,
        Write::ForgetEvent(id) => {
            transaction
                .execute("DELETE FROM event WHERE ven = ? AND event_id = ?", params![ven, id.as_str()])?;
        }
        Write::Request(record) => put_request(transaction, ven, record)?,
        Write::ForgetRequest(id) => forget_request(transaction, ven, id)?,
        Write::Owe(report) => put_owed(transaction, ven, report)?,
        Write::Delivered(sequence) => {
            let query = "DELETE FROM owed_report WHERE ven = ? AND sequence = ?";
            transaction.execute(query, params![ven, sequence.cast_signed()])?;
        }
        Write::EventOpt(record) => put_event_opt(transaction, ven, record)?,
        Write::ForgetEventOpt(id) => {
            let query = "DELETE FROM event_opt WHERE ven = ? AND opt_id = ?";
            transaction.execute(query, params![ven, id.as_str()])?;
        }
        Write::Schedule(record) => put_schedule(transaction, ven, record)?,
        Write::ForgetSchedule(id) => {
            let query = "DELETE FROM opt_schedule WHERE ven = ? AND opt_id = ?";
            transaction.execute(query, params![ven, id.as_str()])?;
        }
    }
    Ok(())
}

fn put_event(transaction: &Transaction<'_>, ven: &str, record: &EventRecord) -> Result<(), StoreError> {
    let event = &record.event;
    let decision = record.decision.as_ref();
    let refusal = decision.and_then(|decision| decision.refusal.as_ref());
    transaction.prepare_cached(include_str!("put_event.sql"))?.execute(params![
        ven,
        event.id().as_str(),
        event.modification(),
        event.descriptor.status.as_str(),
        event.descriptor.market_context.as_str(),
        event.active_period.start.to_string(),
        record.offset.micros(),
        record.response_required.as_str(),
        record.request_id.as_str(),
        opt_text(decision),
        decision.map(|decision| decision.modification),
        decision.map(|decision| records::decided_by(decision.by)),
        refusal.map(|(code, _)| code.number()),
        refusal.map(|(_, why)| why.as_str()),
        record.started,
        record.stop.map(|(at, _)| at.micros()),
        record.stop.map(|(_, why)| records::end_reason(why)),
        record.ended,
        record.end_owed.map(records::end_reason),
        records::event_xml(record),
    ])?;
    Ok(())
}

fn put_request(transaction: &Transaction<'_>, ven: &str, record: &RequestRecord) -> Result<(), StoreError> {
    let points: Vec<&str> = record.points.iter().map(crate::openadr::message::RId::as_str).collect();
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO report_request (ven, report_request_id, specifier_id, points, granularity_us, back_us,
                 end_us, reported_to, reported_to_us, closing, unconfirmed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            ven,
            record.id.as_str(),
            record.specifier.as_str(),
            serde_json::to_string(&points).unwrap_or_default(),
            record.granularity.micros(),
            record.back.micros(),
            record.end.map(Timestamp::micros),
            record.reported_to.to_string(),
            record.reported_to.micros(),
            record.closing,
            record.unconfirmed.as_ref().map(RequestId::as_str),
        ])?;
    Ok(())
}

fn forget_request(transaction: &Transaction<'_>, ven: &str, id: &ReportRequestId) -> Result<(), StoreError> {
    let query = "DELETE FROM report_request WHERE ven = ? AND report_request_id = ?";
    transaction.execute(query, params![ven, id.as_str()])?;
    Ok(())
}

fn put_owed(transaction: &Transaction<'_>, ven: &str, owed: &OwedReport) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO owed_report (ven, sequence, request_id, xml) VALUES (?, ?, ?, ?)",
        )?
        .execute(params![
            ven,
            owed.sequence.cast_signed(),
            owed.update.request_id.as_str(),
            records::update_xml(owed)
        ])?;
    Ok(())
}

fn put_event_opt(
    transaction: &Transaction<'_>,
    ven: &str,
    record: &EventOptRecord,
) -> Result<(), StoreError> {
    let query = "INSERT OR REPLACE INTO event_opt (ven, opt_id, sequence, event_id, resources, opt, standing)
         VALUES (?, ?, ?, ?, ?, ?, ?)";
    transaction.prepare_cached(query)?.execute(params![
        ven,
        record.opt_id.as_str(),
        record.sequence.cast_signed(),
        record.event_id.as_str(),
        records::resources_json(&record.resources),
        record.opt.as_str(),
        records::standing(record.standing),
    ])?;
    Ok(())
}

fn put_schedule(transaction: &Transaction<'_>, ven: &str, record: &ScheduleRecord) -> Result<(), StoreError> {
    let query =
        "INSERT OR REPLACE INTO opt_schedule (ven, opt_id, sequence, opt, reason, market_context, resources,
             periods, configured, cancel, \"create\", withdrawn) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let schedule = &record.schedule;
    transaction.prepare_cached(query)?.execute(params![
        ven,
        schedule.id.as_str(),
        record.sequence.cast_signed(),
        schedule.opt.as_str(),
        schedule.reason.as_str(),
        schedule.market_context.as_ref().map(MarketContext::as_str),
        records::resources_json(&schedule.resources),
        records::periods_json(&schedule.periods),
        record.configured,
        record.cancel.as_ref().map(RequestId::as_str),
        record.create.as_ref().map(RequestId::as_str),
        record.withdrawn,
    ])?;
    Ok(())
}
