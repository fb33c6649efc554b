//! What `[[hook]]` says, whatever its type.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use crate::fact::{Fact, Topics};
use crate::time::Span;

/// One hook, as it is configured; what its type needs besides stands in `target`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HookSettings {
    /// `^[a-z][a-z0-9_-]{0,62}$`, unlike every other.
    pub(crate) name: String,
    pub(crate) enabled: bool,
    pub(crate) topics: Topics,
    /// An expression of minijinja; what it does not hold of is not told.
    pub(crate) filter: Option<String>,
    /// Facts of meters are kept on the disk too.
    pub(crate) durable_always: bool,
    /// One that fails holds up those behind it.
    pub(crate) strict_order: bool,
    /// Of one try.
    pub(crate) timeout: Span,
    /// Control facts that wait.
    pub(crate) queue: QueueLimits,
    /// Facts of meters that wait.
    pub(crate) meter_queue: QueueLimits,
    pub(crate) batch: Batching,
    /// Time between two messages at least; of facts of meters the newest wins.
    pub(crate) min_interval: Span,
    /// A message like the one before (of the same topic and subject) is not sent.
    pub(crate) on_change: bool,
    pub(crate) retry: RetrySettings,
    pub(crate) words: Words,
    pub(crate) target: Target,
}

/// How much may wait, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueLimits {
    pub(crate) max_items: usize,
    pub(crate) max_bytes: usize,
    pub(crate) max_age: Span,
    pub(crate) when_full: WhenFull,
}

/// Which fact gives way in a full queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    DropOldest,
    DropNewest,
}

impl QueueLimits {
    /// For control facts.
    pub(crate) const CONTROL: Self = Self {
        max_items: 10_000,
        max_bytes: 16 << 20,
        max_age: Span::from_seconds(3 * 86_400),
        when_full: WhenFull::DropOldest,
    };
    /// For facts of meters.
    pub(crate) const METER: Self = Self {
        max_items: 600,
        max_bytes: 4 << 20,
        max_age: Span::from_seconds(900),
        when_full: WhenFull::DropOldest,
    };
}

/// How many facts go into one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batching {
    pub(crate) max_items: usize,
    /// How long the first may wait for others.
    pub(crate) max_wait: Span,
}

/// When it is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RetrySettings {
    /// Waits before the first, second, … try; the last is repeated until the fact is too old.
    pub(crate) schedule: Vec<Span>,
    pub(crate) meter_schedule: Vec<Span>,
    /// Per cent by which each wait is more or less, by chance.
    pub(crate) jitter_percent: u8,
    /// A message that is not taken is tried so often.
    pub(crate) poison_attempts: u32,
}

impl RetrySettings {
    /// `"standard"`: 0, 5 s, 5 min, 30 min, then hourly; one try serves all that waits, so the late steps are short.
    pub(crate) const STANDARD: [Span; 5] = [
        Span::ZERO,
        Span::from_seconds(5),
        Span::from_seconds(300),
        Span::from_seconds(1800),
        Span::from_seconds(3600),
    ];
    /// `"standard-webhooks"`: the example of Standard Webhooks 1.0.0, 75 hours in all.
    pub(crate) const STANDARD_WEBHOOKS: [Span; 10] = [
        Span::ZERO,
        Span::from_seconds(5),
        Span::from_seconds(300),
        Span::from_seconds(1800),
        Span::from_seconds(2 * 3600),
        Span::from_seconds(5 * 3600),
        Span::from_seconds(10 * 3600),
        Span::from_seconds(14 * 3600),
        Span::from_seconds(20 * 3600),
        Span::from_seconds(24 * 3600),
    ];
    /// For facts of meters, which are stale soon.
    pub(crate) const METER: [Span; 5] = [
        Span::ZERO,
        Span::from_seconds(5),
        Span::from_seconds(30),
        Span::from_seconds(120),
        Span::from_seconds(300),
    ];
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            schedule: Self::STANDARD.to_vec(),
            meter_schedule: Self::METER.to_vec(),
            jitter_percent: 20,
            poison_attempts: 3,
        }
    }
}

/// In which words facts are told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Words {
    /// A template of minijinja; `None`: the serializer.
    pub(crate) template: Option<String>,
    /// `None`: the default, where there is neither a template nor a form.
    pub(crate) serializer: Option<Serializer>,
    /// Of what is sent; `None`: as the serializer has it.
    pub(crate) content_type: Option<String>,
    /// Fields of a form, each a template.
    pub(crate) form: Vec<(String, String)>,
    /// New names of members of `data`, and which are left over: `fields = { power = "net_w" }`.
    pub(crate) fields: Vec<(String, String)>,
    /// In which zone times are written.
    pub(crate) timezone: TimeZone,
}

