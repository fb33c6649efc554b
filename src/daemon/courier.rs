//! Carries one message at a time to the VTN: has it signed, posts it, and has the reply believed or not.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::engine::{ExchangeId, Failure, Input};
use crate::openadr::message::{Payload, PayloadKind};
use crate::openadr::trust::Verified;

use super::scribe::Scribe;
use super::transport::PullClient;

/// Everything that a message needs on its way.
#[derive(Debug)]
pub(crate) struct Courier {
    pub(crate) client: PullClient,
    pub(crate) scribe: Arc<Scribe>,
}

impl Courier {
    /// Carries what it is given until nobody gives it anything any more.
    pub(crate) async fn run(
        self,
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

    async fn carry(&self, payload: &Payload) -> Result<Option<Verified<Payload>>, Failure> {
        let kind = payload.kind();
        let message = self.scribe.write(payload).map_err(Failure::Rejected)?;
        tracing::trace!(%kind, message, "sent");
        let Some(reply) = self.client.post(kind.service(), message).await? else {
            tracing::trace!(%kind, "empty reply");
            return Ok(None);
        };
        tracing::trace!(%kind, reply = %String::from_utf8_lossy(&reply), "reply");
        // Nothing follows from "nothing new" in reply to a poll, so it is not worth the wear of a transaction for each poll. What that
        // leaves open: within the window after a restart, such a reply could be repeated in place of another plain success.
        let worth = |reply: &Payload| kind != PayloadKind::Poll || !is_plain_success(reply);
        let verified = self.scribe.open(&reply, worth).await;
        let verified =
            verified.map_err(|why| Failure::Rejected(format!("the reply to {kind} was refused: {why}")))?;
        tracing::trace!(%kind, peer = ?verified.peer(), "reply is believed");
        Ok(Some(verified))
    }
}

/// An `oadrResponse` that says nothing but that all is well.
fn is_plain_success(reply: &Payload) -> bool {
    matches!(reply, Payload::Response(reply) if reply.response.code.is_success())
}
