//! The frames of the TCP push protocol of the iDigi (Digi Remote Manager) push monitors.
//!
//! ```text
//! header                  type u16 | length u32 of what follows          all numbers are big-endian
//! 1 ConnectionRequest     version u16 = 1 | length u16 | user | length u16 | password | monitor u32
//! 2 ConnectionResponse    status u16 | version u16 = 1
//! 3 PublishMessage        block u16 | count u16 | compression u8 | format u8 | size u32 | payload
//! 4 PublishMessageReceived  block u16 | status u16
//! ```
//!
//! **Reading of the protocol:** both clients that were published send frame 4 without its length, in 6 bytes. The documented frame of 10
//! bytes has 4 in that place; in the short one this would be block 0 with status 4, and there is no such status.

pub(super) mod client;

use crate::hook::monitor::{Compression, Format};

/// User, password and all else that a request may have.
const LONGEST_REQUEST: usize = 1024;
const CONNECTION_REQUEST: u16 = 1;
const CONNECTION_RESPONSE: u16 = 2;
const PUBLISH_MESSAGE: u16 = 3;
const PUBLISH_MESSAGE_RECEIVED: u16 = 4;
const VERSION: u16 = 1;

/// What a peer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Connect(ConnectionRequest),
    Received(Received),
}

/// Somebody wants to read a monitor.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ConnectionRequest {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) monitor: u32,
}

impl std::fmt::Debug for ConnectionRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionRequest")
            .field("user", &self.user)
            .field("monitor", &self.monitor)
            .finish_non_exhaustive()
    }
}

/// The peer has a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) block: u16,
    pub(super) status: u16,
}

/// What is answered to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    BadRequest,
    Forbidden,
}

/// Why no frame can be read any more: what follows is anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadFrame {
    #[error("a frame of type {0}, which a client never sends")]
    Type(u16),
    #[error("a connection request of {0} bytes, more than {LONGEST_REQUEST}")]
    TooLong(u32),
    #[error("version {0} of the protocol, which is not known")]
    Version(u16),
    #[error("a connection request whose lengths do not fit together")]
    Lengths,
    #[error("a user or password that is not UTF-8")]
    NoText,
}

/// Finds frames in what comes in.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    bytes: Vec<u8>,
}

impl Decoder {
    /// More has come.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame, where it is complete; at most [`LONGEST_REQUEST`] bytes and a header are kept of one that is not.
    ///
    /// # Errors
    ///
    /// Where no frame begins here.
    pub(super) fn next(&mut self) -> Result<Option<Said>, BadFrame> {
        let Some(kind) = u16_at(&self.bytes, 0) else { return Ok(None) };
        let found = match kind {
            CONNECTION_REQUEST => {
                connection_request(&self.bytes)?.map(|(at, said)| (at, Said::Connect(said)))
            }
            PUBLISH_MESSAGE_RECEIVED => received(&self.bytes).map(|(at, said)| (at, Said::Received(said))),
            other => return Err(BadFrame::Type(other)),
        };
        Ok(found.map(|(length, said)| {
            self.bytes.drain(..length);
            said
        }))
    }
}

/// Frame 1, and its length.
fn connection_request(bytes: &[u8]) -> Result<Option<(usize, ConnectionRequest)>, BadFrame> {
    let Some(length) = u32_at(bytes, 2) else { return Ok(None) };
    let within = usize::try_from(length).ok().filter(|length| *length <= LONGEST_REQUEST);
    let end = 6 + within.ok_or(BadFrame::TooLong(length))?;
    let Some(body) = bytes.get(6..end) else { return Ok(None) };
    let version = u16_at(body, 0).ok_or(BadFrame::Lengths)?;
    if version != VERSION {
        return Err(BadFrame::Version(version));
    }
    let (user, behind_user) = text_at(body, 2)?;
    let (password, behind_password) = text_at(body, behind_user)?;
    let monitor = u32_at(body, behind_password).ok_or(BadFrame::Lengths)?;
    if body.len() != behind_password + 4 {
        return Err(BadFrame::Lengths);
    }
    Ok(Some((end, ConnectionRequest { user, password, monitor })))
}

/// Frame 4, and its length.
fn received(bytes: &[u8]) -> Option<(usize, Received)> {
    let at = if u32_at(bytes, 2)? == 4 { 6 } else { 2 };
    Some((at + 4, Received { block: u16_at(bytes, at)?, status: u16_at(bytes, at + 2)? }))
}

