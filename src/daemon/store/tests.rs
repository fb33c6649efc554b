//! What is stored comes back the same, and only what was stored.

use std::path::Path;

use proptest::prelude::{ProptestConfig, Strategy, any, proptest};
use proptest::test_runner::TestCaseError;

use super::{Sqlite, Store as _, StoreError, StoreHandle};
use crate::daemon::bus::Bus;
use crate::daemon::clock::Clock;
use crate::engine::{
    DecisionRecord, EventOptRecord, EventRecord, OptSchedule, OwedReport, RegistrationRecord, RequestRecord,
    ScheduleRecord, Snapshot, Standing, Write,
};
use crate::handler::EndReason;
use crate::metering::{Kept, Stored, StoredRow};
use crate::notice::DecidedBy;
use crate::openadr::message::arbitrary::payload_of;
use crate::openadr::message::{
    Available, Duration, OptReason, OptType, Payload, PayloadKind, ResponseCode, UpdateReport,
};
use crate::openadr::signature::Seen;
use crate::openadr::trust::Fingerprint;
use crate::time::{Span, Timestamp};

fn registration() -> RegistrationRecord {
    RegistrationRecord {
        registration_id: "r 1".into(),
        ven_id: "0012".into(),
        vtn_id: "vtn".into(),
        poll_freq: Some(Span::from_millis(1500)),
        reports_registered: Some("offers".into()),
    }
}

fn request(id: &str) -> RequestRecord {
    RequestRecord {
        id: id.into(),
        specifier: "usage".into(),
        points: vec!["a,b".into(), "\"c\"".into()],
        granularity: Span::MINUTE,
        back: Span::HOUR,
        end: Some(Timestamp::from_micros(77)),
        reported_to: Timestamp::from_seconds(60),
        closing: true,
        unconfirmed: Some("q".into()),
    }
}

fn event_opt(id: &str, standing: Standing) -> EventOptRecord {
    EventOptRecord {
        opt_id: id.into(),
        sequence: 7,
        event_id: "e 1".into(),
        resources: vec!["a,b".into(), "\"c\"".into()],
        opt: OptType::OptOut,
        standing,
    }
}

fn schedule(id: &str) -> ScheduleRecord {
    let period = |start, duration| Available { start: Timestamp::from_seconds(start), duration };
    ScheduleRecord {
        schedule: OptSchedule {
            id: id.into(),
            opt: OptType::OptIn,
            reason: OptReason::Other("x-\"holiday\"".into()),
            market_context: Some("http://markets.example.org/dr".into()),
            resources: vec!["a".into()],
            periods: vec![period(60, "P1M".parse().unwrap()), period(-60, Duration::ZERO)],
        },
        sequence: 3,
        configured: true,
        cancel: Some("c".into()),
        create: None,
        withdrawn: false,
    }
}

/// Records around generated messages.
fn writes() -> impl Strategy<Value = Vec<Write>> {
    let events = payload_of(PayloadKind::DistributeEvent);
    let reports = payload_of(PayloadKind::UpdateReport);
    (events, reports, any::<i32>(), any::<bool>(), 0_usize..5).prop_map(
        |(events, report, number, flag, pick)| {
            let (Payload::DistributeEvent(events), Payload::UpdateReport(update)) = (events, report) else {
                unreachable!("asked for these kinds")
            };
            let by = [
                DecidedBy::Handler,
                DecidedBy::Default,
                DecidedBy::Person,
                DecidedBy::Check,
                DecidedBy::FullStore,
                DecidedBy::Schedule,
            ];
            let why = [
                EndReason::Completed,
                EndReason::Cancelled,
                EndReason::ImpliedCancelled,
                EndReason::OptedOut,
                EndReason::Unregistered,
                EndReason::Postponed,
            ];
            let record = |event: crate::openadr::message::OadrEvent| EventRecord {
                event: std::sync::Arc::new(event.event),
                response_required: event.response_required,
                request_id: events.request_id.clone(),
                offset: Span::from_micros(number.into()),
                decision: flag.then(|| DecisionRecord {
                    opt: OptType::OptIn,
                    modification: number.unsigned_abs(),
                    by: by[pick + usize::from(number < 0)],
                    refusal: (pick > 2).then(|| (ResponseCode::TARGET_MISMATCH, "it's \"not\" ours".into())),
                }),
                started: flag,
                stop: flag.then_some((Timestamp::from_micros(number.into()), why[pick])),
                ended: !flag,
                end_owed: flag.then_some(why[5 - pick]),
            };
            let mut writes: Vec<_> = events.events.iter().cloned().map(record).map(Write::Event).collect();
            writes.push(Write::Registration(Some(registration())));
            writes.push(Write::Request(request("p1")));
            let standing = [Standing::Owed, Standing::Held, Standing::Unspoken][pick % 3];
            writes.push(Write::EventOpt(event_opt("o1", standing)));
            writes.push(Write::Schedule(ScheduleRecord { withdrawn: flag, ..schedule("s1") }));
            // The venID is set when the report is sent.
            let update = UpdateReport { ven_id: None, ..update };
            writes.push(Write::Owe(OwedReport { sequence: u64::from(number.unsigned_abs()), update }));
            writes
        },
    )
}

