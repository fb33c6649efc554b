//! What a reading is made of, and what can be reported of it.

use super::super::channel::{Channel, Limits, Medium, Phase};
use super::super::obis::ObisCode;
use super::super::quantity::Quantity;
use super::super::telegram::{Object, ObjectValue, Telegram};
use super::super::unit::MeterUnit;
use super::super::{Reading, Series};
use super::series::{at, told};
use super::t;
use crate::openadr::message::{DataQuality, Decimal, ReadingType, ReportType, Unit};
use crate::time::{Span, Timestamp};

fn decimal(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap()
}

/// A telegram of lines such as `1-0:1.8.0 1.5 kWh`; a word without a number is a text.
fn telegram(clock: Timestamp, lines: &[&str]) -> Telegram {
    let object = |line: &&str| {
        let words: Vec<&str> = line.split(' ').collect();
        let value = match words[1..] {
            [number] if number.starts_with('#') => ObjectValue::Text(number.into()),
            [number] => ObjectValue::Number(decimal(number), None),
            [number, unit, ..] => ObjectValue::Number(decimal(number), MeterUnit::parse(unit)),
            [] => panic!("{line}"),
        };
        let at = words.get(3).map(|time| t(time));
        Object { code: ObisCode::parse(words[0]).unwrap(), value, at, quality: DataQuality::Good }
    };
    Telegram {
        meter: Some("M1".into()),
        clock: Some(clock),
        objects: lines.iter().map(object).collect(),
        quality: DataQuality::Good,
    }
}

#[test]
fn a_reading_has_everything_that_a_report_can_carry() {
    let lines = [
        "1-0:1.8.1 1.5 kWh",
        "1-0:1.8.2 2.25 kWh",
        "1-0:2.8.0 0.125 kWh",
        "1-0:3.8.0 7 varh",
        "1-0:4.8.1 8 varh",
        "1-0:9.8.0 9 VAh",
        "1-0:1.7.0 0.4 kW",
        "1-0:2.7.0 0 kW",
        "1-0:3.7.0 5 var",
        "1-0:4.7.0 12 var",
        "1-0:9.7.0 410 VA",
        "1-0:21.7.0 0 W",
        "1-0:22.7.0 300 W",
        "1-0:56.7.0 -70 W",
        "1-0:61.7.0 20 W",
        "1-0:32.7.0 230.1 V",
        "1-0:31.7.0 1.30 A",
        "1-0:51.7.0 0.4 A",
        "1-0:71.7.0 0.1 A",
        "1-0:14.7.0 49.98 Hz",
        "1-0:13.7.0 0.97",
        "1-0:33.7.0 0.5",
    ];
    let reading = Reading::of(&telegram(at(0), &lines), at(3));
    let wanted = [
        (Channel::Import, "3750"),
        (Channel::Export, "125"),
        (Channel::ImportRate(1), "1500"),
        (Channel::ImportRate(2), "2250"),
        (Channel::ReactiveImport, "7"),
        (Channel::ReactiveExport, "8"),
        (Channel::ApparentImport, "9"),
        (Channel::PowerImport, "400"),
        (Channel::PowerExport, "0"),
        (Channel::Power, "400"),
        (Channel::ReactivePower, "-7"),
        (Channel::ApparentPower, "410"),
        (Channel::PhasePower(Phase::L1), "-300"),
        (Channel::PhasePower(Phase::L2), "-70"),
        (Channel::PhasePower(Phase::L3), "20"),
        (Channel::Voltage(Phase::L1), "230.1"),
        (Channel::Current(Phase::L1), "-1.3"),
        (Channel::Current(Phase::L2), "-0.4"),
        (Channel::Current(Phase::L3), "0.1"),
        (Channel::Frequency, "49.98"),
        (Channel::PowerFactor, "0.97"),
        (Channel::PhasePowerFactor(Phase::L1), "0.5"),
    ];
    assert_eq!(reading.values, wanted.map(|(channel, value)| (channel, decimal(value))).into());
    assert_eq!((reading.at, reading.bad), (at(0), Vec::new()));
}

#[test]
fn what_cannot_be_is_left_out_and_the_rest_stays() {
    let lines = |volts: &str, amps: &str, hertz: &str, watts: &str| {
        let lines = [
            format!("1-0:32.7.0 {volts} V"),
            format!("1-0:31.7.0 {amps} A"),
            format!("1-0:14.7.0 {hertz} Hz"),
            format!("1-0:1.7.0 {watts} W"),
        ];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        Reading::of(&telegram(at(0), &lines), at(0))
    };
    let (volts, amps) = (Channel::Voltage(Phase::L1), Channel::Current(Phase::L1));
    assert_eq!(lines("0", "1000", "45", "10000000").bad, []);
    assert_eq!(lines("500", "0", "65", "0").bad, []);
    let bad = lines("6553.5", "1000.1", "0", "10000001");
    assert_eq!(bad.bad, [Channel::Frequency, Channel::PowerImport, Channel::Power, volts, amps]);
    assert!(bad.values.is_empty());
    assert_eq!(lines("49.9", "1", "50", "1").bad, [volts]);
    let narrow = Limits { current: Decimal::ONE, ..Limits::default() };
    let reading =
        Reading::within(&telegram(at(0), &["1-0:31.7.0 1.5 A", "1-0:14.7.0 50 Hz"]), at(0), &narrow);
    assert_eq!(reading.get(Channel::Frequency), Some(decimal("50")));
    assert_eq!(reading.bad, [amps]);
}

