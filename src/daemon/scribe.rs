//! Writes what we say, and lets in what the VTN says: signatures, replay, and the nonces that keep the memory of them.

use tokio::sync::Mutex;

use crate::openadr::message::Payload;
use crate::openadr::signature::{Gate, Refusal, SigningKey, sign};
use crate::openadr::trust::Verified;
use crate::openadr::xml::encode;

use super::clock::Clock;
use super::entropy;
use super::store::StoreHandle;

/// One for all messages, polled and pushed: what was let in by one way is a repetition on the other.
#[derive(Debug)]
pub(crate) struct Scribe {
    /// `None`: messages go unsigned.
    key: Option<SigningKey>,
    gate: Mutex<Gate>,
    clock: Clock,
    store: StoreHandle,
}

impl Scribe {
    pub(crate) fn new(key: Option<SigningKey>, gate: Gate, clock: Clock, store: StoreHandle) -> Self {
        Self { key, gate: Mutex::new(gate), clock, store }
    }

    /// The document of a message.
    ///
    /// # Errors
    ///
    /// Where it cannot be signed.
    pub(crate) fn write(&self, payload: &Payload) -> Result<String, String> {
        match &self.key {
            None => Ok(encode(payload).unsigned()),
            Some(key) => sign(payload, key, self.clock.now().wall, &entropy::dice())
                .map_err(|error| format!("{} cannot be signed: {error}", payload.kind())),
        }
    }

    /// Lets a message in; its nonce is stored before it is acted upon, where it is `worth` that.
    ///
    /// # Errors
    ///
    /// Says which rule it broke.
    pub(crate) async fn open(
        &self,
        bytes: &[u8],
        worth: impl FnOnce(&Payload) -> bool,
    ) -> Result<Verified<Payload>, Refusal> {
        let mut gate = self.gate.lock().await;
        let verified = gate.open(bytes, self.clock.now().wall)?;
        if worth(verified.content()) {
            self.store_nonces(&mut gate).await;
        }
        Ok(verified)
    }

    /// What a message causes is stored after this.
    ///
    /// Where the store fails, the message counts all the same: a disk that is full must not keep us from answering the VTN, and the
    /// engine says itself that the store fails. The nonces are stored with the next ones.
    async fn store_nonces(&self, gate: &mut Gate) {
        let unstored: Vec<_> = gate.unstored().cloned().collect();
        let count = unstored.len();
        if count == 0 {
            return;
        }
        match self.store.put_nonces(unstored, gate.keep_from()).await {
            Ok(()) => gate.stored(count),
            Err(error) => tracing::debug!("{count} nonces are not stored yet: {error}"),
        }
    }
}
