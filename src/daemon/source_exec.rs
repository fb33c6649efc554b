//! Asks a program for values: a line of JSON to its standard input, a line of JSON from its standard output.
//!
//! ```text
//! {"from":"2030-01-01T00:00:00Z","to":"2030-01-01T00:30:00Z","granularity_seconds":900}
//! {"values":[{"start":"2030-01-01T00:00:00Z","value":"12.5","quality":"good"}, ...]}
//! ```
//!
//! The program is started anew for each question, in a process group of its own that is killed when it is late or says too much. A plugin
//! that goes on running is asked the same as `report.read`, with the name of the source, and answers with the same `values`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::config::{AskedSource, Config, ConfigError, ConfigFault, EnvValue, PointOrigin};
use crate::openadr::message::{DataQuality, Decimal, Float};
use crate::report_source::{ReportSource, SourceError, SourceValue};
use crate::time::{Span, Timestamp};

use super::meter_source::Command;
use super::plugin::{Plugins, Program};
use super::source_seat::{DynSource, PATIENCE, Sources};

/// No answer is longer.
const LONGEST: usize = 1024 * 1024;

/// A program that is asked for values.
#[derive(Debug)]
pub(super) struct ExecSource {
    pub(super) program: Program,
}

/// A plugin that is asked for values.
#[derive(Debug)]
struct PluginSource {
    plugins: Plugins,
    plugin: String,
    /// What the source is called in reports.
    name: String,
    within: Duration,
}

#[derive(Debug, Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    values: Vec<AnswerValue<'a>>,
}

#[derive(Debug, Deserialize)]
struct AnswerValue<'a> {
    start: String,
    /// As it is written, so that no digit is lost.
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    quality: Option<String>,
}

impl ReportSource for ExecSource {
    async fn window(
        &self,
        from: Timestamp,
        to: Timestamp,
        granularity: Span,
    ) -> Result<Vec<SourceValue>, SourceError> {
        let seconds = Float::from(Decimal::new(granularity.micros(), 6));
        let question = format!("{{\"from\":\"{from}\",\"to\":\"{to}\",\"granularity_seconds\":{seconds}}}\n");
        let mut program = Command::program(&self.program)?;
        // It may know what to say without having read it.
        program.send(question.as_bytes()).await.ok();
        program.end_input();
        let mut answer = Vec::new();
        let mut piece = vec![0; 16 * 1024];
        loop {
            let count = program.read(&mut piece).await?;
            let read = piece.get(..count).unwrap_or_default();
            answer.extend_from_slice(read);
            if answer.len() > LONGEST {
                return Err(format!("its answer is longer than {LONGEST} octets").into());
            }
            if read.is_empty() || read.contains(&b'\n') {
                break;
            }
        }
        let line = answer.split(|octet| *octet == b'\n').next().unwrap_or_default();
        if line.iter().all(u8::is_ascii_whitespace) {
            return Err(format!("{} without an answer", program.ended().await).into());
        }
        // It may still tidy up.
        tokio::spawn(program.ended());
        values(line).map_err(SourceError::from)
    }
}

impl ReportSource for PluginSource {
    async fn window(
        &self,
        from: Timestamp,
        to: Timestamp,
        granularity: Span,
    ) -> Result<Vec<SourceValue>, SourceError> {
        let seconds = Float::from(Decimal::new(granularity.micros(), 6)).to_string();
        let members = [
            ("source", Value::from(self.name.as_str())),
            ("from", Value::from(from.to_string())),
            ("to", Value::from(to.to_string())),
            (
                "granularity_seconds",
                seconds.parse::<i64>().map_or_else(|_| Value::from(seconds), Value::from),
            ),
        ];
        let members: Map<_, _> = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let answer = self.plugins.read_report(&self.plugin, members, self.within).await?;
        // Its numbers have become texts where they have a fraction, so no digit is lost.
        values(Value::Object(answer).to_string().as_bytes()).map_err(SourceError::from)
    }
}

/// The programs that the configuration names as sources, and the sources that the program which embeds us brings.
///
/// # Errors
///
/// Where a data point comes from a source that nobody brings, or one is brought twice, or from a plugin that there is not.
pub(crate) fn report_sources(
    config: &Config,
    brought: BTreeMap<String, Arc<dyn DynSource>>,
) -> Result<Sources, ConfigError> {
    let mut faults = Vec::new();
    let mut sources: Sources = BTreeMap::new();
    for (at, section) in config.report_sources.iter().enumerate() {
        let key = format!("report_source[{at}]");
        if brought.contains_key(&section.name) {
            let what = format!("the program brings a source \"{}\" of its own", section.name);
            faults.push(config.fault(&format!("{key}.name"), what));
        }
        match &section.asked {
            AskedSource::Exec { command, environment, max_memory } => {
                let (name, command) = (section.name.clone(), command.clone());
                let environment = with_secrets(config, &key, environment, &mut faults);
                let program = Program { name, command, environment, max_memory: *max_memory };
                let source: Arc<dyn DynSource> = Arc::new(ExecSource { program });
                sources.insert(section.name.clone(), (source, section.within.to_std()));
            }
            AskedSource::Plugin(plugin) if config.plugins.iter().any(|known| known.name == *plugin) => {}
            AskedSource::Plugin(plugin) => {
                let what =
                    format!("there is no [[plugin]] with name = \"{plugin}\" that is a program and enabled");
                faults.push(config.fault(&format!("{key}.plugin"), what));
            }
        }
    }
    sources.extend(brought.into_iter().map(|(name, source)| (name, (source, PATIENCE))));
    for (at, report) in config.reports.iter().enumerate() {
        for (nth, point) in report.points.iter().enumerate() {
            if let PointOrigin::Source(name) = &point.origin
                && !sources.contains_key(name)
                && !config.report_sources.iter().any(|section| section.name == *name)
            {
                let what = format!("there is no [[report_source]] with name = \"{name}\"");
                faults.push(config.fault(&format!("report[{at}].points[{nth}].source"), what));
            }
        }
    }
    if faults.is_empty() { Ok(sources) } else { Err(ConfigError { file: config.file.clone(), faults }) }
}

