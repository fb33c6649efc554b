//! Loads what the configuration says of meters: keys, maps, models; every fault at once.

use std::path::Path;

use zeroize::Zeroizing;

use crate::config::{
    Config, ConfigError, MapSource, MeterSection, MeterSource, PointOrigin, PointSection, ReportSection,
    SecretSource,
};
use crate::metering::{
    Framing, Keep, Keys, LIST_MODELS, LineSettings, ListModels, ModbusSettings, Protocol, ProtocolSettings,
    PullSettings, PulseFlow, PulseForm, PulseSettings, Quantity, RegisterMap, Sealing,
};
use crate::time::Span;

use super::counters;
use super::meter_days::Days;
use super::meter_source::by_id;
use super::meter_task::MeterSettings;
use super::prepare::Faults;
use super::refused;

/// What is told to the task of a meter, by its name; without a name, of the first.
///
/// # Errors
///
/// Where there is no such meter, or something that it names cannot be used.
pub(crate) fn meter_settings(config: &Config, name: Option<&str>) -> Result<MeterSettings, ConfigError> {
    let mut faults = Faults::new(config);
    let found = meters(&mut faults).unwrap_or_default();
    let found = found.into_iter().find(|meter| name.is_none_or(|name| meter.name == name));
    if found.is_none() && faults.found.is_empty() {
        let named = name.map_or_else(String::new, |name| format!(" with name = \"{name}\""));
        faults.found.push(config.fault("meter", format!("there is no [[meter]]{named}")));
    }
    found
        .filter(|_| faults.found.is_empty())
        .ok_or_else(|| ConfigError { file: config.file.clone(), faults: faults.found })
}

/// What each meter's task is told; `None` where one of them cannot be.
pub(super) fn meters(faults: &mut Faults<'_>) -> Option<Vec<MeterSettings>> {
    let config = faults.config;
    let mut meters = Vec::new();
    for (at, section) in config.meters.iter().enumerate() {
        if let MeterSource::Serial(port) = &section.source
            && let Some(name) = by_id(port)
        {
            let what = format!("may be another port after a restart; better: \"serial:{}\"", name.display());
            let fault = config.fault(&format!("meter[{at}].source"), what);
            faults.warnings.push(fault.in_file(&config.file));
        }
        let protocol = protocol(faults, at, section);
        meters.extend(protocol.map(|protocol| MeterSettings {
            name: section.name.clone(),
            source: section.source.clone(),
            line: line_or(protocol.usual_line(), section.baud, section.framing),
            protocol,
            refused: refused::folder(&config.ven.state, &section.name),
            counters: counters::file(&config.ven.state, &section.name),
            keep: keep(config, &section.name),
            wanted: wanted(config, section),
            telegrams: config.tells("meter.telegram"),
            slots: config.tells("meter.interval"),
            days: config.tells("meter.day"),
            transformers: section.transformers,
            limits: section.limits.clone(),
        }));
    }
    if meters.len() != config.meters.len() {
        return None;
    }
    check_lines(faults, &meters);
    Some(meters)
}

/// Faults meters on one serial port that want it set differently, and warns of one port by two names.
fn check_lines(faults: &mut Faults<'_>, meters: &[MeterSettings]) {
    for (at, meter) in meters.iter().enumerate() {
        let Some((first, other)) = meters[..at].iter().enumerate().find(|(_, other)| same_port(other, meter))
        else {
            continue;
        };
        let line = faults.config.lines.get(&format!("meter[{first}].source"));
        let line = line.map_or_else(String::new, |line| format!(" (line {line})"));
        let fault = |what| faults.config.fault(&format!("meter[{at}].source"), what);
        if other.source != meter.source {
            let what = format!(
                "is the port that meter \"{}\"{line} calls {}; write it the same, or only one of them is read",
                other.name, other.source
            );
            faults.warnings.push(fault(what).in_file(&faults.config.file));
        } else if other.line != meter.line {
            let what = format!(
                "is set to {} here, and to {} for meter \"{}\"{line}; set all meters on a line to one speed, and say it for each, as \
                 baud = 9600 and framing = \"8N1\"",
                meter.line, other.line, other.name
            );
            faults.found.push(fault(what));
        }
    }
}