/// How a fact is written where there is no template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Serializer {
    /// `CloudEvents` 1.0, JSON.
    #[default]
    CloudEvents,
    /// The data alone.
    Data,
    /// As DSMR-reader's API takes a reading.
    DsmrReading,
    /// As a function of the program that embeds us writes it.
    Own(OwnSerializer),
}

/// Why facts cannot be written.
pub(crate) type WriteError = Box<dyn std::error::Error + Send + Sync>;
/// Writes facts as a receiver wants them.
pub(crate) type WriteFacts = dyn Fn(&[&Fact]) -> Result<String, WriteError> + Send + Sync;
/// Functions that write facts, by their names.
pub(crate) type Serializers = BTreeMap<String, Arc<WriteFacts>>;

/// A serializer of the program that embeds us.
#[derive(Clone)]
pub(crate) struct OwnSerializer {
    pub(crate) name: String,
    /// `None`: the program does not bring it.
    pub(crate) write: Option<Arc<WriteFacts>>,
    /// What it brings, for people.
    pub(crate) known: Vec<String>,
}

impl OwnSerializer {
    /// One that nobody brings yet.
    pub(crate) const fn named(name: String) -> Self {
        Self { name, write: None, known: Vec::new() }
    }

    /// Looks for it among those that the program brings.
    pub(crate) fn bring(&mut self, brought: &Serializers) {
        self.write = brought.get(&self.name).cloned();
        self.known = brought.keys().cloned().collect();
    }
}

impl PartialEq for OwnSerializer {
    /// One name, one function.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for OwnSerializer {}

impl std::fmt::Debug for OwnSerializer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// No serializer has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no serializer is called \"{0}\"; there are cloudevents, data and dsmr-reader")]
pub(crate) struct UnknownSerializer(String);

impl Serializer {
    /// Those that there are everywhere.
    pub(crate) const NAMES: &[&str] = &["cloudevents", "data", "dsmr-reader"];
}

impl FromStr for Serializer {
    type Err = UnknownSerializer;

    fn from_str(text: &str) -> Result<Self, UnknownSerializer> {
        match text {
            "cloudevents" => Ok(Self::CloudEvents),
            "data" => Ok(Self::Data),
            "dsmr-reader" => Ok(Self::DsmrReading),
            _ => Err(UnknownSerializer(text.to_owned())),
        }
    }
}

/// In which zone times are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum TimeZone {
    #[default]
    Utc,
    /// Of the machine.
    Local,
    /// A name of the IANA, as `Europe/Amsterdam`.
    Named(String),
}

impl From<&str> for TimeZone {
    /// `utc`, `local`, or a name, which is looked up where words are read.
    fn from(text: &str) -> Self {
        match text {
            "utc" => Self::Utc,
            "local" => Self::Local,
            name => Self::Named(name.to_owned()),
        }
    }
}

/// Where it goes. As the configuration is read, secrets stand in it as `${env:NAME}` and `${file:/path}`; in what a sink gets, they are
/// there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Target {
    Http(HttpTarget),
    Mqtt(MqttTarget),
    File(FileTarget),
    Tcp(TcpTarget),
    Serial(SerialTarget),
    Exec(ExecTarget),
    PvOutput(PvOutputTarget),
}

/// `type = "http"`.
#[derive(Clone, PartialEq)]
pub(crate) struct HttpTarget {
    pub(crate) url: String,
    pub(crate) method: String,
    pub(crate) headers: Vec<(String, String)>,
    /// Statuses that mean that it is there; none: 200 to 299.
    pub(crate) expect: Vec<u16>,
    pub(crate) gzip: bool,
    /// Secrets of Standard Webhooks, `whsec_…` or `whsk_…`; several while they are changed.
    pub(crate) secrets: Vec<String>,
    /// Addresses of the own machine and the own network may be spoken to.
    pub(crate) allow_private: bool,
    /// Certificates that are trusted; none: what the system trusts.
    pub(crate) ca: Option<PathBuf>,
}

impl std::fmt::Debug for HttpTarget {
    /// Without the URL, headers and secrets, in all of which there may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpTarget").field("method", &self.method).finish_non_exhaustive()
    }
}

