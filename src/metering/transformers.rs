//! Knows what a meter counts that is connected through transformers of current and of voltage.
//!
//! Some such meters count what flows in the line; others what flows in themselves, and say only by how much that is less (IEC 62056-61:
//! `1-0:0.4.2` and `1-0:0.4.3`). Nothing tells the one from the other but whoever installed the meter: a ratio that is told is no reason
//! to multiply by it, and none to believe that it is done.

use std::fmt;

use crate::openadr::message::{DataQuality, Decimal};

use super::channel::Channel;
use super::obis::ObisCode;
use super::reading::Reading;
use super::telegram::{ObjectValue, Telegram};

/// No transformers have a larger ratio.
const LARGEST: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);
/// The ratio of current, and what it is divided by where that is not one.
const CURRENT: (ObisCode, ObisCode) = (ObisCode::electricity(0, 4, 2), ObisCode::electricity(0, 4, 5));
/// The same of voltage.
const VOLTAGE: (ObisCode, ObisCode) = (ObisCode::electricity(0, 4, 3), ObisCode::electricity(0, 4, 6));

/// What flows in the line, for what flows in the meter: 200 to 5.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ratio {
    line: Decimal,
    meter: Decimal,
}

impl Ratio {
    /// There is no transformer, or the meter takes it into account.
    pub(crate) const ONE: Self = Self { line: Decimal::ONE, meter: Decimal::ONE };

    fn new(line: Decimal, meter: Decimal) -> Option<Self> {
        let possible = |value| Decimal::ZERO < value && value <= LARGEST;
        (possible(line) && possible(meter)).then_some(Self { line, meter })
    }

    /// Reads `200/5`, or `40`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| Decimal::from_str_exact(text.trim()).ok();
        let (line, meter) = text.split_once('/').unwrap_or((text, "1"));
        Self::new(number(line)?, number(meter)?)
    }

    /// Exact where it can be, or else to 28 digits; `None` where it is too large.
    fn of(self, value: Decimal) -> Option<Decimal> {
        value.checked_mul(self.line)?.checked_div(self.meter).map(|value| value.normalize())
    }

    /// As a telegram tells it by these codes.
    fn told(telegram: &Telegram, (line, meter): (ObisCode, ObisCode)) -> Option<Self> {
        let said = |code| match &telegram.object(code)?.value {
            ObjectValue::Number(value, _) => Self::new(*value, Decimal::ONE),
            ObjectValue::Text(text) => Self::parse(text),
        };
        let (told, by) = (said(line)?, said(meter).unwrap_or(Self::ONE));
        Self::new(told.line * by.meter, told.meter * by.line)
    }
}

impl PartialEq for Ratio {
    /// 200 to 5 is 40 to 1. Neither product can be too large.
    fn eq(&self, other: &Self) -> bool {
        self.line.checked_mul(other.meter) == other.line.checked_mul(self.meter)
    }
}

impl Eq for Ratio {}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.meter == Decimal::ONE {
            true => self.line.normalize().fmt(f),
            false => write!(f, "{}/{}", self.line.normalize(), self.meter.normalize()),
        }
    }
}

/// The transformers before a meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transformers {
    pub(crate) current: Ratio,
    pub(crate) voltage: Ratio,
}

impl Transformers {
    const NONE: Self = Self { current: Ratio::ONE, voltage: Ratio::ONE };

    /// What a telegram tells of; `None` where it tells of none.
    pub(crate) fn told(telegram: &Telegram) -> Option<Self> {
        let told = |codes| Ratio::told(telegram, codes).unwrap_or(Ratio::ONE);
        Some(Self { current: told(CURRENT), voltage: told(VOLTAGE) }).filter(|told| *told != Self::NONE)
    }

    /// Turns what the meter counts into what flows in the line. What becomes too large is bad.
    ///
    /// The registers are those of another meter then: none goes on where one was that counted otherwise.
    pub(crate) fn apply(self, reading: &mut Reading) {
        if self == Self::NONE {
            return;
        }
        let values = std::mem::take(&mut reading.values);
        for (channel, value) in values {
            match self.of(channel, value) {
                Some(value) => {
                    reading.values.insert(channel, value);
                }
                None => reading.bad.push(channel),
            }
        }
        if let Some(meter) = &mut reading.meter {
            *meter = format!("{meter}, {self}");
        }
    }