/// Both are on one serial port, whatever they call it.
fn same_port(one: &MeterSettings, other: &MeterSettings) -> bool {
    let (MeterSource::Serial(one), MeterSource::Serial(other)) = (&one.source, &other.source) else {
        return false;
    };
    one == other || one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}

/// How long what is kept of a meter, as its reports want it.
fn keep(config: &Config, meter: &str) -> Keep {
    let asked = |report: &&ReportSection| report.points.iter().any(|point| of_meter(point, meter).is_some());
    let reports: Vec<&ReportSection> = config.reports.iter().filter(asked).collect();
    // A history begins with a whole step.
    let kept = reports.iter().map(|report| report.kept + report.min_period).max().unwrap_or(Span::DAY);
    // What was measured since midnight, on the longest day too.
    let kept = if config.tells("meter.interval") { kept.max(Span::HOUR * 26) } else { kept };
    // The same of a day that is told late, since the VEN was off.
    let kept = if config.tells("meter.day") { kept.max(Span::HOUR * 50) } else { kept };
    let step = reports.iter().map(|report| report.min_period).min().unwrap_or(Span::MINUTE);
    Keep::for_span(kept).with_step(step)
}

/// What the reports ask of a meter; pulses are counted on from the register.
fn wanted(config: &Config, section: &MeterSection) -> Vec<Quantity> {
    let points = config.reports.iter().flat_map(|report| &report.points);
    let mut wanted: Vec<Quantity> = points.filter_map(|point| of_meter(point, &section.name)).collect();
    if section.protocol == Protocol::S0 || config.tells("meter.interval") {
        wanted.extend([Quantity::IMPORT_ENERGY, Quantity::EXPORT_ENERGY]);
    }
    if config.tells("meter.day") {
        wanted.extend(Days::wanted());
    }
    wanted
}

/// What a data point says of this meter.
fn of_meter(point: &PointSection, name: &str) -> Option<Quantity> {
    match &point.origin {
        PointOrigin::Meter { meter, quantity } if meter == name => Some(*quantity),
        PointOrigin::Meter { .. } | PointOrigin::Source(_) => None,
    }
}

/// What is set goes before what is usual.
pub(crate) fn line_or(usual: LineSettings, baud: Option<u32>, framing: Option<Framing>) -> LineSettings {
    LineSettings { baud: baud.unwrap_or(usual.baud), framing: framing.unwrap_or(usual.framing) }
}

/// How often a Modbus meter is asked.
const MODBUS_EVERY: Span = Span::from_seconds(5);

/// What a meter's decoder is told.
fn protocol(faults: &mut Faults<'_>, at: usize, section: &MeterSection) -> Option<ProtocolSettings> {
    Some(match section.protocol {
        Protocol::Dsmr => {
            ProtocolSettings::Dsmr { clock_base: section.clock_base, sealing: sealing(faults, at, section)? }
        }
        Protocol::Sml => ProtocolSettings::Sml,
        Protocol::Dlms => {
            let models = list_models(section.models.as_deref(), section.model.as_deref());
            let key = if section.models.is_some() { "models" } else { "model" };
            ProtocolSettings::Dlms {
                clock_base: section.clock_base,
                sealing: sealing(faults, at, section)?,
                models: faults.check(&format!("meter[{at}].{key}"), None, models)?,
            }
        }
        Protocol::Iec62056 => {
            let pull = section.asked.then(|| pull(section));
            let settings = ProtocolSettings::Iec62056 { clock_base: section.clock_base, pull };
            faults.check(&format!("meter[{at}]"), None, settings.check())?;
            settings
        }
        Protocol::Modbus => {
            let map = section.map.as_ref().ok_or_else(|| "is missing".to_owned()).and_then(register_map);
            ProtocolSettings::Modbus(ModbusSettings {
                unit: section.unit,
                map: faults.check(&format!("meter[{at}].map"), None, map)?,
                interval: section.every.unwrap_or(MODBUS_EVERY),
                time_out: ModbusSettings::TIME_OUT,
                invert: section.invert,
            })
        }
        Protocol::S0 => {
            let flow = if section.invert { PulseFlow::Export } else { PulseFlow::Import };
            let form = match section.source {
                MeterSource::Serial(_) => PulseForm::Bytes,
                MeterSource::Tcp(_) | MeterSource::File(_) | MeterSource::Exec(_) | MeterSource::Api => {
                    PulseForm::Lines
                }
            };
            let settings = PulseSettings::new(section.pulses_per_kwh, flow);
            ProtocolSettings::S0 { settings, form, count: 0 }
        }
    })
}

