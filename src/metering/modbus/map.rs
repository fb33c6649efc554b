//! Knows where a family of meters has its values: maps of registers, which are data.
//!
//! ```toml
//! name = "Eastron SDM630"
//! serial = { baud = 9600, framing = "8N1" }   # as it leaves the factory
//! function = 4                                # 3: holding registers, 4: input registers
//! type = "f32"                                # of each register that says no other; so is `function`
//! words = "high first"                        # or "low first"
//! most = 80                                   # registers in one request
//! gap = 16                                    # so many registers in between may be read that the map does not have
//! absent = { u32 = "FFFFFFFE" }               # what stands where the meter has no value, by type; see below
//! registers = [
//!     { name = "import", obis = "1-0:1.8.0", address = 0x0048, unit = "kWh" },
//!     { name = "L1 voltage", obis = "1-0:32.7.0", address = 0x0000, unit = "V", scale = "0.1", every = 10 },
//! ]
//! ```
//!
//! Where nothing else is said, the last number that a type can hold says that there is no value: all bits of one without a sign, all but
//! the sign of the others. No meter counts that far.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::frame::{HOLDING, INPUT, MOST_REGISTERS};
use super::number::{NumberType, WordOrder};
use super::recorded::RecordedRegister;
use crate::metering::decoder::{Framing, LineSettings};
use crate::metering::obis::ObisCode;
use crate::metering::telegram::Telegram;
use crate::metering::unit::MeterUnit;
use crate::openadr::message::Decimal;

/// Where a family of meters has its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RegisterMap {
    /// The meters that it is for.
    pub(crate) name: String,
    /// The settings of the line, as the meter leaves the factory.
    pub(crate) serial: LineSettings,
    /// Most registers that the meter gives to one request.
    pub(super) most: u16,
    /// Registers that the map does not have, and that may be read nevertheless where they stand between two that it has.
    pub(super) gap: u16,
    pub(super) registers: Vec<Register>,
}

/// A number in a meter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Register {
    /// For people.
    pub(super) name: String,
    pub(super) code: ObisCode,
    pub(super) function: u8,
    /// As it stands on the line, which is one less than manuals that count from 1 say.
    pub(super) address: u16,
    pub(super) form: NumberType,
    pub(super) words: WordOrder,
    /// What one step of the number is, in the unit.
    pub(super) scale: Decimal,
    pub(super) unit: Option<MeterUnit>,
    /// The bits that say that there is no value.
    pub(super) absent: Option<u64>,
    /// It is read in each so manieth round.
    pub(super) every: u32,
}

/// What is wrong with a map.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadMap {
    /// With the place in the text.
    #[error("{0}")]
    Syntax(String),
    #[error("`{key}` must be {expected}")]
    Key { key: &'static str, expected: String },
    #[error("register \"{register}\": `{key}` must be {expected}")]
    Register { register: String, key: &'static str, expected: String },
    #[error("two registers are called \"{0}\"")]
    Name(String),
    #[error("two registers have the code {0}")]
    Code(ObisCode),
}

/// A map as it is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenMap {
    name: String,
    serial: WrittenSerial,
    function: Option<u8>,
    r#type: Option<NumberType>,
    #[serde(default)]
    words: WordOrder,
    most: Option<u16>,
    #[serde(default)]
    gap: u16,
    #[serde(default)]
    absent: BTreeMap<NumberType, String>,
    registers: Vec<WrittenRegister>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSerial {
    baud: u32,
    framing: String,
}

/// A register as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRegister {
    name: String,
    obis: String,
    address: u16,
    unit: Option<String>,
    scale: Option<String>,
    function: Option<u8>,
    r#type: Option<NumberType>,
    words: Option<WordOrder>,
    absent: Option<String>,
    every: Option<u32>,
}

impl RegisterMap {
    /// Reads a map.
    pub(crate) fn parse(text: &str) -> Result<Self, BadMap> {
        let written: WrittenMap = toml::from_str(text).map_err(|fault| BadMap::Syntax(fault.to_string()))?;
        written.read()
    }

