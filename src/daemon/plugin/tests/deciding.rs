//! A program decides, is told, and ends.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{LONG, PATIENT, Patience, SHORT, Scene, is_there, reason, runs, until};
use crate::daemon::plugin::conversation::CallFault;
use crate::daemon::plugin::exec_handler::{Asked, EVENT};
use crate::daemon::plugin::program_seat::State;
use crate::daemon::plugin::{ExecHandler, OneShot};
use crate::handler::{ActiveInterval, Change, Decision, EndReason, EventHandler};
use crate::mock_vtn::EventBuilder;
use crate::openadr::message::{EiEvent, Float, OptType};
use crate::time::{Span, Timestamp};

fn event(level: i64) -> Arc<EiEvent> {
    let start = Timestamp::from_seconds(1_900_000_000);
    Arc::new(EventBuilder::new("e1", start, Span::HOUR).level(level).build().event)
}

fn because(opt: OptType, why: &str) -> Decision {
    Decision::Because(opt, why.to_owned())
}

#[tokio::test]
async fn a_program_in_python_decides_by_what_it_is_told() {
    let scene = Scene::new("");
    let script = r#"
import json, os, sys
def say(o): print(json.dumps(o), flush=True)
say({"v": [1], "name": "peak-guard", "kinds": ["decide"], "unknown": {"is": ["ignored"]}})
for line in sys.stdin:
    m = json.loads(line)
    if m["kind"] == "decide":
        top = max(float(i["value"]) for s in m["event"]["signals"] for i in s["intervals"])
        ok = top <= float(os.environ["LEVEL"])
        say({"id": m["id"], "opt": "optIn" if ok else "optOut", "reason": f"{m['change']}: level {top}"})
    else:
        say({"id": m["id"], "error": "unsupported"})
"#;
    std::fs::write(scene.path("decide.py"), script).unwrap();
    let mut settings = scene.settings(PATIENT);
    let python = scene.path("decide.py").to_str().unwrap().to_owned();
    settings.program.command = vec!["python3".to_owned(), python];
    let (seat, keeping) = crate::daemon::plugin::ProgramSeat::start(settings, &scene.room()).await.unwrap();
    let handler = scene.handler(&seat, LONG);
    assert_eq!(handler.on_event(event(2), Change::New).await, because(OptType::OptIn, "new: level 2.0"));
    let changed = Change::Modified { old: event(2) };
    assert_eq!(handler.on_event(event(3), changed).await, because(OptType::OptOut, "modified: level 3.0"));
    let State::Running(hello) = seat.state() else { panic!("{:?}", seat.state()) };
    assert_eq!(hello.name, "peak-guard");
    let started = scene.told("plugin.started").await;
    assert_eq!((started.subject.as_deref(), &started.data["version"]), (Some("test"), &json!(1)));
    keeping.close().await;
}

#[tokio::test]
async fn the_environment_is_cleared_and_no_shell_sees_what_the_vtn_sends() {
    let scene = Scene::new("env > $1/env.part; mv $1/env.part $1/env\nhello\nanswer");
    let (seat, keeping) = scene.start(PATIENT).await;
    let names: Vec<_> =
        scene.text("env").await.lines().map(|line| line.split('=').next().unwrap().to_owned()).collect();
    let known = ["PATH", "HOME", "LANG", "TZ", "LEVEL", "PWD", "OLDPWD", "SHLVL", "_"];
    assert!(names.iter().all(|name| known.contains(&name.as_str())), "{names:?}");
    assert!(names.contains(&"LEVEL".to_owned()));
    let mut evil = (*event(1)).clone();
    evil.descriptor.event_id = "$(touch hacked); `touch hacked`\n'\"".into();
    let handler = scene.handler(&seat, LONG);
    assert_eq!(handler.on_event(Arc::new(evil), Change::New).await, because(OptType::OptIn, "because"));
    assert!(!scene.path("hacked").exists());
    keeping.close().await;
}

