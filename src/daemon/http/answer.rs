//! What is answered: JSON, text, a problem, or a stream that goes on.

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::header::{CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, VARY};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;

/// Pieces of a stream that may wait for its reader: 1 MiB in all.
const PIECES: usize = 16;
/// A piece is no longer than this; what is longer is cut.
const PIECE: usize = 64 << 10;
/// A reader that takes nothing for so long is gone.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// What is answered to a call.
#[derive(Debug)]
pub(in crate::daemon) struct Answer {
    pub(super) status: StatusCode,
    /// Elsewhere, as an answer is often an error, which should be small.
    headers: Box<HeaderMap>,
    body: Body,
}

/// The body of an answer.
#[derive(Debug)]
pub(in crate::daemon) enum Body {
    Whole(Bytes),
    Stream(mpsc::Receiver<Bytes>),
}

/// Where the pieces of an answer go that goes on.
#[derive(Debug)]
pub(in crate::daemon) struct Stream {
    pieces: mpsc::Sender<Bytes>,
    /// Where the reader takes gzip.
    packer: Option<GzEncoder<Vec<u8>>>,
    /// What was not handed over yet when a call of [`Stream::send`] was dropped.
    rest: Bytes,
}

/// Who has asked is gone, or takes nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the reader is gone")]
pub(in crate::daemon) struct Gone;

impl Answer {
    fn new(status: StatusCode, content_type: &'static str, body: Body) -> Self {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        Self { status, headers: Box::new(headers), body }
    }

    /// A value as JSON.
    pub(in crate::daemon) fn json(status: StatusCode, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(mut text) => {
                text.push(b'\n');
                Self::new(status, "application/json", Body::Whole(text.into()))
            }
            Err(error) => Self::problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }

    /// A text of some type.
    pub(in crate::daemon) fn text(content_type: &'static str, text: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, content_type, Body::Whole(text.into()))
    }

    /// A text with some status.
    pub(in crate::daemon) fn whole(status: StatusCode, text: impl Into<Bytes>) -> Self {
        Self::new(status, "text/plain", Body::Whole(text.into()))
    }