    /// The map of a recorded session; registers that are described in a way that is not known are left out.
    pub(super) fn recorded(registers: &[RecordedRegister], low_first: bool) -> Self {
        let words = if low_first { WordOrder::LowFirst } else { WordOrder::HighFirst };
        let written = WrittenMap { words, ..WrittenMap::default() };
        let read = |recorded| written.register(&WrittenRegister::of(recorded)).ok();
        let serial = LineSettings { baud: 9600, framing: Framing::default() };
        let registers = registers.iter().filter_map(read).collect();
        Self { name: "recorded".to_owned(), serial, most: MOST_REGISTERS, gap: 0, registers }
    }

    /// The map of that name that comes with the program: `eastron-sdm630`.
    pub(crate) fn built_in(name: &str) -> Option<Result<Self, BadMap>> {
        BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| Self::parse(text))
    }
}

/// How good a map is for a meter that has answered by it: so many values it has, as long as every voltage and the frequency are those of
/// a grid; `None` where one is not, or where it says neither.
///
/// Where the second phase has no voltage, the meter is one of a single phase, or as good as that.
pub(crate) fn likeness(telegram: &Telegram) -> Option<usize> {
    let near = |quantity, range: std::ops::RangeInclusive<u16>| {
        let value = telegram.number(ObisCode::electricity(quantity, 7, 0))?;
        Some(Decimal::from(*range.start()) <= value && value <= Decimal::from(*range.end()))
    };
    let voltages = [32, 52, 72].map(|quantity| near(quantity, 50..=500));
    let said: Vec<bool> = voltages.into_iter().chain([near(14, 45..=65)]).flatten().collect();
    (!said.is_empty() && said.iter().all(|right| *right)).then_some(telegram.objects.len())
}

/// The registers of a map have each a name and a code of its own.
fn all_differ(registers: &[Register]) -> Result<(), BadMap> {
    let (mut names, mut codes) = (BTreeSet::new(), BTreeSet::new());
    for register in registers {
        if !names.insert(&register.name) {
            return Err(BadMap::Name(register.name.clone()));
        }
        if !codes.insert(register.code) {
            return Err(BadMap::Code(register.code));
        }
    }
    Ok(())
}

impl WrittenRegister {
    /// Of a recorded session.
    fn of(recorded: &RecordedRegister) -> Self {
        let code = recorded.obis_like.split('-').next().unwrap_or_default();
        Self {
            name: recorded.name.clone(),
            obis: format!("1-0:{code}"),
            address: recorded.address,
            unit: Some(recorded.unit.clone()).filter(|unit| !unit.is_empty()),
            scale: Some(recorded.scale.clone()),
            function: Some(recorded.function),
            r#type: Some(recorded.r#type),
            words: None,
            absent: None,
            every: None,
        }
    }
}

impl WrittenMap {
    fn read(self) -> Result<RegisterMap, BadMap> {
        let key = |key, expected: &str| BadMap::Key { key, expected: expected.to_owned() };
        let most = self.most.unwrap_or(MOST_REGISTERS);
        if !(4..=MOST_REGISTERS).contains(&most) {
            return Err(key("most", &format!("from 4 to {MOST_REGISTERS}")));
        }
        if self.serial.baud == 0 {
            return Err(key("baud", "above zero"));
        }
        let framing = Framing::named(&self.serial.framing)
            .ok_or_else(|| key("framing", "\"8N1\", \"8E1\", \"8N2\" or \"7E1\""))?;
        let registers =
            self.registers.iter().map(|register| self.register(register)).collect::<Result<Vec<_>, _>>()?;
        if registers.is_empty() {
            return Err(key("registers", "one at least"));
        }
        all_differ(&registers)?;
        let serial = LineSettings { baud: self.serial.baud, framing };
        Ok(RegisterMap { name: self.name, serial, most, gap: self.gap, registers })
    }

