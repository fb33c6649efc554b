//! Writes requests and finds the replies to them (MODBUS over Serial Line 1.02, MODBUS Application Protocol 1.1b3).
//!
//! ```text
//! request    unit | function | address, high byte first | count, high byte first | checksum, low byte first
//! reply      unit | function | count of bytes | bytes | checksum
//! exception  unit | function + 80h | code | checksum
//! ```
//!
//! A frame should end by a silence of 3.5 characters, but adapters to USB make longer pauses inside one; so the end is where the
//! length says it is. Replies look alike: nothing in one says which registers it holds.

use crate::metering::checksum::modbus;
use crate::metering::decoder::Why;

/// The function that reads holding registers.
pub(super) const HOLDING: u8 = 3;
/// The function that reads input registers.
pub(super) const INPUT: u8 = 4;
/// Of the function, where a reply is an exception.
const EXCEPTION: u8 = 0x80;
/// Bytes of a request.
pub(super) const REQUEST: usize = 8;
/// Bytes of an exception.
const EXCEPTION_REPLY: usize = 5;
/// Bytes of a reply around those of its registers.
const AROUND: usize = 5;
/// No frame is longer.
const LONGEST: usize = 256;
/// Most registers that one request may ask for.
pub(super) const MOST_REGISTERS: u16 = 125;

/// The frame of these bytes: the checksum goes behind them.
pub(crate) fn framed(mut bytes: Vec<u8>) -> Vec<u8> {
    let crc = modbus(&bytes);
    bytes.extend(crc.to_le_bytes());
    bytes
}

/// The checksum of a frame: what stands there, and what should.
fn checksums(frame: &[u8]) -> Option<(u16, u16)> {
    let (bytes, crc) = frame.split_last_chunk::<2>()?;
    Some((u16::from_le_bytes(*crc), modbus(bytes)))
}

/// The checksum fits.
pub(super) fn fits(frame: &[u8]) -> bool {
    checksums(frame).is_some_and(|(found, expected)| found == expected)
}

/// Asks for registers that stand one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) unit: u8,
    pub(super) function: u8,
    /// As it stands on the line, which is one less than manuals that count from 1 say.
    pub(super) address: u16,
    pub(super) count: u16,
}

/// What answers a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// The bytes of the registers.
    Registers(Vec<u8>),
    /// The meter says why it does not answer.
    Exception(u8),
}

impl Request {
    /// As it is sent.
    pub(super) fn bytes(self) -> Vec<u8> {
        let [[a, b], [c, d]] = [self.address.to_be_bytes(), self.count.to_be_bytes()];
        framed(vec![self.unit, self.function, a, b, c, d])
    }

    /// Reads a whole request; `None` where it is none, or its checksum is wrong.
    pub(super) fn read(bytes: &[u8; REQUEST]) -> Option<Self> {
        let [unit, function, a, b, c, d, ..] = *bytes;
        let request =
            Self { unit, function, address: u16::from_be_bytes([a, b]), count: u16::from_be_bytes([c, d]) };
        fits(bytes).then_some(request)
    }

    fn bytes_of_registers(self) -> usize {
        2 * usize::from(self.count)
    }

    /// The reply that ends with these bytes, if one does. What stands before it, noise or an echo of the request, is no part of it.
    fn reply_at_end(self, bytes: &[u8]) -> Option<Reply> {
        let last = |length: usize| bytes.get(bytes.len().checked_sub(length)?..);
        if let Some(frame @ [unit, function, count, inside @ .., _, _]) =
            last(AROUND + self.bytes_of_registers())
            && (*unit, *function, usize::from(*count))
                == (self.unit, self.function, self.bytes_of_registers())
            && fits(frame)
        {
            return Some(Reply::Registers(inside.to_vec()));
        }
        if let Some(frame @ [unit, function, code, _, _]) = last(EXCEPTION_REPLY)
            && (*unit, *function) == (self.unit, self.function | EXCEPTION)
            && fits(frame)
        {
            return Some(Reply::Exception(*code));
        }
        None
    }

