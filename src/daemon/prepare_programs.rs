//! Makes what the configuration says about programs ready to be run.

use std::sync::Arc;

use serde_json::{Map, json};

use crate::config::{Config, ProgramSection, Startup};
use crate::rules::RulesHandler;

use super::bus::Bus;
use super::clock::Clock;
use super::handler_seat::DynHandler;
use super::plugin::{
    Asked, DECIDE, ExecHandler, Keeping, OneShot, Patience, Program, ProgramSeat, ProgramSettings, is_there,
};
use super::prepare::Faults;

/// What a program that decides is called in the log and in facts.
const HANDLER: &str = "handler";

/// The program of `[handler] kind = "exec"`.
#[derive(Clone, Debug)]
pub(crate) struct HandlerProgram {
    settings: ProgramSettings,
    /// It is run for each question.
    once: bool,
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
        initialize: Map::from_iter([(
            "ven".to_owned(),
            json!({"name": config.ven.name, "version": env!("CARGO_PKG_VERSION")}),
        )]),
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