/// How often a meter of IEC 62056-21 is asked, which takes up to a minute.
const IEC_EVERY: Span = Span::from_seconds(60);

/// How a meter of IEC 62056-21 is asked. A speed that is set is that of a reading head that knows no other; so is that of a host.
fn pull(section: &MeterSection) -> PullSettings {
    let usual = PullSettings::every(section.every.unwrap_or(IEC_EVERY));
    let is_port = matches!(section.source, MeterSource::Serial(_));
    PullSettings {
        address: section.address.clone(),
        wake_up: section.wake_up,
        ignore_bcc: section.ignore_bcc,
        read: section.read.clone(),
        fixed_baud: if is_port {
            section.baud.filter(|baud| *baud != usual.start_baud)
        } else {
            Some(usual.start_baud)
        },
        ..usual
    }
}

/// What opens what the meter encrypts; the frame counters come later.
fn sealing(faults: &mut Faults<'_>, at: usize, section: &MeterSection) -> Option<Sealing> {
    let sealing = Sealing { unauthenticated: section.unauthenticated, ..Sealing::default() };
    let Some(source) = &section.key else { return Some(sealing) };
    let key = meter_key(faults, &format!("meter[{at}].key"), source)?;
    let authentication = match &section.authentication_key {
        None => None,
        Some(source) => Some(meter_key(faults, &format!("meter[{at}].authentication_key"), source)?),
    };
    let keys = Keys::parse(&key, authentication.as_ref().map(|key| key.as_str()));
    let keys = faults.check(&format!("meter[{at}].key"), None, keys)?;
    Some(Sealing { keys: Some(keys), ..sealing })
}

/// A key of a meter, as it is written.
fn meter_key(faults: &mut Faults<'_>, setting: &str, source: &SecretSource) -> Option<Zeroizing<String>> {
    if let SecretSource::File(path) = source {
        faults.warn_of_readers(setting, path);
    }
    faults.check(setting, None, source.text())
}

/// What the lists of DLMS mean, by that file or by what the program knows; `model`: the one that it is.
pub(crate) fn list_models(file: Option<&Path>, model: Option<&str>) -> Result<ListModels, String> {
    let named = |path: &Path, what: String| format!("{}: {what}", path.display());
    let models = match file {
        None => ListModels::parse(LIST_MODELS).map_err(|error| error.to_string())?,
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| named(path, error.to_string()))?;
            ListModels::parse(&text).map_err(|error| named(path, error.to_string()))?
        }
    };
    match model {
        None => Ok(models),
        Some(model) => models.named(model).map_err(|error| error.to_string()),
    }
}

