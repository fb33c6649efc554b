use std::path::Path;

use super::super::exec::ExecSink;
use super::{Sink, delivered, is_endpoint, until, words};
use crate::config::MAX_MEMORY;
use crate::hook::outcome::Outcome;
use crate::hook::settings::ExecTarget;

/// The shell stands for any program: it is given as one.
fn shell(script: &str) -> ExecSink {
    let command = ["/bin/sh", "-c", script, "hook"].map(str::to_owned).to_vec();
    let env = vec![("LIMIT".to_owned(), "2".to_owned())];
    ExecSink::new(&ExecTarget { command, env, max_memory: MAX_MEMORY }).unwrap()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[tokio::test]
async fn a_program_gets_the_words_and_what_they_are_about() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let script = format!(
        "{{ cat; echo \" $VEN_MESSAGE_ID $VEN_TOPIC $VEN_CONTENT_TYPE $LIMIT ${{CARGO_PKG_NAME-cleared}}\"; }} > {}",
        out.display()
    );
    let body = "$(touch /tmp/never) `id` ; \"quoted\"";
    delivered(&mut shell(&script), &words("m1", body, "text/plain")).await;
    assert_eq!(read(&out), format!("{body} m1 event.started text/plain 2 cleared\n"));
}

#[tokio::test]
async fn the_exit_code_is_the_answer() {
    let outcomes = [
        ("echo taken", Outcome::Sent, Some(0), "taken\n", ""),
        ("echo bad >&2; exit 65", Outcome::Payload, Some(65), "bad\n", "exit status: 65"),
        ("exit 1", Outcome::Endpoint { retry_after: None }, Some(1), "", "exit status: 1"),
        ("kill -9 $$", Outcome::Endpoint { retry_after: None }, None, "", "signal: 9"),
    ];
    for (script, outcome, code, answer, why) in outcomes {
        let tried = shell(script).deliver(&words("m1", "x", "text/plain")).await;
        assert_eq!((&tried.outcome, tried.code, tried.answer.as_str()), (&outcome, code, answer), "{script}");
        assert!(tried.why.contains(why), "{tried:?}");
    }
    let target = |command| ExecTarget { command, env: Vec::new(), max_memory: MAX_MEMORY };
    let none = target(vec!["/no/such/program".to_owned()]);
    let tried = ExecSink::new(&none).unwrap().deliver(&words("m1", "x", "text/plain")).await;
    assert!(is_endpoint(&tried) && tried.why.starts_with("/no/such/program: "), "{tried:?}");
    let nothing = target(Vec::new());
    assert!(ExecSink::new(&nothing).unwrap_err().starts_with("command: no program"));
}

#[tokio::test]
async fn a_program_that_wants_too_much_memory_is_refused_it() {
    let command = ["python3", "-c", "import sys; sys.stdin.read(); print(len(bytearray(64 << 20)))"];
    let command = command.map(str::to_owned).to_vec();
    let message = words("m1", "x", "text/plain");
    let target = |max_memory| ExecTarget { command: command.clone(), env: Vec::new(), max_memory };
    let tried = ExecSink::new(&target(32 << 20)).unwrap().deliver(&message).await;
    assert!(is_endpoint(&tried) && tried.answer.contains("MemoryError"), "{tried:?}");
    let tried = ExecSink::new(&target(MAX_MEMORY)).unwrap().deliver(&message).await;
    assert_eq!((tried.outcome, tried.answer.as_str()), (Outcome::Sent, "67108864\n"));
}

/// It has its limits before it has heard what it is to do.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_program_writes_no_core_and_has_few_files() {
    let tried = shell("cat >/dev/null; ulimit -c; ulimit -n").deliver(&words("m1", "x", "text/plain")).await;
    assert_eq!((tried.outcome, tried.answer.as_str()), (Outcome::Sent, "0\n256\n"));
}

/// Neither one that reads nothing nor one that says very much can hold us up or fill our memory.
#[tokio::test]
async fn a_program_that_does_not_listen_and_one_that_chatters_are_no_harm() {
    let long = "x".repeat(1 << 20);
    delivered(&mut shell("exit 0"), &words("m1", &long, "text/plain")).await;
    let tried =
        shell("head -c 3000000 /dev/zero | tr '\\0' y").deliver(&words("m1", &long, "text/plain")).await;
    assert_eq!((tried.outcome, tried.answer), (Outcome::Sent, "y".repeat(2048)));
}

#[tokio::test]
async fn what_a_program_has_left_behind_is_killed_and_does_not_hold_up_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let ids = folder.path().join("ids");
    let script = format!("sleep 1000 & echo $! > {}; echo gone", ids.display());
    let tried = shell(&script).deliver(&words("m1", "", "text/plain")).await;
    assert_eq!((tried.outcome, tried.answer.as_str()), (Outcome::Sent, "gone\n"));
    are_killed(&ids).await;
}

#[tokio::test]
async fn a_program_that_is_given_up_is_killed_with_all_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let ids = folder.path().join("ids");
    let mut sink = shell(&format!("sleep 1000 & echo $! $$ > {}; wait", ids.display()));
    let message = words("m1", "x", "text/plain");
    tokio::select! {
        tried = sink.deliver(&message) => panic!("it does not end by itself: {tried:?}"),
        () = until("it runs", async || { read(&ids).ends_with('\n') }) => {}
    }
    are_killed(&ids).await;
}

/// The processes of these ids.
async fn are_killed(ids: &Path) {
    let ids = read(ids);
    assert!(!ids.is_empty());
    for id in ids.split_whitespace() {
        let state = format!("/proc/{id}/stat");
        // Killed and not yet taken note of is a zombie.
        let gone = || std::fs::read_to_string(&state).map_or(true, |stat| stat.contains(") Z "));
        until("the program is killed", async || gone()).await;
    }
}
