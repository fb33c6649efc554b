//! A VEN and everything around it, in virtual time.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::house::{House, Ledger, Said};
use crate::config::Config;
use crate::daemon::bus::Bus;
use crate::daemon::clock::Clock;
use crate::daemon::control::{Desk, Others, Readers};
use crate::daemon::handler_seat::HandlerSeat;
use crate::daemon::meter_source::Fed;
use crate::daemon::meter_task::{MeterSettings, MeterTask, Order};
use crate::daemon::meters::Meters;
use crate::daemon::outbox::Outbox;
use crate::daemon::plugin::Plugins;
use crate::daemon::prepare::Prepared;
use crate::daemon::reload::Reload;
use crate::daemon::source_seat::{SourceSeat, Sources};
use crate::daemon::status::{Status, keep};
use crate::daemon::store::{Sqlite, Store as _, StoreHandle};
use crate::daemon::ven::point_sources;
use crate::daemon::ven_task::{Pushes, VenTask};
use crate::daemon::writer::Writer;
use crate::engine::{Engine, ExchangeId, Input};
use crate::hook::render::VenNames;
use crate::metering::Decoder;
use crate::mock_vtn::{Answer, KeyKind, TestCertificates, VtnCore};
use crate::notice::Notice;
use crate::openadr::message::{DataQuality, Duration, Payload, PayloadBase};
use crate::openadr::trust::Verified;
use crate::openadr::xml::{Limits, decode_document, encode};
use crate::rules::RulesHandler;
use crate::time::{Span, Timestamp};

/// How long a message is on its way.
const LATENCY: std::time::Duration = std::time::Duration::from_millis(20);
const POLL: Span = Span::from_seconds(10);
const VEN: &str = "test-ven";

/// A meter, and when it speaks.
pub(super) struct Meter {
    pub(super) name: &'static str,
    pub(super) house: House,
    /// At every whole multiple of this ...
    pub(super) every: Span,
    /// ... and so much later, ...
    pub(super) after: Span,
    /// ... but not then, when it only goes on counting.
    pub(super) silent: Range<Timestamp>,
}

/// What is behind a meter's line.
#[derive(Default)]
struct Line {
    ledger: Ledger,
    /// The VEN that listens.
    ven: Option<(Box<dyn Decoder>, mpsc::Sender<Fed>)>,
}

/// One value that the VTN has got.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Got {
    pub(super) start: Timestamp,
    pub(super) duration: Option<Span>,
    pub(super) value: PayloadBase,
    pub(super) quality: DataQuality,
}

pub(super) struct World {
    folder: TempDir,
    config: Config,
    clock: Clock,
    vtn: Arc<Mutex<VtnCore>>,
    lines: BTreeMap<&'static str, Arc<Mutex<Line>>>,
    troubles: Arc<Mutex<Vec<Notice>>>,
    ven: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    starts: u64,
}

impl World {
    /// It is that time; the VEN is configured with these sections and has these meters.
    pub(super) async fn new(start: Timestamp, sections: &str, meters: Vec<Meter>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificates = TestCertificates::create(&folder.path().join("certs"), KeyKind::P256).unwrap();
        let pin = certificates.vtn_fingerprint();
        let text = format!(
            "[ven]\nname = \"{VEN}\"\nstate = \"state\"\n[vtn]\nurl = \"https://localhost\"\n[tls]\nca = \"certs/ca.pem\"\n\
             cert = \"certs/ven.pem\"\nkey = \"certs/ven.key\"\n[signature]\nvtn_fingerprint = \"{pin}\"\n{sections}"
        );
        let config = Config::from_toml(&text, &folder.path().join("ven.toml")).unwrap();
        std::fs::create_dir_all(&config.ven.state).unwrap();
        let clock = Clock::start_virtually(start);
        let lines = meters.into_iter().map(|meter| {
            let (name, line) = (meter.name, Arc::new(Mutex::new(Line::default())));
            tokio::spawn(speak(meter, clock, line.clone()));
            (name, line)
        });
        let mut world = Self {
            lines: lines.collect(),
            folder,
            config,
            clock,
            vtn: Arc::new(Mutex::new(VtnCore::new("vtn", POLL))),
            troubles: Arc::default(),
            ven: None,
            starts: 0,
        };
        world.start_ven().await;
        world
    }

