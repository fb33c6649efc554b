//! Makes what the configuration says about programs ready to be run.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::config::{Config, ConfigError, PluginSection, ProgramSection, Startup, folder_of};
use crate::fact::Topics;
use crate::rules::RulesHandler;
use crate::time::Span;

use super::handler_seat::DynHandler;
use super::plugin::{
    Asked, BroughtPlugin, DECIDE, DynPlugin, EVENT, ExecHandler, ExecPlugin, Keeping, OneShot, Patience,
    Program, ProgramSeat, ProgramSettings, REPORT_READ, Room, is_there,
};
use super::prepare::Faults;

/// What a program that decides is called in the log and in facts.
const HANDLER: &str = "handler";
/// A program that decides and has ended too often is tried again after this: nobody may be at home to see to it.
const HEALS: Span = Span::from_seconds(300);

/// The program of `[handler] kind = "exec"`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HandlerProgram {
    settings: ProgramSettings,
    /// It is run for each question.
    once: bool,
}

/// A program that is told what happens.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PreparedPlugin {
    settings: ProgramSettings,
    /// `None`: what its hello says.
    topics: Option<Topics>,
}

impl PreparedPlugin {
    pub(super) fn name(&self) -> &str {
        &self.settings.program.name
    }

    pub(super) const fn startup(&self) -> Startup {
        self.settings.startup
    }
}

/// The program that decides, where one does.
pub(super) fn handler_program(faults: &mut Faults<'_>) -> Option<HandlerProgram> {
    let config = faults.config;
    let section = config.handler.program.as_ref()?;
    let program = program(faults, "handler", HANDLER, section)?;
    let settings = ProgramSettings {
        program,
        needs: &[DECIDE],
        startup: section.startup,
        heals: Some(HEALS),
        patience: Patience::with(config.handler.timeout.to_std()),
        initialize: initialize(faults, "handler", section)?,
    };
    Some(HandlerProgram { settings, once: section.once })
}

fn program(faults: &mut Faults<'_>, key: &str, name: &str, section: &ProgramSection) -> Option<Program> {
    let mut environment = Vec::new();
    for (variable, value) in &section.environment {
        let value = faults.check(&format!("{key}.env.{variable}"), None, value.read())?;
        environment.push((variable.clone(), value));
    }
    let path = section.command.first()?;
    if !is_there(path) {
        let (key, what) = (format!("{key}.command"), format!("there is no program {path} that may be run"));
        if section.startup == Startup::Error {
            return faults.check(&key, None, Err(what));
        }
        let warning = faults.config.fault(&key, what).in_file(&faults.config.file);
        faults.warnings.push(warning);
    }
    let (name, command) = (name.to_owned(), section.command.clone());
    Some(Program { name, command, environment, max_memory: section.max_memory })
}

/// The programs that are told what happens.
pub(super) fn plugins(faults: &mut Faults<'_>) -> Vec<PreparedPlugin> {
    let config = faults.config;
    let mut plugins = Vec::new();
    for section in &config.plugins {
        let program = program(faults, &section.key, &section.name, &section.program);
        let initialize = initialize(faults, &section.key, &section.program);
        let (Some(program), Some(initialize)) = (program, initialize) else { continue };
        let settings = ProgramSettings {
            program,
            needs: &[EVENT, REPORT_READ],
            startup: section.program.startup,
            heals: None,
            patience: Patience::with(section.timeout.to_std()),
            initialize,
        };
        plugins.push(PreparedPlugin { settings, topics: section.topics.clone() });
    }
    plugins
}

