//! Reads `[[plugin]]` and `[plugins]`: who is told what happens, programs and what the program that embeds us brings.

use std::path::Path;

use crate::fact::Topics;
use crate::time::Span;

use super::handed::{Handed, handed};
use super::hook::{LONGEST_NAME, is_name};
use super::program::{ProgramSection, Startup, program};
use super::read::or;
use super::reader::Section;

/// `[[plugin]]`: a program that is told what happens.
#[derive(Clone, Debug)]
pub(crate) struct PluginSection {
    /// As a topic has it: `x.<name>.…`.
    pub(crate) name: String,
    /// Where it stands in the file, as `plugin[0]`.
    pub(crate) key: String,
    pub(crate) program: ProgramSection,
    /// `None`: what its hello says.
    pub(crate) topics: Option<Topics>,
    /// It reads what it is told within this.
    pub(crate) timeout: Span,
}

/// `[[plugin]] kind = "rust"`: one that the program which embeds us brings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RustPluginSection {
    pub(crate) name: String,
    /// Where it stands in the file, as `plugin[0]`.
    pub(crate) key: String,
    /// Otherwise it is not started.
    pub(crate) enabled: bool,
    /// What its context gives to it.
    pub(crate) config: Handed,
}

/// A `[[plugin]]` of either kind.
enum Either {
    Program(PluginSection),
    Rust(RustPluginSection),
}

impl Either {
    fn name(&self) -> &str {
        match self {
            Self::Program(plugin) => &plugin.name,
            Self::Rust(plugin) => &plugin.name,
        }
    }

    fn key(&self) -> &str {
        match self {
            Self::Program(plugin) => &plugin.key,
            Self::Rust(plugin) => &plugin.key,
        }
    }
}

/// The plugins: the programs that are enabled, and all of those that are brought along.
pub(super) fn plugins(root: &Section<'_, '_>, folder: &Path) -> (Vec<PluginSection>, Vec<RustPluginSection>) {
    let mut plugins: Vec<(Either, bool)> = Vec::new();
    for (at, section) in root.sections("plugin").into_iter().enumerate() {
        plugins.extend(plugin(section, format!("plugin[{at}]"), folder));
    }
    for (at, (plugin, _)) in plugins.iter().enumerate() {
        if plugins.iter().take(at).any(|(other, _)| other.name() == plugin.name()) {
            let key = format!("{}.name", plugin.key());
            let what = format!("\"{}\" stands twice", plugin.name());
            root.reader.fault(root.reader.line_of(&key), &key, what);
        }
    }
    let names: Vec<_> = plugins.iter().map(|(plugin, _)| plugin.name()).collect();
    let only = only(root, &names);
    let (mut programs, mut brought) = (Vec::new(), Vec::new());
    for (plugin, enabled) in plugins {
        let enabled = only.as_ref().map_or(enabled, |only| only.iter().any(|name| name == plugin.name()));
        match plugin {
            Either::Program(plugin) => programs.extend(enabled.then_some(plugin)),
            Either::Rust(plugin) => brought.push(RustPluginSection { enabled, ..plugin }),
        }
    }
    (programs, brought)
}

/// `[plugins] only`, or `VEN_PLUGINS`: these run whatever `enabled` says, and no others.
fn only(root: &Section<'_, '_>, plugins: &[&str]) -> Option<Vec<String>> {
    let section = root.section("plugins");
    let named = section.has("only");
    let mut only = Vec::new();
    for found in section.texts("only") {
        for name in found.value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if !plugins.contains(&name) {
                let known = plugins.join(", ");
                let what = format!("there is no [[plugin]] with name = \"{name}\"; known are: {known}");
                section.reader.fault(found.line, &found.key, what);
            }
            only.push(name.to_owned());
        }
    }
    section.end();
    named.then_some(only)
}

fn plugin(section: Section<'_, '_>, key: String, folder: &Path) -> Option<(Either, bool)> {
    let name = section.required("name", "give the plugin a name of your choice, as name = \"peak-guard\"");
    if let Some(found) = name.as_ref().filter(|found| !is_name(&found.value)) {
        let what = format!(
            "expected a small letter, and at most {} more, digits, _ and -; found \"{}\"",
            LONGEST_NAME - 1,
            found.value
        );
        section.reader.fault(found.line, &found.key, what);
    }
    let brought = or(section.choice("kind", &[("exec", false), ("rust", true)]), false);
    let enabled = or(section.boolean("enabled"), true);
    if brought {
        let config = handed(&section);
        section.end();
        let plugin = RustPluginSection { name: name?.value, key, enabled, config };
        return Some((Either::Rust(plugin), enabled));
    }
    let program = program(&section, Startup::Retry, folder);
    if program.as_ref().is_some_and(|program| program.once) {
        section.fault_at("mode", "is for [handler] only: a plugin goes on running");
    }
    let topics = topics(&section);
    let timeout = or(section.span("timeout"), Span::from_seconds(10));
    section.end();
    let plugin = PluginSection { name: name?.value, key, program: program?, topics, timeout };
    Some((Either::Program(plugin), enabled))
}

fn topics(section: &Section<'_, '_>) -> Option<Topics> {
    let named = section.has("topics");
    let mut patterns = Vec::new();
    for found in section.texts("topics") {
        match Topics::parse([found.value.as_str()]) {
            Ok(_) => patterns.push(found.value),
            Err(error) => section.reader.fault(found.line, &found.key, error.to_string()),
        }
    }
    let topics = Topics::parse(patterns.iter().map(String::as_str)).ok();
    topics.filter(|_| named)
}
