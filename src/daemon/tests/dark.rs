//! Nobody hears what the VEN tells: ten hooks whose other ends are dead, and ten monitors that nobody reads. What is kept for them
//! stays within its bounds, and what is lost is counted.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::config::Config;
use crate::daemon::bus::Bus;
use crate::daemon::clock::Clock;
use crate::daemon::fact_keeper::{self, RETENTION};
use crate::daemon::monitor::{Door, Found, Monitors, Patience, PushMonitors, Reader};
use crate::daemon::outbox::{Ground, Outbox};
use crate::daemon::prepare::Prepared;
use crate::daemon::status::{Status, keep};
use crate::daemon::store::{DeliveryStatus, Retention, Sqlite, StoreHandle, Wanted};
use crate::daemon::transport::Listener;
use crate::fact::{Draft, Topics, topic};
use crate::hook::render::VenNames;
use crate::hook::settings::QueueLimits;
use crate::mock_vtn::{KeyKind, TestCertificates};
use crate::time::{Span, Timestamp};

const SECONDS: u32 = 7_200;
/// The facts of meters that the durable hook keeps, and the control facts that all of them may take in the store, in octets.
const METER_FACTS: u64 = 1 << 20;
const FACTS: u64 = 256 << 10;
/// What SQLite writes into its log before it moves that into the database: a thousand pages, and a transaction.
const WAL: u64 = 5 << 20;
/// What the ring holds of facts, in octets; see `bus.rs`.
const RING: usize = 8 << 20;
/// Monitors that are pushed to somebody who never reads, and those whose cursor is not used again.
const SILENT: std::ops::RangeInclusive<u32> = 1..=5;
const TOKEN: &str = "ven_0123456789012345678901234567890123456789012";

/// One that is asked for nothing but its name.
struct Nobody;

impl Door for Nobody {
    fn owner(&self, _: &str) -> Option<String> {
        Some("nobody".to_owned())
    }

    fn failed(&self, _: IpAddr) -> Duration {
        Duration::ZERO
    }
}

/// A VEN's hooks and monitors, and everybody who does not hear them.
struct Dark {
    folder: TempDir,
    clock: Clock,
    bus: Bus,
    store: StoreHandle,
    meter_facts: StoreHandle,
    outbox: Outbox,
    monitors: Monitors,
    push: SocketAddr,
    _names: watch::Sender<VenNames>,
}

fn hooks(dead: SocketAddr, hole: SocketAddr) -> String {
    let all = "topics = [\"**\"]";
    let private = "allow_private = true\nallow_http = true";
    let durable = format!(
        "durable = \"always\"\nmeter_queue = {{ max_bytes = \"{}KiB\", max_items = 100000, max_age = \"1d\" }}",
        METER_FACTS / 1_024
    );
    let hooks = [
        ("durable", "http", format!("{all}\nurl = \"http://{dead}/\"\n{private}\n{durable}")),
        ("dead", "http", format!("{all}\nurl = \"http://{dead}/\"\n{private}")),
        ("dark", "http", format!("{all}\nurl = \"http://{hole}/\"\n{private}")),
        (
            "batch",
            "http",
            format!(
                "{all}\nurl = \"http://{hole}/\"\n{private}\nbatch = {{ max_items = 50, max_wait = \"5s\" }}"
            ),
        ),
        ("mqtt", "mqtt", format!("{all}\nurl = \"mqtt://{dead}\"\nbase = \"ven\"")),
        ("tcp", "tcp", format!("connect = \"{dead}\"")),
        ("serial", "serial", "port = \"/dev/ttyNOBODY\"".to_owned()),
        ("file", "file", format!("{all}\npath = \"/dev/full\"")),
        ("exec", "exec", format!("{all}\ncommand = [\"/bin/sleep\", \"86400\"]")),
        (
            "pvoutput",
            "pvoutput",
            format!("url = \"https://{dead}\"\nsystem_id = \"1\"\napi_key = \"${{file:token}}\""),
        ),
    ];
    let hook = |(name, kind, more): &(&str, &str, String)| {
        format!("[[hook]]\nname = \"{name}\"\ntype = \"{kind}\"\n{more}\n")
    };
    hooks.iter().map(hook).collect()
}