/// Sees to it that the program which embeds us brings the plugins that are configured as its own, and no program that is configured
/// under the same name.
///
/// # Errors
///
/// Each that it does or does not.
pub(crate) fn check_names(
    config: &Config,
    brought: &BTreeMap<String, Arc<dyn DynPlugin>>,
) -> Result<(), ConfigError> {
    let twice = config.plugins.iter().filter(|plugin| brought.contains_key(&plugin.name));
    let fault = |plugin: &PluginSection| {
        let what = format!("the program brings a plugin \"{}\" of its own", plugin.name);
        config.fault(&format!("{}.name", plugin.key), what)
    };
    let missing = config.rust_plugins.iter().filter(|plugin| !brought.contains_key(&plugin.name));
    let brings = match brought.keys().map(String::as_str).collect::<Vec<_>>().join(", ") {
        names if names.is_empty() => "it brings none".to_owned(),
        names => format!("it brings {names}"),
    };
    let missing = missing.map(|plugin| {
        let what = format!("the program brings no plugin \"{}\"; {brings}", plugin.name);
        config.fault(&format!("{}.name", plugin.key), what)
    });
    let faults: Vec<_> = twice.map(fault).chain(missing).collect();
    if faults.is_empty() { Ok(()) } else { Err(ConfigError { file: config.file.clone(), faults }) }
}

/// Starts a plugin.
///
/// # Errors
///
/// Why one that must start does not.
pub(super) async fn start_plugin(
    PreparedPlugin { settings, topics }: PreparedPlugin,
    room: &Room,
) -> Result<(ProgramSeat, Keeping), String> {
    let name = settings.program.name.clone();
    let started = ProgramSeat::start(settings, room).await;
    let (seat, keeping) = started.map_err(|why| format!("[[plugin]] {name}: {why}"))?;
    tokio::spawn(ExecPlugin { seat: seat.clone(), bus: room.bus.clone(), topics }.run());
    Ok((seat, keeping))
}

/// What a program is told once.
fn initialize(faults: &mut Faults<'_>, key: &str, section: &ProgramSection) -> Option<Map<String, Value>> {
    let config = faults.config;
    let own = section.config.with_secrets(folder_of(&config.file));
    let own = faults.check(&format!("{key}.config"), None, own)?;
    let ven = json!({"name": config.ven.name, "version": env!("CARGO_PKG_VERSION")});
    Some(Map::from_iter([("config".to_owned(), Value::Object(own)), ("ven".to_owned(), ven)]))
}

/// The plugins that are brought along and enabled, each with its settings.
///
/// # Errors
///
/// Which setting lacks its secret, and each fault of [`check_names`].
pub(super) fn rust_plugins(
    config: &Config,
    brought: BTreeMap<String, Arc<dyn DynPlugin>>,
) -> Result<BTreeMap<String, BroughtPlugin>, ConfigError> {
    check_names(config, &brought)?;
    let (mut plugins, mut faults) = (BTreeMap::new(), Vec::new());
    for (name, plugin) in brought {
        let section = config.rust_plugins.iter().find(|section| section.name == name);
        let settings = match section {
            None => Map::new(),
            Some(section) if !section.enabled => continue,
            Some(section) => match section.config.with_secrets(folder_of(&config.file)) {
                Ok(settings) => settings,
                Err(what) => {
                    faults.push(config.fault(&format!("{}.config", section.key), what));
                    continue;
                }
            },
        };
        plugins.insert(name, BroughtPlugin { plugin, settings });
    }
    if faults.is_empty() { Ok(plugins) } else { Err(ConfigError { file: config.file.clone(), faults }) }
}

/// Who decides: what the program that embeds us brings, the program that is configured, or the rules.
///
/// # Errors
///
/// Why the program that is configured cannot be started.
pub(super) async fn handler(
    brought: Option<Arc<dyn DynHandler>>,
    config: &Config,
    program: Option<HandlerProgram>,
    room: &Room,
) -> Result<(Arc<dyn DynHandler>, Option<Keeping>), String> {
    if let Some(brought) = brought {
        if program.is_some() {
            tracing::warn!("the program of [handler] is not used: a handler was brought along that decides");
        }
        return Ok((brought, None));
    }
    let Some(HandlerProgram { settings, once }) = program else {
        let rules = RulesHandler { rules: config.handler.rules.clone(), default: config.handler.default };
        return Ok((Arc::new(rules), None));
    };
    let clock = room.clock;
    let (asked, keeping) = if once {
        (Asked::Once(OneShot::new(settings.program, clock)), None)
    } else {
        let (seat, keeping) = ProgramSeat::start(settings, room).await?;
        (Asked::Seat(seat), Some(keeping))
    };
    Ok((Arc::new(ExecHandler { asked, timeout: config.handler.timeout.to_std(), clock }), keeping))
}
