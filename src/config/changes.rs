//! Says what is different in a configuration that was read anew, and what of it can hold while the VEN runs.
//!
//! Who is told what, by hooks, monitors and plugins, who decides, and who may ask the local API can change at any time. All else is
//! built upon when the VEN starts, and holds after a restart: [`Config::with_live_of`] leaves it as it was, so that it is named
//! again until then.

use std::fmt;

use super::{Config, HandlerSection, HttpSection, PluginSection};

/// A part of a configuration, written as it stands there: `[vtn]`, `[[hook]] "ops"`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part(Kind);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Section(&'static str),
    Setting(&'static str, &'static str),
    /// One of several, by its name.
    Named(&'static str, String),
    /// One of several, by its number.
    Numbered(&'static str, u32),
    /// Meters tell facts of this topic, or do not.
    Told(&'static str),
}

/// What is different in a configuration that was read anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changes {
    /// What was not there before, and holds.
    pub added: Vec<Part>,
    /// What was there and is different, and holds as it is now.
    pub changed: Vec<Part>,
    /// What is not there any more, and holds no more.
    pub removed: Vec<Part>,
    /// What is different and holds after a restart only; until then it is as it was.
    pub needs_restart: Vec<Part>,
}

impl Part {
    pub(crate) const fn section(name: &'static str) -> Self {
        Self(Kind::Section(name))
    }

    const fn setting(section: &'static str, name: &'static str) -> Self {
        Self(Kind::Setting(section, name))
    }

    pub(crate) fn hook(name: &str) -> Self {
        Self::named("hook", name)
    }

    pub(crate) fn plugin(name: &str) -> Self {
        Self::named("plugin", name)
    }

    /// A token of the local API.
    pub(crate) fn token(name: &str) -> Self {
        Self::named("http.token", name)
    }

    fn named(list: &'static str, name: &str) -> Self {
        Self(Kind::Named(list, name.to_owned()))
    }

    /// Whether it is one of this list.
    pub(crate) fn is_of(&self, wanted: &str) -> bool {
        match &self.0 {
            Kind::Named(list, _) | Kind::Numbered(list, _) => *list == wanted,
            Kind::Section(_) | Kind::Setting(..) | Kind::Told(_) => false,
        }
    }

    /// The name of the hook, where it is one.
    pub(crate) fn as_hook(&self) -> Option<&str> {
        match &self.0 {
            Kind::Named("hook", name) => Some(name),
            Kind::Named(..) | Kind::Section(_) | Kind::Setting(..) | Kind::Numbered(..) | Kind::Told(_) => {
                None
            }
        }
    }

    /// For programs: `vtn`, `handler.default`, `hook.ops`, `monitor.260`.
    #[must_use]
    pub fn key(&self) -> String {
        match &self.0 {
            Kind::Section(section) => (*section).to_owned(),
            Kind::Setting(section, name) => format!("{section}.{name}"),
            Kind::Named(list, name) => format!("{list}.{name}"),
            Kind::Numbered(list, number) => format!("{list}.{number}"),
            Kind::Told(topic) => format!("topic.{topic}"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Section(section) => write!(f, "[{section}]"),
            Kind::Setting(section, name) => write!(f, "[{section}] {name}"),
            Kind::Named(list, name) => write!(f, "[[{list}]] \"{name}\""),
            Kind::Numbered(list, number) => write!(f, "[[{list}]] {number}"),
            Kind::Told(topic) => write!(f, "meters that tell {topic}"),
        }
    }
}

impl Changes {
    /// What the new one says otherwise than the old one.
    pub(crate) fn between(old: &Config, new: &Config) -> Self {
        let mut changes = Self::default();
        changes.live(old, new);
        changes.fixed(old, new);
        changes.handler(&old.handler, &new.handler);
        changes.http(old.http.as_ref(), new.http.as_ref());
        changes.of_meters(old, new);
        changes
    }

    /// Whether nothing is different.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists().iter().all(|(_, parts)| parts.is_empty())
    }

    /// Says that this is different too, where that is not said already: a secret was, which stands elsewhere.
    pub(crate) fn note_changed(&mut self, part: Part) {
        if !self.added.contains(&part) && !self.changed.contains(&part) {
            self.changed.push(part);
        }
    }

    /// What each list is called, and what stands in it.
    pub(crate) fn lists(&self) -> [(&'static str, &[Part]); 4] {
        [
            ("added", &self.added),
            ("changed", &self.changed),
            ("removed", &self.removed),
            ("needs a restart", &self.needs_restart),
        ]
    }

    /// What can change while the VEN runs.
    fn live(&mut self, old: &Config, new: &Config) {
        self.list(&old.hooks, &new.hooks, |hook| Part::hook(&hook.name), PartialEq::eq);
        if old.bus.hooks != new.bus.hooks {
            self.changed.push(Part::setting("bus", "hooks"));
        }
        self.list(&old.plugins, &new.plugins, |plugin| Part::plugin(&plugin.name), same_plugin);
        let monitor = |id| Part(Kind::Numbered("monitor", id));
        self.list(&old.monitors, &new.monitors, |one| monitor(one.id), PartialEq::eq);
    }

    /// What cannot.
    fn fixed(&mut self, old: &Config, new: &Config) {
        let sections = [
            ("ven", old.ven == new.ven),
            ("vtn", old.vtn == new.vtn),
            ("push", old.push == new.push),
            ("tls", old.tls == new.tls),
            ("signature", old.signature == new.signature),
            ("store", old.opt_when_full == new.opt_when_full),
            ("journal", old.journal == new.journal),
            ("push_monitor", old.push_monitor == new.push_monitor),
        ];
        let differing = sections.into_iter().filter(|(_, same)| !same);
        self.needs_restart.extend(differing.map(|(section, _)| Part::section(section)));
        let of_bus = [
            ("max_size", old.bus.max_size == new.bus.max_size),
            ("tick", old.bus.tick == new.bus.tick),
            ("strict", old.bus.strict == new.bus.strict),
        ];
        let differing = of_bus.into_iter().filter(|(_, same)| !same);
        self.needs_restart.extend(differing.map(|(name, _)| Part::setting("bus", name)));
        let mut lists = Self::default();
        lists.list(&old.meters, &new.meters, |one| Part::named("meter", &one.name), PartialEq::eq);
        let report = |specifier: &str| Part::named("report", specifier);
        lists.list(&old.reports, &new.reports, |one| report(one.specifier.as_str()), PartialEq::eq);
        let source = |name: &str| Part::named("report_source", name);
        lists.list(&old.report_sources, &new.report_sources, |one| source(&one.name), PartialEq::eq);
        lists.list(&old.rust_plugins, &new.rust_plugins, |one| Part::plugin(&one.name), PartialEq::eq);
        let schedule = |name: &str| Part::named("opt_schedule", name);
        lists.list(&old.opt_schedules, &new.opt_schedules, |one| schedule(one.name.as_str()), PartialEq::eq);
        self.needs_restart.extend(lists.added.into_iter().chain(lists.changed).chain(lists.removed));
    }

    fn handler(&mut self, old: &HandlerSection, new: &HandlerSection) {
        if (&old.rules, &old.program) != (&new.rules, &new.program) {
            self.changed.push(Part::section("handler"));
        }
        let settings = [
            ("default", old.default == new.default),
            ("timeout", old.timeout == new.timeout),
            ("signals", old.signals == new.signals),
        ];
        let differing = settings.into_iter().filter(|(_, same)| !same);
        self.needs_restart.extend(differing.map(|(name, _)| Part::setting("handler", name)));
    }

    /// Tokens come and go; where there was no local API, or is to be none any more, all of it waits for a restart.
    fn http(&mut self, old: Option<&HttpSection>, new: Option<&HttpSection>) {
        if old.map(without_tokens) != new.map(without_tokens) {
            self.needs_restart.push(Part::section("http"));
        }
        if let (Some(old), Some(new)) = (old, new) {
            self.list(&old.tokens, &new.tokens, |token| Part::token(&token.name), PartialEq::eq);
        }
    }

    /// Meters learn when they start whether anybody may want their telegrams, intervals and days.
    fn of_meters(&mut self, old: &Config, new: &Config) {
        for topic in ["meter.telegram", "meter.interval", "meter.day"] {
            if !new.meters.is_empty() && new.tells(topic) && !old.tells(topic) {
                self.needs_restart.push(Part(Kind::Told(topic)));
            }
        }
    }

    fn list<T>(&mut self, old: &[T], new: &[T], part: impl Fn(&T) -> Part, same: fn(&T, &T) -> bool) {
        let find = |all: &[T], wanted: &Part| all.iter().position(|one| part(one) == *wanted);
        for one in new {
            let name = part(one);
            match find(old, &name).map(|at| &old[at]) {
                None => self.added.push(name),
                Some(before) if !same(before, one) => self.changed.push(name),
                Some(_) => {}
            }
        }
        self.removed.extend(old.iter().map(&part).filter(|name| find(new, name).is_none()));
    }
}

/// In the words of the command line; several lines, the last without a line end.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing has changed");
        }
        let lists = self.lists().into_iter().filter(|(_, parts)| !parts.is_empty());
        let line = |(title, parts): (&str, &[Part])| {
            let parts: Vec<_> = parts.iter().map(ToString::to_string).collect();
            format!("{title}: {}", parts.join(", "))
        };
        f.write_str(&lists.map(line).collect::<Vec<_>>().join("\n"))
    }
}

/// Whatever its place in the file.
fn same_plugin(old: &PluginSection, new: &PluginSection) -> bool {
    (&old.program, &old.topics, old.timeout) == (&new.program, &new.topics, new.timeout)
}

fn without_tokens(http: &HttpSection) -> HttpSection {
    HttpSection { tokens: Vec::new(), ..http.clone() }
}

impl Config {
    /// This one, with everything of a newer one that can hold while the VEN runs.
    pub(crate) fn with_live_of(&self, new: &Self) -> Self {
        let mut live = self.clone();
        (live.file, live.lines) = (new.file.clone(), new.lines.clone());
        (live.hooks, live.hook_files, live.bus.hooks) =
            (new.hooks.clone(), new.hook_files.clone(), new.bus.hooks);
        (live.plugins, live.monitors) = (new.plugins.clone(), new.monitors.clone());
        (live.handler.rules, live.handler.program) = (new.handler.rules.clone(), new.handler.program.clone());
        if let (Some(live), Some(new)) = (&mut live.http, &new.http) {
            live.tokens.clone_from(&new.tokens);
        }
        live
    }
}
