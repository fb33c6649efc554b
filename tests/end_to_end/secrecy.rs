//! What a VEN keeps to itself: secrets of hooks, its memory, its files.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use openadr_ven::mock_vtn::KeyKind;
use openadr_ven::time::Span;

use crate::support::{House, Process, ven};

/// Of letters and digits, so that they look everywhere alike.
const HEADER: &str = "hEaDeR5ecret0000";
const IN_URL: &str = "uRl5ecret00000000";
const SIGNING: &str = "c2lnbmluZzVlY3JldDAwMDAwMDAwMDAwMDAwMDAw";
const BROKER: &str = "bRoKeR5ecret00000";
const PROGRAM: &str = "pRoGrAm5ecret0000";
const ACCOUNT: &str = "aCcOuNt5ecret0000";
const TOKEN: &str = "ven_t0kEn5ecret000000000000000000000000000000000";
const SECRETS: [&str; 7] = [HEADER, IN_URL, SIGNING, BROKER, PROGRAM, ACCOUNT, TOKEN];

fn hooks(endpoint: u16, broker: u16) -> String {
    format!(
        r#"
[http]
listen = "127.0.0.1:0"

[[http.token]]
name = "me"
token = "${{file:token}}"
scopes = ["read", "hooks"]

[[hook]]
name = "signed"
type = "http"
topics = ["registration.*", "hook.*"]
url = "http://127.0.0.1:{endpoint}/x?key=${{file:in-url}}"
headers = {{ Authorization = "Bearer ${{env:HEADER}}" }}
secret = "whsec_${{env:SIGNING}}"
allow_private = true

[[hook]]
name = "broker"
type = "mqtt"
topics = ["registration.*"]
url = "mqtt://127.0.0.1:{broker}"
username = "ven"
password = "${{env:BROKER}}"
timeout = "2s"

[[hook]]
name = "program"
type = "exec"
topics = ["registration.*"]
command = ["/bin/sh", "-c", "exit 3"]
env = {{ KEY = "${{env:PROGRAM}}" }}

[[hook]]
name = "solar"
type = "pvoutput"
system_id = "1"
url = "http://127.0.0.1:{endpoint}"
api_key = "${{env:ACCOUNT}}"
"#
    )
}

fn with_secrets(command: &mut Command) -> &mut Command {
    let all = [("HEADER", HEADER), ("SIGNING", SIGNING), ("BROKER", BROKER)];
    command.envs(all).envs([("PROGRAM", PROGRAM), ("ACCOUNT", ACCOUNT)])
}

/// A request that came there; it is answered that all is wrong, and where to go instead.
fn refuse(listener: &TcpListener) -> (TcpStream, String) {
    let (mut stream, _) = listener.accept().unwrap();
    let (mut request, mut piece) = (String::new(), [0; 4096]);
    while !request.ends_with('}') {
        let length = stream.read(&mut piece).unwrap();
        assert!(length > 0, "cut: {request}");
        request.push_str(std::str::from_utf8(&piece[..length]).unwrap());
    }
    stream.write_all(b"HTTP/1.1 308 No\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n").unwrap();
    (stream, request)
}

/// Everything in a folder, and all below it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_the_log_in_what_is_shown_or_in_the_state() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let (endpoint, broker) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    house.write_secret("in-url", IN_URL);
    house.write_secret("token", TOKEN);
    let configuration = house.configure(&vtn.url(), &hooks(port(&endpoint), port(&broker)));
    let process = Process::start(with_secrets(&mut ven(&configuration)).env("RUST_LOG", "trace"));
    tokio::task::block_in_place(|| {
        let (_stream, request) = refuse(&endpoint);
        assert!(
            request.contains(HEADER) && request.contains(IN_URL),
            "they are where they belong: {request}"
        );
        let (mut stream, _) = broker.accept().unwrap();
        let mut greeting = [0; 512];
        let length = stream.read(&mut greeting).unwrap();
        assert!(String::from_utf8_lossy(&greeting[..length]).contains(BROKER), "there too");
        drop(stream);
    });
    let mut shown = vec![];
    for arguments in [
        "check",
        "status",
        "hooks list",
        "hooks list --json",
        "hooks list --configured",
        "hooks show signed",
        "hooks show broker",
        "hooks show solar",
        "hooks test signed --dry-run",
        "hooks test broker",
        "hooks test program",
        "hooks test solar --dry-run",
        "deliveries list --json",
        "deliveries list",
        "deliveries show signed 1",
        "deliveries show broker 1",
        "deliveries show program 1",
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ven"));
        command.args(arguments.split(' ')).arg("--config").arg(&configuration).env("RUST_LOG", "trace");
        let output = tokio::task::block_in_place(|| with_secrets(&mut command).output().unwrap());
        shown.push((arguments.to_owned(), [output.stdout, output.stderr].concat()));
    }
    let deliveries =
        String::from_utf8(shown.iter().find(|(what, _)| what == "deliveries list").unwrap().1.clone());
    assert!(deliveries.unwrap().contains("308 Permanent Redirect"), "the tries are there");
    shown.push(("the log".to_owned(), process.kill().join("\n").into_bytes()));
    let state = files(&house.path("state")).into_iter().filter(|path| path.is_file());
    shown.extend(state.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())));
    assert!(shown.iter().any(|(what, _)| what.ends_with("ven.db")));
    for (what, octets) in shown {
        let text = String::from_utf8_lossy(&octets);
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} is in {what}");
        }
    }
}

