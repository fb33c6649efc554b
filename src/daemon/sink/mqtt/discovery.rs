//! Tells Home Assistant what there is: one device with all its entities, in one retained message.
//!
//! The format is that of MQTT discovery for devices (`<prefix>/device/<id>/config`). Values of meters are announced once they were
//! seen: of a meter there is what it says.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::hook::settings::{Layout, MqttTarget};
use crate::time::Span;

use super::client::availability;
use super::speech::{Said, Told, level, meter_topic};

/// How values of a meter are shown.
struct Unit {
    /// By which word in its name a value is known to have it.
    word: &'static str,
    /// Of Home Assistant.
    class: Option<&'static str>,
    sign: &'static str,
    /// What stands for the word in the name that people see.
    shown: &'static str,
    /// It only grows.
    register: bool,
}

const fn unit(
    word: &'static str,
    class: Option<&'static str>,
    sign: &'static str,
    shown: &'static str,
    register: bool,
) -> Unit {
    Unit { word, class, sign, shown, register }
}

const UNITS: [Unit; 12] = [
    unit("kwh", Some("energy"), "kWh", "energy", true),
    unit("kvarh", Some("reactive_energy"), "kvarh", "energy", true),
    unit("kvah", None, "kVAh", "energy", true),
    unit("gj", Some("energy"), "GJ", "energy", true),
    unit("m3", Some("water"), "m³", "volume", true),
    unit("w", Some("power"), "W", "power", false),
    unit("var", Some("reactive_power"), "var", "power", false),
    unit("va", Some("apparent_power"), "VA", "power", false),
    unit("v", Some("voltage"), "V", "", false),
    unit("a", Some("current"), "A", "", false),
    unit("hz", Some("frequency"), "Hz", "", false),
    unit("factor", Some("power_factor"), "", "factor", false),
];
const GAS: Unit = unit("m3", Some("gas"), "m³", "volume", true);

/// The unit of a value, and its name for people: `import_kwh_t1` is "Import energy t1".
fn unit_of(value: &str) -> Option<(&'static Unit, String)> {
    let words: Vec<_> = value.split('_').collect();
    let unit = UNITS.iter().find(|unit| words.contains(&unit.word))?;
    let unit = if value.starts_with("gas_") { &GAS } else { unit };
    let words = words.iter().map(|word| if *word == unit.word { unit.shown } else { word });
    let mut name = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    name.get_mut(..1)?.make_ascii_uppercase();
    Some((unit, name))
}

/// What is announced.
#[derive(Debug)]
pub(super) struct Discovery {
    prefix: String,
    /// Of the device, and what the ids of entities begin with.
    id: String,
    name: String,
    availability: String,
    base: String,
    layout: Layout,
    main_meter: Option<String>,
    expire_after: Option<Span>,
    events: bool,
    /// Meters and their values that were seen.
    values: BTreeSet<(Arc<str>, String)>,
}

impl Discovery {
    pub(super) fn new(prefix: &str, target: &MqttTarget) -> Self {
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
        Self {
            prefix: prefix.to_owned(),
            id: target.client_id.chars().map(plain).collect(),
            name: target.client_id.clone(),
            availability: availability(target),
            base: target.base.clone(),
            layout: target.layout,
            main_meter: target.main_meter.clone(),
            expire_after: target.expire_after,
            events: target.events,
            values: BTreeSet::new(),
        }
    }

    /// Takes note of the values in what is told; returns whether there are new ones to announce.
    pub(super) fn note(&mut self, told: &[Told]) -> bool {
        let before = self.values.len();
        for reading in told.iter().filter_map(|told| told.meter.as_ref()) {
            let shown = reading.values.iter().filter(|name| unit_of(name).is_some());
            self.values.extend(shown.map(|name| (reading.meter.clone(), name.clone())));
        }
        self.values.len() > before
    }

    /// The message that announces all.
    pub(super) fn announcement(&self) -> Said {
        let mut components = Map::new();
        if self.events {
            components.extend(self.events());
        }
        components.extend(self.values.iter().filter_map(|(meter, value)| self.value(meter, value)));
        let config = json!({
            "device": {
                "identifiers": [self.id], "name": format!("OpenADR VEN {}", self.name),
                "manufacturer": env!("CARGO_PKG_NAME"), "sw_version": env!("CARGO_PKG_VERSION"),
            },
            "origin": {"name": env!("CARGO_PKG_NAME"), "sw_version": env!("CARGO_PKG_VERSION")},
            "availability_topic": self.availability,
            "components": components,
        });
        Said {
            topic: format!("{}/device/{}/config", self.prefix, self.id),
            payload: config.to_string().into_bytes(),
        }
    }

