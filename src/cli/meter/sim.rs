//! `ven meter sim`: plays a meter on a pseudo-terminal.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::daemon::clock::Clock;
use crate::daemon::line_or;
use crate::metering::Channel;
use crate::metering::{
    HanSimulator, IecSimulator, LineSettings, ModbusSimulator, ObisCode, ProtocolSettings, SaidBytes,
    SimulatedMode, Simulator, SmlReading, SystemTitle, sml_file,
};
use crate::mock_meter::{Player, Voice};
use crate::openadr::message::Decimal;
use crate::time::{Span, Timestamp};

use super::{LineArguments, ProtocolArguments};

#[derive(Debug, Args)]
pub(in crate::cli) struct SimArguments {
    #[command(flatten)]
    protocol: ProtocolArguments,
    #[command(flatten)]
    line: LineArguments,
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
    let line = line_or(settings.usual_line(), arguments.line.baud, arguments.line.framing);
    let player = Player::start(voice(&settings, line, start), every, arguments.link.as_deref())?;
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

/// The meter of that protocol, in a house with a solar roof.
fn voice(settings: &ProtocolSettings, line: LineSettings, start: Timestamp) -> Box<dyn Voice> {
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
            let meter = ModbusSimulator::new(settings.unit, &settings.map);
            let mut voice = ModbusVoice { house, meter, line };
            voice.speak(start);
            Box::new(voice)
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

/// Speaks only when it is asked, and hears only at its own speed.
struct ModbusVoice {
    house: Simulator,
    meter: ModbusSimulator,
    line: LineSettings,
}

impl Voice for ModbusVoice {
    fn speak(&mut self, at: Timestamp) -> Vec<SaidBytes> {
        self.house.telegram(at);
        self.meter.show(&self.house.reading());
        // Volts of each phase, and hertz, where its map has them.
        for (quantity, value) in [(32, 230), (52, 231), (72, 229), (14, 50)] {
            self.meter.set(ObisCode::electricity(quantity, 7, 0), value.into());
        }
        Vec::new()
    }

    fn hear(&mut self, bytes: &[u8], baud: u32, _at: Timestamp) -> Vec<SaidBytes> {
        if baud != self.line.baud {
            return Vec::new();
        }
        let bytes = self.meter.hear(bytes);
        if bytes.is_empty() {
            return Vec::new();
        }
        vec![SaidBytes { after: Span::ZERO, line: Some(self.line), bytes }]
    }
}
