//! What `[[hook]]` says, whatever its type.

use std::str::FromStr;

use crate::fact::Topics;
use crate::time::Span;

/// One hook, as it is configured; what its type needs besides stands in `target`.
#[derive(Clone, Debug)]
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
}

/// No serializer has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no serializer is called \"{0}\"; there are cloudevents, data and dsmr-reader")]
pub(crate) struct UnknownSerializer(String);

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

/// Where it goes; secrets are resolved.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Http(HttpTarget),
}

/// `type = "http"`.
#[derive(Clone, Debug)]
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
    pub(crate) ca: Option<std::path::PathBuf>,
}