#[tokio::test]
async fn it_is_told_of_everything_that_happens_to_an_event_and_acknowledges_it() {
    let scene = Scene::new("folder=$1\nevent() { echo \"$line\" >> $folder/heard; yes; }\nhello\nanswer");
    let (seat, keeping) = scene.start(PATIENT).await;
    let handler = scene.handler(&seat, LONG);
    let event = event(2);
    let timeline = crate::engine::nominal_plan(&event).timeline;
    let interval = ActiveInterval {
        signal_id: "signal-1".into(),
        signal_name: crate::openadr::message::SignalName::Simple,
        index: 0,
        value: Some(Float::from(2)),
        start: timeline.start,
        end: timeline.end,
        resumed: false,
        overridden_by: None,
        timeline,
    };
    handler.on_near(event.clone(), timeline).await;
    handler.on_start(event.clone(), Span::SECOND).await;
    handler.on_interval(event.clone(), interval).await;
    handler.on_end(event, EndReason::Completed).await;
    let heard = scene.text("heard").await;
    let heard: Vec<Value> = heard.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let topics: Vec<_> = heard.iter().map(|line| line["topic"].as_str().unwrap()).collect();
    assert_eq!(topics, ["event.near", "event.started", "event.interval", "event.completed"]);
    assert!(heard.iter().all(|line| line["kind"] == "event" && line["subject"] == "e1"), "{heard:?}");
    assert_eq!((&heard[1]["data"]["late_by_seconds"], &heard[2]["data"]["level"]), (&json!(1), &json!(2)));
    keeping.close().await;
}

#[tokio::test]
async fn what_was_not_acknowledged_is_told_to_the_next_run() {
    let script = "folder=$1\nevent() { echo told >> $folder/heard; [ -e $folder/died ] || { touch $folder/died; exit 3; }; yes; }\nhello\nanswer";
    let scene = Scene::new(script);
    let (seat, keeping) = scene.start(PATIENT).await;
    scene.handler(&seat, LONG).on_start(event(1), Span::ZERO).await;
    assert_eq!(scene.text("heard").await, "told\ntold\n");
    let exited = scene.told("plugin.exited").await;
    assert_eq!((&exited.data["status"], reason(&exited)), (&json!(3), "it has ended (exit status: 3)"));
    keeping.close().await;
}

#[tokio::test]
async fn a_program_that_wants_no_events_is_told_none() {
    let script = "event() { exit 1; }\necho '{\"v\":1,\"name\":\"t\",\"kinds\":[\"decide\"]}'\nanswer";
    let scene = Scene::new(script);
    let (seat, keeping) = scene.start(PATIENT).await;
    let handler = scene.handler(&seat, LONG);
    handler.on_end(event(1), EndReason::Cancelled).await;
    assert_eq!(handler.on_event(event(1), Change::New).await, because(OptType::OptIn, "because"));
    keeping.close().await;
}

#[tokio::test]
async fn it_is_told_to_close_and_may_tidy_up() {
    let script = "folder=$1\nclose() { echo tidy > $folder/closed; exit 0; }\nhello\nanswer";
    let scene = Scene::new(script);
    let (_seat, keeping) = scene.start(PATIENT).await;
    keeping.close().await;
    assert_eq!(std::fs::read_to_string(scene.path("closed")).unwrap(), "tidy\n");
    assert_eq!(reason(&scene.told("plugin.exited").await), "it has ended (exit status: 0)");
}

#[tokio::test]
async fn one_that_ignores_every_signal_is_killed_with_its_children() {
    let script = "trap '' TERM HUP INT\nsleep 1000 &\necho $! > $1/child.part; echo $$ > $1/own\nmv $1/child.part $1/child\nclose() { yes; }\nhello\nanswer\nwhile :; do sleep 1; done";
    let scene = Scene::new(script);
    let patience = Patience { close: SHORT, ..PATIENT };
    let (_seat, keeping) = scene.start(patience).await;
    let (child, own) = (scene.text("child").await, scene.text("own").await);
    assert!(runs(&child) && runs(&own));
    keeping.close().await;
    assert!(!is_there(&own), "not even a zombie is left");
    until(|| !runs(&child)).await;
}

#[tokio::test]
async fn what_a_program_leaves_behind_is_killed_when_it_ends_by_itself() {
    let script = "sleep 1000 >/dev/null 2>&1 &\necho $! > $1/child.part; mv $1/child.part $1/child\nclose() { exit 0; }\nhello\nanswer";
    let scene = Scene::new(script);
    let (_seat, keeping) = scene.start(PATIENT).await;
    let child = scene.text("child").await;
    keeping.close().await;
    until(|| !runs(&child)).await;
}

#[tokio::test]
async fn dropping_everything_kills_it() {
    let scene = Scene::new(
        "trap '' TERM\necho $$ > $1/own.part; mv $1/own.part $1/own\nhello\nanswer\nwhile :; do sleep 1; done",
    );
    let (seat, keeping) = scene.start(Patience { close: SHORT, ..PATIENT }).await;
    let own = scene.text("own").await;
    drop((seat, keeping));
    until(|| !is_there(&own)).await;
}

