//! `ven meter sim`: plays a meter on a pseudo-terminal.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::daemon::clock::Clock;
use crate::daemon::line_or;
use crate::metering::Channel;
use crate::metering::{
    HanSimulator, IecSimulator, LineSettings, Protocol, ProtocolSettings, SaidBytes, SimulatedMode,
    Simulator, SmlReading, SystemTitle, sml_file,
};
use crate::mock_meter::{ModbusVoice, Player, Voice};
use crate::openadr::message::Decimal;
use crate::time::{Span, Timestamp};

use super::{LineArguments, ProtocolArguments};

#[derive(Debug, Args)]
pub(in crate::cli) struct SimArguments {
    #[command(flatten)]
    protocol: ProtocolArguments,
    #[command(flatten)]
    line: LineArguments,
    /// Further Modbus meters on the same line, by their addresses.
    #[arg(long, value_name = "UNIT", value_parser = clap::value_parser!(u8).range(1..=247))]
    beside: Vec<u8>,
    /// How often it speaks, or its values change.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "1s")]
    pace: Duration,
    /// A name for its port, which must not be there yet.
    #[arg(long, value_name = "PATH")]
    link: Option<PathBuf>,
    /// End after this time, as 30s; without it, go on until Ctrl-C.
    #[arg(long = "for", value_parser = humantime::parse_duration)]
    lasting: Option<Duration>,
}

pub(super) fn sim(arguments: &SimArguments) -> anyhow::Result<()> {
    let protocol = arguments.protocol.protocol.unwrap_or(Protocol::Dsmr);
    let settings = arguments.protocol.named(protocol)?;
    let every = Span::from_std(arguments.pace).max(Span::from_millis(10));
    let start = Clock::start().now().wall.floor_to(every);
    crate::cli::log("warn");
    let line = line_or(settings.usual_line(), arguments.line.baud, arguments.line.framing);
    anyhow::ensure!(
        arguments.beside.is_empty() || protocol == Protocol::Modbus,
        "--beside is for --protocol modbus only"
    );
    let voice = voice(&settings, &arguments.beside, line, start);
    let player = Player::start(voice, every, arguments.link.as_deref())?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", player.port().display())?;
    out.flush()?;
    drop(out);
    crate::cli::runtime()?.block_on(async {
        match arguments.lasting {
            Some(lasting) => {
                tokio::time::sleep(lasting).await;
                Ok(())
            }
            None => crate::cli::told_to_stop().await,
        }
    })?;
    Ok(())
}

/// The meter of that protocol, in a house with a solar roof; `beside`: the units of others on its line.
fn voice(settings: &ProtocolSettings, beside: &[u8], line: LineSettings, start: Timestamp) -> Box<dyn Voice> {
    let house = Simulator::v5(start);
    match settings {
        ProtocolSettings::Dsmr { .. } => Box::new(Speaker { house, line, write: Simulator::telegram }),
        ProtocolSettings::Sml => {
            Box::new(Speaker { house, line, write: move |house: &mut Simulator, at| sml(house, start, at) })
        }
        ProtocolSettings::Dlms { sealing, .. } => {
            let mut meter = match &sealing.keys {
                None => HanSimulator::default(),
                // A meter that has counted since it was put in.
                Some(keys) => HanSimulator::encrypted(
                    keys.clone(),
                    SystemTitle(*b"OVNSIMUL"),
                    u32::try_from(start.seconds()).unwrap_or(0),
                ),
            };
            let write = move |house: &mut Simulator, at| {
                house.telegram(at);
                meter.frames(&house.reading())
            };
            Box::new(Speaker { house, line, write })
        }
        ProtocolSettings::Iec62056 { pull, .. } => {
            let mode = if pull.is_some() { SimulatedMode::C } else { SimulatedMode::D };
            Box::new(IecVoice(IecSimulator::new(mode, start)))
        }
        ProtocolSettings::Modbus(settings) => {
            let units = [&[settings.unit], beside].concat();
            Box::new(ModbusVoice::new(&settings.map, &units, line, start))
        }
        ProtocolSettings::S0 { .. } => {
            Box::new(Speaker { house, line, write: |_: &mut Simulator, _| vec![0] })
        }
    }
}

/// A file of SML that says what the house does.
fn sml(house: &mut Simulator, start: Timestamp, at: Timestamp) -> Vec<u8> {
    house.telegram(at);
    let reading = house.reading();
    let tenths = |register: Option<Decimal>| {
        let tenths = register.unwrap_or_default() * Decimal::from(10);
        u64::try_from(tenths.trunc()).unwrap_or(0)
    };
    sml_file(SmlReading {
        second: u32::try_from((at - start).seconds()).unwrap_or(0),
        import: tenths(reading.get(Channel::Import)),
        export: tenths(reading.get(Channel::Export)),
        power: reading.net_power().and_then(|power| i32::try_from(power.trunc()).ok()).unwrap_or(0),
    })
}

/// A meter that speaks by itself.
struct Speaker<W> {
    house: Simulator,
    line: LineSettings,
    write: W,
}

impl<W: FnMut(&mut Simulator, Timestamp) -> Vec<u8> + Send> Voice for Speaker<W> {
    fn speak(&mut self, at: Timestamp) -> Vec<SaidBytes> {
        let bytes = (self.write)(&mut self.house, at);
        vec![SaidBytes { after: Span::ZERO, line: Some(self.line), bytes }]
    }

    fn hear(&mut self, _bytes: &[u8], _baud: u32, _at: Timestamp) -> Vec<SaidBytes> {
        Vec::new()
    }
}

struct IecVoice(IecSimulator);

impl Voice for IecVoice {
    fn speak(&mut self, at: Timestamp) -> Vec<SaidBytes> {
        self.0.speak(at).into_iter().collect()
    }

    fn hear(&mut self, bytes: &[u8], baud: u32, at: Timestamp) -> Vec<SaidBytes> {
        self.0.hear(bytes, baud, at)
    }
}
