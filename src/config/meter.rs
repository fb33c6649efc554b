//! Reads `[[meter]]`: where a meter's bytes come from, and how they are understood.

use std::path::{Path, PathBuf};

use crate::metering::{BUILT_IN, Framing, Limits, Protocol, Ratio, Transformers};
use crate::time::Span;

use super::fault::nearest;
use super::limits::limits;
use super::read::{or, secret};
use super::reader::{Found, Section};
use super::secret::SecretSource;

/// `[[meter]]`: one meter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MeterSection {
    pub(crate) name: String,
    pub(crate) source: MeterSource,
    pub(crate) protocol: Protocol,
    /// The speed of a serial port; `None`: the usual one.
    pub(crate) baud: Option<u32>,
    /// The bits of a character on a serial port; `None`: the usual ones.
    pub(crate) framing: Option<Framing>,
    /// Opens what the meter encrypts.
    pub(crate) key: Option<SecretSource>,
    /// Proves that it was the meter.
    pub(crate) authentication_key: Option<SecretSource>,
    /// What nothing proves to be the meter's is taken.
    pub(crate) unauthenticated: bool,
    /// What its clock is ahead of UTC in winter.
    pub(crate) clock_base: Span,
    /// It is asked, and does not speak by itself; for IEC 62056-21.
    pub(crate) asked: bool,
    /// The device that is meant, where several hear the line; empty: any.
    pub(crate) address: String,
    /// It has a battery, and sleeps.
    pub(crate) wake_up: bool,
    /// Its blocks are believed though their checksums are wrong.
    pub(crate) ignore_bcc: bool,
    /// What is read one by one, in programming mode; none: what the meter tells of itself.
    pub(crate) read: Vec<String>,
    /// How often a meter is asked that does not speak by itself; `None`: as is usual.
    pub(crate) every: Option<Span>,
    /// It is built in the other way round: what it calls import is export.
    pub(crate) invert: bool,
    /// Its address on a bus.
    pub(crate) unit: u8,
    /// Where it has what; for Modbus.
    pub(crate) map: Option<MapSource>,
    /// What its lists mean, in a file; `None`: what the program knows; for DLMS.
    pub(crate) models: Option<PathBuf>,
    /// The one of these models that it is; `None`: as its lists look.
    pub(crate) model: Option<String>,
    /// Pulses of an S0 output for one kWh.
    pub(crate) pulses_per_kwh: u32,
    /// By what its values are multiplied, for it is connected through transformers; `None`: nobody has said so.
    pub(crate) transformers: Option<Transformers>,
    /// Between which values it is believed.
    pub(crate) limits: Limits,
}

/// Where a map of registers is to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MapSource {
    /// With the program, under this name.
    BuiltIn(String),
    File(PathBuf),
}

impl MapSource {
    /// A name, or the path of a file, which ends in `.toml`.
    pub(crate) fn parse(text: &str, folder: &Path) -> Self {
        let path = Path::new(text);
        let is_file = path.extension().is_some_and(|ending| ending == "toml");
        if is_file { Self::File(folder.join(path)) } else { Self::BuiltIn(text.to_owned()) }
    }
}

/// Where a meter's bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MeterSource {
    /// A serial port.
    Serial(PathBuf),
    /// A host and its port that hand a serial line through as it is.
    Tcp(String),
    /// What was recorded.
    File(PathBuf),
    /// What a command of the shell writes to its standard output.
    Exec(String),
    /// What programs post to the local API.
    Api,
}

impl MeterSource {
    /// Reads `serial:PATH`, `tcp://HOST:PORT`, `file:PATH`, `exec:COMMAND` and `api`; files are relative to that folder.
    ///
    /// # Errors
    ///
    /// Says what was expected.
    pub(crate) fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        const FORMS: &str =
            "\"serial:/dev/...\", \"tcp://host:port\", \"file:/path\", \"exec:command\" or \"api\"";
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        match (kind, rest) {
            ("api", "") if text == "api" => Ok(Self::Api),
            ("serial", path) if !path.is_empty() => Ok(Self::Serial(folder.join(path))),
            ("file", path) if !path.is_empty() => Ok(Self::File(folder.join(path))),
            ("exec", command) if !command.trim().is_empty() => Ok(Self::Exec(command.to_owned())),
            ("tcp", address) if is_address(address.strip_prefix("//").unwrap_or_default()) => {
                Ok(Self::Tcp(address.trim_start_matches('/').to_owned()))
            }
            _ => {
                let near = nearest(kind, &["serial", "tcp", "file", "exec"]).filter(|near| *near != kind);
                let near = near.map_or_else(String::new, |near| format!("; did you mean \"{near}:\"?"));
                Err(format!("expected {FORMS}, found \"{text}\"{near}"))
            }
        }
    }
}

