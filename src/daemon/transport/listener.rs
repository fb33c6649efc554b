//! Takes connections, so many and no more, and makes a task of each, so that nothing of ours ever waits for one.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

/// Connections at a time.
const MOST_CONNECTIONS: usize = 64;
/// Connections at a time from one address, so that one peer cannot keep all others out.
const MOST_FROM_ONE: usize = 16;

/// An address that is listened at.
pub(in crate::daemon) struct Listener {
    listener: TcpListener,
}

impl Listener {
    /// # Errors
    ///
    /// Where the address cannot be listened at.
    pub(in crate::daemon) async fn bind(listen: SocketAddr) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(listen).await? })
    }

    /// Where it listens, its port chosen by the system where none was wanted.
    ///
    /// # Errors
    ///
    /// Where the system does not say.
    pub(in crate::daemon) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`, then cuts what is open.
    pub(in crate::daemon) async fn run<F>(
        self,
        stop: impl Future<Output = ()>,
        serve: impl Fn(TcpStream, SocketAddr) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let (mut slots, mut connections) = (Slots::default(), JoinSet::new());
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => return,
                Some(_) = connections.join_next() => continue,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => match slots.take(peer.ip()) {
                    Some(slot) => {
                        drop(stream.set_nodelay(true));
                        let serving = serve(stream, peer);
                        connections.spawn(async move {
                            serving.await;
                            drop(slot);
                        });
                    }
                    None => tracing::debug!("too many connections: one from {peer} is closed"),
                },
                Err(error) => {
                    tracing::warn!("a connection could not be taken: {error}");
                    // As long as there are no file descriptors, there is nothing to accept either.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

/// Counts connections.
struct Slots {
    all: Arc<Semaphore>,
    by_peer: HashMap<IpAddr, Arc<Semaphore>>,
}

impl Default for Slots {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(MOST_CONNECTIONS)), by_peer: HashMap::new() }
    }
}

impl Slots {
    /// A place for one connection from there, which is given back when it is dropped.
    fn take(&mut self, peer: IpAddr) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        self.by_peer.retain(|_, free| free.available_permits() < MOST_FROM_ONE);
        let of_peer = self.by_peer.entry(peer).or_insert_with(|| Arc::new(Semaphore::new(MOST_FROM_ONE)));
        let of_peer = of_peer.clone().try_acquire_owned().ok()?;
        Some((of_peer, self.all.clone().try_acquire_owned().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_CONNECTIONS, MOST_FROM_ONE, Slots};

    #[test]
    fn one_peer_cannot_take_all_places() {
        let (mut slots, greedy) = (Slots::default(), [10, 0, 0, 1].into());
        let mut held: Vec<_> = std::iter::from_fn(|| slots.take(greedy)).collect();
        assert_eq!(held.len(), MOST_FROM_ONE);
        for last in 2..=u8::MAX {
            held.extend(slots.take([10, 0, 0, last].into()));
        }
        assert_eq!(held.len(), MOST_CONNECTIONS);
        held.clear();
        assert!(slots.take(greedy).is_some(), "places are given back");
        assert_eq!(slots.by_peer.len(), 1, "who has gone is forgotten");
    }
}
