//! Push mode while certificates are replaced or expire, and what the journal keeps of it.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use openadr_ven::message::PayloadKind;
use openadr_ven::mock_vtn::{EventBuilder, KeyKind, MockVtn, VtnCore};
use openadr_ven::time::{Span, Timestamp};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::support::authority::Authority;
use crate::support::push::{Reserved, exchange, no_events, post, secure, sign, tls};
use crate::support::{House, PATIENCE, Process};

/// A VTN that believes every VEN of an authority, and a VEN of it that is pushed to.
struct Scene {
    house: House,
    authority: Authority,
    vtn: MockVtn,
    ven: Process,
    reserved: Reserved,
    /// When the first certificate of the VEN expires.
    until: Timestamp,
}

impl Scene {
    async fn new(valid: Span) -> Self {
        let (house, reserved) = (House::new(KeyKind::P256), Reserved::new());
        let authority = Authority::new(&house.path("cn"));
        let (vtn, fingerprint) = authority.vtn_for_all().await;
        let until = Timestamp::from_seconds((vtn.now() + valid).seconds());
        authority.issue_host("ven", "localhost", until);
        let text = reserved.configuration(&house, &vtn.url(), "", "").replace("certs/", "cn/");
        let text = text.replace(house.certificates.vtn_fingerprint(), &fingerprint);
        let path = house.path("ven.toml");
        std::fs::write(&path, text.replace("[tls]", "[tls]\nserver_name = \"allow-cn\"")).unwrap();
        let ven = Process::ven(&path);
        let scene = Self { house, authority, vtn, ven, reserved, until };
        scene.until("it is registered", |core| core.count(PayloadKind::RequestEvent) > 0).await;
        scene
    }

    async fn until(&self, what: &str, holds: impl FnMut(&mut VtnCore) -> bool) {
        let come = self.vtn.until(PATIENCE, holds).await;
        let failures = self.vtn.with(|core| core.push_failures.clone());
        assert!(come, "{what}: did not come; {failures:?}; the log:\n{}", self.ven.log().join("\n"));
    }

    /// The VTN pushes an event, and gets the answer.
    async fn pushes(&self, id: &str) {
        let start = self.vtn.now() + Span::HOUR;
        self.vtn.with(|core| core.add_event(EventBuilder::new(id, start, Span::HOUR)));
        self.until(id, |core| core.opts.iter().any(|opt| opt.event_id == id.into())).await;
    }

    fn connector(&self) -> tokio_rustls::TlsConnector {
        let folder = self.house.path("cn");
        tls(&folder, Some((&folder, "vtn")))
    }

    /// A connection of the VTN, and the certificate that it was shown.
    async fn connect(&self) -> (TlsStream<TcpStream>, CertificateDer<'static>) {
        let stream = secure(self.reserved.address, &self.connector()).await.unwrap();
        let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned();
        (stream, shown)
    }

    fn certificate(&self, file: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.house.path("cn").join(format!("{file}.pem"))).unwrap()
    }

    /// A new pair takes the place of ours; returns what the VEN says of it.
    fn replace(&self) -> String {
        let fingerprint = self.authority.issue_host("new", "localhost", self.vtn.now() + Span::DAY);
        for ending in ["pem", "key"] {
            let file = |name: &str| self.house.path("cn").join(format!("{name}.{ending}"));
            std::fs::copy(file("new"), file("ven")).unwrap();
        }
        format!("tell the utility our fingerprint if it is new: {fingerprint}")
    }

    /// A lawful message, after which the VTN would keep the connection.
    fn message(&self) -> Vec<u8> {
        let signed = sign(&no_events("mock-vtn"), &self.house.path("cn/vtn"));
        let text = String::from_utf8(post("EiEvent", &signed)).unwrap();
        text.replace("Connection: close\r\n", "").into_bytes()
    }
}

/// What comes until the VEN closes the connection.
async fn rest(mut stream: TlsStream<TcpStream>, bytes: &[u8]) -> String {
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    read.unwrap();
    String::from_utf8_lossy(&answer).to_ascii_lowercase()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vtn_that_pushes_sees_a_new_certificate_without_a_restart() {
    let scene = Scene::new(Span::DAY).await;
    scene.pushes("before").await;
    let (old, shown) = scene.connect().await;
    assert_eq!(shown, scene.certificate("ven"));
    let said = scene.replace();
    scene.ven.wait_for_news_of_certificates(&said, 0);
    let answer = rest(old, &scene.message()).await;
    assert!(answer.starts_with("http/1.1 200"), "what is under way is served: {answer}");
    assert!(answer.contains("connection: close"), "and then the connection ends: {answer}");
    let (_new, shown) = scene.connect().await;
    assert_eq!(shown, scene.certificate("new"));
    scene.pushes("after").await;
    scene.vtn.with(|core| {
        assert_eq!((core.violations.clone(), core.push_failures.clone()), (vec![], vec![]));
        assert_eq!(core.registrations(), 1);
    });
    assert_eq!(scene.vtn.clients().len(), 2, "requests of ours show the new one too");
    scene.ven.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_516_nobody_is_let_in_while_our_certificate_has_expired() {
    let scene = Scene::new(Span::from_seconds(15)).await;
    scene.pushes("before").await;
    let message = scene.message();
    // Silent connections are closed after 10 s; this one is made when the end is near.
    let left = |until: Timestamp| (until - scene.vtn.now()).to_std();
    tokio::time::sleep(left(scene.until - Span::from_seconds(4))).await;
    let (old, _) = scene.connect().await;
    tokio::time::sleep(left(scene.until + Span::SECOND)).await;
    let answer = rest(old, &message).await;
    assert!(answer.starts_with("http/1.1 503") && answer.contains("connection: close"), "{answer}");
    scene.ven.wait_for_news_of_certificates("a certificate of the connection has expired", 0);

    let answer = exchange(scene.reserved.address, &scene.connector(), &message).await;
    assert!(!answer.as_ref().is_ok_and(|answer| !answer.is_empty()), "{answer:?}");
    scene.ven.wait_for_news_of_certificates(
        "a connection to our services is refused: our certificate has expired",
        0,
    );
    let start = scene.vtn.now() + Span::HOUR;
    scene.vtn.with(|core| core.add_event(EventBuilder::new("meanwhile", start, Span::HOUR)));
    scene.until("the VTN fails", |core| !core.push_failures.is_empty()).await;
    // Of what is answered twice on a slow machine there is no telling.
    let answered = |core: &VtnCore| core.opts.iter().any(|opt| opt.event_id.as_str() == "meanwhile");
    scene.vtn.with(|core| assert!(!answered(core)));

    let said = scene.replace();
    scene.ven.wait_for_news_of_certificates(&said, 0);
    scene.until("the answer", |core| answered(core)).await;
    scene.vtn.with(|core| assert_eq!(core.registrations(), 1));
    scene.ven.terminate();
}
