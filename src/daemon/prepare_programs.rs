//! Makes what the configuration says about programs ready to be run.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::config::{Config, ConfigError, PluginSection, ProgramSection, Startup};
use crate::fact::Topics;
use crate::rules::RulesHandler;

use super::bus::Bus;
use super::clock::Clock;
use super::handler_seat::DynHandler;
use super::plugin::{
    Asked, DECIDE, DynPlugin, EVENT, ExecHandler, ExecPlugin, Keeping, OneShot, Patience, Program,
    ProgramSeat, ProgramSettings, is_there,
};
use super::prepare::Faults;

/// What a program that decides is called in the log and in facts.
const HANDLER: &str = "handler";

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
        needs: DECIDE,
        startup: section.startup,
        patience: Patience::with(config.handler.timeout.to_std()),
        initialize: initialize(config),
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
    Some(Program { name: name.to_owned(), command: section.command.clone(), environment })
}

/// The programs that are told what happens.
pub(super) fn plugins(faults: &mut Faults<'_>) -> Vec<PreparedPlugin> {
    let config = faults.config;
    let mut plugins = Vec::new();
    for section in &config.plugins {
        let Some(program) = program(faults, &section.key, &section.name, &section.program) else { continue };
        let settings = ProgramSettings {
            program,
            needs: EVENT,
            startup: section.program.startup,
            patience: Patience::with(section.timeout.to_std()),
            initialize: initialize(config),
        };
        plugins.push(PreparedPlugin { settings, topics: section.topics.clone() });
    }
    plugins
}

/// Sees to it that the program which embeds us brings no plugin that is configured too.
///
/// # Errors
///
/// Each that it does.
pub(super) fn check_names(
    config: &Config,
    brought: &BTreeMap<String, Arc<dyn DynPlugin>>,
) -> Result<(), ConfigError> {
    let twice = config.plugins.iter().filter(|plugin| brought.contains_key(&plugin.name));
    let fault = |plugin: &PluginSection| {
        let what = format!("the program brings a plugin \"{}\" of its own", plugin.name);
        config.fault(&format!("{}.name", plugin.key), what)
    };
    let faults: Vec<_> = twice.map(fault).collect();
    if faults.is_empty() { Ok(()) } else { Err(ConfigError { file: config.file.clone(), faults }) }
}

/// Starts a plugin.
///
/// # Errors
///
/// Why one that must start does not.
pub(super) async fn start_plugin(
    PreparedPlugin { settings, topics }: PreparedPlugin,
    bus: &Bus,
    clock: Clock,
) -> Result<(ProgramSeat, Keeping), String> {
    let name = settings.program.name.clone();
    let started = ProgramSeat::start(settings, bus, clock).await;
    let (seat, keeping) = started.map_err(|why| format!("[[plugin]] {name}: {why}"))?;
    tokio::spawn(ExecPlugin { seat: seat.clone(), bus: bus.clone(), topics }.run());
    Ok((seat, keeping))
}

/// What a program is told once.
fn initialize(config: &Config) -> Map<String, Value> {
    let ven = json!({"name": config.ven.name, "version": env!("CARGO_PKG_VERSION")});
    Map::from_iter([("ven".to_owned(), ven)])
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
    bus: &Bus,
    clock: Clock,
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
    let (asked, keeping) = if once {
        (Asked::Once(OneShot::new(settings.program, clock)), None)
    } else {
        let (seat, keeping) = ProgramSeat::start(settings, bus, clock).await?;
        (Asked::Seat(seat), Some(keeping))
    };
    Ok((Arc::new(ExecHandler { asked, timeout: config.handler.timeout.to_std(), clock }), keeping))
}
