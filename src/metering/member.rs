//! Names the values of a reading for those who are told of it.
//!
//! A name is the channel's word in the configuration without `power`, then the unit, then the rate, so that each part says one thing:
//!
//! ```text
//! channel           configured as      told as          in
//! Import            import             import_kwh       kWh
//! ImportRate(1)     import_rate_1      import_kwh_t1    kWh
//! ReactiveImport    reactive_import    reactive_import_kvarh
//! PowerImport       import_power       import_w         W
//! Power             net_power          net_w            W, positive: taken from the grid
//! PhasePower(L1)    net_power_l1       net_l1_w
//! Voltage(L1)       voltage_l1         voltage_l1_v
//! PowerFactor       power_factor       power_factor     no unit
//! Device(Gas)       gas                gas_m3           and gas_at: when the gas meter said so
//! Device(Heat)      heat               heat_gj
//! ```
//!
//! Energies are in thousands, as meters show them. What a meter does not say has no member.

use std::collections::BTreeMap;

use crate::openadr::message::Decimal;
use crate::time::Timestamp;

use super::channel::{Channel, Medium};
use super::device::{self, Device};
use super::reading::Reading;

impl Channel {
    /// What its value is told as.
    pub(crate) fn member(self) -> String {
        let (unit, _) = self.told_in();
        let (word, rate) = if let Self::ImportRate(rate) = self {
            (Self::Import.to_string(), format!("_t{rate}"))
        } else if let Self::ExportRate(rate) = self {
            (Self::Export.to_string(), format!("_t{rate}"))
        } else {
            (self.to_string().replace("_power", ""), String::new())
        };
        if unit.is_empty() { word } else { format!("{word}_{unit}{rate}") }
    }

    /// The unit in which it is told, and how many of the channel's own make one.
    const fn told_in(self) -> (&'static str, i64) {
        match self {
            Self::Import | Self::Export | Self::ImportRate(_) | Self::ExportRate(_) => ("kwh", 1_000),
            Self::ReactiveImport | Self::ReactiveExport => ("kvarh", 1_000),
            Self::ApparentImport | Self::ApparentExport => ("kvah", 1_000),
            Self::PowerImport | Self::PowerExport | Self::Power | Self::PhasePower(_) => ("w", 1),
            Self::ReactivePower => ("var", 1),
            Self::ApparentPower => ("va", 1),
            Self::Voltage(_) => ("v", 1),
            Self::Current(_) => ("a", 1),
            Self::PowerFactor | Self::PhasePowerFactor(_) => ("", 1),
            Self::Frequency => ("hz", 1),
            Self::Device(Medium::Gas | Medium::Water | Medium::HotWater) => ("m3", 1),
            Self::Device(Medium::Heat | Medium::Cold) => ("gj", 1_000_000_000),
        }
    }

    /// What its value is in the unit in which it is told, without idle zeros.
    fn told(self, value: Decimal) -> Decimal {
        (value / Decimal::from(self.told_in().1)).normalize()
    }
}

impl Medium {
    /// What the time of its value is told as.
    pub(crate) fn time_member(self) -> String {
        format!("{self}_at")
    }
}

impl Reading {
    /// Every value that is believed, by its name.
    pub(crate) fn members(&self) -> BTreeMap<String, Decimal> {
        let own = self.values.iter().map(|(channel, value)| (*channel, *value));
        let behind = self.live_devices().map(|device| (Channel::Device(device.medium), device.value));
        own.chain(behind).map(|(channel, value)| (channel.member(), channel.told(value))).collect()
    }

    /// When the devices behind the meter said their values, by name.
    pub(crate) fn times(&self) -> BTreeMap<String, Timestamp> {
        self.live_devices().filter_map(|device| Some((device.medium.time_member(), device.at?))).collect()
    }

    fn live_devices(&self) -> impl Iterator<Item = &Device> {
        Medium::ALL.into_iter().filter_map(|medium| device::live(&self.devices, medium, None))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Channel, Decimal, Device, Medium, Reading};
    use crate::fact::topic;
    use crate::metering::channel::Phase;
    use crate::time::Timestamp;

    #[test]
    fn every_channel_has_a_name_of_its_own_that_ends_in_its_unit() {
        let names: BTreeSet<String> = Channel::all().into_iter().map(Channel::member).collect();
        assert_eq!(names.len(), Channel::all().len());
        for (channel, name) in [
            (Channel::Import, "import_kwh"),
            (Channel::Export, "export_kwh"),
            (Channel::ImportRate(1), "import_kwh_t1"),
            (Channel::ExportRate(2), "export_kwh_t2"),
            (Channel::ReactiveImport, "reactive_import_kvarh"),
            (Channel::ApparentExport, "apparent_export_kvah"),
            (Channel::PowerImport, "import_w"),
            (Channel::PowerExport, "export_w"),
            (Channel::Power, "net_w"),
            (Channel::PhasePower(Phase::L3), "net_l3_w"),
            (Channel::ReactivePower, "reactive_var"),
            (Channel::ApparentPower, "apparent_va"),
            (Channel::Voltage(Phase::L1), "voltage_l1_v"),
            (Channel::Current(Phase::L2), "current_l2_a"),
            (Channel::PowerFactor, "power_factor"),
            (Channel::PhasePowerFactor(Phase::L1), "power_factor_l1"),
            (Channel::Frequency, "frequency_hz"),
            (Channel::Device(Medium::Gas), "gas_m3"),
            (Channel::Device(Medium::HotWater), "hot_water_m3"),
            (Channel::Device(Medium::Cold), "cold_gj"),
        ] {
            assert_eq!(channel.member(), name);
        }
    }

    /// Templates are checked against the sample: what a meter can say must stand in it, and nothing else.
    #[test]
    fn the_sample_of_a_reading_names_every_channel() {
        let sample: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(topic::meter::READING.sample).unwrap();
        let given: BTreeSet<&str> = sample.keys().map(String::as_str).collect();
        let mut names: BTreeSet<String> = Channel::all().into_iter().map(Channel::member).collect();
        names.extend(Medium::ALL.map(Medium::time_member));
        names.extend(["operation", "meter", "meter_id", "timestamp", "quality"].map(str::to_owned));
        assert_eq!(given, names.iter().map(String::as_str).collect());
    }

    #[test]
    fn values_are_told_exactly_in_the_unit_of_their_name() {
        let number = |text: &str| text.parse::<Decimal>().unwrap();
        let at = Timestamp::from_seconds(1_900_000_000);
        let device =
            |port, at, value| Device { medium: Medium::Gas, port, serial: None, at, value: number(value) };
        let mut reading = Reading::new(at);
        reading.values = [
            (Channel::Import, number("12345678.0")),
            (Channel::ImportRate(1), number("0.001")),
            (Channel::Power, number("-417")),
            (Channel::Voltage(Phase::L1), number("230.10")),
        ]
        .into();
        reading.devices = vec![device(1, None, "9.9"), device(2, Some(at), "2400.123")];
        reading.devices.push(Device { medium: Medium::Heat, ..device(3, None, "1234567890") });
        let told: Vec<String> =
            reading.members().into_iter().map(|(name, value)| format!("{name} {value}")).collect();
        let expected = [
            "gas_m3 2400.123",
            "heat_gj 1.23456789",
            "import_kwh 12345.678",
            "import_kwh_t1 0.000001",
            "net_w -417",
            "voltage_l1_v 230.1",
        ];
        assert_eq!(told, expected);
        assert_eq!(reading.times(), [("gas_at".to_owned(), at)].into());
    }
}
