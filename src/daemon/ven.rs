//! Starts a VEN, and gives the program that embeds it a handle.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::config::{Changes, Config, ConfigError, MeterSource};
use crate::engine::{Engine, Input, RegistrationRecord};
use crate::fact::{Fact, Topics};
use crate::handler::EventHandler;
use crate::hook::render::VenNames;
use crate::hook::settings::Serializers;
use crate::notice::Notice;
use crate::openadr::message::{
    EventId, OptType, RId, ReportRequest, ReportRequestId, ReportSpecifierId, SiScale, Unit,
};
use crate::openadr::xml::Limits;
use crate::plugin::{Plugin, PluginError};
use crate::report_source::ReportSource;
use crate::time::Timestamp;

use super::api;
use super::beginning::{Beginning, tell_life};
use super::bus::Bus;
use super::clock::{self, Clock};
use super::control::{Desk, Others, Readers};
use super::courier::Courier;
use super::entropy;
use super::fact_keeper::{self, RETENTION};
use super::handler_seat::{DynHandler, HandlerSeat};
use super::inlets::{Inlets, Posted};
use super::journal::{FOLDER, Journal};
use super::meter_source::{FeedSettings, Place, feed, feed_posted};
use super::meter_task::{MeterSettings, MeterTask, Order};
use super::meters::{Meters, PointSource};
use super::monitors_start::start_monitors;
use super::outbox::Ground;
use super::plugin::{DynPlugin, Room, RustPlugins};
use super::prepare::{Prepared, PreparedPush};
use super::prepare_programs::rust_plugins;
use super::programs::Programs;
use super::reload::{self, Live, Reload, ReloadError, Reloading, start_hooks};
use super::scribe::Scribe;
use super::source_exec::{report_sources, with_plugins};
use super::source_seat::{DynSource, SourceSeat};
use super::status::Board;
use super::store::{Retention, StoreError, StoreHandle};
use super::transport::{PullClient, PushDesk, PushServer};
use super::ven_task::{Push, Pushes, VenTask};
use super::wire::Wire;
use super::writer::Writer;
use super::{api_hook_files, api_hooks, api_monitors, api_plugins};

/// Pushed messages that may wait for the engine.
const PUSHES: usize = 16;
/// Facts of meters that are still to be told, in `[ven] state`.
const METER_FACTS: &str = "meter-facts.db";
/// Orders that may wait for a meter.
const ORDERS: usize = 64;
/// What comes from a meter and may wait for its task.
const FED: usize = 64;

/// A virtual end node: the client end of demand response.
#[derive(Debug)]
pub struct Ven;

impl Ven {
    /// Begins with a configuration.
    #[must_use]
    pub fn builder(config: Config) -> VenBuilder {
        VenBuilder { config, brought: Brought::default(), wall_clock: clock::system }
    }
}

/// Takes what a VEN needs before it starts.
pub struct VenBuilder {
    config: Config,
    brought: Brought,
    wall_clock: fn() -> Timestamp,
}

/// What the program brings of its own.
#[derive(Clone, Default)]
pub(crate) struct Brought {
    /// Decides instead of the rules or the program in the configuration.
    pub(crate) handler: Option<Arc<dyn DynHandler>>,
    /// Sources of reports, by the names that the configuration has for them.
    pub(crate) sources: BTreeMap<String, Arc<dyn DynSource>>,
    pub(crate) plugins: BTreeMap<String, Arc<dyn DynPlugin>>,
    /// Words for hooks.
    pub(crate) serializers: Serializers,
}

/// Why a VEN cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration, or a file that it names.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The folder of the store, or the store.
    #[error("store: {0}")]
    Store(String),
    /// The program that decides.
    #[error("[handler]: {0}")]
    Handler(String),
    /// A plugin.
    #[error("{0}")]
    Plugin(String),
    /// The system.
    #[error("system: {0}")]
    System(String),
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

impl VenBuilder {
    /// Decides with this instead of the rules or the program in the configuration.
    #[must_use]
    pub fn handler(mut self, handler: impl EventHandler) -> Self {
        self.brought.handler = Some(Arc::new(handler));
        self
    }

