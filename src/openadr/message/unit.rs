//! Names what a number measures.

use serde::Serialize;

use super::{Decimal, Float, tokens};

tokens! {
    /// `scale:siScaleCode`: a power of ten; part of the value, never to be assumed.
    SiScale {
        /// 10^-12.
        Pico = "p",
        /// 10^-9.
        Nano = "n",
        /// 10^-6.
        Micro = "micro",
        /// 10^-3.
        Milli = "m",
        /// 10^-2.
        Centi = "c",
        /// 10^-1.
        Deci = "d",
        /// 1.
        None = "none",
        /// 10^3.
        Kilo = "k",
        /// 10^6.
        Mega = "M",
        /// 10^9.
        Giga = "G",
        /// 10^12.
        Tera = "T",
    }
}

impl SiScale {
    /// The power of ten.
    #[must_use]
    pub const fn exponent(self) -> i32 {
        match self {
            Self::Pico => -12,
            Self::Nano => -9,
            Self::Micro => -6,
            Self::Milli => -3,
            Self::Centi => -2,
            Self::Deci => -1,
            Self::None => 0,
            Self::Kilo => 3,
            Self::Mega => 6,
            Self::Giga => 9,
            Self::Tera => 12,
        }
    }
}

/// What stands in for `emix:itemBase`: the unit of a value.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Unit {
    /// `power:powerReal` (W), `power:powerApparent` (VA), `power:powerReactive` (VAR).
    Power(PowerKind, SiScale, PowerAttributes),
    /// `power:energyReal` (Wh), `power:energyApparent` (VAh), `power:energyReactive` (VARh).
    Energy(PowerKind, SiScale),
    /// `power:voltage` (V).
    Voltage(SiScale),
    /// `oadr:current` (A).
    Current(SiScale),
    /// `oadr:frequency` (Hz).
    Frequency(SiScale),
    /// `oadr:temperature`.
    Temperature(TemperatureUnit, SiScale),
    /// `oadr:Therm` (thm).
    Therm(SiScale),
    /// `oadr:currency` and its likes; the scale counts for the currency.
    Currency(CurrencyPer, String, SiScale),
    /// `oadr:pulseCount`; the factor is in kWh per count.
    PulseCount(Float),
    /// `oadr:customUnit`.
    Custom {
        /// What is measured.
        description: String,
        /// In which unit.
        units: String,
        /// Power of ten.
        scale: SiScale,
    },
    /// `oadr:oadrGBDataDescription`: the text of an `atom:feed` element, carried through as it is.
    GreenButton(String),
}

/// Where a unit, borrowed in either way, has its power of ten.
macro_rules! place_of_scale {
    ($unit:expr) => {
        match $unit {
            Self::Power(_, scale, _)
            | Self::Energy(_, scale)
            | Self::Voltage(scale)
            | Self::Current(scale)
            | Self::Frequency(scale)
            | Self::Temperature(_, scale)
            | Self::Therm(scale)
            | Self::Currency(_, _, scale)
            | Self::Custom { scale, .. } => Some(scale),
            Self::PulseCount(_) | Self::GreenButton(_) => None,
        }
    };
}

impl Unit {
    /// The power of ten, where it has one; for a currency it is that of the currency.
    #[must_use]
    pub const fn scale(&self) -> Option<SiScale> {
        match place_of_scale!(self) {
            Some(scale) => Some(*scale),
            None => None,
        }
    }

    /// The same unit with another power of ten; what has none stays as it is.
    #[must_use]
    pub fn scaled(mut self, to: SiScale) -> Self {
        if let Some(scale) = place_of_scale!(&mut self) {
            *scale = to;
        }
        self
    }

    /// Its symbol without the power of ten, as the schema writes it in `itemUnits` where it does.
    #[must_use]
    pub fn symbol(&self) -> &str {
        match self {
            Self::Power(PowerKind::Real, ..) => "W",
            Self::Power(PowerKind::Apparent, ..) => "VA",
            Self::Power(PowerKind::Reactive, ..) => "VAR",
            Self::Energy(PowerKind::Real, _) => "Wh",
            Self::Energy(PowerKind::Apparent, _) => "VAh",
            Self::Energy(PowerKind::Reactive, _) => "VARh",
            Self::Voltage(_) => "V",
            Self::Current(_) => "A",
            Self::Frequency(_) => "Hz",
            Self::Temperature(unit, _) => unit.as_str(),
            Self::Therm(_) => "thm",
            Self::Currency(_, currency, _) => currency,
            Self::PulseCount(_) => "count",
            Self::Custom { units, .. } => units,
            Self::GreenButton(_) => "Green Button",
        }
    }
}

/// Which of the three powers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PowerKind {
    /// Does work: W, Wh.
    Real,
    /// Real and reactive together: VA, VAh.
    Apparent,
    /// Swings to and fro: VAR, VARh.
    Reactive,
}

/// `power:powerAttributes`: the nominal values of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PowerAttributes {
    /// In Hz.
    pub hertz: Decimal,
    /// In V.
    pub voltage: Decimal,
    /// Alternating current.
    pub ac: bool,
}

tokens! {
    /// The unit of a temperature.
    TemperatureUnit {
        /// Degrees Celsius.
        Celsius = "celsius",
        /// Degrees Fahrenheit.
        Fahrenheit = "fahrenheit",
    }
}

tokens! {
    /// What a currency is counted for; also the name of the element.
    CurrencyPer {
        /// Nothing: a sum of money.
        Nothing = "currency",
        /// Per kWh.
        KWh = "currencyPerKWh",
        /// Per kW.
        KW = "currencyPerKW",
        /// Per therm.
        Thm = "currencyPerThm",
    }
}
