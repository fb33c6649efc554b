//! Names what can be reported of a meter.

use std::fmt;

use crate::openadr::message::{Decimal, PowerAttributes, PowerKind, ReadingType, ReportType, SiScale, Unit};

use super::channel::{Channel, Medium, Phase, RATES};

/// Something that can be reported of a meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quantity {
    /// How much a register has risen in an interval.
    Use(Channel),
    /// Energy taken from the grid in an interval less energy given, in Wh.
    NetUse,
    /// What a register stands at, at an instant, as the meter shows it.
    Register(Channel),
    /// What is measured at an instant.
    Now(Channel),
    /// The mean of an interval; of a power whose energy is counted, 3600 times the energy by the seconds, exactly.
    Mean(Channel),
    /// The lowest that was measured in an interval.
    Least(Channel),
    /// The highest that was measured in an interval.
    Most(Channel),
    /// Whether it delivers.
    Status,
}

impl Quantity {
    pub(crate) const IMPORT_ENERGY: Self = Self::Use(Channel::Import);
    pub(crate) const EXPORT_ENERGY: Self = Self::Use(Channel::Export);
    pub(crate) const IMPORT_POWER: Self = Self::Now(Channel::PowerImport);
    pub(crate) const EXPORT_POWER: Self = Self::Now(Channel::PowerExport);
    pub(crate) const NET_POWER: Self = Self::Now(Channel::Power);

