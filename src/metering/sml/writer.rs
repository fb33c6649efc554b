//! Writes SML: elements, messages, and files in their transport.

use super::transport::ESCAPE;
use crate::metering::checksum::x25;

/// Writes the elements of a message one after the other.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// Type and length; `content`: the number of bytes that follow, which is written with those of the length itself. A list's length
    /// is the number of its elements alone.
    fn head(&mut self, kind: u8, content: usize) {
        let of_itself = usize::from(kind != LIST);
        let mut count = 1;
        while content + count * of_itself >= 1 << (4 * count) {
            count += 1;
        }
        let length = content + count * of_itself;
        for place in (0..count).rev() {
            let nibble = u8::try_from(length >> (4 * place) & 0x0F).unwrap_or_default();
            let kind = if place + 1 == count { kind << 4 } else { 0 };
            self.0.push(kind | nibble | if place > 0 { 0x80 } else { 0 });
        }
    }

    pub(super) fn octets(&mut self, octets: &[u8]) -> &mut Self {
        self.head(0, octets.len());
        self.0.extend_from_slice(octets);
        self
    }

    /// An optional element that is not there.
    pub(super) fn absent(&mut self) -> &mut Self {
        self.octets(&[])
    }

    /// In the last so many of its bytes, at most eight.
    pub(super) fn signed(&mut self, value: i64, bytes: usize) -> &mut Self {
        self.number(5, value.to_be_bytes(), bytes)
    }

    /// In the last so many of its bytes, at most eight.
    pub(super) fn unsigned(&mut self, value: u64, bytes: usize) -> &mut Self {
        self.number(6, value.to_be_bytes(), bytes)
    }

    fn number(&mut self, kind: u8, value: [u8; 8], bytes: usize) -> &mut Self {
        let content = &value[8_usize.saturating_sub(bytes)..];
        self.head(kind, content.len());
        self.0.extend_from_slice(content);
        self
    }

    /// So many elements follow.
    pub(super) fn list(&mut self, length: usize) -> &mut Self {
        self.head(LIST, length);
        self
    }

    /// Elements that are written already.
    pub(super) fn elements(&mut self, elements: &[u8]) -> &mut Self {
        self.0.extend_from_slice(elements);
        self
    }

    pub(super) fn done(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

const LIST: u8 = 7;

/// How the checksum of a message is written, from its bytes.
pub(super) type Checksum = fn(&[u8]) -> [u8; 2];

/// As nearly all meters do.
pub(super) fn usual(message: &[u8]) -> [u8; 2] {
    x25(message).to_le_bytes()
}

/// A message: `tag` says what its content is.
pub(super) fn message(transaction: &[u8], tag: u16, content: &[u8], checksum: Checksum) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.list(6).octets(transaction).unsigned(0, 1).unsigned(0, 1);
    writer.list(2).unsigned(tag.into(), 4).elements(content);
    let mut message = writer.done();
    let sum = checksum(&message);
    message.extend(writer.unsigned(u16::from_be_bytes(sum).into(), 2).done());
    message.push(0);
    message
}

/// Puts messages into the transport protocol, version 1.
pub(super) fn transport(payload: &[u8]) -> Vec<u8> {
    let mut file = vec![ESCAPE; 4];
    file.extend([1; 4]);
    let mut run = 0;
    for byte in payload {
        file.push(*byte);
        run = if *byte == ESCAPE { run + 1 } else { 0 };
        if run == 4 {
            file.extend([ESCAPE; 4]);
            run = 0;
        }
    }
    let filling = (4 - payload.len() % 4) % 4;
    file.resize(file.len() + filling, 0);
    file.extend([ESCAPE; 4]);
    file.extend([0x1A, u8::try_from(filling).unwrap_or_default()]);
    let sum = x25(&file);
    file.extend(sum.to_le_bytes());
    file
}
