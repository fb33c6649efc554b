//! A program that misbehaves gets the default answered in its place, and is started again or given up.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{LONG, PATIENT, Patience, ProgramSettings, SHORT, Scene, is_there, reason, until};
use crate::config::{MAX_MEMORY, Startup};
use crate::daemon::plugin::exec_handler::EVENT;
use crate::daemon::plugin::program_seat::State;
use crate::daemon::plugin::{NotServed, Plugins, ProgramSeat};
use crate::handler::{Change, Decision, EventHandler};
use crate::mock_vtn::EventBuilder;
use crate::openadr::message::{EiEvent, OptType};
use crate::time::{Span, Timestamp};

fn event() -> Arc<EiEvent> {
    Arc::new(EventBuilder::new("e1", Timestamp::from_seconds(1_900_000_000), Span::HOUR).build().event)
}

async fn decide(scene: &Scene, seat: &ProgramSeat, timeout: std::time::Duration) -> Decision {
    scene.handler(seat, timeout).on_event(event(), Change::New).await
}

fn undecided(decision: Decision) -> String {
    let Decision::Undecided(why) = decision else { panic!("{decision:?}") };
    why
}

fn fine() -> Decision {
    Decision::Because(OptType::OptIn, "because".to_owned())
}

/// Does that the first time only.
fn at_first(act: &str) -> String {
    format!(
        "folder=$1\ndecide() {{ if [ -e $folder/done ]; then opt optIn; else touch $folder/done; {act}; fi; }}\n\
         echo $$ >> $folder/pids\nhello\nanswer"
    )
}

#[tokio::test]
async fn one_that_crashes_is_started_again() {
    let scene = Scene::new(&at_first("echo 'E! oh no' >&2; exit 7"));
    let (mut seat, keeping) = scene.start(PATIENT).await;
    let why = undecided(decide(&scene, &seat, LONG).await);
    assert_eq!(why, "test does not run: it has ended (exit status: 7)");
    let exited = scene.told("plugin.exited").await;
    assert_eq!((&exited.data["status"], &exited.data["retry_seconds"]), (&json!(7), &json!(0)));
    seat.started().await.unwrap();
    assert_eq!(decide(&scene, &seat, LONG).await, fine());
    let pids = scene.text("pids").await;
    let [first, second] = pids.lines().collect::<Vec<_>>()[..] else { panic!("{pids}") };
    assert!(!is_there(first) && is_there(second));
    keeping.close().await;
}

#[tokio::test]
async fn one_that_crashes_five_times_a_minute_is_given_up() {
    let scene = Scene::new("echo $$ >> $1/pids\nhello\nread -r line; echo '{\"id\":1}'; exit 1");
    let (seat, keeping) = scene.start(PATIENT).await;
    let failed = scene.told("plugin.failed").await;
    assert!(reason(&failed).contains("5 times within a minute"), "{}", reason(&failed));
    assert_eq!(scene.text("pids").await.lines().count(), 5);
    let why = undecided(decide(&scene, &seat, LONG).await);
    assert!(why.contains("5 times"), "at once: {why}");
    assert!(matches!(seat.state(), State::Stopped(_)));
    keeping.close().await;
}

#[tokio::test]
async fn one_that_hangs_is_late_and_then_killed() {
    let scene = Scene::new(&at_first("sleep 1000"));
    let patience = Patience { hang: SHORT, ..PATIENT };
    let (mut seat, keeping) = scene.start(patience).await;
    let why = undecided(decide(&scene, &seat, SHORT).await);
    assert!(why.contains("has not answered within"), "{why}");
    assert!(reason(&scene.told("plugin.failed").await).contains("hangs"));
    scene.told("plugin.started").await;
    seat.started().await.unwrap();
    assert_eq!(decide(&scene, &seat, LONG).await, fine());
    let pids = scene.text("pids").await;
    assert!(!is_there(pids.lines().next().unwrap()));
    keeping.close().await;
}

