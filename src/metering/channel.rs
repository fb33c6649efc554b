//! Names what a meter can say that a report can carry, and says what is believable.

use std::fmt;

use crate::openadr::message::Decimal;

use super::mbus_channels::MbusKind;

/// Rates of which the energy is kept apart; more are only added up.
pub(super) const RATES: u8 = 4;

/// One of the numbers in which a meter speaks.
///
/// Energies are registers in Wh (varh, `VAh`), which only rise. *Import* is what the site takes from the grid, *export* what it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Channel {
    /// Register of energy taken from the grid, all rates.
    Import,
    /// Register of energy given to the grid, all rates.
    Export,
    /// Register of energy taken at one rate, from 1.
    ImportRate(u8),
    /// Register of energy given at one rate, from 1.
    ExportRate(u8),
    /// Register of reactive energy of quadrants I and II, in varh.
    ReactiveImport,
    /// Register of reactive energy of quadrants III and IV, in varh.
    ReactiveExport,
    /// Register of apparent energy taken, in `VAh`.
    ApparentImport,
    /// Register of apparent energy given, in `VAh`.
    ApparentExport,
    /// Power taken from the grid, in W.
    PowerImport,
    /// Power given to the grid, in W.
    PowerExport,
    /// Power taken less power given, in W.
    Power,
    /// The same of one phase.
    PhasePower(Phase),
    /// Reactive power in var; positive: quadrants I and II.
    ReactivePower,
    /// Apparent power in VA.
    ApparentPower,
    /// In V.
    Voltage(Phase),
    /// In A; negative where the meter says that the phase gives.
    Current(Phase),
    /// Of all phases together.
    PowerFactor,
    /// Of one phase.
    PhasePowerFactor(Phase),
    /// In Hz.
    Frequency,
    /// Register of a device behind the meter, in m3 or J.
    Device(Medium),
}

/// A conductor of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Phase {
    L1,
    L2,
    L3,
}

/// What a device behind the meter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Medium {
    /// In m3.
    Gas,
    /// In m3.
    Water,
    /// In m3.
    HotWater,
    /// In J.
    Heat,
    /// Heat taken away, in J.
    Cold,
}

impl Phase {
    /// Every phase.
    pub(crate) const ALL: [Self; 3] = [Self::L1, Self::L2, Self::L3];

    /// What OBIS codes add to the number of a quantity for this phase.
    pub(super) const fn offset(self) -> u8 {
        match self {
            Self::L1 => 20,
            Self::L2 => 40,
            Self::L3 => 60,
        }
    }
}

impl Medium {
    /// Every medium.
    pub(crate) const ALL: [Self; 5] = [Self::Gas, Self::Water, Self::HotWater, Self::Heat, Self::Cold];

    /// What a device counts.
    pub(super) const fn of_kind(kind: MbusKind) -> Option<Self> {
        match kind {
            MbusKind::Gas => Some(Self::Gas),
            MbusKind::Water => Some(Self::Water),
            MbusKind::HotWater => Some(Self::HotWater),
            MbusKind::Heat => Some(Self::Heat),
            MbusKind::Cooling => Some(Self::Cold),
            MbusKind::Electricity | MbusKind::HeatCost | MbusKind::Other(_) | MbusKind::Unknown => None,
        }
    }

    /// It counts energy, in J, and not a volume.
    pub(crate) const fn is_energy(self) -> bool {
        matches!(self, Self::Heat | Self::Cold)
    }
}

impl Channel {
    /// Every channel.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![
            Self::Import,
            Self::Export,
            Self::ReactiveImport,
            Self::ReactiveExport,
            Self::ApparentImport,
            Self::ApparentExport,
            Self::PowerImport,
            Self::PowerExport,
            Self::Power,
            Self::ReactivePower,
            Self::ApparentPower,
            Self::PowerFactor,
            Self::Frequency,
        ];
        all.extend((1..=RATES).flat_map(|rate| [Self::ImportRate(rate), Self::ExportRate(rate)]));
        all.extend(Phase::ALL.into_iter().flat_map(|phase| {
            [
                Self::PhasePower(phase),
                Self::Voltage(phase),
                Self::Current(phase),
                Self::PhasePowerFactor(phase),
            ]
        }));
        all.extend(Medium::ALL.map(Self::Device));
        all.sort_unstable();
        all
    }

    /// Its value only rises; otherwise it is that of an instant.
    pub(crate) const fn is_register(self) -> bool {
        match self {
            Self::Import
            | Self::Export
            | Self::ImportRate(_)
            | Self::ExportRate(_)
            | Self::ReactiveImport
            | Self::ReactiveExport
            | Self::ApparentImport
            | Self::ApparentExport
            | Self::Device(_) => true,
            Self::PowerImport
            | Self::PowerExport
            | Self::Power
            | Self::PhasePower(_)
            | Self::ReactivePower
            | Self::ApparentPower
            | Self::Voltage(_)
            | Self::Current(_)
            | Self::PowerFactor
            | Self::PhasePowerFactor(_)
            | Self::Frequency => false,
        }
    }

    /// By its word; `None` where it is none.
    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::all().into_iter().find(|channel| channel.to_string() == word)
    }
}

