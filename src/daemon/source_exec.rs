//! Asks a program for values: a line of JSON to its standard input, a line of JSON from its standard output.
//!
//! ```text
//! {"from":"2030-01-01T00:00:00Z","to":"2030-01-01T00:30:00Z","granularity_seconds":900}
//! {"values":[{"start":"2030-01-01T00:00:00Z","value":"12.5","quality":"good"}, ...]}
//! ```
//!
//! The program is started anew for each question, in a process group of its own that is killed when it is late or says too much.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::config::{Config, ConfigError, PointOrigin};
use crate::openadr::message::{DataQuality, Decimal, Float};
use crate::report_source::{ReportSource, SourceError, SourceValue};
use crate::time::{Span, Timestamp};

use super::meter_source::Command;
use super::source_seat::{DynSource, PATIENCE, Sources};

/// No answer is longer.
const LONGEST: usize = 1024 * 1024;

/// A program that is asked for values.
#[derive(Debug)]
pub(super) struct ExecSource {
    /// The program and its arguments.
    pub(super) exec: Vec<String>,
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
        let mut program = Command::program(&self.exec)?;
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

/// The sources that the configuration names, and those that the program brings.
///
/// # Errors
///
/// Where a data point comes from a source that nobody brings, or one is brought twice.
pub(crate) fn report_sources(
    config: &Config,
    brought: BTreeMap<String, Arc<dyn DynSource>>,
) -> Result<Sources, ConfigError> {
    let mut faults = Vec::new();
    for (at, section) in config.report_sources.iter().enumerate() {
        if brought.contains_key(&section.name) {
            let what = format!("the program brings a source \"{}\" of its own", section.name);
            faults.push(config.fault(&format!("report_source[{at}].name"), what));
        }
    }
    let mut sources: Sources = brought.into_iter().map(|(name, source)| (name, (source, PATIENCE))).collect();
    for section in &config.report_sources {
        let source: Arc<dyn DynSource> = Arc::new(ExecSource { exec: section.exec.clone() });
        sources.insert(section.name.clone(), (source, section.within.to_std()));
    }
    for (at, report) in config.reports.iter().enumerate() {
        for (nth, point) in report.points.iter().enumerate() {
            if let PointOrigin::Source(name) = &point.origin
                && !sources.contains_key(name)
            {
                let what = format!("there is no [[report_source]] with name = \"{name}\"");
                faults.push(config.fault(&format!("report[{at}].points[{nth}].source"), what));
            }
        }
    }
    if faults.is_empty() { Ok(sources) } else { Err(ConfigError { file: config.file.clone(), faults }) }
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
