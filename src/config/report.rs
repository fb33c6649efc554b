//! Reads `[[report]]` and `[[report_source]]`: what can be reported, and where it comes from.

use std::path::Path;

use crate::metering::Quantity;
use crate::openadr::message::{
    Decimal, MarketContext, PowerAttributes, PowerKind, RId, ReadingType, ReportName, ReportSpecifierId,
    ReportType, ResourceId, SiScale, TemperatureUnit, Unit,
};
use crate::time::Span;

use super::program::{environment, max_memory};
use super::read::or;
use super::reader::{Found, Section};
use super::{AskedSource, MeterSection, PointOrigin, PointSection, ReportSection, ReportSourceSection};

/// How often the slowest meters speak.
const MIN_PERIOD: Span = Span::from_seconds(10);
/// The steps of a history.
const HISTORY_STEP: Span = Span::from_seconds(900);
/// A program that is a source answers within this.
const ANSWER_WITHIN: Span = Span::from_seconds(10);
/// Later, the report has gone out without it.
const ANSWER_WITHIN_MOST: Span = Span::from_seconds(15);

/// The reports of the file; where it names none, every meter's energy and power. `ours`: the programmes of `[vtn]`.
pub(super) fn reports(
    sections: Vec<Section<'_, '_>>,
    meters: &[MeterSection],
    ours: &[MarketContext],
) -> Vec<ReportSection> {
    if !sections.is_empty() || meters.is_empty() {
        return sections.into_iter().map(|section| report(section, ours)).collect();
    }
    let report = |name: ReportName, quantities: &[Quantity]| {
        let of_meter = |meter: &MeterSection| -> Vec<PointSection> {
            quantities.iter().map(|quantity| of_meter(&meter.name, *quantity)).collect()
        };
        ReportSection {
            specifier: ReportSpecifierId::from(name.as_str()),
            points: meters.iter().flat_map(of_meter).collect(),
            name,
            min_period: MIN_PERIOD,
            max_period: Span::HOUR,
            kept: Span::DAY,
        }
    };
    let usage = [Quantity::IMPORT_ENERGY, Quantity::EXPORT_ENERGY, Quantity::NET_POWER];
    // A VEN offers both, or none (rules 301, 331).
    vec![report(ReportName::TelemetryUsage, &usage), report(ReportName::TelemetryStatus, &[Quantity::Status])]
}

/// A point as the meter gives it.
fn of_meter(meter: &str, quantity: Quantity) -> PointSection {
    PointSection {
        r_id: RId::new(format!("{meter}.{quantity}")),
        origin: PointOrigin::Meter { meter: meter.to_owned(), quantity },
        resource: ResourceId::from(meter),
        report_type: quantity.report_type(),
        unit: quantity.unit(),
        reading_type: quantity.reading_type(),
        interval_data: quantity.is_of_interval(),
        market_context: None,
    }
}

/// One of the well-known reports, or one of one's own (rule 331).
fn report_name(section: &Section<'_, '_>) -> ReportName {
    let kind = "\"TELEMETRY_USAGE\", \"TELEMETRY_STATUS\", \"HISTORY_USAGE\", or a name of your own that begins with \"x-\"";
    let known = [ReportName::TelemetryUsage, ReportName::TelemetryStatus, ReportName::HistoryUsage];
    let parse = |text: &str| {
        let name = ReportName::from_token(text);
        (known.contains(&name) || is_own(text)).then_some(name)
    };
    or(section.parse_text("name", kind, parse), ReportName::TelemetryUsage)
}

/// A word that extends a list of the standard.
fn is_own(text: &str) -> bool {
    text.strip_prefix("x-").is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
}