    fn register(&self, written: &WrittenRegister) -> Result<Register, BadMap> {
        let bad = |key, expected: &str| BadMap::Register {
            register: written.name.clone(),
            key,
            expected: expected.to_owned(),
        };
        let form =
            written.r#type.or(self.r#type).ok_or_else(|| bad("type", "given, here or for the whole map"))?;
        let function = written.function.or(self.function);
        let function = function
            .filter(|function| [HOLDING, INPUT].contains(function))
            .ok_or_else(|| bad("function", "3 or 4, here or for the whole map"))?;
        if written.address.checked_add(form.registers() - 1).is_none() {
            return Err(bad("address", "one whose last register is not behind FFFFh"));
        }
        let scale = written.scale.as_deref().unwrap_or("1");
        let scale =
            Decimal::from_str_exact(scale).ok().filter(|scale| !scale.is_zero() && scale.scale() <= 9);
        let unit =
            written.unit.as_deref().map(|unit| MeterUnit::parse(unit).ok_or_else(|| bad("unit", "a unit")));
        let absent = match written.absent.as_ref().or_else(|| self.absent.get(&form)) {
            Some(digits) => Some(
                pattern(digits, form)
                    .ok_or_else(|| bad("absent", &format!("{} hexadecimal digits", 4 * form.registers())))?,
            ),
            None => form.last(),
        };
        Ok(Register {
            name: written.name.clone(),
            code: ObisCode::parse(&written.obis)
                .ok_or_else(|| bad("obis", "a code such as \"1-0:1.8.0\""))?,
            function,
            address: written.address,
            form,
            words: written.words.unwrap_or(self.words),
            scale: scale.ok_or_else(|| bad("scale", "a decimal such as \"0.01\", and not zero"))?,
            unit: unit.transpose()?,
            absent,
            every: Some(written.every.unwrap_or(1))
                .filter(|every| *every > 0)
                .ok_or_else(|| bad("every", "above zero"))?,
        })
    }
}

/// The bits of a number, as hexadecimal digits, high word first.
fn pattern(digits: &str, form: NumberType) -> Option<u64> {
    let all = digits.len() == 4 * usize::from(form.registers());
    let plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| all && plain)
}

impl Register {
    /// The value in the bytes of its registers, with as many decimals as the meter counts; `None` where there is none.
    pub(super) fn value(&self, bytes: &[u8]) -> Option<Decimal> {
        let bits = self.words.bits(bytes);
        if self.absent == Some(bits) {
            return None;
        }
        self.form.number(bits)?.checked_mul(self.scale)
    }

    /// A value in Wh, W, V, A... in the unit of the register.
    pub(super) fn in_its_unit(&self, value: Decimal) -> Option<Decimal> {
        match self.unit {
            Some(unit) => MeterUnit { prefix: unit.prefix.checked_neg()?, ..unit }.in_base(value),
            None => Some(value),
        }
    }

    /// The words of a value; `None` where it is larger than the register can hold.
    pub(super) fn encoded(&self, value: Decimal) -> Option<Vec<u16>> {
        let bits = self.form.bits(value.checked_div(self.scale)?)?;
        Some(self.words.words(bits, self.form.registers()))
    }

    /// The address behind its last one.
    pub(super) fn end(&self) -> u32 {
        u32::from(self.address) + u32::from(self.form.registers())
    }
}

/// The maps that come with the program.
pub(crate) const BUILT_IN: &[(&str, &str)] = &[
    ("eastron-sdm120", include_str!("maps/eastron-sdm120.toml")),
    ("eastron-sdm630", include_str!("maps/eastron-sdm630.toml")),
    ("eastron-sdm72dm", include_str!("maps/eastron-sdm72dm.toml")),
    ("abb-b-series", include_str!("maps/abb-b-series.toml")),
    ("schneider-iem3000", include_str!("maps/schneider-iem3000.toml")),
    ("carlo-gavazzi-em340", include_str!("maps/carlo-gavazzi-em340.toml")),
    ("carlo-gavazzi-em24", include_str!("maps/carlo-gavazzi-em24.toml")),
    ("chint-dtsu666", include_str!("maps/chint-dtsu666.toml")),
    ("orno-we514", include_str!("maps/orno-we514.toml")),
    ("orno-we516", include_str!("maps/orno-we516.toml")),
    ("inepro-pro380", include_str!("maps/inepro-pro380.toml")),
    ("siemens-pac2200", include_str!("maps/siemens-pac2200.toml")),
    ("dzg-dvh4013", include_str!("maps/dzg-dvh4013.toml")),
    ("bg-ws100", include_str!("maps/bg-ws100.toml")),
];
