//! Turns the entries of a file into what meters of all protocols say.

use crate::metering::obis::ObisCode;
use crate::metering::telegram::{Object, ObjectValue, Telegram};
use crate::metering::unit::{Measure, MeterUnit};
use crate::openadr::message::{DataQuality, Decimal};
use crate::time::Timestamp;

use super::message::{Entry, Part};
use super::signs::{ABSOLUTE_POWER, EXPORT, IMPORT, NET_POWER, is_false_negative, with_sign, without_sign};
use super::tree::Item;

/// The quality of a telegram whose meter says whole kilowatt hours only, and no power, because nobody has typed in its PIN.
pub(crate) const PIN_MISSING: DataQuality = DataQuality::UncertainSensor;

/// What a negative power is if its bytes have no sign.
#[derive(Clone, Copy, Debug)]
struct Unsigned {
    /// The place of the object.
    index: usize,
    value: Decimal,
}

/// Collects the parts of one file.
#[derive(Debug, Default)]
pub(super) struct Collector {
    server: Vec<u8>,
    clock: Option<Timestamp>,
    objects: Vec<Object>,
    /// Of the register of import.
    status: Option<u64>,
    /// What negative powers are if they are none.
    unsigned: Vec<Unsigned>,
    /// A register counts no less than kilowatt hours.
    coarse: bool,
    /// A register says parts of a kilowatt hour.
    fine: bool,
    /// Some register has counted something.
    counted: bool,
    power: bool,
}

impl Collector {
    pub(super) fn take(&mut self, part: Part<'_>) {
        match part {
            Part::Meter(server) if self.server.is_empty() => self.server = server.to_vec(),
            Part::Meter(_) => {}
            Part::Time(time) => self.clock = self.clock.or(Some(time)),
            Part::Entry(entry) => self.entry(&entry),
        }
    }

    /// What cannot be exact as a decimal is left out.
    fn entry(&mut self, entry: &Entry<'_>) {
        let unit = entry.unit.and_then(MeterUnit::numbered);
        let value = match entry.value {
            Item::Signed(value, bytes) => {
                let unsigned = without_sign(entry.code, value, bytes)
                    .and_then(|value| scaled(value.into(), entry.scaler));
                let index = self.objects.len();
                self.unsigned.extend(unsigned.map(|value| Unsigned { index, value }));
                scaled(value.into(), entry.scaler).map(|value| ObjectValue::Number(value, unit))
            }
            Item::Unsigned(value, _) => {
                scaled(value.into(), entry.scaler).map(|value| ObjectValue::Number(value, unit))
            }
            Item::Octets(octets) => Some(ObjectValue::Text(hex(octets))),
            Item::Boolean(value) => Some(ObjectValue::Text(value.to_string())),
            Item::End | Item::List(_) => None,
        };
        let Some(value) = value else { return };
        if entry.code == IMPORT {
            self.status = self.status.or(entry.status);
        }
        self.note_precision(entry.code, entry.scaler, &value);
        self.objects.push(Object { code: entry.code, value, at: entry.time, quality: DataQuality::Good });
    }

    fn note_precision(&mut self, code: ObisCode, scaler: i8, value: &ObjectValue) {
        let ObjectValue::Number(value, Some(unit)) = value else { return };
        self.power |= unit.measure == Measure::ActivePower;
        if unit.measure == Measure::ActiveEnergy && (code == IMPORT || code == EXPORT) {
            self.coarse |= scaler >= 3;
            self.fine |= !(value % Decimal::ONE_THOUSAND).is_zero();
            self.counted |= !value.is_zero();
        }
    }

    /// The telegram; `fine`: this meter has said parts of a kilowatt hour before, or does so now.
    pub(super) fn telegram(mut self, fine: &mut bool) -> Telegram {
        *fine |= self.fine;
        // A meter of DZG says a negative power of 16.7.0 (or of a phase) in one to three bytes, while its status word, of the form
        // `status & 0xFFE001FF == 0x104`, has the bit of export clear: the bytes have no sign, whatever their type says.
        for Unsigned { index, value } in std::mem::take(&mut self.unsigned) {
            if let Some(object) = self.objects.get_mut(index)
                && is_false_negative(&self.server, object.code, self.status)
                && let ObjectValue::Number(power, _) = &mut object.value
            {
                *power = value;
            }
        }
        let pin_missing = !self.power && (self.coarse || self.counted && !*fine);
        let mut telegram = Telegram {
            meter: (!self.server.is_empty()).then(|| server_id(&self.server)),
            clock: self.clock,
            objects: self.objects,
            quality: if pin_missing { PIN_MISSING } else { DataQuality::Good },
        };
        add_net_power(&mut telegram, self.status);
        telegram
    }
}

