//! Carries one message at a time to the VTN: signs it, posts it, and believes the reply or not.

use tokio::sync::mpsc;

use crate::engine::{ExchangeId, Failure, Input};
use crate::openadr::message::Payload;
use crate::openadr::signature::{Gate, SigningKey, sign};
use crate::openadr::trust::Verified;
use crate::openadr::xml::encode;

use super::clock::Clock;
use super::entropy;
use super::transport::PullClient;

/// Everything that a message needs on its way.
#[derive(Debug)]
pub(crate) struct Courier {
    pub(crate) client: PullClient,
    /// `None`: messages go unsigned.
    pub(crate) key: Option<SigningKey>,
    pub(crate) gate: Gate,
    pub(crate) clock: Clock,
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

    async fn carry(&mut self, payload: &Payload) -> Result<Option<Verified<Payload>>, Failure> {
        let kind = payload.kind();
        let message = match &self.key {
            None => encode(payload).unsigned(),
            Some(key) => sign(payload, key, self.clock.now().wall, &entropy::dice())
                .map_err(|error| Failure::Rejected(format!("{kind} cannot be signed: {error}")))?,
        };
        tracing::trace!(%kind, message, "sent");
        let Some(reply) = self.client.post(kind.service(), message).await? else {
            tracing::trace!(%kind, "empty reply");
            return Ok(None);
        };
        tracing::trace!(%kind, reply = %String::from_utf8_lossy(&reply), "reply");
        match self.gate.open(&reply, self.clock.now().wall) {
            Ok(verified) => {
                tracing::trace!(%kind, peer = ?verified.peer(), "reply is believed");
                Ok(Some(verified))
            }
            Err(why) => Err(Failure::Rejected(format!("the reply to {kind} was refused: {why}"))),
        }
    }
}
