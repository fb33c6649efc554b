//! Reads the TOML file: every fault at once, each with its line and what to do about it.

mod changes;
mod fault;
mod handed;
mod hook;
mod http;
mod limits;
mod meter;
mod monitor;
mod opt_schedule;
mod plugin;
mod program;
mod read;
mod reader;
mod report;
mod secret;
mod shared_line;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub use changes::{Changes, Part};
pub use fault::{ConfigError, ConfigFault};
pub(crate) use hook::{HookFile, is_fit_from_afar, is_name, names_no_file, secret_files, with_secrets};
pub(crate) use http::{HASH as TOKEN_HASH, HttpSection, HttpTls, Scope, TokenProof, TokenSection};
pub(crate) use meter::{MapSource, MeterSection, MeterSource};
pub(crate) use monitor::PushMonitorSection;
pub(crate) use plugin::{PluginSection, RustPluginSection};
#[cfg(test)]
pub(crate) use program::MAX_MEMORY;
pub(crate) use program::{EnvValue, ProgramSection, Startup};
pub(crate) use secret::{SecretSource, read_private, setting};

use crate::fact::Topics;
use crate::handler::DefaultOpt;
use crate::hook::monitor::StaticMonitor;
use crate::hook::settings::{HookSettings, Serializer, Serializers};
use crate::metering::Quantity;
use crate::openadr::message::{
    Available, MarketContext, OptId, OptReason, OptType, RId, ReadingType, ReportName, ReportSpecifierId,
    ReportType, ResourceId, SignalName, Unit, VenId,
};
use crate::openadr::trust::{Fingerprint, Tolerance};
use crate::rules::Rule;
use crate::time::Span;

/// What paths in a configuration are relative to.
pub(crate) fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or_else(|| Path::new(""))
}

/// Everything that a VEN is told; see the examples in `examples/config`.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) file: PathBuf,
    /// Where each setting stands, for faults that are found later.
    pub(crate) lines: BTreeMap<String, usize>,
    pub(crate) ven: VenSection,
    pub(crate) vtn: VtnSection,
    /// `None`: we poll.
    pub(crate) push: Option<PushSection>,
    pub(crate) tls: TlsSection,
    pub(crate) signature: SignatureSection,
    pub(crate) handler: HandlerSection,
    /// What is answered for an event that the store cannot keep; `None`: nothing.
    pub(crate) opt_when_full: Option<OptType>,
    pub(crate) journal: JournalSection,
    /// `None`: there is no local API.
    pub(crate) http: Option<HttpSection>,
    pub(crate) meters: Vec<MeterSection>,
    pub(crate) reports: Vec<ReportSection>,
    pub(crate) report_sources: Vec<ReportSourceSection>,
    pub(crate) opt_schedules: Vec<OptScheduleSection>,
    pub(crate) bus: BusSection,
    pub(crate) hooks: Vec<HookSettings>,
    pub(crate) monitors: Vec<StaticMonitor>,
    /// `None`: monitors are read over the local API only.
    pub(crate) push_monitor: Option<PushMonitorSection>,
    /// The programs among them that are enabled.
    pub(crate) plugins: Vec<PluginSection>,
    /// Those that the program which embeds us brings.
    pub(crate) rust_plugins: Vec<RustPluginSection>,
    /// The hooks that have a file of their own, and which.
    pub(crate) hook_files: BTreeMap<String, PathBuf>,
}

/// `[ven]`: who we are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct VenSection {
    pub(crate) name: String,
    pub(crate) id: Option<VenId>,
    /// Resources that are ours, beside the meters.
    pub(crate) resources: Vec<ResourceId>,
    /// Groups that we belong to.
    pub(crate) groups: Vec<String>,
    /// The folder of the store.
    pub(crate) state: PathBuf,
    /// Register the reports after every restart.
    pub(crate) register_on_start: bool,
}

/// `[vtn]`: with whom we speak.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct VtnSection {
    pub(crate) url: String,
    pub(crate) market_contexts: Vec<MarketContext>,
    pub(crate) poll_default: Span,
    pub(crate) poll_min: Span,
    pub(crate) poll_max: Span,
    /// `None`: not before a restart.
    pub(crate) register_after_cancel: Option<Span>,
}

/// `[push]`: where the VTN posts its messages.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PushSection {
    /// Where we listen.
    pub(crate) listen: SocketAddr,
    /// Where the VTN finds that: `oadrTransportAddress`.
    pub(crate) address: String,
    /// The certificate that the VTN shows as a client; none: the one that signs its messages.
    pub(crate) pins: Vec<Fingerprint>,
}

