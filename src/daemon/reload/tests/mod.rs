//! Programs that are exchanged while they run.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::config::{Config, Part};
use crate::daemon::bus::Bus;
use crate::daemon::clock::Clock;
use crate::daemon::plugin::{Room, State};
use crate::daemon::prepare::PreparedLive;
use crate::daemon::programs::Programs;
use crate::handler::{Change, Decision};
use crate::mock_vtn::EventBuilder;
use crate::openadr::message::OptType;
use crate::time::{Span, Timestamp};

/// Nothing waits so long unless it is broken.
const LONG: Duration = Duration::from_secs(60);

/// Answers what it is asked; to decide it says that it was asked, and waits until it may.
const SCRIPT: &str = r#"
echo '{"v":[1],"name":"test","kinds":["decide","event"],"topics":[]}'
while read -r line; do
    id=${line#*:}; id=${id%%,*}
    kind=${line#*\"kind\":\"}; kind=${kind%%\"*}
    case $kind in
        decide)
            touch "$1/asked"
            while [ ! -e "$1/may" ]; do sleep 0.02; done
            echo "{\"id\":$id,\"opt\":\"optOut\"}" ;;
        close) echo "{\"id\":$id,\"ok\":true}"; touch "$1/closed"; exit 0 ;;
        *) echo "{\"id\":$id,\"ok\":true}" ;;
    esac
done
"#;

struct Scene {
    folder: tempfile::TempDir,
    bus: Bus,
    clock: Clock,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("script.sh"), SCRIPT).unwrap();
        let clock = Clock::start();
        Self { folder, bus: Bus::new(clock), clock }
    }

    fn config(&self, more: &str) -> Config {
        let text = format!(
            "[ven]\nname = \"v\"\nstate = \"s\"\n[vtn]\nurl = \"https://v\"\n[tls]\nca = \"system\"\ncert = \"c\"\nkey = \"k\"\n\
             [signature]\nverify = \"never\"\n{more}"
        );
        Config::from_toml(&text, &self.folder.path().join("ven.toml")).unwrap()
    }

    fn command(&self) -> String {
        let folder = self.folder.path().display();
        format!("command = [\"/bin/sh\", \"{folder}/script.sh\", \"{folder}\"]")
    }

    async fn start(&self, config: &Config) -> Programs {
        let PreparedLive { handler, plugins, .. } = PreparedLive::new(config).unwrap();
        let room = Room::without_meters(&self.bus, self.clock);
        Programs::start(None, config, (handler, plugins), &room).await.unwrap()
    }

    /// What differs, and what came of it.
    async fn exchange(&self, programs: &mut Programs, config: &Config) -> Result<Vec<Part>, String> {
        let PreparedLive { handler, plugins, .. } = PreparedLive::new(config).unwrap();
        let differing = programs.differing(handler.as_ref(), &plugins);
        let decides = differing.contains(&Part::section("handler"));
        let started = programs.prepare(config, decides, (handler, &plugins)).await;
        let started = started.map_err(|(key, why)| format!("{key}: {why}"))?;
        programs.exchange(started, plugins).await;
        Ok(differing)
    }

    async fn is_there(&self, name: &str) {
        let there = async {
            while !self.folder.path().join(name).exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(tokio::time::timeout(LONG, there).await.is_ok(), "{name}");
    }
}

fn asked(programs: &Programs) -> JoinHandle<Decision> {
    let handler = programs.handler();
    let event = Arc::new(EventBuilder::new("e", Timestamp::EPOCH, Span::HOUR).build().event);
    tokio::spawn(async move { handler.on_event(event, Change::New).await })
}

fn put(folder: &Path, name: &str) {
    std::fs::write(folder.join(name), "").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_decides_answers_what_it_was_asked_before_it_is_ended() {
    let scene = Scene::new();
    let by_program = format!("[handler]\nkind = \"exec\"\ntimeout = \"1min\"\n{}\n", scene.command());
    let mut programs = scene.start(&scene.config(&by_program)).await;
    let first = asked(&programs);
    scene.is_there("asked").await;
    let by_rules = scene.config("[handler]\ndefault = \"optIn\"\n");
    scene.exchange(&mut programs, &by_rules).await.unwrap();
    assert_eq!(asked(&programs).await.unwrap(), OptType::OptIn.into(), "by the rules at once");
    assert!(!first.is_finished() && !scene.folder.path().join("closed").exists());
    put(scene.folder.path(), "may");
    assert_eq!(first.await.unwrap(), OptType::OptOut.into());
    scene.is_there("closed").await;
    programs.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_must_start_and_does_not_leaves_all_as_it_was() {
    let scene = Scene::new();
    put(scene.folder.path(), "may");
    let handler = format!("[handler]\nkind = \"exec\"\ntimeout = \"1min\"\n{}\n", scene.command());
    let plugin = format!("[[plugin]]\nname = \"p\"\n{}\nstartup = \"error\"\n", scene.command());
    let mut programs = scene.start(&scene.config(&format!("{handler}{plugin}"))).await;
    let seat = programs.plugins();
    let fails = "command = [\"/bin/sh\", \"-c\", \"exit 3\"]";
    for (new, why) in [
        (
            format!("[handler]\nkind = \"exec\"\n{fails}\n{plugin}"),
            "handler.command: it has ended (exit status: 3)",
        ),
        (
            format!("{handler}{plugin}[[plugin]]\nname = \"q\"\n{fails}\nstartup = \"error\"\n"),
            "plugin[1]: [[plugin]] q: it has ended (exit status: 3)",
        ),
    ] {
        let fault = scene.exchange(&mut programs, &scene.config(&new)).await.unwrap_err();
        assert!(fault.starts_with(why), "{fault}");
        assert!(matches!(seat.states()["p"], State::Running(_)) && seat.states().len() == 1);
        assert_eq!(asked(&programs).await.unwrap(), OptType::OptOut.into(), "the program still decides");
    }
    assert_eq!(
        scene.exchange(&mut programs, &scene.config(&format!("{handler}{plugin}"))).await.unwrap(),
        []
    );
    programs.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_removed_is_told_to_close_and_nobody_waits_for_it_any_more() {
    let scene = Scene::new();
    let plugin = format!("[[plugin]]\nname = \"p\"\n{}\n", scene.command());
    let mut programs = scene.start(&scene.config(&plugin)).await;
    let plugins = programs.plugins();
    let runs = async {
        while !matches!(plugins.states()["p"], State::Running(_)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, runs).await.unwrap();
    scene.exchange(&mut programs, &scene.config("")).await.unwrap();
    assert!(scene.folder.path().join("closed").exists(), "it has ended by then");
    assert!(plugins.states().is_empty());
    let alive = tokio::runtime::Handle::current().metrics();
    let ended = async {
        while alive.num_alive_tasks() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    programs.close().await;
    assert!(tokio::time::timeout(LONG, ended).await.is_ok(), "whoever told it what happens has ended too");
}