    /// Reports from this too, under a name by which `[[report]]` speaks of it: `points = [ { source = "battery", unit = "W" } ]`.
    #[must_use]
    pub fn report_source(mut self, name: impl Into<String>, source: impl ReportSource) -> Self {
        self.brought.sources.insert(name.into(), Arc::new(source));
        self
    }

    /// Reads this wall clock instead of the system's. Together with tokio's clock, paused, it lets a month pass in minutes; what a
    /// certificate is valid for when a connection is made is judged by the system's all the same. One that says a time before 2026 is taken
    /// for one that was not set yet: until it is, the VTN is not spoken to, and readings of meters are told but not kept.
    #[must_use]
    pub const fn wall_clock(mut self, wall_clock: fn() -> Timestamp) -> Self {
        self.wall_clock = wall_clock;
        self
    }

    /// Tells this what happens, too; its name is a small letter, and small letters, digits, `_` and `-`.
    #[must_use]
    pub fn plugin(mut self, name: impl Into<String>, plugin: impl Plugin) -> Self {
        self.brought.plugins.insert(name.into(), Arc::new(plugin));
        self
    }

    /// Tells hooks in these words, where they name it: `serializer = "mine"` in `[[hook]]`. It is given what one message tells of: one fact,
    /// or those of a batch. What it writes must be what the `content_type` of the hook says, JSON where it says nothing; where it
    /// is not, or this fails or panics, the message is not sent and is kept as `error`. It is called on samples when the VEN starts.
    #[must_use]
    pub fn serializer(
        mut self,
        name: impl Into<String>,
        write: impl Fn(&[&Fact]) -> Result<String, PluginError> + Send + Sync + 'static,
    ) -> Self {
        self.brought.serializers.insert(name.into(), Arc::new(write));
        self
    }

    pub(crate) fn bring(self, brought: Brought) -> Self {
        Self { brought, ..self }
    }

    /// The configuration, with what the program brings for it.
    fn config(&self) -> Config {
        let mut config = self.config.clone();
        config.bring_serializers(&self.brought.serializers);
        config
    }

    /// Starts the VEN on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// Where something that the configuration names cannot be used. That the VTN is away is no error.
    pub async fn start(self) -> Result<VenHandle, StartError> {
        // It is large, and nobody should have to carry it about.
        Box::pin(self.start_all()).await
    }