fn snapshot_of(writes: &[Write]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for write in writes {
        snapshot.apply(write);
    }
    snapshot
}

fn open(folder: &Path) -> Sqlite {
    Sqlite::open(&folder.join("ven.db"), "ven-a").unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn every_record_comes_back_the_same(writes in writes()) {
        let folder = tempfile::tempdir()?;
        open(folder.path()).commit(&writes, &[]).map_err(|error| TestCaseError::fail(error.to_string()))?;
        assert_eq!(open(folder.path()).load().unwrap(), snapshot_of(&writes));
    }
}

#[test]
fn records_are_replaced_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    store
        .commit(
            &[
                Write::Registration(Some(registration())),
                Write::Request(request("p1")),
                Write::Request(RequestRecord { end: None, unconfirmed: None, ..request("p1") }),
                Write::Request(request("p2")),
                Write::ForgetRequest("p2".into()),
                Write::Registration(None),
            ],
            &[],
        )
        .unwrap();
    let loaded = store.load().unwrap();
    assert_eq!(loaded.registration, None);
    assert_eq!(loaded.requests.len(), 1);
    assert_eq!(loaded.requests[&"p1".into()].end, None);
}

/// What a person ordered and the VTN has not got is still owed after a power cut: the file alone says so.
#[test]
fn opts_that_are_owed_survive_without_a_goodbye() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let owed = ScheduleRecord { create: Some("q".into()), cancel: None, ..schedule("s1") };
    store
        .commit(
            &[
                Write::EventOpt(event_opt("o1", Standing::Owed)),
                Write::EventOpt(event_opt("o2", Standing::Owed)),
                Write::EventOpt(event_opt("o2", Standing::Held)),
                Write::EventOpt(event_opt("o3", Standing::Owed)),
                Write::ForgetEventOpt("o3".into()),
                Write::Schedule(owed.clone()),
                Write::Schedule(schedule("s2")),
                Write::ForgetSchedule("s2".into()),
            ],
            &[],
        )
        .unwrap();
    // As after a kill: nothing is closed.
    std::mem::forget(store);
    let loaded = open(folder.path()).load().unwrap();
    let standings: Vec<_> =
        loaded.event_opts.iter().map(|(id, record)| (id.as_str(), record.standing)).collect();
    assert_eq!(standings, [("o1", Standing::Owed), ("o2", Standing::Held)]);
    assert_eq!(loaded.schedules, [("s1".into(), owed)].into());
}

#[test]
fn vens_in_one_file_do_not_see_each_other() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).commit(&[Write::Registration(Some(registration()))], &[]).unwrap();
    let mut other = Sqlite::open(&folder.path().join("ven.db"), "ven-b").unwrap();
    assert_eq!(other.load().unwrap(), Snapshot::default());
    other.commit(&[Write::Registration(None)], &[]).unwrap();
    assert!(open(folder.path()).load().unwrap().registration.is_some());
}

fn cell(channel: &str, minutes: i64, length: Span) -> StoredRow {
    let content = format!("{minutes} \"of\" {channel}");
    StoredRow { channel: channel.into(), length, start: Timestamp::EPOCH + Span::MINUTE * minutes, content }
}

fn kept(length: Span, from: i64, to: i64) -> Kept {
    Kept { length, from: Timestamp::EPOCH + Span::MINUTE * from, to: Timestamp::EPOCH + Span::MINUTE * to }
}

