//! The command line as an operator meets it.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::Path;
use std::process::{Command, Output};

use crate::support::authority::Authority;
use crate::support::{House, PATIENCE, Process};
use openadr_ven::Config;
use openadr_ven::message::PayloadKind;
use openadr_ven::mock_vtn::KeyKind;
use openadr_ven::time::Span;

fn ven(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ven")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn succeed(arguments: &[&str]) -> String {
    let output = ven(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn fail(arguments: &[&str]) -> String {
    let output = ven(arguments);
    assert!(!output.status.success(), "{arguments:?}: {}", text(&output.stdout));
    text(&output.stderr)
}

#[test]
fn every_example_configuration_is_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/config");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        Config::load(&path).unwrap_or_else(|error| panic!("{error}"));
        count += 1;
    }
    assert!(count >= 3);
}

#[test]
fn topics_are_listed_for_people_and_for_programs() {
    let listed = succeed(&["topics", "event.*"]);
    assert!(listed.lines().skip(1).all(|line| line.starts_with("event.")), "{listed}");
    let told = succeed(&["topics", "--json", "event.interval"]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["event.interval"]["sample"]["total"], 2);
    let error = fail(&["topics", "events.*"]);
    assert!(error.contains("invalid-topic"), "{error}");
}

#[test]
fn certificates_are_made_once_and_known_by_their_fingerprints() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join("new").join(name).to_str().unwrap().to_owned();
    let made = succeed(&["certs", "init", &path("")]);
    let fingerprint = succeed(&["fingerprint", &path("ven.pem")]);
    assert!(made.contains(fingerprint.trim()), "{made}\n{fingerprint}");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path("ven.key")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "only its owner reads a key");
    let error = fail(&["certs", "init", &path("")]);
    assert!(error.contains("ca.pem is there already"), "{error}");
    let error = fail(&["fingerprint", &path("ven.key")]);
    assert!(error.contains("ven.key") && error.contains("no certificate"), "{error}");
}

#[test]
fn rsa_certificates_can_be_made_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    succeed(&["certs", "init", path, "--rsa"]);
    let key = std::fs::read(folder.path().join("vtn.key")).unwrap();
    assert!(key.len() > 1500, "an RSA key is longer than one on P-256");
}

#[test]
fn check_names_every_fault_of_files_at_once() {
    let house = House::new(KeyKind::P256);
    let configuration = house.configure("http://vtn.example.org", "");
    let good = house.configuration("https://vtn.example.org", "");
    let path = configuration.to_str().unwrap();
    std::fs::remove_file(house.path("certs/ca.pem")).unwrap();
    std::fs::write(house.path("certs/ven.key"), "nonsense").unwrap();
    let error = fail(&["check", "--config", path]);
    for expected in
        ["ven.toml:6: vtn.url: expected https://", "tls.ca: ", "No such file", "tls.key: ", "no private key"]
    {
        assert!(error.contains(expected), "{expected}\nis not in\n{error}");
    }
    let other = House::new(KeyKind::P256);
    let path = other.path("ven.toml");
    std::fs::write(&path, good).unwrap();
    std::fs::copy(other.path("certs/vtn.key"), other.path("certs/ven.key")).unwrap();
    let error = fail(&["check", "--config", path.to_str().unwrap()]);
    assert!(error.contains("the private key does not belong to the certificate"), "{error}");
}

#[test]
fn check_says_what_the_utility_must_know() {
    let house = House::new(KeyKind::P256);
    let meter = "[[meter]]\nname = \"main\"\nsource = \"serial:/dev/ttyUSB0\"\n";
    let configuration = house.configure("https://vtn.example.org", meter);
    let said = succeed(&["check", "--config", configuration.to_str().unwrap()]);
    for expected in
        ["no faults found", house.certificates.ven_fingerprint(), "/dev/ttyUSB0", "main.net_power"]
    {
        assert!(said.contains(expected), "{expected}\nis not in\n{said}");
    }
}

#[test]
fn a_key_that_others_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let house = House::new(KeyKind::P256);
    let configuration = house.configure("https://localhost:1", "");
    let check = || succeed(&["check", "--config", configuration.to_str().unwrap()]);
    assert!(!check().contains("warning"));
    let key = house.path("certs/ven.key");
    let command = format!("run: chmod 600 {}", key.display());
    for mode in [0o640, 0o604] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let said = check();
        assert_eq!(said.matches("warning").count(), 1, "one key, one warning: {said}");
        assert!(
            said.contains("ven.toml:11: tls.key: others than its owner can read") && said.contains(&command),
            "{said}"
        );
    }
    let process = Process::ven(&configuration);
    process.wait_for(&command, 0);
    process.wait_for("VTN is away", 0);
    process.terminate();
}

#[test]
fn a_certificate_is_spoken_of_before_its_end_and_refused_after_it() {
    let house = House::new(KeyKind::P256);
    let authority = Authority::new(&house.path("cn"));
    let configuration = house.path("ven.toml");
    let text_of = |output: &Output| format!("{}{}", text(&output.stdout), text(&output.stderr));
    let text = house.configuration("https://localhost:1", "").replace("certs/", "cn/");
    std::fs::write(&configuration, text).unwrap();
    for (days, good, warned) in [(40, true, false), (29, true, true), (-1, false, false)] {
        authority.issue_for("ven", "our VEN", days);
        let output = ven(&["check", "--config", configuration.to_str().unwrap()]);
        let said = text_of(&output);
        assert_eq!(output.status.success(), good, "{days}: {said}");
        assert_eq!(said.contains("only; have it renewed"), warned, "{days}: {said}");
        let ends = if good { "ven.pem, valid until 2" } else { "tls.cert: " };
        assert!(said.contains(ends), "{days}: {said}");
        assert_eq!(said.contains("has expired, it was valid until"), !good, "{days}: {said}");
    }
    authority.issue_for("ven", "our VEN", 10);
    let process = Process::ven(&configuration);
    process.wait_for("only; have it renewed", 0);
    process.wait_for("VTN is away", 0);
    process.terminate();
}

