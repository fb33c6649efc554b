//! Carries one message at a time to the VTN: has it signed, posts it, and has the reply believed or not.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::engine::{ExchangeId, Failure, Input};
use crate::fact::of_exchange::Exchange;
use crate::openadr::message::{Payload, PayloadKind};
use crate::openadr::trust::Verified;
use crate::time::Span;

use super::certificates::Credentials;
use super::journal::{Direction, Entry};
use super::scribe::Scribe;
use super::transport::{PullClient, Reply};

/// Everything that a message needs on its way.
#[derive(Debug)]
pub(crate) struct Courier {
    pub(crate) client: PullClient,
    /// Those that the client holds by.
    pub(crate) held: Arc<Credentials>,
    pub(crate) scribe: Arc<Scribe>,
}

impl Courier {
    /// Carries what it is given until nobody gives it anything any more.
    pub(crate) async fn run(
        mut self,
        mut messages: mpsc::UnboundedReceiver<(ExchangeId, Payload)>,
        inputs: mpsc::UnboundedSender<Input>,
    ) {
        while let Some((exchange, payload)) = messages.recv().await {
            let input = match self.carry(&payload).await {
                Ok(reply) => Input::Replied { exchange, reply },
                Err(failure) => Input::Failed { exchange, failure },
            };
            if inputs.send(input).is_err() {
                return;
            }
        }
    }

    /// Holds by the newest credentials, once they are valid: nothing is said with a certificate that has expired (rule 516), or by a clock
    /// that was not set.
    async fn hold_by_credentials(&mut self) -> Result<(), Failure> {
        let newest = self.scribe.valid_credentials().await;
        let newest = newest.ok_or_else(|| Failure::Unreachable("the VEN stops".to_owned()))?;
        if !Arc::ptr_eq(&newest, &self.held) {
            self.client.set_tls(newest.tls.clone());
            self.held = newest;
        }
        Ok(())
    }

    async fn carry(&mut self, payload: &Payload) -> Result<Option<Verified<Payload>>, Failure> {
        self.hold_by_credentials().await?;
        let kind = payload.kind();
        let message = self.scribe.write(payload).map_err(Failure::Rejected)?;
        tracing::trace!(%kind, message, "sent");
        let (begun, sent) = (self.scribe.wire.begin(), message.len());
        self.scribe.wire.sent((kind.service(), kind), &message, self.scribe.signs());
        let now = self.scribe.now();
        // Of a poll that brings nothing, nothing is kept.
        let poll = (kind == PayloadKind::Poll).then(|| message.clone());
        if poll.is_none() {
            self.scribe.journal.sent(now, kind, &message);
        }
        let posted = self.client.post(kind.service(), message, now).await;
        let outcome = match &posted {
            Ok(Reply { body: Some(body), .. }) => self.open(kind, body).await.map(Some),
            Ok(Reply { body: None, .. }) => Ok(None),
            Err(failure) => Err(failure.clone()),
        };
        self.tell((kind, begun, sent), &posted, &outcome);
        if poll.is_some() && matches!(&outcome, Ok(Some(reply)) if is_plain_success(reply.content())) {
            self.scribe.journal.quiet_poll();
            return outcome;
        }
        if let Some(message) = poll {
            self.scribe.journal.sent(now, kind, &message);
        }
        self.note(kind, &posted, &outcome);
        outcome
    }

    async fn open(&self, kind: PayloadKind, body: &[u8]) -> Result<Verified<Payload>, Failure> {
        tracing::trace!(%kind, reply = %String::from_utf8_lossy(body), "reply");
        // Nothing follows from "nothing new" in reply to a poll, so it is not worth the wear of a transaction for each poll. What that
        // leaves open: within the window after a restart, such a reply could be repeated in place of another plain success.
        let worth = |reply: &Payload| kind != PayloadKind::Poll || !is_plain_success(reply);
        let opened = self.scribe.open(body, worth).await;
        let known = opened.as_ref().map(|message| (message.content().kind(), message.peer()));
        self.scribe.wire.received(kind.service(), body, known.map_err(|why| why as &dyn Error));
        let verified =
            opened.map_err(|why| Failure::Rejected(format!("the reply to {kind} was refused: {why}")))?;
        tracing::trace!(%kind, peer = ?verified.peer(), "reply is believed");
        Ok(verified)
    }

    /// Tells others of an exchange that is over: which message of ours began it, when, and of how many bytes.
    fn tell(
        &self,
        (kind, begun, sent): (PayloadKind, Span, usize),
        posted: &Result<Reply, Failure>,
        outcome: &Result<Option<Verified<Payload>>, Failure>,
    ) {
        self.scribe.wire.exchanged(begun, |took| Exchange {
            by_vtn: false,
            service: kind.service(),
            message: Some(kind),
            answer: outcome.as_ref().ok().and_then(Option::as_ref).map(Verified::content),
            http: status(posted),
            took,
            sent,
            received: posted.as_ref().ok().and_then(|reply| reply.body.as_ref()).map_or(0, Bytes::len),
            why: outcome.as_ref().err().map(ToString::to_string),
        });
    }

    /// Notes in the journal what came, and what the gate said of it.
    fn note(
        &self,
        kind: PayloadKind,
        posted: &Result<Reply, Failure>,
        outcome: &Result<Option<Verified<Payload>>, Failure>,
    ) {
        let status = status(posted);
        let (kind_of_reply, verdict) = match outcome {
            Ok(Some(reply)) => (Some(reply.content().kind().to_string()), reply.peer().to_string()),
            Ok(None) => (None, "empty".to_owned()),
            Err(failure) => (None, failure.to_string()),
        };
        let entry = || {
            let mut entry = Entry::new(self.scribe.now(), Direction::In, kind.service());
            entry.kind = kind_of_reply;
            entry.status = status;
            entry.verdict = Some(verdict);
            entry
        };
        self.scribe.journal.received(entry, posted.as_ref().ok().and_then(|reply| reply.body.as_deref()));
    }
}

/// What HTTP says of an exchange, where it has come so far.
const fn status(posted: &Result<Reply, Failure>) -> Option<u16> {
    match posted {
        Ok(reply) => Some(reply.status),
        Err(Failure::Status { code, .. }) => Some(*code),
        Err(Failure::Unreachable(_) | Failure::Rejected(_)) => None,
    }
}

/// An `oadrResponse` that says nothing but that all is well.
fn is_plain_success(reply: &Payload) -> bool {
    matches!(reply, Payload::Response(reply) if reply.response.code.is_success())
}