#[test]
fn every_quantity_has_its_own_word_and_says_what_it_is() {
    let all = Quantity::all();
    let mut words: Vec<String> = all.iter().map(ToString::to_string).collect();
    words.sort();
    let count = words.len();
    words.dedup();
    assert_eq!(words.len(), count, "every word stands once");
    for word in [
        "import_energy",
        "net_energy",
        "import_energy_rate_2",
        "reactive_export_energy",
        "import_register",
        "export_register_rate_1",
        "net_power",
        "mean_net_power",
        "max_net_power",
        "min_net_power",
        "voltage_l1",
        "mean_current_l3",
        "frequency",
        "gas_use",
        "water_register",
        "heat_use",
        "net_power_l2",
        "status",
    ] {
        assert!(words.iter().any(|known| known == word), "{word}");
    }
    let types =
        |quantity: Quantity| (quantity.report_type(), quantity.reading_type(), quantity.is_of_interval());
    assert_eq!(types(Quantity::NetUse), (ReportType::Usage, ReadingType::Net, true));
    assert_eq!(
        types(Quantity::Register(Channel::Import)),
        (ReportType::Reading, ReadingType::DirectRead, false)
    );
    assert_eq!(types(Quantity::Most(Channel::Power)), (ReportType::Demand, ReadingType::Peak, true));
    assert_eq!(
        types(Quantity::Now(Channel::Voltage(Phase::L2))),
        (ReportType::Reading, ReadingType::Rms, false)
    );
    assert_eq!(types(Quantity::Mean(Channel::Power)), (ReportType::Usage, ReadingType::Mean, true));
    for (medium, wanted) in [(Medium::Gas, "m3"), (Medium::Heat, "GJ")] {
        let unit = Quantity::Use(Channel::Device(medium)).unit();
        assert!(matches!(unit, Some(Unit::Custom { units, .. }) if units == wanted));
    }
    assert!(all.iter().all(|quantity| (*quantity == Quantity::Status) == quantity.unit().is_none()));
}

#[test]
fn channels_are_found_by_their_words() {
    for channel in Channel::all() {
        assert_eq!(Channel::parse(&channel.to_string()), Some(channel));
    }
    assert_eq!(Channel::parse("import_rate_9"), None);
}

fn window(series: &Series, quantity: Quantity, from: i64, to: i64, step: i64) -> String {
    told(&series.window(quantity, at(from), at(to), Span::from_seconds(step)))
}

#[test]
fn means_and_peaks_are_those_of_the_interval() {
    let mut series = Series::new(Span::DAY);
    for step in 0..=60_i64 {
        let power = if step % 6 == 3 { 900 } else { step };
        let values = [
            (Channel::Power, power),
            (Channel::Import, step * 2),
            (Channel::Voltage(Phase::L1), 220 + step % 2),
        ];
        let values = values.map(|(channel, value)| (channel, Decimal::from(value)));
        series.push(Reading { values: values.into(), ..Reading::new(at(step * 10)) });
    }
    assert_eq!(window(&series, Quantity::Mean(Channel::Power), 0, 120, 60), "720 720", "12 Wh in a minute");
    assert_eq!(window(&series, Quantity::Most(Channel::Power), 0, 120, 60), "900 900");
    assert_eq!(window(&series, Quantity::Least(Channel::Power), 0, 120, 60), "0 6");
    assert_eq!(window(&series, Quantity::Mean(Channel::Voltage(Phase::L1)), 0, 120, 60), "220.5 220.5");
    assert_eq!(window(&series, Quantity::Now(Channel::Voltage(Phase::L1)), 0, 20, 10), "220 221");
    assert_eq!(window(&series, Quantity::Most(Channel::Power), 540, 660, 60), "900 -", "not over yet");
    assert_eq!(window(&series, Quantity::Register(Channel::Import), 0, 120, 60), "0 12");
}

#[test]
fn a_register_is_told_as_the_meter_shows_it() {
    let mut series = Series::new(Span::DAY);
    let shows = [(0, 7_000, "old"), (60, 7_010, "old"), (120, 3, "new"), (180, 9, "new")];
    for (second, import, meter) in shows {
        let values = [(Channel::Import, Decimal::from(import))].into();
        series.push(Reading { meter: Some(meter.into()), values, ..Reading::new(at(second)) });
    }
    assert_eq!(window(&series, Quantity::Register(Channel::Import), 0, 181, 60), "7000 7010 3 9");
}