impl std::fmt::Display for MeterSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Serial(path) | Self::File(path) => path.display().fmt(f),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Exec(command) => f.write_str(command),
            Self::Api => f.write_str("api"),
        }
    }
}

/// Speeds that serial ports have.
pub(super) const SPEEDS: &[u32] =
    &[300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600];

pub(super) fn meter(section: Section<'_, '_>, folder: &Path) -> Option<MeterSection> {
    let name = section.required("name", "give the meter a name of your choice, as name = \"main\"");
    let name = name.and_then(|found| usable(&section, found));
    let advice =
        "name its port, as source = \"serial:/dev/serial/by-id/...\"; ven meter detect PORT finds the rest";
    let source = section.required("source", advice).and_then(|found| source(&section, &found, folder));
    let protocol = or(section.choice("protocol", Protocol::WORDS), Protocol::Dsmr);
    strangers(&section, protocol);
    let (baud, framing) = line(&section, source.as_ref());
    let key = secret(&section, "key", "a key", folder);
    let authentication_key = secret(&section, "authentication_key", "a key", folder);
    let unauthenticated = or(section.boolean("unauthenticated"), false);
    if authentication_key.is_some() && !section.has("key") {
        section.fault_at("authentication_key", "needs key beside it");
    }
    let clock_base = or(section.span("clock_base"), Span::HOUR);
    let asked = or(section.choice("mode", &[("pull", true), ("push", false)]), true);
    let is_asked = match protocol {
        Protocol::Iec62056 => asked,
        Protocol::Modbus | Protocol::S0 => true,
        Protocol::Dsmr | Protocol::Sml | Protocol::Dlms => false,
    };
    if source == Some(MeterSource::Api) && is_asked {
        section.fault_at(
            "source",
            "the local API takes whole telegrams of meters that speak by themselves only",
        );
    }
    let address = or(section.text("address"), String::new());
    let wake_up = or(section.boolean("wake_up"), false);
    let ignore_bcc = or(section.boolean("ignore_bcc"), false);
    let read = section.texts("read").into_iter().map(|found| found.value).collect();
    let every = section.span("every").map(|found| found.value);
    let invert = or(section.boolean("invert"), false);
    let unit = or(section.whole("unit", 1..=247), 1);
    let map = map(&section, protocol, folder);
    let models = section.text("models").map(|found| folder.join(found.value));
    let model = section.text("model").map(|found| found.value);
    let pulses_per_kwh = pulses(&section, protocol);
    let transformers = transformers(&section);
    let limits = limits(&section);
    section.end();
    Some(MeterSection {
        name: name?,
        source: source?,
        protocol,
        baud,
        framing,
        key,
        authentication_key,
        unauthenticated,
        clock_base,
        asked,
        address,
        wake_up,
        ignore_bcc,
        read,
        every,
        invert,
        unit,
        map,
        models,
        model,
        pulses_per_kwh,
        transformers,
        limits,
    })
}

/// The transformers through which it is connected; where only one ratio is set, the other is 1.
fn transformers(section: &Section<'_, '_>) -> Option<Transformers> {
    let ratio = |name| section.parse_text(name, "a ratio like \"200/5\" or \"40\"", Ratio::parse);
    let (current, voltage) = (ratio("current_ratio"), ratio("voltage_ratio"));
    (current.is_some() || voltage.is_some())
        .then(|| Transformers { current: or(current, Ratio::ONE), voltage: or(voltage, Ratio::ONE) })
}

/// Pulses for one kWh, which no meter can be read without.
fn pulses(section: &Section<'_, '_>, protocol: Protocol) -> u32 {
    let found = section.number("pulses_per_kwh");
    if found.is_none() && protocol == Protocol::S0 && !section.has("pulses_per_kwh") {
        let advice = "is missing; it stands on the meter (imp/kWh), as pulses_per_kwh = 1000";
        section.fault("pulses_per_kwh", advice);
    }
    if let Some(found) = found.as_ref().filter(|found| !(1..=1_000_000).contains(&found.value)) {
        section.reader.fault(found.line, &found.key, format!("expected 1 to 1000000, found {}", found.value));
    }
    or(found, 1000)
}

/// Of meters that tell registers; who counts pulses says how many there are for one kWh of the line.
const TELLING: &[Protocol] =
    &[Protocol::Dsmr, Protocol::Sml, Protocol::Dlms, Protocol::Iec62056, Protocol::Modbus];