fn report(section: Section<'_, '_>, ours: &[MarketContext]) -> ReportSection {
    let name = report_name(&section);
    let specifier = section.text("specifier").map_or_else(|| name.to_string(), |found| found.value);
    let is_history = name == ReportName::HistoryUsage;
    let min_period = or(section.span("min_period"), if is_history { HISTORY_STEP } else { MIN_PERIOD });
    let max_period = section.span("max_period");
    let kept = or(section.span("kept"), Span::DAY);
    if min_period < Span::SECOND {
        section.fault("min_period", "is shorter than a second, which no meter reaches");
    }
    if let Some(max) = max_period.as_ref().filter(|max| max.value < min_period || max.value > kept) {
        section.reader.fault(max.line, &max.key, "is not between min_period and kept (rule 312)");
    }
    let context = market_context(&section, ours);
    let points = section.sections("points").into_iter();
    let points: Vec<_> = points.filter_map(|point| report_point(point, context.as_ref(), ours)).collect();
    if points.is_empty() {
        let advice = "has none; expected points = [ { quantity = \"import_energy\", meter = \"main\" } ]";
        section.fault("points", advice);
    }
    let is_status = |point: &PointSection| point.report_type == ReportType::ResourceStatus;
    if points.iter().any(|point| is_status(point) != (name == ReportName::TelemetryStatus)) {
        section.fault("points", "\"status\" belongs into TELEMETRY_STATUS, and nothing else does (rule 331)");
    }
    for point in points.iter().filter(|point| !is_status(point) && !fits(&name, point)) {
        let what = format!(
            "\"{}\" is none of {name}, which is usage in W or Wh, and \"Direct Read\" (rule 331); put it into a report with a name \
             of your own, as name = \"x-usage\"",
            point.r_id
        );
        section.fault("points", what);
    }
    section.end();
    let max_period = or(max_period, Span::HOUR.max(min_period).min(kept));
    ReportSection { name, specifier: specifier.into(), points, min_period, max_period, kept }
}

/// The table of rule 331.
fn fits(name: &ReportName, point: &PointSection) -> bool {
    if !matches!(name, ReportName::TelemetryUsage | ReportName::HistoryUsage) {
        return true;
    }
    let real =
        matches!(point.unit, Some(Unit::Power(PowerKind::Real, ..) | Unit::Energy(PowerKind::Real, _)));
    real && point.report_type == ReportType::Usage && point.reading_type == ReadingType::DirectRead
}

/// A programme, which must be one of ours where it is said which are.
fn market_context(section: &Section<'_, '_>, ours: &[MarketContext]) -> Option<MarketContext> {
    let found = section.text("market_context")?;
    let context = MarketContext::from(found.value.as_str());
    if !ours.is_empty() && !ours.iter().any(|other| other.normalised() == context.normalised()) {
        let what = format!("\"{context}\" is not in [vtn] market_contexts");
        section.reader.fault(found.line, &found.key, what);
    }
    Some(context)
}

fn report_point(
    section: Section<'_, '_>,
    of_report: Option<&MarketContext>,
    ours: &[MarketContext],
) -> Option<PointSection> {
    let point = if section.has("source") { source_point(&section) } else { meter_point(&section) };
    let id = section.text("id");
    let scales: Vec<_> = SiScale::ALL.iter().map(|scale| (scale.as_str(), *scale)).collect();
    let scale = section.choice("scale", &scales);
    let kind = "\"Direct Read\", \"Net\", \"Mean\", \"Peak\", ... or x-...";
    let reading_type = section.parse_text("reading_type", kind, |text| {
        let reading_type = ReadingType::from_token(text);
        (ReadingType::ALL.contains(&reading_type) || is_own(text)).then_some(reading_type)
    });
    let context = market_context(&section, ours).or_else(|| of_report.cloned());
    let resource = section.text("resource");
    if let Some(found) = resource.as_ref().filter(|found| found.value.trim().is_empty()) {
        section.reader.fault(found.line, &found.key, "is empty");
    }
    let unscalable = |point: &PointSection| point.unit.as_ref().and_then(Unit::scale).is_none();
    if scale.is_some() && point.as_ref().is_some_and(unscalable) {
        section.fault_at("scale", "needs a unit, which a status has not");
    }
    if reading_type.is_some()
        && point.as_ref().is_some_and(|point| point.report_type == ReportType::ResourceStatus)
    {
        section.fault_at("reading_type", "is \"x-notApplicable\" for a status (rule 331); take it out");
    }
    section.end();
    let mut point = point?;
    if let Some(scale) = scale {
        point.unit = point.unit.map(|unit| unit.scaled(scale.value));
    }
    Some(PointSection {
        r_id: id.map_or(point.r_id, |found| RId::from(found.value)),
        resource: resource.map_or(point.resource, |found| ResourceId::from(found.value)),
        reading_type: or(reading_type, point.reading_type),
        market_context: context,
        ..point
    })
}

