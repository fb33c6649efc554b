//! Computes the two checksums of SML: CRC-16/X-25, and CRC-16/KERMIT of some meters.
//!
//! They are one polynomial with two beginnings and two ends.

/// So many bytes are taken at once.
const STEP: usize = 8;
/// `TABLES[n][byte]`: what a byte does to the remainder when `n` more bytes follow it.
const TABLES: [[u16; 256]; STEP] = tables();

/// CRC-16/X-25: polynomial 0x1021 reflected, begins with all ones, inverted at the end.
pub(in crate::metering) fn x25(bytes: &[u8]) -> u16 {
    !remainder(u16::MAX, bytes)
}

/// CRC-16/KERMIT: the same polynomial, begins with zero, not inverted.
pub(super) fn kermit(bytes: &[u8]) -> u16 {
    remainder(0, bytes)
}

fn remainder(start: u16, bytes: &[u8]) -> u16 {
    let (steps, rest) = bytes.as_chunks::<STEP>();
    let crc = steps.iter().fold(start, |crc, step| {
        let [low, high] = crc.to_le_bytes();
        let at = |place: usize, byte: u8| TABLES[STEP - 1 - place][usize::from(byte)];
        let first = at(0, step[0] ^ low) ^ at(1, step[1] ^ high);
        (2..STEP).fold(first, |crc, place| crc ^ at(place, step[place]))
    });
    rest.iter().fold(crc, |crc, byte| (crc >> 8) ^ TABLES[0][usize::from(crc.to_le_bytes()[0] ^ *byte)])
}

const fn tables() -> [[u16; 256]; STEP] {
    let mut tables = [[0; 256]; STEP];
    let mut value = 0_u16;
    while value < 256 {
        let mut crc = value;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x8408 } else { crc >> 1 };
            bit += 1;
        }
        tables[0][value as usize] = crc;
        value += 1;
    }
    let mut step = 1;
    while step < STEP {
        let mut value = 0;
        while value < 256 {
            let before = tables[step - 1][value];
            tables[step][value] = (before >> 8) ^ tables[0][(before & 0xFF) as usize];
            value += 1;
        }
        step += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::{kermit, x25};

    #[test]
    fn checksums_are_those_of_their_definitions() {
        assert_eq!((x25(b"123456789"), kermit(b"123456789")), (0x906E, 0x2189));
        assert_eq!((x25(b""), kermit(b"")), (0, 0));
    }

    #[test]
    fn eight_bytes_at_once_are_the_same_as_bit_by_bit() {
        let bytes: Vec<u8> = (0..=255).map(|byte: u8| byte.wrapping_mul(167)).collect();
        for length in 0..64 {
            let slow = bytes[..length].iter().fold(u16::MAX, |crc, byte| {
                (0..8).fold(
                    crc ^ u16::from(*byte),
                    |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0x8408 } else { crc >> 1 },
                )
            });
            assert_eq!(x25(&bytes[..length]), !slow, "{length} bytes");
        }
    }
}