    fn of(self, channel: Channel, value: Decimal) -> Option<Decimal> {
        match channel {
            Channel::Import
            | Channel::Export
            | Channel::ImportRate(_)
            | Channel::ExportRate(_)
            | Channel::ReactiveImport
            | Channel::ReactiveExport
            | Channel::ApparentImport
            | Channel::ApparentExport
            | Channel::PowerImport
            | Channel::PowerExport
            | Channel::Power
            | Channel::PhasePower(_)
            | Channel::ReactivePower
            | Channel::ApparentPower => self.voltage.of(self.current.of(value)?),
            Channel::Current(_) => self.current.of(value),
            Channel::Voltage(_) => self.voltage.of(value),
            Channel::PowerFactor | Channel::PhasePowerFactor(_) | Channel::Frequency | Channel::Device(_) => {
                Some(value)
            }
        }
    }
}

impl fmt::Display for Transformers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "transformers of current {}, of voltage {}", self.current, self.voltage)
    }
}

/// What is known of the transformers before a meter: what was configured, and what it tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BehindTransformers {
    set: Option<Transformers>,
    told: Option<Transformers>,
}

impl BehindTransformers {
    /// `set`: by how much the meter counts less than flows; `None` where nobody has said so.
    pub(crate) const fn new(set: Option<Transformers>) -> Self {
        Self { set, told: None }
    }

    /// Puts a reading right. Where it is not known whether that is needed, its values are uncertain. What there is to say to people, when
    /// it is new.
    pub(crate) fn correct(&mut self, telegram: &Telegram, reading: &mut Reading) -> Option<String> {
        // Not each telegram tells of them.
        let before = self.told;
        self.told = Transformers::told(telegram).or(before);
        let new = self.told.filter(|told| before != Some(*told));
        let Some(set) = self.set else {
            if self.told.is_some() && reading.quality == DataQuality::Good {
                reading.quality = DataQuality::Uncertain;
            }
            return new.map(|told| told.question());
        };
        set.apply(reading);
        let told = new.filter(|told| set != *told && set != Transformers::NONE)?;
        Some(format!("it tells of {told}, and the configuration of {set}, which counts"))
    }
}