    /// Why these bytes hold no reply: they are one to another request, a damaged one, or nothing that is known.
    fn why_none(self, bytes: &[u8]) -> Why {
        let expected = self.bytes_of_registers();
        let content = |at, what| Why::Content { at, what };
        match (bytes, whole(bytes)) {
            ([], _) => Why::NoAnswer,
            (_, Some([unit, ..])) if *unit != self.unit => {
                content(0, format!("unit {unit} answers, {} was asked", self.unit))
            }
            (_, Some([_, function, ..])) if *function & !EXCEPTION != self.function => {
                content(1, format!("the answer is of function {function}, {} was asked", self.function))
            }
            (_, Some([_, _, count, ..])) if usize::from(*count) != expected => {
                content(2, format!("the answer has {count} bytes of registers, expected {expected}"))
            }
            ([unit, rest @ ..], _) if *unit == self.unit => match rest {
                [] => Why::Cut,
                [function, ..] if *function == self.function => {
                    bytes.get(..AROUND + expected).map_or(Why::Cut, wrong_crc)
                }
                [function, ..] if *function == self.function | EXCEPTION => {
                    bytes.get(..EXCEPTION_REPLY).map_or(Why::Cut, wrong_crc)
                }
                _ => content(1, format!("no answer to function {} begins so", self.function)),
            },
            _ => content(0, format!("no answer of unit {} begins so", self.unit)),
        }
    }
}

/// The frame with a fitting checksum with which these bytes begin, whoever it is from.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let lengths = [AROUND + usize::from(*bytes.get(2)?), EXCEPTION_REPLY];
    lengths.into_iter().filter_map(|length| bytes.get(..length)).find(|frame| fits(frame))
}

fn wrong_crc(frame: &[u8]) -> Why {
    checksums(frame).map_or(Why::Cut, |(found, expected)| Why::Crc { found, expected })
}

/// The exception of that code, by the name that the standard has for it.
pub(super) fn exception(code: u8) -> Why {
    let meaning = match code {
        1 => "illegal function",
        2 => "illegal data address",
        3 => "illegal data value",
        4 => "server device failure",
        5 => "acknowledge: it needs a long time",
        6 => "server device busy",
        8 => "memory parity error",
        10 => "gateway path unavailable",
        11 => "gateway target device failed to respond",
        _ => "a code that the standard does not have",
    };
    Why::Exception { code, meaning }
}

/// Which exceptions say that the meter has no such registers, or not all of them: it will say so again. All others may pass.
pub(super) const fn has_no_such(code: u8) -> bool {
    matches!(code, 1..=3)
}

/// What comes between a request and its reply, and the reply.
#[derive(Debug)]
pub(super) struct Listening {
    request: Request,
    bytes: Vec<u8>,
    /// Bytes that have come.
    count: u64,
    reply: Option<Reply>,
    /// Another reply has come: it is not known which of them answers.
    doubtful: bool,
}

