//! `ven opt` as an operator meets it: a VEN runs, and a person changes its mind.
#![expect(clippy::unwrap_used, clippy::unwrap_in_result, reason = "a test may fail by panicking")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{House, PATIENCE, Process};
use openadr_ven::message::{OptType, PayloadKind};
use openadr_ven::mock_vtn::{EventBuilder, KeyKind, MockVtn, VtnCore};
use openadr_ven::time::Span;

/// Runs `ven opt`; the output, or the error.
fn opt(configuration: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ven"));
    let output = command.arg("opt").args(arguments).arg("--config").arg(configuration).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

struct Scene {
    house: House,
    runtime: tokio::runtime::Runtime,
    vtn: MockVtn,
    configuration: PathBuf,
}

impl Scene {
    /// A VEN with the resource `hvac`, which opts out unless it is told otherwise.
    fn new() -> Self {
        let house = House::new(KeyKind::P256);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let vtn = runtime.block_on(house.vtn(Span::SECOND));
        let configuration = house.path("ven.toml");
        let text = house.configuration(&vtn.url(), "");
        std::fs::write(&configuration, text.replace("[vtn]", "resources = [\"hvac\"]\n\n[vtn]")).unwrap();
        Self { house, runtime, vtn, configuration }
    }

    fn opt(&self, arguments: &[&str]) -> Result<String, String> {
        opt(&self.configuration, arguments)
    }

    fn until(&self, what: &str, process: &Process, reached: impl FnMut(&mut VtnCore) -> bool) {
        let reached = self.runtime.block_on(self.vtn.until(PATIENCE, reached));
        assert!(reached, "{what} did not come; the log:\n{}", process.log().join("\n"));
    }

    /// A VEN that has answered an event that starts in an hour.
    fn with_event(&self) -> Process {
        let process = Process::ven(&self.configuration);
        let now = self.vtn.now().floor_to(Span::SECOND);
        self.vtn.with(|core| core.add_event(EventBuilder::new("e1", now + Span::HOUR, Span::HOUR)));
        self.until("the first opt", &process, |core| core.opts.len() == 1);
        process
    }
}

#[test]
fn a_person_changes_the_decision_about_an_event() {
    let scene = Scene::new();
    let error = scene.opt(&["e1", "optIn"]).unwrap_err();
    assert!(error.contains("no VEN runs") && error.contains("control.sock"), "{error}");
    let process = scene.with_event();
    let mode = std::fs::metadata(scene.house.path("state/control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(scene.opt(&["e1", "optIn"]).unwrap(), "changed; the VTN is told\n");
    let opted_in = |core: &mut VtnCore| core.opts.last().is_some_and(|opt| opt.opt == OptType::OptIn);
    scene.until("optIn", &process, opted_in);
    scene.opt(&["e1", "optOut", "--resource", "hvac"]).unwrap();
    scene.until("the opt of the resource", &process, |core| core.created_opts.len() == 1);
    for (arguments, why) in [
        (["e9", "optIn"].as_slice(), "there is no event e9; known are: e1"),
        (&["e1", "optIn", "--resource", "x"], "there is no resource x; [ven] resources are: hvac"),
        (&["e1", "maybe"], "possible values: optIn, optOut"),
        (&["e1"], "required"),
    ] {
        let error = scene.opt(arguments).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    process.terminate();
    assert!(scene.opt(&["e1", "optIn"]).unwrap_err().contains("no VEN runs"));
    assert!(!scene.house.path("state/control.sock").exists());
    assert_eq!(scene.vtn.with(|core| core.violations.clone()), [""; 0]);
}

/// What was confirmed is kept: the VEN is killed before the VTN has taken it.
#[test]
fn a_schedule_that_was_confirmed_survives_a_kill() {
    let scene = Scene::new();
    let process = scene.with_event();
    scene.vtn.with(|core| core.stumbles_over = Some(PayloadKind::CreateOpt));
    let add = ["schedule", "add", "--opt", "optOut", "--start", "2030-01-01T00:00:00Z", "--duration", "4h"];
    let more = ["--id", "fair", "--reason", "mustRun", "--resource", "hvac"];
    let said = scene.opt(&[add.as_slice(), &more].concat()).unwrap();
    assert_eq!(said, "schedule fair holds; the VTN is told\n");
    process.kill();
    scene.vtn.with(|core| core.stumbles_over = None);
    let process = Process::ven(&scene.configuration);
    scene.until("the schedule", &process, |core| core.created_opts.len() == 1);
    process.wait_for("VTN has our optOut schedule fair", 0);
    assert_eq!(
        scene.opt(&["schedule", "list"]).unwrap(),
        "fair: optOut 2030-01-01T00:00:00Z for PT4H (mustRun), only hvac\n"
    );
    let error = scene.opt(&["schedule", "cancel", "fare"]).unwrap_err();
    assert!(error.contains("there is no schedule fare; known are: fair"), "{error}");
    let error = scene.opt(&[&add[..4], &["--start", "tomorrow"]].concat()).unwrap_err();
    assert!(error.contains("found \"tomorrow\""), "{error}");
    assert_eq!(scene.opt(&["schedule", "cancel", "fair"]).unwrap(), "cancelled; the VTN is told\n");
    scene.until("the cancellation", &process, |core| core.created_opts.is_empty());
    process.wait_for("schedule fair is cancelled", 0);
    assert_eq!(scene.opt(&["schedule", "list"]).unwrap(), "");
    process.terminate();
    assert_eq!(scene.vtn.with(|core| core.violations.clone()), [""; 0]);
}
