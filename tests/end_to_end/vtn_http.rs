//! VTNs whose HTTP is broken or hostile: the VEN says what is wrong, takes no harm and little memory, and asks again.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may fail by panicking, and tells what it measured"
)]

use std::sync::Arc;
use std::time::Duration;

use openadr_ven::mock_vtn::KeyKind;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::support::{House, PATIENCE, Process};

type Stream = TlsStream<tokio::net::TcpStream>;

/// More memory than this is not taken, whatever comes (in kB).
const MORE: u64 = 32 * 1024;

/// What is answered to every request.
#[derive(Clone)]
enum Answer {
    /// These octets, and the end of the connection.
    Octets(Vec<u8>),
    /// These octets, then blanks without end.
    Endless(Vec<u8>),
    /// These octets, then one octet each second.
    Drops(Vec<u8>),
}

impl Answer {
    async fn write(&self, stream: &mut Stream) -> std::io::Result<()> {
        match self {
            Self::Octets(octets) => stream.write_all(octets).await?,
            Self::Endless(octets) => {
                stream.write_all(octets).await?;
                let blanks = vec![b' '; 64 * 1024];
                loop {
                    stream.write_all(&blanks).await?;
                }
            }
            Self::Drops(octets) => {
                stream.write_all(octets).await?;
                loop {
                    stream.write_all(b" ").await?;
                    stream.flush().await?;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
        stream.shutdown().await
    }
}

fn head(status: &str, headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}\r\n").into_bytes()
}

fn with_body(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    [head(status, &format!("{headers}Content-Length: {}\r\n", body.len())), body.to_vec()].concat()
}

/// Reads a request with its body; returns its head, or `None` at the end of the connection.
async fn request(stream: &mut Stream) -> Option<String> {
    let mut octets = Vec::new();
    loop {
        let mut some = [0; 4096];
        let count = stream.read(&mut some).await.ok().filter(|count| *count > 0)?;
        octets.extend_from_slice(&some[..count]);
        let text = String::from_utf8_lossy(&octets).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
        if body.len() >= length.unwrap() {
            return Some(head.to_owned());
        }
    }
}

/// Answers everybody alike; each head that comes is sent to whoever asked for them.
async fn serve(house: &House, answer: Answer) -> (String, mpsc::UnboundedReceiver<String>) {
    let pem = |name: &str| std::fs::read(house.certificates.path(name)).unwrap();
    let certificate = CertificateDer::from_pem_slice(&pem("vtn.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&pem("vtn.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = builder.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let (heads, came) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, answer, heads) = (acceptor.clone(), answer.clone(), heads.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(tcp).await else { return };
                while let Some(head) = request(&mut stream).await {
                    drop(heads.send(head));
                    // The VEN may have had enough.
                    if answer.write(&mut stream).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (url, came)
}

/// The most memory that a process has had so far, in kB.
fn peak(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The VEN names what is wrong, asks again, lives, and takes no more memory for it; returns the heads of its requests.
async fn bears(name: &str, answer: Answer, said: &str) -> Vec<String> {
    let house = House::new(KeyKind::P256);
    // What a VEN takes that is answered by nothing but a status.
    let (quiet, _heads) = serve(&house, Answer::Octets(with_body("503 Busy", "", b""))).await;
    let process = Process::ven(&house.configure(&quiet, ""));
    process.wait_for("http status 503", 0);
    let before = peak(&process);
    process.terminate();

    let (url, mut came) = serve(&house, answer).await;
    let mut process = Process::ven(&house.configure(&url, ""));
    let line = process.wait_for(said, 0);
    let mut heads = Vec::new();
    while heads.len() < 2 {
        heads.push(tokio::time::timeout(PATIENCE, came.recv()).await.unwrap().unwrap());
    }
    process.wait_for(said, line);
    let more = peak(&process).saturating_sub(before);
    eprintln!("{name}: {} kB more than {before} kB; {}", more, process.log()[line - 1]);
    assert!(more < MORE, "{name}: {more} kB more");
    assert!(process.lives());
    process.terminate();
    heads
}

const XML: &str = "Content-Type: application/xml\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_the_headers_that_vtns_want() {
    let heads = bears("headers", Answer::Octets(with_body("500 Fault", "", b"")), "http status 500").await;
    for head in heads {
        let lower = head.to_lowercase();
        assert!(head.starts_with("POST /OpenADR2/Simple/2.0b/EiRegisterParty HTTP/1.1\r\n"), "{head}");
        assert!(lower.contains("\r\ncontent-type: application/xml") && !lower.contains("charset"), "{head}");
        assert!(lower.contains("\r\ncontent-length: ") && lower.contains("\r\nhost: localhost:"), "{head}");
        assert!(
            !lower.contains("expect:") && !lower.contains("chunked") && !lower.contains("accept-encoding"),
            "{head}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_a_hundred_megabytes_is_not_read() {
    let announced = head("200 OK", &format!("{XML}Content-Length: 104857600\r\n"));
    bears("100 MB, announced", Answer::Endless(announced), "reply is larger than").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_end_is_not_read() {
    bears("100 MB, not announced", Answer::Endless(head("200 OK", XML)), "reply is larger than").await;
    let refused = head("502 Bad Gateway", "Content-Type: text/html\r\nContent-Length: 104857600\r\n");
    bears("100 MB of an error page", Answer::Endless(refused), "http status 502").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_without_end_is_not_read() {
    bears("head without end", Answer::Endless(b"HTTP/1.1 200 OK\r\nX-Long: ".to_vec()), "VTN is away").await;
}

/// We never ask for it, so what comes compressed is no message; it is not unpacked.
#[tokio::test(flavor = "multi_thread")]
async fn a_gzip_bomb_is_not_unpacked() {
    // The head of a gzip stream, and what a run of zeros is packed to.
    let bomb = [
        &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..],
        &[0xed, 0xc1, 1, 1, 0, 0, 0, 0x80, 0x90][..],
        &[0; 100_000],
    ]
    .concat();
    let packed = with_body("200 OK", &format!("{XML}Content-Encoding: gzip\r\n"), &bomb);
    bears("gzip", Answer::Octets(packed), "message is unreadable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirection_is_never_followed() {
    let house = House::new(KeyKind::P256);
    let (elsewhere, mut came) = serve(&house, Answer::Octets(with_body("200 OK", "", b""))).await;
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let to = format!("Location: {elsewhere}/OpenADR2/Simple/2.0b/EiRegisterParty\r\n");
        let said = format!("http status {}", &status[..3]);
        bears(status, Answer::Octets(with_body(status, &to, b"")), &said).await;
    }
    assert!(came.try_recv().is_err(), "nobody came to the other address");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_length_is_a_broken_connection() {
    let long = [head("200 OK", &format!("{XML}Content-Length: 5000\r\n")), b"<short/>".to_vec()].concat();
    bears("too long", Answer::Octets(long), "VTN is away").await;
    let short = [head("200 OK", &format!("{XML}Content-Length: 3\r\n")), b"<oadrPayload/>".to_vec()].concat();
    bears("too short", Answer::Octets(short), "message is unreadable").await;
    let two = head("200 OK", &format!("{XML}Content-Length: 3\r\nContent-Length: 4\r\n"));
    bears("two lengths", Answer::Octets([two, b"abcd".to_vec()].concat()), "VTN is away").await;
    let chunk =
        [head("200 OK", &format!("{XML}Transfer-Encoding: chunked\r\n")), b"zz\r\nx\r\n".to_vec()].concat();
    bears("no chunk", Answer::Octets(chunk), "VTN is away").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_comes_drop_by_drop_is_given_up() {
    let slow = head("200 OK", &format!("{XML}Content-Length: 5000\r\n"));
    bears("slow", Answer::Drops(slow), "no answer within 15 s").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_a_broken_connection() {
    bears("no HTTP", Answer::Octets(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), "VTN is away").await;
    bears("HTTP/2", Answer::Octets(b"\0\0\x12\x04\0\0\0\0\0".to_vec()), "VTN is away").await;
}

/// Texts in bodies of errors, wrong types, and statuses with nothing behind them: as real VTNs answer.
#[tokio::test(flavor = "multi_thread")]
async fn what_real_vtns_answer_in_error_is_understood() {
    for (status, headers, body) in [
        ("500 Internal Server Error", "", ""),
        ("404 Not Found", "Content-Type: text/plain\r\n", "404: Not Found"),
        ("403 Forbidden", "Content-Type: text/plain\r\n", "Invalid Signature"),
        ("400 Bad Request", "Content-Type: text/plain\r\n", "XML failed validation"),
        ("418 Who Knows", "", ""),
    ] {
        let said = format!("http status {}", &status[..3]);
        bears(status, Answer::Octets(with_body(status, headers, body.as_bytes())), &said).await;
    }
}

/// 204 is an empty answer, not a fault of the VTN.
#[tokio::test(flavor = "multi_thread")]
async fn no_content_is_an_empty_answer() {
    let empty = bears("200", Answer::Octets(with_body("200 OK", "", b"")), "empty").await;
    let none = bears("204", Answer::Octets(head("204 No Content", "")), "empty").await;
    assert_eq!(empty.len(), none.len());
}