fn configuration(folder: &Path, dead: SocketAddr, hole: SocketAddr) -> Config {
    use std::os::unix::fs::PermissionsExt as _;
    let certificates = TestCertificates::create(&folder.join("certs"), KeyKind::P256).unwrap();
    std::fs::write(folder.join("token"), TOKEN).unwrap();
    std::fs::set_permissions(folder.join("token"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let pin = certificates.vtn_fingerprint();
    let monitor = |id: u32| {
        format!("[[monitor]]\nid = {id}\nowner = \"nobody\"\ntopics = [\"**\"]\nack = \"explicit\"\n")
    };
    let text = format!(
        "[ven]\nname = \"dark\"\nstate = \"state\"\n[vtn]\nurl = \"https://localhost\"\n[tls]\nca = \"certs/ca.pem\"\n\
         cert = \"certs/ven.pem\"\nkey = \"certs/ven.key\"\n[signature]\nvtn_fingerprint = \"{pin}\"\n\
         [[meter]]\nname = \"main\"\nsource = \"api\"\n[http]\nlisten = \"127.0.0.1:0\"\n[[http.token]]\nname = \"nobody\"\n\
         token = \"${{file:token}}\"\nscopes = [\"monitors\", \"meter\"]\n{}{}",
        SILENT.map(monitor).collect::<String>(),
        hooks(dead, hole)
    );
    Config::from_toml(&text, &folder.join("ven.toml")).unwrap()
}

impl Dark {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::start_virtually(Timestamp::from_seconds(1_900_000_000));
        let bus = Bus::new(clock);
        let open = |name: &str, bus: Bus| {
            StoreHandle::start_task(Box::new(Sqlite::open(&folder.path().join(name), "dark").unwrap()), bus)
        };
        let (store, meter_facts) = (open("ven.db", bus.clone()), open("meter-facts.db", Bus::new(clock)));
        let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let config = configuration(folder.path(), dead, open_hole().await);
        let (names, told) = watch::channel(VenNames { name: "dark".into(), ..VenNames::default() });
        let board = keep(Status::default(), bus.clone(), clock, std::future::pending());
        let mut ground = Ground::new(&bus, &store, clock, told, &board);
        ground.meter_facts = Some(meter_facts.clone());
        let hooks = Prepared::new(&config).unwrap().hooks.into_iter().map(|hook| hook.parts);
        let outbox = Outbox::start(hooks.collect(), &ground).await;
        let retention = Retention { max_bytes: FACTS, ..RETENTION };
        tokio::spawn(fact_keeper::keep(bus.clone(), store.clone(), clock, retention, std::future::pending()));
        let monitors = Monitors::open(bus.clone(), store.clone(), clock, config.monitors).await.unwrap();
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let push = listener.address().unwrap();
        let (door, patience) = (Arc::new(Nobody), Patience::default());
        let server = PushMonitors { monitors: monitors.clone(), door, patience, tls: None };
        tokio::spawn(server.run(listener, std::future::pending()));
        Self { folder, clock, bus, store, meter_facts, outbox, monitors, push, _names: names }
    }

    /// Somebody who says which monitor to push, and never reads.
    async fn fall_silent(&self, id: u32) -> TcpStream {
        let text = |text: &str| [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
        let body = [&[0, 1][..], &text("nobody"), &text(TOKEN), &id.to_be_bytes()].concat();
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let mut stream = TcpStream::connect(self.push).await.unwrap();
        stream.write_all(&[&[0, 1][..], &length, &body].concat()).await.unwrap();
        stream
    }

    /// The meter speaks, and each minute an interval of an event begins.
    async fn second(&self, second: u32) {
        let now = self.clock.now().wall;
        let of = |topic: &topic::Topic, text: &str| {
            let mut data: Map<String, Value> = serde_json::from_str(topic.sample).unwrap();
            data.insert("text".to_owned(), text.into());
            Draft { topic: topic.name.to_owned(), subject: Some("main".into()), time: now, data }
        };
        self.bus.publish(of(&topic::meter::TELEGRAM, &"telegram ".repeat(100)));
        self.bus.publish(of(&topic::meter::READING, ""));
        if second.is_multiple_of(60) {
            let interval = of(&topic::event::INTERVAL, "");
            self.store.commit(Vec::new(), vec![interval]).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    /// What is kept for whom is within its bounds; returns how many facts wait, and how many were told or lost, of each hook.
    async fn assert_bounded(&self) -> Vec<(String, usize, u64)> {
        let ring: usize = self.bus.after(0, usize::MAX).facts.iter().map(|fact| fact.weight()).sum();
        assert!(ring <= RING, "{ring} octets in the ring");
        let mut hooks = Vec::new();
        for name in self.outbox.names() {
            let view = self.outbox.look(&name).await.unwrap();
            let limits = [(QueueLimits::CONTROL, view.control), (QueueLimits::METER, view.meter)];
            for (limits, load) in limits {
                let items = if name == "durable" { 100_000 } else { limits.max_items };
                assert!(load.items <= items && load.bytes <= limits.max_bytes, "{name}: {load:?}");
            }
            let lost = view.losses;
            let gone = view.sent
                + lost.dead
                + lost.unsaid
                + lost.expired
                + lost.full
                + lost.too_large
                + lost.superseded;
            hooks.push((name, view.control.items + view.meter.items, gone));
        }
        hooks
    }

    /// Octets of a database, with what is about to be written to it.
    fn size(&self, name: &str) -> u64 {
        let length = |ending: &str| std::fs::metadata(self.folder.path().join(format!("{name}{ending}")));
        ["", "-wal"].iter().filter_map(|ending| length(ending).ok()).map(|about| about.len()).sum()
    }
}

/// Takes everybody in, and never says a word.
async fn open_hole() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    address
}

#[expect(clippy::print_stderr, reason = "it tells what it measured")]
#[tokio::test(start_paused = true)]
async fn ten_dead_hooks_and_ten_dead_monitors_are_kept_no_more_than_they_may_have() {
    let dark = Dark::start().await;
    let Dark { bus, store, clock, monitors, .. } = &dark;
    let topics = Topics::parse(["**"]).unwrap();
    let mut abandoned: Vec<Reader> =
        (0..5).map(|_| Reader::new(bus.clone(), store.clone(), *clock, topics.clone(), Some(0))).collect();
    let mut silent = Vec::new();
    for second in 1..=SECONDS {
        // Those who never read are sent away, and come again.
        if second % 600 == 1 {
            silent.clear();
            for id in SILENT {
                silent.push(dark.fall_silent(id).await);
            }
            dark.assert_bounded().await;
        }
        dark.second(second).await;
        if second == 1 {
            for reader in &mut abandoned {
                assert!(!reader.next(10).await.unwrap().is_empty());
            }
        }
    }
    let last = *bus.newest().borrow();
    for (name, waiting, gone) in dark.assert_bounded().await {
        eprintln!("{name}: {waiting} wait, {gone} told or lost of {last}");
        if ["dead", "dark", "batch"].contains(&name.as_str()) {
            // But for what was told of the hook itself, and for what has come since it was looked at.
            let known = waiting as u64 + gone;
            assert!(known + 200 >= last, "{name} knows of {known} facts of {last}");
        }
    }
    for reader in &mut abandoned {
        let found = reader.ready(10).await.unwrap();
        assert!(matches!(found[0], Found::Gap(_)), "what is missing is told: {:?}", found[0]);
    }
    let wanted = Wanted { status: Some(DeliveryStatus::Waiting), most: usize::MAX, ..Wanted::default() };
    let waiting = dark.meter_facts.facts(move |log| log.deliveries(&wanted)).await.unwrap();
    let octets: usize = waiting.iter().map(|one| serde_json::to_string(&one.fact.data).unwrap().len()).sum();
    assert!(
        waiting.len() > 100 && octets as u64 <= METER_FACTS * 5 / 4,
        "{} facts, {octets} octets",
        waiting.len()
    );
    let sizes = ["ven.db", "meter-facts.db"].map(|name| dark.size(name));
    eprintln!(
        "ven.db {} octets, meter-facts.db {}; {} monitors",
        sizes[0],
        sizes[1],
        monitors.list(None).len()
    );
    assert!(sizes[0] <= WAL + 2 * FACTS && sizes[1] <= WAL + 5 * METER_FACTS, "{sizes:?}");
    assert!(clock.now().since_start >= Span::from_seconds(SECONDS.into()), "all that time has passed");
}
