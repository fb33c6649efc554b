//! `ven meter`: a meter by hand: try it, find out what it speaks, play one.

mod detect;
mod print;
mod read;
mod recognise;
mod refused;
mod replay;
mod session;
mod sim;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use crate::config::MapSource;
use crate::daemon::{list_models, register_map};
use crate::metering::{
    Framing, Keys, ModbusSettings, Protocol, ProtocolSettings, PullSettings, PulseFlow, PulseForm,
    PulseSettings, Sealing,
};
use crate::time::Span;

/// Whoever looks wants to see something soon.
const ASKED_EVERY: Span = Span::from_seconds(2);

#[derive(Debug, Subcommand)]
pub(super) enum MeterCommand {
    /// Decode what was recorded; exit code 0 if anything in it was good, 1 if nothing was.
    ///
    /// With --json, one object for each thing that a telegram says, and a last one that counts telegrams.
    Replay {
        /// Bytes as they came over the line.
        file: PathBuf,
        #[command(flatten)]
        protocol: ProtocolArguments,
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// Find out how a port must be set and what the meter on it speaks, within a minute, and print what to put into the configuration.
    ///
    /// It listens first, and speaks only to a line on which nobody does.
    Detect(detect::DetectArguments),
    /// Print what a meter says, as it comes; exit code 0 if anything was good, 1 if nothing was.
    Read(read::ReadArguments),
    /// Play a meter on a pseudo-terminal; prints its path.
    Sim(sim::SimArguments),
    /// List the last telegrams that were refused, with the reasons.
    Refused {
        /// The configuration.
        #[arg(long, short, default_value = "ven.toml")]
        config: PathBuf,
        /// Only those of this meter.
        #[arg(long)]
        meter: Option<String>,
        /// Write their bytes into one file, to hand it on; they say what a household uses.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// What a meter speaks, and what it takes to understand it.
#[derive(Args)]
pub(super) struct ProtocolArguments {
    /// The protocol; without it, the one that understands most.
    #[arg(long, value_parser = word(Protocol::WORDS))]
    protocol: Option<Protocol>,
    /// Opens what the meter encrypts: 32 hexadecimal digits.
    #[arg(long, value_name = "HEX")]
    key: Option<String>,
    /// Proves that it was the meter: 32 hexadecimal digits.
    #[arg(long, value_name = "HEX", requires = "key")]
    auth_key: Option<String>,
    /// Take also what nothing proves to be the meter's.
    #[arg(long)]
    unauthenticated: bool,
    /// What the meter's clock is ahead of UTC in winter, as 1h; where it does not say so.
    #[arg(long, value_parser = humantime::parse_duration)]
    clock_base: Option<Duration>,
    /// What lists of DLMS mean: a file instead of what the program knows.
    #[arg(long, value_name = "FILE")]
    models: Option<PathBuf>,
    /// The model of the meter among these.
    #[arg(long)]
    model: Option<String>,
    /// A meter of IEC 62056-21 that speaks by itself (mode D).
    #[arg(long)]
    push: bool,
    /// The device of IEC 62056-21 that is meant, where several hear the line.
    #[arg(long, default_value = "")]
    address: String,
    /// A meter of IEC 62056-21 with a battery, which sleeps.
    #[arg(long)]
    wake_up: bool,
    /// Believe blocks of IEC 62056-21 with a wrong checksum too, for meters that calculate it otherwise.
    #[arg(long)]
    ignore_bcc: bool,
    /// A Modbus meter's address on the bus.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=247), default_value_t = 1)]
    unit: u8,
    /// Where a Modbus meter has what: the name of a map, or a file that ends in .toml.
    #[arg(long)]
    map: Option<String>,
    /// How often a meter is asked that does not speak by itself.
    #[arg(long, value_parser = humantime::parse_duration)]
    every: Option<Duration>,
    /// Pulses of an S0 output for one kWh.
    #[arg(long, default_value_t = 1000)]
    pulses_per_kwh: u32,
    /// The meter is built in the other way round.
    #[arg(long)]
    invert: bool,
}

/// Speed and bits of a character.
#[derive(Clone, Debug, Args)]
pub(super) struct LineArguments {
    /// The speed of a serial port; without it, the usual one of the protocol.
    #[arg(long)]
    baud: Option<u32>,
    /// Bits, parity and stop bits of a serial port, as 8N1.
    #[arg(long, value_parser = word(Framing::WORDS))]
    framing: Option<Framing>,
}

impl std::fmt::Debug for ProtocolArguments {
    /// Without the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProtocolArguments").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

impl ProtocolArguments {
    /// For a decoder of that protocol; `None` where it takes more than was said.
    fn settings(&self, protocol: Protocol) -> anyhow::Result<Option<ProtocolSettings>> {
        let clock_base = self.clock_base.map_or(Span::HOUR, Span::from_std);
        Ok(Some(match protocol {
            Protocol::Dsmr => ProtocolSettings::Dsmr { clock_base, sealing: self.sealing()? },
            Protocol::Sml => ProtocolSettings::Sml,
            Protocol::Dlms => {
                let models = list_models(self.models.as_deref(), self.model.as_deref());
                let models = models.map_err(anyhow::Error::msg)?;
                ProtocolSettings::Dlms { clock_base, sealing: self.sealing()?, models }
            }
            Protocol::Iec62056 => {
                let every = self.every.map_or(ASKED_EVERY, Span::from_std);
                let usual = PullSettings::every(every);
                let pull = PullSettings {
                    address: self.address.clone(),
                    wake_up: self.wake_up,
                    ignore_bcc: self.ignore_bcc,
                    ..usual
                };
                let settings = ProtocolSettings::Iec62056 { clock_base, pull: (!self.push).then_some(pull) };
                settings.check().map_err(anyhow::Error::msg)?;
                settings
            }
            Protocol::Modbus => {
                let Some(map) = &self.map else { return Ok(None) };
                let map = register_map(&MapSource::parse(map, Path::new(""))).map_err(anyhow::Error::msg)?;
                ProtocolSettings::Modbus(ModbusSettings {
                    unit: self.unit,
                    map,
                    interval: self.every.map_or(ASKED_EVERY, Span::from_std),
                    time_out: ModbusSettings::TIME_OUT,
                    invert: self.invert,
                })
            }
            Protocol::S0 => {
                let flow = if self.invert { PulseFlow::Export } else { PulseFlow::Import };
                let settings = PulseSettings::new(self.pulses_per_kwh, flow);
                ProtocolSettings::S0 { settings, form: PulseForm::Lines, count: 0 }
            }
        }))
    }

    fn sealing(&self) -> anyhow::Result<Sealing> {
        let keys = self.key.as_deref().map(|key| Keys::parse(key, self.auth_key.as_deref())).transpose()?;
        Ok(Sealing { keys, unauthenticated: self.unauthenticated, ..Sealing::default() })
    }

    /// The same, where the protocol was named.
    fn named(&self, protocol: Protocol) -> anyhow::Result<ProtocolSettings> {
        self.settings(protocol)?.with_context(|| format!("{} needs --map", protocol.word()))
    }
}

/// Reads one of a few words.
fn word<T: Copy + Send + Sync + 'static>(
    words: &'static [(&'static str, T)],
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        let known = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        known.ok_or_else(|| {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            format!("expected one of {}", known.join(", "))
        })
    }
}

pub(super) fn meter(command: MeterCommand) -> ExitCode {
    let good = match command {
        MeterCommand::Replay { file, mut protocol, json } => {
            // A recording steers nothing, so what can be read is shown, unless it must be proved.
            protocol.unauthenticated |= protocol.auth_key.is_none();
            replay::replay(&file, &protocol, json)
        }
        MeterCommand::Read(arguments) => read::read(&arguments),
        MeterCommand::Detect(arguments) => detect::detect(&arguments),
        MeterCommand::Sim(arguments) => sim::sim(&arguments).map(|()| true),
        MeterCommand::Refused { config, meter, out } => {
            refused::refused(&config, meter.as_deref(), out.as_deref()).map(|()| true)
        }
    };
    match good {
        Ok(false) => ExitCode::FAILURE,
        outcome => super::exit_code(outcome.map(|_| ())),
    }
}
