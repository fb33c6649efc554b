//! Takes the TCP sessions of monitors, with TLS or on the loopback without.
//!
//! ```text
//! connection -> (TLS) -> ConnectionRequest -> token, monitor -> ConnectionResponse -> session
//! ```

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::daemon::transport::Listener;
use crate::fact::Draft;
use crate::fact::topic::own;

use super::frames::{ConnectionRequest, Status, connection_response};
use super::registry::{Lease, MonitorFault, Monitors};
use super::session::{Peer, Session};

/// Who may read monitors.
pub(in crate::daemon) trait Door: Send + Sync {
    /// The name of this token, where it may read monitors.
    fn owner(&self, token: &str) -> Option<String>;
    /// Somebody there has shown a wrong token; how long the answer is to wait.
    fn failed(&self, peer: IpAddr) -> Duration;
}

/// How long a peer may take.
#[derive(Clone, Copy, Debug)]
pub(in crate::daemon) struct Patience {
    /// To say who it is, after it has connected, and for TLS.
    pub(in crate::daemon) request: Duration,
    /// To confirm a block.
    pub(in crate::daemon) receipt: Duration,
    /// To take a block, which has 1 MiB and a bit at most.
    pub(in crate::daemon) block: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { request: seconds(10), receipt: seconds(60), block: seconds(30) }
    }
}

/// What a session needs.
pub(in crate::daemon) struct PushMonitors {
    pub(in crate::daemon) monitors: Monitors,
    pub(in crate::daemon) door: Arc<dyn Door>,
    pub(in crate::daemon) patience: Patience,
    /// `None`: in the clear.
    pub(in crate::daemon) tls: Option<TlsAcceptor>,
}

impl PushMonitors {
    /// Serves until `stop`, then cuts what is open.
    pub(in crate::daemon) async fn run(self, listener: Listener, stop: impl Future<Output = ()>) {
        let desk = Arc::new(self);
        let serve = |stream, peer| {
            let desk = desk.clone();
            async move {
                let Some(tls) = desk.tls.clone() else { return desk.serve(stream, peer).await };
                match timeout(desk.patience.request, tls.accept(stream)).await {
                    Ok(Ok(stream)) => desk.serve(stream, peer).await,
                    Ok(Err(error)) => tracing::debug!("a session of {peer} failed: {error}"),
                    Err(_) => tracing::debug!("a session of {peer} said nothing"),
                }
            }
        };
        listener.run(stop, serve).await;
    }

    /// One connection, from the first byte to the last.
    async fn serve<S: AsyncRead + AsyncWrite + Send>(&self, stream: S, address: SocketAddr) {
        let mut peer = Peer::new(stream);
        let request = match timeout(self.patience.request, peer.request()).await {
            Ok(Ok(request)) => request,
            Ok(Err(end)) => {
                tracing::debug!("a session of {address} ended: {end}");
                if end.is_nonsense() {
                    self.answer(&mut peer, Status::BadRequest).await;
                }
                return;
            }
            Err(_) => return tracing::debug!("a session of {address} said nothing"),
        };
        let lease = match self.admit(&request) {
            Ok(lease) => lease,
            Err(MonitorFault::Busy) => return tracing::warn!("{}", MonitorFault::Busy),
            Err(why) => {
                sleep(self.door.failed(address.ip())).await;
                tracing::info!("a session of {address} for monitor {} is refused: {why}", request.monitor);
                self.answer(&mut peer, Status::Forbidden).await;
                return;
            }
        };
        if self.answer(&mut peer, Status::Ok).await {
            self.tell_connected(&lease, address);
            lease.begin();
            let monitors = self.monitors.clone();
            Session::new(peer, lease, monitors, self.patience).run().await;
        } else {
            lease.end().await;
        }
    }

    /// Whoever may not read this monitor is not told whether there is one.
    fn admit(&self, request: &ConnectionRequest) -> Result<Lease, MonitorFault> {
        let owner = self.door.owner(&request.password).filter(|owner| *owner == request.user);
        let owner = owner.ok_or(MonitorFault::Unknown(request.monitor))?;
        self.monitors.connect(&owner, request.monitor)
    }

    /// Whether the peer has taken the answer.
    async fn answer<S: AsyncRead + AsyncWrite>(&self, peer: &mut Peer<S>, status: Status) -> bool {
        let frame = connection_response(status);
        let write = async {
            peer.writing.write_all(&frame).await?;
            peer.writing.flush().await
        };
        timeout(self.patience.block, write).await.is_ok_and(|written| written.is_ok())
    }

    fn tell_connected(&self, lease: &Lease, address: SocketAddr) {
        let id = lease.monitor.id;
        let data = [
            ("monitor", id.into()),
            ("transport", if self.tls.is_some() { "tls" } else { "tcp" }.into()),
            ("peer", address.to_string().into()),
        ];
        let time = self.monitors.clock.now().wall;
        self.monitors.bus.publish(Draft::new(&own::MONITOR_CONNECTED, Some(id.to_string()), time, data));
    }
}
