//! Puts facts into words: a template, the fields of a form, or a serializer; in the receiver's time zone.
//!
//! ```text
//! [[hook]] -> Renderer::new: everything that can be wrong is told with its place, before anything happens
//! facts    -> Renderer::render -> body and content type, or why nothing is sent
//! ```
//!
//! The same facts at the same moment give the same octets. A body that is not what its content type says is not sent.

mod cloud_events;
mod dsmr;
mod escape;
mod media;
mod proof;
mod samples;
mod template;
#[cfg(test)]
mod tests;
mod values;
mod words;
mod zone;

use minijinja::{Environment, Value};
use serde_json::{Map, Value as Json};

use super::settings::{OwnSerializer, Serializer, Words};
use crate::fact::Fact;
use crate::time::Timestamp;

use media::{Kind, Media};
use proof::Unsound;
use template::Template;
use values::Reading;
use words::Way;

pub(crate) use cloud_events::event as cloud_event;
pub(crate) use escape::form;
pub(crate) use escape::xml as escape_xml;
pub(super) use samples::Decimals;
pub(crate) use samples::Samples;
pub(crate) use template::BadTemplate;
pub(super) use template::{Names, check_names, reason, why};
pub(crate) use words::BadWords;
pub(crate) use zone::Zone;

/// Puts the facts of one hook into words.
#[derive(Debug)]
pub(crate) struct Renderer {
    hook: String,
    way: Way,
    media: Media,
    zone: Zone,
    environment: Environment<'static>,
    /// Members that are numbers though they are texts.
    decimals: Decimals,
    /// New names of members of the data, and their old ones.
    fields: Vec<(String, String)>,
    /// Several facts go into one message.
    batched: bool,
    /// What is odd, for people.
    warnings: Vec<String>,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rendered {
    /// In UTF-8.
    pub(crate) body: Vec<u8>,
    pub(crate) content_type: String,
}

/// Who tells, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Around<'a> {
    pub(crate) ven: &'a VenNames,
    pub(crate) now: Timestamp,
}

/// The VEN as it is spoken of: `ven.name`, `ven.id`, `ven.vtn_id`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct VenNames {
    /// As it is configured.
    pub(crate) name: String,
    /// As the VTN calls it; `None` before it is registered.
    pub(crate) id: Option<String>,
    pub(crate) vtn_id: Option<String>,
}

