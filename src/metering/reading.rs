//! Holds what a meter says of energy and power at one moment.

use std::fmt;

use crate::openadr::message::{DataQuality, Decimal};
use crate::time::Timestamp;

/// What a meter says at one moment; `None` where it does not say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) at: Timestamp,
    /// The meter's serial number, as it writes it.
    pub(crate) meter: Option<String>,
    /// Register of energy taken from the grid, all rates, in Wh.
    pub(crate) import: Option<Decimal>,
    /// Register of energy given to the grid, all rates, in Wh.
    pub(crate) export: Option<Decimal>,
    /// Power taken from the grid, in W.
    pub(crate) power_import: Option<Decimal>,
    /// Power given to the grid, in W.
    pub(crate) power_export: Option<Decimal>,
    pub(crate) quality: DataQuality,
}

impl Reading {
    /// Power in W; positive: taken from the grid.
    pub(crate) fn net_power(&self) -> Option<Decimal> {
        net(self.power_import, self.power_export)
    }
}

/// The first less the second; what is not said is nothing, as long as one of them is.
pub(super) fn net(import: Option<Decimal>, export: Option<Decimal>) -> Option<Decimal> {
    import.or(export).map(|_| import.unwrap_or_default() - export.unwrap_or_default())
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kilo = Decimal::from(1000);
        let mut parts = Vec::new();
        for (name, register) in [("import", self.import), ("export", self.export)] {
            parts.extend(register.map(|wh| format!("{name} {} kWh", (wh / kilo).normalize())));
        }
        parts.extend(self.net_power().map(|power| match power.is_sign_negative() {
            true => format!("{} W to the grid", -power),
            false => format!("{power} W from the grid"),
        }));
        if parts.is_empty() {
            parts.push("nothing about electricity".into());
        }
        f.write_str(&parts.join(", "))
    }
}
