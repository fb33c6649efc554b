//! Tries whether a VTN that pushes would find us: can we listen, and does the address lead here?

use std::io::ErrorKind;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::openadr::trust::Fingerprint;

use super::certificates::Credentials;
use super::examine::Finding;
use super::prepare::PreparedPush;
use super::transport::causes;
use super::transport::tls::TlsClient;

const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn examine_push(push: PreparedPush, ours: &Credentials, tell: &mut impl FnMut(Finding)) {
    let PreparedPush { listen, root, fingerprint: own, .. } = push;
    let finding = match TcpListener::bind(listen).await {
        Ok(listener) => {
            if let Some(tls) = ours.server.clone() {
                tokio::spawn(answer(listener, tls.into()));
            }
            Finding::good("listening", format!("{listen} is free"))
        }
        // What runs there is looked at next.
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            Finding::good("listening", format!("{listen} is in use: is that `ven run`?"))
        }
        Err(error) => {
            let advice =
                "is [push] listen an address of this machine, and may this user listen at ports below 1024?";
            Finding::bad("listening", format!("{listen}: {error}"), advice)
        }
    };
    tell(finding);
    tell(match reach(&root, &ours.tls).await {
        Ok(Some(found)) if found == own => {
            Finding::good("reachable", format!("{root} is this VEN, fingerprint {found}"))
        }
        Ok(found) => {
            let found = found.map_or_else(|| "none".to_owned(), |found| found.to_string());
            let seen = format!("{root} is somebody else: its fingerprint is {found}, ours is {own}");
            let advice = "does the name in [push] address lead to this machine, and is the port passed on to [push] listen? If \
                          `ven run` runs there, is it with the same [tls] cert?";
            Finding::bad("reachable", seen, advice)
        }
        Err(why) => {
            let advice = "does the name in [push] address lead to this machine, and is the port passed on to [push] listen? Some \
                          routers pass on what comes from outside only; then ask the utility to try";
            Finding::bad("reachable", format!("{root} from here: {why}"), advice)
        }
    });
}

/// Handshakes are all that is wanted.
async fn answer(listener: TcpListener, acceptor: TlsAcceptor) {
    while let Ok((stream, _)) = listener.accept().await {
        drop(acceptor.accept(stream).await);
    }
}

/// The fingerprint of whoever speaks TLS there.
async fn reach(root: &str, tls: &TlsClient) -> Result<Option<Fingerprint>, String> {
    let uri: hyper::Uri = root.parse().map_err(|_| "it is no address".to_owned())?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let looking = tls.looking().map_err(|error| error.to_string())?;
    let handshake = async {
        let stream = TcpStream::connect((host.as_str(), uri.port_u16().unwrap_or(443))).await?;
        looking.connect(&host, stream).await
    };
    match timeout(PATIENCE, handshake).await {
        Ok(Ok(stream)) => Ok(stream.secured.peer.as_ref().map(|shown| shown.fingerprint)),
        Ok(Err(error)) => Err(causes(&error)),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}
