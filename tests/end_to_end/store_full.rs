//! A disk that takes nothing for a while: the VEN goes on polling, promises nothing that it cannot keep, and stores everything
//! as soon as it can.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::time::Duration;

use openadr_ven::message::{DataQuality, OptType, PayloadKind};
use openadr_ven::mock_meter::MockMeter;
use openadr_ven::mock_vtn::{EventBuilder, KeyKind};
use openadr_ven::time::Span;

use crate::support::full_disk::{limit, ven};
use crate::support::peers::peer;
use crate::support::telemetry::{cells, meter_section, wish};
use crate::support::{House, PATIENCE};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_promises_only_and_everything_is_stored_after_it() {
    let Some(prlimit) = peer("prlimit") else { return };
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    vtn.with(|core| core.piggyback = vec![wish("usage", Span::SECOND, Span::SECOND, None)]);
    let meter = MockMeter::start(house.folder.path(), "meter", Duration::from_secs(1)).unwrap();
    let more = format!("[handler]\ndefault = \"optIn\"\n{}", meter_section(meter.path()));
    let configuration = house.configure(&vtn.url(), &more);
    let process = ven(&configuration);
    assert!(vtn.until(PATIENCE, |core| core.reports.len() > 2).await);

    limit(&prlimit, &process, "0");
    let start = vtn.now() + Span::HOUR;
    vtn.with(|core| core.add_event(EventBuilder::new("during", start, Span::HOUR)));
    process.wait_for("journal of messages cannot be written", 0);
    let failing = process.wait_for("store fails", 0);
    let (polls, reports) = vtn.with(|core| (core.count(PayloadKind::Poll), core.reports.len()));
    assert!(vtn.until(PATIENCE, |core| core.count(PayloadKind::Poll) > polls + 5).await, "polling goes on");
    vtn.with(|core| {
        assert_eq!(core.reports.len(), reports, "no report is sent that is not stored");
        let opts: Vec<_> = core.opts.iter().map(|opt| opt.opt).collect();
        assert_eq!(opts, [OptType::OptOut], "[store] when_full");
    });

    limit(&prlimit, &process, "unlimited");
    let full_until = vtn.now();
    process.wait_for("store works again", failing);
    process.wait_for("journal of messages is written again", failing);
    let opted = vtn.until(PATIENCE, |core| core.opts.last().is_some_and(|opt| opt.opt == OptType::OptIn));
    assert!(opted.await, "asked again, and the change is told; the log:\n{}", process.log().join("\n"));
    process.wait_for("during: changed from optOut to optIn", failing);
    let later = |core: &mut openadr_ven::mock_vtn::VtnCore| {
        cells(&core.reports).iter().any(|cell| cell.start > full_until + Span::SECOND)
    };
    assert!(vtn.until(PATIENCE, later).await, "reporting goes on");
    process.kill();

    let all = vtn.with(|core| cells(&core.reports));
    let energy: Vec<_> = all.iter().filter(|cell| cell.point == "main.import_energy").collect();
    assert!(energy.windows(2).all(|two| two[1].start - two[0].start == Span::SECOND), "{energy:?}");
    assert!(energy.iter().all(|cell| cell.quality == DataQuality::Good), "{energy:?}");
    let again = ven(&configuration);
    again.wait_for("registered again", 0);
    let answered = vtn.with(|core| core.opts.len());
    assert!(vtn.until(PATIENCE, |core| core.opts.len() > answered).await, "the event was stored");
    assert_eq!(vtn.with(|core| core.opts.last().unwrap().opt), OptType::OptIn);
    assert_every_reading_is_stored(&house, &meter, &all.last().unwrap().start);
    again.terminate();
}

/// From the first report on, up to the last.
fn assert_every_reading_is_stored(house: &House, meter: &MockMeter, to: &openadr_ven::time::Timestamp) {
    let store = rusqlite::Connection::open(house.path("state/ven.db")).unwrap();
    let mut statement = store
        .prepare(
            "SELECT start_us FROM meter_cell
         WHERE length_us = 1000000 AND channel = 'import' ORDER BY start_us",
        )
        .unwrap();
    let stored: Vec<i64> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let written = meter.written().into_iter().map(|telegram| telegram.at);
    for at in written.filter(|at| at.micros() >= stored[0] && at <= to) {
        assert!(stored.contains(&at.micros()), "the reading of {at} was lost: {stored:?}");
    }
}
