//! Programs that do what they should, and programs that do not.

mod deciding;
mod faults;
mod reading;
mod telling;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};

use super::{ExecHandler, Patience, Program, ProgramSeat, ProgramSettings, Room};
use crate::config::{MAX_MEMORY, Startup};
use crate::daemon::bus::Bus;
use crate::daemon::clock::Clock;
use crate::daemon::plugin::exec_handler::{Asked, DECIDE};
use crate::daemon::plugin::program_seat::Keeping;
use crate::fact::Draft;

/// Nothing waits so long unless it is broken.
const LONG: Duration = Duration::from_secs(60);
/// What must be too late is not waited for longer.
const SHORT: Duration = Duration::from_millis(300);

/// The patience of a test with a program that does what it should.
const PATIENT: Patience = Patience {
    hello: LONG,
    initialize: LONG,
    write: LONG,
    hang: LONG,
    close: LONG,
    restart: Duration::from_millis(1),
};

/// Says hello and acknowledges everything; `$ACT` is done for each question whose kind is `$KIND`, with its number in `$id`.
const LOOP: &str = r#"
hello() { echo '{"v":[1],"name":"test","kinds":["decide","event"]}'; }
yes() { echo "{\"id\":$id,\"ok\":true}"; }
opt() { echo "{\"id\":$id,\"opt\":\"$1\",\"reason\":\"${2:-because}\"}"; }
answer() {
    while read -r line; do
        id=${line#*:}; id=${id%%,*}
        kind=${line#*\"kind\":\"}; kind=${kind%%\"*}
        $kind
    done
}
initialize() { yes; }
event() { yes; }
close() { exit 0; }
decide() { opt optIn; }
"#;

/// A folder with a script, and what is told meanwhile.
struct Scene {
    folder: tempfile::TempDir,
    bus: Bus,
    clock: Clock,
}

impl Scene {
    /// With a script of sh, behind the functions that answer.
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("script.sh"), format!("{LOOP}\n{script}")).unwrap();
        let clock = Clock::start();
        Self { folder, bus: Bus::new(clock), clock }
    }

    fn room(&self) -> Room {
        Room::without_meters(&self.bus, self.clock)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The script is called with the folder as its argument.
    fn program(&self) -> Program {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let command = vec!["/bin/sh".to_owned(), text(&self.path("script.sh")), text(self.folder.path())];
        let environment = vec![("LEVEL".to_owned(), "2".to_owned())];
        Program { name: "test".to_owned(), command, environment, max_memory: MAX_MEMORY }
    }

    fn settings(&self, patience: Patience) -> ProgramSettings {
        let (program, startup) = (self.program(), Startup::Error);
        let needs = &[DECIDE];
        ProgramSettings { program, needs, startup, heals: None, patience, initialize: Map::new() }
    }

    async fn start(&self, patience: Patience) -> (ProgramSeat, Keeping) {
        ProgramSeat::start(self.settings(patience), &self.room()).await.unwrap()
    }

    /// Why it does not start.
    async fn fail(&self, patience: Patience) -> String {
        ProgramSeat::start(self.settings(patience), &self.room()).await.map(drop).unwrap_err()
    }

    fn handler(&self, seat: &ProgramSeat, timeout: Duration) -> ExecHandler {
        ExecHandler { asked: Asked::Seat(seat.clone()), timeout, clock: self.clock }
    }

    /// Waits until something of this topic is told; everything before it is forgotten.
    async fn told(&self, topic: &str) -> Draft {
        let told = async {
            loop {
                let mut owed = self.bus.owed().await;
                if let Some(at) = owed.iter().position(|draft| draft.topic == topic) {
                    let behind = owed.split_off(at + 1);
                    self.bus.owe_again(behind);
                    return owed.remove(at);
                }
            }
        };
        tokio::time::timeout(LONG, told).await.unwrap_or_else(|_| panic!("{topic} was not told"))
    }

    async fn text(&self, name: &str) -> String {
        let path = self.path(name);
        until(|| path.exists()).await;
        std::fs::read_to_string(path).unwrap()
    }
}

fn reason(draft: &Draft) -> &str {
    draft.data.get("reason").and_then(Value::as_str).unwrap()
}

/// Waits for a condition.
async fn until(mut reached: impl FnMut() -> bool) {
    let look = async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, look).await.unwrap_or_else(|_| panic!("it did not come to that"));
}

/// Whether a process runs; one that waits to be collected does not.
fn runs(pid: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    state.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// Whether there is anything of it, not even a zombie.
fn is_there(pid: &str) -> bool {
    Path::new(&format!("/proc/{}", pid.trim())).exists()
}
