//! Programs that decide, as an operator configures them: `examples/handlers`, and some that fail.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::process::Command;

use crate::support::{House, PATIENCE, Process};
use openadr_ven::Config;
use openadr_ven::message::OptType;
use openadr_ven::mock_vtn::{EventBuilder, KeyKind, MockVtn, VtnCore};
use openadr_ven::time::Span;

struct Scene {
    house: House,
    runtime: tokio::runtime::Runtime,
    vtn: MockVtn,
}

impl Scene {
    fn new() -> Self {
        let house = House::new(KeyKind::P256);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let vtn = runtime.block_on(house.vtn(Span::SECOND));
        Self { house, runtime, vtn }
    }

    /// A VEN whose `[handler]` says this, beside the kind.
    fn ven(&self, handler: &str) -> Process {
        let text = format!("[handler]\nkind = \"exec\"\ntimeout = \"1min\"\n{handler}\n");
        Process::ven(&self.house.configure(&self.vtn.url(), &text))
    }

    /// The VTN sends an event of that level, which starts after that time.
    fn send(&self, id: &str, level: i64, after: Span) {
        let start = self.vtn.now().floor_to(Span::SECOND) + after;
        self.vtn.with(|core| core.add_event(EventBuilder::new(id, start, Span::HOUR).level(level)));
    }

    fn until(&self, what: &str, process: &Process, reached: impl FnMut(&mut VtnCore) -> bool) {
        let reached = self.runtime.block_on(self.vtn.until(PATIENCE, reached));
        assert!(reached, "{what} did not come; the log:\n{}", process.log().join("\n"));
    }

    fn answered(&self, id: &str, opt: OptType, process: &Process) {
        let is_it = |core: &mut VtnCore| {
            core.opts.iter().any(|found| found.event_id.as_str() == id && found.opt == opt)
        };
        self.until(&format!("{opt:?} to {id}"), process, is_it);
    }
}

fn example(name: &str) -> String {
    format!("{}/examples/handlers/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_example_in_python_decides_and_hears_what_happens() {
    let scene = Scene::new();
    let command =
        format!("command = [\"python3\", \"{}\"]\nenv = {{ MAX_LEVEL = \"2\" }}", example("decide.py"));
    let process = scene.ven(&command);
    process.wait_for("runs and calls itself decide.py", 0);
    scene.send("low", 2, Span::SECOND);
    scene.send("high", 3, Span::HOUR);
    scene.answered("low", OptType::OptIn, &process);
    scene.answered("high", OptType::OptOut, &process);
    process.wait_for("level 2 from now on", 0);
    let told = process.log().iter().any(|line| line.contains("level 3 is more than 2"));
    assert!(told, "the reason is told: {:?}", process.log());
    let pid = process.wait_until("the id of the program", |log| {
        let line = log.iter().find(|line| line.contains("runs and calls itself decide.py"))?;
        line.split("pid=").nth(1)?.split(' ').next().map(str::to_owned)
    });
    let program = std::path::PathBuf::from(format!("/proc/{pid}"));
    assert!(program.exists());
    process.terminate();
    assert!(!program.exists(), "nothing of it is left");
    assert_eq!(scene.vtn.with(|core| core.violations.clone()), [""; 0]);
}

#[test]
fn the_example_in_sh_decides() {
    let scene = Scene::new();
    let command = format!("mode = \"oneshot\"\ncommand = [\"{}\"]", example("decide.sh"));
    let process = scene.ven(&command);
    scene.send("low", 1, Span::HOUR);
    scene.send("high", 2, Span::HOUR);
    scene.answered("low", OptType::OptIn, &process);
    scene.answered("high", OptType::OptOut, &process);
    process.terminate();
}

#[test]
fn the_example_of_rules_decides() {
    let scene = Scene::new();
    let rules = std::fs::read_to_string(example("rules.toml")).unwrap();
    let process = Process::ven(&scene.house.configure(&scene.vtn.url(), &rules));
    scene.send("low", 2, Span::HOUR);
    scene.send("high", 3, Span::HOUR);
    let start = scene.vtn.now().floor_to(Span::SECOND) + Span::HOUR;
    let add = |event: EventBuilder| scene.vtn.with(|core| core.add_event(event));
    add(EventBuilder::new("long", start, Span::HOUR * 3).level(1));
    add(EventBuilder::new("emergency", start, Span::HOUR).level(3).priority(1));
    for (id, opt) in [
        ("low", OptType::OptIn),
        ("high", OptType::OptOut),
        ("long", OptType::OptOut),
        ("emergency", OptType::OptIn),
    ] {
        scene.answered(id, opt, &process);
    }
    process.terminate();
}

#[test]
fn a_program_that_fails_gets_the_default_answered_and_the_reason_is_told() {
    let scene = Scene::new();
    let script = "echo '{\"v\":[1],\"name\":\"t\",\"kinds\":[\"decide\"]}'\nread -r line; echo '{\"id\":1,\"ok\":true}'\nread -r line; exit 9\n";
    std::fs::write(scene.house.path("fails.sh"), script).unwrap();
    let path = scene.house.path("fails.sh");
    let process = scene.ven(&format!("default = \"optIn\"\ncommand = [\"/bin/sh\", \"{}\"]", path.display()));
    scene.send("e1", 1, Span::HOUR);
    scene.answered("e1", OptType::OptIn, &process);
    process.wait_for("exit status: 9", 0);
    process.wait_for("is started again in", 0);
    process.terminate();
}

#[test]
fn a_program_that_must_start_and_does_not_stops_the_start() {
    let scene = Scene::new();
    let check = |handler: &str, command: &str| {
        let path = scene.house.configure(&scene.vtn.url(), &format!("[handler]\nkind = \"exec\"\n{handler}"));
        let mut ven = Command::new(env!("CARGO_BIN_EXE_ven"));
        let output = ven.args([command, "--config"]).arg(path).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (fine, error) = check("command = [\"/nonexistent/decide\"]", "check");
    assert!(!fine && error.contains("handler.command: there is no program /nonexistent/decide"), "{error}");
    let (fine, error) = check("command = [\"/nonexistent/decide\"]\nstartup = \"ignore\"", "check");
    assert!(fine, "{error}");
    let (fine, error) = check("command = [\"/bin/sh\", \"-c\", \"exit 3\"]", "run");
    assert!(!fine && error.contains("[handler]: it has ended (exit status: 3)"), "{error}");
    let (fine, error) = check("command = [\"sh\"]\nenv = { KEY = \"${env:VEN_TEST_ABSENT}\" }", "check");
    assert!(!fine && error.contains("handler.env.KEY: $VEN_TEST_ABSENT is not set"), "{error}");
}

/// Every example is shown as it is configured.
#[test]
fn what_the_examples_say_about_their_configuration_is_right() {
    for name in ["decide.py", "decide.sh"] {
        let text = std::fs::read_to_string(example(name)).unwrap();
        let section = text.lines().skip_while(|line| !line.contains("[handler]"));
        let section =
            section.map(|line| line.trim_start_matches('#').trim()).take_while(|line| !line.is_empty());
        let section: Vec<_> = section.collect();
        assert!(section.len() >= 5, "{section:?}");
        let house = House::new(KeyKind::P256);
        let path = house.configure("https://vtn.example.org", &section.join("\n"));
        Config::load(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