impl Transformers {
    fn question(self) -> String {
        let keys = [("current_ratio", self.current), ("voltage_ratio", self.voltage)];
        let told = keys.iter().filter(|(_, ratio)| *ratio != Ratio::ONE);
        let told: Vec<String> = told.map(|(key, ratio)| format!("{key} = \"{ratio}\"")).collect();
        format!(
            "it tells of {self}, but not whether its values are those of the line already; until the configuration says so they are \
             uncertain: {} if they are to be multiplied, current_ratio = \"1\" if not",
            told.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{BehindTransformers, Ratio, Transformers};
    use crate::metering::channel::{Channel, Phase};
    use crate::metering::decoder::Decoder as _;
    use crate::metering::dsmr::P1Decoder;
    use crate::metering::iec62056_21::IecDecoder;
    use crate::metering::reading::Reading;
    use crate::metering::telegram::Telegram;
    use crate::openadr::message::DataQuality;
    use crate::time::{Span, Timestamp};

    /// Of a Swedish meter that counts what flows in itself.
    const VALUES: &str = "0-0:96.1.1(4D31)\r\n1-0:1.8.0(00001000.125*kWh)\r\n1-0:1.7.0(0001.500*kW)\r\n1-0:32.7.0(230.1*V)\r\n\
                          1-0:31.7.0(002.5*A)\r\n1-0:13.7.0(0.98)\r\n";

    fn telegram(ratios: &str) -> Telegram {
        let mut decoder = P1Decoder::new(Span::HOUR);
        decoder.push(format!("/SYN5X\r\n\r\n{VALUES}{ratios}!\r\n").as_bytes());
        decoder.quiet();
        let telegram = decoder.next().unwrap().unwrap();
        Telegram { quality: DataQuality::Good, ..telegram }
    }

    fn of(current: &str, voltage: &str) -> Transformers {
        let ratio = |text| Ratio::parse(text).unwrap();
        Transformers { current: ratio(current), voltage: ratio(voltage) }
    }

    /// What comes of it, and what is said.
    fn corrected(behind: &mut BehindTransformers, telegram: &Telegram) -> (Reading, Option<String>) {
        let mut reading = Reading::of(telegram, Timestamp::from_seconds(1_767_225_600));
        let said = behind.correct(telegram, &mut reading);
        (reading, said)
    }

    fn shown(reading: &Reading) -> Vec<String> {
        let channels = [
            Channel::Import,
            Channel::Power,
            Channel::Voltage(Phase::L1),
            Channel::Current(Phase::L1),
            Channel::PowerFactor,
        ];
        channels.map(|channel| reading.get(channel).unwrap().to_string()).to_vec()
    }

    #[test]
    fn what_is_configured_is_multiplied_exactly() {
        for (current, voltage, expected) in [
            ("1", "1", ["1000125", "1500", "230.1", "2.5", "0.98"]),
            ("40", "1", ["40005000", "60000", "230.1", "100", "0.98"]),
            ("200/5", "1", ["40005000", "60000", "230.1", "100", "0.98"]),
            ("2.5", "100", ["250031250", "375000", "23010", "6.25", "0.98"]),
        ] {
            let (reading, said) =
                corrected(&mut BehindTransformers::new(Some(of(current, voltage))), &telegram(""));
            assert_eq!(shown(&reading), expected, "{current} {voltage}");
            assert_eq!((reading.quality, said), (DataQuality::Good, None));
        }
    }

    #[test]
    fn what_is_told_and_not_configured_is_uncertain_and_said_once() {
        let mut behind = BehindTransformers::new(None);
        let (reading, said) = corrected(&mut behind, &telegram("1-0:0.4.2(00040)\r\n1-0:0.4.3(1)\r\n"));
        assert_eq!(
            shown(&reading)[..2],
            ["1000125", "1500"],
            "nobody has said that they are to be multiplied"
        );
        assert_eq!(reading.quality, DataQuality::Uncertain);
        let said = said.unwrap();
        assert!(said.contains("current_ratio = \"40\" if they are to be multiplied"), "{said}");
        let (reading, said) = corrected(&mut behind, &telegram(""));
        assert_eq!((reading.quality, said), (DataQuality::Uncertain, None), "it is still so");
        let (reading, said) = corrected(&mut BehindTransformers::new(None), &telegram("1-0:0.4.2(1)\r\n"));
        assert_eq!((reading.quality, said), (DataQuality::Good, None), "there are none");
    }

    #[test]
    fn the_configuration_counts_and_another_ratio_that_is_told_is_said() {
        let told = telegram("1-0:0.4.2(00200)\r\n1-0:0.4.5(5)\r\n");
        let mut behind = BehindTransformers::new(Some(of("30", "1")));
        let (reading, said) = corrected(&mut behind, &told);
        assert_eq!(shown(&reading)[1], "45000");
        assert!(said.unwrap().contains("of current 200/5, of voltage 1, and the configuration of"));
        assert_eq!(corrected(&mut behind, &told).1, None, "once");
        for agrees in ["40", "1"] {
            assert_eq!(
                corrected(&mut BehindTransformers::new(Some(of(agrees, "1"))), &told).1,
                None,
                "{agrees}"
            );
        }
    }

    #[test]
    fn registers_that_count_otherwise_are_those_of_another_meter() {
        let meter =
            |current| corrected(&mut BehindTransformers::new(Some(of(current, "1"))), &telegram("")).0.meter;
        assert_ne!(meter("1"), meter("40"));
        assert_ne!(meter("40"), meter("30"));
    }

    #[test]
    fn meters_of_iec_62056_21_tell_it_too() {
        for (ratio, current) in [("0.4.2(0040)", "40"), ("1-0:0.4.2*255(200/5)", "200/5")] {
            let mut decoder = IecDecoder::listening();
            decoder.push(format!("/SYN5X\r\n\r\n1.8.0(1.5*kWh)\r\n{ratio}\r\n!\r\n").as_bytes());
            decoder.quiet();
            let telegram = decoder.next().unwrap().unwrap();
            assert_eq!(Transformers::told(&telegram), Some(of(current, "1")), "{ratio}");
        }
    }

    #[test]
    fn a_ratio_is_a_number_or_two() {
        assert_eq!(Ratio::parse("200/5"), Ratio::parse("40"));
        assert_eq!(Ratio::parse("0040"), Ratio::parse("40.0"));
        for text in ["", "0", "-1", "40/", "/5", "5/0", "x", "1000001", "1/2/3", "1e3"] {
            assert_eq!(Ratio::parse(text), None, "{text}");
        }
    }
}
