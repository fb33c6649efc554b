//! A VEN that runs reads its configuration anew: what is different holds, what is not is left alone, and what is wrong changes nothing.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};

use nix::sys::signal::{Signal, kill};
use openadr_ven::handler::{Change, Decision, EventHandler};
use openadr_ven::message::{EiEvent, OptType, PayloadKind};
use openadr_ven::mock_vtn::{EventBuilder, KeyKind, MockVtn, VtnCore};
use openadr_ven::time::Span;
use openadr_ven::{Config, ReloadError, Ven};
use serde_json::Value;

use crate::support::{House, PATIENCE, Process, TOKEN, ven};

const OTHER_TOKEN: &str = "ven_9876543210987654321098765432109876543210987";

/// Takes whatever hooks post, over connections that stay open.
struct Receiver {
    port: u16,
    got: Arc<(Mutex<Vec<Got>>, Condvar)>,
}

#[derive(Clone, Debug)]
struct Got {
    path: String,
    /// Which connection it came by.
    connection: usize,
    /// The value of the header `x-key`.
    key: String,
    body: Value,
}

impl Receiver {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let got: Arc<(Mutex<Vec<Got>>, Condvar)> = Arc::default();
        let all = got.clone();
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                let all = all.clone();
                std::thread::spawn(move || {
                    let mut stream = BufReader::new(stream);
                    while let Some(request) = take(&mut stream, connection) {
                        all.0.lock().unwrap().push(request);
                        all.1.notify_all();
                        let answered = stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
                        if answered.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { port, got }
    }

    /// Waits for a request to this path with this in its body; the first of those that were not taken yet.
    fn next(&self, path: &str, text: &str) -> Got {
        let fits = |got: &Got| got.path == path && got.body.to_string().contains(text);
        let (all, news) = &*self.got;
        let lacks = |all: &mut Vec<Got>| !all.iter().any(fits);
        let (mut all, _) = news.wait_timeout_while(all.lock().unwrap(), PATIENCE, lacks).unwrap();
        let at = all.iter().position(fits);
        let at = at.unwrap_or_else(|| panic!("{path} was not told of {text}, but of {all:?}"));
        all.remove(at)
    }

    /// What came to this path and was not taken yet.
    fn rest(&self, path: &str) -> Vec<Got> {
        let all = self.got.0.lock().unwrap();
        all.iter().filter(|got| got.path == path).cloned().collect()
    }
}

fn take(stream: &mut BufReader<TcpStream>, connection: usize) -> Option<Got> {
    let (mut path, mut key, mut length) = (String::new(), String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        match line.split_once(": ") {
            None => line.split(' ').nth(1)?.clone_into(&mut path),
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().ok()?;
            }
            Some((name, value)) if name.eq_ignore_ascii_case("x-key") => value.clone_into(&mut key),
            Some(_) => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Got { path, connection, key, body: serde_json::from_slice(&body).ok()? })
}

struct Scene {
    house: House,
    vtn: MockVtn,
    receiver: Receiver,
}

impl Scene {
    async fn new() -> Self {
        let house = House::new(KeyKind::P256);
        let vtn = house.vtn(Span::SECOND).await;
        Self { house, vtn, receiver: Receiver::new() }
    }

    /// A hook that posts to the path of its name.
    fn hook(&self, name: &str, topics: &str, word: &str) -> String {
        format!("[[hook]]\nname = \"{name}\"\n{}", self.hook_file(name, topics, word))
    }

    fn hook_file(&self, name: &str, topics: &str, word: &str) -> String {
        let port = self.receiver.port;
        format!(
            "type = \"http\"\nurl = \"http://127.0.0.1:{port}/{name}\"\nallow_private = true\ntopics = \"{topics}\"\n\
             template = '{{\"word\":\"{word}\",\"topic\":\"{{{{ topic }}}}\",\"data\":{{{{ data }}}}}}'\n"
        )
    }

    fn configure(&self, more: &str) -> PathBuf {
        self.house.configure(&self.vtn.url(), more)
    }

    /// `ven` with these words and the configuration; whether it succeeds, and all that it says.
    fn command(&self, words: &[&str]) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ven"));
        let output = command.args(words).arg("--config").arg(self.house.path("ven.toml")).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    }

    /// What `ven reload` says after its first line.
    fn reload(&self) -> String {
        let (fine, said) = self.command(&["reload"]);
        assert!(fine, "{said}");
        let (first, rest) = said.split_once('\n').unwrap();
        assert!(first.ends_with("ven.toml was read anew"), "{first}");
        rest.trim_end().to_owned()
    }

    /// The VTN sends an event.
    fn event(&self, id: &str) {
        self.vtn.with(|core| core.add_event(event(core, id)));
    }

    fn opted(&self, id: &str, opt: OptType) {
        let answered = |core: &mut VtnCore| {
            core.opts.iter().any(|found| found.event_id.as_str() == id && found.opt == opt)
        };
        let answered = tokio::runtime::Handle::current().block_on(self.vtn.until(PATIENCE, answered));
        assert!(answered, "{id} is not answered by {opt:?}");
    }

    fn polled(&self) {
        let polled = self.vtn.until(PATIENCE, |core| core.count(PayloadKind::Poll) > 0);
        assert!(tokio::runtime::Handle::current().block_on(polled), "it does not poll");
    }
}

fn event(core: &VtnCore, id: &str) -> EventBuilder {
    let now = core.received.last().map_or_else(|| panic!("nobody has said anything"), |(at, _)| *at);
    EventBuilder::new(id, now.floor_to(Span::SECOND) + Span::DAY, Span::HOUR).level(1)
}

/// Runs what waits in its own way, beside a VTN that lives on this runtime.
async fn beside<T: Send + 'static>(work: impl FnOnce(Arc<Scene>) -> T + Send + 'static) -> T {
    let scene = Arc::new(Scene::new().await);
    let runs = scene.clone();
    let done = tokio::task::spawn_blocking(move || work(runs)).await.unwrap();
    scene.vtn.with(|core| assert_eq!(core.violations, Vec::<String>::new()));
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_is_changed_is_in_the_next_message_and_other_hooks_keep_their_connection() {
    beside(|scene| {
        let other = scene.hook("other", "event.*", "same");
        let facts = scene.hook("facts", "config.*", "fact");
        let with = |word| format!("{}{other}{facts}", scene.hook("one", "event.*", word));
        let process = Process::ven(&scene.configure(&with("old")));
        scene.polled();
        assert_eq!(scene.reload(), "nothing has changed");
        scene.receiver.next("/facts", "config.reloaded");
        scene.event("e1");
        assert_eq!(scene.receiver.next("/one", "event.received").body["word"], "old");
        let connection = scene.receiver.next("/other", "event.received").connection;

        scene.configure(&with("new"));
        assert_eq!(scene.reload(), "changed: [[hook]] \"one\"");
        let fact = scene.receiver.next("/facts", "config.reloaded").body;
        assert_eq!(fact["data"]["changed"], serde_json::json!(["hook.one"]), "{fact}");
        scene.event("e2");
        assert_eq!(scene.receiver.next("/one", "event.received").body["word"], "new");
        assert_eq!(scene.receiver.next("/other", "event.received").connection, connection);
        process.terminate();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_come_and_go_by_files_of_their_own_and_by_the_switch() {
    beside(|scene| {
        let one = scene.hook("one", "event.received", "one");
        let process = Process::ven(&scene.configure(&one));
        scene.polled();
        let file = scene.house.path("ops.toml");
        std::fs::write(&file, scene.hook_file("ops", "event.received", "ops")).unwrap();
        let (fine, said) = scene.command(&["hooks", "add", "ops", file.to_str().unwrap()]);
        assert!(fine && said.contains("ven reload"), "{said}");
        assert_eq!(scene.reload(), "added: [[hook]] \"ops\"");
        scene.event("e1");
        scene.receiver.next("/one", "e1");
        scene.receiver.next("/ops", "e1");

        assert!(scene.command(&["hooks", "pause", "ops"]).0);
        scene.event("e2");
        scene.receiver.next("/one", "e2");
        let (fine, said) = scene.command(&["hooks", "remove", "ops"]);
        assert!(fine && said.contains("ven reload"), "{said}");
        assert_eq!(scene.reload(), "removed: [[hook]] \"ops\"");
        let line = process.wait_for("1 facts waited for a hook that is configured no more", 0);
        let (_, listed) = scene.command(&["deliveries", "list", "--hook", "ops"]);
        assert!(listed.contains("expired"), "{listed}");
        let (_, standing) = scene.command(&["hooks", "list"]);
        assert!(standing.contains("one") && !standing.contains("ops"), "{standing}");

        scene.configure(&format!("[bus]\nhooks = false\n{one}"));
        assert!(scene.reload().starts_with("changed: [bus] hooks\nwarning: hooks are switched off"));
        scene.event("e3");
        process.wait_for("event e3", line);
        scene.configure(&one);
        assert_eq!(scene.reload(), "changed: [bus] hooks");
        scene.event("e4");
        scene.receiver.next("/one", "e4");
        assert!(scene.receiver.rest("/one").is_empty() && scene.receiver.rest("/ops").is_empty());
        process.terminate();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_wrong_changes_nothing_and_every_fault_is_told() {
    beside(|scene| {
        let hooks = scene.hook("one", "event.*", "old") + &scene.hook("facts", "config.*", "fact");
        let process = Process::ven(&scene.configure(&hooks));
        scene.polled();
        for (broken, faults) in [
            (hooks.replace("event.*", "evnt.*") + "[journal]\nkeep = \"long\"\n", ["invalid-topic", "journal.keep"]),
            (hooks.replace("{{ topic }}", "{{ topci }}") + "[ven]\n", ["ven", "duplicate"]),
            (hooks.replace("{{ topic }}", "{{ topci }}"), ["hook.one", "topci"]),
            (hooks.clone() + "[[plugin]]\nname = \"p\"\ncommand = [\"/nonexistent\"]\nstartup = \"error\"\n", ["plugin[0].command", "/nonexistent"]),
            (hooks.clone() + "[[plugin]]\nname = \"p\"\ncommand = [\"/bin/sh\", \"-c\", \"exit 7\"]\nstartup = \"error\"\n", ["plugin[0]", "exit status: 7"]),
        ] {
            scene.configure(&broken);
            let (fine, said) = scene.command(&["reload"]);
            assert!(!fine && faults.iter().all(|fault| said.contains(fault)), "{said}");
            assert!(said.contains("the VEN goes on with its old configuration"), "{said}");
            let fact = scene.receiver.next("/facts", "config.rejected").body;
            let reason = fact["data"]["reason"].as_str().unwrap();
            assert!(faults.iter().all(|fault| reason.contains(fault)), "{reason}");
            process.wait_for("is wrong, the old configuration goes on", 0);
        }
        std::fs::remove_file(scene.house.path("certs/ven.key")).unwrap();
        scene.configure(&hooks.replace("old", "new"));
        let (fine, said) = scene.command(&["reload"]);
        assert!(!fine && said.contains("tls.key"), "{said}");
        scene.event("e1");
        assert_eq!(scene.receiver.next("/one", "event.received").body["word"], "old");
        process.terminate();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_event_is_decided_by_the_new_rules_and_then_by_a_program() {
    beside(|scene| {
        let rules = |opt| format!("[handler]\ntimeout = \"1min\"\nrule = [ {{ when = \"level >= 1\", opt = \"{opt}\" }} ]\n");
        let process = Process::ven(&scene.configure(&rules("optIn")));
        scene.polled();
        scene.event("e1");
        scene.opted("e1", OptType::OptIn);
        scene.configure(&rules("optOut"));
        assert_eq!(scene.reload(), "changed: [handler]");
        scene.event("e2");
        scene.opted("e2", OptType::OptOut);
        let program =
            "[handler]\ntimeout = \"1min\"\nkind = \"exec\"\nmode = \"oneshot\"\ncommand = [\"/bin/echo\", \"optIn\"]\n";
        scene.configure(program);
        assert_eq!(scene.reload(), "changed: [handler]");
        scene.event("e3");
        scene.opted("e3", OptType::OptIn);
        scene.configure(&rules("optOut"));
        assert_eq!(scene.reload(), "changed: [handler]");
        scene.event("e4");
        scene.opted("e4", OptType::OptOut);
        process.terminate();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_does_the_same_and_what_needs_a_restart_is_named_until_there_was_one() {
    beside(|scene| {
        let process = Process::ven(&scene.configure(&scene.hook("one", "event.received", "old")));
        scene.polled();
        let new = scene.hook("one", "event.received", "new") + "[journal]\nkeep = \"1d\"\n";
        let file = scene.configure(&new);
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("[vtn]", "[vtn]\npoll_min = \"2s\"")).unwrap();
        let pid = nix::unistd::Pid::from_raw(i32::try_from(process.id()).unwrap());
        kill(pid, Signal::SIGHUP).unwrap();
        let said = "was read anew; changed: [[hook]] \"one\"; needs a restart: [vtn], [journal]";
        process.wait_for(said, 0);
        scene.event("e1");
        assert_eq!(scene.receiver.next("/one", "e1").body["word"], "new");
        assert_eq!(scene.reload(), "needs a restart: [vtn], [journal]");
        process.terminate();
        let process = Process::ven(&file);
        process.wait_for("registered", 0);
        assert_eq!(scene.reload(), "nothing has changed");
        process.terminate();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_at_the_same_time_are_taken_one_after_the_other() {
    beside(|scene| {
        let hooks = |word: &str| {
            (0..5).map(|at| scene.hook(&format!("h{at}"), "event.received", word)).collect::<String>()
        };
        let process = Process::ven(&scene.configure(&hooks("old")));
        scene.polled();
        scene.configure(&hooks("new"));
        let asked: Vec<_> = (0..6)
            .map(|_| {
                let scene = scene.clone();
                std::thread::spawn(move || scene.reload())
            })
            .collect();
        let said: Vec<String> = asked.into_iter().map(|asked| asked.join().unwrap()).collect();
        let changed = said.iter().filter(|said| said.starts_with("changed: [[hook]] \"h0\", ")).count();
        let nothing = said.iter().filter(|said| *said == "nothing has changed").count();
        assert_eq!((changed, nothing), (1, 5), "{said:?}");
        scene.event("e1");
        for at in 0..5 {
            let path = format!("/h{at}");
            assert_eq!(scene.receiver.next(&path, "e1").body["word"], "new");
            assert!(scene.receiver.rest(&path).is_empty(), "told once");
        }
        process.terminate();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_changed_in_its_file_is_taken_and_shown_to_nobody() {
    beside(|scene| {
        let key = |text: &str| {
            scene.house.write_secret("key", &format!("{text}\n"));
        };
        key("first-secret");
        let hook = scene.hook("one", "event.received", "one") + "headers = { x-key = \"${file:key}\" }\n";
        let facts = scene.hook("facts", "config.*", "fact");
        let process = Process::ven_logging(&scene.configure(&(hook + &facts)), "debug");
        scene.polled();
        scene.event("e1");
        assert_eq!(scene.receiver.next("/one", "e1").key, "first-secret");
        key("second-secret");
        let said = scene.reload();
        assert_eq!(said, "changed: [[hook]] \"one\"");
        scene.event("e2");
        assert_eq!(scene.receiver.next("/one", "e2").key, "second-secret");
        std::fs::remove_file(scene.house.path("key")).unwrap();
        let (fine, said) = scene.command(&["reload"]);
        assert!(!fine && said.contains("hook.one: headers.x-key: "), "{said}");
        scene.event("e3");
        assert_eq!(scene.receiver.next("/one", "e3").key, "second-secret");
        let facts = format!("{:?}{said}{}", scene.receiver.rest("/facts"), process.log().join("\n"));
        assert!(!facts.contains("-secret"), "{facts}");
        process.terminate();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_plugin_that_is_changed_is_started_again() {
    beside(|scene| {
        let script = scene.house.path("plugin.sh");
        std::fs::write(
            &script,
            "echo '{\"v\":[1],\"name\":\"t\",\"kinds\":[\"event\"],\"topics\":[]}'\n\
             while read -r line; do echo \"{\\\"id\\\":$(echo \"$line\" | sed 's/.*\"id\":\\([0-9]*\\).*/\\1/'),\\\"ok\\\":true}\"; done\n",
        )
        .unwrap();
        let plugin = |name: &str, env: &str| {
            let path = script.display();
            format!("[[plugin]]\nname = \"{name}\"\ncommand = [\"/bin/sh\", \"{path}\"]\nenv = {{ WORD = \"{env}\" }}\n")
        };
        let facts = scene.hook("facts", "plugin.*", "fact");
        let more = |word: &str| format!("{}{}{facts}", plugin("same", "x"), plugin("other", word));
        let process = Process::ven(&scene.configure(&more("old")));
        let told = |topic: &str, plugin: &str| {
            let got = scene.receiver.next("/facts", topic).body;
            assert_eq!((&got["topic"], &got["data"]["plugin"]), (&topic.into(), &plugin.into()), "{got}");
            got["data"]["pid"].clone()
        };
        process.wait_until("both plugins run", |lines| {
            (lines.iter().filter(|line| line.contains("runs and calls itself")).count() == 2).then_some(())
        });
        scene.polled();
        // What they have told as the VEN started, in any order.
        let started: BTreeSet<String> = (0..2)
            .map(|_| scene.receiver.next("/facts", "plugin.started").body["data"]["plugin"].to_string())
            .collect();
        assert_eq!(started.len(), 2);
        scene.configure(&more("new"));
        assert_eq!(scene.reload(), "changed: [[plugin]] \"other\"");
        told("plugin.exited", "other");
        assert!(told("plugin.started", "other").is_number());
        scene.configure(&format!("{}{facts}", plugin("third", "x")));
        assert_eq!(
            scene.reload(),
            "added: [[plugin]] \"third\"\nremoved: [[plugin]] \"same\", [[plugin]] \"other\""
        );
        let gone: BTreeSet<String> = (0..2)
            .map(|_| scene.receiver.next("/facts", "plugin.exited").body["data"]["plugin"].to_string())
            .collect();
        assert_eq!(gone.len(), 2);
        told("plugin.started", "third");
        assert!(scene.receiver.rest("/facts").is_empty(), "{:?}", scene.receiver.rest("/facts"));
        let (_, status) = scene.command(&["status", "--json"]);
        let status: Value = serde_json::from_str(&status).unwrap();
        let names: Vec<&String> = status["plugins"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["third"], "{status}");
        process.terminate();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_taken_away_opens_nothing_any_more_and_a_stream_by_it_ends() {
    beside(|scene| {
        scene.house.write_secret("one", TOKEN);
        scene.house.write_secret("two", OTHER_TOKEN);
        let section = |name: &str| {
            format!(
                "[[http.token]]\nname = \"{name}\"\ntoken = \"${{file:{name}}}\"\nscopes = [\"read\", \"monitors\"]\n\
                 [[monitor]]\nid = {}\nowner = \"{name}\"\ntopics = [\"event.*\"]\n",
                name.len()
            )
        };
        let http = "[http]\nlisten = \"127.0.0.1:0\"\n";
        let process = Process::ven(&scene.configure(&format!("{http}{}", section("one"))));
        let address = process.api();
        let ask = |path: &str, token: &str| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).unwrap();
            stream
        };
        let status = |token: &str| {
            let mut answer = String::new();
            ask("/v1/hooks", token).read_to_string(&mut answer).unwrap();
            answer.split(' ').nth(1).unwrap().to_owned()
        };
        assert_eq!((status(TOKEN), status(OTHER_TOKEN)), ("200".into(), "401".into()));
        let mut stream = BufReader::new(ask("/v1/monitors/3/stream", TOKEN));
        let mut first = String::new();
        stream.read_line(&mut first).unwrap();
        assert!(first.contains("200"), "{first}");

        let second = section("two").replace("id = 3", "id = 4");
        scene.configure(&format!("{http}{second}"));
        let expected = "added: [[monitor]] 4, [[http.token]] \"two\"\nremoved: [[monitor]] 3, [[http.token]] \"one\"";
        assert_eq!(scene.reload().split("\nwarning").next().unwrap(), expected);
        assert_eq!((status(TOKEN), status(OTHER_TOKEN)), ("401".into(), "200".into()));
        // To its end, which comes.
        stream.read_to_string(&mut first).unwrap();
        scene.house.write_secret("two", TOKEN);
        assert_eq!(scene.reload().split("\nwarning").next().unwrap(), "changed: [[http.token]] \"two\"");
        assert_eq!((status(TOKEN), status(OTHER_TOKEN)), ("200".into(), "401".into()));
        process.terminate();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_that_are_off_for_one_run_stay_off_whatever_is_read() {
    beside(|scene| {
        let file = scene.configure(&scene.hook("one", "event.received", "old"));
        let process = Process::start(ven(&file).arg("--no-hooks").env("RUST_LOG", "info"));
        scene.polled();
        process.wait_for("hooks are switched off", 0);
        scene.configure(&scene.hook("one", "event.received", "new"));
        assert!(scene.reload().starts_with("changed: [[hook]] \"one\"\nwarning: hooks are switched off"));
        scene.event("e1");
        process.wait_for("event e1", 0);
        process.terminate();
        // With hooks the next run tells nothing of before.
        let process = Process::ven(&file);
        process.wait_for("registered", 0);
        scene.event("e2");
        scene.receiver.next("/one", "e2");
        assert!(scene.receiver.rest("/one").is_empty(), "{:?}", scene.receiver.rest("/one"));
        process.terminate();
    })
    .await;
}

#[test]
fn nobody_who_runs_is_told_so_and_a_broken_file_says_where_its_ven_is() {
    let house = House::new(KeyKind::P256);
    let file = house.configure("https://localhost:1", "[journal]\nkeep = \"long\"\n");
    let output =
        Command::new(env!("CARGO_BIN_EXE_ven")).args(["reload", "--config"]).arg(&file).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("no VEN runs with this configuration") && said.contains("state/control.sock"),
        "{said}"
    );
    std::fs::write(&file, "[vtn\n").unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_ven")).args(["reload", "--config"]).arg(&file).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("ven.toml:1"), "{said}");
}

/// Takes part in everything.
struct Always;

impl EventHandler for Always {
    async fn on_event(&self, _event: Arc<EiEvent>, _change: Change) -> Decision {
        OptType::OptIn.into()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_embeds_a_ven_exchanges_its_configuration_and_keeps_its_own_handler() {
    let scene = Scene::new().await;
    let config = |more: &str| Config::load(&scene.configure(more)).unwrap();
    let old = scene.hook("one", "event.received", "old");
    let ven = Ven::builder(config(&old)).handler(Always).start().await.unwrap();
    let rules = "[handler]\nrule = [ { when = \"true\", opt = \"optOut\" } ]\n";
    let changes = ven.reload(config(&format!("{rules}{}", old.replace("old", "new")))).await.unwrap();
    let parts: Vec<String> = changes.changed.iter().map(ToString::to_string).collect();
    assert_eq!(parts, ["[[hook]] \"one\"", "[handler]"]);
    assert!(changes.added.is_empty() && changes.removed.is_empty() && changes.needs_restart.is_empty());
    assert!(scene.vtn.until(PATIENCE, |core| core.count(PayloadKind::Poll) > 0).await);
    scene.event("e1");
    let decided = |core: &mut VtnCore| core.opts.iter().any(|found| found.opt == OptType::OptIn);
    assert!(scene.vtn.until(PATIENCE, decided).await, "the handler that was brought decides");
    let got = tokio::task::block_in_place(|| scene.receiver.next("/one", "e1"));
    assert_eq!(got.body["word"], "new");

    let gone = config(&format!("{old}headers = {{ x-key = \"${{file:none}}\" }}\n"));
    let Err(ReloadError::Config(error)) = ven.reload(gone).await else { panic!("there is no such file") };
    assert!(error.to_string().contains("hook.one: headers.x-key: "), "{error}");
    ven.stop().await;
}
