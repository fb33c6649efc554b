//! A plugin is told what happens, and serves paths.

use serde_json::{Map, Value};

use super::{LONG, PATIENT, Scene, is_there, until};
use crate::config::Startup;
use crate::daemon::plugin::exec_handler::EVENT;
use crate::daemon::plugin::exec_plugin::{NotServed, REPORT_READ, deliver, question};
use crate::daemon::plugin::program_seat::{Keeping, State};
use crate::daemon::plugin::{ExecPlugin, Plugins, ProgramSeat};
use crate::fact::{Draft, Topics};
use crate::plugin::Request;
use crate::time::Timestamp;

/// A plugin that wants these topics; `None`: those of its hello.
async fn start(scene: &Scene, topics: Option<&[&str]>) -> (ProgramSeat, Keeping) {
    let mut settings = scene.settings(PATIENT);
    (settings.needs, settings.startup) = (&[EVENT], Startup::Retry);
    let (seat, keeping) = ProgramSeat::start(settings, &scene.room()).await.unwrap();
    let topics = topics.map(|topics| Topics::parse(topics.iter().copied()).unwrap());
    tokio::spawn(ExecPlugin { seat: seat.clone(), bus: scene.bus.clone(), topics }.run());
    seat.clone().started().await.unwrap();
    // Its place is where the newest fact is when it first runs.
    tokio::task::yield_now().await;
    (seat, keeping)
}

/// A fact of a meter is seen at once, others when they are stored.
fn happens(scene: &Scene, topic: &str, count: u64) {
    let data = Map::from_iter([("count".to_owned(), Value::from(count))]);
    let draft = Draft { topic: topic.to_owned(), subject: None, time: Timestamp::EPOCH, data };
    scene.bus.reserve(vec![draft]).publish();
}

fn heard(scene: &Scene) -> Vec<(String, u64)> {
    let text = std::fs::read_to_string(scene.path("heard")).unwrap_or_default();
    // The last line may be half written.
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let one =
        |line: Value| (line["topic"].as_str().unwrap().to_owned(), line["data"]["count"].as_u64().unwrap());
    lines.map(one).collect()
}

const HEARS: &str = "folder=$1\nevent() { echo \"$line\" >> $folder/heard; yes; }\n";

#[tokio::test]
async fn it_is_told_what_it_wants_in_the_order_in_which_it_happened() {
    let scene = Scene::new(&format!("{HEARS}hello\nanswer"));
    let (_seat, keeping) = start(&scene, Some(&["meter.reading", "x.**"])).await;
    for count in 0..100 {
        happens(&scene, "meter.reading", count);
        happens(&scene, "event.started", count);
        happens(&scene, "x.test.state", count);
    }
    happens(&scene, "x.other.state", 100);
    until(|| heard(&scene).len() >= 101).await;
    let heard = heard(&scene);
    assert!(heard.iter().map(|(_, count)| *count).eq(0..=100), "{heard:?}");
    assert!(heard.iter().take(100).all(|(topic, _)| topic == "meter.reading"), "not what it said itself");
    keeping.close().await;
}

#[tokio::test]
async fn its_hello_may_say_what_it_wants() {
    let hello = r#"echo '{"v":[1],"name":"t","kinds":["event"],"topics":["event.*"]}'"#;
    let scene = Scene::new(&format!("{HEARS}{hello}\nanswer"));
    let (_seat, keeping) = start(&scene, None).await;
    happens(&scene, "meter.reading", 1);
    happens(&scene, "event.started", 2);
    until(|| !heard(&scene).is_empty()).await;
    assert_eq!(heard(&scene), [("event.started".to_owned(), 2)]);
    keeping.close().await;
}

#[tokio::test]
async fn what_it_has_not_acknowledged_it_is_told_again_when_it_runs_again() {
    let script = "folder=$1\nevent() { echo \"$line\" >> $folder/heard\n\
        case $line in *'\"count\":3}'*) [ -e $folder/died ] || { touch $folder/died; exit 1; };; esac; yes; }\nhello\nanswer";
    let scene = Scene::new(script);
    let (_seat, keeping) = start(&scene, Some(&["meter.reading"])).await;
    (0..10).for_each(|count| happens(&scene, "meter.reading", count));
    let all = |heard: &[(String, u64)]| (0..10).all(|count| heard.iter().any(|(_, found)| *found == count));
    until(|| all(&heard(&scene))).await;
    let heard = heard(&scene);
    assert_eq!(heard.iter().filter(|(_, count)| *count == 3).count(), 2, "{heard:?}");
    assert_eq!(heard.iter().filter(|(_, count)| *count == 2).count(), 1, "it was acknowledged: {heard:?}");
    keeping.close().await;
}