fn with_secrets(
    config: &Config,
    key: &str,
    environment: &[(String, EnvValue)],
    faults: &mut Vec<ConfigFault>,
) -> Vec<(String, String)> {
    let mut read = Vec::new();
    for (name, value) in environment {
        match value.read() {
            Ok(value) => read.push((name.clone(), value)),
            Err(what) => faults.push(config.fault(&format!("{key}.env.{name}"), what)),
        }
    }
    read
}

/// The sources that are plugins, beside the others.
pub(crate) fn with_plugins(mut sources: Sources, config: &Config, plugins: &Plugins) -> Sources {
    for section in &config.report_sources {
        if let AskedSource::Plugin(plugin) = &section.asked {
            let within = section.within.to_std();
            let (plugins, plugin, name) = (plugins.clone(), plugin.clone(), section.name.clone());
            let source: Arc<dyn DynSource> = Arc::new(PluginSource { plugins, plugin, name, within });
            sources.insert(section.name.clone(), (source, within));
        }
    }
    sources
}

/// Reads an answer.
fn values(line: &[u8]) -> Result<Vec<SourceValue>, String> {
    let answer: Answer<'_> =
        serde_json::from_slice(line).map_err(|error| format!("its answer is not understood: {error}"))?;
    answer.values.iter().map(value).collect()
}

fn value(found: &AnswerValue<'_>) -> Result<SourceValue, String> {
    let start = found.start.parse().map_err(|_| {
        format!("its answer has a start \"{}\"; expected one like 2030-01-31T18:00:00Z", found.start)
    })?;
    let value = found.value.map(number).transpose()?;
    let quality = match found.quality.as_deref() {
        None | Some("good") => DataQuality::Good,
        Some("uncertain") => DataQuality::Uncertain,
        Some("bad") => DataQuality::Bad,
        Some(text) => {
            let quality = DataQuality::from_token(text);
            if !DataQuality::ALL.contains(&quality) {
                return Err(format!(
                    "its answer has a quality \"{text}\"; expected good, uncertain, bad or one of the standard's"
                ));
            }
            quality
        }
    };
    Ok(SourceValue { start, value, quality })
}

/// A number, or a text that is one.
fn number(raw: &RawValue) -> Result<Decimal, String> {
    let text = raw.get();
    let digits = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let number = digits.parse::<Float>().ok().and_then(Float::exact);
    number.ok_or_else(|| format!("its answer has a value {text}; expected a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_exactly_however_they_are_written() {
        let line = br#"{"values":[
            {"start":"2030-01-01T00:00:00Z","value":"12345678901234567.0123456789","quality":"good"},
            {"start":"2030-01-01T00:15:00Z","value":12345678901234567.0123456789},
            {"start":"2030-01-01T00:30:00Z","value":-1.5e3,"quality":"uncertain"},
            {"start":"2030-01-01T00:45:00Z","value":null,"quality":"bad"},
            {"start":"2030-01-01T01:00:00Z","value":0,"quality":"Quality Bad - Device Failure","more":1}]}"#;
        let values = values(line).unwrap();
        let exact: Decimal = "12345678901234567.0123456789".parse().unwrap();
        let numbers: Vec<_> = values.iter().map(|value| value.value).collect();
        assert_eq!(
            numbers,
            [Some(exact), Some(exact), Some(Decimal::from(-1500)), None, Some(Decimal::ZERO)]
        );
        assert_eq!(values[1].quality, DataQuality::Good);
        assert_eq!(values[2].quality, DataQuality::Uncertain);
        assert_eq!(values[4].quality, DataQuality::BadDeviceFailure);
        assert_eq!(values[1].start.to_string(), "2030-01-01T00:15:00Z");
    }

    #[test]
    fn nonsense_is_refused_with_what_is_wrong() {
        let of = |start: &str, value: &str, quality: &str| {
            format!("{{\"values\":[{{\"start\":\"{start}\",\"value\":{value},\"quality\":\"{quality}\"}}]}}")
        };
        for (line, why) in [
            ("hello".to_owned(), "is not understood"),
            ("{}".to_owned(), "missing field `values`"),
            (of("now", "1", "good"), "a start \"now\""),
            (of("2030-01-01T00:00:00Z", "\"much\"", "good"), "a value \"much\""),
            (of("2030-01-01T00:00:00Z", "\"NaN\"", "good"), "a value \"NaN\""),
            (of("2030-01-01T00:00:00Z", "[]", "good"), "a value []"),
            (of("2030-01-01T00:00:00Z", "1e99", "good"), "a value 1e99"),
            (of("2030-01-01T00:00:00Z", "1", "fair"), "a quality \"fair\""),
        ] {
            let error = values(line.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{why}\nis not in\n{error}");
        }
    }
}