#[test]
fn gas_counts_at_its_own_times() {
    let mut series = Series::new(Span::DAY);
    for minute in 0..=130_i64 {
        let own = at(minute * 60).floor_to(Span::HOUR);
        let hour = own.seconds() / 3_600 - at(0).seconds() / 3_600;
        let gas = format!("0-2:24.2.1 {}.5 m3 {own}", 100 + hour * 2);
        // An old meter was left at port 1, with the time of its last day.
        let lines = [
            "0-1:24.1.0 3",
            "0-1:24.2.1 77.0 m3 2020-01-01T00:00:00Z",
            "0-2:24.1.0 3",
            "0-2:96.1.0 #new",
            &gas,
        ];
        series.push(Reading::of(&telegram(at(minute * 60), &lines), at(minute * 60)));
    }
    let gas = |quantity: fn(Channel) -> Quantity| quantity(Channel::Device(Medium::Gas));
    assert_eq!(window(&series, gas(Quantity::Use), 0, 7_200, 3_600), "2 2");
    assert_eq!(window(&series, gas(Quantity::Use), 0, 10_800, 3_600), "2 2 -", "it is not known yet");
    assert_eq!(window(&series, gas(Quantity::Register), 0, 7_201, 3_600), "100.5 102.5 104.5");
    let latest = series.latest(gas(Quantity::Use), Span::HOUR, at(130 * 60));
    assert_eq!((latest.start, told(&[latest])), (at(3_600), "2".into()));
}

#[test]
fn another_gas_meter_begins_anew_and_water_is_no_gas() {
    let mut series = Series::new(Span::DAY);
    for step in 0..=8_i64 {
        let own = at(step * 300);
        let serial = if step < 4 { "0-1:96.1.0 #old" } else { "0-1:96.1.0 #new" };
        let gas = format!("0-1:24.2.1 {} m3 {own}", if step < 4 { 1_000 + step } else { step });
        let water = format!("0-2:24.2.1 {} m3 {own}", 50 + step * 3);
        let lines = ["0-1:24.1.0 3", serial, &gas, "0-2:24.1.0 7", &water];
        series.push(Reading::of(&telegram(own, &lines), own));
    }
    let medium = |medium| Quantity::Use(Channel::Device(medium));
    assert_eq!(window(&series, medium(Medium::Gas), 0, 2_400, 300), "1 1 1 0? 1 1 1 1");
    assert_eq!(window(&series, medium(Medium::Water), 0, 2_400, 1_200), "12 12");
}

#[test]
fn a_clock_that_is_wrong_is_put_right_for_the_devices_or_ignored() {
    let gas = |clock: &str, own: &str, received| {
        let line = format!("0-1:24.2.1 5 m3 {own}");
        Reading::of(&telegram(t(clock), &["0-1:24.1.0 3", &line]), received).devices.remove(0).at
    };
    assert_eq!(gas("2026-01-15T01:00:00Z", "2026-01-15T00:55:00Z", at(0)), Some(at(-300)), "an hour ahead");
    assert_eq!(gas("2000-01-01T00:00:00Z", "2000-01-01T00:00:00Z", at(0)), None, "never set");
    assert_eq!(gas("2026-01-15T00:00:00Z", "1970-01-01T00:00:00Z", at(0)), None);
    assert_eq!(gas("2026-01-15T00:00:00Z", "2026-01-16T00:00:01Z", at(0)), None, "more than a day ahead");
    assert_eq!(
        gas("2026-01-16T00:00:01Z", "2026-01-16T00:00:01Z", at(0)),
        None,
        "with the clock of its meter"
    );
}

#[test]
fn a_device_without_a_time_works_on_ours() {
    let mut series = Series::new(Span::DAY);
    for minute in 0..=240_i64 {
        let gas = format!("0-1:24.2.1 {} m3 1970-01-01T00:00:00Z", minute / 60);
        let lines = ["0-1:24.1.0 3", &gas];
        series.push(Reading::of(&telegram(at(minute * 60), &lines), at(minute * 60)));
    }
    assert_eq!(window(&series, Quantity::Use(Channel::Device(Medium::Gas)), 0, 14_400, 7_200), "2 2");
}

#[test]
fn heat_is_told_in_gigajoules() {
    let mut series = Series::new(Span::DAY);
    for hour in 0..=2_i64 {
        let own = at(hour * 3_600);
        let heat = format!("0-1:24.2.1 12.{}4 GJ {own}", 3 + hour);
        series.push(Reading::of(&telegram(own, &["0-1:24.1.0 12", &heat]), own));
    }
    assert_eq!(window(&series, Quantity::Use(Channel::Device(Medium::Heat)), 0, 7_200, 3_600), "0.1 0.1");
}
