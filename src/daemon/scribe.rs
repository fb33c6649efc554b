//! Writes what we say, and lets in what the VTN says: signatures, replay, and the nonces that keep the memory of them.

use std::sync::Arc;

use tokio::sync::{Mutex, watch};

use crate::openadr::message::Payload;
use crate::openadr::signature::{Gate, Refusal, sign};
use crate::openadr::trust::Verified;
use crate::openadr::xml::encode;
use crate::time::Timestamp;

use super::certificates::{Credentials, valid};
use super::clock::Clock;
use super::entropy;
use super::journal::Journal;
use super::store::StoreHandle;
use super::wire::Wire;

/// One for all messages, polled and pushed: what was let in by one way is a repetition on the other.
#[derive(Debug)]
pub(crate) struct Scribe {
    credentials: watch::Receiver<Arc<Credentials>>,
    door: Mutex<Door>,
    clock: Clock,
    store: StoreHandle,
    pub(crate) journal: Journal,
    pub(crate) wire: Wire,
}

/// The gate, and the credentials whose policy it holds by.
#[derive(Debug)]
struct Door {
    gate: Gate,
    held: Arc<Credentials>,
}

impl Scribe {
    pub(crate) fn new(
        credentials: watch::Receiver<Arc<Credentials>>,
        gate: Gate,
        store: StoreHandle,
        journal: Journal,
        wire: Wire,
    ) -> Arc<Self> {
        let (held, clock) = (credentials.borrow().clone(), wire.clock());
        Arc::new(Self { credentials, door: Mutex::new(Door { gate, held }), clock, store, journal, wire })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now().wall
    }

    /// Whether messages of ours are signed.
    pub(crate) fn signs(&self) -> bool {
        self.credentials.borrow().key.is_some()
    }

    /// The newest credentials.
    pub(crate) fn credentials(&self) -> Arc<Credentials> {
        self.credentials.borrow().clone()
    }

    /// The newest credentials, once something may be said with them; `None` where the VEN stops.
    pub(crate) async fn valid_credentials(&self) -> Option<Arc<Credentials>> {
        valid(&mut self.credentials.clone(), self.clock).await
    }

    /// The document of a message.
    ///
    /// # Errors
    ///
    /// Where it cannot be signed.
    pub(crate) fn write(&self, payload: &Payload) -> Result<String, String> {
        match &self.credentials.borrow().key {
            None => Ok(encode(payload).unsigned()),
            Some(key) => sign(payload, key, self.now(), &entropy::dice())
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
        let mut door = self.door.lock().await;
        let newest = self.credentials();
        if !Arc::ptr_eq(&newest, &door.held) {
            door.gate.set_policy(newest.policy.clone());
            door.held = newest;
        }
        let verified = door.gate.open(bytes, self.now())?;
        if worth(verified.content()) {
            self.store_nonces(&mut door.gate).await;
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