    /// Lets time pass up to then.
    pub(super) async fn run_to(&self, wall: Timestamp) {
        tokio::time::sleep_until(at(self.clock, wall)).await;
    }

    /// The VEN is stopped, and started again with what it has stored.
    pub(super) async fn restart_ven(&mut self) {
        let (stop, stopped) = self.ven.take().unwrap();
        drop(stop);
        stopped.await.unwrap();
        self.start_ven().await;
    }

    async fn start_ven(&mut self) {
        let prepared = Prepared::new(&self.config).unwrap();
        let mut file = Sqlite::open(&self.folder.path().join("ven.db"), VEN).unwrap();
        let snapshot = file.load().unwrap();
        let bus = Bus::new(self.clock);
        let board = keep(Status::default(), bus.clone(), self.clock, std::future::pending());
        bus.go_on_after(file.facts().begin_places().unwrap());
        let store = StoreHandle::start_task(Box::new(file), bus.clone());
        let (inputs, waiting) = mpsc::unbounded_channel();
        let (messages, outbox) = mpsc::unbounded_channel();
        tokio::spawn(listen(bus.listen(), self.troubles.clone()));
        tokio::spawn(carry(self.vtn.clone(), self.clock, outbox, inputs.clone()));
        let mut orders = BTreeMap::new();
        for settings in prepared.meters {
            orders.insert(settings.name.clone(), self.start_meter(settings, &store, &bus).await);
        }
        let handler = RulesHandler { rules: Vec::new(), default: self.config.handler.default };
        let others = SourceSeat::new(Sources::new(), &bus).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        self.starts += 1;
        let task = VenTask {
            engine: Engine::new(prepared.settings, snapshot, self.starts),
            clock: self.clock,
            store,
            seat: HandlerSeat::new(Arc::new(handler), inputs.clone()).unwrap(),
            meters: Meters::new(orders, others, point_sources(&self.config), self.clock, inputs),
            desk: Desk::open(
                &self.config.ven.state,
                Others {
                    outbox: Outbox::default(),
                    board,
                    readers: Readers::new(None, Plugins::default()),
                    reload: Reload::default(),
                },
            ),
            messages,
            bus,
            outbox: Outbox::default(),
            names: watch::Sender::new(VenNames::default()),
            writer: Writer::default(),
            pushes: Pushes::new(mpsc::channel(1).1),
            poll: None,
        };
        let stop_with = async { stopped.await.map_or_else(|_| String::new(), |()| String::new()) };
        self.ven = Some((stop, tokio::spawn(task.run(waiting, stop_with))));
    }

    async fn start_meter(
        &self,
        settings: MeterSettings,
        store: &StoreHandle,
        bus: &Bus,
    ) -> mpsc::Sender<Order> {
        let stored = store.series(&settings.name).await.unwrap();
        let (fed, feeding) = mpsc::channel(8);
        let decoder = settings.protocol.decoder();
        self.lines[settings.name.as_str()].lock().unwrap().ven = Some((decoder, fed));
        let (orders, waiting) = mpsc::channel(64);
        let task = MeterTask::new(settings, self.clock, store.clone(), &stored, bus.clone());
        tokio::spawn(task.run(waiting, feeding));
        orders
    }

    /// Speaks with the VTN.
    pub(super) fn vtn<T>(&self, say: impl FnOnce(&mut VtnCore) -> T) -> T {
        say(&mut self.vtn.lock().unwrap())
    }

    /// What a meter has said so far.
    pub(super) fn ledger(&self, meter: &str) -> Ledger {
        self.lines[meter].lock().unwrap().ledger.clone()
    }

