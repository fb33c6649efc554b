//! Tells what goes over the wire between the VTN and us, by whichever side it was begun.

use crate::fact::of_exchange::{self, Exchange, Signed, Wired};
use crate::fact::topic::vtn::{MESSAGE, REQUEST};
use crate::openadr::message::{PayloadKind, Service};
use crate::openadr::trust::Peer;
use crate::time::Span;

use super::bus::Bus;
use super::clock::Clock;

/// Makes facts of messages and exchanges, where somebody wants them.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    bus: Bus,
    clock: Clock,
}

impl Wire {
    pub(crate) const fn new(bus: Bus, clock: Clock) -> Self {
        Self { bus, clock }
    }

    pub(crate) const fn clock(&self) -> Clock {
        self.clock
    }

    /// When something begins whose length is told.
    pub(crate) fn begin(&self) -> Span {
        self.clock.now().since_start
    }

    /// A message of ours goes out.
    pub(crate) fn sent(&self, (service, kind): (Service, PayloadKind), text: &str, signed: bool) {
        self.message(|| Wired {
            received: false,
            service,
            kind: Some(kind),
            bytes: text.as_bytes(),
            signed: if signed { Signed::Valid } else { Signed::None },
            why: None,
        });
    }

    /// A message of the VTN came, and was let in, or why not.
    pub(crate) fn received(
        &self,
        service: Service,
        bytes: &[u8],
        opened: Result<(PayloadKind, Peer), &dyn std::error::Error>,
    ) {
        self.message(|| {
            let (kind, signed, why) = match opened {
                Ok((kind, Peer { signer: Some(_) })) => (Some(kind), Signed::Valid, None),
                Ok((kind, Peer { signer: None })) => (Some(kind), Signed::None, None),
                Err(why) => (None, Signed::Refused, Some(why.to_string())),
            };
            Wired { received: true, service, kind, bytes, signed, why }
        });
    }

    fn message<'w>(&self, wired: impl FnOnce() -> Wired<'w>) {
        if self.bus.is_wanted(MESSAGE.name) {
            self.bus.publish(of_exchange::message(&wired(), self.clock.now().wall));
        }
    }

    /// An exchange is over that began then.
    pub(crate) fn exchanged<'e>(&self, begun: Span, exchange: impl FnOnce(Span) -> Exchange<'e>) {
        if self.bus.is_wanted(REQUEST.name) {
            let now = self.clock.now();
            let exchange = exchange(now.since_start - begun);
            self.bus.publish(of_exchange::request(&exchange, now.wall));
        }
    }
}