/// Ends at once, until somebody has mended it.
const BROKEN: &str =
    "echo $$ >> $1/pids\nhello\nif [ ! -e $1/mended ]; then read -r line; echo '{\"id\":1}'; exit 1; fi\n";

#[tokio::test]
async fn one_that_was_given_up_is_started_again_by_hand_and_told_what_has_happened_meanwhile() {
    let scene = Scene::new(&format!("{HEARS}{BROKEN}answer"));
    let (mut seat, keeping) = start(&scene, Some(&["meter.reading"])).await;
    scene.told("plugin.failed").await;
    until(|| matches!(seat.state(), State::Stopped(_))).await;
    happens(&scene, "meter.reading", 1);
    let asked = seat.ask(EVENT, Map::new(), LONG).await;
    assert!(asked.unwrap_err().to_string().contains("5 times within a minute"), "nobody is kept waiting");
    std::fs::write(scene.path("mended"), "").unwrap();
    seat.restart();
    until(|| !matches!(seat.state(), State::Stopped(_))).await;
    seat.started().await.unwrap();
    happens(&scene, "meter.reading", 2);
    until(|| heard(&scene).len() == 2).await;
    assert_eq!(heard(&scene), [("meter.reading".to_owned(), 1), ("meter.reading".to_owned(), 2)]);
    keeping.close().await;
}

#[tokio::test]
async fn one_that_runs_is_told_to_end_and_started_again_as_often_as_one_likes() {
    let script = format!(
        "{HEARS}close() {{ echo closed >> $folder/closed; exit 0; }}\necho $$ >> $1/pids\nhello\nanswer"
    );
    let scene = Scene::new(&script);
    let (seat, keeping) = start(&scene, Some(&["meter.reading"])).await;
    let pids = || std::fs::read_to_string(scene.path("pids")).unwrap_or_default();
    scene.told("plugin.started").await;
    // Five ends of its own would be too many.
    for restarts in 1..=6 {
        seat.restart();
        let exited = scene.told("plugin.exited").await;
        assert_eq!(exited.data["retry_seconds"], 0);
        scene.told("plugin.started").await;
        assert_eq!(pids().lines().count(), 1 + restarts);
    }
    assert_eq!(std::fs::read_to_string(scene.path("closed")).unwrap().lines().count(), 6);
    let all = pids();
    assert!(all.lines().take(6).all(|pid| !is_there(pid)) && is_there(all.lines().last().unwrap()));
    happens(&scene, "meter.reading", 1);
    until(|| heard(&scene).len() == 1).await;
    keeping.close().await;
}

#[tokio::test]
async fn what_it_refuses_is_told_three_times_and_then_the_next_follows() {
    let script = "folder=$1\nevent() { echo \"$line\" >> $folder/heard\n\
        case $line in *'\"count\":0}'*) echo \"{\\\"id\\\":$id,\\\"error\\\":\\\"no\\\"}\";; *) yes;; esac; }\nhello\nanswer";
    let scene = Scene::new(script);
    let (seat, keeping) = start(&scene, Some(&[])).await;
    happens(&scene, "meter.reading", 0);
    happens(&scene, "meter.reading", 1);
    for fact in scene.bus.after(0, 2).facts {
        let first = seat.ask(EVENT, question(&fact), LONG);
        deliver(seat.clone(), fact, first).await;
    }
    let counts: Vec<_> = heard(&scene).into_iter().map(|(_, count)| count).collect();
    assert_eq!(counts, [0, 0, 0, 1]);
    keeping.close().await;
}

#[tokio::test]
async fn a_plugin_that_does_not_acknowledge_holds_up_nobody() {
    let scene = Scene::new("event() { :; }\nhello\nanswer");
    let (_seat, keeping) = start(&scene, Some(&["meter.reading"])).await;
    // Nobody waits: this would never come to its end otherwise.
    (0..10_000).for_each(|count| happens(&scene, "meter.reading", count));
    assert_eq!(*scene.bus.newest().borrow(), 10_000);
    keeping.close().await;
}

