//! Prints what a meter says: lines for people, or objects of JSON for programs.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::cli::plain::plain;
use crate::metering::{Object, ObjectValue, Refused, Telegram, Transformers};
use crate::openadr::message::DataQuality;

/// Prints telegrams, and counts them.
#[derive(Debug)]
pub(super) struct Printer<W> {
    out: W,
    json: bool,
    good: u64,
    refused: u64,
    reasons: BTreeMap<String, u64>,
}

/// One thing that a telegram says.
#[derive(Debug, Serialize)]
struct ObjectLine<'t> {
    meter: Option<&'t str>,
    channel: u8,
    obis: String,
    value: String,
    unit: Option<String>,
    time: Option<String>,
    quality: &'t str,
}

/// How many telegrams there were.
#[derive(Debug, Serialize)]
struct Counts<'p> {
    good: u64,
    refused: u64,
    reasons: Vec<Reason<'p>>,
}

#[derive(Debug, Serialize)]
struct Reason<'p> {
    why: &'p str,
    count: u64,
}

impl<W: Write> Printer<W> {
    pub(super) const fn new(out: W, json: bool) -> Self {
        Self { out, json, good: 0, refused: 0, reasons: BTreeMap::new() }
    }

    /// Says something to people.
    pub(super) fn note(&mut self, text: &str) -> io::Result<()> {
        if self.json || text.is_empty() { Ok(()) } else { writeln!(self.out, "{}", plain(text)) }
    }

    pub(super) fn outcome(&mut self, outcome: Result<Telegram, Refused>) -> io::Result<()> {
        match outcome {
            Ok(telegram) => self.telegram(&telegram),
            Err(refused) => self.refused(&refused),
        }
    }

    pub(super) fn telegram(&mut self, telegram: &Telegram) -> io::Result<()> {
        self.good += 1;
        if !self.json {
            let meter = telegram.meter.as_deref().unwrap_or("without a number");
            let clock = telegram.clock.map_or_else(String::new, |clock| format!(", its clock {clock}"));
            writeln!(
                self.out,
                "telegram {} of meter {}{clock}, {}",
                self.good,
                plain(meter),
                telegram.quality.as_str()
            )?;
        }
        for object in &telegram.objects {
            let line = line(telegram, object);
            if self.json {
                serde_json::to_writer(&mut self.out, &line)?;
                self.out.write_all(b"\n")?;
            } else {
                let unit = line.unit.map_or_else(String::new, |unit| format!(" {unit}"));
                let time = object.at.map_or_else(String::new, |at| format!("  at {at}"));
                let quality = match quality(telegram, object) {
                    quality if *quality == telegram.quality => String::new(),
                    quality => format!("  {}", quality.as_str()),
                };
                writeln!(self.out, "  {:<16} {}{unit}{time}{quality}", line.obis, plain(&line.value))?;
            }
        }
        match Transformers::told(telegram).filter(|_| !self.json) {
            Some(told) => writeln!(self.out, "  {told}: multiply by these or not, see current_ratio"),
            None => Ok(()),
        }
    }

    pub(super) fn refused(&mut self, refused: &Refused) -> io::Result<()> {
        self.refused += 1;
        let why = refused.why.to_string();
        if !self.json {
            writeln!(self.out, "refused {} bytes: {}", refused.bytes.len(), plain(&why))?;
        }
        *self.reasons.entry(why).or_default() += 1;
        Ok(())
    }

    /// Prints the counts; whether anything was good.
    pub(super) fn finish(mut self) -> io::Result<bool> {
        let reasons = self.reasons.iter().map(|(why, count)| Reason { why, count: *count });
        let counts = Counts { good: self.good, refused: self.refused, reasons: reasons.collect() };
        if self.json {
            serde_json::to_writer(&mut self.out, &counts)?;
            self.out.write_all(b"\n")?;
        } else {
            writeln!(self.out, "{} good, {} refused", counts.good, counts.refused)?;
            for Reason { why, count } in &counts.reasons {
                writeln!(self.out, "  {count} times: {}", plain(why))?;
            }
        }
        self.out.flush()?;
        Ok(self.good > 0)
    }
}

fn line<'t>(telegram: &'t Telegram, object: &'t Object) -> ObjectLine<'t> {
    let (value, unit) = match &object.value {
        ObjectValue::Number(value, unit) => (value.to_string(), unit.map(|unit| unit.to_string())),
        ObjectValue::Text(text) => (text.clone(), None),
    };
    ObjectLine {
        meter: telegram.meter.as_deref(),
        channel: object.code.channel(),
        obis: object.code.to_string(),
        value,
        unit,
        time: object.at.or(telegram.clock).map(|at| at.to_string()),
        quality: quality(telegram, object).as_str(),
    }
}

/// An object is no better than the telegram that says it.
fn quality<'t>(telegram: &'t Telegram, object: &'t Object) -> &'t DataQuality {
    if object.quality == DataQuality::Good { &telegram.quality } else { &object.quality }
}
