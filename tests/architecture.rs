//! Guards the walls between the rooms: who may use whom, and who may touch the world.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// For each room, the rooms it may name in `crate::`; the room of a file is the longest prefix of its path.
const WALLS: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("openadr/message", &["openadr::message", "time"]),
    ("openadr/xml", &["openadr::xml", "openadr::message", "time"]),
    ("openadr/trust", &["openadr"]),
    (
        "openadr/signature",
        &["openadr::signature", "openadr::xml", "openadr::trust", "openadr::message", "time"],
    ),
    // The verifier for support work cannot name, so not build, a `Verified`.
    ("openadr/signature/general", &["openadr::xml", "time"]),
    ("openadr/mod", &["openadr"]),
    ("metering", &["metering", "openadr::message", "time"]),
    ("handler", &["openadr::message", "time", "VenHandle"]),
    ("report_source", &["openadr::message", "time", "VenBuilder"]),
    ("plugin", &["fact", "VenBuilder"]),
    ("notice", &["handler", "openadr::message", "time"]),
    ("fact", &["fact", "handler", "notice", "openadr::message", "time"]),
    ("hook", &["fact", "hook", "openadr::message", "time"]),
    ("engine", &["engine", "handler", "notice", "openadr::message", "openadr::trust", "time"]),
    ("rules", &["handler", "openadr::message"]),
    (
        "config",
        &[
            "config",
            "fact",
            "handler",
            "hook",
            "metering",
            "openadr::message",
            "openadr::trust",
            "rules",
            "time",
        ],
    ),
    ("mock_vtn/core", &["openadr::message", "time"]),
    ("mock_vtn/event", &["openadr::message", "time"]),
    ("mock_vtn", &["mock_vtn", "daemon::clock", "daemon::entropy", "daemon::transport", "openadr", "time"]),
    ("mock_meter", &["daemon::clock", "metering", "openadr::message", "time"]),
    (
        "daemon",
        &[
            "daemon",
            "config",
            "engine",
            "fact",
            "handler",
            "hook",
            "metering",
            "notice",
            "openadr",
            "plugin",
            "report_source",
            "rules",
            "time",
        ],
    ),
    (
        "cli",
        &[
            "cli",
            "config",
            "daemon",
            "fact",
            "handler",
            "hook",
            "metering",
            "mock_meter",
            "mock_vtn",
            "notice",
            "openadr",
            "plugin",
            "report_source",
            "time",
        ],
    ),
    ("testing", &["config", "daemon::outbox", "fact", "hook", "plugin", "time"]),
    ("bin", &[]),
    ("lib", &["cli", "config", "daemon", "openadr"]),
];

/// Words that only rooms that touch the world may write.
const WORLD: &[&str] =
    &["tokio", "std::net", "std::fs", "std::process", "std::thread", "rusqlite", "hyper", "nix::"];
const WORLDLY: &[&str] = &["daemon", "cli", "config", "mock_vtn", "mock_meter", "testing", "bin", "lib"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // Tests may look over walls.
            if path.file_name().unwrap() != "tests" {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The lines of a file that are neither comments nor its tests.
fn code(path: &Path) -> Vec<(usize, String)> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().enumerate().take_while(|(_, line)| !line.starts_with("mod tests {"));
    let code = lines.filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.map(|(at, line)| (at + 1, line.to_owned())).collect()
}

/// Everything that a file names after `crate::`, groups taken apart.
fn names(lines: &[(usize, String)]) -> Vec<(usize, String)> {
    let mut names = Vec::new();
    for (at, line) in lines {
        for (start, _) in line.match_indices("crate::") {
            if line[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = &line[start + "crate::".len()..];
            let end =
                rest.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | ':')).unwrap_or(rest.len());
            let path = rest[..end].trim_end_matches(':');
            match rest[end..].strip_prefix('{') {
                Some(group) if path.is_empty() => {
                    let group = group.split('}').next().unwrap_or(group);
                    names.extend(group.split(',').map(|name| (*at, name.trim().to_owned())));
                }
                _ => names.push((*at, path.to_owned())),
            }
        }
    }
    names
}

fn room(path: &str) -> &'static (&'static str, &'static [&'static str]) {
    let fits = |wall: &&(&str, _)| {
        path.strip_prefix(wall.0).is_some_and(|rest| rest.starts_with('/') || rest.starts_with(".rs"))
    };
    WALLS
        .iter()
        .filter(fits)
        .max_by_key(|(name, _)| name.len())
        .unwrap_or_else(|| panic!("{path} has no room"))
}

fn all() -> BTreeMap<String, Vec<(usize, String)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 80, "the sources are there");
    let name = |path: &PathBuf| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
    files
        .iter()
        .filter(|path| !name(path).starts_with("test_support") && !path.ends_with("arbitrary.rs"))
        .map(|path| (name(path), code(path)))
        .collect()
}

#[test]
fn rooms_know_only_the_rooms_they_may_know() {
    let mut breaches = Vec::new();
    for (path, lines) in all() {
        let (_, may) = room(&path);
        for (at, name) in names(&lines) {
            let allowed = |wall: &&str| {
                name.strip_prefix(*wall).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            };
            if !may.iter().any(allowed) {
                breaches.push(format!("src/{path}:{at} names crate::{name}"));
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn pure_rooms_touch_nothing_of_the_world() {
    let mut breaches = Vec::new();
    for (path, lines) in all() {
        if WORLDLY.iter().any(|room| path.starts_with(room)) {
            continue;
        }
        for (at, line) in lines {
            if let Some(word) = WORLD.iter().find(|word| line.contains(**word)) {
                breaches.push(format!("src/{path}:{at} writes {word}"));
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

/// A file that has grown beyond this is hard to live in.
#[test]
fn files_are_short() {
    for (path, lines) in all() {
        assert!(lines.len() <= 600, "src/{path} has {} lines of code", lines.len());
    }
}

/// The guard itself: it finds what it is there to find.
#[test]
fn a_breach_is_found() {
    let lines =
        [(3, "use crate::{engine::Engine, time};".to_owned()), (4, "    crate::daemon::x()".to_owned())];
    let found: Vec<_> = names(&lines).into_iter().map(|(_, name)| name).collect();
    assert_eq!(found, ["engine::Engine", "time", "daemon::x"]);
    assert_eq!(room("openadr/signature/verify.rs").0, "openadr/signature");
    assert_eq!(room("mock_vtn/core.rs").0, "mock_vtn/core");
}
