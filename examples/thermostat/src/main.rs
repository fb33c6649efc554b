//! The whole `ven` program (`run`, `check`, `demo`, ...), with a thermostat that decides and acts.

use std::process::ExitCode;

use thermostat::Thermostat;

fn main() -> ExitCode {
    openadr_ven::main(Thermostat::default())
}
