//! What is answered: JSON, text, a problem, or a stream that goes on.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
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
#[derive(Clone, Debug)]
pub(in crate::daemon) struct Stream(mpsc::Sender<Bytes>);

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

    /// What goes on until the [`Stream`] is dropped, as `text/event-stream` or `application/x-ndjson`.
    pub(in crate::daemon) fn stream(content_type: &'static str) -> (Self, Stream) {
        let (pieces, reader) = mpsc::channel(PIECES);
        (Self::new(StatusCode::OK, content_type, Body::Stream(reader)), Stream(pieces))
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
    pub(in crate::daemon) async fn send(&self, piece: impl Into<Bytes>) -> Result<(), Gone> {
        let mut rest = piece.into();
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(PIECE));
            self.0.send_timeout(piece, TAKEN_WITHIN).await.map_err(|_| Gone)?;
        }
        Ok(())
    }

    /// Waits until the reader is gone.
    pub(in crate::daemon) async fn closed(&self) {
        self.0.closed().await;
    }
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
        let (answer, stream) = Answer::stream("text/event-stream");
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
}
