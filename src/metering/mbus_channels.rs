//! Knows what the devices behind a meter say: gas, water and heat meters speak through the electricity meter's M-Bus.
//!
//! Channels are given out in order of installation, so that no kind of device has a channel of its own.

use std::cmp::Reverse;

use crate::openadr::message::{DataQuality, Decimal};
use crate::time::Timestamp;

use super::obis::{NOW, ObisCode};
use super::telegram::{Object, ObjectValue, Telegram};
use super::unit::{Measure, MeterUnit};

/// What a device measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MbusKind {
    Electricity,
    Gas,
    Heat,
    Cooling,
    Water,
    /// Warm or hot.
    HotWater,
    /// What the heating of one room takes.
    HeatCost,
    /// Another device type of EN 13757-3.
    Other(u8),
    /// Nothing says it.
    Unknown,
}

impl MbusKind {
    /// By the device type of EN 13757-3.
    const fn of(device_type: u8) -> Self {
        match device_type {
            2 => Self::Electricity,
            3 => Self::Gas,
            // A meter for both heat and cooling counts as one of heat.
            4 | 12 | 13 => Self::Heat,
            6 | 21 => Self::HotWater,
            7 | 22 => Self::Water,
            8 => Self::HeatCost,
            10 | 11 => Self::Cooling,
            other => Self::Other(other),
        }
    }
}

/// A device behind a meter, as one telegram tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MbusDevice {
    pub(crate) kind: MbusKind,
    /// From 1; 0 where the meter has one device of a kind and no channels (DSMR 2.2).
    pub(crate) channel: u8,
    /// As the meter writes it.
    pub(crate) serial: Option<String>,
    /// When it was read; nothing where that is not said, or the meter's clock was never set: then it is as of now.
    pub(crate) at: Option<Timestamp>,
    /// Its register; nothing where it is silent or was taken away.
    pub(crate) value: Option<Decimal>,
    pub(crate) unit: Option<MeterUnit>,
    /// Of its value; `Bad` where there is none.
    pub(crate) quality: DataQuality,
}

/// The devices behind a meter by their channels, those that were exchanged or are silent too.
pub(crate) fn mbus_devices(telegram: &Telegram) -> Vec<MbusDevice> {
    let mut devices: Vec<MbusDevice> = Vec::new();
    for object in &telegram.objects {
        take(object, &mut devices);
    }
    // DSMR 2.2, whose telegrams name the rate, has heat as 5 and cooling as 6; in IEC 62056-61 it is the other way round.
    if telegram.object(ObisCode::now(0, 0, 96, 14, 0)).is_none() {
        for device in devices.iter_mut().filter(|device| device.channel == 0) {
            if device.kind == MbusKind::Heat {
                device.kind = MbusKind::Cooling;
            } else if device.kind == MbusKind::Cooling {
                device.kind = MbusKind::Heat;
            }
        }
    }
    for device in devices.iter_mut().filter(|device| device.kind == MbusKind::Unknown) {
        if device.unit.is_some_and(|unit| unit.measure == Measure::Heat) {
            device.kind = MbusKind::Heat;
        }
    }
    // One device may be on two channels: what is newer counts.
    devices.sort_by_key(|device| Reverse((device.value.is_some(), device.at, device.channel)));
    let mut found: Vec<MbusDevice> = Vec::new();
    for device in devices {
        let same = |other: &MbusDevice| (other.kind, &other.serial) == (device.kind, &device.serial);
        if device.serial.is_none() || !found.iter().any(same) {
            found.push(device);
        }
    }
    if !clock_was_set(telegram) {
        found.iter_mut().for_each(|device| device.at = None);
    }
    found.sort_by_key(|device| (device.channel, device.kind));
    found
}

/// A clock that was never set counts from a year before 2010.
fn clock_was_set(telegram: &Telegram) -> bool {
    let begin = Timestamp::from_calendar((2010, 1, 1), (0, 0, 0));
    telegram.clock.is_none_or(|clock| Some(clock) >= begin)
}

/// Takes what an object says of a device.
fn take(object: &Object, devices: &mut Vec<MbusDevice>) {
    match object.code.0 {
        [0, 1..=255, 24, 1, 0, NOW] => {
            if let ObjectValue::Number(number, _) = object.value
                && let Ok(device_type) = u8::try_from(number)
            {
                device(object.code, devices).kind = MbusKind::of(device_type);
            }
        }
        // The Belgian number is in 96.1.1; 96.1.2 is that of the connection.
        [0, 1..=255, 96, 1, 0 | 1, NOW] | [5..=8, 0, 0, 0, 0, NOW] => {
            let device = device(object.code, devices);
            if let ObjectValue::Text(text) = &object.value
                && !text.is_empty()
                && device.serial.is_none()
            {
                device.serial = Some(text.clone());
            }
        }
        [0, 1..=255, 24, 2 | 3, _, NOW] | [7, 0, 23, _, _, NOW] | [5 | 6 | 8, 0, 1, 0, 0, NOW] => {
            let device = device(object.code, devices);
            if let ObjectValue::Number(value, unit) = object.value
                && object.quality != DataQuality::Bad
                && (device.value.is_none() || object.at > device.at)
            {
                (device.value, device.unit, device.at) = (Some(value), unit, object.at);
                device.quality = object.quality.clone();
            }
        }
        _ => {}
    }
}

