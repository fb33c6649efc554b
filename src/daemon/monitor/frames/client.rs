//! The frames as a client writes and reads them.

use std::io::Read as _;

use flate2::read::ZlibDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    CONNECTION_REQUEST, CONNECTION_RESPONSE, ConnectionRequest, LONGEST_REQUEST, PUBLISH_MESSAGE,
    PUBLISH_MESSAGE_RECEIVED, VERSION, u16_at, u32_at,
};
use crate::hook::monitor::{Compression, Format};

/// Bytes of a payload. A VEN of ours sends 1 MiB of facts in a block, and XML makes more of them.
const LARGEST_PAYLOAD: u32 = 16 << 20;
/// Bytes of a payload that was made smaller.
const LARGEST_TEXT: usize = 64 << 20;
/// Before the payload of a block.
const BLOCK_HEADER: usize = 16;
/// The status of a block that is there.
const RECEIVED: u16 = 200;

/// What a VEN says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::daemon::monitor) enum Heard {
    /// What it says to the request.
    Answer(u16),
    Block(Block),
}

/// Messages that are pushed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(in crate::daemon::monitor) number: u16,
    count: u16,
    compression: Compression,
    format: Format,
    payload: Vec<u8>,
}

/// Why nothing can be read any more: what follows is anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Nonsense {
    #[error("a frame of type {0}, which no VEN sends")]
    Type(u16),
    #[error("a frame of type {kind} that says it has {length} bytes, which does not fit")]
    Length { kind: u16, length: u32 },
    #[error("version {0} of the protocol, which is not known")]
    Version(u16),
    #[error("a block of {0} bytes, more than {LARGEST_PAYLOAD}")]
    TooLarge(u32),
    #[error("compression {0}, which is not known")]
    Compression(u8),
    #[error("format {0}, which is not known")]
    Format(u8),
    #[error("a block that is not compressed as it says: {0}")]
    NotCompressed(String),
    #[error("a block of more than {LARGEST_TEXT} bytes when it is no longer compressed")]
    Bomb,
    #[error("a block that is not what it says: {0}")]
    NoDocument(String),
}

/// The name or the token is longer than any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name and the token have more than {LONGEST_REQUEST} bytes together")]
pub(crate) struct TooLong;

/// Frame 1.
///
/// # Errors
///
/// Where no VEN would read it.
pub(in crate::daemon::monitor) fn connection_request(
    request: &ConnectionRequest,
) -> Result<Vec<u8>, TooLong> {
    let ConnectionRequest { user, password, monitor } = request;
    let mut body = VERSION.to_be_bytes().to_vec();
    for text in [user, password] {
        body.extend(u16::try_from(text.len()).map_err(|_| TooLong)?.to_be_bytes());
        body.extend(text.as_bytes());
    }
    body.extend(monitor.to_be_bytes());
    if body.len() > LONGEST_REQUEST {
        return Err(TooLong);
    }
    let length = u32::try_from(body.len()).map_err(|_| TooLong)?;
    Ok([&CONNECTION_REQUEST.to_be_bytes()[..], &length.to_be_bytes(), &body].concat())
}

/// Frame 4, as it is documented.
pub(in crate::daemon::monitor) fn receipt(block: u16) -> [u8; 10] {
    let ([a, b], [c, d], [e, f]) =
        (PUBLISH_MESSAGE_RECEIVED.to_be_bytes(), block.to_be_bytes(), RECEIVED.to_be_bytes());
    [a, b, 0, 0, 0, 4, c, d, e, f]
}

/// Finds frames in what comes in.
#[derive(Debug, Default)]
pub(in crate::daemon::monitor) struct Hearing {
    bytes: Vec<u8>,
}

impl Hearing {
    /// More has come.
    pub(in crate::daemon::monitor) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// No frame has begun.
    pub(in crate::daemon::monitor) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next frame, where it is complete; of one that is not, at most [`LARGEST_PAYLOAD`] and a header are kept.
    ///
    /// # Errors
    ///
    /// Where no frame begins here.
    pub(in crate::daemon::monitor) fn next(&mut self) -> Result<Option<Heard>, Nonsense> {
        let Some(kind) = u16_at(&self.bytes, 0) else { return Ok(None) };
        let found = match kind {
            CONNECTION_RESPONSE => answer(&self.bytes)?,
            PUBLISH_MESSAGE => block(&self.bytes)?,
            other => return Err(Nonsense::Type(other)),
        };
        Ok(found.map(|(length, heard)| {
            self.bytes.drain(..length);
            heard
        }))
    }
}