/// Encrypts the VEN's key in its place.
fn encrypt_key(openssl: &Path, house: &House, passphrase: &str) {
    let (key, plain) = (house.path("certs/ven.key"), house.path("certs/plain.key"));
    std::fs::rename(&key, &plain).unwrap();
    let mut encrypt = Command::new(openssl);
    encrypt.args(["pkcs8", "-topk8", "-passout", &format!("pass:{passphrase}"), "-in"]).arg(&plain);
    assert!(encrypt.arg("-out").arg(&key).status().unwrap().success());
}

#[test]
fn an_encrypted_key_is_opened_by_a_passphrase_from_elsewhere() {
    let Some(openssl) = crate::support::peers::peer("openssl") else { return };
    for kind in [KeyKind::P256, KeyKind::Rsa] {
        let house = House::new(kind);
        encrypt_key(&openssl, &house, "hunter2");
        let configure = |line: &str| {
            let text = house.configuration("https://vtn.example.org", "");
            let path = house.path("ven.toml");
            std::fs::write(&path, text.replace("[tls]", &format!("[tls]\n{line}"))).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let check = |line: &str| ven(&["check", "--config", &configure(line)]);
        assert!(
            text(&check("").stderr).contains("the private key is encrypted; say where its passphrase is")
        );
        std::fs::write(house.path("right"), "hunter2\n").unwrap();
        let said = check("passphrase = \"${file:right}\"");
        assert!(said.status.success(), "{}", text(&said.stderr));
        std::fs::write(house.path("wrong"), "swordfish").unwrap();
        let error = text(&check("passphrase = \"${file:wrong}\"").stderr);
        assert!(
            error.contains("cannot be decrypted with this passphrase") && !error.contains("swordfish"),
            "{error}"
        );
        let mut by_environment = Command::new(env!("CARGO_BIN_EXE_ven"));
        by_environment.args(["check", "--config", &configure("passphrase = \"${env:KEY_OF_VEN}\"")]);
        assert!(by_environment.env("KEY_OF_VEN", "hunter2").status().unwrap().success());
    }
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let error = fail(&["run", "--config", "/nowhere/ven.toml"]);
    assert!(error.contains("/nowhere/ven.toml") && error.contains("No such file"), "{error}");
}

/// Everything together, from outside: one process serves, one takes part.
#[test]
fn ven_and_mock_vtn_meet_and_part() {
    let house = House::new(KeyKind::P256);
    let script = house.path("script.toml");
    std::fs::write(
        &script,
        "[[step]]\nat = \"100ms\"\nevent = { id = \"e1\", start = \"4s\", duration = \"2s\", level = 1 }\n",
    )
    .unwrap();
    let vtn = Process::start(
        Command::new(env!("CARGO_BIN_EXE_mock-vtn"))
            .args(["--listen", "127.0.0.1:0", "--poll", "1s", "--ven-fingerprint"])
            .arg(house.certificates.ven_fingerprint())
            .arg("--certs")
            .arg(house.path("certs"))
            .arg("--script")
            .arg(&script),
    );
    vtn.wait_for("serving at ", 0);
    let url = vtn.log().iter().find_map(|line| line.strip_prefix("serving at ").map(str::to_owned)).unwrap();
    let rule = "[handler]\nrule = [ { when = \"level <= 1\", opt = \"optIn\" } ]\n";
    let configuration = house.configure(&url, rule);
    let ven = Process::ven(&configuration);
    let mut line = 0;
    for expected in [
        "registered at VTN mock-vtn as ven-1",
        "event e1 received",
        "event e1: optIn to version 0, decided by the handler",
        "event e1 started",
        "event e1: interval 0, SIMPLE = 1",
        "event e1 ended: its time is up",
    ] {
        line = ven.wait_for(expected, line);
    }
    vtn.wait_for("oadrCreatedEvent", 0);
    ven.terminate();
    // The second start goes on where the first one stopped.
    let again = Process::ven(&configuration);
    again.wait_for("registered again at VTN mock-vtn as ven-1", 0);
    again.terminate();
}

#[test]
fn a_stopped_ven_stays_registered_and_says_so() {
    let house = House::new(KeyKind::P256);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let vtn = runtime.block_on(house.vtn(Span::SECOND));
    let ven = Process::ven(&house.configure(&vtn.url(), ""));
    let polled = |core: &mut openadr_ven::mock_vtn::VtnCore| core.count(PayloadKind::Poll) > 0;
    assert!(runtime.block_on(vtn.until(PATIENCE, polled)), "{:?}", ven.log());
    ven.terminate();
    assert_eq!(vtn.with(|core| (core.registrations(), core.registered().is_some())), (1, true));
    assert!(vtn.with(|core| core.violations.is_empty()));
}
