//! Reads what `[[hook]]` says about its words, and what does not go together in it.

use minijinja::Environment;

use super::media::{Kind, Media};
use super::template::{BadTemplate, Template};
use super::zone::BadZone;
use super::{RenderFault, Samples};
use crate::hook::settings::{OwnSerializer, Serializer, Words};

/// What is done with the facts.
#[derive(Debug)]
pub(super) enum Way {
    /// Of each fact, the words in a list; or of all at once, where it speaks of `facts`.
    Template(Template),
    Form(Vec<(String, Template)>),
    Serializer(Serializer),
}

/// Why these are no words for a hook.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadWords {
    #[error(transparent)]
    Template(#[from] BadTemplate),
    #[error("timezone: {0}")]
    Zone(#[from] BadZone),
    #[error("content_type: \"{0}\" is none; it is as application/json or text/plain; charset=utf-8")]
    ContentType(String),
    #[error("content_type: {given} does not fit: {writer} writes {writes}")]
    Unfit { given: String, writer: &'static str, writes: &'static str },
    #[error("form and template cannot both be given: a form has a template for each of its fields")]
    Both,
    #[error("fields: \"{name}\" is in no fact of this hook; data has {known}")]
    UnknownField { name: String, known: String },
    #[error("batch: {0} tells one fact in each message; set batch.max_items = 1")]
    NoBatch(&'static str),
    #[error(
        "batch: a template for {0} must speak of all facts, {{% for fact in facts %}}, or set batch.max_items = 1"
    )]
    Unjoinable(&'static str),
    #[error("batch: the template speaks of facts and of \"{0}\" too; within the list it is fact.{0}")]
    Mixed(&'static str),
    #[error(
        "serializer: no serializer is called \"{name}\"; there are cloudevents, data and dsmr-reader, and the program brings {known}"
    )]
    NoSerializer { name: String, known: String },
    #[error("it works for no topic of this hook; for {topic}: {fault}")]
    NeverWorks { topic: String, fault: RenderFault },
}

/// What a template that writes of one fact can speak of.
const OF_ONE: &[&str] = &["topic", "event", "data"];
/// What it can speak of besides.
const AROUND: &[&str] = &["facts", "ven", "hook", "now"];

/// The content type that is wished, or that of the serializer; and whether it fits.
pub(super) fn media(words: &Words, batched: bool) -> Result<Media, BadWords> {
    let templated = words.template.is_some() || !words.form.is_empty();
    let own = match words.serializer.as_ref().unwrap_or(&Serializer::CloudEvents) {
        _ if !words.form.is_empty() => "application/x-www-form-urlencoded",
        Serializer::CloudEvents if !templated && batched => "application/cloudevents-batch+json",
        Serializer::CloudEvents if !templated => "application/cloudevents+json",
        Serializer::CloudEvents | Serializer::Data | Serializer::DsmrReading | Serializer::Own(_) => {
            "application/json"
        }
    };
    let text = words.content_type.as_deref().unwrap_or(own);
    let media = Media::parse(text).ok_or_else(|| BadWords::ContentType(text.to_owned()))?;
    let unfit = |writer, writes| Err(BadWords::Unfit { given: text.to_owned(), writer, writes });
    match (&words.serializer, media.kind) {
        (_, kind) if !words.form.is_empty() && kind != Kind::Form => unfit("a form", "fields of a form"),
        _ if templated => Ok(media),
        (Some(Serializer::Own(_)), _) => Ok(media),
        (_, Kind::Xml) => unfit("a serializer", "JSON; for XML give a template"),
        (None | Some(Serializer::CloudEvents), Kind::Form) => unfit("the serializer cloudevents", "JSON"),
        _ => Ok(media),
    }
}

/// Reads the template, the form or the serializer.
pub(super) fn way(
    words: &Words,
    environment: &Environment<'static>,
    batched: bool,
    kind: Kind,
    samples: &Samples,
) -> Result<Way, BadWords> {
    if let Some((_, name)) = words.fields.iter().find(|(_, name)| !samples.know(name)) {
        return Err(BadWords::UnknownField { name: name.clone(), known: samples.members() });
    }
    let known: Vec<&str> = OF_ONE.iter().chain(AROUND).copied().collect();
    let read = |place: &str, text: &str| -> Result<Template, BadWords> {
        let template = Template::new(place, text, environment, &known, samples)?;
        if batched && template.speaks_of("facts") {
            let mixed = OF_ONE.iter().find(|name| template.speaks_of(name));
            return mixed.map_or(Ok(template), |name| Err(BadWords::Mixed(name)));
        }
        if batched && matches!(kind, Kind::Xml | Kind::Form) {
            return Err(BadWords::Unjoinable(if kind == Kind::Xml { "XML" } else { "a form" }));
        }
        Ok(template)
    };
    match (&words.template, words.form.as_slice()) {
        (Some(_), [_, ..]) => Err(BadWords::Both),
        (Some(text), []) => Ok(Way::Template(read("template", text)?)),
        (None, form @ [_, ..]) => {
            let field =
                |(name, text): &(String, String)| Ok((name.clone(), read(&format!("form.{name}"), text)?));
            Ok(Way::Form(form.iter().map(field).collect::<Result<_, BadWords>>()?))
        }
        (None, []) => {
            let serializer = words.serializer.clone().unwrap_or_default();
            match &serializer {
                Serializer::Own(OwnSerializer { name, write: None, known }) => {
                    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                    Err(BadWords::NoSerializer { name: name.clone(), known })
                }
                Serializer::Own(_) => Ok(Way::Serializer(serializer)),
                Serializer::DsmrReading if batched => Err(BadWords::NoBatch("the serializer dsmr-reader")),
                _ if batched && kind == Kind::Form => Err(BadWords::NoBatch("a form")),
                Serializer::CloudEvents | Serializer::Data | Serializer::DsmrReading => {
                    Ok(Way::Serializer(serializer))
                }
            }
        }
    }
}

/// What is said and not used, for people.
pub(super) fn idle(words: &Words) -> Vec<String> {
    let templated = words.template.is_some() || !words.form.is_empty();
    let own_names = match &words.serializer {
        Some(Serializer::DsmrReading) => Some("DSMR-reader has names of its own"),
        Some(Serializer::Own(_)) => Some("the serializer writes what it wants"),
        Some(Serializer::CloudEvents | Serializer::Data) | None => None,
    };
    let mut idle = Vec::new();
    if templated && words.serializer.is_some() {
        idle.push("serializer is not used, since there is a template".to_owned());
    }
    let unused = if templated { Some("there is a template") } else { own_names };
    if let Some(why) = unused.filter(|_| !words.fields.is_empty()) {
        idle.push(format!("fields is not used, since {why}"));
    }
    idle
}
