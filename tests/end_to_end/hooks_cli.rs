//! `ven hooks` on a configuration: hooks are made, shown, tried, changed and taken away.
#![expect(clippy::unwrap_used, clippy::unwrap_in_result, reason = "a test may fail by panicking")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

const MAIN: &str = r#"
[ven]
name = "my-ven"
state = "state"

[vtn]
url = "https://vtn.example.org"

[tls]
ca = "ca.pem"
cert = "ven.pem"
key = "ven.key"

[signature]
vtn_fingerprint = "AA:BB:CC:DD:EE:FF:00:11:22:33"

[[hook]]
name = "main"
type = "file"
topics = "event.*"
path = "events.jsonl"
"#;
const OPS: &str = "type = \"http\"\ntopics = \"event.*\"\nurl = \"https://example.net/\"\n";

struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ven.toml"), MAIN).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `ven hooks`; the output, or all that was said.
    fn hooks(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ven"));
        command.arg("hooks").args(arguments).arg("--config").arg(self.path("ven.toml"));
        command.env("VISUAL", self.path("editor")).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // One that reads nothing may have ended already.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (out, error) = (text(output.stdout), text(output.stderr));
        if output.status.success() { Ok(out) } else { Err(format!("{out}{error}")) }
    }
}

#[test]
fn a_hook_is_added_shown_changed_and_removed() {
    let desk = Desk::new();
    desk.hooks(&["add", "ops", "-"], OPS).unwrap();
    let file = desk.path("hooks.d/ops.toml");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    let listed = desk.hooks(&["list", "--configured"], "").unwrap();
    assert!(listed.contains("main") && listed.contains("https://example.net/"), "{listed}");
    let shown = desk.hooks(&["show", "ops"], "").unwrap();
    assert!(shown.contains("hooks.d/ops.toml") && shown.contains("10000 items"), "{shown}");
    let again = desk.hooks(&["add", "ops", "-"], OPS).unwrap_err();
    assert!(again.contains("is there already"), "{again}");

    std::fs::write(desk.path("new.toml"), OPS.replace("example.net", "example.org")).unwrap();
    desk.hooks(&["edit", "ops", desk.path("new.toml").to_str().unwrap()], "").unwrap();
    assert!(std::fs::read_to_string(&file).unwrap().contains("example.org"));
    assert_eq!(mode(&file), 0o600);
    std::fs::write(desk.path("editor"), "#!/bin/sh\necho 'enabled = false' >> \"$1\"\n").unwrap();
    std::fs::set_permissions(desk.path("editor"), std::fs::Permissions::from_mode(0o700)).unwrap();
    desk.hooks(&["edit", "ops"], "").unwrap();
    assert!(std::fs::read_to_string(&file).unwrap().ends_with("enabled = false\n"));

    desk.hooks(&["remove", "ops"], "").unwrap();
    assert!(!file.exists());
    let gone = desk.hooks(&["remove", "ops"], "").unwrap_err();
    assert!(gone.contains("no hook is called \"ops\""), "{gone}");
    let main = desk.hooks(&["remove", "main"], "").unwrap_err();
    assert!(main.contains("main stands in") && main.contains("change it there"), "{main}");
}

#[test]
fn what_is_wrong_is_told_and_changes_nothing() {
    let desk = Desk::new();
    let wrong = desk.hooks(&["add", "ops", "-"], &OPS.replace("event.*", "evnt.*")).unwrap_err();
    assert!(wrong.contains("hooks.d/ops.toml:2: topics: invalid-topic"), "{wrong}");
    let clash = desk.hooks(&["add", "main", "-"], OPS).unwrap_err();
    assert!(clash.contains("main stands in") && clash.contains("change it there"), "{clash}");
    let words = format!("{OPS}template = \"{{{{ data.nothing }}}}\"\n");
    let words = desk.hooks(&["add", "ops", "-"], &words).unwrap_err();
    assert!(words.contains("data.nothing"), "{words}");
    let secret =
        desk.hooks(&["add", "ops", "-"], &format!("{OPS}secret = \"${{file:none}}\"\n")).unwrap_err();
    assert!(secret.contains("secret: ") && secret.contains("none"), "{secret}");
    for name in ["../ops", "Ops", "a.b"] {
        assert!(desk.hooks(&["add", name, "-"], OPS).unwrap_err().contains("small letter"));
    }
    assert!(!desk.path("hooks.d").exists());

    desk.hooks(&["add", "ops", "-"], OPS).unwrap();
    assert!(desk.hooks(&["edit", "ops", "-"], "type = \"http\"").is_err());
    assert_eq!(std::fs::read_to_string(desk.path("hooks.d/ops.toml")).unwrap(), OPS);
}

#[test]
fn a_request_is_shown_and_nothing_is_sent_or_read_for_it() {
    let desk = Desk::new();
    let said = format!(
        "{OPS}headers = {{ Authorization = \"Bearer ${{file:none}}\" }}\nfilter = \"data.test_event\"\n\
         content_type = \"application/json\"\ntemplate = '{{\"id\":\"{{{{ data.event_id }}}}\"}}'\n"
    );
    std::fs::create_dir(desk.path("hooks.d")).unwrap();
    std::fs::write(desk.path("hooks.d/ops.toml"), said).unwrap();
    let owner = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(desk.path("hooks.d/ops.toml"), owner).unwrap();
    std::fs::write(
        desk.path("fact.json"),
        r#"{"topic": "event.started", "data": {"event_id": "e7", "test_event": false}}"#,
    )
    .unwrap();
    let fact = desk.path("fact.json");
    let shown = desk.hooks(&["test", "ops", "--dry-run", "--event", fact.to_str().unwrap()], "").unwrap();
    assert!(shown.contains("POST https://example.net/\nAuthorization: Bearer ${file:none}\n"), "{shown}");
    assert!(shown.contains("{\"id\":\"e7\"}"), "{shown}");
    assert!(shown.contains("note: its filter does not hold"), "{shown}");
    let unknown = desk.hooks(&["test", "opps", "--dry-run"], "").unwrap_err();
    assert!(unknown.contains("no hook is called \"opps\"; there are: main, ops"), "{unknown}");
}

#[test]
fn a_message_is_sent_past_the_queue() {
    let desk = Desk::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", server.local_addr().unwrap());
    let said = format!("{}allow_private = true\n", OPS.replace("https://example.net/", &url));
    desk.hooks(&["add", "ops", "-"], &said).unwrap();
    let answer = |status: &'static str| {
        let server = server.try_clone().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut request = Vec::new();
            let mut piece = [0_u8; 4096];
            // A request with a body ends with the bracket of its JSON.
            while !request.ends_with(b"}") {
                let length = stream.read(&mut piece).unwrap();
                assert!(length > 0, "the request ends early");
                request.extend_from_slice(&piece[..length]);
            }
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nhm").unwrap();
            String::from_utf8(request).unwrap()
        })
    };
    let asked = answer("201 Created");
    let sent = desk.hooks(&["test", "ops"], "").unwrap();
    assert!(sent.contains("sent, 201"), "{sent}");
    assert!(asked.join().unwrap().contains("\"type\":\"event.received\""));
    let asked = answer("503 Service Unavailable");
    let failed = desk.hooks(&["test", "ops"], "").unwrap_err();
    assert!(failed.contains("the endpoint has failed") && failed.contains("503"), "{failed}");
    asked.join().unwrap();
    desk.hooks(&["test", "main"], "").unwrap();
    assert!(std::fs::read_to_string(desk.path("events.jsonl")).unwrap().ends_with("}\n"));
}