/// `type = "mqtt"`; MQTT 3.1.1.
#[derive(Clone, PartialEq)]
pub(crate) struct MqttTarget {
    /// `mqtt://host[:1883]` or `mqtts://host[:8883]`.
    pub(crate) url: String,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    /// No other client of the broker has it.
    pub(crate) client_id: String,
    /// What every topic begins with, as `ven/house`.
    pub(crate) base: String,
    pub(crate) layout: Layout,
    /// 0, 1 or 2; with 0 a message counts as sent once it is on its way.
    pub(crate) qos: u8,
    /// The broker keeps the last message of each topic.
    pub(crate) retain: bool,
    /// What a topic was last told is not told again before it changes.
    pub(crate) on_change: bool,
    /// The prefix of topics under which Home Assistant is told what there is; `None`: it is not.
    pub(crate) discovery: Option<String>,
    /// Home Assistant knows nothing any more of a meter that was silent for this long.
    pub(crate) expire_after: Option<Span>,
    /// Facts of events are among its topics, so that Home Assistant is told of them.
    pub(crate) events: bool,
    /// Readings of this meter go to `<base>/meter`, those of another to `<base>/meter/reading/<its name>`.
    pub(crate) main_meter: Option<String>,
    /// Certificates that are trusted; none: what the system trusts.
    pub(crate) ca: Option<PathBuf>,
}

impl std::fmt::Debug for MqttTarget {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MqttTarget").field("url", &self.url).field("base", &self.base).finish_non_exhaustive()
    }
}

/// Into which topics a fact goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One, with all of it.
    #[default]
    Json,
    /// One for each member of its data.
    Split,
    /// As `Json`, but a telegram goes as the meter said it, byte by byte.
    Raw,
}

/// `type = "file"`; a message is a line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FileTarget {
    pub(crate) path: PathBuf,
    /// One that would grow beyond is put aside as `<path>.1`, the one before as `<path>.2`, …
    pub(crate) max_bytes: u64,
    /// How many are put aside; the oldest is deleted.
    pub(crate) keep: u32,
    /// It is on the disk before it counts as sent.
    pub(crate) fsync: bool,
}

/// `type = "tcp"`; raw telegrams, and of other facts the words of the hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TcpTarget {
    /// To everybody who connects to this address, `host:port`.
    Listen(String),
    /// To this address.
    Connect(String),
}

/// `type = "serial"`; raw telegrams, and of other facts the words of the hook.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SerialTarget {
    pub(crate) port: PathBuf,
    /// `"inherit"` is resolved: the line of the meter.
    pub(crate) line: SerialLine,
    /// What is not out within this is given up, the rest of it is thrown away.
    pub(crate) write_timeout: Span,
}

/// How a serial line is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SerialLine {
    pub(crate) baud: u32,
    /// 5 to 8.
    pub(crate) data_bits: u8,
    pub(crate) parity: Parity,
    /// 1 or 2.
    pub(crate) stop_bits: u8,
    pub(crate) flow: Flow,
}

impl SerialLine {
    /// As P1 ports of DSMR 4 and 5 speak.
    pub(crate) const P1: Self =
        Self { baud: 115_200, data_bits: 8, parity: Parity::None, stop_bits: 1, flow: Flow::None };
}

/// The bit that is added to each character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parity {
    None,
    Even,
    Odd,
}

/// Who may stop the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    None,
    XonXoff,
    RtsCts,
}

/// `type = "exec"`; a process for each message, which it gets on its standard input.
#[derive(Clone, PartialEq)]
pub(crate) struct ExecTarget {
    /// The program and its arguments; no shell reads them.
    pub(crate) command: Vec<String>,
    /// What it finds in its environment besides `PATH`, `HOME`, `LANG`, `TZ` and what is said of the message.
    pub(crate) env: Vec<(String, String)>,
    /// Octets of memory that it may have of its own.
    pub(crate) max_memory: u64,
}

impl std::fmt::Debug for ExecTarget {
    /// Without arguments and environment, in which secrets may stand.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecTarget").field("program", &self.command.first()).finish_non_exhaustive()
    }
}

/// `type = "pvoutput"`; facts of `meter.interval`.
#[derive(Clone, PartialEq)]
pub(crate) struct PvOutputTarget {
    /// Where the service is; `https://pvoutput.org` unless it is a test.
    pub(crate) url: String,
    pub(crate) system_id: String,
    pub(crate) api_key: String,
    /// In which the system lies: days and times are told in it.
    pub(crate) timezone: TimeZone,
    /// Slots are told so long after they are over.
    pub(crate) offset: Span,
    /// For accounts that have donated: the service puts off what follows from new values by so many minutes.
    pub(crate) processing_delay: Option<Span>,
    /// Slots older than this are not taken: 14 days, 90 for accounts that have donated.
    pub(crate) max_age: Span,
    /// Certificates that are trusted; none: what the system trusts.
    pub(crate) ca: Option<PathBuf>,
}

impl std::fmt::Debug for PvOutputTarget {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PvOutputTarget").field("system_id", &self.system_id).finish_non_exhaustive()
    }
}

impl Target {
    /// The `type` of the configuration.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Mqtt(_) => "mqtt",
            Self::File(_) => "file",
            Self::Tcp(_) => "tcp",
            Self::Serial(_) => "serial",
            Self::Exec(_) => "exec",
            Self::PvOutput(_) => "pvoutput",
        }
    }
}
