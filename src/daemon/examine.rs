//! Tries the whole path to the VTN step by step, and says in plain words which step fails and what to do.
//!
//! Nothing is changed at the VTN: the only message is `oadrQueryRegistration`.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{CONTENT_TYPE, DATE, HOST};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::openadr::message::{Payload, QueryRegistration, RequestId};
use crate::openadr::signature::{Description, sign};
use crate::openadr::xml::{Limits, encode};
use crate::time::{Span, Timestamp};

use super::clock::{CLOCK_ADVICE, Clock, unset};
use super::entropy;
use super::examine_push::examine_push;
use super::prepare::Prepared;
use super::transport::causes;
use super::transport::tls::{Secured, TlsClient, TlsStream};

const PATIENCE: Duration = Duration::from_secs(10);
/// A clock that is further away makes signed messages look old.
const SKEW: Span = Span::from_seconds(60);

/// What one step has shown.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) step: &'static str,
    /// What was seen; or what is wrong.
    pub(crate) seen: Vec<String>,
    /// What to do, where the step failed.
    pub(crate) advice: Option<String>,
}

impl Finding {
    pub(crate) fn good(step: &'static str, seen: impl Into<String>) -> Self {
        Self { step, seen: vec![seen.into()], advice: None }
    }

    pub(crate) fn bad(step: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { step, seen: vec![seen.into()], advice: Some(advice.into()) }
    }

    fn and(mut self, more: impl Into<String>) -> Self {
        self.seen.push(more.into());
        self
    }
}

/// Tries everything up to the first step that fails, and tells each finding as it comes.
pub(crate) async fn examine(prepared: &mut Prepared, tell: &mut impl FnMut(Finding)) {
    let Err(finding) = path(prepared, tell).await else { return };
    tell(finding);
}

async fn path(prepared: &mut Prepared, tell: &mut impl FnMut(Finding)) -> Result<(), Finding> {
    let clock = Clock::start();
    can_be_right(clock.now().wall)?;
    let place = Place::of(&prepared.root)?;
    let addresses = place.resolve().await?;
    tell(Finding::good("name", format!("{} is {}", place.host, listed(&addresses))));
    let address = place.connect(&addresses).await?;
    tell(Finding::good("connection", format!("{address} answers")));
    let tls = &prepared.credentials.tls;
    let stream = match place.secure(address, tls).await {
        Ok(stream) => stream,
        Err(why) => return Err(place.explain(address, tls, &why).await),
    };
    tell(secured(&stream));
    let response = place.query(stream, prepared, clock).await?;
    tell(Finding::good("request", "our certificate was accepted, and the service EiRegisterParty answers"));
    let now = clock.now().wall;
    tell(skew(&response, now)?);
    tell(believed(prepared, response, now)?);
    if let Some(push) = prepared.push.take() {
        examine_push(push, &prepared.credentials, tell).await;
    }
    Ok(())
}

