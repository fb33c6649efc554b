//! `ven meter sim`: plays a meter on a pseudo-terminal.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::daemon::clock::Clock;
use crate::metering::{ModbusSimulator, ObisCode, ProtocolSettings, Simulator};
use crate::mock_meter::{Player, Voice};
use crate::time::{Span, Timestamp};

use super::ProtocolArguments;

#[derive(Debug, Args)]
pub(in crate::cli) struct SimArguments {
    #[command(flatten)]
    protocol: ProtocolArguments,
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
    let protocol = arguments.protocol.protocol.unwrap_or(crate::metering::Protocol::Dsmr);
    let settings = arguments.protocol.named(protocol)?;
    let every = Span::from_std(arguments.pace).max(Span::from_millis(10));
    let start = Clock::start().now().wall.floor_to(every);
    crate::cli::log("warn");
    let player = Player::start(voice(&settings, start), every, arguments.link.as_deref())?;
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

fn voice(settings: &ProtocolSettings, start: Timestamp) -> Box<dyn Voice> {
    let house = Simulator::v5(start);
    match settings {
        ProtocolSettings::Dsmr { .. } => Box::new(P1Voice(house)),
        ProtocolSettings::Modbus(settings) => {
            let mut voice = ModbusVoice { house, meter: ModbusSimulator::new(settings.unit, &settings.map) };
            voice.speak(start);
            Box::new(voice)
        }
        ProtocolSettings::S0 { .. } => Box::new(PulseVoice),
    }
}

struct P1Voice(Simulator);

impl Voice for P1Voice {
    fn speak(&mut self, at: Timestamp) -> Vec<u8> {
        self.0.telegram(at)
    }

    fn hear(&mut self, _bytes: &[u8]) -> Vec<u8> {
        Vec::new()
    }
}

/// Speaks only when it is asked.
struct ModbusVoice {
    house: Simulator,
    meter: ModbusSimulator,
}

impl Voice for ModbusVoice {
    fn speak(&mut self, at: Timestamp) -> Vec<u8> {
        self.house.telegram(at);
        self.meter.show(&self.house.reading());
        // Volts of each phase, and hertz, where its map has them.
        for (quantity, value) in [(32, 230), (52, 231), (72, 229), (14, 50)] {
            self.meter.set(ObisCode::electricity(quantity, 7, 0), value.into());
        }
        Vec::new()
    }

    fn hear(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.meter.hear(bytes)
    }
}

/// An output that closes the receive line.
struct PulseVoice;

impl Voice for PulseVoice {
    fn speak(&mut self, _at: Timestamp) -> Vec<u8> {
        vec![0]
    }

    fn hear(&mut self, _bytes: &[u8]) -> Vec<u8> {
        Vec::new()
    }
}