    /// What the VTN has got of a data point for a request, in the order in which it came.
    pub(super) fn got(&self, request: &str, point: &str) -> Vec<Got> {
        let vtn = self.vtn.lock().unwrap();
        let reports = vtn.reports.iter().filter(|report| report.report_request_id.as_str() == request);
        let mut got = Vec::new();
        for interval in reports.flat_map(|report| &report.intervals) {
            let payloads = interval.report_payloads().filter(|payload| payload.r_id.as_str() == point);
            got.extend(payloads.map(|payload| Got {
                start: interval.start.unwrap(),
                duration: interval.duration.map(Duration::nominal),
                value: payload.value.clone(),
                quality: payload.data_quality.clone().unwrap(),
            }));
        }
        got
    }

    /// Nobody has anything to complain of, but the VEN of these.
    pub(super) fn assert_lawful(&self, known: &[&str]) {
        assert_eq!(self.vtn.lock().unwrap().violations, [""; 0]);
        let troubles: Vec<_> = self.troubles.lock().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(troubles, known);
    }
}

/// That time, as the runtime's timers want it.
fn at(clock: Clock, wall: Timestamp) -> tokio::time::Instant {
    let now = clock.now();
    clock.instant(now.since_start + (wall - now.wall))
}

impl Line {
    /// What a meter says at that time.
    fn carry(&mut self, at: Timestamp, bytes: &[u8], said: Said) {
        self.ledger.note(at, said);
        let Some((decoder, ven)) = &mut self.ven else { return };
        decoder.push(bytes);
        while let Some(telegram) = decoder.next() {
            let fed = Fed::Telegram { telegram: telegram.unwrap(), received: at, raw: None };
            // A VEN that is stopped does not listen any more; one that runs is not slow in virtual time.
            assert!(!matches!(ven.try_send(fed), Err(TrySendError::Full(_))));
        }
    }
}

/// Plays a meter, whoever listens.
async fn speak(mut meter: Meter, clock: Clock, line: Arc<Mutex<Line>>) {
    let now = clock.now().wall;
    let mut next = now.floor_to(meter.every) + meter.after;
    if next <= now {
        next += meter.every;
    }
    loop {
        tokio::time::sleep_until(at(clock, next)).await;
        let (bytes, said) = (meter.house)(next);
        if !meter.silent.contains(&next) {
            line.lock().unwrap().carry(next, &bytes, said);
        }
        next += meter.every;
    }
}

/// Carries messages to the VTN and back, as texts.
async fn carry(
    vtn: Arc<Mutex<VtnCore>>,
    clock: Clock,
    mut outbox: mpsc::UnboundedReceiver<(ExchangeId, Payload)>,
    inputs: mpsc::UnboundedSender<Input>,
) {
    while let Some((exchange, payload)) = outbox.recv().await {
        tokio::time::sleep(LATENCY).await;
        let (service, request) = (payload.kind().service(), in_writing(&payload, &Limits::VTN));
        let answer = vtn.lock().unwrap().handle(clock.now().wall, service, request);
        let reply = match answer {
            Answer::Message(reply) => Some(Verified::for_test(in_writing(&reply, &Limits::VEN))),
            Answer::Empty => None,
            other @ (Answer::Status(..) | Answer::Repeat(_)) => panic!("{other:?}"),
        };
        // The VEN may have been stopped meanwhile.
        drop(inputs.send(Input::Replied { exchange, reply }));
    }
}

/// What is left of a message after it was written and read.
fn in_writing(payload: &Payload, limits: &Limits) -> Payload {
    decode_document(encode(payload).unsigned().as_bytes(), limits).unwrap()
}

/// Keeps what the VEN complains of.
async fn listen(mut notices: broadcast::Receiver<Notice>, troubles: Arc<Mutex<Vec<Notice>>>) {
    loop {
        match notices.recv().await {
            Ok(notice) if notice.is_trouble() => troubles.lock().unwrap().push(notice),
            Ok(_) => {}
            Err(RecvError::Lagged(missed)) => panic!("{missed} notices were missed"),
            Err(RecvError::Closed) => return,
        }
    }
}
