//! Connects to whom a hook speaks with.
//!
//! A name is resolved anew for each connection and only once: every address is judged, and the connection goes to the very address
//! that was. A name that leads elsewhere a moment later (DNS rebinding) changes nothing.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};

use crate::time::Span;

use super::address;

/// Of the addresses of a name no more than these are tried.
const MOST_ADDRESSES: usize = 8;

/// Whom a hook speaks with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// A name, or an address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// The own machine and the own network may be spoken to.
    pub(super) allow_private: bool,
}

impl Peer {
    /// Connects to the first of its addresses that may be spoken to and that answers; each gets its share of the time.
    ///
    /// # Errors
    ///
    /// Says why there is no connection.
    pub(super) async fn connect(&self, within: Duration) -> Result<TcpStream, String> {
        self.connect_by(within, || async {
            Ok(lookup_host((self.host.as_str(), self.port)).await?.take(MOST_ADDRESSES).collect())
        })
        .await
    }

    async fn connect_by<R: Future<Output = io::Result<Vec<SocketAddr>>>>(
        &self,
        within: Duration,
        resolve: impl FnOnce() -> R,
    ) -> Result<TcpStream, String> {
        let found = tokio::time::timeout(within, resolve()).await;
        let found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let found = found.map_err(|error| format!("cannot resolve {}: {}", self.host, in_short(&error)))?;
        let (mut good, mut why) = (Vec::new(), None);
        for address in found {
            match address::check(address.ip(), self.allow_private) {
                Ok(()) => good.push(address),
                Err(forbidden) => why = Some(format!("{}: {forbidden}", self.host)),
            }
        }
        let share = within / u32::try_from(good.len().max(1)).unwrap_or(1);
        for address in good {
            match tokio::time::timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => why = Some(format!("no connection to {address}: {}", in_short(&error))),
                Err(_) => why = Some(format!("no connection to {address} within {}", Span::from_std(share))),
            }
        }
        Err(why.unwrap_or_else(|| format!("{} has no address", self.host)))
    }
}

/// Without the number of the operating system.
fn in_short(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::net::TcpListener;

    use super::*;

    const PATIENT: Duration = Duration::from_secs(60);

    fn peer(allow_private: bool) -> Peer {
        Peer { host: "device.example".to_owned(), port: 80, allow_private }
    }

    #[tokio::test]
    async fn a_name_that_leads_elsewhere_after_it_was_judged_changes_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        let asked = Cell::new(0);
        // As a name server of an attacker answers: the second time with what it is after.
        let answer = async || {
            asked.set(asked.get() + 1);
            Ok(vec![if asked.get() == 1 { there } else { "169.254.169.254:80".parse().unwrap() }])
        };
        let stream = peer(true).connect_by(PATIENT, &answer).await.unwrap();
        assert_eq!((stream.peer_addr().unwrap(), asked.get()), (there, 1), "it is not asked twice");
        let again = peer(true).connect_by(PATIENT, &answer).await.unwrap_err();
        let judged =
            "device.example: 169.254.169.254 is an address of the local link, which no hook may speak to";
        assert_eq!((again.as_str(), asked.get()), (judged, 2), "each connection is judged anew");
    }

    #[tokio::test]
    async fn of_the_addresses_of_a_name_only_those_are_tried_that_may_be() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        let addresses = || async move { Ok(vec!["224.0.0.1:80".parse().unwrap(), there]) };
        let stream = peer(true).connect_by(PATIENT, addresses).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), there);
        let why = peer(false).connect_by(PATIENT, addresses).await.unwrap_err();
        assert!(why.contains("127.0.0.1 is an address of this machine; allow_private"), "{why}");
        let none = peer(false).connect_by(PATIENT, || async { Ok(Vec::new()) }).await.unwrap_err();
        assert_eq!(none, "device.example has no address");
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_server_that_says_nothing_is_given_up() {
        let why = peer(true).connect_by(PATIENT, std::future::pending).await.unwrap_err();
        assert!(why.starts_with("cannot resolve device.example: "), "{why}");
    }
}