/// Settings that only some protocols have, and which.
const ONLY_FOR: &[(&str, &[Protocol])] = &[
    ("key", &[Protocol::Dsmr, Protocol::Dlms]),
    ("authentication_key", &[Protocol::Dsmr, Protocol::Dlms]),
    ("unauthenticated", &[Protocol::Dsmr, Protocol::Dlms]),
    ("clock_base", &[Protocol::Dsmr, Protocol::Dlms, Protocol::Iec62056]),
    ("mode", &[Protocol::Iec62056]),
    ("address", &[Protocol::Iec62056]),
    ("wake_up", &[Protocol::Iec62056]),
    ("ignore_bcc", &[Protocol::Iec62056]),
    ("read", &[Protocol::Iec62056]),
    ("every", &[Protocol::Iec62056, Protocol::Modbus]),
    ("invert", &[Protocol::Modbus, Protocol::S0]),
    ("pulses_per_kwh", &[Protocol::S0]),
    ("current_ratio", TELLING),
    ("voltage_ratio", TELLING),
    ("unit", &[Protocol::Modbus]),
    ("models", &[Protocol::Dlms]),
    ("model", &[Protocol::Dlms]),
    ("map", &[Protocol::Modbus]),
];

/// Faults settings of other protocols.
fn strangers(section: &Section<'_, '_>, protocol: Protocol) {
    for (name, protocols) in ONLY_FOR.iter().filter(|(name, _)| section.has(name)) {
        if !protocols.contains(&protocol) {
            let words: Vec<_> = protocols.iter().map(|protocol| protocol.word()).collect();
            let what = format!("is for protocol = \"{}\" only", words.join("\" or \""));
            section.fault_at(name, what);
        }
    }
}

fn map(section: &Section<'_, '_>, protocol: Protocol, folder: &Path) -> Option<MapSource> {
    let known: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
    let found = match protocol {
        Protocol::Modbus => {
            let advice = "say where the meter has what: the name of a map, as map = \"eastron-sdm630\", or a file of your own that \
                          ends in .toml";
            section.required("map", &format!("{advice}; known are {}", known.join(", ")))?
        }
        Protocol::Dsmr | Protocol::Sml | Protocol::Dlms | Protocol::Iec62056 | Protocol::S0 => {
            section.text("map")?
        }
    };
    let map = MapSource::parse(&found.value, folder);
    if let MapSource::BuiltIn(name) = &map
        && !known.contains(&name.as_str())
    {
        let advice = match nearest(name, &known) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("known are {}, and files that end in .toml", known.join(", ")),
        };
        section.reader.fault(found.line, &found.key, format!("there is no map \"{name}\"; {advice}"));
    }
    Some(map)
}

/// A name that can be part of a file's name too.
fn usable(section: &Section<'_, '_>, found: Found<String>) -> Option<String> {
    if found.value.is_empty() || found.value.contains(['/', '\0']) || found.value.starts_with('.') {
        let what = "expected a name without \"/\" that does not begin with \".\"";
        section.reader.fault(found.line, &found.key, what);
        return None;
    }
    Some(found.value)
}

fn source(section: &Section<'_, '_>, found: &Found<String>, folder: &Path) -> Option<MeterSource> {
    match MeterSource::parse(&found.value, folder) {
        Ok(source) => Some(source),
        Err(what) => {
            section.reader.fault(found.line, &found.key, what);
            None
        }
    }
}

/// A host's name or address, and a port that can be one.
pub(super) fn is_address(text: &str) -> bool {
    let port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    text.rsplit_once(':').is_some_and(|(host, number)| !host.is_empty() && port(number))
}

/// Speed and framing, which only serial ports have.
fn line(section: &Section<'_, '_>, source: Option<&MeterSource>) -> (Option<u32>, Option<Framing>) {
    let (baud, framing) = (section.number("baud"), section.choice("framing", Framing::WORDS));
    if source.is_some_and(|source| !matches!(source, MeterSource::Serial(_))) {
        let keys = baud.iter().map(|found| (found.line, &found.key));
        for (line, key) in keys.chain(framing.iter().map(|found| (found.line, &found.key))) {
            section.reader.fault(line, key, "is for source = \"serial:...\" only");
        }
    }
    if let Some(baud) = baud.as_ref().filter(|baud| !SPEEDS.contains(&baud.value)) {
        let speeds: Vec<_> = SPEEDS.iter().map(u32::to_string).collect();
        let what = format!("expected one of {}, found {}", speeds.join(", "), baud.value);
        section.reader.fault(baud.line, &baud.key, what);
    }
    (baud.map(|found| found.value), framing.map(|found| found.value))
}