/// What only points of sources have.
const OF_SOURCES: [&str; 3] = ["unit", "description", "report_type"];

fn meter_point(section: &Section<'_, '_>) -> Option<PointSection> {
    let words: Vec<(String, Quantity)> =
        Quantity::all().into_iter().map(|quantity| (quantity.to_string(), quantity)).collect();
    let words: Vec<(&str, Quantity)> = words.iter().map(|(word, value)| (word.as_str(), *value)).collect();
    section.required("quantity", "say what is reported, as quantity = \"import_energy\"");
    let quantity = section.choice("quantity", &words);
    let meter = section.required("meter", "name the meter that it comes from, or another source");
    for name in OF_SOURCES.into_iter().filter(|name| section.has(name)) {
        // Asked for, so that it is not said to be unknown too.
        section.text(name);
        section.fault_at(name, "is for source = \"...\" only; a quantity of a meter has its own");
    }
    Some(of_meter(&meter?.value, quantity?.value))
}

fn source_point(section: &Section<'_, '_>) -> Option<PointSection> {
    for name in ["meter", "quantity"].into_iter().filter(|name| section.has(name)) {
        section.text(name);
        section.fault_at(name, "stands beside source; take one of them out");
    }
    let source = section.text("source");
    let word = section.required("unit", "say what its values are in, as unit = \"W\"");
    let description = section.text("description");
    let kind = "usage, demand, storedEnergy, ... or x-...";
    let report_type = section.parse_text("report_type", kind, |text| {
        let report_type = ReportType::from_token(text);
        let known = ReportType::ALL.contains(&report_type) || is_own(text);
        // A source brings numbers.
        (known && report_type != ReportType::ResourceStatus).then_some(report_type)
    });
    let word = word?;
    let unit = unit(&word.value, description.as_ref().map(|found| found.value.as_str()));
    if unit.is_none() {
        let what = format!(
            "expected one of \"{}\", or a unit of your own and beside it what is measured, as description = \"state of charge\"; \
             found \"{}\"",
            UNITS.join("\", \""),
            word.value
        );
        section.reader.fault(word.line, &word.key, what);
    }
    if let Some(found) = description.filter(|_| UNITS.contains(&word.value.as_str())) {
        section.reader.fault(found.line, &found.key, "is for units of your own only");
    }
    let (source, unit) = (source?.value, unit?);
    let usual = if matches!(unit, Unit::Power(..) | Unit::Energy(..)) {
        ReportType::Usage
    } else {
        ReportType::Reading
    };
    let report_type = or(report_type, usual);
    Some(PointSection {
        r_id: RId::from(source.as_str()),
        resource: ResourceId::from(source.as_str()),
        interval_data: matches!(unit, Unit::Energy(..)) && !is_level(&report_type),
        origin: PointOrigin::Source(source),
        report_type,
        unit: Some(unit),
        reading_type: ReadingType::DirectRead,
        market_context: None,
    })
}

/// An energy that is there at an instant, not one that flows over a time.
const fn is_level(report_type: &ReportType) -> bool {
    matches!(
        report_type,
        ReportType::Reading
            | ReportType::SetPoint
            | ReportType::StoredEnergy
            | ReportType::TargetEnergyStorage
            | ReportType::AvailableEnergyStorage
            | ReportType::Level
    )
}

