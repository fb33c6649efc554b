//! `ven monitors`, `events` and `plugins` beside a VEN that runs, one that is restarted, and servers that talk nonsense.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use openadr_ven::mock_vtn::{KeyKind, MockVtn};
use openadr_ven::time::Span;
use serde_json::Value;

use crate::http_api::telegram;
use crate::support::{House, PATIENCE, Process, TOKEN, until};

/// A house in which monitors are pushed.
fn configured(vtn: &MockVtn) -> House {
    let house = House::new(KeyKind::P256);
    house.configure_monitors(&vtn.url(), &[]);
    house
}

fn command(configuration: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ven"));
    command.args(words).arg("--config").arg(configuration).env("NO_COLOR", "1").env_remove("VEN_TOKEN");
    command
}

fn run(house: &House, words: &[&str]) -> Output {
    command(&house.path("ven.toml"), words).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What was printed by a command that had to do what it was told.
fn good(house: &House, words: &[&str]) -> String {
    let output = run(house, words);
    assert!(output.status.success(), "{words:?}: {output:?}");
    out(&output)
}

/// The exit code, and what was said to stderr.
fn bad(house: &House, words: &[&str]) -> (i32, String) {
    let output = run(house, words);
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn is_registered(ven: &Process) {
    ven.wait_for("registered at VTN", 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_is_made_shown_and_deleted_by_the_rules_of_the_local_api() {
    let vtn = House::new(KeyKind::P256).vtn(Span::SECOND).await;
    tokio::task::block_in_place(|| {
        let house = configured(&vtn);
        let ven = Process::ven(&house.path("ven.toml"));
        ven.wait_for("monitors are pushed at", 0);
        ven.wait_for("the local API is at", 0);
        let create = [
            "monitors",
            "create",
            "event.*,opt.decided",
            "vtn.disconnected",
            "-f",
            "xml",
            "-c",
            "gzip",
            "-b",
            "5",
            "-d",
            "10",
            "--ack",
            "explicit",
            "--replay",
            "--description",
            "the pump",
        ];
        house.wait_for_socket();
        assert_eq!(good(&house, &create), "1000\n");
        let listed = good(&house, &["monitors", "list"]);
        assert!(listed.contains("1000  SUSPENDED  pump   event.*,opt.decided,vtn.disconnected"), "{listed}");
        let shown: Value =
            serde_json::from_str(&good(&house, &["monitors", "show", "1000", "--json"])).unwrap();
        for (name, value) in
            [("format", "xml"), ("compression", "zlib"), ("batch_duration", "10s"), ("ack", "explicit")]
        {
            assert_eq!(shown[name], value, "{shown}");
        }
        assert!(good(&house, &["monitors", "show", "7"]).contains("configured      true"));
        let of_topics = ["monitors", "list", "--json", "--topics", "event.received"];
        let of_topics: Value = serde_json::from_str(&good(&house, &of_topics)).unwrap();
        assert_eq!((of_topics[0]["id"].clone(), of_topics.as_array().unwrap().len()), (7.into(), 1));

        let (code, why) = bad(&house, &["monitors", "create", "event.startet"]);
        assert_eq!(code, 2);
        assert!(why.contains("did you mean \"event.started\"?"), "{why}");
        let (code, why) =
            bad(&house, &["monitors", "create", "event.*", "-f", "yaml", "-b", "0", "-d", "61"]);
        assert_eq!(code, 2);
        for said in ["\"yaml\" is none of json, xml", "0 is not from 1 to 1000", "\"61s\" is not a time"] {
            assert!(why.contains(said), "{why}");
        }
        let (code, why) = bad(&house, &["monitors", "create", "event.*", "--owner", "nobody"]);
        assert!(code == 2 && why.contains("is called \"nobody\"; there are: pump"), "{why}");

        assert_eq!(good(&house, &["monitors", "delete", "1000"]), "monitor 1000 is no more\n");
        let (code, why) = bad(&house, &["monitors", "delete", "1000"]);
        assert!(code == 1 && why.contains("there is no monitor 1000"), "{why}");
        let (code, why) = bad(&house, &["monitors", "delete", "7"]);
        assert!(code == 1 && why.contains("stands in the configuration"), "{why}");
        assert_eq!(bad(&house, &["monitors", "show", "4711"]).0, 1);
        ven.terminate();
        for words in [&["monitors", "list"][..], &["monitors", "tail"], &["events", "tail"]] {
            let (code, why) = bad(&house, words);
            assert!(code == 3 && why.contains("no VEN runs with this configuration"), "{words:?}: {why}");
        }
        std::fs::write(house.path("ven.toml"), "[ven").unwrap();
        for words in [&["monitors", "list"][..], &["monitors", "tail"], &["events"]] {
            assert_eq!(bad(&house, words).0, 2, "{words:?}");
        }
    });
    vtn.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vtn_that_goes_away_is_seen_by_who_tails_a_monitor_which_goes_on_after_a_restart_and_is_deleted_at_the_end()
 {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let file = house.configure_monitors(&vtn.url(), &[]);
    let ven = Process::ven(&file);
    let tailing = tokio::task::block_in_place(|| {
        is_registered(&ven);
        house.wait_for_socket();
        let tailing = Process::start(&mut command(
            &file,
            &["monitors", "tail", "-t", "vtn.disconnected,registration.*"],
        ));
        tailing.wait_for("monitor 1000 is read as pump", 0);
        tailing
    });
    let disconnected =
        |line: &String| line.starts_with('{') && line.contains("\"topic\":\"vtn.disconnected\"");
    // The demonstration of old: something is unplugged, and whoever watches sees it.
    assert_eq!(vtn.stop().await.violations, [""; 0]);
    tokio::task::block_in_place(|| {
        let first = tailing
            .wait_until("vtn.disconnected", |lines| lines.iter().find(|line| disconnected(line)).cloned());
        let message: Value = serde_json::from_str(&first).unwrap();
        assert_eq!(
            (&message["operation"], message["Vtn"].is_object()),
            (&"disconnected".into(), true),
            "{message}"
        );
        ven.terminate();
        tailing.wait_for("trying again in", 0);
        let ven = Process::ven(&file);
        // What the VEN had not yet written down that we have, it may tell again.
        let later = |line: &&String| {
            let seq = |text: &str| serde_json::from_str::<Value>(text).ok()?["seq"].as_u64();
            disconnected(line) && seq(line) > seq(&first)
        };
        tailing.wait_until("the second", |lines| lines.iter().any(|line| later(&line)).then_some(()));
        let listed = good(&house, &["monitors", "list"]);
        assert!(listed.contains("1000  ACTIVE") && listed.contains("ven monitors tail"), "{listed}");
        tailing.terminate();
        let listed = good(&house, &["monitors", "list"]);
        assert!(!listed.contains("1000"), "{listed}");

        let kept = Process::start(&mut command(&file, &["monitors", "tail", "--keep", "-f", "xml"]));
        kept.wait_for("monitor 1001 is read as pump", 0);
        kept.terminate();
        let kept = Process::start(&mut command(&file, &["monitors", "tail", "-m", "1001"]));
        // Itself, if nothing else.
        kept.wait_for("topic=\"monitor.connected\"", 0);
        kept.terminate();
        assert!(good(&house, &["monitors", "list"]).contains("1001  SUSPENDED"), "one that was there stays");
        ven.terminate();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_read_is_told_so_and_what_cannot_work_is_not_tried() {
    let vtn = House::new(KeyKind::P256).vtn(Span::SECOND).await;
    tokio::task::block_in_place(|| {
        let house = configured(&vtn);
        let ven = Process::ven(&house.path("ven.toml"));
        house.wait_for_socket();
        let (code, why) = bad(&house, &["monitors", "tail", "-m", "7", "pump", "ven_guess"]);
        assert!(code == 1 && why.contains("(403)") && !why.contains("ven_guess"), "{why}");
        let (code, why) = bad(&house, &["monitors", "tail", "-m", "4711"]);
        assert!(code == 1 && why.contains("(403)"), "{why}");
        for (words, said) in [
            (&["-a", "ven.example.net"][..], "name it by --monitor"),
            (&["-a", "ven.example.net", "-m", "7"], "by which NAME"),
            (&["-a", "ven.example.net", "-m", "7", "pump"], "--token-file, or in $VEN_TOKEN"),
            (&["-a", "a:b"], "expected HOST[:PORT]"),
            (&["-m", "7", "--keep"], "--keep"),
            (&["-m", "7", "-f", "xml"], "--format"),
            (&["-t", "event.startet"], "did you mean"),
            (&["somebody"], "is called \"somebody\""),
            (&["--token-file", "/nonexistent"], "/nonexistent"),
            (&["--ca", "/nonexistent"], "this VEN pushes no monitors so; add [push_monitor] tls"),
        ] {
            let (code, why) = bad(&house, &[&["monitors", "tail"], words].concat());
            assert!(code == 2 && why.contains(said), "{words:?}: {code} {why}");
        }
        let listed = good(&house, &["monitors", "list", "--json"]);
        assert_eq!(
            serde_json::from_str::<Value>(&listed).unwrap().as_array().unwrap().len(),
            1,
            "nothing is left behind"
        );
        ven.terminate();
    });
    vtn.stop().await;
}

/// Serves one connection after the other with these bytes, and keeps the last one open.
fn server(says: Vec<Vec<u8>>) -> (SocketAddr, std::thread::JoinHandle<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move || {
        let mut last = None;
        let last_at = says.len() - 1;
        for (at, bytes) in says.into_iter().enumerate() {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut request = [0; 6];
            stream.read_exact(&mut request).unwrap();
            assert_eq!(request[..2], [0, 1], "ConnectionRequest");
            let mut rest = vec![0; usize::from(request[5])];
            stream.read_exact(&mut rest).unwrap();
            stream.write_all(&bytes).unwrap();
            // The others are ended at once.
            last = (at == last_at).then_some(stream);
        }
        last.unwrap()
    };
    (address, std::thread::spawn(serve))
}

const WELCOME: &[u8] = b"\x00\x02\x00\x00\x00\x04\x00\xc8\x00\x01";

fn block(number: u8, json: &str) -> Vec<u8> {
    let size = u32::try_from(json.len()).unwrap();
    let length = (size + 10).to_be_bytes();
    [&[0, 3][..], &length, &[0, number, 0, 1, 0, 1], &size.to_be_bytes(), json.as_bytes()].concat()
}

/// `ven monitors tail` of a server, with a token that nobody sees in the list of processes.
fn tail(address: SocketAddr) -> Command {
    let words = ["monitors", "tail", "-a", &address.to_string(), "-m", "7", "pump"];
    let mut tail = command(Path::new("/nonexistent"), &words);
    tail.env("VEN_TOKEN", TOKEN);
    tail
}

#[test]
fn nonsense_is_named_and_the_next_connection_may_be_better() {
    let good = block(1, r#"{"Document": {"Msg": {"topic": "event.started", "Event": {"price": 0.10}}}}"#);
    let cut = [WELCOME, &block(1, "{}")[..9]].concat();
    let (address, served) = server(vec![b"SSH-2.0-OpenSSH\r\n".to_vec(), cut, [WELCOME, &good].concat()]);
    let tailing = Process::start(&mut tail(address));
    let first =
        tailing.wait_for("monitor 7: it sends a frame of type 21331, which no VEN sends; trying again in", 0);
    let second = tailing.wait_for("monitor 7: the VEN has gone; trying again in", first);
    tailing.wait_for("{\"topic\": \"event.started\", \"Event\": {\"price\": 0.10}}", second);
    let mut stream = served.join().unwrap();
    let mut receipt = [0; 10];
    stream.read_exact(&mut receipt).unwrap();
    assert_eq!(receipt, *b"\x00\x04\x00\x00\x00\x04\x00\x01\x00\xc8");
    tailing.terminate();
}

#[test]
fn whoever_has_read_enough_ends_it_quietly() {
    let one = block(1, r#"{"Document": {"Msg": {"a": 1}}}"#);
    let (address, served) = server(vec![[WELCOME, &one].concat()]);
    let mut child = tail(address).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "{\"a\": 1}\n");
    let mut stream = served.join().unwrap();
    stream.write_all(&block(2, r#"{"Document": {"Msg": {"a": 2}}}"#)).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !said.contains("error") && !said.contains("panicked"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_is_read_without_a_ven_and_what_happens_beside_one_that_is_restarted() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let meter = "[[meter]]\nname = \"main\"\nsource = \"api\"\n\n[push_monitor]";
    let change = [("\"monitors\"]", "\"monitors\", \"meter\"]"), ("[push_monitor]", meter)];
    let file = house.configure_monitors(&vtn.url(), &change);
    tokio::task::block_in_place(|| {
        let (code, why) = bad(&house, &["events"]);
        assert!(code == 3 && why.contains("has this VEN ever run?"), "{why}");
        let ven = Process::ven(&file);
        is_registered(&ven);
        house.wait_for_socket();
        let following = ["events", "tail", "--json", "--topics", "registration.created,meter.reading"];
        let following = Process::start(&mut command(&file, &following));
        let told = |lines: &[String], topic: &str| {
            let facts = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            facts.filter(|fact| fact["topic"] == topic).collect::<Vec<_>>()
        };
        let one = |topic| move |lines: &[String]| (!told(lines, topic).is_empty()).then_some(());
        following.wait_until("what has been", one("registration.created"));
        give(&ven, "000001.000");
        following.wait_until("what is", one("meter.reading"));
        ven.terminate();
        following.wait_for("the VEN does not answer, and is waited for", 0);

        let past = good(&house, &["events", "--since", "1h", "--topics", "registration.*,meter.*"]);
        let line = past.lines().find(|line| line.contains("registration.created")).unwrap();
        assert!(line.contains("vtn_id=\"mock-vtn\""), "{line}");
        assert!(!past.contains("meter."), "facts of meters are not stored: {past}");
        assert_eq!(good(&house, &["events", "--since", "2999-01-01T00:00:00Z"]), "");
        let last = run(&house, &["events", "--limit", "1", "--json"]);
        assert_eq!(out(&last).lines().count(), 1);
        assert!(String::from_utf8(last.stderr).unwrap().contains("note: what is older is left out"));
        let (code, why) = bad(&house, &["events", "--topics", "event.startet"]);
        assert!(code == 2 && why.contains("did you mean \"event.started\"?"), "{why}");
        assert_eq!(bad(&house, &["events", "--since", "soon"]).0, 2);

        let ven = Process::ven(&file);
        following.wait_for("the VEN is there again", 0);
        give(&ven, "000001.001");
        let readings = following.wait_until("the second reading", |lines| {
            Some(told(lines, "meter.reading")).filter(|readings| readings.len() > 1)
        });
        let values: Vec<_> =
            readings.iter().map(|fact| fact["data"]["import_kwh"].as_str().unwrap()).collect();
        assert_eq!(values, ["1", "1.001"], "each once, in order");
        drop(following);
        ven.terminate();
    });
    assert_eq!(vtn.stop().await.violations, [""; 0]);
}

/// The meter has sent a telegram.
fn give(ven: &Process, import_kwh: &str) {
    let body = telegram(import_kwh);
    assert_eq!(post(ven.api(), "/v1/meter/telegrams", TOKEN, &body), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_ven_is_believed_by_the_certificates_that_are_named() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let listen = "listen = \"127.0.0.1:0\"";
    let secure = format!("{listen}\ncert = \"certs/vtn.pem\"\nkey = \"certs/vtn.key\"");
    let change = [(listen, secure.as_str()), ("tcp = \"127.0.0.1:0\"", "tls = \"0.0.0.0:0\"")];
    let file = house.configure_monitors(&vtn.url(), &change);
    tokio::task::block_in_place(|| {
        let ven = Process::ven(&file);
        house.wait_for_socket();
        let ca = house.path("certs/ca.pem");
        let words = ["monitors", "tail", "-t", "monitor.connected", "--ca", ca.to_str().unwrap()];
        let tailing = Process::start(&mut command(&file, &words));
        // Itself, if nothing else.
        tailing.wait_for("\"transport\":\"tls\"", 0);
        tailing.terminate();
        // Who does not know the authority, does not tell the token.
        let stranger = House::new(KeyKind::P256);
        let tailing = Process::start(&mut command(
            &file,
            &["monitors", "tail", "--ca", stranger.path("certs/ca.pem").to_str().unwrap()],
        ));
        tailing.wait_for("invalid peer certificate", 0);
        tailing.terminate();
        assert!(!good(&house, &["monitors", "list"]).contains("1000"), "both are deleted");
        ven.terminate();
    });
    vtn.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_given_up_is_listed_with_its_fault_and_started_again() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let script = r#"
[ -e mended ] || { echo 'E! the pump is not there' >&2; exit 3; }
echo '{"v":[1],"name":"guard","kinds":["event"],"topics":[]}'
while read -r line; do id=${line#*:}; echo "{\"id\":${id%%,*},\"ok\":true}"; done
"#;
    std::fs::write(house.path("guard.sh"), script.replace("mended", house.path("mended").to_str().unwrap()))
        .unwrap();
    let plugin = format!(
        "[[plugin]]\nname = \"guard\"\nstartup = \"ignore\"\ncommand = [\"/bin/sh\", \"{}\"]\n\n[push_monitor]",
        house.path("guard.sh").display()
    );
    let change =
        [("\"monitors\"]", "\"monitors\", \"read\", \"plugin:guard\"]"), ("[push_monitor]", plugin.as_str())];
    let file = house.configure_monitors(&vtn.url(), &change);
    tokio::task::block_in_place(|| {
        let ven = Process::ven(&file);
        house.wait_for_socket();
        let at = ven.api();
        let of = |list: &str| -> Option<Value> { serde_json::from_str::<Value>(list).ok()?.get(0).cloned() };
        let becomes = |state: &str| {
            let plugin = || of(&good(&house, &["plugins", "list", "--json"])).unwrap();
            until(&format!("it becomes {state}"), || plugin()["state"] == state);
            plugin()
        };
        let failed = becomes("failed");
        assert_eq!((&failed["name"], &failed["restarts"]), (&"guard".into(), &0.into()), "{failed}");
        assert!(failed["last_error"].as_str().unwrap().contains("exit status: 3"), "{failed}");
        let listed = good(&house, &["plugins", "list"]);
        assert!(listed.contains("guard") && listed.contains("failed"), "{listed}");
        let (code, why) = bad(&house, &["plugins", "restart", "gard"]);
        assert!(
            code == 1 && why.contains("there is no plugin gard") && why.contains("again: guard"),
            "{why}"
        );

        std::fs::write(house.path("mended"), "").unwrap();
        assert_eq!(good(&house, &["plugins", "restart", "guard"]), "plugin guard is started again\n");
        let running = becomes("running");
        assert_eq!((&running["kind"], &running["restarts"]), (&"exec".into(), &0.into()), "{running}");
        assert_eq!(post(at, "/v1/plugins/guard/restart", TOKEN, ""), 204);
        assert_eq!(post(at, "/v1/plugins/guard/restart", "ven_guess", ""), 401);
        assert_eq!(post(at, "/v1/plugins/gard/restart", TOKEN, ""), 403, "the token is for another");
        let again = |lines: &[String]| {
            lines.iter().filter(|line| line.contains("calls itself guard")).nth(1).map(drop)
        };
        ven.wait_until("its second start", again);
        ven.terminate();
        assert_eq!(bad(&house, &["plugins", "list"]).0, 3);
        assert_eq!(bad(&house, &["plugins", "restart", "guard"]).0, 3);
    });
    vtn.stop().await;
}

/// The status of what is answered.
fn post(at: SocketAddr, path: &str, token: &str, body: &str) -> u16 {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let of_body = format!("Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n");
    let of_body = if body.is_empty() { "" } else { &of_body };
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n"
    );
    stream.write_all(format!("{head}{of_body}\r\n{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}