#[tokio::test]
async fn one_that_answers_late_is_not_believed_and_lives_on() {
    let scene = Scene::new(&at_first("until [ -e $folder/gate ]; do sleep 0.01; done; opt optOut late"));
    let (seat, keeping) = scene.start(PATIENT).await;
    assert!(undecided(decide(&scene, &seat, SHORT).await).contains("has not answered within"));
    std::fs::write(scene.path("gate"), "").unwrap();
    assert_eq!(decide(&scene, &seat, LONG).await, fine());
    assert_eq!(scene.text("pids").await.lines().count(), 1);
    keeping.close().await;
}

#[tokio::test]
async fn an_answer_to_another_question_decides_nothing() {
    let scene = Scene::new(&at_first("id=999; opt optIn; id='\"2\"'; opt optIn"));
    let (seat, keeping) = scene.start(PATIENT).await;
    assert!(undecided(decide(&scene, &seat, SHORT).await).contains("has not answered"));
    assert_eq!(decide(&scene, &seat, LONG).await, fine());
    keeping.close().await;
}

#[tokio::test]
async fn nonsense_decides_nothing_and_hurts_no_answer() {
    let nonsense = r#"decide() { echo 'thinking...'; echo '[1,2]'; echo '{}'; printf '\377\n'; echo '{"id":"x"}'; opt "$answer"; answer=optIn; }
answer=perhaps
hello
answer"#;
    let scene = Scene::new(nonsense);
    let (seat, keeping) = scene.start(PATIENT).await;
    let why = undecided(decide(&scene, &seat, LONG).await);
    assert!(why.contains("the opt \"perhaps\"; expected \"optIn\" or \"optOut\""), "{why}");
    assert_eq!(decide(&scene, &seat, LONG).await, fine());
    keeping.close().await;
}