/// `[tls]`: the connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TlsSection {
    /// `None`: what the operating system trusts.
    pub(crate) ca: Option<PathBuf>,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    /// What opens the key, where it is encrypted.
    pub(crate) passphrase: Option<SecretSource>,
    pub(crate) allow_common_name: bool,
    pub(crate) backend: TlsBackend,
}

/// Who does TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsBackend {
    Rustls,
    #[cfg(feature = "openssl")]
    OpenSsl,
}

/// `[signature]`: the messages.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SignatureSection {
    pub(crate) sign: bool,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) passphrase: Option<SecretSource>,
    pub(crate) verify: Verify,
    pub(crate) trust: TrustSection,
    /// How old a message may be.
    pub(crate) window: Span,
    pub(crate) tolerance: Tolerance,
}

/// What is demanded of the VTN's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verify {
    Require,
    IfPresent,
    Never,
}

/// By what the VTN's signature is known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TrustSection {
    Pinned(Vec<Fingerprint>),
    /// The certificate itself.
    Known {
        cert: PathBuf,
    },
    Chain {
        ca: PathBuf,
        name: String,
    },
}

/// `[handler]`: how it is decided.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HandlerSection {
    pub(crate) default: DefaultOpt,
    pub(crate) timeout: Span,
    pub(crate) rules: Vec<Rule>,
    /// `kind = "exec"`: a program decides in place of the rules.
    pub(crate) program: Option<ProgramSection>,
    /// Signals beyond those of the profile.
    pub(crate) signals: Vec<SignalName>,
}

/// `[journal]`: what went over the wire.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JournalSection {
    pub(crate) enabled: bool,
    /// No message stays longer.
    pub(crate) keep: Span,
    /// Octets of all of it.
    pub(crate) max_size: u64,
}

/// `[bus]`: what happened, and who is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BusSection {
    /// Hooks deliver; otherwise nothing is noted for them.
    pub(crate) hooks: bool,
    /// They do not during this run, whatever the file says.
    pub(crate) hooks_off: bool,
    /// Octets that facts and deliveries take in the store.
    pub(crate) max_size: u64,
    /// So often `system.tick` is told; `None`: never.
    pub(crate) tick: Option<Span>,
    /// A filter or a template that fails ends the program.
    pub(crate) strict: bool,
    /// Topics that the program wants which embeds the VEN; they stand in no file.
    pub(crate) told: Vec<Topics>,
}

/// `[[report]]`: what can be reported.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ReportSection {
    pub(crate) name: ReportName,
    pub(crate) specifier: ReportSpecifierId,
    pub(crate) points: Vec<PointSection>,
    pub(crate) min_period: Span,
    pub(crate) max_period: Span,
    pub(crate) kept: Span,
}

/// One data point of a report.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PointSection {
    pub(crate) r_id: RId,
    pub(crate) origin: PointOrigin,
    /// Named to the VTN as where the data come from.
    pub(crate) resource: ResourceId,
    pub(crate) report_type: ReportType,
    /// With the power of ten that its values are reported in; `None`: a status.
    pub(crate) unit: Option<Unit>,
    pub(crate) reading_type: ReadingType,
    /// A value belongs to a span of time, otherwise to an instant.
    pub(crate) interval_data: bool,
    /// `None`: it is of no programme alone.
    pub(crate) market_context: Option<MarketContext>,
}

/// Where the values of a data point come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PointOrigin {
    Meter {
        meter: String,
        quantity: Quantity,
    },
    /// A `[[report_source]]`, or one that the program brings.
    Source(String),
}

/// `[[report_source]]`: a program that is asked for values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ReportSourceSection {
    pub(crate) name: String,
    pub(crate) asked: AskedSource,
    /// It answers within this, or is ended.
    pub(crate) within: Span,
}

/// Who is asked for values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AskedSource {
    /// A program, which is run for each question.
    Exec {
        /// The program and its arguments.
        command: Vec<String>,
        environment: Vec<(String, EnvValue)>,
        max_memory: u64,
    },
    /// A `[[plugin]]` that is a program and goes on running.
    Plugin(String),
}

/// `[[opt_schedule]]`: when we take no part, or do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OptScheduleSection {
    pub(crate) name: OptId,
    pub(crate) opt: OptType,
    pub(crate) reason: OptReason,
    /// `None`: events of any programme.
    pub(crate) market_context: Option<MarketContext>,
    /// None: the whole VEN.
    pub(crate) resources: Vec<ResourceId>,
    pub(crate) periods: Vec<Available>,
}