#[test]
fn cells_of_meters_are_kept_until_they_are_not_needed() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let rows: Vec<_> = (0..10).map(|minute| cell("import", minute, Span::MINUTE)).collect();
    let stored = Stored { rows, checkpoint: "{\"a\":1}".into(), ..Stored::default() };
    store.put_series("main", &stored).unwrap();
    store.put_series("other", &Stored { rows: stored.rows[..1].to_vec(), ..stored.clone() }).unwrap();
    assert_eq!(open(folder.path()).series("main").unwrap(), stored);
    assert_eq!(open(folder.path()).series("none").unwrap(), Stored::default());

    let newer = StoredRow { content: "newer".into(), ..cell("import", 6, Span::MINUTE) };
    let hour = cell("gas", 0, Span::HOUR);
    let next = Stored {
        rows: vec![newer.clone(), hour.clone()],
        checkpoint: "second".into(),
        kept: vec![kept(Span::MINUTE, 5, 7), kept(Span::HOUR, 0, 7)],
        restored: None,
    };
    store.put_series("main", &next).unwrap();
    let found = store.series("main").unwrap();
    assert_eq!(found.checkpoint, "second");
    let five = cell("import", 5, Span::MINUTE);
    assert_eq!(found.rows, [five, newer, cell("import", 7, Span::MINUTE), hour]);
    assert_eq!(store.series("other").unwrap().rows.len(), 1, "another meter");
}

#[test]
fn rows_of_a_series_that_has_ended_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let rows = vec![
        cell("import", 1, Span::SECOND),
        cell("import", 1, Span::MINUTE),
        cell("export", 1, Span::MINUTE),
        cell("gas", 1, Span::MINUTE),
    ];
    store.put_series("main", &Stored { rows: rows.clone(), ..Stored::default() }).unwrap();
    let gas = StoredRow { content: "of now".into(), ..cell("gas", 2, Span::MINUTE) };
    let next = Stored {
        rows: vec![gas.clone()],
        checkpoint: String::new(),
        kept: vec![kept(Span::MINUTE, 0, 9)],
        restored: Some(vec!["import".into(), "export".into()]),
    };
    store.put_series("main", &next).unwrap();
    let found = store.series("main").unwrap().rows;
    assert_eq!(found, [rows[2].clone(), rows[1].clone(), gas]);
}

#[test]
fn nonces_are_kept_until_they_may_be_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let seen = |seconds: i64, nonce: &str| Seen {
        signer: Fingerprint::of(b"a certificate"),
        timestamp: Timestamp::from_seconds(seconds),
        nonce: nonce.to_owned(),
    };
    let mut store = open(folder.path());
    store.put_nonces(&[seen(1, "a"), seen(2, "b")], Timestamp::EPOCH).unwrap();
    store.put_nonces(&[seen(3, "c"), seen(3, "c")], Timestamp::from_seconds(2)).unwrap();
    assert_eq!(open(folder.path()).nonces().unwrap(), [seen(2, "b"), seen(3, "c")]);
    assert!(Sqlite::open(&folder.path().join("ven.db"), "ven-b").unwrap().nonces().unwrap().is_empty());
}

#[test]
fn files_that_are_no_store_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ven.db");
    std::fs::write(
        &path,
        "this is a text, and it is longer than the header of a database by far: ".repeat(20),
    )
    .unwrap();
    let error = Sqlite::open(&path, "a").unwrap_err().to_string();
    assert!(error.contains("ven.db") && error.contains("not a database"), "{error}");
    let newer = folder.path().join("newer.db");
    rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = Sqlite::open(&newer, "a").unwrap_err();
    assert!(matches!(error, StoreError::TooNew { found: 99, .. }), "{error}");
    let error = Sqlite::open(&folder.path().join("no/such/folder.db"), "a").unwrap_err().to_string();
    assert!(error.contains("no/such/folder.db"), "{error}");
}

#[test]
fn a_row_that_was_damaged_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    store.commit(&[Write::Registration(Some(registration())), Write::Request(request("p1"))], &[]).unwrap();
    let connection = rusqlite::Connection::open(folder.path().join("ven.db")).unwrap();
    connection.execute("UPDATE report_request SET points = 'nonsense'", []).unwrap();
    let error = store.load().unwrap_err().to_string();
    assert!(error.contains("points of a report request"), "{error}");
}

#[tokio::test]
async fn the_thread_commits_what_it_is_told_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (handle, snapshot) =
        StoreHandle::open(&folder.path().join("ven.db"), "ven-a", Bus::new(Clock::start())).unwrap();
    assert_eq!(snapshot, Snapshot::default());
    handle.commit(vec![Write::Registration(Some(registration()))], Vec::new()).await.unwrap();
    assert!(open(folder.path()).load().unwrap().registration.is_some(), "on the disk already");
    handle.put_series("main", Stored { checkpoint: "c".into(), ..Stored::default() }).await.unwrap();
    assert_eq!(handle.series("main").await.unwrap().checkpoint, "c");
}