/// Why facts could not be put into words; nothing is sent then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RenderFault {
    #[error("{place}, line {line}: {why}")]
    Template { place: String, line: usize, why: String },
    #[error("{place} takes too many steps")]
    OutOfFuel { place: String },
    #[error("{place} writes more than 256 KiB")]
    TooLong { place: String },
    #[error("invalid-payload: what was written {0}")]
    Unsound(#[from] Unsound),
    #[error("DSMR-reader takes readings (meter.reading), and {0} is none")]
    NoReading(String),
    #[error("the reading has no {0}, without which DSMR-reader takes none")]
    PoorReading(&'static str),
    #[error("the serializer {name} fails: {why}")]
    Own { name: String, why: String },
}

impl Renderer {
    /// Reads the words of a hook; `batched` where a message holds several facts.
    ///
    /// # Errors
    ///
    /// The first thing in them that cannot work.
    pub(crate) fn new(words: &Words, hook: &str, batched: bool, samples: &Samples) -> Result<Self, BadWords> {
        let zone = Zone::new(&words.timezone)?;
        let media = words::media(words, batched)?;
        let environment = template::environment(&zone, media.kind);
        let way = words::way(words, &environment, batched, media.kind, samples)?;
        let warnings = words::idle(words);
        let fields = words.fields.clone();
        let (hook, decimals) = (hook.to_owned(), samples.decimals());
        let mut renderer = Self { hook, way, media, zone, environment, decimals, fields, batched, warnings };
        let failing = renderer.try_samples(samples)?;
        renderer.warnings.extend(failing);
        Ok(renderer)
    }

    /// What is odd about the words, for those who check the configuration.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Puts facts into words, in the order in which they are given.
    ///
    /// # Errors
    ///
    /// Where a template fails on them, or what comes out is not what the content type says.
    pub(crate) fn render(&self, facts: &[&Fact], around: Around<'_>) -> Result<Rendered, RenderFault> {
        let body = match &self.way {
            Way::Template(template) => self.by_template(template, facts, around)?,
            Way::Form(fields) => self.by_form(fields, facts, around)?,
            Way::Serializer(serializer) => self.by_serializer(serializer, facts, around)?,
        };
        proof::check(self.media.kind, &body)?;
        Ok(Rendered { body: body.into_bytes(), content_type: self.media.text.clone() })
    }

    fn by_template(
        &self,
        template: &Template,
        facts: &[&Fact],
        around: Around<'_>,
    ) -> Result<String, RenderFault> {
        let json = matches!(self.media.kind, Kind::Json | Kind::JsonLines);
        let write = |facts: &[&Fact]| {
            let text = template.render(&self.environment, &self.names(facts, around))?;
            Ok(if json { escape::settle(&text) } else { text })
        };
        if template.speaks_of("facts") || (facts.len() == 1 && !self.batched) {
            return write(facts);
        }
        let each = facts.iter().map(|fact| write(&[fact]));
        Ok(self.join(&each.collect::<Result<Vec<_>, _>>()?))
    }

    fn by_form(
        &self,
        fields: &[(String, Template)],
        facts: &[&Fact],
        around: Around<'_>,
    ) -> Result<String, RenderFault> {
        let names = self.names(facts, around);
        let values = fields.iter().map(|(_, template)| template.render(&self.environment, &names));
        let values: Vec<String> = values.collect::<Result<_, _>>()?;
        Ok(form(fields.iter().zip(&values).map(|((name, _), value)| (name.as_str(), value.as_str()))))
    }

    fn by_serializer(
        &self,
        serializer: &Serializer,
        facts: &[&Fact],
        around: Around<'_>,
    ) -> Result<String, RenderFault> {
        if let Serializer::Own(own) = serializer {
            return by_own(own, facts);
        }
        let one = |fact: &&Fact| match serializer {
            Serializer::CloudEvents => {
                Ok(cloud_events::event(fact, self.data(fact), &self.zone.write(fact.time), around.ven))
            }
            Serializer::Data | Serializer::Own(_) => Ok(self.data(fact)),
            // Other topics of meters have members of the same names that mean something else.
            Serializer::DsmrReading if fact.topic != "meter.reading" => {
                Err(RenderFault::NoReading(fact.topic.clone()))
            }
            Serializer::DsmrReading => dsmr::reading(&self.all_data(fact), &self.zone.write(fact.time))
                .map_err(RenderFault::PoorReading),
        };
        let told: Vec<Map<String, Json>> = facts.iter().map(one).collect::<Result<_, _>>()?;
        if self.media.kind == Kind::Form {
            return Ok(form_of(told.first()));
        }
        let texts: Vec<String> = told.into_iter().map(|members| Json::Object(members).to_string()).collect();
        Ok(self.join(&texts))
    }

    /// Several texts as one.
    fn join(&self, texts: &[String]) -> String {
        match texts {
            [text] if !self.batched => text.clone(),
            _ if self.media.kind == Kind::Json => format!("[{}]", texts.join(",")),
            _ => texts.join("\n"),
        }
    }

    /// The data in the words of the receiver: in its zone, by its names.
    fn data(&self, fact: &Fact) -> Map<String, Json> {
        self.renamed(self.all_data(fact))
    }

    fn all_data(&self, fact: &Fact) -> Map<String, Json> {
        let mut data = fact.data.clone();
        self.zone.rewrite_all(&mut data);
        data
    }

    fn renamed(&self, data: Map<String, Json>) -> Map<String, Json> {
        if self.fields.is_empty() {
            return data;
        }
        let pick = |(new, old): &(String, String)| Some((new.clone(), find(&data, old)?.clone()));
        self.fields.iter().filter_map(pick).collect()
    }

    fn names(&self, facts: &[&Fact], around: Around<'_>) -> Names {
        let one = |fact: &&Fact| {
            let reading = Reading { decimals: self.decimals.of(&fact.topic), to_compare: false };
            of_fact(fact, &self.zone.write(fact.time), reading.members(&self.all_data(fact)))
        };
        let each: Vec<Names> = facts.iter().map(one).collect();
        let mut names = match each.as_slice() {
            [one] => one.clone(),
            _ => Names::new(),
        };
        let ven = &around.ven;
        let ven = [("name", Some(&ven.name)), ("id", ven.id.as_ref()), ("vtn_id", ven.vtn_id.as_ref())];
        let ven: Names =
            ven.into_iter().map(|(name, text)| (name, text.map(String::as_str).into())).collect();
        names.insert("ven", ven.into());
        names.insert("hook", Names::from([("name", Value::from(self.hook.as_str()))]).into());
        names.insert("now", self.zone.write(around.now).into());
        names.insert("facts", each.into_iter().map(Value::from).collect());
        names
    }

    /// Puts the samples into words: what works for none of them works never.
    fn try_samples(&self, samples: &Samples) -> Result<Vec<String>, BadWords> {
        let ven =
            VenNames { name: "ven".to_owned(), id: Some("ven-1".to_owned()), vtn_id: Some("vtn".to_owned()) };
        let around = Around { ven: &ven, now: Timestamp::EPOCH };
        let mut faults = Vec::new();
        for (topic, data) in samples.iter() {
            if let Err(fault) = self.render(&[&sample(topic, data)], around) {
                faults.push((topic, fault));
            }
        }
        match faults.first() {
            Some((topic, fault)) if faults.len() == samples.iter().count() => {
                Err(BadWords::NeverWorks { topic: (*topic).to_owned(), fault: fault.clone() })
            }
            _ => Ok(faults.iter().map(|(topic, fault)| format!("it fails for {topic}: {fault}")).collect()),
        }
    }
}

/// As a function of the program that embeds us writes it, which may panic as anything else of its may.
fn by_own(own: &OwnSerializer, facts: &[&Fact]) -> Result<String, RenderFault> {
    let fault = |why: &str| RenderFault::Own { name: own.name.clone(), why: why.chars().take(500).collect() };
    let Some(write) = &own.write else { return Err(fault("the program does not bring it")) };
    // It is called again with other facts, whatever state it has left itself in: that is its own affair.
    let written = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| write(facts)));
    let text = written.map_err(|_| fault("it has panicked"))?.map_err(|error| fault(&error.to_string()))?;
    if text.len() > template::OUTPUT_MAX {
        return Err(RenderFault::TooLong { place: format!("the serializer {}", own.name) });
    }
    Ok(text)
}