    /// One value of a meter.
    fn value(&self, meter: &str, value: &str) -> Option<(String, Value)> {
        let (unit, name) = unit_of(value)?;
        let main = self.main_meter.as_deref() == Some(meter);
        let name = if main { name } else { format!("{meter} {name}") };
        let topic = meter_topic(&self.base, self.main_meter.as_deref(), meter);
        let mut entity = self.entity("sensor", &format!("{}_{value}", level(meter)), &name, &topic, value);
        let state = if unit.register { "total_increasing" } else { "measurement" };
        entity.insert("state_class".into(), state.into());
        entity.extend(unit.class.map(|class| ("device_class".to_owned(), class.into())));
        if !unit.sign.is_empty() {
            entity.insert("unit_of_measurement".into(), unit.sign.into());
        }
        if let Some(expires) = self.expire_after {
            entity.insert("expire_after".into(), expires.seconds().max(1).into());
        }
        Some((format!("{}_{value}", level(meter)), Value::Object(entity)))
    }

    /// How it stands with demand response.
    fn events(&self) -> impl Iterator<Item = (String, Value)> {
        let topic = format!("{}/event", self.base);
        [
            ("active", "binary_sensor", "Event active", None),
            ("level", "sensor", "Event level", None),
            ("price", "sensor", "Event price", None),
            ("opt", "sensor", "Event opt", Some("enum")),
            ("start", "sensor", "Event start", Some("timestamp")),
            ("end", "sensor", "Event end", Some("timestamp")),
        ]
        .map(|(member, platform, name, class)| {
            let mut entity = self.entity(platform, &format!("event_{member}"), name, &topic, member);
            entity.extend(class.map(|class| ("device_class".to_owned(), class.into())));
            match member {
                "active" => {
                    entity.insert("payload_on".into(), "true".into());
                    entity.insert("payload_off".into(), "false".into());
                }
                "opt" => {
                    entity.insert("options".into(), json!(["optIn", "optOut"]));
                }
                _ => {}
            }
            (format!("event_{member}"), Value::Object(entity))
        })
        .into_iter()
    }

    /// What every entity has: where its state is found, and how.
    fn entity(&self, platform: &str, id: &str, name: &str, topic: &str, member: &str) -> Map<String, Value> {
        let mut entity = Map::new();
        entity.insert("platform".into(), platform.into());
        entity.insert("unique_id".into(), format!("{}_{id}", self.id).into());
        entity.insert("name".into(), name.into());
        if self.layout == Layout::Split {
            entity.insert("state_topic".into(), format!("{topic}/{}", level(member)).into());
        } else {
            entity.insert("state_topic".into(), topic.into());
            let value = format!("value_json['{member}']");
            // Home Assistant writes true as True.
            let value = if platform == "binary_sensor" { format!("{value} | tojson") } else { value };
            entity.insert("value_template".into(), format!("{{{{ {value} }}}}").into());
        }
        entity
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::unit_of;
    use crate::fact::topic;

    /// Every value that a meter can say, by the sample of its topic.
    #[test]
    fn every_value_of_a_reading_has_its_unit() {
        let sample: Map<String, Value> = serde_json::from_str(topic::meter::READING.sample).unwrap();
        let others = ["operation", "meter", "meter_id", "timestamp", "quality"];
        for name in sample.keys() {
            let expected = !others.contains(&name.as_str()) && !name.ends_with("_at");
            assert_eq!(unit_of(name).is_some(), expected, "{name}");
        }
        let shown = |value| {
            unit_of(value).map(|(unit, name)| (unit.class.unwrap_or("none"), unit.sign, name)).unwrap()
        };
        assert_eq!(shown("import_kwh_t1"), ("energy", "kWh", "Import energy t1".to_owned()));
        assert_eq!(shown("net_l2_w"), ("power", "W", "Net l2 power".to_owned()));
        assert_eq!(shown("gas_m3"), ("gas", "m³", "Gas volume".to_owned()));
        assert_eq!(shown("hot_water_m3"), ("water", "m³", "Hot water volume".to_owned()));
        assert_eq!(shown("power_factor_l1"), ("power_factor", "", "Power factor l1".to_owned()));
        assert_eq!(shown("voltage_l1_v"), ("voltage", "V", "Voltage l1".to_owned()));
    }
}