#[test]
fn what_others_can_change_or_read_is_warned_of_and_a_secret_that_they_can_change_is_refused() {
    let house = House::new(KeyKind::P256);
    let hook = "[[hook]]\nname = \"a\"\ntype = \"http\"\ntopics = \"event.*\"\nurl = \"https://example.net/${file:key}\"\n";
    let configuration = house.configure("https://vtn.example.org", hook);
    let check = |key: u32| {
        std::fs::write(house.path("key"), "hunter2").unwrap();
        std::fs::set_permissions(house.path("key"), std::fs::Permissions::from_mode(key)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ven"));
        command.args(["check", "--config"]).arg(&configuration).output().unwrap()
    };
    for (mode, warned) in [(0o644, false), (0o664, true), (0o646, true)] {
        std::fs::set_permissions(&configuration, std::fs::Permissions::from_mode(mode)).unwrap();
        let output = check(0o600);
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && !said.contains("can read this key"), "{said}");
        assert_eq!(
            said.contains("others than its owner can change it; run: chmod go-w"),
            warned,
            "{mode:o}: {said}"
        );
    }
    let readable = String::from_utf8(check(0o644).stdout).unwrap();
    assert!(readable.contains("others than its owner can read this key; run: chmod 600"), "{readable}");
    let output = check(0o666);
    let refused = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && refused.contains("key: others than its owner can change it"),
        "{refused}"
    );
    assert!(!refused.contains("hunter2"), "{refused}");
}

#[test]
fn the_example_of_a_service_is_shut_in() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/systemd/ven.service");
    let text = std::fs::read_to_string(&unit).unwrap();
    for line in ["LimitCORE=0", "UMask=0077", "StateDirectoryMode=0700", "NoNewPrivileges=yes", "Type=notify"]
    {
        assert!(text.lines().any(|found| found == line), "{line}");
    }
    // Tenths: a service that is not shut in at all has more than 90.
    let arguments = ["security", "--offline=true", "--no-pager", "--threshold=25"];
    // Many systems have no systemd.
    let Ok(output) = Command::new("systemd-analyze").args(arguments).arg(&unit).output() else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Whether we may look into the memory of a process: this link is guarded as that is (proc(5), "/proc/pid/exe"), and is
/// there from the first moment on, when its environment is not yet.
fn is_open(process: u32) -> bool {
    std::fs::read_link(format!("/proc/{process}/exe")).is_ok()
}

/// Root looks into every memory.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_makes_is_its_owners_alone_and_its_memory_nobodys() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let configuration = house.configure(&vtn.url(), "");
    let process = Process::ven(&configuration);
    process.wait_for("registered", 0);
    for path in files(&house.path("state")) {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} has the mode {mode:o}", path.display());
    }
    let of = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", process.id())).unwrap();
    assert!(of("status").contains("Umask:\t0077\n"), "{}", of("status"));
    let core = of("limits").lines().find(|line| line.starts_with("Max core file size")).unwrap().to_owned();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");

    let other = Process::start(Command::new("sleep").arg("600"));
    assert!(is_open(other.id()), "that of others is open to their user");
    assert!(is_root() || !is_open(process.id()));
    process.terminate();
}
