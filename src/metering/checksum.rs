//! Computes the checksums of meters: four kinds of CRC-16, of two polynomials.

/// So many bytes are taken at once.
const STEP: usize = 8;

/// `tables[n][byte]`: what a byte does to the remainder when `n` more bytes follow it.
type Tables = [[u16; 256]; STEP];

/// Polynomial 0x1021, reflected.
static CCITT: Tables = tables(0x8408);
/// Polynomial 0x8005, reflected.
static IBM: Tables = tables(0xA001);

/// CRC-16/X-25 of SML and HDLC: begins with all ones, inverted at the end.
pub(super) fn x25(bytes: &[u8]) -> u16 {
    !remainder(&CCITT, u16::MAX, bytes)
}

/// CRC-16/KERMIT of some SML meters: the same polynomial, begins with zero, not inverted.
pub(super) fn kermit(bytes: &[u8]) -> u16 {
    remainder(&CCITT, 0, bytes)
}

/// CRC-16/ARC of P1, over everything from `/` to `!` (DSMR 4 and later, section 6.2).
pub(super) fn arc(bytes: &[u8]) -> u16 {
    remainder(&IBM, 0, bytes)
}

/// CRC-16/MODBUS: the same, begins with all ones.
pub(super) fn modbus(bytes: &[u8]) -> u16 {
    remainder(&IBM, u16::MAX, bytes)
}

fn remainder(tables: &Tables, start: u16, bytes: &[u8]) -> u16 {
    let (steps, rest) = bytes.as_chunks::<STEP>();
    let crc = steps.iter().fold(start, |crc, [a, b, after @ ..]| {
        // The remainder only reaches into the first two of eight bytes, so that the others can be looked up at once.
        let [low, high] = crc.to_le_bytes();
        let of = |table: usize, byte: u8| tables[table][usize::from(byte)];
        let first = of(STEP - 1, a ^ low) ^ of(STEP - 2, b ^ high);
        after.iter().enumerate().fold(first, |crc, (place, byte)| crc ^ of(STEP - 3 - place, *byte))
    });
    rest.iter().fold(crc, |crc, byte| (crc >> 8) ^ tables[0][usize::from(crc.to_le_bytes()[0] ^ *byte)])
}

const fn tables(polynomial: u16) -> Tables {
    let mut tables = [[0; 256]; STEP];
    let mut value = 0_u16;
    while value < 256 {
        let mut crc = value;
        let mut table = 0;
        while table < STEP {
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ polynomial } else { crc >> 1 };
                bit += 1;
            }
            tables[table][value as usize] = crc;
            table += 1;
        }
        value += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::{arc, kermit, modbus, x25};

    #[test]
    fn checksums_are_those_of_their_definitions() {
        let all = |bytes: &[u8]| [x25(bytes), kermit(bytes), arc(bytes), modbus(bytes)];
        assert_eq!(all(b"123456789"), [0x906E, 0x2189, 0xBB3D, 0x4B37]);
        assert_eq!(all(b""), [0, 0, 0, 0xFFFF]);
        assert_eq!(arc(b"/ABC5X\r\n\r\n1-0:1.8.0(000001.000*kWh)\r\n!"), 0x4EF1);
    }

    #[test]
    fn eight_bytes_at_once_are_the_same_as_bit_by_bit() {
        let bytes: Vec<u8> = (0..=255).map(|byte: u8| byte.wrapping_mul(167)).collect();
        let slow = |polynomial: u16, start: u16, bytes: &[u8]| {
            let bit = |crc: u16, _: i32| if crc & 1 == 1 { (crc >> 1) ^ polynomial } else { crc >> 1 };
            bytes.iter().fold(start, |crc, byte| (0..8).fold(crc ^ u16::from(*byte), bit))
        };
        for length in 0..64 {
            let bytes = &bytes[..length];
            assert_eq!((x25(bytes), arc(bytes)), (!slow(0x8408, u16::MAX, bytes), slow(0xA001, 0, bytes)));
        }
    }
}