impl Listening {
    pub(super) fn new(request: Request) -> Self {
        Self { request, bytes: Vec::new(), count: 0, reply: None, doubtful: false }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.count += 1;
            if self.bytes.len() >= 2 * LONGEST {
                self.bytes.drain(..LONGEST);
            }
            self.bytes.push(*byte);
            self.take();
        }
    }

    /// Each byte may be the last one of the reply.
    fn take(&mut self) {
        let Some(reply) = self.request.reply_at_end(&self.bytes) else { return };
        match &self.reply {
            Some(before) => self.doubtful |= *before != reply,
            None => self.reply = Some(reply),
        }
    }

    /// A reply is there.
    pub(super) fn is_answered(&self) -> bool {
        self.reply.is_some()
    }

    /// How many bytes have come.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// What has come, the last of it where it is much; some adapters send back the request before the reply, which is left out.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.strip_prefix(&self.request.bytes()[..]).unwrap_or(&self.bytes)
    }

    /// The bytes of the registers, or why there are none.
    pub(super) fn outcome(&self) -> Result<&[u8], Why> {
        match &self.reply {
            Some(_) if self.doubtful => {
                Err(Why::Content { at: 0, what: "two different answers came to one request".to_owned() })
            }
            Some(Reply::Registers(bytes)) => Ok(bytes),
            Some(Reply::Exception(code)) => Err(exception(*code)),
            None => Err(self.request.why_none(self.bytes())),
        }
    }

    /// Bytes of memory that it holds.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::{Listening, Request, Why, framed, modbus};

    const VOLTAGE: Request = Request { unit: 1, function: 4, address: 0, count: 2 };

    /// What comes of these bytes in pieces of any size.
    fn outcome(bytes: &[u8]) -> Result<Vec<u8>, Why> {
        let of = |piece: usize| {
            let mut listening = Listening::new(VOLTAGE);
            bytes.chunks(piece).for_each(|piece| listening.push(piece));
            listening.outcome().map(<[u8]>::to_vec)
        };
        assert_eq!([1, 7, 64].map(of), [4096; 3].map(of));
        of(4096)
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(modbus(b"123456789"), 0x4B37);
    }

    #[test]
    fn a_request_and_its_reply_are_those_of_a_manual() {
        let request = [0x01, 0x04, 0x00, 0x00, 0x00, 0x02, 0x71, 0xCB];
        assert_eq!(VOLTAGE.bytes(), request);
        assert_eq!(Request::read(&request), Some(VOLTAGE));
        let mut damaged = request;
        damaged[3] = 1;
        assert_eq!(Request::read(&damaged), None);
        assert_eq!(outcome(&framed(vec![1, 4, 4, 0x43, 0x66, 0x33, 0x34])), Ok(vec![0x43, 0x66, 0x33, 0x34]));
    }

    #[test]
    fn a_reply_is_found_behind_an_echo_and_behind_noise() {
        let reply = framed(vec![1, 4, 4, 1, 2, 3, 4]);
        let half = reply[..6].to_vec();
        for before in [VOLTAGE.bytes(), vec![0, 0xFF, 0], vec![1, 4, 4], half, [1, 4, 4, 1].repeat(300)] {
            for after in [&[][..], &[0xFF], &[0x00, 0x01, 0x04]] {
                assert_eq!(
                    outcome(&[&before, &reply[..], after].concat()),
                    Ok(vec![1, 2, 3, 4]),
                    "{before:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_reply_is_told_by_what_is_wrong() {
        let content = |at, what: &str| Err(Why::Content { at, what: what.to_owned() });
        let mut damaged = framed(vec![1, 4, 4, 1, 2, 3, 4]);
        damaged[4] ^= 1;
        for (bytes, expected) in [
            (vec![], Err(Why::NoAnswer)),
            (VOLTAGE.bytes(), Err(Why::NoAnswer)),
            (vec![1], Err(Why::Cut)),
            (vec![1, 4, 4, 1, 2], Err(Why::Cut)),
            (vec![1, 0x84, 2], Err(Why::Cut)),
            (damaged, Err(Why::Crc { found: 0x8B5A, expected: 0x4B0B })),
            (vec![0xFF, 4, 4, 1, 2, 3, 4, 5, 6], content(0, "no answer of unit 1 begins so")),
            (vec![1, 0xFF, 4], content(1, "no answer to function 4 begins so")),
            (framed(vec![2, 0x84, 2]), content(0, "unit 2 answers, 1 was asked")),
            (framed(vec![2, 4, 4, 1, 2, 3, 4]), content(0, "unit 2 answers, 1 was asked")),
            (framed(vec![1, 3, 4, 1, 2, 3, 4]), content(1, "the answer is of function 3, 4 was asked")),
            (framed(vec![1, 4, 2, 1, 2]), content(2, "the answer has 2 bytes of registers, expected 4")),
            (framed(vec![1, 0x84, 2]), Err(Why::Exception { code: 2, meaning: "illegal data address" })),
            (
                [framed(vec![1, 4, 4, 1, 2, 3, 4]), framed(vec![1, 4, 4, 1, 2, 3, 5])].concat(),
                content(0, "two different answers came to one request"),
            ),
            (
                [framed(vec![1, 4, 4, 1, 2, 3, 4]), framed(vec![1, 4, 4, 1, 2, 3, 4])].concat(),
                Ok(vec![1, 2, 3, 4]),
            ),
        ] {
            assert_eq!(outcome(&bytes), expected, "{bytes:X?}");
        }
    }
}
