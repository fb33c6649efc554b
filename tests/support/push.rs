//! What tests of push mode need: an address that is ours, the configuration of it, and a client that misbehaves as it is told.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{House, PATIENCE};

/// Under which the services are, in front of what the profile says.
pub(crate) const PREFIX: &str = "/dr";

/// A port that nobody else gets: it is held, and whoever listens there may share it.
pub(crate) struct Reserved {
    _held: TcpSocket,
    pub(crate) address: SocketAddr,
}

impl Reserved {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        Self { address: socket.local_addr().unwrap(), _held: socket }
    }

    /// The transport address of a VEN that listens here.
    pub(crate) fn transport_address(&self) -> String {
        format!("https://localhost:{}{PREFIX}", self.address.port())
    }

    /// A configuration in push mode; `signature` is added to that section, `more` at the end.
    pub(crate) fn configuration(&self, house: &House, url: &str, signature: &str, more: &str) -> String {
        let (listen, address) = (self.address, self.transport_address());
        let push = format!("{signature}\n[push]\nlisten = \"{listen}\"\naddress = \"{address}\"\n{more}");
        house.configuration(url, &push).replace("[vtn]", "[vtn]\nmode = \"push\"")
    }
}

/// TLS of somebody who trusts `ca.pem` in that folder and shows a certificate in files of that name, if any.
pub(crate) fn tls(folder: &Path, certificate: Option<(&Path, &str)>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match certificate {
        None => builder.with_no_client_auth(),
        Some((folder, name)) => {
            let pem = |ending: &str| folder.join(format!("{name}.{ending}"));
            let key = PrivateKeyDer::from_pem_file(pem("key")).unwrap();
            let certificate = CertificateDer::from_pem_file(pem("pem")).unwrap();
            builder.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    TlsConnector::from(Arc::new(config))
}

/// A connection to there from another address of this machine, so that it does not count as the VTN's.
pub(crate) async fn connect(to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 2], 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// The same with TLS.
pub(crate) async fn secure(to: SocketAddr, tls: &TlsConnector) -> std::io::Result<TlsStream<TcpStream>> {
    tls.connect(ServerName::try_from("localhost").unwrap(), connect(to).await).await
}

/// Sends bytes, and returns everything that comes until the other side closes.
pub(crate) async fn exchange(to: SocketAddr, tls: &TlsConnector, bytes: &[u8]) -> std::io::Result<String> {
    let talk = async {
        let mut stream = secure(to, tls).await?;
        // Whoever refuses a large body may close before all of it has been sent.
        let sent = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer).await {
            Err(error) if answer.is_empty() => Err(sent.err().unwrap_or(error)),
            _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
        }
    };
    tokio::time::timeout(PATIENCE, talk).await.unwrap()
}

/// A request of HTTP; `headers` each with its end of line.
pub(crate) fn request(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n{body}")
        .into_bytes()
}

/// A message as a VTN posts it to a service.
pub(crate) fn post(service: &str, body: &str) -> Vec<u8> {
    let headers = format!("Content-Type: application/xml\r\nContent-Length: {}\r\n", body.len());
    request("POST", &format!("{PREFIX}/OpenADR2/Simple/2.0b/{service}"), &headers, body)
}

/// An unsigned oadrDistributeEvent without events.
pub(crate) fn no_events(vtn_id: &str) -> String {
    format!(
        r#"<oadrPayload xmlns="http://openadr.org/oadr-2.0b/2012/07" xmlns:ei="http://docs.oasis-open.org/ns/energyinterop/201110" xmlns:pyld="http://docs.oasis-open.org/ns/energyinterop/201110/payloads"><oadrSignedObject><oadrDistributeEvent ei:schemaVersion="2.0b"><pyld:requestID>d1</pyld:requestID><ei:vtnID>{vtn_id}</ei:vtnID></oadrDistributeEvent></oadrSignedObject></oadrPayload>"#
    )
}

/// A message, signed by whoever has the files `signer`.pem and `signer`.key.
pub(crate) fn sign(message: &str, signer: &Path) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), message).unwrap();
    let mut ven = Command::new(env!("CARGO_BIN_EXE_ven"));
    ven.args(["xml", "sign"]).arg(file.path()).arg("--cert").arg(signer.with_extension("pem"));
    let output = ven.arg("--key").arg(signer.with_extension("key")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