/// A text behind its length, and where it ends.
fn text_at(bytes: &[u8], at: usize) -> Result<(String, usize), BadFrame> {
    let from = at + 2;
    let end = from + usize::from(u16_at(bytes, at).ok_or(BadFrame::Lengths)?);
    let text = bytes.get(from..end).ok_or(BadFrame::Lengths)?;
    Ok((String::from_utf8(text.to_vec()).map_err(|_| BadFrame::NoText)?, end))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Frame 2. It goes out in one write: clients read it in one.
pub(super) fn connection_response(status: Status) -> [u8; 10] {
    let status: u16 = match status {
        Status::Ok => 200,
        Status::BadRequest => 400,
        Status::Forbidden => 403,
    };
    let ([a, b], [c, d], [e, f]) =
        (CONNECTION_RESPONSE.to_be_bytes(), status.to_be_bytes(), VERSION.to_be_bytes());
    [a, b, 0, 0, 0, 4, c, d, e, f]
}

/// What stands before the payload of frame 3.
pub(super) fn publish_header(
    block: u16,
    count: u16,
    compression: Compression,
    format: Format,
    size: u32,
) -> [u8; 16] {
    let compression = match compression {
        Compression::None => 0,
        Compression::Zlib => 1,
    };
    let format = match format {
        Format::Xml => 0,
        Format::Json => 1,
    };
    let mut header = [0; 16];
    header[..2].copy_from_slice(&PUBLISH_MESSAGE.to_be_bytes());
    header[2..6].copy_from_slice(&size.saturating_add(10).to_be_bytes());
    header[6..8].copy_from_slice(&block.to_be_bytes());
    header[8..10].copy_from_slice(&count.to_be_bytes());
    (header[10], header[11]) = (compression, format);
    header[12..].copy_from_slice(&size.to_be_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::{
        BadFrame, ConnectionRequest, Decoder, LONGEST_REQUEST, Received, Said, Status, connection_response,
        publish_header,
    };
    use crate::dice::{Dice, fuzz};
    use crate::hook::monitor::{Compression, Format};

    fn request(user: &str, password: &str, monitor: u32) -> Vec<u8> {
        let text = |text: &str| [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
        let body = [&[0, 1][..], &text(user), &text(password), &monitor.to_be_bytes()].concat();
        [&[0, 1][..], &u32::try_from(body.len()).unwrap().to_be_bytes(), &body].concat()
    }

    fn said(bytes: &[u8]) -> Result<Vec<Said>, BadFrame> {
        let mut decoder = Decoder::default();
        decoder.feed(bytes);
        std::iter::from_fn(|| decoder.next().transpose()).collect()
    }

    fn received(block: u16, status: u16) -> Said {
        Said::Received(Received { block, status })
    }

    /// The example of the documentation, which a client sent too.
    #[test]
    fn the_documented_request_is_read() {
        let bytes = b"\x00\x01\x00\x00\x00\x13\x00\x01\x00\x05pepsi\x00\x04cola\x00\x00\x01\x04";
        let wanted = ConnectionRequest { user: "pepsi".into(), password: "cola".into(), monitor: 260 };
        assert_eq!(said(bytes), Ok(vec![Said::Connect(wanted)]));
        assert_eq!(request("pepsi", "cola", 260), bytes);
        let shown = format!("{:?}", said(bytes).unwrap());
        assert!(!shown.contains("cola"), "{shown}");
    }

    #[test]
    fn receipts_are_read_with_their_length_and_without() {
        let documented = b"\x00\x04\x00\x00\x00\x04\x01\xa7\x00\xc8";
        let short = b"\x00\x04\x01\xa7\x00\xc8";
        assert_eq!(said(documented), Ok(vec![received(423, 200)]));
        assert_eq!(said(short), Ok(vec![received(423, 200)]));
        let mixed = [&short[..], documented, short, short, documented].concat();
        assert_eq!(said(&mixed), Ok(vec![received(423, 200); 5]));
        assert_eq!(said(&documented[..8]), Ok(vec![]), "nothing is guessed of half a frame");
        assert_eq!(said(b"\x00\x04\x00\x00\x00\xc8"), Ok(vec![received(0, 200)]));
        assert_eq!(said(b"\x00\x04\x00\x04\x00\xc8"), Ok(vec![received(4, 200)]));
    }

    #[test]
    fn what_cannot_be_a_frame_is_named() {
        let mut late = request("a", "b", 1);
        late[7] = 2;
        assert_eq!(said(&late), Err(BadFrame::Version(2)));
        assert_eq!(said(b"GET / HTTP/1.1"), Err(BadFrame::Type(0x4745)));
        assert_eq!(said(b"\x00\x03"), Err(BadFrame::Type(3)));
        let huge = u32::try_from(LONGEST_REQUEST).unwrap() + 1;
        assert_eq!(said(&[&[0, 1], &huge.to_be_bytes()[..]].concat()), Err(BadFrame::TooLong(huge)));
        let mut short = request("a", "b", 1);
        short[5] -= 1;
        assert_eq!(said(&short), Err(BadFrame::Lengths));
        let mut long = request("a", "b", 1);
        long[5] += 1;
        long.push(0);
        assert_eq!(said(&long), Err(BadFrame::Lengths));
        let mut beyond = request("a", "b", 1);
        beyond[9] = 200;
        assert_eq!(said(&beyond), Err(BadFrame::Lengths));
        let mut no_text = request("a", "b", 1);
        no_text[10] = 0xff;
        assert_eq!(said(&no_text), Err(BadFrame::NoText));
    }

    #[test]
    fn what_we_send_has_the_documented_bytes() {
        assert_eq!(connection_response(Status::Ok), *b"\x00\x02\x00\x00\x00\x04\x00\xc8\x00\x01");
        assert_eq!(connection_response(Status::BadRequest)[6..8], 400_u16.to_be_bytes());
        assert_eq!(connection_response(Status::Forbidden)[6..8], 403_u16.to_be_bytes());
        let header = publish_header(423, 2, Compression::Zlib, Format::Json, 300);
        assert_eq!(header, *b"\x00\x03\x00\x00\x01\x36\x01\xa7\x00\x02\x01\x01\x00\x00\x01\x2c");
        let header = publish_header(1, 1, Compression::None, Format::Xml, 0);
        assert_eq!(header, *b"\x00\x03\x00\x00\x00\x0a\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00");
    }

    fn any_frame(dice: &mut Dice) -> (Vec<u8>, Said) {
        let number = |dice: &mut Dice| u16::from_be_bytes([dice.octet(), dice.octet()]);
        match dice.below(3) {
            0 => {
                let text = |dice: &mut Dice| "pässwörd".chars().take(dice.place(9)).collect::<String>();
                let (user, password) = (text(dice), text(dice));
                let monitor = u32::from(number(dice)) << 16 | u32::from(number(dice));
                let bytes = request(&user, &password, monitor);
                (bytes, Said::Connect(ConnectionRequest { user, password, monitor }))
            }
            kind => {
                // A block of number 0 is never sent, and 4 is no status.
                let (block, status) = (number(dice).max(1), dice.one_of(&[200_u16, 400, 500]));
                let length: &[u8] = if kind == 1 { &[0, 0, 0, 4] } else { &[] };
                let bytes = [&[0, 4], length, &block.to_be_bytes(), &status.to_be_bytes()].concat();
                (bytes, received(block, status))
            }
        }
    }

    /// Frames come out as they went in, wherever the stream is cut.
    #[test]
    fn frames_are_found_however_they_are_cut() {
        fuzz(|dice| {
            let (mut decoder, mut found, mut expected, mut stream) =
                (Decoder::default(), vec![], vec![], vec![]);
            for _ in 0..dice.below(6) {
                let (bytes, said) = any_frame(dice);
                stream.extend(bytes);
                expected.push(said);
            }
            let mut rest = stream.as_slice();
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(dice.place(rest.len()) + 1);
                decoder.feed(piece);
                found.extend(std::iter::from_fn(|| decoder.next().unwrap()));
                rest = behind;
            }
            assert_eq!(found, expected);
            assert!(decoder.bytes.is_empty());
        });
    }

    /// Whatever comes, it is read or refused, and what is kept stays small.
    #[test]
    fn any_bytes_are_read_or_refused() {
        fuzz(|dice| {
            let mut decoder = Decoder::default();
            for _ in 0..50 {
                let (mut bytes, _) = any_frame(dice);
                for _ in 0..dice.below(3) {
                    let place = dice.place(bytes.len());
                    bytes[place] = dice.octet();
                }
                bytes.truncate(dice.place(bytes.len() + 1));
                decoder.feed(&bytes);
                loop {
                    match decoder.next() {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(_) => return,
                    }
                }
                assert!(decoder.bytes.len() <= 6 + LONGEST_REQUEST);
            }
        });
    }
}
