//! Names what can be reported of a meter.

use std::fmt;

use crate::openadr::message::{Decimal, PowerAttributes, PowerKind, ReadingType, ReportType, SiScale, Unit};

/// Something that can be reported of a meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quantity {
    /// Energy taken from the grid in an interval, in Wh.
    ImportEnergy,
    /// Energy given to the grid in an interval, in Wh.
    ExportEnergy,
    /// The first less the second, in Wh.
    NetEnergy,
    /// Power taken from the grid at an instant, in W.
    ImportPower,
    /// Power given to the grid at an instant, in W.
    ExportPower,
    /// The first less the second, in W.
    NetPower,
    /// Whether it delivers.
    Status,
}

impl Quantity {
    /// Every quantity.
    pub(crate) const ALL: &'static [Self] = &[
        Self::ImportEnergy,
        Self::ExportEnergy,
        Self::NetEnergy,
        Self::ImportPower,
        Self::ExportPower,
        Self::NetPower,
        Self::Status,
    ];

    /// It belongs to a span of time; otherwise to an instant.
    pub(crate) const fn is_energy(self) -> bool {
        matches!(self, Self::ImportEnergy | Self::ExportEnergy | Self::NetEnergy)
    }

    /// The unit of its values; a status has none.
    pub(crate) fn unit(self) -> Option<Unit> {
        if self == Self::Status {
            return None;
        }
        if self.is_energy() {
            return Some(Unit::Energy(PowerKind::Real, SiScale::None));
        }
        // The nominal values of the European grid.
        let grid = PowerAttributes { hertz: Decimal::from(50), voltage: Decimal::from(230), ac: true };
        Some(Unit::Power(PowerKind::Real, SiScale::None, grid))
    }

    /// What its values are: usage, of whichever kind (rule 331).
    pub(crate) const fn report_type(self) -> ReportType {
        match self {
            Self::Status => ReportType::ResourceStatus,
            Self::ImportEnergy
            | Self::ExportEnergy
            | Self::NetEnergy
            | Self::ImportPower
            | Self::ExportPower
            | Self::NetPower => ReportType::Usage,
        }
    }

    /// How its values are read (rule 331).
    pub(crate) const fn reading_type(self) -> ReadingType {
        match self {
            Self::Status => ReadingType::NotApplicable,
            Self::ImportEnergy
            | Self::ExportEnergy
            | Self::NetEnergy
            | Self::ImportPower
            | Self::ExportPower
            | Self::NetPower => ReadingType::DirectRead,
        }
    }
}

impl fmt::Display for Quantity {
    /// The word in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ImportEnergy => "import_energy",
            Self::ExportEnergy => "export_energy",
            Self::NetEnergy => "net_energy",
            Self::ImportPower => "import_power",
            Self::ExportPower => "export_power",
            Self::NetPower => "net_power",
            Self::Status => "status",
        })
    }
}