    async fn start_all(self) -> Result<VenHandle, StartError> {
        let config = telling(self.config(), &self.brought.plugins);
        let Self { brought, wall_clock, .. } = self;
        let mut prepared = Prepared::new(&config)?;
        let others = report_sources(&config, brought.sources.clone())?;
        let of_program = rust_plugins(&config, brought.plugins.clone())?;
        prepared.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let system = |error: std::io::Error| StartError::System(error.to_string());
        let clock = Clock::by(wall_clock);
        let Beginning { state, bus, store, snapshot, told } = Beginning::of(&config, clock)?;
        let (inputs, waiting) = mpsc::unbounded_channel();
        let gone = || over(inputs.clone());
        let board = api::board(&config, &snapshot, &bus, clock, gone());
        let (messages, outbox) = mpsc::unbounded_channel();
        let (pushes, pushed) = mpsc::channel(PUSHES);
        let (inlets, posts) = inlets(&prepared.meters);
        let room = Room { bus: bus.clone(), clock, inlets };
        let programs = (prepared.handler, prepared.plugins);
        let programs = Programs::start(brought.handler.clone(), &config, programs, &room).await?;
        let of_program = RustPlugins::start(of_program, &room).map_err(StartError::Plugin)?;
        let plugins = programs.plugins().with(of_program.seats());
        let seat = HandlerSeat::new(programs.handler(), inputs.clone()).map_err(system)?;
        let orders = start_meters(prepared.meters, posts, clock, &store, &bus).await?;
        let others = SourceSeat::new(with_plugins(others, &config, &plugins), &bus).map_err(system)?;
        let mut meters = Meters::new(orders, others, point_sources(&config), clock, inputs.clone());
        snapshot.requests.values().for_each(|request| meters.expect_step(request.granularity));
        prepared.gate.remember(store.nonces().await?);
        let monitors = start_monitors(&config, prepared.http.as_ref(), (&bus, &store, clock), gone).await?;
        let held = Arc::new(prepared.credentials);
        let credentials = watch::Sender::new(held.clone());
        let journal = Journal::start(state.join(FOLDER), &config.journal, clock, bus.clone());
        let wire = Wire::new(bus.clone(), clock);
        let scribe = Scribe::new(credentials.subscribe(), prepared.gate, store.clone(), journal, wire);
        let client = PullClient::new(prepared.root, held.tls.clone(), Limits::VEN.bytes);
        tokio::spawn(Courier { client, held, scribe: scribe.clone() }.run(outbox, inputs.clone()));
        serve_push(prepared.push, scribe, pushes, &bus, gone()).await?;
        let (names, ground) = ground(&config, snapshot.registration.as_ref(), (&bus, &store, clock), &board)?;
        let of_monitors = api_monitors::routes(monitors.clone(), &ground);
        let (outbox, hooks) = start_hooks(prepared.hooks, &config, ground).await;
        // What is stored before the hooks are there is for none of them.
        tokio::spawn(fact_keeper::keep(bus.clone(), store.clone(), clock, retention(&config), gone()));
        let readers = Readers::new(Some(monitors.clone()), plugins.clone());
        let tokens = prepared.http.as_ref().map(|setup| setup.tokens.clone());
        let live = Live { hooks, programs, monitors, tokens };
        let (reload, reloading) = reload::start(config.clone(), live, brought.clone(), credentials, gone());
        let of_files = api_hook_files::routes(&reload, &config.file, brought.serializers);
        let of_hooks = api_hooks::routes(&outbox, &store, clock);
        let more = [of_hooks, of_files, of_monitors, api_plugins::routes(&plugins)].concat();
        let http_address = api::serve(prepared.http, &board, &room.inlets, more, clock, gone()).await?;
        tell_life(told, &config, (&bus, &store, clock), gone());
        let whom = Others { outbox: outbox.clone(), board, readers, reload: reload.clone() };
        let seed = entropy::seed().map_err(|_| StartError::System("no random numbers".into()))?;
        let (stop, stopped) = oneshot::channel();
        let task = VenTask {
            engine: Engine::new(prepared.settings, snapshot, seed),
            clock,
            store,
            seat,
            meters,
            desk: Desk::open(&state, whom),
            outbox,
            names,
            messages,
            bus: bus.clone(),
            writer: Writer::default(),
            pushes: Pushes::new(pushed),
            poll: None,
        };
        // Dropping the handle stops the VEN too.
        let task = tokio::spawn(task.run(waiting, told_to_stop(stopped)));
        Ok(VenHandle { inputs, bus, http_address, reload, task, ends: Some((stop, reloading, of_program)) })
    }
}

/// Takes what the VTN pushes, if it does, until `gone`.
async fn serve_push(
    push: Option<PreparedPush>,
    scribe: Arc<Scribe>,
    pushes: mpsc::Sender<Push>,
    bus: &Bus,
    gone: impl Future<Output = ()> + Send + 'static,
) -> Result<(), StartError> {
    let Some(PreparedPush { listen, path, .. }) = push else { return Ok(()) };
    let desk = PushDesk { path, scribe, pushes, bus: bus.clone() };
    let server = PushServer::bind(listen).await;
    let server = server.map_err(|error| StartError::System(format!("[push] listen {listen}: {error}")))?;
    tokio::spawn(server.run(desk, gone));
    Ok(())
}

/// Why the VEN is to stop, once it is.
async fn told_to_stop(stopped: oneshot::Receiver<String>) -> String {
    stopped.await.unwrap_or_else(|_| "nobody holds it any more".to_owned())
}

/// The configuration, with what these plugins want; that a pattern is none, they are told when they start.
fn telling(mut config: Config, plugins: &BTreeMap<String, Arc<dyn DynPlugin>>) -> Config {
    let topics = |plugin: &Arc<dyn DynPlugin>| {
        let patterns = plugin.topics();
        Topics::parse(patterns.iter().map(String::as_str)).ok()
    };
    config.bus.told = plugins.values().filter_map(topics).collect();
    config
}

