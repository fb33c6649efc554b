//! Tells a reading as DSMR-reader takes it: `POST /api/v2/datalogger/dsmrreading`.
//!
//! Energies in kWh and powers in kW with three decimals, voltages in V with one, currents in whole A; "delivered" is what the
//! house takes. A meter without rates has all its energy in the first.

use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Map, Value};

/// The reading in the words of DSMR-reader.
///
/// # Errors
///
/// The first member that it cannot do without: no number is better than a wrong one.
pub(super) fn reading(data: &Map<String, Value>, time: &str) -> Result<Map<String, Value>, &'static str> {
    let mut told = Map::new();
    let at = data.get("timestamp").and_then(Value::as_str).unwrap_or(time);
    told.insert("timestamp".to_owned(), Value::from(at));
    let mut tell = |name: String, value: Decimal, decimals| told.insert(name, text(value, decimals));
    for (way, energy, power, sign) in
        [("delivered", "import", "import_w", 1), ("returned", "export", "export_w", -1)]
    {
        let rates = [1, 2].map(|rate| number(data, &format!("{energy}_kwh_t{rate}")));
        let whole = number(data, &format!("{energy}_kwh"));
        let known = rates.iter().flatten().next().or(whole.as_ref()).is_some();
        if !known && sign > 0 {
            return Err("import_kwh");
        }
        let [first, second] = rates;
        let first = first.or_else(|| if second.is_none() { whole } else { None }).unwrap_or_default();
        tell(format!("electricity_{way}_1"), first, 3);
        tell(format!("electricity_{way}_2"), second.unwrap_or_default(), 3);
        let watts = number(data, power).or_else(|| number(data, "net_w").map(|net| one_way(net, sign)));
        tell(format!("electricity_currently_{way}"), kilo(watts.ok_or("net_w")?), 3);
        for phase in 1..=3 {
            if let Some(net) = number(data, &format!("net_l{phase}_w")) {
                tell(format!("phase_currently_{way}_l{phase}"), kilo(one_way(net, sign)), 3);
            }
        }
    }
    for phase in 1..=3 {
        if let Some(volts) = number(data, &format!("voltage_l{phase}_v")) {
            tell(format!("phase_voltage_l{phase}"), volts, 1);
        }
        if let Some(amperes) = number(data, &format!("current_l{phase}_a")) {
            tell(format!("phase_power_current_l{phase}"), amperes.abs(), 0);
        }
    }
    if let (Some(gas), Some(at)) = (number(data, "gas_m3"), data.get("gas_at")) {
        tell("extra_device_delivered".to_owned(), gas, 3);
        told.insert("extra_device_timestamp".to_owned(), at.clone());
    }
    Ok(told)
}

/// The part of a net power that flows in one direction.
fn one_way(net: Decimal, sign: i64) -> Decimal {
    (net * Decimal::from(sign)).max(Decimal::ZERO)
}

fn kilo(watts: Decimal) -> Decimal {
    watts / Decimal::ONE_THOUSAND
}

/// A number, whether it is told as one or as a text.
fn number(data: &Map<String, Value>, name: &str) -> Option<Decimal> {
    match data.get(name)? {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn text(value: Decimal, decimals: u32) -> Value {
    let mut value = value.round_dp_with_strategy(decimals, RoundingStrategy::MidpointAwayFromZero);
    value.rescale(decimals);
    Value::from(value.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::reading;

    fn members(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_reading_with_all_its_values_is_told_in_the_words_of_dsmr_reader() {
        let data = json!({
            "timestamp": "2030-01-01T12:00:00+01:00",
            "import_kwh_t1": "1073.079", "import_kwh_t2": 1263.2, "export_kwh_t1": 0, "export_kwh_t2": "0.1",
            "import_w": "143", "export_w": 0,
            "net_l1_w": "143.5", "net_l2_w": -577, "voltage_l1_v": "230.15", "current_l1_a": "0.5", "current_l2_a": -2.4,
            "gas_m3": "1971.929", "gas_at": "2030-01-01T11:55:00+01:00",
        });
        let expected = json!({
            "timestamp": "2030-01-01T12:00:00+01:00",
            "electricity_delivered_1": "1073.079", "electricity_delivered_2": "1263.200",
            "electricity_currently_delivered": "0.143",
            "phase_currently_delivered_l1": "0.144", "phase_currently_delivered_l2": "0.000",
            "electricity_returned_1": "0.000", "electricity_returned_2": "0.100",
            "electricity_currently_returned": "0.000",
            "phase_currently_returned_l1": "0.000", "phase_currently_returned_l2": "0.577",
            "phase_voltage_l1": "230.2", "phase_power_current_l1": "1", "phase_power_current_l2": "2",
            "extra_device_delivered": "1971.929", "extra_device_timestamp": "2030-01-01T11:55:00+01:00",
        });
        assert_eq!(Value::Object(reading(&members(&data), "").unwrap()), expected);
    }

    #[test]
    fn a_meter_without_rates_and_with_a_net_power_is_told_too() {
        let data = members(&json!({ "import_kwh": "12345.678", "net_w": "-417" }));
        let told = reading(&data, "2030-01-01T12:00:00Z").unwrap();
        for (name, value) in [
            ("timestamp", "2030-01-01T12:00:00Z"),
            ("electricity_delivered_1", "12345.678"),
            ("electricity_delivered_2", "0.000"),
            ("electricity_returned_1", "0.000"),
            ("electricity_returned_2", "0.000"),
            ("electricity_currently_delivered", "0.000"),
            ("electricity_currently_returned", "0.417"),
        ] {
            assert_eq!(told[name], value, "{name}");
        }
        assert_eq!(told.len(), 7);
    }

    #[test]
    fn a_gap_is_not_told_as_a_number() {
        assert_eq!(reading(&members(&json!({ "net_w": 1 })), ""), Err("import_kwh"));
        assert_eq!(reading(&members(&json!({ "import_kwh": "1" })), ""), Err("net_w"));
        assert_eq!(reading(&members(&json!({ "import_kwh": "much", "net_w": 1 })), ""), Err("import_kwh"));
    }
}