fn listed(addresses: &[SocketAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    texts.join(", ")
}

/// Where the VTN is.
struct Place {
    host: String,
    port: u16,
    path: String,
}

impl Place {
    fn of(root: &str) -> Result<Self, Finding> {
        let bad = || Finding::bad("address", format!("{root} is no address"), "put [vtn] url right");
        let uri: Uri = root.parse().map_err(|_| bad())?;
        let host = uri.host().ok_or_else(bad)?.trim_matches(['[', ']']).to_owned();
        Ok(Self { host, port: uri.port_u16().unwrap_or(443), path: uri.path().to_owned() })
    }

    async fn resolve(&self) -> Result<Vec<SocketAddr>, Finding> {
        let advice = "is [vtn] url spelt right, and does this machine have a name server (/etc/resolv.conf)?";
        let found =
            tokio::time::timeout(PATIENCE, tokio::net::lookup_host((self.host.as_str(), self.port))).await;
        match found {
            Ok(Ok(addresses)) => Ok(addresses.collect()),
            Ok(Err(error)) => {
                Err(Finding::bad("name", format!("{} is not known: {error}", self.host), advice))
            }
            Err(_) => Err(Finding::bad("name", format!("no answer about {}", self.host), advice)),
        }
    }

    /// The first address that answers.
    async fn connect(&self, addresses: &[SocketAddr]) -> Result<SocketAddr, Finding> {
        let mut seen = Vec::new();
        for address in addresses {
            match tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await {
                Ok(Ok(_)) => return Ok(*address),
                Ok(Err(error)) => seen.push(format!("{address}: {error}")),
                Err(_) => seen.push(format!("{address}: no answer within {} s", PATIENCE.as_secs())),
            }
        }
        let advice =
            "is the port in [vtn] url right, is the VTN up, and does a firewall let this machine out to it?";
        Err(Finding { step: "connection", seen, advice: Some(advice.into()) })
    }

    async fn secure(&self, address: SocketAddr, tls: &TlsClient) -> Result<TlsStream, String> {
        let handshake = async { tls.connect(&self.host, TcpStream::connect(address).await?).await };
        match tokio::time::timeout(PATIENCE, handshake).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(causes(&error)),
            Err(_) => Err(format!("nothing came within {} s", PATIENCE.as_secs())),
        }
    }

    /// Why TLS failed, with a look at the certificate that was refused.
    async fn explain(&self, address: SocketAddr, tls: &TlsClient, why: &str) -> Finding {
        let certificate = match tls.looking() {
            Ok(looking) => self.secure(address, &looking).await.ok().and_then(|stream| stream.secured.peer),
            Err(_) => None,
        };
        let names = certificate.as_ref().map(|shown| shown.names.join(", ")).unwrap_or_default();
        let issuer = certificate.as_ref().map(|shown| shown.issuer.clone()).unwrap_or_default();
        let advice = if why.contains("UnknownIssuer") || why.contains("BadSignature") {
            format!("[tls] ca must name the certificate of whoever signed the VTN's: \"{issuer}\"")
        } else if why.contains("not valid for") || why.contains("NotValidForName") {
            format!(
                "the certificate is for {names}: put that name into [vtn] url, or where it is a common name only, set [tls] server_name = \"allow-cn\""
            )
        } else if why.contains("expired") || why.contains("not valid yet") {
            "compare the dates with the clock of this machine; if that is right, the VTN needs a new certificate".into()
        } else if why.contains("HandshakeFailure") {
            "the VTN must offer TLS 1.2 with ECDHE and AES-GCM, or TLS 1.3; where it cannot, [tls] backend = \"openssl\" has the suites of OpenADR too".into()
        } else if why.contains("ProtocolVersion") || why.contains("protocol") {
            "the VTN offers no version of TLS that is still safe: it must offer TLS 1.2 or 1.3".into()
        } else if why.contains("alert") {
            "the VTN does not accept our certificate: has the utility been told of it, and did the authority that it expects sign it?".into()
        } else {
            "is this really the port of a VTN that speaks TLS?".into()
        };
        let finding = Finding::bad("tls", why, advice);
        match certificate {
            Some(certificate) => finding.and(described(&certificate)),
            None => finding,
        }
    }

    async fn query(
        &self,
        stream: TlsStream,
        prepared: &Prepared,
        clock: Clock,
    ) -> Result<Response<Bytes>, Finding> {
        let broken = |why: String| {
            let advice = "the VTN may refuse our certificate only now: has the utility been told of it? \
                          Otherwise something between cuts connections";
            Finding::bad("request", why, advice)
        };
        let payload: Payload = QueryRegistration { request_id: RequestId::from("doctor") }.into();
        let message = match &prepared.credentials.key {
            None => encode(&payload).unsigned(),
            Some(key) => sign(&payload, key, clock.now().wall, &entropy::dice())
                .map_err(|error| broken(error.to_string()))?,
        };
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/EiRegisterParty", self.path))
            .header(HOST, format!("{}:{}", self.host, self.port))
            .header(CONTENT_TYPE, "application/xml")
            .body(Full::new(Bytes::from(message)))
            .map_err(|error| broken(error.to_string()))?;
        let exchange = async {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            sender.send_request(request).await
        };
        let response = match tokio::time::timeout(PATIENCE, exchange).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(broken(causes(&error))),
            Err(_) => return Err(broken(format!("no answer within {} s", PATIENCE.as_secs()))),
        };
        let (parts, body) = response.into_parts();
        if parts.status.as_u16() != 200 {
            return Err(status(parts.status.as_u16(), &self.path));
        }
        let body = Limited::new(body, Limits::VEN.bytes).collect().await;
        let body = body.map_err(|error| broken(error.to_string()))?.to_bytes();
        Ok(Response::from_parts(parts, body))
    }
}

fn status(code: u16, path: &str) -> Finding {
    let advice = match code {
        404 | 405 => format!("there is no VTN at {path}: ask the utility for the whole address, and put it into [vtn] url"),
        401 | 403 => "the VTN knows the address but not us: tell the utility the fingerprint that `ven check` prints".into(),
        406 | 415 => "something between takes offence at XML; is there a proxy?".into(),
        503 | 429 => "the VTN is busy or being mended; try again later".into(),
        _ => "the VTN has a fault of its own, or cannot read our message: tell the utility this status and the time".into(),
    };
    Finding::bad("request", format!("http status {code}"), advice)
}