/// The units that the standard knows, as they are written here.
const UNITS: [&str; 12] =
    ["W", "VA", "VAR", "Wh", "VAh", "VARh", "V", "A", "Hz", "thm", "celsius", "fahrenheit"];

fn unit(word: &str, description: Option<&str>) -> Option<Unit> {
    // The nominal values of the European grid.
    let grid = PowerAttributes { hertz: Decimal::from(50), voltage: Decimal::from(230), ac: true };
    let power = |kind| Unit::Power(kind, SiScale::None, grid);
    let energy = |kind| Unit::Energy(kind, SiScale::None);
    Some(match word {
        "W" => power(PowerKind::Real),
        "VA" => power(PowerKind::Apparent),
        "VAR" => power(PowerKind::Reactive),
        "Wh" => energy(PowerKind::Real),
        "VAh" => energy(PowerKind::Apparent),
        "VARh" => energy(PowerKind::Reactive),
        "V" => Unit::Voltage(SiScale::None),
        "A" => Unit::Current(SiScale::None),
        "Hz" => Unit::Frequency(SiScale::None),
        "thm" => Unit::Therm(SiScale::None),
        "celsius" => Unit::Temperature(TemperatureUnit::Celsius, SiScale::None),
        "fahrenheit" => Unit::Temperature(TemperatureUnit::Fahrenheit, SiScale::None),
        own => {
            Unit::Custom { description: description?.to_owned(), units: own.to_owned(), scale: SiScale::None }
        }
    })
}

/// The programs that are sources of reports.
pub(super) fn report_sources(root: &Section<'_, '_>, folder: &Path) -> Vec<ReportSourceSection> {
    let sections = root.sections("report_source").into_iter();
    let sources: Vec<_> = sections.filter_map(|section| report_source(section, folder)).collect();
    for (at, source) in sources.iter().enumerate() {
        if sources[..at].iter().any(|other: &ReportSourceSection| other.name == source.name) {
            let key = format!("report_source[{at}].name");
            root.reader.fault(root.reader.line_of(&key), &key, format!("\"{}\" stands twice", source.name));
        }
    }
    sources
}

fn report_source(section: Section<'_, '_>, folder: &Path) -> Option<ReportSourceSection> {
    let name = section.required("name", "give the source a name of your choice, as name = \"battery\"");
    let (command, plugin) = (section.texts("exec"), section.text("plugin"));
    let asked = match plugin {
        Some(found) => {
            if section.has("exec") {
                section.fault_at("exec", "stands beside plugin; take one of them out");
            }
            AskedSource::Plugin(found.value)
        }
        None => exec_source(&section, command, folder),
    };
    let within = section.span("timeout");
    if let Some(found) =
        within.as_ref().filter(|found| found.value < Span::SECOND || found.value > ANSWER_WITHIN_MOST)
    {
        let what = format!("expected {} to {ANSWER_WITHIN_MOST}, found {}", Span::SECOND, found.value);
        section.reader.fault(found.line, &found.key, what);
    }
    section.end();
    Some(ReportSourceSection { name: name?.value, asked, within: or(within, ANSWER_WITHIN) })
}

fn exec_source(section: &Section<'_, '_>, command: Vec<Found<String>>, folder: &Path) -> AskedSource {
    let mut command: Vec<String> = command.into_iter().map(|found| found.value).collect();
    if command.first().is_none_or(String::is_empty) {
        section.fault("exec", "is missing; name the program that is asked, as exec = [\"/usr/bin/battery\"]");
    }
    if let Some(program) = command.first_mut().filter(|program| program.contains('/')) {
        *program = folder.join(&*program).to_string_lossy().into_owned();
    }
    AskedSource::Exec { command, environment: environment(section, folder), max_memory: max_memory(section) }
}