#[tokio::test]
async fn it_serves_the_paths_of_its_hello() {
    let hello = r#"echo '{"v":[1],"name":"t","kinds":["event","http"],"routes":[{"method":"GET","path":"state"},{"method":"POST","path":"/bad"}]}'"#;
    let http = r#"http() { case $line in
        *'"path":"state","query":"a=1"'*) echo "{\"id\":$id,\"status\":201,\"body\":{\"limit\":0.50}}";;
        *) echo "{\"id\":$id,\"status\":7}";; esac; }"#;
    let scene = Scene::new(&format!("{http}\n{hello}\nanswer"));
    let (seat, keeping) = start(&scene, Some(&[])).await;
    let plugins = Plugins::default();
    plugins.add(seat);
    let ask = |method: &str, path: &str| Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: "a=1".to_owned(),
        body: String::new(),
    };
    let served = plugins.call("test", ask("GET", "state")).await.unwrap();
    assert_eq!((served.status, served.content_type.as_str()), (201, "application/json"));
    assert_eq!(served.body, r#"{"limit":"0.50"}"#);
    let error = plugins.call("test", ask("POST", "bad")).await.unwrap_err();
    assert!(matches!(&error, NotServed::Failed(why) if why.contains("status")), "{error}");
    let error = plugins.call("test", ask("GET", "bad")).await.unwrap_err();
    assert!(matches!(error, NotServed::NoRoute { .. }), "{error}");
    assert!(matches!(plugins.call("other", ask("GET", "state")).await, Err(NotServed::NoPlugin(_))));
    assert!(matches!(plugins.states()["test"], State::Running(_)));
    tokio::time::timeout(LONG, keeping.close()).await.unwrap();
}

#[tokio::test]
async fn what_happens_while_one_is_given_up_is_told_when_it_is_started_after_all() {
    let hears = "event() { [ -e $folder/mended ] || exit 1; echo \"$line\" >> $folder/heard; yes; }";
    let scene = Scene::new(&format!("folder=$1\n{hears}\nhello\nanswer"));
    let (seat, keeping) = start(&scene, Some(&["meter.reading"])).await;
    (0..20).for_each(|count| happens(&scene, "meter.reading", count));
    until(|| matches!(seat.state(), State::Stopped(_))).await;
    (20..40).for_each(|count| happens(&scene, "meter.reading", count));
    std::fs::write(scene.path("mended"), "").unwrap();
    seat.restart();
    until(|| heard(&scene).len() >= 40).await;
    let mut counts: Vec<u64> = heard(&scene).into_iter().map(|(_, count)| count).collect();
    counts.sort_unstable();
    assert!(counts.into_iter().eq(0..40));
    keeping.close().await;
}

#[tokio::test]
async fn a_plugin_that_is_a_source_only_is_not_told_what_happens() {
    let hello = r#"echo '{"v":[1],"name":"t","kinds":["report.read"]}'"#;
    let script = r#"
report() { echo "{\"id\":$id,\"values\":[{\"start\":\"2030-01-01T00:00:00Z\",\"value\":0.10}]}"; }
answer() { while read -r line; do id=${line#*:}; id=${id%%,*}; case $line in
    *'"kind":"report.read","source":"battery"'*) report;; *'"kind":"event"'*) event;; *) yes;; esac; done; }
"#;
    let scene = Scene::new(&format!("{HEARS}{script}{hello}\nanswer"));
    let mut settings = scene.settings(PATIENT);
    settings.needs = &[EVENT, REPORT_READ];
    let (seat, keeping) = ProgramSeat::start(settings, &scene.room()).await.unwrap();
    let topics = Some(Topics::parse(["meter.*"]).unwrap());
    tokio::spawn(ExecPlugin { seat: seat.clone(), bus: scene.bus.clone(), topics }.run());
    tokio::task::yield_now().await;
    let plugins = Plugins::default();
    plugins.add(seat.clone());
    happens(&scene, "meter.reading", 1);
    tokio::task::yield_now().await;
    // Whatever it was to be told of that comes before this.
    seat.ask("other", Map::new(), LONG).await.unwrap();
    let question = Map::from_iter([("source".to_owned(), Value::from("battery"))]);
    let answer = plugins.read_report("test", question.clone(), LONG).await.unwrap();
    assert_eq!(answer["values"][0]["value"], "0.10", "no digit is lost");
    let error = plugins.read_report("other", question.clone(), LONG).await.unwrap_err();
    assert_eq!(error, "there is no plugin other");
    assert!(heard(&scene).is_empty());
    keeping.close().await;
    let scene = Scene::new(&format!("{HEARS}hello\nanswer"));
    let (seat, keeping) = start(&scene, Some(&[])).await;
    plugins.add(seat);
    let error = plugins.read_report("test", question, LONG).await.unwrap_err();
    assert!(error.contains("have no \"report.read\""), "{error}");
    keeping.close().await;
}