/// When the VEN has ended.
async fn over(inputs: mpsc::UnboundedSender<Input>) {
    inputs.closed().await;
}

/// How long facts are kept.
fn retention(config: &Config) -> Retention {
    Retention { max_bytes: config.bus.max_size, ..RETENTION }
}

/// Where hooks keep facts of meters, where one wants that: a file of its own, since what the VEN itself has to keep must never wait for
/// them.
pub(super) fn meter_facts(config: &Config, clock: Clock) -> Result<Option<StoreHandle>, StoreError> {
    if !config.hooks.iter().any(|hook| hook.enabled && hook.durable_always) {
        return Ok(None);
    }
    let (path, bus, now) = (config.ven.state.join(METER_FACTS), Bus::new(clock), clock.now().wall);
    Ok(Some(StoreHandle::open_or_begin_anew(&path, &config.ven.name, bus, now)?.store))
}

/// What hooks stand on, and where they are told with whom we speak.
fn ground(
    config: &Config,
    registration: Option<&RegistrationRecord>,
    (bus, store, clock): (&Bus, &StoreHandle, Clock),
    board: &Board,
) -> Result<(watch::Sender<VenNames>, Ground), StoreError> {
    let (names, told_names) = watch::channel(names(config, registration));
    let mut ground = Ground::new(bus, store, clock, told_names, board);
    ground.meter_facts = meter_facts(config, clock)?;
    Ok((names, ground))
}

/// Who we are, and with whom we speak, as far as that is known.
fn names(config: &Config, registration: Option<&RegistrationRecord>) -> VenNames {
    VenNames {
        name: config.ven.name.clone(),
        id: registration.map(|registration| registration.ven_id.to_string()),
        vtn_id: registration.map(|registration| registration.vtn_id.to_string()),
    }
}

/// Telegrams that may wait for a meter.
const POSTS: usize = 8;

/// What was given to the meters that get their telegrams from others.
type Posts = BTreeMap<String, mpsc::Receiver<Posted>>;

/// Where to give telegrams to those that get them from others, and where they take them.
fn inlets(meters: &[MeterSettings]) -> (Inlets, Posts) {
    let take = meters.iter().filter(|settings| settings.source == MeterSource::Api);
    let ends = take.map(|settings| {
        let (inlet, posts) = mpsc::channel(POSTS);
        ((settings.name.clone(), inlet), (settings.name.clone(), posts))
    });
    let (inlets, posts): (Vec<_>, Posts) = ends.unzip();
    (Inlets::from_iter(inlets), posts)
}

/// Begins to read the meters, those on one line together; where to ask each for data.
async fn start_meters(
    meters: Vec<MeterSettings>,
    mut posted: Posts,
    clock: Clock,
    store: &StoreHandle,
    bus: &Bus,
) -> Result<BTreeMap<String, mpsc::Sender<Order>>, StartError> {
    let mut orders = BTreeMap::new();
    let mut lines: Vec<(FeedSettings, Vec<Place>)> = Vec::new();
    for settings in meters {
        let stored = store.series(&settings.name).await?;
        let (order, waiting) = mpsc::channel(ORDERS);
        orders.insert(settings.name.clone(), order);
        let posts = posted.remove(&settings.name);
        let meter = MeterTask::new(settings, clock, store.clone(), &stored, bus.clone());
        let (out, fed) = mpsc::channel(FED);
        let (line, place) = (meter.line(), meter.place(out));
        if let Some(posts) = posts {
            tokio::spawn(feed_posted(posts, place, clock));
        } else {
            match lines.iter_mut().find(|(known, _)| known.source == line.source) {
                Some((_, places)) => places.push(place),
                None => lines.push((line, vec![place])),
            }
        }
        tokio::spawn(meter.run(waiting, fed));
    }
    for (line, places) in lines {
        tokio::spawn(feed(line, places, clock, false));
    }
    Ok(orders)
}