/// The device of an object.
fn device(code: ObisCode, devices: &mut Vec<MbusDevice>) -> &mut MbusDevice {
    let kind = match code.0[0] {
        5 => MbusKind::Heat,
        6 => MbusKind::Cooling,
        7 => MbusKind::Gas,
        8 => MbusKind::Water,
        _ => MbusKind::Unknown,
    };
    let channel = code.channel();
    let is_it = |device: &MbusDevice| device.channel == channel && (channel > 0 || device.kind == kind);
    let place = devices.iter().position(is_it).unwrap_or_else(|| {
        devices.push(MbusDevice {
            kind,
            channel,
            serial: None,
            at: None,
            value: None,
            unit: None,
            quality: DataQuality::Bad,
        });
        devices.len() - 1
    });
    &mut devices[place]
}

#[cfg(test)]
mod tests {
    use super::{MbusDevice, MbusKind, mbus_devices};
    use crate::metering::channel::Medium;
    use crate::metering::checksum::arc;
    use crate::metering::decoder::Decoder as _;
    use crate::metering::device;
    use crate::metering::dsmr::P1Decoder;
    use crate::metering::telegram::Telegram;
    use crate::openadr::message::DataQuality;
    use crate::time::Span;

    fn telegram(lines: &[&str]) -> Telegram {
        let clock = if lines[0].starts_with("0-0:1.0.0") { "" } else { "0-0:1.0.0(220206150000W)\r\n" };
        let text = format!("/ABC5X\r\n\r\n{clock}1-0:1.8.0(00000.001*kWh)\r\n{}\r\n!", lines.join("\r\n"));
        let mut decoder = P1Decoder::new(Span::HOUR);
        decoder.push(format!("{text}{:04X}\r\n", arc(text.as_bytes())).as_bytes());
        decoder.next().unwrap().unwrap()
    }

    fn devices(lines: &[&str]) -> Vec<MbusDevice> {
        mbus_devices(&telegram(lines))
    }

    /// Kind, channel, serial number, value and time of each, and `*` before the living ones.
    fn shown(lines: &[&str]) -> Vec<String> {
        let telegram = telegram(lines);
        let all = device::of(&telegram, telegram.clock.unwrap(), Span::SECOND);
        let is_live = |found: &MbusDevice| {
            let live = Medium::of_kind(found.kind).and_then(|medium| device::live(&all, medium, None));
            found.value.is_some() && live.is_some_and(|live| live.port == found.channel)
        };
        let show = |device: &MbusDevice| {
            let live = if is_live(device) { "*" } else { "" };
            let serial = device.serial.as_deref().unwrap_or("-");
            let value = device.value.map_or_else(|| "-".to_owned(), |value| value.to_string());
            let unit = device.unit.map_or(String::new(), |unit| format!(" {unit}"));
            let at = device.at.map_or(String::new(), |at| format!(" {at}"));
            format!("{live}{:?} {} {serial} {value}{unit}{at}", device.kind, device.channel)
        };
        mbus_devices(&telegram).iter().map(show).collect()
    }

    const OLD: [&str; 3] =
        ["0-1:24.1.0(003)", "0-1:96.1.0(4F4C44)", "0-1:24.2.1(210706145500S)(00999.000*m3)"];
    const NEW: [&str; 3] =
        ["0-2:24.1.0(003)", "0-2:96.1.0(4E4557)", "0-2:24.2.1(220206145500W)(00001.000*m3)"];

    #[test]
    fn the_new_meter_lives_after_an_exchange() {
        let both =
            ["Gas 1 4F4C44 999.000 m3 2021-07-06T12:55:00Z", "*Gas 2 4E4557 1.000 m3 2022-02-06T13:55:00Z"];
        assert_eq!(shown(&[OLD, NEW].concat()), both);
        assert_eq!(shown(&[NEW, OLD].concat()), both, "whatever the order");
        let low = NEW.map(|line| line.replace("0-2", "0-1"));
        let high = OLD.map(|line| line.replace("0-1", "0-2"));
        let swapped: Vec<&str> = low.iter().chain(&high).map(String::as_str).collect();
        assert_eq!(
            shown(&swapped),
            ["*Gas 1 4E4557 1.000 m3 2022-02-06T13:55:00Z", "Gas 2 4F4C44 999.000 m3 2021-07-06T12:55:00Z"],
            "whatever the channel"
        );
        assert_eq!(
            shown(&OLD),
            ["*Gas 1 4F4C44 999.000 m3 2021-07-06T12:55:00Z"],
            "until then the old one does"
        );
        // The new one on the channel of the old.
        let reused = NEW.map(|line| line.replace("0-2", "0-1"));
        assert_eq!(
            shown(&reused.each_ref().map(String::as_str)),
            ["*Gas 1 4E4557 1.000 m3 2022-02-06T13:55:00Z"]
        );
    }