/// Frame 2, and its length.
fn answer(bytes: &[u8]) -> Result<Option<(usize, Heard)>, Nonsense> {
    let Some(length) = u32_at(bytes, 2) else { return Ok(None) };
    if length != 4 {
        return Err(Nonsense::Length { kind: CONNECTION_RESPONSE, length });
    }
    let (Some(status), Some(version)) = (u16_at(bytes, 6), u16_at(bytes, 8)) else { return Ok(None) };
    if version == VERSION { Ok(Some((10, Heard::Answer(status)))) } else { Err(Nonsense::Version(version)) }
}

/// Frame 3, and its length.
fn block(bytes: &[u8]) -> Result<Option<(usize, Heard)>, Nonsense> {
    let (Some(length), Some(size)) = (u32_at(bytes, 2), u32_at(bytes, 12)) else { return Ok(None) };
    if size.checked_add(10) != Some(length) {
        return Err(Nonsense::Length { kind: PUBLISH_MESSAGE, length });
    }
    let within = usize::try_from(size).ok().filter(|_| size <= LARGEST_PAYLOAD);
    let end = BLOCK_HEADER + within.ok_or(Nonsense::TooLarge(size))?;
    let compression = match bytes.get(10) {
        Some(0) => Compression::None,
        Some(1) => Compression::Zlib,
        Some(other) => return Err(Nonsense::Compression(*other)),
        None => return Ok(None),
    };
    let format = match bytes.get(11) {
        Some(0) => Format::Xml,
        Some(1) => Format::Json,
        Some(other) => return Err(Nonsense::Format(*other)),
        None => return Ok(None),
    };
    let (Some(number), Some(count)) = (u16_at(bytes, 6), u16_at(bytes, 8)) else { return Ok(None) };
    let Some(payload) = bytes.get(BLOCK_HEADER..end) else { return Ok(None) };
    let payload = payload.to_vec();
    Ok(Some((end, Heard::Block(Block { number, count, compression, format, payload }))))
}

impl Block {
    /// The messages: each as a line of JSON, or all of them as the document of XML that came; nothing in it moves the cursor of a
    /// terminal.
    ///
    /// # Errors
    ///
    /// Where they are not what the block says.
    pub(in crate::daemon::monitor) fn text(&self) -> Result<String, Nonsense> {
        let bytes = match self.compression {
            Compression::None => self.payload.clone(),
            Compression::Zlib => inflated(&self.payload)?,
        };
        match self.format {
            Format::Json => self.lines(&bytes),
            Format::Xml => document(bytes),
        }
    }

    fn lines(&self, bytes: &[u8]) -> Result<String, Nonsense> {
        let wrong = |error: serde_json::Error| Nonsense::NoDocument(error.to_string());
        let pushed: Pushed<'_> = serde_json::from_slice(bytes).map_err(wrong)?;
        let told = pushed.document.messages;
        let messages: Vec<&RawValue> = match told.get().chars().next() {
            Some('[') => serde_json::from_str(told.get()).map_err(wrong)?,
            _ => vec![told],
        };
        if let Some(other) = messages.iter().find(|message| !message.get().starts_with('{')) {
            return Err(Nonsense::NoDocument(format!("{other} is no message")));
        }
        if messages.len() != usize::from(self.count) {
            let what = format!("it has {} messages instead of {}", messages.len(), self.count);
            return Err(Nonsense::NoDocument(what));
        }
        Ok(messages.iter().map(|message| line(message.get())).collect())
    }
}

/// What JSON is wrapped in; numbers stay as they were written.
#[derive(Deserialize)]
struct Pushed<'d> {
    #[serde(rename = "Document", borrow)]
    document: Document<'d>,
}

#[derive(Deserialize)]
struct Document<'d> {
    #[serde(rename = "Msg", borrow)]
    messages: &'d RawValue,
}

/// The same JSON in one line, with nothing that a terminal obeys: line breaks are between values only (RFC 8259, 7), and other control
/// characters only in texts.
fn line(json: &str) -> String {
    let mut line = String::with_capacity(json.len() + 1);
    for letter in json.chars() {
        match letter {
            '\n' | '\r' | '\t' => line.push(' '),
            other if other.is_control() => line += &format!("\\u{:04x}", u32::from(other)),
            other => line.push(other),
        }
    }
    line.push('\n');
    line
}