#[tokio::test]
async fn a_decision_does_not_wait_behind_sixteen_events() {
    // It acknowledges events only when it has to decide.
    let script = "folder=$1\nopen=\nevent() { open=\"$open $id\"; echo event >> $folder/heard; }\n\
        decide() { opt optIn; for id in $open; do yes; done; open=; }\nhello\nanswer";
    let scene = Scene::new(script);
    let (seat, keeping) = scene.start(PATIENT).await;
    let tells: Vec<_> = (0..40)
        .map(|_| {
            let seat = seat.clone();
            tokio::spawn(async move { seat.ask(EVENT, Map::new(), LONG).await })
        })
        .collect();
    let heard = || std::fs::read_to_string(scene.path("heard")).unwrap_or_default().lines().count();
    let handler = scene.handler(&seat, LONG);
    for most in [16, 32, 40] {
        until(|| heard() >= most).await;
        assert_eq!(handler.on_event(event(1), Change::New).await, because(OptType::OptIn, "because"));
        assert!(heard() >= most);
        if most == 16 {
            assert!(heard() <= 32, "sixteen at a time");
        }
    }
    for tell in tells {
        assert_eq!(tell.await.unwrap().unwrap()["ok"], true);
    }
    keeping.close().await;
}

#[tokio::test]
async fn what_it_publishes_stays_below_its_own_name() {
    let script = r#"decide() {
        echo '{"publish":"event.started","data":{}}'
        echo '{"publish":"x.other.state","data":{}}'
        echo '{"publish":"x.test.state","subject":"boiler","data":{"limit":0.10000000000000000001,"count":3}}'
        opt optIn; }
hello
answer"#;
    let scene = Scene::new(script);
    let (seat, keeping) = scene.start(PATIENT).await;
    scene.told("plugin.started").await;
    scene.handler(&seat, LONG).on_event(event(1), Change::New).await;
    let all = scene.bus.take_owed();
    let [published] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((published.topic.as_str(), published.subject.as_deref()), ("x.test.state", Some("boiler")));
    assert_eq!(published.data["limit"], "0.10000000000000000001");
    assert_eq!(published.data["count"], 3);
    keeping.close().await;
}

fn once(scene: &Scene, timeout: Duration) -> ExecHandler {
    ExecHandler {
        asked: Asked::Once(OneShot::new(scene.program(), scene.clock)),
        timeout,
        clock: scene.clock,
    }
}

#[tokio::test]
async fn one_that_is_run_once_decides_by_a_word_or_by_json() {
    let script = "read -r line\ncase $line in *'\"level\":3'*) echo '{\"opt\":\"optOut\",\"reason\":\"too high\"}';; *) echo optIn;; esac";
    let scene = Scene::new(script);
    let handler = once(&scene, LONG);
    assert_eq!(handler.on_event(event(1), Change::New).await, Decision::Opt(OptType::OptIn));
    assert_eq!(handler.on_event(event(3), Change::New).await, because(OptType::OptOut, "too high"));
}

#[tokio::test]
async fn one_that_is_run_once_may_fail_in_every_way() {
    for (script, timeout, why) in [
        ("echo optIn; exit 4", LONG, "exit status: 4"),
        ("exit 0", LONG, "no opt"),
        ("echo yes", LONG, "expected optIn, optOut"),
        ("echo '{\"opt\":\"maybe\"}'", LONG, "the opt \"maybe\""),
        ("head -c 100000 /dev/zero | tr '\\0' x", LONG, "test"),
        ("echo $$ > $1/own.part; mv $1/own.part $1/own; sleep 1000", SHORT, "has not answered within"),
    ] {
        let scene = Scene::new(script);
        let decision = once(&scene, timeout).on_event(event(1), Change::New).await;
        let Decision::Undecided(reason) = decision else { panic!("{script}: {decision:?}") };
        assert!(reason.contains(why), "{script}: {reason}");
        if timeout == SHORT && scene.path("own").exists() {
            let own = scene.text("own").await;
            until(|| !is_there(&own)).await;
        }
    }
    let scene = Scene::new("");
    let mut program = scene.program();
    program.command = vec!["/nonexistent/program".to_owned()];
    let missing = OneShot::new(program, scene.clock).ask("decide", &Map::new(), LONG).await.unwrap_err();
    assert!(matches!(&missing, CallFault::Gone { why, .. } if why.contains("No such file")), "{missing}");
}
