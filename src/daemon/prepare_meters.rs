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
            telegrams: config.hooks.iter().any(|hook| hook.enabled && hook.topics.pick("meter.telegram")),
        }));
    }
    (meters.len() == config.meters.len()).then_some(meters)
}

/// How long what is kept of a meter, as its reports want it.
fn keep(config: &Config, meter: &str) -> Keep {
    let asked = |report: &&ReportSection| report.points.iter().any(|point| of_meter(point, meter).is_some());
    let reports: Vec<&ReportSection> = config.reports.iter().filter(asked).collect();
    let kept = reports.iter().map(|report| report.kept).max().unwrap_or(Span::DAY);
    let step = reports.iter().map(|report| report.min_period).min().unwrap_or(Span::MINUTE);
    Keep::for_span(kept).with_step(step)
}

/// What the reports ask of a meter; pulses are counted on from the register.
fn wanted(config: &Config, section: &MeterSection) -> Vec<Quantity> {
    let points = config.reports.iter().flat_map(|report| &report.points);
    let mut wanted: Vec<Quantity> = points.filter_map(|point| of_meter(point, &section.name)).collect();
    if section.protocol == Protocol::S0 {
        wanted.extend([Quantity::IMPORT_ENERGY, Quantity::EXPORT_ENERGY]);
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
            let settings = ProtocolSettings::Iec62056 { pull };
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