/// Gives a meter that sends its power without a sign only (15.7.0) the one with a sign (16.7.0), right behind it.
fn add_net_power(telegram: &mut Telegram, status: Option<u64>) {
    let has = |code| telegram.objects.iter().any(|object| object.code == code);
    let signed = [NET_POWER, ObisCode::electricity(1, 7, 0), ObisCode::electricity(2, 7, 0)];
    let Some(at) = telegram.objects.iter().position(|object| object.code == ABSOLUTE_POWER) else { return };
    let mut object = telegram.objects[at].clone();
    if signed.into_iter().any(has) {
        return;
    }
    if let ObjectValue::Number(power, _) = &mut object.value
        && let Some(net) = with_sign(*power, status, has(EXPORT))
    {
        *power = net;
        object.code = NET_POWER;
        telegram.objects.insert(at + 1, object);
    }
}

/// `integer x 10^scaler`, with as many decimals as the meter sends; `None` where a decimal cannot hold it.
fn scaled(integer: i128, scaler: i8) -> Option<Decimal> {
    let scale = scaler.unsigned_abs().into();
    if scaler <= 0 {
        return Decimal::try_from_i128_with_scale(integer, scale).ok();
    }
    let integer = 10_i128.checked_pow(scale).and_then(|ten| integer.checked_mul(ten))?;
    Decimal::try_from_i128_with_scale(integer, 0).ok()
}

/// The number that is printed on the meter (DIN 43863-5), in groups: medium, maker, block, number (`1 ISK 00 12345678`). What has
/// another form is given as hexadecimal digits.
pub(super) fn server_id(octets: &[u8]) -> String {
    match octets {
        [9 | 10, medium @ 1..=15, maker @ .., block, a, b, c, d]
            if maker.len() == 3 && maker.iter().all(u8::is_ascii_uppercase) =>
        {
            let maker: String = maker.iter().copied().map(char::from).collect();
            format!("{medium:X} {maker} {block:02X} {:08}", u32::from_be_bytes([*a, *b, *c, *d]))
        }
        _ => hex(octets),
    }
}

/// Octets as hexadecimal digits.
fn hex(octets: &[u8]) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 0x0F)]);
    octets.iter().flat_map(|octet| [digit(octet >> 4), digit(*octet)]).collect()
}

#[cfg(test)]
mod tests {
    use super::{scaled, server_id};

    #[test]
    fn server_ids_are_written_as_they_are_printed_on_meters() {
        let id = |octets: &[u8]| server_id(octets);
        assert_eq!(id(b"\x0A\x01ISK\x00\x01\x23\x45\x67"), "1 ISK 00 19088743");
        assert_eq!(id(b"\x09\x01ABC\x1F\x00\xBC\x61\x4E"), "1 ABC 1F 12345678");
        assert_eq!(id(b"\x06ABC\x01\x02\x03\x04\x05\x06"), "06414243010203040506");
        assert_eq!(id(b"\x0A\x01\x80SK\x00\x01\x23\x45\x67"), "0a0180534b0001234567");
        assert_eq!(id(b""), "");
    }

    #[test]
    fn numbers_keep_their_decimals_and_are_left_out_where_they_are_none() {
        let text = |integer, scaler| scaled(integer, scaler).map(|value| value.to_string());
        assert_eq!(text(-10_550, -2).as_deref(), Some("-105.50"));
        assert_eq!(text(0, -1).as_deref(), Some("0.0"));
        assert_eq!(text(13_024, 3).as_deref(), Some("13024000"));
        assert_eq!(text(u64::MAX.into(), -4).as_deref(), Some("1844674407370955.1615"));
        assert_eq!(text(1, -28).as_deref(), Some("0.0000000000000000000000000001"));
        for (integer, scaler) in [(1, -29), (1, i8::MIN), (1, i8::MAX), (u64::MAX.into(), 10), (1, 29)] {
            assert_eq!(text(integer, scaler), None, "{integer} x 10^{scaler}");
        }
    }
}
