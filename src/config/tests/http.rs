//! `[http]`, right and wrong.

use super::{SMALLEST, read};
use crate::config::{Scope, SecretSource, TokenProof};

const HASH: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn http(lines: &str) -> Result<Option<crate::config::HttpSection>, String> {
    Ok(read(&format!("{SMALLEST}\n{lines}"))?.http)
}

#[test]
fn there_is_no_local_api_unless_it_is_wanted() {
    assert!(http("").unwrap().is_none());
    let alone = http("[http]\nlisten = \"127.0.0.1:8410\"").unwrap().unwrap();
    assert!(alone.tokens.is_empty() && alone.tls.is_none() && alone.hosts.is_empty());
    assert!(http("[http]").unwrap_err().contains("http.listen: is missing"));
    assert!(http("[http]\nlisten = \"127.0.0.1\"").unwrap_err().contains("expected an address and a port"));
    assert!(http("[http]\nlissten = \"127.0.0.1:1\"").unwrap_err().contains("did you mean \"listen\"?"));
}

#[test]
fn tokens_are_known_by_their_hashes_or_stand_elsewhere() {
    let section = http(&format!(
        "[http]\nlisten = \"[::1]:1\"\nhosts = [\"VEN.local\"]\n\
         [[http.token]]\nname = \"a\"\nhash = \"{HASH}\"\nscopes = [\"read\", \"plugin:peak\"]\n\
         [[http.token]]\nname = \"b\"\ntoken = \"${{file:b.token}}\"\nscopes = \"meter\""
    ));
    let section = section.unwrap().unwrap();
    assert_eq!(section.hosts, ["ven.local"]);
    let [a, b] = section.tokens.as_slice() else { panic!("{:?}", section.tokens) };
    assert_eq!(a.scopes, [Scope::Read, Scope::Plugin("peak".into())]);
    assert!(matches!(a.proof, TokenProof::Hash(hash) if hash[..2] == [0xba, 0x78]));
    assert_eq!(b.proof, TokenProof::Secret(SecretSource::File("/etc/ven/b.token".into())));
}

#[test]
fn whoever_can_be_reached_from_elsewhere_needs_a_certificate_and_tokens() {
    for listen in ["0.0.0.0:8410", "[::]:8410", "192.168.1.5:8410"] {
        let faults = http(&format!("[http]\nlisten = \"{listen}\"")).unwrap_err();
        assert!(
            faults.contains("http.cert: is missing") && faults.contains("http.token: is missing"),
            "{faults}"
        );
    }
    let token = format!("[[http.token]]\nname = \"a\"\nhash = \"{HASH}\"\nscopes = [\"read\"]");
    let section =
        http(&format!("[http]\nlisten = \"0.0.0.0:1\"\ncert = \"c.pem\"\nkey = \"c.key\"\n{token}"));
    assert!(section.unwrap().unwrap().tls.is_some());
}

#[test]
fn every_fault_of_a_token_is_named_and_no_token_is_printed() {
    let secret = "ven_0123456789012345678901234567890123456789012";
    let faults = |lines: &str| {
        http(&format!("[http]\nlisten = \"127.0.0.1:1\"\n[[http.token]]\n{lines}")).unwrap_err()
    };
    for (lines, what) in [
        (format!("hash = \"{HASH}\"\nscopes = [\"read\"]"), "http.token[0].name: is missing"),
        ("name = \"a\"\nscopes = [\"read\"]".to_owned(), "http.token[0].hash: is missing"),
        (format!("name = \"a\"\nhash = \"{HASH}\""), "http.token[0].scopes: is missing"),
        (
            format!("name = \"a\"\nhash = \"{HASH}\"\nscopes = [\"root\"]"),
            "or \"plugin:NAME\", found \"root\"",
        ),
        (format!("name = \"a\"\nhash = \"{secret}\"\nscopes = [\"read\"]"), "64 hexadecimal digits"),
        (
            format!("name = \"a\"\ntoken = \"{secret}\"\nscopes = [\"read\"]"),
            "a token itself does not belong",
        ),
        (
            format!("name = \"a\"\nhash = \"{HASH}\"\ntoken = \"${{env:X}}\"\nscopes = [\"read\"]"),
            "stands beside token",
        ),
        (
            format!(
                "name = \"a\"\nhash = \"{HASH}\"\nscopes = []\n[[http.token]]\nname = \"a\"\nhash = \"{HASH}\"\nscopes = []"
            ),
            "\"a\" stands twice",
        ),
    ] {
        let found = faults(&lines);
        assert!(found.contains(what) && !found.contains(secret), "{found}");
    }
}

#[test]
fn faults_of_hosts_and_certificates_are_named() {
    let faults = |lines: &str| http(&format!("[http]\nlisten = \"127.0.0.1:1\"\n{lines}")).unwrap_err();
    assert!(faults("hosts = [\"ven.local:8410\"]").contains("expected the name of a host"));
    assert!(faults("hosts = [\"*\"]").contains("expected the name of a host"));
    assert!(faults("cert = \"c.pem\"").contains("http.cert: needs key beside it"));
    assert!(faults("key = \"c.key\"").contains("http.key: needs cert beside it"));
}