impl Config {
    /// Reads a file, and those of hooks in `hooks.d` beside it; paths are relative to its folder. Environment variables
    /// `VEN__SECTION__KEY` go before it, and so do `VEN_PLUGINS=a,b`, which says which plugins run, and `VEN_HOOKS=off`.
    ///
    /// # Errors
    ///
    /// Every fault at once.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        Self::load_files(file, HookFile::all(file))
    }

    /// Reads a file as it would be if this file of a hook were there.
    ///
    /// # Errors
    ///
    /// Every fault at once.
    pub(crate) fn load_with(file: &Path, hook: HookFile) -> Result<Self, ConfigError> {
        let mut files = HookFile::all(file);
        files.retain(|other| other.path != hook.path);
        files.push(hook);
        Self::load_files(file, files)
    }

    /// This one with `[bus] hooks` switched off, also when its file is read anew while a VEN runs with it.
    #[must_use]
    pub fn without_hooks(mut self) -> Self {
        (self.bus.hooks, self.bus.hooks_off) = (false, true);
        self
    }

    /// The folder of the state, though other things that stand in the file may be wrong.
    ///
    /// # Errors
    ///
    /// Every fault at once, where it cannot be known.
    pub(crate) fn state_of(file: &Path) -> Result<PathBuf, ConfigError> {
        let in_spite_of = |error| {
            let text = std::fs::read_to_string(file).ok();
            let state = text.and_then(|text| read::state(&text, file, environment().ok()?));
            state.ok_or(error)
        };
        Self::load(file).map(|config| config.ven.state).or_else(in_spite_of)
    }

    fn load_files(file: &Path, hook_files: Vec<HookFile>) -> Result<Self, ConfigError> {
        let unreadable = |what: String| ConfigError {
            file: file.to_owned(),
            faults: vec![ConfigFault { file: None, line: None, key: String::new(), what }],
        };
        let text = std::fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))?;
        let mut overrides = environment().map_err(|error| unreadable(error.to_string()))?;
        let only = std::env::var_os("VEN_PLUGINS").map(|only| only.to_string_lossy().into_owned());
        overrides.extend(only.map(|only| ("plugins.only".to_owned(), only)));
        Self::from_text(&text, file, overrides, hook_files)
    }

    /// Reads a text as if it stood in that file, without the environment and without the files of hooks beside it.
    ///
    /// # Errors
    ///
    /// Every fault at once.
    pub fn from_toml(text: &str, file: &Path) -> Result<Self, ConfigError> {
        Self::from_text(text, file, BTreeMap::new(), Vec::new())
    }

    fn from_text(
        text: &str,
        file: &Path,
        overrides: BTreeMap<String, String>,
        hook_files: Vec<HookFile>,
    ) -> Result<Self, ConfigError> {
        read::config(text, file, overrides, hook_files)
            .map_err(|faults| ConfigError { file: file.to_owned(), faults })
    }

    /// Serializers that the program which embeds us brings, for the hooks that name them.
    pub(crate) fn bring_serializers(&mut self, brought: &Serializers) {
        for hook in &mut self.hooks {
            if let Some(Serializer::Own(own)) = &mut hook.words.serializer {
                own.bring(brought);
            }
        }
    }

    /// Whether a hook, a monitor or a plugin may tell facts of this topic. Where there is a local API, there may be a monitor of any topic
    /// tomorrow.
    pub(crate) fn tells(&self, topic: &str) -> bool {
        self.http.is_some()
            || self.hooks.iter().any(|hook| hook.enabled && hook.topics.pick(topic))
            || self.monitors.iter().any(|monitor| monitor.settings.topics.pick(topic))
            || self
                .plugins
                .iter()
                .any(|plugin| plugin.topics.as_ref().is_none_or(|topics| topics.pick(topic)))
            || self.bus.told.iter().any(|topics| topics.pick(topic))
    }

    /// A fault of a setting that was found wrong after reading.
    pub(crate) fn fault(&self, key: &str, what: impl Into<String>) -> ConfigFault {
        let file = key.strip_prefix("hook.").and_then(|name| self.hook_files.get(name)).cloned();
        ConfigFault { file, line: self.lines.get(key).copied(), key: key.to_owned(), what: what.into() }
    }
}

/// What the environment overrides, by `section.key`.
fn environment() -> Result<BTreeMap<String, String>, config::ConfigError> {
    use config::Source as _;
    let source = config::Environment::with_prefix("VEN").prefix_separator("__").separator("__");
    let text = |(key, value): (String, config::Value)| value.into_string().map(|text| (key, text));
    let mut overrides: BTreeMap<_, _> =
        source.collect()?.into_iter().map(text).collect::<Result<_, config::ConfigError>>()?;
    // A way out for one run, which is easily remembered.
    if let Some(word) = std::env::var_os("VEN_HOOKS") {
        overrides.insert("bus.hooks".to_owned(), switch(&word.to_string_lossy()));
    }
    Ok(overrides)
}

/// `on` and `off` as the reader of the file has it.
fn switch(word: &str) -> String {
    match word {
        "on" => "true".to_owned(),
        "off" => "false".to_owned(),
        other => other.to_owned(),
    }
}