/// The language of filters: that of templates, with times in UTC.
pub(super) fn plain_environment() -> Environment<'static> {
    template::environment(&Zone::Utc, Kind::Text)
}

/// The names by which a template or a filter speaks of a fact.
fn of_fact(fact: &Fact, time: &str, data: Value) -> Names {
    let event = Names::from([
        ("id", Value::from(fact.id.as_str())),
        ("seq", Value::from(fact.seq)),
        ("topic", Value::from(fact.topic.as_str())),
        ("subject", fact.subject.as_deref().into()),
        ("time", Value::from(time)),
    ]);
    Names::from([("topic", Value::from(fact.topic.as_str())), ("event", event.into()), ("data", data)])
}

/// The names by which a filter speaks of a fact.
pub(super) fn to_compare(fact: &Fact, decimals: &Decimals) -> Names {
    let reading = Reading { decimals: decimals.of(&fact.topic), to_compare: true };
    of_fact(fact, &fact.time.to_string(), reading.members(&fact.data))
}

/// A fact of this topic as there could be one.
pub(super) fn sample(topic: &str, data: &Map<String, Json>) -> Fact {
    Fact {
        id: "0198f3a0-0000-7000-8000-000000000001".to_owned(),
        seq: 1,
        topic: topic.to_owned(),
        subject: Some("subject".to_owned()),
        time: Timestamp::from_seconds(1_900_000_000),
        data: data.clone(),
    }
}

/// A member, `a.b` for a member of a member.
fn find<'d>(data: &'d Map<String, Json>, path: &str) -> Option<&'d Json> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    match (data.get(first)?, rest) {
        (value, None) => Some(value),
        (value, Some(rest)) => find(value.as_object()?, rest),
    }
}

/// Members as fields of a form; what is no text is written as JSON, nothing as nothing.
fn form_of(members: Option<&Map<String, Json>>) -> String {
    let text = |value: &Json| match value {
        Json::String(text) => text.clone(),
        Json::Null => String::new(),
        Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => value.to_string(),
    };
    let fields: Vec<(&str, String)> =
        members.into_iter().flatten().map(|(name, value)| (name.as_str(), text(value))).collect();
    form(fields.iter().map(|(name, value)| (*name, value.as_str())))
}