/// Between which values a meter is believed. What lies outside is left out, and the rest of what it said stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Lowest and highest voltage in V, besides none at all.
    pub(crate) voltage: (Decimal, Decimal),
    /// Highest current of a phase in A, either way.
    pub(crate) current: Decimal,
    /// Highest power in W (var, VA), either way.
    pub(crate) power: Decimal,
    /// Lowest and highest frequency in Hz.
    pub(crate) frequency: (Decimal, Decimal),
}

impl Default for Limits {
    fn default() -> Self {
        let whole = Decimal::from;
        Self {
            voltage: (whole(50), whole(500)),
            current: whole(1_000),
            power: whole(10_000_000),
            frequency: (whole(45), whole(65)),
        }
    }
}

impl Limits {
    /// The value can be one of that channel.
    pub(crate) fn believe(&self, channel: Channel, value: Decimal) -> bool {
        let within = |(low, high): (Decimal, Decimal)| low <= value && value <= high;
        match channel {
            Channel::Voltage(_) => value.is_zero() || within(self.voltage),
            Channel::Frequency => within(self.frequency),
            Channel::Current(_) => value.abs() <= self.current,
            Channel::PowerFactor | Channel::PhasePowerFactor(_) => value.abs() <= Decimal::ONE,
            Channel::PowerImport | Channel::PowerExport | Channel::ApparentPower => {
                within((Decimal::ZERO, self.power))
            }
            Channel::Power | Channel::PhasePower(_) | Channel::ReactivePower => value.abs() <= self.power,
            // Registers are judged by what they said before.
            Channel::Import
            | Channel::Export
            | Channel::ImportRate(_)
            | Channel::ExportRate(_)
            | Channel::ReactiveImport
            | Channel::ReactiveExport
            | Channel::ApparentImport
            | Channel::ApparentExport
            | Channel::Device(_) => true,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::L1 => "l1",
            Self::L2 => "l2",
            Self::L3 => "l3",
        })
    }
}

impl fmt::Display for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gas => "gas",
            Self::Water => "water",
            Self::HotWater => "hot_water",
            Self::Heat => "heat",
            Self::Cold => "cold",
        })
    }
}

impl fmt::Display for Channel {
    /// A word: of a register without what makes it one (`import`), of anything else as it is configured (`import_power`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Import => f.write_str("import"),
            Self::Export => f.write_str("export"),
            Self::ImportRate(rate) => write!(f, "import_rate_{rate}"),
            Self::ExportRate(rate) => write!(f, "export_rate_{rate}"),
            Self::ReactiveImport => f.write_str("reactive_import"),
            Self::ReactiveExport => f.write_str("reactive_export"),
            Self::ApparentImport => f.write_str("apparent_import"),
            Self::ApparentExport => f.write_str("apparent_export"),
            Self::PowerImport => f.write_str("import_power"),
            Self::PowerExport => f.write_str("export_power"),
            Self::Power => f.write_str("net_power"),
            Self::PhasePower(phase) => write!(f, "net_power_{phase}"),
            Self::ReactivePower => f.write_str("reactive_power"),
            Self::ApparentPower => f.write_str("apparent_power"),
            Self::Voltage(phase) => write!(f, "voltage_{phase}"),
            Self::Current(phase) => write!(f, "current_{phase}"),
            Self::PowerFactor => f.write_str("power_factor"),
            Self::PhasePowerFactor(phase) => write!(f, "power_factor_{phase}"),
            Self::Frequency => f.write_str("frequency"),
            Self::Device(medium) => medium.fmt(f),
        }
    }
}