#[tokio::test]
async fn what_it_asks_us_is_answered_as_unsupported() {
    let script = "folder=$1\ndecide() { own=$id; echo '{\"id\":\"q\",\"kind\":\"weather\"}'; read -r answer; echo \"$answer\" > $folder/answer; id=$own; opt optIn; }\nhello\nanswer";
    let scene = Scene::new(script);
    let (seat, keeping) = scene.start(PATIENT).await;
    assert_eq!(decide(&scene, &seat, LONG).await, fine());
    assert_eq!(scene.text("answer").await.trim(), r#"{"id":"q","error":"unsupported"}"#);
    keeping.close().await;
}

#[tokio::test]
async fn one_that_floods_is_ended() {
    for (flood, why) in [
        ("yes '{\"log\":\"debug\"}'", "more than 1000 lines within a second"),
        ("head -c 3000000 /dev/zero | tr '\\0' x; sleep 1000", "a line of more than 1048576 octets"),
    ] {
        let script = at_first(flood).replace("yes() {", "acknowledge() {");
        let scene = Scene::new(&script.replace("yes '", "command yes '"));
        let (mut seat, keeping) = scene.start(PATIENT).await;
        let reason_given = undecided(decide(&scene, &seat, LONG).await);
        assert!(reason_given.contains(why), "{reason_given}");
        assert!(reason(&scene.told("plugin.failed").await).contains(why));
        seat.started().await.unwrap();
        assert_eq!(decide(&scene, &seat, LONG).await, fine());
        keeping.close().await;
    }
}

#[tokio::test]
async fn one_that_does_not_read_its_input_is_a_failure_and_not_a_wait() {
    let scene = Scene::new("hello\nread -r line; echo '{\"id\":1,\"ok\":true}'\nsleep 1000");
    let patience = Patience { write: SHORT, ..PATIENT };
    let (seat, keeping) = scene.start(patience).await;
    let much = Map::from_iter([("data".to_owned(), Value::from("x".repeat(500_000)))]);
    let fault = seat.ask(EVENT, much, LONG).await.unwrap_err();
    assert!(fault.to_string().contains("it has not read its input for 300ms"), "{fault}");
    keeping.close().await;
}

#[tokio::test]
async fn what_is_too_long_is_not_said() {
    let scene = Scene::new("hello\nanswer");
    let (seat, keeping) = scene.start(PATIENT).await;
    let much = Map::from_iter([("data".to_owned(), Value::from("x".repeat(2_000_000)))]);
    let fault = seat.ask(EVENT, much, LONG).await.unwrap_err();
    assert!(fault.to_string().contains("longer than 1048576"), "{fault}");
    assert_eq!(decide(&scene, &seat, LONG).await, fine());
    keeping.close().await;
}

#[tokio::test]
async fn a_wrong_hello_says_what_is_wrong() {
    for (script, why) in [
        ("sleep 1000", "it has said no hello within 300ms"),
        ("exit 3", "it has ended (exit status: 3)"),
        ("echo good morning; sleep 1000", "its first line is no JSON object"),
        ("echo '{\"v\":[2,3],\"name\":\"t\",\"kinds\":[]}'; sleep 1000", "speaks versions 2, 3; expected 1"),
        ("echo '{\"v\":[1],\"kinds\":[]}'; sleep 1000", "it has no \"name\""),
        ("echo '{\"v\":[1],\"name\":\"t\"}'; sleep 1000", "it has no \"kinds\""),
        ("echo '{\"v\":[1],\"name\":\"t\",\"kinds\":[1]}'; sleep 1000", "kinds that is not a list of texts"),
        ("echo '{\"v\":[1],\"name\":\"t\",\"kinds\":[\"event\"]}'; answer", "have no \"decide\""),
        (
            "hello; read -r line; echo '{\"id\":1,\"error\":\"no licence\"}'; sleep 1000",
            "cannot be initialized: no licence",
        ),
        ("hello; exec >&-; sleep 1000", "it has closed its output"),
    ] {
        let scene = Scene::new(script);
        let hello = if why.contains("300ms") { SHORT } else { LONG };
        let found = scene.fail(Patience { hello, close: SHORT, ..PATIENT }).await;
        assert!(found.contains(why), "{script}: {found}");
        assert_eq!(reason(&scene.told("plugin.failed").await), found);
    }
}

#[tokio::test]
async fn a_first_start_that_fails_is_tried_again_where_that_is_wanted() {
    let scene = Scene::new("echo x >> $1/tries; [ $(wc -l < $1/tries) -gt 7 ] || exit 1\nhello\nanswer");
    let mut settings = scene.settings(PATIENT);
    settings.startup = Startup::Retry;
    let (mut seat, keeping) = ProgramSeat::start(settings, &scene.room()).await.unwrap();
    seat.started().await.unwrap();
    assert_eq!(scene.text("tries").await.lines().count(), 8, "more often than a program may crash");
    assert_eq!(decide(&scene, &seat, LONG).await, fine());
    keeping.close().await;
}

#[tokio::test]
async fn a_first_start_that_fails_is_ignored_where_that_is_wanted() {
    let scene = Scene::new("exit 1");
    let mut settings = scene.settings(PATIENT);
    settings.startup = Startup::Ignore;
    let (mut seat, keeping) = ProgramSeat::start(settings, &scene.room()).await.unwrap();
    assert_eq!(seat.started().await.unwrap_err(), "it has ended (exit status: 1)");
    assert!(undecided(decide(&scene, &seat, LONG).await).contains("exit status: 1"));
    keeping.close().await;
}

#[tokio::test]
async fn stderr_that_nobody_reads_does_not_hold_it_up() {
    let scene = Scene::new(
        "decide() { head -c 500000 /dev/zero | tr '\\0' 'x' >&2; command yes | head -n 50000 >&2; opt optIn; }\nhello\nanswer",
    );
    let (seat, keeping) = scene.start(PATIENT).await;
    assert_eq!(decide(&scene, &seat, LONG).await, fine());
    keeping.close().await;
}

#[tokio::test]
async fn one_that_publishes_too_much_pushes_out_nothing_of_ours() {
    let script = "decide() { for i in 1 2 3 4 5 6 7 8 9 10; do for j in 1 2 3 4 5 6 7 8 9 10; do\n\
        echo \"{\\\"publish\\\":\\\"x.test.a\\\",\\\"data\\\":{\\\"i\\\":$i$j}}\"; done; done; opt optIn; }\nhello\nanswer";
    let scene = Scene::new(script);
    let (seat, keeping) = scene.start(PATIENT).await;
    scene.told("plugin.started").await;
    assert_eq!(decide(&scene, &seat, LONG).await, fine());
    let published = scene.bus.take_owed().len();
    assert!((20..100).contains(&published), "{published}");
    keeping.close().await;
}

#[tokio::test]
async fn one_that_wants_too_much_memory_is_refused_it_and_the_default_is_answered() {
    let script = "folder=$1\ndecide() { python3 -c 'bytearray(64 << 20)' 2>$folder/error || exit 9; opt optIn; }\nhello\nanswer";
    for (max_memory, enough) in [(32 << 20, false), (MAX_MEMORY, true)] {
        let scene = Scene::new(script);
        let mut settings = scene.settings(PATIENT);
        settings.program.max_memory = max_memory;
        let (seat, keeping) = ProgramSeat::start(settings, &scene.room()).await.unwrap();
        let decision = decide(&scene, &seat, LONG).await;
        if enough {
            assert_eq!(decision, fine());
        } else {
            assert_eq!(undecided(decision), "test does not run: it has ended (exit status: 9)");
            assert!(scene.text("error").await.contains("MemoryError"));
        }
        keeping.close().await;
    }
}

/// Says hello and fails, until it was started so often.
fn fails(times: u32) -> String {
    format!(
        "folder=$1\necho $$ >> $folder/pids\nhello\n\
         if [ $(wc -l < $folder/pids) -le {times} ]; then read -r line; echo '{{\"id\":1}}'; exit 1; fi\nanswer"
    )
}

fn starts(scene: &Scene) -> usize {
    std::fs::read_to_string(scene.path("pids")).unwrap_or_default().lines().count()
}

fn told_to_have_failed(scene: &Scene) -> usize {
    scene.bus.take_owed().iter().filter(|draft| draft.topic == "plugin.failed").count()
}

#[tokio::test]
async fn one_that_decides_is_tried_again_some_time_after_it_was_given_up() {
    let scene = Scene::new(&fails(12));
    let settings = ProgramSettings { heals: Some(Span::from_micros(1000)), ..scene.settings(PATIENT) };
    let (mut seat, keeping) = ProgramSeat::start(settings, &scene.room()).await.unwrap();
    until(|| starts(&scene) > 12).await;
    seat.runs().await.unwrap();
    assert_eq!(decide(&scene, &seat, LONG).await, fine());
    assert_eq!(told_to_have_failed(&scene), 2, "each time that it is given up");
    keeping.close().await;
}

#[tokio::test]
async fn one_that_was_given_up_is_started_when_somebody_wants_it() {
    let scene = Scene::new(&fails(10));
    let (seat, keeping) = scene.start(PATIENT).await;
    for tries in [5, 10] {
        until(|| matches!(seat.state(), State::Stopped(_)) && starts(&scene) == tries).await;
        assert!(undecided(decide(&scene, &seat, LONG).await).contains("is not started any more"));
        assert_eq!(told_to_have_failed(&scene), 1);
        seat.restart();
        until(|| starts(&scene) > tries).await;
    }
    seat.clone().runs().await.unwrap();
    assert_eq!(decide(&scene, &seat, LONG).await, fine());
    keeping.close().await;
}

#[tokio::test]
async fn one_that_runs_is_ended_and_started_when_somebody_wants_it() {
    let scene = Scene::new(&fails(0));
    let (seat, keeping) = scene.start(PATIENT).await;
    let plugins = Plugins::default();
    plugins.add(seat.clone());
    plugins.restart("test").unwrap();
    assert_eq!(plugins.restart("other"), Err(NotServed::NoPlugin("other".to_owned())));
    until(|| starts(&scene) == 2).await;
    seat.clone().runs().await.unwrap();
    assert_eq!(decide(&scene, &seat, LONG).await, fine());
    assert_eq!(told_to_have_failed(&scene), 0);
    keeping.close().await;
}