    /// Nothing but a status.
    pub(in crate::daemon) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Box::default(), body: Body::Whole(Bytes::new()) }
    }

    /// What is wrong, for people and for programs (RFC 9457).
    pub(in crate::daemon) fn problem(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or_default();
        let problem = json!({"title": title, "status": status.as_u16(), "detail": detail.into()});
        Self::new(status, "application/problem+json", Body::Whole(format!("{problem}\n").into()))
    }

    /// What goes on until the [`Stream`] is finished or dropped, as `text/event-stream` or `application/x-ndjson`; `packed`: as gzip.
    pub(in crate::daemon) fn stream(content_type: &'static str, packed: bool) -> (Self, Stream) {
        let (pieces, reader) = mpsc::channel(PIECES);
        let answer = Self::new(StatusCode::OK, content_type, Body::Stream(reader))
            .with(VARY, HeaderValue::from_static("accept-encoding"));
        // What is told is short, and somebody waits for it.
        let packer = packed.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        let stream = Stream { pieces, packer, rest: Bytes::new() };
        if packed {
            return (answer.with(CONTENT_ENCODING, HeaderValue::from_static("gzip")), stream);
        }
        (answer, stream)
    }

    /// With one more header.
    #[must_use]
    pub(in crate::daemon) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// After this the connection ends: what is left of a body that nobody reads is no next request.
    #[must_use]
    pub(super) fn last(self) -> Self {
        self.with(CONNECTION, HeaderValue::from_static("close"))
    }

    /// As it goes out. Nothing of it is kept by anybody, runs anywhere, or is shown within other pages.
    pub(super) fn secured(self) -> Response<Body> {
        const POLICY: &str =
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        const HEADERS: [(&str, &str); 6] = [
            ("cache-control", "no-store"),
            ("content-security-policy", POLICY),
            ("cross-origin-resource-policy", "same-origin"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
        ];
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = *self.headers;
        for (name, value) in HEADERS {
            response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        response
    }
}

impl Stream {
    /// Sends something, when there is room for it.
    ///
    /// # Errors
    ///
    /// Where the reader is gone, or takes nothing for half a minute.
    pub(in crate::daemon) async fn send(&mut self, piece: impl Into<Bytes>) -> Result<(), Gone> {
        self.hand_over().await?;
        let piece = piece.into();
        self.rest = match &mut self.packer {
            // Nothing fails to be written into memory.
            Some(packer) => packed(packer, &piece).map_err(|_| Gone)?,
            None => piece,
        };
        self.hand_over().await
    }

    /// Nothing more comes; a reader of gzip can tell that from a connection that has broken.
    pub(in crate::daemon) async fn finish(mut self) {
        let Ok(()) = self.hand_over().await else { return };
        let Some(Ok(end)) = self.packer.take().map(GzEncoder::finish) else { return };
        self.rest = end.into();
        // Who is gone misses nothing.
        self.hand_over().await.ok();
    }

    async fn hand_over(&mut self) -> Result<(), Gone> {
        while !self.rest.is_empty() {
            let Ok(Ok(room)) = tokio::time::timeout(TAKEN_WITHIN, self.pieces.reserve()).await else {
                self.rest.clear();
                return Err(Gone);
            };
            room.send(self.rest.split_to(self.rest.len().min(PIECE)));
        }
        Ok(())
    }

    /// Waits until the reader is gone.
    pub(in crate::daemon) async fn closed(&self) {
        self.pieces.closed().await;
    }
}

/// Packed so that a reader can unpack all of it without waiting for what comes behind.
fn packed(packer: &mut GzEncoder<Vec<u8>>, piece: &[u8]) -> io::Result<Bytes> {
    packer.write_all(piece)?;
    packer.flush()?;
    Ok(std::mem::take(packer.get_mut()).into())
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &mut *self {
            Self::Whole(bytes) if bytes.is_empty() => None,
            Self::Whole(bytes) => Some(std::mem::take(bytes)),
            Self::Stream(pieces) => match pieces.poll_recv(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(piece) => piece,
            },
        };
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::clock::Clock;

    #[tokio::test(start_paused = true)]
    async fn no_more_than_a_mebibyte_waits_for_a_reader_who_takes_nothing_for_half_a_minute() {
        let (answer, mut stream) = Answer::stream("text/event-stream", false);
        let Body::Stream(mut pieces) = answer.body else { panic!("it is no stream") };
        let much = vec![b'x'; 10 << 20];
        let clock = Clock::start();
        assert_eq!(stream.send(much.clone()).await, Err(Gone));
        assert_eq!(clock.now().since_start.to_std(), TAKEN_WITHIN);
        let mut waited = 0;
        while let Ok(piece) = pieces.try_recv() {
            waited += piece.len();
        }
        assert_eq!(waited, 1 << 20);

        let sent = tokio::spawn(async move { stream.send(much).await });
        let mut taken = Vec::new();
        while let Some(piece) = pieces.recv().await {
            taken.extend_from_slice(&piece);
        }
        assert_eq!(
            (sent.await.unwrap(), taken),
            (Ok(()), vec![b'x'; 10 << 20]),
            "who takes it gets it whole"
        );
    }

    #[tokio::test]
    async fn each_piece_of_a_packed_stream_can_be_read_at_once_and_its_end_is_told() {
        let (answer, mut stream) = Answer::stream("text/event-stream", true);
        assert_eq!(answer.headers[CONTENT_ENCODING], "gzip");
        let Body::Stream(mut pieces) = answer.body else { panic!("it is no stream") };
        let mut unpacker = flate2::write::GzDecoder::new(Vec::new());
        for text in ["first", "", "second"] {
            stream.send(text).await.unwrap();
            while let Ok(piece) = pieces.try_recv() {
                unpacker.write_all(&piece).unwrap();
            }
            unpacker.flush().unwrap();
            assert_eq!(std::mem::take(unpacker.get_mut()), text.as_bytes());
        }
        // What was not handed over, since nobody waited any longer, is neither lost nor out of its place.
        // Knuth's MMIX generator: what it makes does not get shorter.
        let next = |state: &u64| {
            Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
        };
        let states = std::iter::successors(Some(1_u64), next).take(4 << 20);
        let much: Vec<u8> = states.map(|state| state.to_be_bytes()[0]).collect();
        let cut_off = tokio::time::timeout(Duration::from_millis(1), stream.send(much.clone())).await;
        assert!(cut_off.is_err(), "there is no room for so much");
        let finished = tokio::spawn(stream.finish());
        while let Some(piece) = pieces.recv().await {
            unpacker.write_all(&piece).unwrap();
        }
        finished.await.unwrap();
        assert_eq!(unpacker.finish().unwrap(), much);
    }
}