    /// Every quantity.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self::IMPORT_ENERGY, Self::EXPORT_ENERGY, Self::NetUse];
        all.extend([Self::IMPORT_POWER, Self::EXPORT_POWER, Self::NET_POWER]);
        all.extend(
            [Channel::PowerImport, Channel::PowerExport, Channel::Power]
                .into_iter()
                .flat_map(|power| [Self::Mean(power), Self::Least(power), Self::Most(power)]),
        );
        let registers = [Channel::ReactiveImport, Channel::ReactiveExport, Channel::ApparentImport];
        let rates = (1..=RATES).flat_map(|rate| [Channel::ImportRate(rate), Channel::ExportRate(rate)]);
        let devices = Medium::ALL.map(Channel::Device);
        let registers: Vec<Channel> =
            registers.into_iter().chain([Channel::ApparentExport]).chain(rates).chain(devices).collect();
        all.extend(registers.iter().map(|register| Self::Use(*register)));
        all.extend([Self::Register(Channel::Import), Self::Register(Channel::Export)]);
        all.extend(registers.iter().map(|register| Self::Register(*register)));
        let phases = Phase::ALL.into_iter().flat_map(|phase| {
            [
                Channel::PhasePower(phase),
                Channel::Voltage(phase),
                Channel::Current(phase),
                Channel::PhasePowerFactor(phase),
            ]
        });
        let instants =
            [Channel::ReactivePower, Channel::ApparentPower, Channel::PowerFactor, Channel::Frequency];
        all.extend(phases.chain(instants).flat_map(|channel| [Self::Now(channel), Self::Mean(channel)]));
        all.push(Self::Status);
        all
    }

    /// It belongs to a span of time; otherwise to an instant.
    pub(crate) const fn is_of_interval(self) -> bool {
        match self {
            Self::Use(_) | Self::NetUse | Self::Mean(_) | Self::Least(_) | Self::Most(_) => true,
            Self::Register(_) | Self::Now(_) | Self::Status => false,
        }
    }

    /// The numbers of the meter that its values are made of.
    pub(super) fn made_of(self) -> Vec<Channel> {
        match self {
            Self::NetUse | Self::Mean(Channel::Power) => vec![Channel::Import, Channel::Export],
            Self::Mean(Channel::PowerImport) => vec![Channel::Import],
            Self::Mean(Channel::PowerExport) => vec![Channel::Export],
            Self::Use(channel)
            | Self::Register(channel)
            | Self::Now(channel)
            | Self::Mean(channel)
            | Self::Least(channel)
            | Self::Most(channel) => vec![channel],
            // The meter is heard in any of them.
            Self::Status => vec![Channel::Import, Channel::Export, Channel::Power],
        }
    }

    /// Where its values come from; a net energy comes from two registers.
    const fn channel(self) -> Option<Channel> {
        match self {
            Self::Use(channel)
            | Self::Register(channel)
            | Self::Now(channel)
            | Self::Mean(channel)
            | Self::Least(channel)
            | Self::Most(channel) => Some(channel),
            Self::NetUse => Some(Channel::Import),
            Self::Status => None,
        }
    }

    /// The unit of its values; a status has none.
    pub(crate) fn unit(self) -> Option<Unit> {
        // The nominal values of the European grid.
        let grid = PowerAttributes { hertz: Decimal::from(50), voltage: Decimal::from(230), ac: true };
        let energy = |kind| Unit::Energy(kind, SiScale::None);
        let power = |kind| Unit::Power(kind, SiScale::None, grid);
        let custom = |description: &str, units: &str| Unit::Custom {
            description: description.into(),
            units: units.into(),
            scale: SiScale::None,
        };
        Some(match self.channel()? {
            Channel::Import | Channel::Export | Channel::ImportRate(_) | Channel::ExportRate(_) => {
                energy(PowerKind::Real)
            }
            Channel::ReactiveImport | Channel::ReactiveExport => energy(PowerKind::Reactive),
            Channel::ApparentImport | Channel::ApparentExport => energy(PowerKind::Apparent),
            Channel::PowerImport | Channel::PowerExport | Channel::Power | Channel::PhasePower(_) => {
                power(PowerKind::Real)
            }
            Channel::ReactivePower => power(PowerKind::Reactive),
            Channel::ApparentPower => power(PowerKind::Apparent),
            Channel::Voltage(_) => Unit::Voltage(SiScale::None),
            Channel::Current(_) => Unit::Current(SiScale::None),
            Channel::PowerFactor | Channel::PhasePowerFactor(_) => custom("power factor", "1"),
            Channel::Frequency => Unit::Frequency(SiScale::None),
            Channel::Device(Medium::Gas) => custom("gas volume", "m3"),
            Channel::Device(Medium::Water) => custom("water volume", "m3"),
            Channel::Device(Medium::HotWater) => custom("hot water volume", "m3"),
            Channel::Device(Medium::Heat) => custom("heat energy", "GJ"),
            Channel::Device(Medium::Cold) => custom("cooling energy", "GJ"),
        })
    }

    /// What its values are (rule 331).
    pub(crate) const fn report_type(self) -> ReportType {
        match self {
            Self::Status => ReportType::ResourceStatus,
            Self::Use(_) | Self::NetUse => ReportType::Usage,
            // The values of telemetry are usage, of whichever kind.
            Self::Now(Channel::PowerImport | Channel::PowerExport | Channel::Power) => ReportType::Usage,
            Self::Now(Channel::PowerFactor | Channel::PhasePowerFactor(_))
            | Self::Mean(Channel::PowerFactor | Channel::PhasePowerFactor(_)) => ReportType::PowerFactor,
            Self::Mean(Channel::PowerImport | Channel::PowerExport | Channel::Power) => ReportType::Usage,
            Self::Least(_) | Self::Most(_) => ReportType::Demand,
            Self::Register(_) | Self::Now(_) | Self::Mean(_) => ReportType::Reading,
        }
    }

    /// How its values are read (rule 331).
    pub(crate) const fn reading_type(self) -> ReadingType {
        match self {
            Self::Status => ReadingType::NotApplicable,
            Self::NetUse => ReadingType::Net,
            Self::Mean(_) => ReadingType::Mean,
            Self::Most(_) => ReadingType::Peak,
            Self::Now(Channel::Voltage(_) | Channel::Current(_)) => ReadingType::Rms,
            // The lowest has no word of its own.
            Self::Least(_) => ReadingType::Derived,
            Self::Use(_) | Self::Register(_) | Self::Now(_) => ReadingType::DirectRead,
        }
    }

    /// What a value in the unit of its channel is to be divided by to be in the unit of reports: heat is told in GJ.
    pub(super) fn divisor(self) -> Decimal {
        match self.channel() {
            Some(Channel::Device(medium)) if medium.is_energy() => Decimal::from(1_000_000_000),
            _ => Decimal::ONE,
        }
    }
}

impl fmt::Display for Quantity {
    /// The word in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Use(Channel::ImportRate(rate)) => write!(f, "import_energy_rate_{rate}"),
            Self::Use(Channel::ExportRate(rate)) => write!(f, "export_energy_rate_{rate}"),
            Self::Use(Channel::Device(medium)) => write!(f, "{medium}_use"),
            Self::Use(channel) => write!(f, "{channel}_energy"),
            Self::NetUse => f.write_str("net_energy"),
            Self::Register(Channel::ImportRate(rate)) => write!(f, "import_register_rate_{rate}"),
            Self::Register(Channel::ExportRate(rate)) => write!(f, "export_register_rate_{rate}"),
            Self::Register(channel) => write!(f, "{channel}_register"),
            Self::Now(channel) => channel.fmt(f),
            Self::Mean(channel) => write!(f, "mean_{channel}"),
            Self::Least(channel) => write!(f, "min_{channel}"),
            Self::Most(channel) => write!(f, "max_{channel}"),
            Self::Status => f.write_str("status"),
        }
    }
}