fn inflated(bytes: &[u8]) -> Result<Vec<u8>, Nonsense> {
    let mut text = Vec::new();
    let most = u64::try_from(LARGEST_TEXT).unwrap_or(u64::MAX) + 1;
    let read = ZlibDecoder::new(bytes).take(most).read_to_end(&mut text);
    read.map_err(|error| Nonsense::NotCompressed(error.to_string()))?;
    if text.len() > LARGEST_TEXT { Err(Nonsense::Bomb) } else { Ok(text) }
}

fn document(bytes: Vec<u8>) -> Result<String, Nonsense> {
    let wrong = |what: &str| Nonsense::NoDocument(what.to_owned());
    let mut text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8"))?;
    if text.chars().any(|letter| letter.is_control() && !matches!(letter, '\t' | '\n' | '\r')) {
        return Err(wrong("it has control characters, which XML has not"));
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::write::ZlibEncoder;

    use super::super::{Decoder, Received, Said, Status, connection_response, publish_header};
    use super::{
        Block, ConnectionRequest, Heard, Hearing, LARGEST_PAYLOAD, LARGEST_TEXT, Nonsense, TooLong,
        connection_request, receipt,
    };
    use crate::dice::{Dice, fuzz};
    use crate::hook::monitor::{Compression, Format};

    fn heard(bytes: &[u8]) -> Result<Vec<Heard>, Nonsense> {
        let mut hearing = Hearing::default();
        hearing.feed(bytes);
        std::iter::from_fn(|| hearing.next().transpose()).collect()
    }

    fn frame(count: u16, compression: Compression, format: Format, payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len()).unwrap();
        [&publish_header(7, count, compression, format, size)[..], payload].concat()
    }

    fn block(count: u16, compression: Compression, format: Format, payload: &[u8]) -> Block {
        let mut found = heard(&frame(count, compression, format, payload)).unwrap();
        let Some(Heard::Block(block)) = found.pop() else { panic!("no block: {found:?}") };
        block
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn the_server_reads_what_a_client_writes_and_the_request_has_the_documented_bytes() {
        let request = ConnectionRequest { user: "pepsi".into(), password: "cola".into(), monitor: 260 };
        let bytes = connection_request(&request).unwrap();
        assert_eq!(bytes, b"\x00\x01\x00\x00\x00\x13\x00\x01\x00\x05pepsi\x00\x04cola\x00\x00\x01\x04");
        let mut decoder = Decoder::default();
        decoder.feed(&bytes);
        decoder.feed(&receipt(423));
        assert_eq!(decoder.next(), Ok(Some(Said::Connect(request.clone()))));
        assert_eq!(decoder.next(), Ok(Some(Said::Received(Received { block: 423, status: 200 }))));
        let long = |length| ConnectionRequest { password: "x".repeat(length), ..request.clone() };
        assert_eq!(connection_request(&long(1024)), Err(TooLong));
        assert_eq!(connection_request(&long(70_000)), Err(TooLong));
    }

    #[test]
    fn a_client_reads_what_the_server_writes() {
        let answer = |status| heard(&connection_response(status)).unwrap();
        assert_eq!(answer(Status::Ok), [Heard::Answer(200)]);
        assert_eq!(answer(Status::Forbidden), [Heard::Answer(403)]);
        let one = br#"{"Document": {"Msg": {"topic": "a\nb", "x": 1.50}}}"#;
        let line = "{\"topic\": \"a\\nb\", \"x\": 1.50}\n".to_owned();
        assert_eq!(block(1, Compression::None, Format::Json, one).text(), Ok(line.clone()));
        assert_eq!(block(1, Compression::Zlib, Format::Json, &zlib(one)).text(), Ok(line));
        let two = br#"{"Document": {"Msg": [{"topic": "a"}, {"topic": "b"}]}}"#;
        let lines = block(2, Compression::None, Format::Json, two).text().unwrap();
        assert_eq!(lines, "{\"topic\": \"a\"}\n{\"topic\": \"b\"}\n");
        let wild = "{\"Document\": {\"Msg\": {\n\t\"a\":\r\n\"\u{9b}2J\u{7f}\"}}}";
        let line = block(1, Compression::None, Format::Json, wild.as_bytes()).text();
        assert_eq!(line.unwrap(), "{  \"a\":  \"\\u009b2J\\u007f\"}\n");
        let xml = block(1, Compression::None, Format::Xml, b"<Document/>").text();
        assert_eq!(xml, Ok("<Document/>\n".to_owned()));
    }

    #[test]
    fn what_is_no_frame_or_no_document_is_named() {
        assert_eq!(heard(b"HTTP/1.1 400"), Err(Nonsense::Type(0x4854)));
        assert_eq!(heard(b"\x00\x01"), Err(Nonsense::Type(1)));
        let mut answer = connection_response(Status::Ok);
        answer[9] = 2;
        assert_eq!(heard(&answer), Err(Nonsense::Version(2)));
        answer[5] = 5;
        assert_eq!(heard(&answer), Err(Nonsense::Length { kind: 2, length: 5 }));
        let good = frame(1, Compression::None, Format::Json, b"{}");
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            heard(&bytes)
        };
        assert_eq!(with(10, 2), Err(Nonsense::Compression(2)));
        assert_eq!(with(11, 9), Err(Nonsense::Format(9)));
        assert_eq!(with(15, 1), Err(Nonsense::Length { kind: 3, length: 12 }));
        let large = LARGEST_PAYLOAD + 1;
        let header = publish_header(1, 1, Compression::None, Format::Json, large);
        assert_eq!(heard(&header), Err(Nonsense::TooLarge(large)), "nothing is kept for it");
        let nothing = |found: Result<String, Nonsense>| matches!(found, Err(Nonsense::NoDocument(_)));
        for payload in ["", "{}", "[1", r#"{"Document":{"Msg":7}}"#, r#"{"Document":{"Msg":[]}}"#] {
            assert!(
                nothing(block(1, Compression::None, Format::Json, payload.as_bytes()).text()),
                "{payload}"
            );
        }
        for payload in [&b"<a>\xff</a>"[..], b"<a>\x1b[2J</a>"] {
            assert!(nothing(block(1, Compression::None, Format::Xml, payload).text()));
        }
        let torn = &zlib(b"{\"Document\": {}}")[..9];
        let torn = block(1, Compression::Zlib, Format::Json, torn).text();
        assert!(matches!(torn, Err(Nonsense::NotCompressed(_))), "{torn:?}");
    }

    #[test]
    fn a_block_that_grows_without_end_is_refused() {
        let bomb = zlib(&vec![b' '; LARGEST_TEXT + 1]);
        assert_eq!(block(1, Compression::Zlib, Format::Xml, &bomb).text(), Err(Nonsense::Bomb));
    }

    fn any_frame(dice: &mut Dice) -> (Vec<u8>, Option<Heard>) {
        let status = dice.one_of(&[Status::Ok, Status::BadRequest, Status::Forbidden]);
        if dice.below(2) == 0 {
            let bytes = connection_response(status).to_vec();
            let code = u16::from_be_bytes([bytes[6], bytes[7]]);
            return (bytes, Some(Heard::Answer(code)));
        }
        let payload: Vec<u8> = (0..dice.below(40)).map(|_| dice.octet()).collect();
        let format = dice.one_of(&[Format::Json, Format::Xml]);
        let compression = dice.one_of(&[Compression::None, Compression::Zlib]);
        let bytes = frame(1, compression, format, &payload);
        let block = Block { number: 7, count: 1, compression, format, payload };
        (bytes, Some(Heard::Block(block)))
    }

    #[test]
    fn fuzz_frames_are_found_however_they_are_cut() {
        fuzz(|dice| {
            let (mut hearing, mut found, mut expected, mut stream) =
                (Hearing::default(), vec![], vec![], vec![]);
            for _ in 0..dice.below(6) {
                let (bytes, heard) = any_frame(dice);
                stream.extend(bytes);
                expected.extend(heard);
            }
            let mut rest = stream.as_slice();
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(dice.place(rest.len()) + 1);
                hearing.feed(piece);
                found.extend(std::iter::from_fn(|| hearing.next().unwrap()));
                rest = behind;
            }
            assert_eq!(found, expected);
            assert!(hearing.is_empty());
        });
    }

    /// Whatever comes, it is read or refused, in bounded room.
    #[test]
    fn fuzz_any_bytes_are_read_or_refused() {
        fuzz(|dice| {
            let mut hearing = Hearing::default();
            for _ in 0..20 {
                let (mut bytes, _) = any_frame(dice);
                for _ in 0..dice.below(3) {
                    let place = dice.place(bytes.len());
                    bytes[place] = dice.octet();
                }
                hearing.feed(&bytes);
                loop {
                    match hearing.next() {
                        Ok(Some(Heard::Block(block))) => drop(block.text()),
                        Ok(Some(Heard::Answer(_))) => {}
                        Ok(None) => break,
                        Err(_) => return,
                    }
                }
            }
        });
    }
}