fn described(certificate: &Description) -> String {
    let Description { subject, issuer, from, to, fingerprint, .. } = certificate;
    format!(
        "certificate of \"{subject}\" by \"{issuer}\", valid from {from} to {to}, fingerprint {fingerprint}"
    )
}

fn secured(stream: &TlsStream) -> Finding {
    let Secured { backend, version, suite, peer } = &stream.secured;
    let finding = Finding::good("tls", format!("{version}, {suite}, by {backend}"));
    match peer {
        Some(certificate) => finding.and(described(certificate)),
        None => finding,
    }
}

/// Certificates look as if they were not valid yet by a clock that was never set, so that is told first.
fn can_be_right(now: Timestamp) -> Result<(), Finding> {
    unset(now).map_or(Ok(()), |unset| Err(Finding::bad("clock", unset, CLOCK_ADVICE)))
}

/// How far our clock is from that of the VTN.
fn skew(response: &Response<Bytes>, now: Timestamp) -> Result<Finding, Finding> {
    let date = response.headers().get(DATE).and_then(|value| value.to_str().ok());
    let Some(theirs) = date.and_then(|text| chrono::DateTime::parse_from_rfc2822(text).ok()) else {
        return Ok(Finding::good("clock", "the VTN does not say what time it is"));
    };
    let skew = now - Timestamp::from_seconds(theirs.timestamp());
    let text = format!("ours is {} s from that of the VTN", skew.seconds());
    if skew.abs() <= SKEW {
        return Ok(Finding::good("clock", text));
    }
    let advice = format!("one of the two clocks is wrong, and signatures are refused for it: {CLOCK_ADVICE}");
    Err(Finding::bad("clock", text, advice))
}

/// Is the answer signed by whom we expect, and what does it say?
fn believed(prepared: &mut Prepared, response: Response<Bytes>, now: Timestamp) -> Result<Finding, Finding> {
    let body = response.into_body();
    let opened = prepared.gate.open(&body, now);
    let payload = opened.map(crate::openadr::trust::Verified::into_content).map_err(|why| {
        let text = why.to_string();
        let advice = if text.contains("pinned") {
            "if the utility confirms that the fingerprint found is that of its VTN, put it into [signature] vtn_fingerprint"
        } else if text.contains("not signed") {
            "the VTN does not sign; if the utility says that this is so, set [signature] verify = \"never\", which trusts TLS alone"
        } else {
            "tell the utility; [signature] says what we demand"
        };
        Finding::bad("signature", text, advice)
    })?;
    if let Payload::Response(answer) = payload {
        // Not every VTN knows the query, and nothing hangs on it.
        return Ok(Finding::good("answer", format!("believed; the VTN says {}", answer.response)));
    }
    let kind = payload.kind();
    let Payload::CreatedPartyRegistration(answer) = payload else {
        let advice = "tell the utility; no VTN should answer a query like this";
        return Err(Finding::bad("answer", format!("the VTN answers with {kind}"), advice));
    };
    if !answer.response.code.is_success() {
        let advice = "the utility must let this VEN in: tell it the fingerprint that `ven check` prints";
        return Err(Finding::bad("answer", format!("the VTN refuses us: {}", answer.response), advice));
    }
    let known = match (&answer.ven_id, &answer.registration_id) {
        (Some(ven_id), Some(_)) => format!("we are registered there as {ven_id}"),
        _ => "whether we are registered, it does not say; `ven run` registers".to_owned(),
    };
    Ok(Finding::good("answer", format!("believed; VTN {}: {known}", answer.vtn_id)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hyper::Response;
    use hyper::header::DATE;

    use super::{Timestamp, can_be_right, skew};

    #[test]
    fn a_clock_that_is_wrong_is_named() {
        let response = |date: &str| Response::builder().header(DATE, date).body(Bytes::new()).unwrap();
        let now = "2030-01-01T12:00:00Z".parse().unwrap();
        let good = skew(&response("Tue, 01 Jan 2030 12:00:30 GMT"), now).unwrap();
        assert_eq!(good.seen, ["ours is -30 s from that of the VTN"]);
        let bad = skew(&response("Tue, 01 Jan 2030 11:50:00 GMT"), now).unwrap_err();
        assert_eq!(bad.seen, ["ours is 600 s from that of the VTN"]);
        assert!(bad.advice.unwrap().contains("timedatectl"));
        assert!(skew(&response("yesterday"), now).is_ok(), "what is no date says nothing");
        assert!(can_be_right(now).is_ok());
        let unset = can_be_right(Timestamp::EPOCH).unwrap_err();
        assert!(unset.seen[0].contains("1970-01-01") && unset.advice.unwrap().contains("timedatectl"));
    }
}
