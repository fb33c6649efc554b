//! Every backend of TLS makes the same checks and carries the same conversation; what rustls cannot speak, OpenSSL can.
//!
//! With `--features openssl` both are tested, otherwise rustls alone.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use openadr_ven::message::PayloadKind;
use openadr_ven::mock_meter::MockMeter;
use openadr_ven::mock_vtn::{EventBuilder, KeyKind, MockVtn, VtnCore};
use openadr_ven::time::Span;

use crate::support::authority::Authority;
use crate::support::telemetry::{meter_section, wish};
use crate::support::{BACKENDS, House, PATIENCE, Process, by, peers};

/// What `ven doctor` says.
fn doctor(house: &House, configuration: &str) -> String {
    let path = house.path("doctor.toml");
    std::fs::write(&path, configuration).unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_ven")).args(["doctor", "--config"]).arg(path).output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

fn says(said: &str, texts: &[&str]) {
    for text in texts {
        assert!(said.contains(text), "{text}\nis not in\n{said}");
    }
}

/// `openssl s_server` with the certificate of the VTN, and where it listens.
fn s_server(openssl: &Path, certificates: &Path, arguments: &[&str]) -> (Process, String) {
    let mut command = Command::new(openssl);
    command.args(["s_server", "-www", "-accept", "127.0.0.1:0", "-CAfile"]).arg(certificates.join("ca.pem"));
    command.arg("-cert").arg(certificates.join("vtn.pem")).arg("-key").arg(certificates.join("vtn.key"));
    let server = Process::start(command.args(["-Verify", "1"]).args(arguments).stdin(Stdio::null()));
    let line = server.wait_for("ACCEPT ", 0);
    let port = server.log()[line - 1].rsplit(':').next().unwrap().trim().to_owned();
    (server, format!("https://localhost:{port}"))
}

/// One of the two cipher suites that OpenADR demands, and no other (section 10.4 of the profile).
fn only(suite: &str, kind: KeyKind) {
    let house = House::new(kind);
    let Some(openssl) = peers::peer("openssl") else { return };
    let (_server, url) = s_server(&openssl, &house.path("certs"), &["-tls1_2", "-cipher", suite]);
    let configuration = house.configuration(&url, "");
    let said = doctor(&house, &by("rustls", &configuration));
    let build = if cfg!(feature = "openssl") { "set [tls] backend" } else { "build with --features openssl" };
    says(&said, &["FAIL tls", "it seems that the VTN offers only", suite, build, "backend = \"openssl\""]);
    if BACKENDS.contains(&"openssl") {
        let said = doctor(&house, &by("openssl", &configuration));
        let seen = format!("ok   tls           TLSv1.2, {suite}, by openssl");
        says(&said, &[&seen, house.certificates.vtn_fingerprint()]);
    }
}

#[test]
fn rule_67_the_suite_ecdhe_ecdsa_aes128_sha256() {
    only("ECDHE-ECDSA-AES128-SHA256", KeyKind::P256);
}

#[test]
fn rule_67_the_suite_aes128_sha256() {
    only("AES128-SHA256", KeyKind::Rsa);
}

#[test]
fn rule_67_what_is_older_than_tls_1_2_is_refused() {
    let house = House::new(KeyKind::P256);
    let old = ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"];
    let Some(openssl) = peers::peer("openssl") else { return };
    let (_server, url) = s_server(&openssl, &house.path("certs"), &old);
    for backend in BACKENDS {
        let said = doctor(&house, &by(backend, &house.configuration(&url, "")));
        says(&said, &["FAIL tls", "it must offer TLS 1.2 or 1.3"]);
    }
}

/// A certificate of its own authority for localhost, with an RSA key of so many bits.
fn rsa_of(bits: &str, openssl: &Path, folder: &Path) {
    let mut command = Command::new(openssl);
    command.args(["req", "-x509", "-nodes", "-sha256", "-days", "9", "-subj", "/CN=localhost", "-newkey"]);
    command.arg(format!("rsa:{bits}")).args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    command.args(["-addext", "subjectAltName=DNS:localhost", "-keyout"]).arg(folder.join("vtn.key"));
    let output = command.arg("-out").arg(folder.join("vtn.pem")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn rule_68_a_vtn_with_rsa_of_less_than_2048_bits_is_refused() {
    let house = House::new(KeyKind::P256);
    let Some(openssl) = peers::peer("openssl") else { return };
    let folder = house.path("rsa");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(house.certificates.path("ca.pem"), folder.join("ca.pem")).unwrap();
    for (bits, verdict) in [("2048", "ok   tls"), ("1024", "FAIL tls")] {
        rsa_of(bits, &openssl, &folder);
        let (_server, url) = s_server(&openssl, &folder, &["-cipher", "DEFAULT:@SECLEVEL=0"]);
        let configuration = house.configuration(&url, "").replace("certs/ca.pem", "rsa/vtn.pem");
        for backend in BACKENDS {
            says(&doctor(&house, &by(backend, &configuration)), &[verdict]);
        }
    }
}

#[cfg(not(feature = "openssl"))]
#[test]
fn a_backend_that_is_not_compiled_in_is_named() {
    let house = House::new(KeyKind::P256);
    let said = doctor(&house, &by("openssl", &house.configuration("https://localhost", "")));
    says(&said, &["doctor.toml:9: tls.backend: is not compiled in; build with:", "--features openssl"]);
}

/// Registers, answers an event and delivers a report.
async fn conversation(backend: &str) {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    vtn.with(|core| core.piggyback = vec![wish("usage", Span::SECOND, Span::SECOND, None)]);
    let meter = MockMeter::start(house.folder.path(), "meter", Duration::from_secs(1)).unwrap();
    let configuration = by(backend, &house.configuration(&vtn.url(), &meter_section(meter.path())));
    let path = house.path("ven.toml");
    std::fs::write(&path, configuration).unwrap();
    let process = Process::ven(&path);
    let start = vtn.now() + Span::SECOND;
    vtn.with(|core| core.add_event(EventBuilder::new("e1", start, Span::SECOND)));
    let done = vtn.until(PATIENCE, |core| {
        core.registered().is_some() && core.opts.len() == 1 && core.count(PayloadKind::UpdateReport) > 1
    });
    assert!(done.await, "{backend}; the log:\n{}", process.log().join("\n"));
    vtn.with(|core| assert_eq!(core.violations, Vec::<String>::new()));
    assert_eq!(vtn.clients(), [house.certificates.ven_fingerprint()], "one connection for all of it");
    process.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_backend_carries_the_whole_conversation() {
    for backend in BACKENDS {
        conversation(backend).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_backend_refuses_other_authorities_and_other_names() {
    let (house, other) = (House::new(KeyKind::P256), House::new(KeyKind::P256));
    let vtn = house.vtn(Span::SECOND).await;
    let url = vtn.url();
    for backend in BACKENDS {
        let good = by(backend, &house.configuration(&url, ""));
        let by_backend = format!(", by {backend}");
        says(
            &doctor(&house, &good),
            &["ok   tls           TLSv1", &by_backend, "ok   answer        believed"],
        );
        let foreign = good.replace("certs/ca.pem", other.certificates.path("ca.pem").to_str().unwrap());
        let shown = house.certificates.vtn_fingerprint();
        says(
            &doctor(&house, &foreign),
            &["FAIL tls", "invalid peer certificate", shown, "[tls] ca must name"],
        );
        let named = good.replace("https://localhost", "https://ip6-localhost");
        let said = doctor(&house, &named);
        // Not every machine knows itself by that name.
        if !said.contains("FAIL name") && !said.contains("FAIL connection") {
            says(&said, &["FAIL tls", "not valid for name", "the certificate is for"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_backend_takes_a_common_name_where_that_is_allowed_only() {
    let house = House::new(KeyKind::P256);
    let authority = Authority::new(&house.path("cn"));
    let (vtn, ven) = (authority.issue("vtn", "localhost"), authority.issue("ven", "old VEN"));
    let mock = MockVtn::start(VtnCore::new("mock-vtn", Span::SECOND), &authority.vtn_settings(&ven)).await;
    let mock = mock.unwrap();
    let configuration = house.configuration(&mock.url(), "").replace("certs/", "cn/");
    let configuration = configuration.replace(house.certificates.vtn_fingerprint(), &vtn);
    for backend in BACKENDS {
        let strict = by(backend, &configuration);
        says(&doctor(&house, &strict), &["FAIL tls", "server_name = \"allow-cn\""]);
        let lenient = strict.replace("[tls]", "[tls]\nserver_name = \"allow-cn\"");
        says(&doctor(&house, &lenient), &["ok   answer        believed"]);
        let elsewhere = lenient.replace("https://localhost", "https://127.0.0.1");
        says(&doctor(&house, &elsewhere), &["FAIL tls", "the certificate is for localhost"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_516_every_backend_refuses_a_vtn_whose_certificate_has_expired() {
    let house = House::new(KeyKind::P256);
    let authority = Authority::new(&house.path("cn"));
    let (vtn, ven) = (authority.issue_for("vtn", "localhost", -1), authority.issue("ven", "VEN"));
    let mock = MockVtn::start(VtnCore::new("mock-vtn", Span::SECOND), &authority.vtn_settings(&ven)).await;
    let mock = mock.unwrap();
    let configuration = house.configuration(&mock.url(), "").replace("certs/", "cn/");
    let configuration = configuration.replace(house.certificates.vtn_fingerprint(), &vtn);
    let configuration = configuration.replace("[tls]", "[tls]\nserver_name = \"allow-cn\"");
    for backend in BACKENDS {
        let said = doctor(&house, &by(backend, &configuration));
        says(&said, &["FAIL tls", "expired", &vtn, "compare the dates with the clock of this machine"]);
    }
    mock.with(|core| assert!(core.received.is_empty(), "nothing was said to it"));
}