/// The map of that name, or in that file.
pub(crate) fn register_map(source: &MapSource) -> Result<RegisterMap, String> {
    match source {
        MapSource::BuiltIn(name) => match RegisterMap::built_in(name) {
            Some(map) => map.map_err(|error| error.to_string()),
            None => Err(format!("there is no map \"{name}\"")),
        },
        MapSource::File(path) => {
            let named = |what: String| format!("{}: {what}", path.display());
            let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
            RegisterMap::parse(&text).map_err(|error| named(error.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Faults, meters};
    use crate::config::Config;

    /// What is faulted, and what is warned of, of meters on these ports with these maps, in a folder.
    fn told(folder: &Path, ports: [&str; 2], maps: [&str; 2], more: &str) -> (Vec<String>, Vec<String>) {
        let mut text = "[ven]\nname = \"v\"\nstate = \"s\"\n[vtn]\nurl = \"https://v\"\n[tls]\nca = \"system\"\ncert = \"c\"\nkey = \"k\"\n\
                        [signature]\nverify = \"never\"\n"
            .to_owned();
        for (unit, (port, map)) in (1..).zip(ports.into_iter().zip(maps)) {
            text += &format!(
                "[[meter]]\nname = \"m{unit}\"\nsource = \"serial:{port}\"\nprotocol = \"modbus\"\nmap = \"{map}\"\n\
                 unit = {unit}\n{more}\n"
            );
        }
        let config = Config::from_toml(&text, &folder.join("ven.toml")).unwrap();
        let mut faults = Faults::new(&config);
        meters(&mut faults);
        let file = |fault: &crate::config::ConfigFault| fault.in_file(Path::new("ven.toml"));
        (faults.found.iter().map(file).collect(), faults.warnings)
    }

    #[test]
    fn meters_on_one_port_must_want_one_speed() {
        let folder = tempfile::tempdir().unwrap();
        let told = |maps, more| told(folder.path(), ["port", "port"], maps, more);
        let (faults, _) = told(["eastron-sdm630", "abb-b-series"], "");
        let expected = "ven.toml:21: meter[1].source: is set to 19200 8E1 here, and to 9600 8N1 for meter \"m1\" (line 14); set";
        assert!(faults.len() == 1 && faults[0].starts_with(expected), "{faults:?}");
        let both = "baud = 9600\nframing = \"8N1\"";
        assert_eq!(told(["eastron-sdm630", "abb-b-series"], both), (vec![], vec![]));
        assert_eq!(told(["eastron-sdm630", "eastron-sdm630"], ""), (vec![], vec![]));
    }

    #[test]
    fn one_port_by_two_names_is_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("port"), "").unwrap();
        std::os::unix::fs::symlink("port", folder.path().join("link")).unwrap();
        let maps = ["eastron-sdm630", "eastron-sdm630"];
        let (faults, warnings) = told(folder.path(), ["port", "link"], maps, "");
        assert!(faults.is_empty() && warnings.len() == 1, "{faults:?} {warnings:?}");
        assert!(warnings[0].contains("is the port that meter \"m1\" (line 14) calls /"), "{warnings:?}");
        assert_eq!(told(folder.path(), ["port", "other"], maps, ""), (vec![], vec![]));
    }

    /// Monitors and plugins want as much of a meter as hooks do.
    #[test]
    fn what_a_meter_tells_is_made_where_anybody_may_want_it() {
        let told = |more: &str| {
            let text = format!(
                "[ven]\nname = \"v\"\nstate = \"s\"\n[vtn]\nurl = \"https://v\"\n[tls]\nca = \"system\"\ncert = \"c\"\nkey = \"k\"\n\
                 [signature]\nverify = \"never\"\n[[meter]]\nname = \"m\"\nsource = \"tcp://h:1\"\nprotocol = \"dsmr\"\n{more}"
            );
            let config = Config::from_toml(&text, Path::new("ven.toml")).unwrap();
            let meters = meters(&mut Faults::new(&config)).unwrap();
            (meters[0].telegrams, meters[0].slots, meters[0].days)
        };
        assert_eq!(told(""), (false, false, false));
        let hook = "[[hook]]\nname = \"h\"\ntype = \"file\"\npath = \"f\"\ntopics = [\"meter.day\"]\n";
        assert_eq!(told(hook), (false, false, true));
        assert_eq!(told("[http]\nlisten = \"127.0.0.1:0\"\n"), (true, true, true), "there may be monitors");
        let plugin = "[[plugin]]\nname = \"p\"\ncommand = [\"/bin/true\"]\n";
        assert_eq!(told(&format!("{plugin}topics = [\"meter.interval\"]\n")), (false, true, false));
        assert_eq!(told(plugin), (true, true, true), "its hello will say what it wants");
    }
}