    #[test]
    fn a_meter_that_was_taken_away_does_not_live() {
        for gone in [
            "(700101010000W)(00000000)",
            "(632525252525S)(00000.000*m3)",
            "(000000000000W)(00000.000*m3)",
            "()",
        ] {
            let gone = format!("0-1:24.2.1{gone}");
            let lines = [&["0-1:24.1.0(003)", "0-1:96.1.0()", &gone][..], &NEW].concat();
            assert_eq!(shown(&lines), ["Gas 1 - -", "*Gas 2 4E4557 1.000 m3 2022-02-06T13:55:00Z"], "{gone}");
        }
        let silent = devices(&["0-1:24.1.0(003)", "0-1:96.1.0()"]);
        assert_eq!((silent[0].value, &silent[0].quality), (None, &DataQuality::Bad));
    }

    #[test]
    fn each_kind_has_a_living_device_wherever_it_is() {
        let lines = [
            "0-1:24.1.0(007)",
            "0-1:96.1.1(57)",
            "0-1:96.1.2(00)",
            "0-1:24.2.3(220206140000W)(00872.234*m3)",
            "0-2:24.1.0(003)",
            "0-2:24.2.3(220206145500W)(00112.384*m3)",
            "0-3:24.1.0(012)",
            "0-3:24.2.1(220206145500W)(240.860*GJ)",
            "0-4:24.1.0(037)",
        ];
        assert_eq!(
            shown(&lines),
            [
                "*Water 1 57 872.234 m3 2022-02-06T13:00:00Z",
                "*Gas 2 - 112.384 m3 2022-02-06T13:55:00Z",
                "*Heat 3 - 240.860 GJ 2022-02-06T13:55:00Z",
                "Other(37) 4 - -",
            ]
        );
    }

    #[test]
    fn a_device_on_two_channels_is_one() {
        let twice = NEW.map(|line| line.replace("0-2", "0-1").replace("145500W", "145000W"));
        let lines = [&twice.each_ref().map(String::as_str)[..], &NEW].concat();
        assert_eq!(shown(&lines), ["*Gas 2 4E4557 1.000 m3 2022-02-06T13:55:00Z"]);
        let tied = [&OLD[..2], &["0-1:24.2.1(220206145500W)(00999.000*m3)"], &NEW].concat();
        assert_eq!(shown(&tied)[1], "*Gas 2 4E4557 1.000 m3 2022-02-06T13:55:00Z", "the later channel");
        let nameless =
            [&NEW[..1], &NEW[2..], &OLD[..2], &["0-1:24.2.1(220206145500W)(00999.000*m3)"]].concat();
        assert_eq!(
            shown(&nameless)[0],
            "*Gas 1 4F4C44 999.000 m3 2022-02-06T13:55:00Z",
            "the one with a number"
        );
    }

    #[test]
    fn of_two_values_of_a_device_the_newer_counts() {
        let lines = [
            "0-1:24.1.0(003)",
            "0-1:24.2.1(220206140000W)(00001.000*m3)",
            "0-1:24.2.3(220206145500W)(00002.000*m3)",
            "0-1:24.3.0(220206130000)(00)(60)(1)(0-1:24.2.1)(m3)",
            "(00000.500)",
        ];
        assert_eq!(shown(&lines), ["*Gas 1 - 2.000 m3 2022-02-06T13:55:00Z"]);
    }

    #[test]
    fn what_has_no_type_and_no_channel_is_known_by_what_it_is() {
        assert_eq!(
            shown(&[
                "7-0:0.0.0(0123)",
                "7-0:23.1.0(220206140000)(00)(60)(2)(7-0:0.0.0)(m3)(12.5)(12.0)",
                "8-0:0.0.0(77)",
                "8-0:1.0.0(00003.1*m3)",
                "0-1:24.3.0(220206140000)(08)(60)(1)(0-1:24.3.0)(GJ)",
                "(0.5)",
            ]),
            [
                "*Gas 0 0123 12.5 m3 2022-02-06T13:00:00Z",
                "*Water 0 77 3.1 m3",
                "*Heat 1 - 0.5 GJ 2022-02-06T13:00:00Z"
            ]
        );
    }

    #[test]
    fn a_clock_that_was_never_set_says_nothing() {
        let lines =
            ["0-0:1.0.0(000101000000W)", "0-1:24.1.0(003)", "0-1:24.2.1(000101000000W)(00001.000*m3)"];
        assert_eq!(shown(&lines), ["*Gas 1 - 1.000 m3"]);
    }

    #[test]
    fn device_types_are_those_of_the_standard() {
        for (number, kind) in [
            (2, MbusKind::Electricity),
            (4, MbusKind::Heat),
            (6, MbusKind::HotWater),
            (8, MbusKind::HeatCost),
            (10, MbusKind::Cooling),
            (21, MbusKind::HotWater),
            (22, MbusKind::Water),
            (0, MbusKind::Other(0)),
        ] {
            assert_eq!(devices(&[&format!("0-1:24.1.0({number:03})")])[0].kind, kind);
        }
    }
}