/// Where each data point comes from.
pub(super) fn point_sources(config: &Config) -> BTreeMap<(ReportSpecifierId, RId), PointSource> {
    let points =
        config.reports.iter().flat_map(|report| report.points.iter().map(move |point| (report, point)));
    points
        .map(|(report, point)| {
            let source = PointSource {
                origin: point.origin.clone(),
                interval_data: point.interval_data,
                scale: point.unit.as_ref().and_then(Unit::scale).unwrap_or(SiScale::None),
            };
            ((report.specifier.clone(), point.r_id.clone()), source)
        })
        .collect()
}

/// A VEN that runs; it stops when this is dropped.
#[derive(Debug)]
pub struct VenHandle {
    inputs: mpsc::UnboundedSender<Input>,
    bus: Bus,
    http_address: Option<SocketAddr>,
    reload: Reload,
    task: JoinHandle<()>,
    /// Until it is stopped: the VEN, the program that decides and plugins, and those that the program brings.
    ends: Option<(oneshot::Sender<String>, Reloading, RustPlugins)>,
}

impl VenHandle {
    /// Everything that happens from now on. A listener that is more than a thousand notices behind misses the oldest, and is told how many.
    #[must_use]
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.bus.listen()
    }

    /// Waits until the filter or the template of a hook has failed, and says which and why; only with `[bus] strict = true`, otherwise for
    /// ever. The VEN goes on all the same.
    pub async fn strict_fault(&self) -> String {
        self.bus.complaint().await
    }

    /// Changes the decision about an event, in a person's name; nothing happens where the event is not known or over.
    pub fn opt(&self, event: EventId, opt: OptType) {
        drop(self.inputs.send(Input::Opt { event, opt }));
    }

    /// Asks the VTN for reports of its own, or for its metadata; `along`: with the answer to the next metadata that it sends. What
    /// comes is told as [`Notice::VtnReportsRegistered`] and [`Notice::VtnReported`].
    pub fn request_reports(&self, requests: Vec<ReportRequest>, along: bool) {
        drop(self.inputs.send(Input::RequestReports { requests, along }));
    }

    /// Wants no more of these reports of the VTN; `along`: with the answer to the next data that it sends.
    pub fn cancel_requested(&self, ids: Vec<ReportRequestId>, report_to_follow: bool, along: bool) {
        drop(self.inputs.send(Input::CancelRequested { ids, report_to_follow, along }));
    }

    /// Takes another configuration while the VEN runs: hooks, plugins, monitors, who decides, and tokens of the local API are exchanged
    /// where they are different, and left alone where they are not. What else is different is named in [`Changes::needs_restart`], and
    /// stays as it was.
    ///
    /// `ven reload` does this with what stands in the file then: `ven.reload(Config::load(path)?)`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it; the old one goes on, untouched.
    pub async fn reload(&self, config: Config) -> Result<Changes, ReloadError> {
        self.reload.take(Some(config)).await.map(|reloaded| reloaded.changes)
    }

    /// Reads the configuration and the files that it names anew; the log says what came of it.
    pub(crate) fn hang_up(&self) {
        self.read_certificates();
        self.reload.request();
    }

    /// Reads certificates, keys and trust anew, if their files have changed; without this, it is noticed within seconds.
    pub fn read_certificates(&self) {
        self.reload.read_certificates();
    }

    /// Where the local API of `[http]` listens, with the port that the system has chosen where `listen` says 0.
    #[must_use]
    pub const fn http_address(&self) -> Option<SocketAddr> {
        self.http_address
    }

    /// Ends the registration; the VEN goes on running, unregistered.
    pub fn unregister(&self) {
        drop(self.inputs.send(Input::Unregister));
    }

    /// Stops the VEN and waits until everything is stored. The registration stays.
    pub async fn stop(mut self) {
        let Some((stop, reloading, of_program)) = self.ends.take() else { return };
        // One that has ended by itself needs no reason.
        drop(stop.send("it was told to stop".to_owned()));
        drop((&mut self.task).await);
        tokio::join!(reloading.close(), of_program.close());
    }
}
