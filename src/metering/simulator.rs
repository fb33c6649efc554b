//! Plays a meter: telegrams as a real one would send them.

use crate::openadr::message::Decimal;
use crate::time::{Span, Timestamp};

use super::channel::Channel;
use super::checksum::arc;
use super::reading::Reading;

const SERIAL: &str = "4F50454E4144522D56454E2D53494D";
/// Registers at the start, in Wh: two rates of import, two of export.
const AT_START: [i64; 4] = [1_234_000, 2_345_000, 12_000, 34_000];

/// Which telegrams it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    V5,
    #[cfg(test)]
    V2,
}

/// A meter in a house with a solar roof; its registers are the exact sums of its powers.
#[derive(Debug)]
pub(crate) struct Simulator {
    form: Form,
    at: Timestamp,
    /// Since the start, in W times microseconds.
    import: i128,
    export: i128,
    power: i64,
}

/// Microseconds in an hour: energy is counted in W times microseconds.
const PER_WH: i128 = 3_600_000_000;

impl Simulator {
    /// Sends telegrams of DSMR 5.0: checksum, clock, gas.
    pub(crate) const fn v5(start: Timestamp) -> Self {
        Self { form: Form::V5, at: start, import: 0, export: 0, power: 0 }
    }

    /// Sends telegrams of DSMR 2.2: no checksum, no clock.
    #[cfg(test)]
    pub(crate) const fn v2(start: Timestamp) -> Self {
        Self { form: Form::V2, at: start, import: 0, export: 0, power: 0 }
    }

    /// The telegram at that time, which must not be before the last one.
    pub(crate) fn telegram(&mut self, at: Timestamp) -> Vec<u8> {
        let passed = i128::from((at - self.at).micros());
        self.at = at;
        self.power = power(at);
        let energy = i128::from(self.power) * passed;
        self.import += energy.max(0);
        self.export += (-energy).max(0);
        match self.form {
            Form::V5 => self.write_v5(),
            #[cfg(test)]
            Form::V2 => self.write_v2(),
        }
    }

    /// The registers in Wh: two rates of import, two of export; all energy counts in the second.
    fn registers(&self) -> [i64; 4] {
        let whole = |energy: i128| i64::try_from(energy / PER_WH).unwrap_or(i64::MAX);
        [AT_START[0], AT_START[1] + whole(self.import), AT_START[2], AT_START[3] + whole(self.export)]
    }

    /// What the last telegram says.
    pub(crate) fn reading(&self) -> Reading {
        let [import1, import2, export1, export2] = self.registers();
        let values = [
            (Channel::Import, import1 + import2),
            (Channel::Export, export1 + export2),
            (Channel::PowerImport, self.power.max(0)),
            (Channel::PowerExport, (-self.power).max(0)),
            (Channel::Power, self.power),
        ];
        let values = values.map(|(channel, value)| (channel, Decimal::from(value)));
        Reading { meter: Some(SERIAL.to_owned()), values: values.into(), ..Reading::new(self.at) }
    }

    fn write_v5(&self) -> Vec<u8> {
        let kilo = |value: i64, width: usize| format!("{:0width$}.{:03}", value / 1000, value % 1000);
        let registers = self.registers().map(|wh| kilo(wh, 6));
        let (import, export) = (kilo(self.power.max(0), 2), kilo((-self.power).max(0), 2));
        let clock = winter_clock(self.at);
        let gas = winter_clock(self.at.floor_to(Span::from_seconds(300)));
        let lines = [
            "/OVN5\\2openadr-ven simulator".to_owned(),
            String::new(),
            "1-3:0.2.8(50)".into(),
            format!("0-0:1.0.0({clock})"),
            format!("0-0:96.1.1({SERIAL})"),
            format!("1-0:1.8.1({}*kWh)", registers[0]),
            format!("1-0:1.8.2({}*kWh)", registers[1]),
            format!("1-0:2.8.1({}*kWh)", registers[2]),
            format!("1-0:2.8.2({}*kWh)", registers[3]),
            "0-0:96.14.0(0002)".into(),
            format!("1-0:1.7.0({import}*kW)"),
            format!("1-0:2.7.0({export}*kW)"),
            "0-0:96.7.21(00004)".into(),
            "1-0:32.7.0(230.1*V)".into(),
            "1-0:31.7.0(002*A)".into(),
            format!("1-0:21.7.0({import}*kW)"),
            format!("1-0:22.7.0({export}*kW)"),
            "0-1:24.1.0(003)".into(),
            "0-1:96.1.0(4730303030303030303030303030303030)".into(),
            format!("0-1:24.2.1({gas})(01234.567*m3)"),
            "!".into(),
        ];
        let mut telegram = lines.join("\r\n").into_bytes();
        let crc = arc(&telegram);
        telegram.extend(format!("{crc:04X}\r\n").bytes());
        telegram
    }

    #[cfg(test)]
    fn write_v2(&self) -> Vec<u8> {
        let kilo = |value: i64| format!("{:05}.{:03}", value / 1000, value % 1000);
        let registers = self.registers().map(kilo);
        let tens = |watts: i64| format!("{:04}.{:02}", watts / 1000, watts % 1000 / 10);
        let lines = [
            "/OVN3 openadr-ven simulator".to_owned(),
            String::new(),
            format!("0-0:96.1.1({SERIAL})"),
            format!("1-0:1.8.1({}*kWh)", registers[0]),
            format!("1-0:1.8.2({}*kWh)", registers[1]),
            format!("1-0:2.8.1({}*kWh)", registers[2]),
            format!("1-0:2.8.2({}*kWh)", registers[3]),
            "0-0:96.14.0(0001)".into(),
            format!("1-0:1.7.0({}*kW)", tens(self.power.max(0))),
            format!("1-0:2.7.0({}*kW)", tens((-self.power).max(0))),
            "0-1:24.3.0(220101000000)(00)(60)(1)(0-1:24.2.1)(m3)".into(),
            "(00001.001)".into(),
            "!".into(),
        ];
        (lines.join("\r\n") + "\r\n").into_bytes()
    }
}

/// In W, positive: from the grid. A car charges all the time, and for five minutes of every half hour the sun gives more than that.
fn power(at: Timestamp) -> i64 {
    let second = at.seconds();
    let sun = if second.rem_euclid(1_800) < 300 { 15_000 } else { 0 };
    7_200 + second.rem_euclid(60) * 10 - sun
}

/// `YYMMDDhhmmssW`: this meter stays in winter time.
fn winter_clock(at: Timestamp) -> String {
    let local = (at + Span::HOUR).to_string();
    let digits: String = local.chars().take(19).filter(char::is_ascii_digit).skip(2).collect();
    format!("{digits}W")
}
